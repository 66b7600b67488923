/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the pool itself costs, with a database that costs nothing: each figure beside the floor of
 * the same run. Not a test: it asserts nothing, and machines differ. With a number, only the
 * contention of so many threads is measured. */

#include "config.h"

#include "fake-manager.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 5

typedef struct
{
  DbPool *pool;
  guint n;
  guint done;
  GMainLoop *loop;
} Bench;

/* The best of a few rounds, in nanoseconds for each of n. */
static double
measure (void (*func) (Bench *bench), Bench *bench, guint n)
{
  double best = G_MAXDOUBLE;

  bench->n = n;
  for (int i = 0; i < ROUNDS; i++)
    {
      gint64 start = g_get_monotonic_time ();

      func (bench);
      best = MIN (best, (double) (g_get_monotonic_time () - start) * 1000.0 / n);
    }
  return best;
}

static void
floor_gobject (Bench *bench)
{
  for (guint i = 0; i < bench->n; i++)
    g_object_unref (g_object_new (G_TYPE_OBJECT, NULL));
}

static void
task_done_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Bench *bench = data;

  g_task_propagate_pointer (G_TASK (result), NULL);
  bench->done++;
}

static void
floor_task (Bench *bench)
{
  for (guint i = 0; i < bench->n; i++)
    {
      g_autoptr (GTask) task = g_task_new (bench->pool, NULL, task_done_cb, bench);
      guint before = bench->done;

      g_task_return_pointer (task, NULL, NULL);
      while (bench->done == before)
        g_main_context_iteration (NULL, TRUE);
    }
}

static void
acquire_unref (Bench *bench)
{
  for (guint i = 0; i < bench->n; i++)
    g_object_unref (db_pool_acquire (bench->pool, NULL, NULL));
}

static void
acquire_give_back (Bench *bench)
{
  for (guint i = 0; i < bench->n; i++)
    db_pool_give_back (bench->pool, db_pool_acquire (bench->pool, NULL, NULL));
}

static void
acquire_autoptr (Bench *bench)
{
  for (guint i = 0; i < bench->n; i++)
    {
      g_autoptr (DbConnection) connection = db_pool_acquire (bench->pool, NULL, NULL);
    }
}

static void
floor_mutex (Bench *bench)
{
  static GMutex lock;

  for (guint i = 0; i < bench->n; i++)
    {
      g_mutex_lock (&lock);
      g_mutex_unlock (&lock);
      g_mutex_lock (&lock);
      g_mutex_unlock (&lock);
    }
}

static void
acquired_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Bench *bench = data;

  g_object_unref (db_pool_acquire_finish (DB_POOL (source), result, NULL));
  bench->done++;
}

static void
acquire_async (Bench *bench)
{
  for (guint i = 0; i < bench->n; i++)
    {
      guint before = bench->done;

      db_pool_acquire_async (bench->pool, NULL, acquired_cb, bench);
      while (bench->done == before)
        g_main_context_iteration (NULL, TRUE);
    }
}

static DbPool *
make_pool (guint max)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();

  g_object_set (config, "max-connections", max, "idle-timeout", (gint64) 0, NULL);
  return db_pool_new (DB_CONNECTION_MANAGER (manager), config, NULL);
}

static void
fill (DbPool *pool, guint n)
{
  g_autoptr (GPtrArray) connections = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (connections, db_pool_acquire (pool, NULL, NULL));
}

static void
print_row (const char *what, double ns, const char *floor_name, double floor_ns)
{
  printf ("%-44s %9.0f ns   %5.2f x %s\n", what, ns, ns / floor_ns, floor_name);
}

/* Waiters: queued behind one held connection, then served one after the other. */

static gsize
bytes_in_use (void)
{
  return mallinfo2 ().uordblks;
}

/* An iteration of a main loop that has nothing to do. */
static double
idle_iteration (void)
{
  gint64 start = g_get_monotonic_time ();

  for (guint i = 0; i < 1000; i++)
    g_main_context_iteration (NULL, FALSE);
  return (double) (g_get_monotonic_time () - start);
}

static void
bench_waiters (guint n)
{
  g_autoptr (DbPool) pool = make_pool (1);
  DbConnection *held = db_pool_acquire (pool, NULL, NULL);
  Bench bench = {.pool = pool};
  double alone = idle_iteration ();
  double beside;
  gsize before = bytes_in_use ();
  gint64 start = g_get_monotonic_time ();
  gint64 queued, drained;
  gsize memory;

  for (guint i = 0; i < n; i++)
    db_pool_acquire_async (pool, NULL, acquired_cb, &bench);
  queued = g_get_monotonic_time ();
  memory = bytes_in_use () - before;
  beside = idle_iteration ();
  start += g_get_monotonic_time () - queued;
  queued = g_get_monotonic_time ();
  g_object_unref (held);
  while (bench.done < n)
    g_main_context_iteration (NULL, TRUE);
  drained = g_get_monotonic_time ();
  printf ("%6u waiters: enqueue %.0f ns, drain %.0f ns, %.0f bytes each (task included); idle "
          "iteration %.0f ns, alone %.0f ns\n",
          n, (double) (queued - start) * 1000 / n, (double) (drained - queued) * 1000 / n,
          (double) memory / n, beside, alone);
}

static void
cancelled_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Bench *bench = data;

  g_assert_null (db_pool_acquire_finish (DB_POOL (source), result, NULL));
  bench->done++;
}

/* Each with a cancellable of its own, cancelled in another order. */
static void
bench_cancels (guint n)
{
  g_autoptr (DbPool) pool = make_pool (1);
  g_autoptr (DbConnection) held = db_pool_acquire (pool, NULL, NULL);
  g_autofree GCancellable **cancellables = g_new (GCancellable *, n);
  Bench bench = {.pool = pool};
  gint64 start, cancelled;

  for (guint i = 0; i < n; i++)
    {
      cancellables[i] = g_cancellable_new ();
      db_pool_acquire_async (pool, cancellables[i], cancelled_cb, &bench);
    }
  start = g_get_monotonic_time ();
  for (guint64 i = 0; i < n; i++)
    g_cancellable_cancel (cancellables[i * 7919 % n]);
  cancelled = g_get_monotonic_time ();
  while (bench.done < n)
    g_main_context_iteration (NULL, TRUE);
  printf ("%6u cancels: %.0f ns, called back %.0f ns each\n", n,
          (double) (cancelled - start) * 1000 / n,
          (double) (g_get_monotonic_time () - cancelled) * 1000 / n);
  for (guint i = 0; i < n; i++)
    g_object_unref (cancellables[i]);
}

/* Threads over sessions, each holding one for 20 µs of processor time. */

#define HOLD_NS 20000

/* Opens when all threads are there: the first one must not have the sessions to itself until then.
 */
typedef struct
{
  GMutex lock;
  GCond cond;
  guint n_missing; /* lock */
  gint64 until;    /* lock; 0: not open */
  gint64 duration;
} Gate;

typedef struct
{
  DbPool *pool;   /* NULL: every thread has what it needs */
  gboolean gives; /* the connection back explicitly */
  Gate *gate;
  guint64 cycles;
} Worker;

static gint64
thread_cpu_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

/* Work that nobody can interrupt with a system call, and that costs the same with and without a
 * pool: calibrated once, best of many. A chain of multiplications, each of which waits for the one
 * before; a counter in memory takes between 15 and 35 µs where this takes 20, by the mood of the
 * processor. There is one of it: copies of the loop that begin elsewhere in a line differ by 5 %.
 */
static void __attribute__ ((noinline)) work (guint n)
{
  guint64 x = n;

  for (guint i = 0; i < n; i++)
    {
      x = x * G_GUINT64_CONSTANT (6364136223846793005) + 1;
      __asm__ volatile("" : "+r"(x));
    }
}

static guint
calibrate (void)
{
  const guint n = 100000;
  gint64 best = G_MAXINT64;

  for (guint i = 0; i < 100; i++)
    {
      gint64 start = thread_cpu_ns ();

      work (n);
      best = MIN (best, thread_cpu_ns () - start);
    }
  return (guint) ((gint64) n * HOLD_NS / best);
}

static guint hold;

static gint64
pass_gate (Gate *gate)
{
  gint64 until;

  g_mutex_lock (&gate->lock);
  if (--gate->n_missing == 0)
    {
      gate->until = g_get_monotonic_time () + gate->duration;
      g_cond_broadcast (&gate->cond);
    }
  while (gate->until == 0)
    g_cond_wait (&gate->cond, &gate->lock);
  until = gate->until;
  g_mutex_unlock (&gate->lock);
  return until;
}

static gpointer
hold_in_thread (gpointer data)
{
  Worker *worker = data;
  gint64 until = pass_gate (worker->gate);

  while (g_get_monotonic_time () < until)
    {
      DbConnection *connection =
        worker->pool != NULL ? db_pool_acquire (worker->pool, NULL, NULL) : NULL;

      work (hold);
      if (worker->gives)
        db_pool_give_back (worker->pool, connection);
      else
        g_clear_object (&connection);
      worker->cycles++;
    }
  return NULL;
}

/* Adds what each worker did in this time. */
static void
run_workers (Worker *workers, guint n_threads, DbPool *pool, gboolean gives, gint64 duration)
{
  g_autofree GThread **threads = g_new0 (GThread *, n_threads);
  Gate gate = {.n_missing = n_threads, .duration = duration};

  for (guint i = 0; i < n_threads; i++)
    {
      workers[i].pool = pool;
      workers[i].gives = gives;
      workers[i].gate = &gate;
      threads[i] = g_thread_new ("holder", hold_in_thread, &workers[i]);
    }
  for (guint i = 0; i < n_threads; i++)
    g_thread_join (threads[i]);
}

static guint64
add_up (const Worker *workers, guint n_threads, double *share)
{
  guint64 sum = 0;
  guint64 least = G_MAXUINT64;
  guint64 most = 0;

  for (guint i = 0; i < n_threads; i++)
    {
      sum += workers[i].cycles;
      least = MIN (least, workers[i].cycles);
      most = MAX (most, workers[i].cycles);
    }
  *share = (double) least / (double) most;
  return sum;
}

/* The ideal is what as many threads as there are processors do without a pool. They take turns,
 * because a shared machine is never as fast as it was a second ago. */
static void
bench_contention (guint n_threads, guint n_sessions)
{
  g_autoptr (DbPool) pool = make_pool (n_sessions);
  g_autofree Worker *unrefs = g_new0 (Worker, n_threads);
  g_autofree Worker *gives = g_new0 (Worker, n_threads);
  g_autofree Worker *free_workers = g_new0 (Worker, n_sessions);
  guint n_free = MIN (n_sessions, g_get_num_processors ());
  const guint n_turns = 12;
  const gint64 turn = 250 * G_TIME_SPAN_MILLISECOND;
  double seconds = n_turns * turn / (double) G_TIME_SPAN_SECOND;
  double share, unused;
  double ideal;

  fill (pool, n_sessions);
  for (guint i = 0; i < n_turns; i++)
    {
      run_workers (free_workers, n_free, NULL, FALSE, turn);
      run_workers (unrefs, n_threads, pool, FALSE, turn);
      run_workers (gives, n_threads, pool, TRUE, turn);
    }
  ideal = add_up (free_workers, n_free, &unused) / seconds;
  printf ("%2u threads over %u sessions, 20 µs each; the ideal is %.0f/s\n", n_threads, n_sessions,
          ideal);
  for (guint i = 0; i < 2; i++)
    {
      double rate = add_up (i == 0 ? unrefs : gives, n_threads, &share) / seconds;

      printf ("  acquire + %-10s %6.0f/s, %.3f of the ideal, share %.2f\n",
              i == 0 ? "unref" : "give_back", rate, rate / ideal, share);
    }
}

int
main (int argc, char **argv)
{
  g_autoptr (DbPool) pool = make_pool (4);
  Bench bench = {.pool = pool};
  double object_ns;
  double mutex_ns;
  double task_ns;

  hold = calibrate ();
  if (argc > 1)
    {
      bench_contention ((guint) atoi (argv[1]), 4);
      return 0;
    }
  fill (pool, 1);
  object_ns = measure (floor_gobject, &bench, 200000);
  task_ns = measure (floor_task, &bench, 100000);
  mutex_ns = measure (floor_mutex, &bench, 200000);
  printf (
    "floors: GObject new + unref %.0f ns, mutex locked twice %.0f ns, GTask round trip %.0f ns\n",
    object_ns, mutex_ns, task_ns);
  print_row ("acquire + last unref", measure (acquire_unref, &bench, 200000), "GObject", object_ns);
  print_row ("acquire + g_autoptr", measure (acquire_autoptr, &bench, 200000), "mutex", mutex_ns);
  print_row ("acquire + give_back", measure (acquire_give_back, &bench, 200000), "mutex", mutex_ns);
  print_row ("acquire_async + callback + release", measure (acquire_async, &bench, 100000), "GTask",
             task_ns);
  {
    g_autoptr (DbPool) large = make_pool (1000);
    Bench many = {.pool = large};

    fill (large, 1000);
    print_row ("acquire + last unref, 1,000 idle", measure (acquire_unref, &many, 200000),
               "GObject", object_ns);
  }
  bench_waiters (1000);
  bench_waiters (10000);
  bench_waiters (100000);
  bench_cancels (10000);
  bench_cancels (100000);
  bench_contention (8, 4);
  bench_contention (32, 4);
  return 0;
}
