/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Pools over real SQLite files: the write token as borrowers see it, dedicated and detached
 * sessions, and what a process leaves to its children. */

#include "config.h"

#include "dbpool.h"
#include "sqlite-test-utils.h"

#include <sys/wait.h>
#include <unistd.h>

/* For what happens without us; main() sets an alarm for what never does. */
#define WAIT_UNTIL(condition)                                                                      \
  G_STMT_START                                                                                     \
  {                                                                                                \
    while (!(condition))                                                                           \
      g_usleep (1000);                                                                             \
  }                                                                                                \
  G_STMT_END

static char *program; /* the path of this one */

static DbPool *
make_pool (DbConnectionManager *manager, guint max)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (GError) error = NULL;
  DbPool *pool;

  g_object_set (config, "max-connections", max, NULL);
  pool = db_pool_new (manager, config, &error);
  g_assert_no_error (error);
  return pool;
}

/* Two tests need it short, the others long enough to be a hang. */
static DbPool *
make_file_pool (const char *file, guint max, gint64 busy_timeout)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (file);

  g_object_set (manager, "busy-timeout", busy_timeout, NULL);
  return make_pool (DB_CONNECTION_MANAGER (manager), max);
}

static void
close_pool (DbPool *pool)
{
  g_autoptr (GError) error = NULL;

  db_pool_close (pool, 30 * G_TIME_SPAN_SECOND, NULL, &error);
  g_assert_no_error (error);
  g_object_unref (pool);
}

static guint
gauge (DbPool *pool, guint (*getter) (const DbPoolStats *))
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  return getter (stats);
}

static DbConnection *
acquire (DbPool *pool)
{
  g_autoptr (GError) error = NULL;
  DbConnection *connection = db_pool_acquire (pool, NULL, &error);

  g_assert_no_error (error);
  return connection;
}

static void
execute (DbConnection *connection, const char *sql)
{
  g_autoptr (GError) error = NULL;

  db_connection_execute_script (connection, sql, NULL, &error);
  g_assert_no_error (error);
}

static gint64
ask (DbConnection *connection, const char *sql)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = db_connection_query (connection, sql, NULL, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  return db_result_get_int64 (result, 0, 0);
}

static gint64
ask_pool (DbPool *pool, const char *sql)
{
  g_autoptr (DbConnection) connection = acquire (pool);

  return ask (connection, sql);
}

static void
create_table (DbPool *pool)
{
  g_autoptr (DbConnection) connection = acquire (pool);

  execute (connection, "CREATE TABLE t (a)");
}

/* Who writes is not in the way of those who read, and is named to those who want to write. */
static void
test_writer_and_readers (Fixture *fixture, gconstpointer data)
{
  DbPool *pool = make_file_pool (fixture->file, 4, 50 * G_TIME_SPAN_MILLISECOND);
  g_autoptr (DbConnection) writer = NULL;
  g_autoptr (DbConnection) reader = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *dump = NULL;
  gint64 start = g_get_monotonic_time ();

  create_table (pool);
  writer = acquire (pool);
  execute (writer, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)");
  for (guint i = 0; i < 200; i++) /* with a wait for the token this would take 10 s, and fail */
    g_assert_cmpint (ask_pool (pool, "SELECT count(*) FROM t"), ==, 0);
  reader = db_pool_acquire_full (pool, DB_ACQUIRE_READ_ONLY, -1, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (ask (reader, "SELECT count(*) FROM t"), ==, 0);
  g_assert_cmpint (g_get_monotonic_time () - start, <, 10 * G_TIME_SPAN_SECOND);

  g_assert_cmpint (db_pool_execute (pool, "INSERT INTO t VALUES (2)", NULL, NULL, &error), ==, -1);
  g_test_message ("%s", error->message);
  g_assert_error (error, DB_ERROR, DB_ERROR_BUSY);
  assert_contains (error->message, "has been writing for");
  assert_contains (error->message, "(since its BEGIN IMMEDIATE)");
  dump = db_pool_dump (pool);
  g_test_message ("%s", dump);
  assert_contains (dump, "writes for ");
  assert_contains (dump, "(since its BEGIN IMMEDIATE)");

  execute (writer, "COMMIT");
  g_assert_cmpint (ask (reader, "SELECT count(*) FROM t"), ==, 1);
  g_assert_cmpint (db_pool_execute (pool, "INSERT INTO t VALUES (2)", NULL, NULL, NULL), ==, 1);
  g_clear_object (&reader);
  g_clear_object (&writer);
  close_pool (pool);
}

typedef struct
{
  DbPool *pool;
  GError *error;
} Insertion;

static gpointer
insert_in_thread (gpointer data)
{
  Insertion *insertion = data;

  db_pool_execute (insertion->pool, "INSERT INTO t VALUES (3)", NULL, NULL, &insertion->error);
  return NULL;
}

static char *
describe_all (DbPool *pool)
{
  g_autoptr (GListModel) list = db_pool_get_connections (pool);
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < g_list_model_get_n_items (list); i++)
    {
      g_autoptr (DbConnectionInfo) info = g_list_model_get_item (list, i);
      g_autofree char *activity = db_connection_info_dup_activity (info);

      g_string_append_printf (text, "%s\n", activity != NULL ? activity : "-");
    }
  return g_string_free (text, FALSE);
}

/* The list of a pool's sessions says which one writes and which one waits for it. */
static void
test_activity (Fixture *fixture, gconstpointer data)
{
  DbPool *pool = make_file_pool (fixture->file, 4, 60 * G_TIME_SPAN_SECOND);
  Insertion insertion = {pool};
  g_autoptr (DbConnection) writer = NULL;
  GThread *thread;
  gboolean seen = FALSE;

  create_table (pool);
  writer = acquire (pool);
  execute (writer, "BEGIN IMMEDIATE");
  thread = g_thread_new ("insertion", insert_in_thread, &insertion);
  while (!seen)
    {
      g_autofree char *text = describe_all (pool);

      assert_contains (text, "writes for ");
      seen = strstr (text, "waits for the write token for ") != NULL;
    }
  execute (writer, "ROLLBACK");
  g_thread_join (thread);
  g_assert_no_error (insertion.error);
  g_clear_object (&writer);
  g_assert_cmpint (ask_pool (pool, "SELECT a FROM t"), ==, 3);
  close_pool (pool);
}

#define N_ROUNDS 100

typedef struct
{
  DbPool *pool;
  DbTransactionFlags flags;
  int n_committed; /* atomic */
  int n_lost;      /* atomic */
} Crowd;

/* Only who has read before it writes may lose, and is told to begin again. */
static gboolean
transfer (Crowd *crowd, DbConnection *connection)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbTransaction) transaction =
    db_connection_begin (connection, DB_ISOLATION_DEFAULT, crowd->flags, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpint (ask (connection, "SELECT sum(money) FROM account"), ==, 1000);
  if (db_connection_execute (connection, "UPDATE account SET money = money - 1 WHERE id = 1", NULL,
                             NULL, &error) < 0)
    {
      g_assert_error (error, DB_ERROR, DB_ERROR_SERIALIZATION);
      g_assert_true (crowd->flags & DB_TRANSACTION_DEFERRED);
      return FALSE; /* the pool rolls it back */
    }
  db_connection_execute (connection, "UPDATE account SET money = money + 1 WHERE id = 2", NULL,
                         NULL, &error);
  g_assert_no_error (error);
  db_transaction_commit (transaction, NULL, &error);
  g_assert_no_error (error);
  return TRUE;
}

static gpointer
crowd_thread (gpointer data)
{
  Crowd *crowd = data;

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr (DbConnection) connection = acquire (crowd->pool);

      g_atomic_int_inc (transfer (crowd, connection) ? &crowd->n_committed : &crowd->n_lost);
    }
  return NULL;
}

/* Eight threads, two kinds of transactions, one pool: nobody is told that the file is locked. */
static void
test_crowd (Fixture *fixture, gconstpointer data)
{
  DbPool *pool = make_file_pool (fixture->file, 4, 60 * G_TIME_SPAN_SECOND);
  Crowd crowds[2] = {{pool, DB_TRANSACTION_NONE}, {pool, DB_TRANSACTION_DEFERRED}};
  g_autoptr (DbConnection) connection = acquire (pool);
  GThread *threads[8];

  execute (connection, "CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER); "
                       "INSERT INTO account VALUES (1, 500), (2, 500)");
  g_clear_object (&connection);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("crowd", crowd_thread, &crowds[i % 2]);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_test_message ("%d of the deferred ones lost", crowds[1].n_lost);
  g_assert_cmpint (crowds[0].n_committed, ==, 4 * N_ROUNDS);
  g_assert_cmpint (ask_pool (pool, "SELECT money FROM account WHERE id = 2"), ==,
                   500 + crowds[0].n_committed + crowds[1].n_committed);
  close_pool (pool);
}

static void
test_read_only (Fixture *fixture, gconstpointer data)
{
  DbPool *pool = make_file_pool (fixture->file, 1, G_TIME_SPAN_SECOND);
  g_autoptr (DbConnection) reader = NULL;
  g_autoptr (GError) error = NULL;

  create_table (pool);
  reader = db_pool_acquire_full (pool, DB_ACQUIRE_READ_ONLY, -1, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_connection_execute (reader, "INSERT INTO t VALUES (1)", NULL, NULL, &error),
                   ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_READ_ONLY);
  g_clear_error (&error);
  g_assert_cmpint (ask (reader, "SELECT count(*) FROM t"), ==, 0);
  g_clear_object (&reader);
  g_assert_cmpint (db_pool_execute (pool, "INSERT INTO t VALUES (1)", NULL, NULL, &error), ==, 1);
  g_assert_no_error (error);
  close_pool (pool);
}

static const char *const traces[] = {
  "SELECT count(*) FROM temp.sqlite_schema WHERE name = 'scratch'",
  "SELECT count(*) FROM pragma_database_list WHERE name = 'other'",
  "SELECT cache_size = 77 FROM pragma_cache_size",
  "SELECT NOT foreign_keys FROM pragma_foreign_keys",
};

/* What the next borrower finds of what the one before did to the session. */
static void
test_reset (Fixture *fixture, gconstpointer data)
{
  DbResetLevel level = GPOINTER_TO_INT (data);
  DbPool *pool = make_file_pool (fixture->file, 1, G_TIME_SPAN_SECOND);
  g_autoptr (DbConnection) connection = NULL;
  DbSession *session;

  g_object_set (db_pool_get_config (pool), "reset-level", level, NULL);
  create_table (pool);
  connection = acquire (pool);
  session = db_connection_get_session (connection);
  execute (connection, "CREATE TEMP TABLE scratch (a); ATTACH ':memory:' AS other; "
                       "PRAGMA cache_size = 77; PRAGMA foreign_keys = OFF; "
                       "BEGIN; INSERT INTO t VALUES (1)");
  g_clear_object (&connection);
  connection = acquire (pool);
  g_assert_true (db_connection_get_session (connection) == session);
  g_assert_cmpint (ask (connection, "SELECT count(*) FROM t"), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (traces); i++)
    g_assert_cmpint (ask (connection, traces[i]), ==, level == DB_RESET_NONE);
  g_clear_object (&connection);
  close_pool (pool);
}

/* What this process has open that belongs to @folder. */
static guint
count_open_files (const char *folder)
{
  GDir *dir = g_dir_open ("/proc/self/fd", 0, NULL);
  const char *name;
  guint n = 0;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/fd", name, NULL);
      g_autofree char *target = g_file_read_link (path, NULL);

      n += target != NULL && g_str_has_prefix (target, folder);
    }
  g_dir_close (dir);
  return n;
}

/* A session that was taken out of its pool works on, before and after the pool's end, and its file
 * is closed with the last reference. */
static void
test_detach (Fixture *fixture, gconstpointer data)
{
  DbPool *pool = make_file_pool (fixture->file, 1, G_TIME_SPAN_SECOND);
  g_autoptr (DbConnection) detached = NULL;
  g_autoptr (GError) error = NULL;

  create_table (pool);
  detached = acquire (pool);
  db_connection_detach (detached, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (gauge (pool, db_pool_stats_get_total), ==, 0);
  execute (detached, "INSERT INTO t VALUES (1)");
  g_assert_cmpint (ask_pool (pool, "SELECT count(*) FROM t"), ==, 1);
  close_pool (pool);
  g_assert_cmpint (ask (detached, "SELECT count(*) FROM t"), ==, 1);
  g_assert_cmpuint (count_open_files (fixture->folder), >, 0);
  execute (detached, "BEGIN IMMEDIATE"); /* and with it the write token */
  g_clear_object (&detached);
  WAIT_UNTIL (count_open_files (fixture->folder) == 0);

  pool = make_file_pool (fixture->file, 1, G_TIME_SPAN_SECOND);
  g_assert_cmpint (db_pool_execute (pool, "INSERT INTO t VALUES (2)", NULL, NULL, &error), ==, 1);
  g_assert_no_error (error);
  close_pool (pool);
}

/* A session of one's own, and a pool within a pool. */
static void
test_quota (Fixture *fixture, gconstpointer data)
{
  DbPool *parent = make_file_pool (fixture->file, 2, G_TIME_SPAN_SECOND);
  DbConnectionManager *self = DB_CONNECTION_MANAGER (parent);
  DbPool *child = make_pool (self, 5);
  DbSession *session;
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (GError) error = NULL;

  create_table (child);
  session = db_connection_manager_open_session (self, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 0);
  g_assert_cmpuint (gauge (parent, db_pool_stats_get_dedicated), ==, 2);
  g_assert_null (db_pool_try_acquire (parent, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_EXHAUSTED);
  connection = acquire (child);
  execute (connection, "CREATE TEMP TABLE scratch (a)");
  g_clear_object (&connection);
  g_assert_cmpint (ask_pool (child, traces[0]), ==, 0);
  close_pool (child);
  g_assert_cmpuint (gauge (parent, db_pool_stats_get_dedicated), ==, 1);
  db_connection_manager_close_session (self, session);
  g_object_unref (session);
  g_assert_cmpuint (gauge (parent, db_pool_stats_get_total), ==, 0);
  close_pool (parent);
  g_assert_cmpuint (count_open_files (fixture->folder), ==, 0);
}

static gboolean
note_subject (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  g_assert_null (subject);
  g_atomic_int_inc ((int *) data);
  return TRUE;
}

static gboolean
set_up_session (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  g_atomic_int_inc ((int *) data);
  return db_connection_execute_script (DB_CONNECTION (subject), "PRAGMA cache_size = 77", NULL,
                                       error);
}

/* A file has no configuration to change; what a hook sets is there for every borrower. */
static void
test_hooks (Fixture *fixture, gconstpointer data)
{
  DbPool *pool = make_file_pool (fixture->file, 2, G_TIME_SPAN_SECOND);
  DbConnection *connections[2];
  int n_connecting = 0, n_connected = 0;

  db_pool_set_hook (pool, DB_HOOK_BEFORE_CONNECT, note_subject, &n_connecting, NULL);
  db_pool_set_hook (pool, DB_HOOK_AFTER_CONNECT, set_up_session, &n_connected, NULL);
  for (guint round = 0; round < 2; round++)
    {
      for (guint i = 0; i < 2; i++)
        {
          connections[i] = acquire (pool);
          g_assert_cmpint (ask (connections[i], traces[2]), ==, 1);
        }
      for (guint i = 0; i < 2; i++)
        {
          execute (connections[i], "PRAGMA cache_size = 78");
          g_object_unref (connections[i]);
        }
    }
  g_assert_cmpint (n_connecting, ==, 2);
  close_pool (pool);
  g_assert_cmpint (n_connected, >=, 2);
}

typedef struct
{
  DbPool *pool;
  int stop;  /* atomic */
  int moved; /* atomic: loans that begin from now on are in the second file */
  int n_answers[2];
} Asker;

static gpointer
ask_where (gpointer data)
{
  Asker *asker = data;

  while (!g_atomic_int_get (&asker->stop))
    {
      gboolean moved = g_atomic_int_get (&asker->moved);
      gint64 number = ask_pool (asker->pool, "SELECT a FROM t");

      g_assert_true (number == 2 || (number == 1 && !moved));
      g_atomic_int_inc (&asker->n_answers[number - 1]);
    }
  return NULL;
}

static DbConnectionManager *
make_numbered_manager (const char *file, int number)
{
  DbSqliteManager *manager = db_sqlite_manager_new (file);
  DbSession *session = open_session (manager);
  g_autofree char *sql = g_strdup_printf ("INSERT INTO t VALUES (%d)", number);

  run (session, "CREATE TABLE t (a)");
  run (session, sql);
  close_session (manager, session);
  return DB_CONNECTION_MANAGER (manager);
}

/* A pool moves to another file while others query, and not to one that is none. */
static void
test_reconfigure (Fixture *fixture, gconstpointer data)
{
  g_autofree char *other = g_build_filename (fixture->folder, "other.db", NULL);
  g_autoptr (DbConnectionManager) first = make_numbered_manager (fixture->file, 1);
  g_autoptr (DbConnectionManager) second = make_numbered_manager (other, 2);
  g_autoptr (DbConnectionManager) folder =
    DB_CONNECTION_MANAGER (db_sqlite_manager_new (fixture->folder));
  g_autoptr (GError) error = NULL;
  Asker asker = {make_pool (first, 3)};
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("asker", ask_where, &asker);
  WAIT_UNTIL (g_atomic_int_get (&asker.n_answers[0]) >= 100);
  g_assert_false (db_pool_reconfigure (asker.pool, folder, NULL, &error));
  g_test_message ("%s", error->message);
  g_assert_nonnull (error);
  g_clear_error (&error);
  g_assert_true (db_pool_get_manager (asker.pool) == first);
  db_pool_reconfigure (asker.pool, second, NULL, &error);
  g_assert_no_error (error);
  g_atomic_int_set (&asker.moved, TRUE);
  WAIT_UNTIL (g_atomic_int_get (&asker.n_answers[1]) >= 100);
  g_atomic_int_set (&asker.stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  WAIT_UNTIL (count_open_files (fixture->file) == 0); /* the old file is closed */
  close_pool (asker.pool);
}

/* In a program of its own: whether somebody may write to @file now. Its exit status is SQLite's
 * code. This process must not look itself: closing a file drops all of its locks. */
static int
probe (const char *file)
{
  sqlite3 *db;
  int rc;

  if (sqlite3_open_v2 (file, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
    return 100;
  rc = sqlite3_exec (db, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL);
  sqlite3_close (db);
  return rc;
}

static void
assert_probe (Fixture *fixture, int expected)
{
  g_autofree char *option = g_strconcat ("--probe=", fixture->file, NULL);
  const char *const argv[] = {program, option, NULL};
  g_autoptr (GError) error = NULL;
  int status;

  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status,
                &error);
  g_assert_no_error (error);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, expected);
}

static int
be_child (DbPool *pool, DbConnection *writer)
{
  g_autoptr (GError) error = NULL;

  if (db_pool_acquire (pool, NULL, &error) != NULL ||
      !g_error_matches (error, DB_ERROR, DB_ERROR_FORKED))
    return 1;
  g_clear_error (&error);
  if (db_connection_execute (writer, "COMMIT", NULL, NULL, &error) >= 0 ||
      !g_error_matches (error, DB_ERROR, DB_ERROR_FORKED))
    return 2;
  g_object_unref (writer);
  g_object_unref (pool);
  return 0;
}

/* The parent keeps its locks and its transaction, whatever becomes of children, forked ones and
 * those that run another program. */
static void
test_children (Fixture *fixture, gconstpointer data)
{
  const char *const argv[] = {"/bin/true", NULL};
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  DbPool *pool;
  DbConnection *writer;
  pid_t child;
  int status;

  g_object_set (manager, "journal-mode", data, NULL);
  pool = make_pool (DB_CONNECTION_MANAGER (manager), 2);
  create_table (pool);
  writer = acquire (pool);
  g_object_unref (acquire (pool)); /* an idle one */
  assert_probe (fixture, SQLITE_OK);
  execute (writer, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)");
  assert_probe (fixture, SQLITE_BUSY);

  child = fork ();
  if (child == 0)
    _exit (be_child (pool, writer));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  assert_probe (fixture, SQLITE_BUSY);
  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL,
                               NULL, NULL, NULL, NULL, NULL));
  assert_probe (fixture, SQLITE_BUSY);

  execute (writer, "INSERT INTO t VALUES (2); COMMIT");
  g_assert_cmpint (ask (writer, "SELECT count(*) FROM t"), ==, 2);
  assert_probe (fixture, SQLITE_OK);
  g_object_unref (writer);
  close_pool (pool);
}

typedef struct
{
  DbPool *pool;
  int stop; /* atomic */
} Opener;

static gpointer
open_without_end (gpointer data)
{
  Opener *opener = data;

  while (!g_atomic_int_get (&opener->stop))
    {
      g_autoptr (DbConnection) connection = acquire (opener->pool);

      g_assert_cmpint (ask (connection, "SELECT count(*) FROM t"), ==, 0);
      db_connection_evict (connection);
    }
  return NULL;
}

/* New programs inherit neither files of the database nor descriptors of dbpool's own. */
static void
test_exec (Fixture *fixture, gconstpointer data)
{
  const char *const argv[] = {"/bin/ls", "-l", "/proc/self/fd", NULL};
  Opener opener = {make_file_pool (fixture->file, 3, G_TIME_SPAN_SECOND)};
  GThread *threads[2];

  create_table (opener.pool);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("opener", open_without_end, &opener);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *output = NULL;

      g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL, NULL, &output,
                    NULL, NULL, &error);
      g_assert_no_error (error);
      if (strstr (output, fixture->folder) != NULL || strstr (output, "eventpoll") != NULL)
        g_error ("a new program inherited:\n%s", output);
    }
  g_atomic_int_set (&opener.stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  close_pool (opener.pool);
}

#define ADD(path, function, data)                                                                  \
  g_test_add ("/sqlite/engine/" path, Fixture, data, fixture_set_up, function, fixture_tear_down)

int
main (int argc, char **argv)
{
  int status;

  if (argc == 2 && g_str_has_prefix (argv[1], "--probe="))
    return probe (argv[1] + strlen ("--probe="));
  g_test_init (&argc, &argv, NULL);
  alarm (120); /* the watchdog of the waits above */
  program = g_file_read_link ("/proc/self/exe", NULL);
  g_assert_nonnull (program);

  ADD ("writer-and-readers", test_writer_and_readers, NULL);
  ADD ("activity", test_activity, NULL);
  ADD ("crowd", test_crowd, NULL);
  ADD ("read-only", test_read_only, NULL);
  ADD ("reset/none", test_reset, GINT_TO_POINTER (DB_RESET_NONE));
  ADD ("reset/dirty", test_reset, GINT_TO_POINTER (DB_RESET_DIRTY));
  ADD ("reset/clean", test_reset, GINT_TO_POINTER (DB_RESET_CLEAN));
  ADD ("detach", test_detach, NULL);
  ADD ("quota", test_quota, NULL);
  ADD ("hooks", test_hooks, NULL);
  ADD ("reconfigure", test_reconfigure, NULL);
  ADD ("children/wal", test_children, "wal");
  ADD ("children/delete", test_children, "delete");
  ADD ("exec", test_exec, NULL);
  status = g_test_run ();
  g_free (program);
  return status;
}
