/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Health checks of a pool on a scripted manager: what they ask, what they leave alone, how long
 * they take, and what they say. Watches are in test-health-watch.c. The main thread blocks; others
 * are there where it takes two. */

#include "config.h"

#include "db-pool-private.h"
#include "pool-fixture.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* For what should take no time at all. */
#define GENEROUS (5 * SECOND)

static DbHealthReport *
check (DbHealthChecker *checker)
{
  GError *error = NULL;
  DbHealthReport *report = db_health_checker_check (checker, NULL, &error);

  g_assert_no_error (error);
  return report;
}

/* @code: of the only reason; NULL: there is none */
static void
assert_report (DbHealthReport *report, DbHealthStatus status, const char *code)
{
  const char *const *codes = db_health_report_get_codes (report);
  const char *const *reasons = db_health_report_get_reasons (report);

  g_assert_cmpstr (codes[0], ==, code);
  g_assert_cmpuint (g_strv_length ((char **) codes), ==, code != NULL ? 1 : 0);
  g_assert_cmpuint (g_strv_length ((char **) reasons), ==, code != NULL ? 1 : 0);
  g_assert_cmpint (db_health_report_get_status (report), ==, status);
}

static void
assert_checks (DbHealthChecker *checker, DbHealthStatus status, const char *code)
{
  g_autoptr (DbHealthReport) report = check (checker);

  assert_report (report, status, code);
}

/* A check is nobody's request. */
static void
assert_uncounted (DbPool *pool, guint64 n_requests)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);
  g_autoptr (DbMetricsSummary) validate =
    db_metrics_collector_get_summary (db_pool_get_metrics (pool), DB_METRIC_VALIDATE);

  g_assert_cmpuint (db_pool_stats_get_requests (stats), ==, n_requests);
  g_assert_cmpuint (db_pool_stats_get_acquired (stats), ==, n_requests);
  g_assert_cmpuint (db_metrics_summary_get_count (validate), ==, 0);
}

static void
count_cb (DbPool *pool, gint64 duration, guint *n)
{
  ++*n;
}

static void
test_healthy (void)
{
  Fixture fixture;
  guint n_signals = 0;

  set_up (&fixture, 2, SECOND);
  g_signal_connect (fixture.pool, "connection-acquired", G_CALLBACK (count_cb), &n_signals);
  g_signal_connect (fixture.pool, "connection-returned", G_CALLBACK (count_cb), &n_signals);
  {
    g_autoptr (DbHealthChecker) checker = db_health_checker_new (fixture.pool);
    g_autoptr (DbHealthReport) report = check (checker);
    g_autoptr (DbHealthReport) another = NULL;

    assert_report (report, DB_HEALTH_HEALTHY, NULL);
    g_assert_true (db_health_report_get_answered (report));
    g_assert_cmpint (db_health_report_get_round_trip (report), >=, 0);
    g_assert_cmpint (db_health_report_get_success_age (report), >=, 0);
    g_assert_cmpint (db_health_report_get_duration (report), >=,
                     db_health_report_get_round_trip (report));
    g_assert_null (db_health_report_dup_error (report));
    another = check (checker);
    g_assert_true (another != report);
  }
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opens, ==, 1);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).checks, ==, 2);
  assert_gauges (fixture.pool, 1, 1, 0, 0);
  assert_uncounted (fixture.pool, 0);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (n_signals, ==, 0);
  tear_down (&fixture);
}

/* A session may be opened for a check, but only below the maximum. */
static void
test_no_growth (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbConnection) first = NULL;
  g_autoptr (DbConnection) second = NULL;

  set_up (&fixture, 2, SECOND);
  checker = db_health_checker_new (fixture.pool);
  g_object_set (checker, "timeout", 50 * MS, NULL);
  first = acquire (fixture.pool);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  assert_gauges (fixture.pool, 2, 1, 1, 0);
  second = acquire (fixture.pool);
  assert_checks (checker, DB_HEALTH_DEGRADED, "no-session");
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).max_live, ==, 2);
  assert_uncounted (fixture.pool, 2);
  g_clear_object (&first);
  g_clear_object (&second);
  tear_down (&fixture);
}

static void
test_hangs (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbHealthReport) report = NULL;
  g_autoptr (GError) error = NULL;
  gint64 began;
  gint64 took;

  set_up (&fixture, 1, SECOND);
  checker = db_health_checker_new (fixture.pool);
  g_object_set (checker, "timeout", 100 * MS, NULL);
  fake_manager_set_deaf (fixture.manager, FAKE_CHECK, TRUE);
  fake_manager_hang (fixture.manager, FAKE_CHECK, TRUE);
  began = g_get_monotonic_time ();
  report = check (checker);
  took = g_get_monotonic_time () - began;
  g_assert_cmpint (took, >=, 100 * MS);
  g_assert_cmpint (took, <, GENEROUS);
  assert_report (report, DB_HEALTH_UNHEALTHY, "no-answer");
  g_assert_false (db_health_report_get_answered (report));
  g_assert_cmpint (db_health_report_get_round_trip (report), ==, -1);
  error = db_health_report_dup_error (report);
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  /* Nobody gets what did not answer, though it would now. */
  fake_manager_set_deaf (fixture.manager, FAKE_CHECK, FALSE);
  fake_manager_hang (fixture.manager, FAKE_CHECK, FALSE);
  await_gauges (fixture.pool, 0, 0, 0, 0);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).closed, ==, 1);
  tear_down (&fixture);
}

/* A server that hangs as it is opened takes no more than the timeout either. */
static void
test_open_hangs (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  gint64 began;

  set_up (&fixture, 1, SECOND);
  checker = db_health_checker_new (fixture.pool);
  g_object_set (checker, "timeout", 50 * MS, NULL);
  fake_manager_hang_opens (fixture.manager, TRUE);
  began = g_get_monotonic_time ();
  assert_checks (checker, DB_HEALTH_UNHEALTHY, "no-connection");
  g_assert_cmpint (g_get_monotonic_time () - began, >=, 50 * MS);
  /* The next one does not open another one. */
  assert_checks (checker, DB_HEALTH_UNHEALTHY, "no-connection");
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opens, ==, 1);
  fake_manager_hang_opens (fixture.manager, FALSE);
  await_gauges (fixture.pool, 1, 1, 0, 0);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  tear_down (&fixture);
}

/* How things are now: one attempt for each check, whatever the back-off says. */
static void
test_open_fails (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbHealthReport) report = NULL;
  g_autoptr (GError) refused = g_error_new (DB_ERROR, DB_ERROR_CONNECTION, "refused");
  g_autoptr (GError) denied = g_error_new (DB_ERROR, DB_ERROR_AUTHENTICATION, "denied");
  g_autoptr (GError) error = NULL;

  set_up (&fixture, 2, SECOND);
  checker = db_health_checker_new (fixture.pool);
  g_object_set (checker, "timeout", GENEROUS, NULL);
  fake_manager_fail_opens (fixture.manager, G_MAXUINT, refused);
  for (guint i = 1; i <= 5; i++)
    {
      gint64 began = g_get_monotonic_time ();

      assert_checks (checker, DB_HEALTH_UNHEALTHY, "no-connection");
      g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opens, ==, i);
      g_assert_cmpint (g_get_monotonic_time () - began, <, GENEROUS);
    }
  fake_manager_fail_opens (fixture.manager, G_MAXUINT, denied);
  report = check (checker);
  error = db_health_report_dup_error (report);
  g_assert_error (error, DB_ERROR, DB_ERROR_AUTHENTICATION);
  fake_manager_fail_opens (fixture.manager, 0, NULL);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  tear_down (&fixture);
}

/* An idle session that turns out to be dead says nothing of the database; a new one does. */
static void
test_dead_session (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;

  set_up (&fixture, 1, SECOND);
  checker = db_health_checker_new (fixture.pool);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  fake_manager_fail (fixture.manager, FAKE_CHECK, 1, NULL);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opened, ==, 2);
  fake_manager_fail (fixture.manager, FAKE_CHECK, G_MAXUINT, NULL);
  assert_checks (checker, DB_HEALTH_UNHEALTHY, "no-answer");
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opened, ==, 3);
  tear_down (&fixture);
}

/* All lent: when one last worked decides. */
static void
test_last_success (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbHealthReport) report = NULL;
  g_autoptr (DbConnection) connection = NULL;
  gint64 began;
  gint64 took;

  set_up (&fixture, 1, SECOND);
  checker = db_health_checker_new (fixture.pool);
  g_object_set (checker, "timeout", 50 * MS, NULL);
  connection = acquire (fixture.pool);
  began = g_get_monotonic_time ();
  report = check (checker);
  took = g_get_monotonic_time () - began;
  g_assert_cmpint (took, >=, 50 * MS);
  g_assert_cmpint (took, <, GENEROUS);
  assert_report (report, DB_HEALTH_DEGRADED, "no-session");
  g_assert_false (db_health_report_get_answered (report));
  g_assert_cmpint (db_health_report_get_success_age (report), >=, 50 * MS);

  g_object_set (checker, "success-age-threshold", 40 * MS, NULL);
  assert_checks (checker, DB_HEALTH_UNHEALTHY, "no-success");
  g_object_set (checker, "success-age-threshold", (gint64) 0, NULL);
  assert_checks (checker, DB_HEALTH_DEGRADED, "no-session");
  g_clear_object (&connection);
  tear_down (&fixture);
}

/* A statement is a success, and an error is none. */
static void
test_statements_are_successes (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (DbResult) result = NULL;
  DbPoolCore *core;
  gint64 before;

  set_up (&fixture, 1, SECOND);
  core = fixture.pool->engine->core;
  connection = acquire (fixture.pool);
  before = db_pool_core_get_proven_at (core);
  g_assert_cmpint (before, >, 0);
  while (g_get_monotonic_time () == before)
    ;
  g_assert_null (db_connection_query (connection, "fail", NULL, NULL, NULL));
  g_assert_cmpint (db_pool_core_get_proven_at (core), ==, before);
  result = db_connection_query (connection, "good", NULL, NULL, NULL);
  g_assert_nonnull (result);
  g_assert_cmpint (db_pool_core_get_proven_at (core), >, before);
  g_clear_object (&connection);
  tear_down (&fixture);
}

typedef struct
{
  DbHealthReport *report;
  GError *error;
  gboolean done;
} Outcome;

static void
checked_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Outcome *outcome = data;

  g_assert_false (outcome->done);
  outcome->report =
    db_health_checker_check_finish (DB_HEALTH_CHECKER (source), result, &outcome->error);
  g_assert_true ((outcome->report == NULL) == (outcome->error != NULL));
  outcome->done = TRUE;
}

static void
await_outcome (Outcome *outcome)
{
  while (!outcome->done)
    g_main_context_iteration (NULL, TRUE);
}

static void
outcome_clear (Outcome *outcome)
{
  g_clear_object (&outcome->report);
  g_clear_error (&outcome->error);
}

/* Whoever waits for a connection comes first, even after the check; and what they do tells enough.
 */
static void
test_waiters_first (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (DbResult) result = NULL;
  Outcome outcome = {0};
  Waiter waiters[2] = {{0}, {0}};

  set_up (&fixture, 1, GENEROUS);
  checker = db_health_checker_new (fixture.pool);
  connection = acquire (fixture.pool);
  db_health_checker_check_async (checker, NULL, checked_cb, &outcome);
  for (guint i = 0; i < 2; i++)
    db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiters[i]);
  assert_gauges (fixture.pool, 1, 0, 1, 2);
  result = db_connection_query (connection, "good", NULL, NULL, NULL);
  g_clear_object (&connection);
  await (&waiters[0]);
  g_assert_no_error (waiters[0].error);
  await_outcome (&outcome);
  assert_report (outcome.report, DB_HEALTH_HEALTHY, NULL);
  g_assert_false (db_health_report_get_answered (outcome.report));
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).checks, ==, 0);
  outcome_clear (&outcome);
  waiter_clear (&waiters[0]);
  await (&waiters[1]);
  waiter_clear (&waiters[1]);
  tear_down (&fixture);
}

/* A session that comes back while nobody waits is asked, once, and goes on. */
static void
test_takes_what_comes_back (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbConnection) connection = NULL;
  Outcome outcome = {0};

  set_up (&fixture, 1, GENEROUS);
  checker = db_health_checker_new (fixture.pool);
  connection = acquire (fixture.pool);
  db_health_checker_check_async (checker, NULL, checked_cb, &outcome);
  g_clear_object (&connection);
  await_outcome (&outcome);
  assert_report (outcome.report, DB_HEALTH_HEALTHY, NULL);
  g_assert_true (db_health_report_get_answered (outcome.report));
  outcome_clear (&outcome);
  assert_uncounted (fixture.pool, 1);
  assert_gauges (fixture.pool, 1, 1, 0, 0);
  tear_down (&fixture);
}

/* While the check has the only session, an acquire waits for it, and not for long. */
static void
test_acquire_meanwhile (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  Outcome outcome = {0};
  Waiter waiter = {0};

  set_up (&fixture, 1, GENEROUS);
  checker = db_health_checker_new (fixture.pool);
  g_object_unref (acquire (fixture.pool));
  fake_manager_hang (fixture.manager, FAKE_CHECK, TRUE);
  db_health_checker_check_async (checker, NULL, checked_cb, &outcome);
  fake_manager_await_calls (fixture.manager, FAKE_CHECK, 1);
  db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiter);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opens, ==, 1);
  fake_manager_hang (fixture.manager, FAKE_CHECK, FALSE);
  await (&waiter);
  g_assert_no_error (waiter.error);
  await_outcome (&outcome);
  assert_report (outcome.report, DB_HEALTH_HEALTHY, NULL);
  outcome_clear (&outcome);
  waiter_clear (&waiter);
  tear_down (&fixture);
}

static void
test_shared (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Outcome outcomes[3] = {{0}, {0}, {0}};

  set_up (&fixture, 2, SECOND);
  checker = db_health_checker_new (fixture.pool);
  fake_manager_hang (fixture.manager, FAKE_CHECK, TRUE);
  for (guint i = 0; i < 3; i++)
    db_health_checker_check_async (checker, i == 1 ? cancellable : NULL, checked_cb, &outcomes[i]);
  fake_manager_await_calls (fixture.manager, FAKE_CHECK, 1);
  g_cancellable_cancel (cancellable);
  await_outcome (&outcomes[1]);
  g_assert_error (outcomes[1].error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_false (outcomes[0].done || outcomes[2].done);
  fake_manager_hang (fixture.manager, FAKE_CHECK, FALSE);
  await_outcome (&outcomes[0]);
  await_outcome (&outcomes[2]);
  g_assert_true (outcomes[0].report != NULL && outcomes[0].report == outcomes[2].report);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).checks, ==, 1);
  for (guint i = 0; i < 3; i++)
    outcome_clear (&outcomes[i]);
  tear_down (&fixture);
}

static gpointer
cancel_thread (gpointer data)
{
  gpointer *args = data;

  fake_manager_await_calls (args[0], FAKE_CHECK, 1);
  g_cancellable_cancel (args[1]);
  return NULL;
}

/* Cancelling ends the wait and not the check: the session lives on. */
static void
test_cancel (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) again = NULL;
  gpointer args[2];
  GThread *thread;

  set_up (&fixture, 1, SECOND);
  checker = db_health_checker_new (fixture.pool);
  fake_manager_hang (fixture.manager, FAKE_CHECK, TRUE);
  args[0] = fixture.manager;
  args[1] = cancellable;
  thread = g_thread_new ("canceller", cancel_thread, args);
  g_assert_null (db_health_checker_check (checker, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_thread_join (thread);
  fake_manager_hang (fixture.manager, FAKE_CHECK, FALSE);
  await_gauges (fixture.pool, 1, 1, 0, 0);
  g_assert_null (db_health_checker_check (checker, cancellable, &again));
  g_assert_error (again, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  tear_down (&fixture);
}

static void
test_suspended_and_closed (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbHealthChecker) of_the_dead = NULL;
  g_autoptr (DbConnection) connection = NULL;
  Outcome outcome = {0};

  set_up (&fixture, 1, SECOND);
  checker = db_health_checker_new (fixture.pool);
  db_pool_suspend (fixture.pool);
  assert_checks (checker, DB_HEALTH_DEGRADED, "suspended");
  db_pool_resume (fixture.pool);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);

  /* Those that wait for a session hear of both, too. */
  connection = acquire (fixture.pool);
  db_health_checker_check_async (checker, NULL, checked_cb, &outcome);
  db_pool_suspend (fixture.pool);
  await_outcome (&outcome);
  assert_report (outcome.report, DB_HEALTH_DEGRADED, "suspended");
  outcome_clear (&outcome);
  db_pool_resume (fixture.pool);
  outcome = (Outcome){0};
  db_health_checker_check_async (checker, NULL, checked_cb, &outcome);
  g_assert_false (db_pool_close (fixture.pool, 0, NULL, NULL));
  await_outcome (&outcome);
  assert_report (outcome.report, DB_HEALTH_UNHEALTHY, "closed");
  outcome_clear (&outcome);
  assert_checks (checker, DB_HEALTH_UNHEALTHY, "closed");

  g_clear_object (&connection);
  of_the_dead = db_health_checker_new (fixture.pool);
  tear_down (&fixture);
  assert_checks (of_the_dead, DB_HEALTH_UNHEALTHY, "closed");
}

/* The end of the pool is the end of a check: nobody waits for its deadline. */
static void
test_closed_meanwhile (void)
{
  const FakeGate gates[] = {FAKE_CHECK, FAKE_FACTS};

  for (guint i = 0; i < G_N_ELEMENTS (gates); i++)
    {
      Fixture fixture;
      g_autoptr (DbHealthChecker) checker = NULL;
      g_autoptr (GError) error = NULL;
      Outcome outcome = {0};
      gint64 began;

      set_up (&fixture, 1, SECOND);
      checker = db_health_checker_new (fixture.pool);
      g_object_set (checker, "timeout", 60 * SECOND, NULL);
      fake_manager_hang (fixture.manager, gates[i], TRUE);
      db_health_checker_check_async (checker, NULL, checked_cb, &outcome);
      fake_manager_await_inside (fixture.manager, gates[i], 1);
      began = g_get_monotonic_time ();
      g_assert_true (db_pool_close (fixture.pool, 30 * SECOND, NULL, &error));
      g_assert_no_error (error);
      g_assert_cmpint (g_get_monotonic_time () - began, <, GENEROUS);
      await_outcome (&outcome);
      assert_report (outcome.report, DB_HEALTH_UNHEALTHY, "closed");
      outcome_clear (&outcome);
      tear_down (&fixture);
    }
}

/* One failure of long ago says nothing about now, when nobody has needed another session since. */
static void
test_old_failure (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (GError) refused = g_error_new (DB_ERROR, DB_ERROR_CONNECTION, "refused");
  Waiter waiter = {0};

  set_up (&fixture, 2, 60 * SECOND);
  checker = db_health_checker_new (fixture.pool);
  g_object_set (checker, "failure-threshold", 0, NULL);
  connection = acquire (fixture.pool);
  fake_manager_fail_opens (fixture.manager, G_MAXUINT, refused);
  db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiter);
  fake_manager_await_opens (fixture.manager, 2);
  await_gauges (fixture.pool, 1, 0, 1, 1);
  g_clear_object (&connection);
  await (&waiter);
  waiter_clear (&waiter);
  assert_checks (checker, DB_HEALTH_DEGRADED, "open-failed");
  g_object_set (checker, "failure-window", MS, NULL);
  g_usleep (2 * MS);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  tear_down (&fixture);
}

/* Nothing is known of dedicated sessions, and nothing is made up. */
static void
test_dedicated (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbHealthReport) report = NULL;
  g_autoptr (DbSession) session = NULL;
  g_autoptr (GError) error = NULL;
  const char *reason;

  set_up (&fixture, 1, SECOND);
  session = db_connection_manager_open_session (DB_CONNECTION_MANAGER (fixture.pool), NULL, &error);
  g_assert_no_error (error);
  checker = db_health_checker_new (fixture.pool);
  g_object_set (checker, "timeout", 20 * MS, NULL);
  report = check (checker);
  assert_report (report, DB_HEALTH_DEGRADED, "no-session");
  g_assert_cmpint (db_health_report_get_success_age (report), ==, -1);
  reason = db_health_report_get_reasons (report)[0];
  g_assert_null (strstr (reason, "-0"));
  g_assert_null (strstr (reason, " ago"));
  db_connection_manager_close_session (DB_CONNECTION_MANAGER (fixture.pool), session);
  tear_down (&fixture);
}

/* What a borrower has left behind is to be cleaned, whoever looked at the session meanwhile. */
static void
test_leaves_dirt (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  DbPoolConfig *config;
  DbConnection *connection;

  set_up (&fixture, 1, SECOND);
  checker = db_health_checker_new (fixture.pool);
  config = db_pool_get_config (fixture.pool);
  g_object_set (config, "reset-level", DB_RESET_NONE, NULL);
  connection = acquire (fixture.pool);
  g_object_unref (db_connection_query (connection, "SET", NULL, NULL, NULL));
  g_object_unref (connection);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  g_object_set (config, "reset-level", DB_RESET_DIRTY, NULL);
  g_object_unref (acquire (fixture.pool));
  await_gauges (fixture.pool, 1, 1, 0, 0);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).resets, ==, 1);
  tear_down (&fixture);
}

static void
test_thresholds (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbConnection) connection = NULL;

  set_up (&fixture, 2, SECOND);
  checker = db_health_checker_new (fixture.pool);
  connection = acquire (fixture.pool);

  g_object_set (checker, "saturation-threshold", 50, NULL);
  assert_checks (checker, DB_HEALTH_DEGRADED, "saturated");
  g_object_set (checker, "saturation-threshold", 51, NULL);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);

  fake_manager_delay (fixture.manager, FAKE_CHECK, 20 * MS);
  g_object_set (checker, "round-trip-threshold", 19 * MS, NULL);
  assert_checks (checker, DB_HEALTH_DEGRADED, "slow");
  g_object_set (checker, "round-trip-threshold", (gint64) 0, NULL);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  g_clear_object (&connection);
  tear_down (&fixture);
}

static void
test_failures (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbHealthChecker) late = NULL;
  g_autoptr (DbConnection) connection = NULL;

  set_up (&fixture, 1, SECOND);
  checker = db_health_checker_new (fixture.pool);
  connection = acquire (fixture.pool);
  for (guint i = 0; i < 2; i++)
    g_assert_null (db_pool_acquire_full (fixture.pool, DB_ACQUIRE_NONE, 1, NULL, NULL, NULL));
  g_clear_object (&connection);
  assert_checks (checker, DB_HEALTH_DEGRADED, "failures");
  g_object_set (checker, "failure-threshold", 3, NULL);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  g_object_set (checker, "failure-threshold", 2, NULL);
  assert_checks (checker, DB_HEALTH_DEGRADED, "failures");
  /* What is long ago does not count: the window moves on with the checks. */
  g_object_set (checker, "failure-window", 1 * MS, NULL);
  g_usleep (2 * MS);
  g_object_unref (check (checker));
  g_usleep (2 * MS);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  late = db_health_checker_new (fixture.pool);
  assert_checks (late, DB_HEALTH_HEALTHY, NULL);
  tear_down (&fixture);
}

static void
test_waiting (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbHealthReport) report = NULL;
  g_autoptr (DbConnection) connection = NULL;
  Waiter waiter = {0};

  set_up (&fixture, 1, 60 * SECOND);
  checker = db_health_checker_new (fixture.pool);
  g_object_set (checker, "timeout", 50 * MS, "wait-threshold", 40 * MS, NULL);
  connection = acquire (fixture.pool);
  db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiter);
  report = check (checker);
  g_assert_true (db_health_report_has_reason (report, "waiting"));
  g_assert_true (db_health_report_has_reason (report, "no-session"));
  g_assert_cmpint (db_health_report_get_status (report), ==, DB_HEALTH_DEGRADED);
  g_clear_object (&connection);
  await (&waiter);
  waiter_clear (&waiter);
  tear_down (&fixture);
}

static void
test_facts (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbHealthReport) report = NULL;
  g_autoptr (GError) error = NULL;
  gint64 size = 0;

  set_up (&fixture, 1, SECOND);
  checker = db_health_checker_new (fixture.pool);
  fake_manager_set_facts (fixture.manager, g_variant_new_parsed (
                                             "{'size': <int64 7>, 'degraded': <{'small': 'it is "
                                             "small'}>, 'unhealthy': <{'gone': 'it is gone'}>}"));
  report = check (checker);
  g_assert_cmpint (db_health_report_get_status (report), ==, DB_HEALTH_UNHEALTHY);
  g_assert_cmpstr (db_health_report_get_codes (report)[0], ==, "gone");
  g_assert_cmpstr (db_health_report_get_reasons (report)[0], ==, "it is gone");
  g_assert_cmpstr (db_health_report_get_codes (report)[1], ==, "small");
  g_assert_true (g_variant_lookup (db_health_report_get_facts (report), "size", "x", &size));
  g_assert_cmpint (size, ==, 7);
  g_assert_cmpuint (g_variant_n_children (db_health_report_get_facts (report)), ==, 1);
  g_clear_object (&report);

  /* A manager that makes nonsense of it, fails, or fails without saying why. */
  fake_manager_set_facts (fixture.manager, g_variant_new_int32 (1));
  report = check (checker);
  assert_report (report, DB_HEALTH_DEGRADED, "facts");
  error = db_health_report_dup_error (report);
  g_assert_error (error, DB_ERROR, DB_ERROR_HEALTH_CHECK);
  fake_manager_set_facts (fixture.manager, NULL);
  fake_manager_fail (fixture.manager, FAKE_FACTS, 1, NULL);
  assert_checks (checker, DB_HEALTH_DEGRADED, "facts");
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  assert_gauges (fixture.pool, 1, 1, 0, 0);

  /* What takes too long is left out, and the answer stands. */
  g_object_set (checker, "timeout", 50 * MS, NULL);
  fake_manager_hang (fixture.manager, FAKE_FACTS, TRUE);
  g_clear_object (&report);
  report = check (checker);
  assert_report (report, DB_HEALTH_DEGRADED, "facts");
  g_assert_true (db_health_report_get_answered (report));
  fake_manager_hang (fixture.manager, FAKE_FACTS, FALSE);
  await_gauges (fixture.pool, 1, 1, 0, 0);
  tear_down (&fixture);
}

static void
test_texts (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbHealthReport) report = NULL;
  g_autofree char *text = NULL;
  g_autofree char *json = NULL;

  set_up (&fixture, 1, SECOND);
  checker = db_health_checker_new (fixture.pool);
  fake_manager_set_facts (
    fixture.manager,
    g_variant_new_parsed ("{'a \"b\"\\n': <[1, 2]>, 'x': <{'k': <@mb true>}>, 'nan': "
                          "<%d>, 'degraded': <{'tab': 'a\\tb'}>}",
                          0.0 / 0.0));
  report = check (checker);
  text = db_health_report_to_string (report);
  g_assert_true (g_str_has_prefix (text, "FakeManager is degraded: answered in "));
  g_assert_true (g_str_has_suffix (text, "\na\tb"));
  json = db_health_report_to_json (report);
  g_assert_null (strchr (json, '\n'));
  g_assert_nonnull (strstr (json, "{\"status\":\"degraded\",\"name\":\"pool-"));
  g_assert_nonnull (strstr (json, "\"reasons\":[{\"code\":\"tab\",\"text\":\"a\\u0009b\"}]"));
  g_assert_nonnull (strstr (json, "\"a \\\"b\\\"\\u000a\":[1,2]"));
  g_assert_nonnull (strstr (json, "\"x\":{\"k\":true}"));
  g_assert_nonnull (strstr (json, "\"nan\":null"));
  tear_down (&fixture);
}

/* In the child the pool is dead; the parent's goes on. */
static void
test_fork (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  int status = 0;
  pid_t pid;

  set_up (&fixture, 1, SECOND);
  checker = db_health_checker_new (fixture.pool);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  db_health_checker_start (checker);
  pid = fork ();
  if (pid == 0)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GError) of_another = NULL;
      DbHealthReport *report;

      alarm (10);
      report = db_health_checker_check (checker, NULL, &error);
      while (g_main_context_iteration (NULL, FALSE))
        ;
      if (report != NULL || !g_error_matches (error, DB_ERROR, DB_ERROR_FORKED) ||
          db_health_checker_get_status (checker) != DB_HEALTH_UNKNOWN)
        _exit (1);
      db_health_checker_start (checker);
      g_object_unref (checker);
      checker = db_health_checker_new (fixture.pool);
      if (db_health_checker_check (checker, NULL, &of_another) != NULL ||
          !g_error_matches (of_another, DB_ERROR, DB_ERROR_FORKED))
        _exit (2);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  db_health_checker_stop (checker);
  assert_checks (checker, DB_HEALTH_HEALTHY, NULL);
  tear_down (&fixture);
}

static gpointer
busy_thread (gpointer data)
{
  gpointer *args = data;

  while (!g_atomic_int_get ((int *) args[1]))
    {
      g_autoptr (DbConnection) connection = acquire (args[0]);
      g_autoptr (DbResult) result = db_connection_query (connection, "good", NULL, NULL, NULL);
    }
  return NULL;
}

/* Threads that are never done, over one session, and checks: both get on. */
static void
test_busy (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  GThread *threads[4];
  int stop = 0;
  gpointer args[2];

  set_up (&fixture, 1, 60 * SECOND);
  checker = db_health_checker_new (fixture.pool);
  g_object_set (checker, "timeout", 60 * SECOND, NULL);
  args[0] = fixture.pool;
  args[1] = &stop;
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("busy", busy_thread, args);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (DbHealthReport) report = check (checker);

      g_assert_cmpint (db_health_report_get_status (report), ==, DB_HEALTH_HEALTHY);
    }
  g_atomic_int_set (&stop, 1);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).max_live, ==, 1);
  tear_down (&fixture);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (120);
  g_test_add_func ("/health/healthy", test_healthy);
  g_test_add_func ("/health/no-growth", test_no_growth);
  g_test_add_func ("/health/hangs", test_hangs);
  g_test_add_func ("/health/open-hangs", test_open_hangs);
  g_test_add_func ("/health/open-fails", test_open_fails);
  g_test_add_func ("/health/dead-session", test_dead_session);
  g_test_add_func ("/health/last-success", test_last_success);
  g_test_add_func ("/health/statements-are-successes", test_statements_are_successes);
  g_test_add_func ("/health/waiters-first", test_waiters_first);
  g_test_add_func ("/health/takes-what-comes-back", test_takes_what_comes_back);
  g_test_add_func ("/health/acquire-meanwhile", test_acquire_meanwhile);
  g_test_add_func ("/health/shared", test_shared);
  g_test_add_func ("/health/cancel", test_cancel);
  g_test_add_func ("/health/suspended-and-closed", test_suspended_and_closed);
  g_test_add_func ("/health/closed-meanwhile", test_closed_meanwhile);
  g_test_add_func ("/health/old-failure", test_old_failure);
  g_test_add_func ("/health/dedicated", test_dedicated);
  g_test_add_func ("/health/leaves-dirt", test_leaves_dirt);
  g_test_add_func ("/health/thresholds", test_thresholds);
  g_test_add_func ("/health/failures", test_failures);
  g_test_add_func ("/health/waiting", test_waiting);
  g_test_add_func ("/health/facts", test_facts);
  g_test_add_func ("/health/texts", test_texts);
  g_test_add_func ("/health/fork", test_fork);
  g_test_add_func ("/health/busy", test_busy);
  return g_test_run ();
}
