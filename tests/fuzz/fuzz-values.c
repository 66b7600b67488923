/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Values: parameters of any type come back from SQLite as they went in, GVariants of any type
 * become parameters or an error, arrays are read as they were written, and what was quoted is one
 * literal or one name, whatever is in it. */

#include "config.h"

#include <math.h>

#include "db-array-private.h"
#include "db-error.h"
#include "db-params-private.h"
#include "db-session.h"
#include "db-sqlite-manager.h"
#include "dbpool.h"
#include "fuzz.h"
#ifdef HAVE_POSTGRES
#include "db-postgres-session-private.h"
#endif

#define MAX_VALUES 20

/* Of a database in memory, made once: nothing is written to it. */
static DbConnection *
get_connection (void)
{
  static DbConnection *connection;

  if (connection == NULL)
    {
      g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (":memory:");
      g_autoptr (DbPool) pool = db_pool_new (DB_CONNECTION_MANAGER (manager), NULL, NULL);

      connection = db_pool_acquire (pool, NULL, NULL);
    }
  return connection;
}

/* Valid UTF-8 without a zero. */
static char *
take_text (FuzzInput *input)
{
  gsize size;
  g_autofree char *bytes = fuzz_take_bytes (input, fuzz_take_byte (input), &size);

  return g_utf8_make_valid (bytes, -1);
}

static void
add_value (DbParams *params, FuzzInput *input)
{
  static const DbValueType texts[] = {
    DB_VALUE_TYPE_TEXT,      DB_VALUE_TYPE_DECIMAL,      DB_VALUE_TYPE_DATE, DB_VALUE_TYPE_TIME,
    DB_VALUE_TYPE_TIMESTAMP, DB_VALUE_TYPE_TIMESTAMP_TZ, DB_VALUE_TYPE_UUID, DB_VALUE_TYPE_JSON,
  };
  guint8 what = fuzz_take_byte (input);
  g_autoptr (GBytes) bytes = NULL;
  g_autofree char *text = NULL;
  guint64 number;
  double real;
  gsize size;

  switch (what % 6)
    {
    case 0:
      db_params_add_null (params);
      break;
    case 1:
      db_params_add_boolean (params, what > 127);
      break;
    case 2:
      db_params_add_int64 (params, (gint64) fuzz_take_number (input));
      break;
    case 3:
      number = fuzz_take_number (input);
      memcpy (&real, &number, sizeof real);
      db_params_add_double (params, real);
      break;
    case 4:
      text = fuzz_take_bytes (input, fuzz_take_byte (input) * 8, &size);
      bytes = g_bytes_new (text, size);
      db_params_add_bytes (params, bytes);
      break;
    default:
      text = take_text (input);
      db_params_add_typed_text (params, texts[what / 6 % G_N_ELEMENTS (texts)], text);
    }
}

static void
check_cell (DbResult *result, guint column, const DbValue *value)
{
  g_autoptr (GBytes) bytes = NULL;
  gconstpointer data;
  gsize size;

  if (value->type == DB_VALUE_TYPE_NULL)
    {
      g_assert_true (db_result_is_null (result, 0, column));
      return;
    }
  g_assert_false (db_result_is_null (result, 0, column));
  switch (value->type)
    {
    case DB_VALUE_TYPE_BOOLEAN:
    case DB_VALUE_TYPE_INT64:
      g_assert_cmpint (db_result_get_int64 (result, 0, column), ==, value->integer);
      break;
    case DB_VALUE_TYPE_DOUBLE:
      g_assert_true (db_result_get_double (result, 0, column) == value->real);
      break;
    case DB_VALUE_TYPE_BYTES:
      bytes = db_result_get_bytes (result, 0, column);
      data = g_bytes_get_data (bytes, &size);
      g_assert_cmpmem (data, size, value->text, value->size);
      break;
    case DB_VALUE_TYPE_NULL:
    case DB_VALUE_TYPE_TEXT:
    case DB_VALUE_TYPE_DECIMAL:
    case DB_VALUE_TYPE_DATE:
    case DB_VALUE_TYPE_TIME:
    case DB_VALUE_TYPE_TIMESTAMP:
    case DB_VALUE_TYPE_TIMESTAMP_TZ:
    case DB_VALUE_TYPE_UUID:
    case DB_VALUE_TYPE_JSON:
    case DB_VALUE_TYPE_ARRAY:
    case DB_VALUE_TYPE_MIXED:
    default:
      g_assert_cmpstr (db_result_get_text (result, 0, column), ==, value->text);
    }
}

/* Whether SQLite can take them. */
static gboolean
are_bindable (const DbValue *values, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      if (values[i].type == DB_VALUE_TYPE_ARRAY ||
          (values[i].type == DB_VALUE_TYPE_DOUBLE && isnan (values[i].real)))
        return FALSE;
      /* GVariants have no zeros in a text, and nothing else makes one */
      if (db_value_type_is_text (values[i].type))
        g_assert_cmpuint (strlen (values[i].text), ==, values[i].size);
    }
  return TRUE;
}

static void
check_round_trip (DbParams *params)
{
  g_autoptr (GString) sql = g_string_new ("SELECT ");
  g_autoptr (DbParams) copy = db_params_copy (params);
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;
  const DbValue *values;
  guint n;

  values = db_params_get_values (params, 0, &n);
  if (n == 0 || n > MAX_VALUES)
    return;
  for (guint i = 1; i <= n; i++)
    g_string_append_printf (sql, "%s$%u", i > 1 ? ", " : "", i);
  result = db_connection_query_params (get_connection (), sql->str, copy, NULL, &error);
  if (!are_bindable (values, n))
    {
      g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
      return;
    }
  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_columns (result), ==, n);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  for (guint i = 0; i < n; i++)
    check_cell (result, i, &values[i]);
}

static void
check_params (FuzzInput *input)
{
  g_autoptr (DbParams) params = db_params_new ();

  for (guint i = 0; i < MAX_VALUES && input->left > 0; i++)
    add_value (params, input);
  check_round_trip (params);
}

static void
check_variant (FuzzInput *input)
{
  gsize size;
  g_autofree char *type = fuzz_take_bytes (input, fuzz_take_byte (input) % 32, &size);
  g_autofree char *tuple = g_strconcat ("(", type, ")", NULL);
  g_autofree char *data = NULL;
  g_autoptr (GVariant) variant = NULL;
  g_autoptr (DbParams) params = NULL;
  g_autoptr (GError) error = NULL;

  if (!g_variant_type_string_is_valid (tuple) ||
      !g_variant_type_is_definite (G_VARIANT_TYPE (tuple)))
    return;
  data = fuzz_take_bytes (input, input->left, &size);
  variant = g_variant_ref_sink (
    g_variant_new_from_data (G_VARIANT_TYPE (tuple), data, size, FALSE, NULL, NULL));
  params = db_params_new_from_variant (variant, &error);
  if (params == NULL)
    {
      fuzz_check_error (error);
      g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
      return;
    }
  g_assert_cmpuint (db_params_get_n_values (params, 0), ==, g_variant_n_children (variant));
  check_round_trip (params);
}

/* A flat array of texts, bytes or whole numbers. */
static void
check_array (FuzzInput *input)
{
  static const char *const types[] = {"mx", "ms", "may"};
  static const DbValueType elements[] = {DB_VALUE_TYPE_INT64, DB_VALUE_TYPE_TEXT,
                                         DB_VALUE_TYPE_BYTES};
  guint what = fuzz_take_byte (input) % G_N_ELEMENTS (types);
  g_autofree char *type = g_strconcat ("a", types[what], NULL);
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (GVariant) written = NULL;
  g_autoptr (GVariant) read = NULL;
  GVariantBuilder builder;
  guint n;

  g_variant_builder_init (&builder, G_VARIANT_TYPE (type));
  db_params_open_array (params);
  while (input->left > 0)
    {
      g_autofree char *text = take_text (input);
      g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));

      if (text[0] == 'N')
        db_params_add_null (params);
      else if (what == 0)
        db_params_add_int64 (params, text[0] * G_GINT64_CONSTANT (12345678901));
      else if (what == 1)
        db_params_add_text (params, text);
      else
        db_params_add_bytes (params, bytes);
      if (text[0] == 'N')
        g_variant_builder_add (&builder, types[what], NULL);
      else if (what == 0)
        g_variant_builder_add (&builder, types[what], TRUE,
                               text[0] * G_GINT64_CONSTANT (12345678901));
      else
        g_variant_builder_add_value (
          &builder,
          g_variant_new_maybe (NULL, what == 1
                                       ? g_variant_new_string (text)
                                       : g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes,
                                                                   TRUE)));
    }
  db_params_close_array (params);
  written = g_variant_ref_sink (g_variant_builder_end (&builder));
  read = db_array_parse (db_params_get_values (params, 0, &n)->text, elements[what]);
  g_assert_nonnull (read);
  g_assert_true (g_variant_equal (written, read));
}

/* What a database may send. */
static void
check_array_text (FuzzInput *input)
{
  DbValueType element = fuzz_take_byte (input) % (DB_VALUE_TYPE_MIXED + 1);
  g_autofree char *text = fuzz_take_rest (input);
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  g_autoptr (GVariant) array = db_array_parse (valid, element);

  g_assert_true (array == NULL || g_variant_is_normal_form (array));
}

#ifdef HAVE_POSTGRES
/* Whether standard_conforming_strings are on or off, which is the server's to decide. */
static void
check_postgres_literal (const char *text)
{
  g_autoptr (DbSessionClass) klass = g_type_class_ref (DB_TYPE_POSTGRES_SESSION);
  g_autofree char *literal = klass->quote_literal (NULL, text);
  g_autoptr (GString) inside = g_string_new (NULL);
  gboolean escapes = g_str_has_prefix (literal, " E'");
  const char *at = literal + (escapes ? 3 : 1);

  g_assert_true (escapes || literal[0] == '\'');
  for (; at[1] != '\0'; at++)
    {
      if (*at == '\'')
        g_assert_cmpint (*++at, ==, '\'');
      else if (*at == '\\')
        g_assert_true (escapes && *++at == '\\');
      g_string_append_c (inside, *at);
    }
  g_assert_cmpint (*at, ==, '\'');
  g_assert_cmpstr (inside->str, ==, text);
}
#endif

static void
check_quoting (FuzzInput *input)
{
  DbConnection *connection = get_connection ();
  g_autofree char *raw = fuzz_take_rest (input);
  g_autofree char *text = g_utf8_make_valid (raw, -1);
  g_autofree char *literal = db_connection_quote_literal (connection, text);
  g_autofree char *name = db_connection_quote_identifier (connection, text);
  g_autofree char *sql = NULL;
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true ((name == NULL) == (text[0] == '\0'));
  sql = g_strconcat ("SELECT ", literal, " AS ", name != NULL ? name : "a", NULL);
  result = db_connection_query (connection, sql, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_columns (result), ==, 1);
  g_assert_cmpstr (db_result_get_text (result, 0, 0), ==, text);
  g_assert_cmpstr (db_result_get_column_name (result, 0), ==, name != NULL ? text : "a");
#ifdef HAVE_POSTGRES
  check_postgres_literal (text);
#endif
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  FuzzInput input = {data, size};

  switch (fuzz_take_byte (&input) % 5)
    {
    case 0:
      check_params (&input);
      break;
    case 1:
      check_variant (&input);
      break;
    case 2:
      check_array (&input);
      break;
    case 3:
      check_array_text (&input);
      break;
    default:
      check_quoting (&input);
    }
  return 0;
}
