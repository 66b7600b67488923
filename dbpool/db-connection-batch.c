/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a connection does beyond single statements: many rows, batches, and descriptions. No state,
 * no lock. */

#include "config.h"

#include "db-connection-private.h"
#include "db-work-private.h"

static gboolean
run_now (DbConnection *self, const DbStatementPlan *plan, GCancellable *cancellable, GError **error)
{
  DbOperation operation = {.plan = *plan, .connection = self};
  g_autoptr (DbResult) result = db_operation_run (&operation, cancellable, error);

  return result != NULL;
}

/* Takes @operation, or @error without one. */
static void
run_later (DbConnection *self,
           DbOperation *operation,
           GError *error,
           gpointer tag,
           const char *name,
           GCancellable *cancellable,
           GAsyncReadyCallback callback,
           gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, tag);
  g_task_set_name (task, name);
  if (operation != NULL)
    {
      operation->connection = self;
      db_operation_start (operation, task);
      return;
    }
  g_task_return_error (task, error);
  g_object_unref (task);
}

/**
 * db_connection_execute_many:
 * @self: a connection
 * @sql: one statement
 * @rows: a table of parameters: the statement is run once for each row
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs a statement for many rows of parameters, for its effect.
 *
 * On PostgreSQL the statements are sent without waiting for answers in between, on SQLite they are
 * run in one go; that is many times faster than one by one. It is all or nothing: outside a
 * transaction they are one, inside one they are part of it. The error of a row that failed says
 * which one it was.
 *
 * Blocks; otherwise as [method@Db.Connection.execute]. @rows must not be changed meanwhile.
 *
 * Returns: how many rows of the database were changed, or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_connection_execute_many (DbConnection *self,
                            const char *sql,
                            DbParams *rows,
                            GCancellable *cancellable,
                            GError **error)
{
  DbWork work = {0};
  DbStatementPlan plan = {0};
  gint64 n = -1;

  g_return_val_if_fail (DB_IS_CONNECTION (self), -1);
  g_return_val_if_fail (sql != NULL, -1);
  g_return_val_if_fail (rows != NULL, -1);

  if (db_work_plan_many (&work, &plan, sql, rows, error) &&
      run_now (self, &plan, cancellable, error))
    n = work.run.rows_affected;
  db_work_clear (&work);
  return n;
}

/**
 * db_connection_execute_many_async:
 * @self: a connection
 * @sql: one statement
 * @rows: a table of parameters: the statement is run once for each row; copied
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.execute_many]. Waits its turn if another operation
 * is in flight.
 *
 * Since: 1.0
 */
void
db_connection_execute_many_async (DbConnection *self,
                                  const char *sql,
                                  DbParams *rows,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  DbOperation *operation;
  GError *error = NULL;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);
  g_return_if_fail (rows != NULL);

  operation = db_operation_new_many (sql, rows, &error);
  run_later (self, operation, error, db_connection_execute_many_async, "[dbpool] execute many",
             cancellable, callback, user_data);
}

/**
 * db_connection_execute_many_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.execute_many_async].
 *
 * Returns: how many rows of the database were changed, or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_connection_execute_many_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), -1);
  g_return_val_if_fail (g_task_is_valid (result, self), -1);
  g_return_val_if_fail (g_async_result_is_tagged (result, db_connection_execute_many_async), -1);

  return db_operation_finish_many (G_TASK (result), error);
}

/**
 * db_connection_run_batch:
 * @self: a connection
 * @batch: the statements
 * @flags: how they are run
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs different statements together and gets their results.
 *
 * Without flags it is all or nothing: outside a transaction they are one, inside one they are part
 * of it, and the first error is that of the call. With `DB_BATCH_INDEPENDENT` a statement that
 * fails does not keep the others from lasting, and its error is found with its result; inside a
 * transaction of PostgreSQL, though, all that come after it fail as well.
 *
 * Blocks; otherwise as [method@Db.Connection.query]. @batch must not be changed meanwhile.
 *
 * Returns: (transfer full): the results
 *
 * Since: 1.0
 */
DbBatchResult *
db_connection_run_batch (DbConnection *self,
                         DbBatch *batch,
                         DbBatchFlags flags,
                         GCancellable *cancellable,
                         GError **error)
{
  DbWork work = {0};
  DbStatementPlan plan = {0};
  DbBatchResult *result = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (batch != NULL, NULL);

  if (db_work_plan_batch (&work, &plan, batch, flags, error) &&
      run_now (self, &plan, cancellable, error))
    result = db_work_take_batch_result (&work);
  db_work_clear (&work);
  return result;
}

/**
 * db_connection_run_batch_async:
 * @self: a connection
 * @batch: the statements; copied
 * @flags: how they are run
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.run_batch]. Waits its turn if another operation is
 * in flight.
 *
 * Since: 1.0
 */
void
db_connection_run_batch_async (DbConnection *self,
                               DbBatch *batch,
                               DbBatchFlags flags,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  DbOperation *operation;
  GError *error = NULL;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (batch != NULL);

  operation = db_operation_new_batch (batch, flags, &error);
  run_later (self, operation, error, db_connection_run_batch_async, "[dbpool] batch", cancellable,
             callback, user_data);
}

/**
 * db_connection_run_batch_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.run_batch_async].
 *
 * Returns: (transfer full): the results
 *
 * Since: 1.0
 */
DbBatchResult *
db_connection_run_batch_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, db_connection_run_batch_async), NULL);

  return db_operation_finish_batch (G_TASK (result), error);
}

/**
 * db_connection_describe:
 * @self: a connection
 * @sql: one statement
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Finds out what a statement takes and returns, without running it.
 *
 * Blocks; otherwise as [method@Db.Connection.query]. A statement that is wrong fails here as it
 * would when it is run.
 *
 * Returns: (transfer full): its parameters and columns
 *
 * Since: 1.0
 */
DbDescription *
db_connection_describe (DbConnection *self,
                        const char *sql,
                        GCancellable *cancellable,
                        GError **error)
{
  DbWork work = {0};
  DbStatementPlan plan = {0};
  DbDescription *description = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (sql != NULL, NULL);

  db_work_plan_describe (&work, &plan, sql);
  if (run_now (self, &plan, cancellable, error))
    description = db_work_take_description (&work);
  db_work_clear (&work);
  return description;
}

/**
 * db_connection_describe_async:
 * @self: a connection
 * @sql: one statement
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.describe]. Waits its turn if another operation is
 * in flight.
 *
 * Since: 1.0
 */
void
db_connection_describe_async (DbConnection *self,
                              const char *sql,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  run_later (self, db_operation_new_describe (sql), NULL, db_connection_describe_async,
             "[dbpool] describe", cancellable, callback, user_data);
}

/**
 * db_connection_describe_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.describe_async].
 *
 * Returns: (transfer full): the statement's parameters and columns
 *
 * Since: 1.0
 */
DbDescription *
db_connection_describe_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, db_connection_describe_async), NULL);

  return db_operation_finish_describe (G_TASK (result), error);
}
