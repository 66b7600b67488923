/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Batches: what an application fills, what it gets, and the run between them. No lock: a batch
 * belongs to whoever fills it, a run to whoever has the session, and a result is immutable. */

#include "config.h"

#include "db-batch-private.h"

#include "db-error.h"
#include "db-result-private.h"

/**
 * DbBatch:
 *
 * Different statements that are run together, see [method@Db.Connection.run_batch].
 *
 * Over a network a batch costs one round trip instead of one for each statement. It keeps copies of
 * what it is given, may be run any number of times, and may be filled and read by one thread at a
 * time.
 *
 * Since: 1.0
 */
typedef struct
{
  char *sql;
  DbParams *params;
  GError *error; /* why the parameters are wrong */
} DbBatchStatement;

struct _DbBatch
{
  GArray *statements; /* of DbBatchStatement */
};

G_DEFINE_BOXED_TYPE (DbBatch, db_batch, db_batch_copy, db_batch_free)

G_DEFINE_FLAGS_TYPE (DbBatchFlags,
                     db_batch_flags,
                     G_DEFINE_ENUM_VALUE (DB_BATCH_NONE, "none"),
                     G_DEFINE_ENUM_VALUE (DB_BATCH_INDEPENDENT, "independent"))

static void
statement_clear (gpointer data)
{
  DbBatchStatement *statement = data;

  g_free (statement->sql);
  g_clear_pointer (&statement->params, db_params_free);
  g_clear_error (&statement->error);
}

static DbBatchStatement *
get_statement (DbBatch *self, guint position)
{
  return &g_array_index (self->statements, DbBatchStatement, position);
}

/**
 * db_batch_new:
 *
 * Makes an empty batch. May be called from any thread and does not block.
 *
 * Returns: (transfer full): a batch
 *
 * Since: 1.0
 */
DbBatch *
db_batch_new (void)
{
  DbBatch *self = g_new0 (DbBatch, 1);

  self->statements = g_array_new (FALSE, FALSE, sizeof (DbBatchStatement));
  g_array_set_clear_func (self->statements, statement_clear);
  return self;
}

/**
 * db_batch_copy:
 * @self: a batch
 *
 * Copies a batch. Does not block.
 *
 * Returns: (transfer full): a copy
 *
 * Since: 1.0
 */
DbBatch *
db_batch_copy (DbBatch *self)
{
  DbBatch *copy;

  g_return_val_if_fail (self != NULL, NULL);

  copy = db_batch_new ();
  for (guint i = 0; i < self->statements->len; i++)
    {
      DbBatchStatement *statement = get_statement (self, i);
      DbBatchStatement twin = {
        g_strdup (statement->sql),
        statement->params != NULL ? db_params_copy (statement->params) : NULL,
        statement->error != NULL ? g_error_copy (statement->error) : NULL,
      };

      g_array_append_val (copy->statements, twin);
    }
  return copy;
}

/**
 * db_batch_free:
 * @self: (transfer full): a batch
 *
 * Frees a batch.
 *
 * Since: 1.0
 */
void
db_batch_free (DbBatch *self)
{
  g_return_if_fail (self != NULL);

  g_array_unref (self->statements);
  g_free (self);
}

/**
 * db_batch_add:
 * @self: a batch
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 *
 * Adds a statement.
 *
 * A value that no database has (a dictionary, say) shows as `DB_ERROR_TYPE` when the batch is run.
 *
 * Since: 1.0
 */
void
db_batch_add (DbBatch *self, const char *sql, GVariant *params)
{
  DbBatchStatement statement = {0};

  g_return_if_fail (self != NULL);
  g_return_if_fail (sql != NULL);

  statement.sql = g_strdup (sql);
  if (params != NULL)
    statement.params = db_params_new_from_variant (params, &statement.error);
  g_array_append_val (self->statements, statement);
}

/**
 * db_batch_add_params:
 * @self: a batch
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row; copied
 *
 * Adds a statement with typed parameters.
 *
 * Since: 1.0
 */
void
db_batch_add_params (DbBatch *self, const char *sql, DbParams *params)
{
  DbBatchStatement statement = {0};

  g_return_if_fail (self != NULL);
  g_return_if_fail (sql != NULL);

  statement.sql = g_strdup (sql);
  statement.params = params != NULL ? db_params_copy (params) : NULL;
  g_array_append_val (self->statements, statement);
}

/**
 * db_batch_get_n_statements:
 * @self: a batch
 *
 * Gets how many statements were added.
 *
 * Returns: a count
 *
 * Since: 1.0
 */
guint
db_batch_get_n_statements (DbBatch *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->statements->len;
}

/**
 * DbBatchResult:
 *
 * What came of a [struct@Db.Batch]: a result for each of its statements, in their order.
 *
 * It is immutable and independent of the connection, and may be used from any thread.
 *
 * Since: 1.0
 */
typedef struct
{
  DbResult *result;
  GError *error; /* instead */
} DbBatchOutcome;

struct _DbBatchResult
{
  GObject parent_instance;

  GArray *outcomes; /* of DbBatchOutcome; read-only once it is handed out */
};

G_DEFINE_FINAL_TYPE (DbBatchResult, db_batch_result, G_TYPE_OBJECT)

static void
outcome_clear (gpointer data)
{
  DbBatchOutcome *outcome = data;

  g_clear_object (&outcome->result);
  g_clear_error (&outcome->error);
}

static void
db_batch_result_finalize (GObject *object)
{
  g_array_unref (DB_BATCH_RESULT (object)->outcomes);
  G_OBJECT_CLASS (db_batch_result_parent_class)->finalize (object);
}

static void
db_batch_result_class_init (DbBatchResultClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = db_batch_result_finalize;
}

static void
db_batch_result_init (DbBatchResult *self)
{
  self->outcomes = g_array_new (FALSE, FALSE, sizeof (DbBatchOutcome));
  g_array_set_clear_func (self->outcomes, outcome_clear);
}

/**
 * db_batch_result_get_n_statements:
 * @self: a batch's result
 *
 * Gets how many statements the batch had.
 *
 * Returns: a count
 *
 * Since: 1.0
 */
guint
db_batch_result_get_n_statements (DbBatchResult *self)
{
  g_return_val_if_fail (DB_IS_BATCH_RESULT (self), 0);

  return self->outcomes->len;
}

/**
 * db_batch_result_get_n_failed:
 * @self: a batch's result
 *
 * Gets how many of its statements failed; more than none only after `DB_BATCH_INDEPENDENT`.
 *
 * Returns: a count
 *
 * Since: 1.0
 */
guint
db_batch_result_get_n_failed (DbBatchResult *self)
{
  guint n = 0;

  g_return_val_if_fail (DB_IS_BATCH_RESULT (self), 0);

  for (guint i = 0; i < self->outcomes->len; i++)
    n += g_array_index (self->outcomes, DbBatchOutcome, i).error != NULL;
  return n;
}

/**
 * db_batch_result_get_result:
 * @self: a batch's result
 * @position: which of the statements, from 0
 * @error: return location for an error
 *
 * Gets the result of one of the statements, or the error that it failed with.
 *
 * Returns: (transfer none): a result
 *
 * Since: 1.0
 */
DbResult *
db_batch_result_get_result (DbBatchResult *self, guint position, GError **error)
{
  DbBatchOutcome *outcome;

  g_return_val_if_fail (DB_IS_BATCH_RESULT (self), NULL);

  if (position >= self->outcomes->len)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   "the batch had %u statements: there is no statement %u", self->outcomes->len,
                   position);
      return NULL;
    }
  outcome = &g_array_index (self->outcomes, DbBatchOutcome, position);
  if (outcome->error != NULL)
    g_propagate_error (error, g_error_copy (outcome->error));
  return outcome->result;
}

/* The run. */

void
db_batch_run_init_many (DbBatchRun *self, const char *sql, DbParams *rows)
{
  *self = (DbBatchRun){0};
  self->n = db_params_get_n_rows (rows);
  self->no_rows = TRUE;
  self->sql = sql;
  self->rows = rows;
}

gboolean
db_batch_run_init (DbBatchRun *self, DbBatch *batch, DbBatchFlags flags, GError **error)
{
  *self = (DbBatchRun){0};
  for (guint i = 0; i < batch->statements->len; i++)
    if (get_statement (batch, i)->error != NULL)
      {
        g_propagate_prefixed_error (error, g_error_copy (get_statement (batch, i)->error),
                                    "statement %u of the batch: ", i + 1);
        return FALSE;
      }
  self->n = batch->statements->len;
  self->independent = (flags & DB_BATCH_INDEPENDENT) != 0;
  self->batch = batch;
  self->result = g_object_new (DB_TYPE_BATCH_RESULT, NULL);
  return TRUE;
}

void
db_batch_run_clear (DbBatchRun *self)
{
  g_clear_object (&self->result);
}

void
db_batch_run_get_item (DbBatchRun *self, guint position, DbBatchItem *item)
{
  g_assert (position < self->n);
  if (self->batch == NULL)
    *item = (DbBatchItem){self->sql, self->rows, position};
  else
    *item = (DbBatchItem){get_statement (self->batch, position)->sql,
                          get_statement (self->batch, position)->params, 0};
}

void
db_batch_run_add_result (DbBatchRun *self, DbResult *result)
{
  g_assert (self->n_done < self->n);
  self->n_done++;
  self->rows_affected += MAX (db_result_get_rows_affected (result), 0);
  self->size += db_result_get_size (result);
  if (self->result != NULL)
    {
      DbBatchOutcome outcome = {result, NULL};

      g_array_append_val (self->result->outcomes, outcome);
    }
  else
    g_object_unref (result);
}

static GError *
name_statement (DbBatchRun *self, GError *error)
{
  if (self->batch == NULL)
    g_prefix_error (&error, "row %u of the parameters: ", self->n_done + 1);
  else
    g_prefix_error (&error, "statement %u of the batch: ", self->n_done + 1);
  return error;
}

gboolean
db_batch_run_add_error (DbBatchRun *self, GError *error, GError **failure)
{
  g_assert (self->n_done < self->n);
  error = name_statement (self, error);
  if (self->independent && self->result != NULL)
    {
      DbBatchOutcome outcome = {NULL, error};

      g_array_append_val (self->result->outcomes, outcome);
      self->n_done++;
      self->n_failed++;
      return TRUE;
    }
  g_propagate_error (failure, error);
  return FALSE;
}

void
db_batch_run_restart (DbBatchRun *self)
{
  self->n_done = 0;
  self->n_failed = 0;
  self->size = 0;
  self->rows_affected = 0;
  if (self->result != NULL)
    g_array_set_size (self->result->outcomes, 0);
}
