/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The signals of a pool: what arrives, where, in which order, how often, and what becomes of it
 * when nobody listens, nobody fetches, or the pool goes. */

#include "config.h"

#include "db-pool-private.h"
#include "db-pool-signals-private.h"
#include "fake-manager.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS G_TIME_SPAN_MILLISECOND
#define SECOND G_TIME_SPAN_SECOND

#if defined(__SANITIZE_ADDRESS__) || defined(DB_TSAN)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* Handlers write one letter for each signal: c(reated) a(cquired) r(eturned) d(ropped) f(ailed)
 * l(eak) x (deadlock) b(ackground error). */
typedef struct
{
  FakeManager *manager;
  DbPool *pool;
  GMainContext *home;
  GString *log;
  gint64 value; /* of the last signal, like all below */
  DbDropReason reason;
  GError *error;
  char *text;
} Fixture;

static DbPool *
make_pool (FakeManager *manager, guint max)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  GError *error = NULL;
  DbPool *pool;

  g_object_set (config, "max-connections", max, "connection-timeout", 20 * SECOND, "name", "tested",
                NULL);
  pool = db_pool_new (DB_CONNECTION_MANAGER (manager), config, &error);
  g_assert_no_error (error);
  return pool;
}

static void
set_up (Fixture *fixture, guint max)
{
  memset (fixture, 0, sizeof *fixture);
  fixture->manager = fake_manager_new ();
  fixture->home = g_main_context_ref (g_main_context_default ());
  fixture->pool = make_pool (fixture->manager, max);
  fixture->log = g_string_new (NULL);
}

/* Drops what must be the last reference but for that of a thread of dbpool's which is about to end.
 */
static void
assert_finalized_soon (gpointer object)
{
  GWeakRef weak;
  GObject *left;

  g_weak_ref_init (&weak, object);
  g_object_unref (object);
  while ((left = g_weak_ref_get (&weak)) != NULL)
    {
      g_object_unref (left);
      g_thread_yield ();
    }
  g_weak_ref_clear (&weak);
}

static void
tear_down (Fixture *fixture)
{
  GError *error = NULL;

  if (fixture->pool != NULL)
    {
      db_pool_close (fixture->pool, 10 * SECOND, NULL, &error);
      g_assert_no_error (error);
      assert_finalized_soon (fixture->pool);
    }
  assert_finalized_soon (fixture->manager);
  g_main_context_unref (fixture->home);
  g_string_free (fixture->log, TRUE);
  g_clear_error (&fixture->error);
  g_free (fixture->text);
}

/* In every handler: the context is the right one, and no lock is held. */
static void
note (Fixture *fixture, DbPool *pool, char letter)
{
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

  g_assert_true (g_main_context_is_owner (fixture->home));
  g_string_append_c (fixture->log, letter);
}

static void
acquired_cb (DbPool *pool, gint64 value, Fixture *fixture)
{
  g_assert_cmpint (value, >=, 0);
  fixture->value = value;
  note (fixture, pool, 'a');
}

static void
returned_cb (DbPool *pool, gint64 value, Fixture *fixture)
{
  g_assert_cmpint (value, >=, 0);
  fixture->value = value;
  note (fixture, pool, 'r');
}

static void
created_cb (DbPool *pool, gint64 value, Fixture *fixture)
{
  g_assert_cmpint (value, >=, 0);
  fixture->value = value;
  note (fixture, pool, 'c');
}

static void
dropped_cb (DbPool *pool, DbDropReason reason, Fixture *fixture)
{
  fixture->reason = reason;
  note (fixture, pool, 'd');
}

static void
keep_error (Fixture *fixture, const GError *error)
{
  g_assert_nonnull (error);
  g_clear_error (&fixture->error);
  fixture->error = g_error_copy (error);
}

static void
failed_cb (DbPool *pool, GError *error, Fixture *fixture)
{
  keep_error (fixture, error);
  note (fixture, pool, 'f');
}

static void
background_cb (DbPool *pool, GError *error, Fixture *fixture)
{
  keep_error (fixture, error);
  note (fixture, pool, 'b');
}

static void
leak_cb (DbPool *pool, const char *holder, gint64 held, Fixture *fixture)
{
  g_free (fixture->text);
  fixture->text = g_strdup (holder);
  fixture->value = held;
  note (fixture, pool, 'l');
}

static void
deadlock_cb (DbPool *pool, const char *holders, Fixture *fixture)
{
  g_free (fixture->text);
  fixture->text = g_strdup (holders);
  note (fixture, pool, 'x');
}

static void
listen (Fixture *fixture)
{
  g_object_connect (fixture->pool, "signal::connection-acquired", acquired_cb, fixture,
                    "signal::connection-returned", returned_cb, fixture,
                    "signal::connection-created", created_cb, fixture, "signal::connection-dropped",
                    dropped_cb, fixture, "signal::acquire-failed", failed_cb, fixture,
                    "signal::leak-suspected", leak_cb, fixture, "signal::deadlock-detected",
                    deadlock_cb, fixture, "signal::background-error", background_cb, fixture, NULL);
}

/* Waits for @n signals, counted from the last clear. */
static void
await (Fixture *fixture, gsize n)
{
  while (fixture->log->len < n)
    g_main_context_iteration (fixture->home, TRUE);
}

static void
drain (Fixture *fixture)
{
  while (g_main_context_iteration (fixture->home, FALSE))
    ;
}

/* Waits for as many signals as @expected has letters; they are these, and nothing comes after. */
static void
assert_log (Fixture *fixture, const char *expected)
{
  await (fixture, strlen (expected));
  drain (fixture);
  g_assert_cmpstr (fixture->log->str, ==, expected);
  g_string_truncate (fixture->log, 0);
}

static DbConnection *
acquire (DbPool *pool)
{
  GError *error = NULL;
  DbConnection *connection = db_pool_acquire (pool, NULL, &error);

  g_assert_no_error (error);
  return connection;
}

static void
borrow (DbPool *pool, guint n)
{
  for (guint i = 0; i < n; i++)
    g_object_unref (acquire (pool));
}

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

static void
test_loan (void)
{
  Fixture fixture;
  DbConnection *connection;
  gint64 lent_at;

  set_up (&fixture, 1);
  fake_manager_delay (fixture.manager, FAKE_OPEN, 5 * MS);
  listen (&fixture);
  connection = acquire (fixture.pool);
  g_assert_cmpuint (fixture.log->len, ==, 0);
  await (&fixture, 1);
  g_assert_cmpint (fixture.log->str[0], ==, 'c');
  assert_log (&fixture, "ca");
  g_assert_cmpint (fixture.value, >=, 5 * MS); /* it waited for the open */

  lent_at = g_get_monotonic_time ();
  while (g_get_monotonic_time () < lent_at + 3 * MS)
    g_thread_yield ();
  db_connection_release (connection);
  db_connection_release (connection);
  assert_log (&fixture, "r");
  g_assert_cmpint (fixture.value, >=, 3 * MS);
  g_object_unref (connection);
  assert_log (&fixture, "");

  borrow (fixture.pool, 2);
  assert_log (&fixture, "arar");
  db_pool_close (fixture.pool, 10 * SECOND, NULL, NULL);
  assert_log (&fixture, "d");
  g_assert_cmpint (fixture.reason, ==, DB_DROP_CLOSED);
  tear_down (&fixture);
}

static void
test_created (void)
{
  Fixture fixture;

  set_up (&fixture, 1);
  fake_manager_delay (fixture.manager, FAKE_OPEN, 5 * MS);
  g_signal_connect (fixture.pool, "connection-created", G_CALLBACK (created_cb), &fixture);
  borrow (fixture.pool, 3);
  assert_log (&fixture, "c");
  g_assert_cmpint (fixture.value, >=, 5 * MS);
  tear_down (&fixture);
}

static void
test_drop_reasons (void)
{
  Fixture fixture;
  DbConnection *connection;

  set_up (&fixture, 1);
  g_signal_connect (fixture.pool, "connection-dropped", G_CALLBACK (dropped_cb), &fixture);
  borrow (fixture.pool, 1);
  db_pool_evict_idle (fixture.pool);
  assert_log (&fixture, "d");
  g_assert_cmpint (fixture.reason, ==, DB_DROP_EVICTED);

  connection = acquire (fixture.pool);
  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_BROKEN);
  g_object_unref (connection);
  assert_log (&fixture, "d");
  g_assert_cmpint (fixture.reason, ==, DB_DROP_BROKEN);
  tear_down (&fixture);
}

/* A handler that was connected while a connection was out sees what becomes of its session,
 * whatever else somebody listens to. */
static void
test_drop_seen_late (void)
{
  Fixture fixture;
  DbConnection *connection;

  set_up (&fixture, 1);
  connection = acquire (fixture.pool);
  fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_BROKEN);
  g_signal_connect (fixture.pool, "connection-dropped", G_CALLBACK (dropped_cb), &fixture);
  g_object_unref (connection);
  assert_log (&fixture, "d");
  g_assert_cmpint (fixture.reason, ==, DB_DROP_BROKEN);
  tear_down (&fixture);
}

/* Nobody does anything: the pool's own timer does. */
static void
test_drop_by_timer (void)
{
  Fixture fixture;

  set_up (&fixture, 1);
  g_object_set (db_pool_get_config (fixture.pool), "idle-timeout", 20 * MS, NULL);
  borrow (fixture.pool, 1);
  g_signal_connect (fixture.pool, "connection-dropped", G_CALLBACK (dropped_cb), &fixture);
  assert_log (&fixture, "d");
  g_assert_cmpint (fixture.reason, ==, DB_DROP_IDLE);
  tear_down (&fixture);
}

static void
finish_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  gboolean *done = data;
  GError *error = NULL;

  g_assert_null (db_pool_acquire_full_finish (DB_POOL (source), result, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_clear_error (&error);
  *done = TRUE;
}

static void
test_acquire_failed (void)
{
  Fixture fixture;
  DbConnection *held;
  GError *error = NULL;
  gboolean done = FALSE;

  set_up (&fixture, 1);
  held = acquire (fixture.pool);
  g_signal_connect (fixture.pool, "acquire-failed", G_CALLBACK (failed_cb), &fixture);

  g_assert_null (db_pool_try_acquire (fixture.pool, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_EXHAUSTED);
  assert_log (&fixture, "f");
  g_assert_error (fixture.error, DB_ERROR, DB_ERROR_EXHAUSTED);
  g_assert_cmpstr (fixture.error->message, ==, error->message);
  g_clear_error (&error);

  /* also when the caller is not interested in the error */
  g_assert_null (db_pool_acquire_full (fixture.pool, DB_ACQUIRE_NONE, MS, NULL, NULL, NULL));
  assert_log (&fixture, "f");
  g_assert_error (fixture.error, DB_ERROR, DB_ERROR_TIMEOUT);

  db_pool_acquire_full_async (fixture.pool, DB_ACQUIRE_NONE, MS, NULL, NULL, finish_cb, &done);
  while (!done)
    g_main_context_iteration (NULL, TRUE);
  assert_log (&fixture, "f");
  g_assert_error (fixture.error, DB_ERROR, DB_ERROR_TIMEOUT);

  g_object_unref (held);
  db_pool_close (fixture.pool, 10 * SECOND, NULL, NULL);
  g_assert_null (db_pool_acquire (fixture.pool, NULL, NULL));
  assert_log (&fixture, "f");
  g_assert_error (fixture.error, DB_ERROR, DB_ERROR_CLOSED);
  tear_down (&fixture);
}

/* A session that is to be there without anybody waiting for it cannot be opened. */
static void
test_background_error (void)
{
  g_autoptr (GError) refused = g_error_new (DB_ERROR, DB_ERROR_CONNECTION, "simulated refusal");
  Fixture fixture;

  set_up (&fixture, 2);
  borrow (fixture.pool, 1);
  g_signal_connect (fixture.pool, "background-error", G_CALLBACK (background_cb), &fixture);
  fake_manager_fail_opens (fixture.manager, 1, refused);
  g_object_set (db_pool_get_config (fixture.pool), "min-connections", 2, NULL);
  fake_manager_await_opens (fixture.manager, 3); /* it tries again by itself */
  assert_log (&fixture, "b");
  g_assert_error (fixture.error, DB_ERROR, DB_ERROR_CONNECTION);
  g_assert_nonnull (strstr (fixture.error->message, "simulated refusal"));
  tear_down (&fixture);
}

/* Leaks. */

static gboolean
set_cb (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

/* Iterates the main context for so long. */
static void
let_pass (gint64 time)
{
  gboolean over = FALSE;

  g_timeout_add ((guint) (time / MS), set_cb, &over);
  while (!over)
    g_main_context_iteration (NULL, TRUE);
}

static void
leak_once (Fixture *fixture, const char *tag, gint64 threshold)
{
  g_autofree char *warning =
    g_strdup_printf ("*pool tested: a connection has been out for * s*%s*", tag);
  g_autofree char *note = g_strdup_printf ("*pool tested: the connection of %s is back*", tag);
  DbConnection *connection;

  g_test_expect_message ("dbpool", G_LOG_LEVEL_WARNING, warning);
  connection = db_pool_acquire_full (fixture->pool, DB_ACQUIRE_NONE, -1, tag, NULL, NULL);
  g_assert_nonnull (connection);
  await (fixture, 1);
  g_test_assert_expected_messages ();
  let_pass (4 * threshold);
  assert_log (fixture, "l");
  g_assert_cmpint (fixture->value, >=, threshold);
  g_assert_nonnull (strstr (fixture->text, tag));

  g_test_expect_message ("dbpool", G_LOG_LEVEL_MESSAGE, note);
  db_connection_release (connection);
  g_test_assert_expected_messages ();
  g_object_unref (connection);
}

static void
test_leak (void)
{
  Fixture fixture;
  const gint64 threshold = 50 * MS;
  g_autoptr (DbPoolStats) stats = NULL;

  set_up (&fixture, 2);
  g_object_set (db_pool_get_config (fixture.pool), "leak-threshold", threshold, NULL);
  g_signal_connect (fixture.pool, "leak-suspected", G_CALLBACK (leak_cb), &fixture);
  borrow (fixture.pool, 100);
  leak_once (&fixture, "forgetful", threshold);
  leak_once (&fixture, "again", threshold);
  stats = db_pool_get_stats (fixture.pool);
  g_assert_cmpuint (db_pool_stats_get_leaks (stats), ==, 2);
  assert_log (&fixture, "");
  tear_down (&fixture);
}

/* Threads that each hold a connection and want another. */

#define DEADLOCK "*each of its connections is held by a thread that itself waits*"

static void
wait_for_another (DbPool *pool, gint64 timeout, GQuark domain, int code)
{
  GError *error = NULL;

  g_assert_null (db_pool_acquire_full (pool, DB_ACQUIRE_NONE, timeout, "nested", NULL, &error));
  g_assert_error (error, domain, code);
  g_error_free (error);
}

static void
test_deadlock (void)
{
  Fixture fixture;
  DbConnection *held;

  set_up (&fixture, 1);
  g_signal_connect (fixture.pool, "deadlock-detected", G_CALLBACK (deadlock_cb), &fixture);
  held = db_pool_acquire_full (fixture.pool, DB_ACQUIRE_NONE, -1, "outer", NULL, NULL);
  g_test_expect_message ("dbpool", G_LOG_LEVEL_MESSAGE, DEADLOCK);
  wait_for_another (fixture.pool, 20 * MS, DB_ERROR, DB_ERROR_TIMEOUT);
  g_test_assert_expected_messages ();
  assert_log (&fixture, "x");
  g_assert_nonnull (strstr (fixture.text, "outer"));
  /* It is no news before somebody gave a connection back. */
  wait_for_another (fixture.pool, 20 * MS, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_log (&fixture, "");
  g_object_unref (held);
  borrow (fixture.pool, 3);
  assert_log (&fixture, "");

  /* Then it is told again, but not written to the log. */
  held = acquire (fixture.pool);
  g_test_expect_message ("dbpool", G_LOG_LEVEL_MESSAGE, "mark");
  wait_for_another (fixture.pool, 20 * MS, DB_ERROR, DB_ERROR_TIMEOUT);
  g_log ("dbpool", G_LOG_LEVEL_MESSAGE, "mark");
  g_test_assert_expected_messages ();
  assert_log (&fixture, "x");
  g_object_unref (held);
  tear_down (&fixture);
}

typedef struct
{
  DbPool *pool;
  const char *tag;
  GCancellable *cancellable;
  int *n_holders; /* atomic */
} Nester;

static gpointer
nester_thread (gpointer data)
{
  Nester *nester = data;
  GError *error = NULL;
  DbConnection *outer =
    db_pool_acquire_full (nester->pool, DB_ACQUIRE_NONE, -1, nester->tag, NULL, &error);
  DbConnection *inner;

  g_assert_no_error (error);
  g_atomic_int_inc (nester->n_holders);
  while (g_atomic_int_get (nester->n_holders) < 2)
    g_thread_yield ();
  /* Who is not cancelled first may get what the other one returns. */
  inner = db_pool_acquire_full (nester->pool, DB_ACQUIRE_NONE, G_MAXINT64, "nested",
                                nester->cancellable, &error);
  if (inner == NULL)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_clear_object (&inner);
  g_object_unref (outer);
  return NULL;
}

static void
test_deadlock_of_two (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Fixture fixture;
  Nester nesters[2];
  GThread *threads[2];
  int n_holders = 0;

  set_up (&fixture, 2);
  g_signal_connect (fixture.pool, "deadlock-detected", G_CALLBACK (deadlock_cb), &fixture);
  g_test_expect_message ("dbpool", G_LOG_LEVEL_MESSAGE, DEADLOCK);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      nesters[i] = (Nester){fixture.pool, i == 0 ? "first" : "second", cancellable, &n_holders};
      threads[i] = g_thread_new ("nester", nester_thread, &nesters[i]);
    }
  assert_log (&fixture, "x");
  g_assert_nonnull (strstr (fixture.text, "first"));
  g_assert_nonnull (strstr (fixture.text, "second"));
  g_cancellable_cancel (cancellable);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_test_assert_expected_messages ();
  assert_log (&fixture, "");
  tear_down (&fixture);
}

/* With one session, its loans come one after the other, whoever has them. */
static void
test_order (void)
{
  Fixture fixture;
  GThread *threads[4];
  const guint n = 4 * 500; /* fewer events than may wait */

  set_up (&fixture, 1);
  listen (&fixture);
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
  listen (&fixture);
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

static void
test_nobody_listens (void)
{
  Fixture fixture;
  g_autoptr (GMainContext) home = g_main_context_new ();
  DbPoolCore *core;
  GArray *events;
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
  g_assert_cmpuint (db_pool_core_get_listeners (core), ==, 0);
  events = db_pool_core_take_events (core);
  g_assert_cmpuint (events->len, ==, 0);
  g_array_unref (events);

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
  g_assert_cmpuint (db_pool_core_get_listeners (core) & (1u << DB_EVENT_RETURNED), ==, 0);
  assert_log (&fixture, "");

  handler =
    g_signal_connect (fixture.pool, "connection-returned", G_CALLBACK (returned_cb), &fixture);
  g_signal_handler_block (fixture.pool, handler);
  borrow (fixture.pool, 1);
  g_assert_cmpuint (db_pool_core_get_listeners (core) & (1u << DB_EVENT_RETURNED), ==, 0);
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
    db_pool_home_look_for_listeners (looker->pool->engine->home, looker->pool->engine->core,
                                     1u << DB_EVENT_RETURNED | 1u << DB_EVENT_DROPPED);
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
  listen (&fixture);
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
  listen (&fixture);
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
  listen (&fixture);
  borrow (fixture.pool, 1000);
  connection = acquire (fixture.pool);
  g_main_context_iteration (NULL, FALSE);
  g_assert_cmpuint (fixture.log->len, >, 0);
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
  listen (&fixture);
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
  listen (&fixture);
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
  ADD ("loan", test_loan);
  ADD ("created", test_created);
  ADD ("drop-reasons", test_drop_reasons);
  ADD ("drop-seen-late", test_drop_seen_late);
  ADD ("drop-by-timer", test_drop_by_timer);
  ADD ("acquire-failed", test_acquire_failed);
  ADD ("background-error", test_background_error);
  ADD ("leak", test_leak);
  ADD ("deadlock", test_deadlock);
  ADD ("deadlock-of-two", test_deadlock_of_two);
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
