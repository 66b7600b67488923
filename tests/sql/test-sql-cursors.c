/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Cursors: which rows come in which fetch, and what may be done in between. How cursors end before
 * their time is in test-sql-cursor-ends.c. */

#include "config.h"

#include "sql-fixture.h"

#define COUNT "SELECT count(*) FROM t"

static void
create_table (SqlWorld *world)
{
  sql_do (world, "CREATE TABLE t (x integer)");
}

/* The rows of a cursor over the numbers from 1 to n, all of them. */
static void
read_all (SqlWorld *world, guint n, guint batch_size)
{
  g_autofree char *sql = sql_numbers (n);
  g_autoptr (DbCursor) cursor = sql_must_open (world, sql, batch_size);
  guint n_read = 0;

  g_assert_cmpuint (db_cursor_get_batch_size (cursor), ==, batch_size);
  g_assert_true (db_cursor_get_connection (cursor) == world->connection);
  while (n_read < n)
    {
      guint n_expected = MIN (batch_size, n - n_read);
      g_autoptr (DbResult) rows = NULL;

      g_assert_false (db_cursor_is_done (cursor));
      rows = sql_must_fetch (world, cursor, n_expected);
      g_assert_cmpstr (db_result_get_column_name (rows, 0), ==, "x");
      for (guint i = 0; i < n_expected; i++)
        g_assert_cmpint (db_result_get_int64 (rows, i, 0), ==, ++n_read);
    }
  for (int i = 0; i < 3; i++)
    g_object_unref (sql_must_fetch (world, cursor, 0));
  g_assert_true (db_cursor_is_done (cursor));
  g_assert_false (sql_in_transaction (world)); /* it ended with its last row */
}

static void
test_sizes (SqlWorld *world)
{
  read_all (world, 10, 1);
  read_all (world, 10, 7);
  read_all (world, 10, 5);
  read_all (world, 10, 10);
  read_all (world, 10, 9);
  read_all (world, 10, 11);
  read_all (world, 10, G_MAXINT);
  read_all (world, 1, 1);
  sql_assert_usable (world);
}

static void
test_many_rows (SqlWorld *world)
{
  read_all (world, 100000, 1000);
}

static void
test_no_rows (SqlWorld *world)
{
  g_autoptr (DbCursor) cursor = NULL;

  create_table (world);
  cursor = sql_must_open (world, "SELECT x FROM t", 5);
  g_object_unref (sql_must_fetch (world, cursor, 0));
  g_assert_true (db_cursor_is_done (cursor));
  sql_assert_usable (world);
}

static void
test_batch_size_0 (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (sql_open_cursor (world, "SELECT 1", NULL, 0, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  sql_assert_usable (world);
}

static void
test_params (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbCursor) cursor =
    sql_open_cursor (world,
                     "WITH RECURSIVE c (x) AS (SELECT CAST ($2 AS integer) UNION ALL SELECT x + 1 "
                     "FROM c WHERE x < CAST ($1 AS integer)) SELECT x FROM c",
                     g_variant_new ("(ii)", 25, 21), 3, &error);
  g_autoptr (DbResult) first = NULL;
  g_autoptr (DbResult) second = NULL;

  g_assert_no_error (error);
  first = sql_must_fetch (world, cursor, 3);
  g_assert_cmpint (db_result_get_int64 (first, 0, 0), ==, 21);
  second = sql_must_fetch (world, cursor, 2);
  g_assert_cmpint (db_result_get_int64 (second, 1, 0), ==, 25);
  sql_assert_usable (world);

  g_assert_null (sql_open_cursor (world, "SELECT CAST ($1 AS integer)", NULL, 3, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  sql_assert_usable (world);
}

/* A statement with a semicolon, a comment, or in parentheses. */
static void
test_texts (SqlWorld *world)
{
  static const char *const texts[] = {
    "SELECT 1;",
    "SELECT 1 -- one",
    "/* one */ SELECT 1 ;  ",
    "VALUES (1)",
    "WITH a AS (SELECT 1) SELECT * FROM a",
    "\n\tselect 1",
  };

  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (DbCursor) cursor = sql_must_open (world, texts[i], 10);
      g_autoptr (DbResult) rows = sql_must_fetch (world, cursor, 1);

      g_assert_cmpint (db_result_get_int64 (rows, 0, 0), ==, 1);
    }
  sql_assert_usable (world);
}

/* In between. */

static void
test_reads_between (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (5);
  g_autoptr (DbCursor) cursor = sql_must_open (world, sql, 1);

  for (int i = 1; i <= 5; i++)
    {
      g_autoptr (DbResult) rows = sql_must_fetch (world, cursor, 1);

      g_assert_cmpint (db_result_get_int64 (rows, 0, 0), ==, i);
      g_assert_cmpint (sql_ask (world, "SELECT 6 * 7"), ==, 42);
    }
  g_object_unref (sql_must_fetch (world, cursor, 0));
  sql_assert_usable (world);
}

/* They last, and are seen by others at the latest when the cursor has ended. */
static void
test_writes_between (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (5);
  g_autoptr (DbCursor) cursor = NULL;

  create_table (world);
  cursor = sql_must_open (world, sql, 2);
  for (guint i = 0; i < 3; i++)
    {
      g_object_unref (sql_must_fetch (world, cursor, i < 2 ? 2 : 1));
      g_assert_cmpint (sql_do (world, "INSERT INTO t VALUES (1)"), ==, 1);
    }
  g_object_unref (sql_must_fetch (world, cursor, 0));
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 3);
  sql_assert_usable (world);
}

/* A cursor shows the rows of when it was opened. */
static void
test_does_not_see_writes (SqlWorld *world)
{
  g_autoptr (DbCursor) cursor = NULL;

  create_table (world);
  sql_do (world, "INSERT INTO t VALUES (1), (2), (3), (4)");
  cursor = sql_must_open (world, "SELECT x FROM t ORDER BY x", 2);
  g_object_unref (sql_must_fetch (world, cursor, 2));
  {
    g_autoptr (DbConnection) other = sql_acquire (world);
    g_autoptr (GError) error = NULL;

    db_connection_execute (other, "INSERT INTO t VALUES (5), (6), (7)", NULL, NULL, &error);
    g_assert_no_error (error);
  }
  g_object_unref (sql_must_fetch (world, cursor, 2));
  g_object_unref (sql_must_fetch (world, cursor, 0));
  g_assert_cmpint (sql_ask (world, COUNT), ==, 7);
}

static void
test_two (SqlWorld *world)
{
  g_autofree char *five = sql_numbers (5);
  g_autofree char *eight = sql_numbers (8);
  g_autoptr (DbCursor) a = sql_must_open (world, five, 2);
  g_autoptr (DbCursor) b = sql_must_open (world, eight, 3);
  g_autoptr (DbResult) rows = NULL;

  g_object_unref (sql_must_fetch (world, a, 2));
  g_object_unref (sql_must_fetch (world, b, 3));
  g_object_unref (sql_must_fetch (world, a, 2));
  g_object_unref (sql_must_fetch (world, a, 1));
  g_object_unref (sql_must_fetch (world, a, 0));
  rows = sql_must_fetch (world, b, 3);
  g_assert_cmpint (db_result_get_int64 (rows, 0, 0), ==, 4);
  g_clear_object (&a);
  a = sql_must_open (world, five, 2);
  g_object_unref (sql_must_fetch (world, a, 2));
  g_clear_object (&a); /* half-read, while the other one goes on */
  g_object_unref (sql_must_fetch (world, b, 2));
  g_object_unref (sql_must_fetch (world, b, 0));
  sql_assert_usable (world);
}

/* In transactions. */

static void
test_in_transaction (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (5);
  g_autoptr (DbTransaction) transaction = NULL;
  g_autoptr (DbCursor) cursor = NULL;

  create_table (world);
  transaction = sql_must_begin (world);
  sql_do (world, "INSERT INTO t VALUES (1)");
  cursor = sql_must_open (world, sql, 2);
  g_object_unref (sql_must_fetch (world, cursor, 2));
  sql_do (world, "INSERT INTO t VALUES (1)");
  g_clear_object (&cursor);
  sql_do (world, "INSERT INTO t VALUES (1)");
  g_assert_true (sql_in_transaction (world)); /* which is not the cursor's to end */
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 0);
  sql_must_commit (world, transaction);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 3);
  sql_assert_usable (world);
}

static void
assert_fetch_fails (SqlWorld *world, DbCursor *cursor, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (sql_fetch (world, cursor, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_assert_nonnull (strstr (error->message, text));
}

static void
test_transaction_ends (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (5);

  create_table (world);
  for (int i = 0; i < 3; i++)
    {
      g_autoptr (DbTransaction) transaction = sql_must_begin (world);
      g_autoptr (DbCursor) cursor = sql_must_open (world, sql, 2);

      g_object_unref (sql_must_fetch (world, cursor, 2));
      sql_do (world, "INSERT INTO t VALUES (1)");
      if (i == 0)
        sql_must_commit (world, transaction);
      else if (i == 1)
        sql_must_roll_back (world, transaction);
      else
        g_clear_object (&transaction);
      assert_fetch_fails (world, cursor, "ended with the transaction");
      g_assert_true (db_cursor_is_done (cursor));
      sql_assert_usable (world);
      assert_fetch_fails (world, cursor, "ended");
    }
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 1);
}

static void
test_savepoint_ends (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (5);
  g_autoptr (DbTransaction) outer = NULL;
  g_autoptr (DbTransaction) inner = NULL;
  g_autoptr (DbCursor) around = NULL;
  g_autoptr (DbCursor) inside = NULL;
  g_autoptr (DbResult) rows = NULL;

  create_table (world);
  outer = sql_must_begin (world);
  around = sql_must_open (world, sql, 2);
  g_object_unref (sql_must_fetch (world, around, 2));
  inner = sql_must_begin (world);
  inside = sql_must_open (world, sql, 2);
  g_object_unref (sql_must_fetch (world, inside, 2));
  sql_do (world, "INSERT INTO t VALUES (1)");
  sql_must_roll_back (world, inner);
  assert_fetch_fails (world, inside, "ended with the transaction");
  g_clear_object (&inside);
  rows = sql_must_fetch (world, around, 2);
  g_assert_cmpint (db_result_get_int64 (rows, 0, 0), ==, 3);
  sql_do (world, "INSERT INTO t VALUES (1)");
  sql_must_commit (world, outer);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 1);
  sql_assert_usable (world);
}

/* A guard that is dropped takes the cursor with it, whatever is dropped first. */
static void
test_savepoint_dropped (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (5);
  g_autoptr (DbTransaction) outer = NULL;

  create_table (world);
  outer = sql_must_begin (world);
  for (int i = 0; i < 2; i++)
    {
      g_autoptr (DbTransaction) inner = sql_must_begin (world);
      g_autoptr (DbCursor) cursor = sql_must_open (world, sql, 2);

      g_object_unref (sql_must_fetch (world, cursor, 2));
      sql_do (world, "INSERT INTO t VALUES (1)");
      if (i == 0)
        g_clear_object (&cursor);
      else
        g_clear_object (&inner);
    }
  sql_do (world, "INSERT INTO t VALUES (1)");
  sql_must_commit (world, outer);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 1);
}

/* What cannot be declared. */

static void
test_returning (SqlWorld *world)
{
  g_autoptr (DbCursor) cursor = NULL;
  g_autoptr (DbResult) rows = NULL;

  create_table (world);
  cursor = sql_must_open (world, "INSERT INTO t VALUES (1), (2), (3) RETURNING x * 10 AS y", 2);
  rows = sql_must_fetch (world, cursor, 2);
  g_assert_cmpint (db_result_get_int64 (rows, 1, 0), ==, 20);
  g_clear_object (&rows);
  rows = sql_must_fetch (world, cursor, 1);
  g_assert_cmpint (db_result_get_int64 (rows, 0, 0), ==, 30);
  g_object_unref (sql_must_fetch (world, cursor, 0));
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 3);
  sql_assert_usable (world);
}

/* While its rows are read PostgreSQL takes nothing else. */
static void
test_returning_is_in_the_way (SqlWorld *world)
{
  g_autoptr (DbCursor) cursor = NULL;
  g_autoptr (GError) error = NULL;

  create_table (world);
  cursor = sql_must_open (world, "INSERT INTO t VALUES (1), (2), (3) RETURNING x", 1);
  g_object_unref (sql_must_fetch (world, cursor, 1));
  if (world->postgres)
    {
      g_assert_null (sql_query (world, "SELECT 1", NULL, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
      g_clear_error (&error);
      g_assert_null (sql_begin (world, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
      g_clear_error (&error);
      g_assert_null (sql_open_cursor (world, "SELECT 1", NULL, 1, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
    }
  else
    g_assert_cmpint (sql_ask (world, COUNT), ==, 3);
  g_object_unref (sql_must_fetch (world, cursor, 1)); /* that took nothing from it */
  g_object_unref (sql_must_fetch (world, cursor, 1));
  g_object_unref (sql_must_fetch (world, cursor, 0));
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 3);
  sql_assert_usable (world);
}

static void
test_returning_half_read (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;

  create_table (world);
  for (int i = 0; i < 3; i++)
    {
      g_autoptr (DbCursor) cursor =
        sql_must_open (world, "INSERT INTO t VALUES (1), (2), (3) RETURNING x", 1);

      if (i > 0)
        g_object_unref (sql_must_fetch (world, cursor, 1));
      if (i > 1)
        {
          g_assert_true (sql_close_cursor (world, cursor, &error));
          g_assert_no_error (error);
        }
    }
  g_assert_cmpint (sql_ask (world, COUNT), ==, 9);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 9);
  sql_assert_usable (world);
}

static void
test_returning_in_transaction (SqlWorld *world)
{
  g_autoptr (DbTransaction) transaction = NULL;
  g_autoptr (DbCursor) cursor = NULL;

  create_table (world);
  transaction = sql_must_begin (world);
  cursor = sql_must_open (world, "INSERT INTO t VALUES (1), (2), (3) RETURNING x", 1);
  g_object_unref (sql_must_fetch (world, cursor, 1));
  g_clear_object (&cursor);
  g_assert_cmpint (sql_ask (world, COUNT), ==, 3);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 0);
  sql_must_commit (world, transaction);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 3);
}

static void
test_explain (SqlWorld *world)
{
  g_autoptr (DbCursor) cursor =
    sql_must_open (world, world->postgres ? "EXPLAIN SELECT 1" : "EXPLAIN QUERY PLAN SELECT 1",
                   100);
  g_autoptr (DbResult) rows = sql_must_fetch (world, cursor, 1);

  g_object_unref (sql_must_fetch (world, cursor, 0));
  sql_assert_usable (world);
}

static void
test_without_rows (SqlWorld *world)
{
  g_autoptr (DbCursor) cursor = NULL;

  create_table (world);
  cursor = sql_must_open (world, "INSERT INTO t VALUES (1)", 10);
  g_object_unref (sql_must_fetch (world, cursor, 0));
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 1);
  sql_assert_usable (world);
}

/* Asynchronous fetches are served in their order. */
static void
test_back_to_back (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (9);
  g_autoptr (DbCursor) cursor = sql_must_open (world, sql, 2);
  GAsyncResult *kept[7] = {NULL};
  gint64 next = 0;

  for (gsize i = 0; i < G_N_ELEMENTS (kept); i++)
    db_cursor_fetch_async (cursor, NULL, sql_keep_cb, &kept[i]);
  for (gsize i = 0; i < G_N_ELEMENTS (kept); i++)
    {
      g_autoptr (GAsyncResult) result = sql_wait (world, &kept[i]);
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) rows = db_cursor_fetch_finish (cursor, result, &error);

      g_assert_no_error (error);
      g_assert_cmpuint (db_result_get_n_rows (rows), ==, i < 4 ? 2 : i == 4 ? 1 : 0);
      for (guint row = 0; row < db_result_get_n_rows (rows); row++)
        g_assert_cmpint (db_result_get_int64 (rows, row, 0), ==, ++next);
    }
  sql_assert_usable (world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  sql_add ("cursors/sizes", SQL_EVERYWHERE, test_sizes);
  sql_add ("cursors/many-rows", SQL_EVERYWHERE, test_many_rows);
  sql_add ("cursors/no-rows", SQL_EVERYWHERE, test_no_rows);
  sql_add ("cursors/batch-size-0", SQL_EVERYWHERE, test_batch_size_0);
  sql_add ("cursors/params", SQL_EVERYWHERE, test_params);
  sql_add ("cursors/texts", SQL_EVERYWHERE, test_texts);
  sql_add ("cursors/reads-between", SQL_EVERYWHERE, test_reads_between);
  sql_add ("cursors/writes-between", SQL_EVERYWHERE, test_writes_between);
  sql_add ("cursors/does-not-see-writes", SQL_EVERYWHERE, test_does_not_see_writes);
  sql_add ("cursors/two", SQL_EVERYWHERE, test_two);
  sql_add ("cursors/in-transaction", SQL_EVERYWHERE, test_in_transaction);
  sql_add ("cursors/transaction-ends", SQL_EVERYWHERE, test_transaction_ends);
  sql_add ("cursors/savepoint-ends", SQL_EVERYWHERE, test_savepoint_ends);
  sql_add ("cursors/savepoint-dropped", SQL_EVERYWHERE, test_savepoint_dropped);
  sql_add ("cursors/returning", SQL_EVERYWHERE, test_returning);
  sql_add ("cursors/returning-is-in-the-way", SQL_EVERYWHERE, test_returning_is_in_the_way);
  sql_add ("cursors/returning-half-read", SQL_EVERYWHERE, test_returning_half_read);
  sql_add ("cursors/returning-in-transaction", SQL_EVERYWHERE, test_returning_in_transaction);
  sql_add ("cursors/explain", SQL_EVERYWHERE, test_explain);
  sql_add ("cursors/without-rows", SQL_EVERYWHERE, test_without_rows);
  sql_add ("cursors/back-to-back", SQL_ASYNC, test_back_to_back);
  return g_test_run ();
}
