/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Reads settings from environment variables and from groups of key files into entries that know
 * where they came from, so that errors can say it. What the settings mean is their readers'
 * business. Errors show no value, since it may be a password. No state and no lock, but g_getenv()
 * is not safe while another thread changes the environment. */

#include "config.h"

#include "db-config-source-private.h"

#include "db-database-config-private.h"
#include "db-error.h"

#include <string.h>

#define MAX_SHOWN 80 /* characters */

static void
entry_free (gpointer data)
{
  DbConfigEntry *entry = data;

  g_free (entry->key);
  g_free (entry->label);
  db_wipe_and_free (entry->value);
  g_free (entry);
}

char *
db_config_shorten (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, (gssize) strnlen (text, 8 * MAX_SHOWN));
  g_autofree char *start = NULL;

  if (g_utf8_strlen (valid, -1) <= MAX_SHOWN)
    return g_steal_pointer (&valid);
  start = g_utf8_substring (valid, 0, MAX_SHOWN);
  return g_strconcat (start, "…", NULL);
}

GPtrArray *
db_config_source_new (void)
{
  return g_ptr_array_new_with_free_func (entry_free);
}

const DbConfigEntry *
db_config_source_find (GPtrArray *entries, const char *key)
{
  for (guint i = 0; i < entries->len; i++)
    {
      const DbConfigEntry *entry = g_ptr_array_index (entries, i);

      if (strcmp (entry->key, key) == 0)
        return entry;
    }
  return NULL;
}

gboolean
db_config_entry_fail (const DbConfigEntry *entry, GError **error, const char *format, ...)
{
  g_autofree char *reason = NULL;
  g_autofree char *text = NULL;
  g_autofree char *valid = NULL;
  va_list args;

  va_start (args, format);
  reason = g_strdup_vprintf (format, args);
  va_end (args);
  text = g_strconcat (entry->label, ": ", reason, NULL);
  valid = g_utf8_make_valid (text, -1);
  g_set_error_literal (error, DB_ERROR, DB_ERROR_CONFIGURATION, valid);
  return FALSE;
}

/* Takes all three texts, and checks what holds for every setting. */
static gboolean
add_entry (GPtrArray *entries, char *key, char *label, char *value, GError **error)
{
  DbConfigEntry *entry = g_new (DbConfigEntry, 1);

  *entry = (DbConfigEntry){key, label, value};
  g_ptr_array_add (entries, entry);
  if (value[0] == '\0')
    return db_config_entry_fail (entry, error, "it is empty; leave it out, or give it a value");
  if (strlen (value) > DB_CONFIG_MAX_LENGTH)
    return db_config_entry_fail (entry, error, "it is longer than %d bytes", DB_CONFIG_MAX_LENGTH);
  if (strcmp (key, "password") != 0 && !g_utf8_validate (value, -1, NULL))
    return db_config_entry_fail (entry, error, "it is no valid UTF-8");
  return TRUE;
}

gboolean
db_config_source_check_prefix (const char *prefix, GError **error)
{
  gsize length = strspn (prefix, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "_");
  g_autofree char *valid = NULL;

  if (length > 0 && prefix[length] == '\0' && !g_ascii_isdigit (prefix[0]))
    return TRUE;
  valid = db_config_shorten (prefix);
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
               "no name of an environment variable can begin with “%s”: letters, digits and “_” "
               "can stand there, as in “SHOP”",
               valid);
  return FALSE;
}

gboolean
db_config_source_add_variable (GPtrArray *entries,
                               const char *variable,
                               const char *key,
                               GError **error)
{
  const char *value = g_getenv (variable);
  g_autofree char *shown = NULL;

  if (value == NULL)
    return TRUE;
  shown = db_config_shorten (variable);
  return add_entry (entries, g_strdup (key), g_strconcat ("environment variable ", shown, NULL),
                    g_strdup (value), error);
}

/* Takes the escapes out of @text, in place; FALSE when there is one that key files do not have.
 * g_key_file_get_string() warns of some texts instead of failing. */
static gboolean
unescape (char *text)
{
  static const char escapes[] = "s n\nt\tr\r\\\\"; /* pairs */
  char *to = text;

  for (const char *from = text; *from != '\0'; from++)
    {
      const char *pair = escapes;

      if (*from != '\\')
        {
          *to++ = *from;
          continue;
        }
      from++;
      while (*pair != '\0' && *pair != *from)
        pair += 2;
      if (*pair == '\0')
        return FALSE;
      *to++ = pair[1];
    }
  *to = '\0';
  return TRUE;
}

GPtrArray *
db_config_source_read_group (GKeyFile *key_file, const char *group, GError **error)
{
  g_autoptr (GPtrArray) entries = db_config_source_new ();
  g_auto (GStrv) keys = g_key_file_get_keys (key_file, group, NULL, NULL);
  g_autofree char *shown_group = db_config_shorten (group);

  if (keys == NULL)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "the key file has no group [%s]",
                   shown_group);
      return NULL;
    }
  for (char **key = keys; *key != NULL; key++)
    {
      char *value = g_key_file_get_value (key_file, group, *key, NULL);
      g_autofree char *shown_key = db_config_shorten (*key);
      char *label = g_strdup_printf ("key %s of group [%s]", shown_key, shown_group);
      const gboolean is_good = unescape (value);

      if (!add_entry (entries, g_strdup (*key), label, value, error))
        return NULL;
      if (!is_good)
        {
          db_config_entry_fail (db_config_source_find (entries, *key), error,
                                "“\\” is followed by something else than s, n, t, r or “\\”");
          return NULL;
        }
    }
  return g_steal_pointer (&entries);
}
