/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Reads a table of pgbench: waits for a connection without blocking the main loop. */

#include <dbpool.h>

static void
acquired_cb (GObject *pool, GAsyncResult *async_result, gpointer loop)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbConnection) conn = db_pool_acquire_finish (DB_POOL (pool), async_result, &error);
  const char *sql = "SELECT bid, bbalance FROM pgbench_branches";
  g_autoptr (DbResult) rows = conn ? db_connection_query (conn, sql, NULL, NULL, &error) : NULL;

  for (guint i = 0; rows != NULL && i < db_result_get_n_rows (rows); i++)
    g_print ("branch %s has %s\n", db_result_get_text (rows, i, 0),
             db_result_get_text (rows, i, 1));
  if (error != NULL)
    g_error ("%s", error->message);
  g_main_loop_quit (loop);
}

int
main (int argc, char **argv)
{
  const char *uri = argc > 1 ? argv[1] : "postgresql:///";
  g_autoptr (GError) error = NULL;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autoptr (DbPool) pool = db_pool_factory_create_pool (factory, uri, NULL, NULL, &error);

  if (pool == NULL)
    g_error ("%s", error->message);
  db_pool_acquire_async (pool, NULL, acquired_cb, loop);
  g_main_loop_run (loop);
  return 0;
}
