/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a session says of statements: the details of errors, descriptions, quoted text; and how it
 * gets over prepared statements that tables have changed under. */

#include "postgres-fixture.h"

#include "db-error.h"
#include "db-postgres-session-private.h"

#include <string.h>
#include <unistd.h>

typedef struct
{
  DbConnectionManager *manager;
  DbSession *session;
  DbStatementCounters *counters;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->manager = fixture_manager_new (NULL);
  fixture->session = fixture_open (fixture->manager);
  fixture->counters = g_atomic_rc_box_new0 (DbStatementCounters);
  db_session_set_statement_counters (fixture->session, fixture->counters);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  fixture_close (fixture->manager, fixture->session);
  g_assert_finalize_object (fixture->manager);
  g_atomic_rc_box_release (fixture->counters);
}

static DbErrorInfo *
fail (Fixture *fixture, const char *sql, GError **error)
{
  DbErrorInfo *info;

  g_assert_null (fixture_try (fixture->session, sql, NULL, error));
  info = db_session_steal_error_info (fixture->session);
  g_assert_nonnull (info);
  return info;
}

static void
test_fields (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbErrorInfo) unique = NULL;
  g_autoptr (DbErrorInfo) null = NULL;

  fixture_execute (fixture->session, "CREATE TABLE t (i int CONSTRAINT one_each UNIQUE, "
                                     "s text NOT NULL)");
  fixture_execute (fixture->session, "INSERT INTO t VALUES (4711, 'secret')");
  unique = fail (fixture, "INSERT INTO t VALUES (4711, 'secret')", &error);
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_assert_cmpstr (db_error_info_get_sqlstate (unique), ==, "23505");
  g_assert_cmpstr (db_error_info_get_severity (unique), ==, "ERROR");
  g_assert_cmpstr (db_error_info_get_schema (unique), ==, "public");
  g_assert_cmpstr (db_error_info_get_table (unique), ==, "t");
  g_assert_cmpstr (db_error_info_get_constraint (unique), ==, "one_each");
  g_assert_nonnull (strstr (db_error_info_get_detail (unique), "4711"));
  g_assert_nonnull (strstr (error->message, db_error_info_get_message (unique)));
  g_assert_null (strstr (error->message, "4711"));
  g_assert_cmpuint (db_error_info_get_position (unique), ==, 0);
  g_clear_error (&error);

  null = fail (fixture, "INSERT INTO t VALUES (1)", &error);
  g_assert_cmpstr (db_error_info_get_column (null), ==, "s");
  g_assert_null (strstr (error->message, "null, "));
  fixture_execute (fixture->session, "DROP TABLE t");
}

static void
test_more_fields (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbErrorInfo) place = fail (fixture, "SELECT 'ä', nothing", NULL);
  g_autoptr (DbErrorInfo) hint = fail (fixture, "SELECT no_function (1)", NULL);
  g_autoptr (DbErrorInfo) domain = NULL;
  g_autoptr (DbErrorInfo) context = NULL;

  g_assert_cmpuint (db_error_info_get_position (place), ==, 13); /* characters, not bytes */
  g_assert_nonnull (db_error_info_get_hint (hint));
  g_assert_null (db_error_info_get_detail (hint));
  fixture_execute (fixture->session, "CREATE DOMAIN positive AS int CHECK (VALUE > 0)");
  domain = fail (fixture, "SELECT (-1)::positive", NULL);
  g_assert_cmpstr (db_error_info_get_data_type (domain), ==, "positive");
  fixture_execute (fixture->session, "DROP DOMAIN positive");
  context = fail (fixture, "DO $$ BEGIN PERFORM 1/0; END $$", NULL);
  g_assert_nonnull (strstr (db_error_info_get_context (context), "PL/pgSQL"));
  g_assert_null (db_session_steal_error_info (fixture->session));
}

static DbDescription *
describe (Fixture *fixture, const char *sql, GError **error)
{
  DbStatementPlan plan = {sql, NULL, DB_STATEMENT_NONE, 0};
  g_autoptr (DbDescription) description = db_description_new ();
  g_autoptr (DbResult) result = NULL;

  plan.request = DB_REQUEST_DESCRIBE;
  plan.description = description;
  result = db_session_run (fixture->session, &plan, NULL, error);
  return result != NULL ? g_steal_pointer (&description) : NULL;
}

static void
assert_column (DbDescription *description,
               guint i,
               const char *name,
               DbValueType type,
               const char *type_name)
{
  g_assert_cmpstr (db_description_get_column_name (description, i), ==, name);
  g_assert_cmpint (db_description_get_column_type (description, i), ==, type);
  g_assert_cmpstr (db_description_get_column_type_name (description, i), ==, type_name);
}

static void
test_describe (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbDescription) all = NULL;
  g_autoptr (DbDescription) none = NULL;

  fixture_execute (fixture->session, "CREATE TEMP TABLE t (a int, b numeric(10,2), "
                                     "c varchar(20)[], d timestamptz(3))");
  fixture_execute (fixture->session, "BEGIN");
  db_session_clear_dirty (fixture->session);
  for (guint i = 0; i < 3; i++)
    {
      g_clear_pointer (&all, db_description_free);
      all =
        describe (fixture, "SELECT a, b, c, d, NULL AS e FROM t WHERE a = $2 AND d < $1", &error);
      g_assert_no_error (error);
    }
  g_assert_cmpuint (db_description_get_n_params (all), ==, 2);
  g_assert_cmpint (db_description_get_param_type (all, 0), ==, DB_VALUE_TYPE_TIMESTAMP_TZ);
  g_assert_cmpstr (db_description_get_param_type_name (all, 0), ==, "timestamp with time zone");
  g_assert_cmpstr (db_description_get_param_type_name (all, 1), ==, "integer");
  g_assert_cmpuint (db_description_get_n_columns (all), ==, 5);
  assert_column (all, 0, "a", DB_VALUE_TYPE_INT64, "integer");
  assert_column (all, 1, "b", DB_VALUE_TYPE_DECIMAL, "numeric(10,2)");
  assert_column (all, 2, "c", DB_VALUE_TYPE_ARRAY, "character varying(20)[]");
  assert_column (all, 3, "d", DB_VALUE_TYPE_TIMESTAMP_TZ, "timestamp(3) with time zone");
  assert_column (all, 4, "e", DB_VALUE_TYPE_TEXT, "text");
  none = describe (fixture, "CREATE TABLE t2 (i int)", &error);
  g_assert_cmpuint (db_description_get_n_params (none), ==, 0);
  g_assert_cmpuint (db_description_get_n_columns (none), ==, 0);
  g_assert_false (db_session_is_dirty (fixture->session));
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IN_TRANSACTION);
  g_assert_cmpint (fixture_int64 (fixture->session, "SELECT count(*) FROM pg_prepared_statements "
                                                    "WHERE statement LIKE '%WHERE a = $2%'"),
                   ==, 0);
  fixture_execute (fixture->session, "ROLLBACK");
}

static void
test_describe_errors (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *sql;
    int code;
  } statements[] = {
    {"", DB_ERROR_QUERY},
    {" ; -- nothing", DB_ERROR_QUERY},
    {"SELECT 1; SELECT 2", DB_ERROR_QUERY},
    {"SELECT * FROM nowhere", DB_ERROR_QUERY},
    {"COPY pg_class TO STDOUT", DB_ERROR_NOT_SUPPORTED},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (statements); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (describe (fixture, statements[i].sql, &error));
      g_assert_error (error, DB_ERROR, statements[i].code);
      g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IDLE);
      fixture_assert_text (fixture->session, "SELECT 'fine'", "fine");
    }
}

static DbResult *
run_int (Fixture *fixture, const char *sql, gint64 value, GError **error)
{
  return fixture_try (fixture->session, sql, g_variant_new ("(x)", value), error);
}

static DbResult *
run_text (Fixture *fixture, const char *sql, const char *value, GError **error)
{
  return fixture_try (fixture->session, sql, g_variant_new ("(s)", value), error);
}

/* What was prepared for a column of another type works all the same. */
static void
test_heals (Fixture *fixture, gconstpointer data)
{
  const char *insert = "INSERT INTO t VALUES ($1)";
  const char *find = "SELECT count(*) FROM t WHERE i = $1";
  g_autoptr (GError) error = NULL;

  fixture_execute (fixture->session, "CREATE TEMP TABLE t (i int)");
  for (gint64 i = 0; i < 3; i++)
    {
      g_object_unref (run_int (fixture, insert, i, NULL));
      g_object_unref (run_int (fixture, find, i, NULL));
    }
  g_assert_null (run_int (fixture, insert, G_MAXINT64, &error));
  g_assert_cmpstr (db_error_get_sqlstate (error), ==, "22003"); /* a fresh look found the same */
  g_clear_error (&error);
  for (guint i = 0; i < 3; i++)
    g_object_unref (run_int (fixture, insert, i, NULL));

  fixture_execute (fixture->session, "ALTER TABLE t ALTER i TYPE bigint");
  g_object_unref (run_int (fixture, insert, G_MAXINT64, &error));
  g_assert_no_error (error);
  for (guint i = 0; i < 3; i++)
    g_object_unref (run_int (fixture, insert, i, NULL));

  fixture_execute (fixture->session, "ALTER TABLE t ALTER i TYPE text");
  for (guint i = 0; i < 3; i++)
    {
      g_object_unref (run_text (fixture, insert, "word", &error));
      g_assert_no_error (error);
      g_object_unref (run_text (fixture, find, "word", &error));
      g_assert_no_error (error);
    }
  g_assert_null (db_session_steal_error_info (fixture->session));
}

/* In a transaction it cannot be healed, but after it. */
static void
test_heals_not (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  fixture_execute (fixture->session, "CREATE TEMP TABLE t (i int)");
  for (guint i = 0; i < 3; i++)
    g_object_unref (run_int (fixture, "SELECT count(*) FROM t WHERE i = $1", i, NULL));
  fixture_execute (fixture->session, "ALTER TABLE t ALTER i TYPE text");
  fixture_execute (fixture->session, "BEGIN");
  g_assert_null (run_text (fixture, "SELECT count(*) FROM t WHERE i = $1", "word", &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TYPE);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_FAILED_TRANSACTION);
  fixture_execute (fixture->session, "ROLLBACK");
  g_object_unref (run_text (fixture, "SELECT count(*) FROM t WHERE i = $1", "word", NULL));
}

static void
assert_quoted (Fixture *fixture, const char *text)
{
  g_autofree char *quoted = db_session_quote_literal (fixture->session, text);
  char *by_libpq =
    PQescapeLiteral (DB_POSTGRES_SESSION (fixture->session)->conn, text, strlen (text));
  g_autofree char *sql = g_strconcat ("SELECT", quoted, NULL);

  g_assert_cmpstr (quoted, ==, by_libpq);
  PQfreemem (by_libpq);
  fixture_assert_text (fixture->session, sql, text);
}

static void
test_quote (Fixture *fixture, gconstpointer data)
{
  static const char *const texts[] = {"",     "plain",  "'",          "''",    "\\",      "\\'",
                                      "'\\",  "\\\\''", "a\nb\tc",    "$$",    "$1",      "E'",
                                      "; --", "/*",     "ä € 😀 \\ '", "\"x\"", "\\x00ff", "%s"};

  for (guint round = 0; round < 2; round++)
    {
      for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
        assert_quoted (fixture, texts[i]);
      fixture_execute (fixture->session, "SET backslash_quote = on");
      fixture_execute (fixture->session, "SET escape_string_warning = off");
      fixture_execute (fixture->session, "SET standard_conforming_strings = off");
    }
}

static gint64
count_prepared (Fixture *fixture)
{
  DbStatementPlan plan = {"SELECT count(*) FROM pg_prepared_statements", NULL,
                          DB_STATEMENT_UNCACHED, 0};
  g_autoptr (DbResult) result = db_session_run (fixture->session, &plan, NULL, NULL);

  return db_result_get_int64 (result, 0, 0);
}

static void
use (Fixture *fixture, guint n_texts, guint n_times)
{
  for (guint i = 0; i < n_texts; i++)
    {
      g_autofree char *sql = g_strdup_printf ("SELECT %u", i);

      for (guint j = 0; j < n_times; j++)
        fixture_execute (fixture->session, sql);
    }
}

static void
test_cache_size (Fixture *fixture, gconstpointer data)
{
  use (fixture, 20, 2);
  g_assert_cmpint (count_prepared (fixture), ==, 20);
  db_session_set_statement_cache (fixture->session, 5);
  use (fixture, 30, 2); /* those that fell out are deallocated as others are prepared */
  g_assert_cmpint (count_prepared (fixture), <=, 21);
  db_session_set_statement_cache (fixture->session, 0);
  use (fixture, 20, 3);
  db_session_set_statement_cache (fixture->session, 100);
  use (fixture, 20, 3);
  g_assert_cmpint (count_prepared (fixture), ==, 20);
  use (fixture, 20, 1);
}

static void
test_counters (Fixture *fixture, gconstpointer data)
{
  use (fixture, 1, 5); /* sent, prepared, and found three times */
  g_assert_cmpuint (fixture->counters->misses, ==, 2);
  g_assert_cmpuint (fixture->counters->hits, ==, 3);
  fixture_execute (fixture->session, "SHOW geqo");
  fixture_execute (fixture->session, "BEGIN");
  fixture_execute (fixture->session, "COMMIT");
  g_assert_cmpint (count_prepared (fixture), ==, 1);
  db_session_set_statement_cache (fixture->session, 0);
  use (fixture, 1, 5);
  g_assert_cmpuint (fixture->counters->misses, ==, 2);
  g_assert_cmpuint (fixture->counters->hits, ==, 3);
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *name;
    void (*test) (Fixture *fixture, gconstpointer data);
  } tests[] = {
    {"fields", test_fields},     {"more-fields", test_more_fields},
    {"describe", test_describe}, {"describe-errors", test_describe_errors},
    {"heals", test_heals},       {"heals-not", test_heals_not},
    {"quote", test_quote},       {"cache-size", test_cache_size},
    {"counters", test_counters},
  };

  g_test_init (&argc, &argv, NULL);
  alarm (120);
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/postgres/errors/", tests[i].name, NULL);

      g_test_add (path, Fixture, NULL, set_up, tests[i].test, tear_down);
    }
  return g_test_run ();
}
