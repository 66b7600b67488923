/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What pools say in the log, with which fields, how often and what never. All areas of
 * DBPOOL_DEBUG but values are on in this process; the others have child processes. The last test
 * compares what came with the table in docs/logging.md. */

#include "config.h"

#include "db-log-private.h"
#include "log-capture.h"
#include "pool-fixture.h"

#include "db-clock-private.h"
#include "db-database-config-private.h"

#include <glib/gstdio.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEBUG_WORDS "POOL, sqlite;leaks sql:postgres"

static GHashTable *seen; /* the events that came with what they should say */

static DbPool *
make_pool (FakeManager *manager, const char *name, const char *property, ...)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  GError *error = NULL;
  va_list args;
  DbPool *pool;

  g_object_set (config, "name", name, "max-connections", 2, NULL);
  va_start (args, property);
  g_object_set_valist (G_OBJECT (config), property, args);
  va_end (args);
  pool = db_pool_new (DB_CONNECTION_MANAGER (manager), config, &error);
  g_assert_no_error (error);
  return pool;
}

static void
end_pool (DbPool *pool)
{
  GError *error = NULL;

  db_pool_close (pool, 10 * SECOND, NULL, &error);
  g_assert_no_error (error);
  g_object_unref (pool);
}

/* The only entry of @event has these fields, and those that all have. */
static LogEntry *
assert_entry (const char *event,
              GLogLevelFlags level,
              const char *priority,
              const char *pool,
              const char *pattern)
{
  LogEntry *entry = log_dup_only (event);
  g_autofree char *number = g_strdup_printf ("%d", (int) level);

  g_assert_cmpstr (log_get (entry, "LEVEL"), ==, number);
  g_assert_cmpstr (log_get (entry, "PRIORITY"), ==, priority);
  g_assert_cmpstr (log_get (entry, "GLIB_DOMAIN"), ==, "dbpool");
  g_assert_cmpstr (log_get (entry, "DBPOOL_POOL"), ==, pool);
  g_assert_nonnull (strstr (log_get (entry, "CODE_FILE"), ".c"));
  g_assert_cmpint (atoi (log_get (entry, "CODE_LINE")), >, 0);
  g_assert_nonnull (log_get (entry, "CODE_FUNC"));
  if (!g_pattern_match_simple (pattern, log_get (entry, "MESSAGE")))
    g_error ("%s: %s", event, log_get (entry, "MESSAGE"));
  g_hash_table_add (seen, g_strdup (event));
  return entry;
}

#define FAULT G_LOG_LEVEL_WARNING, "4"
#define TROUBLE G_LOG_LEVEL_MESSAGE, "4"
#define NOTICE G_LOG_LEVEL_MESSAGE, "5"
/* DBPOOL_DEBUG asks for it. */
#define DEBUG G_LOG_LEVEL_MESSAGE, "7"

static void
check (const char *event,
       GLogLevelFlags level,
       const char *priority,
       const char *pool,
       const char *pattern)
{
  g_hash_table_unref (assert_entry (event, level, priority, pool, pattern));
}

/* The same, of the session @id (0: none), that took at least @duration (0: says nothing of it). */
static void
check_full (const char *event,
            GLogLevelFlags level,
            const char *priority,
            const char *pool,
            const char *pattern,
            const char *id,
            gint64 duration)
{
  g_autoptr (GHashTable) entry = assert_entry (event, level, priority, pool, pattern);
  const char *text = log_get (entry, "DBPOOL_DURATION_US");

  g_assert_cmpstr (log_get (entry, "DBPOOL_CONNECTION"), ==, id);
  if (duration == 0)
    g_assert_null (text);
  else
    g_assert_cmpint (g_ascii_strtoll (text, NULL, 10), >=, duration);
}

static void
test_life (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  g_autoptr (FakeManager) other = fake_manager_new ();
  DbConnection *connection, *held;
  DbPool *pool;
  GError *error = NULL;

  log_begin ();
  pool = make_pool (manager, "life", "max-connections", 1, NULL);
  check ("pool-created", DEBUG, "life", "pool life is made*");
  connection = acquire (pool);
  log_await ("session-opened", 1);
  check_full ("session-opened", DEBUG, "life", "*session 1 is open*", "1", 1);
  g_assert_null (db_pool_try_acquire (pool, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_EXHAUSTED);
  g_clear_error (&error);
  check ("acquire-failed", DEBUG, "life", "*no idle connection*");
  g_object_unref (connection);
  check_full ("loan-finalized", DEBUG, "life", "*.c:*not released*", "1", 1);

  db_pool_suspend (pool);
  check ("pool-suspended", DEBUG, "life", "pool life is suspended");
  db_pool_resume (pool);
  check ("pool-resumed", DEBUG, "life", "pool life is resumed");
  db_pool_evict_idle (pool);
  check ("pool-evicted", DEBUG, "life", "*idle sessions are evicted");
  log_await ("session-dropped", 1);
  check_full ("session-dropped", DEBUG, "life", "*session 1 is closed: evicted", "1", 0);
  g_object_set (db_pool_get_config (pool), "idle-timeout", 7 * SECOND, NULL);
  check ("pool-configured", DEBUG, "life", "*other settings*");
  g_assert_true (db_pool_reconfigure (pool, DB_CONNECTION_MANAGER (other), NULL, &error));
  check ("pool-reconfigured", DEBUG, "life", "*another manager*");

  fake_manager_fail_checks (other, TRUE);
  g_usleep (2 * MS); /* what was idle for less is not even looked at */
  db_clock_pretend_sleep (5 * SECOND);
  held = acquire (pool);
  check ("machine-slept", DEBUG, "life", "*asleep*");
  log_await ("session-check-failed", 1);
  check ("session-check-failed", DEBUG, "life", "*could not be checked: *");
  fake_manager_fail_resets (other, TRUE);
  fake_session_set_state (fake_connection_get_session (held), DB_SESSION_IN_TRANSACTION);
  db_connection_release (held);
  g_object_unref (held);
  log_await ("session-reset-failed", 1);
  check ("session-reset-failed", DEBUG, "life", "*could not be reset: *");
  end_pool (pool);
  check ("pool-closing", DEBUG, "life", "pool life is being closed");
  check_full ("pool-closed", DEBUG, "life", "pool life is closed", NULL, 1);
  log_end ();
}

static void
test_outage (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  g_autoptr (GHashTable) began = NULL;
  g_autoptr (GError) refusal =
    g_error_new_literal (DB_ERROR, DB_ERROR_CONNECTION, "starting up [SQLSTATE 57P03]");
  DbPool *pool;

  log_begin ();
  pool = make_pool (manager, "far", "connection-timeout", 30 * SECOND, NULL);
  fake_manager_fail_opens (manager, 3, refusal);
  g_object_unref (acquire (pool));
  log_await ("outage-over", 1);
  log_await ("session-open-failed", 3);
  began = assert_entry ("outage-began", TROUBLE, "far", "pool far cannot open*starting up*");
  g_assert_cmpstr (log_get (began, "DBPOOL_SQLSTATE"), ==, "57P03");
  check_full ("outage-over", NOTICE, "far", "pool far can open sessions again*", NULL, 1);
  g_hash_table_add (seen, g_strdup ("session-open-failed"));

  /* What opens later ends no outage; the next failure begins another one. */
  db_pool_evict_all (pool);
  g_object_unref (acquire (pool));
  log_await ("session-opened", 2);
  g_assert_cmpuint (log_count ("outage-over"), ==, 1);
  db_pool_evict_all (pool);
  fake_manager_fail_opens (manager, 1, refusal);
  g_object_unref (acquire (pool));
  log_await ("outage-over", 2);
  g_assert_cmpuint (log_count ("outage-began"), ==, 2);
  end_pool (pool);
  log_end ();
}

/* A pool that is closed while it opens has no outage. */
static void
test_no_outage (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  DbPool *pool;

  log_begin ();
  pool = make_pool (manager, "short", "min-connections", 1, NULL);
  fake_manager_hang (manager, FAKE_OPEN, TRUE);
  db_pool_warm_up (pool, 0, NULL, NULL);
  fake_manager_await_calls (manager, FAKE_OPEN, 1);
  end_pool (pool);
  g_assert_cmpuint (log_count ("outage-began"), ==, 0);
  log_end ();
}

static void
test_leak (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  DbConnection *connection;
  DbPool *pool;

  log_begin ();
  pool = make_pool (manager, "lost", "leak-threshold", 20 * MS, NULL);
  connection = db_pool_acquire_full (pool, DB_ACQUIRE_NONE, -1, "the loser", NULL, NULL);
  log_await ("leak-suspected", 1);
  check_full ("leak-suspected", FAULT, "lost", "*out for*the loser*", "1", 20 * MS);
  g_object_unref (connection);
  check_full ("leak-ended", NOTICE, "lost", "*the loser is back*", "1", 20 * MS);
  end_pool (pool);
  log_end ();
}

static gboolean
leave_transaction (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  FakeSession *session = fake_connection_get_session (DB_CONNECTION (subject));

  if (g_atomic_int_add ((int *) data, 1) == 0)
    fake_session_set_state (session, DB_SESSION_IN_TRANSACTION);
  return TRUE;
}

static void
test_faults (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  g_autoptr (DbSession) stranger = NULL;
  g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
  DbConnection *connection;
  DbPool *pool, *other;
  int n_calls = 0;

  log_begin ();
  pool = make_pool (manager, "one", "max-connections", 1, NULL);
  other = make_pool (manager, "two", "max-connections", 1, NULL);
  db_pool_set_hook (pool, DB_HOOK_AFTER_CONNECT, leave_transaction, &n_calls, NULL);
  connection = acquire (pool);
  check_full ("hook-left-session", FAULT, "one", "*after-connect*in a transaction*", "1", 0);
  db_pool_set_hook (pool, DB_HOOK_AFTER_CONNECT, NULL, NULL, NULL);
  check ("hook-too-late", FAULT, "one", "*hooks are set before the first acquire*");
  stranger = g_object_ref (DB_SESSION (fake_connection_get_session (connection)));
  db_connection_manager_close_session (DB_CONNECTION_MANAGER (other), stranger);
  check ("unknown-session", FAULT, "two", "*did not open*");
  db_pool_give_back (other, connection);
  check ("wrong-pool", FAULT, "two", "pool two*of pool one*");
  db_database_config_freeze (config);
  g_object_set (config, "database", "shop", NULL);
  check ("config-frozen", FAULT, NULL, "DbDatabaseConfig:database cannot be set*");
  end_pool (pool);
  end_pool (other);
  log_end ();
}

static void
test_deadlock (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  g_autoptr (DbConnection) held = NULL;
  DbPool *pool;

  log_begin ();
  pool = make_pool (manager, "knot", "max-connections", 1, "connection-timeout", 20 * MS, NULL);
  held = db_pool_acquire_full (pool, DB_ACQUIRE_NONE, -1, "outer", NULL, NULL);
  g_assert_null (db_pool_acquire (pool, NULL, NULL));
  check ("deadlock", TROUBLE, "knot", "*itself waits*outer*");
  g_clear_object (&held);
  end_pool (pool);
  log_end ();
}

static gpointer
acquire_thread (gpointer pool)
{
  return acquire (pool);
}

/* Blocking and asynchronous; and what is fast is not told of. */
static void
test_slow_acquire (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  DbConnection *first;
  DbConnection *second;
  Waiter waiter = {0};
  GThread *thread;
  DbPool *pool;

  log_begin ();
  pool = make_pool (manager, "slow", "max-connections", 1, "slow-acquire-threshold", 20 * MS, NULL);
  first = db_pool_acquire_full (pool, DB_ACQUIRE_NONE, -1, "the holder", NULL, NULL);
  g_assert_cmpuint (log_count ("slow-acquire"), ==, 0);
  thread = g_thread_new ("second", acquire_thread, pool);
  await_gauges (pool, 1, 0, 1, 1);
  g_usleep (20 * MS);
  g_object_unref (first);
  second = g_thread_join (thread);
  check_full ("slow-acquire", TROUBLE, "slow", "*came after 0.0*1 session, 1 lent*", "1", 20 * MS);

  log_begin ();
  db_pool_acquire_async (pool, NULL, acquired_cb, &waiter);
  g_usleep (20 * MS);
  g_object_unref (second);
  await (&waiter);
  check_full ("slow-acquire", TROUBLE, "slow", "*came after 0.0*", "1", 20 * MS);
  waiter_clear (&waiter);
  waiter = (Waiter){0};

  /* From now on not at all. */
  log_begin ();
  g_object_set (db_pool_get_config (pool), "slow-acquire-threshold", (gint64) 0, NULL);
  first = acquire (pool);
  db_pool_acquire_async (pool, NULL, acquired_cb, &waiter);
  g_usleep (20 * MS);
  g_object_unref (first);
  await (&waiter);
  waiter_clear (&waiter);
  g_assert_cmpuint (log_count ("slow-acquire"), ==, 0);
  end_pool (pool);
  log_end ();
}

static void
store_result_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  g_set_object ((GAsyncResult **) data, result);
}

static GAsyncResult *
await_result (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return *result;
}

/* What was told of one statement, once, in both ways. */
static void
assert_statement (const char *pattern, const char *id)
{
  check_full ("slow-query", TROUBLE, "shop", pattern, id, 1);
  check_full ("statement", DEBUG, "shop", pattern, id, 1);
  log_begin ();
}

static void
test_statements (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (DbBatchResult) outcomes = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GHashTable) entry = NULL;
  DbPool *pool;

  pool = make_pool (manager, "shop", "slow-query-threshold", (gint64) 1, NULL);
  log_begin ();
  connection = acquire (pool);
  log_begin ();
  g_object_unref (db_connection_query (connection, "SELECT 'SECRET'", NULL, NULL, NULL));
  assert_statement ("*session 1:*1 rows: “SELECT ?”", "1");
  db_connection_query_async (connection, "SELECT 2", NULL, NULL, store_result_cb, &result);
  g_object_unref (db_connection_query_finish (connection, await_result (&result), NULL));
  assert_statement ("*“SELECT ?”", "1");
  g_clear_object (&result);
  db_connection_release (connection);
  log_begin ();

  g_object_unref (db_pool_query (pool, "SELECT 3", NULL, NULL, NULL));
  assert_statement ("*“SELECT ?”", "1");
  db_pool_query_async (pool, "SELECT 4", NULL, NULL, store_result_cb, &result);
  g_object_unref (db_pool_query_finish (pool, await_result (&result), NULL));
  assert_statement ("*“SELECT ?”", "1");

  db_batch_add (batch, "INSERT 1", NULL);
  db_batch_add (batch, "INSERT 'SECRET' x", NULL);
  outcomes = db_pool_run_batch (pool, batch, DB_BATCH_NONE, NULL, NULL);
  assert_statement ("*a batch of 2: “INSERT ?”; “INSERT ? x”", "1");

  g_assert_null (db_pool_query (pool, "fail", NULL, NULL, NULL));
  entry = log_dup_only ("statement");
  g_assert_cmpstr (log_get (entry, "DBPOOL_SQLSTATE"), ==, "42601");
  g_assert_null (strstr (log_get (entry, "MESSAGE"), "simulated"));
  assert_statement ("*failed with SQLSTATE 42601: “fail”", "1");

  /* Off again, at once. */
  g_object_set (db_pool_get_config (pool), "slow-query-threshold", 10 * SECOND, NULL);
  g_object_unref (db_pool_query (pool, "SELECT 5", NULL, NULL, NULL));
  g_assert_cmpuint (log_count ("slow-query"), ==, 0);
  end_pool (pool);
  log_end ();
}

static gboolean
lose_once (DbConnection *connection, gpointer data, GError **error)
{
  if ((*(guint *) data)++ > 0)
    return TRUE;
  g_set_error_literal (error, DB_ERROR, DB_ERROR_SERIALIZATION, "lost [SQLSTATE 40001]");
  return FALSE;
}

static void
test_retried (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  DbPool *pool = make_pool (manager, "bank", NULL);
  guint n_calls = 0;

  log_begin ();
  g_assert_true (db_pool_transact (pool, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE, lose_once,
                                   &n_calls, NULL, NULL));
  check ("transaction-retried", DEBUG, "bank", "*tried again: lost*");
  end_pool (pool);
  log_end ();
}

/* Limits. */

static void
test_limit (void)
{
  DbLogLimit limit = {0};
  const gint64 start = 1000 * SECOND;
  guint more = 7;
  gint64 since = 0;

  for (guint i = 0; i < 10; i++)
    {
      g_assert_true (db_log_limit_pass (&limit, start + i, &more, &since));
      g_assert_cmpuint (more, ==, 0);
    }
  for (guint i = 0; i < 5; i++)
    g_assert_false (db_log_limit_pass (&limit, start + (20 + i) * SECOND, &more, &since));
  g_assert_false (db_log_limit_pass (&limit, start + 60 * SECOND - 1, &more, &since));
  g_assert_true (db_log_limit_pass (&limit, start + 60 * SECOND, &more, &since));
  g_assert_cmpuint (more, ==, 6);
  g_assert_cmpint (since, ==, start + 20 * SECOND);
  g_assert_true (db_log_limit_pass (&limit, start + 60 * SECOND, &more, &since));
  g_assert_cmpuint (more, ==, 0);
}

/* For each pool and each event by itself. */
static void
test_limited (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  DbPool *pools[2];

  log_begin ();
  for (guint k = 0; k < G_N_ELEMENTS (pools); k++)
    {
      pools[k] = make_pool (manager, "busy", "slow-query-threshold", (gint64) 1, NULL);
      g_object_unref (acquire (pools[k]));
      for (guint i = 0; i < 15; i++)
        g_object_unref (db_pool_query (pools[k], "SELECT 1", NULL, NULL, NULL));
      g_assert_cmpuint (log_count ("slow-query"), ==, 10 * (k + 1));
    }
  g_assert_cmpuint (log_count ("statement"), ==, 30);
  end_pool (pools[0]);
  end_pool (pools[1]);
  log_end ();
}

/* A writer may use the pool that it hears of: it is called with no lock held, and does not hear of
 * what it does itself. */
static void
use_pool_cb (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  DbPool *pool = g_atomic_pointer_get ((DbPool **) data);

  if (pool == NULL)
    return;
  g_free (db_pool_dump (pool));
  g_clear_object ((&(DbResult *){db_pool_query (pool, "SELECT 1", NULL, NULL, NULL)}));
}

static void
test_writer (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  DbPool *pool;
  DbPool *used = NULL; /* atomic */

  log_begin ();
  pool = make_pool (manager, "own", "slow-query-threshold", (gint64) 1, "connection-timeout",
                    50 * MS, NULL);
  g_atomic_pointer_set (&used, pool);
  log_set_observer (use_pool_cb, &used);
  g_object_unref (db_pool_query (pool, "SELECT 2", NULL, NULL, NULL));
  db_pool_evict_all (pool);
  db_pool_suspend (pool);
  g_atomic_pointer_set (&used, NULL);
  db_pool_resume (pool);
  g_assert_cmpuint (log_count ("statement"), ==, 1);
  log_set_observer (NULL, NULL);
  end_pool (pool);
  log_end ();
}

/* In child processes. */

/* What a pool with a slot of everything logs there. */
static void
run_child (void)
{
  FakeManager *manager = fake_manager_new ();
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (DbParams) params = db_params_new ();
  DbPool *pool;

  g_object_set (config, "name", "child", "init-sql", "SET secret.key = 'SECRET'", NULL);
  pool = db_pool_new (DB_CONNECTION_MANAGER (manager), config, NULL);
  db_params_add_text (params, "SHOWN");
  db_params_add_int64 (params, 42);
  g_object_unref (db_pool_query_params (pool, "SELECT $1, $2, 'LITERAL'", params, NULL, NULL));
  g_object_unref (
    db_pool_query_params (pool, "ALTER ROLE x PASSWORD 'SECRET'", params, NULL, NULL));
  g_object_unref (acquire (pool));
  db_pool_close (pool, 10 * SECOND, NULL, NULL);
  g_object_unref (pool);
  fake_assert_finalized_soon (manager); /* with the last thread that has something to tell */
}

/* The standard error output of a child with @words in DBPOOL_DEBUG (NULL: none). */
static char *
spawn (const char *words, const char *messages_debug)
{
  g_autoptr (GSubprocessLauncher) launcher =
    g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDERR_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE);
  g_autoptr (GSubprocess) child = NULL;
  g_autofree char *out = NULL;
  GError *error = NULL;
  char *text = NULL;

  if (words != NULL)
    g_subprocess_launcher_setenv (launcher, "DBPOOL_DEBUG", words, TRUE);
  else
    g_subprocess_launcher_unsetenv (launcher, "DBPOOL_DEBUG");
  if (messages_debug != NULL)
    g_subprocess_launcher_setenv (launcher, "G_MESSAGES_DEBUG", messages_debug, TRUE);
  else
    g_subprocess_launcher_unsetenv (launcher, "G_MESSAGES_DEBUG");
  g_subprocess_launcher_setenv (launcher, "DBPOOL_TEST_CHILD", "1", TRUE);
  g_subprocess_launcher_setenv (launcher, "LC_ALL", "C.UTF-8", TRUE);
  child = g_subprocess_launcher_spawn (launcher, &error, "/proc/self/exe", NULL);
  g_assert_no_error (error);
  g_subprocess_communicate_utf8 (child, NULL, NULL, &out, &text, &error);
  g_assert_no_error (error);
  g_assert_true (g_subprocess_get_successful (child));
  g_assert_null (strstr (text, "SECRET"));
  g_assert_null (strstr (out, "SECRET"));
  if (messages_debug != NULL)
    {
      char *both = g_strconcat (out, text, NULL);

      g_free (text);
      return both;
    }
  return text;
}

static void
assert_has (const char *text, const char *part, gboolean has)
{
  if ((strstr (text, part) != NULL) != has)
    g_error ("%s “%s” in:\n%s", has ? "no" : "there is", part, text);
}

static void
test_words (void)
{
  static const struct
  {
    const char *words;
    gboolean pool, leaks, sql, values, list;
  } cases[] = {
    {"", FALSE, FALSE, FALSE, FALSE, FALSE},
    {"pool", TRUE, FALSE, FALSE, FALSE, FALSE},
    {"postgres,sqlite", FALSE, FALSE, FALSE, FALSE, FALSE},
    {"leaks", FALSE, TRUE, FALSE, FALSE, FALSE},
    {"sql", FALSE, FALSE, TRUE, FALSE, FALSE},
    {"SQL,Leaks", FALSE, TRUE, TRUE, FALSE, FALSE},
    {"sql-values", FALSE, FALSE, TRUE, TRUE, FALSE},
    {"all", TRUE, TRUE, TRUE, FALSE, FALSE},
    {"all sql-values", TRUE, TRUE, TRUE, TRUE, FALSE},
    {"help", FALSE, FALSE, FALSE, FALSE, TRUE},
    {"pool,nonsense,more", TRUE, FALSE, FALSE, FALSE, TRUE},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *text = spawn (cases[i].words, NULL);

      g_test_message ("%s: %s", cases[i].words, text);
      assert_has (text, "pool child: session 1 is open", cases[i].pool);
      assert_has (text, "not released, but dropped", cases[i].leaks);
      assert_has (text, "“SELECT $1, $2, ?”", cases[i].sql && !cases[i].values);
      assert_has (text, "“SELECT $1, $2, 'LITERAL'” with “SHOWN”, 42", cases[i].values);
      assert_has (text, "“ALTER ROLE x PASSWORD ?”", cases[i].sql);
      assert_has (text, "SHOWN", cases[i].values);
      assert_has (text, "DBPOOL_DEBUG is a list of words", cases[i].list);
      assert_has (text, "“nonsense” is not one", strstr (cases[i].words, "nonsense") != NULL);
      if (!cases[i].pool && !cases[i].leaks && !cases[i].sql && !cases[i].list)
        g_assert_cmpstr (text, ==, "");
    }
  g_hash_table_add (seen, g_strdup ("debug-words"));
}

/* Without DBPOOL_DEBUG GLib's own variable shows it, but no statements. */
static void
test_messages_debug (void)
{
  g_autofree char *text = spawn (NULL, "dbpool");

  assert_has (text, "session 1 is open", TRUE);
  assert_has (text, "SELECT", FALSE);
}

/* As journald gets it. */
static GLogWriterOutput
journal_writer (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  return g_log_writer_journald (level, fields, n, data);
}

static void
test_journald (void)
{
  static const char path[] = "/run/systemd/journal/socket";
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_autofree char *text = g_malloc0 (65536);
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  pid_t child;
  int status;

  strcpy (address.sun_path, path);
  if (g_file_test (path, G_FILE_TEST_EXISTS) ||
      g_mkdir_with_parents ("/run/systemd/journal", 0755) != 0 ||
      bind (fd, (struct sockaddr *) &address, sizeof address) != 0)
    {
      close (fd);
      g_test_skip ("there is a journal, or its socket cannot be made");
      return;
    }
  child = fork ();
  if (child == 0)
    {
      char *const arguments[] = {(char *) "child", NULL};

      setenv ("DBPOOL_TEST_CHILD", "journal", TRUE);
      execv ("/proc/self/exe", arguments);
      _exit (1);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  while (strstr (text, "DBPOOL_EVENT=session-opened\n") == NULL)
    g_assert_cmpint (recv (fd, memset (text, 0, 65536), 65535, MSG_DONTWAIT), >, 0);
  g_test_message ("%s", text);
  assert_has (text, "PRIORITY=7\n", TRUE);
  assert_has (text, "MESSAGE=pool child: session 1 is open", TRUE);
  assert_has (text, "GLIB_DOMAIN=dbpool\n", TRUE);
  assert_has (text, "DBPOOL_POOL=child\n", TRUE);
  assert_has (text, "DBPOOL_CONNECTION=1\n", TRUE);
  assert_has (text, "DBPOOL_DURATION_US=", TRUE);
  g_unlink (path);
  close (fd);
}

/* In a child of fork() the parent's pool says nothing, whoever had its lock. */
static void
test_fork (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  DbConnection *connection;
  DbPool *pool;
  pid_t child;
  int status;

  pool = make_pool (manager, "parent", "slow-query-threshold", (gint64) 1, NULL);
  connection = acquire (pool);
  child = fork ();
  if (child == 0)
    {
      alarm (10);
      log_begin ();
      db_pool_evict_all (pool);
      db_pool_suspend (pool);
      g_object_unref (connection);
      g_clear_object (&(DbConnection *){db_pool_acquire (pool, NULL, NULL)});
      db_pool_close (pool, 0, NULL, NULL);
      _exit ((int) MIN (log_count (NULL), 100));
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  g_object_unref (connection);
  end_pool (pool);
}

/* Every event that the page names has come, and no other; but for those that have a test with the
 * backend or the configuration that they are of. */
static void
test_documented (void)
{
  static const char *const elsewhere[] = {"sql-values", "setting-ignored", "server-unverified",
                                          "handle-in-use", NULL};
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "docs", "logging.md", NULL);
  g_autofree char *page = NULL;
  g_auto (GStrv) lines = NULL;
  guint n = 0;

  if (!g_file_get_contents (path, &page, NULL, NULL))
    g_error ("%s is missing", path);
  lines = g_strsplit (page, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    {
      g_autofree char *event = NULL;

      if (!g_str_has_prefix (*line, "| `") || g_ascii_isupper ((*line)[3]))
        continue;
      event = g_strndup (*line + 3, strcspn (*line + 3, "`"));
      if (strchr (event, '-') == NULL && strcmp (event, "deadlock") != 0 &&
          strcmp (event, "statement") != 0)
        continue; /* a word of DBPOOL_DEBUG */
      if (g_str_has_prefix (event, "postgres-") || g_str_has_prefix (event, "sqlite-") ||
          g_strv_contains (elsewhere, event))
        continue;
      if (!g_hash_table_remove (seen, event))
        g_error ("%s did not come", event);
      n++;
    }
  g_assert_cmpuint (n, >, 20);
  g_assert_cmpuint (g_hash_table_size (seen), ==, 0);
}

int
main (int argc, char *argv[])
{
  const char *child = g_getenv ("DBPOOL_TEST_CHILD");

  if (child != NULL)
    {
      setlocale (LC_ALL, "");
      if (strcmp (child, "journal") == 0)
        g_log_set_writer_func (journal_writer, NULL, NULL);
      run_child ();
      return 0;
    }
  g_setenv ("DBPOOL_DEBUG", DEBUG_WORDS, TRUE);
  g_test_init (&argc, &argv, NULL);
  seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_test_add_func ("/log/life", test_life);
  g_test_add_func ("/log/outage", test_outage);
  g_test_add_func ("/log/no-outage", test_no_outage);
  g_test_add_func ("/log/leak", test_leak);
  g_test_add_func ("/log/faults", test_faults);
  g_test_add_func ("/log/deadlock", test_deadlock);
  g_test_add_func ("/log/slow-acquire", test_slow_acquire);
  g_test_add_func ("/log/statements", test_statements);
  g_test_add_func ("/log/retried", test_retried);
  g_test_add_func ("/log/limit", test_limit);
  g_test_add_func ("/log/limited", test_limited);
  g_test_add_func ("/log/writer", test_writer);
  g_test_add_func ("/log/words", test_words);
  g_test_add_func ("/log/messages-debug", test_messages_debug);
  g_test_add_func ("/log/journald", test_journald);
  g_test_add_func ("/log/fork", test_fork);
  g_test_add_func ("/log/documented", test_documented);
  return g_test_run ();
}
