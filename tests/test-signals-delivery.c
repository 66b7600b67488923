/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* How the signals of a pool arrive, whatever they say: where, in which order, how often, and what
 * becomes of them when nobody listens, nobody fetches, a handler uses the pool, or the pool goes.
 * What they say is in test-signals.c. */

#include "config.h"

#include "db-pool-private.h"
#include "db-pool-signals-private.h"
#include "signals-fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(DB_TSAN)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static gpointer
borrow_thread (gpointer pool)
{
  borrow (pool, 1);
  return NULL;
}

static guint64
count_dropped (DbPool *pool)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  return db_pool_stats_get_events_dropped (stats);
}

/* With one session, its loans come one after the other, whoever has them. */
static void
test_order (void)
{
  Fixture fixture;
  GThread *threads[4];
  const guint n = 4 * 500; /* fewer events than may wait */

  set_up (&fixture, 1);
  listen_to_all (&fixture);
  for (guint round = 0; round < 500; round++)
    {
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        threads[i] = g_thread_new ("borrower", borrow_thread, fixture.pool);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        g_thread_join (threads[i]);
      if (round % 7 == 0)
        drain (&fixture);
    }
  await (&fixture, 1 + 2 * n);
  drain (&fixture);
  g_assert_cmpuint (fixture.log->len, ==, 1 + 2 * n);
  g_assert_cmpint (fixture.log->str[0], ==, 'c');
  for (guint i = 0; i < n; i++)
    g_assert_true (strncmp (fixture.log->str + 1 + 2 * i, "ar", 2) == 0);
  tear_down (&fixture);
}

typedef struct
{
  DbPool *pool;
  guint n;
} Borrower;

static gpointer
borrower_thread (gpointer data)
{
  Borrower *borrower = data;

  borrow (borrower->pool, borrower->n);
  return NULL;
}

/* At every point of the story no more are out than were made, while it is being told. */
static void
test_story (void)
{
  Fixture fixture;
  GThread *threads[4];
  Borrower borrower;
  const guint n = 4 * 500;
  int created = 0;
  int out = 0;

  set_up (&fixture, 3);
  listen_to_all (&fixture);
  borrower = (Borrower){fixture.pool, 500};
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("borrower", borrower_thread, &borrower);
  while (strchr (fixture.log->str, 'r') == NULL)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  await (&fixture, 1 + 2 * n);
  drain (&fixture);
  for (const char *letter = fixture.log->str; *letter != '\0'; letter++)
    {
      created += *letter == 'c';
      out += *letter == 'a';
      out -= *letter == 'r';
      g_assert_cmpint (out, >=, 0);
      g_assert_cmpint (out, <=, created);
    }
  g_assert_cmpint (out, ==, 0);
  g_assert_cmpint (created, >=, 1);
  g_assert_cmpint (created, <=, 3);
  g_assert_cmpuint (fixture.log->len, ==, created + 2 * n);
  g_assert_cmpuint (count_dropped (fixture.pool), ==, 0);
  tear_down (&fixture);
}

/* The home is another thread's context, and the pool is used only from elsewhere. */

typedef struct
{
  Fixture fixture;
  GMainLoop *loop;
  DbLock lock;
  DbCond cond;
  gboolean ready; /* lock */
  guint n;        /* lock: signals */
  GThread *thread;
} Home;

static void
home_cb (DbPool *pool, gint64 value, Home *home)
{
  g_assert_true (g_thread_self () == home->thread);
  g_assert_true (g_main_context_get_thread_default () == home->fixture.home);
  db_lock_lock (&home->lock);
  home->n++;
  db_cond_broadcast (&home->cond);
  db_lock_unlock (&home->lock);
}

static gpointer
home_thread (gpointer data)
{
  Home *home = data;
  Fixture *fixture = &home->fixture;

  g_main_context_push_thread_default (fixture->home);
  fixture->pool = make_pool (fixture->manager, 2);
  home->thread = g_thread_self ();
  g_signal_connect (fixture->pool, "connection-acquired", G_CALLBACK (home_cb), home);
  g_signal_connect (fixture->pool, "connection-returned", G_CALLBACK (home_cb), home);
  db_lock_lock (&home->lock);
  home->ready = TRUE;
  db_cond_broadcast (&home->cond);
  db_lock_unlock (&home->lock);
  g_main_loop_run (home->loop);
  g_main_context_pop_thread_default (fixture->home);
  return NULL;
}

static void
test_home (void)
{
  Home home = {0};
  GThread *thread, *borrowers[3];
  Borrower borrower;

  db_lock_init (&home.lock);
  db_cond_init (&home.cond);
  home.fixture.manager = fake_manager_new ();
  home.fixture.home = g_main_context_new ();
  home.fixture.log = g_string_new (NULL);
  home.loop = g_main_loop_new (home.fixture.home, FALSE);
  thread = g_thread_new ("home", home_thread, &home);
  db_lock_lock (&home.lock);
  while (!home.ready)
    db_cond_wait (&home.cond, &home.lock);
  db_lock_unlock (&home.lock);

  borrower = (Borrower){home.fixture.pool, 300};
  for (guint i = 0; i < G_N_ELEMENTS (borrowers); i++)
    borrowers[i] = g_thread_new ("borrower", borrower_thread, &borrower);
  borrow (home.fixture.pool, 100);
  for (guint i = 0; i < G_N_ELEMENTS (borrowers); i++)
    g_thread_join (borrowers[i]);
  db_lock_lock (&home.lock);
  while (home.n < 2 * (100 + 3 * 300))
    db_cond_wait (&home.cond, &home.lock);
  db_lock_unlock (&home.lock);

  g_main_loop_quit (home.loop);
  g_thread_join (thread);
  g_assert_cmpuint (home.n, ==, 2 * (100 + 3 * 300));
  g_main_loop_unref (home.loop);
  db_cond_clear (&home.cond);
  db_lock_clear (&home.lock);
  tear_down (&home.fixture); /* after the thread of its home */
}

/* How many sources were attached to @context since the last call but for this function's. */
static guint
count_new_sources (GMainContext *context, guint *last_id)
{
  g_autoptr (GSource) source = g_idle_source_new ();
  guint id = g_source_attach (source, context);
  guint n = id - *last_id - 1;

  g_source_destroy (source);
  *last_id = id;
  return n;
}

/* What nobody listens to does not even reach the ring. */
static void
assert_none_kept (DbPoolCore *core)
{
  GArray *events = db_pool_core_take_events (core);

  g_assert_cmpuint (events->len, ==, 0);
  g_array_unref (events);
}

static void
test_nobody_listens (void)
{
  Fixture fixture;
  g_autoptr (GMainContext) home = g_main_context_new ();
  DbPoolCore *core;
  guint last_id = 0;

  count_new_sources (home, &last_id);
  g_main_context_push_thread_default (home);
  set_up (&fixture, 1);
  g_main_context_pop_thread_default (home);
  core = fixture.pool->engine->core;
  borrow (fixture.pool, 10);
  db_pool_evict_idle (fixture.pool);
  g_assert_null (db_pool_acquire_full (fixture.pool, 0, 0, NULL, NULL, NULL));
  g_assert_cmpuint (count_new_sources (home, &last_id), ==, 0);
  assert_none_kept (core);

  /* One source for all, however many there are. */
  g_main_context_unref (fixture.home);
  fixture.home = g_main_context_ref (home);
  g_signal_connect (fixture.pool, "connection-acquired", G_CALLBACK (acquired_cb), &fixture);
  g_signal_connect (fixture.pool, "connection-returned", G_CALLBACK (returned_cb), &fixture);
  borrow (fixture.pool, 10);
  await (&fixture, 20);
  borrow (fixture.pool, 10);
  await (&fixture, 40);
  g_assert_cmpuint (count_new_sources (home, &last_id), ==, 1);
  tear_down (&fixture);
}

static void
test_connected_late (void)
{
  Fixture fixture;
  DbConnection *connection;

  set_up (&fixture, 1);
  connection = acquire (fixture.pool);
  g_signal_connect (fixture.pool, "connection-returned", G_CALLBACK (returned_cb), &fixture);
  g_object_unref (connection);
  assert_log (&fixture, "r");
  tear_down (&fixture);
}

static void
test_disconnected (void)
{
  Fixture fixture;
  DbPoolCore *core;
  gulong handler;

  set_up (&fixture, 1);
  core = fixture.pool->engine->core;
  handler =
    g_signal_connect (fixture.pool, "connection-returned", G_CALLBACK (returned_cb), &fixture);
  borrow (fixture.pool, 1);
  g_signal_handler_disconnect (fixture.pool, handler);
  assert_log (&fixture, ""); /* what waited is not for anybody any more */
  borrow (fixture.pool, 1);
  assert_none_kept (core);
  assert_log (&fixture, "");

  handler =
    g_signal_connect (fixture.pool, "connection-returned", G_CALLBACK (returned_cb), &fixture);
  g_signal_handler_block (fixture.pool, handler);
  borrow (fixture.pool, 1);
  assert_none_kept (core);
  assert_log (&fixture, "");
  g_signal_handler_unblock (fixture.pool, handler);
  borrow (fixture.pool, 1);
  assert_log (&fixture, "r");
  tear_down (&fixture);
}

/* Other threads look for listeners all the time; what they saw before a handler was connected must
 * not hide it from those who look later. */

typedef struct
{
  DbPool *pool;
  int stop; /* atomic */
} Looker;

static gpointer
looker_thread (gpointer data)
{
  Looker *looker = data;

  while (!g_atomic_int_get (&looker->stop))
    db_pool_listens (DB_EVENT_RETURNED, looker->pool);
  return NULL;
}

static void
test_exact (void)
{
  Fixture fixture;
  GThread *threads[2];
  Looker looker = {0};

  set_up (&fixture, 1);
  looker.pool = fixture.pool;
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("looker", looker_thread, &looker);
  for (guint i = 0; i < 5000; i++)
    {
      DbConnection *connection = acquire (fixture.pool);
      gulong handler =
        g_signal_connect (fixture.pool, "connection-returned", G_CALLBACK (returned_cb), &fixture);

      g_object_unref (connection);
      assert_log (&fixture, "r");
      g_signal_handler_disconnect (fixture.pool, handler);
    }
  g_atomic_int_set (&looker.stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  tear_down (&fixture);
}

/* Nobody iterates the home. */

static gsize
resident_bytes (void)
{
  g_autofree char *statm = NULL;
  unsigned long size = 0, resident = 0;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &statm, NULL, NULL));
  g_assert_cmpint (sscanf (statm, "%lu %lu", &size, &resident), ==, 2);
  return resident * (gsize) sysconf (_SC_PAGESIZE);
}

static void
test_burst (void)
{
  Fixture fixture;
  const guint n_loans = SANITIZED ? 50000 : 500000;
  const guint n_waiting = 4096;
  gsize before, after;

  set_up (&fixture, 1);
  borrow (fixture.pool, 20000);
  before = resident_bytes ();
  g_signal_connect (fixture.pool, "connection-acquired", G_CALLBACK (acquired_cb), &fixture);
  g_signal_connect (fixture.pool, "connection-returned", G_CALLBACK (returned_cb), &fixture);
  borrow (fixture.pool, n_loans);
  after = resident_bytes ();
  g_test_message ("%u events: %" G_GSIZE_FORMAT " KiB more", 2 * n_loans,
                  after > before ? (after - before) / 1024 : 0);
  g_assert_cmpuint (count_dropped (fixture.pool), ==, 2 * n_loans - n_waiting);
  /* The sanitizers keep what is freed. */
  if (!SANITIZED)
    g_assert_cmpuint (after, <, before + 1024 * 1024);

  /* The oldest are delivered, and then everything again. */
  await (&fixture, n_waiting);
  drain (&fixture);
  g_assert_cmpuint (fixture.log->len, ==, n_waiting);
  for (guint i = 0; i < n_waiting; i += 2)
    g_assert_true (strncmp (fixture.log->str + i, "ar", 2) == 0);
  g_string_truncate (fixture.log, 0);
  borrow (fixture.pool, 1);
  assert_log (&fixture, "ar");
  g_assert_cmpuint (count_dropped (fixture.pool), ==, 2 * n_loans - n_waiting);
  tear_down (&fixture);
}

/* A flood does not starve other sources of the same context. */

typedef struct
{
  Fixture *fixture;
  gsize seen;
  gsize most;
} Neighbour;

static gboolean
neighbour_cb (gpointer data)
{
  Neighbour *neighbour = data;
  gsize now = neighbour->fixture->log->len;

  neighbour->most = MAX (neighbour->most, now - neighbour->seen);
  neighbour->seen = now;
  return G_SOURCE_CONTINUE;
}

static void
test_neighbours (void)
{
  Fixture fixture;
  Neighbour neighbour = {&fixture, 0, 0};
  guint source;

  set_up (&fixture, 1);
  borrow (fixture.pool, 1);
  listen_to_all (&fixture);
  borrow (fixture.pool, 1750);
  source = g_idle_add_full (G_PRIORITY_DEFAULT, neighbour_cb, &neighbour, NULL);
  await (&fixture, 3500);
  g_main_context_iteration (NULL, TRUE);
  g_source_remove (source);
  g_assert_cmpuint (fixture.log->len, ==, 3500);
  g_assert_cmpuint (neighbour.seen, ==, 3500);
  g_assert_cmpuint (neighbour.most, <=, 1000);
  tear_down (&fixture);
}

/* The list of connections is brought up to date in the same source, now and then. */

static void
uses_cb (DbConnectionInfo *info, GParamSpec *pspec, guint *n)
{
  ++*n;
}

static void
test_list_is_throttled (void)
{
  Fixture fixture;
  g_autoptr (GListModel) list = NULL;
  g_autoptr (DbConnectionInfo) info = NULL;
  gint64 start;
  guint n = 0;
  guint loans = 1;

  set_up (&fixture, 1);
  borrow (fixture.pool, 1);
  list = db_pool_get_connections (fixture.pool);
  g_assert_cmpuint (g_list_model_get_n_items (list), ==, 1);
  info = g_list_model_get_item (list, 0);
  g_signal_connect (info, "notify::uses", G_CALLBACK (uses_cb), &n);
  start = g_get_monotonic_time ();
  while (n < 4)
    {
      borrow (fixture.pool, 1);
      loans++;
      drain (&fixture);
      /* The first may come at once. */
      g_assert_cmpint ((n > 0 ? n - 1 : 0) * 10 * MS, <=, g_get_monotonic_time () - start);
    }
  while (db_connection_info_get_uses (info) < loans)
    g_main_context_iteration (fixture.home, TRUE);
  g_assert_cmpuint (db_connection_info_get_uses (info), ==, loans);
  g_clear_object (&info);
  g_clear_object (&list);
  tear_down (&fixture);
}

/* Handlers that use the pool. */

static void
borrowing_cb (DbPool *pool, gint64 value, Fixture *fixture)
{
  if (fixture->log->len < 50)
    borrow (pool, 1);
  g_string_append_c (fixture->log, 'R');
}

static void
test_borrowing_handler (void)
{
  Fixture fixture;

  set_up (&fixture, 1);
  g_signal_connect (fixture.pool, "connection-returned", G_CALLBACK (borrowing_cb), &fixture);
  borrow (fixture.pool, 1);
  await (&fixture, 51);
  drain (&fixture);
  g_assert_cmpuint (fixture.log->len, ==, 51);
  tear_down (&fixture);
}

/* Waits in a main loop for what comes next, like a modal dialog. */
static void
waiting_cb (DbPool *pool, gint64 value, Fixture *fixture)
{
  g_string_append_c (fixture->log, 'A');
  if (fixture->log->len == 1)
    {
      await (fixture, 3);
      borrow (pool, 1);
      await (fixture, 7);
    }
}

static void
test_nested_loop (void)
{
  Fixture fixture;

  set_up (&fixture, 1);
  borrow (fixture.pool, 1);
  g_signal_connect (fixture.pool, "connection-acquired", G_CALLBACK (waiting_cb), &fixture);
  g_signal_connect (fixture.pool, "connection-returned", G_CALLBACK (returned_cb), &fixture);
  borrow (fixture.pool, 3);
  assert_log (&fixture, "ArArArAr");
  tear_down (&fixture);
}

/* The last reference is dropped by a handler, with more to tell. */

typedef struct
{
  DbPool *pool;
  guint *n_calls;
} Owner;

static void
dropping_cb (DbPool *pool, gint64 value, Owner *owner)
{
  ++*owner->n_calls;
  g_assert_true (pool == owner->pool);
  g_object_unref (owner->pool);
  g_free (owner);
}

static void
test_dropped_by_handler (void)
{
  Fixture fixture;
  Owner *owner = g_new0 (Owner, 1);
  guint n_calls = 0;
  gpointer weak;

  set_up (&fixture, 1);
  borrow (fixture.pool, 1);
  owner->n_calls = &n_calls;
  owner->pool = weak = g_steal_pointer (&fixture.pool);
  g_object_add_weak_pointer (G_OBJECT (owner->pool), &weak);
  g_signal_connect (owner->pool, "connection-returned", G_CALLBACK (dropping_cb), owner);
  borrow (owner->pool, 5);
  while (n_calls == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_null (weak);
  drain (&fixture);
  g_assert_cmpuint (n_calls, ==, 1);
  tear_down (&fixture);
}

static void
test_dropped_with_events (void)
{
  Fixture fixture;
  gpointer weak;

  set_up (&fixture, 1);
  listen_to_all (&fixture);
  borrow (fixture.pool, 1000);
  weak = fixture.pool;
  g_object_add_weak_pointer (G_OBJECT (fixture.pool), &weak);
  g_clear_object (&fixture.pool);
  g_assert_null (weak);
  drain (&fixture);
  g_assert_cmpstr (fixture.log->str, ==, "");
  tear_down (&fixture);
}

/* In the middle of a batch, and with connections out that come back later. */
static void
test_dropped_with_loans (void)
{
  Fixture fixture;
  DbConnection *connection;

  set_up (&fixture, 1);
  listen_to_all (&fixture);
  borrow (fixture.pool, 1000);
  connection = acquire (fixture.pool);
  /* The first event may still be on its way: it came from the thread that opened the session. */
  while (fixture.log->len == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (fixture.log->len, <=, 1000);
  g_string_truncate (fixture.log, 0);
  g_clear_object (&fixture.pool);
  g_object_unref (connection);
  drain (&fixture);
  g_assert_cmpstr (fixture.log->str, ==, "");
  tear_down (&fixture);
}

/* The home's thread ended, and its context is the pool's alone. */
static void
test_home_is_gone (void)
{
  Fixture fixture;
  GMainContext *home = g_main_context_new ();

  g_main_context_push_thread_default (home);
  set_up (&fixture, 1);
  g_main_context_pop_thread_default (home);
  g_main_context_unref (home);
  listen_to_all (&fixture);
  borrow (fixture.pool, 10000);
  g_assert_cmpuint (count_dropped (fixture.pool), >=, 20000 - 4096);
  tear_down (&fixture);
}

/* A child neither hears what waited for its parent, nor takes it away. */
static void
test_fork (void)
{
  Fixture fixture;
  int status = 0;
  pid_t pid;

  set_up (&fixture, 1);
  borrow (fixture.pool, 1);
  listen_to_all (&fixture);
  borrow (fixture.pool, 600);
  g_main_context_iteration (fixture.home, TRUE);
  borrow (fixture.pool, 600);
  g_assert_cmpuint (fixture.log->len, ==, 1000);
  g_string_truncate (fixture.log, 0);
  pid = fork ();
  if (pid == 0)
    {
      if (db_pool_acquire (fixture.pool, NULL, NULL) != NULL)
        _exit (1);
      drain (&fixture);
      if (fixture.log->len != 0)
        _exit (2);
      g_object_unref (fixture.pool);
      drain (&fixture);
      _exit (fixture.log->len == 0 ? 0 : 3);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  await (&fixture, 200 + 1200);
  drain (&fixture);
  g_assert_cmpuint (fixture.log->len, ==, 200 + 1200);
  tear_down (&fixture);
}

/* Threads borrow while handlers come and go, until the pool goes. */

static gpointer
own_borrower_thread (gpointer data)
{
  Borrower *borrower = data;

  borrow (borrower->pool, borrower->n);
  g_object_unref (borrower->pool);
  return NULL;
}

static void
count_cb (DbPool *pool, gint64 value, guint *n)
{
  ++*n;
}

static void
test_churn (void)
{
  for (guint round = 0; round < 20; round++)
    {
      Fixture fixture;
      GThread *threads[3];
      Borrower borrowers[3];
      guint n = 0;

      set_up (&fixture, 2);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        {
          borrowers[i] = (Borrower){g_object_ref (fixture.pool), 200};
          threads[i] = g_thread_new ("borrower", own_borrower_thread, &borrowers[i]);
        }
      for (guint i = 0; i < 100; i++)
        {
          gulong handler =
            g_signal_connect (fixture.pool, "connection-returned", G_CALLBACK (count_cb), &n);

          g_main_context_iteration (NULL, FALSE);
          g_signal_handler_disconnect (fixture.pool, handler);
        }
      g_signal_connect (fixture.pool, "connection-returned", G_CALLBACK (count_cb), &n);
      g_clear_object (&fixture.pool);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        g_thread_join (threads[i]);
      drain (&fixture);
      g_assert_cmpuint (n, <=, 3 * 200);
      tear_down (&fixture);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (240); /* the watchdog of every wait above */

#define ADD(path, func) g_test_add_func ("/signals/" path, func)
  ADD ("order", test_order);
  ADD ("story", test_story);
  ADD ("home", test_home);
  ADD ("home-is-gone", test_home_is_gone);
  ADD ("nobody-listens", test_nobody_listens);
  ADD ("connected-late", test_connected_late);
  ADD ("disconnected", test_disconnected);
  ADD ("exact", test_exact);
  ADD ("burst", test_burst);
  ADD ("neighbours", test_neighbours);
  ADD ("list", test_list_is_throttled);
  ADD ("handler/borrows", test_borrowing_handler);
  ADD ("handler/runs-a-loop", test_nested_loop);
  ADD ("handler/drops-the-pool", test_dropped_by_handler);
  ADD ("dropped/with-events", test_dropped_with_events);
  ADD ("dropped/with-loans", test_dropped_with_loans);
  ADD ("fork", test_fork);
  ADD ("churn", test_churn);
#undef ADD
  return g_test_run ();
}
