/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-postgres-session-private.h"

#include "db-database-config.h"

/* What a server says of itself, for a health report; one round trip. @timeout: as of
 * db_postgres_session_run_internal(). */
GVariant *db_postgres_get_facts (DbPostgresSession *session,
                                 DbDatabaseConfig *config,
                                 gint64 timeout,
                                 GCancellable *cancellable,
                                 GError **error);
