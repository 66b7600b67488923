/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Batches on a real server: many statements in a pipeline, what fails in their middle, and what the
 * session knows of its prepared statements afterwards. */

#include "postgres-fixture.h"

#include "db-error.h"
#include "db-postgres-session-private.h"
#include "db-worker-private.h"

#include <malloc.h>
#include <string.h>
#include <unistd.h>

#define INSERT_SQL "INSERT INTO t VALUES ($1, $2)"

typedef struct
{
  DbConnectionManager *manager;
  DbSession *session;
  DbStatementCounters *counters;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  db_worker_hold ();
  fixture->manager = fixture_manager_new (NULL);
  fixture->session = fixture_open (fixture->manager);
  fixture->counters = g_atomic_rc_box_new0 (DbStatementCounters);
  db_session_set_statement_counters (fixture->session, fixture->counters);
  fixture_execute (fixture->session, "CREATE TEMP TABLE t (i int8 PRIMARY KEY, s text)");
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  db_connection_manager_close_session (fixture->manager, fixture->session);
  g_clear_object (&fixture->session); /* a job may hold it for a moment longer */
  g_assert_finalize_object (fixture->manager);
  g_atomic_rc_box_release (fixture->counters);
  db_worker_drop ();
}

static gboolean
run (Fixture *fixture, DbBatchRun *batch, GCancellable *cancellable, GError **error)
{
  DbStatementPlan plan = {"", NULL, DB_STATEMENT_NONE, 0};
  g_autoptr (DbResult) result = NULL;

  plan.request = DB_REQUEST_BATCH;
  plan.batch = batch;
  result = db_session_run (fixture->session, &plan, cancellable, error);
  return result != NULL;
}

static gboolean
run_rows (Fixture *fixture, const char *sql, DbParams *rows, DbBatchRun *batch, GError **error)
{
  db_batch_run_init_many (batch, sql, rows);
  return run (fixture, batch, NULL, error);
}

/* Leaves the result in @batch. */
static gboolean
run_batch (Fixture *fixture,
           DbBatch *statements,
           DbBatchFlags flags,
           DbBatchRun *batch,
           GError **error)
{
  g_autoptr (DbBatch) owned = statements;

  g_assert_true (db_batch_run_init (batch, owned, flags, NULL));
  return run (fixture, batch, NULL, error);
}

static DbBatch *
new_batch (const char *const *sql)
{
  DbBatch *batch = db_batch_new ();

  for (; *sql != NULL; sql++)
    db_batch_add (batch, *sql, NULL);
  return batch;
}

static DbParams *
new_rows (guint n)
{
  DbParams *rows = db_params_new ();

  for (guint i = 0; i < n; i++)
    {
      if (i > 0)
        db_params_next_row (rows);
      db_params_add_int64 (rows, i);
      db_params_add_text (rows, "some text that is not very long");
    }
  return rows;
}

static gint64
count_rows (Fixture *fixture)
{
  return fixture_int64 (fixture->session, "SELECT count(*) FROM t");
}

static gint64
count_prepared (Fixture *fixture)
{
  DbStatementPlan plan = {"SELECT count(*) FROM pg_prepared_statements", NULL,
                          DB_STATEMENT_UNCACHED, 0};
  g_autoptr (DbResult) result = db_session_run (fixture->session, &plan, NULL, NULL);

  return db_result_get_int64 (result, 0, 0);
}

static void
assert_state (Fixture *fixture, DbSessionState state)
{
  g_assert_cmpint (db_session_get_state (fixture->session), ==, state);
}

static void
test_many (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbParams) rows = new_rows (100);
  g_autoptr (GError) error = NULL;
  DbBatchRun batch;

  g_assert_true (run_rows (fixture, INSERT_SQL, rows, &batch, &error));
  g_assert_no_error (error);
  g_assert_cmpint (batch.rows_affected, ==, 100);
  g_assert_cmpuint (batch.n_done, ==, 100);
  g_assert_cmpint (count_rows (fixture), ==, 100);
  g_assert_cmpint (count_prepared (fixture), ==, 1); /* at once, and only once */
  g_assert_cmpuint (fixture->counters->misses, ==, 2);
  g_assert_cmpuint (fixture->counters->hits, ==, 99);
}

static void
test_none (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbBatch) statements = db_batch_new ();
  DbBatchRun batch;

  g_assert_true (db_batch_run_init (&batch, statements, DB_BATCH_NONE, NULL));
  g_assert_true (run (fixture, &batch, NULL, NULL));
  g_assert_cmpuint (db_batch_result_get_n_statements (batch.result), ==, 0);
  db_batch_run_clear (&batch);
  assert_state (fixture, DB_SESSION_IDLE);
}

/* Neither libpq nor anything else keeps more than a window of them. */
static void
test_memory (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbParams) rows = new_rows (100000);
  g_autoptr (GError) error = NULL;
  DbBatchRun batch;
  gsize before, after;

  malloc_trim (0);
  before = mallinfo2 ().arena + mallinfo2 ().hblkhd;
  g_assert_true (run_rows (fixture, INSERT_SQL, rows, &batch, &error));
  g_assert_no_error (error);
  after = mallinfo2 ().arena + mallinfo2 ().hblkhd;
  g_assert_cmpint (batch.rows_affected, ==, 100000);
  g_assert_cmpint (count_rows (fixture), ==, 100000);
  g_test_message ("%" G_GSIZE_FORMAT " KiB more", after > before ? (after - before) / 1024 : 0);
  g_assert_cmpuint (after, <, before + 4 * 1024 * 1024);
}

/* Both sides have a lot to say at the same time. */
static void
test_large (Fixture *fixture, gconstpointer data)
{
  g_autofree char *text = g_strnfill (1000 * 1000, 'x');
  g_autoptr (DbBatch) statements = db_batch_new ();
  g_autoptr (GError) error = NULL;
  DbBatchRun batch;

  for (guint i = 0; i < 30; i++)
    db_batch_add (statements, "SELECT $1::text || $1::text", g_variant_new ("(s)", text));
  g_assert_true (db_batch_run_init (&batch, statements, DB_BATCH_NONE, NULL));
  g_assert_true (run (fixture, &batch, NULL, &error));
  g_assert_no_error (error);
  for (guint i = 0; i < 30; i++)
    g_assert_cmpuint (
      strlen (db_result_get_text (db_batch_result_get_result (batch.result, i, NULL), 0, 0)), ==,
      2000 * 1000);
  db_batch_run_clear (&batch);
}

static void
test_results (Fixture *fixture, gconstpointer data)
{
  static const char *const sql[] = {"INSERT INTO t VALUES (1, 'a'), (2, 'b')",
                                    "SELECT s FROM t ORDER BY i",
                                    "CREATE TEMP TABLE t2 (i int)",
                                    "",
                                    "SELECT 'other'",
                                    "SELECT 'other'",
                                    NULL};
  g_autoptr (GError) error = NULL;
  DbBatchRun batch;
  DbResult *result;

  g_assert_true (run_batch (fixture, new_batch (sql), DB_BATCH_NONE, &batch, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_statements (batch.result), ==, 6);
  g_assert_cmpint (batch.rows_affected, ==, 2);
  result = db_batch_result_get_result (batch.result, 1, NULL);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 2);
  g_assert_cmpstr (db_result_get_text (result, 1, 0), ==, "b");
  result = db_batch_result_get_result (batch.result, 5, NULL);
  g_assert_cmpstr (db_result_get_text (result, 0, 0), ==, "other");
  db_batch_run_clear (&batch);
  g_assert_true (db_session_is_dirty (fixture->session));
}

/* One failure undoes all, wherever it is, and says where it was. */
static void
test_failure (Fixture *fixture, gconstpointer data)
{
  static const guint places[] = {0, 1, 50, 255, 256, 999, 1999};

  for (gsize i = 0; i < G_N_ELEMENTS (places); i++)
    {
      g_autoptr (DbParams) rows = db_params_new ();
      g_autoptr (GError) error = NULL;
      g_autofree char *place = g_strdup_printf ("row %u of the parameters: ", places[i] + 1);
      DbBatchRun batch;

      for (guint j = 0; j < 2000; j++)
        {
          if (j > 0)
            db_params_next_row (rows);
          db_params_add_int64 (rows, j);
          db_params_add_int64 (rows, j != places[i]);
        }
      g_assert_false (run_rows (fixture, "INSERT INTO t SELECT $1::int8, (1 / $2::int8)::text",
                                rows, &batch, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
      g_assert_true (g_str_has_prefix (error->message, place));
      assert_state (fixture, DB_SESSION_IDLE);
      g_assert_cmpint (count_rows (fixture), ==, 0);
    }
}

/* What the server does not see undoes all, too. */
static void
test_bad_params (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbParams) rows = new_rows (300);
  g_autoptr (GError) error = NULL;
  DbBatchRun batch;

  for (guint i = 0; i < 70000; i++)
    {
      if (i == 0)
        db_params_next_row (rows);
      db_params_add_null (rows);
    }
  g_assert_false (run_rows (fixture, INSERT_SQL, rows, &batch, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_LIMIT);
  g_assert_true (g_str_has_prefix (error->message, "row 301 of the parameters: "));
  assert_state (fixture, DB_SESSION_IDLE);
  g_assert_cmpint (count_rows (fixture), ==, 0);
}

static void
test_copy (Fixture *fixture, gconstpointer data)
{
  static const char *const sql[] = {"INSERT INTO t VALUES (1)", "COPY t TO STDOUT",
                                    "INSERT INTO t VALUES (2)", NULL};
  g_autoptr (GError) error = NULL;
  DbBatchRun batch;

  g_assert_false (run_batch (fixture, new_batch (sql), DB_BATCH_NONE, &batch, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED);
  g_assert_true (g_str_has_prefix (error->message, "statement 2 of the batch: "));
  db_batch_run_clear (&batch);
  g_assert_cmpint (count_rows (fixture), ==, 0);

  g_assert_true (run_batch (fixture, new_batch (sql), DB_BATCH_INDEPENDENT, &batch, NULL));
  g_assert_cmpuint (db_batch_result_get_n_failed (batch.result), ==, 1);
  db_batch_run_clear (&batch);
  g_assert_cmpint (count_rows (fixture), ==, 2);
}

static void
test_independent (Fixture *fixture, gconstpointer data)
{
  static const char *const sql[] = {"INSERT INTO t VALUES (1)",
                                    "INSERT INTO t VALUES (1)",
                                    "INSERT INTO nowhere VALUES (1)",
                                    "INSERT INTO nowhere VALUES (1)",
                                    "INSERT INTO t VALUES (2)",
                                    "SELECT 1/0",
                                    "SELECT 1/0",
                                    "SELECT count(*) FROM t",
                                    NULL};
  static const int codes[] = {-1, DB_ERROR_CONSTRAINT, DB_ERROR_QUERY, DB_ERROR_QUERY,
                              -1, DB_ERROR_TYPE,       DB_ERROR_TYPE,  -1};
  DbBatchRun batch;

  g_assert_true (run_batch (fixture, new_batch (sql), DB_BATCH_INDEPENDENT, &batch, NULL));
  g_assert_cmpuint (batch.n_failed, ==, 5);
  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    {
      g_autoptr (GError) error = NULL;
      DbResult *result = db_batch_result_get_result (batch.result, i, &error);

      g_assert_cmpint (result != NULL, ==, codes[i] < 0);
      if (result == NULL)
        g_assert_error (error, DB_ERROR, codes[i]);
      if (i == 2 || i == 3)
        g_assert_cmpstr (db_error_get_sqlstate (error), ==, "42P01");
      if (i == 7)
        g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 2);
    }
  db_batch_run_clear (&batch);
  assert_state (fixture, DB_SESSION_IDLE);
  g_assert_cmpint (count_prepared (fixture), ==, 0);
}

/* The COMMIT is what fails. */
static void
test_deferred (Fixture *fixture, gconstpointer data)
{
  static const char *const sql[] = {"INSERT INTO child VALUES (1)", "INSERT INTO t VALUES (9)",
                                    NULL};
  g_autoptr (GError) error = NULL;
  DbBatchRun batch;

  fixture_execute (fixture->session, "CREATE TEMP TABLE child (i int8 REFERENCES t "
                                     "DEFERRABLE INITIALLY DEFERRED)");
  g_assert_false (run_batch (fixture, new_batch (sql), DB_BATCH_NONE, &batch, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  db_batch_run_clear (&batch);
  assert_state (fixture, DB_SESSION_IDLE);
  g_assert_cmpint (count_rows (fixture), ==, 0);

  g_assert_true (run_batch (fixture, new_batch (sql), DB_BATCH_INDEPENDENT, &batch, NULL));
  g_assert_cmpuint (batch.n_failed, ==, 1);
  g_assert_null (db_batch_result_get_result (batch.result, 0, NULL));
  db_batch_run_clear (&batch);
  g_assert_cmpint (count_rows (fixture), ==, 1);
  for (guint i = 0; i < 3; i++) /* by itself, also when it gets prepared */
    fixture_assert_fails (fixture->session, sql[0], DB_ERROR_CONSTRAINT, "23503");
}

static void
test_in_transaction (Fixture *fixture, gconstpointer data)
{
  static const char *const sql[] = {"INSERT INTO t VALUES (1)", "SELECT 1/0", "SELECT 2", NULL};
  g_autoptr (GError) error = NULL;
  DbBatchRun batch;

  fixture_execute (fixture->session, "BEGIN");
  g_assert_false (run_batch (fixture, new_batch (sql), DB_BATCH_NONE, &batch, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
  g_clear_error (&error);
  db_batch_run_clear (&batch);
  assert_state (fixture, DB_SESSION_FAILED_TRANSACTION);
  fixture_execute (fixture->session, "ROLLBACK");

  fixture_execute (fixture->session, "BEGIN");
  g_assert_true (run_batch (fixture, new_batch (sql), DB_BATCH_INDEPENDENT, &batch, NULL));
  g_assert_cmpuint (batch.n_failed, ==, 2);
  g_assert_null (db_batch_result_get_result (batch.result, 2, &error));
  g_assert_cmpstr (db_error_get_sqlstate (error), ==, "25P02");
  db_batch_run_clear (&batch);
  assert_state (fixture, DB_SESSION_FAILED_TRANSACTION);
  fixture_execute (fixture->session, "ROLLBACK");
  g_assert_cmpint (count_rows (fixture), ==, 0);

  fixture_execute (fixture->session, "BEGIN");
  g_assert_true (run_batch (fixture, new_batch ((const char *const[]){sql[0], NULL}), DB_BATCH_NONE,
                            &batch, NULL));
  db_batch_run_clear (&batch);
  assert_state (fixture, DB_SESSION_IN_TRANSACTION);
  fixture_execute (fixture->session, "COMMIT");
  g_assert_cmpint (count_rows (fixture), ==, 1);
}

/* After a failure the cache and the server agree on what is prepared. */
static void
test_books (Fixture *fixture, gconstpointer data)
{
  static const char *const late[] = {"SELECT 1/0", "SELECT 'late'", "SELECT 'late'",
                                     "SELECT 'late'", NULL};
  static const char *const early[] = {"SELECT 'early'", "SELECT 'early'", "SELECT 2/0", NULL};
  static const char *const never[] = {"SELECT 3/0", "SELECT 'never'", "SELECT 'never'", NULL};
  DbBatchRun batch;

  g_assert_false (run_batch (fixture, new_batch (late), DB_BATCH_NONE, &batch, NULL));
  db_batch_run_clear (&batch);
  g_assert_cmpint (count_prepared (fixture), ==, 0);
  g_assert_false (run_batch (fixture, new_batch (early), DB_BATCH_NONE, &batch, NULL));
  db_batch_run_clear (&batch);
  g_assert_cmpint (count_prepared (fixture), ==, 1);
  for (guint i = 0; i < 2; i++)
    {
      fixture_assert_text (fixture->session, "SELECT 'late'", "late");
      fixture_assert_text (fixture->session, "SELECT 'early'", "early");
    }
  g_assert_cmpint (count_prepared (fixture), ==, 2);

  /* What was passed over is not taken for prepared, where nothing could heal it. */
  g_assert_false (run_batch (fixture, new_batch (never), DB_BATCH_NONE, &batch, NULL));
  db_batch_run_clear (&batch);
  fixture_execute (fixture->session, "BEGIN");
  g_assert_true (run_batch (fixture, new_batch (never + 1), DB_BATCH_NONE, &batch, NULL));
  db_batch_run_clear (&batch);
  fixture_execute (fixture->session, "COMMIT");
}

/* More texts than the cache has room for, each twice in a row. */
static void
test_overflow (Fixture *fixture, gconstpointer data)
{
  for (guint round = 0; round < 3; round++)
    {
      g_autoptr (DbBatch) statements = db_batch_new ();
      g_autoptr (GError) error = NULL;
      DbBatchRun batch;

      for (guint i = 0; i < 500; i++)
        {
          g_autofree char *sql = g_strdup_printf ("SELECT %u", i / 2);

          db_batch_add (statements, sql, NULL);
        }
      g_assert_true (db_batch_run_init (&batch, statements, DB_BATCH_NONE, NULL));
      g_assert_true (run (fixture, &batch, NULL, &error));
      g_assert_no_error (error);
      for (guint i = 0; i < 500; i++)
        g_assert_cmpint (db_result_get_int64 (db_batch_result_get_result (batch.result, i, NULL), 0,
                                              0),
                         ==, i / 2);
      db_batch_run_clear (&batch);
    }
  g_assert_cmpint (count_prepared (fixture), <=, 350); /* of them 250 still to go */
}

/* A statement that is out of date fails, all is undone, and all is done again. */
static void
test_heals (Fixture *fixture, gconstpointer data)
{
  static const char *const sql[] = {"INSERT INTO t VALUES (1)", "SELECT * FROM t", NULL};
  g_autoptr (DbParams) rows = new_rows (10);
  g_autoptr (GError) error = NULL;
  DbBatchRun batch;

  for (guint i = 0; i < 3; i++)
    fixture_execute (fixture->session, "SELECT * FROM t");
  fixture_execute (fixture->session, "ALTER TABLE t ADD COLUMN j int");
  g_assert_true (run_batch (fixture, new_batch (sql), DB_BATCH_NONE, &batch, &error));
  g_assert_no_error (error);
  g_assert_cmpint (batch.rows_affected, ==, 1);
  g_assert_cmpuint (db_result_get_n_columns (db_batch_result_get_result (batch.result, 1, NULL)),
                    ==, 3);
  db_batch_run_clear (&batch);
  g_assert_cmpint (count_rows (fixture), ==, 1);

  fixture_execute (fixture->session, "TRUNCATE t");
  g_assert_true (run_rows (fixture, INSERT_SQL, rows, &batch, &error));
  fixture_execute (fixture->session, "TRUNCATE t");
  fixture_execute (fixture->session, "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$");
  g_assert_true (run_rows (fixture, INSERT_SQL, rows, &batch, &error));
  g_assert_no_error (error);
  g_assert_cmpint (count_rows (fixture), ==, 10);
}

/* Independent statements have nothing to be out of date. */
static void
test_independent_heals (Fixture *fixture, gconstpointer data)
{
  static const char *const sql[] = {"SELECT * FROM t", "SELECT * FROM t",
                                    "INSERT INTO t VALUES (1)", "SELECT * FROM t", NULL};
  DbBatchRun batch;

  for (guint i = 0; i < 3; i++)
    fixture_execute (fixture->session, "SELECT * FROM t");
  fixture_execute (fixture->session, "ALTER TABLE t ADD COLUMN j int");
  g_assert_true (run_batch (fixture, new_batch (sql), DB_BATCH_INDEPENDENT, &batch, NULL));
  g_assert_cmpuint (batch.n_failed, ==, 0);
  g_assert_cmpuint (db_result_get_n_columns (db_batch_result_get_result (batch.result, 0, NULL)),
                    ==, 3);
  db_batch_run_clear (&batch);
}

static void
test_read_only (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbParams) rows = new_rows (3);
  DbBatchRun batch;

  fixture_execute (fixture->session, "CREATE TABLE plain (i int8, s text)");
  db_session_set_read_only (fixture->session, TRUE);
  g_assert_false (run_rows (fixture, "INSERT INTO plain VALUES ($1, $2)", rows, &batch, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_READ_ONLY);
  g_clear_error (&error);
  db_session_set_read_only (fixture->session, FALSE);
  g_assert_true (run_rows (fixture, "INSERT INTO plain VALUES ($1, $2)", rows, &batch, &error));
  g_assert_no_error (error);
  fixture_execute (fixture->session, "DROP TABLE plain");
}

typedef struct
{
  Fixture *fixture;
  GCancellable *cancellable;
  const char *query; /* how it begins */
  gint64 when;
} Canceller;

static gpointer
cancel_when_active (gpointer data)
{
  Canceller *self = data;
  g_autofree char *sql =
    g_strdup_printf ("SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND query LIKE '%s%%'",
                     DB_POSTGRES_SESSION (self->fixture->session)->pid, self->query);
  DbSession *observer = fixture_open (self->fixture->manager);

  FIXTURE_WAIT_UNTIL (fixture_int64 (observer, sql) == 1);
  fixture_close (self->fixture->manager, observer);
  self->when = g_get_monotonic_time ();
  g_cancellable_cancel (self->cancellable);
  return NULL;
}

/* @sql, many times over, would take minutes. */
static void
cancel_batch (Fixture *fixture, const char *sql, DbBatchFlags flags)
{
  g_autoptr (DbBatch) statements = db_batch_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  Canceller canceller = {fixture, cancellable, "SELECT pg_sleep", 0};
  GThread *thread;
  DbBatchRun batch;
  gint64 took;

  db_batch_add (statements, "INSERT INTO t VALUES (1)", NULL);
  for (guint i = 0; i < 20000; i++)
    db_batch_add (statements, sql, NULL);
  g_assert_true (db_batch_run_init (&batch, statements, flags, NULL));
  thread = g_thread_new ("canceller", cancel_when_active, &canceller);
  g_assert_false (run (fixture, &batch, cancellable, &error));
  took = g_get_monotonic_time () - canceller.when;
  g_thread_join (thread);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_test_message ("%s, %s: cancelled after %" G_GINT64_FORMAT " us", sql,
                  flags & DB_BATCH_INDEPENDENT ? "independent" : "all or nothing", took);
  g_assert_cmpint (took, <, G_USEC_PER_SEC / 2);
  db_batch_run_clear (&batch);
  assert_state (fixture, DB_SESSION_IDLE);
  g_assert_cmpint (count_rows (fixture), ==, flags & DB_BATCH_INDEPENDENT ? 1 : 0);
  fixture_execute (fixture->session, "TRUNCATE t");
}

static void
test_cancel (Fixture *fixture, gconstpointer data)
{
  cancel_batch (fixture, "SELECT pg_sleep(60)", DB_BATCH_NONE);
  cancel_batch (fixture, "SELECT pg_sleep(0.005)", DB_BATCH_NONE);
  cancel_batch (fixture, "SELECT pg_sleep(0.005)", DB_BATCH_INDEPENDENT);
  cancel_batch (fixture, "SELECT pg_sleep(60)", DB_BATCH_INDEPENDENT);
}

/* The request may find nothing that it could stop; nothing is committed all the same. */
static void
test_cancel_quick (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbParams) rows = new_rows (300000);

  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autoptr (GError) error = NULL;
      Canceller canceller = {fixture, cancellable, "INSERT", 0};
      GThread *thread = g_thread_new ("canceller", cancel_when_active, &canceller);
      DbBatchRun batch;

      db_batch_run_init_many (&batch, INSERT_SQL, rows);
      g_assert_false (run (fixture, &batch, cancellable, &error));
      g_test_message ("cancelled after %" G_GINT64_FORMAT " us",
                      g_get_monotonic_time () - canceller.when);
      g_thread_join (thread);
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      assert_state (fixture, DB_SESSION_IDLE);
      g_assert_cmpint (count_rows (fixture), ==, 0);
    }
}

/* The limit is for all of them. */
static void
test_timeout (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbBatch) statements = db_batch_new ();
  DbStatementPlan plan = {"", NULL, DB_STATEMENT_NONE, 200 * G_TIME_SPAN_MILLISECOND};
  g_autoptr (GError) error = NULL;
  gint64 start = g_get_monotonic_time ();
  DbBatchRun batch;

  for (guint i = 0; i < 5000; i++)
    db_batch_add (statements, "SELECT pg_sleep(0.01)", NULL);
  g_assert_true (db_batch_run_init (&batch, statements, DB_BATCH_NONE, NULL));
  plan.request = DB_REQUEST_BATCH;
  plan.batch = &batch;
  g_assert_null (db_session_run (fixture->session, &plan, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, plan.timeout);
  g_assert_cmpint (g_get_monotonic_time () - start, <, 10 * G_USEC_PER_SEC);
  db_batch_run_clear (&batch);
  assert_state (fixture, DB_SESSION_IDLE);
}

static void
test_lost (Fixture *fixture, gconstpointer data)
{
  static const char *const sql[] = {"INSERT INTO t VALUES (1)",
                                    "SELECT pg_terminate_backend (pg_backend_pid())",
                                    "INSERT INTO t VALUES (2)", NULL};

  for (guint flags = DB_BATCH_NONE; flags <= DB_BATCH_INDEPENDENT; flags++)
    {
      Fixture lost = {fixture->manager, fixture_open (fixture->manager), NULL};
      g_autoptr (GError) error = NULL;
      DbBatchRun batch;

      fixture_execute (lost.session, "CREATE TEMP TABLE t (i int)");
      g_assert_false (run_batch (&lost, new_batch (sql), flags, &batch, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
      db_batch_run_clear (&batch);
      assert_state (&lost, DB_SESSION_BROKEN);
      fixture_close (lost.manager, lost.session);
    }
}

static void
finished_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) done = db_session_run_finish (DB_SESSION (source), result, &error);

  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_rows_affected (done), ==, 5000);
  g_main_loop_quit (data);
}

static void
test_async (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (DbParams) rows = new_rows (5000);
  DbStatementPlan plan = {"", NULL, DB_STATEMENT_NONE, 0};
  DbBatchRun batch;

  db_batch_run_init_many (&batch, INSERT_SQL, rows);
  plan.request = DB_REQUEST_BATCH;
  plan.batch = &batch;
  db_session_run_async (fixture->session, &plan, NULL, finished_cb, loop);
  g_main_loop_run (loop);
  g_assert_cmpint (count_rows (fixture), ==, 5000);
}

#define SPEED_SQL "SELECT s FROM t WHERE i = $1"

static void
run_one_by_one (Fixture *fixture, DbParams *rows)
{
  for (guint i = 0; i < db_params_get_n_rows (rows); i++)
    {
      DbStatementPlan plan = {SPEED_SQL, rows, DB_STATEMENT_NO_ROWS, 0};
      g_autoptr (DbResult) result = NULL;

      plan.row = i;
      result = db_session_run (fixture->session, &plan, NULL, NULL);
      g_assert_nonnull (result);
    }
}

/* Not a test of time: it says what a batch is worth here, by the best of some rounds. */
static void
test_speed (Fixture *fixture, gconstpointer data)
{
  const guint n_rounds = g_test_perf () ? 500 : 5;
  g_autoptr (DbParams) rows = db_params_new ();
  gint64 one_by_one = G_MAXINT64, together = G_MAXINT64;

  for (guint i = 0; i < 100; i++)
    {
      if (i > 0)
        db_params_next_row (rows);
      db_params_add_int64 (rows, i);
    }
  for (guint round = 0; round < n_rounds; round++)
    {
      gint64 start = g_get_monotonic_time ();
      DbBatchRun batch;

      run_one_by_one (fixture, rows);
      one_by_one = MIN (one_by_one, g_get_monotonic_time () - start);
      start = g_get_monotonic_time ();
      g_assert_true (run_rows (fixture, SPEED_SQL, rows, &batch, NULL));
      together = MIN (together, g_get_monotonic_time () - start);
    }
  g_test_message ("one by one %.0f/s, together %.0f/s: %.1f times", 1e8 / one_by_one,
                  1e8 / together, (double) one_by_one / together);
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *name;
    void (*test) (Fixture *fixture, gconstpointer data);
  } tests[] = {
    {"many", test_many},
    {"none", test_none},
    {"memory", test_memory},
    {"large", test_large},
    {"results", test_results},
    {"failure", test_failure},
    {"bad-params", test_bad_params},
    {"copy", test_copy},
    {"independent", test_independent},
    {"deferred", test_deferred},
    {"in-transaction", test_in_transaction},
    {"books", test_books},
    {"overflow", test_overflow},
    {"heals", test_heals},
    {"independent-heals", test_independent_heals},
    {"read-only", test_read_only},
    {"cancel", test_cancel},
    {"cancel-quick", test_cancel_quick},
    {"timeout", test_timeout},
    {"lost", test_lost},
    {"async", test_async},
    {"speed", test_speed},
  };

  g_test_init (&argc, &argv, NULL);
  alarm (120); /* the watchdog of the waits above */
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/postgres/batch/", tests[i].name, NULL);

      g_test_add (path, Fixture, NULL, set_up, tests[i].test, tear_down);
    }
  return g_test_run ();
}
