/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What dbpool's own code asks of sessions beyond the public interface. Only whoever uses the
 * session calls these. */

#pragma once

#include "db-error-info.h"
#include "db-session.h"

/* Called by the pool after a successful reset. */
void db_session_clear_dirty (DbSession *self);

/* db_session_get_state() and db_session_is_dirty(), of what is known to be a session. */
DbSessionState db_session_peek_state (DbSession *self);
gboolean db_session_peek_dirty (DbSession *self);

/* What a session has open that must not reach its next borrower, such as rows that are being read:
 * it is dirty as long as there is any, and has to be reset whatever the level of resets is. */
void db_session_add_leftover (DbSession *self);
void db_session_remove_leftover (DbSession *self);
gboolean db_session_has_leftovers (DbSession *self);

/* The SQL by which a reset ends a transaction that is open: ROLLBACK (also NULL, until the next
 * reset), unless it was begun by dbpool itself, for a cursor. @sql is static. */
void db_session_set_end (DbSession *self, const char *sql);
const char *db_session_get_end (DbSession *self);

/* The details of the error that a statement has just failed with. Takes @info. */
void db_session_take_error_info (DbSession *self, DbErrorInfo *info);
/* NULL if there are none; the caller's. */
DbErrorInfo *db_session_steal_error_info (DbSession *self);

/* How often a statement was found prepared, counted for as long as anybody asks. */
typedef struct
{
  gsize hits; /* atomic, like misses */
  gsize misses;
} DbStatementCounters;

/* @counters: a g_atomic_rc_box, of which a reference is taken. */
void db_session_set_statement_counters (DbSession *self, DbStatementCounters *counters);
void db_session_count_statement (DbSession *self, gboolean hit);

/* What lines of the log say of whose session it is. Set by the pool before anybody else uses it. */
void db_session_set_log_names (DbSession *self, const char *pool, guint64 id);
const char *db_session_get_log_pool (DbSession *self); /* NULL: of no pool */
guint64 db_session_get_log_id (DbSession *self);

/* For kinds of sessions that serve DB_REQUEST_RUN only: any other request, made of that one. */
typedef struct _DbStatementPlan DbStatementPlan;
DbResult *db_session_emulate (DbSession *self,
                              const DbStatementPlan *plan,
                              GCancellable *cancellable,
                              GError **error);
