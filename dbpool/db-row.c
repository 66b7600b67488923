/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One row of a result: a reference on the result and a number. Rows exist because list models are
 * made of objects; who reads many values asks the result for them. A row is immutable, so nothing
 * here locks. */

#include "config.h"

#include "db-row-private.h"

#include "db-result.h"

/**
 * DbRow:
 *
 * One row of a [class@Db.Result], as an item of a list model.
 *
 * A row keeps its result alive, is immutable and may be used from any thread. While it lives, the
 * result gives out the same object for the same position. Its getters are those of the result: see
 * [method@Db.Result.get_int64] and its neighbours for how values are converted.
 *
 * Since: 1.0
 */
struct _DbRow
{
  GObject parent_instance;

  /* Read-only after construction. */
  DbResult *result;
  guint position;
  DbRowSlot *slot;
};

G_DEFINE_FINAL_TYPE (DbRow, db_row, G_TYPE_OBJECT)

static void
row_slot_clear (gpointer data)
{
  DbRowSlot *self = data;

  g_weak_ref_clear (&self->row);
}

DbRowSlot *
db_row_slot_new (void)
{
  DbRowSlot *self = g_atomic_rc_box_new0 (DbRowSlot);

  g_weak_ref_init (&self->row, NULL);
  return self;
}

DbRowSlot *
db_row_slot_ref (DbRowSlot *self)
{
  return g_atomic_rc_box_acquire (self);
}

void
db_row_slot_unref (DbRowSlot *self)
{
  g_atomic_rc_box_release_full (self, row_slot_clear);
}

static void
db_row_finalize (GObject *object)
{
  DbRow *self = DB_ROW (object);

  if (self->slot != NULL)
    {
      db_result_forget_row (self->result, self->position, self->slot);
      db_row_slot_unref (self->slot);
    }
  g_clear_object (&self->result);

  G_OBJECT_CLASS (db_row_parent_class)->finalize (object);
}

static void
db_row_class_init (DbRowClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = db_row_finalize;
}

static void
db_row_init (DbRow *self)
{
}

DbRow *
db_row_new (DbResult *result, guint position, DbRowSlot *slot)
{
  DbRow *self = g_object_new (DB_TYPE_ROW, NULL);

  self->result = g_object_ref (result);
  self->position = position;
  self->slot = db_row_slot_ref (slot);
  g_weak_ref_set (&slot->row, self);
  return self;
}

/**
 * db_row_get_result:
 * @self: a row
 *
 * Gets the result that the row belongs to.
 *
 * Returns: (transfer none): the result
 *
 * Since: 1.0
 */
DbResult *
db_row_get_result (DbRow *self)
{
  g_return_val_if_fail (DB_IS_ROW (self), NULL);

  return self->result;
}

/**
 * db_row_get_position:
 * @self: a row
 *
 * Gets the row's position in its result.
 *
 * Returns: the position, from 0
 *
 * Since: 1.0
 */
guint
db_row_get_position (DbRow *self)
{
  g_return_val_if_fail (DB_IS_ROW (self), 0);

  return self->position;
}

/**
 * db_row_is_null:
 * @self: a row
 * @column: which column, from 0
 *
 * Says whether a cell is NULL, as [method@Db.Result.is_null] does.
 *
 * Returns: %TRUE for NULL
 *
 * Since: 1.0
 */
gboolean
db_row_is_null (DbRow *self, guint column)
{
  g_return_val_if_fail (DB_IS_ROW (self), TRUE);

  return db_result_is_null (self->result, self->position, column);
}

/**
 * db_row_get_boolean:
 * @self: a row
 * @column: which column, from 0
 *
 * Gets a cell as a boolean, as [method@Db.Result.get_boolean] does.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
gboolean
db_row_get_boolean (DbRow *self, guint column)
{
  g_return_val_if_fail (DB_IS_ROW (self), FALSE);

  return db_result_get_boolean (self->result, self->position, column);
}

/**
 * db_row_get_int64:
 * @self: a row
 * @column: which column, from 0
 *
 * Gets a cell as a whole number, as [method@Db.Result.get_int64] does.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
gint64
db_row_get_int64 (DbRow *self, guint column)
{
  g_return_val_if_fail (DB_IS_ROW (self), 0);

  return db_result_get_int64 (self->result, self->position, column);
}

/**
 * db_row_get_double:
 * @self: a row
 * @column: which column, from 0
 *
 * Gets a cell as a floating-point number, as [method@Db.Result.get_double] does.
 *
 * Returns: the value
 *
 * Since: 1.0
 */
double
db_row_get_double (DbRow *self, guint column)
{
  g_return_val_if_fail (DB_IS_ROW (self), 0.0);

  return db_result_get_double (self->result, self->position, column);
}

/**
 * db_row_get_text:
 * @self: a row
 * @column: which column, from 0
 *
 * Gets a cell as text, as [method@Db.Result.get_text] does.
 *
 * Returns: (transfer none) (nullable): the text, valid as long as the row is; %NULL for NULL
 *
 * Since: 1.0
 */
const char *
db_row_get_text (DbRow *self, guint column)
{
  g_return_val_if_fail (DB_IS_ROW (self), NULL);

  return db_result_get_text (self->result, self->position, column);
}

/**
 * db_row_get_bytes:
 * @self: a row
 * @column: which column, from 0
 *
 * Gets a cell as bytes, as [method@Db.Result.get_bytes] does.
 *
 * Returns: (transfer full) (nullable): the bytes; %NULL for NULL
 *
 * Since: 1.0
 */
GBytes *
db_row_get_bytes (DbRow *self, guint column)
{
  g_return_val_if_fail (DB_IS_ROW (self), NULL);

  return db_result_get_bytes (self->result, self->position, column);
}

/**
 * db_row_dup_variant:
 * @self: a row
 * @column: which column, from 0
 *
 * Gets a cell as a value of a type that fits it, as [method@Db.Result.dup_variant] does.
 *
 * Returns: (transfer full) (nullable): the value, not floating; %NULL for NULL
 *
 * Since: 1.0
 */
GVariant *
db_row_dup_variant (DbRow *self, guint column)
{
  g_return_val_if_fail (DB_IS_ROW (self), NULL);

  return db_result_dup_variant (self->result, self->position, column);
}
