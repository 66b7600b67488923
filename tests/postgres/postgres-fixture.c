/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#include "postgres-fixture.h"

#include "db-error.h"

/* A thread's session for what it asks the server about others. */
static GPrivate observers = G_PRIVATE_INIT (NULL);

DbConnectionManager *
fixture_manager_new (const char *uri)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbDatabaseConfig) config = NULL;

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
  g_autoptr (GError) error = NULL;
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
  g_autoptr (DbParams) table = NULL;
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
  g_autoptr (GError) error = NULL;
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
  g_autoptr (DbResult) result = fixture_query (session, sql, NULL);

  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  return db_result_get_int64 (result, 0, 0);
}

void
fixture_assert_text (DbSession *session, const char *sql, const char *expected)
{
  g_autoptr (DbResult) result = fixture_query (session, sql, NULL);

  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  g_assert_cmpstr (db_result_get_text (result, 0, 0), ==, expected);
}

void
fixture_assert_fails (DbSession *session, const char *sql, int code, const char *sqlstate)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = fixture_try (session, sql, NULL, &error);

  g_assert_null (result);
  g_assert_error (error, DB_ERROR, code);
  g_assert_cmpstr (db_error_get_sqlstate (error), ==, sqlstate);
  g_assert_null (strchr (error->message, '\n'));
}

DbConnectionManager *
fixture_named_manager_new (const char *name)
{
  g_autofree char *uri =
    g_strconcat (g_getenv ("DBPOOL_TEST_POSTGRES_URI"), "&application_name=", name, NULL);

  return fixture_manager_new (uri);
}

static DbSession *
get_observer (void)
{
  DbSession *session = g_private_get (&observers);

  if (session == NULL)
    {
      g_autoptr (DbConnectionManager) manager = fixture_named_manager_new ("observer");

      session = fixture_open (manager);
      g_object_set_data_full (G_OBJECT (session), "manager", g_steal_pointer (&manager),
                              g_object_unref);
      g_private_set (&observers, session);
    }
  return session;
}

void
fixture_stop_counting (void)
{
  DbSession *session = g_private_get (&observers);

  if (session == NULL)
    return;
  db_connection_manager_close_session (g_object_get_data (G_OBJECT (session), "manager"), session);
  g_object_unref (session);
  g_private_set (&observers, NULL);
}

guint
fixture_count_backends (const char *name)
{
  g_autoptr (DbResult) result =
    fixture_query (get_observer (),
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1",
                   g_variant_new ("(s)", name));

  return db_result_get_int64 (result, 0, 0);
}

void
fixture_terminate (gint64 pid)
{
  g_object_unref (fixture_query (get_observer (), "SELECT pg_terminate_backend ($1::int)",
                                 g_variant_new ("(x)", pid)));
}

void
fixture_admin (const char *sql)
{
  fixture_execute (get_observer (), sql);
}

DbPool *
fixture_pool_new (DbConnectionManager *manager, guint min, guint max)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (GError) error = NULL;
  DbPool *pool;

  g_object_set (config, "max-connections", max, "min-connections", min, NULL);
  pool = db_pool_new (manager, config, &error);
  g_assert_no_error (error);
  return pool;
}

void
fixture_pool_close (DbPool *pool)
{
  g_autoptr (GError) error = NULL;

  db_pool_close (pool, 30 * G_TIME_SPAN_SECOND, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (fixture_gauge (pool, db_pool_stats_get_total), ==, 0);
  g_object_unref (pool);
}

DbConnection *
fixture_acquire (DbPool *pool)
{
  g_autoptr (GError) error = NULL;
  DbConnection *connection = db_pool_acquire (pool, NULL, &error);

  g_assert_no_error (error);
  return connection;
}

static DbResult *
ask (DbConnection *connection, const char *sql)
{
  g_autoptr (GError) error = NULL;
  DbResult *result = db_connection_query (connection, sql, NULL, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  return result;
}

void
fixture_run (DbConnection *connection, const char *sql)
{
  g_autoptr (GError) error = NULL;

  db_connection_execute_script (connection, sql, NULL, &error);
  g_assert_no_error (error);
}

gint64
fixture_ask (DbConnection *connection, const char *sql)
{
  g_autoptr (DbResult) result = ask (connection, sql);

  return db_result_get_int64 (result, 0, 0);
}

char *
fixture_ask_text (DbConnection *connection, const char *sql)
{
  g_autoptr (DbResult) result = ask (connection, sql);

  return g_strdup (db_result_get_text (result, 0, 0));
}

gint64
fixture_pid (DbConnection *connection)
{
  return fixture_ask (connection, "SELECT pg_backend_pid()");
}

guint
fixture_gauge (DbPool *pool, guint (*getter) (const DbPoolStats *))
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  return getter (stats);
}

guint64
fixture_counter (DbPool *pool, guint64 (*getter) (const DbPoolStats *))
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  return getter (stats);
}

guint64
fixture_dropped (DbPool *pool, DbDropReason reason)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  return db_pool_stats_get_dropped (stats, reason);
}
