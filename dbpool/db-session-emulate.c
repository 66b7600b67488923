/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The requests that a kind of session does not know, made of those that it does: a batch is one
 * statement after the other, and the rows of a stream are all there from the start. Blocking, on
 * whatever thread has the session. */

#include "config.h"

#include "db-error.h"
#include "db-result-private.h"
#include "db-session-private.h"
#include "db-statement-plan-private.h"

static gboolean
run_sql (DbSession *self, const char *sql, GCancellable *cancellable, GError **error)
{
  const DbStatementPlan plan = {sql, NULL, DB_STATEMENT_NO_ROWS, 0};
  g_autoptr (DbResult) result = db_session_run (self, &plan, cancellable, error);

  return result != NULL;
}

/* FALSE when the batch has failed. */
static gboolean
run_item (DbSession *self, const DbStatementPlan *plan, guint i, GCancellable *c, GError **error)
{
  DbBatchItem item;
  DbStatementPlan one = {0};
  GError *local_error = NULL;
  DbResult *result;

  db_batch_run_get_item (plan->batch, i, &item);
  one.sql = item.sql;
  one.params = item.params;
  one.row = item.row;
  one.flags = plan->batch->no_rows ? DB_STATEMENT_NO_ROWS : DB_STATEMENT_NONE;
  one.timeout = plan->timeout;
  one.max_result_size = plan->max_result_size;
  one.pool = plan->pool;
  result = db_session_run (self, &one, c, &local_error);
  if (result != NULL && db_statement_plan_is_exceeded (plan, db_result_get_size (result)))
    {
      local_error = db_statement_plan_new_exceeded_error (plan, plan->batch->independent);
      g_clear_object (&result);
    }
  if (result != NULL)
    {
      db_batch_run_add_result (plan->batch, result);
      return TRUE;
    }
  if (local_error->domain == G_IO_ERROR || db_session_get_state (self) == DB_SESSION_BROKEN)
    {
      g_propagate_error (error, local_error);
      return FALSE;
    }
  return db_batch_run_add_error (plan->batch, local_error, error);
}

static DbResult *
run_batch (DbSession *self, const DbStatementPlan *plan, GCancellable *cancellable, GError **error)
{
  gboolean own = !plan->batch->independent && db_session_get_state (self) == DB_SESSION_IDLE;
  gboolean works = TRUE;

  if (own && !run_sql (self, "BEGIN", cancellable, error))
    return NULL;
  for (guint i = 0; works && i < plan->batch->n; i++)
    works = run_item (self, plan, i, cancellable, error);
  if (own && works)
    works = run_sql (self, "COMMIT", cancellable, error);
  if (own && db_session_get_state (self) != DB_SESSION_IDLE)
    run_sql (self, "ROLLBACK", NULL, NULL);
  return works ? db_result_new_without_rows (plan->batch->rows_affected, -1) : NULL;
}

typedef struct
{
  DbResult *rows;
  guint next;
} DbEmulatedStream;

static void
emulated_stream_free (gpointer data)
{
  DbEmulatedStream *emulated = data;

  g_object_unref (emulated->rows);
  g_free (emulated);
}

static DbResult *
open_stream (DbSession *self, const DbStatementPlan *plan, GCancellable *c, GError **error)
{
  DbStatementPlan run = *plan;
  DbEmulatedStream *emulated;
  DbResult *rows;

  run.request = DB_REQUEST_RUN;
  rows = db_session_run (self, &run, c, error);
  if (rows == NULL)
    return NULL;
  emulated = g_new0 (DbEmulatedStream, 1);
  emulated->rows = rows;
  plan->stream->data = emulated;
  plan->stream->destroy = emulated_stream_free;
  return db_result_new_without_rows (-1, -1);
}

static DbResult *
fetch (const DbStatementPlan *plan)
{
  DbEmulatedStream *emulated = plan->stream->data;
  guint n = MIN (plan->n_rows, db_result_get_n_rows (emulated->rows) - emulated->next);
  DbResult *part = db_result_slice (emulated->rows, emulated->next, n);

  emulated->next += n;
  if (emulated->next == db_result_get_n_rows (emulated->rows))
    {
      g_clear_pointer (&plan->stream->data, emulated_stream_free);
      plan->stream->done = TRUE;
    }
  return part;
}

DbResult *
db_session_emulate (DbSession *self,
                    const DbStatementPlan *plan,
                    GCancellable *cancellable,
                    GError **error)
{
  switch (plan->request)
    {
    case DB_REQUEST_BATCH:
      return run_batch (self, plan, cancellable, error);
    case DB_REQUEST_OPEN:
      return open_stream (self, plan, cancellable, error);
    case DB_REQUEST_FETCH:
      return fetch (plan);
    case DB_REQUEST_CLOSE:
      g_clear_pointer (&plan->stream->data, emulated_stream_free);
      return db_result_new_without_rows (-1, -1);
    case DB_REQUEST_DESCRIBE:
      g_set_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED,
                   "sessions of type %s cannot describe statements", G_OBJECT_TYPE_NAME (self));
      return NULL;
    case DB_REQUEST_RUN:
    default:
      g_assert_not_reached ();
    }
}
