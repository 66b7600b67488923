/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The pool as a manager: sessions inside its limit that it does not lend. Every function here may
 * be called on any thread, also by another pool, which then holds no lock. */

#include "config.h"

#include "db-error.h"
#include "db-pool-private.h"

static DbSession *
open_session (DbConnectionManager *manager, GCancellable *cancellable, GError **error)
{
  return db_engine_open_dedicated (DB_POOL (manager)->engine, NULL, cancellable, error);
}

static DbSession *
open_session_with_config (DbConnectionManager *manager,
                          DbDatabaseConfig *config,
                          GCancellable *cancellable,
                          GError **error)
{
  return db_engine_open_dedicated (DB_POOL (manager)->engine, config, cancellable, error);
}

static DbDatabaseConfig *
dup_database_config (DbConnectionManager *manager)
{
  DbConnectionManager *own = db_pool_get_manager (DB_POOL (manager));

  return own != NULL ? db_connection_manager_dup_database_config (own) : NULL;
}

/* The manager that opened @session. */
static DbConnectionManager *
ref_manager (DbConnectionManager *manager, DbSession *session, GError **error)
{
  DbPool *self = DB_POOL (manager);
  DbConnectionManager *opener = db_engine_ref_dedicated_manager (self->engine, session);

  if (opener == NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "pool %s did not open this session, or has closed it", db_pool_get_name (self));
  return opener;
}

static gboolean
check_session (DbConnectionManager *manager,
               DbSession *session,
               GCancellable *cancellable,
               GError **error)
{
  g_autoptr (DbConnectionManager) opener = ref_manager (manager, session, error);

  return opener != NULL &&
         db_connection_manager_check_session (opener, session, cancellable, error);
}

static gboolean
reset_session (DbConnectionManager *manager,
               DbSession *session,
               DbResetLevel level,
               GCancellable *cancellable,
               GError **error)
{
  g_autoptr (DbConnectionManager) opener = ref_manager (manager, session, error);

  return opener != NULL &&
         db_connection_manager_reset_session (opener, session, level, cancellable, error);
}

static GVariant *
get_facts (DbConnectionManager *manager,
           DbSession *session,
           DbHealthFlags flags,
           GCancellable *cancellable,
           GError **error)
{
  g_autoptr (DbConnectionManager) opener = ref_manager (manager, session, error);

  return opener != NULL
           ? db_connection_manager_get_facts (opener, session, flags, cancellable, error)
           : NULL;
}

static void
close_session (DbConnectionManager *manager, DbSession *session)
{
  db_engine_close_dedicated (DB_POOL (manager)->engine, session);
}

static void
suggest_config (DbConnectionManager *manager, DbPoolConfig *config)
{
  DbConnectionManager *own = db_pool_get_manager (DB_POOL (manager));

  if (own != NULL)
    db_connection_manager_suggest_config (own, config);
}

static char *
describe (DbConnectionManager *manager)
{
  DbPool *self = DB_POOL (manager);
  DbConnectionManager *own = db_pool_get_manager (self);
  g_autofree char *text = own != NULL ? db_connection_manager_describe (own) : NULL;

  return g_strdup_printf ("%s within the limit of pool %s", text != NULL ? text : "nothing",
                          db_pool_get_name (self));
}

void
db_pool_manager_iface_init (DbConnectionManagerInterface *iface)
{
  iface->open_session = open_session;
  iface->open_session_with_config = open_session_with_config;
  iface->dup_database_config = dup_database_config;
  iface->check_session = check_session;
  iface->reset_session = reset_session;
  iface->close_session = close_session;
  iface->suggest_config = suggest_config;
  iface->describe = describe;
  iface->get_facts = get_facts;
}
