/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-health-report.h"

/* Filled in by whoever makes it, and never changed after that. */
struct _DbHealthReport
{
  GObject parent_instance;

  DbHealthStatus status; /* the worst of its reasons */
  GPtrArray *codes;      /* %NULL-terminated in a finished one, like the next */
  GPtrArray *reasons;
  gboolean answered;
  gint64 round_trip;  /* -1: none */
  gint64 success_age; /* -1: none */
  gint64 duration;
  gint64 time;
  char *pool_name;
  char *database; /* NULL: not known any more */
  GVariant *facts;
  DbPoolStats *stats;
  GError *error;
};

/* HEALTHY, without a reason. */
DbHealthReport *db_health_report_new (const char *pool_name);
/* One more reason, for a status no better than @status. */
void db_health_report_add (DbHealthReport *self,
                           DbHealthStatus status,
                           const char *code,
                           const char *format,
                           ...) G_GNUC_PRINTF (4, 5);
/* Nothing is added any more. */
DbHealthReport *db_health_report_finish (DbHealthReport *self);
