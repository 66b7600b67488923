/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a histogram had at one moment: a view of it, made at construction and never changed. No
 * lock. */

#include "config.h"

#include "db-metrics-private.h"

/**
 * DbMetricsSummary:
 *
 * How long something took: one of the histograms of a [class@Db.MetricsCollector] at one moment.
 *
 * All durations are in microseconds. The number, the sum and the maximum are exact; percentiles are
 * right to within 1 %, up to some days. It never changes, and may be used by any thread.
 *
 * Since: 1.0
 */
struct _DbMetricsSummary
{
  GObject parent_instance;

  DbHistogramView view;
};

typedef enum
{
  PROP_COUNT = 1,
  PROP_SUM,
  PROP_MAX,
  PROP_P50,
  PROP_P90,
  PROP_P95,
  PROP_P99,
  PROP_P999,
} DbMetricsSummaryProperty;

static GParamSpec *properties[PROP_P999 + 1];

G_DEFINE_FINAL_TYPE (DbMetricsSummary, db_metrics_summary, G_TYPE_OBJECT)

static const double percents[] = {
  [PROP_P50] = 50, [PROP_P90] = 90, [PROP_P95] = 95, [PROP_P99] = 99, [PROP_P999] = 99.9,
};

static void
db_metrics_summary_finalize (GObject *object)
{
  db_histogram_view_clear (&DB_METRICS_SUMMARY (object)->view);
  G_OBJECT_CLASS (db_metrics_summary_parent_class)->finalize (object);
}

static void
db_metrics_summary_get_property (GObject *object,
                                 guint property_id,
                                 GValue *value,
                                 GParamSpec *pspec)
{
  DbMetricsSummary *self = DB_METRICS_SUMMARY (object);

  switch ((DbMetricsSummaryProperty) property_id)
    {
    case PROP_COUNT:
      g_value_set_uint64 (value, db_metrics_summary_get_count (self));
      break;
    case PROP_SUM:
      g_value_set_uint64 (value, db_metrics_summary_get_sum (self));
      break;
    case PROP_MAX:
      g_value_set_int64 (value, db_metrics_summary_get_max (self));
      break;
    case PROP_P50:
    case PROP_P90:
    case PROP_P95:
    case PROP_P99:
    case PROP_P999:
      g_value_set_int64 (value, db_metrics_summary_get_percentile (self, percents[property_id]));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static GParamSpec *
new_duration (const char *name)
{
  return g_param_spec_int64 (name, NULL, NULL, 0, G_MAXINT64, 0,
                             G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
}

static GParamSpec *
new_number (const char *name)
{
  return g_param_spec_uint64 (name, NULL, NULL, 0, G_MAXUINT64, 0,
                              G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
}

static void
db_metrics_summary_class_init (DbMetricsSummaryClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = db_metrics_summary_finalize;
  object_class->get_property = db_metrics_summary_get_property;

  /**
   * DbMetricsSummary:count:
   *
   * How many durations there are.
   *
   * Since: 1.0
   */
  properties[PROP_COUNT] = new_number ("count");

  /**
   * DbMetricsSummary:sum:
   *
   * How long they were together, in microseconds.
   *
   * Since: 1.0
   */
  properties[PROP_SUM] = new_number ("sum");

  /**
   * DbMetricsSummary:max:
   *
   * The longest, in microseconds; 0 if there is none.
   *
   * Since: 1.0
   */
  properties[PROP_MAX] = new_duration ("max");

  /**
   * DbMetricsSummary:p50:
   *
   * The median: half of them were not longer; in microseconds, 0 if there is none.
   *
   * Since: 1.0
   */
  properties[PROP_P50] = new_duration ("p50");

  /**
   * DbMetricsSummary:p90:
   *
   * What 90 % were not longer than, in microseconds; 0 if there is none.
   *
   * Since: 1.0
   */
  properties[PROP_P90] = new_duration ("p90");

  /**
   * DbMetricsSummary:p95:
   *
   * What 95 % were not longer than, in microseconds; 0 if there is none.
   *
   * Since: 1.0
   */
  properties[PROP_P95] = new_duration ("p95");

  /**
   * DbMetricsSummary:p99:
   *
   * What 99 % were not longer than, in microseconds; 0 if there is none.
   *
   * Since: 1.0
   */
  properties[PROP_P99] = new_duration ("p99");

  /**
   * DbMetricsSummary:p999:
   *
   * What 99.9 % were not longer than, in microseconds; 0 if there is none.
   *
   * Since: 1.0
   */
  properties[PROP_P999] = new_duration ("p999");

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
db_metrics_summary_init (DbMetricsSummary *self)
{
}

DbMetricsSummary *
db_metrics_summary_new (DbHistogram *histogram)
{
  DbMetricsSummary *self = g_object_new (DB_TYPE_METRICS_SUMMARY, NULL);

  db_histogram_view_init (&self->view, histogram);
  return self;
}

/**
 * db_metrics_summary_get_count:
 * @self: a summary
 *
 * Gets how many durations there are.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_metrics_summary_get_count (DbMetricsSummary *self)
{
  g_return_val_if_fail (DB_IS_METRICS_SUMMARY (self), 0);

  return self->view.count;
}

/**
 * db_metrics_summary_get_sum:
 * @self: a summary
 *
 * Gets how long they were together.
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
guint64
db_metrics_summary_get_sum (DbMetricsSummary *self)
{
  g_return_val_if_fail (DB_IS_METRICS_SUMMARY (self), 0);

  return self->view.sum;
}

/**
 * db_metrics_summary_get_max:
 * @self: a summary
 *
 * Gets how long the longest was.
 *
 * Returns: microseconds; 0 if there is none
 *
 * Since: 1.0
 */
gint64
db_metrics_summary_get_max (DbMetricsSummary *self)
{
  g_return_val_if_fail (DB_IS_METRICS_SUMMARY (self), 0);

  return self->view.max;
}

/**
 * db_metrics_summary_get_percentile:
 * @self: a summary
 * @percent: how many percent of the durations, 0 to 100
 *
 * Gets what so many percent of the durations were not longer than, to within 1 %.
 *
 * 100 is the longest of all, exactly. What is out of range is taken for the end that it is nearer
 * to.
 *
 * Returns: microseconds; 0 if there is none
 *
 * Since: 1.0
 */
gint64
db_metrics_summary_get_percentile (DbMetricsSummary *self, double percent)
{
  g_return_val_if_fail (DB_IS_METRICS_SUMMARY (self), 0);

  return db_histogram_view_get_percentile (&self->view, percent);
}
