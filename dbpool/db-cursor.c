/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Cursors. Where the database has them in SQL, a cursor is declared in the open transaction, or in
 * one that is begun for it, and read with FETCH; other statements may run in between. Else the
 * session gives the rows bit by bit as a stream. Either way the cursor is opened, read and closed
 * by operations of its connection, one at a time; what is not marked is used by whoever has the
 * connection's turn, and by dispose, when no operation is left.
 *
 * A cursor ends with its last row, with an error, with close(), with its last reference, and with
 * the transaction in which it was opened; and it ends once. What then is left to do (CLOSE, the end
 * of the stream, the COMMIT of a transaction of its own) is handed to the connection, which does it
 * in front of its next operation, or right behind this one. */

#include "config.h"

#include "db-cursor.h"

#include "db-connection-private.h"
#include "db-error-info-private.h"
#include "db-error.h"
#include "db-operation-private.h"
#include "db-result-private.h"
#include "db-session-private.h"

#include <string.h>

/**
 * DbCursor:
 *
 * The rows of a statement, read bit by bit, see [method@Db.Connection.open_cursor].
 *
 * Only as many rows as are asked for at a time are in memory, however many there are. Other
 * statements may be run on the connection between two fetches.
 *
 * On PostgreSQL a cursor lives in a transaction: the open one, or, where there is none, one that is
 * begun for it and committed when the cursor has been read to its end or closed; what is run on the
 * connection meanwhile is part of that transaction, which a statement that fails takes back: its
 * error says so, and the cursor has ended. A statement that cannot be declared as a cursor
 * (an INSERT that returns rows, EXPLAIN, SHOW) is read row by row: until that has ended, other
 * operations on the connection fail with `G_IO_ERROR_PENDING`. On SQLite no transaction is needed;
 * one that another connection commits between two fetches is not seen by the cursor.
 *
 * A cursor ends with the transaction in which it was opened. It may be dropped at any time: what is
 * left to do goes in front of the connection's next statement, or is done when the connection is
 * returned.
 *
 * Since: 1.0
 */
struct _DbCursor
{
  GObject parent_instance;

  /* read-only after construction */
  DbConnection *connection;
  guint batch_size;

  char *statement; /* its beginning, for the log */
  gboolean opened;
  gboolean declared; /* in SQL, as @name */
  gboolean own;      /* in a transaction that is begun for it */
  guint n_before;    /* how many characters the declaration has in front of the statement */
  char *name;
  DbStream *stream;  /* else */
  DbErrorInfo *info; /* of the error with which its opening failed, for the finish */
  guint64 serial;    /* of the transaction that it was opened in; 0: none */
  int ended;         /* atomic */
  int done;          /* atomic: its rows have all been read, and then it has ended */
};

G_DEFINE_FINAL_TYPE (DbCursor, db_cursor, G_TYPE_OBJECT)

/* Hands over what is left to do. */
static void
end (DbCursor *self)
{
  if (!g_atomic_int_compare_and_exchange (&self->ended, FALSE, TRUE))
    return;
  if (self->opened)
    db_connection_leave_cursor (self->connection, self->serial,
                                self->declared ? g_steal_pointer (&self->name) : NULL,
                                g_steal_pointer (&self->stream));
}

static void
db_cursor_dispose (GObject *object)
{
  DbCursor *self = DB_CURSOR (object);

  if (self->connection != NULL)
    end (self);
  g_clear_pointer (&self->stream, db_stream_free);
  g_clear_pointer (&self->name, g_free);
  g_clear_pointer (&self->statement, g_free);
  g_clear_pointer (&self->info, db_error_info_unref);
  g_clear_object (&self->connection);
  G_OBJECT_CLASS (db_cursor_parent_class)->dispose (object);
}

static void
db_cursor_class_init (DbCursorClass *klass)
{
  G_OBJECT_CLASS (klass)->dispose = db_cursor_dispose;
}

static void
db_cursor_init (DbCursor *self)
{
}

static DbCursor *
cursor_new (DbConnection *connection, guint batch_size)
{
  DbCursor *self = g_object_new (DB_TYPE_CURSOR, NULL);

  self->connection = g_object_ref (connection);
  self->batch_size = batch_size;
  return self;
}

/* Opening. */

static gboolean
prepare_open (DbOperation *operation, DbSession *session, GError **error)
{
  DbCursor *self = operation->subject;
  DbSessionState state = db_session_get_state (session);
  g_autofree char *name = g_strdup_printf ("dbpool_cursor_%" G_GUINT64_FORMAT,
                                           db_connection_next_serial (self->connection));
  char *declare = db_session_format_declare (session, name, operation->plan.sql);

  self->statement = g_strndup (operation->plan.sql, DB_LAST_STATEMENT_SIZE);
  if (declare == NULL)
    {
      self->stream = g_new0 (DbStream, 1);
      operation->plan.request = DB_REQUEST_OPEN;
      operation->plan.stream = self->stream;
      return TRUE;
    }
  self->declared = TRUE;
  self->own = state == DB_SESSION_IDLE;
  self->name = g_steal_pointer (&name);
  if (g_str_has_suffix (declare, operation->plan.sql))
    self->n_before = (guint) (strlen (declare) - strlen (operation->plan.sql));
  g_free (operation->own_sql);
  operation->own_sql = declare;
  operation->plan.sql = declare;
  operation->plan.flags = DB_STATEMENT_NO_ROWS | DB_STATEMENT_UNCACHED;
  if (self->own)
    operation->before_sql = "BEGIN";
  return TRUE;
}

/* The position of an error is one in the statement as the caller wrote it. */
static void
correct_position (DbCursor *self, DbSession *session)
{
  DbErrorInfo *info = db_session_steal_error_info (session);

  if (info == NULL)
    return;
  if (info->position > self->n_before)
    info->position -= self->n_before;
  db_session_take_error_info (session, info);
}

static void
complete_open (DbOperation *operation, DbSession *session, GError **error)
{
  DbCursor *self = operation->subject;

  if (*error != NULL)
    correct_position (self, session);
  /* The transaction is there even if the cursor is not. */
  if (*error == NULL || self->own)
    {
      self->serial = db_connection_enter_cursor (self->connection, self->own);
      self->opened = TRUE;
    }
  if (*error != NULL)
    {
      g_clear_pointer (&self->name, g_free);
      end (self);
    }
}

static void
init_open (DbOperation *operation, DbCursor *self)
{
  operation->connection = self->connection;
  operation->subject = g_object_ref (self);
  operation->subject_free = g_object_unref;
  operation->prepare = prepare_open;
  operation->complete = complete_open;
}

static gboolean
check_batch_size (guint batch_size, GError **error)
{
  if (batch_size > 0)
    return TRUE;
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                       "a cursor fetches at least one row at a time: the batch size is 0");
  return FALSE;
}

static DbCursor *
open_now (DbConnection *connection,
          const char *sql,
          DbParams *params,
          DbParams *own_params,
          guint batch_size,
          GCancellable *cancellable,
          GError **error)
{
  g_autoptr (DbCursor) self = cursor_new (connection, batch_size);
  DbOperation operation = {0};
  g_autoptr (DbResult) result = NULL;

  operation.plan.sql = sql;
  operation.plan.params = params != NULL ? params : own_params;
  operation.own_params = own_params;
  init_open (&operation, self);
  result = db_operation_run (&operation, cancellable, error);
  return result != NULL ? g_steal_pointer (&self) : NULL;
}

/**
 * db_connection_open_cursor:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @batch_size: how many rows [method@Db.Cursor.fetch] gets at a time, at least 1
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Begins to run a statement whose rows are then read bit by bit.
 *
 * Blocks; otherwise as [method@Db.Connection.query]. A thousand rows at a time are usually as fast
 * as all at once.
 *
 * Returns: (transfer full): a cursor before the first row
 *
 * Since: 1.0
 */
DbCursor *
db_connection_open_cursor (DbConnection *self,
                           const char *sql,
                           GVariant *params,
                           guint batch_size,
                           GCancellable *cancellable,
                           GError **error)
{
  DbParams *converted;

  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (sql != NULL, NULL);

  if (!check_batch_size (batch_size, error) || !db_params_convert (params, &converted, error))
    return NULL;
  return open_now (self, sql, NULL, converted, batch_size, cancellable, error);
}

/**
 * db_connection_open_cursor_params:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row
 * @batch_size: how many rows [method@Db.Cursor.fetch] gets at a time, at least 1
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * As [method@Db.Connection.open_cursor], with typed parameters.
 *
 * Returns: (transfer full): a cursor before the first row
 *
 * Since: 1.0
 */
DbCursor *
db_connection_open_cursor_params (DbConnection *self,
                                  const char *sql,
                                  DbParams *params,
                                  guint batch_size,
                                  GCancellable *cancellable,
                                  GError **error)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (sql != NULL, NULL);

  if (!check_batch_size (batch_size, error))
    return NULL;
  return open_now (self, sql, params, NULL, batch_size, cancellable, error);
}

static void
opened_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  DbCursor *self = g_task_get_task_data (task);
  GError *error = NULL;
  g_autoptr (DbResult) opened = db_operation_finish (G_TASK (result), &error);

  if (opened != NULL)
    {
      g_task_return_pointer (task, g_object_ref (self), g_object_unref);
      return;
    }
  self->info = db_connection_get_last_error_info (self->connection);
  g_task_return_error (task, error);
}

/* Takes @task and @params. */
static void
open_later (DbConnection *connection,
            const char *sql,
            DbParams *params,
            guint batch_size,
            GTask *task)
{
  DbCursor *self = cursor_new (connection, batch_size);
  DbOperation *operation = g_new0 (DbOperation, 1);
  GTask *inner = g_task_new (connection, g_task_get_cancellable (task), opened_cb, task);

  g_task_set_name (inner, "[dbpool] declare a cursor");
  g_task_set_check_cancellable (task, FALSE);
  g_task_set_task_data (task, self, g_object_unref);
  operation->own_sql = g_strdup (sql);
  operation->own_params = params;
  operation->plan.sql = operation->own_sql;
  operation->plan.params = params;
  init_open (operation, self);
  db_operation_start (operation, inner);
}

static void
open_async (DbConnection *self,
            const char *sql,
            DbParams *params,
            guint batch_size,
            GError *error,
            gpointer tag,
            GCancellable *cancellable,
            GAsyncReadyCallback callback,
            gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, tag);
  g_task_set_name (task, "[dbpool] open a cursor");
  if (error == NULL && check_batch_size (batch_size, &error))
    {
      open_later (self, sql, params, batch_size, task);
      return;
    }
  g_clear_pointer (&params, db_params_free);
  g_task_return_error (task, error);
  g_object_unref (task);
}

/**
 * db_connection_open_cursor_async:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @batch_size: how many rows [method@Db.Cursor.fetch] gets at a time, at least 1
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.open_cursor]. Waits its turn if another operation
 * is in flight.
 *
 * Since: 1.0
 */
void
db_connection_open_cursor_async (DbConnection *self,
                                 const char *sql,
                                 GVariant *params,
                                 guint batch_size,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data)
{
  DbParams *converted;
  GError *error = NULL;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  db_params_convert (params, &converted, &error);
  open_async (self, sql, converted, batch_size, error, db_connection_open_cursor_async, cancellable,
              callback, user_data);
}

/**
 * db_connection_open_cursor_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.open_cursor_async].
 *
 * Returns: (transfer full): a cursor before the first row
 *
 * Since: 1.0
 */
DbCursor *
db_connection_open_cursor_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  DbCursor *failed;

  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  failed = g_task_get_task_data (G_TASK (result));
  db_connection_set_error_info (self, failed != NULL ? failed->info : NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * db_connection_open_cursor_params_async:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row; copied
 * @batch_size: how many rows [method@Db.Cursor.fetch] gets at a time, at least 1
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.open_cursor_params].
 *
 * Since: 1.0
 */
void
db_connection_open_cursor_params_async (DbConnection *self,
                                        const char *sql,
                                        DbParams *params,
                                        guint batch_size,
                                        GCancellable *cancellable,
                                        GAsyncReadyCallback callback,
                                        gpointer user_data)
{
  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  open_async (self, sql, params != NULL ? db_params_copy (params) : NULL, batch_size, NULL,
              db_connection_open_cursor_params_async, cancellable, callback, user_data);
}

/**
 * db_connection_open_cursor_params_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.open_cursor_params_async].
 *
 * Returns: (transfer full): a cursor before the first row
 *
 * Since: 1.0
 */
DbCursor *
db_connection_open_cursor_params_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  return db_connection_open_cursor_finish (self, result, error);
}

/* Reading. */

/* Whether the cursor can be read; the session is at hand. */
static gboolean
check_readable (DbCursor *self, DbSession *session, GError **error)
{
  if (g_atomic_int_get (&self->ended))
    g_set_error_literal (error, DB_ERROR, DB_ERROR_QUERY,
                         "the cursor has ended, because it was closed or a fetch failed: open "
                         "another one");
  else if (self->serial != 0 &&
           (db_connection_find_transaction (self->connection, self->serial) < 0 ||
            db_session_get_state (session) == DB_SESSION_IDLE))
    g_set_error_literal (error, DB_ERROR, DB_ERROR_QUERY,
                         "the cursor ended with the transaction in which it was opened: read it "
                         "before the end of that");
  else
    return TRUE;
  return FALSE;
}

static gboolean
prepare_fetch (DbOperation *operation, DbSession *session, GError **error)
{
  DbCursor *self = operation->subject;

  operation->about = self->statement;
  if (g_atomic_int_get (&self->done))
    {
      operation->skips_plan = TRUE;
      operation->result = db_result_new_without_rows (-1, -1);
      return TRUE;
    }
  if (!check_readable (self, session, error))
    {
      end (self);
      return FALSE;
    }
  if (!self->declared)
    {
      operation->plan.request = DB_REQUEST_FETCH;
      operation->plan.stream = self->stream;
      operation->plan.n_rows = self->batch_size;
      return TRUE;
    }
  operation->own_sql = g_strdup_printf ("FETCH FORWARD %u FROM %s", self->batch_size, self->name);
  operation->plan.sql = operation->own_sql;
  operation->plan.flags = DB_STATEMENT_UNCACHED;
  return TRUE;
}

static void
complete_fetch (DbOperation *operation, DbSession *session, GError **error)
{
  DbCursor *self = operation->subject;
  gboolean is_last;

  if (operation->skips_plan)
    return;
  is_last =
    *error != NULL || (self->declared ? db_result_get_n_rows (operation->result) < self->batch_size
                                      : self->stream->done);
  if (is_last && *error == NULL)
    g_atomic_int_set (&self->done, TRUE);
  if (is_last)
    end (self);
}

static gboolean
prepare_close (DbOperation *operation, DbSession *session, GError **error)
{
  end (operation->subject);
  operation->skips_plan = TRUE;
  operation->result = db_result_new_without_rows (-1, -1);
  return TRUE;
}

static void
init_read (DbOperation *operation, DbCursor *self, gboolean fetch)
{
  operation->connection = self->connection;
  operation->subject = g_object_ref (self);
  operation->subject_free = g_object_unref;
  operation->prepare = fetch ? prepare_fetch : prepare_close;
  operation->complete = fetch ? complete_fetch : NULL;
}

static DbResult *
read_now (DbCursor *self, gboolean fetch, GCancellable *cancellable, GError **error)
{
  DbOperation operation = {0};

  init_read (&operation, self, fetch);
  return db_operation_run (&operation, cancellable, error);
}

static void
read_later (DbCursor *self, gboolean fetch, GTask *task)
{
  DbOperation *operation = g_new0 (DbOperation, 1);

  init_read (operation, self, fetch);
  db_operation_start (operation, task);
}

/**
 * db_cursor_get_connection:
 * @self: a cursor
 *
 * Gets the connection that the cursor is open on.
 *
 * Returns: (transfer none): a connection
 *
 * Since: 1.0
 */
DbConnection *
db_cursor_get_connection (DbCursor *self)
{
  g_return_val_if_fail (DB_IS_CURSOR (self), NULL);

  return self->connection;
}

/**
 * db_cursor_get_batch_size:
 * @self: a cursor
 *
 * Gets how many rows a fetch gets at most.
 *
 * Returns: a count
 *
 * Since: 1.0
 */
guint
db_cursor_get_batch_size (DbCursor *self)
{
  g_return_val_if_fail (DB_IS_CURSOR (self), 0);

  return self->batch_size;
}

/**
 * db_cursor_is_done:
 * @self: a cursor
 *
 * Says whether the cursor has no more rows to give: all were read, or it was closed, or a fetch
 * failed. May be called from any thread and does not block.
 *
 * Returns: %TRUE if so; %FALSE is no promise of another row
 *
 * Since: 1.0
 */
gboolean
db_cursor_is_done (DbCursor *self)
{
  g_return_val_if_fail (DB_IS_CURSOR (self), TRUE);

  return g_atomic_int_get (&self->ended);
}

/**
 * db_cursor_fetch:
 * @self: a cursor
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Gets the next rows.
 *
 * Blocks; otherwise as [method@Db.Connection.query]. A fetch that fails, also because it was
 * cancelled, ends the cursor.
 *
 * Returns: (transfer full): as many rows as the batch size says, or fewer at the end; after the
 * last row a result without rows
 *
 * Since: 1.0
 */
DbResult *
db_cursor_fetch (DbCursor *self, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (DB_IS_CURSOR (self), NULL);

  return read_now (self, TRUE, cancellable, error);
}

/**
 * db_cursor_fetch_async:
 * @self: a cursor
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Cursor.fetch]. Waits its turn if another operation is in
 * flight.
 *
 * Since: 1.0
 */
void
db_cursor_fetch_async (DbCursor *self,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_CURSOR (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, db_cursor_fetch_async);
  g_task_set_name (task, "[dbpool] fetch");
  read_later (self, TRUE, task);
}

/**
 * db_cursor_fetch_finish:
 * @self: a cursor
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Cursor.fetch_async].
 *
 * Returns: (transfer full): the next rows
 *
 * Since: 1.0
 */
DbResult *
db_cursor_fetch_finish (DbCursor *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_CURSOR (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return db_operation_finish (G_TASK (result), error);
}

/**
 * db_cursor_close:
 * @self: a cursor
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Ends the cursor, with whatever rows are left, and the transaction that was begun for it.
 *
 * Blocks. Need not be called: a cursor that was read to its end has ended, and one that is dropped
 * ends with the connection's next operation. Fails if a transaction of the cursor's own cannot be
 * committed, and with `DB_ERROR_RELEASED` if the connection was given back. Closing again does
 * nothing.
 *
 * Returns: %TRUE if it has ended well
 *
 * Since: 1.0
 */
gboolean
db_cursor_close (DbCursor *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (DbResult) result = NULL;

  g_return_val_if_fail (DB_IS_CURSOR (self), FALSE);

  if (g_atomic_int_get (&self->ended))
    return TRUE;
  result = read_now (self, FALSE, cancellable, error);
  return result != NULL;
}

/**
 * db_cursor_close_async:
 * @self: a cursor
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Cursor.close].
 *
 * Since: 1.0
 */
void
db_cursor_close_async (DbCursor *self,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_CURSOR (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, db_cursor_close_async);
  g_task_set_name (task, "[dbpool] close a cursor");
  if (g_atomic_int_get (&self->ended))
    {
      g_task_return_pointer (task, db_result_new_without_rows (-1, -1), g_object_unref);
      g_object_unref (task);
      return;
    }
  read_later (self, FALSE, task);
}

/**
 * db_cursor_close_finish:
 * @self: a cursor
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Cursor.close_async].
 *
 * Returns: %TRUE if it has ended well
 *
 * Since: 1.0
 */
gboolean
db_cursor_close_finish (DbCursor *self, GAsyncResult *result, GError **error)
{
  g_autoptr (DbResult) rows = db_cursor_fetch_finish (self, result, error);

  return rows != NULL;
}
