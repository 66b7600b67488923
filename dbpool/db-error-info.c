/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The details of a database's error: what a GError has no room for, and what should not stand in a
 * log. Immutable once its session has let it go, so there is no lock. */

#include "config.h"

#include "db-error-info-private.h"

#include "db-error-private.h"
#include "db-lock-private.h"

/**
 * DbErrorInfo:
 *
 * What a database says of an error besides its message, see
 * [method@Db.Connection.get_last_error_info].
 *
 * It is immutable, and may be used from any thread.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (DbErrorInfo, db_error_info, db_error_info_ref, db_error_info_unref)

DbErrorInfo *
db_error_info_new (void)
{
  DbErrorInfo *self = g_new0 (DbErrorInfo, 1);

  self->ref_count = 1;
  return self;
}

void
db_error_info_set (DbErrorInfo *self, DbErrorField field, const char *text)
{
  g_free (self->fields[field]);
  self->fields[field] = text != NULL ? g_utf8_make_valid (text, -1) : NULL;
}

/**
 * db_error_info_ref:
 * @self: an error's details
 *
 * Adds a reference. May be called from any thread and does not block.
 *
 * Returns: (transfer full): @self
 *
 * Since: 1.0
 */
DbErrorInfo *
db_error_info_ref (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_int_inc (&self->ref_count);
  return self;
}

/**
 * db_error_info_unref:
 * @self: (transfer full): an error's details
 *
 * Drops a reference. May be called from any thread and does not block.
 *
 * Since: 1.0
 */
void
db_error_info_unref (DbErrorInfo *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  DB_TSAN_ACQUIRE (self);
  for (guint i = 0; i < DB_N_ERROR_FIELDS; i++)
    g_free (self->fields[i]);
  g_free (self);
}

/**
 * db_error_info_get_message:
 * @self: an error's details
 *
 * Gets the message: the database's own words, without any code.
 *
 * Returns: (nullable) (transfer none): a text, or %NULL if the database did not say
 *
 * Since: 1.0
 */
const char *
db_error_info_get_message (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->fields[DB_ERROR_FIELD_MESSAGE];
}

/**
 * db_error_info_get_sqlstate:
 * @self: an error's details
 *
 * Gets the SQLSTATE.
 *
 * Returns: (nullable) (transfer none): five characters, or %NULL if the database did not say
 *
 * Since: 1.0
 */
const char *
db_error_info_get_sqlstate (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->fields[DB_ERROR_FIELD_SQLSTATE];
}

/**
 * db_error_info_get_severity:
 * @self: an error's details
 *
 * Gets how serious the database finds it.
 *
 * Returns: (nullable) (transfer none): `"ERROR"`, `"FATAL"` or `"PANIC"`, or %NULL if the database
 * did not say
 *
 * Since: 1.0
 */
const char *
db_error_info_get_severity (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->fields[DB_ERROR_FIELD_SEVERITY];
}

/**
 * db_error_info_get_detail:
 * @self: an error's details
 *
 * Gets what the database says beyond the message. It may hold values of rows: show it to people who
 * may see those, and keep it out of logs.
 *
 * Returns: (nullable) (transfer none): a text, or %NULL if the database did not say
 *
 * Since: 1.0
 */
const char *
db_error_info_get_detail (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->fields[DB_ERROR_FIELD_DETAIL];
}

/**
 * db_error_info_get_hint:
 * @self: an error's details
 *
 * Gets what the database suggests to do.
 *
 * Returns: (nullable) (transfer none): a text, or %NULL if the database did not say
 *
 * Since: 1.0
 */
const char *
db_error_info_get_hint (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->fields[DB_ERROR_FIELD_HINT];
}

/**
 * db_error_info_get_context:
 * @self: an error's details
 *
 * Gets where in functions and queries of the server the error happened, a line for each level.
 *
 * Returns: (nullable) (transfer none): a text, or %NULL if the database did not say
 *
 * Since: 1.0
 */
const char *
db_error_info_get_context (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->fields[DB_ERROR_FIELD_CONTEXT];
}

/**
 * db_error_info_get_schema:
 * @self: an error's details
 *
 * Gets the schema of the table that the error is about.
 *
 * Returns: (nullable) (transfer none): a name, or %NULL if the database did not say
 *
 * Since: 1.0
 */
const char *
db_error_info_get_schema (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->fields[DB_ERROR_FIELD_SCHEMA];
}

/**
 * db_error_info_get_table:
 * @self: an error's details
 *
 * Gets the table that the error is about.
 *
 * Returns: (nullable) (transfer none): a name, or %NULL if the database did not say
 *
 * Since: 1.0
 */
const char *
db_error_info_get_table (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->fields[DB_ERROR_FIELD_TABLE];
}

/**
 * db_error_info_get_column:
 * @self: an error's details
 *
 * Gets the column that the error is about.
 *
 * Returns: (nullable) (transfer none): a name, or %NULL if the database did not say
 *
 * Since: 1.0
 */
const char *
db_error_info_get_column (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->fields[DB_ERROR_FIELD_COLUMN];
}

/**
 * db_error_info_get_data_type:
 * @self: an error's details
 *
 * Gets the data type that the error is about.
 *
 * Returns: (nullable) (transfer none): a name, or %NULL if the database did not say
 *
 * Since: 1.0
 */
const char *
db_error_info_get_data_type (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->fields[DB_ERROR_FIELD_DATA_TYPE];
}

/**
 * db_error_info_get_constraint:
 * @self: an error's details
 *
 * Gets the constraint that was violated.
 *
 * Returns: (nullable) (transfer none): a name, or %NULL if the database did not say
 *
 * Since: 1.0
 */
const char *
db_error_info_get_constraint (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->fields[DB_ERROR_FIELD_CONSTRAINT];
}

/**
 * db_error_info_get_sqlite_code:
 * @self: an error's details
 *
 * Gets SQLite's extended result code (sqlite.org/rescode.html).
 *
 * Returns: a code, or 0 if the error did not come from SQLite
 *
 * Since: 1.0
 */
int
db_error_info_get_sqlite_code (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->sqlite_code;
}

/**
 * db_error_info_get_position:
 * @self: an error's details
 *
 * Gets where in the statement the error is.
 *
 * Returns: a position in characters, from 1; 0 where it is not known
 *
 * Since: 1.0
 */
guint
db_error_info_get_position (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->position;
}

/**
 * db_error_info_get_constraint_kind:
 * @self: an error's details
 *
 * Gets the kind of constraint that was violated.
 *
 * Returns: a kind; `DB_CONSTRAINT_NONE` if the error is not about one
 *
 * Since: 1.0
 */
DbConstraintKind
db_error_info_get_constraint_kind (DbErrorInfo *self)
{
  g_return_val_if_fail (self != NULL, DB_CONSTRAINT_NONE);

  if (self->fields[DB_ERROR_FIELD_SQLSTATE] != NULL)
    return db_constraint_kind_from_sqlstate (self->fields[DB_ERROR_FIELD_SQLSTATE]);
  return db_constraint_kind_from_sqlite (self->sqlite_code);
}
