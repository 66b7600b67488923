/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Configurations as text. URIs: of PostgreSQL, of SQLite, whatever else, and the settings of a pool
 * in their queries; key files; durations. A password is in no error and no description, wherever it
 * stood, and what is written is read again. */

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
      if (g_utf8_validate (text, -1, NULL))
        fuzz_check_error (error);
      return;
    }
  g_assert_cmpint (duration, >=, 0);
  again = db_format_duration (duration);
  g_assert_true (db_parse_duration (again, &second, NULL));
  g_assert_cmpint (second, ==, duration);
}

/* Written, read and written again. */
static void
check_database_round_trip (DbDatabaseConfig *config)
{
  g_autoptr (GKeyFile) key_file = g_key_file_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DbDatabaseConfig) again = NULL;
  g_autofree char *text = db_database_config_to_string (config);
  g_autofree char *text_again = NULL;
  g_autofree char *data = NULL;

  g_key_file_set_comment (key_file, NULL, NULL, "so that there is a group", NULL);
  g_key_file_set_string (key_file, "db", "lazy", "true");
  db_database_config_to_key_file (config, key_file, "db");
  data = g_key_file_to_data (key_file, NULL, NULL);
  g_assert_null (strstr (data, SECRET));
  again = db_database_config_new_from_key_file (key_file, "db", &error);
  g_assert_no_error (error);
  text_again = db_database_config_to_string (again);
  g_assert_cmpstr (text_again, ==, text);
}

static void
check_pool_round_trip (DbPoolConfig *config)
{
  g_autoptr (GKeyFile) first = g_key_file_new ();
  g_autoptr (GKeyFile) second = g_key_file_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DbPoolConfig) again = NULL;
  g_autofree char *text = NULL;
  g_autofree char *text_again = NULL;

  g_key_file_set_string (first, "db", "host", "h");
  g_key_file_set_string (second, "db", "host", "h");
  db_pool_config_to_key_file (config, first, "db");
  again = db_pool_config_new_from_key_file (first, "db", &error);
  g_assert_no_error (error);
  db_pool_config_to_key_file (again, second, "db");
  text = g_key_file_to_data (first, NULL, NULL);
  text_again = g_key_file_to_data (second, NULL, NULL);
  g_assert_cmpstr (text_again, ==, text);
}

/* A group of a key file, for the database and for the pool. Its password is a known one, and what
 * could be read from a descriptor is left out. */
static void
check_key_file (const char *lines)
{
  g_autoptr (GKeyFile) key_file = g_key_file_new ();
  g_autoptr (DbDatabaseConfig) database = NULL;
  g_autoptr (DbPoolConfig) pool = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = g_strconcat ("[db]\n", lines, NULL);
  g_autofree char *described = NULL;

  if (!g_key_file_load_from_data (key_file, text, -1, G_KEY_FILE_NONE, NULL) ||
      strstr (text, SECRET) != NULL)
    return;
  g_key_file_remove_key (key_file, "db", "password-fd", NULL);
  g_key_file_set_string (key_file, "db", "password", SECRET);
  database = db_database_config_new_from_key_file (key_file, "db", &error);
  if (database == NULL)
    {
      fuzz_check_error (error);
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      g_assert_null (strstr (error->message, SECRET));
      g_clear_error (&error);
    }
  else
    {
      described = db_database_config_to_string (database);
      g_assert_null (strstr (described, SECRET));
      check_database_round_trip (database);
    }
  pool = db_pool_config_new_from_key_file (key_file, "db", &error);
  if (pool != NULL)
    check_pool_round_trip (pool);
  else
    {
      fuzz_check_error (error);
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
    }
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

  switch (what % 7)
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
    case 5:
      check_key_file (text);
      break;
    default:
      check_duration (text);
    }
  return 0;
}
