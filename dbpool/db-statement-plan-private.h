/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a session is asked to do. Plain data, so that the blocking path can keep it on the stack;
 * whoever starts an asynchronous run keeps the plan alive until its callback has been called.
 *
 * All requests go the same way, through DbSession's run and run_async, and so are cancelled, timed
 * and queued alike. A kind of session says which requests it serves (DbSessionClass.requests); the
 * others are made of DB_REQUEST_RUN for it, see db-session-emulate.c. */

#pragma once

#include "db-batch-private.h"
#include "db-description-private.h"
#include "db-params-private.h"
#include "db-statement-plan.h"

typedef enum
{
  DB_REQUEST_RUN,      /* runs the statement; its result is all there is */
  DB_REQUEST_DESCRIBE, /* does not run it: what it takes and returns goes to @description */
  DB_REQUEST_BATCH,    /* runs @batch, whose outcomes go there; @sql is its first text */
  DB_REQUEST_OPEN,     /* begins to run the statement, whose rows @stream will give; no rows yet */
  DB_REQUEST_FETCH,    /* the next @n_rows of @stream, or what is left; sets its @done */
  DB_REQUEST_CLOSE,    /* ends @stream; nothing happens if it has ended */
} DbRequest;

#define DB_REQUEST_FLAG(request) (1u << (request))
#define DB_REQUESTS_ALL 0x3fu

/* The rows of a statement, to be read bit by bit. It is the cursor's; what @data points to is the
 * session's, which gives it up when it is reset or closed. Used by whoever has the session. */
typedef struct
{
  gpointer data;          /* NULL: not open */
  gboolean done;          /* there are no more rows; @data is NULL then */
  GDestroyNotify destroy; /* of @data, where it is no session's */
} DbStream;

struct _DbStatementPlan
{
  const char *sql;
  DbParams *params; /* NULL, or a table of which one row is used */
  DbStatementFlags flags;
  gint64 timeout;        /* microseconds that the database may take; 0 for no limit */
  gsize max_result_size; /* bytes that its result may take, a batch's together; 0 for no limit */
  const char *pool;      /* whose limit that is */

  DbRequest request;
  guint row;                  /* of @params */
  DbDescription *description; /* DESCRIBE: to be filled */
  DbBatchRun *batch;          /* BATCH */
  DbStream *stream;           /* OPEN, FETCH, CLOSE */
  guint n_rows;               /* FETCH: at least 1 */
};

/* Whether a result, or the part of it that is there, is larger than it may be. */
static inline gboolean
db_statement_plan_is_exceeded (const DbStatementPlan *self, gsize size)
{
  gsize before = self->batch != NULL ? self->batch->size : 0;

  return self->max_result_size != 0 &&
         (size > self->max_result_size || before > self->max_result_size - size);
}

/* The error of that. @stays: what the statement has changed is not undone. */
GError *db_statement_plan_new_exceeded_error (const DbStatementPlan *self, gboolean stays);
