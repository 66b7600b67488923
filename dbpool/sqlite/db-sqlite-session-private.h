/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One sqlite3 handle and what dbpool needs around it. Made by the manager, which also sets it up.
 */

#pragma once

#include <sqlite3.h>

#include "db-session.h"
#include "db-sqlite-token-private.h"

#define DB_TYPE_SQLITE_SESSION (db_sqlite_session_get_type ())
G_DECLARE_FINAL_TYPE (DbSqliteSession, db_sqlite_session, DB, SQLITE_SESSION, DbSession)

/* Takes @db and @token. @description: the database in words. @busy_timeout in microseconds. */
DbSqliteSession *db_sqlite_session_new (sqlite3 *db,
                                        DbSqliteToken *token,
                                        const char *description,
                                        gint64 busy_timeout,
                                        guint cache_size);

/* Closes the handle: at once, and with it whatever transaction is open. */
void db_sqlite_session_close (DbSqliteSession *self);

sqlite3 *db_sqlite_session_get_db (DbSqliteSession *self);

/* Around whatever waits or runs: a cancellable and a timeout (0: none) hold in between. */
gboolean db_sqlite_session_enter (DbSqliteSession *self,
                                  GCancellable *cancellable,
                                  gint64 timeout,
                                  GError **error);
void db_sqlite_session_leave (DbSqliteSession *self);

/* Between enter and leave: runs one statement of dbpool's own, with retries while the database is
 * locked. @first: the first cell of the first row, or NULL. */
gboolean
db_sqlite_session_exec (DbSqliteSession *self, const char *sql, char **first, GError **error);

/* Busy and progress handlers, and whatever a borrower of the handle may have hooked in. */
void db_sqlite_session_install_handlers (DbSqliteSession *self);

/* Whether readers and writers get out of each other's way. */
void db_sqlite_session_set_wal (DbSqliteSession *self, gboolean wal);

/* Between enter and leave: an error from the handle's last failure. */
GError *db_sqlite_session_new_error (DbSqliteSession *self, int rc);
