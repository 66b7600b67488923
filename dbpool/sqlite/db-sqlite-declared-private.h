/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the declared type of a column ("BOOLEAN", "DECIMAL(10,2)") says of its cells. SQLite stores
 * whole numbers, floating-point numbers, text and bytes, and puts any of them into any column. */

#pragma once

#include "db-types.h"

/* One of the types that SQLite has no storage for, or DB_VALUE_TYPE_NULL. @declared may be NULL. */
DbValueType db_sqlite_declared_parse (const char *declared);

/* The type that the cells will probably have; DB_VALUE_TYPE_NULL where nothing is declared. */
DbValueType db_sqlite_declared_expect (const char *declared);

/* Whether a text is one of @type, which db_sqlite_declared_parse() returned. */
gboolean db_sqlite_declared_fits (DbValueType type, const char *text, gsize size);
