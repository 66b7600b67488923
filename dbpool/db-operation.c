/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Running operations; see the private header. Nothing here locks: the lease's turn is the lock. */

#include "config.h"

#include "db-operation-private.h"

#include "db-pool-engine-private.h"
#include "db-session-private.h"
#include "db-work-private.h"

static void
clear_owned (DbOperation *self)
{
  g_clear_pointer (&self->own_sql, g_free);
  g_clear_pointer (&self->own_params, db_params_free);
  g_clear_pointer (&self->info, db_error_info_unref);
  db_pending_clear (&self->pending);
  if (self->subject_free != NULL)
    g_clear_pointer (&self->subject, self->subject_free);
}

/* A statement that fails takes the transaction of open cursors with it, and all that was run in it,
 * of which nobody would hear otherwise. */
static void
tell_of_loss (DbOperation *self)
{
  if (self->error != NULL)
    g_prefix_error (&self->error, "what was run on the connection since a cursor was opened in no "
                                  "transaction is rolled back, because of: ");
}

/* What was dropped while open, or what this operation has ended. */
static const DbStatementPlan *
plan_pending (DbOperation *self, DbSession *session)
{
  /* One that is here already has failed, and this makes up for it. */
  if (self->pending.sql == NULL &&
      !db_connection_take_pending (self->connection, session, &self->pending))
    return NULL;
  if (self->pending.loses)
    tell_of_loss (self);
  self->other = (DbStatementPlan){0};
  if (self->pending.stream != NULL)
    {
      self->other.request = DB_REQUEST_CLOSE;
      self->other.stream = self->pending.stream;
    }
  self->other.sql = self->pending.sql;
  self->other.flags = DB_STATEMENT_SCRIPT | DB_STATEMENT_NO_ROWS;
  return &self->other;
}

static const DbStatementPlan *
plan_before (DbOperation *self)
{
  self->other = (DbStatementPlan){0};
  self->other.sql = self->before_sql;
  self->other.flags = DB_STATEMENT_NO_ROWS;
  self->other.timeout = self->plan.timeout;
  return &self->other;
}

/* Once, whatever became of it. */
static void
complete (DbOperation *self, DbSession *session)
{
  if (self->completed)
    return;
  self->completed = TRUE;
  if (self->complete != NULL)
    self->complete (self, session, &self->error);
}

/* What the plan has for a text now is the application's; dbpool's own come with prepare(). */
static gboolean
limit (DbOperation *self)
{
  return db_engine_limit_plan (db_connection_get_lease (self->connection)->engine, &self->plan,
                               &self->error);
}

/* What is to be asked of the session next; NULL: the operation is over. */
static const DbStatementPlan *
operation_next (DbOperation *self, DbSession *session)
{
  const DbStatementPlan *plan;

  switch (self->step)
    {
    case DB_STEP_PENDING:
      plan = plan_pending (self, session);
      if (plan != NULL)
        return plan;
      if (!limit (self) || (self->prepare != NULL && !self->prepare (self, session, &self->error)))
        {
          self->step = DB_STEP_END;
          return NULL;
        }
      self->step = DB_STEP_BEFORE;
      if (self->before_sql != NULL)
        return plan_before (self);
      G_GNUC_FALLTHROUGH;
    case DB_STEP_BEFORE:
      self->step = DB_STEP_PLAN;
      if (!self->skips_plan)
        return &self->plan;
      G_GNUC_FALLTHROUGH;
    case DB_STEP_PLAN:
      complete (self, session);
      self->step = DB_STEP_TIDY;
      G_GNUC_FALLTHROUGH;
    case DB_STEP_TIDY:
      plan = plan_pending (self, session);
      if (plan != NULL)
        return plan;
      self->step = DB_STEP_END;
      G_GNUC_FALLTHROUGH;
    case DB_STEP_END:
    default:
      return NULL;
    }
}

/* TRUE if what was pending has failed, but can be made up for. */
static gboolean
make_up_for_failure (DbOperation *self, DbSession *session)
{
  DbErrorInfo *info;

  if (self->pending.undo == NULL)
    return FALSE;
  g_free (self->pending.sql);
  self->pending.sql = g_strdup (self->pending.undo);
  self->pending.undo = NULL;
  info = db_session_steal_error_info (session);
  g_clear_pointer (&info, db_error_info_unref);
  return TRUE;
}

/* The same; from the first one on, the operation takes time. */
static const DbStatementPlan *
operation_advance (DbOperation *self, DbSession *session)
{
  const DbStatementPlan *plan = operation_next (self, session);

  if (plan != NULL && self->began == 0)
    self->began = g_get_monotonic_time ();
  return plan;
}

/* How that ended. Takes both. */
static void
operation_take (DbOperation *self, DbSession *session, DbResult *result, GError *error)
{
  if (self->step == DB_STEP_PLAN)
    {
      self->result = result;
      self->error = error;
      return;
    }
  g_clear_object (&result);
  if (error != NULL && make_up_for_failure (self, session))
    {
      g_error_free (error);
      return;
    }
  db_pending_clear (&self->pending);
  if (error == NULL)
    return;
  /* What could not be ended has to be, before anything else may run. */
  if (self->step == DB_STEP_PENDING || self->step == DB_STEP_BEFORE)
    self->step = DB_STEP_END;
  if (self->error == NULL)
    self->error = error;
  else
    g_error_free (error);
}

static void
settle (DbOperation *self, DbSession *session)
{
  gboolean is_statement = self->prepare == NULL || self->plan.request == DB_REQUEST_OPEN;
  DbEngine *engine = db_connection_get_lease (self->connection)->engine;
  gint64 now = self->began != 0 ? g_get_monotonic_time () : 0;

  if (self->began != 0)
    {
      self->took = now - self->began;
      db_engine_record (engine, DB_METRIC_QUERY, self->took);
    }
  if (self->began != 0 && self->error == NULL)
    db_pool_core_prove (engine->core, now);
  self->info = db_session_steal_error_info (session);
  if (self->error != NULL)
    {
      g_clear_object (&self->result);
      return;
    }
  g_clear_pointer (&self->info, db_error_info_unref);
  if (is_statement)
    db_connection_note_success (self->connection);
}

/* The session is another one's already. */
static void
tell (DbOperation *self)
{
  DbLease *lease = db_connection_get_lease (self->connection);

  if (self->began != 0 && db_engine_is_told_of (lease->engine, self->took))
    db_engine_tell_of_statement (lease->engine, lease->id, &self->plan, self->about, self->took,
                                 self->result, self->error);
}

/* What ends something is not cancelled: the books already say that it has ended. */
static GCancellable *
choose_cancellable (DbOperation *self, GCancellable *cancellable)
{
  return self->step == DB_STEP_BEFORE || self->step == DB_STEP_PLAN ? cancellable : NULL;
}

DbResult *
db_operation_run (DbOperation *self, GCancellable *cancellable, GError **error)
{
  DbLease *lease = db_connection_get_lease (self->connection);
  DbSession *session =
    db_lease_enter (lease, db_connection_get_loan (self->connection), self->plan.sql, error);
  const DbStatementPlan *plan;

  if (session != NULL)
    {
      while ((plan = operation_advance (self, session)) != NULL)
        {
          GError *local_error = NULL;
          DbResult *result =
            db_session_run (session, plan, choose_cancellable (self, cancellable), &local_error);

          operation_take (self, session, result, local_error);
        }
      settle (self, session);
      db_lease_leave (lease);
      tell (self);
      if (self->error != NULL)
        g_propagate_error (error, g_steal_pointer (&self->error));
    }
  db_connection_set_error_info (self->connection, self->info);
  clear_owned (self);
  return g_steal_pointer (&self->result);
}

void
db_operation_free_unstarted (DbOperation *self)
{
  clear_owned (self);
  g_free (self);
}

static void
operation_free (gpointer data)
{
  DbOperation *self = data;

  DB_TSAN_ACQUIRE (self); /* GTask's reference count ordered this after finish() */
  clear_owned (self);
  g_object_unref (self->connection);
  g_free (self);
}

/* Ends the operation: the session first, so that the callback can use the connection. */
static void
finish (DbOperation *self)
{
  g_autoptr (GTask) task = g_steal_pointer (&self->task);
  DbSession *session = g_steal_pointer (&self->session);
  DbResult *result;
  GError *error;

  if (session != NULL)
    {
      settle (self, session);
      db_lease_leave (db_connection_get_lease (self->connection));
      tell (self);
    }
  error = g_steal_pointer (&self->error);
  result = g_steal_pointer (&self->result);
  DB_TSAN_RELEASE (self); /* the last that is done to it here */
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_pointer (task, result, g_object_unref);
}

static void go_on (DbOperation *self);

static void
run_cb (GObject *source, GAsyncResult *async_result, gpointer user_data)
{
  DbOperation *self = user_data;
  GError *error = NULL;
  DbResult *result = db_session_run_finish (self->session, async_result, &error);

  operation_take (self, self->session, result, error);
  go_on (self);
}

/* The session is ours, and the context of the task is the thread-default one. */
static void
go_on (DbOperation *self)
{
  const DbStatementPlan *plan = operation_advance (self, self->session);

  if (plan == NULL)
    finish (self);
  else
    db_session_run_async (self->session, plan,
                          choose_cancellable (self, g_task_get_cancellable (self->task)), run_cb,
                          self);
}

static void
start_with_session (DbOperation *self)
{
  if (g_cancellable_set_error_if_cancelled (g_task_get_cancellable (self->task), &self->error))
    finish (self);
  else
    go_on (self);
}

/* The handler may still run, on another thread, when it has been disconnected; so what it has is a
 * reference to the task, which has the operation. */
static void
stop_listening (DbOperation *self)
{
  if (self->cancelled_id == 0)
    return;
  g_signal_handler_disconnect (g_task_get_cancellable (self->task), self->cancelled_id);
  self->cancelled_id = 0;
}

static gboolean
turn_cb (gpointer data)
{
  DbOperation *self = data;
  GMainContext *context;

  DB_TSAN_ACQUIRE (self);
  stop_listening (self);
  context = g_task_get_context (self->task);
  g_main_context_push_thread_default (context);
  if (self->session != NULL)
    start_with_session (self);
  else
    {
      if (!g_cancellable_set_error_if_cancelled (g_task_get_cancellable (self->task), &self->error))
        db_set_released_error (&self->error);
      finish (self);
    }
  g_main_context_pop_thread_default (context);
  return G_SOURCE_REMOVE;
}

static void
call_in_context (DbOperation *self)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  DB_TSAN_RELEASE (self);
  g_source_set_priority (source, g_task_get_priority (self->task));
  g_source_set_callback (source, turn_cb, self, NULL);
  g_source_attach (source, g_task_get_context (self->task));
}

/* Its turn has come, on whatever thread the operation before it ended; or there will be none. */
static void
turn_start (DbTurn *turn, DbSession *session)
{
  DbOperation *self = (DbOperation *) turn;

  self->session = session;
  call_in_context (self);
}

/* On whatever thread cancels. */
static void
cancelled_cb (GCancellable *cancellable, gpointer data)
{
  DbOperation *self = g_task_get_task_data (data);

  if (db_lease_withdraw (db_connection_get_lease (self->connection), &self->turn))
    call_in_context (self);
}

static void
task_closure_notify (gpointer data, GClosure *closure)
{
  g_object_unref (data);
}

/* Before it is queued; until it starts. Never g_cancellable_connect(), whose disconnect waits for
 * the handler. */
static void
listen_to_cancellable (DbOperation *self, GTask *task)
{
  GCancellable *cancellable = g_task_get_cancellable (task);

  if (cancellable == NULL)
    return;
  self->cancelled_id = g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (cancelled_cb),
                                              g_object_ref (task), task_closure_notify, 0);
}

/* The session is in use. Once the operation is queued, another thread may start and end it at any
 * time; the caller's reference to the task keeps it. */
static DbSession *
wait_for_turn (DbOperation *self, GTask *task, gboolean *queued)
{
  DbLease *lease = db_connection_get_lease (self->connection);
  DbSession *session;

  listen_to_cancellable (self, task);
  session = db_lease_enter_async (lease, db_connection_get_loan (self->connection), self->plan.sql,
                                  &self->turn, queued);
  if (!*queued)
    stop_listening (self);
  else if (g_cancellable_is_cancelled (g_task_get_cancellable (task)))
    cancelled_cb (NULL, task); /* before it was in the queue */
  return session;
}

void
db_operation_start (DbOperation *self, GTask *task)
{
  DbLease *lease = db_connection_get_lease (self->connection);
  g_autoptr (GTask) keep = g_object_ref (task);
  DbSession *session;
  gboolean queued;

  g_object_ref (self->connection);
  self->task = task;
  self->turn.start = turn_start;
  g_task_set_task_data (task, self, operation_free);
  /* The run says whether it was cancelled; a result that came all the same must not be lost. */
  g_task_set_check_cancellable (task, FALSE);

  session = db_lease_enter_async (lease, db_connection_get_loan (self->connection), self->plan.sql,
                                  NULL, &queued);
  if (queued)
    session = wait_for_turn (self, task, &queued);
  if (session != NULL)
    {
      self->session = session;
      start_with_session (self);
    }
  else if (!queued)
    {
      db_set_released_error (&self->error);
      finish (self);
    }
}

DbResult *
db_operation_finish (GTask *task, GError **error)
{
  DbResult *result = g_task_propagate_pointer (task, error);
  DbOperation *self = g_task_get_task_data (task);

  if (self != NULL)
    db_connection_set_error_info (self->connection, self->info);
  return result;
}
