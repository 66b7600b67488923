/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-params.h"
#include "db-types.h"

G_BEGIN_DECLS

/**
 * DbStatementFlags:
 * @DB_STATEMENT_NONE: nothing special
 * @DB_STATEMENT_SCRIPT: the text may hold several statements and takes no parameters
 * @DB_STATEMENT_UNCACHED: do not keep the prepared statement
 * @DB_STATEMENT_NO_ROWS: the rows are not wanted: the result may leave them, and the columns, out
 *
 * How a statement is run.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  DB_STATEMENT_NONE = 0,
  DB_STATEMENT_SCRIPT = 1 << 0,
  DB_STATEMENT_UNCACHED = 1 << 1,
  DB_STATEMENT_NO_ROWS = 1 << 2,
} DbStatementFlags;

#define DB_TYPE_STATEMENT_FLAGS (db_statement_flags_get_type ())
DB_AVAILABLE_IN_1_0
GType db_statement_flags_get_type (void) G_GNUC_CONST;

#define DB_TYPE_STATEMENT_PLAN (db_statement_plan_get_type ())
DB_AVAILABLE_IN_1_0
GType db_statement_plan_get_type (void) G_GNUC_CONST;

DB_AVAILABLE_IN_1_0
DbStatementPlan *db_statement_plan_new (const char *sql, DbParams *params, DbStatementFlags flags);
DB_AVAILABLE_IN_1_0
DbStatementPlan *db_statement_plan_copy (const DbStatementPlan *self);
DB_AVAILABLE_IN_1_0
void db_statement_plan_free (DbStatementPlan *self);

DB_AVAILABLE_IN_1_0
const char *db_statement_plan_get_sql (const DbStatementPlan *self);
DB_AVAILABLE_IN_1_0
DbParams *db_statement_plan_get_params (const DbStatementPlan *self);
DB_AVAILABLE_IN_1_0
DbStatementFlags db_statement_plan_get_flags (const DbStatementPlan *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbStatementPlan, db_statement_plan_free)

G_END_DECLS
