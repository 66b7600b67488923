/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* URIs: of PostgreSQL, of SQLite, whatever else, and the settings of a pool in their queries; and
 * durations. A password is in no error and no description, wherever it stood. */

#include "config.h"

#include "db-database-config-private.h"
#include "db-error.h"
#include "db-pool-config-private.h"
#include "db-pool-factory.h"
#include "fuzz.h"

#define SECRET "sw0rdf1sh"

static void
check_database_uri (const char *uri)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbDatabaseConfig) config = db_database_config_new_from_uri (uri, &error);
  g_autoptr (DbDatabaseConfig) copy = NULL;
  g_autoptr (DbConninfo) conninfo = NULL;
  g_autofree char *text = NULL;
  g_autofree char *short_text = NULL;

  if (config == NULL)
    {
      fuzz_check_error (error);
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      return;
    }
  g_assert_no_error (error);
  text = db_database_config_to_string (config);
  short_text = db_database_config_describe (config);
  g_assert_true (g_utf8_validate (text, -1, NULL));
  g_assert_true (g_utf8_validate (short_text, -1, NULL));
  copy = db_database_config_copy (config);
  conninfo = db_database_config_to_conninfo (copy);
  g_assert_cmpuint (g_strv_length (conninfo->keywords), ==, g_strv_length (conninfo->values));
  for (char **keyword = conninfo->keywords; *keyword != NULL; keyword++)
    g_assert_false (g_str_has_prefix (*keyword, "pool_"));
}

/* The same with a password in it. */
static void
check_secret (const char *rest)
{
  g_autofree char *uri = g_strconcat ("postgresql://anna:" SECRET "@", rest, NULL);
  g_autoptr (DbDatabaseConfig) config = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  g_autofree char *short_text = NULL;

  if (strstr (rest, SECRET) != NULL)
    return;
  config = db_database_config_new_from_uri (uri, &error);
  if (config == NULL)
    {
      fuzz_check_error (error);
      g_assert_null (strstr (error->message, SECRET));
      return;
    }
  text = db_database_config_to_string (config);
  short_text = db_database_config_describe (config);
  g_assert_null (strstr (text, SECRET));
  g_assert_null (strstr (short_text, SECRET));
}

static void
check_query (const char *query)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbPoolConfig) config = db_pool_config_new_from_uri_query (query, &error);
  g_autoptr (DbPoolConfig) copy = NULL;
  g_autoptr (GError) problem = NULL;
  DbPoolSettings settings;

  if (config == NULL)
    {
      fuzz_check_error (error);
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      return;
    }
  copy = db_pool_config_copy (config);
  db_pool_config_get_settings (copy, &settings);
  g_assert_cmpuint (settings.max_connections, >=, 1);
  g_assert_cmpint (settings.connection_timeout, >=, 1);
  g_assert_cmpuint (settings.statement_cache_size, <=, 10000);
  if (!db_pool_config_validate (copy, &problem))
    fuzz_check_error (problem);
}

static void
check_duration (const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *again = NULL;
  gint64 duration, second;

  if (!db_parse_duration (text, &duration, &error))
    {
      fuzz_check_error (error);
      return;
    }
  g_assert_cmpint (duration, >=, 0);
  again = db_format_duration (duration);
  g_assert_true (db_parse_duration (again, &second, NULL));
  g_assert_cmpint (second, ==, duration);
}

/* Any scheme, also one that nobody knows. Nothing is opened. */
static void
check_manager (const char *uri)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DbConnectionManager) manager =
    db_pool_factory_create_manager (factory, uri, config, &error);
  g_autofree char *text = NULL;

  if (manager == NULL)
    {
      fuzz_check_error (error);
      return;
    }
  text = db_connection_manager_describe (manager);
  g_assert_true (g_utf8_validate (text, -1, NULL));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  FuzzInput input = {data, size};
  guint8 what = fuzz_take_byte (&input);
  g_autofree char *text = fuzz_take_rest (&input);
  g_autofree char *sqlite_uri = NULL;

  switch (what % 6)
    {
    case 0:
      check_database_uri (text);
      break;
    case 1:
      check_secret (text);
      break;
    case 2:
      check_query (text);
      break;
    case 3:
      sqlite_uri = g_strconcat ("sqlite:", text, NULL);
      check_manager (sqlite_uri);
      break;
    case 4:
      check_manager (text);
      break;
    default:
      check_duration (text);
    }
  return 0;
}
