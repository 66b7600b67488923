/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One run of a statement: what is sent, what comes back, and what happens when it is cancelled or
 * late. It never waits: whoever drives it (a loop around poll(), or a GSource) asks what to wait
 * for.
 *
 *   init → start → advance … until DONE → finish
 */

#pragma once

#include "db-postgres-session-private.h"

typedef enum
{
  DB_POSTGRES_RUN_NONE = 0,
  DB_POSTGRES_RUN_INTERNAL = 1 << 0, /* dbpool's own: changes nothing that the session remembers */
  /* At the deadline, or when cancelled, the session is broken; the server is not asked to stop. */
  DB_POSTGRES_RUN_ABANDON = 1 << 1,
} DbPostgresRunFlags;

/* What to wait for, beside the deadline. */
typedef enum
{
  DB_POSTGRES_WAIT_READ,  /* the socket is readable */
  DB_POSTGRES_WAIT_WRITE, /* the socket is writable or readable */
  DB_POSTGRES_WAIT_WAKE,  /* the source is made ready; only where there is one */
  DB_POSTGRES_DONE,
} DbPostgresWait;

/* What the server answers to, in the order in which it was sent. */
typedef enum
{
  DB_POSTGRES_ITEM_SETTING,
  DB_POSTGRES_ITEM_DEALLOCATE,
  DB_POSTGRES_ITEM_PREPARE,
  DB_POSTGRES_ITEM_STATEMENT,
  DB_POSTGRES_ITEM_SYNC,
} DbPostgresItem;

typedef struct
{
  DbPostgresSession *session;  /* the caller keeps it alive */
  const DbStatementPlan *plan; /* and this */
  DbPostgresRunFlags flags;
  GCancellable *cancellable;
  gulong cancelled_id;
  guint64 epoch; /* 0: it has not begun */
  gboolean has_source;

  gint64 deadline;      /* of the statement; G_MAXINT64: none */
  gboolean was_late;    /* the deadline passed */
  gboolean was_stopped; /* a cancel was requested, by whomever */
  gboolean gave_up;

  DbPostgresItem items[6];
  guint n_items;
  guint item;             /* whose results are being read */
  gboolean item_answered; /* it has got one */
  guint n_nulls;          /* in a row */
  gboolean in_pipeline;
  gboolean in_prelude; /* the statement itself comes after this */
  gboolean flushing;   /* libpq still has something to send */
  gboolean dead;       /* the socket is gone: libpq waits for nothing any more */
  gboolean drained;    /* the server has answered everything */
  ExecStatusType copy; /* the COPY that is being ended, or PGRES_EMPTY_QUERY */
  gboolean was_idle;   /* not in a transaction when it began */
  gboolean may_retry;  /* a prepared statement that the server does not know */
  gboolean was_retried;
  DbPostgresStatement *statement; /* NULL: not to be prepared */
  PGresult *result;
  GError *error;
} DbPostgresRun;

void db_postgres_run_init (DbPostgresRun *self,
                           DbPostgresSession *session,
                           const DbStatementPlan *plan,
                           DbPostgresRunFlags flags,
                           GCancellable *cancellable);

/* Sends the statement. A failure shows in finish. @source: what drives it, NULL for a thread. */
DbPostgresWait db_postgres_run_start (DbPostgresRun *self, GSource *source);

/* From now on the statement is stopped when its cancellable is cancelled; until then this is only
 * seen in finish. Call it once, between start and finish. */
void db_postgres_run_watch_cancellable (DbPostgresRun *self);

/* @ready: the socket is. */
DbPostgresWait db_postgres_run_advance (DbPostgresRun *self, gboolean ready);

/* When to advance even if nothing happens, or G_MAXINT64. */
gint64 db_postgres_run_get_deadline (DbPostgresRun *self);

DbResult *db_postgres_run_finish (DbPostgresRun *self, GError **error);

/* SQL that makes writes fail, or no longer. */
const char *db_postgres_read_only_sql (gboolean read_only);
