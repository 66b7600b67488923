/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_ROW (db_row_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbRow, db_row, DB, ROW, GObject)

DB_AVAILABLE_IN_1_0
DbResult *db_row_get_result (DbRow *self);
DB_AVAILABLE_IN_1_0
guint db_row_get_position (DbRow *self);
DB_AVAILABLE_IN_1_0
gboolean db_row_is_null (DbRow *self, guint column);
DB_AVAILABLE_IN_1_0
gboolean db_row_get_boolean (DbRow *self, guint column);
DB_AVAILABLE_IN_1_0
gint64 db_row_get_int64 (DbRow *self, guint column);
DB_AVAILABLE_IN_1_0
double db_row_get_double (DbRow *self, guint column);
DB_AVAILABLE_IN_1_0
const char *db_row_get_text (DbRow *self, guint column);
DB_AVAILABLE_IN_1_0
GBytes *db_row_get_bytes (DbRow *self, guint column);
DB_AVAILABLE_IN_1_0
GVariant *db_row_dup_variant (DbRow *self, guint column);

G_END_DECLS
