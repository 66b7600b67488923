/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The threads of dbpool.
 *
 * The worker is one thread for the process, with a main context of its own. It runs timers and
 * looks at the descriptors of idle sessions, and never blocks: what may block (opening, checking,
 * resetting, closing, cancelling, and a session's default run_async) is a job, and jobs run on
 * threads of dbpool's own, of which there is no upper limit, because what it runs is bounded
 * elsewhere: by the number of sessions, and by how many a pool opens at once. So a cancel never
 * queues behind an open.
 *
 * Who uses the worker holds it: db_worker_hold() and db_worker_drop(). The thread starts with the
 * first timer or watch and ends with the last holder (a last drop on the worker itself, or on a
 * job, detaches instead of joining). A job holds the worker while it is queued or runs. */

#pragma once

#include <glib.h>

typedef void (*DbJobFunc) (gpointer data);

void db_worker_hold (void);
void db_worker_drop (void);

/* Runs @func on a thread of dbpool's. May be called from any thread, with no lock of the pool held.
 */
void db_worker_run (DbJobFunc func, gpointer data);

/* A one-shot timer on the worker. @func runs on the worker with no lock held. db_timer_set() may be
 * called from any thread; G_MAXINT64 disarms. db_timer_free() may be called from any thread, also
 * by
 * @func; @func may still be running when it returns elsewhere, so @data is kept alive by
 * @data_unref. */
typedef struct _DbTimer DbTimer;

DbTimer *db_timer_new (void (*func) (gpointer data), gpointer data, GDestroyNotify data_unref);
void db_timer_set (DbTimer *self, gint64 when);
void db_timer_free (DbTimer *self);

/* Tells once when the other side of a connected descriptor hangs up. All descriptors are in one
 * epoll instance, edge-triggered and without interest in data, so that what is sent and received
 * through them costs nothing here, and lending a session never touches it (measured: no event in
 * 1,000 queries, one when the backend dies). @func runs on the worker with no lock held. Free the
 * watch before the descriptor is closed; @func may still be running then, so @data is kept alive by
 * @data_unref. */
typedef struct _DbWatch DbWatch;

DbWatch *
db_watch_new (int fd, void (*func) (gpointer data), gpointer data, GDestroyNotify data_unref);
void db_watch_free (DbWatch *self);

/* Part of what db-worker.c does in a forked child. */
void db_watch_start_anew_in_child (void);

/* The context of the worker, which is started if need be; a reference. For timers and watches; the
 * caller holds the worker. */
GMainContext *db_worker_ref_context (void);

/* Counts the forks that this process is the child of: a pool whose number differs belongs to a
 * parent. Read without a lock: it only ever changes in a child that has one thread. */
const guint *db_fork_counter (void);

static inline guint
db_fork_generation (void)
{
  return *db_fork_counter ();
}
