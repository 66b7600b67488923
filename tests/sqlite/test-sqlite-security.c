/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What an SQLite file and the SQL on it may not do: read by other users, load code, damage the
 * schema, reach functions of the application's through a schema that somebody else has written. On
 * real files, and by a second process. */

#include "config.h"

#include "sqlite-test-utils.h"

#include "db-pool.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#define N_STEPS 200

static int
get_mode (Fixture *fixture, const char *suffix)
{
  g_autofree char *path = g_strconcat (fixture->file, suffix, NULL);
  GStatBuf info;

  g_assert_cmpint (g_stat (path, &info), ==, 0);
  return info.st_mode & 0777;
}

/* A file as some other program makes it, with its own idea of what is safe. */
static void
make_file (Fixture *fixture, const char *sql)
{
  sqlite3 *db = NULL;

  g_assert_cmpint (sqlite3_open (fixture->file, &db), ==, SQLITE_OK);
  sqlite3_db_config (db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, NULL);
  g_assert_cmpint (sqlite3_exec (db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close (db);
}

/* Whatever the process's mask allows. */
static void
test_created_private (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  const char *journal_mode = data;
  gboolean wal = strcmp (journal_mode, "wal") == 0;
  mode_t mask = umask (0);
  DbSession *session;

  g_object_set (manager, "journal-mode", journal_mode, NULL);
  session = open_session (manager);
  run (session, "CREATE TABLE t (a)");
  run (session, "BEGIN");
  run (session, "INSERT INTO t VALUES (1)");
  g_assert_cmpint (get_mode (fixture, ""), ==, 0600);
  if (wal)
    g_assert_cmpint (get_mode (fixture, "-shm"), ==, 0600);
  g_assert_cmpint (get_mode (fixture, wal ? "-wal" : "-journal"), ==, 0600);
  run (session, "COMMIT");
  close_session (manager, session);
  umask (mask);
}

/* What others may do with a file that exists is its owner's choice. */
static void
test_existing_mode_stays (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  DbSession *session;

  make_file (fixture, "PRAGMA journal_mode = wal; CREATE TABLE t (a)");
  g_assert_cmpint (g_chmod (fixture->file, 0644), ==, 0);
  session = open_session (manager);
  run (session, "INSERT INTO t VALUES (1)");
  g_assert_cmpint (get_mode (fixture, ""), ==, 0644);
  g_assert_cmpint (get_mode (fixture, "-wal"), ==, 0644);
  close_session (manager, session);
}

static void
test_link (Fixture *fixture, gconstpointer data)
{
  g_autofree char *link = g_build_filename (fixture->folder, "link.db", NULL);
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (link);
  DbSession *session;

  make_file (fixture, "CREATE TABLE t (a)");
  g_assert_cmpint (symlink (fixture->file, link), ==, 0);
  session = open_session (manager);
  run (session, "INSERT INTO t VALUES (1)");
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 1);
  close_session (manager, session);
}

static void
test_no_code (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  DbSession *session = open_session (manager);

  assert_fails (session, "SELECT load_extension('/nonexistent/x')", DB_ERROR_QUERY,
                "not authorized");
  assert_fails (session, "SELECT fts3_tokenizer('simple', x'4141414141414141')", DB_ERROR_QUERY,
                "fts3tokenize disabled");
  close_session (manager, session);
}

static void
test_schema_is_safe (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  DbSession *session = open_session (manager);

  run (session, "CREATE TABLE t (a)");
  run (session, "PRAGMA writable_schema = ON");
  assert_fails (session, "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (b)'", DB_ERROR_QUERY,
                "may not be modified");
  assert_fails (session, "DELETE FROM sqlite_schema", DB_ERROR_QUERY, "may not be modified");
  assert_fails (session, "UPDATE sqlite_dbpage SET data = zeroblob(4096)", DB_ERROR_QUERY, "");
  run (session, "PRAGMA journal_mode = off");
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM pragma_journal_mode "
                                       "WHERE journal_mode = 'off'"),
                   ==, 0);
  g_assert_cmpint (run_int64 (session, "SELECT count(a) FROM t"), ==, 0);
  close_session (manager, session);
}

static void
secret_func (sqlite3_context *context, int n, sqlite3_value **values)
{
  sqlite3_result_text (context, "secret", -1, SQLITE_STATIC);
}

/* The application calls its functions; a view in the file does not. */
static void
test_untrusted_schema (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  DbSession *session;

  make_file (fixture, "CREATE TABLE t (a); INSERT INTO t VALUES (1);"
                      "CREATE VIEW v AS SELECT secret() AS x FROM t;"
                      "CREATE VIEW w AS SELECT load_extension('x') AS x FROM t");
  session = open_session (manager);
  g_assert_cmpint (sqlite3_create_function_v2 (DB_SQLITE_SESSION (session)->db, "secret", 0,
                                               SQLITE_UTF8, NULL, secret_func, NULL, NULL, NULL),
                   ==, SQLITE_OK);
  g_assert_cmpint (run_int64 (session, "SELECT secret() = 'secret'"), ==, 1);
  assert_fails (session, "SELECT x FROM v", DB_ERROR_QUERY, "unsafe use of secret()");
  assert_fails (session, "SELECT x FROM w", DB_ERROR_QUERY, "unsafe use of load_extension()");
  close_session (manager, session);
}

/* What a borrower switches off does not stay off for the next one. */
static void
test_borrower_switches (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  g_autoptr (DbPoolConfig) config = g_object_new (DB_TYPE_POOL_CONFIG, "max-connections", 1, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (DbPool) pool = db_pool_new (DB_CONNECTION_MANAGER (manager), config, &error);
  static const char *const names[] = {"trusted_schema", "writable_schema",
                                      "ignore_check_constraints", "recursive_triggers"};

  g_assert_no_error (error);
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *set = g_strdup_printf ("PRAGMA %s = ON", names[i]);
      g_autofree char *get = g_strdup_printf ("PRAGMA %s", names[i]);
      g_autoptr (DbConnection) conn = db_pool_acquire (pool, NULL, &error);
      g_autoptr (DbResult) result = NULL;

      g_assert_no_error (error);
      db_connection_execute (conn, set, NULL, NULL, &error);
      g_assert_no_error (error);
      db_connection_release (conn);
      result = db_pool_query (pool, get, NULL, NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 0);
    }
  db_pool_close (pool, 0, NULL, &error);
  g_assert_no_error (error);
}

/* A path is a path, also in ATTACH: no parameters of SQLite's URIs. */
static void
test_no_uri_parameters (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  g_autofree char *sql = g_strdup_printf ("ATTACH '%s/file:x?mode=memory' AS x", fixture->folder);
  g_autofree char *path = g_build_filename (fixture->folder, "file:x?mode=memory", NULL);
  DbSession *session = open_session (manager);

  run (session, sql);
  run (session, "CREATE TABLE x.t (a)");
  g_assert_true (g_file_test (path, G_FILE_TEST_IS_REGULAR));
  close_session (manager, session);
}

/* Counts up, in a process of its own too. */
static void
count_up (const char *file)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (file);
  g_autoptr (DbPoolConfig) config = g_object_new (DB_TYPE_POOL_CONFIG, "max-connections", 2, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (DbPool) pool = db_pool_new (DB_CONNECTION_MANAGER (manager), config, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < N_STEPS; i++)
    {
      g_assert_cmpint (db_pool_execute (pool, "UPDATE t SET a = a + 1", NULL, NULL, &error), ==, 1);
      g_assert_no_error (error);
    }
  db_pool_close (pool, 0, NULL, &error);
  g_assert_no_error (error);
}

static char *self; /* this program */

static void
test_two_processes (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  DbSession *session = open_session (manager);
  g_autoptr (GSubprocess) other = NULL;
  g_autoptr (GError) error = NULL;

  run (session, "CREATE TABLE t (a)");
  run (session, "INSERT INTO t VALUES (0)");
  other =
    g_subprocess_new (G_SUBPROCESS_FLAGS_NONE, &error, self, "--count-up", fixture->file, NULL);
  g_assert_no_error (error);
  count_up (fixture->file);
  g_assert_true (g_subprocess_wait_check (other, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (run_int64 (session, "SELECT a FROM t"), ==, 2 * N_STEPS);
  close_session (manager, session);
}

#define ADD(path, function, data)                                                                  \
  g_test_add ("/sqlite/security/" path, Fixture, data, fixture_set_up, function, fixture_tear_down)

int
main (int argc, char **argv)
{
  if (argc == 3 && strcmp (argv[1], "--count-up") == 0)
    {
      count_up (argv[2]);
      return 0;
    }
  self = argv[0];
  g_test_init (&argc, &argv, NULL);
  ADD ("created-private/wal", test_created_private, "wal");
  ADD ("created-private/delete", test_created_private, "delete");
  ADD ("existing-mode-stays", test_existing_mode_stays, NULL);
  ADD ("link", test_link, NULL);
  ADD ("no-code", test_no_code, NULL);
  ADD ("schema-is-safe", test_schema_is_safe, NULL);
  ADD ("untrusted-schema", test_untrusted_schema, NULL);
  ADD ("borrower-switches", test_borrower_switches, NULL);
  ADD ("no-uri-parameters", test_no_uri_parameters, NULL);
  ADD ("two-processes", test_two_processes, NULL);
  return g_test_run ();
}
