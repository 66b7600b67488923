/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Writes results: a table for people, CSV and JSON for programs. All three take the values from
 * cell_to_text(), so that a value looks the same everywhere but for what the format asks. */

#include "config.h"

#include "db-tool.h"

#include <string.h>

/* How many characters are collected before they are written. */
#define CHUNK 65536

static const char bold[] = "\033[1m";
static const char dim[] = "\033[2m";
static const char plain[] = "\033[0m";

static char *
bytes_to_hex (GBytes *bytes)
{
  static const char digits[] = "0123456789abcdef";
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  char *text = g_malloc (2 + 2 * size + 1);
  char *p = text;

  *p++ = '\\';
  *p++ = 'x';
  for (gsize i = 0; i < size; i++)
    {
      *p++ = digits[data[i] >> 4];
      *p++ = digits[data[i] & 15];
    }
  *p = '\0';
  return text;
}

/* NULL for SQL NULL. */
static char *
cell_to_text (DbResult *result, guint row, guint column)
{
  g_autoptr (GBytes) bytes = NULL;

  switch (db_result_get_cell_type (result, row, column))
    {
    case DB_VALUE_TYPE_NULL:
      return NULL;
    case DB_VALUE_TYPE_BOOLEAN:
      return g_strdup (db_result_get_boolean (result, row, column) ? "true" : "false");
    case DB_VALUE_TYPE_INT64:
      return g_strdup_printf ("%" G_GINT64_FORMAT, db_result_get_int64 (result, row, column));
    case DB_VALUE_TYPE_DOUBLE:
      return tool_format_double (db_result_get_double (result, row, column));
    case DB_VALUE_TYPE_BYTES:
      bytes = db_result_get_bytes (result, row, column);
      return bytes_to_hex (bytes);
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
      return g_strdup (db_result_get_text (result, row, column));
    }
}

static void
flush_chunk (GString *out, gsize limit)
{
  if (out->len < limit)
    return;
  fwrite (out->str, 1, out->len, stdout);
  g_string_truncate (out, 0);
}

/* Makes every character of @text visible and one line of it: a table is no place for what moves the
 * cursor. */
static char *
escape_for_table (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *escaped = g_string_new (NULL);

  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if (c == '\n')
        g_string_append (escaped, "\\n");
      else if (c == '\t')
        g_string_append (escaped, "\\t");
      else if (c == '\r')
        g_string_append (escaped, "\\r");
      else if (g_unichar_iscntrl (c))
        g_string_append_printf (escaped, "\\x%02x", c);
      else
        g_string_append_unichar (escaped, c);
    }
  return g_string_free (escaped, FALSE);
}

/* How many columns of a terminal @text fills. */
static guint
display_width (const char *text)
{
  guint width = 0;

  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if (!g_unichar_iszerowidth (c))
        width += g_unichar_iswide (c) ? 2 : 1;
    }
  return width;
}

static void
append_padded (GString *out, const char *text, guint width, gboolean right, const char *style)
{
  guint padding = width - display_width (text);

  g_string_append_c (out, ' ');
  for (guint i = 0; right && i < padding; i++)
    g_string_append_c (out, ' ');
  if (style != NULL)
    g_string_append (out, style);
  g_string_append (out, text);
  if (style != NULL)
    g_string_append (out, plain);
  for (guint i = 0; !right && i < padding; i++)
    g_string_append_c (out, ' ');
  g_string_append_c (out, ' ');
}

static gboolean
is_number (DbValueType type)
{
  return type == DB_VALUE_TYPE_INT64 || type == DB_VALUE_TYPE_DOUBLE ||
         type == DB_VALUE_TYPE_DECIMAL;
}

static void
trim_line (GString *out)
{
  while (out->len > 0 && out->str[out->len - 1] == ' ')
    g_string_truncate (out, out->len - 1);
  g_string_append_c (out, '\n');
}

static void
append_table_head (GString *out, GPtrArray *names, const guint *widths, gboolean colour)
{
  for (guint column = 0; column < names->len; column++)
    {
      g_string_append (out, column > 0 ? "|" : "");
      append_padded (out, names->pdata[column], widths[column], FALSE, colour ? bold : NULL);
    }
  trim_line (out);
  for (guint column = 0; column < names->len; column++)
    {
      g_string_append (out, column > 0 ? "+" : "");
      for (guint i = 0; i < widths[column] + 2; i++)
        g_string_append_c (out, '-');
    }
  g_string_append_c (out, '\n');
}

static void
print_table (DbResult *result, const char *null_text)
{
  const guint n_columns = db_result_get_n_columns (result);
  const guint n_rows = db_result_get_n_rows (result);
  const gboolean colour = tool_has_colour (stdout);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) cells = g_ptr_array_new_with_free_func (g_free); /* NULL for SQL NULL */
  g_autofree guint *widths = g_new0 (guint, n_columns);
  g_autoptr (GString) out = g_string_new (NULL);

  for (guint column = 0; column < n_columns; column++)
    {
      g_ptr_array_add (names, escape_for_table (db_result_get_column_name (result, column)));
      widths[column] = display_width (names->pdata[column]);
    }
  for (guint row = 0; row < n_rows; row++)
    for (guint column = 0; column < n_columns; column++)
      {
        g_autofree char *text = cell_to_text (result, row, column);
        char *cell = text != NULL ? escape_for_table (text) : NULL;
        guint width = display_width (cell != NULL ? cell : null_text);

        g_ptr_array_add (cells, cell);
        widths[column] = MAX (widths[column], width);
      }

  append_table_head (out, names, widths, colour);
  for (guint row = 0; row < n_rows; row++)
    {
      for (guint column = 0; column < n_columns; column++)
        {
          const char *cell = cells->pdata[row * (gsize) n_columns + column];

          g_string_append (out, column > 0 ? "|" : "");
          append_padded (out, cell != NULL ? cell : null_text, widths[column],
                         is_number (db_result_get_cell_type (result, row, column)),
                         cell == NULL && colour ? dim : NULL);
        }
      trim_line (out);
      flush_chunk (out, CHUNK);
    }
  g_string_append_printf (out, "(%u row%s)\n", n_rows, n_rows == 1 ? "" : "s");
  flush_chunk (out, 0);
}

/* RFC 4180, with lines that end in LF. Empty text is quoted, so that it differs from NULL. */
static void
append_csv_field (GString *out, const char *text)
{
  if (text[0] != '\0' && strpbrk (text, ",\"\r\n") == NULL)
    {
      g_string_append (out, text);
      return;
    }
  g_string_append_c (out, '"');
  for (const char *p = text; *p != '\0'; p++)
    {
      if (*p == '"')
        g_string_append_c (out, '"');
      g_string_append_c (out, *p);
    }
  g_string_append_c (out, '"');
}

static void
print_csv (DbResult *result, const char *null_text)
{
  const guint n_columns = db_result_get_n_columns (result);
  const guint n_rows = db_result_get_n_rows (result);
  g_autoptr (GString) out = g_string_new (NULL);

  for (guint column = 0; column < n_columns; column++)
    {
      g_string_append (out, column > 0 ? "," : "");
      append_csv_field (out, db_result_get_column_name (result, column));
    }
  g_string_append_c (out, '\n');
  for (guint row = 0; row < n_rows; row++)
    {
      for (guint column = 0; column < n_columns; column++)
        {
          g_autofree char *text = cell_to_text (result, row, column);

          g_string_append (out, column > 0 ? "," : "");
          if (text != NULL)
            append_csv_field (out, text);
          else
            g_string_append (out, null_text);
        }
      g_string_append_c (out, '\n');
      flush_chunk (out, CHUNK);
    }
  flush_chunk (out, 0);
}

static void
add_json_cell (ToolJson *json, const char *key, DbResult *result, guint row, guint column)
{
  const DbValueType type = db_result_get_cell_type (result, row, column);
  g_autofree char *text = cell_to_text (result, row, column);

  if (text == NULL)
    tool_json_add_null (json, key);
  else if (type == DB_VALUE_TYPE_BOOLEAN || type == DB_VALUE_TYPE_INT64)
    tool_json_add_raw (json, key, text);
  else if (type == DB_VALUE_TYPE_DOUBLE)
    tool_json_add_double (json, key, db_result_get_double (result, row, column));
  else if ((type == DB_VALUE_TYPE_DECIMAL || type == DB_VALUE_TYPE_JSON) &&
           tool_json_is_valid (text))
    tool_json_add_raw (json, key, text);
  else
    tool_json_add_string (json, key, text);
}

/* The keys of the rows' objects: the columns' names, each of them once ("a", "a_2"). */
static GPtrArray *
make_keys (DbResult *result)
{
  GPtrArray *keys = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GHashTable) known = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint column = 0; column < db_result_get_n_columns (result); column++)
    {
      const char *name = db_result_get_column_name (result, column);
      char *key = g_strdup (name);

      for (guint n = 2; g_hash_table_contains (known, key); n++)
        {
          g_free (key);
          key = g_strdup_printf ("%s_%u", name, n);
        }
      g_hash_table_add (known, key);
      g_ptr_array_add (keys, key);
    }
  return keys;
}

static void
print_json (DbResult *result)
{
  const guint n_rows = db_result_get_n_rows (result);
  g_autoptr (GPtrArray) keys = make_keys (result);
  g_auto (ToolJson) json = {NULL};

  tool_json_init (&json);
  g_string_append_c (json.text, '[');
  for (guint row = 0; row < n_rows; row++)
    {
      json.comma = FALSE;
      g_string_append (json.text, row > 0 ? ",\n " : "");
      tool_json_begin (&json, NULL, '{');
      for (guint column = 0; column < keys->len; column++)
        add_json_cell (&json, keys->pdata[column], result, row, column);
      tool_json_end (&json, '}');
      flush_chunk (json.text, CHUNK);
    }
  g_string_append (json.text, "]\n");
  flush_chunk (json.text, 0);
}

/* A statement without columns: what it did. */
static void
print_effect (DbResult *result, ToolFormat format)
{
  const gint64 n = db_result_get_rows_affected (result);

  if (format == TOOL_FORMAT_JSON)
    printf ("{\"rows_affected\":%" G_GINT64_FORMAT "}\n", n);
  else if (format == TOOL_FORMAT_TABLE)
    printf ("%" G_GINT64_FORMAT " row%s affected\n", n, n == 1 ? "" : "s");
}

void
tool_print_result (DbResult *result, ToolFormat format, const char *null_text)
{
  if (db_result_get_n_columns (result) == 0)
    {
      print_effect (result, format);
      return;
    }
  switch (format)
    {
    case TOOL_FORMAT_TABLE:
      print_table (result, null_text != NULL ? null_text : "NULL");
      break;
    case TOOL_FORMAT_CSV:
      print_csv (result, null_text != NULL ? null_text : "");
      break;
    case TOOL_FORMAT_JSON:
    default:
      print_json (result);
      break;
    }
}
