/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What becomes of a connection that was got, with a scripted manager: what is done with it, by one
 * at a time; what it is given back as, and what that does to its session; sessions too many or too
 * old; a close, and a fork, while it is out. Getting one is in test-pool.c. */

#include "config.h"

#include "db-reuse-private.h"
#include "pool-fixture.h"

#include <sys/wait.h>
#include <unistd.h>

static void
count_freed (gpointer data)
{
  (*(guint *) data)++;
}

/* Whatever aliases exist, a released handle reaches nobody. */
static void
test_released (void)
{
  Fixture fixture;
  DbConnection *stale, *current;
  GError *error = NULL;
  g_autoptr (DbResult) result = NULL;

  set_up (&fixture, 1, SECOND);
  stale = acquire (fixture.pool);
  g_assert_false (db_connection_is_released (stale));
  db_connection_release (stale);
  db_connection_release (stale);
  g_assert_true (db_connection_is_released (stale));
  g_assert_null (db_connection_get_session (stale));

  current = acquire (fixture.pool);
  g_assert_null (db_connection_query (stale, "SELECT 1", NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
  g_clear_error (&error);
  g_assert_cmpint (db_connection_execute (stale, "SELECT 1", NULL, NULL, &error), ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
  g_clear_error (&error);
  g_assert_null (db_connection_begin (stale, DB_ISOLATION_DEFAULT, 0, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
  g_clear_error (&error);
  db_connection_release (stale);
  g_object_unref (stale);
  g_assert_false (db_connection_is_released (current));
  result = db_connection_query (current, "SELECT 1", NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, fake_connection_get_id (current));
  g_object_unref (current);
  tear_down (&fixture);
}

/* A handle that is given back with the only reference to it may serve the next loan, as if it were
 * new: here it does, where no sanitizer watches. */
static void
test_given_back (void)
{
  Fixture fixture;
  DbConnection *connection;
  g_autoptr (DbTransaction) transaction = NULL;
  gconstpointer first;

  set_up (&fixture, 1, SECOND);
  connection = acquire (fixture.pool);
  first = connection;
  g_assert_cmpint (db_connection_execute (connection, "fail", NULL, NULL, NULL), ==, -1);
  transaction = db_connection_begin (connection, DB_ISOLATION_DEFAULT, 0, NULL, NULL);
  g_assert_true (db_transaction_commit (transaction, NULL, NULL));
  g_clear_object (&transaction);
  db_pool_give_back (fixture.pool, connection);
  assert_gauges (fixture.pool, 1, 1, 0, 0);

  connection = acquire (fixture.pool);
  if (DB_REUSES_OBJECTS)
    g_assert_true (connection == first);
  g_assert_cmpuint (((GObject *) connection)->ref_count, ==, 1);
  g_assert_false (db_connection_is_released (connection));
  g_assert_null (db_connection_get_last_error_info (connection));
  g_assert_cmpint (db_connection_execute (connection, "SELECT 1", NULL, NULL, NULL), ==, 1);

  /* A session that goes takes the handle that waits for it along. */
  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_BROKEN);
  db_pool_give_back (fixture.pool, connection);
  await_gauges (fixture.pool, 0, 0, 0, 0);
  tear_down (&fixture);
}

/* What g_autoptr() does is the end of a reference, and only that of the last one ends the loan. */
static void
test_dropped (void)
{
  Fixture fixture;
  g_autoptr (DbPoolStats) stats = NULL;
  gconstpointer first = NULL;
  gpointer weak = NULL;

  set_up (&fixture, 1, SECOND);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (DbConnection) connection = acquire (fixture.pool);

      g_assert_false (db_connection_is_released (connection));
      if (DB_REUSES_OBJECTS && first != NULL)
        g_assert_true (connection == first);
      first = connection;
    }
  assert_gauges (fixture.pool, 1, 1, 0, 0);
  {
    g_autoptr (DbConnection) connection = acquire (fixture.pool);

    {
      g_autoptr (DbConnection) alias = g_object_ref (connection);
    }
    g_assert_false (db_connection_is_released (connection));
    assert_gauges (fixture.pool, 1, 0, 1, 0);
    weak = connection;
    g_object_add_weak_pointer (G_OBJECT (connection), &weak);
  }
  g_assert_null (weak);
  {
    g_autoptr (DbConnection) connection = acquire (fixture.pool);

    db_connection_release (connection);
    assert_gauges (fixture.pool, 1, 1, 0, 0);
  }
  assert_gauges (fixture.pool, 1, 1, 0, 0);

  stats = db_pool_get_stats (fixture.pool);
  g_assert_cmpuint (db_pool_stats_get_acquired (stats), ==, 4);
  g_assert_cmpuint (db_pool_stats_get_finalized (stats), ==, 3);
  tear_down (&fixture);
}

/* Somebody could tell. */
static void
test_given_back_but_known (void)
{
  Fixture fixture;
  DbConnection *connection, *next;
  g_autoptr (DbTransaction) transaction = NULL;
  g_autoptr (GObject) alias = NULL;
  gpointer weak;
  guint n_freed = 0;

  set_up (&fixture, 1, SECOND);
  connection = acquire (fixture.pool);
  alias = g_object_ref (G_OBJECT (connection));
  db_pool_give_back (fixture.pool, connection);
  next = acquire (fixture.pool);
  g_assert_true ((gpointer) next != (gpointer) alias);
  g_assert_true (db_connection_is_released (DB_CONNECTION (alias)));
  g_assert_false (db_connection_is_released (next));
  g_assert_cmpint (db_connection_execute (next, "SELECT 1", NULL, NULL, NULL), ==, 1);

  weak = next;
  g_object_add_weak_pointer (G_OBJECT (next), &weak);
  db_pool_give_back (fixture.pool, next);
  g_assert_null (weak);

  connection = acquire (fixture.pool);
  g_object_set_data_full (G_OBJECT (connection), "attached", &n_freed, count_freed);
  db_pool_give_back (fixture.pool, connection);
  g_assert_cmpuint (n_freed, ==, 1);

  /* What is left open goes with the loan, and its guard stays without effect. */
  connection = acquire (fixture.pool);
  transaction = db_connection_begin (connection, DB_ISOLATION_DEFAULT, 0, NULL, NULL);
  db_pool_give_back (fixture.pool, connection);
  next = acquire (fixture.pool);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).resets, ==, 1);
  g_assert_false (db_transaction_commit (transaction, NULL, NULL));
  g_assert_cmpint (db_connection_execute (next, "SELECT 1", NULL, NULL, NULL), ==, 1);
  g_assert_cmpint (db_session_get_state (db_connection_get_session (next)), ==, DB_SESSION_IDLE);

  /* An open transaction whose guard has gone is no state of a new handle either. */
  g_object_unref (db_connection_begin (next, DB_ISOLATION_DEFAULT, 0, NULL, NULL));
  db_pool_give_back (fixture.pool, next);
  next = acquire (fixture.pool);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).resets, ==, 2);
  g_assert_cmpint (db_session_get_state (db_connection_get_session (next)), ==, DB_SESSION_IDLE);

  g_clear_object (&transaction);
  transaction = db_connection_begin (next, DB_ISOLATION_DEFAULT, 0, NULL, NULL);
  g_assert_cmpint (db_session_get_state (db_connection_get_session (next)), ==,
                   DB_SESSION_IN_TRANSACTION);
  g_assert_true (db_transaction_commit (transaction, NULL, NULL));
  g_clear_object (&transaction);

  g_assert_true (db_connection_detach (next, NULL));
  db_pool_give_back (fixture.pool, next);
  await_gauges (fixture.pool, 0, 0, 0, 0);
  next = acquire (fixture.pool);
  g_assert_true (db_pool_close (fixture.pool, 0, NULL, NULL) || db_connection_is_released (next));
  db_pool_give_back (fixture.pool, next);
  g_clear_object (&transaction);
  g_clear_object (&alias);
  tear_down (&fixture);
}

static void
test_returned_states (void)
{
  Fixture fixture;
  DbConnection *connection;
  guint id;

  set_up (&fixture, 1, SECOND);
  connection = acquire (fixture.pool);
  id = fake_connection_get_id (connection);
  g_assert_cmpint (db_connection_execute (connection, "SET", NULL, NULL, NULL), ==, 1);
  g_object_unref (connection);
  connection = acquire (fixture.pool);
  g_assert_cmpuint (fake_connection_get_id (connection), ==, id);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).resets, ==, 1);

  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_IN_TRANSACTION);
  g_object_unref (connection);
  connection = acquire (fixture.pool);
  g_assert_cmpuint (fake_connection_get_id (connection), ==, id);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).resets, ==, 2);

  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_BROKEN);
  g_object_unref (connection);
  connection = acquire (fixture.pool);
  g_assert_cmpuint (fake_connection_get_id (connection), ==, id + 1);

  fake_manager_fail_resets (fixture.manager, TRUE);
  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_IN_TRANSACTION);
  g_object_unref (connection);
  connection = acquire (fixture.pool);
  g_assert_cmpuint (fake_connection_get_id (connection), ==, id + 2);
  g_object_unref (connection);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).max_live, ==, 1);
  tear_down (&fixture);
}

static void
test_check (void)
{
  Fixture fixture;
  DbConnection *connection;
  guint id;

  set_up (&fixture, 1, SECOND);
  g_object_set (db_pool_get_config (fixture.pool), "validate-after-idle", (gint64) 0, NULL);
  connection = acquire (fixture.pool);
  id = fake_connection_get_id (connection);
  g_object_unref (connection);
  connection = acquire (fixture.pool);
  g_assert_cmpuint (fake_connection_get_id (connection), ==, id);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).checks, ==, 1);
  g_object_unref (connection);

  fake_manager_fail_checks (fixture.manager, TRUE);
  connection = acquire (fixture.pool);
  g_assert_cmpuint (fake_connection_get_id (connection), ==, id + 1);
  g_object_unref (connection);

  /* Found dead by a passive look. */
  g_object_set (db_pool_get_config (fixture.pool), "validate-after-idle", (gint64) -1, NULL);
  connection = acquire (fixture.pool);
  fake_session_set_alive (fake_connection_get_session (connection), FALSE);
  g_object_unref (connection);
  g_usleep (2 * MS); /* a session that was used just now is not looked at */
  connection = acquire (fixture.pool);
  g_assert_cmpuint (fake_connection_get_id (connection), ==, id + 2);
  g_object_unref (connection);
  tear_down (&fixture);
}

static void
test_close_wakes_waiters (void)
{
  Fixture fixture;
  DbConnection *held;
  Waiter waiter = {0};
  GError *error = NULL;
  GThread *thread;
  gpointer args[2] = {NULL, NULL};

  set_up (&fixture, 1, 60 * SECOND);
  held = acquire (fixture.pool);
  args[0] = fixture.pool;
  thread = g_thread_new ("waiter", acquire_in_thread, args);
  db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiter);
  await_gauges (fixture.pool, 1, 0, 1, 2);
  g_assert_false (db_pool_close (fixture.pool, 10 * MS, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_clear_error (&error);
  error = g_thread_join (thread);
  g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
  g_clear_error (&error);
  await (&waiter);
  g_assert_error (waiter.error, DB_ERROR, DB_ERROR_CLOSED);
  waiter_clear (&waiter);
  g_assert_null (db_pool_acquire (fixture.pool, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_true (db_connection_is_released (held));
  g_object_unref (held);
  tear_down (&fixture);
}

static gpointer
query_in_thread (gpointer data)
{
  GError *error = NULL;
  g_autoptr (DbResult) result = db_connection_query (data, "hang", NULL, NULL, &error);

  return error;
}

/* At the deadline of a close what runs is cancelled, and the report names who held what. */
static void
test_close_ends_loans (void)
{
  Fixture fixture;
  DbConnection *held;
  GError *error = NULL;
  GThread *thread;

  set_up (&fixture, 1, SECOND);
  held = db_pool_acquire_full (fixture.pool, 0, -1, "night report", NULL, &error);
  g_assert_no_error (error);
  thread = g_thread_new ("query", query_in_thread, held);
  fake_session_await_hang (fake_connection_get_session (held));
  g_assert_false (db_pool_close (fixture.pool, 20 * MS, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_nonnull (strstr (error->message, "night report"));
  g_clear_error (&error);
  error = g_thread_join (thread);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_null (db_connection_query (held, "SELECT 1", NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
  g_clear_error (&error);
  g_object_unref (held);
  tear_down (&fixture);
}

static gpointer
let_go_in_thread (gpointer session)
{
  fake_session_let_go (session);
  return NULL;
}

/* The query ends at the very moment at which a close cancels it: the session may be closed by then.
 */
static void
test_close_meets_the_end (void)
{
  for (guint i = 0; i < 300; i++)
    {
      Fixture fixture;
      DbConnection *held;
      g_autoptr (FakeSession) session = NULL;
      GThread *query, *let_go;
      GError *error = NULL;

      set_up (&fixture, 1, SECOND);
      held = acquire (fixture.pool);
      session = g_object_ref (fake_connection_get_session (held));
      query = g_thread_new ("query", query_in_thread, held);
      fake_session_await_hang (session);
      let_go = g_thread_new ("let go", let_go_in_thread, session);
      db_pool_close (fixture.pool, 0, NULL, NULL);
      g_thread_join (let_go);
      error = g_thread_join (query);
      g_clear_error (&error);
      g_object_unref (held);
      tear_down (&fixture);
    }
}

static void
closed_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  GError *error = NULL;

  g_assert_true (db_pool_close_finish (DB_POOL (source), result, &error));
  g_assert_no_error (error);
  *(gboolean *) data = TRUE;
}

static void
test_close_waits (void)
{
  Fixture fixture;
  DbConnection *held;
  gboolean closed = FALSE;

  set_up (&fixture, 1, SECOND);
  held = acquire (fixture.pool);
  db_pool_close_async (fixture.pool, 60 * SECOND, NULL, closed_cb, &closed);
  g_assert_true (db_pool_is_closed (fixture.pool));
  g_assert_false (db_connection_is_released (held));
  g_assert_cmpint (db_connection_execute (held, "SELECT 1", NULL, NULL, NULL), ==, 1);
  g_object_unref (held);
  while (!closed)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).live, ==, 0);
  tear_down (&fixture);
}

static void
test_pool_dropped_first (void)
{
  Fixture fixture;
  DbConnection *held;
  FakeLedger ledger;

  set_up (&fixture, 2, SECOND);
  held = acquire (fixture.pool);
  g_object_unref (acquire (fixture.pool));
  g_assert_finalize_object (fixture.pool);
  g_assert_false (db_connection_is_released (held));
  g_assert_cmpint (db_connection_execute (held, "SELECT 1", NULL, NULL, NULL), ==, 1);
  g_assert_finalize_object (held);
  do
    {
      g_thread_yield ();
      ledger = fake_manager_get_ledger (fixture.manager);
    }
  while (ledger.live > 0);
  g_assert_cmpuint (ledger.opened, ==, ledger.closes);
  g_object_unref (fixture.manager);
}

static void
queried_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Waiter *waiter = data;
  g_autoptr (DbResult) rows =
    db_connection_query_finish (DB_CONNECTION (source), result, &waiter->error);

  waiter->done = TRUE;
  if (waiter->order != NULL)
    waiter->position = ++*waiter->order;
}

/* Asynchronous operations wait their turn in call order; a blocking one fails; a release ends those
 * that wait. */
static void
test_one_at_a_time (void)
{
  Fixture fixture;
  DbConnection *connection;
  Waiter waiters[4] = {0};
  GError *error = NULL;
  guint order = 0;

  set_up (&fixture, 1, SECOND);
  connection = acquire (fixture.pool);
  for (guint i = 0; i < 4; i++)
    {
      waiters[i].order = &order;
      db_connection_query_async (connection, i == 0 ? "hang" : "SELECT 1", NULL, NULL, queried_cb,
                                 &waiters[i]);
    }
  fake_session_await_hang (fake_connection_get_session (connection));
  g_assert_null (db_connection_query (connection, "SELECT 1", NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
  g_clear_error (&error);
  fake_session_let_go (fake_connection_get_session (connection));
  for (guint i = 0; i < 4; i++)
    {
      await (&waiters[i]);
      g_assert_no_error (waiters[i].error);
      g_assert_cmpuint (waiters[i].position, ==, i + 1);
      waiters[i].done = FALSE;
    }

  for (guint i = 0; i < 4; i++)
    db_connection_query_async (connection, i == 0 ? "hang" : "SELECT 1", NULL, NULL, queried_cb,
                               &waiters[i]);
  {
    FakeSession *session = fake_connection_get_session (connection);

    fake_session_await_hang (session);
    db_connection_release (connection);
    assert_gauges (fixture.pool, 1, 0, 1, 0);
    g_assert_false (waiters[1].done);
    for (guint i = 1; i < 4; i++)
      {
        await (&waiters[i]);
        g_assert_error (waiters[i].error, DB_ERROR, DB_ERROR_RELEASED);
        waiter_clear (&waiters[i]);
      }
    fake_session_let_go (session);
  }
  await (&waiters[0]);
  g_assert_no_error (waiters[0].error);
  assert_gauges (fixture.pool, 1, 1, 0, 0);
  g_object_unref (connection);
  tear_down (&fixture);
}

static void
test_cancel_query (void)
{
  Fixture fixture;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DbConnection *connection;
  Waiter waiter = {0};

  set_up (&fixture, 1, SECOND);
  connection = acquire (fixture.pool);
  db_connection_query_async (connection, "hang", NULL, cancellable, queried_cb, &waiter);
  fake_session_await_hang (fake_connection_get_session (connection));
  g_cancellable_cancel (cancellable);
  await (&waiter);
  g_assert_error (waiter.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  waiter_clear (&waiter);
  g_assert_cmpint (db_connection_execute (connection, "SELECT 1", NULL, NULL, NULL), ==, 1);
  g_object_unref (connection);
  tear_down (&fixture);
}

static void
test_transactions (void)
{
  Fixture fixture;
  DbConnection *connection;
  g_autoptr (DbTransaction) outer = NULL;
  DbTransaction *dropped;
  GError *error = NULL;

  set_up (&fixture, 1, SECOND);
  connection = acquire (fixture.pool);
  outer = db_connection_begin (connection, DB_ISOLATION_SERIALIZABLE, 0, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (db_transaction_is_open (outer));
  dropped = db_connection_begin (connection, DB_ISOLATION_DEFAULT, 0, NULL, &error);
  g_assert_no_error (error);
  g_assert_false (db_transaction_commit (outer, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_clear_error (&error);
  g_object_unref (dropped);
  g_assert_true (db_transaction_commit (outer, NULL, &error));
  g_assert_no_error (error);
  g_assert_false (db_transaction_is_open (outer));
  g_assert_false (db_transaction_commit (outer, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_clear_error (&error);

  /* Dropped while open: rolled back in front of the next statement. */
  dropped = db_connection_begin (connection, DB_ISOLATION_DEFAULT, 0, NULL, &error);
  g_assert_no_error (error);
  g_object_unref (dropped);
  g_assert_cmpint (db_session_get_state (db_connection_get_session (connection)), ==,
                   DB_SESSION_IN_TRANSACTION);
  g_assert_cmpint (db_connection_execute (connection, "SELECT 1", NULL, NULL, NULL), ==, 1);
  g_assert_cmpint (db_session_get_state (db_connection_get_session (connection)), ==,
                   DB_SESSION_IDLE);
  /* A guard holds its connection. */
  g_object_unref (connection);
  assert_gauges (fixture.pool, 1, 0, 1, 0);
  g_clear_object (&outer);
  assert_gauges (fixture.pool, 1, 1, 0, 0);
  tear_down (&fixture);
}

static void
test_resize (void)
{
  Fixture fixture;
  DbConnection *a, *b;
  Waiter waiter = {0};

  set_up (&fixture, 1, 10 * SECOND);
  a = acquire (fixture.pool);
  db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiter);
  g_object_set (db_pool_get_config (fixture.pool), "max-connections", 2, NULL);
  await (&waiter);
  g_assert_no_error (waiter.error);
  b = g_steal_pointer (&waiter.connection);
  g_object_set (db_pool_get_config (fixture.pool), "max-connections", 1, NULL);
  assert_gauges (fixture.pool, 2, 0, 2, 0);
  g_object_unref (a);
  await_gauges (fixture.pool, 1, 0, 1, 0);
  g_object_unref (b);
  await_gauges (fixture.pool, 1, 1, 0, 0);
  tear_down (&fixture);
}

static void
test_min_idle_lifetime (void)
{
  Fixture fixture;
  g_autoptr (DbPoolStats) stats = NULL;
  DbConnection *connections[5];
  guint id;

  set_up (&fixture, 5, SECOND);
  g_object_set (db_pool_get_config (fixture.pool), "min-connections", 2, "idle-timeout", 50 * MS,
                "max-lifetime", (gint64) 0, NULL);
  for (guint i = 0; i < 5; i++)
    connections[i] = acquire (fixture.pool);
  for (guint i = 0; i < 5; i++)
    g_object_unref (connections[i]);
  await_gauges (fixture.pool, 2, 2, 0, 0);
  stats = db_pool_get_stats (fixture.pool);
  g_assert_cmpuint (db_pool_stats_get_dropped (stats, DB_DROP_IDLE), ==, 3);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opens, ==, 5);
  tear_down (&fixture);

  set_up (&fixture, 1, SECOND);
  g_object_set (db_pool_get_config (fixture.pool), "idle-timeout", (gint64) 0, "max-lifetime",
                30 * MS, NULL);
  connections[0] = acquire (fixture.pool);
  id = fake_connection_get_id (connections[0]);
  g_usleep (31 * MS);
  g_object_unref (connections[0]);
  connections[0] = acquire (fixture.pool);
  g_assert_cmpuint (fake_connection_get_id (connections[0]), ==, id + 1);
  g_object_unref (connections[0]);
  await_gauges (fixture.pool, 0, 0, 0, 0);
  tear_down (&fixture);
}

/* In a child the pool is dead, and harmless also at exit. */
static void
test_fork (void)
{
  Fixture fixture;
  DbConnection *held;
  int status = 0;
  pid_t pid;

  set_up (&fixture, 2, SECOND);
  held = acquire (fixture.pool);
  g_object_unref (acquire (fixture.pool));
  pid = fork ();
  if (pid == 0)
    {
      GError *error = NULL;

      if (db_pool_acquire (fixture.pool, NULL, &error) != NULL ||
          !g_error_matches (error, DB_ERROR, DB_ERROR_FORKED))
        _exit (1);
      g_clear_error (&error);
      if (db_connection_query (held, "SELECT 1", NULL, NULL, &error) != NULL ||
          !g_error_matches (error, DB_ERROR, DB_ERROR_FORKED))
        _exit (2);
      g_object_unref (held);
      g_object_unref (fixture.pool);
      g_object_unref (fixture.manager);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpint (db_connection_execute (held, "SELECT 1", NULL, NULL, NULL), ==, 1);
  g_object_unref (held);
  tear_down (&fixture);
}

static void
one_shot_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  GError *error = NULL;

  *(gint64 *) data = db_pool_execute_finish (DB_POOL (source), result, &error);
  g_assert_no_error (error);
}

static void
test_one_shot (void)
{
  Fixture fixture;
  g_autoptr (DbResult) result = NULL;
  GError *error = NULL;
  gint64 n = -2;

  set_up (&fixture, 1, SECOND);
  result = db_pool_query (fixture.pool, "SELECT 1", NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 1);
  g_assert_cmpint (db_pool_execute (fixture.pool, "fail", NULL, NULL, &error), ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_clear_error (&error);
  db_pool_execute_async (fixture.pool, "SELECT 1", NULL, NULL, one_shot_cb, &n);
  while (n == -2)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (n, ==, 1);
  assert_gauges (fixture.pool, 1, 1, 0, 0);
  tear_down (&fixture);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (240); /* the watchdog of every wait above */

#define ADD(path, func) g_test_add_func ("/pool/" path, func)
  ADD ("released", test_released);
  ADD ("given-back", test_given_back);
  ADD ("given-back/known", test_given_back_but_known);
  ADD ("dropped", test_dropped);
  ADD ("cancel/query", test_cancel_query);
  ADD ("return/states", test_returned_states);
  ADD ("check", test_check);
  ADD ("close/wakes-waiters", test_close_wakes_waiters);
  ADD ("close/ends-loans", test_close_ends_loans);
  ADD ("close/waits", test_close_waits);
  ADD ("close/meets-the-end", test_close_meets_the_end);
  ADD ("close/pool-dropped-first", test_pool_dropped_first);
  ADD ("connection/one-at-a-time", test_one_at_a_time);
  ADD ("connection/transactions", test_transactions);
  ADD ("resize", test_resize);
  ADD ("min-idle-lifetime", test_min_idle_lifetime);
  ADD ("fork", test_fork);
  ADD ("one-shot", test_one_shot);
#undef ADD
  return g_test_run ();
}
