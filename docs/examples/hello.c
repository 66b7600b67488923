/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#include <dbpool.h>

int
main (int argc, char **argv)
{
  const char *uri = argc > 1 ? argv[1] : "sqlite:hello.db";
  g_autoptr (GError) error = NULL;
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autoptr (DbPool) pool = db_pool_factory_create_pool (factory, uri, NULL, NULL, &error);
  g_autoptr (DbConnection) conn = pool ? db_pool_acquire (pool, NULL, &error) : NULL;
  const char *sql = "SELECT 6 * $1 AS answer";
  g_autoptr (GVariant) seven = g_variant_ref_sink (g_variant_new ("(x)", (gint64) 7));
  g_autoptr (DbResult) result = conn ? db_connection_query (conn, sql, seven, NULL, &error) : NULL;

  if (result == NULL)
    g_printerr ("%s\n", error->message);
  else
    g_print ("answer = %s\n", db_result_get_text (result, 0, 0));
  return result != NULL ? 0 : 1;
}
