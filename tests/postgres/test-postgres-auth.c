/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Logging in: where passwords come from, how they change while a pool runs, and where they must not
 * show. With the cluster of tls-cluster.sh, whose log tells how often a login failed.
 *
 * Here: CON-15, CON-16 (but for back-off: test-retry.c), PGS-11. */

#include "postgres-fixture.h"

#include "db-database-config-private.h"
#include "db-error-private.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define SECRET "Geh3imnis"

static int n_leaks; /* atomic: texts of the log with a secret in them */

static char *
get_port (void)
{
  const char *port = strrchr (g_getenv ("DBPOOL_TEST_POSTGRES_TCP_URI"), ':') + 1;

  return g_strndup (port, strcspn (port, "/"));
}

static char *
path_of (const char *name)
{
  return g_build_filename (g_getenv ("DBPOOL_TEST_TLS_FOLDER"), name, NULL);
}

static void
write_file (const char *path, const char *text, int mode)
{
  g_assert_true (
    g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, mode, NULL));
  g_assert_cmpint (g_chmod (path, mode), ==, 0);
}

/* @query begins with "?", or is "". */
static char *
uri_for (const char *credentials, const char *query)
{
  g_autofree char *port = get_port ();

  return g_strdup_printf ("postgresql://%s@127.0.0.1:%s/dbpool_test%s", credentials, port, query);
}

static void
check_works (const char *uri)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (uri);

  fixture_close (manager, fixture_open (manager));
}

static void
check_refused (const char *uri, int code, const char *part)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (uri);
  g_autoptr (GError) error = NULL;

  g_assert_null (db_connection_manager_open_session (manager, NULL, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, DB_ERROR, code);
  g_assert_nonnull (strstr (error->message, part));
  g_assert_null (strstr (error->message, SECRET));
  g_assert_null (strchr (error->message, '\n'));
}

/* How often the server has refused this user's password. */
static guint
count_failed_logins (const char *user)
{
  g_autofree char *path =
    g_build_filename (g_getenv ("DBPOOL_TEST_POSTGRES_DATADIR"), "server.log", NULL);
  g_autofree char *words =
    g_strdup_printf ("FATAL:  password authentication failed for user \"%s\"", user);
  g_autofree char *text = NULL;
  guint n = 0;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  for (const char *c = strstr (text, words); c != NULL; c = strstr (c + 1, words))
    n++;
  return n;
}

static void
test_methods (void)
{
  g_autofree char *scram = uri_for ("dbpool:secret", "");
  g_autofree char *md5 = uri_for ("digest:secret", "");
  g_autofree char *scram_wrong = uri_for ("dbpool:" SECRET, "");
  g_autofree char *md5_wrong = uri_for ("digest:" SECRET, "");
  g_autofree char *empty = uri_for ("dbpool:", "");

  check_works (scram);
  check_works (md5);
  check_refused (scram_wrong, DB_ERROR_AUTHENTICATION, "check username and password");
  check_refused (md5_wrong, DB_ERROR_AUTHENTICATION, "check username and password");
  check_refused (empty, DB_ERROR_AUTHENTICATION, "set the password");
}

static void
test_password_files_of_libpq (void)
{
  g_autofree char *path = path_of ("pgpass");
  g_autofree char *query = g_strconcat ("?passfile=", path, NULL);
  g_autofree char *named = uri_for ("dbpool", query);
  g_autofree char *plain = uri_for ("dbpool", "");

  write_file (path, "127.0.0.1:*:dbpool_test:dbpool:secret\n", 0600);
  check_works (named);
  check_refused (plain, DB_ERROR_AUTHENTICATION, "set the password");
  g_setenv ("PGPASSFILE", path, TRUE);
  check_works (plain);
  write_file (path, "*:*:*:*:" SECRET "\n", 0600);
  check_refused (plain, DB_ERROR_AUTHENTICATION, path);
  g_setenv ("PGPASSWORD", "secret", TRUE);
  check_works (plain);
  g_unsetenv ("PGPASSWORD");
  write_file (path, "*:*:*:*:secret\n", 0644);
  check_refused (plain, DB_ERROR_AUTHENTICATION, "chmod 0600");
  g_unsetenv ("PGPASSFILE");
}

static void
test_services (void)
{
  g_autofree char *path = path_of ("services");
  g_autofree char *port = get_port ();
  g_autofree char *text =
    g_strdup_printf ("[good]\nhost=127.0.0.1\nport=%s\ndbname=dbpool_test\nuser=dbpool\n"
                     "password=secret\n"
                     "[bad]\nhost=127.0.0.1\nport=%s\ndbname=dbpool_test\nuser=dbpool\n"
                     "password=" SECRET "\n[broken]\npassword " SECRET "\n",
                     port, port);

  write_file (path, text, 0600);
  g_setenv ("PGSERVICEFILE", path, TRUE);
  check_works ("postgresql://?service=good");
  check_refused ("postgresql://?service=bad", DB_ERROR_AUTHENTICATION, "username and password");
  check_refused ("postgresql://?service=broken", DB_ERROR_CONFIGURATION, "service");
  g_unsetenv ("PGSERVICEFILE");
}

/* Doubles what would end a text of that kind. */
static char *
quote (const char *text, char mark)
{
  GString *quoted = g_string_new (NULL);

  g_string_append_c (quoted, mark);
  for (const char *c = text; *c != '\0'; c++)
    {
      g_string_append_c (quoted, *c);
      if (*c == mark)
        g_string_append_c (quoted, mark);
    }
  g_string_append_c (quoted, mark);
  return g_string_free (quoted, FALSE);
}

static void
check_arrival (DbConnectionManager *manager, const char *text)
{
  DbSession *session = fixture_open (manager);

  fixture_assert_text (session, "SELECT session_user::text", text);
  fixture_assert_text (session, "SELECT current_database()::text", text);
  fixture_assert_text (session, "SHOW application_name", text);
  fixture_assert_text (session, "SELECT host(inet_server_addr())", "127.0.0.1");
  fixture_close (manager, session);
}

/* Whatever stands in a setting is that setting, and no other one. */
static void
test_injection (void)
{
  static const char *const texts[] = {
    "' host=evil.invalid user='x",
    "a\\' host=evil.invalid",
    "host=evil.invalid port=1",
    "postgresql://evil.invalid/x",
    "a\"b''c\\\\d e%20&sslmode=verify-full;#",
    " ",
  };
  g_autoptr (DbConnectionManager) owner = fixture_manager_new (NULL);
  g_autofree char *port = get_port ();
  DbSession *admin = fixture_open (owner);

  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autofree char *name = quote (texts[i], '"');
      g_autofree char *literal = quote (texts[i], '\'');
      g_autofree char *role = g_strdup_printf ("CREATE ROLE %s LOGIN PASSWORD %s", name, literal);
      g_autofree char *database = g_strdup_printf ("CREATE DATABASE %s", name);
      g_autofree char *drop_database = g_strdup_printf ("DROP DATABASE %s", name);
      g_autofree char *drop_role = g_strdup_printf ("DROP ROLE %s", name);
      g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
      g_autoptr (DbConnectionManager) manager = NULL;

      fixture_execute (admin, role);
      fixture_execute (admin, database);
      g_object_set (config, "host", "127.0.0.1", "port", (guint) atoi (port), "username", texts[i],
                    "database", texts[i], "application-name", texts[i], NULL);
      db_database_config_set_password (config, texts[i]);
      manager = DB_CONNECTION_MANAGER (db_postgres_manager_new (config));
      check_arrival (manager, texts[i]);
      fixture_execute (admin, drop_database);
      fixture_execute (admin, drop_role);
    }
  fixture_close (owner, admin);
}

/* What is no single host, file or option is refused before anybody is asked. */
static void
test_injection_refused (void)
{
  static const char *const hosts[] = {"127.0.0.1,evil.invalid", "a b", "x@y", "evil.invalid/x",
                                      "' host=evil.invalid"};
  g_autofree char *options = uri_for ("dbpool:secret", "?options=-c%20%27%20host%3Devil.invalid");
  g_autofree char *zero = uri_for ("dbpool:x%00" SECRET, "");
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (hosts); i++)
    {
      g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
      g_autoptr (DbConnectionManager) manager = NULL;

      g_object_set (config, "host", hosts[i], NULL);
      manager = DB_CONNECTION_MANAGER (db_postgres_manager_new (config));
      g_assert_null (db_connection_manager_open_session (manager, NULL, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      g_assert_nonnull (strstr (error->message, "is no host"));
      g_clear_error (&error);
    }
  check_refused (options, DB_ERROR_CONFIGURATION, "SQLSTATE");
  g_assert_null (db_database_config_new_from_uri (zero, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_assert_null (strstr (error->message, SECRET));
}

/* What is set by a program has the limit that the other sources have. */
static void
test_lengths (void)
{
  static const char *const names[] = {"database", "username", "password", "application-name"};
  g_autofree char *text = g_strnfill (65537, 'a');

  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
      g_autoptr (DbConnectionManager) manager = NULL;
      g_autoptr (GError) error = NULL;

      g_object_set (config, "host", "127.0.0.1", names[i], text, NULL);
      manager = DB_CONNECTION_MANAGER (db_postgres_manager_new (config));
      g_assert_null (db_connection_manager_open_session (manager, NULL, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      g_assert_nonnull (strstr (error->message, "is longer than 65536 bytes"));
      g_assert_cmpuint (strlen (error->message), <, 500);
    }
}

/* A provider: says one password after the other, and the last one for ever. */
typedef struct
{
  const char *passwords[4]; /* "": the empty one; NULL: none is set */
  int n_calls;              /* atomic */
  int n_refused;            /* atomic: how often it was told that the last answer was refused */
  const char *error;        /* fails with this text; "": without an error */
  int hang;                 /* atomic */
} Provider;

static gboolean
provide (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  Provider *self = data;
  int n = g_atomic_int_add (&self->n_calls, 1);
  int last = 0;

  while (g_atomic_int_get (&self->hang))
    g_usleep (1000);
  if (db_database_config_was_refused (DB_DATABASE_CONFIG (subject)))
    g_atomic_int_inc (&self->n_refused);
  if (self->error != NULL && self->error[0] != '\0')
    g_set_error_literal (error, DB_ERROR, DB_ERROR_CONFIGURATION, self->error);
  if (self->error != NULL)
    return FALSE;
  while (last < (int) G_N_ELEMENTS (self->passwords) - 1 && self->passwords[last + 1] != NULL)
    last++;
  db_database_config_set_password (DB_DATABASE_CONFIG (subject), self->passwords[MIN (n, last)]);
  return TRUE;
}

static DbPool *
pool_with_provider (const char *user, Provider *provider)
{
  /* with "prefer", libpq tries a password that was refused once more, without TLS */
  g_autofree char *uri = uri_for (user, "?sslmode=require");
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (uri);
  DbPool *pool = fixture_pool_new (manager, 0, 3);

  db_pool_set_hook (pool, DB_HOOK_BEFORE_CONNECT, provide, provider, NULL);
  return pool;
}

static void
make_role (const char *name, const char *password)
{
  g_autofree char *sql = g_strdup_printf ("CREATE ROLE %s LOGIN PASSWORD '%s'", name, password);

  fixture_admin (sql);
}

static void
check_acquire_fails (DbPool *pool, int code, const char *part)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (db_pool_acquire (pool, NULL, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, DB_ERROR, code);
  g_assert_nonnull (strstr (error->message, part));
  g_assert_null (strstr (error->message, SECRET));
}

/* PGS-11: the provider changed first. Sessions that are open stay so, new ones come in by the new
 * password, and nobody sees an error. */
static void
test_rotation (void)
{
  Provider provider = {.passwords = {SECRET "1", SECRET "2"}};
  g_autoptr (DbConnection) old = NULL;
  g_autoptr (DbConnection) new = NULL;
  DbPool *pool;

  make_role ("rotating", SECRET "1");
  pool = pool_with_provider ("rotating", &provider);
  old = fixture_acquire (pool);
  fixture_admin ("ALTER ROLE rotating PASSWORD '" SECRET "2'");
  new = fixture_acquire (pool);
  g_assert_cmpint (fixture_ask (old, "SELECT 1"), ==, 1);
  g_assert_cmpint (fixture_ask (new, "SELECT 1"), ==, 1);
  g_assert_cmpint (provider.n_calls, ==, 2);
  g_assert_cmpint (provider.n_refused, ==, 0);
  g_assert_cmpuint (count_failed_logins ("rotating"), ==, 0);
  db_connection_release (old);
  db_connection_release (new);
  fixture_pool_close (pool);
}

/* The password changed between the answer and its use: the provider is asked at once once more. */
static void
test_asked_again (void)
{
  Provider provider = {.passwords = {SECRET "1", SECRET "2"}};
  g_autoptr (DbConnection) connection = NULL;
  DbPool *pool;

  make_role ("late", SECRET "2");
  pool = pool_with_provider ("late", &provider);
  connection = fixture_acquire (pool);
  g_assert_cmpint (provider.n_calls, ==, 2);
  g_assert_cmpint (provider.n_refused, ==, 1);
  g_assert_cmpuint (count_failed_logins ("late"), ==, 1);
  g_assert_cmpuint (fixture_counter (pool, db_pool_stats_get_create_failed), ==, 0);
  db_connection_release (connection);
  fixture_pool_close (pool);
}

/* The same answer would only be one more failed login; a third one is not asked for. */
static void
test_not_tried_again (void)
{
  Provider same = {.passwords = {SECRET "1"}};
  Provider other = {.passwords = {SECRET "1", SECRET "3", SECRET "2"}};
  DbPool *pool;

  make_role ("locked", SECRET "2");
  pool = pool_with_provider ("locked", &same);
  check_acquire_fails (pool, DB_ERROR_AUTHENTICATION, "28P01");
  g_assert_cmpint (same.n_calls, ==, 2);
  g_assert_cmpuint (count_failed_logins ("locked"), ==, 1);
  fixture_pool_close (pool);

  pool = pool_with_provider ("locked", &other);
  check_acquire_fails (pool, DB_ERROR_AUTHENTICATION, "28P01");
  g_assert_cmpint (other.n_calls, ==, 2);
  g_assert_cmpuint (count_failed_logins ("locked"), ==, 3);
  fixture_pool_close (pool);
}

static void
test_provider_fails (void)
{
  Provider with_error = {.error = "the vault is sealed"};
  Provider without_error = {.error = ""};
  Provider nothing = {.passwords = {NULL}};
  Provider empty = {.passwords = {""}};
  Provider bytes = {.passwords = {"\xff\xfe" SECRET}};
  struct
  {
    Provider *provider;
    int code;
    const char *part;
  } cases[] = {
    {&with_error, DB_ERROR_CONFIGURATION, "the vault is sealed"},
    {&without_error, DB_ERROR_FAILED, "failed without an error"},
    {&nothing, DB_ERROR_AUTHENTICATION, "set the password"},
    {&empty, DB_ERROR_AUTHENTICATION, "set the password"},
    {&bytes, DB_ERROR_AUTHENTICATION, "28P01"},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      DbPool *pool = pool_with_provider ("dbpool", cases[i].provider);

      check_acquire_fails (pool, cases[i].code, cases[i].part);
      fixture_pool_close (pool);
    }
}

/* Callers wait no longer than they want to, and a close reports; it ends when the hook does. */
static void
test_provider_hangs (void)
{
  Provider provider = {.passwords = {"secret"}, .hang = TRUE};
  DbPool *pool = pool_with_provider ("dbpool", &provider);
  g_autoptr (GError) error = NULL;
  gint64 start = g_get_monotonic_time ();

  g_assert_null (db_pool_acquire_full (pool, DB_ACQUIRE_NONE, 100 * G_TIME_SPAN_MILLISECOND, NULL,
                                       NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 100 * G_TIME_SPAN_MILLISECOND);
  g_clear_error (&error);
  g_assert_false (db_pool_close (pool, 100 * G_TIME_SPAN_MILLISECOND, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpint (g_get_monotonic_time () - start, <, 30 * G_TIME_SPAN_SECOND);
  g_atomic_int_set (&provider.hang, FALSE);
  fixture_pool_close (pool);
}

/* Stands before the server. When the first client has come, the password file is replaced. */
typedef struct
{
  GSocketListener *listener;
  const char *path;
  const char *text; /* NULL: it is left alone */
  int n_clients;    /* atomic */
} Proxy;

static gpointer
pass_on (gpointer data)
{
  GIOStream **streams = data;
  g_autoptr (GSocketConnection) to = G_SOCKET_CONNECTION (streams[1]);

  g_output_stream_splice (g_io_stream_get_output_stream (streams[1]),
                          g_io_stream_get_input_stream (streams[0]), G_OUTPUT_STREAM_SPLICE_NONE,
                          NULL, NULL);
  g_socket_shutdown (g_socket_connection_get_socket (to), FALSE, TRUE, NULL);
  g_object_unref (streams[0]);
  g_free (streams);
  return NULL;
}

static GThread *
start_passing_on (GSocketConnection *from, GSocketConnection *to)
{
  GIOStream **streams = g_new (GIOStream *, 2);

  streams[0] = G_IO_STREAM (g_object_ref (from));
  streams[1] = G_IO_STREAM (g_object_ref (to));
  return g_thread_new ("proxy", pass_on, streams);
}

static gpointer
serve (gpointer data)
{
  Proxy *self = data;
  g_autofree char *port = get_port ();
  g_autoptr (GSocketClient) client = g_socket_client_new ();

  for (;;)
    {
      g_autoptr (GSocketConnection) from =
        g_socket_listener_accept (self->listener, NULL, NULL, NULL);
      g_autoptr (GSocketConnection) to = NULL;
      GThread *there, *back;

      if (from == NULL || g_atomic_int_get (&self->n_clients) < 0)
        return NULL;
      if (g_atomic_int_add (&self->n_clients, 1) == 0 && self->text != NULL)
        write_file (self->path, self->text, 0600);
      to = g_socket_client_connect_to_host (client, "127.0.0.1", (guint16) atoi (port), NULL, NULL);
      g_assert_nonnull (to);
      there = start_passing_on (from, to);
      back = start_passing_on (to, from);
      g_thread_join (there);
      g_thread_join (back);
    }
}

/* One open by way of the proxy, with the password file. */
static DbSession *
open_by_proxy (Proxy *proxy, GError **error)
{
  guint port = 0;
  g_autofree char *uri = NULL;
  g_autoptr (DbDatabaseConfig) config = NULL;
  g_autoptr (DbConnectionManager) manager = NULL;
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GSocketConnection) last = NULL;
  DbSession *session;
  GThread *thread;

  proxy->listener = g_socket_listener_new ();
  port = g_socket_listener_add_any_inet_port (proxy->listener, NULL, NULL);
  g_assert_cmpuint (port, !=, 0);
  thread = g_thread_new ("proxy", serve, proxy);
  uri = g_strdup_printf ("postgresql://renewed@127.0.0.1:%u/dbpool_test?sslmode=require", port);
  config = db_database_config_new_from_uri (uri, NULL);
  g_object_set (config, "password-file", proxy->path, NULL);
  manager = DB_CONNECTION_MANAGER (db_postgres_manager_new (config));
  session = db_connection_manager_open_session (manager, NULL, error);
  if (session != NULL)
    db_connection_manager_close_session (manager, session);
  g_atomic_int_set (&proxy->n_clients, -1000);
  last = g_socket_client_connect_to_host (client, "127.0.0.1", port, NULL, NULL);
  g_thread_join (thread);
  g_clear_object (&proxy->listener);
  return session;
}

/* A file that was replaced while its old password was on its way is read once more. */
static void
test_password_file_renewed (void)
{
  g_autofree char *path = path_of ("password");
  Proxy replaced = {.path = path, .text = SECRET "2\n"};
  Proxy left = {.path = path};
  g_autoptr (DbSession) session = NULL;
  g_autoptr (GError) error = NULL;

  make_role ("renewed", SECRET "2");
  write_file (path, SECRET "1\n", 0600);
  session = open_by_proxy (&replaced, &error);
  g_assert_no_error (error);
  g_assert_nonnull (session);
  g_assert_cmpuint (count_failed_logins ("renewed"), ==, 1);
  write_file (path, SECRET "1\n", 0600);
  g_assert_null (open_by_proxy (&left, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_AUTHENTICATION);
  g_assert_cmpuint (count_failed_logins ("renewed"), ==, 2);
}

/* Secrets. */

static GLogWriterOutput
look_for_leaks (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  for (gsize i = 0; i < n_fields; i++)
    if (fields[i].length < 0 && strstr (fields[i].value, SECRET) != NULL)
      g_atomic_int_inc (&n_leaks);
  if ((level & G_LOG_LEVEL_MASK) >= G_LOG_LEVEL_MESSAGE)
    return G_LOG_WRITER_HANDLED;
  return g_log_writer_default (level, fields, n_fields, data);
}

static void
check_text (const char *text)
{
  g_assert_nonnull (text);
  g_assert_null (strstr (text, SECRET));
}

static void
check_properties (gpointer object)
{
  guint n;
  g_autofree GParamSpec **pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (object), &n);

  for (guint i = 0; i < n; i++)
    {
      g_auto (GValue) value = G_VALUE_INIT;
      g_autofree char *text = NULL;

      if ((pspecs[i]->flags & G_PARAM_READABLE) == 0)
        continue;
      g_object_get_property (object, pspecs[i]->name, &value);
      text = G_VALUE_HOLDS_VARIANT (&value) && g_value_get_variant (&value) != NULL
               ? g_variant_print (g_value_get_variant (&value), TRUE)
               : g_strdup_value_contents (&value);
      check_text (text);
    }
}

/* CON-15. Nobody listens at port 1. */
static void
check_secret_of (DbDatabaseConfig *config)
{
  g_autofree char *uri = db_database_config_to_string (config);
  g_autoptr (DbConnectionManager) manager =
    DB_CONNECTION_MANAGER (db_postgres_manager_new (config));
  DbPool *pool = fixture_pool_new (manager, 0, 1);
  GKeyFile *keys = g_key_file_new ();
  g_autofree char *description = db_connection_manager_describe (manager);
  g_autofree char *dump = NULL;
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  db_database_config_to_key_file (config, keys, "db");
  text = g_key_file_to_data (keys, NULL, NULL);
  g_key_file_free (keys);
  check_text (uri);
  check_text (text);
  check_text (description);
  g_assert_nonnull (strstr (uri, "anna"));
  g_assert_nonnull (strstr (uri, "127.0.0.1"));
  check_properties (config);
  check_properties (manager);
  check_properties (pool);
  g_assert_null (
    db_pool_acquire_full (pool, DB_ACQUIRE_NONE, 50 * G_TIME_SPAN_MILLISECOND, NULL, NULL, &error));
  check_text (error->message);
  g_assert_nonnull (strstr (error->message, "anna"));
  dump = db_pool_dump (pool);
  check_text (dump);
  fixture_pool_close (pool);
}

static void
test_secrets (void)
{
  static const char *const good[] = {
    "postgresql://anna:" SECRET "@127.0.0.1:1/x",
    "postgres://anna:" SECRET "@127.0.0.1:1/x",
    "postgresql://anna@127.0.0.1:1/x?password=" SECRET,
    "postgresql://anna@127.0.0.1:1/x?sslpassword=" SECRET,
    "postgresql://anna:" SECRET "@127.0.0.1:1,127.0.0.1:2/x?target_session_attrs=primary",
    "postgresql:///x?host=127.0.0.1&port=1&user=anna&password=" SECRET,
    "postgresql://anna:%47eh3imnis@127.0.0.1:1/x",
    "postgresql://anna:" SECRET "@127.0.0.1:1/x?sslmode=verify-full&sslrootcert=/nonexistent",
    "postgresql://anna:" SECRET "@127.0.0.1:1/x?sslcert=/nonexistent",
  };
  static const char *const bad[] = {
    "postgresql://anna:" SECRET "@127.0.0.1:port/x",
    "postgresql://anna:x@" SECRET "@127.0.0.1/x",
    "postgresql://anna:" SECRET "@127.0.0.1/x?colour=red",
    "postgresql://anna:" SECRET "@[127.0.0.1/x",
    "postgresql://anna:" SECRET "%zz@127.0.0.1/x",
    "postgresql://anna:" SECRET "%00@127.0.0.1/x",
    "postgresql://anna:" SECRET "@127.0.0.1/x?password",
    "postgresql://anna:" SECRET "@127.0.0.1/x?sslmode=sometimes",
    "postgresql://anna:" SECRET "@127.0.0.1/x?pool_max_connections=ten",
    "mysql://anna:" SECRET "@127.0.0.1/x",
  };

  for (gsize i = 0; i < G_N_ELEMENTS (good); i++)
    {
      g_autoptr (DbDatabaseConfig) config = db_database_config_new_from_uri (good[i], NULL);

      check_secret_of (config);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (DbDatabaseConfig) config = NULL;
      g_autoptr (GError) error = NULL;

      config = db_database_config_new_from_uri (bad[i], &error);
      g_assert_null (config);
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      check_text (error->message);
    }
  g_assert_cmpint (g_atomic_int_get (&n_leaks), ==, 0);
}

/* The whole memory of this process, for a secret that stands nowhere in the program. */

#define MASK 0x5a
#define N_PADDING 600

/* "wipe-me-after-use", masked. */
static const char masked[] = {0x2d, 0x33, 0x2a, 0x3f, 0x77, 0x37, 0x3f, 0x77, 0x3b,
                              0x3c, 0x2e, 0x3f, 0x28, 0x77, 0x2f, 0x29, 0x3f};

/* The secret. What comes before the words makes it so long that nobody uses its place again. */
static char *
unmask (void)
{
  char *text = g_malloc0 (N_PADDING + sizeof masked + 1);

  memset (text, 'x', N_PADDING);
  for (gsize i = 0; i < sizeof masked; i++)
    text[N_PADDING + i] = masked[i] ^ MASK;
  return text;
}

static gboolean
is_secret_at (const char *bytes)
{
  for (gsize i = 0; i < sizeof masked; i++)
    if (bytes[i] != (masked[i] ^ MASK))
      return FALSE;
  return TRUE;
}

static guint
count_in_region (int fd, guint64 start, guint64 end)
{
  static char buffer[1 << 16]; /* and left empty, so that it is not found itself */
  guint n = 0;

  while (start < end)
    {
      gsize wanted = MIN (sizeof buffer, end - start);
      gssize length = pread (fd, buffer, wanted, (off_t) start);

      if (length < (gssize) sizeof masked)
        break;
      for (gssize i = 0; i + (gssize) sizeof masked <= length; i++)
        n += buffer[i] == (masked[0] ^ MASK) && is_secret_at (buffer + i);
      explicit_bzero (buffer, sizeof buffer);
      start += length == (gssize) wanted && end - start > wanted ? wanted - sizeof masked + 1
                                                                 : (guint64) length;
    }
  return n;
}

/* How often it is there; what is mapped and larger than 64 MiB belongs to a sanitizer. */
static guint
count_in_memory (void)
{
  g_autofree char *maps = NULL;
  g_auto (GStrv) lines = NULL;
  int fd = open ("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  guint n = 0;

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL));
  lines = g_strsplit (maps, "\n", -1);
  for (char **line = lines; *line != NULL && (*line)[0] != '\0'; line++)
    {
      char *rest;
      guint64 start = g_ascii_strtoull (*line, &rest, 16);
      guint64 end = g_ascii_strtoull (rest + 1, &rest, 16);

      if (g_str_has_prefix (rest, " rw") && end - start <= 64 * 1024 * 1024)
        n += count_in_region (fd, start, end);
    }
  close (fd);
  return n;
}

static void
forget (char *text)
{
  explicit_bzero (text, strlen (text));
  g_free (text);
}

/* All of dbpool's own copies: set, replaced, copied, made for libpq, read from a file or a pipe. Of
 * its own, libpq 15 leaves one behind when it logs in by SCRAM. */
static void
test_memory (void)
{
  g_autofree char *path = path_of ("wiped");
  DbDatabaseConfig *config = db_database_config_new ();
  DbDatabaseConfig *from_file = db_database_config_new ();
  DbDatabaseConfig *copy;
  DbConninfo *info;
  char *secret = unmask ();
  int fds[2];

  db_database_config_set_password (config, secret);
  g_assert_cmpint (pipe (fds), ==, 0);
  g_assert_cmpint (write (fds[1], secret, strlen (secret)), ==, (gssize) strlen (secret));
  close (fds[1]);
  fds[1] = open (path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
  g_assert_cmpint (write (fds[1], secret, strlen (secret)), ==, (gssize) strlen (secret));
  close (fds[1]);
  forget (secret);
  g_assert_cmpuint (count_in_memory (), >, 0); /* it would be found */
  copy = db_database_config_copy (config);
  info = db_database_config_to_conninfo (config);
  db_conninfo_free (info);
  g_assert_true (db_database_config_equal (config, copy));
  g_assert_true (db_database_config_read_password (config, fds[0], NULL));
  close (fds[0]);
  g_object_set (from_file, "password-file", path, NULL);
  info = db_database_config_to_conninfo (from_file);
  g_assert_true (db_database_config_read_password_file (from_file, info, NULL));
  g_assert_false (db_database_config_renew_password (from_file, info));
  db_conninfo_free (info);
  g_object_unref (from_file);
  g_object_unref (copy);
  db_database_config_set_password (config, "another one");
  g_assert_cmpuint (count_in_memory (), ==, 0);
  g_object_unref (config);
}

int
main (int argc, char **argv)
{
  g_autofree char *home = path_of ("home");
  int status;

  alarm (100);
  g_setenv ("HOME", home, TRUE);
  g_setenv ("DBPOOL_DEBUG", "pool,postgres,sqlite,leaks,sql,sql-values", TRUE);
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (look_for_leaks, NULL, NULL);

  g_test_add_func ("/postgres/auth/methods", test_methods);
  g_test_add_func ("/postgres/auth/password-files-of-libpq", test_password_files_of_libpq);
  g_test_add_func ("/postgres/auth/services", test_services);
  g_test_add_func ("/postgres/auth/injection", test_injection);
  g_test_add_func ("/postgres/auth/injection-refused", test_injection_refused);
  g_test_add_func ("/postgres/auth/lengths", test_lengths);
  g_test_add_func ("/postgres/auth/rotation", test_rotation);
  g_test_add_func ("/postgres/auth/asked-again", test_asked_again);
  g_test_add_func ("/postgres/auth/not-tried-again", test_not_tried_again);
  g_test_add_func ("/postgres/auth/provider-fails", test_provider_fails);
  g_test_add_func ("/postgres/auth/provider-hangs", test_provider_hangs);
  g_test_add_func ("/postgres/auth/password-file-renewed", test_password_file_renewed);
  g_test_add_func ("/postgres/auth/secrets", test_secrets);
  g_test_add_func ("/postgres/auth/memory", test_memory);

  status = g_test_run ();
  fixture_stop_counting ();
  return status;
}
