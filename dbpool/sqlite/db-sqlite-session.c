/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One sqlite3 handle: its waits, its errors, its state and its end.
 *
 * The handle is opened without SQLite's mutexes: one thread at a time uses the session, and whoever
 * passes it on makes memory visible. The one thing that comes from other threads is a cancellation.
 * It sets an atomic (cancel_state) or is the caller's cancellable; SQLite's progress handler and
 * every wait here look at both, and a wait is woken. sqlite3_interrupt() is not used: it does not
 * end a wait for a lock, and one that comes too late would hit the next statement.
 *
 * Who writes holds the write token of the file (db-sqlite-token.c). Locks of other processes are
 * waited for in the busy handler. Both waits together are bounded by the busy timeout, the
 * statement's own timeout and the cancellable.
 *
 * Statements run in db-sqlite-run.c, several together in db-sqlite-batch.c, and bit by bit in
 * db-sqlite-stream.c. */

#include "config.h"

#include "db-error-private.h"
#include "db-session-private.h"
#include "db-sqlite-batch-private.h"
#include "db-sqlite-errors-private.h"
#include "db-sqlite-run-private.h"
#include "db-sqlite-session-private.h"
#include "db-sqlite-stream-private.h"
#include "db-statement-plan-private.h"
#include "db-worker-private.h"

#define INITIAL_CACHE_SIZE 100

/* How many instructions of SQLite's virtual machine pass between two looks: some 30 µs. */
#define PROGRESS_STEPS 4000

typedef enum
{
  CANCEL_STATE_IDLE,
  CANCEL_STATE_RUNNING,
  CANCEL_STATE_CANCELLED,
} CancelState;

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
    self->stop = DB_SQLITE_STOP_CANCELLED;
  else if (now >= self->deadline)
    self->stop = DB_SQLITE_STOP_TIMEOUT;
  else if (now >= self->wait_until)
    self->stop = DB_SQLITE_STOP_BUSY;
  return self->stop == DB_SQLITE_STOP_NONE;
}

gboolean
db_sqlite_session_wait (DbSqliteSession *self, gint64 duration)
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
    self->stop = DB_SQLITE_STOP_CANCELLED;
  return self->stop == DB_SQLITE_STOP_NONE;
}

gboolean
db_sqlite_session_take_token (DbSqliteSession *self, const char *activity)
{
  if (!db_sqlite_token_request (self->token, &self->ticket, activity))
    {
      gint64 began = g_get_monotonic_time ();

      while (!db_sqlite_ticket_is_granted (&self->ticket) && db_sqlite_session_wait (self, 0))
        ;
      self->waited += MAX (g_get_monotonic_time () - began, 1);
      if (!db_sqlite_token_end_wait (self->token, &self->ticket))
        return FALSE;
      if (self->stop == DB_SQLITE_STOP_CANCELLED)
        {
          db_sqlite_token_give (self->token, &self->ticket);
          return FALSE;
        }
      self->stop = DB_SQLITE_STOP_NONE;
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

  self->n_busy++;
  if (!self->entered && n_calls == 0)
    {
      /* The handle is used by its borrower, with no statement of ours around. */
      self->wait_until = 0;
      self->stop = DB_SQLITE_STOP_NONE;
    }
  if (self->entered && !self->wal && !self->holds_token)
    {
      if (!db_sqlite_session_take_token (self, NULL))
        return FALSE;
      self->holds_token_to_read = TRUE;
      return TRUE;
    }
  if (self->entered)
    db_sqlite_token_add_sleeper (self->token, &self->ticket);
  return db_sqlite_session_wait (self,
                                 delays[MIN ((gsize) n_calls, G_N_ELEMENTS (delays) - 1)] * 1000);
}

static int
progress_cb (gpointer data)
{
  DbSqliteSession *self = data;

  if (is_cancelled (self))
    self->stop = DB_SQLITE_STOP_CANCELLED;
  else if (self->deadline != G_MAXINT64 && g_get_monotonic_time () >= self->deadline)
    self->stop = DB_SQLITE_STOP_TIMEOUT;
  else
    return 0;
  return 1;
}

/* Tells an insert that gave the id of the one before it, in another table, from none at all. */
static void
update_cb (gpointer data, int operation, const char *database, const char *table, sqlite3_int64 id)
{
  DbSqliteSession *self = data;

  if (operation == SQLITE_INSERT && id == self->last_insert_id)
    self->id_repeated = TRUE;
}

void
db_sqlite_session_install_handlers (DbSqliteSession *self)
{
  self->busy_timeout = self->initial_busy_timeout;
  sqlite3_busy_handler (self->db, busy_cb, self);
  sqlite3_progress_handler (self->db, PROGRESS_STEPS, progress_cb, self);
  sqlite3_update_hook (self->db, update_cb, self);
}

void
db_sqlite_session_adopt_busy_timeout (DbSqliteSession *self, gint64 busy_timeout)
{
  sqlite3_busy_handler (self->db, busy_cb, self);
  self->busy_timeout = busy_timeout;
}

GError *
db_sqlite_session_new_stopped_error (DbSqliteSession *self)
{
  g_autofree char *holder = NULL;

  if (self->stop == DB_SQLITE_STOP_CANCELLED)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the statement was cancelled");

  if (self->wait_until != 0 && !self->holds_token)
    holder = db_sqlite_token_describe_holder (self->token);
  if (self->stop == DB_SQLITE_STOP_TIMEOUT)
    return g_error_new (DB_ERROR, DB_ERROR_TIMEOUT,
                        "the statement did not finish within its timeout of %.3f s%s%s",
                        self->timeout / 1e6, holder != NULL ? ": " : "",
                        holder != NULL ? holder : "");
  return g_error_new (DB_ERROR, DB_ERROR_BUSY,
                      "%s was locked for longer than busy-timeout, %.3f s: %s", self->description,
                      self->busy_timeout / 1e6,
                      holder != NULL
                        ? holder
                        : "another process, or a transaction or cursor that reads where the "
                          "journal is not WAL, keeps its lock; end it or raise busy-timeout");
}

static GError *
new_lost_upgrade_error (DbSqliteSession *self, int rc)
{
  if (sqlite3_get_autocommit (self->db))
    return g_error_new (DB_ERROR, DB_ERROR_SERIALIZATION,
                        "rows are still being read, as they were before another one wrote to %s: "
                        "read them to the end or close their cursor, and run it again [SQLite %d]",
                        self->description, rc);
  return g_error_new (
    DB_ERROR, DB_ERROR_SERIALIZATION,
    "the transaction has read, and another one writes to %s: roll back and run it "
    "again; one that is going to write begins with BEGIN IMMEDIATE [SQLite %d]",
    self->description, rc);
}

/* It has read, or is still reading, and SQLite does not wait for it. */
static gboolean
is_lost_upgrade (DbSqliteSession *self, int rc)
{
  if (rc == SQLITE_BUSY_SNAPSHOT)
    return TRUE;
  return rc == SQLITE_BUSY && sqlite3_txn_state (self->db, "main") == SQLITE_TXN_READ &&
         (!sqlite3_get_autocommit (self->db) || self->streams.length > 0);
}

GError *
db_sqlite_session_new_error (DbSqliteSession *self, int rc, const char *sql, const char *start)
{
  g_autofree char *text = NULL;

  db_session_take_error_info (DB_SESSION (self),
                              db_sqlite_new_error_info (self->db, rc, sql, start));
  self->told = TRUE;
  if (self->stop != DB_SQLITE_STOP_NONE &&
      ((rc & 0xff) == SQLITE_INTERRUPT || (rc & 0xff) == SQLITE_BUSY))
    return db_sqlite_session_new_stopped_error (self);
  if (is_lost_upgrade (self, rc))
    return new_lost_upgrade_error (self, rc);
  /* It may quote bytes of the statement. */
  text = g_utf8_make_valid (sqlite3_errmsg (self->db), -1);
  return db_error_new_sqlite (rc, "%s%s", text, db_sqlite_get_hint (rc));
}

void
db_sqlite_session_set_error (DbSqliteSession *self, int rc, gboolean another_file, GError **error)
{
  /* What these say of the session's own file makes the session useless. */
  if (!another_file && db_sqlite_breaks_session (rc))
    self->broken = TRUE;
  g_propagate_error (error, db_sqlite_session_new_error (self, rc, NULL, NULL));
}

gboolean
db_sqlite_session_is_stopped (DbSqliteSession *self, GError **error)
{
  if (!progress_cb (self))
    return FALSE;
  g_propagate_error (error, db_sqlite_session_new_stopped_error (self));
  return TRUE;
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

  self->stop = DB_SQLITE_STOP_NONE;
  self->told = FALSE;
  self->cancellable = cancellable;
  if (cancellable != NULL && g_cancellable_is_cancelled (cancellable))
    {
      self->stop = DB_SQLITE_STOP_CANCELLED;
      g_propagate_error (error, db_sqlite_session_new_stopped_error (self));
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

/* Who no longer writes gives the token back. A transaction whose first write failed does not write
 * either, and would only be in the way until it is rolled back. */
void
db_sqlite_session_settle (DbSqliteSession *self)
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

/* Not from where the waiting is, which SQLite is around of. */
static void
tell_of_waits (DbSqliteSession *self)
{
  gint64 waited = self->waited;
  guint n_busy = self->n_busy;

  self->waited = 0;
  self->n_busy = 0;
  if (!db_log_wants (DB_DEBUG_SQLITE))
    return;
  if (waited > 0)
    db_log (DB_SQLITE_LOG_FACTS (self, DB_LOG_SQLITE_TOKEN_WAIT, .duration = waited),
            "%s: waited %.1f ms for other sessions that write", self->description, waited / 1e3);
  if (n_busy > 0)
    db_log (DB_SQLITE_LOG_FACTS (self, DB_LOG_SQLITE_BUSY), "%s: was found locked %u times",
            self->description, n_busy);
}

void
db_sqlite_session_leave (DbSqliteSession *self)
{
  db_sqlite_session_settle (self);
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
  if (self->waited > 0 || self->n_busy > 0)
    tell_of_waits (self);
}

gboolean
db_sqlite_session_begin_write (DbSqliteSession *self, const char *verb, GError **error)
{
  if (self->read_only || self->transaction_read_only)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_READ_ONLY,
                   "%s would write to %s, but the %s is read-only", verb, self->description,
                   self->read_only ? "connection" : "transaction");
      return FALSE;
    }
  if (self->holds_token_to_read)
    db_sqlite_token_set_activity (self->token, &self->ticket, verb);
  self->holds_token_to_read = FALSE;
  if (self->holds_token)
    return TRUE;

  /* Without WAL the writer's commit waits for this reader, who must not wait for the writer. */
  if (!self->wal && sqlite3_txn_state (self->db, "main") == SQLITE_TXN_READ)
    {
      self->holds_token = db_sqlite_token_try_take (self->token, &self->ticket, verb);
      if (!self->holds_token)
        g_propagate_error (error, new_lost_upgrade_error (self, SQLITE_BUSY));
      return self->holds_token;
    }
  if (db_sqlite_session_take_token (self, verb))
    return TRUE;
  g_propagate_error (error, db_sqlite_session_new_stopped_error (self));
  return FALSE;
}

static DbResult *
run_request (DbSqliteSession *self, const DbStatementPlan *plan, GError **error)
{
  switch (plan->request)
    {
    case DB_REQUEST_DESCRIBE:
      return db_sqlite_run_describe (self, plan, error);
    case DB_REQUEST_BATCH:
      return db_sqlite_run_batch (self, plan, error);
    case DB_REQUEST_OPEN:
      return db_sqlite_stream_open (self, plan, error);
    case DB_REQUEST_FETCH:
      return db_sqlite_stream_fetch (self, plan, error);
    case DB_REQUEST_RUN:
    case DB_REQUEST_CLOSE:
    default:
      return db_sqlite_run_plan (self, plan, error);
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

  if (plan->request == DB_REQUEST_CLOSE)
    return db_sqlite_stream_close (self, plan);
  if (!db_sqlite_session_enter (self, cancellable, plan->timeout, error))
    return NULL;
  result = run_request (self, plan, error);
  if (result == NULL && !self->told)
    db_session_take_error_info (session, NULL);
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
db_sqlite_session_set_statement_cache (DbSession *session, guint size)
{
  DbSqliteSession *self = DB_SQLITE_SESSION (session);

  if (db_sqlite_session_get_state (session) != DB_SESSION_BROKEN)
    db_sqlite_cache_set_size (&self->cache, size);
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
  session_class->set_statement_cache = db_sqlite_session_set_statement_cache;
  session_class->requests = DB_REQUESTS_ALL;
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
                       gint64 busy_timeout)
{
  DbSqliteSession *self = g_object_new (DB_TYPE_SQLITE_SESSION, NULL);

  self->db = db;
  self->token = token;
  self->description = g_strdup (description);
  self->initial_busy_timeout = busy_timeout;
  db_sqlite_cache_init (&self->cache, INITIAL_CACHE_SIZE);
  db_sqlite_session_install_handlers (self);
  return self;
}

void
db_sqlite_session_close (DbSqliteSession *self)
{
  sqlite3 *db = g_steal_pointer (&self->db);
  gboolean in_use;

  /* In the child of a fork the handle is the parent's: closing it would touch the parent's files.
   */
  if (db == NULL || self->fork_generation != db_fork_generation ())
    return;
  db_sqlite_stream_end_all (self);
  db_sqlite_cache_clear (&self->cache);
  db_sqlite_token_begin_close (self->token);
  in_use = sqlite3_close (db) != SQLITE_OK;
  if (in_use)
    {
      sqlite3_busy_handler (db, NULL, NULL);
      sqlite3_progress_handler (db, 0, NULL, NULL);
      sqlite3_update_hook (db, NULL, NULL);
      sqlite3_close_v2 (db);
    }
  db_sqlite_token_end_close (self->token);
  if (self->holds_token)
    give_token (self);
  if (in_use)
    db_log (DB_SQLITE_LOG_FACTS (self, DB_LOG_HANDLE_IN_USE),
            "A statement or another object of a handle of %s that was taken with "
            "db_sqlite_connection_get_handle() is still in use: the handle closes with it",
            self->description);
  DB_TSAN_RELEASE (self);
}

sqlite3 *
db_sqlite_session_get_db (DbSqliteSession *self)
{
  return self->db;
}

sqlite3 *
db_sqlite_session_lend_db (DbSqliteSession *self)
{
  if (self->db != NULL && !self->handle_lent)
    {
      self->handle_lent = TRUE;
      db_session_mark_dirty (DB_SESSION (self));
      db_session_add_leftover (DB_SESSION (self));
    }
  return self->db;
}

/* All hooks that SQLite lets one see from outside, and what lets SQL reach beyond the database. */
static void
remove_hooks (DbSqliteSession *self)
{
  sqlite3_set_authorizer (self->db, NULL, NULL);
  sqlite3_trace_v2 (self->db, 0, NULL, NULL);
  sqlite3_commit_hook (self->db, NULL, NULL);
  sqlite3_rollback_hook (self->db, NULL, NULL);
  sqlite3_db_config (self->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config (self->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
}

/* Virtual tables keep statements too, which only tell from a borrower's by not being in use. */
static gboolean
has_busy_statement (DbSqliteSession *self)
{
  for (sqlite3_stmt *stmt = sqlite3_next_stmt (self->db, NULL); stmt != NULL;
       stmt = sqlite3_next_stmt (self->db, stmt))
    if (sqlite3_stmt_busy (stmt))
      return TRUE;
  return FALSE;
}

gboolean
db_sqlite_session_inspect (DbSqliteSession *self, GError **error)
{
  db_sqlite_stream_end_all (self);
  if (!self->handle_lent)
    return TRUE;
  remove_hooks (self);
  db_sqlite_session_install_handlers (self);
  /* Its borrower may still use it, on any thread. */
  if (has_busy_statement (self))
    {
      g_set_error (error, DB_ERROR, DB_ERROR_FAILED,
                   "a statement or blob of the handle of %s, which was taken with "
                   "db_sqlite_connection_get_handle(), is still in use: finalize it before the "
                   "connection is released",
                   self->description);
      return FALSE;
    }
  self->handle_lent = FALSE;
  db_session_remove_leftover (DB_SESSION (self));
  return TRUE;
}

void
db_sqlite_session_set_wal (DbSqliteSession *self, gboolean wal)
{
  self->wal = wal;
}
