/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Rows that are read bit by bit. What a DbStream points to is a number: the session alone knows the
 * streams that it has, and ends them without asking. */

#pragma once

#include "db-sqlite-session-private.h"
#include "db-statement-plan-private.h"

/* DB_REQUEST_OPEN and DB_REQUEST_FETCH, between enter and leave. */
DbResult *
db_sqlite_stream_open (DbSqliteSession *self, const DbStatementPlan *plan, GError **error);
DbResult *
db_sqlite_stream_fetch (DbSqliteSession *self, const DbStatementPlan *plan, GError **error);

/* DB_REQUEST_CLOSE; does no I/O, and does not fail. */
DbResult *db_sqlite_stream_close (DbSqliteSession *self, const DbStatementPlan *plan);

/* The session is about to be reset or closed. */
void db_sqlite_stream_end_all (DbSqliteSession *self);

/* A transaction was rolled back: the streams that were opened in it have no more rows to give. */
void db_sqlite_stream_roll_back_all (DbSqliteSession *self);
