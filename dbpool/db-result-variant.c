/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Cells as values that C and Vala can take apart: GVariants. No state, no lock. */

#include "config.h"

#include "db-array-private.h"
#include "db-result-storage-private.h"

/**
 * db_result_dup_variant:
 * @self: a result
 * @row: which row, from 0
 * @column: which column, from 0
 *
 * Gets a cell as a value of a type that fits it: `b`, `x` or `d` for booleans and numbers, `ay` for
 * bytes, and `s`, the text that [method@Db.Result.get_text] gives, for everything else.
 *
 * An array is an array of maybes by the type of its elements, `amb`, `amx`, `amd`, `amay` or `ams`,
 * with one `a` more for each dimension above one; where its dimensions begin is lost. An array that
 * cannot be read is a text.
 *
 * Returns: (transfer full) (nullable): the value, not floating; %NULL for NULL
 *
 * Since: 1.0
 */
GVariant *
db_result_dup_variant (DbResult *self, guint row, guint column)
{
  const DbColumn *source;
  const DbCell *cell;
  GVariant *value = NULL;

  g_return_val_if_fail (DB_RESULT_HAS_CELL (self, row, column), NULL);

  source = &self->columns[column];
  cell = &source->cells[row];
  switch (db_column_get_cell_type (source, row))
    {
    case DB_VALUE_TYPE_NULL:
      return NULL;
    case DB_VALUE_TYPE_BOOLEAN:
      value = g_variant_new_boolean (cell->integer != 0);
      break;
    case DB_VALUE_TYPE_INT64:
      value = g_variant_new_int64 (cell->integer);
      break;
    case DB_VALUE_TYPE_DOUBLE:
      value = g_variant_new_double (cell->real);
      break;
    case DB_VALUE_TYPE_BYTES:
      value =
        g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, cell->text, db_cell_get_size (cell), 1);
      break;
    case DB_VALUE_TYPE_ARRAY:
      value = db_array_parse (cell->text, source->element);
      if (value != NULL)
        return value;
      value = g_variant_new_string (cell->text);
      break;
    case DB_VALUE_TYPE_TEXT:
    case DB_VALUE_TYPE_DECIMAL:
    case DB_VALUE_TYPE_DATE:
    case DB_VALUE_TYPE_TIME:
    case DB_VALUE_TYPE_TIMESTAMP:
    case DB_VALUE_TYPE_TIMESTAMP_TZ:
    case DB_VALUE_TYPE_UUID:
    case DB_VALUE_TYPE_JSON:
    case DB_VALUE_TYPE_MIXED:
    default:
      value = g_variant_new_string (cell->text);
    }
  return g_variant_ref_sink (value);
}
