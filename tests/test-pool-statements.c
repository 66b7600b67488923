/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a pool's configuration says of statements, on real databases: how many are kept prepared,
 * how long one may run, and the script that sets a session up. The tests are the same for both
 * databases; those of PostgreSQL are skipped where DBPOOL_TEST_POSTGRES_URI is not set. */

#include "config.h"

#include "db-session-private.h"
#include "db-statement-plan-private.h"
#include "dbpool.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct
{
  const char *name;
  const char *endless; /* a statement that does not end by itself */
} Database;

static const Database sqlite = {
  "sqlite",
  "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
};
static const Database postgres = {"postgres", "SELECT pg_sleep(3600)"};

typedef struct
{
  const Database *database;
  char *folder;
  char *path;
  DbConnectionManager *manager; /* NULL: the test is skipped */
  DbPoolConfig *config;         /* of one session */
  DbPool *pool;
} Fixture;

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autofree char *uri = g_strdup (g_getenv ("DBPOOL_TEST_POSTGRES_URI"));
  g_autoptr (GError) error = NULL;

  fixture->database = data;
  fixture->folder = g_dir_make_tmp ("dbpool-XXXXXX", NULL);
  fixture->path = g_build_filename (fixture->folder, "test.db", NULL);
  if (fixture->database == &sqlite)
    {
      g_free (uri);
      uri = g_strconcat ("sqlite:", fixture->path, NULL);
    }
  if (uri == NULL)
    {
      g_test_skip ("there is no PostgreSQL");
      return;
    }
  fixture->manager = db_pool_factory_create_manager (factory, uri, NULL, &error);
  g_assert_no_error (error);
  fixture->config = g_object_new (DB_TYPE_POOL_CONFIG, "max-connections", 1u, NULL);
}

static void
close_pool (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (db_pool_close (fixture->pool, 5 * G_TIME_SPAN_SECOND, NULL, &error));
  g_assert_no_error (error);
  g_assert_finalize_object (g_steal_pointer (&fixture->pool));
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  static const char *const suffixes[] = {"", "-wal", "-shm"};

  if (fixture->pool != NULL)
    close_pool (fixture);
  g_clear_object (&fixture->config);
  g_clear_object (&fixture->manager);
  for (gsize i = 0; i < G_N_ELEMENTS (suffixes); i++)
    {
      g_autofree char *file = g_strconcat (fixture->path, suffixes[i], NULL);

      g_unlink (file);
    }
  g_assert_cmpint (g_rmdir (fixture->folder), ==, 0);
  g_free (fixture->path);
  g_free (fixture->folder);
}

/* The settings in effect, to be changed while the pool is used. */
static DbPoolConfig *
make_pool (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  fixture->pool = db_pool_new (fixture->manager, fixture->config, &error);
  g_assert_no_error (error);
  return db_pool_get_config (fixture->pool);
}

static DbConnection *
acquire (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  DbConnection *connection = db_pool_acquire (fixture->pool, NULL, &error);

  g_assert_no_error (error);
  return connection;
}

static void
assert_acquire_fails (Fixture *fixture, int code, const char *expected)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (db_pool_acquire (fixture->pool, NULL, &error));
  g_assert_error (error, DB_ERROR, code);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, expected));
}

static gint64
ask (DbConnection *connection, const char *sql)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = db_connection_query (connection, sql, NULL, NULL, &error);

  g_assert_no_error (error);
  return db_result_get_int64 (result, 0, 0);
}

static void
run_script (DbConnection *connection, const char *sql)
{
  g_autoptr (GError) error = NULL;

  db_connection_execute_script (connection, sql, NULL, &error);
  g_assert_no_error (error);
}

/* Statements that could be prepared, and of them those that were. */
static void
get_counters (Fixture *fixture, guint64 *all, guint64 *hits)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (fixture->pool);

  *hits = db_pool_stats_get_statement_hits (stats);
  *all = *hits + db_pool_stats_get_statement_misses (stats);
}

static guint64
get_hits (Fixture *fixture)
{
  guint64 all, hits;

  get_counters (fixture, &all, &hits);
  return hits;
}

#define INIT_SQL "CREATE TEMP TABLE basket (item integer); INSERT INTO basket VALUES (6), (7)"

static void
test_init_sql (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbConnection) connection = NULL;
  guint64 id;

  if (fixture->manager == NULL)
    return;
  g_object_set (fixture->config, "init-sql", INIT_SQL, NULL);
  make_pool (fixture);
  connection = acquire (fixture);
  id = db_connection_get_id (connection);
  g_assert_cmpint (ask (connection, "SELECT sum(item) FROM basket"), ==, 13);
  g_assert_cmpint (ask (connection, "INSERT INTO basket VALUES (100) RETURNING item"), ==, 100);
  db_connection_release (connection);
  g_clear_object (&connection);

  /* it is not run for nothing: what is in the table stays */
  connection = acquire (fixture);
  g_assert_cmpint (ask (connection, "SELECT sum(item) FROM basket"), ==, 113);
  run_script (connection, "DROP TABLE basket; CREATE TEMP TABLE other (item integer)");
  db_connection_release (connection);
  g_clear_object (&connection);

  /* the same session, which the reset has set up again */
  connection = acquire (fixture);
  g_assert_cmpuint (db_connection_get_id (connection), ==, id);
  g_assert_cmpint (ask (connection, "SELECT sum(item) FROM basket"), ==, 13);
}

static gboolean
fill_basket_cb (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  return db_connection_execute (DB_CONNECTION (subject), "INSERT INTO basket VALUES (10)", NULL,
                                NULL, error) == 1;
}

static void
test_init_sql_before_hook (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbConnection) connection = NULL;

  if (fixture->manager == NULL)
    return;
  g_object_set (fixture->config, "init-sql", INIT_SQL, NULL);
  make_pool (fixture);
  db_pool_set_hook (fixture->pool, DB_HOOK_AFTER_CONNECT, fill_basket_cb, NULL, NULL);
  connection = acquire (fixture);
  g_assert_cmpint (ask (connection, "SELECT sum(item) FROM basket"), ==, 23);
}

/* New sessions have what was set last; a session of a reset that cleans, too. */
static void
test_init_sql_changes (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbConnection) connection = NULL;
  DbPoolConfig *config;

  if (fixture->manager == NULL)
    return;
  config = make_pool (fixture);
  connection = acquire (fixture);
  g_object_set (config, "init-sql", INIT_SQL, NULL);
  db_connection_evict (connection);
  db_connection_release (connection);
  g_clear_object (&connection);
  connection = acquire (fixture);
  g_assert_cmpint (ask (connection, "SELECT sum(item) FROM basket"), ==, 13);
}

/* A script that cannot work is found out at once, however long callers would wait. */
static void
test_init_sql_fails (Fixture *fixture, gconstpointer data)
{
  static const char *const wrong[] = {"SELECT 1; SELEC 2", "SELECT * FROM nowhere", "BEGIN",
                                      "BEGIN; SELECT * FROM nowhere"};

  if (fixture->manager == NULL)
    return;
  g_object_set (fixture->config, "connection-timeout", G_MAXINT64, "name", "shop", NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_object_set (fixture->config, "init-sql", wrong[i], NULL);
      make_pool (fixture);
      assert_acquire_fails (fixture, DB_ERROR_CONFIGURATION, "the init-sql of pool shop: ");
      close_pool (fixture);
    }
}

static void
test_init_sql_hangs (Fixture *fixture, gconstpointer data)
{
  gint64 start;

  if (fixture->manager == NULL)
    return;
  g_object_set (fixture->config, "init-sql", fixture->database->endless, "check-timeout",
                50 * G_TIME_SPAN_MILLISECOND, "connection-timeout", G_TIME_SPAN_SECOND, NULL);
  make_pool (fixture);
  start = g_get_monotonic_time ();
  assert_acquire_fails (fixture, DB_ERROR_TIMEOUT, "longer than its check-timeout");
  g_assert_cmpint (g_get_monotonic_time () - start, >=, G_TIME_SPAN_SECOND);
}

/* A pool that closes does not wait for it. */
static void
test_init_sql_hangs_at_close (Fixture *fixture, gconstpointer data)
{
  if (fixture->manager == NULL)
    return;
  g_object_set (fixture->config, "init-sql", fixture->database->endless, "check-timeout",
                G_GINT64_CONSTANT (0), "connection-timeout", 50 * G_TIME_SPAN_MILLISECOND, NULL);
  make_pool (fixture);
  assert_acquire_fails (fixture, DB_ERROR_TIMEOUT, "1 opening");
  close_pool (fixture);
}

static void
ask_often (DbConnection *connection, guint n)
{
  while (n-- > 0)
    g_assert_cmpint (ask (connection, "SELECT 6 * 7"), ==, 42);
}

static void
test_statement_cache (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbConnection) connection = NULL;
  DbPoolConfig *config;
  guint64 all, hits;

  if (fixture->manager == NULL)
    return;
  config = make_pool (fixture);
  connection = acquire (fixture);
  ask_often (connection, 5);
  get_counters (fixture, &all, &hits);
  g_assert_cmpuint (all, ==, 5);
  g_assert_cmpuint (hits, >=, 3);
  g_assert_cmpuint (hits, <, 5);

  /* a loan keeps what it began with; the next one is without */
  g_object_set (config, "prepared-statements", DB_PREPARED_STATEMENTS_NEVER, NULL);
  ask_often (connection, 1);
  g_assert_cmpuint (get_hits (fixture), ==, ++hits);
  g_clear_object (&connection);
  connection = acquire (fixture);
  ask_often (connection, 3);
  g_assert_cmpuint (get_hits (fixture), ==, hits);
  g_clear_object (&connection);

  g_object_set (config, "prepared-statements", DB_PREPARED_STATEMENTS_AUTO, NULL);
  for (guint i = 0; i < 5; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result =
        db_pool_query (fixture->pool, "SELECT 6 * 7", NULL, NULL, &error);

      g_assert_no_error (error);
    }
  g_assert_cmpuint (get_hits (fixture), >=, hits + 3);
}

static void
test_statement_cache_size (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbConnection) connection = NULL;
  guint64 hits;

  if (fixture->manager == NULL)
    return;
  g_object_set (fixture->config, "statement-cache-size", 2u, NULL);
  make_pool (fixture);
  connection = acquire (fixture);
  for (guint i = 0; i < 9; i++)
    ask (connection, i % 2 == 0 ? "SELECT 1" : "SELECT 2");
  hits = get_hits (fixture);
  g_assert_cmpuint (hits, >=, 4);
  /* one too many, in turn: each has fallen out when it comes again */
  for (guint i = 0; i < 9; i++)
    ask (connection, i % 3 == 0 ? "SELECT 3" : i % 3 == 1 ? "SELECT 4" : "SELECT 5");
  g_assert_cmpuint (get_hits (fixture), ==, hits);
}

/* The numbers are in the texts, the script, which may hold a secret, is not. */
static void
test_texts (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (DbPoolStats) stats = NULL;
  g_autofree char *dump = NULL;
  g_autofree char *line = NULL;

  if (fixture->manager == NULL)
    return;
  g_object_set (fixture->config, "init-sql", "SELECT 'sw0rdf1sh'", "statement-timeout",
                3 * G_TIME_SPAN_SECOND, NULL);
  make_pool (fixture);
  connection = acquire (fixture);
  ask_often (connection, 5);
  dump = db_pool_dump (fixture->pool);
  stats = db_pool_get_stats (fixture->pool);
  line = db_pool_stats_to_string (stats);
  g_assert_nonnull (strstr (dump, " statement-timeout=3s"));
  g_assert_nonnull (strstr (dump, " prepared-statements=auto"));
  g_assert_nonnull (strstr (dump, " statements found prepared, "));
  g_assert_null (strstr (dump, "sw0rdf1sh"));
  g_assert_nonnull (strstr (line, " statements found prepared; "));
}

static void
assert_is_stopped (DbConnection *connection, const char *sql, gint64 timeout)
{
  g_autoptr (GError) error = NULL;
  gint64 start = g_get_monotonic_time ();

  g_assert_null (db_connection_query (connection, sql, NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, timeout);
}

static void
queried_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  GError **error = data;

  g_assert_null (db_connection_query_finish (DB_CONNECTION (source), result, error));
}

static void
assert_is_stopped_async (DbConnection *connection, const char *sql)
{
  g_autoptr (GError) error = NULL;

  db_connection_query_async (connection, sql, NULL, NULL, queried_cb, &error);
  while (error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
}

static gboolean
cancel_cb (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return G_SOURCE_REMOVE;
}

/* It still runs when three times the limit that was is over. */
static void
assert_is_not_stopped (DbConnection *connection, const char *sql)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  g_timeout_add (150, cancel_cb, cancellable);
  db_connection_query_async (connection, sql, NULL, cancellable, queried_cb, &error);
  while (error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* A change takes effect at once, also on a connection that somebody has. */
static void
test_statement_timeout (Fixture *fixture, gconstpointer data)
{
  const gint64 limit = 50 * G_TIME_SPAN_MILLISECOND;
  const char *sql = fixture->database->endless;
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (GError) error = NULL;
  DbPoolConfig *config;

  if (fixture->manager == NULL)
    return;
  config = make_pool (fixture);
  connection = acquire (fixture);
  g_object_set (config, "statement-timeout", limit, NULL);
  assert_is_stopped (connection, sql, limit);
  assert_is_stopped_async (connection, sql);
  g_object_set (config, "statement-timeout", G_MAXINT64, NULL);
  assert_is_not_stopped (connection, sql);
  g_object_set (config, "statement-timeout", G_GINT64_CONSTANT (0), NULL);
  assert_is_not_stopped (connection, sql);
  g_assert_cmpint (ask (connection, "SELECT 1"), ==, 1);
  db_connection_release (connection);

  g_object_set (config, "statement-timeout", limit, NULL);
  g_assert_null (db_pool_query (fixture->pool, sql, NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
}

/* A session that the pool does not lend is set up and counted like the others. */
static void
test_dedicated (Fixture *fixture, gconstpointer data)
{
  const DbStatementPlan plan = {"SELECT sum(item) FROM basket", NULL, DB_STATEMENT_NONE, 0};
  DbConnectionManager *manager;
  DbSession *session;
  g_autoptr (GError) error = NULL;
  guint64 all, hits;

  if (fixture->manager == NULL)
    return;
  g_object_set (fixture->config, "init-sql", INIT_SQL, "statement-cache-size", 0u, NULL);
  make_pool (fixture);
  manager = DB_CONNECTION_MANAGER (fixture->pool);
  session = db_connection_manager_open_session (manager, NULL, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr (DbResult) result = db_session_run (session, &plan, NULL, &error);

      g_assert_no_error (error);
      g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 13);
      if (i == 0)
        db_session_set_statement_cache (session, 10);
    }
  get_counters (fixture, &all, &hits);
  g_assert_cmpuint (hits, >=, 1);
  g_assert_cmpuint (hits, <=, 2);
  db_connection_manager_close_session (manager, session);
  g_object_unref (session);
}

static void
add_tests (const Database *database)
{
  static const struct
  {
    const char *name;
    void (*func) (Fixture *, gconstpointer);
  } tests[] = {
    {"init-sql", test_init_sql},
    {"init-sql/before-hook", test_init_sql_before_hook},
    {"init-sql/changes", test_init_sql_changes},
    {"init-sql/fails", test_init_sql_fails},
    {"init-sql/hangs", test_init_sql_hangs},
    {"init-sql/hangs-at-close", test_init_sql_hangs_at_close},
    {"cache", test_statement_cache},
    {"cache-size", test_statement_cache_size},
    {"dedicated", test_dedicated},
    {"texts", test_texts},
    {"timeout", test_statement_timeout},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path =
        g_strdup_printf ("/pool-statements/%s/%s", database->name, tests[i].name);

      g_test_add (path, Fixture, database, fixture_set_up, tests[i].func, fixture_tear_down);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_tests (&sqlite);
  add_tests (&postgres);
  return g_test_run ();
}
