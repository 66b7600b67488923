/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The state machine of a pool; its words, states and invariant stand in the private header.
 *
 * Here is what callers and the ends of effects do; what time, settings and the pool's owner do to
 * it is in db-pool-upkeep.c, and what only looks in db-pool-inspect.c. What all of them have in
 * common, and what decides what happens next, is in db-pool-balance.c.
 *
 * The lock is held from the first line of a public function to its last, and never while anything
 * outside these files runs (but for the callbacks of foreach and its like). Functions that end in
 * _locked need it. All lists are intrusive, so lending and returning allocate nothing. */

#include "config.h"

#include "db-pool-balance-private.h"

/* Back-off of failed opens: doubling, with full jitter ("Exponential Backoff And Jitter", AWS
 * Architecture Blog, 2015). */
#define BACK_OFF_FIRST (50 * G_TIME_SPAN_MILLISECOND)
#define BACK_OFF_LAST (10 * G_TIME_SPAN_SECOND)

/* A session that worked so short a time ago is lent without a look at it. */
#define PROVEN_FOR G_TIME_SPAN_MILLISECOND

static void
event_clear (gpointer data)
{
  DbEvent *event = data;

  g_clear_pointer (&event->text, g_free);
  g_clear_error (&event->error);
}

GArray *
db_pool_core_new_events (void)
{
  GArray *events = g_array_new (FALSE, FALSE, sizeof (DbEvent));

  g_array_set_clear_func (events, event_clear);
  return events;
}

DbPoolCore *
db_pool_core_new (const DbPoolSettings *settings, guint32 seed, const guint *fork_counter)
{
  DbPoolCore *self = g_aligned_alloc0 (1, sizeof (DbPoolCore), DB_LINE_SIZE);

  self->ref_count = 1;
  db_lock_init (&self->lock);
  self->fork_counter = fork_counter;
  self->fork_generation = *fork_counter;
  self->settings = *settings;
  self->random = seed;
  self->waiting = g_hash_table_new (NULL, NULL);
  self->events = db_pool_core_new_events ();
  db_deadline_heap_init (&self->deadlines);
  self->timer = G_MAXINT64;
  return self;
}

void
db_pool_core_free (DbPoolCore *self)
{
  g_assert (self->slots.length == 0);
  g_assert (self->queue.length == 0 && self->units.length == 0 && self->probes.length == 0);
  db_pool_core_unref (self);
}

DbPoolCore *
db_pool_core_ref (DbPoolCore *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
db_pool_core_unref (DbPoolCore *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  DB_TSAN_ACQUIRE (&self->lock);
  for (guint i = 0; i < DB_N_METRICS; i++)
    db_histogram_clear (&self->histograms[i]);
  db_deadline_heap_clear (&self->deadlines);
  g_hash_table_unref (self->waiting);
  g_array_unref (self->events);
  g_clear_error (&self->open_error);
  db_lock_clear (&self->lock);
  g_aligned_free (self);
}

void
db_ticket_init (DbTicket *ticket, gboolean blocking, gint64 deadline, GDestroyNotify free_func)
{
  ticket->blocking = blocking;
  ticket->deadline = deadline;
  ticket->free_func = free_func;
  ticket->ref_count = 1;
  ticket->link.data = ticket;
}

DbTicket *
db_ticket_ref (DbTicket *ticket)
{
  g_atomic_int_inc (&ticket->ref_count);
  return ticket;
}

void
db_ticket_unref (DbTicket *ticket)
{
  if (!g_atomic_int_dec_and_test (&ticket->ref_count))
    return;
  g_clear_error (&ticket->error);
  ticket->free_func (ticket);
}

DbSlot *
db_pool_core_try (DbPoolCore *self,
                  gboolean final,
                  gboolean any,
                  guint thread,
                  gint64 now,
                  gboolean *is_proven,
                  DbPoolEffects *fx)
{
  DbTicket *head;
  DbSlot *slot = NULL;

  if (db_pool_core_is_forked (self))
    return NULL;
  DB_LOCK_SCOPE (&self->lock);
  if (self->closed || self->suspended)
    return NULL;
  head = self->queue.head != NULL ? self->queue.head->data : NULL;
  if (head == NULL || !db_pool_core_handed_directly_locked (self, head, now))
    slot = db_pool_core_fresh_idle_locked (self, now, fx);
  if (slot == NULL && any && head == NULL)
    slot = db_pool_core_next_idle_locked (self, now, fx);
  if (slot == NULL)
    return NULL;

  *is_proven = now - slot->proven_at <= PROVEN_FOR;
  db_pool_core_lend_locked (self, slot, thread, now, fx);
  if (final)
    {
      self->stats.requests++;
      self->stats.acquired++;
      self->n_recent_unwaited++;
      if (*is_proven && !any)
        db_pool_core_add_event_locked (self, DB_EVENT_ACQUIRED, 0, NULL, NULL, fx);
    }
  /* Those who wait: another idle session is for them, or a new one. */
  if (head != NULL && (self->stats.idle > 0 || self->slots.length < self->settings.max_connections))
    db_pool_core_rebalance_locked (self, now, fx);
  return slot;
}

void
db_pool_core_refuse (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  self->stats.requests++;
  self->stats.refused++;
  self->started = TRUE;
  self->wanted = TRUE;
  db_pool_core_rebalance_locked (self, now, fx);
}

/* What try() did is undone. */
static void
untry_locked (DbPoolCore *self, DbSlot *slot, gboolean final)
{
  slot->uses--;
  if (!final)
    return;
  self->stats.requests--;
  self->stats.acquired--;
  db_pool_core_settle_locked (self);
  db_histogram_forget (&self->histograms[DB_METRIC_WAIT], 0);
}

void
db_pool_core_put_back (DbPoolCore *self,
                       DbSlot *slot,
                       gboolean final,
                       gint64 now,
                       DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  untry_locked (self, slot, final);
  slot->suspect = TRUE;
  db_pool_core_deliver_locked (self, slot, FALSE, now, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

static void
enqueue_locked (DbPoolCore *self, DbTicket *ticket, DbPoolEffects *fx)
{
  ticket->state = DB_TICKET_PENDING;
  ticket->waited = TRUE;
  ticket->awake = ticket->blocking;
  if (ticket->unit)
    {
      g_queue_push_tail_link (&self->units, &db_ticket_ref (ticket)->link);
      return;
    }
  g_queue_push_tail_link (&self->queue, &db_ticket_ref (ticket)->link);
  self->stats.waiting++;
  self->n_in_hooks += ticket->in_hook;
  if (ticket->thread != 0)
    g_hash_table_add (self->waiting, GUINT_TO_POINTER (ticket->thread));
  if (!ticket->blocking && ticket->deadline != G_MAXINT64)
    {
      db_deadline_heap_add (&self->deadlines, ticket);
      db_pool_core_arm_locked (self, ticket->deadline, fx);
    }
}

DbTicketState
db_pool_core_acquire (DbPoolCore *self, DbTicket *ticket, gint64 now, DbPoolEffects *fx)
{
  g_assert (ticket->state == DB_TICKET_NEW);
  if (db_pool_core_is_forked (self))
    {
      ticket->refusal = DB_REFUSAL_FORKED;
      return ticket->state = DB_TICKET_FAILED;
    }
  DB_LOCK_SCOPE (&self->lock);

  self->stats.requests += !ticket->unit;
  self->started = self->started || !ticket->unit;
  ticket->enqueued = now;
  if (self->closed)
    db_pool_core_fail_locked (self, ticket, DB_REFUSAL_CLOSED, now);
  else if (!ticket->unit && self->settings.max_waiters > 0 &&
           self->stats.waiting >= self->settings.max_waiters)
    db_pool_core_fail_locked (self, ticket, DB_REFUSAL_QUEUE_FULL, now);
  else
    {
      enqueue_locked (self, ticket, fx);
      db_pool_core_rebalance_locked (self, now, fx);
    }
  return ticket->state;
}

void
db_pool_core_bind (DbPoolCore *self, DbTicket *ticket, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  g_assert (ticket->state == DB_TICKET_NEW && !ticket->blocking);
  self->stats.requests++;
  self->stats.undelivered++;
  ticket->enqueued = now;
  ticket->decided = now;
  ticket->state = DB_TICKET_GRANTED;
  ticket->slot = slot;
  slot->granted = ticket;
  if (ticket->deadline != G_MAXINT64)
    {
      db_deadline_heap_add (&self->deadlines, ticket);
      db_pool_core_arm_locked (self, ticket->deadline, fx);
    }
  db_ticket_ref (ticket);
  db_pool_core_announce_locked (ticket, fx);
}

static void
take_granted_locked (DbPoolCore *self, DbTicket *ticket, gint64 now, DbPoolEffects *fx)
{
  self->stats.undelivered -= !ticket->unit;
  ticket->slot->granted = NULL;
  db_pool_core_count_handed_locked (self, ticket, -1);
  db_pool_core_taken_locked (self, ticket, now, fx);
}

/* The thread of the first ticket in the queue has looked, and takes what is idle. */
static void
take_idle_locked (DbPoolCore *self, DbTicket *ticket, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  db_pool_core_dequeue_locked (self, ticket);
  db_pool_core_lend_locked (self, slot, ticket->thread, now, fx);
  ticket->slot = slot;
  ticket->decided = now;
  db_pool_core_taken_locked (self, ticket, now, fx);
  db_ticket_unref (ticket); /* the queue's; the thread has its own */
  db_pool_core_rebalance_locked (self, now, fx);
}

DbTicketState
db_pool_core_look (DbPoolCore *self,
                   DbTicket *ticket,
                   gboolean sleep,
                   gint64 now,
                   DbPoolEffects *fx)
{
  DbSlot *slot;

  g_assert (ticket->blocking);
  if (db_pool_core_is_forked (self))
    return ticket->state;
  DB_LOCK_SCOPE (&self->lock);
  if (ticket->state == DB_TICKET_GRANTED)
    take_granted_locked (self, ticket, now, fx);
  else if (ticket->state == DB_TICKET_PENDING && !ticket->unit && !self->suspended &&
           ticket->link.prev == NULL &&
           (slot = db_pool_core_fresh_idle_locked (self, now, fx)) != NULL)
    take_idle_locked (self, ticket, slot, now, fx);
  else if (ticket->state == DB_TICKET_PENDING && sleep)
    {
      ticket->awake = FALSE;
      /* What was idle may have turned out to be over, and somebody counts on it. If that decides
       * this very ticket, the effects say so, and it looks again. */
      db_pool_core_rebalance_locked (self, now, fx);
      return DB_TICKET_PENDING;
    }
  return ticket->state;
}

DbTicketState
db_pool_core_take (DbPoolCore *self, DbTicket *ticket, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return ticket->state;
  DB_LOCK_SCOPE (&self->lock);

  if (ticket->state == DB_TICKET_GRANTED)
    take_granted_locked (self, ticket, now, fx);
  return ticket->state;
}

/* Somebody who was granted this does not want it. Its owner was told already, and will find that
 * the ticket ended otherwise. */
static void
pass_on_locked (DbPoolCore *self, DbTicket *ticket, gint64 now, DbPoolEffects *fx)
{
  DbSlot *slot = g_steal_pointer (&ticket->slot);

  if (ticket->unit)
    {
      db_pool_core_free_slot_locked (self, slot, fx);
      return;
    }
  self->stats.undelivered--;
  slot->granted = NULL;
  db_pool_core_count_handed_locked (self, ticket, -1);
  self->deadlocked = FALSE;
  self->deadlock_since = 0;
  db_pool_core_deliver_locked (self, slot, FALSE, now, fx);
}

/* A blocking caller who was cancelled before it knew that it has a session. */
static void
untake_locked (DbPoolCore *self, DbTicket *ticket, DbPoolEffects *fx)
{
  if (ticket->unit)
    return;
  self->stats.undelivered++;
  db_pool_core_count_handed_locked (self, ticket, 1);
  self->stats.acquired--;
  db_pool_core_settle_locked (self);
  db_histogram_forget (&self->histograms[DB_METRIC_WAIT],
                       ticket->waited ? db_ticket_wait (ticket) : 0);
  if (ticket->waited)
    {
      self->stats.waited--;
      self->stats.wait_time -= db_ticket_wait (ticket);
    }
  db_pool_core_add_event_locked (self, DB_EVENT_RETURNED, 0, NULL, NULL, fx);
}

static void
count_given_up_locked (DbPoolCore *self, DbTicketState state)
{
  if (state == DB_TICKET_CANCELLED)
    self->stats.cancelled++;
  else
    self->stats.timeouts++;
}

gboolean
db_pool_core_give_up_locked (DbPoolCore *self,
                             DbTicket *ticket,
                             DbTicketState state,
                             gint64 now,
                             DbPoolEffects *fx)
{
  if (ticket->state == DB_TICKET_PENDING)
    {
      ticket->deadlocked = db_pool_core_is_deadlocked_locked (self);
      if (ticket->deadlocked && state == DB_TICKET_TIMED_OUT)
        db_pool_core_report_deadlock_locked (self, fx);
      db_pool_core_dequeue_locked (self, ticket);
      db_pool_core_announce_locked (ticket, fx);
    }
  else if (ticket->state == DB_TICKET_GRANTED)
    pass_on_locked (self, ticket, now, fx);
  else if (ticket->state == DB_TICKET_TAKEN && ticket->blocking)
    {
      untake_locked (self, ticket, fx);
      pass_on_locked (self, ticket, now, fx);
    }
  else
    return FALSE;

  ticket->state = state;
  ticket->decided = now;
  db_deadline_heap_remove (&self->deadlines, ticket);
  if (!ticket->unit)
    count_given_up_locked (self, state);
  return TRUE;
}

gboolean
db_pool_core_give_up (DbPoolCore *self,
                      DbTicket *ticket,
                      DbTicketState state,
                      gint64 now,
                      DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return FALSE;
  DB_LOCK_SCOPE (&self->lock);

  /* The first counts as a request that never got as far as the queue. */
  if (ticket->state == DB_TICKET_NEW)
    {
      self->stats.requests++;
      ticket->state = state;
      count_given_up_locked (self, state);
      return TRUE;
    }
  if (!db_pool_core_give_up_locked (self, ticket, state, now, fx))
    return FALSE;
  db_pool_core_rebalance_locked (self, now, fx);
  return TRUE;
}

void
db_pool_core_give_back (DbPoolCore *self,
                        DbSlot *slot,
                        DbOutcome outcome,
                        gboolean finalized,
                        gint64 now,
                        DbPoolEffects *fx)
{
  DbDropReason reason;

  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_LENT);
  if (finalized)
    self->stats.finalized++;
  db_pool_core_end_loan_locked (self, slot, now, fx);
  if (outcome == DB_OUTCOME_BROKEN)
    db_pool_core_close_locked (self, slot, DB_DROP_BROKEN, now, fx);
  else if (db_pool_core_is_over_locked (self, slot, now, &reason))
    db_pool_core_close_locked (self, slot, reason, now, fx);
  else if (outcome == DB_OUTCOME_DIRTY)
    {
      db_pool_core_set_state_locked (self, slot, DB_SLOT_RESETTING, now, fx);
      slot->next = fx->reset;
      fx->reset = slot;
    }
  else
    {
      slot->proven_at = now;
      slot->idle_since = now;
      slot->suspect = FALSE;
      db_pool_core_make_idle_locked (self, slot, now, fx);
    }
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_detach (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_LENT);
  db_pool_core_end_loan_locked (self, slot, now, fx);
  self->stats.detached++;
  db_pool_core_free_slot_locked (self, slot, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_release_unit (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_DEDICATED);
  db_pool_core_free_slot_locked (self, slot, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

/* The life of a session. */

/* Opening works again: what failed before counts no longer. */
static void
forget_failures_locked (DbPoolCore *self)
{
  self->failures = 0;
  self->retry_at = 0;
  self->failed_for_good = FALSE;
  self->rejecting = FALSE;
  g_clear_error (&self->open_error);
}

/* A session begins its life in the pool. */
static void
born_locked (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  slot->opened_at = now;
  slot->luck = db_pool_core_random_locked (self);
  db_pool_core_choose_end_locked (self, slot);
  slot->proven_at = now;
  slot->idle_since = now;
  db_pool_core_prove (self, now);
  self->stats.created++;
  if (db_pool_core_floor_locked (self) > 0)
    db_pool_core_arm_locked (self, slot->retire_at, fx);
  db_histogram_record (&self->histograms[DB_METRIC_CREATE], now - slot->born);
  db_pool_core_add_event_locked (self, DB_EVENT_CREATED, now - slot->born, NULL, NULL, fx);
  db_pool_core_deliver_locked (self, slot, FALSE, now, fx);
  db_pool_core_close_replaced_locked (self, now, fx);
  /* There is one more session, so another one may be one too many. */
  db_pool_core_arm_locked (self, db_pool_core_idle_due_locked (self), fx);
}

void
db_pool_core_opened (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_OPENING);
  /* While the hook rejects new sessions, it has the last word on whether opening works. */
  if (!self->rejecting)
    forget_failures_locked (self);
  born_locked (self, slot, now, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_adopt (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_DEDICATED);
  db_pool_core_evict_locked (self, TRUE, now, fx);
  slot->generation = self->generation;
  db_pool_core_set_state_locked (self, slot, DB_SLOT_OPENING, now, fx);
  forget_failures_locked (self);
  born_locked (self, slot, now, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

/* Opens that were under way together count as one failure. */
static void
back_off_locked (DbPoolCore *self, gint64 begun, gint64 now)
{
  gint64 longest = BACK_OFF_FIRST;

  if (self->failures > 0 && begun <= self->failed_at)
    return;
  for (guint i = 0; i < self->failures && longest < BACK_OFF_LAST; i++)
    longest *= 2;
  longest = MIN (longest, BACK_OFF_LAST);
  self->failures++;
  self->failed_at = now;
  self->retry_at = now + 1 + (gint64) (longest * db_pool_core_random_locked (self));
}

static void
open_failed_locked (DbPoolCore *self,
                    const GError *error,
                    gint64 begun,
                    gint64 now,
                    DbPoolEffects *fx)
{
  back_off_locked (self, begun, now);
  g_clear_error (&self->open_error);
  self->open_error = g_error_copy (error);
  db_pool_core_add_event_locked (self, DB_EVENT_BACKGROUND_ERROR, 0, NULL, error, fx);
}

/* A permanent failure is no use waiting for, unless there are sessions that may come back. */
static void
fail_if_final_locked (DbPoolCore *self, gboolean permanent, gint64 now, DbPoolEffects *fx)
{
  gboolean is_last = db_pool_core_n_sessions_locked (self) == 0;

  self->failed_for_good = permanent;
  if (permanent && is_last)
    db_pool_core_fail_all_locked (self, DB_REFUSAL_OPEN_FAILED, now, fx);
  if (is_last)
    db_pool_core_end_probes_locked (self, DB_PROBE_FAILED, self->open_error, fx);
}

void
db_pool_core_open_failed (DbPoolCore *self,
                          DbSlot *slot,
                          const GError *error,
                          gboolean permanent,
                          gint64 now,
                          DbPoolEffects *fx)
{
  gboolean is_current;
  gint64 begun;

  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_OPENING);
  self->stats.create_failed++;
  is_current = slot->generation == self->generation;
  begun = slot->born;
  db_pool_core_free_slot_locked (self, slot, fx);
  /* What failed with a manager of before says nothing about the one of now. */
  if (is_current)
    {
      open_failed_locked (self, error, begun, now, fx);
      fail_if_final_locked (self, permanent, now, fx);
    }
  else
    db_pool_core_add_event_locked (self, DB_EVENT_BACKGROUND_ERROR, 0, NULL, error, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

/* A hook did not want a session. If it was a new one, the next one may be no better. */
static void
rejected_locked (DbPoolCore *self,
                 DbSlot *slot,
                 gboolean permanent,
                 const GError *error,
                 gint64 now,
                 DbPoolEffects *fx)
{
  gboolean is_new = slot->uses == 0;

  if (is_new)
    open_failed_locked (self, error, slot->born, now, fx);
  else
    db_pool_core_add_event_locked (self, DB_EVENT_BACKGROUND_ERROR, 0, NULL, error, fx);
  db_pool_core_close_locked (self, slot, DB_DROP_INVALID, now, fx);
  if (!is_new)
    return;
  self->rejecting = TRUE;
  fail_if_final_locked (self, permanent, now, fx);
}

void
db_pool_core_reject (DbPoolCore *self,
                     DbSlot *slot,
                     gboolean final,
                     gboolean permanent,
                     const GError *error,
                     gint64 now,
                     DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  untry_locked (self, slot, final);
  if (error != NULL)
    rejected_locked (self, slot, permanent, error, now, fx);
  else
    db_pool_core_close_locked (self, slot, DB_DROP_BROKEN, now, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

/* A new session that works only until it is checked is no better than none. */
static void
check_failed_locked (DbPoolCore *self,
                     DbSlot *slot,
                     const GError *error,
                     gint64 now,
                     DbPoolEffects *fx)
{
  gboolean is_new = slot->uses == 0 && slot->needs_hook;

  if (is_new && error != NULL)
    {
      open_failed_locked (self, error, slot->born, now, fx);
      self->failed_for_good = FALSE;
      self->rejecting = TRUE;
    }
  else if (error != NULL)
    db_pool_core_add_event_locked (self, DB_EVENT_BACKGROUND_ERROR, 0, NULL, error, fx);
  db_pool_core_close_locked (self, slot, DB_DROP_INVALID, now, fx);
}

void
db_pool_core_checked (DbPoolCore *self,
                      DbSlot *slot,
                      DbCheckResult result,
                      gboolean permanent,
                      const GError *error,
                      gint64 now,
                      DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_CHECKING);
  if (slot->needs_check)
    db_histogram_record (&self->histograms[DB_METRIC_VALIDATE], now - slot->since);
  switch (result)
    {
    case DB_CHECK_WORKS:
      slot->proven_at = now;
      if (slot->needs_check)
        db_pool_core_prove (self, now);
      slot->suspect = slot->suspect && !slot->needs_check;
      if (slot->needs_hook)
        forget_failures_locked (self);
      db_pool_core_deliver_locked (self, slot, slot->needs_hook, now, fx);
      break;
    case DB_CHECK_REJECTED:
      rejected_locked (self, slot, permanent, error, now, fx);
      break;
    case DB_CHECK_FAILED:
    default:
      check_failed_locked (self, slot, error, now, fx);
    }
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_reset_done (DbPoolCore *self,
                         DbSlot *slot,
                         gboolean works,
                         gint64 now,
                         DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_RESETTING);
  slot->proven_at = now;
  slot->idle_since = now;
  slot->suspect = FALSE;
  if (works)
    {
      db_pool_core_prove (self, now);
      db_pool_core_deliver_locked (self, slot, FALSE, now, fx);
    }
  else
    db_pool_core_close_locked (self, slot, DB_DROP_INVALID, now, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_closed (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_CLOSING);
  db_pool_core_free_slot_locked (self, slot, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}
