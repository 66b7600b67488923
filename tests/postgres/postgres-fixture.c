/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#include "postgres-fixture.h"

#include "db-error.h"

DbConnectionManager *
fixture_manager_new (const char *uri)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(DbDatabaseConfig) config = NULL;

  if (uri == NULL)
    uri = g_getenv ("DBPOOL_TEST_POSTGRES_URI");
  g_assert_nonnull (uri);
  config = db_database_config_new_from_uri (uri, &error);
  g_assert_no_error (error);
  return DB_CONNECTION_MANAGER (db_postgres_manager_new (config));
}

DbSession *
fixture_open (DbConnectionManager *manager)
{
  g_autoptr(GError) error = NULL;
  DbSession *session = db_connection_manager_open_session (manager, NULL, &error);

  g_assert_no_error (error);
  g_assert_true (DB_IS_SESSION (session));
  return session;
}

void
fixture_close (DbConnectionManager *manager, DbSession *session)
{
  db_connection_manager_close_session (manager, session);
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_BROKEN);
  g_assert_finalize_object (session);
}

DbResult *
fixture_try (DbSession *session, const char *sql, GVariant *params, GError **error)
{
  g_autoptr(DbParams) table = NULL;
  DbStatementPlan plan = {sql, NULL, DB_STATEMENT_NONE, 0};

  if (params != NULL)
    {
      table = db_params_new_from_variant (params, error);
      if (table == NULL)
        return NULL;
      plan.params = table;
    }
  return db_session_run (session, &plan, NULL, error);
}

DbResult *
fixture_query (DbSession *session, const char *sql, GVariant *params)
{
  g_autoptr(GError) error = NULL;
  DbResult *result = fixture_try (session, sql, params, &error);

  g_assert_no_error (error);
  g_assert_nonnull (result);
  return result;
}

void
fixture_execute (DbSession *session, const char *sql)
{
  g_object_unref (fixture_query (session, sql, NULL));
}

gint64
fixture_int64 (DbSession *session, const char *sql)
{
  g_autoptr(DbResult) result = fixture_query (session, sql, NULL);

  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  return db_result_get_int64 (result, 0, 0);
}

void
fixture_assert_text (DbSession *session, const char *sql, const char *expected)
{
  g_autoptr(DbResult) result = fixture_query (session, sql, NULL);

  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  g_assert_cmpstr (db_result_get_text (result, 0, 0), ==, expected);
}

void
fixture_assert_fails (DbSession *session, const char *sql, int code, const char *sqlstate)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(DbResult) result = fixture_try (session, sql, NULL, &error);

  g_assert_null (result);
  g_assert_error (error, DB_ERROR, code);
  g_assert_cmpstr (db_error_get_sqlstate (error), ==, sqlstate);
  g_assert_null (strchr (error->message, '\n'));
}
