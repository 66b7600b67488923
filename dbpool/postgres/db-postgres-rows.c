/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Rows one by one, for results that may become too large. libpq collects all of a result before it
 * shows any of it; so where there is a limit it is asked for single rows, which are converted as
 * they come. One row is always collected, however large it is. What comes after the limit was
 * passed is read and thrown away, and the server is asked to stop.
 *
 * No lock: it works on the session of whoever runs it. */

#include "config.h"

#include "db-postgres-run-private.h"

#include "db-postgres-values-private.h"

/* Below this a value may be longer as text than as a cell. */
#define WORTH_MEASURING 1024

/* In a pipeline this can be said only when it is the turn of the statement's results, and before
 * the first of them. */
void
db_postgres_run_ask_for_rows (DbPostgresRun *self)
{
  if (self->row_asked || self->n_items == 0 ||
      db_postgres_run_get_first (self)->kind != DB_POSTGRES_ITEM_STATEMENT)
    return;
  self->row_asked = TRUE;
  /* If it should fail, all rows come at once and the limit is looked at then. */
  PQsetSingleRowMode (self->session->conn);
}

/* What a cell takes at least: bytes come as text of twice their size. */
static gsize
measure (const PGresult *result)
{
  gsize size = 0;

  for (int row = 0; row < PQntuples (result); row++)
    for (int i = 0; i < PQnfields (result); i++)
      if (PQgetlength (result, row, i) > WORTH_MEASURING)
        size += (gsize) PQgetlength (result, row, i) / 2 - 1;
  return size;
}

static DbPostgresColumns **
get_columns (DbPostgresRun *self)
{
  DbPostgresStatement *statement =
    self->n_items > 0 ? db_postgres_run_get_first (self)->statement : NULL;

  return statement != NULL ? &statement->columns : &self->columns;
}

gboolean
db_postgres_run_add_row (DbPostgresRun *self, const PGresult *result)
{
  DbPostgresColumns **columns = get_columns (self);
  gsize size;

  if (self->rows == NULL)
    self->rows = db_postgres_result_begin (result, columns);
  size = db_result_builder_get_size (self->rows);
  if (!db_statement_plan_is_exceeded (self->plan, size + measure (result)))
    {
      db_postgres_result_append (self->rows, result, *columns);
      size = db_result_builder_get_size (self->rows);
      if (!db_statement_plan_is_exceeded (self->plan, size))
        return TRUE;
    }
  g_clear_pointer (&self->rows, db_result_builder_free);
  return FALSE;
}

DbResult *
db_postgres_run_end_rows (DbPostgresRun *self, const PGresult *last, gboolean no_rows)
{
  g_autoptr (DbResult) end = NULL;

  if (self->rows == NULL)
    return db_postgres_result_convert (last, no_rows, get_columns (self));
  end = db_postgres_result_convert (last, TRUE, NULL);
  return db_result_builder_finish (g_steal_pointer (&self->rows), db_result_get_rows_affected (end),
                                   -1);
}

void
db_postgres_run_refuse (DbPostgresRun *self, GError *error)
{
  g_clear_error (&self->error);
  self->error = error;
  self->refused = TRUE;
}

gboolean
db_postgres_run_queue_stop (DbPostgresRun *self)
{
  db_postgres_run_add (self, DB_POSTGRES_ITEM_STOP);
  return PQsendQueryPrepared (self->session->conn, "dbpool_no_such_statement", 0, NULL, NULL, NULL,
                              0);
}
