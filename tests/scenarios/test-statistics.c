/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Statistics: what is counted, when, and that the books balance.
 *
 * Here: STA-01, STA-02, STA-03, STA-05, STA-06, STA-07, STA-08, STA-10 (also after every other
 * scenario), STA-11. dbpool does not measure how long an acquire that found an idle session took.
 */

#include "config.h"

#include "scenario.h"

static DbPoolStats *
get_stats (World *world)
{
  return db_pool_get_stats (world->pool);
}

static void
open_idle (World *world, guint n)
{
  g_autoptr (GPtrArray) connections = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (connections, acquire (world->pool));
  g_ptr_array_set_size (connections, 0);
  await_stats (world->pool, "idle=%u lent=0", n);
}

/* STA-01. Waited: who did not find an idle session. */
static void
successful_acquires (World *world)
{
  g_autoptr (DbPoolStats) first = NULL;
  g_autoptr (DbPoolStats) second = NULL;
  g_autoptr (DbPoolStats) last = NULL;
  Caller *callers[2];

  make_pool (world, "max-connections=1 connection-timeout=60s");
  fake_manager_delay (world->manager, FAKE_OPEN, 20 * MS);
  caller_free (caller_start (world));
  assert_stats (world->pool, "acquired=1 waited=1 requests=1 created=1");
  first = get_stats (world);
  g_assert_cmpint (db_pool_stats_get_wait_time (first), >=, 20 * MS);

  caller_free (caller_start (world));
  assert_stats (world->pool, "acquired=2 waited=1 requests=2 created=1");
  second = get_stats (world);
  g_assert_cmpint (db_pool_stats_get_wait_time (second), ==, db_pool_stats_get_wait_time (first));
  g_assert_cmpint (db_pool_stats_get_use_time (second), >=, db_pool_stats_get_use_time (first));

  callers[0] = caller_new (world);
  callers[0]->hold = 50 * MS;
  caller_begin (callers[0]);
  AWAIT (stats_are (world->pool, "lent=1"));
  callers[1] = caller_new (world);
  callers[1]->hold = 50 * MS;
  caller_begin (callers[1]);
  for (guint i = 0; i < 2; i++)
    {
      caller_wait (callers[i]);
      g_assert_no_error (callers[i]->error);
    }
  assert_stats (world->pool, "acquired=4 waited=2 requests=4 created=1 lent=0 idle=1");
  last = get_stats (world);
  g_assert_cmpint (db_pool_stats_get_wait_time (last), >, db_pool_stats_get_wait_time (second));
  g_assert_cmpint (db_pool_stats_get_use_time (last), >=,
                   db_pool_stats_get_use_time (second) + 100 * MS);
  callers_free (callers, G_N_ELEMENTS (callers));
}

/* STA-02 */
static void
gauges_while_opening (World *world)
{
  DbConnection *held;
  Caller *caller;

  make_pool (world, "max-connections=10 connection-timeout=60s");
  held = acquire (world->pool);
  fake_manager_hang_opens (world->manager, TRUE);
  caller = caller_start_waiting (world);
  fake_manager_await_inside (world->manager, FAKE_OPEN, 1);
  assert_stats (world->pool, "total=2 opening=1 lent=1 idle=0 waiting=1 created=1");
  /* Whoever waits is served by what comes first. */
  g_object_unref (held);
  caller_wait_connection (caller);
  assert_stats (world->pool, "total=2 opening=1 lent=1 idle=0 waiting=0");
  caller_free (caller);
  assert_stats (world->pool, "total=2 opening=1 lent=0 idle=1 waiting=0");
  fake_manager_hang_opens (world->manager, FALSE);
  await_stats (world->pool, "total=2 opening=0 idle=2 created=2");
}

/* STA-03 */
static void
sizes_and_queue (World *world)
{
  DbConnection *held[3];
  Caller *callers[7];

  make_pool (world, "min-connections=2 max-connections=4 connection-timeout=60s idle-timeout=0s");
  g_object_unref (acquire (world->pool));
  await_stats (world->pool, "total=2 idle=2 waiting=0 opening=0");
  for (guint i = 0; i < G_N_ELEMENTS (held); i++)
    held[i] = acquire (world->pool);
  assert_stats (world->pool, "total=3 idle=0 lent=3 waiting=0");
  for (guint i = 0; i < G_N_ELEMENTS (held); i++)
    g_object_unref (held[i]);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    callers[i] = caller_start (world);
  await_stats (world->pool, "total=4 idle=0 lent=4 waiting=3");
  for (guint n = 0; n < G_N_ELEMENTS (callers); scenario_pause ())
    for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
      if (callers[i] != NULL && caller_is_done (callers[i]))
        {
          caller_wait_connection (callers[i]);
          g_clear_pointer (&callers[i], caller_free);
          n++;
        }
  await_stats (world->pool, "total=4 idle=4 waiting=0 acquired=11");
}

/* STA-05 */
static void
direct_and_waited (World *world)
{
  g_autoptr (DbPoolStats) stats = NULL;
  DbConnection *held;
  Caller *caller;

  make_pool (world, "min-connections=1 max-connections=1 connection-timeout=60s");
  g_assert_cmpuint (db_pool_warm_up (world->pool, 1, NULL, NULL), ==, 1);
  assert_stats (world->pool, "requests=0 acquired=0 idle=1");
  held = acquire (world->pool);
  assert_stats (world->pool, "acquired=1 waited=0");
  caller = caller_start_waiting (world);
  pass_time (20 * MS);
  g_object_unref (held);
  caller_wait_connection (caller);
  assert_stats (world->pool, "acquired=2 waited=1 created=1");
  stats = get_stats (world);
  g_assert_cmpint (db_pool_stats_get_wait_time (stats), >=, 20 * MS);
  g_assert_cmpint (db_pool_stats_get_wait_time (stats), <=, caller_get_wait (caller));
  caller_free (caller);
}

/* STA-06 */
static void
cancels_and_timeouts (World *world)
{
  g_autoptr (GCancellable) before = g_cancellable_new ();
  g_autoptr (GCancellable) opening = g_cancellable_new ();
  g_autoptr (GCancellable) waiting = g_cancellable_new ();
  DbConnection *a;
  DbConnection *b;
  Caller *caller;

  make_pool (world, "max-connections=2 connection-timeout=60s");
  g_cancellable_cancel (before);
  caller = caller_start_full (world, -1, before);
  caller_wait_error (caller, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  caller_free (caller);
  assert_stats (world->pool, "acquired=0 cancelled=1 timeouts=0 errors=0 requests=1");
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, 0);

  fake_manager_hang_opens (world->manager, TRUE);
  caller = caller_start_full (world, -1, opening);
  fake_manager_await_inside (world->manager, FAKE_OPEN, 1);
  g_cancellable_cancel (opening);
  caller_wait_error (caller, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  caller_free (caller);
  assert_stats (world->pool, "acquired=0 cancelled=2 timeouts=0 errors=0 requests=2");
  fake_manager_hang_opens (world->manager, FALSE);
  await_stats (world->pool, "idle=1 opening=0");

  a = acquire (world->pool);
  b = acquire (world->pool);
  caller = caller_start_waiting_full (world, -1, waiting);
  g_cancellable_cancel (waiting);
  caller_wait_error (caller, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  caller_free (caller);
  assert_stats (world->pool, "acquired=2 cancelled=3 timeouts=0 errors=0 requests=5");

  caller = caller_start_full (world, 100 * MS, NULL);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 100 * MS);
  caller_free (caller);
  assert_stats (world->pool, "acquired=2 cancelled=3 timeouts=1 errors=0 refused=0 requests=6");
  g_object_unref (a);
  g_object_unref (b);
}

/* What was refused without waiting is counted apart. */
static void
refusals (World *world)
{
  g_autoptr (GError) error = NULL;
  DbConnection *held;
  Caller *waiter;
  Caller *caller;

  make_pool (world, "max-connections=1 max-waiters=1 connection-timeout=60s");
  held = acquire (world->pool);
  waiter = caller_start_waiting (world);
  caller = caller_start (world);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_QUEUE_FULL);
  caller_free (caller);
  g_assert_null (db_pool_try_acquire (world->pool, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_EXHAUSTED);
  g_clear_error (&error);
  assert_stats (world->pool, "requests=4 acquired=1 waiting=1 refused=2");
  g_object_unref (held);
  caller_wait_connection (waiter);
  caller_free (waiter);
  error = permanent_error ();
  fake_manager_fail_opens (world->manager, G_MAXUINT, error);
  db_pool_evict_all (world->pool);
  caller = caller_start (world);
  caller_wait_error (caller, error->domain, error->code);
  caller_free (caller);
  assert_stats (world->pool, "requests=5 acquired=2 errors=1 refused=2 create-failed=1");
}

/* STA-07: each session that ends does so for one reason. */
static void
drop_reasons (World *world)
{
  g_autoptr (DbConnection) detached = NULL;
  DbConnection *connection;

  make_pool (world, "max-connections=10 idle-timeout=0s");
  world->max_live = 11;
  connection = acquire (world->pool);
  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_BROKEN);
  g_object_unref (connection);
  await_stats (world->pool, "dropped-broken=1 dropped=1 total=0");

  connection = acquire (world->pool);
  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_BUSY);
  g_object_unref (connection);
  await_stats (world->pool, "dropped-broken=2 dropped=2 total=0");

  fake_manager_fail_resets (world->manager, TRUE);
  connection = acquire (world->pool);
  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_IN_TRANSACTION);
  g_object_unref (connection);
  await_stats (world->pool, "dropped-invalid=1 dropped=3 total=0");

  open_idle (world, 2);
  g_object_set (db_pool_get_config (world->pool), "validate-after-idle", (gint64) 0, NULL);
  fake_manager_fail (world->manager, FAKE_CHECK, 2, NULL);
  connection = acquire (world->pool);
  await_stats (world->pool, "dropped-invalid=3 dropped=5 total=1");
  g_object_unref (connection);

  open_idle (world, 5);
  g_object_set (db_pool_get_config (world->pool), "idle-timeout", (gint64) 50 * MS, NULL);
  await_stats (world->pool, "dropped-idle=5 dropped=10 total=0");
  g_object_set (db_pool_get_config (world->pool), "idle-timeout", (gint64) 0, "max-lifetime",
                (gint64) 50 * MS, NULL);
  for (guint i = 1; i <= 5; i++)
    {
      g_object_unref (acquire (world->pool));
      await_stats (world->pool, "dropped-lifetime=%u total=0", i);
    }
  g_object_set (db_pool_get_config (world->pool), "max-lifetime", (gint64) 0, NULL);

  detached = acquire (world->pool);
  g_assert_true (db_connection_detach (detached, NULL));
  open_idle (world, 2);
  db_pool_evict_idle (world->pool);
  await_stats (world->pool, "dropped-evicted=2 detached=1 total=0");
  open_idle (world, 3);
  g_assert_true (db_pool_close (world->pool, 10 * SECOND, NULL, NULL));
  assert_stats (world->pool, "dropped-broken=2 dropped-invalid=3 dropped-idle=5 dropped-lifetime=5 "
                             "dropped-evicted=2 dropped-closed=3 detached=1");
  {
    g_autoptr (DbPoolStats) stats = get_stats (world);

    g_assert_cmpuint (db_pool_stats_get_created (stats), ==, 2 + 3 + 5 + 5 + 2 + 3 + 1);
    g_assert_cmpuint (db_pool_stats_get_created (stats), ==,
                      fake_manager_get_ledger (world->manager).opened);
  }
}

/* STA-08 */
static void
opening_statistics (World *world)
{
  g_autoptr (GError) error = transient_error ();
  guint attempts;

  make_pool (world, "min-connections=3 max-connections=3 connection-timeout=60s "
                    "validate-after-idle=0s keepalive=100ms");
  fake_manager_delay (world->manager, FAKE_OPEN, 20 * MS);
  g_assert_cmpuint (db_pool_warm_up (world->pool, 3, NULL, NULL), ==, 3);
  assert_stats (world->pool, "created=3 create-failed=0 dropped=0 idle=3");

  /* The server goes. */
  fake_manager_fail (world->manager, FAKE_OPEN, G_MAXUINT, error);
  fake_manager_fail (world->manager, FAKE_CHECK, 3, NULL);
  await_stats (world->pool, "dropped-invalid=3 dropped=3 idle=0");
  AWAIT (fake_manager_get_ledger (world->manager).failed[FAKE_OPEN] >= 2);
  fake_manager_fail (world->manager, FAKE_OPEN, 0, NULL);
  await_stats (world->pool, "idle=3 created=6 opening=0");
  attempts = fake_manager_get_ledger (world->manager).failed[FAKE_OPEN];
  assert_stats (world->pool, "create-failed=%u requests=0", attempts);
}

static void
break_some (Caller *caller, DbConnection *connection)
{
  FakeSession *session = fake_connection_get_session (connection);

  switch ((caller->n_granted * 7 + caller->id) % 11)
    {
    case 0:
      fake_session_set_state (session, DB_SESSION_BROKEN);
      break;
    case 1:
      fake_session_set_state (session, DB_SESSION_IN_TRANSACTION);
      break;
    case 2:
      db_connection_evict (connection);
      break;
    default:
      break;
    }
}

/* STA-10 */
static void
books_balance (World *world)
{
  Caller *callers[12];
  g_autoptr (DbPoolStats) stats = NULL;
  FakeLedger ledger;
  guint n_granted = 0;
  guint n_failed = 0;

  make_pool (world, "max-connections=4 connection-timeout=2ms max-uses=20 hand-off-after=0s");
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->rounds = 200;
      callers[i]->go_on = TRUE;
      callers[i]->hold = i % 3 == 0 ? 1 * MS : 0;
      callers[i]->granted = break_some;
      caller_begin (callers[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      caller_wait (callers[i]);
      n_granted += callers[i]->n_granted;
      n_failed += callers[i]->n_failed;
    }
  await_stats (world->pool, "lent=0 waiting=0 opening=0 busy=0 closing=0");
  stats = get_stats (world);
  ledger = fake_manager_get_ledger (world->manager);
  g_assert_cmpuint (db_pool_stats_get_requests (stats), ==, 200 * G_N_ELEMENTS (callers));
  g_assert_cmpuint (db_pool_stats_get_acquired (stats), ==, n_granted);
  g_assert_cmpuint (db_pool_stats_get_timeouts (stats), ==, n_failed);
  g_assert_cmpuint (db_pool_stats_get_created (stats), ==, ledger.opened);
  g_assert_cmpuint (db_pool_stats_get_idle (stats), ==, ledger.live);
  g_assert_cmpuint (ledger.opened - ledger.closed, ==, ledger.live);
  assert_stats (world->pool, "total=%u dropped=%u", ledger.live, ledger.closed);
  callers_free (callers, G_N_ELEMENTS (callers));
}

/* STA-11 */
static void
after_close (World *world)
{
  FakeManager *manager = fake_manager_new ();
  DbPool *other = make_pool_over (DB_CONNECTION_MANAGER (manager), "max-connections=2");
  g_autoptr (GError) error = NULL;

  make_pool (world, "max-connections=3");
  open_idle (world, 3);
  g_object_unref (acquire (other));
  db_pool_close (world->pool, 10 * SECOND, NULL, &error);
  g_assert_no_error (error);
  assert_stats (world->pool, "total=0 idle=0 lent=0 opening=0 busy=0 waiting=0 acquired=3");
  assert_stats (other, "total=1 idle=1 acquired=1 created=1 dropped=0");
  end_pool (other);
  assert_finalized_soon (manager);
}

/* STA-11: what the pool does by itself is nobody's request. */
static void
no_traffic_of_its_own (World *world)
{
  make_pool (world, "min-connections=2 max-connections=4 keepalive=40ms idle-timeout=60ms "
                    "max-lifetime=200ms");
  g_assert_cmpuint (db_pool_warm_up (world->pool, 4, NULL, NULL), ==, 4);
  fake_manager_await_calls (world->manager, FAKE_CHECK, 4);
  AWAIT (fake_manager_get_ledger (world->manager).opened >= 6);
  assert_stats (world->pool, "requests=0 acquired=0 waited=0 timeouts=0 cancelled=0 refused=0");
}

/* A snapshot is one, and does not change. */
static void
snapshots (World *world)
{
  g_autoptr (DbPoolStats) before = NULL;
  g_autoptr (DbPoolStats) copy = NULL;
  g_autofree char *text = NULL;

  make_pool (world, "max-connections=2");
  before = get_stats (world);
  open_idle (world, 2);
  g_assert_cmpuint (db_pool_stats_get_total (before), ==, 0);
  g_assert_cmpuint (db_pool_stats_get_acquired (before), ==, 0);
  g_clear_pointer (&before, db_pool_stats_free);
  before = get_stats (world);
  copy = db_pool_stats_copy (before);
  g_assert_cmpuint (db_pool_stats_get_idle (copy), ==, 2);
  text = db_pool_stats_to_string (copy);
  g_assert_nonnull (strstr (text, "2 idle"));
}

static void
add_all (void)
{
  scenario_add_both ("statistics/successful-acquires", successful_acquires);
  scenario_add_both ("statistics/gauges-while-opening", gauges_while_opening);
  scenario_add_both ("statistics/sizes-and-queue", sizes_and_queue);
  scenario_add_both ("statistics/direct-and-waited", direct_and_waited);
  scenario_add_both ("statistics/cancels-and-timeouts", cancels_and_timeouts);
  scenario_add_both ("statistics/refusals", refusals);
  scenario_add ("statistics/drop-reasons", drop_reasons);
  scenario_add ("statistics/opening", opening_statistics);
  scenario_add_both ("statistics/books-balance", books_balance);
  scenario_add ("statistics/after-close", after_close);
  scenario_add ("statistics/no-traffic-of-its-own", no_traffic_of_its_own);
  scenario_add ("statistics/snapshots", snapshots);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
