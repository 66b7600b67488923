/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One operation on a connection, blocking or asynchronous: the steps that both share.
 *
 *   wait for the turn → what was left to be ended → prepare → before → plan → complete → tidy →
 * leave
 *
 * An operation waits for its turn on the lease, runs what dropped transactions and cursors left to
 * be ended, prepares itself (only now it is known how deep in transactions it is), runs its plan,
 * completes, runs what it has itself ended, and leaves. Each of these is a request to the session,
 * and operation_next() says which one comes next. The blocking form keeps all of it on the stack of
 * its caller. The asynchronous one owns itself: the GTask holds it, and each step is started in the
 * context where the call was made, never inside a call of the user's that happens to end the
 * operation before it.
 *
 * While it waits for its turn, an asynchronous operation can be cancelled: it leaves the queue at
 * once. Whoever takes it out of the queue (its turn, the end of the loan, or the cancellable) ends
 * or starts it; the lease's lock decides. */

#pragma once

#include "db-connection-private.h"
#include "db-statement-plan-private.h"

typedef struct _DbOperation DbOperation;

typedef enum
{
  DB_STEP_PENDING,
  DB_STEP_BEFORE,
  DB_STEP_PLAN,
  DB_STEP_TIDY,
  DB_STEP_END,
} DbOperationStep;

struct _DbOperation
{
  DbTurn turn; /* first; the asynchronous form's */
  DbStatementPlan plan;
  /* Both optional. prepare() may set the plan, with own_sql owned, and before_sql; complete() is
   * told how the run ended, in @result and @error, and may change both. Both run with the session
   * at hand and no lock held. */
  gboolean (*prepare) (DbOperation *self, DbSession *session, GError **error);
  void (*complete) (DbOperation *self, DbSession *session, GError **error);
  DbConnection *connection;
  char *own_sql;
  DbParams *own_params;
  const char *before_sql; /* what goes ahead of the plan, or NULL */
  gboolean skips_plan;    /* there is nothing to run */
  const char *about;      /* the statement whose rows it reads, for the log; the subject's */
  gpointer subject;       /* for prepare() and complete(): what it is about */
  GDestroyNotify subject_free;

  /* for prepare() and complete() of transactions and cursors */
  DbIsolation isolation;
  DbTransactionFlags transaction_flags;
  gboolean rolls_back; /* a commit that cannot commit */
  guint64 serial;

  /* how far it is */
  DbOperationStep step;
  gint64 began; /* when the session was first asked for something; 0: not yet */
  gint64 took;  /* from then to the end, once that is known */
  gboolean completed;
  DbPending pending;
  DbStatementPlan other; /* what is run before and after the plan */
  DbResult *result;
  GError *error;
  DbErrorInfo *info; /* of the error; the connection shows it when the application is told */

  /* the asynchronous form's */
  GTask *task;
  DbSession *session; /* while it has its turn */
  gulong cancelled_id;
};

/* Runs it now. The caller keeps what it owns, but for own_sql, own_params and the subject, which
 * are freed. */
DbResult *db_operation_run (DbOperation *self, GCancellable *cancellable, GError **error);

/* Takes a heap-allocated operation; @task returns a DbResult pointer when it is done, and keeps the
 * operation as its task data. */
void db_operation_start (DbOperation *self, GTask *task);

/* What came of it: for the application's finish. */
DbResult *db_operation_finish (GTask *task, GError **error);
