/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Retries: what a pool does while sessions cannot be opened, and when they can again.
 *
 * Here: RET-01, RET-02 (dbpool has no switch for it, but errors that trying again does not heal are
 * not tried again), RET-03, RET-04 (dbpool never gives up: see outage_ends), RET-05, RET-08,
 * RET-09, RET-10, RET-11.
 *
 * The back-off is 50 ms, doubled up to 10 s, and each delay is a random part of that, from 0 to all
 * of it. */

#include "config.h"

#include "scenario.h"

#define FIRST_DELAY (50 * MS)

static guint
n_opens (FakeManager *manager)
{
  return fake_manager_get_ledger (manager).opens;
}

static void
start_outage (FakeManager *manager)
{
  g_autoptr (GError) error = transient_error ();

  fake_manager_fail (manager, FAKE_OPEN, G_MAXUINT, error);
}

static void
end_outage (FakeManager *manager)
{
  fake_manager_fail (manager, FAKE_OPEN, 0, NULL);
}

static void
break_session (DbConnection *connection)
{
  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_BROKEN);
  db_connection_release (connection);
}

/* The gaps between the calls of open, from call @first on. */
static GArray *
dup_gaps (FakeManager *manager, guint first)
{
  g_autoptr (GArray) times = fake_manager_dup_times (manager, FAKE_OPEN);
  GArray *gaps = g_array_new (FALSE, FALSE, sizeof (gint64));

  for (guint i = first + 1; i < times->len; i++)
    {
      gint64 gap = g_array_index (times, gint64, i) - g_array_index (times, gint64, i - 1);

      g_array_append_val (gaps, gap);
    }
  return gaps;
}

/* RET-01 */
static void
retried_inside_the_acquire (World *world)
{
  Caller *caller;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  start_outage (world->manager);
  caller = caller_start (world);
  pass_time (300 * MS);
  g_assert_false (caller_is_done (caller));
  end_outage (world->manager);
  caller_wait_connection (caller);
  g_assert_cmpint (caller_get_wait (caller), >=, 300 * MS);
  /* After three or four failures a delay is at most 800 ms; chance may have made more of them. */
  assert_soon (caller_get_wait (caller), 300 * MS + 3200 * MS);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).failed[FAKE_OPEN], >=, 1);
  assert_stats (world->pool, "created=1 lent=1 errors=0 acquired=1 waited=1");
  caller_free (caller);

  caller = caller_start (world);
  caller_wait_connection (caller);
  caller_free (caller);
  assert_stats (world->pool, "created=1 acquired=2");
}

/* RET-02 */
static void
permanent_errors_are_not_retried (World *world)
{
  g_autoptr (GError) error = permanent_error ();
  Caller *caller;

  make_pool (world, "max-connections=3 connection-timeout=60s");
  fake_manager_fail (world->manager, FAKE_OPEN, G_MAXUINT, error);
  fake_manager_delay (world->manager, FAKE_OPEN, 50 * MS);
  caller = caller_start (world);
  caller_wait_error (caller, error->domain, error->code);
  g_assert_cmpstr (caller->error->message, ==, error->message);
  g_assert_cmpint (caller_get_wait (caller), >=, 50 * MS);
  caller_free (caller);
  pass_time (300 * MS);
  g_assert_cmpuint (n_opens (world->manager), ==, 1);
  assert_stats (world->pool, "total=0 errors=1 create-failed=1 created=0");
}

typedef struct
{
  FakeManager *manager;
  DbPool *pool;
} Side;

static void
side_start (Side *self)
{
  self->manager = fake_manager_new ();
  self->pool = make_pool_over (DB_CONNECTION_MANAGER (self->manager),
                               "max-connections=2 min-connections=1 connection-timeout=60s");
}

static void
side_end (Side *self)
{
  end_outage (self->manager);
  end_pool (self->pool);
  assert_finalized_soon (self->manager);
}

/* The session is lost, and so is the server. */
static void
side_lose (Side *self)
{
  g_autoptr (DbConnection) connection = acquire (self->pool);

  start_outage (self->manager);
  break_session (connection);
}

/* RET-03: one attempt at once, then gaps that grow, in their bands, and differ from pool to pool.
 */
static void
delays_grow (World *world)
{
  Side sides[20];
  gint64 sums[5] = {0};
  g_autoptr (GHashTable) distinct =
    g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (sides); i++)
    {
      side_start (&sides[i]);
      side_lose (&sides[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (sides); i++)
    AWAIT (n_opens (sides[i].manager) >= 2 + G_N_ELEMENTS (sums));
  for (guint i = 0; i < G_N_ELEMENTS (sides); i++)
    {
      g_autoptr (GArray) gaps = dup_gaps (sides[i].manager, 1);

      for (guint k = 0; k < G_N_ELEMENTS (sums); k++)
        {
          gint64 gap = g_array_index (gaps, gint64, k);

          assert_soon (gap, FIRST_DELAY << k);
          sums[k] += gap;
          g_hash_table_add (distinct, g_memdup2 (&gap, sizeof gap));
        }
      side_end (&sides[i]);
    }
  /* The means of 20 samples each, of 25 ms and of 400 ms, that lie within 6 deviations. */
  g_assert_cmpint (sums[4] / (gint64) G_N_ELEMENTS (sides), >=, 240 * MS);
  g_assert_cmpint (sums[3] / (gint64) G_N_ELEMENTS (sides), >=, 120 * MS);
  if (scenario_factor () == 1)
    g_assert_cmpint (sums[4], >, 2 * sums[0]);
  g_assert_cmpuint (g_hash_table_size (distinct), >=, 90);
}

/* A failing server is not asked all the time. */
static void
no_busy_loop (World *world)
{
  Caller *caller;

  make_pool (world, "max-connections=3 connection-timeout=800ms");
  start_outage (world->manager);
  caller = caller_start (world);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  caller_free (caller);
  g_assert_cmpuint (n_opens (world->manager), >=, 3);
  g_assert_cmpuint (n_opens (world->manager), <=, 20);
}

static void
background_error_cb (DbPool *pool, GError *error, gpointer data)
{
  g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
  ++*(guint *) data;
}

/* RET-04. dbpool does not give up, so there is no dead timer to wait for: after the outage the next
 * attempt comes after one delay at the latest, and serves whoever waits. What failed meanwhile with
 * nobody to tell is told by a signal. */
static void
outage_ends (World *world)
{
  g_autoptr (GError) last = NULL;
  g_autoptr (GError) none = NULL;
  guint n_reports = 0;
  Caller *caller;

  make_pool (world, "max-connections=1 min-connections=1 connection-timeout=60s");
  g_assert_null (db_pool_dup_open_error (world->pool));
  g_signal_connect (world->pool, "background-error", G_CALLBACK (background_error_cb), &n_reports);
  {
    g_autoptr (DbConnection) connection = acquire (world->pool);

    start_outage (world->manager);
    break_session (connection);
  }
  AWAIT (n_opens (world->manager) >= 4);
  AWAIT (n_reports >= 1);
  last = db_pool_dup_open_error (world->pool);
  g_assert_error (last, DB_ERROR, DB_ERROR_CONNECTION);
  await_stats (world->pool, "idle=0 lent=0 created=1");

  end_outage (world->manager);
  caller = caller_start (world);
  caller_wait_connection (caller);
  /* three or four failures: a delay is 800 ms at most, and one attempt may have begun before */
  assert_soon (caller_get_wait (caller), 3200 * MS);
  caller_free (caller);
  none = db_pool_dup_open_error (world->pool);
  g_assert_no_error (none);
  await_stats (world->pool, "idle=1 total=1 created=2");
}

/* RET-05 */
static void
growth_after_failed_growth (World *world)
{
  Caller *caller;

  start_outage (world->manager);
  make_pool (world, "max-connections=6 min-connections=4 connection-timeout=60s");
  caller = caller_start_full (world, 400 * MS, NULL);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 400 * MS);
  caller_free (caller);
  g_assert_cmpuint (n_opens (world->manager), >=, 1);
  assert_stats (world->pool, "idle=0 lent=0 created=0");

  end_outage (world->manager);
  caller = caller_start (world);
  caller_wait_connection (caller);
  caller_free (caller);
  await_stats (world->pool, "total=4 idle=4 created=4 opening=0");
}

static int
compare_gaps (gconstpointer a, gconstpointer b)
{
  return *(const gint64 *) a < *(const gint64 *) b ? -1 : 1;
}

/* RET-08: after a success delays begin at 50 ms again. Had they not, they would be up to 3.2 s; so
 * the median over some pools tells. */
static void
delays_begin_anew (World *world)
{
  Side sides[9];
  g_autoptr (GArray) firsts = g_array_new (FALSE, FALSE, sizeof (gint64));

  for (guint i = 0; i < G_N_ELEMENTS (sides); i++)
    {
      side_start (&sides[i]);
      side_lose (&sides[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (sides); i++)
    {
      AWAIT (n_opens (sides[i].manager) >= 6);
      end_outage (sides[i].manager);
    }
  for (guint i = 0; i < G_N_ELEMENTS (sides); i++)
    {
      g_autoptr (GArray) gaps = NULL;
      guint before;

      await_stats (sides[i].pool, "idle=1 total=1");
      before = n_opens (sides[i].manager);
      side_lose (&sides[i]);
      AWAIT (n_opens (sides[i].manager) >= before + 2);
      gaps = dup_gaps (sides[i].manager, before);
      g_array_append_val (firsts, g_array_index (gaps, gint64, 0));
      side_end (&sides[i]);
    }
  g_array_sort (firsts, compare_gaps);
  g_assert_cmpint (g_array_index (firsts, gint64, firsts->len / 2), <=, 400 * MS);
}

/* RET-09 */
static void
deadline_in_a_delay (World *world)
{
  Caller *caller;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  start_outage (world->manager);
  /* The delay has grown beyond what the caller has. */
  caller = caller_start_full (world, 500 * MS, NULL);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 500 * MS);
  g_assert_nonnull (strstr (caller->error->message, "simulated refusal"));
  caller_free (caller);
  caller = caller_start_full (world, 30 * MS, NULL);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 30 * MS);
  caller_free (caller);
}

/* RET-10 */
static void
close_in_a_delay (World *world)
{
  g_autoptr (GError) error = NULL;
  Caller *callers[3];
  gint64 before;
  guint opens;

  make_pool (world, "max-connections=2 min-connections=2 connection-timeout=60s");
  start_outage (world->manager);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    callers[i] = caller_start_waiting (world);
  AWAIT (n_opens (world->manager) >= 4);
  before = g_get_monotonic_time ();
  db_pool_close (world->pool, 10 * SECOND, NULL, &error);
  g_assert_no_error (error);
  assert_soon (g_get_monotonic_time () - before, 100 * MS);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    caller_wait_error (callers[i], DB_ERROR, DB_ERROR_CLOSED);
  opens = n_opens (world->manager);
  /* longer than the delay that was running */
  pass_time (850 * MS);
  g_assert_cmpuint (n_opens (world->manager), ==, opens);
  callers_free (callers, G_N_ELEMENTS (callers));
}

/* RET-11: what is lost together is not opened together. */
static void
no_herd (World *world)
{
  const guint max_opens = 3;
  DbConnection *connections[20];
  Caller *callers[100];

  make_pool (world, "max-connections=20 connection-timeout=60s");
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    connections[i] = acquire (world->pool);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->hold = 2 * MS;
      caller_begin_waiting (callers[i]);
    }
  fake_manager_delay (world->manager, FAKE_OPEN, 2 * MS);
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    {
      break_session (connections[i]);
      g_object_unref (connections[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      caller_wait (callers[i]);
      g_assert_cmpuint (callers[i]->n_granted, ==, 1);
    }
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).max_inside[FAKE_OPEN], <=, max_opens);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).max_live, <=, 20);
  await_stats (world->pool, "dropped-broken=20 acquired=120 errors=0 timeouts=0");
  callers_free (callers, G_N_ELEMENTS (callers));
}

/* RET-11 after an outage: while opening fails, one attempt at a time. */
static void
one_attempt_at_a_time (World *world)
{
  Caller *callers[30];

  make_pool (world, "max-connections=10 connection-timeout=60s");
  start_outage (world->manager);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    callers[i] = caller_start_waiting (world);
  AWAIT (fake_manager_get_ledger (world->manager).failed[FAKE_OPEN] >= 4);
  fake_manager_hang_opens (world->manager, TRUE);
  fake_manager_await_inside (world->manager, FAKE_OPEN, 1);
  pass_time (50 * MS);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).inside[FAKE_OPEN], ==, 1);
  end_outage (world->manager);
  fake_manager_hang_opens (world->manager, FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      caller_wait_connection (callers[i]);
      g_clear_pointer (&callers[i], caller_free);
    }
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).max_inside[FAKE_OPEN], <=, 3);
}

static void
add_all (void)
{
  scenario_add_both ("retry/inside-the-acquire", retried_inside_the_acquire);
  scenario_add_both ("retry/permanent-errors-are-not-retried", permanent_errors_are_not_retried);
  scenario_add ("retry/delays-grow", delays_grow);
  scenario_add_both ("retry/no-busy-loop", no_busy_loop);
  scenario_add_both ("retry/outage-ends", outage_ends);
  scenario_add_both ("retry/growth-after-failed-growth", growth_after_failed_growth);
  scenario_add ("retry/delays-begin-anew", delays_begin_anew);
  scenario_add_both ("retry/deadline-in-a-delay", deadline_in_a_delay);
  scenario_add_both ("retry/close-in-a-delay", close_in_a_delay);
  scenario_add_both ("retry/no-herd", no_herd);
  scenario_add_both ("retry/one-attempt-at-a-time", one_attempt_at_a_time);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
