/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* How long sessions live, and how many of them the pool keeps.
 *
 * Here: LIF-01, LIF-02, LIF-03, LIF-05, LIF-06, LIF-07, LIF-08 (also in test-servers.c, with a real
 * server), LIF-10, LIF-11, LIF-12, LIF-13 (dbpool has no predicate; the application goes through
 * the list of connections); MIN-01 (min-connections counts idle and lent sessions together),
 * MIN-02, MIN-03, MIN-05, MIN-06; and that a session is replaced before its life ends. */

#include "config.h"

#include "scenario.h"

typedef struct
{
  DbConnection *connections[60];
  guint n;
} Hand;

static void
take (World *world, Hand *hand, guint n)
{
  for (guint i = 0; i < n; i++)
    hand->connections[hand->n++] = acquire (world->pool);
}

static void
give_back (Hand *hand)
{
  while (hand->n > 0)
    g_object_unref (hand->connections[--hand->n]);
}

/* A loan that succeeds, and ends at once. Returns the session's number. */
static guint
borrow (World *world)
{
  g_autoptr (Caller) caller = caller_start (world);

  caller_wait_connection (caller);
  return caller->id;
}

static guint
n_opens (World *world)
{
  return fake_manager_get_ledger (world->manager).opens;
}

/* What became of a session that has been dropped: its close is over when this returns. */
static FakeRecord
await_closed (World *world, guint id)
{
  AWAIT (fake_manager_get_record (world->manager, id).closed > 0);
  return fake_manager_get_record (world->manager, id);
}

static guint
get_gauge (World *world, guint (*get) (const DbPoolStats *stats))
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (world->pool);

  return get (stats);
}

/* LIF-01 */
static void
idle_timeout (World *world)
{
  Hand hand = {0};
  DbConnection *held;
  gint64 returned;
  guint id;

  make_pool (world, "max-connections=5 idle-timeout=200ms max-lifetime=0s");
  held = acquire (world->pool);
  id = fake_connection_get_id (held);
  take (world, &hand, 4);
  give_back (&hand);
  returned = g_get_monotonic_time ();
  await_stats (world->pool, "dropped-idle=4 dropped=4 total=1 lent=1");
  /* the first to be returned may be closed a little earlier than the last one */
  assert_soon (g_get_monotonic_time () - returned, 200 * MS);
  pass_time (300 * MS);
  assert_stats (world->pool, "dropped=4 total=1 lent=1");
  returned = g_get_monotonic_time ();
  g_object_unref (held);
  await_stats (world->pool, "dropped-idle=5 dropped-lifetime=0 dropped=5 total=0");
  assert_took (await_closed (world, id).closing - returned, 200 * MS);
  g_assert_cmpuint (n_opens (world), ==, 5);
}

static void
assert_total_stays (World *world, guint total, gint64 duration)
{
  gint64 until = g_get_monotonic_time () + duration;

  while (g_get_monotonic_time () < until)
    {
      assert_stats (world->pool, "total=%u", total);
      scenario_pause ();
    }
}

/* LIF-02 */
static void
idle_shrink_stops_at_min (World *world)
{
  Hand hand = {0};

  make_pool (world, "min-connections=5 max-connections=60 idle-timeout=150ms");
  take (world, &hand, 60);
  assert_stats (world->pool, "total=60 lent=60");
  give_back (&hand);
  /* never fewer than 5 on the way */
  while (!stats_are (world->pool, "total=5 idle=5"))
    {
      g_assert_cmpuint (get_gauge (world, db_pool_stats_get_idle), >=, 5);
      scenario_pause ();
    }
  assert_total_stays (world, 5, 400 * MS);
  assert_stats (world->pool, "created=60 dropped-idle=55 dropped=55");
}

static void
full_pool_never_shrinks (World *world)
{
  Hand hand = {0};

  make_pool (world, "min-connections=20 max-connections=20 idle-timeout=50ms");
  take (world, &hand, 20);
  give_back (&hand);
  assert_total_stays (world, 20, 300 * MS);
  assert_stats (world->pool, "idle=20 created=20 dropped=0");
}

/* One is lent and four are idle: that makes five. */
static void
lent_ones_count_for_min (World *world)
{
  Hand hand = {0};
  DbConnection *held;

  make_pool (world, "min-connections=5 max-connections=10 idle-timeout=50ms");
  held = acquire (world->pool);
  take (world, &hand, 6);
  give_back (&hand);
  await_stats (world->pool, "lent=1 idle=4 total=5");
  assert_total_stays (world, 5, 200 * MS);
  assert_stats (world->pool, "created=7 dropped-idle=2 dropped=2");
  g_object_unref (held);
}

/* LIF-03 */
static void
lifetime_in_the_background (World *world)
{
  FakeRecord old;
  guint first;

  make_pool (world, "max-connections=3 idle-timeout=0s max-lifetime=400ms lifetime-jitter=0");
  first = borrow (world);
  /* A machine that stood still proves nothing. */
  if (borrow (world) != first)
    g_assert_cmpint (g_get_monotonic_time () -
                       fake_manager_get_record (world->manager, first).began,
                     >=, 400 * MS);
  else
    assert_stats (world->pool, "dropped=0 created=1");
  await_stats (world->pool, "total=0 dropped-lifetime=1 dropped-idle=0 dropped=1");
  old = await_closed (world, first);
  g_assert_cmpint (old.closing - old.began, >=, 400 * MS);
  g_assert_cmpuint (borrow (world), !=, first);
}

/* LIF-03 with a minimum: the pool stays as large, and all of its sessions are young. */
static void
lifetime_with_min (World *world)
{
  const gint64 life = 500 * MS;
  gint64 until;

  make_pool (world, "min-connections=3 max-connections=6 idle-timeout=0s max-lifetime=500ms "
                    "lifetime-jitter=10");
  borrow (world);
  await_stats (world->pool, "idle=3 total=3");
  until = g_get_monotonic_time () + 900 * MS;
  while (g_get_monotonic_time () < until)
    {
      /* Replaced first, closed then: nobody finds fewer. */
      g_assert_cmpuint (get_gauge (world, db_pool_stats_get_idle), >=, 3 - 1);
      g_assert_cmpuint (get_gauge (world, db_pool_stats_get_total), <=, 6);
      scenario_pause ();
    }
  for (guint id = 1; id <= 3; id++)
    await_closed (world, id);
  for (guint id = 1; id <= fake_manager_get_ledger (world->manager).opened; id++)
    {
      FakeRecord record = fake_manager_get_record (world->manager, id);
      gint64 end = record.closing > 0 ? record.closing : g_get_monotonic_time ();

      assert_soon (end - record.began, life);
      /* up to 10 % by chance, and 5 % for the replacement */
      if (record.closing > 0)
        g_assert_cmpint (record.closing - record.began, >=, life * 85 / 100);
    }
  assert_stats (world->pool, "dropped-idle=0 dropped-broken=0 dropped-invalid=0 dropped-evicted=0");
}

/* A session is replaced before it is closed, if there is room: 5 % of its life earlier, and not
 * before that. A machine that stands still for a moment may miss that, but not each time. */
static void
replaced_before_retired (World *world)
{
  const guint n = 4;
  guint n_ahead = 0;

  make_pool (world, "min-connections=1 max-connections=2 idle-timeout=0s max-lifetime=400ms "
                    "lifetime-jitter=0");
  fake_manager_delay (world->manager, FAKE_OPEN, 8 * MS);
  borrow (world);
  await_stats (world->pool, "dropped=%u idle=1 total=1", n);
  for (guint id = 1; id <= n; id++)
    {
      FakeRecord old = await_closed (world, id);
      FakeRecord young = fake_manager_get_record (world->manager, id + 1);

      n_ahead += young.opened <= old.closing;
      g_assert_cmpint (young.began - old.began, >=, 380 * MS);
    }
  g_assert_cmpuint (n_ahead, >=, 1);
  assert_stats (world->pool, "dropped-lifetime=%u created=%u", n, n + 1);
}

/* There is no room, so the old one goes first. */
static void
no_room_for_a_replacement (World *world)
{
  FakeRecord old;
  FakeRecord young;

  make_pool (world, "min-connections=1 max-connections=1 idle-timeout=0s max-lifetime=300ms "
                    "lifetime-jitter=0");
  borrow (world);
  await_stats (world->pool, "dropped=1 idle=1 total=1");
  old = await_closed (world, 1);
  young = fake_manager_get_record (world->manager, 2);
  g_assert_cmpint (young.began, >=, old.closed);
  g_assert_cmpint (old.closing - old.began, >=, 300 * MS);
}

/* The replacement cannot be opened: the old one serves to its end. */
static void
no_replacement_to_be_had (World *world)
{
  g_autoptr (GError) error = transient_error ();
  FakeRecord old;

  make_pool (world, "min-connections=1 max-connections=2 idle-timeout=0s max-lifetime=600ms "
                    "lifetime-jitter=0");
  borrow (world);
  fake_manager_fail (world->manager, FAKE_OPEN, G_MAXUINT, error);
  await_stats (world->pool, "dropped-lifetime=1 idle=0");
  old = await_closed (world, 1);
  assert_took (old.closing - old.began, 600 * MS);
  fake_manager_fail (world->manager, FAKE_OPEN, 0, NULL);
  await_stats (world->pool, "idle=1 total=1");
}

/* LIF-05 */
static void
lifetime_at_acquire (World *world)
{
  guint ids[6];

  make_pool (world, "max-connections=1 idle-timeout=0s max-lifetime=300ms lifetime-jitter=0");
  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    {
      if (i > 0)
        pass_time (100 * MS);
      ids[i] = borrow (world);
      if (i > 0)
        g_assert_cmpuint (ids[i], >=, ids[i - 1]);
    }
  g_assert_cmpuint (ids[5], !=, ids[0]);
  g_assert_cmpuint (ids[5], <=, 6);
  /* Whoever had a session had it before its life was over. */
  for (guint id = 1; id < ids[5]; id++)
    {
      FakeRecord record = await_closed (world, id);

      g_assert_cmpint (record.closing - record.began, >=, 300 * MS);
    }
}

/* LIF-05: a session that is too old when it comes back goes neither to the idle ones nor to who
 * waits. */
static void
lifetime_at_return (World *world)
{
  DbConnection *held;
  Caller *caller;

  make_pool (world, "max-connections=1 idle-timeout=0s max-lifetime=100ms lifetime-jitter=0");
  held = acquire (world->pool);
  caller = caller_start_waiting (world);
  pass_time (150 * MS);
  assert_stats (world->pool, "lent=1 waiting=1 dropped=0");
  g_object_unref (held);
  caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, ==, 2);
  assert_stats (world->pool, "dropped-lifetime=1 dropped=1 created=2");
  pass_time (150 * MS);
  caller_free (caller);
  await_stats (world->pool, "dropped-lifetime=2 dropped=2 created=2 total=0");
}

/* The number of loans is a limit as well. */
static void
max_uses (World *world)
{
  guint ids[7];

  make_pool (world, "max-connections=1 max-uses=3");
  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    ids[i] = borrow (world);
  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    g_assert_cmpuint (ids[i], ==, 1 + i / 3);
  await_stats (world->pool, "dropped-lifetime=2 dropped=2 created=3 total=1");
}

/* LIF-06 */
static void
zero_means_never (World *world)
{
  make_pool (world, "max-connections=2 max-lifetime=0s idle-timeout=0s");
  for (guint i = 0; i < 5; i++)
    {
      g_assert_cmpuint (borrow (world), ==, 1);
      pass_time (60 * MS);
    }
  assert_stats (world->pool, "dropped=0 created=1 idle=1");
}

/* LIF-07: what was opened together does not end together. */
static void
no_mass_expiry (World *world)
{
  const guint n = 50;
  const gint64 life = scenario_is_thorough () ? 4 * SECOND : 1500 * MS;
  const gint64 window = life / 2;
  gint64 first = G_MAXINT64;
  gint64 last = 0;
  guint slots[10] = {0};
  guint fewest = n;

  make_pool (world,
             "min-connections=50 max-connections=60 idle-timeout=0s max-lifetime=%" G_GINT64_FORMAT
             "ms lifetime-jitter=50",
             life / MS);
  borrow (world);
  await_stats (world->pool, "idle=50");
  for (;;)
    {
      guint there = get_gauge (world, db_pool_stats_get_idle);
      guint n_closed = 0;

      fewest = MIN (fewest, there);
      for (guint id = 1; id <= n; id++)
        n_closed += fake_manager_get_record (world->manager, id).closing > 0;
      if (n_closed == n)
        break;
      scenario_pause ();
    }
  for (guint id = 1; id <= n; id++)
    {
      FakeRecord record = fake_manager_get_record (world->manager, id);
      gint64 age = record.closing - record.began;

      first = MIN (first, age);
      last = MAX (last, age);
      assert_soon (age, life);
      g_assert_cmpint (age, >=, life * 45 / 100);
      slots[CLAMP ((age - window) * (gint64) G_N_ELEMENTS (slots) / window, 0,
                   (gint64) G_N_ELEMENTS (slots) - 1)]++;
    }
  g_test_message ("ages %.3f to %.3f s, never fewer than %u idle", first / 1e6, last / 1e6, fewest);
  g_assert_cmpint (last - first, >=, window * 6 / 10);
  if (scenario_factor () == 1)
    {
      /* 5 of 50 each; 20 are beyond chance */
      for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
        g_assert_cmpuint (slots[i], <, 20);
      g_assert_cmpuint (fewest, >=, 40);
    }
}

/* LIF-08: idle sessions are looked after, and that is no use of them. */
static void
keepalive (World *world)
{
  make_pool (world, "max-connections=2 keepalive=60ms idle-timeout=0s max-lifetime=0s");
  borrow (world);
  fake_manager_await_calls (world->manager, FAKE_CHECK, 4);
  {
    g_autoptr (GArray) checks = fake_manager_dup_times (world->manager, FAKE_CHECK);

    /* up to a tenth earlier */
    for (guint i = 1; i < checks->len; i++)
      g_assert_cmpint (g_array_index (checks, gint64, i) - g_array_index (checks, gint64, i - 1),
                       >=, 54 * MS);
  }
  assert_stats (world->pool, "requests=1 acquired=1 created=1 dropped=0");
}

static void
no_keepalive (World *world)
{
  make_pool (world, "max-connections=2 keepalive=0s idle-timeout=0s max-lifetime=0s");
  borrow (world);
  pass_time (300 * MS);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).checks, ==, 0);
}

/* A keepalive does not keep a session from getting too old for the idle timeout. */
static void
keepalive_is_no_use (World *world)
{
  gint64 returned;

  make_pool (world, "max-connections=1 keepalive=40ms idle-timeout=300ms max-lifetime=0s");
  borrow (world);
  returned = g_get_monotonic_time ();
  await_stats (world->pool, "dropped-idle=1 total=0");
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).checks, >=, 1);
  assert_soon (g_get_monotonic_time () - returned, 300 * MS);
}

/* A keepalive that fails replaces the session. */
static void
keepalive_finds_a_dead_one (World *world)
{
  make_pool (world, "min-connections=2 max-connections=3 keepalive=50ms idle-timeout=0s");
  borrow (world);
  await_stats (world->pool, "idle=2");
  fake_manager_fail (world->manager, FAKE_CHECK, 1, NULL);
  await_stats (world->pool, "dropped-invalid=1 dropped=1 idle=2 created=3");
  assert_stats (world->pool, "requests=1 errors=0");
}

/* LIF-10 */
static void
expired_returns_do_not_loop (World *world)
{
  make_pool (world, "max-connections=1 idle-timeout=0s max-lifetime=50ms lifetime-jitter=0");
  for (guint i = 0; i < 5; i++)
    {
      Caller *caller = caller_start (world);

      caller_wait_connection (caller);
      pass_time (100 * MS);
      caller_free (caller);
      pass_time (50 * MS);
      await_stats (world->pool, "created=%u dropped-lifetime=%u total=0", i + 1, i + 1);
    }
  g_assert_cmpuint (n_opens (world), ==, 5);
}

static gboolean
fail_once (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  if (g_atomic_int_add ((gint *) data, 1) != 2)
    return TRUE;
  g_set_error_literal (error, DB_ERROR, DB_ERROR_FAILED, "simulated hook");
  return FALSE;
}

static void
count_error_cb (DbPool *pool, GError *error, gpointer data)
{
  ++*(guint *) data;
}

/* LIF-11: errors of what the pool does by itself end nothing. */
static void
maintenance_survives_errors (World *world)
{
  guint n_errors = 0;
  gint n_calls = 0;

  make_pool (world, "min-connections=4 max-connections=8 keepalive=50ms idle-timeout=200ms");
  db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT, fail_once, &n_calls, NULL);
  g_signal_connect (world->pool, "background-error", G_CALLBACK (count_error_cb), &n_errors);
  borrow (world);
  await_stats (world->pool, "idle=4 total=4");
  g_assert_cmpint (g_atomic_int_get (&n_calls), ==, 5);
  AWAIT (n_errors >= 1);

  /* keepalives and replacements go on */
  fake_manager_fail (world->manager, FAKE_CHECK, 2, NULL);
  await_stats (world->pool, "dropped-invalid=2 idle=4 create-failed=1");
  /* and idle closes */
  {
    Hand hand = {0};

    take (world, &hand, 8);
    give_back (&hand);
    await_stats (world->pool, "total=4 idle=4 dropped-idle=4");
  }
}

/* LIF-12 */
static void
only_idle_time_counts (World *world)
{
  gint64 returned;
  Caller *caller;

  make_pool (world, "max-connections=1 idle-timeout=100ms max-lifetime=0s");
  caller = caller_start (world);
  caller_wait_connection (caller);
  pass_time (500 * MS);
  assert_stats (world->pool, "lent=1 dropped=0");
  returned = g_get_monotonic_time ();
  caller_free (caller);
  await_stats (world->pool, "dropped-idle=1 total=0");
  assert_took (await_closed (world, 1).closing - returned, 100 * MS);
}

/* LIF-13: the application chooses, through the list of connections. */
static void
selective_eviction (World *world)
{
  g_autoptr (GListModel) list = NULL;
  Hand hand = {0};
  guint64 chosen;
  guint n_idle = 0;
  guint n_lent = 0;

  make_pool (world, "max-connections=4 idle-timeout=0s");
  take (world, &hand, 4);
  chosen = db_connection_get_id (hand.connections[1]);
  g_object_unref (hand.connections[1]);
  g_object_unref (hand.connections[2]);
  hand.connections[1] = hand.connections[3];
  hand.n = 2;
  await_stats (world->pool, "idle=2 lent=2");
  list = db_pool_get_connections (world->pool);
  AWAIT (g_list_model_get_n_items (list) == 4);
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr (DbConnectionInfo) info = g_list_model_get_item (list, i);

      n_idle += db_connection_info_get_state (info) == DB_CONNECTION_IDLE;
      n_lent += db_connection_info_get_state (info) == DB_CONNECTION_LENT;
      if (db_connection_info_get_id (info) == chosen ||
          db_connection_info_get_id (info) == db_connection_get_id (hand.connections[0]))
        db_connection_info_evict (info);
    }
  g_assert_cmpuint (n_idle, ==, 2);
  g_assert_cmpuint (n_lent, ==, 2);
  /* the idle one goes at once, the lent one when it comes back */
  await_stats (world->pool, "idle=1 lent=2 total=3 dropped-evicted=1");
  AWAIT (g_list_model_get_n_items (list) == 3);
  give_back (&hand);
  await_stats (world->pool, "idle=2 total=2 dropped-evicted=2 dropped=2");
  AWAIT (g_list_model_get_n_items (list) == 2);
}

/* MIN-01, as a minimum of all sessions. */
static void
min_arithmetic (World *world)
{
  Hand hand = {0};

  make_pool (world, "min-connections=2 max-connections=5 idle-timeout=100ms");
  take (world, &hand, 1);
  await_stats (world->pool, "idle=1 lent=1 total=2 opening=0");
  take (world, &hand, 2);
  await_stats (world->pool, "idle=0 lent=3 total=3 opening=0");
  give_back (&hand);
  await_stats (world->pool, "idle=2 total=2 dropped-idle=1");
  take (world, &hand, 5);
  assert_stats (world->pool, "idle=0 lent=5 total=5");
  give_back (&hand);
  await_stats (world->pool, "idle=2 total=2");
}

/* MIN-02 */
static void
loss_is_made_good (World *world)
{
  make_pool (world, "min-connections=2 max-connections=2 idle-timeout=100ms");
  borrow (world);
  await_stats (world->pool, "idle=2");
  fake_manager_delay (world->manager, FAKE_OPEN, 50 * MS);
  {
    g_autoptr (DbConnection) connection = acquire (world->pool);

    fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_BROKEN);
  }
  await_stats (world->pool, "idle=2 total=2 created=3 dropped-broken=1 dropped=1");
  assert_stats (world->pool, "requests=2");
}

static gpointer
discard_some (gpointer data)
{
  DbPool *pool = data;

  for (guint i = 0; i < 5; i++)
    {
      g_autoptr (DbConnection) connection = acquire (pool);

      db_connection_evict (connection);
    }
  return NULL;
}

/* MIN-03 */
static void
evict_all_refill_all (World *world)
{
  const guint n_rounds = scenario_is_thorough () ? 200 : 30;

  make_pool (world, "min-connections=5 max-connections=10 connection-timeout=60s");
  borrow (world);
  for (guint i = 0; i < n_rounds; i++)
    {
      GThread *threads[3];

      for (guint k = 0; k < G_N_ELEMENTS (threads); k++)
        threads[k] = g_thread_new ("discard", discard_some, world->pool);
      for (guint k = 0; k < G_N_ELEMENTS (threads); k++)
        g_thread_join (threads[k]);
      if (i % 4 == 0)
        db_pool_evict_all (world->pool);
      AWAIT (get_gauge (world, db_pool_stats_get_idle) >= 5);
      g_assert_cmpuint (get_gauge (world, db_pool_stats_get_total), <=, 10);
    }
}

typedef struct
{
  World *world;
  gint stop; /* atomic */
} Churn;

static gpointer
churn (gpointer data)
{
  Churn *self = data;
  g_autoptr (GRand) random = g_rand_new ();

  while (!g_atomic_int_get (&self->stop))
    {
      g_autoptr (DbConnection) connection = acquire (self->world->pool);

      if (g_rand_int_range (random, 0, 10) < 3)
        db_connection_evict (connection);
    }
  return NULL;
}

/* MIN-05. That a new session goes to the oldest caller is looked at in the core's own tests. */
static void
refill_never_overshoots (World *world)
{
  Churn self = {world, FALSE};
  GThread *threads[8];

  make_pool (world, "min-connections=3 max-connections=4 connection-timeout=60s");
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("churn", churn, &self);
  pass_time (scenario_is_thorough () ? 20 * SECOND : 1 * SECOND);
  g_atomic_int_set (&self.stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).max_live, <=, 4);
  await_stats (world->pool, "waiting=0 lent=0 opening=0 closing=0 busy=0");
  g_assert_cmpuint (get_gauge (world, db_pool_stats_get_idle), >=, 3);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).closes, >, 0);
}

/* MIN-06 */
static void
detached_and_drained_are_losses (World *world)
{
  g_autoptr (DbConnection) detached = NULL;
  g_autoptr (GError) error = NULL;

  make_pool (world, "min-connections=2 max-connections=4");
  world->max_live = 5;
  borrow (world);
  await_stats (world->pool, "idle=2 total=2");
  detached = acquire (world->pool);
  g_assert_true (db_connection_detach (detached, &error));
  g_assert_no_error (error);
  await_stats (world->pool, "idle=2 total=2 detached=1 dropped=0 created=3");
  db_pool_evict_all (world->pool);
  await_stats (world->pool, "idle=2 total=2 dropped-evicted=2 dropped=2 created=5");
  g_clear_object (&detached);
}

static void
add_all (void)
{
  scenario_add ("lifetime/idle-timeout", idle_timeout);
  scenario_add ("lifetime/idle-shrink-stops-at-min", idle_shrink_stops_at_min);
  scenario_add ("lifetime/full-pool-never-shrinks", full_pool_never_shrinks);
  scenario_add ("lifetime/lent-ones-count-for-min", lent_ones_count_for_min);
  scenario_add_both ("lifetime/in-the-background", lifetime_in_the_background);
  scenario_add ("lifetime/with-min", lifetime_with_min);
  scenario_add ("lifetime/replaced-before-retired", replaced_before_retired);
  scenario_add ("lifetime/no-room-for-a-replacement", no_room_for_a_replacement);
  scenario_add ("lifetime/no-replacement-to-be-had", no_replacement_to_be_had);
  scenario_add_both ("lifetime/at-acquire", lifetime_at_acquire);
  scenario_add_both ("lifetime/at-return", lifetime_at_return);
  scenario_add_both ("lifetime/max-uses", max_uses);
  scenario_add_both ("lifetime/zero-means-never", zero_means_never);
  scenario_add ("lifetime/no-mass-expiry", no_mass_expiry);
  scenario_add ("lifetime/keepalive", keepalive);
  scenario_add ("lifetime/no-keepalive", no_keepalive);
  scenario_add ("lifetime/keepalive-is-no-use", keepalive_is_no_use);
  scenario_add ("lifetime/keepalive-finds-a-dead-one", keepalive_finds_a_dead_one);
  scenario_add_both ("lifetime/expired-returns-do-not-loop", expired_returns_do_not_loop);
  scenario_add ("lifetime/maintenance-survives-errors", maintenance_survives_errors);
  scenario_add_both ("lifetime/only-idle-time-counts", only_idle_time_counts);
  scenario_add ("lifetime/selective-eviction", selective_eviction);
  scenario_add ("min-connections/arithmetic", min_arithmetic);
  scenario_add ("min-connections/loss-is-made-good", loss_is_made_good);
  scenario_add ("min-connections/evict-all-refill-all", evict_all_refill_all);
  scenario_add ("min-connections/refill-never-overshoots", refill_never_overshoots);
  scenario_add ("min-connections/detached-and-drained", detached_and_drained_are_losses);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
