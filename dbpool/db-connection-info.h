/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_CONNECTION_INFO (db_connection_info_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbConnectionInfo, db_connection_info, DB, CONNECTION_INFO, GObject)

DB_AVAILABLE_IN_1_0
guint64 db_connection_info_get_id (DbConnectionInfo *self);
DB_AVAILABLE_IN_1_0
DbConnectionState db_connection_info_get_state (DbConnectionInfo *self);
DB_AVAILABLE_IN_1_0
gint64 db_connection_info_get_created (DbConnectionInfo *self);
DB_AVAILABLE_IN_1_0
gint64 db_connection_info_get_since (DbConnectionInfo *self);
DB_AVAILABLE_IN_1_0
guint db_connection_info_get_uses (DbConnectionInfo *self);
DB_AVAILABLE_IN_1_0
char *db_connection_info_dup_tag (DbConnectionInfo *self);
DB_AVAILABLE_IN_1_0
guint db_connection_info_get_thread (DbConnectionInfo *self);
DB_AVAILABLE_IN_1_0
char *db_connection_info_dup_statement (DbConnectionInfo *self);
DB_AVAILABLE_IN_1_0
char *db_connection_info_dup_activity (DbConnectionInfo *self);
DB_AVAILABLE_IN_1_0
void db_connection_info_evict (DbConnectionInfo *self);
DB_AVAILABLE_IN_1_0
char *db_connection_info_to_string (DbConnectionInfo *self);

G_END_DECLS
