/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Transactions: what they keep apart, what becomes of their work, and what a guard that is dropped,
 * too early or too late, does. */

#include "config.h"

#include "sql-fixture.h"

#define COUNT "SELECT count(*) FROM t"

static void
create_table (SqlWorld *world)
{
  sql_do (world, "CREATE TABLE t (x integer)");
}

static void
insert (SqlWorld *world)
{
  g_assert_cmpint (sql_do (world, "INSERT INTO t VALUES (1)"), ==, 1);
}

static void
assert_ended (SqlWorld *world, DbTransaction *transaction)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (sql_commit (world, transaction, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
  g_assert_nonnull (strstr (error->message, "ended"));
  g_clear_error (&error);
  g_assert_false (sql_rollback (world, transaction, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
}

static void
test_commit_and_roll_back (SqlWorld *world)
{
  g_autoptr (DbTransaction) first = NULL;
  g_autoptr (DbTransaction) second = NULL;

  create_table (world);
  first = sql_must_begin (world);
  g_assert_true (db_transaction_get_connection (first) == world->connection);
  insert (world);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 0);
  sql_must_commit (world, first);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 1);
  assert_ended (world, first);

  second = sql_must_begin (world);
  insert (world);
  g_assert_cmpint (sql_ask (world, COUNT), ==, 2);
  sql_must_roll_back (world, second);
  g_assert_cmpint (sql_ask (world, COUNT), ==, 1);
  sql_assert_usable (world);
}

static void
test_isolation (SqlWorld *world)
{
  static const char *const levels[] = {
    [DB_ISOLATION_DEFAULT] = "read committed",
    [DB_ISOLATION_READ_COMMITTED] = "read committed",
    [DB_ISOLATION_REPEATABLE_READ] = "repeatable read",
    [DB_ISOLATION_SERIALIZABLE] = "serializable",
  };

  create_table (world);
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DbTransaction) transaction =
        sql_begin (world, (DbIsolation) i, DB_TRANSACTION_NONE, &error);

      g_assert_no_error (error);
      if (world->postgres)
        {
          g_autofree char *level = sql_ask_text (world, "SHOW transaction_isolation");

          g_assert_cmpstr (level, ==, levels[i]);
        }
      insert (world);
      sql_must_commit (world, transaction);
    }
  g_assert_cmpint (sql_ask (world, COUNT), ==, 4);
}

/* Whether another session could write now. */
static gboolean
others_can_write (SqlWorld *world)
{
  g_autoptr (DbConnection) other = sql_acquire (world);
  g_autoptr (GError) error = NULL;

  db_connection_execute (other, "PRAGMA busy_timeout = 20", NULL, NULL, &error);
  g_assert_no_error (error);
  if (db_connection_execute (other, "INSERT INTO t VALUES (1)", NULL, NULL, &error) == 1)
    return TRUE;
  g_assert_error (error, DB_ERROR, DB_ERROR_BUSY);
  return FALSE;
}

static void
test_lock_flags (SqlWorld *world)
{
  static const struct
  {
    DbTransactionFlags flags;
    gboolean others_can_write;
  } cases[] = {
    {DB_TRANSACTION_NONE, FALSE},
    {DB_TRANSACTION_EXCLUSIVE, FALSE},
    {DB_TRANSACTION_DEFERRED, TRUE},
    {DB_TRANSACTION_READ_ONLY, TRUE},
  };

  create_table (world);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (DbTransaction) transaction =
        sql_begin (world, DB_ISOLATION_DEFAULT, cases[i].flags, &error);

      g_assert_no_error (error);
      g_assert_cmpint (others_can_write (world), ==, cases[i].others_can_write);
      sql_must_commit (world, transaction);
    }
}

static void
test_read_only (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbTransaction) transaction = NULL;

  create_table (world);
  transaction = sql_begin (world, DB_ISOLATION_DEFAULT, DB_TRANSACTION_READ_ONLY, &error);
  g_assert_no_error (error);
  g_assert_cmpint (sql_ask (world, COUNT), ==, 0);
  sql_assert_fails (world, "INSERT INTO t VALUES (1)", NULL, DB_ERROR_READ_ONLY, "read-only");
  sql_must_roll_back (world, transaction);
  insert (world);
  g_assert_cmpint (sql_ask (world, COUNT), ==, 1);
}

static void
test_deferrable (SqlWorld *world)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbTransaction) transaction =
    sql_begin (world, DB_ISOLATION_SERIALIZABLE,
               DB_TRANSACTION_READ_ONLY | DB_TRANSACTION_DEFERRABLE, &error);
  g_autofree char *deferrable = NULL;

  g_assert_no_error (error);
  deferrable = sql_ask_text (world, "SHOW transaction_deferrable");
  g_assert_cmpstr (deferrable, ==, "on");
  sql_must_commit (world, transaction);
}

/* Savepoints. */

static void
test_nested (SqlWorld *world)
{
  g_autoptr (DbTransaction) outer = NULL;
  g_autoptr (GError) error = NULL;

  create_table (world);
  outer = sql_must_begin (world);
  insert (world);
  for (int i = 0; i < 3; i++)
    {
      g_autoptr (DbTransaction) kept = sql_must_begin (world);
      g_autoptr (DbTransaction) inner = NULL;

      insert (world);
      inner = sql_must_begin (world);
      insert (world);
      g_assert_false (sql_commit (world, kept, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
      g_clear_error (&error);
      sql_must_roll_back (world, inner);
      sql_must_commit (world, kept);
      assert_ended (world, inner);
    }
  g_assert_cmpint (sql_ask (world, COUNT), ==, 4);
  sql_must_commit (world, outer);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 4);
}

/* The end of the outer one is that of the inner ones. */
static void
test_outer_rolls_back (SqlWorld *world)
{
  g_autoptr (DbTransaction) outer = NULL;
  g_autoptr (DbTransaction) inner = NULL;

  create_table (world);
  outer = sql_must_begin (world);
  inner = sql_must_begin (world);
  insert (world);
  sql_must_roll_back (world, outer);
  g_assert_false (db_transaction_is_open (inner));
  assert_ended (world, inner);
  g_assert_cmpint (sql_ask (world, COUNT), ==, 0);
  sql_assert_usable (world);
}

/* What fails inside a savepoint is mended by its rollback. */
static void
test_nested_failure (SqlWorld *world)
{
  g_autoptr (DbTransaction) outer = NULL;
  g_autoptr (DbTransaction) inner = NULL;

  create_table (world);
  outer = sql_must_begin (world);
  insert (world);
  inner = sql_must_begin (world);
  sql_assert_fails (world, "SELECT * FROM nothing", NULL, DB_ERROR_QUERY, NULL);
  sql_must_roll_back (world, inner);
  insert (world);
  sql_must_commit (world, outer);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 2);
}

static void
test_nested_drop (SqlWorld *world)
{
  g_autoptr (DbTransaction) outer = NULL;

  create_table (world);
  outer = sql_must_begin (world);
  insert (world);
  g_object_unref (sql_must_begin (world));
  insert (world);
  {
    g_autoptr (DbTransaction) inner = sql_must_begin (world);

    insert (world);
    insert (world);
  }
  g_assert_cmpint (sql_ask (world, COUNT), ==, 2);
  sql_must_commit (world, outer);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 2);
}

/* Guards that are dropped. */

/* The rollback goes in front of the next statement, whatever that is. */
static void
test_drop_current (SqlWorld *world)
{
  create_table (world);
  {
    g_autoptr (DbTransaction) transaction = sql_must_begin (world);

    insert (world);
  }
  g_assert_true (sql_in_transaction (world)); /* nothing has been run yet */
  g_assert_cmpint (sql_ask (world, COUNT), ==, 0);
  sql_assert_usable (world);
  {
    g_autoptr (DbTransaction) transaction = sql_must_begin (world);

    insert (world);
  }
  insert (world);
  g_assert_false (sql_in_transaction (world));
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 1);
  {
    g_autoptr (DbTransaction) transaction = sql_must_begin (world);

    insert (world);
  }
  {
    g_autoptr (DbTransaction) transaction = sql_must_begin (world);

    insert (world);
    sql_must_commit (world, transaction);
  }
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 2);
}

/* In front of a statement that cannot be run, too. */
static void
test_drop_before_failure (SqlWorld *world)
{
  create_table (world);
  {
    g_autoptr (DbTransaction) transaction = sql_must_begin (world);

    insert (world);
  }
  sql_assert_fails (world, "SELECT * FROM nothing", NULL, DB_ERROR_QUERY, "nothing");
  g_assert_false (sql_in_transaction (world));
  g_assert_cmpint (sql_ask (world, COUNT), ==, 0);
}

static void
test_drop_stale (SqlWorld *world)
{
  g_autoptr (DbTransaction) stale = NULL;
  g_autoptr (DbTransaction) current = NULL;

  create_table (world);
  stale = sql_must_begin (world);
  sql_must_commit (world, stale);
  current = sql_must_begin (world);
  insert (world);
  g_clear_object (&stale);
  insert (world);
  g_assert_true (db_transaction_is_open (current));
  sql_must_commit (world, current);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 2);
}

static void
test_drop_outer_first (SqlWorld *world)
{
  g_autoptr (DbTransaction) outer = NULL;
  g_autoptr (DbTransaction) inner = NULL;

  create_table (world);
  outer = sql_must_begin (world);
  insert (world);
  inner = sql_must_begin (world);
  insert (world);
  g_clear_object (&outer);
  assert_ended (world, inner);
  g_assert_cmpint (sql_ask (world, COUNT), ==, 0);
  g_clear_object (&inner);
  insert (world);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 1);
}

static void
test_drop_then_return (SqlWorld *world)
{
  create_table (world);
  {
    g_autoptr (DbTransaction) transaction = sql_must_begin (world);

    insert (world);
  }
  sql_borrow_again (world);
  g_assert_false (sql_in_transaction (world));
  g_assert_cmpint (sql_ask (world, COUNT), ==, 0);
}

/* A connection that is given back under its guard. */
static void
test_release (SqlWorld *world)
{
  g_autoptr (DbTransaction) transaction = NULL;
  g_autoptr (DbConnection) old = NULL;
  g_autoptr (GError) error = NULL;

  create_table (world);
  transaction = sql_must_begin (world);
  insert (world);
  old = g_object_ref (world->connection);
  sql_borrow_again (world);
  g_assert_cmpint (sql_ask (world, COUNT), ==, 0);
  g_assert_false (db_transaction_is_open (transaction));
  g_assert_false (sql_commit (world, transaction, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_RELEASED);
  g_clear_error (&error);
  {
    g_autoptr (DbTransaction) current = sql_must_begin (world);

    insert (world);
    g_clear_object (&transaction); /* is nothing to the next borrower's */
    insert (world);
    sql_must_commit (world, current);
  }
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 2);
}

/* Failures. */

static void
test_commit_after_failure (SqlWorld *world)
{
  g_autoptr (DbTransaction) transaction = NULL;
  g_autoptr (GError) error = NULL;

  create_table (world);
  transaction = sql_must_begin (world);
  insert (world);
  sql_assert_fails (world, "SELECT * FROM nothing", NULL, DB_ERROR_QUERY, NULL);
  if (world->postgres)
    {
      sql_assert_fails (world, "SELECT 1", NULL, DB_ERROR_QUERY, "25P02");
      g_assert_false (sql_commit (world, transaction, &error));
      g_assert_error (error, DB_ERROR, DB_ERROR_QUERY);
      g_assert_nonnull (strstr (error->message, "rolled back"));
      g_assert_false (db_transaction_is_open (transaction));
    }
  else
    sql_must_commit (world, transaction);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, world->postgres ? 0 : 1);
  sql_assert_usable (world);
}

/* SQL of the application's own ends what the guard stands for. */
static void
test_sql_ends_it (SqlWorld *world)
{
  static const char *const ends[] = {"COMMIT", "ROLLBACK"};

  create_table (world);
  for (gsize i = 0; i < G_N_ELEMENTS (ends); i++)
    {
      g_autoptr (DbTransaction) outer = sql_must_begin (world);
      g_autoptr (DbTransaction) inner = sql_must_begin (world);
      g_autoptr (DbTransaction) next = NULL;

      insert (world);
      sql_do (world, ends[i]);
      assert_ended (world, inner);
      assert_ended (world, outer);
      next = sql_must_begin (world);
      g_clear_object (&outer);
      g_clear_object (&inner);
      insert (world);
      g_assert_true (sql_in_transaction (world));
      sql_must_commit (world, next);
    }
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 3);
}

/* The guard is dropped after that. */
static void
test_sql_ends_it_then_drop (SqlWorld *world)
{
  g_autoptr (DbTransaction) transaction = NULL;

  create_table (world);
  transaction = sql_must_begin (world);
  insert (world);
  sql_do (world, "COMMIT");
  g_clear_object (&transaction);
  insert (world);
  g_assert_false (sql_in_transaction (world));
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 2);
}

/* A constraint that is looked at by the commit. */
static void
test_commit_fails (SqlWorld *world)
{
  g_autoptr (DbTransaction) transaction = NULL;
  g_autoptr (GError) error = NULL;

  sql_do_script (world, "CREATE TABLE a (id integer PRIMARY KEY);"
                        "CREATE TABLE t (x integer REFERENCES a (id) DEFERRABLE INITIALLY "
                        "DEFERRED)");
  transaction = sql_must_begin (world);
  insert (world);
  g_assert_false (sql_commit (world, transaction, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_assert_cmpint (db_error_get_constraint_kind (error), ==, DB_CONSTRAINT_FOREIGN_KEY);
  if (world->postgres)
    assert_ended (world, transaction);
  else
    {
      /* it is still open, and can be mended */
      g_assert_true (db_transaction_is_open (transaction));
      sql_do (world, "INSERT INTO a VALUES (1)");
      sql_must_commit (world, transaction);
    }
  sql_assert_usable (world);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, world->postgres ? 0 : 1);
}

/* With cursors. */

static void
test_begin_with_cursor (SqlWorld *world)
{
  g_autofree char *sql = sql_numbers (10);
  g_autoptr (DbCursor) cursor = NULL;
  g_autoptr (DbTransaction) kept = NULL;
  g_autoptr (DbTransaction) dropped = NULL;
  g_autoptr (DbResult) rows = NULL;

  create_table (world);
  cursor = sql_must_open (world, sql, 3);
  rows = sql_must_fetch (world, cursor, 3);
  kept = sql_must_begin (world);
  insert (world);
  sql_must_commit (world, kept);
  dropped = sql_must_begin (world);
  insert (world);
  g_clear_object (&dropped);
  g_clear_object (&rows);
  rows = sql_must_fetch (world, cursor, 3);
  g_assert_cmpint (db_result_get_int64 (rows, 0, 0), ==, 4);
  g_clear_object (&cursor);
  g_assert_cmpint (sql_ask (world, COUNT), ==, 1);
  sql_assert_usable (world);
  g_assert_cmpint (sql_others_see (world, COUNT), ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  sql_add ("transactions/commit-and-roll-back", SQL_EVERYWHERE, test_commit_and_roll_back);
  sql_add ("transactions/isolation", SQL_EVERYWHERE, test_isolation);
  sql_add ("transactions/lock-flags", SQL_ON_SQLITE, test_lock_flags);
  sql_add ("transactions/read-only", SQL_EVERYWHERE, test_read_only);
  sql_add ("transactions/deferrable", SQL_ON_POSTGRES, test_deferrable);
  sql_add ("transactions/nested", SQL_EVERYWHERE, test_nested);
  sql_add ("transactions/outer-rolls-back", SQL_EVERYWHERE, test_outer_rolls_back);
  sql_add ("transactions/nested-failure", SQL_EVERYWHERE, test_nested_failure);
  sql_add ("transactions/nested-drop", SQL_EVERYWHERE, test_nested_drop);
  sql_add ("transactions/drop-current", SQL_EVERYWHERE, test_drop_current);
  sql_add ("transactions/drop-before-failure", SQL_EVERYWHERE, test_drop_before_failure);
  sql_add ("transactions/drop-stale", SQL_EVERYWHERE, test_drop_stale);
  sql_add ("transactions/drop-outer-first", SQL_EVERYWHERE, test_drop_outer_first);
  sql_add ("transactions/drop-then-return", SQL_EVERYWHERE, test_drop_then_return);
  sql_add ("transactions/release", SQL_EVERYWHERE, test_release);
  sql_add ("transactions/commit-after-failure", SQL_EVERYWHERE, test_commit_after_failure);
  sql_add ("transactions/sql-ends-it", SQL_EVERYWHERE, test_sql_ends_it);
  sql_add ("transactions/sql-ends-it-then-drop", SQL_EVERYWHERE, test_sql_ends_it_then_drop);
  sql_add ("transactions/commit-fails", SQL_EVERYWHERE, test_commit_fails);
  sql_add ("transactions/begin-with-cursor", SQL_EVERYWHERE, test_begin_with_cursor);
  return g_test_run ();
}
