/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Threads and main contexts that all use one pool at random: acquire with and without deadlines,
 * cancel, release, break and evict sessions; and an owner who resizes, evicts, suspends, warms up
 * and changes the manager meanwhile. Everybody writes down what happened to him and when, and in
 * the end the history is checked: no two loans of a session overlap, there are never more than
 * there may be, every acquire ended once, and nobody waited beside an idle session. --seconds=N for
 * longer. */

#include "config.h"

#include "fake-manager.h"

#include <unistd.h>

#define N_THREADS 8
#define N_CONTEXTS 3
#define N_ASYNC 12
#define MAX_SESSIONS 5

static int n_seconds = 10;
static DbPool *pool;
static FakeManager *managers[2];
static int stop;

/* One acquire. Times are monotonic, in microseconds. */
typedef struct
{
  gint64 asked;
  gint64 answered;
  gint64 ended;    /* when the release began; 0: no connection */
  guint64 session; /* 0: no connection */
  int error;       /* a DbError, or -1: cancelled */
} Row;

/* Who writes, alone. */
typedef struct
{
  GRand *random;
  GArray *rows; /* of Row */
  guint n_begun;
} Witness;

static Witness witnesses[N_THREADS + N_CONTEXTS];

static gint64
choose_timeout (GRand *random)
{
  static const gint64 timeouts[] = {0, 50, 500, 5000, 1000000};

  return timeouts[g_rand_int_range (random, 0, G_N_ELEMENTS (timeouts))];
}

static void
note_error (Row *row, GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    row->error = -1;
  else if (error->domain == DB_ERROR)
    row->error = error->code;
  else
    g_error ("an acquire failed with %s", error->message);
  g_assert_true (row->error == -1 || row->error == DB_ERROR_TIMEOUT ||
                 row->error == DB_ERROR_EXHAUSTED || row->error == DB_ERROR_SUSPENDED);
  g_error_free (error);
}

/* What a borrower may do to a session before it goes back. */
static void
use (DbConnection *connection, GRand *random)
{
  FakeSession *session = fake_connection_get_session (connection);

  switch (g_rand_int_range (random, 0, 60))
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
    case 3:
      db_connection_evict (connection);
      break;
    case 4:
      g_object_unref (db_connection_query (connection, "SELECT 1", NULL, NULL, NULL));
      break;
    default:
      if (g_rand_int_range (random, 0, 4) == 0)
        g_thread_yield ();
    }
}

/* A session knows who has it: a second one would see the mark of the first. */
static void
finish (Witness *witness, Row *row, DbConnection *connection)
{
  GObject *session = G_OBJECT (fake_connection_get_session (connection));
  gint32 way = g_rand_int_range (witness->random, 0, 3);

  row->session = db_connection_get_id (connection);
  g_assert_true (g_object_replace_data (session, "borrower", NULL, connection, NULL, NULL));
  use (connection, witness->random);
  g_assert_true (g_object_replace_data (session, "borrower", connection, NULL, NULL, NULL));
  row->ended = g_get_monotonic_time ();
  if (way == 0)
    {
      db_pool_give_back (pool, connection);
      return;
    }
  if (way == 1)
    db_connection_release (connection);
  g_object_unref (connection);
}

static void
note (Witness *witness, Row *row, DbConnection *connection, GError *error)
{
  g_assert_true ((connection == NULL) == (error != NULL));
  if (connection != NULL)
    finish (witness, row, connection);
  else
    note_error (row, error);
  g_array_append_val (witness->rows, *row);
}

/* Threads. */

static gpointer
cancel_soon (gpointer data)
{
  g_thread_yield ();
  g_cancellable_cancel (data);
  g_object_unref (data);
  return NULL;
}

static gpointer
run_thread (gpointer data)
{
  Witness *witness = data;

  while (!g_atomic_int_get (&stop))
    {
      g_autoptr (GCancellable) cancellable =
        g_rand_int_range (witness->random, 0, 20) == 0 ? g_cancellable_new () : NULL;
      GThread *canceller = cancellable != NULL
                             ? g_thread_new ("canceller", cancel_soon, g_object_ref (cancellable))
                             : NULL;
      Row row = {.asked = g_get_monotonic_time ()};
      GError *error = NULL;
      DbConnection *connection;

      witness->n_begun++;
      connection = db_pool_acquire_full (pool, 0, choose_timeout (witness->random), "a thread",
                                         cancellable, &error);
      row.answered = g_get_monotonic_time ();
      note (witness, &row, connection, error);
      if (canceller != NULL)
        g_thread_join (canceller);
    }
  return NULL;
}

/* Main contexts, each with a number of callers that ask again when they were answered. */

typedef struct
{
  Witness *witness;
  GMainContext *context;
  guint n_pending;
} Loop;

typedef struct
{
  Loop *loop;
  Row row;
} Call;

static void start_async (Loop *loop);

static void
acquired_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Call *call = data;
  Loop *loop = call->loop;
  GError *error = NULL;
  DbConnection *connection = db_pool_acquire_full_finish (DB_POOL (source), result, &error);

  g_assert_true (g_main_context_is_owner (loop->context));
  call->row.answered = g_get_monotonic_time ();
  note (loop->witness, &call->row, connection, error);
  loop->n_pending--;
  if (!g_atomic_int_get (&stop))
    start_async (loop);
}

static void
start_async (Loop *loop)
{
  GRand *random = loop->witness->random;
  g_autoptr (GCancellable) cancellable =
    g_rand_int_range (random, 0, 4) == 0 ? g_cancellable_new () : NULL;
  Call *call = g_new0 (Call, 1);

  call->loop = loop;
  call->row.asked = g_get_monotonic_time ();
  loop->witness->n_begun++;
  loop->n_pending++;
  db_pool_acquire_full_async (pool, 0, choose_timeout (random), NULL, cancellable, acquired_cb,
                              call);
  if (cancellable != NULL && g_rand_boolean (random))
    g_cancellable_cancel (cancellable);
}

static gpointer
run_loop (gpointer data)
{
  Loop loop = {.witness = data, .context = g_main_context_new ()};

  g_main_context_push_thread_default (loop.context);
  for (guint i = 0; i < N_ASYNC; i++)
    start_async (&loop);
  while (loop.n_pending > 0)
    g_main_context_iteration (loop.context, TRUE);
  g_main_context_pop_thread_default (loop.context);
  g_main_context_unref (loop.context);
  return NULL;
}

/* The owner of the pool, and what he looks at. */

static void
control (GRand *random)
{
  g_autofree char *dump = NULL;

  switch (g_rand_int_range (random, 0, 8))
    {
    case 0:
      db_pool_evict_idle (pool);
      break;
    case 1:
      db_pool_evict_all (pool);
      break;
    case 2:
      db_pool_suspend (pool);
      g_usleep (200);
      db_pool_resume (pool);
      break;
    case 3:
      db_pool_warm_up (pool, 3, NULL, NULL);
      break;
    case 4:
      db_pool_reconfigure (pool, DB_CONNECTION_MANAGER (managers[g_rand_int_range (random, 0, 2)]),
                           NULL, NULL);
      break;
    case 5:
      dump = db_pool_dump (pool);
      break;
    default:
      db_pool_resize (pool, 1, (guint) g_rand_int_range (random, 1, MAX_SESSIONS + 1));
    }
}

/* Nobody may wait for long beside an idle session while nothing else happens. */
static void
watch_for_lost_wake_ups (void)
{
  static guint64 last_acquired;
  static gint64 stuck_since;
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);
  gboolean stuck = db_pool_stats_get_waiting (stats) > 0 && db_pool_stats_get_idle (stats) > 0 &&
                   db_pool_stats_get_acquired (stats) == last_acquired;

  last_acquired = db_pool_stats_get_acquired (stats);
  if (!stuck)
    stuck_since = 0;
  else if (stuck_since == 0)
    stuck_since = g_get_monotonic_time ();
  else if (g_get_monotonic_time () - stuck_since > 20 * G_USEC_PER_SEC)
    g_error ("callers wait beside idle sessions: %s", db_pool_dump (pool));
}

static gpointer
run_owner (gpointer data)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (99);
  guint *n_seen = data;
  g_autoptr (GListModel) list = db_pool_get_connections (pool);

  while (!g_atomic_int_get (&stop))
    {
      control (random);
      watch_for_lost_wake_ups ();
      *n_seen = MAX (*n_seen, g_list_model_get_n_items (list));
      g_usleep (2000); /* his pace, not a wait */
    }
  return NULL;
}

/* The history. */

static int
compare_loans (gconstpointer a, gconstpointer b)
{
  const Row *first = a;
  const Row *second = b;

  if (first->session != second->session)
    return first->session < second->session ? -1 : 1;
  return (first->answered > second->answered) - (first->answered < second->answered);
}

typedef struct
{
  gint64 when;
  int change;
} Edge;

/* At the same time, ends come before beginnings. */
static int
compare_edges (gconstpointer a, gconstpointer b)
{
  const Edge *first = a;
  const Edge *second = b;

  if (first->when != second->when)
    return first->when < second->when ? -1 : 1;
  return first->change - second->change;
}

static void
check_no_overlap (GArray *loans)
{
  g_array_sort (loans, compare_loans);
  for (guint i = 1; i < loans->len; i++)
    {
      const Row *before = &g_array_index (loans, Row, i - 1);
      const Row *row = &g_array_index (loans, Row, i);

      if (row->session == before->session)
        g_assert_cmpint (row->answered, >=, before->ended);
    }
}

static guint
count_most_at_once (GArray *loans)
{
  g_autoptr (GArray) edges = g_array_new (FALSE, FALSE, sizeof (Edge));
  int out = 0;
  int most = 0;

  for (guint i = 0; i < loans->len; i++)
    {
      const Row *row = &g_array_index (loans, Row, i);
      Edge begin = {row->answered, 1};
      Edge end = {row->ended, -1};

      g_array_append_val (edges, begin);
      g_array_append_val (edges, end);
    }
  g_array_sort (edges, compare_edges);
  for (guint i = 0; i < edges->len; i++)
    {
      out += g_array_index (edges, Edge, i).change;
      most = MAX (most, out);
    }
  return (guint) most;
}

static void
check_history (DbPoolStats *stats)
{
  g_autoptr (GArray) loans = g_array_new (FALSE, FALSE, sizeof (Row));
  guint64 n_begun = 0;
  guint64 n_ended = 0;

  for (guint i = 0; i < G_N_ELEMENTS (witnesses); i++)
    {
      GArray *rows = witnesses[i].rows;

      g_assert_cmpuint (witnesses[i].n_begun, ==, rows->len);
      n_begun += witnesses[i].n_begun;
      for (guint j = 0; j < rows->len; j++)
        {
          const Row *row = &g_array_index (rows, Row, j);

          n_ended++;
          g_assert_cmpint (row->answered, >=, row->asked);
          if (row->session != 0)
            g_array_append_vals (loans, row, 1);
        }
    }
  g_assert_cmpuint (n_begun, ==, n_ended);
  g_assert_cmpuint (n_begun, ==, db_pool_stats_get_requests (stats));
  g_assert_cmpuint (loans->len, >, 0);
  check_no_overlap (loans);
  g_assert_cmpuint (count_most_at_once (loans), <=, MAX_SESSIONS);
  g_test_message ("%" G_GUINT64_FORMAT " acquires, %u loans", n_begun, loans->len);
}

/* The test. */

static void
run_for_a_while (void)
{
  GThread *threads[N_THREADS + N_CONTEXTS];
  GThread *owner;
  guint n_seen = 0;

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      witnesses[i].random = g_rand_new_with_seed (i + 1);
      witnesses[i].rows = g_array_new (FALSE, FALSE, sizeof (Row));
      threads[i] = g_thread_new ("stress", i < N_THREADS ? run_thread : run_loop, &witnesses[i]);
    }
  owner = g_thread_new ("owner", run_owner, &n_seen);
  for (gint64 until = g_get_monotonic_time () + n_seconds * G_USEC_PER_SEC;
       g_get_monotonic_time () < until;)
    {
      g_main_context_iteration (NULL, FALSE); /* the pool's home */
      g_usleep (1000);                        /* this is how long it takes, not a wait */
    }
  g_atomic_int_set (&stop, TRUE);
  g_thread_join (owner);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

static void
check_ledgers (DbPoolStats *stats)
{
  guint opened = 0;
  guint max_live = 0;

  for (guint i = 0; i < G_N_ELEMENTS (managers); i++)
    {
      FakeLedger ledger = fake_manager_get_ledger (managers[i]);

      g_assert_cmpuint (ledger.live, ==, 0);
      g_assert_cmpuint (ledger.opened, ==, ledger.closes);
      opened += ledger.opened;
      max_live = MAX (max_live, ledger.max_live);
    }
  g_assert_cmpuint (max_live, <=, MAX_SESSIONS);
  g_assert_cmpuint (opened, >=, db_pool_stats_get_created (stats));
}

static void
count_cb (DbPool *source, gint64 value, gpointer data)
{
  ++*(guint64 *) data;
}

static void
test_stress (void)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (DbPoolStats) stats = NULL;
  g_autofree char *text = NULL;
  guint64 n_returned = 0;
  GError *error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (managers); i++)
    managers[i] = fake_manager_new ();
  g_object_set (config, "max-connections", MAX_SESSIONS, "min-connections", 1, "idle-timeout",
                (gint64) 2000, "max-lifetime", (gint64) 20000, "validate-after-idle", (gint64) 1000,
                "keepalive", (gint64) 1500, "max-uses", 500, NULL);
  pool = db_pool_new (DB_CONNECTION_MANAGER (managers[0]), config, &error);
  g_assert_no_error (error);
  g_signal_connect (pool, "connection-returned", G_CALLBACK (count_cb), &n_returned);

  run_for_a_while ();

  stats = db_pool_get_stats (pool);
  text = db_pool_stats_to_string (stats);
  g_test_message ("%s; %" G_GUINT64_FORMAT " signals", text, n_returned);
  g_assert_cmpuint (db_pool_stats_get_waiting (stats), ==, 0);
  g_assert_cmpuint (db_pool_stats_get_lent (stats), ==, 0);
  g_assert_cmpuint (n_returned, >, 0);
  check_history (stats);
  db_pool_close (pool, 30 * G_USEC_PER_SEC, NULL, &error);
  g_assert_no_error (error);
  check_ledgers (stats);
  g_object_unref (pool);
  for (guint i = 0; i < G_N_ELEMENTS (witnesses); i++)
    {
      g_rand_free (witnesses[i].random);
      g_array_unref (witnesses[i].rows);
    }
  for (guint i = 0; i < G_N_ELEMENTS (managers); i++)
    g_object_unref (managers[i]);
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
  alarm ((guint) n_seconds + 180); /* a hang is a failure */
  g_test_add_func ("/stress/pool", test_stress);
  return g_test_run ();
}
