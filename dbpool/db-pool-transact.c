/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Transactions of the pool's: with a connection of their own, and, as a function, run again when
 * they lose against another one. No state, no lock. */

#include "config.h"

#include "db-connection.h"
#include "db-error.h"
#include "db-pool-private.h"
#include "db-transaction-private.h"

#define TAG "a transaction of the pool's"

/* How often a transaction is tried, and how long is waited in between: a time by chance, up to
 * FIRST_PAUSE the first time, twice as long each time after, up to LAST_PAUSE. */
#define MAX_ATTEMPTS 10
#define FIRST_PAUSE (10 * G_TIME_SPAN_MILLISECOND)
#define LAST_PAUSE (500 * G_TIME_SPAN_MILLISECOND)

static DbConnection *
borrow (DbPool *self, GCancellable *cancellable, GError **error)
{
  return db_pool_acquire_full (self, DB_ACQUIRE_NONE, -1, TAG, cancellable, error);
}

/* FALSE when cancelled. */
static gboolean
pause_after (guint attempt, GCancellable *cancellable, GError **error)
{
  gint64 limit = MIN (FIRST_PAUSE << MIN (attempt, 16), LAST_PAUSE);
  int milliseconds = (int) (g_random_double () * (double) limit / 1000);
  GPollFD pollfd;

  if (g_cancellable_make_pollfd (cancellable, &pollfd))
    {
      g_poll (&pollfd, 1, milliseconds);
      g_cancellable_release_fd (cancellable);
    }
  else
    g_poll (NULL, 0, milliseconds);
  return !g_cancellable_set_error_if_cancelled (cancellable, error);
}

static gboolean
call (DbTransactFunc func, DbConnection *connection, gpointer user_data, GError **error)
{
  GError *local_error = NULL;

  if (func (connection, user_data, &local_error))
    {
      g_clear_error (&local_error);
      return TRUE;
    }
  if (local_error == NULL)
    g_set_error_literal (&local_error, DB_ERROR, DB_ERROR_FAILED,
                         "the function of a transaction failed without an error");
  g_propagate_error (error, local_error);
  return FALSE;
}

static gboolean
attempt_once (DbPool *self,
              DbIsolation isolation,
              DbTransactionFlags flags,
              DbTransactFunc func,
              gpointer user_data,
              GCancellable *cancellable,
              GError **error)
{
  g_autoptr (DbTransaction) transaction =
    db_pool_begin (self, isolation, flags, cancellable, error);
  DbConnection *connection;

  if (transaction == NULL)
    return FALSE;
  connection = db_transaction_get_connection (transaction);
  if (call (func, connection, user_data, error) &&
      db_transaction_commit (transaction, cancellable, error))
    return TRUE;
  /* Dropped, it is rolled back on dbpool's threads. */
  return FALSE;
}

/**
 * db_pool_transact:
 * @self: a pool
 * @isolation: how far it is kept apart from others
 * @flags: how to begin
 * @func: (scope call): what is to be done
 * @user_data: data for @func
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Borrows a connection, begins a transaction on it, calls a function and commits.
 *
 * If @func fails, the transaction is rolled back and the error is that of @func. If the transaction
 * loses against another one (`DB_ERROR_SERIALIZATION`, in @func or at the commit: SQLSTATE 40001
 * and 40P01, SQLite's BUSY_SNAPSHOT) the whole is done again, in another transaction, up to ten
 * times, after a pause of up to half a second.
 *
 * Blocks; @func is called on the calling thread. May be called from any thread. Fails as
 * [method@Db.Pool.acquire], [method@Db.Connection.begin] and [method@Db.Transaction.commit] do;
 * with `DB_ERROR_FAILED` if @func fails without an error.
 *
 * Returns: %TRUE if it is committed
 *
 * Since: 1.0
 */
gboolean
db_pool_transact (DbPool *self,
                  DbIsolation isolation,
                  DbTransactionFlags flags,
                  DbTransactFunc func,
                  gpointer user_data,
                  GCancellable *cancellable,
                  GError **error)
{
  g_return_val_if_fail (DB_IS_POOL (self), FALSE);
  g_return_val_if_fail (func != NULL, FALSE);

  for (guint attempt = 0;; attempt++)
    {
      GError *local_error = NULL;

      if (attempt_once (self, isolation, flags, func, user_data, cancellable, &local_error))
        return TRUE;
      if (!g_error_matches (local_error, DB_ERROR, DB_ERROR_SERIALIZATION) ||
          attempt + 1 == MAX_ATTEMPTS)
        {
          g_propagate_error (error, local_error);
          return FALSE;
        }
      db_log (DB_LOG_FACTS (DB_LOG_TRANSACTION_RETRIED, .pool = db_pool_get_name (self),
                            .error = local_error),
              "pool %s: a transaction is tried again: %s", db_pool_get_name (self),
              local_error->message);
      g_error_free (local_error);
      if (!pause_after (attempt, cancellable, error))
        return FALSE;
    }
}

/**
 * db_pool_begin:
 * @self: a pool
 * @isolation: how far it is kept apart from others
 * @flags: how to begin
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Borrows a connection and begins a transaction on it.
 *
 * The connection is that of [method@Db.Transaction.get_connection]. It goes back to the pool when
 * the transaction is committed, rolled back or dropped.
 *
 * Blocks. Fails as [method@Db.Pool.acquire] and [method@Db.Connection.begin] do.
 *
 * Returns: (transfer full): the transaction
 *
 * Since: 1.0
 */
DbTransaction *
db_pool_begin (DbPool *self,
               DbIsolation isolation,
               DbTransactionFlags flags,
               GCancellable *cancellable,
               GError **error)
{
  g_autoptr (DbConnection) connection = NULL;
  DbTransaction *transaction;

  g_return_val_if_fail (DB_IS_POOL (self), NULL);

  connection = borrow (self, cancellable, error);
  if (connection == NULL)
    return NULL;
  transaction = db_connection_begin (connection, isolation, flags, cancellable, error);
  if (transaction != NULL)
    db_transaction_own_connection (transaction);
  return transaction;
}

typedef struct
{
  DbIsolation isolation;
  DbTransactionFlags flags;
} DbBeginning;

static void
begun_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  DbConnection *connection = DB_CONNECTION (source);
  GError *error = NULL;
  DbTransaction *transaction = db_connection_begin_finish (connection, result, &error);

  if (transaction == NULL)
    {
      db_connection_release (connection);
      g_task_return_error (task, error);
      return;
    }
  db_transaction_own_connection (transaction);
  g_task_return_pointer (task, transaction, g_object_unref);
}

static void
acquired_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GTask *task = user_data;
  DbBeginning *beginning = g_task_get_task_data (task);
  GError *error = NULL;
  g_autoptr (DbConnection) connection =
    db_pool_acquire_full_finish (DB_POOL (source), result, &error);

  if (connection == NULL)
    {
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  db_connection_begin_async (connection, beginning->isolation, beginning->flags,
                             g_task_get_cancellable (task), begun_cb, task);
}

/**
 * db_pool_begin_async:
 * @self: a pool
 * @isolation: how far it is kept apart from others
 * @flags: how to begin
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Pool.begin].
 *
 * Since: 1.0
 */
void
db_pool_begin_async (DbPool *self,
                     DbIsolation isolation,
                     DbTransactionFlags flags,
                     GCancellable *cancellable,
                     GAsyncReadyCallback callback,
                     gpointer user_data)
{
  DbBeginning *beginning;
  GTask *task;

  g_return_if_fail (DB_IS_POOL (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, db_pool_begin_async);
  g_task_set_name (task, "[dbpool] begin");
  g_task_set_check_cancellable (task, FALSE);
  beginning = g_new (DbBeginning, 1);
  *beginning = (DbBeginning){isolation, flags};
  g_task_set_task_data (task, beginning, g_free);
  db_pool_acquire_full_async (self, DB_ACQUIRE_NONE, -1, TAG, cancellable, acquired_cb, task);
}

/**
 * db_pool_begin_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Pool.begin_async].
 *
 * Returns: (transfer full): the transaction
 *
 * Since: 1.0
 */
DbTransaction *
db_pool_begin_finish (DbPool *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_POOL (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, db_pool_begin_async), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}
