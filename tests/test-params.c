/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Parameters: what is added comes back with its type, whatever its size and number; what is no
 * parameter is refused with a text that says which and why. */

#include "db-error.h"
#include "db-params-private.h"

#include <string.h>

static void
assert_text (const DbValue *value, DbValueType type, const char *text)
{
  g_assert_cmpint (value->type, ==, type);
  g_assert_cmpstr (value->text, ==, text);
  g_assert_cmpuint (value->size, ==, strlen (text));
}

static void
test_empty (void)
{
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbParams) copy = db_params_copy (params);
  guint n = 99;

  g_assert_cmpuint (db_params_get_n_rows (params), ==, 0);
  g_assert_cmpuint (db_params_get_n_rows (copy), ==, 0);
  g_assert_cmpuint (db_params_get_n_values (params, 0), ==, 0);
  g_assert_cmpuint (db_params_get_n_values (params, 7), ==, 0);
  g_assert_null (db_params_get_values (params, 0, &n));
  g_assert_cmpuint (n, ==, 0);
}

static void
test_types (void)
{
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (GBytes) bytes = g_bytes_new_static ("a\0b", 3);
  g_autoptr (GBytes) none = g_bytes_new_static (NULL, 0);
  const DbValue *values;
  guint n;

  db_params_add_null (params);
  db_params_add_boolean (params, 42);
  db_params_add_int64 (params, G_MININT64);
  db_params_add_double (params, -0.5);
  db_params_add_text (params, "grüße");
  db_params_add_text (params, NULL);
  db_params_add_text (params, "");
  db_params_add_bytes (params, bytes);
  db_params_add_bytes (params, none);
  db_params_add_bytes (params, NULL);
  db_params_add_typed_text (params, DB_VALUE_TYPE_DECIMAL, "1.10");
  db_params_add_typed_text (params, DB_VALUE_TYPE_UUID, NULL);

  g_assert_cmpuint (db_params_get_n_rows (params), ==, 1);
  values = db_params_get_values (params, 0, &n);
  g_assert_cmpuint (n, ==, 12);
  g_assert_cmpint (values[0].type, ==, DB_VALUE_TYPE_NULL);
  g_assert_cmpint (values[1].type, ==, DB_VALUE_TYPE_BOOLEAN);
  g_assert_cmpint (values[1].integer, ==, 1);
  g_assert_cmpint (values[2].type, ==, DB_VALUE_TYPE_INT64);
  g_assert_cmpint (values[2].integer, ==, G_MININT64);
  g_assert_cmpint (values[3].type, ==, DB_VALUE_TYPE_DOUBLE);
  g_assert_cmpfloat (values[3].real, ==, -0.5);
  assert_text (&values[4], DB_VALUE_TYPE_TEXT, "grüße");
  g_assert_cmpint (values[5].type, ==, DB_VALUE_TYPE_NULL);
  assert_text (&values[6], DB_VALUE_TYPE_TEXT, "");
  g_assert_cmpint (values[7].type, ==, DB_VALUE_TYPE_BYTES);
  g_assert_cmpmem (values[7].text, values[7].size, "a\0b", 3);
  g_assert_cmpint (values[8].type, ==, DB_VALUE_TYPE_BYTES);
  g_assert_nonnull (values[8].text);
  g_assert_cmpuint (values[8].size, ==, 0);
  g_assert_cmpint (values[9].type, ==, DB_VALUE_TYPE_NULL);
  assert_text (&values[10], DB_VALUE_TYPE_DECIMAL, "1.10");
  g_assert_cmpint (values[11].type, ==, DB_VALUE_TYPE_NULL);
}

static void
test_rows (void)
{
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbParams) copy = NULL;
  const DbValue *values;
  guint n;

  /* One value, none, two: rows may differ, and an ended row counts. */
  db_params_add_int64 (params, 1);
  db_params_next_row (params);
  g_assert_cmpuint (db_params_get_n_rows (params), ==, 1);
  db_params_next_row (params);
  g_assert_cmpuint (db_params_get_n_rows (params), ==, 2);
  db_params_add_int64 (params, 2);
  db_params_add_text (params, "zwei");
  g_assert_cmpuint (db_params_get_n_rows (params), ==, 3);

  copy = db_params_copy (params);
  db_params_next_row (params);
  g_assert_cmpuint (db_params_get_n_rows (params), ==, 3);
  g_clear_pointer (&params, db_params_free);

  g_assert_cmpuint (db_params_get_n_rows (copy), ==, 3);
  g_assert_cmpuint (db_params_get_n_values (copy, 0), ==, 1);
  g_assert_cmpuint (db_params_get_n_values (copy, 1), ==, 0);
  g_assert_cmpuint (db_params_get_n_values (copy, 2), ==, 2);
  g_assert_cmpuint (db_params_get_n_values (copy, 3), ==, 0);
  g_assert_null (db_params_get_values (copy, 1, &n));
  values = db_params_get_values (copy, 2, &n);
  g_assert_cmpint (values[0].integer, ==, 2);
  assert_text (&values[1], DB_VALUE_TYPE_TEXT, "zwei");
}

/* Texts of all sizes, so that the inline space, shared blocks and own blocks all take part. */
static void
test_large (void)
{
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbParams) copy = NULL;
  g_autofree char *text = g_strnfill (20000, 'x');
  g_autoptr (GBytes) large = g_bytes_new (text, 20000);
  const DbValue *values;
  guint n;

  for (guint i = 0; i < 2000; i++)
    {
      guint length = (i * 37) % 900;
      char saved = text[length];

      text[length] = '\0';
      db_params_add_text (params, text);
      text[length] = saved;
    }
  db_params_add_bytes (params, large);
  copy = db_params_copy (params);
  g_clear_pointer (&params, db_params_free);
  g_clear_pointer (&large, g_bytes_unref);

  values = db_params_get_values (copy, 0, &n);
  g_assert_cmpuint (n, ==, 2001);
  for (guint i = 0; i < 2000; i++)
    {
      g_assert_cmpuint (values[i].size, ==, (i * 37) % 900);
      g_assert_cmpuint (strspn (values[i].text, "x"), ==, values[i].size);
      g_assert_cmpint (values[i].text[values[i].size], ==, '\0');
    }
  g_assert_cmpmem (values[2000].text, values[2000].size, text, 20000);
}

static void
test_variant (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbParams) params = NULL;
  g_autoptr (GVariant) kept = NULL;
  const DbValue *values;
  guint n;

  params = db_params_new_from_variant (
    g_variant_new_parsed ("(byte 0x07, int16 -2, uint16 3, -4, uint32 5, int64 -6, uint64 7, true, "
                          "1.5, 'text', objectpath '/a', signature 'as', b'by', @ms nothing, "
                          "@mi 8, <@ms 'in'>, <<9>>, @ay [])"),
    &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_params_get_n_rows (params), ==, 1);
  values = db_params_get_values (params, 0, &n);
  g_assert_cmpuint (n, ==, 18);
  for (guint i = 0; i < 7; i++)
    g_assert_cmpint (values[i].type, ==, DB_VALUE_TYPE_INT64);
  g_assert_cmpint (values[0].integer, ==, 7);
  g_assert_cmpint (values[1].integer, ==, -2);
  g_assert_cmpint (values[3].integer, ==, -4);
  g_assert_cmpint (values[5].integer, ==, -6);
  g_assert_cmpint (values[6].integer, ==, 7);
  g_assert_cmpint (values[7].type, ==, DB_VALUE_TYPE_BOOLEAN);
  g_assert_cmpfloat (values[8].real, ==, 1.5);
  assert_text (&values[9], DB_VALUE_TYPE_TEXT, "text");
  assert_text (&values[10], DB_VALUE_TYPE_TEXT, "/a");
  assert_text (&values[11], DB_VALUE_TYPE_TEXT, "as");
  g_assert_cmpint (values[12].type, ==, DB_VALUE_TYPE_BYTES);
  g_assert_cmpmem (values[12].text, values[12].size, "by", 3);
  g_assert_cmpint (values[13].type, ==, DB_VALUE_TYPE_NULL);
  g_assert_cmpint (values[14].integer, ==, 8);
  assert_text (&values[15], DB_VALUE_TYPE_TEXT, "in");
  g_assert_cmpint (values[16].integer, ==, 9);
  g_assert_cmpuint (values[17].size, ==, 0);
  g_clear_pointer (&params, db_params_free);

  /* Not floating: the caller keeps its reference. */
  kept = g_variant_ref_sink (g_variant_new ("()"));
  params = db_params_new_from_variant (kept, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (db_params_get_n_rows (params), ==, 0);
  g_assert_cmpstr (g_variant_get_type_string (kept), ==, "()");
}

static void
test_variant_refused (void)
{
  static const struct
  {
    const char *value;
    const char *words;
  } refused[] = {
    {"'alone'", "(s)"},
    {"['a', 'b']", "must be a tuple"},
    {"(1, handle 3)", "parameter 2 has the GVariant type \"h\""},
    {"('a', 'b', [('c',)])", "parameter 3 has the GVariant type \"a(s)\""},
    {"(@aa{sv} [],)", "parameter 1 has the GVariant type \"aa{sv}\""},
    {"(@ah [],)", "parameter 1 has the GVariant type \"ah\""},
    {"(@m(s) nothing,)", "parameter 1 has the GVariant type \"m(s)\""},
    {"([<1>, <('b',)>],)", "parameter 1 has the GVariant type \"(s)\""},
    {"([uint64 9223372036854775808],)", "parameter 1 is 9223372036854775808"},
    {"((1, 2), 3)", "parameter 1 has the GVariant type \"(ii)\""},
    {"(<{'a': 1}>,)", "parameter 1 has the GVariant type \"a{si}\""},
    {"(true, uint64 9223372036854775808)", "parameter 2 is 9223372036854775808"},
    {"{'a': 1}", "must be a tuple"},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (db_params_new_from_variant (g_variant_new_parsed (refused[i].value), &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
      g_assert_nonnull (strstr (error->message, refused[i].words));
    }
}

static void
test_arrays (void)
{
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbParams) copy = NULL;
  g_autoptr (GBytes) bytes = g_bytes_new_static ("\0\xff", 2);
  g_autofree char *text = g_strnfill (5000, '"');
  g_autoptr (GBytes) large = g_bytes_new (text, 5000);
  const DbValue *values;
  guint n;

  db_params_add_int64 (params, 1);
  db_params_open_array (params);
  db_params_add_null (params);
  db_params_add_boolean (params, TRUE);
  db_params_add_int64 (params, -7);
  db_params_add_double (params, 0.1);
  db_params_add_text (params, "a \"b\"");
  db_params_add_text (params, NULL);
  db_params_add_bytes (params, bytes);
  db_params_add_uuid (params, "u");
  db_params_close_array (params);
  db_params_open_array (params);
  db_params_open_array (params);
  db_params_close_array (params);
  db_params_open_array (params);
  db_params_add_decimal (params, "1.5");
  db_params_close_array (params);
  db_params_close_array (params);
  db_params_next_row (params);
  db_params_open_array (params);
  db_params_add_text (params, text);
  db_params_add_bytes (params, large);
  db_params_close_array (params);
  copy = db_params_copy (params);
  g_clear_pointer (&params, db_params_free);

  g_assert_cmpuint (db_params_get_n_rows (copy), ==, 2);
  values = db_params_get_values (copy, 0, &n);
  g_assert_cmpuint (n, ==, 3);
  g_assert_cmpint (values[0].integer, ==, 1);
  assert_text (&values[1], DB_VALUE_TYPE_ARRAY,
               "{NULL,t,-7,0.1,\"a \\\"b\\\"\",NULL,\"\\\\x00ff\",\"u\"}");
  assert_text (&values[2], DB_VALUE_TYPE_ARRAY, "{{},{\"1.5\"}}");
  values = db_params_get_values (copy, 1, &n);
  g_assert_cmpuint (n, ==, 1);
  g_assert_cmpuint (values[0].size, ==, 10000 + 10000 + 10);
}

/* An array that is not closed is no value, and harms nobody. */
static void
test_open_array (void)
{
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbParams) copy = NULL;
  const DbValue *values;
  guint n;

  g_test_expect_message ("dbpool", G_LOG_LEVEL_CRITICAL, "*n_open > 0*");
  db_params_close_array (params);
  g_test_assert_expected_messages ();
  db_params_add_int64 (params, 1);
  db_params_open_array (params);
  db_params_add_int64 (params, 2);
  g_test_expect_message ("dbpool", G_LOG_LEVEL_CRITICAL, "*n_open == 0*");
  db_params_next_row (params);
  g_test_assert_expected_messages ();
  g_test_expect_message ("dbpool", G_LOG_LEVEL_CRITICAL, "*n_open == 0*");
  db_params_add_typed_text (params, DB_VALUE_TYPE_ARRAY, "{1}");
  g_test_assert_expected_messages ();
  g_assert_cmpuint (db_params_get_n_values (params, 0), ==, 1);

  copy = db_params_copy (params);
  db_params_add_int64 (copy, 5);
  values = db_params_get_values (copy, 0, &n);
  g_assert_cmpuint (n, ==, 2);
  g_assert_cmpint (values[1].type, ==, DB_VALUE_TYPE_INT64);

  db_params_close_array (params);
  values = db_params_get_values (params, 0, &n);
  g_assert_cmpuint (n, ==, 2);
  assert_text (&values[1], DB_VALUE_TYPE_ARRAY, "{2}");
}

static void
test_datetime (void)
{
  static const struct
  {
    const char *zone;
    double seconds;
    const char *text;
  } cases[] = {
    {"Z", 5.0, "2024-02-29 23:59:05+00:00"},
    {"+02:00", 5.000001, "2024-02-29 23:59:05.000001+02:00"},
    {"-03:30", 59.999999, "2024-02-29 23:59:59.999999-03:30"},
    {"+00:19:32", 0.0, "2024-02-29 23:59:00+00:19:32"},
    {"-00:00:01", 0.0, "2024-02-29 23:59:00-00:00:01"},
  };
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (GDateTime) first = g_date_time_new_utc (1, 1, 1, 0, 0, 0);
  g_autoptr (GDateTime) last = g_date_time_new_utc (9999, 12, 31, 23, 59, 59);
  const DbValue *values;
  guint n;

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GTimeZone) zone = g_time_zone_new_identifier (cases[i].zone);
      g_autoptr (GDateTime) time = g_date_time_new (zone, 2024, 2, 29, 23, 59, cases[i].seconds);

      db_params_add_datetime (params, time);
    }
  db_params_add_datetime (params, first);
  db_params_add_datetime (params, last);
  db_params_add_datetime (params, NULL);
  values = db_params_get_values (params, 0, &n);
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (cases) + 3);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_text (&values[i], DB_VALUE_TYPE_TIMESTAMP_TZ, cases[i].text);
  values += G_N_ELEMENTS (cases);
  assert_text (&values[0], DB_VALUE_TYPE_TIMESTAMP_TZ, "0001-01-01 00:00:00+00:00");
  assert_text (&values[1], DB_VALUE_TYPE_TIMESTAMP_TZ, "9999-12-31 23:59:59+00:00");
  g_assert_cmpint (values[2].type, ==, DB_VALUE_TYPE_NULL);
}

static void
test_variant_arrays (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbParams) params = NULL;
  const DbValue *values;
  guint n;

  params = db_params_new_from_variant (
    g_variant_new_parsed ("([int64 1, -2], [@mx 1, nothing], [0.1], [true], ['a\"', ''], @as [], "
                          "[[1, 2], [3, 4]], [b'x', b''], [@may b'y', nothing], [<1>, <'a'>], "
                          "@mas ['in'], @mas nothing, @ay [1], @aau [[], []])"),
    &error);
  g_assert_no_error (error);
  values = db_params_get_values (params, 0, &n);
  g_assert_cmpuint (n, ==, 14);
  assert_text (&values[0], DB_VALUE_TYPE_ARRAY, "{1,-2}");
  assert_text (&values[1], DB_VALUE_TYPE_ARRAY, "{1,NULL}");
  assert_text (&values[2], DB_VALUE_TYPE_ARRAY, "{0.1}");
  assert_text (&values[3], DB_VALUE_TYPE_ARRAY, "{t}");
  assert_text (&values[4], DB_VALUE_TYPE_ARRAY, "{\"a\\\"\",\"\"}");
  assert_text (&values[5], DB_VALUE_TYPE_ARRAY, "{}");
  assert_text (&values[6], DB_VALUE_TYPE_ARRAY, "{{1,2},{3,4}}");
  assert_text (&values[7], DB_VALUE_TYPE_ARRAY, "{\"\\\\x7800\",\"\\\\x00\"}");
  assert_text (&values[8], DB_VALUE_TYPE_ARRAY, "{\"\\\\x7900\",NULL}");
  assert_text (&values[9], DB_VALUE_TYPE_ARRAY, "{1,\"a\"}");
  assert_text (&values[10], DB_VALUE_TYPE_ARRAY, "{\"in\"}");
  g_assert_cmpint (values[11].type, ==, DB_VALUE_TYPE_NULL);
  g_assert_cmpint (values[12].type, ==, DB_VALUE_TYPE_BYTES);
  assert_text (&values[13], DB_VALUE_TYPE_ARRAY, "{{},{}}");
}

static void
test_invalid_utf8 (void)
{
  g_autoptr (DbParams) params = db_params_new ();

  g_test_expect_message ("dbpool", G_LOG_LEVEL_CRITICAL, "*g_utf8_validate_len*");
  db_params_add_text (params, "\xff\xfe");
  g_test_assert_expected_messages ();
  g_test_expect_message ("dbpool", G_LOG_LEVEL_CRITICAL, "*db_value_type_is_text*");
  db_params_add_typed_text (params, DB_VALUE_TYPE_INT64, "1");
  g_test_assert_expected_messages ();
  g_assert_cmpuint (db_params_get_n_rows (params), ==, 0);
}

static void
test_boxed (void)
{
  g_auto (GValue) value = G_VALUE_INIT;
  DbParams *params = db_params_new ();

  db_params_add_text (params, "boxed");
  g_value_init (&value, DB_TYPE_PARAMS);
  g_value_take_boxed (&value, params);
  params = g_value_dup_boxed (&value);
  g_assert_cmpuint (db_params_get_n_values (params, 0), ==, 1);
  db_params_free (params);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/params/empty", test_empty);
  g_test_add_func ("/params/types", test_types);
  g_test_add_func ("/params/rows", test_rows);
  g_test_add_func ("/params/large", test_large);
  g_test_add_func ("/params/variant", test_variant);
  g_test_add_func ("/params/variant-refused", test_variant_refused);
  g_test_add_func ("/params/invalid-utf8", test_invalid_utf8);
  g_test_add_func ("/params/boxed", test_boxed);
  g_test_add_func ("/params/arrays", test_arrays);
  g_test_add_func ("/params/open-array", test_open_array);
  g_test_add_func ("/params/datetime", test_datetime);
  g_test_add_func ("/params/variant-arrays", test_variant_arrays);

  return g_test_run ();
}
