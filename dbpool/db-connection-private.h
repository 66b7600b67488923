/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-connection.h"
#include "db-lease-private.h"
#include "db-statement-plan-private.h"

/* A handle on a loan; takes the reference on @lease. The caller has the session. */
DbConnection *db_connection_new (DbLease *lease, guint64 loan);

/* Releases @self, the caller's reference to which may keep it for the next loan. */
void db_connection_give_back (DbConnection *self);
/* The end of a handle that waited for its next loan. */
void db_connection_drop_spare (DbConnection *self);

DbLease *db_connection_get_lease (DbConnection *self);
guint64 db_connection_get_loan (DbConnection *self);

/* The open transactions of a connection, outermost first, by serial number, and what was dropped
 * while open. Used by whoever has the session, but for what says that it may come from any thread.
 *
 * A guard that is dropped while open marks its transaction as abandoned, and does no I/O: the
 * ROLLBACK goes in front of the next operation, or the reset does it when the connection is
 * returned. A cursor that is dropped leaves its end in the same way.
 *
 * A transaction that was begun for cursors is one of these, the outermost one; nobody has a guard
 * on it, and it ends with the last cursor that needs it, by COMMIT: what was run meanwhile was not
 * meant to be in a transaction. It ends as well when a statement in it fails, whose error says that
 * what was run before is lost. */
guint db_connection_get_depth (DbConnection *self);
guint64 db_connection_push_transaction (DbConnection *self);
/* The depth at which @serial stands, or -1 if it has ended. Any thread. */
int db_connection_find_transaction (DbConnection *self, guint64 serial);
void db_connection_pop_transactions (DbConnection *self, guint depth);
/* Any thread. */
void db_connection_abandon_transaction (DbConnection *self, guint64 serial);

/* One cursor more that needs the transaction in which it is opened: the serial of the innermost one
 * (0: there is none). @own: one has been begun for it. */
guint64 db_connection_enter_cursor (DbConnection *self, gboolean own);
/* What is left to do when a cursor has ended: CLOSE, or the end of its stream, and the end of a
 * transaction of its own. Any thread. Takes @name and @stream, either of which may be NULL. */
void db_connection_leave_cursor (DbConnection *self, guint64 serial, char *name, DbStream *stream);
guint64 db_connection_next_serial (DbConnection *self);

/* Something that is left to be ended. */
typedef struct
{
  char *sql; /* or */
  DbStream *stream;
  const char *undo; /* what makes up for a failure of it, which then is none */
  gboolean loses;   /* takes back what others have run in a transaction of cursors */
} DbPending;

/* The next one, which is no longer open afterwards; FALSE if there is none. */
gboolean db_connection_take_pending (DbConnection *self, DbSession *session, DbPending *pending);
void db_pending_clear (DbPending *self);
void db_stream_free (DbStream *self);

/* "ROLLBACK", or what takes a savepoint back. */
char *db_connection_format_rollback (guint depth);

/* A statement of the application's succeeded. */
void db_connection_note_success (DbConnection *self);

/* What the database said of the error that the application is told now; NULL: it is none of the
 * database's, or no error. */
void db_connection_set_error_info (DbConnection *self, DbErrorInfo *info);

/* A tuple of an application's as a table: FALSE with an error if a value has no SQL type. @params
 * is consumed if floating, and may be NULL, like what comes of it. */
gboolean db_params_convert (GVariant *params, DbParams **converted, GError **error);
