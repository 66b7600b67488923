/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Probes at work; see the private header.
 *
 * Three parties have a probe: the core, until it has decided it for good and the job is over; the
 * timer; and for the time of its call whoever began it. Each has a reference. The lock protects the
 * result, and who comes first to end the probe. */

#include "config.h"

#include "db-health-probe-private.h"

#include "db-error.h"
#include "db-lock-private.h"

typedef struct
{
  DbProbe base; /* the core's lock */
  int ref_count;

  /* read-only after construction */
  DbEngine *engine;
  DbHealthFlags flags;
  GCancellable *cancellable; /* for the manager */
  DbProbeFunc func;
  gpointer data;
  GDestroyNotify data_unref;

  DbLock lock;
  DbTimer *timer;       /* lock; NULL once done */
  gboolean done;        /* lock */
  DbProbeResult result; /* lock, until done */
} DbHealthProbe;

static DbHealthProbe *
probe_ref (DbHealthProbe *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

static void
result_clear (DbProbeResult *result)
{
  g_clear_pointer (&result->facts, g_variant_unref);
  g_clear_error (&result->facts_error);
  g_clear_error (&result->error);
}

static void
probe_unref (gpointer data)
{
  DbHealthProbe *self = data;

  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  DB_TSAN_ACQUIRE (&self->lock);
  g_assert (self->done);
  result_clear (&self->result);
  g_clear_error (&self->base.error);
  g_object_unref (self->cancellable);
  db_engine_unref (self->engine);
  db_lock_clear (&self->lock);
  g_free (self);
}

/* Who comes first tells. */
static void
finish (DbHealthProbe *self, DbProbeState state, gboolean late)
{
  DbProbeResult result;
  DbTimer *timer;
  gboolean was_done;

  db_lock_lock (&self->lock);
  was_done = self->done;
  self->done = TRUE;
  timer = g_steal_pointer (&self->timer);
  if (!was_done)
    {
      result = self->result;
      self->result = (DbProbeResult){0};
    }
  db_lock_unlock (&self->lock);
  if (was_done)
    return;
  /* Its last run may be this one. */
  db_timer_free (timer);
  result.state = state;
  result.late = late;
  self->func (&result, self->data);
  self->data_unref (self->data);
  result_clear (&result);
}

static gboolean
is_done (DbHealthProbe *self)
{
  DB_LOCK_SCOPE (&self->lock);

  return self->done;
}

/* Asks the core for a session. If the deadline came while nobody was waiting for one, nobody is to
 * be. */
static void
begin (DbHealthProbe *self)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  probe_ref (self); /* the core's may go at any time */
  db_pool_core_probe (self->engine->core, &self->base, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self->engine, &fx);
  if (is_done (self) && db_pool_core_withdraw (self->engine->core, &self->base))
    probe_unref (self); /* the core's */
  probe_unref (self);
}

/* On the worker. */
static void
expired_cb (gpointer data)
{
  DbHealthProbe *self = data;
  gboolean withdrawn = db_pool_core_withdraw (self->engine->core, &self->base);

  finish (self, withdrawn ? DB_PROBE_GIVEN_UP : DB_PROBE_GRANTED, TRUE);
  g_cancellable_cancel (self->cancellable);
  /* Between the two it may have begun to wait for another session. */
  if (withdrawn || db_pool_core_withdraw (self->engine->core, &self->base))
    probe_unref (self); /* the core's */
}

/* Asking. */

static gboolean
ask (DbHealthProbe *self, DbLease *lease, GError **error)
{
  gint64 began = g_get_monotonic_time ();
  gint64 now;

  if (!db_connection_manager_check_session (lease->manager, lease->session, self->cancellable,
                                            error))
    return FALSE;
  now = g_get_monotonic_time ();
  if (db_session_get_state (lease->session) != DB_SESSION_IDLE)
    {
      g_set_error_literal (error, DB_ERROR, DB_ERROR_HEALTH_CHECK,
                           "the check left a session in a transaction");
      return FALSE;
    }
  db_pool_core_prove (self->engine->core, now);
  db_lock_lock (&self->lock);
  self->result.answered = TRUE;
  self->result.round_trip = now - began;
  db_lock_unlock (&self->lock);
  return TRUE;
}

/* What was not ready in time goes with the probe. A dirty session stays one. */
static void
ask_for_facts (DbHealthProbe *self, DbLease *lease)
{
  gboolean was_dirty = db_session_is_dirty (lease->session);
  GError *error = NULL;
  GVariant *facts = db_connection_manager_get_facts (lease->manager, lease->session, self->flags,
                                                     self->cancellable, &error);

  if (!was_dirty)
    db_session_clear_dirty (lease->session);
  DB_LOCK_SCOPE (&self->lock);
  self->result.facts = facts;
  self->result.facts_error = error;
}

/* Remembers why a session did not answer. TRUE: it is worth asking another one. */
static gboolean
note_failure (DbHealthProbe *self, gboolean was_new, GError *error)
{
  DB_LOCK_SCOPE (&self->lock);

  g_clear_error (&self->result.error);
  self->result.error = error;
  return !self->done && !was_new;
}

static void
put_back (DbHealthProbe *self, DbSlot *slot, gboolean works)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_checked (self->engine->core, slot, works ? DB_CHECK_WORKS : DB_CHECK_FAILED, FALSE,
                        NULL, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self->engine, &fx);
}

static void
pool_closes_cb (GCancellable *of_engine, GCancellable *cancellable)
{
  g_cancellable_cancel (cancellable);
}

/* On a thread of dbpool's, which has the session to itself. */
static void
probe_job (gpointer data)
{
  DbHealthProbe *self = data;
  DbSlot *slot = self->base.slot;
  DbLease *lease = slot->data;
  gboolean was_new = slot->born >= self->base.began;
  GError *error = NULL;
  gboolean answered;
  gulong handler;

  if (is_done (self)) /* nobody wants to know any more */
    {
      slot->suspect = TRUE;
      put_back (self, slot, TRUE);
      probe_unref (self); /* the core's */
      return;
    }
  /* Who closes the pool waits for the session. */
  handler = g_cancellable_connect (self->engine->cancellable, G_CALLBACK (pool_closes_cb),
                                   g_object_ref (self->cancellable), g_object_unref);
  answered = ask (self, lease, &error);
  if (answered)
    ask_for_facts (self, lease);
  if (handler != 0)
    g_signal_handler_disconnect (self->engine->cancellable, handler);
  put_back (self, slot, answered && db_session_get_state (lease->session) == DB_SESSION_IDLE);
  if (!answered && note_failure (self, was_new, error))
    {
      begin (self);
      return;
    }
  finish (self, DB_PROBE_GRANTED, FALSE);
  probe_unref (self); /* the core's */
}

/* Where effects are run: any thread, no lock. */
void
db_engine_probe_decided (DbEngine *engine, DbProbe *probe)
{
  DbHealthProbe *self = (DbHealthProbe *) probe;

  if (probe->state == DB_PROBE_GRANTED)
    {
      db_worker_run (probe_job, self);
      return;
    }
  if (probe->error != NULL)
    note_failure (self, TRUE, g_steal_pointer (&probe->error));
  finish (self, probe->state, FALSE);
  probe_unref (self); /* the core's */
}

void
db_engine_probe (DbEngine *engine,
                 DbHealthFlags flags,
                 gint64 deadline,
                 DbProbeFunc func,
                 gpointer data,
                 GDestroyNotify data_unref)
{
  DbHealthProbe *self = g_new0 (DbHealthProbe, 1);

  self->ref_count = 1;
  self->engine = db_engine_ref (engine);
  self->flags = flags;
  self->cancellable = g_cancellable_new ();
  self->func = func;
  self->data = data;
  self->data_unref = data_unref;
  self->result.round_trip = -1;
  db_lock_init (&self->lock);
  /* Under the lock: who ends the probe frees the timer. */
  db_lock_lock (&self->lock);
  self->timer = db_timer_new (expired_cb, probe_ref (self), probe_unref);
  db_timer_set (self->timer, deadline);
  db_lock_unlock (&self->lock);
  /* Hooks are fixed from now on: a session may be opened. */
  g_atomic_int_set (&engine->started, TRUE);
  begin (self);
}
