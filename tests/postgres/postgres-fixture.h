/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the tests of the PostgreSQL backend share: sessions with the cluster of with-postgres.sh. */

#pragma once

#include "db-connection-manager.h"
#include "db-postgres-manager.h"
#include "db-session-private.h"
#include "db-statement-plan-private.h"

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
