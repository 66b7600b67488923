/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Cursors that end before their time: dropped, closed, failed, cancelled, with their connection or
 * their pool. Afterwards the session has to be clean: the same one, in no transaction, without a
 * cursor. */

#include "config.h"

#include "sql-fixture.h"

#define COUNT "SELECT count(*) FROM t"

typedef struct
{
  gint64 pid; /* PostgreSQL's, to know the session by */
  DbCursor *cursor;
} Half;

/* A cursor over ten rows of which three have been read, with a write in between. */
static void
half_init (Half *self, SqlWorld *world)
{
  g_autofree char *numbers = sql_numbers (10);
  g_autofree char *script =
    g_strdup_printf ("CREATE TABLE t (x integer); CREATE TABLE n (x integer); INSERT INTO n %s",
                     numbers);

  sql_do_script (world, script);
  self->pid = world->postgres ? sql_ask (world, "SELECT pg_backend_pid ()") : 0;
  self->cursor = sql_must_open (world, "SELECT x FROM n ORDER BY x", 3);
  g_object_unref (sql_must_fetch (world, self->cursor, 3));
  g_assert_cmpint (sql_do (world, "INSERT INTO t VALUES (1)"), ==, 1);
}

/* A session of SQLite that still reads can no longer write once another one has written. */
static void
assert_reads_nothing (SqlWorld *world)
{
  g_autoptr (DbConnection) other = sql_acquire (world);
  g_autoptr (GError) error = NULL;

  db_connection_execute (other, "CREATE TABLE other (x integer)", NULL, NULL, &error);
  g_assert_no_error (error);
  sql_do (world, "DROP TABLE other");
}

static void
assert_clean (SqlWorld *world, const Half *half)
{
  g_assert_cmpint (sql_ask (world, "SELECT 6 * 7"), ==, 42);
  g_assert_false (sql_in_transaction (world));
  if (world->postgres)
    {
      g_assert_cmpint (sql_ask (world, "SELECT pg_backend_pid ()"), ==, half->pid);
      g_assert_cmpint (sql_ask (world, "SELECT count(*) FROM pg_cursors WHERE name LIKE 'dbpool%'"),
                       ==, 0);
    }
  else
    assert_reads_nothing (world);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 1);
}

static void
test_dropped (SqlWorld *world)
{
  Half half;

  half_init (&half, world);
  g_object_unref (half.cursor);
  assert_clean (world, &half);
}

static void
test_closed (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  Half half;

  half_init (&half, world);
  g_assert_true (sql_close_cursor (world, half.cursor, &error));
  g_assert_no_error (error);
  g_assert_false (sql_in_transaction (world)); /* without another statement */
  g_assert_true (db_cursor_is_done (half.cursor));
  assert_clean (world, &half);
  g_assert_null (sql_fetch (world, half.cursor, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_assert_nonnull (strstr (error->message, "closed"));
  g_clear_error (&error);
  g_assert_true (sql_close_cursor (world, half.cursor, &error));
  g_assert_no_error (error);
  g_object_unref (half.cursor);
  sql_assert_usable (world);
}

static void
test_closed_unread (SqlWorld *world)
{
  g_autoptr (DbCursor) cursor = sql_must_open (world, "SELECT 1", 3);
  g_autoptr (GError) error = NULL;

  g_assert_true (sql_close_cursor (world, cursor, &error));
  g_assert_no_error (error);
  g_assert_false (sql_in_transaction (world));
  sql_assert_usable (world);
}

/* What was written meanwhile lasts. */
static void
test_dropped_then_released (SqlWorld *world)
{
  Half half;

  half_init (&half, world);
  g_object_unref (half.cursor);
  sql_borrow_again (world);
  assert_clean (world, &half);
}

/* So it does where a guard inside is left open: the work of that one alone is taken back. */
static void
test_released_under_guard (SqlWorld *world)
{
  DbTransaction *guards[2];

  for (gsize i = 0; i < G_N_ELEMENTS (guards); i++)
    {
      Half half;

      half_init (&half, world);
      guards[0] = sql_must_begin (world);
      sql_do (world, "INSERT INTO t VALUES (2)");
      guards[1] = sql_must_begin (world);
      sql_do (world, "INSERT INTO t VALUES (3)");
      g_object_unref (half.cursor);
      if (i == 0)
        g_object_unref (guards[0]);
      sql_borrow_again (world);
      if (i > 0)
        g_object_unref (guards[0]);
      g_object_unref (guards[1]);
      assert_clean (world, &half);
      sql_do_script (world, "DROP TABLE t; DROP TABLE n");
    }
}

static void
test_released (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  Half half;

  half_init (&half, world);
  sql_borrow_again (world);
  assert_clean (world, &half);
  g_assert_null (sql_fetch (world, half.cursor, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
  g_clear_error (&error);
  g_assert_false (sql_close_cursor (world, half.cursor, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
  g_object_unref (half.cursor);
  sql_assert_usable (world);
}

/* The cursor holds the connection: its last reference gives both back. */
static void
test_last_reference (SqlWorld *world)
{
  Half half;

  half_init (&half, world);
  g_clear_object (&world->connection);
  sql_wait_for_lent (world, 1);
  g_object_unref (half.cursor);
  sql_wait_for_lent (world, 0);
  world->connection = sql_acquire (world);
  assert_clean (world, &half);
}

static gpointer
unref_thread (gpointer data)
{
  g_object_unref (data);
  return NULL;
}

static void
test_dropped_on_thread (SqlWorld *world)
{
  Half half;

  half_init (&half, world);
  g_thread_join (g_thread_new ("drop", unref_thread, half.cursor));
  assert_clean (world, &half);
}

/* Dropped while statements of the connection run on another thread. */
static void
test_dropped_meanwhile (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (10);

  for (int i = 0; i < 200; i++)
    {
      DbCursor *cursor = sql_must_open (world, sql, 3);
      GThread *thread;

      g_object_unref (sql_must_fetch (world, cursor, 3));
      thread = g_thread_new ("drop", unref_thread, cursor);
      g_assert_cmpint (sql_ask (world, "SELECT 6 * 7"), ==, 42);
      g_thread_join (thread);
    }
  sql_assert_usable (world);
}

static void
test_pool_closes (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  Half half;

  half_init (&half, world);
  db_pool_close (world->pool, 20 * G_TIME_SPAN_MILLISECOND, NULL, &error);
  g_clear_error (&error);
  g_assert_null (sql_fetch (world, half.cursor, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
  g_object_unref (half.cursor);
}

/* Asynchronous fetches of a cursor that nobody holds any more. */
static void
test_dropped_in_flight (SqlWorld *world)
{
  GAsyncResult *kept = NULL;
  GAsyncResult *kept_second = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GAsyncResult) second = NULL;
  g_autoptr (GError) error = NULL;
  Half half;

  half_init (&half, world);
  db_cursor_fetch_async (half.cursor, NULL, sql_keep_cb, &kept);
  db_cursor_fetch_async (half.cursor, NULL, sql_keep_cb, &kept_second);
  g_object_unref (half.cursor);
  result = sql_wait (world, &kept);
  second = sql_wait (world, &kept_second);
  {
    g_autoptr (DbCursor) cursor = DB_CURSOR (g_async_result_get_source_object (result));
    g_autoptr (DbResult) rows = db_cursor_fetch_finish (cursor, result, &error);

    g_assert_no_error (error);
    g_assert_cmpint (db_result_get_int64 (rows, 0, 0), ==, 4);
  }
  g_clear_object (&result);
  g_clear_object (&second);
  assert_clean (world, &half);
}

/* A release while a fetch is in flight, which the session waits for. */
static void
test_released_in_flight (SqlWorld *world)
{
  GAsyncResult *kept[2] = {NULL};
  Half half;

  half_init (&half, world);
  db_cursor_fetch_async (half.cursor, NULL, sql_keep_cb, &kept[0]);
  db_cursor_fetch_async (half.cursor, NULL, sql_keep_cb, &kept[1]);
  db_connection_release (world->connection);
  for (gsize i = 0; i < G_N_ELEMENTS (kept); i++)
    {
      g_autoptr (GAsyncResult) result = sql_wait (world, &kept[i]);
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) rows = db_cursor_fetch_finish (half.cursor, result, &error);

      if (i == 0)
        g_assert_no_error (error);
      else
        g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
    }
  sql_borrow_again (world);
  g_object_unref (half.cursor);
  assert_clean (world, &half);
}

/* Failures. */

static void
test_open_fails (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbTransaction) transaction = NULL;

  g_assert_null (sql_open_cursor (world, "SELECT * FROM nothing", NULL, 3, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_assert_nonnull (strstr (error->message, "nothing"));
  g_clear_error (&error);
  g_assert_false (sql_in_transaction (world));
  sql_assert_usable (world);
  g_assert_null (sql_open_cursor (world, "SELEC 1", NULL, 3, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_clear_error (&error);
  sql_assert_usable (world);
  g_assert_null (sql_open_cursor (world, "SELECT 1; SELECT 2", NULL, 3, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_clear_error (&error);
  sql_assert_usable (world);

  transaction = sql_must_begin (world);
  g_assert_null (sql_open_cursor (world, "SELECT * FROM nothing", NULL, 3, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_assert_true (db_transaction_is_open (transaction));
  sql_must_roll_back (world, transaction);
  sql_assert_usable (world);
}

/* A position in the statement is that in the text of the caller. */
static void
test_error_position (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbErrorInfo) info = NULL;

  g_assert_null (sql_open_cursor (world, "SELECT 1 FROM nothing", NULL, 3, &error));
  info = db_connection_get_last_error_info (world->connection);
  g_assert_nonnull (info);
  if (db_error_info_get_position (info) != 0)
    g_assert_cmpuint (db_error_info_get_position (info), ==, 15);
}

/* A query of 10,000 rows whose row 5,000 fails. */
static const char *
fails_in_the_middle (SqlWorld *world)
{
  if (world->postgres)
    return "SELECT 1 / (5000 - x) FROM generate_series (1, 10000) AS x";
  return "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 10000) "
         "SELECT abs (CASE WHEN x = 5000 THEN -9223372036854775807 - 1 ELSE x END) FROM c";
}

static void
fetch_until_failure (SqlWorld *world, DbCursor *cursor)
{
  const int code = world->postgres ? DB_ERROR_TYPE : DB_ERROR_QUERY;
  guint n_rows = 0;
  g_autoptr (GError) error = NULL;

  for (;;)
    {
      g_autoptr (DbResult) rows = sql_fetch (world, cursor, &error);

      if (rows == NULL)
        break;
      n_rows += db_result_get_n_rows (rows);
    }
  g_assert_cmpuint (n_rows, ==, 4900);
  g_assert_error (error, DB_ERROR, code);
  g_assert_null (strstr (error->message, "rolled back")); /* there was nothing else */
  g_assert_true (db_cursor_is_done (cursor));
  g_clear_error (&error);
  g_assert_null (sql_fetch (world, cursor, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
}

static void
test_fails_in_the_middle (SqlWorld *world)
{
  g_autoptr (DbCursor) cursor = sql_must_open (world, fails_in_the_middle (world), 100);

  fetch_until_failure (world, cursor);
  g_assert_false (sql_in_transaction (world));
  sql_assert_usable (world);
}

static void
test_fails_in_transaction (SqlWorld *world)
{
  g_autoptr (DbTransaction) transaction = sql_must_begin (world);
  g_autoptr (DbCursor) cursor = sql_must_open (world, fails_in_the_middle (world), 100);

  fetch_until_failure (world, cursor);
  g_assert_true (sql_in_transaction (world));
  sql_must_roll_back (world, transaction);
  sql_assert_usable (world);
}

/* On PostgreSQL a statement that fails between two fetches takes the cursor's own transaction with
 * it. Nothing that was written in it may be lost without a word. */
static void
test_failure_between (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  Half half;

  half_init (&half, world);
  sql_assert_fails (world, "SELECT * FROM nothing", NULL, DB_ERROR_QUERY,
                    world->postgres ? "is rolled back" : "nothing");
  g_assert_false (sql_in_transaction (world));
  sql_do (world, "INSERT INTO t VALUES (2)"); /* is in no transaction any more */
  g_assert_cmpint (sql_others_see (world, COUNT), ==, world->postgres ? 1 : 2);
  if (world->postgres)
    {
      g_assert_null (sql_fetch (world, half.cursor, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
      g_assert_true (db_cursor_is_done (half.cursor));
    }
  else
    g_object_unref (sql_must_fetch (world, half.cursor, 3));
  g_object_unref (half.cursor);
  sql_assert_usable (world);
}

/* SQL of the application's own ends what the cursor lives in. */
static void
test_sql_ends_it (SqlWorld *world)
{
  static const char *const ends[] = {"COMMIT", "ROLLBACK"};
  g_autofree char *sql = sql_numbers (10);

  for (gsize i = 0; i < G_N_ELEMENTS (ends); i++)
    {
      g_autoptr (DbCursor) cursor = NULL;
      g_autoptr (DbResult) rows = NULL;
      g_autoptr (GError) error = NULL;

      sql_do (world, "BEGIN");
      cursor = sql_must_open (world, sql, 3);
      g_object_unref (sql_must_fetch (world, cursor, 3));
      sql_do (world, ends[i]);
      rows = sql_fetch (world, cursor, &error);
      if (world->postgres)
        g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
      g_clear_object (&cursor);
      sql_assert_usable (world);
    }
}

/* The same, and then there is another transaction, which the end of the cursor must not spoil. */
static void
test_sql_ends_savepoint (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (10);
  g_autoptr (DbTransaction) transaction = sql_must_begin (world);
  g_autoptr (DbCursor) cursor = NULL;

  sql_do (world, "CREATE TABLE t (x integer)");
  sql_do (world, "SAVEPOINT a");
  cursor = sql_must_open (world, sql, 3);
  g_object_unref (sql_must_fetch (world, cursor, 3));
  sql_do (world, "ROLLBACK TO SAVEPOINT a");
  g_clear_object (&cursor);
  sql_do (world, "INSERT INTO t VALUES (1)");
  sql_must_commit (world, transaction);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 1);
}

/* Cancels. */

/* Three rows at a time come at once; more than four never do. */
#define NEVER_ENDS                                                                                 \
  "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c WHERE x <= 4"

static void
test_cancel (SqlWorld *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (DbCursor) cursor = sql_must_open (world, NEVER_ENDS, 3);
  g_autoptr (GError) error = NULL;
  GThread *thread;
  gint64 start;

  g_object_unref (sql_must_fetch (world, cursor, 3));
  world->cancellable = cancellable;
  thread = sql_cancel_later (cancellable, 20);
  start = g_get_monotonic_time ();
  g_assert_null (sql_fetch (world, cursor, &error));
  start = g_get_monotonic_time () - start;
  g_thread_join (thread);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_test_message ("%.1f ms after the start, cancelled at 20 ms", start / 1000.0);
  g_assert_cmpint (start, <, G_TIME_SPAN_SECOND);
  world->cancellable = NULL;
  g_assert_true (db_cursor_is_done (cursor));
  sql_assert_usable (world);
}

static void
test_cancelled_before (SqlWorld *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *sql = sql_numbers (10);
  g_autoptr (DbCursor) cursor = NULL;
  g_autoptr (GError) error = NULL;

  g_cancellable_cancel (cancellable);
  world->cancellable = cancellable;
  g_assert_null (sql_open_cursor (world, sql, NULL, 3, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  world->cancellable = NULL;
  sql_assert_usable (world);

  cursor = sql_must_open (world, sql, 3);
  world->cancellable = cancellable;
  g_assert_null (sql_fetch (world, cursor, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  world->cancellable = NULL;
  g_clear_object (&cursor);
  sql_assert_usable (world);
}

static void
test_cancel_open (SqlWorld *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DbCursor) cursor = NULL;
  g_autoptr (DbResult) rows = NULL;
  GThread *thread;

  world->cancellable = cancellable;
  thread = sql_cancel_later (cancellable, 20);
  /* Where the rows are only computed when they are asked for, it is the fetch that takes long. */
  cursor = sql_open_cursor (world, sql_endless (), NULL, 3, &error);
  if (cursor != NULL)
    rows = sql_fetch (world, cursor, &error);
  g_thread_join (thread);
  g_assert_null (rows);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  world->cancellable = NULL;
  g_assert_false (sql_in_transaction (world));
  sql_assert_usable (world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  sql_add ("cursor-ends/dropped", SQL_EVERYWHERE, test_dropped);
  sql_add ("cursor-ends/closed", SQL_EVERYWHERE, test_closed);
  sql_add ("cursor-ends/closed-unread", SQL_EVERYWHERE, test_closed_unread);
  sql_add ("cursor-ends/dropped-then-released", SQL_EVERYWHERE, test_dropped_then_released);
  sql_add ("cursor-ends/released-under-guard", SQL_EVERYWHERE, test_released_under_guard);
  sql_add ("cursor-ends/released", SQL_EVERYWHERE, test_released);
  sql_add ("cursor-ends/last-reference", SQL_EVERYWHERE, test_last_reference);
  sql_add ("cursor-ends/dropped-on-thread", SQL_EVERYWHERE, test_dropped_on_thread);
  sql_add ("cursor-ends/dropped-meanwhile", SQL_EVERYWHERE, test_dropped_meanwhile);
  sql_add ("cursor-ends/pool-closes", SQL_EVERYWHERE, test_pool_closes);
  sql_add ("cursor-ends/dropped-in-flight", SQL_ASYNC, test_dropped_in_flight);
  sql_add ("cursor-ends/released-in-flight", SQL_ASYNC, test_released_in_flight);
  sql_add ("cursor-ends/open-fails", SQL_EVERYWHERE, test_open_fails);
  sql_add ("cursor-ends/error-position", SQL_EVERYWHERE, test_error_position);
  sql_add ("cursor-ends/fails-in-the-middle", SQL_EVERYWHERE, test_fails_in_the_middle);
  sql_add ("cursor-ends/fails-in-transaction", SQL_EVERYWHERE, test_fails_in_transaction);
  sql_add ("cursor-ends/failure-between", SQL_EVERYWHERE, test_failure_between);
  sql_add ("cursor-ends/sql-ends-it", SQL_EVERYWHERE, test_sql_ends_it);
  sql_add ("cursor-ends/sql-ends-savepoint", SQL_EVERYWHERE, test_sql_ends_savepoint);
  sql_add ("cursor-ends/cancel", SQL_EVERYWHERE, test_cancel);
  sql_add ("cursor-ends/cancelled-before", SQL_EVERYWHERE, test_cancelled_before);
  sql_add ("cursor-ends/cancel-open", SQL_EVERYWHERE, test_cancel_open);
  return g_test_run ();
}
