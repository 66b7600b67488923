/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Reads sqlite: URIs into properties of a manager. GUri does the splitting and the decoding; what
 * the parts mean, and what to say when they mean nothing, is here. */

#include "config.h"

#include "db-error.h"
#include "db-pool-config-private.h"
#include "db-sqlite-uri-private.h"

static gboolean G_GNUC_PRINTF (2, 3) fail (GError **error, const char *format, ...)
{
  g_autofree char *bytes = NULL;
  g_autofree char *text = NULL; /* an error is text, whatever the URI is */
  va_list args;

  va_start (args, format);
  bytes = g_strdup_vprintf (format, args);
  va_end (args);
  text = g_utf8_make_valid (bytes, -1);
  g_set_error_literal (error, DB_ERROR, DB_ERROR_CONFIGURATION, text);
  return FALSE;
}

static gboolean
parse_boolean (const char *key, const char *value, gboolean *result, GError **error)
{
  static const char *const yes[] = {"1", "on", "true", "yes", NULL};
  static const char *const no[] = {"0", "off", "false", "no", NULL};
  g_autofree char *lower = g_ascii_strdown (value, -1);

  *result = g_strv_contains (yes, lower);
  if (*result || g_strv_contains (no, lower))
    return TRUE;
  return fail (error, "%s=%s in the sqlite: URI: the value is on or off", key, value);
}

static gboolean
apply_mode (DbSqliteManager *manager, const char *value, GError **error)
{
  if (g_str_equal (value, "ro"))
    g_object_set (manager, "read-only", TRUE, NULL);
  else if (g_str_equal (value, "rw"))
    g_object_set (manager, "create-if-missing", FALSE, NULL);
  else if (g_str_equal (value, "memory"))
    g_object_set (manager, "path", ":memory:", NULL);
  else if (!g_str_equal (value, "rwc"))
    return fail (
      error, "mode=%s in the sqlite: URI: the value is one of rwc (the default), rw, ro, memory",
      value);
  return TRUE;
}

static gboolean
apply_busy_timeout (DbSqliteManager *manager, const char *value, GError **error)
{
  gint64 timeout;

  if (!db_parse_duration (value, &timeout, error))
    {
      g_prefix_error (error, "busy_timeout in the sqlite: URI: ");
      return FALSE;
    }
  g_object_set (manager, "busy-timeout", timeout, NULL);
  return TRUE;
}

/* @pragmas: a{ss} */
static gboolean
apply_key (DbSqliteManager *manager,
           GVariantBuilder *pragmas,
           const char *key,
           const char *value,
           GError **error)
{
  gboolean on;

  if (g_str_equal (key, "mode"))
    return apply_mode (manager, value, error);
  if (g_str_equal (key, "busy_timeout"))
    return apply_busy_timeout (manager, value, error);
  if (g_str_equal (key, "foreign_keys"))
    {
      if (!parse_boolean (key, value, &on, error))
        return FALSE;
      g_object_set (manager, "foreign-keys", on, NULL);
    }
  else if (g_str_equal (key, "journal_mode"))
    g_object_set (manager, "journal-mode", value, NULL);
  else if (g_str_equal (key, "synchronous"))
    g_object_set (manager, "synchronous", value, NULL);
  else if (g_str_has_prefix (key, "pragma."))
    g_variant_builder_add (pragmas, "{ss}", key + strlen ("pragma."), value);
  else
    return fail (
      error,
      "unknown key \"%s\" in the sqlite: URI: there are mode, journal_mode, synchronous, "
      "foreign_keys, busy_timeout and pragma.NAME, and the keys of the pool",
      key);
  return TRUE;
}

static gboolean
apply_query (DbSqliteManager *manager, const char *query, GError **error)
{
  g_auto (GVariantBuilder) pragmas = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a{ss}"));
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GError) local_error = NULL;
  GUriParamsIter iter;
  char *name;
  char *text;

  g_uri_params_iter_init (&iter, query, -1, "&", G_URI_PARAMS_NONE);
  while (g_uri_params_iter_next (&iter, &name, &text, &local_error))
    {
      g_autofree char *value = text;

      if (!g_hash_table_add (seen, name))
        return fail (error, "\"%s\" is twice in the sqlite: URI", name);
      if (!apply_key (manager, &pragmas, name, value, error))
        return FALSE;
    }
  if (local_error != NULL)
    return fail (error, "the query of the sqlite: URI is malformed: %s", local_error->message);
  if (g_hash_table_size (seen) > 0)
    g_object_set (manager, "pragmas", g_variant_builder_end (&pragmas), NULL);
  return TRUE;
}

gboolean
db_sqlite_uri_apply (const char *uri, DbSqliteManager *manager, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autoptr (GUri) parts = g_uri_parse (uri, G_URI_FLAGS_ENCODED_QUERY, &local_error);

  if (parts == NULL)
    return fail (error, "the sqlite: URI is malformed: %s", local_error->message);
  if (!g_str_equal (g_uri_get_scheme (parts), "sqlite"))
    return fail (error, "the URI begins with %s: and not with sqlite:", g_uri_get_scheme (parts));
  if (g_uri_get_host (parts) != NULL && g_uri_get_host (parts)[0] != '\0')
    return fail (error,
                 "the sqlite: URI names a host: write sqlite:file.db for a file in the current "
                 "folder and sqlite:/folder/file.db or sqlite:///folder/file.db for another one");
  if (g_uri_get_fragment (parts) != NULL)
    return fail (error, "the sqlite: URI has a fragment: write %%23 for # in a path");

  g_object_set (manager, "path", g_uri_get_path (parts), NULL);
  return g_uri_get_query (parts) == NULL || apply_query (manager, g_uri_get_query (parts), error);
}
