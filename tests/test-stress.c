/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Threads and main contexts that all use one pool at random: acquire with and without deadlines,
 * cancel, release, break sessions, resize. Checked while it runs: no session is lent to two at
 * once, and there are never more than there may be; at the end: every acquire ended once, the books
 * balance, nothing is left. --seconds=N for longer. */

#include "config.h"

#include "fake-manager.h"

#include <unistd.h>

#define N_THREADS 8
#define N_CONTEXTS 3
#define N_ASYNC 12
#define MAX_SESSIONS 5

static int n_seconds = 3;
static DbPool *pool;
static int stop;
static int n_begun;
static int n_ended;
static int n_lent;

/* A session knows who has it: a second one would see the mark of the first. */
static void
use (DbConnection *connection)
{
  GObject *session = G_OBJECT (fake_connection_get_session (connection));

  g_atomic_int_inc (&n_lent);
  g_assert_true (g_object_replace_data (session, "borrower", NULL, connection, NULL, NULL));
}

static void
done (DbConnection *connection, GRand *random)
{
  FakeSession *session = fake_connection_get_session (connection);

  g_assert_true (
    g_object_replace_data (G_OBJECT (session), "borrower", connection, NULL, NULL, NULL));
  switch (g_rand_int_range (random, 0, 40))
    {
    case 0:
      fake_session_set_state (session, DB_SESSION_BROKEN);
      break;
    case 1:
      fake_session_set_state (session, DB_SESSION_IN_TRANSACTION);
      break;
    case 2:
      fake_session_set_alive (session, FALSE);
      break;
    default:
      break;
    }
  if (g_rand_boolean (random))
    db_connection_release (connection);
  g_object_unref (connection);
}

static void
check_error (GError *error)
{
  g_assert_true (g_error_matches (error, DB_ERROR, DB_ERROR_TIMEOUT) ||
                 g_error_matches (error, DB_ERROR, DB_ERROR_EXHAUSTED) ||
                 g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
  g_error_free (error);
}

static gpointer
cancel_soon (gpointer data)
{
  g_thread_yield ();
  g_cancellable_cancel (data);
  g_object_unref (data);
  return NULL;
}

static gint64
choose_timeout (GRand *random)
{
  static const gint64 timeouts[] = {0, 50, 500, 5000, 1000000};

  return timeouts[g_rand_int_range (random, 0, G_N_ELEMENTS (timeouts))];
}

static gpointer
run_thread (gpointer data)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (GPOINTER_TO_UINT (data));

  while (!g_atomic_int_get (&stop))
    {
      g_autoptr (GCancellable) cancellable =
        g_rand_int_range (random, 0, 20) == 0 ? g_cancellable_new () : NULL;
      GThread *canceller = cancellable != NULL
                             ? g_thread_new ("canceller", cancel_soon, g_object_ref (cancellable))
                             : NULL;
      GError *error = NULL;
      DbConnection *connection;

      g_atomic_int_inc (&n_begun);
      connection =
        db_pool_acquire_full (pool, 0, choose_timeout (random), NULL, cancellable, &error);
      g_atomic_int_inc (&n_ended);
      if (connection != NULL)
        {
          use (connection);
          if (g_rand_int_range (random, 0, 4) == 0)
            g_thread_yield ();
          done (connection, random);
        }
      else
        check_error (error);
      if (g_rand_int_range (random, 0, 500) == 0)
        g_object_set (db_pool_get_config (pool), "max-connections",
                      g_rand_int_range (random, 1, MAX_SESSIONS + 1), NULL);
      if (canceller != NULL)
        g_thread_join (canceller);
    }
  return NULL;
}

/* A main context with a number of callers, each of which asks again when it was answered. */
typedef struct
{
  GMainContext *context;
  GRand *random;
  guint n_pending;
} Loop;

static void start_async (Loop *loop);

static void
acquired_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Loop *loop = data;
  GError *error = NULL;
  DbConnection *connection = db_pool_acquire_full_finish (DB_POOL (source), result, &error);

  g_assert_true (g_main_context_is_owner (loop->context));
  g_atomic_int_inc (&n_ended);
  loop->n_pending--;
  if (connection != NULL)
    {
      use (connection);
      done (connection, loop->random);
    }
  else
    check_error (error);
  if (!g_atomic_int_get (&stop))
    start_async (loop);
}

static void
start_async (Loop *loop)
{
  g_autoptr (GCancellable) cancellable =
    g_rand_int_range (loop->random, 0, 4) == 0 ? g_cancellable_new () : NULL;

  g_atomic_int_inc (&n_begun);
  loop->n_pending++;
  db_pool_acquire_full_async (pool, 0, choose_timeout (loop->random), NULL, cancellable,
                              acquired_cb, loop);
  if (cancellable != NULL && g_rand_boolean (loop->random))
    g_cancellable_cancel (cancellable);
}

static gpointer
run_loop (gpointer data)
{
  Loop loop = {.context = g_main_context_new (),
               .random = g_rand_new_with_seed (GPOINTER_TO_UINT (data))};

  g_main_context_push_thread_default (loop.context);
  for (guint i = 0; i < N_ASYNC; i++)
    start_async (&loop);
  while (loop.n_pending > 0)
    g_main_context_iteration (loop.context, TRUE);
  g_main_context_pop_thread_default (loop.context);
  g_main_context_unref (loop.context);
  g_rand_free (loop.random);
  return NULL;
}

static void
test_stress (void)
{
  FakeManager *manager = fake_manager_new ();
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (DbPoolStats) stats = NULL;
  g_autofree char *text = NULL;
  GThread *threads[N_THREADS + N_CONTEXTS];
  GError *error = NULL;
  FakeLedger ledger;

  g_object_set (config, "max-connections", MAX_SESSIONS, "min-connections", 1, "idle-timeout",
                (gint64) 2000, "max-lifetime", (gint64) 20000, "validate-after-idle", (gint64) 1000,
                NULL);
  pool = db_pool_new (DB_CONNECTION_MANAGER (manager), config, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] =
      g_thread_new ("stress", i < N_THREADS ? run_thread : run_loop, GUINT_TO_POINTER (i + 1));
  g_usleep ((gulong) n_seconds * G_USEC_PER_SEC); /* this is how long it takes, not a wait */
  g_atomic_int_set (&stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);

  stats = db_pool_get_stats (pool);
  text = db_pool_stats_to_string (stats);
  g_test_message ("%s", text);
  g_assert_cmpint (n_begun, ==, n_ended);
  g_assert_cmpuint (db_pool_stats_get_requests (stats), ==, (guint) n_begun);
  g_assert_cmpuint (db_pool_stats_get_waiting (stats), ==, 0);
  g_assert_cmpuint (db_pool_stats_get_lent (stats), ==, 0);
  g_assert_cmpuint (db_pool_stats_get_acquired (stats), >=, (guint) n_lent);
  db_pool_close (pool, 10 * G_USEC_PER_SEC, NULL, &error);
  g_assert_no_error (error);
  ledger = fake_manager_get_ledger (manager);
  g_assert_cmpuint (ledger.live, ==, 0);
  g_assert_cmpuint (ledger.max_live, <=, MAX_SESSIONS);
  g_assert_cmpuint (ledger.opened, ==, ledger.closes);
  g_object_unref (pool);
  g_object_unref (manager);
}

int
main (int argc, char **argv)
{
  GOptionEntry entries[] = {
    {"seconds", 0, 0, G_OPTION_ARG_INT, &n_seconds, "How long", "N"},
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_ignore_unknown_options (context, TRUE);
  g_option_context_parse (context, &argc, &argv, NULL);
  g_test_init (&argc, &argv, NULL);
  alarm ((guint) n_seconds + 120); /* a hang is a failure */
  g_test_add_func ("/stress/pool", test_stress);
  return g_test_run ();
}
