/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The statements of a connection: what an application asks becomes an operation (db-operation.c),
 * which knows how to wait for its turn. No state, no lock. */

#include "config.h"

#include "db-connection-private.h"
#include "db-work-private.h"

/* Statements. The blocking form borrows what it is given; the asynchronous one copies it. */

static DbResult *
run_now (DbConnection *self,
         const char *sql,
         DbParams *params,
         DbParams *own_params,
         DbStatementFlags flags,
         GCancellable *cancellable,
         GError **error)
{
  DbOperation operation = {.plan = {.sql = sql,
                                    .params = params != NULL ? params : own_params,
                                    .flags = flags},
                           .own_params = own_params,
                           .connection = self};

  return db_operation_run (&operation, cancellable, error);
}

static void
run_later (DbConnection *self,
           const char *sql,
           DbParams *own_params,
           DbStatementFlags flags,
           GTask *task)
{
  DbOperation *operation = db_operation_new (sql, own_params, flags);

  operation->connection = self;
  db_operation_start (operation, task);
}

gboolean
db_params_convert (GVariant *params, DbParams **converted, GError **error)
{
  *converted = NULL;
  if (params == NULL)
    return TRUE;
  *converted = db_params_new_from_variant (params, error);
  return *converted != NULL;
}

static GTask *
new_task (DbConnection *self,
          gpointer tag,
          const char *name,
          GCancellable *cancellable,
          GAsyncReadyCallback callback,
          gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  /* In this order: a tag without a name makes one. */
  g_task_set_name (task, name);
  g_task_set_source_tag (task, tag);
  return task;
}

static DbResult *
query_now (DbConnection *self,
           const char *sql,
           GVariant *params,
           DbStatementFlags flags,
           GCancellable *cancellable,
           GError **error)
{
  DbParams *converted;

  if (!db_params_convert (params, &converted, error))
    return NULL;
  return run_now (self, sql, NULL, converted, flags, cancellable, error);
}

static void
query_later (DbConnection *self,
             const char *sql,
             GVariant *params,
             DbStatementFlags flags,
             GTask *task)
{
  DbParams *converted;
  GError *error = NULL;

  if (db_params_convert (params, &converted, &error))
    {
      run_later (self, sql, converted, flags, task);
      return;
    }
  g_task_return_error (task, error);
  g_object_unref (task);
}

/**
 * db_connection_query:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs a statement and gets its rows.
 *
 * Blocks. May be called from any thread; fails with `G_IO_ERROR_PENDING` if another operation is in
 * flight. The result is independent of the connection. Errors of the database come as
 * `DB_ERROR_QUERY`, `DB_ERROR_CONSTRAINT` and so on, with its code at the end of the text.
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_connection_query (DbConnection *self,
                     const char *sql,
                     GVariant *params,
                     GCancellable *cancellable,
                     GError **error)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (sql != NULL, NULL);

  return query_now (self, sql, params, DB_STATEMENT_NONE, cancellable, error);
}

/**
 * db_connection_query_async:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.query]. Waits its turn if another operation is in
 * flight.
 *
 * Since: 1.0
 */
void
db_connection_query_async (DbConnection *self,
                           const char *sql,
                           GVariant *params,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  task =
    new_task (self, db_connection_query_async, "[dbpool] query", cancellable, callback, user_data);
  query_later (self, sql, params, DB_STATEMENT_NONE, task);
}

/**
 * db_connection_query_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.query_async].
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_connection_query_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return db_operation_finish (G_TASK (result), error);
}

/**
 * db_connection_execute:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs a statement for its effect.
 *
 * Blocks; otherwise as [method@Db.Connection.query].
 *
 * Returns: how many rows it changed (0 for a statement that changes none), or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_connection_execute (DbConnection *self,
                       const char *sql,
                       GVariant *params,
                       GCancellable *cancellable,
                       GError **error)
{
  g_autoptr (DbResult) result = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION (self), -1);
  g_return_val_if_fail (sql != NULL, -1);

  result = query_now (self, sql, params, DB_STATEMENT_NO_ROWS, cancellable, error);
  return db_result_count_changes (result);
}

/**
 * db_connection_execute_async:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.execute]. Waits its turn if another operation is
 * in flight.
 *
 * Since: 1.0
 */
void
db_connection_execute_async (DbConnection *self,
                             const char *sql,
                             GVariant *params,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  task = new_task (self, db_connection_execute_async, "[dbpool] execute", cancellable, callback,
                   user_data);
  query_later (self, sql, params, DB_STATEMENT_NO_ROWS, task);
}

/**
 * db_connection_execute_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.execute_async].
 *
 * Returns: how many rows it changed, or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_connection_execute_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  g_autoptr (DbResult) rows = db_connection_query_finish (self, result, error);

  return db_result_count_changes (rows);
}

/**
 * db_connection_query_params:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs a statement with typed parameters and gets its rows. As [method@Db.Connection.query].
 *
 * @params must not be changed meanwhile.
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_connection_query_params (DbConnection *self,
                            const char *sql,
                            DbParams *params,
                            GCancellable *cancellable,
                            GError **error)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (sql != NULL, NULL);

  return run_now (self, sql, params, NULL, DB_STATEMENT_NONE, cancellable, error);
}

/**
 * db_connection_query_params_async:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row; copied
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.query_params].
 *
 * Since: 1.0
 */
void
db_connection_query_params_async (DbConnection *self,
                                  const char *sql,
                                  DbParams *params,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  task = new_task (self, db_connection_query_params_async, "[dbpool] query", cancellable, callback,
                   user_data);
  run_later (self, sql, params != NULL ? db_params_copy (params) : NULL, DB_STATEMENT_NONE, task);
}

/**
 * db_connection_query_params_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.query_params_async].
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_connection_query_params_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  return db_connection_query_finish (self, result, error);
}

/**
 * db_connection_execute_params:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs a statement with typed parameters for its effect. As [method@Db.Connection.execute].
 *
 * Returns: how many rows it changed, or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_connection_execute_params (DbConnection *self,
                              const char *sql,
                              DbParams *params,
                              GCancellable *cancellable,
                              GError **error)
{
  g_autoptr (DbResult) result = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION (self), -1);
  g_return_val_if_fail (sql != NULL, -1);

  result = run_now (self, sql, params, NULL, DB_STATEMENT_NO_ROWS, cancellable, error);
  return db_result_count_changes (result);
}

/**
 * db_connection_execute_params_async:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row; copied
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.execute_params].
 *
 * Since: 1.0
 */
void
db_connection_execute_params_async (DbConnection *self,
                                    const char *sql,
                                    DbParams *params,
                                    GCancellable *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  task = new_task (self, db_connection_execute_params_async, "[dbpool] execute", cancellable,
                   callback, user_data);
  run_later (self, sql, params != NULL ? db_params_copy (params) : NULL, DB_STATEMENT_NO_ROWS,
             task);
}

/**
 * db_connection_execute_params_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.execute_params_async].
 *
 * Returns: how many rows it changed, or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_connection_execute_params_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  return db_connection_execute_finish (self, result, error);
}

/**
 * db_connection_execute_script:
 * @self: a connection
 * @sql: any number of statements, without parameters
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs statements one after the other, up to the first that fails.
 *
 * Blocks; otherwise as [method@Db.Connection.query]. What the statements return is dropped.
 *
 * Returns: %TRUE if all succeeded
 *
 * Since: 1.0
 */
gboolean
db_connection_execute_script (DbConnection *self,
                              const char *sql,
                              GCancellable *cancellable,
                              GError **error)
{
  g_autoptr (DbResult) result = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION (self), FALSE);
  g_return_val_if_fail (sql != NULL, FALSE);

  result =
    run_now (self, sql, NULL, NULL, DB_STATEMENT_SCRIPT | DB_STATEMENT_NO_ROWS, cancellable, error);
  return result != NULL;
}

/**
 * db_connection_execute_script_async:
 * @self: a connection
 * @sql: any number of statements, without parameters
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.execute_script].
 *
 * Since: 1.0
 */
void
db_connection_execute_script_async (DbConnection *self,
                                    const char *sql,
                                    GCancellable *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  task = new_task (self, db_connection_execute_script_async, "[dbpool] script", cancellable,
                   callback, user_data);
  run_later (self, sql, NULL, DB_STATEMENT_SCRIPT | DB_STATEMENT_NO_ROWS, task);
}

/**
 * db_connection_execute_script_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.execute_script_async].
 *
 * Returns: %TRUE if all succeeded
 *
 * Since: 1.0
 */
gboolean
db_connection_execute_script_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  g_autoptr (DbResult) rows = db_connection_query_finish (self, result, error);

  return rows != NULL;
}
