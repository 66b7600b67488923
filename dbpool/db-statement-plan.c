/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The boxed form of what a session is asked to run; see the private header for its use inside. */

#include "config.h"

#include "db-statement-plan-private.h"

#include "db-error.h"

/**
 * DbStatementPlan:
 *
 * What a [class@Db.Session] is asked to run: a statement, its parameters and how to run it.
 *
 * It is immutable. Authors of sessions read it in [vfunc@Db.Session.run].
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (DbStatementPlan,
                     db_statement_plan,
                     db_statement_plan_copy,
                     db_statement_plan_free)

G_DEFINE_FLAGS_TYPE (DbStatementFlags,
                     db_statement_flags,
                     G_DEFINE_ENUM_VALUE (DB_STATEMENT_NONE, "none"),
                     G_DEFINE_ENUM_VALUE (DB_STATEMENT_SCRIPT, "script"),
                     G_DEFINE_ENUM_VALUE (DB_STATEMENT_UNCACHED, "uncached"),
                     G_DEFINE_ENUM_VALUE (DB_STATEMENT_NO_ROWS, "no-rows"))

/**
 * db_statement_plan_new:
 * @sql: the statement
 * @params: (nullable) (transfer none): its parameters, of which the first row is used; copied
 * @flags: how to run it
 *
 * Makes a plan. May be called from any thread and does not block.
 *
 * Returns: (transfer full): a plan
 *
 * Since: 1.0
 */
DbStatementPlan *
db_statement_plan_new (const char *sql, DbParams *params, DbStatementFlags flags)
{
  DbStatementPlan *self;

  g_return_val_if_fail (sql != NULL, NULL);

  self = g_new0 (DbStatementPlan, 1);
  self->sql = g_strdup (sql);
  self->params = params != NULL ? db_params_copy (params) : NULL;
  self->flags = flags;
  return self;
}

/**
 * db_statement_plan_copy:
 * @self: a plan
 *
 * Copies a plan. May be called from any thread and does not block.
 *
 * Returns: (transfer full): a copy
 *
 * Since: 1.0
 */
DbStatementPlan *
db_statement_plan_copy (const DbStatementPlan *self)
{
  DbStatementPlan *copy;

  g_return_val_if_fail (self != NULL, NULL);

  copy = db_statement_plan_new (self->sql, self->params, self->flags);
  copy->timeout = self->timeout;
  return copy;
}

/**
 * db_statement_plan_free:
 * @self: (transfer full): a plan
 *
 * Frees a plan.
 *
 * Since: 1.0
 */
void
db_statement_plan_free (DbStatementPlan *self)
{
  g_return_if_fail (self != NULL);

  g_clear_pointer (&self->params, db_params_free);
  g_free ((char *) self->sql);
  g_free (self);
}

/**
 * db_statement_plan_get_sql:
 * @self: a plan
 *
 * Gets the text of the statement.
 *
 * Returns: (transfer none): SQL
 *
 * Since: 1.0
 */
const char *
db_statement_plan_get_sql (const DbStatementPlan *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->sql;
}

/**
 * db_statement_plan_get_params:
 * @self: a plan
 *
 * Gets the parameters.
 *
 * Returns: (transfer none) (nullable): the parameters, or %NULL if there are none
 *
 * Since: 1.0
 */
DbParams *
db_statement_plan_get_params (const DbStatementPlan *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->params;
}

/**
 * db_statement_plan_get_flags:
 * @self: a plan
 *
 * Gets how to run the statement.
 *
 * Returns: flags
 *
 * Since: 1.0
 */
DbStatementFlags
db_statement_plan_get_flags (const DbStatementPlan *self)
{
  g_return_val_if_fail (self != NULL, DB_STATEMENT_NONE);

  return self->flags;
}

GError *
db_statement_plan_new_exceeded_error (const DbStatementPlan *self, gboolean stays)
{
  const char *what = self->batch != NULL ? "the results of the batch are" : "the result is";

  return g_error_new (DB_ERROR, DB_ERROR_LIMIT,
                      "pool %s: %s larger than max-result-size, %" G_GSIZE_FORMAT
                      " bytes: read the rows with a cursor, a few at a time, or raise that limit%s",
                      self->pool != NULL ? self->pool : "?", what, self->max_result_size,
                      stays ? "; what the statement has changed stays" : "");
}
