/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A session with a PostgreSQL server: the vtable of DbSession, and the request to cancel. How a
 * statement runs is in db-postgres-run.c; here it is driven, by poll() on the blocking path and by
 * a GSource in the caller's context on the other.
 *
 * The lock guards what cancel may touch from other threads, and nothing is called under it but the
 * write to the eventfd. */

#include "config.h"

#include "db-postgres-run-private.h"

#include "db-error-private.h"
#include "db-postgres-connecting-private.h"
#include "db-worker-private.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TELL_TIMEOUT (5 * G_TIME_SPAN_SECOND)

G_DEFINE_FINAL_TYPE (DbPostgresSession, db_postgres_session, DB_TYPE_SESSION)

static void
wake_up (DbPostgresSession *self)
{
  /* The counter is far from full, so this neither blocks nor fails. */
  eventfd_write (self->wake_fd, 1);
}

void
db_postgres_session_clear_wake_up (DbPostgresSession *self)
{
  eventfd_t value;

  eventfd_read (self->wake_fd, &value);
}

guint64
db_postgres_session_begin (DbPostgresSession *self)
{
  g_autoptr(DbLocker) locker = db_locker_new (&self->lock);

  self->running = TRUE;
  self->cancel = DB_POSTGRES_CANCEL_NONE;
  return ++self->epoch;
}

gboolean
db_postgres_session_end (DbPostgresSession *self, gboolean abandon)
{
  g_autoptr(DbLocker) locker = db_locker_new (&self->lock);

  if (self->cancel == DB_POSTGRES_CANCEL_SENDING && !abandon)
    return FALSE;
  self->running = FALSE;
  return TRUE;
}

DbPostgresCancel
db_postgres_session_get_cancel (DbPostgresSession *self)
{
  g_autoptr(DbLocker) locker = db_locker_new (&self->lock);

  return self->cancel;
}

/* Runs on a thread of dbpool's. */
static void
cancel_in_job (gpointer data)
{
  g_autoptr(DbPostgresSession) self = data;
  char message[256];
  gboolean sent =
    self->cancel_request != NULL && PQcancel (self->cancel_request, message, sizeof message);

  db_lock_lock (&self->lock);
  self->cancel = sent ? DB_POSTGRES_CANCEL_SENT : DB_POSTGRES_CANCEL_FAILED;
  wake_up (self);
  db_cond_broadcast (&self->cond);
  db_lock_unlock (&self->lock);
}

gboolean
db_postgres_session_request_cancel (DbPostgresSession *self, guint64 epoch, gboolean again)
{
  gboolean request = FALSE, stopping;

  db_lock_lock (&self->lock);
  stopping = self->running && (epoch == 0 || epoch == self->epoch);
  if (stopping && (self->cancel == DB_POSTGRES_CANCEL_NONE ||
                   (again && self->cancel == DB_POSTGRES_CANCEL_SENT)))
    {
      request = TRUE;
      self->cancel = DB_POSTGRES_CANCEL_SENDING;
      wake_up (self);
    }
  db_lock_unlock (&self->lock);

  if (request)
    db_worker_run (cancel_in_job, g_object_ref (self));
  return stopping;
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
  db_postgres_run_init (&run, self, plan, flags, cancellable);
  db_postgres_run_start (&run);
  wait = db_postgres_run_advance (&run, FALSE);
  while (wait != DB_POSTGRES_DONE)
    {
      struct pollfd fds[] = {
        {self->wake_fd, POLLIN, 0},
        {PQsocket (self->conn), POLLIN | (wait == DB_POSTGRES_WAIT_WRITE ? POLLOUT : 0), 0},
      };
      struct timespec left;

      if (wait == DB_POSTGRES_WAIT_WAKE)
        fds[1].fd = -1;
      if (ppoll (fds, 2, time_left (db_postgres_run_get_deadline (&run), &left), NULL) < 0)
        continue; /* EINTR: then no field of fds says anything */
      if (fds[0].revents != 0)
        db_postgres_session_clear_wake_up (self);
      wait = db_postgres_run_advance (&run, fds[1].revents != 0);
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

gboolean
db_postgres_session_run_internal (DbPostgresSession *self,
                                  const char *sql,
                                  gint64 timeout,
                                  GCancellable *cancellable,
                                  GError **error)
{
  const DbStatementPlan plan = {sql, NULL, DB_STATEMENT_SCRIPT, timeout};
  g_autoptr(DbResult) result =
    run_blocking (self, &plan, DB_POSTGRES_RUN_INTERNAL | DB_POSTGRES_RUN_ABANDON, cancellable,
                  error);

  return result != NULL;
}

/* A statement that is driven by a main loop: one source for the socket, the wake-ups and the
 * deadline, in the context of the caller. */
typedef struct
{
  GSource source;
  GTask *task; /* owned; holds the session and the context, so nothing else ends the source */
  DbPostgresRun run;
  gpointer socket_tag;
  gpointer wake_tag;
} DbPostgresSource;

static void
update_source (DbPostgresSource *self, DbPostgresWait wait)
{
  GSource *source = &self->source;
  gint64 deadline = db_postgres_run_get_deadline (&self->run);

  if (wait == DB_POSTGRES_WAIT_WAKE && self->socket_tag != NULL)
    g_source_remove_unix_fd (source, g_steal_pointer (&self->socket_tag));
  else if (self->socket_tag != NULL)
    g_source_modify_unix_fd (source, self->socket_tag,
                             wait == DB_POSTGRES_WAIT_WRITE ? G_IO_IN | G_IO_OUT : G_IO_IN);
  g_source_set_ready_time (source, deadline == G_MAXINT64 ? -1 : deadline);
}

/* The task is returned last: its callback may start the next statement of the session. */
static void
complete (DbPostgresSource *self)
{
  g_autoptr(GTask) task = g_steal_pointer (&self->task);
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
  ready = self->socket_tag != NULL && g_source_query_unix_fd (source, self->socket_tag) != 0;
  if (g_source_query_unix_fd (source, self->wake_tag) != 0)
    db_postgres_session_clear_wake_up (self->run.session);
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
  GTask *task = g_task_new (self, cancellable, callback, user_data);
  DbPostgresSource *source;
  DbPostgresWait wait;

  g_task_set_source_tag (task, db_postgres_session_run_async);
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
  db_postgres_run_start (&source->run);
  wait = db_postgres_run_advance (&source->run, FALSE);
  if (wait == DB_POSTGRES_DONE)
    complete (source); /* GTask calls back later, from the context */
  else
    {
      source->wake_tag = g_source_add_unix_fd (&source->source, self->wake_fd, G_IO_IN);
      source->socket_tag = g_source_add_unix_fd (&source->source, PQsocket (self->conn), G_IO_IN);
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
  return db_postgres_session_request_cancel (DB_POSTGRES_SESSION (session), 0, FALSE);
}

static DbSessionState
db_postgres_session_get_state (DbSession *session)
{
  DbPostgresSession *self = DB_POSTGRES_SESSION (session);

  if (self->conn == NULL || self->broken || self->said_goodbye ||
      PQstatus (self->conn) != CONNECTION_OK)
    return DB_SESSION_BROKEN;
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
  if (seen == 0)
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
  g_debug ("%s: %s: %s", self->where, severity != NULL ? severity : "notice",
           text != NULL ? text : PQresultErrorMessage (result));
}

void
db_postgres_session_close (DbPostgresSession *self)
{
  db_lock_lock (&self->lock);
  while (self->cancel == DB_POSTGRES_CANCEL_SENDING)
    db_cond_wait (&self->cond, &self->lock);
  db_lock_unlock (&self->lock);

  if (self->conn != NULL)
    db_postgres_disconnect (g_steal_pointer (&self->conn));
}

/* A session that nobody closed; nothing here waits. */
static void
db_postgres_session_finalize (GObject *object)
{
  DbPostgresSession *self = DB_POSTGRES_SESSION (object);

  g_clear_pointer (&self->conn, PQfinish);
  g_clear_pointer (&self->cancel_request, PQfreeCancel);
  g_clear_pointer (&self->statements, db_postgres_statements_free);
  g_clear_pointer (&self->where, g_free);
  if (self->wake_fd >= 0)
    close (self->wake_fd);
  db_cond_clear (&self->cond);
  db_lock_clear (&self->lock);

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
}

static void
db_postgres_session_init (DbPostgresSession *self)
{
  db_lock_init (&self->lock);
  db_cond_init (&self->cond);
  self->wake_fd = -1;
}

DbPostgresSession *
db_postgres_session_new (PGconn *conn, const char *where, guint cache_size)
{
  DbPostgresSession *self = g_object_new (DB_TYPE_POSTGRES_SESSION, NULL);

  self->conn = conn;
  self->where = g_strdup (where);
  self->cancel_request = PQgetCancel (conn);
  self->statements = db_postgres_statements_new (cache_size);
  self->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  PQsetnonblocking (conn, 1);
  PQsetNoticeReceiver (conn, receive_notice, self);
  return self;
}
