/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The watch of a health checker, on a scripted manager: when it looks, what it makes of what it
 * sees, in which context, and how it ends. */

#include "config.h"

#include "pool-fixture.h"

#include <unistd.h>

static void
await_reports (guint *n_reports, guint n)
{
  while (*n_reports < n)
    g_main_context_iteration (NULL, TRUE);
}

static void
count_cb (DbHealthChecker *checker, GParamSpec *pspec, guint *n)
{
  ++*n;
}

static DbHealthChecker *
new_checker (Fixture *fixture, guint *n_reports, guint *n_statuses)
{
  DbHealthChecker *checker = db_health_checker_new (fixture->pool);

  g_object_set (checker, "interval", MS, NULL);
  g_signal_connect (checker, "notify::report", G_CALLBACK (count_cb), n_reports);
  g_signal_connect (checker, "notify::status", G_CALLBACK (count_cb), n_statuses);
  return checker;
}

static void
test_hysteresis (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  guint n_reports = 0;
  guint n_statuses = 0;

  set_up (&fixture, 1, SECOND);
  checker = new_checker (&fixture, &n_reports, &n_statuses);
  g_object_set (checker, "fall", 3, "rise", 2, NULL);
  g_assert_cmpint (db_health_checker_get_status (checker), ==, DB_HEALTH_UNKNOWN);
  g_assert_null (db_health_checker_dup_report (checker));
  db_health_checker_start (checker);
  db_health_checker_start (checker);
  g_assert_true (db_health_checker_is_watching (checker));
  g_assert_cmpuint (n_reports, ==, 0);
  await_reports (&n_reports, 1);
  g_assert_cmpint (db_health_checker_get_status (checker), ==, DB_HEALTH_HEALTHY);
  g_assert_cmpuint (n_statuses, ==, 1);

  /* Two bad ones and a good one are nothing; of three bad ones the mildest counts. */
  db_pool_suspend (fixture.pool);
  await_reports (&n_reports, 3);
  db_pool_resume (fixture.pool);
  await_reports (&n_reports, 4);
  g_assert_cmpuint (n_statuses, ==, 1);
  fake_manager_fail (fixture.manager, FAKE_CHECK, G_MAXUINT, NULL);
  await_reports (&n_reports, 6);
  g_assert_cmpint (db_health_checker_get_status (checker), ==, DB_HEALTH_HEALTHY);
  db_pool_suspend (fixture.pool);
  await_reports (&n_reports, 7);
  g_assert_cmpint (db_health_checker_get_status (checker), ==, DB_HEALTH_DEGRADED);
  g_assert_cmpuint (n_statuses, ==, 2);

  db_pool_resume (fixture.pool);
  fake_manager_fail (fixture.manager, FAKE_CHECK, 0, NULL);
  await_reports (&n_reports, 8);
  g_assert_cmpint (db_health_checker_get_status (checker), ==, DB_HEALTH_DEGRADED);
  await_reports (&n_reports, 9);
  g_assert_cmpint (db_health_checker_get_status (checker), ==, DB_HEALTH_HEALTHY);
  g_assert_cmpuint (n_statuses, ==, 3);
  db_health_checker_stop (checker);
  g_assert_false (db_health_checker_is_watching (checker));
  tear_down (&fixture);
}

static void
test_pool_closes (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  guint n_reports = 0;
  guint n_statuses = 0;

  set_up (&fixture, 1, SECOND);
  checker = new_checker (&fixture, &n_reports, &n_statuses);
  g_object_set (checker, "fall", 100, NULL);
  db_health_checker_start (checker);
  await_reports (&n_reports, 1);
  tear_down (&fixture); /* the watch does not keep it */
  while (db_health_checker_is_watching (checker))
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (db_health_checker_get_status (checker), ==, DB_HEALTH_UNHEALTHY);
  n_reports = 0;
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (n_reports, ==, 0);
}

/* The last reference ends it, while a check is under way, too. */
static void
test_dropped (void)
{
  Fixture fixture;
  DbHealthChecker *checker;
  guint n_reports = 0;
  guint n_statuses = 0;

  set_up (&fixture, 1, SECOND);
  checker = new_checker (&fixture, &n_reports, &n_statuses);
  fake_manager_hang (fixture.manager, FAKE_CHECK, TRUE);
  db_health_checker_start (checker);
  while (fake_manager_get_ledger (fixture.manager).checks == 0)
    g_main_context_iteration (NULL, FALSE);
  g_assert_finalize_object (checker);
  fake_manager_hang (fixture.manager, FAKE_CHECK, FALSE);
  await_gauges (fixture.pool, 1, 1, 0, 0);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (n_reports, ==, 0);
  tear_down (&fixture);
}

/* One check at a time, however short the interval is; and none before the last one is over. */
static void
test_one_at_a_time (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  guint n_reports = 0;
  guint n_statuses = 0;
  gint64 began = g_get_monotonic_time ();

  set_up (&fixture, 4, SECOND);
  checker = new_checker (&fixture, &n_reports, &n_statuses);
  g_object_set (checker, "interval", 20 * MS, NULL);
  fake_manager_delay (fixture.manager, FAKE_CHECK, 30 * MS);
  db_health_checker_start (checker);
  await_reports (&n_reports, 4);
  g_assert_cmpint (g_get_monotonic_time () - began, >=, (4 * 30 + 3 * 20) * MS);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).checks, ==, 4);
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).max_inside[FAKE_CHECK], ==, 1);
  db_health_checker_stop (checker);
  db_health_checker_stop (checker);
  tear_down (&fixture);
}

static void
right_context_cb (DbHealthChecker *checker, GParamSpec *pspec, GMainContext *context)
{
  g_assert_true (g_main_context_is_owner (context));
  g_assert_true (g_main_context_get_thread_default () == context);
}

/* Where it was started, also where that context is not the thread's default while it runs. */
static void
test_context (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (GMainContext) context = g_main_context_new ();
  guint n_reports = 0;
  guint n_statuses = 0;

  set_up (&fixture, 1, SECOND);
  checker = new_checker (&fixture, &n_reports, &n_statuses);
  g_signal_connect (checker, "notify", G_CALLBACK (right_context_cb), context);
  g_main_context_push_thread_default (context);
  db_health_checker_start (checker);
  g_main_context_pop_thread_default (context);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).opens, ==, 0);
  while (n_reports < 3)
    g_main_context_iteration (context, TRUE);
  g_clear_object (&checker);
  tear_down (&fixture);
}

static void
stop_cb (DbHealthChecker *checker, GParamSpec *pspec, gpointer data)
{
  db_health_checker_stop (checker);
}

/* From within, and started anew. */
static void
test_restart (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  guint n_reports = 0;
  guint n_statuses = 0;
  gulong handler;

  set_up (&fixture, 1, SECOND);
  checker = new_checker (&fixture, &n_reports, &n_statuses);
  handler = g_signal_connect (checker, "notify::report", G_CALLBACK (stop_cb), NULL);
  db_health_checker_start (checker);
  await_reports (&n_reports, 1);
  g_assert_false (db_health_checker_is_watching (checker));
  g_signal_handler_disconnect (checker, handler);
  db_health_checker_start (checker);
  await_reports (&n_reports, 3);
  db_health_checker_stop (checker);
  tear_down (&fixture);
}

/* Stopped in the middle of what a check has to say: that was the last word, and the status stays
 * what it was. */
static void
test_stopped_within (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  guint n_reports = 0;
  guint n_statuses = 0;

  set_up (&fixture, 1, SECOND);
  checker = new_checker (&fixture, &n_reports, &n_statuses);
  g_signal_connect (checker, "notify::report", G_CALLBACK (stop_cb), NULL);
  db_health_checker_start (checker);
  await_reports (&n_reports, 1);
  g_assert_cmpuint (n_statuses, ==, 0);
  g_assert_cmpint (db_health_checker_get_status (checker), ==, DB_HEALTH_UNKNOWN);

  /* Also when it is the pool that ends. */
  n_reports = 0;
  g_assert_true (db_pool_close (fixture.pool, SECOND, NULL, NULL));
  db_health_checker_start (checker);
  await_reports (&n_reports, 1);
  g_assert_cmpuint (n_statuses, ==, 0);
  g_assert_cmpint (db_health_checker_get_status (checker), ==, DB_HEALTH_UNKNOWN);
  g_assert_false (db_health_checker_is_watching (checker));
  tear_down (&fixture);
}

/* For ever is a long time, and so is almost for ever. */
static void
test_longest_interval (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  guint n_reports = 0;
  guint n_statuses = 0;

  set_up (&fixture, 1, SECOND);
  checker = new_checker (&fixture, &n_reports, &n_statuses);
  g_object_set (checker, "interval", G_MAXINT64 - 1, "timeout", G_MAXINT64 - 1, "failure-window",
                G_MAXINT64 - 1, NULL);
  db_health_checker_start (checker);
  await_reports (&n_reports, 1);
  g_assert_cmpint (db_health_checker_get_status (checker), ==, DB_HEALTH_HEALTHY);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (n_reports, ==, 1);
  g_assert_true (db_health_checker_is_watching (checker));
  db_health_checker_stop (checker);
  tear_down (&fixture);
}

static gpointer
restart_thread (gpointer data)
{
  for (guint i = 0; i < 200; i++)
    {
      db_health_checker_stop (data);
      g_thread_yield ();
    }
  return NULL;
}

/* Stopped from another thread at any moment. */
static void
test_stopped_elsewhere (void)
{
  Fixture fixture;
  g_autoptr (DbHealthChecker) checker = NULL;
  guint n_reports = 0;
  guint n_statuses = 0;
  GThread *thread;

  set_up (&fixture, 1, SECOND);
  checker = new_checker (&fixture, &n_reports, &n_statuses);
  thread = g_thread_new ("stopper", restart_thread, checker);
  for (guint i = 0; i < 500; i++)
    {
      db_health_checker_start (checker);
      g_main_context_iteration (NULL, FALSE);
    }
  g_thread_join (thread);
  db_health_checker_stop (checker);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  tear_down (&fixture);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (120);
  g_test_add_func ("/health-watch/hysteresis", test_hysteresis);
  g_test_add_func ("/health-watch/pool-closes", test_pool_closes);
  g_test_add_func ("/health-watch/dropped", test_dropped);
  g_test_add_func ("/health-watch/one-at-a-time", test_one_at_a_time);
  g_test_add_func ("/health-watch/context", test_context);
  g_test_add_func ("/health-watch/restart", test_restart);
  g_test_add_func ("/health-watch/stopped-within", test_stopped_within);
  g_test_add_func ("/health-watch/longest-interval", test_longest_interval);
  g_test_add_func ("/health-watch/stopped-elsewhere", test_stopped_elsewhere);
  return g_test_run ();
}
