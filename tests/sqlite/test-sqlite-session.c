/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Statements on one session: parameters, values, errors, transactions, reset. */

#include "sqlite-test-utils.h"
#include "log-capture.h"

typedef struct
{
  Fixture base;
  DbSqliteManager *manager;
  DbSession *session;
} SessionFixture;

static void
session_set_up (SessionFixture *fixture, gconstpointer data)
{
  fixture_set_up (&fixture->base, NULL);
  fixture->manager = db_sqlite_manager_new (fixture->base.file);
  fixture->session = open_session (fixture->manager);
  db_session_set_statement_cache (fixture->session, 3);
}

static void
session_tear_down (SessionFixture *fixture, gconstpointer data)
{
  close_session (fixture->manager, fixture->session);
  g_object_unref (fixture->manager);
  fixture_tear_down (&fixture->base, NULL);
}

static void
test_parameters (SessionFixture *fixture, gconstpointer data)
{
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbResult) result = NULL;

  db_params_add_int64 (params, 10);
  db_params_add_text (params, "twenty");
  db_params_add_double (params, 30.5);
  for (int n = 0; n < 3; n++)
    {
      g_clear_object (&result);
      result = run_params (fixture->session, "SELECT $3, $2, $1, $2, '$4', $1 + 1", params);
      g_assert_cmpfloat (db_result_get_double (result, 0, 0), ==, 30.5);
      g_assert_cmpstr (db_result_get_text (result, 0, 1), ==, "twenty");
      g_assert_cmpint (db_result_get_int64 (result, 0, 2), ==, 10);
      g_assert_cmpstr (db_result_get_text (result, 0, 3), ==, "twenty");
      g_assert_cmpstr (db_result_get_text (result, 0, 4), ==, "$4");
      g_assert_cmpint (db_result_get_int64 (result, 0, 5), ==, 11);
    }
}

static void
test_bad_parameters (SessionFixture *fixture, gconstpointer data)
{
  static const char *const forms[] = {"?",  "?1",  ":x",    "@x",     "$name", "$1::int",
                                      "$0", "$01", "$1(x)", "$70000", "$1x",   "$99999999999999"};
  g_autoptr (DbParams) params = db_params_new ();

  db_params_add_int64 (params, 1);
  for (gsize i = 0; i < G_N_ELEMENTS (forms); i++)
    {
      g_autofree char *sql = g_strconcat ("SELECT ", forms[i], NULL);
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result =
        try_run_full (fixture->session, sql, params, DB_STATEMENT_NONE, 0, NULL, &error);

      g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
      assert_contains (error->message, "use $1");
    }
  assert_fails (fixture->session, "SELECT $1", DB_ERROR_QUERY, "has 1 parameters, but 0 values");
  for (int n = 0; n < 2; n++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result =
        try_run_full (fixture->session, "SELECT 1", params, DB_STATEMENT_NONE, 0, NULL, &error);

      g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
      assert_contains (error->message, "has 0 parameters, but 1 values");
    }
}

static void
test_values (SessionFixture *fixture, gconstpointer data)
{
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GBytes) bytes = g_bytes_new_static ("a\0b\xff", 4);
  g_autoptr (GBytes) empty = g_bytes_new_static ("", 0);
  g_autoptr (GBytes) read_back = NULL;
  g_autoptr (GBytes) read_empty = NULL;

  db_params_add_int64 (params, G_MAXINT64);
  db_params_add_int64 (params, G_MININT64);
  db_params_add_boolean (params, TRUE);
  db_params_add_double (params, -0.1);
  db_params_add_text (params, "grüß\n'\"");
  db_params_add_text (params, "");
  db_params_add_bytes (params, bytes);
  db_params_add_bytes (params, empty);
  db_params_add_null (params);
  db_params_add_typed_text (params, DB_VALUE_TYPE_DECIMAL, "12345678901234567890.123");
  run (fixture->session, "CREATE TABLE t (a, b, c, d, e, f, g, h, i, j)");
  g_object_unref (run_params (fixture->session,
                              "INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                              params));
  result = run_params (fixture->session, "SELECT * FROM t", NULL);
  g_assert_cmpuint (db_result_get_n_columns (result), ==, 10);
  g_assert_cmpstr (db_result_get_column_name (result, 9), ==, "j");
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, G_MAXINT64);
  g_assert_cmpint (db_result_get_int64 (result, 0, 1), ==, G_MININT64);
  g_assert_cmpint (db_result_get_int64 (result, 0, 2), ==, 1);
  g_assert_cmpfloat (db_result_get_double (result, 0, 3), ==, -0.1);
  g_assert_cmpstr (db_result_get_text (result, 0, 4), ==, "grüß\n'\"");
  g_assert_cmpstr (db_result_get_text (result, 0, 5), ==, "");
  g_assert_cmpint (db_result_get_cell_type (result, 0, 5), ==, DB_VALUE_TYPE_TEXT);
  read_back = db_result_get_bytes (result, 0, 6);
  g_assert_true (g_bytes_equal (read_back, bytes));
  g_assert_cmpint (db_result_get_cell_type (result, 0, 7), ==, DB_VALUE_TYPE_BYTES);
  read_empty = db_result_get_bytes (result, 0, 7);
  g_assert_cmpuint (g_bytes_get_size (read_empty), ==, 0);
  g_assert_true (db_result_is_null (result, 0, 8));
  g_assert_cmpint (db_result_get_column_type (result, 8), ==, DB_VALUE_TYPE_NULL);
  g_assert_cmpstr (db_result_get_text (result, 0, 9), ==, "12345678901234567890.123");
}

static void
test_nan (SessionFixture *fixture, gconstpointer data)
{
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = NULL;

  db_params_add_double (params, g_ascii_strtod ("nan", NULL));
  result = try_run_full (fixture->session, "SELECT $1", params, DB_STATEMENT_NONE, 0, NULL, &error);
  g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
  assert_contains (error->message, "$1");
}

static void
test_column_types (SessionFixture *fixture, gconstpointer data)
{
  g_autoptr (DbResult) result = NULL;

  result = run_params (fixture->session,
                       "SELECT 1, 'a', NULL, 'x' || char(0) || 'y', cast(x'ff' AS text) "
                       "UNION ALL SELECT 2, 7, NULL, 'z', 'ok' ORDER BY 1",
                       NULL);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 2);
  g_assert_cmpint (db_result_get_column_type (result, 0), ==, DB_VALUE_TYPE_INT64);
  g_assert_cmpint (db_result_get_column_type (result, 1), ==, DB_VALUE_TYPE_MIXED);
  g_assert_cmpint (db_result_get_column_type (result, 2), ==, DB_VALUE_TYPE_NULL);
  g_assert_cmpint (db_result_get_cell_type (result, 0, 3), ==, DB_VALUE_TYPE_BYTES);
  g_assert_cmpint (db_result_get_cell_type (result, 1, 3), ==, DB_VALUE_TYPE_TEXT);
  g_assert_cmpint (db_result_get_cell_type (result, 0, 4), ==, DB_VALUE_TYPE_BYTES);
}

/* As PostgreSQL has it: nothing, and no error. */
static void
test_empty_statement (SessionFixture *fixture, gconstpointer data)
{
  static const char *const empty[] = {"", "  -- x", " ; -- nothing\n /* at all */ ;", "/* open"};
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (empty); i++)
    {
      g_autoptr (DbResult) result = run_params (fixture->session, empty[i], NULL);

      g_assert_cmpuint (db_result_get_n_columns (result), ==, 0);
      g_assert_cmpuint (db_result_get_n_rows (result), ==, 0);
      g_assert_cmpint (db_result_get_rows_affected (result), ==, -1);
    }
  db_params_add_int64 (params, 1);
  g_assert_null (
    try_run_full (fixture->session, "-- x", params, DB_STATEMENT_NONE, 0, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
}

static void
assert_counts (DbSession *session, const char *sql, gint64 rows, gint64 id)
{
  g_autoptr (DbResult) result = run_params (session, sql, NULL);

  g_assert_cmpint (db_result_get_rows_affected (result), ==, rows);
  g_assert_cmpint (db_result_get_last_insert_id (result), ==, id);
}

static void
test_counts (SessionFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;

  assert_counts (session, "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE)", -1, -1);
  assert_counts (session, "INSERT INTO t (a) VALUES (1), (2)", 2, 2);
  assert_counts (session, "SELECT * FROM t", -1, -1);
  assert_counts (session, "UPDATE t SET a = a + 10", 2, -1);
  assert_counts (session, "UPDATE t SET a = 0 WHERE 0", 0, -1);
  assert_counts (session, "INSERT OR IGNORE INTO t (a) VALUES (11)", 0, -1);
  assert_counts (session, "INSERT INTO t (a) VALUES (3) RETURNING id", 1, 3);
  assert_counts (session, "WITH x (y) AS (SELECT 9) INSERT INTO t (a) SELECT y FROM x", 1, 4);
  assert_counts (session, "WITH x (y) AS (SELECT 9) SELECT * FROM x", -1, -1);
  assert_counts (session, "REPLACE INTO t VALUES (4, 5)", 1, 4);
  assert_counts (session, " /* c */ -- d\n delete from t", 4, -1);
  assert_counts (session, "BEGIN IMMEDIATE", -1, -1);
  assert_counts (session, "COMMIT", -1, -1);
  assert_counts (session, "EXPLAIN INSERT INTO t (a) VALUES (1)", -1, -1);
}

static void
test_bad_statements (SessionFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;

  assert_fails (session, "SELECT 1; SELECT 2", DB_ERROR_QUERY, "several statements");
  assert_fails (session, "SELECT 1; garbage", DB_ERROR_QUERY, "several statements");
  assert_fails (session, "SELEC 1", DB_ERROR_QUERY, "near \"SELEC\": syntax error [SQLite 1]");
  assert_fails (session, "SELECT 'open", DB_ERROR_QUERY, "unrecognized token");
  assert_fails (session, "SELECT * FROM nowhere", DB_ERROR_QUERY, "no such table: nowhere");
  assert_fails (session, "SELECT load_extension('x')", DB_ERROR_QUERY, "not authorized");
  g_assert_cmpint (run_int64 (session, "SELECT 1;"), ==, 1);
  g_assert_cmpint (run_int64 (session, "SELECT 2 ; ; -- and\n /* so on */ "), ==, 2);
  g_assert_cmpint (run_int64 (session, "SELECT 2 ; ; -- and\n /* so on */ "), ==, 2);
}

static void
test_error_codes (SessionFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;

  run (session, "CREATE TABLE p (id INTEGER PRIMARY KEY, a UNIQUE NOT NULL, c CHECK (c > 0))");
  run (session, "CREATE TABLE f (p REFERENCES p (id))");
  run (session, "CREATE TABLE s (a INTEGER) STRICT");
  run (session, "INSERT INTO p VALUES (1, 1, 1)");
  assert_fails (session, "INSERT INTO p VALUES (2, 1, 1)", DB_ERROR_CONSTRAINT,
                "UNIQUE constraint failed: p.a [SQLite 2067]");
  assert_fails (session, "INSERT INTO p VALUES (1, 2, 1)", DB_ERROR_CONSTRAINT, "[SQLite 1555]");
  assert_fails (session, "INSERT INTO p VALUES (2, NULL, 1)", DB_ERROR_CONSTRAINT, "[SQLite 1299]");
  assert_fails (session, "INSERT INTO p VALUES (2, 2, 0)", DB_ERROR_CONSTRAINT, "[SQLite 275]");
  assert_fails (session, "INSERT INTO f VALUES (9)", DB_ERROR_CONSTRAINT, "[SQLite 787]");
  assert_fails (session, "INSERT INTO s VALUES ('x')", DB_ERROR_CONSTRAINT, "[SQLite 3091]");
  assert_fails (session, "INSERT INTO p VALUES ('x', 2, 2)", DB_ERROR_TYPE, "mismatch");
  assert_fails (session, "SELECT zeroblob(2000000000)", DB_ERROR_LIMIT, "[SQLite 18]");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
}

/* More statements than the cache holds, a changed schema, statements without cache. */
static void
test_statement_cache (SessionFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;

  run (session, "CREATE TABLE t (a)");
  run (session, "INSERT INTO t VALUES (1)");
  for (int round = 0; round < 3; round++)
    for (int i = 0; i < 10; i++)
      {
        g_autofree char *sql = g_strdup_printf ("SELECT %d FROM t", i);

        g_assert_cmpint (run_int64 (session, sql), ==, i);
        g_assert_cmpint (run_int64 (session, "SELECT a FROM t"), ==, 1);
      }
  result = run_params (session, "SELECT * FROM t", NULL);
  g_assert_cmpuint (db_result_get_n_columns (result), ==, 1);
  run (session, "ALTER TABLE t ADD COLUMN b DEFAULT 5");
  g_clear_object (&result);
  result = run_params (session, "SELECT * FROM t", NULL);
  g_assert_cmpuint (db_result_get_n_columns (result), ==, 2);
  g_assert_cmpint (db_result_get_int64 (result, 0, 1), ==, 5);
  g_clear_object (&result);
  result = try_run_full (session, "SELECT * FROM t", NULL, DB_STATEMENT_UNCACHED, 0, NULL, &error);
  g_assert_no_error (error);
  run (session, "DROP TABLE t");
  assert_fails (session, "SELECT * FROM t", DB_ERROR_QUERY, "no such table");
}

static gboolean
try_script (DbSession *session, const char *sql, GError **error)
{
  g_autoptr (DbResult) result =
    try_run_full (session, sql, NULL, DB_STATEMENT_SCRIPT, 0, NULL, error);

  return result != NULL;
}

static void
test_script (SessionFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;
  g_autoptr (GError) error = NULL;
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbResult) result = NULL;

  result = try_run_full (session,
                         "-- a script\nCREATE TABLE t (a); INSERT INTO t VALUES (1), (2);\n"
                         "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;"
                         "SELECT * FROM t; UPDATE t SET a = 3 WHERE a = 2 /* end */ ; ",
                         NULL, DB_STATEMENT_SCRIPT, 0, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_rows_affected (result), ==, 3);
  g_assert_cmpint (run_int64 (session, "SELECT sum(a) FROM t"), ==, 4);
  g_assert_true (try_script (session, "", &error));
  g_assert_true (try_script (session, " -- nothing", &error));
  g_assert_no_error (error);

  g_assert_false (try_script (session, "DELETE FROM t; SELEC 1; DELETE FROM t", &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  assert_contains (error->message, "statement 2 of the script: near");
  g_clear_error (&error);
  g_assert_false (try_script (session, "SELECT $1", &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_clear_error (&error);

  db_params_add_int64 (params, 1);
  g_assert_null (try_run_full (session, "SELECT 1", params, DB_STATEMENT_SCRIPT, 0, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
}

static void
test_transaction (SessionFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;
  g_autofree char *immediate =
    db_session_format_begin (session, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE);
  g_autofree char *deferred =
    db_session_format_begin (session, DB_ISOLATION_SERIALIZABLE, DB_TRANSACTION_DEFERRED);
  g_autofree char *exclusive =
    db_session_format_begin (session, DB_ISOLATION_DEFAULT, DB_TRANSACTION_EXCLUSIVE);

  g_assert_cmpstr (immediate, ==, "BEGIN IMMEDIATE");
  g_assert_cmpstr (deferred, ==, "BEGIN");
  g_assert_cmpstr (exclusive, ==, "BEGIN EXCLUSIVE");
  run (session, "CREATE TABLE t (a UNIQUE)");
  run (session, immediate);
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IN_TRANSACTION);
  run (session, "INSERT INTO t VALUES (1)");
  assert_fails (session, "INSERT INTO t VALUES (1)", DB_ERROR_CONSTRAINT, "UNIQUE");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IN_TRANSACTION);
  run (session, "COMMIT");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  run (session, exclusive);
  assert_fails (session, "INSERT OR ROLLBACK INTO t VALUES (1)", DB_ERROR_CONSTRAINT, "UNIQUE");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  assert_fails (session, "COMMIT", DB_ERROR_QUERY, "no transaction is active");
  g_assert_false (db_session_is_dirty (session));
}

static void
test_read_only_transaction (SessionFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;
  g_autofree char *begin =
    db_session_format_begin (session, DB_ISOLATION_DEFAULT, DB_TRANSACTION_READ_ONLY);

  run (session, "CREATE TABLE t (a)");
  for (int n = 0; n < 2; n++)
    {
      run (session, begin);
      g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, n);
      assert_fails (session, "INSERT INTO t VALUES (1)", DB_ERROR_READ_ONLY, "transaction is read");
      run (session, "SAVEPOINT s");
      assert_fails (session, "DROP TABLE t", DB_ERROR_READ_ONLY, "transaction is read-only");
      run (session, "RELEASE s");
      run (session, n == 0 ? "COMMIT" : "ROLLBACK");
      run (session, "INSERT INTO t VALUES (1)");
    }
  /* One that could not begin changes nothing. */
  run (session, "BEGIN IMMEDIATE");
  assert_fails (session, begin, DB_ERROR_QUERY, "within a transaction");
  run (session, "INSERT INTO t VALUES (1)");
  run (session, "COMMIT");
}

static void
test_read_only_session (SessionFixture *fixture, gconstpointer data)
{
  static const char *const writes[] = {"INSERT INTO t VALUES (1)",
                                       "BEGIN IMMEDIATE",
                                       "BEGIN EXCLUSIVE",
                                       "CREATE TABLE u (a)",
                                       "PRAGMA user_version = 3",
                                       "PRAGMA optimize",
                                       "VACUUM",
                                       "WITH x (y) AS (SELECT 1) INSERT INTO t SELECT y FROM x"};
  DbSession *session = fixture->session;
  g_autofree char *begin = NULL;
  g_autofree char *mode = NULL;

  run (session, "CREATE TABLE t (a)");
  g_assert_true (db_session_set_read_only (session, TRUE));
  for (gsize i = 0; i < G_N_ELEMENTS (writes); i++)
    assert_fails (session, writes[i], DB_ERROR_READ_ONLY, "the connection is read-only");
  mode = run_text (session, "PRAGMA journal_mode");
  g_assert_cmpstr (mode, ==, "wal");
  run (session, "EXPLAIN DELETE FROM t");
  begin = db_session_format_begin (session, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE);
  run (session, begin);
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 0);
  run (session, "COMMIT");
  g_assert_true (db_session_set_read_only (session, FALSE));
  run (session, "INSERT INTO t VALUES (1)");
}

static void
assert_dirty_after (DbSession *session, const char *sql, gboolean dirty)
{
  db_session_clear_dirty (session);
  run (session, sql);
  if (db_session_is_dirty (session) != dirty)
    g_error ("dirty after \"%s\": %d", sql, !dirty);
}

static void
test_dirty (SessionFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;

  assert_dirty_after (session, "CREATE TABLE t (a)", FALSE);
  assert_dirty_after (session, "INSERT INTO t VALUES (1)", FALSE);
  assert_dirty_after (session, "SELECT 1", FALSE);
  assert_dirty_after (session, "BEGIN", FALSE);
  assert_dirty_after (session, "ROLLBACK", FALSE);
  assert_dirty_after (session, "PRAGMA cache_size", FALSE);
  assert_dirty_after (session, "PRAGMA cache_size = 5", TRUE);
  assert_dirty_after (session, "ATTACH ':memory:' AS x", TRUE);
  assert_dirty_after (session, "DETACH x", TRUE);
  assert_dirty_after (session, "CREATE TEMP TABLE u (a)", TRUE);
  assert_dirty_after (session, "CREATE TABLE temp.v (a)", TRUE);
  assert_dirty_after (session, "DROP TABLE t", FALSE);
}

static void
reset (SessionFixture *fixture, DbResetLevel level)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (db_connection_manager_reset_session (DB_CONNECTION_MANAGER (fixture->manager),
                                                      fixture->session, level, NULL, &error));
  g_assert_no_error (error);
  db_session_clear_dirty (fixture->session);
}

static void
test_reset (SessionFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;
  g_autofree char *other = g_build_filename (fixture->base.folder, "other.db", NULL);
  g_autofree char *attach = g_strdup_printf ("ATTACH '%s' AS \"an 'other'\"", other);
  sqlite3 *db = db_sqlite_session_lend_db (DB_SQLITE_SESSION (session));

  run (session, "CREATE TABLE t (a)");
  run (session, "BEGIN IMMEDIATE");
  run (session, "INSERT INTO t VALUES (1)");
  reset (fixture, DB_RESET_NONE);
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 0);

  run (session, "PRAGMA foreign_keys = OFF");
  run (session, "PRAGMA cache_size = 77");
  run (session, "PRAGMA query_only = ON");
  run (session, "PRAGMA query_only = OFF");
  run (session, "PRAGMA case_sensitive_like = ON");
  run (session, "PRAGMA synchronous = OFF");
  run (session, attach);
  run (session, "CREATE TABLE \"an 'other'\".t (a)");
  run (session, "CREATE TEMP TABLE u (a)");
  run (session, "CREATE TEMP VIEW v AS SELECT * FROM u");
  run (session, "CREATE VIRTUAL TABLE temp.w USING fts5 (x)");
  run (session, "CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO u VALUES (1); END");
  run (session, "SELECT * FROM u");
  run (session, "BEGIN");
  run (session, "INSERT INTO u VALUES (3)");
  reset (fixture, DB_RESET_DIRTY);

  g_assert_cmpint (run_int64 (session, "PRAGMA foreign_keys"), ==, 1);
  g_assert_cmpint (run_int64 (session, "PRAGMA cache_size"), ==, -2000);
  g_assert_cmpint (run_int64 (session, "PRAGMA synchronous"), ==, 1);
  g_assert_cmpint (run_int64 (session, "SELECT 'A' LIKE 'a'"), ==, 1);
  g_assert_cmpint (run_int64 (session, "PRAGMA temp_store"), ==, 0);
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM temp.sqlite_schema"), ==, 0);
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM pragma_database_list WHERE seq > 1"),
                   ==, 0);
  assert_fails (session, "SELECT * FROM u", DB_ERROR_QUERY, "no such table");
  run (session, "INSERT INTO t VALUES (1)");

  /* What somebody did with the handle. */
  sqlite3_busy_timeout (db, 1);
  sqlite3_progress_handler (db, 0, NULL, NULL);
  reset (fixture, DB_RESET_CLEAN);
  g_assert_cmpint (run_int64 (session, "PRAGMA busy_timeout"), ==, 0);
}

static void
test_broken (SessionFixture *fixture, gconstpointer data)
{
  DbSession *session;
  g_autofree char *garbage = g_strnfill (20000, 'z');

  run (fixture->session, "PRAGMA journal_mode = delete");
  run (fixture->session, "CREATE TABLE t (a)");
  session = open_session (fixture->manager);
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 0);
  assert_fails (session, "ATTACH '/no/such/folder/x.db' AS x", DB_ERROR_CONFIGURATION, "unable");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);

  {
    FILE *file = fopen (fixture->base.file, "r+");

    g_assert_cmpuint (fwrite (garbage, 1, 20000, file), ==, 20000);
    fclose (file);
  }
  assert_fails (session, "SELECT count(*) FROM t", DB_ERROR_CONFIGURATION, "[SQLite 26]");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_BROKEN);
  g_assert_false (db_session_is_alive (session));
  assert_fails (session, "SELECT 1", DB_ERROR_CONNECTION, "broke earlier");
  close_session (fixture->manager, session);
}

static void
test_closed (SessionFixture *fixture, gconstpointer data)
{
  DbSession *session = open_session (fixture->manager);

  run (session, "CREATE TABLE t (a)");
  run (session, "BEGIN IMMEDIATE");
  db_connection_manager_close_session (DB_CONNECTION_MANAGER (fixture->manager), session);
  assert_fails (session, "SELECT 1", DB_ERROR_CONNECTION, "broke");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_BROKEN);
  /* Its token went back. */
  run (fixture->session, "INSERT INTO t VALUES (1)");
  g_object_unref (session);
}

/* A statement that a borrower of the handle left behind: its file stays open until it ends, and
 * nobody crashes. */
static void
test_leftover_statement (SessionFixture *fixture, gconstpointer data)
{
  DbSession *session = open_session (fixture->manager);
  sqlite3_stmt *stmt;

  g_assert_cmpint (sqlite3_prepare_v2 (db_sqlite_session_get_db (DB_SQLITE_SESSION (session)),
                                       "SELECT 1 UNION ALL SELECT 2", -1, &stmt, NULL),
                   ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_step (stmt), ==, SQLITE_ROW);
  log_expect (G_LOG_LEVEL_WARNING, "*still in use*");
  close_session (fixture->manager, session);
  log_assert_expected ();
  g_assert_cmpint (sqlite3_step (stmt), ==, SQLITE_ROW);
  g_assert_cmpint (sqlite3_finalize (stmt), ==, SQLITE_OK);
}

static void
test_text_in_errors (SessionFixture *fixture, gconstpointer data)
{
  static const char *const statements[] = {"SELEC\xff 1", "SELECT $\xff", "SELECT * FROM \"\xff\""};

  for (gsize i = 0; i < G_N_ELEMENTS (statements); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (try_run (fixture->session, statements[i], &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
      g_assert_true (g_utf8_validate (error->message, -1, NULL));
    }
}

static void
ready_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static void
test_async (SessionFixture *fixture, gconstpointer data)
{
  DbStatementPlan plan = {.sql = "SELECT 42"};
  g_autoptr (GAsyncResult) async_result = NULL;
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;

  db_session_run_async (fixture->session, &plan, NULL, ready_cb, &async_result);
  g_assert_null (async_result);
  while (async_result == NULL)
    g_main_context_iteration (NULL, TRUE);
  result = db_session_run_finish (fixture->session, async_result, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 42);
}

static void
test_many_rows (SessionFixture *fixture, gconstpointer data)
{
  g_autoptr (DbResult) result =
    run_params (fixture->session,
                "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 50000) "
                "SELECT x, 'row ' || x, iif (x % 2, NULL, x) FROM c",
                NULL);

  g_assert_cmpuint (db_result_get_n_rows (result), ==, 50000);
  g_assert_cmpstr (db_result_get_text (result, 49999, 1), ==, "row 50000");
  g_assert_true (db_result_is_null (result, 0, 2));
}

#define ADD(path, function)                                                                        \
  g_test_add ("/sqlite/session/" path, SessionFixture, NULL, session_set_up, function,             \
              session_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("parameters", test_parameters);
  ADD ("bad-parameters", test_bad_parameters);
  ADD ("values", test_values);
  ADD ("nan", test_nan);
  ADD ("column-types", test_column_types);
  ADD ("counts", test_counts);
  ADD ("bad-statements", test_bad_statements);
  ADD ("empty-statement", test_empty_statement);
  ADD ("error-codes", test_error_codes);
  ADD ("statement-cache", test_statement_cache);
  ADD ("script", test_script);
  ADD ("transaction", test_transaction);
  ADD ("read-only-transaction", test_read_only_transaction);
  ADD ("read-only-session", test_read_only_session);
  ADD ("dirty", test_dirty);
  ADD ("reset", test_reset);
  ADD ("broken", test_broken);
  ADD ("closed", test_closed);
  ADD ("leftover-statement", test_leftover_statement);
  ADD ("text-in-errors", test_text_in_errors);
  ADD ("async", test_async);
  ADD ("many-rows", test_many_rows);
  return g_test_run ();
}
