/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The pool's own statements: one statement on a connection that is borrowed for it. */

#include "config.h"

#include "db-connection.h"
#include "db-params.h"
#include "db-pool-private.h"
#include "db-statement-plan-private.h"

/* A loan without a handle. */
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
  lease = db_engine_acquire_one_shot (self->engine, sql, cancellable, error);
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
  db_pool_acquire_at_async (self, "a statement of the pool's", cancellable, one_shot_acquired_cb,
                            task);
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
