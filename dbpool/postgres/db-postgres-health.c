/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What PostgreSQL says of itself for a health report. One statement, of functions and settings that
 * every role may read. No state, no lock; blocks for its round trip. */

#include "config.h"

#include "db-postgres-health-private.h"

#include "db-database-config-private.h"
#include "db-postgres-connecting-private.h"

#include <string.h>

/* The lag of a standby that has replayed all it received is nothing, however long ago its primary
 * last wrote. */
#define FACTS_SQL                                                                                  \
  "SELECT pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery(), "          \
  "pg_catalog.current_setting('transaction_read_only') = 'on', "                                   \
  "(SELECT pg_catalog.sum(numbackends) FROM pg_catalog.pg_stat_database), "                        \
  "pg_catalog.current_setting('max_connections'), "                                                \
  "CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN NULL "                                        \
  "WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() THEN 0 "        \
  "ELSE pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - "                             \
  "pg_catalog.pg_last_xact_replay_timestamp()) END"

enum
{
  COLUMN_VERSION,
  COLUMN_IN_RECOVERY,
  COLUMN_READ_ONLY,
  COLUMN_CONNECTIONS,
  COLUMN_MAX_CONNECTIONS,
  COLUMN_LAG,
};

/* Whether the configuration asks for a server, or for transactions, that cannot write. */
static gboolean
expects_read_only (DbDatabaseConfig *config)
{
  g_autoptr (DbConninfo) info = db_postgres_make_conninfo (config);
  const char *attributes = g_getenv ("PGTARGETSESSIONATTRS");
  const char *options = g_getenv ("PGOPTIONS");

  for (guint i = 0; info->keywords[i] != NULL; i++)
    {
      if (strcmp (info->keywords[i], "target_session_attrs") == 0)
        attributes = info->values[i];
      else if (strcmp (info->keywords[i], "options") == 0)
        options = info->values[i];
    }
  return (options != NULL && strstr (options, "transaction_read_only") != NULL) ||
         (attributes != NULL &&
          g_strv_contains ((const char *const[]){"read-only", "standby", "prefer-standby", NULL},
                           attributes));
}

static gboolean
is_true (DbResult *result, guint column)
{
  const char *text = db_result_get_text (result, 0, column);

  return text != NULL && text[0] == 't';
}

static void
add_number (GVariantDict *facts, const char *name, DbResult *result, guint column)
{
  const char *text = db_result_get_text (result, 0, column);

  if (text != NULL)
    g_variant_dict_insert (facts, name, "x", g_ascii_strtoll (text, NULL, 10));
}

static void
add_read_only_reason (GVariantDict *facts, gboolean in_recovery)
{
  GVariantBuilder reasons;

  g_variant_builder_init (&reasons, G_VARIANT_TYPE ("a{ss}"));
  g_variant_builder_add (
    &reasons, "{ss}", "read-only",
    in_recovery ? "the server is a standby, and refuses to write; set target_session_attrs if that "
                  "is what you want"
                : "the server refuses to write (default_transaction_read_only is on)");
  g_variant_dict_insert_value (facts, "degraded", g_variant_builder_end (&reasons));
}

GVariant *
db_postgres_get_facts (DbPostgresSession *session,
                       DbDatabaseConfig *config,
                       gint64 timeout,
                       GCancellable *cancellable,
                       GError **error)
{
  g_autoptr (DbResult) result =
    db_postgres_session_query_internal (session, FACTS_SQL, timeout, cancellable, error);
  gboolean in_recovery;
  gboolean read_only;
  const char *lag;
  GVariantDict facts;

  if (result == NULL)
    return NULL;
  in_recovery = is_true (result, COLUMN_IN_RECOVERY);
  /* What a borrower's read-only loan has left behind is our own doing. */
  read_only = in_recovery || (is_true (result, COLUMN_READ_ONLY) && !session->is_read_only);
  lag = db_result_get_text (result, 0, COLUMN_LAG);

  g_variant_dict_init (&facts, NULL);
  g_variant_dict_insert (&facts, "version", "s", db_result_get_text (result, 0, COLUMN_VERSION));
  g_variant_dict_insert (&facts, "in-recovery", "b", in_recovery);
  g_variant_dict_insert (&facts, "read-only", "b", read_only);
  add_number (&facts, "connections", result, COLUMN_CONNECTIONS);
  add_number (&facts, "max-connections", result, COLUMN_MAX_CONNECTIONS);
  if (lag != NULL)
    g_variant_dict_insert (&facts, "replication-lag", "d", g_ascii_strtod (lag, NULL));
  if (read_only && !expects_read_only (config))
    add_read_only_reason (&facts, in_recovery);
  return g_variant_dict_end (&facts);
}
