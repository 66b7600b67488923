/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The tables of the bench, in the manner of TPC-B: branches, tellers, accounts and a history, here
 * with transfers between accounts, so that the sum of all balances never changes. The SQL is one
 * text for all databases. */

#include "config.h"

#include "db-tool-bench-private.h"

/* Newest first, as they are dropped. */
static const char *const tables[] = {
  "dbpool_bench_history",
  "dbpool_bench_accounts",
  "dbpool_bench_tellers",
  "dbpool_bench_branches",
};

static const char *const definitions[] = {
  "CREATE TABLE dbpool_bench_branches (bid INTEGER PRIMARY KEY, bbalance BIGINT NOT NULL)",
  "CREATE TABLE dbpool_bench_tellers (tid INTEGER PRIMARY KEY, bid INTEGER NOT NULL, "
  "tbalance BIGINT NOT NULL)",
  "CREATE TABLE dbpool_bench_accounts (aid INTEGER PRIMARY KEY, bid INTEGER NOT NULL, "
  "abalance BIGINT NOT NULL)",
  "CREATE TABLE dbpool_bench_history (tid INTEGER NOT NULL, bid INTEGER NOT NULL, "
  "from_aid INTEGER NOT NULL, to_aid INTEGER NOT NULL, amount BIGINT NOT NULL)",
};

static gboolean
drop_tables (DbConnection *connection, GCancellable *cancellable, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (tables); i++)
    {
      g_autofree char *sql = g_strconcat ("DROP TABLE IF EXISTS ", tables[i], NULL);

      if (db_connection_execute (connection, sql, NULL, cancellable, error) < 0)
        return FALSE;
    }
  return TRUE;
}

/* @row: the columns of row i, counted from 0 */
static gboolean
fill_table (Bench *self,
            DbConnection *connection,
            const char *table,
            const char *row,
            guint n_rows,
            GError **error)
{
  g_autofree char *sql = NULL;

  sql = g_strdup_printf ("INSERT INTO %s WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL "
                         "SELECT i + 1 FROM numbers WHERE i < %u) SELECT %s FROM numbers",
                         table, n_rows - 1, row);
  return db_connection_execute (connection, sql, NULL, self->interrupted, error) >= 0;
}

static gboolean
fill_tables (Bench *self, DbConnection *connection, GError **error)
{
  g_autofree char *teller = g_strdup_printf ("i + 1, i / %d + 1, 0", BENCH_TELLERS_PER_BRANCH);
  g_autofree char *account =
    g_strdup_printf ("i + 1, i / %d + 1, %d", BENCH_ACCOUNTS_PER_BRANCH, BENCH_START_BALANCE);

  return fill_table (self, connection, tables[3], "i + 1, 0", self->n_branches, error) &&
         fill_table (self, connection, tables[2], teller, self->n_tellers, error) &&
         fill_table (self, connection, tables[1], account, self->n_accounts, error);
}

static gboolean
create_tables (Bench *self, DbConnection *connection, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (definitions); i++)
    {
      if (db_connection_execute (connection, definitions[i], NULL, self->interrupted, error) >= 0)
        continue;
      if (i == 0 && error != NULL && g_error_matches (*error, DB_ERROR, DB_ERROR_QUERY))
        g_prefix_error (error,
                        "the tables of the bench cannot be made (if another bench is running, wait "
                        "for it; if one was killed, use --replace): ");
      return FALSE;
    }
  return TRUE;
}

gboolean
bench_create_tables (Bench *self, GError **error)
{
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (DbTransaction) transaction = NULL;

  connection = db_pool_acquire (self->pool, self->interrupted, error);
  if (connection == NULL)
    return FALSE;
  transaction = db_connection_begin (connection, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE,
                                     self->interrupted, error);
  if (transaction == NULL)
    return FALSE;
  if ((self->replace && !drop_tables (connection, self->interrupted, error)) ||
      !create_tables (self, connection, error) || !fill_tables (self, connection, error))
    {
      db_transaction_rollback (transaction, NULL, NULL);
      return FALSE;
    }
  return db_transaction_commit (transaction, NULL, error);
}

gboolean
bench_drop_tables (Bench *self, GError **error)
{
  g_autoptr (DbConnection) connection = db_pool_acquire (self->pool, self->abandoned, error);

  return connection != NULL && drop_tables (connection, self->abandoned, error);
}

char *
bench_audit (Bench *self, gint64 n_transfers, gint64 *sum, GError **error)
{
  const gint64 expected = (gint64) self->n_accounts * BENCH_START_BALANCE;
  g_autoptr (DbResult) result = NULL;
  gint64 tellers, branches, amounts, entries;

  result =
    db_pool_query (self->pool,
                   "SELECT CAST((SELECT sum(abalance) FROM dbpool_bench_accounts) AS BIGINT), "
                   "CAST((SELECT sum(tbalance) FROM dbpool_bench_tellers) AS BIGINT), "
                   "CAST((SELECT sum(bbalance) FROM dbpool_bench_branches) AS BIGINT), "
                   "CAST((SELECT coalesce(sum(amount), 0) FROM dbpool_bench_history) AS BIGINT), "
                   "CAST((SELECT count(*) FROM dbpool_bench_history) AS BIGINT)",
                   NULL, self->abandoned, error);
  if (result == NULL)
    return NULL;
  *sum = db_result_get_int64 (result, 0, 0);
  tellers = db_result_get_int64 (result, 0, 1);
  branches = db_result_get_int64 (result, 0, 2);
  amounts = db_result_get_int64 (result, 0, 3);
  entries = db_result_get_int64 (result, 0, 4);

  if (*sum != expected)
    return g_strdup_printf ("the accounts hold %" G_GINT64_FORMAT " instead of %" G_GINT64_FORMAT,
                            *sum, expected);
  if (tellers != amounts || branches != amounts)
    return g_strdup_printf ("the tellers moved %" G_GINT64_FORMAT ", the branches %" G_GINT64_FORMAT
                            " and the history %" G_GINT64_FORMAT,
                            tellers, branches, amounts);
  if (n_transfers >= 0 && entries != n_transfers)
    return g_strdup_printf ("%" G_GINT64_FORMAT " transfers were committed, but %" G_GINT64_FORMAT
                            " are in the history",
                            n_transfers, entries);
  return NULL;
}
