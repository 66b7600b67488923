/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_DESCRIPTION (db_description_get_type ())
DB_AVAILABLE_IN_1_0
GType db_description_get_type (void) G_GNUC_CONST;

DB_AVAILABLE_IN_1_0
DbDescription *db_description_copy (DbDescription *self);
DB_AVAILABLE_IN_1_0
void db_description_free (DbDescription *self);
DB_AVAILABLE_IN_1_0
guint db_description_get_n_params (DbDescription *self);
DB_AVAILABLE_IN_1_0
DbValueType db_description_get_param_type (DbDescription *self, guint param);
DB_AVAILABLE_IN_1_0
const char *db_description_get_param_type_name (DbDescription *self, guint param);
DB_AVAILABLE_IN_1_0
guint db_description_get_n_columns (DbDescription *self);
DB_AVAILABLE_IN_1_0
const char *db_description_get_column_name (DbDescription *self, guint column);
DB_AVAILABLE_IN_1_0
DbValueType db_description_get_column_type (DbDescription *self, guint column);
DB_AVAILABLE_IN_1_0
const char *db_description_get_column_type_name (DbDescription *self, guint column);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbDescription, db_description_free)

G_END_DECLS
