/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the core does under its lock, step by step: slots change their state, tickets are decided,
 * and rebalance() brings the two together. Public functions, which take the lock, are in
 * db-pool-core.c. */

#include "config.h"

#include "db-pool-balance-private.h"

/* How many sessions a pool opens at the same time. */
#define MAX_CONCURRENT_OPENS 3

G_STATIC_ASSERT (DB_SLOT_CLOSING + 1 == G_N_ELEMENTS (((DbPoolStats *) NULL)->in_state));
G_STATIC_ASSERT (offsetof (DbPoolStats, lent) ==
                 offsetof (DbPoolStats, in_state) + DB_SLOT_LENT * sizeof (guint));

/* Gauges: the one place where a slot changes its state. */

void
db_pool_core_set_state_locked (DbPoolCore *self, DbSlot *slot, DbSlotState state)
{
  if (slot->state == DB_SLOT_IDLE && state != DB_SLOT_IDLE)
    g_queue_unlink (&self->idle, &slot->idle_link);
  self->stats.in_state[slot->state]--;
  slot->state = state;
  self->stats.in_state[state]++;
}

guint
db_pool_core_n_sessions_locked (DbPoolCore *self)
{
  return self->stats.idle + self->stats.lent + self->stats.checking + self->stats.resetting;
}

/* Sessions that will be there without anybody returning one. */
guint
db_pool_core_n_coming_locked (DbPoolCore *self)
{
  return self->stats.opening + self->stats.checking + self->stats.resetting;
}

void
db_pool_core_arm_locked (DbPoolCore *self, gint64 when, DbPoolEffects *fx)
{
  if (when >= self->timer)
    return;
  self->timer = when;
  fx->timer = TRUE;
}

/* Effects on slots. */

static void
open_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  DbSlot *slot = g_new0 (DbSlot, 1);

  slot->all_link.data = slot;
  slot->idle_link.data = slot;
  slot->state = DB_SLOT_OPENING;
  slot->generation = self->generation;
  slot->born = now;
  slot->expires = G_MAXINT64;
  self->stats.opening++;
  g_queue_push_tail_link (&self->slots, &slot->all_link);
  slot->next = fx->open;
  fx->open = slot;
}

void
db_pool_core_close_locked (DbPoolCore *self, DbSlot *slot, DbDropReason reason, DbPoolEffects *fx)
{
  db_pool_core_set_state_locked (self, slot, DB_SLOT_CLOSING);
  slot->drop_reason = reason;
  self->stats.dropped[reason]++;
  slot->next = fx->close;
  fx->close = slot;
}

void
db_pool_core_doom_locked (DbSlot *slot, DbDropReason reason)
{
  if (slot->doomed)
    return;
  slot->doomed = TRUE;
  slot->drop_reason = reason;
}

void
db_pool_core_free_slot_locked (DbPoolCore *self, DbSlot *slot, DbPoolEffects *fx)
{
  self->stats.in_state[slot->state]--;
  g_queue_unlink (&self->slots, &slot->all_link);
  g_free (slot);
  if (self->closed && self->slots.length == 0)
    fx->drained = TRUE;
}

/* Whether a session that is at hand must not be lent any more, and why. */
gboolean
db_pool_core_is_over_locked (DbPoolCore *self, DbSlot *slot, gint64 now, DbDropReason *reason)
{
  const DbPoolSettings *settings = &self->settings;

  if (self->closed)
    *reason = DB_DROP_CLOSED;
  else if (slot->doomed)
    *reason = slot->drop_reason;
  else if (slot->generation != self->generation)
    *reason = DB_DROP_EVICTED;
  else if (now >= slot->expires || (settings->max_uses > 0 && slot->uses >= settings->max_uses))
    *reason = DB_DROP_LIFETIME;
  else if (self->slots.length - self->stats.closing > settings->max_connections)
    *reason = DB_DROP_EVICTED;
  else
    return FALSE;
  return TRUE;
}

gboolean
db_pool_core_is_stale_locked (DbPoolCore *self, DbSlot *slot, gint64 now)
{
  gint64 limit = self->settings.validate_after_idle;

  return limit == 0 || (limit > 0 && now - slot->proven_at > limit);
}

/* The session at one end of the idle list, or NULL. Those that are over are closed on the way. */
static DbSlot *
idle_at_locked (DbPoolCore *self, gboolean newest, gint64 now, DbPoolEffects *fx)
{
  for (;;)
    {
      GList *link = newest ? self->idle.head : self->idle.tail;
      DbDropReason reason;

      if (link == NULL)
        return NULL;
      if (!db_pool_core_is_over_locked (self, link->data, now, &reason))
        return link->data;
      db_pool_core_close_locked (self, link->data, reason, fx);
    }
}

/* The idle session to be lent next, or NULL. */
DbSlot *
db_pool_core_next_idle_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  return idle_at_locked (self, self->settings.idle_order == DB_IDLE_ORDER_LIFO, now, fx);
}

/* The same, but only one that need not be checked first. If there is any, the newest is one. */
DbSlot *
db_pool_core_fresh_idle_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  DbSlot *slot = db_pool_core_next_idle_locked (self, now, fx);

  if (slot != NULL && db_pool_core_is_stale_locked (self, slot, now))
    slot = idle_at_locked (self, TRUE, now, fx);
  return slot != NULL && !db_pool_core_is_stale_locked (self, slot, now) ? slot : NULL;
}

void
db_pool_core_lend_locked (DbPoolCore *self, DbSlot *slot, gint64 now)
{
  db_pool_core_set_state_locked (self, slot, DB_SLOT_LENT);
  slot->lent_at = now;
  slot->uses++;
}

/* Tickets. */

/* Takes a PENDING ticket out of the queue; its reference passes to the caller. */
void
db_pool_core_dequeue_locked (DbPoolCore *self, DbTicket *ticket)
{
  g_queue_unlink (&self->queue, &ticket->link);
  self->stats.waiting--;
}

void
db_pool_core_announce_locked (DbTicket *ticket, DbPoolEffects *fx)
{
  if (fx->decided == NULL)
    fx->decided = ticket;
  else
    fx->last_decided->next = ticket;
  fx->last_decided = ticket;
}

/* An asynchronous ticket stays in the heap when granted: until its context runs it can be given up.
 */
static void
grant_locked (DbPoolCore *self, DbTicket *ticket, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  db_pool_core_dequeue_locked (self, ticket);
  db_pool_core_lend_locked (self, slot, now);
  ticket->state = DB_TICKET_GRANTED;
  ticket->slot = slot;
  ticket->decided = now;
  self->stats.undelivered++;
  db_pool_core_announce_locked (ticket, fx);
}

void
db_pool_core_fail_locked (DbPoolCore *self, DbTicket *ticket, DbRefusal refusal, gint64 now)
{
  ticket->state = DB_TICKET_FAILED;
  ticket->refusal = refusal;
  ticket->decided = now;
  db_deadline_heap_remove (&self->deadlines, ticket);
  if (refusal == DB_REFUSAL_OPEN_FAILED)
    {
      ticket->error = g_error_copy (self->open_error);
      self->stats.errors++;
    }
  else
    self->stats.refused++;
}

void
db_pool_core_fail_all_locked (DbPoolCore *self, DbRefusal refusal, gint64 now, DbPoolEffects *fx)
{
  GList *link;

  while ((link = self->queue.head) != NULL)
    {
      DbTicket *ticket = link->data;

      db_pool_core_dequeue_locked (self, ticket);
      db_pool_core_fail_locked (self, ticket, refusal, now);
      db_pool_core_announce_locked (ticket, fx);
    }
}

void
db_pool_core_taken_locked (DbPoolCore *self, DbTicket *ticket, gint64 now)
{
  ticket->state = DB_TICKET_TAKEN;
  db_deadline_heap_remove (&self->deadlines, ticket);
  self->stats.acquired++;
  if (ticket->waited)
    {
      self->stats.waited++;
      self->stats.wait_time += ticket->decided - ticket->enqueued;
    }
}

gboolean
db_pool_core_handed_directly_locked (DbPoolCore *self, DbTicket *ticket, gint64 now)
{
  return !ticket->blocking || now - ticket->enqueued >= self->settings.hand_off_after;
}

/* Idle sessions and waiting tickets meet here. One wake-up at a time: the thread that is woken
 * takes its session and passes the next wake-up on. */
static void
serve_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  GList *link;

  while ((link = self->queue.head) != NULL)
    {
      DbTicket *ticket = link->data;
      DbSlot *slot = db_pool_core_fresh_idle_locked (self, now, fx);

      if (slot == NULL)
        return;
      if (db_pool_core_handed_directly_locked (self, ticket, now))
        {
          grant_locked (self, ticket, slot, now, fx);
          continue;
        }
      if (!ticket->awake)
        {
          ticket->awake = TRUE;
          g_assert (fx->wake == NULL);
          fx->wake = db_ticket_ref (ticket);
        }
      return;
    }
}

/* Idle sessions that nobody has proven for too long are checked, one for each ticket that has
 * nothing coming. */
static void
check_stale_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  while (self->stats.waiting > db_pool_core_n_coming_locked (self))
    {
      DbSlot *slot = db_pool_core_next_idle_locked (self, now, fx);

      if (slot == NULL || !db_pool_core_is_stale_locked (self, slot, now))
        return;
      db_pool_core_set_state_locked (self, slot, DB_SLOT_CHECKING);
      slot->next = fx->check;
      fx->check = slot;
    }
}

/* How many sessions are missing: for tickets, for min-connections, for a try that found nothing. */
static guint
n_missing_locked (DbPoolCore *self)
{
  guint coming = db_pool_core_n_coming_locked (self);
  guint there = db_pool_core_n_sessions_locked (self) + self->stats.opening;
  guint floor = MIN (self->settings.min_connections, self->settings.max_connections);
  guint missing = 0;

  /* An idle session that is still there is for the thread that was woken for it. */
  if (self->stats.waiting > coming + self->stats.idle)
    missing = self->stats.waiting - coming - self->stats.idle;
  if (self->started && there < floor)
    missing = MAX (missing, floor - there);
  if (self->wanted && coming == 0 && self->stats.idle == 0)
    missing = MAX (missing, 1);
  return missing;
}

/* A permanent error with no other session fails every ticket at once, so the next one to come is a
 * new question, and is asked at once. Otherwise failures hold the next open back. */
static gboolean
must_back_off_locked (DbPoolCore *self, gint64 now)
{
  if (now >= self->retry_at)
    return FALSE;
  return !(self->failed_for_good && db_pool_core_n_sessions_locked (self) == 0 &&
           (self->stats.waiting > 0 || self->wanted));
}

static void
open_missing_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  guint missing = n_missing_locked (self);
  guint at_a_time = self->failures > 0 ? 1 : CLAMP (missing, 1, MAX_CONCURRENT_OPENS);

  if (missing == 0)
    return;
  if (must_back_off_locked (self, now))
    {
      if (self->slots.length < self->settings.max_connections)
        db_pool_core_arm_locked (self, self->retry_at, fx);
      return;
    }
  self->wanted = FALSE;
  for (; missing > 0 && self->stats.opening < at_a_time &&
         self->slots.length < self->settings.max_connections;
       missing--)
    open_locked (self, now, fx);
}

/* The one place that decides what happens next; called at the end of everything that changed
 * something. */
void
db_pool_core_rebalance_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  if (self->closed)
    return;
  if (self->queue.length > 0)
    {
      serve_locked (self, now, fx);
      check_stale_locked (self, now, fx);
    }
  open_missing_locked (self, now, fx);
}

/* When the next idle session is due to be closed, as far as the two ends of the list say. */
gint64
db_pool_core_idle_due_locked (DbPoolCore *self)
{
  const DbPoolSettings *settings = &self->settings;
  DbSlot *oldest = self->idle.tail != NULL ? self->idle.tail->data : NULL;

  if (oldest == NULL || settings->idle_timeout <= 0 ||
      db_pool_core_n_sessions_locked (self) <= settings->min_connections)
    return G_MAXINT64;
  return oldest->idle_since + settings->idle_timeout;
}

/* The idle list is ordered by when its sessions were last proven. Nearly always this one is the
 * newest; one that was granted, and whose owner did not want it any more, goes back to its place.
 */
void
db_pool_core_make_idle_locked (DbPoolCore *self, DbSlot *slot, DbPoolEffects *fx)
{
  GList *link = self->idle.head;

  while (link != NULL && ((DbSlot *) link->data)->proven_at > slot->proven_at)
    link = link->next;
  db_pool_core_set_state_locked (self, slot, DB_SLOT_IDLE);
  slot->idle_since = slot->proven_at;
  if (link == self->idle.head)
    g_queue_push_head_link (&self->idle, &slot->idle_link);
  else
    g_queue_insert_before_link (&self->idle, link, &slot->idle_link);
  db_pool_core_arm_locked (self, MIN (slot->expires, db_pool_core_idle_due_locked (self)), fx);
}

/* A session that nobody else can snatch goes to the head of the queue, or becomes idle. */
void
db_pool_core_deliver_locked (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  DbDropReason reason;

  if (db_pool_core_is_over_locked (self, slot, now, &reason))
    db_pool_core_close_locked (self, slot, reason, fx);
  else if (self->queue.head != NULL)
    grant_locked (self, self->queue.head->data, slot, now, fx);
  else
    db_pool_core_make_idle_locked (self, slot, fx);
}
