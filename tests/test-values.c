/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Values there and back, from C, on both databases: as a GVariant and as DbParams, and as
 * DbParams in a table. What needs PostgreSQL is skipped where DBPOOL_TEST_POSTGRES_URI is not set.
 */

#include "config.h"

#include "dbpool.h"

typedef struct
{
  DbPool *pool;
  DbConnection *connection;
  gboolean postgres;
} Fixture;

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autoptr (GError) error = NULL;
  const char *uri = "sqlite::memory:";

  fixture->postgres = GPOINTER_TO_INT (data);
  if (fixture->postgres)
    uri = g_getenv ("DBPOOL_TEST_POSTGRES_URI");
  if (uri == NULL)
    return;
  fixture->pool = db_pool_factory_create_pool (factory, uri, NULL, NULL, &error);
  g_assert_no_error (error);
  fixture->connection = db_pool_acquire (fixture->pool, NULL, &error);
  g_assert_no_error (error);
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  g_clear_object (&fixture->connection);
  if (fixture->pool != NULL)
    g_assert_true (db_pool_close (fixture->pool, G_USEC_PER_SEC, NULL, NULL));
  g_clear_object (&fixture->pool);
}

static gboolean
skipped (Fixture *fixture)
{
  if (fixture->connection != NULL)
    return FALSE;
  g_test_skip ("DBPOOL_TEST_POSTGRES_URI is not set");
  return TRUE;
}

/* A table of its own for each value: a statement's types are inferred once for each text. */
static char *
make_table (Fixture *fixture, const char *type)
{
  static guint n_tables = 0;
  char *name = g_strdup_printf ("values_%u", ++n_tables);
  g_autofree char *sql = g_strdup_printf ("CREATE TEMPORARY TABLE %s (v %s)", name, type);
  g_autoptr (GError) error = NULL;

  db_connection_execute (fixture->connection, sql, NULL, NULL, &error);
  g_assert_no_error (error);
  return name;
}

/* Inserts @params, or @variant, and reads it again. */
static GVariant *
there_and_back (Fixture *fixture, const char *type, DbParams *params, GVariant *variant)
{
  g_autofree char *table = make_table (fixture, type);
  g_autofree char *insert = g_strdup_printf ("INSERT INTO %s VALUES ($1)", table);
  g_autofree char *select = g_strdup_printf ("SELECT v FROM %s", table);
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;

  if (params != NULL)
    db_connection_execute_params (fixture->connection, insert, params, NULL, &error);
  else
    db_connection_execute (fixture->connection, insert, variant, NULL, &error);
  g_assert_no_error (error);
  result = db_connection_query (fixture->connection, select, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  return db_result_dup_variant (result, 0, 0);
}

static void
test_variants (Fixture *fixture, gconstpointer data)
{
  /* Each comes back as it went in; @postgres: only there. */
  static const struct
  {
    const char *type;
    const char *value;
    gboolean postgres;
  } cases[] = {
    {"bigint", "int64 9223372036854775807", FALSE},
    {"bigint", "int64 -9223372036854775808", FALSE},
    {"bigint", "int64 9007199254740993", FALSE},
    {"double precision", "1e308", FALSE},
    {"double precision", "2.2250738585072014e-308", FALSE},
    {"double precision", "0.1", FALSE},
    {"double precision", "-0.0", TRUE},
    {"text", "''", FALSE},
    {"text", "'NULL'", FALSE},
    {"text", "'grüße 🐘 \\'\"\\\\%$1?{}'", FALSE},
    {"boolean", "true", FALSE},
    {"boolean", "false", FALSE},
    {"date", "'2024-02-29'", FALSE},
    {"timestamp", "'9999-12-31 23:59:59.999999'", FALSE},
    {"uuid", "'12345678-1234-5678-1234-567812345678'", FALSE},
    {"numeric", "'12345678901234567890.50'", TRUE},
    {"bigint[]", "@amx [1, nothing, -9223372036854775808]", TRUE},
    {"bigint[]", "@amx []", TRUE},
    {"bigint[]", "[[@mx 1, 2], [3, nothing]]", TRUE},
    {"boolean[]", "@amb [true, false, nothing]", TRUE},
    {"double precision[]", "@amd [0.1, -0.0, 1e308, nothing]", TRUE},
    {"text[]", "@ams ['', 'NULL', nothing, 'a \"b\"', '\\\\', '{,}', ' ']", TRUE},
    {"bytea[]", "@amay [[0x00, 0xff], [], nothing]", TRUE},
    {"numeric[]", "@ams ['1.10', nothing]", TRUE},
  };

  if (skipped (fixture))
    return;
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GVariant) value = NULL;
      g_autoptr (GVariant) back = NULL;

      if (cases[i].postgres && !fixture->postgres)
        continue;
      g_test_message ("%s: %s", cases[i].type, cases[i].value);
      value = g_variant_ref_sink (g_variant_new_parsed (cases[i].value));
      back = there_and_back (fixture, cases[i].type, NULL, g_variant_new_tuple (&value, 1));
      g_assert_nonnull (back);
      g_assert_cmpvariant (back, value);
    }
}

/* The smallest number there is, which GVariant's parser refuses. */
static void
test_denormal (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GVariant) back = NULL;

  if (skipped (fixture))
    return;
  back = there_and_back (fixture, "double precision", NULL, g_variant_new ("(d)", 5e-324));
  g_assert_cmpfloat (g_variant_get_double (back), ==, 5e-324);
  g_assert_cmpfloat (g_variant_get_double (back), >, 0.0);
}

static void
test_nulls (Fixture *fixture, gconstpointer data)
{
  static const char *const types[] = {"bigint", "text", "date", "boolean"};

  if (skipped (fixture))
    return;
  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autoptr (DbParams) params = db_params_new ();

      db_params_add_null (params);
      g_assert_null (there_and_back (fixture, types[i], params, NULL));
      g_assert_null (there_and_back (fixture, types[i], NULL, g_variant_new ("(ms)", NULL)));
    }
}

static void
test_bytes (Fixture *fixture, gconstpointer data)
{
  guint8 all[256];
  gsize sizes[] = {0, 1, 256};

  if (skipped (fixture))
    return;
  for (gsize i = 0; i < sizeof all; i++)
    all[i] = (guint8) i;
  for (gsize i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr (GBytes) bytes = g_bytes_new (all, sizes[i]);
      g_autoptr (DbParams) params = db_params_new ();
      g_autoptr (GVariant) back = NULL;
      gconstpointer data_back;
      gsize size;

      db_params_add_bytes (params, bytes);
      back = there_and_back (fixture, fixture->postgres ? "bytea" : "blob", params, NULL);
      data_back = g_variant_get_fixed_array (back, &size, 1);
      g_assert_cmpmem (data_back, size, all, sizes[i]);
    }
}

static void
assert_text (Fixture *fixture, const char *type, DbParams *params, const char *text)
{
  g_autoptr (GVariant) back = there_and_back (fixture, type, params, NULL);

  g_assert_true (g_variant_is_of_type (back, G_VARIANT_TYPE_STRING));
  g_assert_cmpstr (g_variant_get_string (back, NULL), ==, text);
}

static void
test_params (Fixture *fixture, gconstpointer data)
{
  g_autofree char *long_text = g_strnfill (1 << 20, 'x');
  g_autoptr (DbParams) datetime = db_params_new ();
  g_autoptr (DbParams) decimal = db_params_new ();
  g_autoptr (DbParams) uuid = db_params_new ();
  g_autoptr (DbParams) json = db_params_new ();
  g_autoptr (DbParams) text = db_params_new ();
  g_autoptr (GDateTime) point = g_date_time_new_utc (2024, 2, 29, 1, 2, 3.000004);
  g_autoptr (GError) error = NULL;

  if (skipped (fixture))
    return;
  if (fixture->postgres)
    db_connection_execute (fixture->connection, "SET timezone = 'UTC'", NULL, NULL, &error);
  g_assert_no_error (error);
  db_params_add_datetime (datetime, point);
  assert_text (fixture, "timestamp with time zone", datetime,
               fixture->postgres ? "2024-02-29 01:02:03.000004+00"
                                 : "2024-02-29 01:02:03.000004+00:00");
  db_params_add_decimal (decimal, "-0.10");
  assert_text (fixture, fixture->postgres ? "numeric" : "text", decimal, "-0.10");
  db_params_add_uuid (uuid, "00000000-0000-0000-0000-000000000001");
  assert_text (fixture, "uuid", uuid, "00000000-0000-0000-0000-000000000001");
  db_params_add_json (json, "{\"a\": [1, null]}");
  assert_text (fixture, "json", json, "{\"a\": [1, null]}");
  db_params_add_text (text, long_text);
  assert_text (fixture, "text", text, long_text);
}

static void
test_array_params (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;

  if (skipped (fixture))
    return;
  db_params_open_array (params);
  db_params_add_int64 (params, 7);
  db_params_add_null (params);
  db_params_close_array (params);
  result =
    db_connection_query_params (fixture->connection,
                                fixture->postgres ? "SELECT 7 = ANY ($1::int8[])" : "SELECT $1",
                                params, NULL, &error);
  if (fixture->postgres)
    {
      g_assert_no_error (error);
      g_assert_true (db_result_get_boolean (result, 0, 0));
    }
  else
    {
      g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
    }
}

static void
add (const char *name, void (*test) (Fixture *, gconstpointer))
{
  g_autofree char *sqlite = g_strconcat ("/values/sqlite/", name, NULL);
  g_autofree char *postgres = g_strconcat ("/values/postgres/", name, NULL);

  g_test_add (sqlite, Fixture, GINT_TO_POINTER (FALSE), fixture_set_up, test, fixture_tear_down);
  g_test_add (postgres, Fixture, GINT_TO_POINTER (TRUE), fixture_set_up, test, fixture_tear_down);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  add ("variants", test_variants);
  add ("denormal", test_denormal);
  add ("nulls", test_nulls);
  add ("bytes", test_bytes);
  add ("params", test_params);
  add ("array-params", test_array_params);

  return g_test_run ();
}
