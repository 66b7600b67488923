/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Streams: a statement that reads is stepped as far as rows are asked for, with a prepared
 * statement of its own; one that writes is run to its end at once, and its rows are handed out.
 *
 * An open stream keeps a read transaction open (and never the write token). Its session can write
 * all the same, unless another one has written meanwhile. Where the journal is not WAL, writers of
 * other sessions wait for its end with their commits, no longer than their busy timeout.
 *
 * Whoever uses the session calls; nothing here locks. */

#include "config.h"

#include "db-error-private.h"
#include "db-result-private.h"
#include "db-session-private.h"
#include "db-sqlite-run-private.h"
#include "db-sqlite-stream-private.h"
#include "db-worker-private.h"

typedef struct
{
  GList link; /* in the session's streams */
  gsize number;
  gboolean in_transaction; /* opened in one that was begun before */
  gboolean rolled_back;

  DbSqliteStatement *statement; /* NULL: all rows are there */
  gboolean has_row;             /* it stands on a row that was not read yet */
  int n_columns;

  DbResult *rows;
  guint next;
} DbSqliteStream;

static void
stream_drop (DbSqliteStream *self)
{
  g_clear_pointer (&self->statement, db_sqlite_statement_free);
  g_clear_object (&self->rows);
}

static void
stream_end (DbSqliteSession *session, DbSqliteStream *self)
{
  g_queue_unlink (&session->streams, &self->link);
  stream_drop (self);
  g_free (self);
  db_session_remove_leftover (DB_SESSION (session));
}

static DbSqliteStream *
find (DbSqliteSession *session, const DbStream *stream)
{
  for (GList *l = session->streams.head; l != NULL; l = l->next)
    {
      DbSqliteStream *candidate = l->data;

      if (GSIZE_TO_POINTER (candidate->number) == stream->data)
        return candidate;
    }
  return NULL;
}

/* Takes @statement. Goes to the first row, so that what fails fails now, and that the rows are
 * those of now. */
static gboolean
stream_begin (DbSqliteSession *session,
              DbSqliteStream *self,
              DbSqliteStatement *statement,
              DbParams *params,
              guint row,
              GError **error)
{
  int rc;

  self->statement = statement;
  if (!db_sqlite_run_bind (session, statement, params, row, TRUE, error))
    return FALSE;
  rc = sqlite3_step (statement->stmt);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE)
    {
      db_sqlite_session_set_error (session, rc, statement->opens_another_file, error);
      return FALSE;
    }
  self->has_row = rc == SQLITE_ROW;
  self->n_columns = sqlite3_column_count (statement->stmt);
  return TRUE;
}

static gboolean
can_be_stepped (DbSqliteStatement *statement)
{
  return statement != NULL && !statement->writes && !statement->changes_session &&
         sqlite3_column_count (statement->stmt) > 0;
}

static gboolean
stream_start (DbSqliteSession *session,
              DbSqliteStream *self,
              const DbStatementPlan *plan,
              GError **error)
{
  GError *local_error = NULL;
  DbSqliteStatement *statement = db_sqlite_run_obtain (session, plan->sql, FALSE, &local_error);

  if (local_error != NULL)
    {
      g_propagate_error (error, local_error);
      return FALSE;
    }
  if (can_be_stepped (statement))
    return stream_begin (session, self, statement, plan->params, plan->row, error);
  self->rows = db_sqlite_run_statement (session, statement, plan->params, plan->row,
                                        DB_SQLITE_WANT_ROWS, plan, error);
  db_sqlite_run_release (statement);
  return self->rows != NULL;
}

DbResult *
db_sqlite_stream_open (DbSqliteSession *session, const DbStatementPlan *plan, GError **error)
{
  DbSqliteStream *self = g_new0 (DbSqliteStream, 1);

  self->link.data = self;
  self->in_transaction = !sqlite3_get_autocommit (session->db);
  if (!stream_start (session, self, plan, error))
    {
      stream_drop (self);
      g_free (self);
      return NULL;
    }
  self->number = ++session->last_stream;
  g_queue_push_tail_link (&session->streams, &self->link);
  db_session_add_leftover (DB_SESSION (session));
  plan->stream->data = GSIZE_TO_POINTER (self->number);
  plan->stream->done = FALSE;
  plan->stream->destroy = NULL;
  return db_result_new_without_rows (self->rows != NULL ? db_result_get_rows_affected (self->rows)
                                                        : -1,
                                     -1);
}

static DbResult *
take_rows (DbSqliteStream *self, guint n_rows, gboolean *done)
{
  guint n_left = db_result_get_n_rows (self->rows) - self->next;
  guint n = MIN (n_rows, n_left);
  DbResult *part;

  *done = n == n_left;
  if (self->next == 0 && *done)
    return g_steal_pointer (&self->rows);
  part = db_result_slice (self->rows, self->next, n);
  self->next += n;
  return part;
}

static DbResult *
read_rows (DbSqliteSession *session,
           DbSqliteStream *self,
           const DbStatementPlan *plan,
           gboolean *done,
           GError **error)
{
  DbSqliteStatement *statement = self->statement;
  g_autoptr (DbResultBuilder) builder =
    db_sqlite_statement_new_builder (statement, self->n_columns);
  int rc = self->has_row ? SQLITE_ROW : SQLITE_DONE;

  for (guint n = 0; rc == SQLITE_ROW && n < plan->n_rows; n++)
    rc = db_sqlite_run_read_row (session, statement, self->n_columns, builder, plan, error);
  *done = rc == SQLITE_DONE;
  if (rc == SQLITE_ROW || rc == SQLITE_DONE)
    return db_result_builder_finish (g_steal_pointer (&builder), -1, -1);
  return NULL;
}

static DbResult *
stream_fetch (DbSqliteSession *session,
              DbSqliteStream *self,
              const DbStatementPlan *plan,
              gboolean *done,
              GError **error)
{
  if (self->rolled_back)
    {
      g_propagate_error (error, db_error_new_sqlite (SQLITE_ABORT_ROLLBACK,
                                                     "the transaction in which these rows were "
                                                     "being read was rolled back: read them anew"));
      return NULL;
    }
  if (db_sqlite_session_is_stopped (session, error))
    return NULL;
  if (self->statement == NULL)
    return take_rows (self, plan->n_rows, done);
  return read_rows (session, self, plan, done, error);
}

DbResult *
db_sqlite_stream_fetch (DbSqliteSession *session, const DbStatementPlan *plan, GError **error)
{
  DbSqliteStream *self = find (session, plan->stream);
  gboolean done = FALSE;
  DbResult *part;

  if (self == NULL)
    {
      plan->stream->data = NULL;
      g_set_error_literal (error, DB_ERROR, DB_ERROR_QUERY,
                           "there are no rows being read: they were read to the end, or reading "
                           "them failed or was given up");
      return NULL;
    }
  part = stream_fetch (session, self, plan, &done, error);
  if (part == NULL || done)
    {
      stream_end (session, self);
      plan->stream->data = NULL;
      plan->stream->done = done;
    }
  return part;
}

DbResult *
db_sqlite_stream_close (DbSqliteSession *session, const DbStatementPlan *plan)
{
  /* In the child of a fork it is the parent's. */
  if (session->db != NULL && session->fork_generation == db_fork_generation ())
    {
      DbSqliteStream *self = find (session, plan->stream);

      if (self != NULL)
        {
          stream_end (session, self);
          db_sqlite_session_settle (session);
        }
    }
  plan->stream->data = NULL;
  return db_result_new_without_rows (-1, -1);
}

void
db_sqlite_stream_end_all (DbSqliteSession *session)
{
  while (session->streams.head != NULL)
    stream_end (session, session->streams.head->data);
}

void
db_sqlite_stream_roll_back_all (DbSqliteSession *session)
{
  for (GList *l = session->streams.head; l != NULL; l = l->next)
    {
      DbSqliteStream *self = l->data;

      /* Rows that are all there were a part of it as well. */
      if (self->in_transaction)
        {
          stream_drop (self);
          self->rolled_back = TRUE;
        }
    }
}
