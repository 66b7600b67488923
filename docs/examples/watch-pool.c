/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Five clients share two connections, each for a moment. Meanwhile the sessions of the pool are
 * printed as a table that follows the pool, and its signals are listened to. In an application the
 * list model would go to a GtkColumnView. */

#include <dbpool.h>

#define N_CLIENTS 5

static GMainLoop *loop;
static int n_clients = N_CLIENTS;

static void
print_table (GListModel *connections)
{
  for (guint i = 0; i < g_list_model_get_n_items (connections); i++)
    {
      g_autoptr (DbConnectionInfo) info = g_list_model_get_item (connections, i);
      g_autofree char *line = db_connection_info_to_string (info);

      g_print ("  %s\n", line);
    }
}

static void
changed_cb (DbConnectionInfo *info, GParamSpec *pspec, GListModel *connections)
{
  print_table (connections);
}

static void
items_changed_cb (GListModel *connections,
                  guint position,
                  guint n_removed,
                  guint n_added,
                  gpointer data)
{
  for (guint i = position; i < position + n_added; i++)
    {
      g_autoptr (DbConnectionInfo) info = g_list_model_get_item (connections, i);

      g_signal_connect_object (info, "notify::tag", G_CALLBACK (changed_cb), connections, 0);
    }
  print_table (connections);
}

static void
acquired_cb (DbPool *pool, gint64 waited, gpointer data)
{
  g_print ("a connection was lent after %.3f s\n", waited / (double) G_TIME_SPAN_SECOND);
}

static void
returned_cb (DbPool *pool, gint64 held, gpointer data)
{
  g_print ("a connection came back after %.3f s\n", held / (double) G_TIME_SPAN_SECOND);
  if (--n_clients == 0)
    g_main_loop_quit (loop);
}

static gboolean
end_of_work_cb (gpointer connection)
{
  db_connection_release (connection);
  return G_SOURCE_REMOVE;
}

static void
client_cb (GObject *pool, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  DbConnection *connection = db_pool_acquire_full_finish (DB_POOL (pool), result, &error);

  if (connection == NULL)
    g_error ("%s", error->message);
  g_timeout_add_full (G_PRIORITY_DEFAULT, 100, end_of_work_cb, connection, g_object_unref);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (DbPool) pool = NULL;
  g_autoptr (GListModel) connections = NULL;

  g_object_set (config, "max-connections", 2, NULL);
  pool = db_pool_factory_create_pool (factory, argc > 1 ? argv[1] : "sqlite:watch-pool.db", config,
                                      NULL, &error);
  if (pool == NULL || db_pool_warm_up (pool, 2, NULL, &error) == 0)
    g_error ("%s", error->message);

  loop = g_main_loop_new (NULL, FALSE);
  connections = db_pool_get_connections (pool);
  g_signal_connect (connections, "items-changed", G_CALLBACK (items_changed_cb), NULL);
  items_changed_cb (connections, 0, 0, g_list_model_get_n_items (connections), NULL);
  g_signal_connect (pool, "connection-acquired", G_CALLBACK (acquired_cb), NULL);
  g_signal_connect (pool, "connection-returned", G_CALLBACK (returned_cb), NULL);

  for (int i = 1; i <= N_CLIENTS; i++)
    {
      g_autofree char *tag = g_strdup_printf ("client %d", i);

      db_pool_acquire_full_async (pool, DB_ACQUIRE_NONE, -1, tag, NULL, client_cb, NULL);
    }
  g_main_loop_run (loop);
  g_print ("all %d clients are done\n", N_CLIENTS);
  g_main_loop_unref (loop);
  return 0;
}
