/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Getting a connection, with a scripted manager: what callers see, blocking and asynchronous; in
 * which order, by when, cancelled, or with a database that refuses; and that the books balance.
 * What becomes of the connection then is in test-pool-loans.c. */

#include "config.h"

#include "pool-fixture.h"

#include <unistd.h>

static void
test_lazy (void)
{
  Fixture fixture;

  set_up (&fixture, 5, SECOND);
  assert_gauges (fixture.pool, 0, 0, 0, 0);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opens, ==, 0);
  tear_down (&fixture);
}

static void
test_gauges (void)
{
  Fixture fixture;
  DbConnection *connections[3];

  set_up (&fixture, 16, SECOND);
  for (guint i = 0; i < 3; i++)
    {
      connections[i] = acquire (fixture.pool);
      assert_gauges (fixture.pool, i + 1, 0, i + 1, 0);
    }
  for (guint i = 0; i < 3; i++)
    {
      g_object_unref (connections[i]);
      assert_gauges (fixture.pool, 3, i + 1, 2 - i, 0);
    }
  tear_down (&fixture);
}

static void
test_reuse (void)
{
  Fixture fixture;
  DbConnection *a, *b;
  guint id;

  set_up (&fixture, 4, SECOND);
  a = acquire (fixture.pool);
  id = fake_connection_get_id (a);
  db_connection_release (a);
  b = acquire (fixture.pool);
  g_assert_cmpuint (fake_connection_get_id (b), ==, id);
  g_assert_true (a != b);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opens, ==, 1);
  g_object_unref (a);
  g_object_unref (b);
  tear_down (&fixture);
}

static void
test_timeout (void)
{
  Fixture fixture;
  DbConnection *held;
  GError *error = NULL;
  gint64 before;

  set_up (&fixture, 1, 100 * MS);
  held = acquire (fixture.pool);
  before = g_get_monotonic_time ();
  g_assert_null (db_pool_acquire (fixture.pool, NULL, &error));
  g_assert_cmpint (g_get_monotonic_time () - before, >=, 100 * MS);
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_nonnull (strstr (error->message, "1 lent"));
  g_assert_nonnull (strstr (error->message, db_pool_get_name (fixture.pool)));
  g_clear_error (&error);

  before = g_get_monotonic_time ();
  g_assert_null (db_pool_acquire_full (fixture.pool, 0, 20 * MS, "tag", NULL, &error));
  g_assert_cmpint (g_get_monotonic_time () - before, >=, 20 * MS);
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_clear_error (&error);
  g_object_unref (held);
  assert_gauges (fixture.pool, 1, 1, 0, 0);
  tear_down (&fixture);
}

static void
test_timeout_async (void)
{
  Fixture fixture;
  DbConnection *held;
  Waiter waiter = {0};
  gint64 before;

  set_up (&fixture, 1, 50 * MS);
  held = acquire (fixture.pool);
  before = g_get_monotonic_time ();
  db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiter);
  await (&waiter);
  g_assert_cmpint (g_get_monotonic_time () - before, >=, 50 * MS);
  g_assert_error (waiter.error, DB_ERROR, DB_ERROR_TIMEOUT);
  waiter_clear (&waiter);
  g_object_unref (held);
  tear_down (&fixture);
}

static void
test_try (void)
{
  Fixture fixture;
  DbConnection *connection;
  GError *error = NULL;

  set_up (&fixture, 1, SECOND);
  g_assert_null (db_pool_try_acquire (fixture.pool, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_EXHAUSTED);
  g_clear_error (&error);
  /* It opened one for the next caller. */
  await_gauges (fixture.pool, 1, 1, 0, 0);
  connection = db_pool_try_acquire (fixture.pool, &error);
  g_assert_no_error (error);
  g_assert_null (db_pool_try_acquire (fixture.pool, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_EXHAUSTED);
  g_clear_error (&error);
  g_object_unref (connection);
  for (guint i = 0; i < 10000; i++)
    {
      connection = db_pool_acquire_full (fixture.pool, 0, 0, NULL, NULL, &error);
      g_assert_no_error (error);
      g_object_unref (connection);
    }
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opens, ==, 1);
  tear_down (&fixture);
}

static void
test_async_is_not_reentrant (void)
{
  Fixture fixture;
  DbConnection *connection;
  Waiter waiter = {0};

  set_up (&fixture, 1, SECOND);
  connection = acquire (fixture.pool);
  g_object_unref (connection);
  db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiter);
  g_assert_false (waiter.done);
  await (&waiter);
  g_assert_no_error (waiter.error);
  waiter_clear (&waiter);

  g_assert_true (db_pool_close (fixture.pool, SECOND, NULL, NULL));
  waiter.done = FALSE;
  db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiter);
  g_assert_false (waiter.done);
  await (&waiter);
  g_assert_error (waiter.error, DB_ERROR, DB_ERROR_CLOSED);
  waiter_clear (&waiter);
  tear_down (&fixture);
}

static gpointer
acquire_in_own_context (gpointer data)
{
  Fixture *fixture = data;
  g_autoptr (GMainContext) context = g_main_context_new ();
  Waiter waiter = {.context = context};

  g_main_context_push_thread_default (context);
  for (guint i = 0; i < 200; i++)
    {
      waiter.done = FALSE;
      db_pool_acquire_async (fixture->pool, NULL, acquired_cb, &waiter);
      while (!waiter.done)
        g_main_context_iteration (context, TRUE);
      g_assert_no_error (waiter.error);
      waiter_clear (&waiter);
    }
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_contexts (void)
{
  Fixture fixture;
  GThread *threads[4];

  set_up (&fixture, 2, 10 * SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("context", acquire_in_own_context, &fixture);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).max_live, <=, 2);
  tear_down (&fixture);
}

static void
test_async_order (void)
{
  Fixture fixture;
  DbConnection *held;
  Waiter waiters[20] = {0};
  guint order = 0;

  set_up (&fixture, 1, 10 * SECOND);
  held = acquire (fixture.pool);
  for (guint i = 0; i < G_N_ELEMENTS (waiters); i++)
    {
      waiters[i].order = &order;
      db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiters[i]);
    }
  assert_gauges (fixture.pool, 1, 0, 1, G_N_ELEMENTS (waiters));
  g_object_unref (held);
  for (guint i = 0; i < G_N_ELEMENTS (waiters); i++)
    {
      await (&waiters[i]);
      g_assert_no_error (waiters[i].error);
      g_assert_cmpuint (waiters[i].position, ==, i + 1);
      waiter_clear (&waiters[i]);
    }
  tear_down (&fixture);
}

static void
test_cancelled_before (void)
{
  Fixture fixture;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (DbPoolStats) stats = NULL;
  Waiter waiter = {0};
  GError *error = NULL;

  set_up (&fixture, 1, SECOND);
  g_cancellable_cancel (cancellable);
  g_assert_null (db_pool_acquire (fixture.pool, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  db_pool_acquire_async (fixture.pool, cancellable, acquired_cb, &waiter);
  g_assert_false (waiter.done);
  await (&waiter);
  g_assert_error (waiter.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  waiter_clear (&waiter);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opens, ==, 0);
  stats = db_pool_get_stats (fixture.pool);
  g_assert_cmpuint (db_pool_stats_get_cancelled (stats), ==, 2);
  g_assert_cmpuint (db_pool_stats_get_requests (stats), ==, 2);
  tear_down (&fixture);
}

static void
test_cancel_waiting (void)
{
  Fixture fixture;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DbConnection *held;
  Waiter cancelled[20] = {0};
  Waiter others[5] = {0};
  guint order = 0;

  set_up (&fixture, 1, 10 * SECOND);
  held = acquire (fixture.pool);
  for (guint i = 0; i < G_N_ELEMENTS (cancelled); i++)
    {
      db_pool_acquire_async (fixture.pool, cancellable, acquired_cb, &cancelled[i]);
      if (i % 4 == 0)
        {
          others[i / 4].order = &order;
          db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &others[i / 4]);
        }
    }
  g_cancellable_cancel (cancellable);
  for (guint i = 0; i < G_N_ELEMENTS (cancelled); i++)
    {
      await (&cancelled[i]);
      g_assert_error (cancelled[i].error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      waiter_clear (&cancelled[i]);
    }
  assert_gauges (fixture.pool, 1, 0, 1, 5);
  g_object_unref (held);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      await (&others[i]);
      g_assert_no_error (others[i].error);
      g_assert_cmpuint (others[i].position, ==, i + 1);
      waiter_clear (&others[i]);
    }
  tear_down (&fixture);
}

static gpointer
cancel_in_thread (gpointer data)
{
  g_cancellable_cancel (data);
  return NULL;
}

/* A grant that is not delivered yet can still be cancelled, and the session goes to the next. */
static void
test_cancel_granted (void)
{
  Fixture fixture;

  set_up (&fixture, 1, 10 * SECOND);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      DbConnection *held = acquire (fixture.pool);
      Waiter first = {0};
      Waiter second = {0};
      GThread *thread;

      db_pool_acquire_async (fixture.pool, cancellable, acquired_cb, &first);
      db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &second);
      thread = g_thread_new ("cancel", cancel_in_thread, cancellable);
      g_object_unref (held);
      if (i % 2 == 0)
        g_thread_join (g_steal_pointer (&thread));
      await (&first);
      if (i % 2 == 0)
        g_assert_error (first.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      waiter_clear (&first);
      await (&second);
      g_assert_no_error (second.error);
      waiter_clear (&second);
      if (thread != NULL)
        g_thread_join (thread);
      assert_gauges (fixture.pool, 1, 1, 0, 0);
    }
  tear_down (&fixture);
}

static void
test_cancel_blocking (void)
{
  Fixture fixture;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  DbConnection *held;
  gpointer args[2];
  GThread *thread;

  set_up (&fixture, 1, 10 * SECOND);
  held = acquire (fixture.pool);
  args[0] = fixture.pool;
  args[1] = cancellable;
  thread = g_thread_new ("waiter", acquire_in_thread, args);
  await_gauges (fixture.pool, 1, 0, 1, 1);
  g_cancellable_cancel (cancellable);
  error = g_thread_join (thread);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_object_unref (held);
  tear_down (&fixture);
}

static void
count_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  guint *count = data;
  GError *error = NULL;
  g_autoptr (DbConnection) connection = db_pool_acquire_finish (DB_POOL (source), result, &error);

  g_assert_no_error (error);
  ++*count;
}

static void
test_many_waiters (void)
{
  Fixture fixture;
  DbConnection *held;
  guint count = 0;

  set_up (&fixture, 1, 60 * SECOND);
  held = acquire (fixture.pool);
  for (guint i = 0; i < 20000; i++)
    db_pool_acquire_async (fixture.pool, NULL, count_cb, &count);
  g_object_unref (held);
  while (count < 20000)
    g_main_context_iteration (NULL, TRUE);
  assert_gauges (fixture.pool, 1, 1, 0, 0);
  tear_down (&fixture);
}

static void
never_finished_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  *(gboolean *) data = TRUE;
}

/* Results that nobody fetches go back by themselves. */
static void
test_unclaimed (void)
{
  Fixture fixture;
  gboolean called = FALSE;

  set_up (&fixture, 1, SECOND);
  db_pool_acquire_async (fixture.pool, NULL, never_finished_cb, &called);
  while (!called)
    g_main_context_iteration (NULL, TRUE);
  await_gauges (fixture.pool, 1, 1, 0, 0);
  db_pool_acquire_async (fixture.pool, NULL, NULL, NULL);
  await_gauges (fixture.pool, 1, 0, 1, 0);
  await_gauges (fixture.pool, 1, 1, 0, 0);
  tear_down (&fixture);
}

static gpointer
hammer (gpointer data)
{
  Fixture *fixture = data;

  for (guint i = 0; i < 2000; i++)
    {
      DbConnection *connection = acquire (fixture->pool);

      if (i % 100 == 0)
        g_thread_yield ();
      g_object_unref (connection);
    }
  return NULL;
}

static void
test_threads (void)
{
  Fixture fixture;
  GThread *threads[8];

  set_up (&fixture, 3, 60 * SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("hammer", hammer, &fixture);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).max_live, <=, 3);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).closes, ==, 0);
  tear_down (&fixture);
}

static void
test_hundred_thousand (void)
{
  Fixture fixture;

  set_up (&fixture, 1, SECOND);
  for (guint i = 0; i < 100000; i++)
    g_object_unref (acquire (fixture.pool));
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opens, ==, 1);
  tear_down (&fixture);
}

static void
test_permanent_error (void)
{
  Fixture fixture;
  g_autoptr (GError) wrong = g_error_new_literal (DB_ERROR, DB_ERROR_AUTHENTICATION, "wrong");
  GError *error = NULL;
  Waiter waiter = {0};

  set_up (&fixture, 1, 60 * SECOND);
  fake_manager_fail_opens (fixture.manager, G_MAXUINT, wrong);
  for (guint i = 0; i < 100; i++)
    {
      g_assert_null (db_pool_acquire (fixture.pool, NULL, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_AUTHENTICATION);
      g_clear_error (&error);
    }
  db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiter);
  await (&waiter);
  g_assert_error (waiter.error, DB_ERROR, DB_ERROR_AUTHENTICATION);
  waiter_clear (&waiter);
  assert_gauges (fixture.pool, 0, 0, 0, 0);
  fake_manager_fail_opens (fixture.manager, 0, NULL);
  g_object_unref (acquire (fixture.pool));
  tear_down (&fixture);
}

static void
test_transient_error (void)
{
  Fixture fixture;
  g_autoptr (GError) refused = g_error_new_literal (DB_ERROR, DB_ERROR_CONNECTION, "refused by M");
  GError *error = NULL;

  set_up (&fixture, 1, 200 * MS);
  fake_manager_fail_opens (fixture.manager, G_MAXUINT, refused);
  g_assert_null (db_pool_acquire (fixture.pool, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_nonnull (strstr (error->message, "refused by M"));
  g_clear_error (&error);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opens, <, 100);

  fake_manager_fail_opens (fixture.manager, 3, refused);
  g_object_set (db_pool_get_config (fixture.pool), "connection-timeout", 30 * SECOND, NULL);
  g_object_unref (acquire (fixture.pool));
  tear_down (&fixture);
}

static void
test_silent_failures (void)
{
  Fixture fixture;
  GError *error = NULL;
  DbConnection *connection;

  set_up (&fixture, 1, SECOND);
  fake_manager_fail_opens (fixture.manager, 1, NULL);
  g_assert_null (db_pool_acquire (fixture.pool, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "failed without an error"));
  g_clear_error (&error);
  connection = acquire (fixture.pool);
  g_assert_null (db_connection_query (connection, "fail silently", NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_FAILED);
  g_clear_error (&error);
  g_object_unref (connection);
  tear_down (&fixture);
}

/* A cancelled or late caller does not cancel the open that it caused. */
static void
test_open_outlives_its_caller (void)
{
  Fixture fixture;
  GError *error = NULL;

  set_up (&fixture, 2, 20 * MS);
  fake_manager_hang_opens (fixture.manager, TRUE);
  g_assert_null (db_pool_acquire (fixture.pool, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_clear_error (&error);
  fake_manager_hang_opens (fixture.manager, FALSE);
  await_gauges (fixture.pool, 1, 1, 0, 0);
  tear_down (&fixture);
}

/* The one who waits takes what comes first: here a session that was given back. */
static void
test_waiter_takes_what_comes_first (void)
{
  Fixture fixture;
  DbConnection *held;
  Waiter waiter = {0};
  guint id;

  set_up (&fixture, 2, 10 * SECOND);
  held = acquire (fixture.pool);
  id = fake_connection_get_id (held);
  fake_manager_hang_opens (fixture.manager, TRUE);
  db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiter);
  fake_manager_await_opens (fixture.manager, 2);
  g_object_unref (held);
  await (&waiter);
  g_assert_no_error (waiter.error);
  g_assert_cmpuint (fake_connection_get_id (waiter.connection), ==, id);
  waiter_clear (&waiter);
  fake_manager_hang_opens (fixture.manager, FALSE);
  await_gauges (fixture.pool, 2, 2, 0, 0);
  tear_down (&fixture);
}

static gboolean
must_not_run (gpointer data)
{
  g_assert_not_reached ();
}

static void
test_blocking_runs_no_loop (void)
{
  Fixture fixture;
  DbConnection *held;
  GError *error = NULL;
  guint source = g_idle_add_full (G_PRIORITY_HIGH, must_not_run, NULL, NULL);

  set_up (&fixture, 1, 30 * SECOND);
  held = acquire (fixture.pool);
  g_assert_null (db_pool_acquire_full (fixture.pool, 0, 20 * MS, NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_clear_error (&error);
  g_source_remove (source);
  g_object_unref (held);
  tear_down (&fixture);
}

/* An asynchronous grant whose context does not run is taken away at its deadline. */
static void
test_undelivered (void)
{
  Fixture fixture;
  Waiter waiter = {0};
  DbConnection *connection;
  GError *error = NULL;

  set_up (&fixture, 1, 10 * SECOND);
  g_object_unref (acquire (fixture.pool));
  db_pool_acquire_full_async (fixture.pool, 0, 50 * MS, NULL, NULL, acquired_cb, &waiter);
  g_assert_null (db_pool_acquire_full (fixture.pool, 0, 10 * MS, NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_nonnull (strstr (error->message, "main context has not run"));
  g_clear_error (&error);
  connection = acquire (fixture.pool);
  await (&waiter);
  g_assert_error (waiter.error, DB_ERROR, DB_ERROR_TIMEOUT);
  waiter_clear (&waiter);
  g_object_unref (connection);
  tear_down (&fixture);
}

static void
test_bad_configuration (void)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (DbPool) orphan = NULL;
  GError *error = NULL;

  g_object_set (config, "min-connections", 4, "max-connections", 2, NULL);
  g_assert_null (db_pool_new (DB_CONNECTION_MANAGER (manager), config, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_clear_error (&error);
  orphan = g_object_new (DB_TYPE_POOL, NULL);
  g_assert_null (db_pool_acquire (orphan, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_clear_error (&error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (240); /* the watchdog of every wait above */

#define ADD(path, func) g_test_add_func ("/pool/" path, func)
  ADD ("lazy", test_lazy);
  ADD ("gauges", test_gauges);
  ADD ("reuse", test_reuse);
  ADD ("timeout", test_timeout);
  ADD ("timeout/async", test_timeout_async);
  ADD ("try", test_try);
  ADD ("async/not-reentrant", test_async_is_not_reentrant);
  ADD ("async/contexts", test_contexts);
  ADD ("async/order", test_async_order);
  ADD ("async/many-waiters", test_many_waiters);
  ADD ("async/unclaimed", test_unclaimed);
  ADD ("async/undelivered", test_undelivered);
  ADD ("cancel/before", test_cancelled_before);
  ADD ("cancel/waiting", test_cancel_waiting);
  ADD ("cancel/granted", test_cancel_granted);
  ADD ("cancel/blocking", test_cancel_blocking);
  ADD ("threads", test_threads);
  ADD ("hundred-thousand", test_hundred_thousand);
  ADD ("open/permanent-error", test_permanent_error);
  ADD ("open/transient-error", test_transient_error);
  ADD ("open/silent-failures", test_silent_failures);
  ADD ("open/outlives-its-caller", test_open_outlives_its_caller);
  ADD ("open/what-comes-first", test_waiter_takes_what_comes_first);
  ADD ("blocking-runs-no-loop", test_blocking_runs_no_loop);
  ADD ("bad-configuration", test_bad_configuration);
#undef ADD
  return g_test_run ();
}
