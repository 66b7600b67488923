/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What SQLite's sessions say in the log, with the fields of the pool that has them. DBPOOL_DEBUG
 * asks for all but values. */

#include "config.h"

#include "log-capture.h"
#include "sqlite-test-utils.h"

#include "dbpool.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static DbPool *
make_pool (Fixture *fixture)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autofree char *uri =
    g_strdup_printf ("sqlite:%s?busy_timeout=20ms&pool_name=shop", fixture->file);
  GError *error = NULL;
  DbPool *pool = db_pool_factory_create_pool (factory, uri, NULL, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpint (db_pool_execute (pool, "CREATE TABLE t (x)", NULL, NULL, &error), >=, 0);
  g_assert_no_error (error);
  return pool;
}

static void
end_pool (DbPool *pool)
{
  db_pool_close (pool, 10 * G_TIME_SPAN_SECOND, NULL, NULL);
  g_object_unref (pool);
}

static DbConnection *
begin (DbPool *pool)
{
  GError *error = NULL;
  DbConnection *connection = db_pool_acquire (pool, NULL, &error);

  g_assert_no_error (error);
  db_connection_execute (connection, "BEGIN IMMEDIATE", NULL, NULL, &error);
  g_assert_no_error (error);
  return connection;
}

/* The only entry of @event: for debugging unless it is a @warning, of that @pool and the file. */
static LogEntry *
check (Fixture *fixture, const char *event, gboolean warning, const char *pool)
{
  g_autofree char *level =
    g_strdup_printf ("%d", warning ? G_LOG_LEVEL_WARNING : G_LOG_LEVEL_MESSAGE);
  LogEntry *entry = log_dup_only (event);

  g_assert_cmpstr (log_get (entry, "LEVEL"), ==, level);
  g_assert_cmpstr (log_get (entry, "PRIORITY"), ==, warning ? "4" : "7");
  g_assert_cmpstr (log_get (entry, "DBPOOL_POOL"), ==, pool);
  g_assert_nonnull (strstr (log_get (entry, "DBPOOL_DATABASE"), fixture->file));
  g_assert_cmpint (log_get (entry, "DBPOOL_CONNECTION") != NULL, ==, pool != NULL);
  return entry;
}

static void
test_opened (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GHashTable) entry = NULL;
  DbPool *pool;

  log_begin ();
  pool = make_pool (fixture);
  entry = check (fixture, "sqlite-opened", FALSE, NULL);
  g_assert_nonnull (strstr (log_get (entry, "MESSAGE"), "WAL"));
  end_pool (pool);
  log_end ();
}

static gpointer
insert_thread (gpointer pool)
{
  GError *error = NULL;

  db_pool_execute (pool, "INSERT INTO t VALUES ('SECRET')", NULL, NULL, &error);
  return error;
}

static void
test_token (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GHashTable) entry = NULL;
  g_autoptr (GError) error = NULL;
  DbPool *pool = make_pool (fixture);
  DbConnection *writer = begin (pool);
  GThread *thread;

  log_begin ();
  thread = g_thread_new ("second", insert_thread, pool);
  error = g_thread_join (thread);
  g_assert_error (error, DB_ERROR, DB_ERROR_BUSY);
  entry = check (fixture, "sqlite-token-wait", FALSE, "shop");
  g_assert_cmpint (atoi (log_get (entry, "DBPOOL_DURATION_US")), >=, 20000);
  g_object_unref (writer);
  end_pool (pool);
  log_end ();
}

/* Somebody who does not stand in dbpool's queue has the file. */
static void
test_busy (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GHashTable) entry = NULL;
  g_autoptr (GHashTable) statement = NULL;
  g_autoptr (GError) error = NULL;
  DbPool *pool = make_pool (fixture);
  sqlite3 *other;

  g_assert_cmpint (sqlite3_open (fixture->file, &other), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (other, "BEGIN IMMEDIATE", NULL, NULL, NULL), ==, SQLITE_OK);
  log_begin ();
  error = insert_thread (pool);
  g_assert_error (error, DB_ERROR, DB_ERROR_BUSY);
  entry = check (fixture, "sqlite-busy", FALSE, "shop");
  sqlite3_close (other);
  end_pool (pool);
  log_end ();
}

/* The code of SQLite, and nothing of the text, which names the value. */
static void
test_code (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GHashTable) entry = NULL;
  g_autofree char *text = NULL;
  DbPool *pool = make_pool (fixture);
  GError *error = NULL;

  db_pool_execute (pool, "CREATE UNIQUE INDEX i ON t (x)", NULL, NULL, &error);
  g_clear_error (&error);
  g_assert_null (insert_thread (pool));
  log_begin ();
  error = insert_thread (pool);
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_clear_error (&error);
  entry = log_dup_only ("statement");
  g_assert_cmpstr (log_get (entry, "DBPOOL_SQLITE_CODE"), ==, "2067");
  g_assert_null (log_get (entry, "DBPOOL_SQLSTATE"));
  g_assert_cmpint (db_pool_execute (pool, "SELECT 1 FROM SECRET", NULL, NULL, NULL), ==, -1);
  end_pool (pool);
  text = log_dup_text (G_LOG_LEVEL_MASK);
  log_end ();
  g_assert_null (strstr (text, "('SECRET')"));
  g_assert_nonnull (strstr (text, "INSERT INTO t VALUES (?)"));
}

static void
test_handle (Fixture *fixture, gconstpointer data)
{
  DbPool *pool = make_pool (fixture);
  DbConnection *connection = db_pool_acquire (pool, NULL, NULL);
  sqlite3_stmt *stmt;

  log_begin ();
  g_assert_cmpint (sqlite3_prepare_v2 (db_sqlite_connection_get_handle (connection), "SELECT 1", -1,
                                       &stmt, NULL),
                   ==, SQLITE_OK);
  g_object_unref (connection);
  end_pool (pool);
  g_hash_table_unref (check (fixture, "handle-in-use", TRUE, "shop"));
  sqlite3_finalize (stmt);
  log_end ();
}

/* What is here is what the page says. */
static void
test_documented (Fixture *fixture, gconstpointer data)
{
  static const char *const events[] = {"sqlite-opened", "sqlite-token-wait", "sqlite-busy",
                                       "handle-in-use"};

  log_assert_documented ("sqlite", events, G_N_ELEMENTS (events));
}

int
main (int argc, char *argv[])
{
  g_setenv ("DBPOOL_DEBUG", "all", TRUE);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func)                                                                            \
  g_test_add ("/sqlite/log/" name, Fixture, NULL, fixture_set_up, func, fixture_tear_down)
  ADD ("opened", test_opened);
  ADD ("token", test_token);
  ADD ("busy", test_busy);
  ADD ("code", test_code);
  ADD ("handle", test_handle);
  ADD ("documented", test_documented);
#undef ADD
  return g_test_run ();
}
