/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a session is asked to run. Plain data, so that the blocking path can keep it on the stack;
 * whoever starts an asynchronous run keeps the plan alive until its callback has been called. */

#pragma once

#include "db-params-private.h"
#include "db-statement-plan.h"

struct _DbStatementPlan
{
  const char *sql;
  DbParams *params; /* NULL, or a table whose first row is used */
  DbStatementFlags flags;
  gint64 timeout; /* microseconds that the database may take; 0 for no limit */
};
