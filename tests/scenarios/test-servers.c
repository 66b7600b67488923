/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The scenarios of this folder that are about what a real server does. Run by with-postgres.sh.
 *
 * Here: VAL-06, VAL-08, LIF-08, LEK-06, HOK-01, HOK-08, FRK-02, FRK-05. */

#include "config.h"

#include "scenario.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static DbPool *
make_server_pool (const char *settings)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbDatabaseConfig) config =
    db_database_config_new_from_uri (g_getenv ("DBPOOL_TEST_POSTGRES_URI"), &error);
  g_autoptr (DbPostgresManager) manager = NULL;

  g_assert_no_error (error);
  manager = db_postgres_manager_new (config);
  return make_pool_over (DB_CONNECTION_MANAGER (manager), "%s", settings);
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
execute (DbConnection *connection, const char *sql)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (db_connection_execute_script (connection, sql, NULL, &error));
  g_assert_no_error (error);
}

static gint64
get_pid (DbConnection *connection)
{
  return ask (connection, "SELECT pg_backend_pid ()");
}

/* Borrows, asks who serves, returns. */
static gint64
borrow_pid (DbPool *pool)
{
  g_autoptr (DbConnection) connection = acquire (pool);

  return get_pid (connection);
}

/* Ends the process that serves @connection, and returns when that is known here. */
static void
terminate (DbPool *admin, DbConnection *connection)
{
  GVariant *params = g_variant_new ("(x)", get_pid (connection));
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result =
    db_pool_query (admin, "SELECT pg_terminate_backend ($1::int)", params, NULL, &error);

  g_assert_no_error (error);
  while (db_connection_execute (connection, "SELECT 1", NULL, NULL, &error) >= 0)
    scenario_pause ();
  g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
}

static void
assert_idle (DbConnection *connection)
{
  g_assert_cmpint (db_session_get_state (db_connection_get_session (connection)), ==,
                   DB_SESSION_IDLE);
}

/* VAL-06: whatever the borrower did, and although each loan is preceded by a check. */
static void
checks_leave_no_transaction (World *world)
{
  static const char *const deeds[] = {"SELECT 1", "BEGIN", "BEGIN; SELECT 1"};
  DbPool *pool = make_server_pool ("max-connections=1 validate-after-idle=0s");
  gint64 pid = borrow_pid (pool);

  for (guint i = 0; i < G_N_ELEMENTS (deeds); i++)
    {
      g_autoptr (DbConnection) connection = acquire (pool);
      g_autoptr (GError) error = NULL;

      assert_idle (connection);
      g_assert_cmpint (get_pid (connection), ==, pid);
      execute (connection, deeds[i]);
      /* a failed statement makes a transaction a failed one */
      g_assert_false (
        db_connection_execute_script (connection, "SELECT i FROM nowhere", NULL, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
    }
  assert_stats (pool, "created=1 dropped=0");
  g_assert_cmpint (borrow_pid (pool), ==, pid);
  end_pool (pool);
}

/* VAL-06: an idle session that died is found by its check, if it was not noticed before, and the
 * caller sees nothing of it. */
static void
check_finds_a_dead_session (World *world)
{
  DbPool *admin = make_server_pool ("max-connections=1");
  DbPool *pool = make_server_pool ("max-connections=1 validate-after-idle=0s");
  gint64 pid = borrow_pid (pool);
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result =
    db_pool_query (admin, "SELECT pg_terminate_backend ($1::int, 10000)",
                   g_variant_new ("(x)", pid), NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpint (borrow_pid (pool), !=, pid);
  assert_stats (pool, "created=2 dropped=1 errors=0");
  end_pool (pool);
  end_pool (admin);
}

/* VAL-08: the session dies while it is lent; its borrower sees that. */
static void
dies_in_use (World *world)
{
  DbPool *admin = make_server_pool ("max-connections=1");
  DbPool *pool = make_server_pool ("max-connections=1");
  DbConnection *connection = acquire (pool);
  gint64 pid = get_pid (connection);

  terminate (admin, connection);
  g_object_unref (connection);
  g_assert_cmpint (borrow_pid (pool), !=, pid);
  assert_stats (pool, "created=2 dropped-broken=1 dropped=1");
  end_pool (pool);
  end_pool (admin);
}

static void
set_idle_session_timeout (DbPool *pool, const char *value)
{
  g_autoptr (DbConnection) connection = acquire (pool);
  g_autofree char *sql =
    g_strdup_printf ("ALTER ROLE dbpool SET idle_session_timeout = '%s'", value);

  execute (connection, sql);
}

/* LIF-08: a server that ends sessions which nobody uses for 700 ms. */
static void
keepalive (World *world)
{
  DbPool *admin = make_server_pool ("max-connections=1 idle-timeout=0s");
  DbPool *pool;
  gint64 pid;

  set_idle_session_timeout (admin, "700ms");
  pool = make_server_pool ("max-connections=1 keepalive=200ms idle-timeout=0s");
  pid = borrow_pid (pool);
  pass_time (1200 * MS);
  g_assert_cmpint (borrow_pid (pool), ==, pid);
  assert_stats (pool, "created=1 dropped=0 acquired=2");
  end_pool (pool);

  pool = make_server_pool ("max-connections=1 keepalive=0s idle-timeout=0s");
  pid = borrow_pid (pool);
  await_stats (pool, "dropped-broken=1 total=0");
  g_assert_cmpint (borrow_pid (pool), !=, pid);
  assert_stats (pool, "created=2 acquired=2 errors=0");
  end_pool (pool);

  set_idle_session_timeout (admin, "0");
  end_pool (admin);
}

static guint
count_descriptors (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

/* LEK-06 */
static void
no_descriptor_or_backend_leaks (World *world)
{
  const guint n_rounds = scenario_is_thorough () ? 500 : 60;
  DbPool *admin = make_server_pool ("max-connections=1 idle-timeout=0s");
  DbPool *pool = make_server_pool ("max-connections=4");
  guint before;

  borrow_pid (admin);
  borrow_pid (pool);
  before = count_descriptors ();
  for (guint i = 0; i < n_rounds; i++)
    {
      g_autoptr (DbConnection) connection = acquire (pool);

      terminate (admin, connection);
      if (i % 10 == 0)
        {
          g_autoptr (DbConnection) asker = acquire (admin);

          g_assert_cmpint (ask (asker, "SELECT count (*) FROM pg_stat_activity "
                                       "WHERE usename = 'dbpool' AND pid <> pg_backend_pid ()"),
                           <=, 4);
        }
    }
  await_stats (pool, "lent=0 closing=0 busy=0 idle=0 total=0");
  assert_stats (pool, "dropped-broken=%u created=%u", n_rounds, n_rounds);
  g_assert_cmpuint (count_descriptors (), <=, before);
  end_pool (pool);
  end_pool (admin);
}

static gboolean
set_up (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  g_atomic_int_inc ((gint *) data);
  return db_connection_execute_script (DB_CONNECTION (subject),
                                       "SET work_mem = '1234kB'; PREPARE seven AS SELECT 7", NULL,
                                       error);
}

static void
assert_set_up (DbConnection *connection)
{
  g_assert_cmpint (ask (connection, "EXECUTE seven"), ==, 7);
  g_assert_cmpint (ask (connection, "SELECT setting::int FROM pg_settings WHERE name = 'work_mem'"),
                   ==, 1234);
}

/* HOK-01, and HOK-08: what the hook sets up is there for each borrower, also after a borrower who
 * changed it. */
static void
after_connect (World *world)
{
  DbPool *pool = make_server_pool ("max-connections=2");
  gint n_calls = 0;
  DbConnection *a;
  DbConnection *b;
  gint64 pid;

  db_pool_set_hook (pool, DB_HOOK_AFTER_CONNECT, set_up, &n_calls, NULL);
  a = acquire (pool);
  b = acquire (pool);
  assert_set_up (a);
  assert_set_up (b);
  g_assert_cmpint (g_atomic_int_get (&n_calls), ==, 2);
  g_object_unref (a);
  pid = get_pid (b);
  execute (b, "RESET work_mem; DEALLOCATE ALL");
  g_object_unref (b);
  await_stats (pool, "idle=2 busy=0");
  b = acquire (pool);
  g_assert_cmpint (get_pid (b), ==, pid);
  assert_set_up (b);
  g_object_unref (b);
  assert_stats (pool, "created=2 dropped=0");
  end_pool (pool);
}

/* HOK-08: what a borrower sets, locks and listens to is gone for the next one. */
static void
reset (World *world)
{
  DbPool *pool = make_server_pool ("max-connections=1");
  DbConnection *connection = acquire (pool);
  gint64 pid = get_pid (connection);

  execute (connection, "SET timezone = 'Asia/Tokyo'; LISTEN news; "
                       "CREATE TEMP TABLE scratch (i int); SELECT pg_advisory_lock (7)");
  g_object_unref (connection);
  connection = acquire (pool);
  g_assert_cmpint (get_pid (connection), ==, pid);
  assert_idle (connection);
  g_assert_cmpint (ask (connection, "SELECT count (*) FROM pg_settings "
                                    "WHERE name = 'TimeZone' AND setting = 'Asia/Tokyo'"),
                   ==, 0);
  g_assert_cmpint (ask (connection, "SELECT count (*) FROM pg_listening_channels ()"), ==, 0);
  g_assert_cmpint (ask (connection, "SELECT count (*) FROM pg_class WHERE relname = 'scratch'"), ==,
                   0);
  g_assert_cmpint (ask (connection, "SELECT count (*) FROM pg_locks WHERE locktype = 'advisory'"),
                   ==, 0);
  g_object_unref (connection);
  end_pool (pool);
}

static gboolean
name_each (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  gint n = g_atomic_int_add ((gint *) data, 1) + 1;
  g_autofree char *name = g_strdup_printf ("session %d", n);

  g_assert_true (DB_IS_DATABASE_CONFIG (subject));
  g_object_set (subject, "application-name", name, NULL);
  return TRUE;
}

/* HOK-01: each session is opened with a configuration of its own, which is the hook's to change. */
static void
before_connect (World *world)
{
  DbPool *pool = make_server_pool ("max-connections=3");
  gint n_calls = 0;
  DbConnection *connections[3];

  db_pool_set_hook (pool, DB_HOOK_BEFORE_CONNECT, name_each, &n_calls, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    connections[i] = acquire (pool);
  g_assert_cmpint (ask (connections[0],
                        "SELECT count (DISTINCT application_name) "
                        "FROM pg_stat_activity WHERE application_name LIKE 'session %'"),
                   ==, 3);
  g_assert_cmpint (g_atomic_int_get (&n_calls), ==, 3);
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    g_object_unref (connections[i]);
  end_pool (pool);
}

/* FRK-02: the child says nothing on the parent's sockets, not even a good-bye. */
static void
used_in_the_child (World *world)
{
  DbPool *pool = make_server_pool ("max-connections=2 idle-timeout=0s");
  DbConnection *held = acquire (pool);
  gint64 pid = get_pid (held);
  gint64 idle_pid = borrow_pid (pool);
  pid_t child = fork ();
  int status;

  if (child == 0)
    {
      GError *error = NULL;

      alarm (20);
      if (db_connection_query (held, "SELECT 1", NULL, NULL, &error) != NULL)
        _exit (1);
      g_clear_error (&error);
      if (db_pool_acquire (pool, NULL, &error) != NULL)
        _exit (2);
      if (!g_error_matches (error, DB_ERROR, DB_ERROR_FORKED))
        _exit (3);
      g_object_unref (held);
      g_object_unref (pool);
      /* with a pool of its own, other processes of the server's serve it */
      pool = make_server_pool ("max-connections=1");
      if (borrow_pid (pool) == pid || borrow_pid (pool) == idle_pid)
        _exit (4);
      if (!db_pool_close (pool, 10 * SECOND, NULL, NULL))
        _exit (5);
        /* the handlers that exit() runs have no say either; one of a sanitizer's takes for leaks
         * what is the parent's */
#ifdef __SANITIZE_ADDRESS__
      _exit (0);
#else
      exit (0);
#endif
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
  g_assert_cmpint (get_pid (held), ==, pid);
  g_object_unref (held);
  g_assert_cmpint (borrow_pid (pool), ==, pid);
  assert_stats (pool, "idle=2 created=2 dropped=0");
  end_pool (pool);
}

typedef struct
{
  World *world;
  DbPool *pool;
} Storm;

static gpointer
open_and_close (gpointer data)
{
  Storm *self = data;

  while (!g_atomic_int_get (&self->world->stop))
    {
      g_autoptr (DbConnection) connection = acquire (self->pool);

      db_connection_evict (connection);
    }
  return NULL;
}

/* FRK-05 */
static void
sockets_not_inherited (World *world)
{
  const guint n_spawns = scenario_is_thorough () ? 200 : 30;
  const char *argv[] = {"/bin/ls", "-l", "/proc/self/fd", NULL};
  Storm storm = {world, make_server_pool ("max-connections=3 connection-timeout=60s")};
  GThread *threads[2] = {NULL, NULL};
  guint n_before = 0;

  for (guint i = 0; i <= n_spawns; i++)
    {
      g_autofree char *output = NULL;
      g_autoptr (GError) error = NULL;
      guint n = 0;

      g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL, NULL, &output,
                    NULL, NULL, &error);
      g_assert_no_error (error);
      for (const char *c = output; (c = strstr (c, "socket:")) != NULL; c++)
        n++;
      g_assert_null (strstr (output, "eventpoll"));
      if (i == 0)
        {
          /* what the program that started us left open */
          n_before = n;
          for (guint k = 0; k < G_N_ELEMENTS (threads); k++)
            threads[k] = g_thread_new ("storm", open_and_close, &storm);
        }
      g_assert_cmpuint (n, ==, n_before);
    }
  g_atomic_int_set (&world->stop, TRUE);
  for (guint k = 0; k < G_N_ELEMENTS (threads); k++)
    g_thread_join (threads[k]);
  end_pool (storm.pool);
}

static void
add_all (void)
{
  scenario_add ("servers/checks-leave-no-transaction", checks_leave_no_transaction);
  scenario_add ("servers/check-finds-a-dead-session", check_finds_a_dead_session);
  scenario_add ("servers/dies-in-use", dies_in_use);
  scenario_add ("servers/keepalive", keepalive);
  scenario_add ("servers/no-descriptor-or-backend-leaks", no_descriptor_or_backend_leaks);
  scenario_add ("servers/after-connect", after_connect);
  scenario_add ("servers/reset", reset);
  scenario_add ("servers/before-connect", before_connect);
  scenario_add ("servers/used-in-the-child", used_in_the_child);
  scenario_add ("servers/sockets-not-inherited", sockets_not_inherited);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
