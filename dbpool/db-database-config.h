/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_DATABASE_CONFIG (db_database_config_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbDatabaseConfig, db_database_config, DB, DATABASE_CONFIG, GObject)

DB_AVAILABLE_IN_1_0
DbDatabaseConfig *db_database_config_new (void);
DB_AVAILABLE_IN_1_0
DbDatabaseConfig *db_database_config_new_from_uri (const char *uri, GError **error);
DB_AVAILABLE_IN_1_0
DbDatabaseConfig *db_database_config_new_from_env (const char *prefix, GError **error);
DB_AVAILABLE_IN_1_0
DbDatabaseConfig *
db_database_config_new_from_key_file (GKeyFile *key_file, const char *group, GError **error);
DB_AVAILABLE_IN_1_0
void db_database_config_to_key_file (DbDatabaseConfig *self, GKeyFile *key_file, const char *group);
DB_AVAILABLE_IN_1_0
gboolean db_database_config_read_password (DbDatabaseConfig *self, int fd, GError **error);
DB_AVAILABLE_IN_1_0
void db_database_config_set_password (DbDatabaseConfig *self, const char *password);
DB_AVAILABLE_IN_1_0
gboolean db_database_config_was_refused (DbDatabaseConfig *self);
DB_AVAILABLE_IN_1_0
char *db_database_config_to_string (DbDatabaseConfig *self);

G_END_DECLS
