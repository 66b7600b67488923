/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The harness of the scenarios: pools, statistics, waiting, setting up and tearing down; see the
 * header. Its one lock, the_lock, is that of the warnings that were heard. */

#include "config.h"

#include "db-error-private.h"
#include "db-lock-private.h"
#include "db-pool-stats-private.h"
#include "log-capture.h"
#include "scenario.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a machine that does other things as well may add to any time, natively. */
#define SLACK (1500 * MS)
/* A scenario that takes longer hangs. */
#define WATCHDOG 100

typedef enum
{
  MODE_ONCE,
  MODE_SYNC,
  MODE_ASYNC,
} Mode;

typedef struct
{
  char *path;
  ScenarioFunc func;
  Mode mode;
} Scenario;

static gboolean thorough;
static const char *running; /* for the watchdog */

gboolean
scenario_is_thorough (void)
{
  return thorough;
}

gint64
scenario_factor (void)
{
#ifdef DB_TSAN
  return 10;
#elif defined(__SANITIZE_ADDRESS__)
  return 3;
#else
  return 1;
#endif
}

/* Pools. */

static char *
to_query (const char *settings)
{
  g_auto (GStrv) words = g_strsplit (settings, " ", -1);
  GString *query = g_string_new (NULL);

  for (guint i = 0; words[i] != NULL; i++)
    {
      char *equals = strchr (words[i], '=');

      if (equals == NULL)
        continue;
      for (char *c = words[i]; c < equals; c++)
        *c = *c == '-' ? '_' : *c;
      g_string_append_printf (query, "%spool_%s", query->len > 0 ? "&" : "", words[i]);
    }
  return g_string_free (query, FALSE);
}

static DbPoolConfig *
parse_config (const char *settings, va_list args)
{
  g_autofree char *formatted = g_strdup_vprintf (settings, args);
  g_autofree char *all = NULL;
  g_autofree char *query = NULL;
  DbPoolConfig *config;
  GError *error = NULL;

  /* A query names each setting once. */
  all = strstr (formatted, "validate-after-idle") != NULL
          ? g_strdup (formatted)
          : g_strdup_printf ("validate-after-idle=never %s", formatted);
  query = to_query (all);
  config = db_pool_config_new_from_uri_query (query, &error);
  g_assert_no_error (error);
  return config;
}

DbPoolConfig *
make_config (const char *settings, ...)
{
  DbPoolConfig *config;
  va_list args;

  va_start (args, settings);
  config = parse_config (settings, args);
  va_end (args);
  return config;
}

DbPool *
make_pool (World *world, const char *settings, ...)
{
  g_autoptr (DbPoolConfig) config = NULL;
  GError *error = NULL;
  va_list args;

  g_assert_null (world->pool);
  va_start (args, settings);
  config = parse_config (settings, args);
  va_end (args);
  world->pool = db_pool_new (DB_CONNECTION_MANAGER (world->manager), config, &error);
  g_assert_no_error (error);
  g_object_get (config, "max-connections", &world->max_live, NULL);
  return world->pool;
}

DbPool *
make_pool_over (DbConnectionManager *manager, const char *settings, ...)
{
  g_autoptr (DbPoolConfig) config = NULL;
  GError *error = NULL;
  DbPool *pool;
  va_list args;

  va_start (args, settings);
  config = parse_config (settings, args);
  va_end (args);
  pool = db_pool_new (manager, config, &error);
  g_assert_no_error (error);
  return pool;
}

void
assert_finalized_soon (gpointer object)
{
  GWeakRef weak;
  GObject *left;

  g_weak_ref_init (&weak, object);
  g_object_unref (object);
  while ((left = g_weak_ref_get (&weak)) != NULL)
    {
      g_object_unref (left);
      scenario_pause ();
    }
  g_weak_ref_clear (&weak);
}

void
end_pool (DbPool *pool)
{
  GError *error = NULL;

  assert_books (pool);
  db_pool_close (pool, 10 * SECOND, NULL, &error);
  g_assert_no_error (error);
  assert_stats (pool, "total=0 waiting=0");
  assert_books (pool);
  assert_finalized_soon (pool);
}

DbConnection *
acquire (DbPool *pool)
{
  GError *error = NULL;
  DbConnection *connection = db_pool_acquire_full (pool, 0, -1, NULL, NULL, &error);

  g_assert_no_error (error);
  g_assert_true (DB_IS_CONNECTION (connection));
  return connection;
}

GError *
transient_error (void)
{
  GError *error = g_error_new_literal (DB_ERROR, DB_ERROR_CONNECTION, "simulated refusal");

  g_assert_true (db_error_is_transient (error));
  return error;
}

GError *
permanent_error (void)
{
  GError *error = g_error_new_literal (DB_ERROR, DB_ERROR_AUTHENTICATION, "simulated password");

  g_assert_false (db_error_is_transient (error));
  return error;
}

/* Statistics. */

static guint64
get_dropped (const DbPoolStats *stats, const char *reason)
{
  g_autoptr (GEnumClass) reasons = g_type_class_ref (DB_TYPE_DROP_REASON);
  guint64 sum = 0;

  if (*reason != '\0')
    {
      const GEnumValue *value = g_enum_get_value_by_nick (reasons, reason + 1);

      g_assert_nonnull (value);
      return db_pool_stats_get_dropped (stats, value->value);
    }
  for (guint i = 0; i < reasons->n_values; i++)
    sum += db_pool_stats_get_dropped (stats, reasons->values[i].value);
  return sum;
}

static guint64
get_gauge (const DbPoolStats *stats, const char *name, gboolean *found)
{
  const struct
  {
    const char *name;
    guint value;
  } gauges[] = {
    {"total", db_pool_stats_get_total (stats)},
    {"idle", db_pool_stats_get_idle (stats)},
    {"lent", db_pool_stats_get_lent (stats)},
    {"opening", db_pool_stats_get_opening (stats)},
    {"busy", db_pool_stats_get_busy (stats)},
    {"dedicated", stats->dedicated},
    {"closing", stats->closing},
    {"waiting", db_pool_stats_get_waiting (stats)},
    {"undelivered", stats->undelivered},
  };

  for (guint i = 0; i < G_N_ELEMENTS (gauges); i++)
    if (g_str_equal (gauges[i].name, name))
      {
        *found = TRUE;
        return gauges[i].value;
      }
  *found = FALSE;
  return 0;
}

static guint64
get_number (const DbPoolStats *stats, const char *name)
{
  const struct
  {
    const char *name;
    guint64 value;
  } counters[] = {
    {"requests", db_pool_stats_get_requests (stats)},
    {"acquired", db_pool_stats_get_acquired (stats)},
    {"waited", db_pool_stats_get_waited (stats)},
    {"timeouts", db_pool_stats_get_timeouts (stats)},
    {"cancelled", db_pool_stats_get_cancelled (stats)},
    {"errors", db_pool_stats_get_errors (stats)},
    {"refused", db_pool_stats_get_refused (stats)},
    {"created", db_pool_stats_get_created (stats)},
    {"create-failed", db_pool_stats_get_create_failed (stats)},
    {"detached", stats->detached},
    {"finalized", stats->finalized},
    {"leaks", stats->leaks},
    {"deadlocks", stats->deadlocks},
    {"events-dropped", stats->events_dropped},
  };
  gboolean found;
  guint64 gauge = get_gauge (stats, name, &found);

  if (found)
    return gauge;
  if (g_str_has_prefix (name, "dropped"))
    return get_dropped (stats, name + strlen ("dropped"));
  for (guint i = 0; i < G_N_ELEMENTS (counters); i++)
    if (g_str_equal (counters[i].name, name))
      return counters[i].value;
  g_error ("no statistic is called %s", name);
}

/* The first difference, or NULL. */
static char *
compare_stats (DbPool *pool, const char *expected)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);
  g_auto (GStrv) words = g_strsplit (expected, " ", -1);

  for (guint i = 0; words[i] != NULL; i++)
    {
      char *equals = strchr (words[i], '=');
      guint64 is;

      if (equals == NULL)
        continue;
      *equals = '\0';
      is = get_number (stats, words[i]);
      if (is != g_ascii_strtoull (equals + 1, NULL, 10))
        {
          g_autofree char *all = db_pool_stats_to_string (stats);

          return g_strdup_printf ("%s is %" G_GUINT64_FORMAT ", not %s (%s)", words[i], is,
                                  equals + 1, all);
        }
    }
  return NULL;
}

gboolean
stats_are (DbPool *pool, const char *expected)
{
  g_autofree char *difference = compare_stats (pool, expected);

  return difference == NULL;
}

void
assert_stats_at (const char *place, DbPool *pool, const char *expected, ...)
{
  g_autofree char *formatted = NULL;
  g_autofree char *difference = NULL;
  va_list args;

  va_start (args, expected);
  formatted = g_strdup_vprintf (expected, args);
  va_end (args);
  difference = compare_stats (pool, formatted);
  if (difference != NULL)
    g_error ("%s: %s", place, difference);
}

void
await_stats_at (const char *place, DbPool *pool, const char *expected, ...)
{
  gint64 until = g_get_monotonic_time () + 20 * SECOND * scenario_factor ();
  g_autofree char *formatted = NULL;
  va_list args;

  va_start (args, expected);
  formatted = g_strdup_vprintf (expected, args);
  va_end (args);
  for (;;)
    {
      g_autofree char *difference = compare_stats (pool, formatted);

      if (difference == NULL)
        return;
      if (g_get_monotonic_time () > until)
        g_error ("%s: still %s", place, difference);
      scenario_pause ();
    }
}

void
assert_books (DbPool *pool)
{
  gint64 until = g_get_monotonic_time () + 100 * MS + SLACK * scenario_factor ();
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  g_assert_cmpuint (db_pool_stats_get_total (stats), ==,
                    db_pool_stats_get_idle (stats) + db_pool_stats_get_lent (stats) +
                      db_pool_stats_get_opening (stats) + db_pool_stats_get_busy (stats) +
                      stats->dedicated);
  g_assert_cmpuint (db_pool_stats_get_requests (stats), ==,
                    db_pool_stats_get_acquired (stats) + db_pool_stats_get_timeouts (stats) +
                      db_pool_stats_get_cancelled (stats) + db_pool_stats_get_errors (stats) +
                      db_pool_stats_get_refused (stats) + db_pool_stats_get_waiting (stats) +
                      stats->undelivered);
  /* A session counts as dropped from when its close begins. */
  g_assert_cmpuint (db_pool_stats_get_created (stats), ==,
                    stats->idle + stats->lent + stats->checking + stats->resetting +
                      get_dropped (stats, "") + stats->detached);
  g_assert_cmpuint (db_pool_stats_get_total (stats), <, G_MAXINT);
  g_assert_cmpuint (db_pool_stats_get_waiting (stats), <, G_MAXINT);

  while (stats->waiting > 0 && stats->idle > 0)
    {
      if (g_get_monotonic_time () > until)
        g_error ("%u callers wait although %u sessions are idle", stats->waiting, stats->idle);
      scenario_pause ();
      db_pool_stats_free (stats);
      stats = db_pool_get_stats (pool);
    }
}

/* Waiting. */

void
scenario_pause (void)
{
  if (!g_main_context_iteration (NULL, FALSE))
    g_usleep (200);
}

void
pass_time (gint64 duration)
{
  gint64 until = g_get_monotonic_time () + duration;

  while (g_get_monotonic_time () < until)
    scenario_pause ();
}

void
assert_took_at (const char *place, gint64 took, gint64 expected)
{
  if (took < expected)
    g_error ("%s: %" G_GINT64_FORMAT " µs too early", place, expected - took);
  if (took > expected + SLACK * scenario_factor ())
    g_error ("%s: %" G_GINT64_FORMAT " µs too late", place, took - expected);
}

void
assert_soon_at (const char *place, gint64 took, gint64 limit)
{
  if (took > limit + SLACK * scenario_factor ())
    g_error ("%s: took %" G_GINT64_FORMAT " µs instead of %" G_GINT64_FORMAT " at most", place,
             took, limit);
}

/* Warnings. */

void
warnings_begin (void)
{
  log_begin ();
}

guint
warnings_count (void)
{
  g_autoptr (GPtrArray) all = log_dup (NULL);
  guint n = 0;

  for (guint i = 0; i < all->len; i++)
    n += atoi (log_get (g_ptr_array_index (all, i), "LEVEL")) == G_LOG_LEVEL_WARNING;
  return n;
}

char *
warnings_dup_text (void)
{
  return log_dup_text (G_LOG_LEVEL_WARNING);
}

guint
warnings_end (void)
{
  guint n = warnings_count ();

  log_end ();
  return n;
}

/* Setting up and tearing down. */

static guint
count_entries (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  while (dir != NULL && g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

/* Whether a thread of dbpool's is left: the worker has its name, the jobs that of GLib's pools. */
static gboolean
worker_is_left (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_strdup_printf ("/proc/self/task/%s/comm", name);
      g_autofree char *comm = NULL;

      if (g_file_get_contents (path, &comm, NULL, NULL) && g_str_has_prefix (comm, "dbpool"))
        return TRUE;
    }
  return FALSE;
}

static void
set_up (World *world, gboolean async)
{
  *world = (World){.async = async};
  world->n_descriptors = count_entries ("/proc/self/fd");
  world->manager = fake_manager_new ();
}

/* Everything is back, and nothing is left. */
static void
tear_down (World *world)
{
  FakeLedger ledger;

  g_assert_cmpint (world->n_callers, ==, 0);
  if (world->pool != NULL)
    end_pool (world->pool);
  if (world->loop != NULL)
    loop_free (world->loop);
  AWAIT (fake_manager_get_ledger (world->manager).live == 0);
  ledger = fake_manager_get_ledger (world->manager);
  g_assert_cmpuint (ledger.opened, ==, ledger.closed);
  for (guint i = 0; i < FAKE_N_GATES; i++)
    g_assert_cmpuint (ledger.inside[i], ==, 0);
  if (world->max_live > 0)
    g_assert_cmpuint (ledger.max_live, <=, world->max_live);
  assert_finalized_soon (world->manager);
  AWAIT (!worker_is_left ());
#ifndef DB_TSAN /* which opens a file for its reports */
  AWAIT (count_entries ("/proc/self/fd") <= world->n_descriptors);
#endif
}

static void
alarm_cb (int number)
{
  static const char text[] = "\nthe watchdog ends: ";
  G_GNUC_UNUSED gssize n;

  n = write (STDERR_FILENO, text, sizeof text - 1);
  n = write (STDERR_FILENO, running, strlen (running));
  n = write (STDERR_FILENO, "\n", 1);
  abort ();
}

static void
run_scenario (gconstpointer data)
{
  const Scenario *scenario = data;
  World world;

  running = scenario->path;
  alarm ((guint) (WATCHDOG * scenario_factor () * (thorough ? 20 : 1)));
  set_up (&world, scenario->mode == MODE_ASYNC);
  scenario->func (&world);
  tear_down (&world);
  alarm (0);
}

static void
scenario_free (gpointer data)
{
  Scenario *scenario = data;

  g_free (scenario->path);
  g_free (scenario);
}

static void
add (const char *path, ScenarioFunc func, Mode mode)
{
  static const char *const prefixes[] = {"", "/sync", "/async"};
  Scenario *scenario = g_new (Scenario, 1);

  scenario->path = g_strdup_printf ("%s/%s", prefixes[mode], path);
  scenario->func = func;
  scenario->mode = mode;
  g_test_add_data_func_full (scenario->path, scenario, run_scenario, scenario_free);
}

void
scenario_add_both (const char *path, ScenarioFunc func)
{
  add (path, func, MODE_SYNC);
  add (path, func, MODE_ASYNC);
}

void
scenario_add (const char *path, ScenarioFunc func)
{
  add (path, func, MODE_ONCE);
}

void
scenario_add_async (const char *path, ScenarioFunc func)
{
  add (path, func, MODE_ASYNC);
}

static void
take_arguments (int *argc, char **argv)
{
  int n = 1;

  for (int i = 1; i < *argc; i++)
    if (g_str_equal (argv[i], "--thorough"))
      thorough = TRUE;
    else
      argv[n++] = argv[i];
  argv[n] = NULL;
  *argc = n;
}

int
scenario_main (int argc, char **argv, void (*add_all) (void))
{
  take_arguments (&argc, argv);
  g_test_init (&argc, &argv, NULL);
  signal (SIGALRM, alarm_cb);
  /* What GLib makes once, such as its worker and its descriptor, is no leak. */
  g_main_context_iteration (NULL, FALSE);
  g_type_ensure (G_TYPE_TASK);
  add_all ();
  return g_test_run ();
}
