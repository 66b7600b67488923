/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Configurations that follow GSettings, and the schema of the documentation. Skipped where there is
 * no compiler for schemas. */

#define G_SETTINGS_ENABLE_BACKEND

#include "config.h"

#include "config-fixture.h"
#include "db-pool-config-private.h"
#include "log-capture.h"

#include <gio/gsettingsbackend.h>
#include <glib/gstdio.h>

/* The schema @xml, compiled; NULL when this machine has no compiler. */
static GSettingsSchema *
compile_schema (const char *xml, const char *id)
{
  g_autofree char *folder = g_dir_make_tmp ("dbpool-XXXXXX", NULL);
  g_autofree char *source = g_build_filename (folder, "test.gschema.xml", NULL);
  g_autofree char *compiled = g_build_filename (folder, "gschemas.compiled", NULL);
  const char *argv[] = {"glib-compile-schemas", "--strict", folder, NULL};
  g_autoptr (GSettingsSchemaSource) schemas = NULL;
  GSettingsSchema *schema = NULL;
  int status = 1;

  g_assert_true (g_file_set_contents (source, xml, -1, NULL));
  if (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
                    &status, NULL))
    {
      g_assert_cmpint (status, ==, 0);
      schemas = g_settings_schema_source_new_from_directory (folder, NULL, FALSE, NULL);
      schema = g_settings_schema_source_lookup (schemas, id, FALSE);
      g_assert_nonnull (schema);
    }
  else
    g_test_skip ("there is no glib-compile-schemas");
  g_remove (compiled);
  g_remove (source);
  g_rmdir (folder);
  return schema;
}

static GSettings *
make_settings (GSettingsSchema *schema)
{
  g_autoptr (GSettingsBackend) backend = g_memory_settings_backend_new ();

  return g_settings_new_full (schema, backend,
                              g_settings_schema_get_path (schema) ? NULL : "/org/example/shop/");
}

/* The example in the documentation has every property, with its default. */
static void
test_settings_example (void)
{
  g_autofree char *path =
    g_test_build_filename (G_TEST_DIST, "..", "docs", "examples", "pool.gschema.xml", NULL);
  g_autofree char *xml = NULL;
  g_autoptr (GSettingsSchema) schema = NULL;
  g_autoptr (GSettings) settings = NULL;
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (DbPoolConfig) fresh = db_pool_config_new ();
  g_auto (GStrv) keys = NULL;
  g_autofree GParamSpec **pspecs = NULL;
  g_autoptr (GError) error = NULL;
  guint n;

  g_assert_true (g_file_get_contents (path, &xml, NULL, NULL));
  schema = compile_schema (xml, "org.example.Shop.pool");
  if (schema == NULL)
    return;
  g_assert_nonnull (g_settings_schema_get_path (schema)); /* or g_settings_new() ends a program */
  settings = make_settings (schema);
  config_set_other_values (config);
  g_assert_true (db_pool_config_bind_settings (config, settings, &error));
  g_assert_no_error (error);
  config_assert_equal (config, fresh);
  keys = g_settings_schema_list_keys (schema);
  pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (config), &n);
  g_assert_cmpuint (g_strv_length (keys), ==, n);
}

static const char *const schema_xml =
  "<schemalist><schema id='org.example.Test'>"
  "<key name='idle-timeout' type='s'><default>'5min'</default></key>"
  "<key name='max-connections' type='u'><default>6</default></key>"
  "<key name='name' type='s'><default>''</default></key>"
  "</schema></schemalist>";

static void
test_settings (void)
{
  g_autoptr (GSettingsSchema) schema = compile_schema (schema_xml, "org.example.Test");
  g_autoptr (GSettings) settings = NULL;
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *name = NULL;
  DbPoolSettings values;

  if (schema == NULL)
    return;
  settings = make_settings (schema);
  g_assert_true (db_pool_config_bind_settings (config, settings, &error));
  g_assert_no_error (error);
  db_pool_config_get_settings (config, &values);
  g_assert_cmpuint (values.max_connections, ==, 6);
  g_assert_cmpint (values.idle_timeout, ==, 5 * G_TIME_SPAN_MINUTE);
  g_assert_cmpint (values.max_lifetime, ==, 30 * G_TIME_SPAN_MINUTE);

  g_settings_set_string (settings, "idle-timeout", "90s");
  g_settings_set_uint (settings, "max-connections", 2);
  g_settings_set_string (settings, "name", "shop");
  db_pool_config_get_settings (config, &values);
  g_object_get (config, "name", &name, NULL);
  g_assert_cmpint (values.idle_timeout, ==, 90 * G_TIME_SPAN_SECOND);
  g_assert_cmpuint (values.max_connections, ==, 2);
  g_assert_cmpstr (name, ==, "shop");

  /* what does not fit: the schema's default, and a message */
  log_expect (G_LOG_LEVEL_MESSAGE, "*idle-timeout*“90”*");
  g_settings_set_string (settings, "idle-timeout", "90");
  log_assert_expected ();
  log_expect (G_LOG_LEVEL_MESSAGE, "*max-connections*“0”*");
  g_settings_set_uint (settings, "max-connections", 0);
  log_assert_expected ();
  db_pool_config_get_settings (config, &values);
  g_assert_cmpint (values.idle_timeout, ==, 5 * G_TIME_SPAN_MINUTE);
  g_assert_cmpuint (values.max_connections, ==, 6);

  /* one direction, and the settings live as long as the configuration */
  g_object_set (config, "max-connections", 3u, NULL);
  g_assert_cmpuint (g_settings_get_uint (settings, "max-connections"), ==, 0);
}

static void
test_settings_refused (void)
{
  static const struct
  {
    const char *key;
    const char *expected;
    const char *also;
  } cases[] = {
    {"<key name='idle-timeout' type='s'><default>'5'</default></key>",
     "key idle-timeout of the GSettings schema org.example.Test: the default", "“5s”"},
    {"<key name='idle-timeout' type='x'><default>5</default></key>", "key idle-timeout", "type"},
    {"<key name='max-connections' type='i'><default>5</default></key>", "key max-connections",
     "type"},
    {"<key name='max-connections' type='u'><default>0</default></key>", "key max-connections",
     "“0”"},
    {"<key name='lazy' type='s'><default>'true'</default></key>", "key lazy", "type"},
    {"<key name='colour' type='s'><default>'red'</default></key>", "key colour", "max-connections"},
    {"<key name='idle-order' type='s'><default>'random'</default></key>", "key idle-order", "lifo"},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *xml = g_strdup_printf ("<schemalist><schema id='org.example.Test'>"
                                              "<key name='max-uses' type='u'><default>3</default>"
                                              "</key>%s</schema></schemalist>",
                                              cases[i].key);
      g_autoptr (GSettingsSchema) schema = compile_schema (xml, "org.example.Test");
      g_autoptr (GSettings) settings = NULL;
      g_autoptr (DbPoolConfig) config = db_pool_config_new ();
      GError *error = NULL;
      DbPoolSettings values;

      if (schema == NULL)
        return;
      settings = make_settings (schema);
      g_assert_false (db_pool_config_bind_settings (config, settings, &error));
      config_assert_refused (error, cases[i].expected, cases[i].also, NULL);
      db_pool_config_get_settings (config, &values);
      g_assert_cmpuint (values.max_uses, ==, 0);
    }
}

/* Every text in the example's schema that is no text for the pool: what a user may have set wrongly
 * is told, and the schema's default holds. What the schema itself refuses never comes here. */
static void
test_settings_of_users (void)
{
  static const char *const bad[] = {"", "30", "-1s", "1.5s", "99999999999d", "sometimes", "\"'\\"};
  g_autofree char *path =
    g_test_build_filename (G_TEST_DIST, "..", "docs", "examples", "pool.gschema.xml", NULL);
  g_autofree char *xml = NULL;
  g_autoptr (GSettingsSchema) schema = NULL;
  g_autoptr (GSettings) settings = NULL;
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (DbPoolConfig) fresh = db_pool_config_new ();
  g_auto (GStrv) keys = NULL;
  guint n_tried = 0;

  g_assert_true (g_file_get_contents (path, &xml, NULL, NULL));
  schema = compile_schema (xml, "org.example.Shop.pool");
  if (schema == NULL)
    return;
  settings = make_settings (schema);
  g_assert_true (db_pool_config_bind_settings (config, settings, NULL));
  keys = g_settings_schema_list_keys (schema);
  log_begin ();
  for (char **key = keys; *key != NULL; key++)
    for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
      {
        g_autoptr (GSettingsSchemaKey) info = g_settings_schema_get_key (schema, *key);
        g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_string (bad[i]));
        const GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (config), *key);

        if (pspec->value_type == G_TYPE_STRING ||
            !g_variant_type_equal (g_settings_schema_key_get_value_type (info),
                                   G_VARIANT_TYPE_STRING) ||
            !g_settings_schema_key_range_check (info, value))
          continue;
        g_settings_set_string (settings, *key, bad[i]);
        config_assert_equal (config, fresh);
        n_tried++;
      }
  g_assert_cmpuint (n_tried, >=, 70);
  g_assert_cmpuint (log_count ("setting-ignored"), >=, 1); /* and no more than a log can bear */
  log_end ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/config-settings/follow", test_settings);
  g_test_add_func ("/config-settings/example", test_settings_example);
  g_test_add_func ("/config-settings/refused", test_settings_refused);
  g_test_add_func ("/config-settings/users", test_settings_of_users);

  return g_test_run ();
}
