/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* An idle pool does not wake the processor: no thread of dbpool's runs while nothing is due. The
 * kernel counts, for each thread, how often it was switched away from. */

#include "config.h"

#include "db-lock-private.h"
#include "dbpool.h"

#include <sys/syscall.h>
#include <unistd.h>

static void
acquired_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  GError *error = NULL;
  g_autoptr (DbConnection) connection = db_pool_acquire_finish (DB_POOL (source), result, &error);

  g_assert_no_error (error);
  *(gboolean *) data = TRUE;
}

static void
queried_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  GError *error = NULL;
  g_autoptr (DbResult) rows = db_pool_query_finish (DB_POOL (source), result, &error);

  g_assert_no_error (error);
  *(gboolean *) data = TRUE;
}

/* Makes every thread that the pool can have, and leaves sessions idle. */
static DbPool *
make_used_pool (const char *uri)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  GError *error = NULL;
  DbPool *pool = db_pool_factory_create_pool (factory, uri, NULL, NULL, &error);
  DbConnection *connections[3];
  gboolean acquired = FALSE;
  gboolean queried = FALSE;

  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    {
      connections[i] = db_pool_acquire (pool, NULL, &error);
      g_assert_no_error (error);
    }
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    g_object_unref (connections[i]);
  db_pool_acquire_async (pool, NULL, acquired_cb, &acquired);
  db_pool_query_async (pool, "SELECT 1", NULL, NULL, queried_cb, &queried);
  while (!acquired || !queried)
    g_main_context_iteration (NULL, TRUE);
  return pool;
}

/* The switches of all threads but this one. */
static guint64
count_switches (guint *n_threads)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  g_autofree char *own = g_strdup_printf ("%ld", syscall (SYS_gettid));
  guint64 sum = 0;
  const char *name;

  *n_threads = 0;
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/task", name, "status", NULL);
      g_autofree char *text = NULL;
      g_auto (GStrv) lines = NULL;

      if (g_str_equal (name, own) || !g_file_get_contents (path, &text, NULL, NULL))
        continue;
      ++*n_threads;
      lines = g_strsplit (text, "\n", -1);
      for (guint i = 0; lines[i] != NULL; i++)
        if (strstr (lines[i], "ctxt_switches:") != NULL)
          sum += g_ascii_strtoull (strchr (lines[i], ':') + 1 +
                                     strspn (strchr (lines[i], ':') + 1, " \t"),
                                   NULL, 10);
    }
  return sum;
}

static gboolean
has_job_threads (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/task", name, "comm", NULL);
      g_autofree char *comm = NULL;

      if (g_file_get_contents (path, &comm, NULL, NULL) && g_str_has_prefix (comm, "dbpool-job"))
        return TRUE;
    }
  return FALSE;
}

static void
test_idle (gconstpointer data)
{
  const char *uri = data;
  g_autoptr (DbPool) pool = NULL;
  guint n_before;
  guint n_after;
  guint64 before;
  guint64 after;
  GError *error = NULL;

#ifdef DB_TSAN
  g_test_skip ("ThreadSanitizer has a thread of its own, which wakes up all the time");
  return;
#endif
  pool = make_used_pool (uri);
  /* Threads that have done their job wait a moment for another one, and then end. */
  while (has_job_threads ())
    g_usleep (1000);
  g_usleep (G_USEC_PER_SEC / 2);

  before = count_switches (&n_before);
  g_usleep (10 * G_USEC_PER_SEC);
  after = count_switches (&n_after);
  g_test_message ("%u threads, %" G_GUINT64_FORMAT " switches in 10 s", n_after, after - before);
  g_assert_cmpuint (n_after, ==, n_before);
  g_assert_cmpuint (after, ==, before);

  db_pool_close (pool, G_TIME_SPAN_SECOND, NULL, &error);
  g_assert_no_error (error);
}

int
main (int argc, char **argv)
{
  const char *postgres = g_getenv ("DBPOOL_TEST_POSTGRES_URI");

  g_test_init (&argc, &argv, NULL);
#ifdef DB_HAS_SQLITE
  g_test_add_data_func ("/idle/sqlite", "sqlite::memory:", test_idle);
#endif
#ifdef DB_HAS_POSTGRES
  if (postgres != NULL)
    g_test_add_data_func ("/idle/postgres", postgres, test_idle);
#endif
  return g_test_run ();
}
