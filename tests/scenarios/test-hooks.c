/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Functions of the application's that a pool asks.
 *
 * Here: HOK-01, HOK-02 (a rejected session is replaced, so callers see only what cannot be mended),
 * HOK-03 (the hook is asked for fresh sessions, too), HOK-05 (in dbpool's order of events), HOK-06,
 * HOK-07, HOK-08 (the manager's reset is that hook). HOK-01 and HOK-08 are also in test-servers.c,
 * with a real server; HOK-10 is in test-events.c.
 * Not here: HOK-04, HOK-09 (dbpool has no hook after a release or before a close). */

#include "config.h"

#include "scenario.h"

/* What a hook of these tests does; what changes while it is in use is atomic. */
typedef struct
{
  gint n_calls;
  gint n_rejected;
  gint reject_every;               /* 2: the second, the fourth, …; 1: all; 0: none */
  gint reject_first;               /* or the first so many */
  gint leave_state;                /* DbSessionState that it leaves the session in */
  gint silent;                     /* rejects without an error */
  gint permanent;                  /* rejects with an error that trying again does not heal */
  int code;                        /* or with this one */
  void (*rejects) (gpointer data); /* called before it rejects */
  gpointer rejects_data;
  gint hang;
  gint n_inside;
  const char *sql;
  gboolean keep;
  DbConnection *kept; /* the subject of the last call */
} Hook;

static void
use_subject (Hook *self, GObject *subject)
{
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;

  if (!DB_IS_CONNECTION (subject))
    return;
  g_assert_false (db_connection_is_released (DB_CONNECTION (subject)));
  if (self->sql == NULL)
    return;
  result = db_connection_query (DB_CONNECTION (subject), self->sql, NULL, NULL, &error);
  g_assert_no_error (error);
}

static gboolean
hook (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  Hook *self = data;
  gint n = g_atomic_int_add (&self->n_calls, 1) + 1;
  gint every = g_atomic_int_get (&self->reject_every);

  g_assert_true (DB_IS_POOL (pool));
  g_atomic_int_inc (&self->n_inside);
  while (g_atomic_int_get (&self->hang))
    g_usleep (1000);
  use_subject (self, subject);
  if (self->leave_state != DB_SESSION_IDLE)
    fake_session_set_state (fake_connection_get_session (DB_CONNECTION (subject)),
                            self->leave_state);
  if (self->keep)
    g_set_object (&self->kept, DB_CONNECTION (subject));
  g_atomic_int_add (&self->n_inside, -1);
  if ((every == 0 || n % every != 0) && n > g_atomic_int_get (&self->reject_first))
    return TRUE;
  g_atomic_int_inc (&self->n_rejected);
  if (self->rejects != NULL)
    self->rejects (self->rejects_data);
  if (!self->silent)
    g_set_error_literal (error, DB_ERROR,
                         self->code != 0   ? self->code
                         : self->permanent ? DB_ERROR_CONFIGURATION
                                           : DB_ERROR_CONNECTION,
                         "simulated rejection");
  return FALSE;
}

static gint
n_calls (Hook *self)
{
  return g_atomic_int_get (&self->n_calls);
}

/* A loan that succeeds, and ends at once. Returns the session's number. */
static guint
borrow (World *world)
{
  g_autoptr (Caller) caller = caller_start (world);

  caller_wait_connection (caller);
  return caller->id;
}

/* HOK-01 */
static void
after_connect_once (World *world)
{
  Hook after = {.sql = "SELECT 1"};
  DbConnection *a;
  DbConnection *b;

  make_pool (world, "max-connections=2");
  db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT, hook, &after, NULL);
  a = acquire (world->pool);
  b = acquire (world->pool);
  g_assert_cmpint (n_calls (&after), ==, 2);
  g_object_unref (a);
  g_object_unref (b);
  for (guint i = 0; i < 10; i++)
    borrow (world);
  g_assert_cmpint (n_calls (&after), ==, 2);
  g_assert_cmpuint (fake_manager_get_record (world->manager, 1).runs, ==, 1);
  g_assert_cmpuint (fake_manager_get_record (world->manager, 2).runs, ==, 1);
  a = acquire (world->pool);
  fake_session_set_state (fake_connection_get_session (a), DB_SESSION_BROKEN);
  g_object_unref (a);
  b = acquire (world->pool);
  g_object_unref (acquire (world->pool));
  g_object_unref (b);
  g_assert_cmpint (n_calls (&after), ==, 3);
  assert_stats (world->pool, "created=3 dropped-broken=1 dropped=1");
}

/* Whatever the session is asked for, it has been through the hook: by whom it is opened. */
static void
after_connect_for_fills (World *world)
{
  Hook after = {.sql = "SELECT 1"};
  Hook before = {0};

  make_pool (world, "min-connections=2 max-connections=4");
  db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT, hook, &after, NULL);
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, hook, &before, NULL);
  g_assert_cmpuint (db_pool_warm_up (world->pool, 3, NULL, NULL), ==, 3);
  await_stats (world->pool, "idle=3 requests=0 acquired=0");
  g_assert_cmpint (n_calls (&after), ==, 3);
  g_assert_cmpint (n_calls (&before), ==, 0);
}

/* The state that the hook makes is the one to go back to: where a reset cleans, it is asked again.
 */
static void
after_connect_after_a_reset (World *world)
{
  Hook after = {.sql = "SET"};

  make_pool (world, "max-connections=1 reset-level=dirty");
  db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT, hook, &after, NULL);
  borrow (world);
  /* what it did itself is no reason to clean */
  borrow (world);
  g_assert_cmpint (n_calls (&after), ==, 1);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).resets, ==, 0);
  {
    g_autoptr (DbConnection) connection = acquire (world->pool);
    g_autoptr (GError) error = NULL;

    g_assert_cmpint (db_connection_execute (connection, "SET", NULL, NULL, &error), >=, 0);
    g_assert_no_error (error);
  }
  borrow (world);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).resets, ==, 1);
  g_assert_cmpint (n_calls (&after), ==, 2);
  assert_stats (world->pool, "created=1 dropped=0");
}

/* The handle that a hook gets is its own for as long as it runs. */
static void
subject_is_inert_afterwards (World *world)
{
  Hook hooks[2] = {{.keep = TRUE}, {.keep = TRUE}};
  DbConnection *connection;

  make_pool (world, "max-connections=1");
  db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT, hook, &hooks[0], NULL);
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, hook, &hooks[1], NULL);
  connection = acquire (world->pool);
  for (guint i = 0; i < G_N_ELEMENTS (hooks); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_nonnull (hooks[i].kept);
      g_assert_true (hooks[i].kept != connection);
      g_assert_true (db_connection_is_released (hooks[i].kept));
      g_assert_null (db_connection_get_session (hooks[i].kept));
      g_assert_null (db_connection_query (hooks[i].kept, "SELECT 1", NULL, NULL, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
      db_connection_release (hooks[i].kept);
      g_object_unref (hooks[i].kept);
    }
  g_assert_false (db_connection_is_released (connection));
  assert_stats (world->pool, "lent=1 idle=0");
  g_object_unref (connection);
}

/* HOK-01: before-connect comes first, and with nothing where the manager has no configuration. */
static void
before_connect (World *world)
{
  Hook before = {0};

  make_pool (world, "max-connections=2 connection-timeout=15s");
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_CONNECT, hook, &before, NULL);
  borrow (world);
  borrow (world);
  g_assert_cmpint (n_calls (&before), ==, 1);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, 1);

  /* It rejects twice: then the manager is not even asked, and the pool tries again. */
  g_atomic_int_set (&before.reject_first, 3);
  db_pool_evict_all (world->pool);
  borrow (world);
  g_assert_cmpint (n_calls (&before), ==, 4);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, ==, 2);
  await_stats (world->pool, "create-failed=2 created=2 idle=1");
}

/* HOK-02: every second session is refused, which callers do not notice. */
static void
after_connect_rejects_some (World *world)
{
  Hook after = {.reject_every = 2};
  Caller *callers[3];

  make_pool (world, "max-connections=3 connection-timeout=15s");
  db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT, hook, &after, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_start (world);
      caller_wait_connection (callers[i]);
      g_assert_cmpuint (callers[i]->id, ==, 2 * i + 1);
    }
  await_stats (world->pool, "lent=3 total=3 errors=0 opening=0");
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opened, ==, 5);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).closed, ==, 2);
  for (guint id = 2; id <= 4; id += 2)
    g_assert_cmpint (fake_manager_get_record (world->manager, id).closed, >, 0);
  callers_free (callers, G_N_ELEMENTS (callers));
}

/* HOK-02: it refuses all, for good or for now. */
static void
after_connect_rejects_all (World *world)
{
  Hook after = {.reject_every = 1, .permanent = TRUE};
  Caller *caller;

  make_pool (world, "max-connections=3 connection-timeout=15s");
  db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT, hook, &after, NULL);
  caller = caller_start (world);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_assert_nonnull (strstr (caller->error->message, "simulated rejection"));
  g_assert_nonnull (strstr (caller->error->message, "after-connect"));
  caller_free (caller);
  await_stats (world->pool, "total=0 errors=1");
  g_assert_cmpint (n_calls (&after), ==, 1);

  after.permanent = FALSE;
  caller = caller_start_full (world, 300 * MS, NULL);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 300 * MS);
  g_assert_nonnull (strstr (caller->error->message, "simulated rejection"));
  caller_free (caller);
  /* with back-off */
  g_assert_cmpint (n_calls (&after), <=, 12);
  await_stats (world->pool, "idle=0 lent=0 timeouts=1");
  AWAIT (fake_manager_get_ledger (world->manager).live == 0);

  g_atomic_int_set (&after.reject_every, 0);
  borrow (world);
}

/* A hook that raises, in a binding: it fails and does not say why. */
static void
hook_fails_silently (World *world)
{
  Hook after = {.reject_every = 1, .silent = TRUE};
  Caller *caller;

  make_pool (world, "max-connections=1 connection-timeout=200ms");
  db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT, hook, &after, NULL);
  caller = caller_start (world);
  caller_wait (caller);
  g_assert_null (caller->connection);
  g_assert_true (g_error_matches (caller->error, DB_ERROR, DB_ERROR_FAILED) ||
                 g_error_matches (caller->error, DB_ERROR, DB_ERROR_TIMEOUT));
  g_assert_nonnull (strstr (caller->error->message, "after-connect"));
  caller_free (caller);
}

static void
hook_leaves_a_mess (World *world, DbHook which)
{
  Hook messy = {.leave_state = DB_SESSION_IN_TRANSACTION};
  g_autofree char *text = NULL;
  Caller *caller;

  warnings_begin ();
  make_pool (world, "max-connections=2 connection-timeout=300ms");
  db_pool_set_hook (world->pool, which, hook, &messy, NULL);
  caller = caller_start (world);
  caller_wait (caller);
  g_assert_null (caller->connection);
  g_assert_nonnull (strstr (caller->error->message, "transaction"));
  caller_free (caller);
  AWAIT (fake_manager_get_ledger (world->manager).live == 0);
  g_assert_cmpuint (warnings_count (), >=, 1);
  text = warnings_dup_text ();
  g_assert_nonnull (strstr (text, "transaction"));
  /* It mends its ways. */
  messy.leave_state = DB_SESSION_IDLE;
  caller = caller_start_full (world, 60 * SECOND, NULL);
  caller_wait_connection (caller);
  g_assert_cmpint (db_session_get_state (db_connection_get_session (caller->connection)), ==,
                   DB_SESSION_IDLE);
  caller_free (caller);
  warnings_end ();
}

/* HOK-02 */
static void
after_connect_leaves_a_mess (World *world)
{
  hook_leaves_a_mess (world, DB_HOOK_AFTER_CONNECT);
}

static void
before_acquire_leaves_a_mess (World *world)
{
  hook_leaves_a_mess (world, DB_HOOK_BEFORE_ACQUIRE);
}

/* HOK-03: asked before each loan, the first one of a session included; every way of borrowing. */
static void
before_acquire_each_time (World *world)
{
  Hook before = {.sql = "SELECT 1"};
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = NULL;
  DbConnection *connection;

  make_pool (world, "max-connections=2");
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, hook, &before, NULL);
  for (gint i = 1; i <= 5; i++)
    {
      g_assert_cmpuint (borrow (world), ==, 1);
      g_assert_cmpint (n_calls (&before), ==, i);
    }
  connection = db_pool_try_acquire (world->pool, &error);
  g_assert_no_error (error);
  g_object_unref (connection);
  g_assert_cmpint (n_calls (&before), ==, 6);
  connection = db_pool_acquire_full (world->pool, 0, 0, NULL, NULL, &error);
  g_assert_no_error (error);
  g_object_unref (connection);
  g_assert_cmpint (n_calls (&before), ==, 7);
  result = db_pool_query (world->pool, "SELECT 1", NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (n_calls (&before), ==, 8);
  assert_stats (world->pool, "created=1 dropped=0");
}

/* HOK-03, a session that goes straight from one borrower to the next is asked about as well. */
static void
before_acquire_on_hand_over (World *world)
{
  Hook before = {0};
  DbConnection *held;
  Caller *callers[3];

  make_pool (world, "max-connections=1 connection-timeout=15s");
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, hook, &before, NULL);
  held = acquire (world->pool);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_new (world);
      callers[i]->hold = 5 * MS;
      caller_begin_waiting (callers[i]);
    }
  g_object_unref (held);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      caller_wait (callers[i]);
      g_assert_cmpuint (callers[i]->grant, ==, i + 1);
    }
  g_assert_cmpint (n_calls (&before), ==, 4);
  callers_free (callers, G_N_ELEMENTS (callers));
}

/* HOK-03: rejected sessions are closed, and the caller gets another one. */
static void
before_acquire_rejects_some (World *world)
{
  Hook before = {.reject_every = 3};
  Caller *callers[6];

  make_pool (world, "max-connections=8 connection-timeout=15s");
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, hook, &before, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i] = caller_start (world);
      caller_wait_connection (callers[i]);
    }
  g_assert_cmpint (g_atomic_int_get (&before.n_rejected), >=, 2);
  g_assert_cmpint (n_calls (&before), ==, 6 + g_atomic_int_get (&before.n_rejected));
  await_stats (world->pool, "lent=6 dropped-invalid=%d dropped=%d errors=0",
               g_atomic_int_get (&before.n_rejected), g_atomic_int_get (&before.n_rejected));
  callers_free (callers, G_N_ELEMENTS (callers));
}

/* HOK-03: it rejects all that are idle, but a fresh one will do. */
static void
before_acquire_rejects_the_idle (World *world)
{
  Hook before = {0};
  Caller *caller;
  DbConnection *connections[3];

  make_pool (world, "max-connections=5 connection-timeout=15s");
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, hook, &before, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    connections[i] = acquire (world->pool);
  for (guint i = 0; i < G_N_ELEMENTS (connections); i++)
    g_object_unref (connections[i]);
  g_atomic_int_set (&before.reject_first, 6);
  caller = caller_start (world);
  caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, ==, 4);
  g_assert_cmpint (n_calls (&before), ==, 7);
  await_stats (world->pool, "total=1 lent=1 dropped-invalid=3 dropped=3");
  caller_free (caller);
}

/* HOK-03: it rejects whatever comes. Attempts are bounded, and the error names the hook. */
static void
before_acquire_rejects_all (World *world)
{
  Hook before = {.reject_every = 1};
  Caller *caller;

  make_pool (world, "max-connections=3 connection-timeout=15s");
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, hook, &before, NULL);
  caller = caller_start_full (world, 400 * MS, NULL);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (caller), 400 * MS);
  g_assert_nonnull (strstr (caller->error->message, "simulated rejection"));
  g_assert_nonnull (strstr (caller->error->message, "before-acquire"));
  caller_free (caller);
  g_assert_cmpint (n_calls (&before), <=, 15);
  AWAIT (fake_manager_get_ledger (world->manager).live == 0);

  before.permanent = TRUE;
  caller = caller_start (world);
  caller_wait_error (caller, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_assert_nonnull (strstr (caller->error->message, "simulated rejection"));
  caller_free (caller);
  g_atomic_int_set (&before.reject_every, 0);
  borrow (world);
}

/* Who does not wait asks the hook on its own thread. */
static gboolean
same_thread (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  g_atomic_pointer_set ((gpointer *) data, g_thread_self ());
  return TRUE;
}

static void
threads_of_hooks (World *world)
{
  gpointer thread = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (DbConnection) connection = NULL;

  make_pool (world, "max-connections=1");
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, same_thread, &thread, NULL);
  borrow (world);
  g_assert_nonnull (g_atomic_pointer_get (&thread));
  g_assert_true (g_atomic_pointer_get (&thread) != g_thread_self ());
  connection = db_pool_try_acquire (world->pool, &error);
  g_assert_no_error (error);
  g_assert_true (g_atomic_pointer_get (&thread) == g_thread_self ());
}

/* HOK-05. One session, and what happens to it, in order: opened, looked at before each loan, reset
 * where it was left in a transaction, rejected at last. */
static void
life_cycle (World *world)
{
  Hook after = {0};
  Hook before = {0};
  g_autoptr (GError) error = NULL;
  DbConnection *connection;

  make_pool (world, "max-connections=1 connection-timeout=15s");
  db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT, hook, &after, NULL);
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, hook, &before, NULL);
  for (guint round = 0; round < 3; round++)
    {
      const guint id = round + 1;
      const gint calls = n_calls (&before);

      g_assert_cmpuint (borrow (world), ==, id);
      g_assert_cmpint (n_calls (&after), ==, id);
      g_assert_cmpint (n_calls (&before), ==, calls + 1 + (round > 0));
      connection = acquire (world->pool);
      g_assert_cmpuint (fake_connection_get_id (connection), ==, id);
      g_assert_cmpint (db_connection_execute (connection, "BEGIN", NULL, NULL, &error), >=, 0);
      g_object_unref (connection);
      connection = acquire (world->pool);
      g_assert_cmpuint (fake_connection_get_id (connection), ==, id);
      g_assert_cmpint (db_session_get_state (db_connection_get_session (connection)), ==,
                       DB_SESSION_IDLE);
      g_object_unref (connection);
      g_assert_cmpuint (fake_manager_get_record (world->manager, id).resets, ==, 1);
      g_assert_cmpint (n_calls (&after), ==, id);
      g_assert_cmpint (n_calls (&before), ==, calls + 3 + (round > 0));
      /* the next one is rejected, and so another session opened */
      g_atomic_int_set (&before.reject_first, n_calls (&before) + 1);
    }
  await_stats (world->pool, "created=3 dropped-invalid=2 dropped=2");
}

typedef struct
{
  gint depth; /* atomic */
  gint done;
  GCancellable *cancellable;
} Nosy;

/* HOK-06 */
static gboolean
uses_the_pool (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  Nosy *self = data;
  g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);
  g_autofree char *dump = db_pool_dump (pool);
  g_autoptr (GError) local_error = NULL;
  g_autoptr (DbConnection) other = NULL;

  g_assert_nonnull (dump);
  g_assert_cmpuint (db_pool_stats_get_total (stats), >=, 1);
  g_object_set (db_pool_get_config (pool), "max-uses", 1000u, NULL);
  if (g_atomic_int_add (&self->depth, 1) == 0)
    {
      other = db_pool_try_acquire (pool, &local_error);
      g_clear_object (&other);
      g_clear_error (&local_error);
      /* the same hook within itself */
      other = db_pool_acquire_full (pool, 0, 10 * SECOND, "from the hook", NULL, &local_error);
      g_assert_no_error (local_error);
      g_clear_object (&other);
    }
  g_atomic_int_add (&self->depth, -1);
  if (self->cancellable != NULL)
    g_cancellable_cancel (self->cancellable);
  return TRUE;
}

static void
hooks_use_the_pool (World *world)
{
  const DbHook hooks[] = {DB_HOOK_AFTER_CONNECT, DB_HOOK_BEFORE_ACQUIRE};

  for (guint i = 0; i < G_N_ELEMENTS (hooks); i++)
    {
      Nosy nosy = {0};
      Caller *caller;

      make_pool (world, "max-connections=4 connection-timeout=20s");
      db_pool_set_hook (world->pool, hooks[i], uses_the_pool, &nosy, NULL);
      caller = caller_start (world);
      caller_wait_connection (caller);
      caller_free (caller);
      await_stats (world->pool, "lent=0 waiting=0 opening=0");
      end_pool (g_steal_pointer (&world->pool));
    }
}

/* HOK-06: a hook that cancels the very acquire that it is asked for. */
static void
hook_cancels_its_acquire (World *world)
{
  Nosy nosy = {.depth = 1};
  Caller *caller;

  make_pool (world, "max-connections=2 connection-timeout=20s");
  nosy.cancellable = g_cancellable_new ();
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, uses_the_pool, &nosy, NULL);
  caller = caller_start_full (world, -1, nosy.cancellable);
  caller_wait_error (caller, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  caller_free (caller);
  await_stats (world->pool, "lent=0 idle=1 busy=0 cancelled=1");
  g_object_unref (nosy.cancellable);
}

static gboolean
hang_for_first (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  if (fake_connection_get_id (DB_CONNECTION (subject)) == 1)
    return hook (pool, subject, data, error);
  return TRUE;
}

/* HOK-07 */
static void
hanging_hook (World *world)
{
  Hook before = {.hang = TRUE};
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  Caller *first;
  Caller *caller;

  make_pool (world, "max-connections=2 connection-timeout=15s");
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, hang_for_first, &before, NULL);
  first = caller_start_full (world, 200 * MS, NULL);
  AWAIT (g_atomic_int_get (&before.n_inside) == 1);
  caller_wait_error (first, DB_ERROR, DB_ERROR_TIMEOUT);
  assert_took (caller_get_wait (first), 200 * MS);
  caller_free (first);
  assert_stats (world->pool, "busy=1 total=1");

  /* Others get the other one. */
  for (guint i = 0; i < 3; i++)
    {
      caller = caller_start (world);
      caller_wait_connection (caller);
      g_assert_cmpuint (caller->id, ==, 2);
      caller_free (caller);
    }
  caller = caller_start (world);
  caller_wait_connection (caller);
  first = caller_start_waiting_full (world, -1, cancellable);
  g_cancellable_cancel (cancellable);
  caller_wait_error (first, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  caller_free (first);
  assert_stats (world->pool, "busy=1 lent=1 total=2");
  caller_free (caller);

  g_assert_false (db_pool_close (world->pool, 100 * MS, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_TIMEOUT);
  g_atomic_int_set (&before.hang, FALSE);
  await_stats (world->pool, "total=0");
}

/* HOK-08 */
static void
reset_runs_once_per_dirty_return (World *world)
{
  DbConnection *connection;
  g_autoptr (GError) error = NULL;

  make_pool (world, "max-connections=1 reset-level=clean connection-timeout=15s");
  connection = acquire (world->pool);
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).resets, ==, 0);
  g_object_unref (connection);
  await_stats (world->pool, "idle=1 busy=0");
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).resets, ==, 1);
  borrow (world);
  await_stats (world->pool, "idle=1 busy=0");
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).resets, ==, 2);
  assert_stats (world->pool, "created=1 dropped=0");
}

static void
background_error_cb (DbPool *pool, GError *error, gpointer data)
{
  ++*(guint *) data;
}

/* HOK-08: a reset that fails costs the session. */
static void
reset_fails (World *world)
{
  g_autoptr (GError) error = transient_error ();
  guint n_errors = 0;
  guint id;

  make_pool (world, "max-connections=1 connection-timeout=15s");
  g_signal_connect (world->pool, "background-error", G_CALLBACK (background_error_cb), &n_errors);
  fake_manager_fail (world->manager, FAKE_RESET, 1, error);
  {
    g_autoptr (DbConnection) connection = acquire (world->pool);

    id = fake_connection_get_id (connection);
    fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_IN_TRANSACTION);
  }
  await_stats (world->pool, "dropped-invalid=1 total=0");
  AWAIT (n_errors == 1);
  g_assert_cmpuint (borrow (world), !=, id);
  g_assert_cmpuint (n_errors, ==, 1);
}

/* A reset that takes too long is cancelled, and the next one does not wait for it for ever. */
static void
reset_hangs (World *world)
{
  Caller *caller;

  make_pool (world, "max-connections=1 connection-timeout=15s check-timeout=100ms");
  fake_manager_hang (world->manager, FAKE_RESET, TRUE);
  {
    g_autoptr (DbConnection) connection = acquire (world->pool);

    fake_session_set_state (fake_connection_get_session (connection), DB_SESSION_IN_TRANSACTION);
  }
  assert_stats (world->pool, "busy=1 lent=0");
  caller = caller_start (world);
  caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, ==, 2);
  assert_stats (world->pool, "dropped-invalid=1 dropped=1 created=2");
  caller_free (caller);
}

static void
count_destroy (gpointer data)
{
  g_atomic_int_inc ((gint *) data);
}

static gboolean
do_nothing (DbPool *pool, GObject *subject, gpointer data, GError **error)
{
  return TRUE;
}

/* The data of a hook is freed once, when it is replaced or with the pool, then maybe on a thread of
 * dbpool's; and hooks come first. */
static void
setting_hooks (World *world)
{
  gint n_destroyed = 0;
  gint n_late = 0;

  make_pool (world, "max-connections=1");
  db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT, do_nothing, &n_destroyed, count_destroy);
  g_assert_cmpint (g_atomic_int_get (&n_destroyed), ==, 0);
  db_pool_set_hook (world->pool, DB_HOOK_AFTER_CONNECT, do_nothing, &n_destroyed, count_destroy);
  g_assert_cmpint (g_atomic_int_get (&n_destroyed), ==, 1);
  borrow (world);
  warnings_begin ();
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, do_nothing, &n_late, count_destroy);
  g_assert_cmpint (g_atomic_int_get (&n_late), ==, 1);
  g_assert_cmpuint (warnings_end (), ==, 1);
  end_pool (g_steal_pointer (&world->pool));
  AWAIT (g_atomic_int_get (&n_destroyed) == 2);
}

/* Somebody who tries again and again, with a hook that wants nothing: the pool does not open a
 * session for each try, but later each time. */
static void
before_acquire_rejects_tries (World *world)
{
  Hook before = {.reject_every = 1};
  gint64 until = g_get_monotonic_time () + 300 * MS;
  guint64 n_tries = 0;

  make_pool (world, "max-connections=4");
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, hook, &before, NULL);
  while (g_get_monotonic_time () < until || n_calls (&before) < 2)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (db_pool_try_acquire (world->pool, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_EXHAUSTED);
      n_tries++;
      g_thread_yield ();
    }
  g_test_message ("%" G_GUINT64_FORMAT " tries, %d sessions", n_tries, n_calls (&before));
  g_assert_cmpuint (fake_manager_get_ledger (world->manager).opens, <=, 20);

  /* It has changed its mind: one session is enough. */
  g_atomic_int_set (&before.reject_every, 0);
  borrow (world);
  await_stats (world->pool, "idle=1 opening=0");
}

static void
begin_waiting_cb (gpointer data)
{
  caller_begin_waiting (data);
}

/* A rejection speaks of one session, whoever asked for it: those who wait get the next one. */
static void
before_acquire_rejects_one_try (World *world)
{
  g_autoptr (Caller) caller = NULL;
  g_autoptr (GError) error = NULL;
  Hook before = {.reject_first = 1, .code = DB_ERROR_QUERY, .rejects = begin_waiting_cb};

  make_pool (world, "max-connections=1");
  db_pool_set_hook (world->pool, DB_HOOK_BEFORE_ACQUIRE, hook, &before, NULL);
  g_assert_cmpuint (db_pool_warm_up (world->pool, 1, NULL, NULL), ==, 1);
  before.rejects_data = caller = caller_new (world);
  g_assert_null (db_pool_try_acquire (world->pool, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_EXHAUSTED);
  caller_wait_connection (caller);
  g_assert_cmpuint (caller->id, ==, 2);
}

static void
add_all (void)
{
  scenario_add_both ("hooks/after-connect/once", after_connect_once);
  scenario_add ("hooks/after-connect/fills", after_connect_for_fills);
  scenario_add ("hooks/after-connect/after-a-reset", after_connect_after_a_reset);
  scenario_add_both ("hooks/after-connect/rejects-some", after_connect_rejects_some);
  scenario_add_both ("hooks/after-connect/rejects-all", after_connect_rejects_all);
  scenario_add_both ("hooks/after-connect/leaves-a-mess", after_connect_leaves_a_mess);
  scenario_add ("hooks/subject-is-inert-afterwards", subject_is_inert_afterwards);
  scenario_add_both ("hooks/before-connect", before_connect);
  scenario_add_both ("hooks/fails-silently", hook_fails_silently);
  scenario_add_both ("hooks/before-acquire/each-time", before_acquire_each_time);
  scenario_add_both ("hooks/before-acquire/on-hand-over", before_acquire_on_hand_over);
  scenario_add_both ("hooks/before-acquire/rejects-some", before_acquire_rejects_some);
  scenario_add_both ("hooks/before-acquire/rejects-the-idle", before_acquire_rejects_the_idle);
  scenario_add_both ("hooks/before-acquire/rejects-all", before_acquire_rejects_all);
  scenario_add ("hooks/before-acquire/rejects-tries", before_acquire_rejects_tries);
  scenario_add_both ("hooks/before-acquire/rejects-one-try", before_acquire_rejects_one_try);
  scenario_add_both ("hooks/before-acquire/leaves-a-mess", before_acquire_leaves_a_mess);
  scenario_add ("hooks/threads", threads_of_hooks);
  scenario_add_both ("hooks/life-cycle", life_cycle);
  scenario_add_both ("hooks/use-the-pool", hooks_use_the_pool);
  scenario_add_both ("hooks/cancel-their-acquire", hook_cancels_its_acquire);
  scenario_add_both ("hooks/hang", hanging_hook);
  scenario_add ("hooks/setting", setting_hooks);
  scenario_add_both ("reset/once-per-dirty-return", reset_runs_once_per_dirty_return);
  scenario_add_both ("reset/fails", reset_fails);
  scenario_add_both ("reset/hangs", reset_hangs);
}

int
main (int argc, char **argv)
{
  return scenario_main (argc, argv, add_all);
}
