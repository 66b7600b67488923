/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-sqlite-session-private.h"

/* What a database is like, for a health report. @read_only: nobody wants to write. */
GVariant *db_sqlite_get_facts (DbSqliteSession *session,
                               gboolean read_only,
                               DbHealthFlags flags,
                               GCancellable *cancellable,
                               GError **error);
