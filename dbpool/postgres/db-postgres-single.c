/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One statement, or a script. A statement that the cache has prepared, or wants to have, is run by
 * its name; if that turns out to be out of date outside a transaction, it is run once more without
 * one. No lock: it works on the session of whoever runs it. */

#include "config.h"

#include "db-postgres-run-private.h"

#include "db-postgres-sql-private.h"
#include "db-postgres-values-private.h"

static gboolean
queue_statement (DbPostgresRun *self,
                 DbPostgresStatement *statement,
                 const DbPostgresParams *params)
{
  PGconn *conn = self->session->conn;
  DbPostgresItem *item;

  if (statement != NULL && !statement->prepared &&
      !db_postgres_run_queue_prepare (self, statement, self->plan->sql))
    return FALSE;
  item = db_postgres_run_add (self, DB_POSTGRES_ITEM_STATEMENT);
  item->n_params = params->n;
  if (statement == NULL)
    return PQsendQueryParams (conn, self->plan->sql, params->n, NULL, params->values,
                              params->lengths, params->formats, 0);
  item->statement = db_postgres_statement_ref (statement);
  return PQsendQueryPrepared (conn, statement->name, params->n, params->values, params->lengths,
                              params->formats, 0);
}

/* What comes of a statement that changes something may be refused because of its size, and then it
 * must not have been done: so the Sync, which commits, waits until the rows are there. */
static gboolean
may_be_undone (DbPostgresRun *self)
{
  return self->by_row && (self->plan->flags & DB_STATEMENT_NO_ROWS) == 0 &&
         db_postgres_sql_has_word (self->plan->sql, "RETURNING");
}

static gboolean
queue_pipeline (DbPostgresRun *self, DbPostgresStatement *statement, const DbPostgresParams *params)
{
  if (!db_postgres_run_enter_pipeline (self) || !db_postgres_run_queue_preface (self, 1) ||
      !queue_statement (self, statement, params))
    return FALSE;
  if (!self->sync_due)
    return db_postgres_run_queue_sync (self);
  return PQsendFlushRequest (self->session->conn);
}

static DbPostgresStatement *
choose_statement (DbPostgresRun *self)
{
  DbPostgresSession *session = self->session;
  DbPostgresStatement *statement;
  gboolean cacheable;

  if (self->flags & DB_POSTGRES_RUN_INTERNAL || self->was_retried ||
      self->plan->flags & DB_STATEMENT_UNCACHED)
    return NULL;
  statement = db_postgres_statements_use (session->statements, self->plan->sql, FALSE, &cacheable);
  if (cacheable)
    db_session_count_statement (DB_SESSION (session), statement != NULL && statement->prepared);
  return statement;
}

static gboolean
send_with_params (DbPostgresRun *self)
{
  DbPostgresStatement *statement = choose_statement (self);
  DbPostgresParams params;
  gboolean ok =
    db_postgres_params_init (&params, self->plan->params, self->plan->row, &self->error);

  self->sync_due = may_be_undone (self);
  if (ok && (self->sync_due || db_postgres_run_wants_setting (self) ||
             (statement != NULL && !statement->prepared)))
    ok = queue_pipeline (self, statement, &params);
  else if (ok)
    ok = queue_statement (self, statement, &params);
  db_postgres_params_clear (&params);
  return ok;
}

static gboolean
send_single (DbPostgresRun *self)
{
  gboolean is_script = (self->plan->flags & DB_STATEMENT_SCRIPT) != 0;

  if (db_postgres_run_wants_setting (self) &&
      (is_script || db_postgres_sql_begins_with (self->plan->sql, "COPY")))
    return db_postgres_run_send_prelude (self);
  if (!is_script)
    return send_with_params (self);
  db_postgres_run_add (self, DB_POSTGRES_ITEM_STATEMENT);
  return PQsendQuery (self->session->conn, self->plan->sql);
}

/* By row: each of them, and an empty result at the end. */
static void
take_rows (DbPostgresRun *self, PGresult *result)
{
  gboolean no_rows = (self->plan->flags & DB_STATEMENT_NO_ROWS) != 0;

  if (!no_rows && !self->refused && PQntuples (result) > 0 &&
      !db_postgres_run_add_row (self, result))
    {
      db_postgres_run_refuse (self, db_statement_plan_new_exceeded_error (self->plan, FALSE));
      db_postgres_session_request_cancel (self->session, self->epoch);
    }
  if (PQresultStatus (result) != PGRES_SINGLE_TUPLE && !self->refused)
    {
      g_clear_object (&self->part);
      self->part = db_postgres_run_end_rows (self, result, no_rows);
    }
}

static void
take_single (DbPostgresRun *self, PGresult *result)
{
  if (self->by_row)
    take_rows (self, result);
  if (PQresultStatus (result) == PGRES_SINGLE_TUPLE)
    {
      PQclear (result);
      return;
    }
  db_postgres_run_note_command (self, result, self->plan->sql);
  PQclear (self->result);
  self->result = result;
}

/* The statement has been answered. */
static void
next_single (DbPostgresRun *self, const DbPostgresItem *item)
{
  if (!self->sync_due || item->kind != DB_POSTGRES_ITEM_STATEMENT)
    return;
  self->sync_due = FALSE;
  self->flushing = TRUE;
  if ((self->refused && !db_postgres_run_queue_stop (self)) || !db_postgres_run_queue_sync (self))
    db_postgres_run_break (self);
}

/* The first error says why; a second one only that the socket is gone. */
static void
fail_single (DbPostgresRun *self, const PGresult *result)
{
  if (self->error != NULL)
    return;
  self->may_retry = db_postgres_run_is_stale (self, result);
  self->error = db_postgres_run_make_error (self, result);
}

static gboolean
again_single (DbPostgresRun *self)
{
  if (!self->may_retry || self->was_retried || !self->was_idle ||
      PQtransactionStatus (self->session->conn) != PQTRANS_IDLE)
    return FALSE;
  g_clear_error (&self->error);
  db_session_take_error_info (DB_SESSION (self->session), NULL);
  self->was_retried = TRUE;
  return TRUE;
}

static DbResult *
finish_single (DbPostgresRun *self)
{
  DbPostgresStatement *statement =
    self->n_items > 0 ? db_postgres_run_get_first (self)->statement : NULL;

  if (self->part != NULL)
    return g_steal_pointer (&self->part);
  return db_postgres_result_convert (self->result, (self->plan->flags & DB_STATEMENT_NO_ROWS) != 0,
                                     statement != NULL ? &statement->columns : NULL);
}

const DbPostgresRunKind db_postgres_single_kind = {
  send_single, take_single, fail_single, next_single, again_single, finish_single,
};
