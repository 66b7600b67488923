/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What asynchronous callers may rely on: where and when callbacks run, what a result is, contexts
 * that are slow, stuck or gone, and that blocking callers run no main loop.
 *
 * Holds ASY-02, 03, 06, 07, 09, 10, 12, 13, 14. */

#include "config.h"

#include "db-lock-private.h"
#include "scenario.h"

/* An asynchronous acquire in the context of the test's own thread. */
typedef struct
{
  DbConnection *connection;
  GError *error;
  guint n_calls;
  gboolean forbidden; /* the callback must not run now */
  GThread *thread;
} Result;

static void
acquired_cb (GObject *source, GAsyncResult *task, gpointer data)
{
  Result *result = data;

  g_assert_false (result->forbidden);
  result->connection = db_pool_acquire_finish (DB_POOL (source), task, &result->error);
  g_assert_true ((result->connection == NULL) == (result->error != NULL));
  result->thread = g_thread_self ();
  result->n_calls++;
}

static void
result_clear (Result *result)
{
  g_clear_object (&result->connection);
  g_clear_error (&result->error);
  result->n_calls = 0;
}

/* Begins one, and sees that it is not over before a context has run. */
static void
begin_and_wait (DbPool *pool, gint64 timeout, GCancellable *cancellable, Result *result)
{
  gint64 until = g_get_monotonic_time () + 5 * MS;

  result->forbidden = TRUE;
  db_pool_acquire_full_async (pool, 0, timeout, NULL, cancellable, acquired_cb, result);
  while (g_get_monotonic_time () < until)
    g_thread_yield ();
  result->forbidden = FALSE;
  g_assert_cmpuint (result->n_calls, ==, 0);
  while (result->n_calls == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (result->n_calls, ==, 1);
}

/* ASY-02 */
static void
never_reentrant (World *world)
{
  g_autoptr (GCancellable) cancelled = g_cancellable_new ();
  g_autoptr (GError) wrong = permanent_error ();
  Result result = {0};

  make_pool (world, "max-connections=1 connection-timeout=60s");
  fake_manager_fail (world->manager, FAKE_OPEN, 1, wrong);
  begin_and_wait (world->pool, -1, NULL, &result);
  g_assert_error (result.error, wrong->domain, wrong->code);
  result_clear (&result);

  g_object_unref (acquire (world->pool));
  begin_and_wait (world->pool, -1, NULL, &result);
  g_assert_no_error (result.error);

  /* While that one is out: no wish to wait. */
  {
    Result refused = {0};

    begin_and_wait (world->pool, 0, NULL, &refused);
    g_assert_error (refused.error, DB_ERROR, DB_ERROR_EXHAUSTED);
    result_clear (&refused);
  }
  result_clear (&result);

  g_cancellable_cancel (cancelled);
  begin_and_wait (world->pool, -1, cancelled, &result);
  g_assert_error (result.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  result_clear (&result);

  db_pool_suspend (world->pool);
  begin_and_wait (world->pool, 0, NULL, &result);
  g_assert_error (result.error, DB_ERROR, DB_ERROR_SUSPENDED);
  result_clear (&result);
  db_pool_resume (world->pool);

  g_assert_true (db_pool_close (world->pool, SECOND, NULL, NULL));
  begin_and_wait (world->pool, -1, NULL, &result);
  g_assert_error (result.error, DB_ERROR, DB_ERROR_CLOSED);
  result_clear (&result);
}

/* ASY-02: and not in the iteration in which it was begun. */
static gboolean
begin_in_iteration (gpointer data)
{
  Result *result = ((gpointer *) data)[1];

  result->forbidden = TRUE;
  db_pool_acquire_async (((gpointer *) data)[0], NULL, acquired_cb, result);
  return G_SOURCE_REMOVE;
}

static void
not_in_the_same_iteration (World *world)
{
  Result result = {0};
  gpointer data[] = {make_pool (world, "max-connections=1"), &result};

  g_object_unref (acquire (world->pool));
  g_idle_add_full (G_PRIORITY_HIGH, begin_in_iteration, data, NULL);
  while (!result.forbidden)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (result.n_calls, ==, 0);
  result.forbidden = FALSE;
  while (result.n_calls == 0)
    g_main_context_iteration (NULL, TRUE);
  result_clear (&result);
}

typedef struct
{
  GAsyncResult *result;
  DbPool *pool;
  guint n_calls;
} Kept;

static void
keep_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Kept *kept = data;

  g_assert_true (source == (GObject *) kept->pool);
  kept->result = g_object_ref (result);
  kept->n_calls++;
}

/* ASY-03 */
static void
result_rules (World *world)
{
  Kept kept = {.pool = make_pool (world, "max-connections=2")};
  DbPool *other = make_pool_over (DB_CONNECTION_MANAGER (world->manager), "max-connections=1");
  g_autoptr (GObject) source = NULL;
  DbConnection *connection;
  GError *error = NULL;

  world->max_live = 3;
  db_pool_acquire_async (world->pool, NULL, keep_cb, &kept);
  while (kept.n_calls == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (G_IS_TASK (kept.result));
  g_assert_true (g_task_is_valid (kept.result, world->pool));
  g_assert_true (g_async_result_get_user_data (kept.result) == &kept);
  source = g_async_result_get_source_object (kept.result);
  g_assert_true (source == (GObject *) world->pool);
  g_assert_nonnull (g_task_get_source_tag (G_TASK (kept.result)));
  g_assert_nonnull (g_task_get_name (G_TASK (kept.result)));

  /* Somebody else's result. */
  g_test_expect_message ("dbpool", G_LOG_LEVEL_CRITICAL, "*g_task_is_valid*");
  g_assert_null (db_pool_acquire_finish (other, kept.result, &error));
  g_test_assert_expected_messages ();
  g_assert_no_error (error);

  connection = db_pool_acquire_finish (world->pool, kept.result, &error);
  g_assert_no_error (error);
  g_assert_true (DB_IS_CONNECTION (connection));
  /* A second time gives no second connection, and GIO says what it thinks of that. */
  g_test_expect_message ("GLib-GIO", G_LOG_LEVEL_CRITICAL, "*result_set*");
  g_assert_null (db_pool_acquire_finish (world->pool, kept.result, NULL));
  g_test_assert_expected_messages ();
  assert_stats (world->pool, "lent=1 acquired=1 created=1");
  g_object_unref (connection);
  g_object_unref (kept.result);
  end_pool (other);
}

static void
only_count_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  (*(guint *) data)++;
}

/* ASY-03: what nobody finishes comes back with the result. */
static void
never_finished (World *world)
{
  guint n_calls = 0;

  make_pool (world, "max-connections=1");
  for (guint i = 1; i <= 10; i++)
    {
      db_pool_acquire_async (world->pool, NULL, only_count_cb, &n_calls);
      AWAIT (n_calls == i);
      await_stats (world->pool, "idle=1 lent=0");
      db_pool_acquire_async (world->pool, NULL, NULL, NULL);
      await_stats (world->pool, "lent=0 idle=1 waiting=0 undelivered=0 acquired=%u", 2 * i);
    }
}

typedef struct
{
  DbPool *pool; /* the only reference */
  guint n_calls;
} Last;

static void
drop_pool_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Last *last = data;
  GError *error = NULL;

  g_assert_null (db_pool_acquire_finish (DB_POOL (source), result, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_AUTHENTICATION);
  g_error_free (error);
  last->n_calls++;
  g_clear_object (&last->pool);
}

/* ASY-06 */
static void
pool_dies_last (World *world)
{
  g_autoptr (GError) wrong = permanent_error ();
  Last last = {make_pool_over (DB_CONNECTION_MANAGER (world->manager), "max-connections=1"), 0};
  GWeakRef weak;
  gpointer left;

  g_weak_ref_init (&weak, last.pool);
  fake_manager_fail (world->manager, FAKE_OPEN, G_MAXUINT, wrong);
  for (guint i = 0; i < 2; i++)
    db_pool_acquire_async (last.pool, NULL, drop_pool_cb, &last);
  AWAIT (last.n_calls == 2);
  g_assert_null (last.pool);
  while ((left = g_weak_ref_get (&weak)) != NULL)
    {
      g_object_unref (left);
      scenario_pause ();
    }
  g_weak_ref_clear (&weak);
}

static gboolean
fail_cb (gpointer data)
{
  g_error ("a blocking acquire ran a main context");
  return G_SOURCE_REMOVE;
}

static gpointer
release_later (gpointer connection)
{
  g_usleep (50 * MS);
  db_connection_release (connection);
  return NULL;
}

/* Waits for an open, for somebody else's release and for a deadline. Does not use AWAIT, which
 * would run the context itself. */
static void
block_in_all_ways (World *world)
{
  DbConnection *first, *second;
  GThread *thread;
  GError *error = NULL;

  first = acquire (world->pool);
  thread = g_thread_new ("release", release_later, first);
  second = acquire (world->pool);
  g_thread_join (thread);
  g_object_unref (first);
  g_assert_null (db_pool_acquire_full (world->pool, 0, 50 * MS, NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_clear_error (&error);
  g_object_unref (second);
}

/* ASY-07 */
static void
blocking_runs_no_loop (World *world)
{
  GMainContext *context = g_main_context_new ();
  guint on_default = g_idle_add_full (G_PRIORITY_HIGH, fail_cb, NULL, NULL);
  GSource *source = g_idle_source_new ();

  fake_manager_delay (world->manager, FAKE_OPEN, 50 * MS);
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_callback (source, fail_cb, NULL, NULL);
  g_source_attach (source, context);
  make_pool (world, "max-connections=1 connection-timeout=60s");
  block_in_all_ways (world);
  db_pool_evict_all (world->pool);
  g_main_context_push_thread_default (context);
  block_in_all_ways (world);
  g_main_context_pop_thread_default (context);
  g_source_remove (on_default);
  g_source_destroy (source);
  g_source_unref (source);
  g_main_context_unref (context);
}

static gpointer
cancel_at_random (gpointer data)
{
  g_usleep ((gulong) g_random_int_range (0, 2000));
  g_cancellable_cancel (data);
  return NULL;
}

/* ASY-09 */
static void
cancel_from_another_thread (World *world)
{
  const guint n = (scenario_is_thorough () ? 1000 : 150) / (guint) scenario_factor ();
  DbConnection *held;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  held = acquire (world->pool);
  for (guint i = 0; i < n; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      Caller *caller = caller_start_full (world, -1, cancellable);
      GThread *thread = g_thread_new ("cancel", cancel_at_random, cancellable);

      caller_wait_error (caller, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      assert_soon (caller_get_wait (caller), 50 * MS);
      g_thread_join (thread);
      g_assert_false (
        g_signal_has_handler_pending (cancellable,
                                      g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE), 0, TRUE));
      caller_free (caller);
    }
  assert_stats (world->pool, "cancelled=%u waiting=0 lent=1", n);
  g_object_unref (held);
}

/* ASY-10: a context that has stopped keeps what it was granted until the deadline, or until the
 * cancel. Then others get it, and its callbacks hear of the end when it runs again. */
static void
stuck_context (World *world)
{
  g_autoptr (GMainContext) stuck = g_main_context_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Result results[3] = {{0}};
  DbConnection *held[2];
  Caller *others[2];

  make_pool (world, "max-connections=2 connection-timeout=60s");
  for (guint i = 0; i < 2; i++)
    held[i] = acquire (world->pool);
  g_main_context_push_thread_default (stuck);
  for (guint i = 0; i < 3; i++)
    db_pool_acquire_full_async (world->pool, 0, i == 0 ? 300 * MS : 60 * SECOND, NULL,
                                i == 1 ? cancellable : NULL, acquired_cb, &results[i]);
  g_main_context_pop_thread_default (stuck);
  for (guint i = 0; i < 2; i++)
    others[i] = caller_start_waiting (world);
  for (guint i = 0; i < 2; i++)
    g_object_unref (held[i]);

  /* It has two of its three, and nobody else has any. */
  assert_stats (world->pool, "waiting=3 undelivered=2");
  g_assert_false (caller_is_done (others[0]));
  /* The deadline of the first: its session goes to its third. The cancel: to the first of others.
   */
  await_stats (world->pool, "waiting=2 undelivered=2 timeouts=1");
  g_cancellable_cancel (cancellable);
  caller_wait_connection (others[0]);
  caller_release (others[0]);
  caller_wait_connection (others[1]);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (results[i].n_calls, ==, 0);

  while (results[0].n_calls == 0 || results[1].n_calls == 0 || results[2].n_calls == 0)
    g_main_context_iteration (stuck, TRUE);
  g_assert_error (results[0].error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_error (results[1].error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_no_error (results[2].error);
  for (guint i = 0; i < 3; i++)
    result_clear (&results[i]);
  callers_free (others, 2);
}

static void
closed_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  db_pool_close_finish (DB_POOL (source), result, NULL);
  *(gboolean *) data = TRUE;
}

/* ASY-10: a close does not wait for it for ever. */
static void
close_with_a_stuck_context (World *world)
{
  g_autoptr (GMainContext) stuck = g_main_context_new ();
  gboolean closed = FALSE;
  Result result = {0};
  gint64 began = g_get_monotonic_time ();

  make_pool (world, "max-connections=1 connection-timeout=60s");
  g_object_unref (acquire (world->pool));
  g_main_context_push_thread_default (stuck);
  db_pool_acquire_async (world->pool, NULL, acquired_cb, &result);
  g_main_context_pop_thread_default (stuck);
  db_pool_close_async (world->pool, 100 * MS, NULL, closed_cb, &closed);
  AWAIT (closed);
  assert_soon (g_get_monotonic_time () - began, 2 * SECOND);
  g_assert_cmpuint (result.n_calls, ==, 0);
  while (result.n_calls == 0)
    g_main_context_iteration (stuck, TRUE);
  g_assert_error (result.error, DB_ERROR, DB_ERROR_CLOSED);
  result_clear (&result);
}

static gpointer
make_pool_in_thread (gpointer data)
{
  return make_pool (data, "max-connections=1 max-lifetime=60ms lifetime-jitter=0 idle-timeout=0s "
                          "connection-timeout=60s");
}

/* ASY-12: made on a thread that is gone, used from loops and from none: it is nobody's context that
 * carries the pool. */
static void
used_outside_any_loop (World *world)
{
  guint last = 0;

  g_thread_join (g_thread_new ("maker", make_pool_in_thread, world));
  for (guint i = 0; i < 5; i++)
    {
      Caller *caller = caller_start (world);

      caller_wait_connection (caller);
      g_assert_cmpuint (caller->id, >, last);
      last = caller->id;
      g_assert_cmpint (db_connection_execute (caller->connection, "SELECT 1", NULL, NULL, NULL), >=,
                       0);
      caller_free (caller);
      /* It expires although no context is iterated: a sleep, and not a wait that iterates one. */
      for (guint n = 0; n < 5000 && !stats_are (world->pool, "total=0"); n++)
        g_usleep (MS);
      assert_stats (world->pool, "total=0 dropped-lifetime=%u", i + 1);
    }
}

/* ASY-13 */
static void
mixed_in_one_thread (World *world)
{
  Result result = {0};
  GError *error = NULL;
  gint64 began;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  g_object_unref (acquire (world->pool));
  db_pool_acquire_async (world->pool, NULL, acquired_cb, &result);
  began = g_get_monotonic_time ();
  g_assert_null (db_pool_acquire_full (world->pool, 0, 150 * MS, NULL, NULL, &error));
  assert_took (g_get_monotonic_time () - began, 150 * MS);
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  /* The text says why. */
  g_assert_nonnull (strstr (error->message, "main context has not run"));
  g_clear_error (&error);
  g_assert_cmpuint (result.n_calls, ==, 0);
  while (result.n_calls == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_no_error (result.error);
  g_assert_cmpint (db_connection_execute (result.connection, "SELECT 1", NULL, NULL, NULL), >=, 0);
  result_clear (&result);
}

typedef struct
{
  DbPool *pool;
  guint n;
  guint n_left;
  guint n_beats;
  gsize stack; /* the least address that a callback has had on it */
  DbConnection *connection;
} Chain;

static void
next_link_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Chain *chain = data;
  gsize here = (gsize) &chain;
  GError *error = NULL;
  DbConnection *connection = db_pool_acquire_finish (DB_POOL (source), result, &error);

  g_assert_no_error (error);
  chain->stack = MIN (chain->stack, here);
  g_clear_object (&chain->connection);
  if (--chain->n_left == 0)
    {
      g_object_unref (connection);
      return;
    }
  if (chain->n_left % 2 == 0)
    {
      g_object_unref (connection);
      db_pool_acquire_async (chain->pool, NULL, next_link_cb, chain);
    }
  else
    {
      db_pool_acquire_async (chain->pool, NULL, next_link_cb, chain);
      chain->connection = connection;
    }
}

static gboolean
beat_cb (gpointer data)
{
  ((Chain *) data)->n_beats++;
  return G_SOURCE_CONTINUE;
}

/* ASY-14 */
static void
chained (World *world)
{
  const guint n = (scenario_is_thorough () ? 100000 : 30000) / (guint) scenario_factor ();
  Chain chain = {.n = n, .n_left = n, .stack = G_MAXSIZE};
  gint64 began = g_get_monotonic_time ();
  guint beat;
  gsize first;

  chain.pool = make_pool (world, "max-connections=2 connection-timeout=60s");
  /* Of the same priority as the completions. */
  beat = g_idle_add_full (G_PRIORITY_DEFAULT, beat_cb, &chain, NULL);
  db_pool_acquire_async (chain.pool, NULL, next_link_cb, &chain);
  while (chain.n_left == n)
    g_main_context_iteration (NULL, TRUE);
  first = chain.stack;
  while (chain.n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (beat);
  g_test_message ("%u in %.1f ms, %u beats, %" G_GSIZE_FORMAT " bytes of stack", n,
                  (g_get_monotonic_time () - began) / (double) MS, chain.n_beats,
                  first - chain.stack);
  g_assert_cmpuint (first - chain.stack, <, 4096);
  g_assert_cmpuint (chain.n_beats, >=, n / 10 * 8);
  assert_soon (g_get_monotonic_time () - began, 10 * SECOND);
  assert_stats (world->pool, "lent=0 acquired=%u", n);
}

static void
add_all (void)
{
  scenario_add ("async/never-reentrant/at-all", never_reentrant);
  scenario_add ("async/never-reentrant/in-the-same-iteration", not_in_the_same_iteration);
  scenario_add ("async/result/rules", result_rules);
  scenario_add ("async/result/never-finished", never_finished);
  scenario_add ("async/pool-dies-last", pool_dies_last);
  scenario_add ("async/blocking-runs-no-loop", blocking_runs_no_loop);
  scenario_add_both ("async/cancel-from-another-thread", cancel_from_another_thread);
  scenario_add_both ("async/stuck-context/others", stuck_context);
  scenario_add ("async/stuck-context/close", close_with_a_stuck_context);
  scenario_add_both ("async/used-outside-any-loop", used_outside_any_loop);
  scenario_add ("async/mixed-in-one-thread", mixed_in_one_thread);
  scenario_add ("async/chained", chained);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
