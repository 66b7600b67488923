/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Statements: parameters, what they are refused for, and what an error says. After each failure the
 * session has to be usable. */

#include "config.h"

#include "sql-fixture.h"

static void
create_shop (SqlWorld *world)
{
  g_autofree char *sql = g_strdup_printf (
    "CREATE TABLE shop (id %s, name text);"
    "CREATE TABLE item (id %s, shop bigint REFERENCES shop (id), code text NOT NULL UNIQUE,"
    " price integer CONSTRAINT positive CHECK (price > 0))",
    sql_serial_column (world), sql_serial_column (world));

  sql_do_script (world, sql);
}

static gint64
ask_with (SqlWorld *world, const char *sql, GVariant *params)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = sql_query (world, sql, params, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  return db_result_get_int64 (result, 0, 0);
}

/* Parameters. */

static void
test_order (SqlWorld *world)
{
  g_assert_cmpint (ask_with (world, "SELECT CAST ($2 AS integer) - CAST ($1 AS integer)",
                             g_variant_new ("(ii)", 1, 100)),
                   ==, 99);
  g_assert_cmpint (ask_with (world,
                             "SELECT CAST ($1 AS integer) * CAST ($1 AS integer) + CAST ($2 AS "
                             "integer) * CAST ($1 AS integer)",
                             g_variant_new ("(ii)", 7, 100)),
                   ==, 749);
}

/* $1 is not the beginning of $10. */
static void
test_many (SqlWorld *world)
{
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (GString) sql = g_string_new ("SELECT 0");
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = NULL;

  for (int i = 120; i > 0; i--)
    g_string_append_printf (sql, ", CAST ($%d AS integer)", i);
  for (int i = 1; i <= 120; i++)
    db_params_add_int64 (params, i * 1000);
  result = sql_query_params (world, sql->str, params, &error);
  g_assert_no_error (error);
  for (guint column = 1; column <= 120; column++)
    g_assert_cmpint (db_result_get_int64 (result, 0, column), ==, (121 - (gint64) column) * 1000);
}

static void
test_wrong_count (SqlWorld *world)
{
  const char *sql = "SELECT CAST ($1 AS integer) + CAST ($2 AS integer)";

  sql_assert_fails (world, sql, g_variant_new ("(i)", 1), DB_ERROR_QUERY, "2 parameters");
  sql_assert_usable (world);
  sql_assert_fails (world, sql, g_variant_new ("(iii)", 1, 2, 3), DB_ERROR_QUERY, "but 3");
  sql_assert_usable (world);
  sql_assert_fails (world, sql, NULL, DB_ERROR_QUERY, "2 parameters");
  sql_assert_usable (world);
  sql_assert_fails (world, "SELECT 1", g_variant_new ("(i)", 1), DB_ERROR_QUERY, "0 parameters");
  sql_assert_usable (world);
  g_assert_cmpint (ask_with (world, sql, g_variant_new ("(ii)", 40, 2)), ==, 42);
}

static void
test_foreign_marks (SqlWorld *world)
{
  sql_assert_fails (world, "SELECT ?", g_variant_new ("(i)", 1), DB_ERROR_QUERY,
                    world->postgres ? NULL : "use $1");
  sql_assert_usable (world);
  sql_assert_fails (world, "SELECT :x", g_variant_new ("(i)", 1), DB_ERROR_QUERY,
                    world->postgres ? NULL : "use $1");
  sql_assert_usable (world);
  sql_assert_fails (world, "SELECT @x", g_variant_new ("(i)", 1), DB_ERROR_QUERY, NULL);
  sql_assert_usable (world);
  if (!world->postgres)
    sql_assert_fails (world, "SELECT $1::int", g_variant_new ("(i)", 1), DB_ERROR_QUERY, "CAST");
  /* where they are no marks */
  g_assert_cmpint (sql_ask (world, "SELECT length ('?:x$1')"), ==, 5);
}

static void
test_values (SqlWorld *world)
{
  g_autofree char *long_text = g_strnfill (1024 * 1024, 'x');
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = NULL;

  result = sql_query (world, "SELECT length ($1), CAST ($1 AS text)",
                      g_variant_new ("(s)", long_text), &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 1024 * 1024);
  g_assert_cmpstr (db_result_get_text (result, 0, 1), ==, long_text);
  g_clear_object (&result);
  result = sql_query (world, "SELECT CAST ($1 AS text) IS NULL, CAST ($2 AS integer)",
                      g_variant_new ("(msmi)", NULL, TRUE, -5), &error);
  g_assert_no_error (error);
  g_assert_true (db_result_get_boolean (result, 0, 0));
  g_assert_cmpint (db_result_get_int64 (result, 0, 1), ==, -5);
}

static void
test_bytes (SqlWorld *world)
{
  static const guint8 bytes[] = {0, 'a', 0, 0xff, 0xfe, '\\', '\'', 0};
  g_autoptr (GBytes) given = g_bytes_new_static (bytes, sizeof bytes);
  g_autoptr (GBytes) taken = NULL;
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = NULL;

  db_params_add_bytes (params, given);
  result =
    sql_query_params (world,
                      world->postgres ? "SELECT CAST ($1 AS bytea)" : "SELECT CAST ($1 AS blob)",
                      params, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_column_type (result, 0), ==, DB_VALUE_TYPE_BYTES);
  taken = db_result_get_bytes (result, 0, 0);
  g_assert_true (g_bytes_equal (given, taken));
}

static void
test_wrong_values (SqlWorld *world)
{
  if (world->postgres)
    {
      sql_assert_fails (world, "SELECT CAST ($1 AS integer)", g_variant_new ("(s)", "many"),
                        DB_ERROR_TYPE, "22P02");
      sql_assert_usable (world);
      sql_assert_fails (world, "SELECT CAST ($1 AS date)", g_variant_new ("(s)", "2026-02-30"),
                        DB_ERROR_TYPE, "22008");
      sql_assert_usable (world);
    }
  sql_assert_fails (world, "SELECT $1", g_variant_new ("(t)", G_MAXUINT64), DB_ERROR_TYPE,
                    "parameter 1");
  sql_assert_usable (world);
  sql_assert_fails (world, "SELECT $1, $2", g_variant_new_parsed ("(1, {'a': 1})"), DB_ERROR_TYPE,
                    "parameter 2");
  sql_assert_usable (world);
}

/* Texts. */

static void
test_several (SqlWorld *world)
{
  sql_assert_fails (world, "SELECT 1; SELECT 2", NULL, DB_ERROR_QUERY, NULL);
  sql_assert_usable (world);
  sql_assert_fails (world, "BEGIN; SELECT 2", NULL, DB_ERROR_QUERY, NULL);
  sql_assert_usable (world);
  g_assert_cmpint (sql_ask (world, "SELECT 1;"), ==, 1);
  g_assert_cmpint (sql_ask (world, " /* one */ SELECT 1 ; -- only"), ==, 1);
}

static void
assert_nothing (SqlWorld *world, const char *sql)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = sql_query (world, sql, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 0);
  g_assert_cmpuint (db_result_get_n_columns (result), ==, 0);
  g_assert_cmpint (sql_execute (world, sql, NULL, &error), ==, 0);
  g_assert_no_error (error);
  sql_assert_usable (world);
}

static void
test_empty (SqlWorld *world)
{
  assert_nothing (world, "");
  assert_nothing (world, " \t\n");
  assert_nothing (world, "-- nothing");
  assert_nothing (world, "/* nothing */");
}

static void
test_invalid_utf8 (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = sql_query (world, "SELECT '\xff\xfe'", NULL, &error);

  /* SQLite does not mind, and gives it back as bytes; no database may break of it. */
  if (world->postgres)
    {
      g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
      g_assert_true (g_utf8_validate (error->message, -1, NULL));
    }
  else if (error != NULL)
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
  else
    g_assert_cmpint (db_result_get_cell_type (result, 0, 0), ==, DB_VALUE_TYPE_BYTES);
  sql_assert_usable (world);
}

static void
test_script (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;

  sql_do_script (world, "CREATE TABLE t (x integer); INSERT INTO t VALUES (1), (2); SELECT 1;"
                        "INSERT INTO t VALUES (3);");
  g_assert_cmpint (sql_ask (world, "SELECT count(*) FROM t"), ==, 3);
  g_assert_false (sql_script (world, "SELECT 1; SELEC 2; SELECT 3", &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  sql_assert_usable (world);
}

/* Errors. */

static DbErrorInfo *
get_info (SqlWorld *world)
{
  DbErrorInfo *info = db_connection_get_last_error_info (world->connection);

  g_assert_nonnull (info);
  return info;
}

static void
test_syntax_error (SqlWorld *world)
{
  g_autoptr (DbErrorInfo) info = NULL;

  sql_assert_fails (world, "SELECT 'ä' FRM nothing x y z", NULL, DB_ERROR_QUERY, NULL);
  info = get_info (world);
  g_test_message ("position %u", db_error_info_get_position (info));
  g_assert_cmpuint (db_error_info_get_position (info), >, 10);
  g_assert_cmpuint (db_error_info_get_position (info), <=, 27);
  if (world->postgres)
    g_assert_cmpstr (db_error_info_get_sqlstate (info), ==, "42601");
  g_assert_nonnull (db_error_info_get_message (info));
  sql_assert_usable (world);
  g_assert_null (db_connection_get_last_error_info (world->connection));
}

static void
test_unknown_column (SqlWorld *world)
{
  g_autoptr (DbErrorInfo) info = NULL;

  create_shop (world);
  sql_assert_fails (world, "SELECT price, color FROM item", NULL, DB_ERROR_QUERY, "color");
  info = get_info (world);
  g_assert_cmpuint (db_error_info_get_position (info), ==, 15);
  sql_assert_usable (world);
}

static void
assert_violates (SqlWorld *world, const char *sql, DbConstraintKind kind)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbErrorInfo) info = NULL;

  g_assert_cmpint (sql_execute (world, sql, NULL, &error), ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_test_message ("%s", error->message);
  g_assert_cmpint (db_error_get_constraint_kind (error), ==, kind);
  g_assert_false (db_error_is_transient (error));
  g_assert_null (strstr (error->message, "very-secret"));
  info = get_info (world);
  g_assert_cmpint (db_error_info_get_constraint_kind (info), ==, kind);
  g_test_message ("table %s, column %s, constraint %s, detail %s", db_error_info_get_table (info),
                  db_error_info_get_column (info), db_error_info_get_constraint (info),
                  db_error_info_get_detail (info));
  if (world->postgres)
    {
      g_assert_cmpstr (db_error_info_get_table (info), ==, "item");
      g_assert_cmpstr (db_error_info_get_schema (info), ==, world->schema);
    }
}

static void
test_constraints (SqlWorld *world)
{
  g_autoptr (DbErrorInfo) info = NULL;

  create_shop (world);
  sql_do (world, "INSERT INTO shop (id, name) VALUES (1, 'a')");
  sql_do (world, "INSERT INTO item (shop, code, price) VALUES (1, 'very-secret', 5)");
  assert_violates (world, "INSERT INTO item (shop, code) VALUES (1, 'very-secret')",
                   DB_CONSTRAINT_UNIQUE);
  assert_violates (world, "INSERT INTO item (shop, code) VALUES (1, NULL)", DB_CONSTRAINT_NOT_NULL);
  info = get_info (world);
  g_assert_cmpstr (db_error_info_get_column (info), ==, "code");
  g_clear_pointer (&info, db_error_info_unref);
  assert_violates (world, "INSERT INTO item (shop, code) VALUES (77, 'very-secret-2')",
                   DB_CONSTRAINT_FOREIGN_KEY);
  assert_violates (world, "INSERT INTO item (shop, code, price) VALUES (1, 'very-secret-3', -1)",
                   DB_CONSTRAINT_CHECK);
  info = get_info (world);
  g_assert_cmpstr (db_error_info_get_constraint (info), ==, "positive");
  sql_assert_usable (world);
  g_assert_null (db_connection_get_last_error_info (world->connection));
}

/* What DETAIL quotes is in the details alone. */
static void
test_detail (SqlWorld *world)
{
  g_autoptr (DbErrorInfo) info = NULL;

  create_shop (world);
  sql_do (world, "INSERT INTO item (code) VALUES ('very-secret')");
  assert_violates (world, "INSERT INTO item (code) VALUES ('very-secret')", DB_CONSTRAINT_UNIQUE);
  info = get_info (world);
  g_assert_nonnull (strstr (db_error_info_get_detail (info), "very-secret"));
}

/* The details are those of the last statement, of a release too. */
static void
test_info_lasts (SqlWorld *world)
{
  g_autoptr (DbErrorInfo) info = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_null (db_connection_get_last_error_info (world->connection));
  sql_assert_fails (world, "SELECT 1 FROM nothing", NULL, DB_ERROR_QUERY, "nothing");
  g_assert_cmpint (sql_execute (world, "SELEC 2", NULL, &error), ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  info = get_info (world);
  g_assert_null (strstr (db_error_info_get_message (info), "nothing"));
  g_clear_pointer (&info, db_error_info_unref);
  db_connection_release (world->connection);
  info = get_info (world);
  g_assert_nonnull (db_error_info_get_message (info));
}

static void
test_transient (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (sql_query (world, "SELECT 1 FROM nothing", NULL, &error));
  g_assert_false (db_error_is_transient (error));
  if (world->postgres)
    g_assert_cmpstr (db_error_get_sqlstate (error), ==, "42P01");
  else
    g_assert_null (db_error_get_sqlstate (error));
  g_assert_cmpint (db_error_get_constraint_kind (error), ==, DB_CONSTRAINT_NONE);
}

static void
test_error_at_run_time (SqlWorld *world)
{
  sql_assert_fails (world,
                    world->postgres ? "SELECT 1 / (x - 1) FROM (SELECT 1 AS x) AS y"
                                    : "SELECT abs (-9223372036854775807 - 1)",
                    NULL, world->postgres ? DB_ERROR_TYPE : DB_ERROR_QUERY, NULL);
  sql_assert_usable (world);
}

/* Counts. */

static void
test_rows_affected (SqlWorld *world)
{
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (sql_do (world, "CREATE TABLE t (x integer)"), ==, 0);
  g_assert_cmpint (sql_do (world, "INSERT INTO t VALUES (1), (2), (3)"), ==, 3);
  g_assert_cmpint (sql_do (world, "UPDATE t SET x = x + 1 WHERE x > 1"), ==, 2);
  g_assert_cmpint (sql_do (world, "UPDATE t SET x = 0 WHERE x > 100"), ==, 0);
  g_assert_cmpint (sql_do (world, "CREATE TABLE u (x integer)"), ==, 0);
  result = sql_query (world, "INSERT INTO t VALUES (4), (5) RETURNING x", NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 2);
  g_assert_cmpint (db_result_get_rows_affected (result), ==, 2);
  g_assert_cmpint (sql_do (world, "DELETE FROM t"), ==, 5);
}

static void
test_last_insert_id (SqlWorld *world)
{
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;

  create_shop (world);
  sql_do (world, "INSERT INTO shop (id, name) VALUES (41, 'a')");
  result = sql_query (world, "INSERT INTO shop (name) VALUES ('b')", NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_last_insert_id (result), ==, 42);
  g_clear_object (&result);
  result = sql_query (world, "SELECT 1", NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_last_insert_id (result), ==, -1);
}

static void
test_describe (SqlWorld *world)
{
  g_autoptr (DbDescription) description = NULL;
  g_autoptr (GError) error = NULL;

  create_shop (world);
  description =
    sql_describe (world, "SELECT name, id FROM shop WHERE id = $1 AND name > $2", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_description_get_n_params (description), ==, 2);
  g_assert_cmpuint (db_description_get_n_columns (description), ==, 2);
  g_assert_cmpstr (db_description_get_column_name (description, 0), ==, "name");
  g_assert_cmpint (db_description_get_column_type (description, 0), ==, DB_VALUE_TYPE_TEXT);
  g_assert_cmpint (db_description_get_column_type (description, 1), ==, DB_VALUE_TYPE_INT64);
  if (world->postgres)
    g_assert_cmpint (db_description_get_param_type (description, 0), ==, DB_VALUE_TYPE_INT64);
  g_assert_null (sql_describe (world, "SELECT color FROM shop", &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  sql_assert_usable (world);
}

/* It is not run. */
static void
test_describe_runs_nothing (SqlWorld *world)
{
  g_autoptr (DbDescription) description = NULL;
  g_autoptr (GError) error = NULL;

  create_shop (world);
  description = sql_describe (world, "INSERT INTO shop (name) VALUES ($1) RETURNING id", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_description_get_n_params (description), ==, 1);
  g_assert_cmpuint (db_description_get_n_columns (description), ==, 1);
  g_assert_cmpint (sql_ask (world, "SELECT count(*) FROM shop"), ==, 0);
}

/* The shape of a table changes under a statement that is prepared. */
static void
test_changed_table (SqlWorld *world)
{
  sql_do (world, "CREATE TABLE t (x integer)");
  sql_do (world, "INSERT INTO t VALUES (1)");
  for (int i = 0; i < 3; i++)
    g_assert_cmpint (sql_ask (world, "SELECT * FROM t"), ==, 1);
  sql_do (world, "ALTER TABLE t ADD COLUMN y text");
  for (int i = 0; i < 3; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result = sql_query (world, "SELECT * FROM t", NULL, &error);

      g_assert_no_error (error);
      g_assert_cmpuint (db_result_get_n_columns (result), ==, 2);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  sql_add ("statements/order", SQL_EVERYWHERE, test_order);
  sql_add ("statements/many", SQL_EVERYWHERE, test_many);
  sql_add ("statements/wrong-count", SQL_EVERYWHERE, test_wrong_count);
  sql_add ("statements/foreign-marks", SQL_EVERYWHERE, test_foreign_marks);
  sql_add ("statements/values", SQL_EVERYWHERE, test_values);
  sql_add ("statements/bytes", SQL_EVERYWHERE, test_bytes);
  sql_add ("statements/wrong-values", SQL_EVERYWHERE, test_wrong_values);
  sql_add ("statements/several", SQL_EVERYWHERE, test_several);
  sql_add ("statements/empty", SQL_EVERYWHERE, test_empty);
  sql_add ("statements/invalid-utf8", SQL_EVERYWHERE, test_invalid_utf8);
  sql_add ("statements/script", SQL_EVERYWHERE, test_script);
  sql_add ("statements/syntax-error", SQL_EVERYWHERE, test_syntax_error);
  sql_add ("statements/unknown-column", SQL_EVERYWHERE, test_unknown_column);
  sql_add ("statements/constraints", SQL_EVERYWHERE, test_constraints);
  sql_add ("statements/detail", SQL_ON_POSTGRES, test_detail);
  sql_add ("statements/info-lasts", SQL_EVERYWHERE, test_info_lasts);
  sql_add ("statements/transient", SQL_EVERYWHERE, test_transient);
  sql_add ("statements/error-at-run-time", SQL_EVERYWHERE, test_error_at_run_time);
  sql_add ("statements/rows-affected", SQL_EVERYWHERE, test_rows_affected);
  sql_add ("statements/last-insert-id", SQL_ON_SQLITE, test_last_insert_id);
  sql_add ("statements/describe", SQL_EVERYWHERE, test_describe);
  sql_add ("statements/describe-runs-nothing", SQL_EVERYWHERE, test_describe_runs_nothing);
  sql_add ("statements/changed-table", SQL_EVERYWHERE, test_changed_table);
  return g_test_run ();
}
