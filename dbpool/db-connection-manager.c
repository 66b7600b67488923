/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The interface between the pool and a kind of database. Implementers write blocking functions; the
 * wrappers here make sure that a failure always has an error, whatever language it comes from. */

#include "config.h"

#include "db-connection-manager.h"
#include "db-database-config-private.h"
#include "db-error.h"

/**
 * DbConnectionManager:
 *
 * Knows how to open, check, reset and close sessions of one kind of database.
 *
 * dbpool has [class@Db.PostgresManager] and [class@Db.SqliteManager]; an application may write
 * another one, in any language. Its functions block, are called on dbpool's threads (or on the
 * thread of a blocking acquire), and may run at the same time for different sessions.
 *
 * Since: 1.0
 */
G_DEFINE_INTERFACE (DbConnectionManager, db_connection_manager, G_TYPE_OBJECT)

static void
db_connection_manager_default_init (DbConnectionManagerInterface *iface)
{
}

/* A user's function that failed must say why; where it did not, this does. */
static void
ensure_error (DbConnectionManager *self, const char *function, GError **error)
{
  if (error != NULL && *error == NULL)
    g_set_error (error, DB_ERROR, DB_ERROR_FAILED, "%s.%s failed without an error",
                 G_OBJECT_TYPE_NAME (self), function);
}

/**
 * db_connection_manager_open_session:
 * @self: a manager
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Opens a session. Blocks, may be called from any thread.
 *
 * An error for which [func@Db.Error.is_transient] is %TRUE makes the pool try again later; any
 * other one is final for those who wait.
 *
 * Returns: (transfer full): a session
 *
 * Since: 1.0
 */
DbSession *
db_connection_manager_open_session (DbConnectionManager *self,
                                    GCancellable *cancellable,
                                    GError **error)
{
  g_autoptr (GError) local_error = NULL;
  DbSession *session;

  g_return_val_if_fail (DB_IS_CONNECTION_MANAGER (self), NULL);

  session = DB_CONNECTION_MANAGER_GET_IFACE (self)->open_session (self, cancellable, &local_error);
  if (session == NULL)
    {
      ensure_error (self, "open_session", &local_error);
      g_propagate_error (error, g_steal_pointer (&local_error));
    }
  return session;
}

/**
 * db_connection_manager_dup_database_config:
 * @self: a manager
 *
 * Makes a configuration with everything that [method@Db.ConnectionManager.open_session] would use,
 * the password too, for [method@Db.ConnectionManager.open_session_with_config]. It is the caller's,
 * who may change it.
 *
 * Does not block, may be called from any thread.
 *
 * Returns: (transfer full) (nullable): a configuration, or %NULL if this manager has none
 *
 * Since: 1.0
 */
DbDatabaseConfig *
db_connection_manager_dup_database_config (DbConnectionManager *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION_MANAGER (self), NULL);

  if (DB_CONNECTION_MANAGER_GET_IFACE (self)->dup_database_config == NULL)
    return NULL;
  return DB_CONNECTION_MANAGER_GET_IFACE (self)->dup_database_config (self);
}

/**
 * db_connection_manager_open_session_with_config:
 * @self: a manager
 * @config: (nullable): the configuration to use instead of that of @self; it is fixed from now on
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Opens a session with a configuration that [method@Db.ConnectionManager.dup_database_config] made
 * and that somebody may have changed since: with the password of the hour, for example.
 *
 * Blocks, may be called from any thread. It is [method@Db.ConnectionManager.open_session] if
 * @config is %NULL or if the manager knows no configurations, with the same errors.
 *
 * Returns: (transfer full): a session
 *
 * Since: 1.0
 */
DbSession *
db_connection_manager_open_session_with_config (DbConnectionManager *self,
                                                DbDatabaseConfig *config,
                                                GCancellable *cancellable,
                                                GError **error)
{
  DbConnectionManagerInterface *iface;
  g_autoptr (GError) local_error = NULL;
  DbSession *session;

  g_return_val_if_fail (DB_IS_CONNECTION_MANAGER (self), NULL);
  g_return_val_if_fail (config == NULL || DB_IS_DATABASE_CONFIG (config), NULL);

  iface = DB_CONNECTION_MANAGER_GET_IFACE (self);
  if (config == NULL || iface->open_session_with_config == NULL)
    return db_connection_manager_open_session (self, cancellable, error);

  db_database_config_freeze (config);
  session = iface->open_session_with_config (self, config, cancellable, &local_error);
  if (session == NULL)
    {
      ensure_error (self, "open_session_with_config", &local_error);
      g_propagate_error (error, g_steal_pointer (&local_error));
    }
  return session;
}

/**
 * db_connection_manager_check_session:
 * @self: a manager
 * @session: a session of its making
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Asks the database whether a session still works. Blocks, may be called from any thread.
 *
 * Returns: %FALSE if the session is of no more use
 *
 * Since: 1.0
 */
gboolean
db_connection_manager_check_session (DbConnectionManager *self,
                                     DbSession *session,
                                     GCancellable *cancellable,
                                     GError **error)
{
  DbConnectionManagerInterface *iface;
  g_autoptr (GError) local_error = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION_MANAGER (self), FALSE);
  g_return_val_if_fail (DB_IS_SESSION (session), FALSE);

  iface = DB_CONNECTION_MANAGER_GET_IFACE (self);
  if (iface->check_session == NULL ||
      iface->check_session (self, session, cancellable, &local_error))
    return TRUE;

  ensure_error (self, "check_session", &local_error);
  g_propagate_error (error, g_steal_pointer (&local_error));
  return FALSE;
}

/**
 * db_connection_manager_reset_session:
 * @self: a manager
 * @session: a session of its making
 * @level: how thoroughly
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Leaves any transaction and makes a session fit for its next borrower. Blocks, may be called from
 * any thread.
 *
 * Returns: %FALSE if the session is of no more use
 *
 * Since: 1.0
 */
gboolean
db_connection_manager_reset_session (DbConnectionManager *self,
                                     DbSession *session,
                                     DbResetLevel level,
                                     GCancellable *cancellable,
                                     GError **error)
{
  DbConnectionManagerInterface *iface;
  g_autoptr (GError) local_error = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION_MANAGER (self), FALSE);
  g_return_val_if_fail (DB_IS_SESSION (session), FALSE);

  iface = DB_CONNECTION_MANAGER_GET_IFACE (self);
  if (iface->reset_session == NULL ||
      iface->reset_session (self, session, level, cancellable, &local_error))
    return TRUE;

  ensure_error (self, "reset_session", &local_error);
  g_propagate_error (error, g_steal_pointer (&local_error));
  return FALSE;
}

/**
 * db_connection_manager_close_session:
 * @self: a manager
 * @session: a session of its making
 *
 * Closes a session, and returns when the database has let go of it. Blocks, may be called from any
 * thread.
 *
 * Since: 1.0
 */
void
db_connection_manager_close_session (DbConnectionManager *self, DbSession *session)
{
  g_return_if_fail (DB_IS_CONNECTION_MANAGER (self));
  g_return_if_fail (DB_IS_SESSION (session));

  DB_CONNECTION_MANAGER_GET_IFACE (self)->close_session (self, session);
}

/**
 * db_connection_manager_suggest_config:
 * @self: a manager
 * @config: the configuration of a pool
 *
 * Gives those properties of @config that nobody has set the values that suit this database.
 *
 * Called once for each pool, on the thread that makes it. Does not block.
 *
 * Since: 1.0
 */
void
db_connection_manager_suggest_config (DbConnectionManager *self, DbPoolConfig *config)
{
  g_return_if_fail (DB_IS_CONNECTION_MANAGER (self));
  g_return_if_fail (DB_IS_POOL_CONFIG (config));

  if (DB_CONNECTION_MANAGER_GET_IFACE (self)->suggest_config != NULL)
    DB_CONNECTION_MANAGER_GET_IFACE (self)->suggest_config (self, config);
}

/**
 * db_connection_manager_describe:
 * @self: a manager
 *
 * Describes the database for texts that people read, without any secret. May be called from any
 * thread and does not block.
 *
 * Returns: (transfer full): for example `"postgresql://anna@db.example.org/shop"`
 *
 * Since: 1.0
 */
char *
db_connection_manager_describe (DbConnectionManager *self)
{
  char *text = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION_MANAGER (self), NULL);

  if (DB_CONNECTION_MANAGER_GET_IFACE (self)->describe != NULL)
    text = DB_CONNECTION_MANAGER_GET_IFACE (self)->describe (self);
  return text != NULL ? text : g_strdup (G_OBJECT_TYPE_NAME (self));
}

/**
 * db_connection_manager_get_facts:
 * @self: a manager
 * @session: a session of its making, in no transaction
 * @flags: what to look at
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Asks the database what is worth knowing of it, for a [class@Db.HealthReport]. Blocks, may be
 * called from any thread.
 *
 * The facts are a dictionary from names to values (`a{sv}`). Two names mean more to a
 * [class@Db.HealthChecker]: `degraded` and `unhealthy` are dictionaries themselves (`a{ss}`), from
 * short codes to sentences for people, each of which is a reason for that status. The session must
 * be left as it was found.
 *
 * Fails with `DB_ERROR_HEALTH_CHECK` if the manager returned something else, and with the
 * manager's own errors. A manager without this function has no facts.
 *
 * Returns: (transfer full): a dictionary of type `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
db_connection_manager_get_facts (DbConnectionManager *self,
                                 DbSession *session,
                                 DbHealthFlags flags,
                                 GCancellable *cancellable,
                                 GError **error)
{
  DbConnectionManagerInterface *iface;
  g_autoptr (GError) local_error = NULL;
  g_autoptr (GVariant) facts = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION_MANAGER (self), NULL);
  g_return_val_if_fail (DB_IS_SESSION (session), NULL);

  iface = DB_CONNECTION_MANAGER_GET_IFACE (self);
  if (iface->get_facts == NULL)
    return g_variant_ref_sink (g_variant_new ("a{sv}", NULL));

  facts = iface->get_facts (self, session, flags, cancellable, &local_error);
  if (facts != NULL)
    g_variant_take_ref (facts);
  if (facts != NULL && g_variant_is_of_type (facts, G_VARIANT_TYPE_VARDICT))
    return g_steal_pointer (&facts);
  if (facts != NULL)
    g_set_error (error, DB_ERROR, DB_ERROR_HEALTH_CHECK,
                 "%s.get_facts returned a value of type %s instead of a{sv}",
                 G_OBJECT_TYPE_NAME (self), g_variant_get_type_string (facts));
  else
    {
      ensure_error (self, "get_facts", &local_error);
      g_propagate_error (error, g_steal_pointer (&local_error));
    }
  return NULL;
}
