/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A session together with what makes lending it safe.
 *
 * A lease is the pool's side of a connection: one for each session, for the session's whole life,
 * while each loan of it has a handle (DbConnection) of its own. Loans are numbered. A handle knows
 * its number, and every use names it: once the loan has ended the number is no longer current, so a
 * stale handle gets DB_ERROR_RELEASED and cannot reach the next borrower, whatever aliases of it
 * exist on whatever thread.
 *
 * A private loan is one to a hook of the pool's: it ends like any other one for those who have its
 * handle, but the session goes back to the pool's thread that began it. A detached session is no
 * longer the pool's: when its loan ends it is closed.
 *
 * A handle that was given back by the only one who had it may serve the next loan: making and
 * freeing an object costs more than all the rest of a loan. Until then it is the lease's spare.
 *
 * One operation uses the session at a time. A blocking one that finds it in use fails; an
 * asynchronous one waits its turn, in call order. A loan that ends during an operation goes back
 * when that has ended.
 *
 * The lock protects what is marked with it, and is never held while anything outside db-lease.c
 * runs. */

#pragma once

#include "db-connection-manager.h"
#include "db-lock-private.h"
#include "db-pool-core-private.h"
#include "db-session.h"
#include "db-worker-private.h"

typedef struct _DbEngine DbEngine;
typedef struct _DbLease DbLease;
typedef struct _DbTurn DbTurn;
typedef struct _DbConnection DbConnection;

/* Who borrows. A static one costs nothing. */
typedef struct
{
  const char *text; /* NULL: nobody said */
  gboolean is_static;
} DbTag;

/* How much is kept of the statement that ran last, in bytes. */
#define DB_LAST_STATEMENT_SIZE 256

/* An asynchronous operation that waits for the session. @start runs on any thread with no lock
 * held: either it has the session now (until db_lease_leave()), or @session is NULL because the
 * loan ended. */
struct _DbTurn
{
  GList link;
  gboolean queued; /* the lease's lock */
  void (*start) (DbTurn *self, DbSession *session);
};

struct _DbLease
{
  /* what each loan needs: two lines */
  int ref_count;    /* atomic */
  guint cache_size; /* what the session was told; used by whoever has it */
  DbEngine *engine;
  DbSession *session; /* used by whoever has it. Kept, closed, as long as the lease: a cancel may
                         come late */
  DbLock lock;
  DbSlot *slot;      /* lock, but for whoever has the session; NULL once closed or detached */
  guint64 loan;      /* lock: the current one, 0: none, or it has ended */
  guint64 last_loan; /* lock */
  gint64 lent_at;    /* lock */

  gboolean busy;       /* lock: an operation has the session */
  gboolean ending;     /* lock: the loan ended while busy */
  gboolean finalized;  /* lock: the loan ended with its handle */
  gboolean is_private; /* lock: of the current loan, like all that follows */
  gboolean detached;
  gboolean read_only;
  gboolean leaked; /* it was reported */
  guint thread;
  const char *tag;
  char *own_tag;         /* tag, where it is not static */
  gint64 one_shot_since; /* when its operation began; 0: it is no one-shot */
  DbConnection *spare;   /* used by whoever has the session: a handle without a loan; or NULL */

  char last_statement[DB_LAST_STATEMENT_SIZE]; /* lock: its beginning */
  GQueue turns;                                /* lock: of DbTurn.link */
  DbCond left;                                 /* lock: an operation of a private loan has ended */

  /* read-only after construction */
  DbConnectionManager *manager; /* that opened the session */
  guint64 id;                   /* of the slot */

  DbWatch *watch; /* of its descriptor, until it is closed; NULL if there is none */
};

G_STATIC_ASSERT (offsetof (DbLease, last_statement) <= 2 * DB_LINE_SIZE);

/* What there is to say of a loan. */
typedef struct
{
  char *tag;
  char *statement; /* the fingerprint of its last statement */
  char *activity;  /* what the session says of itself, or NULL */
  gint64 lent_at;
  guint thread; /* of the blocking caller; 0: none */
} DbLeaseInfo;

DbLease *
db_lease_new (DbEngine *engine, DbConnectionManager *manager, DbSession *session, DbSlot *slot);
DbLease *db_lease_ref (DbLease *self);
void db_lease_unref (DbLease *self);

/* Begins a loan and gives its number. The session is the caller's alone until then. */
guint64 db_lease_begin (DbLease *self, DbAcquireFlags flags, DbTag tag);

/* The same for a hook, on a thread that has the session to itself. */
guint64 db_lease_begin_private (DbLease *self, DbTag tag);
/* Ends it whatever the hook left running, for which it waits. */
void db_lease_end_private (DbLease *self, guint64 loan);

typedef enum
{
  DB_LOAN_RELEASED,
  DB_LOAN_FINALIZED, /* the last reference to the handle was dropped */
  DB_LOAN_REVOKED,   /* by a pool that closes: what runs is cancelled */
} DbLoanEnd;

/* Ends a loan; nothing happens if it has ended before. */
void db_lease_end (DbLease *self, guint64 loan, DbLoanEnd how);

/* The same, not of DB_LOAN_REVOKED, with the only reference to the handle of the loan, which becomes
 * the spare. FALSE: not now, and nothing was done. */
gboolean db_lease_end_with (DbLease *self, guint64 loan, DbLoanEnd how, DbConnection *handle);

/* Takes the session out of the pool for good. */
gboolean db_lease_detach (DbLease *self, guint64 loan, GError **error);

/* Has the session closed when its loan ends. */
void db_lease_evict (DbLease *self, guint64 loan);

/* Ends whatever loan there is and cancels what runs, at the deadline of a close. */
void db_lease_revoke (DbLease *self);

/* A loan without a handle, for one operation: like begin and enter, and leave and end, in one step
 * each. @now: when the caller got the session. */
void db_lease_begin_one_shot (DbLease *self, const char *sql, gint64 now);
gint64 db_lease_end_one_shot (DbLease *self); /* how long it took, in microseconds */

gboolean db_lease_is_current (DbLease *self, guint64 loan);

/* The session, for one operation that db_lease_leave() ends. @sql, or NULL, is what is going to
 * run. */
DbSession *db_lease_enter (DbLease *self, guint64 loan, const char *sql, GError **error);

/* The same for an asynchronous operation. If the session is in use, @queued is set and @turn
 * started later (without a turn, it is only said); NULL otherwise means that the loan has ended. */
DbSession *
db_lease_enter_async (DbLease *self, guint64 loan, const char *sql, DbTurn *turn, gboolean *queued);

/* Takes an operation out of the queue. TRUE: it was still there, and @turn is never started; FALSE:
 * it has been, or is just being. */
gboolean db_lease_withdraw (DbLease *self, DbTurn *turn);

void db_lease_leave (DbLease *self);

/* From any thread. */
void db_lease_get_info (DbLease *self, DbLeaseInfo *info);
void db_lease_info_clear (DbLeaseInfo *info);

/* Who holds the session, for texts: "app.c:42, for 1.2 s in thread 1234, last “SELECT ?”". */
char *db_lease_describe (DbLease *self, gint64 now);

/* The current loan is out for too long: says so once. The description, or NULL if it just ended. */
char *db_lease_report_leak (DbLease *self, gint64 lent_at, gint64 now);

void db_set_released_error (GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbLease, db_lease_unref)
