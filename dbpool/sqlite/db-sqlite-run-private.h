/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Preparing and running statements on a session, between its enter and leave. */

#pragma once

#include "db-sqlite-session-private.h"
#include "db-statement-plan-private.h"

typedef enum
{
  DB_SQLITE_WANT_ROWS,
  DB_SQLITE_WANT_COUNTS, /* the rows affected and the id of the one that was inserted */
  DB_SQLITE_WANT_COUNT,  /* the rows affected */
} DbSqliteWant;

/* DB_REQUEST_RUN and DB_REQUEST_DESCRIBE. */
DbResult *db_sqlite_run_plan (DbSqliteSession *self, const DbStatementPlan *plan, GError **error);
DbResult *
db_sqlite_run_describe (DbSqliteSession *self, const DbStatementPlan *plan, GError **error);

/* The statement that @sql holds, and nothing else: from the cache, or prepared. NULL without an
 * error if there is none in the text. Let it go with db_sqlite_run_release(). @keep: it may go to
 * the cache. */
DbSqliteStatement *
db_sqlite_run_obtain (DbSqliteSession *self, const char *sql, gboolean keep, GError **error);
void db_sqlite_run_release (DbSqliteStatement *statement);

/* Runs it to its end. @statement: may be NULL, for a text without one. @plan: what it is a part of;
 * says how large the result may be. */
DbResult *db_sqlite_run_statement (DbSqliteSession *self,
                                   DbSqliteStatement *statement,
                                   DbParams *params,
                                   guint row,
                                   DbSqliteWant want,
                                   const DbStatementPlan *plan,
                                   GError **error);

/* Reads the row on which the statement stands, and goes to the next one. SQLITE_ROW or SQLITE_DONE;
 * anything else with an error. */
int db_sqlite_run_read_row (DbSqliteSession *self,
                            DbSqliteStatement *statement,
                            int n_columns,
                            DbResultBuilder *builder,
                            const DbStatementPlan *plan,
                            GError **error);

/* @copy: the values are copied, else borrowed until the bindings are cleared. */
gboolean db_sqlite_run_bind (DbSqliteSession *self,
                             DbSqliteStatement *statement,
                             DbParams *params,
                             guint row,
                             gboolean copy,
                             GError **error);

/* Runs one statement of dbpool's own, with retries while the database is locked. @first: the first
 * cell of the first row, or NULL. */
gboolean
db_sqlite_session_exec (DbSqliteSession *self, const char *sql, char **first, GError **error);
