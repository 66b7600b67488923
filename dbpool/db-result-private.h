/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Builds a DbResult column by column while a session reads rows. One thread at a time; finish or
 * free it, never both. Add the cells of a row from left to right, one call for each column; the row
 * is complete with its last cell. */

#pragma once

#include "db-result.h"

typedef struct _DbResultBuilder DbResultBuilder;

DbResultBuilder *db_result_builder_new (guint n_columns);
void db_result_builder_free (DbResultBuilder *self);

/* @type: what the database says of the column; DB_VALUE_TYPE_NULL for "not known": then the cells
 * decide, and cells that differ make the column MIXED (SQLite). */
void db_result_builder_set_column (DbResultBuilder *self,
                                   guint column,
                                   const char *name,
                                   DbValueType type);

void db_result_builder_add_null (DbResultBuilder *self);
void db_result_builder_add_boolean (DbResultBuilder *self, gboolean value);
void db_result_builder_add_int64 (DbResultBuilder *self, gint64 value);
void db_result_builder_add_double (DbResultBuilder *self, double value);
/* @type: TEXT or one of the types that are carried as text. Text that holds a NUL or is no valid
 * UTF-8 is stored as BYTES (the cell, and so the column, then says so). */
void
db_result_builder_add_text (DbResultBuilder *self, DbValueType type, const char *text, gsize size);
void db_result_builder_add_bytes (DbResultBuilder *self, gconstpointer data, gsize size);

/* Consumes @self. @rows_affected and @last_insert_id: -1 where there is none. */
DbResult *
db_result_builder_finish (DbResultBuilder *self, gint64 rows_affected, gint64 last_insert_id);

/* A result without rows and columns, for DB_STATEMENT_NO_ROWS. It is a shared one where that can
 * be, which spares making and freeing an object: results are immutable. */
DbResult *db_result_new_without_rows (gint64 rows_affected, gint64 last_insert_id);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbResultBuilder, db_result_builder_free)
