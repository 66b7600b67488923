/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Making pools and warming them up: settings that cannot be, defaults, what a pool does before
 * anybody acquires, and what a start that fails tells.
 *
 * Holds CON-01, 02, 03, 04, 05, 06, 07, 08 (with scripted failures instead of a proxy), 10, 11, 12,
 * 13, 14, 15 (where PostgreSQL is built), 16, 17. A pool has no separate step of opening, so that
 * only the second half of CON-10 applies. */

#include "config.h"

#include "db-lock-private.h"
#include "log-capture.h"
#include "scenario.h"

#ifdef HAVE_POSTGRES
#include "db-database-config.h"
#include "postgres/db-postgres-manager.h"
#endif

#include <stdio.h>
#include <string.h>

/* How many sessions a pool opens at a time; see MAX_CONCURRENT_OPENS. */
#define WIDTH 3

static guint
count_tasks (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  guint n = 0;

  while (dir != NULL && g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

/* CON-01 */
static void
impossible_sizes (World *world)
{
  static const char *const bad[] = {"pool_max_connections=0", "pool_max_connections=-1",
                                    "pool_min_connections=-1&pool_max_connections=1",
                                    "pool_min_connections=0&pool_max_connections=0"};
  guint n_tasks = count_tasks ();
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  GError *error = NULL;
  guint max;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_null (db_pool_config_new_from_uri_query (bad[i], &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      g_clear_error (&error);
    }
  g_test_expect_message ("GLib-GObject", G_LOG_LEVEL_WARNING, "*max-connections*");
  g_object_set (config, "max-connections", 0, NULL);
  g_test_assert_expected_messages ();
  g_object_get (config, "max-connections", &max, NULL);
  g_assert_cmpuint (max, >=, 1);

  g_object_set (config, "min-connections", 4, "max-connections", 2, NULL);
  g_assert_null (db_pool_new (DB_CONNECTION_MANAGER (world->manager), config, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_assert_nonnull (strstr (error->message, "4"));
  g_assert_nonnull (strstr (error->message, "2"));
  g_clear_error (&error);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, 0);
  g_assert_cmpuint (count_tasks (), ==, n_tasks);
}

/* CON-01, the good ones. Without max-connections it is 10. */
static void
possible_sizes (World *world)
{
  static const struct
  {
    const char *settings;
    guint min;
    guint max;
  } good[] = {
    {"min-connections=2", 2, 10},
    {"min-connections=0 max-connections=2", 0, 2},
    {"min-connections=2 max-connections=4", 2, 4},
    {"min-connections=2 max-connections=2", 2, 2},
  };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      DbPool *pool =
        make_pool_over (DB_CONNECTION_MANAGER (world->manager), "%s", good[i].settings);
      guint min, max;

      g_object_get (db_pool_get_config (pool), "min-connections", &min, "max-connections", &max,
                    NULL);
      g_assert_cmpuint (min, ==, good[i].min);
      g_assert_cmpuint (max, ==, good[i].max);
      end_pool (pool);
    }
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, 0);
}

static gint64
get_number (GObject *object, const GParamSpec *pspec)
{
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, pspec->value_type);
  g_object_get_property (object, pspec->name, &value);
  if (G_VALUE_HOLDS_UINT (&value))
    return g_value_get_uint (&value);
  if (G_VALUE_HOLDS_INT64 (&value))
    return g_value_get_int64 (&value);
  if (G_VALUE_HOLDS_ENUM (&value))
    return g_value_get_enum (&value);
  return g_value_get_boolean (&value);
}

/* CON-02: what the reference says, of every property there is. */
static void
defaults (World *world)
{
  static const struct
  {
    const char *name;
    gint64 value;
  } documented[] = {
    {"min-connections", 0},
    {"max-connections", 10},
    {"connection-timeout", 30 * SECOND},
    {"idle-timeout", 600 * SECOND},
    {"max-lifetime", 1800 * SECOND},
    {"lifetime-jitter", 10},
    {"max-uses", 0},
    {"validate-after-idle", 500 * MS},
    {"hand-off-after", MS},
    {"idle-order", DB_IDLE_ORDER_LIFO},
    {"reset-level", DB_RESET_DIRTY},
    {"max-waiters", 0},
    {"keepalive", 0},
    {"check-timeout", 5 * SECOND},
    {"leak-threshold", 0},
    {"fail-on-deadlock", FALSE},
    {"prepared-statements", DB_PREPARED_STATEMENTS_AUTO},
    {"statement-cache-size", 100},
    {"statement-timeout", 0},
    {"slow-acquire-threshold", 2 * SECOND},
    {"slow-query-threshold", 0},
    {"max-sql-length", 0},
    {"max-result-size", 0},
    {"lazy", FALSE},
  };
  g_autofree GParamSpec **pspecs = NULL;
  GObject *config;
  guint n_pspecs, n_known = 0;

  world->pool = g_object_new (DB_TYPE_POOL, "manager", world->manager, NULL);
  config = G_OBJECT (db_pool_get_config (world->pool));
  pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (config), &n_pspecs);
  for (guint i = 0; i < n_pspecs; i++)
    {
      for (guint n = 0; n < G_N_ELEMENTS (documented); n++)
        if (g_str_equal (documented[n].name, pspecs[i]->name))
          {
            g_assert_cmpint (get_number (config, pspecs[i]), ==, documented[n].value);
            n_known++;
          }
    }
  /* The name is made up, and there is no init-sql. */
  g_assert_cmpuint (n_known, ==, G_N_ELEMENTS (documented));
  g_assert_cmpuint (n_pspecs, ==, n_known + 2);
  g_assert_cmpstr (db_pool_get_name (world->pool), !=, "");
}

/* CON-03 */
static void
lazy (World *world)
{
  guint n_tasks = count_tasks ();
  gint64 began = g_get_monotonic_time ();
  DbPool *pool;

  fake_manager_hang (world->manager, FAKE_OPEN, TRUE);
  pool = make_pool_over (DB_CONNECTION_MANAGER (world->manager), "max-connections=5");
  assert_stats (pool, "total=0 opening=0 requests=0");
  g_assert_cmpuint (count_tasks (), ==, n_tasks);
  assert_finalized_soon (pool);
  assert_soon (g_get_monotonic_time () - began, 50 * MS);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, 0);

  fake_manager_hang (world->manager, FAKE_OPEN, FALSE);
  make_pool (world, "max-connections=5");
  caller_free (caller_start (world));
  await_stats (world->pool, "total=1 idle=1");
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, 1);
}

static gboolean
count_hook_cb (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  g_atomic_int_inc ((gint *) data);
  return TRUE;
}

typedef struct
{
  guint n;
  GError *error;
  gboolean done;
} WarmUp;

static void
warmed_up_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  WarmUp *warm_up = data;

  warm_up->n = db_pool_warm_up_finish (DB_POOL (source), result, &warm_up->error);
  warm_up->done = TRUE;
}

/* Blocking or asynchronous, as the world is. */
static guint
warm_up (World *world, guint n, GCancellable *cancellable, GError **error)
{
  WarmUp result = {0};

  if (!world->async)
    return db_pool_warm_up (world->pool, n, cancellable, error);
  db_pool_warm_up_async (world->pool, n, cancellable, warmed_up_cb, &result);
  g_assert_false (result.done);
  AWAIT (result.done);
  if (result.error != NULL)
    g_propagate_error (error, result.error);
  return result.n;
}

/* CON-04 */
static void
eager (World *world)
{
  gint n_before_acquire = 0;
  GError *error = NULL;

  make_pool (world, "min-connections=12 max-connections=15");
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, count_hook_cb, &n_before_acquire, NULL);
  g_assert_cmpuint (warm_up (world, 12, NULL, &error), ==, 12);
  g_assert_no_error (error);
  pass_time (50 * MS);
  assert_stats (world->pool, "idle=12 total=12 created=12 acquired=0 requests=0 opening=0");
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, 12);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).checks, ==, 0);
  g_assert_cmpint (g_atomic_int_get (&n_before_acquire), ==, 0);
}

/* CON-04: the first acquire makes the pool fill up to min-connections by itself. */
static void
fill_after_the_first (World *world)
{
  make_pool (world, "min-connections=5 max-connections=7");
  caller_free (caller_start (world));
  await_stats (world->pool, "idle=5 total=5 opening=0");
  pass_time (50 * MS);
  assert_stats (world->pool, "idle=5 total=5 created=5 acquired=1");
}

/* CON-05 */
static void
wait_until_ready (World *world)
{
  GError *error = NULL;
  gint64 began = g_get_monotonic_time ();

  make_pool (world, "max-connections=4 connection-timeout=60s");
  fake_manager_delay (world->manager, FAKE_OPEN, 100 * MS);
  g_assert_cmpuint (warm_up (world, 4, NULL, &error), ==, 4);
  g_assert_no_error (error);
  /* Three at a time, then the fourth. */
  assert_took (g_get_monotonic_time () - began, 200 * MS);
  began = g_get_monotonic_time ();
  g_assert_cmpuint (warm_up (world, 4, NULL, &error), ==, 4);
  assert_soon (g_get_monotonic_time () - began, 20 * MS);
  g_assert_cmpuint (warm_up (world, 0, NULL, &error), ==, 4);
  g_assert_true (db_pool_close (world->pool, 10 * SECOND, NULL, NULL));
  g_assert_cmpuint (warm_up (world, 4, NULL, &error), ==, 0);
  g_assert_error (error, DB_ERROR, DB_ERROR_CLOSED);
  g_clear_error (&error);
}

/* CON-05: the deadline. What is there is what it returns; none is an error. */
static void
wait_is_bounded (World *world)
{
  GError *error = NULL;
  gint64 began = g_get_monotonic_time ();

  make_pool (world, "max-connections=4 connection-timeout=150ms");
  fake_manager_hang (world->manager, FAKE_OPEN, TRUE);
  g_assert_cmpuint (warm_up (world, 4, NULL, &error), ==, 0);
  assert_took (g_get_monotonic_time () - began, 150 * MS);
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_clear_error (&error);
  fake_manager_hang (world->manager, FAKE_OPEN, FALSE);
  await_stats (world->pool, "opening=0");
  g_assert_cmpuint (warm_up (world, 1, NULL, &error), >=, 1);
  g_assert_no_error (error);

  db_pool_evict_all (world->pool);
  await_stats (world->pool, "total=0");
  fake_manager_delay (world->manager, FAKE_OPEN, 100 * MS);
  began = g_get_monotonic_time ();
  g_assert_cmpuint (warm_up (world, 4, NULL, &error), ==, WIDTH);
  g_assert_no_error (error);
  assert_took (g_get_monotonic_time () - began, 150 * MS);
  await_stats (world->pool, "opening=0");
}

/* CON-05: and it can be cancelled. */
static void
wait_cancelled (World *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  GError *error = NULL;

  make_pool (world, "max-connections=4 connection-timeout=60s");
  g_cancellable_cancel (cancellable);
  g_assert_cmpuint (warm_up (world, 4, cancellable, &error), ==, 0);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  await_stats (world->pool, "opening=0 lent=0");
}

/* CON-06 */
static void
parallel_but_bounded (World *world)
{
  GError *error = NULL;
  g_autoptr (GArray) times = NULL;
  const gint64 *at;

  make_pool (world, "min-connections=7 max-connections=10 connection-timeout=60s");
  fake_manager_delay (world->manager, FAKE_OPEN, 50 * MS);
  g_assert_cmpuint (warm_up (world, 7, NULL, &error), ==, 7);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).max_inside[FAKE_OPEN], ==, WIDTH);
  times = fake_manager_dup_times (world->manager, FAKE_OPEN);
  g_assert_cmpuint (times->len, ==, 7);
  at = (const gint64 *) times->data;
  for (guint i = WIDTH; i < 7; i++)
    g_assert_cmpint (at[i] - at[i - WIDTH], >=, 50 * MS);
  /* Three, three and one: they do go side by side. */
  assert_soon (at[6] - at[0], 100 * MS);
}

/* CON-07: what the database said, word for word, of a code that dbpool does not know. */
static void
fail_fast (World *world)
{
  GQuark domain = g_quark_from_static_string ("somebody-elses-error-quark");
  g_autoptr (GError) simulated = g_error_new_literal (domain, 7, "Simulated");
  g_autoptr (GError) last = NULL;
  GError *error = NULL;
  gint64 began = g_get_monotonic_time ();

  make_pool (world, "min-connections=1 max-connections=2 connection-timeout=60s");
  fake_manager_fail (world->manager, FAKE_OPEN, G_MAXUINT, simulated);
  g_assert_cmpuint (warm_up (world, 1, NULL, &error), ==, 0);
  assert_soon (g_get_monotonic_time () - began, 2 * SECOND);
  g_assert_error (error, domain, 7);
  g_assert_cmpstr (error->message, ==, "Simulated");
  g_clear_error (&error);
  assert_stats (world->pool, "total=0");
  last = db_pool_dup_open_error (world->pool);
  g_assert_error (last, domain, 7);

  fake_manager_fail (world->manager, FAKE_OPEN, 0, NULL);
  g_assert_cmpuint (warm_up (world, 1, NULL, &error), ==, 1);
  g_assert_no_error (error);
  g_assert_null (db_pool_dup_open_error (world->pool));
}

static gboolean
first_query_fails_cb (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  const char *sql = g_atomic_int_get ((gint *) data) ? "fail" : "SELECT 1";

  return db_connection_execute (DB_CONNECTION (subject), sql, NULL, NULL, error) >= 0;
}

/* CON-07: the session opens, and the first statement on it fails. */
static void
fail_fast_in_hook (World *world)
{
  gint fails = TRUE;
  GError *error = NULL;

  make_pool (world, "max-connections=2 connection-timeout=60s");
  db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT, first_query_fails_cb, &fails, NULL);
  g_assert_cmpuint (warm_up (world, 1, NULL, &error), ==, 0);
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_assert_cmpstr (db_error_get_sqlstate (error), ==, "42601");
  g_clear_error (&error);
  await_stats (world->pool, "total=0");
  g_atomic_int_set (&fails, FALSE);
  g_assert_cmpuint (warm_up (world, 1, NULL, &error), ==, 1);
  g_assert_no_error (error);
}

/* CON-08 */
static void
failed_start_is_no_end (World *world)
{
  g_autoptr (GError) refused = transient_error ();
  GError *error = NULL;
  Caller *caller;

  make_pool (world, "min-connections=1 max-connections=1 connection-timeout=200ms");
  fake_manager_fail (world->manager, FAKE_OPEN, G_MAXUINT, refused);
  g_assert_cmpuint (warm_up (world, 1, NULL, &error), ==, 0);
  g_assert_error (error, refused->domain, refused->code);
  g_clear_error (&error);
  assert_stats (world->pool, "idle=0 lent=0");
  fake_manager_fail (world->manager, FAKE_OPEN, 0, NULL);
  /* The next attempt is at most one step of the back-off away. */
  caller = caller_start_full (world, 60 * SECOND, NULL);
  caller_wait_connection (caller);
  assert_soon (caller_get_wait (caller), 800 * MS);
  g_assert_cmpint (db_connection_execute (caller->connection, "SELECT 1", NULL, NULL, NULL), >=, 0);
  caller_free (caller);
}

/* CON-10: closed is closed. */
static void
closed_for_good (World *world)
{
  GError *error = NULL;
  Caller *caller;

  make_pool (world, "max-connections=1 name=shut");
  caller_free (caller_start (world));
  g_assert_true (db_pool_close (world->pool, 10 * SECOND, NULL, &error));
  g_assert_true (db_pool_close (world->pool, 10 * SECOND, NULL, &error));
  g_assert_no_error (error);
  for (guint i = 0; i < 3; i++)
    {
      caller = caller_start_full (world, i == 0 ? 0 : -1, NULL);
      caller_wait_error (caller, DB_ERROR, DB_ERROR_CLOSED);
      g_assert_nonnull (strstr (caller->error->message, "shut"));
      assert_soon (caller_get_wait (caller), 20 * MS);
      caller_free (caller);
    }
  db_pool_resume (world->pool);
  db_pool_evict_all (world->pool);
  g_assert_true (db_pool_is_closed (world->pool));
  assert_stats (world->pool, "total=0 refused=3 created=1");
}

/* CON-11: settings of a pool at work. */
static void
changed_timeout (World *world)
{
  DbConnection *held;
  Caller *before, *after;

  make_pool (world, "max-connections=1 connection-timeout=500ms");
  held = acquire (world->pool);
  before = caller_start_waiting (world);
  g_object_set (db_pool_get_config (world->pool), "connection-timeout", 100 * MS, NULL);
  after = caller_start (world);
  caller_wait_error (after, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (after), 100 * MS);
  caller_wait_error (before, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (before), 500 * MS);
  caller_free (before);
  caller_free (after);
  g_object_unref (held);
}

/* CON-11: what cannot change says so. */
static void
sealed (World *world)
{
  GObjectClass *klass = g_type_class_ref (DB_TYPE_POOL);
  g_autofree GParamSpec **pspecs = NULL;
  g_autoptr (FakeManager) other = fake_manager_new ();
  DbPoolConfig *config = make_config ("max-connections=3");
  guint n, max;

  pspecs = g_object_class_list_properties (klass, &n);
  g_assert_cmpuint (n, >, 0);
  for (guint i = 0; i < n; i++)
    g_assert_true (!(pspecs[i]->flags & G_PARAM_WRITABLE) ||
                   (pspecs[i]->flags & G_PARAM_CONSTRUCT_ONLY));
  g_type_class_unref (klass);

  world->pool = db_pool_new (DB_CONNECTION_MANAGER (world->manager), config, NULL);
  g_test_expect_message ("GLib-GObject", G_LOG_LEVEL_WARNING, "*manager*construct*");
  g_object_set (world->pool, "manager", other, NULL);
  g_test_assert_expected_messages ();
  g_assert_true (db_pool_get_manager (world->pool) == (DbConnectionManager *) world->manager);

  /* The pool has a copy. */
  g_object_set (config, "max-connections", 9, NULL);
  g_object_get (db_pool_get_config (world->pool), "max-connections", &max, NULL);
  g_assert_cmpuint (max, ==, 3);
  g_object_unref (config);
}

/* CON-12 */
static void
contradictions (World *world)
{
  static const char *const refused[] = {
    "idle-timeout=2s max-lifetime=1s",
    "keepalive=1s max-lifetime=1s",
    "keepalive=2s max-lifetime=1s",
  };
  static const char *const negative[] = {
    "pool_idle_timeout=-1s",      "pool_max_lifetime=-1s",    "pool_connection_timeout=-1s",
    "pool_keepalive=-1s",         "pool_check_timeout=-1s",   "pool_leak_threshold=-1s",
    "pool_connection_timeout=0s", "pool_connection_timeout=0"};
  GError *error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_autoptr (DbPoolConfig) config = make_config ("%s", refused[i]);

      g_assert_null (db_pool_new (DB_CONNECTION_MANAGER (world->manager), config, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      g_clear_error (&error);
    }
  for (guint i = 0; i < G_N_ELEMENTS (negative); i++)
    {
      g_assert_null (db_pool_config_new_from_uri_query (negative[i], &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      g_clear_error (&error);
    }
}

/* CON-12: a pool that is told so at work, where nothing can be refused, does not open and close in
 * a loop. */
static void
contradictions_at_work (World *world)
{
  make_pool (world, "min-connections=1 max-connections=2 connection-timeout=60s");
  caller_free (caller_start (world));
  g_object_set (db_pool_get_config (world->pool), "max-lifetime", 10 * SECOND, "idle-timeout",
                20 * SECOND, "keepalive", 15 * SECOND, "leak-threshold", 60 * SECOND, NULL);
  g_object_set (db_pool_get_config (world->pool), "idle-timeout", MS, NULL);
  pass_time (300 * MS);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, <=, 2);
  caller_free (caller_start (world));
  await_stats (world->pool, "lent=0 waiting=0");
}

/* CON-13 */
static void
settings_in_a_uri (World *world)
{
  static const char *const bad[] = {
    "pool_max_connections=abc",
    "pool_max_connections=",
    "pool_check_timeout=250",
    "pool_check_timeout=abc",
    "pool_max_conns=4",
    "max_connections=4",
    "pool_max_connections=4&pool_max_connections=5",
    "pool_max_connections=99999999999999999999",
  };
  GError *error = NULL;
  g_autoptr (DbPoolConfig) config =
    db_pool_config_new_from_uri_query ("pool_max_connections=42&pool_check_timeout=250ms", &error);
  guint max;
  gint64 timeout;

  g_assert_no_error (error);
  g_object_get (config, "max-connections", &max, "check-timeout", &timeout, NULL);
  g_assert_cmpuint (max, ==, 42);
  g_assert_cmpint (timeout, ==, 250 * MS);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_null (db_pool_config_new_from_uri_query (bad[i], &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
      g_clear_error (&error);
    }
}

/* Resident memory, in KiB. */
static gint64
resident (void)
{
  g_autofree char *text = NULL;
  gint64 pages[2] = {0};

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  g_assert_cmpint (sscanf (text, "%" G_GINT64_FORMAT " %" G_GINT64_FORMAT, &pages[0], &pages[1]),
                   ==, 2);
  return pages[1] * 4;
}

/* CON-14 */
static void
huge_maximum (World *world)
{
  gint64 before;

  /* What the first pool of a process costs is not the maximum's. */
  end_pool (make_pool_over (DB_CONNECTION_MANAGER (world->manager), "max-connections=1"));
  before = resident ();
  make_pool (world, "max-connections=%d connection-timeout=60s", G_MAXINT);
  for (guint i = 0; i < 3; i++)
    caller_free (caller_start (world));
  assert_stats (world->pool, "total=1 idle=1 acquired=3");
  if (scenario_factor () == 1)
    g_assert_cmpint (resident () - before, <, 1024);
  g_object_set (db_pool_get_config (world->pool), "min-connections", 2, NULL);
  await_stats (world->pool, "total=2");
}

#ifdef HAVE_POSTGRES
static void
append_properties (GObject *object, GString *text)
{
  g_autofree GParamSpec **pspecs = NULL;
  guint n;

  pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (object), &n);
  for (guint i = 0; i < n; i++)
    {
      g_auto (GValue) value = G_VALUE_INIT;
      g_autofree char *contents = NULL;

      if (!(pspecs[i]->flags & G_PARAM_READABLE))
        continue;
      g_value_init (&value, pspecs[i]->value_type);
      g_object_get_property (object, pspecs[i]->name, &value);
      contents = g_strdup_value_contents (&value);
      g_string_append_printf (text, "%s=%s\n", pspecs[i]->name, contents);
    }
}

/* All that a pool that cannot connect says, with what its objects say of themselves. */
static void
fail_to_connect (const char *uri, GString *text)
{
  g_autoptr (DbDatabaseConfig) config = NULL;
  g_autoptr (DbPostgresManager) manager = NULL;
  g_autofree char *dump = NULL;
  g_autofree char *described = NULL;
  GError *error = NULL;
  DbPool *pool;

  config = db_database_config_new_from_uri (uri, &error);
  if (config == NULL)
    {
      g_string_append_printf (text, "%s\n", error->message);
      g_clear_error (&error);
      return;
    }
  manager = db_postgres_manager_new (config);
  pool = make_pool_over (DB_CONNECTION_MANAGER (manager), "max-connections=1 "
                                                          "connection-timeout=100ms");
  for (guint i = 0; i < 2; i++)
    {
      g_assert_null (db_pool_acquire (pool, NULL, &error));
      g_string_append_printf (text, "%s\n", error->message);
      g_clear_error (&error);
    }
  dump = db_pool_dump (pool);
  described = db_connection_manager_describe (DB_CONNECTION_MANAGER (manager));
  g_string_append_printf (text, "%s\n%s\n", dump, described != NULL ? described : "");
  append_properties (G_OBJECT (config), text);
  append_properties (G_OBJECT (manager), text);
  append_properties (G_OBJECT (pool), text);
  db_pool_close (pool, 10 * SECOND, NULL, NULL);
  assert_finalized_soon (pool);
}

/* CON-15: port 1 of this machine is nobody's. */
static void
secrets (World *world)
{
  static const char *const uris[] = {
    "postgresql://alice:SECRET@127.0.0.1:1/db",
    "postgres://alice:SECRET@127.0.0.1:1/db?sslmode=disable",
    "postgresql://alice:S%45CRET@127.0.0.1:1/db",
    "postgresql://127.0.0.1:1/db?user=alice&password=SECRET",
    "postgresql://alice@127.0.0.1:1/db?password=SECRET&connect_timeout=2",
    "postgresql://alice@127.0.0.1:1/db?sslpassword=SECRET&sslmode=prefer",
    "postgresql://alice:SECRET@127.0.0.1:1,127.0.0.1:1/db",
    "postgresql://alice:SECRET@127.0.0.1:wrong/db",
    "postgresql://alice:SECRET@127.0.0.1:1/db?no_such_setting=SECRET",
    "host=127.0.0.1 port=1 user=alice password=SECRET",
  };

  for (guint i = 0; i < G_N_ELEMENTS (uris); i++)
    {
      g_autoptr (GString) text = g_string_new (NULL);
      g_autofree char *logged = NULL;

      log_begin ();
      fail_to_connect (uris[i], text);
      logged = log_dup_text (G_LOG_LEVEL_MASK);
      log_end ();
      g_string_append (text, logged);
      if (strstr (text->str, "SECRET") != NULL || strstr (text->str, "S%45CRET") != NULL)
        g_error ("%s shows its password:\n%s", uris[i], text->str);
      if (i < 7)
        {
          g_assert_nonnull (strstr (text->str, "127.0.0.1"));
          g_assert_nonnull (strstr (text->str, "alice"));
        }
    }
}
#endif

typedef struct
{
  gint n_calls;
  gint fails;
} Provider;

static gboolean
provide_cb (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  Provider *provider = data;

  g_atomic_int_inc (&provider->n_calls);
  if (!g_atomic_int_get (&provider->fails))
    return TRUE;
  g_set_error_literal (error, DB_ERROR, DB_ERROR_CONNECTION, "the vault is sealed");
  return FALSE;
}

/* CON-16: asked once for each session; when it fails, not in a loop. */
static void
provider (World *world)
{
  Provider provider = {0};
  GError *error = NULL;
  Caller *caller;

  make_pool (world, "min-connections=2 max-connections=3 connection-timeout=500ms");
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_CONNECT, provide_cb, &provider, NULL);
  g_assert_cmpuint (warm_up (world, 2, NULL, &error), ==, 2);
  g_assert_cmpint (g_atomic_int_get (&provider.n_calls), ==, 2);
  for (guint i = 0; i < 5; i++)
    caller_free (caller_start (world));
  g_assert_cmpint (g_atomic_int_get (&provider.n_calls), ==, 2);

  g_atomic_int_set (&provider.fails, TRUE);
  db_pool_evict_all (world->pool);
  caller = caller_start (world);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 500 * MS);
  g_assert_nonnull (strstr (caller->error->message, "the vault is sealed"));
  caller_free (caller);
  g_assert_cmpint (g_atomic_int_get (&provider.n_calls), <=, 2 + 20);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, 2);

  g_atomic_int_set (&provider.fails, FALSE);
  caller = caller_start_full (world, 60 * SECOND, NULL);
  caller_wait_connection (caller);
  caller_free (caller);
  /* Nobody is asked any more when there are as many as there are to be. */
  await_stats (world->pool, "idle=2 opening=0 total=2");
}

/* CON-17 */
static void
pre_connect (World *world)
{
  g_autoptr (GError) wrong = permanent_error ();
  GError *error = NULL;
  Caller *caller;

  make_pool (world, "max-connections=2 connection-timeout=60s");
  fake_manager_fail (world->manager, FAKE_OPEN, 1, wrong);
  g_assert_cmpuint (warm_up (world, 1, NULL, &error), ==, 0);
  g_assert_error (error, wrong->domain, wrong->code);
  g_clear_error (&error);

  g_assert_cmpuint (warm_up (world, 1, NULL, &error), ==, 1);
  assert_stats (world->pool, "idle=1 total=1");
  caller = caller_start (world);
  caller_wait_connection (caller);
  assert_stats (world->pool, "waited=0 acquired=1 lent=1");

  /* Lent ones count, and max-connections is the end of it. */
  g_assert_cmpuint (warm_up (world, 1, NULL, &error), ==, 1);
  g_assert_cmpuint (warm_up (world, 5, NULL, &error), ==, 2);
  g_assert_no_error (error);
  assert_stats (world->pool, "total=2 idle=1 lent=1 created=2");
  caller_free (caller);
}

static void
add_all (void)
{
  scenario_add ("construction/impossible-sizes", impossible_sizes);
  scenario_add ("construction/possible-sizes", possible_sizes);
  scenario_add ("construction/defaults", defaults);
  scenario_add_both ("construction/lazy", lazy);
  scenario_add_both ("construction/eager", eager);
  scenario_add_both ("construction/fill-after-the-first", fill_after_the_first);
  scenario_add_both ("construction/ready/waits", wait_until_ready);
  scenario_add_both ("construction/ready/is-bounded", wait_is_bounded);
  scenario_add_both ("construction/ready/cancelled", wait_cancelled);
  scenario_add_both ("construction/parallel-but-bounded", parallel_but_bounded);
  scenario_add_both ("construction/fail-fast/open", fail_fast);
  scenario_add_both ("construction/fail-fast/hook", fail_fast_in_hook);
  scenario_add_both ("construction/failed-start-is-no-end", failed_start_is_no_end);
  scenario_add_both ("construction/closed-for-good", closed_for_good);
  scenario_add_both ("construction/changed-timeout", changed_timeout);
  scenario_add ("construction/sealed", sealed);
  scenario_add ("construction/contradictions/refused", contradictions);
  scenario_add_both ("construction/contradictions/at-work", contradictions_at_work);
  scenario_add ("construction/settings-in-a-uri", settings_in_a_uri);
  scenario_add_both ("construction/huge-maximum", huge_maximum);
#ifdef HAVE_POSTGRES
  scenario_add ("construction/secrets", secrets);
#endif
  scenario_add_both ("construction/provider", provider);
  scenario_add_both ("construction/pre-connect", pre_connect);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
