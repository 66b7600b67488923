/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The limits that a pool has for the statements of its applications: how long one may take, how
 * long its text and how large its result may be. They are read for each statement, under the
 * engine's lock, which a pool without limits never takes. The lengths of texts are looked at here,
 * before anything is sent; time and results are watched by the session that runs the statement. */

#include "config.h"

#include "db-pool-engine-private.h"

#include "db-error.h"
#include "db-lock-private.h"
#include "db-statement-plan-private.h"

#include <string.h>

static gboolean
check_text (DbEngine *self, const char *sql, guint max_length, GError **error)
{
  gsize length = strlen (sql);

  if (length <= max_length)
    return TRUE;
  g_set_error (error, DB_ERROR, DB_ERROR_LIMIT,
               "pool %s: the SQL text has %" G_GSIZE_FORMAT
               " bytes, and max-sql-length is %u: pass values as parameters, or raise that limit",
               self->name, length, max_length);
  return FALSE;
}

static gboolean
check_batch (DbEngine *self, DbBatchRun *batch, guint max_length, GError **error)
{
  const char *last = NULL;

  for (guint i = 0; i < batch->n; i++)
    {
      DbBatchItem item;

      db_batch_run_get_item (batch, i, &item);
      if (item.sql != last && !check_text (self, item.sql, max_length, error))
        {
          if (batch->batch != NULL)
            g_prefix_error (error, "statement %u of the batch: ", i + 1);
          return FALSE;
        }
      last = item.sql;
    }
  return TRUE;
}

gboolean
db_engine_limit_plan (DbEngine *self, DbStatementPlan *plan, GError **error)
{
  guint max_length;

  if (!g_atomic_int_get (&self->limits_statements) || db_engine_is_forked (self))
    return TRUE;
  db_lock_lock (&self->lock);
  if (plan->timeout == 0)
    plan->timeout = self->statement_timeout;
  plan->max_result_size = self->max_result_size;
  max_length = self->max_sql_length;
  db_lock_unlock (&self->lock);
  plan->pool = self->name;

  if (max_length == 0 || plan->sql == NULL)
    return TRUE;
  return plan->request == DB_REQUEST_BATCH ? check_batch (self, plan->batch, max_length, error)
                                           : check_text (self, plan->sql, max_length, error);
}
