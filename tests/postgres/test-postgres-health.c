/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Health checks of a real server: what it says of itself, and what becomes of a check when it
 * hangs, hangs up, or never says a word. */

#include "config.h"

#include "postgres-fixture.h"

#include <signal.h>
#include <unistd.h>

#define MS G_TIME_SPAN_MILLISECOND
#define GENEROUS (5 * G_TIME_SPAN_SECOND)

static DbHealthReport *
check (DbPool *pool, gint64 timeout)
{
  g_autoptr (DbHealthChecker) checker = db_health_checker_new (pool);
  gint64 began = g_get_monotonic_time ();
  DbHealthReport *report;
  GError *error = NULL;

  g_object_set (checker, "timeout", timeout, NULL);
  report = db_health_checker_check (checker, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_get_monotonic_time () - began, <, timeout + GENEROUS);
  return report;
}

static void
assert_status (DbHealthReport *report, DbHealthStatus status, const char *code)
{
  g_assert_cmpstr (db_health_report_get_codes (report)[0], ==, code);
  g_assert_cmpint (db_health_report_get_status (report), ==, status);
}

static void
test_facts (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbPool *pool = fixture_pool_new (manager, 0, 1);
  g_autoptr (DbHealthReport) report = check (pool, GENEROUS);
  GVariant *facts = db_health_report_get_facts (report);
  gboolean in_recovery = TRUE;
  gboolean read_only = TRUE;
  gint64 connections = 0;
  gint64 max_connections = 0;
  const char *version = NULL;

  assert_status (report, DB_HEALTH_HEALTHY, NULL);
  g_assert_cmpint (db_health_report_get_round_trip (report), >, 0);
  g_assert_true (g_variant_lookup (facts, "version", "&s", &version));
  g_assert_cmpint (g_ascii_strtoll (version, NULL, 10), >=, 10);
  g_assert_true (g_variant_lookup (facts, "in-recovery", "b", &in_recovery));
  g_assert_true (g_variant_lookup (facts, "read-only", "b", &read_only));
  g_assert_false (in_recovery || read_only);
  g_assert_true (g_variant_lookup (facts, "connections", "x", &connections));
  g_assert_true (g_variant_lookup (facts, "max-connections", "x", &max_connections));
  g_assert_cmpint (connections, >=, 1);
  g_assert_cmpint (max_connections, >=, connections);
  g_assert_cmpuint (fixture_counter (pool, db_pool_stats_get_requests), ==, 0);
  fixture_pool_close (pool);
}

static void
test_read_only (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbPool *pool = fixture_pool_new (manager, 0, 1);
  g_autoptr (DbHealthReport) after_loan = NULL;
  g_autoptr (DbHealthReport) report = NULL;
  DbConnection *connection;

  /* A loan for reading leaves the session so, which is no news of the server. */
  connection = db_pool_acquire_full (pool, DB_ACQUIRE_READ_ONLY, -1, NULL, NULL, NULL);
  fixture_run (connection, "SELECT 1");
  g_object_unref (connection);
  after_loan = check (pool, GENEROUS);
  assert_status (after_loan, DB_HEALTH_HEALTHY, NULL);

  g_object_set (db_pool_get_config (pool), "init-sql", "SET default_transaction_read_only = on",
                NULL);
  db_pool_evict_idle (pool);
  report = check (pool, GENEROUS);
  assert_status (report, DB_HEALTH_DEGRADED, "read-only");
  fixture_pool_close (pool);
}

/* The process of the session is stopped, as by a debugger or a frozen machine. */
static void
test_frozen (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbPool *pool = fixture_pool_new (manager, 0, 1);
  DbConnection *connection = fixture_acquire (pool);
  gint64 pid = fixture_pid (connection);
  g_autoptr (DbHealthReport) report = NULL;
  g_autoptr (DbHealthReport) later = NULL;
  gint64 began;

  g_object_unref (connection);
  g_assert_cmpint (kill ((pid_t) pid, SIGSTOP), ==, 0);
  began = g_get_monotonic_time ();
  report = check (pool, 200 * MS);
  g_assert_cmpint (g_get_monotonic_time () - began, >=, 200 * MS);
  g_assert_cmpint (kill ((pid_t) pid, SIGCONT), ==, 0);
  assert_status (report, DB_HEALTH_UNHEALTHY, "no-answer");
  later = check (pool, GENEROUS);
  assert_status (later, DB_HEALTH_HEALTHY, NULL);
  connection = fixture_acquire (pool);
  g_assert_cmpint (fixture_pid (connection), !=, pid);
  g_object_unref (connection);
  fixture_pool_close (pool);
}

/* The server hung up: whether the pool has noticed or not, another session answers. */
static void
test_terminated (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbPool *pool = fixture_pool_new (manager, 0, 2);
  DbConnection *connection = fixture_acquire (pool);
  gint64 pid = fixture_pid (connection);
  g_autoptr (DbHealthReport) report = NULL;

  g_object_unref (connection);
  fixture_terminate (pid);
  report = check (pool, GENEROUS);
  assert_status (report, DB_HEALTH_HEALTHY, NULL);
  fixture_pool_close (pool);
}

/* Something takes the connection and never says a word. */
static void
test_silent (void)
{
  g_autoptr (GSocketListener) listener = g_socket_listener_new ();
  guint16 port = g_socket_listener_add_any_inet_port (listener, NULL, NULL);
  g_autofree char *uri =
    g_strdup_printf ("postgresql://127.0.0.1:%u/nothing?sslmode=disable", port);
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (uri);
  DbPool *pool = fixture_pool_new (manager, 0, 1);
  g_autoptr (DbHealthReport) report = NULL;
  g_autoptr (GError) error = NULL;
  gint64 began = g_get_monotonic_time ();

  report = check (pool, 200 * MS);
  g_assert_cmpint (g_get_monotonic_time () - began, >=, 200 * MS);
  assert_status (report, DB_HEALTH_UNHEALTHY, "no-connection");
  error = db_health_report_dup_error (report);
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_socket_listener_close (listener);
  fixture_pool_close (pool);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (100);
  g_test_add_func ("/postgres/health/facts", test_facts);
  g_test_add_func ("/postgres/health/read-only", test_read_only);
  g_test_add_func ("/postgres/health/frozen", test_frozen);
  g_test_add_func ("/postgres/health/terminated", test_terminated);
  g_test_add_func ("/postgres/health/silent", test_silent);
  return g_test_run ();
}
