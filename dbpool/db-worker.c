/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The worker thread and the jobs. See the private header for who runs what.
 *
 * One lock, the_lock, protects the process-wide state and is held for a few instructions; nothing
 * is called under it but GLib's thread and queue functions.
 *
 * Jobs have threads of their own instead of a GThreadPool, whose idle threads are counted for the
 * whole process: a forked child inherits the count without the threads, and its jobs would wait for
 * ever. */

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
  GList link;
  DbJobFunc func;
  gpointer data;
} DbJob;

/* For how long a thread without a job waits for the next one: an idle program is soon at rest, and
 * a new thread costs less than most jobs. */
#define JOB_THREAD_PATIENCE (500 * G_TIME_SPAN_MILLISECOND)

static DbLock the_lock;
static guint n_holders;            /* the_lock */
static DbWorkerThread *the_worker; /* the_lock; started by the first timer */
static DbCond job_or_end;          /* the_lock: there is a job, or the last holder has gone */
static GQueue jobs;                /* the_lock: of DbJob.link, not begun */
static guint n_waiting_threads;    /* the_lock: one for each of jobs, at least */
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
  db_cond_init (&job_or_end);
  g_queue_init (&jobs);
  n_waiting_threads = 0;
  db_watch_start_anew_in_child ();
}

const guint *
db_fork_counter (void)
{
  static gsize registered;

  if (g_once_init_enter (&registered))
    {
      pthread_atfork (NULL, NULL, start_anew_in_child);
      g_once_init_leave (&registered, 1);
    }
  return &fork_generation;
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

  db_lock_lock (&the_lock);
  g_assert (n_holders > 0);
  if (--n_holders == 0)
    {
      worker = g_steal_pointer (&the_worker);
      db_cond_broadcast (&job_or_end);
    }
  db_lock_unlock (&the_lock);

  if (worker != NULL)
    worker_thread_stop (worker);
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

/* The next job, or NULL when the thread is to end. */
static DbJob *
wait_for_job (void)
{
  gint64 until = g_get_monotonic_time () + JOB_THREAD_PATIENCE;
  gboolean in_time = TRUE;
  GList *link;
  DB_LOCK_SCOPE (&the_lock);

  n_waiting_threads++;
  while ((link = g_queue_pop_head_link (&jobs)) == NULL && n_holders > 0 && in_time)
    in_time = db_cond_wait_until (&job_or_end, &the_lock, until);
  n_waiting_threads--;
  return link != NULL ? link->data : NULL;
}

static gpointer
job_thread_main (gpointer data)
{
  DbJob *job;

  /* It was counted as waiting when it was started. */
  db_lock_lock (&the_lock);
  n_waiting_threads--;
  db_lock_unlock (&the_lock);
  while ((job = wait_for_job ()) != NULL)
    {
      job->func (job->data);
      g_free (job);
      db_worker_drop ();
    }
  return NULL;
}

void
db_worker_run (DbJobFunc func, gpointer data)
{
  DbJob *job = g_new0 (DbJob, 1);
  DB_LOCK_SCOPE (&the_lock);

  job->link.data = job;
  job->func = func;
  job->data = data;
  n_holders++;
  g_queue_push_tail_link (&jobs, &job->link);
  if (jobs.length <= n_waiting_threads)
    {
      db_cond_signal (&job_or_end);
      return;
    }
  n_waiting_threads++;
  g_thread_unref (g_thread_new ("dbpool-job", job_thread_main, NULL));
}
