/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Many statements in one pipeline. They are queued while answers are read, so that only a window of
 * them is under way, and neither libpq nor the server collects more than that.
 *
 * All or nothing: there is one Sync, at the end, so outside a transaction the server makes one of
 * the batch. When the batch has to fail for a reason that the server does not know (a parameter
 * that cannot be sent, a cancel), a statement is queued that fails: without it, the Sync would
 * commit what was sent. Statements are run by the names that the session's cache has for them; if
 * one turns out to be out of date, everything has been undone, and is sent once more without names.
 *
 * Independent: each statement has a Sync of its own, and its outcome is known when that is
 * answered, since that may be where it is committed. Nothing can be sent again here, because what
 * followed has been done meanwhile; so names from before the batch, which might be out of date, are
 * not used.
 *
 * Where the results may become too large, the Sync of a batch that is all or nothing waits until
 * they are there, so that it can still be made to fail. One of an independent batch fails by
 * itself, and what it has changed stays: its Sync is on its way long before.
 *
 * In both cases equal texts in a row that have no name are parsed once, as the statement without a
 * name, unless statements are never to be prepared and there is a Sync between them.
 *
 * No lock: it works on the session of whoever runs it. */

#include "config.h"

#include "db-postgres-run-private.h"

#include "db-error-private.h"
#include "db-postgres-sql-private.h"
#include "db-postgres-values-private.h"

#include <string.h>

/* How much may be under way: sent, or waiting to be sent, and not answered. Each statement of an
 * independent batch has to be cancelled by itself, so there are fewer, and very few slow ones. */
#define MAX_STATEMENTS 256
#define MAX_INDEPENDENT 32
#define MIN_INDEPENDENT 4
#define SLOW (2 * G_TIME_SPAN_MILLISECOND)
#define MAX_SIZE (256 * 1024)

/* After so much the server is asked to send what it has. */
#define FLUSH_STATEMENTS 128
#define FLUSH_SIZE (64 * 1024)

/* After so many of the first ones are sent, without being asked for answers. */
#define KICK_STATEMENTS 16

/* What a statement weighs beside its values. */
#define STATEMENT_SIZE 64

#define MAX_DEALLOCATE 256

struct _DbPostgresBatch
{
  guint window;      /* how many statements may be under way */
  guint next;        /* the statement to be queued next */
  guint n_under_way; /* statements */
  gsize size;        /* of them */
  guint n_unflushed; /* since the server was asked to send */
  gsize size_unflushed;
  gboolean closed; /* all has been queued, with the last Sync */
  gboolean failed;
  gboolean exceeded;      /* because its results are too large: the server does not know */
  gboolean no_restart;    /* a part of it may have been committed */
  const char *shared_sql; /* what the statement without a name is, or NULL */
  GError *parse_error;    /* why there is none */

  /* independent: the outcome, until its Sync is answered */
  DbResult *result;
  GError *error;
  gint64 when; /* the last one came */
};

void
db_postgres_batch_free (DbPostgresBatch *self)
{
  g_clear_error (&self->parse_error);
  g_clear_error (&self->error);
  g_clear_object (&self->result);
  g_free (self);
}

static gboolean
is_independent (DbPostgresRun *self)
{
  return self->plan->batch->independent;
}

/* The error of all, of which the first one counts. Takes @error. */
static void
fail_all (DbPostgresRun *self, GError *error)
{
  self->batch->failed = TRUE;
  if (self->error == NULL)
    self->error = error;
  else
    g_error_free (error);
}

static gboolean
queue_flush_request (DbPostgresRun *self)
{
  self->batch->n_unflushed = 0;
  self->batch->size_unflushed = 0;
  return PQsendFlushRequest (self->session->conn);
}

static void
count (DbPostgresRun *self, DbPostgresItem *item, gsize size)
{
  DbPostgresBatch *batch = self->batch;

  item->size = MIN (size, G_MAXUINT);
  batch->size += item->size;
  batch->size_unflushed += item->size;
  batch->n_under_way++;
  batch->n_unflushed++;
}

/* A statement that fails instead of one that cannot be run. Takes @error, which may be NULL. */
static gboolean
queue_stop (DbPostgresRun *self, GError *error)
{
  gboolean ok = db_postgres_run_queue_stop (self);
  DbPostgresItem *item = db_postgres_run_get_last (self);

  item->error = error;
  count (self, item, STATEMENT_SIZE);
  return ok;
}

/* The Sync of a batch that is all or nothing. */
static gboolean
queue_end (DbPostgresRun *self)
{
  self->sync_due = FALSE;
  return (!self->batch->exceeded || queue_stop (self, NULL)) && db_postgres_run_queue_sync (self);
}

static const char *
get_next_sql (DbPostgresRun *self, guint position)
{
  DbBatchItem item = {NULL, NULL, 0};

  if (position + 1 < self->plan->batch->n)
    db_batch_run_get_item (self->plan->batch, position + 1, &item);
  return item.sql;
}

static gboolean
is_same (const char *a, const char *b)
{
  return a == b || (a != NULL && b != NULL && strcmp (a, b) == 0);
}

static gboolean
may_use_names (DbPostgresRun *self)
{
  return !is_independent (self) && !self->was_retried &&
         !(self->plan->flags & DB_STATEMENT_UNCACHED);
}

static gboolean
may_share (DbPostgresRun *self)
{
  return !is_independent (self) ||
         (db_postgres_statements_get_size (self->session->statements) > 0 &&
          !(self->plan->flags & DB_STATEMENT_UNCACHED));
}

static gboolean
queue_named (DbPostgresRun *self, DbPostgresStatement *statement, const DbPostgresParams *params)
{
  DbPostgresItem *item;

  if (!statement->prepared && !statement->preparing &&
      !db_postgres_run_queue_prepare (self, statement, statement->sql))
    return FALSE;
  item = db_postgres_run_add (self, DB_POSTGRES_ITEM_STATEMENT);
  item->statement = db_postgres_statement_ref (statement);
  return PQsendQueryPrepared (self->session->conn, statement->name, params->n, params->values,
                              params->lengths, params->formats, 0);
}

/* Parses @sql, unless that has been done, or keeps it when it comes again. */
static gboolean
queue_unnamed (DbPostgresRun *self,
               const char *sql,
               gboolean comes_again,
               const DbPostgresParams *params)
{
  PGconn *conn = self->session->conn;
  gboolean shared = is_same (self->batch->shared_sql, sql);
  DbPostgresItem *item;

  if (!shared && comes_again && may_share (self) &&
      !db_postgres_run_queue_prepare (self, NULL, sql))
    return FALSE;
  item = db_postgres_run_add (self, DB_POSTGRES_ITEM_STATEMENT);
  item->shared = shared;
  if (shared || (comes_again && may_share (self)))
    {
      self->batch->shared_sql = sql;
      return PQsendQueryPrepared (conn, "", params->n, params->values, params->lengths,
                                  params->formats, 0);
    }
  self->batch->shared_sql = NULL;
  return PQsendQueryParams (conn, sql, params->n, NULL, params->values, params->lengths,
                            params->formats, 0);
}

static void
count_use (DbPostgresRun *self, const char *sql, DbPostgresStatement *statement)
{
  DbPostgresBatch *batch = self->batch;
  gboolean hit = statement != NULL ? statement->prepared || statement->preparing
                                   : is_same (batch->shared_sql, sql);

  if (!self->was_retried)
    db_session_count_statement (DB_SESSION (self->session), hit);
}

static gboolean
queue_params (DbPostgresRun *self, guint position, const char *sql, const DbPostgresParams *params)
{
  DbPostgresStatements *statements = self->session->statements;
  gboolean comes_again = is_same (get_next_sql (self, position), sql);
  DbPostgresStatement *statement = NULL;
  gboolean cacheable;

  if (may_use_names (self))
    statement = db_postgres_statements_use (statements, sql, comes_again, &cacheable);
  else
    cacheable = db_postgres_statements_is_cacheable (statements, sql);
  if (cacheable)
    count_use (self, sql, statement);
  if (statement != NULL)
    return queue_named (self, statement, params);
  return queue_unnamed (self, sql, comes_again, params);
}

/* Why a statement cannot be part of a batch, or NULL. */
static GError *
refuse (const char *sql)
{
  static const char *const words[] = {"BEGIN",    "START", "COMMIT",    "END",
                                      "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"};

  /* Nearly all are one of those, and one look is enough. */
  if (db_postgres_sql_is_preparable (sql))
    return NULL;
  if (db_postgres_sql_begins_with (sql, "COPY"))
    return g_error_new_literal (DB_ERROR, DB_ERROR_NOT_SUPPORTED,
                                "COPY cannot be part of a batch: run it by itself");
  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    if (db_postgres_sql_begins_with (sql, words[i]))
      return g_error_new (DB_ERROR, DB_ERROR_QUERY,
                          "%s cannot be part of a batch, which is a transaction of its own: begin "
                          "one, and run the batch in it",
                          words[i]);
  return NULL;
}

static gboolean
queue_item (DbPostgresRun *self, guint position)
{
  DbBatchItem item;
  DbPostgresParams params;
  GError *error = NULL;
  DbPostgresItem *queued;
  gboolean ok;

  db_batch_run_get_item (self->plan->batch, position, &item);
  error = refuse (item.sql);
  if (error != NULL)
    return queue_stop (self, error);
  if (!db_postgres_params_init (&params, item.params, item.row, &error))
    {
      db_postgres_params_clear (&params);
      return queue_stop (self, error);
    }
  ok = queue_params (self, position, item.sql, &params);
  if (ok)
    {
      queued = db_postgres_run_get_last (self);
      queued->n_params = params.n;
      count (self, queued, STATEMENT_SIZE + db_postgres_params_measure (item.params, item.row));
    }
  db_postgres_params_clear (&params);
  return ok;
}

/* A cancel: what was not sent will not be. */
static gboolean
queue_end_of_stopped (DbPostgresRun *self)
{
  GError *error =
    g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "The statement was cancelled");

  self->batch->closed = TRUE;
  if (!is_independent (self))
    return queue_stop (self, error) && db_postgres_run_queue_sync (self);
  fail_all (self, error);
  return TRUE;
}

static gboolean
queue_next (DbPostgresRun *self)
{
  DbPostgresBatch *batch = self->batch;

  if (db_postgres_run_get_cancel (self) != DB_POSTGRES_CANCEL_NONE)
    return queue_end_of_stopped (self);
  if (!queue_item (self, batch->next))
    return FALSE;
  /* Not after a Sync: there the server sends what it has anyway. */
  if (is_independent (self))
    {
      if (!db_postgres_run_queue_sync (self))
        return FALSE;
    }
  else if ((batch->n_unflushed >= FLUSH_STATEMENTS || batch->size_unflushed >= FLUSH_SIZE) &&
           !queue_flush_request (self))
    return FALSE;
  /* The first statement that cannot be run is the last one. */
  if (++batch->next < self->plan->batch->n &&
      (is_independent (self) || db_postgres_run_get_last (self)->kind != DB_POSTGRES_ITEM_STOP))
    return TRUE;
  batch->closed = TRUE;
  self->sync_due = self->by_row && !is_independent (self) && !self->plan->batch->no_rows;
  return is_independent (self) || self->sync_due || queue_end (self);
}

/* Queues what there is room for. */
static gboolean
fill (DbPostgresRun *self)
{
  DbPostgresBatch *batch = self->batch;

  while (!batch->closed && batch->n_under_way < batch->window && batch->size < MAX_SIZE)
    {
      if (!queue_next (self))
        return FALSE;
      /* The server may begin while the rest is queued. */
      if (batch->n_under_way == KICK_STATEMENTS && PQflush (self->session->conn) < 0)
        return FALSE;
    }
  self->flushing = TRUE;
  return (batch->closed && !self->sync_due) || is_independent (self) || batch->n_unflushed == 0 ||
         queue_flush_request (self);
}

static gboolean
send_batch (DbPostgresRun *self)
{
  g_clear_pointer (&self->batch, db_postgres_batch_free);
  self->batch = g_new0 (DbPostgresBatch, 1);
  self->sync_due = FALSE;
  self->batch->window = is_independent (self) ? MIN_INDEPENDENT : MAX_STATEMENTS;
  self->batch->when = g_get_monotonic_time ();
  return db_postgres_run_enter_pipeline (self) &&
         db_postgres_run_queue_preface (self, MAX_DEALLOCATE) && fill (self);
}

/* Where the statement that answers keeps what is known of its columns; NULL: it has no name. */
static DbPostgresColumns **
get_columns (DbPostgresRun *self)
{
  DbPostgresStatement *statement = db_postgres_run_get_first (self)->statement;

  return statement != NULL ? &statement->columns : NULL;
}

static gboolean
ends_transactions (const char *tag)
{
  static const char *const tags[] = {"BEGIN",    "START TRANSACTION",   "COMMIT",
                                     "ROLLBACK", "PREPARE TRANSACTION", "CALL",
                                     "DO"};

  for (gsize i = 0; i < G_N_ELEMENTS (tags); i++)
    if (g_str_has_prefix (tag, tags[i]))
      return TRUE;
  return FALSE;
}

/* The results are too large. */
static void
exceed (DbPostgresRun *self)
{
  DbPostgresBatch *batch = self->batch;
  GError *error = db_statement_plan_new_exceeded_error (self->plan, is_independent (self));

  if (is_independent (self))
    {
      batch->error = error;
      return;
    }
  batch->failed = TRUE;
  batch->exceeded = TRUE;
  db_batch_run_add_error (self->plan->batch, error, &self->error);
  self->refused = TRUE;
  db_postgres_session_request_cancel (self->session, self->epoch);
}

static gboolean
is_wanted (DbPostgresRun *self)
{
  return !self->batch->failed && self->batch->error == NULL;
}

/* By row: one of them, or the result without any at the end. */
static void
take_row (DbPostgresRun *self, const PGresult *result)
{
  if (is_wanted (self) && !self->plan->batch->no_rows && PQntuples (result) > 0 &&
      !db_postgres_run_add_row (self, result))
    exceed (self);
}

static void
take_outcome (DbPostgresRun *self, const PGresult *result)
{
  DbPostgresBatch *batch = self->batch;
  DbBatchRun *outcomes = self->plan->batch;
  DbResult *outcome;
  DbBatchItem item;

  db_batch_run_get_item (outcomes, outcomes->n_done, &item);
  db_postgres_run_note_command (self, result, item.sql);
  batch->no_restart = batch->no_restart || ends_transactions (PQcmdStatus ((PGresult *) result));
  if (!is_wanted (self))
    return;
  outcome = self->by_row
              ? db_postgres_run_end_rows (self, result, outcomes->no_rows)
              : db_postgres_result_convert (result, outcomes->no_rows, get_columns (self));
  if (is_independent (self))
    batch->result = outcome;
  else
    db_batch_run_add_result (outcomes, outcome);
}

static void
take_batch (DbPostgresRun *self, PGresult *result)
{
  if (db_postgres_run_get_first (self)->kind == DB_POSTGRES_ITEM_PREPARE)
    g_clear_error (&self->batch->parse_error);
  else
    {
      if (self->by_row)
        take_row (self, result);
      if (PQresultStatus (result) != PGRES_SINGLE_TUPLE)
        take_outcome (self, result);
    }
  PQclear (result);
}

/* TRUE if nothing will work after it. */
static gboolean
is_fatal (const PGresult *result)
{
  const char *severity = PQresultErrorField (result, PG_DIAG_SEVERITY_NONLOCALIZED);

  return PQresultErrorField (result, PG_DIAG_SQLSTATE) == NULL ||
         g_strcmp0 (severity, "FATAL") == 0 || g_strcmp0 (severity, "PANIC") == 0;
}

static gboolean
is_of_statement (DbPostgresItemKind kind)
{
  return kind == DB_POSTGRES_ITEM_PREPARE || kind == DB_POSTGRES_ITEM_STATEMENT ||
         kind == DB_POSTGRES_ITEM_STOP;
}

static GError *
make_error (DbPostgresRun *self, const PGresult *result)
{
  DbPostgresItem *item = db_postgres_run_get_first (self);
  DbPostgresBatch *batch = self->batch;
  GError *error;

  if (item->error != NULL && !is_fatal (result))
    return g_steal_pointer (&item->error);
  if (item->shared && batch->parse_error != NULL)
    return g_error_copy (batch->parse_error);
  error = db_postgres_run_make_error (self, result);
  if (item->kind == DB_POSTGRES_ITEM_PREPARE && item->statement == NULL)
    {
      g_clear_error (&batch->parse_error);
      batch->parse_error = g_error_copy (error);
    }
  return error;
}

/* Statements after one that was cancelled would each run until the request is sent again. */
static void
keep_cancelling (DbPostgresRun *self, const PGresult *result)
{
  if (db_postgres_run_get_cancel (self) == DB_POSTGRES_CANCEL_ASKED &&
      g_strcmp0 (PQresultErrorField (result, PG_DIAG_SQLSTATE), "57014") == 0 &&
      self->batch->n_under_way > 1)
    db_postgres_session_repeat_cancel (self->session);
}

/* All or nothing: only the first failure counts; what follows is passed over by the server. */
static void
fail_batch (DbPostgresRun *self, const PGresult *result)
{
  DbPostgresBatch *batch = self->batch;
  gboolean of_statement = is_of_statement (db_postgres_run_get_first (self)->kind);
  GError *error;

  if (batch->failed && !is_independent (self))
    return;
  if (!is_independent (self))
    self->may_retry = db_postgres_run_is_stale (self, result);
  error = make_error (self, result);
  if (is_independent (self))
    {
      keep_cancelling (self, result);
      g_clear_object (&batch->result);
      if (is_fatal (result))
        fail_all (self, error);
      else if (batch->error == NULL)
        batch->error = error;
      else
        g_error_free (error);
    }
  else if (!of_statement || is_fatal (result) || error->domain == G_IO_ERROR)
    fail_all (self, error);
  else
    {
      batch->failed = TRUE;
      db_batch_run_add_error (self->plan->batch, error, &self->error);
    }
}

static void
adapt_window (DbPostgresBatch *self)
{
  gint64 now = g_get_monotonic_time ();

  self->window =
    now - self->when > SLOW ? MIN_INDEPENDENT : MIN (2 * self->window, MAX_INDEPENDENT);
  self->when = now;
}

/* Independent: the Sync of a statement has been answered. */
static void
hand_over_outcome (DbPostgresRun *self)
{
  DbPostgresBatch *batch = self->batch;
  GError *failure = NULL;

  adapt_window (batch);
  if (batch->failed)
    return;
  if (batch->error != NULL && db_postgres_run_get_cancel (self) != DB_POSTGRES_CANCEL_NONE)
    fail_all (self, g_steal_pointer (&batch->error));
  else if (batch->result != NULL)
    db_batch_run_add_result (self->plan->batch, g_steal_pointer (&batch->result));
  else if (batch->error != NULL &&
           !db_batch_run_add_error (self->plan->batch, g_steal_pointer (&batch->error), &failure))
    fail_all (self, failure);
}

static void
next_batch (DbPostgresRun *self, const DbPostgresItem *item)
{
  DbPostgresBatch *batch = self->batch;
  gboolean ok = TRUE;

  if (item->kind == DB_POSTGRES_ITEM_STATEMENT || item->kind == DB_POSTGRES_ITEM_STOP)
    {
      batch->n_under_way--;
      batch->size -= item->size;
    }
  if (item->kind == DB_POSTGRES_ITEM_SYNC && is_independent (self))
    hand_over_outcome (self);
  if (batch->closed && !self->sync_due)
    return;
  if (batch->closed || batch->failed)
    {
      if (self->sync_due && batch->n_under_way > 0)
        return;
      batch->closed = TRUE;
      self->flushing = TRUE;
      ok = is_independent (self) || queue_end (self);
    }
  else if (batch->n_under_way <= batch->window / 2 && batch->size <= MAX_SIZE / 2)
    ok = fill (self);
  if (!ok)
    db_postgres_run_break (self);
}

static gboolean
again_batch (DbPostgresRun *self)
{
  if (!self->may_retry || self->was_retried || !self->was_idle || self->batch->no_restart ||
      PQtransactionStatus (self->session->conn) != PQTRANS_IDLE)
    return FALSE;
  g_clear_error (&self->error);
  db_session_take_error_info (DB_SESSION (self->session), NULL);
  db_batch_run_restart (self->plan->batch);
  self->was_retried = TRUE;
  return TRUE;
}

static DbResult *
finish_batch (DbPostgresRun *self)
{
  return db_result_new_without_rows (self->plan->batch->rows_affected, -1);
}

const DbPostgresRunKind db_postgres_batch_kind = {
  send_batch, take_batch, fail_batch, next_batch, again_batch, finish_batch,
};
