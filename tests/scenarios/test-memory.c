/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Memory: that nothing grows, nothing is left, and errors are where they should be.
 *
 * Here: MEM-04, MEM-05, MEM-06, MEM-07. MEM-01 and MEM-02 are these programs under valgrind and the
 * sanitizers. What is in use is asked of malloc, so under a sanitizer, which has its own, these
 * scenarios only run. */

#include "config.h"

#include "scenario.h"

#include <malloc.h>

#define JOB_THREAD "dbpool-job"

/* In bytes. */
static gsize
in_use (void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 0;
#else
  struct mallinfo2 info = mallinfo2 ();

  return info.uordblks + info.hblkhd;
#endif
}

/* Whether one of dbpool's threads for jobs is there: each keeps a little freed memory for itself.
 */
static gboolean
job_is_left (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_strdup_printf ("/proc/self/task/%s/comm", name);
      g_autofree char *comm = NULL;

      if (g_file_get_contents (path, &comm, NULL, NULL) && g_str_has_prefix (comm, JOB_THREAD))
        return TRUE;
    }
  return FALSE;
}

static void
settle (DbPool *pool)
{
  await_stats (pool, "waiting=0 lent=0 closing=0 opening=0");
  while (g_main_context_iteration (NULL, FALSE))
    ;
  AWAIT (!job_is_left ());
}

/* Runs @func for warming up, which may leave tables as large as they were, and then checks that it
 * leaves less than @limit bytes behind. */
static void
assert_steady (void (*func) (DbPool *pool, guint n), DbPool *pool, guint n, gsize limit)
{
  gsize before;
  gsize after;

  func (pool, n);
  settle (pool);
  before = in_use ();
  func (pool, n);
  settle (pool);
  after = in_use ();
  g_test_message ("%u times: %" G_GSIZE_FORMAT " bytes before, %" G_GSIZE_FORMAT " after", n,
                  before, after);
  if (after > before)
    g_assert_cmpuint (after - before, <, limit);
}

static void
borrow_directly (DbPool *pool, guint n)
{
  for (guint i = 0; i < n; i++)
    g_object_unref (acquire (pool));
}

typedef struct
{
  DbPool *pool;
  guint n;
} Share;

static gpointer
borrow_thread (gpointer data)
{
  Share *share = data;

  borrow_directly (share->pool, share->n);
  return NULL;
}

/* Two threads and one session: most of them wait. */
static void
borrow_waiting (DbPool *pool, guint n)
{
  Share share = {pool, n / 2};
  GThread *threads[2];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("borrow", borrow_thread, &share);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

typedef struct
{
  guint n_left;
  guint n_timeouts;
  guint n_cancelled;
} Count;

static void
counted_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Count *count = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (DbConnection) connection =
    db_pool_acquire_full_finish (DB_POOL (source), result, &error);

  count->n_left--;
  count->n_timeouts += g_error_matches (error, DB_ERROR, DB_ERROR_TIMEOUT);
  count->n_cancelled += g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
await_none_left (Count *count)
{
  while (count->n_left > 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
time_out (DbPool *pool, guint n)
{
  DbConnection *held = acquire (pool);
  Count count = {.n_left = n};

  for (guint i = 0; i < n; i++)
    db_pool_acquire_full_async (pool, 0, 1 + i % 1000, NULL, NULL, counted_cb, &count);
  await_none_left (&count);
  g_assert_cmpuint (count.n_timeouts, ==, n);
  g_object_unref (held);
}

static void
cancel (DbPool *pool, guint n)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DbConnection *held = acquire (pool);
  Count count = {.n_left = n};

  for (guint i = 0; i < n; i++)
    db_pool_acquire_full_async (pool, 0, -1, NULL, cancellable, counted_cb, &count);
  g_cancellable_cancel (cancellable);
  await_none_left (&count);
  g_assert_cmpuint (count.n_cancelled, ==, n);
  g_object_unref (held);
}

/* A caller that times out frees what it needed at once, and not when its turn would have come. */
static void
time_out_blocking (DbPool *pool, guint n)
{
  DbConnection *held = acquire (pool);

  for (guint i = 0; i < n; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (db_pool_acquire_full (pool, 0, 1, NULL, NULL, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
    }
  g_object_unref (held);
}

static guint
scaled (guint thorough, guint otherwise)
{
  return (guint) ((scenario_is_thorough () ? thorough : otherwise) / scenario_factor ());
}

#define LIMIT (100 * 1024)

/* MEM-04 */
static void
steady_state (World *world)
{
  make_pool (world, "max-connections=1 connection-timeout=60s");
  assert_steady (borrow_directly, world->pool, scaled (1000000, 100000), LIMIT);
  assert_steady (borrow_waiting, world->pool, scaled (100000, 20000), LIMIT);
  assert_steady (time_out, world->pool, scaled (100000, 10000), LIMIT);
  assert_steady (cancel, world->pool, scaled (100000, 10000), LIMIT);
  assert_steady (time_out_blocking, world->pool, scaled (20000, 1000), LIMIT);
}

/* MEM-04 with events: a pool to whose signals somebody listens. */
static void
ignore_cb (DbPool *pool, gint64 time, gpointer data)
{
}

static void
steady_state_with_signals (World *world)
{
  make_pool (world, "max-connections=1 connection-timeout=60s leak-threshold=60s");
  g_signal_connect (world->pool, "connection-acquired", G_CALLBACK (ignore_cb), NULL);
  g_signal_connect (world->pool, "connection-returned", G_CALLBACK (ignore_cb), NULL);
  assert_steady (borrow_directly, world->pool, scaled (200000, 30000), LIMIT);
  assert_steady (borrow_waiting, world->pool, scaled (100000, 20000), LIMIT);
}

/* The manager's own records of @n sessions. */
static gsize
size_of_records (guint n)
{
  return n * 4 * (sizeof (FakeRecord) + 3 * sizeof (gint64));
}

static void
grow_and_shrink_once (DbPool *pool, guint n)
{
  g_autoptr (GPtrArray) connections = g_ptr_array_new_with_free_func (g_object_unref);

  db_pool_resize (pool, 0, MAX (n, 1));
  for (guint i = 0; i < n; i++)
    g_ptr_array_add (connections, acquire (pool));
  g_ptr_array_set_size (connections, 0);
  db_pool_resize (pool, 0, 1);
  await_stats (pool, "total=%u", n > 0 ? 1 : 0);
}

/* MEM-04 */
static void
grow_and_shrink (World *world)
{
  guint n = scaled (1000, 300);

  make_pool (world, "max-connections=1 connection-timeout=60s");
  world->max_live = 0;
  assert_steady (grow_and_shrink_once, world->pool, n, LIMIT + size_of_records (n));
}

static gpointer
borrow_once (gpointer pool)
{
  g_object_unref (acquire (pool));
  return NULL;
}

/* MEM-05: threads and pools that come and go. */
static void
churn (DbPool *unused, guint n)
{
  FakeManager *managers[20];
  DbPool *pools[20];

  for (guint done = 0; done < n; done += G_N_ELEMENTS (pools))
    {
      for (guint i = 0; i < G_N_ELEMENTS (pools); i++)
        {
          GThread *thread;

          managers[i] = fake_manager_new ();
          pools[i] = make_pool_over (DB_CONNECTION_MANAGER (managers[i]), "max-connections=2");
          thread = g_thread_new ("short", borrow_once, pools[i]);
          g_thread_join (thread);
        }
      for (guint i = 0; i < G_N_ELEMENTS (pools); i++)
        {
          end_pool (pools[i]);
          assert_finalized_soon (managers[i]);
        }
    }
}

static void
thread_churn (World *world)
{
  make_pool (world, "max-connections=1");
  assert_steady (churn, world->pool, scaled (10000, 1000), 200 * 1024);
}

/* The four things that know each other; and the cancellable and error handlers of the user. */
typedef struct
{
  GObject *objects[4];
  gpointer weak[4];
} Quartet;

static void
got_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **) data = g_object_ref (result);
}

static void
quartet_make (Quartet *self)
{
  FakeManager *manager = fake_manager_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  DbPool *pool = make_pool_over (DB_CONNECTION_MANAGER (manager), "max-connections=2");
  GAsyncResult *result = NULL;
  g_autoptr (GError) error = NULL;

  db_pool_acquire_full_async (pool, 0, -1, "tag", cancellable, got_cb, &result);
  AWAIT (result != NULL);
  self->objects[0] = G_OBJECT (pool);
  self->objects[1] = G_OBJECT (manager);
  self->objects[2] = G_OBJECT (db_pool_acquire_full_finish (pool, result, &error));
  self->objects[3] = G_OBJECT (result);
  g_assert_no_error (error);
  for (guint i = 0; i < 4; i++)
    {
      self->weak[i] = self->objects[i];
      g_object_add_weak_pointer (self->objects[i], &self->weak[i]);
    }
  /* nothing of ours is left on what is the user's */
  g_assert_false (g_signal_has_handler_pending (cancellable,
                                                g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE),
                                                0, TRUE));
}

/* The last reference of some may be dropped on a thread of dbpool's. The weak pointers may not be
 * read meanwhile, so the ledger says when that is over. */
static void
quartet_free (Quartet *self, const guint *order)
{
  GWeakRef refs[4];

  for (guint i = 0; i < 4; i++)
    {
      g_object_remove_weak_pointer (self->objects[i], &self->weak[i]);
      g_weak_ref_init (&refs[i], self->objects[i]);
    }
  for (guint i = 0; i < 4; i++)
    g_object_unref (self->objects[order[i]]);
  for (guint i = 0; i < 4; i++)
    {
      GObject *left;

      while ((left = g_weak_ref_get (&refs[i])) != NULL)
        {
          g_object_unref (left);
          scenario_pause ();
        }
      g_weak_ref_clear (&refs[i]);
    }
}

/* MEM-06 */
static void
no_cycles (World *world)
{
  guint n_orders = 0;

  for (guint code = 0; code < 256; code++)
    {
      const guint order[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
      Quartet quartet;
      guint seen = 0;

      for (guint i = 0; i < 4; i++)
        seen |= 1u << order[i];
      if (seen != 15)
        continue;
      n_orders++;
      quartet_make (&quartet);
      quartet_free (&quartet, order);
    }
  g_assert_cmpuint (n_orders, ==, 24);
}

/* An acquire whose result nobody asks for, and one without a callback. */
static void
unfinished_results (World *world)
{
  GAsyncResult *result = NULL;

  make_pool (world, "max-connections=2");
  db_pool_acquire_async (world->pool, NULL, got_cb, &result);
  AWAIT (result != NULL);
  assert_stats (world->pool, "lent=1");
  g_object_unref (result);
  await_stats (world->pool, "lent=0 idle=1");
  db_pool_acquire_async (world->pool, NULL, NULL, NULL);
  AWAIT (stats_are (world->pool, "lent=0 waiting=0 idle=1"));
}

/* MEM-07. What fails, how: with a place for the error, and without. */
static void
assert_fails (GError *error, gboolean failed, gboolean asked)
{
  g_assert_true (failed);
  g_assert_true ((error != NULL) == asked);
  g_clear_error (&error);
}

/* In a scope with "error", which is the place that was passed if "ask". */
#define FAILS(failed)                                                                              \
  G_STMT_START                                                                                     \
  {                                                                                                \
    gboolean failed_ = (failed);                                                                   \
                                                                                                   \
    assert_fails (g_steal_pointer (&error), failed_, ask);                                         \
  }                                                                                                \
  G_STMT_END

static void
fail_pool_calls (DbPool *pool, GCancellable *cancelled, gboolean ask)
{
  GError *error = NULL;
  GError **place = ask ? &error : NULL;
  g_autoptr (FakeManager) manager = fake_manager_new ();

  FAILS (db_pool_acquire (pool, cancelled, place) == NULL);
  FAILS (db_pool_acquire_full (pool, 0, 0, NULL, NULL, place) == NULL);
  FAILS (db_pool_acquire_full (pool, 0, 1 * MS, NULL, NULL, place) == NULL);
  FAILS (db_pool_try_acquire (pool, place) == NULL);
  FAILS (db_pool_query (pool, "SELECT 1", NULL, cancelled, place) == NULL);
  FAILS (db_pool_execute (pool, "SELECT 1", NULL, cancelled, place) == -1);
  FAILS (db_pool_reconfigure (pool, DB_CONNECTION_MANAGER (manager), cancelled, place) == FALSE);
  FAILS (db_pool_warm_up (pool, 1, cancelled, place) == 0);
  FAILS (db_connection_manager_open_session (DB_CONNECTION_MANAGER (pool), cancelled, place) ==
         NULL);
}

static void
fail_connection_calls (DbConnection *connection, const char *sql, gboolean ask)
{
  GError *error = NULL;
  GError **place = ask ? &error : NULL;
  g_autoptr (DbParams) params = db_params_new ();

  FAILS (db_connection_query (connection, sql, NULL, NULL, place) == NULL);
  FAILS (db_connection_execute (connection, sql, NULL, NULL, place) == -1);
  FAILS (db_connection_query_params (connection, sql, params, NULL, place) == NULL);
  FAILS (db_connection_execute_params (connection, sql, params, NULL, place) == -1);
  FAILS (!db_connection_execute_script (connection, sql, NULL, place));
}

static void
error_discipline (World *world)
{
  g_autoptr (GCancellable) cancelled = g_cancellable_new ();
  g_autoptr (DbResult) result = NULL;
  DbConnection *connection;
  GError *untouched = NULL;

  make_pool (world, "max-connections=1 connection-timeout=60s");
  connection = acquire (world->pool);
  g_cancellable_cancel (cancelled);
  for (guint ask = 0; ask < 2; ask++)
    {
      fail_pool_calls (world->pool, cancelled, ask);
      fail_connection_calls (connection, "fail", ask);
      fail_connection_calls (connection, "fail silently", ask);
    }
  /* what succeeds leaves it alone */
  result = db_connection_query (connection, "SELECT 1", NULL, NULL, &untouched);
  g_assert_nonnull (result);
  g_assert_no_error (untouched);
  db_connection_release (connection);
  for (guint ask = 0; ask < 2; ask++)
    {
      GError *error = NULL;

      fail_connection_calls (connection, "SELECT 1", ask);
      FAILS (db_connection_begin (connection, 0, 0, NULL, ask ? &error : NULL) == NULL);
      FAILS (!db_connection_detach (connection, ask ? &error : NULL));
    }
  g_object_unref (connection);
  g_assert_true (db_pool_close (world->pool, 10 * SECOND, NULL, &untouched));
  g_assert_no_error (untouched);
  for (guint ask = 0; ask < 2; ask++)
    fail_pool_calls (world->pool, NULL, ask);
  assert_stats (world->pool, "total=0 created=1");
}

/* MEM-07: a manager that fails without saying why. */
static void
silent_manager (World *world)
{
  GError *error = NULL;

  make_pool (world, "max-connections=1 connection-timeout=100ms");
  fake_manager_fail_opens (world->manager, G_MAXUINT, NULL);
  for (guint ask = 0; ask < 2; ask++)
    FAILS (db_pool_acquire (world->pool, NULL, ask ? &error : NULL) == NULL);
  error = db_pool_dup_open_error (world->pool);
  g_assert_error (error, DB_ERROR, DB_ERROR_FAILED);
  g_clear_error (&error);
  fake_manager_fail_opens (world->manager, 0, NULL);
  AWAIT (({
    DbConnection *connection = db_pool_acquire (world->pool, NULL, NULL);
    gboolean works = connection != NULL;
    g_clear_object (&connection);
    works;
  }));
}

/* What a pool has before anybody uses it. The first has made what all pools share. */
static void
unused_pool (World *world)
{
  g_autoptr (FakeManager) manager = fake_manager_new ();
  g_autoptr (DbPool) first = db_pool_new (DB_CONNECTION_MANAGER (manager), NULL, NULL);
  const gsize before = in_use ();
  g_autoptr (DbPool) pool = db_pool_new (DB_CONNECTION_MANAGER (manager), NULL, NULL);
  const gsize after = in_use ();

  g_test_message ("%" G_GSIZE_FORMAT " bytes", after - before);
  g_assert_cmpuint (after - before, <=, 4096);
}

static void
add_all (void)
{
  scenario_add ("memory/unused-pool", unused_pool);
  scenario_add ("memory/steady-state", steady_state);
  scenario_add ("memory/steady-state-with-signals", steady_state_with_signals);
  scenario_add ("memory/grow-and-shrink", grow_and_shrink);
  scenario_add ("memory/thread-churn", thread_churn);
  scenario_add ("memory/no-cycles", no_cycles);
  scenario_add ("memory/unfinished-results", unfinished_results);
  scenario_add ("memory/error-discipline", error_discipline);
  scenario_add ("memory/silent-manager", silent_manager);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
