/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The signals by which a pool tells what happened to whom.
 *
 * Here: HOK-10. */

#include "config.h"

#include "scenario.h"

/* A loan that succeeds, and ends at once. Returns the session's number. */
static guint
borrow (World *world)
{
  g_autoptr (Caller) caller = caller_start (world);

  caller_wait_connection (caller);
  return caller->id;
}

typedef struct
{
  GThread *thread;
  GMainContext *context;
  guint n_acquired;
  guint n_returned;
  guint n_created;
  guint n_dropped[DB_DROP_CLOSED + 1];
  guint n_failed;
  gint64 waited;
  gint64 held;
  GString *order;
} Trace;

static void
note (Trace *self, char event)
{
  g_assert_true (g_thread_self () == self->thread);
  g_string_append_c (self->order, event);
}

static void
acquired_cb (DbPool *pool, gint64 wait, gpointer data)
{
  Trace *self = data;

  g_assert_cmpint (wait, >=, 0);
  self->n_acquired++;
  self->waited += wait;
  note (self, 'a');
}

static void
returned_cb (DbPool *pool, gint64 held, gpointer data)
{
  Trace *self = data;

  g_assert_cmpint (held, >=, 0);
  self->n_returned++;
  self->held += held;
  note (self, 'r');
}

static void
created_cb (DbPool *pool, gint64 took, gpointer data)
{
  Trace *self = data;

  g_assert_cmpint (took, >=, 0);
  self->n_created++;
  note (self, 'c');
}

static void
dropped_cb (DbPool *pool, DbDropReason reason, gpointer data)
{
  Trace *self = data;

  self->n_dropped[reason]++;
  note (self, 'd');
}

static void
failed_cb (DbPool *pool, GError *error, gpointer data)
{
  Trace *self = data;

  g_assert_nonnull (error);
  self->n_failed++;
  note (self, 'f');
}

static void
trace_begin (Trace *self, DbPool *pool)
{
  *self = (Trace){.thread = g_thread_self (), .order = g_string_new (NULL)};
  g_signal_connect (pool, "connection-acquired", G_CALLBACK (acquired_cb), self);
  g_signal_connect (pool, "connection-returned", G_CALLBACK (returned_cb), self);
  g_signal_connect (pool, "connection-created", G_CALLBACK (created_cb), self);
  g_signal_connect (pool, "connection-dropped", G_CALLBACK (dropped_cb), self);
  g_signal_connect (pool, "acquire-failed", G_CALLBACK (failed_cb), self);
}

/* HOK-10 */
static void
signals_in_order (World *world)
{
  g_autoptr (GCancellable) cancelled = g_cancellable_new ();
  Trace trace;
  Caller *caller;
  Caller *other;

  make_pool (world, "max-connections=1 connection-timeout=15s");
  trace_begin (&trace, world->pool);
  caller = caller_start (world);
  caller_wait_connection (caller);
  other = caller_start_full (world, 50 * MS, NULL);
  caller_wait_error (other, DB_ERROR, DB_ERROR_TIMEOUT);
  caller_free (other);
  g_cancellable_cancel (cancelled);
  other = caller_start_full (world, -1, cancelled);
  caller_wait_error (other, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  caller_free (other);
  caller_free (caller);
  caller = caller_start (world);
  caller_wait_connection (caller);
  fake_session_set_state (fake_connection_get_session (caller->connection), DB_SESSION_BROKEN);
  caller_free (caller);
  AWAIT (trace.n_dropped[DB_DROP_BROKEN] == 1);
  g_assert_cmpstr (trace.order->str, ==, "caffrard");
  g_assert_cmpint (trace.held, >=, 50 * MS);
  g_assert_cmpuint (trace.n_acquired, ==, 2);
  g_assert_cmpuint (trace.n_returned, ==, 2);
  assert_stats (world->pool, "acquired=2 timeouts=1 cancelled=1");
  g_string_free (trace.order, TRUE);
  g_signal_handlers_disconnect_by_data (world->pool, &trace);
}

/* HOK-10: one event for each thing that happened, on the thread where the pool was made. */
static void
signals_pair_up (World *world)
{
  const guint rounds = 100;
  Caller *callers[6];
  Trace trace;

  make_pool (world, "max-connections=2 connection-timeout=15s max-uses=50");
  trace_begin (&trace, world->pool);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->rounds = rounds;
      callers[i]->hold = 0;
      caller_begin (callers[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    caller_wait (callers[i]);
  await_stats (world->pool, "lent=0 closing=0");
  AWAIT (trace.n_returned == rounds * G_N_ELEMENTS (callers));
  g_assert_cmpuint (trace.n_acquired, ==, rounds * G_N_ELEMENTS (callers));
  AWAIT (trace.n_created == fake_manager_get_ledger (world->manager).opened);
  AWAIT (trace.n_dropped[DB_DROP_LIFETIME] == fake_manager_get_ledger (world->manager).closed);
  g_assert_cmpuint (trace.n_failed, ==, 0);
  assert_stats (world->pool, "events-dropped=0");
  callers_free (callers, G_N_ELEMENTS (callers));
  g_string_free (trace.order, TRUE);
  g_signal_handlers_disconnect_by_data (world->pool, &trace);
}

/* A handler may use the pool. */
static void
reentrant_cb (DbPool *pool, gint64 wait, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbConnection) connection = NULL;

  if (++*(guint *) data > 3)
    return;
  connection = db_pool_acquire_full (pool, 0, 10 * SECOND, "from a handler", NULL, &error);
  g_assert_no_error (error);
}

static void
handlers_use_the_pool (World *world)
{
  guint n = 0;

  /* Two: the first may still be on its way to a callback in the context that the handler blocks. */
  make_pool (world, "max-connections=2 connection-timeout=15s");
  g_signal_connect (world->pool, "connection-acquired", G_CALLBACK (reentrant_cb), &n);
  borrow (world);
  AWAIT (n == 4);
  await_stats (world->pool, "lent=0 acquired=4");
}

static void
add_all (void)
{
  scenario_add_both ("signals/in-order", signals_in_order);
  scenario_add_both ("signals/pair-up", signals_pair_up);
  scenario_add_both ("signals/handlers-use-the-pool", handlers_use_the_pool);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
