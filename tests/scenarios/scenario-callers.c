/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The loops and the callers of the scenarios; see the header. The one lock, the_lock, carries the
 * results of callers from the threads that got them to the test's, so that ThreadSanitizer sees it.
 */

#include "config.h"

#include "db-lock-private.h"
#include "scenario.h"

static DbLock the_lock;

/* Loops. */

struct _Loop
{
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;
};

typedef struct
{
  void (*func) (gpointer data);
  gpointer data;
  gint *done; /* atomic; may be NULL */
} Post;

static gpointer
loop_main (gpointer data)
{
  Loop *self = data;

  g_main_context_push_thread_default (self->context);
  g_main_loop_run (self->loop);
  g_main_context_pop_thread_default (self->context);
  return NULL;
}

Loop *
loop_new (void)
{
  Loop *self = g_new0 (Loop, 1);

  self->context = g_main_context_new ();
  self->loop = g_main_loop_new (self->context, FALSE);
  self->thread = g_thread_new ("loop", loop_main, self);
  return self;
}

GMainContext *
loop_get_context (Loop *self)
{
  return self->context;
}

static gboolean
dispatch_post (GSource *source, GSourceFunc func, gpointer data)
{
  return func (data);
}

static GSourceFuncs post_funcs = {NULL, NULL, dispatch_post, NULL, NULL, NULL};

static gboolean
run_post_cb (gpointer data)
{
  Post *post = data;

  DB_TSAN_ACQUIRE (post);
  post->func (post->data);
  if (post->done != NULL)
    {
      DB_TSAN_RELEASE (post->done);
      g_atomic_int_set (post->done, TRUE);
    }
  g_free (post);
  return G_SOURCE_REMOVE;
}

static void
post_at (Loop *self, gint64 time, void (*func) (gpointer), gpointer data, gint *done)
{
  GSource *source = g_source_new (&post_funcs, sizeof (GSource));
  Post *post = g_new (Post, 1);

  *post = (Post){func, data, done};
  DB_TSAN_RELEASE (post);
  g_source_set_callback (source, run_post_cb, post, NULL);
  g_source_set_ready_time (source, time);
  g_source_attach (source, self->context);
  g_source_unref (source);
}

void
loop_post (Loop *self, void (*func) (gpointer data), gpointer data)
{
  post_at (self, 0, func, data, NULL);
}

void
loop_post_later (Loop *self, gint64 delay, void (*func) (gpointer data), gpointer data)
{
  post_at (self, g_get_monotonic_time () + delay, func, data, NULL);
}

void
loop_call (Loop *self, void (*func) (gpointer data), gpointer data)
{
  gint done = FALSE;

  post_at (self, 0, func, data, &done);
  AWAIT (g_atomic_int_get (&done));
  DB_TSAN_ACQUIRE (&done);
}

static void
quit (gpointer data)
{
  g_main_loop_quit (data);
}

void
loop_free (Loop *self)
{
  loop_post (self, quit, self->loop);
  g_thread_join (self->thread);
  g_main_loop_unref (self->loop);
  g_main_context_unref (self->context);
  g_free (self);
}

/* Callers. */

static void begin_round (Caller *self);

Caller *
caller_new (World *world)
{
  Caller *self = g_new0 (Caller, 1);

  self->world = world;
  self->async = world->async;
  self->pool = world->pool;
  self->timeout = -1;
  self->hold = -1;
  self->rounds = 1;
  g_atomic_int_inc (&world->n_callers);
  return self;
}

/* The result of a round, on the thread that got it. Takes both. */
static void
take_result (Caller *self, DbConnection *connection, GError *error)
{
  gint64 wait;

  self->ended = g_get_monotonic_time ();
  self->thread = g_thread_self ();
  wait = self->ended - self->began;
  g_assert_true ((connection == NULL) == (error != NULL));
  g_assert_cmpint (g_atomic_int_add (&self->completions, 1), ==, 0);
  self->longest_wait = MAX (self->longest_wait, wait);
  self->total_wait += wait;
  g_clear_error (&self->error);
  self->error = error;
  self->connection = connection;
  if (connection == NULL)
    {
      self->n_failed++;
      return;
    }
  self->grant = (guint) g_atomic_int_add (&self->world->n_grants, 1) + 1;
  self->n_granted++;
  self->id = FAKE_IS_SESSION (db_connection_get_session (connection))
               ? fake_connection_get_id (connection)
               : 0;
  if (self->granted != NULL)
    self->granted (self, connection);
}

/* The end of a round, when the connection has been held. */
static gboolean
end_round (Caller *self)
{
  guint n = self->n_granted + self->n_failed;

  if (self->connection != NULL && self->hold >= 0)
    {
      db_connection_release (self->connection);
      g_clear_object (&self->connection);
    }
  if (self->fresh_cancellable)
    {
      g_cancellable_cancel (self->cancellable);
      g_clear_object (&self->cancellable);
    }
  if (self->error != NULL && !self->go_on)
    return FALSE;
  return self->rounds == 0 ? !g_atomic_int_get (&self->world->stop) : n < self->rounds;
}

static void
become_done (Caller *self)
{
  db_lock_lock (&the_lock);
  g_atomic_int_set (&self->done, TRUE);
  db_lock_unlock (&the_lock);
}

static void
prepare_round (Caller *self)
{
  if (self->fresh_cancellable)
    self->cancellable = g_cancellable_new ();
  g_atomic_int_set (&self->completions, 0);
  self->began = g_get_monotonic_time ();
}

static gpointer
call_blocking (gpointer data)
{
  Caller *self = data;

  do
    {
      GError *error = NULL;
      DbConnection *connection;

      prepare_round (self);
      connection = db_pool_acquire_full (self->pool, self->flags, self->timeout, self->tag,
                                         self->cancellable, &error);
      take_result (self, connection, error);
      if (self->connection != NULL && self->hold > 0)
        g_usleep ((gulong) self->hold);
    }
  while (end_round (self));
  become_done (self);
  return NULL;
}

static void
end_round_async (gpointer data)
{
  Caller *self = data;

  if (end_round (self))
    begin_round (self);
  else
    become_done (self);
}

static void
acquired_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Caller *self = data;
  GError *error = NULL;
  DbConnection *connection;

  g_assert_true (source == (GObject *) self->pool);
  g_assert_true (g_main_context_is_owner (self->loop->context));
  connection = db_pool_acquire_full_finish (self->pool, result, &error);
  take_result (self, connection, error);
  if (self->connection != NULL && self->hold > 0)
    loop_post_later (self->loop, self->hold, end_round_async, self);
  else
    end_round_async (self);
}

static void
begin_round (Caller *self)
{
  prepare_round (self);
  db_pool_acquire_full_async (self->pool, self->flags, self->timeout, self->tag, self->cancellable,
                              acquired_cb, self);
  /* Never inside of the call that began it. */
  g_assert_true (g_thread_self () == self->loop->thread);
}

static void
begin_first_round (gpointer data)
{
  begin_round (data);
}

void
caller_begin (Caller *self)
{
  if (!self->async)
    {
      self->own_thread = g_thread_new ("caller", call_blocking, self);
      return;
    }
  if (self->loop == NULL)
    {
      if (self->world->loop == NULL)
        self->world->loop = loop_new ();
      self->loop = self->world->loop;
    }
  loop_post (self->loop, begin_first_round, self);
}

Caller *
caller_start_full (World *world, gint64 timeout, GCancellable *cancellable)
{
  Caller *self = caller_new (world);

  self->timeout = timeout;
  g_set_object (&self->cancellable, cancellable);
  caller_begin (self);
  return self;
}

Caller *
caller_start (World *world)
{
  return caller_start_full (world, -1, NULL);
}

static guint
n_waiting (DbPool *pool)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  return db_pool_stats_get_waiting (stats);
}

void
caller_begin_waiting (Caller *self)
{
  guint before = n_waiting (self->pool);

  caller_begin (self);
  AWAIT (n_waiting (self->pool) > before);
}

Caller *
caller_start_waiting_full (World *world, gint64 timeout, GCancellable *cancellable)
{
  Caller *self = caller_new (world);

  self->timeout = timeout;
  g_set_object (&self->cancellable, cancellable);
  caller_begin_waiting (self);
  return self;
}

Caller *
caller_start_waiting (World *world)
{
  return caller_start_waiting_full (world, -1, NULL);
}

gboolean
caller_is_done (Caller *self)
{
  DB_LOCK_SCOPE (&the_lock);

  return g_atomic_int_get (&self->done);
}

void
caller_wait (Caller *self)
{
  AWAIT (caller_is_done (self));
}

DbConnection *
caller_wait_connection (Caller *self)
{
  caller_wait (self);
  g_assert_no_error (self->error);
  return self->connection;
}

void
caller_wait_error (Caller *self, GQuark domain, int code)
{
  caller_wait (self);
  g_assert_error (self->error, domain, code);
}

gint64
caller_get_wait (Caller *self)
{
  return self->ended - self->began;
}

void
caller_release (Caller *self)
{
  g_assert_nonnull (self->connection);
  db_connection_release (self->connection);
  g_clear_object (&self->connection);
}

void
caller_free (Caller *self)
{
  caller_wait (self);
  if (self->own_thread != NULL)
    g_thread_join (self->own_thread);
  g_clear_object (&self->connection);
  g_clear_object (&self->cancellable);
  g_clear_error (&self->error);
  g_atomic_int_add (&self->world->n_callers, -1);
  g_free (self);
}

void
callers_free (Caller **callers, guint n)
{
  for (guint i = 0; i < n; i++)
    g_clear_pointer (&callers[i], caller_free);
}
