/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Transactions and savepoints. A guard is a connection and a serial number; which transactions are
 * open is known by the connection. What is sent is SQL text, and whether the database is in a
 * transaction is read from the session's protocol. */

#include "config.h"

#include "db-connection-private.h"
#include "db-error.h"
#include "db-operation-private.h"
#include "db-transaction-private.h"

/**
 * DbTransaction:
 *
 * A transaction that is open on a [class@Db.Connection].
 *
 * It is begun with [method@Db.Connection.begin] and ended with [method@Db.Transaction.commit] or
 * [method@Db.Transaction.rollback]. A transaction that is begun inside another one is a savepoint.
 * Dropping the last reference to an open one takes its work back, without blocking: the ROLLBACK
 * goes in front of the connection's next statement, or is done when the connection is returned.
 * One that is begun while a cursor of PostgreSQL's has begun a transaction for itself is a
 * savepoint in that, and lasts when the cursor has ended.
 *
 * It holds a reference to its connection, which so stays on loan until it is released explicitly or
 * the transaction is dropped as well.
 *
 * Since: 1.0
 */
struct _DbTransaction
{
  GObject parent_instance;

  DbConnection *connection;
  guint64 serial;
  gboolean owns; /* the connection is given back when it ends */
};

G_DEFINE_FINAL_TYPE (DbTransaction, db_transaction, G_TYPE_OBJECT)

static void
db_transaction_dispose (GObject *object)
{
  DbTransaction *self = DB_TRANSACTION (object);

  if (self->connection != NULL)
    db_connection_abandon_transaction (self->connection, self->serial);
  if (self->connection != NULL && self->owns)
    db_connection_release (self->connection);
  g_clear_object (&self->connection);
  G_OBJECT_CLASS (db_transaction_parent_class)->dispose (object);
}

static void
db_transaction_class_init (DbTransactionClass *klass)
{
  G_OBJECT_CLASS (klass)->dispose = db_transaction_dispose;
}

static void
db_transaction_init (DbTransaction *self)
{
}

static DbTransaction *
transaction_new (DbConnection *connection, guint64 serial)
{
  DbTransaction *self = g_object_new (DB_TYPE_TRANSACTION, NULL);

  self->connection = g_object_ref (connection);
  self->serial = serial;
  return self;
}

void
db_transaction_own_connection (DbTransaction *self)
{
  self->owns = TRUE;
}

/* It has ended. The connection goes when the operation, which has it now, is over. */
static void
give_back (DbTransaction *self)
{
  if (self->owns)
    db_connection_release (self->connection);
}

/* Begin. */

static gboolean
prepare_begin (DbOperation *operation, DbSession *session, GError **error)
{
  guint depth = db_connection_get_depth (operation->connection);

  /* What is open in our books may have been ended by a statement of the application's. */
  if (depth > 0 && db_session_get_state (session) == DB_SESSION_IDLE)
    {
      db_connection_pop_transactions (operation->connection, 0);
      depth = 0;
    }
  operation->own_sql = depth == 0 ? db_session_format_begin (session, operation->isolation,
                                                             operation->transaction_flags)
                                  : g_strdup_printf ("SAVEPOINT dbpool_%u", depth);
  operation->plan.sql = operation->own_sql;
  return TRUE;
}

static void
complete_begin (DbOperation *operation, DbSession *session, GError **error)
{
  if (*error == NULL)
    operation->serial = db_connection_push_transaction (operation->connection);
}

static void
init_begin (DbOperation *operation,
            DbConnection *connection,
            DbIsolation isolation,
            DbTransactionFlags flags)
{
  operation->connection = connection;
  operation->plan.flags = DB_STATEMENT_NO_ROWS;
  operation->prepare = prepare_begin;
  operation->complete = complete_begin;
  operation->isolation = isolation;
  operation->transaction_flags = flags;
}

/* It may have begun, and something else failed after it. */
static DbTransaction *
end_begin (DbOperation *operation, DbConnection *connection, DbResult *result)
{
  if (result != NULL)
    return transaction_new (connection, operation->serial);
  if (operation->serial != 0)
    db_connection_abandon_transaction (connection, operation->serial);
  return NULL;
}

/**
 * db_connection_begin:
 * @self: a connection
 * @isolation: how far it is kept apart from others
 * @flags: how to begin
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Begins a transaction, or a savepoint if one is open already (then @isolation and @flags do not
 * matter).
 *
 * On SQLite a transaction that may write takes the write lock now, so that it cannot fail for want
 * of it later; see [flags@Db.TransactionFlags] for the other ways. Blocks.
 *
 * Returns: (transfer full): the transaction
 *
 * Since: 1.0
 */
DbTransaction *
db_connection_begin (DbConnection *self,
                     DbIsolation isolation,
                     DbTransactionFlags flags,
                     GCancellable *cancellable,
                     GError **error)
{
  DbOperation operation = {0};
  g_autoptr (DbResult) result = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);

  init_begin (&operation, self, isolation, flags);
  result = db_operation_run (&operation, cancellable, error);
  return end_begin (&operation, self, result);
}

/**
 * db_connection_begin_async:
 * @self: a connection
 * @isolation: how far it is kept apart from others
 * @flags: how to begin
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.begin].
 *
 * Since: 1.0
 */
void
db_connection_begin_async (DbConnection *self,
                           DbIsolation isolation,
                           DbTransactionFlags flags,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  DbOperation *operation;
  GTask *task;

  g_return_if_fail (DB_IS_CONNECTION (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, db_connection_begin_async);
  g_task_set_name (task, "[dbpool] begin");
  operation = g_new0 (DbOperation, 1);
  init_begin (operation, self, isolation, flags);
  db_operation_start (operation, task);
}

/**
 * db_connection_begin_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.begin_async].
 *
 * Returns: (transfer full): the transaction
 *
 * Since: 1.0
 */
DbTransaction *
db_connection_begin_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  g_autoptr (DbResult) rows = NULL;
  DbOperation *operation;

  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  operation = g_task_get_task_data (G_TASK (result));
  rows = db_operation_finish (G_TASK (result), error);
  return end_begin (operation, self, rows);
}

/* Commit and rollback. */

/* The depth at which the transaction stands, or -1 with an error if it is not open any more. */
static int
find_open (DbOperation *operation, DbSession *session, GError **error)
{
  int depth = db_connection_find_transaction (operation->connection, operation->serial);

  if (depth >= 0 && db_session_get_state (session) != DB_SESSION_IDLE)
    return depth;
  if (depth >= 0)
    db_connection_pop_transactions (operation->connection, 0);
  g_set_error_literal (error, DB_ERROR, DB_ERROR_QUERY,
                       "the transaction has ended already (or was rolled back by the database)");
  give_back (operation->subject);
  return -1;
}

/* PostgreSQL answers COMMIT of a failed transaction with a quiet ROLLBACK: that must not pass for
 * success, so it is asked for openly, and complete_commit() says so. */
static gboolean
prepare_commit (DbOperation *operation, DbSession *session, GError **error)
{
  int depth = find_open (operation, session, error);

  if (depth < 0)
    return FALSE;
  if ((guint) depth + 1 < db_connection_get_depth (operation->connection))
    {
      g_set_error_literal (
        error, DB_ERROR, DB_ERROR_QUERY,
        "a transaction inside this one is still open: commit or roll that back first");
      return FALSE;
    }
  operation->rolls_back = db_session_get_state (session) == DB_SESSION_FAILED_TRANSACTION;
  if (operation->rolls_back)
    operation->own_sql = db_connection_format_rollback ((guint) depth);
  else
    operation->own_sql =
      depth == 0 ? g_strdup ("COMMIT") : g_strdup_printf ("RELEASE SAVEPOINT dbpool_%d", depth);
  operation->plan.sql = operation->own_sql;
  operation->plan.flags =
    DB_STATEMENT_NO_ROWS | (operation->rolls_back ? DB_STATEMENT_SCRIPT : DB_STATEMENT_NONE);
  return TRUE;
}

/* A commit may fail and leave the transaction open (SQLite: a lock): then it can be tried again. */
static void
complete_end (DbOperation *operation, DbSession *session, GError **error)
{
  DbTransaction *self = operation->subject;
  int depth = db_connection_find_transaction (self->connection, self->serial);

  if (depth >= 0 && (*error == NULL || db_session_get_state (session) == DB_SESSION_IDLE))
    {
      db_connection_pop_transactions (self->connection, (guint) depth);
      depth = -1;
    }
  if (depth < 0)
    give_back (self);
}

static void
complete_commit (DbOperation *operation, DbSession *session, GError **error)
{
  complete_end (operation, session, error);
  if (*error == NULL && operation->rolls_back)
    g_set_error_literal (error, DB_ERROR, DB_ERROR_QUERY,
                         "a statement of the transaction had failed, so it was rolled back "
                         "instead of committed");
}

static gboolean
prepare_rollback (DbOperation *operation, DbSession *session, GError **error)
{
  int depth = find_open (operation, session, error);

  if (depth < 0)
    return FALSE;
  operation->own_sql = db_connection_format_rollback ((guint) depth);
  operation->plan.sql = operation->own_sql;
  operation->plan.flags = DB_STATEMENT_NO_ROWS | DB_STATEMENT_SCRIPT;
  return TRUE;
}

static void
init_end (DbOperation *operation, DbTransaction *self, gboolean commit)
{
  operation->connection = self->connection;
  operation->serial = self->serial;
  operation->prepare = commit ? prepare_commit : prepare_rollback;
  operation->complete = commit ? complete_commit : complete_end;
  operation->subject = self; /* its caller keeps it */
}

static gboolean
end_now (DbTransaction *self, gboolean commit, GCancellable *cancellable, GError **error)
{
  DbOperation operation = {0};
  g_autoptr (DbResult) result = NULL;

  init_end (&operation, self, commit);
  result = db_operation_run (&operation, cancellable, error);
  return result != NULL;
}

static void
end_later (DbTransaction *self, gboolean commit, GTask *task)
{
  DbOperation *operation = g_new0 (DbOperation, 1);

  init_end (operation, self, commit);
  db_operation_start (operation, task);
}

static gboolean
end_finish (DbTransaction *self, GAsyncResult *result, GError **error)
{
  g_autoptr (DbResult) rows = NULL;

  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  rows = db_operation_finish (G_TASK (result), error);
  return rows != NULL;
}

/**
 * db_transaction_get_connection:
 * @self: a transaction
 *
 * Gets the connection that the transaction is open on.
 *
 * Returns: (transfer none): a connection
 *
 * Since: 1.0
 */
DbConnection *
db_transaction_get_connection (DbTransaction *self)
{
  g_return_val_if_fail (DB_IS_TRANSACTION (self), NULL);

  return self->connection;
}

/**
 * db_transaction_is_open:
 * @self: a transaction
 *
 * Says whether the transaction can still be committed or rolled back, as far as dbpool was told.
 *
 * May be called from any thread and does not block.
 *
 * Returns: %FALSE once it has ended
 *
 * Since: 1.0
 */
gboolean
db_transaction_is_open (DbTransaction *self)
{
  g_return_val_if_fail (DB_IS_TRANSACTION (self), FALSE);

  return !db_connection_is_released (self->connection) &&
         db_connection_find_transaction (self->connection, self->serial) >= 0;
}

/**
 * db_transaction_commit:
 * @self: a transaction
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Makes the work of the transaction last, or, of a savepoint, part of the transaction around it.
 *
 * Blocks. Fails with `DB_ERROR_SERIALIZATION` if it lost against another transaction, with
 * `DB_ERROR_QUERY` if it had failed or ended before, and with `DB_ERROR_RELEASED` if the connection
 * was given back.
 *
 * Returns: %TRUE if it is committed
 *
 * Since: 1.0
 */
gboolean
db_transaction_commit (DbTransaction *self, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (DB_IS_TRANSACTION (self), FALSE);

  return end_now (self, TRUE, cancellable, error);
}

/**
 * db_transaction_commit_async:
 * @self: a transaction
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Transaction.commit].
 *
 * Since: 1.0
 */
void
db_transaction_commit_async (DbTransaction *self,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_TRANSACTION (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, db_transaction_commit_async);
  g_task_set_name (task, "[dbpool] commit");
  end_later (self, TRUE, task);
}

/**
 * db_transaction_commit_finish:
 * @self: a transaction
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Transaction.commit_async].
 *
 * Returns: %TRUE if it is committed
 *
 * Since: 1.0
 */
gboolean
db_transaction_commit_finish (DbTransaction *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_TRANSACTION (self), FALSE);

  return end_finish (self, result, error);
}

/**
 * db_transaction_rollback:
 * @self: a transaction
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Takes the work of the transaction back, and that of transactions that are open inside it.
 *
 * Blocks.
 *
 * Returns: %TRUE if it is rolled back
 *
 * Since: 1.0
 */
gboolean
db_transaction_rollback (DbTransaction *self, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (DB_IS_TRANSACTION (self), FALSE);

  return end_now (self, FALSE, cancellable, error);
}

/**
 * db_transaction_rollback_async:
 * @self: a transaction
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Transaction.rollback].
 *
 * Since: 1.0
 */
void
db_transaction_rollback_async (DbTransaction *self,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_TRANSACTION (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, db_transaction_rollback_async);
  g_task_set_name (task, "[dbpool] rollback");
  end_later (self, FALSE, task);
}

/**
 * db_transaction_rollback_finish:
 * @self: a transaction
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Transaction.rollback_async].
 *
 * Returns: %TRUE if it is rolled back
 *
 * Since: 1.0
 */
gboolean
db_transaction_rollback_finish (DbTransaction *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_TRANSACTION (self), FALSE);

  return end_finish (self, result, error);
}
