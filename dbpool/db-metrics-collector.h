/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-types.h"

G_BEGIN_DECLS

/**
 * DB_METRICS_CONTENT_TYPE_OPENMETRICS:
 *
 * The `Content-Type` of [method@Db.MetricsCollector.to_openmetrics].
 *
 * Since: 1.0
 */
#define DB_METRICS_CONTENT_TYPE_OPENMETRICS                                                        \
  "application/openmetrics-text; version=1.0.0; charset=utf-8"

/**
 * DB_METRICS_CONTENT_TYPE_PROMETHEUS:
 *
 * The `Content-Type` of [method@Db.MetricsCollector.to_prometheus].
 *
 * Since: 1.0
 */
#define DB_METRICS_CONTENT_TYPE_PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"

#define DB_TYPE_METRICS_COLLECTOR (db_metrics_collector_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbMetricsCollector, db_metrics_collector, DB, METRICS_COLLECTOR, GObject)

DB_AVAILABLE_IN_1_0
DbMetricsCollector *db_metrics_collector_new (const char *name);

DB_AVAILABLE_IN_1_0
const char *db_metrics_collector_get_name (DbMetricsCollector *self);

DB_AVAILABLE_IN_1_0
void db_metrics_collector_record_connection_acquired (DbMetricsCollector *self, gint64 duration);
DB_AVAILABLE_IN_1_0
void db_metrics_collector_record_connection_returned (DbMetricsCollector *self, gint64 duration);
DB_AVAILABLE_IN_1_0
void db_metrics_collector_record_connection_created (DbMetricsCollector *self, gint64 duration);
DB_AVAILABLE_IN_1_0
void db_metrics_collector_record_connection_dropped (DbMetricsCollector *self);
DB_AVAILABLE_IN_1_0
void db_metrics_collector_record_connection_validated (DbMetricsCollector *self, gint64 duration);
DB_AVAILABLE_IN_1_0
void db_metrics_collector_record_query (DbMetricsCollector *self, gint64 duration);
DB_AVAILABLE_IN_1_0
void db_metrics_collector_record_timeout (DbMetricsCollector *self);

DB_AVAILABLE_IN_1_0
DbMetricsSummary *db_metrics_collector_get_summary (DbMetricsCollector *self, DbMetric metric);
DB_AVAILABLE_IN_1_0
char *db_metrics_collector_to_openmetrics (DbMetricsCollector *self);
DB_AVAILABLE_IN_1_0
char *db_metrics_collector_to_prometheus (DbMetricsCollector *self);
DB_AVAILABLE_IN_1_0
char *db_metrics_collector_format_all (DbMetricsCollector **collectors,
                                       gsize n_collectors,
                                       DbMetricsFormat format);

G_END_DECLS
