/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The end of a pool and of all that it has; eviction of everything; suspending.
 *
 * Here: CLO-01, CLO-02, CLO-04, CLO-05, CLO-07, CLO-08, CLO-10, CLO-13.
 * Not here: CLO-11 (dbpool has no barrier). */

#include "config.h"

#include "db-lock-private.h"
#include "scenario.h"

#include <stdlib.h>

static void
open_idle (DbPool *pool, guint n)
{
  g_autoptr (GPtrArray) connections = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (connections, acquire (pool));
  g_ptr_array_set_size (connections, 0);
  await_stats (pool, "idle=%u lent=0", n);
}

static void
assert_each_closed_once (FakeManager *manager, guint n)
{
  FakeLedger ledger = fake_manager_get_ledger (manager);

  g_assert_cmpuint (ledger.opened, ==, n);
  g_assert_cmpuint (ledger.closes, ==, n);
  g_assert_cmpuint (ledger.closed, ==, n);
  g_assert_cmpuint (ledger.live, ==, 0);
  /* The manager aborts when a session is closed twice. */
  for (guint id = 1; id <= n; id++)
    g_assert_cmpint (fake_manager_get_record (manager, id).closed, >, 0);
}

/* CLO-01 */
static void
closes_every_idle_one (World *world)
{
  const guint counts[] = {0, 1, 4, 10};

  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    {
      FakeManager *manager = fake_manager_new ();
      DbPool *pool = make_pool_over (DB_CONNECTION_MANAGER (manager), "max-connections=10");
      g_autoptr (GError) error = NULL;

      open_idle (pool, counts[i]);
      g_assert_true (db_pool_close (pool, 10 * SECOND, NULL, &error));
      g_assert_no_error (error);
      assert_each_closed_once (manager, counts[i]);
      assert_stats (pool, "total=0 idle=0 lent=0 opening=0 busy=0 dropped-closed=%u dropped=%u",
                    counts[i], counts[i]);
      end_pool (pool);
      assert_finalized_soon (manager);
    }
}

/* CLO-01: without close(), the last reference does it. */
static void
last_unref_closes (World *world)
{
  FakeManager *manager = fake_manager_new ();
  DbPool *pool = make_pool_over (DB_CONNECTION_MANAGER (manager), "max-connections=5");

  open_idle (pool, 5);
  assert_finalized_soon (pool);
  AWAIT (fake_manager_get_ledger (manager).closed == 5);
  assert_each_closed_once (manager, 5);
  assert_finalized_soon (manager);
}

/* The pool goes first: its connections live on, and close their sessions when they go. */
static void
last_unref_before_connections (World *world)
{
  FakeManager *manager = fake_manager_new ();
  DbPool *pool = make_pool_over (DB_CONNECTION_MANAGER (manager), "max-connections=3");
  DbConnection *a = acquire (pool);
  DbConnection *b = acquire (pool);
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = NULL;

  g_object_unref (acquire (pool));
  g_object_unref (pool);
  AWAIT (fake_manager_get_ledger (manager).closed == 1);
  result = db_connection_query (a, "SELECT 1", NULL, NULL, &error);
  g_assert_no_error (error);
  db_connection_release (a);
  AWAIT (fake_manager_get_ledger (manager).closed == 2);
  g_object_unref (b);
  AWAIT (fake_manager_get_ledger (manager).closed == 3);
  g_object_unref (a);
  assert_each_closed_once (manager, 3);
  assert_finalized_soon (manager);
}

typedef struct
{
  DbPool *pool;
  gint64 timeout;
  gint64 began;
  gint64 ended;
  gboolean result;
  GError *error;
  gint done; /* atomic */
} Closer;

static gpointer
close_pool (gpointer data)
{
  Closer *self = data;

  self->began = g_get_monotonic_time ();
  self->result = db_pool_close (self->pool, self->timeout, NULL, &self->error);
  self->ended = g_get_monotonic_time ();
  g_assert_true (self->result == (self->error == NULL));
  g_atomic_int_set (&self->done, TRUE);
  return NULL;
}

static void
closed_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Closer *self = data;

  self->result = db_pool_close_finish (DB_POOL (source), result, &self->error);
  self->ended = g_get_monotonic_time ();
  g_assert_true (self->result == (self->error == NULL));
  g_atomic_int_set (&self->done, TRUE);
}

/* Closes as the world's callers call: on a thread, or in the main context. */
static GThread *
closer_begin (World *world, Closer *self, gint64 timeout)
{
  *self = (Closer){.pool = world->pool, .timeout = timeout, .began = g_get_monotonic_time ()};
  if (!world->async)
    return g_thread_new ("closer", close_pool, self);
  db_pool_close_async (world->pool, timeout, NULL, closed_cb, self);
  g_assert_false (self->done);
  return NULL;
}

static void
closer_end (Closer *self, GThread *thread)
{
  AWAIT (g_atomic_int_get (&self->done));
  if (thread != NULL)
    g_thread_join (thread);
}

/* CLO-02: lent ones are waited for. */
static void
waits_for_lent_ones (World *world)
{
  DbConnection *connections[4];
  Closer closer;
  GThread *thread;

  make_pool (world, "max-connections=4");
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    connections[i] = acquire (world->pool);
  thread = closer_begin (world, &closer, 60 * SECOND);
  AWAIT (db_pool_is_closed (world->pool));
  pass_time (100 * MS);
  g_assert_false (g_atomic_int_get (&closer.done));
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    {
      g_assert_false (db_connection_is_released (connections[i]));
      g_object_unref (connections[i]);
    }
  closer_end (&closer, thread);
  g_assert_no_error (closer.error);
  assert_took (closer.ended - closer.began, 100 * MS);
  assert_each_closed_once (world->manager, 4);
  assert_stats (world->pool, "total=0 idle=0 dropped-closed=4");
}

/* CLO-02: the deadline passes: loans are ended, and the error says whose. */
static void
ends_loans_at_the_deadline (World *world)
{
  DbConnection *a;
  DbConnection *b;
  g_autoptr (GError) error = NULL;
  Closer closer;
  GThread *thread;

  make_pool (world, "max-connections=4 name=shop");
  a = db_pool_acquire_full (world->pool, 0, -1, "the first borrower", NULL, &error);
  g_assert_no_error (error);
  b = db_pool_acquire_full (world->pool, 0, -1, "the second borrower", NULL, &error);
  g_assert_no_error (error);
  thread = closer_begin (world, &closer, 200 * MS);
  closer_end (&closer, thread);
  assert_took (closer.ended - closer.began, 200 * MS);
  g_assert_error (closer.error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_nonnull (strstr (closer.error->message, "loans that were ended: 2"));
  g_assert_nonnull (strstr (closer.error->message, "shop"));
  g_assert_nonnull (strstr (closer.error->message, "the first borrower"));
  g_assert_nonnull (strstr (closer.error->message, "the second borrower"));
  g_clear_error (&closer.error);

  /* The handles are inert, and giving them back changes nothing. */
  g_assert_null (db_connection_query (a, "SELECT 1", NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
  AWAIT (fake_manager_get_ledger (world->manager).closed == 2);
  db_connection_release (a);
  g_object_unref (a);
  g_object_unref (b);
  assert_stats (world->pool, "total=0 idle=0 dropped-closed=2 dropped=2");
  assert_each_closed_once (world->manager, 2);
}

typedef struct
{
  DbConnection *connection;
  GError *error;
} Query;

static gpointer
run_query (gpointer data)
{
  Query *self = data;

  g_assert_null (db_connection_query (self->connection, "hang", NULL, NULL, &self->error));
  return NULL;
}

/* CLO-02: and what runs on them is cancelled. */
static void
cancels_queries_at_the_deadline (World *world)
{
  Query query = {0};
  Closer closer;
  GThread *thread;
  GThread *querier;

  make_pool (world, "max-connections=1");
  query.connection = acquire (world->pool);
  querier = g_thread_new ("query", run_query, &query);
  fake_session_await_hang (fake_connection_get_session (query.connection));
  thread = closer_begin (world, &closer, 50 * MS);
  closer_end (&closer, thread);
  g_assert_error (closer.error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_clear_error (&closer.error);
  g_thread_join (querier);
  g_assert_nonnull (query.error);
  g_clear_error (&query.error);
  g_object_unref (query.connection);
  AWAIT (fake_manager_get_ledger (world->manager).closed == 1);
  assert_stats (world->pool, "total=0");
}

/* CLO-02: what comes back later is closed, and not kept. */
static void
returned_after_close (World *world)
{
  DbConnection *held;

  make_pool (world, "max-connections=2");
  held = acquire (world->pool);
  {
    Closer closer;
    GThread *thread = closer_begin (world, &closer, 60 * SECOND);

    AWAIT (db_pool_is_closed (world->pool));
    assert_stats (world->pool, "lent=1 idle=0");
    fake_manager_hang_closes (world->manager, TRUE);
    g_object_unref (held);
    fake_manager_await_calls (world->manager, FAKE_CLOSE, 1);
    assert_stats (world->pool, "lent=0 idle=0 total=1");
    g_assert_false (g_atomic_int_get (&closer.done));
    fake_manager_hang_closes (world->manager, FALSE);
    closer_end (&closer, thread);
    g_assert_no_error (closer.error);
  }
  assert_each_closed_once (world->manager, 1);
}

/* CLO-04 */
static void
after_close (World *world)
{
  const gint64 timeouts[] = {-1, 0, 100 * MS, G_MAXINT64};
  g_autoptr (GError) error = NULL;
  g_autoptr (GListModel) list = NULL;
  g_autofree char *dump = NULL;

  make_pool (world, "max-connections=2 min-connections=1 connection-timeout=60s");
  open_idle (world->pool, 1);
  db_pool_close (world->pool, 10 * SECOND, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (db_pool_is_closed (world->pool));
  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      Caller *caller = caller_start_full (world, timeouts[i], NULL);

      caller_wait_error (caller, DB_ERROR, DB_ERROR_CLOSED);
      assert_soon (caller_get_wait (caller), 20 * MS);
      caller_free (caller);
    }
  g_assert_null (db_pool_try_acquire (world->pool, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_cmpuint (db_pool_warm_up (world->pool, 2, NULL, &error), ==, 0);
  g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_null (db_pool_query (world->pool, "SELECT 1", NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_cmpint (db_pool_execute (world->pool, "SELECT 1", NULL, NULL, &error), ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_null (
    db_connection_manager_open_session (DB_CONNECTION_MANAGER (world->pool), NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
  g_clear_error (&error);
  {
    FakeManager *other = fake_manager_new ();

    g_assert_false (db_pool_reconfigure (world->pool, DB_CONNECTION_MANAGER (other), NULL, &error));
    g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
    g_clear_error (&error);
    assert_finalized_soon (other);
  }

  db_pool_resize (world->pool, 1, 5);
  db_pool_evict_idle (world->pool);
  db_pool_evict_all (world->pool);
  db_pool_suspend (world->pool);
  db_pool_resume (world->pool);
  list = db_pool_get_connections (world->pool);
  AWAIT (g_list_model_get_n_items (list) == 0);
  dump = db_pool_dump (world->pool);
  g_assert_nonnull (dump);
  assert_stats (world->pool, "total=0 created=1 acquired=1");
}

/* CLO-05 */
static void
close_twice (World *world)
{
  g_autoptr (GError) error = NULL;
  Closer closer;

  make_pool (world, "max-connections=4");
  open_idle (world->pool, 4);
  closer_end (&closer, closer_begin (world, &closer, 10 * SECOND));
  g_assert_no_error (closer.error);
  closer_end (&closer, closer_begin (world, &closer, 10 * SECOND));
  g_assert_no_error (closer.error);
  closer_end (&closer, closer_begin (world, &closer, 0));
  g_assert_no_error (closer.error);
  assert_each_closed_once (world->manager, 4);
}

static gpointer
acquire_until_closed (gpointer pool)
{
  for (;;)
    {
      GError *error = NULL;
      DbConnection *connection = db_pool_acquire (pool, NULL, &error);

      if (connection == NULL)
        {
          g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
          g_error_free (error);
          return NULL;
        }
      g_object_unref (connection);
    }
}

/* CLO-05: every closer returns when everything is really closed. */
static void
concurrent_closes (World *world)
{
  const guint n_rounds = scenario_is_thorough () ? 300 : 60;

  for (guint i = 0; i < n_rounds; i++)
    {
      FakeManager *manager = fake_manager_new ();
      DbPool *pool = make_pool_over (DB_CONNECTION_MANAGER (manager), "max-connections=3");
      Closer closers[2];
      GThread *threads[4];

      open_idle (pool, 2);
      threads[0] = g_thread_new ("user", acquire_until_closed, pool);
      threads[1] = g_thread_new ("user", acquire_until_closed, pool);
      for (guint k = 0; k < 2; k++)
        {
          closers[k] = (Closer){.pool = pool, .timeout = 60 * SECOND};
          threads[2 + k] = g_thread_new ("closer", close_pool, &closers[k]);
        }
      for (guint k = 0; k < 2; k++)
        {
          closer_end (&closers[k], threads[2 + k]);
          g_assert_no_error (closers[k].error);
        }
      g_assert_cmpuint (fake_manager_get_ledger (manager).live, ==, 0);
      g_thread_join (threads[0]);
      g_thread_join (threads[1]);
      assert_each_closed_once (manager, fake_manager_get_ledger (manager).opened);
      end_pool (pool);
      assert_finalized_soon (manager);
    }
}

/* How many threads have a name that begins with @prefix. */
static guint
count_threads (const char *prefix)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  const char *name;
  guint n = 0;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/task", name, "comm", NULL);
      g_autofree char *comm = NULL;

      if (g_file_get_contents (path, &comm, NULL, NULL) && g_str_has_prefix (comm, prefix))
        n++;
    }
  return n;
}

/* CLO-07. That no descriptor is left is looked at after every scenario. */
static void
threads_and_timers_end (World *world)
{
  static const char settings[] = "max-connections=3 min-connections=2 keepalive=50ms "
                                 "idle-timeout=80ms max-lifetime=300ms leak-threshold=10s";
  FakeManager *manager = fake_manager_new ();
  guint before = count_threads ("");
  DbPool *one = make_pool_over (DB_CONNECTION_MANAGER (manager), settings);
  DbPool *other = make_pool (world, settings);
  guint created;

  g_assert_cmpuint (count_threads ("dbpool"), ==, 0);
  open_idle (one, 3);
  open_idle (other, 3);
  pass_time (100 * MS);
  /* one worker for all pools */
  AWAIT (count_threads ("dbpool\n") == 1);

  end_pool (one);
  assert_finalized_soon (manager);
  created = fake_manager_get_ledger (world->manager).opened;
  /* The other one's timers run on. */
  AWAIT (fake_manager_get_ledger (world->manager).opened >= created + 2);
  g_object_unref (acquire (other));

  end_pool (other);
  world->pool = NULL;
  AWAIT (count_threads ("dbpool") == 0);
  /* Those that did jobs may wait a moment for other ones. */
  AWAIT (count_threads ("") <= before);
  g_assert_false (g_main_context_pending (NULL));
}

/* CLO-08 */
static void
evict_all_replaces_idle_ones (World *world)
{
  make_pool (world, "max-connections=4");
  open_idle (world->pool, 4);
  db_pool_evict_all (world->pool);
  await_stats (world->pool, "total=0 idle=0 dropped-evicted=4 dropped=4");
  assert_each_closed_once (world->manager, 4);
  open_idle (world->pool, 2);
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr (DbConnection) connection = acquire (world->pool);

      g_assert_cmpuint (fake_connection_get_id (connection), >, 4);
    }
  assert_stats (world->pool, "created=6 total=2");
}

static void
evict_all_replaces_lent_ones (World *world)
{
  DbConnection *connections[4];
  Caller *caller;
  g_autoptr (GError) error = NULL;

  make_pool (world, "max-connections=4 connection-timeout=60s");
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    connections[i] = acquire (world->pool);
  db_pool_evict_all (world->pool);
  assert_stats (world->pool, "total=4 lent=4 dropped=0");
  /* still usable */
  g_assert_cmpint (db_connection_execute (connections[0], "SELECT 1", NULL, NULL, &error), >=, 0);
  g_assert_no_error (error);
  caller = caller_start_waiting (world);
  g_object_unref (connections[0]);
  caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, >, 4);
  for (guint i = 1; i < G_N_ELEMENTS (connections); i++)
    g_object_unref (connections[i]);
  await_stats (world->pool, "total=1 lent=1 dropped-evicted=4 dropped=4");
  caller_free (caller);
  caller = caller_start (world);
  caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, ==, 5);
  caller_free (caller);
  assert_stats (world->pool, "created=5 dropped=4");
}

/* CLO-08: what was being opened meanwhile belongs to the old generation. */
static void
evict_all_while_opening (World *world)
{
  Caller *caller;

  make_pool (world, "max-connections=2 connection-timeout=60s");
  fake_manager_hang_opens (world->manager, TRUE);
  caller = caller_start (world);
  fake_manager_await_opens (world->manager, 1);
  db_pool_evict_all (world->pool);
  fake_manager_hang_opens (world->manager, FALSE);
  caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, ==, 2);
  await_stats (world->pool, "dropped-evicted=1 total=1");
  caller_free (caller);
}

static void
evict_idle_spares_lent_ones (World *world)
{
  DbConnection *held;
  guint id;

  make_pool (world, "max-connections=3");
  open_idle (world->pool, 3);
  held = acquire (world->pool);
  id = fake_connection_get_id (held);
  db_pool_evict_idle (world->pool);
  await_stats (world->pool, "total=1 lent=1 dropped-evicted=2 dropped=2");
  g_object_unref (held);
  assert_stats (world->pool, "idle=1 total=1");
  held = acquire (world->pool);
  g_assert_cmpuint (fake_connection_get_id (held), ==, id);
  g_object_unref (held);
}

static void
evict_one (World *world)
{
  DbConnection *connection;
  Caller *caller;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  connection = acquire (world->pool);
  caller = caller_start_waiting (world);
  db_connection_evict (connection);
  assert_stats (world->pool, "lent=1 dropped=0");
  g_object_unref (connection);
  caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, ==, 2);
  assert_stats (world->pool, "dropped-evicted=1 dropped=1 created=2");
  caller_free (caller);
}

/* CLO-10 */
static void
suspend_and_resume (World *world)
{
  Caller *callers[2];
  DbConnection *held;
  g_autoptr (GError) error = NULL;

  make_pool (world, "max-connections=3 connection-timeout=60s");
  open_idle (world->pool, 3);
  held = acquire (world->pool);
  g_assert_false (db_pool_is_suspended (world->pool));
  db_pool_suspend (world->pool);
  g_assert_true (db_pool_is_suspended (world->pool));
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    callers[i] = caller_start_waiting (world);
  pass_time (100 * MS);
  assert_stats (world->pool, "idle=2 lent=1 waiting=2");

  g_assert_null (db_pool_try_acquire (world->pool, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_SUSPENDED);
  g_clear_error (&error);
  {
    Caller *caller = caller_start_full (world, 0, NULL);

    caller_wait_error (caller, DB_ERROR, DB_ERROR_SUSPENDED);
    caller_free (caller);
  }

  /* The connection that is out works, and its return is accepted. */
  g_assert_cmpint (db_connection_execute (held, "SELECT 1", NULL, NULL, &error), >=, 0);
  g_assert_no_error (error);
  g_object_unref (held);
  pass_time (50 * MS);
  assert_stats (world->pool, "idle=3 lent=0 waiting=2");

  db_pool_resume (world->pool);
  g_assert_false (db_pool_is_suspended (world->pool));
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    caller_wait_connection (callers[i]);
  assert_stats (world->pool, "idle=1 lent=2 waiting=0 created=3 refused=2");
  callers_free (callers, G_N_ELEMENTS (callers));
}

/* CLO-10: nothing is opened, for whomever. */
static void
suspended_opens_nothing (World *world)
{
  Caller *caller;

  make_pool (world, "min-connections=2 max-connections=3 connection-timeout=60s");
  db_pool_suspend (world->pool);
  caller = caller_start_waiting (world);
  pass_time (50 * MS);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, 0);
  assert_stats (world->pool, "total=0 waiting=1");
  db_pool_resume (world->pool);
  caller_wait_connection (caller);
  caller_free (caller);
  await_stats (world->pool, "idle=2 total=2");
}

static void
deadlines_hold_while_suspended (World *world)
{
  Caller *caller;

  make_pool (world, "max-connections=3 connection-timeout=60s");
  open_idle (world->pool, 1);
  db_pool_suspend (world->pool);
  caller = caller_start_full (world, 150 * MS, NULL);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 150 * MS);
  g_assert_nonnull (strstr (caller->error->message, "suspended"));
  caller_free (caller);
  {
    g_autoptr (GCancellable) cancellable = g_cancellable_new ();

    caller = caller_start_waiting_full (world, -1, cancellable);
    g_cancellable_cancel (cancellable);
    caller_wait_error (caller, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    caller_free (caller);
  }
  db_pool_resume (world->pool);
  g_object_unref (acquire (world->pool));
}

static void
close_while_suspended (World *world)
{
  Caller *callers[2];
  g_autoptr (GError) error = NULL;

  make_pool (world, "max-connections=3 connection-timeout=60s");
  open_idle (world->pool, 2);
  db_pool_suspend (world->pool);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    callers[i] = caller_start_waiting (world);
  db_pool_close (world->pool, 10 * SECOND, NULL, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    caller_wait_error (callers[i], DB_ERROR, DB_ERROR_CLOSED);
  callers_free (callers, G_N_ELEMENTS (callers));
  assert_stats (world->pool, "total=0 refused=2");
}

/* Suspended twice, resumed once: there is no count. */
static void
suspending_does_not_count (World *world)
{
  make_pool (world, "max-connections=1");
  db_pool_suspend (world->pool);
  db_pool_suspend (world->pool);
  db_pool_resume (world->pool);
  g_assert_false (db_pool_is_suspended (world->pool));
  g_object_unref (acquire (world->pool));
  db_pool_resume (world->pool);
  g_object_unref (acquire (world->pool));
}

static void
hang_close_of_third (FakeManager *manager,
                     FakeGate gate,
                     DbSession *session,
                     GCancellable *cancellable,
                     gpointer data)
{
  if (gate == FAKE_CLOSE && fake_session_get_id (FAKE_SESSION (session)) == 3)
    while (!g_atomic_int_get ((gint *) data))
      g_usleep (1000);
}

/* CLO-13: one session cannot be closed. dbpool waits 3 s past the deadline for those that are being
 * closed already. */
static void
hung_close (World *world)
{
  gint let_go = FALSE;
  Closer closer;
  GThread *thread;

  fake_manager_set_observer (world->manager, hang_close_of_third, &let_go);
  make_pool (world, "max-connections=5");
  open_idle (world->pool, 5);
  thread = closer_begin (world, &closer, 300 * MS);
  AWAIT (fake_manager_get_ledger (world->manager).closed == 4);
  g_assert_false (g_atomic_int_get (&closer.done));
  closer_end (&closer, thread);
  g_assert_cmpint (closer.ended - closer.began, >=, 300 * MS);
  assert_soon (closer.ended - closer.began, 300 * MS + 3 * SECOND);
  g_assert_error (closer.error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_nonnull (strstr (closer.error->message, "1 "));
  g_clear_error (&closer.error);
  assert_stats (world->pool, "total=1 closing=1 idle=0 lent=0");
  g_atomic_int_set (&let_go, TRUE);
  await_stats (world->pool, "total=0");
  assert_each_closed_once (world->manager, 5);
}

/* CLO-13: nor does that keep the process. */
static void
exit_with_hung_close (World *world)
{
  if (g_test_subprocess ())
    {
      gint let_go = FALSE;
      g_autoptr (GError) error = NULL;

      fake_manager_set_observer (world->manager, hang_close_of_third, &let_go);
      make_pool (world, "max-connections=5");
      open_idle (world->pool, 5);
      g_assert_false (db_pool_close (world->pool, 50 * MS, NULL, &error));
      exit (0);
    }
  g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
  g_test_trap_assert_passed ();
}

typedef struct
{
  DbPool *pool;
  DbLock lock;
  DbCond cond;
  gboolean ready; /* lock */
} EarlyCloser;

/* With no time for what is lent: that is taken away, or belongs to its holder already. */
static gpointer
close_in_thread (gpointer data)
{
  EarlyCloser *closer = data;
  g_autoptr (GError) error = NULL;

  db_lock_lock (&closer->lock);
  closer->ready = TRUE;
  db_cond_signal (&closer->cond);
  db_lock_unlock (&closer->lock);
  if (!db_pool_close (closer->pool, 0, NULL, &error))
    g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  return NULL;
}

/* Detaching and closing at the same time: the session is the pool's, and closed with it, or the
 * holder's, and of use until he gives it back. Either way it is closed once. */
static void
detached_while_closing (World *world)
{
  guint n_detached = 0;

  for (guint i = 0; i < 300; i++)
    {
      FakeManager *manager = fake_manager_new ();
      DbPool *pool = make_pool_over (DB_CONNECTION_MANAGER (manager), "max-connections=1");
      DbConnection *connection = acquire (pool);
      EarlyCloser closer = {.pool = pool};
      g_autoptr (GError) error = NULL;
      GThread *thread = g_thread_new ("closer", close_in_thread, &closer);
      gboolean detached;

      db_lock_lock (&closer.lock);
      while (!closer.ready)
        db_cond_wait (&closer.cond, &closer.lock);
      db_lock_unlock (&closer.lock);
      for (guint n = 0; n < i % 50; n++)
        db_connection_is_released (connection);
      detached = db_connection_detach (connection, &error);
      n_detached += detached;
      if (!detached)
        g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
      g_thread_join (thread);
      g_assert_cmpint (db_connection_is_released (connection), ==, !detached);
      if (detached)
        g_assert_cmpuint (fake_manager_get_ledger (manager).live, ==, 1);
      g_object_unref (connection);
      AWAIT (fake_manager_get_ledger (manager).closed == 1);
      assert_each_closed_once (manager, 1);
      end_pool (pool);
      assert_finalized_soon (manager);
    }
  g_test_message ("%u of 300 detached in time", n_detached);
}

static void
add_all (void)
{
  scenario_add ("close/detached-meanwhile", detached_while_closing);
  scenario_add ("close/every-idle-one", closes_every_idle_one);
  scenario_add ("close/last-unref", last_unref_closes);
  scenario_add ("close/last-unref-before-connections", last_unref_before_connections);
  scenario_add_both ("close/waits-for-lent-ones", waits_for_lent_ones);
  scenario_add_both ("close/ends-loans-at-the-deadline", ends_loans_at_the_deadline);
  scenario_add_both ("close/cancels-queries-at-the-deadline", cancels_queries_at_the_deadline);
  scenario_add_both ("close/returned-after-close", returned_after_close);
  scenario_add_both ("close/after-close", after_close);
  scenario_add_both ("close/twice", close_twice);
  scenario_add ("close/concurrent", concurrent_closes);
  scenario_add ("close/threads-and-timers-end", threads_and_timers_end);
  scenario_add ("evict/all-idle", evict_all_replaces_idle_ones);
  scenario_add_both ("evict/all-lent", evict_all_replaces_lent_ones);
  scenario_add_both ("evict/all-opening", evict_all_while_opening);
  scenario_add ("evict/idle", evict_idle_spares_lent_ones);
  scenario_add_both ("evict/one", evict_one);
  scenario_add_both ("suspend/resume", suspend_and_resume);
  scenario_add_both ("suspend/opens-nothing", suspended_opens_nothing);
  scenario_add_both ("suspend/deadlines", deadlines_hold_while_suspended);
  scenario_add_both ("suspend/close", close_while_suspended);
  scenario_add ("suspend/does-not-count", suspending_does_not_count);
  scenario_add_both ("close/hung", hung_close);
  scenario_add ("close/exit-with-hung-close", exit_with_hung_close);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
