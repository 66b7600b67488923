/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Whose turn it is in the pool's core: sessions and units, hooks, deadlocks, and who must not wait
 * for nothing. In virtual time with a scripted database, exact to the microsecond. */

#include "sim/script.h"

#include <gio/gio.h>

/* Those who want a session and those who want room for one are served in the order in which they
 * came. */
static void
test_units_in_turn (void)
{
  for (guint dirty = 0; dirty < 2; dirty++)
    {
      World world;
      DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
      DbOutcome outcome = dirty ? DB_OUTCOME_DIRTY : DB_OUTCOME_CLEAN;
      Caller *first, *unit, *last;
      DbSlot *slot;

      world_init (&world, 0, 1);
      world.close_takes = 100 * MS;
      world_start (&world);
      slot = lend (&world);
      first = ask (&world, FALSE, NEVER);
      pass (&world, 1);
      unit = ask_for_unit (&world, NEVER);
      pass (&world, 1);
      last = ask (&world, FALSE, NEVER);
      give_back (&world, slot, outcome);
      pass (&world, SECOND);
      g_assert_true (first->told && !unit->told && !last->told);
      give_back (&world, take (&world, first), outcome);
      pass (&world, SECOND);
      g_assert_true (unit->told && !last->told);
      g_assert_cmpuint (world.n_closes, ==, 1);
      g_assert_cmpint (unit->decided_at, ==, world.closed_at[0] + 100 * MS);
      g_assert_cmpint (look (&world, unit), ==, DB_TICKET_TAKEN);
      g_assert_cmpuint (get_stats (&world).dedicated, ==, 1);
      db_pool_core_release_unit (world.core, unit->ticket.slot, world.now, &fx);
      run_effects (&world, &fx);
      pass (&world, SECOND);
      g_assert_true (last->told);
      g_assert_cmpuint (world.n_opens, ==, 2);
      give_back (&world, take (&world, last), DB_OUTCOME_CLEAN);
      db_ticket_unref (&first->ticket);
      db_ticket_unref (&unit->ticket);
      db_ticket_unref (&last->ticket);
      world_end (&world);
    }
}

/* Room that comes free goes to whoever asked first, however many units are asked for. */
static void
test_room_in_turn (void)
{
  World world;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  Caller *held, *waiter, *late;

  world_init (&world, 0, 1);
  world_start (&world);
  held = ask_for_unit (&world, NEVER);
  g_assert_cmpint (look (&world, held), ==, DB_TICKET_TAKEN);
  waiter = ask (&world, FALSE, NEVER);
  pass (&world, 1);
  late = ask_for_unit (&world, NEVER);
  db_pool_core_release_unit (world.core, held->ticket.slot, world.now, &fx);
  run_effects (&world, &fx);
  g_assert_false (late->told);
  pass (&world, 100 * MS);
  g_assert_true (waiter->told);
  give_back (&world, take (&world, waiter), DB_OUTCOME_CLEAN);
  pass (&world, 0);
  g_assert_true (late->told);

  /* When the database is away, room is better than nothing: perhaps there is another one. */
  g_assert_cmpint (look (&world, late), ==, DB_TICKET_TAKEN);
  db_ticket_unref (&waiter->ticket);
  waiter = ask (&world, FALSE, 20 * SECOND);
  pass (&world, 1);
  db_ticket_unref (&held->ticket);
  held = ask_for_unit (&world, NEVER);
  world.end = OPEN_TRANSIENT;
  fx = (DbPoolEffects) DB_POOL_EFFECTS_INIT;
  db_pool_core_release_unit (world.core, late->ticket.slot, world.now, &fx);
  run_effects (&world, &fx);
  g_assert_false (held->told);
  pass (&world, 100 * MS);
  g_assert_true (held->told);
  db_ticket_unref (&late->ticket);
  g_assert_cmpint (look (&world, held), ==, DB_TICKET_TAKEN);
  fx = (DbPoolEffects) DB_POOL_EFFECTS_INIT;
  db_pool_core_release_unit (world.core, held->ticket.slot, world.now, &fx);
  run_effects (&world, &fx);
  pass (&world, 20 * SECOND);
  g_assert_cmpint (waiter->ticket.state, ==, DB_TICKET_TIMED_OUT);
  db_ticket_unref (&held->ticket);
  db_ticket_unref (&waiter->ticket);
  world_end (&world);
}

/* A unit that becomes a session is the first of a new generation: idle ones go at once, those that
 * are out when they come back, those that are being opened when they are there. */
static void
test_adopt (void)
{
  World world;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  Caller *unit, *waiter;
  DbSlot *lent, *idle;

  world_init (&world, 0, 4);
  world_start (&world);
  lent = lend (&world);
  idle = lend (&world);
  unit = ask_for_unit (&world, NEVER);
  g_assert_cmpint (look (&world, unit), ==, DB_TICKET_TAKEN);
  world.open_takes = SECOND;
  waiter = ask (&world, FALSE, NEVER);
  g_assert_cmpuint (world.n_opens, ==, 3);
  give_up (&world, waiter);
  db_ticket_unref (&waiter->ticket);
  give_back (&world, idle, DB_OUTCOME_CLEAN);

  db_pool_core_adopt (world.core, unit->ticket.slot, world.now, &fx);
  run_effects (&world, &fx);
  g_assert_cmpuint (world.n_closes, ==, 1);
  g_assert_cmpuint (get_stats (&world).idle, ==, 1);
  g_assert_cmpuint (get_stats (&world).dedicated, ==, 0);
  g_assert_true (lend (&world) == unit->ticket.slot);
  give_back (&world, lent, DB_OUTCOME_CLEAN);
  g_assert_cmpuint (world.n_closes, ==, 2);
  pass (&world, SECOND);
  g_assert_cmpuint (world.n_closes, ==, 3);
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_EVICTED], ==, 3);
  g_assert_cmpuint (get_stats (&world).created, ==, 4);
  give_back (&world, unit->ticket.slot, DB_OUTCOME_CLEAN);
  g_assert_cmpuint (get_stats (&world).idle, ==, 1);
  db_ticket_unref (&unit->ticket);
  world_end (&world);
}

static DbSlot *
lend_on (World *world, guint thread)
{
  Caller *caller = ask_on (world, thread, NEVER);
  DbSlot *slot;

  while (look (world, caller) != DB_TICKET_TAKEN)
    pass (world, MS);
  slot = caller->ticket.slot;
  db_ticket_unref (&caller->ticket);
  return slot;
}

/* A deadlock is said once it has lasted, and once, until a loan ends. */
static void
test_deadlock (void)
{
  World world;
  DbSlot *slots[2];
  Caller *first, *second, *other;

  world_init (&world, 0, 2);
  world_start (&world);
  slots[0] = lend_on (&world, 1);
  slots[1] = lend_on (&world, 2);
  other = ask (&world, FALSE, 10 * SECOND);
  first = ask_on (&world, 1, NEVER);
  g_assert_cmpuint (world.n_deadlocks, ==, 0);
  second = ask_on (&world, 2, NEVER);
  pass (&world, 100 * MS - 1);
  g_assert_cmpuint (world.n_deadlocks, ==, 0);
  pass (&world, 1);
  g_assert_cmpuint (world.n_deadlocks, ==, 1);
  pass (&world, 20 * SECOND);
  assert_ends (other, DB_TICKET_TIMED_OUT, world.now - 10 * SECOND - 100 * MS);
  g_assert_cmpuint (world.n_deadlocks, ==, 1);
  give_up (&world, second);
  db_ticket_unref (&second->ticket);
  second = ask_on (&world, 2, NEVER);
  g_assert_cmpuint (world.n_deadlocks, ==, 1);

  /* One of them lets go: the other one has two then, and waits for none. */
  give_back (&world, slots[1], DB_OUTCOME_CLEAN);
  g_assert_cmpint (look (&world, first), ==, DB_TICKET_TAKEN);
  db_ticket_unref (&first->ticket);
  g_assert_cmpuint (world.n_deadlocks, ==, 1);
  first = ask_on (&world, 1, NEVER);
  g_assert_cmpuint (world.n_deadlocks, ==, 1);
  pass (&world, 100 * MS);
  g_assert_cmpuint (world.n_deadlocks, ==, 2);
  g_assert_cmpuint (get_stats (&world).deadlocks, ==, 2);
  give_up (&world, first);
  give_up (&world, second);
  db_ticket_unref (&first->ticket);
  db_ticket_unref (&second->ticket);
  give_back (&world, slots[0], DB_OUTCOME_CLEAN);
  give_back (&world, slots[1], DB_OUTCOME_CLEAN);
  world_end (&world);
}

/* The newest of those who hold one fails at once; somebody else would not help. */
static void
test_deadlock_fails_newest (void)
{
  World world;
  DbSlot *slots[2];
  Caller *first, *second, *third;

  world_init (&world, 0, 3);
  world.settings.fail_on_deadlock = TRUE;
  world_start (&world);
  slots[0] = lend_on (&world, 1);
  slots[1] = lend_on (&world, 2);
  world.open_takes = NEVER;
  first = ask_on (&world, 1, NEVER);
  second = ask_on (&world, 2, NEVER);
  third = ask_on (&world, 3, NEVER);
  world.settings.max_connections = 2;
  configure (&world);
  g_assert_cmpuint (world.n_deadlocks, ==, 0);
  /* The one that was coming is one too many, and then there are only those two. */
  world.jobs[0].due = world.now;
  pass (&world, 1);
  g_assert_cmpuint (world.n_deadlocks, ==, 1);
  g_assert_false (third->told || first->told);
  g_assert_cmpint (second->ticket.refusal, ==, DB_REFUSAL_DEADLOCK);
  assert_ends (second, DB_TICKET_FAILED, world.now - 1);
  give_back (&world, slots[1], DB_OUTCOME_CLEAN);
  g_assert_cmpint (look (&world, first), ==, DB_TICKET_TAKEN);
  give_back (&world, slots[0], DB_OUTCOME_CLEAN);
  g_assert_cmpint (look (&world, third), ==, DB_TICKET_TAKEN);
  give_back (&world, first->ticket.slot, DB_OUTCOME_CLEAN);
  give_back (&world, third->ticket.slot, DB_OUTCOME_CLEAN);
  db_ticket_unref (&first->ticket);
  db_ticket_unref (&third->ticket);
  world_end (&world);
}

/* Behind a hook every loan comes out of a check; what the hook does not want is replaced. */
static void
test_gate (void)
{
  World world;
  DbSlot *slot;
  gint64 start;

  world_init (&world, 0, 2);
  world_start (&world);
  db_pool_core_set_gated (world.core, TRUE);
  start = world.now;
  slot = lend (&world);
  g_assert_cmpint (world.now, ==, start + 110 * MS);
  g_assert_cmpuint (world.n_checks, ==, 1);
  g_assert_cmpint (world.checked_at[0], ==, start + 100 * MS);
  g_assert_true (slot->needs_hook && !slot->needs_check);
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  g_assert_null (try (&world));
  g_assert_true (lend (&world) == slot);
  g_assert_cmpuint (world.n_checks, ==, 2);

  /* It comes back to somebody who waits, who gets it after the hook. */
  {
    Caller *waiter = ask_on (&world, 0, NEVER);
    gint64 returned;

    world.open_takes = NEVER;
    pass (&world, 200 * MS);
    g_assert_true (waiter->told);
    g_assert_cmpint (look (&world, waiter), ==, DB_TICKET_TAKEN);
    g_assert_cmpuint (world.n_checks, ==, 3);
    give_back (&world, waiter->ticket.slot, DB_OUTCOME_CLEAN);
    db_ticket_unref (&waiter->ticket);
    waiter = ask (&world, FALSE, NEVER);
    returned = world.now;
    pass (&world, 10 * MS);
    db_ticket_ref (&waiter->ticket);
    assert_ends (waiter, DB_TICKET_GRANTED, returned + 10 * MS);
    g_assert_cmpuint (world.n_checks, ==, 4);
    give_back (&world, take (&world, waiter), DB_OUTCOME_CLEAN);
    db_ticket_unref (&waiter->ticket);
  }
  g_assert_cmpuint (world.n_opens, ==, 2);
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  world_end (&world);
}

static guint
count_opens_while_rejecting (World *world, gint64 time)
{
  Caller *caller;
  guint before = world->n_opens;

  world->hook_rejects = TRUE;
  caller = ask (world, FALSE, time);
  pass (world, time);
  g_assert_cmpint (caller->ticket.state, ==, DB_TICKET_TIMED_OUT);
  db_ticket_unref (&caller->ticket);
  world->hook_rejects = FALSE;
  return world->n_opens - before;
}

/* A hook that wants no new session makes the pool wait longer and longer, as if opening had failed:
 * also after a failure for good, which alone would be asked about at once. */
static void
test_gate_rejects (void)
{
  World world;
  gint64 longest = 50 * MS;
  guint n_opens;
  Caller *caller;
  gboolean permanent;
  g_autoptr (GError) error = NULL;

  world_init (&world, 0, 4);
  world.open_takes = 0;
  world.check_takes = 0;
  world_start (&world);
  db_pool_core_set_gated (world.core, TRUE);
  world.end = OPEN_PERMANENT;
  caller = ask (&world, FALSE, NEVER);
  pass (&world, 0);
  assert_ends (caller, DB_TICKET_FAILED, world.now);
  world.end = OPEN_OK;
  world.n_opens = 0;
  n_opens = count_opens_while_rejecting (&world, 60 * SECOND);
  g_assert_cmpuint (n_opens, >=, 10);
  g_assert_cmpuint (n_opens, <=, 40);
  for (guint i = 1; i < n_opens; i++)
    {
      g_assert_cmpint (world.opened_at[i] - world.opened_at[i - 1], >, 0);
      longest = MIN (longest * 2, 10 * SECOND);
      g_assert_cmpint (world.opened_at[i] - world.opened_at[i - 1], <=, longest + 1);
    }
  error = db_pool_core_dup_open_error (world.core, &permanent);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
  g_assert_false (permanent);

  /* Forgotten as soon as it wants one. */
  pass (&world, 10 * SECOND);
  give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
  g_clear_error (&error);
  g_assert_null (db_pool_core_dup_open_error (world.core, &permanent));

  /* A rejection for good fails those who wait, if there is no other session. */
  world.hook_rejects = TRUE;
  world.permanent = TRUE;
  caller = ask (&world, FALSE, NEVER);
  pass (&world, SECOND);
  g_assert_cmpint (caller->ticket.state, ==, DB_TICKET_FAILED);
  g_assert_error (caller->ticket.error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
  db_ticket_unref (&caller->ticket);
  world_end (&world);
}

/* The session that a thread was woken for is over when it looks, and the timer is late: another one
 * is opened at once, not when that one is gone. */
static void
test_woken_too_late (void)
{
  World world;
  DbSlot *held, *slot;
  Caller *caller;

  world_init (&world, 0, 2);
  world.settings.max_lifetime = 100 * SECOND;
  world.settings.hand_off_after = 1000 * SECOND;
  world_start (&world);
  slot = lend (&world);
  pass (&world, 50 * SECOND);
  held = lend (&world);
  caller = ask (&world, TRUE, NEVER);
  g_assert_cmpint (look (&world, caller), ==, DB_TICKET_PENDING);
  pass (&world, 50 * SECOND - 200 * MS);
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  g_assert_cmpuint (world.n_wakes, ==, 1);
  world.settings.max_connections = 3;
  configure (&world);
  g_assert_cmpuint (world.n_opens, ==, 2);
  world.close_takes = NEVER;
  world.now = slot->expires;
  g_assert_cmpint (look (&world, caller), ==, DB_TICKET_PENDING);
  g_assert_cmpuint (world.n_closes, ==, 1);
  g_assert_cmpuint (world.n_opens, ==, 3);
  pass (&world, 100 * MS);
  g_assert_cmpint (look (&world, caller), ==, DB_TICKET_TAKEN);
  give_back (&world, caller->ticket.slot, DB_OUTCOME_CLEAN);
  give_back (&world, held, DB_OUTCOME_CLEAN);
  db_ticket_unref (&caller->ticket);
  world_end (&world);
}

/* A session that was granted to somebody who did not come for it in time is no longer proven. */
static void
test_passed_on (void)
{
  World world;
  DbSlot *slot;
  Caller *late, *next;
  gint64 start;

  world_init (&world, 0, 1);
  world.settings.validate_after_idle = 500 * MS;
  world_start (&world);
  slot = lend (&world);
  late = ask (&world, FALSE, SECOND);
  next = ask (&world, FALSE, NEVER);
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  start = world.now;
  g_assert_true (late->told && !next->told);
  pass (&world, SECOND);
  g_assert_cmpint (late->ticket.state, ==, DB_TICKET_TIMED_OUT);
  g_assert_false (next->told);
  g_assert_cmpuint (world.n_checks, ==, 1);
  pass (&world, 10 * MS);
  db_ticket_ref (&next->ticket);
  assert_ends (next, DB_TICKET_GRANTED, start + SECOND + 10 * MS);
  give_back (&world, take (&world, next), DB_OUTCOME_CLEAN);
  db_ticket_unref (&next->ticket);
  db_ticket_unref (&late->ticket);
  world_end (&world);
}

/* Who does not wait and finds nothing causes one open, if nothing is coming, and not another one
 * later. */
static void
test_refused (void)
{
  World world;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbSlot *slot;

  world_init (&world, 0, 4);
  world_start (&world);
  for (guint i = 0; i < 3; i++)
    {
      fx = (DbPoolEffects) DB_POOL_EFFECTS_INIT;
      db_pool_core_refuse (world.core, world.now, &fx);
      run_effects (&world, &fx);
    }
  pass (&world, SECOND);
  g_assert_cmpuint (world.n_opens, ==, 1);
  slot = try (&world);
  g_assert_nonnull (slot);
  configure (&world);
  pass (&world, SECOND);
  g_assert_cmpuint (world.n_opens, ==, 1);
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  g_assert_cmpuint (get_stats (&world).refused, ==, 3);
  world_end (&world);
}

/* Behind one that has to be checked there is one that has not: nobody waits for the check. */
static void
test_proven_behind (void)
{
  World world;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbSlot *slots[2];
  Caller *caller;

  world_init (&world, 0, 2);
  world_start (&world);
  slots[0] = lend (&world);
  slots[1] = lend (&world);
  give_back (&world, slots[0], DB_OUTCOME_CLEAN);
  pass (&world, MS);
  give_back (&world, slots[1], DB_OUTCOME_CLEAN);
  slots[1] = try (&world);
  db_pool_core_put_back (world.core, slots[1], TRUE, world.now, &fx);
  run_effects (&world, &fx);
  world.check_takes = NEVER;
  caller = ask (&world, FALSE, NEVER);
  db_ticket_ref (&caller->ticket);
  assert_ends (caller, DB_TICKET_GRANTED, world.now);
  give_back (&world, take (&world, caller), DB_OUTCOME_CLEAN);
  db_ticket_unref (&caller->ticket);
  world_end (&world);
}

/* Who gives back may have read the clock before the other one queued; nobody has waited for less
 * than nothing. */
static void
test_earlier_clock (void)
{
  World world;
  DbSlot *slot;
  Caller *caller;
  gint64 before;

  world_init (&world, 0, 1);
  world_start (&world);
  slot = lend (&world);
  pass (&world, MS);
  before = get_stats (&world).wait_time;
  caller = ask (&world, FALSE, NEVER);
  world.now -= 50;
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  world.now += 50;
  slot = take (&world, caller);
  g_assert_cmpint (get_stats (&world).wait_time, ==, before);
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  db_ticket_unref (&caller->ticket);
  world_end (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add_func ("/pool-turns/" name, func)
  ADD ("units-in-turn", test_units_in_turn);
  ADD ("room-in-turn", test_room_in_turn);
  ADD ("adopt", test_adopt);
  ADD ("deadlock", test_deadlock);
  ADD ("deadlock-fails-newest", test_deadlock_fails_newest);
  ADD ("gate", test_gate);
  ADD ("gate-rejects", test_gate_rejects);
  ADD ("woken-too-late", test_woken_too_late);
  ADD ("passed-on", test_passed_on);
  ADD ("refused", test_refused);
  ADD ("proven-behind", test_proven_behind);
  ADD ("earlier-clock", test_earlier_clock);
#undef ADD
  return g_test_run ();
}
