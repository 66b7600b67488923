/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a statement takes and returns. The server is asked twice: it describes the statement, which
 * is prepared under no name, and then it names the types. Nothing is run, and nothing stays but a
 * statement without a name, which the next one takes the place of. No lock: it works on the session
 * of whoever runs it. */

#include "config.h"

#include "db-postgres-run-private.h"

#include "db-error-private.h"
#include "db-postgres-sql-private.h"
#include "db-postgres-values-private.h"

/* Of an expression whose type the server leaves open. */
#define OID_UNKNOWN 705

#define NAMES_SQL                                                                                  \
  "SELECT pg_catalog.format_type (t.oid, t.modifier) "                                             \
  "FROM ROWS FROM (pg_catalog.unnest ($1::pg_catalog.oid[]), "                                     \
  "pg_catalog.unnest ($2::pg_catalog.int4[])) WITH ORDINALITY AS t (oid, modifier, place) "        \
  "ORDER BY t.place"

static gboolean
is_describable (DbPostgresRun *self)
{
  if (db_postgres_sql_is_empty (self->plan->sql))
    self->error = g_error_new_literal (DB_ERROR, DB_ERROR_QUERY,
                                       "there is no statement to describe: the text is empty");
  else if (db_postgres_sql_begins_with (self->plan->sql, "COPY"))
    self->error = g_error_new_literal (DB_ERROR, DB_ERROR_NOT_SUPPORTED,
                                       "COPY cannot be described: it takes no parameters and "
                                       "returns no rows");
  return self->error == NULL;
}

static gboolean
queue_describe (DbPostgresRun *self)
{
  if (!db_postgres_run_enter_pipeline (self) ||
      !db_postgres_run_queue_prepare (self, NULL, self->plan->sql))
    return FALSE;
  db_postgres_run_add (self, DB_POSTGRES_ITEM_DESCRIBE);
  return PQsendDescribePrepared (self->session->conn, "") && db_postgres_run_queue_sync (self);
}

/* Parameters first, then columns; those have no modifiers. */
static gboolean
queue_names (DbPostgresRun *self)
{
  g_autoptr (GString) oids = g_string_new ("{");
  g_autoptr (GString) modifiers = g_string_new ("{");
  int n_params = PQnparams (self->result);
  const char *values[2];

  for (int i = 0; i < n_params + PQnfields (self->result); i++)
    {
      int column = i - n_params;

      g_string_append_printf (oids, "%s%u", i > 0 ? "," : "",
                              column < 0 ? PQparamtype (self->result, i)
                                         : PQftype (self->result, column));
      g_string_append_printf (modifiers, "%s%d", i > 0 ? "," : "",
                              column < 0 ? -1 : PQfmod (self->result, column));
    }
  g_string_append_c (oids, '}');
  g_string_append_c (modifiers, '}');
  values[0] = oids->str;
  values[1] = modifiers->str;
  db_postgres_run_add (self, DB_POSTGRES_ITEM_STATEMENT);
  return PQsendQueryParams (self->session->conn, NAMES_SQL, 2, NULL, values, NULL, NULL, 0);
}

static gboolean
send_describe (DbPostgresRun *self)
{
  if (self->result != NULL)
    return queue_names (self);
  return is_describable (self) && queue_describe (self);
}

static void
take_describe (DbPostgresRun *self, PGresult *result)
{
  switch (db_postgres_run_get_first (self)->kind)
    {
    case DB_POSTGRES_ITEM_DESCRIBE:
      self->result = result;
      break;
    case DB_POSTGRES_ITEM_STATEMENT:
      self->names = result;
      break;
    case DB_POSTGRES_ITEM_PREPARE:
    case DB_POSTGRES_ITEM_SETTING:
    case DB_POSTGRES_ITEM_DEALLOCATE:
    case DB_POSTGRES_ITEM_STOP:
    case DB_POSTGRES_ITEM_SYNC:
    default:
      PQclear (result);
    }
}

static void
fail_describe (DbPostgresRun *self, const PGresult *result)
{
  if (self->error == NULL)
    self->error = db_postgres_run_make_error (self, result);
}

static gboolean
again_describe (DbPostgresRun *self)
{
  return self->error == NULL && self->result != NULL && self->names == NULL &&
         PQnparams (self->result) + PQnfields (self->result) > 0;
}

static const char *
get_name (DbPostgresRun *self, int i)
{
  if (i >= PQntuples (self->names) || PQgetisnull (self->names, i, 0))
    return NULL;
  return PQgetvalue (self->names, i, 0);
}

static DbValueType
get_type (Oid oid)
{
  DbValueType element;

  if (oid == InvalidOid || oid == OID_UNKNOWN)
    return DB_VALUE_TYPE_NULL;
  return db_postgres_type_from_oid (oid, &element);
}

static DbResult *
finish_describe (DbPostgresRun *self)
{
  DbDescription *description = self->plan->description;
  int n_params = PQnparams (self->result);

  db_description_clear (description);
  for (int i = 0; i < n_params; i++)
    db_description_add_param (description, get_type (PQparamtype (self->result, i)),
                              get_name (self, i));
  for (int i = 0; i < PQnfields (self->result); i++)
    db_description_add_column (description, PQfname (self->result, i),
                               get_type (PQftype (self->result, i)), get_name (self, n_params + i));
  return db_result_new_without_rows (-1, -1);
}

const DbPostgresRunKind db_postgres_describe_kind = {
  send_describe, take_describe, fail_describe, NULL, again_describe, finish_describe,
};
