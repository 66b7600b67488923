/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* max-sql-length and max-result-size: what is refused, what the error says, what is left of the
 * statement, and how much memory a result that is far too large takes until it is given up. */

#include "config.h"

#include "sql-fixture.h"

#include <stdio.h>

#define LIMIT 100000
#define COUNT "SELECT count(*) FROM t"

/* Rows of 1000 letters and a little more. */
#define LONG_ROWS(n)                                                                               \
  "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < " n ") "              \
  "SELECT CAST(x AS varchar(10)) || '" LETTERS "' AS row FROM c"
#define LONG_ROWS_WITH_ID                                                                          \
  "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 200) "                \
  "SELECT x, '" LETTERS "' FROM c"
#define LETTERS TEN_TIMES (TEN_TIMES ("abcdefghij"))
#define TEN_TIMES(text) text text text text text text text text text text

static void
set_limit (SqlWorld *world, const char *name, guint value)
{
  g_object_set (db_pool_get_config (world->pool), name, value, NULL);
}

static void
assert_limit_error (SqlWorld *world, GError **error, const char *setting)
{
  g_assert_error (*error, DB_ERROR, DB_ERROR_LIMIT);
  g_assert_nonnull (strstr ((*error)->message, setting));
  g_assert_nonnull (strstr ((*error)->message, db_pool_get_name (world->pool)));
  g_clear_error (error);
}

static guint64
count_queries (SqlWorld *world)
{
  g_autoptr (DbMetricsSummary) summary =
    db_metrics_collector_get_summary (db_pool_get_metrics (world->pool), DB_METRIC_QUERY);

  return db_metrics_summary_get_count (summary);
}

static char *
make_sql (gsize length)
{
  char *sql = g_strnfill (length, ' ');

  memcpy (sql, "SELECT 1", strlen ("SELECT 1"));
  return sql;
}

/* Texts. */

static void
test_sql_length (SqlWorld *world)
{
  g_autofree char *fits = make_sql (100);
  g_autofree char *longer = make_sql (101);
  g_autoptr (GError) error = NULL;

  set_limit (world, "max-sql-length", 100);
  g_assert_cmpint (sql_ask (world, fits), ==, 1);
  g_assert_null (sql_query (world, longer, NULL, &error));
  g_assert_nonnull (strstr (error->message, "101"));
  g_assert_nonnull (strstr (error->message, "100"));
  assert_limit_error (world, &error, "max-sql-length");
  g_assert_null (db_connection_get_last_error_info (world->connection));
  sql_assert_usable (world);

  /* from the next statement on */
  set_limit (world, "max-sql-length", 0);
  g_assert_cmpint (sql_ask (world, longer), ==, 1);
}

static void
test_sql_length_everywhere (SqlWorld *world)
{
  g_autofree char *longer = make_sql (101);
  g_autoptr (DbParams) rows = db_params_new ();
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (GError) error = NULL;
  guint64 n_queries;

  set_limit (world, "max-sql-length", 100);
  n_queries = count_queries (world);
  g_assert_cmpint (sql_execute (world, longer, NULL, &error), ==, -1);
  assert_limit_error (world, &error, "max-sql-length");
  g_assert_false (sql_script (world, longer, &error));
  assert_limit_error (world, &error, "max-sql-length");
  g_assert_null (sql_describe (world, longer, &error));
  assert_limit_error (world, &error, "max-sql-length");
  g_assert_null (sql_open_cursor (world, longer, NULL, 1, &error));
  assert_limit_error (world, &error, "max-sql-length");
  g_assert_null (sql_pool_query (world, longer, NULL, &error));
  assert_limit_error (world, &error, "max-sql-length");
  /* the database has not been asked */
  g_assert_cmpuint (count_queries (world), ==, n_queries);

  db_params_add_int64 (rows, 1);
  g_assert_cmpint (sql_execute_many (world, longer, rows, &error), ==, -1);
  assert_limit_error (world, &error, "max-sql-length");
  g_assert_cmpint (sql_pool_execute_many (world, longer, rows, &error), ==, -1);
  assert_limit_error (world, &error, "max-sql-length");
  sql_assert_usable (world);

  sql_do (world, "CREATE TABLE t (id integer)");
  db_batch_add (batch, "INSERT INTO t VALUES (1)", NULL);
  db_batch_add (batch, longer, NULL);
  g_assert_null (sql_run_batch (world, batch, DB_BATCH_INDEPENDENT, &error));
  g_assert_nonnull (strstr (error->message, "statement 2 of the batch"));
  assert_limit_error (world, &error, "max-sql-length");
  g_assert_null (sql_pool_run_batch (world, batch, DB_BATCH_NONE, &error));
  assert_limit_error (world, &error, "max-sql-length");
  g_assert_cmpint (sql_ask (world, COUNT), ==, 0);
  sql_assert_usable (world);
}

/* What dbpool itself says is longer than what the application may. */
static void
test_sql_length_own (SqlWorld *world)
{
  g_autoptr (DbTransaction) transaction = NULL;
  g_autoptr (DbCursor) cursor = NULL;
  g_autoptr (DbResult) rows = NULL;
  g_autoptr (GError) error = NULL;

  set_limit (world, "max-sql-length", 8);
  transaction = sql_begin (world, DB_ISOLATION_SERIALIZABLE, DB_TRANSACTION_NONE, &error);
  g_assert_no_error (error);
  cursor = sql_must_open (world, "SELECT 1", 10);
  rows = sql_must_fetch (world, cursor, 1);
  sql_must_commit (world, transaction);
  sql_borrow_again (world);
  g_assert_cmpint (sql_ask (world, "SELECT 1"), ==, 1);
  set_limit (world, "max-sql-length", 0);
}

/* Results. */

static void
test_result_size (SqlWorld *world)
{
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;

  set_limit (world, "max-result-size", LIMIT);
  result = sql_query (world, LONG_ROWS ("90"), NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 90);
  g_assert_cmpstr (db_result_get_text (result, 89, 0), ==, "90" LETTERS);

  g_assert_null (sql_query (world, LONG_ROWS ("110"), NULL, &error));
  g_assert_nonnull (strstr (error->message, "100000"));
  g_assert_nonnull (strstr (error->message, "cursor"));
  assert_limit_error (world, &error, "max-result-size");
  sql_assert_usable (world);
  g_assert_null (sql_query (world, LONG_ROWS ("2000000"), NULL, &error));
  assert_limit_error (world, &error, "max-result-size");
  sql_assert_usable (world);
  g_assert_null (sql_pool_query (world, LONG_ROWS ("110"), NULL, &error));
  assert_limit_error (world, &error, "max-result-size");

  set_limit (world, "max-result-size", 0);
  g_clear_object (&result);
  result = sql_query (world, LONG_ROWS ("110"), NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 110);
}

/* Numbers, NULLs and columns count as well. */
static void
test_result_size_of_cells (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (20000);
  g_autofree char *fewer = sql_numbers (10000);
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;

  set_limit (world, "max-result-size", LIMIT);
  g_assert_null (sql_query (world, sql, NULL, &error));
  assert_limit_error (world, &error, "max-result-size");
  result = sql_query (world, fewer, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 10000);
  g_assert_cmpint (db_result_get_int64 (result, 9999, 0), ==, 10000);
}

/* What is not kept needs no limit. */
static void
test_result_size_not_wanted (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;

  set_limit (world, "max-result-size", LIMIT);
  g_assert_cmpint (sql_execute (world, LONG_ROWS ("1000"), NULL, &error), ==, 0);
  g_assert_no_error (error);
  sql_do_script (world, "CREATE TABLE t (id integer);" LONG_ROWS ("1000") "; " LONG_ROWS ("1000"));
  sql_assert_usable (world);
  g_assert_cmpint (sql_ask (world, COUNT), ==, 0);
}

/* A statement without rows, one with none, and one row, with a limit. */
static void
test_result_size_small (SqlWorld *world)
{
  g_autoptr (DbResult) result = NULL;
  g_autoptr (DbResult) none = NULL;
  g_autoptr (GError) error = NULL;

  set_limit (world, "max-result-size", LIMIT);
  g_assert_cmpint (sql_do (world, "CREATE TABLE t (id integer, name text)"), ==, 0);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpint (sql_do (world, "INSERT INTO t VALUES (1, 'one')"), ==, 1);
  for (guint i = 0; i < 3; i++)
    {
      g_clear_object (&result);
      result = sql_query (world, "UPDATE t SET id = 2 RETURNING id, name", NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpuint (db_result_get_n_rows (result), ==, 3);
      g_assert_cmpint (db_result_get_rows_affected (result), ==, 3);
      g_assert_cmpstr (db_result_get_text (result, 2, 1), ==, "one");
    }
  none = sql_query (world, "SELECT id, name FROM t WHERE id = 7", NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (none), ==, 0);
  g_assert_cmpuint (db_result_get_n_columns (none), ==, 2);
  g_assert_cmpstr (db_result_get_column_name (none, 1), ==, "name");
  g_assert_cmpint (db_result_get_rows_affected (none), ==, -1);
  sql_assert_fails (world, "SELECT * FROM no_such_table", NULL, DB_ERROR_QUERY, "no_such_table");
  sql_assert_usable (world);
}

/* Everything that a statement changes is undone with it. */
static void
test_result_size_returning (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbTransaction) transaction = NULL;

  sql_do (world, "CREATE TABLE t (id integer PRIMARY KEY, name text)");
  set_limit (world, "max-result-size", 2000);
  for (guint i = 0; i < 20; i++)
    {
      /* Small enough to be all on its way before anybody could be told to stop. */
      g_assert_null (sql_query (world,
                                "INSERT INTO t VALUES (1, '" LETTERS "'), (2, '" LETTERS "'), "
                                "(3, '" LETTERS "') RETURNING name",
                                NULL, &error));
      g_assert_null (strstr (error->message, "stays"));
      assert_limit_error (world, &error, "max-result-size");
      sql_assert_usable (world);
      g_assert_cmpint (sql_ask (world, COUNT), ==, 0);
    }
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 0);

  transaction = sql_must_begin (world);
  sql_do (world, "INSERT INTO t VALUES (4, '" LETTERS "'), (5, '" LETTERS "')");
  g_assert_null (
    sql_query (world, "UPDATE t SET name = name || '!' RETURNING name, name", NULL, &error));
  assert_limit_error (world, &error, "max-result-size");
  if (world->postgres) /* as after any statement that fails */
    {
      g_assert_false (sql_commit (world, transaction, &error));
      g_assert_nonnull (error);
      g_clear_error (&error);
      g_assert_cmpint (sql_others_see (world, COUNT), ==, 0);
    }
  else
    {
      sql_must_commit (world, transaction);
      g_assert_cmpint (sql_others_see (world, COUNT " WHERE name LIKE '%!'"), ==, 0);
      g_assert_cmpint (sql_others_see (world, COUNT), ==, 2);
    }
  sql_assert_usable (world);
}

/* A constraint that is looked at last, and one that ends the transaction itself. */
static void
test_result_size_other_errors (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;

  set_limit (world, "max-result-size", LIMIT);
  sql_do (world, "CREATE TABLE p (id integer PRIMARY KEY)");
  sql_do (world, "CREATE TABLE t (id integer PRIMARY KEY, p integer REFERENCES p "
                 "DEFERRABLE INITIALLY DEFERRED)");
  g_assert_null (sql_query (world, "INSERT INTO t VALUES (1, 7) RETURNING id", NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_clear_error (&error);
  sql_assert_usable (world);
  sql_do (world, "INSERT INTO t VALUES (1, NULL)");
  g_assert_null (
    sql_query (world,
               world->postgres
                 ? "INSERT INTO t VALUES (2, NULL), (1, NULL) RETURNING id"
                 : "INSERT OR ROLLBACK INTO t VALUES (2, NULL), (1, NULL) RETURNING id",
               NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  sql_assert_usable (world);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 1);
}

/* One that comes after rows have come. */
static void
test_result_size_late_error (SqlWorld *world)
{
  const char *sql = "SELECT 1 / (50 - x) FROM generate_series (1, 60) AS t (x)";
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (DbBatchResult) results = NULL;
  g_autoptr (GError) error = NULL;

  set_limit (world, "max-result-size", LIMIT);
  for (guint i = 0; i < 3; i++)
    {
      sql_assert_fails (world, sql, NULL, DB_ERROR_TYPE, "division by zero");
      sql_assert_usable (world);
    }
  db_batch_add (batch, "SELECT 1", NULL);
  db_batch_add (batch, sql, NULL);
  db_batch_add (batch, "SELECT 2", NULL);
  g_assert_null (sql_run_batch (world, batch, DB_BATCH_NONE, &error));
  g_assert_nonnull (strstr (error->message, "statement 2 of the batch: division by zero"));
  g_clear_error (&error);
  results = sql_run_batch (world, batch, DB_BATCH_INDEPENDENT, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_failed (results), ==, 1);
  g_assert_cmpint (db_result_get_int64 (db_batch_result_get_result (results, 2, NULL), 0, 0), ==,
                   2);
  sql_assert_usable (world);
}

static void
test_result_size_cursor (SqlWorld *world)
{
  g_autoptr (DbCursor) cursor = NULL;
  g_autoptr (GError) error = NULL;
  guint n = 0;

  set_limit (world, "max-result-size", LIMIT);
  cursor = sql_must_open (world, LONG_ROWS ("1000"), 50);
  for (;;)
    {
      g_autoptr (DbResult) rows = sql_fetch (world, cursor, &error);

      g_assert_no_error (error);
      if (db_result_get_n_rows (rows) == 0)
        break;
      n += db_result_get_n_rows (rows);
    }
  g_assert_cmpuint (n, ==, 1000);
  g_clear_object (&cursor);
  sql_assert_usable (world);

  cursor = sql_must_open (world, LONG_ROWS ("1000"), 500);
  g_assert_null (sql_fetch (world, cursor, &error));
  assert_limit_error (world, &error, "max-result-size");
  g_assert_null (sql_fetch (world, cursor, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_clear_object (&cursor);
  sql_assert_usable (world);
}

/* Rows that come one by one without a cursor of the server's. */
static void
test_result_size_stream (SqlWorld *world)
{
  g_autoptr (DbCursor) cursor = NULL;
  g_autoptr (GError) error = NULL;

  set_limit (world, "max-result-size", LIMIT);
  sql_do (world, "CREATE TABLE t (id integer, name text)");
  sql_do (world, "INSERT INTO t " LONG_ROWS_WITH_ID);
  cursor = sql_open_cursor (world, "UPDATE t SET id = id RETURNING name", NULL, 500, &error);
  if (world->postgres)
    {
      g_assert_no_error (error);
      g_assert_null (sql_fetch (world, cursor, &error));
    }
  assert_limit_error (world, &error, "max-result-size");
  g_clear_object (&cursor);
  sql_assert_usable (world);
  if (!world->postgres)
    return;

  /* one row is enough */
  set_limit (world, "max-result-size", 1000);
  cursor = sql_open_cursor (world, "UPDATE t SET id = id RETURNING name", NULL, 1, &error);
  g_assert_no_error (error);
  g_assert_null (sql_fetch (world, cursor, &error));
  assert_limit_error (world, &error, "max-result-size");
  sql_assert_usable (world);
}

static DbBatch *
make_batch (guint n_large)
{
  DbBatch *batch = db_batch_new ();

  db_batch_add (batch, "INSERT INTO t VALUES (1)", NULL);
  db_batch_add (batch, "SELECT id FROM t", NULL);
  for (guint i = 0; i < n_large; i++)
    db_batch_add (batch, LONG_ROWS ("60"), NULL);
  db_batch_add (batch, "INSERT INTO t VALUES (2)", NULL);
  return batch;
}

static void
test_result_size_batch (SqlWorld *world)
{
  g_autoptr (DbBatch) small = make_batch (1);
  g_autoptr (DbBatch) large = make_batch (2);
  g_autoptr (DbBatchResult) results = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (DbTransaction) transaction = NULL;

  sql_do (world, "CREATE TABLE t (id integer)");
  set_limit (world, "max-result-size", LIMIT);
  for (guint i = 0; i < 20; i++)
    {
      g_assert_null (sql_run_batch (world, large, DB_BATCH_NONE, &error));
      g_assert_nonnull (strstr (error->message, "statement 4 of the batch"));
      assert_limit_error (world, &error, "max-result-size");
      sql_assert_usable (world);
      g_assert_cmpint (sql_ask (world, COUNT), ==, 0);
    }
  results = sql_run_batch (world, small, DB_BATCH_NONE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_statements (results), ==, 4);
  g_assert_cmpuint (db_result_get_n_rows (db_batch_result_get_result (results, 2, NULL)), ==, 60);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 2);

  transaction = sql_must_begin (world);
  g_assert_null (sql_run_batch (world, large, DB_BATCH_NONE, &error));
  assert_limit_error (world, &error, "max-result-size");
  sql_must_roll_back (world, transaction);
  sql_assert_usable (world);
}

static void
test_result_size_independent (SqlWorld *world)
{
  g_autoptr (DbBatch) batch = make_batch (3);
  g_autoptr (DbBatchResult) results = NULL;
  g_autoptr (GError) error = NULL;

  sql_do (world, "CREATE TABLE t (id integer)");
  set_limit (world, "max-result-size", LIMIT);
  results = sql_run_batch (world, batch, DB_BATCH_INDEPENDENT, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_statements (results), ==, 6);
  g_assert_cmpuint (db_batch_result_get_n_failed (results), ==, 2);
  g_assert_cmpuint (db_result_get_n_rows (db_batch_result_get_result (results, 2, NULL)), ==, 60);
  for (guint i = 3; i < 5; i++)
    {
      g_assert_null (db_batch_result_get_result (results, i, &error));
      assert_limit_error (world, &error, "max-result-size");
    }
  g_assert_cmpint (db_result_get_rows_affected (db_batch_result_get_result (results, 5, NULL)), ==,
                   1);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 2);
  sql_assert_usable (world);
}

/* Memory. */

static gsize
read_peak (void)
{
  g_autofree char *status = NULL;
  const char *line;

  if (!g_file_get_contents ("/proc/self/status", &status, NULL, NULL))
    return 0;
  line = strstr (status, "VmHWM:");
  return line != NULL ? (gsize) g_ascii_strtoull (line + 6, NULL, 10) * 1024 : 0;
}

static gboolean
forget_peak (void)
{
  FILE *file = fopen ("/proc/self/clear_refs", "w");
  gboolean ok = file != NULL && fputs ("5", file) >= 0;

  return file != NULL && fclose (file) == 0 && ok;
}

static void
test_memory (SqlWorld *world)
{
  gsize before, after;
  g_autoptr (GError) error = NULL;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  g_test_skip ("a sanitizer's memory would be measured");
  return;
#endif
  set_limit (world, "max-result-size", 8 << 20);
  if (!forget_peak () || (before = read_peak ()) == 0)
    {
      g_test_skip ("the kernel does not tell the peak of the memory");
      return;
    }
  /* 4 GB, which PostgreSQL sends as it makes them. */
  g_assert_null (sql_query (world, LONG_ROWS ("4000000"), NULL, &error));
  assert_limit_error (world, &error, "max-result-size");
  after = read_peak ();
  g_test_message ("the peak rose by %" G_GSIZE_FORMAT " bytes", after - before);
  g_assert_cmpuint (after - before, <, 32 << 20);
  sql_assert_usable (world);
}

/* A value that is far too large is not copied: a single row is all that there is at a time. */
static void
test_memory_of_value (SqlWorld *world)
{
  const gsize size = 64 << 20;
  gsize before, after;
  g_autoptr (GError) error = NULL;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  g_test_skip ("a sanitizer's memory would be measured");
  return;
#endif
  set_limit (world, "max-result-size", 8 << 20);
  if (!forget_peak () || (before = read_peak ()) == 0)
    {
      g_test_skip ("the kernel does not tell the peak of the memory");
      return;
    }
  g_assert_null (
    sql_query (world,
               world->postgres ? "SELECT repeat('x', 64 << 20)" : "SELECT zeroblob(64 << 20)", NULL,
               &error));
  assert_limit_error (world, &error, "max-result-size");
  after = read_peak ();
  g_test_message ("the peak rose by %" G_GSIZE_FORMAT " bytes", after - before);
  /* SQLite itself has it once; libpq in its buffer, which it doubles, and once more as a row. */
  g_assert_cmpuint (after - before, <, world->postgres ? 4 * size : size / 2 * 3);
  sql_assert_usable (world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  sql_add ("limits/sql-length", SQL_EVERYWHERE, test_sql_length);
  sql_add ("limits/sql-length-everywhere", SQL_EVERYWHERE, test_sql_length_everywhere);
  sql_add ("limits/sql-length-own", SQL_EVERYWHERE, test_sql_length_own);
  sql_add ("limits/result-size", SQL_EVERYWHERE, test_result_size);
  sql_add ("limits/result-size-of-cells", SQL_EVERYWHERE, test_result_size_of_cells);
  sql_add ("limits/result-size-not-wanted", SQL_EVERYWHERE, test_result_size_not_wanted);
  sql_add ("limits/result-size-small", SQL_EVERYWHERE, test_result_size_small);
  sql_add ("limits/result-size-returning", SQL_EVERYWHERE, test_result_size_returning);
  sql_add ("limits/result-size-other-errors", SQL_EVERYWHERE, test_result_size_other_errors);
  sql_add ("limits/result-size-late-error", SQL_ON_POSTGRES, test_result_size_late_error);
  sql_add ("limits/result-size-cursor", SQL_EVERYWHERE, test_result_size_cursor);
  sql_add ("limits/result-size-stream", SQL_EVERYWHERE, test_result_size_stream);
  sql_add ("limits/result-size-batch", SQL_EVERYWHERE, test_result_size_batch);
  sql_add ("limits/result-size-independent", SQL_EVERYWHERE, test_result_size_independent);
  sql_add ("limits/memory", SQL_EVERYWHERE, test_memory);
  sql_add ("limits/memory-of-value", SQL_EVERYWHERE, test_memory_of_value);
  return g_test_run ();
}
