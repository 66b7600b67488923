/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The world of the SQL tests; see the header. Each test on PostgreSQL has a schema of its own, each
 * on SQLite a file. No lock. */

#include "config.h"

#include "sql-fixture.h"

#include <glib/gstdio.h>
#include <unistd.h>

#define WATCHDOG_SECONDS 30
#define TEST_SECONDS 200

typedef struct
{
  SqlTest test;
  SqlWhere where; /* one of each kind */
} Case;

static Case cases[200];
static guint n_cases;

/* The world. */

static char *
make_uri (SqlWorld *world)
{
  static guint n_schemas;
  const char *uri = g_getenv ("DBPOOL_TEST_POSTGRES_URI");

  if (!world->postgres)
    return g_strconcat ("sqlite:", world->path, NULL);
  if (uri == NULL)
    return NULL;
  world->schema = g_strdup_printf ("sql_test_%d_%u", (int) getpid (), ++n_schemas);
  return g_strdup_printf ("%s%coptions=-csearch_path%%3D%s", uri, strchr (uri, '?') ? '&' : '?',
                          world->schema);
}

static gboolean
world_init (SqlWorld *world, SqlWhere where)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autoptr (DbPoolConfig) config =
    g_object_new (DB_TYPE_POOL_CONFIG, "max-connections", 3u, "name", "sql", NULL);
  g_autoptr (GError) error = NULL;
  g_autofree char *uri = NULL;

  world->postgres = (where & SQL_ON_POSTGRES) != 0;
  world->async = (where & SQL_ASYNC) != 0;
  world->folder = g_dir_make_tmp ("dbpool-XXXXXX", NULL);
  world->path = g_build_filename (world->folder, "test.db", NULL);
  world->context = g_main_context_new ();
  g_main_context_push_thread_default (world->context);
  uri = make_uri (world);
  if (uri == NULL)
    return FALSE;
  world->manager = db_pool_factory_create_manager (factory, uri, NULL, &error);
  g_assert_no_error (error);
  world->pool = db_pool_new (world->manager, config, &error);
  g_assert_no_error (error);
  world->connection = sql_acquire (world);
  if (world->postgres)
    {
      g_autofree char *create = g_strconcat ("CREATE SCHEMA ", world->schema, NULL);

      sql_do (world, create);
    }
  return TRUE;
}

static void
drop_schema (SqlWorld *world)
{
  g_autofree char *drop =
    g_strdup_printf ("SET client_min_messages = error; DROP SCHEMA %s CASCADE", world->schema);
  g_autoptr (GError) error = NULL;
  g_autoptr (DbConnection) connection = db_pool_acquire (world->pool, NULL, &error);

  g_assert_no_error (error);
  db_connection_execute_script (connection, drop, NULL, &error);
  g_assert_no_error (error);
}

static void
close_pool (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;

  if (world->postgres && !db_pool_is_closed (world->pool))
    drop_schema (world);
  db_pool_close (world->pool, 5 * G_TIME_SPAN_SECOND, NULL, &error);
  g_assert_no_error (error);
  /* What was dropped may still be on its way on another thread. */
  g_clear_object (&world->pool);
}

static void
world_clear (SqlWorld *world)
{
  static const char *const suffixes[] = {"", "-wal", "-shm"};

  g_clear_object (&world->connection);
  if (world->pool != NULL)
    close_pool (world);
  g_clear_object (&world->manager);
  while (g_main_context_iteration (world->context, FALSE))
    ;
  g_main_context_pop_thread_default (world->context);
  g_main_context_unref (world->context);
  for (gsize i = 0; i < G_N_ELEMENTS (suffixes); i++)
    {
      g_autofree char *file = g_strconcat (world->path, suffixes[i], NULL);

      g_unlink (file);
    }
  g_assert_cmpint (g_rmdir (world->folder), ==, 0);
  g_free (world->path);
  g_free (world->folder);
  g_free (world->schema);
}

static void
run_case (gconstpointer data)
{
  const Case *self = data;
  SqlWorld world = {0};

  alarm (TEST_SECONDS);
  if (world_init (&world, self->where))
    self->test (&world);
  else
    g_test_skip ("there is no PostgreSQL");
  world_clear (&world);
}

static void
add_case (const char *path, SqlWhere where, SqlTest test)
{
  g_autofree char *full =
    g_strdup_printf ("/sql/%s/%s/%s", path, where & SQL_ON_SQLITE ? "sqlite" : "postgres",
                     where & SQL_ASYNC ? "async" : "blocking");
  Case *self = &cases[n_cases++];

  g_assert_cmpuint (n_cases, <=, G_N_ELEMENTS (cases));
  *self = (Case){test, where};
  g_test_add_data_func (full, self, run_case);
}

void
sql_add (const char *path, SqlWhere where, SqlTest test)
{
  static const SqlWhere databases[] = {SQL_ON_SQLITE, SQL_ON_POSTGRES};
  static const SqlWhere forms[] = {SQL_BLOCKING, SQL_ASYNC};

  if (!(where & (SQL_ON_SQLITE | SQL_ON_POSTGRES)))
    where |= SQL_ON_SQLITE | SQL_ON_POSTGRES;
  if (!(where & (SQL_BLOCKING | SQL_ASYNC)))
    where |= SQL_BLOCKING | SQL_ASYNC;
  for (gsize i = 0; i < G_N_ELEMENTS (databases); i++)
    for (gsize j = 0; j < G_N_ELEMENTS (forms); j++)
      if (where & databases[i] && where & forms[j])
        add_case (path, databases[i] | forms[j], test);
}

/* Waiting. */

void
sql_keep_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  GAsyncResult **kept = data;

  g_assert_null (*kept);
  *kept = g_object_ref (result);
}

static gboolean
watchdog_cb (gpointer data)
{
  g_error ("a call has not ended in %d s", WATCHDOG_SECONDS);
  return G_SOURCE_REMOVE;
}

GAsyncResult *
sql_wait (SqlWorld *world, GAsyncResult **result)
{
  g_autoptr (GSource) watchdog = g_timeout_source_new_seconds (WATCHDOG_SECONDS);

  g_source_set_callback (watchdog, watchdog_cb, NULL, NULL);
  g_source_attach (watchdog, world->context);
  while (*result == NULL)
    g_main_context_iteration (world->context, TRUE);
  g_source_destroy (watchdog);
  return g_steal_pointer (result);
}

typedef struct
{
  GCancellable *cancellable;
  guint milliseconds;
} LaterCancel;

static gpointer
cancel_thread (gpointer data)
{
  LaterCancel *later = data;

  g_usleep (later->milliseconds * 1000);
  g_cancellable_cancel (later->cancellable);
  g_object_unref (later->cancellable);
  g_free (later);
  return NULL;
}

GThread *
sql_cancel_later (GCancellable *cancellable, guint milliseconds)
{
  LaterCancel *later = g_new (LaterCancel, 1);

  *later = (LaterCancel){g_object_ref (cancellable), milliseconds};
  return g_thread_new ("cancel", cancel_thread, later);
}

/* The calls. */

DbResult *
sql_query (SqlWorld *world, const char *sql, GVariant *params, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_connection_query (world->connection, sql, params, world->cancellable, error);
  db_connection_query_async (world->connection, sql, params, world->cancellable, sql_keep_cb,
                             &kept);
  result = sql_wait (world, &kept);
  return db_connection_query_finish (world->connection, result, error);
}

gint64
sql_execute (SqlWorld *world, const char *sql, GVariant *params, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_connection_execute (world->connection, sql, params, world->cancellable, error);
  db_connection_execute_async (world->connection, sql, params, world->cancellable, sql_keep_cb,
                               &kept);
  result = sql_wait (world, &kept);
  return db_connection_execute_finish (world->connection, result, error);
}

DbResult *
sql_query_params (SqlWorld *world, const char *sql, DbParams *params, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_connection_query_params (world->connection, sql, params, world->cancellable, error);
  db_connection_query_params_async (world->connection, sql, params, world->cancellable, sql_keep_cb,
                                    &kept);
  result = sql_wait (world, &kept);
  return db_connection_query_params_finish (world->connection, result, error);
}

gboolean
sql_script (SqlWorld *world, const char *sql, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_connection_execute_script (world->connection, sql, world->cancellable, error);
  db_connection_execute_script_async (world->connection, sql, world->cancellable, sql_keep_cb,
                                      &kept);
  result = sql_wait (world, &kept);
  return db_connection_execute_script_finish (world->connection, result, error);
}

gint64
sql_execute_many (SqlWorld *world, const char *sql, DbParams *rows, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_connection_execute_many (world->connection, sql, rows, world->cancellable, error);
  db_connection_execute_many_async (world->connection, sql, rows, world->cancellable, sql_keep_cb,
                                    &kept);
  result = sql_wait (world, &kept);
  return db_connection_execute_many_finish (world->connection, result, error);
}

DbBatchResult *
sql_run_batch (SqlWorld *world, DbBatch *batch, DbBatchFlags flags, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_connection_run_batch (world->connection, batch, flags, world->cancellable, error);
  db_connection_run_batch_async (world->connection, batch, flags, world->cancellable, sql_keep_cb,
                                 &kept);
  result = sql_wait (world, &kept);
  return db_connection_run_batch_finish (world->connection, result, error);
}

DbDescription *
sql_describe (SqlWorld *world, const char *sql, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_connection_describe (world->connection, sql, world->cancellable, error);
  db_connection_describe_async (world->connection, sql, world->cancellable, sql_keep_cb, &kept);
  result = sql_wait (world, &kept);
  return db_connection_describe_finish (world->connection, result, error);
}

DbCursor *
sql_open_cursor (SqlWorld *world,
                 const char *sql,
                 GVariant *params,
                 guint batch_size,
                 GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_connection_open_cursor (world->connection, sql, params, batch_size,
                                      world->cancellable, error);
  db_connection_open_cursor_async (world->connection, sql, params, batch_size, world->cancellable,
                                   sql_keep_cb, &kept);
  result = sql_wait (world, &kept);
  return db_connection_open_cursor_finish (world->connection, result, error);
}

DbResult *
sql_fetch (SqlWorld *world, DbCursor *cursor, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_cursor_fetch (cursor, world->cancellable, error);
  db_cursor_fetch_async (cursor, world->cancellable, sql_keep_cb, &kept);
  result = sql_wait (world, &kept);
  return db_cursor_fetch_finish (cursor, result, error);
}

gboolean
sql_close_cursor (SqlWorld *world, DbCursor *cursor, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_cursor_close (cursor, world->cancellable, error);
  db_cursor_close_async (cursor, world->cancellable, sql_keep_cb, &kept);
  result = sql_wait (world, &kept);
  return db_cursor_close_finish (cursor, result, error);
}

DbTransaction *
sql_begin (SqlWorld *world, DbIsolation isolation, DbTransactionFlags flags, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_connection_begin (world->connection, isolation, flags, world->cancellable, error);
  db_connection_begin_async (world->connection, isolation, flags, world->cancellable, sql_keep_cb,
                             &kept);
  result = sql_wait (world, &kept);
  return db_connection_begin_finish (world->connection, result, error);
}

gboolean
sql_commit (SqlWorld *world, DbTransaction *transaction, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_transaction_commit (transaction, world->cancellable, error);
  db_transaction_commit_async (transaction, world->cancellable, sql_keep_cb, &kept);
  result = sql_wait (world, &kept);
  return db_transaction_commit_finish (transaction, result, error);
}

gboolean
sql_rollback (SqlWorld *world, DbTransaction *transaction, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_transaction_rollback (transaction, world->cancellable, error);
  db_transaction_rollback_async (transaction, world->cancellable, sql_keep_cb, &kept);
  result = sql_wait (world, &kept);
  return db_transaction_rollback_finish (transaction, result, error);
}

DbResult *
sql_pool_query (SqlWorld *world, const char *sql, GVariant *params, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_pool_query (world->pool, sql, params, world->cancellable, error);
  db_pool_query_async (world->pool, sql, params, world->cancellable, sql_keep_cb, &kept);
  result = sql_wait (world, &kept);
  return db_pool_query_finish (world->pool, result, error);
}

gint64
sql_pool_execute_many (SqlWorld *world, const char *sql, DbParams *rows, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_pool_execute_many (world->pool, sql, rows, world->cancellable, error);
  db_pool_execute_many_async (world->pool, sql, rows, world->cancellable, sql_keep_cb, &kept);
  result = sql_wait (world, &kept);
  return db_pool_execute_many_finish (world->pool, result, error);
}

DbBatchResult *
sql_pool_run_batch (SqlWorld *world, DbBatch *batch, DbBatchFlags flags, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_pool_run_batch (world->pool, batch, flags, world->cancellable, error);
  db_pool_run_batch_async (world->pool, batch, flags, world->cancellable, sql_keep_cb, &kept);
  result = sql_wait (world, &kept);
  return db_pool_run_batch_finish (world->pool, result, error);
}

DbTransaction *
sql_pool_begin (SqlWorld *world, DbIsolation isolation, DbTransactionFlags flags, GError **error)
{
  GAsyncResult *kept = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  if (!world->async)
    return db_pool_begin (world->pool, isolation, flags, world->cancellable, error);
  db_pool_begin_async (world->pool, isolation, flags, world->cancellable, sql_keep_cb, &kept);
  result = sql_wait (world, &kept);
  return db_pool_begin_finish (world->pool, result, error);
}

/* What must succeed. */

gint64
sql_do (SqlWorld *world, const char *sql)
{
  g_autoptr (GError) error = NULL;
  gint64 n = sql_execute (world, sql, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpint (n, >=, 0);
  return n;
}

void
sql_do_script (SqlWorld *world, const char *sql)
{
  g_autoptr (GError) error = NULL;
  gboolean done = sql_script (world, sql, &error);

  g_assert_no_error (error);
  g_assert_true (done);
}

static DbResult *
ask_cell (SqlWorld *world, const char *sql)
{
  g_autoptr (GError) error = NULL;
  DbResult *result = sql_query (world, sql, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, 1);
  return result;
}

gint64
sql_ask (SqlWorld *world, const char *sql)
{
  g_autoptr (DbResult) result = ask_cell (world, sql);

  return db_result_get_int64 (result, 0, 0);
}

char *
sql_ask_text (SqlWorld *world, const char *sql)
{
  g_autoptr (DbResult) result = ask_cell (world, sql);

  return g_strdup (db_result_get_text (result, 0, 0));
}

DbTransaction *
sql_must_begin (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  DbTransaction *transaction = sql_begin (world, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE, &error);

  g_assert_no_error (error);
  g_assert_true (db_transaction_is_open (transaction));
  return transaction;
}

void
sql_must_commit (SqlWorld *world, DbTransaction *transaction)
{
  g_autoptr (GError) error = NULL;
  gboolean done = sql_commit (world, transaction, &error);

  g_assert_no_error (error);
  g_assert_true (done);
  g_assert_false (db_transaction_is_open (transaction));
}

void
sql_must_roll_back (SqlWorld *world, DbTransaction *transaction)
{
  g_autoptr (GError) error = NULL;
  gboolean done = sql_rollback (world, transaction, &error);

  g_assert_no_error (error);
  g_assert_true (done);
  g_assert_false (db_transaction_is_open (transaction));
}

DbCursor *
sql_must_open (SqlWorld *world, const char *sql, guint batch_size)
{
  g_autoptr (GError) error = NULL;
  DbCursor *cursor = sql_open_cursor (world, sql, NULL, batch_size, &error);

  g_assert_no_error (error);
  g_assert_nonnull (cursor);
  return cursor;
}

DbResult *
sql_must_fetch (SqlWorld *world, DbCursor *cursor, guint n_rows)
{
  g_autoptr (GError) error = NULL;
  DbResult *result = sql_fetch (world, cursor, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (db_result_get_n_rows (result), ==, n_rows);
  return result;
}

gint64
sql_others_see (SqlWorld *world, const char *sql)
{
  g_autoptr (DbConnection) other = sql_acquire (world);
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = db_connection_query (other, sql, NULL, NULL, &error);

  g_assert_no_error (error);
  return db_result_get_int64 (result, 0, 0);
}

void
sql_assert_fails (SqlWorld *world, const char *sql, GVariant *params, int code, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = sql_query (world, sql, params, &error);

  g_assert_null (result);
  g_assert_error (error, DB_ERROR, code);
  g_test_message ("%s", error->message);
  if (text != NULL && strstr (error->message, text) == NULL)
    g_error ("“%s” is not in “%s”", text, error->message);
}

gboolean
sql_in_transaction (SqlWorld *world)
{
  DbSession *session = db_connection_get_session (world->connection);

  return db_session_get_state (session) != DB_SESSION_IDLE;
}

void
sql_assert_usable (SqlWorld *world)
{
  g_assert_cmpint (sql_ask (world, "SELECT 6 * 7"), ==, 42);
  g_assert_false (sql_in_transaction (world));
}

DbConnection *
sql_acquire (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  DbConnection *connection =
    db_pool_acquire_full (world->pool, DB_ACQUIRE_NONE, -1, NULL, NULL, &error);

  g_assert_no_error (error);
  return connection;
}

/* Nothing tells of a return to the one who made it; how long it takes is of no matter. */
void
sql_wait_for_lent (SqlWorld *world, guint n)
{
  gint64 until = g_get_monotonic_time () + WATCHDOG_SECONDS * G_TIME_SPAN_SECOND;

  for (;;)
    {
      g_autoptr (DbPoolStats) stats = db_pool_get_stats (world->pool);

      if (db_pool_stats_get_lent (stats) == n)
        return;
      g_assert_cmpint (g_get_monotonic_time (), <, until);
      g_usleep (500);
    }
}

void
sql_borrow_again (SqlWorld *world)
{
  guint64 id = db_connection_get_id (world->connection);

  db_connection_release (world->connection);
  g_clear_object (&world->connection);
  /* One at a time, so that it has to be the same session. */
  db_pool_resize (world->pool, 0, 1);
  world->connection = sql_acquire (world);
  db_pool_resize (world->pool, 0, 3);
  g_assert_cmpuint (db_connection_get_id (world->connection), ==, id);
}

/* Words. */

const char *
sql_serial_column (SqlWorld *world)
{
  return world->postgres ? "bigserial PRIMARY KEY" : "integer PRIMARY KEY";
}

const char *
sql_endless (void)
{
  return "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT (x + 1) % 1000 FROM c) "
         "SELECT count(*) FROM c";
}

char *
sql_numbers (guint n)
{
  return g_strdup_printf (
    "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < %u) "
    "SELECT x FROM c",
    n);
}
