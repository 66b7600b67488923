/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The state machine of a pool; its words, states and invariant stand in the private header.
 *
 * The lock is held from the first line of a public function to its last, and never while anything
 * outside this file runs (but for the callback of foreach_lent). Functions that end in _locked need
 * it. All lists are intrusive, so lending and returning allocate nothing. */

#include "config.h"

#include "db-deadline-heap-private.h"
#include "db-lock-private.h"
#include "db-pool-core-private.h"

/* Back-off of failed opens: doubling, with full jitter ("Exponential Backoff And Jitter", AWS
 * Architecture Blog, 2015). */
#define BACK_OFF_FIRST (50 * G_TIME_SPAN_MILLISECOND)
#define BACK_OFF_LAST (10 * G_TIME_SPAN_SECOND)
#define MAX_CONCURRENT_OPENS 3

struct _DbPoolCore
{
  DbLock lock;

  /* all of the rest: lock */
  DbPoolSettings settings;
  GRand *random;
  GQueue slots;             /* of DbSlot.all_link */
  GQueue idle;              /* of DbSlot.idle_link; the head came back last */
  GQueue queue;             /* of DbTicket.link; the head came first; each a reference */
  DbDeadlineHeap deadlines; /* asynchronous tickets, PENDING or GRANTED */
  gboolean started;         /* somebody wanted a session: min-connections holds from now on */
  gboolean closed;
  gboolean wanted;  /* a try found nothing: open one for the next */
  guint generation; /* slots of an older one are closed when they come back */
  guint failures;   /* opens that failed since the last that worked, rounds counted once */
  gint64 failed_at;
  gint64 retry_at;          /* no open before; 0: at once */
  gboolean failed_for_good; /* the last failure was permanent */
  GError *open_error;       /* of the last open if it failed */
  gint64 timer;             /* what the caller was last asked for; G_MAXINT64: nothing */
  DbPoolStats stats;
};

/* Gauges: the one place where a slot changes its state. */

static guint *
gauge_locked (DbPoolCore *self, DbSlotState state)
{
  switch (state)
    {
    case DB_SLOT_OPENING:
      return &self->stats.opening;
    case DB_SLOT_IDLE:
      return &self->stats.idle;
    case DB_SLOT_CHECKING:
      return &self->stats.checking;
    case DB_SLOT_LENT:
      return &self->stats.lent;
    case DB_SLOT_RESETTING:
      return &self->stats.resetting;
    case DB_SLOT_CLOSING:
      return &self->stats.closing;
    default:
      g_assert_not_reached ();
    }
}

static void
set_state_locked (DbPoolCore *self, DbSlot *slot, DbSlotState state)
{
  if (slot->state == DB_SLOT_IDLE && state != DB_SLOT_IDLE)
    g_queue_unlink (&self->idle, &slot->idle_link);
  --*gauge_locked (self, slot->state);
  slot->state = state;
  ++*gauge_locked (self, state);
}

static guint
n_sessions_locked (DbPoolCore *self)
{
  return self->stats.idle + self->stats.lent + self->stats.checking + self->stats.resetting;
}

/* Sessions that will be there without anybody returning one. */
static guint
n_coming_locked (DbPoolCore *self)
{
  return self->stats.opening + self->stats.checking + self->stats.resetting;
}

static void
arm_locked (DbPoolCore *self, gint64 when, DbPoolEffects *fx)
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

static void
close_locked (DbPoolCore *self, DbSlot *slot, DbDropReason reason, DbPoolEffects *fx)
{
  set_state_locked (self, slot, DB_SLOT_CLOSING);
  slot->drop_reason = reason;
  self->stats.dropped[reason]++;
  slot->next = fx->close;
  fx->close = slot;
}

static void
doom_locked (DbSlot *slot, DbDropReason reason)
{
  if (slot->doomed)
    return;
  slot->doomed = TRUE;
  slot->drop_reason = reason;
}

static void
free_slot_locked (DbPoolCore *self, DbSlot *slot, DbPoolEffects *fx)
{
  --*gauge_locked (self, slot->state);
  g_queue_unlink (&self->slots, &slot->all_link);
  g_free (slot);
  if (self->closed && self->slots.length == 0)
    fx->drained = TRUE;
}

/* Whether a session that is at hand must not be lent any more, and why. */
static gboolean
is_over_locked (DbPoolCore *self, DbSlot *slot, gint64 now, DbDropReason *reason)
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

static gboolean
is_stale_locked (DbPoolCore *self, DbSlot *slot, gint64 now)
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
      if (!is_over_locked (self, link->data, now, &reason))
        return link->data;
      close_locked (self, link->data, reason, fx);
    }
}

/* The idle session to be lent next, or NULL. */
static DbSlot *
next_idle_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  return idle_at_locked (self, self->settings.idle_order == DB_IDLE_ORDER_LIFO, now, fx);
}

/* The same, but only one that need not be checked first. If there is any, the newest is one. */
static DbSlot *
fresh_idle_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  DbSlot *slot = next_idle_locked (self, now, fx);

  if (slot != NULL && is_stale_locked (self, slot, now))
    slot = idle_at_locked (self, TRUE, now, fx);
  return slot != NULL && !is_stale_locked (self, slot, now) ? slot : NULL;
}

static void
lend_locked (DbPoolCore *self, DbSlot *slot, gint64 now)
{
  set_state_locked (self, slot, DB_SLOT_LENT);
  slot->lent_at = now;
  slot->uses++;
}

/* Tickets. */

/* Takes a PENDING ticket out of the queue; its reference passes to the caller. */
static void
dequeue_locked (DbPoolCore *self, DbTicket *ticket)
{
  g_queue_unlink (&self->queue, &ticket->link);
  self->stats.waiting--;
}

static void
announce_locked (DbTicket *ticket, DbPoolEffects *fx)
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
  dequeue_locked (self, ticket);
  lend_locked (self, slot, now);
  ticket->state = DB_TICKET_GRANTED;
  ticket->slot = slot;
  ticket->decided = now;
  self->stats.undelivered++;
  announce_locked (ticket, fx);
}

static void
fail_locked (DbPoolCore *self, DbTicket *ticket, DbRefusal refusal, gint64 now)
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

static void
fail_all_locked (DbPoolCore *self, DbRefusal refusal, gint64 now, DbPoolEffects *fx)
{
  GList *link;

  while ((link = self->queue.head) != NULL)
    {
      DbTicket *ticket = link->data;

      dequeue_locked (self, ticket);
      fail_locked (self, ticket, refusal, now);
      announce_locked (ticket, fx);
    }
}

static void
taken_locked (DbPoolCore *self, DbTicket *ticket, gint64 now)
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

static gboolean
handed_directly_locked (DbPoolCore *self, DbTicket *ticket, gint64 now)
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
      DbSlot *slot = fresh_idle_locked (self, now, fx);

      if (slot == NULL)
        return;
      if (handed_directly_locked (self, ticket, now))
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
  while (self->stats.waiting > n_coming_locked (self))
    {
      DbSlot *slot = next_idle_locked (self, now, fx);

      if (slot == NULL || !is_stale_locked (self, slot, now))
        return;
      set_state_locked (self, slot, DB_SLOT_CHECKING);
      slot->next = fx->check;
      fx->check = slot;
    }
}

/* How many sessions are missing: for tickets, for min-connections, for a try that found nothing. */
static guint
n_missing_locked (DbPoolCore *self)
{
  guint coming = n_coming_locked (self);
  guint there = n_sessions_locked (self) + self->stats.opening;
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
  return !(self->failed_for_good && n_sessions_locked (self) == 0 &&
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
        arm_locked (self, self->retry_at, fx);
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
static void
rebalance_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  if (self->closed)
    return;
  serve_locked (self, now, fx);
  check_stale_locked (self, now, fx);
  open_missing_locked (self, now, fx);
}

/* When the next idle session is due to be closed, as far as the two ends of the list say. */
static gint64
idle_due_locked (DbPoolCore *self)
{
  const DbPoolSettings *settings = &self->settings;
  DbSlot *oldest = self->idle.tail != NULL ? self->idle.tail->data : NULL;

  if (oldest == NULL || settings->idle_timeout <= 0 ||
      n_sessions_locked (self) <= settings->min_connections)
    return G_MAXINT64;
  return oldest->idle_since + settings->idle_timeout;
}

/* The idle list is ordered by when its sessions were last proven. Nearly always this one is the
 * newest; one that was granted, and whose owner did not want it any more, goes back to its place.
 */
static void
make_idle_locked (DbPoolCore *self, DbSlot *slot, DbPoolEffects *fx)
{
  GList *link = self->idle.head;

  while (link != NULL && ((DbSlot *) link->data)->proven_at > slot->proven_at)
    link = link->next;
  set_state_locked (self, slot, DB_SLOT_IDLE);
  slot->idle_since = slot->proven_at;
  g_queue_insert_before_link (&self->idle, link, &slot->idle_link);
  arm_locked (self, MIN (slot->expires, idle_due_locked (self)), fx);
}

/* A session that nobody else can snatch goes to the head of the queue, or becomes idle. */
static void
deliver_locked (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  DbDropReason reason;

  if (is_over_locked (self, slot, now, &reason))
    close_locked (self, slot, reason, fx);
  else if (self->queue.head != NULL)
    grant_locked (self, self->queue.head->data, slot, now, fx);
  else
    make_idle_locked (self, slot, fx);
}

/* Public functions. */

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
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);
  DbTicket *head = self->queue.head != NULL ? self->queue.head->data : NULL;
  DbSlot *slot = NULL;

  if (!self->closed && (head == NULL || !handed_directly_locked (self, head, now)))
    slot = fresh_idle_locked (self, now, fx);
  if (slot == NULL && any && !self->closed && head == NULL)
    slot = next_idle_locked (self, now, fx);
  if (slot != NULL)
    {
      *idle_for = now - slot->proven_at;
      lend_locked (self, slot, now);
      if (final)
        {
          self->stats.requests++;
          self->stats.acquired++;
        }
      if (head != NULL)
        rebalance_locked (self, now, fx);
      return slot;
    }
  return NULL;
}

void
db_pool_core_refuse (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  self->stats.requests++;
  self->stats.refused++;
  self->started = TRUE;
  self->wanted = TRUE;
  rebalance_locked (self, now, fx);
}

void
db_pool_core_reject (DbPoolCore *self, DbSlot *slot, gboolean final, gint64 now, DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  if (final)
    {
      self->stats.requests--;
      self->stats.acquired--;
    }
  close_locked (self, slot, DB_DROP_BROKEN, fx);
  rebalance_locked (self, now, fx);
}

DbTicketState
db_pool_core_acquire (DbPoolCore *self, DbTicket *ticket, gint64 now, DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  g_assert (ticket->state == DB_TICKET_NEW);
  self->stats.requests++;
  self->started = TRUE;
  ticket->enqueued = now;
  if (self->closed)
    {
      fail_locked (self, ticket, DB_REFUSAL_CLOSED, now);
      return ticket->state;
    }
  if (self->settings.max_waiters > 0 && self->stats.waiting >= self->settings.max_waiters)
    {
      fail_locked (self, ticket, DB_REFUSAL_QUEUE_FULL, now);
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
      arm_locked (self, ticket->deadline, fx);
    }
  rebalance_locked (self, now, fx);
  return ticket->state;
}

void
db_pool_core_bind (DbPoolCore *self, DbTicket *ticket, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

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
      arm_locked (self, ticket->deadline, fx);
    }
  db_ticket_ref (ticket);
  announce_locked (ticket, fx);
}

DbTicketState
db_pool_core_look (DbPoolCore *self,
                   DbTicket *ticket,
                   gboolean sleep,
                   gint64 now,
                   DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);
  DbSlot *slot;

  g_assert (ticket->blocking);
  if (ticket->state == DB_TICKET_PENDING && ticket->link.prev == NULL &&
      (slot = fresh_idle_locked (self, now, fx)) != NULL)
    {
      dequeue_locked (self, ticket);
      lend_locked (self, slot, now);
      ticket->slot = slot;
      ticket->decided = now;
      taken_locked (self, ticket, now);
      db_ticket_unref (ticket); /* the queue's; the thread has its own */
      rebalance_locked (self, now, fx);
    }
  else if (ticket->state == DB_TICKET_GRANTED)
    {
      self->stats.undelivered--;
      taken_locked (self, ticket, now);
    }
  else if (ticket->state == DB_TICKET_PENDING && sleep)
    ticket->awake = FALSE;
  return ticket->state;
}

DbTicketState
db_pool_core_take (DbPoolCore *self, DbTicket *ticket, gint64 now, DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  if (ticket->state == DB_TICKET_GRANTED)
    {
      self->stats.undelivered--;
      taken_locked (self, ticket, now);
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
      dequeue_locked (self, ticket);
      announce_locked (ticket, fx);
    }
  else if (ticket->state == DB_TICKET_GRANTED)
    {
      /* Its owner was told already, and will find that it ended otherwise. */
      DbSlot *slot = g_steal_pointer (&ticket->slot);

      self->stats.undelivered--;
      deliver_locked (self, slot, now, fx);
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
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

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
  rebalance_locked (self, now, fx);
  return TRUE;
}

void
db_pool_core_give_back (DbPoolCore *self,
                        DbSlot *slot,
                        DbOutcome outcome,
                        gint64 now,
                        DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);
  DbDropReason reason;

  g_assert (slot->state == DB_SLOT_LENT);
  self->stats.use_time += now - slot->lent_at;
  if (outcome == DB_OUTCOME_BROKEN)
    close_locked (self, slot, DB_DROP_BROKEN, fx);
  else if (is_over_locked (self, slot, now, &reason))
    close_locked (self, slot, reason, fx);
  else if (outcome == DB_OUTCOME_DIRTY)
    {
      set_state_locked (self, slot, DB_SLOT_RESETTING);
      slot->next = fx->reset;
      fx->reset = slot;
    }
  else
    {
      slot->proven_at = now;
      make_idle_locked (self, slot, fx);
    }
  rebalance_locked (self, now, fx);
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
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  g_assert (slot->state == DB_SLOT_OPENING);
  slot->expires = choose_expiry_locked (self, now);
  slot->proven_at = now;
  self->stats.created++;
  self->failures = 0;
  self->retry_at = 0;
  self->failed_for_good = FALSE;
  g_clear_error (&self->open_error);
  deliver_locked (self, slot, now, fx);
  rebalance_locked (self, now, fx);
}

/* Opens that were under way together count as one failure. */
static void
back_off_locked (DbPoolCore *self, DbSlot *slot, gint64 now)
{
  gint64 longest = BACK_OFF_FIRST;

  if (self->failures > 0 && slot->born < self->failed_at)
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
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  g_assert (slot->state == DB_SLOT_OPENING);
  self->stats.create_failed++;
  back_off_locked (self, slot, now);
  self->failed_for_good = permanent;
  g_clear_error (&self->open_error);
  self->open_error = g_error_copy (error);
  free_slot_locked (self, slot, fx);
  if (permanent && n_sessions_locked (self) == 0)
    fail_all_locked (self, DB_REFUSAL_OPEN_FAILED, now, fx);
  rebalance_locked (self, now, fx);
}

void
db_pool_core_checked (DbPoolCore *self, DbSlot *slot, gboolean works, gint64 now, DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  g_assert (slot->state == DB_SLOT_CHECKING);
  slot->proven_at = now;
  if (works)
    deliver_locked (self, slot, now, fx);
  else
    close_locked (self, slot, DB_DROP_INVALID, fx);
  rebalance_locked (self, now, fx);
}

void
db_pool_core_reset_done (DbPoolCore *self,
                         DbSlot *slot,
                         gboolean works,
                         gint64 now,
                         DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  g_assert (slot->state == DB_SLOT_RESETTING);
  slot->proven_at = now;
  if (works)
    deliver_locked (self, slot, now, fx);
  else
    close_locked (self, slot, DB_DROP_INVALID, fx);
  rebalance_locked (self, now, fx);
}

void
db_pool_core_closed (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  g_assert (slot->state == DB_SLOT_CLOSING);
  free_slot_locked (self, slot, fx);
  rebalance_locked (self, now, fx);
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
      if (is_over_locked (self, slot, now, &reason))
        close_locked (self, slot, reason, fx);
    }
  while (idle_due_locked (self) <= now)
    close_locked (self, self->idle.tail->data, DB_DROP_IDLE, fx);
}

/* Looks at every idle session, which only a tick or a change of the settings may. */
static void
rearm_locked (DbPoolCore *self, DbPoolEffects *fx)
{
  DbTicket *ticket = db_deadline_heap_peek (&self->deadlines);

  self->timer = G_MAXINT64;
  if (ticket != NULL)
    arm_locked (self, ticket->deadline, fx);
  arm_locked (self, idle_due_locked (self), fx);
  for (GList *link = self->idle.head; link != NULL; link = link->next)
    arm_locked (self, ((DbSlot *) link->data)->expires, fx);
}

void
db_pool_core_tick (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  expire_tickets_locked (self, now, fx);
  close_aged_locked (self, now, fx);
  rearm_locked (self, fx);
  rebalance_locked (self, now, fx);
}

void
db_pool_core_hung_up (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  if (slot->state == DB_SLOT_IDLE)
    close_locked (self, slot, DB_DROP_BROKEN, fx);
  else if (slot->state != DB_SLOT_CLOSING)
    doom_locked (slot, DB_DROP_BROKEN);
  rebalance_locked (self, now, fx);
}

void
db_pool_core_configure (DbPoolCore *self,
                        const DbPoolSettings *settings,
                        gint64 now,
                        DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  self->settings = *settings;
  close_aged_locked (self, now, fx);
  rearm_locked (self, fx);
  rebalance_locked (self, now, fx);
}

void
db_pool_core_evict (DbPoolCore *self, gboolean all, gint64 now, DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  while (self->idle.head != NULL)
    close_locked (self, self->idle.head->data, DB_DROP_EVICTED, fx);
  if (all)
    self->generation++;
  rebalance_locked (self, now, fx);
}

void
db_pool_core_close (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  if (self->closed)
    return;
  self->closed = TRUE;
  fail_all_locked (self, DB_REFUSAL_CLOSED, now, fx);
  while (self->idle.head != NULL)
    close_locked (self, self->idle.head->data, DB_DROP_CLOSED, fx);
  fx->drained = self->slots.length == 0;
}

gint64
db_pool_core_get_timer (DbPoolCore *self)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  return self->timer;
}

gboolean
db_pool_core_is_closed (DbPoolCore *self)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  return self->closed;
}

void
db_pool_core_foreach_lent (DbPoolCore *self,
                           void (*func) (DbSlot *slot, gpointer data),
                           gpointer data)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  for (GList *link = self->slots.head; link != NULL; link = link->next)
    if (((DbSlot *) link->data)->state == DB_SLOT_LENT)
      func (link->data, data);
}

void
db_pool_core_get_stats (DbPoolCore *self, DbPoolStats *stats)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  *stats = self->stats;
}

GError *
db_pool_core_dup_open_error (DbPoolCore *self)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  return self->open_error != NULL ? g_error_copy (self->open_error) : NULL;
}

void
db_pool_core_validate (DbPoolCore *self, gint64 now)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);
  const DbPoolStats *stats = &self->stats;
  DbTicket *head = self->queue.head != NULL ? self->queue.head->data : NULL;
  guint64 dropped = 0;
  guint states[DB_SLOT_CLOSING + 1] = {0};
  DbDropReason reason;
  gboolean helped;

  for (GList *link = self->slots.head; link != NULL; link = link->next)
    states[((DbSlot *) link->data)->state]++;
  for (guint i = 0; i <= DB_SLOT_CLOSING; i++)
    g_assert_cmpuint (states[i], ==, *gauge_locked (self, i));
  for (guint i = 0; i < DB_N_DROP_REASONS; i++)
    dropped += stats->dropped[i];

  g_assert_cmpuint (stats->idle, ==, self->idle.length);
  g_assert_cmpuint (stats->waiting, ==, self->queue.length);
  g_assert_cmpuint (stats->requests, ==,
                    stats->acquired + stats->timeouts + stats->cancelled + stats->errors +
                      stats->refused + stats->waiting + stats->undelivered);
  g_assert_cmpuint (stats->created - dropped, ==, n_sessions_locked (self));

  if (head == NULL)
    return;
  g_assert_false (self->closed);
  if (head->blocking && head->awake)
    return;
  /* Nobody is on the way to what is idle, so it must be of no use yet. */
  for (GList *link = self->idle.head; link != NULL; link = link->next)
    g_assert_true (is_over_locked (self, link->data, now, &reason) ||
                   is_stale_locked (self, link->data, now));
  helped = n_coming_locked (self) > 0 || self->slots.length >= self->settings.max_connections ||
           (self->retry_at > 0 && self->timer <= MAX (self->retry_at, now));
  g_assert_true (helped);
}
