/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_PARAMS (db_params_get_type ())
DB_AVAILABLE_IN_1_0
GType db_params_get_type (void) G_GNUC_CONST;

DB_AVAILABLE_IN_1_0
DbParams *db_params_new (void);
DB_AVAILABLE_IN_1_0
DbParams *db_params_new_from_variant (GVariant *values, GError **error);
DB_AVAILABLE_IN_1_0
DbParams *db_params_copy (DbParams *self);
DB_AVAILABLE_IN_1_0
void db_params_free (DbParams *self);

DB_AVAILABLE_IN_1_0
void db_params_add_null (DbParams *self);
DB_AVAILABLE_IN_1_0
void db_params_add_boolean (DbParams *self, gboolean value);
DB_AVAILABLE_IN_1_0
void db_params_add_int64 (DbParams *self, gint64 value);
DB_AVAILABLE_IN_1_0
void db_params_add_double (DbParams *self, double value);
DB_AVAILABLE_IN_1_0
void db_params_add_text (DbParams *self, const char *value);
DB_AVAILABLE_IN_1_0
void db_params_add_bytes (DbParams *self, GBytes *value);
DB_AVAILABLE_IN_1_0
void db_params_add_typed_text (DbParams *self, DbValueType type, const char *value);
DB_AVAILABLE_IN_1_0
void db_params_add_decimal (DbParams *self, const char *value);
DB_AVAILABLE_IN_1_0
void db_params_add_uuid (DbParams *self, const char *value);
DB_AVAILABLE_IN_1_0
void db_params_add_json (DbParams *self, const char *value);
DB_AVAILABLE_IN_1_0
void db_params_add_datetime (DbParams *self, GDateTime *value);
DB_AVAILABLE_IN_1_0
void db_params_open_array (DbParams *self);
DB_AVAILABLE_IN_1_0
void db_params_close_array (DbParams *self);
DB_AVAILABLE_IN_1_0
void db_params_next_row (DbParams *self);

DB_AVAILABLE_IN_1_0
guint db_params_get_n_rows (DbParams *self);
DB_AVAILABLE_IN_1_0
guint db_params_get_n_values (DbParams *self, guint row);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbParams, db_params_free)

G_END_DECLS
