/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Key files: any lines, as a group that describes a database and its pool. A password is in no
 * error and no description, and what is written is read again. */

#include "config.h"

#include "db-database-config-private.h"
#include "db-error.h"
#include "db-pool-config-private.h"
#include "fuzz.h"

#define SECRET "sw0rdf1sh"

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

/* A group, for the database and for the pool. Its password is a known one, and what
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
  if (!g_key_file_has_key (key_file, "db", "password-file", NULL))
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

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  FuzzInput input = {data, size};
  g_autofree char *lines = fuzz_take_rest (&input);

  check_key_file (lines);
  return 0;
}
