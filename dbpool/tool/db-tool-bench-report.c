/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What "dbpool bench" shows: the progress, on the standard error stream, and the report. */

#include "config.h"

#include "db-tool-bench-private.h"

#include <string.h>

#define BAR_WIDTH 30

static const char *const mode_names[] = {
  [BENCH_TRANSFER] = "transfer",
  [BENCH_SELECT] = "select",
  [BENCH_ASYNC] = "async",
  [BENCH_OVERHEAD] = "overhead",
};

void
bench_print_progress (Bench *self)
{
  const guint64 done = (guint) g_atomic_int_get (&self->n_done);
  g_autofree char *rate = NULL;
  char bar[BAR_WIDTH + 1] = {0};
  double seconds, part;

  if (!self->progress || !g_atomic_int_get (&self->running))
    return;
  db_lock_lock (&self->lock);
  seconds = (double) (g_get_monotonic_time () - self->started) / G_TIME_SPAN_SECOND;
  db_lock_unlock (&self->lock);
  part = MIN (1.0, seconds * G_TIME_SPAN_SECOND / (double) self->duration);
  for (int i = 0; i < BAR_WIDTH; i++)
    bar[i] = i < part * BAR_WIDTH ? '#' : '.';
  rate = tool_format_count ((guint64) ((double) done / MAX (seconds, 0.001)));
  fprintf (stderr, "\r[%s] %.1f of %.1f s, %s/s \033[K", bar,
           MIN (seconds, (double) self->duration / G_TIME_SPAN_SECOND),
           (double) self->duration / G_TIME_SPAN_SECOND, rate);
}

void
bench_clear_progress (Bench *self)
{
  if (self->progress)
    fputs ("\r\033[K", stderr);
}

static guint
get_pool_size (Bench *self)
{
  guint size;

  g_object_get (db_pool_get_config (self->pool), "max-connections", &size, NULL);
  return size;
}

static void
print_heading (Bench *self)
{
  const gboolean colour = tool_has_colour (stdout);

  printf ("%sdbpool bench: %s on %s%s\n", colour ? "\033[1m" : "", mode_names[self->mode],
          self->database, colour ? "\033[0m" : "");
}

static void
print_latency (const char *name, DbHistogram *histogram)
{
  g_autofree char *median = NULL;
  g_autofree char *late = NULL;
  g_autofree char *maximum = NULL;
  DbHistogramView view;

  db_histogram_view_init (&view, histogram);
  median = tool_format_duration (db_histogram_view_get_percentile (&view, 50));
  late = tool_format_duration (db_histogram_view_get_percentile (&view, 99));
  maximum = tool_format_duration (view.max);
  printf ("  %-14s %12s %12s %12s\n", name, median, late, maximum);
  db_histogram_view_clear (&view);
}

static void
print_counts (BenchTally *tally, const char *what, double seconds)
{
  g_autofree char *done = tool_format_count (tally->done);
  g_autofree char *rate = tool_format_count ((guint64) ((double) tally->done / seconds + 0.5));
  g_autofree char *retries = tool_format_count (tally->retries);
  g_autofree char *errors = tool_format_count (tally->errors);

  printf ("\n  %-14s %12s %12s/s\n", what, done, rate);
  printf ("  %-14s %12s\n", "retries", retries);
  printf ("  %-14s %12s", "errors", errors);
  if (tally->first_error != NULL)
    printf ("   the first: %s", tally->first_error);
  printf ("\n");
}

static void
print_pool (Bench *self)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (self->pool);
  g_autofree char *acquired = tool_format_count (db_pool_stats_get_acquired (stats));
  g_autofree char *waited = tool_format_count (db_pool_stats_get_waited (stats));

  printf ("\n  pool: %s acquired, %s of them after waiting; %" G_GUINT64_FORMAT
          " sessions opened, %" G_GUINT64_FORMAT " failed to; %" G_GUINT64_FORMAT " timeouts\n",
          acquired, waited, db_pool_stats_get_created (stats),
          db_pool_stats_get_create_failed (stats), db_pool_stats_get_timeouts (stats));
}

static void
print_money (Bench *self, gboolean audited, gint64 sum, const char *problem)
{
  const gboolean colour = tool_has_colour (stdout);
  g_autofree char *total = tool_format_count ((guint64) MAX (sum, 0));

  if (!audited)
    printf ("  money: %snot counted%s\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "");
  else if (problem != NULL)
    printf ("  money: %swrong%s: %s\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "", problem);
  else
    printf ("  money: %sintact%s, %s in %u accounts\n", colour ? "\033[32m" : "",
            colour ? "\033[0m" : "", total, self->n_accounts);
}

static void
print_text_report (Bench *self,
                   BenchTally *tally,
                   double seconds,
                   gboolean audited,
                   gint64 sum,
                   const char *problem)
{
  print_heading (self);
  printf ("%u clients over %u connections, %.1f s\n", self->n_clients, get_pool_size (self),
          seconds);
  print_counts (tally, self->mode == BENCH_SELECT ? "selects" : "transactions", seconds);
  printf ("\n  %-14s %12s %12s %12s\n", "", "p50", "p99", "max");
  print_latency ("wait", &tally->wait);
  print_latency ("total", &tally->total);
  print_pool (self);
  print_money (self, audited, sum, problem);
}

static void
add_latency (ToolJson *json, const char *name, DbHistogram *histogram)
{
  DbHistogramView view;

  db_histogram_view_init (&view, histogram);
  tool_json_begin (json, name, '{');
  tool_json_add_rounded (json, "p50", db_histogram_view_get_percentile (&view, 50) / 1e6, 6);
  tool_json_add_rounded (json, "p99", db_histogram_view_get_percentile (&view, 99) / 1e6, 6);
  tool_json_add_rounded (json, "max", view.max / 1e6, 6);
  tool_json_end (json, '}');
  db_histogram_view_clear (&view);
}

static void
add_pool (ToolJson *json, Bench *self)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (self->pool);

  tool_json_begin (json, "pool", '{');
  tool_json_add_int64 (json, "acquired", (gint64) db_pool_stats_get_acquired (stats));
  tool_json_add_int64 (json, "waited", (gint64) db_pool_stats_get_waited (stats));
  tool_json_add_int64 (json, "created", (gint64) db_pool_stats_get_created (stats));
  tool_json_add_int64 (json, "create_failed", (gint64) db_pool_stats_get_create_failed (stats));
  tool_json_add_int64 (json, "timeouts", (gint64) db_pool_stats_get_timeouts (stats));
  tool_json_end (json, '}');
}

static void
begin_json (ToolJson *json, Bench *self)
{
  tool_json_init (json);
  tool_json_begin (json, NULL, '{');
  tool_json_add_string (json, "mode", mode_names[self->mode]);
  tool_json_add_string (json, "database", self->database);
}

static void
print_json_report (Bench *self,
                   BenchTally *tally,
                   double seconds,
                   gboolean audited,
                   gint64 sum,
                   const char *problem)
{
  g_auto (ToolJson) json = {NULL};

  begin_json (&json, self);
  tool_json_add_int64 (&json, "clients", self->n_clients);
  tool_json_add_int64 (&json, "connections", get_pool_size (self));
  tool_json_add_int64 (&json, "accounts", self->n_accounts);
  tool_json_add_rounded (&json, "seconds", seconds, 3);
  tool_json_add_int64 (&json, "transactions", (gint64) tally->done);
  tool_json_add_rounded (&json, "transactions_per_second", (double) tally->done / seconds, 1);
  tool_json_add_int64 (&json, "retries", (gint64) tally->retries);
  tool_json_add_int64 (&json, "errors", (gint64) tally->errors);
  if (tally->first_error != NULL)
    tool_json_add_string (&json, "first_error", tally->first_error);
  add_latency (&json, "wait_ms", &tally->wait);
  add_latency (&json, "total_ms", &tally->total);
  add_pool (&json, self);
  if (audited)
    {
      tool_json_add_boolean (&json, "money_intact", problem == NULL);
      tool_json_add_int64 (&json, "money", sum);
    }
  else
    tool_json_add_null (&json, "money_intact");
  if (problem != NULL)
    tool_json_add_string (&json, "money_problem", problem);
  tool_json_end (&json, '}');
  printf ("%s\n", json.text->str);
}

void
bench_print_report (Bench *self,
                    BenchTally *tally,
                    double seconds,
                    gboolean audited,
                    gint64 sum,
                    const char *problem)
{
  if (self->format == TOOL_FORMAT_JSON)
    print_json_report (self, tally, seconds, audited, sum, problem);
  else
    print_text_report (self, tally, seconds, audited, sum, problem);
}

void
bench_print_overhead (Bench *self, const BenchOverhead *overhead)
{
  static const char *const names[BENCH_N_WAYS] = {
    [BENCH_BARE] = "bare client library",
    [BENCH_EXECUTE] = "pool: one-shot execute",
    [BENCH_ONE_SHOT] = "pool: one-shot query",
    [BENCH_LOAN] = "pool: acquire, query, release",
  };
  static const char *const keys[BENCH_N_WAYS] = {
    [BENCH_BARE] = "bare",
    [BENCH_EXECUTE] = "execute",
    [BENCH_ONE_SHOT] = "query",
    [BENCH_LOAN] = "loan",
  };
  g_auto (ToolJson) json = {NULL};

  if (self->format != TOOL_FORMAT_JSON)
    {
      print_heading (self);
      printf ("SELECT 1, one thread, in turns; medians\n\n");
      printf ("  %-34s %14s %8s\n", "", "queries", "ratio");
      for (guint i = 0; i < BENCH_N_WAYS; i++)
        {
          g_autofree char *rate = tool_format_count ((guint64) (overhead->rates[i] + 0.5));

          printf ("  %-34s %12s/s %8.3f\n", names[i], rate, overhead->ratios[i]);
        }
      return;
    }
  begin_json (&json, self);
  for (guint i = 0; i < BENCH_N_WAYS; i++)
    {
      g_autofree char *per_second = g_strconcat (keys[i], "_per_second", NULL);
      g_autofree char *ratio = g_strconcat (keys[i], "_ratio", NULL);

      tool_json_add_rounded (&json, per_second, overhead->rates[i], 1);
      if (i != BENCH_BARE)
        tool_json_add_rounded (&json, ratio, overhead->ratios[i], 4);
    }
  tool_json_end (&json, '}');
  printf ("%s\n", json.text->str);
}
