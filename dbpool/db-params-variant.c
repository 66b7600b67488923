/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Parameters from a GVariant. The type is looked at first, as a whole, so that an empty array of
 * something that is no SQL value is refused like one with elements; what values hold (variants,
 * large numbers) can still fail later. No lock. */

#include "config.h"

#include "db-params-private.h"

#include "db-error.h"

static gboolean
add_uint64 (DbParams *params, guint64 value, guint position, GError **error)
{
  if (value > G_MAXINT64)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_TYPE,
                   "parameter %u is %" G_GUINT64_FORMAT ": whole numbers go up to %" G_GINT64_FORMAT
                   "; pass a larger one as text",
                   position, value, G_MAXINT64);
      return FALSE;
    }
  db_params_add_int64 (params, (gint64) value);
  return TRUE;
}

/* Whether a value can have this type: below arrays and maybes stands a basic type or a variant. */
static gboolean
is_value_type (const GVariantType *type)
{
  while (g_variant_type_is_array (type) || g_variant_type_is_maybe (type))
    type = g_variant_type_element (type);
  return (g_variant_type_is_basic (type) && !g_variant_type_equal (type, G_VARIANT_TYPE_HANDLE)) ||
         g_variant_type_is_variant (type);
}

static gboolean add_value (DbParams *params, GVariant *value, guint position, GError **error);

/* @inner: what a variant or a maybe holds, NULL for nothing; taken. */
static gboolean
add_inner (DbParams *params, GVariant *inner, guint position, GError **error)
{
  g_autoptr (GVariant) taken = inner;

  if (taken != NULL)
    return add_value (params, taken, position, error);
  db_params_add_null (params);
  return TRUE;
}

static gboolean
add_array (DbParams *params, GVariant *value, guint position, GError **error)
{
  gsize n = g_variant_n_children (value);

  db_params_open_array (params);
  for (gsize i = 0; i < n; i++)
    if (!add_inner (params, g_variant_get_child_value (value, i), position, error))
      return FALSE;
  db_params_close_array (params);
  return TRUE;
}

static gboolean
add_container (DbParams *params, GVariant *value, guint position, GError **error)
{
  gconstpointer data;
  gsize size;

  if (!is_value_type (g_variant_get_type (value)))
    {
      g_set_error (
        error, DB_ERROR, DB_ERROR_TYPE,
        "parameter %u has the GVariant type \"%s\", which is no SQL value; pass a number, "
        "boolean, text, bytes (\"ay\"), or an array or a maybe type of one of these",
        position, g_variant_get_type_string (value));
      return FALSE;
    }
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    return add_array (params, value, position, error);
  data = g_variant_get_fixed_array (value, &size, 1);
  db_params_add_data (params, DB_VALUE_TYPE_BYTES, data, size);
  return TRUE;
}

/* @position counts from 1, as $1 does. Nesting is bounded by GVariant itself. */
static gboolean
add_value (DbParams *params, GVariant *value, guint position, GError **error)
{
  const char *text;
  gsize size;

  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      db_params_add_boolean (params, g_variant_get_boolean (value));
      return TRUE;
    case G_VARIANT_CLASS_BYTE:
      db_params_add_int64 (params, g_variant_get_byte (value));
      return TRUE;
    case G_VARIANT_CLASS_INT16:
      db_params_add_int64 (params, g_variant_get_int16 (value));
      return TRUE;
    case G_VARIANT_CLASS_UINT16:
      db_params_add_int64 (params, g_variant_get_uint16 (value));
      return TRUE;
    case G_VARIANT_CLASS_INT32:
      db_params_add_int64 (params, g_variant_get_int32 (value));
      return TRUE;
    case G_VARIANT_CLASS_UINT32:
      db_params_add_int64 (params, g_variant_get_uint32 (value));
      return TRUE;
    case G_VARIANT_CLASS_INT64:
      db_params_add_int64 (params, g_variant_get_int64 (value));
      return TRUE;
    case G_VARIANT_CLASS_UINT64:
      return add_uint64 (params, g_variant_get_uint64 (value), position, error);
    case G_VARIANT_CLASS_DOUBLE:
      db_params_add_double (params, g_variant_get_double (value));
      return TRUE;
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      text = g_variant_get_string (value, &size);
      db_params_add_data (params, DB_VALUE_TYPE_TEXT, text, size);
      return TRUE;
    case G_VARIANT_CLASS_VARIANT:
      return add_inner (params, g_variant_get_variant (value), position, error);
    case G_VARIANT_CLASS_MAYBE:
      if (!is_value_type (g_variant_get_type (value)))
        return add_container (params, value, position, error);
      return add_inner (params, g_variant_get_maybe (value), position, error);
    case G_VARIANT_CLASS_HANDLE:
    case G_VARIANT_CLASS_ARRAY:
    case G_VARIANT_CLASS_TUPLE:
    case G_VARIANT_CLASS_DICT_ENTRY:
    default:
      return add_container (params, value, position, error);
    }
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
 * (`ms`) is NULL or its value, a variant (`v`) is what it holds. Other arrays (`as`, `amx`, `aad`,
 * `aay`) are arrays of these, for PostgreSQL.
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
    if (!add_inner (self, g_variant_get_child_value (tuple, i), (guint) i + 1, error))
      return NULL;
  return g_steal_pointer (&self);
}
