/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Deadlines: never early, one for the whole acquire, and an error that helps.
 *
 * Holds TMO-01, 02, 03, 04, 08, 09 (not its jump of the wall clock, which would be everybody's on
 * this machine), 10, 11, 13, 14. */

#include "config.h"

#include "scenario.h"
#include "log-capture.h"

#include <malloc.h>
#include <string.h>
#include <time.h>

/* TMO-01 */
static void
basic (World *world)
{
  DbConnection *held[2];
  Caller *third;

  make_pool (world, "max-connections=2 connection-timeout=200ms");
  for (guint i = 0; i < 2; i++)
    held[i] = acquire (world->pool);
  third = caller_start (world);
  caller_wait_error (third, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (third), 200 * MS);
  assert_stats (world->pool, "timeouts=1 lent=2 waiting=0");
  for (guint i = 0; i < 2; i++)
    g_object_unref (held[i]);
  assert_stats (world->pool, "idle=2 lent=0 waiting=0");
  caller_free (third);
}

/* TMO-01: the pool's own, a shorter and a longer one, side by side. */
static void
override (World *world)
{
  Caller *pools, *shorter, *longer;
  DbConnection *held;

  make_pool (world, "max-connections=1 connection-timeout=200ms");
  held = acquire (world->pool);
  longer = caller_start_waiting_full (world, 60 * SECOND, NULL);
  pools = caller_start_full (world, -1, NULL);
  shorter = caller_start_full (world, 50 * MS, NULL);
  caller_wait_error (shorter, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (shorter), 50 * MS);
  caller_wait_error (pools, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (pools), 200 * MS);
  g_assert_false (caller_is_done (longer));
  g_object_unref (held);
  caller_wait_connection (longer);
  assert_stats (world->pool, "timeouts=2 lent=1 waiting=0");
  caller_free (pools);
  caller_free (shorter);
  caller_free (longer);
}

/* TMO-02 */
static void
queue_limit (World *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DbConnection *held;
  Caller *waiters[3], *late;

  make_pool (world, "max-connections=1 max-waiters=3 connection-timeout=60s name=narrow");
  held = acquire (world->pool);
  waiters[0] = caller_start_waiting_full (world, -1, cancellable);
  waiters[1] = caller_start_waiting_full (world, 200 * MS, NULL);
  waiters[2] = caller_start_waiting (world);
  late = caller_start (world);
  caller_wait_error (late, DB_ERROR, DB_ERROR_QUEUE_FULL);
  assert_soon (caller_get_wait (late), 20 * MS);
  g_assert_nonnull (strstr (late->error->message, "narrow"));
  g_assert_nonnull (strstr (late->error->message, "3"));
  assert_stats (world->pool, "refused=1 waiting=3");
  caller_free (late);

  /* Who gives up makes room at once: one by a cancel, one by its deadline. */
  g_cancellable_cancel (cancellable);
  caller_wait_error (waiters[0], G_IO_ERROR, G_IO_ERROR_CANCELLED);
  caller_free (waiters[0]);
  waiters[0] = caller_start_waiting (world);
  caller_wait_error (waiters[1], DB_ERROR, DB_ERROR_TIMEOUT);
  caller_free (waiters[1]);
  waiters[1] = caller_start_waiting (world);
  assert_stats (world->pool, "refused=1 waiting=3");

  g_object_unref (held);
  for (guint n = 0; n < 3; n++)
    {
      guint i;

      for (i = 0; waiters[i] == NULL || !caller_is_done (waiters[i]); i = (i + 1) % 3)
        scenario_pause ();
      g_assert_no_error (waiters[i]->error);
      g_clear_pointer (&waiters[i], caller_free);
    }
  assert_stats (world->pool, "refused=1 acquired=4 timeouts=1 cancelled=1 waiting=0");
}

/* TMO-03 */
static void
dead_caller_costs_nothing (World *world)
{
  DbConnection *held[2];
  Caller *callers[3];

  make_pool (world, "max-connections=2");
  for (guint i = 0; i < 2; i++)
    held[i] = acquire (world->pool);
  for (guint i = 0; i < 3; i++)
    callers[i] = caller_start_waiting_full (world, i == 0 ? 50 * MS : 60 * SECOND, NULL);
  caller_wait_error (callers[0], DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (callers[0]), 50 * MS);
  for (guint i = 0; i < 2; i++)
    g_object_unref (held[i]);
  for (guint i = 1; i < 3; i++)
    caller_wait_connection (callers[i]);
  assert_stats (world->pool, "acquired=4 timeouts=1 lent=2 waiting=0");
  callers_free (callers, 3);
  assert_stats (world->pool, "idle=2 lent=0 waiting=0");
}

/* TMO-04: 0 tries once. */
static void
zero (World *world)
{
  const guint n = 10000 / (guint) scenario_factor ();
  DbConnection *held;
  Caller *caller;

  make_pool (world, "max-connections=1");
  held = acquire (world->pool);
  caller = caller_start_full (world, 0, NULL);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_EXHAUSTED);
  assert_soon (caller_get_wait (caller), 5 * MS);
  caller_free (caller);
  g_object_unref (held);

  caller = caller_new (world);
  caller->timeout = 0;
  caller->rounds = n;
  caller->hold = 0;
  caller_begin (caller);
  caller_wait (caller);
  g_assert_no_error (caller->error);
  g_assert_cmpuint (caller->n_granted, ==, n);
  caller_free (caller);

  g_assert_true (db_pool_close (world->pool, SECOND, NULL, NULL));
  caller = caller_start_full (world, 0, NULL);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_CLOSED);
  caller_free (caller);
  assert_stats (world->pool, "created=1 refused=2 acquired=%u", n + 1);
}

/* TMO-04: for ever is no overflow, as the caller's and as the pool's. */
static void
forever (World *world)
{
  static const gint64 timeouts[] = {-1, G_MAXINT64, G_MAXINT64 - 1, G_MAXINT64 / 2};
  Caller *callers[G_N_ELEMENTS (timeouts)];
  DbConnection *held;

  make_pool (world, "max-connections=1 connection-timeout=forever");
  held = acquire (world->pool);
  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->timeout = timeouts[i];
      callers[i]->hold = 0;
      caller_begin_waiting (callers[i]);
    }
  pass_time (50 * MS);
  assert_stats (world->pool, "waiting=%u timeouts=0", (guint) G_N_ELEMENTS (timeouts));
  g_object_unref (held);
  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      caller_wait (callers[i]);
      g_assert_no_error (callers[i]->error);
    }
  callers_free (callers, G_N_ELEMENTS (timeouts));
}

/* TMO-08: a check that takes too long is cancelled, and its session replaced. */
static void
check_has_its_own_bound (World *world)
{
  Caller *caller;

  make_pool (world, "max-connections=1 validate-after-idle=0s check-timeout=100ms "
                    "connection-timeout=60s");
  g_object_unref (acquire (world->pool));
  fake_manager_hang (world->manager, FAKE_CHECK, TRUE);
  caller = caller_start (world);
  caller_wait_connection (caller);
  assert_took (caller_get_wait (caller), 100 * MS);
  g_assert_cmpuint (caller->id, ==, 2);
  assert_stats (world->pool, "total=1 lent=1 dropped-invalid=1");
  g_assert_cmpuint (fake_manager_get_record (world->manager, 1).checks, ==, 1);
  fake_manager_hang (world->manager, FAKE_CHECK, FALSE);
  caller_free (caller);
}

/* TMO-08: the acquire's own deadline holds while a check does not listen, and nothing is stuck
 * afterwards. */
static void
deaf_check (World *world)
{
  Caller *caller;

  make_pool (world, "max-connections=1 validate-after-idle=0s check-timeout=50ms "
                    "connection-timeout=200ms");
  g_object_unref (acquire (world->pool));
  fake_manager_set_deaf (world->manager, FAKE_CHECK, TRUE);
  fake_manager_hang (world->manager, FAKE_CHECK, TRUE);
  caller = caller_start (world);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 200 * MS);
  caller_free (caller);
  fake_manager_hang (world->manager, FAKE_CHECK, FALSE);
  await_stats (world->pool, "busy=0 waiting=0");
  g_object_unref (acquire (world->pool));
}

/* TMO-08: each stage would be in time alone; the deadline is one for all of them. */
static void
one_deadline_for_all_stages (World *world)
{
  DbConnection *held;
  Caller *caller;

  make_pool (world, "max-connections=1 validate-after-idle=0s check-timeout=10s "
                    "connection-timeout=200ms");
  held = acquire (world->pool);
  fake_manager_hang (world->manager, FAKE_CHECK, TRUE);
  fake_manager_delay (world->manager, FAKE_OPEN, 10 * SECOND);
  caller = caller_start_waiting (world);
  pass_time (100 * MS);
  /* Returned dirty: a reset, which is slow, and then an open, which is too. */
  fake_manager_delay (world->manager, FAKE_RESET, 150 * MS);
  fake_session_set_state (fake_connection_get_session (held), DB_SESSION_IN_TRANSACTION);
  g_object_unref (held);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 200 * MS);
  caller_free (caller);
  fake_manager_hang (world->manager, FAKE_CHECK, FALSE);
  fake_manager_delay (world->manager, FAKE_OPEN, 0);
}

/* TMO-09 */
static void
never_early (World *world)
{
  const gint64 timeout = 50 * MS;
  DbConnection *held;
  Caller *callers[40];
  guint n_late = 0;

  make_pool (world, "max-connections=1");
  held = acquire (world->pool);
  for (guint round = 0; round < 5; round++)
    {
      for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
        callers[i] = caller_start_full (world, timeout + i, NULL);
      for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
        {
          caller_wait_error (callers[i], DB_ERROR, DB_ERROR_TIMEOUT);
          g_assert_cmpint (caller_get_wait (callers[i]), >=, timeout + i);
          n_late += caller_get_wait (callers[i]) > 100 * MS * scenario_factor ();
        }
      callers_free (callers, G_N_ELEMENTS (callers));
    }
  assert_stats (world->pool, "timeouts=200 waiting=0");
  g_test_message ("%u of 200 later than twice the timeout", n_late);
  g_object_unref (held);
}

/* TMO-10 */
static void
error_helps (World *world)
{
  g_autoptr (GError) refused = transient_error ();
  Caller *caller;

  make_pool (world, "max-connections=3 connection-timeout=300ms name=helpful");
  fake_manager_fail (world->manager, FAKE_OPEN, G_MAXUINT, refused);
  caller = caller_start (world);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 300 * MS);
  g_test_message ("%s", caller->error->message);
  g_assert_nonnull (strstr (caller->error->message, "helpful"));
  g_assert_nonnull (strstr (caller->error->message, refused->message));
  g_assert_nonnull (strstr (caller->error->message, "0 lent"));
  g_assert_nonnull (strstr (caller->error->message, "0 idle"));
  g_assert_nonnull (strstr (caller->error->message, "0 callers wait"));
  g_assert_true (strstr (caller->error->message, "0.3") != NULL ||
                 strstr (caller->error->message, " s") != NULL);
  g_assert_true (db_error_is_transient (caller->error));
  caller_free (caller);
  /* No storm of attempts either. */
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, <=, 20);
}

/* TMO-10: the sessions that others hold are in the text. */
static void
error_counts (World *world)
{
  DbConnection *held[2];
  Caller *caller;

  make_pool (world, "max-connections=2 connection-timeout=20ms");
  for (guint i = 0; i < 2; i++)
    held[i] = acquire (world->pool);
  caller = caller_start (world);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_nonnull (strstr (caller->error->message, "2 sessions"));
  g_assert_nonnull (strstr (caller->error->message, "2 lent"));
  g_assert_nonnull (strstr (caller->error->message, db_pool_get_name (world->pool)));
  caller_free (caller);
  for (guint i = 0; i < 2; i++)
    g_object_unref (held[i]);
}

static gint64
processor_time (void)
{
  struct timespec time;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * SECOND + time.tv_nsec / 1000;
}

/* The heap in use, in KiB; 0 where that cannot be known, as with the sanitizers. */
static gint64
heap_in_use (void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
  return (gint64) (mallinfo2 ().uordblks / 1024);
#else
  return 0;
#endif
}

/* TMO-11 */
static void
many_at_one_instant (World *world)
{
  const guint n = 10000 / (guint) scenario_factor ();
  g_autofree Caller **callers = g_new0 (Caller *, n);
  DbConnection *held;
  gint64 heap, used;

  make_pool (world, "max-connections=1");
  held = acquire (world->pool);
  world->loop = loop_new ();
  heap = heap_in_use ();
  used = processor_time ();
  for (guint i = 0; i < n; i++)
    callers[i] = caller_start_full (world, 300 * MS, NULL);
  for (guint i = 0; i < n; i++)
    {
      caller_wait_error (callers[i], DB_ERROR, DB_ERROR_TIMEOUT);
      assert_took (caller_get_wait (callers[i]), 300 * MS);
    }
  used = processor_time () - used;
  assert_stats (world->pool, "timeouts=%u waiting=0 lent=1", n);
  g_test_message ("%u timeouts took %" G_GINT64_FORMAT " ms of processor time", n, used / MS);
  assert_soon (used, SECOND);
  callers_free (callers, n);
  heap = heap_in_use () - heap;
  g_test_message ("the heap grew by %" G_GINT64_FORMAT " KiB", heap);
  /* The array of deadlines keeps its 8 bytes for each. GLib's slices would keep more. */
  if (scenario_factor () == 1 && g_strcmp0 (g_getenv ("G_SLICE"), "always-malloc") == 0)
    g_assert_cmpint (heap, <, 150);
  g_object_unref (held);
  g_object_unref (acquire (world->pool));
}

/* TMO-13: more callers than the pool can serve in time; then fewer. What was served meanwhile is
 * near what can be served at all: those who gave up cost nothing. */
static void
overload_recovers (World *world)
{
  Caller *callers[50];
  guint64 served;
  guint n_failed = 0;

  make_pool (world, "max-connections=10 connection-timeout=40ms");
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->hold = 20 * MS;
      callers[i]->rounds = 0;
      callers[i]->go_on = TRUE;
      caller_begin (callers[i]);
    }
  pass_time (SECOND);
  g_atomic_int_set (&world->stop, TRUE);
  served = 0;
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      caller_wait (callers[i]);
      served += callers[i]->n_granted;
      n_failed += callers[i]->n_failed;
    }
  callers_free (callers, G_N_ELEMENTS (callers));
  /* 10 sessions for 1 s, 20 ms each: 500. */
  g_test_message ("%" G_GUINT64_FORMAT " of 500 served, %u timeouts", served, n_failed);
  g_assert_cmpuint (served, >=, 250 / (guint) scenario_factor ());
  g_assert_cmpuint (n_failed, >, 0);
  assert_stats (world->pool, "waiting=0 lent=0");

  g_atomic_int_set (&world->stop, FALSE);
  for (guint i = 0; i < 9; i++)
    {
      callers[i] = caller_new (world);
      callers[i]->timeout = 40 * MS * 100;
      callers[i]->hold = 20 * MS;
      callers[i]->rounds = 12;
      caller_begin (callers[i]);
    }
  for (guint i = 0; i < 9; i++)
    {
      caller_wait (callers[i]);
      g_assert_no_error (callers[i]->error);
    }
  callers_free (callers, 9);
  assert_stats (world->pool, "waiting=0 lent=0");
}

/* TMO-14 */
static void
self_deadlock (World *world)
{
  DbConnection *first;
  GError *error = NULL;
  gint64 began;

  make_pool (world, "max-connections=1 connection-timeout=150ms");
  first = acquire (world->pool);
  began = g_get_monotonic_time ();
  log_expect (G_LOG_LEVEL_MESSAGE, "*itself waits*");
  g_assert_null (db_pool_acquire (world->pool, NULL, &error));
  log_assert_expected ();
  assert_took (g_get_monotonic_time () - began, 150 * MS);
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, "1 lent"));
  g_assert_nonnull (strstr (error->message, "itself waits"));
  g_clear_error (&error);
  g_assert_cmpint (db_connection_execute (first, "SELECT 1", NULL, NULL, &error), >=, 0);
  g_assert_no_error (error);
  assert_stats (world->pool, "lent=1 total=1 waiting=0 deadlocks=1");
  g_object_unref (first);
}

/* TMO-14, for those who prefer to hear of it at once. */
static void
self_deadlock_fails (World *world)
{
  DbConnection *first;
  GError *error = NULL;
  gint64 began;

  make_pool (world, "max-connections=1 connection-timeout=60s fail-on-deadlock=true");
  first = acquire (world->pool);
  began = g_get_monotonic_time ();
  log_expect (G_LOG_LEVEL_MESSAGE, "*itself waits*");
  g_assert_null (db_pool_acquire (world->pool, NULL, &error));
  log_assert_expected ();
  assert_soon (g_get_monotonic_time () - began, 100 * MS);
  g_assert_error (error, DB_ERROR, DB_ERROR_DEADLOCK);
  g_clear_error (&error);
  g_assert_false (db_connection_is_released (first));
  assert_stats (world->pool, "lent=1 total=1 waiting=0 deadlocks=1");
  g_object_unref (first);
}

static void
add_all (void)
{
  scenario_add_both ("timeouts/basic", basic);
  scenario_add_both ("timeouts/override", override);
  scenario_add_both ("timeouts/queue-limit", queue_limit);
  scenario_add_both ("timeouts/dead-caller-costs-nothing", dead_caller_costs_nothing);
  scenario_add_both ("timeouts/zero", zero);
  scenario_add_both ("timeouts/forever", forever);
  scenario_add_both ("timeouts/check-has-its-own-bound", check_has_its_own_bound);
  scenario_add_both ("timeouts/deaf-check", deaf_check);
  scenario_add_both ("timeouts/one-deadline-for-all-stages", one_deadline_for_all_stages);
  scenario_add_both ("timeouts/never-early", never_early);
  scenario_add_both ("timeouts/error-helps", error_helps);
  scenario_add_both ("timeouts/error-counts", error_counts);
  scenario_add_async ("timeouts/many-at-one-instant", many_at_one_instant);
  scenario_add_both ("timeouts/overload-recovers", overload_recovers);
  scenario_add ("timeouts/self-deadlock/times-out", self_deadlock);
  scenario_add ("timeouts/self-deadlock/fails", self_deadlock_fails);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
