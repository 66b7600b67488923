/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What time and its owner do to the pool's core, in virtual time with a scripted database, exact to
 * the microsecond. */

#include "sim/script.h"

#include <gio/gio.h>

#define N_EVENTS_KEPT 4096

static guint
take_events (World *world, DbEventType type)
{
  g_autoptr (GArray) events = db_pool_core_take_events (world->core);
  guint n = 0;

  for (guint i = 0; i < events->len; i++)
    n += g_array_index (events, DbEvent, i).type == type;
  return n;
}

/* Sessions that nobody uses are checked before keepalive is over, not all at once, and age all the
 * same. */
static void
test_keepalive (void)
{
  World world;
  DbSlot *slots[4];
  gint64 returned;

  world_init (&world, 0, 4);
  world.settings.keepalive = 60 * SECOND;
  world.settings.idle_timeout = 100 * SECOND;
  world_start (&world);
  for (guint i = 0; i < 4; i++)
    slots[i] = lend (&world);
  for (guint i = 0; i < 4; i++)
    give_back (&world, slots[i], DB_OUTCOME_CLEAN);
  returned = world.now;
  pass (&world, 54 * SECOND - 1);
  g_assert_cmpuint (world.n_checks, ==, 0);
  pass (&world, 6 * SECOND + 1);
  g_assert_cmpuint (world.n_checks, ==, 4);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpint (world.checked_at[i], <=, returned + 60 * SECOND);
  g_assert_cmpint (world.checked_at[0], <, world.checked_at[1]);
  g_assert_cmpint (world.checked_at[2], <, world.checked_at[3]);
  g_assert_cmpuint (world.n_closes, ==, 0);
  pass (&world, 40 * SECOND - 1);
  g_assert_cmpuint (world.n_closes, ==, 0);
  pass (&world, 1);
  g_assert_cmpuint (world.n_closes, ==, 4);
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_IDLE], ==, 4);
  world_end (&world);
}

/* What fails its check is gone, and replaced if it is missing. */
static void
test_keepalive_fails (void)
{
  World world;

  world_init (&world, 2, 4);
  world.settings.keepalive = 60 * SECOND;
  world_start (&world);
  give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
  pass (&world, SECOND);
  g_assert_cmpuint (get_stats (&world).idle, ==, 2);
  world.check_fails = TRUE;
  pass (&world, 62 * SECOND);
  world.check_fails = FALSE;
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_INVALID], ==, 2);
  g_assert_cmpuint (world.n_opens, ==, 4);
  g_assert_cmpuint (get_stats (&world).idle, ==, 2);
  world_end (&world);
}

/* A session that the pool cannot do without is replaced before it ends: a twentieth of its life,
 * and ten seconds at most, before. */
static void
test_retire (void)
{
  World world;
  gint64 born;

  world_init (&world, 2, 4);
  world.settings.max_lifetime = 100 * SECOND;
  world_start (&world);
  give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
  born = world.now;
  g_assert_cmpuint (world.n_opens, ==, 2);
  pass (&world, 95 * SECOND - 1);
  g_assert_cmpuint (world.n_opens, ==, 2);
  pass (&world, 1);
  g_assert_cmpuint (world.n_opens, ==, 4);
  g_assert_cmpint (world.opened_at[2], ==, born + 95 * SECOND);
  g_assert_cmpint (world.opened_at[3], ==, born + 95 * SECOND);
  g_assert_cmpuint (world.n_closes, ==, 0);
  pass (&world, 100 * MS);
  g_assert_cmpuint (world.n_closes, ==, 2);
  g_assert_cmpint (world.closed_at[0], ==, born + 95 * SECOND + 100 * MS);
  g_assert_cmpuint (get_stats (&world).idle, ==, 2);
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_LIFETIME], ==, 2);
  world_end (&world);

  /* No room: it lives to its end. Not needed: it lives to its end, too. */
  for (guint min = 0; min <= 2; min += 2)
    {
      DbSlot *slots[2];

      world_init (&world, min, 2);
      world.settings.max_lifetime = 1000 * SECOND;
      world_start (&world);
      slots[0] = lend (&world);
      slots[1] = lend (&world);
      born = world.now;
      give_back (&world, slots[0], DB_OUTCOME_CLEAN);
      give_back (&world, slots[1], DB_OUTCOME_CLEAN);
      pass (&world, 1000 * SECOND - 1 - 200 * MS);
      g_assert_cmpuint (world.n_closes, ==, 0);
      g_assert_cmpuint (world.n_opens, ==, 2);
      pass (&world, SECOND);
      g_assert_cmpuint (world.n_closes, ==, 2);
      g_assert_cmpint (world.closed_at[1], <=, born + 1000 * SECOND);
      g_assert_cmpuint (world.n_opens, ==, 2 + min);
      world_end (&world);
    }
}

/* A retiring session is lent as before, and closed when it comes back. */
static void
test_retire_lent (void)
{
  World world;
  DbSlot *slot;

  world_init (&world, 1, 2);
  world.settings.max_lifetime = 100 * SECOND;
  world_start (&world);
  give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
  world.open_takes = 2 * SECOND;
  pass (&world, 96 * SECOND);
  g_assert_cmpuint (world.n_opens, ==, 2);
  slot = lend (&world);
  g_assert_true (slot->retiring);
  pass (&world, 2 * SECOND);
  g_assert_cmpuint (world.n_closes, ==, 0);
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  g_assert_cmpuint (world.n_closes, ==, 1);
  g_assert_cmpuint (get_stats (&world).idle, ==, 1);
  world_end (&world);
}

/* A change of the lifetime holds for the sessions that there are: those that are older than they
 * may be now go, lent ones when they come back, and those that may live longer do. */
static void
test_lifetime_changes (void)
{
  World world;
  DbSlot *slots[3];
  gint64 born;

  world_init (&world, 0, 3);
  world_start (&world);
  for (guint i = 0; i < 3; i++)
    slots[i] = lend (&world);
  born = slots[0]->opened_at;
  give_back (&world, slots[0], DB_OUTCOME_CLEAN);
  pass (&world, 10 * SECOND);

  world.settings.max_lifetime = 20 * SECOND;
  configure (&world);
  pass (&world, 5 * SECOND);
  g_assert_cmpuint (world.n_closes, ==, 0);
  world.settings.max_lifetime = 30 * SECOND;
  configure (&world);
  pass (&world, 10 * SECOND);
  g_assert_cmpuint (world.n_closes, ==, 0);
  pass (&world, 10 * SECOND);
  g_assert_cmpuint (world.n_closes, ==, 1);
  g_assert_cmpint (world.closed_at[0], ==, born + 30 * SECOND);
  give_back (&world, slots[1], DB_OUTCOME_CLEAN);
  g_assert_cmpuint (world.n_closes, ==, 2);

  world.settings.max_lifetime = 0;
  configure (&world);
  give_back (&world, slots[2], DB_OUTCOME_CLEAN);
  pass (&world, 1000 * SECOND);
  g_assert_cmpuint (world.n_closes, ==, 2);
  world.settings.max_lifetime = 100 * SECOND;
  configure (&world);
  g_assert_cmpuint (world.n_closes, ==, 3);
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_LIFETIME], ==, 3);
  world_end (&world);
}

/* A session that retires, and then may live longer, is needed as before: nothing takes its place.
 */
static void
test_lifetime_changes_while_retiring (void)
{
  World world;
  DbSlot *slot;

  world_init (&world, 1, 2);
  world.settings.max_lifetime = 100 * SECOND;
  world_start (&world);
  give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
  world.open_takes = 4 * SECOND;
  world.end = OPEN_TRANSIENT;
  pass (&world, 96 * SECOND);
  slot = lend (&world);
  g_assert_true (slot->retiring);
  world.settings.max_lifetime = 1000 * SECOND;
  configure (&world);
  g_assert_false (slot->retiring);
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  pass (&world, 100 * SECOND);
  g_assert_cmpuint (world.n_opens, ==, 2);
  g_assert_cmpuint (world.n_closes, ==, 0);
  g_assert_cmpuint (get_stats (&world).idle, ==, 1);
  world_end (&world);
}

/* A lifetime that does not end, or not in our lifetime. */
static void
test_endless (void)
{
  gint64 lifetimes[] = {0, G_MAXINT64, G_MAXINT64 - 1, G_MAXINT64 / 2 + 1};

  for (guint i = 0; i < G_N_ELEMENTS (lifetimes); i++)
    {
      World world;

      world_init (&world, 1, 2);
      world.settings.max_lifetime = lifetimes[i];
      world.settings.lifetime_jitter = 50;
      world.settings.keepalive = lifetimes[i];
      world.settings.idle_timeout = lifetimes[i];
      world.settings.leak_threshold = lifetimes[i];
      world_start (&world);
      give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
      pass (&world, 1000000 * SECOND);
      g_assert_cmpuint (world.n_closes + world.n_checks, ==, 0);
      world_end (&world);
    }
}

/* A warm-up opens as many as it says, at most the maximum, tries again what fails, and asks no
 * hook. */
static void
test_warm_up (void)
{
  World world;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbPoolEffects larger = DB_POOL_EFFECTS_INIT;
  gint64 start;

  world_init (&world, 0, 6);
  world.end = OPEN_TRANSIENT;
  world_start (&world);
  db_pool_core_set_gated (world.core, TRUE);
  start = world.now;
  db_pool_core_begin_fill (world.core, 4, world.now, &fx);
  run_effects (&world, &fx);
  g_assert_cmpuint (world.n_opens, ==, 3);
  pass (&world, 100 * MS);
  world.end = OPEN_OK;
  pass (&world, 50 * MS + 1);
  g_assert_cmpuint (world.n_opens, ==, 4);
  g_assert_cmpint (world.opened_at[3], >, start + 100 * MS);
  pass (&world, SECOND);
  g_assert_cmpuint (get_stats (&world).idle, ==, 4);
  g_assert_cmpuint (world.n_opens, ==, 7);
  db_pool_core_begin_fill (world.core, 100, world.now, &larger);
  run_effects (&world, &larger);
  db_pool_core_end_fill (world.core);
  pass (&world, SECOND);
  g_assert_cmpuint (get_stats (&world).idle, ==, 6);
  db_pool_core_end_fill (world.core);
  g_assert_cmpuint (world.n_checks, ==, 0);
  g_assert_cmpuint (get_stats (&world).requests, ==, 0);

  /* It is over: what goes is not replaced. */
  fx = (DbPoolEffects) DB_POOL_EFFECTS_INIT;
  db_pool_core_evict (world.core, FALSE, world.now, &fx);
  run_effects (&world, &fx);
  pass (&world, SECOND);
  g_assert_cmpuint (get_stats (&world).idle, ==, 0);
  world_end (&world);
}

/* While it is suspended a pool takes back, and neither lends nor opens. */
static void
test_suspend (void)
{
  World world;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbPoolEffects resumed = DB_POOL_EFFECTS_INIT;
  Caller *early, *late;
  DbSlot *first, *second;

  world_init (&world, 0, 4);
  world_start (&world);
  first = lend (&world);
  second = lend (&world);
  give_back (&world, first, DB_OUTCOME_CLEAN);
  db_pool_core_suspend (world.core, world.now, &fx);
  run_effects (&world, &fx);
  g_assert_null (try (&world));
  early = ask (&world, FALSE, 50 * MS);
  late = ask (&world, FALSE, NEVER);
  give_back (&world, second, DB_OUTCOME_DIRTY);
  pass (&world, SECOND);
  assert_ends (early, DB_TICKET_TIMED_OUT, world.now - 950 * MS);
  g_assert_false (late->told);
  g_assert_cmpuint (world.n_opens, ==, 2);
  g_assert_cmpuint (get_stats (&world).idle, ==, 2);
  db_pool_core_resume (world.core, world.now, &resumed);
  run_effects (&world, &resumed);
  g_assert_true (late->told);
  g_assert_cmpint (late->decided_at, ==, world.now);
  give_back (&world, take (&world, late), DB_OUTCOME_CLEAN);
  db_ticket_unref (&late->ticket);
  g_assert_cmpuint (world.n_opens, ==, 2);
  world_end (&world);
}

static void
test_suspend_and_close (void)
{
  World world;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  Caller *waiter, *unit;

  world_init (&world, 0, 2);
  world_start (&world);
  db_pool_core_suspend (world.core, world.now, &fx);
  run_effects (&world, &fx);
  waiter = ask (&world, FALSE, NEVER);
  unit = ask_for_unit (&world, NEVER);
  pass (&world, SECOND);
  g_assert_cmpuint (world.n_opens, ==, 0);
  fx = (DbPoolEffects) DB_POOL_EFFECTS_INIT;
  db_pool_core_close (world.core, world.now, &fx);
  g_assert_true (fx.drained);
  run_effects (&world, &fx);
  g_assert_cmpint (waiter->ticket.refusal, ==, DB_REFUSAL_CLOSED);
  g_assert_cmpint (unit->ticket.refusal, ==, DB_REFUSAL_CLOSED);
  assert_ends (waiter, DB_TICKET_FAILED, world.now);
  assert_ends (unit, DB_TICKET_FAILED, world.now);
  world_end (&world);
}

/* A loan that is out for too long is said once, at its time. */
static void
test_leaks (void)
{
  World world;
  DbSlot *slots[3];
  gint64 lent[3];

  world_init (&world, 0, 3);
  world.settings.leak_threshold = 10 * SECOND;
  world_start (&world);
  for (guint i = 0; i < 3; i++)
    {
      slots[i] = lend (&world);
      lent[i] = world.now;
      pass (&world, SECOND);
    }
  give_back (&world, slots[1], DB_OUTCOME_CLEAN);
  pass (&world, 100 * SECOND);
  g_assert_cmpuint (world.n_leaks, ==, 2);
  g_assert_cmpint (world.leaks_at[0], ==, lent[0] + 10 * SECOND);
  g_assert_cmpint (world.leaks_at[1], ==, lent[2] + 10 * SECOND);
  give_back (&world, slots[0], DB_OUTCOME_CLEAN);
  slots[0] = lend (&world);
  lent[0] = world.now;
  pass (&world, 100 * SECOND);
  g_assert_cmpuint (world.n_leaks, ==, 3);
  g_assert_cmpint (world.leaks_at[2], ==, lent[0] + 10 * SECOND);
  g_assert_cmpuint (get_stats (&world).leaks, ==, 3);
  give_back (&world, slots[0], DB_OUTCOME_CLEAN);
  give_back (&world, slots[2], DB_OUTCOME_CLEAN);

  /* Who is out already when the threshold is set is found at once. */
  world.settings.leak_threshold = 0;
  configure (&world);
  slots[0] = lend (&world);
  pass (&world, 20 * SECOND);
  world.settings.leak_threshold = 5 * SECOND;
  configure (&world);
  g_assert_cmpuint (world.n_leaks, ==, 4);
  give_back (&world, slots[0], DB_OUTCOME_CLEAN);
  world_end (&world);
}

/* After the machine slept, idle sessions are checked one after the other, and before they are lent.
 */
static void
test_suspect (void)
{
  World world;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbSlot *slots[4];
  gint64 woke;
  Caller *caller;

  world_init (&world, 0, 4);
  world_start (&world);
  for (guint i = 0; i < 4; i++)
    slots[i] = lend (&world);
  for (guint i = 0; i < 4; i++)
    give_back (&world, slots[i], DB_OUTCOME_CLEAN);
  pass (&world, SECOND);
  woke = world.now;
  db_pool_core_suspect_idle (world.core, world.now, &fx);
  run_effects (&world, &fx);
  g_assert_null (try (&world));
  pass (&world, 15 * MS);
  g_assert_cmpuint (world.n_checks, ==, 1);
  g_assert_cmpint (world.checked_at[0], ==, woke);
  caller = ask (&world, FALSE, NEVER);
  /* The newest has been checked by now. */
  g_assert_true (caller->told);
  give_back (&world, take (&world, caller), DB_OUTCOME_CLEAN);
  db_ticket_unref (&caller->ticket);
  pass (&world, SECOND);
  g_assert_cmpuint (world.n_checks, ==, 4);
  for (guint i = 1; i < 4; i++)
    g_assert_cmpint (world.checked_at[i], ==, woke + i * 20 * MS);
  g_assert_nonnull (slots[0] = try (&world));
  give_back (&world, slots[0], DB_OUTCOME_CLEAN);
  world_end (&world);
}

/* A session that is put back, because who got it noticed the sleep, is asked like the others: now,
 * and not only when somebody wants it. Another keep-alive does not put that off. */
static void
test_suspect_put_back (void)
{
  World world;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbPoolSettings settings;
  DbSlot *slots[2];
  gint64 woke;

  world_init (&world, 0, 2);
  world_start (&world);
  for (guint i = 0; i < 2; i++)
    slots[i] = lend (&world);
  for (guint i = 0; i < 2; i++)
    give_back (&world, slots[i], DB_OUTCOME_CLEAN);
  pass (&world, SECOND);
  slots[0] = try (&world);
  g_assert_nonnull (slots[0]);
  woke = world.now;
  db_pool_core_suspect_idle (world.core, world.now, &fx);
  db_pool_core_put_back (world.core, slots[0], TRUE, world.now, &fx);
  settings = world.settings;
  settings.keepalive = 3600 * SECOND;
  db_pool_core_configure (world.core, &settings, world.now, &fx);
  run_effects (&world, &fx);
  pass (&world, SECOND);
  g_assert_cmpuint (world.n_checks, ==, 2);
  for (guint i = 0; i < 2; i++)
    g_assert_cmpint (world.checked_at[i], <=, woke + 20 * MS);
  world_end (&world);
}

/* A session is lent so often and no more; a loan that came to nothing does not count. */
static void
test_max_uses (void)
{
  World world;
  DbSlot *slot;

  world_init (&world, 0, 1);
  world.settings.max_uses = 3;
  world_start (&world);
  for (guint i = 0; i < 2; i++)
    give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
  for (guint i = 0; i < 5; i++)
    {
      DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

      slot = try (&world);
      g_assert_nonnull (slot);
      db_pool_core_put_back (world.core, slot, TRUE, world.now, &fx);
      run_effects (&world, &fx);
      slot = lend (&world);
      g_assert_cmpuint (slot->uses, ==, 3);
      slot->uses--; /* it was only looked at */
      give_back (&world, slot, DB_OUTCOME_CLEAN);
    }
  g_assert_cmpuint (world.n_closes, ==, 0);
  give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
  g_assert_cmpuint (world.n_closes, ==, 1);
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_LIFETIME], ==, 1);
  world_end (&world);
}

/* A session that is doomed ends at once if it is idle, and otherwise when it comes back, wherever
 * it is. */
static void
test_doom (void)
{
  World world;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbSlot *idle, *lent;
  Caller *caller;

  world_init (&world, 0, 3);
  world_start (&world);
  lent = lend (&world);
  idle = lend (&world);
  give_back (&world, idle, DB_OUTCOME_CLEAN);
  db_pool_core_doom_by_id (world.core, idle->id, DB_DROP_EVICTED, world.now, &fx);
  run_effects (&world, &fx);
  g_assert_cmpuint (world.n_closes, ==, 1);
  fx = (DbPoolEffects) DB_POOL_EFFECTS_INIT;
  db_pool_core_doom (world.core, lent, DB_DROP_BROKEN, world.now, &fx);
  run_effects (&world, &fx);
  pass (&world, SECOND);
  g_assert_cmpuint (world.n_closes, ==, 1);
  give_back (&world, lent, DB_OUTCOME_DIRTY);
  g_assert_cmpuint (world.n_resets, ==, 0);
  g_assert_cmpuint (world.n_closes, ==, 2);

  caller = ask (&world, FALSE, NEVER);
  fx = (DbPoolEffects) DB_POOL_EFFECTS_INIT;
  db_pool_core_doom (world.core, world.jobs[world.n_jobs - 1].slot, DB_DROP_BROKEN, world.now, &fx);
  run_effects (&world, &fx);
  pass (&world, SECOND);
  g_assert_true (caller->told);
  g_assert_cmpuint (world.n_opens, ==, 4);
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_BROKEN], ==, 2);
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_EVICTED], ==, 1);
  give_back (&world, take (&world, caller), DB_OUTCOME_CLEAN);
  db_ticket_unref (&caller->ticket);
  world_end (&world);
}

/* All sessions are replaced: those that are out when they come back. */
static void
test_evict_all (void)
{
  World world;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbSlot *lent, *idle, *resetting;

  world_init (&world, 0, 3);
  world_start (&world);
  lent = lend (&world);
  idle = lend (&world);
  resetting = lend (&world);
  give_back (&world, idle, DB_OUTCOME_CLEAN);
  give_back (&world, resetting, DB_OUTCOME_DIRTY);
  db_pool_core_evict (world.core, TRUE, world.now, &fx);
  run_effects (&world, &fx);
  g_assert_cmpuint (world.n_closes, ==, 1);
  pass (&world, SECOND);
  g_assert_cmpuint (world.n_closes, ==, 2);
  give_back (&world, lent, DB_OUTCOME_CLEAN);
  g_assert_cmpuint (world.n_closes, ==, 3);
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_EVICTED], ==, 3);
  give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
  g_assert_cmpuint (get_stats (&world).idle, ==, 1);
  world_end (&world);
}

static gboolean
listens_to_some (DbEventType type, gpointer data)
{
  return type == DB_EVENT_RETURNED || type == DB_EVENT_LEAK_SUSPECTED;
}

/* The ring keeps the first ones, counts the others, and speaks up once. */
static void
test_events (void)
{
  World world;
  guint n_flags = 0;

  world_init (&world, 0, 1);
  world_start (&world);
  db_pool_core_set_listen_func (world.core, listens_to_some, NULL);
  for (guint i = 0; i < 5000; i++)
    {
      DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

      db_pool_core_add_event (world.core, DB_EVENT_LEAK_SUSPECTED, i, g_strdup ("somebody"), NULL,
                              &fx);
      n_flags += fx.events;
    }
  g_assert_cmpuint (n_flags, ==, 1);
  g_assert_cmpuint (get_stats (&world).events_dropped, ==, 5000 - N_EVENTS_KEPT);
  g_assert_cmpuint (take_events (&world, DB_EVENT_LEAK_SUSPECTED), ==, N_EVENTS_KEPT);
  give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
  g_assert_cmpuint (take_events (&world, DB_EVENT_RETURNED), ==, 1);
  db_pool_core_set_listen_func (world.core, NULL, NULL);
  give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
  g_assert_cmpuint (take_events (&world, DB_EVENT_RETURNED), ==, 0);
  world_end (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add_func ("/pool-upkeep/" name, func)
  ADD ("keepalive", test_keepalive);
  ADD ("keepalive-fails", test_keepalive_fails);
  ADD ("retire", test_retire);
  ADD ("retire-lent", test_retire_lent);
  ADD ("lifetime-changes", test_lifetime_changes);
  ADD ("lifetime-changes/while-retiring", test_lifetime_changes_while_retiring);
  ADD ("endless", test_endless);
  ADD ("warm-up", test_warm_up);
  ADD ("suspend", test_suspend);
  ADD ("suspend-and-close", test_suspend_and_close);
  ADD ("leaks", test_leaks);
  ADD ("suspect", test_suspect);
  ADD ("suspect/put-back", test_suspect_put_back);
  ADD ("max-uses", test_max_uses);
  ADD ("doom", test_doom);
  ADD ("evict-all", test_evict_all);
  ADD ("events", test_events);
#undef ADD
  return g_test_run ();
}
