/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Metrics: what a pool records by itself, what an application records, and the texts that are made
 * of it. That other programs can read these is tested from Python, and that the histograms are
 * right in test-histogram.c. */

#include "config.h"

#include "db-pool-private.h"
#include "pool-fixture.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static DbMetricsSummary *
get_summary (DbPool *pool, DbMetric metric)
{
  return db_metrics_collector_get_summary (db_pool_get_metrics (pool), metric);
}

static guint64
get_count (DbPool *pool, DbMetric metric)
{
  g_autoptr (DbMetricsSummary) summary = get_summary (pool, metric);

  return db_metrics_summary_get_count (summary);
}

static gint64
get_max (DbPool *pool, DbMetric metric)
{
  g_autoptr (DbMetricsSummary) summary = get_summary (pool, metric);

  return db_metrics_summary_get_max (summary);
}

static guint64
get_sum (DbPool *pool, DbMetric metric)
{
  g_autoptr (DbMetricsSummary) summary = get_summary (pool, metric);

  return db_metrics_summary_get_sum (summary);
}

static gboolean
has_line (const char *text, const char *line)
{
  g_autofree char *whole = g_strconcat (line, "\n", NULL);
  const char *found = strstr (text, whole);

  while (found != NULL && found != text && found[-1] != '\n')
    found = strstr (found + 1, whole);
  return found != NULL;
}

static void
assert_line (const char *text, const char *line)
{
  if (!has_line (text, line))
    g_error ("there is no line “%s” in\n%s", line, text);
}

static void
spend (gint64 duration)
{
  const gint64 end = g_get_monotonic_time () + duration;

  while (g_get_monotonic_time () < end)
    g_thread_yield ();
}

/* What a pool records. */

static void
test_loans (void)
{
  g_autoptr (DbPoolStats) stats = NULL;
  Fixture fixture;
  DbConnection *connection;

  set_up (&fixture, 1, 10 * SECOND);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_WAIT), ==, 0);
  fake_manager_delay (fixture.manager, FAKE_OPEN, 5 * MS);
  connection = acquire (fixture.pool);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_CREATE), ==, 1);
  g_assert_cmpint (get_max (fixture.pool, DB_METRIC_CREATE), >=, 5 * MS);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_WAIT), ==, 1);
  g_assert_cmpint (get_max (fixture.pool, DB_METRIC_WAIT), >=, 5 * MS);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_USE), ==, 0);

  spend (3 * MS);
  g_object_unref (connection);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_USE), ==, 1);
  g_assert_cmpint (get_max (fixture.pool, DB_METRIC_USE), >=, 3 * MS);

  for (guint i = 0; i < 9; i++)
    g_object_unref (acquire (fixture.pool));
  stats = db_pool_get_stats (fixture.pool);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_WAIT), ==, 10);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_USE), ==, 10);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_CREATE), ==, 1);
  g_assert_cmpuint (get_sum (fixture.pool, DB_METRIC_WAIT), ==,
                    (guint64) db_pool_stats_get_wait_time (stats));
  g_assert_cmpuint (get_sum (fixture.pool, DB_METRIC_USE), ==,
                    (guint64) db_pool_stats_get_use_time (stats));
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_VALIDATE), ==, 0);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_QUERY), ==, 0);
  tear_down (&fixture);
}

static void
test_percentile_properties (void)
{
  g_autoptr (DbMetricsCollector) collector = db_metrics_collector_new ("mine");
  g_autoptr (DbMetricsSummary) summary = NULL;
  gint64 p50, p90, p95, p99, p999, max;
  guint64 count, sum;

  for (gint64 i = 1; i <= 100; i++)
    db_metrics_collector_record_query (collector, i);
  summary = db_metrics_collector_get_summary (collector, DB_METRIC_QUERY);
  db_metrics_collector_record_query (collector, 5000); /* comes too late for the summary */
  g_object_get (summary, "p50", &p50, "p90", &p90, "p95", &p95, "p99", &p99, "p999", &p999, "max",
                &max, "count", &count, "sum", &sum, NULL);
  g_assert_cmpint (p50, ==, 50);
  g_assert_cmpint (p90, ==, 90);
  g_assert_cmpint (p95, ==, 95);
  g_assert_cmpint (p99, ==, 99);
  g_assert_cmpint (p999, ==, 100);
  g_assert_cmpint (max, ==, 100);
  g_assert_cmpuint (count, ==, 100);
  g_assert_cmpuint (sum, ==, 5050);
  g_assert_cmpint (db_metrics_summary_get_percentile (summary, 25), ==, 25);
}

/* A caller that waits for another one's connection. */
static void
test_queue (void)
{
  Fixture fixture;
  Waiter waiter = {0};
  DbConnection *connection;

  set_up (&fixture, 1, 10 * SECOND);
  connection = acquire (fixture.pool);
  db_pool_acquire_async (fixture.pool, NULL, acquired_cb, &waiter);
  spend (4 * MS);
  g_object_unref (connection);
  await (&waiter);
  g_assert_cmpint (get_max (fixture.pool, DB_METRIC_WAIT), >=, 4 * MS);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_WAIT), ==, 2);
  waiter_clear (&waiter);
  tear_down (&fixture);
}

static void
test_validate (void)
{
  Fixture fixture;

  set_up (&fixture, 1, 10 * SECOND);
  g_object_set (db_pool_get_config (fixture.pool), "validate-after-idle", (gint64) 0, NULL);
  fake_manager_delay (fixture.manager, FAKE_CHECK, 4 * MS);
  g_object_unref (acquire (fixture.pool));
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_VALIDATE), ==, 0);
  g_object_unref (acquire (fixture.pool));
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_VALIDATE), ==, 1);
  g_assert_cmpint (get_max (fixture.pool, DB_METRIC_VALIDATE), >=, 4 * MS);
  /* one that fails took its time, too */
  fake_manager_fail_checks (fixture.manager, TRUE);
  g_object_unref (acquire (fixture.pool));
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_VALIDATE), ==, 2);
  tear_down (&fixture);
}

/* Queries. */

typedef struct
{
  DbPool *pool;
  FakeSession *session;
  gint64 duration;
} Releaser;

static gpointer
let_go_in_thread (gpointer data)
{
  Releaser *releaser = data;

  fake_session_await_hang (releaser->session);
  spend (releaser->duration);
  fake_session_let_go (releaser->session);
  return NULL;
}

static void
done_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (DbResult) rows = db_connection_query_finish (DB_CONNECTION (source), result, NULL);

  g_assert_nonnull (rows);
  *(gboolean *) data = TRUE;
}

static void
test_queries (void)
{
  g_autoptr (GError) error = NULL;
  gboolean done = FALSE;
  Fixture fixture;
  DbConnection *connection;
  GThread *thread;
  Releaser releaser;

  set_up (&fixture, 1, 10 * SECOND);
  connection = acquire (fixture.pool);
  releaser = (Releaser){fixture.pool, fake_connection_get_session (connection), 4 * MS};
  g_assert_cmpint (db_connection_execute (connection, "SELECT", NULL, NULL, NULL), >=, 0);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_QUERY), ==, 1);
  g_assert_cmpint (db_connection_execute (connection, "fail", NULL, NULL, &error), ==, -1);
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_QUERY), ==, 2);

  thread = g_thread_new ("releaser", let_go_in_thread, &releaser);
  g_assert_cmpint (db_connection_execute (connection, "hang", NULL, NULL, NULL), >=, 0);
  g_thread_join (thread);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_QUERY), ==, 3);
  g_assert_cmpint (get_max (fixture.pool, DB_METRIC_QUERY), >=, 4 * MS);

  releaser.duration = 8 * MS;
  thread = g_thread_new ("releaser", let_go_in_thread, &releaser);
  db_connection_query_async (connection, "hang", NULL, NULL, done_cb, &done);
  while (!done)
    g_main_context_iteration (NULL, TRUE);
  g_thread_join (thread);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_QUERY), ==, 4);
  g_assert_cmpint (get_max (fixture.pool, DB_METRIC_QUERY), >=, 8 * MS);
  g_object_unref (connection);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_QUERY), ==, 4);
  tear_down (&fixture);
}

static void
test_one_shots (void)
{
  Fixture fixture;
  DbConnection *connection;
  GThread *thread;
  Releaser releaser;

  set_up (&fixture, 1, 10 * SECOND);
  connection = acquire (fixture.pool);
  releaser = (Releaser){fixture.pool, fake_connection_get_session (connection), 4 * MS};
  g_object_unref (connection);
  thread = g_thread_new ("releaser", let_go_in_thread, &releaser);
  g_assert_cmpint (db_pool_execute (fixture.pool, "hang", NULL, NULL, NULL), >=, 0);
  g_thread_join (thread);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_QUERY), ==, 1);
  g_assert_cmpint (get_max (fixture.pool, DB_METRIC_QUERY), >=, 4 * MS);

  /* a loan after it is none */
  g_object_unref (acquire (fixture.pool));
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_QUERY), ==, 1);
  g_assert_cmpint (db_pool_execute (fixture.pool, "fail", NULL, NULL, NULL), ==, -1);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_QUERY), ==, 2);
  tear_down (&fixture);
}

static gpointer
execute_in_thread (gpointer pool)
{
  g_assert_cmpint (db_pool_execute (pool, "SELECT", NULL, NULL, NULL), >=, 0);
  return NULL;
}

/* A statement that waits for its connection does not take longer for that. */
static void
test_one_shot_that_waits (void)
{
  const gint64 hold = 300 * MS;
  Fixture fixture;
  DbConnection *connection;
  GThread *thread;

  set_up (&fixture, 1, 10 * SECOND);
  connection = acquire (fixture.pool);
  thread = g_thread_new ("one-shot", execute_in_thread, fixture.pool);
  await_gauges (fixture.pool, 1, 0, 1, 1);
  spend (hold);
  g_object_unref (connection);
  g_thread_join (thread);
  g_assert_cmpint (get_max (fixture.pool, DB_METRIC_WAIT), >=, hold);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_QUERY), ==, 1);
  g_assert_cmpint (get_max (fixture.pool, DB_METRIC_QUERY), <, hold);
  tear_down (&fixture);
}

/* The collector. */

static gpointer
get_in_thread (gpointer pool)
{
  return db_pool_get_metrics (pool);
}

static void
test_one_collector (void)
{
  Fixture fixture;
  GThread *threads[4];
  g_autoptr (DbMetricsCollector) kept = NULL;
  g_autofree char *text = NULL;

  set_up (&fixture, 2, 10 * SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("getter", get_in_thread, fixture.pool);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_assert_true (g_thread_join (threads[i]) == db_pool_get_metrics (fixture.pool));
  kept = g_object_ref (db_pool_get_metrics (fixture.pool));
  g_assert_cmpstr (db_metrics_collector_get_name (kept), ==, db_pool_get_name (fixture.pool));
  g_object_unref (acquire (fixture.pool));
  tear_down (&fixture);

  /* the pool is gone, and its numbers are not */
  text = db_metrics_collector_to_prometheus (kept);
  g_assert_nonnull (strstr (text, "reason=\"closed\"} 1\n"));
  g_assert_nonnull (strstr (text, "state=\"idle\"} 0\n"));
}

static void
count_to_pipe (DbMetricsCollector *collector, int fd)
{
  g_autofree char *text = db_metrics_collector_to_prometheus (collector);
  g_autofree char *line = NULL;
  char answer;

  /* The parent's sessions are not the child's. */
  line = g_strdup_printf ("db_client_connections{pool=\"%s\",state=\"used\"} 0",
                          db_metrics_collector_get_name (collector));
  answer = has_line (text, line) ? 'y' : 'n';
  db_metrics_collector_record_query (collector, 1);
  if (write (fd, &answer, 1) != 1)
    _exit (1);
}

static void
test_fork (void)
{
  Fixture fixture;
  DbConnection *connection;
  int fds[2];
  int status = 0;
  char answer = 0;
  pid_t pid;

  set_up (&fixture, 1, 10 * SECOND);
  connection = acquire (fixture.pool);
  db_pool_get_metrics (fixture.pool);
  g_assert_cmpint (pipe (fds), ==, 0);
  pid = fork ();
  if (pid == 0)
    {
      alarm (20);
      count_to_pipe (db_pool_get_metrics (fixture.pool), fds[1]);
      _exit (0);
    }
  g_assert_cmpint (read (fds[0], &answer, 1), ==, 1);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpint (answer, ==, 'y');
  close (fds[0]);
  close (fds[1]);
  g_object_unref (connection);
  tear_down (&fixture);
}

/* What an application records. */

static void
test_recorded (void)
{
  g_autoptr (DbMetricsCollector) collector = db_metrics_collector_new ("mine");
  g_autofree char *text = NULL;

  for (guint i = 0; i < 3; i++)
    db_metrics_collector_record_connection_created (collector, 2000);
  db_metrics_collector_record_connection_dropped (collector);
  db_metrics_collector_record_connection_acquired (collector, 0);
  db_metrics_collector_record_connection_acquired (collector, -7);
  db_metrics_collector_record_connection_acquired (collector, 1500000);
  db_metrics_collector_record_connection_returned (collector, 250);
  db_metrics_collector_record_connection_returned (collector, 70);
  db_metrics_collector_record_connection_validated (collector, 5);
  db_metrics_collector_record_query (collector, 3000000);
  db_metrics_collector_record_timeout (collector);
  text = db_metrics_collector_to_prometheus (collector);

  assert_line (text, "# TYPE db_client_connections gauge");
  assert_line (text, "db_client_connections{pool=\"mine\",state=\"used\"} 1");
  assert_line (text, "db_client_connections{pool=\"mine\",state=\"idle\"} 1");
  assert_line (text, "db_client_connections_opened_total{pool=\"mine\"} 3");
  assert_line (text, "db_client_connections_dropped_total{pool=\"mine\",reason=\"other\"} 1");
  assert_line (text, "# TYPE db_client_connection_timeouts_total counter");
  assert_line (text, "db_client_connection_timeouts_total{pool=\"mine\"} 1");
  assert_line (text, "db_client_connection_requests_total{pool=\"mine\",outcome=\"acquired\"} 3");
  assert_line (text, "# TYPE db_client_connection_wait_time_seconds histogram");
  assert_line (text, "db_client_connection_wait_time_seconds_bucket{pool=\"mine\",le=\"1.0\"} 2");
  assert_line (text, "db_client_connection_wait_time_seconds_bucket{pool=\"mine\",le=\"5.0\"} 3");
  assert_line (text, "db_client_connection_wait_time_seconds_bucket{pool=\"mine\",le=\"+Inf\"} 3");
  assert_line (text, "db_client_connection_wait_time_seconds_sum{pool=\"mine\"} 1.500000");
  assert_line (text, "db_client_connection_wait_time_seconds_count{pool=\"mine\"} 3");
  assert_line (text, "db_client_connection_use_time_seconds_sum{pool=\"mine\"} 0.000320");
  assert_line (text, "db_client_connection_use_time_seconds_bucket{pool=\"mine\",le=\"5e-05\"} 0");
  assert_line (text, "db_client_connection_use_time_seconds_bucket{pool=\"mine\",le=\"0.0001\"} 1");
  assert_line (text, "db_client_connection_create_time_seconds_count{pool=\"mine\"} 3");
  assert_line (text, "db_client_connection_validate_time_seconds_count{pool=\"mine\"} 1");
  assert_line (text, "db_client_operation_duration_seconds_sum{pool=\"mine\"} 3.000000");
  /* It is no pool, and says nothing of what only pools have. */
  g_assert_null (strstr (text, "db_client_connection_max"));
  g_assert_null (strstr (text, "leaks"));
  g_assert_null (strstr (text, "# EOF"));
}

/* On top of what the pool has counted. */
static void
test_recorded_beside_pool (void)
{
  Fixture fixture;
  DbMetricsCollector *collector;
  g_autofree char *text = NULL;
  g_autofree char *expected = NULL;

  set_up (&fixture, 1, 10 * SECOND);
  g_object_unref (acquire (fixture.pool));
  collector = db_pool_get_metrics (fixture.pool);
  db_metrics_collector_record_connection_acquired (collector, 1000);
  g_assert_cmpuint (get_count (fixture.pool, DB_METRIC_WAIT), ==, 2);
  text = db_metrics_collector_to_prometheus (collector);
  expected =
    g_strdup_printf ("db_client_connection_requests_total{pool=\"%s\",outcome=\"acquired\"} 2",
                     db_pool_get_name (fixture.pool));
  assert_line (text, expected);
  tear_down (&fixture);
}

/* Texts. */

static void
test_pool_text (void)
{
  Fixture fixture;
  DbConnection *connection;
  g_autofree char *text = NULL;

  set_up (&fixture, 3, 10 * SECOND);
  g_object_set (db_pool_get_config (fixture.pool), "min-connections", 1, NULL);
  connection = acquire (fixture.pool);
  g_assert_null (db_pool_acquire_full (fixture.pool, 0, 0, NULL, NULL, NULL)); /* refused */
  await_gauges (fixture.pool, 2, 1, 1, 0);
  g_object_set (db_pool_get_config (fixture.pool), "max-connections", 2, NULL);
  {
    g_autoptr (DbConnection) second = acquire (fixture.pool);
    g_autoptr (GError) error = NULL;

    g_assert_null (db_pool_acquire_full (fixture.pool, 0, MS, NULL, NULL, &error));
    g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  }
  text = db_metrics_collector_to_openmetrics (db_pool_get_metrics (fixture.pool));
  g_assert_true (g_str_has_suffix (text, "\n# EOF\n"));
  /* The name is one that was made up. */
  {
    g_autoptr (GString) named = g_string_new (text);
    g_autofree char *label = g_strdup_printf ("pool=\"%s\"", db_pool_get_name (fixture.pool));

    g_string_replace (named, label, "P", 0);
    assert_line (named->str, "db_client_connections{P,state=\"used\"} 1");
    assert_line (named->str, "db_client_connections{P,state=\"idle\"} 1");
    assert_line (named->str, "db_client_connection_max{P} 2");
    assert_line (named->str, "db_client_connection_idle_min{P} 1");
    assert_line (named->str, "db_client_connection_pending_requests{P} 0");
    assert_line (named->str, "# TYPE db_client_connection_timeouts counter");
    assert_line (named->str, "db_client_connection_timeouts_total{P} 1");
    assert_line (named->str, "db_client_connection_requests_total{P,outcome=\"refused\"} 1");
    assert_line (named->str, "db_client_connection_requests_total{P,outcome=\"timeout\"} 1");
    assert_line (named->str, "db_client_connections_dropped_total{P,reason=\"broken\"} 0");
    assert_line (named->str, "# UNIT db_client_connection_use_time_seconds seconds");
    assert_line (named->str, "db_client_connection_use_time_seconds_count{P} 1");
  }
  g_object_unref (connection);
  tear_down (&fixture);
}

static void
test_labels (void)
{
  g_autoptr (DbMetricsCollector) collector =
    db_metrics_collector_new ("a \"quoted\" \\ name\nin \xff lines");
  g_autofree char *text = db_metrics_collector_to_prometheus (collector);

  assert_line (text, "db_client_connections_opened_total{pool=\"a \\\"quoted\\\" \\\\ name\\nin "
                     "\xef\xbf\xbd lines\"} 0");
  g_assert_true (g_utf8_validate (text, -1, NULL));
}

static void
test_several (void)
{
  Fixture fixture;
  g_autoptr (DbMetricsCollector) shop = db_metrics_collector_new ("shop");
  g_autoptr (DbMetricsCollector) other_shop = db_metrics_collector_new ("shop");
  g_autoptr (DbMetricsCollector) third_shop = db_metrics_collector_new ("shop (2)");
  DbMetricsCollector *collectors[] = {shop, NULL, other_shop, third_shop};
  const char *header = "# TYPE db_client_connection_wait_time_seconds histogram\n";
  g_autofree char *text = NULL;
  g_autofree char *nothing = NULL;
  const char *found;

  set_up (&fixture, 1, 10 * SECOND);
  collectors[1] = db_pool_get_metrics (fixture.pool);
  db_metrics_collector_record_timeout (other_shop);
  text = db_metrics_collector_format_all (collectors, G_N_ELEMENTS (collectors),
                                          DB_METRICS_FORMAT_OPENMETRICS);
  assert_line (text, "db_client_connection_timeouts_total{pool=\"shop\"} 0");
  assert_line (text, "db_client_connection_timeouts_total{pool=\"shop (2)\"} 1");
  /* also of one whose own name that is */
  assert_line (text, "db_client_connection_timeouts_total{pool=\"shop (2) (2)\"} 0");
  g_assert_nonnull (strstr (text, "db_client_connection_max{"));
  g_assert_null (strstr (text, "db_client_connection_max{pool=\"shop\""));
  /* each family once */
  found = strstr (text, header);
  g_assert_nonnull (found);
  g_assert_null (strstr (found + 1, header));

  nothing = db_metrics_collector_format_all (NULL, 0, DB_METRICS_FORMAT_OPENMETRICS);
  g_assert_cmpstr (nothing, ==, "# EOF\n");
  tear_down (&fixture);
}

#define ADD(name, func) g_test_add_func ("/metrics/" name, func)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("loans", test_loans);
  ADD ("percentile-properties", test_percentile_properties);
  ADD ("queue", test_queue);
  ADD ("validate", test_validate);
  ADD ("queries", test_queries);
  ADD ("one-shots", test_one_shots);
  ADD ("one-shot-that-waits", test_one_shot_that_waits);
  ADD ("one-collector", test_one_collector);
  ADD ("fork", test_fork);
  ADD ("recorded", test_recorded);
  ADD ("recorded-beside-pool", test_recorded_beside_pool);
  ADD ("pool-text", test_pool_text);
  ADD ("labels", test_labels);
  ADD ("several", test_several);
  return g_test_run ();
}
