/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What one borrower leaves to the next, and a process to its children. What dbpool says to the
 * server is read from libpq's trace of it. */

#include "config.h"

#include "db-postgres-session-private.h"
#include "postgres-fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The looks of this process at what a socket has received. */
static int n_looks; /* atomic */

/* In place of libc's: whoever calls it comes here. */
ssize_t
recv (int fd, void *buffer, size_t size, int flags)
{
  if (flags & MSG_PEEK)
    g_atomic_int_inc (&n_looks);
  return recvfrom (fd, buffer, size, flags, NULL, NULL);
}

/* The messages of one session. */
typedef struct
{
  PGconn *conn;
  FILE *file;
  char *text;
  size_t length;
  size_t seen;
} Trace;

static PGconn *
get_pgconn (DbConnection *connection)
{
  return DB_POSTGRES_SESSION (db_connection_get_session (connection))->conn;
}

static void
trace_start (Trace *self, DbConnection *connection)
{
  memset (self, 0, sizeof *self);
  self->conn = get_pgconn (connection);
  self->file = open_memstream (&self->text, &self->length);
  g_assert_nonnull (self->file);
  PQtrace (self->conn, self->file);
  PQsetTraceFlags (self->conn, PQTRACE_SUPPRESS_TIMESTAMPS);
}

/* What was said since the last time. */
static char *
trace_take (Trace *self)
{
  char *text;

  fflush (self->file);
  text = g_strndup (self->text + self->seen, self->length - self->seen);
  self->seen = self->length;
  return text;
}

/* While nobody uses the session. */
static void
trace_stop (Trace *self)
{
  PQuntrace (self->conn);
  fclose (self->file);
  free (self->text);
}

static void
assert_silence (Trace *trace)
{
  g_autofree char *text = trace_take (trace);

  g_assert_cmpstr (text, ==, "");
}

static void
assert_contains (const char *text, const char *part)
{
  if (strstr (text, part) == NULL)
    g_error ("“%s” is not in:\n%s", part, text);
}

static void
assert_lacks (const char *text, const char *part)
{
  if (strstr (text, part) != NULL)
    g_error ("“%s” is in:\n%s", part, text);
}

/* What was said before the server said anything: one round trip has one such part. */
static void
cut_at_answer (char *text)
{
  char *answer = strstr (text, "\nB\t");

  g_assert_true (g_str_has_prefix (text, "F\t"));
  g_assert_nonnull (answer);
  *answer = '\0';
  assert_lacks (answer + 1, "\nF\t");
}

/* A pool of one session whose messages are traced. */
static DbPool *
make_traced_pool (Trace *trace, DbResetLevel level)
{
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  DbPool *pool = fixture_pool_new (manager, 0, 1);
  g_autoptr (DbConnection) connection = NULL;

  g_object_set (db_pool_get_config (pool), "reset-level", level, "validate-after-idle", (gint64) -1,
                NULL);
  connection = fixture_acquire (pool);
  trace_start (trace, connection);
  return pool;
}

static void
give_back (DbPool *pool, DbConnection *connection)
{
  g_object_unref (connection);
  FIXTURE_WAIT_UNTIL (fixture_gauge (pool, db_pool_stats_get_lent) +
                        fixture_gauge (pool, db_pool_stats_get_busy) ==
                      0);
  g_assert_cmpuint (fixture_gauge (pool, db_pool_stats_get_idle), ==, 1);
}

/* A loan for reading costs no round trip: not when it begins, not with its first statement, and not
 * when it ends. */
static void
test_read_only (void)
{
  Trace trace;
  DbPool *pool = make_traced_pool (&trace, DB_RESET_DIRTY);
  DbConnection *connection;
  g_autoptr (GError) error = NULL;

  FIXTURE_WAIT_UNTIL (fixture_gauge (pool, db_pool_stats_get_idle) == 1);
  for (guint round = 0; round < 2; round++)
    {
      g_autofree char *first = NULL;
      g_autofree char *second = NULL;
      g_autofree char *after = NULL;

      g_free (trace_take (&trace));
      connection = db_pool_acquire_full (pool, DB_ACQUIRE_READ_ONLY, -1, NULL, NULL, &error);
      g_assert_no_error (error);
      assert_silence (&trace);
      g_assert_cmpint (fixture_ask (connection, "SELECT 2"), ==, 2);
      first = trace_take (&trace);
      cut_at_answer (first);
      assert_contains (first, "SET default_transaction_read_only = on");
      assert_contains (first, round == 0 ? "SELECT 2" : "Bind");
      g_assert_cmpint (fixture_ask (connection, "SELECT 2"), ==, 2);
      second = trace_take (&trace);
      assert_lacks (second, "default_transaction_read_only");

      g_assert_cmpint (db_connection_execute (connection, "CREATE TABLE never_made (i int)", NULL,
                                              NULL, &error),
                       ==, -1);
      g_assert_error (error, DB_ERROR, DB_ERROR_READ_ONLY);
      g_clear_error (&error);
      g_free (trace_take (&trace));
      give_back (pool, connection);
      assert_silence (&trace);

      connection = fixture_acquire (pool);
      assert_silence (&trace);
      g_assert_cmpint (fixture_ask (connection, "SELECT 2"), ==, 2);
      after = trace_take (&trace);
      cut_at_answer (after);
      assert_contains (after, "RESET default_transaction_read_only");
      fixture_run (connection, "CREATE TEMP TABLE made (i int)");
      give_back (pool, connection);
    }
  trace_stop (&trace);
  fixture_pool_close (pool);
}

/* Whatever a borrower may leave behind. */
#define MESS                                                                                       \
  "SET work_mem = '555kB'; SET search_path = pg_catalog; SET TIME ZONE 'Asia/Tokyo'; "             \
  "SET ROLE pg_monitor; PREPARE plan AS SELECT 1; LISTEN news; "                                   \
  "CREATE TEMP TABLE pg_temp.scratch (i int); DECLARE held CURSOR WITH HOLD FOR SELECT 1"

static const struct
{
  const char *name;
  const char *sql; /* 1 where it is still there */
} traces[] = {
  {"setting", "SELECT (current_setting('work_mem') = '555kB')::int"},
  {"search path", "SELECT (current_setting('search_path') = 'pg_catalog')::int"},
  {"time zone", "SELECT (current_setting('TimeZone') = 'Asia/Tokyo')::int"},
  {"role", "SELECT (current_user = 'pg_monitor')::int"},
  {"plan", "SELECT count(*) FROM pg_prepared_statements WHERE name = 'plan'"},
  {"channel", "SELECT count(*) FROM pg_listening_channels()"},
  {"table", "SELECT count(*) FROM pg_class WHERE relname = 'scratch'"},
  {"cursor", "SELECT count(*) FROM pg_cursors WHERE is_holdable"},
  {"lock", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"},
};

static void
assert_mess (DbConnection *connection, gboolean visible)
{
  for (guint i = 0; i < G_N_ELEMENTS (traces); i++)
    {
      g_test_message ("%s", traces[i].name);
      g_assert_cmpint (fixture_ask (connection, traces[i].sql), ==, visible);
    }
}

static void
test_reset (gconstpointer data)
{
  DbResetLevel level = GPOINTER_TO_INT (data);
  Trace trace;
  DbPool *pool = make_traced_pool (&trace, level);
  DbConnection *connection = fixture_acquire (pool);
  gint64 pid = fixture_pid (connection);
  g_autofree char *said = NULL;

  fixture_run (connection, MESS);
  g_object_unref (db_connection_query (connection, "SELECT pg_advisory_lock(1)", NULL, NULL, NULL));
  fixture_run (connection, "BEGIN; CREATE TEMP TABLE left_open (i int)");
  g_free (trace_take (&trace));
  give_back (pool, connection);
  said = trace_take (&trace);
  assert_contains (said, "ROLLBACK");
  assert_lacks (said, "DISCARD ALL");
  if (level == DB_RESET_NONE)
    assert_lacks (said, "RESET ALL");

  connection = fixture_acquire (pool);
  g_assert_cmpint (fixture_pid (connection), ==, pid);
  g_assert_cmpint (fixture_ask (connection, "SELECT count(*) FROM pg_class "
                                            "WHERE relname = 'left_open'"),
                   ==, 0);
  assert_mess (connection, level == DB_RESET_NONE);
  if (level == DB_RESET_NONE)
    fixture_run (connection, "RESET ROLE; SELECT pg_advisory_unlock_all()");
  give_back (pool, connection);
  trace_stop (&trace);
  fixture_pool_close (pool);
}

/* Cleaning leaves the statements that dbpool prepared, so that the next borrower has them, unless
 * one was prepared in SQL, whose name dbpool does not know. */
static void
test_prepared_stay (void)
{
  Trace trace;
  DbPool *pool = make_traced_pool (&trace, DB_RESET_CLEAN);
  DbConnection *connection = fixture_acquire (pool);
  g_autofree char *on_return = NULL;
  g_autofree char *again = NULL;

  for (guint i = 0; i < 3; i++)
    g_assert_cmpint (fixture_ask (connection, "SELECT 78::bigint"), ==, 78);
  g_free (trace_take (&trace));
  give_back (pool, connection);
  on_return = trace_take (&trace);
  assert_contains (on_return, "RESET ALL");
  assert_contains (on_return, "DISCARD TEMP");
  assert_lacks (on_return, "DISCARD ALL");
  assert_lacks (on_return, "DEALLOCATE");

  connection = fixture_acquire (pool);
  assert_silence (&trace);
  g_assert_cmpint (fixture_ask (connection, "SELECT 78::bigint"), ==, 78);
  again = trace_take (&trace);
  assert_contains (again, "Bind");
  assert_lacks (again, "Parse");
  g_assert_cmpint (fixture_ask (connection, "SELECT count(*) FROM pg_prepared_statements "
                                            "WHERE NOT from_sql AND statement LIKE '%78%bigint'"),
                   ==, 1);
  give_back (pool, connection);
  trace_stop (&trace);
  fixture_pool_close (pool);
}

/* At the default level a borrower who only read and wrote costs nothing on his return; what he did
 * inside a SELECT is not seen, and stays. */
static void
test_clean_return (void)
{
  Trace trace;
  DbPool *pool = make_traced_pool (&trace, DB_RESET_DIRTY);
  DbConnection *connection = fixture_acquire (pool);

  fixture_run (connection, "CREATE TABLE notes (i int)");
  give_back (pool, connection);
  connection = fixture_acquire (pool);
  fixture_run (connection, "INSERT INTO notes VALUES (1); BEGIN; UPDATE notes SET i = 2; COMMIT; "
                           "SELECT i FROM notes");
  g_assert_cmpint (fixture_ask (connection, "SELECT pg_advisory_lock(2) IS NULL, 1"), ==, 0);
  g_free (trace_take (&trace));
  give_back (pool, connection);
  assert_silence (&trace);
  connection = fixture_acquire (pool);
  assert_silence (&trace);
  g_assert_cmpint (fixture_ask (connection, traces[G_N_ELEMENTS (traces) - 1].sql), ==, 1);
  fixture_run (connection, "DROP TABLE notes"); /* which makes it one to be cleaned */
  give_back (pool, connection);
  connection = fixture_acquire (pool);
  g_assert_cmpint (fixture_ask (connection, traces[G_N_ELEMENTS (traces) - 1].sql), ==, 0);
  give_back (pool, connection);
  trace_stop (&trace);
  fixture_pool_close (pool);
}

/* 1,000 loans without a statement do not say a word to the server, and do not even look at the
 * socket, but where a session was idle for a while. */
static void
test_lending_is_silent (void)
{
  Trace trace;
  DbPool *pool = make_traced_pool (&trace, DB_RESET_DIRTY);
  int n_before, n_after;

  FIXTURE_WAIT_UNTIL (fixture_gauge (pool, db_pool_stats_get_idle) == 1);
  g_free (trace_take (&trace));
  n_before = g_atomic_int_get (&n_looks);
  for (guint i = 0; i < 1000; i++)
    g_object_unref (fixture_acquire (pool));
  assert_silence (&trace);
  n_after = g_atomic_int_get (&n_looks);
  g_test_message ("%d looks", n_after - n_before);
  g_assert_cmpint (n_after - n_before, <, 500); /* a busy machine lets some be idle for 1 ms */
  g_usleep (20 * G_TIME_SPAN_MILLISECOND);
  g_object_unref (fixture_acquire (pool));
  g_assert_cmpint (g_atomic_int_get (&n_looks), >, n_after);
  assert_silence (&trace);
  g_assert_cmpuint (fixture_counter (pool, db_pool_stats_get_created), ==, 1);
  trace_stop (&trace);
  fixture_pool_close (pool);
}

/* What the descriptors of a new program are, but for those that everybody has. */
static GHashTable *
list_inherited (void)
{
  const char *const argv[] = {"/bin/ls", "-l", "/proc/self/fd", NULL};
  GHashTable *targets = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;
  g_auto (GStrv) lines = NULL;

  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL, NULL, &output,
                NULL, NULL, &error);
  g_assert_no_error (error);
  lines = g_strsplit (output, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      const char *arrow = strstr (lines[i], " -> ");

      if (arrow != NULL &&
          (g_str_has_prefix (arrow + 4, "socket:") || g_str_has_prefix (arrow + 4, "anon_inode:")))
        g_hash_table_add (targets, g_strdup (arrow + 4));
    }
  return targets;
}

/* @but_sockets: those do not count. */
static void
assert_nothing_more (GHashTable *before, GHashTable *now, gboolean but_sockets)
{
  GHashTableIter iter;
  gpointer target;

  g_hash_table_iter_init (&iter, now);
  while (g_hash_table_iter_next (&iter, &target, NULL))
    if (!g_hash_table_contains (before, target))
      {
        if (!but_sockets || !g_str_has_prefix (target, "socket:"))
          g_error ("a new program inherited %s", (char *) target);
        g_test_message ("a new program inherited %s", (char *) target);
      }
}

typedef struct
{
  DbPool *pool;
  int stop; /* atomic */
} Opener;

static gpointer
open_without_end (gpointer data)
{
  Opener *opener = data;

  while (!g_atomic_int_get (&opener->stop))
    {
      g_autoptr (DbConnection) connection = fixture_acquire (opener->pool);

      db_connection_evict (connection);
    }
  return NULL;
}

/* Programs that are started while sessions are open, and while they are being opened, inherit
 * nothing. */
static void
test_exec (void)
{
  g_autoptr (GHashTable) before = list_inherited ();
  g_autoptr (DbConnectionManager) manager = fixture_manager_new (NULL);
  Opener opener = {fixture_pool_new (manager, 0, 3)};
  DbConnection *lent = fixture_acquire (opener.pool);
  GThread *threads[2];

  g_object_unref (fixture_acquire (opener.pool));
  for (guint i = 0; i < 5; i++)
    {
      g_autoptr (GHashTable) now = list_inherited ();

      assert_nothing_more (before, now, FALSE);
    }
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("opener", open_without_end, &opener);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (GHashTable) now = list_inherited ();

      /* libpq before 16 makes a socket first and then says that it is not to be inherited. */
      assert_nothing_more (before, now, PQlibVersion () < 160000);
    }
  g_atomic_int_set (&opener.stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_object_unref (lent);
  fixture_pool_close (opener.pool);
}

/* What a child does with its copy of the parent's pool; its exit status. */
static int
be_child (DbPool *pool, DbConnection *lent, DbConnection *detached)
{
  g_autoptr (GError) error = NULL;

  if (db_pool_acquire (pool, NULL, &error) != NULL ||
      !g_error_matches (error, DB_ERROR, DB_ERROR_FORKED))
    return 1;
  g_clear_error (&error);
  if (db_connection_query (lent, "SELECT 1", NULL, NULL, &error) != NULL ||
      !g_error_matches (error, DB_ERROR, DB_ERROR_FORKED))
    return 2;
  g_clear_error (&error);
  if (db_connection_query (detached, "SELECT 1", NULL, NULL, &error) != NULL ||
      !g_error_matches (error, DB_ERROR, DB_ERROR_FORKED))
    return 3;
  g_object_unref (lent);
  g_object_unref (detached);
  g_object_unref (pool);
  return 0;
}

/* The parent does not notice what a child does with its copies, nor that the child ends. */
static void
test_fork (void)
{
  g_autoptr (DbConnectionManager) manager = fixture_named_manager_new ("forked");
  DbPool *pool = fixture_pool_new (manager, 0, 3);
  DbConnection *lent = fixture_acquire (pool);
  DbConnection *detached = fixture_acquire (pool);
  DbConnection *idle = fixture_acquire (pool);
  gint64 pid = fixture_pid (idle);
  g_autoptr (GError) error = NULL;
  int status;
  pid_t child;

  db_connection_detach (detached, &error);
  g_assert_no_error (error);
  g_object_unref (idle);
  fixture_run (lent, "BEGIN");
  child = fork ();
  if (child == 0)
    _exit (be_child (pool, lent, detached));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);

  g_assert_cmpint (fixture_ask (lent, "SELECT 3"), ==, 3);
  fixture_run (lent, "COMMIT");
  g_assert_cmpint (fixture_ask (detached, "SELECT 4"), ==, 4);
  idle = fixture_acquire (pool);
  g_assert_cmpint (fixture_pid (idle), ==, pid);
  g_assert_cmpuint (fixture_count_backends ("forked"), ==, 3);
  g_object_unref (idle);
  g_object_unref (lent);
  fixture_pool_close (pool);
  g_object_unref (detached);
  FIXTURE_WAIT_UNTIL (fixture_count_backends ("forked") == 0);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  alarm (120); /* the watchdog of the waits above */

#define ADD(name, function) g_test_add_func ("/postgres/state/" name, function)
  ADD ("read-only", test_read_only);
  g_test_add_data_func ("/postgres/state/reset/none", GINT_TO_POINTER (DB_RESET_NONE), test_reset);
  g_test_add_data_func ("/postgres/state/reset/dirty", GINT_TO_POINTER (DB_RESET_DIRTY),
                        test_reset);
  g_test_add_data_func ("/postgres/state/reset/clean", GINT_TO_POINTER (DB_RESET_CLEAN),
                        test_reset);
  ADD ("prepared-stay", test_prepared_stay);
  ADD ("clean-return", test_clean_return);
  ADD ("lending-is-silent", test_lending_is_silent);
  ADD ("exec", test_exec);
  ADD ("fork", test_fork);
#undef ADD
  status = g_test_run ();
  fixture_stop_counting ();
  return status;
}
