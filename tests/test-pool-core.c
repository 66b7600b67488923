/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The pool's core, scenario by scenario, in virtual time with a scripted database: what happens, in
 * which order, and at which microsecond. The simulator (test-pool-sim.c) does the same at random.
 */

#include "db-pool-core-private.h"

#define MS G_TIME_SPAN_MILLISECOND
#define SECOND G_TIME_SPAN_SECOND
#define NEVER G_MAXINT64

typedef struct _Caller Caller;

struct _Caller
{
  DbTicket ticket; /* first */
  gint64 decided_at;
  guint order;
  gboolean told;
};

/* The script: how the next opens end. */
typedef enum
{
  OPEN_OK,
  OPEN_TRANSIENT,
  OPEN_PERMANENT,
} OpenEnd;

typedef struct
{
  DbPoolCore *core;
  DbPoolSettings settings;
  gint64 now;
  OpenEnd end;
  gint64 open_takes; /* NEVER: it hangs */
  gint64 close_takes;
  gboolean check_fails;
  struct
  {
    DbSlot *slot;
    DbSlotState state;
    gint64 due;
  } jobs[64];
  guint n_jobs;
  guint n_opens;
  guint n_checks;
  guint n_resets;
  gint64 opened_at[64]; /* when each open began */
  gint64 closed_at[64]; /* when each close began */
  guint n_closes;
  guint max_opening;
  guint last_order;
  guint n_wakes;
} World;

static void
world_init (World *world, guint min, guint max)
{
  *world = (World){
    .now = SECOND,
    .settings = {.min_connections = min,
                 .max_connections = max,
                 .connection_timeout = 30 * SECOND,
                 .validate_after_idle = -1,
                 .hand_off_after = MS},
    .open_takes = 100 * MS,
  };
}

static void
world_start (World *world)
{
  world->core = db_pool_core_new (&world->settings, 1);
}

static void
add_jobs (World *world, DbSlot *slot, DbSlotState state, gint64 takes)
{
  while (slot != NULL)
    {
      DbSlot *next = slot->next;

      g_assert_cmpuint (world->n_jobs, <, G_N_ELEMENTS (world->jobs));
      slot->next = NULL;
      world->jobs[world->n_jobs].slot = slot;
      world->jobs[world->n_jobs].state = state;
      world->jobs[world->n_jobs++].due = takes == NEVER ? NEVER : world->now + takes;
      if (state == DB_SLOT_OPENING)
        world->opened_at[world->n_opens++] = world->now;
      if (state == DB_SLOT_CLOSING)
        world->closed_at[world->n_closes++] = world->now;
      if (state == DB_SLOT_CHECKING)
        world->n_checks++;
      if (state == DB_SLOT_RESETTING)
        world->n_resets++;
      slot = next;
    }
}

static void
run_effects (World *world, DbPoolEffects *fx)
{
  DbPoolStats stats;
  DbTicket *ticket = fx->decided;

  while (ticket != NULL)
    {
      DbTicket *next = ticket->next;
      Caller *caller = (Caller *) ticket;

      ticket->next = NULL;
      caller->told = TRUE;
      caller->decided_at = world->now;
      caller->order = ++world->last_order;
      db_ticket_unref (ticket);
      ticket = next;
    }
  if (fx->wake != NULL)
    {
      world->n_wakes++;
      db_ticket_unref (fx->wake);
    }
  add_jobs (world, fx->open, DB_SLOT_OPENING, world->open_takes);
  add_jobs (world, fx->check, DB_SLOT_CHECKING, 10 * MS);
  add_jobs (world, fx->reset, DB_SLOT_RESETTING, 10 * MS);
  add_jobs (world, fx->close, DB_SLOT_CLOSING, world->close_takes);
  db_pool_core_get_stats (world->core, &stats);
  world->max_opening = MAX (world->max_opening, stats.opening);
  db_pool_core_validate (world->core, world->now);
}

static void
end_job (World *world, guint index)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbSlot *slot = world->jobs[index].slot;
  DbSlotState state = world->jobs[index].state;
  g_autoptr (GError) error = NULL;

  world->jobs[index] = world->jobs[--world->n_jobs];
  if (state == DB_SLOT_OPENING && world->end != OPEN_OK)
    {
      error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "scripted");
      db_pool_core_open_failed (world->core, slot, error, world->end == OPEN_PERMANENT, world->now,
                                &fx);
    }
  else if (state == DB_SLOT_OPENING)
    db_pool_core_opened (world->core, slot, world->now, &fx);
  else if (state == DB_SLOT_CHECKING)
    db_pool_core_checked (world->core, slot, !world->check_fails, world->now, &fx);
  else if (state == DB_SLOT_RESETTING)
    db_pool_core_reset_done (world->core, slot, TRUE, world->now, &fx);
  else
    db_pool_core_closed (world->core, slot, world->now, &fx);
  run_effects (world, &fx);
}

/* Lets time pass; what is due on the way happens at its microsecond. */
static void
pass (World *world, gint64 time)
{
  gint64 until = world->now + time;

  for (;;)
    {
      gint64 timer = db_pool_core_get_timer (world->core);
      guint first = G_MAXUINT;

      for (guint i = 0; i < world->n_jobs; i++)
        if (world->jobs[i].due <= until &&
            (first == G_MAXUINT || world->jobs[i].due < world->jobs[first].due))
          first = i;
      if (timer <= until && (first == G_MAXUINT || timer < world->jobs[first].due))
        {
          DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

          world->now = MAX (world->now, timer);
          db_pool_core_tick (world->core, world->now, &fx);
          run_effects (world, &fx);
        }
      else if (first != G_MAXUINT)
        {
          world->now = MAX (world->now, world->jobs[first].due);
          end_job (world, first);
        }
      else
        break;
    }
  world->now = until;
}

static Caller *
ask (World *world, gboolean blocking, gint64 timeout)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  Caller *caller = g_new0 (Caller, 1);

  db_ticket_init (&caller->ticket, blocking, timeout == NEVER ? NEVER : world->now + timeout,
                  g_free);
  db_pool_core_acquire (world->core, &caller->ticket, world->now, &fx);
  run_effects (world, &fx);
  return caller;
}

static DbTicketState
look (World *world, Caller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbTicketState state = db_pool_core_look (world->core, &caller->ticket, TRUE, world->now, &fx);

  run_effects (world, &fx);
  return state;
}

/* What an asynchronous caller's context does. */
static DbSlot *
take (World *world, Caller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbTicketState state = db_pool_core_take (world->core, &caller->ticket, world->now, &fx);

  g_assert_cmpint (state, ==, DB_TICKET_TAKEN);
  run_effects (world, &fx);
  return caller->ticket.slot;
}

/* Takes a session as a caller that finds one idle or waits for it. */
static DbSlot *
lend (World *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 idle_for;
  DbSlot *slot = db_pool_core_try (world->core, TRUE, FALSE, world->now, &idle_for, &fx);
  Caller *caller;

  run_effects (world, &fx);
  if (slot != NULL)
    return slot;
  caller = ask (world, FALSE, NEVER);
  while (!caller->told)
    pass (world, MS);
  slot = take (world, caller);
  db_ticket_unref (&caller->ticket);
  return slot;
}

static void
give_back (World *world, DbSlot *slot, DbOutcome outcome)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_give_back (world->core, slot, outcome, world->now, &fx);
  run_effects (world, &fx);
}

static void
assert_ends (Caller *caller, DbTicketState state, gint64 at)
{
  g_assert_true (caller->told);
  g_assert_cmpint (caller->ticket.state, ==, state);
  g_assert_cmpint (caller->decided_at, ==, at);
  db_ticket_unref (&caller->ticket);
}

static void
world_end (World *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_close (world->core, world->now, &fx);
  run_effects (world, &fx);
  for (guint i = 0; i < world->n_jobs; i++)
    world->jobs[i].due = MIN (world->jobs[i].due, world->now);
  pass (world, 60 * SECOND);
  g_assert_cmpuint (world->n_jobs, ==, 0);
  db_pool_core_free (world->core);
}

static DbPoolStats
get_stats (World *world)
{
  DbPoolStats stats;

  db_pool_core_get_stats (world->core, &stats);
  return stats;
}

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
  gint64 idle_for;

  world_init (&world, 0, 1);
  world_start (&world);
  slot = lend (&world);
  head = ask (&world, TRUE, NEVER);
  g_assert_cmpint (look (&world, head), ==, DB_TICKET_PENDING);

  /* It sleeps: a release wakes it, once, and leaves the session to whoever comes first. */
  give_back (&world, slot, DB_OUTCOME_CLEAN);
  g_assert_cmpuint (world.n_wakes, ==, 1);
  g_assert_false (head->told);
  slot = db_pool_core_try (world.core, TRUE, FALSE, world.now, &idle_for, &fx);
  g_assert_nonnull (slot);
  run_effects (&world, &fx);
  g_assert_cmpint (look (&world, head), ==, DB_TICKET_PENDING);

  pass (&world, MS);
  g_assert_null (db_pool_core_try (world.core, TRUE, FALSE, world.now, &idle_for, &fx));
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
