/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_POOL_STATS (db_pool_stats_get_type ())
DB_AVAILABLE_IN_1_0
GType db_pool_stats_get_type (void) G_GNUC_CONST;

DB_AVAILABLE_IN_1_0
DbPoolStats *db_pool_stats_copy (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
void db_pool_stats_free (DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint db_pool_stats_get_total (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint db_pool_stats_get_idle (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint db_pool_stats_get_lent (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint db_pool_stats_get_opening (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint db_pool_stats_get_busy (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint db_pool_stats_get_dedicated (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint db_pool_stats_get_waiting (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_requests (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_acquired (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_waited (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_timeouts (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_cancelled (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_errors (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_refused (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_created (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_create_failed (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_dropped (const DbPoolStats *self, DbDropReason reason);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_detached (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_finalized (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_leaks (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_deadlocks (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_events_dropped (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_statement_hits (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
guint64 db_pool_stats_get_statement_misses (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
gint64 db_pool_stats_get_wait_time (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
gint64 db_pool_stats_get_use_time (const DbPoolStats *self);
DB_AVAILABLE_IN_1_0
char *db_pool_stats_to_string (const DbPoolStats *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbPoolStats, db_pool_stats_free)

G_END_DECLS
