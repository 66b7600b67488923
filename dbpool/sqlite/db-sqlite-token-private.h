/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The write token: one for each database file in this process, whichever managers opened it. The
 * session that writes holds it, the others stand in a queue, first come, first served. */

#pragma once

#include "db-lock-private.h"

/* What a session sleeps on. Whoever wants it to look again wakes it; a wake that comes early or too
 * late only makes it look once more. Counted, so that a late wake finds it. */
typedef struct _DbSqliteWaker DbSqliteWaker;

DbSqliteWaker *db_sqlite_waker_new (void);
DbSqliteWaker *db_sqlite_waker_ref (DbSqliteWaker *self);
void db_sqlite_waker_unref (DbSqliteWaker *self);
void db_sqlite_waker_wake (DbSqliteWaker *self);
gboolean db_sqlite_waker_wait_until (DbSqliteWaker *self, gint64 until);

/* A session's place at the token; part of the session. */
typedef struct
{
  GList waiter;  /* in the token's queue */
  GList sleeper; /* among those that wait for SQLite's own locks */
  DbSqliteWaker *waker;
  guint id;             /* for texts */
  const char *activity; /* the token's lock: for texts, a static string; NULL: it only reads */
  gint64 since;         /* the token's lock: when it began to wait, or to hold the token */
  gboolean waiting;     /* the token's lock: it stands in the queue */
  int granted;          /* atomic */
  gboolean asleep;      /* whether it is a sleeper; the session's thread only */
} DbSqliteTicket;

typedef struct _DbSqliteToken DbSqliteToken;

/* @key: names the file; the token is made when nobody has it yet. */
DbSqliteToken *db_sqlite_token_get (const char *key);
void db_sqlite_token_unref (DbSqliteToken *self);

/* TRUE: @ticket holds the token. @activity: what for, a static string; NULL: to read, where the
 * journal makes readers wait for the writer. */
gboolean
db_sqlite_token_try_take (DbSqliteToken *self, DbSqliteTicket *ticket, const char *activity);

/* TRUE: @ticket holds the token. FALSE: it is in the queue, and its waker is woken when it is
 * granted; end the wait with db_sqlite_token_end_wait(), whatever became of it. */
gboolean
db_sqlite_token_request (DbSqliteToken *self, DbSqliteTicket *ticket, const char *activity);

/* By the holder, which goes on to something else. */
void
db_sqlite_token_set_activity (DbSqliteToken *self, DbSqliteTicket *ticket, const char *activity);
gboolean db_sqlite_ticket_is_granted (DbSqliteTicket *ticket);

/* Leaves the queue. TRUE if the token was granted, and so is held. */
gboolean db_sqlite_token_end_wait (DbSqliteToken *self, DbSqliteTicket *ticket);

void db_sqlite_token_give (DbSqliteToken *self, DbSqliteTicket *ticket);

/* NULL when nobody holds it. */
char *db_sqlite_token_describe_holder (DbSqliteToken *self);

/* What the ticket's session does with the token, from any thread; NULL when that is nothing. */
char *db_sqlite_token_describe_ticket (DbSqliteToken *self, DbSqliteTicket *ticket);

/* Sleepers wait for a lock of SQLite's that another session of this process may hold: they are
 * woken when a lock may have become free. */
void db_sqlite_token_add_sleeper (DbSqliteToken *self, DbSqliteTicket *ticket);
void db_sqlite_token_remove_sleeper (DbSqliteToken *self, DbSqliteTicket *ticket);
void db_sqlite_token_wake_sleepers (DbSqliteToken *self);

/* Closing handles of one file one after the other: two that close at the same time each see the
 * other, and then none of them removes the -wal file. */
void db_sqlite_token_begin_close (DbSqliteToken *self);
void db_sqlite_token_end_close (DbSqliteToken *self);

/* Held while a database file is created: closing a descriptor of a file drops all locks that the
 * process has on it, so nobody may lock the file before that. */
extern DbLock db_sqlite_file_lock;

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbSqliteToken, db_sqlite_token_unref)
