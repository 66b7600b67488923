/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the core asks for, done with threads and sessions; see the private header. Acquiring, which
 * has a blocking and an asynchronous form, is in db-pool-acquire.c. */

#include "config.h"

#include "db-error-private.h"
#include "db-pool-config-private.h"
#include "db-pool-engine-private.h"
#include "db-session-private.h"

/* How long a close waits, past its deadline, for sessions that are being closed already. */
#define CLOSE_GRACE (3 * G_TIME_SPAN_SECOND)

/* The timer. */

static void
timer_cb (gpointer data)
{
  DbEngine *self = data;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_tick (self->core, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
}

static void
arm_timer (DbEngine *self)
{
  DB_LOCK_SCOPE (&self->timer_lock);

  if (self->timer != NULL)
    db_timer_set (self->timer, db_pool_core_get_timer (self->core));
}

DbEngine *
db_engine_new (DbConnectionManager *manager, DbPoolConfig *config, const char *name)
{
  DbEngine *self = g_new0 (DbEngine, 1);
  DbPoolSettings settings;

  db_pool_config_get_settings (config, &settings);
  self->ref_count = 1;
  g_set_object (&self->manager, manager);
  self->config = g_object_ref (config);
  self->name = g_strdup (name);
  self->connection_timeout = settings.connection_timeout;
  self->reset_level = settings.reset_level;
  self->fork_generation = db_fork_generation ();
  self->cancellable = g_cancellable_new ();
  self->core = db_pool_core_new (&settings, g_random_int ());
  self->dispatchers = db_dispatcher_set_new (db_engine_deliver_cb, self);
  db_lock_init (&self->lock);
  db_cond_init (&self->changed);
  db_lock_init (&self->timer_lock);
  self->timer = db_timer_new (timer_cb, db_engine_ref (self), (GDestroyNotify) db_engine_unref);
  return self;
}

DbEngine *
db_engine_ref (DbEngine *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
db_engine_unref (DbEngine *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  DB_TSAN_ACQUIRE (&self->lock);
  g_assert (self->timer == NULL);
  db_dispatcher_set_free (self->dispatchers);
  db_pool_core_free (self->core);
  g_object_unref (self->cancellable);
  g_clear_object (&self->manager);
  g_object_unref (self->config);
  g_free (self->name);
  db_cond_clear (&self->changed);
  db_lock_clear (&self->lock);
  db_lock_clear (&self->timer_lock);
  g_free (self);
}

gboolean
db_engine_is_forked (DbEngine *self)
{
  return self->fork_generation != db_fork_generation ();
}

const char *
db_engine_get_name (DbEngine *self)
{
  return self->name;
}

void
db_engine_configure (DbEngine *self)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbPoolSettings settings;

  if (db_engine_is_forked (self))
    return;
  db_pool_config_get_settings (self->config, &settings);
  db_lock_lock (&self->lock);
  self->connection_timeout = settings.connection_timeout;
  db_lock_unlock (&self->lock);
  g_atomic_int_set (&self->reset_level, settings.reset_level);
  db_pool_core_configure (self->core, &settings, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
}

/* Jobs: one for each effect on a slot, on a thread of dbpool's. */

typedef struct
{
  DbEngine *engine;
  DbSlot *slot;
} DbSlotJob;

/* On the worker. The lease's lock is held across the core's call, so that the slot cannot go away.
 */
static void
hung_up_cb (gpointer data)
{
  DbLease *lease = data;
  DbEngine *self = lease->engine;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_lock_lock (&lease->lock);
  if (lease->slot != NULL)
    db_pool_core_hung_up (self->core, lease->slot, g_get_monotonic_time (), &fx);
  db_lock_unlock (&lease->lock);
  db_engine_run_effects (self, &fx);
}

static DbLease *
make_lease (DbEngine *self, DbSession *session, DbSlot *slot)
{
  DbLease *lease = db_lease_new (self, session, slot);
  int fd = db_session_get_fd (session);

  if (fd >= 0)
    lease->watch =
      db_watch_new (fd, hung_up_cb, db_lease_ref (lease), (GDestroyNotify) db_lease_unref);
  return lease;
}

static void
open_job (gpointer data)
{
  g_autofree DbSlotJob *job = data;
  DbEngine *self = job->engine;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  g_autoptr (GError) error = NULL;
  g_autoptr (DbSession) session = NULL;

  if (self->manager != NULL)
    session = db_connection_manager_open_session (self->manager, self->cancellable, &error);
  else
    g_set_error (&error, DB_ERROR, DB_ERROR_CONFIGURATION, "pool %s has no manager", self->name);

  if (session != NULL)
    {
      job->slot->data = make_lease (self, session, job->slot);
      db_pool_core_opened (self->core, job->slot, g_get_monotonic_time (), &fx);
    }
  else
    db_pool_core_open_failed (self->core, job->slot, error, db_error_is_permanent_for_open (error),
                              g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  db_engine_unref (self);
}

static void
check_job (gpointer data)
{
  g_autofree DbSlotJob *job = data;
  DbEngine *self = job->engine;
  DbLease *lease = job->slot->data;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  g_autoptr (GError) error = NULL;
  gboolean works =
    db_connection_manager_check_session (self->manager, lease->session, self->cancellable, &error);

  if (!works)
    g_debug ("pool %s: a session failed its check: %s", self->name, error->message);
  db_pool_core_checked (self->core, job->slot, works, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  db_engine_unref (self);
}

static void
reset_job (gpointer data)
{
  g_autofree DbSlotJob *job = data;
  DbEngine *self = job->engine;
  DbLease *lease = job->slot->data;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  g_autoptr (GError) error = NULL;
  gboolean works;

  works = db_connection_manager_reset_session (self->manager, lease->session,
                                               g_atomic_int_get (&self->reset_level), NULL, &error);
  /* Trust the protocol, not the manager: who comes next must not find a transaction. */
  works = works && db_session_get_state (lease->session) == DB_SESSION_IDLE;
  if (works)
    db_session_clear_dirty (lease->session);
  else
    g_debug ("pool %s: a session could not be reset: %s", self->name,
             error != NULL ? error->message : "it is still in a transaction");
  db_pool_core_reset_done (self->core, job->slot, works, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  db_engine_unref (self);
}

static void
close_job (gpointer data)
{
  g_autofree DbSlotJob *job = data;
  DbEngine *self = job->engine;
  DbLease *lease = job->slot->data;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  g_clear_pointer (&lease->watch, db_watch_free);
  db_connection_manager_close_session (self->manager, lease->session);
  db_lock_lock (&lease->lock);
  lease->slot = NULL;
  db_lock_unlock (&lease->lock);
  db_lease_unref (lease);
  db_pool_core_closed (self->core, job->slot, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  db_engine_unref (self);
}

static void
run_jobs (DbEngine *self, DbSlot *slot, DbJobFunc func)
{
  while (slot != NULL)
    {
      DbSlotJob *job = g_new0 (DbSlotJob, 1);
      DbSlot *next = slot->next;

      slot->next = NULL;
      job->engine = db_engine_ref (self);
      job->slot = slot;
      db_worker_run (func, job);
      slot = next;
    }
}

void
db_engine_run_effects (DbEngine *self, DbPoolEffects *fx)
{
  DbTicket *ticket = fx->decided;

  if (fx->wake != NULL)
    db_engine_announce (fx->wake);
  while (ticket != NULL)
    {
      DbTicket *next = ticket->next;

      ticket->next = NULL;
      db_engine_announce (ticket);
      ticket = next;
    }
  run_jobs (self, fx->open, open_job);
  run_jobs (self, fx->check, check_job);
  run_jobs (self, fx->reset, reset_job);
  run_jobs (self, fx->close, close_job);
  if (fx->timer)
    arm_timer (self);
  if (g_atomic_int_get (&self->closing))
    {
      db_lock_lock (&self->lock);
      db_cond_broadcast (&self->changed);
      db_lock_unlock (&self->lock);
    }
}

/* Loans that end. */

static DbOutcome
judge (DbEngine *self, DbSession *session)
{
  switch (db_session_get_state (session))
    {
    case DB_SESSION_IDLE:
      break;
    case DB_SESSION_IN_TRANSACTION:
    case DB_SESSION_FAILED_TRANSACTION:
      return DB_OUTCOME_DIRTY;
    case DB_SESSION_BUSY:
    case DB_SESSION_BROKEN:
    default:
      return DB_OUTCOME_BROKEN;
    }
  switch (g_atomic_int_get (&self->reset_level))
    {
    case DB_RESET_CLEAN:
      return DB_OUTCOME_DIRTY;
    case DB_RESET_DIRTY:
      return db_session_is_dirty (session) ? DB_OUTCOME_DIRTY : DB_OUTCOME_CLEAN;
    case DB_RESET_NONE:
    default:
      return DB_OUTCOME_CLEAN;
    }
}

void
db_engine_give_back (DbEngine *self, DbLease *lease)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  if (db_engine_is_forked (self))
    return;
  db_pool_core_give_back (self->core, lease->slot, judge (self, lease->session),
                          g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
}

/* The end. */

void
db_engine_shut_down (DbEngine *self)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbTimer *timer;

  if (db_engine_is_forked (self))
    return;
  g_atomic_int_set (&self->closing, TRUE);
  db_pool_core_close (self->core, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  g_cancellable_cancel (self->cancellable);

  db_lock_lock (&self->timer_lock);
  timer = g_steal_pointer (&self->timer);
  db_lock_unlock (&self->timer_lock);
  if (timer != NULL)
    db_timer_free (timer);
}

gboolean
db_engine_is_closed (DbEngine *self)
{
  return db_engine_is_forked (self) || db_pool_core_is_closed (self->core);
}

static void
add_lease_cb (DbSlot *slot, gpointer data)
{
  g_ptr_array_add (data, db_lease_ref (slot->data));
}

/* Ends every loan that is out, and says which they were. */
static char *
end_loans (DbEngine *self, guint *n_loans)
{
  g_autoptr (GPtrArray) leases = g_ptr_array_new_with_free_func ((GDestroyNotify) db_lease_unref);
  GString *text = g_string_new (NULL);
  gint64 now = g_get_monotonic_time ();

  db_pool_core_foreach_lent (self->core, add_lease_cb, leases);
  for (guint i = 0; i < leases->len; i++)
    {
      DbLease *lease = g_ptr_array_index (leases, i);
      g_autofree char *holder = db_lease_describe (lease, now);

      g_string_append_printf (text, "%s%s", i > 0 ? "; " : "", holder);
      db_lease_revoke (lease);
    }
  *n_loans = leases->len;
  return g_string_free (text, FALSE);
}

/* Waits until nothing is out, or, with @closing, until nothing is left at all. */
static gboolean
wait_for_sessions (DbEngine *self, gboolean closing, gint64 deadline, GCancellable *cancellable)
{
  gboolean in_time = TRUE;

  db_lock_lock (&self->lock);
  while (!g_cancellable_is_cancelled (cancellable))
    {
      DbPoolStats stats;

      db_pool_core_get_stats (self->core, &stats);
      if (stats.lent + stats.opening + stats.checking + stats.resetting == 0 &&
          (!closing || stats.closing == 0))
        break;
      if (!in_time)
        {
          db_lock_unlock (&self->lock);
          return FALSE;
        }
      in_time = db_cond_wait_until (&self->changed, &self->lock, deadline);
    }
  db_lock_unlock (&self->lock);
  return TRUE;
}

static void
closer_cancelled_cb (GCancellable *cancellable, DbEngine *self)
{
  DB_LOCK_SCOPE (&self->lock);

  db_cond_broadcast (&self->changed);
}

gboolean
db_engine_close (DbEngine *self, gint64 timeout, GCancellable *cancellable, GError **error)
{
  gint64 now = g_get_monotonic_time ();
  gint64 deadline = timeout > G_MAXINT64 - now ? G_MAXINT64 : now + timeout;
  g_autofree char *holders = NULL;
  guint n_loans = 0;
  gulong handler = 0;
  gboolean drained;

  if (db_engine_is_forked (self))
    {
      db_engine_set_forked_error (self, error);
      return FALSE;
    }
  db_engine_shut_down (self);
  if (cancellable != NULL)
    handler = g_cancellable_connect (cancellable, G_CALLBACK (closer_cancelled_cb),
                                     db_engine_ref (self), (GDestroyNotify) db_engine_unref);
  drained = wait_for_sessions (self, FALSE, deadline, cancellable);
  if (!drained)
    holders = end_loans (self, &n_loans);
  wait_for_sessions (self, TRUE, MAX (deadline, g_get_monotonic_time () + CLOSE_GRACE),
                     cancellable);
  if (handler != 0)
    g_signal_handler_disconnect (cancellable, handler);

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (drained)
    return TRUE;
  if (n_loans == 0)
    {
      g_free (holders);
      holders = g_strdup ("none is lent, but some are still being opened or reset");
    }
  g_set_error (error, DB_ERROR, DB_ERROR_TIMEOUT,
               "pool %s is closed, but not all of its connections were back after %.1f s; "
               "%u loans were ended (%s)",
               self->name, timeout / (double) G_TIME_SPAN_SECOND, n_loans, holders);
  return FALSE;
}

DbPoolStats *
db_engine_get_stats (DbEngine *self)
{
  DbPoolStats *stats = g_new0 (DbPoolStats, 1);

  if (!db_engine_is_forked (self))
    db_pool_core_get_stats (self->core, stats);
  return stats;
}
