/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a query returned: reading cells, converting them, and the list model of rows. A result is
 * immutable and self-contained; it may be read by many threads at once. Only two things are made
 * later, under the result's lock: texts of cells that are no text, which have to live as long as
 * the result, and the table of the rows that somebody holds. How results are built and stored is
 * said in db-result-builder.c and db-result-storage-private.h. */

#include "config.h"

#include "db-result-storage-private.h"
#include "db-row-private.h"
#include "db-value-private.h"

#include <errno.h>
#include <string.h>

/**
 * DbResult:
 *
 * What a statement returned: columns, rows, and how many rows it changed.
 *
 * A result is a [iface@Gio.ListModel] of [class@Db.Row], so it can be shown in a list view as it
 * is. Programs read its cells faster without rows, with [method@Db.Result.get_int64] and its
 * neighbours, and whole columns with [method@Db.Result.get_column_int64s] and its neighbours.
 *
 * Any getter may be used on any cell: values are converted where that makes sense, and each getter
 * says what it returns where it does not. [method@Db.Result.get_text] is exact for every type.
 *
 * A result is immutable, does not need its connection any more, and may be used from any thread.
 * Nothing here blocks.
 *
 * Since: 1.0
 */

static void db_result_list_model_init (GListModelInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DbResult,
                               db_result,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_LIST_MODEL, db_result_list_model_init))

static gint64
double_to_int64 (double value)
{
  /* Both limits are exact doubles; a NaN fails the comparison. */
  return value >= -9223372036854775808.0 && value < 9223372036854775808.0 ? (gint64) value : 0;
}

static const char *
format_bytes_locked (DbResult *self, const DbCell *cell)
{
  gsize size = db_cell_get_size (cell);
  g_autoptr (GString) text = g_string_sized_new (3 + 2 * size);

  db_value_append_hex (text, cell->text, size);
  return g_string_chunk_insert_len (self->made, text->str, (gssize) text->len);
}

static const char *
format_cell_locked (DbResult *self, const DbCell *cell, DbValueType type)
{
  char buffer[DB_VALUE_DOUBLE_SIZE];

  switch (type)
    {
    case DB_VALUE_TYPE_INT64:
      g_snprintf (buffer, sizeof buffer, "%" G_GINT64_FORMAT, cell->integer);
      return g_string_chunk_insert (self->made, buffer);
    case DB_VALUE_TYPE_DOUBLE:
      db_value_format_double (cell->real, buffer);
      return g_string_chunk_insert (self->made, buffer);
    case DB_VALUE_TYPE_BYTES:
      return format_bytes_locked (self, cell);
    case DB_VALUE_TYPE_NULL:
    case DB_VALUE_TYPE_BOOLEAN:
    case DB_VALUE_TYPE_TEXT:
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
      g_return_val_if_reached ("");
    }
}

/* The text of a cell that is stored in another form: made once, kept as long as the result. */
static const char *
result_make_text (DbResult *self, DbColumn *column, guint row, DbValueType type)
{
  DB_LOCK_SCOPE (&self->lock);

  if (self->made == NULL)
    self->made = g_string_chunk_new (256);
  if (column->texts == NULL)
    column->texts = g_new0 (const char *, self->n_rows);
  if (column->texts[row] == NULL)
    column->texts[row] = format_cell_locked (self, &column->cells[row], type);
  return column->texts[row];
}

const char *
db_result_get_cell_text (DbResult *self, DbColumn *column, guint row)
{
  DbValueType type = db_column_get_cell_type (column, row);

  switch (type)
    {
    case DB_VALUE_TYPE_NULL:
      return NULL;
    case DB_VALUE_TYPE_BOOLEAN:
      return column->cells[row].integer ? "true" : "false";
    case DB_VALUE_TYPE_INT64:
    case DB_VALUE_TYPE_DOUBLE:
    case DB_VALUE_TYPE_BYTES:
      return result_make_text (self, column, row, type);
    case DB_VALUE_TYPE_TEXT:
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
      return column->cells[row].text;
    }
}

static double
text_to_double (const char *text)
{
  char *end;
  double value = g_ascii_strtod (text, &end);

  return end != text && *end == '\0' ? value : 0.0;
}

/* The digits before a decimal point are taken as they stand: a double has only 53 bits. */
static gint64
text_to_int64 (const char *text)
{
  char *end;
  gint64 value;

  errno = 0;
  value = g_ascii_strtoll (text, &end, 10);
  if (errno != 0)
    return 0;
  if (end != text &&
      (*end == '\0' || (*end == '.' && end[1 + strspn (end + 1, "0123456789")] == '\0')))
    return value;
  return double_to_int64 (text_to_double (text));
}

static gboolean
text_to_boolean (const char *text)
{
  static const char *const yes[] = {"t", "true", "y", "yes", "on", "1"};

  for (gsize i = 0; i < G_N_ELEMENTS (yes); i++)
    if (g_ascii_strcasecmp (text, yes[i]) == 0)
      return TRUE;
  return FALSE;
}

gint64
db_column_get_int64 (const DbColumn *column, guint row)
{
  const DbCell *cell = &column->cells[row];

  switch (db_column_get_cell_type (column, row))
    {
    case DB_VALUE_TYPE_NULL:
    case DB_VALUE_TYPE_BOOLEAN:
    case DB_VALUE_TYPE_INT64:
      return cell->integer;
    case DB_VALUE_TYPE_DOUBLE:
      return double_to_int64 (cell->real);
    case DB_VALUE_TYPE_BYTES:
      return 0;
    case DB_VALUE_TYPE_TEXT:
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
      return text_to_int64 (cell->text);
    }
}

double
db_column_get_double (const DbColumn *column, guint row)
{
  const DbCell *cell = &column->cells[row];

  switch (db_column_get_cell_type (column, row))
    {
    case DB_VALUE_TYPE_NULL:
    case DB_VALUE_TYPE_BOOLEAN:
    case DB_VALUE_TYPE_INT64:
      return (double) cell->integer;
    case DB_VALUE_TYPE_DOUBLE:
      return cell->real;
    case DB_VALUE_TYPE_BYTES:
      return 0.0;
    case DB_VALUE_TYPE_TEXT:
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
      return text_to_double (cell->text);
    }
}

static GType
db_result_get_item_type (GListModel *model)
{
  return DB_TYPE_ROW;
}

static guint
db_result_get_n_items (GListModel *model)
{
  return DB_RESULT (model)->n_rows;
}

/* The place of a row that somebody holds, or held a moment ago. */
static DbRowSlot *
result_find_slot (DbResult *self, guint position)
{
  DB_LOCK_SCOPE (&self->lock);
  DbRowSlot *slot = NULL;

  if (self->rows != NULL)
    slot = g_hash_table_lookup (self->rows, GUINT_TO_POINTER (position));
  return slot != NULL ? db_row_slot_ref (slot) : NULL;
}

/* Puts @slot where @expected stood; FALSE if another thread was quicker. */
static gboolean
result_put_slot (DbResult *self, guint position, DbRowSlot *expected, DbRowSlot *slot)
{
  DB_LOCK_SCOPE (&self->lock);

  if (self->rows == NULL)
    self->rows = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) db_row_slot_unref);
  if (g_hash_table_lookup (self->rows, GUINT_TO_POINTER (position)) != expected)
    return FALSE;
  g_hash_table_insert (self->rows, GUINT_TO_POINTER (position), db_row_slot_ref (slot));
  return TRUE;
}

void
db_result_forget_row (DbResult *self, guint position, DbRowSlot *slot)
{
  DB_LOCK_SCOPE (&self->lock);

  if (self->rows != NULL && g_hash_table_lookup (self->rows, GUINT_TO_POINTER (position)) == slot)
    g_hash_table_remove (self->rows, GUINT_TO_POINTER (position));
}

/* No reference on a row is taken or dropped under the lock: that may call into a binding. */
static gpointer
db_result_get_item (GListModel *model, guint position)
{
  DbResult *self = DB_RESULT (model);

  if (position >= self->n_rows)
    return NULL;

  while (TRUE)
    {
      DbRowSlot *found = result_find_slot (self, position);
      DbRow *row = found != NULL ? g_weak_ref_get (&found->row) : NULL;

      if (row == NULL)
        {
          DbRowSlot *slot = db_row_slot_new ();

          row = db_row_new (self, position, slot);
          if (!result_put_slot (self, position, found, slot))
            g_clear_object (&row);
          db_row_slot_unref (slot);
        }
      g_clear_pointer (&found, db_row_slot_unref);
      if (row != NULL)
        return row;
    }
}

static void
db_result_list_model_init (GListModelInterface *iface)
{
  iface->get_item_type = db_result_get_item_type;
  iface->get_n_items = db_result_get_n_items;
  iface->get_item = db_result_get_item;
}

static void
db_result_finalize (GObject *object)
{
  DbResult *self = DB_RESULT (object);

  for (guint i = 0; i < self->n_columns; i++)
    {
      DbColumn *column = &self->columns[i];

      if (self->n_allocated > DB_RESULT_FIRST_ROWS)
        g_free (column->cells);
      /* Most have neither, and the calls would show. */
      if (column->types != NULL || column->texts != NULL)
        {
          g_free (column->types);
          g_free (column->texts);
        }
    }
  g_free (self->columns);
  g_clear_pointer (&self->shape, db_result_shape_unref);
  while (self->blocks != NULL)
    {
      DbResultBlock *block = self->blocks;

      self->blocks = block->next;
      g_free (block);
    }
  g_clear_pointer (&self->rows, g_hash_table_unref);
  g_clear_pointer (&self->made, g_string_chunk_free);
  db_lock_clear (&self->lock);

  G_OBJECT_CLASS (db_result_parent_class)->finalize (object);
}

/* The last g_object_unref() itself disconnects handlers and clears weak references, once more after
 * GObject's dispose has done the same; the first time is some 3 % of what a query of one row costs
 * here, and is left out. g_object_run_dispose(), which holds a reference, gets all of it. */
static void
db_result_dispose (GObject *object)
{
  if (g_atomic_int_get ((gint *) &object->ref_count) > 1)
    G_OBJECT_CLASS (db_result_parent_class)->dispose (object);
}

static void
db_result_class_init (DbResultClass *klass)
{
  G_OBJECT_CLASS (klass)->dispose = db_result_dispose;
  G_OBJECT_CLASS (klass)->finalize = db_result_finalize;
}

static void
db_result_init (DbResult *self)
{
  db_lock_init (&self->lock);
  self->rows_affected = -1;
  self->last_insert_id = -1;
}

/**
 * db_result_get_n_rows:
 * @self: a result
 *
 * Gets the number of rows that the statement returned.
 *
 * Returns: the number of rows
 *
 * Since: 1.0
 */
guint
db_result_get_n_rows (DbResult *self)
{
  g_return_val_if_fail (DB_IS_RESULT (self), 0);

  return self->n_rows;
}

/**
 * db_result_get_n_columns:
 * @self: a result
 *
 * Gets the number of columns; 0 if the statement returns no rows by its nature.
 *
 * Returns: the number of columns
 *
 * Since: 1.0
 */
guint
db_result_get_n_columns (DbResult *self)
{
  g_return_val_if_fail (DB_IS_RESULT (self), 0);

  return self->n_columns;
}

/**
 * db_result_get_column_name:
 * @self: a result
 * @column: which column, from 0
 *
 * Gets the name of a column. Names need not be unique, and may be empty.
 *
 * Returns: (transfer none): the name, valid as long as the result
 *
 * Since: 1.0
 */
const char *
db_result_get_column_name (DbResult *self, guint column)
{
  g_return_val_if_fail (DB_RESULT_HAS_COLUMN (self, column), "");

  return self->columns[column].name;
}

/**
 * db_result_get_column_names:
 * @self: a result
 *
 * Gets the names of all columns.
 *
 * Returns: (transfer container) (array zero-terminated=1): the names, and %NULL; free the array
 * with [func@GLib.free], the names are valid as long as the result
 *
 * Since: 1.0
 */
const char **
db_result_get_column_names (DbResult *self)
{
  const char **names;

  g_return_val_if_fail (DB_IS_RESULT (self), g_new0 (const char *, 1));

  names = g_new (const char *, (gsize) self->n_columns + 1);
  for (guint i = 0; i < self->n_columns; i++)
    names[i] = self->columns[i].name;
  names[self->n_columns] = NULL;
  return names;
}

/**
 * db_result_find_column:
 * @self: a result
 * @name: the name of a column
 *
 * Finds a column by its name, exactly as the database writes it.
 *
 * Returns: the first column of that name, or -1
 *
 * Since: 1.0
 */
int
db_result_find_column (DbResult *self, const char *name)
{
  g_return_val_if_fail (DB_IS_RESULT (self), -1);
  g_return_val_if_fail (name != NULL, -1);

  for (guint i = 0; i < self->n_columns; i++)
    if (strcmp (self->columns[i].name, name) == 0)
      return (int) i;
  return -1;
}

/**
 * db_result_get_column_type:
 * @self: a result
 * @column: which column, from 0
 *
 * Gets the type of a column: that of its cells.
 *
 * Where SQLite's cells differ it is `DB_VALUE_TYPE_MIXED`: see [method@Db.Result.get_cell_type].
 * Where every cell is NULL it is what the database says of the column, or `DB_VALUE_TYPE_NULL`.
 *
 * Returns: the type
 *
 * Since: 1.0
 */
DbValueType
db_result_get_column_type (DbResult *self, guint column)
{
  g_return_val_if_fail (DB_RESULT_HAS_COLUMN (self, column), DB_VALUE_TYPE_NULL);

  return db_column_get_type (&self->columns[column]);
}

/**
 * db_result_get_column_element_type:
 * @self: a result
 * @column: which column, from 0
 *
 * Gets the type of the elements of a column of arrays, whatever its dimensions.
 *
 * Returns: the type; `DB_VALUE_TYPE_NULL` if the column is not of `DB_VALUE_TYPE_ARRAY`
 *
 * Since: 1.0
 */
DbValueType
db_result_get_column_element_type (DbResult *self, guint column)
{
  g_return_val_if_fail (DB_RESULT_HAS_COLUMN (self, column), DB_VALUE_TYPE_NULL);

  return self->columns[column].element;
}

/**
 * db_result_get_cell_type:
 * @self: a result
 * @row: which row, from 0
 * @column: which column, from 0
 *
 * Gets the type of one cell: that of its column, `DB_VALUE_TYPE_NULL`, or in a mixed column its
 * own.
 *
 * Text that is no valid UTF-8 or holds a NUL is `DB_VALUE_TYPE_BYTES`.
 *
 * Returns: the type; never `DB_VALUE_TYPE_MIXED`
 *
 * Since: 1.0
 */
DbValueType
db_result_get_cell_type (DbResult *self, guint row, guint column)
{
  g_return_val_if_fail (DB_RESULT_HAS_CELL (self, row, column), DB_VALUE_TYPE_NULL);

  return db_column_get_cell_type (&self->columns[column], row);
}

/**
 * db_result_is_null:
 * @self: a result
 * @row: which row, from 0
 * @column: which column, from 0
 *
 * Says whether a cell is NULL.
 *
 * Returns: %TRUE for NULL
 *
 * Since: 1.0
 */
gboolean
db_result_is_null (DbResult *self, guint row, guint column)
{
  g_return_val_if_fail (DB_RESULT_HAS_CELL (self, row, column), TRUE);

  return db_column_get_cell_type (&self->columns[column], row) == DB_VALUE_TYPE_NULL;
}

/**
 * db_result_get_boolean:
 * @self: a result
 * @row: which row, from 0
 * @column: which column, from 0
 *
 * Gets a cell as a boolean.
 *
 * A number is true if it is not 0, text if it is `t`, `true`, `y`, `yes`, `on` or `1` in any case.
 *
 * Returns: the value; %FALSE for NULL and bytes
 *
 * Since: 1.0
 */
gboolean
db_result_get_boolean (DbResult *self, guint row, guint column)
{
  const DbCell *cell;

  g_return_val_if_fail (DB_RESULT_HAS_CELL (self, row, column), FALSE);

  cell = &self->columns[column].cells[row];
  switch (db_column_get_cell_type (&self->columns[column], row))
    {
    case DB_VALUE_TYPE_NULL:
    case DB_VALUE_TYPE_BOOLEAN:
    case DB_VALUE_TYPE_INT64:
      return cell->integer != 0;
    case DB_VALUE_TYPE_DOUBLE:
      return cell->real != 0.0;
    case DB_VALUE_TYPE_BYTES:
      return FALSE;
    case DB_VALUE_TYPE_TEXT:
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
      return text_to_boolean (cell->text);
    }
}

/**
 * db_result_get_int64:
 * @self: a result
 * @row: which row, from 0
 * @column: which column, from 0
 *
 * Gets a cell as a whole number.
 *
 * A number with a fraction, also one that is stored as text, loses its fraction; true is 1.
 *
 * Returns: the value; 0 for NULL, bytes, text that is no number, and numbers beyond 64 bits
 *
 * Since: 1.0
 */
gint64
db_result_get_int64 (DbResult *self, guint row, guint column)
{
  g_return_val_if_fail (DB_RESULT_HAS_CELL (self, row, column), 0);

  return db_column_get_int64 (&self->columns[column], row);
}

/**
 * db_result_get_double:
 * @self: a result
 * @row: which row, from 0
 * @column: which column, from 0
 *
 * Gets a cell as a floating-point number: for a decimal or a large whole number, the nearest one.
 *
 * Returns: the value; 0.0 for NULL, bytes and text that is no number
 *
 * Since: 1.0
 */
double
db_result_get_double (DbResult *self, guint row, guint column)
{
  g_return_val_if_fail (DB_RESULT_HAS_CELL (self, row, column), 0.0);

  return db_column_get_double (&self->columns[column], row);
}

/**
 * db_result_get_text:
 * @self: a result
 * @row: which row, from 0
 * @column: which column, from 0
 *
 * Gets a cell as text, which is exact for every type.
 *
 * A floating-point number has as many digits as it takes to read the same number back, a boolean is
 * `true` or `false`, and bytes are `\x` and hexadecimal digits.
 *
 * Returns: (transfer none) (nullable): the text, valid as long as the result; %NULL for NULL
 *
 * Since: 1.0
 */
const char *
db_result_get_text (DbResult *self, guint row, guint column)
{
  g_return_val_if_fail (DB_RESULT_HAS_CELL (self, row, column), NULL);

  return db_result_get_cell_text (self, &self->columns[column], row);
}

/**
 * db_result_get_bytes:
 * @self: a result
 * @row: which row, from 0
 * @column: which column, from 0
 *
 * Gets a cell as bytes, without a copy: the bytes keep the result alive.
 *
 * Of a cell that is not of bytes, these are the bytes of its text.
 *
 * Returns: (transfer full) (nullable): the bytes; %NULL for NULL
 *
 * Since: 1.0
 */
GBytes *
db_result_get_bytes (DbResult *self, guint row, guint column)
{
  DbColumn *source;
  const char *data;
  gsize size;

  g_return_val_if_fail (DB_RESULT_HAS_CELL (self, row, column), NULL);

  source = &self->columns[column];
  if (db_column_get_cell_type (source, row) == DB_VALUE_TYPE_BYTES)
    {
      data = source->cells[row].text;
      size = db_cell_get_size (&source->cells[row]);
    }
  else
    {
      data = db_result_get_cell_text (self, source, row);
      if (data == NULL)
        return NULL;
      size = strlen (data);
    }
  return g_bytes_new_with_free_func (data, size, g_object_unref, g_object_ref (self));
}

/**
 * db_result_get_rows_affected:
 * @self: a result
 *
 * Gets how many rows the statement inserted, updated or deleted.
 *
 * Returns: the number of rows, or -1 if the statement is none that changes rows
 *
 * Since: 1.0
 */
gint64
db_result_get_rows_affected (DbResult *self)
{
  g_return_val_if_fail (DB_IS_RESULT (self), -1);

  return self->rows_affected;
}

/**
 * db_result_get_last_insert_id:
 * @self: a result
 *
 * Gets the row id that SQLite gave to the row that the statement inserted last.
 *
 * PostgreSQL has none: there, use `INSERT … RETURNING`.
 *
 * Returns: the id, or -1 if there is none
 *
 * Since: 1.0
 */
gint64
db_result_get_last_insert_id (DbResult *self)
{
  g_return_val_if_fail (DB_IS_RESULT (self), -1);

  return self->last_insert_id;
}
