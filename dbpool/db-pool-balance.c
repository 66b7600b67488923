/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the core does under its lock, step by step: slots change their state, tickets are decided,
 * and rebalance() brings the two together. Public functions, which take the lock, are in
 * db-pool-core.c. */

#include "config.h"

#include "db-pool-balance-private.h"

/* How many sessions a pool opens at the same time. */
#define MAX_CONCURRENT_OPENS 3

G_STATIC_ASSERT (DB_SLOT_DEDICATED + 1 == G_N_ELEMENTS (((DbPoolStats *) NULL)->in_state));
G_STATIC_ASSERT (offsetof (DbPoolStats, lent) ==
                 offsetof (DbPoolStats, in_state) + DB_SLOT_LENT * sizeof (guint));
G_STATIC_ASSERT (offsetof (DbPoolStats, dedicated) ==
                 offsetof (DbPoolStats, in_state) + DB_SLOT_DEDICATED * sizeof (guint));
G_STATIC_ASSERT ((int) DB_SLOT_DEDICATED == (int) DB_CONNECTION_DEDICATED);

/* Gauges and lists: the one place where a slot changes its state. Its link goes in and out of lists
 * as with g_queue_unlink() and its like, which are a call each: that is a tenth of a loan. */

static inline void
unlink_link (GQueue *queue, GList *link)
{
  if (link->prev != NULL)
    link->prev->next = link->next;
  else
    queue->head = link->next;
  if (link->next != NULL)
    link->next->prev = link->prev;
  else
    queue->tail = link->prev;
  link->prev = link->next = NULL;
  queue->length--;
}

/* @next: NULL at the end. */
static inline void
link_before (GQueue *queue, GList *next, GList *link)
{
  link->next = next;
  link->prev = next != NULL ? next->prev : queue->tail;
  if (link->prev != NULL)
    link->prev->next = link;
  else
    queue->head = link;
  if (next != NULL)
    next->prev = link;
  else
    queue->tail = link;
  queue->length++;
}

void
db_pool_core_set_state_locked (DbPoolCore *self,
                               DbSlot *slot,
                               DbSlotState state,
                               gint64 now,
                               DbPoolEffects *fx)
{
  if (slot->state == DB_SLOT_IDLE)
    unlink_link (&self->idle, &slot->link);
  else if (slot->state == DB_SLOT_LENT)
    unlink_link (&self->loans, &slot->link);
  if (state == DB_SLOT_LENT)
    link_before (&self->loans, NULL, &slot->link);
  if (slot->slow)
    self->n_slow--;
  slot->slow = FALSE;
  self->stats.in_state[slot->state]--;
  slot->state = state;
  slot->since = now;
  self->stats.in_state[state]++;
  if (db_pool_core_is_observed (self))
    fx->changed = TRUE;
}

guint
db_pool_core_n_sessions_locked (DbPoolCore *self)
{
  return self->stats.idle + self->stats.lent + self->stats.checking + self->stats.resetting;
}

/* Sessions that will be there soon without anybody returning one. That which a hook looks at does
 * not come before what the hook waits for. */
guint
db_pool_core_n_coming_locked (DbPoolCore *self)
{
  guint coming = self->stats.opening + self->stats.checking + self->stats.resetting - self->n_slow;

  return coming - MIN (coming, self->n_in_hooks);
}

/* How many sessions the pool keeps, wanted or not. */
guint
db_pool_core_floor_locked (DbPoolCore *self)
{
  return MIN (self->settings.min_connections, self->settings.max_connections);
}

void
db_pool_core_arm_locked (DbPoolCore *self, gint64 when, DbPoolEffects *fx)
{
  if (when >= self->timer)
    return;
  self->timer = when;
  fx->timer = TRUE;
}

void
db_pool_core_add_event_locked (DbPoolCore *self,
                               DbEventType type,
                               gint64 value,
                               char *text,
                               const GError *error,
                               DbPoolEffects *fx)
{
  DbEvent event = {type, value, text, NULL};

  if (self->listens == NULL || !self->listens (type, self->listens_data))
    {
      g_free (text);
      return;
    }
  if (self->events->len >= DB_MAX_EVENTS)
    {
      self->stats.events_dropped++;
      g_free (text);
      return;
    }
  if (error != NULL)
    event.error = g_error_copy (error);
  g_array_append_val (self->events, event);
  if (self->events->len == 1)
    fx->events = TRUE;
}

/* Slots. */

DbSlot *
db_pool_core_new_slot_locked (DbPoolCore *self, DbSlotState state, gint64 now, DbPoolEffects *fx)
{
  DbSlot *slot = g_aligned_alloc0 (1, sizeof (DbSlot), DB_LINE_SIZE);

  slot->all_link.data = slot;
  slot->link.data = slot;
  slot->id = ++self->last_id;
  slot->state = state;
  slot->generation = self->generation;
  slot->born = now;
  slot->since = now;
  slot->expires = G_MAXINT64;
  slot->retire_at = G_MAXINT64;
  slot->check_at = G_MAXINT64;
  self->stats.in_state[state]++;
  g_queue_push_tail_link (&self->slots, &slot->all_link);
  if (db_pool_core_is_observed (self))
    fx->changed = TRUE;
  return slot;
}

static void
open_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  DbSlot *slot = db_pool_core_new_slot_locked (self, DB_SLOT_OPENING, now, fx);

  slot->next = fx->open;
  fx->open = slot;
}

void
db_pool_core_stop_retiring_locked (DbPoolCore *self, DbSlot *slot)
{
  if (slot->retiring)
    self->n_retiring--;
  slot->retiring = FALSE;
}

void
db_pool_core_close_locked (DbPoolCore *self,
                           DbSlot *slot,
                           DbDropReason reason,
                           gint64 now,
                           DbPoolEffects *fx)
{
  db_pool_core_stop_retiring_locked (self, slot);
  db_pool_core_set_state_locked (self, slot, DB_SLOT_CLOSING, now, fx);
  slot->drop_reason = reason;
  self->stats.dropped[reason]++;
  db_pool_core_add_event_locked (self, DB_EVENT_DROPPED, reason, NULL, NULL, fx);
  slot->next = fx->close;
  fx->close = slot;
}

void
db_pool_core_free_slot_locked (DbPoolCore *self, DbSlot *slot, DbPoolEffects *fx)
{
  db_pool_core_stop_retiring_locked (self, slot);
  if (slot->state == DB_SLOT_LENT)
    unlink_link (&self->loans, &slot->link);
  self->stats.in_state[slot->state]--;
  g_queue_unlink (&self->slots, &slot->all_link);
  g_aligned_free (slot);
  if (db_pool_core_is_observed (self))
    fx->changed = TRUE;
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
  else if (slot->retiring && db_pool_core_n_sessions_locked (self) - self->n_retiring >=
                               db_pool_core_floor_locked (self))
    *reason = DB_DROP_LIFETIME;
  else if (self->slots.length - self->stats.closing > settings->max_connections)
    *reason = DB_DROP_EVICTED;
  else
    return FALSE;
  return TRUE;
}

/* Whether it takes a round trip to know that a session works. */
static gboolean
is_unproven_locked (DbPoolCore *self, DbSlot *slot, gint64 now)
{
  gint64 limit = self->settings.validate_after_idle;

  return slot->suspect || limit == 0 || (limit > 0 && now - slot->proven_at > limit);
}

gboolean
db_pool_core_is_stale_locked (DbPoolCore *self, DbSlot *slot, gint64 now)
{
  return self->gated || is_unproven_locked (self, slot, now);
}

void
db_pool_core_check_locked (DbPoolCore *self,
                           DbSlot *slot,
                           gboolean for_loan,
                           gint64 now,
                           DbPoolEffects *fx)
{
  slot->needs_check = !for_loan || is_unproven_locked (self, slot, now);
  slot->needs_hook = for_loan && self->gated;
  db_pool_core_set_state_locked (self, slot, DB_SLOT_CHECKING, now, fx);
  slot->next = fx->check;
  fx->check = slot;
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
      db_pool_core_close_locked (self, link->data, reason, now, fx);
    }
}

/* The idle session to be lent next, or NULL. */
DbSlot *
db_pool_core_next_idle_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  return idle_at_locked (self, self->settings.idle_order == DB_IDLE_ORDER_LIFO, now, fx);
}

/* The same, but only one that need not be checked first. Looks at both ends of the list. */
DbSlot *
db_pool_core_fresh_idle_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  DbSlot *slot = db_pool_core_next_idle_locked (self, now, fx);

  if (slot != NULL && db_pool_core_is_stale_locked (self, slot, now))
    slot = idle_at_locked (self, TRUE, now, fx);
  return slot != NULL && !db_pool_core_is_stale_locked (self, slot, now) ? slot : NULL;
}

/* Loans. */

void
db_pool_core_lend_locked (DbPoolCore *self,
                          DbSlot *slot,
                          guint thread,
                          gint64 now,
                          DbPoolEffects *fx)
{
  db_pool_core_set_state_locked (self, slot, DB_SLOT_LENT, now, fx);
  slot->thread = thread;
  slot->granted = NULL;
  slot->leak = DB_LEAK_NONE;
  slot->uses++;
  if (self->settings.leak_threshold > 0)
    db_pool_core_arm_locked (self, db_later (now, self->settings.leak_threshold), fx);
}

void
db_pool_core_settle_locked (DbPoolCore *self)
{
  for (guint i = 0; i < self->n_recent_uses; i++)
    db_histogram_record (&self->histograms[DB_METRIC_USE], self->recent_uses[i]);
  self->n_recent_uses = 0;
  if (self->n_recent_unwaited > 0)
    db_histogram_record_many (&self->histograms[DB_METRIC_WAIT], 0, self->n_recent_unwaited);
  self->n_recent_unwaited = 0;
}

/* What is counted when a loan ends; the slot goes on to another state. */
void
db_pool_core_end_loan_locked (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  self->stats.use_time += now - slot->since;
  self->recent_uses[self->n_recent_uses++] = now - slot->since;
  if (self->n_recent_uses == DB_N_RECENT_USES)
    db_pool_core_settle_locked (self);
  if (self->deadlock_since != 0 || self->deadlocked)
    {
      self->deadlocked = FALSE;
      self->deadlock_since = 0;
    }
  db_pool_core_add_event_locked (self, DB_EVENT_RETURNED, now - slot->since, NULL, NULL, fx);
}

/* Tickets. */

/* Takes a PENDING ticket out of its queue; its reference passes to the caller. */
void
db_pool_core_dequeue_locked (DbPoolCore *self, DbTicket *ticket)
{
  if (ticket->unit)
    {
      g_queue_unlink (&self->units, &ticket->link);
      return;
    }
  g_queue_unlink (&self->queue, &ticket->link);
  self->stats.waiting--;
  self->n_in_hooks -= ticket->in_hook;
  if (ticket->thread != 0)
    g_hash_table_remove (self->waiting, GUINT_TO_POINTER (ticket->thread));
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

/* A blocking caller has a session, and its thread has yet to begin; or that is over. */
void
db_pool_core_count_handed_locked (DbPoolCore *self, DbTicket *ticket, int n)
{
  if (ticket->blocking && !ticket->unit)
    g_atomic_int_add (&self->n_handed, n);
}

/* An asynchronous ticket stays in the heap when granted: until its context runs it can be given up.
 */
static void
grant_locked (DbPoolCore *self, DbTicket *ticket, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  db_pool_core_dequeue_locked (self, ticket);
  ticket->state = DB_TICKET_GRANTED;
  ticket->slot = slot;
  ticket->decided = now;
  if (!ticket->unit)
    {
      db_pool_core_lend_locked (self, slot, ticket->thread, now, fx);
      slot->granted = ticket->blocking ? NULL : ticket;
      self->stats.undelivered++;
      db_pool_core_count_handed_locked (self, ticket, 1);
    }
  db_pool_core_announce_locked (ticket, fx);
}

void
db_pool_core_fail_locked (DbPoolCore *self, DbTicket *ticket, DbRefusal refusal, gint64 now)
{
  ticket->state = DB_TICKET_FAILED;
  ticket->refusal = refusal;
  ticket->decided = now;
  db_deadline_heap_remove (&self->deadlines, ticket);
  if (ticket->unit)
    return;
  if (refusal == DB_REFUSAL_OPEN_FAILED)
    {
      ticket->error = g_error_copy (self->open_error);
      self->stats.errors++;
    }
  else
    self->stats.refused++;
}

static void
fail_queue_locked (DbPoolCore *self,
                   GQueue *queue,
                   DbRefusal refusal,
                   gint64 now,
                   DbPoolEffects *fx)
{
  GList *link;

  while ((link = queue->head) != NULL)
    {
      DbTicket *ticket = link->data;

      db_pool_core_dequeue_locked (self, ticket);
      db_pool_core_fail_locked (self, ticket, refusal, now);
      db_pool_core_announce_locked (ticket, fx);
    }
}

void
db_pool_core_fail_all_locked (DbPoolCore *self, DbRefusal refusal, gint64 now, DbPoolEffects *fx)
{
  fail_queue_locked (self, &self->queue, refusal, now, fx);
  if (refusal == DB_REFUSAL_CLOSED)
    fail_queue_locked (self, &self->units, refusal, now, fx);
}

void
db_pool_core_taken_locked (DbPoolCore *self, DbTicket *ticket, gint64 now, DbPoolEffects *fx)
{
  gint64 waited = ticket->waited ? db_ticket_wait (ticket) : 0;

  ticket->state = DB_TICKET_TAKEN;
  db_deadline_heap_remove (&self->deadlines, ticket);
  if (ticket->unit)
    return;
  self->stats.acquired++;
  if (waited > 0)
    db_histogram_record (&self->histograms[DB_METRIC_WAIT], waited);
  else
    self->n_recent_unwaited++;
  if (ticket->waited)
    {
      self->stats.waited++;
      self->stats.wait_time += waited;
    }
  db_pool_core_add_event_locked (self, DB_EVENT_ACQUIRED, waited, NULL, NULL, fx);
}

gboolean
db_pool_core_handed_directly_locked (DbPoolCore *self, DbTicket *ticket, gint64 now)
{
  return !ticket->blocking || now - ticket->enqueued >= self->settings.hand_off_after;
}

/* Whether somebody wants a unit who came before all others. */
static gboolean
units_come_first_locked (DbPoolCore *self)
{
  DbTicket *unit = self->units.head != NULL ? self->units.head->data : NULL;
  DbTicket *head = self->queue.head != NULL ? self->queue.head->data : NULL;

  return unit != NULL && (head == NULL || unit->enqueued <= head->enqueued);
}

/* Room below the maximum goes to those who ask for it; if there is none, and they came before all
 * others, idle sessions make room.
 * @late: those who came later may have some, too: nobody else can use it now. */
static void
serve_units_locked (DbPoolCore *self, gboolean late, gint64 now, DbPoolEffects *fx)
{
  while (self->units.head != NULL && (late || units_come_first_locked (self)) &&
         self->slots.length < self->settings.max_connections)
    grant_locked (self, self->units.head->data,
                  db_pool_core_new_slot_locked (self, DB_SLOT_DEDICATED, now, fx), now, fx);
  if (!units_come_first_locked (self))
    return;
  while (self->stats.closing < self->units.length && self->idle.tail != NULL)
    db_pool_core_close_locked (self, self->idle.tail->data, DB_DROP_EVICTED, now, fx);
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
      DbSlot *slot;

      if (self->units.length > 0)
        serve_units_locked (self, FALSE, now, fx);
      slot = db_pool_core_fresh_idle_locked (self, now, fx);
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
 * nothing coming. TRUE: behind them was one that need not be. */
static gboolean
check_stale_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  gboolean checked = FALSE;

  while (self->stats.waiting > db_pool_core_n_coming_locked (self))
    {
      DbSlot *slot = db_pool_core_next_idle_locked (self, now, fx);

      if (slot == NULL)
        return FALSE;
      if (!db_pool_core_is_stale_locked (self, slot, now))
        return checked;
      db_pool_core_check_locked (self, slot, TRUE, now, fx);
      checked = TRUE;
    }
  return db_pool_core_fresh_idle_locked (self, now, fx) != NULL && checked;
}

/* How many sessions are missing: for tickets, for min-connections, for a warm-up, for a try that
 * found nothing. */
static guint
n_missing_locked (DbPoolCore *self)
{
  guint coming = db_pool_core_n_coming_locked (self);
  guint there = db_pool_core_n_sessions_locked (self) + self->stats.opening;
  guint floor = db_pool_core_floor_locked (self);
  guint missing = 0;

  /* An idle session that is still there is for the thread that was woken for it. */
  if (self->stats.waiting > coming + self->stats.idle)
    missing = self->stats.waiting - coming - self->stats.idle;
  if (self->started && there - self->n_retiring < floor)
    missing = MAX (missing, floor - (there - self->n_retiring));
  if (self->n_fills > 0 && there < self->fill)
    missing = MAX (missing, self->fill - there);
  if ((self->wanted || self->probes.length > 0) && coming == 0 && self->stats.idle == 0)
    missing = MAX (missing, 1);
  return missing;
}

/* A permanent error with no other session fails every ticket at once, so the next one to come is a
 * new question, and is asked at once; and so is each probe that nobody else waits with. Otherwise
 * failures hold the next open back. */
static gboolean
must_back_off_locked (DbPoolCore *self, gint64 now)
{
  if (now >= self->retry_at)
    return FALSE;
  if (self->probes.length > 0 && self->stats.waiting == 0 &&
      db_pool_core_n_sessions_locked (self) == 0)
    return FALSE;
  return !(self->failed_for_good && db_pool_core_n_sessions_locked (self) == 0 &&
           (self->stats.waiting > 0 || self->wanted));
}

static void
open_missing_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  guint missing = n_missing_locked (self);
  guint wanted = missing + self->stats.opening;
  guint at_a_time = self->failures > 0 ? 1 : CLAMP (wanted, 1, MAX_CONCURRENT_OPENS);

  if (missing == 0)
    {
      if (self->wanted)
        self->wanted = FALSE;
      return;
    }
  if (must_back_off_locked (self, now))
    {
      if (self->slots.length < self->settings.max_connections)
        db_pool_core_arm_locked (self, self->retry_at, fx);
      return;
    }
  self->wanted = FALSE;
  /* What a hook has in its hands is not counted on. */
  for (; missing > 0 &&
         self->stats.opening - MIN (self->stats.opening, self->n_in_hooks) < at_a_time &&
         self->slots.length < self->settings.max_connections;
       missing--)
    open_locked (self, now, fx);
}

/* Every session there may be is lent, each to a thread that waits for another one. Sessions that
 * were acquired asynchronously belong to no thread, and so nobody waits who has one. */
gboolean
db_pool_core_is_deadlocked_locked (DbPoolCore *self)
{
  if (g_hash_table_size (self->waiting) == 0 || self->stats.lent != self->slots.length ||
      self->stats.lent < self->settings.max_connections)
    return FALSE;
  for (GList *link = self->loans.head; link != NULL; link = link->next)
    {
      DbSlot *slot = link->data;

      if (slot->thread == 0 ||
          !g_hash_table_contains (self->waiting, GUINT_TO_POINTER (slot->thread)))
        return FALSE;
    }
  return TRUE;
}

static gboolean
holds_any_locked (DbPoolCore *self, guint thread)
{
  for (GList *link = self->loans.head; thread != 0 && link != NULL; link = link->next)
    if (((DbSlot *) link->data)->thread == thread)
      return TRUE;
  return FALSE;
}

void
db_pool_core_report_deadlock_locked (DbPoolCore *self, DbPoolEffects *fx)
{
  if (self->deadlocked)
    return;
  self->deadlocked = TRUE;
  self->stats.deadlocks++;
  fx->deadlock = TRUE;
}

/* The newest of those who hold one has to let go: failing anybody else helps nobody. */
static void
fail_newest_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  for (GList *link = self->queue.tail; link != NULL; link = link->prev)
    {
      DbTicket *ticket = link->data;

      if (!holds_any_locked (self, ticket->thread))
        continue;
      db_pool_core_dequeue_locked (self, ticket);
      db_pool_core_fail_locked (self, ticket, DB_REFUSAL_DEADLOCK, now);
      db_pool_core_announce_locked (ticket, fx);
      return;
    }
}

/* A thread may have handed its connection to another one, which returns it in a moment: so a
 * deadlock is reported when it has lasted, unless the user says that threads do no such thing. */
static void
watch_for_deadlock_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  if (self->queue.length == 0 || !db_pool_core_is_deadlocked_locked (self))
    {
      if (self->deadlock_since != 0)
        self->deadlock_since = 0;
      return;
    }
  if (self->deadlock_since == 0)
    self->deadlock_since = now;
  if (self->settings.fail_on_deadlock || now - self->deadlock_since >= DB_DEADLOCK_PATIENCE)
    db_pool_core_report_deadlock_locked (self, fx);
  else
    db_pool_core_arm_locked (self, self->deadlock_since + DB_DEADLOCK_PATIENCE, fx);
  if (self->settings.fail_on_deadlock)
    fail_newest_locked (self, now, fx);
}

/* Nobody waits, and no session is missing. */
static gboolean
is_balanced_locked (DbPoolCore *self)
{
  return self->queue.length == 0 && self->units.length == 0 && self->probes.length == 0 &&
         self->n_fills == 0 && !self->wanted && self->deadlock_since == 0 &&
         self->stats.idle + self->stats.lent >= self->settings.min_connections + self->n_retiring;
}

/* The one place that decides what happens next; called at the end of everything that changed
 * something. */
void
db_pool_core_rebalance_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  if (self->closed || self->suspended || is_balanced_locked (self))
    return;
  if (self->units.length > 0)
    serve_units_locked (self, FALSE, now, fx);
  if (self->queue.length > 0)
    {
      do
        serve_locked (self, now, fx);
      while (check_stale_locked (self, now, fx));
      if (self->queue.length > 0 && self->stats.checking + self->stats.resetting > self->n_slow)
        db_pool_core_arm_locked (self, now + DB_PATIENCE, fx);
    }
  if (self->probes.length > 0)
    db_pool_core_serve_probes_locked (self, now, fx);
  open_missing_locked (self, now, fx);
  /* By now they may have become the first. */
  if (self->units.length > 0)
    serve_units_locked (self, TRUE, now, fx);
  watch_for_deadlock_locked (self, now, fx);
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
  return db_later (oldest->idle_since, settings->idle_timeout);
}

/* Up to a tenth early, so that sessions that were opened together are not checked together. Not of
 * a suspect one, whose check does not wait for that. */
gint64
db_pool_core_choose_check_locked (DbPoolCore *self, DbSlot *slot)
{
  gint64 keepalive = self->settings.keepalive;

  if (keepalive <= 0 || keepalive == G_MAXINT64)
    return G_MAXINT64;
  return db_later (slot->proven_at,
                   keepalive - (gint64) (keepalive * 0.1 * db_pool_core_random_locked (self)));
}

void
db_pool_core_make_idle_locked (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  GList *link = self->idle.head;

  while (link != NULL && ((DbSlot *) link->data)->idle_since > slot->idle_since)
    link = link->next;
  db_pool_core_set_state_locked (self, slot, DB_SLOT_IDLE, now, fx);
  link_before (&self->idle, link, &slot->link);
  slot->check_at = slot->suspect ? now : db_pool_core_choose_check_locked (self, slot);
  db_pool_core_arm_locked (self, MIN (slot->expires, slot->check_at), fx);
  db_pool_core_arm_locked (self, db_pool_core_idle_due_locked (self), fx);
}

void
db_pool_core_deliver_locked (DbPoolCore *self,
                             DbSlot *slot,
                             gboolean past_gate,
                             gint64 now,
                             DbPoolEffects *fx)
{
  gboolean works = slot->proven_at == now ? !slot->suspect : !is_unproven_locked (self, slot, now);
  DbDropReason reason;

  if (db_pool_core_is_over_locked (self, slot, now, &reason))
    db_pool_core_close_locked (self, slot, reason, now, fx);
  else if (self->queue.head != NULL && !self->suspended && works && (past_gate || !self->gated) &&
           (!units_come_first_locked (self) || self->stats.closing >= self->units.length))
    grant_locked (self, self->queue.head->data, slot, now, fx);
  else
    db_pool_core_make_idle_locked (self, slot, now, fx);
}
