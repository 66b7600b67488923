/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The worker thread and the jobs. See the private header for who runs what.
 *
 * One lock, the_lock, protects the process-wide state and is held for a few instructions; nothing
 * is called under it but GLib's thread and queue functions. */

#include "config.h"

#include "db-lock-private.h"
#include "db-worker-private.h"

#include <pthread.h>

typedef struct
{
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;
} DbWorkerThread;

typedef struct
{
  DbJobFunc func;
  gpointer data;
} DbJob;

static DbLock the_lock;
static guint n_holders;            /* the_lock */
static DbWorkerThread *the_worker; /* the_lock; started by the first timer */
static GThreadPool *the_jobs;      /* the_lock; started by the first job */
static guint fork_generation;      /* written only in a forked child, before it has threads */

/* The child has none of the parent's threads, and the lock may have been held by one of them: start
 * anew. What the parent's pools own is left alone for ever; they see that their generation passed.
 */
static void
start_anew_in_child (void)
{
  fork_generation++;
  db_lock_init (&the_lock);
  n_holders = 0;
  the_worker = NULL;
  the_jobs = NULL;
  db_watch_start_anew_in_child ();
}

guint
db_fork_generation (void)
{
  static gsize registered;

  if (g_once_init_enter (&registered))
    {
      pthread_atfork (NULL, NULL, start_anew_in_child);
      g_once_init_leave (&registered, 1);
    }
  return fork_generation;
}

static void
worker_thread_free (DbWorkerThread *worker)
{
  g_main_loop_unref (worker->loop);
  g_main_context_unref (worker->context);
  g_free (worker);
}

static gpointer
worker_main (gpointer data)
{
  DbWorkerThread *worker = data;

  g_main_context_push_thread_default (worker->context);
  g_main_loop_run (worker->loop);
  g_main_context_pop_thread_default (worker->context);
  return NULL;
}

static gboolean
quit_cb (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

/* The quit comes as a source, so that it cannot run before the loop does. */
static void
worker_thread_stop (DbWorkerThread *worker)
{
  g_autoptr (GSource) source = g_idle_source_new ();
  gboolean on_worker = worker->thread == g_thread_self ();

  g_source_set_priority (source, G_PRIORITY_LOW);
  g_source_set_callback (source, quit_cb, g_main_loop_ref (worker->loop),
                         (GDestroyNotify) g_main_loop_unref);
  g_source_attach (source, worker->context);
  if (on_worker)
    g_thread_unref (worker->thread);
  else
    g_thread_join (worker->thread);
  worker_thread_free (worker);
}

void
db_worker_hold (void)
{
  DB_LOCK_SCOPE (&the_lock);

  n_holders++;
}

void
db_worker_drop (void)
{
  DbWorkerThread *worker = NULL;
  GThreadPool *jobs = NULL;

  db_lock_lock (&the_lock);
  g_assert (n_holders > 0);
  if (--n_holders == 0)
    {
      worker = g_steal_pointer (&the_worker);
      jobs = g_steal_pointer (&the_jobs);
    }
  db_lock_unlock (&the_lock);

  if (worker != NULL)
    worker_thread_stop (worker);
  if (jobs != NULL)
    {
      g_thread_pool_free (jobs, FALSE, FALSE);
      g_thread_pool_stop_unused_threads ();
    }
}

GMainContext *
db_worker_ref_context (void)
{
  DB_LOCK_SCOPE (&the_lock);

  g_assert (n_holders > 0);
  if (the_worker == NULL)
    {
      the_worker = g_new0 (DbWorkerThread, 1);
      the_worker->context = g_main_context_new ();
      the_worker->loop = g_main_loop_new (the_worker->context, FALSE);
      the_worker->thread = g_thread_new ("dbpool", worker_main, the_worker);
    }
  return g_main_context_ref (the_worker->context);
}

static void
run_job (gpointer data, gpointer user_data)
{
  DbJob *job = data;

  DB_TSAN_ACQUIRE (job);
  job->func (job->data);
  g_free (job);
  db_worker_drop ();
}

void
db_worker_run (DbJobFunc func, gpointer data)
{
  DbJob *job = g_new0 (DbJob, 1);

  job->func = func;
  job->data = data;
  DB_TSAN_RELEASE (job);

  db_lock_lock (&the_lock);
  n_holders++;
  if (the_jobs == NULL)
    the_jobs = g_thread_pool_new (run_job, NULL, -1, FALSE, NULL);
  g_thread_pool_push (the_jobs, job, NULL);
  db_lock_unlock (&the_lock);
}
