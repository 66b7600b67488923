/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The watch of a checker; see the private header. One source: its ready time is that of the next
 * check, none while one is under way, and at once when that has ended. The lock protects the report
 * on its way from whatever thread ended the check. */

#include "config.h"

#include "db-health-watch-private.h"

#include "db-lock-private.h"

struct _DbHealthWatch
{
  int ref_count;

  /* read-only after construction */
  GWeakRef checker;
  const DbHealthWatchFuncs *funcs;
  GSource *source;
  GMainContext *context; /* as long as the source is attached */
  guint fork_generation;

  DbLock lock;
  DbHealthReport *report; /* lock: not yet told of */
};

static void
watch_unref (gpointer data)
{
  DbHealthWatch *self = data;

  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  DB_TSAN_ACQUIRE (&self->lock);
  g_weak_ref_clear (&self->checker);
  g_clear_object (&self->report);
  g_source_unref (self->source);
  db_lock_clear (&self->lock);
  g_free (self);
}

static DbHealthWatch *
watch_ref (DbHealthWatch *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

/* On any thread. */
static void
run_done_cb (DbHealthReport *report, gpointer data)
{
  DbHealthWatch *self = data;

  db_lock_lock (&self->lock);
  g_set_object (&self->report, report);
  db_lock_unlock (&self->lock);
  g_source_set_ready_time (self->source, 0);
}

static DbHealthReport *
take_report (DbHealthWatch *self)
{
  DB_LOCK_SCOPE (&self->lock);

  return g_steal_pointer (&self->report);
}

/* Looks, or tells what was seen. FALSE: that was the end. */
static gboolean
step (DbHealthWatch *self, GObject *checker)
{
  g_autoptr (DbHealthReport) report = take_report (self);
  g_autoptr (DbHealthRun) run = NULL;
  gint64 pause;
  gint64 now;

  if (report == NULL)
    {
      run = self->funcs->begin (checker, &report);
      if (run != NULL)
        db_health_run_add_func (run, run_done_cb, watch_ref (self), watch_unref);
      if (run != NULL)
        return TRUE;
    }
  if (report == NULL)
    return FALSE;
  pause = self->funcs->done (checker, self, report);
  now = g_get_monotonic_time ();
  if (pause >= 0 && pause < G_MAXINT64 - now)
    g_source_set_ready_time (self->source, now + pause);
  return pause >= 0;
}

static gboolean
watch_cb (gpointer data)
{
  DbHealthWatch *self = watch_ref (data);
  GObject *checker = g_weak_ref_get (&self->checker);
  gboolean goes_on = FALSE;

  /* In a child of a fork the lock may be held by a thread that is not there. */
  if (checker != NULL && self->fork_generation == db_fork_generation ())
    {
      g_main_context_push_thread_default (self->context);
      goes_on = step (self, checker);
      g_main_context_pop_thread_default (self->context);
    }
  g_clear_object (&checker);
  watch_unref (self);
  return goes_on ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean
watch_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  g_source_set_ready_time (source, -1);
  return callback (data);
}

static GSourceFuncs watch_funcs = {NULL, NULL, watch_dispatch, NULL, NULL, NULL};

DbHealthWatch *
db_health_watch_new (GObject *checker, const DbHealthWatchFuncs *funcs)
{
  DbHealthWatch *self = g_new0 (DbHealthWatch, 1);
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();

  self->ref_count = 1;
  self->fork_generation = db_fork_generation ();
  db_lock_init (&self->lock);
  g_weak_ref_init (&self->checker, checker);
  self->funcs = funcs;
  self->context = context;
  self->source = g_source_new (&watch_funcs, sizeof (GSource));
  g_source_set_static_name (self->source, "[dbpool] health watch");
  g_source_set_callback (self->source, watch_cb, watch_ref (self), watch_unref);
  g_source_set_ready_time (self->source, 0);
  g_source_attach (self->source, context);
  return self;
}

void
db_health_watch_free (DbHealthWatch *self)
{
  g_source_destroy (self->source);
  watch_unref (self);
}
