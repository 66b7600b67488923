/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the owner of a pool does to it while it runs: hooks, warming up, size, eviction, suspension,
 * another manager, the end. The asynchronous forms block a thread of dbpool's instead of the
 * caller's. */

#include "config.h"

#include "db-pool-private.h"

/* Asynchronous calls. The task is the data of its job, which returns it and drops it. */

static GTask *
new_task (DbPool *self,
          gpointer tag,
          const char *name,
          GCancellable *cancellable,
          GAsyncReadyCallback callback,
          gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, tag);
  g_task_set_name (task, name);
  /* The job says whether it was cancelled; what it has done must not be lost. */
  g_task_set_check_cancellable (task, FALSE);
  return task;
}

/* GTask brings the result to the other thread; these two say so to ThreadSanitizer. */
static void
return_error (GTask *task, GError *error)
{
  DB_TSAN_RELEASE (task);
  g_task_return_error (task, error);
}

static GTask *
arrived (GAsyncResult *result)
{
  DB_TSAN_ACQUIRE (result);
  return G_TASK (result);
}

static void
start_job (GTask *task, DbJobFunc func, gpointer data, GDestroyNotify data_free)
{
  DbPool *self = g_task_get_source_object (task);
  GError *error = NULL;

  if (data != NULL)
    g_task_set_task_data (task, data, data_free);
  if (!db_engine_is_forked (self->engine))
    {
      db_worker_run (func, task);
      return;
    }
  db_engine_set_forked_error (self->engine, &error);
  g_task_return_error (task, error);
  g_object_unref (task);
}

/* Hooks. */

/**
 * db_pool_set_hook:
 * @self: a pool
 * @hook: when to ask
 * @func: (nullable) (scope notified) (closure user_data) (destroy destroy): the function to ask, or
 *   %NULL for none
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, on any thread, when the pool has ended
 *
 * Sets the function that the pool asks at @hook; there is one for each.
 *
 * Hooks are set before the first acquire; later the call warns and does nothing. A factory acquires
 * to make a pool ready, unless it is [property@Db.PoolConfig:lazy]. Hooks are called on the threads
 * of dbpool's that open and lend, by several of them at once, with no lock held; in
 * [method@Db.Pool.try_acquire], which waits for nobody, on the thread of the caller. So a function
 * that takes its time, or never returns, costs callers no more than their deadline.
 *
 * A session that `DB_HOOK_AFTER_CONNECT` or `DB_HOOK_BEFORE_ACQUIRE` rejects is closed, and another
 * one takes its place; new ones that are rejected, and `DB_HOOK_BEFORE_CONNECT` when it fails,
 * count as failed attempts to connect, after each of which the pool waits longer. Callers who wait
 * see the error of the function as the cause of their own; or as their own, if it is final and the
 * pool has no other session. Of `DB_HOOK_BEFORE_ACQUIRE`, `DB_ERROR_CONFIGURATION` and
 * `DB_ERROR_AUTHENTICATION` are final; of the others, what is not transient.
 *
 * `DB_HOOK_BEFORE_CONNECT` is asked once more, at once, if the server refuses the login with what
 * it said: see [method@Db.DatabaseConfig.was_refused].
 *
 * What `DB_HOOK_AFTER_CONNECT` sets up is the state in which the pool keeps the session: the
 * function is asked again after a reset that may have undone it.
 *
 * Not for GJS, whose functions cannot run on other threads.
 *
 * Since: 1.0
 */
void
db_pool_set_hook (DbPool *self,
                  DbHook hook,
                  DbHookFunc func,
                  gpointer user_data,
                  GDestroyNotify destroy)
{
  DbHookEntry entry = {func, user_data, destroy};

  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (hook <= DB_HOOK_BEFORE_ACQUIRE);

  if (db_engine_set_hook (self->engine, hook, &entry))
    return;
  db_log (DB_LOG_FACTS (DB_LOG_HOOK_TOO_LATE, .pool = db_pool_get_name (self)),
          "pool %s: hooks are set before the first acquire, which a factory makes unless the pool "
          "is lazy; this one is ignored",
          db_pool_get_name (self));
  if (destroy != NULL)
    destroy (user_data);
}

/* Warming up. */

/**
 * db_pool_warm_up:
 * @self: a pool
 * @n: how many sessions there should be; at most `max-connections` are opened
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Opens sessions ahead of time.
 *
 * Blocks until there are @n, `connection-timeout` at most. What fails is tried again, unless that
 * cannot help. Sessions above `min-connections` are closed by `idle-timeout`, as always.
 *
 * If fewer than @n are there in the end, [method@Db.Pool.dup_open_error] says why. Fails only if
 * there is none: with the error of the database, `DB_ERROR_TIMEOUT`, `DB_ERROR_SUSPENDED`,
 * `DB_ERROR_CLOSED`, or `G_IO_ERROR_CANCELLED`.
 *
 * Returns: how many sessions there are, lent ones too; 0 with @error set
 *
 * Since: 1.0
 */
guint
db_pool_warm_up (DbPool *self, guint n, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (DB_IS_POOL (self), 0);

  return db_engine_warm_up (self->engine, n, cancellable, error);
}

static void
warm_up_in_job (gpointer data)
{
  g_autoptr (GTask) task = data;
  DbPool *self = g_task_get_source_object (task);
  GError *error = NULL;
  guint n = db_engine_warm_up (self->engine, GPOINTER_TO_UINT (g_task_get_task_data (task)),
                               g_task_get_cancellable (task), &error);

  if (error == NULL)
    g_task_return_int (task, n);
  else
    return_error (task, error);
}

/**
 * db_pool_warm_up_async:
 * @self: a pool
 * @n: how many sessions there should be
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Pool.warm_up].
 *
 * Since: 1.0
 */
void
db_pool_warm_up_async (DbPool *self,
                       guint n,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  g_return_if_fail (DB_IS_POOL (self));

  start_job (new_task (self, db_pool_warm_up_async, "[dbpool] warm up", cancellable, callback,
                       user_data),
             warm_up_in_job, GUINT_TO_POINTER (n), NULL);
}

/**
 * db_pool_warm_up_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.warm_up_async].
 *
 * Returns: how many sessions there are; 0 with @error set
 *
 * Since: 1.0
 */
guint
db_pool_warm_up_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  gssize n;

  g_return_val_if_fail (DB_IS_POOL (self), 0);
  g_return_val_if_fail (g_task_is_valid (result, self), 0);
  g_return_val_if_fail (g_async_result_is_tagged (result, db_pool_warm_up_async), 0);

  n = g_task_propagate_int (arrived (result), error);
  return n > 0 ? (guint) n : 0;
}

/* Size and eviction. */

/**
 * db_pool_resize:
 * @self: a pool
 * @min: the new `min-connections`
 * @max: the new `max-connections`, at least 1 and no less than @min
 *
 * Changes the size of the pool, at once.
 *
 * When it grows, those who wait are served by new sessions. When it shrinks nothing is interrupted:
 * idle sessions that are too many are closed, lent ones when they come back. The same as setting
 * the two properties of [method@Db.Pool.get_config].
 *
 * Does not block, may be called from any thread.
 *
 * Since: 1.0
 */
void
db_pool_resize (DbPool *self, guint min, guint max)
{
  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (max >= 1 && max <= G_MAXINT);
  g_return_if_fail (min <= max);

  /* In between the larger maximum holds, so that nothing is closed that may stay. */
  g_object_freeze_notify (G_OBJECT (self->config));
  g_object_set (self->config, "min-connections", min, "max-connections", max, NULL);
  g_object_thaw_notify (G_OBJECT (self->config));
}

/**
 * db_pool_evict_idle:
 * @self: a pool
 *
 * Closes the sessions that are idle now. Those below `min-connections` are replaced.
 *
 * Does not block, may be called from any thread.
 *
 * Since: 1.0
 */
void
db_pool_evict_idle (DbPool *self)
{
  g_return_if_fail (DB_IS_POOL (self));

  db_engine_evict (self->engine, FALSE);
}

/**
 * db_pool_evict_all:
 * @self: a pool
 *
 * Replaces every session: the idle ones are closed now, and those that are lent, opened, checked or
 * reset when they come back. Nothing is interrupted.
 *
 * Does not block, may be called from any thread.
 *
 * Since: 1.0
 */
void
db_pool_evict_all (DbPool *self)
{
  g_return_if_fail (DB_IS_POOL (self));

  db_engine_evict (self->engine, TRUE);
}

/* Suspension. */

/**
 * db_pool_suspend:
 * @self: a pool
 *
 * Stops lending and opening, for example while a server is moved.
 *
 * What is lent goes on and comes back. Callers queue, and their deadlines hold; those who do not
 * want to wait fail with `DB_ERROR_SUSPENDED`. Suspending again does nothing.
 *
 * Does not block, may be called from any thread.
 *
 * Since: 1.0
 */
void
db_pool_suspend (DbPool *self)
{
  g_return_if_fail (DB_IS_POOL (self));

  db_engine_suspend (self->engine);
}

/**
 * db_pool_resume:
 * @self: a pool
 *
 * Ends a suspension: those who wait are served. Does not block, may be called from any thread.
 *
 * Since: 1.0
 */
void
db_pool_resume (DbPool *self)
{
  g_return_if_fail (DB_IS_POOL (self));

  db_engine_resume (self->engine);
}

/**
 * db_pool_is_suspended:
 * @self: a pool
 *
 * Says whether the pool was suspended. Does not block, may be called from any thread.
 *
 * Returns: %TRUE if it neither lends nor opens
 *
 * Since: 1.0
 */
gboolean
db_pool_is_suspended (DbPool *self)
{
  g_return_val_if_fail (DB_IS_POOL (self), FALSE);

  return db_pool_core_is_suspended (self->engine->core);
}

/* Another manager. */

/**
 * db_pool_reconfigure:
 * @self: a pool
 * @manager: what opens the sessions from now on
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Moves the pool to another database, or to other settings of the same one, while it is used.
 *
 * First a session of the new manager is opened, for which the call waits its turn like an acquire.
 * If that fails, so does this, and nothing has changed. Then idle sessions of the old manager are
 * closed, and lent ones when they come back; `max-connections` holds for both together.
 *
 * Blocks. Fails with the error of the new database, `DB_ERROR_TIMEOUT`, `DB_ERROR_CLOSED` or
 * `G_IO_ERROR_CANCELLED`.
 *
 * Returns: %TRUE if the pool uses the new manager
 *
 * Since: 1.0
 */
gboolean
db_pool_reconfigure (DbPool *self,
                     DbConnectionManager *manager,
                     GCancellable *cancellable,
                     GError **error)
{
  g_return_val_if_fail (DB_IS_POOL (self), FALSE);
  g_return_val_if_fail (DB_IS_CONNECTION_MANAGER (manager), FALSE);
  g_return_val_if_fail (manager != DB_CONNECTION_MANAGER (self), FALSE);

  return db_engine_reconfigure (self->engine, manager, cancellable, error);
}

static void
reconfigure_in_job (gpointer data)
{
  g_autoptr (GTask) task = data;
  DbPool *self = g_task_get_source_object (task);
  GError *error = NULL;

  if (db_engine_reconfigure (self->engine, g_task_get_task_data (task),
                             g_task_get_cancellable (task), &error))
    g_task_return_boolean (task, TRUE);
  else
    return_error (task, error);
}

/**
 * db_pool_reconfigure_async:
 * @self: a pool
 * @manager: what opens the sessions from now on
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Pool.reconfigure].
 *
 * Since: 1.0
 */
void
db_pool_reconfigure_async (DbPool *self,
                           DbConnectionManager *manager,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (DB_IS_CONNECTION_MANAGER (manager));
  g_return_if_fail (manager != DB_CONNECTION_MANAGER (self));

  start_job (new_task (self, db_pool_reconfigure_async, "[dbpool] reconfigure", cancellable,
                       callback, user_data),
             reconfigure_in_job, g_object_ref (manager), g_object_unref);
}

/**
 * db_pool_reconfigure_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.reconfigure_async].
 *
 * Returns: %TRUE if the pool uses the new manager
 *
 * Since: 1.0
 */
gboolean
db_pool_reconfigure_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_POOL (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, db_pool_reconfigure_async), FALSE);

  return g_task_propagate_boolean (arrived (result), error);
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
 * `DB_ERROR_TIMEOUT`, which names who held them; the pool is closed all the same. It also fails so
 * if the database does not let go of a session in time. Closing again waits for what is still under
 * way.
 *
 * Returns: %TRUE if every connection came back in time and every session is closed
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
    return_error (task, error);
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
  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (timeout >= 0);

  db_engine_shut_down (self->engine);
  start_job (new_task (self, db_pool_close_async, "[dbpool] close", cancellable, callback,
                       user_data),
             close_in_job, g_memdup2 (&timeout, sizeof timeout), g_free);
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

  return g_task_propagate_boolean (arrived (result), error);
}
