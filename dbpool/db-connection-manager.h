/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-database-config.h"
#include "db-pool-config.h"
#include "db-session.h"
#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_CONNECTION_MANAGER (db_connection_manager_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_INTERFACE (DbConnectionManager, db_connection_manager, DB, CONNECTION_MANAGER, GObject)

/**
 * DbConnectionManagerInterface:
 * @g_iface: the parent interface
 * @open_session: opens a session; blocking
 * @check_session: asks the database, at the cost of a round trip, whether the session still works;
 *   blocking; optional
 * @reset_session: leaves any transaction and cleans the session for its next borrower; blocking;
 *   optional
 * @close_session: closes the session and returns when the database has let go of it; blocking
 * @suggest_config: sets, in a pool's configuration, defaults that suit this database; optional
 * @describe: the database in words, for error texts, without any secret; optional
 * @dup_database_config: a new configuration, free to be changed, with all that `open_session` would
 *   use, secrets too; or %NULL; does not block; optional
 * @open_session_with_config: opens a session with another configuration than its own, of which it
 *   keeps nothing beyond that session; blocking; optional: without it a pool's before-connect hook
 *   can only look on
 * @get_facts: what is worth knowing of the database, for health checks; blocking; optional
 *
 * What a manager implements: blocking functions, which the pool calls on its own threads. A manager
 * is used by many threads at once, a session by one at a time.
 *
 * Since: 1.0
 */
struct _DbConnectionManagerInterface
{
  GTypeInterface g_iface;

  DbSession *(*open_session) (DbConnectionManager *self, GCancellable *cancellable, GError **error);
  gboolean (*check_session) (DbConnectionManager *self,
                             DbSession *session,
                             GCancellable *cancellable,
                             GError **error);
  gboolean (*reset_session) (DbConnectionManager *self,
                             DbSession *session,
                             DbResetLevel level,
                             GCancellable *cancellable,
                             GError **error);
  void (*close_session) (DbConnectionManager *self, DbSession *session);
  void (*suggest_config) (DbConnectionManager *self, DbPoolConfig *config);
  char *(*describe) (DbConnectionManager *self);
  DbDatabaseConfig *(*dup_database_config) (DbConnectionManager *self);
  DbSession *(*open_session_with_config) (DbConnectionManager *self,
                                          DbDatabaseConfig *config,
                                          GCancellable *cancellable,
                                          GError **error);
  GVariant *(*get_facts) (DbConnectionManager *self,
                          DbSession *session,
                          DbHealthFlags flags,
                          GCancellable *cancellable,
                          GError **error);
};

DB_AVAILABLE_IN_1_0
DbSession *db_connection_manager_open_session (DbConnectionManager *self,
                                               GCancellable *cancellable,
                                               GError **error);
DB_AVAILABLE_IN_1_0
DbDatabaseConfig *db_connection_manager_dup_database_config (DbConnectionManager *self);
DB_AVAILABLE_IN_1_0
DbSession *db_connection_manager_open_session_with_config (DbConnectionManager *self,
                                                           DbDatabaseConfig *config,
                                                           GCancellable *cancellable,
                                                           GError **error);
DB_AVAILABLE_IN_1_0
gboolean db_connection_manager_check_session (DbConnectionManager *self,
                                              DbSession *session,
                                              GCancellable *cancellable,
                                              GError **error);
DB_AVAILABLE_IN_1_0
gboolean db_connection_manager_reset_session (DbConnectionManager *self,
                                              DbSession *session,
                                              DbResetLevel level,
                                              GCancellable *cancellable,
                                              GError **error);
DB_AVAILABLE_IN_1_0
void db_connection_manager_close_session (DbConnectionManager *self, DbSession *session);
DB_AVAILABLE_IN_1_0
void db_connection_manager_suggest_config (DbConnectionManager *self, DbPoolConfig *config);
DB_AVAILABLE_IN_1_0
char *db_connection_manager_describe (DbConnectionManager *self);
DB_AVAILABLE_IN_1_0
GVariant *db_connection_manager_get_facts (DbConnectionManager *self,
                                           DbSession *session,
                                           DbHealthFlags flags,
                                           GCancellable *cancellable,
                                           GError **error);

G_END_DECLS
