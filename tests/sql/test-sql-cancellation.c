/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Cancels and time limits: of what runs, of what waits its turn, of what has not begun, and in
 * SQLite's waits for locks. Whatever is cancelled, the next statement of the session is not. */

#include "config.h"

#include "sql-fixture.h"

#include <sqlite3.h>

/* How long a cancel may take on a machine that has other things to do. */
#define UPPER_BOUND G_TIME_SPAN_SECOND

#define INSERT "INSERT INTO t VALUES (1)"
#define COUNT "SELECT count(*) FROM t"

/* The calls, each of which runs something; TRUE if it succeeded. */

static gboolean
do_query (SqlWorld *world, const char *sql, GError **error)
{
  g_autoptr (DbResult) result = sql_query (world, sql, NULL, error);

  return result != NULL;
}

static gboolean
do_execute (SqlWorld *world, const char *sql, GError **error)
{
  return sql_execute (world, sql, NULL, error) >= 0;
}

static gboolean
do_query_params (SqlWorld *world, const char *sql, GError **error)
{
  g_autoptr (DbResult) result = sql_query_params (world, sql, NULL, error);

  return result != NULL;
}

static gboolean
do_script (SqlWorld *world, const char *sql, GError **error)
{
  g_autofree char *script = g_strconcat ("SELECT 1; ", sql, "; SELECT 2", NULL);

  return sql_script (world, script, error);
}

static gboolean
do_many (SqlWorld *world, const char *sql, GError **error)
{
  g_autofree char *with_param = g_strconcat (sql, " WHERE 1 = CAST ($1 AS integer)", NULL);
  g_autoptr (DbParams) rows = db_params_new ();

  db_params_add_int64 (rows, 2);
  db_params_next_row (rows);
  db_params_add_int64 (rows, 1);
  return sql_execute_many (world, with_param, rows, error) >= 0;
}

static gboolean
do_batch (SqlWorld *world, const char *sql, GError **error)
{
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (DbBatchResult) results = NULL;

  db_batch_add (batch, "SELECT 1", NULL);
  db_batch_add (batch, sql, NULL);
  results = sql_run_batch (world, batch, DB_BATCH_NONE, error);
  return results != NULL;
}

static gboolean
do_cursor (SqlWorld *world, const char *sql, GError **error)
{
  g_autoptr (DbCursor) cursor = sql_open_cursor (world, sql, NULL, 10, error);
  g_autoptr (DbResult) rows = cursor != NULL ? sql_fetch (world, cursor, error) : NULL;

  return rows != NULL;
}

static gboolean
do_pool_query (SqlWorld *world, const char *sql, GError **error)
{
  g_autoptr (DbResult) result = sql_pool_query (world, sql, NULL, error);

  return result != NULL;
}

static gboolean
do_begin (SqlWorld *world, const char *sql, GError **error)
{
  g_autoptr (DbTransaction) transaction =
    sql_begin (world, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE, error);

  return transaction != NULL;
}

static gboolean
do_describe (SqlWorld *world, const char *sql, GError **error)
{
  g_autoptr (DbDescription) description = sql_describe (world, sql, error);

  return description != NULL;
}

typedef gboolean (*Call) (SqlWorld *world, const char *sql, GError **error);

static const struct
{
  const char *name;
  Call call;
} calls[] = {
  {"query", do_query},   {"execute", do_execute}, {"query-params", do_query_params},
  {"script", do_script}, {"many", do_many},       {"batch", do_batch},
  {"cursor", do_cursor}, {"pool", do_pool_query},
};

/* Cancels the call after so long; gives how long that took. */
static gint64
cancel_call (SqlWorld *world, Call call, const char *sql, guint milliseconds)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  GThread *thread;
  gint64 start;

  world->cancellable = cancellable;
  start = g_get_monotonic_time ();
  thread = sql_cancel_later (cancellable, milliseconds);
  g_assert_false (call (world, sql, &error));
  start = g_get_monotonic_time () - start;
  g_thread_join (thread);
  world->cancellable = NULL;
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (start, >=, milliseconds * G_TIME_SPAN_MILLISECOND);
  start -= milliseconds * G_TIME_SPAN_MILLISECOND;
  g_assert_cmpint (start, <, UPPER_BOUND);
  return start;
}

static void
test_running (SqlWorld *world)
{
  for (gsize i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      gint64 took = cancel_call (world, calls[i].call, sql_endless (), 10);

      g_test_message ("%s: %.1f ms", calls[i].name, took / 1000.0);
      sql_assert_usable (world);
    }
}

static void
test_in_transaction (SqlWorld *world)
{
  g_autoptr (DbTransaction) transaction = NULL;

  sql_do (world, "CREATE TABLE t (x integer)");
  transaction = sql_must_begin (world);
  sql_do (world, INSERT);
  cancel_call (world, do_query, sql_endless (), 10);
  g_assert_true (db_transaction_is_open (transaction));
  g_assert_true (sql_in_transaction (world));
  sql_must_roll_back (world, transaction);
  sql_assert_usable (world);
}

/* Nothing of it is done. */
static void
test_before (SqlWorld *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  sql_do (world, "CREATE TABLE t (x integer)");
  g_cancellable_cancel (cancellable);
  for (gsize i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autoptr (GError) error = NULL;

      world->cancellable = cancellable;
      g_assert_false (
        calls[i].call (world, calls[i].call == do_many ? "DELETE FROM t" : INSERT, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&error);
      g_assert_false (do_begin (world, NULL, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&error);
      g_assert_false (do_describe (world, "SELECT 1", &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      world->cancellable = NULL;
      sql_assert_usable (world);
    }
  g_assert_cmpint (sql_ask (world, COUNT), ==, 0);
}

/* What waits its turn ends at once, while what it waits for goes on. */
static void
test_queued (SqlWorld *world)
{
  static const Call queued[] = {do_query, do_execute, do_query_params, do_script,  do_many,
                                do_batch, do_cursor,  do_begin,        do_describe};
  g_autoptr (GCancellable) running = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  GAsyncResult *kept = NULL;

  db_connection_query_async (world->connection, sql_endless (), NULL, running, sql_keep_cb, &kept);
  for (gsize i = 0; i < G_N_ELEMENTS (queued); i++)
    {
      cancel_call (world, queued[i], "SELECT 1", 2);
      g_assert_null (kept);
    }
  g_cancellable_cancel (running);
  result = sql_wait (world, &kept);
  g_assert_null (db_connection_query_finish (world->connection, result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  sql_assert_usable (world);
}

/* One in the middle of the queue; the others are served in their order. */
static void
test_queued_in_the_middle (SqlWorld *world)
{
  g_autoptr (GCancellable) running = g_cancellable_new ();
  g_autoptr (GCancellable) second = g_cancellable_new ();
  GAsyncResult *kept[4] = {NULL};

  db_connection_query_async (world->connection, sql_endless (), NULL, running, sql_keep_cb,
                             &kept[0]);
  db_connection_query_async (world->connection, "SELECT 1", NULL, NULL, sql_keep_cb, &kept[1]);
  db_connection_query_async (world->connection, "SELECT 2", NULL, second, sql_keep_cb, &kept[2]);
  db_connection_query_async (world->connection, "SELECT 3", NULL, NULL, sql_keep_cb, &kept[3]);
  g_cancellable_cancel (second);
  g_cancellable_cancel (running);
  for (gsize i = 0; i < G_N_ELEMENTS (kept); i++)
    {
      g_autoptr (GAsyncResult) result = sql_wait (world, &kept[i]);
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) rows = db_connection_query_finish (world->connection, result, &error);

      if (i % 2 == 0)
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      else
        g_assert_cmpint (db_result_get_int64 (rows, 0, 0), ==, (gint64) i);
    }
  sql_assert_usable (world);
}

/* SQLite's waits. */

static void
test_token_wait (SqlWorld *world)
{
  g_autoptr (DbConnection) other = NULL;
  g_autoptr (GError) error = NULL;

  sql_do (world, "CREATE TABLE t (x integer)");
  other = sql_acquire (world);
  db_connection_execute (other, "BEGIN IMMEDIATE", NULL, NULL, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < G_N_ELEMENTS (calls); i++)
    cancel_call (world, calls[i].call, calls[i].call == do_many ? "DELETE FROM t" : INSERT, 10);
  cancel_call (world, do_begin, NULL, 10);
  sql_assert_usable (world);
  db_connection_execute (other, "ROLLBACK", NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (sql_do (world, INSERT), ==, 1);
}

static void
exec_raw (sqlite3 *db, const char *sql)
{
  g_assert_cmpint (sqlite3_exec (db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
}

/* A lock of somebody that dbpool knows nothing of, as of another process. */
static void
test_busy_wait (SqlWorld *world)
{
  sqlite3 *raw;

  sql_do (world, "CREATE TABLE t (x integer)");
  g_assert_cmpint (sqlite3_open (world->path, &raw), ==, SQLITE_OK);
  exec_raw (raw, "BEGIN IMMEDIATE");
  for (gsize i = 0; i < G_N_ELEMENTS (calls); i++)
    cancel_call (world, calls[i].call, calls[i].call == do_many ? "DELETE FROM t" : INSERT, 10);
  cancel_call (world, do_begin, NULL, 10);
  sql_assert_usable (world);
  exec_raw (raw, "ROLLBACK");
  g_assert_cmpint (sqlite3_close (raw), ==, SQLITE_OK);
  g_assert_cmpint (sql_do (world, INSERT), ==, 1);
}

/* PostgreSQL's: a row that another transaction has changed. */
static void
test_lock_wait (SqlWorld *world)
{
  g_autoptr (DbConnection) other = NULL;
  g_autoptr (GError) error = NULL;

  sql_do_script (world, "CREATE TABLE t (x integer); INSERT INTO t VALUES (1)");
  other = sql_acquire (world);
  db_connection_execute_script (other, "BEGIN; UPDATE t SET x = 2", NULL, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < G_N_ELEMENTS (calls); i++)
    cancel_call (world, calls[i].call, "UPDATE t SET x = 3", 10);
  sql_assert_usable (world);
  db_connection_execute (other, "ROLLBACK", NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (sql_do (world, "UPDATE t SET x = 4"), ==, 1);
}

/* Innocent victims. */

#define N_CANCELS 1000

static gpointer
cancel_at_random (gpointer data)
{
  g_usleep ((gulong) g_random_int_range (0, 1500));
  g_cancellable_cancel (data);
  return NULL;
}

static void
test_innocent (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (3000);
  guint64 id = db_connection_get_id (world->connection);
  guint n_cancelled = 0;

  for (guint i = 0; i < N_CANCELS; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result = NULL;
      GThread *thread = g_thread_new ("cancel", cancel_at_random, cancellable);

      world->cancellable = cancellable;
      result = sql_query (world, sql, NULL, &error);
      world->cancellable = NULL;
      if (result == NULL)
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      n_cancelled += result == NULL;
      g_assert_cmpint (sql_ask (world, "SELECT 6 * 7"), ==, 42);
      g_thread_join (thread);
      g_assert_cmpint (sql_ask (world, "SELECT 6 * 7"), ==, 42);
    }
  g_test_message ("%u of %u were cancelled in time", n_cancelled, N_CANCELS);
  g_assert_cmpuint (n_cancelled, >, 0);
  g_assert_cmpuint (db_connection_get_id (world->connection), ==, id);
}

/* The next statement is somebody else's. */
static void
test_innocent_borrower (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (3000);

  db_pool_resize (world->pool, 0, 1);
  for (guint i = 0; i < N_CANCELS / 4; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result = NULL;
      GThread *thread = g_thread_new ("cancel", cancel_at_random, cancellable);

      world->cancellable = cancellable;
      result = sql_query (world, sql, NULL, &error);
      world->cancellable = NULL;
      g_clear_object (&world->connection);
      world->connection = sql_acquire (world);
      g_assert_cmpint (sql_ask (world, "SELECT 6 * 7"), ==, 42);
      g_thread_join (thread);
    }
  db_pool_resize (world->pool, 0, 3);
}

/* Time limits. */

static void
set_limit (SqlWorld *world, gint64 limit)
{
  g_object_set (db_pool_get_config (world->pool), "statement-timeout", limit, NULL);
}

static void
test_timeout (SqlWorld *world)
{
  const gint64 limit = 30 * G_TIME_SPAN_MILLISECOND;

  set_limit (world, limit);
  for (gsize i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autoptr (GError) error = NULL;
      gint64 start = g_get_monotonic_time ();

      g_assert_false (calls[i].call (world, sql_endless (), &error));
      start = g_get_monotonic_time () - start;
      g_test_message ("%s: %.1f ms: %s", calls[i].name, start / 1000.0, error->message);
      g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
      g_assert_true (db_error_is_transient (error));
      g_assert_cmpint (start, >=, limit);
      g_assert_cmpint (start, <, limit + UPPER_BOUND);
      sql_assert_usable (world);
    }
}

/* It is that of when the statement is run, on a connection that was lent before, too. */
static void
test_timeout_changes (SqlWorld *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  set_limit (world, 30 * G_TIME_SPAN_MILLISECOND);
  g_assert_false (do_query (world, sql_endless (), &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  set_limit (world, 0);
  cancel_call (world, do_query, sql_endless (), 100);
  set_limit (world, 30 * G_TIME_SPAN_MILLISECOND);
  g_clear_error (&error);
  g_assert_false (do_query (world, sql_endless (), &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  sql_assert_usable (world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  sql_add ("cancellation/running", SQL_EVERYWHERE, test_running);
  sql_add ("cancellation/in-transaction", SQL_EVERYWHERE, test_in_transaction);
  sql_add ("cancellation/before", SQL_EVERYWHERE, test_before);
  sql_add ("cancellation/queued", SQL_ASYNC, test_queued);
  sql_add ("cancellation/queued-in-the-middle", SQL_ASYNC, test_queued_in_the_middle);
  sql_add ("cancellation/token-wait", SQL_ON_SQLITE, test_token_wait);
  sql_add ("cancellation/busy-wait", SQL_ON_SQLITE, test_busy_wait);
  sql_add ("cancellation/lock-wait", SQL_ON_POSTGRES, test_lock_wait);
  sql_add ("cancellation/innocent", SQL_EVERYWHERE, test_innocent);
  sql_add ("cancellation/innocent-borrower", SQL_EVERYWHERE, test_innocent_borrower);
  sql_add ("cancellation/timeout", SQL_EVERYWHERE, test_timeout);
  sql_add ("cancellation/timeout-changes", SQL_EVERYWHERE, test_timeout_changes);
  return g_test_run ();
}
