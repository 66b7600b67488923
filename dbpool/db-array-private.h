/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* PostgreSQL's text form of arrays: {1,NULL,"a \"b\""}, [2:3]={1,2}, {{1,2},{3,4}}. */

#pragma once

#include "db-value-private.h"

/* Writing: a literal is begun with "{", gets values and inner arrays one after the other, and ends
 * when as many arrays were closed as opened. Commas come by themselves. */
void db_array_open (GString *literal);
void db_array_append (GString *literal, const DbValue *value);
void db_array_close (GString *literal);

/* Reading valid UTF-8: an array of maybes, "amx" (mb, mx, md, ms, may by @element), and one "a"
 * more for each dimension above one. Bounds are passed over. A full reference, or NULL if @text is
 * no array of such elements in which all values stand equally deep. */
GVariant *db_array_parse (const char *text, DbValueType element);
