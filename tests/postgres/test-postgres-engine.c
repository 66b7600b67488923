/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a pool does with whole sessions of a real server: hooks, dedicated and detached sessions,
 * quotas, replacing what breaks, and moving to another database. The server is asked how many
 * sessions it has; nothing here goes by what the pool says of itself alone. */

#include "config.h"

#include "postgres-fixture.h"
#include "log-capture.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SECOND G_TIME_SPAN_SECOND

/* A provider of passwords. Whatever thread it runs on finds the one of the hour. */
typedef struct
{
  gpointer password; /* atomic: static string; NULL: there is none to be had */
  int n_calls;       /* atomic */
  int n_ends;        /* atomic: the pool has done with it */
} Vault;

static void
count_end (gpointer data)
{
  g_atomic_int_inc (&((Vault *) data)->n_ends);
}

static gboolean
provide_password (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  Vault *vault = data;
  const char *password = g_atomic_pointer_get (&vault->password);

  g_atomic_int_inc (&vault->n_calls);
  g_assert_true (DB_IS_POOL (pool));
  g_assert_true (DB_IS_DATABASE_CONFIG (subject));
  if (password == NULL)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED, "the vault is sealed");
      return FALSE;
    }
  db_database_config_set_password (DB_DATABASE_CONFIG (subject), password);
  return TRUE;
}

static DbPool *
make_rotating_pool (Vault *vault)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbDatabaseConfig) config =
    db_database_config_new_from_uri (g_getenv ("DBPOOL_TEST_POSTGRES_TCP_URI"), &error);
  g_autoptr (DbConnectionManager) manager = NULL;
  DbPool *pool;

  g_assert_no_error (error);
  g_object_set (config, "username", "rotator", "password", "geheim-0", NULL);
  manager = DB_CONNECTION_MANAGER (db_postgres_manager_new (config));
  pool = fixture_pool_new (manager, 0, 3);
  db_pool_set_hook (pool, DB_HOOK_BEFORE_CONNECT, provide_password, vault, count_end);
  return pool;
}

/* Sessions that are open go on when the password changes, and new ones log in with the new one. */
static void
test_password_provider (void)
{
  Vault vault = {(gpointer) "geheim-1", 0, 0};
  DbPool *pool;
  DbConnection *old, *young;
  g_autoptr (GError) error = NULL;

  fixture_admin ("CREATE ROLE rotator LOGIN PASSWORD 'geheim-1'");
  pool = make_rotating_pool (&vault);
  old = fixture_acquire (pool);
  g_assert_cmpint (fixture_ask (old, "SELECT 1"), ==, 1);

  fixture_admin ("ALTER ROLE rotator PASSWORD 'geheim-2'");
  g_atomic_pointer_set (&vault.password, (gpointer) "geheim-2");
  g_assert_cmpint (fixture_ask (old, "SELECT 2"), ==, 2);
  young = fixture_acquire (pool);
  g_assert_cmpint (fixture_ask (young, "SELECT 3"), ==, 3);
  g_assert_cmpint (fixture_pid (young), !=, fixture_pid (old));
  g_assert_cmpint (g_atomic_int_get (&vault.n_calls), ==, 2);
  db_connection_evict (old);
  db_connection_evict (young);
  g_object_unref (old);
  g_object_unref (young);
  FIXTURE_WAIT_UNTIL (fixture_gauge (pool, db_pool_stats_get_total) == 0);

  /* A provider that is behind the times, and one that fails, say so to who waits. */
  g_atomic_pointer_set (&vault.password, (gpointer) "geheim-1");
  g_assert_null (db_pool_acquire (pool, NULL, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, DB_ERROR, DB_ERROR_AUTHENTICATION);
  g_assert_null (strstr (error->message, "geheim"));
  g_clear_error (&error);
  g_atomic_pointer_set (&vault.password, NULL);
  do /* the pool may still be cooling down from the failure before */
    {
      g_clear_error (&error);
      g_assert_null (db_pool_acquire (pool, NULL, &error));
    }
  while (g_error_matches (error, DB_ERROR, DB_ERROR_AUTHENTICATION));
  g_test_message ("%s", error->message);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
  g_assert_nonnull (strstr (error->message, "the vault is sealed"));
  fixture_pool_close (pool);
  fixture_admin ("DROP ROLE rotator");
  /* A job that ends late may be the last to know of the hook. */
  FIXTURE_WAIT_UNTIL (g_atomic_int_get (&vault.n_ends) == 1);
}

static gboolean
alternate_name (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  g_autofree char *name = g_strdup_printf ("name-%d", g_atomic_int_add ((int *) data, 1) % 2);

  g_object_set (subject, "application-name", name, NULL);
  return TRUE;
}

/* Each session has a configuration of its own. */
static void
test_alternating_names (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_named_manager_new ("unchanged");
  DbPool *pool = fixture_pool_new (manager, 0, 4);
  DbConnection *connections[4];
  int n_calls = 0;

  db_pool_set_hook (pool, DB_HOOK_BEFORE_CONNECT, alternate_name, &n_calls, NULL);
  for (guint i = 0; i < 4; i++)
    connections[i] = fixture_acquire (pool);
  g_assert_cmpuint (fixture_count_backends ("name-0"), ==, 2);
  g_assert_cmpuint (fixture_count_backends ("name-1"), ==, 2);
  g_assert_cmpuint (fixture_count_backends ("unchanged"), ==, 0);
  for (guint i = 0; i < 4; i++)
    g_object_unref (connections[i]);
  g_object_unref (fixture_acquire (pool));
  g_assert_cmpint (n_calls, ==, 4); /* once for each session */
  fixture_pool_close (pool);
}

static gboolean
prepare_session (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  g_atomic_int_inc ((int *) data);
  return db_connection_execute_script (DB_CONNECTION (subject),
                                       "PREPARE answer AS SELECT 42::bigint; "
                                       "SET work_mem = '321kB'",
                                       NULL, error);
}

static void
assert_prepared (DbConnection *connection)
{
  g_autofree char *work_mem = fixture_ask_text (connection, "SELECT current_setting('work_mem')");

  g_assert_cmpstr (work_mem, ==, "321kB");
  g_assert_cmpint (fixture_ask (connection, "EXECUTE answer"), ==, 42);
}

/* What the hook prepares and sets is there for every borrower of every session, also where the one
 * before has changed it. */
static void
test_after_connect (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_named_manager_new ("prepared");
  DbPool *pool = fixture_pool_new (manager, 0, 3);
  DbConnection *connections[3];
  int n_calls = 0;

  db_pool_set_hook (pool, DB_HOOK_AFTER_CONNECT, prepare_session, &n_calls, NULL);
  for (guint round = 0; round < 4; round++)
    {
      for (guint i = 0; i < 3; i++)
        {
          connections[i] = fixture_acquire (pool);
          assert_prepared (connections[i]);
        }
      /* Clean returns ask no hook; the last two are not clean. */
      g_assert_cmpint (n_calls, ==, round < 3 ? 3 : 6);
      for (guint i = 0; i < 3; i++)
        {
          if (round >= 2)
            fixture_run (connections[i], "SET work_mem = '999kB'; DEALLOCATE ALL");
          g_object_unref (connections[i]);
        }
      FIXTURE_WAIT_UNTIL (fixture_gauge (pool, db_pool_stats_get_idle) == 3);
    }
  g_assert_cmpuint (fixture_counter (pool, db_pool_stats_get_created), ==, 3);
  fixture_pool_close (pool);
}

/* The second session is left in a transaction. */
static gboolean
leave_transaction (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  if (g_atomic_int_add ((int *) data, 1) != 1)
    return TRUE;
  return db_connection_execute (DB_CONNECTION (subject), "BEGIN", NULL, NULL, error) >= 0;
}

/* Such a session is not lent; another one takes its place. */
static void
test_after_connect_in_transaction (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_named_manager_new ("begun");
  DbPool *pool = fixture_pool_new (manager, 0, 2);
  DbConnection *first, *second;
  int n_calls = 0;

  db_pool_set_hook (pool, DB_HOOK_AFTER_CONNECT, leave_transaction, &n_calls, NULL);
  first = fixture_acquire (pool);
  log_begin ();
  second = fixture_acquire (pool);
  g_assert_cmpuint (log_count ("hook-left-session"), ==, 1);
  log_end ();
  g_assert_cmpint (n_calls, ==, 3);
  g_assert_cmpint (fixture_ask (second,
                                "SELECT count(*) FROM pg_stat_activity "
                                "WHERE application_name = 'begun' AND state LIKE 'idle in%'"),
                   ==, 0);
  g_assert_cmpuint (fixture_count_backends ("begun"), ==, 2);
  g_object_unref (first);
  g_object_unref (second);
  fixture_pool_close (pool);
}

typedef struct
{
  DbConnectionManager *manager;
  GCancellable *cancellable;
  DbSession *session;
  GError *error;
} Opening;

static gpointer
open_in_thread (gpointer data)
{
  Opening *opening = data;

  opening->session =
    db_connection_manager_open_session (opening->manager, opening->cancellable, &opening->error);
  return NULL;
}

/* A session of one's own counts against the limit, waits for its turn, and is not lent. */
static void
test_dedicated (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_named_manager_new ("dedicated");
  DbPool *pool = fixture_pool_new (manager, 0, 2);
  DbConnectionManager *self = DB_CONNECTION_MANAGER (pool);
  DbConnection *lent = fixture_acquire (pool);
  DbSession *session = fixture_open (self);
  Opening opening = {self};
  GThread *thread;

  fixture_assert_text (session, "SELECT 'mine'", "mine");
  g_assert_cmpuint (fixture_count_backends ("dedicated"), ==, 2);
  g_assert_cmpuint (fixture_gauge (pool, db_pool_stats_get_dedicated), ==, 1);
  g_assert_null (db_pool_try_acquire (pool, NULL));

  thread = g_thread_new ("opening", open_in_thread, &opening);
  for (guint i = 0; i < 20; i++) /* it has every opportunity to be wrong */
    g_assert_cmpuint (fixture_count_backends ("dedicated"), ==, 2);
  g_object_unref (lent); /* the idle session makes room for it */
  g_thread_join (thread);
  g_assert_no_error (opening.error);
  g_assert_cmpuint (fixture_count_backends ("dedicated"), ==, 2);
  g_assert_cmpuint (fixture_gauge (pool, db_pool_stats_get_dedicated), ==, 2);

  db_connection_manager_close_session (self, session);
  g_object_unref (session);
  g_assert_cmpuint (fixture_count_backends ("dedicated"), ==, 1);
  lent = fixture_acquire (pool);
  g_assert_cmpint (fixture_ask (lent, "SELECT 5"), ==, 5);
  g_assert_cmpuint (fixture_count_backends ("dedicated"), ==, 2);
  g_object_unref (lent);
  fixture_close (self, opening.session);
  fixture_pool_close (pool);
  g_assert_cmpuint (fixture_count_backends ("dedicated"), ==, 0);
}

/* Who waits for a session of his own can give up, and leaves no trace. */
static void
test_dedicated_cancelled (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_named_manager_new ("dedicated");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  DbPool *pool = fixture_pool_new (manager, 0, 1);
  DbConnectionManager *self = DB_CONNECTION_MANAGER (pool);
  DbConnection *lent = fixture_acquire (pool);
  Opening opening = {self, cancellable};
  GThread *thread = g_thread_new ("opening", open_in_thread, &opening);

  g_usleep (10 * G_TIME_SPAN_MILLISECOND); /* so that it waits, most likely */
  g_cancellable_cancel (cancellable);
  g_thread_join (thread);
  g_assert_null (opening.session);
  g_assert_error (opening.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&opening.error);

  g_object_set (db_pool_get_config (pool), "connection-timeout", 20 * G_TIME_SPAN_MILLISECOND,
                NULL);
  g_assert_null (db_connection_manager_open_session (self, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpint (fixture_ask (lent, "SELECT 1"), ==, 1);
  g_object_unref (lent);
  g_assert_cmpuint (fixture_gauge (pool, db_pool_stats_get_dedicated), ==, 0);
  fixture_pool_close (pool);
}

typedef struct
{
  DbPool *pool;
  DbConnection *connection;
  GError *error;
} Acquiring;

static gpointer
acquire_in_thread (gpointer data)
{
  Acquiring *acquiring = data;

  acquiring->connection = db_pool_acquire (acquiring->pool, NULL, &acquiring->error);
  return NULL;
}

/* Two pools share what a third one may open. */
static void
test_quota (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_named_manager_new ("quota");
  DbPool *server = fixture_pool_new (manager, 0, 3);
  DbPool *web = fixture_pool_new (DB_CONNECTION_MANAGER (server), 0, 2);
  DbPool *batch = fixture_pool_new (DB_CONNECTION_MANAGER (server), 0, 2);
  DbConnection *first = fixture_acquire (web);
  DbConnection *second = fixture_acquire (web);
  DbConnection *third = fixture_acquire (batch);
  Acquiring acquiring = {batch};
  GThread *thread;

  g_assert_cmpuint (fixture_count_backends ("quota"), ==, 3);
  g_assert_cmpuint (fixture_gauge (server, db_pool_stats_get_dedicated), ==, 3);
  thread = g_thread_new ("acquiring", acquire_in_thread, &acquiring);
  FIXTURE_WAIT_UNTIL (fixture_gauge (batch, db_pool_stats_get_waiting) == 1);
  for (guint i = 0; i < 20; i++)
    g_assert_cmpuint (fixture_count_backends ("quota"), ==, 3);

  /* Closing the one returns everything that it had, and the other gets it. */
  g_object_unref (first);
  g_object_unref (second);
  fixture_pool_close (web);
  g_thread_join (thread);
  g_assert_no_error (acquiring.error);
  g_assert_cmpint (fixture_ask (acquiring.connection, "SELECT 4"), ==, 4);
  g_assert_cmpuint (fixture_count_backends ("quota"), ==, 2);
  g_assert_cmpuint (fixture_gauge (server, db_pool_stats_get_dedicated), ==, 2);

  /* What the child's session leaves behind is cleaned by the parent's manager. */
  fixture_run (third, "SET work_mem = '777kB'; BEGIN");
  g_object_unref (third);
  third = fixture_acquire (batch);
  g_assert_cmpint (fixture_ask (third, "SELECT count(*) FROM pg_settings "
                                       "WHERE name = 'work_mem' AND setting = '777'"),
                   ==, 0);
  g_object_unref (third);
  g_object_unref (acquiring.connection);
  fixture_pool_close (batch);
  g_assert_cmpuint (fixture_gauge (server, db_pool_stats_get_total), ==, 0);
  g_assert_cmpuint (fixture_count_backends ("quota"), ==, 0);
  fixture_pool_close (server);
}

/* A session that was taken out of its pool is its holder's, and ends with his last reference. */
static void
test_detach (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_named_manager_new ("detached");
  DbPool *pool = fixture_pool_new (manager, 0, 2);
  DbConnection *detached[2];
  DbConnection *lent;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 2; i++)
    detached[i] = fixture_acquire (pool);
  for (guint i = 0; i < 2; i++)
    {
      db_connection_detach (detached[i], &error);
      g_assert_no_error (error);
      g_assert_cmpuint (fixture_gauge (pool, db_pool_stats_get_total), ==, 1 - i);
    }
  g_assert_cmpuint (fixture_counter (pool, db_pool_stats_get_detached), ==, 2);
  g_assert_cmpint (fixture_ask (detached[0], "SELECT 1"), ==, 1);

  lent = fixture_acquire (pool); /* the pool has room for two more */
  g_assert_cmpint (fixture_pid (lent), !=, fixture_pid (detached[0]));
  g_assert_cmpint (fixture_pid (lent), !=, fixture_pid (detached[1]));
  g_object_unref (lent);
  fixture_pool_close (pool);
  g_assert_cmpint (fixture_ask (detached[1], "SELECT 2"), ==, 2);
  g_assert_cmpuint (fixture_count_backends ("detached"), ==, 2);

  g_object_unref (detached[0]);
  FIXTURE_WAIT_UNTIL (fixture_count_backends ("detached") == 1);
  fixture_run (detached[1], "BEGIN"); /* nobody cleans it */
  g_object_unref (detached[1]);
  FIXTURE_WAIT_UNTIL (fixture_count_backends ("detached") == 0);
}

/* Idle sessions whose server process ends are dropped, and replaced below min-connections, without
 * anybody asking for one. */
static void
test_idle_terminated (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_named_manager_new ("terminated");
  DbPool *pool = fixture_pool_new (manager, 2, 3);
  DbConnection *connections[3];
  gint64 pids[3];

  for (guint i = 0; i < 3; i++)
    connections[i] = fixture_acquire (pool);
  for (guint i = 0; i < 3; i++)
    pids[i] = fixture_pid (connections[i]);
  for (guint i = 0; i < 3; i++)
    g_object_unref (connections[i]);
  g_assert_cmpuint (fixture_gauge (pool, db_pool_stats_get_idle), ==, 3);
  for (guint i = 0; i < 3; i++)
    fixture_terminate (pids[i]);
  FIXTURE_WAIT_UNTIL (fixture_dropped (pool, DB_DROP_BROKEN) == 3);
  FIXTURE_WAIT_UNTIL (fixture_gauge (pool, db_pool_stats_get_idle) == 2);
  g_assert_cmpuint (fixture_gauge (pool, db_pool_stats_get_total), ==, 2);
  g_assert_cmpuint (fixture_counter (pool, db_pool_stats_get_created), ==, 5);
  g_assert_cmpuint (fixture_count_backends ("terminated"), ==, 2);
  g_assert_cmpuint (fixture_counter (pool, db_pool_stats_get_requests), ==, 3);
  fixture_pool_close (pool);
}

/* A session whose server process does not react is not waited for longer than check-timeout says,
 * and the caller gets another one. */
static void
test_hung_check (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_named_manager_new ("hung");
  DbPool *pool = fixture_pool_new (manager, 0, 1);
  DbConnection *connection = fixture_acquire (pool);
  gint64 pid = fixture_pid (connection);
  g_autofree char *dump = db_pool_dump (pool);
  g_autofree char *name = g_strdup_printf ("backend %d", (int) pid);
  gint64 start;

  g_assert_nonnull (strstr (dump, name));
  g_object_unref (connection);
  if (kill ((pid_t) pid, SIGSTOP) != 0)
    {
      fixture_pool_close (pool);
      g_test_skip ("the server belongs to another user");
      return;
    }
  g_object_set (db_pool_get_config (pool), "validate-after-idle", (gint64) 0, "check-timeout",
                100 * G_TIME_SPAN_MILLISECOND, NULL);
  start = g_get_monotonic_time ();
  connection = fixture_acquire (pool);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 100 * G_TIME_SPAN_MILLISECOND);
  g_assert_cmpint (g_get_monotonic_time () - start, <, 20 * SECOND);
  g_assert_cmpint (fixture_pid (connection), !=, pid);
  g_assert_cmpuint (fixture_dropped (pool, DB_DROP_INVALID), ==, 1);
  kill ((pid_t) pid, SIGCONT);
  g_object_unref (connection);
  fixture_pool_close (pool);
  FIXTURE_WAIT_UNTIL (fixture_count_backends ("hung") == 0);
}

/* Counts the sessions of a name as fast as it can. */
typedef struct
{
  const char *name;
  int stop; /* atomic */
  guint n_samples;
  guint highest;
} Sampler;

static gpointer
sample (gpointer data)
{
  Sampler *sampler = data;

  while (!g_atomic_int_get (&sampler->stop))
    {
      guint n = fixture_count_backends (sampler->name);

      sampler->highest = MAX (sampler->highest, n);
      sampler->n_samples++;
    }
  fixture_stop_counting ();
  return NULL;
}

typedef struct
{
  DbPool *pool;
  guint n_rounds;
} Spender;

/* Uses up sessions, each in one of three ways. */
static gpointer
spend (gpointer data)
{
  Spender *spender = data;

  for (guint i = 0; i < spender->n_rounds; i++)
    {
      g_autoptr (DbConnection) connection = fixture_acquire (spender->pool);
      g_autoptr (GError) error = NULL;

      g_assert_cmpint (fixture_ask (connection, "SELECT 1"), ==, 1);
      if (i % 3 == 0)
        db_connection_evict (connection);
      else if (i % 3 == 1)
        {
          db_connection_execute (connection, "SELECT pg_terminate_backend(pg_backend_pid())", NULL,
                                 NULL, &error);
          g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
        } /* else it was used as often as it may be */
    }
  return NULL;
}

/* A role that may have no more sessions than the pool. */
static DbConnectionManager *
make_narrow_manager (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbDatabaseConfig) config =
    db_database_config_new_from_uri (g_getenv ("DBPOOL_TEST_POSTGRES_URI"), &error);

  g_assert_no_error (error);
  fixture_admin ("CREATE ROLE narrow LOGIN CONNECTION LIMIT 3");
  g_object_set (config, "username", "narrow", "application-name", "places", NULL);
  return DB_CONNECTION_MANAGER (db_postgres_manager_new (config));
}

/* A session has its place until the server has let go of it: the server, which counts for itself,
 * never refuses the next one. */
static void
test_places (void)
{
  g_autoptr (DbConnectionManager) manager = make_narrow_manager ();
  DbPool *pool = fixture_pool_new (manager, 1, 3);
  Spender spender = {pool, 50};
  Sampler sampler = {"places"};
  GThread *threads[4];
  GThread *sampling = g_thread_new ("sampler", sample, &sampler);

  g_object_set (db_pool_get_config (pool), "max-uses", 1, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("spender", spend, &spender);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (fixture_counter (pool, db_pool_stats_get_created), >=, 200);
  g_assert_cmpuint (fixture_counter (pool, db_pool_stats_get_create_failed), ==, 0);
  g_assert_cmpuint (fixture_dropped (pool, DB_DROP_BROKEN), ==, 4 * 17);
  fixture_pool_close (pool);
  g_assert_cmpuint (fixture_count_backends ("places"), ==, 0);
  g_atomic_int_set (&sampler.stop, TRUE);
  g_thread_join (sampling);
  g_test_message ("%u samples, at most %u sessions", sampler.n_samples, sampler.highest);
  g_assert_cmpuint (sampler.highest, <=, 3);
  g_assert_cmpuint (sampler.highest, >=, 2); /* it did see them */
  fixture_admin ("DROP ROLE narrow");
}

static DbConnectionManager *
make_manager_of (const char *database, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbDatabaseConfig) config =
    db_database_config_new_from_uri (g_getenv ("DBPOOL_TEST_POSTGRES_URI"), &error);

  g_assert_no_error (error);
  g_object_set (config, "database", database, "application-name", name, NULL);
  return DB_CONNECTION_MANAGER (db_postgres_manager_new (config));
}

typedef struct
{
  DbPool *pool;
  int stop;  /* atomic */
  int moved; /* atomic: loans that begin from now on are in the second database */
  int n_answers[2];
} Asker;

static gpointer
ask_where (gpointer data)
{
  Asker *asker = data;

  while (!g_atomic_int_get (&asker->stop))
    {
      gboolean moved = g_atomic_int_get (&asker->moved);
      g_autoptr (DbConnection) connection = fixture_acquire (asker->pool);
      g_autofree char *name = fixture_ask_text (connection, "SELECT current_database()::text");
      gboolean second = g_strcmp0 (name, "second") == 0;

      g_assert_true (second || !moved);
      g_atomic_int_inc (&asker->n_answers[second]);
    }
  return NULL;
}

static DbConnectionManager *
make_refused_manager (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbDatabaseConfig) config =
    db_database_config_new_from_uri (g_getenv ("DBPOOL_TEST_POSTGRES_TCP_URI"), &error);

  g_assert_no_error (error);
  db_database_config_set_password (config, "geheim");
  g_object_set (config, "application-name", "moving", NULL);
  return DB_CONNECTION_MANAGER (db_postgres_manager_new (config));
}

/* While others query without a pause, the pool moves to another database; to one that does not let
 * it in it does not move. */
static void
test_reconfigure (void)
{
  g_autoptr (DbConnectionManager) first = make_manager_of ("dbpool_test", "moving");
  g_autoptr (DbConnectionManager) second = NULL;
  g_autoptr (DbConnectionManager) refused = make_refused_manager ();
  g_autoptr (GError) error = NULL;
  Asker asker = {fixture_pool_new (first, 0, 3)};
  Sampler sampler = {"moving"};
  GThread *threads[4];
  GThread *sampling;

  fixture_admin ("CREATE DATABASE second");
  second = make_manager_of ("second", "moving");
  sampling = g_thread_new ("sampler", sample, &sampler);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("asker", ask_where, &asker);
  FIXTURE_WAIT_UNTIL (g_atomic_int_get (&asker.n_answers[0]) >= 100);

  g_assert_false (db_pool_reconfigure (asker.pool, refused, NULL, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, DB_ERROR, DB_ERROR_AUTHENTICATION);
  g_clear_error (&error);
  g_assert_true (db_pool_get_manager (asker.pool) == first);

  db_pool_reconfigure (asker.pool, second, NULL, &error);
  g_assert_no_error (error);
  g_atomic_int_set (&asker.moved, TRUE);
  g_assert_true (db_pool_get_manager (asker.pool) == second);
  FIXTURE_WAIT_UNTIL (g_atomic_int_get (&asker.n_answers[1]) >= 100);

  g_assert_false (db_pool_reconfigure (asker.pool, refused, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_AUTHENTICATION);
  g_atomic_int_set (&asker.stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_test_message ("%d answers of the first, %d of the second", asker.n_answers[0],
                  asker.n_answers[1]);
  fixture_pool_close (asker.pool);
  g_atomic_int_set (&sampler.stop, TRUE);
  g_thread_join (sampling);
  g_assert_cmpuint (sampler.highest, <=, 3);
  g_assert_cmpuint (fixture_count_backends ("moving"), ==, 0);
  fixture_admin ("DROP DATABASE second"); /* fails if somebody is still there */
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  alarm (120); /* the watchdog of the waits above */

#define ADD(name, function) g_test_add_func ("/postgres/engine/" name, function)
  ADD ("password-provider", test_password_provider);
  ADD ("alternating-names", test_alternating_names);
  ADD ("after-connect", test_after_connect);
  ADD ("after-connect-in-transaction", test_after_connect_in_transaction);
  ADD ("dedicated", test_dedicated);
  ADD ("dedicated-cancelled", test_dedicated_cancelled);
  ADD ("quota", test_quota);
  ADD ("detach", test_detach);
  ADD ("idle-terminated", test_idle_terminated);
  ADD ("hung-check", test_hung_check);
  ADD ("places", test_places);
  ADD ("reconfigure", test_reconfigure);
#undef ADD
  status = g_test_run ();
  fixture_stop_counting ();
  return status;
}
