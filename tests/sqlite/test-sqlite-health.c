/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Health checks of SQLite databases: facts, damage, and files that went away. */

#include "config.h"

#include "dbpool.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#define MS G_TIME_SPAN_MILLISECOND

typedef struct
{
  char *folder;
  char *file;
  DbPool *pool;
  DbHealthChecker *checker;
} Fixture;

static void
open_pool (Fixture *fixture, gboolean read_only)
{
  g_autoptr (DbConnectionManager) manager = NULL;
  GError *error = NULL;

  manager = DB_CONNECTION_MANAGER (db_sqlite_manager_new (fixture->file));
  g_object_set (manager, "read-only", read_only, NULL);
  fixture->pool = db_pool_new (manager, NULL, &error);
  g_assert_no_error (error);
  fixture->checker = db_health_checker_new (fixture->pool);
}

static void
close_pool (Fixture *fixture)
{
  g_clear_object (&fixture->checker);
  g_assert_true (db_pool_close (fixture->pool, 10 * G_TIME_SPAN_SECOND, NULL, NULL));
  g_clear_object (&fixture->pool);
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  fixture->folder = g_dir_make_tmp ("dbpool-health-XXXXXX", NULL);
  fixture->file = g_build_filename (fixture->folder, "x.db", NULL);
  open_pool (fixture, FALSE);
  db_pool_execute (fixture->pool, "CREATE TABLE t (a TEXT UNIQUE)", NULL, NULL, &error);
  g_assert_no_error (error);
  db_pool_execute (
    fixture->pool,
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
    "INSERT INTO t SELECT printf ('%0100d', i) FROM n",
    NULL, NULL, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  const char *const names[] = {"x.db", "x.db-wal", "x.db-shm", "y.db"};

  if (fixture->pool != NULL)
    close_pool (fixture);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (fixture->folder, names[i], NULL);

      g_remove (path);
    }
  g_assert_cmpint (g_rmdir (fixture->folder), ==, 0);
  g_free (fixture->file);
  g_free (fixture->folder);
}

static DbHealthReport *
check (Fixture *fixture)
{
  GError *error = NULL;
  DbHealthReport *report = db_health_checker_check (fixture->checker, NULL, &error);

  g_assert_no_error (error);
  return report;
}

static void
assert_status (DbHealthReport *report, DbHealthStatus status, const char *code)
{
  g_assert_cmpstr (db_health_report_get_codes (report)[0], ==, code);
  g_assert_cmpint (db_health_report_get_status (report), ==, status);
}

static void
test_facts (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbHealthReport) report = check (fixture);
  GVariant *facts = db_health_report_get_facts (report);
  const char *mode = NULL;
  gint64 pages = 0;
  gint64 wal_bytes = 0;
  gboolean sound = FALSE;

  assert_status (report, DB_HEALTH_HEALTHY, NULL);
  g_assert_true (g_variant_lookup (facts, "journal-mode", "&s", &mode));
  g_assert_cmpstr (mode, ==, "wal");
  g_assert_true (g_variant_lookup (facts, "pages", "x", &pages));
  g_assert_cmpint (pages, >, 50);
  g_assert_true (g_variant_lookup (facts, "wal-bytes", "x", &wal_bytes));
  g_assert_cmpint (wal_bytes, >, 0);
  g_assert_false (g_variant_lookup (facts, "quick-check", "b", &sound));

  g_clear_object (&report);
  g_object_set (fixture->checker, "quick-check", TRUE, NULL);
  report = check (fixture);
  assert_status (report, DB_HEALTH_HEALTHY, NULL);
  g_assert_true (
    g_variant_lookup (db_health_report_get_facts (report), "quick-check", "b", &sound));
  g_assert_true (sound);
}

/* Overwrites pages in the middle; the header, and so a cheap check, is as before. */
static void
test_damaged (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbHealthReport) cheap = NULL;
  g_autoptr (DbHealthReport) report = NULL;
  char junk[4096];
  int fd;

  close_pool (fixture);
  memset (junk, 'x', sizeof junk);
  fd = open (fixture->file, O_WRONLY | O_CLOEXEC);
  for (int i = 3; i < 8; i++)
    g_assert_cmpint (pwrite (fd, junk, sizeof junk, i * 4096), ==, sizeof junk);
  close (fd);
  open_pool (fixture, FALSE);
  cheap = check (fixture);
  assert_status (cheap, DB_HEALTH_HEALTHY, NULL);
  g_object_set (fixture->checker, "quick-check", TRUE, NULL);
  report = check (fixture);
  assert_status (report, DB_HEALTH_UNHEALTHY, "damaged");
  g_assert_true (db_health_report_get_answered (report));
}

static gint64
await_idle (DbPool *pool)
{
  for (;;)
    {
      g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

      if (db_pool_stats_get_busy (stats) == 0)
        return g_get_monotonic_time ();
      g_usleep (500);
    }
}

/* A check that takes longer than it may is stopped, though SQLite looks at a large table in a
 * single step. Other things may take time as well: so it is the best of some tries. */
static void
test_thorough_and_late (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  gint64 best = G_MAXINT64;
  gint64 in_full = G_MAXINT64;

  db_pool_execute (fixture->pool,
                   "CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                   "FROM n WHERE i < 2000000) SELECT i FROM n",
                   NULL, NULL, &error);
  g_assert_no_error (error);
  g_object_set (fixture->checker, "quick-check", TRUE, "timeout", 60 * G_TIME_SPAN_SECOND, NULL);
  for (guint i = 0; i < 5; i++)
    {
      g_autoptr (DbHealthReport) report = check (fixture);

      assert_status (report, DB_HEALTH_HEALTHY, NULL);
      in_full = MIN (in_full, db_health_report_get_duration (report));
    }

  g_object_set (fixture->checker, "timeout", in_full / 20, NULL);
  for (guint i = 0; i < 20 && best > in_full / 4; i++)
    {
      gint64 began = g_get_monotonic_time ();
      g_autoptr (DbHealthReport) report = check (fixture);

      g_assert_cmpint (db_health_report_get_duration (report), >=, in_full / 20);
      assert_status (report, DB_HEALTH_DEGRADED, "facts");
      g_assert_true (db_health_report_get_answered (report));
      best = MIN (best, await_idle (fixture->pool) - began);
    }
  g_test_message ("%.3f s in full, and %.3f s until it has stopped",
                  in_full / (double) G_TIME_SPAN_SECOND, best / (double) G_TIME_SPAN_SECOND);
  g_assert_cmpint (best, <=, in_full / 4);
}

static void
test_moved (Fixture *fixture, gconstpointer data)
{
  g_autofree char *elsewhere = g_build_filename (fixture->folder, "y.db", NULL);
  g_autoptr (DbHealthReport) report = NULL;
  g_autoptr (GError) error = NULL;

  close_pool (fixture);
  open_pool (fixture, TRUE); /* opens no new file */
  g_object_unref (check (fixture));
  g_assert_cmpint (g_rename (fixture->file, elsewhere), ==, 0);
  report = check (fixture);
  assert_status (report, DB_HEALTH_UNHEALTHY, "no-connection");
  error = db_health_report_dup_error (report);
  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
}

static void
test_read_only (Fixture *fixture, gconstpointer data)
{
  g_autoptr (DbHealthReport) report = NULL;
  gboolean read_only = FALSE;

  close_pool (fixture);
  open_pool (fixture, TRUE);
  report = check (fixture);
  assert_status (report, DB_HEALTH_HEALTHY, NULL);
  g_assert_true (
    g_variant_lookup (db_health_report_get_facts (report), "read-only", "b", &read_only));
  g_assert_true (read_only);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (100);
  g_test_add ("/sqlite/health/facts", Fixture, NULL, set_up, test_facts, tear_down);
  g_test_add ("/sqlite/health/damaged", Fixture, NULL, set_up, test_damaged, tear_down);
  g_test_add ("/sqlite/health/thorough-and-late", Fixture, NULL, set_up, test_thorough_and_late,
              tear_down);
  g_test_add ("/sqlite/health/moved", Fixture, NULL, set_up, test_moved, tear_down);
  g_test_add ("/sqlite/health/read-only", Fixture, NULL, set_up, test_read_only, tear_down);
  return g_test_run ();
}
