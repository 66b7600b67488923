/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Rows one by one, for what no cursor can be declared for. Between OPEN and the end the statement
 * runs on the server, which waits when nobody reads, and the session can do nothing else.
 *
 * OPEN reads one result ahead, so that it fails if the statement does. What is open is the
 * session's, and DbStream has only its number, so that a stream that was ended by a reset is
 * noticed. A statement that ends without rows leaves the session free; then its last result is all
 * that DbStream has. No lock: it works on the session of whoever runs it. */

#include "config.h"

#include "db-postgres-run-private.h"

#include "db-error.h"
#include "db-postgres-values-private.h"
#include "db-session-private.h"

void
db_postgres_stream_drop (DbPostgresSession *session)
{
  DbPostgresStream *self = g_steal_pointer (&session->stream);

  if (self == NULL)
    return;
  db_session_remove_leftover (DB_SESSION (session));
  PQclear (self->first);
  g_free (self);
}

static gboolean
send_stream (DbPostgresRun *self)
{
  PGconn *conn = self->session->conn;
  DbPostgresParams params;
  gboolean ok;

  if (db_postgres_run_wants_setting (self))
    return db_postgres_run_send_prelude (self);
  ok = db_postgres_params_init (&params, self->plan->params, self->plan->row, &self->error);
  if (ok)
    {
      db_postgres_run_add (self, DB_POSTGRES_ITEM_STATEMENT)->n_params = params.n;
      ok = PQsendQueryParams (conn, self->plan->sql, params.n, NULL, params.values, params.lengths,
                              params.formats, 0) &&
           PQsetSingleRowMode (conn);
    }
  db_postgres_params_clear (&params);
  return ok;
}

/* The rest of a result, whose columns @result has. */
static DbResult *
make_last_part (DbPostgresRun *self, const PGresult *result)
{
  g_autoptr (DbResult) end = db_postgres_result_convert (result, TRUE, NULL);

  if (self->rows == NULL)
    self->rows = db_postgres_result_begin (result, &self->columns);
  return db_result_builder_finish (g_steal_pointer (&self->rows), db_result_get_rows_affected (end),
                                   -1);
}

static void
add_row (DbPostgresRun *self, const PGresult *result)
{
  if (db_postgres_run_add_row (self, result))
    {
      self->paused = ++self->n_rows >= self->plan->n_rows;
      return;
    }
  self->cut = TRUE;
  db_postgres_run_refuse (self, db_statement_plan_new_exceeded_error (self->plan, FALSE));
  db_postgres_session_request_cancel (self->session, self->epoch);
}

static void
take_stream (DbPostgresRun *self, PGresult *result)
{
  gboolean is_row = PQresultStatus (result) == PGRES_SINGLE_TUPLE;

  if (!is_row)
    db_postgres_run_note_command (self, result, self->plan->sql != NULL ? self->plan->sql : "");
  if (self->plan->request == DB_REQUEST_OPEN && !self->cut)
    {
      self->result = result;
      self->paused = is_row;
      return;
    }
  if (self->plan->request == DB_REQUEST_FETCH && !self->cut)
    {
      if (is_row)
        add_row (self, result);
      else
        self->part = make_last_part (self, result);
    }
  PQclear (result);
}

static void
fail_stream (DbPostgresRun *self, const PGresult *result)
{
  if (self->error == NULL)
    self->error = db_postgres_run_make_error (self, result);
}

static gboolean
is_open (DbPostgresRun *self)
{
  DbPostgresStream *open = self->session->stream;

  return open != NULL && self->plan->stream->data == GSIZE_TO_POINTER (open->serial);
}

gboolean
db_postgres_stream_resume (DbPostgresRun *self)
{
  DbStream *stream = self->plan->stream;
  gboolean is_fetch = self->plan->request == DB_REQUEST_FETCH;

  if (stream->data != NULL && stream->destroy != NULL)
    {
      if (is_fetch)
        self->part = make_last_part (self, stream->data);
      return FALSE;
    }
  if (!is_open (self))
    {
      if (is_fetch)
        self->error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CLOSED,
                                           "the cursor has ended: there is nothing to read");
      return FALSE;
    }
  db_postgres_run_add (self, DB_POSTGRES_ITEM_STATEMENT);
  if (self->session->stream->first != NULL)
    take_stream (self, g_steal_pointer (&self->session->stream->first));
  return TRUE;
}

void
db_postgres_stream_end (DbPostgresRun *self)
{
  DbStream *stream = self->plan->stream;

  if (self->plan->request == DB_REQUEST_OPEN)
    return;
  if (stream->data != NULL && stream->destroy != NULL)
    stream->destroy (stream->data);
  else if (is_open (self))
    db_postgres_stream_drop (self->session);
  stream->data = NULL;
  stream->destroy = NULL;
  stream->done = TRUE;
}

/* A session that is left like this has to be reset before anybody else may use it. */
static void
keep_open (DbPostgresRun *self)
{
  DbPostgresSession *session = self->session;
  DbPostgresStream *open = g_new0 (DbPostgresStream, 1);

  open->serial = ++session->last_stream;
  open->state = self->was_idle ? DB_SESSION_IDLE : DB_SESSION_IN_TRANSACTION;
  open->first = g_steal_pointer (&self->result);
  session->stream = open;
  self->plan->stream->data = GSIZE_TO_POINTER (open->serial);
  db_session_add_leftover (DB_SESSION (session));
}

static void
result_free (gpointer data)
{
  PQclear (data);
}

static DbResult *
finish_stream (DbPostgresRun *self)
{
  DbStream *stream = self->plan->stream;

  if (self->plan->request == DB_REQUEST_OPEN)
    {
      stream->done = FALSE;
      if (self->paused)
        keep_open (self);
      else
        {
          stream->data = g_steal_pointer (&self->result);
          stream->destroy = result_free;
        }
    }
  if (self->plan->request != DB_REQUEST_FETCH)
    return db_result_new_without_rows (-1, -1);
  if (self->paused)
    return db_result_builder_finish (g_steal_pointer (&self->rows), -1, -1);
  return g_steal_pointer (&self->part);
}

const DbPostgresRunKind db_postgres_stream_kind = {
  send_stream, take_stream, fail_stream, NULL, NULL, finish_stream,
};
