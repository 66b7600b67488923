/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Writes and reads PostgreSQL's text form of arrays. The reader takes whatever bytes it is given:
 * the text may come from a database that nobody trusts. It goes over a text twice, once to find out
 * whether it is an array and how deep, and once to build the value. No state outside of the
 * caller's stack, no lock. */

#include "config.h"

#include "db-array-private.h"

#include <errno.h>
#include <string.h>

/* PostgreSQL's own limit is 6. */
#define MAX_DEPTH 16

typedef enum
{
  TOKEN_OPEN,
  TOKEN_CLOSE,
  TOKEN_VALUE,
  TOKEN_NULL,
  TOKEN_END,
  TOKEN_ERROR,
} Token;

typedef struct
{
  const char *next;
  guint depth;
  gboolean opened; /* the last token was "{": "}" may follow at once */
  gboolean ended;  /* the last token ended a value or an array: "," or "}" follows */
  GString *value;  /* of the last TOKEN_VALUE */
} Reader;

static void
append_separator (GString *literal)
{
  /* Every value but a number, a boolean and NULL ends with a quote. */
  if (literal->len > 0 && literal->str[literal->len - 1] != '{')
    g_string_append_c (literal, ',');
}

static void
append_quoted (GString *literal, const char *text, gsize size)
{
  const char *end = text + size;

  g_string_append_c (literal, '"');
  while (text < end)
    {
      const char *special = text;

      while (special < end && *special != '"' && *special != '\\')
        special++;
      g_string_append_len (literal, text, special - text);
      if (special < end)
        {
          g_string_append_c (literal, '\\');
          g_string_append_c (literal, *special++);
        }
      text = special;
    }
  g_string_append_c (literal, '"');
}

void
db_array_open (GString *literal)
{
  append_separator (literal);
  g_string_append_c (literal, '{');
}

void
db_array_close (GString *literal)
{
  g_string_append_c (literal, '}');
}

void
db_array_append (GString *literal, const DbValue *value)
{
  char number[DB_VALUE_DOUBLE_SIZE];

  append_separator (literal);
  switch (value->type)
    {
    case DB_VALUE_TYPE_NULL:
      g_string_append (literal, "NULL");
      break;
    case DB_VALUE_TYPE_BOOLEAN:
      g_string_append_c (literal, value->integer ? 't' : 'f');
      break;
    case DB_VALUE_TYPE_INT64:
      g_string_append_printf (literal, "%" G_GINT64_FORMAT, value->integer);
      break;
    case DB_VALUE_TYPE_DOUBLE:
      db_value_format_double (value->real, number);
      g_string_append (literal, number);
      break;
    case DB_VALUE_TYPE_BYTES:
      g_string_append (literal, "\"\\");
      db_value_append_hex (literal, value->text, value->size);
      g_string_append_c (literal, '"');
      break;
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
      append_quoted (literal, value->text, value->size);
    }
}

static void
skip_space (Reader *self)
{
  while (g_ascii_isspace (*self->next))
    self->next++;
}

static gboolean
skip_number (Reader *self)
{
  const char *start;

  if (*self->next == '-' || *self->next == '+')
    self->next++;
  start = self->next;
  while (g_ascii_isdigit (*self->next))
    self->next++;
  return self->next > start;
}

/* "[2:3][0:1]=" in front of the array. */
static gboolean
skip_bounds (Reader *self)
{
  skip_space (self);
  if (*self->next != '[')
    return TRUE;
  while (*self->next == '[')
    {
      self->next++;
      if (!skip_number (self))
        return FALSE;
      if (*self->next == ':')
        {
          self->next++;
          if (!skip_number (self))
            return FALSE;
        }
      if (*self->next++ != ']')
        return FALSE;
      skip_space (self);
    }
  return *self->next++ == '=';
}

static Token
read_quoted (Reader *self)
{
  for (self->next++; *self->next != '"'; self->next++)
    {
      if (*self->next == '\\')
        self->next++;
      if (*self->next == '\0')
        return TOKEN_ERROR;
      g_string_append_c (self->value, *self->next);
    }
  self->next++;
  return TOKEN_VALUE;
}

static Token
read_plain (Reader *self)
{
  gsize length = 0; /* without the space at the end */
  gboolean escaped = FALSE;

  for (; strchr (",{}\"", *self->next) == NULL; self->next++)
    {
      gboolean escape = *self->next == '\\';

      if (escape)
        {
          escaped = TRUE;
          if (*++self->next == '\0')
            return TOKEN_ERROR;
        }
      g_string_append_c (self->value, *self->next);
      if (escape || !g_ascii_isspace (*self->next))
        length = self->value->len;
    }
  g_string_truncate (self->value, length);
  if (length == 0)
    return TOKEN_ERROR;
  return !escaped && g_ascii_strcasecmp (self->value->str, "NULL") == 0 ? TOKEN_NULL : TOKEN_VALUE;
}

static Token
read_close (Reader *self)
{
  if (self->depth == 0 || !(self->opened || self->ended))
    return TOKEN_ERROR;
  self->next++;
  self->depth--;
  self->opened = FALSE;
  self->ended = TRUE;
  return TOKEN_CLOSE;
}

static Token
read_open (Reader *self)
{
  if (self->depth == MAX_DEPTH)
    return TOKEN_ERROR;
  self->next++;
  self->depth++;
  self->opened = TRUE;
  return TOKEN_OPEN;
}

static Token
read_token (Reader *self)
{
  Token token;

  skip_space (self);
  if (self->ended && self->depth == 0)
    return *self->next == '\0' ? TOKEN_END : TOKEN_ERROR;
  if (*self->next == '}')
    return read_close (self);
  if (self->ended)
    {
      if (*self->next++ != ',')
        return TOKEN_ERROR;
      self->ended = FALSE;
      skip_space (self);
    }
  if (*self->next == '{')
    return read_open (self);
  if (self->depth == 0 || *self->next == '\0')
    return TOKEN_ERROR;

  g_string_truncate (self->value, 0);
  token = *self->next == '"' ? read_quoted (self) : read_plain (self);
  self->opened = FALSE;
  self->ended = TRUE;
  return token;
}

/* How deep the values stand; 0 if @text is no array. */
static guint
find_depth (Reader *self)
{
  guint depth = 0;

  while (TRUE)
    {
      gboolean opened = self->opened;
      guint level = self->depth;

      switch (read_token (self))
        {
        case TOKEN_OPEN:
          continue;
        case TOKEN_CLOSE:
          if (!opened)
            continue;
          break; /* an empty array stands where values would */
        case TOKEN_VALUE:
        case TOKEN_NULL:
          break;
        case TOKEN_END:
          return depth;
        case TOKEN_ERROR:
        default:
          return 0;
        }
      if (depth != 0 && depth != level)
        return 0;
      depth = level;
    }
}

/* As hexadecimal digits, or as the server writes bytes when its bytea_output is "escape". */
static gssize
decode_bytes (const char *text, gsize size, guint8 *bytes)
{
  gsize n = 0;

  if (g_str_has_prefix (text, "\\x"))
    {
      for (gsize i = 2; i < size; i += 2)
        {
          int high = g_ascii_xdigit_value (text[i]);
          int low = g_ascii_xdigit_value (text[i + 1]);

          if (high < 0 || low < 0)
            return -1;
          bytes[n++] = (guint8) (high << 4 | low);
        }
      return (gssize) n;
    }
  for (gsize i = 0; i < size; i++)
    {
      guint8 byte = (guint8) text[i];

      if (byte == '\\' && text[i + 1] == '\\')
        {
          i++;
        }
      else if (byte == '\\')
        {
          if (strspn (text + i + 1, "01234567") < 3 || text[i + 1] > '3')
            return -1;
          byte =
            (guint8) ((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
          i += 3;
        }
      bytes[n++] = byte;
    }
  return (gssize) n;
}

static GVariant *
parse_bytes (const char *text, gsize size)
{
  g_autofree guint8 *bytes = g_malloc (size + 1);
  gssize n = decode_bytes (text, size, bytes);

  return n >= 0 ? g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, (gsize) n, 1) : NULL;
}

static GVariant *
parse_number (const char *text, DbValueType element)
{
  char *end;
  gint64 integer;
  double real;

  if (element == DB_VALUE_TYPE_DOUBLE)
    {
      real = g_ascii_strtod (text, &end);
      return end != text && *end == '\0' ? g_variant_new_double (real) : NULL;
    }
  errno = 0;
  integer = g_ascii_strtoll (text, &end, 10);
  return errno == 0 && end != text && *end == '\0' ? g_variant_new_int64 (integer) : NULL;
}

static GVariant *
parse_element (const char *text, gsize size, DbValueType element)
{
  if (element == DB_VALUE_TYPE_BYTES)
    return parse_bytes (text, size);
  if (element == DB_VALUE_TYPE_INT64 || element == DB_VALUE_TYPE_DOUBLE)
    return parse_number (text, element);
  if (element != DB_VALUE_TYPE_BOOLEAN)
    return g_variant_new_string (text);
  if (strcmp (text, "t") == 0 || strcmp (text, "true") == 0)
    return g_variant_new_boolean (TRUE);
  if (strcmp (text, "f") == 0 || strcmp (text, "false") == 0)
    return g_variant_new_boolean (FALSE);
  return NULL;
}

static const GVariantType *
variant_type_of (DbValueType element)
{
  switch (element)
    {
    case DB_VALUE_TYPE_BOOLEAN:
      return G_VARIANT_TYPE_BOOLEAN;
    case DB_VALUE_TYPE_INT64:
      return G_VARIANT_TYPE_INT64;
    case DB_VALUE_TYPE_DOUBLE:
      return G_VARIANT_TYPE_DOUBLE;
    case DB_VALUE_TYPE_BYTES:
      return G_VARIANT_TYPE_BYTESTRING;
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
      return G_VARIANT_TYPE_STRING;
    }
}

/* @types: of an array at each depth, from 1. FALSE for a value that is not of the type @element. */
static gboolean
build (Reader *self, GVariantBuilder *builder, GVariantType **types, DbValueType element)
{
  GVariant *value;

  while (TRUE)
    switch (read_token (self))
      {
      case TOKEN_OPEN:
        if (self->depth > 1)
          g_variant_builder_open (builder, types[self->depth]);
        break;
      case TOKEN_CLOSE:
        if (self->depth > 0)
          g_variant_builder_close (builder);
        break;
      case TOKEN_NULL:
        g_variant_builder_add_value (builder,
                                     g_variant_new_maybe (variant_type_of (element), NULL));
        break;
      case TOKEN_VALUE:
        value = parse_element (self->value->str, self->value->len, element);
        if (value == NULL)
          return FALSE;
        g_variant_builder_add_value (builder, g_variant_new_maybe (NULL, value));
        break;
      case TOKEN_END:
        return TRUE;
      case TOKEN_ERROR:
      default:
        return FALSE;
      }
}

static GVariant *
build_array (Reader *self, guint depth, DbValueType element)
{
  GVariantType *types[MAX_DEPTH + 1];
  GVariantBuilder builder;
  GVariant *array = NULL;
  GVariantType *maybe = g_variant_type_new_maybe (variant_type_of (element));

  types[depth] = g_variant_type_new_array (maybe);
  for (guint i = depth; i > 1; i--)
    types[i - 1] = g_variant_type_new_array (types[i]);
  g_variant_builder_init (&builder, types[1]);
  if (build (self, &builder, types, element))
    array = g_variant_ref_sink (g_variant_builder_end (&builder));
  else
    g_variant_builder_clear (&builder);
  for (guint i = 1; i <= depth; i++)
    g_variant_type_free (types[i]);
  g_variant_type_free (maybe);
  return array;
}

GVariant *
db_array_parse (const char *text, DbValueType element)
{
  g_autoptr (GString) value = g_string_new (NULL);
  Reader reader = {.next = text, .value = value};
  Reader start;
  guint depth;

  if (!skip_bounds (&reader))
    return NULL;
  start = reader;
  depth = find_depth (&reader);
  return depth > 0 ? build_array (&start, depth, element) : NULL;
}
