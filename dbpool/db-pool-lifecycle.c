/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The calls that wait for many sessions: warming up, reconfiguring, closing. They watch: while
 * there are watchers, every run of effects wakes them, and they look at the core's numbers. */

#include "config.h"

#include "db-error.h"
#include "db-pool-config-private.h"
#include "db-pool-engine-private.h"
#include "db-pool-stats-private.h"

/* How long a close waits, past its deadline, for sessions that are being closed: so that a deadline
 * of 0 does not complain of idle ones, and that loans which were ended can be cleaned up. */
#define CLOSE_GRACE (100 * G_TIME_SPAN_MILLISECOND)

/* Watching. */

static void
watcher_cancelled_cb (GCancellable *cancellable, DbEngine *self)
{
  DB_LOCK_SCOPE (&self->lock);

  db_cond_broadcast (&self->changed);
}

static gulong
begin_watch (DbEngine *self, GCancellable *cancellable)
{
  g_atomic_int_inc (&self->n_watchers);
  if (cancellable == NULL)
    return 0;
  return g_cancellable_connect (cancellable, G_CALLBACK (watcher_cancelled_cb),
                                db_engine_ref (self), (GDestroyNotify) db_engine_unref);
}

static void
end_watch (DbEngine *self, GCancellable *cancellable, gulong handler)
{
  if (handler != 0)
    g_signal_handler_disconnect (cancellable, handler);
  g_atomic_int_add (&self->n_watchers, -1);
}

/* Waits until @is_over says so; FALSE if the deadline or a cancel came first. */
static gboolean
wait_until (DbEngine *self,
            gboolean (*is_over) (DbEngine *self, gpointer data),
            gpointer data,
            gint64 deadline,
            GCancellable *cancellable)
{
  gboolean in_time = TRUE;
  gboolean over;

  db_lock_lock (&self->lock);
  while (!(over = is_over (self, data)) && in_time && !g_cancellable_is_cancelled (cancellable))
    in_time = db_cond_wait_until (&self->changed, &self->lock, deadline);
  db_lock_unlock (&self->lock);
  return over;
}

/* Warming up. */

typedef struct
{
  guint n; /* so many are to be there */
  guint n_there;
  guint64 failed_before;
  GError *error; /* why it is in vain */
} DbWarmUp;

/* With the engine's lock. */
static gboolean
is_warm (DbEngine *self, gpointer data)
{
  DbWarmUp *warm_up = data;
  DbPoolSettings settings;
  DbPoolStats stats;
  gboolean permanent;

  db_pool_config_get_settings (self->config, &settings);
  db_pool_core_get_stats (self->core, &stats);
  warm_up->n_there = stats.idle + stats.lent + stats.checking + stats.resetting;
  if (warm_up->n_there >= MIN (warm_up->n, settings.max_connections))
    return TRUE;
  if (db_pool_core_is_closed (self->core))
    return TRUE;
  if (stats.create_failed == warm_up->failed_before)
    return FALSE;
  g_clear_error (&warm_up->error);
  warm_up->error = db_pool_core_dup_open_error (self->core, &permanent);
  return warm_up->error != NULL && permanent;
}

static GError *
warm_up_error (DbEngine *self, DbWarmUp *warm_up, GCancellable *cancellable)
{
  GError *error = NULL;

  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    return error;
  if (db_pool_core_is_closed (self->core))
    return db_engine_new_closed_error (self);
  if (db_pool_core_is_suspended (self->core))
    return g_error_new (DB_ERROR, DB_ERROR_SUSPENDED, "pool %s is suspended; resume it first",
                        self->name);
  if (warm_up->error != NULL)
    return g_steal_pointer (&warm_up->error);
  return g_error_new (DB_ERROR, DB_ERROR_TIMEOUT,
                      "pool %s could not open a session within its connection-timeout", self->name);
}

guint
db_engine_warm_up (DbEngine *self, guint n, GCancellable *cancellable, GError **error)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbWarmUp warm_up = {.n = n};
  gint64 now = g_get_monotonic_time ();
  DbPoolStats stats;
  gulong handler;

  if (db_engine_is_forked (self))
    {
      db_engine_set_forked_error (self, error);
      return 0;
    }
  g_atomic_int_set (&self->started, TRUE);
  handler = begin_watch (self, cancellable);
  db_pool_core_get_stats (self->core, &stats);
  warm_up.failed_before = stats.create_failed;
  db_pool_core_begin_fill (self->core, n, now, &fx);
  db_engine_run_effects (self, &fx);
  if (!db_pool_core_is_suspended (self->core))
    wait_until (self, is_warm, &warm_up, db_engine_get_deadline (self, -1, now), cancellable);
  else
    is_warm (self, &warm_up);
  db_pool_core_end_fill (self->core);
  end_watch (self, cancellable, handler);

  if ((n > 0 && warm_up.n_there == 0) || g_cancellable_is_cancelled (cancellable))
    {
      g_propagate_error (error, warm_up_error (self, &warm_up, cancellable));
      warm_up.n_there = 0;
    }
  g_clear_error (&warm_up.error);
  return warm_up.n_there;
}

/* Reconfiguring. Nothing of the pool changes before the first session of the new manager is there.
 */

gboolean
db_engine_reconfigure (DbEngine *self,
                       DbConnectionManager *manager,
                       GCancellable *cancellable,
                       GError **error)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbSlot *slot = db_engine_acquire_unit (self, cancellable, error);
  DbLease *lease;

  if (slot == NULL)
    return FALSE;
  lease = db_engine_open (self, manager, NULL, slot, cancellable, error);
  if (lease == NULL)
    {
      db_engine_release_unit (self, slot);
      return FALSE;
    }
  db_engine_watch (lease);
  slot->data = lease;
  /* First the manager, then the generation: whoever opens for the new one has the new manager. */
  db_lock_lock (&self->lock);
  g_ptr_array_add (self->managers, g_object_ref (manager));
  db_lock_unlock (&self->lock);
  db_pool_core_adopt (self->core, slot, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  db_log (DB_LOG_FACTS (DB_LOG_POOL_RECONFIGURED, .pool = self->name),
          "pool %s has another manager; sessions of the one before are closed when they come back",
          self->name);
  return TRUE;
}

/* Closing. */

void
db_engine_shut_down (DbEngine *self)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbTimer *timer;

  if (db_engine_is_forked (self))
    return;
  if (g_atomic_int_compare_and_exchange (&self->closing, FALSE, TRUE))
    db_log (DB_LOG_FACTS (DB_LOG_POOL_CLOSING, .pool = self->name), "pool %s is being closed",
            self->name);
  db_pool_core_close (self->core, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  g_cancellable_cancel (self->cancellable);

  db_lock_lock (&self->timer_lock);
  timer = g_steal_pointer (&self->timer);
  db_lock_unlock (&self->timer_lock);
  if (timer != NULL)
    db_timer_free (timer);
}

/* With the engine's lock: nothing is out. */
static gboolean
is_back (DbEngine *self, gpointer data)
{
  DbPoolStats stats;

  db_pool_core_get_stats (self->core, &stats);
  return stats.lent + stats.opening + stats.checking + stats.resetting + stats.dedicated == 0;
}

/* The same, and nothing is left at all, but for what others close. */
static gboolean
is_gone (DbEngine *self, gpointer data)
{
  DbPoolStats stats;

  db_pool_core_get_stats (self->core, &stats);
  return db_pool_stats_get_total (&stats) == stats.dedicated;
}

/* Ends every loan that is out, and says which they were. */
static char *
end_loans (DbEngine *self, guint *n_loans)
{
  g_autoptr (GPtrArray) leases = db_engine_dup_loans (self, G_MAXUINT);
  g_autofree char *holders = db_engine_describe_holders (self, G_MAXUINT, 0);
  DbPoolStats stats;
  GString *text = g_string_new (holders);

  db_pool_core_get_stats (self->core, &stats);
  for (guint i = 0; i < leases->len; i++)
    db_lease_revoke (g_ptr_array_index (leases, i));
  if (stats.dedicated > 0)
    g_string_append_printf (text, "%s%u dedicated, to be ended by close_session()",
                            text->len > 0 ? "; " : "", stats.dedicated);
  if (stats.opening + stats.checking + stats.resetting > 0)
    g_string_append_printf (text, "%s%u still being opened, checked or reset",
                            text->len > 0 ? "; " : "",
                            stats.opening + stats.checking + stats.resetting);
  *n_loans = leases->len;
  return g_string_free (text, FALSE);
}

static void
set_closing_error (DbEngine *self, gint64 timeout, GError **error)
{
  DbPoolStats stats;

  db_pool_core_get_stats (self->core, &stats);
  g_set_error (error, DB_ERROR, DB_ERROR_TIMEOUT,
               "pool %s is closed, but %u of its sessions are still being closed after %.1f s: the "
               "database does not let go of them",
               self->name, stats.closing, timeout / (double) G_TIME_SPAN_SECOND);
}

gboolean
db_engine_close (DbEngine *self, gint64 timeout, GCancellable *cancellable, GError **error)
{
  gint64 now = g_get_monotonic_time ();
  gint64 deadline = db_engine_get_deadline (self, timeout, now);
  g_autofree char *holders = NULL;
  guint n_loans = 0;
  gboolean back;
  gboolean gone;
  gulong handler;

  if (db_engine_is_forked (self))
    {
      db_engine_set_forked_error (self, error);
      return FALSE;
    }
  handler = begin_watch (self, cancellable);
  db_engine_shut_down (self);
  back = wait_until (self, is_back, NULL, deadline, cancellable);
  if (!back && !g_cancellable_is_cancelled (cancellable))
    holders = end_loans (self, &n_loans);
  gone = wait_until (self, is_gone, NULL, MAX (deadline, g_get_monotonic_time () + CLOSE_GRACE),
                     cancellable);
  end_watch (self, cancellable, handler);

  if (back && gone)
    db_log (DB_LOG_FACTS (DB_LOG_POOL_CLOSED, .pool = self->name,
                          .duration = MAX (g_get_monotonic_time () - now, 1)),
            "pool %s is closed", self->name);
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (!back)
    g_set_error (error, DB_ERROR, DB_ERROR_TIMEOUT,
                 "pool %s is closed, but not all of its connections were back after %.1f s; "
                 "loans that were ended: %u (%s)",
                 self->name, timeout / (double) G_TIME_SPAN_SECOND, n_loans, holders);
  else if (!gone)
    set_closing_error (self, timeout, error);
  return back && gone;
}
