/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Histograms: that they are right to within 1 %, that nothing is lost between threads, and what
 * memory they take. */

#include "config.h"

#include "db-histogram-private.h"

#include <math.h>
#include <string.h>

#define N_THREADS 4
#define N_EACH 500000

static int
compare (gconstpointer a, gconstpointer b)
{
  const gint64 first = *(const gint64 *) a;
  const gint64 second = *(const gint64 *) b;

  return (first > second) - (first < second);
}

static gint64
get_percentile (DbHistogram *histogram, double percent)
{
  DbHistogramView view;
  gint64 value;

  db_histogram_view_init (&view, histogram);
  value = db_histogram_view_get_percentile (&view, percent);
  db_histogram_view_clear (&view);
  return value;
}

static void
assert_within (gint64 value, gint64 expected)
{
  const double error = fabs ((double) value - (double) expected);

  if (error > (double) expected / 100)
    g_error ("%" G_GINT64_FORMAT " instead of %" G_GINT64_FORMAT, value, expected);
}

static void
test_empty (void)
{
  DbHistogram histogram = {0};
  DbHistogramView view;

  db_histogram_view_init (&view, &histogram);
  g_assert_cmpuint (view.count, ==, 0);
  g_assert_cmpuint (view.sum, ==, 0);
  g_assert_cmpint (view.max, ==, 0);
  g_assert_cmpint (db_histogram_view_get_percentile (&view, 50), ==, 0);
  g_assert_cmpint (db_histogram_view_get_percentile (&view, 100), ==, 0);
  g_assert_cmpuint (db_histogram_view_count_up_to (&view, G_MAXINT64), ==, 0);
  db_histogram_view_clear (&view);
  g_assert_null (histogram.chunks); /* it costs nothing */
  db_histogram_clear (&histogram);
}

/* One value at a time, over the whole range: the ends of all buckets, and between them. */
static void
test_error_of_each (void)
{
  for (gint64 value = 1; value < DB_HISTOGRAM_LONGEST / 2; value += 1 + value / 1000)
    {
      DbHistogram histogram = {0};

      db_histogram_record (&histogram, value);
      /* Not the only one, or it would be the maximum, which is exact. */
      db_histogram_record (&histogram, 2 * value);
      if (value < 128)
        g_assert_cmpint (get_percentile (&histogram, 50), ==, value);
      assert_within (get_percentile (&histogram, 50), value);
      g_assert_cmpint (get_percentile (&histogram, 100), ==, 2 * value);
      db_histogram_clear (&histogram);
    }
}

/* Against the values themselves, in order. */
static void
test_percentiles (void)
{
  static const double percents[] = {0, 1, 10, 50, 90, 95, 99, 99.9, 99.99, 100};
  const guint n = 100000;
  g_autoptr (GArray) values = g_array_new (FALSE, FALSE, sizeof (gint64));
  DbHistogram histogram = {0};
  DbHistogramView view;
  guint64 sum = 0;

  for (guint i = 0; i < n; i++)
    {
      /* as many of each length: 0 µs to half an hour */
      const gint64 value = (gint64) exp (g_test_rand_double_range (0, 21)) - 1;

      g_array_append_val (values, value);
      db_histogram_record (&histogram, value);
      sum += (guint64) value;
    }
  g_array_sort (values, compare);
  db_histogram_view_init (&view, &histogram);
  g_assert_cmpuint (view.count, ==, n);
  g_assert_cmpuint (view.sum, ==, sum);
  g_assert_cmpint (view.max, ==, g_array_index (values, gint64, n - 1));
  for (guint i = 0; i < G_N_ELEMENTS (percents); i++)
    {
      const double rank = MAX (ceil (percents[i] * n / 100 - 1e-6), 1);

      assert_within (db_histogram_view_get_percentile (&view, percents[i]),
                     g_array_index (values, gint64, (guint) rank - 1));
    }
  db_histogram_view_clear (&view);
  db_histogram_clear (&histogram);
}

/* The rank is exact: 99.9 % of 1,000 are 999. */
static void
test_ranks (void)
{
  DbHistogram histogram = {0};

  for (guint i = 0; i < 999; i++)
    db_histogram_record (&histogram, 1);
  db_histogram_record (&histogram, 100);
  g_assert_cmpint (get_percentile (&histogram, 99.9), ==, 1);
  g_assert_cmpint (get_percentile (&histogram, 99.91), ==, 100);
  g_assert_cmpint (get_percentile (&histogram, 100), ==, 100);
  g_assert_cmpint (get_percentile (&histogram, -5), ==, 1);
  g_assert_cmpint (get_percentile (&histogram, 500), ==, 100);
  db_histogram_clear (&histogram);
}

static void
test_bounds (void)
{
  DbHistogram histogram = {0};
  DbHistogramView view;

  for (gint64 value = 0; value <= 2000; value++)
    db_histogram_record (&histogram, value);
  db_histogram_view_init (&view, &histogram);
  g_assert_cmpuint (db_histogram_view_count_up_to (&view, -1), ==, 0);
  g_assert_cmpuint (db_histogram_view_count_up_to (&view, 0), ==, 1);
  g_assert_cmpuint (db_histogram_view_count_up_to (&view, 100), ==, 101);
  /* those that share a bucket with it: 1,000 to 1,007 */
  g_assert_cmpuint (db_histogram_view_count_up_to (&view, 1000), ==, 1008);
  g_assert_cmpuint (db_histogram_view_count_up_to (&view, 5000), ==, 2001);
  db_histogram_view_clear (&view);
  db_histogram_clear (&histogram);
}

static void
test_extremes (void)
{
  DbHistogram histogram = {0};
  DbHistogramView view;

  db_histogram_record (&histogram, G_MININT64);
  db_histogram_record (&histogram, -1);
  db_histogram_record (&histogram, 0);
  g_assert_cmpint (get_percentile (&histogram, 100), ==, 0);
  db_histogram_record (&histogram, DB_HISTOGRAM_LONGEST);
  assert_within (get_percentile (&histogram, 99), DB_HISTOGRAM_LONGEST);
  db_histogram_record (&histogram, G_MAXINT64);
  db_histogram_view_init (&view, &histogram);
  g_assert_cmpuint (view.count, ==, 5);
  g_assert_cmpint (view.max, ==, G_MAXINT64);
  g_assert_cmpuint (view.sum, ==, (guint64) G_MAXINT64 + DB_HISTOGRAM_LONGEST);
  g_assert_cmpint (db_histogram_view_get_percentile (&view, 100), ==, G_MAXINT64);
  assert_within (db_histogram_view_get_percentile (&view, 99), DB_HISTOGRAM_LONGEST);
  db_histogram_view_clear (&view);
  db_histogram_clear (&histogram);
}

static void
test_forget_and_add (void)
{
  DbHistogram histogram = {0};
  DbHistogram other = {0};
  DbHistogramView view;

  for (gint64 value = 0; value < 1000; value++)
    db_histogram_record (&histogram, value);
  for (gint64 value = 500; value < 1000; value++)
    db_histogram_forget (&histogram, value);
  db_histogram_record (&other, 7);
  db_histogram_record (&other, 5000);
  db_histogram_add (&histogram, &other);
  db_histogram_view_init (&view, &histogram);
  g_assert_cmpuint (view.count, ==, 502);
  g_assert_cmpuint (view.sum, ==, 499 * 500 / 2 + 7 + 5000);
  g_assert_cmpint (view.max, ==, 5000);
  g_assert_cmpuint (db_histogram_view_count_up_to (&view, 7), ==, 9);
  assert_within (db_histogram_view_get_percentile (&view, 99.7), 499);
  db_histogram_view_clear (&view);
  db_histogram_clear (&histogram);
  db_histogram_clear (&other);
}

typedef struct
{
  DbHistogram *histogram;
  int *n_missing; /* atomic: threads that have not begun; all begin together */
  int *n_left;    /* atomic: threads that record */
  guint number;
} Recorder;

/* All of them begin with nothing: they make the chunks together. */
static gpointer
record_in_thread (gpointer data)
{
  const Recorder *recorder = data;

  g_atomic_int_add (recorder->n_missing, -1);
  while (g_atomic_int_get (recorder->n_missing) > 0)
    ;
  for (guint i = 0; i < N_EACH; i++)
    db_histogram_record (recorder->histogram, (gint64) i * N_THREADS + recorder->number);
  g_atomic_int_add (recorder->n_left, -1);
  return NULL;
}

static void
test_threads (void)
{
  const guint64 n = (guint64) N_THREADS * N_EACH;
  DbHistogram histogram = {0};
  int n_missing = N_THREADS;
  int n_left = N_THREADS;
  GThread *threads[N_THREADS];
  Recorder recorders[N_THREADS];
  DbHistogramView view;
  guint64 seen = 0;

  for (guint i = 0; i < N_THREADS; i++)
    {
      recorders[i] = (Recorder){&histogram, &n_missing, &n_left, i};
      threads[i] = g_thread_new ("recorder", record_in_thread, &recorders[i]);
    }
  while (g_atomic_int_get (&n_left) > 0) /* a look meanwhile never goes back */
    {
      db_histogram_view_init (&view, &histogram);
      g_assert_cmpuint (view.count, >=, seen);
      seen = view.count;
      db_histogram_view_clear (&view);
    }
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);

  db_histogram_view_init (&view, &histogram);
  g_assert_cmpuint (view.count, ==, n);
  g_assert_cmpuint (view.sum, ==, n * (n - 1) / 2);
  g_assert_cmpint (view.max, ==, (gint64) n - 1);
  assert_within (db_histogram_view_get_percentile (&view, 50), (gint64) n / 2);
  db_histogram_view_clear (&view);
  db_histogram_clear (&histogram);
}

/* The worst: something in every bucket. */
static void
test_memory (void)
{
  DbHistogram histogram = {0};
  guint n_chunks = 0;
  gpointer *chunks;
  DbHistogramView view;

  for (guint bits = 0; bits < 56; bits++)
    for (gint64 i = 0; i < 64; i++)
      db_histogram_record (&histogram, ((64 + i) << bits) >> 6);
  chunks = histogram.chunks;
  for (guint i = 0; i < DB_HISTOGRAM_CHUNKS; i++)
    n_chunks += chunks[i] != NULL;
  g_assert_cmpuint (n_chunks, ==, DB_HISTOGRAM_CHUNKS);
  g_assert_cmpuint (sizeof (DbHistogram), <=, 24);
  g_assert_cmpuint (DB_HISTOGRAM_CHUNKS * (sizeof (gpointer) + 512), <=, 18 * 1024 + 512);
  db_histogram_view_init (&view, &histogram);
  g_assert_cmpuint (view.entries->len, <=, DB_HISTOGRAM_CHUNKS * DB_HISTOGRAM_BUCKETS);
  db_histogram_view_clear (&view);
  db_histogram_clear (&histogram);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/histogram/empty", test_empty);
  g_test_add_func ("/histogram/error-of-each", test_error_of_each);
  g_test_add_func ("/histogram/percentiles", test_percentiles);
  g_test_add_func ("/histogram/ranks", test_ranks);
  g_test_add_func ("/histogram/bounds", test_bounds);
  g_test_add_func ("/histogram/extremes", test_extremes);
  g_test_add_func ("/histogram/forget-and-add", test_forget_and_add);
  g_test_add_func ("/histogram/threads", test_threads);
  g_test_add_func ("/histogram/memory", test_memory);
  return g_test_run ();
}
