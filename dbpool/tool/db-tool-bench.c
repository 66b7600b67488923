/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* "dbpool bench": the command line, the conductor, and the main loop with its signals. Whatever
 * happens, the conductor goes on to the end, so that the tables are dropped: the first signal only
 * stops the clients, the second one also what they are doing, and only the third leaves the tables
 * behind. */

#include "config.h"

#include "db-tool-bench-private.h"

#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How long opening the first session may take. */
#define OPEN_TIMEOUT (10 * G_TIME_SPAN_SECOND)

#define MAX_CLIENTS 10000
#define MAX_THREADS 1000
#define MAX_ACCOUNTS 10000000

gint64
bench_now (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

gboolean
bench_is_stopped (Bench *self)
{
  return g_atomic_int_get (&self->stop);
}

void
bench_pause (Bench *self, gint64 microseconds)
{
  const gint64 until = g_get_monotonic_time () + microseconds;

  db_lock_lock (&self->lock);
  while (!bench_is_stopped (self) && db_cond_wait_until (&self->cond, &self->lock, until))
    ;
  db_lock_unlock (&self->lock);
}

static void
stop (Bench *self)
{
  db_lock_lock (&self->lock);
  g_atomic_int_set (&self->stop, TRUE);
  db_cond_broadcast (&self->cond);
  db_lock_unlock (&self->lock);
}

void
bench_count_done (BenchClient *client, gint64 asked, gint64 acquired, gint64 returned)
{
  client->tally.done++;
  db_histogram_record (&client->tally.wait, acquired - asked);
  db_histogram_record (&client->tally.total, returned - asked);
  g_atomic_int_inc (&client->bench->n_done);
}

/* What was cancelled because of a signal is no error. */
void
bench_count_error (BenchClient *client, const GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) &&
      g_cancellable_is_cancelled (client->bench->interrupted))
    return;
  client->tally.errors++;
  if (client->tally.first_error == NULL)
    client->tally.first_error = g_strdup (error->message);
}

static void
run_threads (Bench *self, BenchClient *clients)
{
  g_autofree GThread **threads = g_new0 (GThread *, self->n_clients);

  for (guint i = 0; i < self->n_clients; i++)
    threads[i] = g_thread_new ("client", bench_client_thread, &clients[i]);
  bench_pause (self, self->duration);
  stop (self);
  for (guint i = 0; i < self->n_clients; i++)
    g_thread_join (threads[i]);
}

/* Returns how long it took, in seconds. */
static double
run_clients (Bench *self, BenchTally *sum)
{
  BenchClient *clients = g_new0 (BenchClient, self->n_clients);
  gint64 took;

  for (guint i = 0; i < self->n_clients; i++)
    {
      clients[i].bench = self;
      clients[i].rand = g_rand_new ();
    }
  db_lock_lock (&self->lock);
  self->started = g_get_monotonic_time ();
  db_lock_unlock (&self->lock);
  g_atomic_int_set (&self->running, TRUE);
  if (self->mode == BENCH_ASYNC)
    bench_run_async (self, clients);
  else
    run_threads (self, clients);
  g_atomic_int_set (&self->running, FALSE);
  took = g_get_monotonic_time () - self->started;

  for (guint i = 0; i < self->n_clients; i++)
    {
      BenchTally *tally = &clients[i].tally;

      sum->done += tally->done;
      sum->retries += tally->retries;
      sum->errors += tally->errors;
      if (sum->first_error == NULL)
        sum->first_error = g_steal_pointer (&tally->first_error);
      g_free (tally->first_error);
      db_histogram_add (&sum->wait, &tally->wait);
      db_histogram_add (&sum->total, &tally->total);
      db_histogram_clear (&tally->wait);
      db_histogram_clear (&tally->total);
      g_rand_free (clients[i].rand);
    }
  g_free (clients);
  return (double) took / G_TIME_SPAN_SECOND;
}

static gboolean
get_interrupted (Bench *self)
{
  return g_cancellable_is_cancelled (self->interrupted);
}

static int
run_workload (Bench *self)
{
  g_autofree BenchTally *tally = g_new0 (BenchTally, 1);
  g_autoptr (GError) error = NULL;
  g_autofree char *problem = NULL;
  gboolean ok = TRUE;
  gint64 n_transfers, sum = 0;
  double seconds;

  if (!bench_create_tables (self, &error))
    {
      if (!get_interrupted (self))
        tool_complain ("%s", error->message);
      return TOOL_FAILED;
    }
  seconds = run_clients (self, tally);
  /* after an error it may be unknown whether the last transfer was committed */
  n_transfers = tally->errors > 0 || get_interrupted (self) ? -1 : (gint64) tally->done;
  if (self->mode == BENCH_SELECT)
    n_transfers = 0;
  problem = bench_audit (self, n_transfers, &sum, &error);

  bench_clear_progress (self);
  bench_print_report (self, tally, seconds, error == NULL, sum, problem);
  if (error != NULL)
    {
      tool_complain ("the money could not be counted: %s", error->message);
      g_clear_error (&error);
      ok = FALSE;
    }
  if (!bench_drop_tables (self, &error))
    {
      tool_complain ("the tables dbpool_bench_* could not be dropped: %s", error->message);
      ok = FALSE;
    }
  ok = ok && problem == NULL && tally->errors == 0;
  db_histogram_clear (&tally->wait);
  db_histogram_clear (&tally->total);
  g_free (tally->first_error);
  return ok ? TOOL_OK : TOOL_FAILED;
}

static int
run_overhead (Bench *self)
{
  BenchOverhead overhead;
  g_autoptr (GError) error = NULL;
  gboolean ok = bench_run_overhead (self, &overhead, &error);

  g_atomic_int_set (&self->running, FALSE);
  bench_clear_progress (self);
  if (ok)
    bench_print_overhead (self, &overhead);
  else if (!get_interrupted (self))
    tool_complain ("%s", error->message);
  return ok ? TOOL_OK : TOOL_FAILED;
}

typedef struct
{
  Bench *bench;
  GMainLoop *loop;
  int status;
} Conductor;

static gpointer
conductor_thread (gpointer data)
{
  Conductor *conductor = data;
  Bench *self = conductor->bench;

  conductor->status = self->mode == BENCH_OVERHEAD ? run_overhead (self) : run_workload (self);
  if (!db_pool_close (self->pool, 5 * G_TIME_SPAN_SECOND, NULL, NULL))
    conductor->status = TOOL_FAILED;
  g_main_loop_quit (conductor->loop);
  return NULL;
}

static void
take_signal (Bench *self, int number)
{
  db_lock_lock (&self->lock);
  self->signal = number;
  db_lock_unlock (&self->lock);
  stop (self);
  if (g_cancellable_is_cancelled (self->aborted))
    g_cancellable_cancel (self->abandoned);
  if (g_cancellable_is_cancelled (self->interrupted))
    g_cancellable_cancel (self->aborted);
  g_cancellable_cancel (self->interrupted);
}

static gboolean
interrupt_cb (gpointer data)
{
  take_signal (data, SIGINT);
  return G_SOURCE_CONTINUE;
}

static gboolean
terminate_cb (gpointer data)
{
  take_signal (data, SIGTERM);
  return G_SOURCE_CONTINUE;
}

static gboolean
progress_cb (gpointer data)
{
  bench_print_progress (data);
  return G_SOURCE_CONTINUE;
}

/* Runs the main loop until the conductor has finished. */
static int
conduct (Bench *self)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  Conductor conductor = {self, loop, TOOL_FAILED};
  const guint sources[] = {
    g_unix_signal_add (SIGINT, interrupt_cb, self),
    g_unix_signal_add (SIGTERM, terminate_cb, self),
    g_unix_signal_add (SIGHUP, terminate_cb, self),
    self->progress ? g_timeout_add (200, progress_cb, self) : 0,
  };
  GThread *thread = g_thread_new ("conductor", conductor_thread, &conductor);

  g_main_loop_run (loop);
  g_thread_join (thread);
  for (gsize i = 0; i < G_N_ELEMENTS (sources); i++)
    {
      if (sources[i] != 0)
        g_source_remove (sources[i]);
    }
  return self->signal != 0 ? 128 + self->signal : conductor.status;
}

typedef struct
{
  DbConnectionManager *manager;
} Probe;

static void
probe_clear (gpointer data)
{
  g_object_unref (((Probe *) data)->manager);
}

static gboolean
probe_once (gpointer data, GCancellable *cancellable, GError **error)
{
  DbConnectionManager *manager = ((Probe *) data)->manager;
  g_autoptr (DbSession) session = db_connection_manager_open_session (manager, cancellable, error);

  if (session == NULL)
    return FALSE;
  db_connection_manager_close_session (manager, session);
  return TRUE;
}

/* The pool. A database that cannot be reached is found without the pool, which would try again. */
static DbPool *
make_pool (Bench *self, guint size, GError **error)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autoptr (DbPoolConfig) config = NULL;
  g_autoptr (DbConnectionManager) manager = NULL;
  g_autoptr (DbPool) pool = NULL;
  Probe *probe;
  gboolean ok;

  config = db_pool_config_new_from_env (NULL, error);
  if (config == NULL)
    return NULL;
  g_object_set (config, "max-connections", size, NULL);
  manager = db_pool_factory_create_manager (factory, self->uri, config, error);
  pool = manager != NULL ? db_pool_new (manager, config, error) : NULL;
  if (pool == NULL)
    return NULL;
  probe = g_atomic_rc_box_new0 (Probe);
  probe->manager = g_object_ref (manager);
  ok = tool_run_within (OPEN_TIMEOUT, probe_once, probe, probe_clear, error);
  g_atomic_rc_box_release_full (probe, probe_clear);
  self->database = db_connection_manager_describe (manager);
  return ok ? g_steal_pointer (&pool) : NULL;
}

static gboolean
parse_mode (const char *text, BenchMode *mode)
{
  static const char *const names[] = {"transfer", "select", "async", "overhead"};

  *mode = BENCH_TRANSFER;
  for (gsize i = 0; text != NULL && i < G_N_ELEMENTS (names); i++)
    {
      if (strcmp (text, names[i]) == 0)
        {
          *mode = (BenchMode) i;
          return TRUE;
        }
    }
  if (text != NULL)
    tool_complain_usage ("unknown mode '%s': there are transfer, select, async and overhead", text);
  return text == NULL;
}

static gboolean
check_range (const char *option, int value, int minimum, int maximum)
{
  if (value >= minimum && value <= maximum)
    return TRUE;
  tool_complain_usage ("--%s takes a whole number from %d to %d", option, minimum, maximum);
  return FALSE;
}

static int
run_bench (Bench *self, guint pool_size)
{
  g_autoptr (GError) error = NULL;
  int status = TOOL_FAILED;

  self->n_branches = (self->n_accounts + BENCH_ACCOUNTS_PER_BRANCH - 1) / BENCH_ACCOUNTS_PER_BRANCH;
  self->n_tellers = self->n_branches * BENCH_TELLERS_PER_BRANCH;
  self->progress = self->format == TOOL_FORMAT_TABLE && tool_has_colour (stderr);
  self->interrupted = g_cancellable_new ();
  self->aborted = g_cancellable_new ();
  self->abandoned = g_cancellable_new ();
  db_lock_init (&self->lock);
  db_cond_init (&self->cond);

  self->pool = make_pool (self, pool_size, &error);
  if (self->pool != NULL)
    status = conduct (self);
  else
    tool_complain ("%s", error->message);

  g_clear_object (&self->pool);
  g_object_unref (self->interrupted);
  g_object_unref (self->aborted);
  g_object_unref (self->abandoned);
  g_free (self->database);
  db_lock_clear (&self->lock);
  db_cond_clear (&self->cond);
  return status;
}

int
tool_bench (int argc, char **argv)
{
  int clients = 8, pool = 4, accounts = 10000;
  double seconds = 10;
  g_autofree char *format = NULL, *mode = NULL, *uri = NULL;
  Bench bench = {0};
  const GOptionEntry entries[] = {
    {"mode", 'm', 0, G_OPTION_ARG_STRING, &mode, "What the clients do", "MODE"},
    {"clients", 'c', 0, G_OPTION_ARG_INT, &clients, "How many there are (8)", "N"},
    {"pool", 'p', 0, G_OPTION_ARG_INT, &pool, "How many connections they share (4)", "N"},
    {"seconds", 's', 0, G_OPTION_ARG_DOUBLE, &seconds, "How long they work (10)", "SECONDS"},
    {"accounts", 'a', 0, G_OPTION_ARG_INT, &accounts, "How many accounts there are (10000)", "N"},
    {"format", 'f', 0, G_OPTION_ARG_STRING, &format, "table (default) or json", "FORMAT"},
    {"replace", 0, 0, G_OPTION_ARG_NONE, &bench.replace, "Drop tables that are left over", NULL},
    G_OPTION_ENTRY_NULL,
  };
  int status;

  if (!tool_parse_options (
        &argc, &argv, "[URI]", "Measures a database through a pool.",
        "Modes:\n"
        "  transfer  threads move money between accounts, in the manner of TPC-B (default)\n"
        "  select    threads look at single accounts\n"
        "  async     as transfer, by asynchronous calls on one thread\n"
        "  overhead  the rate of SELECT 1 with and without the pool\n"
        "\n"
        "The tables are called dbpool_bench_* and are dropped at the end. An interruption ends "
        "the\n"
        "work early; a second one cancels the statements that run, a third leaves the tables.\n"
        "\"wait\" is the time until a connection was had, \"total\" that until it was given back.\n"
        "Without a URI, DATABASE_URL is taken, or PGHOST, PGDATABASE and so on. The settings of\n"
        "the pool may stand in DBPOOL_IDLE_TIMEOUT and so on, but for its size.\n"
        "\n"
        "Exit status: 0 success, 1 errors or money lost, 2 wrong usage, 128 and the number of\n"
        "the signal after an interruption.\n",
        entries, &status))
    return status;
  if (argc > 2)
    return tool_complain_usage ("one URI is enough");
  if (!parse_mode (mode, &bench.mode) || !tool_parse_format (format, FALSE, &bench.format) ||
      !tool_check_seconds ("seconds", seconds, &bench.duration) ||
      !check_range ("clients", clients, 1, bench.mode == BENCH_ASYNC ? MAX_CLIENTS : MAX_THREADS) ||
      !check_range ("pool", pool, bench.mode == BENCH_OVERHEAD ? 2 : 1, MAX_THREADS) ||
      !check_range ("accounts", accounts, 2, MAX_ACCOUNTS))
    return TOOL_USAGE;
  uri = tool_take_uri (argc > 1 ? argv[1] : NULL);
  if (uri == NULL)
    return TOOL_USAGE;
  bench.uri = uri;
  bench.n_clients = (guint) clients;
  bench.n_accounts = (guint) accounts;
  return run_bench (&bench, (guint) pool);
}
