/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Declared types, by name, and the texts that fit them. No state, no lock.
 *
 * A cell that does not look like what its column declares stays text: whoever reads a DATE may rely
 * on being able to read it as one. */

#include "config.h"

#include <string.h>

#include "db-sqlite-declared-private.h"

static const struct
{
  const char *name;
  DbValueType type;
} declared_types[] = {
  {"BOOLEAN", DB_VALUE_TYPE_BOOLEAN},
  {"BOOL", DB_VALUE_TYPE_BOOLEAN},
  {"DATE", DB_VALUE_TYPE_DATE},
  {"TIME", DB_VALUE_TYPE_TIME},
  {"TIME WITHOUT TIME ZONE", DB_VALUE_TYPE_TIME},
  {"DATETIME", DB_VALUE_TYPE_TIMESTAMP},
  {"TIMESTAMP", DB_VALUE_TYPE_TIMESTAMP},
  {"TIMESTAMP WITHOUT TIME ZONE", DB_VALUE_TYPE_TIMESTAMP},
  {"TIMESTAMPTZ", DB_VALUE_TYPE_TIMESTAMP_TZ},
  {"TIMESTAMP WITH TIME ZONE", DB_VALUE_TYPE_TIMESTAMP_TZ},
  {"UUID", DB_VALUE_TYPE_UUID},
  {"JSON", DB_VALUE_TYPE_JSON},
  {"DECIMAL", DB_VALUE_TYPE_DECIMAL},
  {"NUMERIC", DB_VALUE_TYPE_DECIMAL},
};

/* Longer than any name above. */
#define NAME_SIZE 32

/* Without "(10, 2)", in upper case, with single spaces; empty if it is too long. */
static void
normalize (const char *declared, char name[NAME_SIZE])
{
  gboolean in_brackets = FALSE;
  gsize n = 0;

  for (const char *p = declared; *p != '\0'; p++)
    {
      char c = g_ascii_isspace (*p) || *p == ')' ? ' ' : g_ascii_toupper (*p);

      if (*p == '(' || *p == ')')
        in_brackets = *p == '(';
      if (in_brackets || (c == ' ' && (n == 0 || name[n - 1] == ' ')))
        continue;
      if (n + 1 == NAME_SIZE)
        {
          n = 0;
          break;
        }
      name[n++] = c;
    }
  if (n > 0 && name[n - 1] == ' ')
    n--;
  name[n] = '\0';
}

DbValueType
db_sqlite_declared_parse (const char *declared)
{
  char name[NAME_SIZE];

  /* The first letters of the names; most declarations are INTEGER, TEXT, REAL or BLOB. */
  if (declared == NULL || strchr ("BDTUJNbdtujn \t\n", *declared) == NULL)
    return DB_VALUE_TYPE_NULL;
  normalize (declared, name);
  for (gsize i = 0; i < G_N_ELEMENTS (declared_types); i++)
    if (strcmp (name, declared_types[i].name) == 0)
      return declared_types[i].type;
  return DB_VALUE_TYPE_NULL;
}

static gboolean
holds (const char *upper, const char *word)
{
  return strstr (upper, word) != NULL;
}

DbValueType
db_sqlite_declared_expect (const char *declared)
{
  DbValueType type = db_sqlite_declared_parse (declared);
  g_autofree char *upper = NULL;

  if (type != DB_VALUE_TYPE_NULL || declared == NULL)
    return type;
  /* SQLite's own rules, in their order (sqlite.org/datatype3.html). */
  upper = g_ascii_strup (declared, -1);
  if (holds (upper, "INT"))
    return DB_VALUE_TYPE_INT64;
  if (holds (upper, "CHAR") || holds (upper, "CLOB") || holds (upper, "TEXT"))
    return DB_VALUE_TYPE_TEXT;
  if (holds (upper, "BLOB"))
    return DB_VALUE_TYPE_BYTES;
  if (holds (upper, "REAL") || holds (upper, "FLOA") || holds (upper, "DOUB"))
    return DB_VALUE_TYPE_DOUBLE;
  return DB_VALUE_TYPE_NULL;
}

/* A text that is read from left to right. */
typedef struct
{
  const char *p;
  const char *end;
} Text;

static gboolean
skip_char (Text *text, const char *allowed)
{
  if (text->p == text->end || *text->p == '\0' || strchr (allowed, *text->p) == NULL)
    return FALSE;
  text->p++;
  return TRUE;
}

/* A number of @n digits, at most @max; -1 if there is none. */
static int
read_number (Text *text, int n, int max)
{
  int number = 0;

  if (text->end - text->p < n)
    return -1;
  for (int i = 0; i < n; i++)
    {
      if (!g_ascii_isdigit (text->p[i]))
        return -1;
      number = number * 10 + (text->p[i] - '0');
    }
  text->p += n;
  return number <= max ? number : -1;
}

static gsize
skip_digits (Text *text)
{
  const char *start = text->p;

  while (text->p < text->end && g_ascii_isdigit (*text->p))
    text->p++;
  return (gsize) (text->p - start);
}

static gboolean
read_date (Text *text)
{
  int year = read_number (text, 4, 9999);
  int month = skip_char (text, "-") ? read_number (text, 2, 12) : -1;
  int day = skip_char (text, "-") ? read_number (text, 2, 31) : -1;

  return year > 0 && month > 0 && day > 0 &&
         g_date_valid_dmy ((GDateDay) day, (GDateMonth) month, (GDateYear) year);
}

/* Minutes are needed, seconds and up to six digits behind them may follow. */
static gboolean
read_time (Text *text)
{
  gsize n;

  if (read_number (text, 2, 23) < 0 || !skip_char (text, ":") || read_number (text, 2, 59) < 0)
    return FALSE;
  if (!skip_char (text, ":"))
    return TRUE;
  if (read_number (text, 2, 59) < 0)
    return FALSE;
  if (!skip_char (text, "."))
    return TRUE;
  n = skip_digits (text);
  return n > 0 && n <= 6;
}

/* "Z", "+01", "+0130" or "+01:30". */
static gboolean
read_offset (Text *text)
{
  if (skip_char (text, "Zz"))
    return TRUE;
  if (!skip_char (text, "+-") || read_number (text, 2, 23) < 0)
    return FALSE;
  if (text->p == text->end)
    return TRUE;
  skip_char (text, ":");
  return read_number (text, 2, 59) >= 0;
}

static gboolean
read_decimal (Text *text)
{
  gsize n;

  skip_char (text, "+-");
  n = skip_digits (text);
  if (skip_char (text, "."))
    n += skip_digits (text);
  if (n == 0)
    return FALSE;
  if (!skip_char (text, "eE"))
    return TRUE;
  skip_char (text, "+-");
  return skip_digits (text) > 0;
}

static gboolean
read_uuid (Text *text)
{
  static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

  for (const char *f = form; *f != '\0'; f++)
    if (!skip_char (text, *f == '-' ? "-" : "0123456789abcdefABCDEF"))
      return FALSE;
  return TRUE;
}

gboolean
db_sqlite_declared_fits (DbValueType type, const char *chars, gsize size)
{
  Text text = {chars, chars + size};
  gboolean fits;

  switch ((int) type)
    {
    case DB_VALUE_TYPE_DATE:
      fits = read_date (&text);
      break;
    case DB_VALUE_TYPE_TIME:
      fits = read_time (&text);
      break;
    case DB_VALUE_TYPE_TIMESTAMP:
      fits = read_date (&text) && skip_char (&text, " Tt") && read_time (&text);
      break;
    case DB_VALUE_TYPE_TIMESTAMP_TZ:
      fits =
        read_date (&text) && skip_char (&text, " Tt") && read_time (&text) && read_offset (&text);
      break;
    case DB_VALUE_TYPE_DECIMAL:
      fits = read_decimal (&text);
      break;
    case DB_VALUE_TYPE_UUID:
      fits = read_uuid (&text);
      break;
    case DB_VALUE_TYPE_JSON:
      return TRUE;
    default:
      return FALSE;
    }
  return fits && text.p == text.end;
}
