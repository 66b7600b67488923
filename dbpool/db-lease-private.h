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
 * One operation uses the session at a time. A blocking one that finds it in use fails; an
 * asynchronous one waits its turn, in call order. A loan that ends during an operation goes back
 * when that has ended.
 *
 * The lock protects what is marked with it, and is never held while anything outside db-lease.c
 * runs. */

#pragma once

#include "db-lock-private.h"
#include "db-pool-core-private.h"
#include "db-session.h"
#include "db-worker-private.h"

typedef struct _DbEngine DbEngine;
typedef struct _DbLease DbLease;
typedef struct _DbTurn DbTurn;

/* An asynchronous operation that waits for the session. @start runs on any thread with no lock
 * held: either it has the session now (until db_lease_leave()), or @session is NULL because the
 * loan ended. */
struct _DbTurn
{
  GList link;
  void (*start) (DbTurn *self, DbSession *session);
};

struct _DbLease
{
  int ref_count; /* atomic */
  DbEngine *engine;
  DbSession *session; /* used by whoever has it. Kept, closed, as long as the lease: a cancel may
                         come late */
  DbWatch *watch;     /* of its descriptor, until it is closed; NULL if there is none */

  DbLock lock;
  DbSlot *slot;       /* lock, but for whoever has the session; NULL once it is closed */
  guint64 last_loan;  /* lock */
  guint64 loan;       /* lock: the current one, 0: none, or it has ended */
  gboolean busy;      /* lock: an operation has the session */
  gboolean ending;    /* lock: the loan ended while busy */
  GQueue turns;       /* lock: of DbTurn.link */
  gboolean read_only; /* lock: of the current loan */
  char *tag;          /* lock: of the current loan */
  gint64 lent_at;     /* lock */
};

DbLease *db_lease_new (DbEngine *engine, DbSession *session, DbSlot *slot);
DbLease *db_lease_ref (DbLease *self);
void db_lease_unref (DbLease *self);

/* Begins a loan and gives its number. The session is the caller's alone until then. */
guint64 db_lease_begin (DbLease *self, DbAcquireFlags flags, const char *tag, gint64 now);

/* Ends a loan; nothing happens if it has ended before. With @cancel, what runs is cancelled. */
void db_lease_end (DbLease *self, guint64 loan, gboolean cancel);

/* Ends whatever loan there is and cancels what runs, at the deadline of a close. */
void db_lease_revoke (DbLease *self);

/* A loan without a handle, for one operation: like begin and enter, and leave and end, in one step
 * each. */
void db_lease_begin_one_shot (DbLease *self, gint64 now);
void db_lease_end_one_shot (DbLease *self);

gboolean db_lease_is_current (DbLease *self, guint64 loan);

/* The session, for one operation that db_lease_leave() ends. */
DbSession *db_lease_enter (DbLease *self, guint64 loan, GError **error);

/* The same for an asynchronous operation. If the session is in use, @queued is set and @turn
 * started later; NULL otherwise means that the loan has ended. */
DbSession *db_lease_enter_async (DbLease *self, guint64 loan, DbTurn *turn, gboolean *queued);

void db_lease_leave (DbLease *self);

/* For the report of a close: "tag, for 1.2 s". */
char *db_lease_describe (DbLease *self, gint64 now);

void db_set_released_error (GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbLease, db_lease_unref)
