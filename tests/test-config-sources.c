/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Configurations from the environment, key files and files with secrets: what is read, what is
 * refused and how the error names its place, and that what is written is read again. No
 * secret is in an error, wherever it stood. */

#include "config.h"

#include "config-fixture.h"
#include "db-database-config-private.h"
#include "db-error.h"
#include "db-pool-config-private.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* No variable that is read here is set, but those of @assignments ("NAME=value"), up to NULL. */
static void
set_environment (const char *const *assignments)
{
  static const char *const prefixes[] = {"PG", "DATABASE_URL", "DBPOOL_", "SHOP_"};
  g_auto (GStrv) names = g_listenv ();

  for (char **name = names; *name != NULL; name++)
    for (gsize i = 0; i < G_N_ELEMENTS (prefixes); i++)
      if (g_str_has_prefix (*name, prefixes[i]))
        g_unsetenv (*name);
  for (; *assignments != NULL; assignments++)
    {
      const char *equals = strchr (*assignments, '=');
      g_autofree char *name = g_strndup (*assignments, equals - *assignments);

      g_setenv (name, equals + 1, TRUE);
    }
}

#define ENVIRONMENT(...) set_environment ((const char *const[]){__VA_ARGS__, NULL})

static GKeyFile *
parse (const char *text)
{
  GKeyFile *key_file = g_key_file_new ();
  g_autoptr (GError) error = NULL;

  g_key_file_load_from_data (key_file, text, -1,
                             G_KEY_FILE_KEEP_COMMENTS | G_KEY_FILE_KEEP_TRANSLATIONS, &error);
  g_assert_no_error (error);
  return key_file;
}

static void
assert_described (DbDatabaseConfig *config, const char *expected)
{
  g_autofree char *text = db_database_config_to_string (config);

  g_assert_cmpstr (text, ==, expected);
}

static void
assert_password (DbDatabaseConfig *config, const char *expected)
{
  g_autoptr (DbConninfo) info = db_database_config_to_conninfo (config);

  g_assert_cmpstr (db_conninfo_get (info, "password"), ==, expected);
}

/* @prefix may be NULL. */
static DbDatabaseConfig *
from_env (const char *prefix, const char *expected)
{
  g_autoptr (GError) error = NULL;
  DbDatabaseConfig *config = db_database_config_new_from_env (prefix, &error);

  g_assert_no_error (error);
  assert_described (config, expected);
  return config;
}

static DbDatabaseConfig *
from_group (GKeyFile *key_file, const char *group, const char *expected)
{
  g_autoptr (GError) error = NULL;
  DbDatabaseConfig *config = db_database_config_new_from_key_file (key_file, group, &error);

  g_assert_no_error (error);
  assert_described (config, expected);
  return config;
}

static void
test_usual_variables (void)
{
  g_autoptr (DbDatabaseConfig) config = NULL;

  ENVIRONMENT ("SHOP_HOST=elsewhere");
  config = from_env (NULL, "postgresql:///");
  g_clear_object (&config);

  ENVIRONMENT ("PGHOST=a,/tmp", "PGPORT=5433,", "PGDATABASE=shop", "PGUSER=anna",
               "PGSSLMODE=prefer", "PGPASSWORD=" SECRET, "PGSSLROOTCERT=/r", "PGSSLCERT=/c",
               "PGSSLKEY=/k", "PGAPPNAME=till", "PGCONNECT_TIMEOUT=3");
  config = from_env (NULL, "postgresql://anna@a:5433,%2Ftmp/shop?sslmode=prefer&sslrootcert=/r"
                           "&sslcert=/c&sslkey=/k&application_name=till");
  assert_password (config, SECRET);
  g_clear_object (&config);

  ENVIRONMENT ("PGPORT=5433", "PGHOST=", "PGUSER=");
  config = from_env (NULL, "postgresql://:5433/");
  g_clear_object (&config);

  /* the service file comes before the variables, and only libpq knows it */
  ENVIRONMENT ("PGPORT=5433", "PGSERVICE=shop");
  config = from_env (NULL, "postgresql:///");
  g_clear_object (&config);

#ifdef HAVE_POSTGRES
  ENVIRONMENT ("DATABASE_URL=postgres://anna:" SECRET "@b/shop?connect_timeout=3", "PGHOST=a");
  config = from_env (NULL, "postgresql://anna@b/shop?connect_timeout=3");
  assert_password (config, SECRET);
#endif
}

static void
test_prefixed_variables (void)
{
  g_autoptr (DbDatabaseConfig) config = NULL;

  ENVIRONMENT ("SHOP_HOST=db.example.org", "SHOP_PORT=5433", "SHOP_DATABASE=shop",
               "SHOP_USERNAME=anna", "SHOP_PASSWORD=" SECRET, "SHOP_SSL_MODE=verify-full",
               "SHOP_SSL_ROOT_CERT=/r", "SHOP_SSL_CERT=/c", "SHOP_SSL_KEY=/k",
               "SHOP_APPLICATION_NAME=till", "SHOP_COLOUR=red", "PGHOST=a", "DATABASE_URL=x");
  config = from_env ("SHOP", "postgresql://anna@db.example.org:5433/shop?sslmode=verify-full"
                             "&sslrootcert=/r&sslcert=/c&sslkey=/k&application_name=till");
  assert_password (config, SECRET);
  g_clear_object (&config);

  /* a password is any bytes */
  ENVIRONMENT ("SHOP_PASSWORD=\xff'\\ \"", "SHOP_HOST=fe80::1%eth0,::1,h");
  config = from_env ("SHOP", "postgresql://[fe80::1%eth0],[::1],h/");
  assert_password (config, "\xff'\\ \"");
  g_clear_object (&config);

#ifdef HAVE_POSTGRES
  ENVIRONMENT ("SHOP_DATABASE_URL=postgresql://anna@b/shop", "SHOP_PASSWORD_FILE=/run/x");
  config = from_env ("SHOP", "postgresql://anna@b/shop");
#endif
}

static void
refuse_env (const char *prefix, const char *expected, const char *also)
{
  GError *error = NULL;

  g_assert_null (db_database_config_new_from_env (prefix, &error));
  config_assert_refused (error, expected, also, NULL);
}

static void
test_variables_refused (void)
{
  ENVIRONMENT ("PGPORT=" SECRET);
  refuse_env (NULL, "environment variable PGPORT", "65535");
  ENVIRONMENT ("PGPORT=1,2,3", "PGHOST=a,b");
  refuse_env (NULL, "environment variable PGPORT", "3 ports for 2 hosts");
  ENVIRONMENT ("PGHOST=a:5432");
  refuse_env (NULL, "environment variable PGHOST", "“a:5432” is no host");
  ENVIRONMENT ("PGHOST=a b");
  refuse_env (NULL, "environment variable PGHOST", "“a b” is no host");
  ENVIRONMENT ("PGSSLMODE=Require");
  refuse_env (NULL, "environment variable PGSSLMODE", "verify-full");
  ENVIRONMENT ("PGUSER=\xff");
  refuse_env (NULL, "environment variable PGUSER", "UTF-8");
  ENVIRONMENT ("DATABASE_URL=");
  refuse_env (NULL, "environment variable DATABASE_URL", "empty");
  ENVIRONMENT ("SHOP_HOST=");
  refuse_env ("SHOP", "environment variable SHOP_HOST", "empty");
  ENVIRONMENT ("SHOP_SSL_MODE=default");
  refuse_env ("SHOP", "environment variable SHOP_SSL_MODE", "“default”");
  ENVIRONMENT ("SHOP_PORT=65536");
  refuse_env ("SHOP", "environment variable SHOP_PORT", "65535");
  ENVIRONMENT ("SHOP_PASSWORD=" SECRET, "SHOP_PASSWORD_FILE=/x");
  refuse_env ("SHOP", "environment variable SHOP_PASSWORD",
              "environment variable SHOP_PASSWORD_FILE");
  ENVIRONMENT ("SHOP_PASSWORD_FD=-1");
  refuse_env ("SHOP", "environment variable SHOP_PASSWORD_FD", "descriptor");
  ENVIRONMENT ("SHOP_PASSWORD_FD=987");
  refuse_env ("SHOP", "environment variable SHOP_PASSWORD_FD", "descriptor 987");
  ENVIRONMENT ("PGHOST=a");
  refuse_env ("SHOP", "SHOP_DATABASE_URL", "SHOP_HOST");
  refuse_env ("", "“”", "SHOP");
  refuse_env ("SH-OP", "“SH-OP”", "begin");
  refuse_env ("1SHOP", "“1SHOP”", "begin");
  refuse_env ("SHOP=\xff", "begin", "SHOP");
  {
    g_autofree char *long_value = g_strnfill (65537, 'a');
    g_autofree char *assignment = g_strconcat ("SHOP_USERNAME=", long_value, NULL);

    ENVIRONMENT (assignment);
    refuse_env ("SHOP", "environment variable SHOP_USERNAME", "65536");
  }
#ifdef HAVE_POSTGRES
  ENVIRONMENT ("DATABASE_URL=sqlite:shop.db?key=" SECRET);
  refuse_env (NULL, "environment variable DATABASE_URL", "db_pool_factory_create_pool");
  ENVIRONMENT ("DATABASE_URL=postgresql://a:" SECRET "@h/x?pool_max_connections=0");
  refuse_env (NULL, "environment variable DATABASE_URL: pool_max_connections", "“0”");
  ENVIRONMENT ("DATABASE_URL=postgresql://a:" SECRET "@h/x?pool_size=4");
  refuse_env (NULL, "environment variable DATABASE_URL", "pool_size");
  ENVIRONMENT ("DATABASE_URL=postgresql://a:" SECRET "@h/x?pool_name=a&pool_name=a");
  refuse_env (NULL, "environment variable DATABASE_URL", "twice");
  ENVIRONMENT ("DATABASE_URL=postgresql://a:" SECRET "@h/x?connect_timeout=soon");
  refuse_env (NULL, "environment variable DATABASE_URL", "connect_timeout");
  ENVIRONMENT ("SHOP_DATABASE_URL=postgresql://h/x", "SHOP_PORT=5432");
  refuse_env ("SHOP", "environment variable SHOP_PORT", "environment variable SHOP_DATABASE_URL");
  ENVIRONMENT ("SHOP_DATABASE_URL=postgresql://a:" SECRET "@h/x", "SHOP_PASSWORD=" SECRET);
  refuse_env ("SHOP", "environment variable SHOP_PASSWORD", "already");
#endif
}

static void
test_key_file (void)
{
  g_autoptr (GKeyFile) key_file = parse ("[shop]\n"
                                         "hosts=a:5433;b;[::1]:1;/tmp;\n"
                                         "database=my shop\n"
                                         "username=anna\n"
                                         "password=" SECRET "'\\s\n"
                                         "ssl-mode=require\n"
                                         "application-name=till\n"
                                         "max-connections=4\n"
                                         "[empty]\n"
                                         "[one]\n"
                                         "host=::1\n"
                                         "port=7\n");
  g_autoptr (DbDatabaseConfig) config = NULL;
  g_autoptr (DbConninfo) info = NULL;

  config = from_group (key_file, "shop",
                       "postgresql://anna@a:5433,b,[::1]:1,%2Ftmp/my%20shop?sslmode=require"
                       "&application_name=till");
  assert_password (config, SECRET "' ");
  info = db_database_config_to_conninfo (config);
  g_assert_null (db_conninfo_get (info, "max-connections"));
  g_clear_object (&config);
  config = from_group (key_file, "empty", "postgresql:///");
  g_clear_object (&config);
  config = from_group (key_file, "one", "postgresql://[::1]:7/");
}

static void
test_key_file_refused (void)
{
  static const struct
  {
    const char *lines;
    const char *expected;
    const char *also;
  } cases[] = {
    {"host=", "key host of group [shop]", "empty"},
    {"host=a/b", "key host of group [shop]", "“a/b” is no host"},
    {"host=a:1:x", "key host of group [shop]", "is no host"},
    {"port=0", "key port of group [shop]", "65535"},
    {"port=5432.0", "key port of group [shop]", "65535"},
    {"port=99999999999999999999", "key port of group [shop]", "65535"},
    {"hosts=a:99999", "key hosts of group [shop]", "“a:99999” is no host"},
    {"hosts=a,b", "key hosts of group [shop]", "“a,b” is no host"},
    {"hosts=a\nport=1", "key port of group [shop]", "key hosts of group [shop]"},
    {"ssl-mode=on", "key ssl-mode of group [shop]", "verify-full"},
    {"sslmode=require", "key sslmode of group [shop]", "ssl-mode"},
    {"dbname=x", "key dbname of group [shop]", "database"},
    {"user=x", "key user of group [shop]", "username"},
    {"Host=a", "key Host of group [shop]", "no such setting"},
    {"max_connections=" SECRET, "key max_connections of group [shop]", "no such setting"},
    {"pool_max_connections=0", "key pool_max_connections of group [shop]", "“0”"},
    {"password[de]=" SECRET, "key password[de] of group [shop]", "no such setting"},
    {"password=" SECRET "\\q", "key password of group [shop]", "followed by"},
    {"password=" SECRET "\\", "key password of group [shop]", "followed by"},
    {"password=" SECRET "\\q\\", "key password of group [shop]", "followed by"},
    {"username=\\q" SECRET, "key username of group [shop]", "followed by"},
    {"password=" SECRET "\npassword-file=/x", "key password", "key password-file"},
    {"password-fd=x", "key password-fd of group [shop]", "descriptor"},
    {"password-fd=987", "key password-fd of group [shop]", "descriptor 987"},
#ifdef HAVE_POSTGRES
    {"connect_timeout=1s", "key connect_timeout of group [shop]", "“1s”"},
    {"connect_timeout=99999999999", "key connect_timeout of group [shop]", "whole number"},
    {"client_encoding=LATIN1", "key client_encoding of group [shop]", "no such setting"},
    {"uri=postgresql://a:" SECRET "@h:x/", "key uri of group [shop]", "port"},
    {"uri=postgresql://a:" SECRET "@h/\nhost=b", "key host of group [shop]", "key uri"},
    {"uri=postgresql://a:" SECRET "@h/\nconnect_timeout=1", "key connect_timeout", "key uri"},
    {"uri=postgresql://a:" SECRET "@h/\npassword-file=/x", "key password-file", "already"},
#endif
  };
  g_autoptr (GKeyFile) nothing = g_key_file_new ();
  GError *error = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *text = g_strconcat ("[shop]\n", cases[i].lines, "\n", NULL);
      g_autoptr (GKeyFile) key_file = parse (text);

      error = NULL;
      g_assert_null (db_database_config_new_from_key_file (key_file, "shop", &error));
      config_assert_refused (error, cases[i].expected, cases[i].also, NULL);
    }
  error = NULL;
  g_assert_null (db_database_config_new_from_key_file (nothing, "shop", &error));
  config_assert_refused (error, "[shop]", NULL);
  error = NULL;
  g_assert_null (db_pool_config_new_from_key_file (nothing, "shop", &error));
  config_assert_refused (error, "[shop]", NULL);
}

/* Written and read again: equal, but for the secrets. */
static void
test_key_file_round_trip (void)
{
  const char *const hosts[] = {"a:1", "", "[::1]:2", "fe80::1", "/tmp", ":4", NULL};
  g_autoptr (GKeyFile) key_file = parse ("# mine\n[shop]\nuri=postgresql:///\nport=3\n"
                                         "password=" SECRET "\n"
#ifdef HAVE_POSTGRES
                                         "tcp_user_timeout=1\n"
#endif
                                         "max-connections=7\nssl-key=/old\n");
  g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
  g_autoptr (DbDatabaseConfig) again = NULL;
  g_autofree char *described = NULL;
  g_autofree char *data = NULL;
  g_autofree char *password_file = NULL;

  g_object_set (config, "hosts", hosts, "database", "my; shop\\ \t", "username", " anna",
                "password", SECRET, "ssl-mode", DB_SSL_MODE_VERIFY_CA, "ssl-root-cert", "/r", NULL);
#ifdef HAVE_POSTGRES
  g_object_set (config, "options",
                g_variant_new_parsed ("{'connect_timeout': '3', 'sslpassword': '" SECRET "', "
                                      "'pool_idle_timeout': '5min', 'options': '-c a=\"b;\\\\'}"),
                NULL);
#endif
  described = db_database_config_to_string (config);
  db_database_config_to_key_file (config, key_file, "new");
  again = from_group (key_file, "new", described);
  assert_password (again, NULL);
  g_clear_object (&again);
  data = g_key_file_to_data (key_file, NULL, NULL);
  g_assert_null (strstr (strstr (data, "[new]"), SECRET));

  /* over what is there: its password stays, and what is the pool's */
  db_database_config_to_key_file (config, key_file, "shop");
  again = from_group (key_file, "shop", described);
  assert_password (again, SECRET);
  g_assert_false (g_key_file_has_key (key_file, "shop", "uri", NULL));
  g_assert_cmpint (g_key_file_get_integer (key_file, "shop", "max-connections", NULL), ==, 7);
  g_clear_pointer (&data, g_free);
  data = g_key_file_to_data (key_file, NULL, NULL);
  g_assert_true (g_str_has_prefix (data, "# mine\n"));
  g_clear_object (&again);

  /* a file with the password stands for it */
  g_object_set (config, "password", NULL, "password-file", "/run/x y", NULL);
  db_database_config_to_key_file (config, key_file, "shop");
  again = from_group (key_file, "shop", described);
  g_object_get (again, "password-file", &password_file, NULL);
  g_assert_cmpstr (password_file, ==, "/run/x y");
  g_assert_false (g_key_file_has_key (key_file, "shop", "password", NULL));
}

/* What stays set stays where it is, below its comment; an empty one is none. */
static void
test_key_file_places (void)
{
  const char *text = "[shop]\n# who\nusername=anna\n# how\nssl-mode=require\n# where\nhosts=a;b;\n"
                     "# file\npassword-file=/x\n"
#ifdef HAVE_POSTGRES
                     "# more\nconnect_timeout=3\n# secret\nsslpassword=x\n"
#endif
                     "# last\nmax-uses=1\nidle-timeout=5min\n";
  g_autoptr (GKeyFile) key_file = parse (text);
  g_autoptr (DbDatabaseConfig) config = NULL;
  g_autoptr (DbPoolConfig) pool = db_pool_config_new_from_key_file (key_file, "shop", NULL);
  g_autofree char *written = NULL;

  config = db_database_config_new_from_key_file (key_file, "shop", NULL);
  db_database_config_to_key_file (config, key_file, "shop");
  db_pool_config_to_key_file (pool, key_file, "shop");
  written = g_key_file_to_data (key_file, NULL, NULL);
  g_assert_cmpstr (written, ==, text);
}

#ifdef HAVE_POSTGRES
/* What a URI says of the pool is kept, reaches a pool's configuration, and never the server. */
static void
test_pool_options (void)
{
  const char *uri = "postgresql://a@h/x?pool_max_connections=3&connect_timeout=2&pool%5Fname=K%26B";
  g_autoptr (GError) error = NULL;
  g_autoptr (DbDatabaseConfig) config = db_database_config_new_from_uri (uri, &error);
  g_autoptr (DbDatabaseConfig) copy = NULL;
  g_autoptr (DbPoolConfig) pool = g_object_new (DB_TYPE_POOL_CONFIG, "max-connections", 9u, NULL);
  g_autoptr (DbConninfo) info = NULL;
  g_autofree char *name = NULL;
  DbPoolSettings settings;

  g_assert_no_error (error);
  copy = db_database_config_copy (config);
  info = db_database_config_to_conninfo (copy);
  g_assert_cmpuint (g_strv_length (info->keywords), ==, 4);
  g_assert_cmpstr (db_conninfo_get (info, "connect_timeout"), ==, "2");
  assert_described (copy, "postgresql://a@h/x?connect_timeout=2&pool_max_connections=3"
                          "&pool_name=K%26B");
  g_assert_true (db_database_config_apply_pool_options (copy, pool, &error));
  g_assert_no_error (error);
  db_pool_config_get_settings (pool, &settings);
  g_object_get (pool, "name", &name, NULL);
  g_assert_cmpuint (settings.max_connections, ==, 3);
  g_assert_cmpstr (name, ==, "K&B");
}
#endif

/* A file in a folder of its own; the folder is gone with it. */
static char *
make_file (const char *content, gssize length)
{
  g_autofree char *folder = g_dir_make_tmp ("dbpool-XXXXXX", NULL);
  char *path = g_build_filename (folder, "secret", NULL);

  g_assert_true (g_file_set_contents (path, content, length, NULL));
  return path;
}

static void
remove_file (char *path)
{
  g_autofree char *folder = g_path_get_dirname (path);

  g_remove (path);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
  g_free (path);
}

static void
assert_file_gives (DbDatabaseConfig *config, const char *expected)
{
  g_autoptr (DbConninfo) info = db_database_config_to_conninfo (config);
  g_autoptr (GError) error = NULL;

  g_assert_true (db_database_config_read_password_file (config, info, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (db_conninfo_get (info, "password"), ==, expected);
}

static void
assert_file_fails (const char *path, const char *reason)
{
  g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
  g_autoptr (DbConninfo) info = db_database_config_to_conninfo (config);
  GError *error = NULL;

  g_object_set (config, "password-file", path, NULL);
  g_assert_false (db_database_config_read_password_file (config, info, &error));
  config_assert_refused (error, path, reason, NULL);
  g_assert_null (db_conninfo_get (info, "password"));
}

static void
test_password_file (void)
{
  char *path = make_file (SECRET "\n", -1);
  g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
  g_autoptr (DbDatabaseConfig) copy = NULL;

  assert_file_gives (config, NULL);
  g_object_set (config, "password-file", path, NULL);
  assert_file_gives (config, SECRET);
  db_database_config_freeze (config);
  copy = db_database_config_copy (config);
  g_assert_true (g_file_set_contents (path, "next' \\\r\n", -1, NULL));
  assert_file_gives (config, "next' \\");
  g_assert_true (g_file_set_contents (path, "ohne Zeilenende", -1, NULL));
  assert_file_gives (copy, "ohne Zeilenende");
  /* what a hook sets wins */
  db_database_config_set_password (copy, "hook's");
  assert_file_gives (copy, "hook's");
  remove_file (path);
}

static void
test_password_file_refused (void)
{
  g_autofree char *long_text = g_strnfill (65537, 's');
  g_autofree char *folder = g_dir_make_tmp ("dbpool-XXXXXX", NULL);
  g_autofree char *fifo = g_build_filename (folder, "fifo", NULL);
  static const struct
  {
    const char *content;
    gssize length;
    const char *reason;
  } cases[] = {
    {"", 0, "empty"},
    {"\n", 1, "empty"},
    {SECRET "\0x", sizeof SECRET + 1, "zero byte"},
    {SECRET "\nsecond\n", -1, "more than one line"},
    {SECRET "\n\n", -1, "more than one line"},
  };
  char *path;

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      path = make_file (cases[i].content, cases[i].length);
      assert_file_fails (path, cases[i].reason);
      remove_file (path);
    }
  path = make_file (long_text, -1);
  assert_file_fails (path, "65536");
  g_assert_cmpint (truncate (path, 65536), ==, 0);
  {
    g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
    g_autoptr (DbConninfo) info = db_database_config_to_conninfo (config);

    g_object_set (config, "password-file", path, NULL);
    g_assert_true (db_database_config_read_password_file (config, info, NULL));
    g_assert_cmpuint (strlen (db_conninfo_get (info, "password")), ==, 65536);
  }
  remove_file (path);
  assert_file_fails (fifo, "No such file");
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  assert_file_fails (fifo, "no regular file");
  g_remove (fifo);
  assert_file_fails (folder, "no regular file");
  g_rmdir (folder);
}

static gpointer
write_late (gpointer data)
{
  const int fd = GPOINTER_TO_INT (data);

  g_assert_cmpint (write (fd, SECRET, 4), ==, 4);
  g_assert_cmpint (write (fd, &SECRET[4], sizeof SECRET - 5), ==, sizeof SECRET - 5);
  close (fd);
  return NULL;
}

/* From a pipe, whose other end may be slow and which may be non-blocking; it stays open. */
static void
test_password_fd (void)
{
  g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
  GError *error = NULL;
  int fds[2];

  for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK)
    {
      GThread *thread;

      g_assert_cmpint (pipe (fds), ==, 0);
      g_assert_cmpint (fcntl (fds[0], F_SETFL, flags), ==, 0);
      thread = g_thread_new ("late", write_late, GINT_TO_POINTER (fds[1]));
      g_assert_true (db_database_config_read_password (config, fds[0], &error));
      g_assert_no_error (error);
      g_thread_join (thread);
      assert_password (config, SECRET);
      db_database_config_set_password (config, NULL);
      g_assert_cmpint (close (fds[0]), ==, 0);
    }
  g_assert_cmpint (pipe (fds), ==, 0);
  close (fds[1]);
  g_assert_false (db_database_config_read_password (config, fds[0], &error));
  config_assert_refused (error, "file descriptor", "empty", NULL);
  close (fds[0]);
}

/* @variable: of an environment; named in an error, and the reason. */
static void
refuse_pool_env (const char *prefix, const char *variable, const char *reason)
{
  GError *error = NULL;

  g_assert_null (db_pool_config_new_from_env (prefix, &error));
  config_assert_refused (error, variable, reason, NULL);
}

static void
test_pool_variables (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbPoolConfig) config = NULL;
  DbPoolSettings settings;

  ENVIRONMENT ("DBPOOL_MAX_CONNECTIONS=3", "DBPOOL_IDLE_TIMEOUT=5min", "DBPOOL_DEBUG=pool",
               "DBPOOL_TEST_X=1", "SHOP_POOL_NONSENSE=1", "SHOP_POOLISH=1");
  config = db_pool_config_new_from_env (NULL, &error);
  g_assert_no_error (error);
  db_pool_config_get_settings (config, &settings);
  g_assert_cmpuint (settings.max_connections, ==, 3);
  g_assert_cmpint (settings.idle_timeout, ==, 5 * G_TIME_SPAN_MINUTE);
  /* what is not set may still be suggested by a manager */
  db_pool_config_set_default (config, "max-connections", 4u);
  db_pool_config_set_default (config, "max-lifetime", G_GINT64_CONSTANT (0));
  db_pool_config_get_settings (config, &settings);
  g_assert_cmpuint (settings.max_connections, ==, 3);
  g_assert_cmpint (settings.max_lifetime, ==, 0);
  g_clear_object (&config);

  ENVIRONMENT ("SHOP_POOL_LAZY=true", "SHOP_MAX_CONNECTIONS=x", "DBPOOL_NONSENSE=1",
               "SHOP_POOL_CONNECTION_TIMEOUT=forever");
  config = db_pool_config_new_from_env ("SHOP", &error);
  g_assert_no_error (error);
  db_pool_config_get_settings (config, &settings);
  g_assert_true (settings.lazy);
  g_assert_cmpint (settings.connection_timeout, ==, G_MAXINT64);

  ENVIRONMENT ("DBPOOL_MAX_CONNECTIONS=ten");
  refuse_pool_env (NULL, "environment variable DBPOOL_MAX_CONNECTIONS: “ten”", "whole number");
  ENVIRONMENT ("DBPOOL_MAX_CONNECTIONS=");
  refuse_pool_env (NULL, "environment variable DBPOOL_MAX_CONNECTIONS", "empty");
  ENVIRONMENT ("DBPOOL_MAX_CONECTIONS=4");
  refuse_pool_env (NULL, "environment variable DBPOOL_MAX_CONECTIONS", "DBPOOL_MAX_CONNECTIONS");
  ENVIRONMENT ("DBPOOL_max_connections=4");
  refuse_pool_env (NULL, "environment variable DBPOOL_max_connections", "no such setting");
  ENVIRONMENT ("DBPOOL_HOST=h");
  refuse_pool_env (NULL, "environment variable DBPOOL_HOST", "no such setting");
  ENVIRONMENT ("SHOP_POOL_=4");
  refuse_pool_env ("SHOP", "environment variable SHOP_POOL_:", "SHOP_POOL_MAX_CONNECTIONS");
  ENVIRONMENT ("SHOP_POOL_IDLE_TIMEOUT=30");
  refuse_pool_env ("SHOP", "environment variable SHOP_POOL_IDLE_TIMEOUT", "“30s”");
  ENVIRONMENT ("SHOP_POOL_IDLE_TIMEOUT=3 fortnights");
  refuse_pool_env ("SHOP", "environment variable SHOP_POOL_IDLE_TIMEOUT", "no duration");
  ENVIRONMENT ("SHOP_POOL_NAME=\xff");
  refuse_pool_env ("SHOP", "environment variable SHOP_POOL_NAME", "UTF-8");
  refuse_pool_env ("a b", "“a b”", "begin");
}

static void
test_pool_key_file_refused (void)
{
  static const struct
  {
    const char *line;
    const char *expected;
    const char *also;
  } cases[] = {
    {"max-connections=0", "key max-connections of group [shop]", "“0”"},
    {"max-connections=", "key max-connections of group [shop]", "empty"},
    {"max-connections=1;2", "key max-connections of group [shop]", "whole number"},
    {"idle-timeout=10", "key idle-timeout of group [shop]", "“10s”"},
    {"idle-timeout=10 parsecs", "key idle-timeout of group [shop]", "no duration"},
    {"idle-timeout=99999999999h", "key idle-timeout of group [shop]", "too long"},
    {"lazy=1", "key lazy of group [shop]", "true"},
    {"idle-order=LIFO", "key idle-order of group [shop]", "lifo"},
    {"max_connections=1", "key max_connections of group [shop]", "max-connections"},
    {"max-conections=1", "key max-conections of group [shop]", "max-connections"},
    {"name=\\x", "key name of group [shop]", "followed by"},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *text =
        g_strconcat ("[shop]\nhost=h\npassword=x\n", cases[i].line, "\n", NULL);
      g_autoptr (GKeyFile) key_file = parse (text);
      GError *error = NULL;

      g_assert_null (db_pool_config_new_from_key_file (key_file, "shop", &error));
      config_assert_refused (error, cases[i].expected, cases[i].also, NULL);
    }
}

static void
test_pool_key_file_round_trip (void)
{
  g_autoptr (GKeyFile) key_file = parse ("[shop]\n# mine\nhost=h\nmax-uses=7\n");
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (DbPoolConfig) again = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  config_set_other_values (config);
  db_pool_config_to_key_file (config, key_file, "shop");
  again = db_pool_config_new_from_key_file (key_file, "shop", &error);
  g_assert_no_error (error);
  config_assert_equal (config, again);
  g_clear_object (&again);
  g_clear_object (&config);

  /* only what was set is written, in words and in the largest unit */
  config =
    g_object_new (DB_TYPE_POOL_CONFIG, "connection-timeout", G_MAXINT64, "validate-after-idle",
                  (gint64) -1, "idle-timeout", 90 * G_TIME_SPAN_MINUTE, "keepalive",
                  (gint64) 1500000, "leak-threshold", (gint64) 0, "max-connections", 10u, NULL);
  db_pool_config_to_key_file (config, key_file, "shop");
  text = g_key_file_to_data (key_file, NULL, NULL);
  g_assert_cmpstr (text, ==,
                   "[shop]\n# mine\nhost=h\nmax-connections=10\nconnection-timeout=forever\n"
                   "idle-timeout=90min\nvalidate-after-idle=never\nkeepalive=1500ms\n"
                   "leak-threshold=0\n");
  again = db_pool_config_new_from_key_file (key_file, "shop", &error);
  g_assert_no_error (error);
  config_assert_equal (config, again);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/config-sources/variables/usual", test_usual_variables);
  g_test_add_func ("/config-sources/variables/prefixed", test_prefixed_variables);
  g_test_add_func ("/config-sources/variables/refused", test_variables_refused);
  g_test_add_func ("/config-sources/key-file", test_key_file);
  g_test_add_func ("/config-sources/key-file/refused", test_key_file_refused);
  g_test_add_func ("/config-sources/key-file/round-trip", test_key_file_round_trip);
  g_test_add_func ("/config-sources/key-file/places", test_key_file_places);
#ifdef HAVE_POSTGRES
  g_test_add_func ("/config-sources/pool-options", test_pool_options);
#endif
  g_test_add_func ("/config-sources/password-file", test_password_file);
  g_test_add_func ("/config-sources/password-file/refused", test_password_file_refused);
  g_test_add_func ("/config-sources/password-fd", test_password_fd);
  g_test_add_func ("/config-sources/pool/variables", test_pool_variables);
  g_test_add_func ("/config-sources/pool/key-file/refused", test_pool_key_file_refused);
  g_test_add_func ("/config-sources/pool/key-file/round-trip", test_pool_key_file_round_trip);

  return g_test_run ();
}
