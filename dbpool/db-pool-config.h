/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_POOL_CONFIG (db_pool_config_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbPoolConfig, db_pool_config, DB, POOL_CONFIG, GObject)

DB_AVAILABLE_IN_1_0
DbPoolConfig *db_pool_config_new (void);
DB_AVAILABLE_IN_1_0
DbPoolConfig *db_pool_config_new_from_uri_query (const char *query, GError **error);

DB_AVAILABLE_IN_1_0
DbPoolConfig *db_pool_config_new_from_env (const char *prefix, GError **error);
DB_AVAILABLE_IN_1_0
DbPoolConfig *
db_pool_config_new_from_key_file (GKeyFile *key_file, const char *group, GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_config_to_key_file (DbPoolConfig *self, GKeyFile *key_file, const char *group);
DB_AVAILABLE_IN_1_0
gboolean db_pool_config_bind_settings (DbPoolConfig *self, GSettings *settings, GError **error);

G_END_DECLS
