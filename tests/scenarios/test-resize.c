/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Pools that become larger and smaller while they are in use.
 *
 * Here: RSZ-01, RSZ-02 (a maximum of 0 is refused, so 2, 1, 2, 1 and 1, 2, 1, 5), RSZ-04 (as a
 * sequence of states instead of samples in time), RSZ-05, RSZ-06, RSZ-07. */

#include "config.h"

#include "scenario.h"

static void
assert_limits (DbPool *pool, guint min, guint max)
{
  guint is_min;
  guint is_max;

  g_object_get (db_pool_get_config (pool), "min-connections", &is_min, "max-connections", &is_max,
                NULL);
  g_assert_cmpuint (is_min, ==, min);
  g_assert_cmpuint (is_max, ==, max);
}

/* RSZ-01 */
static void
shrink_with_everything_lent (World *world)
{
  DbConnection *a;
  DbConnection *b;
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = NULL;

  make_pool (world, "max-connections=2");
  a = acquire (world->pool);
  b = acquire (world->pool);
  db_pool_resize (world->pool, 0, 1);
  assert_limits (world->pool, 0, 1);
  assert_stats (world->pool, "total=2 lent=2 dropped=0");
  result = db_connection_query (a, "SELECT 1", NULL, NULL, &error);
  g_assert_no_error (error);
  g_object_unref (a);
  await_stats (world->pool, "total=1 lent=1 dropped-evicted=1 dropped=1");
  g_object_unref (b);
  await_stats (world->pool, "total=1 idle=1 lent=0 dropped=1");
}

/* RSZ-01: idle ones go at once. */
static void
shrink_with_everything_idle (World *world)
{
  DbConnection *connections[6];

  make_pool (world, "max-connections=6");
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    connections[i] = acquire (world->pool);
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    g_object_unref (connections[i]);
  assert_stats (world->pool, "idle=6");
  db_pool_resize (world->pool, 0, 2);
  await_stats (world->pool, "idle=2 total=2 dropped-evicted=4 dropped=4");
}

/* RSZ-01: whoever waits for a smaller pool waits on, and is served within its new size. */
static void
shrink_with_waiters (World *world)
{
  DbConnection *held[3];
  Caller *callers[4];

  make_pool (world, "max-connections=3 connection-timeout=60s");
  for (guint i = 0; i < G_N_ELEMENTS (held); i++)
    held[i] = acquire (world->pool);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->hold = 5 * MS;
      caller_begin_waiting (callers[i]);
    }
  db_pool_resize (world->pool, 0, 1);
  g_object_unref (held[0]);
  g_object_unref (held[1]);
  await_stats (world->pool, "total=1 lent=1 waiting=4 dropped-evicted=2 created=3");
  g_object_unref (held[2]);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      caller_wait (callers[i]);
      g_assert_cmpuint (callers[i]->n_granted, ==, 1);
      g_assert_cmpuint (callers[i]->grant, ==, i + 1);
    }
  await_stats (world->pool, "total=1 idle=1 created=3 dropped=2");
  callers_free (callers, G_N_ELEMENTS (callers));
}

/* Growing serves those who wait at once. */
static void
grow_with_waiters (World *world)
{
  DbConnection *held;
  Caller *callers[3];

  make_pool (world, "max-connections=1 connection-timeout=60s");
  world->max_live = 4;
  held = acquire (world->pool);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    callers[i] = caller_start_waiting (world);
  db_pool_resize (world->pool, 0, 3);
  await_stats (world->pool, "lent=3 waiting=1 total=3");
  db_pool_resize (world->pool, 0, 4);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    caller_wait_connection (callers[i]);
  assert_stats (world->pool, "lent=4 waiting=0 total=4 created=4 dropped=0");
  callers_free (callers, G_N_ELEMENTS (callers));
  g_object_unref (held);
}

/* RSZ-02 */
static void
shrink_and_grow (World *world)
{
  DbConnection *a;
  DbConnection *b;

  make_pool (world, "max-connections=2");
  a = acquire (world->pool);
  b = acquire (world->pool);
  db_pool_resize (world->pool, 0, 1);
  assert_stats (world->pool, "total=2 lent=2");
  db_pool_resize (world->pool, 0, 2);
  assert_stats (world->pool, "total=2 lent=2");
  db_pool_resize (world->pool, 0, 1);
  assert_stats (world->pool, "total=2 lent=2");
  g_object_unref (a);
  await_stats (world->pool, "total=1 lent=1 dropped-evicted=1");
  g_object_unref (b);
  await_stats (world->pool, "total=1 idle=1 dropped-evicted=1 dropped=1");
}

static void
grow_with_one_held (World *world)
{
  DbConnection *held;

  make_pool (world, "max-connections=1");
  world->max_live = 5;
  held = acquire (world->pool);
  db_pool_resize (world->pool, 0, 2);
  db_pool_resize (world->pool, 0, 1);
  db_pool_resize (world->pool, 0, 5);
  assert_stats (world->pool, "total=1 lent=1 created=1");
  assert_limits (world->pool, 0, 5);
  g_object_unref (held);
  /* growing alone opens nothing */
  assert_stats (world->pool, "total=1 idle=1 created=1 dropped=0");
}

/* RSZ-04 */
static void
minimum_follows (World *world)
{
  DbConnection *held;

  make_pool (world, "min-connections=2 max-connections=2 idle-timeout=100ms");
  world->max_live = 4;
  g_object_unref (acquire (world->pool));
  await_stats (world->pool, "idle=2 total=2");
  held = acquire (world->pool);
  assert_stats (world->pool, "idle=1 lent=1 total=2");
  db_pool_resize (world->pool, 4, 4);
  await_stats (world->pool, "idle=3 lent=1 total=4");
  g_object_unref (held);
  assert_stats (world->pool, "idle=4 total=4");
  db_pool_resize (world->pool, 2, 2);
  await_stats (world->pool, "idle=2 total=2 created=4");
  pass_time (200 * MS);
  assert_stats (world->pool, "idle=2 total=2 created=4 dropped=2");
}

/* A smaller minimum alone lets the surplus age out. */
static void
smaller_minimum (World *world)
{
  gint64 before;

  make_pool (world, "min-connections=4 max-connections=4 idle-timeout=150ms");
  g_object_unref (acquire (world->pool));
  await_stats (world->pool, "idle=4 total=4");
  pass_time (200 * MS);
  assert_stats (world->pool, "idle=4 total=4 dropped=0");
  before = g_get_monotonic_time ();
  db_pool_resize (world->pool, 1, 4);
  await_stats (world->pool, "idle=1 total=1 dropped-idle=3 dropped=3");
  assert_soon (g_get_monotonic_time () - before, 150 * MS);
}

/* Properties of the pool's configuration do the same. */
static void
by_properties (World *world)
{
  DbConnection *held;
  Caller *caller;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  world->max_live = 3;
  held = acquire (world->pool);
  caller = caller_start_waiting (world);
  g_object_set (db_pool_get_config (world->pool), "max-connections", 3, NULL);
  caller_wait_connection (caller);
  g_object_set (db_pool_get_config (world->pool), "min-connections", 3, NULL);
  await_stats (world->pool, "lent=2 idle=1 total=3");
  g_object_set (db_pool_get_config (world->pool), "min-connections", 0, "max-connections", 1, NULL);
  caller_free (caller);
  g_object_unref (held);
  await_stats (world->pool, "idle=1 total=1");
}

static void
refuse (DbPool *pool, guint min, guint max)
{
  g_test_expect_message ("dbpool", G_LOG_LEVEL_CRITICAL, "*db_pool_resize*");
  db_pool_resize (pool, min, max);
  g_test_assert_expected_messages ();
}

/* RSZ-05. A negative size is (guint) -1 to C, and larger than any maximum. */
static void
bad_sizes (World *world)
{
  DbConnection *held;

  make_pool (world, "min-connections=1 max-connections=3");
  held = acquire (world->pool);
  refuse (world->pool, 0, 0);
  refuse (world->pool, 4, 2);
  refuse (world->pool, (guint) -1, 2);
  assert_limits (world->pool, 1, 3);
  assert_stats (world->pool, "total=1 lent=1");

  g_test_expect_message ("GLib-GObject", G_LOG_LEVEL_WARNING, "*max-connections*");
  g_object_set (db_pool_get_config (world->pool), "max-connections", 0, NULL);
  g_test_assert_expected_messages ();
  assert_limits (world->pool, 1, 3);
  g_object_unref (held);
  assert_stats (world->pool, "total=1 idle=1 dropped=0");
}

/* RSZ-06 */
static void
after_close (World *world)
{
  g_autoptr (GError) error = NULL;

  make_pool (world, "min-connections=1 max-connections=3");
  g_object_unref (acquire (world->pool));
  db_pool_close (world->pool, 10 * SECOND, NULL, &error);
  g_assert_no_error (error);
  db_pool_resize (world->pool, 3, 8);
  pass_time (50 * MS);
  assert_stats (world->pool, "total=0 created=1");
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, 1);
}

static void
count_grant (Caller *caller, DbConnection *connection)
{
  g_atomic_int_inc ((gint *) caller->data);
}

/* RSZ-07 */
static void
storm (World *world)
{
  gint64 until;
  Caller *callers[8];
  g_autoptr (GRand) random = g_rand_new_with_seed (g_test_rand_int ());
  gint n_grants = 0;
  guint max = 8;
  gint before;

  make_pool (world, "max-connections=8 connection-timeout=60s");
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->rounds = 0;
      callers[i]->hold = i % 2 == 0 ? 0 : 1 * MS;
      callers[i]->granted = count_grant;
      callers[i]->data = &n_grants;
      caller_begin (callers[i]);
    }
  until = g_get_monotonic_time () + (scenario_is_thorough () ? 10 * SECOND : 1 * SECOND);
  while (g_get_monotonic_time () < until)
    {
      max = (guint) g_rand_int_range (random, 1, 9);
      db_pool_resize (world->pool, (guint) g_rand_int_range (random, 0, (gint32) max + 1), max);
      pass_time (1 * MS);
    }
  /* It settles although it is in use, and nobody was forgotten. */
  max = 2;
  db_pool_resize (world->pool, 0, max);
  AWAIT ({
    g_autoptr (DbPoolStats) stats = db_pool_get_stats (world->pool);
    db_pool_stats_get_total (stats) <= max;
  });
  before = g_atomic_int_get (&n_grants);
  AWAIT (g_atomic_int_get (&n_grants) >= before + 50);
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr (DbPoolStats) stats = db_pool_get_stats (world->pool);

      g_assert_cmpuint (db_pool_stats_get_total (stats), <=, max);
      pass_time (1 * MS);
    }
  g_atomic_int_set (&world->stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      caller_wait (callers[i]);
      g_assert_no_error (callers[i]->error);
      g_assert_cmpuint (callers[i]->n_granted, >, 0);
    }
  await_stats (world->pool, "waiting=0 lent=0 opening=0 busy=0");
  callers_free (callers, G_N_ELEMENTS (callers));
}

static void
add_all (void)
{
  scenario_add ("resize/shrink-with-everything-lent", shrink_with_everything_lent);
  scenario_add ("resize/shrink-with-everything-idle", shrink_with_everything_idle);
  scenario_add_both ("resize/shrink-with-waiters", shrink_with_waiters);
  scenario_add_both ("resize/grow-with-waiters", grow_with_waiters);
  scenario_add ("resize/shrink-and-grow", shrink_and_grow);
  scenario_add ("resize/grow-with-one-held", grow_with_one_held);
  scenario_add ("resize/minimum-follows", minimum_follows);
  scenario_add ("resize/smaller-minimum", smaller_minimum);
  scenario_add_both ("resize/by-properties", by_properties);
  scenario_add ("resize/bad-sizes", bad_sizes);
  scenario_add ("resize/after-close", after_close);
  scenario_add_both ("resize/storm", storm);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
