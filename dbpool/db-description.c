/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a statement takes and returns, without running it. Immutable once it is handed out, so there
 * is no lock. */

#include "config.h"

#include "db-description-private.h"

/**
 * DbDescription:
 *
 * What a statement takes and returns, see [method@Db.Connection.describe].
 *
 * It is immutable, and may be used from any thread.
 *
 * Since: 1.0
 */
typedef struct
{
  char *name; /* of a column */
  DbValueType type;
  char *type_name;
} DbDescribed;

struct _DbDescription
{
  GArray *params; /* of DbDescribed, like the columns */
  GArray *columns;
};

G_DEFINE_BOXED_TYPE (DbDescription, db_description, db_description_copy, db_description_free)

static void
described_clear (gpointer data)
{
  DbDescribed *described = data;

  g_free (described->name);
  g_free (described->type_name);
}

static GArray *
new_array (void)
{
  GArray *array = g_array_new (FALSE, FALSE, sizeof (DbDescribed));

  g_array_set_clear_func (array, described_clear);
  return array;
}

DbDescription *
db_description_new (void)
{
  DbDescription *self = g_new0 (DbDescription, 1);

  self->params = new_array ();
  self->columns = new_array ();
  return self;
}

static void
add (GArray *array, const char *name, DbValueType type, const char *type_name)
{
  DbDescribed described = {g_strdup (name), type, g_strdup (type_name)};

  g_array_append_val (array, described);
}

void
db_description_add_param (DbDescription *self, DbValueType type, const char *type_name)
{
  add (self->params, NULL, type, type_name);
}

void
db_description_add_column (DbDescription *self,
                           const char *name,
                           DbValueType type,
                           const char *type_name)
{
  add (self->columns, name, type, type_name);
}

void
db_description_clear (DbDescription *self)
{
  g_array_set_size (self->params, 0);
  g_array_set_size (self->columns, 0);
}

/**
 * db_description_copy:
 * @self: a description
 *
 * Copies a description. May be called from any thread and does not block.
 *
 * Returns: (transfer full): a copy
 *
 * Since: 1.0
 */
DbDescription *
db_description_copy (DbDescription *self)
{
  DbDescription *copy;

  g_return_val_if_fail (self != NULL, NULL);

  copy = db_description_new ();
  for (guint i = 0; i < self->params->len; i++)
    db_description_add_param (copy, db_description_get_param_type (self, i),
                              db_description_get_param_type_name (self, i));
  for (guint i = 0; i < self->columns->len; i++)
    db_description_add_column (copy, db_description_get_column_name (self, i),
                               db_description_get_column_type (self, i),
                               db_description_get_column_type_name (self, i));
  return copy;
}

/**
 * db_description_free:
 * @self: (transfer full): a description
 *
 * Frees a description.
 *
 * Since: 1.0
 */
void
db_description_free (DbDescription *self)
{
  g_return_if_fail (self != NULL);

  g_array_unref (self->params);
  g_array_unref (self->columns);
  g_free (self);
}

/**
 * db_description_get_n_params:
 * @self: a description
 *
 * Gets how many parameters the statement takes.
 *
 * Returns: a count
 *
 * Since: 1.0
 */
guint
db_description_get_n_params (DbDescription *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->params->len;
}

/**
 * db_description_get_param_type:
 * @self: a description
 * @param: which parameter, from 0 (`$1`)
 *
 * Gets the type that the database wants for a parameter.
 *
 * Returns: a type; `DB_VALUE_TYPE_NULL` where the database does not say, as SQLite never does
 *
 * Since: 1.0
 */
DbValueType
db_description_get_param_type (DbDescription *self, guint param)
{
  g_return_val_if_fail (self != NULL, DB_VALUE_TYPE_NULL);
  g_return_val_if_fail (param < self->params->len, DB_VALUE_TYPE_NULL);

  return g_array_index (self->params, DbDescribed, param).type;
}

/**
 * db_description_get_param_type_name:
 * @self: a description
 * @param: which parameter, from 0 (`$1`)
 *
 * Gets the database's own name of a parameter's type.
 *
 * Returns: (nullable) (transfer none): for example `"integer"`; %NULL where it is not known
 *
 * Since: 1.0
 */
const char *
db_description_get_param_type_name (DbDescription *self, guint param)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (param < self->params->len, NULL);

  return g_array_index (self->params, DbDescribed, param).type_name;
}

/**
 * db_description_get_n_columns:
 * @self: a description
 *
 * Gets how many columns the statement's rows have.
 *
 * Returns: a count; 0 for a statement that returns no rows
 *
 * Since: 1.0
 */
guint
db_description_get_n_columns (DbDescription *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->columns->len;
}

/**
 * db_description_get_column_name:
 * @self: a description
 * @column: which column, from 0
 *
 * Gets the name of a column.
 *
 * Returns: (transfer none): a name
 *
 * Since: 1.0
 */
const char *
db_description_get_column_name (DbDescription *self, guint column)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (column < self->columns->len, NULL);

  return g_array_index (self->columns, DbDescribed, column).name;
}

/**
 * db_description_get_column_type:
 * @self: a description
 * @column: which column, from 0
 *
 * Gets the type of a column.
 *
 * Returns: a type; `DB_VALUE_TYPE_NULL` where only the cells will tell (SQLite)
 *
 * Since: 1.0
 */
DbValueType
db_description_get_column_type (DbDescription *self, guint column)
{
  g_return_val_if_fail (self != NULL, DB_VALUE_TYPE_NULL);
  g_return_val_if_fail (column < self->columns->len, DB_VALUE_TYPE_NULL);

  return g_array_index (self->columns, DbDescribed, column).type;
}

/**
 * db_description_get_column_type_name:
 * @self: a description
 * @column: which column, from 0
 *
 * Gets the database's own name of a column's type; on SQLite, what the table declares.
 *
 * Returns: (nullable) (transfer none): for example `"numeric(10,2)"`; %NULL where it is not known
 *
 * Since: 1.0
 */
const char *
db_description_get_column_type_name (DbDescription *self, guint column)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (column < self->columns->len, NULL);

  return g_array_index (self->columns, DbDescribed, column).type_name;
}
