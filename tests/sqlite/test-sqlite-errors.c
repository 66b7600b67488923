/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a session says beyond its results: details of errors, descriptions, declared types, counts
 * of the cache, ids of rows, and what is left of a handle that was lent. */

#include "db-sqlite-declared-private.h"
#include "sqlite-test-utils.h"

typedef struct
{
  Fixture base;
  DbSqliteManager *manager;
  DbSession *session;
} ErrorsFixture;

static void
errors_set_up (ErrorsFixture *fixture, gconstpointer data)
{
  fixture_set_up (&fixture->base, NULL);
  fixture->manager = db_sqlite_manager_new (fixture->base.file);
  fixture->session = open_session (fixture->manager);
}

static void
errors_tear_down (ErrorsFixture *fixture, gconstpointer data)
{
  close_session (fixture->manager, fixture->session);
  g_object_unref (fixture->manager);
  fixture_tear_down (&fixture->base, NULL);
}

static DbErrorInfo *
fail (DbSession *session, const char *sql)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (try_run (session, sql, &error));
  g_assert_nonnull (error);
  return db_session_steal_error_info (session);
}

static void
assert_names (DbSession *session,
              const char *sql,
              int code,
              const char *table,
              const char *column,
              const char *constraint)
{
  g_autoptr (DbErrorInfo) info = fail (session, sql);

  g_assert_nonnull (info);
  g_assert_cmpint (db_error_info_get_sqlite_code (info), ==, code);
  g_assert_cmpstr (db_error_info_get_table (info), ==, table);
  g_assert_cmpstr (db_error_info_get_column (info), ==, column);
  g_assert_cmpstr (db_error_info_get_constraint (info), ==, constraint);
  g_assert_cmpuint (db_error_info_get_position (info), ==, 0);
}

static void
test_names (ErrorsFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;

  run (session, "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE NOT NULL, b, c, "
                "CHECK (b < 10), CONSTRAINT small CHECK (c < 10), UNIQUE (b, c))");
  run (session, "CREATE TABLE s (a INTEGER) STRICT");
  run (session, "CREATE TABLE f (a REFERENCES t (id))");
  run (session, "CREATE TABLE \"odd.name\" (a UNIQUE)");
  run (session, "CREATE TRIGGER r BEFORE INSERT ON f WHEN NEW.a = 2 BEGIN "
                "SELECT RAISE (ABORT, 'UNIQUE constraint failed: no.such'); END");
  run (session, "INSERT INTO t VALUES (1, 'x', 1, 1)");
  run (session, "INSERT INTO \"odd.name\" VALUES (1)");
  assert_names (session, "INSERT INTO t VALUES (2, 'x', 2, 2)", 2067, "t", "a", NULL);
  run (session, "CREATE UNIQUE INDEX lowered ON t (lower (a))");
  assert_names (session, "INSERT INTO t VALUES (2, 'X', 2, 2)", 2067, NULL, NULL, "lowered");
  assert_names (session, "INSERT INTO t VALUES (2, 'y', 1, 1)", 2067, "t", NULL, NULL);
  assert_names (session, "INSERT INTO t VALUES (1, 'y', 2, 2)", 1555, "t", "id", NULL);
  assert_names (session, "INSERT INTO t VALUES (2, NULL, 2, 2)", 1299, "t", "a", NULL);
  assert_names (session, "INSERT INTO t VALUES (2, 'y', 2, 20)", 275, NULL, NULL, "small");
  assert_names (session, "INSERT INTO t VALUES (2, 'y', 20, 2)", 275, NULL, NULL, NULL);
  assert_names (session, "INSERT INTO s VALUES ('a column x.y')", 3091, "s", "a", NULL);
  assert_names (session, "INSERT INTO f VALUES (9)", 787, NULL, NULL, NULL);
  assert_names (session, "INSERT INTO f VALUES (2)", 1811, NULL, NULL, NULL);
  assert_names (session, "INSERT INTO \"odd.name\" VALUES (1)", 2067, NULL, NULL, NULL);
}

static void
assert_position (DbSession *session, const char *sql, DbStatementFlags flags, guint position)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbErrorInfo) info = NULL;

  g_assert_null (try_run_full (session, sql, NULL, flags, 0, NULL, &error));
  info = db_session_steal_error_info (session);
  g_assert_nonnull (info);
  g_assert_cmpuint (db_error_info_get_position (info), ==, position);
}

static void
test_position (ErrorsFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;
  g_autoptr (DbErrorInfo) info = NULL;

  assert_position (session, "SELEC 1", DB_STATEMENT_NONE, 1);
  assert_position (session, "SELECT x", DB_STATEMENT_NONE, 8);
  /* In characters, and also behind what SQLite was not given. */
  assert_position (session, "/* größer */ SELECT 'ü', x", DB_STATEMENT_NONE, 26);
  assert_position (session, "SELECT 'ü'; -- ö\n SELECT x", DB_STATEMENT_SCRIPT, 26);
  info = fail (session, "SELEC 1");
  g_assert_cmpstr (db_error_info_get_message (info), ==, "near \"SELEC\": syntax error");
  g_clear_pointer (&info, db_error_info_unref);
  /* Of an error that SQLite does not know there are none, not those of the one before. */
  g_assert_null (try_run (session, "SELEC 1", NULL));
  g_assert_null (fail (session, "SELECT $1"));
}

static DbDescription *
describe (DbSession *session, const char *sql, GError **error)
{
  DbDescription *description = db_description_new ();
  DbStatementPlan plan = {.sql = sql, .request = DB_REQUEST_DESCRIBE, .description = description};
  g_autoptr (DbResult) result = db_session_run (session, &plan, NULL, error);

  if (result != NULL)
    return description;
  db_description_free (description);
  return NULL;
}

static void
test_describe (ErrorsFixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *name;
    const char *type_name;
    DbValueType type;
  } columns[] = {
    {"a", "INTEGER", DB_VALUE_TYPE_INT64},
    {"b", "varchar(10)", DB_VALUE_TYPE_TEXT},
    {"c", "DECIMAL(10, 2)", DB_VALUE_TYPE_DECIMAL},
    {"d", "BOOLEAN", DB_VALUE_TYPE_BOOLEAN},
    {"e", NULL, DB_VALUE_TYPE_NULL},
    {"f", "made_up", DB_VALUE_TYPE_NULL},
    {"g", "BLOB", DB_VALUE_TYPE_BYTES},
    {"h", "double precision", DB_VALUE_TYPE_DOUBLE},
    {"x", NULL, DB_VALUE_TYPE_NULL},
  };
  DbSession *session = fixture->session;
  DbSession *other = open_session (fixture->manager);
  g_autoptr (DbDescription) description = NULL;
  g_autoptr (GError) error = NULL;

  run (session, "CREATE TABLE t (a INTEGER, b varchar(10), c DECIMAL(10, 2), d BOOLEAN, e, "
                "f made_up, g BLOB, h double precision)");
  description = describe (session, "SELECT *, $2 + $1 AS x FROM t", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_description_get_n_params (description), ==, 2);
  g_assert_cmpint (db_description_get_param_type (description, 1), ==, DB_VALUE_TYPE_NULL);
  g_assert_null (db_description_get_param_type_name (description, 1));
  g_assert_cmpuint (db_description_get_n_columns (description), ==, G_N_ELEMENTS (columns));
  for (guint i = 0; i < G_N_ELEMENTS (columns); i++)
    {
      g_assert_cmpstr (db_description_get_column_name (description, i), ==, columns[i].name);
      g_assert_cmpstr (db_description_get_column_type_name (description, i), ==,
                       columns[i].type_name);
      g_assert_cmpint (db_description_get_column_type (description, i), ==, columns[i].type);
    }
  g_clear_pointer (&description, db_description_free);

  /* It is not run; and what others change is seen. */
  description = describe (session, "DELETE FROM t", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_description_get_n_columns (description), ==, 0);
  g_clear_pointer (&description, db_description_free);
  run (other, "ALTER TABLE t ADD COLUMN i");
  description = describe (session, "SELECT * FROM t", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_description_get_n_columns (description), ==, 9);
  g_clear_pointer (&description, db_description_free);
  description = describe (session, "-- nothing", &error);
  g_assert_no_error (error);

  g_assert_null (describe (session, "SELECT ?", &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  assert_contains (error->message, "use $1");
  g_clear_error (&error);
  g_assert_null (describe (session, "SELECT 1; SELECT 2", &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  close_session (fixture->manager, other);
}

static void
assert_cell (DbSession *session, const char *declared, const char *literal, DbValueType type)
{
  g_autofree char *sql =
    g_strdup_printf ("DROP TABLE IF EXISTS d; CREATE TABLE d (a %s); INSERT INTO d VALUES (%s)",
                     declared, literal);
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result =
    try_run_full (session, sql, NULL, DB_STATEMENT_SCRIPT, 0, NULL, &error);
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  g_clear_object (&result);
  result = run_params (session, "SELECT a FROM d", NULL);
  if (db_result_get_cell_type (result, 0, 0) != type ||
      db_result_get_column_type (result, 0) != type)
    g_error ("%s in %s: type %d", literal, declared, db_result_get_cell_type (result, 0, 0));
  text = run_text (session, "SELECT a || '' FROM d");
  if (type != DB_VALUE_TYPE_BOOLEAN && type != DB_VALUE_TYPE_DOUBLE && type != DB_VALUE_TYPE_BYTES)
    g_assert_cmpstr (db_result_get_text (result, 0, 0), ==, text);
}

static void
test_declared_types (ErrorsFixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *declared;
    const char *literal;
    DbValueType type;
  } cells[] = {
    {"BOOLEAN", "1", DB_VALUE_TYPE_BOOLEAN},
    {"bool", "0", DB_VALUE_TYPE_BOOLEAN},
    {"BOOLEAN", "2", DB_VALUE_TYPE_INT64},
    {"BOOLEAN", "-1", DB_VALUE_TYPE_INT64},
    {"BOOLEAN", "'yes'", DB_VALUE_TYPE_TEXT},
    {"DATE", "'2024-02-29'", DB_VALUE_TYPE_DATE},
    {"DATE", "'2023-02-29'", DB_VALUE_TYPE_TEXT},
    {"DATE", "'0000-01-01'", DB_VALUE_TYPE_TEXT},
    {"DATE", "'2024-02-29 10:00'", DB_VALUE_TYPE_TEXT},
    {"DATE", "'soon'", DB_VALUE_TYPE_TEXT},
    {"DATE", "''", DB_VALUE_TYPE_TEXT},
    {"DATE", "20240229", DB_VALUE_TYPE_INT64},
    {"TIME", "'23:59'", DB_VALUE_TYPE_TIME},
    {"TIME", "'23:59:59.123456'", DB_VALUE_TYPE_TIME},
    {"TIME", "'24:00'", DB_VALUE_TYPE_TEXT},
    {"TIME", "'23:59:59.'", DB_VALUE_TYPE_TEXT},
    {"DATETIME", "'2024-02-29 10:00:00'", DB_VALUE_TYPE_TIMESTAMP},
    {"timestamp ( 3 )", "'2024-02-29T10:00:00.5'", DB_VALUE_TYPE_TIMESTAMP},
    {"TIMESTAMP", "'2024-02-29 10:00:00+01:00'", DB_VALUE_TYPE_TEXT},
    {"TIMESTAMP", "'2024-02-29'", DB_VALUE_TYPE_TEXT},
    {"TIMESTAMPTZ", "'2024-02-29 10:00:00+01'", DB_VALUE_TYPE_TIMESTAMP_TZ},
    {"TIMESTAMP  WITH TIME ZONE (6)", "'2024-02-29 10:00Z'", DB_VALUE_TYPE_TIMESTAMP_TZ},
    {"TIMESTAMP WITH TIME ZONE", "'2024-02-29 10:00'", DB_VALUE_TYPE_TEXT},
    {"UUID", "'12345678-9abc-def0-1234-56789ABCDEF0'", DB_VALUE_TYPE_UUID},
    {"UUID", "'12345678-9abc-def0-1234-56789ABCDEF'", DB_VALUE_TYPE_TEXT},
    {"JSON", "'{\"a\": [1, null]}'", DB_VALUE_TYPE_JSON},
    {"JSON", "x'7b7d'", DB_VALUE_TYPE_BYTES},
    /* SQLite makes a number of all that looks like one, whatever is lost. */
    {"NUMERIC(30, 3)", "'12345678901234567890123.456'", DB_VALUE_TYPE_DOUBLE},
    {"DECIMAL", "'12.5'", DB_VALUE_TYPE_DOUBLE},
    {"DECIMAL", "'.'", DB_VALUE_TYPE_TEXT},
    {"DATE_ID", "'2024-02-29'", DB_VALUE_TYPE_TEXT},
    {"TEXT", "'2024-02-29'", DB_VALUE_TYPE_TEXT},
    {"INTEGER", "1", DB_VALUE_TYPE_INT64},
    {"a very long name for a type with more letters than any", "1", DB_VALUE_TYPE_INT64},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cells); i++)
    assert_cell (fixture->session, cells[i].declared, cells[i].literal, cells[i].type);
}

static void
test_decimal (void)
{
  static const char *const good[] = {"0", "-12.50", "+.5", "5.", "1e10", "1.5E-3"};
  static const char *const bad[] = {"", ".", "-", "1e", "1,5", "NaN", " 1", "1 ", "0x10"};

  g_assert_cmpint (db_sqlite_declared_parse ("decimal (10, 2)"), ==, DB_VALUE_TYPE_DECIMAL);
  g_assert_cmpint (db_sqlite_declared_parse ("NUMERIC"), ==, DB_VALUE_TYPE_DECIMAL);
  for (gsize i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (db_sqlite_declared_fits (DB_VALUE_TYPE_DECIMAL, good[i], strlen (good[i])));
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (db_sqlite_declared_fits (DB_VALUE_TYPE_DECIMAL, bad[i], strlen (bad[i])));
}

static void
test_declared_columns (ErrorsFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;
  DbSession *other = open_session (fixture->manager);
  g_autoptr (DbResult) result = NULL;

  run (session, "CREATE TABLE t (a BOOLEAN, b DATE, c)");
  result = run_params (session, "SELECT * FROM t", NULL);
  g_assert_cmpint (db_result_get_column_type (result, 0), ==, DB_VALUE_TYPE_BOOLEAN);
  g_assert_cmpint (db_result_get_column_type (result, 1), ==, DB_VALUE_TYPE_DATE);
  g_assert_cmpint (db_result_get_column_type (result, 2), ==, DB_VALUE_TYPE_NULL);
  g_clear_object (&result);
  run (session, "INSERT INTO t VALUES (1, '2024-01-01', 1), (5, NULL, 0)");
  result = run_params (session, "SELECT *, a + 0 FROM t", NULL);
  g_assert_cmpint (db_result_get_column_type (result, 0), ==, DB_VALUE_TYPE_MIXED);
  g_assert_cmpint (db_result_get_cell_type (result, 0, 0), ==, DB_VALUE_TYPE_BOOLEAN);
  g_assert_cmpint (db_result_get_column_type (result, 1), ==, DB_VALUE_TYPE_DATE);
  g_assert_cmpint (db_result_get_column_type (result, 2), ==, DB_VALUE_TYPE_INT64);
  g_assert_cmpint (db_result_get_column_type (result, 3), ==, DB_VALUE_TYPE_INT64);
  g_clear_object (&result);

  /* The statement in the cache learns of a table that another session made anew. */
  result = run_params (session, "SELECT * FROM t", NULL);
  g_clear_object (&result);
  run (other, "DROP TABLE t");
  run (other, "CREATE TABLE t (a, b, c BOOLEAN, d UUID)");
  run (other, "INSERT INTO t VALUES (1, '2024-01-01', 1, NULL)");
  result = run_params (session, "SELECT * FROM t", NULL);
  g_assert_cmpint (db_result_get_column_type (result, 0), ==, DB_VALUE_TYPE_INT64);
  g_assert_cmpint (db_result_get_column_type (result, 1), ==, DB_VALUE_TYPE_TEXT);
  g_assert_cmpint (db_result_get_column_type (result, 2), ==, DB_VALUE_TYPE_BOOLEAN);
  g_assert_cmpint (db_result_get_column_type (result, 3), ==, DB_VALUE_TYPE_UUID);
  close_session (fixture->manager, other);
}

static void
assert_id (DbSession *session, const char *sql, gint64 id)
{
  g_autoptr (DbResult) result = run_params (session, sql, NULL);

  if (db_result_get_last_insert_id (result) != id)
    g_error ("%s: %" G_GINT64_FORMAT, sql, db_result_get_last_insert_id (result));
}

static void
test_last_insert_id (ErrorsFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;

  run (session, "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE)");
  run (session, "CREATE TABLE u (id INTEGER PRIMARY KEY, a)");
  run (session, "CREATE TABLE w (id INTEGER PRIMARY KEY, a) WITHOUT ROWID");
  run (session, "CREATE TABLE log (id INTEGER PRIMARY KEY, a)");
  run (session,
       "CREATE TRIGGER r AFTER INSERT ON u BEGIN INSERT INTO log (a) VALUES (NEW.a), (0); END");
  assert_id (session, "INSERT INTO t (a) VALUES (1)", 1);
  /* The same id as before, in another table, and with a trigger that inserts elsewhere. */
  assert_id (session, "INSERT INTO u (a) VALUES (last_insert_rowid ())", 1);
  g_assert_cmpint (run_int64 (session, "SELECT a FROM u"), ==, 1);
  assert_id (session, "INSERT INTO t (a) VALUES (2)", 2);
  assert_id (session, "INSERT INTO u (a) VALUES (2)", 2);
  assert_id (session, "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 10", -1);
  assert_id (session, "INSERT INTO t (a) VALUES (3) ON CONFLICT (a) DO UPDATE SET a = 10", 3);
  assert_id (session, "INSERT INTO t (a) VALUES (3) ON CONFLICT (a) DO NOTHING", -1);
  assert_id (session, "INSERT OR IGNORE INTO t (a) VALUES (3)", -1);
  assert_id (session, "INSERT INTO t (a) SELECT 5 WHERE 0", -1);
  assert_id (session, "REPLACE INTO t VALUES (3, 3)", 3);
  assert_id (session, "WITH x (y) AS (SELECT 1) UPDATE t SET a = a + 100", -1);
  assert_id (session, "INSERT INTO w VALUES (3, 3)", -1);
  assert_id (session, "INSERT INTO t VALUES (0, 0)", 0);
  /* SQL still knows it. */
  g_assert_cmpint (run_int64 (session, "SELECT last_insert_rowid ()"), ==, 0);
}

static void
test_counters (ErrorsFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;
  DbStatementCounters *counters = g_atomic_rc_box_new0 (DbStatementCounters);

  db_session_set_statement_counters (session, counters);
  run (session, "SELECT 1");
  run (session, "SELECT 2");
  run (session, "SELECT 1");
  g_assert_cmpuint (counters->hits, ==, 1);
  g_assert_cmpuint (counters->misses, ==, 2);
  /* Shrinks at once: the one used last stays. */
  db_session_set_statement_cache (session, 1);
  run (session, "SELECT 1");
  g_assert_cmpuint (counters->hits, ==, 2);
  run (session, "SELECT 2");
  g_assert_cmpuint (counters->misses, ==, 3);
  db_session_set_statement_cache (session, 0);
  run (session, "SELECT 2");
  run (session, "SELECT 2");
  g_assert_cmpuint (counters->misses, ==, 5);
  db_session_set_statement_cache (session, 2);
  run (session, "SELECT 2");
  run (session, "SELECT 2");
  g_assert_cmpuint (counters->hits, ==, 3);
  db_session_set_statement_counters (session, NULL);
  g_atomic_rc_box_release (counters);
}

static gboolean
try_reset (ErrorsFixture *fixture, DbResetLevel level, GError **error)
{
  return db_connection_manager_reset_session (DB_CONNECTION_MANAGER (fixture->manager),
                                              fixture->session, level, NULL, error);
}

static int
deny_all (void *data, int action, const char *a, const char *b, const char *c, const char *d)
{
  return SQLITE_DENY;
}

static int
abort_all (void *data)
{
  return 1;
}

/* Whatever a borrower of the handle hooks in or leaves open, the next one does not find it, at any
 * level of resets. */
static void
test_lent_handle (ErrorsFixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;
  g_autoptr (GError) error = NULL;
  sqlite3_stmt *stmt;
  sqlite3 *db;

  run (session, "CREATE TABLE t (a)");
  for (int level = DB_RESET_NONE; level <= DB_RESET_CLEAN; level++)
    {
      db = db_sqlite_session_lend_db (DB_SQLITE_SESSION (session));
      g_assert_true (db_session_has_leftovers (session));
      g_assert_true (db_session_is_dirty (session));
      sqlite3_exec (db, "BEGIN; INSERT INTO t VALUES (1)", NULL, NULL, NULL);
      sqlite3_busy_timeout (db, 1);
      sqlite3_commit_hook (db, abort_all, NULL);
      sqlite3_progress_handler (db, 1, abort_all, NULL);
      sqlite3_set_authorizer (db, deny_all, NULL);
      g_assert_true (try_reset (fixture, (DbResetLevel) level, &error));
      g_assert_no_error (error);
      db_session_clear_dirty (session);
      g_assert_false (db_session_is_dirty (session));
      g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
      g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 0);
      run (session, "INSERT INTO t VALUES (1)");
      run (session, "DELETE FROM t");
      g_assert_cmpint (run_int64 (session, "PRAGMA busy_timeout"), ==, 0);
    }

  db = db_sqlite_session_lend_db (DB_SQLITE_SESSION (session));
  g_assert_cmpint (sqlite3_prepare_v2 (db, "SELECT 1 UNION SELECT 2", -1, &stmt, NULL), ==,
                   SQLITE_OK);
  g_assert_cmpint (sqlite3_step (stmt), ==, SQLITE_ROW);
  g_assert_false (try_reset (fixture, DB_RESET_NONE, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_FAILED);
  assert_contains (error->message, "finalize");
  sqlite3_finalize (stmt);
}

static void
test_array (ErrorsFixture *fixture, gconstpointer data)
{
  const DbValue value = {.type = DB_VALUE_TYPE_ARRAY, .text = "{1}", .size = 3};
  sqlite3 *db = db_sqlite_session_get_db (DB_SQLITE_SESSION (fixture->session));
  g_autoptr (DbSqliteStatement) statement = NULL;
  g_autoptr (GError) error = NULL;
  sqlite3_stmt *stmt;
  guint bad = 7;

  g_assert_cmpint (sqlite3_prepare_v2 (db, "SELECT $1", -1, &stmt, NULL), ==, SQLITE_OK);
  statement = db_sqlite_statement_new (stmt, "SELECT $1", strlen ("SELECT $1"), &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_sqlite_statement_bind (statement, &value, FALSE, &bad), ==, SQLITE_MISMATCH);
  g_assert_cmpuint (bad, ==, 0);
}

#define ADD(path, function)                                                                        \
  g_test_add ("/sqlite/errors/" path, ErrorsFixture, NULL, errors_set_up, function,                \
              errors_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("names", test_names);
  ADD ("position", test_position);
  ADD ("describe", test_describe);
  ADD ("declared-types", test_declared_types);
  g_test_add_func ("/sqlite/errors/decimal", test_decimal);
  ADD ("declared-columns", test_declared_columns);
  ADD ("last-insert-id", test_last_insert_id);
  ADD ("counters", test_counters);
  ADD ("lent-handle", test_lent_handle);
  ADD ("array", test_array);
  return g_test_run ();
}
