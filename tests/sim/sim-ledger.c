/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The simulator's ledger: who has which session, and what may never be. */

#include "sim.h"

#include "db-pool-balance-private.h"

/* How many sessions a pool opens at the same time. */
#define MAX_OPENING 3

/* Places. */

SimSession *
sim_ledger_add (SimWorld *world, DbSlot *slot, SimPlace place)
{
  SimSession *session = g_new0 (SimSession, 1);

  g_assert_cmpuint (world->n_sessions, <, SIM_MAX_SESSIONS);
  session->slot = slot;
  session->place = place;
  session->begun = world->call_now;
  session->generation = world->generation;
  world->sessions[world->n_sessions++] = session;
  world->places[place]++;
  slot->data = session;
  /* At the moment when it begins, and the database counts it from now on. */
  g_assert_cmpuint (world->n_sessions, <=, world->settings.max_connections);
  g_assert_false (world->closed || world->suspended);
  return session;
}

void
sim_ledger_remove (SimWorld *world, SimSession *session)
{
  guint i;

  for (i = 0; world->sessions[i] != session; i++)
    ;
  world->sessions[i] = world->sessions[--world->n_sessions];
  world->places[session->place]--;
  g_free (session);
}

void
sim_ledger_move (SimWorld *world, SimSession *session, SimPlace place)
{
  gboolean expected[SIM_N_PLACES] = {
    [SIM_AT_REST] = session->place == SIM_OPENING || session->place == SIM_CHECKING ||
                    session->place == SIM_RESETTING || session->place == SIM_LENT ||
                    session->place == SIM_UNIT,
    [SIM_CHECKING] = session->place == SIM_AT_REST && !session->dirty && !session->must_close,
    [SIM_LENT] = session->place == SIM_AT_REST,
    [SIM_RESETTING] = session->place == SIM_AT_REST && session->dirty && !session->must_close,
    [SIM_CLOSING] = session->place == SIM_AT_REST,
  };

  g_assert_true (expected[place]);
  world->places[session->place]--;
  session->place = place;
  world->places[place]++;
}

guint
sim_ledger_n_live (SimWorld *world)
{
  return world->n_sessions;
}

guint
sim_ledger_n_coming (SimWorld *world)
{
  return world->places[SIM_OPENING] + world->places[SIM_CHECKING] + world->places[SIM_RESETTING];
}

static guint
n_sessions (SimWorld *world)
{
  return world->places[SIM_AT_REST] + world->places[SIM_LENT] + world->places[SIM_CHECKING] +
         world->places[SIM_RESETTING];
}

/* Births and failures. */

void
sim_ledger_born (SimWorld *world, SimSession *session)
{
  gint64 lifetime = world->settings.max_lifetime;
  gint64 now = world->call_now;

  sim_ledger_move (world, session, SIM_AT_REST);
  session->born = now;
  session->proven = now;
  session->last_used = now;
  world->counts.created++;
  sim_ledger_event (world, DB_EVENT_CREATED);
  /* While the hook rejects new sessions it has the last word. */
  if (!world->rejecting)
    sim_ledger_forget_failures (world);
  if (lifetime == 0)
    return;
  g_assert_cmpint (session->slot->expires, <=, now + lifetime);
  g_assert_cmpint (session->slot->expires, >=,
                   now + lifetime - lifetime / 100 * world->settings.lifetime_jitter - 100);
}

void
sim_ledger_forget_failures (SimWorld *world)
{
  world->failures = 0;
  world->failed_for_good = FALSE;
  world->rejecting = FALSE;
}

/* What failed together counts once. */
void
sim_ledger_failed (SimWorld *world, SimSession *session, gboolean permanent)
{
  world->failed_for_good = permanent;
  if (world->failures > 0 && session->begun <= world->failed_at)
    return;
  world->failures++;
  world->failed_at = world->call_now;
}

/* Loans. */

static gboolean
is_fresh (SimWorld *world, SimSession *session)
{
  gint64 limit = world->settings.validate_after_idle;

  return !session->suspect &&
         (limit < 0 || (limit > 0 && world->call_now - session->proven <= limit));
}

static gboolean
is_over (SimWorld *world, SimSession *session)
{
  const DbPoolSettings *settings = &world->settings;

  return world->closed || session->doomed || session->generation != world->generation ||
         (settings->max_lifetime > 0 && session->born > 0 &&
          world->call_now >= session->born + settings->max_lifetime) ||
         (settings->max_uses > 0 && session->loans >= settings->max_uses);
}

/* The newest, unless the order is that of a queue: then the newest or the oldest. */
static void
assert_in_idle_order (SimWorld *world, SimSession *session)
{
  gboolean is_newest = TRUE;
  gboolean is_oldest = world->settings.idle_order == DB_IDLE_ORDER_FIFO;

  for (guint i = 0; i < world->n_sessions; i++)
    {
      SimSession *other = world->sessions[i];

      if (other == session || other->place != SIM_AT_REST || other->slot->state == DB_SLOT_CLOSING)
        continue;
      is_newest = is_newest && session->last_used >= other->last_used;
      is_oldest = is_oldest && session->last_used <= other->last_used;
    }
  g_assert_true (is_newest || is_oldest);
}

void
sim_ledger_lend (SimWorld *world, SimSession *session, SimCaller *caller, SimLoanKind kind)
{
  g_assert_cmpint (session->place, ==, SIM_AT_REST);
  g_assert_false (is_over (world, session));
  g_assert_false (session->dirty || session->must_close || world->suspended);
  if (kind != SIM_LOAN_GRANTED)
    assert_in_idle_order (world, session);
  if (kind != SIM_LOAN_ANY)
    {
      g_assert_true (!world->gated || session->past_gate);
      g_assert_false (session->suspect);
      g_assert_true (is_fresh (world, session) ||
                     (kind == SIM_LOAN_GRANTED && session->proven == world->call_now));
    }
  sim_ledger_move (world, session, SIM_LENT);
  session->holder = caller;
  session->lent_at = world->call_now;
  session->loans++;
  session->leak_reported = FALSE;
  caller->session = session;
  world->lent_now = TRUE;
}

void
sim_ledger_take (SimWorld *world, SimSession *session)
{
  g_assert_cmpint (session->place, ==, SIM_AT_REST);
  g_assert_false (is_over (world, session));
  assert_in_idle_order (world, session);
  sim_ledger_move (world, session, SIM_CHECKING);
}

void
sim_ledger_end_loan (SimWorld *world, SimSession *session)
{
  sim_ledger_move (world, session, SIM_AT_REST);
  session->holder = NULL;
}

void
sim_ledger_event (SimWorld *world, DbEventType type)
{
  guint n_events = 0;

  if (!(world->listeners & (1u << type)))
    return;
  for (guint i = 0; i < DB_N_EVENT_TYPES; i++)
    n_events += world->events[i];
  if (n_events < DB_MAX_EVENTS)
    world->events[type]++;
  else
    world->counts.events_dropped++;
}

/* What may never be. */

void
sim_ledger_check_opens (SimWorld *world)
{
  guint floor = MIN (world->settings.min_connections, world->settings.max_connections);
  guint wanted = MAX (world->started ? floor : 0, world->n_fills > 0 ? world->fill : 0);
  guint waiting = 0;
  guint in_hooks = 0;

  for (guint i = 0; i < SIM_MAX_CALLERS; i++)
    {
      SimCaller *caller = world->callers[i];

      if (caller == NULL || caller->ticket.unit || caller->ticket.state != DB_TICKET_PENDING)
        continue;
      waiting++;
      in_hooks += caller->ticket.in_hook;
    }
  wanted = MAX (MAX (wanted, waiting), world->wanted || sim_probes_waiting (world) > 0 ? 1 : 0);
  g_assert_cmpuint (world->places[SIM_OPENING], <=, MIN (wanted, MAX_OPENING) + in_hooks);
  if (world->failures == 0)
    return;
  g_assert_cmpuint (world->places[SIM_OPENING], <=, 1 + in_hooks);
  /* Each probe is a new question. */
  if (!world->failed_for_good && sim_probes_waiting (world) == 0)
    g_assert_cmpint (world->call_now, >, world->failed_at);
}

/* The core says who was granted a session and has not taken it. */
static void
check_grant (SimSession *session)
{
  DbTicket *ticket = &session->holder->ticket;

  if (!ticket->blocking && ticket->state == DB_TICKET_GRANTED)
    g_assert_true (session->slot->granted == ticket);
  else
    g_assert_null (session->slot->granted);
}

static void
check_places (SimWorld *world, const DbPoolStats *stats)
{
  guint n_undelivered = 0;
  guint n_waiting = 0;

  for (guint i = 0; i < SIM_N_PLACES; i++)
    g_assert_cmpuint (world->places[i], ==, stats->in_state[i]);
  for (guint i = 0; i < world->n_sessions; i++)
    {
      SimSession *session = world->sessions[i];

      g_assert_cmpint ((int) session->place, ==, (int) session->slot->state);
      if (session->place == SIM_AT_REST)
        g_assert_false (session->must_close || session->dirty || session->doomed || world->closed);
      if (session->place == SIM_LENT)
        check_grant (session);
      session->past_gate = FALSE;
    }
  for (guint i = 0; i < SIM_MAX_CALLERS; i++)
    {
      SimCaller *caller = world->callers[i];

      if (caller == NULL || caller->ticket.unit)
        continue;
      n_waiting += caller->ticket.state == DB_TICKET_PENDING;
      n_undelivered += caller->ticket.state == DB_TICKET_GRANTED;
    }
  g_assert_cmpuint (n_waiting, ==, stats->waiting);
  g_assert_cmpuint (n_undelivered, ==, stats->undelivered);
}

static void
check_counts (SimWorld *world, const DbPoolStats *stats)
{
  const SimCounts *counts = &world->counts;

  g_assert_cmpuint (stats->acquired, ==, counts->ended[DB_TICKET_TAKEN]);
  g_assert_cmpuint (stats->created, ==, counts->created);
  g_assert_cmpuint (stats->create_failed, ==, counts->create_failed);
  g_assert_cmpuint (stats->detached, ==, counts->detached);
  g_assert_cmpuint (stats->finalized, ==, counts->finalized);
  g_assert_cmpuint (stats->leaks, ==, counts->leaks);
  g_assert_cmpuint (stats->deadlocks, ==, counts->deadlocks);
  g_assert_cmpuint (stats->events_dropped, ==, counts->events_dropped);
  for (guint i = 0; i < DB_N_DROP_REASONS; i++)
    g_assert_cmpuint (stats->dropped[i], ==, counts->dropped[i]);
  g_assert_cmpuint (world->n_drained, ==, world->closed && world->n_sessions == 0);
  if (world->lent_now)
    g_assert_cmpuint (world->n_sessions - world->places[SIM_CLOSING], <=,
                      world->settings.max_connections);
  world->lent_now = FALSE;
}

/* What is coming and is not held up by a hook that waits itself. */
static guint
n_free_coming (SimWorld *world)
{
  guint n = 0;

  for (guint i = 0; i < world->n_sessions; i++)
    {
      SimSession *session = world->sessions[i];

      n += (session->place == SIM_OPENING || session->place == SIM_CHECKING ||
            session->place == SIM_RESETTING) &&
           (session->in_hook == NULL || session->in_hook->ticket.state != DB_TICKET_PENDING);
    }
  return n;
}

/* Who waits is about to be helped, or cannot be. */
static void
check_progress (SimWorld *world)
{
  SimCaller *head = sim_caller_head (world, FALSE);
  SimCaller *unit = sim_caller_head (world, TRUE);

  if (world->suspended || world->closed)
    {
      g_assert_true (!world->closed || (head == NULL && unit == NULL));
      return;
    }
  if (head != NULL && !(head->ticket.blocking && (head->state == SIM_CALLER_AWAKE || head->woken)))
    {
      for (guint i = 0; i < world->n_sessions; i++)
        if (world->sessions[i]->place == SIM_AT_REST &&
            world->settings.idle_order == DB_IDLE_ORDER_LIFO)
          g_assert_true (world->gated || !is_fresh (world, world->sessions[i]) ||
                         sim_ledger_n_coming (world) > 0);
      g_assert_true (n_free_coming (world) > 0 ||
                     world->n_sessions >= world->settings.max_connections ||
                     (world->failures > 0 && world->armed != G_MAXINT64));
    }
  if (unit != NULL && (head == NULL || head->ticket.enqueued > unit->ticket.enqueued))
    g_assert_true (world->n_sessions >= world->settings.max_connections &&
                   (world->places[SIM_AT_REST] == 0 || world->places[SIM_CLOSING] > 0));
}

/* Those who want a session and those who want room stand in two queues, and come in turn all the
 * same. */
static void
check_order (SimWorld *world)
{
  SimCaller *head = sim_caller_head (world, FALSE);
  SimCaller *unit = sim_caller_head (world, TRUE);

  /* A session was granted past somebody who wants room: room is being made. */
  if (unit != NULL && world->granted_session > unit->ticket.enqueued + SIM_CLOCK_JITTER)
    g_assert_cmpuint (world->places[SIM_CLOSING], >, 0);
  /* Room was granted past somebody who wants a session: one is coming, or it cannot be now. */
  if (head != NULL && world->granted_unit > head->ticket.enqueued + SIM_CLOCK_JITTER)
    g_assert_true (sim_ledger_n_coming (world) > 0 || world->places[SIM_AT_REST] > 0 ||
                   world->failures > 0);
  world->granted_session = 0;
  world->granted_unit = 0;
}

gboolean
sim_ledger_is_deadlocked (SimWorld *world)
{
  if (world->n_sessions < world->settings.max_connections)
    return FALSE;
  for (guint i = 0; i < world->n_sessions; i++)
    {
      SimSession *session = world->sessions[i];

      if (session->place != SIM_LENT || !sim_thread_waits (world, session->holder->ticket.thread))
        return FALSE;
    }
  return TRUE;
}

static void
check_deadlock (SimWorld *world)
{
  DbPoolCoreInfo info;

  if (world->suspended || world->closed || !sim_ledger_is_deadlocked (world))
    return;
  db_pool_core_get_info (world->core, &info);
  g_assert_true (info.deadlocked || info.deadlock_since > 0);
  g_assert_true (info.deadlocked ||
                 world->now - info.deadlock_since <= 101 * G_TIME_SPAN_MILLISECOND);
  g_assert_false (world->settings.fail_on_deadlock);
}

void
sim_ledger_check (SimWorld *world)
{
  DbPoolStats stats;

  db_pool_core_get_stats (world->core, &stats);
  check_places (world, &stats);
  check_counts (world, &stats);
  check_progress (world);
  sim_probes_check (world);
  check_order (world);
  check_deadlock (world);
  /* While opening is held back the wish may outlive what fulfils it. */
  if (!world->suspended && world->failures == 0 &&
      (world->places[SIM_OPENING] > 0 || world->places[SIM_AT_REST] > 0))
    world->wanted = FALSE;
}

/* The session that was used longest ago, if it may be closed for that. */
static SimSession *
oldest_idle (SimWorld *world)
{
  SimSession *oldest = NULL;

  if (world->settings.idle_timeout == 0 || n_sessions (world) <= world->settings.min_connections)
    return NULL;
  for (guint i = 0; i < world->n_sessions; i++)
    if (world->sessions[i]->place == SIM_AT_REST &&
        (oldest == NULL || world->sessions[i]->last_used < oldest->last_used))
      oldest = world->sessions[i];
  return oldest;
}

/* Whatever is due is due by the timer. */
void
sim_ledger_check_timer (SimWorld *world)
{
  const DbPoolSettings *settings = &world->settings;
  SimSession *oldest = oldest_idle (world);

  g_assert_cmpint (world->armed, <=, db_pool_core_get_timer (world->core));
  for (guint i = 0; i < SIM_MAX_CALLERS; i++)
    {
      SimCaller *caller = world->callers[i];

      if (caller != NULL && !caller->ticket.blocking &&
          (caller->ticket.state == DB_TICKET_PENDING || caller->ticket.state == DB_TICKET_GRANTED))
        g_assert_cmpint (world->armed, <=, caller->deadline);
    }
  if (world->closed)
    return;
  for (guint i = 0; i < world->n_sessions; i++)
    {
      SimSession *session = world->sessions[i];

      if (session->place == SIM_AT_REST && settings->max_lifetime > 0)
        g_assert_cmpint (world->armed, <=, session->born + settings->max_lifetime);
      if (session->place == SIM_AT_REST)
        g_assert_cmpint (world->armed, <=, session->slot->check_at);
      if (session->place == SIM_AT_REST && settings->keepalive > 0)
        g_assert_cmpint (session->slot->check_at, <, G_MAXINT64);
      if (session->place == SIM_LENT && !session->leak_reported && settings->leak_threshold > 0)
        g_assert_cmpint (world->armed, <=,
                         session->lent_at + settings->leak_threshold + SIM_CLOCK_JITTER);
      if (session->place != SIM_CLOSING && settings->min_connections > 0)
        g_assert_cmpint (world->armed, <=, session->slot->retire_at);
    }
  if (oldest != NULL)
    g_assert_cmpint (world->armed, <=, oldest->last_used + settings->idle_timeout);
}

/* What was due is done. */
void
sim_ledger_check_after_tick (SimWorld *world)
{
  const DbPoolSettings *settings = &world->settings;
  SimSession *oldest = oldest_idle (world);
  gint64 now = world->call_now;

  for (guint i = 0; i < SIM_MAX_CALLERS; i++)
    {
      SimCaller *caller = world->callers[i];

      if (caller != NULL && !caller->ticket.blocking &&
          (caller->ticket.state == DB_TICKET_PENDING || caller->ticket.state == DB_TICKET_GRANTED))
        g_assert_cmpint (caller->deadline, >, now);
    }
  if (world->closed)
    return;
  for (guint i = 0; i < world->n_sessions; i++)
    {
      SimSession *session = world->sessions[i];

      if (session->place == SIM_AT_REST)
        g_assert_false (is_over (world, session));
      if (session->place == SIM_LENT && settings->leak_threshold > 0 &&
          now - session->lent_at >= settings->leak_threshold + SIM_CLOCK_JITTER)
        g_assert_true (session->leak_reported);
    }
  if (oldest != NULL)
    g_assert_cmpint (now - oldest->last_used, <, settings->idle_timeout);
}
