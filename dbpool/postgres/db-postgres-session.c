/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A session with a PostgreSQL server: the vtable of DbSession, and the request to cancel. How a
 * statement runs is in db-postgres-run.c; here it is driven, by poll() on the blocking path and by
 * a GSource in the caller's context on the other.
 *
 * The lock guards what a request to cancel touches from other threads; under it nothing is called
 * but what makes a source ready and what shuts a socket down. */

#include "config.h"

#include "db-postgres-run-private.h"

#include "db-error-private.h"
#include "db-postgres-connecting-private.h"
#include "db-postgres-values-private.h"
#include "db-postgres-sql-private.h"
#include "db-worker-private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long a request to cancel may take before it is sent again, and in all. */
#define RESEND_AFTER (20 * G_TIME_SPAN_MILLISECOND)
#define GIVE_UP_AFTER (2 * G_TIME_SPAN_SECOND)

#define TELL_TIMEOUT (5 * G_TIME_SPAN_SECOND)

#define BULKY (4 * 1024 * 1024) /* bytes */

/* How many statements are kept prepared until somebody says otherwise. */
#define CACHE_SIZE 100

G_DEFINE_FINAL_TYPE (DbPostgresSession, db_postgres_session, DB_TYPE_SESSION)

static void
set_cancel_locked (DbPostgresSession *self, DbPostgresCancel cancel)
{
  g_atomic_int_set (&self->cancel, cancel);
  db_cond_broadcast (&self->cond);
  if (self->source != NULL)
    g_source_set_ready_time (self->source, 0);
}

guint64
db_postgres_session_begin (DbPostgresSession *self, GSource *source)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  self->running = TRUE;
  self->source = source;
  self->repeat = FALSE;
  g_atomic_int_set (&self->cancel, DB_POSTGRES_CANCEL_NONE);
  return ++self->epoch;
}

gboolean
db_postgres_session_end (DbPostgresSession *self, DbPostgresEnd how)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  if (how == DB_POSTGRES_END_PAUSE && self->cancel != DB_POSTGRES_CANCEL_NONE)
    return FALSE;
  while (self->sending && self->cancel == DB_POSTGRES_CANCEL_ASKED &&
         how != DB_POSTGRES_END_ABANDON)
    {
      if (how == DB_POSTGRES_END_TRY)
        return FALSE;
      db_cond_wait (&self->cond, &self->lock);
    }
  self->running = FALSE;
  self->source = NULL;
  if (self->n_watching > 0)
    db_cond_broadcast (&self->cond);
  return TRUE;
}

/* Runs on a thread of dbpool's. */
static void
send_cancel_in_job (gpointer data)
{
  g_autoptr (DbPostgresSession) self = data;
  char message[256];
  gboolean sent =
    self->cancel_request != NULL && PQcancel (self->cancel_request, message, sizeof message);

  db_lock_lock (&self->lock);
  self->sending = FALSE;
  self->was_sent = sent;
  set_cancel_locked (self, self->cancel);
  db_lock_unlock (&self->lock);
  db_log (DB_POSTGRES_LOG_FACTS (self, DB_LOG_POSTGRES_CANCEL), "%s: %s", self->where,
          sent ? "the server was asked to cancel what runs" : "a cancel request did not arrive");
}

/* Sends one request. TRUE if it arrived before @deadline. */
static gboolean
send_cancel_locked (DbPostgresSession *self, gint64 deadline)
{
  self->sending = TRUE;
  self->was_sent = FALSE;
  db_lock_unlock (&self->lock);
  db_worker_run (send_cancel_in_job, g_object_ref (self));
  db_lock_lock (&self->lock);
  while (self->sending && db_cond_wait_until (&self->cond, &self->lock, deadline))
    ;
  return !self->sending && self->was_sent;
}

static gboolean
is_running_locked (DbPostgresSession *self, guint64 epoch)
{
  return self->running && self->epoch == epoch;
}

static void
give_up_locked (DbPostgresSession *self)
{
  shutdown (self->fd, SHUT_RDWR); /* wakes whoever waits for it */
  set_cancel_locked (self, DB_POSTGRES_CANCEL_GAVE_UP);
}

/* Runs on a thread of dbpool's, from the request until the statement has ended. */
static void
watch_cancel_in_job (gpointer data)
{
  g_autoptr (DbPostgresSession) self = data;
  gint64 deadline = g_get_monotonic_time () + GIVE_UP_AFTER;
  gint64 pause = RESEND_AFTER;
  guint64 epoch;

  db_lock_lock (&self->lock);
  epoch = self->epoch; /* it cannot have ended, unless it was abandoned */
  self->sending = FALSE;
  while (is_running_locked (self, epoch) && send_cancel_locked (self, deadline))
    {
      gint64 until = MIN (g_get_monotonic_time () + pause, deadline);

      while (is_running_locked (self, epoch) && !self->repeat &&
             db_cond_wait_until (&self->cond, &self->lock, until))
        ;
      if (g_get_monotonic_time () >= deadline)
        break;
      pause = self->repeat ? RESEND_AFTER : 2 * pause;
      self->repeat = FALSE;
    }
  if (is_running_locked (self, epoch))
    give_up_locked (self);
  self->n_watching--;
  db_cond_broadcast (&self->cond);
  db_lock_unlock (&self->lock);
}

gboolean
db_postgres_session_request_cancel (DbPostgresSession *self, guint64 epoch)
{
  gboolean request = FALSE, running;

  if (db_postgres_session_is_forked (self))
    return FALSE;
  db_lock_lock (&self->lock);
  running = self->running && (epoch == 0 || epoch == self->epoch);
  if (running && self->cancel == DB_POSTGRES_CANCEL_NONE)
    {
      request = TRUE;
      /* Already now: the statement waits for this request, whenever it is sent. */
      self->sending = TRUE;
      self->n_watching++;
      set_cancel_locked (self, DB_POSTGRES_CANCEL_ASKED);
    }
  db_lock_unlock (&self->lock);

  if (request)
    db_worker_run (watch_cancel_in_job, g_object_ref (self));
  return running;
}

void
db_postgres_session_repeat_cancel (DbPostgresSession *self)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  self->repeat = TRUE;
  db_cond_broadcast (&self->cond);
}

void
db_postgres_session_give_up (DbPostgresSession *self, guint64 epoch)
{
  g_autoptr (DbLocker) locker = db_locker_new (&self->lock);

  if (is_running_locked (self, epoch))
    give_up_locked (self);
}

static struct timespec *
time_left (gint64 deadline, struct timespec *left)
{
  gint64 us;

  if (deadline == G_MAXINT64)
    return NULL;
  us = MAX (deadline - g_get_monotonic_time (), 0);
  left->tv_sec = us / G_USEC_PER_SEC;
  left->tv_nsec = us % G_USEC_PER_SEC * 1000;
  return left;
}

/* Waits for the socket; TRUE when it is ready, FALSE when @deadline was reached. */
static gboolean
wait_for_socket (DbPostgresSession *self, DbPostgresWait wait, gint64 deadline)
{
  struct pollfd pollfd = {PQsocket (self->conn), POLLIN, 0};
  struct timespec left;
  int n;

  if (wait == DB_POSTGRES_WAIT_WRITE)
    pollfd.events |= POLLOUT;
  do
    n = ppoll (&pollfd, 1, time_left (deadline, &left), NULL);
  while (n < 0 && errno == EINTR);
  return n != 0;
}

/* Values that are better sent by a thread that may block; not where a deadline has to be kept. */
static gboolean
is_bulky (const DbStatementPlan *plan)
{
  return plan->timeout == 0 &&
         (plan->request == DB_REQUEST_RUN || plan->request == DB_REQUEST_OPEN) &&
         db_postgres_params_measure (plan->params, plan->row) > BULKY;
}

static DbResult *
run_blocking (DbPostgresSession *self,
              const DbStatementPlan *plan,
              DbPostgresRunFlags flags,
              GCancellable *cancellable,
              GError **error)
{
  DbPostgresRun run;
  DbPostgresWait wait;

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  if (is_bulky (plan))
    flags |= DB_POSTGRES_RUN_BULKY;
  db_postgres_run_init (&run, self, plan, flags, cancellable);
  wait = db_postgres_run_start (&run, NULL);
  if (wait != DB_POSTGRES_DONE)
    db_postgres_run_watch_cancellable (&run);
  while (wait != DB_POSTGRES_DONE)
    {
      gboolean ready = wait_for_socket (self, wait, db_postgres_run_get_deadline (&run));

      wait = db_postgres_run_advance (&run, ready);
    }
  return db_postgres_run_finish (&run, error);
}

static DbResult *
db_postgres_session_run (DbSession *session,
                         const DbStatementPlan *plan,
                         GCancellable *cancellable,
                         GError **error)
{
  return run_blocking (DB_POSTGRES_SESSION (session), plan, DB_POSTGRES_RUN_NONE, cancellable,
                       error);
}

DbResult *
db_postgres_session_query_internal (DbPostgresSession *self,
                                    const char *sql,
                                    gint64 timeout,
                                    GCancellable *cancellable,
                                    GError **error)
{
  const DbStatementPlan plan = {sql, NULL, DB_STATEMENT_SCRIPT, timeout};

  return run_blocking (self, &plan, DB_POSTGRES_RUN_INTERNAL | DB_POSTGRES_RUN_ABANDON, cancellable,
                       error);
}

gboolean
db_postgres_session_run_internal (DbPostgresSession *self,
                                  const char *sql,
                                  gint64 timeout,
                                  GCancellable *cancellable,
                                  GError **error)
{
  g_autoptr (DbResult) result =
    db_postgres_session_query_internal (self, sql, timeout, cancellable, error);

  return result != NULL;
}

gboolean
db_postgres_session_end_stream (DbPostgresSession *self,
                                gint64 timeout,
                                GCancellable *cancellable,
                                GError **error)
{
  DbPostgresRunFlags flags = DB_POSTGRES_RUN_INTERNAL | DB_POSTGRES_RUN_ABANDON;
  DbStream stream = {0};
  DbStatementPlan plan = {0};
  g_autoptr (GError) local_error = NULL;
  g_autoptr (DbResult) result = NULL;

  if (self->stream == NULL)
    return TRUE;
  stream.data = GSIZE_TO_POINTER (self->stream->serial);
  plan.request = DB_REQUEST_CLOSE;
  plan.stream = &stream;
  plan.timeout = timeout;
  result = run_blocking (self, &plan, flags, cancellable, &local_error);
  if (self->stream == NULL && db_postgres_session_is_sound (self))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local_error));
  return FALSE;
}

/* A statement that is driven by a main loop: one source for the socket and the deadline, in the
 * context of the caller. */
typedef struct
{
  GSource source;
  GTask *task; /* owned; holds the session and the context, so nothing else ends the source */
  DbPostgresRun run;
  gpointer tag;
} DbPostgresSource;

/* The ready time belongs to the session once the server has answered: then it says that the request
 * to cancel has been sent. */
static void
update_source (DbPostgresSource *self, DbPostgresWait wait)
{
  GSource *source = &self->source;
  gint64 deadline = db_postgres_run_get_deadline (&self->run);

  if (wait == DB_POSTGRES_WAIT_WAKE)
    {
      if (self->tag != NULL)
        g_source_remove_unix_fd (source, g_steal_pointer (&self->tag));
      return;
    }
  g_source_modify_unix_fd (source, self->tag,
                           wait == DB_POSTGRES_WAIT_WRITE ? G_IO_IN | G_IO_OUT : G_IO_IN);
  if (deadline != G_MAXINT64)
    g_source_set_ready_time (source, deadline);
}

/* The task is returned last: its callback may start the next statement of the session. */
static void
complete (DbPostgresSource *self)
{
  g_autoptr (GTask) task = g_steal_pointer (&self->task);
  GError *error = NULL;
  DbResult *result = db_postgres_run_finish (&self->run, &error);

  g_source_destroy (&self->source);
  if (result != NULL)
    g_task_return_pointer (task, result, g_object_unref);
  else
    g_task_return_error (task, error);
}

static gboolean
dispatch_source (GSource *source, GSourceFunc callback, gpointer user_data)
{
  DbPostgresSource *self = (DbPostgresSource *) source;
  gboolean ready;
  DbPostgresWait wait;

  DB_TSAN_ACQUIRE (self);
  ready = self->tag != NULL && g_source_query_unix_fd (source, self->tag) != 0;
  if (g_source_get_ready_time (source) >= 0)
    g_source_set_ready_time (source, -1);
  wait = db_postgres_run_advance (&self->run, ready);
  if (wait == DB_POSTGRES_DONE)
    {
      complete (self);
      return G_SOURCE_REMOVE;
    }
  update_source (self, wait);
  DB_TSAN_RELEASE (self);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {NULL, NULL, dispatch_source, NULL, NULL, NULL};

static void
db_postgres_session_run_async (DbSession *session,
                               const DbStatementPlan *plan,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  DbPostgresSession *self = DB_POSTGRES_SESSION (session);
  DbPostgresSource *source;
  DbPostgresWait wait;
  GTask *task;

  if (is_bulky (plan))
    {
      DB_SESSION_CLASS (db_postgres_session_parent_class)
        ->run_async (session, plan, cancellable, callback, user_data);
      return;
    }
  task = g_task_new (self, cancellable, callback, user_data);
  /* The function, not the macro of the same name, which would also copy a name for debugging: the
   * operation's task has one. */
  (g_task_set_source_tag) (task, db_postgres_session_run_async);
  g_task_set_check_cancellable (task, FALSE);
  if (g_cancellable_is_cancelled (cancellable))
    {
      g_task_set_check_cancellable (task, TRUE);
      g_task_return_error_if_cancelled (task);
      g_object_unref (task);
      return;
    }

  source = (DbPostgresSource *) g_source_new (&source_funcs, sizeof (DbPostgresSource));
  g_source_set_static_name (&source->source, "[dbpool] PostgreSQL statement");
  g_source_set_priority (&source->source, g_task_get_priority (task));
  source->task = task;
  db_postgres_run_init (&source->run, self, plan, DB_POSTGRES_RUN_NONE, cancellable);
  wait = db_postgres_run_start (&source->run, &source->source);
  if (wait == DB_POSTGRES_DONE)
    complete (source); /* GTask calls back later, from the context */
  else
    {
      db_postgres_run_watch_cancellable (&source->run);
      source->tag = g_source_add_unix_fd (&source->source, PQsocket (self->conn), G_IO_IN);
      update_source (source, wait);
      DB_TSAN_RELEASE (source);
      g_source_attach (&source->source, g_task_get_context (task));
    }
  g_source_unref (&source->source);
}

static DbResult *
db_postgres_session_run_finish (DbSession *session, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static gboolean
db_postgres_session_cancel (DbSession *session)
{
  return db_postgres_session_request_cancel (DB_POSTGRES_SESSION (session), 0);
}

gboolean
db_postgres_session_is_forked (DbPostgresSession *self)
{
  return self->fork_generation != db_fork_generation ();
}

gboolean
db_postgres_session_is_sound (DbPostgresSession *self)
{
  return !db_postgres_session_is_forked (self) && self->conn != NULL && !self->broken &&
         !self->said_goodbye && PQstatus (self->conn) == CONNECTION_OK;
}

static DbSessionState
db_postgres_session_get_state (DbSession *session)
{
  DbPostgresSession *self = DB_POSTGRES_SESSION (session);

  if (!db_postgres_session_is_sound (self))
    return DB_SESSION_BROKEN;
  if (self->stream != NULL)
    return self->stream->state;
  switch (PQtransactionStatus (self->conn))
    {
    case PQTRANS_IDLE:
      return DB_SESSION_IDLE;
    case PQTRANS_ACTIVE:
      return DB_SESSION_BUSY;
    case PQTRANS_INTRANS:
      return DB_SESSION_IN_TRANSACTION;
    case PQTRANS_INERROR:
      return DB_SESSION_FAILED_TRANSACTION;
    case PQTRANS_UNKNOWN:
    default:
      return DB_SESSION_BROKEN;
    }
}

gboolean
db_postgres_session_tell_read_only (DbPostgresSession *self)
{
  const char *sql = db_postgres_read_only_sql (self->want_read_only);

  if (self->is_read_only == self->want_read_only ||
      db_postgres_session_get_state (DB_SESSION (self)) != DB_SESSION_IDLE)
    return TRUE;
  if (!db_postgres_session_run_internal (self, sql, TELL_TIMEOUT, NULL, NULL))
    return FALSE;
  self->is_read_only = self->want_read_only;
  return TRUE;
}

/* -1: end of file or an error; 0: nothing; 1: something to read. */
static int
peek (int fd)
{
  char byte;
  ssize_t n = recv (fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

  if (n > 0)
    return 1;
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : -1;
}

/* What an idle session receives are notices, changed settings, notifications, or a goodbye. */
static gboolean
db_postgres_session_is_alive (DbSession *session)
{
  DbPostgresSession *self = DB_POSTGRES_SESSION (session);
  PGnotify *notify;
  int seen;

  if (db_postgres_session_get_state (session) == DB_SESSION_BROKEN)
    return FALSE;
  seen = peek (PQsocket (self->conn));
  if (seen == 0 || (seen > 0 && self->stream != NULL))
    return TRUE;
  if (seen < 0 || !PQconsumeInput (self->conn))
    return FALSE;
  while ((notify = PQnotifies (self->conn)) != NULL) /* this parses the rest, too */
    PQfreemem (notify);
  return !self->said_goodbye && PQstatus (self->conn) == CONNECTION_OK &&
         peek (PQsocket (self->conn)) >= 0;
}

static int
db_postgres_session_get_fd (DbSession *session)
{
  DbPostgresSession *self = DB_POSTGRES_SESSION (session);

  return self->conn != NULL ? PQsocket (self->conn) : -1;
}

static gboolean
db_postgres_session_set_read_only (DbSession *session, gboolean read_only)
{
  DB_POSTGRES_SESSION (session)->want_read_only = read_only;
  return TRUE;
}

static char *
db_postgres_session_describe (DbSession *session)
{
  return g_strdup_printf ("backend %d", DB_POSTGRES_SESSION (session)->pid);
}

/* As PQescapeLiteral() does it, but the setting that decides what a backslash means does not
 * matter. The blank keeps the E apart from a word before it. */
static char *
db_postgres_session_quote_literal (DbSession *session, const char *text)
{
  gboolean has_backslash = strchr (text, '\\') != NULL;
  GString *quoted = g_string_new (has_backslash ? " E'" : "'");

  for (; *text != '\0'; text++)
    {
      if (*text == '\'' || *text == '\\')
        g_string_append_c (quoted, *text);
      g_string_append_c (quoted, *text);
    }
  g_string_append_c (quoted, '\'');
  return g_string_free (quoted, FALSE);
}

static char *
db_postgres_session_format_declare (DbSession *session, const char *name, const char *sql)
{
  if (!db_postgres_sql_is_declarable (sql))
    return NULL;
  return g_strconcat ("DECLARE ", name, " NO SCROLL CURSOR FOR ", sql, NULL);
}

static void
db_postgres_session_set_statement_cache (DbSession *session, guint size)
{
  db_postgres_statements_resize (DB_POSTGRES_SESSION (session)->statements, size);
}

/* Called by libpq while it reads. A notice is for the log; an error without a statement is the
 * server ending the session. */
static void
receive_notice (void *data, const PGresult *result)
{
  DbPostgresSession *self = data;
  const char *severity = PQresultErrorField (result, PG_DIAG_SEVERITY_NONLOCALIZED);
  const char *text = PQresultErrorField (result, PG_DIAG_MESSAGE_PRIMARY);

  if (g_strcmp0 (severity, "FATAL") == 0 || g_strcmp0 (severity, "PANIC") == 0)
    self->said_goodbye = TRUE;
  /* What the server would write to its own log may be statements with their values. */
  if (severity != NULL && (strcmp (severity, "LOG") == 0 || g_str_has_prefix (severity, "DEBUG")) &&
      !db_log_wants (DB_DEBUG_SQL_VALUES))
    return;
  db_log (DB_POSTGRES_LOG_FACTS (self, DB_LOG_POSTGRES_NOTICE), "%s: %s: %s", self->where,
          severity != NULL ? severity : "notice",
          text != NULL ? text : PQresultErrorMessage (result));
}

/* In a forked child. libpq would say goodbye to the server, so it is not asked; descriptors are the
 * child's own. */
static void
leave_to_parent (DbPostgresSession *self)
{
  PGconn *conn = g_steal_pointer (&self->conn);

  if (conn != NULL)
    close (PQsocket (conn));
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}

void
db_postgres_session_close (DbPostgresSession *self)
{
  PGconn *conn;
  int fd;

  if (db_postgres_session_is_forked (self))
    {
      leave_to_parent (self);
      return;
    }
  db_lock_lock (&self->lock);
  while (self->sending || self->n_watching > 0)
    db_cond_wait (&self->cond, &self->lock);
  db_postgres_stream_drop (self);
  conn = g_steal_pointer (&self->conn);
  fd = self->fd;
  self->fd = -1;
  db_lock_unlock (&self->lock);

  if (conn != NULL)
    db_postgres_disconnect (conn, fd);
  if (fd >= 0)
    close (fd);
}

/* Also of a session that nobody closed; nothing here waits. The last reference may have been a
 * job's: the lock orders this after what others did. In a forked child, where a thread that is not
 * there may hold it, there is nobody else. */
static void
db_postgres_session_finalize (GObject *object)
{
  DbPostgresSession *self = DB_POSTGRES_SESSION (object);

  if (db_postgres_session_is_forked (self))
    leave_to_parent (self);
  else
    {
      db_lock_lock (&self->lock);
      db_lock_unlock (&self->lock);
    }
  db_postgres_stream_drop (self);
  g_clear_pointer (&self->conn, PQfinish);
  g_clear_pointer (&self->cancel_request, PQfreeCancel);
  g_clear_pointer (&self->statements, db_postgres_statements_free);
  g_clear_pointer (&self->where, g_free);
  if (self->fd >= 0)
    close (self->fd);
  if (!db_postgres_session_is_forked (self))
    {
      db_cond_clear (&self->cond);
      db_lock_clear (&self->lock);
    }

  G_OBJECT_CLASS (db_postgres_session_parent_class)->finalize (object);
}

static void
db_postgres_session_class_init (DbPostgresSessionClass *klass)
{
  DbSessionClass *session_class = DB_SESSION_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = db_postgres_session_finalize;
  session_class->run = db_postgres_session_run;
  session_class->run_async = db_postgres_session_run_async;
  session_class->run_finish = db_postgres_session_run_finish;
  session_class->cancel = db_postgres_session_cancel;
  session_class->get_state = db_postgres_session_get_state;
  session_class->is_alive = db_postgres_session_is_alive;
  session_class->get_fd = db_postgres_session_get_fd;
  session_class->set_read_only = db_postgres_session_set_read_only;
  session_class->describe = db_postgres_session_describe;
  session_class->quote_literal = db_postgres_session_quote_literal;
  session_class->format_declare = db_postgres_session_format_declare;
  session_class->set_statement_cache = db_postgres_session_set_statement_cache;
  session_class->requests = DB_REQUESTS_ALL;
}

static void
db_postgres_session_init (DbPostgresSession *self)
{
  db_lock_init (&self->lock);
  db_cond_init (&self->cond);
  self->fd = -1;
  self->fork_generation = db_fork_generation ();
}

DbPostgresSession *
db_postgres_session_new (PGconn *conn, const char *where)
{
  DbPostgresSession *self = g_object_new (DB_TYPE_POSTGRES_SESSION, NULL);

  self->conn = conn;
  self->where = g_strdup (where);
  self->pid = PQbackendPID (conn);
  self->cancel_request = PQgetCancel (conn);
  self->statements = db_postgres_statements_new (CACHE_SIZE);
  self->fd = fcntl (PQsocket (conn), F_DUPFD_CLOEXEC, 0);
  PQsetnonblocking (conn, 1);
  PQsetNoticeReceiver (conn, receive_notice, self);
  return self;
}
