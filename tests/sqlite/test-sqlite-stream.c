/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Rows read bit by bit, and what happens to the session meanwhile. */

#include "sqlite-test-utils.h"

#define COUNT(n) "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT " #n ") "

typedef struct
{
  Fixture base;
  DbSqliteManager *manager;
  DbSession *session;
  DbSession *other;
} StreamFixture;

static void
stream_set_up (StreamFixture *fixture, gconstpointer kind)
{
  fixture_set_up (&fixture->base, NULL);
  fixture->manager = new_manager_of (&fixture->base, kind, 100 * 1000);
  fixture->session = open_session (fixture->manager);
  fixture->other = open_session (fixture->manager);
  run (fixture->session, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
  run (fixture->session, COUNT (10) "INSERT INTO t SELECT x, 'row ' || x FROM c");
}

static void
stream_tear_down (StreamFixture *fixture, gconstpointer kind)
{
  close_session (fixture->manager, fixture->session);
  close_session (fixture->manager, fixture->other);
  g_object_unref (fixture->manager);
  fixture_tear_down (&fixture->base, NULL);
}

static DbResult *
request (DbSession *session,
         DbRequest what,
         const char *sql,
         DbParams *params,
         DbStream *stream,
         guint n_rows,
         GError **error)
{
  DbStatementPlan plan = {
    .sql = sql, .params = params, .request = what, .stream = stream, .n_rows = n_rows};

  return db_session_run (session, &plan, NULL, error);
}

static void
open_stream (DbSession *session, const char *sql, DbStream *stream)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = request (session, DB_REQUEST_OPEN, sql, NULL, stream, 0, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 0);
  g_assert_nonnull (stream->data);
  g_assert_false (stream->done);
}

static DbResult *
fetch (DbSession *session, DbStream *stream, guint n_rows)
{
  g_autoptr (GError) error = NULL;
  DbResult *result = request (session, DB_REQUEST_FETCH, "", NULL, stream, n_rows, &error);

  g_assert_no_error (error);
  return result;
}

static void
assert_fetch (DbSession *session, DbStream *stream, guint n_rows, guint n, gboolean done)
{
  g_autoptr (DbResult) result = fetch (session, stream, n_rows);

  g_assert_cmpuint (db_result_get_n_rows (result), ==, n);
  g_assert_cmpint (stream->done, ==, done);
  g_assert_true ((stream->data == NULL) == done);
}

static void
assert_fetch_fails (DbSession *session, DbStream *stream, int code, const char *part)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (request (session, DB_REQUEST_FETCH, "", NULL, stream, 5, &error));
  g_assert_error (error, DB_ERROR, code);
  assert_contains (error->message, part);
  g_assert_null (stream->data);
}

static void
close_stream (DbSession *session, DbStream *stream)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = request (session, DB_REQUEST_CLOSE, "", NULL, stream, 0, &error);

  g_assert_no_error (error);
  g_assert_nonnull (result);
  g_assert_null (stream->data);
}

static void
test_slices (StreamFixture *fixture, gconstpointer kind)
{
  DbStream stream = {0};

  open_stream (fixture->session, "SELECT * FROM t ORDER BY a", &stream);
  g_assert_true (db_session_is_dirty (fixture->session));
  assert_fetch (fixture->session, &stream, 4, 4, FALSE);
  {
    g_autoptr (DbResult) result = fetch (fixture->session, &stream, 4);

    g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 5);
    g_assert_cmpstr (db_result_get_text (result, 3, 1), ==, "row 8");
    g_assert_cmpstr (db_result_get_column_name (result, 1), ==, "b");
  }
  assert_fetch (fixture->session, &stream, 4, 2, TRUE);
  /* Reading to the end costs no reset. */
  g_assert_false (db_session_is_dirty (fixture->session));
  g_assert_false (db_session_has_leftovers (fixture->session));
  assert_fetch_fails (fixture->session, &stream, DB_ERROR_QUERY, "no rows being read");
  close_stream (fixture->session, &stream);

  /* The last row is known to be the last one. */
  open_stream (fixture->session, "SELECT * FROM t ORDER BY a", &stream);
  assert_fetch (fixture->session, &stream, 10, 10, TRUE);
}

static void
test_no_rows (StreamFixture *fixture, gconstpointer kind)
{
  static const char *const statements[] = {
    "SELECT * FROM t WHERE a > 99",          "", "CREATE TABLE u (a)", "BEGIN", "ROLLBACK",
    "DELETE FROM t WHERE a > 99 RETURNING a"};
  static const guint n_columns[] = {2, 0, 0, 0, 0, 1};

  for (gsize i = 0; i < G_N_ELEMENTS (statements); i++)
    {
      DbStream stream = {0};
      g_autoptr (DbResult) result = NULL;

      open_stream (fixture->session, statements[i], &stream);
      result = fetch (fixture->session, &stream, 3);
      g_assert_cmpuint (db_result_get_n_rows (result), ==, 0);
      g_assert_cmpuint (db_result_get_n_columns (result), ==, n_columns[i]);
      g_assert_true (stream.done);
    }
}

static void
test_params (StreamFixture *fixture, gconstpointer kind)
{
  DbStream stream = {0};
  DbParams *params = db_params_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) opened = NULL;
  g_autoptr (DbResult) result = NULL;

  db_params_add_text (params, "a text that is long enough not to stand in the table itself");
  opened = request (fixture->session, DB_REQUEST_OPEN, "SELECT $1 || a FROM t", params, &stream, 0,
                    &error);
  g_assert_no_error (error);
  /* The values belong to the caller, who need not keep them. */
  db_params_free (params);
  params = db_params_new ();
  db_params_add_text (params, "another text that probably lies where that one was before it");
  assert_fetch (fixture->session, &stream, 9, 9, FALSE);
  result = fetch (fixture->session, &stream, 9);
  g_assert_cmpstr (db_result_get_text (result, 0, 0), ==,
                   "a text that is long enough not to stand in the table itself10");
  g_clear_object (&opened);
  db_params_free (params);
  g_assert_null (
    request (fixture->session, DB_REQUEST_OPEN, "SELECT $1", NULL, &stream, 0, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_assert_false (db_session_is_dirty (fixture->session));
}

static void
test_writing_statement (StreamFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;
  DbStream stream = {0};

  open_stream (session, "UPDATE t SET b = 'new' RETURNING a", &stream);
  g_assert_cmpint (run_int64 (fixture->other, "SELECT count(*) FROM t WHERE b = 'new'"), ==, 10);
  assert_fetch (session, &stream, 4, 4, FALSE);
  run (fixture->other, "DELETE FROM t");
  assert_fetch (session, &stream, 4, 4, FALSE);
  assert_fetch (session, &stream, 4, 2, TRUE);

  run (session, "BEGIN");
  open_stream (session, "INSERT INTO t (b) VALUES (1), (2) RETURNING a", &stream);
  run (session, "ROLLBACK");
  assert_fetch_fails (session, &stream, DB_ERROR_QUERY, "was rolled back");
}

/* The same text, twice at once and between; other statements, also writes. */
static void
test_between (StreamFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;
  DbStream first = {0};
  DbStream second = {0};

  run (session, "SELECT a FROM t");
  open_stream (session, "SELECT a FROM t", &first);
  assert_fetch (session, &first, 3, 3, FALSE);
  open_stream (session, "SELECT a FROM t", &second);
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM (SELECT a FROM t)"), ==, 10);
  run (session, "SELECT a FROM t");
  run (session, "UPDATE t SET b = 'x' WHERE a = 1");
  assert_fetch (session, &second, 9, 9, FALSE);
  run (session, "CREATE TABLE u (a)");
  assert_fails (session, "DROP TABLE t", DB_ERROR_BUSY, "still reading");
  assert_fetch (session, &first, 9, 7, TRUE);
  g_assert_true (db_session_is_dirty (session));
  close_stream (session, &second);
  g_assert_false (db_session_is_dirty (session));
  /* Both were there, for others too. */
  g_assert_cmpint (run_int64 (fixture->other, "SELECT count(*) FROM t WHERE b = 'x'"), ==, 1);
  g_assert_cmpint (run_int64 (fixture->other, "SELECT count(*) FROM u"), ==, 0);
  run (fixture->other, "DROP TABLE t");
}

static void
test_transactions (StreamFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;
  DbStream before = {0};
  DbStream inside = {0};

  /* A commit leaves it alone. */
  run (session, "BEGIN IMMEDIATE");
  run (session, "INSERT INTO t VALUES (11, NULL)");
  open_stream (session, "SELECT a FROM t", &inside);
  assert_fetch (session, &inside, 3, 3, FALSE);
  run (session, "COMMIT");
  assert_fetch (session, &inside, 30, 8, TRUE);

  /* A rollback ends what was opened in the transaction, and nothing else. */
  open_stream (session, "SELECT a FROM t", &before);
  assert_fetch (session, &before, 3, 3, FALSE);
  run (session, "BEGIN");
  open_stream (session, "SELECT a FROM t", &inside);
  assert_fetch (session, &inside, 3, 3, FALSE);
  run (session, "ROLLBACK");
  assert_fetch_fails (session, &inside, DB_ERROR_QUERY, "was rolled back");
  assert_fetch (session, &before, 30, 8, TRUE);

  run (session, "BEGIN");
  open_stream (session, "SELECT a FROM t", &inside);
  assert_fails (session, "INSERT OR ROLLBACK INTO t VALUES (1, 1)", DB_ERROR_CONSTRAINT, "UNIQUE");
  assert_fetch_fails (session, &inside, DB_ERROR_QUERY, "was rolled back");

  run (session, "BEGIN");
  open_stream (session, "SELECT a FROM t", &inside);
  assert_fails (session, "COMMIT now", DB_ERROR_QUERY, "syntax");
  assert_fetch (session, &inside, 30, 11, TRUE);
  run (session, "ROLLBACK");
  g_assert_false (db_session_has_leftovers (session));
}

/* Whether others can write meanwhile is the journal's affair; nobody hangs, and all are told why.
 */
static void
test_others_write (StreamFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;
  gboolean wal = strcmp (kind, "wal") == 0;
  gint64 begin;
  DbStream stream = {0};

  open_stream (session, "SELECT a FROM t", &stream);
  assert_fetch (session, &stream, 3, 3, FALSE);
  begin = g_get_monotonic_time ();
  if (wal)
    {
      run (fixture->other, "INSERT INTO t VALUES (11, NULL)");
      assert_fails (session, "INSERT INTO t VALUES (12, NULL)", DB_ERROR_SERIALIZATION,
                    "rows are still being read");
      assert_fails (session, "BEGIN IMMEDIATE", DB_ERROR_SERIALIZATION, "close their cursor");
      g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
    }
  else
    {
      assert_fails (fixture->other, "INSERT INTO t VALUES (11, NULL)", DB_ERROR_BUSY,
                    "cursor that reads");
      g_assert_cmpint (g_get_monotonic_time () - begin, >=, 100 * 1000);
      run (session, "INSERT INTO t VALUES (12, NULL)");
      run (session, "DELETE FROM t WHERE a = 12");
    }
  g_assert_cmpint (g_get_monotonic_time () - begin, <, AT_ONCE);
  assert_fetch (session, &stream, 30, 7, TRUE);
  run (session, "INSERT INTO t VALUES (13, NULL)");
  run (fixture->other, "INSERT INTO t VALUES (14, NULL)");
}

/* Without WAL: who waits for the reader is woken by its end. */
static void
test_end_wakes (StreamFixture *fixture, gconstpointer kind)
{
  g_autoptr (DbSqliteManager) patient = new_manager_of (&fixture->base, kind, 60 * G_USEC_PER_SEC);
  RequestJob job = {.session = open_session (patient),
                    .plan = {.sql = "INSERT INTO t VALUES (11, NULL)"}};
  DbStream stream = {0};

  open_stream (fixture->session, "SELECT a FROM t", &stream);
  start_request (&job);
  for (;;)
    {
      g_autofree char *text = db_session_describe (job.session);

      if (text != NULL)
        break;
    }
  /* Its own session must not wait for it, which waits for the session. */
  assert_fails (fixture->session, "INSERT INTO t VALUES (12, NULL)", DB_ERROR_SERIALIZATION,
                "rows are still being read");
  close_stream (fixture->session, &stream);
  g_thread_join (job.thread);
  g_assert_no_error (job.error);
  g_clear_object (&job.result);
  close_session (patient, job.session);
}

/* The same with a writer that is not dbpool's, and so stands in no queue. */
static void
test_stranger_writes (StreamFixture *fixture, gconstpointer kind)
{
  DbStream stream = {0};
  sqlite3 *db;

  g_assert_cmpint (sqlite3_open (fixture->base.file, &db), ==, SQLITE_OK);
  open_stream (fixture->session, "SELECT a FROM t", &stream);
  g_assert_cmpint (sqlite3_exec (db, "BEGIN IMMEDIATE", NULL, NULL, NULL), ==, SQLITE_OK);
  assert_fails (fixture->session, "INSERT INTO t VALUES (12, NULL)", DB_ERROR_SERIALIZATION,
                "rows are still being read");
  g_assert_cmpint (sqlite3_exec (db, "ROLLBACK", NULL, NULL, NULL), ==, SQLITE_OK);
  run (fixture->session, "INSERT INTO t VALUES (12, NULL)");
  assert_fetch (fixture->session, &stream, 99, 11, TRUE);
  sqlite3_close (db);
}

static void
test_schema_changes (StreamFixture *fixture, gconstpointer kind)
{
  DbStream stream = {0};

  if (strcmp (kind, "wal") != 0)
    {
      g_test_skip ("a reader keeps others from changing the schema");
      return;
    }
  open_stream (fixture->session, "SELECT * FROM t", &stream);
  assert_fetch (fixture->session, &stream, 3, 3, FALSE);
  run (fixture->other, "DROP TABLE t");
  assert_fetch (fixture->session, &stream, 30, 7, TRUE);
  assert_fails (fixture->session, "SELECT * FROM t", DB_ERROR_QUERY, "no such table");
}

/* An error in the middle ends it. */
static void
test_error (StreamFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;
  DbStream stream = {0};

  open_stream (session, "SELECT iif (a = 8, abs (-9223372036854775808), a) FROM t", &stream);
  assert_fetch (session, &stream, 5, 5, FALSE);
  assert_fetch_fails (session, &stream, DB_ERROR_QUERY, "integer overflow");
  g_assert_false (db_session_is_dirty (session));
  assert_fetch_fails (session, &stream, DB_ERROR_QUERY, "no rows being read");
  run (session, "DROP TABLE t");
}

static void
test_cancel (StreamFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;
  DbStream stream = {0};
  RequestJob job = {.session = session,
                    .plan = {.request = DB_REQUEST_FETCH, .stream = &stream, .n_rows = 10}};

  /* The rows are there at once, the end is not. */
  open_stream (session,
               "SELECT 1 UNION ALL SELECT x FROM (WITH RECURSIVE c (x) AS "
               "(SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c WHERE x < 0)",
               &stream);
  start_request (&job);
  g_assert_cmpint (stop_request (&job), <, AT_ONCE);
  g_assert_error (job.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&job.error);
  g_assert_null (stream.data);
  g_assert_false (db_session_is_dirty (session));
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 10);
}

static void
test_timeout (StreamFixture *fixture, gconstpointer kind)
{
  DbStream stream = {0};
  DbStatementPlan plan = {.sql = ENDLESS_QUERY,
                          .request = DB_REQUEST_OPEN,
                          .stream = &stream,
                          .timeout = 50 * 1000};
  gint64 begin = g_get_monotonic_time ();
  g_autoptr (GError) error = NULL;

  g_assert_null (db_session_run (fixture->session, &plan, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpint (g_get_monotonic_time () - begin, >=, 50 * 1000);
  g_assert_cmpint (g_get_monotonic_time () - begin, <, AT_ONCE);
  g_assert_false (db_session_is_dirty (fixture->session));
}

static void
test_reset (StreamFixture *fixture, gconstpointer kind)
{
  DbSession *session = fixture->session;
  g_autoptr (GError) error = NULL;
  DbStream stream = {0};
  DbStream next = {0};

  for (int level = DB_RESET_NONE; level <= DB_RESET_CLEAN; level++)
    {
      open_stream (session, "SELECT a FROM t", &stream);
      assert_fetch (session, &stream, 3, 3, FALSE);
      db_connection_manager_reset_session (DB_CONNECTION_MANAGER (fixture->manager), session,
                                           (DbResetLevel) level, NULL, &error);
      g_assert_no_error (error);
      g_assert_false (db_session_is_dirty (session));
      run (fixture->other, "UPDATE t SET b = NULL");
      run (session, "UPDATE t SET b = NULL");
      /* A cursor that was left behind does not get at the next one's rows. */
      open_stream (session, "SELECT a FROM t", &next);
      close_stream (session, &(DbStream){.data = stream.data});
      assert_fetch_fails (session, &stream, DB_ERROR_QUERY, "no rows being read");
      assert_fetch (session, &next, 30, 10, TRUE);
    }
}

static void
test_closed (StreamFixture *fixture, gconstpointer kind)
{
  DbSession *session = open_session (fixture->manager);
  g_autoptr (GError) error = NULL;
  DbStream stream = {0};

  open_stream (session, "SELECT a FROM t", &stream);
  db_connection_manager_close_session (DB_CONNECTION_MANAGER (fixture->manager), session);
  g_assert_null (request (session, DB_REQUEST_FETCH, "", NULL, &stream, 1, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
  close_stream (session, &stream);
  g_object_unref (session);
  run (fixture->other, "DROP TABLE t");
}

static gsize
get_resident_kib (void)
{
  g_autofree char *status = NULL;
  const char *line;

  g_assert_true (g_file_get_contents ("/proc/self/status", &status, NULL, NULL));
  line = strstr (status, "VmRSS:");
  g_assert_nonnull (line);
  return (gsize) g_ascii_strtoull (line + strlen ("VmRSS:"), NULL, 10);
}

/* A million rows, which take some 50 MiB when they are all there. */
static void
test_memory (StreamFixture *fixture, gconstpointer kind)
{
  DbStream stream = {0};
  guint n_rows = 0;
  gsize before = 0;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  g_test_skip ("a sanitizer keeps what was freed");
  return;
#endif
  open_stream (fixture->session, COUNT (1000000) "SELECT x, 'the text of row ' || x FROM c",
               &stream);
  while (!stream.done)
    {
      g_autoptr (DbResult) result = fetch (fixture->session, &stream, 1000);

      n_rows += db_result_get_n_rows (result);
      if (n_rows == 10000)
        before = get_resident_kib ();
    }
  g_assert_cmpuint (n_rows, ==, 1000000);
  g_test_message ("%" G_GSIZE_FORMAT " KiB after 10,000 rows, %" G_GSIZE_FORMAT " KiB at the end",
                  before, get_resident_kib ());
  g_assert_cmpuint (get_resident_kib (), <, before + 4 * 1024);
}

static void
add (const char *name, void (*function) (StreamFixture *, gconstpointer))
{
  static const char *const kinds[] = {"wal", "delete", "memory"};

  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autofree char *path = g_strdup_printf ("/sqlite/stream/%s/%s", name, kinds[i]);

      g_test_add (path, StreamFixture, kinds[i], stream_set_up, function, stream_tear_down);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("slices", test_slices);
  add ("no-rows", test_no_rows);
  add ("params", test_params);
  add ("writing-statement", test_writing_statement);
  add ("between", test_between);
  add ("transactions", test_transactions);
  add ("others-write", test_others_write);
  add ("schema-changes", test_schema_changes);
  add ("error", test_error);
  add ("cancel", test_cancel);
  add ("timeout", test_timeout);
  add ("reset", test_reset);
  add ("closed", test_closed);
  g_test_add ("/sqlite/stream/stranger-writes", StreamFixture, "delete", stream_set_up,
              test_stranger_writes, stream_tear_down);
  g_test_add ("/sqlite/stream/end-wakes", StreamFixture, "delete", stream_set_up, test_end_wakes,
              stream_tear_down);
  g_test_add ("/sqlite/stream/memory", StreamFixture, "wal", stream_set_up, test_memory,
              stream_tear_down);
  return g_test_run ();
}
