/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What an application asked for, as the plan of an operation, and what came of it: the same for a
 * connection and for the pool's one-shots. The blocking form stands on the stack and borrows what
 * the application gave; the asynchronous one is the subject of its operation and has copies. */

#pragma once

#include "db-operation-private.h"

typedef struct
{
  DbBatchRun run;
  DbDescription *description;

  /* the asynchronous form's copies */
  DbParams *rows;
  DbBatch *batch;
} DbWork;

/* Each fills @plan, which borrows the work and what is given. FALSE with an error if that is wrong.
 */
gboolean db_work_plan_many (DbWork *self,
                            DbStatementPlan *plan,
                            const char *sql,
                            DbParams *rows,
                            GError **error);
gboolean db_work_plan_batch (DbWork *self,
                             DbStatementPlan *plan,
                             DbBatch *batch,
                             DbBatchFlags flags,
                             GError **error);
void db_work_plan_describe (DbWork *self, DbStatementPlan *plan, const char *sql);
void db_work_clear (DbWork *self);

/* Unstarted operations, without a connection; NULL with an error. */
DbOperation *
db_operation_new (const char *sql, DbParams *params /* taken */, DbStatementFlags flags);
DbOperation *db_operation_new_many (const char *sql, DbParams *rows, GError **error);
DbOperation *db_operation_new_batch (DbBatch *batch, DbBatchFlags flags, GError **error);
DbOperation *db_operation_new_describe (const char *sql);
void db_operation_free_unstarted (DbOperation *self);

/* The outcomes of a work that succeeded, and of the task of an operation, which has failed
 * otherwise. */
DbBatchResult *db_work_take_batch_result (DbWork *self);
DbDescription *db_work_take_description (DbWork *self);
gint64 db_operation_finish_many (GTask *task, GError **error);
DbBatchResult *db_operation_finish_batch (GTask *task, GError **error);
DbDescription *db_operation_finish_describe (GTask *task, GError **error);

/* What execute() returns: how many rows were changed, or -1 for no result. */
gint64 db_result_count_changes (DbResult *result);
