/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The completion sources; see the private header. Two locks, never held together with another: the
 * set's for its table, and a dispatcher's for its queue. */

#include "config.h"

#include "db-dispatcher-private.h"
#include "db-lock-private.h"

struct _DbDispatcherSet
{
  DbLock lock;
  GHashTable *dispatchers; /* lock: GMainContext to DbDispatcher */
  GFunc func;
  gpointer user_data;
};

struct _DbDispatcher
{
  GMainContext *context;
  GSource *source;
  guint n_holders; /* the set's lock */
  DbLock lock;
  GQueue ready; /* lock */
  DbDispatcherSet *set;
};

static gboolean
dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  DbDispatcher *self = user_data;
  DbDispatcherSet *set = self->set;
  GQueue ready = G_QUEUE_INIT;
  GList *link;

  g_source_set_ready_time (source, -1);
  db_lock_lock (&self->lock);
  ready = self->ready;
  g_queue_init (&self->ready);
  db_lock_unlock (&self->lock);

  /* The last item may end the dispatcher: nothing of self is touched any more. */
  while ((link = g_queue_pop_head_link (&ready)) != NULL)
    set->func (link->data, set->user_data);
  return G_SOURCE_CONTINUE;
}

static gboolean
unused_cb (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs dispatcher_funcs = {NULL, NULL, dispatch, NULL, NULL, NULL};

/* Destroying a source releases its callback data when no dispatch is under way, so the dispatcher
 * lives as long as its source may run. */
static void
dispatcher_free (gpointer data)
{
  DbDispatcher *self = data;

  g_main_context_unref (self->context);
  db_lock_clear (&self->lock);
  g_free (self);
}

static DbDispatcher *
dispatcher_new (DbDispatcherSet *set, GMainContext *context)
{
  DbDispatcher *self = g_new0 (DbDispatcher, 1);

  self->set = set;
  self->context = g_main_context_ref (context);
  db_lock_init (&self->lock);
  self->source = g_source_new (&dispatcher_funcs, sizeof (GSource));
  g_source_set_static_name (self->source, "[dbpool] completions");
  g_source_set_callback (self->source, unused_cb, self, dispatcher_free);
  g_source_attach (self->source, context);
  return self;
}

static void
dispatcher_end (DbDispatcher *self)
{
  GSource *source = self->source;

  g_assert (self->ready.length == 0);
  g_source_destroy (source);
  g_source_unref (source);
}

DbDispatcherSet *
db_dispatcher_set_new (GFunc func, gpointer user_data)
{
  DbDispatcherSet *self = g_new0 (DbDispatcherSet, 1);

  db_lock_init (&self->lock);
  self->dispatchers = g_hash_table_new (NULL, NULL);
  self->func = func;
  self->user_data = user_data;
  return self;
}

void
db_dispatcher_set_free (DbDispatcherSet *self)
{
  GHashTableIter iter;
  gpointer dispatcher;

  g_hash_table_iter_init (&iter, self->dispatchers);
  while (g_hash_table_iter_next (&iter, NULL, &dispatcher))
    {
      g_assert (((DbDispatcher *) dispatcher)->n_holders == 0);
      dispatcher_end (dispatcher);
    }
  g_hash_table_unref (self->dispatchers);
  db_lock_clear (&self->lock);
  g_free (self);
}

DbDispatcher *
db_dispatcher_hold (DbDispatcherSet *self, GMainContext *context)
{
  DB_LOCK_SCOPE (&self->lock);
  DbDispatcher *dispatcher = g_hash_table_lookup (self->dispatchers, context);

  if (dispatcher == NULL)
    {
      dispatcher = dispatcher_new (self, context);
      g_hash_table_insert (self->dispatchers, context, dispatcher);
    }
  dispatcher->n_holders++;
  return dispatcher;
}

void
db_dispatcher_drop (DbDispatcherSet *self, DbDispatcher *dispatcher)
{
  gboolean last;

  db_lock_lock (&self->lock);
  last = --dispatcher->n_holders == 0 && dispatcher->context != g_main_context_default ();
  if (last)
    g_hash_table_remove (self->dispatchers, dispatcher->context);
  db_lock_unlock (&self->lock);
  if (last)
    dispatcher_end (dispatcher);
}

void
db_dispatcher_push (DbDispatcher *self, GList *link)
{
  gboolean first;

  db_lock_lock (&self->lock);
  first = self->ready.length == 0;
  g_queue_push_tail_link (&self->ready, link);
  if (first)
    g_source_set_ready_time (self->source, 0);
  db_lock_unlock (&self->lock);
}
