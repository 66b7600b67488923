/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Builds results: a builder is the result itself before it is finished. It decides the types of
 * cells and columns and where their bytes go; reading them is left to db-result.c. One thread at a
 * time, no lock.
 *
 * Making and freeing a GObject is a third of what a query of one row costs beside the database. So
 * the shape that a prepared statement has keeps a reference to the last small result made with it,
 * and the next result is that one anew, if by then nobody else has a reference to it and nothing is
 * attached to it (no weak reference, no data, no handler, no row): then nobody can tell the two
 * apart. What an application notices is that such a result is finalized later than it is dropped.
 */

#include "config.h"

#include "db-result-storage-private.h"
#include "db-reuse-private.h"

#include <string.h>

#define FIRST_CHARS 256
#define FIRST_BLOCK_SIZE 1024
#define LAST_BLOCK_SIZE (64 * 1024)
#define SHRINK_FROM 64 /* rows */

struct _DbResultBuilder
{
  DbResult result;
};

static void
builder_grow (DbResult *self)
{
  gsize n_allocated = self->n_allocated * 2;

  for (guint i = 0; i < self->n_columns; i++)
    {
      DbColumn *column = &self->columns[i];

      if (self->n_allocated == DB_RESULT_FIRST_ROWS)
        {
          DbCell *cells = g_new (DbCell, n_allocated);

          memcpy (cells, column->cells, self->n_rows * sizeof (DbCell));
          column->cells = cells;
        }
      else
        {
          column->cells = g_renew (DbCell, column->cells, n_allocated);
        }
      if (column->types != NULL)
        column->types = g_renew (guint8, column->types, n_allocated);
    }
  self->n_allocated = n_allocated;
}

/* Gives back what doubling took too much of. */
static void
builder_shrink (DbResult *self)
{
  if (self->n_rows < SHRINK_FROM || self->n_rows == self->n_allocated)
    return;

  for (guint i = 0; i < self->n_columns; i++)
    {
      DbColumn *column = &self->columns[i];

      column->cells = g_renew (DbCell, column->cells, self->n_rows);
      if (column->types != NULL)
        column->types = g_renew (guint8, column->types, self->n_rows);
    }
  self->n_allocated = self->n_rows;
}

/* A cell that differs from the one above it, or stands where there is no room yet. */
static void
builder_note_change (DbResult *self, DbColumn *column, DbValueType type)
{
  guint row = self->n_rows;

  if (row == self->n_allocated)
    builder_grow (self);
  if (column->types == NULL && column->uniform != type)
    {
      column->types = g_malloc (self->n_allocated);
      self->n_typed++;
      memset (column->types, column->uniform, row);
    }
  if (column->types != NULL)
    column->types[row] = type;

  if (type == DB_VALUE_TYPE_NULL)
    column->n_nulls++;
  else if (column->seen == DB_VALUE_TYPE_NULL)
    column->seen = type;
  else if (column->seen != type)
    column->seen = DB_VALUE_TYPE_MIXED;
}

/* The next cell, left to right, and its type in the books of its column. Part of each function that
 * adds a cell: the first row, which is the only one of most results, needs no look at what was
 * before. */
static inline DbCell *
builder_next_cell (DbResult *self, DbValueType type)
{
  DbColumn *column = &self->columns[self->next_column];
  guint row = self->n_rows;

  if (row == 0)
    {
      column->uniform = type;
      column->seen = type;
      column->n_nulls = type == DB_VALUE_TYPE_NULL;
    }
  else
    {
      builder_note_change (self, column, type);
    }

  if (++self->next_column == self->n_columns)
    {
      self->next_column = 0;
      self->n_rows++;
    }
  return &column->cells[row];
}

static char *
builder_take_chars (DbResult *self, gsize size)
{
  DbResultBlock *block;
  gsize block_size = self->block_size;
  char *chars;

  if (size <= self->n_free_chars)
    {
      chars = self->free_chars;
      self->free_chars += size;
      self->n_free_chars -= size;
      return chars;
    }

  if (size > block_size / 4)
    block_size = size; /* a block of its own; the current one stays in use */
  block = g_malloc (G_STRUCT_OFFSET (DbResultBlock, chars) + block_size);
  block->next = self->blocks;
  self->blocks = block;
  self->n_chars += block_size;
  if (block_size > size)
    {
      self->free_chars = block->chars + size;
      self->n_free_chars = block_size - size;
      self->block_size = MIN (self->block_size * 2, LAST_BLOCK_SIZE);
    }
  return block->chars;
}

static void
builder_add_chars (DbResult *self, DbValueType type, gconstpointer data, gsize size)
{
  char *chars = builder_take_chars (self, sizeof size + size + 1);

  memcpy (chars, &size, sizeof size);
  chars += sizeof size;
  if (size > 0)
    memcpy (chars, data, size);
  chars[size] = '\0';
  builder_next_cell (self, type)->text = chars;
}

/* ASCII without a zero, in words of 8 bytes and then byte by byte; anything else is for
 * g_utf8_validate_len(), which what is before it does not concern. */
static inline gboolean
is_clean_text (const char *text, gsize size)
{
  const guint64 ones = 0x0101010101010101u;
  gsize i = 0;

  for (; i + sizeof (guint64) <= size; i += sizeof (guint64))
    {
      guint64 word;

      memcpy (&word, text + i, sizeof word);
      if (((word | (word - ones)) & (ones << 7)) != 0)
        return g_utf8_validate_len (text + i, size - i, NULL);
    }
  for (; i < size; i++)
    if ((gint8) text[i] < 1)
      return g_utf8_validate_len (text + i, size - i, NULL);
  return TRUE;
}

/* The columns, the cells of the first rows and the first characters, in one allocation. */
static void
builder_lay_out (DbResult *self, const DbColumn *columns)
{
  guint n_columns = self->n_columns;
  gsize columns_size = n_columns * sizeof (DbColumn);
  DbCell *cells;

  if (columns != NULL)
    memcpy (self->columns, columns, columns_size);
  else
    memset (self->columns, 0, columns_size);
  cells = (DbCell *) (self->columns + n_columns);
  for (guint i = 0; i < n_columns; i++)
    self->columns[i].cells = cells + i * DB_RESULT_FIRST_ROWS;
  self->n_allocated = DB_RESULT_FIRST_ROWS;
  self->free_chars = (char *) (cells + n_columns * DB_RESULT_FIRST_ROWS);
  self->n_free_chars = FIRST_CHARS;
  self->n_chars = FIRST_CHARS;
  self->n_typed = 0;
}

static DbResult *
builder_new (guint n_columns, const DbColumn *columns)
{
  DbResult *self = DB_RESULT (g_object_new_with_properties (DB_TYPE_RESULT, 0, NULL, NULL));

  self->n_columns = n_columns;
  self->block_size = FIRST_BLOCK_SIZE;
  if (n_columns == 0)
    return self;
  self->columns = g_malloc (
    n_columns * (sizeof (DbColumn) + DB_RESULT_FIRST_ROWS * sizeof (DbCell)) + FIRST_CHARS);
  builder_lay_out (self, columns);
  return self;
}

DbResultBuilder *
db_result_builder_new (guint n_columns)
{
  DbResult *self = builder_new (n_columns, NULL);

  for (guint i = 0; i < n_columns; i++)
    self->columns[i].name = "";
  return (DbResultBuilder *) self;
}

static gboolean
is_nobodys (DbResult *self)
{
  return db_is_nobody_elses (self) && self->rows == NULL && self->made == NULL;
}

/* All of it lies in its one allocation. */
static gboolean
is_small (DbResult *self)
{
  if (self->n_allocated != DB_RESULT_FIRST_ROWS || self->blocks != NULL)
    return FALSE;
  for (guint i = 0; i < self->n_columns; i++)
    if (self->columns[i].types != NULL)
      return FALSE;
  return TRUE;
}

DbResultBuilder *
db_result_builder_new_shared (DbResultShape *shape)
{
  DbResult *self = g_steal_pointer (&shape->spare);

  if (self != NULL && is_nobodys (self))
    {
      self->n_rows = 0;
      builder_lay_out (self, shape->columns);
      return (DbResultBuilder *) self;
    }
  g_clear_object (&self);
  self = builder_new (shape->n_columns, shape->columns);
  self->shape = db_result_shape_ref (shape);
  return (DbResultBuilder *) self;
}

void
db_result_builder_free (DbResultBuilder *builder)
{
  g_object_unref (&builder->result);
}

/* A copy of what the database says, as valid UTF-8. */
static char *
make_name (const char *name)
{
  gsize size;

  if (name == NULL)
    name = "";
  size = strlen (name);
  return is_clean_text (name, size) ? g_strndup (name, size)
                                    : g_utf8_make_valid (name, (gssize) size);
}

void
db_result_builder_set_column (DbResultBuilder *builder,
                              guint column,
                              const char *name,
                              DbValueType type)
{
  DbResult *self = &builder->result;
  g_autofree char *made = NULL;
  char *copy;
  gsize size;

  g_return_if_fail (column < self->n_columns);

  if (name == NULL)
    name = "";
  size = strlen (name) + 1;
  if (!is_clean_text (name, size - 1))
    {
      name = made = make_name (name);
      size = strlen (name) + 1;
    }
  copy = builder_take_chars (self, size);
  memcpy (copy, name, size);
  self->columns[column].name = copy;
  self->columns[column].declared = type;
}

void
db_result_builder_set_element_type (DbResultBuilder *builder, guint column, DbValueType type)
{
  DbResult *self = &builder->result;

  g_return_if_fail (column < self->n_columns);

  self->columns[column].element = type;
}

DbResultShape *
db_result_shape_new (guint n_columns)
{
  DbResultShape *self =
    g_atomic_rc_box_alloc0 (sizeof (DbResultShape) + n_columns * sizeof (DbColumn));

  self->n_columns = n_columns;
  for (guint i = 0; i < n_columns; i++)
    self->columns[i].name = g_strdup ("");
  return self;
}

DbResultShape *
db_result_shape_ref (DbResultShape *self)
{
  return g_atomic_rc_box_acquire (self);
}

static void
shape_clear (gpointer data)
{
  DbResultShape *self = data;

  for (guint i = 0; i < self->n_columns; i++)
    g_free ((char *) self->columns[i].name);
}

void
db_result_shape_unref (DbResultShape *self)
{
  g_atomic_rc_box_release_full (self, shape_clear);
}

void
db_result_shape_retire (DbResultShape *self)
{
  g_clear_object (&self->spare); /* which has a reference to the shape */
  db_result_shape_unref (self);
}

guint
db_result_shape_get_n_columns (DbResultShape *self)
{
  return self->n_columns;
}

void
db_result_shape_set_column (DbResultShape *self,
                            guint column,
                            const char *name,
                            DbValueType type,
                            DbValueType element)
{
  g_return_if_fail (column < self->n_columns);

  g_free ((char *) self->columns[column].name);
  self->columns[column].name = make_name (name);
  self->columns[column].declared = type;
  self->columns[column].element = element;
}

void
db_result_builder_add_null (DbResultBuilder *builder)
{
  g_return_if_fail (builder->result.n_columns > 0);

  /* Zero whatever it is read as. */
  memset (builder_next_cell (&builder->result, DB_VALUE_TYPE_NULL), 0, sizeof (DbCell));
}

void
db_result_builder_add_boolean (DbResultBuilder *builder, gboolean value)
{
  g_return_if_fail (builder->result.n_columns > 0);

  builder_next_cell (&builder->result, DB_VALUE_TYPE_BOOLEAN)->integer = value ? 1 : 0;
}

void
db_result_builder_add_int64 (DbResultBuilder *builder, gint64 value)
{
  g_return_if_fail (builder->result.n_columns > 0);

  builder_next_cell (&builder->result, DB_VALUE_TYPE_INT64)->integer = value;
}

void
db_result_builder_add_double (DbResultBuilder *builder, double value)
{
  g_return_if_fail (builder->result.n_columns > 0);

  builder_next_cell (&builder->result, DB_VALUE_TYPE_DOUBLE)->real = value;
}

void
db_result_builder_add_text (DbResultBuilder *builder,
                            DbValueType type,
                            const char *text,
                            gsize size)
{
  g_return_if_fail (builder->result.n_columns > 0);

  if (!is_clean_text (text, size))
    type = DB_VALUE_TYPE_BYTES;
  builder_add_chars (&builder->result, type, text, size);
}

void
db_result_builder_add_bytes (DbResultBuilder *builder, gconstpointer data, gsize size)
{
  g_return_if_fail (builder->result.n_columns > 0);

  builder_add_chars (&builder->result, DB_VALUE_TYPE_BYTES, data, size);
}

DbResult *
db_result_builder_finish (DbResultBuilder *builder, gint64 rows_affected, gint64 last_insert_id)
{
  DbResult *self = &builder->result;

  g_warn_if_fail (self->next_column == 0);

  builder_shrink (self);
  self->rows_affected = rows_affected;
  self->last_insert_id = last_insert_id;
  if (DB_REUSES_OBJECTS && self->shape != NULL && self->shape->spare == NULL && is_small (self))
    self->shape->spare = g_object_ref (self);
  return self;
}

/* Room that was made ahead is not counted, so the size does not jump. */
gsize
db_result_get_size (DbResult *self)
{
  gsize row_size = self->n_columns * sizeof (DbCell) + self->n_typed;

  if (self->n_columns == 0)
    return 0;
  return sizeof (DbResult) + self->n_columns * sizeof (DbColumn) + self->n_rows * row_size +
         self->n_chars - self->n_free_chars;
}

gsize
db_result_builder_get_size (DbResultBuilder *builder)
{
  return db_result_get_size (&builder->result);
}

DbResult *
db_result_new_without_rows (gint64 rows_affected, gint64 last_insert_id)
{
  static DbResult *shared[3]; /* for -1, 0 and 1 row; made once, kept for good */
  DbResult **place = &shared[CLAMP (rows_affected + 1, 0, 2)];

  if (rows_affected < -1 || rows_affected > 1 || last_insert_id != -1)
    return db_result_builder_finish (db_result_builder_new (0), rows_affected, last_insert_id);
  if (g_once_init_enter (place))
    g_once_init_leave (place,
                       db_result_builder_finish (db_result_builder_new (0), rows_affected, -1));
  return g_object_ref (*place);
}

static void
copy_cell (DbResultBuilder *builder, const DbColumn *column, guint row)
{
  DbValueType type = db_column_get_cell_type (column, row);
  const DbCell *cell = &column->cells[row];
  DbCell *copy;

  switch (type)
    {
    case DB_VALUE_TYPE_NULL:
      db_result_builder_add_null (builder);
      break;
    case DB_VALUE_TYPE_BOOLEAN:
    case DB_VALUE_TYPE_INT64:
    case DB_VALUE_TYPE_DOUBLE:
      copy = builder_next_cell (&builder->result, type);
      *copy = *cell;
      break;
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
      builder_add_chars (&builder->result, type, cell->text, db_cell_get_size (cell));
    }
}

DbResult *
db_result_slice (DbResult *self, guint first, guint n_rows)
{
  DbResultBuilder *builder = db_result_builder_new (self->n_columns);

  g_assert (first <= self->n_rows && n_rows <= self->n_rows - first);
  for (guint i = 0; i < self->n_columns; i++)
    {
      db_result_builder_set_column (builder, i, self->columns[i].name, self->columns[i].declared);
      db_result_builder_set_element_type (builder, i, self->columns[i].element);
    }
  for (guint row = first; row < first + n_rows; row++)
    for (guint i = 0; i < self->n_columns; i++)
      copy_cell (builder, &self->columns[i], row);
  return db_result_builder_finish (builder, self->rows_affected, self->last_insert_id);
}
