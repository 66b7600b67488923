/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the tests of the SQLite backend share. They work on sessions, without a pool. */

#pragma once

#include <glib/gstdio.h>

#include "db-error-private.h"
#include "db-session-private.h"
#include "db-sqlite-manager.h"
#include "db-sqlite-session-private.h"
#include "db-statement-plan-private.h"

/* A folder of its own for each test. */
typedef struct
{
  char *folder;
  char *file;
} Fixture;

static inline void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  fixture->folder = g_dir_make_tmp ("dbpool-sqlite-XXXXXX", &error);
  g_assert_no_error (error);
  fixture->file = g_build_filename (fixture->folder, "test.db", NULL);
}

static inline void
remove_tree (const char *folder)
{
  GDir *dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      if (g_file_test (path, G_FILE_TEST_IS_DIR) && !g_file_test (path, G_FILE_TEST_IS_SYMLINK))
        remove_tree (path);
      else
        g_unlink (path);
    }
  g_clear_pointer (&dir, g_dir_close);
  g_rmdir (folder);
}

static inline void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  remove_tree (fixture->folder);
  g_free (fixture->folder);
  g_free (fixture->file);
}

static inline DbSession *
open_session (DbSqliteManager *manager)
{
  g_autoptr (GError) error = NULL;
  DbSession *session =
    db_connection_manager_open_session (DB_CONNECTION_MANAGER (manager), NULL, &error);

  g_assert_no_error (error);
  g_assert_true (DB_IS_SESSION (session));
  return session;
}

static inline void
close_session (DbSqliteManager *manager, DbSession *session)
{
  db_connection_manager_close_session (DB_CONNECTION_MANAGER (manager), session);
  g_object_unref (session);
}

static inline DbResult *
try_run_full (DbSession *session,
              const char *sql,
              DbParams *params,
              DbStatementFlags flags,
              gint64 timeout,
              GCancellable *cancellable,
              GError **error)
{
  DbStatementPlan plan = {.sql = sql, .params = params, .flags = flags, .timeout = timeout};

  return db_session_run (session, &plan, cancellable, error);
}

static inline DbResult *
try_run (DbSession *session, const char *sql, GError **error)
{
  return try_run_full (session, sql, NULL, DB_STATEMENT_NONE, 0, NULL, error);
}

static inline DbResult *
run_params (DbSession *session, const char *sql, DbParams *params)
{
  g_autoptr (GError) error = NULL;
  DbResult *result = try_run_full (session, sql, params, DB_STATEMENT_NONE, 0, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (result);
  return result;
}

static inline void
run (DbSession *session, const char *sql)
{
  g_object_unref (run_params (session, sql, NULL));
}

static inline gint64
run_int64 (DbSession *session, const char *sql)
{
  g_autoptr (DbResult) result = run_params (session, sql, NULL);

  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  return db_result_get_int64 (result, 0, 0);
}

static inline char *
run_text (DbSession *session, const char *sql)
{
  g_autoptr (DbResult) result = run_params (session, sql, NULL);

  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  return g_strdup (db_result_get_text (result, 0, 0));
}

/* @part: what the text has to contain. */
static inline void
assert_fails (DbSession *session, const char *sql, int code, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = try_run (session, sql, &error);

  g_assert_error (error, DB_ERROR, code);
  g_assert_null (result);
  if (strstr (error->message, part) == NULL)
    g_error ("\"%s\" does not contain \"%s\"", error->message, part);
}

/* A request that runs on a thread of its own. */
typedef struct
{
  DbSession *session;
  DbStatementPlan plan;
  GCancellable *cancellable;
  GThread *thread;

  DbResult *result;
  GError *error;
  gint64 ended;
} RequestJob;

static inline gpointer
request_thread (gpointer data)
{
  RequestJob *job = data;

  job->result = db_session_run (job->session, &job->plan, job->cancellable, &job->error);
  job->ended = g_get_monotonic_time ();
  return NULL;
}

static inline void
start_request (RequestJob *job)
{
  job->thread = g_thread_new ("request", request_thread, job);
}

/* Stops it as soon as it runs; how long it took to end from then on. */
static inline gint64
stop_request (RequestJob *job)
{
  gint64 begin;

  if (job->cancellable != NULL)
    {
      g_cancellable_cancel (job->cancellable);
      begin = g_get_monotonic_time ();
    }
  else
    {
      while (!db_session_cancel (job->session))
        g_usleep (100);
      begin = g_get_monotonic_time ();
    }
  g_thread_join (job->thread);
  return job->ended - begin;
}

/* Until somebody stands in the queue of those that write, behind another one. */
static inline void
wait_for_writer_in_queue (DbSession *holder)
{
  for (;;)
    {
      g_autofree char *text = db_sqlite_token_describe_holder (DB_SQLITE_SESSION (holder)->token);

      if (text != NULL && strstr (text, "; 1 more wait") != NULL)
        return;
      g_usleep (100);
    }
}

/* Runs for minutes if nobody stops it. */
#define ENDLESS_QUERY                                                                              \
  "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "                              \
  "SELECT count(*) FROM c WHERE x < 0"

/* A generous bound for "at once" on a loaded machine. */
#define AT_ONCE G_USEC_PER_SEC

/* The three kinds of databases, as data of a test. */
static inline DbSqliteManager *
new_manager_of (Fixture *fixture, const char *kind, gint64 busy_timeout)
{
  DbSqliteManager *manager =
    db_sqlite_manager_new (strcmp (kind, "memory") == 0 ? ":memory:" : fixture->file);

  if (strcmp (kind, "memory") != 0)
    g_object_set (manager, "journal-mode", kind, NULL);
  g_object_set (manager, "busy-timeout", busy_timeout, NULL);
  return manager;
}

#define assert_contains(text, part)                                                                \
  G_STMT_START                                                                                     \
  {                                                                                                \
    if (strstr ((text), (part)) == NULL)                                                           \
      g_error ("%s:%d: \"%s\" does not contain \"%s\"", __FILE__, __LINE__, (text), (part));       \
  }                                                                                                \
  G_STMT_END
