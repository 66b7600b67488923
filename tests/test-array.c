/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* PostgreSQL's text form of arrays: what is read from it, what is refused, and that what is written
 * reads back as the same. */

#include "db-array-private.h"

#include <math.h>
#include <string.h>

static void
test_read (void)
{
  static const struct
  {
    const char *text;
    DbValueType element;
    const char *value; /* in GVariant's text form */
  } cases[] = {
    {"{}", DB_VALUE_TYPE_INT64, "@amx []"},
    {" { } ", DB_VALUE_TYPE_TEXT, "@ams []"},
    {"{1,NULL,-9223372036854775808}", DB_VALUE_TYPE_INT64,
     "[@mx 1, nothing, -9223372036854775808]"},
    {"[2:4]={9223372036854775807,2,3}", DB_VALUE_TYPE_INT64, "[@mx 9223372036854775807, 2, 3]"},
    {"[-1:0][+3:4]={{1,2},{3,4}}", DB_VALUE_TYPE_INT64, "[[@mx 1, 2], [3, 4]]"},
    {"{{{1},{NULL}}}", DB_VALUE_TYPE_INT64, "[[[@mx 1], [nothing]]]"},
    {"{{},{}}", DB_VALUE_TYPE_INT64, "[@amx [], []]"},
    {"{t,f,NULL}", DB_VALUE_TYPE_BOOLEAN, "[@mb true, false, nothing]"},
    {"{0.1,-0,1e-300}", DB_VALUE_TYPE_DOUBLE, "[@md 0.1, -0.0, 1e-300]"},
    {"{a,\"NULL\",null,\"\",\"a \\\"b\\\"\",\"{,}\",\"\\\\\"}", DB_VALUE_TYPE_TEXT,
     "[@ms 'a', 'NULL', nothing, '', 'a \"b\"', '{,}', '\\\\']"},
    {"{ a b , \\N\\ ,NU\\LL}", DB_VALUE_TYPE_TEXT, "[@ms 'a b', 'N ', 'NULL']"},
    {"{\"\\\\x00ff\",\"\\\\x\",NULL}", DB_VALUE_TYPE_BYTES, "@amay [[0x00, 0xff], [], nothing]"},
    {"{\"a\\\\000\\\\\\\\\\\\377\"}", DB_VALUE_TYPE_BYTES, "@amay [[0x61, 0x00, 0x5c, 0xff]]"},
    {"{12.50,NaN}", DB_VALUE_TYPE_DECIMAL, "[@ms '12.50', 'NaN']"},
    {"{\"2026-01-02 03:04:05\"}", DB_VALUE_TYPE_TIMESTAMP, "[@ms '2026-01-02 03:04:05']"},
    {"{\"gr\\üße\"}", DB_VALUE_TYPE_TEXT, "[@ms 'grüße']"},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GVariant) value = db_array_parse (cases[i].text, cases[i].element);
      g_autoptr (GVariant) expected = g_variant_ref_sink (g_variant_new_parsed (cases[i].value));

      g_test_message ("%s", cases[i].text);
      g_assert_nonnull (value);
      g_assert_false (g_variant_is_floating (value));
      g_assert_cmpvariant (value, expected);
    }
}

static void
test_special_doubles (void)
{
  g_autoptr (GVariant) value = db_array_parse ("{NaN,Infinity,-Infinity}", DB_VALUE_TYPE_DOUBLE);
  double real;

  g_assert_cmpuint (g_variant_n_children (value), ==, 3);
  g_variant_get_child (value, 0, "md", NULL, &real);
  g_assert_true (isnan (real));
  g_variant_get_child (value, 1, "md", NULL, &real);
  g_assert_true (isinf (real) && real > 0);
  g_variant_get_child (value, 2, "md", NULL, &real);
  g_assert_true (isinf (real) && real < 0);
}

static void
test_refused (void)
{
  static const struct
  {
    const char *text;
    DbValueType element;
  } cases[] = {
    {"", DB_VALUE_TYPE_TEXT},
    {"a", DB_VALUE_TYPE_TEXT},
    {"NULL", DB_VALUE_TYPE_TEXT},
    {"{", DB_VALUE_TYPE_TEXT},
    {"}", DB_VALUE_TYPE_TEXT},
    {"{a", DB_VALUE_TYPE_TEXT},
    {"{a}}", DB_VALUE_TYPE_TEXT},
    {"{a} b", DB_VALUE_TYPE_TEXT},
    {"{a}{b}", DB_VALUE_TYPE_TEXT},
    {"{a,}", DB_VALUE_TYPE_TEXT},
    {"{,a}", DB_VALUE_TYPE_TEXT},
    {"{,}", DB_VALUE_TYPE_TEXT},
    {"{a b\"c\"}", DB_VALUE_TYPE_TEXT},
    {"{\"a\"b}", DB_VALUE_TYPE_TEXT},
    {"{\"a}", DB_VALUE_TYPE_TEXT},
    {"{\"a\\", DB_VALUE_TYPE_TEXT},
    {"{a\\", DB_VALUE_TYPE_TEXT},
    {"{a,{b}}", DB_VALUE_TYPE_TEXT},
    {"{{a},b}", DB_VALUE_TYPE_TEXT},
    {"{{a},{{b}}}", DB_VALUE_TYPE_TEXT},
    {"{{},{a}}x", DB_VALUE_TYPE_TEXT},
    {"{{a}{b}}", DB_VALUE_TYPE_TEXT},
    {"[2:3]", DB_VALUE_TYPE_TEXT},
    {"[2:3]{a}", DB_VALUE_TYPE_TEXT},
    {"[:3]={a}", DB_VALUE_TYPE_TEXT},
    {"[2:3={a}", DB_VALUE_TYPE_TEXT},
    {"{1,x}", DB_VALUE_TYPE_INT64},
    {"{9223372036854775808}", DB_VALUE_TYPE_INT64},
    {"{1.5}", DB_VALUE_TYPE_INT64},
    {"{1.5.5}", DB_VALUE_TYPE_DOUBLE},
    {"{2}", DB_VALUE_TYPE_BOOLEAN},
    {"{\"\\\\x0\"}", DB_VALUE_TYPE_BYTES},
    {"{\"\\\\xzz\"}", DB_VALUE_TYPE_BYTES},
    {"{\"\\\\12\"}", DB_VALUE_TYPE_BYTES},
    {"{\"\\\\400\"}", DB_VALUE_TYPE_BYTES},
    {"{{{{{{{{{{{{{{{{{1}}}}}}}}}}}}}}}}}", DB_VALUE_TYPE_INT64},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_test_message ("%s", cases[i].text);
      g_assert_null (db_array_parse (cases[i].text, cases[i].element));
    }
}

static void
append_text (GString *literal, const char *text)
{
  DbValue value = {.type = DB_VALUE_TYPE_TEXT, .text = text, .size = strlen (text)};

  db_array_append (literal, &value);
}

static void
test_write (void)
{
  g_autoptr (GString) literal = g_string_new (NULL);
  DbValue values[] = {
    {.type = DB_VALUE_TYPE_NULL},
    {.type = DB_VALUE_TYPE_BOOLEAN, .integer = 1},
    {.type = DB_VALUE_TYPE_BOOLEAN, .integer = 0},
    {.type = DB_VALUE_TYPE_INT64, .integer = G_MININT64},
    {.type = DB_VALUE_TYPE_DOUBLE, .real = 0.1},
    {.type = DB_VALUE_TYPE_DOUBLE, .real = -INFINITY},
    {.type = DB_VALUE_TYPE_DOUBLE, .real = NAN},
    {.type = DB_VALUE_TYPE_BYTES, .text = "\0\xff", .size = 2},
    {.type = DB_VALUE_TYPE_BYTES, .text = "", .size = 0},
    {.type = DB_VALUE_TYPE_DECIMAL, .text = "1.50", .size = 4},
  };

  db_array_open (literal);
  for (gsize i = 0; i < G_N_ELEMENTS (values); i++)
    db_array_append (literal, &values[i]);
  append_text (literal, "a \"b\" \\ {,}");
  append_text (literal, "");
  append_text (literal, "NULL");
  db_array_close (literal);
  g_assert_cmpstr (literal->str, ==,
                   "{NULL,t,f,-9223372036854775808,0.1,-Infinity,NaN,\"\\\\x00ff\",\"\\\\x\","
                   "\"1.50\",\"a \\\"b\\\" \\\\ {,}\",\"\",\"NULL\"}");
}

/* Every text of up to four of the characters that matter, in arrays of one and two dimensions. */
static void
test_there_and_back (void)
{
  static const char characters[] = "\"\\{},N \n[";
  const guint n = sizeof characters; /* the zero too: shorter texts */

  for (guint i = 0; i < n * n * n * n; i++)
    {
      char text[5] = {characters[i % n], characters[i / n % n], characters[i / n / n % n],
                      characters[i / n / n / n], '\0'};
      g_autoptr (GString) literal = g_string_new (NULL);
      g_autoptr (GVariant) value = NULL;
      g_autoptr (GVariant) first = NULL;
      const char *back;

      db_array_open (literal);
      db_array_open (literal);
      append_text (literal, text);
      append_text (literal, text);
      db_array_close (literal);
      db_array_close (literal);
      value = db_array_parse (literal->str, DB_VALUE_TYPE_TEXT);
      g_assert_nonnull (value);
      first = g_variant_get_child_value (value, 0);
      g_assert_cmpuint (g_variant_n_children (first), ==, 2);
      g_variant_get_child (first, 1, "m&s", &back);
      g_assert_cmpstr (back, ==, text);
    }
}

/* Whatever the bytes: no crash, and nothing is read beyond the end (with a sanitizer). */
static void
test_noise (void)
{
  static const char characters[] = "\"\\{}{},,NUL1x \n[]:=-t0\\\\";
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);
  guint n_arrays = 0;

  for (guint i = 0; i < 200000; i++)
    {
      gsize size = (gsize) g_rand_int_range (rand, 0, 20);
      g_autofree char *text = g_malloc (size + 1);
      g_autoptr (GVariant) value = NULL;

      for (gsize j = 0; j < size; j++)
        text[j] = characters[g_rand_int_range (rand, 0, sizeof characters - 1)];
      text[size] = '\0';
      value = db_array_parse (text, (DbValueType) g_rand_int_range (rand, 0, DB_VALUE_TYPE_MIXED));
      n_arrays += value != NULL;
    }
  g_assert_cmpuint (n_arrays, >, 0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/array/read", test_read);
  g_test_add_func ("/array/special-doubles", test_special_doubles);
  g_test_add_func ("/array/refused", test_refused);
  g_test_add_func ("/array/write", test_write);
  g_test_add_func ("/array/there-and-back", test_there_and_back);
  g_test_add_func ("/array/noise", test_noise);

  return g_test_run ();
}
