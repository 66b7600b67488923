/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Who is served next: one queue for all kinds of callers, in the order of their arrival.
 *
 * Holds FIF-03, 04, 05, 07, 08, and that no newcomer passes where the settings forbid it. Not
 * FIF-06: there are no priorities. */

#include "config.h"

#include "scenario.h"

static void
queue_up (World *world, Caller **callers, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      callers[i] = caller_new (world);
      callers[i]->hold = MS;
      caller_begin_waiting (callers[i]);
    }
}

/* Each got its connection after the one before it. */
static void
assert_order (Caller **callers, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      caller_wait (callers[i]);
      g_assert_no_error (callers[i]->error);
      g_assert_cmpuint (callers[i]->grant, ==, i + 1);
    }
}

static void
arrival_order (World *world)
{
  DbConnection *held;
  Caller *callers[20];

  make_pool (world, "max-connections=1 connection-timeout=60s");
  held = acquire (world->pool);
  queue_up (world, callers, G_N_ELEMENTS (callers));
  g_object_unref (held);
  assert_order (callers, G_N_ELEMENTS (callers));
  callers_free (callers, G_N_ELEMENTS (callers));
  assert_stats (world->pool, "created=1 waited=21");
}

/* FIF-03 */
static void
one_queue (World *world)
{
  DbConnection *held;
  Caller *callers[12];
  Loop *loops[3];

  make_pool (world, "max-connections=1 connection-timeout=60s");
  held = acquire (world->pool);
  for (guint i = 0; i < G_N_ELEMENTS (loops); i++)
    loops[i] = loop_new ();
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->async = i % 2 == 1;
      callers[i]->loop = callers[i]->async ? loops[i / 2 % 3] : NULL;
      callers[i]->hold = MS;
      caller_begin_waiting (callers[i]);
    }
  g_object_unref (held);
  assert_order (callers, G_N_ELEMENTS (callers));
  callers_free (callers, G_N_ELEMENTS (callers));
  for (guint i = 0; i < G_N_ELEMENTS (loops); i++)
    loop_free (loops[i]);
}

static void
block_until (gpointer data)
{
  gint *go = data;

  while (!g_atomic_int_get (go))
    g_usleep (100);
}

/* FIF-03: a context that does not run delays its own callback; whoever comes after it waits for
 * that one session and no longer. */
static void
slow_context (World *world)
{
  Loop *slow = loop_new ();
  DbConnection *held[2];
  Caller *stuck, *next[5];
  gint go = FALSE;

  make_pool (world, "max-connections=2 connection-timeout=60s");
  for (guint i = 0; i < 2; i++)
    held[i] = acquire (world->pool);
  stuck = caller_new (world);
  stuck->async = TRUE;
  stuck->loop = slow;
  stuck->hold = 0;
  caller_begin_waiting (stuck);
  loop_post (slow, block_until, &go);
  for (guint i = 0; i < G_N_ELEMENTS (next); i++)
    {
      next[i] = caller_new (world);
      next[i]->hold = 0;
      caller_begin_waiting (next[i]);
    }
  for (guint i = 0; i < 2; i++)
    g_object_unref (held[i]);
  assert_order (next, G_N_ELEMENTS (next));
  g_assert_false (caller_is_done (stuck));
  g_atomic_int_set (&go, TRUE);
  caller_wait (stuck);
  g_assert_no_error (stuck->error);
  caller_free (stuck);
  callers_free (next, G_N_ELEMENTS (next));
  loop_free (slow);
}

/* FIF-04 */
static void
dead_entries (World *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DbConnection *held;
  Caller *callers[10];
  guint expected = 1;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  held = acquire (world->pool);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->hold = MS;
      if (i == 1 || i == 3)
        g_set_object (&callers[i]->cancellable, cancellable);
      else if (i % 2 == 1)
        callers[i]->timeout = 300 * MS;
      caller_begin_waiting (callers[i]);
    }
  g_cancellable_cancel (cancellable);
  for (guint i = 1; i < G_N_ELEMENTS (callers); i += 2)
    {
      caller_wait (callers[i]);
      g_assert_nonnull (callers[i]->error);
    }
  assert_stats (world->pool, "waiting=5 cancelled=2 timeouts=3");
  g_object_unref (held);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i += 2)
    {
      caller_wait (callers[i]);
      g_assert_no_error (callers[i]->error);
      g_assert_cmpuint (callers[i]->grant, ==, expected++);
    }
  callers_free (callers, G_N_ELEMENTS (callers));
}

static gint64
serve_queue (World *world, guint n)
{
  g_autofree Caller **callers = g_new0 (Caller *, n);
  DbConnection *held[3];
  gint64 began;

  for (guint i = 0; i < 3; i++)
    held[i] = acquire (world->pool);
  for (guint i = 0; i < n; i++)
    {
      callers[i] = caller_new (world);
      callers[i]->hold = 0;
      caller_begin (callers[i]);
    }
  await_stats (world->pool, "waiting=%u", n);
  began = g_get_monotonic_time ();
  for (guint i = 0; i < 3; i++)
    g_object_unref (held[i]);
  for (guint i = 0; i < n; i++)
    {
      caller_wait (callers[i]);
      g_assert_no_error (callers[i]->error);
    }
  began = g_get_monotonic_time () - began;
  callers_free (callers, n);
  return began;
}

/* FIF-05: the cost of a queue grows with its length, and not with the square of it. */
static void
very_long_queue (World *world)
{
  const guint n = 25000 / (guint) scenario_factor ();
  gint64 quarter, whole;

  make_pool (world, "max-connections=3 connection-timeout=60s");
  quarter = serve_queue (world, n / 4);
  whole = serve_queue (world, n);
  g_test_message ("%u waiters took %.1f ms, a quarter of them %.1f ms", n, whole / (double) MS,
                  quarter / (double) MS);
  g_assert_cmpint (whole, <=, 4 * quarter * 3 / 2 + 500 * MS * scenario_factor ());
  assert_soon (whole, 5 * SECOND);
  assert_stats (world->pool, "timeouts=0 errors=0 waiting=0 idle=3 created=3 acquired=%u",
                n + n / 4 + 6);
}

static void
share (World *world, guint n_async)
{
  Caller *callers[8];
  guint least = G_MAXUINT, most = 0, n_granted = 0;
  gint64 total_wait = 0, longest_wait = 0;

  make_pool (world, "max-connections=2 connection-timeout=60s");
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->async = world->async || i < n_async;
      callers[i]->hold = MS;
      callers[i]->rounds = 0;
      caller_begin (callers[i]);
    }
  pass_time (scenario_is_thorough () ? 3 * SECOND : 700 * MS);
  g_atomic_int_set (&world->stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      caller_wait (callers[i]);
      g_assert_no_error (callers[i]->error);
      least = MIN (least, callers[i]->n_granted);
      most = MAX (most, callers[i]->n_granted);
      n_granted += callers[i]->n_granted;
      total_wait += callers[i]->total_wait;
      longest_wait = MAX (longest_wait, callers[i]->longest_wait);
    }
  callers_free (callers, G_N_ELEMENTS (callers));
  g_test_message ("%u to %u loans each; waits: mean %.2f ms, longest %.2f ms", least, most,
                  total_wait / (double) n_granted / MS, longest_wait / (double) MS);
  g_assert_cmpint (longest_wait, <=, 5 * total_wait / n_granted + 200 * MS * scenario_factor ());
  g_assert_cmpuint (10 * least, >=, 8 * most - MIN (8 * most, 20));
}

/* FIF-07 */
static void
long_run_share (World *world)
{
  share (world, 0);
}

static void
long_run_share_mixed (World *world)
{
  share (world, 1);
}

/* FIF-08 */
static void
head_takes_what_comes_first (World *world)
{
  DbConnection *a;
  Caller *b, *c;

  make_pool (world, "max-connections=2 connection-timeout=60s");
  a = acquire (world->pool);
  fake_manager_hang (world->manager, FAKE_OPEN, TRUE);
  b = caller_start_waiting (world);
  fake_manager_await_inside (world->manager, FAKE_OPEN, 1);
  c = caller_start_waiting (world);
  g_object_unref (a);
  caller_wait_connection (b);
  g_assert_cmpuint (b->id, ==, 1);
  g_assert_false (caller_is_done (c));
  fake_manager_hang (world->manager, FAKE_OPEN, FALSE);
  caller_wait_connection (c);
  g_assert_cmpuint (c->id, ==, 2);
  caller_free (b);
  caller_free (c);
  assert_stats (world->pool, "created=2 idle=2");
}

/* With hand-off-after 0 nobody passes one who waits, however short the wait. */
static void
strict (World *world)
{
  const guint n = 200 / (guint) scenario_factor ();

  make_pool (world, "max-connections=1 hand-off-after=0s connection-timeout=60s");
  for (guint i = 0; i < n; i++)
    {
      DbConnection *held = acquire (world->pool);
      Caller *waiter = caller_start_waiting (world);
      GError *error = NULL;

      g_object_unref (held);
      g_assert_null (db_pool_try_acquire (world->pool, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_EXHAUSTED);
      g_clear_error (&error);
      caller_wait_connection (waiter);
      caller_free (waiter);
    }
  assert_stats (world->pool, "refused=%u acquired=%u", n, 2 * n);
}

/* By default nobody passes one who has waited for longer than a millisecond. */
static void
handed_off (World *world)
{
  const guint n = 100 / (guint) scenario_factor ();

  make_pool (world, "max-connections=1 connection-timeout=60s");
  for (guint i = 0; i < n; i++)
    {
      DbConnection *held = acquire (world->pool);
      Caller *waiter = caller_start_waiting (world);
      GError *error = NULL;

      pass_time (2 * MS);
      g_object_unref (held);
      g_assert_null (db_pool_try_acquire (world->pool, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_EXHAUSTED);
      g_clear_error (&error);
      caller_wait_connection (waiter);
      caller_free (waiter);
    }
}

static void
add_all (void)
{
  scenario_add_both ("fairness/arrival-order", arrival_order);
  scenario_add ("fairness/one-queue", one_queue);
  scenario_add_both ("fairness/slow-context", slow_context);
  scenario_add_both ("fairness/dead-entries", dead_entries);
  scenario_add_async ("fairness/very-long-queue", very_long_queue);
  scenario_add_both ("fairness/share/alike", long_run_share);
  scenario_add ("fairness/share/mixed", long_run_share_mixed);
  scenario_add_both ("fairness/head-takes-what-comes-first", head_takes_what_comes_first);
  scenario_add_both ("fairness/strict", strict);
  scenario_add_both ("fairness/handed-off", handed_off);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
