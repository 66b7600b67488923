/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Statements: any text, run in every way on a session of SQLite in memory, which has to be as good
 * as new after a reset; and the scanners that look at statements before a database does. */

#include "config.h"

#include "db-batch-private.h"
#include "db-description-private.h"
#include "db-error.h"
#include "db-fingerprint-private.h"
#include "db-session-private.h"
#include "db-sqlite-manager.h"
#include "db-sqlite-session-private.h"
#include "db-statement-plan-private.h"
#include "fuzz.h"
#ifdef HAVE_POSTGRES
#include "db-postgres-sql-private.h"
#endif

#define TIMEOUT (50 * G_TIME_SPAN_MILLISECOND)

static void
check_fingerprint (const char *sql)
{
  g_autofree char *fingerprint = db_sql_fingerprint (sql);
  g_autofree char *line = db_text_to_line (sql);

  g_assert_true (g_utf8_validate (fingerprint, -1, NULL));
  g_assert_true (g_utf8_validate (line, -1, NULL));
  g_assert_cmpuint (strlen (fingerprint), <=, DB_FINGERPRINT_LENGTH + strlen ("…"));
  g_assert_null (strpbrk (fingerprint, "\n\r\t"));
  g_assert_null (strpbrk (line, "\n\r\t"));
}

static void
check_scanners (const char *sql)
{
  const char *rest = db_sqlite_skip_blank (sql);

  g_assert_true (rest >= sql && rest <= sql + strlen (sql));
#ifdef HAVE_POSTGRES
  if (db_postgres_sql_begins_with (sql, "select"))
    g_assert_true (db_postgres_sql_is_preparable (sql));
  if (db_postgres_sql_is_empty (sql))
    g_assert_false (db_postgres_sql_is_preparable (sql));
  /* no cursor can be declared for what writes */
  if (db_postgres_sql_is_declarable (sql) && db_postgres_sql_begins_with (sql, "WITH"))
    g_assert_false (db_postgres_sql_has_word (sql, "INSERT"));
#endif
}

/* What comes of it is a result or an error. TRUE for a result. */
static gboolean
run (DbSession *session, DbStatementPlan *plan)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = NULL;
  g_autoptr (DbErrorInfo) info = NULL;

  result = db_session_run (session, plan, NULL, &error);
  info = db_session_steal_error_info (session);
  if (result != NULL)
    g_assert_no_error (error);
  else
    {
      fuzz_check_error (error);
      g_assert_true (error->domain == DB_ERROR || error->domain == G_IO_ERROR);
    }
  return result != NULL;
}

static void
run_stream (DbSession *session, DbStatementPlan *plan, guint n)
{
  DbStream stream = {0};

  plan->stream = &stream;
  plan->request = DB_REQUEST_OPEN;
  if (!run (session, plan))
    return;
  plan->request = DB_REQUEST_FETCH;
  plan->n_rows = 3;
  while (stream.data != NULL && n-- > 0)
    if (!run (session, plan))
      break;
  plan->request = DB_REQUEST_CLOSE;
  if (stream.data != NULL)
    run (session, plan);
}

static void
run_batch (DbSession *session, DbStatementPlan *plan, const char *sql, DbBatchFlags flags)
{
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_auto (GStrv) statements = g_strsplit (sql, ";", 20);
  g_autoptr (GError) error = NULL;
  DbBatchRun batch_run;

  for (guint i = 0; statements[i] != NULL; i++)
    db_batch_add (batch, statements[i], NULL);
  if (!db_batch_run_init (&batch_run, batch, flags, &error))
    {
      fuzz_check_error (error);
      return;
    }
  plan->request = DB_REQUEST_BATCH;
  plan->batch = &batch_run;
  run (session, plan);
  db_batch_run_clear (&batch_run);
}

static void
run_in_some_way (DbSession *session, guint8 how, const char *sql)
{
  DbStatementPlan plan = {.sql = sql, .timeout = TIMEOUT};
  g_autoptr (DbDescription) description = NULL;

  switch (how % 6)
    {
    case 0:
      run (session, &plan);
      run (session, &plan); /* which finds it in the cache */
      break;
    case 1:
      plan.flags = DB_STATEMENT_SCRIPT;
      run (session, &plan);
      break;
    case 2:
      plan.request = DB_REQUEST_DESCRIBE;
      plan.description = description = db_description_new ();
      run (session, &plan);
      break;
    case 3:
      run_batch (session, &plan, sql, DB_BATCH_NONE);
      break;
    case 4:
      run_batch (session, &plan, sql, DB_BATCH_INDEPENDENT);
      break;
    default:
      run_stream (session, &plan, how % 3);
    }
}

/* Nothing leaves memory: no ATTACH, and so no VACUUM INTO; no large values. */
static DbSession *
open_session (DbConnectionManager *manager)
{
  DbSession *session = db_connection_manager_open_session (manager, NULL, NULL);
  sqlite3 *db = db_sqlite_session_get_db (DB_SQLITE_SESSION (session));
  DbStatementPlan plan = {
    .sql = "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE, c NOT NULL DEFAULT 1);"
           "INSERT INTO t (b) VALUES ('x'), ('y'), (NULL)",
    .flags = DB_STATEMENT_SCRIPT,
  };

  sqlite3_limit (db, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit (db, SQLITE_LIMIT_LENGTH, 100000);
  g_assert_true (run (session, &plan));
  return session;
}

/* As good as new, whatever was run; or broken, and then it says so. */
static void
check_reset (DbConnectionManager *manager, DbSession *session)
{
  DbStatementPlan plan = {.sql = "SELECT 1"};
  g_autoptr (GError) error = NULL;

  if (!db_connection_manager_reset_session (manager, session, DB_RESET_CLEAN, NULL, &error))
    {
      fuzz_check_error (error);
      return;
    }
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
  g_assert_true (run (session, &plan));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (DbSqliteManager) manager = NULL;
  FuzzInput input = {data, size};
  guint8 how = fuzz_take_byte (&input);
  g_autofree char *sql = fuzz_take_rest (&input);
  DbSession *session;

  check_fingerprint (sql);
  check_scanners (sql);
  if (!g_utf8_validate (sql, -1, NULL))
    return 0;
  sqlite3_hard_heap_limit64 (64 << 20);
  manager = db_sqlite_manager_new (":memory:");
  session = open_session (DB_CONNECTION_MANAGER (manager));
  run_in_some_way (session, how, sql);
  check_reset (DB_CONNECTION_MANAGER (manager), session);
  db_connection_manager_close_session (DB_CONNECTION_MANAGER (manager), session);
  g_object_unref (session);
  return 0;
}
