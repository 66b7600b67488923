/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-pool-config.h"

/* The values as plain data: what the pool works with. Durations in microseconds, 0 = no limit. */
typedef struct
{
  guint min_connections;
  guint max_connections;
  gint64 connection_timeout; /* never 0; G_MAXINT64 waits for ever */
  gint64 idle_timeout;
  gint64 max_lifetime;
  guint lifetime_jitter;      /* percent, 0 to 50 */
  gint64 validate_after_idle; /* 0 always, -1 never */
  gint64 hand_off_after;
  DbIdleOrder idle_order;
  DbResetLevel reset_level;
  guint max_uses;
  guint max_waiters;
  gint64 keepalive;
  gint64 check_timeout;
  gint64 leak_threshold;
  gboolean fail_on_deadlock;
  gboolean lazy; /* for the factory */
  DbPreparedStatements prepared_statements;
  guint statement_cache_size;
  gint64 statement_timeout;
  gint64 slow_acquire_threshold;
  gint64 slow_query_threshold;
  guint max_sql_length;  /* bytes */
  guint max_result_size; /* bytes */
} DbPoolSettings;

void db_pool_config_get_settings (DbPoolConfig *self, DbPoolSettings *settings);

/* A copy that remembers which properties were set by somebody. */
DbPoolConfig *db_pool_config_copy (DbPoolConfig *self);

/* Sets @property (by name, then its value as a vararg, as in g_object_set) only if nobody has set
 * it yet; a later default of the same property wins. For suggest_config. */
void db_pool_config_set_default (DbPoolConfig *self, const char *property, ...);

/* What several settings say together: FALSE with DB_ERROR_CONFIGURATION when it cannot be done. */
gboolean db_pool_config_validate (DbPoolConfig *self, GError **error);

typedef enum
{
  DB_POOL_FIELD_COUNT,    /* guint */
  DB_POOL_FIELD_DURATION, /* gint64 */
  DB_POOL_FIELD_CHOICE,   /* an enumeration */
  DB_POOL_FIELD_SWITCH,   /* gboolean */
  DB_POOL_FIELD_TEXT,     /* char * */
} DbPoolFieldKind;

/* What a setting is. */
typedef struct
{
  const char *name; /* of the property */
  DbPoolFieldKind kind;
  gsize offset; /* of its value in DbPoolSettings, of a text among the texts */
  gint64 minimum;
  gint64 maximum;
  gint64 initial;
  GType (*type) (void); /* of a choice */
  const char *word;     /* stands for @word_value in a text */
  gint64 word_value;
} DbPoolField;

/* The settings, from number 1 on. */
const DbPoolField *db_pool_get_fields (guint *n_fields);

/* The number of the setting of that name, as a property has it or as a URI ("pool_lazy"); 0 when
 * there is none. */
guint db_pool_field_find (const char *name);
guint db_pool_field_find_option (const char *option);

/* Reads @text into @value, which is not initialized yet. The error does not name the setting. */
gboolean db_pool_field_parse (guint id, const char *text, GValue *value, GError **error);
gboolean db_pool_field_check (guint id, const char *text, GError **error);

/* The other way round; NULL for a text that is none. */
char *db_pool_field_format (guint id, const GValue *value);

/* @value has been validated. */
void db_pool_config_take (DbPoolConfig *self, guint id, const GValue *value);

/* Whether somebody has set it. */
gboolean db_pool_config_is_set (DbPoolConfig *self, guint id);

/* What @query holds for the pool (the keys that begin with "pool_") is put into @self; the rest, in
 * its order and as it was written, becomes @remaining (NULL when nothing is left). FALSE with
 * @error when a pool key is unknown, repeated or has a bad value; settings before it have then been
 * made. */
gboolean db_pool_config_take_uri_query (DbPoolConfig *self,
                                        const char *query,
                                        char **remaining,
                                        GError **error);

/* "500ms", "30s", "10min", "2h", "1d", "250us", "0"; a bare number other than 0 is an error. */
gboolean db_parse_duration (const char *text, gint64 *microseconds, GError **error);

/* The same as text, in the largest unit that keeps it whole. */
char *db_format_duration (gint64 microseconds);
