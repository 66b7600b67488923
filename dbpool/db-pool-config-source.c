/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The settings of a pool from environment variables, key files and GSettings, and into key files.
 * The texts are those of a URI; here is only where they stand and what they are called there. No
 * lock: the configuration has its own. */

#include "config.h"

#include "db-pool-config-private.h"

#include "db-config-source-private.h"
#include "db-database-config-private.h"
#include "db-error.h"
#include "db-log-private.h"

#include <string.h>

/* What may begin with DBPOOL_ and is no setting of a pool. */
static gboolean
is_other_variable (const char *name)
{
  return strcmp (name, "DBPOOL_DEBUG") == 0 || g_str_has_prefix (name, "DBPOOL_TEST_");
}

/* The variables that begin with @prefix ("SHOP_POOL_"), each as the setting that it names. */
static GPtrArray *
read_variables (const char *prefix, GError **error)
{
  g_autoptr (GPtrArray) entries = db_config_source_new ();
  g_auto (GStrv) names = g_listenv ();

  for (char **name = names; *name != NULL; name++)
    {
      g_autofree char *lower = NULL;
      g_autofree char *key = NULL;

      if (!g_str_has_prefix (*name, prefix) || is_other_variable (*name))
        continue;
      lower = g_ascii_strdown (*name + strlen (prefix), -1);
      /* "MAX-CONNECTIONS" and "max_connections" are no names of a setting here */
      key = strpbrk (*name + strlen (prefix), "-" G_CSET_a_2_z) == NULL
              ? g_strdelimit (g_strdup (lower), "_", '-')
              : g_strdup ("");
      if (!db_config_source_add_variable (entries, *name, key, error))
        return NULL;
    }
  return g_steal_pointer (&entries);
}

static gboolean
take_entry (DbPoolConfig *self, const DbConfigEntry *entry, guint id, GError **error)
{
  g_auto (GValue) value = G_VALUE_INIT;

  if (!db_pool_field_parse (id, entry->value, &value, error))
    {
      g_prefix_error (error, "%s: ", entry->label);
      return FALSE;
    }
  db_pool_config_take (self, id, &value);
  return TRUE;
}

/* @prefix: of variables, or NULL; @other: what else could have stood there. */
static gboolean
fail_unknown (const DbConfigEntry *entry, const char *prefix, const char *other, GError **error)
{
  g_autoptr (GString) known = g_string_new (NULL);
  guint n;
  const DbPoolField *fields = db_pool_get_fields (&n);

  for (guint id = 1; id < n; id++)
    {
      g_autofree char *upper = g_strdelimit (g_ascii_strup (fields[id].name, -1), "-", '_');

      g_string_append_printf (known, "%s%s%s", id > 1 ? ", " : "", prefix != NULL ? prefix : "",
                              prefix != NULL ? upper : fields[id].name);
    }
  return db_config_entry_fail (entry, error, "there is no such setting of a pool%s; a pool has %s",
                               other, known->str);
}

/**
 * db_pool_config_new_from_env:
 * @prefix: (nullable): with what the names of the variables begin, for example `"SHOP"`
 * @error: return location for an error
 *
 * Makes a configuration from environment variables: `SHOP_POOL_MAX_CONNECTIONS` and so on, or,
 * without a prefix, `DBPOOL_MAX_CONNECTIONS` and so on.
 *
 * Values are written as in a URI: durations with a unit. What is not set has its default.
 *
 * Fails with `DB_ERROR_CONFIGURATION`, naming the variable, for a value that is empty or does not
 * fit, and for a variable that begins so (`SHOP_POOL_`, `DBPOOL_`) and is no setting. Other
 * variables of the application are not looked at. May be called from any thread, while none changes
 * the environment, and does not block.
 *
 * Returns: (transfer full): a configuration
 *
 * Since: 1.0
 */
DbPoolConfig *
db_pool_config_new_from_env (const char *prefix, GError **error)
{
  g_autoptr (DbPoolConfig) self = db_pool_config_new ();
  g_autofree char *start = NULL;
  g_autoptr (GPtrArray) entries = NULL;

  if (prefix != NULL && !db_config_source_check_prefix (prefix, error))
    return NULL;
  start = prefix != NULL ? g_strconcat (prefix, "_POOL_", NULL) : g_strdup ("DBPOOL_");
  entries = read_variables (start, error);
  if (entries == NULL)
    return NULL;
  for (guint i = 0; i < entries->len; i++)
    {
      const DbConfigEntry *entry = g_ptr_array_index (entries, i);
      guint id = db_pool_field_find (entry->key);

      if (id == 0 ? !fail_unknown (entry, start, "", error) : !take_entry (self, entry, id, error))
        return NULL;
    }
  return g_steal_pointer (&self);
}

/**
 * db_pool_config_new_from_key_file:
 * @key_file: a key file
 * @group: a group with settings of a pool
 * @error: return location for an error
 *
 * Makes a configuration from a group of a key file, whose keys have the names of the properties.
 *
 * Values are written as in a URI: durations with a unit. What is not set has its default. The
 * settings of a database may stand in the same group, for
 * [ctor@Db.DatabaseConfig.new_from_key_file].
 *
 * Fails with `DB_ERROR_CONFIGURATION`, naming the key, for a group that is missing, a key that is
 * unknown, and a value that is empty or does not fit. May be called from any thread and does not
 * block.
 *
 * Returns: (transfer full): a configuration
 *
 * Since: 1.0
 */
DbPoolConfig *
db_pool_config_new_from_key_file (GKeyFile *key_file, const char *group, GError **error)
{
  g_autoptr (DbPoolConfig) self = NULL;
  g_autoptr (GPtrArray) entries = NULL;

  g_return_val_if_fail (key_file != NULL, NULL);
  g_return_val_if_fail (group != NULL, NULL);

  entries = db_config_source_read_group (key_file, group, error);
  if (entries == NULL)
    return NULL;
  self = db_pool_config_new ();
  for (guint i = 0; i < entries->len; i++)
    {
      const DbConfigEntry *entry = g_ptr_array_index (entries, i);
      guint id = db_pool_field_find (entry->key);

      if (id != 0 ? !take_entry (self, entry, id, error)
                  : !db_database_config_knows_key (entry->key) &&
                      !fail_unknown (entry, NULL, " or a database", error))
        return NULL;
    }
  return g_steal_pointer (&self);
}

/**
 * db_pool_config_to_key_file:
 * @self: a configuration
 * @key_file: a key file, which is changed
 * @group: the group that is to have the settings
 *
 * Writes the settings that somebody has set into a group of a key file, from which
 * [ctor@Db.PoolConfig.new_from_key_file] makes an equal configuration.
 *
 * Those that have their default are removed from the group; other keys and comments stay. May be
 * called from any thread and does not block.
 *
 * Since: 1.0
 */
void
db_pool_config_to_key_file (DbPoolConfig *self, GKeyFile *key_file, const char *group)
{
  guint n;
  const DbPoolField *fields = db_pool_get_fields (&n);

  g_return_if_fail (DB_IS_POOL_CONFIG (self));
  g_return_if_fail (key_file != NULL);
  g_return_if_fail (group != NULL);

  for (guint id = 1; id < n; id++)
    {
      g_auto (GValue) value = G_VALUE_INIT;
      g_autofree char *text = NULL;

      g_object_get_property (G_OBJECT (self), fields[id].name, &value);
      text = db_pool_config_is_set (self, id) ? db_pool_field_format (id, &value) : NULL;
      if (text != NULL && text[0] != '\0')
        g_key_file_set_string (key_file, group, fields[id].name, text);
      else
        g_key_file_remove_key (key_file, group, fields[id].name, NULL);
    }
}

/* The value of a key of GSettings, whose type fits: a text, as everywhere, or a plain number. */
static gboolean
read_variant (guint id, GVariant *variant, GValue *value, GError **error)
{
  g_autofree char *text = NULL;

  if (g_variant_is_of_type (variant, G_VARIANT_TYPE_STRING))
    {
      guint n;
      const char *string = g_variant_get_string (variant, NULL);

      /* a text that is none, which GSettings does not have */
      if (string[0] == '\0' && db_pool_get_fields (&n)[id].kind == DB_POOL_FIELD_TEXT)
        string = NULL;
      return db_pool_field_parse (id, string, value, error);
    }
  text = g_variant_print (variant, FALSE);
  return db_pool_field_parse (id, text, value, error);
}

static gboolean
is_fitting_type (const DbPoolField *field, const GVariantType *type)
{
  switch (field->kind)
    {
    case DB_POOL_FIELD_COUNT:
      return g_variant_type_equal (type, G_VARIANT_TYPE_UINT32);
    case DB_POOL_FIELD_SWITCH:
      return g_variant_type_equal (type, G_VARIANT_TYPE_BOOLEAN);
    case DB_POOL_FIELD_DURATION:
    case DB_POOL_FIELD_CHOICE:
    case DB_POOL_FIELD_TEXT:
    default:
      return g_variant_type_equal (type, G_VARIANT_TYPE_STRING);
    }
}

/* Where GSettings looks for a value that fits: the user's, and then the schema's default. */
static gboolean
get_mapping_cb (GValue *value, GVariant *variant, gpointer data)
{
  g_auto (GValue) read = G_VALUE_INIT;
  g_autoptr (GError) error = NULL;
  guint id = GPOINTER_TO_UINT (data);
  guint n;

  if (read_variant (id, variant, &read, &error))
    {
      g_value_copy (&read, value);
      return TRUE;
    }
  db_log (DB_LOG_FACTS (DB_LOG_SETTING_IGNORED), "the setting %s of a pool keeps its default: %s",
          db_pool_get_fields (&n)[id].name, error->message);
  return FALSE;
}

/* The setting of the pool that @name is, or 0 with @error. */
static guint
check_key (GSettingsSchema *schema, const char *name, GError **error)
{
  g_autoptr (GSettingsSchemaKey) key = g_settings_schema_get_key (schema, name);
  g_autoptr (GVariant) initial = g_settings_schema_key_get_default_value (key);
  g_auto (GValue) value = G_VALUE_INIT;
  g_autofree char *label =
    g_strdup_printf ("key %s of the GSettings schema %s", name, g_settings_schema_get_id (schema));
  DbConfigEntry entry = {(char *) name, label, NULL};
  guint id = db_pool_field_find (name);
  guint n;

  if (id == 0)
    fail_unknown (&entry, NULL, "", error);
  else if (!is_fitting_type (&db_pool_get_fields (&n)[id],
                             g_settings_schema_key_get_value_type (key)))
    db_config_entry_fail (&entry, error,
                          "its type has to be “u” for a number, “b” for a switch, and “s” for "
                          "durations such as “30s” and for the rest");
  else if (read_variant (id, initial, &value, error))
    return id;
  else
    g_prefix_error (error, "%s: the default: ", label);
  return 0;
}

/**
 * db_pool_config_bind_settings:
 * @self: a configuration, for example that of a pool
 * @settings: settings whose schema has nothing but settings of a pool
 * @error: return location for an error
 *
 * Lets the configuration follow a `GSettings`: every key of its schema sets the property of the
 * same name, now and whenever it changes.
 *
 * A schema may have any of the properties: numbers as `u`, switches as `b`, and as `s` names,
 * choices (`"lifo"`) and durations with a unit (`"30s"`). A value that does not fit is replaced by
 * the schema's default, with a message in the log. The other direction is not bound. Bound to what
 * [method@Db.Pool.get_config] returns, changes take effect in the pool at once.
 *
 * Fails with `DB_ERROR_CONFIGURATION` for a key that is no setting of a pool, is of another type or
 * has a default that does not fit; nothing is bound then. Does not block; has to be called on the
 * thread that uses @settings, which lives as long as @self.
 *
 * Returns: %TRUE if the configuration is bound
 *
 * Since: 1.0
 */
gboolean
db_pool_config_bind_settings (DbPoolConfig *self, GSettings *settings, GError **error)
{
  g_autoptr (GSettingsSchema) schema = NULL;
  g_auto (GStrv) keys = NULL;

  g_return_val_if_fail (DB_IS_POOL_CONFIG (self), FALSE);
  g_return_val_if_fail (G_IS_SETTINGS (settings), FALSE);

  g_object_get (settings, "settings-schema", &schema, NULL);
  keys = g_settings_schema_list_keys (schema);
  for (char **key = keys; *key != NULL; key++)
    if (check_key (schema, *key, error) == 0)
      return FALSE;
  for (char **key = keys; *key != NULL; key++)
    g_settings_bind_with_mapping (settings, *key, self, *key, G_SETTINGS_BIND_GET, get_mapping_cb,
                                  NULL, GUINT_TO_POINTER (db_pool_field_find (*key)), NULL);
  return TRUE;
}
