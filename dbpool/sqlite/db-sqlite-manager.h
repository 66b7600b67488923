/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-connection-manager.h"
#include "db-connection.h"
#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_SQLITE_MANAGER (db_sqlite_manager_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbSqliteManager, db_sqlite_manager, DB, SQLITE_MANAGER, GObject)

DB_AVAILABLE_IN_1_0
DbSqliteManager *db_sqlite_manager_new (const char *path);
DB_AVAILABLE_IN_1_0
DbSqliteManager *db_sqlite_manager_new_from_uri (const char *uri, GError **error);

struct sqlite3;

DB_AVAILABLE_IN_1_0
struct sqlite3 *db_sqlite_connection_get_handle (DbConnection *connection);

G_END_DECLS
