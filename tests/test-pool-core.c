/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The pool's core, scenario by scenario, in virtual time with a scripted database: what happens, in
 * which order, and at which microsecond. What its owner and time do to it is in test-pool-upkeep.c,
 * and whose turn it is in test-pool-turns.c; the simulator (test-pool-sim.c) does the same at
 * random. */

#include "sim/script.h"

#include <gio/gio.h>

/* Deadlines are kept to the microsecond, whatever their order. */
static void
test_deadlines (void)
{
  World world;
  Caller *late, *early, *middle;
  gint64 start;

  world_init (&world, 0, 1);
  world.open_takes = NEVER;
  world_start (&world);
  start = world.now;
  late = ask (&world, FALSE, 300 * MS);
  early = ask (&world, FALSE, 100 * MS);
  middle = ask (&world, FALSE, 200 * MS);
  pass (&world, 100 * MS - 1);
  g_assert_false (early->told);
  pass (&world, SECOND);
  assert_ends (early, DB_TICKET_TIMED_OUT, start + 100 * MS);
  assert_ends (middle, DB_TICKET_TIMED_OUT, start + 200 * MS);
  assert_ends (late, DB_TICKET_TIMED_OUT, start + 300 * MS);
  g_assert_cmpuint (world.n_opens, ==, 1);
  world_end (&world);
}

/* Dead entries are skipped, in order. */
static void
test_queue_order (void)
{
  World world;
  Caller *callers[10];
  DbSlot *slot;
  guint served = 0;

  world_init (&world, 0, 1);
  world_start (&world);
  slot = lend (&world);
  for (guint i = 0; i < 10; i++)
    callers[i] = ask (&world, FALSE, i == 5 || i == 7 || i == 9 ? 50 * MS : NEVER);
  for (guint i = 1; i < 5; i += 2)
    {
      DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

      g_assert_true (db_pool_core_give_up (world.core, &callers[i]->ticket, DB_TICKET_CANCELLED,
                                           world.now, &fx));
      run_effects (&world, &fx);
    }
  pass (&world, 100 * MS);
  for (guint i = 0; i < 10; i += 2)
    {
      give_back (&world, slot, DB_OUTCOME_CLEAN);
      g_assert_true (callers[i]->told);
      slot = take (&world, callers[i]);
      served++;
    }
  g_assert_cmpuint (served, ==, 5);
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  for (guint i = 0; i < 10; i++)
    db_ticket_unref (&callers[i]->ticket);
  g_assert_cmpuint (get_stats (&world).acquired, ==, 6);
  g_assert_cmpuint (get_stats (&world).cancelled, ==, 2);
  g_assert_cmpuint (get_stats (&world).timeouts, ==, 3);
  world_end (&world);
}

/* At most three opens at a time, and min-connections is reached exactly. */
static void
test_fill (void)
{
  World world;
  DbSlot *slot;
  gint64 start;

  world_init (&world, 5, 15);
  world_start (&world);
  start = world.now;
  slot = lend (&world);
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  pass (&world, SECOND);
  g_assert_cmpuint (world.n_opens, ==, 5);
  g_assert_cmpuint (world.max_opening, ==, 3);
  g_assert_cmpint (world.opened_at[2], ==, start);
  g_assert_cmpint (world.opened_at[3], ==, start + 100 * MS);
  g_assert_cmpuint (get_stats (&world).idle, ==, 5);
  world_end (&world);
}

/* Transient failures are tried again, later and later, one at a time, and start anew after a
 * success. */
static void
test_back_off (void)
{
  World world;
  Caller *callers[5];
  gint64 longest = 50 * MS;
  DbSlot *slot;

  world_init (&world, 0, 5);
  world.end = OPEN_TRANSIENT;
  world.open_takes = 0;
  world_start (&world);
  for (guint i = 0; i < 5; i++)
    callers[i] = ask (&world, FALSE, NEVER);
  pass (&world, 60 * SECOND);
  g_assert_cmpuint (world.n_opens, >=, 10);
  g_assert_cmpuint (world.n_opens, <=, 40);
  /* The first three were one round; after it each waits up to twice as long as the one before. */
  for (guint i = 3; i < world.n_opens; i++)
    {
      g_assert_cmpint (world.opened_at[i] - world.opened_at[i - 1], >, 0);
      g_assert_cmpint (world.opened_at[i] - world.opened_at[i - 1], <=, longest + 1);
      longest = MIN (longest * 2, 10 * SECOND);
    }
  world.end = OPEN_OK;
  pass (&world, 11 * SECOND);
  for (guint i = 0; i < 5; i++)
    {
      slot = take (&world, callers[i]);
      db_ticket_unref (&callers[i]->ticket);
      give_back (&world, slot, DB_OUTCOME_BROKEN);
    }
  world.n_opens = 0;
  world.end = OPEN_TRANSIENT;
  callers[0] = ask (&world, FALSE, 10 * SECOND);
  pass (&world, 51 * MS);
  g_assert_cmpuint (world.n_opens, >=, 2);
  pass (&world, 10 * SECOND);
  g_assert_cmpint (callers[0]->ticket.state, ==, DB_TICKET_TIMED_OUT);
  db_ticket_unref (&callers[0]->ticket);
  world_end (&world);
}

/* A permanent error fails every waiting caller at once if there is no other session, and nobody
 * otherwise. */
static void
test_permanent_error (void)
{
  World world;
  Caller *callers[3];
  DbSlot *slot;
  gint64 start;

  world_init (&world, 0, 5);
  world.end = OPEN_PERMANENT;
  world_start (&world);
  start = world.now;
  for (guint i = 0; i < 3; i++)
    callers[i] = ask (&world, FALSE, NEVER);
  pass (&world, 100 * MS);
  for (guint i = 0; i < 3; i++)
    {
      g_assert_error (callers[i]->ticket.error, G_IO_ERROR, G_IO_ERROR_FAILED);
      assert_ends (callers[i], DB_TICKET_FAILED, start + 100 * MS);
    }

  /* The next one is a new question, and is asked at once. */
  world.end = OPEN_OK;
  slot = lend (&world);
  world.end = OPEN_PERMANENT;
  callers[0] = ask (&world, FALSE, NEVER);
  pass (&world, 5 * SECOND);
  g_assert_false (callers[0]->told);
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  g_assert_true (callers[0]->told);
  give_back (&world, take (&world, callers[0]), DB_OUTCOME_CLEAN);
  db_ticket_unref (&callers[0]->ticket);
  world_end (&world);
}

/* Idle sessions are closed when they have been idle for long enough, and not below min-connections.
 */
static void
test_idle_timeout (void)
{
  World world;
  DbSlot *slots[6];
  gint64 returned;

  world_init (&world, 2, 6);
  world.settings.idle_timeout = 10 * SECOND;
  world_start (&world);
  for (guint i = 0; i < 6; i++)
    slots[i] = lend (&world);
  pass (&world, 60 * SECOND);
  g_assert_cmpuint (world.n_closes, ==, 0);
  for (guint i = 0; i < 5; i++)
    give_back (&world, slots[i], DB_OUTCOME_CLEAN);
  returned = world.now;
  pass (&world, 10 * SECOND - 1);
  g_assert_cmpuint (world.n_closes, ==, 0);
  pass (&world, 60 * SECOND);
  /* One is lent, so one idle is enough. */
  g_assert_cmpuint (world.n_closes, ==, 4);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpint (world.closed_at[i], ==, returned + 10 * SECOND);
  give_back (&world, slots[5], DB_OUTCOME_CLEAN);
  pass (&world, 60 * SECOND);
  g_assert_cmpuint (world.n_closes, ==, 4);
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_IDLE], ==, 4);
  g_assert_cmpuint (world.n_opens, ==, 6);
  world_end (&world);
}

/* Sessions that were opened together do not expire together; none lives longer than it may. */
static void
test_lifetime (void)
{
  World world;
  DbSlot *slots[30];

  world_init (&world, 0, 30);
  world.settings.max_lifetime = 1000 * SECOND;
  world.settings.lifetime_jitter = 10;
  world.open_takes = 0;
  world_start (&world);
  for (guint i = 0; i < 30; i++)
    slots[i] = lend (&world);
  for (guint i = 0; i < 30; i++)
    give_back (&world, slots[i], DB_OUTCOME_CLEAN);
  pass (&world, 900 * SECOND - 1 * SECOND);
  g_assert_cmpuint (world.n_closes, ==, 0);
  pass (&world, 102 * SECOND);
  g_assert_cmpuint (world.n_closes, ==, 30);
  for (guint i = 1; i < 30; i++)
    g_assert_cmpint (world.closed_at[i], >, world.closed_at[i - 1]);
  g_assert_cmpint (world.closed_at[29] - world.closed_at[0], >, 60 * SECOND);
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_LIFETIME], ==, 30);
  world_end (&world);
}

/* A newcomer may overtake a blocking head only for hand-off-after; then sessions are handed to the
 * head. */
static void
test_hand_off (void)
{
  World world;
  Caller *head;
  DbSlot *slot;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gboolean is_proven;

  world_init (&world, 0, 1);
  world_start (&world);
  slot = lend (&world);
  head = ask (&world, TRUE, NEVER);
  g_assert_cmpint (look (&world, head), ==, DB_TICKET_PENDING);

  /* It sleeps: a release wakes it, once, and leaves the session to whoever comes first. */
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  g_assert_cmpuint (world.n_wakes, ==, 1);
  g_assert_false (head->told);
  slot = db_pool_core_try (world.core, TRUE, FALSE, 0, world.now, &is_proven, &fx);
  g_assert_nonnull (slot);
  run_effects (&world, &fx);
  g_assert_cmpint (look (&world, head), ==, DB_TICKET_PENDING);

  pass (&world, MS);
  g_assert_null (db_pool_core_try (world.core, TRUE, FALSE, 0, world.now, &is_proven, &fx));
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  g_assert_true (head->told);
  g_assert_cmpuint (world.n_wakes, ==, 1);
  g_assert_cmpint (look (&world, head), ==, DB_TICKET_TAKEN);
  give_back (&world, head->ticket.slot, DB_OUTCOME_CLEAN);
  db_ticket_unref (&head->ticket);
  world_end (&world);
}

/* What nobody has proven for a while is checked first, out of the caller's way. */
static void
test_check (void)
{
  World world;
  DbSlot *slot;

  world_init (&world, 0, 2);
  world.settings.validate_after_idle = 500 * MS;
  world_start (&world);
  slot = lend (&world);
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  pass (&world, 500 * MS);
  give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
  g_assert_cmpuint (world.n_checks, ==, 0);
  pass (&world, 500 * MS + 1);
  g_assert_true (lend (&world) == slot);
  g_assert_cmpuint (world.n_checks, ==, 1);
  give_back (&world, slot, DB_OUTCOME_CLEAN);

  world.check_fails = TRUE;
  pass (&world, SECOND);
  give_back (&world, lend (&world), DB_OUTCOME_CLEAN);
  g_assert_cmpuint (world.n_checks, ==, 2);
  g_assert_cmpuint (world.n_opens, ==, 2);
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_INVALID], ==, 1);
  world_end (&world);
}

/* A session counts until the database has let go of it. */
static void
test_close_counts (void)
{
  World world;
  Caller *waiter;
  gint64 broken;

  world_init (&world, 0, 1);
  world.close_takes = 700 * MS;
  world_start (&world);
  give_back (&world, lend (&world), DB_OUTCOME_BROKEN);
  broken = world.now;
  waiter = ask (&world, FALSE, NEVER);
  pass (&world, 10 * SECOND);
  g_assert_cmpint (world.opened_at[1], ==, broken + 700 * MS);
  g_assert_cmpint (waiter->decided_at, ==, broken + 800 * MS);
  give_back (&world, take (&world, waiter), DB_OUTCOME_DIRTY);
  g_assert_cmpuint (world.n_resets, ==, 1);
  db_ticket_unref (&waiter->ticket);
  pass (&world, SECOND);
  g_assert_cmpuint (get_stats (&world).idle, ==, 1);
  world_end (&world);
}

/* Closing fails who waits, at once, and closes what is born after it. */
static void
test_close (void)
{
  World world;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  Caller *waiters[3];
  Caller *refused;

  world_init (&world, 0, 2);
  world_start (&world);
  for (guint i = 0; i < 3; i++)
    waiters[i] = ask (&world, i == 0, NEVER);
  db_pool_core_close (world.core, world.now, &fx);
  run_effects (&world, &fx);
  for (guint i = 0; i < 3; i++)
    {
      g_assert_cmpint (waiters[i]->ticket.refusal, ==, DB_REFUSAL_CLOSED);
      assert_ends (waiters[i], DB_TICKET_FAILED, world.now);
    }
  refused = ask (&world, FALSE, NEVER);
  g_assert_cmpint (refused->ticket.state, ==, DB_TICKET_FAILED);
  db_ticket_unref (&refused->ticket);
  pass (&world, SECOND);
  g_assert_cmpuint (world.n_opens, ==, 2);
  g_assert_cmpuint (world.n_closes, ==, 2);
  g_assert_cmpuint (get_stats (&world).dropped[DB_DROP_CLOSED], ==, 2);
  world_end (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add_func ("/pool-core/" name, func)
  ADD ("deadlines", test_deadlines);
  ADD ("queue-order", test_queue_order);
  ADD ("fill", test_fill);
  ADD ("back-off", test_back_off);
  ADD ("permanent-error", test_permanent_error);
  ADD ("idle-timeout", test_idle_timeout);
  ADD ("lifetime", test_lifetime);
  ADD ("hand-off", test_hand_off);
  ADD ("check", test_check);
  ADD ("close-counts", test_close_counts);
  ADD ("close", test_close);
#undef ADD
  return g_test_run ();
}
