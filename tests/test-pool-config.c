/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The settings of a pool: defaults, ranges, notification, texts, and what is refused. */

#include "config.h"

#include "db-error.h"
#include "db-pool-config-private.h"

#include <string.h>

static DbPoolSettings
settings_of (DbPoolConfig *config)
{
  DbPoolSettings settings;

  db_pool_config_get_settings (config, &settings);
  return settings;
}

static void
test_defaults (void)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  DbPoolSettings settings = settings_of (config);
  g_autofree char *name = NULL;
  g_autofree char *init_sql = NULL;

  g_assert_cmpuint (settings.min_connections, ==, 0);
  g_assert_cmpuint (settings.max_connections, ==, 10);
  g_assert_cmpint (settings.connection_timeout, ==, 30 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (settings.idle_timeout, ==, 10 * G_TIME_SPAN_MINUTE);
  g_assert_cmpint (settings.max_lifetime, ==, 30 * G_TIME_SPAN_MINUTE);
  g_assert_cmpuint (settings.lifetime_jitter, ==, 10);
  g_assert_cmpint (settings.validate_after_idle, ==, 500 * G_TIME_SPAN_MILLISECOND);
  g_assert_cmpint (settings.hand_off_after, ==, G_TIME_SPAN_MILLISECOND);
  g_assert_cmpint (settings.idle_order, ==, DB_IDLE_ORDER_LIFO);
  g_assert_cmpint (settings.reset_level, ==, DB_RESET_DIRTY);
  g_assert_cmpuint (settings.max_uses, ==, 0);
  g_assert_cmpuint (settings.max_waiters, ==, 0);
  g_assert_cmpint (settings.keepalive, ==, 0);
  g_assert_cmpint (settings.check_timeout, ==, 5 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (settings.leak_threshold, ==, 0);
  g_assert_false (settings.fail_on_deadlock);
  g_assert_false (settings.lazy);
  g_assert_cmpint (settings.prepared_statements, ==, DB_PREPARED_STATEMENTS_AUTO);
  g_assert_cmpuint (settings.statement_cache_size, ==, 100);
  g_assert_cmpint (settings.statement_timeout, ==, 0);
  g_assert_cmpint (settings.slow_acquire_threshold, ==, 2 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (settings.slow_query_threshold, ==, 0);
  g_assert_cmpuint (settings.max_sql_length, ==, 0);
  g_assert_cmpuint (settings.max_result_size, ==, 0);
  g_object_get (config, "name", &name, "init-sql", &init_sql, NULL);
  g_assert_null (name);
  g_assert_null (init_sql);
  g_assert_true (db_pool_config_validate (config, NULL));
}

/* Each property's default is what its GParamSpec says. */
static void
test_pspec_defaults (void)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autofree GParamSpec **pspecs = NULL;
  guint n;

  pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (config), &n);
  g_assert_cmpuint (n, ==, 26);
  for (guint i = 0; i < n; i++)
    {
      g_auto (GValue) value = G_VALUE_INIT;

      g_object_get_property (G_OBJECT (config), pspecs[i]->name, &value);
      g_assert_cmpint (g_param_values_cmp (pspecs[i], &value,
                                           g_param_spec_get_default_value (pspecs[i])),
                       ==, 0);
    }
}

static void
count_cb (GObject *object, GParamSpec *pspec, gpointer data)
{
  ++*(int *) data;
}

static void
test_properties (void)
{
  g_autoptr (DbPoolConfig) config = NULL;
  guint min, uses;
  gint64 timeout;
  DbResetLevel level;
  g_autofree char *name = NULL;

  config =
    g_object_new (DB_TYPE_POOL_CONFIG, "min-connections", 2u, "max-connections", 4u,
                  "connection-timeout", G_MAXINT64, "reset-level", DB_RESET_CLEAN, "max-uses",
                  G_MAXUINT, "validate-after-idle", (gint64) -1, "name", "shop", NULL);
  g_object_get (config, "min-connections", &min, "connection-timeout", &timeout, "reset-level",
                &level, "max-uses", &uses, "name", &name, NULL);
  g_assert_cmpuint (min, ==, 2);
  g_assert_cmpint (timeout, ==, G_MAXINT64);
  g_assert_cmpint (level, ==, DB_RESET_CLEAN);
  g_assert_cmpuint (uses, ==, G_MAXUINT);
  g_assert_cmpstr (name, ==, "shop");
  g_assert_cmpint (settings_of (config).validate_after_idle, ==, -1);
  g_assert_cmpuint (settings_of (config).max_connections, ==, 4);
}

static void
test_notify (void)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  int notified = 0;

  g_signal_connect (config, "notify", G_CALLBACK (count_cb), &notified);
  g_object_set (config, "max-connections", 10u, "name", NULL, NULL);
  g_assert_cmpint (notified, ==, 0);
  g_object_set (config, "max-connections", 11u, "name", "a", NULL);
  g_assert_cmpint (notified, ==, 2);
  g_object_set (config, "max-connections", 11u, "name", "a", NULL);
  g_assert_cmpint (notified, ==, 2);
  g_object_set (config, "idle-order", DB_IDLE_ORDER_FIFO, NULL);
  g_assert_cmpint (notified, ==, 3);
  /* one text is not the other */
  g_object_set (config, "init-sql", "a", "name", "a", NULL);
  g_assert_cmpint (notified, ==, 4);
  g_object_set (config, "prepared-statements", DB_PREPARED_STATEMENTS_NEVER, NULL);
  g_assert_cmpint (notified, ==, 5);
}

/* GLib's own complaint about a value out of range: a warning, in newer versions a critical. */
static void
complaint_cb (const char *domain, GLogLevelFlags level, const char *message, gpointer data)
{
  g_assert_nonnull (strstr (message, "out of range"));
  ++*(int *) data;
}

static gboolean
not_fatal_cb (const char *domain, GLogLevelFlags level, const char *message, gpointer data)
{
  return FALSE;
}

/* Out of range: a warning says so and the property keeps its value. */
static void
test_out_of_range (void)
{
  static const struct
  {
    const char *name;
    gint64 value;
  } bad[] = {
    {"max-connections", 0},
    {"max-connections", G_MAXUINT},
    {"min-connections", G_MAXUINT},
    {"connection-timeout", 0},
    {"connection-timeout", -1},
    {"idle-timeout", -1},
    {"max-lifetime", G_MININT64},
    {"lifetime-jitter", 51},
    {"validate-after-idle", -2},
    {"hand-off-after", -1},
    {"keepalive", -1},
    {"check-timeout", -1},
    {"leak-threshold", -1},
    {"statement-timeout", -1},
    {"slow-acquire-threshold", -1},
    {"slow-query-threshold", -1},
    {"max-sql-length", G_MAXUINT},
    {"statement-cache-size", 10001},
  };
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  const DbPoolSettings before = settings_of (config);
  DbPoolSettings after;
  int complaints = 0;
  guint handler;

  handler = g_log_set_handler ("GLib-GObject",
                               G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_FLAG_FATAL,
                               complaint_cb, &complaints);
  g_test_log_set_fatal_handler (not_fatal_cb, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (config), bad[i].name);
      g_auto (GValue) value = G_VALUE_INIT;

      g_value_init (&value, pspec->value_type);
      if (G_VALUE_HOLDS_UINT (&value))
        g_value_set_uint (&value, (guint) bad[i].value);
      else
        g_value_set_int64 (&value, bad[i].value);
      g_object_set_property (G_OBJECT (config), bad[i].name, &value);
    }
  g_log_remove_handler ("GLib-GObject", handler);
  g_assert_cmpint (complaints, ==, G_N_ELEMENTS (bad));

  after = settings_of (config);
  g_assert_cmpuint (after.min_connections, ==, before.min_connections);
  g_assert_cmpuint (after.max_connections, ==, before.max_connections);
  g_assert_cmpint (after.connection_timeout, ==, before.connection_timeout);
  g_assert_cmpint (after.idle_timeout, ==, before.idle_timeout);
  g_assert_cmpint (after.max_lifetime, ==, before.max_lifetime);
  g_assert_cmpuint (after.lifetime_jitter, ==, before.lifetime_jitter);
  g_assert_cmpint (after.validate_after_idle, ==, before.validate_after_idle);
  g_assert_cmpint (after.hand_off_after, ==, before.hand_off_after);
  g_assert_cmpuint (after.statement_cache_size, ==, before.statement_cache_size);
  g_assert_cmpint (after.statement_timeout, ==, before.statement_timeout);
}

/* A default moves only what nobody has set, and the copy remembers what was set. */
static void
test_set_default (void)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (DbPoolConfig) copy = NULL;

  db_pool_config_set_default (config, "max-connections", 4u);
  g_assert_cmpuint (settings_of (config).max_connections, ==, 4);
  db_pool_config_set_default (config, "max-connections", 1u);
  g_assert_cmpuint (settings_of (config).max_connections, ==, 1);

  /* a wish for what is already the value is a wish all the same */
  g_object_set (config, "max-connections", 1u, NULL);
  g_object_set (config, "name", "kept", NULL);
  g_object_set (config, "init-sql", "SELECT 1", NULL);
  copy = db_pool_config_copy (config);
  db_pool_config_set_default (copy, "max-connections", 7u);
  db_pool_config_set_default (copy, "name", "lost");
  db_pool_config_set_default (copy, "idle-timeout", G_GINT64_CONSTANT (0));
  db_pool_config_set_default (copy, "reset-level", DB_RESET_NONE);
  g_assert_cmpuint (settings_of (copy).max_connections, ==, 1);
  g_assert_cmpint (settings_of (copy).idle_timeout, ==, 0);
  g_assert_cmpint (settings_of (copy).reset_level, ==, DB_RESET_NONE);
  g_assert_cmpint (settings_of (config).idle_timeout, ==, 10 * G_TIME_SPAN_MINUTE);
  {
    g_autofree char *name = NULL;
    g_autofree char *init_sql = NULL;

    g_object_get (copy, "name", &name, "init-sql", &init_sql, NULL);
    g_assert_cmpstr (name, ==, "kept");
    g_assert_cmpstr (init_sql, ==, "SELECT 1");
  }
}

static void
test_duration (void)
{
  static const struct
  {
    const char *text;
    gint64 expected; /* -1: refused */
  } cases[] = {
    {"0", 0},
    {"0s", 0},
    {"250us", 250},
    {"500ms", 500000},
    {"30s", 30 * G_TIME_SPAN_SECOND},
    {"10min", 10 * G_TIME_SPAN_MINUTE},
    {"2h", 2 * G_TIME_SPAN_HOUR},
    {"1d", G_TIME_SPAN_DAY},
    {"9223372036854775807us", G_MAXINT64},
    {"", -1},
    {"00", -1},
    {"30", -1},
    {"s", -1},
    {"-1s", -1},
    {"+1s", -1},
    {" 1s", -1},
    {"1 s", -1},
    {"1.5s", -1},
    {"1m", -1},
    {"1S", -1},
    {"1sec", -1},
    {"0x10s", -1},
    {"9223372036854775808us", -1},
    {"9223372036854775807ms", -1},
    {"106751992d", -1},
    {"99999999999999999999999999s", -1},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      gint64 value = -2;

      g_test_message ("“%s”", cases[i].text);
      if (cases[i].expected >= 0)
        {
          g_assert_true (db_parse_duration (cases[i].text, &value, &error));
          g_assert_no_error (error);
          g_assert_cmpint (value, ==, cases[i].expected);
          continue;
        }
      g_assert_false (db_parse_duration (cases[i].text, &value, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      g_assert_cmpint (value, ==, -2);
      g_assert_nonnull (strstr (error->message, cases[i].text));
    }
}

static void
test_uri_query (void)
{
  g_autoptr (DbPoolConfig) config = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *name = NULL;
  g_autofree char *init_sql = NULL;
  DbPoolSettings settings;

  config = db_pool_config_new_from_uri_query (
    "pool_min_connections=1&pool_max_connections=20&pool_connection_timeout=forever"
    "&pool_idle_timeout=5min&pool_max_lifetime=0&pool_lifetime_jitter=50&pool_max_uses=1000"
    "&pool_validate_after_idle=never&pool_hand_off_after=0&pool_idle_order=fifo"
    "&pool_reset_level=clean&pool_max_waiters=9&pool_keepalive=1min&pool_check_timeout=2s"
    "&pool_leak_threshold=90s&pool_fail_on_deadlock=true&pool_lazy=true&pool_name=K%C3%A4se%20%26%"
    "20Brot"
    "&pool_prepared_statements=never&pool_statement_cache_size=0&pool_statement_timeout=3s"
    "&pool_slow_acquire_threshold=1s&pool_slow_query_threshold=250ms"
    "&pool_max_sql_length=1000000&pool_max_result_size=4294967295"
    "&pool_init_sql=SET%20a%20%3D%201;%20SELECT%202",
    &error);
  g_assert_no_error (error);
  settings = settings_of (config);
  g_assert_cmpuint (settings.min_connections, ==, 1);
  g_assert_cmpuint (settings.max_connections, ==, 20);
  g_assert_cmpint (settings.connection_timeout, ==, G_MAXINT64);
  g_assert_cmpint (settings.idle_timeout, ==, 5 * G_TIME_SPAN_MINUTE);
  g_assert_cmpint (settings.max_lifetime, ==, 0);
  g_assert_cmpuint (settings.lifetime_jitter, ==, 50);
  g_assert_cmpuint (settings.max_uses, ==, 1000);
  g_assert_cmpint (settings.validate_after_idle, ==, -1);
  g_assert_cmpint (settings.hand_off_after, ==, 0);
  g_assert_cmpint (settings.idle_order, ==, DB_IDLE_ORDER_FIFO);
  g_assert_cmpint (settings.reset_level, ==, DB_RESET_CLEAN);
  g_assert_cmpuint (settings.max_waiters, ==, 9);
  g_assert_cmpint (settings.keepalive, ==, G_TIME_SPAN_MINUTE);
  g_assert_cmpint (settings.check_timeout, ==, 2 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (settings.leak_threshold, ==, 90 * G_TIME_SPAN_SECOND);
  g_assert_true (settings.fail_on_deadlock);
  g_assert_true (settings.lazy);
  g_assert_cmpint (settings.prepared_statements, ==, DB_PREPARED_STATEMENTS_NEVER);
  g_assert_cmpuint (settings.statement_cache_size, ==, 0);
  g_assert_cmpint (settings.statement_timeout, ==, 3 * G_TIME_SPAN_SECOND);
  g_assert_cmpint (settings.slow_acquire_threshold, ==, G_TIME_SPAN_SECOND);
  g_assert_cmpint (settings.slow_query_threshold, ==, 250 * G_TIME_SPAN_MILLISECOND);
  g_assert_cmpuint (settings.max_sql_length, ==, 1000000);
  g_assert_cmpuint (settings.max_result_size, ==, G_MAXUINT);
  g_object_get (config, "name", &name, "init-sql", &init_sql, NULL);
  g_assert_cmpstr (name, ==, "Käse & Brot");
  g_assert_cmpstr (init_sql, ==, "SET a = 1; SELECT 2");
}

static void
test_uri_query_empty (void)
{
  static const char *const texts[] = {NULL, "", "&", "&&"};

  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DbPoolConfig) config = db_pool_config_new_from_uri_query (texts[i], &error);

      g_assert_no_error (error);
      g_assert_cmpuint (settings_of (config).max_connections, ==, 10);
    }
}

/* What is not the pool's comes back in order, escapes untouched. */
static void
test_uri_query_remaining (void)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *remaining = NULL;

  g_assert_true (db_pool_config_take_uri_query (
    config,
    "sslmode=require&pool_max_connections=3&options=-c%20a%3Db&pool%5Fname=x&flag&poolish=1",
    &remaining, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (remaining, ==, "sslmode=require&options=-c%20a%3Db&flag&poolish=1");
  g_assert_cmpuint (settings_of (config).max_connections, ==, 3);
}

static void
test_uri_query_refused (void)
{
  static const struct
  {
    const char *query;
    const char *expected; /* what the text has to name, and */
    const char *also;
  } cases[] = {
    {"pool_max_connections=0", "pool_max_connections", "0"},
    {"pool_max_connections=-5", "pool_max_connections", "-5"},
    {"pool_max_connections=ten", "pool_max_connections", "ten"},
    {"pool_max_connections=", "pool_max_connections", "empty"},
    {"pool_max_connections", "pool_max_connections", "missing"},
    {"pool_max_connections=4294967296", "pool_max_connections", "4294967296"},
    {"pool_max_connections=99999999999999999999999", "pool_max_connections", "2147483647"},
    {"pool_max_connections=1&pool_max_connections=1", "pool_max_connections", "twice"},
    {"pool_idle_timeout=30", "pool_idle_timeout", "30s"},
    {"pool_idle_timeout=soon", "pool_idle_timeout", "soon"},
    {"pool_connection_timeout=0", "pool_connection_timeout", "forever"},
    {"pool_connection_timeout=never", "pool_connection_timeout", "never"},
    {"pool_lifetime_jitter=51", "pool_lifetime_jitter", "51"},
    {"pool_idle_order=random", "pool_idle_order", "fifo"},
    {"pool_reset_level=DIRTY", "pool_reset_level", "dirty"},
    {"pool_fail_on_deadlock=yes", "pool_fail_on_deadlock", "true"},
    {"pool_leak_threshold=60", "pool_leak_threshold", "60s"},
    {"pool_prepared_statements=true", "pool_prepared_statements", "never"},
    {"pool_statement_cache_size=10001", "pool_statement_cache_size", "10000"},
    {"pool_statement_timeout=5", "pool_statement_timeout", "5s"},
    {"pool_name=%zz", "pool_name", "escapes"},
    {"pool_name=%ff", "pool_name", "UTF-8"},
    {"pool_max_conections=4", "pool_max_conections", "pool_max_connections"},
    {"pool_max-connections=4", "pool_max-connections", "pool_max_connections"},
    {"pool_=4", "pool_", "pool_max_connections"},
    {"sslmode=require", "sslmode", "pool_"},
    {"max_connections=4", "max_connections", "pool_"},
    {"=4", "pool_", "pool_"},
    {"password=hunter2", "password", "pool_"},
    {"\xff\xfe=1", "pool_", "pool_"},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *shown = g_strescape (cases[i].query, NULL);
      g_autoptr (GError) error = NULL;

      g_test_message ("%s", shown);
      g_assert_null (db_pool_config_new_from_uri_query (cases[i].query, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      g_assert_nonnull (strstr (error->message, cases[i].expected));
      g_assert_nonnull (strstr (error->message, cases[i].also));
      g_assert_null (strstr (error->message, "hunter2"));
      g_assert_true (g_utf8_validate (error->message, -1, NULL));
    }
}

static void
test_validate (void)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (GError) error = NULL;

  g_object_set (config, "min-connections", 11u, NULL);
  g_assert_false (db_pool_config_validate (config, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_assert_nonnull (strstr (error->message, "11"));
  g_clear_error (&error);
  g_object_set (config, "max-connections", 11u, NULL);
  g_assert_true (db_pool_config_validate (config, &error));

  /* shorter lives alone make the default idle timeout pointless, and nobody's wish is broken */
  g_object_set (config, "max-lifetime", 5 * G_TIME_SPAN_MINUTE, NULL);
  g_assert_true (db_pool_config_validate (config, &error));
  g_object_set (config, "idle-timeout", 6 * G_TIME_SPAN_MINUTE, NULL);
  g_assert_false (db_pool_config_validate (config, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_assert_nonnull (strstr (error->message, "idle-timeout (360 s)"));
  g_clear_error (&error);
  g_object_set (config, "max-lifetime", G_GINT64_CONSTANT (0), NULL);
  g_assert_true (db_pool_config_validate (config, &error));
}

static gpointer
set_many (gpointer data)
{
  for (guint i = 1; i <= 2000; i++)
    {
      g_autofree char *name = g_strdup_printf ("pool %u", i);

      g_object_set (data, "max-connections", i, "name", name, NULL);
    }
  return NULL;
}

static void
test_threads (void)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  GThread *threads[2];

  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("set", set_many, config);
  for (guint i = 0; i < 2000; i++)
    {
      g_autoptr (DbPoolConfig) copy = db_pool_config_copy (config);
      guint max = settings_of (copy).max_connections;

      g_assert_cmpuint (max, >=, 1);
      g_assert_cmpuint (max, <=, 2000);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (settings_of (config).max_connections, ==, 2000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/pool-config/defaults", test_defaults);
  g_test_add_func ("/pool-config/pspec-defaults", test_pspec_defaults);
  g_test_add_func ("/pool-config/properties", test_properties);
  g_test_add_func ("/pool-config/notify", test_notify);
  g_test_add_func ("/pool-config/out-of-range", test_out_of_range);
  g_test_add_func ("/pool-config/set-default", test_set_default);
  g_test_add_func ("/pool-config/duration", test_duration);
  g_test_add_func ("/pool-config/uri-query", test_uri_query);
  g_test_add_func ("/pool-config/uri-query/empty", test_uri_query_empty);
  g_test_add_func ("/pool-config/uri-query/remaining", test_uri_query_remaining);
  g_test_add_func ("/pool-config/uri-query/refused", test_uri_query_refused);
  g_test_add_func ("/pool-config/validate", test_validate);
  g_test_add_func ("/pool-config/threads", test_threads);

  return g_test_run ();
}
