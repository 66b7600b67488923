/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-database-config.h"
#include "db-pool-config.h"

/* libpq's keywords and values, for PQconnectdbParams, each array NULL-terminated. Contains the
 * password, and wipes it when freed. */
typedef struct
{
  char **keywords;
  char **values;
} DbConninfo;

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

/* Reads one of libpq's URIs into a new @self. What it says of the pool is put among the options. */
gboolean db_database_config_read_uri (DbDatabaseConfig *self, const char *uri, GError **error);

/* Puts the settings of the pool that are among the options into @config. */
gboolean db_database_config_apply_pool_options (DbDatabaseConfig *self,
                                                DbPoolConfig *config,
                                                GError **error);

/* libpq's lists of hosts and ports, separated by commas. An error does not say where they stood. */
gboolean db_database_config_set_host_lists (DbDatabaseConfig *self,
                                            const char *hosts,
                                            const char *ports,
                                            GError **error);

/* Whether @text can be a host. The error shows it. */
gboolean db_database_config_check_host (const char *text, gboolean may_have_port, GError **error);

/* @name: as libpq writes it. */
gboolean db_database_config_set_ssl_mode (DbDatabaseConfig *self, const char *name, GError **error);

/* libpq's keywords that have no property; none without libpq. */
char **db_database_config_list_keywords (void);

/* Whether @value is of the type that libpq wants for @keyword, as far as that is known here. */
gboolean db_database_config_check_keyword (const char *keyword, const char *value, GError **error);

/* Why this libpq does not know @keyword, as a verb and what follows it; NULL: nobody knows. */
char *db_database_config_explain_unknown (const char *keyword);

gboolean db_database_config_has_password (DbDatabaseConfig *self);

/* Whether a keyword's value must not be shown. */
gboolean db_database_config_is_secret (const char *keyword);

/* libpq's name, NULL for the default. */
const char *db_database_config_get_ssl_mode_name (DbDatabaseConfig *self);

/* NULL when the password does not come from there. */
char *db_database_config_dup_password_file (DbDatabaseConfig *self);

/* Adds what the password file holds, when there is one. Blocks while it is read. FALSE with
 * DB_ERROR_CONFIGURATION when that fails. */
gboolean
db_database_config_read_password_file (DbDatabaseConfig *self, DbConninfo *info, GError **error);

/* Reads the file once more. Whether there was another password in it than before. */
gboolean db_database_config_renew_password (DbDatabaseConfig *self, DbConninfo *info);

/* Whether both lead to the same database in the same way, with the same secrets. */
gboolean db_database_config_equal (DbDatabaseConfig *self, DbDatabaseConfig *other);

/* Marks what db_database_config_was_refused() tells. */
void db_database_config_set_refused (DbDatabaseConfig *self);

/* Whether @key may stand in a group of a key file that describes a PostgreSQL database. */
gboolean db_database_config_knows_key (const char *key);

/* Wipes and frees a text; NULL is fine. */
void db_wipe_and_free (gpointer text);

DbConninfo *db_database_config_to_conninfo (DbDatabaseConfig *self);
DbConninfo *db_conninfo_new (void);
/* NULL when @keyword is not set. */
const char *db_conninfo_get (DbConninfo *self, const char *keyword);
/* A NULL @value changes nothing. */
void db_conninfo_set (DbConninfo *self, const char *keyword, const char *value);
/* In any order. */
gboolean db_conninfo_equal (DbConninfo *a, DbConninfo *b);
void db_conninfo_free (DbConninfo *self);

/* Frees what PQconninfo() or PQconninfoParse() returned. */
struct _PQconninfoOption;
void db_wipe_and_free_libpq_options (struct _PQconninfoOption *options);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbConninfo, db_conninfo_free)
