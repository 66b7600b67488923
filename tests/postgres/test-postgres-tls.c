/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* TLS with the cluster of tls-cluster.sh: what works, and what each refusal says. */

#include "postgres-fixture.h"

#include "db-error-private.h"
#include "db-postgres-connecting-private.h"
#include "db-postgres-errors-private.h"

#include <glib/gstdio.h>
#include <libpq-fe.h>
#include <string.h>
#include <unistd.h>

#define WORKS (-1)

/* One way to come in, and what comes of it. */
typedef struct
{
  const char *user;
  const char *query;   /* "@" stands for the folder of the certificates */
  int code;            /* of DbError, or WORKS */
  const char *outcome; /* "true" or "false": whether TLS is used; or a part of the error */
} Case;

static int n_warnings; /* of servers that are not verified */

static GLogWriterOutput
count_warnings (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, "MESSAGE") == 0 &&
        strstr (fields[i].value, "nothing proves that this is the right server") != NULL)
      {
        g_atomic_int_inc (&n_warnings);
        return G_LOG_WRITER_HANDLED;
      }
  return g_log_writer_default (level, fields, n_fields, data);
}

static char *
uri_for (const char *host, const char *user, const char *query)
{
  const char *tcp = g_getenv ("DBPOOL_TEST_POSTGRES_TCP_URI");
  const char *port = strrchr (tcp, ':') + 1;
  g_auto (GStrv) parts = g_strsplit (query, "@", -1);
  g_autofree char *full = g_strjoinv (g_getenv ("DBPOOL_TEST_TLS_FOLDER"), parts);

  return g_strdup_printf ("postgresql://%s:secret@%s:%.*s/dbpool_test?%s", user, host,
                          (int) strcspn (port, "/"), port, full);
}

static void
check_error (const GError *error, int code, const char *part)
{
  g_test_message ("%s", error->message);
  g_assert_error (error, DB_ERROR, code);
  g_assert_nonnull (strstr (error->message, part));
  g_assert_null (strstr (error->message, "secret"));
  g_assert_null (strchr (error->message, '\n'));
}

static void
check_uri (const char *uri, int code, const char *outcome)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (uri);
  g_autoptr (GError) error = NULL;
  DbSession *session = db_connection_manager_open_session (manager, NULL, &error);

  if (code != WORKS)
    {
      g_assert_null (session);
      check_error (error, code, outcome);
      return;
    }
  g_assert_no_error (error);
  fixture_assert_text (session, "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                       outcome);
  fixture_close (manager, session);
}

/* It works, and somebody should know how. */
static void
check_warns (const char *uri, const char *outcome)
{
  int before = g_atomic_int_get (&n_warnings);

  check_uri (uri, WORKS, outcome);
  g_assert_cmpint (g_atomic_int_get (&n_warnings), ==, before + 1);
}

static void
check_cases (const Case *cases, gsize n_cases)
{
  for (gsize i = 0; i < n_cases; i++)
    {
      g_autofree char *query = g_strconcat ("hostaddr=127.0.0.1&", cases[i].query, NULL);
      g_autofree char *uri = uri_for ("localhost", cases[i].user, query);

      g_test_message ("%s, %s", cases[i].user, cases[i].query);
      check_uri (uri, cases[i].code, cases[i].outcome);
    }
}

/* Sets what the server reads again, and waits until it has. */
static void
set_server (const char *setting, const char *value)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbSession *session = fixture_open (manager);
  g_autofree char *set = g_strdup_printf ("ALTER SYSTEM SET %s = '%s'", setting, value);
  g_autofree char *show = g_strdup_printf ("SHOW %s", setting);
  gboolean done = FALSE;

  fixture_execute (session, set);
  fixture_execute (session, "SELECT pg_reload_conf()");
  while (!done)
    {
      DbSession *fresh = fixture_open (manager);
      g_autoptr (DbResult) result = fixture_query (fresh, show, NULL);

      done = g_strcmp0 (db_result_get_text (result, 0, 0), value) == 0;
      fixture_close (manager, fresh);
    }
  fixture_close (manager, session);
}

/* Until its key is set, too, the server goes on with the last pair that fitted. */
static void
use_certificate (const char *name)
{
  const char *folder = g_getenv ("DBPOOL_TEST_TLS_FOLDER");
  g_autofree char *cert = g_strdup_printf ("%s/%s.crt", folder, name);
  g_autofree char *key = g_strdup_printf ("%s/%s.key", folder, name);

  set_server ("ssl_cert_file", cert);
  set_server ("ssl_key_file", key);
}

#define ROOT "&sslrootcert=@/authority.crt"

static void
test_modes (void)
{
  static const Case cases[] = {
    {"dbpool", "sslmode=disable", WORKS, "false"},
    {"dbpool", "sslmode=allow", WORKS, "false"},
    {"dbpool", "sslmode=prefer", WORKS, "true"},
    {"dbpool", "", WORKS, "true"},
    {"dbpool", "sslmode=require", WORKS, "true"},
    {"dbpool", "sslmode=verify-ca" ROOT, WORKS, "true"},
    {"dbpool", "sslmode=verify-full" ROOT, WORKS, "true"},
    {"encrypted", "sslmode=disable", DB_ERROR_AUTHENTICATION, "let ssl-mode ask for TLS"},
    {"encrypted", "sslmode=allow", WORKS, "true"},
    {"encrypted", "sslmode=prefer", WORKS, "true"},
    {"encrypted", "sslmode=require", WORKS, "true"},
    {"encrypted", "sslmode=verify-ca" ROOT, WORKS, "true"},
    {"encrypted", "sslmode=verify-full" ROOT, WORKS, "true"},
    {"plain", "sslmode=disable", WORKS, "false"},
    {"plain", "sslmode=allow", WORKS, "false"},
    {"plain", "sslmode=prefer", WORKS, "false"},
    {"plain", "sslmode=require", DB_ERROR_AUTHENTICATION, "without TLS only"},
    {"plain", "sslmode=verify-ca" ROOT, DB_ERROR_AUTHENTICATION, "without TLS only"},
    {"plain", "sslmode=verify-full" ROOT, DB_ERROR_AUTHENTICATION, "without TLS only"},
  };

  check_cases (cases, G_N_ELEMENTS (cases));
}

static void
test_server_without_tls (void)
{
  static const Case cases[] = {
    {"dbpool", "sslmode=disable", WORKS, "false"},
    {"dbpool", "sslmode=allow", WORKS, "false"},
    {"dbpool", "sslmode=prefer", WORKS, "false"},
    {"dbpool", "sslmode=require", DB_ERROR_CONFIGURATION, "ssl-mode (it is \"require\")"},
    {"dbpool", "sslmode=verify-ca" ROOT, DB_ERROR_CONFIGURATION, "ssl-mode (it is \"verify-ca\")"},
    {"dbpool", "sslmode=verify-full" ROOT, DB_ERROR_CONFIGURATION,
     "ssl-mode (it is \"verify-full\")"},
    {"encrypted", "sslmode=disable", DB_ERROR_AUTHENTICATION, "pg_hba.conf"},
    {"encrypted", "sslmode=allow", DB_ERROR_AUTHENTICATION, "pg_hba.conf"},
    {"encrypted", "sslmode=prefer", DB_ERROR_AUTHENTICATION, "pg_hba.conf"},
    {"dbpool", "sslmode=require&channel_binding=require", DB_ERROR_CONFIGURATION,
     "switch TLS on in the server"},
    {"dbpool", "channel_binding=require", DB_ERROR_CONFIGURATION, "channel binding needs TLS"},
  };

  set_server ("ssl", "off");
  check_cases (cases, G_N_ELEMENTS (cases));
  set_server ("ssl", "on");
}

static void
test_root_certificate (void)
{
  static const Case cases[] = {
    {"dbpool", "sslmode=verify-full", DB_ERROR_CONFIGURATION, "set ssl-root-cert"},
    {"dbpool", "sslmode=verify-full&sslrootcert=@/nothing.crt", DB_ERROR_CONFIGURATION,
     "set ssl-root-cert, or set ssl-mode (it is \"verify-full\")"},
    {"dbpool", "sslmode=verify-ca&sslrootcert=@/nothing.crt", DB_ERROR_CONFIGURATION,
     "ssl-mode (it is \"verify-ca\")"},
    {"dbpool", "sslmode=verify-full&sslrootcert=@", DB_ERROR_CONFIGURATION, "set ssl-root-cert"},
    {"dbpool", "sslmode=verify-full&sslrootcert=@/ca.cnf", DB_ERROR_CONFIGURATION,
     "set ssl-root-cert"},
    {"dbpool", "sslmode=verify-full&sslrootcert=@/stranger.crt", DB_ERROR_CONFIGURATION,
     "set ssl-root-cert to the authority"},
    /* libpq's rule: with an authority, this verifies it */
    {"dbpool", "sslmode=require&sslrootcert=@/stranger.crt", DB_ERROR_CONFIGURATION,
     "set ssl-root-cert to the authority"},
    {"dbpool", "sslmode=require&sslrootcert=@/nothing.crt", WORKS, "true"},
  };

  check_cases (cases, G_N_ELEMENTS (cases));
}

static void
test_unreadable_root_certificate (void)
{
  static const Case cases[] = {
    {"dbpool", "sslmode=verify-full&sslrootcert=@/unreadable.crt", DB_ERROR_CONFIGURATION,
     "set ssl-root-cert"},
  };
  g_autofree char *path =
    g_build_filename (g_getenv ("DBPOOL_TEST_TLS_FOLDER"), "unreadable.crt", NULL);

  if (geteuid () == 0)
    {
      g_test_skip ("nothing is unreadable for the superuser");
      return;
    }
  g_assert_true (g_file_set_contents_full (path, "", 0, G_FILE_SET_CONTENTS_NONE, 0, NULL));
  check_cases (cases, G_N_ELEMENTS (cases));
}

static void
test_server_certificates (void)
{
  static const Case elsewhere[] = {
    {"dbpool", "sslmode=require", WORKS, "true"},
    {"dbpool", "sslmode=verify-ca" ROOT, WORKS, "true"},
    {"dbpool", "sslmode=verify-full" ROOT, DB_ERROR_CONFIGURATION,
     "use the host that the certificate names"},
  };
  static const Case not_valid[] = {
    {"dbpool", "sslmode=require", WORKS, "true"},
    {"dbpool", "sslmode=verify-ca" ROOT, DB_ERROR_CONFIGURATION, "expired"},
    {"dbpool", "sslmode=verify-full" ROOT, DB_ERROR_CONFIGURATION, "expired"},
  };
  static const Case alone[] = {
    {"dbpool", "sslmode=verify-full" ROOT, DB_ERROR_CONFIGURATION, "set ssl-root-cert"},
    {"dbpool", "sslmode=verify-full&sslrootcert=@/alone.crt", WORKS, "true"},
  };
  static const Case revoked[] = {
    {"dbpool", "sslmode=verify-full" ROOT, WORKS, "true"},
    {"dbpool", "sslmode=verify-full&sslcrl=@/crl.pem" ROOT, DB_ERROR_CONFIGURATION, "revoked"},
    /* without a list that libpq can read, it would let this server pass */
    {"dbpool", "sslmode=verify-full&sslcrl=@/nothing.pem" ROOT, DB_ERROR_CONFIGURATION,
     "the option sslcrl"},
    {"dbpool", "sslmode=verify-full&sslcrl=@/ca.cnf" ROOT, DB_ERROR_CONFIGURATION,
     "no list of revoked certificates"},
    {"dbpool", "sslmode=verify-full&sslcrldir=@/nowhere" ROOT, DB_ERROR_CONFIGURATION,
     "the option sslcrldir"},
  };
  static const Case right[] = {
    {"dbpool", "sslmode=verify-full&sslcrl=@/crl.pem" ROOT, WORKS, "true"},
  };

  use_certificate ("elsewhere");
  check_cases (elsewhere, G_N_ELEMENTS (elsewhere));
  use_certificate ("expired");
  check_cases (not_valid, G_N_ELEMENTS (not_valid));
  use_certificate ("alone");
  check_cases (alone, G_N_ELEMENTS (alone));
  use_certificate ("revoked");
  check_cases (revoked, G_N_ELEMENTS (revoked));
  use_certificate ("right");
  check_cases (right, G_N_ELEMENTS (right));
}

#define CERT "sslmode=require&sslcert=@/certified.crt"

static void
test_client_certificates (void)
{
  static const Case cases[] = {
    {"certified", CERT "&sslkey=@/certified.key", WORKS, "true"},
    {"certified", CERT "&sslkey=@/locked.key&sslpassword=locksecret", WORKS, "true"},
    {"certified", "sslmode=require", DB_ERROR_AUTHENTICATION, "set ssl-cert and ssl-key"},
    {"certified", CERT, DB_ERROR_CONFIGURATION, "set ssl-key"},
    {"certified", CERT "&sslkey=@/nothing.key", DB_ERROR_CONFIGURATION, "set ssl-key"},
    {"certified", CERT "&sslkey=@/ca.cnf", DB_ERROR_CONFIGURATION, "chmod 0600"},
    {"certified", CERT "&sslkey=@/forged.key", DB_ERROR_CONFIGURATION, "set ssl-key"},
    {"certified", CERT "&sslkey=@/locked.key&sslpassword=wrongsecret", DB_ERROR_CONFIGURATION,
     "the option sslpassword"},
    {"certified", "sslmode=require&sslcert=@/nothing.crt&sslkey=@/certified.key",
     DB_ERROR_CONFIGURATION, "ssl-cert"},
    {"certified", "sslmode=require&sslcert=@/ca.cnf&sslkey=@/certified.key", DB_ERROR_CONFIGURATION,
     "ssl-cert"},
    /* where the server's alert does not compete with the end of the connection */
    {"certified",
     "sslmode=require&sslcert=@/forged.crt&sslkey=@/forged.key&ssl_max_protocol_version=TLSv1.2",
     DB_ERROR_AUTHENTICATION, "the server does not trust the authority"},
    {"stranger", CERT "&sslkey=@/certified.key", DB_ERROR_AUTHENTICATION, "28P01"},
    /* the certificate and the password */
    {"twofold", CERT "&sslkey=@/certified.key", WORKS, "true"},
    {"twofold", "sslmode=require", DB_ERROR_AUTHENTICATION, "set ssl-cert and ssl-key"},
  };

  check_cases (cases, G_N_ELEMENTS (cases));
}

/* Without a terminal OpenSSL would ask the standard input. */
static void
test_nobody_is_asked (void)
{
  static const Case cases[] = {
    {"certified", CERT "&sslkey=@/locked.key", DB_ERROR_CONFIGURATION, "the option sslpassword"},
  };
  const char *answer = "locksecret\n";
  int before = dup (STDIN_FILENO);
  int fds[2];

  g_assert_cmpint (pipe (fds), ==, 0);
  g_assert_cmpint (write (fds[1], answer, strlen (answer)), ==, (gssize) strlen (answer));
  close (fds[1]);
  g_assert_cmpint (dup2 (fds[0], STDIN_FILENO), ==, STDIN_FILENO);
  close (fds[0]);
  check_cases (cases, G_N_ELEMENTS (cases));
  g_assert_cmpint (dup2 (before, STDIN_FILENO), ==, STDIN_FILENO);
  close (before);
}

static void
test_channel_binding (void)
{
  static const Case cases[] = {
    {"dbpool", "sslmode=require&channel_binding=require", WORKS, "true"},
    {"dbpool", "sslmode=disable&channel_binding=require", DB_ERROR_CONFIGURATION,
     "channel binding needs TLS"},
    {"dbpool", "sslmode=disable&channel_binding=prefer", WORKS, "false"},
    {"digest", "sslmode=require&channel_binding=require", DB_ERROR_AUTHENTICATION,
     "scram-sha-256 for this user"},
    {"digest", "sslmode=require", WORKS, "true"},
    {"dbpool", "channel_binding=sometimes", DB_ERROR_CONFIGURATION, "check the options"},
    {"dbpool", "ssl_min_protocol_version=TLSv9", DB_ERROR_CONFIGURATION, "check the options"},
    {"dbpool", "ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2",
     DB_ERROR_CONFIGURATION, "ssl_min_protocol_version"},
  };

  check_cases (cases, G_N_ELEMENTS (cases));
}

/* By the options' property the keyword reaches libpq, by a URI it does not. */
static void
test_require_auth (void)
{
  g_autofree char *uri = uri_for ("localhost", "dbpool", "require_auth=scram-sha-256");
  g_autofree char *plain = uri_for ("localhost", "dbpool", "hostaddr=127.0.0.1");
  g_autoptr (DbDatabaseConfig) config = db_database_config_new_from_uri (plain, NULL);
  g_autoptr (DbDatabaseConfig) from_uri = NULL;
  g_autoptr (DbConnectionManager) manager = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) options = g_variant_ref_sink (
    g_variant_new_parsed ("{'hostaddr': '127.0.0.1', 'require_auth': 'password'}"));
  GKeyFile *keys = g_key_file_new ();

  if (PQlibVersion () >= 160000)
    {
      g_autofree char *other =
        uri_for ("localhost", "digest", "hostaddr=127.0.0.1&require_auth=scram-sha-256");

      check_uri (uri, WORKS, "true");
      check_uri (other, DB_ERROR_AUTHENTICATION, "the option require_auth");
      g_key_file_free (keys);
      return;
    }
  from_uri = db_database_config_new_from_uri (uri, &error);
  check_error (error, DB_ERROR_CONFIGURATION, "needs libpq 16 or later, and this is libpq 15");
  g_clear_error (&error);
  g_assert_true (
    g_key_file_load_from_data (keys, "[db]\nrequire_auth=none\n", -1, G_KEY_FILE_NONE, NULL));
  g_assert_null (db_database_config_new_from_key_file (keys, "db", &error));
  check_error (error, DB_ERROR_CONFIGURATION, "needs libpq 16 or later");
  g_clear_error (&error);
  g_key_file_free (keys);
  g_object_set (config, "options", options, NULL);
  manager = DB_CONNECTION_MANAGER (db_postgres_manager_new (config));
  g_assert_null (db_connection_manager_open_session (manager, NULL, &error));
  check_error (error, DB_ERROR_CONFIGURATION, "\"require_auth\": it needs libpq 16 or later");
}

/* What the environment asks for is not quietly left out either, whatever becomes of TLS. */
static void
test_require_auth_of_environment (void)
{
  g_autofree char *plain = uri_for ("localhost", "dbpool", "hostaddr=127.0.0.1&sslmode=disable");
  g_autofree char *digest = uri_for ("localhost", "digest", "hostaddr=127.0.0.1");

  g_setenv ("PGREQUIREAUTH", "", TRUE);
  check_uri (plain, WORKS, "false");
  g_setenv ("PGREQUIREAUTH", "scram-sha-256", TRUE);
  if (PQlibVersion () >= 160000)
    {
      check_uri (plain, WORKS, "false");
      check_uri (digest, DB_ERROR_AUTHENTICATION, "the option require_auth");
    }
  else
    {
      check_uri (plain, DB_ERROR_CONFIGURATION, "PGREQUIREAUTH \"scram-sha-256\"");
      check_uri (digest, DB_ERROR_CONFIGURATION, "needs libpq 16 or later, and this is libpq 15");
    }
  g_unsetenv ("PGREQUIREAUTH");
}

/* "127.1" is this machine for the system and another one for whoever reads it. */
static void
test_remote_defaults (void)
{
  g_autofree char *home_file =
    g_build_filename (g_get_home_dir (), ".postgresql", "root.crt", NULL);
  g_autofree char *authority =
    g_build_filename (g_getenv ("DBPOOL_TEST_TLS_FOLDER"), "authority.crt", NULL);
  g_autofree char *folder = g_path_get_dirname (home_file);
  g_autofree char *plain = uri_for ("127.1", "dbpool", "");
  g_autofree char *rooted = uri_for ("127.1", "dbpool", "sslrootcert=@/authority.crt");

  check_uri (rooted, WORKS, "true");
  /* nothing, or the system's authorities, verify it */
  check_uri (plain, DB_ERROR_CONFIGURATION, "(it is \"verify-full\")");
  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  g_assert_cmpint (symlink (authority, home_file), ==, 0);
  check_uri (plain, WORKS, "true");
  set_server ("ssl", "off");
  check_uri (plain, DB_ERROR_CONFIGURATION, "(it is \"verify-full\")");
  g_setenv ("PGSSLMODE", "prefer", TRUE);
  check_warns (plain, "false");
  g_unsetenv ("PGSSLMODE");
  set_server ("ssl", "on");
  g_assert_cmpint (g_unlink (home_file), ==, 0);
}

static void
test_remote_warns_once (void)
{
  static const char *const queries[] = {"sslmode=disable", "sslmode=allow", "sslmode=prefer",
                                        "sslmode=require"};
  g_autofree char *verified = uri_for ("127.1", "dbpool", "sslmode=verify-ca" ROOT);
  g_autofree char *local = uri_for ("127.0.0.1", "dbpool", "sslmode=disable");
  int before = g_atomic_int_get (&n_warnings);

  for (gsize i = 0; i < G_N_ELEMENTS (queries); i++)
    {
      g_autofree char *uri = uri_for ("127.1", "dbpool", queries[i]);
      g_autoptr (DbConnectionManager) manager = fixture_manager_new (uri);

      for (guint j = 0; j < 3; j++)
        fixture_close (manager, fixture_open (manager));
      g_assert_cmpint (g_atomic_int_get (&n_warnings), ==, before + (int) i + 1);
    }
  check_uri (verified, WORKS, "true");
  check_uri (local, WORKS, "false");
  g_assert_cmpint (g_atomic_int_get (&n_warnings), ==, before + (int) G_N_ELEMENTS (queries));
}

static void
write_services (const char *path)
{
  const char *folder = g_getenv ("DBPOOL_TEST_TLS_FOLDER");
  const char *port = strrchr (g_getenv ("DBPOOL_TEST_POSTGRES_TCP_URI"), ':') + 1;
  const int length = (int) strcspn (port, "/");
  g_autofree char *text = g_strdup_printf (
    "[near]\nhost=127.0.0.1\nport=%.*s\ndbname=dbpool_test\n"
    "[far]\nhost=127.1\nport=%.*s\ndbname=dbpool_test\n"
    "[verified]\nhost=127.1\nport=%.*s\ndbname=dbpool_test\nsslrootcert=%s/authority.crt\n"
    "[weak]\nhost=127.1\nport=%.*s\ndbname=dbpool_test\nsslmode=disable\n",
    length, port, length, port, length, port, folder, length, port);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

/* What a service leaves open is decided by where it leads, as everywhere. */
static void
test_services (void)
{
  g_autofree char *path = g_build_filename (g_get_home_dir (), "services", NULL);

  write_services (path);
  g_setenv ("PGSERVICEFILE", path, TRUE);
  check_uri ("postgresql://dbpool:secret@/?service=near", WORKS, "true");
  check_uri ("postgresql://dbpool:secret@/?service=far", DB_ERROR_CONFIGURATION,
             "(it is \"verify-full\")");
  check_uri ("postgresql://dbpool:secret@/?service=verified", WORKS, "true");
  check_warns ("postgresql://dbpool:secret@/?service=weak", "false");
  check_warns ("postgresql://dbpool:secret@/?service=far&sslmode=prefer", "true");
  check_uri ("postgresql://dbpool:secret@/?service=nowhere", DB_ERROR_CONFIGURATION,
             "check the option service");
  g_setenv ("PGSERVICE", "verified", TRUE);
  check_uri ("postgresql://dbpool:secret@/", WORKS, "true");
  g_unsetenv ("PGSERVICE");
  g_setenv ("PGSERVICEFILE", "/nonexistent", TRUE);
  check_uri ("postgresql://dbpool:secret@/?service=near", DB_ERROR_CONFIGURATION, "service file");
  g_unsetenv ("PGSERVICEFILE");
}

static void
check_choice (const char *message, int code, const char *part)
{
  g_autoptr (GError) error =
    db_postgres_error_from_open (message, "postgresql://localhost/", "prefer");

  g_assert_error (error, DB_ERROR, code);
  g_assert_nonnull (strstr (error->message, part));
}

#define REFUSED " failed: Connection refused\n\tIs the server running on that host?\n"
#define WRONG " failed: FATAL:  password authentication failed for user \"anna\"\n"
#define STARTING " failed: FATAL:  the database system is starting up\n"

/* "localhost" is two addresses in many places, and servers often listen at one. */
static void
test_several_addresses (void)
{
  check_choice ("connection to server at \"localhost\" (::1), port 5432" REFUSED
                "connection to server at \"localhost\" (127.0.0.1), port 5432" WRONG,
                DB_ERROR_AUTHENTICATION, "username and password");
  check_choice ("connection to server at \"localhost\" (::1), port 5432" WRONG
                "connection to server at \"localhost\" (127.0.0.1), port 5432" REFUSED,
                DB_ERROR_AUTHENTICATION, "username and password");
  check_choice ("connection to server at \"localhost\" (::1), port 5432" WRONG
                "connection to server at \"localhost\" (127.0.0.1), port 5432" STARTING,
                DB_ERROR_CONNECTION, "starting up");
  /* other hosts and other servers may be back soon */
  check_choice ("connection to server at \"a\" (192.0.2.1), port 5432" REFUSED
                "connection to server at \"b\" (192.0.2.2), port 5432" WRONG,
                DB_ERROR_CONNECTION, "refused");
  check_choice ("connection to server at \"127.0.0.1\", port 5432" REFUSED
                "connection to server at \"127.0.0.1\", port 5433" WRONG,
                DB_ERROR_CONNECTION, "refused");
  check_choice ("connection to server on socket \"/a/.s.PGSQL.1\" failed: No such file\n"
                "connection to server on socket \"/b/.s.PGSQL.1\"" WRONG,
                DB_ERROR_CONNECTION, "No such file");
}

/* A home of its own, so that nobody's certificates count; before anything asks for it. */
static char *
make_home (void)
{
  char *home = g_build_filename (g_getenv ("DBPOOL_TEST_TLS_FOLDER"), "home", NULL);

  g_assert_cmpint (g_mkdir (home, 0700), ==, 0);
  g_setenv ("HOME", home, TRUE);
  return home;
}

int
main (int argc, char **argv)
{
  g_autofree char *home = make_home ();

  alarm (100);
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (count_warnings, NULL, NULL);

  g_test_add_func ("/postgres/tls/modes", test_modes);
  g_test_add_func ("/postgres/tls/server-without-tls", test_server_without_tls);
  g_test_add_func ("/postgres/tls/root-certificate", test_root_certificate);
  g_test_add_func ("/postgres/tls/unreadable-root-certificate", test_unreadable_root_certificate);
  g_test_add_func ("/postgres/tls/server-certificates", test_server_certificates);
  g_test_add_func ("/postgres/tls/client-certificates", test_client_certificates);
  g_test_add_func ("/postgres/tls/nobody-is-asked", test_nobody_is_asked);
  g_test_add_func ("/postgres/tls/channel-binding", test_channel_binding);
  g_test_add_func ("/postgres/tls/require-auth", test_require_auth);
  g_test_add_func ("/postgres/tls/require-auth-of-environment", test_require_auth_of_environment);
  g_test_add_func ("/postgres/tls/remote-defaults", test_remote_defaults);
  g_test_add_func ("/postgres/tls/remote-warns-once", test_remote_warns_once);
  g_test_add_func ("/postgres/tls/services", test_services);
  g_test_add_func ("/postgres/tls/several-addresses", test_several_addresses);

  return g_test_run ();
}
