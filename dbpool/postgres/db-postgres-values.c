/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Values between DbParams, libpq and DbResult. Everything travels as text, whose meaning the server
 * infers, but for bytes on the way out, which travel as they are. No state, no lock. */

#include "config.h"

#include "db-postgres-values-private.h"

#include "db-error-private.h"
#include "db-params-private.h"
#include "db-result-private.h"

#include <math.h>
#include <string.h>

/* The protocol counts parameters in 16 bits. */
#define MAX_PARAMS 65535

/* From PostgreSQL's pg_type; these never change. */
enum
{
  OID_BOOL = 16,
  OID_BYTEA = 17,
  OID_INT8 = 20,
  OID_INT2 = 21,
  OID_INT4 = 23,
  OID_OID = 26,
  OID_JSON = 114,
  OID_FLOAT4 = 700,
  OID_FLOAT8 = 701,
  OID_DATE = 1082,
  OID_TIME = 1083,
  OID_TIMESTAMP = 1114,
  OID_TIMESTAMPTZ = 1184,
  OID_NUMERIC = 1700,
  OID_UUID = 2950,
  OID_JSONB = 3802,
};

static DbValueType
type_from_oid (Oid oid)
{
  switch (oid)
    {
    case OID_BOOL:
      return DB_VALUE_TYPE_BOOLEAN;
    case OID_INT8:
    case OID_INT2:
    case OID_INT4:
    case OID_OID:
      return DB_VALUE_TYPE_INT64;
    case OID_FLOAT4:
    case OID_FLOAT8:
      return DB_VALUE_TYPE_DOUBLE;
    case OID_NUMERIC:
      return DB_VALUE_TYPE_DECIMAL;
    case OID_BYTEA:
      return DB_VALUE_TYPE_BYTES;
    case OID_DATE:
      return DB_VALUE_TYPE_DATE;
    case OID_TIME:
      return DB_VALUE_TYPE_TIME;
    case OID_TIMESTAMP:
      return DB_VALUE_TYPE_TIMESTAMP;
    case OID_TIMESTAMPTZ:
      return DB_VALUE_TYPE_TIMESTAMP_TZ;
    case OID_UUID:
      return DB_VALUE_TYPE_UUID;
    case OID_JSON:
    case OID_JSONB:
      return DB_VALUE_TYPE_JSON;
    default:
      return DB_VALUE_TYPE_TEXT;
    }
}

static const char *
format_int64 (char *buffer, gint64 value)
{
  char *end = buffer + DB_POSTGRES_NUMBER_SIZE - 1;
  guint64 rest = value < 0 ? -(guint64) value : (guint64) value;

  *end = '\0';
  do
    *--end = '0' + rest % 10;
  while ((rest /= 10) > 0);
  if (value < 0)
    *--end = '-';
  return end;
}

static const char *
format_double (char *buffer, double value)
{
  if (isnan (value))
    return "NaN";
  if (isinf (value))
    return value > 0 ? "Infinity" : "-Infinity";
  return g_ascii_dtostr (buffer, DB_POSTGRES_NUMBER_SIZE, value);
}

static gboolean
set_value (DbPostgresParams *self, guint i, const DbValue *value, char *number, GError **error)
{
  self->lengths[i] = 0;
  self->formats[i] = 0;
  switch (value->type)
    {
    case DB_VALUE_TYPE_NULL:
      self->values[i] = NULL;
      return TRUE;
    case DB_VALUE_TYPE_BOOLEAN:
      self->values[i] = value->integer ? "t" : "f";
      return TRUE;
    case DB_VALUE_TYPE_INT64:
      self->values[i] = format_int64 (number, value->integer);
      return TRUE;
    case DB_VALUE_TYPE_DOUBLE:
      self->values[i] = format_double (number, value->real);
      return TRUE;
    case DB_VALUE_TYPE_BYTES:
      if (value->size > G_MAXINT)
        break;
      self->values[i] = value->text != NULL ? value->text : "";
      self->lengths[i] = value->size;
      self->formats[i] = 1;
      return TRUE;
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
      if (memchr (value->text, '\0', value->size) != NULL)
        {
          g_set_error (error, DB_ERROR, DB_ERROR_TYPE,
                       "parameter $%u holds a zero character, which PostgreSQL's text cannot: pass "
                       "it as bytes",
                       i + 1);
          return FALSE;
        }
      self->values[i] = value->text;
      return TRUE;
    }
  g_set_error (error, DB_ERROR, DB_ERROR_LIMIT, "parameter $%u is larger than 2 GiB", i + 1);
  return FALSE;
}

static void
allocate (DbPostgresParams *self, guint n, char (**numbers)[DB_POSTGRES_NUMBER_SIZE])
{
  char *memory;

  self->n = n;
  self->allocated = NULL;
  self->values = self->inline_values;
  self->lengths = self->inline_lengths;
  self->formats = self->inline_formats;
  *numbers = self->inline_numbers;
  if (n <= DB_POSTGRES_N_INLINE)
    return;

  memory = g_malloc (n * (sizeof (char *) + 2 * sizeof (int) + DB_POSTGRES_NUMBER_SIZE));
  self->allocated = memory;
  self->values = self->allocated;
  memory += n * sizeof (char *);
  self->lengths = (gpointer) memory;
  memory += n * sizeof (int);
  self->formats = (gpointer) memory;
  memory += n * sizeof (int);
  *numbers = (gpointer) memory;
}

gboolean
db_postgres_params_init (DbPostgresParams *self, DbParams *params, GError **error)
{
  char (*numbers)[DB_POSTGRES_NUMBER_SIZE];
  const DbValue *values = NULL;
  guint n = 0;

  self->allocated = NULL;
  if (params != NULL && db_params_get_n_rows (params) > 0)
    values = db_params_get_values (params, 0, &n);
  if (n > MAX_PARAMS)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_LIMIT,
                   "a statement of PostgreSQL has at most %d parameters, but %u were given",
                   MAX_PARAMS, n);
      return FALSE;
    }
  allocate (self, n, &numbers);
  for (guint i = 0; i < n; i++)
    if (!set_value (self, i, &values[i], numbers[i], error))
      return FALSE;
  return TRUE;
}

void
db_postgres_params_clear (DbPostgresParams *self)
{
  g_clear_pointer (&self->allocated, g_free);
}

/* What the server writes for its integer types: digits with a sign, always in range. */
static gint64
parse_int64 (const char *text)
{
  gboolean negative = *text == '-';
  guint64 value = 0;

  for (text += negative; *text != '\0'; text++)
    value = value * 10 + (*text - '0');
  return negative ? (gint64) -value : (gint64) value;
}

static void
add_bytea (DbResultBuilder *builder, const char *text, int length)
{
  g_autofree guint8 *bytes = NULL;
  gsize size;

  if (length < 2 || text[0] != '\\' || text[1] != 'x')
    {
      /* bytea_output is "escape" */
      unsigned char *unescaped = PQunescapeBytea ((const unsigned char *) text, &size);

      db_result_builder_add_bytes (builder, unescaped, unescaped != NULL ? size : 0);
      PQfreemem (unescaped);
      return;
    }
  size = (length - 2) / 2;
  bytes = g_malloc (size + 1);
  for (gsize i = 0; i < size; i++)
    bytes[i] = g_ascii_xdigit_value (text[2 + 2 * i]) << 4 | g_ascii_xdigit_value (text[3 + 2 * i]);
  db_result_builder_add_bytes (builder, bytes, size);
}

static void
add_cell (DbResultBuilder *builder, DbValueType type, const char *text, int length)
{
  switch (type)
    {
    case DB_VALUE_TYPE_BOOLEAN:
      db_result_builder_add_boolean (builder, text[0] == 't');
      break;
    case DB_VALUE_TYPE_INT64:
      db_result_builder_add_int64 (builder, parse_int64 (text));
      break;
    case DB_VALUE_TYPE_DOUBLE:
      db_result_builder_add_double (builder, g_ascii_strtod (text, NULL));
      break;
    case DB_VALUE_TYPE_BYTES:
      add_bytea (builder, text, length);
      break;
    case DB_VALUE_TYPE_NULL:
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
      db_result_builder_add_text (builder, type, text, length);
    }
}

/* A SELECT counts the rows that it returns, which are not changed by it; CREATE TABLE … AS has the
 * same tag, but no rows. */
static gint64
rows_affected (const PGresult *result)
{
  const char *tag = PQcmdStatus ((PGresult *) result);
  const char *text = PQcmdTuples ((PGresult *) result);

  if (text[0] == '\0' || (PQresultStatus (result) == PGRES_TUPLES_OK &&
                          (g_str_has_prefix (tag, "SELECT") || g_str_has_prefix (tag, "FETCH"))))
    return -1;
  return parse_int64 (text);
}

DbResult *
db_postgres_result_convert (const PGresult *result, gboolean no_rows)
{
  int n_columns = PQnfields (result);
  int n_rows = PQntuples (result);
  DbResultBuilder *builder;
  DbValueType inline_types[16];
  g_autofree DbValueType *allocated = NULL;
  DbValueType *types = inline_types;

  if (no_rows)
    return db_result_new_without_rows (rows_affected (result), -1);
  builder = db_result_builder_new (n_columns);
  if (n_columns > (int) G_N_ELEMENTS (inline_types))
    types = allocated = g_new (DbValueType, n_columns);
  for (int column = 0; column < n_columns; column++)
    {
      types[column] = type_from_oid (PQftype (result, column));
      db_result_builder_set_column (builder, column, PQfname (result, column), types[column]);
    }
  for (int row = 0; row < n_rows; row++)
    {
      for (int column = 0; column < n_columns; column++)
        {
          if (PQgetisnull (result, row, column))
            db_result_builder_add_null (builder);
          else
            add_cell (builder, types[column], PQgetvalue (result, row, column),
                      PQgetlength (result, row, column));
        }
    }
  return db_result_builder_finish (builder, rows_affected (result), -1);
}
