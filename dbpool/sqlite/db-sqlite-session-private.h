/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One sqlite3 handle and what dbpool needs around it. Made by the manager, which also sets it up.
 * The handle, its waits and its end are in db-sqlite-session.c; running statements, batches and
 * streams have files of their own, which share this. */

#pragma once

#include <sqlite3.h>

#include "db-log-private.h"
#include "db-session-private.h"
#include "db-sqlite-statement-private.h"
#include "db-sqlite-token-private.h"

#define DB_TYPE_SQLITE_SESSION (db_sqlite_session_get_type ())
G_DECLARE_FINAL_TYPE (DbSqliteSession, db_sqlite_session, DB, SQLITE_SESSION, DbSession)

/* Why a wait or a statement was given up. */
typedef enum
{
  DB_SQLITE_STOP_NONE,
  DB_SQLITE_STOP_CANCELLED,
  DB_SQLITE_STOP_TIMEOUT,
  DB_SQLITE_STOP_BUSY,
} DbSqliteStop;

/* For lines of the log about a session. */
#define DB_SQLITE_LOG_FACTS(session, event, ...)                                                   \
  DB_LOG_FACTS (event, .pool = db_session_get_log_pool (DB_SESSION (session)),                     \
                .connection = db_session_get_log_id (DB_SESSION (session)),                        \
                .database = (session)->description, __VA_ARGS__)

struct _DbSqliteSession
{
  DbSession parent_instance;

  /* Read-only after construction. */
  char *description;
  DbSqliteToken *token;
  guint fork_generation;

  int cancel_state; /* atomic, CancelState */

  /* Whoever uses the session. */
  sqlite3 *db; /* NULL: closed */
  DbSqliteCache cache;
  GQueue streams; /* of DbSqliteStream */
  gsize last_stream;
  DbSqliteTicket ticket;
  gint64 busy_timeout;
  gint64 initial_busy_timeout;
  gboolean wal;
  gboolean broken;
  gboolean read_only;
  gboolean transaction_read_only;
  gboolean holds_token;
  gboolean holds_token_to_read;
  guint n_busy;          /* for the log: how often SQLite found a lock taken, ... */
  gint64 waited;         /* ... and how long the session stood in the queue of writers */
  gboolean handle_lent;  /* somebody has the handle, and may have put hooks in place of ours */
  gint64 last_insert_id; /* of the handle, before the statement that runs */
  gboolean id_repeated;  /* since then a row was inserted that has the same */

  /* Between enter and leave. */
  gboolean entered;
  gboolean told; /* an error's details were left with the session */
  GCancellable *cancellable;
  gulong cancelled_handler; /* connected by the first wait only */
  gint64 deadline;          /* of the statement; G_MAXINT64: none */
  gint64 wait_until;        /* 0: nothing was waited for yet */
  gint64 timeout;
  DbSqliteStop stop;
};

/* Takes @db and @token. @description: the database in words. @busy_timeout in microseconds. */
DbSqliteSession *db_sqlite_session_new (sqlite3 *db,
                                        DbSqliteToken *token,
                                        const char *description,
                                        gint64 busy_timeout);

/* Closes the handle: at once, and with it whatever transaction is open. */
void db_sqlite_session_close (DbSqliteSession *self);

sqlite3 *db_sqlite_session_get_db (DbSqliteSession *self);

/* The same for a stranger: from now on hooks and handlers may be other ones, and the session is
 * looked through before anybody else gets it. */
sqlite3 *db_sqlite_session_lend_db (DbSqliteSession *self);

/* Before the session goes to somebody else, first of all: what a borrower of the handle hooked in
 * is gone, and rows that were still being read are given up. FALSE: a statement of a borrower's is
 * still there. */
gboolean db_sqlite_session_inspect (DbSqliteSession *self, GError **error);

/* Around whatever waits or runs: a cancellable and a timeout (0: none) hold in between. */
gboolean db_sqlite_session_enter (DbSqliteSession *self,
                                  GCancellable *cancellable,
                                  gint64 timeout,
                                  GError **error);
void db_sqlite_session_leave (DbSqliteSession *self);

/* After each statement: the token, and who waits. */
void db_sqlite_session_settle (DbSqliteSession *self);

/* Busy and progress handlers, and whatever a borrower of the handle may have hooked in. */
void db_sqlite_session_install_handlers (DbSqliteSession *self);

/* Whether readers and writers get out of each other's way. */
void db_sqlite_session_set_wal (DbSqliteSession *self, gboolean wal);

/* The following: between enter and leave. */

/* What self->stop says. */
GError *db_sqlite_session_new_stopped_error (DbSqliteSession *self);

/* A cancel or the deadline, between two statements; with self->stop and an error. */
gboolean db_sqlite_session_is_stopped (DbSqliteSession *self, GError **error);

/* Sleeps for @duration (0: without a limit of its own), until woken or until waiting is over; FALSE
 * in the last case, with self->stop. */
gboolean db_sqlite_session_wait (DbSqliteSession *self, gint64 duration);

/* Stands in the queue of those that write; FALSE with self->stop. @activity: a static string; NULL
 * to read only. */
gboolean db_sqlite_session_take_token (DbSqliteSession *self, const char *activity);

/* The right to write, then the token; without WAL never a wait that nobody could end. */
gboolean db_sqlite_session_begin_write (DbSqliteSession *self, const char *verb, GError **error);

/* A borrower's PRAGMA busy_timeout has put SQLite's own handler in place of ours. */
void db_sqlite_session_adopt_busy_timeout (DbSqliteSession *self, gint64 busy_timeout);

/* An error from the handle's last failure, whose details are left with the session. @sql: the text
 * in which SQLite was given what begins at @start; NULL when nothing was being prepared. */
GError *
db_sqlite_session_new_error (DbSqliteSession *self, int rc, const char *sql, const char *start);

/* The same of a statement that failed while it ran; what broke the session is noted. */
void
db_sqlite_session_set_error (DbSqliteSession *self, int rc, gboolean another_file, GError **error);
