/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Reads a table of pgbench without blocking the main loop. */

#include <dbpool.h>

static GMainLoop *loop;

static void
queried_cb (GObject *pool, GAsyncResult *async_result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = db_pool_query_finish (DB_POOL (pool), async_result, &error);

  for (guint row = 0; result != NULL && row < db_result_get_n_rows (result); row++)
    g_print ("branch %s has %s\n", db_result_get_text (result, row, 0),
             db_result_get_text (result, row, 1));
  if (error != NULL)
    g_printerr ("%s\n", error->message);
  *(gboolean *) data = error == NULL;
  g_main_loop_quit (loop);
}

static void
created_cb (GObject *factory, GAsyncResult *async_result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbPool) pool =
    db_pool_factory_create_pool_finish (DB_POOL_FACTORY (factory), async_result, &error);

  if (pool == NULL)
    {
      g_printerr ("%s\n", error->message);
      g_main_loop_quit (loop);
      return;
    }
  db_pool_query_async (pool, "SELECT bid, bbalance FROM pgbench_branches", NULL, NULL, queried_cb,
                       data);
}

int
main (int argc, char **argv)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  gboolean ok = FALSE;

  loop = g_main_loop_new (NULL, FALSE);
  db_pool_factory_create_pool_async (factory, argc > 1 ? argv[1] : "postgresql:///", NULL, NULL,
                                     created_cb, &ok);
  g_main_loop_run (loop);
  g_main_loop_unref (loop);
  return ok ? 0 : 1;
}
