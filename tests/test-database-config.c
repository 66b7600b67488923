/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Properties, URIs and their errors, what goes to libpq, and that no secret comes back. */

#include "db-database-config-private.h"
#include "db-error.h"
#include "log-capture.h"

#include <string.h>

static void
test_defaults (void)
{
  g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
  g_autoptr (DbConninfo) info = db_database_config_to_conninfo (config);
  g_autofree char *text = db_database_config_to_string (config);
  g_autofree char *host = NULL;
  g_auto (GStrv) hosts = NULL;
  guint port;

  g_object_get (config, "host", &host, "hosts", &hosts, "port", &port, NULL);
  g_assert_null (host);
  g_assert_cmpuint (g_strv_length (hosts), ==, 0);
  g_assert_cmpuint (port, ==, 0);
  g_assert_cmpstr (text, ==, "postgresql:///");
  g_assert_null (info->keywords[0]);
  g_assert_null (info->values[0]);
}

static void
count_cb (GObject *object, GParamSpec *pspec, gpointer data)
{
  (*(guint *) data)++;
}

static void
test_properties (void)
{
  const char *const two[] = {"alpha:5433", "::1", NULL};
  g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
  g_auto (GStrv) hosts = NULL;
  g_autofree char *host = NULL;
  g_autofree char *text = NULL;
  guint port, n_notified = 0;

  g_signal_connect (config, "notify", G_CALLBACK (count_cb), &n_notified);
  g_object_set (config, "host", "db.example.org", "port", 5433, "database", "shop", NULL);
  g_assert_cmpuint (n_notified, ==, 4);
  g_object_set (config, "host", "db.example.org", "port", 5433, "database", "shop", NULL);
  g_assert_cmpuint (n_notified, ==, 4);
  g_object_set (config, "username", "anna", "ssl-mode", DB_SSL_MODE_REQUIRE, NULL);
  text = db_database_config_to_string (config);
  g_assert_cmpstr (text, ==, "postgresql://anna@db.example.org:5433/shop?sslmode=require");

  g_object_get (config, "hosts", &hosts, NULL);
  g_assert_cmpstr (hosts[0], ==, "db.example.org:5433");
  g_object_set (config, "hosts", two, NULL);
  g_object_get (config, "host", &host, "port", &port, NULL);
  g_assert_cmpstr (host, ==, "alpha");
  g_assert_cmpuint (port, ==, 5433);
  g_clear_pointer (&text, g_free);
  text = db_database_config_describe (config);
  g_assert_cmpstr (text, ==, "postgresql://anna@alpha:5433,[::1]/shop");
}

static void
test_host_forms (void)
{
  const char *const all[] = {"a", "b:1", "::1", "[::1]:2", "/tmp", "/tmp:3", ":4", "x:99999", NULL};
  g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
  g_autoptr (DbConninfo) info = NULL;
  g_auto (GStrv) hosts = NULL;

  g_object_set (config, "hosts", all, NULL);
  g_object_get (config, "hosts", &hosts, NULL);
  g_assert_true (g_strv_equal ((const char *const *) hosts, all));
  info = db_database_config_to_conninfo (config);
  g_assert_cmpstr (db_conninfo_get (info, "host"), ==, "a,b,::1,::1,/tmp,/tmp,,x:99999");
  g_assert_cmpstr (db_conninfo_get (info, "port"), ==, ",1,,2,,3,4,");
}

static void
test_password (void)
{
  g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (config), "password");
  g_autofree char *text = NULL;
  g_autoptr (DbConninfo) info = NULL;

  g_assert_cmpuint (pspec->flags & G_PARAM_READABLE, ==, 0);
  g_object_set (config, "password", "geheim", "username", "anna", NULL);
  g_object_set (config, "password", "geheim2", NULL);
  text = db_database_config_to_string (config);
  g_assert_cmpstr (text, ==, "postgresql://anna@/");
  info = db_database_config_to_conninfo (config);
  g_assert_cmpstr (db_conninfo_get (info, "password"), ==, "geheim2");
}

static void
test_options (void)
{
  g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
  g_autoptr (GVariant) options = NULL;
  g_autoptr (DbConninfo) info = NULL;
  g_autofree char *printed = NULL;
  g_autofree char *uri = NULL;
  g_autofree char *user = NULL;

  g_object_set (config, "options",
                g_variant_new_parsed ("{'connect_timeout': '3', 'sslpassword': 'geheim', "
                                      "'password': 'geheim', 'user': 'anna'}"),
                NULL);
  g_object_get (config, "options", &options, "username", &user, NULL);
  printed = g_variant_print (options, FALSE);
  g_assert_cmpstr (printed, ==, "{'connect_timeout': '3'}");
  g_assert_cmpstr (user, ==, "anna");
  uri = db_database_config_to_string (config);
  g_assert_cmpstr (uri, ==, "postgresql://anna@/?connect_timeout=3");
  info = db_database_config_to_conninfo (config);
  g_assert_cmpstr (db_conninfo_get (info, "sslpassword"), ==, "geheim");
  g_assert_cmpstr (db_conninfo_get (info, "password"), ==, "geheim");
}

static void
test_frozen (void)
{
  g_autoptr (DbDatabaseConfig) config = db_database_config_new ();
  g_autofree char *database = NULL;

  g_object_set (config, "database", "shop", NULL);
  db_database_config_freeze (config);
  log_expect (G_LOG_LEVEL_WARNING, "*database*fixed once it is used*");
  g_object_set (config, "database", "other", NULL);
  log_assert_expected ();
  g_object_get (config, "database", &database, NULL);
  g_assert_cmpstr (database, ==, "shop");
}

#ifdef HAVE_POSTGRES
static void
assert_prints (const char *uri, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbDatabaseConfig) config = db_database_config_new_from_uri (uri, &error);
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  text = db_database_config_to_string (config);
  g_assert_cmpstr (text, ==, expected);
}

static void
assert_refuses (const char *uri, const char *part_of_text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbDatabaseConfig) config = db_database_config_new_from_uri (uri, &error);

  g_assert_null (config);
  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_assert_nonnull (strstr (error->message, part_of_text));
  g_assert_null (strstr (error->message, "geheim"));
}

static void
test_uri (void)
{
  assert_prints ("postgresql:///", "postgresql:///");
  assert_prints ("postgres://localhost", "postgresql://localhost/");
  assert_prints ("postgresql://anna:geheim@db:5433/shop", "postgresql://anna@db:5433/shop");
  assert_prints ("postgresql://anna:ge%40heim@db/my%20shop", "postgresql://anna@db/my%20shop");
  assert_prints ("postgresql://a:1,b,[::1]:3/x", "postgresql://a:1,b,[::1]:3/x");
  assert_prints ("postgresql://%2Ftmp/x", "postgresql://%2Ftmp/x");
  assert_prints ("postgresql://anna@/x?host=/tmp&port=5433&password=geheim",
                 "postgresql://anna@%2Ftmp:5433/x");
  assert_prints ("postgresql://h/x?sslmode=verify-full&sslrootcert=/a/b&connect_timeout=5",
                 "postgresql://h/x?sslmode=verify-full&sslrootcert=/a/b&connect_timeout=5");
  assert_prints ("postgresql://h/x?ssl=true", "postgresql://h/x?sslmode=require");
  assert_prints ("postgresql://a,b/x?port=7", "postgresql://a:7,b:7/x");
  assert_prints ("postgresql://h/x?user=anna@example.org", "postgresql://anna%40example.org@h/x");
  assert_prints ("postgresql://a:p?pool_x=1@h/x?pool_lazy=true",
                 "postgresql://a@h/x?pool_lazy=true");
  assert_prints ("postgresql://h/?options=-c%20geqo%3Doff",
                 "postgresql://h/?options=-c%20geqo%3Doff");
}

static void
test_uri_errors (void)
{
  assert_refuses ("", "begins with postgresql://");
  assert_refuses ("sqlite:geheim", "begins with postgresql://");
  assert_refuses ("postgresql:", "begins with postgresql://");
  assert_refuses ("postgresql://anna:geheim@h:70000/x", "port");
  assert_refuses ("postgresql://anna:geheim@h:0/x", "port");
  assert_refuses ("postgresql://anna:geheim@h:abc/x", "port");
  assert_refuses ("postgresql://anna:geheim/x", "port");
  assert_refuses ("postgresql://anna:geheim@h/x?colour=red", "\"colour\"");
  assert_refuses ("postgresql://anna:geheim@h/x?sslmode=sometimes", "“sometimes”");
  assert_refuses ("postgresql://anna:geheim@h/x?geheim", "");
  assert_refuses ("postgresql://anna:a@geheim@h/x", "%40");
  assert_refuses ("postgresql://anna:a/geheim@h/x", "%40");
  assert_refuses ("postgresql://anna:%zzgeheim@h/x", "malformed");
  assert_refuses ("postgresql://anna:geheim@[::1/x", "malformed");
  assert_refuses ("postgresql://anna:geheim@[::1]geheim/x", "malformed");
  assert_refuses ("postgresql://a,b/x?port=1,2,3", "3 ports for 2 hosts");
  assert_refuses ("postgresql:///x?host=geheim:5432", "a host is neither");
  assert_refuses ("postgresql://a%20geheim/x", "a host is neither");
  assert_refuses ("postgresql://a/x?connect_timeout=soon", "“soon” is no whole number");
  assert_refuses ("postgresql://anna:geheim@a/x?pool_max_connections=0", "pool_max_connections");
  assert_refuses ("postgresql://anna:geheim@a/x?pool_size=geheim", "pool_size");
  assert_refuses ("postgresql://a/x?sslmode=verify-full&%73slmode=disable", "sslmode is twice");
  assert_refuses ("postgresql://a/x?ssl=true&sslmode=disable", "sslmode is twice");
}

/* Longer than any value may be, wherever it stands. */
static void
test_uri_lengths (void)
{
  g_autofree char *just = g_strnfill (65536, 'n');
  g_autofree char *more = g_strnfill (65537, 'n');
  g_autofree char *database = g_strdup_printf ("postgresql://a/%s", more);
  g_autofree char *password = g_strdup_printf ("postgresql://anna:geheim%s@a/x", more);
  g_autofree char *option = g_strdup_printf ("postgresql://a/x?options=%s", more);
  g_autofree char *good = g_strdup_printf ("postgresql://a/%s", just);

  assert_refuses (database, "dbname in the URI of the PostgreSQL database is longer than 65536");
  assert_refuses (password, "password in the URI of the PostgreSQL database is longer than 65536");
  assert_refuses (option, "options in the URI of the PostgreSQL database is longer than 65536");
  assert_prints (good, good);
}
#else
static void
test_without_libpq (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (db_database_config_new_from_uri ("postgresql:///", &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED);
}
#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/database-config/defaults", test_defaults);
  g_test_add_func ("/database-config/properties", test_properties);
  g_test_add_func ("/database-config/host-forms", test_host_forms);
  g_test_add_func ("/database-config/password", test_password);
  g_test_add_func ("/database-config/options", test_options);
  g_test_add_func ("/database-config/frozen", test_frozen);
#ifdef HAVE_POSTGRES
  g_test_add_func ("/database-config/uri", test_uri);
  g_test_add_func ("/database-config/uri-errors", test_uri_errors);
  g_test_add_func ("/database-config/uri-lengths", test_uri_lengths);
#else
  g_test_add_func ("/database-config/without-libpq", test_without_libpq);
#endif

  return g_test_run ();
}
