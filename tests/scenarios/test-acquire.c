/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Acquiring and giving back: the gauges, the maximum, who gets which session, and what leaves the
 * pool for good.
 *
 * Holds ACQ-01, 02, 03, 04, 05, 06, 08, 10, 11, 12, 13, 16, 18, 19. Not ACQ-20: a pool adopts no
 * sessions from outside. */

#include "config.h"

#include "db-lock-private.h"
#include "scenario.h"
#include "log-capture.h"

/* ACQ-01: each change is visible as soon as the call that made it returns. */
static void
gauge_walk (World *world)
{
  Caller *callers[3];

  make_pool (world, "max-connections=16");
  assert_stats (world->pool, "total=0 idle=0 waiting=0");
  for (guint i = 0; i < 3; i++)
    {
      callers[i] = caller_start (world);
      caller_wait_connection (callers[i]);
      assert_stats (world->pool, "total=%u idle=0 lent=%u waiting=0", i + 1, i + 1);
    }
  for (guint i = 0; i < 3; i++)
    {
      caller_release (callers[i]);
      assert_stats (world->pool, "total=3 idle=%u lent=%u waiting=0", i + 1, 2 - i);
    }
  callers_free (callers, 3);
}

static guint
acquire_once (World *world)
{
  g_autoptr (Caller) caller = caller_start (world);

  caller_wait_connection (caller);
  return caller->id;
}

/* ACQ-02 */
static void
really_pools (World *world)
{
  Caller *a, *b;

  make_pool (world, "max-connections=4");
  for (guint i = 0; i < 10; i++)
    g_assert_cmpuint (acquire_once (world), ==, 1);
  assert_stats (world->pool, "created=1 acquired=10 total=1");

  a = caller_start (world);
  caller_wait_connection (a);
  b = caller_start (world);
  caller_wait_connection (b);
  g_assert_cmpuint (a->id, ==, 1);
  g_assert_cmpuint (b->id, ==, 2);
  db_connection_evict (b->connection);
  caller_free (b);
  await_stats (world->pool, "total=1 lent=1 dropped-evicted=1");
  b = caller_start (world);
  caller_wait_connection (b);
  g_assert_cmpuint (b->id, ==, 3);
  caller_free (a);
  caller_free (b);
}

/* ACQ-03 */
static void
maximum_with_slow_callers (World *world)
{
  Caller *callers[20];
  gint64 began = g_get_monotonic_time ();

  make_pool (world, "max-connections=4 connection-timeout=60s");
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->hold = 100 * MS;
      caller_begin (callers[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      caller_wait (callers[i]);
      g_assert_no_error (callers[i]->error);
    }
  assert_took (g_get_monotonic_time () - began, 500 * MS);
  callers_free (callers, G_N_ELEMENTS (callers));
  assert_stats (world->pool, "created=4 acquired=20 total=4 idle=4");
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).max_live, ==, 4);
}

/* ACQ-03, the other half: two of five are served while nobody gives back. */
static void
maximum_with_keepers (World *world)
{
  Caller *callers[5];
  guint n_done = 0;

  make_pool (world, "max-connections=2 connection-timeout=60s");
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    callers[i] = caller_start (world);
  await_stats (world->pool, "lent=2 waiting=3");
  pass_time (50 * MS);
  assert_stats (world->pool, "lent=2 waiting=3 created=2");
  while (n_done < G_N_ELEMENTS (callers))
    {
      gboolean done[G_N_ELEMENTS (callers)];
      guint n_found = 0;

      for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
        n_found += done[i] = callers[i] != NULL && caller_is_done (callers[i]);
      g_assert_cmpuint (n_found, <=, 2);
      for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
        if (done[i])
          {
            g_assert_no_error (callers[i]->error);
            g_clear_pointer (&callers[i], caller_free);
          }
      n_done += n_found;
      scenario_pause ();
    }
}

static void
hundred_callers (World *world, gboolean cancellables)
{
  const guint rounds = scenario_factor () > 1 ? 10 : 100;
  Caller *callers[100];
  gint64 began = g_get_monotonic_time ();

  make_pool (world, "max-connections=1 connection-timeout=forever");
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->hold = 0;
      callers[i]->rounds = rounds;
      callers[i]->fresh_cancellable = cancellables;
      caller_begin (callers[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      caller_wait (callers[i]);
      g_assert_no_error (callers[i]->error);
      g_assert_cmpuint (callers[i]->n_granted, ==, rounds);
    }
  callers_free (callers, G_N_ELEMENTS (callers));
  assert_soon (g_get_monotonic_time () - began, 10 * SECOND);
  assert_stats (world->pool, "created=1 total=1 idle=1 acquired=%u timeouts=0 cancelled=0 errors=0",
                100 * rounds);
}

/* ACQ-04 */
static void
one_for_a_hundred (World *world)
{
  hundred_callers (world, FALSE);
}

static void
one_for_a_hundred_cancellables (World *world)
{
  hundred_callers (world, TRUE);
}

/* ACQ-05 */
static void
third_waits (World *world)
{
  DbConnection *a, *b;
  Caller *third;
  guint id;

  make_pool (world, "max-connections=2 connection-timeout=60s");
  a = acquire (world->pool);
  b = acquire (world->pool);
  third = caller_start_waiting (world);
  pass_time (200 * MS);
  g_assert_false (caller_is_done (third));
  id = fake_connection_get_id (a);
  g_object_unref (a);
  caller_wait_connection (third);
  assert_took (caller_get_wait (third), 200 * MS);
  g_assert_cmpuint (third->id, ==, id);
  assert_stats (world->pool, "created=2 lent=2");
  caller_free (third);
  g_object_unref (b);
}

/* ACQ-06 */
static void
failed_open_returns_its_slot (World *world)
{
  g_autoptr (GError) wrong = permanent_error ();

  make_pool (world, "max-connections=1 connection-timeout=60s");
  fake_manager_fail (world->manager, FAKE_OPEN, G_MAXUINT, wrong);
  for (guint i = 0; i < 100; i++)
    {
      g_autoptr (Caller) caller = caller_start (world);

      caller_wait_error (caller, wrong->domain, wrong->code);
      g_assert_cmpstr (caller->error->message, ==, wrong->message);
      assert_soon (caller_get_wait (caller), 10 * MS);
      assert_stats (world->pool, "total=0 opening=0 waiting=0");
    }
  assert_stats (world->pool, "errors=100 acquired=0 create-failed=%u",
                fake_manager_get_ledger (world->manager).failed[FAKE_OPEN]);
  fake_manager_fail (world->manager, FAKE_OPEN, 0, NULL);
  acquire_once (world);
  assert_stats (world->pool, "total=1 idle=1");
}

static void
assert_try (World *world, int code)
{
  g_autoptr (Caller) caller = caller_start_full (world, 0, NULL);

  caller_wait (caller);
  if (code < 0)
    g_assert_no_error (caller->error);
  else
    g_assert_error (caller->error, DB_ERROR, code);
  assert_soon (caller_get_wait (caller), 5 * MS);
}

/* ACQ-08: a try that finds nothing has one opened for the next. */
static void
try_never_blocks (World *world)
{
  DbConnection *held;

  make_pool (world, "max-connections=1");
  fake_manager_delay (world->manager, FAKE_OPEN, 50 * MS);
  assert_try (world, DB_ERROR_EXHAUSTED);
  await_stats (world->pool, "idle=1 total=1");
  held = db_pool_try_acquire (world->pool, NULL);
  g_assert_nonnull (held);
  assert_try (world, DB_ERROR_EXHAUSTED);
  g_object_unref (held);
  assert_try (world, -1);
  assert_stats (world->pool, "created=1 refused=2 acquired=2");
  g_assert_true (db_pool_close (world->pool, SECOND, NULL, NULL));
  assert_try (world, DB_ERROR_CLOSED);
}

/* ACQ-08, while another caller's open takes its time. */
static void
try_while_another_opens (World *world)
{
  Caller *other;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  fake_manager_hang (world->manager, FAKE_OPEN, TRUE);
  other = caller_start_waiting (world);
  fake_manager_await_inside (world->manager, FAKE_OPEN, 1);
  for (guint i = 0; i < 20; i++)
    assert_try (world, DB_ERROR_EXHAUSTED);
  fake_manager_hang (world->manager, FAKE_OPEN, FALSE);
  caller_wait_connection (other);
  caller_free (other);
}

/* ACQ-10: a connection goes back to its own pool, whatever it is given to. */
static void
foreign_connection (World *world)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  DbPool *pool = make_pool (world, "max-connections=2 name=one");
  DbPool *other = make_pool_over (DB_CONNECTION_MANAGER (manager), "max-connections=2 name=two");
  DbConnection *mine = acquire (pool);
  DbConnection *theirs = acquire (other);

  log_expect (G_LOG_LEVEL_WARNING, "*two*one*");
  db_pool_give_back (other, mine);
  log_assert_expected ();
  assert_stats (pool, "total=1 idle=1 lent=0");
  assert_stats (other, "total=1 idle=0 lent=1");

  db_pool_give_back (other, theirs);
  assert_stats (other, "total=1 idle=1 lent=0");
  end_pool (other);
}

/* ACQ-11 */
typedef struct
{
  GAsyncQueue *queue;
  guint n;
  gint64 delay;
} Releaser;

static gpointer
release_what_comes (gpointer data)
{
  Releaser *releaser = data;

  for (guint i = 0; i < releaser->n; i++)
    {
      DbConnection *connection = g_async_queue_pop (releaser->queue);

      DB_TSAN_ACQUIRE (connection);
      if (releaser->delay > 0)
        g_usleep ((gulong) releaser->delay);
      if (i % 2 == 0)
        db_connection_release (connection);
      g_object_unref (connection);
    }
  return NULL;
}

static void
hand_over (Caller *caller, DbConnection *connection)
{
  DB_TSAN_RELEASE (connection);
  g_async_queue_push (((Releaser *) caller->data)->queue, g_steal_pointer (&caller->connection));
}

static void
release_elsewhere (World *world, guint n, gint64 delay)
{
  Releaser releaser = {g_async_queue_new (), n, delay};
  GThread *thread = g_thread_new ("releaser", release_what_comes, &releaser);
  Caller *caller = caller_new (world);

  caller->rounds = n;
  caller->granted = hand_over;
  caller->data = &releaser;
  caller_begin (caller);
  caller_wait (caller);
  g_assert_no_error (caller->error);
  g_assert_cmpuint (caller->n_granted, ==, n);
  caller_free (caller);
  g_thread_join (thread);
  g_async_queue_unref (releaser.queue);
}

static void
any_thread_may_release (World *world)
{
  const guint n = (scenario_is_thorough () ? 100000 : 10000) / (guint) scenario_factor ();
  gint64 began = g_get_monotonic_time ();

  make_pool (world, "max-connections=1 connection-timeout=60s");
  release_elsewhere (world, n, 0);
  assert_stats (world->pool, "created=1 total=1 idle=1 acquired=%u", n);
  assert_soon (g_get_monotonic_time () - began, 20 * SECOND);
  /* What another thread had opened is lent as it is. */
  g_object_unref (acquire (world->pool));
  assert_stats (world->pool, "created=1");
}

/* ACQ-11: the thread that waits has handed on what it had, and gets it back: no deadlock. */
static void
handing_on_is_no_deadlock (World *world)
{
  make_pool (world, "max-connections=1 connection-timeout=60s");
  release_elsewhere (world, 50, MS);
  assert_stats (world->pool, "created=1 total=1 idle=1 acquired=50 deadlocks=0");
}

static void
assert_works (DbConnection *connection)
{
  g_autoptr (DbResult) result = NULL;
  GError *error = NULL;

  result = db_connection_query (connection, "SELECT 1", NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, fake_connection_get_id (connection));
}

/* ACQ-12 */
static void
detach (World *world)
{
  DbConnection *detached[2];
  Caller *callers[2];
  GError *error = NULL;

  make_pool (world, "max-connections=2 connection-timeout=60s");
  world->max_live = 4;
  for (guint i = 0; i < 2; i++)
    {
      callers[i] = caller_start (world);
      caller_wait_connection (callers[i]);
    }
  for (guint i = 0; i < 2; i++)
    {
      g_assert_true (db_connection_detach (callers[i]->connection, &error));
      g_assert_no_error (error);
      detached[i] = g_steal_pointer (&callers[i]->connection);
      assert_stats (world->pool, "total=%u lent=%u detached=%u", 1 - i, 1 - i, i + 1);
      assert_works (detached[i]);
    }
  callers_free (callers, 2);
  for (guint i = 0; i < 2; i++)
    {
      callers[i] = caller_start (world);
      caller_wait_connection (callers[i]);
      g_assert_cmpuint (callers[i]->id, ==, 3 + i);
    }
  assert_stats (world->pool, "total=2 lent=2 created=4");
  callers_free (callers, 2);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).closes, ==, 0);

  g_assert_true (db_pool_close (world->pool, 10 * SECOND, NULL, &error));
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).closes, ==, 2);
  for (guint i = 0; i < 2; i++)
    {
      assert_works (detached[i]);
      g_object_unref (detached[i]);
    }
  AWAIT (fake_manager_get_ledger (world->manager).closed == 4);
}

/* ACQ-12: it makes room for one who waits. */
static void
detach_serves_a_waiter (World *world)
{
  DbConnection *held;
  Caller *waiter;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  world->max_live = 2;
  held = acquire (world->pool);
  waiter = caller_start_waiting (world);
  g_assert_true (db_connection_detach (held, NULL));
  caller_wait_connection (waiter);
  g_assert_cmpuint (waiter->id, ==, 2);
  assert_works (held);
  g_object_unref (held);
  caller_free (waiter);
}

/* ACQ-13: what was discarded counts until its close has returned. */
static void
discard_while_one_waits (World *world)
{
  DbConnection *held;
  Caller *waiter;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  held = acquire (world->pool);
  waiter = caller_start_waiting (world);
  fake_manager_hang (world->manager, FAKE_CLOSE, TRUE);
  db_connection_evict (held);
  assert_stats (world->pool, "total=1 lent=1 waiting=1");
  assert_works (held);
  g_object_unref (held);
  fake_manager_await_inside (world->manager, FAKE_CLOSE, 1);
  assert_stats (world->pool, "total=1 lent=0 busy=1 waiting=1");
  g_assert_false (caller_is_done (waiter));
  fake_manager_hang (world->manager, FAKE_CLOSE, FALSE);
  caller_wait_connection (waiter);
  g_assert_cmpuint (waiter->id, ==, 2);
  caller_free (waiter);
  assert_stats (world->pool, "total=1 idle=1 dropped-evicted=1 dropped=1");
}

static void
discard (Caller *caller, DbConnection *connection)
{
  db_connection_evict (connection);
}

/* ACQ-13 */
static void
discard_often (World *world)
{
  const guint rounds = (scenario_is_thorough () ? 5000 : 500) / (guint) scenario_factor ();
  Caller *callers[2];

  make_pool (world, "max-connections=10 connection-timeout=60s");
  for (guint i = 0; i < 2; i++)
    {
      callers[i] = caller_new (world);
      callers[i]->hold = 0;
      callers[i]->rounds = rounds;
      callers[i]->granted = discard;
      caller_begin (callers[i]);
    }
  for (guint i = 0; i < 2; i++)
    {
      caller_wait (callers[i]);
      g_assert_no_error (callers[i]->error);
      g_assert_cmpuint (callers[i]->n_granted, ==, rounds);
    }
  callers_free (callers, 2);
  await_stats (world->pool, "busy=0 opening=0");
  assert_stats (world->pool, "dropped-evicted=%u errors=0 timeouts=0", 2 * rounds);
}

/* ACQ-16 */
static void
no_surplus (World *world)
{
  Caller *callers[50];
  guint created;

  make_pool (world, "max-connections=100 connection-timeout=60s");
  acquire_once (world);
  for (guint i = 0; i < 2; i++)
    {
      callers[i] = caller_start (world);
      caller_wait_connection (callers[i]);
    }
  assert_stats (world->pool, "total=2 created=2");
  callers_free (callers, 2);

  fake_manager_delay (world->manager, FAKE_OPEN, 20 * MS);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->hold = MS;
      callers[i]->rounds = scenario_is_thorough () ? 1000 : 100;
      caller_begin (callers[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      caller_wait (callers[i]);
      g_assert_no_error (callers[i]->error);
    }
  callers_free (callers, G_N_ELEMENTS (callers));
  created = fake_manager_get_ledger (world->manager).opens;
  g_assert_cmpuint (created, <=, 55);
  /* What was under way joins the pool, and nothing follows. */
  pass_time (100 * MS);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, created);
  await_stats (world->pool, "opening=0 total=%u idle=%u", created, created);
}

typedef struct
{
  DbResult *result;
  GError *error;
  gboolean done;
} OneShot;

static void
queried_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  OneShot *shot = data;

  shot->result = db_pool_query_finish (DB_POOL (source), result, &shot->error);
  shot->done = TRUE;
}

static DbResult *
one_shot (World *world, const char *sql, GError **error)
{
  OneShot shot = {0};

  if (!world->async)
    return db_pool_query (world->pool, sql, NULL, NULL, error);
  db_pool_query_async (world->pool, sql, NULL, NULL, queried_cb, &shot);
  AWAIT (shot.done);
  if (shot.error != NULL)
    g_propagate_error (error, shot.error);
  return shot.result;
}

/* ACQ-18: a statement that fails loses no connection, and its error is its own. */
static void
one_shot_failure (World *world)
{
  g_autoptr (DbResult) result = NULL;
  GError *error = NULL;

  make_pool (world, "max-connections=1");
  for (guint i = 0; i < 10; i++)
    {
      g_assert_null (one_shot (world, "fail", &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
      g_assert_cmpstr (error->message, ==, "simulated [SQLSTATE 42601]");
      g_clear_error (&error);
      await_stats (world->pool, "lent=0 idle=1");
    }
  result = one_shot (world, "SELECT 1", &error);
  g_assert_no_error (error);
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, 1);
  await_stats (world->pool, "lent=0 idle=1 created=1 acquired=11");
}

static void
use_four (World *world, guint uses[5])
{
  Caller *callers[4];

  for (guint i = 0; i < 4; i++)
    {
      callers[i] = caller_start (world);
      caller_wait_connection (callers[i]);
    }
  callers_free (callers, 4);
  assert_stats (world->pool, "idle=4");
  for (guint i = 0; i < 8; i++)
    uses[acquire_once (world)]++;
}

/* ACQ-19 */
static void
idle_order_lifo (World *world)
{
  guint uses[5] = {0};
  guint n_used = 0;

  make_pool (world, "max-connections=4 idle-timeout=150ms");
  use_four (world, uses);
  for (guint i = 1; i <= 4; i++)
    n_used += uses[i] > 0;
  g_assert_cmpuint (n_used, ==, 1);
  /* The others age out while one is in use. */
  for (guint i = 0; i < 1000 && !stats_are (world->pool, "total=1"); i++)
    {
      acquire_once (world);
      pass_time (MS);
    }
  await_stats (world->pool, "total=1 dropped-idle=3 dropped=3");
}

static void
idle_order_fifo (World *world)
{
  guint uses[5] = {0};

  make_pool (world, "max-connections=4 idle-order=fifo");
  use_four (world, uses);
  for (guint i = 1; i <= 4; i++)
    g_assert_cmpuint (uses[i], ==, 2);
  assert_stats (world->pool, "total=4 created=4");
}

static void
add_all (void)
{
  scenario_add_both ("acquire/gauge-walk", gauge_walk);
  scenario_add_both ("acquire/really-pools", really_pools);
  scenario_add_both ("acquire/maximum/slow-callers", maximum_with_slow_callers);
  scenario_add_both ("acquire/maximum/keepers", maximum_with_keepers);
  scenario_add_both ("acquire/one-for-a-hundred/plain", one_for_a_hundred);
  scenario_add_both ("acquire/one-for-a-hundred/cancellables", one_for_a_hundred_cancellables);
  scenario_add_both ("acquire/third-waits", third_waits);
  scenario_add_both ("acquire/failed-open-returns-its-slot", failed_open_returns_its_slot);
  scenario_add_both ("acquire/try/never-blocks", try_never_blocks);
  scenario_add_both ("acquire/try/while-another-opens", try_while_another_opens);
  scenario_add ("acquire/foreign-connection", foreign_connection);
  scenario_add_both ("acquire/detach/for-good", detach);
  scenario_add_both ("acquire/detach/serves-a-waiter", detach_serves_a_waiter);
  scenario_add_both ("acquire/discard/while-one-waits", discard_while_one_waits);
  scenario_add_both ("acquire/discard/often", discard_often);
  scenario_add_both ("acquire/no-surplus", no_surplus);
  scenario_add_both ("acquire/one-shot-failure", one_shot_failure);
  scenario_add_both ("acquire/idle-order/lifo", idle_order_lifo);
  scenario_add_both ("acquire/idle-order/fifo", idle_order_fifo);
  scenario_add_both ("acquire/any-thread-may-release", any_thread_may_release);
  scenario_add ("acquire/handing-on-is-no-deadlock", handing_on_is_no_deadlock);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
