/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The GObject surface of a pool: properties, and borrowing from it; no algorithm. The engine does
 * the work, and outlives the pool while sessions are lent or being closed. */

#include "config.h"

#include "db-connection-list-private.h"
#include "db-connection-private.h"
#include "db-error.h"
#include "db-metrics-private.h"
#include "db-pool-config-private.h"
#include "db-pool-private.h"

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
 * A pool is itself a [iface@Db.ConnectionManager]. [method@Db.ConnectionManager.open_session] of it
 * waits for room below `max-connections` and opens a session that the pool does not lend, for a
 * long job or a listener; [method@Db.ConnectionManager.close_session] gives the room back. And a
 * pool that is made with another pool as its manager is a quota: it never takes more than its own
 * maximum of what the other one may have, and gives back what it does not use by its idle timeout.
 *
 * Since: 1.0
 */
typedef enum
{
  PROP_MANAGER = 1,
  PROP_CONFIG,
  PROP_NAME,
  PROP_CONNECTIONS,
} DbPoolProperty;

static GParamSpec *properties[PROP_CONNECTIONS + 1];

G_DEFINE_FINAL_TYPE_WITH_CODE (DbPool,
                               db_pool,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DB_TYPE_CONNECTION_MANAGER,
                                                      db_pool_manager_iface_init))

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
  DbConnectionManager *manager = self->first_manager;
  g_autofree char *name = NULL;

  G_OBJECT_CLASS (db_pool_parent_class)->constructed (object);

  self->config = given != NULL ? db_pool_config_copy (given) : db_pool_config_new ();
  g_clear_object (&given);
  if (manager != NULL)
    db_connection_manager_suggest_config (manager, self->config);
  name = choose_name (self->config);
  self->engine = db_engine_new (manager, self->config, name, self);
  g_clear_object (&self->first_manager);
  g_signal_connect_data (self->config, "notify", G_CALLBACK (config_changed_cb),
                         db_engine_ref (self->engine),
                         (GClosureNotify) (void (*) (void)) db_engine_unref, 0);
}

static void
db_pool_dispose (GObject *object)
{
  DbPool *self = DB_POOL (object);

  g_signal_handlers_disconnect_by_func (self->config, config_changed_cb, self->engine);
  if (!db_engine_is_forked (self->engine))
    db_pool_home_forget_pool (self->engine->home);
  db_pool_core_set_listen_func (self->engine->core, NULL, NULL); /* before the handlers go */
  db_engine_shut_down (self->engine);
  G_OBJECT_CLASS (db_pool_parent_class)->dispose (object);
}

static void
db_pool_finalize (GObject *object)
{
  DbPool *self = DB_POOL (object);

  g_weak_ref_clear (&self->connections);
  g_clear_object (&self->metrics);
  g_clear_pointer (&self->engine, db_engine_unref);
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
      g_value_set_object (value, db_pool_get_manager (self));
      break;
    case PROP_CONFIG:
      g_value_set_object (value, self->config);
      break;
    case PROP_NAME:
      g_value_set_string (value, db_pool_get_name (self));
      break;
    case PROP_CONNECTIONS:
      g_value_take_object (value, db_pool_get_connections (self));
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
      self->first_manager = g_value_dup_object (value);
      break;
    case PROP_CONFIG:
      self->config = g_value_dup_object (value);
      break;
    case PROP_NAME:
    case PROP_CONNECTIONS:
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
   * The manager that opens the sessions; after [method@Db.Pool.reconfigure] the new one, which is
   * not notified.
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

  /**
   * DbPool:connections: (getter get_connections)
   *
   * The sessions of the pool, for a table in a user interface: a list of
   * [class@Db.ConnectionInfo].
   *
   * Since: 1.0
   */
  properties[PROP_CONNECTIONS] = g_param_spec_object ("connections", NULL, NULL, G_TYPE_LIST_MODEL,
                                                      G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
  db_pool_signals_install (object_class);
}

static void
db_pool_init (DbPool *self)
{
  g_weak_ref_init (&self->connections, NULL);
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

  return db_engine_get_manager (self->engine);
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
 * db_pool_get_metrics:
 * @self: a pool
 *
 * Gets the metrics of the pool: its numbers and how long things took, in the formats of Prometheus
 * and OpenMetrics.
 *
 * They are recorded from the beginning, whether anybody asks or not. Who keeps a reference can read
 * them after the pool's end. Does not block.
 *
 * Returns: (transfer none): the collector of the pool, always the same
 *
 * Since: 1.0
 */
DbMetricsCollector *
db_pool_get_metrics (DbPool *self)
{
  DbMetricsCollector *metrics;

  g_return_val_if_fail (DB_IS_POOL (self), NULL);

  metrics = g_atomic_pointer_get (&self->metrics);
  if (metrics != NULL)
    return metrics;
  metrics = db_metrics_collector_new_for_engine (self->engine);
  if (!g_atomic_pointer_compare_and_exchange (&self->metrics, NULL, metrics))
    g_object_unref (metrics); /* another thread was faster */
  return g_atomic_pointer_get (&self->metrics);
}

/**
 * db_pool_get_connections:
 * @self: a pool
 *
 * Gets the sessions of the pool as a list of [class@Db.ConnectionInfo], for a table in a user
 * interface.
 *
 * The list follows the pool, in the main context that was thread-default where the pool was made
 * and at most a hundred times a second, as long as somebody holds it; nobody else pays for it. Use
 * it in that context. Does not block.
 *
 * Returns: (transfer full): a list model
 *
 * Since: 1.0
 */
GListModel *
db_pool_get_connections (DbPool *self)
{
  g_return_val_if_fail (DB_IS_POOL (self), NULL);

  return G_LIST_MODEL (db_connection_list_get (&self->connections, self->engine));
}

/**
 * db_pool_dup_open_error:
 * @self: a pool
 *
 * Gets the error of the last attempt to open a session. Does not block.
 *
 * Returns: (transfer full) (nullable): an error, or %NULL if the last attempt succeeded or there
 * was none
 *
 * Since: 1.0
 */
GError *
db_pool_dup_open_error (DbPool *self)
{
  gboolean permanent;

  g_return_val_if_fail (DB_IS_POOL (self), NULL);

  return db_pool_core_dup_open_error (self->engine->core, &permanent);
}

/**
 * db_pool_dump:
 * @self: a pool
 *
 * Describes the pool for people: its settings and numbers, who waits, and each session with its
 * borrower and its last statement, without any value or secret.
 *
 * May be called from any thread, and never waits for a database or for another caller.
 *
 * Returns: (transfer full): some lines of text
 *
 * Since: 1.0
 */
char *
db_pool_dump (DbPool *self)
{
  g_return_val_if_fail (DB_IS_POOL (self), NULL);

  return db_engine_dump (self->engine);
}

/* Borrowing. */

#define NO_TAG ((DbTag){NULL, TRUE})

static DbConnection *
acquire (DbPool *self,
         DbAcquireFlags flags,
         gint64 timeout,
         DbTag tag,
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

static void
acquire_async (DbPool *self,
               DbAcquireFlags flags,
               gint64 timeout,
               DbTag tag,
               GCancellable *cancellable,
               GAsyncReadyCallback callback,
               gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (timeout >= -1);

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, acquire_async);
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
  return acquire (self, DB_ACQUIRE_NONE, -1, NO_TAG, cancellable, error);
}

/**
 * db_pool_acquire_at: (skip)
 * @self: a pool
 * @place: (nullable): a static text, which becomes the tag of the loan
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * What `db_pool_acquire()` is in C, where a macro gives the place in the source.
 *
 * Returns: (transfer full): a connection
 *
 * Since: 1.0
 */
DbConnection *
db_pool_acquire_at (DbPool *self, const char *place, GCancellable *cancellable, GError **error)
{
  return acquire (self, DB_ACQUIRE_NONE, -1, (DbTag){place, TRUE}, cancellable, error);
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
  acquire_async (self, DB_ACQUIRE_NONE, -1, NO_TAG, cancellable, callback, user_data);
}

/**
 * db_pool_acquire_at_async: (skip)
 * @self: a pool
 * @place: (nullable): a static text, which becomes the tag of the loan
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * What `db_pool_acquire_async()` is in C, where a macro gives the place in the source. It ends with
 * [method@Db.Pool.acquire_finish].
 *
 * Since: 1.0
 */
void
db_pool_acquire_at_async (DbPool *self,
                          const char *place,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  acquire_async (self, DB_ACQUIRE_NONE, -1, (DbTag){place, TRUE}, cancellable, callback, user_data);
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
 * @tag: (nullable): who borrows, for errors, [method@Db.Pool.dump] and the list of connections
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
  return acquire (self, flags, timeout, (DbTag){tag, FALSE}, cancellable, error);
}

/**
 * db_pool_acquire_full_async:
 * @self: a pool
 * @flags: how to borrow
 * @timeout: the time to wait at most, in microseconds; -1 for `connection-timeout`, 0 to take only
 * what is idle, %G_MAXINT64 to wait for ever
 * @tag: (nullable): who borrows, for errors, [method@Db.Pool.dump] and the list of connections
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
  acquire_async (self, flags, timeout, (DbTag){tag, FALSE}, cancellable, callback, user_data);
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
  g_return_val_if_fail (g_async_result_is_tagged (result, acquire_async), NULL);

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
  return acquire (self, DB_ACQUIRE_NONE, 0, NO_TAG, NULL, error);
}

/**
 * db_pool_try_acquire_at: (skip)
 * @self: a pool
 * @place: (nullable): a static text, which becomes the tag of the loan
 * @error: return location for an error
 *
 * What `db_pool_try_acquire()` is in C, where a macro gives the place in the source.
 *
 * Returns: (transfer full): a connection
 *
 * Since: 1.0
 */
DbConnection *
db_pool_try_acquire_at (DbPool *self, const char *place, GError **error)
{
  return acquire (self, DB_ACQUIRE_NONE, 0, (DbTag){place, TRUE}, NULL, error);
}

/**
 * db_pool_give_back: (skip)
 * @self: a pool
 * @connection: (transfer full): a connection that was borrowed from @self
 *
 * Gives a connection back, together with the reference to it. In C that is the end of a loan at its
 * cheapest, about half the price of g_object_unref(): if it was the only one, and nothing was
 * attached to the object, that serves the next loan. So @connection must not be used afterwards, not
 * even to ask whether it was released; who has other references to it calls
 * [method@Db.Connection.release].
 *
 * Does not block. A connection of another pool goes back to that one, with a warning.
 *
 * Since: 1.0
 */
void
db_pool_give_back (DbPool *self, DbConnection *connection)
{
  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (DB_IS_CONNECTION (connection));

  if (db_connection_get_lease (connection)->engine != self->engine)
    db_log (DB_LOG_FACTS (DB_LOG_WRONG_POOL, .limits = self->engine->log_limits,
                          .pool = db_pool_get_name (self)),
            "pool %s: db_pool_give_back() of a connection of pool %s, where it goes",
            db_pool_get_name (self),
            db_engine_get_name (db_connection_get_lease (connection)->engine));
  db_connection_give_back (connection);
}
