/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Health checks of whole servers: one that is stopped and started again, one that is told not to
 * write, and a standby. The cluster of with-postgres.sh is changed, and what is made beside it goes
 * with it. */

#include "config.h"

#include "postgres-fixture.h"

#include <glib/gstdio.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS G_TIME_SPAN_MILLISECOND
#define GENEROUS (20 * G_TIME_SPAN_SECOND)

/* Where the cluster is, and where its sockets are. */
static const char *data_dir;
static char *base_dir;
static char *port;

/* PostgreSQL's programs, as whoever owns the cluster. */
static void G_GNUC_NULL_TERMINATED
run (const char *program, ...)
{
  g_autofree char *path =
    g_build_filename (g_getenv ("DBPOOL_TEST_POSTGRES_BINDIR"), program, NULL);
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_autofree char *output = NULL;
  g_autoptr (GError) error = NULL;
  const char *argument;
  struct stat info;
  int status = 0;
  va_list args;

  if (geteuid () == 0)
    {
      g_assert_cmpint (g_stat (data_dir, &info), ==, 0);
      g_ptr_array_add (argv, (char *) "runuser");
      g_ptr_array_add (argv, (char *) "-u");
      g_ptr_array_add (argv, getpwuid (info.st_uid)->pw_name);
      g_ptr_array_add (argv, (char *) "--");
    }
  g_ptr_array_add (argv, path);
  va_start (args, program);
  while ((argument = va_arg (args, const char *)) != NULL)
    g_ptr_array_add (argv, (char *) argument);
  va_end (args);
  g_ptr_array_add (argv, NULL);
  g_spawn_sync (base_dir, (char **) argv->pdata, NULL,
                G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL, &output,
                &status, &error);
  g_assert_no_error (error);
  if (status != 0)
    g_test_message ("%s: %s", program, output);
  g_assert_cmpint (status, ==, 0);
}

static void
start (const char *folder, const char *options)
{
  g_autofree char *log = g_build_filename (folder, "server.log", NULL);

  run ("pg_ctl", "-D", folder, "-l", log, "-o", options, "-w", "start", NULL);
}

static DbHealthReport *
check (DbPool *pool)
{
  g_autoptr (DbHealthChecker) checker = db_health_checker_new (pool);
  GError *error = NULL;
  DbHealthReport *report;

  g_object_set (checker, "timeout", GENEROUS, NULL);
  report = db_health_checker_check (checker, NULL, &error);
  g_assert_no_error (error);
  return report;
}

static gboolean
get_fact (DbHealthReport *report, const char *name)
{
  gboolean value = FALSE;

  g_assert_true (g_variant_lookup (db_health_report_get_facts (report), name, "b", &value));
  return value;
}

static void
assert_healthy (DbPool *pool)
{
  g_autoptr (DbHealthReport) report = check (pool);

  g_assert_cmpstr (db_health_report_get_reasons (report)[0], ==, NULL);
  g_assert_cmpint (db_health_report_get_status (report), ==, DB_HEALTH_HEALTHY);
}

/* That is the only reason, and it says so. */
static void
assert_read_only (DbPool *pool, gboolean is_standby, const char *words)
{
  g_autoptr (DbHealthReport) report = check (pool);

  g_assert_cmpint (db_health_report_get_status (report), ==, DB_HEALTH_DEGRADED);
  g_assert_cmpstr (db_health_report_get_codes (report)[0], ==, "read-only");
  g_assert_null (db_health_report_get_codes (report)[1]);
  g_assert_nonnull (strstr (db_health_report_get_reasons (report)[0], words));
  g_assert_true (get_fact (report, "read-only"));
  g_assert_cmpint (get_fact (report, "in-recovery"), ==, is_standby);
}

/* A watch. */

static void
note_status_cb (DbHealthChecker *checker, GParamSpec *pspec, GString *seen)
{
  g_string_append_printf (seen, " %d", db_health_checker_get_status (checker));
}

static void
count_cb (DbHealthChecker *checker, GParamSpec *pspec, guint *n)
{
  ++*n;
}

static void
await_status (DbHealthChecker *checker, DbHealthStatus status)
{
  gint64 limit = g_get_monotonic_time () + GENEROUS;

  while (db_health_checker_get_status (checker) != status)
    {
      g_assert_cmpint (g_get_monotonic_time (), <, limit);
      g_main_context_iteration (NULL, TRUE);
    }
}

/* The whole server goes, and comes back: the watch says both, once, and the pool needs no help. */
static void
test_restarted (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbPool *pool = fixture_pool_new (manager, 0, 2);
  g_autoptr (DbHealthChecker) checker = db_health_checker_new (pool);
  g_autoptr (GString) seen = g_string_new (NULL);
  g_autoptr (DbHealthReport) report = NULL;
  g_autofree char *expected =
    g_strdup_printf (" %d %d %d", DB_HEALTH_HEALTHY, DB_HEALTH_UNHEALTHY, DB_HEALTH_HEALTHY);
  g_autofree char *options = g_strconcat ("-p ", port, NULL);
  DbConnection *connection;
  guint n_reports = 0;

  g_object_set (checker, "interval", 20 * MS, "fall", 3, "rise", 2, NULL);
  g_signal_connect (checker, "notify::status", G_CALLBACK (note_status_cb), seen);
  g_signal_connect (checker, "notify::report", G_CALLBACK (count_cb), &n_reports);
  db_health_checker_start (checker);
  await_status (checker, DB_HEALTH_HEALTHY);

  run ("pg_ctl", "-D", data_dir, "-m", "fast", "-w", "stop", NULL);
  n_reports = 0;
  await_status (checker, DB_HEALTH_UNHEALTHY);
  g_assert_cmpuint (n_reports, <=, 4); /* one may have been under way */
  report = db_health_checker_dup_report (checker);
  g_assert_true (db_health_report_has_reason (report, "no-connection"));

  start (data_dir, options);
  n_reports = 0;
  await_status (checker, DB_HEALTH_HEALTHY);
  g_assert_cmpuint (n_reports, >=, 2);
  g_assert_cmpuint (n_reports, <=, 3);
  g_assert_cmpstr (seen->str, ==, expected);
  db_health_checker_stop (checker);
  connection = fixture_acquire (pool);
  g_assert_cmpint (fixture_ask (connection, "SELECT 1"), ==, 1);
  g_object_unref (connection);
  fixture_pool_close (pool);
}

/* Servers that do not write. */

static gboolean
server_refuses_to_write (DbConnectionManager *manager)
{
  DbSession *session = fixture_open (manager);
  gint64 on =
    fixture_int64 (session,
                   "SELECT (current_setting('default_transaction_read_only') = 'on')::int::int8");

  fixture_close (manager, session);
  return on != 0;
}

static void
test_read_only (void)
{
  g_autofree char *on_purpose =
    g_strconcat (g_getenv ("DBPOOL_TEST_POSTGRES_URI"),
                 "&options=-c%20default_transaction_read_only%3Don", NULL);
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  g_autoptr (DbConnectionManager) reader = fixture_manager_new (on_purpose);
  DbPool *pool;

  fixture_admin ("ALTER SYSTEM SET default_transaction_read_only = on");
  fixture_admin ("SELECT pg_reload_conf()");
  FIXTURE_WAIT_UNTIL (server_refuses_to_write (manager));
  pool = fixture_pool_new (manager, 0, 1);
  assert_read_only (pool, FALSE, "default_transaction_read_only");
  fixture_pool_close (pool);
  pool = fixture_pool_new (reader, 0, 1);
  assert_healthy (pool);
  fixture_pool_close (pool);

  fixture_admin ("ALTER SYSTEM RESET default_transaction_read_only");
  fixture_admin ("SELECT pg_reload_conf()");
  FIXTURE_WAIT_UNTIL (!server_refuses_to_write (manager));
  pool = fixture_pool_new (manager, 0, 1);
  assert_healthy (pool);
  fixture_pool_close (pool);
}

static double
get_lag (DbPool *pool)
{
  g_autoptr (DbHealthReport) report = check (pool);
  double lag = -1;

  g_assert_true (
    g_variant_lookup (db_health_report_get_facts (report), "replication-lag", "d", &lag));
  return lag;
}

/* What the primary wrote last is there, or has at least arrived. */
static gboolean
has_followed (DbPool *standby, const char *lsn, const char *how_far)
{
  g_autofree char *sql =
    g_strdup_printf ("SELECT (pg_last_wal_%s_lsn() >= '%s')::int::int8", how_far, lsn);
  DbConnection *connection = fixture_acquire (standby);
  gint64 there = fixture_ask (connection, sql);

  g_object_unref (connection);
  return there != 0;
}

static char *
write_something (DbPool *primary)
{
  DbConnection *connection = fixture_acquire (primary);
  char *lsn;

  fixture_run (connection, "SET synchronous_commit = on");
  fixture_run (connection, "CREATE TABLE IF NOT EXISTS news (n int)");
  fixture_run (connection, "INSERT INTO news VALUES (1)");
  lsn = fixture_ask_text (connection, "SELECT pg_current_wal_flush_lsn()::text");
  g_object_unref (connection);
  return lsn;
}

/* A standby answers, but is no place to write; how far behind it is depends on what it has not
 * replayed yet. */
static void
look_at_standby (DbPool *primary, const char *uri)
{
  g_autofree char *wanted = g_strconcat (uri, "&target_session_attrs=standby", NULL);
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (uri);
  g_autoptr (DbConnectionManager) reader = fixture_manager_new (wanted);
  DbPool *pool = fixture_pool_new (manager, 0, 1);
  DbPool *reading = fixture_pool_new (reader, 0, 1);
  g_autofree char *first = write_something (primary);
  g_autofree char *second = NULL;
  DbConnection *connection;

  FIXTURE_WAIT_UNTIL (has_followed (pool, first, "replay"));
  assert_read_only (pool, TRUE, "target_session_attrs");
  assert_healthy (reading);
  connection = fixture_acquire (pool);
  fixture_run (connection, "SELECT pg_wal_replay_pause()");
  FIXTURE_WAIT_UNTIL (
    fixture_ask (connection, "SELECT (pg_get_wal_replay_pause_state() = 'paused')::int::int8") !=
    0);
  g_object_unref (connection);
  second = write_something (primary);
  FIXTURE_WAIT_UNTIL (has_followed (pool, second, "receive"));
  g_assert_cmpfloat (get_lag (reading), >, 0);
  connection = fixture_acquire (pool);
  fixture_run (connection, "SELECT pg_wal_replay_resume()");
  g_object_unref (connection);
  FIXTURE_WAIT_UNTIL (get_lag (reading) == 0);
  fixture_pool_close (pool);
  fixture_pool_close (reading);
}

static void
test_standby (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbPool *primary = fixture_pool_new (manager, 0, 1);
  g_autofree char *folder = g_build_filename (base_dir, "standby", NULL);
  g_autofree char *other_port = g_strdup_printf ("%d", atoi (port) + 1);
  g_autofree char *options = g_strdup_printf ("-p %s -c listen_addresses=", other_port);
  g_autofree char *uri =
    g_strdup_printf ("postgresql://dbpool@/dbpool_test?host=%s&port=%s", base_dir, other_port);

  run ("pg_basebackup", "-D", folder, "-h", base_dir, "-p", port, "-U", "dbpool", "-R", "-c",
       "fast", "-X", "stream", "--no-sync", NULL);
  start (folder, options);
  look_at_standby (primary, uri);
  run ("pg_ctl", "-D", folder, "-m", "immediate", "-w", "stop", NULL);
  fixture_pool_close (primary);
}

int
main (int argc, char **argv)
{
  const char *uri = g_getenv ("DBPOOL_TEST_POSTGRES_URI");

  g_test_init (&argc, &argv, NULL);
  data_dir = g_getenv ("DBPOOL_TEST_POSTGRES_DATADIR");
  if (data_dir == NULL || uri == NULL || strstr (uri, "&port=") == NULL)
    {
      g_print ("1..0 # SKIP needs a cluster of its own, by with-postgres.sh\n");
      return 0;
    }
  base_dir = g_path_get_dirname (data_dir);
  port = g_strdup (strstr (uri, "&port=") + strlen ("&port="));
  alarm (100);
  g_test_add_func ("/postgres/health-cluster/restarted", test_restarted);
  g_test_add_func ("/postgres/health-cluster/read-only", test_read_only);
  g_test_add_func ("/postgres/health-cluster/standby", test_standby);
  return g_test_run ();
}
