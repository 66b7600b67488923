/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* From what an application asks to plans and operations; see the private header. No state, no lock.
 */

#include "config.h"

#include "db-work-private.h"

#include "db-error.h"

gboolean
db_work_plan_many (DbWork *self,
                   DbStatementPlan *plan,
                   const char *sql,
                   DbParams *rows,
                   GError **error)
{
  db_batch_run_init_many (&self->run, sql, rows);
  plan->request = DB_REQUEST_BATCH;
  plan->batch = &self->run;
  plan->sql = sql;
  return TRUE;
}

gboolean
db_work_plan_batch (DbWork *self,
                    DbStatementPlan *plan,
                    DbBatch *batch,
                    DbBatchFlags flags,
                    GError **error)
{
  DbBatchItem first = {""};

  if (!db_batch_run_init (&self->run, batch, flags, error))
    return FALSE;
  if (self->run.n > 0)
    db_batch_run_get_item (&self->run, 0, &first);
  plan->request = DB_REQUEST_BATCH;
  plan->batch = &self->run;
  plan->sql = first.sql;
  return TRUE;
}

void
db_work_plan_describe (DbWork *self, DbStatementPlan *plan, const char *sql)
{
  self->description = db_description_new ();
  plan->request = DB_REQUEST_DESCRIBE;
  plan->description = self->description;
  plan->sql = sql;
}

void
db_work_clear (DbWork *self)
{
  db_batch_run_clear (&self->run);
  g_clear_pointer (&self->description, db_description_free);
  g_clear_pointer (&self->rows, db_params_free);
  g_clear_pointer (&self->batch, db_batch_free);
}

static void
work_free (gpointer data)
{
  db_work_clear (data);
  g_free (data);
}

DbOperation *
db_operation_new (const char *sql, DbParams *params, DbStatementFlags flags)
{
  DbOperation *self = g_new0 (DbOperation, 1);

  self->own_sql = g_strdup (sql);
  self->own_params = params;
  self->plan.sql = self->own_sql;
  self->plan.params = params;
  self->plan.flags = flags;
  return self;
}

static DbOperation *
operation_new_with_work (const char *sql, DbWork **work)
{
  DbOperation *self = db_operation_new (sql, NULL, DB_STATEMENT_NONE);

  *work = g_new0 (DbWork, 1);
  self->subject = *work;
  self->subject_free = work_free;
  return self;
}

DbOperation *
db_operation_new_many (const char *sql, DbParams *rows, GError **error)
{
  DbWork *work;
  DbOperation *self = operation_new_with_work (sql, &work);

  work->rows = db_params_copy (rows);
  if (db_work_plan_many (work, &self->plan, self->own_sql, work->rows, error))
    return self;
  db_operation_free_unstarted (self);
  return NULL;
}

DbOperation *
db_operation_new_batch (DbBatch *batch, DbBatchFlags flags, GError **error)
{
  DbWork *work;
  DbOperation *self = operation_new_with_work (NULL, &work);

  work->batch = db_batch_copy (batch);
  if (db_work_plan_batch (work, &self->plan, work->batch, flags, error))
    return self;
  db_operation_free_unstarted (self);
  return NULL;
}

DbOperation *
db_operation_new_describe (const char *sql)
{
  DbWork *work;
  DbOperation *self = operation_new_with_work (sql, &work);

  db_work_plan_describe (work, &self->plan, self->own_sql);
  return self;
}

DbBatchResult *
db_work_take_batch_result (DbWork *self)
{
  return g_steal_pointer (&self->run.result);
}

DbDescription *
db_work_take_description (DbWork *self)
{
  return g_steal_pointer (&self->description);
}

/* The work of an operation that has ended, or NULL with its error. */
static DbWork *
finish (GTask *task, GError **error)
{
  g_autoptr (DbResult) result = db_operation_finish (task, error);
  DbOperation *operation = g_task_get_task_data (task);

  return result != NULL ? operation->subject : NULL;
}

gint64
db_operation_finish_many (GTask *task, GError **error)
{
  DbWork *work = finish (task, error);

  return work != NULL ? work->run.rows_affected : -1;
}

DbBatchResult *
db_operation_finish_batch (GTask *task, GError **error)
{
  DbWork *work = finish (task, error);

  return work != NULL ? db_work_take_batch_result (work) : NULL;
}

DbDescription *
db_operation_finish_describe (GTask *task, GError **error)
{
  DbWork *work = finish (task, error);

  return work != NULL ? db_work_take_description (work) : NULL;
}

gint64
db_result_count_changes (DbResult *result)
{
  return result != NULL ? MAX (db_result_get_rows_affected (result), 0) : -1;
}
