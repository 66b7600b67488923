/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What only looks at the core, under its lock: statistics, snapshots, events, and the invariants.
 */

#include "config.h"

#include "db-pool-balance-private.h"

gboolean
db_pool_core_is_closed (DbPoolCore *self)
{
  if (db_pool_core_is_forked (self))
    return TRUE;
  DB_LOCK_SCOPE (&self->lock);

  return self->closed;
}

gboolean
db_pool_core_is_suspended (DbPoolCore *self)
{
  if (db_pool_core_is_forked (self))
    return FALSE;
  DB_LOCK_SCOPE (&self->lock);

  return self->suspended;
}

gboolean
db_pool_core_may_come_back (DbPoolCore *self)
{
  if (db_pool_core_is_forked (self))
    return FALSE;
  DB_LOCK_SCOPE (&self->lock);

  return self->loans.length > 0 && !self->suspended;
}

gboolean
db_pool_core_has_handed (DbPoolCore *self)
{
  return g_atomic_int_get (&self->n_handed) > 0;
}

void
db_pool_core_foreach (DbPoolCore *self, DbSlotFunc func, gpointer data)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  for (GList *link = self->slots.head; link != NULL; link = link->next)
    func (link->data, data);
}

void
db_pool_core_foreach_lent (DbPoolCore *self, guint n, DbSlotFunc func, gpointer data)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  for (GList *link = self->loans.head; link != NULL && n > 0; link = link->next, n--)
    func (link->data, data);
}

void
db_pool_core_take_leaks (DbPoolCore *self, gint64 now, DbSlotFunc func, gpointer data)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  for (GList *link = self->loans.head; link != NULL; link = link->next)
    {
      DbSlot *slot = link->data;

      if (slot->leak == DB_LEAK_NONE)
        return;
      if (slot->leak == DB_LEAK_DUE)
        func (slot, data);
      slot->leak = DB_LEAK_REPORTED;
    }
}

void
db_pool_core_get_info (DbPoolCore *self, DbPoolCoreInfo *info)
{
  *info = (DbPoolCoreInfo){0};
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  info->closed = self->closed;
  info->suspended = self->suspended;
  info->gated = self->gated;
  info->deadlocked = self->deadlocked;
  info->deadlock_since = self->deadlock_since;
  info->generation = self->generation;
  info->units_waiting = self->units.length;
  info->failures = self->failures;
  info->failed_at = self->failures > 0 ? self->failed_at : 0;
  info->retry_at = self->retry_at;
  info->max_connections = self->settings.max_connections;
  info->min_connections = db_pool_core_floor_locked (self);
  if (self->queue.head != NULL)
    info->oldest_wait = ((DbTicket *) self->queue.head->data)->enqueued;
}

void
db_pool_core_get_stats (DbPoolCore *self, DbPoolStats *stats)
{
  *stats = (DbPoolStats){0};
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  *stats = self->stats;
}

DbHistogram *
db_pool_core_get_histograms (DbPoolCore *self)
{
  return self->histograms;
}

void
db_pool_core_settle (DbPoolCore *self)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  db_pool_core_settle_locked (self);
}

GError *
db_pool_core_dup_open_error (DbPoolCore *self, gboolean *permanent)
{
  *permanent = FALSE;
  if (db_pool_core_is_forked (self))
    return NULL;
  DB_LOCK_SCOPE (&self->lock);

  *permanent = self->failed_for_good;
  return self->open_error != NULL ? g_error_copy (self->open_error) : NULL;
}

void
db_pool_core_set_observed (DbPoolCore *self, gboolean observed)
{
  g_atomic_int_add (&self->observed, observed ? 1 : -1);
}

gboolean
db_pool_core_is_observed (DbPoolCore *self)
{
  return g_atomic_int_get (&self->observed) > 0;
}

/* Events. */

void
db_pool_core_set_listen_func (DbPoolCore *self, DbListenFunc func, gpointer data)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  self->listens = func;
  self->listens_data = data;
}

void
db_pool_core_add_event (DbPoolCore *self,
                        DbEventType type,
                        gint64 value,
                        char *text,
                        const GError *error,
                        DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    {
      g_free (text);
      return;
    }
  DB_LOCK_SCOPE (&self->lock);

  db_pool_core_add_event_locked (self, type, value, text, error, fx);
}

GArray *
db_pool_core_take_events (DbPoolCore *self)
{
  GArray *fresh = db_pool_core_new_events ();
  GArray *events;

  if (db_pool_core_is_forked (self))
    return fresh;
  DB_LOCK_SCOPE (&self->lock);

  events = self->events;
  self->events = fresh;
  return events;
}

/* The invariants. */

static void
validate_counters_locked (DbPoolCore *self)
{
  const DbPoolStats *stats = &self->stats;
  guint states[DB_SLOT_DEDICATED + 1] = {0};
  guint64 dropped = 0;
  guint n_retiring = 0;
  guint n_slow = 0;

  for (GList *link = self->slots.head; link != NULL; link = link->next)
    {
      states[((DbSlot *) link->data)->state]++;
      n_retiring += ((DbSlot *) link->data)->retiring != FALSE;
      n_slow += ((DbSlot *) link->data)->slow != FALSE;
    }
  for (guint i = 0; i <= DB_SLOT_DEDICATED; i++)
    g_assert_cmpuint (states[i], ==, stats->in_state[i]);
  for (guint i = 0; i < DB_N_DROP_REASONS; i++)
    dropped += stats->dropped[i];

  g_assert_cmpuint (n_retiring, ==, self->n_retiring);
  g_assert_cmpuint (n_slow, ==, self->n_slow);
  g_assert_cmpuint (stats->idle, ==, self->idle.length);
  g_assert_cmpuint (stats->lent, ==, self->loans.length);
  g_assert_cmpuint (stats->waiting, ==, self->queue.length);
  g_assert_cmpuint (stats->requests, ==,
                    stats->acquired + stats->timeouts + stats->cancelled + stats->errors +
                      stats->refused + stats->waiting + stats->undelivered);
  g_assert_cmpint (self->n_handed, >=, 0);
  g_assert_cmpint (self->n_handed, <=, (int) stats->undelivered);
  g_assert_cmpuint (stats->created - dropped - stats->detached, ==,
                    db_pool_core_n_sessions_locked (self));
}

/* Histograms count what the counters count, whatever was taken back. Now and then: adding them up
 * takes longer than all the rest. */
static void
validate_histograms_locked (DbPoolCore *self)
{
  if (self->stats.requests % 16 != 0)
    return;
  g_assert_cmpuint (self->n_recent_uses, <, DB_N_RECENT_USES);
  g_assert_cmpuint (db_histogram_count (&self->histograms[DB_METRIC_WAIT]) +
                      self->n_recent_unwaited,
                    ==, self->stats.acquired);
  g_assert_cmpuint (db_histogram_count (&self->histograms[DB_METRIC_CREATE]), ==,
                    self->stats.created);
}

static void
validate_order_locked (DbPoolCore *self)
{
  for (GList *link = self->idle.head; link != NULL && link->next != NULL; link = link->next)
    g_assert_cmpint (((DbSlot *) link->data)->idle_since, >=,
                     ((DbSlot *) link->next->data)->idle_since);
}

/* Nobody is on the way to what is idle, so it must be of no use yet. */
static void
validate_idle_locked (DbPoolCore *self, gint64 now)
{
  for (guint i = 0; i < 2; i++)
    {
      GList *link = i == 0 ? self->idle.head : self->idle.tail;
      DbDropReason reason;

      if (link == NULL || (i == 1 && self->settings.idle_order == DB_IDLE_ORDER_LIFO))
        continue;
      g_assert_true (db_pool_core_is_over_locked (self, link->data, now, &reason) ||
                     db_pool_core_is_stale_locked (self, link->data, now));
    }
}

void
db_pool_core_validate (DbPoolCore *self, gint64 now)
{
  DB_LOCK_SCOPE (&self->lock);
  DbTicket *head = self->queue.head != NULL ? self->queue.head->data : NULL;
  gboolean helped;

  validate_counters_locked (self);
  validate_histograms_locked (self);
  validate_order_locked (self);
  g_assert_cmpuint (self->events->len, <=, DB_MAX_EVENTS);
  if (self->suspended)
    return;
  g_assert_true (self->units.head == NULL || self->slots.length >= self->settings.max_connections);
  if (head == NULL)
    return;
  g_assert_false (self->closed);
  if (head->blocking && head->awake)
    return;
  validate_idle_locked (self, now);
  /* Which session a hook has in its hands is not known here. */
  helped = db_pool_core_n_coming_locked (self) > 0 ||
           (self->n_in_hooks > 0 && self->stats.opening > 0) ||
           self->slots.length >= self->settings.max_connections ||
           (self->retry_at > 0 && self->timer <= MAX (self->retry_at, now));
  g_assert_true (helped);
}
