/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The signals of a pool, and its home; see the private header.
 *
 * The core appends events under its lock, to a ring that is bounded. One source for each pool takes
 * them from there and emits them, many in a dispatch, with no lock held. A source for each event
 * would cost twice as much, and an emission on the thread where the event happened would run the
 * handlers of a single-threaded language on any thread.
 *
 * The home's lock is held while the core's is taken and while the source is told when to run:
 * neither calls back, so neither their locks nor this one can be part of a cycle. It is never held
 * while a handler runs or a reference is dropped.
 *
 * In a forked child nothing is touched: the lock may be held by a thread that is not there. */

#include "config.h"

#include "db-connection-list-private.h"
#include "db-pool-private.h"
#include "db-pool-signals-private.h"

/* How many events a dispatch emits before other sources have their turn. */
#define MAX_PER_DISPATCH 1000

/* How often the list of connections is brought up to date at most. */
#define LIST_INTERVAL (10 * G_TIME_SPAN_MILLISECOND)

struct _DbPoolHome
{
  int ref_count; /* atomic */

  /* read-only after construction */
  GMainContext *context;
  guint fork_generation;
  GWeakRef weak; /* the pool */

  DbLock lock;
  gboolean pool_ends;     /* lock: it is told nothing any more */
  GSource *source;        /* lock: NULL until there is something to tell */
  gboolean events_due;    /* lock: the core has some */
  gboolean list_due;      /* lock: the connections have changed */
  gboolean updating;      /* lock: the list, whose observers may run the main loop */
  gint64 list_updated_at; /* lock */
  GArray *batch;          /* lock: events that left the core; NULL if none is left */
  guint n_emitted;        /* lock: so many of them are done */
};

static guint signals[DB_N_EVENT_TYPES];

static gboolean
is_forked (DbPoolHome *self)
{
  return self->fork_generation != db_fork_generation ();
}

static void
event_clear (DbEvent *event)
{
  g_free (event->text);
  g_clear_error (&event->error);
}

DbPoolHome *
db_pool_home_new (DbPool *pool)
{
  DbPoolHome *self = g_new0 (DbPoolHome, 1);

  self->ref_count = 1;
  self->context = g_main_context_ref_thread_default ();
  self->fork_generation = db_fork_generation ();
  g_weak_ref_init (&self->weak, pool);
  db_lock_init (&self->lock);
  return self;
}

DbPoolHome *
db_pool_home_ref (DbPoolHome *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
db_pool_home_unref (DbPoolHome *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  DB_TSAN_ACQUIRE (&self->lock);
  g_assert (self->source == NULL || is_forked (self));
  g_clear_pointer (&self->batch, g_array_unref);
  g_weak_ref_clear (&self->weak);
  g_main_context_unref (self->context);
  db_lock_clear (&self->lock);
  g_free (self);
}

/* The source. */

static void
rearm_locked (DbPoolHome *self)
{
  gint64 ready = -1;

  if (self->source == NULL)
    return;
  if (self->events_due || self->batch != NULL)
    ready = 0;
  else if (self->list_due && !self->updating)
    ready = self->list_updated_at + LIST_INTERVAL;
  g_source_set_ready_time (self->source, ready);
}

/* The next event, which the caller clears. A handler may run the main loop, and so be here again
 * before it returns: therefore no event is on the way but in self. */
static gboolean
next_event (DbPoolHome *self, DbPoolCore *core, DbEvent *event)
{
  DbEvent *place;
  DB_LOCK_SCOPE (&self->lock);

  if (self->batch == NULL && self->events_due)
    {
      self->events_due = FALSE; /* before they are taken: a later one says so again */
      self->batch = db_pool_core_take_events (core);
      self->n_emitted = 0;
      if (self->batch->len == 0)
        g_clear_pointer (&self->batch, g_array_unref);
    }
  if (self->batch == NULL)
    return FALSE;
  place = &g_array_index (self->batch, DbEvent, self->n_emitted++);
  *event = *place;
  *place = (DbEvent){0}; /* the array frees what it still has */
  if (self->n_emitted == self->batch->len)
    g_clear_pointer (&self->batch, g_array_unref);
  return TRUE;
}

static void
emit (DbPool *pool, const DbEvent *event)
{
  guint signal_id = signals[event->type];

  switch (event->type)
    {
    case DB_EVENT_ACQUIRED:
    case DB_EVENT_RETURNED:
    case DB_EVENT_CREATED:
      g_signal_emit (pool, signal_id, 0, event->value);
      break;
    case DB_EVENT_DROPPED:
      g_signal_emit (pool, signal_id, 0, (DbDropReason) event->value);
      break;
    case DB_EVENT_ACQUIRE_FAILED:
    case DB_EVENT_BACKGROUND_ERROR:
      g_signal_emit (pool, signal_id, 0, event->error);
      break;
    case DB_EVENT_LEAK_SUSPECTED:
      g_signal_emit (pool, signal_id, 0, event->text, event->value);
      break;
    case DB_EVENT_DEADLOCK:
      g_signal_emit (pool, signal_id, 0, event->text);
      break;
    default:
      g_assert_not_reached ();
    }
}

/* The pool is held for one event at a time: once a handler has dropped the last reference, nobody
 * is told anything any more. */
static gboolean
emit_next (DbPoolHome *self)
{
  g_autoptr (DbPool) pool = g_weak_ref_get (&self->weak);
  DbEvent event;

  if (pool == NULL || !next_event (self, pool->engine->core, &event))
    return FALSE;
  emit (pool, &event);
  event_clear (&event);
  return TRUE;
}

static void
update_list (DbPoolHome *self)
{
  gint64 now = g_get_monotonic_time ();
  g_autoptr (DbPool) pool = NULL;
  g_autoptr (DbConnectionList) list = NULL;
  gboolean due;

  db_lock_lock (&self->lock);
  due = self->list_due && !self->updating && now >= self->list_updated_at + LIST_INTERVAL;
  if (due)
    {
      self->list_due = FALSE; /* before the look: a later change says so again */
      self->list_updated_at = now;
      self->updating = TRUE;
    }
  db_lock_unlock (&self->lock);
  if (!due)
    return;

  pool = g_weak_ref_get (&self->weak);
  if (pool != NULL)
    list = g_weak_ref_get (&pool->connections);
  if (list != NULL)
    db_connection_list_update (list, pool->engine);
  db_lock_lock (&self->lock);
  self->updating = FALSE;
  db_lock_unlock (&self->lock);
}

static gboolean
dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  DbPoolHome *self = user_data;

  if (is_forked (self))
    return G_SOURCE_REMOVE;
  for (guint i = 0; i < MAX_PER_DISPATCH; i++)
    if (!emit_next (self))
      break;
  update_list (self);

  db_lock_lock (&self->lock);
  rearm_locked (self);
  db_lock_unlock (&self->lock);
  return G_SOURCE_CONTINUE;
}

static gboolean
unused_cb (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs home_funcs = {NULL, NULL, dispatch, NULL, NULL, NULL};

static void
make_source_locked (DbPoolHome *self)
{
  self->source = g_source_new (&home_funcs, sizeof (GSource));
  g_source_set_static_name (self->source, "[dbpool] signals");
  /* A handler that waits in a main loop for another signal gets it. */
  g_source_set_can_recurse (self->source, TRUE);
  g_source_set_callback (self->source, unused_cb, db_pool_home_ref (self),
                         (GDestroyNotify) db_pool_home_unref);
  g_source_attach (self->source, self->context);
}

void
db_pool_home_wake (DbPoolHome *self, gboolean events, gboolean list)
{
  if (is_forked (self))
    return;

  DB_LOCK_SCOPE (&self->lock);

  if (self->pool_ends)
    return;
  self->events_due |= events;
  self->list_due |= list;
  if (self->source == NULL)
    make_source_locked (self);
  rearm_locked (self);
}

void
db_pool_home_forget_pool (DbPoolHome *self)
{
  GSource *source;
  GArray *batch;

  if (is_forked (self))
    return;
  db_lock_lock (&self->lock);
  self->pool_ends = TRUE;
  source = g_steal_pointer (&self->source);
  batch = g_steal_pointer (&self->batch);
  db_lock_unlock (&self->lock);

  if (batch != NULL)
    g_array_unref (batch);
  if (source != NULL)
    {
      g_source_destroy (source);
      g_source_unref (source);
    }
}

gboolean
db_pool_listens (DbEventType type, gpointer pool)
{
  /* Mostly nobody listens to anything, which is known sooner. */
  return g_signal_handler_find (pool, G_SIGNAL_MATCH_UNBLOCKED, 0, 0, NULL, NULL, NULL) != 0 &&
         g_signal_has_handler_pending (pool, signals[type], 0, FALSE);
}

/* The signals. */

void
db_pool_signals_install (GObjectClass *klass)
{
  /**
   * DbPool::connection-acquired:
   * @self: the pool
   * @waited: for how long its caller waited, in microseconds
   *
   * A connection was lent.
   *
   * Like all signals of a pool, it is emitted in the main context that was thread-default where the
   * pool was made, by whatever thread iterates that: after the fact, in the order in which things
   * happened, many in one go, and with no lock held. A handler sees what begins after it was
   * connected. While nobody is connected nothing is kept, and looking whether somebody is costs
   * some nanoseconds.
   *
   * If the main context does not run, 4,096 events of the pool wait for it; those that come later
   * are lost, and [method@Db.PoolStats.get_events_dropped] counts them. What waits when the last
   * reference to the pool is dropped is lost too.
   *
   * Since: 1.0
   */
  signals[DB_EVENT_ACQUIRED] =
    g_signal_new ("connection-acquired", G_OBJECT_CLASS_TYPE (klass), G_SIGNAL_RUN_LAST, 0, NULL,
                  NULL, NULL, G_TYPE_NONE, 1, G_TYPE_INT64);

  /**
   * DbPool::connection-returned:
   * @self: the pool
   * @held: for how long it was out, in microseconds
   *
   * A connection was released, or its last reference was dropped.
   *
   * Emitted when and where [signal@Db.Pool::connection-acquired] is.
   *
   * Since: 1.0
   */
  signals[DB_EVENT_RETURNED] =
    g_signal_new ("connection-returned", G_OBJECT_CLASS_TYPE (klass), G_SIGNAL_RUN_LAST, 0, NULL,
                  NULL, NULL, G_TYPE_NONE, 1, G_TYPE_INT64);

  /**
   * DbPool::connection-created:
   * @self: the pool
   * @took: how long that took, in microseconds
   *
   * A session was opened.
   *
   * Emitted when and where [signal@Db.Pool::connection-acquired] is.
   *
   * Since: 1.0
   */
  signals[DB_EVENT_CREATED] =
    g_signal_new ("connection-created", G_OBJECT_CLASS_TYPE (klass), G_SIGNAL_RUN_LAST, 0, NULL,
                  NULL, NULL, G_TYPE_NONE, 1, G_TYPE_INT64);

  /**
   * DbPool::connection-dropped:
   * @self: the pool
   * @reason: why
   *
   * The pool is closing one of its sessions.
   *
   * Emitted when and where [signal@Db.Pool::connection-acquired] is.
   *
   * Since: 1.0
   */
  signals[DB_EVENT_DROPPED] =
    g_signal_new ("connection-dropped", G_OBJECT_CLASS_TYPE (klass), G_SIGNAL_RUN_LAST, 0, NULL,
                  NULL, NULL, G_TYPE_NONE, 1, DB_TYPE_DROP_REASON);

  /**
   * DbPool::acquire-failed:
   * @self: the pool
   * @error: what the caller was told
   *
   * Somebody who asked for a connection did not get one.
   *
   * Emitted when and where [signal@Db.Pool::connection-acquired] is.
   *
   * Since: 1.0
   */
  signals[DB_EVENT_ACQUIRE_FAILED] =
    g_signal_new ("acquire-failed", G_OBJECT_CLASS_TYPE (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                  NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);

  /**
   * DbPool::leak-suspected:
   * @self: the pool
   * @holder: who has it: the tag of the loan, and what else is known
   * @held: for how long it has been out, in microseconds
   *
   * A connection has been out for longer than [property@Db.PoolConfig:leak-threshold]: once for
   * each loan. A warning is logged as well.
   *
   * Emitted when and where [signal@Db.Pool::connection-acquired] is.
   *
   * Since: 1.0
   */
  signals[DB_EVENT_LEAK_SUSPECTED] =
    g_signal_new ("leak-suspected", G_OBJECT_CLASS_TYPE (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                  NULL, G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_INT64);

  /**
   * DbPool::deadlock-detected:
   * @self: the pool
   * @holders: who has the connections
   *
   * Every connection is lent to a thread that waits for another one, so that none can come back
   * before somebody gives up: once for each time that it comes to this.
   *
   * Emitted when and where [signal@Db.Pool::connection-acquired] is.
   *
   * Since: 1.0
   */
  signals[DB_EVENT_DEADLOCK] =
    g_signal_new ("deadlock-detected", G_OBJECT_CLASS_TYPE (klass), G_SIGNAL_RUN_LAST, 0, NULL,
                  NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);

  /**
   * DbPool::background-error:
   * @self: the pool
   * @error: what went wrong
   *
   * Something failed that nobody called for, or of which nobody is told: opening, checking or
   * resetting a session. The pool tries again by itself.
   *
   * Emitted when and where [signal@Db.Pool::connection-acquired] is.
   *
   * Since: 1.0
   */
  signals[DB_EVENT_BACKGROUND_ERROR] =
    g_signal_new ("background-error", G_OBJECT_CLASS_TYPE (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                  NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);
}
