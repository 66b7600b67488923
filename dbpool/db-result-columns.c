/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Whole columns of a result at once: that is how bindings and programs read many rows. Everything
 * here is read-only but for the texts that db-result.c makes. */

#include "config.h"

#include "db-result-storage-private.h"

/**
 * db_result_get_column_int64s:
 * @self: a result
 * @column: which column, from 0
 * @n_values: (out): the number of values, which is that of the rows
 *
 * Gets a whole column as whole numbers, each converted as [method@Db.Result.get_int64] does.
 *
 * Returns: (transfer full) (array length=n_values): the values
 *
 * Since: 1.0
 */
gint64 *
db_result_get_column_int64s (DbResult *self, guint column, gsize *n_values)
{
  gint64 *values;

  g_return_val_if_fail (n_values != NULL, NULL);
  *n_values = 0;
  g_return_val_if_fail (DB_RESULT_HAS_COLUMN (self, column), NULL);

  values = g_new (gint64, MAX (self->n_rows, 1));
  for (guint row = 0; row < self->n_rows; row++)
    values[row] = db_column_get_int64 (&self->columns[column], row);
  *n_values = self->n_rows;
  return values;
}

/**
 * db_result_get_column_doubles:
 * @self: a result
 * @column: which column, from 0
 * @n_values: (out): the number of values, which is that of the rows
 *
 * Gets a whole column as floating-point numbers, each converted as [method@Db.Result.get_double]
 * does.
 *
 * Returns: (transfer full) (array length=n_values): the values
 *
 * Since: 1.0
 */
double *
db_result_get_column_doubles (DbResult *self, guint column, gsize *n_values)
{
  double *values;

  g_return_val_if_fail (n_values != NULL, NULL);
  *n_values = 0;
  g_return_val_if_fail (DB_RESULT_HAS_COLUMN (self, column), NULL);

  values = g_new (double, MAX (self->n_rows, 1));
  for (guint row = 0; row < self->n_rows; row++)
    values[row] = db_column_get_double (&self->columns[column], row);
  *n_values = self->n_rows;
  return values;
}

/**
 * db_result_get_column_texts:
 * @self: a result
 * @column: which column, from 0
 *
 * Gets a whole column as texts, each as [method@Db.Result.get_text] gives it, and `""` for NULL.
 *
 * Returns: (transfer container) (array zero-terminated=1): the texts, one for each row, and %NULL;
 *   free the array with [func@GLib.free], the texts are valid as long as the result
 *
 * Since: 1.0
 */
const char **
db_result_get_column_texts (DbResult *self, guint column)
{
  const char **texts;

  g_return_val_if_fail (DB_RESULT_HAS_COLUMN (self, column), g_new0 (const char *, 1));

  texts = g_new (const char *, (gsize) self->n_rows + 1);
  for (guint row = 0; row < self->n_rows; row++)
    {
      const char *text = db_result_get_cell_text (self, &self->columns[column], row);

      texts[row] = text != NULL ? text : "";
    }
  texts[self->n_rows] = NULL;
  return texts;
}

/**
 * db_result_get_column_nulls:
 * @self: a result
 * @column: which column, from 0
 * @n_nulls: (out): how many there are
 *
 * Gets the rows in which a column is NULL.
 *
 * Returns: (transfer full) (array length=n_nulls): the rows, in ascending order
 *
 * Since: 1.0
 */
guint *
db_result_get_column_nulls (DbResult *self, guint column, gsize *n_nulls)
{
  const DbColumn *source;
  guint *nulls;
  gsize n = 0;

  g_return_val_if_fail (n_nulls != NULL, NULL);
  *n_nulls = 0;
  g_return_val_if_fail (DB_RESULT_HAS_COLUMN (self, column), NULL);

  source = &self->columns[column];
  nulls = g_new (guint, MAX (source->n_nulls, 1));
  for (guint row = 0; n < source->n_nulls; row++)
    if (db_column_get_cell_type (source, row) == DB_VALUE_TYPE_NULL)
      nulls[n++] = row;
  *n_nulls = n;
  return nulls;
}

/**
 * db_result_get_column_data:
 * @self: a result
 * @column: which column, from 0
 *
 * Gets the numbers of a whole column as they lie in memory, without a copy: 8 bytes for each row in
 * the machine's order, which are a whole number or, in a column of `DB_VALUE_TYPE_DOUBLE`, a
 * floating-point number. False is 0, true is 1, and NULL is 0: see
 * [method@Db.Result.get_column_nulls].
 *
 * The bytes keep the result alive. numpy takes them as they are.
 *
 * Returns: (transfer full) (nullable): the numbers; %NULL if the column is not of
 *   `DB_VALUE_TYPE_BOOLEAN`, `_INT64` or `_DOUBLE`
 *
 * Since: 1.0
 */
GBytes *
db_result_get_column_data (DbResult *self, guint column)
{
  const DbColumn *source;

  g_return_val_if_fail (DB_RESULT_HAS_COLUMN (self, column), NULL);

  source = &self->columns[column];
  switch (db_column_get_type (source))
    {
    case DB_VALUE_TYPE_BOOLEAN:
    case DB_VALUE_TYPE_INT64:
    case DB_VALUE_TYPE_DOUBLE:
      return g_bytes_new_with_free_func (source->cells, self->n_rows * sizeof (DbCell),
                                         g_object_unref, g_object_ref (self));
    case DB_VALUE_TYPE_NULL:
    case DB_VALUE_TYPE_TEXT:
    case DB_VALUE_TYPE_BYTES:
    case DB_VALUE_TYPE_DECIMAL:
    case DB_VALUE_TYPE_DATE:
    case DB_VALUE_TYPE_TIME:
    case DB_VALUE_TYPE_TIMESTAMP:
    case DB_VALUE_TYPE_TIMESTAMP_TZ:
    case DB_VALUE_TYPE_UUID:
    case DB_VALUE_TYPE_JSON:
    case DB_VALUE_TYPE_ARRAY:
    case DB_VALUE_TYPE_MIXED:
    default:
      return NULL;
    }
}
