/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Threads and main contexts that use one pool of a real server at random: they ask for numbers of
 * their own, break their sessions, cancel, evict, resize, and change how long sessions live.
 * Checked while it runs: every answer is that of the question, an error is one that the caller
 * brought about, and the server never has more sessions than there may be; at the end: every
 * question was answered once, and no session is left. --seconds=N for longer. */

#include "config.h"

#include "postgres-fixture.h"

#include <unistd.h>

#define N_THREADS 8
#define N_CONTEXTS 3
#define N_ASYNC 6
#define MAX_SESSIONS 6
#define NAME "stress"

static int n_seconds = 5;
static DbPool *pool;
static int stop;        /* atomic, as all of these */
static int last_number; /* of questions */
static int n_answered;
static int n_cancelled;
static int n_timeouts;
static int n_broken;
static int n_async_begun;
static int n_async_ended;

static gint64
next_number (void)
{
  return g_atomic_int_add (&last_number, 1);
}

static gpointer
cancel_soon (gpointer data)
{
  g_usleep (200); /* in the middle of something, most likely */
  g_cancellable_cancel (data);
  g_object_unref (data);
  return NULL;
}

/* Takes @error, of a question that may have been cancelled with @cancellable. */
static void
check_error (GError *error, GCancellable *cancellable)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) && cancellable != NULL &&
      g_cancellable_is_cancelled (cancellable))
    g_atomic_int_inc (&n_cancelled);
  else if (g_error_matches (error, DB_ERROR, DB_ERROR_TIMEOUT) ||
           g_error_matches (error, DB_ERROR, DB_ERROR_EXHAUSTED))
    g_atomic_int_inc (&n_timeouts);
  else
    g_error ("unexpected: %s", error->message);
  g_error_free (error);
}

static void
check_answer (DbResult *result, gint64 number)
{
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  g_assert_cmpint (db_result_get_int64 (result, 0, 0), ==, number);
  g_atomic_int_inc (&n_answered);
}

static void
ask (DbConnection *connection, const char *sql, GCancellable *cancellable)
{
  gint64 number = next_number ();
  GError *error = NULL;
  g_autoptr (DbResult) result =
    db_connection_query (connection, sql, g_variant_new ("(x)", number), cancellable, &error);

  if (result != NULL)
    check_answer (result, number);
  else
    check_error (error, cancellable);
}

static void
break_session (DbConnection *connection)
{
  g_autoptr (GError) error = NULL;

  db_connection_execute (connection, "SELECT pg_terminate_backend(pg_backend_pid())", NULL, NULL,
                         &error);
  g_assert_error (error, DB_ERROR, DB_ERROR_CONNECTION);
  g_atomic_int_inc (&n_broken);
}

static void
ask_and_cancel (DbConnection *connection)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  GThread *thread = g_thread_new ("canceller", cancel_soon, g_object_ref (cancellable));

  ask (connection, "SELECT $1::bigint, pg_sleep(0.0005)", cancellable);
  g_thread_join (thread);
}

/* What a borrower does with a connection. */
static void
use (DbConnection *connection, GRand *random)
{
  switch (g_rand_int_range (random, 0, 20))
    {
    case 0:
      break_session (connection);
      break;
    case 1:
      db_connection_evict (connection);
      ask (connection, "SELECT $1::bigint", NULL); /* it is still the borrower's */
      break;
    case 2:
      ask_and_cancel (connection);
      ask (connection, "SELECT $1::bigint", NULL);
      break;
    case 3:
      fixture_run (connection, "SET work_mem = '777kB'; BEGIN");
      break;
    case 4:
      fixture_run (connection, "BEGIN");
      ask (connection, "SELECT $1::bigint", NULL);
      break;
    case 5:
      ask (connection, "SELECT $1::bigint, pg_sleep(0.002)", NULL);
      break;
    default:
      ask (connection, "SELECT $1::bigint", NULL);
    }
}

static gint64
choose_duration (GRand *random)
{
  static const gint64 durations[] = {0, 0, 5000, 50000, 1000000};

  return durations[g_rand_int_range (random, 0, G_N_ELEMENTS (durations))];
}

/* What somebody does to all of the pool. */
static void
govern (GRand *random)
{
  DbPoolConfig *config = db_pool_get_config (pool);
  guint max = g_rand_int_range (random, 1, MAX_SESSIONS + 1);

  switch (g_rand_int_range (random, 0, 8))
    {
    case 0:
      db_pool_resize (pool, g_rand_int_range (random, 0, max + 1), max);
      break;
    case 1:
      db_pool_evict_idle (pool);
      break;
    case 2:
      db_pool_evict_all (pool);
      break;
    case 3:
      g_object_set (config, "idle-timeout", choose_duration (random), NULL);
      break;
    case 4:
      g_object_set (config, "max-lifetime", choose_duration (random), NULL);
      break;
    case 5:
      g_object_set (config, "max-uses", 10 * g_rand_int_range (random, 0, 5), NULL);
      break;
    case 6:
      g_object_set (config, "validate-after-idle", choose_duration (random), NULL);
      break;
    default:
      g_object_set (config, "hand-off-after", choose_duration (random), NULL);
    }
}

static gint64
choose_timeout (GRand *random)
{
  static const gint64 timeouts[] = {0, 500, 20000, 10000000, 10000000, 10000000};

  return timeouts[g_rand_int_range (random, 0, G_N_ELEMENTS (timeouts))];
}

static gpointer
run_thread (gpointer data)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (GPOINTER_TO_UINT (data));

  while (!g_atomic_int_get (&stop))
    {
      DbAcquireFlags flags = g_rand_int_range (random, 0, 8) == 0 ? DB_ACQUIRE_READ_ONLY : 0;
      GError *error = NULL;
      g_autoptr (DbConnection) connection =
        db_pool_acquire_full (pool, flags, choose_timeout (random), "thread", NULL, &error);

      if (connection != NULL)
        use (connection, random);
      else
        check_error (error, NULL);
      g_clear_object (&connection);
      if (g_rand_int_range (random, 0, 50) == 0)
        govern (random);
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

typedef struct
{
  Loop *loop;
  gint64 number;
  GCancellable *cancellable;
} Question;

static void start_question (Loop *loop);

static void
answered_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Question *question = data;
  Loop *loop = question->loop;
  GError *error = NULL;
  g_autoptr (DbResult) rows = db_pool_query_finish (pool, result, &error);

  g_assert_true (g_main_context_is_owner (loop->context));
  g_atomic_int_inc (&n_async_ended);
  loop->n_pending--;
  if (rows != NULL)
    check_answer (rows, question->number);
  else
    check_error (error, question->cancellable);
  g_clear_object (&question->cancellable);
  g_free (question);
  if (!g_atomic_int_get (&stop))
    start_question (loop);
}

static gboolean
cancel_cb (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return G_SOURCE_REMOVE;
}

static void
start_question (Loop *loop)
{
  Question *question = g_new0 (Question, 1);

  question->loop = loop;
  question->number = next_number ();
  loop->n_pending++;
  g_atomic_int_inc (&n_async_begun);
  if (g_rand_int_range (loop->random, 0, 8) == 0)
    {
      GSource *source = g_timeout_source_new (g_rand_int_range (loop->random, 0, 3));

      question->cancellable = g_cancellable_new ();
      g_source_set_callback (source, cancel_cb, g_object_ref (question->cancellable),
                             g_object_unref);
      g_source_attach (source, loop->context);
      g_source_unref (source);
    }
  db_pool_query_async (pool, "SELECT $1::bigint", g_variant_new ("(x)", question->number),
                       question->cancellable, answered_cb, question);
}

static gpointer
run_loop (gpointer data)
{
  Loop loop = {.context = g_main_context_new (),
               .random = g_rand_new_with_seed (GPOINTER_TO_UINT (data))};

  g_main_context_push_thread_default (loop.context);
  for (guint i = 0; i < N_ASYNC; i++)
    start_question (&loop);
  while (loop.n_pending > 0)
    g_main_context_iteration (loop.context, TRUE);
  g_main_context_pop_thread_default (loop.context);
  g_main_context_unref (loop.context);
  g_rand_free (loop.random);
  return NULL;
}

/* Through a session of its own, as fast as the server answers. */
static gpointer
sample (gpointer data)
{
  guint n_samples = 0;
  guint highest = 0;

  while (!g_atomic_int_get ((int *) data))
    {
      guint n = fixture_count_backends (NAME);

      g_assert_cmpuint (n, <=, MAX_SESSIONS);
      highest = MAX (highest, n);
      n_samples++;
    }
  g_test_message ("%u samples, at most %u sessions", n_samples, highest);
  g_assert_cmpuint (highest, >=, 2); /* it did see them */
  fixture_stop_counting ();
  return NULL;
}

static void
assert_books (void)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);
  g_autofree char *text = db_pool_stats_to_string (stats);

  g_test_message ("%s", text);
  g_test_message ("%d questions, %d answered, %d cancelled, %d late, %d sessions broken",
                  last_number, n_answered, n_cancelled, n_timeouts, n_broken);
  g_assert_cmpint (n_async_begun, ==, n_async_ended);
  g_assert_cmpuint (db_pool_stats_get_waiting (stats), ==, 0);
  g_assert_cmpuint (db_pool_stats_get_lent (stats), ==, 0);
  g_assert_cmpint (n_answered, >, 0);
  g_assert_cmpuint (db_pool_stats_get_requests (stats), ==,
                    db_pool_stats_get_acquired (stats) + db_pool_stats_get_timeouts (stats) +
                      db_pool_stats_get_cancelled (stats) + db_pool_stats_get_errors (stats) +
                      db_pool_stats_get_refused (stats));
}

static void
test_stress (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_named_manager_new (NAME);
  GThread *threads[N_THREADS + N_CONTEXTS];
  GThread *sampler;
  int sampling_ended = FALSE;

  pool = fixture_pool_new (manager, 1, MAX_SESSIONS);
  sampler = g_thread_new ("sampler", sample, &sampling_ended);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] =
      g_thread_new ("stress", i < N_THREADS ? run_thread : run_loop, GUINT_TO_POINTER (i + 1));
  g_usleep ((gulong) n_seconds * G_USEC_PER_SEC); /* this is how long it takes, not a wait */
  g_atomic_int_set (&stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  assert_books ();
  fixture_pool_close (pool);
  g_atomic_int_set (&sampling_ended, TRUE);
  g_thread_join (sampler);
  g_assert_cmpuint (fixture_count_backends (NAME), ==, 0);
}

int
main (int argc, char **argv)
{
  GOptionEntry entries[] = {
    {"seconds", 0, 0, G_OPTION_ARG_INT, &n_seconds, "How long", "N"},
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  int status;

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_ignore_unknown_options (context, TRUE);
  g_option_context_parse (context, &argc, &argv, NULL);
  g_test_init (&argc, &argv, NULL);
  alarm ((guint) n_seconds + 120); /* a hang is a failure */
  g_test_add_func ("/postgres/stress", test_stress);
  status = g_test_run ();
  fixture_stop_counting ();
  return status;
}
