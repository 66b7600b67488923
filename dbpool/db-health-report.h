/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-pool-stats.h"
#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_HEALTH_REPORT (db_health_report_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbHealthReport, db_health_report, DB, HEALTH_REPORT, GObject)

DB_AVAILABLE_IN_1_0
DbHealthStatus db_health_report_get_status (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
const char *const *db_health_report_get_reasons (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
const char *const *db_health_report_get_codes (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
gboolean db_health_report_has_reason (DbHealthReport *self, const char *code);
DB_AVAILABLE_IN_1_0
gboolean db_health_report_get_answered (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
gint64 db_health_report_get_round_trip (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
gint64 db_health_report_get_success_age (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
gint64 db_health_report_get_duration (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
gint64 db_health_report_get_time (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
const char *db_health_report_get_pool_name (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
const char *db_health_report_get_database (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
GVariant *db_health_report_get_facts (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
DbPoolStats *db_health_report_get_stats (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
GError *db_health_report_dup_error (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
char *db_health_report_to_string (DbHealthReport *self);
DB_AVAILABLE_IN_1_0
char *db_health_report_to_json (DbHealthReport *self);

G_END_DECLS
