/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Values between DbParams, libpq and DbResult. Everything travels as text, whose meaning the server
 * infers, but for bytes on the way out, which travel as they are. No state, no lock. */

#include "config.h"

#include "db-postgres-values-private.h"

#include "db-error-private.h"
#include "db-params-private.h"
#include "db-result-private.h"

#include <string.h>

/* The protocol counts parameters in 16 bits. */
#define MAX_PARAMS 65535

/* The server closes the connection at a message of 1 GiB. */
#define MAX_PARAMS_SIZE (1024u * 1024 * 1024 - 1024 * 1024)

typedef struct
{
  Oid oid;
  Oid array; /* its array type; 0: none, or one that is written in another way */
  DbValueType type;
} KnownType;

/* From PostgreSQL's pg_type, by frequency; these numbers never change. What is not here, such as an
 * enumeration, is text, and so is an array of it. */
static const KnownType known_types[] = {
  {20, 1016, DB_VALUE_TYPE_INT64},          /* int8 */
  {23, 1007, DB_VALUE_TYPE_INT64},          /* int4 */
  {25, 1009, DB_VALUE_TYPE_TEXT},           /* text */
  {1043, 1015, DB_VALUE_TYPE_TEXT},         /* varchar */
  {16, 1000, DB_VALUE_TYPE_BOOLEAN},        /* bool */
  {701, 1022, DB_VALUE_TYPE_DOUBLE},        /* float8 */
  {1700, 1231, DB_VALUE_TYPE_DECIMAL},      /* numeric */
  {1184, 1185, DB_VALUE_TYPE_TIMESTAMP_TZ}, /* timestamptz */
  {1114, 1115, DB_VALUE_TYPE_TIMESTAMP},    /* timestamp */
  {1082, 1182, DB_VALUE_TYPE_DATE},         /* date */
  {2950, 2951, DB_VALUE_TYPE_UUID},         /* uuid */
  {3802, 3807, DB_VALUE_TYPE_JSON},         /* jsonb */
  {114, 199, DB_VALUE_TYPE_JSON},           /* json */
  {17, 1001, DB_VALUE_TYPE_BYTES},          /* bytea */
  {21, 1005, DB_VALUE_TYPE_INT64},          /* int2 */
  {26, 1028, DB_VALUE_TYPE_INT64},          /* oid */
  {700, 1021, DB_VALUE_TYPE_DOUBLE},        /* float4 */
  {1083, 1183, DB_VALUE_TYPE_TIME},         /* time */
  {1266, 1270, DB_VALUE_TYPE_TIME},         /* timetz */
  {1042, 1014, DB_VALUE_TYPE_TEXT},         /* bpchar */
  {19, 1003, DB_VALUE_TYPE_TEXT},           /* name */
  {18, 1002, DB_VALUE_TYPE_TEXT},           /* "char" */
  {1186, 1187, DB_VALUE_TYPE_TEXT},         /* interval */
  {790, 791, DB_VALUE_TYPE_TEXT},           /* money */
  {869, 1041, DB_VALUE_TYPE_TEXT},          /* inet */
  {650, 651, DB_VALUE_TYPE_TEXT},           /* cidr */
  {829, 1040, DB_VALUE_TYPE_TEXT},          /* macaddr */
  {774, 775, DB_VALUE_TYPE_TEXT},           /* macaddr8 */
  {142, 143, DB_VALUE_TYPE_TEXT},           /* xml */
  {1560, 1561, DB_VALUE_TYPE_TEXT},         /* bit */
  {1562, 1563, DB_VALUE_TYPE_TEXT},         /* varbit */
  {600, 1017, DB_VALUE_TYPE_TEXT},          /* point */
  {601, 1018, DB_VALUE_TYPE_TEXT},          /* lseg */
  {602, 1019, DB_VALUE_TYPE_TEXT},          /* path */
  {604, 1027, DB_VALUE_TYPE_TEXT},          /* polygon */
  {628, 629, DB_VALUE_TYPE_TEXT},           /* line */
  {718, 719, DB_VALUE_TYPE_TEXT},           /* circle */
  {603, 0, DB_VALUE_TYPE_TEXT},             /* box: its arrays have ";" for "," */
  {3614, 3643, DB_VALUE_TYPE_TEXT},         /* tsvector */
  {3615, 3645, DB_VALUE_TYPE_TEXT},         /* tsquery */
  {4072, 4073, DB_VALUE_TYPE_TEXT},         /* jsonpath */
  {3904, 3905, DB_VALUE_TYPE_TEXT},         /* int4range */
  {3926, 3927, DB_VALUE_TYPE_TEXT},         /* int8range */
  {3906, 3907, DB_VALUE_TYPE_TEXT},         /* numrange */
  {3908, 3909, DB_VALUE_TYPE_TEXT},         /* tsrange */
  {3910, 3911, DB_VALUE_TYPE_TEXT},         /* tstzrange */
  {3912, 3913, DB_VALUE_TYPE_TEXT},         /* daterange */
};

DbValueType
db_postgres_type_from_oid (Oid oid, DbValueType *element)
{
  *element = DB_VALUE_TYPE_NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (known_types); i++)
    {
      if (known_types[i].oid == oid)
        return known_types[i].type;
      if (known_types[i].array == oid && oid != 0)
        {
          *element = known_types[i].type;
          return DB_VALUE_TYPE_ARRAY;
        }
    }
  return DB_VALUE_TYPE_TEXT;
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
      db_value_format_double (value->real, number);
      self->values[i] = number;
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
    case DB_VALUE_TYPE_ARRAY:
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

gsize
db_postgres_params_measure (DbParams *params, guint row)
{
  const DbValue *values = NULL;
  gsize size = 0;
  guint n = 0;

  if (params != NULL && db_params_get_n_rows (params) > row)
    values = db_params_get_values (params, row, &n);
  for (guint i = 0; i < n; i++)
    size += db_value_type_is_text (values[i].type) || values[i].type == DB_VALUE_TYPE_BYTES
              ? values[i].size
              : sizeof (gint64);
  return size;
}

gboolean
db_postgres_params_init (DbPostgresParams *self, DbParams *params, guint row, GError **error)
{
  char (*numbers)[DB_POSTGRES_NUMBER_SIZE];
  const DbValue *values = NULL;
  guint n = 0;

  self->allocated = NULL;
  if (params != NULL && db_params_get_n_rows (params) > row)
    values = db_params_get_values (params, row, &n);
  if (n > MAX_PARAMS)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_LIMIT,
                   "a statement of PostgreSQL has at most %d parameters, but %u were given",
                   MAX_PARAMS, n);
      return FALSE;
    }
  if (db_postgres_params_measure (params, row) > MAX_PARAMS_SIZE)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_LIMIT,
                   "the values of a statement of PostgreSQL are smaller than 1 GiB together, but "
                   "these have %" G_GSIZE_FORMAT " MiB",
                   db_postgres_params_measure (params, row) >> 20);
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

static inline guint8
hex_value (char digit)
{
  return (digit & 0xf) + 9 * ((guint8) digit >> 6);
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
    bytes[i] = hex_value (text[2 + 2 * i]) << 4 | hex_value (text[3 + 2 * i]);
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
    case DB_VALUE_TYPE_ARRAY:
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
  const char *text;

  if (PQresultStatus (result) == PGRES_TUPLES_OK &&
      (g_str_has_prefix (tag, "SELECT") || g_str_has_prefix (tag, "FETCH")))
    return -1;
  text = PQcmdTuples ((PGresult *) result);
  return text[0] != '\0' ? parse_int64 (text) : -1;
}

static DbPostgresColumns *
columns_new (const PGresult *result)
{
  int n = PQnfields (result);
  DbPostgresColumns *self = g_malloc (sizeof *self + (gsize) n * sizeof (DbPostgresColumn));

  self->n = n;
  self->shape = db_result_shape_new ((guint) n);
  for (int i = 0; i < n; i++)
    {
      DbPostgresColumn *column = &self->columns[i];
      DbValueType element;

      column->oid = PQftype (result, i);
      column->type = db_postgres_type_from_oid (column->oid, &element);
      column->name = g_strdup (PQfname (result, i));
      db_result_shape_set_column (self->shape, (guint) i, column->name, column->type, element);
    }
  return self;
}

void
db_postgres_columns_free (DbPostgresColumns *self)
{
  for (int i = 0; i < self->n; i++)
    g_free (self->columns[i].name);
  db_result_shape_retire (self->shape);
  g_free (self);
}

static gboolean
columns_fit (const DbPostgresColumns *self, const PGresult *result)
{
  if (self->n != PQnfields (result))
    return FALSE;
  for (int i = 0; i < self->n; i++)
    if (self->columns[i].oid != PQftype (result, i) ||
        strcmp (self->columns[i].name, PQfname (result, i)) != 0)
      return FALSE;
  return TRUE;
}

DbResultBuilder *
db_postgres_result_begin (const PGresult *result, DbPostgresColumns **columns)
{
  if (*columns != NULL && !columns_fit (*columns, result))
    g_clear_pointer (columns, db_postgres_columns_free);
  if (*columns == NULL)
    *columns = columns_new (result);
  return db_result_builder_new_shared ((*columns)->shape);
}

void
db_postgres_result_append (DbResultBuilder *builder,
                           const PGresult *result,
                           const DbPostgresColumns *columns)
{
  int n_rows = PQntuples (result);

  for (int row = 0; row < n_rows; row++)
    for (int i = 0; i < columns->n; i++)
      {
        int length = PQgetlength (result, row, i);

        if (length == 0 && PQgetisnull (result, row, i))
          db_result_builder_add_null (builder);
        else
          add_cell (builder, columns->columns[i].type, PQgetvalue (result, row, i), length);
      }
}

DbResult *
db_postgres_result_convert (const PGresult *result, gboolean no_rows, DbPostgresColumns **columns)
{
  DbPostgresColumns *own = NULL;
  DbResultBuilder *builder;

  if (no_rows)
    return db_result_new_without_rows (rows_affected (result), -1);
  if (columns == NULL)
    columns = &own;
  builder = db_postgres_result_begin (result, columns);
  db_postgres_result_append (builder, result, *columns);
  g_clear_pointer (&own, db_postgres_columns_free);
  return db_result_builder_finish (builder, rows_affected (result), -1);
}
