/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Batches on one session: one transaction, all or nothing, or each for itself. */

#include "sqlite-test-utils.h"

typedef struct
{
  Fixture base;
  DbSqliteManager *manager;
  DbSession *session;
  DbSession *other;
} BatchFixture;

static void
batch_set_up (BatchFixture *fixture, gconstpointer kind)
{
  fixture_set_up (&fixture->base, NULL);
  fixture->manager = new_manager_of (&fixture->base, kind, 100 * 1000);
  fixture->session = open_session (fixture->manager);
  fixture->other = open_session (fixture->manager);
  run (fixture->session, "CREATE TABLE t (a UNIQUE)");
}

static void
batch_tear_down (BatchFixture *fixture, gconstpointer kind)
{
  close_session (fixture->manager, fixture->session);
  close_session (fixture->manager, fixture->other);
  g_object_unref (fixture->manager);
  fixture_tear_down (&fixture->base, NULL);
}

static DbBatch *
new_batch (const char *first, ...)
{
  DbBatch *batch = db_batch_new ();
  va_list args;

  va_start (args, first);
  for (const char *sql = first; sql != NULL; sql = va_arg (args, const char *))
    db_batch_add (batch, sql, NULL);
  va_end (args);
  return batch;
}

/* What came of it, to be cleared; NULL in @outcome if the run failed. */
static DbBatchResult *
try_batch (DbSession *session, DbBatch *batch, DbBatchFlags flags, GError **error)
{
  DbBatchRun batch_run = {0};
  DbStatementPlan plan = {.request = DB_REQUEST_BATCH, .batch = &batch_run};
  g_autoptr (DbResult) result = NULL;
  DbBatchResult *outcome = NULL;

  g_assert_true (db_batch_run_init (&batch_run, batch, flags, error));
  plan.sql = batch_run.n > 0 ? "first" : "";
  result = db_session_run (session, &plan, NULL, error);
  if (result != NULL)
    {
      g_assert_cmpuint (batch_run.n_done, ==, batch_run.n);
      outcome = g_object_ref (batch_run.result);
    }
  db_batch_run_clear (&batch_run);
  return outcome;
}

static void
assert_batch_fails (DbSession *session,
                    DbBatch *taken,
                    DbBatchFlags flags,
                    int code,
                    const char *part)
{
  g_autoptr (DbBatch) batch = taken;
  g_autoptr (GError) error = NULL;
  g_autoptr (DbBatchResult) outcome = try_batch (session, batch, flags, &error);

  g_assert_error (error, DB_ERROR, code);
  g_assert_null (outcome);
  assert_contains (error->message, part);
}

static gint64
sum (DbSession *session)
{
  return run_int64 (session, "SELECT coalesce (sum (a), 0) FROM t");
}

static void
test_results (BatchFixture *fixture, gconstpointer kind)
{
  g_autoptr (DbBatch) batch =
    new_batch ("INSERT INTO t VALUES (1), (2)", "SELECT a FROM t ORDER BY a", "-- nothing",
               "UPDATE t SET a = a + 10 WHERE a = 1", NULL);
  g_autoptr (DbBatchResult) outcome = NULL;
  DbResult *inserted;
  DbResult *rows;
  g_autoptr (GError) error = NULL;

  db_batch_add (batch, "DELETE FROM t WHERE a = $1", g_variant_new ("(x)", (gint64) 2));
  outcome = try_batch (fixture->session, batch, DB_BATCH_NONE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_statements (outcome), ==, 5);
  g_assert_cmpuint (db_batch_result_get_n_failed (outcome), ==, 0);
  inserted = db_batch_result_get_result (outcome, 0, NULL);
  g_assert_cmpint (db_result_get_rows_affected (inserted), ==, 2);
  g_assert_cmpint (db_result_get_last_insert_id (inserted), ==, 2);
  rows = db_batch_result_get_result (outcome, 1, NULL);
  g_assert_cmpuint (db_result_get_n_rows (rows), ==, 2);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IDLE);
  g_assert_cmpint (sum (fixture->other), ==, 11);
}

static void
test_no_statements (BatchFixture *fixture, gconstpointer kind)
{
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DbBatchResult) outcome = NULL;

  outcome = try_batch (fixture->session, batch, DB_BATCH_NONE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_statements (outcome), ==, 0);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IDLE);
}

static void
test_all_or_nothing (BatchFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;

  assert_batch_fails (session,
                      new_batch ("INSERT INTO t VALUES (1)", "CREATE TABLE u (a)",
                                 "INSERT INTO t VALUES (2), (1)", "INSERT INTO t VALUES (3)", NULL),
                      DB_BATCH_NONE, DB_ERROR_CONSTRAINT, "statement 3 of the batch: UNIQUE");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  g_assert_cmpint (sum (session), ==, 0);
  assert_fails (session, "SELECT * FROM u", DB_ERROR_QUERY, "no such table");
  assert_batch_fails (session, new_batch ("INSERT INTO t VALUES (1)", "SELEC", NULL), DB_BATCH_NONE,
                      DB_ERROR_QUERY, "statement 2 of the batch: near \"SELEC\"");
  assert_batch_fails (session, new_batch ("INSERT INTO t VALUES (1)", "SELECT $1", NULL),
                      DB_BATCH_NONE, DB_ERROR_QUERY,
                      "statement 2 of the batch: the statement has 1");
  g_assert_cmpint (sum (fixture->other), ==, 0);
  /* The token went back. */
  run (fixture->other, "INSERT INTO t VALUES (7)");
}

static void
test_inside_transaction (BatchFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;
  g_autoptr (DbBatch) good = new_batch ("INSERT INTO t VALUES (2)", "SELECT 1", NULL);
  g_autoptr (DbBatchResult) outcome = NULL;
  g_autoptr (GError) error = NULL;

  run (session, "BEGIN IMMEDIATE");
  run (session, "INSERT INTO t VALUES (1)");
  assert_batch_fails (session,
                      new_batch ("INSERT INTO t VALUES (50)", "INSERT INTO t VALUES (1)", NULL),
                      DB_BATCH_NONE, DB_ERROR_CONSTRAINT, "statement 2");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IN_TRANSACTION);
  g_assert_cmpint (sum (session), ==, 1);
  outcome = try_batch (session, good, DB_BATCH_NONE, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IN_TRANSACTION);
  assert_fails (session, "RELEASE dbpool_batch", DB_ERROR_QUERY, "no such savepoint");
  run (session, "COMMIT");
  g_assert_cmpint (sum (fixture->other), ==, 3);
}

static void
test_independent (BatchFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;
  g_autoptr (DbBatch) batch =
    new_batch ("SELEC", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (5), (1)", "BEGIN",
               "COMMIT", "INSERT INTO t VALUES (2)", "SELECT sum (a) FROM t", "VACUUM",
               "SELECT 1; SELECT 2", NULL);
  g_autoptr (DbBatchResult) outcome = NULL;
  DbResult *rows;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) failure = NULL;

  outcome = try_batch (session, batch, DB_BATCH_INDEPENDENT, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_failed (outcome), ==, 6);
  g_assert_null (db_batch_result_get_result (outcome, 2, &failure));
  g_assert_error (failure, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_clear_error (&failure);
  g_assert_null (db_batch_result_get_result (outcome, 3, &failure));
  assert_contains (failure->message, "BEGIN cannot be part of a batch");
  g_clear_error (&failure);
  g_assert_null (db_batch_result_get_result (outcome, 4, &failure));
  assert_contains (failure->message, "COMMIT cannot be part of a batch");
  g_clear_error (&failure);
  g_assert_null (db_batch_result_get_result (outcome, 7, &failure));
  assert_contains (failure->message, "VACUUM");
  rows = db_batch_result_get_result (outcome, 6, NULL);
  g_assert_cmpint (db_result_get_int64 (rows, 0, 0), ==, 3);
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  g_assert_cmpint (sum (fixture->other), ==, 3);
}

/* What ends the transaction of all of them cannot be one statement's own affair. */
static void
test_rollback_clause (BatchFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;

  run (session, "INSERT INTO t VALUES (1)");
  assert_batch_fails (session,
                      new_batch ("INSERT INTO t VALUES (2)", "INSERT OR ROLLBACK INTO t VALUES (1)",
                                 "INSERT INTO t VALUES (3)", NULL),
                      DB_BATCH_INDEPENDENT, DB_ERROR_CONSTRAINT,
                      "statement 2 of the batch rolled back all of it: UNIQUE");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  assert_batch_fails (session,
                      new_batch ("INSERT INTO t VALUES (2)", "INSERT OR ROLLBACK INTO t VALUES (1)",
                                 NULL),
                      DB_BATCH_NONE, DB_ERROR_CONSTRAINT, "statement 2");
  run (session, "BEGIN");
  assert_batch_fails (session,
                      new_batch ("INSERT INTO t VALUES (2)", "INSERT OR ROLLBACK INTO t VALUES (1)",
                                 NULL),
                      DB_BATCH_NONE, DB_ERROR_CONSTRAINT, "statement 2");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  g_assert_cmpint (sum (fixture->other), ==, 1);
}

static void
test_commit_fails (BatchFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;

  run (session, "CREATE TABLE p (id INTEGER PRIMARY KEY)");
  run (session, "CREATE TABLE f (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)");
  assert_batch_fails (session, new_batch ("INSERT INTO f VALUES (9)", "SELECT 1", NULL),
                      DB_BATCH_INDEPENDENT, DB_ERROR_CONSTRAINT,
                      "the batch cannot be committed: FOREIGN KEY");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM f"), ==, 0);
  run (fixture->other, "INSERT INTO t VALUES (1)");
}

/* Without WAL the commit waits for a reader: it must not hang, and has to name the reason. */
static void
test_commit_blocked (BatchFixture *fixture, gconstpointer kind)
{
  run (fixture->other, "BEGIN");
  g_assert_cmpint (sum (fixture->other), ==, 0);
  if (strcmp (kind, "wal") == 0)
    {
      g_autoptr (DbBatch) batch = new_batch ("INSERT INTO t VALUES (1)", NULL);
      g_autoptr (DbBatchResult) outcome = NULL;
      g_autoptr (GError) error = NULL;

      outcome = try_batch (fixture->session, batch, DB_BATCH_NONE, &error);
      g_assert_no_error (error);
    }
  else
    assert_batch_fails (fixture->session, new_batch ("INSERT INTO t VALUES (1)", NULL),
                        DB_BATCH_NONE, DB_ERROR_BUSY, "transaction or cursor that reads");
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IDLE);
  run (fixture->other, "ROLLBACK");
  run (fixture->session, "INSERT INTO t VALUES (2)");
}

/* A batch that only reads does not queue behind a writer; one that writes later begins anew. */
static void
test_token (BatchFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;
  g_autoptr (DbBatch) reads = new_batch ("SELECT 1", "SELECT count(*) FROM t", NULL);
  g_autoptr (DbBatch) mixed = new_batch ("SELECT count(*) FROM t", "INSERT INTO t VALUES (1)",
                                         "SELECT count(*) FROM t", NULL);
  g_autoptr (DbBatchResult) outcome = NULL;
  DbResult *first;
  g_autoptr (GError) error = NULL;

  run (fixture->other, "BEGIN IMMEDIATE");
  if (strcmp (kind, "memory") != 0) /* where readers wait for writers anyway */
    {
      outcome = try_batch (session, reads, DB_BATCH_NONE, &error);
      g_assert_no_error (error);
      g_clear_object (&outcome);
    }
  g_assert_null (try_batch (session, mixed, DB_BATCH_NONE, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  run (fixture->other, "INSERT INTO t VALUES (4)");
  run (fixture->other, "COMMIT");

  outcome = try_batch (session, mixed, DB_BATCH_NONE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_batch_result_get_n_statements (outcome), ==, 3);
  first = db_batch_result_get_result (outcome, 0, NULL);
  g_assert_cmpint (db_result_get_int64 (first, 0, 0), ==, 1);
}

static void
test_read_only (BatchFixture *fixture, gconstpointer kind)
{
  g_autoptr (DbBatch) batch = new_batch ("SELECT 1", "INSERT INTO t VALUES (1)", NULL);
  g_autoptr (DbBatchResult) outcome = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) failure = NULL;

  db_session_set_read_only (fixture->session, TRUE);
  outcome = try_batch (fixture->session, batch, DB_BATCH_INDEPENDENT, &error);
  g_assert_no_error (error);
  g_assert_null (db_batch_result_get_result (outcome, 1, &failure));
  g_assert_error (failure, DB_ERROR, DB_ERROR_READ_ONLY);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IDLE);
}

/* ATTACH is not undone, so it must not come twice. */
static void
test_attach (BatchFixture *fixture, gconstpointer kind)
{
  g_autoptr (DbBatch) batch =
    new_batch ("SELECT 1", "ATTACH ':memory:' AS x", "CREATE TABLE x.u (a)",
               "INSERT INTO x.u VALUES (3)", "INSERT INTO t SELECT a FROM x.u", NULL);
  g_autoptr (DbBatchResult) outcome = NULL;
  g_autoptr (GError) error = NULL;

  outcome = try_batch (fixture->session, batch, DB_BATCH_NONE, &error);
  g_assert_no_error (error);
  g_assert_cmpint (sum (fixture->other), ==, 3);
  g_assert_true (db_session_is_dirty (fixture->session));
}

static DbResult *
try_many (DbSession *session, const char *sql, DbParams *rows, gint64 timeout, GError **error)
{
  DbBatchRun batch_run = {0};
  DbStatementPlan plan = {.sql = sql,
                          .request = DB_REQUEST_BATCH,
                          .batch = &batch_run,
                          .timeout = timeout};
  DbResult *result;

  db_batch_run_init_many (&batch_run, sql, rows);
  result = db_session_run (session, &plan, NULL, error);
  db_batch_run_clear (&batch_run);
  return result;
}

static DbParams *
new_rows (guint n)
{
  DbParams *rows = db_params_new ();

  for (guint i = 0; i < n; i++)
    {
      db_params_add_int64 (rows, i + 1);
      db_params_next_row (rows);
    }
  return rows;
}

static void
test_many (BatchFixture *fixture, gconstpointer kind)
{
  g_autoptr (DbParams) rows = new_rows (1000);
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;

  /* Also without a place in the cache. */
  for (guint size = 0; size < 2; size++)
    {
      db_session_set_statement_cache (fixture->session, size);
      result = try_many (fixture->session, "INSERT INTO t VALUES ($1)", rows, 0, &error);
      g_assert_no_error (error);
      g_assert_cmpint (db_result_get_rows_affected (result), ==, 1000);
      g_assert_cmpint (sum (fixture->other), ==, 500500);
      g_clear_object (&result);
      run (fixture->session, "DELETE FROM t WHERE a <> 500");
      g_assert_null (try_many (fixture->session, "INSERT INTO t VALUES ($1)", rows, 0, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
      assert_contains (error->message, "row 500 of the parameters: UNIQUE");
      g_clear_error (&error);
      g_assert_cmpint (sum (fixture->other), ==, 500);
      run (fixture->session, "DELETE FROM t");
    }
}

/* Statements that are too short for SQLite's own looks. */
static void
test_timeout (BatchFixture *fixture, gconstpointer kind)
{
  g_autoptr (DbParams) rows = new_rows (2 * 1000 * 1000);
  g_autoptr (DbBatch) batch = db_batch_new ();
  DbBatchRun batch_run = {0};
  DbStatementPlan plan = {.request = DB_REQUEST_BATCH, .batch = &batch_run, .timeout = 50 * 1000};
  g_autoptr (GError) error = NULL;
  gint64 begin = g_get_monotonic_time ();

  g_assert_null (try_many (fixture->session, "INSERT INTO t VALUES ($1)", rows, 50 * 1000, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpint (g_get_monotonic_time () - begin, >=, 50 * 1000);
  g_assert_cmpint (g_get_monotonic_time () - begin, <, AT_ONCE);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IDLE);
  g_assert_cmpint (sum (fixture->other), ==, 0);

  for (int i = 0; i < 300 * 1000; i++)
    db_batch_add (batch, "SELECT 1", NULL);
  g_clear_error (&error);
  g_assert_true (db_batch_run_init (&batch_run, batch, DB_BATCH_INDEPENDENT, &error));
  db_session_set_statement_cache (fixture->session, 0);
  g_assert_null (db_session_run (fixture->session, &plan, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpuint (batch_run.n_done, <, batch_run.n);
  db_batch_run_clear (&batch_run);
}

static void
test_cancel (BatchFixture *fixture, gconstpointer kind)
{
  g_autoptr (DbBatch) batch = new_batch ("INSERT INTO t VALUES (1)", ENDLESS_QUERY, NULL);
  g_autoptr (GError) error = NULL;
  DbBatchRun batch_run = {0};
  RequestJob job = {.session = fixture->session,
                    .plan = {.request = DB_REQUEST_BATCH, .batch = &batch_run}};

  for (int inside = 0; inside < 2; inside++)
    {
      g_assert_true (db_batch_run_init (&batch_run, batch, DB_BATCH_INDEPENDENT, &error));
      if (inside)
        {
          run (fixture->session, "BEGIN IMMEDIATE");
          run (fixture->session, "INSERT INTO t VALUES (3)");
        }
      start_request (&job);
      g_assert_cmpint (stop_request (&job), <, AT_ONCE);
      g_assert_error (job.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&job.error);
      db_batch_run_clear (&batch_run);
      g_assert_cmpint (sum (fixture->session), ==, inside ? 3 : 0);
    }
  run (fixture->session, "COMMIT");
}

/* In the queue for the token. */
static void
test_cancel_waiting (BatchFixture *fixture, gconstpointer kind)
{
  g_autoptr (DbSqliteManager) patient = new_manager_of (&fixture->base, kind, 60 * G_USEC_PER_SEC);
  g_autoptr (DbBatch) batch = new_batch ("INSERT INTO t VALUES (1)", NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  DbBatchRun batch_run = {0};
  RequestJob job = {.session = open_session (patient),
                    .plan = {.request = DB_REQUEST_BATCH, .batch = &batch_run},
                    .cancellable = cancellable};

  g_assert_true (db_batch_run_init (&batch_run, batch, DB_BATCH_NONE, &error));
  run (fixture->other, "BEGIN IMMEDIATE");
  start_request (&job);
  wait_for_writer_in_queue (fixture->other);
  g_assert_cmpint (stop_request (&job), <, AT_ONCE);
  g_assert_error (job.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&job.error);
  run (fixture->other, "COMMIT");
  g_assert_cmpint (db_session_get_state (job.session), ==, DB_SESSION_IDLE);
  db_batch_run_clear (&batch_run);
  close_session (patient, job.session);
}

/* What was read before the batch had to wait for its turn to write is read anew. */
static void
test_reads_anew (BatchFixture *fixture, gconstpointer kind)
{
  g_autoptr (DbSqliteManager) patient = new_manager_of (&fixture->base, kind, 60 * G_USEC_PER_SEC);
  g_autoptr (DbBatch) batch =
    new_batch ("SELECT count(*) FROM t", "INSERT INTO t VALUES (1)", NULL);
  g_autoptr (GError) error = NULL;
  DbBatchRun batch_run = {0};
  RequestJob job = {.session = open_session (patient),
                    .plan = {.request = DB_REQUEST_BATCH, .batch = &batch_run}};
  DbResult *first;

  g_assert_true (db_batch_run_init (&batch_run, batch, DB_BATCH_NONE, &error));
  run (fixture->other, "BEGIN IMMEDIATE");
  start_request (&job);
  wait_for_writer_in_queue (fixture->other);
  run (fixture->other, "INSERT INTO t VALUES (2)");
  run (fixture->other, "COMMIT");
  g_thread_join (job.thread);
  g_assert_no_error (job.error);
  first = db_batch_result_get_result (batch_run.result, 0, NULL);
  g_assert_cmpint (db_result_get_int64 (first, 0, 0), ==, 1);
  g_clear_object (&job.result);
  db_batch_run_clear (&batch_run);
  close_session (patient, job.session);
}

static void
add (const char *name, void (*function) (BatchFixture *, gconstpointer))
{
  static const char *const kinds[] = {"wal", "delete", "memory"};

  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autofree char *path = g_strdup_printf ("/sqlite/batch/%s/%s", name, kinds[i]);

      g_test_add (path, BatchFixture, kinds[i], batch_set_up, function, batch_tear_down);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("results", test_results);
  add ("no-statements", test_no_statements);
  add ("all-or-nothing", test_all_or_nothing);
  add ("inside-transaction", test_inside_transaction);
  add ("independent", test_independent);
  add ("rollback-clause", test_rollback_clause);
  add ("commit-fails", test_commit_fails);
  add ("commit-blocked", test_commit_blocked);
  add ("token", test_token);
  add ("read-only", test_read_only);
  add ("attach", test_attach);
  add ("many", test_many);
  add ("timeout", test_timeout);
  add ("cancel", test_cancel);
  g_test_add ("/sqlite/batch/cancel-waiting/wal", BatchFixture, "wal", batch_set_up,
              test_cancel_waiting, batch_tear_down);
  g_test_add ("/sqlite/batch/cancel-waiting/delete", BatchFixture, "delete", batch_set_up,
              test_cancel_waiting, batch_tear_down);
  g_test_add ("/sqlite/batch/reads-anew/wal", BatchFixture, "wal", batch_set_up, test_reads_anew,
              batch_tear_down);
  g_test_add ("/sqlite/batch/reads-anew/delete", BatchFixture, "delete", batch_set_up,
              test_reads_anew, batch_tear_down);
  return g_test_run ();
}
