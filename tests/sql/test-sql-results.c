/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Results: a list model of rows, columns and their types, and a life of their own. */

#include "config.h"

#include "sql-fixture.h"

static DbResult *
must_query (SqlWorld *world, const char *sql)
{
  g_autoptr (GError) error = NULL;
  DbResult *result = sql_query (world, sql, NULL, &error);

  g_assert_no_error (error);
  return result;
}

/* The same row while somebody holds it. */
static void
test_list_model (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (3);
  g_autoptr (DbResult) result = must_query (world, sql);
  g_autoptr (DbRow) row = g_list_model_get_item (G_LIST_MODEL (result), 1);
  g_autoptr (DbRow) again = g_list_model_get_item (G_LIST_MODEL (result), 1);
  g_autoptr (DbRow) other = g_list_model_get_item (G_LIST_MODEL (result), 2);

  g_assert_cmpuint (g_list_model_get_item_type (G_LIST_MODEL (result)), ==, DB_TYPE_ROW);
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (result)), ==, 3);
  g_assert_null (g_list_model_get_item (G_LIST_MODEL (result), 3));
  g_assert_true (row == again);
  g_assert_false (row == other);
  g_assert_cmpuint (db_row_get_position (row), ==, 1);
  g_assert_cmpint (db_row_get_int64 (row, 0), ==, 2);
  g_assert_true (db_row_get_result (row) == result);
}

static void
test_columns (SqlWorld *world)
{
  g_autoptr (DbResult) result = NULL;

  sql_do (world, "CREATE TABLE t (n bigint, r double precision, s text, f boolean)");
  sql_do (world, "INSERT INTO t VALUES (1, 1.5, 'a', true), (NULL, NULL, NULL, NULL)");
  result = must_query (world, "SELECT n, r, s, f, n + 1 AS \"a b\" FROM t ORDER BY n IS NULL");
  g_assert_cmpuint (db_result_get_n_columns (result), ==, 5);
  g_assert_cmpstr (db_result_get_column_name (result, 4), ==, "a b");
  g_assert_cmpint (db_result_find_column (result, "s"), ==, 2);
  g_assert_cmpint (db_result_find_column (result, "z"), ==, -1);
  g_assert_cmpint (db_result_get_column_type (result, 0), ==, DB_VALUE_TYPE_INT64);
  g_assert_cmpint (db_result_get_column_type (result, 1), ==, DB_VALUE_TYPE_DOUBLE);
  g_assert_cmpint (db_result_get_column_type (result, 2), ==, DB_VALUE_TYPE_TEXT);
  g_assert_cmpint (db_result_get_column_type (result, 3), ==, DB_VALUE_TYPE_BOOLEAN);
  g_assert_cmpint (db_result_get_int64 (result, 0, 4), ==, 2);
  g_assert_true (db_result_get_boolean (result, 0, 3));
  for (guint column = 0; column < 5; column++)
    {
      g_assert_false (db_result_is_null (result, 0, column));
      g_assert_true (db_result_is_null (result, 1, column));
      g_assert_cmpint (db_result_get_cell_type (result, 1, column), ==, DB_VALUE_TYPE_NULL);
      g_assert_null (db_result_get_text (result, 1, column));
    }
}

static void
test_mixed (SqlWorld *world)
{
  g_autoptr (DbResult) result =
    must_query (world, "SELECT 1 AS x UNION ALL SELECT 'two' UNION ALL SELECT 3.5 "
                       "UNION ALL SELECT NULL UNION ALL SELECT x'00ff'");

  g_assert_cmpint (db_result_get_column_type (result, 0), ==, DB_VALUE_TYPE_MIXED);
  g_assert_cmpint (db_result_get_cell_type (result, 0, 0), ==, DB_VALUE_TYPE_INT64);
  g_assert_cmpint (db_result_get_cell_type (result, 1, 0), ==, DB_VALUE_TYPE_TEXT);
  g_assert_cmpint (db_result_get_cell_type (result, 2, 0), ==, DB_VALUE_TYPE_DOUBLE);
  g_assert_cmpint (db_result_get_cell_type (result, 3, 0), ==, DB_VALUE_TYPE_NULL);
  g_assert_cmpint (db_result_get_cell_type (result, 4, 0), ==, DB_VALUE_TYPE_BYTES);
  g_assert_cmpstr (db_result_get_text (result, 1, 0), ==, "two");
}

static void
test_empty (SqlWorld *world)
{
  g_autoptr (DbResult) result = NULL;

  sql_do (world, "CREATE TABLE t (n bigint, s text)");
  result = must_query (world, "SELECT n, s FROM t");
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 0);
  g_assert_cmpuint (db_result_get_n_columns (result), ==, 2);
  g_assert_cmpstr (db_result_get_column_name (result, 1), ==, "s");
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (result)), ==, 0);
  g_assert_null (g_list_model_get_item (G_LIST_MODEL (result), 0));
}

#define MANY 100000

static void
test_large (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (MANY);
  g_autoptr (DbResult) result = must_query (world, sql);
  g_autofree gint64 *values = NULL;
  gsize n;

  g_assert_cmpuint (db_result_get_n_rows (result), ==, MANY);
  values = db_result_get_column_int64s (result, 0, &n);
  g_assert_cmpuint (n, ==, MANY);
  for (guint i = 0; i < MANY; i++)
    g_assert_cmpint (values[i], ==, (gint64) i + 1);
  g_assert_cmpstr (db_result_get_text (result, MANY - 1, 0), ==, "100000");
}

/* A result needs neither its connection nor its pool; nor does a row need its result. */
static void
test_outlives (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (1000);
  DbResult *result = must_query (world, sql);
  g_autoptr (DbRow) row = NULL;
  g_autoptr (GError) error = NULL;

  if (world->postgres)
    {
      g_autofree char *drop = g_strdup_printf ("DROP SCHEMA %s", world->schema);

      sql_do (world, drop);
    }
  g_clear_object (&world->connection);
  db_pool_close (world->pool, 5 * G_TIME_SPAN_SECOND, NULL, &error);
  g_assert_no_error (error);
  g_clear_object (&world->pool);
  g_assert_cmpint (db_result_get_int64 (result, 999, 0), ==, 1000);
  row = g_list_model_get_item (G_LIST_MODEL (result), 500);
  g_object_unref (result);
  g_assert_cmpint (db_row_get_int64 (row, 0), ==, 501);
  g_assert_cmpstr (db_row_get_text (row, 0), ==, "501");
}

static gpointer
read_thread (gpointer data)
{
  DbResult *result = data;
  gint64 sum = 0;

  for (guint i = 0; i < db_result_get_n_rows (result); i++)
    {
      g_autoptr (DbRow) row = g_list_model_get_item (G_LIST_MODEL (result), i);

      sum += db_row_get_int64 (row, 0);
      g_assert_cmpint (g_ascii_strtoll (db_row_get_text (row, 0), NULL, 10), ==, (gint64) i + 1);
    }
  return GSIZE_TO_POINTER ((gsize) sum);
}

/* Texts of numbers are made when they are asked for, and rows too. */
static void
test_threads (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (5000);
  g_autoptr (DbResult) result = must_query (world, sql);
  GThread *threads[2];

  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("read", read_thread, result);
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    g_assert_cmpuint (GPOINTER_TO_SIZE (g_thread_join (threads[i])), ==, 5000 * 5001 / 2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  sql_add ("results/list-model", SQL_EVERYWHERE, test_list_model);
  sql_add ("results/columns", SQL_EVERYWHERE, test_columns);
  sql_add ("results/mixed", SQL_ON_SQLITE, test_mixed);
  sql_add ("results/empty", SQL_EVERYWHERE, test_empty);
  sql_add ("results/large", SQL_EVERYWHERE, test_large);
  sql_add ("results/outlives", SQL_EVERYWHERE, test_outlives);
  sql_add ("results/threads", SQL_EVERYWHERE, test_threads);
  return g_test_run ();
}
