/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Loans that last too long: that they are reported, once and with what helps to find them, and that
 * looking for them costs nothing.
 *
 * Here: LEK-01, LEK-02, LEK-04. LEK-06 is in test-servers.c, for it needs a server. */

#include "config.h"

#include "scenario.h"

typedef struct
{
  DbPool *pool;
  guint n;
  gint64 at;
  gint64 held;
  char *text;
} Reports;

static void
leak_cb (DbPool *pool, const char *text, gint64 held, gpointer data)
{
  Reports *self = data;

  g_assert_true (pool == self->pool);
  g_assert_nonnull (text);
  self->n++;
  self->at = g_get_monotonic_time ();
  self->held = held;
  g_free (self->text);
  self->text = g_strdup (text);
}

static void
listen_for_leaks (World *world, Reports *self)
{
  self->pool = world->pool;
  g_signal_connect (world->pool, "leak-suspected", G_CALLBACK (leak_cb), self);
}

/* LEK-01 */
static void
reported_once (World *world)
{
  const gint64 threshold = 200 * MS;
  g_autofree char *warnings = NULL;
  Reports reports = {0};
  Caller *caller;

  warnings_begin ();
  /* The pool's timer has other reasons to run as well: an idle session. */
  make_pool (world, "max-connections=2 leak-threshold=200ms keepalive=20ms name=shop");
  listen_for_leaks (world, &reports);
  {
    g_autoptr (DbConnection) a = acquire (world->pool);
    g_autoptr (DbConnection) b = acquire (world->pool);
  }
  caller = caller_new (world);
  caller->tag = "the forgetful borrower";
  caller_begin (caller);
  caller_wait_connection (caller);
  AWAIT (reports.n == 1);
  assert_took (reports.held, threshold);
  g_assert_cmpint (reports.at - caller->began, >=, threshold);
  g_assert_nonnull (strstr (reports.text, "the forgetful borrower"));
  assert_stats (world->pool, "leaks=1 lent=1");
  warnings = warnings_dup_text ();
  g_assert_cmpuint (warnings_count (), ==, 1);
  g_assert_nonnull (strstr (warnings, "shop"));
  g_assert_nonnull (strstr (warnings, "the forgetful borrower"));

  /* Once is enough, and the loan goes on. */
  pass_time (2 * threshold);
  g_assert_cmpuint (reports.n, ==, 1);
  assert_stats (world->pool, "leaks=1 lent=1 dropped=0");
  g_assert_false (db_connection_is_released (caller->connection));
  caller_free (caller);
  assert_stats (world->pool, "leaks=1 lent=0 dropped=0");
  g_assert_cmpuint (warnings_end (), ==, 1);
  g_free (reports.text);
}

/* Each loan is one: the next one of the same session is reported as well. */
static void
each_loan_is_one (World *world)
{
  Reports reports = {0};

  warnings_begin ();
  make_pool (world, "max-connections=1 leak-threshold=50ms");
  listen_for_leaks (world, &reports);
  for (guint i = 1; i <= 3; i++)
    {
      Caller *caller = caller_start (world);

      caller_wait_connection (caller);
      AWAIT (reports.n == i);
      g_assert_cmpint (reports.held, >=, 50 * MS);
      caller_free (caller);
    }
  assert_stats (world->pool, "leaks=3 created=1");
  g_assert_cmpuint (warnings_end (), ==, 3);
  g_free (reports.text);
}

/* LEK-01: what comes back in time is none. */
static void
in_time (World *world)
{
  Reports reports = {0};
  gint64 began;

  make_pool (world, "max-connections=1 leak-threshold=1s");
  listen_for_leaks (world, &reports);
  began = g_get_monotonic_time ();
  while (g_get_monotonic_time () < began + 1100 * MS)
    {
      Caller *caller = caller_start (world);

      caller_wait_connection (caller);
      pass_time (50 * MS);
      caller_free (caller);
    }
  assert_stats (world->pool, "leaks=0");
  g_assert_cmpuint (reports.n, ==, 0);
}

/* The threshold may be set later, and then counts for what is out already. */
static void
set_later (World *world)
{
  Reports reports = {0};
  DbConnection *held;

  warnings_begin ();
  make_pool (world, "max-connections=1");
  listen_for_leaks (world, &reports);
  held = acquire (world->pool);
  pass_time (60 * MS);
  assert_stats (world->pool, "leaks=0");
  g_object_set (db_pool_get_config (world->pool), "leak-threshold", (gint64) 50 * MS, NULL);
  AWAIT (reports.n == 1);
  g_assert_cmpint (reports.held, >=, 60 * MS);
  g_object_unref (held);
  g_assert_cmpuint (warnings_end (), ==, 1);
  g_free (reports.text);
}

/* In C the place in the source stands for a tag that was not given. */
static void
place_is_the_tag (World *world)
{
  Reports reports = {0};
  g_autoptr (GError) error = NULL;
  DbConnection *held;

  warnings_begin ();
  make_pool (world, "max-connections=1 leak-threshold=20ms");
  listen_for_leaks (world, &reports);
  held = db_pool_acquire (world->pool, NULL, &error);
  g_assert_no_error (error);
  AWAIT (reports.n == 1);
  g_assert_nonnull (strstr (reports.text, "test-leaks.c:"));
  g_object_unref (held);
  warnings_end ();
  g_free (reports.text);
}

static void
taken_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  DbConnection **connection = data;

  *connection = db_pool_acquire_finish (DB_POOL (source), result, &error);
  g_assert_no_error (error);
}

/* A grant that nobody takes, because its main context does not run, is reported for what it is. */
static void
not_taken (World *world)
{
  const gint64 threshold = 50 * MS;
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autofree char *warnings = NULL;
  DbConnection *connections[2] = {NULL};
  Reports reports = {0};
  DbConnection *held;

  warnings_begin ();
  make_pool (world, "max-connections=2 leak-threshold=50ms name=shop");
  listen_for_leaks (world, &reports);
  held = acquire (world->pool);
  g_object_unref (acquire (world->pool));
  /* One finds an idle session, and one is granted what comes back. */
  g_main_context_push_thread_default (context);
  for (guint i = 0; i < 2; i++)
    db_pool_acquire_full_async (world->pool, DB_ACQUIRE_NONE, -1, "a lazy loop", NULL, taken_cb,
                                &connections[i]);
  g_main_context_pop_thread_default (context);
  g_object_unref (held);
  AWAIT (reports.n == 2);
  assert_stats (world->pool, "leaks=2 lent=2 acquired=2");
  g_assert_cmpint (reports.held, >=, threshold);
  g_assert_cmpstr (reports.text, ==,
                   "granted to a lazy loop, whose main context has not run since");
  warnings = warnings_dup_text ();
  g_assert_nonnull (strstr (warnings, reports.text));

  /* When it runs, the loans begin, and that was it. */
  while (connections[0] == NULL || connections[1] == NULL)
    g_main_context_iteration (context, TRUE);
  pass_time (2 * threshold);
  g_assert_cmpuint (reports.n, ==, 2);
  g_object_unref (connections[0]);
  g_object_unref (connections[1]);
  assert_stats (world->pool, "leaks=2 lent=0 acquired=4");
  g_assert_cmpuint (warnings_end (), ==, 2);
  g_free (reports.text);
}

/* How many loans a second, the best of some tries. */
static double
measure (DbPool *pool)
{
  const guint n = 20000;
  gint64 best = G_MAXINT64;

  for (guint k = 0; k < 5; k++)
    {
      gint64 before = g_get_monotonic_time ();

      for (guint i = 0; i < n; i++)
        g_object_unref (acquire (pool));
      best = MIN (best, g_get_monotonic_time () - before);
    }
  return n / (best / (double) SECOND);
}

/* LEK-02. The bound is for machines that do other things as well; what it really is gets printed.
 */
static void
costs_nothing (World *world)
{
  double without;
  double with;

  make_pool (world, "max-connections=1");
  without = measure (world->pool);
  g_object_set (db_pool_get_config (world->pool), "leak-threshold", (gint64) 20 * SECOND, NULL);
  with = measure (world->pool);
  g_test_message ("%.0f loans/s without, %.0f with", without, with);
  g_assert_cmpfloat (with, >=, without / 2);
  assert_stats (world->pool, "leaks=0 acquired=200000");
}

/* LEK-02: no reference is kept on the handle, and nothing happens when its time comes. */
static void
nothing_is_kept (World *world)
{
  Reports reports = {0};
  DbConnection *connection;

  make_pool (world, "max-connections=1 leak-threshold=150ms");
  listen_for_leaks (world, &reports);
  connection = acquire (world->pool);
  g_assert_finalize_object (connection);
  pass_time (300 * MS);
  assert_stats (world->pool, "leaks=0 idle=1");
  g_assert_cmpuint (reports.n, ==, 0);
}

/* LEK-04 */
static void
exhaustion_is_diagnosable (World *world)
{
  g_autofree char *dump = NULL;
  g_autoptr (GError) error = NULL;
  DbConnection *leaked[2];
  Caller *caller;

  make_pool (world, "max-connections=2 name=shop");
  leaked[0] = db_pool_acquire_full (world->pool, 0, -1, "first leak", NULL, &error);
  g_assert_no_error (error);
  leaked[1] = db_pool_acquire_full (world->pool, 0, -1, "second leak", NULL, &error);
  g_assert_no_error (error);
  caller = caller_start_full (world, 100 * MS, NULL);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 100 * MS);
  g_assert_nonnull (strstr (caller->error->message, "shop"));
  g_assert_nonnull (strstr (caller->error->message, "2 lent"));
  caller_free (caller);

  dump = db_pool_dump (world->pool);
  g_assert_nonnull (strstr (dump, "shop"));
  g_assert_nonnull (strstr (dump, "first leak"));
  g_assert_nonnull (strstr (dump, "second leak"));

  g_assert_false (db_pool_close (world->pool, 50 * MS, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_assert_nonnull (strstr (error->message, "loans that were ended: 2"));
  g_assert_nonnull (strstr (error->message, "first leak"));
  g_assert_nonnull (strstr (error->message, "second leak"));
  g_object_unref (leaked[0]);
  g_object_unref (leaked[1]);
  await_stats (world->pool, "total=0");
}

static void
add_all (void)
{
  scenario_add_both ("leaks/reported-once", reported_once);
  scenario_add_both ("leaks/each-loan-is-one", each_loan_is_one);
  scenario_add_both ("leaks/in-time", in_time);
  scenario_add ("leaks/set-later", set_later);
  scenario_add ("leaks/place-is-the-tag", place_is_the_tag);
  scenario_add ("leaks/not-taken", not_taken);
  scenario_add ("leaks/costs-nothing", costs_nothing);
  scenario_add ("leaks/nothing-is-kept", nothing_is_kept);
  scenario_add_both ("leaks/exhaustion-is-diagnosable", exhaustion_is_diagnosable);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
