/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Opening and closing: files, modes, settings, URIs, and everything that can be wrong with them. */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sqlite-test-utils.h"

static void
assert_open_fails (DbSqliteManager *manager, int code, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbSession) session =
    db_connection_manager_open_session (DB_CONNECTION_MANAGER (manager), NULL, &error);

  g_assert_null (session);
  g_assert_error (error, DB_ERROR, code);
  assert_contains (error->message, part);
  g_assert_true (db_error_is_permanent_for_open (error));
}

static void
assert_uri_fails (const char *uri, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new_from_uri (uri, &error);

  g_assert_null (manager);
  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
  assert_contains (error->message, part);
}

static gboolean
exists (Fixture *fixture, const char *suffix)
{
  g_autofree char *path = g_strconcat (fixture->file, suffix, NULL);

  return g_file_test (path, G_FILE_TEST_EXISTS);
}

static void
test_create_and_reopen (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  g_autofree char *mode = NULL;
  g_autofree char *description = NULL;
  g_autofree char *expected = g_strconcat ("sqlite:", fixture->file, NULL);
  DbSession *session;
  GStatBuf info;

  description = db_connection_manager_describe (DB_CONNECTION_MANAGER (manager));
  g_assert_cmpstr (description, ==, expected);
  g_assert_false (exists (fixture, ""));

  session = open_session (manager);
  g_assert_cmpint (g_stat (fixture->file, &info), ==, 0);
  g_assert_cmpint (info.st_mode & 0777, ==, 0600);
  mode = run_text (session, "PRAGMA journal_mode");
  g_assert_cmpstr (mode, ==, "wal");
  g_assert_cmpint (run_int64 (session, "PRAGMA synchronous"), ==, 1);
  g_assert_cmpint (run_int64 (session, "PRAGMA foreign_keys"), ==, 1);
  g_assert_cmpint (run_int64 (session, "PRAGMA trusted_schema"), ==, 0);
  g_assert_cmpint (run_int64 (session, "PRAGMA journal_size_limit"), ==, 64 * 1024 * 1024);
  run (session, "CREATE TABLE t (a)");
  run (session, "INSERT INTO t VALUES (1)");
  g_assert_true (exists (fixture, "-wal"));
  close_session (manager, session);
  g_assert_false (exists (fixture, "-wal"));
  g_assert_false (exists (fixture, "-shm"));

  session = open_session (manager);
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 1);
  close_session (manager, session);
}

static void
test_existing_file_keeps_mode (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  g_autofree char *mode = NULL;
  DbSession *session;
  sqlite3 *db;

  g_assert_cmpint (sqlite3_open (fixture->file, &db), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (db, "CREATE TABLE t (a)", NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close (db);

  session = open_session (manager);
  mode = run_text (session, "PRAGMA journal_mode");
  g_assert_cmpstr (mode, ==, "delete");
  close_session (manager, session);
}

static void
test_journal_mode (Fixture *fixture, gconstpointer data)
{
  static const char *const modes[] = {"DELETE", "truncate", "persist", "memory", "wal"};

  for (gsize i = 0; i < G_N_ELEMENTS (modes); i++)
    {
      g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
      g_autofree char *lower = g_ascii_strdown (modes[i], -1);

      g_object_set (manager, "journal-mode", modes[i], NULL);
      for (int n = 0; n < 2; n++)
        {
          DbSession *session = open_session (manager);
          g_autofree char *mode = run_text (session, "PRAGMA journal_mode");

          g_assert_cmpstr (mode, ==, lower);
          close_session (manager, session);
        }
    }
}

static void
test_settings (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  g_autoptr (GVariant) pragmas = NULL;
  DbSession *session;

  pragmas = g_variant_ref_sink (
    g_variant_new_parsed ("{'cache_size': '-4321', 'page_size': '8192', 'temp_store': 'memory'}"));
  g_object_set (manager, "pragmas", pragmas, "synchronous", "FULL", "foreign-keys", FALSE,
                "busy-timeout", (gint64) 1000, NULL);
  session = open_session (manager);
  g_assert_cmpint (run_int64 (session, "PRAGMA cache_size"), ==, -4321);
  g_assert_cmpint (run_int64 (session, "PRAGMA page_size"), ==, 8192);
  g_assert_cmpint (run_int64 (session, "PRAGMA temp_store"), ==, 2);
  g_assert_cmpint (run_int64 (session, "PRAGMA synchronous"), ==, 2);
  g_assert_cmpint (run_int64 (session, "PRAGMA foreign_keys"), ==, 0);

  g_test_expect_message ("dbpool", G_LOG_LEVEL_CRITICAL, "*read-only cannot change any more*");
  g_object_set (manager, "read-only", TRUE, NULL);
  g_test_assert_expected_messages ();
  close_session (manager, session);
}

static void
test_bad_settings (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *property;
    const char *value;
    const char *part;
  } cases[] = {
    {"journal-mode", "fast", "\"fast\" is no journal mode"},
    {"journal-mode", "off", "\"off\" is no journal mode"},
    {"synchronous", "maybe", "\"maybe\" is no synchronous mode"},
    {"path", "", "is empty"},
  };
  static const struct
  {
    const char *pragma;
    const char *part;
  } pragmas[] = {
    {"{'no_such': '1'}", "no pragma \"no_such\""},
    {"{'busy_timeout': '1'}", "a setting of its own"},
    {"{'Journal_Mode': 'wal'}", "a setting of its own"},
    {"{'cache_size=1; DROP TABLE t; --': '1'}", "no pragma"},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);

      g_object_set (manager, cases[i].property, cases[i].value, NULL);
      assert_open_fails (manager, DB_ERROR_CONFIGURATION, cases[i].part);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (pragmas); i++)
    {
      g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);

      g_object_set (manager, "pragmas", g_variant_new_parsed (pragmas[i].pragma), NULL);
      assert_open_fails (manager, DB_ERROR_CONFIGURATION, pragmas[i].part);
    }
  g_assert_false (exists (fixture, ""));
}

static void
test_bad_files (Fixture *fixture, gconstpointer data)
{
  g_autofree char *missing = g_build_filename (fixture->folder, "no", "such.db", NULL);
  g_autofree char *below_file = g_build_filename (fixture->file, "x.db", NULL);
  g_autofree char *fifo = g_build_filename (fixture->folder, "fifo", NULL);
  g_autofree char *long_name = g_strnfill (300, 'x');
  g_autofree char *long_path = g_build_filename (fixture->folder, long_name, NULL);
  const struct
  {
    const char *path;
    gboolean read_only;
    gboolean create;
    const char *part;
  } cases[] = {
    {missing, FALSE, TRUE, "does not exist; create it first"},
    {fixture->folder, FALSE, TRUE, "it is a folder"},
    {below_file, FALSE, TRUE, "Not a directory"},
    {fifo, FALSE, TRUE, "neither a file nor a folder"},
    {long_path, FALSE, TRUE, "too long"},
    {fixture->file, FALSE, TRUE, "file is not a database"},
  };

  g_assert_true (g_file_set_contents (fixture->file, "this is no database, is it?\n", -1, NULL));
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (cases[i].path);

      g_object_set (manager, "read-only", cases[i].read_only, "create-if-missing", cases[i].create,
                    NULL);
      assert_open_fails (manager, DB_ERROR_CONFIGURATION, cases[i].part);
      assert_open_fails (manager, DB_ERROR_CONFIGURATION, cases[i].path);
    }
}

/* Not only a short text: a page of zeros, a page of noise, a cut database. */
static void
test_no_database (Fixture *fixture, gconstpointer data)
{
  static const gsize sizes[] = {2, 50, 100, 512, 4096, 10000};

  for (gsize i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (int fill = 0; fill < 2; fill++)
      {
        g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
        g_autofree char *bytes = g_malloc (sizes[i]);

        memset (bytes, fill ? 'z' : 0, sizes[i]);
        g_assert_true (g_file_set_contents (fixture->file, bytes, (gssize) sizes[i], NULL));
        assert_open_fails (manager, DB_ERROR_CONFIGURATION, "[SQLite ");
      }
}

static void
test_missing_file (Fixture *fixture, gconstpointer data)
{
  for (int read_only = 0; read_only < 2; read_only++)
    {
      g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);

      g_object_set (manager, "read-only", read_only, "create-if-missing", FALSE, NULL);
      assert_open_fails (manager, DB_ERROR_CONFIGURATION, "there is no such file");
      g_assert_false (exists (fixture, ""));
    }
}

static void
test_dangling_link (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);

  g_assert_cmpint (symlink ("/nonexistent/x.db", fixture->file), ==, 0);
  assert_open_fails (manager, DB_ERROR_CONFIGURATION, "No such file");
}

static void
test_permissions (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  g_autoptr (DbSqliteManager) reader = db_sqlite_manager_new (fixture->file);
  DbSession *session;

  if (geteuid () == 0)
    {
      g_test_skip ("permissions do not bind root");
      return;
    }
  g_object_set (manager, "journal-mode", "delete", NULL);
  session = open_session (manager);
  run (session, "CREATE TABLE t (a)");
  close_session (manager, session);

  g_assert_cmpint (g_chmod (fixture->file, 0400), ==, 0);
  session = open_session (reader);
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 0);
  assert_fails (session, "INSERT INTO t VALUES (1)", DB_ERROR_READ_ONLY, "may not write");
  close_session (reader, session);

  g_assert_cmpint (g_chmod (fixture->file, 0000), ==, 0);
  assert_open_fails (reader, DB_ERROR_CONFIGURATION, "permission denied");
  g_assert_cmpint (g_unlink (fixture->file), ==, 0);
  g_assert_cmpint (g_chmod (fixture->folder, 0500), ==, 0);
  assert_open_fails (reader, DB_ERROR_CONFIGURATION, "permission denied");
  g_assert_cmpint (g_chmod (fixture->folder, 0700), ==, 0);
}

static void
test_read_only_manager (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) writer = db_sqlite_manager_new (fixture->file);
  g_autoptr (DbSqliteManager) reader = db_sqlite_manager_new (fixture->file);
  DbSession *session = open_session (writer);

  run (session, "CREATE TABLE t (a)");
  close_session (writer, session);
  g_object_set (reader, "read-only", TRUE, NULL);
  session = open_session (reader);
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 0);
  assert_fails (session, "INSERT INTO t VALUES (1)", DB_ERROR_READ_ONLY, "opened read-only");
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  close_session (reader, session);
}

/* SQLite would take these for URIs or special names. */
static void
test_odd_names (Fixture *fixture, gconstpointer data)
{
  static const char *const names[] = {"file:x.db?mode=memory", "a b%20c#d?e&f.db", "ä'\"ö.db",
                                      ":memory:x"};

  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (fixture->folder, names[i], NULL);
      g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (path);
      g_autoptr (DbSqliteManager) again = NULL;
      g_autofree char *escaped = g_uri_escape_string (path, "/", FALSE);
      g_autofree char *uri = g_strconcat ("sqlite:", escaped, NULL);
      g_autoptr (GError) error = NULL;
      DbSession *session = open_session (manager);

      run (session, "CREATE TABLE t (a)");
      close_session (manager, session);
      g_assert_true (g_file_test (path, G_FILE_TEST_IS_REGULAR));

      again = db_sqlite_manager_new_from_uri (uri, &error);
      g_assert_no_error (error);
      session = open_session (again);
      g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 0);
      close_session (again, session);
    }
}

static void
test_relative_path (Fixture *fixture, gconstpointer data)
{
  g_autofree char *here = g_get_current_dir ();
  g_autoptr (DbSqliteManager) manager = NULL;
  g_autoptr (GError) error = NULL;
  DbSession *session;

  g_assert_cmpint (g_chdir (fixture->folder), ==, 0);
  manager = db_sqlite_manager_new_from_uri ("sqlite:test.db", &error);
  g_assert_no_error (error);
  session = open_session (manager);
  g_assert_true (exists (fixture, ""));
  g_assert_cmpint (g_chdir (here), ==, 0);
  close_session (manager, session);
  session = open_session (manager);
  close_session (manager, session);
}

static void
test_memory (Fixture *fixture, gconstpointer data)
{
  static const char *const uris[] = {"sqlite::memory:", "sqlite:whatever?mode=memory",
                                     "sqlite:?mode=memory"};

  for (gsize i = 0; i < G_N_ELEMENTS (uris); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new_from_uri (uris[i], &error);
      g_autoptr (DbSqliteManager) other = db_sqlite_manager_new (":memory:");
      g_autofree char *description = NULL;
      DbSession *first;
      DbSession *second;

      g_assert_no_error (error);
      first = open_session (manager);
      second = open_session (manager);
      description = db_connection_manager_describe (DB_CONNECTION_MANAGER (manager));
      g_assert_cmpstr (description, ==, "sqlite::memory:");
      run (first, "CREATE TABLE t (a)");
      run (first, "INSERT INTO t VALUES (7)");
      g_assert_cmpint (run_int64 (second, "SELECT a FROM t"), ==, 7);
      close_session (manager, first);
      close_session (manager, second);

      /* It lives as long as the manager, and belongs to it. */
      first = open_session (manager);
      g_assert_cmpint (run_int64 (first, "SELECT a FROM t"), ==, 7);
      close_session (manager, first);
      second = open_session (other);
      assert_fails (second, "SELECT a FROM t", DB_ERROR_QUERY, "no such table: t [SQLite 1]");
      close_session (other, second);
    }
}

static void
test_memory_wal (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (":memory:");

  g_object_set (manager, "journal-mode", "wal", NULL);
  assert_open_fails (manager, DB_ERROR_CONFIGURATION, "journal mode wal is not possible");
}

static void
test_uris (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbSqliteManager) manager = NULL;
  g_autofree char *path = NULL;
  g_autofree char *journal_mode = NULL;
  g_autofree char *synchronous = NULL;
  g_autoptr (GVariant) pragmas = NULL;
  gboolean foreign_keys;
  gboolean read_only;
  gboolean create;
  gint64 busy_timeout;

  manager = db_sqlite_manager_new_from_uri ("sqlite:///srv/a%20b.db?mode=rw&journal_mode=wal&"
                                            "synchronous=full&foreign_keys=off&busy_timeout=1500ms&"
                                            "pragma.cache_size=-100&pragma.threads=2",
                                            &error);
  g_assert_no_error (error);
  g_object_get (manager, "path", &path, "journal-mode", &journal_mode, "synchronous", &synchronous,
                "foreign-keys", &foreign_keys, "read-only", &read_only, "create-if-missing",
                &create, "busy-timeout", &busy_timeout, "pragmas", &pragmas, NULL);
  g_assert_cmpstr (path, ==, "/srv/a b.db");
  g_assert_cmpstr (journal_mode, ==, "wal");
  g_assert_cmpstr (synchronous, ==, "full");
  g_assert_false (foreign_keys);
  g_assert_false (read_only);
  g_assert_false (create);
  g_assert_cmpint (busy_timeout, ==, 1500000);
  g_assert_cmpuint (g_variant_n_children (pragmas), ==, 2);
}

static void
test_bad_uris (Fixture *fixture, gconstpointer data)
{
  assert_uri_fails ("sqlite:x.db?journal=wal", "\"journal\"");
  assert_uri_fails ("sqlite:x.db?mode=rwx", "mode=rwx");
  assert_uri_fails ("sqlite:x.db?mode=ro&mode=rw", "twice");
  assert_uri_fails ("sqlite:x.db?busy_timeout=5", "busy_timeout");
  assert_uri_fails ("sqlite:x.db?busy_timeout=-5s", "busy_timeout");
  assert_uri_fails ("sqlite:x.db?foreign_keys=perhaps", "foreign_keys=perhaps");
  assert_uri_fails ("sqlite:x.db?mode", "malformed");
  assert_uri_fails ("sqlite:x%zz.db", "malformed");
  assert_uri_fails ("sqlite:x%00.db", "malformed");
  assert_uri_fails ("sqlite:x.db?mode=%zz", "malformed");
  assert_uri_fails ("sqlite://x.db", "sqlite:file.db");
  assert_uri_fails ("sqlite:x.db#y", "%23");
  assert_uri_fails ("sqlite", "malformed");
  assert_uri_fails ("", "malformed");
  assert_uri_fails ("postgresql:x", "begins with postgresql:");
}

static void
test_empty_uri_path (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new_from_uri ("sqlite:", &error);

  g_assert_no_error (error);
  assert_open_fails (manager, DB_ERROR_CONFIGURATION, "is empty");
}

typedef struct
{
  DbSqliteManager *manager;
  int failures; /* atomic */
} OpenJob;

static gpointer
open_thread (gpointer data)
{
  OpenJob *job = data;

  for (int i = 0; i < 5; i++)
    {
      g_autoptr (GError) error = NULL;
      DbSession *session =
        db_connection_manager_open_session (DB_CONNECTION_MANAGER (job->manager), NULL, &error);

      if (session == NULL)
        {
          g_test_message ("%s", error->message);
          g_atomic_int_inc (&job->failures);
          continue;
        }
      run (session, "CREATE TABLE IF NOT EXISTS t (a)");
      run (session, "INSERT INTO t VALUES (1)");
      close_session (job->manager, session);
    }
  return NULL;
}

/* One manager, or as many as threads. */
static void
test_concurrent_first_open (Fixture *fixture, gconstpointer data)
{
  gboolean one_manager = GPOINTER_TO_INT (data);
  OpenJob jobs[8] = {0};
  GThread *threads[8];
  g_autofree char *mode = NULL;
  DbSession *session;

  for (int i = 0; i < 8; i++)
    jobs[i].manager =
      one_manager && i > 0 ? g_object_ref (jobs[0].manager) : db_sqlite_manager_new (fixture->file);
  for (int i = 0; i < 8; i++)
    threads[i] = g_thread_new ("open", open_thread, &jobs[i]);
  for (int i = 0; i < 8; i++)
    g_thread_join (threads[i]);

  session = open_session (jobs[0].manager);
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 40);
  mode = run_text (session, "PRAGMA journal_mode");
  g_assert_cmpstr (mode, ==, "wal");
  close_session (jobs[0].manager, session);
  g_assert_false (exists (fixture, "-wal"));
  for (int i = 0; i < 8; i++)
    {
      g_assert_cmpint (jobs[i].failures, ==, 0);
      g_object_unref (jobs[i].manager);
    }
}

static gpointer
close_thread (gpointer data)
{
  g_autoptr (DbSession) session = data;

  /* A manager does not look at itself to close. */
  db_sqlite_session_close (DB_SQLITE_SESSION (session));
  return NULL;
}

static void
test_concurrent_close (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);

  for (int round = 0; round < 20; round++)
    {
      DbSession *sessions[4];
      GThread *threads[4];

      for (int i = 0; i < 4; i++)
        sessions[i] = open_session (manager);
      run (sessions[0], "CREATE TABLE IF NOT EXISTS t (a)");
      run (sessions[1], "INSERT INTO t VALUES (1)");
      for (int i = 0; i < 4; i++)
        threads[i] = g_thread_new ("close", close_thread, sessions[i]);
      for (int i = 0; i < 4; i++)
        g_thread_join (threads[i]);
      g_assert_false (exists (fixture, "-wal"));
      g_assert_false (exists (fixture, "-shm"));
    }
}

static void
test_check_session (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  DbSession *session = open_session (manager);
  DbSession *fresh;
  g_autofree char *moved = g_strconcat (fixture->file, ".old", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (
    db_connection_manager_check_session (DB_CONNECTION_MANAGER (manager), session, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (g_rename (fixture->file, moved), ==, 0);
  g_assert_false (
    db_connection_manager_check_session (DB_CONNECTION_MANAGER (manager), session, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
  g_clear_error (&error);

  /* Another file of the same name has another token, and a new session works with it. */
  fresh = open_session (manager);
  run (fresh, "BEGIN IMMEDIATE");
  run (fresh, "CREATE TABLE t (a)");
  g_assert_true (
    db_connection_manager_check_session (DB_CONNECTION_MANAGER (manager), fresh, NULL, &error));
  g_assert_no_error (error);
  close_session (manager, fresh);
  close_session (manager, session);
}

static void
test_cancelled_open (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  g_cancellable_cancel (cancellable);
  g_assert_null (
    db_connection_manager_open_session (DB_CONNECTION_MANAGER (manager), cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_false (exists (fixture, ""));
}

/* The child's copy of a session touches nothing, and the child can open its own. */
static void
test_fork (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = db_sqlite_manager_new (fixture->file);
  DbSession *session = open_session (manager);
  pid_t child;
  int status;

  run (session, "CREATE TABLE t (a)");
  run (session, "BEGIN IMMEDIATE");
  run (session, "INSERT INTO t VALUES (1)");
  child = fork ();
  if (child == 0)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result = try_run (session, "SELECT 1", &error);
      g_autoptr (DbSqliteManager) own = db_sqlite_manager_new (fixture->file);
      DbSession *own_session;
      gboolean ok = g_error_matches (error, DB_ERROR, DB_ERROR_FORKED) &&
                    db_session_get_state (session) == DB_SESSION_BROKEN;

      close_session (manager, session);
      own_session = open_session (own);
      ok = ok && run_int64 (own_session, "SELECT count(*) FROM t") == 0;
      close_session (own, own_session);
      _exit (ok ? 0 : 1);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  g_assert_true (exists (fixture, "-wal"));
  run (session, "COMMIT");
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 1);
  close_session (manager, session);
  g_assert_false (exists (fixture, "-wal"));
}

#define ADD(path, function, data)                                                                  \
  g_test_add ("/sqlite/open/" path, Fixture, data, fixture_set_up, function, fixture_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("create-and-reopen", test_create_and_reopen, NULL);
  ADD ("existing-file-keeps-mode", test_existing_file_keeps_mode, NULL);
  ADD ("journal-mode", test_journal_mode, NULL);
  ADD ("settings", test_settings, NULL);
  ADD ("bad-settings", test_bad_settings, NULL);
  ADD ("bad-files", test_bad_files, NULL);
  ADD ("no-database", test_no_database, NULL);
  ADD ("missing-file", test_missing_file, NULL);
  ADD ("dangling-link", test_dangling_link, NULL);
  ADD ("permissions", test_permissions, NULL);
  ADD ("read-only-manager", test_read_only_manager, NULL);
  ADD ("odd-names", test_odd_names, NULL);
  ADD ("relative-path", test_relative_path, NULL);
  ADD ("memory", test_memory, NULL);
  ADD ("memory-wal", test_memory_wal, NULL);
  ADD ("uris", test_uris, NULL);
  ADD ("bad-uris", test_bad_uris, NULL);
  ADD ("empty-uri-path", test_empty_uri_path, NULL);
  ADD ("concurrent-first-open/one-manager", test_concurrent_first_open, GINT_TO_POINTER (TRUE));
  ADD ("concurrent-first-open/managers", test_concurrent_first_open, GINT_TO_POINTER (FALSE));
  ADD ("concurrent-close", test_concurrent_close, NULL);
  ADD ("check-session", test_check_session, NULL);
  ADD ("cancelled-open", test_cancelled_open, NULL);
  ADD ("fork", test_fork, NULL);
  return g_test_run ();
}
