/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-row.h"
#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_RESULT (db_result_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbResult, db_result, DB, RESULT, GObject)

DB_AVAILABLE_IN_1_0
guint db_result_get_n_rows (DbResult *self);
DB_AVAILABLE_IN_1_0
guint db_result_get_n_columns (DbResult *self);
DB_AVAILABLE_IN_1_0
const char *db_result_get_column_name (DbResult *self, guint column);
DB_AVAILABLE_IN_1_0
const char **db_result_get_column_names (DbResult *self);
DB_AVAILABLE_IN_1_0
int db_result_find_column (DbResult *self, const char *name);
DB_AVAILABLE_IN_1_0
DbValueType db_result_get_column_type (DbResult *self, guint column);
DB_AVAILABLE_IN_1_0
DbValueType db_result_get_column_element_type (DbResult *self, guint column);
DB_AVAILABLE_IN_1_0
DbValueType db_result_get_cell_type (DbResult *self, guint row, guint column);

DB_AVAILABLE_IN_1_0
gboolean db_result_is_null (DbResult *self, guint row, guint column);
DB_AVAILABLE_IN_1_0
gboolean db_result_get_boolean (DbResult *self, guint row, guint column);
DB_AVAILABLE_IN_1_0
gint64 db_result_get_int64 (DbResult *self, guint row, guint column);
DB_AVAILABLE_IN_1_0
double db_result_get_double (DbResult *self, guint row, guint column);
DB_AVAILABLE_IN_1_0
const char *db_result_get_text (DbResult *self, guint row, guint column);
DB_AVAILABLE_IN_1_0
GBytes *db_result_get_bytes (DbResult *self, guint row, guint column);
DB_AVAILABLE_IN_1_0
GVariant *db_result_dup_variant (DbResult *self, guint row, guint column);

DB_AVAILABLE_IN_1_0
gint64 *db_result_get_column_int64s (DbResult *self, guint column, gsize *n_values);
DB_AVAILABLE_IN_1_0
double *db_result_get_column_doubles (DbResult *self, guint column, gsize *n_values);
DB_AVAILABLE_IN_1_0
const char **db_result_get_column_texts (DbResult *self, guint column);
DB_AVAILABLE_IN_1_0
guint *db_result_get_column_nulls (DbResult *self, guint column, gsize *n_nulls);
DB_AVAILABLE_IN_1_0
GBytes *db_result_get_column_data (DbResult *self, guint column);

DB_AVAILABLE_IN_1_0
gint64 db_result_get_rows_affected (DbResult *self);
DB_AVAILABLE_IN_1_0
gint64 db_result_get_last_insert_id (DbResult *self);

G_END_DECLS
