/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One SQL value as parameters carry it: a type and a payload that is borrowed from its DbParams.
 * TEXT, DECIMAL, DATE … JSON, ARRAY use @text (zero-terminated, @size without the zero); BYTES uses
 * @text and @size; BOOLEAN and INT64 use @integer. */

#pragma once

#include "db-types.h"

typedef struct
{
  DbValueType type;
  union
  {
    gint64 integer;
    double real;
    struct
    {
      const char *text;
      gsize size;
    };
  };
} DbValue;

/* The types that are carried as text, ARRAY among them. */
gboolean db_value_type_is_text (DbValueType type);

#define DB_VALUE_DOUBLE_SIZE G_ASCII_DTOSTR_BUF_SIZE

/* The shortest decimal of 15 to 17 digits that reads back as the same number; the words for the
 * rest are PostgreSQL's: NaN, Infinity, -Infinity. */
void db_value_format_double (double value, char buffer[DB_VALUE_DOUBLE_SIZE]);

/* Appends bytes as PostgreSQL writes them: \x and hexadecimal digits. */
void db_value_append_hex (GString *text, gconstpointer data, gsize size);
