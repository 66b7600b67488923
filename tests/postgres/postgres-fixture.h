/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the tests of the PostgreSQL backend share: sessions with the cluster of with-postgres.sh. */

#pragma once

#include "db-postgres-manager.h"
#include "db-session-private.h"
#include "db-statement-plan-private.h"
#include "dbpool.h"

/* For what happens without us; main() sets an alarm for what never does. */
#define FIXTURE_WAIT_UNTIL(condition)                                                              \
  G_STMT_START                                                                                     \
  {                                                                                                \
    while (!(condition))                                                                           \
      g_usleep (1000);                                                                             \
  }                                                                                                \
  G_STMT_END

/* The manager of @uri; NULL: that of the cluster's socket. */
DbConnectionManager *fixture_manager_new (const char *uri);
DbSession *fixture_open (DbConnectionManager *manager);
/* Closes and frees. */
void fixture_close (DbConnectionManager *manager, DbSession *session);

/* @params is a floating tuple, or NULL. */
DbResult *fixture_try (DbSession *session, const char *sql, GVariant *params, GError **error);
DbResult *fixture_query (DbSession *session, const char *sql, GVariant *params);
void fixture_execute (DbSession *session, const char *sql);
gint64 fixture_int64 (DbSession *session, const char *sql);
void fixture_assert_text (DbSession *session, const char *sql, const char *expected);
/* @sql fails with @code and @sqlstate. */
void fixture_assert_fails (DbSession *session, const char *sql, int code, const char *sqlstate);

/* A manager whose sessions the server knows by @name. */
DbConnectionManager *fixture_named_manager_new (const char *name);
/* So many sessions of that @name does the server have. Uses a session of its own, which is the
 * calling thread's until fixture_stop_counting(). */
guint fixture_count_backends (const char *name);
void fixture_stop_counting (void);
/* Ends the server's process with that number. */
void fixture_terminate (gint64 pid);
/* Runs SQL in a session of its own. */
void fixture_admin (const char *sql);

DbPool *fixture_pool_new (DbConnectionManager *manager, guint min, guint max);
/* Closes the pool, in order, and drops it. */
void fixture_pool_close (DbPool *pool);
DbConnection *fixture_acquire (DbPool *pool);
void fixture_run (DbConnection *connection, const char *sql);
gint64 fixture_ask (DbConnection *connection, const char *sql);
char *fixture_ask_text (DbConnection *connection, const char *sql);
gint64 fixture_pid (DbConnection *connection);

/* One figure of the statistics of @pool. */
guint fixture_gauge (DbPool *pool, guint (*getter) (const DbPoolStats *));
guint64 fixture_counter (DbPool *pool, guint64 (*getter) (const DbPoolStats *));
guint64 fixture_dropped (DbPool *pool, DbDropReason reason);
