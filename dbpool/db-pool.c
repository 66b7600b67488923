/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The GObject surface of a pool: properties and public calls, no algorithm. The engine does the
 * work, and outlives the pool while sessions are lent or being closed. */

#include "config.h"

#include "db-connection-private.h"
#include "db-error.h"
#include "db-params.h"
#include "db-pool-config-private.h"
#include "db-pool-engine-private.h"
#include "db-pool.h"
#include "db-statement-plan-private.h"

/**
 * DbPool:
 *
 * A pool of database sessions.
 *
 * A pool opens sessions when they are wanted, up to `max-connections`, lends them out as
 * [class@Db.Connection], and keeps, checks, resets and closes them. Make one with a
 * [class@Db.PoolFactory], which proves that the database answers, or with [ctor@Db.Pool.new], which
 * does nothing until the first connection is asked for.
 *
 * All methods may be called from any thread. Callers that wait are served in the order in which
 * they came, blocking and asynchronous ones alike.
 *
 * Dropping the last reference closes the pool without waiting: what is idle is closed by dbpool's
 * threads, and connections that are still out keep working until they are released.
 * [method@Db.Pool.close] waits.
 *
 * After a `fork()`, the pool belongs to the parent: in the child every call fails with
 * `DB_ERROR_FORKED`.
 *
 * Since: 1.0
 */
struct _DbPool
{
  GObject parent_instance;

  /* read-only after construction */
  DbConnectionManager *manager;
  DbPoolConfig *config;
  DbEngine *engine;
};

typedef enum
{
  PROP_MANAGER = 1,
  PROP_CONFIG,
  PROP_NAME,
} DbPoolProperty;

static GParamSpec *properties[PROP_NAME + 1];

G_DEFINE_FINAL_TYPE (DbPool, db_pool, G_TYPE_OBJECT)

static char *
choose_name (DbPoolConfig *config)
{
  static int last_number;
  char *name = NULL;

  g_object_get (config, "name", &name, NULL);
  if (name == NULL)
    name = g_strdup_printf ("pool-%d", g_atomic_int_add (&last_number, 1) + 1);
  return name;
}

/* On whatever thread changed the configuration. */
static void
config_changed_cb (DbPoolConfig *config, GParamSpec *pspec, gpointer engine)
{
  db_engine_configure (engine);
}

static void
db_pool_constructed (GObject *object)
{
  DbPool *self = DB_POOL (object);
  DbPoolConfig *given = self->config;
  g_autofree char *name = NULL;

  G_OBJECT_CLASS (db_pool_parent_class)->constructed (object);

  self->config = given != NULL ? db_pool_config_copy (given) : db_pool_config_new ();
  g_clear_object (&given);
  if (self->manager != NULL)
    db_connection_manager_suggest_config (self->manager, self->config);
  name = choose_name (self->config);
  self->engine = db_engine_new (self->manager, self->config, name);
  g_signal_connect_data (self->config, "notify", G_CALLBACK (config_changed_cb),
                         db_engine_ref (self->engine),
                         (GClosureNotify) (void (*) (void)) db_engine_unref, 0);
}

static void
db_pool_dispose (GObject *object)
{
  DbPool *self = DB_POOL (object);

  g_signal_handlers_disconnect_by_func (self->config, config_changed_cb, self->engine);
  db_engine_shut_down (self->engine);
  G_OBJECT_CLASS (db_pool_parent_class)->dispose (object);
}

static void
db_pool_finalize (GObject *object)
{
  DbPool *self = DB_POOL (object);

  g_clear_pointer (&self->engine, db_engine_unref);
  g_clear_object (&self->manager);
  g_clear_object (&self->config);
  G_OBJECT_CLASS (db_pool_parent_class)->finalize (object);
}

static void
db_pool_get_property (GObject *object, guint property_id, GValue *value, GParamSpec *pspec)
{
  DbPool *self = DB_POOL (object);

  switch ((DbPoolProperty) property_id)
    {
    case PROP_MANAGER:
      g_value_set_object (value, self->manager);
      break;
    case PROP_CONFIG:
      g_value_set_object (value, self->config);
      break;
    case PROP_NAME:
      g_value_set_string (value, db_pool_get_name (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
db_pool_set_property (GObject *object, guint property_id, const GValue *value, GParamSpec *pspec)
{
  DbPool *self = DB_POOL (object);

  switch ((DbPoolProperty) property_id)
    {
    case PROP_MANAGER:
      self->manager = g_value_dup_object (value);
      break;
    case PROP_CONFIG:
      self->config = g_value_dup_object (value);
      break;
    case PROP_NAME:
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
db_pool_class_init (DbPoolClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags construct = G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS;

  object_class->constructed = db_pool_constructed;
  object_class->dispose = db_pool_dispose;
  object_class->finalize = db_pool_finalize;
  object_class->get_property = db_pool_get_property;
  object_class->set_property = db_pool_set_property;

  /**
   * DbPool:manager:
   *
   * The manager that opens the sessions.
   *
   * Since: 1.0
   */
  properties[PROP_MANAGER] =
    g_param_spec_object ("manager", NULL, NULL, DB_TYPE_CONNECTION_MANAGER, construct);

  /**
   * DbPool:config:
   *
   * The configuration: a copy of what the pool was made with, or of the defaults. Setting its
   * properties takes effect at once, from any thread.
   *
   * Since: 1.0
   */
  properties[PROP_CONFIG] =
    g_param_spec_object ("config", NULL, NULL, DB_TYPE_POOL_CONFIG, construct);

  /**
   * DbPool:name:
   *
   * The name of the pool in errors and logs: that of the configuration, or one that dbpool made up.
   *
   * Since: 1.0
   */
  properties[PROP_NAME] =
    g_param_spec_string ("name", NULL, NULL, NULL, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
db_pool_init (DbPool *self)
{
}

/**
 * db_pool_new:
 * @manager: what opens the sessions
 * @config: (nullable): the configuration, which is copied; %NULL for the defaults
 * @error: return location for an error
 *
 * Makes a pool, which does no I/O until somebody asks for a connection.
 *
 * Does not block. Fails with `DB_ERROR_CONFIGURATION` if the settings contradict each other.
 *
 * Returns: (transfer full): a pool
 *
 * Since: 1.0
 */
DbPool *
db_pool_new (DbConnectionManager *manager, DbPoolConfig *config, GError **error)
{
  g_return_val_if_fail (DB_IS_CONNECTION_MANAGER (manager), NULL);
  g_return_val_if_fail (config == NULL || DB_IS_POOL_CONFIG (config), NULL);

  if (config != NULL && !db_pool_config_validate (config, error))
    return NULL;
  return g_object_new (DB_TYPE_POOL, "manager", manager, "config", config, NULL);
}

/**
 * db_pool_get_manager:
 * @self: a pool
 *
 * Gets the manager that opens the sessions.
 *
 * Returns: (transfer none): a manager
 *
 * Since: 1.0
 */
DbConnectionManager *
db_pool_get_manager (DbPool *self)
{
  g_return_val_if_fail (DB_IS_POOL (self), NULL);

  return self->manager;
}

/**
 * db_pool_get_config:
 * @self: a pool
 *
 * Gets the configuration of the pool. Setting its properties takes effect at once, from any thread.
 *
 * Returns: (transfer none): a configuration
 *
 * Since: 1.0
 */
DbPoolConfig *
db_pool_get_config (DbPool *self)
{
  g_return_val_if_fail (DB_IS_POOL (self), NULL);

  return self->config;
}

/**
 * db_pool_get_name:
 * @self: a pool
 *
 * Gets the name of the pool in errors and logs.
 *
 * Returns: (transfer none): a name
 *
 * Since: 1.0
 */
const char *
db_pool_get_name (DbPool *self)
{
  g_return_val_if_fail (DB_IS_POOL (self), NULL);

  return db_engine_get_name (self->engine);
}

/**
 * db_pool_is_closed:
 * @self: a pool
 *
 * Says whether the pool was closed. Does not block.
 *
 * Returns: %TRUE if every acquire will fail with `DB_ERROR_CLOSED`
 *
 * Since: 1.0
 */
gboolean
db_pool_is_closed (DbPool *self)
{
  g_return_val_if_fail (DB_IS_POOL (self), TRUE);

  return db_engine_is_closed (self->engine);
}

/**
 * db_pool_get_stats:
 * @self: a pool
 *
 * Gets the numbers of the pool, all of this instant. Does not block.
 *
 * Returns: (transfer full): statistics
 *
 * Since: 1.0
 */
DbPoolStats *
db_pool_get_stats (DbPool *self)
{
  g_return_val_if_fail (DB_IS_POOL (self), NULL);

  return db_engine_get_stats (self->engine);
}

/**
 * db_pool_acquire:
 * @self: a pool
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Borrows a connection.
 *
 * Blocks until one is there, `connection-timeout` at most. Never runs a main loop.
 *
 * Fails with `DB_ERROR_TIMEOUT`, `DB_ERROR_CLOSED`, `DB_ERROR_QUEUE_FULL` or
 * `G_IO_ERROR_CANCELLED`, or with the error of the database if that is final and the pool has no
 * session at all (`DB_ERROR_AUTHENTICATION`, `DB_ERROR_CONFIGURATION`).
 *
 * Returns: (transfer full): a connection
 *
 * Since: 1.0
 */
DbConnection *
db_pool_acquire (DbPool *self, GCancellable *cancellable, GError **error)
{
  return db_pool_acquire_full (self, DB_ACQUIRE_NONE, -1, NULL, cancellable, error);
}

/**
 * db_pool_acquire_async:
 * @self: a pool
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Pool.acquire].
 *
 * If @callback never gets its connection with [method@Db.Pool.acquire_finish], the connection goes
 * back to the pool by itself.
 *
 * Since: 1.0
 */
void
db_pool_acquire_async (DbPool *self,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  db_pool_acquire_full_async (self, DB_ACQUIRE_NONE, -1, NULL, cancellable, callback, user_data);
}

/**
 * db_pool_acquire_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.acquire_async].
 *
 * Returns: (transfer full): a connection
 *
 * Since: 1.0
 */
DbConnection *
db_pool_acquire_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  return db_pool_acquire_full_finish (self, result, error);
}

/**
 * db_pool_acquire_full:
 * @self: a pool
 * @flags: how to borrow
 * @timeout: the time to wait at most, in microseconds; -1 for `connection-timeout`, 0 to take only
 * what is idle, %G_MAXINT64 to wait for ever
 * @tag: (nullable): who borrows, for error texts
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Borrows a connection, with all the choices there are. Otherwise as [method@Db.Pool.acquire].
 *
 * With a @timeout of 0 it does not wait, and fails with `DB_ERROR_EXHAUSTED`.
 *
 * Returns: (transfer full): a connection
 *
 * Since: 1.0
 */
DbConnection *
db_pool_acquire_full (DbPool *self,
                      DbAcquireFlags flags,
                      gint64 timeout,
                      const char *tag,
                      GCancellable *cancellable,
                      GError **error)
{
  DbLease *lease;
  guint64 loan = 0;

  g_return_val_if_fail (DB_IS_POOL (self), NULL);
  g_return_val_if_fail (timeout >= -1, NULL);

  lease = db_engine_acquire (self->engine, flags, timeout, tag, cancellable, &loan, error);
  return lease != NULL ? db_connection_new (lease, loan) : NULL;
}

/* In the context of the caller. */
static void
acquired_cb (DbLease *lease, guint64 loan, GError *error, gpointer data)
{
  g_autoptr (GTask) task = data;

  if (lease != NULL)
    g_task_return_pointer (task, db_connection_new (lease, loan), g_object_unref);
  else
    g_task_return_error (task, error);
}

/**
 * db_pool_acquire_full_async:
 * @self: a pool
 * @flags: how to borrow
 * @timeout: the time to wait at most, in microseconds; -1 for `connection-timeout`, 0 to take only
 * what is idle, %G_MAXINT64 to wait for ever
 * @tag: (nullable): who borrows, for error texts
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Pool.acquire_full].
 *
 * The deadline holds until @callback is called: a main context that does not run in time loses what
 * it was granted to those who wait.
 *
 * Since: 1.0
 */
void
db_pool_acquire_full_async (DbPool *self,
                            DbAcquireFlags flags,
                            gint64 timeout,
                            const char *tag,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (timeout >= -1);

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, db_pool_acquire_full_async);
  g_task_set_name (task, "[dbpool] acquire");
  if (db_engine_is_forked (self->engine))
    {
      GError *error = NULL;

      db_engine_set_forked_error (self->engine, &error);
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  db_engine_acquire_async (self->engine, flags, timeout, tag, cancellable, acquired_cb, task);
}

/**
 * db_pool_acquire_full_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.acquire_full_async].
 *
 * Returns: (transfer full): a connection
 *
 * Since: 1.0
 */
DbConnection *
db_pool_acquire_full_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_POOL (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, db_pool_acquire_full_async), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * db_pool_try_acquire:
 * @self: a pool
 * @error: return location for an error
 *
 * Borrows a connection if one is idle. Never blocks.
 *
 * Fails with `DB_ERROR_EXHAUSTED` if none is; the pool then opens one, if it may, for the next
 * caller.
 *
 * Returns: (transfer full): a connection
 *
 * Since: 1.0
 */
DbConnection *
db_pool_try_acquire (DbPool *self, GError **error)
{
  return db_pool_acquire_full (self, DB_ACQUIRE_NONE, 0, NULL, NULL, error);
}

/* One-shot statements: a loan without a handle. */

static DbResult *
run_one_shot (DbPool *self,
              const char *sql,
              GVariant *params,
              DbStatementFlags flags,
              GCancellable *cancellable,
              GError **error)
{
  g_autoptr (DbParams) converted = NULL;
  DbStatementPlan plan = {sql, NULL, flags, 0};
  DbLease *lease;
  DbResult *result;

  if (params != NULL)
    {
      converted = db_params_new_from_variant (params, error);
      if (converted == NULL)
        return NULL;
    }
  plan.params = converted;
  lease = db_engine_acquire_one_shot (self->engine, cancellable, error);
  if (lease == NULL)
    return NULL;
  result = db_session_run (lease->session, &plan, cancellable, error);
  db_lease_end_one_shot (lease);
  return result;
}

/**
 * db_pool_query:
 * @self: a pool
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Borrows a connection, runs one statement on it and gives it back.
 *
 * Blocks. Fails as [method@Db.Pool.acquire] and [method@Db.Connection.query] do.
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_pool_query (DbPool *self,
               const char *sql,
               GVariant *params,
               GCancellable *cancellable,
               GError **error)
{
  g_return_val_if_fail (DB_IS_POOL (self), NULL);
  g_return_val_if_fail (sql != NULL, NULL);

  return run_one_shot (self, sql, params, DB_STATEMENT_NONE, cancellable, error);
}

static void
one_shot_queried_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  DbConnection *connection = DB_CONNECTION (source);
  GError *error = NULL;
  DbResult *rows = db_connection_query_finish (connection, result, &error);

  db_connection_release (connection);
  if (rows != NULL)
    g_task_return_pointer (task, rows, g_object_unref);
  else
    g_task_return_error (task, error);
}

static void
one_shot_acquired_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GTask *task = user_data;
  DbStatementPlan *plan = g_task_get_task_data (task);
  GError *error = NULL;
  g_autoptr (DbConnection) connection = db_pool_acquire_finish (DB_POOL (source), result, &error);

  if (connection == NULL)
    {
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  db_connection_query_params_async (connection, plan->sql, plan->params,
                                    g_task_get_cancellable (task), one_shot_queried_cb, task);
}

/**
 * db_pool_query_async:
 * @self: a pool
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Pool.query].
 *
 * Since: 1.0
 */
void
db_pool_query_async (DbPool *self,
                     const char *sql,
                     GVariant *params,
                     GCancellable *cancellable,
                     GAsyncReadyCallback callback,
                     gpointer user_data)
{
  g_autoptr (DbParams) converted = NULL;
  GError *error = NULL;
  GTask *task;

  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (sql != NULL);

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, db_pool_query_async);
  g_task_set_name (task, "[dbpool] one-shot query");
  g_task_set_check_cancellable (task, FALSE);
  if (params != NULL)
    converted = db_params_new_from_variant (params, &error);
  if (error != NULL)
    {
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  g_task_set_task_data (task, db_statement_plan_new (sql, converted, DB_STATEMENT_NONE),
                        (GDestroyNotify) db_statement_plan_free);
  db_pool_acquire_async (self, cancellable, one_shot_acquired_cb, task);
}

/**
 * db_pool_query_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.query_async].
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_pool_query_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_POOL (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, db_pool_query_async), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

static gint64
count_rows (DbResult *result)
{
  return result != NULL ? MAX (db_result_get_rows_affected (result), 0) : -1;
}

/**
 * db_pool_execute:
 * @self: a pool
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Borrows a connection, runs one statement on it for its effect and gives it back. Blocks.
 *
 * Returns: how many rows it changed (0 for a statement that changes none), or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_pool_execute (DbPool *self,
                 const char *sql,
                 GVariant *params,
                 GCancellable *cancellable,
                 GError **error)
{
  g_autoptr (DbResult) result = NULL;

  g_return_val_if_fail (DB_IS_POOL (self), -1);
  g_return_val_if_fail (sql != NULL, -1);

  result = run_one_shot (self, sql, params, DB_STATEMENT_NO_ROWS, cancellable, error);
  return count_rows (result);
}

/**
 * db_pool_execute_async:
 * @self: a pool
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Pool.execute].
 *
 * Since: 1.0
 */
void
db_pool_execute_async (DbPool *self,
                       const char *sql,
                       GVariant *params,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  db_pool_query_async (self, sql, params, cancellable, callback, user_data);
}

/**
 * db_pool_execute_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.execute_async].
 *
 * Returns: how many rows it changed, or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_pool_execute_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  g_autoptr (DbResult) rows = db_pool_query_finish (self, result, error);

  return count_rows (rows);
}

/* Closing. */

/**
 * db_pool_close:
 * @self: a pool
 * @timeout: how long connections that are out may take to come back, in microseconds; %G_MAXINT64
 * for ever
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Closes the pool: from now on nobody can acquire, and who waits fails with `DB_ERROR_CLOSED`.
 *
 * Blocks until all sessions are closed. When @timeout has passed, the queries of connections that
 * are still out are cancelled and those connections become inert, and it fails with
 * `DB_ERROR_TIMEOUT`, which names who held them; the pool is closed all the same. Closing again
 * waits for what is still under way.
 *
 * Returns: %TRUE if every connection came back in time
 *
 * Since: 1.0
 */
gboolean
db_pool_close (DbPool *self, gint64 timeout, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (DB_IS_POOL (self), FALSE);
  g_return_val_if_fail (timeout >= 0, FALSE);

  return db_engine_close (self->engine, timeout, cancellable, error);
}

/* Runs on a thread of dbpool's. */
static void
close_in_job (gpointer data)
{
  g_autoptr (GTask) task = data;
  DbPool *self = g_task_get_source_object (task);
  gint64 *timeout = g_task_get_task_data (task);
  GError *error = NULL;

  if (db_engine_close (self->engine, *timeout, g_task_get_cancellable (task), &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/**
 * db_pool_close_async:
 * @self: a pool
 * @timeout: how long connections that are out may take to come back, in microseconds; %G_MAXINT64
 * for ever
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Pool.close]. The pool is closed when this returns.
 *
 * Since: 1.0
 */
void
db_pool_close_async (DbPool *self,
                     gint64 timeout,
                     GCancellable *cancellable,
                     GAsyncReadyCallback callback,
                     gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (timeout >= 0);

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, db_pool_close_async);
  g_task_set_name (task, "[dbpool] close");
  g_task_set_task_data (task, g_memdup2 (&timeout, sizeof timeout), g_free);
  db_engine_shut_down (self->engine);
  db_worker_run (close_in_job, task);
}

/**
 * db_pool_close_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.close_async].
 *
 * Returns: %TRUE if every connection came back in time
 *
 * Since: 1.0
 */
gboolean
db_pool_close_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_POOL (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, db_pool_close_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
