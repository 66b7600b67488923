/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What metrics cost: recording a loan, beside a function that does nothing; looking at them;
 * memory. Not a test: it asserts nothing, and machines differ. Times are of the processor, the best
 * of many rounds in turns. */

#include "config.h"

#include "db-pool-private.h"
#include "fake-manager.h"

#include <malloc.h>
#include <stdio.h>
#include <time.h>

#define ROUNDS 300

typedef void (*Func) (DbPool *pool, gint64 value);

static double
now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  return (double) now.tv_sec * 1e9 + (double) now.tv_nsec;
}

static void
record_nothing (DbPool *pool, gint64 value)
{
}

/* As the core does for a loan: the wait of one who did not wait, and the use. */
static void
record_loan (DbPool *pool, gint64 value)
{
  DbHistogram *histograms = db_pool_core_get_histograms (pool->engine->core);

  db_histogram_record (&histograms[DB_METRIC_WAIT], 0);
  db_histogram_record (&histograms[DB_METRIC_USE], value);
}

static void
borrow (DbPool *pool, gint64 value)
{
  db_pool_give_back (pool, db_pool_acquire (pool, NULL, NULL));
}

static void
take_stats (DbPool *pool, gint64 value)
{
  db_pool_stats_free (db_pool_get_stats (pool));
}

static void
take_summary (DbPool *pool, gint64 value)
{
  g_object_unref (db_metrics_collector_get_summary (db_pool_get_metrics (pool), DB_METRIC_USE));
}

static void
write_text (DbPool *pool, gint64 value)
{
  g_free (db_metrics_collector_to_prometheus (db_pool_get_metrics (pool)));
}

static double
run (Func func, DbPool *pool, guint n)
{
  const double start = now_ns ();

  for (guint i = 0; i < n; i++)
    func (pool, 1 + i % 3000);
  return (now_ns () - start) / n;
}

int
main (void)
{
  static const struct
  {
    const char *name;
    Func func;
    guint n;
  } rows[] = {
    {"nothing (an empty collector)", record_nothing, 2000},
    {"recording the wait and the use of a loan", record_loan, 2000},
    {"acquire and give back, with that", borrow, 1000},
    {"db_pool_get_stats()", take_stats, 1000},
    {"db_metrics_collector_get_summary()", take_summary, 100},
    {"db_metrics_collector_to_prometheus()", write_text, 10},
  };
  g_autoptr (FakeManager) manager = fake_manager_new ();
  gsize before, empty, used;
  DbPool *pool;
  double best[G_N_ELEMENTS (rows)];

  g_object_unref (db_pool_new (DB_CONNECTION_MANAGER (manager), NULL, NULL));
  before = mallinfo2 ().uordblks;
  pool = db_pool_new (DB_CONNECTION_MANAGER (manager), NULL, NULL);
  empty = mallinfo2 ().uordblks - before;
  borrow (pool, 0);
  before = mallinfo2 ().uordblks;
  run (record_loan, pool, 100000);
  used = mallinfo2 ().uordblks - before;

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    best[i] = G_MAXDOUBLE;
  for (guint round = 0; round < ROUNDS; round++)
    for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
      best[i] = MIN (best[i], run (rows[i].func, pool, rows[i].n));
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    printf ("%-42s %9.1f ns\n", rows[i].name, best[i]);
  printf ("an unused pool has %zu bytes; histograms of uses of 1 to 3,000 µs add %zu\n", empty,
          used);
  g_object_unref (pool);
  return 0;
}
