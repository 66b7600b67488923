/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Statements on a real server: values both ways, errors, prepared statements, what a session is
 * worth afterwards, and how it is made clean. */

#include "postgres-fixture.h"

#include <sys/mman.h>

#include "db-error.h"
#include "db-pool.h"
#include "db-postgres-session-private.h"

#include <math.h>
#include <string.h>

typedef struct
{
  DbConnectionManager *manager;
  DbSession *session;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->manager = fixture_manager_new (NULL);
  fixture->session = fixture_open (fixture->manager);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  fixture_close (fixture->manager, fixture->session);
  g_assert_finalize_object (fixture->manager);
}

static void
assert_cell (DbResult *result, guint column, DbValueType type, const char *text)
{
  g_assert_cmpint (db_result_get_cell_type (result, 0, column), ==, type);
  g_assert_cmpstr (db_result_get_text (result, 0, column), ==, text);
}

static void
test_types (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbResult) result =
    fixture_query (fixture->session,
                   "SELECT true, false, 1::int2, '-2147483648'::int4, 9223372036854775807::int8, "
                   "'-9223372036854775808'::int8, 26::oid, 1.5::float8, 'NaN'::float8, "
                   "'-Infinity'::float4, 12.50::numeric(9,2), '\\x00ff'::bytea, ''::bytea, "
                   "'2024-02-29'::date, '12:34:56.5'::time, '2024-02-29 12:34:56'::timestamp, "
                   "'2024-02-29 12:34:56+00'::timestamptz, "
                   "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '{\"a\": 1}'::json, "
                   "'{\"a\": 1}'::jsonb, 'text', NULL, '{1,2}'::int[] AS numbers",
                   NULL);
  g_autoptr (GBytes) bytes = NULL;

  g_assert_cmpuint (db_result_get_n_columns (result), ==, 23);
  g_assert_cmpint (db_result_get_cell_type (result, 0, 0), ==, DB_VALUE_TYPE_BOOLEAN);
  g_assert_true (db_result_get_boolean (result, 0, 0));
  g_assert_false (db_result_get_boolean (result, 0, 1));
  g_assert_cmpint (db_result_get_cell_type (result, 0, 2), ==, DB_VALUE_TYPE_INT64);
  g_assert_cmpint (db_result_get_int64 (result, 0, 2), ==, 1);
  g_assert_cmpint (db_result_get_int64 (result, 0, 3), ==, G_MININT32);
  g_assert_cmpint (db_result_get_int64 (result, 0, 4), ==, G_MAXINT64);
  g_assert_cmpint (db_result_get_int64 (result, 0, 5), ==, G_MININT64);
  g_assert_cmpint (db_result_get_int64 (result, 0, 6), ==, 26);
  g_assert_cmpint (db_result_get_cell_type (result, 0, 7), ==, DB_VALUE_TYPE_DOUBLE);
  g_assert_cmpfloat (db_result_get_double (result, 0, 7), ==, 1.5);
  g_assert_true (isnan (db_result_get_double (result, 0, 8)));
  g_assert_cmpfloat (db_result_get_double (result, 0, 9), ==, -INFINITY);
  assert_cell (result, 10, DB_VALUE_TYPE_DECIMAL, "12.50");
  g_assert_cmpint (db_result_get_cell_type (result, 0, 11), ==, DB_VALUE_TYPE_BYTES);
  bytes = db_result_get_bytes (result, 0, 11);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "\x00\xff", 2);
  g_assert_cmpint (db_result_get_cell_type (result, 0, 12), ==, DB_VALUE_TYPE_BYTES);
  assert_cell (result, 13, DB_VALUE_TYPE_DATE, "2024-02-29");
  assert_cell (result, 14, DB_VALUE_TYPE_TIME, "12:34:56.5");
  assert_cell (result, 15, DB_VALUE_TYPE_TIMESTAMP, "2024-02-29 12:34:56");
  g_assert_cmpint (db_result_get_cell_type (result, 0, 16), ==, DB_VALUE_TYPE_TIMESTAMP_TZ);
  assert_cell (result, 17, DB_VALUE_TYPE_UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
  assert_cell (result, 18, DB_VALUE_TYPE_JSON, "{\"a\": 1}");
  assert_cell (result, 19, DB_VALUE_TYPE_JSON, "{\"a\": 1}");
  assert_cell (result, 20, DB_VALUE_TYPE_TEXT, "text");
  g_assert_true (db_result_is_null (result, 0, 21));
  assert_cell (result, 22, DB_VALUE_TYPE_ARRAY, "{1,2}");
  g_assert_cmpstr (db_result_get_column_name (result, 22), ==, "numbers");
  g_assert_cmpint (db_result_get_last_insert_id (result), ==, -1);
}

static void
test_escaped_bytes (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GBytes) bytes = NULL;

  fixture_execute (fixture->session, "SET bytea_output = 'escape'");
  result = fixture_query (fixture->session, "SELECT '\\x005c78ff'::bytea", NULL);
  bytes = db_result_get_bytes (result, 0, 0);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "\x00\\x\xff", 4);
}

static void
test_params (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (GBytes) bytes = g_bytes_new_static ("\x00\xff\\x", 4);
  g_autoptr (GBytes) back = NULL;
  g_autoptr (GBytes) empty = g_bytes_new_static (NULL, 0);
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = NULL;
  DbStatementPlan plan = {
    "SELECT $1::bool, $2::int8, $3::float8, $4::text, $5::bytea, $6::text, $7::numeric, "
    "$8::float8, "
    "$9::bytea, $10::int8",
    params,
    DB_STATEMENT_NONE,
    0,
  };

  db_params_add_boolean (params, TRUE);
  db_params_add_int64 (params, G_MININT64);
  db_params_add_double (params, 0.1);
  db_params_add_text (params, "it's \\ $1");
  db_params_add_bytes (params, bytes);
  db_params_add_null (params);
  db_params_add_typed_text (params, DB_VALUE_TYPE_DECIMAL, "0.10");
  db_params_add_double (params, -INFINITY);
  db_params_add_bytes (params, empty);
  db_params_add_int64 (params, 0);
  /* The first time unprepared, then prepared, then by name. */
  for (guint i = 0; i < 3; i++)
    {
      g_clear_object (&result);
      g_clear_pointer (&back, g_bytes_unref);
      result = db_session_run (fixture->session, &plan, NULL, &error);
      g_assert_no_error (error);
      g_assert_true (db_result_get_boolean (result, 0, 0));
      g_assert_cmpint (db_result_get_int64 (result, 0, 1), ==, G_MININT64);
      g_assert_cmpfloat (db_result_get_double (result, 0, 2), ==, 0.1);
      g_assert_cmpstr (db_result_get_text (result, 0, 3), ==, "it's \\ $1");
      back = db_result_get_bytes (result, 0, 4);
      g_assert_true (g_bytes_equal (bytes, back));
      g_assert_true (db_result_is_null (result, 0, 5));
      g_assert_cmpstr (db_result_get_text (result, 0, 6), ==, "0.10");
      g_assert_cmpfloat (db_result_get_double (result, 0, 7), ==, -INFINITY);
      g_assert_false (db_result_is_null (result, 0, 8));
      g_assert_cmpint (db_result_get_int64 (result, 0, 9), ==, 0);
    }
  g_assert_false (db_session_is_dirty (fixture->session));
}

static void
assert_wrong_count (Fixture *fixture, const char *sql, GVariant *params, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = fixture_try (fixture->session, sql, params, &error);

  g_assert_null (result);
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_assert_cmpstr (error->message, ==, text);
  g_assert_cmpstr (db_error_get_sqlstate (error), ==, "08P01");
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IDLE);
}

static void
test_wrong_count (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < 3; i++)
    {
      assert_wrong_count (
        fixture, "SELECT $1::int, $2::int", g_variant_new ("(x)", (gint64) 1),
        "the statement has 2 parameters, but 1 values were given [SQLSTATE 08P01]");
      assert_wrong_count (
        fixture, "SELECT 1", g_variant_new ("(x)", (gint64) 1),
        "the statement has 0 parameters, but 1 values were given [SQLSTATE 08P01]");
      assert_wrong_count (
        fixture, "SELECT $1::int", NULL,
        "the statement has 1 parameters, but 0 values were given [SQLSTATE 08P01]");
    }
}

static void
test_bad_params (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbParams) params = db_params_new ();
  DbStatementPlan plan = {"SELECT 1", params, DB_STATEMENT_NONE, 0};
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 70000; i++)
    db_params_add_null (params);
  g_assert_null (db_session_run (fixture->session, &plan, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_LIMIT);
  g_clear_error (&error);
  g_assert_null (
    fixture_try (fixture->session, "SELECT $1::int", g_variant_new ("(s)", "one"), &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
  g_assert_cmpstr (db_error_get_sqlstate (error), ==, "22P02");
  fixture_assert_text (fixture->session, "SELECT 'fine'", "fine");
}

static void
test_errors (Fixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;

  fixture_assert_fails (session, "SELEC 1", DB_ERROR_QUERY, "42601");
  fixture_assert_fails (session, "SELECT * FROM nowhere", DB_ERROR_QUERY, "42P01");
  fixture_assert_fails (session, "SELECT 1/0", DB_ERROR_TYPE, "22012");
  fixture_assert_fails (session, "SELECT 1; SELECT 2", DB_ERROR_QUERY, "42601");
  fixture_execute (session, "CREATE TEMP TABLE t (i int PRIMARY KEY, secret text)");
  fixture_execute (session, "INSERT INTO t VALUES (1, 'a')");
  fixture_assert_fails (session, "INSERT INTO t VALUES (1, 'a')", DB_ERROR_CONSTRAINT, "23505");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  fixture_assert_text (session, "SELECT 'fine'", "fine");
}

static void
test_rows_affected (Fixture *fixture, gconstpointer data)
{
  const struct
  {
    const char *sql;
    gint64 expected;
  } statements[] = {
    {"CREATE TEMP TABLE t (i int)", -1},
    {"INSERT INTO t SELECT generate_series(1, 10)", 10},
    {"UPDATE t SET i = i WHERE i > 5", 5},
    {"DELETE FROM t WHERE i > 100", 0},
    {"SELECT * FROM t", -1}, /* it changes none */
    {"INSERT INTO t VALUES (1), (2) RETURNING i", 2},
    {"", -1},
    {"BEGIN", -1},
    {"COMMIT", -1},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (statements); i++)
    {
      g_autoptr (DbResult) result = fixture_query (fixture->session, statements[i].sql, NULL);

      g_assert_cmpint (db_result_get_rows_affected (result), ==, statements[i].expected);
    }
}

static DbResult *
run_script (Fixture *fixture, const char *sql, GError **error)
{
  DbStatementPlan plan = {sql, NULL, DB_STATEMENT_SCRIPT, 0};

  return db_session_run (fixture->session, &plan, NULL, error);
}

static void
test_script (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result =
    run_script (fixture, "SELECT 1; CREATE TEMP TABLE t (i int); SELECT 3", &error);

  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 3);
  g_assert_true (db_session_is_dirty (fixture->session));
  g_assert_null (run_script (fixture, "INSERT INTO t VALUES (1); SELECT 1/0; SELECT 3", &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
  g_assert_cmpint (fixture_int64 (fixture->session, "SELECT count(*) FROM t"), ==, 0);
}

static void
test_states (Fixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;

  fixture_execute (session, "BEGIN");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IN_TRANSACTION);
  fixture_assert_fails (session, "SELECT 1/0", DB_ERROR_TYPE, "22012");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_FAILED_TRANSACTION);
  fixture_assert_fails (session, "SELECT 1", DB_ERROR_QUERY, "25P02");
  g_assert_true (db_connection_manager_check_session (fixture->manager, session, NULL, NULL));
  fixture_execute (session, "ROLLBACK");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  g_assert_false (db_session_is_dirty (session));
}

/* Which statements make a reset necessary. */
static void
test_dirty (Fixture *fixture, gconstpointer data)
{
  const struct
  {
    const char *sql;
    gboolean dirty;
  } statements[] = {
    {"SELECT 1", FALSE},
    {"BEGIN", FALSE},
    {"SAVEPOINT s", FALSE},
    {"ROLLBACK TO SAVEPOINT s", FALSE},
    {"RELEASE SAVEPOINT s", FALSE},
    {"COMMIT", FALSE},
    {"START TRANSACTION", FALSE},
    {"ROLLBACK", FALSE},
    {"VALUES (1)", FALSE},
    {"SET geqo = off", TRUE},
    {"LISTEN news", TRUE},
    {"CREATE TEMP TABLE t (i int)", TRUE},
    {"INSERT INTO t VALUES (1)", FALSE},
    {"UPDATE t SET i = 2", FALSE},
    {"MERGE INTO t USING (VALUES (1)) v (j) ON i = j WHEN MATCHED THEN DELETE", FALSE},
    {"DELETE FROM t", FALSE},
    {"CREATE TEMP TABLE t2 AS SELECT 1", TRUE},
    {"SELECT 1 AS i INTO TEMP t3", TRUE},
    {"PREPARE p AS SELECT 1", TRUE},
    {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", TRUE},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (statements); i++)
    {
      db_session_clear_dirty (fixture->session);
      fixture_execute (fixture->session, statements[i].sql);
      g_assert_cmpint (db_session_is_dirty (fixture->session), ==, statements[i].dirty);
    }
}

static void
reset (Fixture *fixture, DbResetLevel level)
{
  g_autoptr (GError) error = NULL;

  db_connection_manager_reset_session (fixture->manager, fixture->session, level, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IDLE);
  db_session_clear_dirty (fixture->session);
}

static void
test_reset (Fixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;

  fixture_execute (session, "CREATE ROLE someone");
  reset (fixture, DB_RESET_DIRTY);
  fixture_execute (session, "SET geqo = off");
  fixture_execute (session, "SET DateStyle = 'German'");
  fixture_execute (session, "SET ROLE someone");
  fixture_execute (session, "LISTEN news");
  fixture_execute (session, "CREATE TEMP TABLE t (i int)");
  fixture_execute (session, "PREPARE p AS SELECT 1");
  fixture_execute (session, "DECLARE c CURSOR WITH HOLD FOR SELECT 1");
  fixture_execute (session, "SELECT pg_advisory_lock(1)");
  fixture_execute (session, "BEGIN");
  fixture_assert_fails (session, "SELECT 1/0", DB_ERROR_TYPE, "22012");
  reset (fixture, DB_RESET_DIRTY);

  fixture_assert_text (session, "SHOW geqo", "on");
  fixture_assert_text (session, "SHOW DateStyle", "ISO, MDY");
  fixture_assert_text (session, "SELECT current_user", "dbpool");
  g_assert_cmpint (fixture_int64 (session, "SELECT count(*) FROM pg_listening_channels()"), ==, 0);
  g_assert_cmpint (fixture_int64 (session, "SELECT count(*) FROM pg_cursors WHERE name = 'c'"), ==,
                   0);
  g_assert_cmpint (fixture_int64 (session, "SELECT count(*) FROM pg_prepared_statements"), ==, 0);
  g_assert_cmpint (fixture_int64 (session,
                                  "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
                   ==, 0);
  fixture_assert_fails (session, "SELECT * FROM t", DB_ERROR_QUERY, "42P01");
  fixture_execute (session, "DROP ROLE someone");
}

static void
test_reset_levels (Fixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;

  fixture_execute (session, "SET geqo = off");
  fixture_execute (session, "BEGIN");
  reset (fixture, DB_RESET_NONE);
  fixture_assert_text (session, "SHOW geqo", "off");
  db_session_clear_dirty (session);
  reset (fixture, DB_RESET_DIRTY); /* it looks clean */
  fixture_assert_text (session, "SHOW geqo", "off");
  reset (fixture, DB_RESET_CLEAN);
  fixture_assert_text (session, "SHOW geqo", "on");
}

/* A database's default does not make dates unreadable. */
static void
test_iso_dates (Fixture *fixture, gconstpointer data)
{
  DbSession *other;

  fixture_execute (fixture->session, "ALTER ROLE dbpool SET DateStyle = 'German'");
  other = fixture_open (fixture->manager);
  fixture_assert_text (other, "SELECT '2024-02-29'::date", "2024-02-29");
  db_session_mark_dirty (other);
  g_assert_true (
    db_connection_manager_reset_session (fixture->manager, other, DB_RESET_DIRTY, NULL, NULL));
  fixture_assert_text (other, "SELECT '2024-02-29'::date", "2024-02-29");
  fixture_close (fixture->manager, other);
  fixture_execute (fixture->session, "ALTER ROLE dbpool RESET DateStyle");
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
repeat (Fixture *fixture, const char *sql, guint n_times)
{
  while (n_times-- > 0)
    fixture_execute (fixture->session, sql);
}

static void
test_prepared (Fixture *fixture, gconstpointer data)
{
  repeat (fixture, "SELECT 1", 1);
  g_assert_cmpint (count_prepared (fixture), ==, 0);
  repeat (fixture, "SELECT 1", 1);
  g_assert_cmpint (count_prepared (fixture), ==, 1);
  repeat (fixture, "SELECT 1", 5);
  g_assert_cmpint (count_prepared (fixture), ==, 1);
  repeat (fixture, "SHOW geqo", 3);
  repeat (fixture, "(SELECT 2)", 2);
  repeat (fixture, "/* a /* b */ */ -- c\n select 3", 2);
  g_assert_cmpint (count_prepared (fixture), ==, 3);
}

/* The cache has room for 100; what falls out is deallocated with the next one. */
static void
test_prepared_limit (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < 250; i++)
    {
      g_autofree char *sql = g_strdup_printf ("SELECT %u", i);

      repeat (fixture, sql, 2);
    }
  g_assert_cmpint (count_prepared (fixture), <=, 101);
  g_assert_cmpint (count_prepared (fixture), >=, 99);
}

static void
test_prepared_off (void)
{
  Fixture fixture = {fixture_manager_new (NULL), NULL};

  fixture.session = fixture_open (fixture.manager);
  db_session_set_statement_cache (fixture.session, 0);
  repeat (&fixture, "SELECT 1", 5);
  g_assert_cmpint (count_prepared (&fixture), ==, 0);
  fixture_close (fixture.manager, fixture.session);
  g_object_unref (fixture.manager);
}

/* Whatever happens to a prepared statement, the next use of it works. */
static void
test_prepared_heals (Fixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;
  g_autoptr (DbResult) result = NULL;

  fixture_execute (session, "CREATE TEMP TABLE t (i int)");
  repeat (fixture, "SELECT * FROM t", 3);
  fixture_execute (session, "ALTER TABLE t ADD COLUMN j int");
  result = fixture_query (session, "SELECT * FROM t", NULL);
  g_assert_cmpuint (db_result_get_n_columns (result), ==, 2);
  repeat (fixture, "SELECT * FROM t", 3);

  fixture_execute (session, "DEALLOCATE ALL");
  repeat (fixture, "SELECT * FROM t", 3);
  fixture_execute (session, "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$");
  repeat (fixture, "SELECT * FROM t", 3);
  fixture_execute (session, "DISCARD ALL");
  fixture_assert_fails (session, "SELECT * FROM t", DB_ERROR_QUERY, "42P01");
  repeat (fixture, "SELECT 1", 3);
}

/* Inside a transaction the failure cannot be hidden, but it does not come again. */
static void
test_prepared_heals_later (Fixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;

  repeat (fixture, "SELECT 1", 3);
  fixture_execute (session, "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$");
  fixture_execute (session, "BEGIN");
  fixture_assert_fails (session, "SELECT 1", DB_ERROR_QUERY, "26000");
  fixture_execute (session, "ROLLBACK");
  fixture_execute (session, "BEGIN");
  repeat (fixture, "SELECT 1", 3);
  fixture_execute (session, "COMMIT");
}

static void
test_prepare_fails (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < 4; i++)
    {
      fixture_assert_fails (fixture->session, "SELECT nothing", DB_ERROR_QUERY, "42703");
      g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IDLE);
    }
  fixture_execute (fixture->session, "BEGIN");
  fixture_assert_fails (fixture->session, "SELECT nothing", DB_ERROR_QUERY, "42703");
  fixture_assert_fails (fixture->session, "SELECT nothing", DB_ERROR_QUERY, "25P02");
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_FAILED_TRANSACTION);
  fixture_execute (fixture->session, "ROLLBACK");
}

static void
test_copy (Fixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;
  const char *const copies[] = {
    "COPY t FROM STDIN",
    "COPY t TO STDOUT",
    "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT",
  };
  g_autoptr (GError) error = NULL;

  fixture_execute (session, "CREATE TEMP TABLE t (i int)");
  for (gsize i = 0; i < G_N_ELEMENTS (copies); i++)
    {
      fixture_assert_fails (session, copies[i], DB_ERROR_NOT_SUPPORTED, NULL);
      g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
      g_assert_cmpint (fixture_int64 (session, "SELECT count(*) FROM t"), ==, 0);
      g_assert_null (run_script (fixture, copies[i], &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED);
      g_clear_error (&error);
      db_session_set_read_only (session, i % 2 == 0);
      fixture_assert_text (session, "SELECT 'fine'", "fine");
    }
  /* With the setting as a prelude, too. */
  db_session_set_read_only (session, FALSE);
  fixture_assert_fails (session, copies[0], DB_ERROR_NOT_SUPPORTED, NULL);
  fixture_execute (session, "COPY t TO '/dev/null'");
}

static void
test_read_only (Fixture *fixture, gconstpointer data)
{
  DbSession *session = fixture->session;
  g_autoptr (GError) error = NULL;

  fixture_execute (session, "CREATE TABLE read_only_test (i int)");
  g_assert_true (db_session_set_read_only (session, TRUE));
  fixture_assert_fails (session, "INSERT INTO read_only_test VALUES (1)", DB_ERROR_READ_ONLY,
                        "25006");
  fixture_assert_fails (session, "INSERT INTO read_only_test VALUES (1)", DB_ERROR_READ_ONLY,
                        "25006");
  g_assert_cmpint (fixture_int64 (session, "SELECT count(*) FROM read_only_test"), ==, 0);
  fixture_execute (session, "RESET ALL");
  fixture_assert_fails (session, "DROP TABLE read_only_test", DB_ERROR_READ_ONLY, "25006");
  g_assert_true (db_session_set_read_only (session, FALSE));
  fixture_execute (session, "INSERT INTO read_only_test VALUES (1)");

  /* A script gets it as well, and a reset takes it away. */
  g_assert_true (db_session_set_read_only (session, TRUE));
  g_assert_null (run_script (fixture, "SELECT 1; DELETE FROM read_only_test", &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_READ_ONLY);
  reset (fixture, DB_RESET_CLEAN);
  g_assert_true (db_session_set_read_only (session, FALSE));
  fixture_execute (session, "DROP TABLE read_only_test");
}

static void
test_big_result (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbResult) result =
    fixture_query (fixture->session,
                   "SELECT i, i::text, i / 2.0, NULL::int FROM generate_series(1, 100000) i", NULL);

  g_assert_cmpuint (db_result_get_n_rows (result), ==, 100000);
  g_assert_cmpint (db_result_get_int64 (result, 99999, 0), ==, 100000);
  g_assert_cmpstr (db_result_get_text (result, 49999, 1), ==, "50000");
  g_assert_true (db_result_is_null (result, 77777, 3));
}

/* More than a socket's buffers hold, both ways. */
static void
test_big_param (Fixture *fixture, gconstpointer data)
{
  g_autofree char *text = g_strnfill (8 * 1024 * 1024, 'x');
  g_autoptr (DbResult) result =
    fixture_query (fixture->session, "SELECT $1::text", g_variant_new ("(s)", text));

  g_assert_cmpstr (db_result_get_text (result, 0, 0), ==, text);
}

static void
terminate (Fixture *fixture, DbSession *victim)
{
  g_autofree char *sql = g_strdup_printf ("SELECT pg_terminate_backend(%d)::int, pg_sleep(0)",
                                          PQbackendPID (DB_POSTGRES_SESSION (victim)->conn));

  fixture_execute (fixture->session, sql);
}

static void
wait_readable (DbSession *session)
{
  GPollFD poll = {db_session_get_fd (session), G_IO_IN, 0};

  g_assert_cmpint (g_poll (&poll, 1, 10000), ==, 1);
}

static void
finished_cb (GObject *source, GAsyncResult *async_result, gpointer user_data)
{
  GAsyncResult **finished = user_data;

  *finished = g_object_ref (async_result);
}

static const char BULK_SQL[] = "SELECT length ($1::bytea)";

/* Large enough to be sent by a thread that may block, with a statement before and after. */
static void
test_bulky_param (Fixture *fixture, gconstpointer data)
{
  const gsize size = 20 * 1024 * 1024;
  g_autofree char *zeros = g_malloc0 (size);
  g_autoptr (GBytes) bytes = g_bytes_new_static (zeros, size);
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GAsyncResult) finished = NULL;
  g_autoptr (GError) error = NULL;
  DbStatementPlan plan = {.sql = BULK_SQL, .params = params};

  db_params_add_bytes (params, bytes);
  result = db_session_run (fixture->session, &plan, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, size);
  g_clear_object (&result);
  g_assert_cmpint (fixture_int64 (fixture->session, "SELECT 1"), ==, 1);

  db_session_run_async (fixture->session, &plan, NULL, finished_cb, &finished);
  while (finished == NULL)
    g_main_context_iteration (NULL, TRUE);
  result = db_session_run_finish (fixture->session, finished, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, size);
  g_assert_cmpint (fixture_int64 (fixture->session, "SELECT 1"), ==, 1);
}

/* Nothing of it is sent: the server would close the connection. No memory is behind the bytes. */
static void
test_oversized_param (Fixture *fixture, gconstpointer data)
{
  const gsize size = 1100ul * 1024 * 1024;
  gpointer zeros = mmap (NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  g_autoptr (GBytes) bytes = g_bytes_new_static (zeros, size);
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;
  DbStatementPlan plan = {.sql = BULK_SQL, .params = params};

  g_assert_true (zeros != MAP_FAILED);
  db_params_add_bytes (params, bytes);
  result = db_session_run (fixture->session, &plan, NULL, &error);
  g_assert_error (error, DB_ERROR, DB_ERROR_LIMIT);
  g_assert_null (result);
  g_assert_cmpint (fixture_int64 (fixture->session, "SELECT 1"), ==, 1);
  g_clear_pointer (&params, db_params_free);
  g_clear_pointer (&bytes, g_bytes_unref);
  munmap (zeros, size);
}

static void
test_killed_idle (Fixture *fixture, gconstpointer data)
{
  DbSession *victim = fixture_open (fixture->manager);
  g_autoptr (GError) error = NULL;

  g_assert_true (db_session_is_alive (victim));
  terminate (fixture, victim);
  wait_readable (victim);
  g_assert_false (db_session_is_alive (victim));
  g_assert_cmpint (db_session_get_state (victim), ==, DB_SESSION_BROKEN);
  g_assert_null (fixture_try (victim, "SELECT 1", NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
  fixture_close (fixture->manager, victim);
}

/* Nobody looked before the next statement. */
static void
test_killed_unseen (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < 4; i++)
    {
      DbSession *victim = fixture_open (fixture->manager);
      g_autoptr (GError) error = NULL;

      for (guint j = 0; j < i; j++)
        fixture_execute (victim, "SELECT 1");
      terminate (fixture, victim);
      wait_readable (victim);
      g_assert_null (fixture_try (victim, "SELECT 1", NULL, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
      g_assert_null (strchr (error->message, '\n'));
      g_assert_cmpint (db_session_get_state (victim), ==, DB_SESSION_BROKEN);
      g_clear_error (&error);
      g_assert_false (db_connection_manager_check_session (fixture->manager, victim, NULL, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
      g_clear_error (&error);
      g_assert_false (db_connection_manager_reset_session (fixture->manager, victim, DB_RESET_CLEAN,
                                                           NULL, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
      fixture_close (fixture->manager, victim);
    }
}

static gpointer
run_long (gpointer data)
{
  GError *error = NULL;

  g_assert_null (fixture_try (data, "SELECT pg_sleep(60)", NULL, &error));
  return error;
}

static void
wait_until_running (Fixture *fixture, DbSession *session)
{
  g_autofree char *sql = g_strdup_printf ("SELECT count(*) FROM pg_stat_activity WHERE pid = %d "
                                          "AND state = 'active' AND wait_event = 'PgSleep'",
                                          PQbackendPID (DB_POSTGRES_SESSION (session)->conn));

  while (fixture_int64 (fixture->session, sql) == 0)
    g_usleep (1000);
}

static void
test_killed_running (Fixture *fixture, gconstpointer data)
{
  DbSession *victim = fixture_open (fixture->manager);
  GThread *thread = g_thread_new ("victim", run_long, victim);
  g_autoptr (GError) error = NULL;

  wait_until_running (fixture, victim);
  terminate (fixture, victim);
  error = g_thread_join (thread);
  g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
  g_assert_cmpint (db_session_get_state (victim), ==, DB_SESSION_BROKEN);
  fixture_close (fixture->manager, victim);
}

/* What an idle session receives is not mistaken for its end. */
static void
test_alive_with_notification (Fixture *fixture, gconstpointer data)
{
  DbSession *listener = fixture_open (fixture->manager);

  fixture_execute (listener, "LISTEN news");
  fixture_execute (fixture->session, "NOTIFY news, 'hello'");
  wait_readable (listener);
  g_assert_true (db_session_is_alive (listener));
  g_assert_true (db_session_is_alive (listener));
  fixture_assert_text (listener, "SELECT 'fine'", "fine");
  fixture_close (fixture->manager, listener);
}

static void
test_notices (Fixture *fixture, gconstpointer data)
{
  fixture_execute (fixture->session, "DO $$ BEGIN RAISE NOTICE 'hello'; END $$");
  fixture_execute (fixture->session, "DROP TABLE IF EXISTS nowhere");
}

/* Through a pool: the PGconn works with libpq's own functions, and the session is clean afterwards.
 */
static void
test_pgconn (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (DbPool) pool = NULL;
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (DbResult) result = NULL;
  PGresult *copied;
  PGconn *conn;

  g_object_set (config, "max-connections", 1, NULL);
  pool = db_pool_new (fixture->manager, config, &error);
  g_assert_no_error (error);
  connection = db_pool_acquire (pool, NULL, &error);
  g_assert_no_error (error);
  conn = db_postgres_connection_get_pgconn (connection);
  g_assert_nonnull (conn);
  PQclear (PQexec (conn, "CREATE TEMP TABLE t (i int)"));
  copied = PQexec (conn, "COPY t FROM STDIN");
  g_assert_cmpint (PQresultStatus (copied), ==, PGRES_COPY_IN);
  PQclear (copied);
  g_assert_cmpint (PQputCopyData (conn, "1\n2\n", 4), ==, 1);
  g_assert_cmpint (PQputCopyEnd (conn, NULL), ==, 1);
  while ((copied = PQgetResult (conn)) != NULL)
    PQclear (copied);
  result = db_connection_query (connection, "SELECT count(*) FROM t", NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 2);
  db_connection_release (connection);
  g_assert_null (db_postgres_connection_get_pgconn (connection));

  g_clear_object (&connection);
  connection = db_pool_acquire (pool, NULL, &error);
  g_assert_no_error (error);
  g_assert_null (db_connection_query (connection, "SELECT count(*) FROM t", NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_clear_error (&error);
  db_connection_release (connection);
  g_assert_true (db_pool_close (pool, G_TIME_SPAN_SECOND, NULL, &error));
}

static void
test_pgconn_read_only (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbPool) pool = db_pool_new (fixture->manager, NULL, &error);
  g_autoptr (DbConnection) connection =
    db_pool_acquire_full (pool, DB_ACQUIRE_READ_ONLY, -1, NULL, NULL, &error);
  PGresult *result;

  g_assert_no_error (error);
  result = PQexec (db_postgres_connection_get_pgconn (connection), "CREATE TABLE t (i int)");
  g_assert_cmpstr (PQresultErrorField (result, PG_DIAG_SQLSTATE), ==, "25006");
  PQclear (result);
  db_connection_release (connection);
  g_assert_true (db_pool_close (pool, G_TIME_SPAN_SECOND, NULL, &error));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, function)                                                                        \
  g_test_add ("/postgres/session/" name, Fixture, NULL, set_up, function, tear_down)

  ADD ("types", test_types);
  ADD ("escaped-bytes", test_escaped_bytes);
  ADD ("params", test_params);
  ADD ("wrong-count", test_wrong_count);
  ADD ("bad-params", test_bad_params);
  ADD ("errors", test_errors);
  ADD ("rows-affected", test_rows_affected);
  ADD ("script", test_script);
  ADD ("states", test_states);
  ADD ("dirty", test_dirty);
  ADD ("reset", test_reset);
  ADD ("reset-levels", test_reset_levels);
  ADD ("iso-dates", test_iso_dates);
  ADD ("prepared", test_prepared);
  ADD ("prepared-limit", test_prepared_limit);
  g_test_add_func ("/postgres/session/prepared-off", test_prepared_off);
  ADD ("prepared-heals", test_prepared_heals);
  ADD ("prepared-heals-later", test_prepared_heals_later);
  ADD ("prepare-fails", test_prepare_fails);
  ADD ("copy", test_copy);
  ADD ("read-only", test_read_only);
  ADD ("big-result", test_big_result);
  ADD ("big-param", test_big_param);
  ADD ("bulky-param", test_bulky_param);
  ADD ("oversized-param", test_oversized_param);
  ADD ("killed-idle", test_killed_idle);
  ADD ("killed-unseen", test_killed_unseen);
  ADD ("killed-running", test_killed_running);
  ADD ("alive-with-notification", test_alive_with_notification);
  ADD ("notices", test_notices);
  ADD ("pgconn", test_pgconn);
  ADD ("pgconn-read-only", test_pgconn_read_only);

  return g_test_run ();
}
