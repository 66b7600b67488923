/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the tests of the pool have in common, see the header. No lock: the pool and the manager have
 * their own. */

#include "config.h"

#include "pool-fixture.h"

void
set_up (Fixture *fixture, guint max, gint64 timeout)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  GError *error = NULL;

  g_object_set (config, "max-connections", max, "connection-timeout", timeout, NULL);
  fixture->manager = fake_manager_new ();
  fixture->pool = db_pool_new (DB_CONNECTION_MANAGER (fixture->manager), config, &error);
  g_assert_no_error (error);
}

static void
assert_balanced (DbPool *pool)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  g_assert_cmpuint (db_pool_stats_get_total (stats), ==,
                    db_pool_stats_get_idle (stats) + db_pool_stats_get_lent (stats) +
                      db_pool_stats_get_opening (stats) + db_pool_stats_get_busy (stats));
  g_assert_cmpuint (db_pool_stats_get_requests (stats), ==,
                    db_pool_stats_get_acquired (stats) + db_pool_stats_get_timeouts (stats) +
                      db_pool_stats_get_cancelled (stats) + db_pool_stats_get_errors (stats) +
                      db_pool_stats_get_refused (stats) + db_pool_stats_get_waiting (stats));
}

void
tear_down (Fixture *fixture)
{
  GError *error = NULL;
  FakeLedger ledger;

  assert_balanced (fixture->pool);
  db_pool_close (fixture->pool, 10 * SECOND, NULL, &error);
  g_assert_no_error (error);
  ledger = fake_manager_get_ledger (fixture->manager);
  g_assert_cmpuint (ledger.live, ==, 0);
  g_assert_cmpuint (ledger.opened, ==, ledger.closes);
  fake_assert_finalized_soon (fixture->pool);
  fake_assert_finalized_soon (fixture->manager);
}

void
assert_gauges (DbPool *pool, guint total, guint idle, guint lent, guint waiting)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  g_assert_cmpuint (db_pool_stats_get_total (stats), ==, total);
  g_assert_cmpuint (db_pool_stats_get_idle (stats), ==, idle);
  g_assert_cmpuint (db_pool_stats_get_lent (stats), ==, lent);
  g_assert_cmpuint (db_pool_stats_get_waiting (stats), ==, waiting);
}

DbConnection *
acquire (DbPool *pool)
{
  GError *error = NULL;
  DbConnection *connection = db_pool_acquire (pool, NULL, &error);

  g_assert_no_error (error);
  g_assert_true (DB_IS_CONNECTION (connection));
  return connection;
}

void
await_gauges (DbPool *pool, guint total, guint idle, guint lent, guint waiting)
{
  for (;;)
    {
      g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

      if (db_pool_stats_get_total (stats) == total && db_pool_stats_get_idle (stats) == idle &&
          db_pool_stats_get_lent (stats) == lent && db_pool_stats_get_waiting (stats) == waiting)
        return;
      g_main_context_iteration (NULL, FALSE);
      g_thread_yield ();
    }
}

void
acquired_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Waiter *waiter = data;

  g_assert_false (waiter->done);
  if (waiter->context != NULL)
    g_assert_true (g_main_context_is_owner (waiter->context));
  waiter->connection = db_pool_acquire_finish (DB_POOL (source), result, &waiter->error);
  g_assert_true ((waiter->connection == NULL) == (waiter->error != NULL));
  waiter->done = TRUE;
  if (waiter->order != NULL)
    waiter->position = ++*waiter->order;
}

void
await (Waiter *waiter)
{
  while (!waiter->done)
    g_main_context_iteration (NULL, TRUE);
}

void
waiter_clear (Waiter *waiter)
{
  g_clear_object (&waiter->connection);
  g_clear_error (&waiter->error);
}

gpointer
acquire_in_thread (gpointer data)
{
  gpointer *args = data;
  GError *error = NULL;
  g_autoptr (DbConnection) connection = db_pool_acquire (args[0], args[1], &error);

  return error;
}
