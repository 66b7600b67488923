/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Builds a DbResult column by column while a session reads rows. One thread at a time; finish or
 * free it, never both. Add the cells of a row from left to right, one call for each column; the row
 * is complete with its last cell. */

#pragma once

#include "db-result.h"

typedef struct _DbResultBuilder DbResultBuilder;
typedef struct _DbResultShape DbResultShape;

DbResultBuilder *db_result_builder_new (guint n_columns);
/* For a session that keeps what it knows of a statement's columns: they are neither copied nor
 * checked again. Takes a reference on @shape. */
DbResultBuilder *db_result_builder_new_shared (DbResultShape *shape);
void db_result_builder_free (DbResultBuilder *self);

/* The names and types of columns, to be shared by results; immutable once a builder has it, and
 * then free for all threads. */
DbResultShape *db_result_shape_new (guint n_columns);
DbResultShape *db_result_shape_ref (DbResultShape *self);
void db_result_shape_unref (DbResultShape *self);
/* For who made it, instead of unref. */
void db_result_shape_retire (DbResultShape *self);
guint db_result_shape_get_n_columns (DbResultShape *self);
/* As db_result_builder_set_column() and db_result_builder_set_element_type() do. */
void db_result_shape_set_column (DbResultShape *self,
                                 guint column,
                                 const char *name,
                                 DbValueType type,
                                 DbValueType element);

/* @type: what the database says of the column; DB_VALUE_TYPE_NULL for "not known": then the cells
 * decide, and cells that differ make the column MIXED (SQLite). */
void db_result_builder_set_column (DbResultBuilder *self,
                                   guint column,
                                   const char *name,
                                   DbValueType type);

/* @type: of the elements of a column of DB_VALUE_TYPE_ARRAY. */
void db_result_builder_set_element_type (DbResultBuilder *self, guint column, DbValueType type);

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

/* How much memory the cells, columns and texts take, in bytes; 0 without columns. For a result that
 * is being built, and for one that is finished: what a builder says of the last row does not change
 * any more. */
gsize db_result_builder_get_size (DbResultBuilder *self);
gsize db_result_get_size (DbResult *self);

/* A result without rows and columns, for DB_STATEMENT_NO_ROWS. It is a shared one where that can
 * be, which spares making and freeing an object: results are immutable. */
DbResult *db_result_new_without_rows (gint64 rows_affected, gint64 last_insert_id);

/* A result with some of the rows of another one. */
DbResult *db_result_slice (DbResult *self, guint first, guint n_rows);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbResultBuilder, db_result_builder_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbResultShape, db_result_shape_unref)
