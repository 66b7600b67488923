/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Processes that fork and execute: what is the parent's stays the parent's.
 *
 * Here: FRK-02, FRK-05, FRK-06; FRK-02 and FRK-05 also with a real SQLite file, and with a real
 * server in test-servers.c.
 *
 * A child of fork() has one thread and the parent's memory, so it does little here, says what it
 * saw by its exit status, and ends with _exit(). */

#include "config.h"

#include "scenario.h"

#include <sys/wait.h>
#include <unistd.h>

/* Each check of a child's has a number, which is the exit status when it fails. */
#define CHECK(number, condition)                                                                   \
  G_STMT_START                                                                                     \
  {                                                                                                \
    if (!(condition))                                                                              \
      _exit (number);                                                                              \
  }                                                                                                \
  G_STMT_END

static int
await_child (pid_t child)
{
  int status;

  g_assert_cmpint (child, >, 0);
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  return WEXITSTATUS (status);
}

static gboolean
is_forked_error (GError **error)
{
  gboolean is_one = g_error_matches (*error, DB_ERROR, DB_ERROR_FORKED);

  g_clear_error (error);
  return is_one;
}

/* Every call fails with FORKED or does nothing, and none blocks. */
static void
use_in_child (DbPool *pool, DbConnection *connection)
{
  GError *error = NULL;
  DbPoolStats *stats;

  alarm (20);
  CHECK (10, db_pool_acquire (pool, NULL, &error) == NULL && is_forked_error (&error));
  CHECK (11, db_pool_acquire_full (pool, 0, 0, NULL, NULL, &error) == NULL);
  CHECK (12, is_forked_error (&error));
  CHECK (13, db_pool_try_acquire (pool, &error) == NULL && is_forked_error (&error));
  CHECK (14, db_pool_query (pool, "SELECT 1", NULL, NULL, &error) == NULL);
  CHECK (15, is_forked_error (&error));
  CHECK (16, db_pool_warm_up (pool, 1, NULL, &error) == 0 && is_forked_error (&error));
  CHECK (17, !db_pool_close (pool, G_TIME_SPAN_SECOND, NULL, &error) && is_forked_error (&error));
  CHECK (18, db_connection_query (connection, "SELECT 1", NULL, NULL, &error) == NULL);
  g_clear_error (&error);
  CHECK (19,
         db_connection_manager_open_session (DB_CONNECTION_MANAGER (pool), NULL, &error) == NULL);
  CHECK (20, is_forked_error (&error));
  CHECK (21, db_pool_is_closed (pool));
  stats = db_pool_get_stats (pool);
  CHECK (22, db_pool_stats_get_total (stats) == 0);
  db_pool_stats_free (stats);
  db_pool_resize (pool, 1, 2);
  db_pool_evict_all (pool);
  db_pool_evict_idle (pool);
  db_pool_suspend (pool);
  db_pool_resume (pool);
  g_free (db_pool_dump (pool));
  db_connection_evict (connection);
  db_connection_release (connection);
  g_object_unref (connection);
  g_object_unref (pool);
}

/* FRK-02 */
static void
used_in_the_child (World *world)
{
  DbConnection *held;
  FakeLedger before;
  FakeLedger after;
  pid_t child;

  make_pool (world, "max-connections=3 min-connections=2 idle-timeout=0s");
  held = acquire (world->pool);
  await_stats (world->pool, "idle=1 lent=1 opening=0");
  before = fake_manager_get_ledger (world->manager);
  child = fork ();
  if (child == 0)
    {
      use_in_child (world->pool, held);
      after = fake_manager_get_ledger (world->manager);
      /* nothing was opened, closed, checked or reset */
      CHECK (30, after.opens == before.opens && after.closes == 0);
      CHECK (31, after.checks == before.checks && after.resets == 0);
      _exit (0);
    }
  g_assert_cmpint (await_child (child), ==, 0);
  /* The parent noticed nothing. */
  g_assert_false (db_connection_is_released (held));
  g_object_unref (held);
  assert_stats (world->pool, "idle=2 total=2 created=2 dropped=0");
}

static gpointer
use_all_the_time (gpointer data)
{
  World *world = data;

  while (!g_atomic_int_get (&world->stop))
    g_object_unref (acquire (world->pool));
  return NULL;
}

/* FRK-02: at whatever moment the fork comes, also while other threads hold the pool's locks. */
static void
forked_while_in_use (World *world)
{
  const guint n_forks = scenario_is_thorough () ? 300 : 30;
  GThread *threads[3];

  make_pool (world, "max-connections=2 connection-timeout=60s");
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("use", use_all_the_time, world);
  for (guint i = 0; i < n_forks; i++)
    {
      pid_t child = fork ();

      if (child == 0)
        {
          GError *error = NULL;

          alarm (20);
          /* nothing of GLib's that takes a lock, which another thread may have held */
          CHECK (10, db_pool_is_closed (world->pool));
          CHECK (11, db_pool_try_acquire (world->pool, &error) == NULL);
          CHECK (12, error->domain == DB_ERROR && error->code == DB_ERROR_FORKED);
          _exit (0);
        }
      g_assert_cmpint (await_child (child), ==, 0);
    }
  g_atomic_int_set (&world->stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  await_stats (world->pool, "lent=0 waiting=0");
}

/* A pool of its own works in the child. */
static void
use_own_pool (void)
{
  FakeManager *manager = fake_manager_new ();
  DbPoolConfig *config = make_config ("max-connections=2 min-connections=1 idle-timeout=50ms");
  GError *error = NULL;
  DbPool *pool = db_pool_new (DB_CONNECTION_MANAGER (manager), config, &error);
  DbConnection *connection;

  alarm (20);
  CHECK (40, pool != NULL);
  connection = db_pool_acquire (pool, NULL, &error);
  CHECK (41, connection != NULL);
  g_object_unref (connection);
  CHECK (42, db_pool_warm_up (pool, 2, NULL, &error) == 2);
  /* its timers run */
  while (fake_manager_get_ledger (manager).closes == 0)
    g_usleep (1000);
  CHECK (43, db_pool_close (pool, 10 * G_TIME_SPAN_SECOND, NULL, &error));
  CHECK (44, fake_manager_get_ledger (manager).live == 0);
}

/* FRK-06: a pool that was made, but not used, before the process became a daemon. It says so, and a
 * new one works. */
static void
daemonised (World *world)
{
  pid_t child;

  make_pool (world, "max-connections=2 min-connections=1");
  child = fork ();
  if (child == 0)
    {
      pid_t grandchild = fork ();
      int status;

      if (grandchild == 0)
        {
          GError *error = NULL;

          alarm (20);
          CHECK (10, db_pool_acquire (world->pool, NULL, &error) == NULL);
          CHECK (11, is_forked_error (&error));
          use_own_pool ();
          g_object_unref (world->pool);
          _exit (0);
        }
      CHECK (50, waitpid (grandchild, &status, 0) == grandchild);
      _exit (WIFEXITED (status) ? WEXITSTATUS (status) : 51);
    }
  g_assert_cmpint (await_child (child), ==, 0);
  g_object_unref (acquire (world->pool));
}

/* A new pool in a child whose parent's pools had a worker and jobs, and threads that wait for more
 * jobs: the child has none of them. */
static void
own_pool_in_the_child (World *world)
{
  pid_t child;

  make_pool (world, "max-connections=3 min-connections=2 idle-timeout=60s");
  g_object_unref (acquire (world->pool));
  await_stats (world->pool, "idle=2");
  /* GLib keeps threads for half a second for their pool, and then for any other one. */
  pass_time (800 * MS);
  child = fork ();
  if (child == 0)
    {
      use_own_pool ();
      _exit (0);
    }
  g_assert_cmpint (await_child (child), ==, 0);
  g_object_unref (acquire (world->pool));
}

/* The descriptors of this process that a program it executes would inherit. */
static guint
count_inheritable (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fdinfo", 0, NULL);
  const char *name;
  guint n = 0;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/fdinfo", name, NULL);
      g_autofree char *text = NULL;
      const char *flags;

      if (!g_file_get_contents (path, &text, NULL, NULL))
        continue;
      flags = strstr (text, "flags:");
      g_assert_nonnull (flags);
      /* octal */
      if ((g_ascii_strtoull (flags + strlen ("flags:") + 1, NULL, 8) & 02000000) == 0)
        n++;
    }
  return n;
}

/* FRK-05, of dbpool's own descriptors: those of its worker. */
static void
nothing_to_inherit (World *world)
{
  guint before = count_inheritable ();

  make_pool (world, "max-connections=3 min-connections=2 keepalive=20ms");
  g_object_unref (acquire (world->pool));
  fake_manager_await_calls (world->manager, FAKE_CHECK, 3);
  g_assert_cmpuint (count_inheritable (), ==, before);
}

#ifdef DB_HAS_SQLITE

typedef struct
{
  char *folder;
  char *path;
  DbConnectionManager *manager;
  DbPool *pool;
} File;

static void
file_begin (File *self, const char *settings)
{
  g_autoptr (GError) error = NULL;

  self->folder = g_dir_make_tmp ("dbpool-fork-XXXXXX", &error);
  g_assert_no_error (error);
  self->path = g_build_filename (self->folder, "test.db", NULL);
  self->manager = DB_CONNECTION_MANAGER (db_sqlite_manager_new (self->path));
  self->pool = make_pool_over (self->manager, "%s", settings);
}

static void
file_end (File *self)
{
  g_autoptr (GDir) dir = NULL;
  const char *name;

  end_pool (self->pool);
  assert_finalized_soon (self->manager);
  dir = g_dir_open (self->folder, 0, NULL);
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (self->folder, name, NULL);

      g_assert_cmpint (unlink (path), ==, 0);
    }
  g_assert_cmpint (rmdir (self->folder), ==, 0);
  g_free (self->folder);
  g_free (self->path);
}

static void
execute (DbPool *pool, const char *sql)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (db_pool_execute (pool, sql, NULL, NULL, &error), >=, 0);
  g_assert_no_error (error);
}

/* FRK-02 on a file: had the child closed a session, the parent would have lost its locks. */
static void
file_in_the_child (World *world)
{
  File file;
  DbConnection *writer;
  g_autoptr (DbTransaction) transaction = NULL;
  g_autoptr (GError) error = NULL;
  pid_t child;

  file_begin (&file, "max-connections=3");
  execute (file.pool, "CREATE TABLE t (i INTEGER)");
  writer = acquire (file.pool);
  transaction = db_connection_begin (writer, DB_ISOLATION_DEFAULT, 0, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_connection_execute (writer, "INSERT INTO t VALUES (1)", NULL, NULL, &error),
                   ==, 1);
  child = fork ();
  if (child == 0)
    {
      GError *child_error = NULL;

      alarm (20);
      CHECK (10, db_pool_acquire (file.pool, NULL, &child_error) == NULL);
      CHECK (11, is_forked_error (&child_error));
      CHECK (12, db_connection_query (writer, "SELECT 1", NULL, NULL, &child_error) == NULL);
      CHECK (13, is_forked_error (&child_error));
      g_object_unref (writer);
      g_object_unref (file.pool);
      _exit (0);
    }
  g_assert_cmpint (await_child (child), ==, 0);
  /* another process would get the lock that the parent had lost */
  child = fork ();
  if (child == 0)
    {
      GError *child_error = NULL;
      DbConnectionManager *manager = DB_CONNECTION_MANAGER (db_sqlite_manager_new (file.path));
      DbPool *pool;

      alarm (20);
      g_object_set (manager, "busy-timeout", (gint64) 100 * MS, NULL);
      pool = db_pool_new (manager, NULL, &child_error);
      CHECK (20, pool != NULL);
      CHECK (21, db_pool_execute (pool, "INSERT INTO t VALUES (2)", NULL, NULL, &child_error) < 0);
      CHECK (22, g_error_matches (child_error, DB_ERROR, DB_ERROR_BUSY));
      _exit (0);
    }
  g_assert_cmpint (await_child (child), ==, 0);
  g_assert_true (db_transaction_commit (transaction, NULL, &error));
  g_assert_no_error (error);
  g_clear_object (&transaction);
  g_object_unref (writer);
  {
    g_autoptr (DbResult) result =
      db_pool_query (file.pool, "SELECT count(*) FROM t", NULL, NULL, &error);

    g_assert_no_error (error);
    g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 1);
  }
  file_end (&file);
}

static void
open_and_close (DbPool *pool, World *world)
{
  while (!g_atomic_int_get (&world->stop))
    {
      DbConnection *connections[3];

      for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
        connections[i] = acquire (pool);
      for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
        {
          db_connection_evict (connections[i]);
          g_object_unref (connections[i]);
        }
    }
}

typedef struct
{
  World *world;
  DbPool *pool;
} Storm;

static gpointer
storm_thread (gpointer data)
{
  Storm *storm = data;

  open_and_close (storm->pool, storm->world);
  return NULL;
}

/* FRK-05 while files are opened and closed all the time. The child closes nothing by itself: what
 * it has not got, it did not inherit. */
static void
file_not_inherited (World *world)
{
  const guint n_spawns = scenario_is_thorough () ? 200 : 30;
  const char *argv[] = {"/bin/ls", "-l", "/proc/self/fd", NULL};
  Storm storm;
  File file;
  GThread *thread;

  file_begin (&file, "max-connections=3 connection-timeout=60s");
  execute (file.pool, "CREATE TABLE t (i INTEGER)");
  storm = (Storm){world, file.pool};
  thread = g_thread_new ("storm", storm_thread, &storm);
  for (guint i = 0; i < n_spawns; i++)
    {
      g_autofree char *output = NULL;
      g_autoptr (GError) error = NULL;

      g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL, NULL, &output,
                    NULL, NULL, &error);
      g_assert_no_error (error);
      g_assert_nonnull (strstr (output, "/proc/"));
      g_assert_null (strstr (output, "test.db"));
      g_assert_null (strstr (output, "eventpoll"));
    }
  g_atomic_int_set (&world->stop, TRUE);
  g_thread_join (thread);
  file_end (&file);
}

#endif

static void
add_all (void)
{
  scenario_add ("fork/used-in-the-child", used_in_the_child);
  scenario_add ("fork/while-in-use", forked_while_in_use);
  scenario_add ("fork/daemonised", daemonised);
  scenario_add ("fork/own-pool-in-the-child", own_pool_in_the_child);
  scenario_add ("exec/nothing-to-inherit", nothing_to_inherit);
#ifdef DB_HAS_SQLITE
  scenario_add ("fork/file-in-the-child", file_in_the_child);
  scenario_add ("exec/file-not-inherited", file_not_inherited);
#endif
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
