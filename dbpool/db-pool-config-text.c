/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The settings of a pool as text, which all sources have in common, and the query of a URI. What
 * each setting is says the table of db-pool-config.c. No state, no lock. Errors show a value, but
 * not what cannot be a setting of the pool: that may be somebody's password. */

#include "config.h"

#include "db-pool-config-private.h"

#include "db-config-source-private.h"
#include "db-error.h"

#include <string.h>

static const struct
{
  const char *name;
  gint64 microseconds;
} units[] = {
  {"us", 1},
  {"ms", G_TIME_SPAN_MILLISECOND},
  {"s", G_TIME_SPAN_SECOND},
  {"min", G_TIME_SPAN_MINUTE},
  {"h", G_TIME_SPAN_HOUR},
  {"d", G_TIME_SPAN_DAY},
};

static const DbPoolField *
get_field (guint id)
{
  guint n;

  return &db_pool_get_fields (&n)[id];
}

guint
db_pool_field_find (const char *name)
{
  guint n;
  const DbPoolField *fields = db_pool_get_fields (&n);

  for (guint id = 1; id < n; id++)
    if (strcmp (fields[id].name, name) == 0)
      return id;
  return 0;
}

guint
db_pool_field_find_option (const char *option)
{
  g_autofree char *name = NULL;

  /* only the form with underscores is known, so that no setting has two names */
  if (!g_str_has_prefix (option, "pool_") || strchr (option, '-') != NULL)
    return 0;
  name = g_strdelimit (g_strdup (option + strlen ("pool_")), "_", '-');
  return db_pool_field_find (name);
}

gboolean
db_parse_duration (const char *text, gint64 *microseconds, GError **error)
{
  gsize digits = strspn (text, "0123456789");
  g_autofree char *number = g_strndup (text, digits);
  g_autofree char *shown = db_config_shorten (text);
  const char *unit = text + digits;
  guint64 count;

  if (strcmp (text, "0") == 0)
    {
      *microseconds = 0;
      return TRUE;
    }
  if (digits > 0 && *unit == '\0')
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   "the duration “%s” has no unit: write “%ss” for seconds or “%sms” for "
                   "milliseconds",
                   shown, shown, shown);
      return FALSE;
    }
  for (gsize i = 0; digits > 0 && i < G_N_ELEMENTS (units); i++)
    {
      if (strcmp (unit, units[i].name) != 0)
        continue;
      if (!g_ascii_string_to_unsigned (number, 10, 0, G_MAXINT64 / units[i].microseconds, &count,
                                       NULL))
        {
          g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "the duration “%s” is too long",
                       shown);
          return FALSE;
        }
      *microseconds = (gint64) count * units[i].microseconds;
      return TRUE;
    }
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
               "“%s” is no duration: it is a whole number and one of the units us, ms, s, min, h "
               "and d, such as “500ms”, “30s” or “10min”",
               shown);
  return FALSE;
}

char *
db_format_duration (gint64 microseconds)
{
  gsize unit = G_N_ELEMENTS (units) - 1;

  if (microseconds == 0)
    return g_strdup ("0");
  while (microseconds % units[unit].microseconds != 0)
    unit--;
  return g_strdup_printf ("%" G_GINT64_FORMAT "%s", microseconds / units[unit].microseconds,
                          units[unit].name);
}

static gboolean
parse_choice (const DbPoolField *field, const char *text, gint64 *number, GError **error)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (field->type ());
  g_autoptr (GString) known = g_string_new (NULL);
  g_autofree char *shown = db_config_shorten (text);

  for (guint i = 0; i < klass->n_values; i++)
    {
      if (strcmp (klass->values[i].value_nick, text) == 0)
        {
          *number = klass->values[i].value;
          return TRUE;
        }
      g_string_append_printf (known, "%s“%s”", i > 0 ? ", " : "", klass->values[i].value_nick);
    }
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "“%s” is none of %s", shown, known->str);
  return FALSE;
}

static gboolean
parse_switch (const char *text, gint64 *number, GError **error)
{
  g_autofree char *shown = db_config_shorten (text);

  *number = strcmp (text, "true") == 0;
  if (*number || strcmp (text, "false") == 0)
    return TRUE;
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "“%s” is neither “true” nor “false”",
               shown);
  return FALSE;
}

static gboolean
parse_count (const DbPoolField *field, const char *text, gint64 *number, GError **error)
{
  g_autofree char *shown = db_config_shorten (text);
  guint64 count;

  if (!g_ascii_string_to_unsigned (text, 10, field->minimum, field->maximum, &count, NULL))
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   "“%s” is no whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, shown,
                   field->minimum, field->maximum);
      return FALSE;
    }
  *number = (gint64) count;
  return TRUE;
}

static gboolean
parse_number (const DbPoolField *field, const char *text, gint64 *number, GError **error)
{
  if (field->word != NULL && strcmp (field->word, text) == 0)
    {
      *number = field->word_value;
      return TRUE;
    }
  if (field->kind == DB_POOL_FIELD_CHOICE)
    return parse_choice (field, text, number, error);
  if (field->kind == DB_POOL_FIELD_SWITCH)
    return parse_switch (text, number, error);
  if (field->kind == DB_POOL_FIELD_COUNT)
    return parse_count (field, text, number, error);
  if (!db_parse_duration (text, number, error))
    return FALSE;
  if (*number < field->minimum)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   "it cannot be 0; write “%s” for no limit", field->word);
      return FALSE;
    }
  return TRUE;
}

gboolean
db_pool_field_parse (guint id, const char *text, GValue *value, GError **error)
{
  const DbPoolField *field = get_field (id);
  gint64 number = 0;

  if (field->kind != DB_POOL_FIELD_TEXT && !parse_number (field, text, &number, error))
    return FALSE;
  switch (field->kind)
    {
    case DB_POOL_FIELD_COUNT:
      g_value_init (value, G_TYPE_UINT);
      g_value_set_uint (value, (guint) number);
      break;
    case DB_POOL_FIELD_DURATION:
      g_value_init (value, G_TYPE_INT64);
      g_value_set_int64 (value, number);
      break;
    case DB_POOL_FIELD_SWITCH:
      g_value_init (value, G_TYPE_BOOLEAN);
      g_value_set_boolean (value, number != 0);
      break;
    case DB_POOL_FIELD_CHOICE:
      g_value_init (value, field->type ());
      g_value_set_enum (value, (int) number);
      break;
    case DB_POOL_FIELD_TEXT:
    default:
      g_value_init (value, G_TYPE_STRING);
      g_value_set_string (value, text);
    }
  return TRUE;
}

gboolean
db_pool_field_check (guint id, const char *text, GError **error)
{
  g_auto (GValue) value = G_VALUE_INIT;

  return db_pool_field_parse (id, text, &value, error);
}

static char *
format_duration (const DbPoolField *field, gint64 microseconds)
{
  if (field->word != NULL && microseconds == field->word_value)
    return g_strdup (field->word);
  return db_format_duration (microseconds);
}

static char *
format_choice (const DbPoolField *field, int number)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (field->type ());

  return g_strdup (g_enum_get_value (klass, number)->value_nick);
}

char *
db_pool_field_format (guint id, const GValue *value)
{
  const DbPoolField *field = get_field (id);

  switch (field->kind)
    {
    case DB_POOL_FIELD_COUNT:
      return g_strdup_printf ("%u", g_value_get_uint (value));
    case DB_POOL_FIELD_DURATION:
      return format_duration (field, g_value_get_int64 (value));
    case DB_POOL_FIELD_SWITCH:
      return g_strdup (g_value_get_boolean (value) ? "true" : "false");
    case DB_POOL_FIELD_CHOICE:
      return format_choice (field, g_value_get_enum (value));
    case DB_POOL_FIELD_TEXT:
    default:
      return g_value_dup_string (value);
    }
}

static void
set_unknown_key_error (GError **error, const char *key)
{
  g_autoptr (GString) known = g_string_new (NULL);
  g_autofree char *shown = db_config_shorten (key);
  guint n;
  const DbPoolField *fields = db_pool_get_fields (&n);

  for (guint id = 1; id < n; id++)
    {
      g_autofree char *name = g_strdelimit (g_strdup (fields[id].name), "-", '_');

      g_string_append_printf (known, "%spool_%s", id > 1 ? ", " : "", name);
    }
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "unknown setting “%s”; a pool has %s",
               shown, known->str);
}

/* Takes one "pool_…=value". @seen: the fields that this query has set. */
static gboolean
take_item (DbPoolConfig *self, const char *item, const char *key, guint *seen, GError **error)
{
  const char *equals = strchr (item, '=');
  g_autofree char *text = equals != NULL ? g_uri_unescape_string (equals + 1, NULL) : NULL;
  g_auto (GValue) value = G_VALUE_INIT;
  guint id = db_pool_field_find_option (key);

  if (id == 0)
    {
      set_unknown_key_error (error, key);
      return FALSE;
    }
  if (text == NULL || !g_utf8_validate (text, -1, NULL))
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   equals == NULL ? "%s: the value is missing, write “%s=…”"
                                  : "%s: the value is not text in UTF-8 with correct %%-escapes",
                   key, key);
      return FALSE;
    }
  if (*seen & (1u << id))
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "%s is given twice", key);
      return FALSE;
    }
  *seen |= 1u << id;
  if (text[0] == '\0' || strlen (text) > DB_CONFIG_MAX_LENGTH)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   text[0] == '\0' ? "%s: it is empty; leave it out, or give it a value"
                                   : "%s: it is longer than %d bytes",
                   key, DB_CONFIG_MAX_LENGTH);
      return FALSE;
    }
  if (!db_pool_field_parse (id, text, &value, error))
    {
      g_prefix_error (error, "%s: ", key);
      return FALSE;
    }
  db_pool_config_take (self, id, &value);
  return TRUE;
}

gboolean
db_pool_config_take_uri_query (DbPoolConfig *self,
                               const char *query,
                               char **remaining,
                               GError **error)
{
  g_auto (GStrv) items = g_strsplit (query != NULL ? query : "", "&", -1);
  g_autoptr (GString) rest = g_string_new (NULL);
  guint seen = 0;

  *remaining = NULL;
  for (gsize i = 0; items[i] != NULL; i++)
    {
      g_autofree char *raw_key = g_strndup (items[i], strcspn (items[i], "="));
      g_autofree char *key = g_uri_unescape_string (raw_key, NULL);

      if (items[i][0] == '\0')
        continue;
      if (key != NULL && g_str_has_prefix (key, "pool_") && g_utf8_validate (key, -1, NULL))
        {
          if (!take_item (self, items[i], key, &seen, error))
            return FALSE;
          continue;
        }
      if (rest->len > 0)
        g_string_append_c (rest, '&');
      g_string_append (rest, items[i]);
    }
  if (rest->len > 0)
    *remaining = g_string_free (g_steal_pointer (&rest), FALSE);
  return TRUE;
}
