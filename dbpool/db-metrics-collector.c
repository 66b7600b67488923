/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The metrics of a pool, or of an application's own connections, behind one interface.
 *
 * The collector of a pool has no histograms of its own: it looks at those of the pool's core, and
 * puts there what an application records. It keeps the core, but nothing else of the pool, which it
 * may outlive. Counters and histograms are atomic; there is no lock. */

#include "config.h"

#include "db-metrics-private.h"

#include <string.h>

/**
 * DbMetricsCollector:
 *
 * The numbers and the durations of a pool, for those who watch it.
 *
 * [method@Db.Pool.get_metrics] has that of a pool, which records everything by itself and all the
 * time. An application that opens connections of its own makes another one and records what it
 * does, or adds that to a pool's. There is one histogram for each [enum@Db.Metric]; a
 * [class@Db.MetricsSummary] has its percentiles, and
 * [method@Db.MetricsCollector.to_openmetrics] and [method@Db.MetricsCollector.to_prometheus] make
 * texts of everything.
 *
 * All methods may be called from any thread, and none blocks.
 *
 * Since: 1.0
 */
struct _DbMetricsCollector
{
  GObject parent_instance;

  /* read-only after construction */
  char *name;
  DbPoolCore *core; /* NULL: it belongs to no pool */
  DbStatementCounters *counters;
  DbHistogram *histograms; /* DB_N_METRICS: the core's, or its own; what is in them is atomic */

  /* atomic: what the application has recorded */
  guint64 n_acquired;
  guint64 n_returned;
  guint64 n_created;
  guint64 n_dropped;
  guint64 n_timeouts;
};

typedef enum
{
  PROP_NAME = 1,
} DbMetricsCollectorProperty;

static GParamSpec *properties[PROP_NAME + 1];

G_DEFINE_FINAL_TYPE (DbMetricsCollector, db_metrics_collector, G_TYPE_OBJECT)

static guint64
get (const guint64 *counter)
{
  return __atomic_load_n (counter, __ATOMIC_RELAXED);
}

static void
add (guint64 *counter)
{
  __atomic_fetch_add (counter, 1, __ATOMIC_RELAXED);
}

static void
db_metrics_collector_finalize (GObject *object)
{
  DbMetricsCollector *self = DB_METRICS_COLLECTOR (object);

  if (self->core == NULL)
    {
      for (guint i = 0; i < DB_N_METRICS; i++)
        db_histogram_clear (&self->histograms[i]);
      g_free (self->histograms);
    }
  g_clear_pointer (&self->core, db_pool_core_unref);
  g_clear_pointer (&self->counters, g_atomic_rc_box_release);
  g_free (self->name);
  G_OBJECT_CLASS (db_metrics_collector_parent_class)->finalize (object);
}

static void
db_metrics_collector_get_property (GObject *object,
                                   guint property_id,
                                   GValue *value,
                                   GParamSpec *pspec)
{
  switch ((DbMetricsCollectorProperty) property_id)
    {
    case PROP_NAME:
      g_value_set_string (value, DB_METRICS_COLLECTOR (object)->name);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
db_metrics_collector_set_property (GObject *object,
                                   guint property_id,
                                   const GValue *value,
                                   GParamSpec *pspec)
{
  DbMetricsCollector *self = DB_METRICS_COLLECTOR (object);

  switch ((DbMetricsCollectorProperty) property_id)
    {
    case PROP_NAME:
      self->name = g_strdup (g_value_get_string (value) != NULL ? g_value_get_string (value) : "");
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
db_metrics_collector_class_init (DbMetricsCollectorClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = db_metrics_collector_finalize;
  object_class->get_property = db_metrics_collector_get_property;
  object_class->set_property = db_metrics_collector_set_property;

  /**
   * DbMetricsCollector:name:
   *
   * What the label `pool` says in the texts: the name of the pool.
   *
   * Since: 1.0
   */
  properties[PROP_NAME] =
    g_param_spec_string ("name", NULL, NULL, NULL,
                         G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
db_metrics_collector_init (DbMetricsCollector *self)
{
  self->histograms = g_new0 (DbHistogram, DB_N_METRICS);
}

/**
 * db_metrics_collector_new:
 * @name: what the label `pool` says in the texts
 *
 * Makes a collector for connections of the application's own.
 *
 * Returns: (transfer full): a collector
 *
 * Since: 1.0
 */
DbMetricsCollector *
db_metrics_collector_new (const char *name)
{
  g_return_val_if_fail (name != NULL, NULL);

  return g_object_new (DB_TYPE_METRICS_COLLECTOR, "name", name, NULL);
}

DbMetricsCollector *
db_metrics_collector_new_for_engine (DbEngine *engine)
{
  DbMetricsCollector *self = db_metrics_collector_new (db_engine_get_name (engine));

  g_free (self->histograms);
  self->histograms = db_pool_core_get_histograms (engine->core);
  self->core = db_pool_core_ref (engine->core);
  self->counters = g_atomic_rc_box_acquire (engine->counters);
  return self;
}

/**
 * db_metrics_collector_get_name:
 * @self: a collector
 *
 * Gets what the label `pool` says in the texts.
 *
 * Returns: a name
 *
 * Since: 1.0
 */
const char *
db_metrics_collector_get_name (DbMetricsCollector *self)
{
  g_return_val_if_fail (DB_IS_METRICS_COLLECTOR (self), NULL);

  return self->name;
}

/* Recording. */

/**
 * db_metrics_collector_record_connection_acquired:
 * @self: a collector
 * @duration: for how long its caller waited, in microseconds; less than 0 counts as 0
 *
 * Records that somebody got a connection. Pools record theirs by themselves.
 *
 * Since: 1.0
 */
void
db_metrics_collector_record_connection_acquired (DbMetricsCollector *self, gint64 duration)
{
  g_return_if_fail (DB_IS_METRICS_COLLECTOR (self));

  add (&self->n_acquired);
  db_histogram_record (&self->histograms[DB_METRIC_WAIT], duration);
}

/**
 * db_metrics_collector_record_connection_returned:
 * @self: a collector
 * @duration: for how long it was out, in microseconds; less than 0 counts as 0
 *
 * Records that a connection came back. Pools record theirs by themselves.
 *
 * Since: 1.0
 */
void
db_metrics_collector_record_connection_returned (DbMetricsCollector *self, gint64 duration)
{
  g_return_if_fail (DB_IS_METRICS_COLLECTOR (self));

  add (&self->n_returned);
  db_histogram_record (&self->histograms[DB_METRIC_USE], duration);
}

/**
 * db_metrics_collector_record_connection_created:
 * @self: a collector
 * @duration: how long that took, in microseconds; less than 0 counts as 0
 *
 * Records that a connection was opened. Pools record theirs by themselves.
 *
 * Since: 1.0
 */
void
db_metrics_collector_record_connection_created (DbMetricsCollector *self, gint64 duration)
{
  g_return_if_fail (DB_IS_METRICS_COLLECTOR (self));

  add (&self->n_created);
  db_histogram_record (&self->histograms[DB_METRIC_CREATE], duration);
}

/**
 * db_metrics_collector_record_connection_dropped:
 * @self: a collector
 *
 * Records that a connection was closed. Pools record theirs by themselves, with the reason.
 *
 * Since: 1.0
 */
void
db_metrics_collector_record_connection_dropped (DbMetricsCollector *self)
{
  g_return_if_fail (DB_IS_METRICS_COLLECTOR (self));

  add (&self->n_dropped);
}

/**
 * db_metrics_collector_record_connection_validated:
 * @self: a collector
 * @duration: how long that took, in microseconds; less than 0 counts as 0
 *
 * Records that the database was asked whether a connection works. Pools record theirs by
 * themselves.
 *
 * Since: 1.0
 */
void
db_metrics_collector_record_connection_validated (DbMetricsCollector *self, gint64 duration)
{
  g_return_if_fail (DB_IS_METRICS_COLLECTOR (self));

  db_histogram_record (&self->histograms[DB_METRIC_VALIDATE], duration);
}

/**
 * db_metrics_collector_record_query:
 * @self: a collector
 * @duration: how long it took, in microseconds; less than 0 counts as 0
 *
 * Records an operation of a database. Pools record theirs by themselves.
 *
 * Since: 1.0
 */
void
db_metrics_collector_record_query (DbMetricsCollector *self, gint64 duration)
{
  g_return_if_fail (DB_IS_METRICS_COLLECTOR (self));

  db_histogram_record (&self->histograms[DB_METRIC_QUERY], duration);
}

/**
 * db_metrics_collector_record_timeout:
 * @self: a collector
 *
 * Records that somebody did not get a connection in time. Pools record theirs by themselves.
 *
 * Since: 1.0
 */
void
db_metrics_collector_record_timeout (DbMetricsCollector *self)
{
  g_return_if_fail (DB_IS_METRICS_COLLECTOR (self));

  add (&self->n_timeouts);
}

/* Looking. */

/**
 * db_metrics_collector_get_summary:
 * @self: a collector
 * @metric: which durations
 *
 * Gets how long something took, with percentiles.
 *
 * Returns: (transfer full): what there is at this moment
 *
 * Since: 1.0
 */
DbMetricsSummary *
db_metrics_collector_get_summary (DbMetricsCollector *self, DbMetric metric)
{
  g_return_val_if_fail (DB_IS_METRICS_COLLECTOR (self), NULL);
  g_return_val_if_fail ((guint) metric < DB_N_METRICS, NULL);

  if (self->core != NULL)
    db_pool_core_settle (self->core);
  return db_metrics_summary_new (&self->histograms[metric]);
}

/* How many there are on one side that are not on the other: an application may have recorded only
 * the second half. */
static guint
difference (guint64 more, guint64 less)
{
  return more > less ? (guint) MIN (more - less, G_MAXUINT) : 0;
}

/* What the application has recorded comes on top of what the pool has counted. */
static void
add_recorded (DbMetricsCollector *self, DbMetricsSample *sample)
{
  const guint64 acquired = get (&self->n_acquired);
  const guint64 created = get (&self->n_created);
  const guint64 timeouts = get (&self->n_timeouts);
  const guint used = difference (acquired, get (&self->n_returned));

  sample->dropped_otherwise = get (&self->n_dropped);
  sample->stats.lent += used;
  sample->stats.idle += difference (created, sample->dropped_otherwise + used);
  sample->stats.acquired += acquired;
  sample->stats.timeouts += timeouts;
  sample->stats.requests += acquired + timeouts;
  sample->stats.created += created;
}

void
db_metrics_collector_sample (DbMetricsCollector *self, DbMetricsSample *sample)
{
  *sample = (DbMetricsSample){.is_pool = self->core != NULL};
  if (sample->is_pool)
    {
      DbPoolCoreInfo info;

      db_pool_stats_take (&sample->stats, self->core, self->counters);
      db_pool_core_get_info (self->core, &info);
      sample->max_connections = info.max_connections;
      sample->min_connections = info.min_connections;
      db_pool_core_settle (self->core);
    }
  add_recorded (self, sample);
  for (guint i = 0; i < DB_N_METRICS; i++)
    db_histogram_view_init (&sample->durations[i], &self->histograms[i]);
}

static void
sample_clear (DbMetricsSample *sample)
{
  for (guint i = 0; i < DB_N_METRICS; i++)
    db_histogram_view_clear (&sample->durations[i]);
  g_free (sample->label);
}

/**
 * db_metrics_collector_to_openmetrics:
 * @self: a collector
 *
 * Writes everything as OpenMetrics 1.0, whose `Content-Type` is
 * [const@Db.METRICS_CONTENT_TYPE_OPENMETRICS].
 *
 * It is a whole document. For more than one collector, use
 * [func@Db.MetricsCollector.format_all].
 *
 * Returns: (transfer full): a text
 *
 * Since: 1.0
 */
char *
db_metrics_collector_to_openmetrics (DbMetricsCollector *self)
{
  return db_metrics_collector_format_all (&self, 1, DB_METRICS_FORMAT_OPENMETRICS);
}

/**
 * db_metrics_collector_to_prometheus:
 * @self: a collector
 *
 * Writes everything in the text format 0.0.4 of Prometheus, whose `Content-Type` is
 * [const@Db.METRICS_CONTENT_TYPE_PROMETHEUS].
 *
 * For more than one collector, use [func@Db.MetricsCollector.format_all]: texts that are put one
 * behind the other are not valid.
 *
 * Returns: (transfer full): a text
 *
 * Since: 1.0
 */
char *
db_metrics_collector_to_prometheus (DbMetricsCollector *self)
{
  return db_metrics_collector_format_all (&self, 1, DB_METRICS_FORMAT_PROMETHEUS);
}

/* As it stands between quotes. */
static char *
escape (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *escaped = g_string_new (valid);

  g_string_replace (escaped, "\\", "\\\\", 0);
  g_string_replace (escaped, "\"", "\\\"", 0);
  g_string_replace (escaped, "\n", "\\n", 0);
  return g_string_free (escaped, FALSE);
}

static gboolean
is_taken (const char *label, const DbMetricsSample *samples, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (strcmp (samples[i].label, label) == 0)
      return TRUE;
  return FALSE;
}

/* The value of the label "pool". Every one of a text must be different, whatever the names are: the
 * second that is called "shop" is called "shop (2)". The first @n of @samples have theirs. */
static char *
choose_label (const char *name, const DbMetricsSample *samples, gsize n)
{
  g_autofree char *escaped = escape (name);
  char *label = g_strdup (escaped);

  for (guint number = 2; is_taken (label, samples, n); number++)
    {
      g_free (label);
      label = g_strdup_printf ("%s (%u)", escaped, number);
    }
  return label;
}

/**
 * db_metrics_collector_format_all:
 * @collectors: (array length=n_collectors): collectors
 * @n_collectors: how many they are
 * @format: the format
 *
 * Writes what several collectors have into one text.
 *
 * The label `pool` says what is whose. Collectors should have different names; a second one of the
 * same name gets a number.
 *
 * Returns: (transfer full): a text
 *
 * Since: 1.0
 */
char *
db_metrics_collector_format_all (DbMetricsCollector **collectors,
                                 gsize n_collectors,
                                 DbMetricsFormat format)
{
  g_autofree DbMetricsSample *samples = g_new0 (DbMetricsSample, n_collectors);
  char *text;

  for (gsize i = 0; i < n_collectors; i++)
    g_return_val_if_fail (DB_IS_METRICS_COLLECTOR (collectors[i]), NULL);

  for (gsize i = 0; i < n_collectors; i++)
    {
      db_metrics_collector_sample (collectors[i], &samples[i]);
      samples[i].label = choose_label (collectors[i]->name, samples, i);
    }
  text = db_metrics_format_samples (samples, n_collectors, format);
  for (gsize i = 0; i < n_collectors; i++)
    sample_clear (&samples[i]);
  return text;
}
