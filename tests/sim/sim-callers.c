/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The simulator's callers: threads that block, main contexts that are late, those who do not wait,
 * and those who want room for a session of their own. */

#include "sim.h"

SimCaller *
sim_caller_head (SimWorld *world, gboolean unit)
{
  SimCaller *head = NULL;

  for (guint i = 0; i < SIM_MAX_CALLERS; i++)
    {
      SimCaller *caller = world->callers[i];

      if (caller != NULL && caller->ticket.state == DB_TICKET_PENDING &&
          caller->ticket.unit == unit && (head == NULL || caller->sequence < head->sequence))
        head = caller;
    }
  return head;
}

gboolean
sim_thread_waits (SimWorld *world, guint thread)
{
  for (guint i = 0; thread != 0 && i < SIM_MAX_CALLERS; i++)
    if (world->callers[i] != NULL && world->callers[i]->ticket.state == DB_TICKET_PENDING &&
        world->callers[i]->ticket.thread == thread)
      return TRUE;
  return FALSE;
}

static gboolean
is_busy (SimWorld *world, guint thread)
{
  for (guint i = 0; i < SIM_MAX_CALLERS; i++)
    if (world->callers[i] != NULL && world->callers[i]->ticket.thread == thread &&
        world->callers[i]->state != SIM_CALLER_HOLDS)
      return TRUE;
  return FALSE;
}

/* Callers come and go. */

static void
caller_free (gpointer data)
{
  SimCaller *caller = data;

  g_assert_false (caller->in_use);
  g_free (caller);
}

/* A thread waits once at a time, but may hold many sessions. Most of them are not numbered: they
 * take part in no deadlock. */
static void
choose_thread (SimWorld *world, SimCaller *caller)
{
  guint thread = (guint) sim_between (world, 1, SIM_N_THREADS + 1);

  if (sim_chance (world, 50) && !is_busy (world, thread))
    caller->ticket.thread = thread;
}

SimCaller *
sim_caller_new (SimWorld *world, gboolean blocking, gint64 timeout)
{
  SimCaller *caller;
  guint i;

  for (i = 0; i < SIM_MAX_CALLERS && world->callers[i] != NULL; i++)
    ;
  if (i == SIM_MAX_CALLERS)
    return NULL;
  caller = g_new0 (SimCaller, 1);
  caller->in_use = TRUE;
  caller->sequence = ++world->last_sequence;
  caller->deadline = timeout == G_MAXINT64 ? G_MAXINT64 : world->now + timeout;
  db_ticket_init (&caller->ticket, blocking, caller->deadline, caller_free);
  if (blocking)
    choose_thread (world, caller);
  world->callers[i] = caller;
  return caller;
}

static void
caller_end (SimWorld *world, SimCaller *caller)
{
  guint i;

  for (i = 0; world->callers[i] != caller; i++)
    ;
  world->callers[i] = NULL;
  caller->in_use = FALSE;
  db_ticket_unref (&caller->ticket);
}

void
sim_caller_assert_first (SimWorld *world, SimCaller *caller)
{
  SimCaller *head = sim_caller_head (world, caller->ticket.unit);

  g_assert_true (head == NULL || head->sequence > caller->sequence);
}

/* Each asks once and is answered once. */
static void
caller_result (SimWorld *world, SimCaller *caller, DbTicketState state)
{
  sim_trace (world, (guint64) state * 31 + caller->sequence);
  g_assert_cmpint (state, >=, DB_TICKET_TAKEN);
  g_assert_cmpint (caller->state, !=, SIM_CALLER_HOLDS);
  g_assert_true (!caller->patient || world->closed || state == DB_TICKET_TAKEN);
  if (state == DB_TICKET_TIMED_OUT)
    g_assert_cmpint (caller->ticket.decided, >=, caller->deadline - SIM_CLOCK_JITTER);
  if (!caller->ticket.unit)
    {
      world->counts.ended[state]++;
      world->counts.errors += caller->ticket.refusal == DB_REFUSAL_OPEN_FAILED;
    }
  if (state != DB_TICKET_TAKEN)
    {
      g_assert_null (caller->session);
      caller_end (world, caller);
      return;
    }
  g_assert_true (caller->session->holder == caller);
  g_assert_true (caller->session->slot == caller->ticket.slot);
  caller->state = SIM_CALLER_HOLDS;
}

/* Blocking callers. */

/* Cancelled after the session was taken, and before anybody knew. */
static void
untake (SimWorld *world, SimCaller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  SimSession *session = caller->session;
  gint64 now = sim_clock (world);

  g_assert_true (
    db_pool_core_give_up (world->core, &caller->ticket, DB_TICKET_CANCELLED, now, &fx));
  caller->session = NULL;
  if (caller->ticket.unit)
    sim_ledger_remove (world, session);
  else
    {
      world->counts.ended[DB_TICKET_TAKEN]--;
      world->counts.ended[DB_TICKET_CANCELLED]++;
      sim_ledger_event (world, DB_EVENT_RETURNED);
      sim_ledger_end_loan (world, session);
    }
  caller_end (world, caller);
  sim_effects (world, &fx);
}

void
sim_caller_look (SimWorld *world, SimCaller *caller, gboolean sleep)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gboolean was_pending = caller->ticket.state == DB_TICKET_PENDING;
  gint64 now = sim_clock (world);
  DbTicketState state = db_pool_core_look (world->core, &caller->ticket, sleep, now, &fx);

  caller->woken = FALSE;
  if (state == DB_TICKET_PENDING)
    caller->state = sleep ? SIM_CALLER_ASLEEP : SIM_CALLER_AWAKE;
  else
    {
      if (state == DB_TICKET_TAKEN && was_pending)
        {
          g_assert_false (caller->ticket.unit || world->gated);
          sim_caller_assert_first (world, caller);
          sim_ledger_lend (world, caller->ticket.slot->data, caller, SIM_LOAN_IDLE);
        }
      if (state == DB_TICKET_TAKEN && !caller->ticket.unit)
        sim_ledger_event (world, DB_EVENT_ACQUIRED);
      caller_result (world, caller, state);
    }
  sim_effects (world, &fx);
  if (state == DB_TICKET_TAKEN && !caller->patient && sim_chance (world, 3))
    untake (world, caller);
}

/* Its deadline has passed: it looks once more, and gives up. */
void
sim_caller_overdue (SimWorld *world, SimCaller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now;

  db_ticket_ref (&caller->ticket);
  sim_caller_look (world, caller, FALSE);
  if (caller->in_use && caller->state != SIM_CALLER_HOLDS)
    {
      now = sim_clock (world);
      g_assert_true (
        db_pool_core_give_up (world->core, &caller->ticket, DB_TICKET_TIMED_OUT, now, &fx));
      /* Its own announcement comes as a look, which finds the end. */
      sim_effects (world, &fx);
    }
  db_ticket_unref (&caller->ticket);
}

/* The context of an asynchronous one runs. */
void
sim_caller_deliver (SimWorld *world, SimCaller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = sim_clock (world);
  DbTicketState state = db_pool_core_take (world->core, &caller->ticket, now, &fx);

  if (state == DB_TICKET_TAKEN)
    sim_ledger_event (world, DB_EVENT_ACQUIRED);
  caller_result (world, caller, state);
  sim_effects (world, &fx);
}

/* Queues a ticket. */
void
sim_ask (SimWorld *world, SimCaller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gboolean blocking = caller->ticket.blocking;
  gint64 now = sim_clock (world);

  if (!caller->ticket.unit)
    world->started = TRUE;
  if (db_pool_core_acquire (world->core, &caller->ticket, now, &fx) == DB_TICKET_FAILED &&
      fx.decided == NULL)
    {
      g_assert_true (caller->ticket.refusal == DB_REFUSAL_CLOSED ||
                     caller->ticket.refusal == DB_REFUSAL_QUEUE_FULL);
      caller_result (world, caller, DB_TICKET_FAILED);
    }
  else
    {
      caller->state = blocking ? SIM_CALLER_AWAKE : SIM_CALLER_PENDING;
      if (blocking)
        sim_schedule (world, SIM_JOB_LOOK, world->now + sim_between (world, 0, 10), NULL,
                      (SimCaller *) db_ticket_ref (&caller->ticket));
    }
  sim_effects (world, &fx);
}

/* What callers do. */

SimCaller *
sim_caller_pick (SimWorld *world, gboolean holds)
{
  guint start = (guint) g_rand_int_range (world->random, 0, SIM_MAX_CALLERS);

  for (guint i = 0; i < SIM_MAX_CALLERS; i++)
    {
      SimCaller *caller = world->callers[(start + i) % SIM_MAX_CALLERS];

      if (caller != NULL && caller->state != SIM_CALLER_NEW &&
          (caller->state == SIM_CALLER_HOLDS) == holds)
        return caller;
    }
  return NULL;
}

static gboolean
may_overtake (SimWorld *world)
{
  SimCaller *head = sim_caller_head (world, FALSE);

  return head == NULL || (head->ticket.blocking &&
                          world->call_now - head->ticket.enqueued < world->settings.hand_off_after);
}

/* A caller looks at the session that he found, while others go on: it is dead, or nobody has looked
 * at it since the machine slept, or his hook does not want it. */
static gboolean
is_declined (SimWorld *world, SimCaller *caller, gboolean final, gboolean any)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  SimSession *session = caller->session;
  gboolean asleep = !any && sim_chance (world, 5);
  gint64 now;

  if (!asleep && !sim_chance (world, world->fault_percent))
    return FALSE;
  sim_op_release (world);
  if (asleep)
    sim_suspect_idle (world);
  now = sim_clock (world);
  caller->session = NULL;
  session->loans--;
  sim_ledger_end_loan (world, session);
  session->must_close = !asleep;
  session->suspect = asleep;
  if (asleep)
    db_pool_core_put_back (world->core, session->slot, final, now, &fx);
  else
    db_pool_core_reject (world->core, session->slot, final, FALSE, NULL, now, &fx);
  if (final)
    world->counts.ended[DB_TICKET_TAKEN]--;
  sim_effects (world, &fx);
  return TRUE;
}

/* TRUE: the caller has a session now, and with @final that is all. */
static gboolean
found (SimWorld *world, SimCaller *caller, gboolean final, gboolean any)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = sim_clock (world);
  gboolean may_jump = may_overtake (world);
  gboolean is_proven = FALSE;
  DbSlot *slot = db_pool_core_try (world->core, final, any, final ? caller->ticket.thread : 0, now,
                                   &is_proven, &fx);

  if (slot != NULL)
    {
      SimSession *session = slot->data;

      g_assert_true (may_jump);
      g_assert_cmpint (is_proven, ==, now - session->proven <= G_TIME_SPAN_MILLISECOND);
      sim_ledger_lend (world, session, caller, any ? SIM_LOAN_ANY : SIM_LOAN_IDLE);
      if (final)
        world->counts.ended[DB_TICKET_TAKEN]++;
      if (final && is_proven && !any)
        sim_ledger_event (world, DB_EVENT_ACQUIRED);
    }
  sim_effects (world, &fx);
  return slot != NULL && !is_declined (world, caller, final, any);
}

static void
take_found (SimWorld *world, SimCaller *caller)
{
  caller->ticket.slot = caller->session->slot;
  world->counts.ended[DB_TICKET_TAKEN]--; /* result() counts it */
  caller_result (world, caller, DB_TICKET_TAKEN);
}

static void
bind_found (SimWorld *world, SimCaller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = sim_clock (world);

  db_pool_core_bind (world->core, &caller->ticket, caller->session->slot, now, &fx);
  sim_effects (world, &fx);
}

/* Already cancelled when it asks. */
static void
ask_cancelled (SimWorld *world, SimCaller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = sim_clock (world);

  g_assert_true (
    db_pool_core_give_up (world->core, &caller->ticket, DB_TICKET_CANCELLED, now, &fx));
  caller_result (world, caller, caller->ticket.state);
  sim_effects (world, &fx);
}

/* Perhaps the caller is a hook, which asks while it has a session in its hands. */
static void
enter_hook (SimWorld *world, SimCaller *caller)
{
  SimSession *session;

  if (!caller->ticket.blocking || world->n_sessions == 0 || !sim_chance (world, 10))
    return;
  session = world->sessions[sim_between (world, 0, world->n_sessions)];
  if (session->in_hook != NULL || (session->place != SIM_OPENING && session->place != SIM_CHECKING))
    return;
  caller->ticket.in_hook = TRUE;
  session->in_hook = (SimCaller *) db_ticket_ref (&caller->ticket);
}

void
sim_op_acquire (SimWorld *world)
{
  gboolean blocking = sim_chance (world, 50);
  SimCaller *caller = sim_caller_new (world, blocking, sim_between (world, 100, 2000000));

  if (caller == NULL)
    return;
  world->counts.requests++;
  if (sim_chance (world, 1))
    ask_cancelled (world, caller);
  else if (!found (world, caller, blocking, FALSE))
    {
      enter_hook (world, caller);
      sim_ask (world, caller);
    }
  else if (blocking)
    take_found (world, caller);
  else
    bind_found (world, caller);
}

void
sim_op_try (SimWorld *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  SimCaller *caller = sim_caller_new (world, TRUE, 0);
  gint64 now;

  if (caller == NULL)
    return;
  world->counts.requests++;
  if (found (world, caller, TRUE, TRUE))
    {
      take_found (world, caller);
      return;
    }
  now = sim_clock (world);
  world->started = TRUE;
  world->wanted = TRUE;
  db_pool_core_refuse (world->core, now, &fx);
  caller_result (world, caller, DB_TICKET_FAILED);
  sim_effects (world, &fx);
}

void
sim_op_unit (SimWorld *world)
{
  SimCaller *caller = sim_caller_new (world, TRUE, sim_between (world, 100, 2000000));

  if (caller == NULL)
    return;
  caller->ticket.unit = TRUE;
  caller->ticket.thread = 0;
  sim_ask (world, caller);
}

static void
release_unit (SimWorld *world, SimCaller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  SimSession *session = caller->session;
  gint64 now = sim_clock (world);

  if (sim_chance (world, 30))
    {
      sim_adopt (world, caller);
      caller->session = NULL;
      caller_end (world, caller);
      return;
    }
  db_pool_core_release_unit (world->core, session->slot, now, &fx);
  sim_ledger_remove (world, session);
  caller->session = NULL;
  caller_end (world, caller);
  sim_effects (world, &fx);
}

static DbOutcome
choose_outcome (SimWorld *world)
{
  if (sim_chance (world, 5 + world->fault_percent / 4))
    return DB_OUTCOME_BROKEN;
  return sim_chance (world, 20) ? DB_OUTCOME_DIRTY : DB_OUTCOME_CLEAN;
}

void
sim_op_release (SimWorld *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  SimCaller *caller = sim_caller_pick (world, TRUE);
  DbOutcome outcome = choose_outcome (world);
  gboolean finalized = sim_chance (world, 10);
  SimSession *session;
  gint64 now;

  if (caller == NULL)
    return;
  if (caller->ticket.unit)
    {
      release_unit (world, caller);
      return;
    }
  session = caller->session;
  caller->session = NULL;
  caller_end (world, caller);
  now = sim_clock (world);
  world->counts.finalized += finalized;
  sim_ledger_event (world, DB_EVENT_RETURNED);
  sim_ledger_end_loan (world, session);
  session->must_close = outcome == DB_OUTCOME_BROKEN;
  session->dirty = outcome == DB_OUTCOME_DIRTY;
  if (outcome == DB_OUTCOME_CLEAN)
    {
      session->proven = now;
      session->last_used = now;
      session->suspect = FALSE;
    }
  if (outcome != DB_OUTCOME_BROKEN && sim_chance (world, 50))
    db_pool_core_prove (world->core, now);
  db_pool_core_give_back (world->core, session->slot, outcome, finalized, now, &fx);
  sim_effects (world, &fx);
}

void
sim_op_detach (SimWorld *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  SimCaller *caller = sim_caller_pick (world, TRUE);
  SimSession *session;
  gint64 now;

  if (caller == NULL || caller->ticket.unit)
    return;
  now = sim_clock (world);
  session = caller->session;
  caller->session = NULL;
  caller_end (world, caller);
  world->counts.detached++;
  sim_ledger_event (world, DB_EVENT_RETURNED);
  db_pool_core_detach (world->core, session->slot, now, &fx);
  sim_ledger_remove (world, session);
  sim_effects (world, &fx);
}

void
sim_op_cancel (SimWorld *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  SimCaller *caller = sim_caller_pick (world, FALSE);
  gint64 now;

  if (caller == NULL || caller->patient)
    return;
  now = sim_clock (world);
  /* A cancelled caller hears of it through its announcement. */
  if (db_pool_core_give_up (world->core, &caller->ticket, DB_TICKET_CANCELLED, now, &fx))
    g_assert_cmpint (caller->ticket.state, ==, DB_TICKET_CANCELLED);
  sim_effects (world, &fx);
}
