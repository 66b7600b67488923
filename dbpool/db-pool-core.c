/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The state machine of a pool; its words, states and invariant stand in the private header.
 *
 * The lock is held from the first line of a public function to its last, and never while anything
 * outside this file runs (but for the callback of foreach_lent). Functions that end in _locked need
 * it. All lists are intrusive, so lending and returning allocate nothing. What the functions here
 * have in common, and what decides what happens next, is in db-pool-balance.c. */

#include "config.h"

#include "db-pool-balance-private.h"

/* Back-off of failed opens: doubling, with full jitter ("Exponential Backoff And Jitter", AWS
 * Architecture Blog, 2015). */
#define BACK_OFF_FIRST (50 * G_TIME_SPAN_MILLISECOND)
#define BACK_OFF_LAST (10 * G_TIME_SPAN_SECOND)

DbPoolCore *
db_pool_core_new (const DbPoolSettings *settings, guint32 seed)
{
  DbPoolCore *self = g_new0 (DbPoolCore, 1);

  db_lock_init (&self->lock);
  self->settings = *settings;
  self->random = g_rand_new_with_seed (seed);
  db_deadline_heap_init (&self->deadlines);
  self->timer = G_MAXINT64;
  return self;
}

void
db_pool_core_free (DbPoolCore *self)
{
  g_assert (self->slots.length == 0);
  g_assert (self->queue.length == 0);
  db_deadline_heap_clear (&self->deadlines);
  g_rand_free (self->random);
  g_clear_error (&self->open_error);
  db_lock_clear (&self->lock);
  g_free (self);
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
                  gint64 now,
                  gint64 *idle_for,
                  DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);
  DbTicket *head = self->queue.head != NULL ? self->queue.head->data : NULL;
  DbSlot *slot = NULL;

  if (!self->closed && (head == NULL || !db_pool_core_handed_directly_locked (self, head, now)))
    slot = db_pool_core_fresh_idle_locked (self, now, fx);
  if (slot == NULL && any && !self->closed && head == NULL)
    slot = db_pool_core_next_idle_locked (self, now, fx);
  if (slot != NULL)
    {
      *idle_for = now - slot->proven_at;
      db_pool_core_lend_locked (self, slot, now);
      if (final)
        {
          self->stats.requests++;
          self->stats.acquired++;
        }
      if (head != NULL)
        db_pool_core_rebalance_locked (self, now, fx);
      return slot;
    }
  return NULL;
}

void
db_pool_core_refuse (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  self->stats.requests++;
  self->stats.refused++;
  self->started = TRUE;
  self->wanted = TRUE;
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_reject (DbPoolCore *self, DbSlot *slot, gboolean final, gint64 now, DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  if (final)
    {
      self->stats.requests--;
      self->stats.acquired--;
    }
  db_pool_core_close_locked (self, slot, DB_DROP_BROKEN, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

DbTicketState
db_pool_core_acquire (DbPoolCore *self, DbTicket *ticket, gint64 now, DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  g_assert (ticket->state == DB_TICKET_NEW);
  self->stats.requests++;
  self->started = TRUE;
  ticket->enqueued = now;
  if (self->closed)
    {
      db_pool_core_fail_locked (self, ticket, DB_REFUSAL_CLOSED, now);
      return ticket->state;
    }
  if (self->settings.max_waiters > 0 && self->stats.waiting >= self->settings.max_waiters)
    {
      db_pool_core_fail_locked (self, ticket, DB_REFUSAL_QUEUE_FULL, now);
      return ticket->state;
    }

  ticket->state = DB_TICKET_PENDING;
  ticket->waited = TRUE;
  ticket->awake = ticket->blocking;
  g_queue_push_tail_link (&self->queue, &db_ticket_ref (ticket)->link);
  self->stats.waiting++;
  if (!ticket->blocking && ticket->deadline != G_MAXINT64)
    {
      db_deadline_heap_add (&self->deadlines, ticket);
      db_pool_core_arm_locked (self, ticket->deadline, fx);
    }
  db_pool_core_rebalance_locked (self, now, fx);
  return ticket->state;
}

void
db_pool_core_bind (DbPoolCore *self, DbTicket *ticket, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  g_assert (ticket->state == DB_TICKET_NEW && !ticket->blocking);
  self->stats.requests++;
  self->stats.undelivered++;
  ticket->enqueued = now;
  ticket->decided = now;
  ticket->state = DB_TICKET_GRANTED;
  ticket->slot = slot;
  if (ticket->deadline != G_MAXINT64)
    {
      db_deadline_heap_add (&self->deadlines, ticket);
      db_pool_core_arm_locked (self, ticket->deadline, fx);
    }
  db_ticket_ref (ticket);
  db_pool_core_announce_locked (ticket, fx);
}

DbTicketState
db_pool_core_look (DbPoolCore *self,
                   DbTicket *ticket,
                   gboolean sleep,
                   gint64 now,
                   DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);
  DbSlot *slot;

  g_assert (ticket->blocking);
  if (ticket->state == DB_TICKET_PENDING && ticket->link.prev == NULL &&
      (slot = db_pool_core_fresh_idle_locked (self, now, fx)) != NULL)
    {
      db_pool_core_dequeue_locked (self, ticket);
      db_pool_core_lend_locked (self, slot, now);
      ticket->slot = slot;
      ticket->decided = now;
      db_pool_core_taken_locked (self, ticket, now);
      db_ticket_unref (ticket); /* the queue's; the thread has its own */
      db_pool_core_rebalance_locked (self, now, fx);
    }
  else if (ticket->state == DB_TICKET_GRANTED)
    {
      self->stats.undelivered--;
      db_pool_core_taken_locked (self, ticket, now);
    }
  else if (ticket->state == DB_TICKET_PENDING && sleep)
    ticket->awake = FALSE;
  return ticket->state;
}

DbTicketState
db_pool_core_take (DbPoolCore *self, DbTicket *ticket, gint64 now, DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  if (ticket->state == DB_TICKET_GRANTED)
    {
      self->stats.undelivered--;
      db_pool_core_taken_locked (self, ticket, now);
    }
  return ticket->state;
}

static gboolean
give_up_locked (DbPoolCore *self,
                DbTicket *ticket,
                DbTicketState state,
                gint64 now,
                DbPoolEffects *fx)
{
  if (ticket->state == DB_TICKET_PENDING)
    {
      db_pool_core_dequeue_locked (self, ticket);
      db_pool_core_announce_locked (ticket, fx);
    }
  else if (ticket->state == DB_TICKET_GRANTED)
    {
      /* Its owner was told already, and will find that it ended otherwise. */
      DbSlot *slot = g_steal_pointer (&ticket->slot);

      self->stats.undelivered--;
      db_pool_core_deliver_locked (self, slot, now, fx);
    }
  else
    return FALSE;

  ticket->state = state;
  ticket->decided = now;
  db_deadline_heap_remove (&self->deadlines, ticket);
  if (state == DB_TICKET_CANCELLED)
    self->stats.cancelled++;
  else
    self->stats.timeouts++;
  return TRUE;
}

gboolean
db_pool_core_give_up (DbPoolCore *self,
                      DbTicket *ticket,
                      DbTicketState state,
                      gint64 now,
                      DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  /* The first counts as a request that never got as far as the queue. */
  if (ticket->state == DB_TICKET_NEW)
    {
      self->stats.requests++;
      ticket->state = state;
      if (state == DB_TICKET_CANCELLED)
        self->stats.cancelled++;
      else
        self->stats.timeouts++;
      return TRUE;
    }
  if (!give_up_locked (self, ticket, state, now, fx))
    return FALSE;
  db_pool_core_rebalance_locked (self, now, fx);
  return TRUE;
}

void
db_pool_core_give_back (DbPoolCore *self,
                        DbSlot *slot,
                        DbOutcome outcome,
                        gint64 now,
                        DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);
  DbDropReason reason;

  g_assert (slot->state == DB_SLOT_LENT);
  self->stats.use_time += now - slot->lent_at;
  if (outcome == DB_OUTCOME_BROKEN)
    db_pool_core_close_locked (self, slot, DB_DROP_BROKEN, fx);
  else if (db_pool_core_is_over_locked (self, slot, now, &reason))
    db_pool_core_close_locked (self, slot, reason, fx);
  else if (outcome == DB_OUTCOME_DIRTY)
    {
      db_pool_core_set_state_locked (self, slot, DB_SLOT_RESETTING);
      slot->next = fx->reset;
      fx->reset = slot;
    }
  else
    {
      slot->proven_at = now;
      db_pool_core_make_idle_locked (self, slot, fx);
    }
  db_pool_core_rebalance_locked (self, now, fx);
}

/* Each session gets its end at birth, up to lifetime-jitter percent early, so that sessions that
 * were opened together do not expire together. */
static gint64
choose_expiry_locked (DbPoolCore *self, gint64 now)
{
  gint64 lifetime = self->settings.max_lifetime;
  double jitter = self->settings.lifetime_jitter / 100.0;

  if (lifetime <= 0 || lifetime == G_MAXINT64)
    return G_MAXINT64;
  return now + (gint64) (lifetime * (1.0 - jitter * g_rand_double (self->random)));
}

void
db_pool_core_opened (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_OPENING);
  slot->expires = choose_expiry_locked (self, now);
  slot->proven_at = now;
  self->stats.created++;
  self->failures = 0;
  self->retry_at = 0;
  self->failed_for_good = FALSE;
  g_clear_error (&self->open_error);
  db_pool_core_deliver_locked (self, slot, now, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

/* Opens that were under way together count as one failure. */
static void
back_off_locked (DbPoolCore *self, DbSlot *slot, gint64 now)
{
  gint64 longest = BACK_OFF_FIRST;

  if (self->failures > 0 && slot->born <= self->failed_at)
    return;
  for (guint i = 0; i < self->failures && longest < BACK_OFF_LAST; i++)
    longest *= 2;
  longest = MIN (longest, BACK_OFF_LAST);
  self->failures++;
  self->failed_at = now;
  self->retry_at = now + 1 + (gint64) (longest * g_rand_double (self->random));
}

void
db_pool_core_open_failed (DbPoolCore *self,
                          DbSlot *slot,
                          const GError *error,
                          gboolean permanent,
                          gint64 now,
                          DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_OPENING);
  self->stats.create_failed++;
  back_off_locked (self, slot, now);
  self->failed_for_good = permanent;
  g_clear_error (&self->open_error);
  self->open_error = g_error_copy (error);
  db_pool_core_free_slot_locked (self, slot, fx);
  if (permanent && db_pool_core_n_sessions_locked (self) == 0)
    db_pool_core_fail_all_locked (self, DB_REFUSAL_OPEN_FAILED, now, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_checked (DbPoolCore *self, DbSlot *slot, gboolean works, gint64 now, DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_CHECKING);
  slot->proven_at = now;
  if (works)
    db_pool_core_deliver_locked (self, slot, now, fx);
  else
    db_pool_core_close_locked (self, slot, DB_DROP_INVALID, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_reset_done (DbPoolCore *self,
                         DbSlot *slot,
                         gboolean works,
                         gint64 now,
                         DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_RESETTING);
  slot->proven_at = now;
  if (works)
    db_pool_core_deliver_locked (self, slot, now, fx);
  else
    db_pool_core_close_locked (self, slot, DB_DROP_INVALID, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_closed (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  g_assert (slot->state == DB_SLOT_CLOSING);
  db_pool_core_free_slot_locked (self, slot, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

static void
expire_tickets_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  DbTicket *ticket;

  while ((ticket = db_deadline_heap_peek (&self->deadlines)) != NULL && ticket->deadline <= now)
    give_up_locked (self, ticket, DB_TICKET_TIMED_OUT, now, fx);
}

static void
close_aged_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  GList *link = self->idle.tail;

  while (link != NULL)
    {
      DbSlot *slot = link->data;
      DbDropReason reason;

      link = link->prev;
      if (db_pool_core_is_over_locked (self, slot, now, &reason))
        db_pool_core_close_locked (self, slot, reason, fx);
    }
  while (db_pool_core_idle_due_locked (self) <= now)
    db_pool_core_close_locked (self, self->idle.tail->data, DB_DROP_IDLE, fx);
}

/* Looks at every idle session, which only a tick or a change of the settings may. */
static void
rearm_locked (DbPoolCore *self, DbPoolEffects *fx)
{
  DbTicket *ticket = db_deadline_heap_peek (&self->deadlines);

  self->timer = G_MAXINT64;
  if (ticket != NULL)
    db_pool_core_arm_locked (self, ticket->deadline, fx);
  db_pool_core_arm_locked (self, db_pool_core_idle_due_locked (self), fx);
  for (GList *link = self->idle.head; link != NULL; link = link->next)
    db_pool_core_arm_locked (self, ((DbSlot *) link->data)->expires, fx);
}

void
db_pool_core_tick (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  expire_tickets_locked (self, now, fx);
  close_aged_locked (self, now, fx);
  rearm_locked (self, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_hung_up (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  if (slot->state == DB_SLOT_IDLE)
    db_pool_core_close_locked (self, slot, DB_DROP_BROKEN, fx);
  else if (slot->state != DB_SLOT_CLOSING)
    db_pool_core_doom_locked (slot, DB_DROP_BROKEN);
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_configure (DbPoolCore *self,
                        const DbPoolSettings *settings,
                        gint64 now,
                        DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  self->settings = *settings;
  close_aged_locked (self, now, fx);
  rearm_locked (self, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_evict (DbPoolCore *self, gboolean all, gint64 now, DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  while (self->idle.head != NULL)
    db_pool_core_close_locked (self, self->idle.head->data, DB_DROP_EVICTED, fx);
  if (all)
    self->generation++;
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_close (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  DB_LOCK_SCOPE (&self->lock);

  if (self->closed)
    return;
  self->closed = TRUE;
  db_pool_core_fail_all_locked (self, DB_REFUSAL_CLOSED, now, fx);
  while (self->idle.head != NULL)
    db_pool_core_close_locked (self, self->idle.head->data, DB_DROP_CLOSED, fx);
  fx->drained = self->slots.length == 0;
}

gint64
db_pool_core_get_timer (DbPoolCore *self)
{
  DB_LOCK_SCOPE (&self->lock);

  return self->timer;
}

gboolean
db_pool_core_is_closed (DbPoolCore *self)
{
  DB_LOCK_SCOPE (&self->lock);

  return self->closed;
}

void
db_pool_core_foreach_lent (DbPoolCore *self,
                           void (*func) (DbSlot *slot, gpointer data),
                           gpointer data)
{
  DB_LOCK_SCOPE (&self->lock);

  for (GList *link = self->slots.head; link != NULL; link = link->next)
    if (((DbSlot *) link->data)->state == DB_SLOT_LENT)
      func (link->data, data);
}

void
db_pool_core_get_stats (DbPoolCore *self, DbPoolStats *stats)
{
  DB_LOCK_SCOPE (&self->lock);

  *stats = self->stats;
}

GError *
db_pool_core_dup_open_error (DbPoolCore *self)
{
  DB_LOCK_SCOPE (&self->lock);

  return self->open_error != NULL ? g_error_copy (self->open_error) : NULL;
}

void
db_pool_core_validate (DbPoolCore *self, gint64 now)
{
  DB_LOCK_SCOPE (&self->lock);
  const DbPoolStats *stats = &self->stats;
  DbTicket *head = self->queue.head != NULL ? self->queue.head->data : NULL;
  guint64 dropped = 0;
  guint states[DB_SLOT_CLOSING + 1] = {0};
  DbDropReason reason;
  gboolean helped;

  for (GList *link = self->slots.head; link != NULL; link = link->next)
    states[((DbSlot *) link->data)->state]++;
  for (guint i = 0; i <= DB_SLOT_CLOSING; i++)
    g_assert_cmpuint (states[i], ==, stats->in_state[i]);
  for (guint i = 0; i < DB_N_DROP_REASONS; i++)
    dropped += stats->dropped[i];

  g_assert_cmpuint (stats->idle, ==, self->idle.length);
  g_assert_cmpuint (stats->waiting, ==, self->queue.length);
  g_assert_cmpuint (stats->requests, ==,
                    stats->acquired + stats->timeouts + stats->cancelled + stats->errors +
                      stats->refused + stats->waiting + stats->undelivered);
  g_assert_cmpuint (stats->created - dropped, ==, db_pool_core_n_sessions_locked (self));

  if (head == NULL)
    return;
  g_assert_false (self->closed);
  if (head->blocking && head->awake)
    return;
  /* Nobody is on the way to what is idle, so it must be of no use yet. */
  for (GList *link = self->idle.head; link != NULL; link = link->next)
    g_assert_true (db_pool_core_is_over_locked (self, link->data, now, &reason) ||
                   db_pool_core_is_stale_locked (self, link->data, now));
  helped = db_pool_core_n_coming_locked (self) > 0 ||
           self->slots.length >= self->settings.max_connections ||
           (self->retry_at > 0 && self->timer <= MAX (self->retry_at, now));
  g_assert_true (helped);
}
