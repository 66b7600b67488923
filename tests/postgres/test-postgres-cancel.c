/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Stopping statements, and the asynchronous path. The bounds of time are generous: they tell "at
 * once" from "when the statement ends". */

#include "postgres-fixture.h"

#include "db-error.h"
#include "db-postgres-session-private.h"
#include "db-worker-private.h"

#include <signal.h>

#define LONG_SQL "SELECT pg_sleep(60)"
#define SOON (5 * G_USEC_PER_SEC)

typedef struct
{
  DbConnectionManager *manager;
  DbSession *session;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  db_worker_hold ();
  fixture->manager = fixture_manager_new (NULL);
  fixture->session = fixture_open (fixture->manager);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  if (fixture->session != NULL)
    db_connection_manager_close_session (fixture->manager, fixture->session);
  g_clear_object (&fixture->session); /* a job may hold it for a moment longer */
  g_assert_finalize_object (fixture->manager);
  db_worker_drop ();
}

static void
assert_usable (Fixture *fixture)
{
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_IDLE);
  fixture_assert_text (fixture->session, "SELECT 'fine'", "fine");
}

/* Waits until the server runs what @session was given. */
static void
wait_until_running (Fixture *fixture, DbSession *session)
{
  DbSession *observer = fixture_open (fixture->manager);
  g_autofree char *sql = g_strdup_printf ("SELECT count(*) FROM pg_stat_activity WHERE pid = %d "
                                          "AND state = 'active' AND wait_event = 'PgSleep'",
                                          PQbackendPID (DB_POSTGRES_SESSION (session)->conn));

  while (fixture_int64 (observer, sql) == 0)
    g_usleep (1000);
  fixture_close (fixture->manager, observer);
}

typedef struct
{
  Fixture *fixture;
  GCancellable *cancellable; /* NULL: the session's cancel */
  gint64 when;
} Canceller;

static gpointer
cancel_when_running (gpointer data)
{
  Canceller *self = data;

  wait_until_running (self->fixture, self->fixture->session);
  self->when = g_get_monotonic_time ();
  if (self->cancellable != NULL)
    g_cancellable_cancel (self->cancellable);
  else
    g_assert_true (db_session_cancel (self->fixture->session));
  return NULL;
}

static void
cancel_from_thread (Fixture *fixture, GCancellable *cancellable)
{
  DbStatementPlan plan = {LONG_SQL, NULL, DB_STATEMENT_NONE, 0};
  Canceller canceller = {fixture, cancellable, 0};
  GThread *thread = g_thread_new ("canceller", cancel_when_running, &canceller);
  g_autoptr (GError) error = NULL;

  g_assert_null (db_session_run (fixture->session, &plan, cancellable, &error));
  g_thread_join (thread);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_test_message ("cancelled after %" G_GINT64_FORMAT " us",
                  g_get_monotonic_time () - canceller.when);
  g_assert_cmpint (g_get_monotonic_time () - canceller.when, <, SOON);
  assert_usable (fixture);
}

static void
test_cancellable (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();

      cancel_from_thread (fixture, cancellable);
    }
}

static void
test_cancel_session (Fixture *fixture, gconstpointer data)
{
  g_assert_false (db_session_cancel (fixture->session)); /* nothing runs */
  cancel_from_thread (fixture, NULL);
  g_assert_false (db_session_cancel (fixture->session));
  assert_usable (fixture);
}

static void
test_cancelled_before (Fixture *fixture, gconstpointer data)
{
  DbStatementPlan plan = {LONG_SQL, NULL, DB_STATEMENT_NONE, 0};
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  g_cancellable_cancel (cancellable);
  g_assert_null (db_session_run (fixture->session, &plan, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  assert_usable (fixture);
}

static void
test_timeout (Fixture *fixture, gconstpointer data)
{
  DbStatementPlan plan = {LONG_SQL, NULL, DB_STATEMENT_NONE, 50 * G_TIME_SPAN_MILLISECOND};
  DbStatementPlan quick = {"SELECT 1", NULL, DB_STATEMENT_NONE, 10 * G_TIME_SPAN_SECOND};
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = NULL;
  gint64 start = g_get_monotonic_time ();

  g_assert_null (db_session_run (fixture->session, &plan, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, plan.timeout);
  g_assert_cmpint (g_get_monotonic_time () - start, <, SOON);
  assert_usable (fixture);
  g_clear_error (&error);
  result = db_session_run (fixture->session, &quick, NULL, &error);
  g_assert_no_error (error);
}

static void
test_cancel_in_transaction (Fixture *fixture, gconstpointer data)
{
  DbStatementPlan plan = {LONG_SQL, NULL, DB_STATEMENT_NONE, 20 * G_TIME_SPAN_MILLISECOND};
  g_autoptr (GError) error = NULL;

  fixture_execute (fixture->session, "BEGIN");
  g_assert_null (db_session_run (fixture->session, &plan, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_FAILED_TRANSACTION);
  fixture_execute (fixture->session, "ROLLBACK");
  assert_usable (fixture);
}

typedef struct
{
  DbLock lock;
  DbCond cond;
  GCancellable *cancellable; /* lock; of the round that runs */
  gint64 when;               /* lock; monotonic time */
  gboolean done;             /* lock */
} Racer;

/* Cancels each round's cancellable when its time has come. */
static gpointer
race (gpointer data)
{
  Racer *self = data;

  db_lock_lock (&self->lock);
  while (!self->done)
    {
      g_autoptr (GCancellable) cancellable = g_steal_pointer (&self->cancellable);
      gint64 when = self->when;

      if (cancellable == NULL)
        {
          db_cond_wait (&self->cond, &self->lock);
          continue;
        }
      db_lock_unlock (&self->lock);
      while (g_get_monotonic_time () < when)
        ; /* a sleep would be far too coarse, and this is over in a moment */
      g_cancellable_cancel (cancellable);
      db_lock_lock (&self->lock);
    }
  db_lock_unlock (&self->lock);
  return NULL;
}

/* Short queries, each with a cancel that may come before, during or after it; the next one, which
 * nobody cancels, is never hit. */
static void
test_race (Fixture *fixture, gconstpointer data)
{
  DbStatementPlan plan = {"SELECT 1", NULL, DB_STATEMENT_NONE, 0};
  Racer racer = {0};
  GThread *thread;
  guint n_cancelled = 0;

  db_lock_init (&racer.lock);
  db_cond_init (&racer.cond);
  thread = g_thread_new ("racer", race, &racer);
  for (guint i = 0; i < 1000; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autoptr (GError) error = NULL;
      g_autoptr (DbResult) result = NULL;

      db_lock_lock (&racer.lock);
      g_clear_object (&racer.cancellable);
      racer.cancellable = g_object_ref (cancellable);
      racer.when = g_get_monotonic_time () + i % 200;
      db_cond_signal (&racer.cond);
      db_lock_unlock (&racer.lock);

      result = db_session_run (fixture->session, &plan, cancellable, &error);
      if (result == NULL)
        {
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
          n_cancelled++;
        }
      fixture_assert_text (fixture->session, "SELECT 'innocent'", "innocent");
    }
  db_lock_lock (&racer.lock);
  racer.done = TRUE;
  db_cond_signal (&racer.cond);
  db_lock_unlock (&racer.lock);
  g_thread_join (thread);
  g_clear_object (&racer.cancellable);
  db_cond_clear (&racer.cond);
  db_lock_clear (&racer.lock);
  g_test_message ("%u of 1000 were cancelled", n_cancelled);
}

/* A server process that does not react: the caller is let go, and the session is broken. */
static void
test_hung_backend (Fixture *fixture, gconstpointer data)
{
  DbStatementPlan plan = {"SELECT 1", NULL, DB_STATEMENT_NONE, 50 * G_TIME_SPAN_MILLISECOND};
  pid_t pid = PQbackendPID (DB_POSTGRES_SESSION (fixture->session)->conn);
  g_autoptr (GError) error = NULL;
  gint64 start = g_get_monotonic_time ();

  if (kill (pid, SIGSTOP) != 0)
    {
      g_test_skip ("the server belongs to another user");
      return;
    }
  g_assert_null (db_session_run (fixture->session, &plan, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpint (g_get_monotonic_time () - start, <, 2 * SOON);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_BROKEN);
  kill (pid, SIGCONT);
}

static gpointer
cancel_later (gpointer data)
{
  g_usleep (50 * G_TIME_SPAN_MILLISECOND); /* so that the check has begun; nothing depends on it */
  g_cancellable_cancel (data);
  return NULL;
}

/* Whoever cancels a check has waited long enough: the server is not asked to stop, and the session
 * is given up at once. */
static void
test_cancelled_check (Fixture *fixture, gconstpointer data)
{
  pid_t pid = PQbackendPID (DB_POSTGRES_SESSION (fixture->session)->conn);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  gint64 start = g_get_monotonic_time ();
  GThread *thread;

  if (kill (pid, SIGSTOP) != 0)
    {
      g_test_skip ("the server belongs to another user");
      return;
    }
  thread = g_thread_new ("cancel", cancel_later, cancellable);
  g_assert_false (
    db_connection_manager_check_session (fixture->manager, fixture->session, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (g_get_monotonic_time () - start, <, G_USEC_PER_SEC);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_BROKEN);
  g_thread_join (thread);
  kill (pid, SIGCONT);
}

typedef struct
{
  GMainLoop *loop;
  guint n_pending;
  GError *error;
  gint64 number;
  GThread *thread;
  gboolean inside; /* the call that began it has not returned */
} AsyncData;

static void
run_cb (GObject *object, GAsyncResult *result, gpointer data)
{
  AsyncData *self = data;
  g_autoptr (DbResult) rows = NULL;

  g_assert_false (self->inside);
  g_assert_true (g_thread_self () == self->thread);
  g_clear_error (&self->error);
  rows = db_session_run_finish (DB_SESSION (object), result, &self->error);
  if (rows != NULL)
    self->number = db_result_get_int64 (rows, 0, 0);
  if (--self->n_pending == 0)
    g_main_loop_quit (self->loop);
}

static void
run_async (AsyncData *self,
           DbSession *session,
           const DbStatementPlan *plan,
           GCancellable *cancellable)
{
  self->n_pending++;
  self->inside = TRUE;
  db_session_run_async (session, plan, cancellable, run_cb, self);
  self->inside = FALSE;
}

static void
async_data_init (AsyncData *self, GMainContext *context)
{
  *self = (AsyncData){g_main_loop_new (context, FALSE), 0, NULL, 0, g_thread_self (), FALSE};
}

static void
async_data_clear (AsyncData *self)
{
  g_clear_error (&self->error);
  g_main_loop_unref (self->loop);
}

static void
run_hundred (Fixture *fixture, GMainContext *context)
{
  AsyncData self;

  async_data_init (&self, context);
  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *sql = g_strdup_printf ("SELECT %u", i / 3);
      DbStatementPlan plan = {sql, NULL, DB_STATEMENT_NONE, 0};

      run_async (&self, fixture->session, &plan, NULL);
      g_main_loop_run (self.loop);
      g_assert_no_error (self.error);
      g_assert_cmpint (self.number, ==, i / 3);
    }
  async_data_clear (&self);
}

static void
test_async (Fixture *fixture, gconstpointer data)
{
  run_hundred (fixture, NULL);
}

static gpointer
run_in_own_context (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  run_hundred (data, context);
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_async_own_context (Fixture *fixture, gconstpointer data)
{
  g_thread_join (g_thread_new ("own context", run_in_own_context, fixture));
}

/* Ten sessions, ten statements each, all in one context. */
static void
test_async_many_sessions (Fixture *fixture, gconstpointer data)
{
  DbStatementPlan plan = {"SELECT 42 FROM pg_sleep(0.001)", NULL, DB_STATEMENT_NONE, 0};
  DbSession *sessions[10];
  AsyncData self;

  async_data_init (&self, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (sessions); i++)
    sessions[i] = fixture_open (fixture->manager);
  for (guint round = 0; round < 10; round++)
    {
      for (gsize i = 0; i < G_N_ELEMENTS (sessions); i++)
        run_async (&self, sessions[i], &plan, NULL);
      g_main_loop_run (self.loop);
      g_assert_no_error (self.error);
      g_assert_cmpint (self.number, ==, 42);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (sessions); i++)
    fixture_close (fixture->manager, sessions[i]);
  async_data_clear (&self);
}

static void
test_async_error (Fixture *fixture, gconstpointer data)
{
  DbStatementPlan plan = {"SELECT nothing", NULL, DB_STATEMENT_NONE, 0};
  AsyncData self;

  async_data_init (&self, NULL);
  run_async (&self, fixture->session, &plan, NULL);
  g_main_loop_run (self.loop);
  g_assert_error (self.error, DB_ERROR, DB_ERROR_QUERY);
  async_data_clear (&self);
  assert_usable (fixture);
}

static gboolean
cancel_cb (gpointer data)
{
  g_cancellable_cancel (data);
  return G_SOURCE_REMOVE;
}

static void
test_async_cancel (Fixture *fixture, gconstpointer data)
{
  DbStatementPlan plan = {LONG_SQL, NULL, DB_STATEMENT_NONE, 0};
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  AsyncData self;
  gint64 start = g_get_monotonic_time ();

  async_data_init (&self, NULL);
  run_async (&self, fixture->session, &plan, cancellable);
  g_timeout_add (20, cancel_cb, cancellable);
  g_main_loop_run (self.loop);
  g_assert_error (self.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (g_get_monotonic_time () - start, <, SOON);
  assert_usable (fixture);

  /* And one that is cancelled already. */
  run_async (&self, fixture->session, &plan, cancellable);
  g_main_loop_run (self.loop);
  g_assert_error (self.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  assert_usable (fixture);
  async_data_clear (&self);
}

/* Cancelled in the same breath: the cancel may reach the server before the statement does. */
static void
test_async_cancel_at_once (Fixture *fixture, gconstpointer data)
{
  DbStatementPlan plan = {LONG_SQL, NULL, DB_STATEMENT_NONE, 0};
  AsyncData self;

  async_data_init (&self, NULL);
  for (guint i = 0; i < 50; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();

      run_async (&self, fixture->session, &plan, cancellable);
      g_cancellable_cancel (cancellable);
      g_main_loop_run (self.loop);
      g_assert_error (self.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      assert_usable (fixture);
    }
  async_data_clear (&self);
}

static void
test_async_timeout (Fixture *fixture, gconstpointer data)
{
  DbStatementPlan plan = {LONG_SQL, NULL, DB_STATEMENT_NONE, 30 * G_TIME_SPAN_MILLISECOND};
  AsyncData self;

  async_data_init (&self, NULL);
  run_async (&self, fixture->session, &plan, NULL);
  g_main_loop_run (self.loop);
  g_assert_error (self.error, DB_ERROR, DB_ERROR_TIMEOUT);
  async_data_clear (&self);
  assert_usable (fixture);
}

static void
test_async_hung_backend (Fixture *fixture, gconstpointer data)
{
  DbStatementPlan plan = {"SELECT 1", NULL, DB_STATEMENT_NONE, 30 * G_TIME_SPAN_MILLISECOND};
  pid_t pid = PQbackendPID (DB_POSTGRES_SESSION (fixture->session)->conn);
  AsyncData self;

  if (kill (pid, SIGSTOP) != 0)
    {
      g_test_skip ("the server belongs to another user");
      return;
    }
  async_data_init (&self, NULL);
  run_async (&self, fixture->session, &plan, NULL);
  g_main_loop_run (self.loop);
  g_assert_error (self.error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpint (db_session_get_state (fixture->session), ==, DB_SESSION_BROKEN);
  kill (pid, SIGCONT);

  /* A broken session says so, and not from inside the call. */
  run_async (&self, fixture->session, &plan, NULL);
  g_main_loop_run (self.loop);
  g_assert_error (self.error, DB_ERROR, DB_ERROR_CONNECTION);
  async_data_clear (&self);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, function)                                                                        \
  g_test_add ("/postgres/cancel/" name, Fixture, NULL, set_up, function, tear_down)

  ADD ("cancellable", test_cancellable);
  ADD ("session", test_cancel_session);
  ADD ("before", test_cancelled_before);
  ADD ("timeout", test_timeout);
  ADD ("in-transaction", test_cancel_in_transaction);
  ADD ("race", test_race);
  ADD ("hung-backend", test_hung_backend);
  ADD ("cancelled-check", test_cancelled_check);
  ADD ("async", test_async);
  ADD ("async-own-context", test_async_own_context);
  ADD ("async-many-sessions", test_async_many_sessions);
  ADD ("async-error", test_async_error);
  ADD ("async-cancel", test_async_cancel);
  ADD ("async-cancel-at-once", test_async_cancel_at_once);
  ADD ("async-timeout", test_async_timeout);
  ADD ("async-hung-backend", test_async_hung_backend);

  return g_test_run ();
}
