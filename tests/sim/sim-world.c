/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Time in the simulator: the threads that open, check, reset and close, the timer, and the effects
 * that the core asks for. Without a lock: there is one thread. */

#include "sim.h"

#include <gio/gio.h>

/* A seed that takes more turns than this stands still. */
#define MAX_TURNS 400000

gint64
sim_between (SimWorld *world, gint64 low, gint64 high)
{
  return low + (gint64) (g_rand_double (world->random) * (double) (high - low));
}

gboolean
sim_chance (SimWorld *world, int percent)
{
  return g_rand_int_range (world->random, 0, 100) < percent;
}

void
sim_trace (SimWorld *world, guint64 what)
{
  world->trace = (world->trace ^ what) * G_GUINT64_CONSTANT (1099511628211);
}

gint64
sim_clock (SimWorld *world)
{
  world->call_now = world->now;
  if (world->clock_jitters && sim_chance (world, 10))
    world->call_now -= sim_between (world, 0, SIM_CLOCK_JITTER);
  return world->call_now;
}

void
sim_schedule (SimWorld *world, SimJobKind kind, gint64 due, SimSession *session, SimCaller *caller)
{
  g_assert_cmpuint (world->n_jobs, <, SIM_MAX_JOBS);
  world->jobs[world->n_jobs++] = (SimJob){kind, due, session, caller};
}

/* Effects. */

gint64
sim_job_takes (SimWorld *world)
{
  if (sim_chance (world, world->fault_percent / 4))
    return sim_between (world, G_TIME_SPAN_SECOND, 30 * G_TIME_SPAN_SECOND);
  return sim_between (world, 1, 5000);
}

static void
start_jobs (SimWorld *world, DbSlot *slot, SimPlace place, SimJobKind kind)
{
  while (slot != NULL)
    {
      DbSlot *next = slot->next;
      SimSession *session = slot->data;

      slot->next = NULL;
      if (place == SIM_OPENING)
        session = sim_ledger_add (world, slot, SIM_OPENING);
      else
        sim_ledger_move (world, session, place);
      if (place == SIM_CLOSING)
        {
          world->counts.dropped[slot->drop_reason]++;
          sim_ledger_event (world, DB_EVENT_DROPPED);
        }
      sim_schedule (world, kind, world->now + sim_job_takes (world), session, NULL);
      slot = next;
    }
}

/* Grants that were given up before anybody took them: their sessions went on. */
static void
notice_given_up (SimWorld *world)
{
  for (guint i = 0; i < SIM_MAX_CALLERS; i++)
    {
      SimCaller *caller = world->callers[i];
      SimSession *session = caller != NULL ? caller->session : NULL;

      if (session == NULL || caller->ticket.state == DB_TICKET_GRANTED ||
          caller->ticket.state == DB_TICKET_TAKEN || caller->state == SIM_CALLER_HOLDS ||
          caller->ticket.state == DB_TICKET_NEW)
        continue;
      caller->session = NULL;
      if (caller->ticket.unit)
        {
          sim_ledger_remove (world, session);
          continue;
        }
      sim_ledger_end_loan (world, session);
    }
}

static void
announce (SimWorld *world, SimCaller *caller)
{
  DbTicket *ticket = &caller->ticket;

  if (ticket->state == DB_TICKET_GRANTED && caller->session == NULL)
    {
      if (ticket->waited)
        sim_caller_assert_first (world, caller);
      if (ticket->unit)
        {
          caller->session = sim_ledger_add (world, ticket->slot, SIM_UNIT);
          caller->session->holder = caller;
          world->granted_unit = MAX (world->granted_unit, ticket->enqueued);
        }
      else
        {
          sim_ledger_lend (world, ticket->slot->data, caller, SIM_LOAN_GRANTED);
          world->granted_session = MAX (world->granted_session, ticket->enqueued);
        }
    }
  if (ticket->blocking)
    {
      caller->woken = TRUE;
      sim_schedule (world, SIM_JOB_LOOK, world->now + sim_between (world, 1, 100), NULL, caller);
    }
  else
    {
      caller->state = SIM_CALLER_ANNOUNCED;
      sim_schedule (world, SIM_JOB_DELIVER, world->now + sim_between (world, 1, 3000), NULL,
                    caller);
    }
}

static void
leak_cb (DbSlot *slot, gpointer data)
{
  SimWorld *world = data;
  SimSession *session = slot->data;

  g_assert_cmpint (session->place, ==, SIM_LENT);
  g_assert_false (session->leak_reported);
  g_assert_cmpint (world->call_now - session->lent_at, >=, world->settings.leak_threshold);
  session->leak_reported = TRUE;
  world->counts.leaks++;
}

static void
arm_timer (SimWorld *world)
{
  world->armed = db_pool_core_get_timer (world->core);
  world->armed_fires = world->armed;
  if (world->timer_lateness > 0 && world->armed != G_MAXINT64)
    world->armed_fires += sim_between (world, 0, world->timer_lateness);
}

/* The first event in an empty ring is said, and no other. */
static void
check_ring (SimWorld *world, DbPoolEffects *fx)
{
  guint n_events = 0;

  for (guint i = 0; i < DB_N_EVENT_TYPES; i++)
    n_events += world->events[i];
  g_assert_cmpint (fx->events, ==, world->n_events == 0 && n_events > 0);
  world->n_events = n_events;
}

void
sim_effects (SimWorld *world, DbPoolEffects *fx)
{
  DbTicket *ticket = fx->decided;
  guint before[SIM_N_PLACES];

  memcpy (before, world->places, sizeof before);
  notice_given_up (world);
  if (fx->wake != NULL)
    {
      SimCaller *caller = (SimCaller *) fx->wake;

      g_assert_cmpint (caller->state, ==, SIM_CALLER_ASLEEP);
      caller->woken = TRUE;
      sim_schedule (world, SIM_JOB_LOOK, world->now + sim_between (world, 1, 100), NULL, caller);
    }
  while (ticket != NULL)
    {
      DbTicket *next = ticket->next;

      ticket->next = NULL;
      announce (world, (SimCaller *) ticket);
      ticket = next;
    }
  start_jobs (world, fx->close, SIM_CLOSING, SIM_JOB_CLOSE);
  start_jobs (world, fx->check, SIM_CHECKING, SIM_JOB_CHECK);
  start_jobs (world, fx->reset, SIM_RESETTING, SIM_JOB_RESET);
  start_jobs (world, fx->open, SIM_OPENING, SIM_JOB_OPEN);
  sim_probes_decided (world, fx->probes);
  if (fx->open != NULL)
    sim_ledger_check_opens (world);
  if (fx->timer)
    arm_timer (world);
  if (fx->leaks)
    db_pool_core_take_leaks (world->core, world->call_now, leak_cb, world);
  world->counts.deadlocks += fx->deadlock;
  world->n_drained += fx->drained;
  if (world->observed && memcmp (before, world->places, sizeof before) != 0)
    g_assert_true (fx->changed);
  check_ring (world, fx);
  db_pool_core_validate (world->core, world->now);
  sim_ledger_check (world);
  sim_ledger_check_timer (world);
}

/* The ends of jobs. */

static void
end_open (SimWorld *world, SimSession *session, gboolean fails)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  g_autoptr (GError) error = NULL;
  gint64 now = sim_clock (world);
  gboolean permanent = sim_chance (world, 20);

  if (fails)
    {
      error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "simulated");
      db_pool_core_open_failed (world->core, session->slot, error, permanent, now, &fx);
      world->counts.create_failed++;
      if (session->generation == world->generation)
        {
          sim_ledger_failed (world, session, permanent);
          sim_probes_failed (world);
        }
      sim_ledger_event (world, DB_EVENT_BACKGROUND_ERROR);
      sim_ledger_remove (world, session);
    }
  else
    {
      session->slot->data = session;
      db_pool_core_opened (world->core, session->slot, now, &fx);
      sim_ledger_born (world, session);
    }
  sim_effects (world, &fx);
}

static void
end_check (SimWorld *world, SimSession *session, gboolean fails)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gboolean hook = session->slot->needs_hook;
  gboolean asked = session->slot->needs_check;
  gboolean permanent = sim_chance (world, 20);
  DbCheckResult result = DB_CHECK_WORKS;
  g_autoptr (GError) error = NULL;
  gint64 now = sim_clock (world);

  g_assert_true (hook || asked);
  g_assert_true (!hook || world->gated);
  if (fails)
    result = hook && sim_chance (world, 60) ? DB_CHECK_REJECTED : DB_CHECK_FAILED;
  sim_ledger_move (world, session, SIM_AT_REST);
  session->past_gate = hook && result == DB_CHECK_WORKS;
  session->must_close = result != DB_CHECK_WORKS;
  session->proven = now;
  session->suspect = session->suspect && !asked;
  if (result == DB_CHECK_WORKS && hook)
    sim_ledger_forget_failures (world);
  if (result == DB_CHECK_FAILED && sim_chance (world, 50))
    {
      error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "simulated");
      sim_ledger_event (world, DB_EVENT_BACKGROUND_ERROR);
      if (hook && session->loans == 0)
        {
          sim_ledger_failed (world, session, FALSE);
          world->rejecting = TRUE;
        }
    }
  if (result == DB_CHECK_REJECTED)
    {
      error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED, "simulated");
      sim_ledger_event (world, DB_EVENT_BACKGROUND_ERROR);
      if (session->loans == 0)
        {
          sim_ledger_failed (world, session, permanent);
          world->rejecting = TRUE;
        }
    }
  db_pool_core_checked (world->core, session->slot, result, permanent, error, now, &fx);
  sim_effects (world, &fx);
}

static void
end_reset (SimWorld *world, SimSession *session, gboolean fails)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = sim_clock (world);

  sim_ledger_move (world, session, SIM_AT_REST);
  session->dirty = FALSE;
  session->suspect = FALSE;
  session->must_close = fails;
  session->proven = now;
  session->last_used = now;
  db_pool_core_reset_done (world->core, session->slot, !fails, now, &fx);
  sim_effects (world, &fx);
}

static void
end_close (SimWorld *world, SimSession *session)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = sim_clock (world);

  db_pool_core_closed (world->core, session->slot, now, &fx);
  sim_ledger_remove (world, session);
  sim_effects (world, &fx);
}

static void
end_job (SimWorld *world, SimJob *job)
{
  gboolean fails = sim_chance (world, world->fault_percent);

  sim_trace (world, job->kind);
  switch (job->kind)
    {
    case SIM_JOB_OPEN:
      end_open (world, job->session, fails);
      break;
    case SIM_JOB_CHECK:
      end_check (world, job->session, fails);
      break;
    case SIM_JOB_RESET:
      end_reset (world, job->session, fails);
      break;
    case SIM_JOB_CLOSE:
      end_close (world, job->session);
      break;
    case SIM_JOB_PROBE:
      sim_end_probe (world, job->session, fails);
      break;
    case SIM_JOB_LOOK:
      /* The wake-up may come when the thread has looked by itself, or is gone. */
      if (job->caller->in_use && job->caller->state != SIM_CALLER_HOLDS)
        sim_caller_look (world, job->caller, TRUE);
      db_ticket_unref (&job->caller->ticket);
      break;
    case SIM_JOB_DELIVER:
    default:
      sim_caller_deliver (world, job->caller);
      db_ticket_unref (&job->caller->ticket);
    }
}

/* Time. */

void
sim_tick (SimWorld *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = sim_clock (world);

  world->armed = G_MAXINT64;
  world->armed_fires = G_MAXINT64;
  db_pool_core_tick (world->core, now, &fx);
  sim_effects (world, &fx);
  sim_ledger_check_after_tick (world);
}

/* A hook that waits for a session of the same pool, with its own session in its hands. */
static gboolean
is_in_hook (SimWorld *world, SimSession *session)
{
  if (session == NULL || session->in_hook == NULL)
    return FALSE;
  if (session->in_hook->in_use && session->in_hook->state != SIM_CALLER_HOLDS)
    return TRUE;
  db_ticket_unref (&session->in_hook->ticket);
  session->in_hook = NULL;
  return FALSE;
}

static SimJob *
first_job (SimWorld *world, gint64 *first)
{
  SimJob *job = NULL;

  for (guint i = 0; i < world->n_jobs; i++)
    if (world->jobs[i].due <= *first && !is_in_hook (world, world->jobs[i].session))
      {
        job = &world->jobs[i];
        *first = job->due;
      }
  return job;
}

/* A thread that sleeps, or is about to, whose deadline comes first. */
static SimCaller *
first_overdue (SimWorld *world, gint64 *first)
{
  SimCaller *overdue = NULL;

  for (guint i = 0; i < SIM_MAX_CALLERS; i++)
    {
      SimCaller *caller = world->callers[i];

      if (caller == NULL || !caller->ticket.blocking || caller->ticket.deadline >= *first)
        continue;
      if (caller->state != SIM_CALLER_ASLEEP && caller->state != SIM_CALLER_AWAKE)
        continue;
      overdue = caller;
      *first = caller->ticket.deadline;
    }
  return overdue;
}

void
sim_advance (SimWorld *world, gint64 until)
{
  for (;;)
    {
      gint64 first = until;
      SimJob *job = first_job (world, &first);
      SimCaller *overdue = first_overdue (world, &first);

      g_assert_cmpuint (++world->n_turns, <, MAX_TURNS);
      if (world->armed_fires < first)
        {
          world->now = MAX (world->now, world->armed_fires);
          sim_tick (world);
        }
      else if (overdue != NULL)
        {
          world->now = MAX (world->now, first);
          sim_caller_overdue (world, overdue);
        }
      else if (job != NULL)
        {
          SimJob due = *job;

          world->now = MAX (world->now, due.due);
          *job = world->jobs[--world->n_jobs];
          end_job (world, &due);
        }
      else
        break;
    }
  world->now = MAX (world->now, until);
}

void
sim_let_go (SimWorld *world)
{
  for (guint i = 0; i < world->n_jobs; i++)
    world->jobs[i].due = MIN (world->jobs[i].due, world->now + 5000);
}
