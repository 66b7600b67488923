/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The pool's core in virtual time: random callers, owners and faults, and the invariants after
 * every step. The world is in sim/; here is what a seed makes of it.
 *
 * A failure names its seed: --first=SEED --seeds=1 repeats it. */

#include "sim/sim.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define N_STEPS 300
#define N_PATIENT 12

#if defined(__SANITIZE_THREAD__)
#define DEFAULT_SEEDS 1000
#elif defined(__SANITIZE_ADDRESS__)
#define DEFAULT_SEEDS 4000
#else
#define DEFAULT_SEEDS 20000
#endif

static void
choose_settings (SimWorld *world)
{
  DbPoolSettings *settings = &world->settings;

  settings->max_connections = (guint) sim_between (world, 1, 9);
  settings->min_connections = (guint) sim_between (world, 0, settings->max_connections + 1);
  settings->connection_timeout = G_TIME_SPAN_SECOND;
  settings->idle_timeout = sim_chance (world, 50) ? 0 : sim_between (world, 1000, 5000000);
  settings->max_lifetime = sim_chance (world, 50) ? 0 : sim_between (world, 10000, 10000000);
  settings->lifetime_jitter = (guint) sim_between (world, 0, 51);
  settings->validate_after_idle = sim_chance (world, 30)   ? -1
                                  : sim_chance (world, 20) ? 0
                                                           : sim_between (world, 1, 20000);
  settings->hand_off_after = sim_chance (world, 30) ? 0 : sim_between (world, 1, 5000);
  settings->idle_order = sim_chance (world, 30) ? DB_IDLE_ORDER_FIFO : DB_IDLE_ORDER_LIFO;
  settings->max_uses = sim_chance (world, 80) ? 0 : (guint) sim_between (world, 1, 20);
  settings->max_waiters = sim_chance (world, 80) ? 0 : (guint) sim_between (world, 1, 20);
  settings->keepalive = sim_chance (world, 60) ? 0 : sim_between (world, 1000, 3000000);
  settings->leak_threshold = sim_chance (world, 60) ? 0 : sim_between (world, 1, 3000000);
  settings->fail_on_deadlock = sim_chance (world, 50);
}

static void
world_init (SimWorld *world, guint32 seed)
{
  *world = (SimWorld){.now = 1000, .armed = G_MAXINT64, .armed_fires = G_MAXINT64};
  world->random = g_rand_new_with_seed (seed);
  world->fault_percent = sim_chance (world, 50) ? 0 : g_rand_int_range (world->random, 1, 40);
  world->timer_lateness = sim_chance (world, 50) ? 0 : sim_between (world, 1, 5000);
  world->clock_jitters = sim_chance (world, 30);
  choose_settings (world);
  world->core = db_pool_core_new (&world->settings, seed, &world->fork_counter);
  world->gated = sim_chance (world, 25);
  db_pool_core_set_gated (world->core, world->gated);
}

static void
world_clear (SimWorld *world)
{
  g_assert_cmpuint (world->n_sessions, ==, 0);
  g_assert_cmpuint (world->n_jobs, ==, 0);
  g_assert_cmpuint (world->n_drained, ==, 1);
  db_pool_core_free (world->core);
  g_rand_free (world->random);
}

static void
step (SimWorld *world)
{
  int op = g_rand_int_range (world->random, 0, 1000);

  sim_trace (world, (guint64) op);
  if (op < 330)
    sim_op_acquire (world);
  else if (op < 370)
    sim_op_try (world);
  else if (op < 390)
    sim_op_unit (world);
  else if (op < 680)
    sim_op_release (world);
  else if (op < 690)
    sim_op_detach (world);
  else if (op < 750)
    sim_op_cancel (world);
  else if (op < 790)
    sim_op_owner (world);
  else if (op < 810)
    sim_op_listen (world);
  else if (op < 813)
    sim_op_fork (world);
  else if (op < 820)
    sim_tick (world);
  else if (op < 835)
    sim_op_probe (world);
  else if (op < 840)
    sim_op_withdraw (world);
  else if (op < 970)
    sim_advance (world, world->now + sim_between (world, 1, 500));
  else
    sim_advance (world, world->now + sim_between (world, 1, 3000000));
}

/* Nobody does any more harm, so whoever waits is served: also those who wait for ever. */
static void
calm_down (SimWorld *world)
{
  world->fault_percent = 0;
  sim_let_go (world);
  while (world->n_fills > 0)
    sim_end_fill (world);
  if (world->suspended)
    sim_suspend (world, FALSE);
  /* What failed for good before is forgotten by then, so that it fails nobody who comes now. */
  sim_advance (world, world->now + 20 * G_TIME_SPAN_SECOND);
  world->settings.max_waiters = 0;
  sim_configure (world);
  for (guint i = 0; i < N_PATIENT && !world->closed; i++)
    {
      SimCaller *caller = sim_caller_new (world, sim_chance (world, 50), G_MAXINT64);

      if (caller == NULL)
        return;
      caller->patient = TRUE;
      caller->ticket.thread = 0;
      caller->ticket.unit = caller->ticket.blocking && sim_chance (world, 20);
      world->counts.requests += !caller->ticket.unit;
      sim_ask (world, caller);
    }
}

static gboolean
is_anybody_there (SimWorld *world)
{
  for (guint i = 0; i < SIM_MAX_CALLERS; i++)
    if (world->callers[i] != NULL)
      return TRUE;
  return FALSE;
}

/* Everybody gives back what they hold, and is gone within a minute. */
static void
go_home (SimWorld *world)
{
  gint64 limit = world->now + 60 * G_TIME_SPAN_SECOND;

  while (is_anybody_there (world))
    {
      g_assert_cmpint (world->now, <, limit);
      if (sim_caller_pick (world, TRUE) != NULL)
        {
          sim_op_release (world);
          sim_advance (world, world->now + sim_between (world, 1, 1000));
        }
      else
        sim_advance (world, world->now + 10000);
    }
}

static void
check_totals (SimWorld *world)
{
  const SimCounts *counts = &world->counts;
  DbPoolStats stats;

  db_pool_core_get_stats (world->core, &stats);
  g_assert_cmpuint (stats.requests, ==, counts->requests);
  g_assert_cmpuint (stats.timeouts, ==, counts->ended[DB_TICKET_TIMED_OUT]);
  g_assert_cmpuint (stats.cancelled, ==, counts->ended[DB_TICKET_CANCELLED]);
  g_assert_cmpuint (stats.errors, ==, counts->errors);
  g_assert_cmpuint (stats.refused, ==, counts->ended[DB_TICKET_FAILED] - counts->errors);
  g_assert_cmpuint (stats.lent, ==, 0);
  g_assert_cmpuint (stats.dedicated, ==, 0);
}

static guint64
simulate (guint32 seed, guint n_steps)
{
  SimWorld world;
  guint close_at;

  world_init (&world, seed);
  close_at = sim_chance (&world, 25) ? (guint) sim_between (&world, 0, n_steps) : G_MAXUINT;
  for (guint i = 0; i < n_steps; i++)
    {
      if (i == close_at)
        sim_op_close (&world);
      step (&world);
    }
  calm_down (&world);
  if (sim_chance (&world, 30))
    sim_op_close (&world);
  go_home (&world);
  check_totals (&world);
  sim_op_close (&world);
  sim_advance (&world, world.now + 60 * G_TIME_SPAN_SECOND);
  sim_take_events (&world);
  world_clear (&world);
  return world.trace;
}

static int n_seeds = DEFAULT_SEEDS;
static int first_seed = 1;
static volatile sig_atomic_t current_seed;

static void
on_abort (int signal_number)
{
  char text[100];
  int length =
    g_snprintf (text, sizeof text, "# the seed was %d: repeat it with --first=%d --seeds=1\n",
                (int) current_seed, (int) current_seed);

  if (write (STDERR_FILENO, text, (size_t) length) < 0)
    _exit (1);
}

static void
test_seeds (void)
{
  for (int i = 0; i < n_seeds; i++)
    {
      current_seed = first_seed + i;
      simulate ((guint32) current_seed, N_STEPS);
    }
  g_test_message ("%d seeds from %d", n_seeds, first_seed);
}

static void
test_same_trace (void)
{
  for (guint32 seed = 1; seed <= 20; seed++)
    g_assert_cmpuint (simulate (seed, 300), ==, simulate (seed, 300));
  g_assert_cmpuint (simulate (1, 300), !=, simulate (2, 300));
}

int
main (int argc, char **argv)
{
  GOptionEntry entries[] = {
    {"seeds", 0, 0, G_OPTION_ARG_INT, &n_seeds, "How many seeds", "N"},
    {"first", 0, 0, G_OPTION_ARG_INT, &first_seed, "The first seed", "SEED"},
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_ignore_unknown_options (context, TRUE);
  g_option_context_parse (context, &argc, &argv, NULL);
  g_test_init (&argc, &argv, NULL);
  signal (SIGABRT, on_abort);
  g_test_add_func ("/simulator/seeds", test_seeds);
  g_test_add_func ("/simulator/same-seed-same-trace", test_same_trace);
  return g_test_run ();
}
