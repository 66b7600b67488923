/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The pool's one-shots: one operation on a connection that is borrowed for it. The blocking form
 * borrows a session without a handle; the asynchronous one starts an operation on the connection
 * that it got, and gives that back before anybody is told. */

#include "config.h"

#include "db-connection.h"
#include "db-error-info.h"
#include "db-params.h"
#include "db-pool-private.h"
#include "db-session-private.h"
#include "db-work-private.h"

/* Who borrows, for those who look at the pool. */
#define ONE_SHOT_TAG "a statement of the pool's"

/* A loan without a handle, where nobody can ask for the details of an error. A text that is too
 * long takes no session, which would then be known to have worked. */
static DbResult *
run_now (DbPool *self, DbStatementPlan *plan, GCancellable *cancellable, GError **error)
{
  GError *local_error = NULL;
  DbErrorInfo *info;
  DbResult *result;
  DbLease *lease;
  guint64 id;
  gint64 took;

  if (!db_engine_limit_plan (self->engine, plan, error))
    return NULL;
  lease = db_engine_acquire_one_shot (self->engine, plan->sql, cancellable, error);
  if (lease == NULL)
    return NULL;
  id = lease->id;
  result = db_session_run (lease->session, plan, cancellable, &local_error);
  info = result == NULL ? db_session_steal_error_info (lease->session) : NULL;
  g_clear_pointer (&info, db_error_info_unref);
  took = db_lease_end_one_shot (lease);
  if (db_engine_is_told_of (self->engine, took))
    db_engine_tell_of_statement (self->engine, id, plan, NULL, took, result, local_error);
  if (local_error != NULL)
    g_propagate_error (error, local_error);
  return result;
}

static DbResult *
query_now (DbPool *self,
           const char *sql,
           GVariant *params,
           DbStatementFlags flags,
           GCancellable *cancellable,
           GError **error)
{
  DbParams *converted;
  DbStatementPlan plan = {.sql = sql, .flags = flags};
  DbResult *result;

  if (!db_params_convert (params, &converted, error))
    return NULL;
  plan.params = converted;
  result = run_now (self, &plan, cancellable, error);
  g_clear_pointer (&converted, db_params_free);
  return result;
}

static DbResult *
query_params_now (DbPool *self,
                  const char *sql,
                  DbParams *params,
                  DbStatementFlags flags,
                  GCancellable *cancellable,
                  GError **error)
{
  DbStatementPlan plan = {.sql = sql, .params = params, .flags = flags};

  return run_now (self, &plan, cancellable, error);
}

/* An operation on its way to a connection. */
typedef struct
{
  DbOperation *operation; /* NULL once it has been started */
} DbOneShot;

static void
one_shot_free (gpointer data)
{
  DbOneShot *self = data;

  g_clear_pointer (&self->operation, db_operation_free_unstarted);
  g_free (self);
}

/* Returns the task of the operation, which has ended; its outcome is for the call's own finish. */
static void
done_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;

  db_connection_release (DB_CONNECTION (source));
  g_task_return_pointer (task, g_object_ref (result), g_object_unref);
}

static void
acquired_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GTask *task = user_data;
  DbOneShot *one_shot = g_task_get_task_data (task);
  DbOperation *operation;
  GError *error = NULL;
  g_autoptr (DbConnection) connection = db_pool_acquire_finish (DB_POOL (source), result, &error);
  GTask *inner;

  if (connection == NULL)
    {
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  operation = g_steal_pointer (&one_shot->operation);
  operation->connection = connection;
  inner = g_task_new (connection, g_task_get_cancellable (task), done_cb, task);
  g_task_set_name (inner, "[dbpool] one-shot operation");
  db_operation_start (operation, inner);
}

/* Takes @operation, or @error without one. */
static void
run_later (DbPool *self,
           DbOperation *operation,
           GError *error,
           gpointer tag,
           GCancellable *cancellable,
           GAsyncReadyCallback callback,
           gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);
  DbOneShot *one_shot;

  g_task_set_source_tag (task, tag);
  g_task_set_name (task, "[dbpool] one-shot");
  g_task_set_check_cancellable (task, FALSE);
  if (operation == NULL)
    {
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  one_shot = g_new0 (DbOneShot, 1);
  one_shot->operation = operation;
  g_task_set_task_data (task, one_shot, one_shot_free);
  db_pool_acquire_at_async (self, ONE_SHOT_TAG, cancellable, acquired_cb, task);
}

static void
query_later (DbPool *self,
             const char *sql,
             GVariant *params,
             DbStatementFlags flags,
             gpointer tag,
             GCancellable *cancellable,
             GAsyncReadyCallback callback,
             gpointer user_data)
{
  DbOperation *operation = NULL;
  GError *error = NULL;
  DbParams *converted;

  if (db_params_convert (params, &converted, &error))
    operation = db_operation_new (sql, converted, flags);
  run_later (self, operation, error, tag, cancellable, callback, user_data);
}

static void
query_params_later (DbPool *self,
                    const char *sql,
                    DbParams *params,
                    DbStatementFlags flags,
                    gpointer tag,
                    GCancellable *cancellable,
                    GAsyncReadyCallback callback,
                    gpointer user_data)
{
  DbOperation *operation =
    db_operation_new (sql, params != NULL ? db_params_copy (params) : NULL, flags);

  run_later (self, operation, NULL, tag, cancellable, callback, user_data);
}

/* The task of the operation, which has ended, or NULL with an error. */
static GTask *
finish (DbPool *self, GAsyncResult *result, gpointer tag, GError **error)
{
  g_return_val_if_fail (DB_IS_POOL (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, tag), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

static DbResult *
finish_query (DbPool *self, GAsyncResult *result, gpointer tag, GError **error)
{
  g_autoptr (GTask) inner = finish (self, result, tag, error);

  return inner != NULL ? db_operation_finish (inner, error) : NULL;
}

static gint64
finish_execute (DbPool *self, GAsyncResult *result, gpointer tag, GError **error)
{
  g_autoptr (DbResult) rows = finish_query (self, result, tag, error);

  return db_result_count_changes (rows);
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

  return query_now (self, sql, params, DB_STATEMENT_NONE, cancellable, error);
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
  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (sql != NULL);

  query_later (self, sql, params, DB_STATEMENT_NONE, db_pool_query_async, cancellable, callback,
               user_data);
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
  return finish_query (self, result, db_pool_query_async, error);
}

/**
 * db_pool_execute:
 * @self: a pool
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Borrows a connection, runs one statement on it for its effect and gives it back.
 *
 * Blocks. Fails as [method@Db.Pool.acquire] and [method@Db.Connection.execute] do.
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

  result = query_now (self, sql, params, DB_STATEMENT_NO_ROWS, cancellable, error);
  return db_result_count_changes (result);
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
  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (sql != NULL);

  query_later (self, sql, params, DB_STATEMENT_NO_ROWS, db_pool_execute_async, cancellable,
               callback, user_data);
}

/**
 * db_pool_execute_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.execute_async].
 *
 * Returns: how many rows it changed (0 for a statement that changes none), or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_pool_execute_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  return finish_execute (self, result, db_pool_execute_async, error);
}

/**
 * db_pool_query_params:
 * @self: a pool
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * As [method@Db.Pool.query], with typed parameters. Blocks.
 *
 * @params must not be changed meanwhile.
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_pool_query_params (DbPool *self,
                      const char *sql,
                      DbParams *params,
                      GCancellable *cancellable,
                      GError **error)
{
  g_return_val_if_fail (DB_IS_POOL (self), NULL);
  g_return_val_if_fail (sql != NULL, NULL);

  return query_params_now (self, sql, params, DB_STATEMENT_NONE, cancellable, error);
}

/**
 * db_pool_query_params_async:
 * @self: a pool
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row; copied
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Pool.query_params].
 *
 * Since: 1.0
 */
void
db_pool_query_params_async (DbPool *self,
                            const char *sql,
                            DbParams *params,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (sql != NULL);

  query_params_later (self, sql, params, DB_STATEMENT_NONE, db_pool_query_params_async, cancellable,
                      callback, user_data);
}

/**
 * db_pool_query_params_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.query_params_async].
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_pool_query_params_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  return finish_query (self, result, db_pool_query_params_async, error);
}

/**
 * db_pool_execute_params:
 * @self: a pool
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * As [method@Db.Pool.execute], with typed parameters. Blocks.
 *
 * @params must not be changed meanwhile.
 *
 * Returns: how many rows it changed (0 for a statement that changes none), or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_pool_execute_params (DbPool *self,
                        const char *sql,
                        DbParams *params,
                        GCancellable *cancellable,
                        GError **error)
{
  g_autoptr (DbResult) result = NULL;

  g_return_val_if_fail (DB_IS_POOL (self), -1);
  g_return_val_if_fail (sql != NULL, -1);

  result = query_params_now (self, sql, params, DB_STATEMENT_NO_ROWS, cancellable, error);
  return db_result_count_changes (result);
}

/**
 * db_pool_execute_params_async:
 * @self: a pool
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row; copied
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Pool.execute_params].
 *
 * Since: 1.0
 */
void
db_pool_execute_params_async (DbPool *self,
                              const char *sql,
                              DbParams *params,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (sql != NULL);

  query_params_later (self, sql, params, DB_STATEMENT_NO_ROWS, db_pool_execute_params_async,
                      cancellable, callback, user_data);
}

/**
 * db_pool_execute_params_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.execute_params_async].
 *
 * Returns: how many rows it changed (0 for a statement that changes none), or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_pool_execute_params_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  return finish_execute (self, result, db_pool_execute_params_async, error);
}

/**
 * db_pool_execute_many:
 * @self: a pool
 * @sql: one statement
 * @rows: a table of parameters: the statement is run once for each row
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Borrows a connection, runs a statement on it for many rows of parameters and gives it back.
 *
 * All or nothing, see [method@Db.Connection.execute_many]. Blocks. @rows must not be changed
 * meanwhile.
 *
 * Returns: how many rows of the database were changed, or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_pool_execute_many (DbPool *self,
                      const char *sql,
                      DbParams *rows,
                      GCancellable *cancellable,
                      GError **error)
{
  DbWork work = {0};
  DbStatementPlan plan = {0};
  g_autoptr (DbResult) result = NULL;
  gint64 n;

  g_return_val_if_fail (DB_IS_POOL (self), -1);
  g_return_val_if_fail (sql != NULL, -1);
  g_return_val_if_fail (rows != NULL, -1);

  if (db_work_plan_many (&work, &plan, sql, rows, error))
    result = run_now (self, &plan, cancellable, error);
  n = result != NULL ? work.run.rows_affected : -1;
  db_work_clear (&work);
  return n;
}

/**
 * db_pool_execute_many_async:
 * @self: a pool
 * @sql: one statement
 * @rows: a table of parameters: the statement is run once for each row; copied
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Pool.execute_many].
 *
 * Since: 1.0
 */
void
db_pool_execute_many_async (DbPool *self,
                            const char *sql,
                            DbParams *rows,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  DbOperation *operation;
  GError *error = NULL;

  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (sql != NULL);
  g_return_if_fail (rows != NULL);

  operation = db_operation_new_many (sql, rows, &error);
  run_later (self, operation, error, db_pool_execute_many_async, cancellable, callback, user_data);
}

/**
 * db_pool_execute_many_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.execute_many_async].
 *
 * Returns: how many rows of the database were changed, or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_pool_execute_many_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  g_autoptr (GTask) inner = finish (self, result, db_pool_execute_many_async, error);

  return inner != NULL ? db_operation_finish_many (inner, error) : -1;
}

/**
 * db_pool_run_batch:
 * @self: a pool
 * @batch: the statements
 * @flags: how they are run
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Borrows a connection, runs different statements on it together and gives it back.
 *
 * See [method@Db.Connection.run_batch]. Blocks. @batch must not be changed meanwhile.
 *
 * Returns: (transfer full): the results
 *
 * Since: 1.0
 */
DbBatchResult *
db_pool_run_batch (DbPool *self,
                   DbBatch *batch,
                   DbBatchFlags flags,
                   GCancellable *cancellable,
                   GError **error)
{
  DbWork work = {0};
  DbStatementPlan plan = {0};
  g_autoptr (DbResult) result = NULL;
  DbBatchResult *batch_result;

  g_return_val_if_fail (DB_IS_POOL (self), NULL);
  g_return_val_if_fail (batch != NULL, NULL);

  if (db_work_plan_batch (&work, &plan, batch, flags, error))
    result = run_now (self, &plan, cancellable, error);
  batch_result = result != NULL ? db_work_take_batch_result (&work) : NULL;
  db_work_clear (&work);
  return batch_result;
}

/**
 * db_pool_run_batch_async:
 * @self: a pool
 * @batch: the statements; copied
 * @flags: how they are run
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Pool.run_batch].
 *
 * Since: 1.0
 */
void
db_pool_run_batch_async (DbPool *self,
                         DbBatch *batch,
                         DbBatchFlags flags,
                         GCancellable *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer user_data)
{
  DbOperation *operation;
  GError *error = NULL;

  g_return_if_fail (DB_IS_POOL (self));
  g_return_if_fail (batch != NULL);

  operation = db_operation_new_batch (batch, flags, &error);
  run_later (self, operation, error, db_pool_run_batch_async, cancellable, callback, user_data);
}

/**
 * db_pool_run_batch_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.run_batch_async].
 *
 * Returns: (transfer full): the results
 *
 * Since: 1.0
 */
DbBatchResult *
db_pool_run_batch_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  g_autoptr (GTask) inner = finish (self, result, db_pool_run_batch_async, error);

  return inner != NULL ? db_operation_finish_batch (inner, error) : NULL;
}
