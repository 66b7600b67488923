/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Running operations; see the private header. Nothing here locks: the lease's turn is the lock. */

#include "config.h"

#include "db-operation-private.h"

static void
clear_owned (DbOperation *self)
{
  g_clear_pointer (&self->own_sql, g_free);
  g_clear_pointer (&self->own_params, db_params_free);
}

static gboolean
run_abandoned (DbOperation *self, DbSession *session, GCancellable *cancellable, GError **error)
{
  g_autofree char *sql = db_connection_take_abandoned (self->connection);
  DbStatementPlan plan = {sql, NULL, DB_STATEMENT_SCRIPT, 0};
  g_autoptr (DbResult) result = NULL;

  if (sql == NULL)
    return TRUE;
  result = db_session_run (session, &plan, cancellable, error);
  return result != NULL;
}

static DbResult *
run_with_session (DbOperation *self, DbSession *session, GCancellable *cancellable, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  DbResult *result = NULL;

  if (run_abandoned (self, session, cancellable, error) &&
      (self->prepare == NULL || self->prepare (self, session, error)))
    {
      result = db_session_run (session, &self->plan, cancellable, &local_error);
      if (self->complete != NULL)
        self->complete (self, session, &local_error);
      if (local_error != NULL)
        {
          g_clear_object (&result);
          g_propagate_error (error, g_steal_pointer (&local_error));
        }
    }
  return result;
}

DbResult *
db_operation_run (DbOperation *self, GCancellable *cancellable, GError **error)
{
  DbLease *lease = db_connection_get_lease (self->connection);
  DbSession *session =
    db_lease_enter (lease, db_connection_get_loan (self->connection), self->plan.sql, error);
  DbResult *result = NULL;

  if (session != NULL)
    {
      result = run_with_session (self, session, cancellable, error);
      db_lease_leave (lease);
    }
  clear_owned (self);
  return result;
}

static void
operation_free (gpointer data)
{
  DbOperation *self = data;

  DB_TSAN_ACQUIRE (self); /* GTask's reference count ordered this after finish() */
  clear_owned (self);
  g_free ((char *) self->abandoned.sql);
  g_object_unref (self->connection);
  g_free (self);
}

/* Ends the operation: the session first, so that the callback can use the connection. */
static void
finish (DbOperation *self, DbResult *result, GError *error)
{
  g_autoptr (GTask) task = g_steal_pointer (&self->task);

  if (self->session != NULL)
    {
      self->session = NULL;
      db_lease_leave (db_connection_get_lease (self->connection));
    }
  DB_TSAN_RELEASE (self);
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_pointer (task, result, g_object_unref);
}

static void
run_cb (GObject *source, GAsyncResult *async_result, gpointer user_data)
{
  DbOperation *self = user_data;
  GError *error = NULL;
  DbResult *result = db_session_run_finish (self->session, async_result, &error);

  if (self->complete != NULL)
    self->complete (self, self->session, &error);
  if (error != NULL)
    g_clear_object (&result);
  finish (self, result, error);
}

static void
start_plan (DbOperation *self)
{
  GError *error = NULL;

  if (self->prepare != NULL && !self->prepare (self, self->session, &error))
    {
      finish (self, NULL, error);
      return;
    }
  db_session_run_async (self->session, &self->plan, g_task_get_cancellable (self->task), run_cb,
                        self);
}

static void
abandoned_cb (GObject *source, GAsyncResult *async_result, gpointer user_data)
{
  DbOperation *self = user_data;
  GError *error = NULL;
  g_autoptr (DbResult) result = db_session_run_finish (self->session, async_result, &error);

  if (result == NULL)
    finish (self, NULL, error);
  else
    start_plan (self);
}

/* The session is ours, and the context of the task is the thread-default one. */
static void
start_with_session (DbOperation *self)
{
  GError *error = NULL;

  if (g_cancellable_set_error_if_cancelled (g_task_get_cancellable (self->task), &error))
    {
      finish (self, NULL, error);
      return;
    }
  self->abandoned.sql = db_connection_take_abandoned (self->connection);
  self->abandoned.flags = DB_STATEMENT_SCRIPT;
  if (self->abandoned.sql == NULL)
    start_plan (self);
  else
    db_session_run_async (self->session, &self->abandoned, NULL, abandoned_cb, self);
}

static gboolean
turn_cb (gpointer data)
{
  DbOperation *self = data;
  GMainContext *context;

  DB_TSAN_ACQUIRE (self);
  context = g_task_get_context (self->task);
  if (self->session == NULL)
    {
      GError *error = NULL;

      db_set_released_error (&error);
      finish (self, NULL, error);
      return G_SOURCE_REMOVE;
    }
  g_main_context_push_thread_default (context);
  start_with_session (self);
  g_main_context_pop_thread_default (context);
  return G_SOURCE_REMOVE;
}

/* Its turn has come, on whatever thread the operation before it ended. */
static void
turn_start (DbTurn *turn, DbSession *session)
{
  DbOperation *self = (DbOperation *) turn;
  g_autoptr (GSource) source = g_idle_source_new ();

  self->session = session;
  DB_TSAN_RELEASE (self);
  g_source_set_priority (source, g_task_get_priority (self->task));
  g_source_set_callback (source, turn_cb, self, NULL);
  g_source_attach (source, g_task_get_context (self->task));
}

void
db_operation_start (DbOperation *self, GTask *task)
{
  DbLease *lease = db_connection_get_lease (self->connection);
  DbSession *session;
  gboolean queued;

  g_object_ref (self->connection);
  self->task = task;
  self->turn.start = turn_start;
  g_task_set_task_data (task, self, operation_free);
  /* The run says whether it was cancelled; a result that came all the same must not be lost. */
  g_task_set_check_cancellable (task, FALSE);

  /* Once it is queued, another thread may start it at any time. */
  session = db_lease_enter_async (lease, db_connection_get_loan (self->connection), self->plan.sql,
                                  &self->turn, &queued);
  if (session != NULL)
    {
      self->session = session;
      start_with_session (self);
    }
  else if (!queued)
    {
      GError *error = NULL;

      db_set_released_error (&error);
      finish (self, NULL, error);
    }
}
