/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Validation: what a check of a session does, and what nobody may notice of it.
 *
 * Here: VAL-01, VAL-03, VAL-04, VAL-06, VAL-08, VAL-09 (the default: only a broken session goes),
 * VAL-10, VAL-11; and what becomes of sessions while the machine sleeps. VAL-06 and VAL-08 are also
 * in test-servers.c, with a real server.
 * Not here: VAL-05 (there is no call that checks every idle session) and the other half of VAL-09
 * (the application has no say in which errors end a session). */

#include "config.h"

#include "db-clock-private.h"
#include "scenario.h"

/* Leaves @n sessions idle. */
static void
open_idle (World *world, guint n)
{
  g_autoptr (GPtrArray) connections = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (connections, acquire (world->pool));
  g_ptr_array_set_size (connections, 0);
  await_stats (world->pool, "idle=%u lent=0", n);
}

/* A loan that succeeds, and ends at once. */
static void
borrow (World *world)
{
  g_autoptr (Caller) caller = caller_start (world);

  caller_wait_connection (caller);
}

static guint
n_checks (World *world)
{
  return fake_manager_get_ledger (world->manager).checks;
}

/* VAL-01 */
static void
failure_is_invisible (World *world)
{
  g_autoptr (GError) error = transient_error ();
  DbConnection *connection;
  Caller *caller;

  make_pool (world, "max-connections=4 validate-after-idle=0s");
  open_idle (world, 2);
  fake_manager_fail (world->manager, FAKE_CHECK, 2, error);
  caller = caller_start (world);
  connection = caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, ==, 3);
  g_assert_cmpint (db_session_get_state (db_connection_get_session (connection)), ==,
                   DB_SESSION_IDLE);
  await_stats (world->pool,
               "total=1 lent=1 dropped-invalid=2 dropped=2 created=3 errors=0 timeouts=0");
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).closed, ==, 2);
  g_assert_cmpint (fake_manager_get_record (world->manager, 1).closed, >, 0);
  g_assert_cmpint (fake_manager_get_record (world->manager, 2).closed, >, 0);
  caller_free (caller);
}

/* VAL-03, the database is down for a while. */
static void
invalid_and_unreachable (World *world)
{
  g_autoptr (GError) error = transient_error ();
  Caller *caller;

  make_pool (world, "max-connections=2 validate-after-idle=0s connection-timeout=600ms");
  open_idle (world, 2);
  fake_manager_fail (world->manager, FAKE_CHECK, G_MAXUINT, NULL);
  fake_manager_fail (world->manager, FAKE_OPEN, G_MAXUINT, error);
  caller = caller_start (world);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 600 * MS);
  g_assert_nonnull (strstr (caller->error->message, error->message));
  caller_free (caller);
  await_stats (world->pool, "idle=0 lent=0 dropped-invalid=2 dropped=2 created=2 timeouts=1");

  fake_manager_fail (world->manager, FAKE_CHECK, 0, NULL);
  fake_manager_fail (world->manager, FAKE_OPEN, 0, NULL);
  caller = caller_start_full (world, 60 * SECOND, NULL);
  caller_wait_connection (caller);
  caller_free (caller);
}

/* VAL-03, the password was changed meanwhile: no use in waiting. */
static void
invalid_and_refused (World *world)
{
  g_autoptr (GError) error = permanent_error ();
  Caller *caller;

  make_pool (world, "max-connections=2 validate-after-idle=0s connection-timeout=60s");
  open_idle (world, 2);
  fake_manager_fail (world->manager, FAKE_CHECK, G_MAXUINT, NULL);
  fake_manager_fail (world->manager, FAKE_OPEN, G_MAXUINT, error);
  caller = caller_start (world);
  caller_wait_error (caller, error->domain, error->code);
  assert_soon (caller_get_wait (caller), 100 * MS);
  caller_free (caller);
  await_stats (world->pool, "total=0 dropped-invalid=2 errors=1 timeouts=0");

  fake_manager_fail (world->manager, FAKE_CHECK, 0, NULL);
  fake_manager_fail (world->manager, FAKE_OPEN, 0, NULL);
  caller = caller_start (world);
  caller_wait_connection (caller);
  caller_free (caller);
}

/* VAL-04. Whether the window holds is seen from when the pool had the session back, which only we
 * know to be before the next acquire. */
static void
bypass_window (World *world)
{
  const gint64 window = 500 * MS;
  gint64 returned = 0;
  guint checks = 0;

  make_pool (world, "max-connections=1 validate-after-idle=500ms");
  for (guint i = 0; i < 100; i++)
    {
      Caller *caller = caller_start (world);
      DbConnection *connection = caller_wait_connection (caller);
      gint64 idle_for = caller->ended - returned;

      /* A machine that stood still for so long proves nothing. */
      if (returned == 0 || idle_for <= window)
        g_assert_cmpuint (n_checks (world), ==, checks);
      checks = n_checks (world);
      db_connection_release (connection);
      returned = g_get_monotonic_time ();
      caller_free (caller);
    }
  pass_time (window + 10 * MS);
  g_assert_cmpuint (n_checks (world), ==, checks);
  borrow (world);
  g_assert_cmpuint (n_checks (world), ==, checks + 1);
  assert_stats (world->pool, "created=1 acquired=101");
}

/* VAL-04: 0 checks before every loan but the first, which follows the opening. */
static void
no_window (World *world)
{
  make_pool (world, "max-connections=1 validate-after-idle=0s");
  for (guint i = 0; i < 20; i++)
    {
      borrow (world);
      g_assert_cmpuint (n_checks (world), ==, i);
    }
  assert_stats (world->pool, "created=1 acquired=20");
}

/* "never" */
static void
no_validation (World *world)
{
  make_pool (world, "max-connections=1 validate-after-idle=never");
  borrow (world);
  pass_time (100 * MS);
  borrow (world);
  g_assert_cmpuint (n_checks (world), ==, 0);
  assert_stats (world->pool, "created=1 acquired=2");
}

static void
begin_transaction (FakeManager *manager,
                   FakeGate gate,
                   DbSession *session,
                   GCancellable *cancellable,
                   gpointer data)
{
  if (gate == FAKE_CHECK)
    fake_session_set_state (FAKE_SESSION (session), GPOINTER_TO_INT (data));
}

static void
check_leaves (World *world, DbSessionState state)
{
  DbConnection *connection;
  Caller *caller;

  fake_manager_set_observer (world->manager, begin_transaction, GINT_TO_POINTER (state));
  make_pool (world, "max-connections=1 validate-after-idle=0s");
  open_idle (world, 1);
  caller = caller_start (world);
  connection = caller_wait_connection (caller);
  g_assert_cmpuint (n_checks (world), ==, 1);
  g_assert_cmpint (db_session_get_state (db_connection_get_session (connection)), ==,
                   DB_SESSION_IDLE);
  caller_free (caller);
}

/* VAL-06: a check that works but leaves a transaction open. */
static void
check_leaves_transaction (World *world)
{
  check_leaves (world, DB_SESSION_IN_TRANSACTION);
}

static void
check_leaves_failed_transaction (World *world)
{
  check_leaves (world, DB_SESSION_FAILED_TRANSACTION);
}

/* A check that says "works" of a session whose protocol says otherwise. */
static void
check_leaves_broken (World *world)
{
  check_leaves (world, DB_SESSION_BROKEN);
  assert_stats (world->pool, "created=2");
}

/* VAL-06: a check that fails inside a transaction. */
static void
check_fails_in_transaction (World *world)
{
  DbConnection *connection;
  Caller *caller;

  fake_manager_set_observer (world->manager, begin_transaction,
                             GINT_TO_POINTER (DB_SESSION_FAILED_TRANSACTION));
  make_pool (world, "max-connections=1 validate-after-idle=0s");
  open_idle (world, 1);
  fake_manager_fail (world->manager, FAKE_CHECK, 1, NULL);
  caller = caller_start (world);
  connection = caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, ==, 2);
  g_assert_cmpint (db_session_get_state (db_connection_get_session (connection)), ==,
                   DB_SESSION_IDLE);
  assert_stats (world->pool, "dropped-invalid=1 created=2");
  caller_free (caller);
}

/* VAL-08: the session breaks in its borrower's hands, which the borrower sees once. */
static void
broken_in_use (World *world)
{
  Caller *caller;
  guint id;

  make_pool (world, "max-connections=1 validate-after-idle=never");
  caller = caller_start (world);
  id = (caller_wait (caller), caller->id);
  fake_session_set_state (fake_connection_get_session (caller->connection), DB_SESSION_BROKEN);
  caller_free (caller);
  caller = caller_start (world);
  caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, !=, id);
  assert_stats (world->pool, "created=2 dropped-broken=1 dropped=1 errors=0");
  g_assert_cmpuint (n_checks (world), ==, 0);
  caller_free (caller);
}

/* VAL-09: a statement that the database refuses says nothing about the session. */
static void
refused_statements_keep_sessions (World *world)
{
  make_pool (world, "max-connections=5");
  open_idle (world, 5);
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr (DbConnection) connection = acquire (world->pool);
      g_autoptr (GError) error = NULL;

      g_assert_null (db_connection_query (connection, "fail", NULL, NULL, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
    }
  await_stats (world->pool, "total=5 idle=5 created=5 dropped=0");
}

/* VAL-10: as many checks at a time as there are callers, and statistics meanwhile. */
static void
checks_are_parallel (World *world)
{
  Caller *callers[10];

  make_pool (world, "max-connections=50 validate-after-idle=0s connection-timeout=60s");
  open_idle (world, 50);
  fake_manager_hang (world->manager, FAKE_CHECK, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    callers[i] = caller_start (world);
  fake_manager_await_inside (world->manager, FAKE_CHECK, G_N_ELEMENTS (callers));
  assert_stats (world->pool, "waiting=10 busy=10 idle=40 total=50 lent=0");
  fake_manager_hang (world->manager, FAKE_CHECK, FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    caller_wait_connection (callers[i]);
  assert_stats (world->pool, "created=50 lent=10 idle=40");
  g_assert_cmpuint (n_checks (world), ==, 10);
  callers_free (callers, G_N_ELEMENTS (callers));
}

/* VAL-11: the background looks after the only session while somebody wants it. */
static void
background_check_is_invisible (World *world)
{
  Caller *caller;

  make_pool (world, "max-connections=1 keepalive=50ms connection-timeout=60s");
  open_idle (world, 1);
  fake_manager_hang (world->manager, FAKE_CHECK, TRUE);
  fake_manager_await_inside (world->manager, FAKE_CHECK, 1);
  assert_stats (world->pool, "busy=1 idle=0 total=1 requests=1");
  caller = caller_start_waiting (world);
  fake_manager_hang (world->manager, FAKE_CHECK, FALSE);
  caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, ==, 1);
  assert_stats (world->pool, "created=1 total=1 lent=1 requests=2 acquired=2");
  caller_free (caller);
  fake_manager_await_calls (world->manager, FAKE_CHECK, 3);
  assert_stats (world->pool, "created=1 requests=2 acquired=2");
}

/* The same, and the check fails: the caller gets a new session instead. */
static void
background_check_fails (World *world)
{
  Caller *caller;

  make_pool (world, "max-connections=1 keepalive=50ms connection-timeout=60s");
  open_idle (world, 1);
  fake_manager_hang (world->manager, FAKE_CHECK, TRUE);
  fake_manager_fail (world->manager, FAKE_CHECK, 1, NULL);
  fake_manager_await_inside (world->manager, FAKE_CHECK, 1);
  caller = caller_start_waiting (world);
  fake_manager_hang (world->manager, FAKE_CHECK, FALSE);
  caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, ==, 2);
  assert_stats (world->pool, "created=2 dropped-invalid=1 requests=2 acquired=2 errors=0");
  caller_free (caller);
}

/* The machine was asleep: whoever comes first notices. Idle sessions are asked once each, one after
 * the other, and before they are lent; those that work stay. */
static void
after_a_sleep (World *world)
{
  FakeLedger ledger;

  make_pool (world, "max-connections=6 idle-timeout=0s max-lifetime=0s");
  open_idle (world, 6);
  pass_time (5 * MS);
  borrow (world);
  g_assert_cmpuint (n_checks (world), ==, 0);

  fake_manager_delay (world->manager, FAKE_CHECK, 30 * MS);
  pass_time (5 * MS);
  db_clock_pretend_sleep (3600 * SECOND);
  borrow (world);
  g_assert_cmpuint (n_checks (world), >=, 1);
  AWAIT (n_checks (world) == 6);
  await_stats (world->pool, "idle=6");
  for (guint i = 1; i <= 6; i++)
    g_assert_cmpuint (fake_manager_get_record (world->manager, i).checks, ==, 1);
  ledger = fake_manager_get_ledger (world->manager);
  g_assert_cmpuint (ledger.max_inside[FAKE_CHECK], <=, 3);
  assert_stats (world->pool, "created=6 dropped=0");

  /* Nothing is left of it. */
  pass_time (100 * MS);
  borrow (world);
  g_assert_cmpuint (n_checks (world), ==, 6);
}

/* The same when the server did not wait: nobody is given a session that it has let go of. */
static void
gone_after_a_sleep (World *world)
{
  make_pool (world, "max-connections=4 idle-timeout=0s max-lifetime=0s");
  open_idle (world, 4);
  pass_time (5 * MS);
  fake_manager_fail_checks (world->manager, TRUE);
  db_clock_pretend_sleep (3600 * SECOND);
  borrow (world);
  await_stats (world->pool, "created=5 dropped-invalid=4 idle=1");
}

static void
add_all (void)
{
  scenario_add_both ("validation/failure-is-invisible", failure_is_invisible);
  scenario_add_both ("validation/invalid-and-unreachable", invalid_and_unreachable);
  scenario_add_both ("validation/invalid-and-refused", invalid_and_refused);
  scenario_add_both ("validation/bypass-window", bypass_window);
  scenario_add_both ("validation/no-window", no_window);
  scenario_add_both ("validation/no-validation", no_validation);
  scenario_add_both ("validation/check-leaves-transaction", check_leaves_transaction);
  scenario_add_both ("validation/check-leaves-failed-transaction", check_leaves_failed_transaction);
  scenario_add_both ("validation/check-leaves-broken", check_leaves_broken);
  scenario_add_both ("validation/check-fails-in-transaction", check_fails_in_transaction);
  scenario_add_both ("validation/broken-in-use", broken_in_use);
  scenario_add ("validation/refused-statements-keep-sessions", refused_statements_keep_sessions);
  scenario_add_both ("validation/checks-are-parallel", checks_are_parallel);
  scenario_add_both ("validation/background-check-is-invisible", background_check_is_invisible);
  scenario_add_both ("validation/background-check-fails", background_check_fails);
  scenario_add_both ("validation/after-a-sleep", after_a_sleep);
  scenario_add_both ("validation/gone-after-a-sleep", gone_after_a_sleep);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
