/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Transactions of the pool's: one that has its own connection, and a function that is run again
 * when its transaction loses against another one. */

#include "config.h"

#include "sql-fixture.h"

#define MAX_ATTEMPTS 10

/* The connection that the world begins with is in the way of counting. */
static void
start (SqlWorld *world)
{
  sql_do_script (world, "CREATE TABLE t (id integer PRIMARY KEY, x integer);"
                        "INSERT INTO t VALUES (1, 0), (2, 0)");
  sql_borrow_again (world);
  g_clear_object (&world->connection);
  sql_wait_for_lent (world, 0);
}

static gint64
ask_pool (SqlWorld *world, const char *sql)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbResult) result = sql_pool_query (world, sql, NULL, &error);

  g_assert_no_error (error);
  return db_result_get_int64 (result, 0, 0);
}

static void
run (DbConnection *connection, const char *sql)
{
  g_autoptr (GError) error = NULL;

  db_connection_execute (connection, sql, NULL, NULL, &error);
  g_assert_no_error (error);
}

static DbTransaction *
pool_begin (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  DbTransaction *transaction =
    sql_pool_begin (world, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE, &error);

  g_assert_no_error (error);
  sql_wait_for_lent (world, 1);
  run (db_transaction_get_connection (transaction), "UPDATE t SET x = x + 1 WHERE id = 1");
  return transaction;
}

/* The connection goes back with the end of the transaction, whoever still has a reference. */
static void
test_begin (SqlWorld *world)
{
  g_autoptr (DbTransaction) committed = NULL;
  g_autoptr (DbTransaction) rolled_back = NULL;
  g_autoptr (DbConnection) connection = NULL;

  start (world);
  committed = pool_begin (world);
  connection = g_object_ref (db_transaction_get_connection (committed));
  sql_must_commit (world, committed);
  sql_wait_for_lent (world, 0);
  g_assert_true (db_connection_is_released (connection));
  g_assert_cmpint (ask_pool (world, "SELECT x FROM t WHERE id = 1"), ==, 1);

  rolled_back = pool_begin (world);
  sql_must_roll_back (world, rolled_back);
  sql_wait_for_lent (world, 0);
  g_assert_cmpint (ask_pool (world, "SELECT x FROM t WHERE id = 1"), ==, 1);

  g_object_unref (pool_begin (world));
  sql_wait_for_lent (world, 0);
  g_assert_cmpint (ask_pool (world, "SELECT x FROM t WHERE id = 1"), ==, 1);
}

static void
test_begin_drop_with_reference (SqlWorld *world)
{
  DbTransaction *transaction;
  g_autoptr (DbConnection) connection = NULL;
  g_autoptr (GError) error = NULL;

  start (world);
  transaction = pool_begin (world);
  connection = g_object_ref (db_transaction_get_connection (transaction));
  g_object_unref (transaction);
  sql_wait_for_lent (world, 0);
  g_assert_null (db_connection_query (connection, "SELECT 1", NULL, NULL, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
}

static void
test_begin_fails (SqlWorld *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  start (world);
  g_cancellable_cancel (cancellable);
  world->cancellable = cancellable;
  g_assert_null (sql_pool_begin (world, DB_ISOLATION_DEFAULT, DB_TRANSACTION_NONE, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  world->cancellable = NULL;
  sql_wait_for_lent (world, 0);
}

/* Functions. */

typedef struct
{
  SqlWorld *world;
  guint n_calls;
  guint n_losses; /* how often the other one is to win */
  GCancellable *cancellable;
} Attempt;

static gboolean
transact (Attempt *attempt, DbTransactFunc func, GError **error)
{
  return db_pool_transact (attempt->world->pool, DB_ISOLATION_SERIALIZABLE,
                           attempt->world->postgres ? DB_TRANSACTION_NONE : DB_TRANSACTION_DEFERRED,
                           func, attempt, attempt->cancellable, error);
}

static gboolean
add_cb (DbConnection *connection, gpointer user_data, GError **error)
{
  Attempt *attempt = user_data;

  attempt->n_calls++;
  return db_connection_execute (connection, "UPDATE t SET x = x + 1", NULL, NULL, error) == 2;
}

static void
test_commits (SqlWorld *world)
{
  Attempt attempt = {world};
  g_autoptr (GError) error = NULL;

  start (world);
  g_assert_true (transact (&attempt, add_cb, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (attempt.n_calls, ==, 1);
  sql_wait_for_lent (world, 0);
  g_assert_cmpint (ask_pool (world, "SELECT sum(x) FROM t"), ==, 2);
}

/* Another session writes what this one has read, after it has read it. */
static gboolean
lose_cb (DbConnection *connection, gpointer user_data, GError **error)
{
  Attempt *attempt = user_data;
  g_autoptr (DbResult) read =
    db_connection_query (connection, "SELECT sum(x) FROM t", NULL, NULL, error);

  attempt->n_calls++;
  if (read == NULL)
    return FALSE;
  if (attempt->n_calls <= attempt->n_losses)
    {
      g_autoptr (DbConnection) other = sql_acquire (attempt->world);

      run (other, "UPDATE t SET x = x + 100 WHERE id = 2");
    }
  return db_connection_execute (connection, "UPDATE t SET x = x + 1 WHERE id = 2", NULL, NULL,
                                error) == 1;
}

static void
test_retries (SqlWorld *world)
{
  Attempt attempt = {world, .n_losses = 2};
  g_autoptr (GError) error = NULL;

  start (world);
  g_assert_true (transact (&attempt, lose_cb, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (attempt.n_calls, ==, 3);
  sql_wait_for_lent (world, 0);
  g_assert_cmpint (ask_pool (world, "SELECT x FROM t WHERE id = 2"), ==, 201);
}

/* It is not tried for ever, and says so as what it is. */
static void
test_gives_up (SqlWorld *world)
{
  Attempt attempt = {world, .n_losses = G_MAXUINT};
  g_autoptr (GError) error = NULL;

  start (world);
  g_assert_false (transact (&attempt, lose_cb, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_SERIALIZATION);
  g_assert_true (db_error_is_transient (error));
  g_assert_cmpuint (attempt.n_calls, ==, MAX_ATTEMPTS);
  sql_wait_for_lent (world, 0);
  g_assert_cmpint (ask_pool (world, "SELECT x FROM t WHERE id = 2"), ==, 100 * MAX_ATTEMPTS);
}

/* Two that read what the other one writes: the loss shows at the commit. */
static gboolean
skew_cb (DbConnection *connection, gpointer user_data, GError **error)
{
  Attempt *attempt = user_data;
  g_autoptr (DbResult) read =
    db_connection_query (connection, "SELECT sum(x) FROM t", NULL, NULL, error);

  if (read == NULL)
    return FALSE;
  if (attempt->n_calls++ == 0)
    {
      g_autoptr (DbConnection) other = sql_acquire (attempt->world);

      run (other, "BEGIN ISOLATION LEVEL SERIALIZABLE");
      run (other, "INSERT INTO t SELECT 3, sum(x) FROM t");
      run (other, "COMMIT");
    }
  return db_connection_execute (connection, "UPDATE t SET x = x + 1 WHERE id = 1", NULL, NULL,
                                error) == 1;
}

static void
test_loses_by_skew (SqlWorld *world)
{
  Attempt attempt = {world};
  g_autoptr (GError) error = NULL;

  start (world);
  g_assert_true (transact (&attempt, skew_cb, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (attempt.n_calls, ==, 2);
}

static gboolean
fail_cb (DbConnection *connection, gpointer user_data, GError **error)
{
  Attempt *attempt = user_data;

  attempt->n_calls++;
  run (connection, "UPDATE t SET x = 1000");
  return FALSE;
}

static void
test_fails_without_error (SqlWorld *world)
{
  Attempt attempt = {world};
  g_autoptr (GError) error = NULL;

  start (world);
  g_assert_false (transact (&attempt, fail_cb, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_FAILED);
  g_assert_cmpuint (attempt.n_calls, ==, 1);
  sql_wait_for_lent (world, 0);
  g_assert_cmpint (ask_pool (world, "SELECT sum(x) FROM t"), ==, 0);
}

static gboolean
refuse_cb (DbConnection *connection, gpointer user_data, GError **error)
{
  Attempt *attempt = user_data;

  attempt->n_calls++;
  run (connection, "UPDATE t SET x = 1000");
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "enough");
  return FALSE;
}

static void
test_fails_with_error (SqlWorld *world)
{
  Attempt attempt = {world};
  g_autoptr (GError) error = NULL;

  start (world);
  g_assert_false (transact (&attempt, refuse_cb, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_assert_cmpuint (attempt.n_calls, ==, 1);
  sql_wait_for_lent (world, 0);
  g_assert_cmpint (ask_pool (world, "SELECT sum(x) FROM t"), ==, 0);
}

/* Where nobody waits for the other one: between two attempts. */
static gboolean
lose_and_cancel_cb (DbConnection *connection, gpointer user_data, GError **error)
{
  Attempt *attempt = user_data;

  attempt->n_calls++;
  g_cancellable_cancel (attempt->cancellable);
  g_set_error_literal (error, DB_ERROR, DB_ERROR_SERIALIZATION, "lost");
  return FALSE;
}

static void
test_cancel_in_pause (SqlWorld *world)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Attempt attempt = {world, .cancellable = cancellable};
  g_autoptr (GError) error = NULL;

  start (world);
  g_assert_false (transact (&attempt, lose_and_cancel_cb, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (attempt.n_calls, ==, 1);
  sql_wait_for_lent (world, 0);
}

static gboolean
commit_cb (DbConnection *connection, gpointer user_data, GError **error)
{
  Attempt *attempt = user_data;

  attempt->n_calls++;
  run (connection, "UPDATE t SET x = 1");
  run (connection, "COMMIT");
  return TRUE;
}

/* Its work lasts, and it is told that it is not what is asked of it; once. */
static void
test_commits_itself (SqlWorld *world)
{
  Attempt attempt = {world};
  g_autoptr (GError) error = NULL;

  start (world);
  g_assert_false (transact (&attempt, commit_cb, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_assert_cmpuint (attempt.n_calls, ==, 1);
  sql_wait_for_lent (world, 0);
  g_assert_cmpint (ask_pool (world, "SELECT sum(x) FROM t"), ==, 2);
}

static gboolean
release_cb (DbConnection *connection, gpointer user_data, GError **error)
{
  run (connection, "UPDATE t SET x = 1000");
  db_connection_release (connection);
  return TRUE;
}

static void
test_releases (SqlWorld *world)
{
  Attempt attempt = {world};
  g_autoptr (GError) error = NULL;

  start (world);
  g_assert_false (transact (&attempt, release_cb, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
  sql_wait_for_lent (world, 0);
  g_assert_cmpint (ask_pool (world, "SELECT sum(x) FROM t"), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  sql_add ("transact/begin", SQL_EVERYWHERE, test_begin);
  sql_add ("transact/begin-drop-with-reference", SQL_EVERYWHERE, test_begin_drop_with_reference);
  sql_add ("transact/begin-fails", SQL_EVERYWHERE, test_begin_fails);
  sql_add ("transact/commits", SQL_BLOCKING, test_commits);
  sql_add ("transact/retries", SQL_BLOCKING, test_retries);
  sql_add ("transact/gives-up", SQL_BLOCKING, test_gives_up);
  sql_add ("transact/loses-by-skew", SQL_BLOCKING | SQL_ON_POSTGRES, test_loses_by_skew);
  sql_add ("transact/fails-without-error", SQL_BLOCKING, test_fails_without_error);
  sql_add ("transact/fails-with-error", SQL_BLOCKING, test_fails_with_error);
  sql_add ("transact/cancel-in-pause", SQL_BLOCKING, test_cancel_in_pause);
  sql_add ("transact/commits-itself", SQL_BLOCKING, test_commits_itself);
  sql_add ("transact/releases", SQL_BLOCKING, test_releases);
  return g_test_run ();
}
