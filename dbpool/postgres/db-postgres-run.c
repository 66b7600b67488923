/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The state machine of one request, the same for both ways of waiting and for all kinds. It works
 * on the session of whoever runs it, so it has no lock; what other threads may ask of it (to stop)
 * is kept by the session, under the session's lock.
 *
 * What is sent is noted as items, and each answer is for the first of them. Several things are sent
 * in a pipeline; a setting and a DEALLOCATE have a Sync each, and so a transaction of their own.
 * libpq can run neither a script nor a COPY nor row by row in a pipeline; before these a setting is
 * sent alone: the prelude. */

#include "config.h"

#include "db-postgres-run-private.h"

#include "db-error-private.h"
#include "db-postgres-errors-private.h"
#include "db-postgres-sql-private.h"
#include "db-postgres-values-private.h"

#include <string.h>

/* libpq returns NULL at most twice between two results. */
#define MAX_NULLS 4

static void
grow (DbPostgresRun *self)
{
  DbPostgresItem *items = g_new (DbPostgresItem, 2 * self->n_slots);

  for (guint i = 0; i < self->n_items; i++)
    items[i] = self->items[(self->first + i) & (self->n_slots - 1)];
  if (self->items != self->inline_items)
    g_free (self->items);
  self->items = items;
  self->n_slots *= 2;
  self->first = 0;
}

DbPostgresItem *
db_postgres_run_add (DbPostgresRun *self, DbPostgresItemKind kind)
{
  DbPostgresItem *item;

  if (self->n_items == self->n_slots)
    grow (self);
  item = &self->items[(self->first + self->n_items++) & (self->n_slots - 1)];
  *item = (DbPostgresItem){kind};
  return item;
}

DbPostgresItem *
db_postgres_run_get_first (DbPostgresRun *self)
{
  return &self->items[self->first];
}

DbPostgresItem *
db_postgres_run_get_last (DbPostgresRun *self)
{
  return &self->items[(self->first + self->n_items - 1) & (self->n_slots - 1)];
}

static void
item_clear (DbPostgresItem *self)
{
  g_clear_pointer (&self->statement, db_postgres_statement_unref);
  g_clear_error (&self->error);
}

static void
clear_items (DbPostgresRun *self)
{
  for (; self->n_items > 0; self->n_items--)
    {
      item_clear (db_postgres_run_get_first (self));
      self->first = (self->first + 1) & (self->n_slots - 1);
    }
  self->item_answered = FALSE;
}

static void
next_item (DbPostgresRun *self)
{
  DbPostgresItem item = *db_postgres_run_get_first (self);

  self->first = (self->first + 1) & (self->n_slots - 1);
  self->n_items--;
  self->item_answered = FALSE;
  self->row_asked = FALSE;
  if (self->by_row) /* they belong to this item, which has failed */
    g_clear_pointer (&self->rows, db_result_builder_free);
  if (self->kind->next != NULL)
    self->kind->next (self, &item);
  item_clear (&item);
}

static void
fail_connection (DbPostgresRun *self)
{
  if (self->error == NULL)
    self->error = db_postgres_error_from_connection (self->session->conn, self->session->where);
}

void
db_postgres_run_break (DbPostgresRun *self)
{
  fail_connection (self);
  self->gave_up = TRUE;
}

const char *
db_postgres_read_only_sql (gboolean read_only)
{
  return read_only ? "SET default_transaction_read_only = on"
                   : "RESET default_transaction_read_only";
}

gboolean
db_postgres_run_wants_setting (DbPostgresRun *self)
{
  return self->was_idle && !(self->flags & DB_POSTGRES_RUN_INTERNAL) &&
         self->session->want_read_only != self->session->is_read_only;
}

gboolean
db_postgres_run_send_prelude (DbPostgresRun *self)
{
  self->in_prelude = TRUE;
  db_postgres_run_add (self, DB_POSTGRES_ITEM_SETTING);
  return PQsendQuery (self->session->conn,
                      db_postgres_read_only_sql (self->session->want_read_only));
}

gboolean
db_postgres_run_enter_pipeline (DbPostgresRun *self)
{
  if (!PQenterPipelineMode (self->session->conn))
    return FALSE;
  self->in_pipeline = TRUE;
  return TRUE;
}

gboolean
db_postgres_run_queue_sync (DbPostgresRun *self)
{
  db_postgres_run_add (self, DB_POSTGRES_ITEM_SYNC);
  return PQpipelineSync (self->session->conn);
}

/* SQL of dbpool's own, in a transaction of its own. */
static gboolean
queue_own_sql (DbPostgresRun *self, DbPostgresItemKind kind, const char *sql)
{
  db_postgres_run_add (self, kind);
  return PQsendQueryParams (self->session->conn, sql, 0, NULL, NULL, NULL, NULL, 0) &&
         db_postgres_run_queue_sync (self);
}

gboolean
db_postgres_run_queue_preface (DbPostgresRun *self, guint n_deallocate)
{
  DbPostgresSession *session = self->session;

  if (db_postgres_run_wants_setting (self) &&
      !queue_own_sql (self, DB_POSTGRES_ITEM_SETTING,
                      db_postgres_read_only_sql (session->want_read_only)))
    return FALSE;
  /* Only where its failure would spoil no transaction. */
  for (; self->was_idle && n_deallocate > 0; n_deallocate--)
    {
      g_autofree char *sql = db_postgres_statements_pop_deallocate (session->statements);

      if (sql == NULL)
        break;
      if (!queue_own_sql (self, DB_POSTGRES_ITEM_DEALLOCATE, sql))
        return FALSE;
    }
  return TRUE;
}

gboolean
db_postgres_run_queue_prepare (DbPostgresRun *self, DbPostgresStatement *statement, const char *sql)
{
  DbPostgresItem *item = db_postgres_run_add (self, DB_POSTGRES_ITEM_PREPARE);

  if (statement != NULL)
    {
      item->statement = db_postgres_statement_ref (statement);
      statement->preparing = TRUE;
    }
  return PQsendPrepare (self->session->conn, statement != NULL ? statement->name : "", sql, 0,
                        NULL);
}

static gboolean
send_all (DbPostgresRun *self)
{
  clear_items (self);
  g_clear_pointer (&self->rows, db_result_builder_free);
  self->row_asked = FALSE;
  self->n_nulls = 0;
  self->in_prelude = FALSE;
  self->drained = FALSE;
  self->may_retry = FALSE;
  self->flushing = TRUE;
  if (self->kind->send (self))
    return TRUE;

  /* Nothing was sent, unless a pipeline was begun, which cannot be taken back. */
  fail_connection (self);
  self->drained = TRUE;
  if (self->in_pipeline)
    self->session->broken = TRUE;
  return FALSE;
}

static const DbPostgresRunKind *
get_kind (DbRequest request)
{
  switch (request)
    {
    case DB_REQUEST_BATCH:
      return &db_postgres_batch_kind;
    case DB_REQUEST_DESCRIBE:
      return &db_postgres_describe_kind;
    case DB_REQUEST_OPEN:
    case DB_REQUEST_FETCH:
    case DB_REQUEST_CLOSE:
      return &db_postgres_stream_kind;
    case DB_REQUEST_RUN:
    default:
      return &db_postgres_single_kind;
    }
}

void
db_postgres_run_init (DbPostgresRun *self,
                      DbPostgresSession *session,
                      const DbStatementPlan *plan,
                      DbPostgresRunFlags flags,
                      GCancellable *cancellable)
{
  memset (self, 0, sizeof *self);
  self->session = session;
  self->plan = plan;
  self->kind = get_kind (plan->request);
  self->flags = flags;
  self->cancellable = cancellable;
  self->items = self->inline_items;
  self->n_slots = DB_POSTGRES_N_ITEMS;
  self->copy = PGRES_EMPTY_QUERY;
  self->by_row = plan->max_result_size != 0 &&
                 (plan->request == DB_REQUEST_RUN || plan->request == DB_REQUEST_BATCH);
  self->deadline = G_MAXINT64;
  if (plan->timeout > 0)
    self->deadline = g_get_monotonic_time () + plan->timeout;
}

/* The handler may still run, on another thread, when it has been disconnected: so it holds what it
 * needs, and names the statement that it means. */
typedef struct
{
  DbPostgresSession *session;
  guint64 epoch;
  gboolean abandon;
} DbPostgresCancelTarget;

static void
cancelled_cb (GCancellable *cancellable, gpointer data)
{
  DbPostgresCancelTarget *target = data;

  DB_TSAN_ACQUIRE (target); /* passed under GObject's lock */
  if (target->abandon)
    db_postgres_session_give_up (target->session, target->epoch);
  else
    db_postgres_session_request_cancel (target->session, target->epoch);
  DB_TSAN_RELEASE (target);
}

static void
cancel_target_free (gpointer data)
{
  DbPostgresCancelTarget *target = data;

  DB_TSAN_ACQUIRE (target);
  g_object_unref (target->session);
  g_free (target);
}

void
db_postgres_run_watch_cancellable (DbPostgresRun *self)
{
  DbPostgresCancelTarget *target;

  if (self->cancellable == NULL || self->is_watching)
    return;
  self->is_watching = TRUE;
  target = g_new (DbPostgresCancelTarget, 1);
  target->session = g_object_ref (self->session);
  target->epoch = self->epoch;
  target->abandon = (self->flags & DB_POSTGRES_RUN_ABANDON) != 0;
  DB_TSAN_RELEASE (target);
  /* Calls the handler now if it is cancelled already. */
  self->cancelled_id = g_cancellable_connect (self->cancellable, G_CALLBACK (cancelled_cb), target,
                                              cancel_target_free);
}

DbPostgresCancel
db_postgres_run_get_cancel (DbPostgresRun *self)
{
  return g_atomic_int_get (&self->session->cancel);
}

/* A statement that says so has not changed the session itself. A cursor without HOLD ends with its
 * transaction. */
static gboolean
is_clean_command (const char *tag, ExecStatusType status, const char *sql)
{
  static const char *const tags[] = {
    "INSERT", "UPDATE",   "DELETE",    "MERGE",   "BEGIN", "START TRANSACTION",
    "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "FETCH", "PREPARE TRANSACTION",
  };

  /* CREATE TABLE … AS has the tag of a SELECT, and no rows. */
  if (g_str_has_prefix (tag, "SELECT"))
    return status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE;
  for (gsize i = 0; i < G_N_ELEMENTS (tags); i++)
    if (g_str_has_prefix (tag, tags[i]))
      return TRUE;
  if (strcmp (tag, "DECLARE CURSOR") == 0)
    return !db_postgres_sql_has_word (sql, "HOLD");
  return tag[0] == '\0' || strcmp (tag, "CLOSE CURSOR") == 0;
}

void
db_postgres_run_note_command (DbPostgresRun *self, const PGresult *result, const char *sql)
{
  DbPostgresSession *session = self->session;
  const char *tag = PQcmdStatus ((PGresult *) result);

  if (self->flags & DB_POSTGRES_RUN_INTERNAL ||
      is_clean_command (tag, PQresultStatus (result), sql))
    return;
  db_session_mark_dirty (DB_SESSION (session));
  if (strcmp (tag, "DEALLOCATE ALL") == 0 || strcmp (tag, "DISCARD ALL") == 0)
    db_postgres_statements_clear (session->statements);
  else if (strcmp (tag, "PREPARE") == 0)
    session->has_foreign_plan = TRUE;
  /* It may have been this setting. */
  if (strcmp (tag, "SET") == 0 || strcmp (tag, "RESET") == 0 || strcmp (tag, "DISCARD ALL") == 0)
    session->is_read_only = session->want_read_only ? FALSE : session->is_read_only;
}

/* Errors that a statement may have because the types of its parameters were settled when it was
 * prepared, and the tables have changed since. Of class 42, all but what a fresh look would find
 * again: missing privileges and bad syntax. */
static gboolean
is_about_types (const char *sqlstate)
{
  static const char *const states[] = {"22P02", "22P03", "22003", "22007", "22008"};

  if (g_str_has_prefix (sqlstate, "42"))
    return strcmp (sqlstate, "42501") != 0 && strcmp (sqlstate, "42601") != 0;
  for (gsize i = 0; i < G_N_ELEMENTS (states); i++)
    if (strcmp (sqlstate, states[i]) == 0)
      return TRUE;
  return FALSE;
}

gboolean
db_postgres_run_is_stale (DbPostgresRun *self, const PGresult *result)
{
  const char *sqlstate = PQresultErrorField (result, PG_DIAG_SQLSTATE);
  const char *function = PQresultErrorField (result, PG_DIAG_SOURCE_FUNCTION);
  DbPostgresItem *item = db_postgres_run_get_first (self);
  gboolean deallocate = TRUE;

  if (item->statement == NULL || sqlstate == NULL)
    return FALSE;
  /* The name is unknown or taken; or the result has other columns since it was prepared. */
  if (strcmp (sqlstate, "26000") == 0 || strcmp (sqlstate, "42P05") == 0)
    deallocate = FALSE;
  else if (strcmp (sqlstate, "0A000") != 0 || g_strcmp0 (function, "RevalidateCachedQuery") != 0)
    {
      if (!self->was_idle || item->kind != DB_POSTGRES_ITEM_STATEMENT ||
          item->statement->epoch == self->epoch || !is_about_types (sqlstate))
        return FALSE;
    }
  db_postgres_statements_forget (self->session->statements, item->statement, deallocate);
  return TRUE;
}

GError *
db_postgres_run_make_error (DbPostgresRun *self, const PGresult *result)
{
  DbPostgresSession *session = self->session;
  GError *error =
    db_postgres_error_from_bind_count (result, db_postgres_run_get_first (self)->n_params);

  if (!(self->flags & DB_POSTGRES_RUN_INTERNAL))
    db_session_take_error_info (DB_SESSION (session), db_postgres_error_info_from_result (result));
  if (error == NULL)
    error = db_postgres_error_from_result (session->conn, result, session->where);
  return error;
}

/* The data would go past DbResult. A COPY from the client is refused; one to it is stopped, and
 * what comes until then is thrown away. */
static void
refuse_copy (DbPostgresRun *self, ExecStatusType status)
{
  self->copy = status;
  db_postgres_run_refuse (
    self, g_error_new_literal (DB_ERROR, DB_ERROR_NOT_SUPPORTED,
                               "COPY from or to the client is not supported: use INSERT and "
                               "SELECT, or COPY with a file of the server"));
  if (status == PGRES_COPY_OUT)
    db_postgres_session_request_cancel (self->session, self->epoch);
  else if (status == PGRES_COPY_BOTH || self->in_pipeline)
    self->gave_up = TRUE;
}

/* TRUE when the COPY has come to its end, FALSE when the socket has to be waited for. */
static gboolean
end_copy (DbPostgresRun *self)
{
  PGconn *conn = self->session->conn;
  char *data;
  int n;

  if (self->copy == PGRES_COPY_IN)
    {
      n = PQputCopyEnd (conn, "refused by dbpool");
      self->flushing = TRUE;
      if (n == 0)
        return FALSE;
    }
  else
    {
      while ((n = PQgetCopyData (conn, &data, TRUE)) > 0)
        PQfreemem (data);
      if (n == 0 && !self->dead)
        return FALSE;
    }
  self->copy = PGRES_EMPTY_QUERY;
  return TRUE;
}

/* Takes @result. */
static void
take_success (DbPostgresRun *self, PGresult *result)
{
  DbPostgresItem *item = db_postgres_run_get_first (self);

  switch (item->kind)
    {
    case DB_POSTGRES_ITEM_SETTING:
      self->session->is_read_only = self->session->want_read_only;
      break;
    case DB_POSTGRES_ITEM_PREPARE:
      if (item->statement == NULL)
        {
          self->kind->take (self, result);
          return;
        }
      db_postgres_statements_note_prepared (self->session->statements, item->statement,
                                            self->epoch);
      break;
    case DB_POSTGRES_ITEM_DESCRIBE:
    case DB_POSTGRES_ITEM_STATEMENT:
      self->kind->take (self, result);
      return;
    case DB_POSTGRES_ITEM_DEALLOCATE:
    case DB_POSTGRES_ITEM_STOP:
    case DB_POSTGRES_ITEM_SYNC:
    default:
      break;
    }
  PQclear (result);
}

/* What has been tried is not prepared, whether it failed or was passed over. */
static void
take_failure (DbPostgresRun *self, const PGresult *result)
{
  DbPostgresItem *item = db_postgres_run_get_first (self);

  if (item->kind == DB_POSTGRES_ITEM_PREPARE && item->statement != NULL)
    item->statement->preparing = FALSE;
  if (PQresultStatus (result) == PGRES_PIPELINE_ABORTED)
    return;
  if (item->kind == DB_POSTGRES_ITEM_DEALLOCATE &&
      PQresultErrorField (result, PG_DIAG_SQLSTATE) != NULL)
    db_log (DB_POSTGRES_LOG_FACTS (self->session, DB_LOG_POSTGRES_DEALLOCATE_FAILED), "%s: %s",
            self->session->where, PQresultErrorMessage (result));
  else
    self->kind->fail (self, result);
}

/* Takes @result. */
static void
take_result (DbPostgresRun *self, PGresult *result)
{
  ExecStatusType status = PQresultStatus (result);

  self->n_nulls = 0;
  self->item_answered = TRUE;
  switch (status)
    {
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
      take_success (self, result);
      return;
    case PGRES_PIPELINE_SYNC:
      next_item (self);
      break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
      refuse_copy (self, status);
      break;
    case PGRES_PIPELINE_ABORTED:
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_FATAL_ERROR:
    default:
      take_failure (self, result);
    }
  PQclear (result);
}

/* libpq has nothing more for the item. TRUE when it was the last one. A Sync that failed, because
 * its COMMIT did, is still to be answered. */
static gboolean
take_null (DbPostgresRun *self)
{
  if (!self->in_pipeline)
    return TRUE;
  if (self->item_answered && db_postgres_run_get_first (self)->kind != DB_POSTGRES_ITEM_SYNC)
    next_item (self);
  if (++self->n_nulls > MAX_NULLS || PQstatus (self->session->conn) == CONNECTION_BAD)
    {
      fail_connection (self);
      self->session->broken = TRUE;
      return TRUE;
    }
  return FALSE;
}

static void
flush (DbPostgresRun *self)
{
  int left = PQflush (self->session->conn);

  self->flushing = left > 0;
  if (left < 0)
    self->dead = TRUE;
}

/* Reads what is there. TRUE when everything has been answered. */
static gboolean
read_results (DbPostgresRun *self)
{
  PGconn *conn = self->session->conn;

  while (!self->paused)
    {
      PGresult *result;

      if (self->flushing)
        flush (self);
      if (self->copy != PGRES_EMPTY_QUERY && !end_copy (self))
        return FALSE;
      if (self->by_row)
        db_postgres_run_ask_for_rows (self);
      if (self->gave_up || (!self->dead && PQisBusy (conn)))
        return self->gave_up;
      result = PQgetResult (conn);
      if (result != NULL)
        take_result (self, result);
      else if (take_null (self))
        return TRUE;
      if (self->in_pipeline && self->n_items == 0)
        return TRUE;
    }
  return FALSE;
}

static void
leave_pipeline (DbPostgresRun *self)
{
  if (!self->in_pipeline)
    return;
  self->in_pipeline = FALSE;
  if (!PQexitPipelineMode (self->session->conn))
    self->session->broken = TRUE;
}

/* All has been answered. TRUE if that was not the end, because more was sent. */
static gboolean
go_on (DbPostgresRun *self)
{
  leave_pipeline (self);
  if (PQstatus (self->session->conn) != CONNECTION_OK || self->session->broken ||
      db_postgres_run_get_cancel (self) != DB_POSTGRES_CANCEL_NONE)
    return FALSE;
  if (self->in_prelude)
    return self->error == NULL && send_all (self);
  return self->kind->again != NULL && self->kind->again (self) && send_all (self);
}

/* The deadline, and what other threads asked for. TRUE when the session has been given up. */
static gboolean
is_hopeless (DbPostgresRun *self)
{
  DbPostgresCancel cancel = db_postgres_run_get_cancel (self);

  if (cancel == DB_POSTGRES_CANCEL_NONE && self->deadline != G_MAXINT64 && !self->drained &&
      g_get_monotonic_time () >= self->deadline)
    {
      self->was_late = TRUE;
      if (self->flags & DB_POSTGRES_RUN_ABANDON)
        return TRUE;
      db_postgres_session_request_cancel (self->session, self->epoch);
      cancel = db_postgres_run_get_cancel (self);
    }
  if (cancel != DB_POSTGRES_CANCEL_NONE)
    {
      self->was_stopped = TRUE;
      self->deadline = G_MAXINT64;
    }
  return cancel == DB_POSTGRES_CANCEL_GAVE_UP;
}

static DbPostgresWait
give_up (DbPostgresRun *self)
{
  self->gave_up = TRUE;
  self->session->broken = TRUE;
  db_postgres_session_end (self->session, DB_POSTGRES_END_ABANDON);
  return DB_POSTGRES_DONE;
}

static DbPostgresWait
end (DbPostgresRun *self)
{
  if (!db_postgres_session_end (self->session,
                                self->has_source ? DB_POSTGRES_END_TRY : DB_POSTGRES_END_WAIT))
    return DB_POSTGRES_WAIT_WAKE;
  /* It may have been asked for while we looked. */
  self->was_stopped = db_postgres_run_get_cancel (self) != DB_POSTGRES_CANCEL_NONE;
  return db_postgres_run_get_cancel (self) == DB_POSTGRES_CANCEL_GAVE_UP ? give_up (self)
                                                                         : DB_POSTGRES_DONE;
}

DbPostgresWait
db_postgres_run_advance (DbPostgresRun *self, gboolean ready)
{
  if (ready && !self->drained && !PQconsumeInput (self->session->conn))
    self->dead = TRUE;
  for (;;)
    {
      while (!self->drained && read_results (self))
        self->drained = self->gave_up || !go_on (self);
      if (self->gave_up || is_hopeless (self))
        return give_up (self);
      if (!self->paused)
        break;
      if (db_postgres_session_end (self->session, DB_POSTGRES_END_PAUSE))
        return DB_POSTGRES_DONE;
      /* It is to be stopped: so it is read to its end. */
      self->paused = FALSE;
      self->cut = TRUE;
    }
  if (!self->drained)
    return self->flushing ? DB_POSTGRES_WAIT_WRITE : DB_POSTGRES_WAIT_READ;
  return end (self);
}

static gboolean
is_usable (DbPostgresRun *self)
{
  DbPostgresSession *session = self->session;
  DbRequest request = self->plan->request;

  if (db_postgres_session_is_forked (session))
    self->error =
      g_error_new (DB_ERROR, DB_ERROR_FORKED,
                   "the session with %s belongs to the parent process: open one after the fork",
                   session->where);
  else if (!db_postgres_session_is_sound (session))
    self->error =
      g_error_new (DB_ERROR, DB_ERROR_CONNECTION,
                   "the session with %s is broken: use another connection", session->where);
  else if (session->stream != NULL && request != DB_REQUEST_FETCH && request != DB_REQUEST_CLOSE)
    self->error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_PENDING,
                                       "a cursor reads its rows one by one: read it to its end or "
                                       "close it first");
  return self->error == NULL;
}

DbPostgresWait
db_postgres_run_start (DbPostgresRun *self, GSource *source)
{
  DbPostgresSession *session = self->session;
  DbRequest request = self->plan->request;
  gboolean resumes = request == DB_REQUEST_FETCH || request == DB_REQUEST_CLOSE;
  gboolean sent;

  if (!is_usable (self) || (resumes && !db_postgres_stream_resume (self)) ||
      (request == DB_REQUEST_BATCH && self->plan->batch->n == 0))
    return DB_POSTGRES_DONE;
  self->has_source = source != NULL;
  self->epoch = db_postgres_session_begin (session, source);
  if (resumes && self->refused) /* its first row, which had come before, was too large */
    db_postgres_session_request_cancel (session, self->epoch);
  if (resumes)
    return db_postgres_run_advance (self, FALSE);
  self->was_idle = PQtransactionStatus (session->conn) == PQTRANS_IDLE;
  if (self->flags & DB_POSTGRES_RUN_BULKY)
    {
      db_postgres_run_watch_cancellable (self);
      PQsetnonblocking (session->conn, 0);
    }
  sent = send_all (self);
  if (sent)
    flush (self);
  if (self->flags & DB_POSTGRES_RUN_BULKY)
    PQsetnonblocking (session->conn, 1);
  if (!sent)
    return db_postgres_run_advance (self, FALSE);
  return self->flushing ? DB_POSTGRES_WAIT_WRITE : DB_POSTGRES_WAIT_READ;
}

gint64
db_postgres_run_get_deadline (DbPostgresRun *self)
{
  return self->deadline;
}

/* What stopped the statement, if it was stopped: that is what the caller is told. */
static GError *
make_stop_error (DbPostgresRun *self)
{
  gboolean failed = self->gave_up || self->cut || self->error != NULL;

  if (self->paused) /* before it could be stopped */
    return NULL;
  if (g_cancellable_is_cancelled (self->cancellable))
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "Operation was cancelled");
  if (self->refused && self->error != NULL)
    return NULL;
  if (self->was_late && failed)
    return g_error_new (DB_ERROR, DB_ERROR_TIMEOUT,
                        "%s did not answer a statement within %" G_GINT64_FORMAT " ms",
                        self->session->where, self->plan->timeout / 1000);
  if (self->was_stopped && failed)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "The statement was cancelled");
  return NULL;
}

static void
clear (DbPostgresRun *self)
{
  /* Never g_cancellable_disconnect(): it waits for the handler, which may be waiting for us. */
  if (self->cancelled_id != 0)
    g_signal_handler_disconnect (self->cancellable, self->cancelled_id);
  clear_items (self);
  if (self->items != self->inline_items)
    g_free (self->items);
  g_clear_pointer (&self->result, PQclear);
  g_clear_pointer (&self->names, PQclear);
  g_clear_pointer (&self->batch, db_postgres_batch_free);
  g_clear_pointer (&self->rows, db_result_builder_free);
  g_clear_pointer (&self->columns, db_postgres_columns_free);
  g_clear_object (&self->part);
  g_clear_error (&self->error);
}

DbResult *
db_postgres_run_finish (DbPostgresRun *self, GError **error)
{
  GError *stop_error = make_stop_error (self);
  DbResult *result = NULL;

  if (stop_error != NULL)
    g_propagate_error (error, stop_error);
  else if (self->error != NULL)
    g_propagate_error (error, g_steal_pointer (&self->error));
  else
    result = self->kind->finish (self);
  if (self->kind == &db_postgres_stream_kind && !self->paused)
    db_postgres_stream_end (self);
  clear (self);
  return result;
}
