/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Rows that are read one by one, and which statements a cursor can be declared for instead. */

#include "postgres-fixture.h"

#include "db-error.h"
#include "db-postgres-session-private.h"
#include "db-worker-private.h"

#include <string.h>
#include <unistd.h>

#define ROWS_SQL "INSERT INTO t SELECT generate_series (1, 1000) RETURNING i, 'row ' || i"

typedef struct
{
  DbConnectionManager *manager;
  DbSession *session;
  DbStream stream;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  db_worker_hold ();
  fixture->manager = fixture_manager_new (NULL);
  fixture->session = fixture_open (fixture->manager);
  fixture_execute (fixture->session, "CREATE TEMP TABLE t (i int)");
  db_session_clear_dirty (fixture->session);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  db_connection_manager_close_session (fixture->manager, fixture->session);
  g_clear_object (&fixture->session); /* a job may hold it for a moment longer */
  g_assert_finalize_object (fixture->manager);
  db_worker_drop ();
}

static void
make_plan (Fixture *fixture, DbStatementPlan *plan, DbRequest request, const char *sql, guint n)
{
  *plan = (DbStatementPlan){sql, NULL, DB_STATEMENT_NONE, 0};
  plan->request = request;
  plan->stream = &fixture->stream;
  plan->n_rows = n;
}

static DbResult *
try_request (Fixture *fixture,
             DbRequest request,
             const char *sql,
             guint n,
             GCancellable *cancellable,
             GError **error)
{
  DbStatementPlan plan;

  make_plan (fixture, &plan, request, sql, n);
  return db_session_run (fixture->session, &plan, cancellable, error);
}

static DbResult *
request (Fixture *fixture, DbRequest kind, const char *sql, guint n)
{
  g_autoptr (GError) error = NULL;
  DbResult *result = try_request (fixture, kind, sql, n, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (result);
  return result;
}

static void
open_stream (Fixture *fixture, const char *sql)
{
  g_object_unref (request (fixture, DB_REQUEST_OPEN, sql, 0));
  g_assert_nonnull (fixture->stream.data);
  g_assert_false (fixture->stream.done);
}

static void
close_stream (Fixture *fixture)
{
  g_object_unref (request (fixture, DB_REQUEST_CLOSE, NULL, 0));
  g_assert_null (fixture->stream.data);
}

static DbResult *
fetch (Fixture *fixture, guint n)
{
  return request (fixture, DB_REQUEST_FETCH, NULL, n);
}

static void
assert_usable (Fixture *fixture)
{
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IDLE);
  fixture_assert_text (fixture->session, "SELECT 'fine'", "fine");
}

static void
assert_pending (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (fixture_try (fixture->session, "SELECT 1", NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
}

static void
test_rows (Fixture *fixture, gconstpointer data)
{
  guint n_rows = 0;
  gint64 rows_affected = -1;

  open_stream (fixture, ROWS_SQL);
  g_assert_true (db_session_is_dirty (fixture->session));
  while (!fixture->stream.done)
    {
      g_autoptr (DbResult) part = fetch (fixture, 300);

      g_assert_cmpuint (db_result_get_n_columns (part), ==, 2);
      g_assert_cmpint (db_result_get_rows_affected (part), ==, fixture->stream.done ? 1000 : -1);
      g_assert_cmpuint (db_result_get_n_rows (part), ==, fixture->stream.done ? 100 : 300);
      g_assert_cmpint (db_result_get_int64 (part, 0, 0), ==, n_rows + 1);
      n_rows += db_result_get_n_rows (part);
      rows_affected = db_result_get_rows_affected (part);
    }
  g_assert_cmpuint (n_rows, ==, 1000);
  g_assert_cmpint (rows_affected, ==, 1000);
  g_assert_null (fixture->stream.data);
  assert_usable (fixture);
  g_assert_cmpint (fixture_int64 (fixture->session, "SELECT count(*) FROM t"), ==, 1000);
}

/* The end comes as a part without rows, but with columns, when the rows were just enough. */
static void
test_exact (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbResult) rows = NULL;
  g_autoptr (DbResult) rest = NULL;

  open_stream (fixture, ROWS_SQL);
  rows = fetch (fixture, 1000);
  g_assert_cmpuint (db_result_get_n_rows (rows), ==, 1000);
  if (!fixture->stream.done)
    {
      rest = fetch (fixture, 1);
      g_assert_cmpuint (db_result_get_n_rows (rest), ==, 0);
      g_assert_cmpuint (db_result_get_n_columns (rest), ==, 2);
    }
  g_assert_true (fixture->stream.done);
  assert_usable (fixture);
}

/* What has no rows leaves the session free at once. */
static void
test_without_rows (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *sql;
    guint n_columns;
    gint64 rows_affected;
  } statements[] = {
    {"SELECT 1 AS a, 2 AS b WHERE false", 2, -1},
    {"INSERT INTO t VALUES (1), (2)", 0, 2},
    {"UPDATE t SET i = 3 WHERE i = 77 RETURNING i", 1, 0},
    {"CREATE TEMP TABLE t2 (i int)", 0, -1},
    {"", 0, -1},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (statements); i++)
    {
      g_autoptr (DbResult) part = NULL;

      open_stream (fixture, statements[i].sql);
      assert_usable (fixture);
      part = fetch (fixture, 10);
      g_assert_true (fixture->stream.done);
      g_assert_null (fixture->stream.data);
      g_assert_cmpuint (db_result_get_n_rows (part), ==, 0);
      g_assert_cmpuint (db_result_get_n_columns (part), ==, statements[i].n_columns);
      g_assert_cmpint (db_result_get_rows_affected (part), ==, statements[i].rows_affected);
      open_stream (fixture, statements[i].sql[0] == 'C' ? "" : statements[i].sql);
      close_stream (fixture);
    }
  assert_usable (fixture);
}

static void
test_others (Fixture *fixture, gconstpointer data)
{
  static const char *const statements[] = {"EXPLAIN SELECT 1", "SHOW ALL", "SELECT * FROM pg_class",
                                           NULL};

  for (gsize i = 0; statements[i] != NULL; i++)
    {
      g_autoptr (DbResult) part = NULL;

      open_stream (fixture, statements[i]);
      part = fetch (fixture, G_MAXUINT);
      g_assert_true (fixture->stream.done);
      g_assert_cmpuint (db_result_get_n_rows (part), >, 0);
      g_assert_cmpint (db_result_get_rows_affected (part), ==, -1);
      assert_usable (fixture);
    }
}

static void
test_pending (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbResult) part = NULL;
  g_autoptr (GError) error = NULL;
  DbStream other = {0};
  DbStatementPlan plan = {"SELECT 1", NULL, DB_STATEMENT_NONE, 0};

  fixture_execute (fixture->session, "BEGIN");
  open_stream (fixture, ROWS_SQL);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IN_TRANSACTION);
  assert_pending (fixture);
  g_assert_true (db_session_is_alive (fixture->session));
  plan.request = DB_REQUEST_OPEN;
  plan.stream = &other;
  g_assert_null (db_session_run (fixture->session, &plan, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
  part = fetch (fixture, 5);
  g_assert_cmpint (db_result_get_int64 (part, 4, 0), ==, 5);
  assert_pending (fixture);
  close_stream (fixture);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IN_TRANSACTION);
  fixture_execute (fixture->session, "COMMIT");
  g_assert_cmpint (fixture_int64 (fixture->session, "SELECT count(*) FROM t"), ==, 1000);
  close_stream (fixture); /* again: nothing happens */
}

static void
test_errors (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) part = NULL;

  g_assert_null (try_request (fixture, DB_REQUEST_OPEN, "SELECT 1/0", 0, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
  g_clear_error (&error);
  g_assert_null (fixture->stream.data);
  g_assert_null (try_request (fixture, DB_REQUEST_OPEN, "COPY t TO STDOUT", 0, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  assert_usable (fixture);

  open_stream (fixture, "SELECT 1 / (20 - i) FROM generate_series (1, 30) AS i");
  part = fetch (fixture, 10);
  g_assert_null (try_request (fixture, DB_REQUEST_FETCH, NULL, 100, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
  g_clear_error (&error);
  g_assert_null (fixture->stream.data);
  g_assert_null (try_request (fixture, DB_REQUEST_FETCH, NULL, 100, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  assert_usable (fixture);
}

/* Half-read, and returned: the rows were inserted, and the session is clean. */
static void
test_reset (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  fixture_execute (fixture->session, "CREATE TABLE stays (i int)");
  db_session_clear_dirty (fixture->session);
  open_stream (fixture, "INSERT INTO stays SELECT generate_series (1, 100000) RETURNING i");
  g_assert_true (db_session_is_dirty (fixture->session));
  g_assert_true (db_connection_manager_reset_session (fixture->manager, fixture->session,
                                                      DB_RESET_DIRTY, NULL, &error));
  g_assert_no_error (error);
  assert_usable (fixture);
  g_assert_cmpint (fixture_int64 (fixture->session, "SELECT count(*) FROM stays"), ==, 100000);
  g_assert_null (try_request (fixture, DB_REQUEST_FETCH, NULL, 1, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  fixture_execute (fixture->session, "DROP TABLE stays");
}

/* A reset commits what was begun for a cursor, and nothing else. */
static void
test_reset_commits (Fixture *fixture, gconstpointer data)
{
  fixture_execute (fixture->session, "CREATE TABLE stays (i int)");
  for (guint i = 0; i < 2; i++)
    {
      fixture_execute (fixture->session, "BEGIN");
      open_stream (fixture, "INSERT INTO stays VALUES (1) RETURNING i");
      db_session_set_end (fixture->session, i == 0 ? "COMMIT" : NULL);
      g_assert_true (db_connection_manager_reset_session (fixture->manager, fixture->session,
                                                          DB_RESET_DIRTY, NULL, NULL));
      db_session_clear_dirty (fixture->session);
      assert_usable (fixture);
      g_assert_cmpint (fixture_int64 (fixture->session, "SELECT count(*) FROM stays"), ==, 1);
    }
  fixture_execute (fixture->session, "DROP TABLE stays");
}

/* The session goes, and what was open with it. */
static void
test_left_open (Fixture *fixture, gconstpointer data)
{
  open_stream (fixture, ROWS_SQL);
}

typedef struct
{
  Fixture *fixture;
  GCancellable *cancellable;
} Canceller;

static gpointer
cancel_when_asleep (gpointer data)
{
  Canceller *self = data;
  g_autofree char *sql = g_strdup_printf (
    "SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND wait_event = 'PgSleep'",
    DB_POSTGRES_SESSION (self->fixture->session)->pid);
  DbSession *observer = fixture_open (self->fixture->manager);

  FIXTURE_WAIT_UNTIL (fixture_int64 (observer, sql) == 1);
  fixture_close (self->fixture->manager, observer);
  g_cancellable_cancel (self->cancellable);
  return NULL;
}

static gpointer
cancel_now (gpointer data)
{
  g_cancellable_cancel (data);
  return NULL;
}

/* Many rows come, then none for a minute. */
#define STALLS_SQL                                                                                 \
  "SELECT CASE WHEN i = 100 THEN pg_sleep (60)::text ELSE repeat ('x', 10000) END "                \
  "FROM generate_series (1, 200) AS i"

static void
test_cancel (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) part = NULL;
      Canceller canceller = {fixture, cancellable};
      GThread *thread;
      gint64 start;

      open_stream (fixture, STALLS_SQL);
      part = fetch (fixture, 20);
      g_assert_cmpuint (db_result_get_n_rows (part), ==, 20);
      thread = g_thread_new ("canceller", cancel_when_asleep, &canceller);
      start = g_get_monotonic_time ();
      g_assert_null (try_request (fixture, i == 0 ? DB_REQUEST_CLOSE : DB_REQUEST_FETCH, NULL, 1000,
                                  cancellable, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_cmpint (g_get_monotonic_time () - start, <, 10 * G_USEC_PER_SEC);
      g_thread_join (thread);
      g_assert_null (fixture->stream.data);
      assert_usable (fixture);
    }
}

/* OPEN waits for the first row. */
static void
test_timeout (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) part = NULL;
  DbStatementPlan plan;

  make_plan (fixture, &plan, DB_REQUEST_OPEN, "SELECT pg_sleep (60)", 0);
  plan.timeout = 50 * G_TIME_SPAN_MILLISECOND;
  g_assert_null (db_session_run (fixture->session, &plan, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_clear_error (&error);
  assert_usable (fixture);

  open_stream (fixture, STALLS_SQL);
  make_plan (fixture, &plan, DB_REQUEST_FETCH, NULL, 1000);
  plan.timeout = 50 * G_TIME_SPAN_MILLISECOND;
  part = db_session_run (fixture->session, &plan, NULL, &error);
  g_assert_null (part);
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_usable (fixture);
}

/* Cancels that come while rows are handed over hit the stream or nothing, never what is after it.
 */
static void
test_fence (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (GError) error = NULL;

      open_stream (fixture, "SELECT repeat ('x', 1000) FROM generate_series (1, 2000)");
      while (!fixture->stream.done)
        {
          g_autoptr (GCancellable) cancellable = g_cancellable_new ();
          GThread *thread = NULL;
          g_autoptr (DbResult) part = NULL;

          if (fixture->stream.data != NULL && i % 2 == 0)
            thread = g_thread_new ("canceller", cancel_now, cancellable);
          part = try_request (fixture, DB_REQUEST_FETCH, NULL, 100, cancellable, &error);
          if (thread != NULL)
            g_thread_join (thread);
          if (part == NULL)
            {
              g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
              g_clear_error (&error);
            }
          if (part == NULL && fixture->stream.data != NULL) /* it was too early to do anything */
            close_stream (fixture);
        }
      assert_usable (fixture);
    }
}

typedef struct
{
  GMainLoop *loop;
  DbResult *result;
  GError *error;
} Answer;

static void
answered_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Answer *answer = data;

  answer->result = db_session_run_finish (DB_SESSION (source), result, &answer->error);
  g_main_loop_quit (answer->loop);
}

static DbResult *
request_async (Fixture *fixture,
               DbRequest kind,
               const char *sql,
               guint n,
               GCancellable *c,
               GError **error)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  Answer answer = {loop, NULL, NULL};
  DbStatementPlan plan;

  make_plan (fixture, &plan, kind, sql, n);
  db_session_run_async (fixture->session, &plan, c, answered_cb, &answer);
  g_main_loop_run (loop);
  if (answer.error != NULL)
    g_propagate_error (error, answer.error);
  return answer.result;
}

static void
test_async (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) opened = request_async (fixture, DB_REQUEST_OPEN, ROWS_SQL, 0, NULL, &error);
  Canceller canceller = {fixture, cancellable};
  guint n_rows = 0;
  GThread *thread;

  g_assert_no_error (error);
  while (!fixture->stream.done)
    {
      g_autoptr (DbResult) part = request_async (fixture, DB_REQUEST_FETCH, NULL, 30, NULL, &error);

      g_assert_no_error (error);
      n_rows += db_result_get_n_rows (part);
    }
  g_assert_cmpuint (n_rows, ==, 1000);
  assert_usable (fixture);

  open_stream (fixture, STALLS_SQL);
  thread = g_thread_new ("canceller", cancel_when_asleep, &canceller);
  g_assert_null (request_async (fixture, DB_REQUEST_FETCH, NULL, 1000, cancellable, &error));
  g_thread_join (thread);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_null (fixture->stream.data);
  assert_usable (fixture);
  open_stream (fixture, ROWS_SQL);
  g_object_unref (request_async (fixture, DB_REQUEST_CLOSE, NULL, 0, NULL, NULL));
  assert_usable (fixture);
}

static void
test_lost (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) part = NULL;

  open_stream (fixture, "SELECT repeat ('x', 10000) FROM generate_series (1, 100000)");
  fixture_terminate (DB_POSTGRES_SESSION (fixture->session)->pid);
  while (fixture->stream.data != NULL)
    {
      g_clear_error (&error);
      g_clear_object (&part);
      part = try_request (fixture, DB_REQUEST_FETCH, NULL, 1000, NULL, &error);
    }
  g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_BROKEN);
  fixture_stop_counting ();
}

static void
test_read_only (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  fixture_execute (fixture->session, "CREATE TABLE plain (i int)");
  db_session_set_read_only (fixture->session, TRUE);
  g_assert_null (try_request (fixture, DB_REQUEST_OPEN, "INSERT INTO plain VALUES (1) RETURNING i",
                              0, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_READ_ONLY);
  db_session_set_read_only (fixture->session, FALSE);
  open_stream (fixture, "INSERT INTO plain VALUES (1) RETURNING i");
  close_stream (fixture);
  fixture_execute (fixture->session, "DROP TABLE plain");
}

static void
test_declare (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *sql;
    gboolean declarable;
  } statements[] = {
    {"SELECT 1", TRUE},
    {"  (select 1) UNION SELECT 2 ; -- no more", TRUE},
    {"/* a /* b */ ; */ TABLE t;", TRUE},
    {"VALUES (1), (2)", TRUE},
    {"SELECT 'INSERT; INTO' AS \"INTO\"", TRUE},
    {"SELECT E'\\'; INTO', $x$ INTO ; $x$, $$ INTO $$", TRUE},
    {"SELECT * FROM t FOR UPDATE", TRUE},
    {"WITH a AS (SELECT * FROM t FOR NO KEY UPDATE) SELECT * FROM a", TRUE},
    {"WITH a AS (SELECT 'DELETE') SELECT * FROM a -- DELETE", TRUE},
    {"WITH a AS (DELETE FROM t RETURNING i) SELECT * FROM a", FALSE},
    {"WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", FALSE},
    {"SELECT 1 AS i INTO TEMP t9", FALSE},
    {"INSERT INTO t VALUES (1) RETURNING i", FALSE},
    {"SELECT 1; SELECT 2", FALSE},
    {"EXPLAIN SELECT 1", FALSE},
    {"SHOW ALL", FALSE},
    {"", FALSE},
    {";", FALSE},
    {"selects", FALSE},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (statements); i++)
    {
      g_autofree char *declare =
        db_session_format_declare (fixture->session, "c", statements[i].sql);

      g_test_message ("%s", statements[i].sql);
      g_assert_cmpint (declare != NULL, ==, statements[i].declarable);
      if (declare == NULL)
        continue;
      fixture_execute (fixture->session, "BEGIN");
      fixture_execute (fixture->session, declare);
      fixture_execute (fixture->session, "FETCH FORWARD 1 FROM c");
      fixture_execute (fixture->session, "CLOSE c");
      fixture_execute (fixture->session, "COMMIT");
      g_assert_false (db_session_is_dirty (fixture->session));
    }
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *name;
    void (*test) (Fixture *fixture, gconstpointer data);
  } tests[] = {
    {"rows", test_rows},
    {"exact", test_exact},
    {"without-rows", test_without_rows},
    {"others", test_others},
    {"pending", test_pending},
    {"errors", test_errors},
    {"reset", test_reset},
    {"reset-commits", test_reset_commits},
    {"left-open", test_left_open},
    {"cancel", test_cancel},
    {"timeout", test_timeout},
    {"fence", test_fence},
    {"async", test_async},
    {"lost", test_lost},
    {"read-only", test_read_only},
    {"declare", test_declare},
  };

  g_test_init (&argc, &argv, NULL);
  alarm (120); /* the watchdog of the waits above */
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/postgres/stream/", tests[i].name, NULL);

      g_test_add (path, Fixture, NULL, set_up, tests[i].test, tear_down);
    }
  return g_test_run ();
}
