/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Many rows at once, and different statements at once: what comes of them, which one is named when
 * one fails, and what of the others lasts then. */

#include "config.h"

#include "sql-fixture.h"

#define COUNT "SELECT count(*) FROM t"
#define INSERT "INSERT INTO t VALUES ($1, $2)"

static void
create_table (SqlWorld *world)
{
  sql_do (world, "CREATE TABLE t (id integer PRIMARY KEY, name text)");
}

static DbParams *
make_rows (guint n)
{
  DbParams *rows = db_params_new ();

  for (guint i = 1; i <= n; i++)
    {
      g_autofree char *name = g_strdup_printf ("name %u", i);

      if (i > 1)
        db_params_next_row (rows);
      db_params_add_int64 (rows, i);
      db_params_add_text (rows, name);
    }
  return rows;
}

/* Many rows. */

static void
test_many (SqlWorld *world)
{
  static const guint counts[] = {1, 2, 1000};

  create_table (world);
  for (gsize i = 0; i < G_N_ELEMENTS (counts); i++)
    {
      g_autoptr (DbParams) rows = make_rows (counts[i]);
      g_autoptr (GError) error = NULL;

      g_assert_cmpint (sql_execute_many (world, INSERT, rows, &error), ==, counts[i]);
      g_assert_no_error (error);
      g_assert_cmpint (sql_others_see (world, COUNT), ==, counts[i]);
      sql_do (world, "DELETE FROM t");
    }
  sql_assert_usable (world);
}

static void
test_many_none (SqlWorld *world)
{
  g_autoptr (DbParams) rows = db_params_new ();
  g_autoptr (GError) error = NULL;

  create_table (world);
  g_assert_cmpuint (db_params_get_n_rows (rows), ==, 0);
  g_assert_cmpint (sql_execute_many (world, INSERT, rows, &error), ==, 0);
  g_assert_no_error (error);
  sql_assert_usable (world);
}

/* Also rows that the statement returns, which nobody wants. */
static void
test_many_returning (SqlWorld *world)
{
  g_autoptr (DbParams) rows = make_rows (5);
  g_autoptr (GError) error = NULL;

  create_table (world);
  g_assert_cmpint (sql_execute_many (world, INSERT " RETURNING id", rows, &error), ==, 5);
  g_assert_no_error (error);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 5);
  sql_assert_usable (world);
}

static void
test_many_ragged (SqlWorld *world)
{
  g_autoptr (DbParams) rows = make_rows (3);
  g_autoptr (GError) error = NULL;

  create_table (world);
  db_params_next_row (rows);
  db_params_add_int64 (rows, 4);
  db_params_next_row (rows);
  db_params_add_int64 (rows, 5);
  db_params_add_text (rows, "five");
  g_assert_cmpint (sql_execute_many (world, INSERT, rows, &error), ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, "row 4 "));
  g_assert_false (sql_in_transaction (world));
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 0);
  sql_assert_usable (world);
}

/* The row that fails is named, and nothing lasts. */
static void
test_many_fails (SqlWorld *world)
{
  static const guint taken[] = {1, 500, 1000};

  create_table (world);
  for (gsize i = 0; i < G_N_ELEMENTS (taken); i++)
    {
      g_autoptr (DbParams) rows = make_rows (1000);
      g_autofree char *insert = g_strdup_printf ("INSERT INTO t VALUES (%u, 'x')", taken[i]);
      g_autofree char *expected = g_strdup_printf ("row %u of", taken[i]);
      g_autoptr (GError) error = NULL;
      g_autoptr (DbErrorInfo) info = NULL;

      sql_do (world, insert);
      g_assert_cmpint (sql_execute_many (world, INSERT, rows, &error), ==, -1);
      g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
      g_test_message ("%s", error->message);
      g_assert_nonnull (strstr (error->message, expected));
      g_assert_cmpint (db_error_get_constraint_kind (error), ==, DB_CONSTRAINT_UNIQUE);
      info = db_connection_get_last_error_info (world->connection);
      g_assert_nonnull (info);
      g_assert_false (sql_in_transaction (world));
      g_assert_cmpint (sql_others_see (world, COUNT), ==, 1);
      sql_do (world, "DELETE FROM t");
    }
  sql_assert_usable (world);
}

/* Inside a transaction SQLite undoes the batch alone; PostgreSQL's transaction has failed. */
static void
test_many_fails_in_transaction (SqlWorld *world)
{
  g_autoptr (DbTransaction) transaction = NULL;
  g_autoptr (DbParams) rows = make_rows (10);
  g_autoptr (GError) error = NULL;

  create_table (world);
  transaction = sql_must_begin (world);
  sql_do (world, "INSERT INTO t VALUES (7, 'x')");
  g_assert_cmpint (sql_execute_many (world, INSERT, rows, &error), ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_assert_nonnull (strstr (error->message, "row 7 "));
  if (world->postgres)
    {
      sql_assert_fails (world, "SELECT 1", NULL, DB_ERROR_QUERY, "25P02");
      sql_must_roll_back (world, transaction);
    }
  else
    {
      g_assert_cmpint (sql_ask (world, COUNT), ==, 1);
      sql_must_commit (world, transaction);
    }
  g_assert_cmpint (sql_others_see (world, COUNT), ==, world->postgres ? 0 : 1);
  sql_assert_usable (world);
}

static void
test_many_in_transaction (SqlWorld *world)
{
  g_autoptr (DbTransaction) transaction = NULL;
  g_autoptr (DbParams) rows = make_rows (10);
  g_autoptr (GError) error = NULL;

  create_table (world);
  transaction = sql_must_begin (world);
  g_assert_cmpint (sql_execute_many (world, INSERT, rows, &error), ==, 10);
  g_assert_no_error (error);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 0);
  sql_must_roll_back (world, transaction);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 0);
}

static void
test_many_wrong_statement (SqlWorld *world)
{
  g_autoptr (DbParams) rows = make_rows (3);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (sql_execute_many (world, "INSERT INTO nothing VALUES ($1, $2)", rows, &error),
                   ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_assert_nonnull (strstr (error->message, "nothing"));
  sql_assert_usable (world);
}

/* Batches. */

static DbResult *
get (DbBatchResult *results, guint position)
{
  g_autoptr (GError) error = NULL;
  DbResult *result = db_batch_result_get_result (results, position, &error);

  g_assert_no_error (error);
  return result;
}

static void
assert_failed (DbBatchResult *results, guint position, int code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (db_batch_result_get_result (results, position, &error));
  g_assert_error (error, DB_ERROR, code);
}

static void
test_batch (SqlWorld *world)
{
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (DbBatchResult) results = NULL;
  g_autoptr (GError) error = NULL;

  create_table (world);
  db_batch_add (batch, INSERT, g_variant_new ("(is)", 1, "one"));
  db_batch_add (batch, INSERT, g_variant_new ("(is)", 2, "two"));
  db_batch_add (batch, "SELECT name FROM t WHERE id = $1", g_variant_new ("(i)", 2));
  db_batch_add (batch, "UPDATE t SET name = 'x'", NULL);
  db_batch_add (batch, "SELECT id, name FROM t ORDER BY id", NULL);
  results = sql_run_batch (world, batch, DB_BATCH_NONE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_statements (results), ==, 5);
  g_assert_cmpuint (db_batch_result_get_n_failed (results), ==, 0);
  g_assert_cmpint (db_result_get_rows_affected (get (results, 0)), ==, 1);
  g_assert_cmpstr (db_result_get_text (get (results, 2), 0, 0), ==, "two");
  g_assert_cmpint (db_result_get_rows_affected (get (results, 3)), ==, 2);
  g_assert_cmpuint (db_result_get_n_rows (get (results, 4)), ==, 2);
  g_assert_cmpstr (db_result_get_text (get (results, 4), 1, 1), ==, "x");
  g_assert_null (db_batch_result_get_result (results, 5, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  sql_assert_usable (world);
}

static void
test_batch_empty (SqlWorld *world)
{
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (DbBatchResult) results = NULL;
  g_autoptr (DbBatchResult) independent = NULL;
  g_autoptr (GError) error = NULL;

  results = sql_run_batch (world, batch, DB_BATCH_NONE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_statements (results), ==, 0);
  independent = sql_run_batch (world, batch, DB_BATCH_INDEPENDENT, &error);
  g_assert_no_error (error);
  sql_assert_usable (world);
}

/* More than fit into the buffers of a socket, in both directions. */
static void
test_batch_large (SqlWorld *world)
{
  g_autofree char *text = g_strnfill (10000, 'y');
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (DbBatchResult) results = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 500; i++)
    db_batch_add (batch, "SELECT CAST ($1 AS text), CAST ($2 AS integer)",
                  g_variant_new ("(si)", text, (int) i));
  results = sql_run_batch (world, batch, DB_BATCH_NONE, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 500; i++)
    {
      g_assert_cmpstr (db_result_get_text (get (results, i), 0, 0), ==, text);
      g_assert_cmpint (db_result_get_int64 (get (results, i), 0, 1), ==, i);
    }
  sql_assert_usable (world);
}

static DbBatch *
make_failing_batch (void)
{
  DbBatch *batch = db_batch_new ();

  db_batch_add (batch, INSERT, g_variant_new ("(is)", 1, "one"));
  db_batch_add (batch, INSERT, g_variant_new ("(is)", 1, "again"));
  db_batch_add (batch, INSERT, g_variant_new ("(is)", 2, "two"));
  db_batch_add (batch, "SELECT * FROM nothing", NULL);
  db_batch_add (batch, INSERT, g_variant_new ("(i)", 3));
  db_batch_add (batch, "SELECT count(*) FROM t", NULL);
  return batch;
}

static void
test_batch_fails (SqlWorld *world)
{
  g_autoptr (DbBatch) batch = make_failing_batch ();
  g_autoptr (GError) error = NULL;

  create_table (world);
  g_assert_null (sql_run_batch (world, batch, DB_BATCH_NONE, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_assert_nonnull (strstr (error->message, "statement 2 of the batch"));
  g_assert_false (sql_in_transaction (world));
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 0);
  sql_assert_usable (world);
}

static void
test_batch_independent (SqlWorld *world)
{
  g_autoptr (DbBatch) batch = make_failing_batch ();
  g_autoptr (DbBatchResult) results = NULL;
  g_autoptr (GError) error = NULL;

  create_table (world);
  results = sql_run_batch (world, batch, DB_BATCH_INDEPENDENT, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_failed (results), ==, 3);
  g_assert_cmpint (db_result_get_rows_affected (get (results, 0)), ==, 1);
  assert_failed (results, 1, DB_ERROR_CONSTRAINT);
  g_assert_cmpint (db_result_get_rows_affected (get (results, 2)), ==, 1);
  assert_failed (results, 3, DB_ERROR_QUERY);
  assert_failed (results, 4, DB_ERROR_QUERY);
  g_assert_cmpint (db_result_get_int64 (get (results, 5), 0, 0), ==, 2);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 2);
  g_assert_null (db_connection_get_last_error_info (world->connection));
  sql_assert_usable (world);
}

/* PostgreSQL: all after the first that fails fail as well. */
static void
test_batch_independent_in_transaction (SqlWorld *world)
{
  g_autoptr (DbTransaction) transaction = NULL;
  g_autoptr (DbBatch) batch = make_failing_batch ();
  g_autoptr (DbBatchResult) results = NULL;
  g_autoptr (GError) error = NULL;

  create_table (world);
  transaction = sql_must_begin (world);
  results = sql_run_batch (world, batch, DB_BATCH_INDEPENDENT, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_statements (results), ==, 6);
  g_assert_cmpuint (db_batch_result_get_n_failed (results), ==, world->postgres ? 5 : 3);
  assert_failed (results, 1, DB_ERROR_CONSTRAINT);
  if (world->postgres)
    {
      assert_failed (results, 2, DB_ERROR_QUERY);
      g_assert_false (sql_commit (world, transaction, &error));
    }
  else
    sql_must_commit (world, transaction);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, world->postgres ? 0 : 2);
  sql_assert_usable (world);
}

static void
test_batch_wrong_value (SqlWorld *world)
{
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (GError) error = NULL;

  create_table (world);
  db_batch_add (batch, INSERT, g_variant_new ("(is)", 1, "one"));
  db_batch_add (batch, "SELECT $1", g_variant_new_parsed ("({'a': 1},)"));
  for (int i = 0; i < 2; i++)
    {
      g_assert_null (
        sql_run_batch (world, batch, i == 0 ? DB_BATCH_NONE : DB_BATCH_INDEPENDENT, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
      g_assert_nonnull (strstr (error->message, "statement 2 of the batch"));
      g_clear_error (&error);
    }
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 0);
  sql_assert_usable (world);
}

/* A batch is a transaction of its own: one within is refused, or harmless. */
static void
test_batch_with_begin (SqlWorld *world)
{
  static const char *const words[] = {"BEGIN", "COMMIT", "ROLLBACK"};

  create_table (world);
  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    {
      g_autoptr (DbBatch) batch = db_batch_new ();
      g_autoptr (DbBatchResult) results = NULL;
      g_autoptr (GError) error = NULL;

      db_batch_add (batch, INSERT, g_variant_new ("(is)", 1, "one"));
      db_batch_add (batch, words[i], NULL);
      db_batch_add (batch, INSERT, g_variant_new ("(is)", 2, "two"));
      results = sql_run_batch (world, batch, DB_BATCH_NONE, &error);
      g_assert_null (results);
      g_test_message ("%s: %s", words[i], error->message);
      g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
      g_assert_nonnull (strstr (error->message, "statement 2 of the batch"));
      g_assert_false (sql_in_transaction (world));
      g_assert_cmpint (sql_others_see (world, COUNT), ==, 0);
      sql_assert_usable (world);
    }
}

static void
test_batch_with_copy (SqlWorld *world)
{
  static const char *const copies[] = {"COPY t FROM STDIN", "COPY t TO STDOUT"};

  create_table (world);
  for (gsize i = 0; i < G_N_ELEMENTS (copies) * 2; i++)
    {
      g_autoptr (DbBatch) batch = db_batch_new ();
      g_autoptr (DbBatchResult) results = NULL;
      g_autoptr (GError) error = NULL;
      DbBatchFlags flags = i < 2 ? DB_BATCH_NONE : DB_BATCH_INDEPENDENT;

      db_batch_add (batch, "SELECT 1", NULL);
      db_batch_add (batch, copies[i % 2], NULL);
      db_batch_add (batch, "SELECT 2", NULL);
      results = sql_run_batch (world, batch, flags, &error);
      if (flags == DB_BATCH_NONE || results == NULL)
        g_assert_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED);
      else
        assert_failed (results, 1, DB_ERROR_NOT_SUPPORTED);
      sql_assert_usable (world);
    }
}

static void
test_batch_cancel (SqlWorld *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (GError) error = NULL;
  GThread *thread;
  gint64 start;

  create_table (world);
  db_batch_add (batch, INSERT, g_variant_new ("(is)", 1, "one"));
  db_batch_add (batch, sql_endless (), NULL);
  db_batch_add (batch, INSERT, g_variant_new ("(is)", 2, "two"));
  world->cancellable = cancellable;
  thread = sql_cancel_later (cancellable, 30);
  start = g_get_monotonic_time ();
  g_assert_null (sql_run_batch (world, batch, DB_BATCH_NONE, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_test_message ("%.1f ms", (g_get_monotonic_time () - start) / 1000.0);
  g_assert_cmpint (g_get_monotonic_time () - start, <, G_TIME_SPAN_SECOND);
  g_thread_join (thread);
  world->cancellable = NULL;
  g_assert_false (sql_in_transaction (world));
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 0);
  sql_assert_usable (world);
}

/* A cancel ends all of it, not one statement after the other. */
static void
test_batch_cancel_independent (SqlWorld *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (GError) error = NULL;
  GThread *thread;
  gint64 start = g_get_monotonic_time ();

  for (int i = 0; i < 5; i++)
    db_batch_add (batch, sql_endless (), NULL);
  world->cancellable = cancellable;
  thread = sql_cancel_later (cancellable, 30);
  g_assert_null (sql_run_batch (world, batch, DB_BATCH_INDEPENDENT, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (g_get_monotonic_time () - start, <, G_TIME_SPAN_SECOND);
  g_thread_join (thread);
  world->cancellable = NULL;
  sql_assert_usable (world);
}

static void
test_on_pool (SqlWorld *world)
{
  g_autoptr (DbBatch) batch = make_failing_batch ();
  g_autoptr (DbBatchResult) results = NULL;
  g_autoptr (DbParams) rows = make_rows (10);
  g_autoptr (GError) error = NULL;

  create_table (world);
  g_clear_object (&world->connection);
  results = sql_pool_run_batch (world, batch, DB_BATCH_INDEPENDENT, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_failed (results), ==, 3);
  g_assert_cmpint (sql_pool_execute_many (world, INSERT, rows, &error), ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_assert_nonnull (strstr (error->message, "row 1 "));
  g_clear_error (&error);
  sql_wait_for_lent (world, 0);
  world->connection = sql_acquire (world);
  sql_do (world, "DELETE FROM t");
  g_assert_cmpint (sql_pool_execute_many (world, INSERT, rows, &error), ==, 10);
  g_assert_no_error (error);
  g_assert_cmpint (sql_ask (world, COUNT), ==, 10);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  sql_add ("batches/many", SQL_EVERYWHERE, test_many);
  sql_add ("batches/many-none", SQL_EVERYWHERE, test_many_none);
  sql_add ("batches/many-returning", SQL_EVERYWHERE, test_many_returning);
  sql_add ("batches/many-ragged", SQL_EVERYWHERE, test_many_ragged);
  sql_add ("batches/many-fails", SQL_EVERYWHERE, test_many_fails);
  sql_add ("batches/many-fails-in-transaction", SQL_EVERYWHERE, test_many_fails_in_transaction);
  sql_add ("batches/many-in-transaction", SQL_EVERYWHERE, test_many_in_transaction);
  sql_add ("batches/many-wrong-statement", SQL_EVERYWHERE, test_many_wrong_statement);
  sql_add ("batches/batch", SQL_EVERYWHERE, test_batch);
  sql_add ("batches/empty", SQL_EVERYWHERE, test_batch_empty);
  sql_add ("batches/large", SQL_EVERYWHERE, test_batch_large);
  sql_add ("batches/fails", SQL_EVERYWHERE, test_batch_fails);
  sql_add ("batches/independent", SQL_EVERYWHERE, test_batch_independent);
  sql_add ("batches/independent-in-transaction", SQL_EVERYWHERE,
           test_batch_independent_in_transaction);
  sql_add ("batches/wrong-value", SQL_EVERYWHERE, test_batch_wrong_value);
  sql_add ("batches/with-copy", SQL_ON_POSTGRES, test_batch_with_copy);
  sql_add ("batches/cancel", SQL_EVERYWHERE, test_batch_cancel);
  sql_add ("batches/cancel-independent", SQL_EVERYWHERE, test_batch_cancel_independent);
  sql_add ("batches/on-pool", SQL_EVERYWHERE, test_on_pool);
  sql_add ("batches/with-begin", SQL_EVERYWHERE, test_batch_with_begin);
  return g_test_run ();
}
