/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A source that has a checker look again and again. It lives in the main context where it was
 * started, has no thread, and holds neither the checker nor its pool. */

#pragma once

#include "db-health-run-private.h"

#include <glib-object.h>

typedef struct _DbHealthWatch DbHealthWatch;

/* What the watch calls, in its context and with no lock held. begin(): a check that is under way,
 * as a reference, or NULL when there is nothing to look at any more, and @report says so (or not,
 * in a forked child). done(): what came of it; the microseconds until the next one, or -1 for the
 * end of the watch. */
typedef struct
{
  DbHealthRun *(*begin) (gpointer checker, DbHealthReport **report);
  gint64 (*done) (gpointer checker, DbHealthWatch *watch, DbHealthReport *report);
} DbHealthWatchFuncs;

/* Attached to the thread's default context; looks for the first time at once. */
DbHealthWatch *db_health_watch_new (GObject *checker, const DbHealthWatchFuncs *funcs);
/* From any thread, also from within; what is under way is not heard of any more. */
void db_health_watch_free (DbHealthWatch *self);
