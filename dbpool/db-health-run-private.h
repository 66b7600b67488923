/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One health check under way, and all that wait for it: blocking callers, tasks, a watch. It knows
 * its pool's engine and not the checker, so whoever drops that, or the pool, need not wait. */

#pragma once

#include "db-health-report.h"
#include "db-pool-engine-private.h"

#include <gio/gio.h>

/* The properties of a checker, at the moment of a check. Durations in microseconds, 0: no limit. */
typedef struct
{
  gint64 timeout;
  gint64 round_trip_threshold;
  gint64 wait_threshold;
  gint64 success_age_threshold;
  gint64 failure_window;
  guint failure_threshold;
  guint saturation_threshold; /* percent */
  gboolean quick_check;
} DbHealthSettings;

typedef struct _DbHealthRun DbHealthRun;

/* Called once, with no lock held, on any thread. */
typedef void (*DbHealthRunFunc) (DbHealthReport *report, gpointer data);

/* @failures_before: how many acquires had failed when the failure window began. */
DbHealthRun *
db_health_run_new (DbEngine *engine, const DbHealthSettings *settings, guint64 failures_before);
DbHealthRun *db_health_run_ref (DbHealthRun *self);
void db_health_run_unref (DbHealthRun *self);
/* Once, by whoever made it. */
void db_health_run_start (DbHealthRun *self);
gboolean db_health_run_is_done (DbHealthRun *self);

/* Waits for it; NULL with G_IO_ERROR_CANCELLED. */
DbHealthReport *db_health_run_wait (DbHealthRun *self, GCancellable *cancellable, GError **error);
/* @task, which is taken, returns the report, or G_IO_ERROR_CANCELLED if that comes first. */
void db_health_run_add_task (DbHealthRun *self, GTask *task);
/* @func is called when it is done, which may be now. */
void db_health_run_add_func (DbHealthRun *self,
                             DbHealthRunFunc func,
                             gpointer data,
                             GDestroyNotify data_unref);

/* How many acquires have failed: their deadline passed, or no session could be opened. */
guint64 db_health_count_failures (DbEngine *engine);

/* The report on a pool that was closed, or is gone (@engine is NULL). */
DbHealthReport *db_health_report_new_closed (const char *pool_name, DbEngine *engine);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbHealthRun, db_health_run_unref)
