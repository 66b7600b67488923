/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Parameters on their way to libpq, and results on their way from it. */

#pragma once

#include "db-params.h"
#include "db-postgres-statements-private.h"
#include "db-result-private.h"

#include <libpq-fe.h>

#define DB_POSTGRES_N_INLINE 8
#define DB_POSTGRES_NUMBER_SIZE 40

/* Lives on the stack; the texts of DbParams are borrowed, numbers are written into it. */
typedef struct
{
  int n;
  const char **values;
  int *lengths;
  int *formats;

  gpointer allocated;
  const char *inline_values[DB_POSTGRES_N_INLINE];
  int inline_lengths[DB_POSTGRES_N_INLINE];
  int inline_formats[DB_POSTGRES_N_INLINE];
  char inline_numbers[DB_POSTGRES_N_INLINE][DB_POSTGRES_NUMBER_SIZE];
} DbPostgresParams;

/* @params may be NULL. Clear @self also after a failure. */
gboolean
db_postgres_params_init (DbPostgresParams *self, DbParams *params, guint row, GError **error);
void db_postgres_params_clear (DbPostgresParams *self);

/* How many bytes the values have, about. @params may be NULL. */
gsize db_postgres_params_measure (DbParams *params, guint row);

/* What is known of the columns of a result. Whoever runs a statement again keeps it: names and
 * types are then compared, and not looked up and copied for each run. */
typedef struct
{
  Oid oid;
  DbValueType type;
  char *name; /* as the server says it */
} DbPostgresColumn;

struct _DbPostgresColumns
{
  DbResultShape *shape;
  int n;
  DbPostgresColumn columns[];
};

void db_postgres_columns_free (DbPostgresColumns *self);

/* @result: rows, or a command that succeeded. @columns: NULL, or what the last result of the
 * statement has left there, or NULL in it; it is brought up to date. */
DbResult *
db_postgres_result_convert (const PGresult *result, gboolean no_rows, DbPostgresColumns **columns);

/* The same bit by bit: a builder with the columns of @result, and the rows of one more. */
DbResultBuilder *db_postgres_result_begin (const PGresult *result, DbPostgresColumns **columns);
void db_postgres_result_append (DbResultBuilder *builder,
                                const PGresult *result,
                                const DbPostgresColumns *columns);

/* What values of a PostgreSQL type are here; @element: of an array, what its elements are. */
DbValueType db_postgres_type_from_oid (Oid oid, DbValueType *element);
