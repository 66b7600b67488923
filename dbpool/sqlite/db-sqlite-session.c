/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Runs statements on one sqlite3 handle.
 *
 * The handle is opened without SQLite's mutexes: one thread at a time uses the session, and whoever
 * passes it on makes memory visible. The one thing that comes from other threads is a cancellation.
 * It sets an atomic (cancel_state) or is the caller's cancellable; SQLite's progress handler and
 * every wait here look at both, and a wait is woken. sqlite3_interrupt() is not used: it does not
 * end a wait for a lock, and one that comes too late would hit the next statement.
 *
 * Who writes holds the write token of the file (db-sqlite-token.c). Locks of other processes are
 * waited for in the busy handler. Both waits together are bounded by the busy timeout, the
 * statement's own timeout and the cancellable. */

#include "config.h"

#include <string.h>

#include "db-error-private.h"
#include "db-params-private.h"
#include "db-result-private.h"
#include "db-sqlite-errors-private.h"
#include "db-sqlite-session-private.h"
#include "db-sqlite-statement-private.h"
#include "db-statement-plan-private.h"
#include "db-worker-private.h"

/* How many instructions of SQLite's virtual machine pass between two looks: some 30 µs. */
#define PROGRESS_STEPS 4000

typedef enum
{
  CANCEL_STATE_IDLE,
  CANCEL_STATE_RUNNING,
  CANCEL_STATE_CANCELLED,
} CancelState;

/* Why a wait or a statement was given up. */
typedef enum
{
  STOP_NONE,
  STOP_CANCELLED,
  STOP_TIMEOUT,
  STOP_BUSY,
} StopReason;

struct _DbSqliteSession
{
  DbSession parent_instance;

  /* Read-only after construction. */
  char *description;
  DbSqliteToken *token;
  guint fork_generation;

  int cancel_state; /* atomic, CancelState */

  /* Whoever uses the session. */
  sqlite3 *db; /* NULL: closed */
  DbSqliteCache cache;
  DbSqliteTicket ticket;
  gint64 busy_timeout;
  gint64 initial_busy_timeout;
  gboolean wal;
  gboolean broken;
  gboolean read_only;
  gboolean transaction_read_only;
  gboolean holds_token;
  gboolean holds_token_to_read;

  /* Between enter and leave. */
  gboolean entered;
  GCancellable *cancellable;
  gulong cancelled_handler; /* connected by the first wait only */
  gint64 deadline;          /* of the statement; G_MAXINT64: none */
  gint64 wait_until;        /* 0: nothing was waited for yet */
  gint64 timeout;
  StopReason stop;
};

G_DEFINE_FINAL_TYPE (DbSqliteSession, db_sqlite_session, DB_TYPE_SESSION)

static int last_session_id; /* atomic */

static gboolean
is_cancelled (DbSqliteSession *self)
{
  return g_atomic_int_get (&self->cancel_state) == CANCEL_STATE_CANCELLED ||
         (self->cancellable != NULL && g_cancellable_is_cancelled (self->cancellable));
}

/* In the thread that cancels. A late one wakes a waker that nobody sleeps on. */
static void
cancelled_cb (GCancellable *cancellable, gpointer waker)
{
  db_sqlite_waker_wake (waker);
}

static void
waker_closure_notify (gpointer waker, GClosure *closure)
{
  db_sqlite_waker_unref (waker);
}

/* g_cancellable_connect() and its disconnect would wait for a handler that runs; an emission that
 * began before the connection is seen by is_cancelled() instead. */
static void
listen_to_cancellable (DbSqliteSession *self)
{
  if (self->cancellable == NULL || self->cancelled_handler != 0)
    return;
  self->cancelled_handler =
    g_signal_connect_data (self->cancellable, "cancelled", G_CALLBACK (cancelled_cb),
                           db_sqlite_waker_ref (self->ticket.waker), waker_closure_notify, 0);
}

/* The first wait of a run sets the limit for all of them together. */
static void
limit_waiting (DbSqliteSession *self, gint64 now)
{
  gint64 until = self->busy_timeout > G_MAXINT64 - now ? G_MAXINT64 : now + self->busy_timeout;

  self->wait_until = MIN (until, self->deadline);
}

static gboolean
may_wait (DbSqliteSession *self, gint64 now)
{
  if (self->wait_until == 0)
    limit_waiting (self, now);
  if (is_cancelled (self))
    self->stop = STOP_CANCELLED;
  else if (now >= self->deadline)
    self->stop = STOP_TIMEOUT;
  else if (now >= self->wait_until)
    self->stop = STOP_BUSY;
  return self->stop == STOP_NONE;
}

/* Sleeps for @duration (0: without a limit of its own), until woken or until waiting is over; FALSE
 * in the last case, with self->stop. */
static gboolean
wait_a_while (DbSqliteSession *self, gint64 duration)
{
  gint64 now = g_get_monotonic_time ();

  if (self->entered)
    listen_to_cancellable (self);
  if (!may_wait (self, now))
    return FALSE;
  db_sqlite_waker_wait_until (self->ticket.waker, duration > 0
                                                    ? MIN (now + duration, self->wait_until)
                                                    : self->wait_until);
  if (is_cancelled (self))
    self->stop = STOP_CANCELLED;
  return self->stop == STOP_NONE;
}

/* Waits in the queue; FALSE with self->stop. @activity: NULL to read only. */
static gboolean
take_token (DbSqliteSession *self, const char *activity)
{
  if (!db_sqlite_token_request (self->token, &self->ticket, activity))
    {
      while (!db_sqlite_ticket_is_granted (&self->ticket) && wait_a_while (self, 0))
        ;
      if (!db_sqlite_token_end_wait (self->token, &self->ticket))
        return FALSE;
      if (self->stop == STOP_CANCELLED)
        {
          db_sqlite_token_give (self->token, &self->ticket);
          return FALSE;
        }
      self->stop = STOP_NONE;
    }
  self->holds_token = TRUE;
  return TRUE;
}

static void
give_token (DbSqliteSession *self)
{
  self->holds_token = FALSE;
  self->holds_token_to_read = FALSE;
  db_sqlite_token_give (self->token, &self->ticket);
}

/* SQLite found a lock taken. In WAL mode only another process can have it (or a handle that is not
 * dbpool's). Else it may be this process's writer: a reader then stands in the queue like a writer,
 * so that it is neither starved nor has to poll. */
static int
busy_cb (gpointer data, int n_calls)
{
  static const guint8 delays[] = {1, 2, 5, 10, 15, 20, 25, 25, 25, 50};
  DbSqliteSession *self = data;

  if (!self->entered && n_calls == 0)
    {
      /* The handle is used by its borrower, with no statement of ours around. */
      self->wait_until = 0;
      self->stop = STOP_NONE;
    }
  if (self->entered && !self->wal && !self->holds_token)
    {
      if (!take_token (self, NULL))
        return FALSE;
      self->holds_token_to_read = TRUE;
      return TRUE;
    }
  if (self->entered)
    db_sqlite_token_add_sleeper (self->token, &self->ticket);
  return wait_a_while (self, delays[MIN ((gsize) n_calls, G_N_ELEMENTS (delays) - 1)] * 1000);
}

static int
progress_cb (gpointer data)
{
  DbSqliteSession *self = data;

  if (is_cancelled (self))
    self->stop = STOP_CANCELLED;
  else if (self->deadline != G_MAXINT64 && g_get_monotonic_time () >= self->deadline)
    self->stop = STOP_TIMEOUT;
  else
    return 0;
  return 1;
}

void
db_sqlite_session_install_handlers (DbSqliteSession *self)
{
  self->busy_timeout = self->initial_busy_timeout;
  sqlite3_busy_handler (self->db, busy_cb, self);
  sqlite3_progress_handler (self->db, PROGRESS_STEPS, progress_cb, self);
}

static GError *
new_stopped_error (DbSqliteSession *self)
{
  g_autofree char *holder = NULL;

  if (self->stop == STOP_CANCELLED)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the statement was cancelled");

  if (self->wait_until != 0 && !self->holds_token)
    holder = db_sqlite_token_describe_holder (self->token);
  if (self->stop == STOP_TIMEOUT)
    return g_error_new (DB_ERROR, DB_ERROR_TIMEOUT,
                        "the statement did not finish within its timeout of %.3f s%s%s",
                        self->timeout / 1e6, holder != NULL ? ": " : "",
                        holder != NULL ? holder : "");
  return g_error_new (DB_ERROR, DB_ERROR_BUSY,
                      "%s was locked for longer than busy-timeout, %.3f s: %s", self->description,
                      self->busy_timeout / 1e6,
                      holder != NULL
                        ? holder
                        : "another process, or a transaction that reads where the journal "
                          "is not WAL, keeps its lock; end it or raise busy-timeout");
}

static GError *
new_lost_upgrade_error (DbSqliteSession *self, int rc)
{
  return g_error_new (
    DB_ERROR, DB_ERROR_SERIALIZATION,
    "the transaction has read, and another one writes to %s: roll back and run it "
    "again; one that is going to write begins with BEGIN IMMEDIATE [SQLite %d]",
    self->description, rc);
}

GError *
db_sqlite_session_new_error (DbSqliteSession *self, int rc)
{
  g_autofree char *text = NULL;

  if (self->stop != STOP_NONE && ((rc & 0xff) == SQLITE_INTERRUPT || (rc & 0xff) == SQLITE_BUSY))
    return new_stopped_error (self);
  /* Without a wait: SQLite does not wait where a reader wants to write while another one writes. */
  if (rc == SQLITE_BUSY_SNAPSHOT ||
      (rc == SQLITE_BUSY && sqlite3_txn_state (self->db, "main") == SQLITE_TXN_READ &&
       !sqlite3_get_autocommit (self->db)))
    return new_lost_upgrade_error (self, rc);
  /* It may quote bytes of the statement. */
  text = g_utf8_make_valid (sqlite3_errmsg (self->db), -1);
  return db_error_new_sqlite (rc, "%s%s", text, db_sqlite_get_hint (rc));
}

/* What these say of the session's own file makes the session useless. */
static void
note_breakage (DbSqliteSession *self, int rc, gboolean another_file)
{
  if (!another_file && db_sqlite_breaks_session (rc))
    self->broken = TRUE;
}

gboolean
db_sqlite_session_enter (DbSqliteSession *self,
                         GCancellable *cancellable,
                         gint64 timeout,
                         GError **error)
{
  if (self->db == NULL || self->broken)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONNECTION,
                   "the session with %s broke earlier: use another connection", self->description);
      return FALSE;
    }
  if (self->fork_generation != db_fork_generation ())
    {
      g_set_error (error, DB_ERROR, DB_ERROR_FORKED,
                   "the session with %s belongs to the parent process", self->description);
      return FALSE;
    }

  self->stop = STOP_NONE;
  self->cancellable = cancellable;
  if (cancellable != NULL && g_cancellable_is_cancelled (cancellable))
    {
      self->stop = STOP_CANCELLED;
      g_propagate_error (error, new_stopped_error (self));
      self->cancellable = NULL;
      return FALSE;
    }
  self->timeout = timeout;
  self->deadline = timeout > 0 ? g_get_monotonic_time () + timeout : G_MAXINT64;
  self->wait_until = 0;
  self->entered = TRUE;
  g_atomic_int_set (&self->cancel_state, CANCEL_STATE_RUNNING);
  return TRUE;
}

/* After each statement: who no longer writes gives the token back. A transaction whose first write
 * failed does not write either, and would only be in the way until it is rolled back. */
static void
settle (DbSqliteSession *self)
{
  gboolean autocommit = sqlite3_get_autocommit (self->db);

  if (autocommit)
    self->transaction_read_only = FALSE;
  if (self->holds_token)
    {
      if (autocommit || self->holds_token_to_read ||
          sqlite3_txn_state (self->db, "main") != SQLITE_TXN_WRITE)
        give_token (self);
    }
  else if (!self->wal && autocommit)
    db_sqlite_token_wake_sleepers (self->token);
}

void
db_sqlite_session_leave (DbSqliteSession *self)
{
  settle (self);
  db_sqlite_token_remove_sleeper (self->token, &self->ticket);
  if (self->cancelled_handler != 0)
    {
      g_signal_handler_disconnect (self->cancellable, self->cancelled_handler);
      self->cancelled_handler = 0;
    }
  self->cancellable = NULL;
  self->deadline = G_MAXINT64;
  self->entered = FALSE;
  g_atomic_int_set (&self->cancel_state, CANCEL_STATE_IDLE);
}

/* Preparing reads the schema, and so may find the file locked; SQLite does not always wait then. */
static int
prepare (DbSqliteSession *self,
         const char *sql,
         guint flags,
         sqlite3_stmt **stmt,
         const char **tail)
{
  int rc;

  do
    rc = sqlite3_prepare_v3 (self->db, sql, -1, flags, stmt, tail);
  while ((rc & 0xff) == SQLITE_BUSY && self->stop == STOP_NONE && wait_a_while (self, 1000));
  return rc;
}

/* The statement that begins at @sql. NULL without an error: there is none left. */
static DbSqliteStatement *
prepare_next (DbSqliteSession *self,
              const char *sql,
              guint flags,
              const char **tail,
              GError **error)
{
  const char *start = db_sqlite_skip_blank (sql);
  sqlite3_stmt *stmt = NULL;
  int rc;

  *tail = start;
  if (*start == '\0')
    return NULL;
  rc = prepare (self, start, flags, &stmt, tail);
  if (rc != SQLITE_OK)
    {
      note_breakage (self, rc, FALSE);
      g_propagate_error (error, db_sqlite_session_new_error (self, rc));
      return NULL;
    }
  if (stmt == NULL)
    return NULL;
  return db_sqlite_statement_new (stmt, sql, (gsize) (*tail - sql), error);
}

static DbSqliteStatement *
prepare_single (DbSqliteSession *self, const char *sql, gboolean keep, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autoptr (DbSqliteStatement) statement = NULL;
  const char *tail;

  statement = prepare_next (self, sql, keep ? SQLITE_PREPARE_PERSISTENT : 0, &tail, &local_error);
  if (local_error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return NULL;
    }
  if (statement == NULL)
    {
      g_set_error_literal (error, DB_ERROR, DB_ERROR_QUERY, "there is no statement in the text");
      return NULL;
    }
  if (*db_sqlite_skip_blank (tail) != '\0')
    {
      g_set_error_literal (error, DB_ERROR, DB_ERROR_QUERY,
                           "there are several statements in the text: run them one by one, or as a "
                           "script");
      return NULL;
    }
  if (strlen (statement->sql) != strlen (sql))
    {
      /* Blank space or a comment follows; the text as it is given is what the cache looks for. */
      g_free (statement->sql);
      statement->sql = g_strdup (sql);
    }
  return g_steal_pointer (&statement);
}

/* Whether the statement may run: rights first, then the token. */
static gboolean
prepare_to_write (DbSqliteSession *self, DbSqliteStatement *statement, GError **error)
{
  if (self->read_only || self->transaction_read_only)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_READ_ONLY,
                   "%s would write to %s, but the %s is read-only", statement->verb,
                   self->description, self->read_only ? "connection" : "transaction");
      return FALSE;
    }
  if (self->holds_token_to_read)
    db_sqlite_token_set_activity (self->token, &self->ticket, statement->verb);
  self->holds_token_to_read = FALSE;
  if (self->holds_token)
    return TRUE;

  /* Without WAL the writer's commit waits for this reader, who must not wait for the writer. */
  if (!self->wal && !sqlite3_get_autocommit (self->db) &&
      sqlite3_txn_state (self->db, "main") == SQLITE_TXN_READ)
    {
      self->holds_token = db_sqlite_token_try_take (self->token, &self->ticket, statement->verb);
      if (!self->holds_token)
        g_propagate_error (error, new_lost_upgrade_error (self, SQLITE_BUSY));
      return self->holds_token;
    }
  if (take_token (self, statement->verb))
    return TRUE;
  g_propagate_error (error, new_stopped_error (self));
  return FALSE;
}

/* The values are borrowed until the statement is reset. */
static gboolean
bind_values (DbSqliteSession *self, DbSqliteStatement *statement, DbParams *params, GError **error)
{
  guint n_values = 0;
  guint bad;
  const DbValue *values = params != NULL ? db_params_get_values (params, 0, &n_values) : NULL;
  int rc;

  if (n_values != statement->n_values)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_QUERY,
                   "the statement has %u parameters, but %u values were given", statement->n_values,
                   n_values);
      return FALSE;
    }
  rc = db_sqlite_statement_bind (statement, values, &bad);
  if (rc == SQLITE_OK)
    return TRUE;
  if (rc == SQLITE_MISMATCH)
    g_set_error (error, DB_ERROR, DB_ERROR_TYPE,
                 "the value of $%u cannot be stored: SQLite has no NaN", bad + 1);
  else
    g_propagate_error (error, db_sqlite_session_new_error (self, rc));
  return FALSE;
}

static DbResult *
finish_result (DbSqliteSession *self, DbSqliteStatement *statement, DbResultBuilder *builder)
{
  gint64 rows = -1;
  gint64 id = -1;

  if (statement->changes_rows)
    {
      rows = sqlite3_changes64 (self->db);
      if (statement->inserts && rows > 0)
        id = sqlite3_last_insert_rowid (self->db);
    }
  if (builder == NULL)
    return db_result_new_without_rows (rows, id);
  return db_result_builder_finish (builder, rows, id);
}

/* Steps over the rows of a statement whose rows are not wanted. */
static DbResult *
step_over_all (DbSqliteSession *self, DbSqliteStatement *statement, GError **error)
{
  int rc;

  do
    rc = sqlite3_step (statement->stmt);
  while (rc == SQLITE_ROW);
  if (rc == SQLITE_DONE)
    return finish_result (self, statement, NULL);

  note_breakage (self, rc, statement->opens_another_file);
  g_propagate_error (error, db_sqlite_session_new_error (self, rc));
  return NULL;
}

static DbResult *
step_all (DbSqliteSession *self, DbSqliteStatement *statement, GError **error)
{
  sqlite3_stmt *stmt = statement->stmt;
  g_autoptr (DbResultBuilder) builder = NULL;
  int rc = sqlite3_step (stmt);
  /* Only now: a changed schema may have changed the columns. */
  int n_columns = sqlite3_column_count (stmt);

  if (rc == SQLITE_ROW || rc == SQLITE_DONE)
    builder = db_sqlite_statement_new_builder (statement, n_columns);
  while (rc == SQLITE_ROW)
    rc = db_sqlite_statement_read_row (statement, n_columns, builder) ? sqlite3_step (stmt)
                                                                      : SQLITE_NOMEM;
  if (rc == SQLITE_DONE)
    return finish_result (self, statement, g_steal_pointer (&builder));

  note_breakage (self, rc, statement->opens_another_file);
  g_propagate_error (error, db_sqlite_session_new_error (self, rc));
  return NULL;
}

/* A borrower's PRAGMA busy_timeout has put SQLite's own handler in place of ours: take its value
 * over for the rest of the loan. */
static void
adopt_busy_timeout (DbSqliteSession *self)
{
  g_autofree char *value = NULL;

  if (!db_sqlite_session_exec (self, "PRAGMA busy_timeout", &value, NULL))
    return;
  sqlite3_busy_handler (self->db, busy_cb, self);
  if (value != NULL)
    self->busy_timeout = g_ascii_strtoll (value, NULL, 10) * 1000;
}

static void
note_effects (DbSqliteSession *self, DbSqliteStatement *statement, gboolean succeeded)
{
  if (statement->changes_session)
    db_session_mark_dirty (DB_SESSION (self));
  if (statement->begins_read_only && succeeded)
    self->transaction_read_only = TRUE;
  if (statement->sets_busy_timeout)
    adopt_busy_timeout (self);
}

static DbResult *
run_statement (DbSqliteSession *self,
               DbSqliteStatement *statement,
               DbParams *params,
               gboolean no_rows,
               GError **error)
{
  DbResult *result = NULL;

  if (bind_values (self, statement, params, error) &&
      (!statement->writes || prepare_to_write (self, statement, error)))
    {
      result = no_rows ? step_over_all (self, statement, error) : step_all (self, statement, error);
      sqlite3_reset (statement->stmt);
      note_effects (self, statement, result != NULL);
    }
  if (statement->n_slots > 0)
    sqlite3_clear_bindings (statement->stmt);
  return result;
}

static DbResult *
run_single (DbSqliteSession *self, const DbStatementPlan *plan, GError **error)
{
  gboolean keep = (plan->flags & DB_STATEMENT_UNCACHED) == 0;
  DbSqliteStatement *statement = keep ? db_sqlite_cache_lookup (&self->cache, plan->sql) : NULL;
  DbResult *result;

  if (statement == NULL)
    {
      statement = prepare_single (self, plan->sql, keep, error);
      if (statement == NULL)
        return NULL;
      if (keep)
        db_sqlite_cache_offer (&self->cache, statement);
    }
  result =
    run_statement (self, statement, plan->params, (plan->flags & DB_STATEMENT_NO_ROWS) != 0, error);
  if (!statement->cached)
    db_sqlite_statement_free (statement);
  return result;
}

static DbResult *
run_script (DbSqliteSession *self, const DbStatementPlan *plan, GError **error)
{
  const char *sql = plan->sql;
  gint64 n_rows = 0;

  if (plan->params != NULL && db_params_get_n_values (plan->params, 0) > 0)
    {
      g_set_error_literal (error, DB_ERROR, DB_ERROR_QUERY, "a script takes no parameters");
      return NULL;
    }
  for (guint n = 1;; n++)
    {
      g_autoptr (DbSqliteStatement) statement = NULL;
      g_autoptr (DbResult) result = NULL;
      GError *local_error = NULL;

      statement = prepare_next (self, sql, 0, &sql, &local_error);
      if (statement != NULL)
        result = run_statement (self, statement, NULL, TRUE, &local_error);
      if (local_error != NULL)
        {
          g_propagate_prefixed_error (error, local_error, "statement %u of the script: ", n);
          return NULL;
        }
      if (statement == NULL && *sql == '\0')
        return db_result_new_without_rows (n_rows, -1);
      if (result != NULL && db_result_get_rows_affected (result) > 0)
        n_rows += db_result_get_rows_affected (result);
      g_clear_pointer (&statement, db_sqlite_statement_free);
      settle (self);
    }
}

static DbResult *
db_sqlite_session_run (DbSession *session,
                       const DbStatementPlan *plan,
                       GCancellable *cancellable,
                       GError **error)
{
  DbSqliteSession *self = DB_SQLITE_SESSION (session);
  DbResult *result;

  if (!db_sqlite_session_enter (self, cancellable, plan->timeout, error))
    return NULL;
  if (plan->flags & DB_STATEMENT_SCRIPT)
    result = run_script (self, plan, error);
  else
    result = run_single (self, plan, error);
  db_sqlite_session_leave (self);
  return result;
}

/* From any thread. It aims at what runs now and leaves no trace when nothing runs, so a late one
 * finds nothing; whoever calls it makes sure that what runs is still his (the connection's lock
 * does). */
static gboolean
db_sqlite_session_cancel (DbSession *session)
{
  DbSqliteSession *self = DB_SQLITE_SESSION (session);

  if (!g_atomic_int_compare_and_exchange (&self->cancel_state, CANCEL_STATE_RUNNING,
                                          CANCEL_STATE_CANCELLED))
    return FALSE;
  db_sqlite_waker_wake (self->ticket.waker);
  return TRUE;
}

static DbSessionState
db_sqlite_session_get_state (DbSession *session)
{
  DbSqliteSession *self = DB_SQLITE_SESSION (session);

  if (self->db == NULL || self->broken || self->fork_generation != db_fork_generation ())
    return DB_SESSION_BROKEN;
  return sqlite3_get_autocommit (self->db) ? DB_SESSION_IDLE : DB_SESSION_IN_TRANSACTION;
}

static gboolean
db_sqlite_session_is_alive (DbSession *session)
{
  return db_sqlite_session_get_state (session) != DB_SESSION_BROKEN;
}

/* Every isolation level is serializable here. */
static char *
db_sqlite_session_format_begin (DbSession *session, DbIsolation isolation, DbTransactionFlags flags)
{
  if ((flags & DB_TRANSACTION_READ_ONLY) || DB_SQLITE_SESSION (session)->read_only)
    return g_strdup (DB_SQLITE_BEGIN_READ_ONLY);
  if (flags & DB_TRANSACTION_EXCLUSIVE)
    return g_strdup ("BEGIN EXCLUSIVE");
  if (flags & DB_TRANSACTION_DEFERRED)
    return g_strdup ("BEGIN");
  return g_strdup ("BEGIN IMMEDIATE");
}

static gboolean
db_sqlite_session_set_read_only (DbSession *session, gboolean read_only)
{
  DB_SQLITE_SESSION (session)->read_only = read_only;
  return TRUE;
}

/* From any thread. */
static char *
db_sqlite_session_describe (DbSession *session)
{
  DbSqliteSession *self = DB_SQLITE_SESSION (session);

  /* A thread that the child does not have may hold the token's lock. */
  if (self->fork_generation != db_fork_generation ())
    return NULL;
  return db_sqlite_token_describe_ticket (self->token, &self->ticket);
}

static void
db_sqlite_session_finalize (GObject *object)
{
  DbSqliteSession *self = DB_SQLITE_SESSION (object);

  /* Any thread may drop the last reference (a task's, say). The counter orders memory; TSan cannot
   * see that. */
  DB_TSAN_ACQUIRE (self);
  db_sqlite_session_close (self);
  /* In the child of a fork the token is one of the parent's, and may be locked. */
  if (self->fork_generation == db_fork_generation ())
    db_sqlite_token_unref (self->token);
  db_sqlite_waker_unref (self->ticket.waker);
  g_free (self->description);
  G_OBJECT_CLASS (db_sqlite_session_parent_class)->finalize (object);
}

static void
db_sqlite_session_class_init (DbSqliteSessionClass *klass)
{
  DbSessionClass *session_class = DB_SESSION_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = db_sqlite_session_finalize;
  session_class->run = db_sqlite_session_run;
  session_class->cancel = db_sqlite_session_cancel;
  session_class->get_state = db_sqlite_session_get_state;
  session_class->is_alive = db_sqlite_session_is_alive;
  session_class->format_begin = db_sqlite_session_format_begin;
  session_class->set_read_only = db_sqlite_session_set_read_only;
  session_class->describe = db_sqlite_session_describe;
}

static void
db_sqlite_session_init (DbSqliteSession *self)
{
  self->deadline = G_MAXINT64;
  self->fork_generation = db_fork_generation ();
  self->ticket.waker = db_sqlite_waker_new ();
  self->ticket.id = (guint) g_atomic_int_add (&last_session_id, 1) + 1;
}

DbSqliteSession *
db_sqlite_session_new (sqlite3 *db,
                       DbSqliteToken *token,
                       const char *description,
                       gint64 busy_timeout,
                       guint cache_size)
{
  DbSqliteSession *self = g_object_new (DB_TYPE_SQLITE_SESSION, NULL);

  self->db = db;
  self->token = token;
  self->description = g_strdup (description);
  self->initial_busy_timeout = busy_timeout;
  db_sqlite_cache_init (&self->cache, cache_size);
  db_sqlite_session_install_handlers (self);
  return self;
}

void
db_sqlite_session_close (DbSqliteSession *self)
{
  sqlite3 *db = g_steal_pointer (&self->db);

  /* In the child of a fork the handle is the parent's: closing it would touch the parent's files.
   */
  if (db == NULL || self->fork_generation != db_fork_generation ())
    return;
  db_sqlite_cache_clear (&self->cache);
  db_sqlite_token_begin_close (self->token);
  if (sqlite3_close (db) != SQLITE_OK)
    {
      g_warning ("A statement or another object of a handle of %s that was taken with "
                 "db_sqlite_connection_get_handle() is still in use: the handle closes with it",
                 self->description);
      sqlite3_busy_handler (db, NULL, NULL);
      sqlite3_progress_handler (db, 0, NULL, NULL);
      sqlite3_close_v2 (db);
    }
  db_sqlite_token_end_close (self->token);
  if (self->holds_token)
    give_token (self);
  DB_TSAN_RELEASE (self);
}

sqlite3 *
db_sqlite_session_get_db (DbSqliteSession *self)
{
  return self->db;
}

void
db_sqlite_session_set_wal (DbSqliteSession *self, gboolean wal)
{
  self->wal = wal;
}

static int
exec_once (DbSqliteSession *self, DbSqliteStatement *statement, char **first)
{
  int rc = sqlite3_step (statement->stmt);

  if (rc == SQLITE_ROW && first != NULL)
    *first = g_strdup ((const char *) sqlite3_column_text (statement->stmt, 0));
  while (rc == SQLITE_ROW)
    rc = sqlite3_step (statement->stmt);
  return rc;
}

gboolean
db_sqlite_session_exec (DbSqliteSession *self, const char *sql, char **first, GError **error)
{
  g_autoptr (DbSqliteStatement) statement = prepare_single (self, sql, FALSE, error);
  int rc;

  if (statement == NULL)
    return FALSE;
  if (statement->writes && !self->holds_token && !take_token (self, statement->verb))
    {
      g_propagate_error (error, new_stopped_error (self));
      return FALSE;
    }
  while ((rc = exec_once (self, statement, first)) == SQLITE_BUSY && self->stop == STOP_NONE &&
         wait_a_while (self, 5000))
    sqlite3_reset (statement->stmt);
  if (rc == SQLITE_DONE)
    return TRUE;
  note_breakage (self, rc, FALSE);
  g_propagate_error (error, db_sqlite_session_new_error (self, rc));
  return FALSE;
}
