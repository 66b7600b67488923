/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The state machine of one statement, the same for both ways of waiting. It works on the session of
 * whoever runs it, so it has no lock; what other threads may ask of it (to stop) is kept by the
 * session, under the session's lock.
 *
 * One statement may be sent as several things, in a pipeline: a setting, a DEALLOCATE, a PREPARE,
 * each with what belongs to it in a transaction of its own. libpq can run neither a script nor a
 * COPY in a pipeline; before these a setting is sent alone: the prelude. */

#include "config.h"

#include "db-postgres-run-private.h"

#include "db-error-private.h"
#include "db-postgres-errors-private.h"
#include "db-postgres-values-private.h"

#include <string.h>

/* libpq returns NULL at most twice between two results. */
#define MAX_NULLS 4

static void
add_item (DbPostgresRun *self, DbPostgresItem item)
{
  g_assert (self->n_items < G_N_ELEMENTS (self->items));
  self->items[self->n_items++] = item;
}

static void
fail_connection (DbPostgresRun *self)
{
  if (self->error == NULL)
    self->error = db_postgres_error_from_connection (self->session->conn, self->session->where);
}

const char *
db_postgres_read_only_sql (gboolean read_only)
{
  return read_only ? "SET default_transaction_read_only = on"
                   : "RESET default_transaction_read_only";
}

static const char *
get_setting_sql (DbPostgresRun *self)
{
  return db_postgres_read_only_sql (self->session->want_read_only);
}

/* Outside a transaction only: inside, it would not last beyond a rollback, and would not matter. */
static gboolean
wants_setting (DbPostgresRun *self)
{
  return self->was_idle && !(self->flags & DB_POSTGRES_RUN_INTERNAL) &&
         self->session->want_read_only != self->session->is_read_only;
}

/* Sends in a pipeline SQL of dbpool's own, in a transaction of its own. */
static gboolean
queue_own_sql (DbPostgresRun *self, DbPostgresItem item, const char *sql)
{
  PGconn *conn = self->session->conn;

  add_item (self, item);
  add_item (self, DB_POSTGRES_ITEM_SYNC);
  return PQsendQueryParams (conn, sql, 0, NULL, NULL, NULL, NULL, 0) && PQpipelineSync (conn);
}

static gboolean
queue_statement (DbPostgresRun *self, const DbPostgresParams *params)
{
  PGconn *conn = self->session->conn;
  DbPostgresStatement *statement = self->statement;

  if (statement != NULL && !statement->prepared)
    {
      add_item (self, DB_POSTGRES_ITEM_PREPARE);
      if (!PQsendPrepare (conn, statement->name, self->plan->sql, 0, NULL))
        return FALSE;
    }
  add_item (self, DB_POSTGRES_ITEM_STATEMENT);
  if (statement != NULL)
    return PQsendQueryPrepared (conn, statement->name, params->n, params->values, params->lengths,
                                params->formats, 0);
  return PQsendQueryParams (conn, self->plan->sql, params->n, NULL, params->values, params->lengths,
                            params->formats, 0);
}

/* What makes this a pipeline is decided by the caller. */
static gboolean
queue_pipeline (DbPostgresRun *self, const DbPostgresParams *params)
{
  PGconn *conn = self->session->conn;
  g_autofree char *deallocate = NULL;

  if (!PQenterPipelineMode (conn))
    return FALSE;
  self->in_pipeline = TRUE;
  if (wants_setting (self) &&
      !queue_own_sql (self, DB_POSTGRES_ITEM_SETTING, get_setting_sql (self)))
    return FALSE;
  /* Only where its failure would spoil no transaction. */
  if (self->was_idle)
    deallocate = db_postgres_statements_pop_deallocate (self->session->statements);
  if (deallocate != NULL && !queue_own_sql (self, DB_POSTGRES_ITEM_DEALLOCATE, deallocate))
    return FALSE;
  if (!queue_statement (self, params))
    return FALSE;
  add_item (self, DB_POSTGRES_ITEM_SYNC);
  return PQpipelineSync (conn);
}

static gboolean
queue_script (DbPostgresRun *self, gboolean prelude)
{
  add_item (self, prelude ? DB_POSTGRES_ITEM_SETTING : DB_POSTGRES_ITEM_STATEMENT);
  self->in_prelude = prelude;
  return PQsendQuery (self->session->conn, prelude ? get_setting_sql (self) : self->plan->sql);
}

static gboolean
queue_with_params (DbPostgresRun *self)
{
  DbPostgresParams params;
  gboolean ok = db_postgres_params_init (&params, self->plan->params, &self->error);

  if (ok && (wants_setting (self) || (self->statement != NULL && !self->statement->prepared)))
    ok = queue_pipeline (self, &params);
  else if (ok)
    ok = queue_statement (self, &params);
  db_postgres_params_clear (&params);
  return ok;
}

static void
choose_statement (DbPostgresRun *self)
{
  if (self->flags & DB_POSTGRES_RUN_INTERNAL || self->was_retried ||
      self->plan->flags & (DB_STATEMENT_SCRIPT | DB_STATEMENT_UNCACHED))
    self->statement = NULL;
  else
    self->statement = db_postgres_statements_use (self->session->statements, self->plan->sql);
}

static void
send_all (DbPostgresRun *self)
{
  gboolean is_script = (self->plan->flags & DB_STATEMENT_SCRIPT) != 0;
  gboolean is_alone = is_script || db_postgres_sql_begins_with (self->plan->sql, "COPY");
  gboolean ok;

  self->n_items = 0;
  self->item = 0;
  self->item_answered = FALSE;
  self->n_nulls = 0;
  self->in_prelude = FALSE;
  self->drained = FALSE;
  self->may_retry = FALSE;
  choose_statement (self);
  if (is_alone && wants_setting (self))
    ok = queue_script (self, TRUE);
  else if (is_script)
    ok = queue_script (self, FALSE);
  else
    ok = queue_with_params (self);
  self->flushing = TRUE;
  if (ok)
    return;

  /* Nothing was sent, unless a pipeline was begun, which cannot be taken back. */
  fail_connection (self);
  self->drained = TRUE;
  if (self->in_pipeline)
    self->session->broken = TRUE;
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
  self->flags = flags;
  self->cancellable = cancellable;
  self->copy = PGRES_EMPTY_QUERY;
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

  if (self->cancellable == NULL)
    return;
  target = g_new (DbPostgresCancelTarget, 1);
  target->session = g_object_ref (self->session);
  target->epoch = self->epoch;
  target->abandon = (self->flags & DB_POSTGRES_RUN_ABANDON) != 0;
  DB_TSAN_RELEASE (target);
  /* Calls the handler now if it is cancelled already. */
  self->cancelled_id = g_cancellable_connect (self->cancellable, G_CALLBACK (cancelled_cb), target,
                                              cancel_target_free);
}

/* A statement that says so has not changed the session itself. */
static gboolean
is_clean_command (const char *tag, ExecStatusType status)
{
  static const char *const tags[] = {
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "BEGIN",
    "START TRANSACTION",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE",
    "PREPARE TRANSACTION",
  };

  /* CREATE TABLE … AS has the tag of a SELECT, and no rows. */
  if (g_str_has_prefix (tag, "SELECT"))
    return status == PGRES_TUPLES_OK;
  for (gsize i = 0; i < G_N_ELEMENTS (tags); i++)
    if (g_str_has_prefix (tag, tags[i]))
      return TRUE;
  return tag[0] == '\0';
}

static void
take_note_of_command (DbPostgresRun *self, const PGresult *result)
{
  DbPostgresSession *session = self->session;
  const char *tag = PQcmdStatus ((PGresult *) result);

  if (self->flags & DB_POSTGRES_RUN_INTERNAL || is_clean_command (tag, PQresultStatus (result)))
    return;
  db_session_mark_dirty (DB_SESSION (session));
  if (strcmp (tag, "DEALLOCATE ALL") == 0 || strcmp (tag, "DISCARD ALL") == 0)
    {
      db_postgres_statements_clear (session->statements);
      self->statement = NULL;
    }
  else if (strcmp (tag, "PREPARE") == 0)
    session->has_foreign_plan = TRUE;
  /* It may have been this setting. */
  if (strcmp (tag, "SET") == 0 || strcmp (tag, "RESET") == 0 || strcmp (tag, "DISCARD ALL") == 0)
    session->is_read_only = session->want_read_only ? FALSE : session->is_read_only;
}

/* Errors that a fresh PREPARE would mend: the name is unknown or taken, or the result of the
 * statement has other columns since it was prepared. */
static gboolean
is_about_preparing (const PGresult *result, gboolean *deallocate)
{
  const char *sqlstate = PQresultErrorField (result, PG_DIAG_SQLSTATE);
  const char *function = PQresultErrorField (result, PG_DIAG_SOURCE_FUNCTION);

  *deallocate = FALSE;
  if (g_strcmp0 (sqlstate, "26000") == 0 || g_strcmp0 (sqlstate, "42P05") == 0)
    return TRUE;
  if (g_strcmp0 (sqlstate, "0A000") != 0 || g_strcmp0 (function, "RevalidateCachedQuery") != 0)
    return FALSE;
  *deallocate = TRUE;
  return TRUE;
}

static void
take_error (DbPostgresRun *self, const PGresult *result)
{
  DbPostgresSession *session = self->session;
  gboolean deallocate;

  /* The first one says why; a second one only that the socket is gone. */
  if (self->error != NULL)
    return;
  if (self->statement != NULL && is_about_preparing (result, &deallocate))
    {
      db_postgres_statements_forget (session->statements, self->statement, deallocate);
      self->statement = NULL;
      self->may_retry = TRUE;
    }
  self->error =
    db_postgres_error_from_bind_count (result, self->plan->params != NULL
                                                 ? db_params_get_n_values (self->plan->params, 0)
                                                 : 0);
  if (self->error == NULL)
    self->error = db_postgres_error_from_result (session->conn, result, session->where);
}

/* The data would go past DbResult. A COPY from the client is refused; one to it is stopped, and
 * what comes until then is thrown away. */
static void
refuse_copy (DbPostgresRun *self, ExecStatusType status)
{
  self->copy = status;
  g_clear_error (&self->error);
  self->error = g_error_new_literal (DB_ERROR, DB_ERROR_NOT_SUPPORTED,
                                     "COPY from or to the client is not supported: use INSERT and "
                                     "SELECT, or COPY with a file of the server");
  if (status == PGRES_COPY_OUT)
    db_postgres_session_request_cancel (self->session, self->epoch);
  else if (status == PGRES_COPY_BOTH)
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

static void
take_success (DbPostgresRun *self, PGresult *result)
{
  switch (self->items[self->item])
    {
    case DB_POSTGRES_ITEM_SETTING:
      self->session->is_read_only = self->session->want_read_only;
      break;
    case DB_POSTGRES_ITEM_PREPARE:
      if (self->statement != NULL)
        self->statement->prepared = TRUE;
      break;
    case DB_POSTGRES_ITEM_STATEMENT:
      take_note_of_command (self, result);
      PQclear (self->result);
      self->result = result;
      return;
    case DB_POSTGRES_ITEM_DEALLOCATE:
    case DB_POSTGRES_ITEM_SYNC:
    default:
      break;
    }
  PQclear (result);
}

static void
next_item (DbPostgresRun *self)
{
  self->item++;
  self->item_answered = FALSE;
}

/* Takes over @result. */
static void
take_result (DbPostgresRun *self, PGresult *result)
{
  ExecStatusType status = PQresultStatus (result);

  self->n_nulls = 0;
  self->item_answered = TRUE;
  switch (status)
    {
    case PGRES_TUPLES_OK:
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
      break;
    case PGRES_SINGLE_TUPLE:
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_FATAL_ERROR:
    default:
      if (self->items[self->item] == DB_POSTGRES_ITEM_DEALLOCATE &&
          PQresultErrorField (result, PG_DIAG_SQLSTATE) != NULL)
        g_debug ("%s: %s", self->session->where, PQresultErrorMessage (result));
      else
        take_error (self, result);
    }
  PQclear (result);
}

/* libpq has nothing more for the item. TRUE when it was the last one. */
static gboolean
take_null (DbPostgresRun *self)
{
  if (!self->in_pipeline)
    return TRUE;
  if (self->item_answered)
    next_item (self);
  if (++self->n_nulls > MAX_NULLS || PQstatus (self->session->conn) == CONNECTION_BAD)
    {
      fail_connection (self);
      self->session->broken = TRUE;
      return TRUE;
    }
  return FALSE;
}

/* Reads what is there. TRUE when everything has been answered. */
static gboolean
read_results (DbPostgresRun *self)
{
  PGconn *conn = self->session->conn;

  for (;;)
    {
      PGresult *result;

      if (self->flushing)
        {
          int left = PQflush (conn);

          self->flushing = left > 0;
          if (left < 0)
            self->dead = TRUE;
        }
      if (self->copy != PGRES_EMPTY_QUERY && !end_copy (self))
        return FALSE;
      if (self->gave_up || (!self->dead && PQisBusy (conn)))
        return self->gave_up;
      result = PQgetResult (conn);
      if (result != NULL)
        take_result (self, result);
      else if (take_null (self))
        return TRUE;
      if (self->in_pipeline && self->item == self->n_items)
        return TRUE;
    }
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

static DbPostgresCancel
get_cancel (DbPostgresRun *self)
{
  return g_atomic_int_get (&self->session->cancel);
}

/* All has been answered. TRUE if that was not the end, because more was sent. */
static gboolean
go_on (DbPostgresRun *self)
{
  PGconn *conn = self->session->conn;

  leave_pipeline (self);
  if (!self->in_prelude && !self->may_retry)
    return FALSE;
  if (PQstatus (conn) != CONNECTION_OK || self->session->broken ||
      get_cancel (self) != DB_POSTGRES_CANCEL_NONE)
    return FALSE;
  if (self->in_prelude && self->error == NULL)
    {
      send_all (self);
      return TRUE;
    }
  if (self->may_retry && !self->was_retried && self->was_idle &&
      PQtransactionStatus (conn) == PQTRANS_IDLE)
    {
      g_clear_error (&self->error);
      self->was_retried = TRUE;
      send_all (self);
      return TRUE;
    }
  return FALSE;
}

/* The deadline, and what other threads asked for. TRUE when the session has been given up. */
static gboolean
is_hopeless (DbPostgresRun *self)
{
  DbPostgresCancel cancel = get_cancel (self);

  if (cancel == DB_POSTGRES_CANCEL_NONE && self->deadline != G_MAXINT64 && !self->drained &&
      g_get_monotonic_time () >= self->deadline)
    {
      self->was_late = TRUE;
      if (self->flags & DB_POSTGRES_RUN_ABANDON)
        return TRUE;
      db_postgres_session_request_cancel (self->session, self->epoch);
      cancel = get_cancel (self);
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

DbPostgresWait
db_postgres_run_advance (DbPostgresRun *self, gboolean ready)
{
  if (ready && !self->drained && !PQconsumeInput (self->session->conn))
    self->dead = TRUE;
  while (!self->drained && read_results (self))
    self->drained = self->gave_up || !go_on (self);
  if (self->gave_up || is_hopeless (self))
    return give_up (self);
  if (!self->drained)
    return self->flushing ? DB_POSTGRES_WAIT_WRITE : DB_POSTGRES_WAIT_READ;
  if (!db_postgres_session_end (self->session,
                                self->has_source ? DB_POSTGRES_END_TRY : DB_POSTGRES_END_WAIT))
    return DB_POSTGRES_WAIT_WAKE;
  /* It may have been asked for while we looked. */
  self->was_stopped = get_cancel (self) != DB_POSTGRES_CANCEL_NONE;
  return get_cancel (self) == DB_POSTGRES_CANCEL_GAVE_UP ? give_up (self) : DB_POSTGRES_DONE;
}

DbPostgresWait
db_postgres_run_start (DbPostgresRun *self, GSource *source)
{
  DbPostgresSession *session = self->session;

  if (db_postgres_session_is_forked (session))
    self->error =
      g_error_new (DB_ERROR, DB_ERROR_FORKED,
                   "the session with %s belongs to the parent process: open one after the fork",
                   session->where);
  else if (!db_postgres_session_is_sound (session))
    self->error =
      g_error_new (DB_ERROR, DB_ERROR_CONNECTION,
                   "the session with %s is broken: use another connection", session->where);
  if (self->error != NULL)
    return DB_POSTGRES_DONE;
  self->has_source = source != NULL;
  self->epoch = db_postgres_session_begin (session, source);
  self->was_idle = PQtransactionStatus (session->conn) == PQTRANS_IDLE;
  send_all (self);
  self->flushing = !self->drained && PQflush (session->conn) != 0;
  if (self->drained)
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
  gboolean failed = self->gave_up || self->error != NULL;

  if (g_cancellable_is_cancelled (self->cancellable))
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "Operation was cancelled");
  if (self->error != NULL && g_error_matches (self->error, DB_ERROR, DB_ERROR_NOT_SUPPORTED))
    return NULL;
  if (self->was_late && failed)
    return g_error_new (DB_ERROR, DB_ERROR_TIMEOUT,
                        "%s did not answer a statement within %" G_GINT64_FORMAT " ms",
                        self->session->where, self->plan->timeout / 1000);
  if (self->was_stopped && failed)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "The statement was cancelled");
  return NULL;
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
    result =
      db_postgres_result_convert (self->result, (self->plan->flags & DB_STATEMENT_NO_ROWS) != 0);
  /* Never g_cancellable_disconnect(): it waits for the handler, which may be waiting for us. */
  if (self->cancelled_id != 0)
    g_signal_handler_disconnect (self->cancellable, self->cancelled_id);
  g_clear_pointer (&self->result, PQclear);
  g_clear_error (&self->error);
  return result;
}
