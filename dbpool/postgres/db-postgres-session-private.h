/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A session with a PostgreSQL server: a PGconn, its prepared statements, and the request to cancel
 * what runs in it.
 *
 * Cancelling. A statement runs between begin and end, as a number: its epoch. A request names the
 * epoch, so a late one finds nothing to do. Two jobs on dbpool's threads serve a request: one sends
 * it (PQcancel connects and blocks), the other watches: it has the request sent again, because it
 * may have come before the statement, and when the statement does not end it gives the session up,
 * by shutting the socket down, which wakes whoever waits for it. A statement does not end while a
 * request is being sent, so that a request can never hit the next one.
 *
 * In a forked child the session is the parent's: it is broken there, and nothing is sent to the
 * server or waited for, not even when it is freed; what libpq has allocated for it stays. */

#pragma once

#include "db-lock-private.h"
#include "db-log-private.h"
#include "db-postgres-statements-private.h"
#include "db-session-private.h"
#include "db-statement-plan-private.h"

#include <libpq-fe.h>

#define DB_TYPE_POSTGRES_SESSION (db_postgres_session_get_type ())
G_DECLARE_FINAL_TYPE (DbPostgresSession, db_postgres_session, DB, POSTGRES_SESSION, DbSession)

typedef enum
{
  DB_POSTGRES_CANCEL_NONE,  /* nobody asked */
  DB_POSTGRES_CANCEL_ASKED, /* the server has been asked, or will be */
  DB_POSTGRES_CANCEL_GAVE_UP,
} DbPostgresCancel;

/* A statement whose rows are read one by one. */
typedef struct
{
  gsize serial;         /* what a DbStream has of it */
  PGresult *first;      /* read ahead, or NULL */
  DbSessionState state; /* of the session when it began */
} DbPostgresStream;

void db_postgres_stream_drop (DbPostgresSession *session);

struct _DbPostgresSession
{
  DbSession parent_instance;

  /* read-only after construction */
  char *where;              /* the database in words */
  int pid;                  /* of the server's process, as the server says */
  PGcancel *cancel_request; /* NULL only when there was no memory for it */
  int fd;                   /* the socket, as a copy that stays open until the session is closed */
  guint fork_generation;

  /* used by whoever uses the session */
  PGconn *conn; /* NULL when closed */
  DbPostgresStatements *statements;
  DbPostgresStream *stream;  /* NULL: none is open */
  gsize last_stream;         /* its serial */
  gboolean broken;           /* a statement was abandoned */
  gboolean said_goodbye;     /* the server ended the session while it was idle */
  gboolean has_foreign_plan; /* a PREPARE in SQL, which a reset has to deallocate */
  gboolean want_read_only;
  gboolean is_read_only; /* what the server has been told */

  DbLock lock;
  DbCond cond; /* something below has changed */

  /* lock */
  guint64 epoch;
  gboolean running;
  GSource *source;   /* borrowed; what waits for the end of the sending, if it is no thread */
  gboolean sending;  /* a request is under way */
  gboolean was_sent; /* the last one arrived */
  gboolean repeat;   /* send it again now */
  guint n_watching;  /* jobs; one that is about to end may overlap with the next */

  int cancel; /* DbPostgresCancel; written with the lock held, read atomically */
};

/* Takes over @conn, which is connected. */
DbPostgresSession *db_postgres_session_new (PGconn *conn, const char *where);

/* For lines of the log about a session. */
#define DB_POSTGRES_LOG_FACTS(session, event)                                                      \
  DB_LOG_FACTS (event, .pool = db_session_get_log_pool (DB_SESSION (session)),                     \
                .connection = db_session_get_log_id (DB_SESSION (session)),                        \
                .database = (session)->where)

gboolean db_postgres_session_is_forked (DbPostgresSession *self);

/* FALSE when it is closed or broken. */
gboolean db_postgres_session_is_sound (DbPostgresSession *self);

/* Blocks until the server has let go. Idempotent. */
void db_postgres_session_close (DbPostgresSession *self);

/* Runs SQL of dbpool's own, of one statement or several. @timeout in microseconds, 0 for none: a
 * session that has not answered until then, or until @cancellable is cancelled, is broken: the
 * server is not asked to stop, which it might not answer either. */
gboolean db_postgres_session_run_internal (DbPostgresSession *self,
                                           const char *sql,
                                           gint64 timeout,
                                           GCancellable *cancellable,
                                           GError **error);
/* The same, with the result of the last statement; all its values are text. */
DbResult *db_postgres_session_query_internal (DbPostgresSession *self,
                                              const char *sql,
                                              gint64 timeout,
                                              GCancellable *cancellable,
                                              GError **error);

/* Reads the stream that is open, if one is, to its end. @timeout and @cancellable: as above. How
 * the statement ends does not matter. */
gboolean db_postgres_session_end_stream (DbPostgresSession *self,
                                         gint64 timeout,
                                         GCancellable *cancellable,
                                         GError **error);

/* Tells the server now, at the cost of a round trip, whether writes are to fail. */
gboolean db_postgres_session_tell_read_only (DbPostgresSession *self);

/* For statements that run: */

/* @source: NULL, or what is to be made ready when end said no and would say yes. */
guint64 db_postgres_session_begin (DbPostgresSession *self, GSource *source);

typedef enum
{
  DB_POSTGRES_END_WAIT,    /* blocks while a request is being sent */
  DB_POSTGRES_END_TRY,     /* instead says FALSE */
  DB_POSTGRES_END_PAUSE,   /* says FALSE if a cancel was asked for: it would hit what goes on */
  DB_POSTGRES_END_ABANDON, /* does not care: the session is broken */
} DbPostgresEnd;

gboolean db_postgres_session_end (DbPostgresSession *self, DbPostgresEnd how);

/* From any thread. @epoch: 0 for whatever runs. FALSE if nothing does. */
gboolean db_postgres_session_request_cancel (DbPostgresSession *self, guint64 epoch);

/* The request has stopped one statement of several: send it again, without waiting for it to have
 * been too early. */
void db_postgres_session_repeat_cancel (DbPostgresSession *self);

/* From any thread: the statement @epoch, if it still runs, ends at once, as the session does. */
void db_postgres_session_give_up (DbPostgresSession *self, guint64 epoch);
