/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A database's configuration from environment variables and key files, and into key files. Both
 * sources become entries, named as in a key file, which one function understands: so that both have
 * the same rules and errors. No lock: all of it works on what the caller owns. */

#include "config.h"

#include "db-database-config-private.h"

#include "db-config-source-private.h"
#include "db-error.h"
#include "db-pool-config-private.h"

#include <string.h>

/* Settings of a database, and for each the variable of libpq's that says the same. A prefix has
 * each with its name in capitals, but for "uri", which is DATABASE_URL, and "hosts", which is a
 * list of key files only: "host" and "port" take lists as libpq does. */
static const struct
{
  const char *key;
  const char *variable;
} settings[] = {
  {"uri", NULL},
  {"hosts", NULL},
  {"host", "PGHOST"},
  {"port", "PGPORT"},
  {"database", "PGDATABASE"},
  {"username", "PGUSER"},
  {"password", "PGPASSWORD"},
  {"password-file", NULL},
  {"password-fd", NULL},
  {"ssl-mode", "PGSSLMODE"},
  {"ssl-root-cert", "PGSSLROOTCERT"},
  {"ssl-cert", "PGSSLCERT"},
  {"ssl-key", "PGSSLKEY"},
  {"application-name", "PGAPPNAME"},
};

/* One of them at most. */
static const char *const passwords[] = {"password", "password-file", "password-fd", NULL};

static gboolean
is_setting (const char *key)
{
  for (gsize i = 0; i < G_N_ELEMENTS (settings); i++)
    if (strcmp (settings[i].key, key) == 0)
      return TRUE;
  return FALSE;
}

/* libpq's keywords, and what a URI said of the pool. */
static gboolean
is_option (const char *key)
{
  g_auto (GStrv) keywords = db_database_config_list_keywords ();

  return g_strv_contains ((const char *const *) keywords, key) ||
         db_pool_field_find_option (key) != 0;
}

/* As the query that it was: so there is one parser. */
gboolean
db_database_config_apply_pool_options (DbDatabaseConfig *self, DbPoolConfig *config, GError **error)
{
  g_autoptr (GVariant) options = NULL;
  g_autoptr (GString) query = g_string_new (NULL);
  g_autofree char *remaining = NULL;
  GVariantIter iter;
  const char *keyword, *value;

  g_object_get (self, "options", &options, NULL);
  g_variant_iter_init (&iter, options);
  while (g_variant_iter_next (&iter, "{&s&s}", &keyword, &value))
    {
      g_autofree char *escaped = NULL;

      if (!g_str_has_prefix (keyword, "pool_"))
        continue;
      escaped = g_uri_escape_string (value, NULL, FALSE);
      g_string_append_printf (query, "%s=%s&", keyword, escaped);
    }
  return db_pool_config_take_uri_query (config, query->str, &remaining, error);
}

gboolean
db_database_config_knows_key (const char *key)
{
  return is_setting (key) || is_option (key);
}

static gboolean
fail_both (const DbConfigEntry *one, const DbConfigEntry *other, GError **error)
{
  return db_config_entry_fail (one, error, "it cannot stand together with the %s: leave one out",
                               other->label);
}

/* Settings that say the same thing twice. */
static gboolean
check_contradictions (GPtrArray *entries, GError **error)
{
  const DbConfigEntry *uri = db_config_source_find (entries, "uri");
  const DbConfigEntry *hosts = db_config_source_find (entries, "hosts");
  const DbConfigEntry *password = NULL;

  for (guint i = 0; i < entries->len; i++)
    {
      const DbConfigEntry *entry = g_ptr_array_index (entries, i);

      if (g_strv_contains (passwords, entry->key))
        {
          if (password != NULL)
            return fail_both (entry, password, error);
          password = entry;
        }
      else if (uri != NULL && entry != uri && db_database_config_knows_key (entry->key))
        return fail_both (entry, uri, error);
      else if (hosts != NULL &&
               (strcmp (entry->key, "host") == 0 || strcmp (entry->key, "port") == 0))
        return fail_both (entry, hosts, error);
    }
  return TRUE;
}

/* @self has nothing yet but what the URI says. */
static gboolean
take_password (DbDatabaseConfig *self, const DbConfigEntry *entry, GError **error)
{
  guint64 fd;

  if (db_database_config_has_password (self))
    return db_config_entry_fail (entry, error, "the URI has a password already: leave one out");
  if (strcmp (entry->key, "password") == 0)
    db_database_config_set_password (self, entry->value);
  else if (strcmp (entry->key, "password-file") == 0)
    g_object_set (self, "password-file", entry->value, NULL);
  else if (!g_ascii_string_to_unsigned (entry->value, 10, 0, G_MAXINT, &fd, NULL))
    return db_config_entry_fail (entry, error, "it is no number of a file descriptor");
  else if (!db_database_config_read_password (self, (int) fd, error))
    {
      g_prefix_error (error, "%s: ", entry->label);
      return FALSE;
    }
  return TRUE;
}

static gboolean
take_host_list (DbDatabaseConfig *self, const DbConfigEntry *entry, GError **error)
{
  g_auto (GStrv) hosts = g_strsplit (entry->value, ";", -1);
  guint n = g_strv_length (hosts);

  if (n > 1 && hosts[n - 1][0] == '\0') /* key files end lists like that */
    g_clear_pointer (&hosts[n - 1], g_free);
  for (char **host = hosts; *host != NULL; host++)
    if (!db_database_config_check_host (*host, TRUE, error))
      {
        g_prefix_error (error, "%s: ", entry->label);
        return FALSE;
      }
  g_object_set (self, "hosts", hosts, NULL);
  return TRUE;
}

/* libpq's lists, either of which may be missing. */
static gboolean
take_host_and_port (DbDatabaseConfig *self, GPtrArray *entries, GError **error)
{
  const DbConfigEntry *host = db_config_source_find (entries, "host");
  const DbConfigEntry *port = db_config_source_find (entries, "port");
  g_auto (GStrv) hosts = g_strsplit (host != NULL ? host->value : "", ",", -1);

  for (char **item = hosts; *item != NULL; item++)
    if (!db_database_config_check_host (*item, FALSE, error))
      {
        g_prefix_error (error, "%s: ", host->label);
        return FALSE;
      }
  if (db_database_config_set_host_lists (self, host != NULL ? host->value : "",
                                         port != NULL ? port->value : "", error))
    return TRUE;
  g_prefix_error (error, "%s: ", port->label);
  return FALSE;
}

static gboolean
fail_unknown (const DbConfigEntry *entry, GError **error)
{
  g_autofree char *reason = db_database_config_explain_unknown (entry->key);

  if (reason != NULL)
    return db_config_entry_fail (entry, error, "it %s", reason);
  return db_config_entry_fail (entry, error,
                               "there is no such setting of a database or a pool; a database has "
                               "uri, hosts, host, port, database, username, password, "
                               "password-file, password-fd, ssl-mode, ssl-root-cert, ssl-cert, "
                               "ssl-key, application-name, and the other keywords of libpq");
}

/* What is neither a host nor a password. */
static gboolean
take_entry (DbDatabaseConfig *self, const DbConfigEntry *entry, GError **error)
{
  gboolean ok = TRUE;

  if (strcmp (entry->key, "uri") == 0)
    ok = db_database_config_read_uri (self, entry->value, error);
  else if (strcmp (entry->key, "ssl-mode") == 0)
    ok = db_database_config_set_ssl_mode (self, entry->value, error);
  else if (is_setting (entry->key))
    g_object_set (self, entry->key, entry->value, NULL);
  else if (!is_option (entry->key))
    return fail_unknown (entry, error);
  else
    {
      guint field = db_pool_field_find_option (entry->key);

      ok = field != 0 ? db_pool_field_check (field, entry->value, error)
                      : db_database_config_check_keyword (entry->key, entry->value, error);
      if (ok)
        db_database_config_set_keyword (self, entry->key, entry->value);
    }
  if (!ok)
    g_prefix_error (error, "%s: ", entry->label);
  return ok;
}

/* A configuration from all @entries but those that are a pool's; NULL with @error. */
static DbDatabaseConfig *
make_config (GPtrArray *entries, GError **error)
{
  g_autoptr (DbDatabaseConfig) self = db_database_config_new ();
  const DbConfigEntry *password = NULL;

  if (!check_contradictions (entries, error))
    return NULL;
  for (guint i = 0; i < entries->len; i++)
    {
      const DbConfigEntry *entry = g_ptr_array_index (entries, i);

      if (g_strv_contains (passwords, entry->key))
        password = entry;
      else if (strcmp (entry->key, "hosts") == 0)
        {
          if (!take_host_list (self, entry, error))
            return NULL;
        }
      else if (strcmp (entry->key, "host") != 0 && strcmp (entry->key, "port") != 0 &&
               db_pool_field_find (entry->key) == 0 && !take_entry (self, entry, error))
        return NULL;
    }
  if ((db_config_source_find (entries, "host") != NULL ||
       db_config_source_find (entries, "port") != NULL) &&
      !take_host_and_port (self, entries, error))
    return NULL;
  if (password != NULL && !take_password (self, password, error))
    return NULL;
  return g_steal_pointer (&self);
}

/* DATABASE_URL, or else libpq's variables; a service file, which comes before those, is left to
 * libpq with all of them. */
static gboolean
read_usual_variables (GPtrArray *entries, GError **error)
{
  if (!db_config_source_add_variable (entries, "DATABASE_URL", "uri", error))
    return FALSE;
  if (entries->len > 0 || g_getenv ("PGSERVICE") != NULL)
    return TRUE;
  for (gsize i = 0; i < G_N_ELEMENTS (settings); i++)
    {
      const char *variable = settings[i].variable;
      const char *value = variable != NULL ? g_getenv (variable) : NULL;

      /* an empty one is for libpq as none */
      if (value != NULL && value[0] != '\0' &&
          !db_config_source_add_variable (entries, variable, settings[i].key, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
read_prefixed_variables (GPtrArray *entries, const char *prefix, GError **error)
{
  if (!db_config_source_check_prefix (prefix, error))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (settings); i++)
    {
      const char *key = settings[i].key;
      g_autofree char *name = g_strdelimit (g_ascii_strup (key, -1), "-", '_');
      g_autofree char *variable =
        g_strconcat (prefix, "_", strcmp (key, "uri") == 0 ? "DATABASE_URL" : name, NULL);

      if (strcmp (key, "hosts") != 0 &&
          !db_config_source_add_variable (entries, variable, key, error))
        return FALSE;
    }
  if (entries->len > 0)
    return TRUE;
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
               "the environment does not say where the database is: set %s_DATABASE_URL, or "
               "%s_HOST, %s_DATABASE and others",
               prefix, prefix, prefix);
  return FALSE;
}

/**
 * db_database_config_new_from_env:
 * @prefix: (nullable): with what the names of the variables begin, for example `"SHOP"`
 * @error: return location for an error
 *
 * Makes a configuration from environment variables.
 *
 * Without a prefix, from `DATABASE_URL`, or else from libpq's own variables (`PGHOST` and so on);
 * where `PGSERVICE` is set, all of those are left to libpq. If there are none, nothing is set, and
 * libpq's defaults hold.
 *
 * With one, from `SHOP_DATABASE_URL`, or else from `SHOP_HOST`, `SHOP_PORT`, `SHOP_DATABASE`,
 * `SHOP_USERNAME`, `SHOP_SSL_MODE` and so on, the properties' names; one of them has to be set. The
 * password may also stand beside a URI that has none, in `SHOP_PASSWORD`, in the file that
 * `SHOP_PASSWORD_FILE` names, or behind the file descriptor `SHOP_PASSWORD_FD`.
 *
 * Settings of the pool may stand in the query of a URI; [class@Db.PoolFactory] heeds them.
 *
 * May be called from any thread, while none changes the environment. Does not block, but for a file
 * descriptor of a pipe. Fails with `DB_ERROR_CONFIGURATION`, naming the variable, for a value that
 * is empty or does not fit, and for variables that contradict each other.
 *
 * Returns: (transfer full): a configuration
 *
 * Since: 1.0
 */
DbDatabaseConfig *
db_database_config_new_from_env (const char *prefix, GError **error)
{
  g_autoptr (GPtrArray) entries = db_config_source_new ();

  if (prefix == NULL ? !read_usual_variables (entries, error)
                     : !read_prefixed_variables (entries, prefix, error))
    return NULL;
  return make_config (entries, error);
}

/**
 * db_database_config_new_from_key_file:
 * @key_file: a key file
 * @group: the group that describes the database
 * @error: return location for an error
 *
 * Makes a configuration from a group of a key file.
 *
 * Its keys are `uri`, or else `hosts` (a list, or `host` and `port`), `database`, `username`,
 * `ssl-mode` and the other properties by their names, and further keywords of libpq such as
 * `connect_timeout`. The password is one of `password`, `password-file` and `password-fd`, also
 * beside a URI that has none. Settings of a pool may stand in the same group, for
 * [ctor@Db.PoolConfig.new_from_key_file].
 *
 * Does not block, but for a file descriptor of a pipe. Fails with `DB_ERROR_CONFIGURATION`, naming
 * the key, for a group that is missing, a key that is unknown, a value that is empty or does not
 * fit, and keys that contradict each other. A key that stands there twice counts with what it
 * says last: that is how `GKeyFile` reads.
 *
 * Returns: (transfer full): a configuration
 *
 * Since: 1.0
 */
DbDatabaseConfig *
db_database_config_new_from_key_file (GKeyFile *key_file, const char *group, GError **error)
{
  g_autoptr (GPtrArray) entries = NULL;

  g_return_val_if_fail (key_file != NULL, NULL);
  g_return_val_if_fail (group != NULL, NULL);

  entries = db_config_source_read_group (key_file, group, error);
  return entries != NULL ? make_config (entries, error) : NULL;
}

/* Nothing when @value is NULL: then @key goes. */
static void
write_text (GKeyFile *key_file, const char *group, const char *key, const char *value)
{
  if (value != NULL)
    g_key_file_set_string (key_file, group, key, value);
  else
    g_key_file_remove_key (key_file, group, key, NULL);
}

static void
write_hosts (DbDatabaseConfig *self, GKeyFile *key_file, const char *group)
{
  g_auto (GStrv) hosts = NULL;
  gsize n;

  g_object_get (self, "hosts", &hosts, NULL);
  n = g_strv_length (hosts);
  if (n > 1 || (n == 1 && hosts[0][0] != '\0'))
    g_key_file_set_string_list (key_file, group, "hosts", (const char *const *) hosts, n);
  else
    g_key_file_remove_key (key_file, group, "hosts", NULL);
}

/* A key that stays keeps its place, so that a comment above it stays with it. */
static void
write_options (DbDatabaseConfig *self, GKeyFile *key_file, const char *group)
{
  g_auto (GStrv) keys = g_key_file_get_keys (key_file, group, NULL, NULL);
  g_autoptr (GVariant) options = NULL;
  GVariantIter iter;
  const char *keyword, *value;

  g_object_get (self, "options", &options, NULL);
  for (char **key = keys; key != NULL && *key != NULL; key++)
    if (is_option (*key) && !db_database_config_is_secret (*key) &&
        !g_variant_lookup (options, *key, "&s", &value))
      g_key_file_remove_key (key_file, group, *key, NULL);
  g_variant_iter_init (&iter, options);
  while (g_variant_iter_next (&iter, "{&s&s}", &keyword, &value))
    write_text (key_file, group, keyword, value[0] != '\0' ? value : NULL);
}

static void
write_password_file (DbDatabaseConfig *self, GKeyFile *key_file, const char *group)
{
  g_autofree char *path = db_database_config_dup_password_file (self);

  write_text (key_file, group, "password-file", path);
  if (path == NULL)
    return;
  g_key_file_remove_key (key_file, group, "password", NULL);
  g_key_file_remove_key (key_file, group, "password-fd", NULL);
}

/**
 * db_database_config_to_key_file:
 * @self: a configuration
 * @key_file: a key file, which is changed
 * @group: the group that is to describe the database
 *
 * Writes the configuration into a group of a key file, from which
 * [ctor@Db.DatabaseConfig.new_from_key_file] makes an equal one.
 *
 * The password and other secrets are not written, only the name of
 * [property@Db.DatabaseConfig:password-file]; a password that stands in the group stays there
 * unless there is such a file. Keys of the database that are no longer set are removed, `uri` too;
 * other keys, such as those of the pool, and comments stay. Does not block.
 *
 * Since: 1.0
 */
void
db_database_config_to_key_file (DbDatabaseConfig *self, GKeyFile *key_file, const char *group)
{
  g_return_if_fail (DB_IS_DATABASE_CONFIG (self));
  g_return_if_fail (key_file != NULL);
  g_return_if_fail (group != NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (settings); i++)
    {
      const char *key = settings[i].key;
      GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (self), key);
      g_autofree char *text = NULL;

      /* these have forms of their own */
      if (g_strv_contains (passwords, key) || strcmp (key, "hosts") == 0 ||
          strcmp (key, "ssl-mode") == 0)
        continue;
      /* "host" and "port" are the first of the hosts */
      if (pspec != NULL && pspec->value_type == G_TYPE_STRING && strcmp (key, "host") != 0)
        g_object_get (self, key, &text, NULL);
      write_text (key_file, group, key, text);
    }
  write_text (key_file, group, "ssl-mode", db_database_config_get_ssl_mode_name (self));
  write_hosts (self, key_file, group);
  write_options (self, key_file, group);
  write_password_file (self, key_file, group);
}
