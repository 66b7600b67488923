/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One SQL value as parameters carry it: a type and a payload that is borrowed from its DbParams.
 * TEXT, DECIMAL, DATE … JSON use @text (zero-terminated, @size without the zero); BYTES uses @text
 * and @size; BOOLEAN and INT64 use @integer. */

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
