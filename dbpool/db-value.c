/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Single values as text: what parameters, results and sessions have in common. No state, no lock.
 */

#include "config.h"

#include "db-value-private.h"

#include <math.h>
#include <string.h>

gboolean
db_value_type_is_text (DbValueType type)
{
  switch (type)
    {
    case DB_VALUE_TYPE_TEXT:
    case DB_VALUE_TYPE_DECIMAL:
    case DB_VALUE_TYPE_DATE:
    case DB_VALUE_TYPE_TIME:
    case DB_VALUE_TYPE_TIMESTAMP:
    case DB_VALUE_TYPE_TIMESTAMP_TZ:
    case DB_VALUE_TYPE_UUID:
    case DB_VALUE_TYPE_JSON:
    case DB_VALUE_TYPE_ARRAY:
      return TRUE;
    case DB_VALUE_TYPE_NULL:
    case DB_VALUE_TYPE_BOOLEAN:
    case DB_VALUE_TYPE_INT64:
    case DB_VALUE_TYPE_DOUBLE:
    case DB_VALUE_TYPE_BYTES:
    case DB_VALUE_TYPE_MIXED:
    default:
      return FALSE;
    }
}

void
db_value_format_double (double value, char buffer[DB_VALUE_DOUBLE_SIZE])
{
  static const char *const formats[] = {"%.15g", "%.16g", "%.17g"};

  if (isnan (value))
    {
      strcpy (buffer, "NaN");
      return;
    }
  if (isinf (value))
    {
      strcpy (buffer, value > 0 ? "Infinity" : "-Infinity");
      return;
    }
  for (gsize i = 0; i < G_N_ELEMENTS (formats); i++)
    {
      double back;

      g_ascii_formatd (buffer, DB_VALUE_DOUBLE_SIZE, formats[i], value);
      back = g_ascii_strtod (buffer, NULL);
      if (memcmp (&back, &value, sizeof value) == 0)
        return;
    }
}

void
db_value_append_hex (GString *text, gconstpointer data, gsize size)
{
  static const char digits[] = "0123456789abcdef";
  const guint8 *bytes = data;
  gsize start = text->len + 2;

  g_string_append (text, "\\x");
  g_string_set_size (text, start + 2 * size);
  for (gsize i = 0; i < size; i++)
    {
      text->str[start + 2 * i] = digits[bytes[i] >> 4];
      text->str[start + 2 * i + 1] = digits[bytes[i] & 0xf];
    }
}
