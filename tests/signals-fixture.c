/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the tests of the signals have in common, see the header. No lock: the pool and the manager
 * have their own. */

#include "config.h"

#include "signals-fixture.h"

#include <string.h>

DbPool *
make_pool (FakeManager *manager, guint max)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  GError *error = NULL;
  DbPool *pool;

  g_object_set (config, "max-connections", max, "connection-timeout", 20 * SECOND, "name", "tested",
                NULL);
  pool = db_pool_new (DB_CONNECTION_MANAGER (manager), config, &error);
  g_assert_no_error (error);
  return pool;
}

void
set_up (Fixture *fixture, guint max)
{
  memset (fixture, 0, sizeof *fixture);
  fixture->manager = fake_manager_new ();
  fixture->home = g_main_context_ref (g_main_context_default ());
  fixture->pool = make_pool (fixture->manager, max);
  fixture->log = g_string_new (NULL);
}

void
tear_down (Fixture *fixture)
{
  GError *error = NULL;

  if (fixture->pool != NULL)
    {
      db_pool_close (fixture->pool, 10 * SECOND, NULL, &error);
      g_assert_no_error (error);
      fake_assert_finalized_soon (fixture->pool);
    }
  fake_assert_finalized_soon (fixture->manager);
  g_main_context_unref (fixture->home);
  g_string_free (fixture->log, TRUE);
  g_clear_error (&fixture->error);
  g_free (fixture->text);
}

/* In every handler: the context is the right one, and no lock is held. */
static void
note (Fixture *fixture, DbPool *pool, char letter)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  g_assert_true (g_main_context_is_owner (fixture->home));
  g_string_append_c (fixture->log, letter);
}

void
acquired_cb (DbPool *pool, gint64 value, Fixture *fixture)
{
  g_assert_cmpint (value, >=, 0);
  fixture->value = value;
  note (fixture, pool, 'a');
}

void
returned_cb (DbPool *pool, gint64 value, Fixture *fixture)
{
  g_assert_cmpint (value, >=, 0);
  fixture->value = value;
  note (fixture, pool, 'r');
}

void
created_cb (DbPool *pool, gint64 value, Fixture *fixture)
{
  g_assert_cmpint (value, >=, 0);
  fixture->value = value;
  note (fixture, pool, 'c');
}

void
dropped_cb (DbPool *pool, DbDropReason reason, Fixture *fixture)
{
  fixture->reason = reason;
  note (fixture, pool, 'd');
}

static void
keep_error (Fixture *fixture, const GError *error)
{
  g_assert_nonnull (error);
  g_clear_error (&fixture->error);
  fixture->error = g_error_copy (error);
}

void
failed_cb (DbPool *pool, GError *error, Fixture *fixture)
{
  keep_error (fixture, error);
  note (fixture, pool, 'f');
}

void
background_cb (DbPool *pool, GError *error, Fixture *fixture)
{
  keep_error (fixture, error);
  note (fixture, pool, 'b');
}

void
leak_cb (DbPool *pool, const char *holder, gint64 held, Fixture *fixture)
{
  g_free (fixture->text);
  fixture->text = g_strdup (holder);
  fixture->value = held;
  note (fixture, pool, 'l');
}

void
deadlock_cb (DbPool *pool, const char *holders, Fixture *fixture)
{
  g_free (fixture->text);
  fixture->text = g_strdup (holders);
  note (fixture, pool, 'x');
}

void
listen_to_all (Fixture *fixture)
{
  g_object_connect (fixture->pool, "signal::connection-acquired", acquired_cb, fixture,
                    "signal::connection-returned", returned_cb, fixture,
                    "signal::connection-created", created_cb, fixture, "signal::connection-dropped",
                    dropped_cb, fixture, "signal::acquire-failed", failed_cb, fixture,
                    "signal::leak-suspected", leak_cb, fixture, "signal::deadlock-detected",
                    deadlock_cb, fixture, "signal::background-error", background_cb, fixture, NULL);
}

void
await (Fixture *fixture, gsize n)
{
  while (fixture->log->len < n)
    g_main_context_iteration (fixture->home, TRUE);
}

void
drain (Fixture *fixture)
{
  while (g_main_context_iteration (fixture->home, FALSE))
    ;
}

void
assert_log (Fixture *fixture, const char *expected)
{
  await (fixture, strlen (expected));
  drain (fixture);
  g_assert_cmpstr (fixture->log->str, ==, expected);
  g_string_truncate (fixture->log, 0);
}

DbConnection *
acquire (DbPool *pool)
{
  GError *error = NULL;
  DbConnection *connection = db_pool_acquire (pool, NULL, &error);

  g_assert_no_error (error);
  return connection;
}

void
borrow (DbPool *pool, guint n)
{
  for (guint i = 0; i < n; i++)
    g_object_unref (acquire (pool));
}
