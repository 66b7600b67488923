/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One-shot timers on the worker. */

#include "config.h"

#include "db-lock-private.h"
#include "db-worker-private.h"

/* A timer is a source on the worker's context. The source is made with the first db_timer_set(), so
 * that a pool that never needs a timer starts no thread. */

struct _DbTimer
{
  DbLock lock;
  GSource *source; /* lock */
  gboolean freed;  /* lock */
  int ref_count;   /* atomic: the owner, and each run of the function */
  void (*func) (gpointer data);
  gpointer data;
  GDestroyNotify data_unref;
};

static void
timer_unref (DbTimer *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  DB_TSAN_ACQUIRE (self); /* GLib ordered this after the last run */
  if (self->data_unref != NULL)
    self->data_unref (self->data);
  db_lock_clear (&self->lock);
  g_free (self);
}

static gboolean
timer_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  g_source_set_ready_time (source, -1);
  return callback (user_data);
}

static gboolean
timer_cb (gpointer data)
{
  DbTimer *self = data;
  gboolean freed;

  db_lock_lock (&self->lock);
  freed = self->freed;
  db_lock_unlock (&self->lock);
  if (!freed)
    self->func (self->data);
  DB_TSAN_RELEASE (self);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs timer_funcs = {NULL, NULL, timer_dispatch, NULL, NULL, NULL};

DbTimer *
db_timer_new (void (*func) (gpointer data), gpointer data, GDestroyNotify data_unref)
{
  DbTimer *self = g_new0 (DbTimer, 1);

  db_lock_init (&self->lock);
  self->ref_count = 1;
  self->func = func;
  self->data = data;
  self->data_unref = data_unref;
  db_worker_hold ();
  return self;
}

void
db_timer_set (DbTimer *self, gint64 when)
{
  DB_LOCK_SCOPE (&self->lock);

  if (self->freed || (self->source == NULL && when == G_MAXINT64))
    return;
  if (self->source == NULL)
    {
      g_autoptr (GMainContext) context = db_worker_ref_context ();

      self->source = g_source_new (&timer_funcs, sizeof (GSource));
      g_source_set_static_name (self->source, "[dbpool] timer");
      g_atomic_int_inc (&self->ref_count);
      g_source_set_callback (self->source, timer_cb, self, (GDestroyNotify) timer_unref);
      g_source_set_ready_time (self->source, when);
      g_source_attach (self->source, context);
      return;
    }
  g_source_set_ready_time (self->source, when == G_MAXINT64 ? -1 : when);
}

void
db_timer_free (DbTimer *self)
{
  GSource *source;

  db_lock_lock (&self->lock);
  self->freed = TRUE;
  source = g_steal_pointer (&self->source);
  db_lock_unlock (&self->lock);

  if (source != NULL)
    {
      g_source_destroy (source);
      g_source_unref (source);
    }
  timer_unref (self);
  db_worker_drop ();
}
