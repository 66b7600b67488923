/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A table of parameters: rows of typed values, all values in one array. Texts and bytes are copied
 * into blocks that never move, or, if they are large, kept by a reference. A row of a few short
 * values costs one allocation: that is the usual case, and it stands on the path of every query.
 *
 * No lock: a table belongs to whoever fills it. What the values mean to a database, and whether the
 * rows fit a statement, is for the sessions to say. */

#include "config.h"

#include "db-params-private.h"

#include "db-array-private.h"

#include <string.h>

#define N_INLINE_VALUES 8
#define N_INLINE_CHARS 128
#define BLOCK_SIZE 1024
#define KEEP_BYTES_FROM 4096 /* from this size on, a GBytes is referenced and not copied */

typedef struct _DbParamsBlock DbParamsBlock;

struct _DbParamsBlock
{
  DbParamsBlock *next;
  GBytes *bytes; /* NULL, or what this block keeps alive: then it has no characters */
  char chars[];
};

/**
 * DbParams:
 *
 * A table of parameters for SQL statements: rows of typed values.
 *
 * Values are added from left to right; [method@Db.Params.next_row] ends a row. A statement that is
 * run once takes the first row (`$1` is its first value); one that is run for many rows takes them
 * all. The table keeps copies of what it is given.
 *
 * In Python and JavaScript the methods that take the values themselves are shorter; this is the
 * form for C, and for values that a [struct@GLib.Variant] cannot carry.
 *
 * A table may be filled and read by one thread at a time.
 *
 * Since: 1.0
 */
struct _DbParams
{
  DbValue *values; /* inline_values, or the heap */
  guint n_values;
  guint n_allocated;
  GArray
    *row_ends; /* of guint: the index after each ended row's last value; NULL before the first */

  guint n_open;     /* arrays that are open, one inside the other */
  GString *literal; /* what they have become so far; NULL before the first */

  char *free_chars; /* where the next text goes, and how many characters fit there */
  gsize n_free_chars;
  DbParamsBlock *blocks;

  DbValue inline_values[N_INLINE_VALUES];
  char inline_chars[N_INLINE_CHARS];
};

G_DEFINE_BOXED_TYPE (DbParams, db_params, db_params_copy, db_params_free)

static guint
params_open_row_start (DbParams *self)
{
  if (self->row_ends == NULL || self->row_ends->len == 0)
    return 0;
  return g_array_index (self->row_ends, guint, self->row_ends->len - 1);
}

static DbValue *
params_append (DbParams *self, DbValueType type)
{
  DbValue *value;

  if (self->n_values == self->n_allocated)
    {
      guint n_allocated = self->n_allocated * 2;

      if (self->values == self->inline_values)
        {
          self->values = g_new (DbValue, n_allocated);
          memcpy (self->values, self->inline_values, sizeof self->inline_values);
        }
      else
        {
          self->values = g_renew (DbValue, self->values, n_allocated);
        }
      self->n_allocated = n_allocated;
    }
  value = &self->values[self->n_values++];
  value->type = type;
  value->text = NULL;
  value->size = 0;
  return value;
}

static DbParamsBlock *
params_add_block (DbParams *self, gsize n_chars)
{
  DbParamsBlock *block = g_malloc (G_STRUCT_OFFSET (DbParamsBlock, chars) + n_chars);

  block->bytes = NULL;
  block->next = self->blocks;
  self->blocks = block;
  return block;
}

/* Copies @size bytes, which may be none, and puts a zero behind them. */
static const char *
params_store (DbParams *self, gconstpointer data, gsize size)
{
  char *copy;

  if (size < self->n_free_chars)
    {
      copy = self->free_chars;
      self->free_chars += size + 1;
      self->n_free_chars -= size + 1;
    }
  else if (size < BLOCK_SIZE / 4)
    {
      copy = params_add_block (self, BLOCK_SIZE)->chars;
      self->free_chars = copy + size + 1;
      self->n_free_chars = BLOCK_SIZE - size - 1;
    }
  else
    {
      copy = params_add_block (self, size + 1)->chars;
    }
  if (size > 0)
    memcpy (copy, data, size);
  copy[size] = '\0';
  return copy;
}

void
db_params_add_data (DbParams *self, DbValueType type, gconstpointer data, gsize size)
{
  DbValue *cell;

  if (self->n_open > 0)
    {
      DbValue element = {.type = type, .text = data, .size = size};

      db_array_append (self->literal, &element);
      return;
    }
  cell = params_append (self, type);
  cell->text = params_store (self, data, size);
  cell->size = size;
}

/* A value that has no text. */
static void
params_add_scalar (DbParams *self, DbValue value)
{
  if (self->n_open > 0)
    db_array_append (self->literal, &value);
  else
    *params_append (self, value.type) = value;
}

/**
 * db_params_new:
 *
 * Creates an empty table.
 *
 * Returns: (transfer full): a new table
 *
 * Since: 1.0
 */
DbParams *
db_params_new (void)
{
  DbParams *self = g_malloc (sizeof *self);

  self->values = self->inline_values;
  self->n_values = 0;
  self->n_allocated = N_INLINE_VALUES;
  self->row_ends = NULL;
  self->n_open = 0;
  self->literal = NULL;
  self->free_chars = self->inline_chars;
  self->n_free_chars = N_INLINE_CHARS;
  self->blocks = NULL;
  return self;
}

/**
 * db_params_copy:
 * @self: a table
 *
 * Copies a table with all its values. An array that is still open is not copied.
 *
 * Returns: (transfer full): a copy that shares nothing with @self
 *
 * Since: 1.0
 */
DbParams *
db_params_copy (DbParams *self)
{
  DbParams *copy;

  g_return_val_if_fail (self != NULL, NULL);

  copy = db_params_new ();
  for (guint i = 0; i < self->n_values; i++)
    {
      const DbValue *value = &self->values[i];

      if (value->type == DB_VALUE_TYPE_BYTES || db_value_type_is_text (value->type))
        db_params_add_data (copy, value->type, value->text, value->size);
      else
        *params_append (copy, value->type) = *value;
    }
  if (self->row_ends != NULL)
    copy->row_ends = g_array_copy (self->row_ends);
  return copy;
}

/**
 * db_params_free:
 * @self: (transfer full): a table
 *
 * Frees a table.
 *
 * Since: 1.0
 */
void
db_params_free (DbParams *self)
{
  g_return_if_fail (self != NULL);

  while (self->blocks != NULL)
    {
      DbParamsBlock *block = self->blocks;

      self->blocks = block->next;
      g_clear_pointer (&block->bytes, g_bytes_unref);
      g_free (block);
    }
  if (self->values != self->inline_values)
    g_free (self->values);
  g_clear_pointer (&self->row_ends, g_array_unref);
  if (self->literal != NULL)
    g_string_free (self->literal, TRUE);
  g_free (self);
}

/**
 * db_params_add_null:
 * @self: a table
 *
 * Adds an SQL NULL to the row.
 *
 * Since: 1.0
 */
void
db_params_add_null (DbParams *self)
{
  g_return_if_fail (self != NULL);

  params_add_scalar (self, (DbValue){.type = DB_VALUE_TYPE_NULL});
}

/**
 * db_params_add_boolean:
 * @self: a table
 * @value: the value
 *
 * Adds true or false to the row.
 *
 * Since: 1.0
 */
void
db_params_add_boolean (DbParams *self, gboolean value)
{
  g_return_if_fail (self != NULL);

  params_add_scalar (self, (DbValue){.type = DB_VALUE_TYPE_BOOLEAN, .integer = value ? 1 : 0});
}

/**
 * db_params_add_int64:
 * @self: a table
 * @value: the value
 *
 * Adds a whole number to the row.
 *
 * Since: 1.0
 */
void
db_params_add_int64 (DbParams *self, gint64 value)
{
  g_return_if_fail (self != NULL);

  params_add_scalar (self, (DbValue){.type = DB_VALUE_TYPE_INT64, .integer = value});
}

/**
 * db_params_add_double:
 * @self: a table
 * @value: the value
 *
 * Adds a floating-point number to the row.
 *
 * Since: 1.0
 */
void
db_params_add_double (DbParams *self, double value)
{
  g_return_if_fail (self != NULL);

  params_add_scalar (self, (DbValue){.type = DB_VALUE_TYPE_DOUBLE, .real = value});
}

/**
 * db_params_add_text:
 * @self: a table
 * @value: (nullable): valid UTF-8, or %NULL for an SQL NULL
 *
 * Adds text to the row.
 *
 * Text that is no valid UTF-8 is a programming error: add it with [method@Db.Params.add_bytes].
 *
 * Since: 1.0
 */
void
db_params_add_text (DbParams *self, const char *value)
{
  db_params_add_typed_text (self, DB_VALUE_TYPE_TEXT, value);
}

/**
 * db_params_add_bytes:
 * @self: a table
 * @value: (nullable): bytes, or %NULL for an SQL NULL
 *
 * Adds bytes to the row.
 *
 * Since: 1.0
 */
void
db_params_add_bytes (DbParams *self, GBytes *value)
{
  gconstpointer data;
  gsize size;

  g_return_if_fail (self != NULL);

  if (value == NULL)
    {
      db_params_add_null (self);
      return;
    }
  data = g_bytes_get_data (value, &size);
  if (size < KEEP_BYTES_FROM || self->n_open > 0)
    {
      db_params_add_data (self, DB_VALUE_TYPE_BYTES, data, size);
    }
  else
    {
      DbValue *cell = params_append (self, DB_VALUE_TYPE_BYTES);

      params_add_block (self, 0)->bytes = g_bytes_ref (value);
      cell->text = data;
      cell->size = size;
    }
}

/**
 * db_params_add_typed_text:
 * @self: a table
 * @type: what the text is: `DB_VALUE_TYPE_TEXT`, `_DECIMAL`, `_DATE`, `_TIME`, `_TIMESTAMP`,
 *   `_TIMESTAMP_TZ`, `_UUID`, `_JSON` or `_ARRAY`
 * @value: (nullable): valid UTF-8, or %NULL for an SQL NULL
 *
 * Adds a value that is carried as text to the row: a decimal number, a date in ISO 8601 form,
 * an array as PostgreSQL writes it. An array cannot be added to one that is open.
 *
 * Whether the text really is of that type is for the database to say, when the statement runs.
 *
 * Since: 1.0
 */
void
db_params_add_typed_text (DbParams *self, DbValueType type, const char *value)
{
  gsize size;

  g_return_if_fail (self != NULL);
  g_return_if_fail (db_value_type_is_text (type));
  g_return_if_fail (type != DB_VALUE_TYPE_ARRAY || self->n_open == 0);

  if (value == NULL)
    {
      db_params_add_null (self);
      return;
    }
  size = strlen (value);
  g_return_if_fail (g_utf8_validate_len (value, size, NULL));

  db_params_add_data (self, type, value, size);
}

/**
 * db_params_add_decimal:
 * @self: a table
 * @value: (nullable): a decimal number, such as `-12.50`, or %NULL for an SQL NULL
 *
 * Adds an exact decimal number to the row, as [method@Db.Params.add_typed_text] does.
 *
 * Since: 1.0
 */
void
db_params_add_decimal (DbParams *self, const char *value)
{
  db_params_add_typed_text (self, DB_VALUE_TYPE_DECIMAL, value);
}

/**
 * db_params_add_uuid:
 * @self: a table
 * @value: (nullable): a UUID, as [func@GLib.uuid_string_random] makes them, or %NULL for an SQL
 *   NULL
 *
 * Adds a UUID to the row, as [method@Db.Params.add_typed_text] does.
 *
 * Since: 1.0
 */
void
db_params_add_uuid (DbParams *self, const char *value)
{
  db_params_add_typed_text (self, DB_VALUE_TYPE_UUID, value);
}

/**
 * db_params_add_json:
 * @self: a table
 * @value: (nullable): a JSON document, or %NULL for an SQL NULL (JSON's own is the text `null`)
 *
 * Adds a JSON document to the row, as [method@Db.Params.add_typed_text] does.
 *
 * Since: 1.0
 */
void
db_params_add_json (DbParams *self, const char *value)
{
  db_params_add_typed_text (self, DB_VALUE_TYPE_JSON, value);
}

/* As "+02:00", or with the seconds that some zones had long ago. */
static int
format_offset (char *buffer, gsize size, GTimeSpan offset)
{
  gint64 seconds = ABS (offset) / G_TIME_SPAN_SECOND;
  int hours = (int) (seconds / 3600);
  int minutes = (int) (seconds / 60 % 60);
  char sign = offset < 0 ? '-' : '+';

  if (seconds % 60 == 0)
    return g_snprintf (buffer, size, "%c%02d:%02d", sign, hours, minutes);
  return g_snprintf (buffer, size, "%c%02d:%02d:%02d", sign, hours, minutes, (int) (seconds % 60));
}

/**
 * db_params_add_datetime:
 * @self: a table
 * @value: (nullable): a point in time, or %NULL for an SQL NULL
 *
 * Adds a point in time to the row: its date, time to the microsecond and offset, in ISO 8601 form.
 *
 * Since: 1.0
 */
void
db_params_add_datetime (DbParams *self, GDateTime *value)
{
  char text[64];
  int size;
  int year;
  int month;
  int day;
  int fraction;

  g_return_if_fail (self != NULL);

  if (value == NULL)
    {
      db_params_add_null (self);
      return;
    }
  g_date_time_get_ymd (value, &year, &month, &day);
  size = g_snprintf (text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d", year, month, day,
                     g_date_time_get_hour (value), g_date_time_get_minute (value),
                     g_date_time_get_second (value));
  fraction = g_date_time_get_microsecond (value);
  if (fraction != 0)
    size += g_snprintf (text + size, sizeof text - size, ".%06d", fraction);
  size += format_offset (text + size, sizeof text - size, g_date_time_get_utc_offset (value));
  db_params_add_data (self, DB_VALUE_TYPE_TIMESTAMP_TZ, text, (gsize) size);
}

/**
 * db_params_open_array:
 * @self: a table
 *
 * Begins a value that is an array: what is added from now on is one of its elements, NULL too,
 * until [method@Db.Params.close_array] ends it.
 *
 * Between the two, another array may be opened and closed: that is one more dimension, and
 * PostgreSQL wants all arrays of a dimension equally long. Which type the elements have to be of is
 * for the database to say. SQLite has no arrays, and refuses the value when the statement runs.
 *
 * Since: 1.0
 */
void
db_params_open_array (DbParams *self)
{
  g_return_if_fail (self != NULL);

  if (self->literal == NULL)
    self->literal = g_string_new (NULL);
  db_array_open (self->literal);
  self->n_open++;
}

/**
 * db_params_close_array:
 * @self: a table
 *
 * Ends the array that was opened last.
 *
 * To end a row or to run a statement while an array is open is a programming error: the array is
 * not a value yet.
 *
 * Since: 1.0
 */
void
db_params_close_array (DbParams *self)
{
  g_return_if_fail (self != NULL);
  g_return_if_fail (self->n_open > 0);

  db_array_close (self->literal);
  if (--self->n_open > 0)
    return;
  db_params_add_data (self, DB_VALUE_TYPE_ARRAY, self->literal->str, self->literal->len);
  g_string_truncate (self->literal, 0);
}

/**
 * db_params_next_row:
 * @self: a table
 *
 * Ends the row: what is added from now on belongs to the next one.
 *
 * The last row need not be ended; a row that is ended counts even if it has no values.
 *
 * Since: 1.0
 */
void
db_params_next_row (DbParams *self)
{
  g_return_if_fail (self != NULL);
  g_return_if_fail (self->n_open == 0);

  if (self->row_ends == NULL)
    self->row_ends = g_array_new (FALSE, FALSE, sizeof (guint));
  g_array_append_val (self->row_ends, self->n_values);
}

/**
 * db_params_get_n_rows:
 * @self: a table
 *
 * Gets the number of rows: those that were ended, and the last one if it has values.
 *
 * Returns: the number of rows
 *
 * Since: 1.0
 */
guint
db_params_get_n_rows (DbParams *self)
{
  guint n_ended;

  g_return_val_if_fail (self != NULL, 0);

  n_ended = self->row_ends != NULL ? self->row_ends->len : 0;
  return params_open_row_start (self) < self->n_values ? n_ended + 1 : n_ended;
}

/**
 * db_params_get_n_values:
 * @self: a table
 * @row: which row, from 0
 *
 * Gets the number of values of one row. Rows may differ in length.
 *
 * Returns: the number of values; 0 if there is no such row
 *
 * Since: 1.0
 */
guint
db_params_get_n_values (DbParams *self, guint row)
{
  guint n_values;

  g_return_val_if_fail (self != NULL, 0);

  db_params_get_values (self, row, &n_values);
  return n_values;
}

const DbValue *
db_params_get_values (DbParams *self, guint row, guint *n_values)
{
  guint n_ended = self->row_ends != NULL ? self->row_ends->len : 0;
  guint start = 0;
  guint end = 0;

  if (row <= n_ended)
    {
      if (row > 0)
        start = g_array_index (self->row_ends, guint, row - 1);
      end = row < n_ended ? g_array_index (self->row_ends, guint, row) : self->n_values;
    }
  *n_values = end - start;
  return end > start ? &self->values[start] : NULL;
}
