/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Makes pools that are ready: the manager for a URI or a configuration, a pool over it, and one
 * session proven by borrowing it, so that a wrong password is an error here and not at the first
 * query. Parsing what a URI says about the database is the managers' business; what it says about
 * the pool is taken out of it here. A factory has no state but the schemes that were registered: a
 * lock guards their table, and is not held while one of their functions runs. */

#include "config.h"

#include "db-pool-factory.h"

#include "db-error.h"
#include "db-database-config-private.h"
#include "db-lock-private.h"
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
 * password, or the file could be opened. With [property@Db.PoolConfig:lazy] it has attempted
 * nothing.
 *
 * The schemes of URIs that a factory knows are `postgresql`, `postgres` and `sqlite`, and those
 * that are added by [method@Db.PoolFactory.register].
 *
 * A factory may be used from any thread and for any number of pools; these do not need it once they
 * are made.
 *
 * Since: 1.0
 */

struct _DbPoolFactory
{
  GObject parent_instance;

  DbLock lock;

  /* guarded by lock */
  GHashTable *registered; /* char * (a scheme in small letters) to Registration, both owned */
};

G_DEFINE_FINAL_TYPE (DbPoolFactory, db_pool_factory, G_TYPE_OBJECT)

/* What was registered for a scheme; an atomic rc box, so that it outlives its factory where its
 * function runs. */
typedef struct
{
  DbManagerFunc func;
  gpointer user_data;
  GDestroyNotify destroy;
} Registration;

static void
registration_clear (gpointer data)
{
  Registration *registration = data;

  if (registration->destroy != NULL)
    registration->destroy (registration->user_data);
}

static void
registration_release (gpointer data)
{
  g_atomic_rc_box_release_full (data, registration_clear);
}

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
postgres_manager_from_uri (const char *uri, gpointer user_data, GError **error)
{
  g_autoptr (DbDatabaseConfig) database = db_database_config_new_from_uri (uri, error);

  return database != NULL ? make_postgres_manager (database, error) : NULL;
}

static DbConnectionManager *
sqlite_manager_from_uri (const char *uri, gpointer user_data, GError **error)
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
  DbManagerFunc make;
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

/* The schemes that are dbpool's own. */
static DbManagerFunc
find_own (const char *scheme)
{
  for (gsize i = 0; i < G_N_ELEMENTS (schemes); i++)
    if (strcmp (scheme, schemes[i].scheme) == 0)
      return schemes[i].make;
  return NULL;
}

/* A reference on what @scheme was registered with, or NULL. */
static Registration *
find_registered (DbPoolFactory *self, const char *scheme)
{
  DB_LOCK_SCOPE (&self->lock);
  Registration *found = g_hash_table_lookup (self->registered, scheme);

  return found != NULL ? g_atomic_rc_box_acquire (found) : NULL;
}

/* "postgresql:, postgres:, sqlite:", and what was registered. */
static char *
list_schemes (DbPoolFactory *self)
{
  GString *text = g_string_new (NULL);
  DB_LOCK_SCOPE (&self->lock);
  g_autoptr (GList) registered = g_hash_table_get_keys (self->registered);

  for (gsize i = 0; i < G_N_ELEMENTS (schemes); i++)
    g_string_append_printf (text, "%s“%s:”", i > 0 ? ", " : "", schemes[i].scheme);
  registered = g_list_sort (registered, (GCompareFunc) strcmp);
  for (GList *l = registered; l != NULL; l = l->next)
    g_string_append_printf (text, ", “%s:”", (const char *) l->data);
  return g_string_free (text, FALSE);
}

/* A function that others wrote may return anything. */
static DbConnectionManager *
make_registered (Registration *registration, const char *scheme, const char *uri, GError **error)
{
  g_autoptr (GError) problem = NULL;
  DbConnectionManager *manager = registration->func (uri, registration->user_data, &problem);

  if (manager != NULL && problem == NULL && DB_IS_CONNECTION_MANAGER (manager))
    return manager;
  if (problem != NULL)
    g_propagate_error (error, g_steal_pointer (&problem));
  else
    g_set_error (error, DB_ERROR, DB_ERROR_FAILED,
                 manager == NULL
                   ? "the function that is registered for the scheme “%s” failed without an error"
                   : "the function that is registered for the scheme “%s” returned no manager",
                 scheme);
  if (manager != NULL && G_IS_OBJECT (manager))
    g_object_unref (manager);
  return NULL;
}

/* The manager for @uri, from which the pool's settings have been taken. Errors name the scheme at
 * most: the rest may hold a password. */
static DbConnectionManager *
make_manager (DbPoolFactory *self, const char *scheme, const char *uri, GError **error)
{
  DbManagerFunc own = find_own (scheme);
  Registration *registration = own == NULL ? find_registered (self, scheme) : NULL;
  DbConnectionManager *manager = NULL;

  if (own != NULL)
    manager = own (uri, NULL, error);
  else if (registration != NULL)
    manager = make_registered (registration, scheme, uri, error);
  g_clear_pointer (&registration, registration_release);
  return manager;
}

/* The scheme of @uri in small letters, if it is known; else NULL with @error. */
static char *
check_scheme (DbPoolFactory *self, const char *uri, GError **error)
{
  g_autofree char *written = g_uri_parse_scheme (uri);
  g_autofree char *scheme = written != NULL ? g_ascii_strdown (written, -1) : NULL;
  g_autofree char *known = NULL;
  gboolean found;

  if (scheme == NULL)
    {
      g_set_error_literal (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                           "the database's URI does not begin with a scheme: write "
                           "“postgresql://user@host/database” or “sqlite:path/of/file”");
      return NULL;
    }
  db_lock_lock (&self->lock);
  found = find_own (scheme) != NULL || g_hash_table_contains (self->registered, scheme);
  db_lock_unlock (&self->lock);
  if (found)
    return g_steal_pointer (&scheme);
  known = list_schemes (self);
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
               "unknown scheme “%s” in the database's URI: known are %s", written, known);
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
  g_autoptr (DbConnectionManager) manager = NULL;

  if (!db_database_config_apply_pool_options (database, settings, error))
    return NULL;
  manager = make_postgres_manager (database, error);
  return manager != NULL ? db_pool_new (manager, settings, error) : NULL;
}

static DbPool *
make_sqlite_pool (const char *path, DbPoolConfig *config, GError **error)
{
  g_autoptr (DbPoolConfig) settings = copy_config (config);
  g_autoptr (DbConnectionManager) manager = make_sqlite_manager (path, error);

  return manager != NULL ? db_pool_new (manager, settings, error) : NULL;
}

static gboolean
is_lazy (DbPool *pool)
{
  DbPoolSettings settings;

  db_pool_config_get_settings (db_pool_get_config (pool), &settings);
  return settings.lazy;
}

/* Who asks for a pool wants to know what is wrong with the database, and not that the pool has
 * tried until the time was over. Takes @error, and returns one. */
static GError *
find_cause (DbPool *pool, GError *error)
{
  g_autoptr (GError) cause = NULL;

  if (g_error_matches (error, DB_ERROR, DB_ERROR_TIMEOUT))
    cause = db_pool_dup_open_error (pool);
  if (cause == NULL)
    return error;
  g_error_free (error);
  g_prefix_error (&cause,
                  "pool %s: no session within its connection-timeout: ", db_pool_get_name (pool));
  return g_steal_pointer (&cause);
}

/* Takes @pool (NULL with @error set is passed on) and returns it with a session proven, unless it
 * is lazy. If none can be had the pool is dropped, not closed: libpq cannot be interrupted while it
 * connects, and nobody waits for that when time is up. */
static DbPool *
prove (DbPool *pool, GCancellable *cancellable, GError **error)
{
  g_autoptr (DbPool) owned = pool;
  g_autoptr (DbConnection) connection = NULL;
  GError *local_error = NULL;

  if (owned == NULL || g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  if (is_lazy (owned))
    return g_steal_pointer (&owned);
  connection = db_pool_acquire (owned, cancellable, &local_error);
  if (connection == NULL)
    {
      g_propagate_error (error, find_cause (owned, local_error));
      return NULL;
    }
  db_connection_release (connection);
  return g_steal_pointer (&owned);
}

static void
proof_acquired_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  g_autoptr (DbConnection) connection = NULL;
  GError *error = NULL;

  connection = db_pool_acquire_finish (DB_POOL (source), result, &error);
  if (connection == NULL)
    {
      g_task_return_error (task, find_cause (DB_POOL (source), error));
      return;
    }
  db_connection_release (connection);
  g_task_return_pointer (task, g_object_ref (source), g_object_unref);
}

/* Takes @pool, and @error where it is NULL; @task ends with it when a session is proven. */
static void
prove_async (GTask *task, DbPool *pool, GError *error)
{
  g_autoptr (GTask) owned = task;

  if (pool == NULL)
    {
      g_task_return_error (owned, error);
      return;
    }
  if (is_lazy (pool))
    {
      g_task_return_pointer (owned, pool, g_object_unref);
      return;
    }
  /* the call keeps it meanwhile */
  db_pool_acquire_async (pool, g_task_get_cancellable (owned), proof_acquired_cb,
                         g_object_ref (owned));
  g_object_unref (pool);
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
db_pool_factory_finalize (GObject *object)
{
  DbPoolFactory *self = DB_POOL_FACTORY (object);

  g_hash_table_unref (self->registered);
  db_lock_clear (&self->lock);

  G_OBJECT_CLASS (db_pool_factory_parent_class)->finalize (object);
}

static void
db_pool_factory_class_init (DbPoolFactoryClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = db_pool_factory_finalize;
}

static void
db_pool_factory_init (DbPoolFactory *self)
{
  db_lock_init (&self->lock);
  self->registered = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, registration_release);
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

/* NULL when @scheme can be registered, or why not; the lock is held. */
static char *
find_objection_locked (DbPoolFactory *self, const char *scheme)
{
  gsize length = strspn (scheme, G_CSET_a_2_z G_CSET_DIGITS "+-.");

  if (!g_ascii_islower (scheme[0]) || scheme[length] != '\0')
    return g_strdup ("a scheme is a letter and then letters, digits, “+”, “-” and “.”");
  if (find_own (scheme) != NULL)
    return g_strdup ("it is one of dbpool's own");
  if (g_hash_table_contains (self->registered, scheme))
    return g_strdup ("that has been done already");
  return NULL;
}

/**
 * db_pool_factory_register:
 * @self: a factory
 * @scheme: the scheme of the URIs, for example `"mydb"`; letters may be small or capital
 * @func: (scope notified) (closure user_data) (destroy destroy): makes the manager for a URI
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data when the factory is gone, or at once where this fails
 * @error: return location for an error
 *
 * Lets the factory make pools for URIs of another scheme, with a manager of one's own.
 *
 * The settings of the pool in the query of such a URI are heeded as in others, and not shown to
 * @func. Fails with `DB_ERROR_CONFIGURATION` for what is no scheme, for dbpool's own and for one
 * that is registered already. May be called from any thread and does not block.
 *
 * Returns: %TRUE if the scheme was registered
 *
 * Since: 1.0
 */
gboolean
db_pool_factory_register (DbPoolFactory *self,
                          const char *scheme,
                          DbManagerFunc func,
                          gpointer user_data,
                          GDestroyNotify destroy,
                          GError **error)
{
  g_autofree char *lower = NULL;
  g_autofree char *objection = NULL;
  Registration *registration;

  g_return_val_if_fail (DB_IS_POOL_FACTORY (self), FALSE);
  g_return_val_if_fail (scheme != NULL, FALSE);
  g_return_val_if_fail (func != NULL, FALSE);

  registration = g_atomic_rc_box_new0 (Registration);
  *registration = (Registration){func, user_data, destroy};
  lower = g_ascii_strdown (scheme, -1);
  db_lock_lock (&self->lock);
  objection = find_objection_locked (self, lower);
  if (objection == NULL)
    g_hash_table_insert (self->registered, g_strdup (lower), g_steal_pointer (&registration));
  db_lock_unlock (&self->lock);
  if (objection == NULL)
    return TRUE;

  registration_release (registration);
  g_clear_pointer (&lower, g_free);
  lower = g_utf8_make_valid (scheme, -1);
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "the scheme “%s” cannot be registered: %s",
               lower, objection);
  return FALSE;
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
 * Fails with `DB_ERROR_CONFIGURATION` for a URI that is malformed or has an unknown scheme or
 * setting, for an unknown database or a missing folder, with `DB_ERROR_AUTHENTICATION` where the
 * server does not accept user or password, with `DB_ERROR_CONNECTION` where it cannot be reached in
 * time, with `DB_ERROR_TIMEOUT` where it has not said anything by then, and with
 * `DB_ERROR_NOT_SUPPORTED` for a database that dbpool was built without. No text of an error
 * contains the password.
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
  g_autofree char *scheme = NULL;
  g_autofree char *database_uri = NULL;

  g_return_val_if_fail (DB_IS_POOL_FACTORY (self), NULL);
  g_return_val_if_fail (uri != NULL, NULL);
  g_return_val_if_fail (config == NULL || DB_IS_POOL_CONFIG (config), NULL);

  scheme = check_scheme (self, uri, error);
  if (scheme == NULL)
    return NULL;
  settings = config != NULL ? g_object_ref (config) : db_pool_config_new ();
  database_uri = take_settings (uri, settings, error);
  return database_uri != NULL ? make_manager (self, scheme, database_uri, error) : NULL;
}

/**
 * db_pool_factory_create_pool:
 * @self: a factory
 * @uri: the URI of a database: `postgresql://user@host/database` (or `postgres:`), `sqlite:path`,
 *   or with a scheme that is registered
 * @config: (nullable): the settings of the pool; copied
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Makes a pool for the database of a URI and opens its first session, unless
 * [property@Db.PoolConfig:lazy] is set.
 *
 * Settings of the pool may stand in the query of @uri, as [class@Db.PoolConfig] says; they win over
 * those of @config.
 *
 * Blocks, for at most [property@Db.PoolConfig:connection-timeout]; may be called from any thread.
 * Fails with `DB_ERROR_CONFIGURATION` for a URI that is malformed or has an unknown scheme or
 * setting, for an unknown database or a missing folder, with `DB_ERROR_AUTHENTICATION` where the
 * server does not accept user or password, with `DB_ERROR_CONNECTION` where it cannot be
 * reached in time, with `DB_ERROR_TIMEOUT` where it has not said anything by then, and with
 * `DB_ERROR_NOT_SUPPORTED` for a database that dbpool was built without. No text of an error
 * contains the password.
 *
 * Returns: (transfer full): a pool that is ready
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
 * Returns: (transfer full): a pool that is ready
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
 * Makes a pool for a PostgreSQL database and opens its first session, unless
 * [property@Db.PoolConfig:lazy] is set.
 *
 * Settings of the pool that came with @database, in the query of its URI, win over those of
 * @config.
 *
 * Blocks, for at most [property@Db.PoolConfig:connection-timeout]; may be called from any thread.
 * Fails as [method@Db.PoolFactory.create_pool] does.
 *
 * Returns: (transfer full): a pool that is ready
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
 * Returns: (transfer full): a pool that is ready
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
 * Makes a pool for an SQLite database and opens its first session, unless
 * [property@Db.PoolConfig:lazy] is set. A file that does not exist is created.
 *
 * Blocks, for at most [property@Db.PoolConfig:connection-timeout]; may be called from any thread.
 * Fails as [method@Db.PoolFactory.create_pool] does.
 *
 * Returns: (transfer full): a pool that is ready
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
 * Returns: (transfer full): a pool that is ready
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
