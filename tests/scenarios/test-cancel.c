/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Cancelling an acquire: before, while it waits, when it was granted, from everywhere, and by the
 * thousand.
 *
 * Holds CAN-01, 02, 06, 07 (a part of its configurations unless --thorough), 09, 11, 12, 13, 14. */

#include "config.h"

#include "db-lock-private.h"
#include "scenario.h"

static void
assert_cancelled (Caller *caller)
{
  caller_wait_error (caller, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* CAN-01: nobody is asked. */
static void
cancelled_before (World *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Caller *caller;

  make_pool (world, "max-connections=2");
  g_cancellable_cancel (cancellable);
  caller = caller_start_full (world, -1, cancellable);
  assert_cancelled (caller);
  caller_free (caller);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, 0);
  assert_stats (world->pool, "acquired=0 cancelled=1 total=0 opening=0 waiting=0");

  g_object_unref (acquire (world->pool));
  for (guint i = 0; i < 2; i++)
    {
      /* Also one that would not wait. */
      caller = caller_start_full (world, i == 0 ? -1 : 0, cancellable);
      assert_cancelled (caller);
      caller_free (caller);
    }
  assert_stats (world->pool, "acquired=1 cancelled=3 idle=1 total=1 lent=0");
}

/* CAN-02 */
static void
cancelled_in_the_queue (World *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DbConnection *held;
  Caller *caller;
  gint64 cancelled_at;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  held = acquire (world->pool);
  caller = caller_start_waiting_full (world, -1, cancellable);
  pass_time (50 * MS);
  g_assert_false (caller_is_done (caller));
  cancelled_at = g_get_monotonic_time ();
  g_cancellable_cancel (cancellable);
  assert_cancelled (caller);
  g_assert_cmpint (caller->ended, >=, cancelled_at);
  assert_soon (caller->ended - cancelled_at, 20 * MS);
  caller_free (caller);
  assert_stats (world->pool, "lent=1 waiting=0 cancelled=1");
  g_object_unref (held);
  assert_stats (world->pool, "acquired=1 cancelled=1 idle=1 waiting=0 lent=0");
}

/* CAN-06 */
static void
mass_cancel (World *world)
{
  GCancellable *cancellables[9];
  Caller *callers[9], *granted[3];

  make_pool (world, "max-connections=3 connection-timeout=60s");
  for (guint i = 0; i < 3; i++)
    {
      granted[i] = caller_start (world);
      caller_wait_connection (granted[i]);
    }
  for (guint i = 0; i < 9; i++)
    {
      cancellables[i] = g_cancellable_new ();
      callers[i] = caller_start_waiting_full (world, -1, cancellables[i]);
    }
  for (guint i = 9; i > 0; i--)
    g_cancellable_cancel (cancellables[i - 1]);
  for (guint i = 0; i < 9; i++)
    {
      assert_cancelled (callers[i]);
      g_object_unref (cancellables[i]);
    }
  callers_free (callers, 9);
  callers_free (granted, 3);
  assert_stats (world->pool, "idle=3 waiting=0 cancelled=9 acquired=3");
  g_assert_cmpint (db_pool_execute (world->pool, "SELECT 1", NULL, NULL, NULL), >=, 0);
}

/* CAN-09 */
static void
cancel_after_success (World *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Caller *caller;
  GError *error = NULL;
  guint references;

  make_pool (world, "max-connections=1");
  references = G_OBJECT (cancellable)->ref_count;
  caller = caller_new (world);
  g_set_object (&caller->cancellable, cancellable);
  caller_begin (caller);
  caller_wait_connection (caller);
  /* The caller's and this one: the pool has let go of it. */
  AWAIT (g_atomic_int_get (&G_OBJECT (cancellable)->ref_count) == (int) references + 1);
  g_assert_false (g_signal_has_handler_pending (cancellable,
                                                g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE),
                                                0, TRUE));
  g_cancellable_cancel (cancellable);
  g_assert_cmpint (db_connection_execute (caller->connection, "SELECT 1", NULL, NULL, &error), >=,
                   0);
  g_assert_no_error (error);
  assert_stats (world->pool, "lent=1 cancelled=0 acquired=1");
  caller_free (caller);
}

/* CAN-09, when it had waited. */
static void
cancel_after_waiting (World *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DbConnection *held;
  Caller *caller;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  held = acquire (world->pool);
  caller = caller_start_waiting_full (world, -1, cancellable);
  g_object_unref (held);
  caller_wait_connection (caller);
  g_assert_false (g_signal_has_handler_pending (cancellable,
                                                g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE),
                                                0, TRUE));
  g_cancellable_cancel (cancellable);
  g_assert_false (db_connection_is_released (caller->connection));
  assert_stats (world->pool, "lent=1 cancelled=0 acquired=2");
  caller_free (caller);
}

static void
cancel_it (Caller *caller, DbConnection *connection)
{
  g_cancellable_cancel (caller->cancellable);
}

/* CAN-11: from the callback, or from the thread that has just got it. */
static void
cancel_from_the_callback (World *world)
{
  make_pool (world, "max-connections=1");
  for (guint i = 0; i < 20; i++)
    {
      Caller *caller = caller_new (world);

      caller->cancellable = g_cancellable_new ();
      caller->granted = cancel_it;
      caller_begin (caller);
      caller_wait_connection (caller);
      g_assert_false (db_connection_is_released (caller->connection));
      caller_free (caller);
    }
  assert_stats (world->pool, "acquired=20 cancelled=0 idle=1");
}

static void
cancel_in_open (FakeManager *manager,
                FakeGate gate,
                DbSession *session,
                GCancellable *cancellable,
                gpointer data)
{
  if (gate == FAKE_OPEN || gate == FAKE_CHECK)
    g_cancellable_cancel (data);
}

/* A blocking caller may have its connection already when the cancel comes; an asynchronous one has
 * it when its callback runs. */
static void
wait_cancelled_meanwhile (Caller *caller)
{
  caller_wait (caller);
  if (caller->async || caller->error != NULL)
    assert_cancelled (caller);
  caller_free (caller);
}

/* CAN-11: from the manager's own function, on behalf of this very acquire. The session that was
 * opened meanwhile joins the pool. */
static void
cancel_from_the_manager (World *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  fake_manager_set_observer (world->manager, cancel_in_open, cancellable);
  make_pool (world, "max-connections=1 validate-after-idle=0s connection-timeout=60s");
  for (guint i = 0; i < 20; i++)
    {
      g_cancellable_reset (cancellable);
      wait_cancelled_meanwhile (caller_start_full (world, -1, cancellable));
      await_stats (world->pool, "idle=1 total=1 lent=0 busy=0 waiting=0 requests=%u", i + 1);
    }
  assert_stats (world->pool, "created=1");
}

typedef struct
{
  DbPool *other;
  guint n;
} Elsewhere;

static void
use_another_pool (GCancellable *cancellable, gpointer data)
{
  Elsewhere *elsewhere = data;
  DbConnection *connection = acquire (elsewhere->other);

  db_connection_release (connection);
  g_object_unref (connection);
  elsewhere->n++;
}

/* CAN-11: a handler of the user's, before and after the pool's own, uses another pool and this one.
 */
static void
cancel_runs_handlers (World *world)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  DbPool *other = make_pool_over (DB_CONNECTION_MANAGER (manager), "max-connections=1");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Elsewhere elsewhere = {other, 0};
  DbConnection *held;
  Caller *caller;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  g_signal_connect (cancellable, "cancelled", G_CALLBACK (use_another_pool), &elsewhere);
  held = acquire (world->pool);
  caller = caller_start_waiting_full (world, -1, cancellable);
  g_signal_connect (cancellable, "cancelled", G_CALLBACK (use_another_pool), &elsewhere);
  g_cancellable_cancel (cancellable);
  g_assert_cmpuint (elsewhere.n, ==, 2);
  assert_cancelled (caller);
  g_object_unref (held);
  caller_free (caller);
  g_signal_handlers_disconnect_by_data (cancellable, &elsewhere);
  end_pool (other);
}

static void
give_back_cb (GCancellable *cancellable, DbConnection **connection)
{
  g_clear_object (connection);
}

/* CAN-11: the cancel itself gives back what the cancelled one waits for. */
static void
cancel_gives_back (World *world)
{
  make_pool (world, "max-connections=1 connection-timeout=60s");
  for (guint i = 0; i < 50; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      DbConnection *held = acquire (world->pool);
      Caller *caller;
      gulong handler = 0;

      if (i % 2 == 0)
        handler = g_signal_connect (cancellable, "cancelled", G_CALLBACK (give_back_cb), &held);
      caller = caller_start_waiting_full (world, -1, cancellable);
      if (i % 2 == 1)
        handler = g_signal_connect (cancellable, "cancelled", G_CALLBACK (give_back_cb), &held);
      g_cancellable_cancel (cancellable);
      g_assert_null (held);
      caller_wait (caller);
      /* Given back first, it may have been granted before the cancel came. */
      if (caller->error != NULL)
        assert_cancelled (caller);
      g_signal_handler_disconnect (cancellable, handler);
      caller_free (caller);
      await_stats (world->pool, "idle=1 lent=0 waiting=0");
    }
}

static gpointer
cancel_in_thread (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return NULL;
}

/* CAN-11: a cancel on one thread, the grant on another, at the same moment: one of them wins, once.
 */
static void
cancel_meets_grant (World *world)
{
  const guint n = 400 / (guint) scenario_factor ();
  guint n_granted = 0;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  for (guint i = 0; i < n; i++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      DbConnection *held = acquire (world->pool);
      Caller *caller = caller_start_waiting_full (world, -1, cancellable);
      GThread *thread = g_thread_new ("cancel", cancel_in_thread, cancellable);

      if (i % 4 == 0)
        g_thread_yield ();
      g_object_unref (held);
      caller_wait (caller);
      if (caller->error != NULL)
        assert_cancelled (caller);
      else
        n_granted++;
      caller_free (caller);
      g_thread_join (thread);
      await_stats (world->pool, "idle=1 lent=0 waiting=0 total=1");
    }
  assert_stats (world->pool, "requests=%u timeouts=0 errors=0 refused=0", 2 * n);
  if (!world->async)
    assert_stats (world->pool, "acquired=%u cancelled=%u", n + n_granted, n - n_granted);
  g_test_message ("%u of %u were granted", n_granted, n);
}

/* CAN-12 */
static void
shared_cancellable (World *world)
{
  g_autoptr (GCancellable) first = g_cancellable_new ();
  g_autoptr (GCancellable) second = g_cancellable_new ();
  DbConnection *held;
  Caller *doomed[20], *served[5];
  guint n_doomed = 0, n_served = 0;
  gint64 began;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  held = acquire (world->pool);
  for (guint i = 0; i < 25; i++)
    if (i % 5 == 2)
      {
        served[n_served] = caller_new (world);
        served[n_served]->hold = 0;
        g_set_object (&served[n_served]->cancellable, second);
        caller_begin_waiting (served[n_served++]);
      }
    else
      doomed[n_doomed++] = caller_start_waiting_full (world, -1, first);
  assert_stats (world->pool, "waiting=25");
  began = g_get_monotonic_time ();
  g_cancellable_cancel (first);
  for (guint i = 0; i < 20; i++)
    assert_cancelled (doomed[i]);
  assert_soon (g_get_monotonic_time () - began, 100 * MS);
  assert_stats (world->pool, "waiting=5 cancelled=20");
  g_object_unref (held);
  for (guint i = 0; i < 5; i++)
    {
      caller_wait (served[i]);
      g_assert_no_error (served[i]->error);
      g_assert_cmpuint (served[i]->grant, ==, i + 1);
    }
  callers_free (doomed, 20);
  callers_free (served, 5);
  g_assert_false (g_cancellable_is_cancelled (second));
}

/* CAN-13: neither an internal timeout nor a retry touches it. */
static void
cancellable_is_the_users (World *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) refused = transient_error ();
  Caller *caller;

  make_pool (world, "max-connections=1 validate-after-idle=0s check-timeout=50ms "
                    "connection-timeout=60s");
  g_object_unref (acquire (world->pool));
  fake_manager_hang (world->manager, FAKE_CHECK, TRUE);
  fake_manager_fail (world->manager, FAKE_OPEN, 2, refused);
  /* The check times out, two opens fail, a third works. */
  caller = caller_start_full (world, -1, cancellable);
  caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, ==, 2);
  g_assert_false (g_cancellable_is_cancelled (cancellable));
  caller_free (caller);

  fake_manager_hang (world->manager, FAKE_CHECK, FALSE);
  fake_manager_hang (world->manager, FAKE_OPEN, TRUE);
  db_pool_evict_all (world->pool);
  caller = caller_start_waiting_full (world, -1, cancellable);
  fake_manager_await_inside (world->manager, FAKE_OPEN, 1);
  g_cancellable_cancel (cancellable);
  assert_cancelled (caller);
  g_assert_true (g_cancellable_is_cancelled (cancellable));
  caller_free (caller);
  fake_manager_hang (world->manager, FAKE_OPEN, FALSE);
  await_stats (world->pool, "idle=1 opening=0");
  g_assert_true (g_cancellable_is_cancelled (cancellable));
}

/* CAN-13: a deadline does not cancel it either. */
static void
timeout_does_not_cancel (World *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Caller *caller;

  make_pool (world, "max-connections=1 connection-timeout=50ms");
  fake_manager_hang (world->manager, FAKE_OPEN, TRUE);
  caller = caller_start_full (world, -1, cancellable);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_false (g_cancellable_is_cancelled (cancellable));
  g_assert_false (g_signal_has_handler_pending (cancellable,
                                                g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE),
                                                0, TRUE));
  caller_free (caller);
  fake_manager_hang (world->manager, FAKE_OPEN, FALSE);
  await_stats (world->pool, "idle=1");
}

/* CAN-14 */
static void
cancelled_are_cheap (World *world)
{
  const guint n = 64, rounds = 100 / (guint) scenario_factor ();
  g_autoptr (GCancellable) cancelled = g_cancellable_new ();
  gint64 used = 0;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  g_cancellable_cancel (cancelled);
  for (guint i = 0; i < rounds; i++)
    {
      DbConnection *held = acquire (world->pool);
      Caller *waiter = caller_start_waiting (world);
      Caller *given_up = caller_new (world);

      given_up->cancellable = g_object_ref (cancelled);
      given_up->rounds = n;
      given_up->go_on = TRUE;
      used -= g_get_monotonic_time ();
      caller_begin (given_up);
      caller_wait (given_up);
      used += g_get_monotonic_time ();
      g_assert_cmpuint (given_up->n_failed, ==, n);
      assert_cancelled (given_up);
      assert_stats (world->pool, "waiting=1");
      caller_free (given_up);
      g_object_unref (held);
      caller_wait_connection (waiter);
      caller_free (waiter);
    }
  g_test_message ("%.1f µs for each", used / (double) (n * rounds));
  assert_soon (used, 10 * n * rounds);
  assert_stats (world->pool, "cancelled=%u waiting=0 idle=1", n * rounds);
}

/* CAN-07: what each of five stages does. */
typedef enum
{
  OUTCOME_OK,
  OUTCOME_ERROR,
  OUTCOME_SLOW,
  OUTCOME_NEVER,
  N_OUTCOMES,
} Outcome;

enum
{
  STAGE_OPEN,
  STAGE_CHECK,
  STAGE_RESET,
  STAGE_AFTER_CONNECT,
  STAGE_BEFORE_ACQUIRE,
  N_STAGES,
};

#define N_CONFIGURATIONS 1024 /* N_OUTCOMES to the power of N_STAGES */

typedef struct
{
  DbLock lock;
  DbCond cond;
  Outcome outcome;
  gboolean let_go; /* lock */
} HookPlan;

static gboolean
hook_cb (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  HookPlan *plan = data;

  g_assert_true (DB_IS_CONNECTION (subject));
  if (plan->outcome == OUTCOME_SLOW)
    g_usleep (2 * MS);
  db_lock_lock (&plan->lock);
  while (plan->outcome == OUTCOME_NEVER && !plan->let_go)
    db_cond_wait (&plan->cond, &plan->lock);
  db_lock_unlock (&plan->lock);
  if (plan->outcome != OUTCOME_ERROR)
    return TRUE;
  g_set_error_literal (error, DB_ERROR, DB_ERROR_CONNECTION, "rejected");
  return FALSE;
}

static void
let_hook_go (HookPlan *plan)
{
  db_lock_lock (&plan->lock);
  plan->let_go = TRUE;
  db_cond_broadcast (&plan->cond);
  db_lock_unlock (&plan->lock);
}

static void
plan_gate (FakeManager *manager, FakeGate gate, Outcome outcome)
{
  g_autoptr (GError) refused = transient_error ();

  fake_manager_fail (manager, gate, outcome == OUTCOME_ERROR ? G_MAXUINT : 0, refused);
  fake_manager_delay (manager, gate, outcome == OUTCOME_SLOW ? 2 * MS : 0);
  fake_manager_hang (manager, gate, outcome == OUTCOME_NEVER);
}

static void
leave_dirty (Caller *caller, DbConnection *connection)
{
  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_IN_TRANSACTION);
}

static void
assert_bounds (DbPool *pool, guint max)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  g_assert_cmpuint (db_pool_stats_get_total (stats), <=, max);
  g_assert_cmpuint (db_pool_stats_get_idle (stats), <=, max);
}

/* Eight callers with deadlines of 0 to 7 µs or ms, again and again for 10 ms. */
static void
run_callers (World *world, Caller *callers[8], GCancellable *abort_all)
{
  gint64 until = g_get_monotonic_time () + 10 * MS;

  g_atomic_int_set (&world->stop, FALSE);
  for (guint i = 0; i < 8; i++)
    {
      callers[i] = caller_new (world);
      callers[i]->timeout = i % 2 == 0 ? i : i * MS;
      callers[i]->rounds = 0;
      callers[i]->hold = 0;
      callers[i]->go_on = TRUE;
      callers[i]->granted = leave_dirty;
      callers[i]->cancellable = g_object_ref (abort_all);
      caller_begin (callers[i]);
    }
  while (g_get_monotonic_time () < until)
    {
      assert_bounds (world->pool, 2);
      scenario_pause ();
    }
}

static void
abort_callers (World *world, Caller *callers[8], GCancellable *abort_all, HookPlan plans[2])
{
  g_atomic_int_set (&world->stop, TRUE);
  g_cancellable_cancel (abort_all);
  /* A hook of the user's that does not return has to be let go; what the manager does is bounded,
   * or cancelled by the close. */
  for (guint i = 0; i < 2; i++)
    let_hook_go (&plans[i]);
  callers_free (callers, 8);
  await_stats (world->pool, "lent=0 waiting=0");
}

static void
plan_configuration (World *world, guint number, HookPlan plans[2])
{
  Outcome outcomes[N_STAGES];

  for (guint i = 0; i < N_STAGES; i++, number /= N_OUTCOMES)
    outcomes[i] = number % N_OUTCOMES;
  for (guint i = 0; i < 2; i++)
    {
      db_lock_init (&plans[i].lock);
      db_cond_init (&plans[i].cond);
      plans[i].outcome = outcomes[STAGE_AFTER_CONNECT + i];
      db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT + i, hook_cb, &plans[i], NULL);
    }
  plan_gate (world->manager, FAKE_OPEN, outcomes[STAGE_OPEN]);
  plan_gate (world->manager, FAKE_CHECK, outcomes[STAGE_CHECK]);
  plan_gate (world->manager, FAKE_RESET, outcomes[STAGE_RESET]);
}

static void
run_configuration (World *world, guint number)
{
  g_autoptr (GCancellable) abort_all = g_cancellable_new ();
  HookPlan plans[2] = {0};
  Caller *callers[8];
  gint64 began;

  world->pool = make_pool_over (DB_CONNECTION_MANAGER (world->manager),
                                "max-connections=2 validate-after-idle=0s check-timeout=20ms");
  plan_configuration (world, number, plans);
  run_callers (world, callers, abort_all);
  abort_callers (world, callers, abort_all, plans);
  began = g_get_monotonic_time ();
  db_pool_close (world->pool, 100 * MS, NULL, NULL);
  assert_soon (g_get_monotonic_time () - began, 2 * SECOND);
  for (guint gate = 0; gate < FAKE_N_GATES; gate++)
    plan_gate (world->manager, gate, OUTCOME_OK);
  end_pool (g_steal_pointer (&world->pool));
  for (guint i = 0; i < 2; i++)
    {
      db_cond_clear (&plans[i].cond);
      db_lock_clear (&plans[i].lock);
    }
}

/* CAN-07 */
static void
all_stages (World *world)
{
  const guint n = scenario_is_thorough () ? N_CONFIGURATIONS : 48 / (guint) scenario_factor ();

  world->max_live = 2;
  for (guint i = 0; i < n; i++)
    run_configuration (world, (11 + i * 37) % N_CONFIGURATIONS);
}

static void
add_all (void)
{
  scenario_add_both ("cancel/before", cancelled_before);
  scenario_add_both ("cancel/in-the-queue", cancelled_in_the_queue);
  scenario_add_both ("cancel/mass", mass_cancel);
  scenario_add_both ("cancel/after-success", cancel_after_success);
  scenario_add_both ("cancel/after-waiting", cancel_after_waiting);
  scenario_add_both ("cancel/from-the-callback", cancel_from_the_callback);
  scenario_add_both ("cancel/from-the-manager", cancel_from_the_manager);
  scenario_add_both ("cancel/runs-handlers", cancel_runs_handlers);
  scenario_add_both ("cancel/gives-back", cancel_gives_back);
  scenario_add_both ("cancel/meets-grant", cancel_meets_grant);
  scenario_add_both ("cancel/shared", shared_cancellable);
  scenario_add_both ("cancel/is-the-users", cancellable_is_the_users);
  scenario_add_both ("cancel/timeout-does-not-cancel", timeout_does_not_cancel);
  scenario_add_both ("cancel/cheap", cancelled_are_cheap);
  scenario_add_both ("cancel/all-stages", all_stages);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
