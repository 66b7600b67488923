/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The factory on real databases: pools that are ready, the real error where there is none, and
 * which settings win. What needs PostgreSQL is skipped where DBPOOL_TEST_POSTGRES_URI is not set.
 */

#include "config.h"

#include "dbpool.h"

#include <glib/gstdio.h>
#include <string.h>

#define SECRET "sw0rdf1sh"

typedef struct
{
  char *folder;
  char *uri; /* of an SQLite file that does not exist yet */
  char *path;
  DbPoolFactory *factory;
} Fixture;

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  fixture->folder = g_dir_make_tmp ("dbpool-XXXXXX", NULL);
  fixture->path = g_build_filename (fixture->folder, "test.db", NULL);
  fixture->uri = g_strconcat ("sqlite:", fixture->path, NULL);
  fixture->factory = db_pool_factory_new ();
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  static const char *const suffixes[] = {"", "-wal", "-shm"};

  g_assert_finalize_object (fixture->factory);
  for (gsize i = 0; i < G_N_ELEMENTS (suffixes); i++)
    {
      g_autofree char *file = g_strconcat (fixture->path, suffixes[i], NULL);

      g_unlink (file);
    }
  g_assert_cmpint (g_rmdir (fixture->folder), ==, 0);
  g_free (fixture->uri);
  g_free (fixture->path);
  g_free (fixture->folder);
}

/* A ready pool has opened one session, which is idle again, and works. */
static void
assert_ready (DbPool *pool)
{
  g_autoptr (DbResult) result = NULL;
  g_autoptr (DbPoolStats) stats = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (DB_IS_POOL (pool));
  stats = db_pool_get_stats (pool);
  g_assert_cmpuint (db_pool_stats_get_created (stats), ==, 1);
  g_assert_cmpuint (db_pool_stats_get_idle (stats), ==, 1);
  result = db_pool_query (pool, "SELECT 1", NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 1);
}

static void
close_pool (DbPool *pool)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (db_pool_close (pool, 5 * G_TIME_SPAN_SECOND, NULL, &error));
  g_assert_no_error (error);
  g_object_unref (pool);
}

static guint
get_max (DbPoolConfig *config)
{
  guint max;

  g_object_get (config, "max-connections", &max, NULL);
  return max;
}

static void
store_result_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  GAsyncResult **stored = data;

  g_assert_null (*stored);
  *stored = g_object_ref (result);
}

/* Runs @context until the callback has come. */
static GAsyncResult *
wait_for (GMainContext *context, GAsyncResult **stored)
{
  while (*stored == NULL)
    g_main_context_iteration (context, TRUE);
  return *stored;
}

static void
test_sqlite (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  DbPool *pool;

  pool = db_pool_factory_create_pool (fixture->factory, fixture->uri, NULL, NULL, &error);
  g_assert_no_error (error);
  assert_ready (pool);
  g_assert_cmpuint (get_max (db_pool_get_config (pool)), ==, 4);
  close_pool (pool);

  pool = db_pool_factory_create_sqlite_pool (fixture->factory, fixture->path, NULL, NULL, &error);
  g_assert_no_error (error);
  assert_ready (pool);
  close_pool (pool);
}

static void
test_sqlite_async (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  GAsyncResult *results[2] = {NULL, NULL};

  g_main_context_push_thread_default (context);
  db_pool_factory_create_pool_async (fixture->factory, fixture->uri, NULL, NULL, store_result_cb,
                                     &results[0]);
  db_pool_factory_create_sqlite_pool_async (fixture->factory, fixture->path, NULL, NULL,
                                            store_result_cb, &results[1]);
  g_assert_null (results[0]);
  for (gsize i = 0; i < G_N_ELEMENTS (results); i++)
    {
      g_autoptr (GAsyncResult) result = wait_for (context, &results[i]);
      g_autoptr (GError) error = NULL;
      DbPool *pool;

      if (i == 0)
        pool = db_pool_factory_create_pool_finish (fixture->factory, result, &error);
      else
        pool = db_pool_factory_create_sqlite_pool_finish (fixture->factory, result, &error);
      g_assert_no_error (error);
      assert_ready (pool);
      close_pool (pool);
    }
  g_main_context_pop_thread_default (context);
}

/* The URI wins over the configuration object, and that over the defaults; the object stays as it
 * is. */
static void
test_settings (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbPoolConfig) config = NULL;
  g_autofree char *uri = NULL;
  g_autofree char *name = NULL;
  g_autoptr (GError) error = NULL;
  DbPool *pool;
  guint uses;

  config = g_object_new (DB_TYPE_POOL_CONFIG, "max-connections", 7u, "max-uses", 9u, NULL);
  uri = g_strconcat (fixture->uri, "?pool_max_connections=3&mode=rwc&pool_name=shop", NULL);
  pool = db_pool_factory_create_pool (fixture->factory, uri, config, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (get_max (db_pool_get_config (pool)), ==, 3);
  g_object_get (db_pool_get_config (pool), "max-uses", &uses, "name", &name, NULL);
  g_assert_cmpuint (uses, ==, 9);
  g_assert_cmpstr (name, ==, "shop");
  g_assert_cmpuint (get_max (config), ==, 7);
  close_pool (pool);
}

static void
test_manager (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (DbConnectionManager) manager = NULL;
  g_autofree char *uri = g_strconcat (fixture->uri, "?pool_max_connections=2", NULL);
  g_autoptr (GError) error = NULL;

  manager = db_pool_factory_create_manager (fixture->factory, uri, config, &error);
  g_assert_no_error (error);
  g_assert_true (DB_IS_CONNECTION_MANAGER (manager));
  g_assert_cmpuint (get_max (config), ==, 2);
  g_clear_object (&manager);
  manager = db_pool_factory_create_manager (fixture->factory, uri, NULL, &error);
  g_assert_no_error (error);
  /* nothing is opened, and so nothing created */
  g_assert_false (g_file_test (fixture->path, G_FILE_TEST_EXISTS));
}

static void
test_refused_uris (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *uri;
    const char *expected;
  } cases[] = {
    {"", "postgresql://"},
    {"test.db", "sqlite:"},
    {"host=localhost password=" SECRET, "sqlite:"},
    {"mysql://user:" SECRET "@host/db", "“mysql”"},
    {"SQLITE+x:test.db", "unknown scheme"},
    {"sqlite:test.db?pool_max_connections=0", "pool_max_connections"},
    {"sqlite:test.db?pool_min_connections=11", "min-connections"},
    {"postgresql://user:" SECRET "@host/db?pool_idle_timeout=5", "pool_idle_timeout"},
    {"postgresql://user:" SECRET "?pool_x@host/db?pool_size=5", "pool_size"},
    {"postgres://user:" SECRET "@host:70000/db", "port"},
    {"postgres://user:" SECRET "@host/db?nonsense=1", "nonsense"},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      DbPool *pool;

      g_test_message ("%s", cases[i].uri);
      pool = db_pool_factory_create_pool (fixture->factory, cases[i].uri, NULL, NULL, &error);
      g_assert_null (pool);
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      g_assert_null (strstr (error->message, SECRET));
      g_assert_nonnull (strstr (error->message, cases[i].expected));
    }
}

/* What opening the first session says is what the caller gets, and soon. */
static void
assert_fails (Fixture *fixture,
              const char *uri,
              DbPoolConfig *config,
              int code,
              const char *expected)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) async_error = NULL;
  const gint64 start = g_get_monotonic_time ();

  g_assert_null (db_pool_factory_create_pool (fixture->factory, uri, config, NULL, &error));
  g_assert_error (error, DB_ERROR, code);
  g_assert_nonnull (strstr (error->message, expected));
  g_assert_null (strstr (error->message, SECRET));

  g_main_context_push_thread_default (context);
  db_pool_factory_create_pool_async (fixture->factory, uri, config, NULL, store_result_cb, &result);
  wait_for (context, &result);
  g_assert_null (db_pool_factory_create_pool_finish (fixture->factory, result, &async_error));
  g_assert_error (async_error, DB_ERROR, code);
  g_assert_nonnull (strstr (async_error->message, expected));
  g_assert_null (strstr (async_error->message, SECRET));
  g_main_context_pop_thread_default (context);

  g_assert_cmpint (g_get_monotonic_time () - start, <, 20 * G_TIME_SPAN_SECOND);
}

static void
test_sqlite_failures (Fixture *fixture, gconstpointer data)
{
  g_autofree char *folder = g_strconcat ("sqlite:", fixture->folder, NULL);
  g_autofree char *no_folder = g_strconcat ("sqlite:", fixture->folder, "/none/x.db", NULL);
  g_autofree char *no_file = g_strconcat (fixture->uri, "?mode=rw", NULL);

  assert_fails (fixture, folder, NULL, DB_ERROR_CONFIGURATION, fixture->folder);
  assert_fails (fixture, no_folder, NULL, DB_ERROR_CONFIGURATION, "none");
  assert_fails (fixture, no_file, NULL, DB_ERROR_CONFIGURATION, "test.db");
}

static void
test_cancelled (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  g_cancellable_cancel (cancellable);
  g_assert_null (
    db_pool_factory_create_pool (fixture->factory, fixture->uri, NULL, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);

  db_pool_factory_create_sqlite_pool_async (fixture->factory, fixture->path, NULL, cancellable,
                                            store_result_cb, &result);
  wait_for (NULL, &result);
  g_assert_null (db_pool_factory_create_sqlite_pool_finish (fixture->factory, result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* A factory, and the caller's configuration, may go while a pool is being made. */
static void
test_dropped_meanwhile (Fixture *fixture, gconstpointer data)
{
  DbPoolFactory *factory = db_pool_factory_new ();
  DbPoolConfig *config = db_pool_config_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GObject) source = NULL;
  g_autoptr (GError) error = NULL;

  db_pool_factory_create_pool_async (factory, fixture->uri, config, NULL, store_result_cb, &result);
  g_assert_finalize_object (config);
  g_object_unref (factory);
  wait_for (NULL, &result);
  source = g_async_result_get_source_object (result);
  close_pool (db_pool_factory_create_pool_finish (DB_POOL_FACTORY (source), result, &error));
  g_assert_no_error (error);
}

/* Nothing is opened, and so nothing is created, however the wish came. */
static void
test_lazy (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbPoolConfig) config = g_object_new (DB_TYPE_POOL_CONFIG, "lazy", TRUE, NULL);
  g_autofree char *uri = g_strconcat (fixture->uri, "?pool_lazy=true", NULL);
  g_autofree char *eager_uri = g_strconcat (fixture->uri, "?pool_lazy=false", NULL);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  DbPool *pools[3];

  pools[0] = db_pool_factory_create_pool (fixture->factory, uri, NULL, NULL, &error);
  g_assert_no_error (error);
  pools[1] =
    db_pool_factory_create_sqlite_pool (fixture->factory, fixture->path, config, NULL, &error);
  g_assert_no_error (error);
  db_pool_factory_create_pool_async (fixture->factory, fixture->uri, config, NULL, store_result_cb,
                                     &result);
  g_assert_null (result);
  wait_for (NULL, &result);
  pools[2] = db_pool_factory_create_pool_finish (fixture->factory, result, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < G_N_ELEMENTS (pools); i++)
    {
      g_autoptr (DbPoolStats) stats = db_pool_get_stats (pools[i]);

      g_assert_cmpuint (db_pool_stats_get_total (stats), ==, 0);
      g_assert_cmpuint (db_pool_stats_get_created (stats), ==, 0);
    }
  g_assert_false (g_file_test (fixture->path, G_FILE_TEST_EXISTS));
  for (gsize i = 0; i < G_N_ELEMENTS (pools); i++)
    {
      g_autoptr (DbConnection) connection = db_pool_acquire (pools[i], NULL, &error);

      g_assert_no_error (error);
      db_connection_release (connection);
      close_pool (pools[i]);
    }
  pools[0] = db_pool_factory_create_pool (fixture->factory, eager_uri, config, NULL, &error);
  g_assert_no_error (error);
  assert_ready (pools[0]);
  close_pool (pools[0]);
}

static void
test_lazy_cancelled (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbPoolConfig) config = g_object_new (DB_TYPE_POOL_CONFIG, "lazy", TRUE, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  g_cancellable_cancel (cancellable);
  g_assert_null (
    db_pool_factory_create_pool (fixture->factory, fixture->uri, config, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  db_pool_factory_create_pool_async (fixture->factory, fixture->uri, config, cancellable,
                                     store_result_cb, &result);
  wait_for (NULL, &result);
  g_assert_null (db_pool_factory_create_pool_finish (fixture->factory, result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* What a function that is registered was asked, and what it is to do. */
typedef struct
{
  DbPoolFactory *factory;
  const char *path;
  char *uri; /* the last one */
  enum
  {
    ANSWER_MANAGER,
    ANSWER_ERROR,
    ANSWER_NOTHING,
    ANSWER_SOMETHING_ELSE
  } answer;
  guint n_destroyed;
} Registered;

static DbConnectionManager *
registered_func (const char *uri, gpointer user_data, GError **error)
{
  Registered *registered = user_data;

  g_free (registered->uri);
  registered->uri = g_strdup (uri);
  /* no lock is held here */
  g_assert_false (
    db_pool_factory_register (registered->factory, "mydb", registered_func, user_data, NULL, NULL));
  switch (registered->answer)
    {
    case ANSWER_MANAGER:
      return DB_CONNECTION_MANAGER (db_sqlite_manager_new (registered->path));
    case ANSWER_ERROR:
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no such thing");
      return NULL;
    case ANSWER_SOMETHING_ELSE:
      return (DbConnectionManager *) db_pool_config_new ();
    case ANSWER_NOTHING:
    default:
      return NULL;
    }
}

static void
registered_destroy (gpointer data)
{
  ((Registered *) data)->n_destroyed++;
}

static void
assert_registered_fails (Registered *registered, GQuark domain, int code, const char *expected)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) async_error = NULL;

  g_assert_null (db_pool_factory_create_pool (registered->factory, "mydb:x", NULL, NULL, &error));
  g_assert_error (error, domain, code);
  g_assert_nonnull (strstr (error->message, expected));
  db_pool_factory_create_pool_async (registered->factory, "mydb:x", NULL, NULL, store_result_cb,
                                     &result);
  wait_for (NULL, &result);
  g_assert_null (db_pool_factory_create_pool_finish (registered->factory, result, &async_error));
  g_assert_error (async_error, domain, code);
}

static void
test_register (Fixture *fixture, gconstpointer data)
{
  DbPoolFactory *factory = db_pool_factory_new ();
  Registered registered = {factory, fixture->path};
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  DbPool *pool;

  g_assert_true (db_pool_factory_register (factory, "MyDB", registered_func, &registered,
                                           registered_destroy, &error));
  g_assert_no_error (error);
  pool = db_pool_factory_create_pool (factory, "mydb://u:p@h/x?a=b&pool_max_connections=2&c", NULL,
                                      NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (registered.uri, ==, "mydb://u:p@h/x?a=b&c");
  assert_ready (pool);
  g_assert_cmpuint (get_max (db_pool_get_config (pool)), ==, 2);
  close_pool (pool);

  db_pool_factory_create_pool_async (factory, "MYDB:y", NULL, NULL, store_result_cb, &result);
  wait_for (NULL, &result);
  pool = db_pool_factory_create_pool_finish (factory, result, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (registered.uri, ==, "MYDB:y");
  assert_ready (pool);
  close_pool (pool);
  g_clear_object (&result);

  registered.answer = ANSWER_ERROR;
  assert_registered_fails (&registered, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no such thing");
  registered.answer = ANSWER_NOTHING;
  assert_registered_fails (&registered, DB_ERROR, DB_ERROR_FAILED,
                           "“mydb” failed without an error");
  registered.answer = ANSWER_SOMETHING_ELSE;
  assert_registered_fails (&registered, DB_ERROR, DB_ERROR_FAILED, "returned no manager");

  /* another factory knows nothing of it, and the error of this one names it */
  g_assert_null (db_pool_factory_create_pool (fixture->factory, "mydb:x", NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_clear_error (&error);
  g_assert_null (db_pool_factory_create_pool (factory, "other:x", NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_assert_nonnull (strstr (error->message, "“mydb:”"));

  g_assert_cmpuint (registered.n_destroyed, ==, 0);
  g_assert_finalize_object (factory);
  g_assert_cmpuint (registered.n_destroyed, ==, 1);
  g_free (registered.uri);
}

static void
test_register_refused (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *scheme;
    const char *expected;
  } cases[] = {
    {"sqlite", "own"},     {"PostgreSQL", "own"}, {"postgres", "own"}, {"taken", "already"},
    {"Taken", "already"},  {"", "a letter"},      {"1x", "a letter"},  {"a:b", "a letter"},
    {"a\xff", "a letter"}, {"a b", "a letter"},
  };
  Registered registered = {fixture->factory, fixture->path};
  g_autoptr (GError) error = NULL;

  g_assert_true (
    db_pool_factory_register (fixture->factory, "taken", registered_func, &registered, NULL, NULL));
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_assert_false (db_pool_factory_register (fixture->factory, cases[i].scheme, registered_func,
                                                &registered, registered_destroy, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      g_assert_nonnull (strstr (error->message, cases[i].expected));
      g_assert_true (g_utf8_validate (error->message, -1, NULL));
      g_clear_error (&error);
      /* nobody else would free it */
      g_assert_cmpuint (registered.n_destroyed, ==, i + 1);
    }
}

static const char *
get_postgres_uri (const char *variable)
{
  const char *uri = g_getenv (variable);

  if (uri == NULL)
    g_test_skip ("there is no PostgreSQL");
  return uri;
}

static void
test_postgres (Fixture *fixture, gconstpointer data)
{
  const char *uri = get_postgres_uri ("DBPOOL_TEST_POSTGRES_URI");
  g_autoptr (DbDatabaseConfig) database = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  DbPool *pool;

  if (uri == NULL)
    return;
  pool = db_pool_factory_create_pool (fixture->factory, uri, NULL, NULL, &error);
  g_assert_no_error (error);
  assert_ready (pool);
  g_assert_cmpuint (get_max (db_pool_get_config (pool)), ==, 10);
  close_pool (pool);

  database = db_database_config_new_from_uri (uri, &error);
  g_assert_no_error (error);
  pool = db_pool_factory_create_postgres_pool (fixture->factory, database, NULL, NULL, &error);
  g_assert_no_error (error);
  assert_ready (pool);
  close_pool (pool);

  db_pool_factory_create_postgres_pool_async (fixture->factory, database, NULL, NULL,
                                              store_result_cb, &result);
  wait_for (NULL, &result);
  pool = db_pool_factory_create_postgres_pool_finish (fixture->factory, result, &error);
  g_assert_no_error (error);
  assert_ready (pool);
  close_pool (pool);
}

/* From the environment, with what the URI says of the pool, and a password from a file. */
static void
test_postgres_from_env (Fixture *fixture, gconstpointer data)
{
  const char *uri = get_postgres_uri ("DBPOOL_TEST_POSTGRES_TCP_URI");
  g_autoptr (GUri) parsed = NULL;
  g_autoptr (DbDatabaseConfig) database = NULL;
  g_autoptr (DbPoolConfig) config = g_object_new (DB_TYPE_POOL_CONFIG, "max-connections", 9u,
                                                  "validate-after-idle", (gint64) -1, NULL);
  g_autofree char *without_password = NULL;
  g_autofree char *secret = g_build_filename (fixture->folder, "secret", NULL);
  g_autofree char *port = NULL;
  g_autoptr (GError) error = NULL;
  DbPool *pool;

  if (uri == NULL)
    return;
  parsed = g_uri_parse (uri, G_URI_FLAGS_HAS_PASSWORD | G_URI_FLAGS_ENCODED, NULL);
  port = g_strdup_printf ("%d", g_uri_get_port (parsed));
  without_password =
    g_strdup_printf ("postgresql://%s@%s:%s%s?pool_max_connections=2", g_uri_get_user (parsed),
                     g_uri_get_host (parsed), port, g_uri_get_path (parsed));
  g_assert_true (g_file_set_contents (secret, g_uri_get_password (parsed), -1, NULL));
  g_setenv ("SHOP_DATABASE_URL", without_password, TRUE);
  g_setenv ("SHOP_PASSWORD_FILE", secret, TRUE);
  database = db_database_config_new_from_env ("SHOP", &error);
  g_assert_no_error (error);
  g_unsetenv ("SHOP_DATABASE_URL");
  g_unsetenv ("SHOP_PASSWORD_FILE");
  pool = db_pool_factory_create_postgres_pool (fixture->factory, database, config, NULL, &error);
  g_assert_no_error (error);
  assert_ready (pool);
  g_assert_cmpuint (get_max (db_pool_get_config (pool)), ==, 2);
  g_assert_cmpuint (get_max (config), ==, 9);

  /* each session reads it anew: a wrong one, and none */
  g_assert_true (g_file_set_contents (secret, SECRET "\n", -1, NULL));
  db_pool_evict_all (pool);
  g_assert_null (db_pool_acquire (pool, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_AUTHENTICATION);
  g_assert_null (strstr (error->message, SECRET));
  g_clear_error (&error);
  close_pool (pool);
  g_unlink (secret);
  pool = db_pool_factory_create_postgres_pool (fixture->factory, database, config, NULL, &error);
  g_assert_null (pool);
  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_assert_nonnull (strstr (error->message, secret));
}

static void
test_postgres_failures (Fixture *fixture, gconstpointer data)
{
  const char *uri = get_postgres_uri ("DBPOOL_TEST_POSTGRES_TCP_URI");
  g_autoptr (GUri) parsed = NULL;
  g_autofree char *wrong_password = NULL;
  g_autofree char *no_database = NULL;
  g_autoptr (DbPoolConfig) config = NULL;

  if (uri == NULL)
    return;
  parsed = g_uri_parse (uri, G_URI_FLAGS_HAS_PASSWORD, NULL);
  wrong_password =
    g_strdup_printf ("postgresql://%s:%s@%s:%d%s", g_uri_get_user (parsed), SECRET,
                     g_uri_get_host (parsed), g_uri_get_port (parsed), g_uri_get_path (parsed));
  no_database =
    g_strdup_printf ("postgresql://%s:%s@%s:%d/nowhere", g_uri_get_user (parsed),
                     g_uri_get_password (parsed), g_uri_get_host (parsed), g_uri_get_port (parsed));
  assert_fails (fixture, wrong_password, NULL, DB_ERROR_AUTHENTICATION, g_uri_get_user (parsed));
  assert_fails (fixture, no_database, NULL, DB_ERROR_CONFIGURATION, "nowhere");

  /* nobody listens on port 1: that may change, so it is tried again, until the time is over */
  config =
    g_object_new (DB_TYPE_POOL_CONFIG, "connection-timeout", 300 * G_TIME_SPAN_MILLISECOND, NULL);
  assert_fails (fixture, "postgresql://user:" SECRET "@127.0.0.1:1/db", config, DB_ERROR_CONNECTION,
                "refused");
}

/* A server that takes connections, and says nothing. Nobody has to run for that: the kernel takes
 * them. */
static char *
make_silent_server (GSocket **server)
{
  g_autoptr (GInetAddress) loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) any_port = g_inet_socket_address_new (loopback, 0);
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GError) error = NULL;

  *server = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, &error);
  g_assert_no_error (error);
  g_assert_true (g_socket_bind (*server, any_port, FALSE, NULL));
  g_assert_true (g_socket_listen (*server, NULL));
  address = g_socket_get_local_address (*server, NULL);
  return g_strdup_printf ("postgresql://anna:" SECRET "@127.0.0.1:%u/shop",
                          g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address)));
}

static gpointer
cancel_late (gpointer cancellable)
{
  g_usleep (50 * G_TIME_SPAN_MILLISECOND); /* in the middle of it, most likely */
  g_cancellable_cancel (cancellable);
  return NULL;
}

/* Whoever hangs, the deadline holds, and so does a cancel. */
static void
test_postgres_hangs (Fixture *fixture, gconstpointer data)
{
  const gint64 timeout = 300 * G_TIME_SPAN_MILLISECOND;
  g_autoptr (GSocket) server = NULL;
  g_autofree char *uri = make_silent_server (&server);
  g_autoptr (DbPoolConfig) config =
    g_object_new (DB_TYPE_POOL_CONFIG, "connection-timeout", timeout, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GCancellable) other = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  gint64 start = g_get_monotonic_time ();
  GThread *thread;

  /* blocking, and asynchronous */
  assert_fails (fixture, uri, config, DB_ERROR_TIMEOUT, "within 0.3");
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 2 * timeout);
  assert_fails (fixture, uri, config, DB_ERROR_TIMEOUT, "; a session of postgresql://anna@");
  assert_fails (fixture, uri, config, DB_ERROR_TIMEOUT, "/shop is still being opened");

  thread = g_thread_new ("cancel", cancel_late, cancellable);
  start = g_get_monotonic_time ();
  g_assert_null (db_pool_factory_create_pool (fixture->factory, uri, NULL, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_thread_join (thread);

  thread = g_thread_new ("cancel", cancel_late, other);
  db_pool_factory_create_pool_async (fixture->factory, uri, NULL, other, store_result_cb, &result);
  wait_for (NULL, &result);
  g_assert_null (db_pool_factory_create_pool_finish (fixture->factory, result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_thread_join (thread);
  /* libpq itself would have waited for 10 s, and the pool for 30 */
  g_assert_cmpint (g_get_monotonic_time () - start, <, 8 * G_TIME_SPAN_SECOND);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(path, function)                                                                        \
  g_test_add ("/pool-factory/" path, Fixture, NULL, fixture_set_up, function, fixture_tear_down)
  ADD ("sqlite", test_sqlite);
  ADD ("sqlite/async", test_sqlite_async);
  ADD ("sqlite/failures", test_sqlite_failures);
  ADD ("settings", test_settings);
  ADD ("lazy", test_lazy);
  ADD ("lazy/cancelled", test_lazy_cancelled);
  ADD ("register", test_register);
  ADD ("register/refused", test_register_refused);
  ADD ("manager", test_manager);
  ADD ("refused-uris", test_refused_uris);
  ADD ("cancelled", test_cancelled);
  ADD ("dropped-meanwhile", test_dropped_meanwhile);
  ADD ("postgres", test_postgres);
  ADD ("postgres/from-env", test_postgres_from_env);
  ADD ("postgres/failures", test_postgres_failures);
  ADD ("postgres/hangs", test_postgres_hangs);
#undef ADD

  return g_test_run ();
}
