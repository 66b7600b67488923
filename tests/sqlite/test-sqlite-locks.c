/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Waiting and not waiting: the write token, locks of others, cancellation, timeouts, many threads.
 */

#include "db-lock-private.h"
#include "sqlite-test-utils.h"

/* Runs for minutes if nobody stops it. */
#define ENDLESS                                                                                    \
  "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "                              \
  "SELECT count(*) FROM c WHERE x < 0"

/* A generous bound for "at once" on a loaded machine, well below every busy timeout used here. */
#define SOON G_USEC_PER_SEC

#define LONG_BUSY_TIMEOUT (60 * G_USEC_PER_SEC)

static DbSqliteManager *
new_manager (Fixture *fixture, gint64 busy_timeout)
{
  DbSqliteManager *manager = db_sqlite_manager_new (fixture->file);

  g_object_set (manager, "busy-timeout", busy_timeout, NULL);
  return manager;
}

static sqlite3 *
open_foreign_handle (Fixture *fixture, const char *sql)
{
  sqlite3 *db;

  g_assert_cmpint (sqlite3_open (fixture->file, &db), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
  return db;
}

typedef struct
{
  DbSession *session;
  const char *sql;
  gint64 timeout;
  GCancellable *cancellable;
  GThread *thread;

  DbResult *result;
  GError *error;
  gint64 ended;
  int *ended_jobs; /* atomic */
} RunJob;

static gpointer
run_thread (gpointer data)
{
  RunJob *job = data;

  job->result = try_run_full (job->session, job->sql, NULL, DB_STATEMENT_NONE, job->timeout,
                              job->cancellable, &job->error);
  job->ended = g_get_monotonic_time ();
  if (job->ended_jobs != NULL)
    g_atomic_int_inc (job->ended_jobs);
  return NULL;
}

static void
start_job (RunJob *job, DbSession *session, const char *sql)
{
  job->session = session;
  job->sql = sql;
  job->thread = g_thread_new ("run", run_thread, job);
}

static void
join_job (RunJob *job)
{
  g_thread_join (job->thread);
}

static void
clear_job (RunJob *job)
{
  g_clear_object (&job->result);
  g_clear_error (&job->error);
}

/* Until the holder of the token of the fixture's file has so many sessions behind it. */
static void
wait_for_queue (Fixture *fixture, guint length)
{
  g_autofree char *part = g_strdup_printf ("; %u more wait", length);
  g_autofree char *key = NULL;
  g_autoptr (DbSqliteToken) token = NULL;
  GStatBuf info;

  g_assert_cmpint (g_stat (fixture->file, &info), ==, 0);
  key = g_strdup_printf ("file:%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, (guint64) info.st_dev,
                         (guint64) info.st_ino);
  token = db_sqlite_token_get (key);
  for (;;)
    {
      g_autofree char *text = db_sqlite_token_describe_holder (token);

      if (text != NULL && strstr (text, part) != NULL)
        return;
      g_usleep (1000);
    }
}

static void
test_token_order (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, LONG_BUSY_TIMEOUT);
  g_autoptr (DbSqliteManager) second_manager = new_manager (fixture, LONG_BUSY_TIMEOUT);
  DbSession *holder = open_session (manager);
  RunJob jobs[6] = {0};
  int ended_jobs = 0;

  run (holder, "CREATE TABLE t (a INTEGER PRIMARY KEY, job)");
  run (holder, "BEGIN IMMEDIATE");
  for (int i = 0; i < 6; i++)
    {
      static const char *const sql[] = {"INSERT INTO t (job) VALUES (0)",
                                        "INSERT INTO t (job) VALUES (1)",
                                        "INSERT INTO t (job) VALUES (2)",
                                        "INSERT INTO t (job) VALUES (3)",
                                        "INSERT INTO t (job) VALUES (4)",
                                        "INSERT INTO t (job) VALUES (5)"};

      jobs[i].ended_jobs = &ended_jobs;
      start_job (&jobs[i], open_session (i % 2 ? second_manager : manager), sql[i]);
      wait_for_queue (fixture, (guint) i + 1);
    }
  g_assert_cmpint (g_atomic_int_get (&ended_jobs), ==, 0);
  run (holder, "COMMIT");
  for (int i = 0; i < 6; i++)
    {
      join_job (&jobs[i]);
      g_assert_no_error (jobs[i].error);
      g_assert_cmpint (db_result_get_last_insert_id (jobs[i].result), ==, i + 1);
      close_session (manager, jobs[i].session);
      clear_job (&jobs[i]);
    }
  close_session (manager, holder);
}

static void
test_token_timeout (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, 50 * 1000);
  DbSession *holder = open_session (manager);
  DbSession *other = open_session (manager);
  g_autoptr (GError) error = NULL;
  gint64 start;

  run (holder, "CREATE TABLE t (a)");
  run (holder, "BEGIN IMMEDIATE");
  start = g_get_monotonic_time ();
  assert_fails (other, "INSERT INTO t VALUES (1)", DB_ERROR_BUSY,
                "of this process has been writing");
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 50 * 1000);
  assert_fails (other, "BEGIN IMMEDIATE", DB_ERROR_BUSY, "(since its BEGIN IMMEDIATE)");
  g_assert_cmpint (db_session_get_state (other), ==, DB_SESSION_IDLE);

  /* The statement's own timeout is another matter. */
  g_assert_null (try_run_full (other, "INSERT INTO t VALUES (1)", NULL, DB_STATEMENT_NONE,
                               20 * 1000, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_contains (error->message, "of this process has been writing");

  /* Readers do not care. */
  g_assert_cmpint (run_int64 (other, "SELECT count(*) FROM t"), ==, 0);
  run (holder, "ROLLBACK");
  run (other, "INSERT INTO t VALUES (1)");
  close_session (manager, holder);
  close_session (manager, other);
}

static void
assert_described (DbSession *session, const char *part)
{
  g_autofree char *text = db_session_describe (session);

  if (part == NULL)
    g_assert_cmpstr (text, ==, NULL);
  else
    {
      g_assert_nonnull (text);
      assert_contains (text, part);
    }
}

/* A session says what it does with the write token, to whoever asks. */
static void
test_describe (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, LONG_BUSY_TIMEOUT);
  DbSession *holder = open_session (manager);
  DbSession *other = open_session (manager);
  RunJob job = {0};

  run (holder, "CREATE TABLE t (a)");
  assert_described (holder, NULL);
  run (holder, "BEGIN IMMEDIATE");
  assert_described (holder, "writes for 0.");
  assert_described (holder, "(since its BEGIN IMMEDIATE)");
  start_job (&job, other, "INSERT INTO t VALUES (1)");
  wait_for_queue (fixture, 1);
  assert_described (other, "waits for the write token for 0.");
  assert_described (holder, "(since its BEGIN IMMEDIATE)");
  run (holder, "COMMIT");
  join_job (&job);
  g_assert_no_error (job.error);
  clear_job (&job);
  assert_described (other, NULL);

  run (holder, "BEGIN");
  assert_described (holder, NULL);
  run (holder, "INSERT INTO t VALUES (2)");
  assert_described (holder, "(since its INSERT)");
  run (holder, "COMMIT");
  run (holder, "BEGIN EXCLUSIVE");
  assert_described (holder, "(since its BEGIN EXCLUSIVE)");
  close_session (manager, other);
  db_connection_manager_close_session (DB_CONNECTION_MANAGER (manager), holder);
  assert_described (holder, NULL);
  g_object_unref (holder);
}

static void
test_no_busy_timeout (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, 0);
  DbSession *holder = open_session (manager);
  DbSession *other = open_session (manager);
  sqlite3 *foreign;

  run (holder, "CREATE TABLE t (a)");
  run (holder, "BEGIN IMMEDIATE");
  assert_fails (other, "INSERT INTO t VALUES (1)", DB_ERROR_BUSY, "of this process");
  run (holder, "COMMIT");
  foreign = open_foreign_handle (fixture, "BEGIN IMMEDIATE");
  assert_fails (other, "INSERT INTO t VALUES (1)", DB_ERROR_BUSY, "another process");
  sqlite3_close (foreign);
  run (other, "INSERT INTO t VALUES (1)");
  close_session (manager, holder);
  close_session (manager, other);
}

typedef enum
{
  BY_CANCELLABLE,
  BY_SESSION,
} CancelWay;

static void
cancel_job (RunJob *job, CancelWay way)
{
  if (way == BY_CANCELLABLE)
    g_cancellable_cancel (job->cancellable);
  else
    while (!db_session_cancel (job->session))
      g_usleep (100); /* it has not begun yet */
}

static void
assert_cancelled_soon (RunJob *job, gint64 since)
{
  join_job (job);
  g_assert_error (job->error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (job->ended - since, <, SOON);
  g_test_message ("cancelled after %" G_GINT64_FORMAT " µs", job->ended - since);
  clear_job (job);
}

static void
test_cancel_token_wait (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, LONG_BUSY_TIMEOUT);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DbSession *holder = open_session (manager);
  DbSession *other = open_session (manager);
  RunJob job = {.cancellable = cancellable};
  gint64 start;

  run (holder, "CREATE TABLE t (a)");
  run (holder, "BEGIN IMMEDIATE");
  start_job (&job, other, "INSERT INTO t VALUES (1)");
  wait_for_queue (fixture, 1);
  start = g_get_monotonic_time ();
  cancel_job (&job, GPOINTER_TO_INT (data));
  assert_cancelled_soon (&job, start);
  run (holder, "COMMIT");
  g_assert_cmpint (run_int64 (other, "SELECT count(*) FROM t"), ==, 0);
  run (other, "INSERT INTO t VALUES (1)");
  close_session (manager, holder);
  close_session (manager, other);
}

static void
test_cancel_busy_wait (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, LONG_BUSY_TIMEOUT);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DbSession *session = open_session (manager);
  RunJob job = {.cancellable = cancellable};
  sqlite3 *foreign;
  gint64 start;

  run (session, "CREATE TABLE t (a)");
  foreign = open_foreign_handle (fixture, "BEGIN IMMEDIATE");
  start_job (&job, session, "INSERT INTO t VALUES (1)");
  /* Long enough for its waits to have reached their longest step; nothing depends on it. */
  g_usleep (150 * 1000);
  start = g_get_monotonic_time ();
  cancel_job (&job, GPOINTER_TO_INT (data));
  assert_cancelled_soon (&job, start);
  sqlite3_close (foreign);
  run (session, "INSERT INTO t VALUES (1)");
  close_session (manager, session);
}

static void
test_cancel_statement (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, LONG_BUSY_TIMEOUT);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DbSession *session = open_session (manager);
  RunJob job = {.cancellable = cancellable};
  gint64 start;

  run (session, "CREATE TABLE t (a)");
  run (session, "BEGIN IMMEDIATE");
  start_job (&job, session, ENDLESS);
  g_usleep (20 * 1000);
  start = g_get_monotonic_time ();
  cancel_job (&job, GPOINTER_TO_INT (data));
  assert_cancelled_soon (&job, start);
  g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IN_TRANSACTION);
  run (session, "COMMIT");

  /* One that was cancelled before does nothing. */
  if (GPOINTER_TO_INT (data) == BY_CANCELLABLE)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (try_run_full (session, "INSERT INTO t VALUES (1)", NULL, DB_STATEMENT_NONE, 0,
                                   cancellable, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
  g_assert_cmpint (run_int64 (session, "SELECT count(*) FROM t"), ==, 0);
  close_session (manager, session);
}

static void
test_statement_timeout (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, LONG_BUSY_TIMEOUT);
  DbSession *session = open_session (manager);
  g_autoptr (GError) error = NULL;
  gint64 start = g_get_monotonic_time ();

  g_assert_null (try_run_full (session, ENDLESS, NULL, DB_STATEMENT_NONE, 30 * 1000, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_contains (error->message, "0.030 s");
  g_assert_cmpint (g_get_monotonic_time () - start, <, SOON);
  g_assert_cmpint (run_int64 (session, "SELECT 1"), ==, 1);
  close_session (manager, session);
}

typedef struct
{
  DbLock lock;
  DbCond cond;
  DbSession *session;
  int round; /* asked for */
  int done;  /* answered */
} Canceller;

static gpointer
cancel_thread (gpointer data)
{
  Canceller *canceller = data;
  DB_LOCK_SCOPE (&canceller->lock);

  for (;;)
    {
      while (canceller->round == canceller->done)
        db_cond_wait (&canceller->cond, &canceller->lock);
      if (canceller->round < 0)
        return NULL;
      db_lock_unlock (&canceller->lock);
      db_session_cancel (canceller->session);
      db_lock_lock (&canceller->lock);
      canceller->done = canceller->round;
      db_cond_broadcast (&canceller->cond);
    }
}

/* Cancellations that race with the end of a statement hit that statement or nothing. */
static void
test_late_cancel (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, LONG_BUSY_TIMEOUT);
  Canceller canceller = {.session = open_session (manager)};
  GThread *thread;
  int n_cancelled = 0;

  db_lock_init (&canceller.lock);
  db_cond_init (&canceller.cond);
  thread = g_thread_new ("cancel", cancel_thread, &canceller);
  for (int i = 1; i <= 1000; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result = NULL;

      db_lock_lock (&canceller.lock);
      canceller.round = i;
      db_cond_broadcast (&canceller.cond);
      db_lock_unlock (&canceller.lock);
      result =
        try_run (canceller.session,
                 "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1500) "
                 "SELECT count(*) FROM c",
                 &error);
      if (result == NULL)
        {
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
          n_cancelled++;
        }
      db_lock_lock (&canceller.lock);
      while (canceller.done != i)
        db_cond_wait (&canceller.cond, &canceller.lock);
      db_lock_unlock (&canceller.lock);

      g_assert_cmpint (run_int64 (canceller.session,
                                  "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c "
                                  "LIMIT 1500) SELECT count(*) + 1 FROM c"),
                       ==, 1501);
      g_assert_false (db_session_cancel (canceller.session));
    }
  g_test_message ("%d of 1000 were cancelled", n_cancelled);
  db_lock_lock (&canceller.lock);
  canceller.round = -1;
  db_cond_broadcast (&canceller.cond);
  db_lock_unlock (&canceller.lock);
  g_thread_join (thread);
  close_session (manager, canceller.session);
  db_cond_clear (&canceller.cond);
  db_lock_clear (&canceller.lock);
}

static void
test_foreign_lock (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, LONG_BUSY_TIMEOUT);
  DbSession *session = open_session (manager);
  RunJob job = {0};
  sqlite3 *foreign;

  run (session, "CREATE TABLE t (a)");
  foreign = open_foreign_handle (fixture, "BEGIN IMMEDIATE");
  start_job (&job, session, "INSERT INTO t VALUES (1)");
  g_usleep (20 * 1000);
  g_assert_cmpint (sqlite3_exec (foreign, "COMMIT", NULL, NULL, NULL), ==, SQLITE_OK);
  join_job (&job);
  g_assert_no_error (job.error);
  clear_job (&job);
  sqlite3_close (foreign);
  close_session (manager, session);
}

/* A file that somebody has locked exclusively cannot even be opened: the open waits, then says so,
 * and may be tried again. */
static void
test_locked_open (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, 50 * 1000);
  g_autoptr (GError) error = NULL;
  sqlite3 *foreign =
    open_foreign_handle (fixture, "CREATE TABLE t (a); BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)");

  g_assert_null (
    db_connection_manager_open_session (DB_CONNECTION_MANAGER (manager), NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_BUSY);
  g_assert_true (db_error_is_transient (error));
  sqlite3_close (foreign);
  close_session (manager, open_session (manager));
}

static void
test_adopted_busy_timeout (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, LONG_BUSY_TIMEOUT);
  DbSession *session = open_session (manager);
  sqlite3 *foreign;
  gint64 start;

  run (session, "CREATE TABLE t (a)");
  foreign = open_foreign_handle (fixture, "BEGIN IMMEDIATE");
  run (session, "PRAGMA busy_timeout = 30");
  start = g_get_monotonic_time ();
  assert_fails (session, "INSERT INTO t VALUES (1)", DB_ERROR_BUSY, "0.030 s");
  run (session, "PRAGMA busy_timeout = 0");
  assert_fails (session, "INSERT INTO t VALUES (1)", DB_ERROR_BUSY, "0.000 s");

  /* The handle itself waits, too, when its borrower uses it. */
  run (session, "PRAGMA busy_timeout = 30");
  g_assert_cmpint (sqlite3_exec (db_sqlite_session_get_db (DB_SQLITE_SESSION (session)),
                                 "INSERT INTO t VALUES (1)", NULL, NULL, NULL),
                   ==, SQLITE_BUSY);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 60 * 1000);
  g_assert_cmpint (g_get_monotonic_time () - start, <, SOON);
  sqlite3_close (foreign);
  close_session (manager, session);
}

/* Who has read an old state cannot write: at once, and without being in the way of others. */
static void
test_lost_upgrade (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager (fixture, LONG_BUSY_TIMEOUT);
  DbSession *reader = open_session (manager);
  DbSession *writer = open_session (manager);

  run (writer, "CREATE TABLE t (a)");
  run (reader, "BEGIN");
  g_assert_cmpint (run_int64 (reader, "SELECT count(*) FROM t"), ==, 0);
  run (writer, "INSERT INTO t VALUES (1)");
  assert_fails (reader, "INSERT INTO t VALUES (2)", DB_ERROR_SERIALIZATION, "[SQLite 517]");
  g_assert_cmpint (db_session_get_state (reader), ==, DB_SESSION_IN_TRANSACTION);
  run (writer, "INSERT INTO t VALUES (3)");
  run (reader, "ROLLBACK");
  run (reader, "INSERT INTO t VALUES (4)");

  /* A reader that saw the latest state can. */
  run (reader, "BEGIN");
  g_assert_cmpint (run_int64 (reader, "SELECT count(*) FROM t"), ==, 3);
  run (reader, "INSERT INTO t VALUES (5)");
  run (reader, "COMMIT");
  close_session (manager, reader);
  close_session (manager, writer);
}

static DbSqliteManager *
new_manager_of_kind (Fixture *fixture, const char *kind)
{
  DbSqliteManager *manager;

  if (strcmp (kind, "memory") == 0)
    return db_sqlite_manager_new (":memory:");
  manager = db_sqlite_manager_new (fixture->file);
  g_object_set (manager, "journal-mode", kind, NULL);
  return manager;
}

/* Without WAL the writer waits for readers: a reader that wants to write must not wait for it. */
static void
test_no_deadlock_without_wal (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager_of_kind (fixture, data);
  DbSession *reader = open_session (manager);
  DbSession *writer = open_session (manager);
  RunJob job = {0};

  run (writer, "CREATE TABLE t (a)");
  run (reader, "BEGIN");
  g_assert_cmpint (run_int64 (reader, "SELECT count(*) FROM t"), ==, 0);
  run (writer, "BEGIN IMMEDIATE");
  run (writer, "INSERT INTO t VALUES (1)");
  start_job (&job, writer, "COMMIT");
  assert_fails (reader, "INSERT INTO t VALUES (2)", DB_ERROR_SERIALIZATION, "roll back");
  run (reader, "ROLLBACK");
  join_job (&job);
  g_assert_no_error (job.error);
  g_assert_cmpint (run_int64 (reader, "SELECT count(*) FROM t"), ==, 1);
  clear_job (&job);
  close_session (manager, reader);
  close_session (manager, writer);
}

/* Without WAL a reader waits for the writer in the same queue, and is woken, not starved. */
static void
test_reader_waits_without_wal (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager_of_kind (fixture, data);
  DbSession *reader = open_session (manager);
  DbSession *writer = open_session (manager);
  RunJob job = {0};

  run (writer, "CREATE TABLE t (a)");
  run (writer, "BEGIN EXCLUSIVE");
  run (writer, "INSERT INTO t VALUES (1)");
  start_job (&job, reader, "SELECT a FROM t");
  g_usleep (20 * 1000);
  run (writer, "COMMIT");
  join_job (&job);
  g_assert_no_error (job.error);
  g_assert_cmpint (db_result_get_int64 (job.result, 0, 0), ==, 1);
  clear_job (&job);
  run (writer, "INSERT INTO t VALUES (2)");
  close_session (manager, reader);
  close_session (manager, writer);
}

#define N_SESSIONS 4
#define N_THREADS 8
#define N_ROUNDS 150

/* The least of pools. */
typedef struct
{
  DbLock lock;
  DbCond cond;
  DbSession *idle[N_SESSIONS];
  int n_idle;
  int n_committed;
  int n_lost;
} Crowd;

static DbSession *
borrow (Crowd *crowd)
{
  DB_LOCK_SCOPE (&crowd->lock);

  while (crowd->n_idle == 0)
    db_cond_wait (&crowd->cond, &crowd->lock);
  return crowd->idle[--crowd->n_idle];
}

static void
give_back (Crowd *crowd, DbSession *session, int committed, int lost)
{
  DB_LOCK_SCOPE (&crowd->lock);

  crowd->idle[crowd->n_idle++] = session;
  crowd->n_committed += committed;
  crowd->n_lost += lost;
  db_cond_signal (&crowd->cond);
}

static gboolean
run_or_lose (DbSession *session, const char *sql)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = try_run (session, sql, &error);

  if (result != NULL)
    return TRUE;
  if (!g_error_matches (error, DB_ERROR, DB_ERROR_SERIALIZATION))
    g_error ("%s: %s", sql, error->message);
  return FALSE;
}

static gboolean
transfer (DbSession *session, guint kind)
{
  switch (kind)
    {
    case 0: /* deferred: reads, then writes */
      run (session, "BEGIN");
      g_assert_cmpint (run_int64 (session, "SELECT sum(money) FROM account"), ==, 1000);
      if (!run_or_lose (session, "UPDATE account SET money = money - 1 WHERE id = 1"))
        {
          run (session, "ROLLBACK");
          return FALSE;
        }
      run (session, "UPDATE account SET money = money + 1 WHERE id = 2");
      run (session, "COMMIT");
      return TRUE;
    case 1: /* immediate */
      run (session, "BEGIN IMMEDIATE");
      run (session, "UPDATE account SET money = money - 1 WHERE id = 1");
      run (session, "UPDATE account SET money = money + 1 WHERE id = 2");
      run (session, "COMMIT");
      return TRUE;
    case 2: /* deferred, but writes at once */
      run (session, "BEGIN");
      run (session, "UPDATE account SET money = money - 1 WHERE id = 1");
      g_assert_cmpint (run_int64 (session, "SELECT sum(money) FROM account"), ==, 999);
      run (session, "UPDATE account SET money = money + 1 WHERE id = 2");
      run (session, "COMMIT");
      return TRUE;
    default: /* one statement */
      run (session, "UPDATE account SET money = money + iif (id = 1, -1, 1)");
      return TRUE;
    }
}

static gpointer
crowd_thread (gpointer data)
{
  Crowd *crowd = data;
  g_autoptr (GRand) rand = g_rand_new_with_seed (g_test_rand_int ());

  for (int i = 0; i < N_ROUNDS; i++)
    {
      DbSession *session = borrow (crowd);
      int committed = 0;
      int lost = 0;

      if (g_rand_boolean (rand))
        g_assert_cmpint (run_int64 (session, "SELECT sum(money) FROM account"), ==, 1000);
      else if (transfer (session, g_rand_int_range (rand, 0, 4)))
        committed = 1;
      else
        lost = 1;
      g_assert_cmpint (db_session_get_state (session), ==, DB_SESSION_IDLE);
      give_back (crowd, session, committed, lost);
    }
  return NULL;
}

/* Whatever they do, nobody sees DB_ERROR_BUSY, and the money stays. */
static void
test_crowd (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbSqliteManager) manager = new_manager_of_kind (fixture, data);
  GThread *threads[N_THREADS];
  Crowd crowd = {0};

  db_lock_init (&crowd.lock);
  db_cond_init (&crowd.cond);
  g_object_set (manager, "synchronous", "off", "busy-timeout", LONG_BUSY_TIMEOUT, NULL);
  for (int i = 0; i < N_SESSIONS; i++)
    crowd.idle[i] = open_session (manager);
  crowd.n_idle = N_SESSIONS;
  run (crowd.idle[0], "CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER)");
  run (crowd.idle[0], "INSERT INTO account VALUES (1, 500), (2, 500)");
  for (int i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("crowd", crowd_thread, &crowd);
  for (int i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);

  g_test_message ("%d committed, %d lost", crowd.n_committed, crowd.n_lost);
  g_assert_cmpint (run_int64 (crowd.idle[0], "SELECT money FROM account WHERE id = 2"), ==,
                   500 + crowd.n_committed);
  for (int i = 0; i < N_SESSIONS; i++)
    close_session (manager, crowd.idle[i]);
  db_cond_clear (&crowd.cond);
  db_lock_clear (&crowd.lock);
}

#define ADD(path, function, data)                                                                  \
  g_test_add ("/sqlite/locks/" path, Fixture, data, fixture_set_up, function, fixture_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("token-order", test_token_order, NULL);
  ADD ("token-timeout", test_token_timeout, NULL);
  ADD ("describe", test_describe, NULL);
  ADD ("no-busy-timeout", test_no_busy_timeout, NULL);
  ADD ("cancel-token-wait/cancellable", test_cancel_token_wait, GINT_TO_POINTER (BY_CANCELLABLE));
  ADD ("cancel-token-wait/session", test_cancel_token_wait, GINT_TO_POINTER (BY_SESSION));
  ADD ("cancel-busy-wait/cancellable", test_cancel_busy_wait, GINT_TO_POINTER (BY_CANCELLABLE));
  ADD ("cancel-busy-wait/session", test_cancel_busy_wait, GINT_TO_POINTER (BY_SESSION));
  ADD ("cancel-statement/cancellable", test_cancel_statement, GINT_TO_POINTER (BY_CANCELLABLE));
  ADD ("cancel-statement/session", test_cancel_statement, GINT_TO_POINTER (BY_SESSION));
  ADD ("statement-timeout", test_statement_timeout, NULL);
  ADD ("late-cancel", test_late_cancel, NULL);
  ADD ("foreign-lock", test_foreign_lock, NULL);
  ADD ("locked-open", test_locked_open, NULL);
  ADD ("adopted-busy-timeout", test_adopted_busy_timeout, NULL);
  ADD ("lost-upgrade", test_lost_upgrade, NULL);
  ADD ("no-deadlock/delete", test_no_deadlock_without_wal, "delete");
  ADD ("no-deadlock/memory", test_no_deadlock_without_wal, "memory");
  ADD ("reader-waits/delete", test_reader_waits_without_wal, "delete");
  ADD ("reader-waits/memory", test_reader_waits_without_wal, "memory");
  ADD ("crowd/wal", test_crowd, "wal");
  ADD ("crowd/delete", test_crowd, "delete");
  ADD ("crowd/memory", test_crowd, "memory");
  return g_test_run ();
}
