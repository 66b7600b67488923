/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_ERROR_INFO (db_error_info_get_type ())
DB_AVAILABLE_IN_1_0
GType db_error_info_get_type (void) G_GNUC_CONST;

DB_AVAILABLE_IN_1_0
DbErrorInfo *db_error_info_ref (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
void db_error_info_unref (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
const char *db_error_info_get_message (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
const char *db_error_info_get_sqlstate (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
int db_error_info_get_sqlite_code (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
const char *db_error_info_get_severity (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
const char *db_error_info_get_detail (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
const char *db_error_info_get_hint (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
guint db_error_info_get_position (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
const char *db_error_info_get_context (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
const char *db_error_info_get_schema (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
const char *db_error_info_get_table (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
const char *db_error_info_get_column (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
const char *db_error_info_get_data_type (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
const char *db_error_info_get_constraint (DbErrorInfo *self);
DB_AVAILABLE_IN_1_0
DbConstraintKind db_error_info_get_constraint_kind (DbErrorInfo *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbErrorInfo, db_error_info_unref)

G_END_DECLS
