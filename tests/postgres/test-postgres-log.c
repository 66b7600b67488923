/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What PostgreSQL's sessions say in the log, with the fields of the pool that has them, and that no
 * secret is in it. DBPOOL_DEBUG asks for all but values. */

#include "config.h"

#include "log-capture.h"
#include "postgres-fixture.h"

#include "db-postgres-manager.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static DbPool *
make_pool (const char *uri, const char *property, ...)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (uri);
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  GError *error = NULL;
  va_list args;
  DbPool *pool;

  g_object_set (config, "name", "shop", "max-connections", 1, NULL);
  va_start (args, property);
  g_object_set_valist (G_OBJECT (config), property, args);
  va_end (args);
  pool = db_pool_new (manager, config, &error);
  g_assert_no_error (error);
  return pool;
}

/* For debugging, unless the priority says more. */
static LogEntry *
check (const char *event, const char *priority, gboolean has_pool)
{
  LogEntry *entry = log_dup_only (event);

  g_assert_cmpint (atoi (log_get (entry, "LEVEL")), ==, G_LOG_LEVEL_MESSAGE);
  g_assert_cmpstr (log_get (entry, "PRIORITY"), ==, priority);
  g_assert_cmpstr (log_get (entry, "DBPOOL_POOL"), ==, has_pool ? "shop" : NULL);
  g_assert_cmpstr (log_get (entry, "DBPOOL_CONNECTION"), ==, has_pool ? "1" : NULL);
  g_assert_nonnull (log_get (entry, "DBPOOL_DATABASE"));
  return entry;
}

static void
test_session (void)
{
  g_autoptr (GHashTable) connected = NULL;
  g_autoptr (GHashTable) notice = NULL;
  DbPool *pool;
  GError *error = NULL;

  log_begin ();
  pool = make_pool (NULL, NULL);
  db_pool_execute (pool, "DO $$BEGIN RAISE NOTICE 'low on stock'; END$$", NULL, NULL, &error);
  g_assert_no_error (error);
  connected = check ("postgres-connected", "7", FALSE);
  g_assert_nonnull (strstr (log_get (connected, "MESSAGE"), "without TLS"));
  notice = check ("postgres-notice", "7", TRUE);
  g_assert_nonnull (strstr (log_get (notice, "MESSAGE"), "NOTICE: low on stock"));
  fixture_pool_close (pool);
  log_end ();
}

/* By the deadline of a statement. */
static void
test_cancel (void)
{
  g_autoptr (GHashTable) entry = NULL;
  g_autoptr (GError) error = NULL;
  DbPool *pool;

  log_begin ();
  pool = make_pool (NULL, "statement-timeout", 20 * G_TIME_SPAN_MILLISECOND, NULL);
  g_assert_null (db_pool_query (pool, "SELECT pg_sleep(3600)", NULL, NULL, &error));
  g_assert_nonnull (error);
  log_await ("postgres-cancel", 1);
  entry = check ("postgres-cancel", "7", TRUE);
  fixture_pool_close (pool);
  log_end ();
}

/* The application takes away what dbpool has prepared, where dbpool cannot see it; what is pushed
 * out of the cache later is no longer there. */
static void
test_deallocate (void)
{
  DbPool *pool;
  DbConnection *connection;

  log_begin ();
  pool = make_pool (NULL, "statement-cache-size", 1, NULL);
  connection = fixture_acquire (pool);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpint (fixture_ask (connection, "SELECT 1"), ==, 1);
  fixture_run (connection, "DO $$BEGIN EXECUTE 'DEALLOCATE ALL'; END$$");
  g_assert_cmpuint (log_count ("postgres-deallocate-failed"), ==, 0);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpint (fixture_ask (connection, "SELECT 2"), ==, 2);
  g_object_unref (connection);
  fixture_pool_close (pool);
  g_hash_table_unref (check ("postgres-deallocate-failed", "7", TRUE));
  log_end ();
}

/* An error's text may hold a value; its SQLSTATE does not. The server's own log lines, which may,
 * are left out. */
static void
test_statement (void)
{
  g_autoptr (GPtrArray) slow = NULL;
  g_autofree char *text = NULL;
  DbPool *pool;
  DbConnection *connection;
  DbCursor *cursor;
  DbResult *rows;
  GError *error = NULL;

  log_begin ();
  pool = make_pool (NULL, "slow-query-threshold", (gint64) 1, "init-sql",
                    "SET client_min_messages = log; SET log_statement = 'all'; "
                    "SET app.key = 'SECRET'",
                    NULL);
  g_assert_null (db_pool_query (pool, "SELECT 'SECRET'::int", NULL, NULL, &error));
  g_assert_nonnull (strstr (error->message, "SECRET"));
  g_clear_error (&error);
  g_assert_null (
    db_pool_query (pool, "SELECT $1::int", g_variant_new ("(s)", "SECRET"), NULL, &error));
  g_clear_error (&error);
  connection = fixture_acquire (pool);
  log_begin ();
  cursor = db_connection_open_cursor (connection, "SELECT * FROM generate_series (1, 10)", NULL, 3,
                                      NULL, &error);
  g_assert_no_error (error);
  rows = db_cursor_fetch (cursor, NULL, &error);
  g_assert_no_error (error);
  g_object_unref (rows);
  slow = log_dup ("slow-query");
  g_assert_cmpuint (slow->len, ==, 2);
  g_assert_nonnull (strstr (log_get (g_ptr_array_index (slow, 1), "MESSAGE"),
                            "3 rows: more rows of “SELECT * FROM generate_series (?, ?)”"));
  g_object_unref (cursor);
  g_object_unref (connection);
  fixture_pool_close (pool);
  text = log_dup_text (G_LOG_LEVEL_MASK);
  log_end ();
  g_assert_null (strstr (text, "SECRET"));
}

/* CON-15: everything on; construct, fail to open, time out, close. */
static void
test_secrets (void)
{
  static const char *const uris[] = {
    "postgresql://alice:SECRET@127.0.0.1:1/db",
    "postgresql://alice@127.0.0.1:1/db?sslpassword=SECRET&sslmode=prefer",
    "postgresql://127.0.0.1:1/db?user=alice&password=SECRET",
  };

  for (guint i = 0; i < G_N_ELEMENTS (uris); i++)
    {
      g_autofree char *text = NULL;
      DbPool *pool;

      log_begin ();
      pool = make_pool (uris[i], "connection-timeout", 50 * G_TIME_SPAN_MILLISECOND, "init-sql",
                        "ALTER ROLE alice PASSWORD 'SECRET'", NULL);
      g_assert_null (db_pool_query (pool, "SELECT 'SECRET'", NULL, NULL, NULL));
      fixture_pool_close (pool);
      text = log_dup_text (G_LOG_LEVEL_MASK);
      g_assert_cmpuint (log_count ("outage-began"), ==, 1);
      log_end ();
      g_test_message ("%s", text);
      g_assert_nonnull (strstr (text, "127.0.0.1"));
      g_assert_null (strstr (text, "SECRET"));
    }
}

/* Once for each manager. The name leads nowhere. */
static void
test_unverified (void)
{
  DbPool *pool;

  log_begin ();
  pool = make_pool ("postgresql://alice:SECRET@nowhere.invalid/db?sslmode=require",
                    "connection-timeout", 300 * G_TIME_SPAN_MILLISECOND, NULL);
  g_assert_null (db_pool_acquire (pool, NULL, NULL));
  fixture_pool_close (pool);
  g_hash_table_unref (check ("server-unverified", "4", FALSE));
  log_end ();
}

static void
test_documented (void)
{
  static const char *const events[] = {"postgres-connected", "postgres-notice", "postgres-cancel",
                                       "postgres-deallocate-failed", "server-unverified"};

  log_assert_documented ("postgres", events, G_N_ELEMENTS (events));
}

int
main (int argc, char *argv[])
{
  g_setenv ("DBPOOL_DEBUG", "all", TRUE);
  g_test_init (&argc, &argv, NULL);
  alarm (100);
  g_test_add_func ("/postgres/log/session", test_session);
  g_test_add_func ("/postgres/log/cancel", test_cancel);
  g_test_add_func ("/postgres/log/deallocate", test_deallocate);
  g_test_add_func ("/postgres/log/statement", test_statement);
  g_test_add_func ("/postgres/log/secrets", test_secrets);
  g_test_add_func ("/postgres/log/unverified", test_unverified);
  g_test_add_func ("/postgres/log/documented", test_documented);
  return g_test_run ();
}
