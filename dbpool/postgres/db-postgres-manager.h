/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-connection-manager.h"
#include "db-connection.h"
#include "db-database-config.h"
#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_POSTGRES_MANAGER (db_postgres_manager_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbPostgresManager, db_postgres_manager, DB, POSTGRES_MANAGER, GObject)

DB_AVAILABLE_IN_1_0
DbPostgresManager *db_postgres_manager_new (DbDatabaseConfig *config);

struct pg_conn;

DB_AVAILABLE_IN_1_0
struct pg_conn *db_postgres_connection_get_pgconn (DbConnection *connection);

G_END_DECLS
