/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One statement on a connection, blocking or asynchronous: the steps that both share.
 *
 * An operation waits for its turn on the lease, runs what an abandoned transaction left to be done,
 * prepares itself (only now it is known how deep in transactions it is), runs its plan, completes,
 * and leaves. The blocking form keeps all of it on the stack of its caller. The asynchronous one
 * owns itself: the GTask holds it, and each step is started in the context where the call was made,
 * never inside a call of the user's that happens to end the operation before it. */

#pragma once

#include "db-connection-private.h"
#include "db-statement-plan-private.h"

typedef struct _DbOperation DbOperation;

struct _DbOperation
{
  DbTurn turn; /* first; the asynchronous form's */
  DbStatementPlan plan;
  /* Both optional. prepare() may set plan.sql, owned as own_sql; complete() is told how the run
   * ended and may change its error. Both run with the session at hand and no lock held. */
  gboolean (*prepare) (DbOperation *self, DbSession *session, GError **error);
  void (*complete) (DbOperation *self, DbSession *session, GError **error);
  DbConnection *connection;
  char *own_sql;
  DbParams *own_params;

  /* for prepare() and complete() of transactions */
  DbIsolation isolation;
  DbTransactionFlags transaction_flags;
  gboolean rolls_back; /* a commit that cannot commit */
  guint64 serial;

  /* the asynchronous form's */
  GTask *task;
  DbSession *session; /* while it has its turn */
  DbStatementPlan abandoned;
};

/* Runs it now. The caller keeps what it owns, but for own_sql and own_params, which are freed. */
DbResult *db_operation_run (DbOperation *self, GCancellable *cancellable, GError **error);

/* Takes a heap-allocated operation; @task returns a DbResult pointer when it is done, and keeps the
 * operation as its task data. */
void db_operation_start (DbOperation *self, GTask *task);
