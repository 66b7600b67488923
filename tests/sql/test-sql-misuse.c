/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What is asked of the wrong thing, at the wrong time or with the wrong text: each time a clear
 * error, and a session that can be used afterwards. */

#include "config.h"

#include "sql-fixture.h"

static void
assert_released (GError **error)
{
  g_assert_error (*error, DB_ERROR, DB_ERROR_RELEASED);
  g_clear_error (error);
}

static void
test_released (SqlWorld *world)
{
  g_autoptr (DbParams) rows = db_params_new ();
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (GError) error = NULL;

  db_batch_add (batch, "SELECT 1", NULL);
  db_params_add_int64 (rows, 1);
  db_connection_release (world->connection);
  g_assert_null (sql_query (world, "SELECT 1", NULL, &error));
  assert_released (&error);
  g_assert_cmpint (sql_execute (world, "SELECT 1", NULL, &error), ==, -1);
  assert_released (&error);
  g_assert_null (sql_query_params (world, "SELECT 1", NULL, &error));
  assert_released (&error);
  g_assert_false (sql_script (world, "SELECT 1", &error));
  assert_released (&error);
  g_assert_cmpint (sql_execute_many (world, "SELECT $1", rows, &error), ==, -1);
  assert_released (&error);
  g_assert_null (sql_run_batch (world, batch, DB_BATCH_NONE, &error));
  assert_released (&error);
  g_assert_null (sql_describe (world, "SELECT 1", &error));
  assert_released (&error);
  g_assert_null (sql_open_cursor (world, "SELECT 1", NULL, 1, &error));
  assert_released (&error);
  g_assert_null (sql_begin (world, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE, &error));
  assert_released (&error);
  g_assert_null (db_connection_get_last_error_info (world->connection));
}

/* Errors are told to nobody who does not ask. */
static void
test_without_error (SqlWorld *world)
{
  g_assert_null (sql_query (world, "SELEC 1", NULL, NULL));
  g_assert_cmpint (sql_execute (world, "SELEC 1", NULL, NULL), ==, -1);
  g_assert_false (sql_script (world, "SELEC 1", NULL));
  g_assert_null (sql_open_cursor (world, "SELEC 1", NULL, 1, NULL));
  g_assert_null (sql_open_cursor (world, "SELECT 1", NULL, 0, NULL));
  g_assert_null (sql_describe (world, "SELEC 1", NULL));
  sql_assert_usable (world);
}

/* A blocking call while an operation is in flight; asynchronous ones wait their turn. */
static void
test_two_threads (SqlWorld *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) first = NULL;
  g_autoptr (GAsyncResult) second = NULL;
  g_autoptr (DbResult) rows = NULL;
  g_autoptr (GError) error = NULL;
  GAsyncResult *kept = NULL;
  GAsyncResult *kept_second = NULL;

  db_connection_query_async (world->connection, sql_endless (), NULL, cancellable, sql_keep_cb,
                             &kept);
  g_assert_null (db_connection_query (world->connection, "SELECT 1", NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
  g_clear_error (&error);
  g_assert_null (db_connection_begin (world->connection, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE,
                                      NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
  g_clear_error (&error);
  db_connection_query_async (world->connection, "SELECT 42", NULL, NULL, sql_keep_cb, &kept_second);
  g_cancellable_cancel (cancellable);
  first = sql_wait (world, &kept);
  g_assert_null (kept_second);
  g_assert_null (db_connection_query_finish (world->connection, first, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  second = sql_wait (world, &kept_second);
  rows = db_connection_query_finish (world->connection, second, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (rows, 0, 0), ==, 42);
}

static gpointer
hammer_thread (gpointer data)
{
  DbConnection *connection = data;
  guint n_done = 0;

  for (int i = 0; i < 500; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result =
        db_connection_query (connection, "SELECT 6 * 7", NULL, NULL, &error);

      if (result == NULL)
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
      else
        g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 42);
      n_done += result != NULL;
    }
  return GUINT_TO_POINTER (n_done);
}

static void
test_hammer (SqlWorld *world)
{
  GThread *threads[3];
  guint n_done = 0;

  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("hammer", hammer_thread, world->connection);
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    n_done += GPOINTER_TO_UINT (g_thread_join (threads[i]));
  g_assert_cmpuint (n_done, >, 0);
  sql_assert_usable (world);
}

static void
test_closed_pool (SqlWorld *world)
{
  g_autoptr (DbParams) rows = db_params_new ();
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (GError) error = NULL;

  g_clear_object (&world->connection);
  db_pool_close (world->pool, 5 * G_TIME_SPAN_SECOND, NULL, &error);
  g_assert_no_error (error);
  g_assert_null (sql_pool_query (world, "SELECT 1", NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_cmpint (sql_pool_execute_many (world, "SELECT 1", rows, &error), ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_null (sql_pool_run_batch (world, batch, DB_BATCH_NONE, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_null (sql_pool_begin (world, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
}

/* Quoting. */

static const char *const odd_texts[] = {
  "",
  " ",
  "plain",
  "it's",
  "''",
  "\\",
  "\\'",
  "\\\\'",
  "'; DROP TABLE t; --",
  "\"; DROP TABLE t; --",
  "\"\"",
  "$1",
  "$$x$$",
  "E'\\''",
  "a\nb\tc\r",
  "-- x",
  "/* x",
  "ä€😀",
  "\xef\xbf\xbe\xef\xbb\xbf",
  "\x01\x1f\x7f",
  "%s%n",
  "Upper lower",
};

static void
test_literals (SqlWorld *world)
{
  for (gsize i = 0; i < G_N_ELEMENTS (odd_texts); i++)
    {
      g_autofree char *literal = db_connection_quote_literal (world->connection, odd_texts[i]);
      g_autofree char *sql = g_strdup_printf ("SELECT %s, 7", literal);
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result = sql_query (world, sql, NULL, &error);

      g_assert_no_error (error);
      g_assert_cmpstr (db_result_get_text (result, 0, 0), ==, odd_texts[i]);
      g_assert_cmpint (db_result_get_int64 (result, 0, 1), ==, 7);
    }
  {
    g_autofree char *null = db_connection_quote_literal (world->connection, NULL);

    g_assert_cmpstr (null, ==, "NULL");
  }
  g_assert_null (db_connection_quote_literal (world->connection, "\xff"));
}

/* Also where the server takes backslashes in plain literals. */
static void
test_literals_nonstandard (SqlWorld *world)
{
  sql_do_script (world, "SET standard_conforming_strings = off; SET escape_string_warning = off");
  test_literals (world);
}

static void
test_identifiers (SqlWorld *world)
{
  sql_do (world, "CREATE TABLE t (x integer)");
  for (gsize i = 1; i < G_N_ELEMENTS (odd_texts); i++)
    {
      g_autofree char *name = db_connection_quote_identifier (world->connection, odd_texts[i]);
      g_autofree char *create = g_strdup_printf ("CREATE TABLE %s (%s integer)", name, name);
      g_autofree char *insert = g_strdup_printf ("INSERT INTO %s (%s) VALUES (5)", name, name);
      g_autofree char *select = g_strdup_printf ("SELECT %s FROM %s", name, name);
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result = NULL;

      sql_do (world, create);
      sql_do (world, insert);
      result = sql_query (world, select, NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (db_result_get_column_name (result, 0), ==, odd_texts[i]);
      g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 5);
    }
  g_assert_cmpint (sql_ask (world, "SELECT count(*) FROM t"), ==, 0); /* it is still there */
  g_assert_null (db_connection_quote_identifier (world->connection, ""));
  g_assert_null (db_connection_quote_identifier (world->connection, "\xff"));
}

/* Values are never SQL. */
static void
test_parameters_are_no_sql (SqlWorld *world)
{
  sql_do (world, "CREATE TABLE t (x text)");
  for (gsize i = 0; i < G_N_ELEMENTS (odd_texts); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result = NULL;

      g_assert_cmpint (sql_execute (world, "INSERT INTO t VALUES ($1)",
                                    g_variant_new ("(s)", odd_texts[i]), &error),
                       ==, 1);
      g_assert_no_error (error);
      result = sql_query (world, "SELECT x FROM t WHERE x = $1",
                          g_variant_new ("(s)", odd_texts[i]), &error);
      g_assert_no_error (error);
      g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
      g_assert_cmpstr (db_result_get_text (result, 0, 0), ==, odd_texts[i]);
    }
}

/* After the release too. */
static void
test_quote_released (SqlWorld *world)
{
  g_autofree char *literal = NULL;
  g_autofree char *name = NULL;

  db_connection_release (world->connection);
  literal = db_connection_quote_literal (world->connection, "it's");
  g_assert_cmpstr (literal, ==, "'it''s'");
  name = db_connection_quote_identifier (world->connection, "a\"b");
  g_assert_cmpstr (name, ==, "\"a\"\"b\"");
}

/* COPY. */

static void
test_copy (SqlWorld *world)
{
  static const char *const copies[] = {
    "COPY t FROM STDIN",
    "COPY t TO STDOUT",
    "COPY (SELECT * FROM generate_series (1, 1000000)) TO STDOUT",
  };
  gint64 pid = sql_ask (world, "SELECT pg_backend_pid ()");

  sql_do (world, "CREATE TABLE t (x integer)");
  sql_do (world, "INSERT INTO t VALUES (1), (2)");
  for (gsize i = 0; i < G_N_ELEMENTS (copies); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DbTransaction) transaction = NULL;

      sql_assert_fails (world, copies[i], NULL, DB_ERROR_NOT_SUPPORTED, "COPY");
      sql_assert_usable (world);
      g_assert_false (sql_script (world, copies[i], &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED);
      g_clear_error (&error);
      sql_assert_usable (world);
      g_assert_null (sql_open_cursor (world, copies[i], NULL, 1, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED);
      sql_assert_usable (world);
      transaction = sql_must_begin (world);
      sql_assert_fails (world, copies[i], NULL, DB_ERROR_NOT_SUPPORTED, "COPY");
      sql_must_roll_back (world, transaction);
    }
  g_assert_cmpint (sql_ask (world, "SELECT pg_backend_pid ()"), ==, pid);
  g_assert_cmpint (sql_ask (world, "SELECT count(*) FROM t"), ==, 2);
}

/* A session that the server ends. */
static void
test_killed (SqlWorld *world)
{
  g_autofree char *kill = NULL;
  g_autoptr (DbTransaction) transaction = sql_must_begin (world);
  g_autoptr (DbCursor) cursor = sql_must_open (world, "SELECT * FROM generate_series (1, 10)", 2);
  g_autoptr (DbConnection) other = sql_acquire (world);
  g_autoptr (GError) error = NULL;

  g_object_unref (sql_must_fetch (world, cursor, 2));
  kill = g_strdup_printf ("SELECT pg_terminate_backend (%d, 5000)",
                          (int) sql_ask (world, "SELECT pg_backend_pid ()"));
  db_connection_execute (other, kill, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_null (sql_fetch (world, cursor, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
  g_clear_error (&error);
  g_assert_null (sql_query (world, "SELECT 1", NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
  g_clear_error (&error);
  g_clear_object (&cursor);
  g_assert_false (sql_commit (world, transaction, &error));
  g_assert_nonnull (error);
  g_clear_object (&transaction);
  g_clear_object (&world->connection);
  world->connection = sql_acquire (world);
  sql_assert_usable (world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  sql_add ("misuse/released", SQL_EVERYWHERE, test_released);
  sql_add ("misuse/without-error", SQL_EVERYWHERE, test_without_error);
  sql_add ("misuse/two-threads", SQL_ASYNC, test_two_threads);
  sql_add ("misuse/hammer", SQL_BLOCKING, test_hammer);
  sql_add ("misuse/closed-pool", SQL_EVERYWHERE, test_closed_pool);
  sql_add ("misuse/literals", SQL_EVERYWHERE, test_literals);
  sql_add ("misuse/literals-nonstandard", SQL_ON_POSTGRES, test_literals_nonstandard);
  sql_add ("misuse/identifiers", SQL_EVERYWHERE, test_identifiers);
  sql_add ("misuse/parameters-are-no-sql", SQL_EVERYWHERE, test_parameters_are_no_sql);
  sql_add ("misuse/quote-released", SQL_EVERYWHERE, test_quote_released);
  sql_add ("misuse/copy", SQL_ON_POSTGRES, test_copy);
  sql_add ("misuse/killed", SQL_ON_POSTGRES, test_killed);
  return g_test_run ();
}
