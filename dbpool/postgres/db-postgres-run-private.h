/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One run of a request: what is sent, what comes back, and what happens when it is cancelled or
 * late. It never waits: whoever drives it (a loop around poll(), or a GSource) asks what to wait
 * for.
 *
 *   init → start → advance … until DONE → finish
 *
 * What the requests have in common is in db-postgres-run.c; what is their own, in the file of each
 * kind, as a DbPostgresRunKind. */

#pragma once

#include "db-postgres-session-private.h"
#include "db-result-private.h"

typedef enum
{
  DB_POSTGRES_RUN_NONE = 0,
  DB_POSTGRES_RUN_INTERNAL = 1 << 0, /* dbpool's own: changes nothing that the session remembers */
  /* At the deadline, or when cancelled, the session is broken; the server is not asked to stop. */
  DB_POSTGRES_RUN_ABANDON = 1 << 1,
  /* The values are large, and start may block until they have been sent: each time that libpq has
   * sent a part without blocking it moves the rest, which would take a time that grows with the
   * square of the size. A cancel meanwhile ends the session. */
  DB_POSTGRES_RUN_BULKY = 1 << 2,
} DbPostgresRunFlags;

/* What to wait for, beside the deadline. */
typedef enum
{
  DB_POSTGRES_WAIT_READ,  /* the socket is readable */
  DB_POSTGRES_WAIT_WRITE, /* the socket is writable or readable */
  DB_POSTGRES_WAIT_WAKE,  /* the source is made ready; only where there is one */
  DB_POSTGRES_DONE,
} DbPostgresWait;

/* What the server answers to. */
typedef enum
{
  DB_POSTGRES_ITEM_SETTING,
  DB_POSTGRES_ITEM_DEALLOCATE,
  DB_POSTGRES_ITEM_PREPARE,
  DB_POSTGRES_ITEM_DESCRIBE,
  DB_POSTGRES_ITEM_STATEMENT,
  DB_POSTGRES_ITEM_STOP, /* fails, so that what was sent before is undone */
  DB_POSTGRES_ITEM_SYNC,
} DbPostgresItemKind;

typedef struct
{
  DbPostgresItemKind kind;
  gboolean shared;                /* it runs what the unnamed PREPARE before it has parsed */
  guint n_params;                 /* that were given */
  guint size;                     /* what of it may wait to be sent, in bytes */
  DbPostgresStatement *statement; /* a reference; NULL: it has no name */
  GError *error;                  /* STOP: why; owned */
} DbPostgresItem;

/* Most runs send few things; a batch has more slots. A power of two. */
#define DB_POSTGRES_N_ITEMS 8

typedef struct _DbPostgresRun DbPostgresRun;
typedef struct _DbPostgresBatch DbPostgresBatch;

/* A kind of request. */
typedef struct
{
  /* Sends it, or a first part of it. FALSE: with an error, or libpq has one. */
  gboolean (*send) (DbPostgresRun *self);
  /* A success for the first item: PREPARE without a name, DESCRIBE or STATEMENT. Takes @result. */
  void (*take) (DbPostgresRun *self, PGresult *result);
  /* A failure of the first item. */
  void (*fail) (DbPostgresRun *self, const PGresult *result);
  /* @item has been answered, and is no longer there. May be NULL. */
  void (*next) (DbPostgresRun *self, const DbPostgresItem *item);
  /* All has been answered. TRUE: send once more. May be NULL. */
  gboolean (*again) (DbPostgresRun *self);
  /* What comes of a run that has not failed. */
  DbResult *(*finish) (DbPostgresRun *self);
} DbPostgresRunKind;

extern const DbPostgresRunKind db_postgres_single_kind;
extern const DbPostgresRunKind db_postgres_batch_kind;
extern const DbPostgresRunKind db_postgres_describe_kind;
extern const DbPostgresRunKind db_postgres_stream_kind;

struct _DbPostgresRun
{
  DbPostgresSession *session;  /* the caller keeps it alive */
  const DbStatementPlan *plan; /* and this */
  const DbPostgresRunKind *kind;
  DbPostgresRunFlags flags;
  GCancellable *cancellable;
  gulong cancelled_id;
  gboolean is_watching; /* it has been connected, or need not be */
  guint64 epoch;        /* 0: it has not begun */
  gboolean has_source;

  gint64 deadline;      /* of the statement; G_MAXINT64: none */
  gboolean was_late;    /* the deadline passed */
  gboolean was_stopped; /* a cancel was requested, by whomever */
  gboolean gave_up;

  /* what is to be answered, in the order in which it was sent: a ring */
  DbPostgresItem *items;
  DbPostgresItem inline_items[DB_POSTGRES_N_ITEMS];
  guint n_slots;
  guint first; /* whose results are being read */
  guint n_items;
  gboolean item_answered; /* the first one has got a result */
  guint n_nulls;          /* in a row */

  gboolean in_pipeline;
  gboolean in_prelude; /* the statement itself comes after this */
  gboolean flushing;   /* libpq still has something to send */
  gboolean dead;       /* the socket is gone: libpq waits for nothing any more */
  gboolean drained;    /* the server has answered everything */
  gboolean paused;     /* a stream has enough for now */
  gboolean cut;        /* rows were thrown away that were asked for */
  gboolean by_row;     /* RUN, BATCH: rows come one by one, since there may be too many */
  gboolean row_asked;  /* for the first item, that is */
  gboolean refused;    /* @error is dbpool's, and tells more than the cancel that followed */
  ExecStatusType copy; /* the COPY that is being ended, or PGRES_EMPTY_QUERY */
  gboolean was_idle;   /* not in a transaction when it began */
  gboolean may_retry;  /* a prepared statement is out of date */
  gboolean was_retried;
  GError *error;

  PGresult *result;           /* RUN, DESCRIBE; OPEN: the first one */
  PGresult *names;            /* DESCRIBE: of the types */
  DbPostgresBatch *batch;     /* BATCH */
  DbResultBuilder *rows;      /* FETCH; by row: of the first item */
  DbPostgresColumns *columns; /* of @rows, where no statement has them */
  guint n_rows;               /* in it */
  DbResult *part;             /* FETCH: the last rows; RUN, by row: the result */
  gboolean sync_due;          /* RUN: not sent before the statement is answered */
};

void db_postgres_run_init (DbPostgresRun *self,
                           DbPostgresSession *session,
                           const DbStatementPlan *plan,
                           DbPostgresRunFlags flags,
                           GCancellable *cancellable);

/* Sends the request. A failure shows in finish. @source: what drives it, NULL for a thread. */
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

/* For the kinds: */

/* Rows one by one, in db-postgres-rows.c: they are gathered in @rows, and end with a last result
 * that has none. FALSE: they have become too many, and were given up; what still comes has to be
 * thrown away, and nobody else has been told. */
void db_postgres_run_ask_for_rows (DbPostgresRun *self);
gboolean db_postgres_run_add_row (DbPostgresRun *self, const PGresult *result);
DbResult *db_postgres_run_end_rows (DbPostgresRun *self, const PGresult *last, gboolean no_rows);

/* The statement is to fail with @error, which is taken, because of what came of it. */
void db_postgres_run_refuse (DbPostgresRun *self, GError *error);

/* Queues something that fails instead of a statement, so that the Sync that follows commits
 * nothing. */
gboolean db_postgres_run_queue_stop (DbPostgresRun *self);

/* Notes what is sent; valid until the next one. */
DbPostgresItem *db_postgres_run_add (DbPostgresRun *self, DbPostgresItemKind kind);
DbPostgresItem *db_postgres_run_get_first (DbPostgresRun *self);
DbPostgresItem *db_postgres_run_get_last (DbPostgresRun *self);

gboolean db_postgres_run_enter_pipeline (DbPostgresRun *self);
gboolean db_postgres_run_queue_sync (DbPostgresRun *self);
/* Sends, in a pipeline, what is to come before the statements: the setting, if it is wanted, and up
 * to @n_deallocate DEALLOCATEs. */
gboolean db_postgres_run_queue_preface (DbPostgresRun *self, guint n_deallocate);
/* @statement: NULL: it gets no name. */
gboolean db_postgres_run_queue_prepare (DbPostgresRun *self,
                                        DbPostgresStatement *statement,
                                        const char *sql);

/* Whether the server has to be told first that writes are to fail, or no longer. Outside a
 * transaction only: inside, it would not last beyond a rollback, and would not matter. */
gboolean db_postgres_run_wants_setting (DbPostgresRun *self);
/* Tells it that alone; the kind is asked to send again. */
gboolean db_postgres_run_send_prelude (DbPostgresRun *self);

/* What the session has to remember of a command that succeeded. @sql: its text. */
void db_postgres_run_note_command (DbPostgresRun *self, const PGresult *result, const char *sql);

/* The error of the server for the first item; its details go to the session. */
GError *db_postgres_run_make_error (DbPostgresRun *self, const PGresult *result);

/* TRUE if the first item failed because its prepared statement is out of date, which is then
 * forgotten: unprepared, it may work. */
gboolean db_postgres_run_is_stale (DbPostgresRun *self, const PGresult *result);

DbPostgresCancel db_postgres_run_get_cancel (DbPostgresRun *self);

/* libpq has refused something while answers are due: the session is of no use any more. */
void db_postgres_run_break (DbPostgresRun *self);

/* FETCH and CLOSE: nothing is sent. FALSE: there is nothing to wait for, or an error. */
gboolean db_postgres_stream_resume (DbPostgresRun *self);
/* The statement has ended, or the session. */
void db_postgres_stream_end (DbPostgresRun *self);

void db_postgres_batch_free (DbPostgresBatch *self);
