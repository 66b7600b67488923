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

#include "db-error.h"

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

static void
params_add_chars (DbParams *self, DbValueType type, gconstpointer data, gsize size)
{
  DbValue *value = params_append (self, type);

  value->text = params_store (self, data, size);
  value->size = size;
}

static gboolean
type_is_text (DbValueType type)
{
  switch (type)
    {
    case DB_VALUE_TYPE_TEXT:
    case DB_VALUE_TYPE_DECIMAL:
    case DB_VALUE_TYPE_DATE:
    case DB_VALUE_TYPE_TIME:
    case DB_VALUE_TYPE_TIMESTAMP:
    case DB_VALUE_TYPE_TIMESTAMP_TZ:
    case DB_VALUE_TYPE_UUID:
    case DB_VALUE_TYPE_JSON:
      return TRUE;
    case DB_VALUE_TYPE_NULL:
    case DB_VALUE_TYPE_BOOLEAN:
    case DB_VALUE_TYPE_INT64:
    case DB_VALUE_TYPE_DOUBLE:
    case DB_VALUE_TYPE_BYTES:
    case DB_VALUE_TYPE_MIXED:
    default:
      return FALSE;
    }
}

static gboolean
params_add_uint64 (DbParams *self, guint64 value, guint position, GError **error)
{
  if (value > G_MAXINT64)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_TYPE,
                   "parameter %u is %" G_GUINT64_FORMAT ": whole numbers go up to %" G_GINT64_FORMAT
                   "; pass a larger one as text",
                   position, value, G_MAXINT64);
      return FALSE;
    }
  db_params_add_int64 (self, (gint64) value);
  return TRUE;
}

static gboolean
params_add_other (DbParams *self, GVariant *value, guint position, GError **error)
{
  gconstpointer data;
  gsize size;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    {
      g_set_error (
        error, DB_ERROR, DB_ERROR_TYPE,
        "parameter %u has the GVariant type \"%s\", which is no SQL value; pass a number, "
        "boolean, text, bytes (\"ay\"), or a maybe type of one of these",
        position, g_variant_get_type_string (value));
      return FALSE;
    }
  data = g_variant_get_fixed_array (value, &size, 1);
  params_add_chars (self, DB_VALUE_TYPE_BYTES, data, size);
  return TRUE;
}

static gboolean
params_add_variant (DbParams *self, GVariant *value, guint position, GError **error);

/* @inner: what a variant or a maybe holds, NULL for nothing; taken. */
static gboolean
params_add_inner (DbParams *self, GVariant *inner, guint position, GError **error)
{
  g_autoptr (GVariant) taken = inner;

  if (taken != NULL)
    return params_add_variant (self, taken, position, error);
  db_params_add_null (self);
  return TRUE;
}

/* @position counts from 1, as $1 does. Nesting is bounded by GVariant itself. */
static gboolean
params_add_variant (DbParams *self, GVariant *value, guint position, GError **error)
{
  const char *text;
  gsize size;

  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      db_params_add_boolean (self, g_variant_get_boolean (value));
      return TRUE;
    case G_VARIANT_CLASS_BYTE:
      db_params_add_int64 (self, g_variant_get_byte (value));
      return TRUE;
    case G_VARIANT_CLASS_INT16:
      db_params_add_int64 (self, g_variant_get_int16 (value));
      return TRUE;
    case G_VARIANT_CLASS_UINT16:
      db_params_add_int64 (self, g_variant_get_uint16 (value));
      return TRUE;
    case G_VARIANT_CLASS_INT32:
      db_params_add_int64 (self, g_variant_get_int32 (value));
      return TRUE;
    case G_VARIANT_CLASS_UINT32:
      db_params_add_int64 (self, g_variant_get_uint32 (value));
      return TRUE;
    case G_VARIANT_CLASS_INT64:
      db_params_add_int64 (self, g_variant_get_int64 (value));
      return TRUE;
    case G_VARIANT_CLASS_UINT64:
      return params_add_uint64 (self, g_variant_get_uint64 (value), position, error);
    case G_VARIANT_CLASS_DOUBLE:
      db_params_add_double (self, g_variant_get_double (value));
      return TRUE;
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      text = g_variant_get_string (value, &size);
      params_add_chars (self, DB_VALUE_TYPE_TEXT, text, size);
      return TRUE;
    case G_VARIANT_CLASS_VARIANT:
      return params_add_inner (self, g_variant_get_variant (value), position, error);
    case G_VARIANT_CLASS_MAYBE:
      return params_add_inner (self, g_variant_get_maybe (value), position, error);
    case G_VARIANT_CLASS_HANDLE:
    case G_VARIANT_CLASS_ARRAY:
    case G_VARIANT_CLASS_TUPLE:
    case G_VARIANT_CLASS_DICT_ENTRY:
    default:
      return params_add_other (self, value, position, error);
    }
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
  self->free_chars = self->inline_chars;
  self->n_free_chars = N_INLINE_CHARS;
  self->blocks = NULL;
  return self;
}

/**
 * db_params_new_from_variant:
 * @values: a tuple; if it is floating, it is consumed, also when the call fails
 * @error: return location for an error
 *
 * Creates a table of one row from a tuple, each member of which is one value.
 *
 * Whole numbers of all sizes (`y`, `n`, `q`, `i`, `u`, `x`, `t`), `b`, `d`, texts (`s`, `o`, `g`)
 * and bytes (`ay`, all of them: a zero at the end is data) are taken as they are. A maybe type
 * (`ms`) is NULL or its value, a variant (`v`) is what it holds.
 *
 * Anything else fails with `DB_ERROR_TYPE`, as does a whole number beyond 64 bits with sign, or a
 * value that is no tuple: the text names the parameter. Does not block.
 *
 * Returns: (transfer full): a new table
 *
 * Since: 1.0
 */
DbParams *
db_params_new_from_variant (GVariant *values, GError **error)
{
  g_autoptr (DbParams) self = NULL;
  g_autoptr (GVariant) tuple = NULL;
  gsize n_children;

  g_return_val_if_fail (values != NULL, NULL);

  tuple = g_variant_ref_sink (values);
  if (!g_variant_is_of_type (tuple, G_VARIANT_TYPE_TUPLE))
    {
      g_set_error (
        error, DB_ERROR, DB_ERROR_TYPE,
        "the parameters have the GVariant type \"%s\" and must be a tuple: put one value "
        "into a tuple of its own, \"(%s)\"",
        g_variant_get_type_string (tuple), g_variant_get_type_string (tuple));
      return NULL;
    }

  self = db_params_new ();
  n_children = g_variant_n_children (tuple);
  for (gsize i = 0; i < n_children; i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (tuple, i);

      if (!params_add_variant (self, child, (guint) i + 1, error))
        return NULL;
    }
  return g_steal_pointer (&self);
}

/**
 * db_params_copy:
 * @self: a table
 *
 * Copies a table with all its values.
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

      if (value->type == DB_VALUE_TYPE_BYTES || type_is_text (value->type))
        params_add_chars (copy, value->type, value->text, value->size);
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

  params_append (self, DB_VALUE_TYPE_NULL);
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

  params_append (self, DB_VALUE_TYPE_BOOLEAN)->integer = value ? 1 : 0;
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

  params_append (self, DB_VALUE_TYPE_INT64)->integer = value;
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

  params_append (self, DB_VALUE_TYPE_DOUBLE)->real = value;
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
  if (size < KEEP_BYTES_FROM)
    {
      params_add_chars (self, DB_VALUE_TYPE_BYTES, data, size);
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
 *   `_TIMESTAMP_TZ`, `_UUID` or `_JSON`
 * @value: (nullable): valid UTF-8, or %NULL for an SQL NULL
 *
 * Adds a value that is carried as text to the row: a decimal number, a date in ISO 8601 form.
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
  g_return_if_fail (type_is_text (type));

  if (value == NULL)
    {
      db_params_add_null (self);
      return;
    }
  size = strlen (value);
  g_return_if_fail (g_utf8_validate_len (value, size, NULL));

  params_add_chars (self, type, value, size);
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
