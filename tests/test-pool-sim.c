/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The pool's core in virtual time: random callers, random faults, and the invariants after every
 * step.
 *
 * One thread plays everybody: callers that block (awake, asleep, woken), callers with a main
 * context that is late, the threads that open, check, reset and close, and the timer. A seed
 * decides all of it, so a failure is repeated with --first=SEED --seeds=1. */

#include "db-pool-core-private.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_CALLERS 64
#define MAX_EVENTS 512

typedef enum
{
  CALLER_FREE,
  CALLER_AWAKE,     /* blocking: will look */
  CALLER_ASLEEP,    /* blocking: waits for a wake-up or its deadline */
  CALLER_PENDING,   /* asynchronous */
  CALLER_ANNOUNCED, /* asynchronous: its context will run */
  CALLER_HOLDS,
} CallerState;

typedef struct
{
  DbTicket ticket; /* first */
  CallerState state;
  guint64 sequence;
  DbSlot *slot;
  gboolean in_use;
} Caller;

typedef enum
{
  EVENT_OPEN,
  EVENT_CHECK,
  EVENT_RESET,
  EVENT_CLOSE,
  EVENT_LOOK,
  EVENT_DELIVER,
} EventKind;

typedef struct
{
  EventKind kind;
  gint64 due;
  DbSlot *slot;
  Caller *caller;
} Event;

typedef struct
{
  guint32 seed;
  GRand *random;
  DbPoolCore *core;
  DbPoolSettings settings;
  gint64 now;
  Caller *callers[MAX_CALLERS];
  Event events[MAX_EVENTS];
  guint n_events;
  guint n_sessions; /* the ledger: open at the database, also while opening and closing */
  guint64 last_sequence;
  guint64 n_results;
  guint64 n_requests;
  guint64 trace;
  gboolean closed;
  int fault_percent;
} World;

static void run_effects (World *world, DbPoolEffects *fx);

static gint64
between (World *world, gint64 low, gint64 high)
{
  return low + (gint64) (g_rand_double (world->random) * (double) (high - low));
}

static gboolean
chance (World *world, int percent)
{
  return g_rand_int_range (world->random, 0, 100) < percent;
}

static void
trace (World *world, guint64 what)
{
  world->trace = (world->trace ^ what) * G_GUINT64_CONSTANT (1099511628211);
}

static void
schedule (World *world, EventKind kind, gint64 due, DbSlot *slot, Caller *caller)
{
  g_assert_cmpuint (world->n_events, <, MAX_EVENTS);
  world->events[world->n_events++] = (Event){kind, due, slot, caller};
}

/* Callers. */

static void
caller_free (gpointer data)
{
  Caller *caller = data;

  g_assert_false (caller->in_use);
  g_free (caller);
}

static Caller *
caller_new (World *world, gboolean blocking, gint64 timeout)
{
  Caller *caller;
  guint i;

  for (i = 0; i < MAX_CALLERS && world->callers[i] != NULL; i++)
    ;
  if (i == MAX_CALLERS)
    return NULL;
  caller = g_new0 (Caller, 1);
  caller->in_use = TRUE;
  caller->sequence = ++world->last_sequence;
  db_ticket_init (&caller->ticket, blocking, world->now + timeout, caller_free);
  world->callers[i] = caller;
  return caller;
}

static void
caller_end (World *world, Caller *caller)
{
  guint i;

  for (i = 0; world->callers[i] != caller; i++)
    ;
  world->callers[i] = NULL;
  caller->in_use = FALSE;
  db_ticket_unref (&caller->ticket);
}

/* Nobody who came earlier may still wait when this one is served. */
static void
assert_first_in_line (World *world, Caller *caller)
{
  for (guint i = 0; i < MAX_CALLERS; i++)
    if (world->callers[i] != NULL && world->callers[i]->ticket.state == DB_TICKET_PENDING)
      g_assert_cmpuint (world->callers[i]->sequence, >, caller->sequence);
}

static void
caller_result (World *world, Caller *caller, DbTicketState state)
{
  world->n_results++;
  trace (world, (guint64) state * 31 + caller->sequence);
  g_assert_cmpint (state, >=, DB_TICKET_TAKEN);
  if (state != DB_TICKET_TAKEN)
    {
      caller_end (world, caller);
      return;
    }
  /* One owner at a time. */
  for (guint i = 0; i < MAX_CALLERS; i++)
    if (world->callers[i] != NULL)
      g_assert_true (world->callers[i]->slot != caller->ticket.slot);
  g_assert_cmpint (caller->ticket.slot->state, ==, DB_SLOT_LENT);
  caller->slot = caller->ticket.slot;
  caller->state = CALLER_HOLDS;
}

static void
caller_look (World *world, Caller *caller, gboolean sleep)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gboolean was_pending = caller->ticket.state == DB_TICKET_PENDING;
  DbTicketState state = db_pool_core_look (world->core, &caller->ticket, sleep, world->now, &fx);

  if (state == DB_TICKET_PENDING)
    caller->state = sleep ? CALLER_ASLEEP : CALLER_AWAKE;
  else
    {
      if (state == DB_TICKET_TAKEN && was_pending)
        assert_first_in_line (world, caller);
      caller_result (world, caller, state);
    }
  run_effects (world, &fx);
}

/* Effects become events. */

static void
add_slots (World *world, DbSlot *slot, EventKind kind)
{
  while (slot != NULL)
    {
      DbSlot *next = slot->next;
      gboolean hangs = chance (world, world->fault_percent / 4);

      slot->next = NULL;
      schedule (world, kind,
                world->now +
                  (hangs ? between (world, 1000000, 30000000) : between (world, 1, 5000)),
                slot, NULL);
      if (kind == EVENT_OPEN)
        {
          world->n_sessions++;
          g_assert_cmpuint (world->n_sessions, <=, world->settings.max_connections);
        }
      slot = next;
    }
}

static void
run_effects (World *world, DbPoolEffects *fx)
{
  DbTicket *ticket = fx->decided;

  if (fx->wake != NULL)
    {
      Caller *caller = (Caller *) fx->wake;

      g_assert_cmpint (caller->state, ==, CALLER_ASLEEP);
      schedule (world, EVENT_LOOK, world->now + between (world, 1, 100), NULL, caller);
    }
  while (ticket != NULL)
    {
      DbTicket *next = ticket->next;
      Caller *caller = (Caller *) ticket;

      ticket->next = NULL;
      if (ticket->state == DB_TICKET_GRANTED && ticket->waited)
        assert_first_in_line (world, caller);
      if (ticket->blocking)
        schedule (world, EVENT_LOOK, world->now + between (world, 1, 100), NULL, caller);
      else
        {
          caller->state = CALLER_ANNOUNCED;
          schedule (world, EVENT_DELIVER, world->now + between (world, 1, 3000), NULL, caller);
        }
      ticket = next;
    }
  add_slots (world, fx->open, EVENT_OPEN);
  add_slots (world, fx->check, EVENT_CHECK);
  add_slots (world, fx->reset, EVENT_RESET);
  add_slots (world, fx->close, EVENT_CLOSE);
  db_pool_core_validate (world->core, world->now);
}

static void
run_event (World *world, Event *event)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  g_autoptr (GError) error = NULL;
  gboolean fails = chance (world, world->fault_percent);

  trace (world, event->kind);
  switch (event->kind)
    {
    case EVENT_OPEN:
      if (fails)
        {
          world->n_sessions--;
          g_set_error_literal (&error, G_IO_ERROR, G_IO_ERROR_FAILED, "simulated");
          db_pool_core_open_failed (world->core, event->slot, error, chance (world, 20), world->now,
                                    &fx);
        }
      else
        db_pool_core_opened (world->core, event->slot, world->now, &fx);
      break;
    case EVENT_CHECK:
      db_pool_core_checked (world->core, event->slot, !fails, world->now, &fx);
      break;
    case EVENT_RESET:
      db_pool_core_reset_done (world->core, event->slot, !fails, world->now, &fx);
      break;
    case EVENT_CLOSE:
      world->n_sessions--;
      db_pool_core_closed (world->core, event->slot, world->now, &fx);
      break;
    case EVENT_LOOK:
      /* The wake-up may come when the thread has looked by itself, or is gone. */
      if (event->caller->in_use && event->caller->state != CALLER_HOLDS)
        caller_look (world, event->caller, TRUE);
      db_ticket_unref (&event->caller->ticket);
      break;
    case EVENT_DELIVER:
      caller_result (world, event->caller,
                     db_pool_core_take (world->core, &event->caller->ticket, world->now, &fx));
      db_ticket_unref (&event->caller->ticket);
      break;
    }
  run_effects (world, &fx);
}

/* The timer, blocking deadlines and events that are due, in the order of their time. */
static void
advance (World *world, gint64 until)
{
  for (;;)
    {
      gint64 timer = db_pool_core_get_timer (world->core);
      gint64 first = until;
      Event *event = NULL;
      Caller *overdue = NULL;

      for (guint i = 0; i < world->n_events; i++)
        if (world->events[i].due <= first)
          {
            event = &world->events[i];
            first = event->due;
          }
      for (guint i = 0; i < MAX_CALLERS; i++)
        {
          Caller *caller = world->callers[i];

          if (caller != NULL && caller->ticket.blocking &&
              (caller->state == CALLER_ASLEEP || caller->state == CALLER_AWAKE) &&
              caller->ticket.deadline < first)
            {
              overdue = caller;
              first = caller->ticket.deadline;
            }
        }

      if (timer < first)
        {
          DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

          world->now = MAX (world->now, timer);
          db_pool_core_tick (world->core, world->now, &fx);
          run_effects (world, &fx);
        }
      else if (overdue != NULL)
        {
          world->now = MAX (world->now, first);
          caller_look (world, overdue, FALSE);
          if (overdue->state != CALLER_HOLDS && overdue->in_use)
            {
              DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

              g_assert_true (db_pool_core_give_up (world->core, &overdue->ticket,
                                                   DB_TICKET_TIMED_OUT, world->now, &fx));
              run_effects (world, &fx);
              /* Its own announcement comes as a look, which finds the end. */
            }
        }
      else if (event != NULL)
        {
          Event due = *event;

          world->now = MAX (world->now, due.due);
          *event = world->events[--world->n_events];
          run_event (world, &due);
        }
      else
        break;
    }
  world->now = MAX (world->now, until);
}

/* What callers do. */

static Caller *
pick (World *world, gboolean holds)
{
  guint start = (guint) g_rand_int_range (world->random, 0, MAX_CALLERS);

  for (guint i = 0; i < MAX_CALLERS; i++)
    {
      Caller *caller = world->callers[(start + i) % MAX_CALLERS];

      if (caller != NULL && (caller->state == CALLER_HOLDS) == holds)
        return caller;
    }
  return NULL;
}

static gboolean
may_overtake (World *world)
{
  gint64 oldest = G_MAXINT64;
  Caller *head = NULL;

  for (guint i = 0; i < MAX_CALLERS; i++)
    if (world->callers[i] != NULL && world->callers[i]->ticket.state == DB_TICKET_PENDING &&
        (gint64) world->callers[i]->sequence < oldest)
      {
        head = world->callers[i];
        oldest = (gint64) head->sequence;
      }
  return head == NULL || (head->ticket.blocking &&
                          world->now - head->ticket.enqueued < world->settings.hand_off_after);
}

static void op_release (World *world, gboolean broken);

static void
op_acquire (World *world)
{
  gboolean blocking = chance (world, 50);
  gboolean may_jump = may_overtake (world);
  DbPoolEffects try_fx = DB_POOL_EFFECTS_INIT;
  DbPoolEffects reject_fx = DB_POOL_EFFECTS_INIT;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  Caller *caller = caller_new (world, blocking, between (world, 100, 2000000));
  gint64 idle_for;
  DbSlot *slot;

  if (caller == NULL)
    return;
  world->n_requests++;
  slot = db_pool_core_try (world->core, blocking, FALSE, world->now, &idle_for, &try_fx);
  run_effects (world, &try_fx);
  if (slot != NULL)
    {
      g_assert_true (may_jump);
      g_assert_cmpint (slot->state, ==, DB_SLOT_LENT);
    }
  if (slot != NULL && chance (world, world->fault_percent))
    {
      /* Others go on while this one looks at its session and finds it dead. */
      op_release (world, FALSE);
      db_pool_core_reject (world->core, slot, blocking, world->now, &reject_fx);
      run_effects (world, &reject_fx);
      slot = NULL;
    }
  if (slot != NULL && blocking)
    {
      caller->ticket.slot = slot;
      caller_result (world, caller, DB_TICKET_TAKEN);
    }
  else if (slot != NULL)
    db_pool_core_bind (world->core, &caller->ticket, slot, world->now, &fx);
  else if (db_pool_core_acquire (world->core, &caller->ticket, world->now, &fx) == DB_TICKET_FAILED)
    caller_result (world, caller, DB_TICKET_FAILED);
  else
    {
      caller->state = blocking ? CALLER_AWAKE : CALLER_PENDING;
      if (blocking)
        schedule (world, EVENT_LOOK, world->now + between (world, 0, 10), NULL,
                  (Caller *) db_ticket_ref (&caller->ticket));
    }
  run_effects (world, &fx);
}

static void
op_try (World *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 idle_for;
  Caller *caller;
  DbSlot *slot;

  caller = caller_new (world, TRUE, 0);
  if (caller == NULL)
    return;
  world->n_requests++;
  slot = db_pool_core_try (world->core, TRUE, TRUE, world->now, &idle_for, &fx);
  if (slot != NULL)
    {
      caller->ticket.slot = slot;
      caller_result (world, caller, DB_TICKET_TAKEN);
    }
  else
    {
      db_pool_core_refuse (world->core, world->now, &fx);
      caller_result (world, caller, DB_TICKET_FAILED);
    }
  run_effects (world, &fx);
}

static void
op_release (World *world, gboolean broken)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  Caller *caller = pick (world, TRUE);
  DbOutcome outcome = broken ? DB_OUTCOME_BROKEN : DB_OUTCOME_CLEAN;
  DbSlot *slot;

  if (caller == NULL)
    return;
  if (!broken && chance (world, 20))
    outcome = DB_OUTCOME_DIRTY;
  slot = caller->slot;
  caller_end (world, caller);
  db_pool_core_give_back (world->core, slot, outcome, world->now, &fx);
  run_effects (world, &fx);
}

static void
op_cancel (World *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  Caller *caller = pick (world, FALSE);

  if (caller == NULL)
    return;
  /* A cancelled caller hears of it through its announcement. */
  if (db_pool_core_give_up (world->core, &caller->ticket, DB_TICKET_CANCELLED, world->now, &fx))
    g_assert_cmpint (caller->ticket.state, ==, DB_TICKET_CANCELLED);
  run_effects (world, &fx);
}

static void
op_configure (World *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  /* The ledger's limit is that of the moment when a session is opened. */
  world->settings.max_connections = (guint) between (world, 1, 9);
  world->settings.min_connections = (guint) between (world, 0, 5);
  world->settings.idle_timeout = chance (world, 30) ? 0 : between (world, 1000, 5000000);
  world->settings.hand_off_after = chance (world, 30) ? 0 : between (world, 1, 5000);
  world->settings.idle_order = chance (world, 30) ? DB_IDLE_ORDER_FIFO : DB_IDLE_ORDER_LIFO;
  db_pool_core_configure (world->core, &world->settings, world->now, &fx);
  run_effects (world, &fx);
}

static void
op_hang_up (World *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  Caller *caller = pick (world, TRUE);

  if (caller == NULL)
    return;
  db_pool_core_hung_up (world->core, caller->slot, world->now, &fx);
  run_effects (world, &fx);
}

static void
op_evict (World *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_evict (world->core, chance (world, 50), world->now, &fx);
  run_effects (world, &fx);
}

static void
op_close (World *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_close (world->core, world->now, &fx);
  world->closed = TRUE;
  run_effects (world, &fx);
}

static void
step (World *world)
{
  int op = g_rand_int_range (world->random, 0, 100);

  trace (world, (guint64) op);
  if (op < 35)
    op_acquire (world);
  else if (op < 40)
    op_try (world);
  else if (op < 68)
    op_release (world, FALSE);
  else if (op < 71)
    op_release (world, TRUE);
  else if (op < 78)
    op_cancel (world);
  else if (op < 80)
    op_configure (world);
  else if (op < 81)
    op_hang_up (world);
  else if (op < 82)
    op_evict (world);
  else if (op < 97)
    advance (world, world->now + between (world, 1, 500));
  else
    advance (world, world->now + between (world, 1, 3000000));
}

static guint64
simulate (guint32 seed, guint n_steps)
{
  World world = {.seed = seed, .now = 1000};
  DbPoolStats stats;
  guint64 result;

  world.random = g_rand_new_with_seed (seed);
  world.fault_percent = chance (&world, 50) ? 0 : g_rand_int_range (world.random, 1, 40);
  world.settings.max_connections = (guint) between (&world, 1, 9);
  world.settings.min_connections = (guint) between (&world, 0, world.settings.max_connections + 1);
  world.settings.connection_timeout = G_TIME_SPAN_SECOND;
  world.settings.idle_timeout = chance (&world, 50) ? 0 : between (&world, 1000, 5000000);
  world.settings.max_lifetime = chance (&world, 50) ? 0 : between (&world, 10000, 10000000);
  world.settings.lifetime_jitter = 10;
  world.settings.validate_after_idle = chance (&world, 30)   ? -1
                                       : chance (&world, 20) ? 0
                                                             : between (&world, 1, 20000);
  world.settings.hand_off_after = chance (&world, 30) ? 0 : between (&world, 1, 5000);
  world.settings.max_uses = chance (&world, 80) ? 0 : (guint) between (&world, 1, 20);
  world.settings.max_waiters = chance (&world, 80) ? 0 : (guint) between (&world, 1, 20);
  world.core = db_pool_core_new (&world.settings, seed);

  for (guint i = 0; i < n_steps; i++)
    step (&world);
  if (chance (&world, 50))
    op_close (&world);
  /* Everybody gives back what they hold, and everything ends. */
  for (guint i = 0; i < 2000 && pick (&world, TRUE) != NULL; i++)
    {
      op_release (&world, FALSE);
      advance (&world, world.now + 1000);
    }
  for (guint i = 0; i < 200; i++)
    {
      advance (&world, world.now + 200000);
      while (pick (&world, TRUE) != NULL)
        op_release (&world, FALSE);
    }
  for (guint i = 0; i < MAX_CALLERS; i++)
    g_assert_null (world.callers[i]);
  g_assert_cmpuint (world.n_results, ==, world.n_requests);
  db_pool_core_get_stats (world.core, &stats);
  g_assert_cmpuint (stats.requests, ==, world.n_requests);
  g_assert_cmpuint (stats.lent, ==, 0);
  if (!world.closed)
    op_close (&world);
  advance (&world, world.now + 60 * G_TIME_SPAN_SECOND);
  g_assert_cmpuint (world.n_sessions, ==, 0);
  g_assert_cmpuint (world.n_events, ==, 0);
  db_pool_core_free (world.core);
  g_rand_free (world.random);
  result = world.trace;
  return result;
}

static int n_seeds = 2000;
static int first_seed = 1;
static guint32 current_seed;

static void
print_seed (const char *message)
{
  fprintf (stderr, "%s", message);
}

static void
on_abort (int signal_number)
{
  g_printerr ("the seed was %u: repeat with --first=%u --seeds=1\n", current_seed, current_seed);
}

static void
test_seeds (void)
{
  for (int i = 0; i < n_seeds; i++)
    {
      current_seed = (guint32) (first_seed + i);
      simulate (current_seed, 400);
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
  g_set_printerr_handler (print_seed);
  g_test_add_func ("/simulator/seeds", test_seeds);
  g_test_add_func ("/simulator/same-seed-same-trace", test_same_trace);
  return g_test_run ();
}
