/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Every field of both configurations, from every source, with everything that does not belong
 * there. The fields are asked of the classes, so that one that comes later is tried, too. Whatever
 * is wrong, the error is one of configuration, names the source and the field, is short enough to
 * be read, and has no secret. GSettings is in test-config-settings.c. */

#include "config.h"

#include "config-fixture.h"
#include "db-database-config-private.h"
#include "db-error.h"
#include "db-pool-config-private.h"

#include <string.h>

#define LONGEST 65536 /* bytes of a value */

/* What is one value, wherever it stands, and no syntax. */
#define ODD_TEXT "a'b\" \\ host=evil ; #%20&x=y$(z)\t[db]ü"

/* Not empty, and no number, duration, switch, choice, host, port or mode. */
static const char *const nonsense[] = {
  " ",        "x",
  "-1",       "1.5",
  "0x10",     "1e3",
  "+1",       " 1",
  "1 ",       "1,2",
  "1;2",      "NULL",
  "None",     "TRUE ",
  "'",        "\"",
  "''",       "\\",
  "a\\b",     "a'b\"c\\",
  "ü",        "\xff",
  "1\xff",    "1\n2",
  "--",       "; --",
  "%s%s%s%n", "{}",
  "[]",       "$(x)",
  "@",        "١٢",
  "‐1",       "99999999999999999999999999999999",
};

static const char *const no_counts[] = {
  "one", "1s", "1k", "18446744073709551616", "9223372036854775808", "4294967296"};
static const char *const no_durations[] = {
  "30",      "00",   "s",    "1 s",   "1S",      "1sec",         "1m",
  "-1s",     "1.5s", "0x1s", "1s1ms", "1parsec", "99999999999d", "9223372036854775808us",
  "infinity"};
static const char *const no_switches[] = {"True", "TRUE", "yes", "on", "1", "0", "t"};
static const char *const no_choices[] = {"0", "1", "LIFO", "Dirty", "always", "true"};

typedef void (*TryFunc) (const char *name, const char *text);

/* "max-connections" as "PREFIX_MAX_CONNECTIONS" */
static char *
variable_of (const char *prefix, const char *name)
{
  g_autofree char *upper = g_ascii_strup (name, -1);

  return g_strconcat (prefix, g_strdelimit (upper, "-", '_'), NULL);
}

/* "max-connections" as "pool_max_connections" */
static char *
option_of (const char *name)
{
  g_autofree char *copy = g_strdup (name);

  return g_strconcat ("pool_", g_strdelimit (copy, "-", '_'), NULL);
}

static DbPoolConfig *
pool_from_query (const char *name, const char *text, GError **error)
{
  g_autofree char *option = option_of (name);
  g_autofree char *escaped = g_uri_escape_bytes ((const guint8 *) text, strlen (text), NULL);
  g_autofree char *query = g_strdup_printf ("%s=%s", option, escaped);

  return db_pool_config_new_from_uri_query (query, error);
}

static DbPoolConfig *
pool_from_env (const char *prefix,
               const char *start,
               const char *name,
               const char *text,
               GError **error)
{
  g_autofree char *variable = variable_of (start, name);
  DbPoolConfig *config;

  g_setenv (variable, text, TRUE);
  config = db_pool_config_new_from_env (prefix, error);
  g_unsetenv (variable);
  return config;
}

/* As it stands in a file: what would end the line is escaped, the rest is not. */
static GKeyFile *
make_group (const char *name, const char *text, gboolean escape)
{
  GKeyFile *key_file = g_key_file_new ();

  if (escape)
    g_key_file_set_string (key_file, "db", name, text);
  else
    g_key_file_set_value (key_file, "db", name, text);
  return key_file;
}

static DbPoolConfig *
pool_from_group (const char *name, const char *text, gboolean escape, GError **error)
{
  g_autoptr (GKeyFile) key_file = make_group (name, text, escape);

  return db_pool_config_new_from_key_file (key_file, "db", error);
}

/* @text is refused for the field @name, wherever it comes from. */
static void
refuse_pool_text (const char *name, const char *text)
{
  g_autofree char *option = option_of (name);
  g_autofree char *usual = variable_of ("environment variable DBPOOL_", name);
  g_autofree char *prefixed = variable_of ("environment variable SHOP_POOL_", name);
  g_autofree char *key = g_strdup_printf ("key %s of group [db]", name);
  GError *error = NULL;

  g_assert_null (pool_from_query (name, text, &error));
  config_assert_refused (g_steal_pointer (&error), option, NULL);
  g_assert_null (pool_from_env (NULL, "DBPOOL_", name, text, &error));
  config_assert_refused (g_steal_pointer (&error), usual, NULL);
  g_assert_null (pool_from_env ("SHOP", "SHOP_POOL_", name, text, &error));
  config_assert_refused (g_steal_pointer (&error), prefixed, NULL);
  g_assert_null (pool_from_group (name, text, TRUE, &error));
  config_assert_refused (g_steal_pointer (&error), key, NULL);
  g_assert_null (pool_from_group (name, text, FALSE, &error));
  config_assert_refused (g_steal_pointer (&error), key, NULL);
}

static void
try_all (const char *const *texts, gsize n, const char *name, TryFunc func)
{
  for (gsize i = 0; i < n; i++)
    func (name, texts[i]);
}

#define TRY_ALL(texts, name, func) try_all (texts, G_N_ELEMENTS (texts), name, func)

/* One below and one above what the property takes. */
static void
refuse_out_of_range (GParamSpecUInt *pspec)
{
  const char *name = G_PARAM_SPEC (pspec)->name;
  g_autofree char *above = g_strdup_printf ("%" G_GUINT64_FORMAT, (guint64) pspec->maximum + 1);

  refuse_pool_text (name, above);
  if (pspec->minimum > 0)
    {
      g_autofree char *below = g_strdup_printf ("%u", pspec->minimum - 1);

      refuse_pool_text (name, below);
    }
}

static GParamSpec **
list_fields (GType type, guint *n)
{
  g_autoptr (GTypeClass) klass = g_type_class_ref (type);
  GParamSpec **pspecs = g_object_class_list_properties (G_OBJECT_CLASS (klass), n);

  g_assert_cmpuint (*n, >, 10);
  return pspecs;
}

static void
clear_environment (void)
{
  static const char *const prefixes[] = {"PG", "DATABASE_URL", "DBPOOL_", "SHOP_"};
  g_auto (GStrv) names = g_listenv ();

  for (char **name = names; *name != NULL; name++)
    for (gsize i = 0; i < G_N_ELEMENTS (prefixes); i++)
      if (g_str_has_prefix (*name, prefixes[i]))
        g_unsetenv (*name);
}

static void
test_pool_texts (void)
{
  g_autofree char *too_long = g_strnfill (LONGEST + 1, '7');
  g_autofree char *long_text = g_strnfill (LONGEST, '7');
  guint n;
  g_autofree GParamSpec **pspecs = list_fields (DB_TYPE_POOL_CONFIG, &n);

  clear_environment ();
  for (guint i = 0; i < n; i++)
    {
      const char *name = pspecs[i]->name;
      const GType type = pspecs[i]->value_type;

      refuse_pool_text (name, "");
      refuse_pool_text (name, too_long);
      refuse_pool_text (name, "\xff");
      if (type == G_TYPE_STRING)
        continue;
      refuse_pool_text (name, long_text);
      TRY_ALL (nonsense, name, refuse_pool_text);
      if (type == G_TYPE_UINT)
        {
          TRY_ALL (no_counts, name, refuse_pool_text);
          refuse_out_of_range ((GParamSpecUInt *) pspecs[i]);
        }
      else if (type == G_TYPE_INT64)
        TRY_ALL (no_durations, name, refuse_pool_text);
      else if (type == G_TYPE_BOOLEAN)
        TRY_ALL (no_switches, name, refuse_pool_text);
      else if (G_TYPE_IS_ENUM (type))
        TRY_ALL (no_choices, name, refuse_pool_text);
      else
        g_assert_not_reached (); /* a new kind of field: say here what does not belong there */
    }
}

/* What only a query can have: a field twice, none, a zero byte, a wrong escape. */
static void
test_pool_queries (void)
{
  static const char *const forms[] = {"%s=1&%s=1", "%s",    "%s=%%00", "%s=1%%00",
                                      "%s=%%zz",   "%s=%%", "%sx=1",   "%s%%20=1"};
  guint n;
  g_autofree GParamSpec **pspecs = list_fields (DB_TYPE_POOL_CONFIG, &n);

  for (guint i = 0; i < n; i++)
    for (gsize j = 0; j < G_N_ELEMENTS (forms); j++)
      {
        g_autofree char *option = option_of (pspecs[i]->name);
        g_auto (GStrv) parts = g_strsplit (forms[j], "%s", -1);
        g_autofree char *joined = g_strjoinv (option, parts);
        g_autofree char *query = NULL;
        g_auto (GStrv) percents = g_strsplit (joined, "%%", -1);
        GError *error = NULL;

        query = g_strjoinv ("%", percents);
        /* a text may be "1", and then only its repetition is wrong */
        g_assert_null (db_pool_config_new_from_uri_query (query, &error));
        config_assert_refused (error, option, NULL);
      }
}

/* Names that are almost one. */
static void
test_pool_names (void)
{
  guint n;
  g_autofree GParamSpec **pspecs = list_fields (DB_TYPE_POOL_CONFIG, &n);

  clear_environment ();
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *longer = g_strconcat (pspecs[i]->name, "-x", NULL);
      g_autofree char *upper = g_ascii_strup (pspecs[i]->name, -1);

      refuse_pool_text (longer, "1");
      refuse_pool_text (longer, SECRET); /* who knows what was meant */
      if (strchr (upper, '-') != NULL)
        {
          GError *error = NULL;

          g_assert_null (pool_from_group (upper, "1", TRUE, &error));
          config_assert_refused (error, upper, "no such setting", NULL);
        }
    }
}

/* Any text is a text, the same from everywhere, and what was written is read again. */
static void
test_pool_values (void)
{
  guint n;
  g_autofree GParamSpec **pspecs = list_fields (DB_TYPE_POOL_CONFIG, &n);
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (GKeyFile) key_file = g_key_file_new ();

  clear_environment ();
  config_set_other_values (config);
  db_pool_config_to_key_file (config, key_file, "db");
  for (guint i = 0; i < n; i++)
    {
      const char *name = pspecs[i]->name;
      g_autoptr (GError) error = NULL;
      g_autofree char *text = pspecs[i]->value_type == G_TYPE_STRING
                                ? g_strdup (ODD_TEXT)
                                : g_key_file_get_string (key_file, "db", name, NULL);
      g_autoptr (DbPoolConfig) by_query = NULL;
      g_autoptr (DbPoolConfig) by_variable = NULL;
      g_autoptr (DbPoolConfig) by_key = NULL;
      g_auto (GValue) value = G_VALUE_INIT;

      g_assert_nonnull (text);
      g_test_message ("%s: %s", name, text);
      by_query = pool_from_query (name, text, &error);
      g_assert_no_error (error);
      by_variable = pool_from_env ("SHOP", "SHOP_POOL_", name, text, &error);
      g_assert_no_error (error);
      by_key = pool_from_group (name, text, TRUE, &error);
      g_assert_no_error (error);
      config_assert_equal (by_query, by_variable);
      config_assert_equal (by_query, by_key);
      g_object_get_property (G_OBJECT (by_query), name, &value);
      g_assert_false (g_param_value_defaults (pspecs[i], &value));
      if (G_VALUE_HOLDS_STRING (&value))
        g_assert_cmpstr (g_value_get_string (&value), ==, ODD_TEXT);
    }
}

/* What stands in a C program: a value of a wrong type, or out of range, changes nothing, and GLib
 * says so. */
static GLogWriterOutput
count_warnings (GLogLevelFlags level, const GLogField *log_fields, gsize n, gpointer data)
{
  if (level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL))
    (*(guint *) data)++;
  return G_LOG_WRITER_HANDLED;
}

static void
set_wrongly (GObject *object, GParamSpec *pspec, GType type, gint64 number)
{
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, type);
  if (type == G_TYPE_UINT)
    g_value_set_uint (&value, (guint) number);
  else if (type == G_TYPE_INT64)
    g_value_set_int64 (&value, number);
  else if (G_TYPE_IS_ENUM (type))
    g_value_set_enum (&value, (int) number);
  g_object_set_property (object, pspec->name, &value);
}

static void
set_wrong_values (GObject *object, GParamSpec *pspec)
{
  const GType type = pspec->value_type;

  /* no text, no number and no switch is a list of files */
  set_wrongly (object, pspec, G_TYPE_FILE_MONITOR, 0);
  if (type == G_TYPE_UINT)
    {
      const GParamSpecUInt *range = (GParamSpecUInt *) pspec;

      if (range->maximum < G_MAXUINT)
        set_wrongly (object, pspec, type, (gint64) range->maximum + 1);
      if (range->minimum > 0)
        set_wrongly (object, pspec, type, (gint64) range->minimum - 1);
    }
  else if (type == G_TYPE_INT64 && ((GParamSpecInt64 *) pspec)->minimum > G_MININT64)
    set_wrongly (object, pspec, type, ((GParamSpecInt64 *) pspec)->minimum - 1);
  else if (G_TYPE_IS_ENUM (type))
    set_wrongly (object, pspec, type, 99);
}

static void
test_properties_subprocess (void)
{
  const GType types[] = {DB_TYPE_POOL_CONFIG, DB_TYPE_DATABASE_CONFIG};
  guint n_warnings = 0;

  g_log_set_always_fatal (G_LOG_FATAL_MASK);
  g_log_set_writer_func (count_warnings, &n_warnings, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autoptr (GObject) object = g_object_new (types[i], NULL);
      guint n;
      g_autofree GParamSpec **pspecs = list_fields (types[i], &n);

      for (guint j = 0; j < n; j++)
        {
          g_auto (GValue) value = G_VALUE_INIT;
          const guint before = n_warnings;

          set_wrong_values (object, pspecs[j]);
          if (n_warnings == before)
            g_error ("%s was changed without a warning", pspecs[j]->name);
          if (!(pspecs[j]->flags & G_PARAM_READABLE) || strcmp (pspecs[j]->name, "hosts") == 0 ||
              strcmp (pspecs[j]->name, "options") == 0)
            continue;
          g_object_get_property (object, pspecs[j]->name, &value);
          if (!g_param_value_defaults (pspecs[j], &value))
            g_error ("%s has changed", pspecs[j]->name);
        }
    }
}

static void
test_properties (void)
{
  if (g_test_subprocess ())
    {
      test_properties_subprocess ();
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
}

/* Texts that no source would let through: refused when a pool is made. */
static void
test_pool_property_texts (void)
{
  g_autofree char *too_long = g_strnfill (LONGEST + 1, 's');
  const char *const bad[] = {"\xff", too_long};
  guint n;
  g_autofree GParamSpec **pspecs = list_fields (DB_TYPE_POOL_CONFIG, &n);

  for (guint i = 0; i < n; i++)
    for (gsize j = 0; j < G_N_ELEMENTS (bad) && pspecs[i]->value_type == G_TYPE_STRING; j++)
      {
        g_autoptr (DbPoolConfig) config = db_pool_config_new ();
        GError *error = NULL;

        g_object_set (config, pspecs[i]->name, bad[j], NULL);
        g_assert_false (db_pool_config_validate (config, &error));
        config_assert_refused (error, pspecs[i]->name, NULL);
      }
}

/* Databases. */

/* A password is set, too, and in no error. */
static void
refuse_database_text (const char *name, const char *text)
{
  g_autofree char *variable = variable_of ("SHOP_", name);
  g_autofree char *key = g_strdup_printf ("key %s of group [db]", name);
  g_autofree char *label = g_strconcat ("environment variable ", variable, NULL);
  const gboolean is_password = g_str_has_prefix (name, "password");
  GError *error = NULL;

  for (guint escape = 0; escape < 2; escape++)
    {
      g_autoptr (GKeyFile) key_file = make_group (name, text, escape == 0);

      if (!is_password)
        g_key_file_set_string (key_file, "db", "password", SECRET);
      g_assert_null (db_database_config_new_from_key_file (key_file, "db", &error));
      config_assert_refused (g_steal_pointer (&error), key, NULL);
    }
  if (strcmp (name, "hosts") == 0) /* a list of key files only */
    return;
  g_setenv (variable, text, TRUE);
  if (!is_password)
    g_setenv ("SHOP_PASSWORD", SECRET, TRUE);
  g_assert_null (db_database_config_new_from_env ("SHOP", &error));
  config_assert_refused (g_steal_pointer (&error), label, NULL);
  g_unsetenv (variable);
  g_unsetenv ("SHOP_PASSWORD");
}

static void
test_database_texts (void)
{
  static const char *const no_modes[] = {"default", "Require", "verify_full", "on", "true"};
  static const char *const no_hosts[] = {"a/b",     "a:1:x", "a b", "a@b",  "a?b",
                                         "a:99999", "a:0",   "a:x", "[::1", "a:"};
  static const char *const no_ports[] = {"0", "65536", "5432.0", "http", "-5432", "5432s"};
  g_autofree char *too_long = g_strnfill (LONGEST + 1, 's');
  g_autofree char *long_text = g_strnfill (LONGEST, ' ');
  guint n;
  g_autofree GParamSpec **pspecs = list_fields (DB_TYPE_DATABASE_CONFIG, &n);

  clear_environment ();
  for (guint i = 0; i < n; i++)
    {
      const char *name = pspecs[i]->name;

      if (strcmp (name, "options") == 0) /* each keyword is a key of its own */
        continue;
      refuse_database_text (name, "");
      refuse_database_text (name, too_long);
      if (strcmp (name, "password") != 0) /* any bytes */
        refuse_database_text (name, "\xff");
      if (strcmp (name, "ssl-mode") == 0 || strcmp (name, "port") == 0 ||
          g_str_has_prefix (name, "host"))
        refuse_database_text (name, long_text);
      if (strcmp (name, "ssl-mode") == 0)
        {
          TRY_ALL (nonsense, name, refuse_database_text);
          TRY_ALL (no_modes, name, refuse_database_text);
        }
      else if (strcmp (name, "port") == 0)
        TRY_ALL (no_ports, name, refuse_database_text);
      else if (g_str_has_prefix (name, "host"))
        TRY_ALL (no_hosts, name, refuse_database_text);
    }
}

/* A text is one value, whatever is in it: it becomes no other keyword of libpq's. */
static void
test_database_values (void)
{
  guint n;
  g_autofree GParamSpec **pspecs = list_fields (DB_TYPE_DATABASE_CONFIG, &n);
  guint n_tried = 0;

  clear_environment ();
  for (guint i = 0; i < n; i++)
    {
      const char *name = pspecs[i]->name;
      g_autofree char *variable = variable_of ("SHOP_", name);
      g_autoptr (GKeyFile) key_file = make_group (name, ODD_TEXT, TRUE);
      g_autoptr (GError) error = NULL;
      g_autoptr (DbDatabaseConfig) by_key = NULL;
      g_autoptr (DbDatabaseConfig) by_variable = NULL;
      g_autoptr (DbConninfo) of_key = NULL;
      g_autoptr (DbConninfo) of_variable = NULL;

      if (pspecs[i]->value_type != G_TYPE_STRING || strcmp (name, "host") == 0 ||
          strcmp (name, "password-file") == 0)
        continue;
      by_key = db_database_config_new_from_key_file (key_file, "db", &error);
      g_assert_no_error (error);
      g_setenv (variable, ODD_TEXT, TRUE);
      by_variable = db_database_config_new_from_env ("SHOP", &error);
      g_unsetenv (variable);
      g_assert_no_error (error);
      of_key = db_database_config_to_conninfo (by_key);
      of_variable = db_database_config_to_conninfo (by_variable);
      g_assert_cmpuint (g_strv_length (of_key->keywords), ==, 1);
      g_assert_cmpstr (of_key->values[0], ==, ODD_TEXT);
      g_assert_true (g_strv_equal ((const char *const *) of_key->keywords,
                                   (const char *const *) of_variable->keywords));
      g_assert_cmpstr (of_variable->values[0], ==, ODD_TEXT);
      n_tried++;
    }
  g_assert_cmpuint (n_tried, >=, 7);
}

#ifdef HAVE_POSTGRES
/* The keywords of libpq that have no property, in key files and in URIs. */
static void
test_database_keywords (void)
{
  g_auto (GStrv) keywords = db_database_config_list_keywords ();

  g_assert_cmpuint (g_strv_length (keywords), >, 20);
  for (char **keyword = keywords; *keyword != NULL; keyword++)
    {
      g_autofree char *unknown = g_strconcat (*keyword, "x", NULL);
      g_autofree char *uri = g_strdup_printf ("postgresql://anna:" SECRET "@h/shop?%s=1", unknown);
      g_autofree char *key = g_strdup_printf ("key %s of group [db]", *keyword);
      g_autofree char *unknown_key = g_strdup_printf ("key %s of group [db]", unknown);
      g_autoptr (GKeyFile) key_file = make_group (*keyword, "", TRUE);
      g_autoptr (GKeyFile) other = make_group (unknown, SECRET, TRUE);
      GError *error = NULL;

      g_assert_null (db_database_config_new_from_key_file (key_file, "db", &error));
      config_assert_refused (g_steal_pointer (&error), key, "empty", NULL);
      g_assert_null (db_database_config_new_from_key_file (other, "db", &error));
      config_assert_refused (g_steal_pointer (&error), unknown_key, NULL);
      g_assert_null (db_database_config_new_from_uri (uri, &error));
      config_assert_refused (g_steal_pointer (&error), unknown, NULL);
    }
}
#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/config-fields/pool/texts", test_pool_texts);
  g_test_add_func ("/config-fields/pool/queries", test_pool_queries);
  g_test_add_func ("/config-fields/pool/names", test_pool_names);
  g_test_add_func ("/config-fields/pool/values", test_pool_values);
  g_test_add_func ("/config-fields/pool/property-texts", test_pool_property_texts);
  g_test_add_func ("/config-fields/properties", test_properties);
  g_test_add_func ("/config-fields/database/texts", test_database_texts);
  g_test_add_func ("/config-fields/database/values", test_database_values);
#ifdef HAVE_POSTGRES
  g_test_add_func ("/config-fields/database/keywords", test_database_keywords);
#endif

  return g_test_run ();
}
