/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Runs several statements in one go and one transaction.
 *
 * Outside a transaction the first statement decides how one is begun: a batch that only reads does
 * not stand in the queue of writers. Where reading comes before writing, what was read is given up
 * and the batch begins anew as one that writes; nothing else had happened. Inside a transaction the
 * batch has a savepoint, so that a run that fails leaves the transaction as it was.
 *
 * Whoever uses the session calls; nothing here locks. */

#include "config.h"

#include "db-error.h"
#include "db-result-private.h"
#include "db-sqlite-batch-private.h"
#include "db-sqlite-run-private.h"

typedef enum
{
  BATCH_NOT_BEGUN,
  BATCH_READS,
  BATCH_WRITES,
  BATCH_INSIDE, /* of somebody's transaction, with a savepoint */
} BatchState;

typedef struct
{
  DbSqliteSession *session;
  const DbStatementPlan *plan;
  DbBatchRun *run;
  gboolean keep; /* statements may be cached */
  BatchState state;

  /* The statement used last: execute_many has one for all rows. */
  const char *sql;
  DbSqliteStatement *statement;
} Batch;

static gboolean
batch_exec (Batch *self, const char *sql, GError **error)
{
  return db_sqlite_session_exec (self->session, sql, NULL, error);
}

/* Begins the transaction that @statement needs, if there is none. @restarted: the batch is at its
 * start again. */
static gboolean
batch_begin (Batch *self, DbSqliteStatement *statement, gboolean *restarted, GError **error)
{
  /* ATTACH is not undone, and so not to be run twice. Who may not write is told so by the statement
   * itself. */
  gboolean writes = statement != NULL && !self->session->read_only &&
                    (statement->writes || statement->opens_another_file);

  *restarted = FALSE;
  if (self->state >= BATCH_WRITES || (self->state == BATCH_READS && !writes))
    return TRUE;
  if (self->state == BATCH_READS)
    {
      if (!batch_exec (self, "ROLLBACK", error))
        return FALSE;
      db_batch_run_restart (self->run);
      *restarted = TRUE;
      self->state = BATCH_NOT_BEGUN;
    }
  if (!batch_exec (self, writes ? "BEGIN IMMEDIATE" : "BEGIN", error))
    return FALSE;
  self->state = writes ? BATCH_WRITES : BATCH_READS;
  return TRUE;
}

/* FALSE with an error: the statement cannot be run. */
static gboolean
batch_obtain (Batch *self, const char *sql, GError **error)
{
  GError *local_error = NULL;

  if (self->sql != sql || self->statement == NULL)
    {
      db_sqlite_run_release (g_steal_pointer (&self->statement));
      self->sql = sql;
      self->statement = db_sqlite_run_obtain (self->session, sql, self->keep, &local_error);
    }
  if (self->statement != NULL && self->statement->controls)
    g_set_error (&local_error, DB_ERROR, DB_ERROR_QUERY,
                 "%s cannot be part of a batch, which is a transaction of its own: begin one, and "
                 "run the batch in it",
                 self->statement->verb);
  if (local_error == NULL)
    return TRUE;
  g_propagate_error (error, local_error);
  return FALSE;
}

/* Takes @failure. TRUE: it is kept with its statement. */
static gboolean
batch_fail (Batch *self, GError *failure, GError **error)
{
  DbSqliteSession *session = self->session;

  if (session->stop != DB_SQLITE_STOP_NONE || session->broken)
    {
      g_propagate_error (error, failure);
      return FALSE;
    }
  if (self->state != BATCH_NOT_BEGUN && sqlite3_get_autocommit (session->db) &&
      self->run->independent)
    {
      /* ON CONFLICT ROLLBACK, say: what was done before it is gone as well. */
      g_propagate_prefixed_error (error, failure,
                                  "statement %u of the batch rolled back all of it: ",
                                  self->run->n_done + 1);
      return FALSE;
    }
  return db_batch_run_add_error (self->run, failure, error);
}

static gboolean
batch_run_next (Batch *self, GError **error)
{
  DbSqliteWant want = self->run->sql != NULL ? DB_SQLITE_WANT_COUNT
                      : self->run->no_rows   ? DB_SQLITE_WANT_COUNTS
                                             : DB_SQLITE_WANT_ROWS;
  GError *failure = NULL;
  DbBatchItem item;
  DbResult *result;
  gboolean restarted;

  /* SQLite looks at long statements only. */
  if (db_sqlite_session_is_stopped (self->session, error))
    return FALSE;
  db_batch_run_get_item (self->run, self->run->n_done, &item);
  if (!batch_obtain (self, item.sql, &failure))
    return batch_fail (self, failure, error);
  if (!batch_begin (self, self->statement, &restarted, error))
    return FALSE;
  if (restarted)
    return TRUE;
  result = db_sqlite_run_statement (self->session, self->statement, item.params, item.row, want,
                                    self->plan, &failure);
  if (result == NULL)
    return batch_fail (self, failure, error);
  db_batch_run_add_result (self->run, result);
  return TRUE;
}

static gboolean
batch_commit (Batch *self, GError **error)
{
  GError *failure = NULL;

  if (self->state == BATCH_NOT_BEGUN ||
      batch_exec (self, self->state == BATCH_INSIDE ? "RELEASE dbpool_batch" : "COMMIT", &failure))
    return TRUE;
  g_propagate_prefixed_error (error, failure, "the batch cannot be committed: ");
  return FALSE;
}

/* A failure may have ended the transaction already. */
static void
batch_undo (Batch *self)
{
  gboolean undone = TRUE;

  if (sqlite3_get_autocommit (self->session->db))
    return;
  if (self->state == BATCH_INSIDE)
    undone = batch_exec (self, "ROLLBACK TO dbpool_batch", NULL) &&
             batch_exec (self, "RELEASE dbpool_batch", NULL);
  else if (self->state != BATCH_NOT_BEGUN)
    undone = batch_exec (self, "ROLLBACK", NULL);
  if (!undone)
    self->session->broken = TRUE;
}

DbResult *
db_sqlite_run_batch (DbSqliteSession *session, const DbStatementPlan *plan, GError **error)
{
  Batch self = {
    .session = session,
    .plan = plan,
    .run = plan->batch,
    .keep = (plan->flags & DB_STATEMENT_UNCACHED) == 0,
    .state = sqlite3_get_autocommit (session->db) ? BATCH_NOT_BEGUN : BATCH_INSIDE,
  };
  gboolean works = TRUE;

  if (plan->batch->n > 0 && self.state == BATCH_INSIDE &&
      !batch_exec (&self, "SAVEPOINT dbpool_batch", error))
    return NULL;
  while (works && plan->batch->n_done < plan->batch->n)
    works = batch_run_next (&self, error);
  works = works && (plan->batch->n == 0 || batch_commit (&self, error));
  if (!works)
    batch_undo (&self);
  db_sqlite_run_release (self.statement);
  return works ? db_result_new_without_rows (plan->batch->rows_affected, -1) : NULL;
}
