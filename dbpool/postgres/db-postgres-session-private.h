/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A session with a PostgreSQL server: a PGconn, its prepared statements, and the request to cancel
 * what runs in it.
 *
 * Cancelling. A statement runs between begin and end, as a number: its epoch. A request names the
 * epoch, so a late one finds nothing to do. A request is a job on a thread of dbpool's (PQcancel
 * connects and blocks), of which there is one at a time for a session, and a statement does not end
 * while it is under way: so it can never hit the next one. */

#pragma once

#include "db-lock-private.h"
#include "db-postgres-statements-private.h"
#include "db-session-private.h"
#include "db-statement-plan-private.h"

#include <libpq-fe.h>

#define DB_TYPE_POSTGRES_SESSION (db_postgres_session_get_type ())
G_DECLARE_FINAL_TYPE (DbPostgresSession, db_postgres_session, DB, POSTGRES_SESSION, DbSession)

typedef enum
{
  DB_POSTGRES_CANCEL_NONE,    /* nobody asked */
  DB_POSTGRES_CANCEL_SENDING, /* a job is under way */
  DB_POSTGRES_CANCEL_SENT,    /* the server has got it; it may have come too early or too late */
  DB_POSTGRES_CANCEL_FAILED,  /* the server could not be asked */
} DbPostgresCancel;

struct _DbPostgresSession
{
  DbSession parent_instance;

  /* read-only after construction */
  char *where;              /* the database in words */
  PGcancel *cancel_request; /* NULL only when there was no memory for it */
  int wake_fd;              /* an eventfd: the state of a cancel has changed */

  /* used by whoever uses the session */
  PGconn *conn; /* NULL when closed */
  DbPostgresStatements *statements;
  gboolean broken;           /* a statement was abandoned */
  gboolean said_goodbye;     /* the server ended the session while it was idle */
  gboolean has_foreign_plan; /* a PREPARE in SQL, which a reset has to deallocate */
  gboolean want_read_only;
  gboolean is_read_only; /* what the server has been told */

  DbLock lock;
  DbCond cond; /* the cancel is no longer SENDING */

  /* lock */
  guint64 epoch;
  gboolean running;
  DbPostgresCancel cancel;
};

/* Takes over @conn, which is connected. @cache_size: how many statements it keeps prepared, 0:
 * none. */
DbPostgresSession *db_postgres_session_new (PGconn *conn, const char *where, guint cache_size);

/* Blocks until the server has let go. Idempotent. */
void db_postgres_session_close (DbPostgresSession *self);

/* Runs SQL of dbpool's own, of one statement or several. @timeout in microseconds: a session that
 * has not answered until then is broken. */
gboolean db_postgres_session_run_internal (DbPostgresSession *self,
                                           const char *sql,
                                           gint64 timeout,
                                           GCancellable *cancellable,
                                           GError **error);

/* Tells the server now, at the cost of a round trip, whether writes are to fail. */
gboolean db_postgres_session_tell_read_only (DbPostgresSession *self);

/* For statements that run: */

guint64 db_postgres_session_begin (DbPostgresSession *self);

/* FALSE while a request to cancel is under way, unless @abandon. */
gboolean db_postgres_session_end (DbPostgresSession *self, gboolean abandon);

/* From any thread. @epoch: 0 for whatever runs. @again: although it was asked before. */
gboolean
db_postgres_session_request_cancel (DbPostgresSession *self, guint64 epoch, gboolean again);

DbPostgresCancel db_postgres_session_get_cancel (DbPostgresSession *self);

/* Takes note of a wake-up. */
void db_postgres_session_clear_wake_up (DbPostgresSession *self);
