/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the pool's owner, its sockets, the machine and a fork do to the simulator's core. */

#include "sim.h"

#include "db-pool-balance-private.h"

#include <gio/gio.h>

void
sim_configure (SimWorld *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = sim_clock (world);

  db_pool_core_configure (world->core, &world->settings, now, &fx);
  sim_effects (world, &fx);
}

static void
op_configure (SimWorld *world)
{
  DbPoolSettings *settings = &world->settings;

  settings->max_connections = (guint) sim_between (world, 1, 9);
  settings->min_connections = (guint) sim_between (world, 0, 5);
  settings->idle_timeout = sim_chance (world, 30) ? 0 : sim_between (world, 1000, 5000000);
  if (sim_chance (world, 30))
    settings->max_lifetime = sim_chance (world, 50) ? 0 : sim_between (world, 10000, 10000000);
  settings->hand_off_after = sim_chance (world, 30) ? 0 : sim_between (world, 1, 5000);
  settings->idle_order = sim_chance (world, 30) ? DB_IDLE_ORDER_FIFO : DB_IDLE_ORDER_LIFO;
  settings->keepalive = sim_chance (world, 50) ? 0 : sim_between (world, 1000, 3000000);
  settings->leak_threshold = sim_chance (world, 50) ? 0 : sim_between (world, 1, 3000000);
  settings->fail_on_deadlock = sim_chance (world, 50);
  sim_configure (world);
}

/* Only the size. */
static void
op_resize (SimWorld *world)
{
  world->settings.max_connections = (guint) sim_between (world, 1, 9);
  world->settings.min_connections =
    (guint) sim_between (world, 0, world->settings.max_connections + 1);
  sim_configure (world);
}

/* A socket hangs up, or somebody wants a session to go: any session, wherever it is. */
static void
op_doom (SimWorld *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gboolean by_id = sim_chance (world, 50);
  gint64 now = sim_clock (world);
  SimSession *session;

  if (world->n_sessions == 0)
    return;
  session = world->sessions[sim_between (world, 0, world->n_sessions)];
  if (by_id && sim_chance (world, 10))
    db_pool_core_doom_by_id (world->core, 1 << 30, DB_DROP_EVICTED, now, &fx);
  else
    {
      session->doomed = session->place != SIM_CLOSING && session->place != SIM_UNIT;
      if (by_id)
        db_pool_core_doom_by_id (world->core, session->slot->id, DB_DROP_EVICTED, now, &fx);
      else
        db_pool_core_doom (world->core, session->slot, DB_DROP_BROKEN, now, &fx);
    }
  sim_effects (world, &fx);
}

static void
op_evict (SimWorld *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gboolean all = sim_chance (world, 50);
  gint64 now = sim_clock (world);

  for (guint i = 0; i < world->n_sessions; i++)
    world->sessions[i]->must_close |= world->sessions[i]->place == SIM_AT_REST;
  world->generation += all;
  db_pool_core_evict (world->core, all, now, &fx);
  sim_effects (world, &fx);
}

void
sim_suspend (SimWorld *world, gboolean suspend)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = sim_clock (world);

  world->suspended = suspend;
  if (suspend)
    db_pool_core_suspend (world->core, now, &fx);
  else
    db_pool_core_resume (world->core, now, &fx);
  g_assert_cmpint (db_pool_core_is_suspended (world->core), ==, suspend);
  sim_effects (world, &fx);
}

static void
begin_fill (SimWorld *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  guint n = (guint) sim_between (world, 0, 12);
  gint64 now = sim_clock (world);

  world->started = TRUE;
  world->n_fills++;
  world->fill = MAX (world->fill, n);
  db_pool_core_begin_fill (world->core, n, now, &fx);
  sim_effects (world, &fx);
}

void
sim_end_fill (SimWorld *world)
{
  if (--world->n_fills == 0)
    world->fill = 0;
  db_pool_core_end_fill (world->core);
}

void
sim_suspect_idle (SimWorld *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = sim_clock (world);

  for (guint i = 0; i < world->n_sessions; i++)
    if (world->sessions[i]->place == SIM_AT_REST)
      world->sessions[i]->suspect = TRUE;
  db_pool_core_suspect_idle (world->core, now, &fx);
  sim_effects (world, &fx);
}

/* The session that @caller opened becomes the first one of a new generation. */
void
sim_adopt (SimWorld *world, SimCaller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  SimSession *session = caller->session;
  gint64 now = sim_clock (world);

  session->slot->data = session;
  session->holder = NULL;
  session->generation = ++world->generation;
  db_pool_core_adopt (world->core, session->slot, now, &fx);
  sim_ledger_forget_failures (world);
  sim_ledger_born (world, session);
  sim_effects (world, &fx);
}

void
sim_op_close (SimWorld *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = sim_clock (world);
  gboolean again = world->closed;

  world->closed = TRUE;
  db_pool_core_close (world->core, now, &fx);
  g_assert_true (db_pool_core_is_closed (world->core));
  g_assert_false (again && (fx.decided != NULL || fx.close != NULL || fx.drained));
  sim_effects (world, &fx);
}

/* Listeners. */

static void
observe (SimWorld *world)
{
  world->observed = !world->observed;
  db_pool_core_set_observed (world->core, world->observed);
}

/* What the ring holds is what the ledger says has happened while somebody listened. */
void
sim_take_events (SimWorld *world)
{
  g_autoptr (GArray) events = db_pool_core_take_events (world->core);
  guint counts[DB_N_EVENT_TYPES] = {0};

  for (guint i = 0; i < events->len; i++)
    {
      DbEvent *event = &g_array_index (events, DbEvent, i);

      counts[event->type]++;
      sim_trace (world, event->type);
      if (event->type == DB_EVENT_ACQUIRE_FAILED || event->type == DB_EVENT_BACKGROUND_ERROR)
        g_assert_nonnull (event->error);
      else
        g_assert_cmpint (event->value, >=, -SIM_CLOCK_JITTER);
    }
  for (guint i = 0; i < DB_N_EVENT_TYPES; i++)
    g_assert_cmpuint (counts[i], ==, world->events[i]);
  memset (world->events, 0, sizeof world->events);
  world->n_events = 0;
}

static void
tell_failure (SimWorld *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "simulated");

  sim_clock (world);
  db_pool_core_add_event (world->core, DB_EVENT_ACQUIRE_FAILED, 0, NULL, error, &fx);
  sim_ledger_event (world, DB_EVENT_ACQUIRE_FAILED);
  sim_effects (world, &fx);
}

static gboolean
listens (DbEventType type, gpointer data)
{
  SimWorld *world = data;

  return (world->listeners & (1u << type)) != 0;
}

void
sim_op_listen (SimWorld *world)
{
  if (sim_chance (world, 20))
    {
      world->listeners = (guint) sim_between (world, 0, 1 << DB_N_EVENT_TYPES);
      db_pool_core_set_listen_func (world->core, world->listeners != 0 ? listens : NULL, world);
    }
  else if (sim_chance (world, 20))
    tell_failure (world);
  else
    sim_take_events (world);
}

/* Forks: for a moment this process is the child. */

static GBytes *
photograph (SimWorld *world)
{
  GByteArray *bytes = g_byte_array_new ();

  g_byte_array_append (bytes, (guint8 *) world->core, sizeof (DbPoolCore));
  for (guint i = 0; i < world->n_sessions; i++)
    g_byte_array_append (bytes, (guint8 *) world->sessions[i]->slot, sizeof (DbSlot));
  for (guint i = 0; i < SIM_MAX_CALLERS; i++)
    if (world->callers[i] != NULL)
      g_byte_array_append (bytes, (guint8 *) world->callers[i], sizeof (SimCaller));
  return g_byte_array_free_to_bytes (bytes);
}

static void
nothing_cb (DbSlot *slot, gpointer data)
{
  g_assert_not_reached ();
}

static void
no_free_cb (gpointer data)
{
}

static void
fork_callers (SimWorld *world, DbPoolEffects *fx)
{
  DbTicket ticket = {0};
  gboolean is_proven;

  db_ticket_init (&ticket, sim_chance (world, 50), G_MAXINT64, no_free_cb);
  g_assert_null (db_pool_core_try (world->core, TRUE, TRUE, 1, world->now, &is_proven, fx));
  g_assert_cmpint (db_pool_core_acquire (world->core, &ticket, world->now, fx), ==,
                   DB_TICKET_FAILED);
  g_assert_cmpint (ticket.refusal, ==, DB_REFUSAL_FORKED);
  db_pool_core_refuse (world->core, world->now, fx);
  for (guint i = 0; i < SIM_MAX_CALLERS; i++)
    {
      SimCaller *caller = world->callers[i];

      if (caller == NULL)
        continue;
      g_assert_false (
        db_pool_core_give_up (world->core, &caller->ticket, DB_TICKET_TIMED_OUT, world->now, fx));
      if (caller->ticket.blocking)
        db_pool_core_look (world->core, &caller->ticket, TRUE, world->now, fx);
      db_pool_core_take (world->core, &caller->ticket, world->now, fx);
    }
}

static void
fork_sessions (SimWorld *world, DbPoolEffects *fx)
{
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "simulated");
  DbPoolCore *core = world->core;
  gint64 now = world->now;

  for (guint i = 0; i < world->n_sessions; i++)
    {
      DbSlot *slot = world->sessions[i]->slot;

      db_pool_core_give_back (core, slot, DB_OUTCOME_CLEAN, TRUE, now, fx);
      db_pool_core_reject (core, slot, TRUE, FALSE, NULL, now, fx);
      db_pool_core_put_back (core, slot, TRUE, now, fx);
      db_pool_core_opened (core, slot, now, fx);
      db_pool_core_open_failed (core, slot, error, TRUE, now, fx);
      db_pool_core_checked (core, slot, DB_CHECK_WORKS, FALSE, NULL, now, fx);
      db_pool_core_reset_done (core, slot, TRUE, now, fx);
      db_pool_core_closed (core, slot, now, fx);
      db_pool_core_doom (core, slot, DB_DROP_BROKEN, now, fx);
      db_pool_core_doom_by_id (core, slot->id, DB_DROP_BROKEN, now, fx);
      db_pool_core_detach (core, slot, now, fx);
      db_pool_core_release_unit (core, slot, now, fx);
      db_pool_core_adopt (core, slot, now, fx);
    }
}

static void
fork_owner (SimWorld *world, DbPoolEffects *fx)
{
  DbPoolCore *core = world->core;
  DbPoolSettings settings = {.max_connections = 1};
  g_autoptr (GArray) events = db_pool_core_take_events (core);
  DbProbe probe = {0};
  gboolean permanent;
  DbPoolStats stats;
  DbPoolCoreInfo info;

  db_pool_core_tick (core, world->now, fx);
  db_pool_core_probe (core, &probe, world->now, fx);
  g_assert_false (db_pool_core_withdraw (core, &probe));
  g_assert_cmpint (probe.state, ==, DB_PROBE_NEW);
  db_pool_core_suspect_idle (core, world->now, fx);
  db_pool_core_configure (core, &settings, world->now, fx);
  db_pool_core_evict (core, TRUE, world->now, fx);
  db_pool_core_suspend (core, world->now, fx);
  db_pool_core_resume (core, world->now, fx);
  db_pool_core_begin_fill (core, 5, world->now, fx);
  db_pool_core_end_fill (core);
  db_pool_core_set_gated (core, !world->gated);
  db_pool_core_add_event (core, DB_EVENT_DEADLOCK, 0, g_strdup (""), NULL, fx);
  db_pool_core_close (core, world->now, fx);
  db_pool_core_foreach (core, nothing_cb, NULL);
  db_pool_core_foreach_lent (core, 9, nothing_cb, NULL);
  db_pool_core_take_leaks (core, world->now, nothing_cb, NULL);
  db_pool_core_get_stats (core, &stats);
  db_pool_core_get_info (core, &info);
  g_assert_cmpuint (events->len, ==, 0);
  g_assert_true (db_pool_core_is_closed (core));
  g_assert_false (db_pool_core_is_suspended (core));
  g_assert_cmpint (db_pool_core_get_timer (core), ==, G_MAXINT64);
  g_assert_null (db_pool_core_dup_open_error (core, &permanent));
  g_assert_cmpuint (db_pool_stats_get_total (&stats), ==, 0);
}

/* The child may call whatever it likes: nothing changes, and nothing is to be done. */
void
sim_op_fork (SimWorld *world)
{
  DbPoolEffects none = DB_POOL_EFFECTS_INIT;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  g_autoptr (GBytes) before = photograph (world);
  g_autoptr (GBytes) after = NULL;

  world->fork_counter++;
  fork_callers (world, &fx);
  fork_sessions (world, &fx);
  fork_owner (world, &fx);
  world->fork_counter--;
  after = photograph (world);
  g_assert_true (g_bytes_equal (before, after));
  g_assert_cmpmem (&fx, sizeof fx, &none, sizeof none);
}

/* What the owner does. */
void
sim_op_owner (SimWorld *world)
{
  switch (g_rand_int_range (world->random, 0, 12))
    {
    case 0:
      op_configure (world);
      break;
    case 1:
      op_resize (world);
      break;
    case 2:
    case 3:
      op_doom (world);
      break;
    case 4:
      op_evict (world);
      break;
    case 5:
      sim_suspend (world, !world->suspended);
      break;
    case 6:
      if (world->suspended)
        sim_suspend (world, FALSE);
      break;
    case 7:
      begin_fill (world);
      break;
    case 8:
    case 9:
      if (world->n_fills > 0)
        sim_end_fill (world);
      break;
    case 10:
      sim_suspect_idle (world);
      break;
    default:
      observe (world);
    }
}
