/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Prepares statements, runs them to their end and reads their rows.
 *
 * Nothing here locks: whoever uses the session calls. A statement of the cache is never left
 * half-read, since another one of the same text may come; what is read bit by bit has one of its
 * own (db-sqlite-stream.c). */

#include "config.h"

#include <string.h>

#include "db-error.h"
#include "db-params-private.h"
#include "db-result-private.h"
#include "db-session-private.h"
#include "db-sqlite-errors-private.h"
#include "db-sqlite-run-private.h"
#include "db-sqlite-stream-private.h"

/* Preparing reads the schema, and so may find the file locked; SQLite does not always wait then. */
static int
prepare (DbSqliteSession *self,
         const char *sql,
         guint flags,
         sqlite3_stmt **stmt,
         const char **tail)
{
  int rc;

  do
    rc = sqlite3_prepare_v3 (self->db, sql, -1, flags, stmt, tail);
  while ((rc & 0xff) == SQLITE_BUSY && self->stop == DB_SQLITE_STOP_NONE &&
         db_sqlite_session_wait (self, 1000));
  return rc;
}

/* The statement that begins at @sql, which is part of @text. NULL without an error: there is none
 * left. */
static DbSqliteStatement *
prepare_next (DbSqliteSession *self,
              const char *text,
              const char *sql,
              guint flags,
              const char **tail,
              GError **error)
{
  const char *start = db_sqlite_skip_blank (sql);
  sqlite3_stmt *stmt = NULL;
  int rc;

  *tail = start;
  if (*start == '\0')
    return NULL;
  rc = prepare (self, start, flags, &stmt, tail);
  if (rc != SQLITE_OK)
    {
      if (db_sqlite_breaks_session (rc))
        self->broken = TRUE;
      g_propagate_error (error, db_sqlite_session_new_error (self, rc, text, start));
      return NULL;
    }
  if (stmt == NULL)
    return NULL;
  return db_sqlite_statement_new (stmt, sql, (gsize) (*tail - sql), error);
}

/* NULL without an error: there is no statement in the text. */
static DbSqliteStatement *
prepare_single (DbSqliteSession *self, const char *sql, gboolean keep, GError **error)
{
  g_autoptr (DbSqliteStatement) statement = NULL;
  const char *tail;

  statement = prepare_next (self, sql, sql, keep ? SQLITE_PREPARE_PERSISTENT : 0, &tail, error);
  if (statement == NULL)
    return NULL;
  if (*db_sqlite_skip_blank (tail) != '\0')
    {
      g_set_error_literal (error, DB_ERROR, DB_ERROR_QUERY,
                           "there are several statements in the text: run them one by one, or as a "
                           "script");
      return NULL;
    }
  if (strlen (statement->sql) != strlen (sql))
    {
      /* Blank space or a comment follows; the text as it is given is what the cache looks for. */
      g_free (statement->sql);
      statement->sql = g_strdup (sql);
    }
  return g_steal_pointer (&statement);
}

DbSqliteStatement *
db_sqlite_run_obtain (DbSqliteSession *self, const char *sql, gboolean keep, GError **error)
{
  DbSqliteStatement *statement = NULL;

  if (keep)
    {
      statement = db_sqlite_cache_lookup (&self->cache, sql);
      db_session_count_statement (DB_SESSION (self), statement != NULL);
    }
  if (statement != NULL)
    return statement;
  statement = prepare_single (self, sql, keep, error);
  if (statement != NULL && keep)
    db_sqlite_cache_offer (&self->cache, statement);
  return statement;
}

void
db_sqlite_run_release (DbSqliteStatement *statement)
{
  if (statement != NULL && !statement->cached)
    db_sqlite_statement_free (statement);
}

static gboolean
check_n_values (guint wanted, guint given, GError **error)
{
  if (wanted == given)
    return TRUE;
  g_set_error (error, DB_ERROR, DB_ERROR_QUERY,
               "the statement has %u parameters, but %u values were given", wanted, given);
  return FALSE;
}

gboolean
db_sqlite_run_bind (DbSqliteSession *self,
                    DbSqliteStatement *statement,
                    DbParams *params,
                    guint row,
                    gboolean copy,
                    GError **error)
{
  guint n_values = 0;
  guint bad;
  const DbValue *values = params != NULL ? db_params_get_values (params, row, &n_values) : NULL;
  int rc;

  if (!check_n_values (statement->n_values, n_values, error))
    return FALSE;
  rc = db_sqlite_statement_bind (statement, values, copy, &bad);
  if (rc == SQLITE_OK)
    return TRUE;
  if (rc != SQLITE_MISMATCH)
    g_propagate_error (error, db_sqlite_session_new_error (self, rc, NULL, NULL));
  else if (values[bad].type == DB_VALUE_TYPE_ARRAY)
    g_set_error (error, DB_ERROR, DB_ERROR_TYPE,
                 "the value of $%u cannot be stored: SQLite has no arrays: pass JSON", bad + 1);
  else
    g_set_error (error, DB_ERROR, DB_ERROR_TYPE,
                 "the value of $%u cannot be stored: SQLite has no NaN", bad + 1);
  return FALSE;
}

/* SQLite remembers the last id until there is another one, also where a row was only updated (ON
 * CONFLICT DO UPDATE) or its table has no ids. */
static gint64
get_inserted_id (DbSqliteSession *self)
{
  gint64 id = sqlite3_last_insert_rowid (self->db);

  return id != self->last_insert_id || self->id_repeated || self->handle_lent ? id : -1;
}

static DbResult *
finish_result (DbSqliteSession *self,
               DbSqliteStatement *statement,
               DbSqliteWant want,
               DbResultBuilder *builder)
{
  gint64 rows = -1;
  gint64 id = -1;

  if (statement->changes_rows)
    {
      rows = sqlite3_changes64 (self->db);
      if (statement->inserts && rows > 0 && want != DB_SQLITE_WANT_COUNT)
        id = get_inserted_id (self);
    }
  if (builder == NULL)
    return db_result_new_without_rows (rows, id);
  return db_result_builder_finish (builder, rows, id);
}

/* Steps over the rows of a statement whose rows are not wanted. */
static DbResult *
step_over_all (DbSqliteSession *self,
               DbSqliteStatement *statement,
               DbSqliteWant want,
               GError **error)
{
  int rc;

  do
    rc = sqlite3_step (statement->stmt);
  while (rc == SQLITE_ROW);
  if (rc == SQLITE_DONE)
    return finish_result (self, statement, want, NULL);

  db_sqlite_session_set_error (self, rc, statement->opens_another_file, error);
  return NULL;
}

/* A large value is not copied before it is known that it may be. */
static gboolean
read_row (DbSqliteStatement *statement,
          int n_columns,
          DbResultBuilder *builder,
          const DbStatementPlan *plan,
          gboolean *exceeded)
{
  gboolean ok = TRUE;

  if (plan->max_result_size == 0)
    return db_sqlite_statement_read_row (statement, n_columns, builder);
  *exceeded =
    db_statement_plan_is_exceeded (plan, db_result_builder_get_size (builder) +
                                           db_sqlite_statement_measure_row (statement, n_columns));
  if (!*exceeded)
    ok = db_sqlite_statement_read_row (statement, n_columns, builder);
  *exceeded =
    *exceeded || db_statement_plan_is_exceeded (plan, db_result_builder_get_size (builder));
  return ok;
}

int
db_sqlite_run_read_row (DbSqliteSession *self,
                        DbSqliteStatement *statement,
                        int n_columns,
                        DbResultBuilder *builder,
                        const DbStatementPlan *plan,
                        GError **error)
{
  gboolean exceeded = FALSE;
  int rc;

  if (!read_row (statement, n_columns, builder, plan, &exceeded))
    rc = SQLITE_NOMEM;
  else if (exceeded)
    {
      g_propagate_error (error, db_statement_plan_new_exceeded_error (plan, FALSE));
      return SQLITE_TOOBIG;
    }
  else
    rc = sqlite3_step (statement->stmt);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE)
    db_sqlite_session_set_error (self, rc, statement->opens_another_file, error);
  return rc;
}

static DbResult *
step_all (DbSqliteSession *self,
          DbSqliteStatement *statement,
          const DbStatementPlan *plan,
          GError **error)
{
  g_autoptr (DbResultBuilder) builder = NULL;
  int rc = sqlite3_step (statement->stmt);
  /* Only now: a changed schema may have changed the columns. */
  int n_columns = sqlite3_column_count (statement->stmt);

  if (rc == SQLITE_ROW || rc == SQLITE_DONE)
    builder = db_sqlite_statement_new_builder (statement, n_columns);
  else
    db_sqlite_session_set_error (self, rc, statement->opens_another_file, error);
  while (rc == SQLITE_ROW)
    rc = db_sqlite_run_read_row (self, statement, n_columns, builder, plan, error);
  if (rc != SQLITE_DONE)
    return NULL;
  return finish_result (self, statement, DB_SQLITE_WANT_ROWS, g_steal_pointer (&builder));
}

/* SQLite changes everything before it gives the first row, and keeps that when the rest is not
 * wanted. So where rows may be too many, they are asked for in a savepoint. */
static DbResult *
step_all_or_nothing (DbSqliteSession *self,
                     DbSqliteStatement *statement,
                     const DbStatementPlan *plan,
                     GError **error)
{
  DbResult *result;

  if (!db_sqlite_session_exec (self, "SAVEPOINT dbpool_limit", NULL, error))
    return NULL;
  result = step_all (self, statement, plan, error);
  sqlite3_reset (statement->stmt);
  if (result != NULL && db_sqlite_session_exec (self, "RELEASE dbpool_limit", NULL, error))
    return result;
  g_clear_object (&result);
  /* ON CONFLICT ROLLBACK has ended it already. */
  if (!sqlite3_get_autocommit (self->db) &&
      !(db_sqlite_session_exec (self, "ROLLBACK TO dbpool_limit", NULL, NULL) &&
        db_sqlite_session_exec (self, "RELEASE dbpool_limit", NULL, NULL)))
    self->broken = TRUE;
  return NULL;
}

static DbResult *
step (DbSqliteSession *self,
      DbSqliteStatement *statement,
      DbSqliteWant want,
      const DbStatementPlan *plan,
      GError **error)
{
  if (want != DB_SQLITE_WANT_ROWS)
    return step_over_all (self, statement, want, error);
  if (plan->max_result_size != 0 && statement->changes_rows &&
      sqlite3_column_count (statement->stmt) > 0)
    return step_all_or_nothing (self, statement, plan, error);
  return step_all (self, statement, plan, error);
}

/* A borrower's PRAGMA busy_timeout has put SQLite's own handler in place of ours: take its value
 * over for the rest of the loan. */
static void
adopt_busy_timeout (DbSqliteSession *self)
{
  g_autofree char *value = NULL;

  if (db_sqlite_session_exec (self, "PRAGMA busy_timeout", &value, NULL) && value != NULL)
    db_sqlite_session_adopt_busy_timeout (self, g_ascii_strtoll (value, NULL, 10) * 1000);
}

static void
note_effects (DbSqliteSession *self,
              DbSqliteStatement *statement,
              gboolean in_transaction,
              gboolean succeeded)
{
  if (statement->changes_session)
    db_session_mark_dirty (DB_SESSION (self));
  if (statement->begins_read_only && succeeded)
    self->transaction_read_only = TRUE;
  if (statement->sets_busy_timeout)
    adopt_busy_timeout (self);
  if (self->streams.length > 0 && in_transaction && sqlite3_get_autocommit (self->db) &&
      !(statement->commits && succeeded))
    db_sqlite_stream_roll_back_all (self);
}

static DbResult *
run_empty (DbParams *params, guint row, GError **error)
{
  guint n_values = 0;

  if (params != NULL)
    db_params_get_values (params, row, &n_values);
  return check_n_values (0, n_values, error) ? db_result_new_without_rows (-1, -1) : NULL;
}

DbResult *
db_sqlite_run_statement (DbSqliteSession *self,
                         DbSqliteStatement *statement,
                         DbParams *params,
                         guint row,
                         DbSqliteWant want,
                         const DbStatementPlan *plan,
                         GError **error)
{
  DbResult *result = NULL;

  if (statement == NULL)
    return run_empty (params, row, error);
  if (db_sqlite_run_bind (self, statement, params, row, FALSE, error) &&
      (!statement->writes || db_sqlite_session_begin_write (self, statement->verb, error)))
    {
      gboolean in_transaction = !sqlite3_get_autocommit (self->db);

      if (statement->inserts)
        {
          self->last_insert_id = sqlite3_last_insert_rowid (self->db);
          self->id_repeated = FALSE;
        }
      result = step (self, statement, want, plan, error);
      sqlite3_reset (statement->stmt);
      note_effects (self, statement, in_transaction, result != NULL);
    }
  /* Numbers may stay until the next run, which binds all of them. */
  if (statement->borrows)
    {
      sqlite3_clear_bindings (statement->stmt);
      statement->borrows = FALSE;
    }
  return result;
}

static DbResult *
run_single (DbSqliteSession *self, const DbStatementPlan *plan, GError **error)
{
  gboolean keep = (plan->flags & DB_STATEMENT_UNCACHED) == 0;
  DbSqliteWant want =
    plan->flags & DB_STATEMENT_NO_ROWS ? DB_SQLITE_WANT_COUNTS : DB_SQLITE_WANT_ROWS;
  GError *local_error = NULL;
  DbSqliteStatement *statement = db_sqlite_run_obtain (self, plan->sql, keep, &local_error);
  DbResult *result;

  if (local_error != NULL)
    {
      g_propagate_error (error, local_error);
      return NULL;
    }
  result = db_sqlite_run_statement (self, statement, plan->params, plan->row, want, plan, error);
  db_sqlite_run_release (statement);
  return result;
}

static DbResult *
run_script (DbSqliteSession *self, const DbStatementPlan *plan, GError **error)
{
  const char *sql = plan->sql;
  gint64 n_rows = 0;

  if (plan->params != NULL && db_params_get_n_values (plan->params, 0) > 0)
    {
      g_set_error_literal (error, DB_ERROR, DB_ERROR_QUERY, "a script takes no parameters");
      return NULL;
    }
  for (guint n = 1;; n++)
    {
      g_autoptr (DbSqliteStatement) statement = NULL;
      g_autoptr (DbResult) result = NULL;
      GError *local_error = NULL;

      if (db_sqlite_session_is_stopped (self, error))
        return NULL;
      statement = prepare_next (self, plan->sql, sql, 0, &sql, &local_error);
      if (statement != NULL)
        result = db_sqlite_run_statement (self, statement, NULL, 0, DB_SQLITE_WANT_COUNT, plan,
                                          &local_error);
      if (local_error != NULL)
        {
          g_propagate_prefixed_error (error, local_error, "statement %u of the script: ", n);
          return NULL;
        }
      if (statement == NULL && *sql == '\0')
        return db_result_new_without_rows (n_rows, -1);
      if (result != NULL && db_result_get_rows_affected (result) > 0)
        n_rows += db_result_get_rows_affected (result);
      g_clear_pointer (&statement, db_sqlite_statement_free);
      db_sqlite_session_settle (self);
    }
}

DbResult *
db_sqlite_run_plan (DbSqliteSession *self, const DbStatementPlan *plan, GError **error)
{
  if (plan->flags & DB_STATEMENT_SCRIPT)
    return run_script (self, plan, error);
  return run_single (self, plan, error);
}

DbResult *
db_sqlite_run_describe (DbSqliteSession *self, const DbStatementPlan *plan, GError **error)
{
  g_autoptr (DbSqliteStatement) statement = NULL;
  g_autoptr (GError) local_error = NULL;

  /* Running something makes SQLite look whether its copy of the schema is still the file's; only
   * preparing does not. */
  if (!db_sqlite_session_exec (self, "SELECT 1 FROM sqlite_schema LIMIT 0", NULL, error))
    return NULL;
  statement = prepare_single (self, plan->sql, FALSE, &local_error);
  if (local_error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return NULL;
    }
  db_description_clear (plan->description);
  if (statement != NULL)
    db_sqlite_statement_describe (statement, plan->description);
  return db_result_new_without_rows (-1, -1);
}

static int
exec_once (DbSqliteStatement *statement, char **first)
{
  int rc = sqlite3_step (statement->stmt);

  if (rc == SQLITE_ROW && first != NULL)
    *first = g_strdup ((const char *) sqlite3_column_text (statement->stmt, 0));
  while (rc == SQLITE_ROW)
    rc = sqlite3_step (statement->stmt);
  return rc;
}

gboolean
db_sqlite_session_exec (DbSqliteSession *self, const char *sql, char **first, GError **error)
{
  g_autoptr (DbSqliteStatement) statement = prepare_single (self, sql, FALSE, error);
  int rc;

  if (statement == NULL)
    return FALSE;
  if (statement->writes && !self->holds_token &&
      !db_sqlite_session_take_token (self, statement->verb))
    {
      g_propagate_error (error, db_sqlite_session_new_stopped_error (self));
      return FALSE;
    }
  while ((rc = exec_once (statement, first)) == SQLITE_BUSY && self->stop == DB_SQLITE_STOP_NONE &&
         db_sqlite_session_wait (self, 5000))
    sqlite3_reset (statement->stmt);
  if (rc == SQLITE_DONE)
    return TRUE;
  db_sqlite_session_set_error (self, rc, FALSE, error);
  return FALSE;
}
