/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-health-report.h"
#include "db-pool.h"

G_BEGIN_DECLS

#define DB_TYPE_HEALTH_CHECKER (db_health_checker_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbHealthChecker, db_health_checker, DB, HEALTH_CHECKER, GObject)

DB_AVAILABLE_IN_1_0
DbHealthChecker *db_health_checker_new (DbPool *pool);
DB_AVAILABLE_IN_1_0
DbHealthReport *
db_health_checker_check (DbHealthChecker *self, GCancellable *cancellable, GError **error);
DB_AVAILABLE_IN_1_0
void db_health_checker_check_async (DbHealthChecker *self,
                                    GCancellable *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data);
DB_AVAILABLE_IN_1_0
DbHealthReport *
db_health_checker_check_finish (DbHealthChecker *self, GAsyncResult *result, GError **error);
DB_AVAILABLE_IN_1_0
void db_health_checker_start (DbHealthChecker *self);
DB_AVAILABLE_IN_1_0
void db_health_checker_stop (DbHealthChecker *self);
DB_AVAILABLE_IN_1_0
gboolean db_health_checker_is_watching (DbHealthChecker *self);
DB_AVAILABLE_IN_1_0
DbHealthStatus db_health_checker_get_status (DbHealthChecker *self);
DB_AVAILABLE_IN_1_0
DbHealthReport *db_health_checker_dup_report (DbHealthChecker *self);

G_END_DECLS
