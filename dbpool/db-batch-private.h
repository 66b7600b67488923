/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Statements that are run together: one for each row of a table of parameters (execute_many), or
 * different ones (a batch). A session asks for them one by one, in order, and hands back what came
 * of each, in order too.
 *
 * Without @independent the run is all or nothing: outside a transaction the session makes one of
 * it, inside one it is part of that, which then has failed as after any failed statement (SQLite:
 * which is as it was before the batch). With it, every statement stands for itself: one that fails
 * changes nothing, and its error is kept with it. What cannot go on at all (a lost connection, a
 * cancel, a deadline) is the error of the run in both cases.
 *
 * Used by whoever has the session. */

#pragma once

#include "db-batch.h"
#include "db-error-info.h"

typedef struct _DbBatchRun DbBatchRun;

/* What is run: borrowed from the run. */
typedef struct
{
  const char *sql;
  DbParams *params; /* or NULL */
  guint row;        /* of @params */
} DbBatchItem;

struct _DbBatchRun
{
  /* read by sessions */
  guint n;              /* statements; may be 0 */
  gboolean independent; /* see above */
  gboolean no_rows;     /* the results may leave the rows out */

  /* the run's own */
  const char *sql; /* execute_many: of all; else NULL */
  DbParams *rows;  /* execute_many */
  DbBatch *batch;  /* else */
  guint n_done;
  gint64 rows_affected; /* of all that succeeded */
  guint n_failed;
  gsize size;            /* of all results */
  DbBatchResult *result; /* of a batch; NULL for execute_many */
};

void db_batch_run_init_many (DbBatchRun *self, const char *sql, DbParams *rows);
/* FALSE with an error if a value of the batch has a wrong type. */
gboolean db_batch_run_init (DbBatchRun *self, DbBatch *batch, DbBatchFlags flags, GError **error);
void db_batch_run_clear (DbBatchRun *self);

/* @position < n. */
void db_batch_run_get_item (DbBatchRun *self, guint position, DbBatchItem *item);

/* The next statement succeeded. Takes @result. */
void db_batch_run_add_result (DbBatchRun *self, DbResult *result);

/* The next statement failed. Takes @error. TRUE: it is kept, go on with the one after it; FALSE:
 * the batch has failed, and @failure (may be NULL) says with which statement and why. */
gboolean db_batch_run_add_error (DbBatchRun *self, GError *error, GError **failure);

/* What had been done before is undone: a batch that is run again from its start. */
void db_batch_run_restart (DbBatchRun *self);
