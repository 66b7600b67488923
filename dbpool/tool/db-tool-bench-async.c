/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The transfers of "dbpool bench" by asynchronous calls: any number of clients on one thread, each
 * of which has one call in flight. A transfer goes through the callbacks in their order below; a
 * failure leads to the rollback and from there to the next transfer. */

#include "config.h"

#include "db-tool-bench-private.h"

typedef struct
{
  GMainLoop *loop;
  guint n_active; /* clients that have not ended */
} AsyncBench;

typedef struct
{
  AsyncBench *async;
  BenchClient *client;
  BenchTransfer transfer;
  DbConnection *connection;
  DbTransaction *transaction;
  guint step;
  gint64 asked;
  gint64 acquired;
} AsyncClient;

static void next_transfer (AsyncClient *self);
static void begin_transfer (AsyncClient *self);

static void
end_transfer (AsyncClient *self)
{
  g_clear_object (&self->transaction);
  db_connection_release (self->connection);
  g_clear_object (&self->connection);
}

static gboolean
pause_over_cb (gpointer data)
{
  next_transfer (data);
  return G_SOURCE_REMOVE;
}

/* Takes @error. */
static void
fail (AsyncClient *self, GError *error)
{
  g_autoptr (GSource) pause = g_timeout_source_new (50);

  bench_count_error (self->client, error);
  g_error_free (error);
  if (self->connection != NULL)
    end_transfer (self);
  g_source_set_callback (pause, pause_over_cb, self, NULL);
  g_source_attach (pause, g_main_context_get_thread_default ());
}

typedef struct
{
  AsyncClient *client;
  GError *error;
} Failure;

static void
rolled_back_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Failure *failure = data;
  AsyncClient *self = failure->client;

  db_transaction_rollback_finish (self->transaction, result, NULL);
  if (!g_error_matches (failure->error, DB_ERROR, DB_ERROR_SERIALIZATION))
    {
      fail (self, failure->error);
      return;
    }
  g_error_free (failure->error);
  self->client->tally.retries++;
  g_clear_object (&self->transaction);
  begin_transfer (self);
}

/* Takes @error. */
static void
roll_back (AsyncClient *self, GError *error)
{
  Failure *failure = g_new0 (Failure, 1);

  failure->client = self;
  failure->error = error;
  db_transaction_rollback_async (self->transaction, NULL, rolled_back_cb, failure);
}

static void
committed_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  AsyncClient *self = data;
  GError *error = NULL;

  if (!db_transaction_commit_finish (self->transaction, result, &error))
    {
      roll_back (self, error);
      return;
    }
  end_transfer (self);
  bench_count_done (self->client, self->asked, self->acquired, bench_now ());
  next_transfer (self);
}

static void step_done_cb (GObject *source, GAsyncResult *result, gpointer data);

static void
run_step (AsyncClient *self)
{
  GCancellable *aborted = self->client->bench->aborted;
  GVariant *params;
  const char *sql;

  if (self->step == BENCH_N_STEPS)
    {
      db_transaction_commit_async (self->transaction, aborted, committed_cb, self);
      return;
    }
  sql = bench_get_step (&self->transfer, self->step, &params);
  db_connection_query_async (self->connection, sql, params, aborted, step_done_cb, self);
}

static void
step_done_cb (GObject *source, GAsyncResult *async_result, gpointer data)
{
  AsyncClient *self = data;
  GError *error = NULL;
  g_autoptr (DbResult) result = NULL;

  result = db_connection_query_finish (self->connection, async_result, &error);
  if (result == NULL)
    {
      roll_back (self, error);
      return;
    }
  self->step++;
  run_step (self);
}

static void
begun_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  AsyncClient *self = data;
  GError *error = NULL;

  self->transaction = db_connection_begin_finish (self->connection, result, &error);
  if (self->transaction == NULL)
    fail (self, error);
  else
    run_step (self);
}

static void
begin_transfer (AsyncClient *self)
{
  self->step = 0;
  db_connection_begin_async (self->connection, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE,
                             self->client->bench->aborted, begun_cb, self);
}

static void
acquired_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  AsyncClient *self = data;
  GError *error = NULL;

  self->acquired = bench_now ();
  self->connection = db_pool_acquire_finish (self->client->bench->pool, result, &error);
  if (self->connection == NULL)
    fail (self, error);
  else
    begin_transfer (self);
}

static void
next_transfer (AsyncClient *self)
{
  Bench *bench = self->client->bench;

  if (bench_is_stopped (bench))
    {
      if (--self->async->n_active == 0)
        g_main_loop_quit (self->async->loop);
      return;
    }
  bench_choose_transfer (self->client, &self->transfer);
  self->asked = bench_now ();
  db_pool_acquire_async (bench->pool, bench->interrupted, acquired_cb, self);
}

static gboolean
time_over_cb (gpointer data)
{
  g_atomic_int_set (&((Bench *) data)->stop, TRUE);
  return G_SOURCE_REMOVE;
}

void
bench_run_async (Bench *self, BenchClient *clients)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GMainLoop) loop = g_main_loop_new (context, FALSE);
  g_autoptr (GSource) end = g_timeout_source_new ((guint) (self->duration / 1000));
  g_autofree AsyncClient *async_clients = g_new0 (AsyncClient, self->n_clients);
  AsyncBench async = {loop, self->n_clients};

  g_main_context_push_thread_default (context);
  g_source_set_callback (end, time_over_cb, self, NULL);
  g_source_attach (end, context);
  for (guint i = 0; i < self->n_clients; i++)
    {
      async_clients[i].async = &async;
      async_clients[i].client = &clients[i];
      next_transfer (&async_clients[i]);
    }
  if (async.n_active > 0)
    g_main_loop_run (loop);
  g_source_destroy (end);
  g_main_context_pop_thread_default (context);
}
