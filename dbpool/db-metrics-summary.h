/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_METRICS_SUMMARY (db_metrics_summary_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbMetricsSummary, db_metrics_summary, DB, METRICS_SUMMARY, GObject)

DB_AVAILABLE_IN_1_0
guint64 db_metrics_summary_get_count (DbMetricsSummary *self);
DB_AVAILABLE_IN_1_0
guint64 db_metrics_summary_get_sum (DbMetricsSummary *self);
DB_AVAILABLE_IN_1_0
gint64 db_metrics_summary_get_max (DbMetricsSummary *self);
DB_AVAILABLE_IN_1_0
gint64 db_metrics_summary_get_percentile (DbMetricsSummary *self, double percent);

G_END_DECLS
