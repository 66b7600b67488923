/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Results: building, types of columns and cells, conversions, whole columns, the list model and its
 * rows, and reading from several threads at once. */

#include "db-result-private.h"

#include <math.h>
#include <string.h>

static void
test_nothing (void)
{
  g_autoptr (DbResult) result = db_result_builder_finish (db_result_builder_new (0), 7, 42);
  g_autoptr (DbResult) made = g_object_new (DB_TYPE_RESULT, NULL);

  g_assert_cmpuint (db_result_get_n_rows (result), ==, 0);
  g_assert_cmpuint (db_result_get_n_columns (result), ==, 0);
  g_assert_cmpint (db_result_get_rows_affected (result), ==, 7);
  g_assert_cmpint (db_result_get_last_insert_id (result), ==, 42);
  g_assert_cmpint (db_result_find_column (result, "id"), ==, -1);
  g_assert_null (g_list_model_get_item (G_LIST_MODEL (result), 0));
  g_assert_cmpint (db_result_get_rows_affected (made), ==, -1);
  g_assert_cmpint (db_result_get_last_insert_id (made), ==, -1);
}

static void
test_no_rows (void)
{
  DbResultBuilder *builder = db_result_builder_new (2);
  g_autoptr (DbResult) result = NULL;
  g_autofree gint64 *integers = NULL;
  g_autofree double *doubles = NULL;
  g_autofree const char **texts = NULL;
  g_autofree guint *nulls = NULL;
  gsize n = 99;

  db_result_builder_set_column (builder, 0, "id", DB_VALUE_TYPE_INT64);
  db_result_builder_set_column (builder, 1, NULL, DB_VALUE_TYPE_NULL);
  result = db_result_builder_finish (builder, -1, -1);

  g_assert_cmpuint (db_result_get_n_columns (result), ==, 2);
  g_assert_cmpuint (g_list_model_get_n_items (G_LIST_MODEL (result)), ==, 0);
  g_assert_cmpstr (db_result_get_column_name (result, 0), ==, "id");
  g_assert_cmpstr (db_result_get_column_name (result, 1), ==, "");
  g_assert_cmpint (db_result_get_column_type (result, 0), ==, DB_VALUE_TYPE_INT64);
  g_assert_cmpint (db_result_get_column_type (result, 1), ==, DB_VALUE_TYPE_NULL);
  integers = db_result_get_column_int64s (result, 0, &n);
  g_assert_nonnull (integers);
  g_assert_cmpuint (n, ==, 0);
  doubles = db_result_get_column_doubles (result, 0, &n);
  g_assert_cmpuint (n, ==, 0);
  texts = db_result_get_column_texts (result, 0);
  g_assert_null (texts[0]);
  nulls = db_result_get_column_nulls (result, 0, &n);
  g_assert_cmpuint (n, ==, 0);
}

/* One row with a cell of each kind. */
static DbResult *
make_kinds (void)
{
  DbResultBuilder *builder = db_result_builder_new (8);
  const char *names[] = {"n", "b", "i", "d", "t", "raw", "m", "i"};

  for (guint i = 0; i < 8; i++)
    db_result_builder_set_column (builder, i, names[i], DB_VALUE_TYPE_NULL);
  db_result_builder_add_null (builder);
  db_result_builder_add_boolean (builder, TRUE);
  db_result_builder_add_int64 (builder, G_MAXINT64);
  db_result_builder_add_double (builder, 0.1);
  db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, "grüße", strlen ("grüße"));
  db_result_builder_add_bytes (builder, "\0\xff", 2);
  db_result_builder_add_text (builder, DB_VALUE_TYPE_DECIMAL, "9007199254740993.50", 19);
  db_result_builder_add_text (builder, DB_VALUE_TYPE_TIMESTAMP, "2026-01-02 03:04:05", 19);
  return db_result_builder_finish (builder, -1, -1);
}

static void
test_types (void)
{
  g_autoptr (DbResult) result = make_kinds ();
  g_autofree const char **names = db_result_get_column_names (result);
  const DbValueType types[] = {DB_VALUE_TYPE_NULL,    DB_VALUE_TYPE_BOOLEAN,  DB_VALUE_TYPE_INT64,
                               DB_VALUE_TYPE_DOUBLE,  DB_VALUE_TYPE_TEXT,     DB_VALUE_TYPE_BYTES,
                               DB_VALUE_TYPE_DECIMAL, DB_VALUE_TYPE_TIMESTAMP};

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_assert_cmpint (db_result_get_column_type (result, i), ==, types[i]);
      g_assert_cmpint (db_result_get_cell_type (result, 0, i), ==, types[i]);
      g_assert_cmpint (db_result_is_null (result, 0, i), ==, i == 0);
    }
  g_assert_cmpstr (names[5], ==, "raw");
  g_assert_null (names[8]);
  g_assert_cmpint (db_result_find_column (result, "raw"), ==, 5);
  g_assert_cmpint (db_result_find_column (result, "i"), ==, 2);
  g_assert_cmpint (db_result_find_column (result, "I"), ==, -1);
}

static void
test_conversions (void)
{
  g_autoptr (DbResult) result = make_kinds ();
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GBytes) digits = NULL;
  gsize size;

  g_assert_null (db_result_get_text (result, 0, 0));
  g_assert_null (db_result_get_bytes (result, 0, 0));
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 0);
  g_assert_cmpfloat (db_result_get_double (result, 0, 0), ==, 0.0);
  g_assert_false (db_result_get_boolean (result, 0, 0));

  g_assert_cmpstr (db_result_get_text (result, 0, 1), ==, "true");
  g_assert_cmpint (db_result_get_int64 (result, 0, 1), ==, 1);
  g_assert_true (db_result_get_boolean (result, 0, 1));

  g_assert_cmpstr (db_result_get_text (result, 0, 2), ==, "9223372036854775807");
  g_assert_true (db_result_get_text (result, 0, 2) == db_result_get_text (result, 0, 2));
  g_assert_cmpint (db_result_get_int64 (result, 0, 2), ==, G_MAXINT64);
  g_assert_cmpfloat (db_result_get_double (result, 0, 2), ==, 9223372036854775808.0);

  g_assert_cmpstr (db_result_get_text (result, 0, 3), ==, "0.1");
  g_assert_cmpint (db_result_get_int64 (result, 0, 3), ==, 0);
  g_assert_true (db_result_get_boolean (result, 0, 3));

  g_assert_cmpstr (db_result_get_text (result, 0, 4), ==, "grüße");
  g_assert_cmpint (db_result_get_int64 (result, 0, 4), ==, 0);
  g_assert_false (db_result_get_boolean (result, 0, 4));

  g_assert_cmpstr (db_result_get_text (result, 0, 5), ==, "\\x00ff");
  g_assert_cmpint (db_result_get_int64 (result, 0, 5), ==, 0);
  g_assert_cmpfloat (db_result_get_double (result, 0, 5), ==, 0.0);

  /* Beyond 53 bits, and exact all the same. */
  g_assert_cmpint (db_result_get_int64 (result, 0, 6), ==, G_GINT64_CONSTANT (9007199254740993));
  g_assert_cmpfloat (db_result_get_double (result, 0, 6), ==, 9007199254740994.0);
  g_assert_cmpstr (db_result_get_text (result, 0, 6), ==, "9007199254740993.50");

  /* The bytes outlive everybody else. */
  bytes = db_result_get_bytes (result, 0, 5);
  digits = db_result_get_bytes (result, 0, 2);
  g_clear_object (&result);
  g_assert_cmpmem (g_bytes_get_data (bytes, &size), 2, "\0\xff", 2);
  g_assert_cmpuint (size, ==, 2);
  g_assert_cmpuint (g_bytes_get_size (digits), ==, 19);
}

static void
assert_variant (DbResult *result, guint row, guint column, const char *text)
{
  g_autoptr (GVariant) value = db_result_dup_variant (result, row, column);
  g_autoptr (GVariant) expected = g_variant_ref_sink (g_variant_new_parsed (text));

  g_assert_nonnull (value);
  g_assert_false (g_variant_is_floating (value));
  g_assert_cmpvariant (value, expected);
}

static void
test_variants (void)
{
  g_autoptr (DbResult) result = make_kinds ();
  g_autoptr (DbRow) row = g_list_model_get_item (G_LIST_MODEL (result), 0);
  g_autoptr (GVariant) value = db_row_dup_variant (row, 4);

  g_assert_null (db_result_dup_variant (result, 0, 0));
  assert_variant (result, 0, 1, "true");
  assert_variant (result, 0, 2, "int64 9223372036854775807");
  assert_variant (result, 0, 3, "0.1");
  assert_variant (result, 0, 4, "'grüße'");
  assert_variant (result, 0, 5, "[byte 0x00, 0xff]");
  assert_variant (result, 0, 6, "'9007199254740993.50'");
  assert_variant (result, 0, 7, "'2026-01-02 03:04:05'");
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "grüße");
}

static DbResult *
make_arrays (void)
{
  DbResultBuilder *builder = db_result_builder_new (2);

  db_result_builder_set_column (builder, 0, "a", DB_VALUE_TYPE_ARRAY);
  db_result_builder_set_element_type (builder, 0, DB_VALUE_TYPE_INT64);
  db_result_builder_set_column (builder, 1, "i", DB_VALUE_TYPE_INT64);
  db_result_builder_add_text (builder, DB_VALUE_TYPE_ARRAY, "{{1,NULL}}", 10);
  db_result_builder_add_int64 (builder, 1);
  db_result_builder_add_text (builder, DB_VALUE_TYPE_ARRAY, "{1,x}", 5);
  db_result_builder_add_null (builder);
  db_result_builder_add_null (builder);
  db_result_builder_add_int64 (builder, 3);
  return db_result_builder_finish (builder, -1, -1);
}

static void
test_arrays (void)
{
  g_autoptr (DbResult) whole = make_arrays ();
  g_autoptr (DbResult) part = db_result_slice (whole, 0, 2);
  DbResult *results[] = {whole, part};

  for (guint i = 0; i < 2; i++)
    {
      DbResult *result = results[i];

      g_assert_cmpint (db_result_get_column_type (result, 0), ==, DB_VALUE_TYPE_ARRAY);
      g_assert_cmpint (db_result_get_column_element_type (result, 0), ==, DB_VALUE_TYPE_INT64);
      g_assert_cmpint (db_result_get_column_element_type (result, 1), ==, DB_VALUE_TYPE_NULL);
      assert_variant (result, 0, 0, "[[@mx 1, nothing]]");
      assert_variant (result, 1, 0, "'{1,x}'");
      g_assert_cmpstr (db_result_get_text (result, 0, 0), ==, "{{1,NULL}}");
    }
  g_assert_null (db_result_dup_variant (whole, 2, 0));
}

static void
test_column_data (void)
{
  g_autoptr (DbResult) result = make_arrays ();
  g_autoptr (DbResult) kinds = make_kinds ();
  g_autoptr (GBytes) integers = db_result_get_column_data (result, 1);
  g_autoptr (GBytes) doubles = db_result_get_column_data (kinds, 3);
  g_autoptr (GBytes) booleans = db_result_get_column_data (kinds, 1);
  const gint64 expected[] = {1, 0, 3};
  const double real = 0.1;
  const gint64 yes = 1;

  g_assert_null (db_result_get_column_data (result, 0));
  g_assert_null (db_result_get_column_data (kinds, 0));
  g_assert_null (db_result_get_column_data (kinds, 4));
  g_clear_object (&result);
  g_clear_object (&kinds);
  g_assert_cmpmem (g_bytes_get_data (integers, NULL), g_bytes_get_size (integers), expected,
                   sizeof expected);
  g_assert_cmpmem (g_bytes_get_data (doubles, NULL), g_bytes_get_size (doubles), &real,
                   sizeof real);
  g_assert_cmpmem (g_bytes_get_data (booleans, NULL), g_bytes_get_size (booleans), &yes,
                   sizeof yes);
}

/* Results share what is said of their columns, and keep it. */
static void
test_shared (void)
{
  DbResultShape *shape = db_result_shape_new (2);
  DbResultBuilder *builder;
  g_autoptr (DbResult) first = NULL;
  g_autoptr (DbResult) second = NULL;

  db_result_shape_set_column (shape, 0, "bad\xff", DB_VALUE_TYPE_ARRAY, DB_VALUE_TYPE_TEXT);
  db_result_shape_set_column (shape, 1, NULL, DB_VALUE_TYPE_NULL, DB_VALUE_TYPE_NULL);
  db_result_shape_set_column (shape, 1, "b", DB_VALUE_TYPE_DATE, DB_VALUE_TYPE_NULL);
  g_assert_cmpuint (db_result_shape_get_n_columns (shape), ==, 2);
  first = db_result_builder_finish (db_result_builder_new_shared (shape), -1, -1);
  builder = db_result_builder_new_shared (shape);
  for (guint cell = 0; cell < 200; cell++)
    db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, "cell", 4);
  second = db_result_builder_finish (builder, -1, -1);
  db_result_shape_retire (shape);

  g_assert_cmpint (db_result_get_column_type (first, 1), ==, DB_VALUE_TYPE_DATE);
  g_assert_cmpint (db_result_get_column_element_type (first, 0), ==, DB_VALUE_TYPE_TEXT);
  g_assert_true (g_utf8_validate (db_result_get_column_name (first, 0), -1, NULL));
  g_assert_true (db_result_get_column_name (first, 1) == db_result_get_column_name (second, 1));
  g_clear_object (&first);
  g_assert_cmpstr (db_result_get_column_name (second, 1), ==, "b");
  g_assert_cmpuint (db_result_get_n_rows (second), ==, 100);
  g_assert_cmpstr (db_result_get_text (second, 99, 1), ==, "cell");
}

static DbResult *
make_small (DbResultShape *shape, gint64 value)
{
  DbResultBuilder *builder = db_result_builder_new_shared (shape);

  db_result_builder_add_int64 (builder, value);
  db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, "text", 4);
  return db_result_builder_finish (builder, -1, -1);
}

/* A small result that is nobody's is the next one; one that anybody could still see is not. */
static void
test_spare (void)
{
  DbResultShape *shape = db_result_shape_new (2);
  DbResult *first = make_small (shape, 1);
  g_autoptr (DbResult) second = NULL;
  g_autoptr (DbResult) third = NULL;
  g_autoptr (DbRow) row = NULL;
  gpointer weak = NULL;

  second = make_small (shape, 2);
  g_assert_true (first != second);
  g_assert_cmpint (db_result_get_int64 (first, 0, 0), ==, 1);
  g_object_unref (first);

  /* Who has a row has the result. */
  row = g_list_model_get_item (G_LIST_MODEL (second), 0);
  g_clear_object (&second);
  third = make_small (shape, 3);
  g_assert_cmpint (db_row_get_int64 (row, 0), ==, 2);
  g_clear_object (&row);

  g_object_add_weak_pointer (G_OBJECT (third), &weak);
  g_clear_object (&third);
  second = make_small (shape, 4);
  g_assert_null (weak);
  g_assert_cmpint (db_result_get_int64 (second, 0, 0), ==, 4);
  g_assert_cmpstr (db_result_get_text (second, 0, 1), ==, "text");

  db_result_shape_retire (shape);
  g_assert_cmpstr (db_result_get_column_name (second, 0), ==, "");
  g_assert_finalize_object (g_steal_pointer (&second));
}

static void
test_text_to_number (void)
{
  static const struct
  {
    const char *text;
    gint64 integer;
    double real;
    gboolean boolean;
  } cases[] = {
    {"12", 12, 12.0, FALSE},      {"-12.75", -12, -12.75, FALSE},
    {"1e3", 1000, 1000.0, FALSE}, {"1", 1, 1.0, TRUE},
    {"TRUE", 0, 0.0, TRUE},       {"12 apples", 0, 0.0, FALSE},
    {"", 0, 0.0, FALSE},          {"9223372036854775808", 0, 9223372036854775808.0, FALSE},
    {"1e300", 0, 1e300, FALSE},   {"12.", 12, 12.0, FALSE},
    {"1.2.3", 0, 0.0, FALSE},
  };
  DbResultBuilder *builder = db_result_builder_new (1);
  g_autoptr (DbResult) result = NULL;

  db_result_builder_set_column (builder, 0, "t", DB_VALUE_TYPE_TEXT);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, cases[i].text, strlen (cases[i].text));
  result = db_result_builder_finish (builder, -1, -1);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_assert_cmpint (db_result_get_int64 (result, i, 0), ==, cases[i].integer);
      g_assert_cmpfloat (db_result_get_double (result, i, 0), ==, cases[i].real);
      g_assert_cmpint (db_result_get_boolean (result, i, 0), ==, cases[i].boolean);
    }
}

static void
test_double_text (void)
{
  static const struct
  {
    double value;
    const char *text;
    gint64 integer;
  } cases[] = {
    {1.0, "1", 1},
    {-0.0, "-0", 0},
    {1.0 / 3.0, "0.3333333333333333", 0},
    {5e-324, "4.94065645841247e-324", 0},
    {0.1 + 0.2, "0.30000000000000004", 0},
    {1e100, "1e+100", 0},
    {-2.9, "-2.9", -2},
    {9223372036854775808.0, "9.22337203685478e+18", 0},
    {-9223372036854775808.0, "-9.22337203685478e+18", G_MININT64},
    {INFINITY, "Infinity", 0},
    {-INFINITY, "-Infinity", 0},
    {NAN, "NaN", 0},
  };
  DbResultBuilder *builder = db_result_builder_new (1);
  g_autoptr (DbResult) result = NULL;

  db_result_builder_set_column (builder, 0, "d", DB_VALUE_TYPE_DOUBLE);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    db_result_builder_add_double (builder, cases[i].value);
  result = db_result_builder_finish (builder, -1, -1);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const char *text = db_result_get_text (result, i, 0);

      if (fabs (cases[i].value) < 9e18)
        g_assert_cmpstr (text, ==, cases[i].text);
      if (isfinite (cases[i].value))
        g_assert_cmpfloat (g_ascii_strtod (text, NULL), ==, cases[i].value);
      else
        g_assert_cmpstr (text, ==, cases[i].text);
      g_assert_cmpint (db_result_get_int64 (result, i, 0), ==, cases[i].integer);
    }
}

static void
test_invalid_text (void)
{
  DbResultBuilder *builder = db_result_builder_new (2);
  g_autoptr (DbResult) result = NULL;
  const char *const good = "plain ASCII that is longer than a word";
  g_autoptr (GBytes) bytes = NULL;

  db_result_builder_set_column (builder, 0, "bad\xff", DB_VALUE_TYPE_TEXT);
  db_result_builder_set_column (builder, 1, "mixed", DB_VALUE_TYPE_TEXT);
  db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, "nul\0 inside the text", 20);
  db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, good, strlen (good));
  db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, "0123456789abcdef\xc3(", 18);
  db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, "0123456\0", 8);
  db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, "\xf0\x9f\x98", 3);
  db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, "0123456ü", 9);
  result = db_result_builder_finish (builder, -1, -1);

  g_assert_true (g_utf8_validate (db_result_get_column_name (result, 0), -1, NULL));
  g_assert_cmpint (db_result_get_column_type (result, 0), ==, DB_VALUE_TYPE_BYTES);
  g_assert_cmpint (db_result_get_column_type (result, 1), ==, DB_VALUE_TYPE_MIXED);
  g_assert_cmpint (db_result_get_cell_type (result, 0, 1), ==, DB_VALUE_TYPE_TEXT);
  g_assert_cmpint (db_result_get_cell_type (result, 1, 1), ==, DB_VALUE_TYPE_BYTES);
  g_assert_cmpint (db_result_get_cell_type (result, 2, 1), ==, DB_VALUE_TYPE_TEXT);
  g_assert_cmpstr (db_result_get_text (result, 0, 1), ==, good);
  g_assert_cmpstr (db_result_get_text (result, 2, 0), ==, "\\xf09f98");
  bytes = db_result_get_bytes (result, 0, 0);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes),
                   "nul\0 inside the text", 20);
}

/* SQLite: every row of the column another type, over enough rows for the storage to grow. */
static void
test_mixed (void)
{
  const guint n_rows = 1000;
  DbResultBuilder *builder = db_result_builder_new (1);
  g_autoptr (DbResult) result = NULL;
  g_autofree gint64 *integers = NULL;
  g_autofree const char **texts = NULL;
  g_autofree guint *nulls = NULL;
  gsize n;

  db_result_builder_set_column (builder, 0, "m", DB_VALUE_TYPE_NULL);
  for (guint i = 0; i < n_rows; i++)
    switch (i % 4)
      {
      case 0:
        db_result_builder_add_int64 (builder, i);
        break;
      case 1:
        db_result_builder_add_null (builder);
        break;
      case 2:
        db_result_builder_add_double (builder, i + 0.5);
        break;
      default:
        db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, "77", 2);
        break;
      }
  result = db_result_builder_finish (builder, -1, -1);

  g_assert_cmpint (db_result_get_column_type (result, 0), ==, DB_VALUE_TYPE_MIXED);
  g_assert_cmpint (db_result_get_cell_type (result, 996, 0), ==, DB_VALUE_TYPE_INT64);
  g_assert_cmpint (db_result_get_cell_type (result, 997, 0), ==, DB_VALUE_TYPE_NULL);
  g_assert_cmpint (db_result_get_cell_type (result, 998, 0), ==, DB_VALUE_TYPE_DOUBLE);
  g_assert_cmpint (db_result_get_cell_type (result, 999, 0), ==, DB_VALUE_TYPE_TEXT);
  integers = db_result_get_column_int64s (result, 0, &n);
  g_assert_cmpuint (n, ==, n_rows);
  g_assert_cmpint (integers[996], ==, 996);
  g_assert_cmpint (integers[997], ==, 0);
  g_assert_cmpint (integers[998], ==, 998);
  g_assert_cmpint (integers[999], ==, 77);
  texts = db_result_get_column_texts (result, 0);
  g_assert_cmpstr (texts[996], ==, "996");
  g_assert_cmpstr (texts[997], ==, "");
  g_assert_cmpstr (texts[998], ==, "998.5");
  g_assert_cmpstr (texts[999], ==, "77");
  g_assert_null (texts[n_rows]);
  nulls = db_result_get_column_nulls (result, 0, &n);
  g_assert_cmpuint (n, ==, n_rows / 4);
  g_assert_cmpuint (nulls[0], ==, 1);
  g_assert_cmpuint (nulls[n - 1], ==, 997);
}

/* A NULL first and last does not make a column mixed. */
static void
test_nulls (void)
{
  DbResultBuilder *builder = db_result_builder_new (2);
  g_autoptr (DbResult) result = NULL;
  g_autofree double *doubles = NULL;
  g_autofree guint *nulls = NULL;
  gsize n;

  db_result_builder_set_column (builder, 0, "d", DB_VALUE_TYPE_NULL);
  db_result_builder_set_column (builder, 1, "all", DB_VALUE_TYPE_DATE);
  for (guint i = 0; i < 5; i++)
    {
      if (i == 0 || i == 4)
        db_result_builder_add_null (builder);
      else
        db_result_builder_add_double (builder, i);
      db_result_builder_add_null (builder);
    }
  result = db_result_builder_finish (builder, -1, -1);

  g_assert_cmpint (db_result_get_column_type (result, 0), ==, DB_VALUE_TYPE_DOUBLE);
  g_assert_cmpint (db_result_get_column_type (result, 1), ==, DB_VALUE_TYPE_DATE);
  doubles = db_result_get_column_doubles (result, 0, &n);
  g_assert_cmpuint (n, ==, 5);
  g_assert_cmpfloat (doubles[0], ==, 0.0);
  g_assert_cmpfloat (doubles[3], ==, 3.0);
  nulls = db_result_get_column_nulls (result, 0, &n);
  g_assert_cmpuint (n, ==, 2);
  g_assert_cmpuint (nulls[0], ==, 0);
  g_assert_cmpuint (nulls[1], ==, 4);
  g_assert_true (db_result_is_null (result, 4, 1));
}

static DbResult *
make_numbers (guint n_rows)
{
  DbResultBuilder *builder = db_result_builder_new (2);

  db_result_builder_set_column (builder, 0, "id", DB_VALUE_TYPE_INT64);
  db_result_builder_set_column (builder, 1, "name", DB_VALUE_TYPE_TEXT);
  for (guint i = 0; i < n_rows; i++)
    {
      g_autofree char *name = g_strdup_printf ("name of %u", i);

      db_result_builder_add_int64 (builder, i);
      db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, name, strlen (name));
    }
  return db_result_builder_finish (builder, -1, -1);
}

static void
test_many_rows (void)
{
  g_autoptr (DbResult) result = make_numbers (100000);
  g_autofree const char **texts = db_result_get_column_texts (result, 1);

  g_assert_cmpuint (db_result_get_n_rows (result), ==, 100000);
  for (guint i = 0; i < 100000; i += 777)
    {
      g_autofree char *name = g_strdup_printf ("name of %u", i);

      g_assert_cmpint (db_result_get_int64 (result, i, 0), ==, i);
      g_assert_cmpstr (texts[i], ==, name);
    }
}

static void
test_large_cells (void)
{
  DbResultBuilder *builder = db_result_builder_new (1);
  g_autoptr (DbResult) result = NULL;
  g_autofree char *text = g_strnfill (300000, 'y');

  db_result_builder_set_column (builder, 0, "t", DB_VALUE_TYPE_TEXT);
  for (guint i = 0; i < 300; i++)
    db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, text, i * 1000);
  result = db_result_builder_finish (builder, -1, -1);
  for (guint i = 0; i < 300; i++)
    g_assert_cmpuint (strlen (db_result_get_text (result, i, 0)), ==, i * 1000);
}

static void
test_list_model (void)
{
  DbResult *result = make_numbers (10);
  GListModel *model = G_LIST_MODEL (result);
  DbRow *row = g_list_model_get_item (model, 5);
  g_autoptr (DbRow) same = g_list_model_get_item (model, 5);
  g_autoptr (DbRow) other = g_list_model_get_item (model, 6);
  g_autoptr (GBytes) bytes = NULL;

  g_assert_cmpuint (g_list_model_get_item_type (model), ==, DB_TYPE_ROW);
  g_assert_cmpuint (g_list_model_get_n_items (model), ==, 10);
  g_assert_null (g_list_model_get_item (model, 10));
  g_assert_true (row == same);
  g_assert_true (row != other);
  g_assert_true (db_row_get_result (row) == result);

  /* A row that died is made again; rows keep their result alive. */
  g_clear_object (&other);
  other = g_list_model_get_item (model, 6);
  g_object_unref (result);
  g_assert_cmpuint (db_row_get_position (other), ==, 6);
  g_assert_cmpint (db_row_get_int64 (row, 0), ==, 5);
  g_assert_cmpfloat (db_row_get_double (row, 0), ==, 5.0);
  g_assert_true (db_row_get_boolean (row, 0));
  g_assert_false (db_row_is_null (row, 0));
  g_assert_cmpstr (db_row_get_text (row, 1), ==, "name of 5");
  bytes = db_row_get_bytes (row, 1);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 9);
  g_object_unref (row);
}

static void
test_out_of_range (void)
{
  g_autoptr (DbResult) result = make_numbers (1);
  g_autoptr (DbRow) stray = g_object_new (DB_TYPE_ROW, NULL);
  gsize n = 99;

  g_test_expect_message ("dbpool", G_LOG_LEVEL_CRITICAL, "*DB_RESULT_HAS_CELL*");
  g_assert_cmpint (db_result_get_int64 (result, 1, 0), ==, 0);
  g_test_assert_expected_messages ();
  g_test_expect_message ("dbpool", G_LOG_LEVEL_CRITICAL, "*DB_RESULT_HAS_CELL*");
  g_assert_null (db_result_get_text (result, 0, 2));
  g_test_assert_expected_messages ();
  g_test_expect_message ("dbpool", G_LOG_LEVEL_CRITICAL, "*DB_RESULT_HAS_COLUMN*");
  g_assert_null (db_result_get_column_int64s (result, G_MAXUINT, &n));
  g_test_assert_expected_messages ();
  g_assert_cmpuint (n, ==, 0);
  g_test_expect_message ("dbpool", G_LOG_LEVEL_CRITICAL, "*DB_RESULT_HAS_CELL*");
  g_assert_null (db_row_get_text (stray, 0));
  g_test_assert_expected_messages ();
}

static void
test_builder_free (void)
{
  DbResultBuilder *builder = db_result_builder_new (2);

  /* As after an error in the middle of a row. */
  for (guint i = 0; i < 99; i++)
    db_result_builder_add_text (builder, DB_VALUE_TYPE_TEXT, "text", 4);
  db_result_builder_free (builder);
}

#define N_SHARED 64

static gpointer
read_in_thread (gpointer data)
{
  DbResult *result = data;

  for (guint round = 0; round < 200; round++)
    for (guint i = 0; i < N_SHARED; i++)
      {
        g_autoptr (DbRow) row = g_list_model_get_item (G_LIST_MODEL (result), i);
        g_autoptr (DbRow) again = g_list_model_get_item (G_LIST_MODEL (result), i);

        g_assert_true (row == again);
        g_assert_cmpuint (db_row_get_position (row), ==, i);
        g_assert_cmpint (g_ascii_strtoll (db_row_get_text (row, 0), NULL, 10), ==, i);
        g_assert_cmpint (db_row_get_int64 (row, 0), ==, i);
      }
  return NULL;
}

static void
count_cb (gpointer count, GObject *result)
{
  ++*(guint *) count;
}

static void
count_closure_cb (gpointer count, GClosure *closure)
{
  ++*(guint *) count;
}

/* What hangs on a result goes with it, though its dispose leaves that to the last unref. */
static void
test_last_reference (void)
{
  DbResult *result = make_numbers (1);
  DbResult *pointer = result;
  guint n_notified = 0;
  guint n_disconnected = 0;
  GWeakRef weak;

  g_weak_ref_init (&weak, result);
  g_object_add_weak_pointer (G_OBJECT (result), (gpointer *) &pointer);
  g_object_weak_ref (G_OBJECT (result), count_cb, &n_notified);
  g_signal_connect_data (result, "items-changed", G_CALLBACK (count_cb), &n_disconnected,
                         count_closure_cb, G_CONNECT_DEFAULT);
  g_object_unref (result);
  g_assert_null (pointer);
  g_assert_null (g_weak_ref_get (&weak));
  g_assert_cmpuint (n_notified, ==, 1);
  g_assert_cmpuint (n_disconnected, ==, 1);
  g_weak_ref_clear (&weak);

  result = make_numbers (1);
  g_object_weak_ref (G_OBJECT (result), count_cb, &n_notified);
  g_object_run_dispose (G_OBJECT (result));
  g_assert_cmpuint (n_notified, ==, 2);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  g_object_unref (result);
  g_assert_cmpuint (n_notified, ==, 2);
}

static void
test_threads (void)
{
  g_autoptr (DbResult) result = make_numbers (N_SHARED);
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("reader", read_in_thread, result);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/result/nothing", test_nothing);
  g_test_add_func ("/result/no-rows", test_no_rows);
  g_test_add_func ("/result/types", test_types);
  g_test_add_func ("/result/conversions", test_conversions);
  g_test_add_func ("/result/variants", test_variants);
  g_test_add_func ("/result/arrays", test_arrays);
  g_test_add_func ("/result/column-data", test_column_data);
  g_test_add_func ("/result/shared", test_shared);
  g_test_add_func ("/result/spare", test_spare);
  g_test_add_func ("/result/text-to-number", test_text_to_number);
  g_test_add_func ("/result/double-text", test_double_text);
  g_test_add_func ("/result/invalid-text", test_invalid_text);
  g_test_add_func ("/result/mixed", test_mixed);
  g_test_add_func ("/result/nulls", test_nulls);
  g_test_add_func ("/result/many-rows", test_many_rows);
  g_test_add_func ("/result/large-cells", test_large_cells);
  g_test_add_func ("/result/list-model", test_list_model);
  g_test_add_func ("/result/out-of-range", test_out_of_range);
  g_test_add_func ("/result/builder-free", test_builder_free);
  g_test_add_func ("/result/last-reference", test_last_reference);
  g_test_add_func ("/result/threads", test_threads);

  return g_test_run ();
}
