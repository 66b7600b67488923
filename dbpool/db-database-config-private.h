/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-database-config.h"

/* From now on every setter is refused with a warning: a configuration is fixed once used. After it,
 * any thread may read. */
void db_database_config_freeze (DbDatabaseConfig *self);

/* A copy that may be changed, with the secrets. */
DbDatabaseConfig *db_database_config_copy (DbDatabaseConfig *self);

/* "postgresql://user@host:port/database", without options: short, for error texts. */
char *db_database_config_describe (DbDatabaseConfig *self);

/* Sets one of libpq's keywords but "host", "port" and "sslmode"; one that has a property goes
 * there. */
void
db_database_config_set_keyword (DbDatabaseConfig *self, const char *keyword, const char *value);

/* Reads one of libpq's URIs into a new @self. */
gboolean db_database_config_read_uri (DbDatabaseConfig *self, const char *uri, GError **error);

/* Wipes and frees a text; NULL is fine. */
void db_wipe_and_free (gpointer text);

/* libpq's keywords and values, for PQconnectdbParams, each array NULL-terminated. Contains the
 * password, and wipes it when freed. */
typedef struct
{
  char **keywords;
  char **values;
} DbConninfo;

DbConninfo *db_database_config_to_conninfo (DbDatabaseConfig *self);
DbConninfo *db_conninfo_new (void);
/* NULL when @keyword is not set. */
const char *db_conninfo_get (DbConninfo *self, const char *keyword);
/* A NULL @value changes nothing. */
void db_conninfo_set (DbConninfo *self, const char *keyword, const char *value);
void db_conninfo_free (DbConninfo *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbConninfo, db_conninfo_free)
