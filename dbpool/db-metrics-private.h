/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Between the files of metrics.
 *
 * What a pool does is counted by its core, which has the histograms, too; a collector adds what the
 * application records, and makes texts of both. What it is to show is gathered first, and written
 * then: a sample is all of one collector at one moment. */

#pragma once

#include "db-histogram-private.h"
#include "db-metrics-collector.h"
#include "db-metrics-summary.h"
#include "db-pool-engine-private.h"

typedef struct
{
  char *label; /* the name, as the value of a label */
  gboolean is_pool;
  DbPoolStats stats;
  guint64 dropped_otherwise; /* the application did not say why */
  guint max_connections;
  guint min_connections;
  DbHistogramView durations[DB_N_METRICS];
} DbMetricsSample;

DbMetricsSummary *db_metrics_summary_new (DbHistogram *histogram);

/* Of a pool: keeps the core of it. */
DbMetricsCollector *db_metrics_collector_new_for_engine (DbEngine *engine);
void db_metrics_collector_sample (DbMetricsCollector *self, DbMetricsSample *sample);

/* In db-metrics-export.c. */
char *db_metrics_format_samples (const DbMetricsSample *samples, gsize n, DbMetricsFormat format);
