/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* How the command writes: colours, numbers for people, and JSON. Knows nothing of databases. */

#include "config.h"

#include "db-tool.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* How deep JSON may nest that tool_json_is_valid() accepts. */
#define MAX_DEPTH 500

gboolean
tool_has_colour (FILE *stream)
{
  const char *no_color = g_getenv ("NO_COLOR");
  const char *term = g_getenv ("TERM");

  return isatty (fileno (stream)) && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
         strcmp (term, "dumb") != 0;
}

const char *
tool_error_nick (const GError *error)
{
  if (error->domain == DB_ERROR)
    {
      g_autoptr (GEnumClass) klass = g_type_class_ref (DB_TYPE_ERROR);
      GEnumValue *value = g_enum_get_value (klass, error->code);

      if (value != NULL)
        return g_intern_string (value->value_nick);
    }
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return "cancelled";
  return g_quark_to_string (error->domain);
}

char *
tool_format_duration (gint64 nanoseconds)
{
  if (nanoseconds < 1000)
    return g_strdup_printf ("%d ns", (int) nanoseconds);
  if (nanoseconds < 1000 * 1000)
    return g_strdup_printf ("%.3g us", nanoseconds / 1e3);
  if (nanoseconds < 1000 * 1000 * 1000)
    return g_strdup_printf ("%.3g ms", nanoseconds / 1e6);
  return g_strdup_printf ("%.2f s", nanoseconds / 1e9);
}

char *
tool_format_count (guint64 count)
{
  g_autofree char *digits = g_strdup_printf ("%" G_GUINT64_FORMAT, count);
  GString *text = g_string_new (NULL);
  gsize length = strlen (digits);

  for (gsize i = 0; i < length; i++)
    {
      if (i > 0 && (length - i) % 3 == 0)
        g_string_append_c (text, ',');
      g_string_append_c (text, digits[i]);
    }
  return g_string_free (text, FALSE);
}

char *
tool_format_double (double number)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  if (isnan (number))
    return g_strdup ("NaN");
  if (isinf (number))
    return g_strdup (number > 0 ? "Infinity" : "-Infinity");
  for (int digits = 15; digits <= 17; digits++)
    {
      char format[8];

      g_snprintf (format, sizeof format, "%%.%dg", digits);
      g_ascii_formatd (text, sizeof text, format, number);
      if (g_ascii_strtod (text, NULL) == number)
        break;
    }
  return g_strdup (text);
}

void
tool_json_init (ToolJson *self)
{
  self->text = g_string_new (NULL);
  self->comma = FALSE;
}

void
tool_json_clear (ToolJson *self)
{
  if (self->text != NULL)
    g_string_free (self->text, TRUE);
  self->text = NULL;
}

static void
append_string (GString *text, const char *value)
{
  g_string_append_c (text, '"');
  for (const guchar *p = (const guchar *) value; *p != '\0'; p++)
    {
      switch (*p)
        {
        case '"':
          g_string_append (text, "\\\"");
          break;
        case '\\':
          g_string_append (text, "\\\\");
          break;
        case '\n':
          g_string_append (text, "\\n");
          break;
        case '\r':
          g_string_append (text, "\\r");
          break;
        case '\t':
          g_string_append (text, "\\t");
          break;
        default:
          if (*p < 0x20 || *p == 0x7f)
            g_string_append_printf (text, "\\u%04x", *p);
          else
            g_string_append_c (text, (char) *p);
          break;
        }
    }
  g_string_append_c (text, '"');
}

static void
begin_value (ToolJson *self, const char *key)
{
  if (self->comma)
    g_string_append_c (self->text, ',');
  self->comma = TRUE;
  if (key != NULL)
    {
      append_string (self->text, key);
      g_string_append_c (self->text, ':');
    }
}

/* @bracket: '{' or '[' */
void
tool_json_begin (ToolJson *self, const char *key, char bracket)
{
  begin_value (self, key);
  g_string_append_c (self->text, bracket);
  self->comma = FALSE;
}

/* @bracket: '}' or ']' */
void
tool_json_end (ToolJson *self, char bracket)
{
  g_string_append_c (self->text, bracket);
  self->comma = TRUE;
}

void
tool_json_add_raw (ToolJson *self, const char *key, const char *json)
{
  begin_value (self, key);
  g_string_append (self->text, json);
}

void
tool_json_add_null (ToolJson *self, const char *key)
{
  tool_json_add_raw (self, key, "null");
}

void
tool_json_add_boolean (ToolJson *self, const char *key, gboolean value)
{
  tool_json_add_raw (self, key, value ? "true" : "false");
}

void
tool_json_add_int64 (ToolJson *self, const char *key, gint64 value)
{
  begin_value (self, key);
  g_string_append_printf (self->text, "%" G_GINT64_FORMAT, value);
}

void
tool_json_add_double (ToolJson *self, const char *key, double value)
{
  g_autofree char *text = tool_format_double (value);

  if (isfinite (value))
    tool_json_add_raw (self, key, text);
  else
    tool_json_add_string (self, key, text);
}

void
tool_json_add_rounded (ToolJson *self, const char *key, double value, int decimals)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  char format[8];

  g_snprintf (format, sizeof format, "%%.%df", decimals);
  tool_json_add_raw (self, key, g_ascii_formatd (text, sizeof text, format, value));
}

void
tool_json_add_string (ToolJson *self, const char *key, const char *value)
{
  g_autofree char *valid = g_utf8_make_valid (value, -1);

  begin_value (self, key);
  append_string (self->text, valid);
}

static const char *skip_value (const char *p, int depth);

static const char *
skip_space (const char *p)
{
  return p + strspn (p, " \t\r\n");
}

static const char *
skip_digits (const char *p)
{
  return g_ascii_isdigit (*p) ? p + strspn (p, "0123456789") : NULL;
}

static const char *
skip_number (const char *p)
{
  if (*p == '-')
    p++;
  p = *p == '0' ? p + 1 : skip_digits (p);
  if (p != NULL && *p == '.')
    p = skip_digits (p + 1);
  if (p != NULL && (*p == 'e' || *p == 'E'))
    p = skip_digits (p + (p[1] == '+' || p[1] == '-' ? 2 : 1));
  return p;
}

static const char *
skip_string (const char *p)
{
  if (*p++ != '"')
    return NULL;
  for (; *p != '"'; p++)
    {
      if ((guchar) *p < 0x20)
        return NULL;
      if (*p != '\\')
        continue;
      p++;
      if (*p == 'u')
        {
          for (int i = 0; i < 4; i++)
            if (!g_ascii_isxdigit (*++p))
              return NULL;
        }
      else if (*p == '\0' || strchr ("\"\\/bfnrt", *p) == NULL)
        return NULL;
    }
  return p + 1;
}

/* @p is behind the opening bracket. */
static const char *
skip_members (const char *p, char closing, int depth)
{
  p = skip_space (p);
  if (*p == closing)
    return p + 1;
  for (;;)
    {
      if (closing == '}')
        {
          p = skip_string (skip_space (p));
          if (p == NULL || *(p = skip_space (p)) != ':')
            return NULL;
          p++;
        }
      p = skip_value (p, depth);
      if (p == NULL)
        return NULL;
      p = skip_space (p);
      if (*p == closing)
        return p + 1;
      if (*p++ != ',')
        return NULL;
    }
}

static const char *
skip_value (const char *p, int depth)
{
  static const char *const words[] = {"true", "false", "null"};

  p = skip_space (p);
  if (depth == MAX_DEPTH)
    return NULL;
  if (*p == '{' || *p == '[')
    return skip_members (p + 1, *p == '{' ? '}' : ']', depth + 1);
  if (*p == '"')
    return skip_string (p);
  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    {
      if (g_str_has_prefix (p, words[i]))
        return p + strlen (words[i]);
    }
  return skip_number (p);
}

gboolean
tool_json_is_valid (const char *text)
{
  const char *end = skip_value (text, 0);

  return end != NULL && *skip_space (end) == '\0';
}
