/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The two text formats of metrics. No state: samples go in, a text comes out.
 *
 * They differ in their headers (OpenMetrics names the family of a counter without "_total", and has
 * units) and in the last line. Names are those of OpenTelemetry's conventions for databases where
 * it has one, with the unit as it becomes in these formats. Numbers are written without the locale.
 */

#include "config.h"

#include "db-metrics-private.h"

typedef struct
{
  const char *text; /* as a canonical float of OpenMetrics, the same in both formats */
  gint64 bound;     /* microseconds */
} Bound;

static const Bound bounds[] = {
  {"1e-05", 10},    {"5e-05", 50},    {"0.0001", 100},    {"0.0005", 500},    {"0.001", 1000},
  {"0.005", 5000},  {"0.01", 10000},  {"0.05", 50000},    {"0.1", 100000},    {"0.5", 500000},
  {"1.0", 1000000}, {"5.0", 5000000}, {"10.0", 10000000}, {"60.0", 60000000},
};

typedef struct
{
  const char *name; /* without "_total" */
  const char *help;
  gsize offset; /* of a guint64 in DbPoolStats */
} Counter;

static const Counter counters[] = {
  {"db_client_connection_detached", "Connections that were taken out of the pool for good.",
   G_STRUCT_OFFSET (DbPoolStats, detached)},
  {"db_client_connection_finalized",
   "Loans that ended with the last reference to their connection.",
   G_STRUCT_OFFSET (DbPoolStats, finalized)},
  {"db_client_connection_leaks", "Loans that were out for longer than the leak threshold.",
   G_STRUCT_OFFSET (DbPoolStats, leaks)},
  {"db_client_connection_deadlocks",
   "Times when every session was lent to threads that waited for one.",
   G_STRUCT_OFFSET (DbPoolStats, deadlocks)},
  {"db_client_connection_open_failures", "Attempts to open a session that failed.",
   G_STRUCT_OFFSET (DbPoolStats, create_failed)},
  {"db_client_connection_events_dropped", "Signals that nobody fetched in time.",
   G_STRUCT_OFFSET (DbPoolStats, events_dropped)},
  {"db_client_statement_cache_hits", "Statements that their session had prepared before.",
   G_STRUCT_OFFSET (DbPoolStats, statement_hits)},
  {"db_client_statement_cache_misses", "Statements that could have been prepared and were not.",
   G_STRUCT_OFFSET (DbPoolStats, statement_misses)},
};

static const struct
{
  const char *name;
  const char *help;
} durations[DB_N_METRICS] = {
  [DB_METRIC_WAIT] = {"db_client_connection_wait_time_seconds",
                      "For how long callers waited for the connection that they got."},
  [DB_METRIC_USE] = {"db_client_connection_use_time_seconds", "For how long connections were out."},
  [DB_METRIC_CREATE] = {"db_client_connection_create_time_seconds",
                        "How long it took to open a session."},
  [DB_METRIC_VALIDATE] = {"db_client_connection_validate_time_seconds",
                          "How long it took to ask whether a session still works."},
  [DB_METRIC_QUERY] = {"db_client_operation_duration_seconds",
                       "How long operations on connections took."},
};

typedef struct
{
  GString *text;
  DbMetricsFormat format;
  const DbMetricsSample *samples;
  gsize n;
} Writer;

static void
write_header (Writer *self, const char *name, const char *type, const char *unit, const char *help)
{
  const gboolean is_open = self->format == DB_METRICS_FORMAT_OPENMETRICS;
  const char *suffix = !is_open && g_str_equal (type, "counter") ? "_total" : "";

  g_string_append_printf (self->text, "# TYPE %s%s %s\n", name, suffix, type);
  if (is_open && unit != NULL)
    g_string_append_printf (self->text, "# UNIT %s %s\n", name, unit);
  g_string_append_printf (self->text, "# HELP %s%s %s\n", name, suffix, help);
}

/* A line. @suffix: of the name; @label: one more besides "pool", or NULL. */
static void
write_value (Writer *self,
             const DbMetricsSample *sample,
             const char *name,
             const char *suffix,
             const char *label,
             const char *label_value,
             guint64 value)
{
  g_string_append_printf (self->text, "%s%s{pool=\"%s\"", name, suffix, sample->label);
  if (label != NULL)
    g_string_append_printf (self->text, ",%s=\"%s\"", label, label_value);
  g_string_append_printf (self->text, "} %" G_GUINT64_FORMAT "\n", value);
}

static gboolean
has_pools (Writer *self)
{
  for (gsize i = 0; i < self->n; i++)
    if (self->samples[i].is_pool)
      return TRUE;
  return FALSE;
}

/* Gauges. */

/* In the order of DbSlotState, in OpenTelemetry's words where it has them. */
static const char *const state_names[] = {
  "opening", "idle", "checking", "used", "resetting", "closing", "dedicated",
};

G_STATIC_ASSERT (G_N_ELEMENTS (state_names) == G_N_ELEMENTS (((DbPoolStats *) NULL)->in_state));

static void
write_connections (Writer *self)
{
  const char *name = "db_client_connections";

  write_header (self, name, "gauge", NULL, "Sessions, by what is being done with them.");
  for (gsize i = 0; i < self->n; i++)
    for (guint state = 0; state < G_N_ELEMENTS (state_names); state++)
      if (self->samples[i].is_pool || state == DB_SLOT_IDLE || state == DB_SLOT_LENT)
        write_value (self, &self->samples[i], name, "", "state", state_names[state],
                     self->samples[i].stats.in_state[state]);
}

/* What only pools have. */
static void
write_pool_gauge (Writer *self, const char *name, const char *help, gsize offset)
{
  if (!has_pools (self))
    return;
  write_header (self, name, "gauge", NULL, help);
  for (gsize i = 0; i < self->n; i++)
    if (self->samples[i].is_pool)
      write_value (self, &self->samples[i], name, "", NULL, NULL,
                   G_STRUCT_MEMBER (guint, &self->samples[i], offset));
}

/* Counters. */

static void
write_counter (Writer *self, const char *name, const char *help, gsize offset)
{
  write_header (self, name, "counter", NULL, help);
  for (gsize i = 0; i < self->n; i++)
    write_value (self, &self->samples[i], name, "_total", NULL, NULL,
                 G_STRUCT_MEMBER (guint64, &self->samples[i].stats, offset));
}

static void
write_pool_counter (Writer *self, const Counter *counter)
{
  write_header (self, counter->name, "counter", NULL, counter->help);
  for (gsize i = 0; i < self->n; i++)
    if (self->samples[i].is_pool)
      write_value (self, &self->samples[i], counter->name, "_total", NULL, NULL,
                   G_STRUCT_MEMBER (guint64, &self->samples[i].stats, counter->offset));
}

static void
write_requests (Writer *self)
{
  const char *name = "db_client_connection_requests";

  write_header (self, name, "counter", NULL,
                "Callers that asked for a connection, by the outcome.");
  for (gsize i = 0; i < self->n; i++)
    {
      const DbPoolStats *stats = &self->samples[i].stats;
      const struct
      {
        const char *outcome;
        guint64 value;
      } values[] = {
        {"acquired", stats->acquired},   {"timeout", stats->timeouts},
        {"cancelled", stats->cancelled}, {"failed", stats->errors},
        {"refused", stats->refused},
      };

      for (guint j = 0; j < G_N_ELEMENTS (values); j++)
        write_value (self, &self->samples[i], name, "_total", "outcome", values[j].outcome,
                     values[j].value);
    }
}

static void
write_dropped (Writer *self)
{
  const char *name = "db_client_connections_dropped";
  g_autoptr (GEnumClass) reasons = g_type_class_ref (DB_TYPE_DROP_REASON);

  write_header (self, name, "counter", NULL, "Sessions that were closed, by the reason.");
  for (gsize i = 0; i < self->n; i++)
    {
      const DbMetricsSample *sample = &self->samples[i];

      for (guint j = 0; sample->is_pool && j < DB_N_DROP_REASONS; j++)
        write_value (self, sample, name, "_total", "reason",
                     g_enum_get_value (reasons, (int) j)->value_nick, sample->stats.dropped[j]);
      if (!sample->is_pool || sample->dropped_otherwise > 0)
        write_value (self, sample, name, "_total", "reason", "other", sample->dropped_otherwise);
    }
}

/* Histograms. */

static void
write_sample_durations (Writer *self, const DbMetricsSample *sample, DbMetric metric)
{
  const DbHistogramView *view = &sample->durations[metric];
  const char *name = durations[metric].name;

  for (guint i = 0; i < G_N_ELEMENTS (bounds); i++)
    write_value (self, sample, name, "_bucket", "le", bounds[i].text,
                 db_histogram_view_count_up_to (view, bounds[i].bound));
  write_value (self, sample, name, "_bucket", "le", "+Inf", view->count);
  g_string_append_printf (self->text,
                          "%s_sum{pool=\"%s\"} %" G_GUINT64_FORMAT ".%06" G_GUINT64_FORMAT "\n",
                          name, sample->label, view->sum / 1000000, view->sum % 1000000);
  write_value (self, sample, name, "_count", NULL, NULL, view->count);
}

static void
write_durations (Writer *self, DbMetric metric)
{
  write_header (self, durations[metric].name, "histogram", "seconds", durations[metric].help);
  for (gsize i = 0; i < self->n; i++)
    write_sample_durations (self, &self->samples[i], metric);
}

char *
db_metrics_format_samples (const DbMetricsSample *samples, gsize n, DbMetricsFormat format)
{
  Writer self = {g_string_sized_new (n * 12 * 1024), format, samples, n};

  if (n > 0)
    {
      write_connections (&self);
      write_pool_gauge (&self, "db_client_connection_max", "The most sessions there may be.",
                        G_STRUCT_OFFSET (DbMetricsSample, max_connections));
      write_pool_gauge (&self, "db_client_connection_idle_min",
                        "How many sessions are kept, idle and used together.",
                        G_STRUCT_OFFSET (DbMetricsSample, min_connections));
      write_pool_gauge (&self, "db_client_connection_pending_requests",
                        "Callers that wait for a connection.",
                        G_STRUCT_OFFSET (DbMetricsSample, stats.waiting));
      write_counter (&self, "db_client_connection_timeouts",
                     "Callers whose deadline passed before they got a connection.",
                     G_STRUCT_OFFSET (DbPoolStats, timeouts));
      write_requests (&self);
      write_counter (&self, "db_client_connections_opened", "Sessions that were opened.",
                     G_STRUCT_OFFSET (DbPoolStats, created));
      write_dropped (&self);
      for (guint i = 0; has_pools (&self) && i < G_N_ELEMENTS (counters); i++)
        write_pool_counter (&self, &counters[i]);
      for (guint i = 0; i < DB_N_METRICS; i++)
        write_durations (&self, i);
    }
  if (format == DB_METRICS_FORMAT_OPENMETRICS)
    g_string_append (self.text, "# EOF\n");
  return g_string_free (self.text, FALSE);
}
