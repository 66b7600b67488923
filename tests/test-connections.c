/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What there is to see of a pool: the list of its connections, and its dump. The home of the pools
 * is the main thread's context. */

#include "config.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db-clock-private.h"
#include "db-connection-info-private.h"
#include "db-connection-list-private.h"
#include "db-pool-balance-private.h"
#include "db-pool-private.h"
#include "fake-manager.h"

#define SECOND G_TIME_SPAN_SECOND

typedef struct
{
  FakeManager *manager;
  DbPool *pool;
  GListModel *list;
} Fixture;

static char *
fake_session_describe (DbSession *session)
{
  return g_strdup_printf ("server process %u", 4000 + fake_session_get_id (FAKE_SESSION (session)));
}

static void
set_up (Fixture *fixture, guint max)
{
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  GError *error = NULL;

  g_object_set (config, "max-connections", max, "connection-timeout", 60 * SECOND, "name", "shop",
                "validate-after-idle", (gint64) -1, "idle-timeout", (gint64) 0, NULL);
  fixture->manager = fake_manager_new ();
  fixture->pool = db_pool_new (DB_CONNECTION_MANAGER (fixture->manager), config, &error);
  g_assert_no_error (error);
  fixture->list = db_pool_get_connections (fixture->pool);
  g_assert_true (G_IS_LIST_MODEL (fixture->list));
  g_assert_true (g_list_model_get_item_type (fixture->list) == DB_TYPE_CONNECTION_INFO);
  g_assert_cmpuint (g_list_model_get_n_items (fixture->list), ==, 0);
}

static void
await_n_items (GListModel *list, guint n)
{
  while (g_list_model_get_n_items (list) != n)
    g_main_context_iteration (NULL, TRUE);
}

/* Without iterating any context. */
static void
await_gauge (DbPool *pool, guint (*gauge) (const DbPoolStats *stats), guint value)
{
  for (;;)
    {
      g_autoptr (DbPoolStats) stats = db_pool_get_stats (pool);

      if (gauge (stats) == value)
        return;
      g_usleep (100);
    }
}

static DbConnectionInfo *
peek_item (GListModel *list, guint position)
{
  g_autoptr (DbConnectionInfo) info = g_list_model_get_item (list, position);

  g_assert_true (DB_IS_CONNECTION_INFO (info));
  return info; /* the list has it */
}

static void
await_state (GListModel *list, guint position, DbConnectionState state)
{
  while (g_list_model_get_n_items (list) <= position ||
         db_connection_info_get_state (peek_item (list, position)) != state)
    g_main_context_iteration (NULL, TRUE);
}

static void
tear_down (Fixture *fixture)
{
  g_assert_true (db_pool_close (fixture->pool, 60 * SECOND, NULL, NULL));
  await_n_items (fixture->list, 0);
  g_assert_null (g_list_model_get_item (fixture->list, 0));
  g_assert_finalize_object (fixture->list);
  g_object_unref (fixture->pool);
  g_object_unref (fixture->manager);
}

static DbConnection *
acquire (DbPool *pool, const char *tag)
{
  GError *error = NULL;
  DbConnection *connection = db_pool_acquire_full (pool, DB_ACQUIRE_NONE, -1, tag, NULL, &error);

  g_assert_no_error (error);
  return connection;
}

static void
query (DbConnection *connection, const char *sql)
{
  GError *error = NULL;
  g_autoptr (DbResult) result = db_connection_query (connection, sql, NULL, NULL, &error);

  g_assert_no_error (error);
}

static void
fill (DbPool *pool, guint n)
{
  g_autoptr (GPtrArray) connections = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (connections, acquire (pool, NULL));
}

/* Everything that a list model promises: a copy that only follows what is announced stays equal. */

typedef struct
{
  GPtrArray *copy;
  GString *log; /* "position-removed+added " */
} Follower;

static void
items_changed_cb (GListModel *list, guint position, guint removed, guint added, gpointer data)
{
  Follower *follower = data;

  g_assert_true (g_main_context_is_owner (g_main_context_default ()));
  g_string_append_printf (follower->log, "%u-%u+%u ", position, removed, added);
  if (removed > 0)
    g_ptr_array_remove_range (follower->copy, position, removed);
  for (guint i = 0; i < added; i++)
    g_ptr_array_insert (follower->copy, position + i, g_list_model_get_item (list, position + i));

  g_assert_cmpuint (follower->copy->len, ==, g_list_model_get_n_items (list));
  for (guint i = 0; i < follower->copy->len; i++)
    g_assert_true (follower->copy->pdata[i] == peek_item (list, i));
}

static void
follow (Follower *follower, GListModel *list)
{
  follower->copy = g_ptr_array_new_with_free_func (g_object_unref);
  follower->log = g_string_new (NULL);
  g_signal_connect (list, "items-changed", G_CALLBACK (items_changed_cb), follower);
}

static void
unfollow (Follower *follower, GListModel *list)
{
  g_signal_handlers_disconnect_by_func (list, items_changed_cb, follower);
  g_ptr_array_unref (follower->copy);
  g_string_free (follower->log, TRUE);
}

static void
test_follows (void)
{
  Fixture fixture;
  g_autoptr (DbConnection) first = NULL;
  g_autoptr (DbConnection) second = NULL;
  g_autoptr (DbConnectionInfo) info = NULL;
  g_autoptr (GListModel) again = NULL;
  g_autofree char *tag = NULL;
  gint64 since;

  set_up (&fixture, 4);
  first = db_pool_acquire_at (fixture.pool, G_STRLOC, NULL, NULL);
  second = acquire (fixture.pool, "report");
  await_n_items (fixture.list, 2);
  await_state (fixture.list, 0, DB_CONNECTION_LENT);
  await_state (fixture.list, 1, DB_CONNECTION_LENT);
  info = g_list_model_get_item (fixture.list, 0);
  g_assert_cmpuint (db_connection_info_get_id (info), ==, db_connection_get_id (first));
  g_assert_cmpuint (db_connection_info_get_id (peek_item (fixture.list, 1)), ==,
                    db_connection_get_id (second));
  g_assert_cmpuint (db_connection_info_get_uses (info), ==, 1);
  g_assert_cmpuint (db_connection_info_get_thread (info), ==, db_thread_number ());
  tag = db_connection_info_dup_tag (info);
  g_assert_nonnull (strstr (tag, "test-connections.c:"));
  since = db_connection_info_get_since (info);
  g_assert_cmpint (db_connection_info_get_created (info), >, 0);
  g_assert_cmpint (db_connection_info_get_created (info), <=, since);
  g_assert_cmpint (since, <=, g_get_monotonic_time ());

  query (first, "SELECT 'secret', 5");
  db_connection_release (first);
  await_state (fixture.list, 0, DB_CONNECTION_IDLE);
  g_assert_true (peek_item (fixture.list, 0) == info);
  g_assert_null (db_connection_info_dup_tag (info));
  g_assert_cmpuint (db_connection_info_get_thread (info), ==, 0);
  g_assert_cmpint (db_connection_info_get_since (info), >=, since);
  g_free (tag);
  tag = db_connection_info_dup_statement (info);
  g_assert_cmpstr (tag, ==, "SELECT ?, ?");

  again = db_pool_get_connections (fixture.pool);
  g_assert_true (again == fixture.list);
  g_clear_object (&again);

  db_pool_evict_idle (fixture.pool);
  await_n_items (fixture.list, 1);
  g_assert_cmpint (db_connection_info_get_state (info), ==, DB_CONNECTION_CLOSING);
  g_assert_cmpuint (db_connection_info_get_id (peek_item (fixture.list, 0)), ==,
                    db_connection_get_id (second));
  db_connection_release (second);
  tear_down (&fixture);
}

/* Who looks late sees what is there, without any context running. */
static void
test_filled_at_once (void)
{
  Fixture fixture;
  g_autoptr (DbConnection) connection = NULL;
  GListModel *list;

  set_up (&fixture, 4);
  g_assert_finalize_object (fixture.list);
  g_assert_false (fixture.pool->engine->core->observed);
  fill (fixture.pool, 3);
  connection = acquire (fixture.pool, "late");
  list = db_pool_get_connections (fixture.pool);
  g_assert_cmpuint (g_list_model_get_n_items (list), ==, 3);
  g_assert_true (fixture.pool->engine->core->observed);
  fixture.list = list;
  g_object_get (fixture.pool, "connections", &list, NULL);
  g_assert_true (list == fixture.list);
  g_object_unref (list);
  db_connection_release (connection);
  tear_down (&fixture);
}

static void
test_ranges (void)
{
  Fixture fixture;
  Follower follower;

  set_up (&fixture, 8);
  follow (&follower, fixture.list);
  fill (fixture.pool, 8);
  await_n_items (fixture.list, 8);

  /* Closed in whatever order, but all of them before the list is brought up to date. */
  fake_manager_hang (fixture.manager, FAKE_CLOSE, TRUE);
  db_connection_info_evict (peek_item (fixture.list, 6));
  db_connection_info_evict (peek_item (fixture.list, 0));
  db_connection_info_evict (peek_item (fixture.list, 3));
  db_connection_info_evict (peek_item (fixture.list, 2));
  fake_manager_await_inside (fixture.manager, FAKE_CLOSE, 4);
  await_state (fixture.list, 6, DB_CONNECTION_CLOSING);
  g_assert_cmpuint (g_list_model_get_n_items (fixture.list), ==, 8);
  fake_manager_hang (fixture.manager, FAKE_CLOSE, FALSE);
  await_gauge (fixture.pool, db_pool_stats_get_total, 4);
  g_string_truncate (follower.log, 0);
  await_n_items (fixture.list, 4);
  g_assert_cmpstr (follower.log->str, ==, "0-1+0 1-2+0 3-1+0 ");

  /* The last ones go, and new ones come: one change. */
  db_connection_info_evict (peek_item (fixture.list, 2));
  db_connection_info_evict (peek_item (fixture.list, 3));
  await_gauge (fixture.pool, db_pool_stats_get_total, 2);
  fill (fixture.pool, 5);
  await_gauge (fixture.pool, db_pool_stats_get_total, 5);
  g_string_truncate (follower.log, 0);
  await_n_items (fixture.list, 5);
  g_assert_cmpstr (follower.log->str, ==, "2-2+3 ");

  db_pool_evict_all (fixture.pool);
  await_gauge (fixture.pool, db_pool_stats_get_total, 0);
  g_string_truncate (follower.log, 0);
  await_n_items (fixture.list, 0);
  g_assert_cmpstr (follower.log->str, ==, "0-5+0 ");
  unfollow (&follower, fixture.list);
  tear_down (&fixture);
}

static void
notify_cb (GObject *object, GParamSpec *pspec, gpointer data)
{
  g_string_append_printf (data, "%s ", pspec->name);
}

/* In the home context, without waiting for it to be its turn. */
static void
update (Fixture *fixture, GString *log)
{
  g_string_truncate (log, 0);
  db_connection_list_update (DB_CONNECTION_LIST (fixture->list), fixture->pool->engine);
}

static void
test_notifies (void)
{
  Fixture fixture;
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (GString) log = g_string_new (NULL);

  set_up (&fixture, 1);
  fill (fixture.pool, 1);
  await_state (fixture.list, 0, DB_CONNECTION_IDLE);
  g_signal_connect (peek_item (fixture.list, 0), "notify", G_CALLBACK (notify_cb), log);
  update (&fixture, log);
  g_assert_cmpstr (log->str, ==, "");

  connection = acquire (fixture.pool, "here");
  update (&fixture, log);
  g_assert_cmpstr (log->str, ==, "state since uses tag thread ");
  update (&fixture, log);
  g_assert_cmpstr (log->str, ==, "");

  query (connection, "SELECT 1");
  update (&fixture, log);
  g_assert_cmpstr (log->str, ==, "statement ");
  query (connection, "SELECT 2");
  update (&fixture, log);
  g_assert_cmpstr (log->str, ==, "");

  db_connection_release (connection);
  update (&fixture, log);
  g_assert_cmpstr (log->str, ==, "state since tag thread ");
  g_signal_handlers_disconnect_by_func (peek_item (fixture.list, 0), notify_cb, log);
  tear_down (&fixture);
}

static void
test_properties (void)
{
  Fixture fixture;
  g_autoptr (DbConnection) connection = NULL;
  DbConnectionInfo *info;
  guint64 id;
  gint64 created, since;
  DbConnectionState state;
  guint uses, thread;
  g_autofree char *tag = NULL;
  g_autofree char *statement = NULL;
  g_autofree char *activity = NULL;
  g_autofree char *text = NULL;
  g_autofree char *expected = NULL;

  set_up (&fixture, 1);
  connection = acquire (fixture.pool, "a\nb");
  query (connection, "SELECT name FROM t WHERE id = 42");
  await_state (fixture.list, 0, DB_CONNECTION_LENT);
  info = peek_item (fixture.list, 0);
  g_object_get (info, "id", &id, "created", &created, "since", &since, "state", &state, "uses",
                &uses, "thread", &thread, "tag", &tag, "statement", &statement, "activity",
                &activity, NULL);
  g_assert_cmpuint (id, ==, 1);
  g_assert_cmpint (created, ==, db_connection_info_get_created (info));
  g_assert_cmpint (since, ==, db_connection_info_get_since (info));
  g_assert_cmpint (state, ==, DB_CONNECTION_LENT);
  g_assert_cmpuint (uses, ==, 1);
  g_assert_cmpuint (thread, ==, db_thread_number ());
  g_assert_cmpstr (tag, ==, "a\nb");
  g_assert_cmpstr (statement, ==, "SELECT name FROM t WHERE id = ?");
  g_assert_cmpstr (activity, ==, "server process 4001");

  text = db_connection_info_to_string (info);
  expected = g_strdup_printf (" s to a b (thread %u), 1 use, SELECT name FROM t WHERE id = ?, "
                              "server process 4001",
                              thread);
  g_assert_true (g_str_has_prefix (text, "#1 lent for "));
  g_assert_true (g_str_has_suffix (text, expected));
  db_connection_release (connection);
  await_state (fixture.list, 0, DB_CONNECTION_IDLE);
  g_free (text);
  text = db_connection_info_to_string (info);
  g_assert_true (g_str_has_prefix (text, "#1 idle for "));
  g_assert_nonnull (strstr (text, " s, 1 use, SELECT"));
  tear_down (&fixture);
}

static void
test_evict (void)
{
  Fixture fixture;
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (DbConnectionInfo) info = NULL;
  g_autoptr (DbPoolStats) stats = NULL;
  g_autoptr (DbConnectionInfo) stranger = g_object_new (DB_TYPE_CONNECTION_INFO, NULL);

  set_up (&fixture, 2);
  connection = acquire (fixture.pool, NULL);
  await_state (fixture.list, 0, DB_CONNECTION_LENT);
  info = g_list_model_get_item (fixture.list, 0);
  db_connection_info_evict (info);
  query (connection, "SELECT 1");
  g_assert_cmpuint (fake_manager_get_ledger (fixture.manager).closes, ==, 0);
  db_connection_release (connection);
  await_n_items (fixture.list, 0);
  db_connection_info_evict (info);
  stats = db_pool_get_stats (fixture.pool);
  g_assert_cmpuint (db_pool_stats_get_dropped (stats, DB_DROP_EVICTED), ==, 1);
  db_connection_info_evict (stranger);
  tear_down (&fixture);
}

/* Each state shows while it lasts. */
static void
test_states (void)
{
  Fixture fixture;
  g_autoptr (DbConnection) connection = NULL;
  GError *error = NULL;
  DbSession *session;

  set_up (&fixture, 2);
  fake_manager_hang (fixture.manager, FAKE_OPEN, TRUE);
  g_assert_null (db_pool_try_acquire (fixture.pool, NULL));
  await_state (fixture.list, 0, DB_CONNECTION_OPENING);
  g_assert_null (db_connection_info_dup_activity (peek_item (fixture.list, 0)));
  fake_manager_hang (fixture.manager, FAKE_OPEN, FALSE);
  await_state (fixture.list, 0, DB_CONNECTION_IDLE);

  fake_manager_hang (fixture.manager, FAKE_RESET, TRUE);
  connection = acquire (fixture.pool, NULL);
  query (connection, "SET");
  db_connection_release (connection);
  await_state (fixture.list, 0, DB_CONNECTION_RESETTING);
  fake_manager_hang (fixture.manager, FAKE_RESET, FALSE);
  await_state (fixture.list, 0, DB_CONNECTION_IDLE);

  session = db_connection_manager_open_session (DB_CONNECTION_MANAGER (fixture.pool), NULL, &error);
  g_assert_no_error (error);
  await_state (fixture.list, 1, DB_CONNECTION_DEDICATED);
  db_connection_manager_close_session (DB_CONNECTION_MANAGER (fixture.pool), session);
  g_object_unref (session);
  await_n_items (fixture.list, 1);
  tear_down (&fixture);
}

static gpointer
hanging_query (gpointer connection)
{
  query (connection, "hang");
  return NULL;
}

static gboolean
elapsed_cb (gpointer elapsed)
{
  *(gboolean *) elapsed = TRUE;
  return G_SOURCE_REMOVE;
}

/* The statement shows while it runs, though the pool itself does not change. */
static void
test_statement_shows (void)
{
  Fixture fixture;
  g_autoptr (DbConnection) connection = NULL;
  g_autofree char *statement = NULL;
  gboolean elapsed = FALSE;
  GThread *thread;
  guint timeout;

  set_up (&fixture, 1);
  connection = acquire (fixture.pool, "slow");
  await_state (fixture.list, 0, DB_CONNECTION_LENT);
  thread = g_thread_new ("hanging query", hanging_query, connection);
  fake_session_await_hang (fake_connection_get_session (connection));

  timeout = g_timeout_add_seconds (10, elapsed_cb, &elapsed);
  while (statement == NULL && !elapsed)
    {
      g_main_context_iteration (NULL, TRUE);
      statement = db_connection_info_dup_statement (peek_item (fixture.list, 0));
    }
  g_assert_cmpstr (statement, ==, "hang");
  g_source_remove (timeout);

  fake_session_let_go (fake_connection_get_session (connection));
  g_thread_join (thread);
  db_connection_release (connection);
  tear_down (&fixture);
}

static void
test_outlives_pool (void)
{
  Fixture fixture;
  g_autoptr (DbConnectionInfo) info = NULL;
  g_autofree char *text = NULL;
  gpointer pool;

  set_up (&fixture, 3);
  fill (fixture.pool, 3);
  await_n_items (fixture.list, 3);
  info = g_list_model_get_item (fixture.list, 2);
  pool = fixture.pool;
  g_object_add_weak_pointer (pool, &pool);
  g_object_unref (fixture.pool);
  while (g_atomic_pointer_get (&pool) != NULL)
    g_usleep (100);

  /* No session is kept. */
  while (fake_manager_get_ledger (fixture.manager).live > 0)
    g_usleep (100);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (g_list_model_get_n_items (fixture.list), <=, 3);
  db_connection_info_evict (info);
  text = db_connection_info_to_string (info);
  g_assert_true (g_str_has_prefix (text, "#3 "));
  g_assert_finalize_object (fixture.list);
  g_object_unref (fixture.manager);
}

static void
drop_list_cb (GListModel *list, guint position, guint removed, guint added, Fixture *fixture)
{
  g_clear_object (&fixture->list);
}

static void
test_dropped_by_handler (void)
{
  Fixture fixture;
  gpointer list;

  set_up (&fixture, 1);
  list = fixture.list;
  g_object_add_weak_pointer (list, &list);
  g_signal_connect (list, "items-changed", G_CALLBACK (drop_list_cb), &fixture);
  fill (fixture.pool, 1);
  while (list != NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_false (fixture.pool->engine->core->observed);
  fixture.list = db_pool_get_connections (fixture.pool);
  g_assert_cmpuint (g_list_model_get_n_items (fixture.list), ==, 1);
  tear_down (&fixture);
}

/* A list that ends while another one of the same pool begins does not blind it. */
static void
test_overlapping_lists (void)
{
  Fixture fixture;
  GWeakRef place;
  GListModel *other;

  set_up (&fixture, 2);
  g_weak_ref_init (&place, NULL);
  other = db_connection_list_get (&place, fixture.pool->engine);
  g_assert_true (other != fixture.list);
  g_assert_finalize_object (other);
  g_weak_ref_clear (&place);
  g_assert_true (fixture.pool->engine->core->observed);
  fill (fixture.pool, 2);
  await_n_items (fixture.list, 2);
  tear_down (&fixture);
}

/* Threads borrow, evict and read while the main thread follows. */

typedef struct
{
  Fixture *fixture;
  int running; /* atomic */
} Crowd;

static gpointer
borrower (gpointer data)
{
  Crowd *crowd = data;
  g_autoptr (GRand) rand = g_rand_new_with_seed (GPOINTER_TO_UINT (g_thread_self ()));

  for (guint i = 0; i < 300; i++)
    {
      g_autoptr (DbConnection) connection = acquire (crowd->fixture->pool, "borrower");

      query (connection, "SELECT 1");
      if (g_rand_int_range (rand, 0, 10) == 0)
        db_connection_evict (connection);
    }
  g_atomic_int_add (&crowd->running, -1);
  return NULL;
}

static gpointer
reader (gpointer data)
{
  Crowd *crowd = data;

  while (g_atomic_int_get (&crowd->running) > 0)
    {
      g_autoptr (GListModel) list = db_pool_get_connections (crowd->fixture->pool);
      g_autofree char *dump = db_pool_dump (crowd->fixture->pool);
      guint n = g_list_model_get_n_items (list);

      g_assert_cmpuint (n, <=, 100);
      for (guint i = 0; i < n; i++)
        {
          g_autoptr (DbConnectionInfo) info = g_list_model_get_item (list, i);
          g_autofree char *text = info != NULL ? db_connection_info_to_string (info) : NULL;

          g_assert_true (info == NULL || text[0] == '#');
        }
    }
  return NULL;
}

static void
test_threads (void)
{
  Fixture fixture;
  Follower follower;
  Crowd crowd = {.fixture = &fixture, .running = 4};
  GThread *threads[5];
  g_autoptr (DbPoolStats) stats = NULL;

  set_up (&fixture, 3);
  follow (&follower, fixture.list);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("crowd", i < 4 ? borrower : reader, &crowd);
  while (g_atomic_int_get (&crowd.running) > 0)
    g_main_context_iteration (NULL, FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);

  /* All that is closing ends, and the list becomes what the pool is. */
  await_gauge (fixture.pool, db_pool_stats_get_busy, 0);
  stats = db_pool_get_stats (fixture.pool);
  await_n_items (fixture.list, db_pool_stats_get_total (stats));
  for (guint i = 0; i < g_list_model_get_n_items (fixture.list); i++)
    await_state (fixture.list, i, DB_CONNECTION_IDLE);
  unfollow (&follower, fixture.list);
  tear_down (&fixture);
}

/* A pool is observed while there is a list, however many came and went. */
static gpointer
comer_and_goer (gpointer data)
{
  for (guint i = 0; i < 2000; i++)
    g_object_unref (db_pool_get_connections (data));
  return NULL;
}

static void
test_come_and_go (void)
{
  Fixture fixture;
  GThread *threads[3];

  set_up (&fixture, 2);
  g_clear_object (&fixture.list);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("comer and goer", comer_and_goer, fixture.pool);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_false (fixture.pool->engine->core->observed);
  fixture.list = db_pool_get_connections (fixture.pool);
  g_assert_true (fixture.pool->engine->core->observed);
  fill (fixture.pool, 1);
  await_n_items (fixture.list, 1);
  tear_down (&fixture);
}

/* The dump. */

static void
assert_says (const char *dump, const char *words)
{
  if (strstr (dump, words) == NULL)
    g_test_message ("no “%s” in:\n%s", words, dump);
  g_assert_nonnull (strstr (dump, words));
}

static gpointer
waiter (gpointer pool)
{
  g_autoptr (DbConnection) connection = acquire (pool, "waiter");

  return NULL;
}

static void
test_dump (void)
{
  Fixture fixture;
  g_autoptr (DbConnection) first = NULL;
  g_autoptr (DbConnection) second = NULL;
  g_autofree char *thread = NULL;
  g_autofree char *dump = NULL;
  GThread *other;

  set_up (&fixture, 2);
  first = acquire (fixture.pool, "invoices");
  query (first, "SELECT name FROM t WHERE card = 'secret' AND pin = 1234");
  second = db_pool_acquire_at (fixture.pool, G_STRLOC, NULL, NULL);
  other = g_thread_new ("waiter", waiter, fixture.pool);
  await_gauge (fixture.pool, db_pool_stats_get_waiting, 1);

  dump = db_pool_dump (fixture.pool);
  g_test_message ("%s", dump);
  thread = g_strdup_printf ("%u", db_thread_number ());
  assert_says (dump, "pool shop: FakeManager\n");
  assert_says (dump, "state: open, generation");
  assert_says (dump, " max-connections=2 ");
  assert_says (dump, " connection-timeout=1min ");
  assert_says (dump, " idle-order=lifo");
  assert_says (dump, "sessions: 2: 0 opening, 0 idle, 0 being checked, 2 lent,");
  assert_says (dump, "callers: 1 waiting, the first of them for ");
  assert_says (dump, "so far: 3 requests, 2 acquired (");
  assert_says (dump, "2 opened, 0 failed to open");
  assert_says (dump, "\n     1 lent ");
  assert_says (dump,
               "invoices  SELECT name FROM t WHERE card = ? AND pin = ?  server process 4001\n");
  assert_says (dump, "test-connections.c:");
  assert_says (dump, thread);
  g_assert_null (strstr (dump, "secret"));
  g_assert_null (strstr (dump, "1234"));

  db_connection_release (first);
  db_connection_release (second);
  g_thread_join (other);
  tear_down (&fixture);
}

static void
test_dump_troubles (void)
{
  Fixture fixture;
  g_autoptr (GError) refused =
    g_error_new_literal (DB_ERROR, DB_ERROR_CONNECTION, "connection\nrefused");
  g_autoptr (GError) error = NULL;
  g_autofree char *failing = NULL;
  g_autofree char *suspended = NULL;
  g_autofree char *closed = NULL;

  set_up (&fixture, 2);
  fake_manager_fail (fixture.manager, FAKE_OPEN, G_MAXUINT, refused);
  g_assert_null (db_pool_try_acquire (fixture.pool, NULL));
  while (error == NULL)
    error = db_pool_dup_open_error (fixture.pool);
  failing = db_pool_dump (fixture.pool);
  assert_says (failing, "opening: failed ");
  assert_says (failing, "last: connection refused\n");

  db_pool_suspend (fixture.pool);
  suspended = db_pool_dump (fixture.pool);
  assert_says (suspended, "state: open, suspended, generation");
  db_pool_resume (fixture.pool);

  fake_manager_fail (fixture.manager, FAKE_OPEN, 0, NULL);
  db_pool_close (fixture.pool, 60 * SECOND, NULL, NULL);
  closed = db_pool_dump (fixture.pool);
  assert_says (closed, "state: closed,");
  assert_says (closed, "sessions: 0:");
  tear_down (&fixture);
}

/* It answers although everything else stands still. */
static void
test_dump_waits_for_nothing (void)
{
  Fixture fixture;
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (DbConnection) evicted = NULL;
  g_autofree char *dump = NULL;
  GThread *thread;

  set_up (&fixture, 3);
  connection = acquire (fixture.pool, "slow");
  evicted = acquire (fixture.pool, NULL);
  thread = g_thread_new ("hanging query", hanging_query, connection);
  fake_session_await_hang (fake_connection_get_session (connection));
  fake_manager_hang (fixture.manager, FAKE_CLOSE, TRUE);
  db_connection_evict (evicted);
  db_connection_release (evicted);
  fake_manager_await_inside (fixture.manager, FAKE_CLOSE, 1);
  fake_manager_hang (fixture.manager, FAKE_OPEN, TRUE);
  g_assert_null (db_pool_try_acquire (fixture.pool, NULL));
  fake_manager_await_inside (fixture.manager, FAKE_OPEN, 1);

  dump = db_pool_dump (fixture.pool);
  assert_says (dump, "sessions: 3: 1 opening, 0 idle, 0 being checked, 1 lent, 0 being reset, "
                     "1 closing,");
  assert_says (dump, "slow  hang  server process 4001");

  fake_manager_hang (fixture.manager, FAKE_OPEN, FALSE);
  fake_manager_hang (fixture.manager, FAKE_CLOSE, FALSE);
  fake_session_let_go (fake_connection_get_session (connection));
  g_thread_join (thread);
  db_connection_release (connection);
  tear_down (&fixture);
}

/* The bound is ten times what is wanted, for slow machines and sanitizers. */
static void
test_many (void)
{
  Fixture fixture;
  g_autoptr (GPtrArray) connections = g_ptr_array_new_with_free_func (g_object_unref);
  gint64 dump_time = G_MAXINT64;
  gint64 update_time = G_MAXINT64;
  guint lines = 0;

  set_up (&fixture, 1000);
  for (guint i = 0; i < 1000; i++)
    {
      g_ptr_array_add (connections, acquire (fixture.pool, "one of many"));
      query (connections->pdata[i], "SELECT name FROM t WHERE card = 'secret'");
    }
  await_n_items (fixture.list, 1000);
  for (guint i = 0; i < 10; i++)
    {
      gint64 begin = g_get_monotonic_time ();
      g_autofree char *dump = db_pool_dump (fixture.pool);

      dump_time = MIN (dump_time, g_get_monotonic_time () - begin);
      lines = 0;
      for (const char *p = dump; (p = strchr (p, '\n')) != NULL; p++)
        lines++;
      begin = g_get_monotonic_time ();
      db_connection_list_update (DB_CONNECTION_LIST (fixture.list), fixture.pool->engine);
      update_time = MIN (update_time, g_get_monotonic_time () - begin);
    }
  g_assert_cmpuint (lines, >, 1000);
  g_test_message ("1,000 sessions: dump %.2f ms, update of the list %.2f ms", dump_time / 1000.0,
                  update_time / 1000.0);
  g_assert_cmpint (dump_time, <, 200 * G_TIME_SPAN_MILLISECOND);
  g_assert_cmpint (update_time, <, 200 * G_TIME_SPAN_MILLISECOND);
  g_ptr_array_set_size (connections, 0);
  tear_down (&fixture);
}

static int
look_in_child (Fixture *fixture)
{
  g_autofree char *dump = db_pool_dump (fixture->pool);

  db_connection_info_evict (peek_item (fixture->list, 0));
  return strstr (dump, "belongs to the parent") == NULL ||
         db_pool_get_connections (fixture->pool) == NULL;
}

static void
test_fork (void)
{
  Fixture fixture;
  int status;
  pid_t child;

  set_up (&fixture, 1);
  fill (fixture.pool, 1);
  await_n_items (fixture.list, 1);
  child = fork ();
  g_assert_cmpint (child, >=, 0);
  if (child == 0)
    _exit (look_in_child (&fixture));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
  tear_down (&fixture);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  DB_SESSION_CLASS (g_type_class_ref (FAKE_TYPE_SESSION))->describe = fake_session_describe;
  g_test_add_func ("/connections/follows", test_follows);
  g_test_add_func ("/connections/filled-at-once", test_filled_at_once);
  g_test_add_func ("/connections/ranges", test_ranges);
  g_test_add_func ("/connections/notifies", test_notifies);
  g_test_add_func ("/connections/properties", test_properties);
  g_test_add_func ("/connections/evict", test_evict);
  g_test_add_func ("/connections/states", test_states);
  g_test_add_func ("/connections/outlives-pool", test_outlives_pool);
  g_test_add_func ("/connections/dropped-by-handler", test_dropped_by_handler);
  g_test_add_func ("/connections/overlapping-lists", test_overlapping_lists);
  g_test_add_func ("/connections/threads", test_threads);
  g_test_add_func ("/connections/come-and-go", test_come_and_go);
  g_test_add_func ("/connections/fork", test_fork);
  g_test_add_func ("/dump/contents", test_dump);
  g_test_add_func ("/dump/troubles", test_dump_troubles);
  g_test_add_func ("/dump/waits-for-nothing", test_dump_waits_for_nothing);
  g_test_add_func ("/dump/many", test_many);
  g_test_add_func ("/statements/show", test_statement_shows);
  return g_test_run ();
}
