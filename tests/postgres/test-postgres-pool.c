/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A pool over a real PostgreSQL: what only shows with both of them together. */

#include "config.h"

#include "dbpool.h"

#include <unistd.h>

#define SECOND G_TIME_SPAN_SECOND

static DbPool *
make_pool (guint max)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  GError *error = NULL;
  DbPool *pool;

  g_object_set (config, "max-connections", max, NULL);
  pool = db_pool_factory_create_pool (factory, g_getenv ("DBPOOL_TEST_POSTGRES_URI"), config, NULL,
                                      &error);
  g_assert_no_error (error);
  return pool;
}

static void
close_pool (DbPool *pool)
{
  GError *error = NULL;

  db_pool_close (pool, 10 * SECOND, NULL, &error);
  g_assert_no_error (error);
  g_object_unref (pool);
}

static DbConnection *
acquire (DbPool *pool)
{
  GError *error = NULL;
  DbConnection *connection = db_pool_acquire (pool, NULL, &error);

  g_assert_no_error (error);
  return connection;
}

static gint64
ask (DbConnection *connection, const char *sql)
{
  GError *error = NULL;
  g_autoptr (DbResult) result = db_connection_query (connection, sql, NULL, NULL, &error);

  g_assert_no_error (error);
  return db_result_get_int64 (result, 0, 0);
}

static void
terminate (DbPool *admin, gint64 pid)
{
  GError *error = NULL;
  g_autoptr (DbResult) result = db_pool_query (admin, "SELECT pg_terminate_backend ($1::int)",
                                               g_variant_new ("(x)", pid), NULL, &error);

  g_assert_no_error (error);
}

static guint64
n_broken (DbPool *pool)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  return db_pool_stats_get_dropped (stats, DB_DROP_BROKEN);
}

/* Idle sessions whose server process ends are dropped without anybody asking for them. */
static void
test_idle_killed (void)
{
  DbPool *admin = make_pool (1);
  DbPool *pool = make_pool (3);
  DbConnection *connections[3];
  gint64 pids[3];

  for (guint i = 0; i < 3; i++)
    connections[i] = acquire (pool);
  for (guint i = 0; i < 3; i++)
    pids[i] = ask (connections[i], "SELECT pg_backend_pid ()");
  for (guint i = 0; i < 3; i++)
    g_object_unref (connections[i]);
  for (guint i = 0; i < 3; i++)
    terminate (admin, pids[i]);
  while (n_broken (pool) < 3)
    g_thread_yield ();

  connections[0] = acquire (pool);
  g_assert_cmpint (ask (connections[0], "SELECT 7"), ==, 7);
  g_object_unref (connections[0]);
  close_pool (pool);
  close_pool (admin);
}

static void
test_lent_killed (void)
{
  DbPool *admin = make_pool (1);
  DbPool *pool = make_pool (1);
  DbConnection *connection = acquire (pool);
  GError *error = NULL;
  gint64 pid = ask (connection, "SELECT pg_backend_pid ()");

  terminate (admin, pid);
  while (db_connection_execute (connection, "SELECT 1", NULL, NULL, &error) >= 0)
    ;
  g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
  g_clear_error (&error);
  g_object_unref (connection);

  connection = acquire (pool);
  g_assert_cmpint (ask (connection, "SELECT pg_backend_pid ()"), !=, pid);
  g_object_unref (connection);
  g_assert_cmpuint (n_broken (pool), ==, 1);
  close_pool (pool);
  close_pool (admin);
}

/* The next borrower finds neither a transaction nor a setting of the one before. */
static void
test_clean_return (void)
{
  DbPool *pool = make_pool (1);
  DbConnection *connection = acquire (pool);
  gint64 pid = ask (connection, "SELECT pg_backend_pid ()");
  GError *error = NULL;

  g_assert_true (db_connection_execute_script (connection,
                                               "SET work_mem = '1234kB'; BEGIN; "
                                               "CREATE TABLE left_open (i int)",
                                               NULL, &error));
  g_assert_no_error (error);
  g_object_unref (connection);

  connection = acquire (pool);
  g_assert_cmpint (ask (connection, "SELECT pg_backend_pid ()"), ==, pid);
  g_assert_cmpint (ask (connection, "SELECT count (*) FROM pg_class WHERE relname = 'left_open'"),
                   ==, 0);
  g_assert_cmpint (ask (connection, "SELECT count (*) FROM pg_settings "
                                    "WHERE name = 'work_mem' AND setting = '1234'"),
                   ==, 0);
  g_object_unref (connection);
  close_pool (pool);
}

typedef struct
{
  gint64 asked;
  guint *n_left;
} Question;

static void
answered_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Question *question = data;
  GError *error = NULL;
  g_autoptr (DbResult) rows = db_pool_query_finish (DB_POOL (source), result, &error);

  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (rows, 0, 0), ==, question->asked);
  --*question->n_left;
}

/* Every caller gets its own answer, and the server never sees more than max sessions. */
static void
test_many_async (void)
{
  DbPool *pool = make_pool (4);
  Question questions[500];
  guint n_left = G_N_ELEMENTS (questions);
  g_autoptr (DbPoolStats) stats = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (questions); i++)
    {
      questions[i] = (Question){i, &n_left};
      db_pool_query_async (pool, "SELECT $1::bigint", g_variant_new ("(x)", (gint64) i), NULL,
                           answered_cb, &questions[i]);
    }
  while (n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  stats = db_pool_get_stats (pool);
  g_assert_cmpuint (db_pool_stats_get_total (stats), <=, 4);
  g_assert_cmpuint (db_pool_stats_get_created (stats), <=, 4);
  close_pool (pool);
}

static gpointer
increment (gpointer pool)
{
  for (guint i = 0; i < 50; i++)
    {
      g_autoptr (DbConnection) connection = acquire (pool);
      g_autoptr (DbTransaction) transaction = NULL;
      GError *error = NULL;

      transaction = db_connection_begin (connection, DB_ISOLATION_DEFAULT, 0, NULL, &error);
      g_assert_no_error (error);
      db_connection_execute (connection, "UPDATE counter SET n = n + 1", NULL, NULL, &error);
      g_assert_no_error (error);
      db_transaction_commit (transaction, NULL, &error);
      g_assert_no_error (error);
    }
  return NULL;
}

static void
test_threads (void)
{
  DbPool *pool = make_pool (3);
  GThread *threads[8];
  DbConnection *connection = acquire (pool);
  GError *error = NULL;

  g_assert_true (db_connection_execute_script (connection,
                                               "CREATE TABLE counter (n int); "
                                               "INSERT INTO counter VALUES (0)",
                                               NULL, &error));
  g_assert_no_error (error);
  g_object_unref (connection);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("increment", increment, pool);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  connection = acquire (pool);
  g_assert_cmpint (ask (connection, "SELECT n FROM counter"), ==, 400);
  db_connection_execute (connection, "DROP TABLE counter", NULL, NULL, &error);
  g_assert_no_error (error);
  g_object_unref (connection);
  close_pool (pool);
}

/* Writes through a read-only loan fail, and the next loan can write again. */
static void
test_read_only (void)
{
  DbPool *pool = make_pool (1);
  GError *error = NULL;
  DbConnection *connection =
    db_pool_acquire_full (pool, DB_ACQUIRE_READ_ONLY, -1, NULL, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpint (db_connection_execute (connection, "CREATE TABLE never_made (i int)", NULL, NULL,
                                          &error),
                   ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_READ_ONLY);
  g_assert_cmpstr (db_error_get_sqlstate (error), ==, "25006");
  g_clear_error (&error);
  g_object_unref (connection);

  connection = acquire (pool);
  g_assert_cmpint (db_connection_execute (connection, "CREATE TEMP TABLE made (i int)", NULL, NULL,
                                          &error),
                   >=, 0);
  g_assert_no_error (error);
  g_object_unref (connection);
  close_pool (pool);
}

/* A transaction that failed is not committed quietly. */
static void
test_failed_transaction (void)
{
  DbPool *pool = make_pool (1);
  DbConnection *connection = acquire (pool);
  GError *error = NULL;
  g_autoptr (DbTransaction) transaction =
    db_connection_begin (connection, DB_ISOLATION_SERIALIZABLE, 0, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpint (db_connection_execute (connection, "SELECT 1 / 0", NULL, NULL, &error), ==, -1);
  g_clear_error (&error);
  g_assert_false (db_transaction_commit (transaction, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_clear_error (&error);
  g_assert_false (db_transaction_is_open (transaction));
  g_assert_cmpint (ask (connection, "SELECT 3"), ==, 3);
  g_clear_object (&transaction);
  g_object_unref (connection);
  close_pool (pool);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (120); /* the watchdog of the waits above */

  g_test_add_func ("/postgres-pool/idle-killed", test_idle_killed);
  g_test_add_func ("/postgres-pool/lent-killed", test_lent_killed);
  g_test_add_func ("/postgres-pool/clean-return", test_clean_return);
  g_test_add_func ("/postgres-pool/many-async", test_many_async);
  g_test_add_func ("/postgres-pool/threads", test_threads);
  g_test_add_func ("/postgres-pool/read-only", test_read_only);
  g_test_add_func ("/postgres-pool/failed-transaction", test_failed_transaction);
  return g_test_run ();
}
