/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-result.h"
#include "db-statement-plan.h"
#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_SESSION (db_session_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (DbSession, db_session, DB, SESSION, GObject)

/**
 * DbSessionClass:
 * @parent_class: the parent class
 * @run: runs a statement, blocking; without it queries fail with `DB_ERROR_NOT_SUPPORTED`
 * @run_async: the same asynchronously; by default `run` on a thread of dbpool's
 * @run_finish: the other half of `run_async`
 * @cancel: stops the statement that is running, from any thread, without waiting for it; %TRUE if
 *   the request was made
 * @get_state: the state, from the protocol, without a round trip; by default idle
 * @is_alive: a passive look (no round trip) whether the other side is still there; by default %TRUE
 * @get_fd: the descriptor whose hang-up means that the session broke, or -1 (the default)
 * @format_begin: the SQL that begins a transaction; by default what the SQL standard says
 * @set_read_only: from the next statement on, writes fail or no longer fail, until it is called
 *   again; does no I/O; optional: without it read-only loans fail with `DB_ERROR_NOT_SUPPORTED`
 * @describe: what the session is and does, in a few words for people, without any secret; from any
 *   thread, also while a statement runs on another; %NULL (the default): nothing worth saying
 *
 * What a kind of database implements. A session is used by one thread at a time, but for `cancel`
 * and `describe`.
 *
 * Since: 1.0
 */
struct _DbSessionClass
{
  GObjectClass parent_class;

  /*< public >*/
  DbResult *(*run) (DbSession *self,
                    const DbStatementPlan *plan,
                    GCancellable *cancellable,
                    GError **error);
  void (*run_async) (DbSession *self,
                     const DbStatementPlan *plan,
                     GCancellable *cancellable,
                     GAsyncReadyCallback callback,
                     gpointer user_data);
  DbResult *(*run_finish) (DbSession *self, GAsyncResult *result, GError **error);
  gboolean (*cancel) (DbSession *self);
  DbSessionState (*get_state) (DbSession *self);
  gboolean (*is_alive) (DbSession *self);
  int (*get_fd) (DbSession *self);
  char *(*format_begin) (DbSession *self, DbIsolation isolation, DbTransactionFlags flags);
  gboolean (*set_read_only) (DbSession *self, gboolean read_only);
  char *(*describe) (DbSession *self);
  char *(*quote_literal) (DbSession *self, const char *text);
  char *(*format_declare) (DbSession *self, const char *name, const char *sql);
  void (*set_statement_cache) (DbSession *self, guint size);

  /*< private >*/
  guint requests; /* of DB_REQUEST_FLAG: what run() serves; see db-statement-plan-private.h */
  gpointer padding[7];
};

DB_AVAILABLE_IN_1_0
DbResult *db_session_run (DbSession *self,
                          const DbStatementPlan *plan,
                          GCancellable *cancellable,
                          GError **error);
DB_AVAILABLE_IN_1_0
void db_session_run_async (DbSession *self,
                           const DbStatementPlan *plan,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data);
DB_AVAILABLE_IN_1_0
DbResult *db_session_run_finish (DbSession *self, GAsyncResult *result, GError **error);
DB_AVAILABLE_IN_1_0
gboolean db_session_cancel (DbSession *self);
DB_AVAILABLE_IN_1_0
DbSessionState db_session_get_state (DbSession *self);
DB_AVAILABLE_IN_1_0
gboolean db_session_is_alive (DbSession *self);
DB_AVAILABLE_IN_1_0
int db_session_get_fd (DbSession *self);
DB_AVAILABLE_IN_1_0
char *db_session_format_begin (DbSession *self, DbIsolation isolation, DbTransactionFlags flags);
DB_AVAILABLE_IN_1_0
gboolean db_session_set_read_only (DbSession *self, gboolean read_only);
DB_AVAILABLE_IN_1_0
char *db_session_describe (DbSession *self);
DB_AVAILABLE_IN_1_0
char *db_session_quote_literal (DbSession *self, const char *text);
DB_AVAILABLE_IN_1_0
char *db_session_format_declare (DbSession *self, const char *name, const char *sql);
DB_AVAILABLE_IN_1_0
void db_session_set_statement_cache (DbSession *self, guint size);
DB_AVAILABLE_IN_1_0
void db_session_mark_dirty (DbSession *self);
DB_AVAILABLE_IN_1_0
gboolean db_session_is_dirty (DbSession *self);

G_END_DECLS
