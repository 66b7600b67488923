/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The signals of a pool, one after the other: when each is emitted, and what it says. How they get
 * to their handlers is in test-signals-delivery.c. */

#include "config.h"

#include "log-capture.h"
#include "signals-fixture.h"

#include <string.h>
#include <unistd.h>

static void
test_loan (void)
{
  Fixture fixture;
  DbConnection *connection;
  gint64 lent_at;

  set_up (&fixture, 1);
  fake_manager_delay (fixture.manager, FAKE_OPEN, 5 * MS);
  listen_to_all (&fixture);
  connection = acquire (fixture.pool);
  g_assert_cmpuint (fixture.log->len, ==, 0);
  await (&fixture, 1);
  g_assert_cmpint (fixture.log->str[0], ==, 'c');
  assert_log (&fixture, "ca");
  g_assert_cmpint (fixture.value, >=, 5 * MS); /* it waited for the open */

  lent_at = g_get_monotonic_time ();
  while (g_get_monotonic_time () < lent_at + 3 * MS)
    g_thread_yield ();
  db_connection_release (connection);
  db_connection_release (connection);
  assert_log (&fixture, "r");
  g_assert_cmpint (fixture.value, >=, 3 * MS);
  g_object_unref (connection);
  assert_log (&fixture, "");

  borrow (fixture.pool, 2);
  assert_log (&fixture, "arar");
  db_pool_close (fixture.pool, 10 * SECOND, NULL, NULL);
  assert_log (&fixture, "d");
  g_assert_cmpint (fixture.reason, ==, DB_DROP_CLOSED);
  tear_down (&fixture);
}

static void
test_created (void)
{
  Fixture fixture;

  set_up (&fixture, 1);
  fake_manager_delay (fixture.manager, FAKE_OPEN, 5 * MS);
  g_signal_connect (fixture.pool, "connection-created", G_CALLBACK (created_cb), &fixture);
  borrow (fixture.pool, 3);
  assert_log (&fixture, "c");
  g_assert_cmpint (fixture.value, >=, 5 * MS);
  tear_down (&fixture);
}

static void
test_drop_reasons (void)
{
  Fixture fixture;
  DbConnection *connection;

  set_up (&fixture, 1);
  g_signal_connect (fixture.pool, "connection-dropped", G_CALLBACK (dropped_cb), &fixture);
  borrow (fixture.pool, 1);
  db_pool_evict_idle (fixture.pool);
  assert_log (&fixture, "d");
  g_assert_cmpint (fixture.reason, ==, DB_DROP_EVICTED);

  connection = acquire (fixture.pool);
  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_BROKEN);
  g_object_unref (connection);
  assert_log (&fixture, "d");
  g_assert_cmpint (fixture.reason, ==, DB_DROP_BROKEN);
  tear_down (&fixture);
}

/* A handler that was connected while a connection was out sees what becomes of its session,
 * whatever else somebody listens to. */
static void
test_drop_seen_late (void)
{
  Fixture fixture;
  DbConnection *connection;

  set_up (&fixture, 1);
  connection = acquire (fixture.pool);
  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_BROKEN);
  g_signal_connect (fixture.pool, "connection-dropped", G_CALLBACK (dropped_cb), &fixture);
  g_object_unref (connection);
  assert_log (&fixture, "d");
  g_assert_cmpint (fixture.reason, ==, DB_DROP_BROKEN);
  tear_down (&fixture);
}

/* Nobody does anything: the pool's own timer does. */
static void
test_drop_by_timer (void)
{
  Fixture fixture;

  set_up (&fixture, 1);
  g_object_set (db_pool_get_config (fixture.pool), "idle-timeout", 20 * MS, NULL);
  borrow (fixture.pool, 1);
  g_signal_connect (fixture.pool, "connection-dropped", G_CALLBACK (dropped_cb), &fixture);
  assert_log (&fixture, "d");
  g_assert_cmpint (fixture.reason, ==, DB_DROP_IDLE);
  tear_down (&fixture);
}

static void
finish_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  gboolean *done = data;
  GError *error = NULL;

  g_assert_null (db_pool_acquire_full_finish (DB_POOL (source), result, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_clear_error (&error);
  *done = TRUE;
}

static void
test_acquire_failed (void)
{
  Fixture fixture;
  DbConnection *held;
  GError *error = NULL;
  gboolean done = FALSE;

  set_up (&fixture, 1);
  held = acquire (fixture.pool);
  g_signal_connect (fixture.pool, "acquire-failed", G_CALLBACK (failed_cb), &fixture);

  g_assert_null (db_pool_try_acquire (fixture.pool, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_EXHAUSTED);
  assert_log (&fixture, "f");
  g_assert_error (fixture.error, DB_ERROR, DB_ERROR_EXHAUSTED);
  g_assert_cmpstr (fixture.error->message, ==, error->message);
  g_clear_error (&error);

  /* also when the caller is not interested in the error */
  g_assert_null (db_pool_acquire_full (fixture.pool, DB_ACQUIRE_NONE, MS, NULL, NULL, NULL));
  assert_log (&fixture, "f");
  g_assert_error (fixture.error, DB_ERROR, DB_ERROR_TIMEOUT);

  db_pool_acquire_full_async (fixture.pool, DB_ACQUIRE_NONE, MS, NULL, NULL, finish_cb, &done);
  while (!done)
    g_main_context_iteration (NULL, TRUE);
  assert_log (&fixture, "f");
  g_assert_error (fixture.error, DB_ERROR, DB_ERROR_TIMEOUT);

  g_object_unref (held);
  db_pool_close (fixture.pool, 10 * SECOND, NULL, NULL);
  g_assert_null (db_pool_acquire (fixture.pool, NULL, NULL));
  assert_log (&fixture, "f");
  g_assert_error (fixture.error, DB_ERROR, DB_ERROR_CLOSED);
  tear_down (&fixture);
}

/* A session that is to be there without anybody waiting for it cannot be opened. */
static void
test_background_error (void)
{
  g_autoptr (GError) refused = g_error_new (DB_ERROR, DB_ERROR_CONNECTION, "simulated refusal");
  Fixture fixture;

  set_up (&fixture, 2);
  borrow (fixture.pool, 1);
  g_signal_connect (fixture.pool, "background-error", G_CALLBACK (background_cb), &fixture);
  fake_manager_fail_opens (fixture.manager, 1, refused);
  g_object_set (db_pool_get_config (fixture.pool), "min-connections", 2, NULL);
  fake_manager_await_opens (fixture.manager, 3); /* it tries again by itself */
  assert_log (&fixture, "b");
  g_assert_error (fixture.error, DB_ERROR, DB_ERROR_CONNECTION);
  g_assert_nonnull (strstr (fixture.error->message, "simulated refusal"));
  tear_down (&fixture);
}

/* Leaks. */

static gboolean
set_cb (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

/* Iterates the main context for so long. */
static void
let_pass (gint64 time)
{
  gboolean over = FALSE;

  g_timeout_add ((guint) (time / MS), set_cb, &over);
  while (!over)
    g_main_context_iteration (NULL, TRUE);
}

static void
leak_once (Fixture *fixture, const char *tag, gint64 threshold)
{
  g_autofree char *warning =
    g_strdup_printf ("*pool tested: a connection has been out for * s*%s*", tag);
  g_autofree char *note = g_strdup_printf ("*pool tested: the connection of %s is back*", tag);
  DbConnection *connection;

  log_expect (G_LOG_LEVEL_WARNING, warning);
  connection = db_pool_acquire_full (fixture->pool, DB_ACQUIRE_NONE, -1, tag, NULL, NULL);
  g_assert_nonnull (connection);
  await (fixture, 1);
  log_assert_expected ();
  let_pass (4 * threshold);
  assert_log (fixture, "l");
  g_assert_cmpint (fixture->value, >=, threshold);
  g_assert_nonnull (strstr (fixture->text, tag));

  log_expect (G_LOG_LEVEL_MESSAGE, note);
  db_connection_release (connection);
  log_assert_expected ();
  g_object_unref (connection);
}

static void
test_leak (void)
{
  Fixture fixture;
  const gint64 threshold = 50 * MS;
  g_autoptr (DbPoolStats) stats = NULL;

  set_up (&fixture, 2);
  g_object_set (db_pool_get_config (fixture.pool), "leak-threshold", threshold, NULL);
  g_signal_connect (fixture.pool, "leak-suspected", G_CALLBACK (leak_cb), &fixture);
  borrow (fixture.pool, 100);
  leak_once (&fixture, "forgetful", threshold);
  leak_once (&fixture, "again", threshold);
  stats = db_pool_get_stats (fixture.pool);
  g_assert_cmpuint (db_pool_stats_get_leaks (stats), ==, 2);
  assert_log (&fixture, "");
  tear_down (&fixture);
}

/* Threads that each hold a connection and want another. */

#define DEADLOCK "*each of its connections is held by a thread that itself waits*"

static void
wait_for_another (DbPool *pool, gint64 timeout, GQuark domain, int code)
{
  GError *error = NULL;

  g_assert_null (db_pool_acquire_full (pool, DB_ACQUIRE_NONE, timeout, "nested", NULL, &error));
  g_assert_error (error, domain, code);
  g_error_free (error);
}

static void
test_deadlock (void)
{
  Fixture fixture;
  DbConnection *held;

  set_up (&fixture, 1);
  g_signal_connect (fixture.pool, "deadlock-detected", G_CALLBACK (deadlock_cb), &fixture);
  held = db_pool_acquire_full (fixture.pool, DB_ACQUIRE_NONE, -1, "outer", NULL, NULL);
  log_expect (G_LOG_LEVEL_MESSAGE, DEADLOCK);
  wait_for_another (fixture.pool, 20 * MS, DB_ERROR, DB_ERROR_TIMEOUT);
  log_assert_expected ();
  assert_log (&fixture, "x");
  g_assert_nonnull (strstr (fixture.text, "outer"));
  /* It is no news before somebody gave a connection back. */
  wait_for_another (fixture.pool, 20 * MS, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_log (&fixture, "");
  g_object_unref (held);
  borrow (fixture.pool, 3);
  assert_log (&fixture, "");

  /* Then it is told again, but not written to the log. */
  held = acquire (fixture.pool);
  log_begin ();
  wait_for_another (fixture.pool, 20 * MS, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_cmpuint (log_count ("deadlock"), ==, 0);
  log_end ();
  assert_log (&fixture, "x");
  g_object_unref (held);
  tear_down (&fixture);
}

typedef struct
{
  DbPool *pool;
  const char *tag;
  GCancellable *cancellable;
  int *n_holders; /* atomic */
} Nester;

static gpointer
nester_thread (gpointer data)
{
  Nester *nester = data;
  GError *error = NULL;
  DbConnection *outer =
    db_pool_acquire_full (nester->pool, DB_ACQUIRE_NONE, -1, nester->tag, NULL, &error);
  DbConnection *inner;

  g_assert_no_error (error);
  g_atomic_int_inc (nester->n_holders);
  while (g_atomic_int_get (nester->n_holders) < 2)
    g_thread_yield ();
  /* Who is not cancelled first may get what the other one returns. */
  inner = db_pool_acquire_full (nester->pool, DB_ACQUIRE_NONE, G_MAXINT64, "nested",
                                nester->cancellable, &error);
  if (inner == NULL)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_clear_object (&inner);
  g_object_unref (outer);
  return NULL;
}

static void
test_deadlock_of_two (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Fixture fixture;
  Nester nesters[2];
  GThread *threads[2];
  int n_holders = 0;

  set_up (&fixture, 2);
  g_signal_connect (fixture.pool, "deadlock-detected", G_CALLBACK (deadlock_cb), &fixture);
  log_expect (G_LOG_LEVEL_MESSAGE, DEADLOCK);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      nesters[i] = (Nester){fixture.pool, i == 0 ? "first" : "second", cancellable, &n_holders};
      threads[i] = g_thread_new ("nester", nester_thread, &nesters[i]);
    }
  assert_log (&fixture, "x");
  g_assert_nonnull (strstr (fixture.text, "first"));
  g_assert_nonnull (strstr (fixture.text, "second"));
  g_cancellable_cancel (cancellable);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  log_assert_expected ();
  assert_log (&fixture, "");
  tear_down (&fixture);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (240); /* the watchdog of every wait above */

#define ADD(path, func) g_test_add_func ("/signals/" path, func)
  ADD ("loan", test_loan);
  ADD ("created", test_created);
  ADD ("drop-reasons", test_drop_reasons);
  ADD ("drop-seen-late", test_drop_seen_late);
  ADD ("drop-by-timer", test_drop_by_timer);
  ADD ("acquire-failed", test_acquire_failed);
  ADD ("background-error", test_background_error);
  ADD ("leak", test_leak);
  ADD ("deadlock", test_deadlock);
  ADD ("deadlock-of-two", test_deadlock_of_two);
#undef ADD
  return g_test_run ();
}
