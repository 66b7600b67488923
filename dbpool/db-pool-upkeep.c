/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What happens to the core by and by: deadlines that pass, sessions that age, are kept alive, are
 * replaced or are out for too long; and what its owner does to it: settings, eviction, suspension,
 * warming up, the end. All of it under the core's lock, like db-pool-core.c. */

#include "config.h"

#include "db-pool-balance-private.h"

/* How many idle sessions are checked unasked at the same time, and when the next ones are. */
#define MAX_CONCURRENT_CHECKS 3
#define CHECK_STAGGER (20 * G_TIME_SPAN_MILLISECOND)

/* For how long before its end a session's replacement is opened: a share of the lifetime, but no
 * longer than an open may reasonably take. */
#define RETIRE_SHARE 20
#define RETIRE_LONGEST (10 * G_TIME_SPAN_SECOND)

static void
expire_tickets_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  DbTicket *ticket;

  while ((ticket = db_deadline_heap_peek (&self->deadlines)) != NULL && ticket->deadline <= now)
    db_pool_core_give_up_locked (self, ticket, DB_TICKET_TIMED_OUT, now, fx);
}

/* Each session gets its share of lifetime-jitter at birth, so that sessions that were opened
 * together do not expire together. */
void
db_pool_core_choose_end_locked (DbPoolCore *self, DbSlot *slot)
{
  gint64 lifetime = self->settings.max_lifetime;
  double jitter = self->settings.lifetime_jitter / 100.0 * slot->luck;

  slot->expires = G_MAXINT64;
  slot->retire_at = G_MAXINT64;
  if (lifetime > 0 && lifetime < G_MAXINT64)
    slot->expires = db_later (slot->opened_at, lifetime - (gint64) (lifetime * jitter));
  if (slot->expires < G_MAXINT64)
    slot->retire_at = slot->expires - MIN (lifetime / RETIRE_SHARE, RETIRE_LONGEST);
}

static void
close_over_locked (DbPoolCore *self, gboolean only_retiring, gint64 now, DbPoolEffects *fx)
{
  GList *link = self->idle.tail;

  while (link != NULL)
    {
      DbSlot *slot = link->data;
      DbDropReason reason;

      link = link->prev;
      if ((slot->retiring || !only_retiring) &&
          db_pool_core_is_over_locked (self, slot, now, &reason))
        db_pool_core_close_locked (self, slot, reason, now, fx);
    }
}

void
db_pool_core_close_replaced_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  if (self->n_retiring > 0)
    close_over_locked (self, TRUE, now, fx);
}

static void
close_aged_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  close_over_locked (self, FALSE, now, fx);
  while (db_pool_core_idle_due_locked (self) <= now)
    db_pool_core_close_locked (self, self->idle.tail->data, DB_DROP_IDLE, now, fx);
}

static void
check_due_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  GList *link = self->idle.head;

  while (link != NULL)
    {
      DbSlot *slot = link->data;

      link = link->next;
      if (slot->check_at > now)
        continue;
      if (self->stats.checking < MAX_CONCURRENT_CHECKS)
        db_pool_core_check_locked (self, slot, FALSE, now, fx);
      else
        slot->check_at = now + CHECK_STAGGER;
    }
}

/* Each session has its turn once: either it is needed, or the pool can do without it. */
static void
retire_due_locked (DbPoolCore *self, gint64 now)
{
  guint floor = db_pool_core_floor_locked (self);

  for (GList *link = self->slots.head; link != NULL; link = link->next)
    {
      DbSlot *slot = link->data;

      if (slot->retire_at > now || slot->state == DB_SLOT_CLOSING)
        continue;
      slot->retire_at = G_MAXINT64;
      if (floor == 0 || db_pool_core_n_sessions_locked (self) - self->n_retiring > floor)
        continue;
      slot->retiring = TRUE;
      self->n_retiring++;
    }
}

static void
find_leaks_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  gint64 limit = self->settings.leak_threshold;

  for (GList *link = self->loans.head; limit > 0 && link != NULL; link = link->next)
    {
      DbSlot *slot = link->data;

      if (now - slot->since < limit)
        return;
      if (slot->leak != DB_LEAK_NONE)
        continue;
      slot->leak = DB_LEAK_DUE;
      self->stats.leaks++;
      fx->leaks = TRUE;
    }
}

/* A check or a hook that takes its time must not hold up those for whom there is room. */
static void
find_slow_locked (DbPoolCore *self, gint64 now)
{
  for (GList *link = self->slots.head; link != NULL; link = link->next)
    {
      DbSlot *slot = link->data;

      if ((slot->state != DB_SLOT_CHECKING && slot->state != DB_SLOT_RESETTING) || slot->slow ||
          now - slot->since < DB_PATIENCE)
        continue;
      slot->slow = TRUE;
      self->n_slow++;
    }
}

static gint64
next_leak_locked (DbPoolCore *self)
{
  gint64 limit = self->settings.leak_threshold;

  for (GList *link = self->loans.head; limit > 0 && link != NULL; link = link->next)
    {
      DbSlot *slot = link->data;

      if (slot->leak == DB_LEAK_NONE)
        return db_later (slot->since, limit);
    }
  return G_MAXINT64;
}

/* Looks at every session, which only a tick or a change of the settings may. */
static void
rearm_locked (DbPoolCore *self, DbPoolEffects *fx)
{
  DbTicket *ticket = db_deadline_heap_peek (&self->deadlines);
  gboolean retires = db_pool_core_floor_locked (self) > 0;

  self->timer = G_MAXINT64;
  if (ticket != NULL)
    db_pool_core_arm_locked (self, ticket->deadline, fx);
  if (self->closed)
    return;
  db_pool_core_arm_locked (self, db_pool_core_idle_due_locked (self), fx);
  db_pool_core_arm_locked (self, next_leak_locked (self), fx);
  for (GList *link = self->slots.head; link != NULL; link = link->next)
    {
      DbSlot *slot = link->data;

      if (slot->state == DB_SLOT_IDLE)
        db_pool_core_arm_locked (self, MIN (slot->expires, slot->check_at), fx);
      else if (self->queue.length > 0 && !slot->slow &&
               (slot->state == DB_SLOT_CHECKING || slot->state == DB_SLOT_RESETTING))
        db_pool_core_arm_locked (self, slot->since + DB_PATIENCE, fx);
      if (retires && slot->state != DB_SLOT_CLOSING)
        db_pool_core_arm_locked (self, slot->retire_at, fx);
    }
}

static void
upkeep_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  close_aged_locked (self, now, fx);
  if (!self->closed)
    {
      check_due_locked (self, now, fx);
      retire_due_locked (self, now);
      find_leaks_locked (self, now, fx);
      find_slow_locked (self, now);
    }
  rearm_locked (self, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_tick (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  expire_tickets_locked (self, now, fx);
  upkeep_locked (self, now, fx);
}

gint64
db_pool_core_get_timer (DbPoolCore *self)
{
  if (db_pool_core_is_forked (self))
    return G_MAXINT64;
  DB_LOCK_SCOPE (&self->lock);

  return self->timer;
}

static void
doom_locked (DbPoolCore *self, DbSlot *slot, DbDropReason reason, gint64 now, DbPoolEffects *fx)
{
  if (slot->state == DB_SLOT_IDLE)
    db_pool_core_close_locked (self, slot, reason, now, fx);
  else if (slot->state != DB_SLOT_CLOSING && slot->state != DB_SLOT_DEDICATED && !slot->doomed)
    {
      slot->doomed = TRUE;
      slot->drop_reason = reason;
    }
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_doom (DbPoolCore *self,
                   DbSlot *slot,
                   DbDropReason reason,
                   gint64 now,
                   DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  doom_locked (self, slot, reason, now, fx);
}

void
db_pool_core_doom_by_id (DbPoolCore *self,
                         guint64 id,
                         DbDropReason reason,
                         gint64 now,
                         DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  for (GList *link = self->slots.head; link != NULL; link = link->next)
    {
      DbSlot *slot = link->data;

      if (slot->id != id)
        continue;
      doom_locked (self, slot, reason, now, fx);
      return;
    }
}

void
db_pool_core_suspect_idle (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  gint64 check_at = now;

  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  for (GList *link = self->idle.head; link != NULL; link = link->next)
    {
      DbSlot *slot = link->data;

      slot->suspect = TRUE;
      slot->check_at = check_at;
      check_at += CHECK_STAGGER;
    }
  if (self->idle.head != NULL)
    db_pool_core_arm_locked (self, now, fx);
}

/* Sessions that there are live as long as those that are opened from now on. */
static void
change_lifetime_locked (DbPoolCore *self)
{
  for (GList *link = self->slots.head; link != NULL; link = link->next)
    {
      DbSlot *slot = link->data;

      if (slot->opened_at == 0 || slot->state == DB_SLOT_CLOSING)
        continue;
      db_pool_core_stop_retiring_locked (self, slot);
      db_pool_core_choose_end_locked (self, slot);
    }
}

void
db_pool_core_configure (DbPoolCore *self,
                        const DbPoolSettings *settings,
                        gint64 now,
                        DbPoolEffects *fx)
{
  DbPoolSettings old;

  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  old = self->settings;
  self->settings = *settings;
  if (settings->max_lifetime != old.max_lifetime ||
      settings->lifetime_jitter != old.lifetime_jitter)
    change_lifetime_locked (self);
  for (GList *link = self->idle.head; link != NULL; link = link->next)
    if (settings->keepalive != old.keepalive && !((DbSlot *) link->data)->suspect)
      ((DbSlot *) link->data)->check_at = db_pool_core_choose_check_locked (self, link->data);
  upkeep_locked (self, now, fx);
}

/* Sessions that are out are closed when they come back, by their generation. */
void
db_pool_core_evict_locked (DbPoolCore *self, gboolean all, gint64 now, DbPoolEffects *fx)
{
  while (self->idle.head != NULL)
    db_pool_core_close_locked (self, self->idle.head->data, DB_DROP_EVICTED, now, fx);
  if (all)
    self->generation++;
}

void
db_pool_core_evict (DbPoolCore *self, gboolean all, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  db_pool_core_evict_locked (self, all, now, fx);
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_suspend (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  self->suspended = TRUE;
  db_pool_core_end_probes_locked (self, DB_PROBE_SUSPENDED, NULL, fx);
}

void
db_pool_core_resume (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  self->suspended = FALSE;
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_set_gated (DbPoolCore *self, gboolean gated)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  self->gated = gated;
}

/* A permanent failure of before is asked about once more. */
void
db_pool_core_begin_fill (DbPoolCore *self, guint n, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  self->started = TRUE;
  self->n_fills++;
  self->fill = MAX (self->fill, n);
  if (self->failed_for_good)
    self->retry_at = 0;
  db_pool_core_rebalance_locked (self, now, fx);
}

void
db_pool_core_end_fill (DbPoolCore *self)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  g_assert (self->n_fills > 0);
  if (--self->n_fills == 0)
    self->fill = 0;
}

void
db_pool_core_close (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  if (self->closed)
    return;
  self->closed = TRUE;
  db_pool_core_fail_all_locked (self, DB_REFUSAL_CLOSED, now, fx);
  db_pool_core_end_probes_locked (self, DB_PROBE_CLOSED, NULL, fx);
  while (self->idle.head != NULL)
    db_pool_core_close_locked (self, self->idle.head->data, DB_DROP_CLOSED, now, fx);
  fx->drained = self->slots.length == 0;
}
