/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Makes pools that are ready: the manager for a URI or a configuration, a pool over it, and one
 * session proven by borrowing it, so that a wrong password is an error here and not at the first
 * query. A factory has no state but the table of schemes, and so no lock. Parsing what a URI says
 * about the database is the managers' business; what it says about the pool is taken out of it
 * here. */

#include "config.h"

#include "db-pool-factory.h"

#include "db-error.h"
#include "db-pool-config-private.h"

#ifdef HAVE_POSTGRES
#include "db-postgres-manager.h"
#endif
#ifdef HAVE_SQLITE
#include "db-sqlite-manager.h"
#endif

#include <string.h>

/**
 * DbPoolFactory:
 *
 * Makes pools that are ready for use.
 *
 * A pool that a factory returns has opened a session: the server was reached and accepted user and
 * password, or the file could be opened. To make a pool without any such attempt, use
 * [ctor@Db.Pool.new].
 *
 * A factory may be used from any thread and for any number of pools; these do not need it once they
 * are made.
 *
 * Since: 1.0
 */

struct _DbPoolFactory
{
  GObject parent_instance;
};

G_DEFINE_FINAL_TYPE (DbPoolFactory, db_pool_factory, G_TYPE_OBJECT)

/* Makes the manager for a URI from which the pool's settings have been taken. */
typedef DbConnectionManager *(*ManagerFunc) (const char *uri, GError **error);

#if !defined(HAVE_POSTGRES) || !defined(HAVE_SQLITE)
static void
set_left_out_error (GError **error, const char *database, const char *option)
{
  g_set_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED,
               "this build of dbpool cannot use %s: build it with -D%s=enabled", database, option);
}
#endif

static DbConnectionManager *
make_postgres_manager (DbDatabaseConfig *database, GError **error)
{
#ifdef HAVE_POSTGRES
  return DB_CONNECTION_MANAGER (db_postgres_manager_new (database));
#else
  set_left_out_error (error, "PostgreSQL", "postgres");
  return NULL;
#endif
}

static DbConnectionManager *
make_sqlite_manager (const char *path, GError **error)
{
#ifdef HAVE_SQLITE
  return DB_CONNECTION_MANAGER (db_sqlite_manager_new (path));
#else
  set_left_out_error (error, "SQLite", "sqlite");
  return NULL;
#endif
}

static DbConnectionManager *
postgres_manager_from_uri (const char *uri, GError **error)
{
  g_autoptr (DbDatabaseConfig) database = db_database_config_new_from_uri (uri, error);

  return database != NULL ? make_postgres_manager (database, error) : NULL;
}

static DbConnectionManager *
sqlite_manager_from_uri (const char *uri, GError **error)
{
#ifdef HAVE_SQLITE
  DbSqliteManager *manager = db_sqlite_manager_new_from_uri (uri, error);

  return manager != NULL ? DB_CONNECTION_MANAGER (manager) : NULL;
#else
  set_left_out_error (error, "SQLite", "sqlite");
  return NULL;
#endif
}

static const struct
{
  const char *scheme;
  ManagerFunc make;
} schemes[] = {
  {"postgresql", postgres_manager_from_uri},
  {"postgres", postgres_manager_from_uri},
  {"sqlite", sqlite_manager_from_uri},
};

/* Where the query of @uri begins (its "?"), or NULL. As libpq does it: in front of the first "/" of
 * the authority everything up to "@" is user and password, where "?" is an ordinary character. */
static const char *
find_query (const char *uri)
{
  const char *authority = strstr (uri, "://");
  const char *start = uri;

  if (authority != NULL)
    {
      const char *end = strpbrk (authority + strlen ("://"), "@/");

      if (end != NULL && *end == '@')
        start = end;
    }
  return strchr (start, '?');
}

/* Moves the pool's settings from @uri to @config, and returns what is left of @uri. */
static char *
take_settings (const char *uri, DbPoolConfig *config, GError **error)
{
  const char *query = find_query (uri);
  g_autofree char *rest = NULL;

  if (query == NULL)
    return g_strdup (uri);
  if (!db_pool_config_take_uri_query (config, query + 1, &rest, error))
    return NULL;
  return g_strdup_printf ("%.*s%s%s", (int) (query - uri), uri, rest != NULL ? "?" : "",
                          rest != NULL ? rest : "");
}

/* The function for @uri. Errors name the scheme at most: the rest may hold a password. */
static ManagerFunc
find_scheme (const char *uri, GError **error)
{
  g_autofree char *scheme = g_uri_parse_scheme (uri);

  for (gsize i = 0; scheme != NULL && i < G_N_ELEMENTS (schemes); i++)
    {
      if (g_ascii_strcasecmp (scheme, schemes[i].scheme) == 0)
        return schemes[i].make;
    }
  if (scheme == NULL)
    g_set_error_literal (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                         "the database's URI does not begin with a scheme: write "
                         "“postgresql://user@host/database” or “sqlite:path/of/file”");
  else
    g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                 "unknown scheme “%s” in the database's URI: known are “postgresql:”, “postgres:” "
                 "and “sqlite:”",
                 scheme);
  return NULL;
}

static DbPoolConfig *
copy_config (DbPoolConfig *config)
{
  return config != NULL ? db_pool_config_copy (config) : db_pool_config_new ();
}

static DbPool *
make_pool_from_uri (DbPoolFactory *self, const char *uri, DbPoolConfig *config, GError **error)
{
  g_autoptr (DbPoolConfig) settings = copy_config (config);
  g_autoptr (DbConnectionManager) manager = NULL;

  manager = db_pool_factory_create_manager (self, uri, settings, error);
  return manager != NULL ? db_pool_new (manager, settings, error) : NULL;
}

static DbPool *
make_postgres_pool (DbDatabaseConfig *database, DbPoolConfig *config, GError **error)
{
  g_autoptr (DbPoolConfig) settings = copy_config (config);
  g_autoptr (DbConnectionManager) manager = make_postgres_manager (database, error);

  return manager != NULL ? db_pool_new (manager, settings, error) : NULL;
}

static DbPool *
make_sqlite_pool (const char *path, DbPoolConfig *config, GError **error)
{
  g_autoptr (DbPoolConfig) settings = copy_config (config);
  g_autoptr (DbConnectionManager) manager = make_sqlite_manager (path, error);

  return manager != NULL ? db_pool_new (manager, settings, error) : NULL;
}

/* Takes @pool (NULL with @error set is passed on) and returns it with a session proven. */
static DbPool *
prove (DbPool *pool, GCancellable *cancellable, GError **error)
{
  g_autoptr (DbPool) owned = pool;
  g_autoptr (DbConnection) connection = NULL;

  if (owned == NULL)
    return NULL;
  connection = db_pool_acquire (owned, cancellable, error);
  if (connection == NULL)
    {
      db_pool_close (owned, 0, NULL, NULL);
      return NULL;
    }
  db_connection_release (connection);
  return g_steal_pointer (&owned);
}

/* What a proof that runs keeps: the pool, and while the pool is closed again, why. */
typedef struct
{
  DbPool *pool;
  GError *error;
} Proof;

static void
proof_free (Proof *proof)
{
  g_clear_object (&proof->pool);
  g_clear_error (&proof->error);
  g_free (proof);
}

static void
proof_closed_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Proof *proof = g_task_get_task_data (task);

  db_pool_close_finish (proof->pool, result, NULL);
  g_task_return_error (task, g_steal_pointer (&proof->error));
}

static void
proof_acquired_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Proof *proof = g_task_get_task_data (task);
  g_autoptr (DbConnection) connection = NULL;

  connection = db_pool_acquire_finish (proof->pool, result, &proof->error);
  if (connection == NULL)
    {
      db_pool_close_async (proof->pool, 0, NULL, proof_closed_cb, g_steal_pointer (&task));
      return;
    }
  db_connection_release (connection);
  g_task_return_pointer (task, g_steal_pointer (&proof->pool), g_object_unref);
}

/* Takes @pool, and @error where it is NULL; @task ends with it when a session is proven. */
static void
prove_async (GTask *task, DbPool *pool, GError *error)
{
  g_autoptr (GTask) owned = task;
  Proof *proof;

  if (pool == NULL)
    {
      g_task_return_error (owned, error);
      return;
    }
  proof = g_new0 (Proof, 1);
  proof->pool = pool;
  g_task_set_task_data (owned, proof, (GDestroyNotify) proof_free);
  db_pool_acquire_async (pool, g_task_get_cancellable (owned), proof_acquired_cb,
                         g_object_ref (owned));
}

static GTask *
make_task (DbPoolFactory *self,
           gpointer tag,
           GCancellable *cancellable,
           GAsyncReadyCallback callback,
           gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, tag);
  g_task_set_name (task, "[dbpool] create a pool");
  return task;
}

static DbPool *
create_finish (DbPoolFactory *self, gpointer tag, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_POOL_FACTORY (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, tag), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
db_pool_factory_class_init (DbPoolFactoryClass *klass)
{
}

static void
db_pool_factory_init (DbPoolFactory *self)
{
}

/**
 * db_pool_factory_new:
 *
 * Makes a factory. May be called from any thread and does not block.
 *
 * Returns: (transfer full): a factory
 *
 * Since: 1.0
 */
DbPoolFactory *
db_pool_factory_new (void)
{
  return g_object_new (DB_TYPE_POOL_FACTORY, NULL);
}

/**
 * db_pool_factory_create_manager:
 * @self: a factory
 * @uri: the URI of a database
 * @config: (nullable): a configuration into which the settings of the pool that @uri contains are
 * put
 * @error: return location for an error
 *
 * Makes the manager for a URI, for programs that open sessions themselves or make a pool that opens
 * its first session when it is needed.
 *
 * Fails with `DB_ERROR_CONFIGURATION` for a URI that is malformed, has an unknown scheme or bad
 * settings of the pool, and with `DB_ERROR_NOT_SUPPORTED` for a database that dbpool was built
 * without. May be called from any thread, does not block and opens nothing.
 *
 * Returns: (transfer full): a manager
 *
 * Since: 1.0
 */
DbConnectionManager *
db_pool_factory_create_manager (DbPoolFactory *self,
                                const char *uri,
                                DbPoolConfig *config,
                                GError **error)
{
  g_autoptr (DbPoolConfig) settings = NULL;
  g_autofree char *database_uri = NULL;
  ManagerFunc make;

  g_return_val_if_fail (DB_IS_POOL_FACTORY (self), NULL);
  g_return_val_if_fail (uri != NULL, NULL);
  g_return_val_if_fail (config == NULL || DB_IS_POOL_CONFIG (config), NULL);

  make = find_scheme (uri, error);
  if (make == NULL)
    return NULL;
  settings = config != NULL ? g_object_ref (config) : db_pool_config_new ();
  database_uri = take_settings (uri, settings, error);
  return database_uri != NULL ? make (database_uri, error) : NULL;
}

/**
 * db_pool_factory_create_pool:
 * @self: a factory
 * @uri: the URI of a database: `postgresql://user@host/database` (or `postgres:`), `sqlite:path`
 * @config: (nullable): the settings of the pool; copied
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Makes a pool for the database of a URI and opens its first session.
 *
 * Settings of the pool may stand in the query of @uri, as [class@Db.PoolConfig] says; they win over
 * those of @config.
 *
 * Blocks, for at most [property@Db.PoolConfig:connection-timeout]; may be called from any thread.
 * Fails with `DB_ERROR_CONFIGURATION` for a URI that is malformed or has an unknown scheme or
 * setting, for an unknown database or a missing folder, with `DB_ERROR_AUTHENTICATION` where the
 * server does not accept user or password, with `DB_ERROR_TIMEOUT`, which names the cause, where it
 * cannot be reached in time, and with `DB_ERROR_NOT_SUPPORTED` for a database that dbpool was built
 * without. No text of an error contains the password.
 *
 * Returns: (transfer full): a pool that has opened a session
 *
 * Since: 1.0
 */
DbPool *
db_pool_factory_create_pool (DbPoolFactory *self,
                             const char *uri,
                             DbPoolConfig *config,
                             GCancellable *cancellable,
                             GError **error)
{
  g_return_val_if_fail (DB_IS_POOL_FACTORY (self), NULL);
  g_return_val_if_fail (uri != NULL, NULL);
  g_return_val_if_fail (config == NULL || DB_IS_POOL_CONFIG (config), NULL);

  return prove (make_pool_from_uri (self, uri, config, error), cancellable, error);
}

/**
 * db_pool_factory_create_pool_async:
 * @self: a factory
 * @uri: the URI of a database
 * @config: (nullable): the settings of the pool; copied
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.PoolFactory.create_pool].
 *
 * Since: 1.0
 */
void
db_pool_factory_create_pool_async (DbPoolFactory *self,
                                   const char *uri,
                                   DbPoolConfig *config,
                                   GCancellable *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data)
{
  GError *error = NULL;
  DbPool *pool;

  g_return_if_fail (DB_IS_POOL_FACTORY (self));
  g_return_if_fail (uri != NULL);
  g_return_if_fail (config == NULL || DB_IS_POOL_CONFIG (config));

  pool = make_pool_from_uri (self, uri, config, &error);
  prove_async (make_task (self, db_pool_factory_create_pool_async, cancellable, callback,
                          user_data),
               pool, error);
}

/**
 * db_pool_factory_create_pool_finish:
 * @self: a factory
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Db.PoolFactory.create_pool_async].
 *
 * Returns: (transfer full): a pool that has opened a session
 *
 * Since: 1.0
 */
DbPool *
db_pool_factory_create_pool_finish (DbPoolFactory *self, GAsyncResult *result, GError **error)
{
  return create_finish (self, db_pool_factory_create_pool_async, result, error);
}

/**
 * db_pool_factory_create_postgres_pool:
 * @self: a factory
 * @database: where the database is; not changed any more from now on
 * @config: (nullable): the settings of the pool; copied
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Makes a pool for a PostgreSQL database and opens its first session.
 *
 * Blocks, for at most [property@Db.PoolConfig:connection-timeout]; may be called from any thread.
 * Fails as [method@Db.PoolFactory.create_pool] does.
 *
 * Returns: (transfer full): a pool that has opened a session
 *
 * Since: 1.0
 */
DbPool *
db_pool_factory_create_postgres_pool (DbPoolFactory *self,
                                      DbDatabaseConfig *database,
                                      DbPoolConfig *config,
                                      GCancellable *cancellable,
                                      GError **error)
{
  g_return_val_if_fail (DB_IS_POOL_FACTORY (self), NULL);
  g_return_val_if_fail (DB_IS_DATABASE_CONFIG (database), NULL);
  g_return_val_if_fail (config == NULL || DB_IS_POOL_CONFIG (config), NULL);

  return prove (make_postgres_pool (database, config, error), cancellable, error);
}

/**
 * db_pool_factory_create_postgres_pool_async:
 * @self: a factory
 * @database: where the database is; not changed any more from now on
 * @config: (nullable): the settings of the pool; copied
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.PoolFactory.create_postgres_pool].
 *
 * Since: 1.0
 */
void
db_pool_factory_create_postgres_pool_async (DbPoolFactory *self,
                                            DbDatabaseConfig *database,
                                            DbPoolConfig *config,
                                            GCancellable *cancellable,
                                            GAsyncReadyCallback callback,
                                            gpointer user_data)
{
  GError *error = NULL;
  DbPool *pool;

  g_return_if_fail (DB_IS_POOL_FACTORY (self));
  g_return_if_fail (DB_IS_DATABASE_CONFIG (database));
  g_return_if_fail (config == NULL || DB_IS_POOL_CONFIG (config));

  pool = make_postgres_pool (database, config, &error);
  prove_async (make_task (self, db_pool_factory_create_postgres_pool_async, cancellable, callback,
                          user_data),
               pool, error);
}

/**
 * db_pool_factory_create_postgres_pool_finish:
 * @self: a factory
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Db.PoolFactory.create_postgres_pool_async].
 *
 * Returns: (transfer full): a pool that has opened a session
 *
 * Since: 1.0
 */
DbPool *
db_pool_factory_create_postgres_pool_finish (DbPoolFactory *self,
                                             GAsyncResult *result,
                                             GError **error)
{
  return create_finish (self, db_pool_factory_create_postgres_pool_async, result, error);
}

/**
 * db_pool_factory_create_sqlite_pool:
 * @self: a factory
 * @path: the database file, or `:memory:`
 * @config: (nullable): the settings of the pool; copied
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Makes a pool for an SQLite database and opens its first session. A file that does not exist is
 * created.
 *
 * Blocks, for at most [property@Db.PoolConfig:connection-timeout]; may be called from any thread.
 * Fails as [method@Db.PoolFactory.create_pool] does.
 *
 * Returns: (transfer full): a pool that has opened a session
 *
 * Since: 1.0
 */
DbPool *
db_pool_factory_create_sqlite_pool (DbPoolFactory *self,
                                    const char *path,
                                    DbPoolConfig *config,
                                    GCancellable *cancellable,
                                    GError **error)
{
  g_return_val_if_fail (DB_IS_POOL_FACTORY (self), NULL);
  g_return_val_if_fail (path != NULL, NULL);
  g_return_val_if_fail (config == NULL || DB_IS_POOL_CONFIG (config), NULL);

  return prove (make_sqlite_pool (path, config, error), cancellable, error);
}

/**
 * db_pool_factory_create_sqlite_pool_async:
 * @self: a factory
 * @path: the database file, or `:memory:`
 * @config: (nullable): the settings of the pool; copied
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.PoolFactory.create_sqlite_pool].
 *
 * Since: 1.0
 */
void
db_pool_factory_create_sqlite_pool_async (DbPoolFactory *self,
                                          const char *path,
                                          DbPoolConfig *config,
                                          GCancellable *cancellable,
                                          GAsyncReadyCallback callback,
                                          gpointer user_data)
{
  GError *error = NULL;
  DbPool *pool;

  g_return_if_fail (DB_IS_POOL_FACTORY (self));
  g_return_if_fail (path != NULL);
  g_return_if_fail (config == NULL || DB_IS_POOL_CONFIG (config));

  pool = make_sqlite_pool (path, config, &error);
  prove_async (make_task (self, db_pool_factory_create_sqlite_pool_async, cancellable, callback,
                          user_data),
               pool, error);
}

/**
 * db_pool_factory_create_sqlite_pool_finish:
 * @self: a factory
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Db.PoolFactory.create_sqlite_pool_async].
 *
 * Returns: (transfer full): a pool that has opened a session
 *
 * Since: 1.0
 */
DbPool *
db_pool_factory_create_sqlite_pool_finish (DbPoolFactory *self,
                                           GAsyncResult *result,
                                           GError **error)
{
  return create_finish (self, db_pool_factory_create_sqlite_pool_async, result, error);
}
