/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Opening and closing: what works, and each way in which it fails. */

#include "postgres-fixture.h"

#include "db-error-private.h"
#include "db-postgres-connecting-private.h"
#include "log-capture.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *
uri_with (const char *user_and_password, const char *database, const char *query)
{
  const char *tcp = g_getenv ("DBPOOL_TEST_POSTGRES_TCP_URI");
  const char *at = strchr (tcp, '@') + 1;

  return g_strdup_printf ("postgresql://%s@%.*s/%s%s", user_and_password, (int) strcspn (at, "/"),
                          at, database, query);
}

/* Returns how long it took. */
static gint64
assert_refused (const char *uri, int code, const char *sqlstate, const char *part_of_text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (uri);
  gint64 start = g_get_monotonic_time ();
  g_autoptr (DbSession) session = db_connection_manager_open_session (manager, NULL, &error);

  g_assert_null (session);
  g_test_message ("%s", error->message);
  g_assert_error (error, DB_ERROR, code);
  g_assert_cmpstr (db_error_get_sqlstate (error), ==, sqlstate);
  g_assert_nonnull (strstr (error->message, part_of_text));
  g_assert_null (strstr (error->message, "geheim"));
  g_assert_null (strstr (error->message, "secret"));
  g_assert_null (strchr (error->message, '\n'));
  g_assert_cmpint (db_error_is_permanent_for_open (error), ==, code != DB_ERROR_CONNECTION);
  return g_get_monotonic_time () - start;
}

static void
test_open (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbSession *session = fixture_open (manager);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  g_assert_true (db_session_is_alive (session));
  g_assert_cmpint (db_session_get_fd (session), >=, 0);
  g_assert_true (db_connection_manager_check_session (manager, session, NULL, &error));
  g_assert_no_error (error);
  fixture_assert_text (session, "SELECT current_database()", "dbpool_test");
  fixture_assert_text (session, "SHOW client_encoding", "UTF8");
  fixture_close (manager, session);
}

static void
test_open_tcp (void)
{
  g_autoptr (DbConnectionManager) manager =
    fixture_manager_new (g_getenv ("DBPOOL_TEST_POSTGRES_TCP_URI"));
  g_autofree char *text = db_connection_manager_describe (manager);
  DbSession *session = fixture_open (manager);

  g_assert_true (g_str_has_prefix (text, "postgresql://dbpool@127.0.0.1:"));
  g_assert_null (strstr (text, "secret"));
  fixture_close (manager, session);
}

static DbSession *
open_with (DbConnectionManager *manager, DbDatabaseConfig *config)
{
  g_autoptr (GError) error = NULL;
  DbSession *session =
    db_connection_manager_open_session_with_config (manager, config, NULL, &error);

  g_assert_no_error (error);
  return session;
}

/* A copy of the manager's configuration has all that it has, the password too, and can be changed
 * for one session. */
static void
test_open_with_config (void)
{
  g_autofree char *uri = g_strconcat (g_getenv ("DBPOOL_TEST_POSTGRES_TCP_URI"),
                                      "?application_name=one&options=-c%20work_mem%3D123kB", NULL);
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (uri);
  g_autoptr (DbDatabaseConfig) same = db_connection_manager_dup_database_config (manager);
  g_autoptr (DbDatabaseConfig) renamed = db_connection_manager_dup_database_config (manager);
  g_autoptr (DbDatabaseConfig) refused = db_connection_manager_dup_database_config (manager);
  g_autoptr (DbDatabaseConfig) own = NULL;
  g_autofree char *same_text = db_database_config_to_string (same);
  g_autofree char *own_text = NULL;
  g_autoptr (GError) error = NULL;
  DbSession *session;

  g_object_get (manager, "config", &own, NULL);
  own_text = db_database_config_to_string (own);
  g_assert_true (own != same);
  g_assert_cmpstr (same_text, ==, own_text);
  session = open_with (manager, same);
  fixture_assert_text (session, "SHOW application_name", "one");
  fixture_assert_text (session, "SHOW work_mem", "123kB");
  fixture_close (manager, session);

  g_object_set (renamed, "application-name", "two", NULL);
  session = open_with (manager, renamed);
  fixture_assert_text (session, "SHOW application_name", "two");
  fixture_assert_text (session, "SHOW work_mem", "123kB");
  fixture_close (manager, session);
  log_expect (G_LOG_LEVEL_WARNING, "*application-name cannot be set*");
  g_object_set (renamed, "application-name", "three", NULL);
  log_assert_expected ();

  db_database_config_set_password (refused, "geheim");
  g_assert_null (db_connection_manager_open_session_with_config (manager, refused, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_AUTHENTICATION);
  g_assert_null (strstr (error->message, "geheim"));

  session = open_with (manager, NULL); /* its own is as it was */
  fixture_assert_text (session, "SHOW application_name", "one");
  fixture_close (manager, session);
}

/* The server's name for the session, from any thread, also when it is closed. */
static void
test_describe (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbSession *session = fixture_open (manager);
  g_autofree char *expected =
    g_strdup_printf ("backend %d", (int) fixture_int64 (session, "SELECT pg_backend_pid()"));
  g_autofree char *text = db_session_describe (session);
  g_autofree char *closed_text = NULL;

  g_assert_cmpstr (text, ==, expected);
  db_connection_manager_close_session (manager, session);
  closed_text = db_session_describe (session);
  g_assert_cmpstr (closed_text, ==, expected);
  g_object_unref (session);
}

/* What a child may do with a session of its parent's. */
static gboolean
is_harmless_in_child (DbConnectionManager *manager, DbSession *session)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = fixture_try (session, "SELECT 1", NULL, &error);

  if (result != NULL || !g_error_matches (error, DB_ERROR, DB_ERROR_FORKED))
    return FALSE;
  g_clear_error (&error);
  if (db_connection_manager_check_session (manager, session, NULL, &error) ||
      db_session_get_state (session) != DB_SESSION_BROKEN || db_session_cancel (session))
    return FALSE;
  return TRUE;
}

/* Neither closing a session in a child nor forgetting it there is noticed in the parent. */
static void
test_fork (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbSession *closed = fixture_open (manager);
  DbSession *dropped = fixture_open (manager);
  int status;
  pid_t child = fork ();

  if (child == 0)
    {
      gboolean ok = is_harmless_in_child (manager, closed);

      db_connection_manager_close_session (manager, closed);
      g_object_unref (closed);
      g_object_unref (dropped);
      _exit (ok ? 0 : 1);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  fixture_assert_text (closed, "SELECT 'fine'", "fine");
  fixture_assert_text (dropped, "SELECT 'fine'", "fine");
  fixture_close (manager, closed);
  fixture_close (manager, dropped);
}

static void
test_open_cancelled (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  g_cancellable_cancel (cancellable);
  g_assert_null (db_connection_manager_open_session (manager, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* PQfinish alone leaves some behind. */
static void
test_close_waits (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbSession *observer = fixture_open (manager);
  guint n_left = 0;

  for (guint i = 0; i < 200; i++)
    {
      DbSession *session = fixture_open (manager);
      gint64 pid = fixture_int64 (session, "SELECT pg_backend_pid()");
      g_autofree char *sql =
        g_strdup_printf ("SELECT count(*) FROM pg_stat_activity WHERE pid = %" G_GINT64_FORMAT,
                         pid);

      fixture_close (manager, session);
      n_left += fixture_int64 (observer, sql);
    }
  g_assert_cmpuint (n_left, ==, 0);
  fixture_close (manager, observer);
}

static void
test_not_closed (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);

  g_object_unref (fixture_open (manager));
}

static void
test_refused_by_server (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbSession *session = fixture_open (manager);
  g_autofree char *password = uri_with ("dbpool:geheim", "dbpool_test", "");
  g_autofree char *no_password = uri_with ("dbpool", "dbpool_test", "?passfile=/nonexistent");
  g_autofree char *database = uri_with ("dbpool:secret", "nowhere", "");
  g_autofree char *role = uri_with ("nobody:geheim", "dbpool_test", "");
  g_autofree char *closed = uri_with ("dbpool:secret", "closed", "");
  g_autofree char *socket_role = g_strdup (g_getenv ("DBPOOL_TEST_POSTGRES_URI"));

  assert_refused (password, DB_ERROR_AUTHENTICATION, "28P01", "check username and password");
  assert_refused (no_password, DB_ERROR_AUTHENTICATION, NULL, "set the password");
  assert_refused (database, DB_ERROR_CONFIGURATION, "3D000", "\"nowhere\"");
  assert_refused (role, DB_ERROR_AUTHENTICATION, "28P01", "nobody");
  memcpy (strstr (socket_role, "dbpool@"), "ghosts", strlen ("ghosts"));
  assert_refused (socket_role, DB_ERROR_AUTHENTICATION, "28000", "ghosts");
  /* A text that is not in the table: its code takes a second look. */
  fixture_execute (session, "CREATE DATABASE closed ALLOW_CONNECTIONS false");
  assert_refused (closed, DB_ERROR_CONFIGURATION, "55000", "not currently accepting connections");
  fixture_execute (session, "DROP DATABASE closed");
  fixture_close (manager, session);
}

/* The codes are found whatever language the server speaks. */
static void
test_refused_without_known_text (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbSession *session = fixture_open (manager);
  g_autofree char *limited = uri_with ("limited:secret", "dbpool_test", "");

  fixture_execute (session, "CREATE ROLE limited LOGIN CONNECTION LIMIT 0 PASSWORD 'secret'");
  assert_refused (limited, DB_ERROR_CONNECTION, "53300", "max-connections");
  fixture_execute (session, "ALTER ROLE limited CONNECTION LIMIT -1");
  fixture_execute (session, "REVOKE CONNECT ON DATABASE dbpool_test FROM PUBLIC");
  assert_refused (limited, DB_ERROR_CONFIGURATION, "42501", "permission denied");
  fixture_execute (session, "GRANT CONNECT ON DATABASE dbpool_test TO PUBLIC");
  fixture_execute (session, "DROP ROLE limited");
  fixture_close (manager, session);
}

static void
test_refused_by_libpq (void)
{
  g_autofree char *ssl = uri_with ("dbpool:secret", "dbpool_test", "?sslmode=require");
  g_autofree char *full = uri_with ("dbpool:secret", "dbpool_test", "?sslmode=verify-full");
  g_autofree char *binding =
    uri_with ("dbpool:secret", "dbpool_test", "?channel_binding=sometimes");

  assert_refused (ssl, DB_ERROR_CONFIGURATION, NULL, "ssl-mode (it is \"require\")");
  assert_refused (full, DB_ERROR_CONFIGURATION, NULL, "ssl-mode (it is \"verify-full\")");
  assert_refused (binding, DB_ERROR_CONFIGURATION, NULL, "check the options");
}

static void
test_unreachable (void)
{
  assert_refused ("postgresql://dbpool:geheim@127.0.0.1:1/x", DB_ERROR_CONNECTION, NULL, "refused");
  assert_refused ("postgresql://dbpool@/x?host=/nonexistent", DB_ERROR_CONNECTION, NULL,
                  "/nonexistent");
  assert_refused ("postgresql://dbpool:geheim@127.0.0.1:1,127.0.0.1:2/x", DB_ERROR_CONNECTION, NULL,
                  "127.0.0.1");
}

/* The second host is reached although the first one refuses. */
static void
test_several_hosts (void)
{
  const char *tcp = g_getenv ("DBPOOL_TEST_POSTGRES_TCP_URI");
  const char *at = strchr (tcp, '@') + 1;
  g_autofree char *uri = g_strdup_printf ("postgresql://dbpool:secret@127.0.0.1:1,%s", at);
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (uri);

  fixture_close (manager, fixture_open (manager));
}

/* The kernel accepts the connection, and nobody ever answers. */
static void
test_silent_server (void)
{
  g_autoptr (GSocketListener) listener = g_socket_listener_new ();
  g_autoptr (GError) error = NULL;
  guint port = g_socket_listener_add_any_inet_port (listener, NULL, &error);
  g_autofree char *uri = NULL;
  gint64 took;

  g_assert_no_error (error);
  uri = g_strdup_printf ("postgresql://dbpool:geheim@127.0.0.1:%u/x?connect_timeout=2", port);
  took = assert_refused (uri, DB_ERROR_CONNECTION, NULL, "timeout");
  g_assert_cmpint (took, >=, G_USEC_PER_SEC);
  g_assert_cmpint (took, <, 10 * G_USEC_PER_SEC);
}

static DbConninfo *
conninfo_of (const char *uri)
{
  g_autoptr (DbDatabaseConfig) config = db_database_config_new_from_uri (uri, NULL);

  return db_postgres_make_conninfo (config);
}

static void
assert_default (const char *uri, const char *keyword, const char *expected)
{
  g_autoptr (DbConninfo) info = conninfo_of (uri);

  g_assert_cmpstr (db_conninfo_get (info, keyword), ==, expected);
}

static void
test_defaults (void)
{
  g_autoptr (DbConninfo) local = conninfo_of ("postgresql:///");
  g_autoptr (DbConninfo) remote = conninfo_of ("postgresql://db.example.org/?sslmode=require");

  assert_default ("postgresql:///", "sslmode", "prefer");
  assert_default ("postgresql://localhost/", "sslmode", "prefer");
  assert_default ("postgresql://127.0.0.2/", "sslmode", "prefer");
  assert_default ("postgresql://[::1]/", "sslmode", "prefer");
  assert_default ("postgresql://%2Ftmp/", "sslmode", "prefer");
  assert_default ("postgresql://db.example.org/", "sslmode", "verify-full");
  assert_default ("postgresql://localhost,db.example.org/", "sslmode", "verify-full");
  assert_default ("postgresql://localhost/?hostaddr=192.0.2.1", "sslmode", "verify-full");
  assert_default ("postgresql://db.example.org/?sslmode=disable", "sslmode", "disable");
  assert_default ("postgresql://db.example.org/?service=x", "sslmode", "verify-full");
  assert_default ("postgresql://db.example.org/?sslrootcert=/a", "sslrootcert", "/a");
  assert_default ("postgresql:///", "connect_timeout", "10");
  assert_default ("postgresql:///?connect_timeout=3", "connect_timeout", "3");
  assert_default ("postgresql:///", "gssencmode", "disable");
  assert_default ("postgresql:///?client_encoding=LATIN1", "client_encoding", "UTF8");
  g_assert_false (db_postgres_conninfo_is_unverified (local));
  g_assert_true (db_postgres_conninfo_is_unverified (remote));
}

static void
run_command (const char *const *argv)
{
  g_autoptr (GError) error = NULL;
  int status;

  g_spawn_sync (NULL, (char **) argv, NULL,
                G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                NULL, NULL, NULL, &status, &error);
  g_assert_no_error (error);
  g_assert_true (g_spawn_check_wait_status (status, &error));
}

/* A certificate for "localhost" that is its own authority, readable by the server. */
static void
make_certificate (const char *cert, const char *key)
{
  const char *const openssl[] = {"openssl",  "req",
                                 "-x509",    "-newkey",
                                 "rsa:2048", "-nodes",
                                 "-days",    "2",
                                 "-subj",    "/CN=localhost",
                                 "-addext",  "subjectAltName=DNS:localhost",
                                 "-out",     cert,
                                 "-keyout",  key,
                                 NULL};
  GStatBuf folder;

  run_command (openssl);
  g_assert_cmpint (g_stat (g_getenv ("DBPOOL_TEST_POSTGRES_DATADIR"), &folder), ==, 0);
  g_assert_cmpint (chown (key, folder.st_uid, folder.st_gid), ==, 0);
  g_assert_cmpint (g_chmod (key, 0600), ==, 0);
}

/* The server takes a moment to read its settings. */
static void
switch_tls (DbConnectionManager *manager, DbSession *session, const char *sql, const char *state)
{
  gboolean done = FALSE;

  fixture_execute (session, sql);
  fixture_execute (session, "SELECT pg_reload_conf()");
  while (!done)
    {
      DbSession *fresh = fixture_open (manager);
      g_autoptr (DbResult) result = fixture_query (fresh, "SHOW ssl", NULL);

      done = g_strcmp0 (db_result_get_text (result, 0, 0), state) == 0;
      fixture_close (manager, fresh);
    }
}

static char *
tls_uri (const char *host, const char *query)
{
  g_autofree char *uri = uri_with ("dbpool:secret", "dbpool_test", query);
  g_auto (GStrv) parts = g_strsplit (uri, "127.0.0.1", 2);

  return g_strjoinv (host, parts);
}

static void
check_verification (const char *cert)
{
  g_autofree char *good_query = g_strdup_printf ("?sslmode=verify-full&sslrootcert=%s", cert);
  g_autofree char *good = tls_uri ("localhost", good_query);
  g_autofree char *wrong_host = tls_uri ("127.0.0.1", good_query);
  g_autofree char *unknown = tls_uri ("localhost", "?sslmode=verify-full");
  g_autofree char *no_file = tls_uri ("localhost", "?sslmode=verify-full&sslrootcert=/nonexistent");
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (good);
  DbSession *session = fixture_open (manager);

  fixture_assert_text (session, "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                       "true");
  g_assert_true (db_session_is_alive (session));
  fixture_close (manager, session);
  assert_refused (wrong_host, DB_ERROR_CONFIGURATION, NULL, "ssl-mode (it is \"verify-full\")");
  assert_refused (unknown, DB_ERROR_CONFIGURATION, NULL, "set ssl-root-cert");
  assert_refused (no_file, DB_ERROR_CONFIGURATION, NULL, "set ssl-root-cert");
}

static void
test_tls (void)
{
  g_autofree char *openssl = g_find_program_in_path ("openssl");
  const char *folder = g_getenv ("DBPOOL_TEST_POSTGRES_DATADIR");
  g_autoptr (DbConnectionManager) manager = NULL;
  g_autofree char *cert = NULL;
  g_autofree char *key = NULL;
  DbSession *session;

  if (openssl == NULL || folder == NULL)
    {
      g_test_skip ("needs openssl and a cluster of our own");
      return;
    }
  cert = g_build_filename (folder, "server.crt", NULL);
  key = g_build_filename (folder, "server.key", NULL);
  make_certificate (cert, key);
  manager = fixture_manager_new (NULL);
  session = fixture_open (manager);
  switch_tls (manager, session, "ALTER SYSTEM SET ssl = on", "on");
  check_verification (cert);
  switch_tls (manager, session, "ALTER SYSTEM RESET ssl", "off");
  fixture_close (manager, session);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/postgres/open/works", test_open);
  g_test_add_func ("/postgres/open/tcp", test_open_tcp);
  g_test_add_func ("/postgres/open/with-config", test_open_with_config);
  g_test_add_func ("/postgres/open/describe", test_describe);
  g_test_add_func ("/postgres/open/fork", test_fork);
  g_test_add_func ("/postgres/open/cancelled", test_open_cancelled);
  g_test_add_func ("/postgres/open/close-waits", test_close_waits);
  g_test_add_func ("/postgres/open/not-closed", test_not_closed);
  g_test_add_func ("/postgres/open/refused-by-server", test_refused_by_server);
  g_test_add_func ("/postgres/open/refused-without-known-text", test_refused_without_known_text);
  g_test_add_func ("/postgres/open/refused-by-libpq", test_refused_by_libpq);
  g_test_add_func ("/postgres/open/unreachable", test_unreachable);
  g_test_add_func ("/postgres/open/several-hosts", test_several_hosts);
  g_test_add_func ("/postgres/open/silent-server", test_silent_server);
  g_test_add_func ("/postgres/open/tls", test_tls);
  g_test_add_func ("/postgres/open/defaults", test_defaults);

  return g_test_run ();
}
