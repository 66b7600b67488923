/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a client does: the transfer, step by step, and the thread that does one after the other. */

#include "config.h"

#include "db-tool-bench-private.h"

/* After an error that trying again does not heal, a client waits that long. */
#define ERROR_PAUSE (50 * G_TIME_SPAN_MILLISECOND)

static const char select_sql[] = "SELECT abalance FROM dbpool_bench_accounts WHERE aid = $1";

void
bench_choose_transfer (BenchClient *client, BenchTransfer *transfer)
{
  Bench *bench = client->bench;
  GRand *rand = client->rand;

  transfer->from = g_rand_int_range (rand, 1, (int) bench->n_accounts + 1);
  transfer->to = g_rand_int_range (rand, 1, (int) bench->n_accounts);
  if (transfer->to >= transfer->from)
    transfer->to++;
  transfer->teller = g_rand_int_range (rand, 1, (int) bench->n_tellers + 1);
  transfer->branch = (transfer->teller - 1) / BENCH_TELLERS_PER_BRANCH + 1;
  transfer->amount = g_rand_int_range (rand, 1, 101);
}

/* The account with the lower number is changed first: all clients lock in one order, and a deadlock
 * cannot happen. */
const char *
bench_get_step (const BenchTransfer *transfer, guint step, GVariant **params)
{
  const gboolean from_first = transfer->from < transfer->to;
  const gboolean take = (step == 0) == from_first;

  switch (step)
    {
    case 0:
    case 1:
      *params = g_variant_new ("(xx)", take ? -transfer->amount : transfer->amount,
                               take ? transfer->from : transfer->to);
      return "UPDATE dbpool_bench_accounts SET abalance = abalance + $1 WHERE aid = $2";
    case 2:
      *params = g_variant_new ("(x)", transfer->from);
      return select_sql;
    case 3:
      *params = g_variant_new ("(xx)", transfer->amount, transfer->teller);
      return "UPDATE dbpool_bench_tellers SET tbalance = tbalance + $1 WHERE tid = $2";
    case 4:
      *params = g_variant_new ("(xx)", transfer->amount, transfer->branch);
      return "UPDATE dbpool_bench_branches SET bbalance = bbalance + $1 WHERE bid = $2";
    case 5:
      *params = g_variant_new ("(xxxxx)", transfer->teller, transfer->branch, transfer->from,
                               transfer->to, transfer->amount);
      return "INSERT INTO dbpool_bench_history (tid, bid, from_aid, to_aid, amount) "
             "VALUES ($1, $2, $3, $4, $5)";
    default:
      g_assert_not_reached ();
    }
}

static gboolean
run_steps (BenchClient *client,
           DbConnection *connection,
           const BenchTransfer *transfer,
           GError **error)
{
  for (guint step = 0; step < BENCH_N_STEPS; step++)
    {
      GVariant *params;
      const char *sql = bench_get_step (transfer, step, &params);
      g_autoptr (DbResult) result =
        db_connection_query (connection, sql, params, client->bench->aborted, error);

      if (result == NULL)
        return FALSE;
      if (sql != select_sql && db_result_get_rows_affected (result) != 1)
        {
          g_set_error (error, DB_ERROR, DB_ERROR_FAILED,
                       "step %u of a transfer changed %" G_GINT64_FORMAT " rows instead of 1", step,
                       db_result_get_rows_affected (result));
          return FALSE;
        }
    }
  return TRUE;
}

static gboolean
run_transfer (BenchClient *client,
              DbConnection *connection,
              const BenchTransfer *transfer,
              GError **error)
{
  GCancellable *aborted = client->bench->aborted;
  g_autoptr (DbTransaction) transaction =
    db_connection_begin (connection, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE, aborted, error);

  if (transaction == NULL)
    return FALSE;
  if (run_steps (client, connection, transfer, error) &&
      db_transaction_commit (transaction, aborted, error))
    return TRUE;
  db_transaction_rollback (transaction, NULL, NULL);
  return FALSE;
}

/* A transfer that lost against another one is made again, on the same connection. */
static gboolean
run_transfer_with_retries (BenchClient *client, DbConnection *connection, GError **error)
{
  BenchTransfer transfer;

  bench_choose_transfer (client, &transfer);
  for (;;)
    {
      g_autoptr (GError) local_error = NULL;

      if (run_transfer (client, connection, &transfer, &local_error))
        return TRUE;
      if (!g_error_matches (local_error, DB_ERROR, DB_ERROR_SERIALIZATION))
        {
          g_propagate_error (error, g_steal_pointer (&local_error));
          return FALSE;
        }
      client->tally.retries++;
    }
}

static gboolean
run_select (BenchClient *client, DbConnection *connection, GError **error)
{
  const gint64 aid = g_rand_int_range (client->rand, 1, (int) client->bench->n_accounts + 1);
  g_autoptr (DbResult) result =
    db_connection_query (connection, select_sql, g_variant_new ("(x)", aid), client->bench->aborted,
                         error);

  if (result == NULL)
    return FALSE;
  if (db_result_get_n_rows (result) == 1)
    return TRUE;
  g_set_error (error, DB_ERROR, DB_ERROR_FAILED, "account %" G_GINT64_FORMAT " was not found", aid);
  return FALSE;
}

static gboolean
run_once (BenchClient *client, GError **error)
{
  Bench *bench = client->bench;
  const gint64 asked = bench_now ();
  g_autoptr (DbConnection) connection = db_pool_acquire (bench->pool, bench->interrupted, error);
  const gint64 acquired = bench_now ();
  gboolean ok;

  if (connection == NULL)
    return FALSE;
  ok = bench->mode == BENCH_SELECT ? run_select (client, connection, error)
                                   : run_transfer_with_retries (client, connection, error);
  db_connection_release (connection);
  if (ok)
    bench_count_done (client, asked, acquired, bench_now ());
  return ok;
}

gpointer
bench_client_thread (gpointer data)
{
  BenchClient *client = data;

  while (!bench_is_stopped (client->bench))
    {
      g_autoptr (GError) error = NULL;

      if (run_once (client, &error))
        continue;
      bench_count_error (client, error);
      bench_pause (client->bench, ERROR_PAUSE);
    }
  return NULL;
}
