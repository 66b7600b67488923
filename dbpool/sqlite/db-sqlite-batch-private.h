/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-sqlite-session-private.h"
#include "db-statement-plan-private.h"

/* DB_REQUEST_BATCH, between enter and leave. A run that fails leaves nothing of what it did. */
DbResult *db_sqlite_run_batch (DbSqliteSession *self, const DbStatementPlan *plan, GError **error);
