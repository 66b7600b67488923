/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Fingerprints of statements: what is kept, and that no byte of a literal is. */

#include "config.h"

#include <string.h>

#include "db-fingerprint-private.h"

static const struct
{
  const char *sql;
  const char *fingerprint;
} cases[] = {
  /* kept */
  {NULL, NULL},
  {"", ""},
  {"SELECT name FROM customer WHERE id = $1", "SELECT name FROM customer WHERE id = $1"},
  {"SELECT \"First Name\", \"a\"\"b\" FROM \"T\"", "SELECT \"First Name\", \"a\"\"b\" FROM \"T\""},
  {"SELECT t1.c2, _x, a$b FROM t1", "SELECT t1.c2, _x, a$b FROM t1"},
  {"SELECT größe FROM maße", "SELECT größe FROM maße"},
  {"SELECT [a b], `c d` FROM t", "SELECT [a b], `c d` FROM t"},
  {"SELECT a::int, b->>'k', :name, @p FROM t", "SELECT a::int, b->>?, :name, @p FROM t"},
  {"SELECT $1, $23, $name", "SELECT $1, $23, $name"},
  {"INSERT INTO t VALUES (?, ?, ?)", "INSERT INTO t VALUES (?, ?, ?)"},
  {"INSERT INTO t VALUES (?1, ?22)", "INSERT INTO t VALUES (?, ?)"},
  {"SELECT TRUE, NULL", "SELECT TRUE, NULL"},
  {"SELECT 1;", "SELECT ?;"},

  /* white space and comments */
  {"  SELECT\t1\r\n  FROM\v t  ", "SELECT ? FROM t"},
  {"SELECT 1 -- it's 'secret'\nFROM t", "SELECT ? FROM t"},
  {"SELECT 1 -- secret", "SELECT ?"},
  {"SELECT/* it's secret */1", "SELECT ?"},
  {"/* secret", ""},
  {"SELECT 1 /**/ + /***/ 2 /* /", "SELECT ? + ?"},
  {"SELECT a - -1, b / 2", "SELECT a - -?, b / ?"},

  /* numbers */
  {"SELECT 12, 1.5, .5, 5., 1e10, 1.5E+10, 2e-3, 0xDEADBEEF, 0b11, 0o17, 1_000",
   "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"},
  {"SELECT 0xe+1, 1e+a, 12secret", "SELECT ?+?, ?+a, ?"},
  {"SELECT a[1], b[2:3]", "SELECT a[?], b[?:?]"},
  {"LIMIT 10 OFFSET -5", "LIMIT ? OFFSET -?"},
  {"SELECT $4111111111111111", "SELECT $?"},

  /* strings */
  {"SELECT 'secret'", "SELECT ?"},
  {"SELECT ''", "SELECT ?"},
  {"SELECT 'it''s secret', ''''", "SELECT ?, ?"},
  {"SELECT 'a' 'b'\n'c'", "SELECT ? ? ?"},
  {"SELECT 'a' || 'b'", "SELECT ? || ?"},
  {"SELECT 'C:\\x\\y', 1", "SELECT ?, ?"},
  {"SELECT '-- \" /* $$ ['", "SELECT ?"},
  {"SELECT E'it\\'s secret', e'\\\\', E'''\\''", "SELECT ?, ?, ?"},
  {"SELECT X'0aFF', x'00', B'01', b'', N'secret'", "SELECT ?, ?, ?, ?, ?"},
  {"SELECT U&'d\\0061t', u&'x' UESCAPE '!', U&\"d\"", "SELECT ?, ? UESCAPE ?, U&\"d\""},
  {"SELECT date '2020-01-01', date'2020-01-01'", "SELECT date ?, date?"},
  {"SELECT value'secret'", "SELECT value?"},
  {"SELECT a FROM t WHERE b = 'ü€😀' AND c=1", "SELECT a FROM t WHERE b = ? AND c=?"},
  {"SELECT ARRAY['x', 'y']", "SELECT ARRAY[?, ?]"},

  /* dollar quotes */
  {"SELECT $$secret$$, $a$secret$a$", "SELECT ?, ?"},
  {"DO $$ BEGIN PERFORM 'x'; END $$ -- x", "DO ?"},
  {"SELECT $a$ secret $b$ secret $a$, 1", "SELECT ?, ?"},
  {"SELECT $1$$secret$$", "SELECT $1?"},
  {"SELECT a$$b", "SELECT a$$b"},
  {"SELECT $ä$secret$ä$", "SELECT ?"},

  /* cut off in the middle */
  {"SELECT 'secr", "SELECT ?"},
  {"SELECT 'secret''", "SELECT ?"},
  {"SELECT E'secret\\", "SELECT ?"},
  {"SELECT E'secret\\'", "SELECT ?"},
  {"SELECT X'0", "SELECT ?"},
  {"SELECT $$secr", "SELECT ?"},
  {"SELECT $a$secr$a", "SELECT ?"},
  {"SELECT $ta", "SELECT $ta"},
  {"SELECT 12", "SELECT ?"},
  {"SELECT \"secr", "SELECT ?"},
  {"SELECT `secr", "SELECT…"},
  {"SELECT -", "SELECT -"},

  /* doubtful: databases disagree about where it ends */
  {"SELECT 'C:\\', 'secret', 1", "SELECT ?…"},
  {"SELECT 'it\\'s secret'", "SELECT ?…"},
  {"SELECT E'x'\n'it\\'s secret', 1", "SELECT ? ?…"},
  {"SELECT 1 /* a /* b */ 'x */ secret'", "SELECT ?…"},
  {"SELECT 1 /*/*/ 'secret */ secret'", "SELECT ?…"},
  {"SELECT 1 -- it's\r don't\n 'secret'", "SELECT ?…"},
  {"SELECT [O'Brien] = 'secret'", "SELECT [O?…"},
  {"SELECT [a--b] = 'secret'\n", "SELECT [a…"},
  {"SELECT `it's` = 'secret'", "SELECT…"},
  {"SELECT $a$ + 'x$a$ secret'", "SELECT ?…"},
  {"SELECT 1a$$'b$$secret'", "SELECT ?…"},

  /* any bytes */
  {"SELECT caf\xc3", "SELECT caf\xef\xbf\xbd"},
  {"SELECT \xff'secret\xff'", "SELECT \xef\xbf\xbd?"},
  {"SELECT \"a\nb\x1b[2J\x9b\xc2\x9b\"", "SELECT \"a b [2J\xef\xbf\xbd \""},
  {"\x01 'x' \x7f", "  ?  "},
};

static void
test_table (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *fingerprint = db_sql_fingerprint (cases[i].sql);

      g_test_message ("%s", cases[i].sql);
      g_assert_cmpstr (fingerprint, ==, cases[i].fingerprint);
    }
}

static void
test_length (void)
{
  GString *sql = g_string_new ("SELECT ");
  g_autofree char *exact = NULL;
  g_autofree char *longer = NULL;
  g_autofree char *wide = NULL;
  g_autofree char *long_name = NULL;

  while (sql->len < DB_FINGERPRINT_LENGTH)
    g_string_append_c (sql, 'a');
  exact = db_sql_fingerprint (sql->str);
  g_assert_cmpstr (exact, ==, sql->str);

  g_string_append (sql, "b 'secret'");
  longer = db_sql_fingerprint (sql->str);
  g_assert_true (g_str_has_suffix (longer, "aaa…"));
  g_assert_cmpuint (strlen (longer), ==, DB_FINGERPRINT_LENGTH + strlen ("…"));

  /* 113 bytes are left, which is odd: the last "ä" does not fit. */
  g_string_assign (sql, "SELECT ");
  for (guint i = 0; i < 100; i++)
    g_string_append (sql, "ä");
  wide = db_sql_fingerprint (sql->str);
  g_assert_true (g_utf8_validate (wide, -1, NULL));
  g_assert_cmpuint (strlen (wide), ==, DB_FINGERPRINT_LENGTH - 1 + strlen ("…"));

  g_string_assign (sql, "SELECT \"");
  for (guint i = 0; i < 100000; i++)
    g_string_append (sql, "€");
  g_string_append (sql, "\" FROM t");
  long_name = db_sql_fingerprint (sql->str);
  g_assert_true (g_utf8_validate (long_name, -1, NULL));
  g_assert_cmpuint (strlen (long_name), <=, DB_FINGERPRINT_LENGTH + strlen ("…"));
  g_string_free (sql, TRUE);
}

static void
assert_presentable (const char *fingerprint)
{
  g_assert_true (g_utf8_validate (fingerprint, -1, NULL));
  g_assert_cmpuint (strlen (fingerprint), <=, DB_FINGERPRINT_LENGTH + strlen ("…"));
  for (const char *p = fingerprint; *p != '\0'; p = g_utf8_next_char (p))
    g_assert_false (g_unichar_iscntrl (g_utf8_get_char (p)));
}

static void
test_random_bytes (void)
{
  for (guint i = 0; i < 20000; i++)
    {
      char sql[200];
      guint length = g_test_rand_int_range (0, sizeof sql - 1);
      g_autofree char *fingerprint = NULL;

      for (guint j = 0; j < length; j++)
        sql[j] = g_test_rand_int_range (1, 256);
      sql[length] = '\0';
      fingerprint = db_sql_fingerprint (sql);
      assert_presentable (fingerprint);
    }
}

/* Statements put together at random from pieces whose literals (and comments) are marked by a
 * capital Q, many of them cut off anywhere: no Q may be seen. White space keeps the pieces from
 * becoming something else together. */
static void
test_random_statements (void)
{
  static const char *const pieces[] = {
    "'Q'",      "'Q''Q'",      "''",      "'Q--Q'",   "'Q/*Q'",  "'Q\"Q'",    "'Q$$Q'",   "'Q[Q'",
    "E'Q\\'Q'", "E'\\\\'",     "e'Q''Q'", "X'Q'",     "b'Q'",    "N'Q'",      "U&'Q'",    "$$Q'Q$$",
    "$$Q\"Q$$", "$a$Q$b$Q$a$", "$$$Q$$",  "-- Q'Q\n", "--Q\r\n", "/* Q'Q */", "/*Q--Q*/", "/**/",
    "1Q",       "0xQ",         "1.5",     " ",        "\n",      "a",         "\"n\"",    "\"'\"",
    "\"--\"",   "[n]",         "[1]",     "a['Q']",   "`n`",     "$1",        "(",        ")",
    ", ",       "=",           "-",       "/",        "*",       ":p",        "?",        "ä",
    "E",        "'Q\\Q'",      "'Q\\\\'", "||",       "['Q]Q']", "]",         "[",
  };

  for (guint i = 0; i < 50000; i++)
    {
      GString *sql = g_string_new (NULL);
      guint n = g_test_rand_int_range (1, 12);
      g_autofree char *fingerprint = NULL;

      for (guint j = 0; j < n; j++)
        {
          g_string_append (sql, pieces[g_test_rand_int_range (0, G_N_ELEMENTS (pieces))]);
          g_string_append_c (sql, g_test_rand_bit () ? ' ' : '\n');
        }
      if (g_test_rand_bit ())
        g_string_truncate (sql, g_test_rand_int_range (0, sql->len + 1));
      fingerprint = db_sql_fingerprint (sql->str);
      assert_presentable (fingerprint);
      if (strchr (fingerprint, 'Q') != NULL)
        g_test_message ("%s\nbecame\n%s", sql->str, fingerprint);
      g_assert_null (strchr (fingerprint, 'Q'));
      g_string_free (sql, TRUE);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fingerprint/table", test_table);
  g_test_add_func ("/fingerprint/length", test_length);
  g_test_add_func ("/fingerprint/random-bytes", test_random_bytes);
  g_test_add_func ("/fingerprint/random-statements", test_random_statements);
  return g_test_run ();
}
