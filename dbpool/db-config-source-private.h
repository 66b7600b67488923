/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include <glib.h>

#define DB_CONFIG_MAX_LENGTH 65536 /* bytes of a value, wherever it stands */

/* One setting that somebody wrote down, as text. */
typedef struct
{
  char *key;   /* as in a key file: "max-connections" */
  char *label; /* for errors: "environment variable SHOP_POOL_MAX_CONNECTIONS" */
  char *value; /* never empty; UTF-8 unless it is a password; wiped when freed */
} DbConfigEntry;

/* What an error shows of a @text that somebody wrote: valid UTF-8, and no more than fits a line. */
char *db_config_shorten (const char *text);

/* FALSE with DB_ERROR_CONFIGURATION when no variable's name can begin with @prefix. */
gboolean db_config_source_check_prefix (const char *prefix, GError **error);

/* Appends @variable as the setting @key, unless it is not set. FALSE with @error when it is empty,
 * too long or no UTF-8. */
gboolean db_config_source_add_variable (GPtrArray *entries,
                                        const char *variable,
                                        const char *key,
                                        GError **error);

/* All keys of @group as DbConfigEntry; NULL with @error when it is missing or one of them cannot be
 * read. */
GPtrArray *db_config_source_read_group (GKeyFile *key_file, const char *group, GError **error);

GPtrArray *db_config_source_new (void);

/* The entry for @key, or NULL. */
const DbConfigEntry *db_config_source_find (GPtrArray *entries, const char *key);

/* Returns FALSE, with DB_ERROR_CONFIGURATION and a text that begins with the entry's label. */
gboolean db_config_entry_fail (const DbConfigEntry *entry, GError **error, const char *format, ...)
  G_GNUC_PRINTF (3, 4);
