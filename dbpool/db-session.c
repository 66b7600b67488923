/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The abstract session: dispatch to the backend's vtable, and what a backend may leave out. A
 * session is owned by its pool for its whole life and used by one thread at a time (whoever
 * borrowed it), so nothing here locks; only cancel and describe may come from elsewhere, and are
 * the backend's to make safe. */

#include "config.h"

#include "db-error-private.h"
#include "db-lock-private.h"
#include "db-session-private.h"
#include "db-statement-plan-private.h"
#include "db-worker-private.h"

/**
 * DbSession:
 *
 * One open session with a database.
 *
 * A session is opened by a [iface@Db.ConnectionManager], owned by the pool until it is closed, and
 * lent to applications as a [class@Db.Connection]. Only authors of managers meet it: they subclass
 * it and implement [vfunc@Db.Session.run]; everything else has a default.
 *
 * A session is used by one thread at a time. Only [method@Db.Session.cancel] and
 * [method@Db.Session.describe] may be called from any thread.
 *
 * Since: 1.0
 */

/* Used by whoever uses the session. */
typedef struct
{
  gboolean dirty;
  const char *end;
  guint n_leftovers;
  DbErrorInfo *error_info;
  DbStatementCounters *counters;
  char *log_pool;
  guint64 log_id;
} DbSessionPrivate;

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (DbSession, db_session, G_TYPE_OBJECT)

typedef struct
{
  const DbStatementPlan *plan; /* the caller of run_async keeps it alive */
} DbSessionJob;

/* Runs on a thread of dbpool's. */
static void
run_in_job (gpointer data)
{
  g_autoptr (GTask) task = data;
  DbSessionJob *job = g_task_get_task_data (task);
  GError *error = NULL;
  DbResult *result = db_session_run (g_task_get_source_object (task), job->plan,
                                     g_task_get_cancellable (task), &error);

  DB_TSAN_RELEASE (job); /* for run_finish, which GTask brings after this */
  if (result != NULL)
    g_task_return_pointer (task, result, g_object_unref);
  else
    g_task_return_error (task, error);
}

static void
db_session_default_run_async (DbSession *self,
                              const DbStatementPlan *plan,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);
  DbSessionJob *job = g_new0 (DbSessionJob, 1);

  g_task_set_source_tag (task, db_session_default_run_async);
  g_task_set_name (task, "[dbpool] run a statement");
  g_task_set_check_cancellable (task, FALSE);
  job->plan = plan;
  g_task_set_task_data (task, job, g_free);
  db_worker_run (run_in_job, task);
}

static DbResult *
db_session_default_run_finish (DbSession *self, GAsyncResult *result, GError **error)
{
  DB_TSAN_ACQUIRE (g_task_get_task_data (G_TASK (result)));
  return g_task_propagate_pointer (G_TASK (result), error);
}

static char *
db_session_default_format_begin (DbSession *self, DbIsolation isolation, DbTransactionFlags flags)
{
  static const char *const levels[] = {
    [DB_ISOLATION_DEFAULT] = "",
    [DB_ISOLATION_READ_COMMITTED] = " ISOLATION LEVEL READ COMMITTED",
    [DB_ISOLATION_REPEATABLE_READ] = " ISOLATION LEVEL REPEATABLE READ",
    [DB_ISOLATION_SERIALIZABLE] = " ISOLATION LEVEL SERIALIZABLE",
  };

  return g_strconcat ("BEGIN", levels[isolation],
                      flags & DB_TRANSACTION_READ_ONLY ? " READ ONLY" : "",
                      flags & DB_TRANSACTION_DEFERRABLE ? " DEFERRABLE" : "", NULL);
}

static char *
db_session_default_quote_literal (DbSession *self, const char *text)
{
  g_auto (GStrv) parts = g_strsplit (text, "'", -1);
  g_autofree char *doubled = g_strjoinv ("''", parts);

  return g_strconcat ("'", doubled, "'", NULL);
}

static void
db_session_finalize (GObject *object)
{
  DbSessionPrivate *priv = db_session_get_instance_private (DB_SESSION (object));

  g_clear_pointer (&priv->error_info, db_error_info_unref);
  g_clear_pointer (&priv->counters, g_atomic_rc_box_release);
  g_free (priv->log_pool);
  G_OBJECT_CLASS (db_session_parent_class)->finalize (object);
}

static void
db_session_class_init (DbSessionClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = db_session_finalize;
  klass->quote_literal = db_session_default_quote_literal;
  klass->requests = DB_REQUEST_FLAG (DB_REQUEST_RUN);
  klass->run_async = db_session_default_run_async;
  klass->run_finish = db_session_default_run_finish;
  klass->format_begin = db_session_default_format_begin;
}

static void
db_session_init (DbSession *self)
{
}

static gboolean
serves (DbSession *self, const DbStatementPlan *plan)
{
  return (DB_SESSION_GET_CLASS (self)->requests & DB_REQUEST_FLAG (plan->request)) != 0;
}

/**
 * db_session_run:
 * @self: a session
 * @plan: what to run
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs a statement and waits for its result.
 *
 * Blocks. Fails with `DB_ERROR_NOT_SUPPORTED` if the session cannot run statements.
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_session_run (DbSession *self,
                const DbStatementPlan *plan,
                GCancellable *cancellable,
                GError **error)
{
  g_autoptr (GError) local_error = NULL;
  DbResult *result;

  g_return_val_if_fail (DB_IS_SESSION (self), NULL);
  g_return_val_if_fail (plan != NULL, NULL);

  if (DB_SESSION_GET_CLASS (self)->run == NULL)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED,
                   "sessions of type %s cannot run statements", G_OBJECT_TYPE_NAME (self));
      return NULL;
    }

  if (!serves (self, plan))
    return db_session_emulate (self, plan, cancellable, error);
  result = DB_SESSION_GET_CLASS (self)->run (self, plan, cancellable, &local_error);
  if (result == NULL && local_error == NULL)
    g_set_error (&local_error, DB_ERROR, DB_ERROR_FAILED, "%s.run failed without an error",
                 G_OBJECT_TYPE_NAME (self));
  if (local_error != NULL)
    {
      g_clear_object (&result);
      g_propagate_error (error, g_steal_pointer (&local_error));
    }
  return result;
}

/**
 * db_session_run_async:
 * @self: a session
 * @plan: what to run; the caller keeps it alive until @callback has been called
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Session.run].
 *
 * Since: 1.0
 */
void
db_session_run_async (DbSession *self,
                      const DbStatementPlan *plan,
                      GCancellable *cancellable,
                      GAsyncReadyCallback callback,
                      gpointer user_data)
{
  g_return_if_fail (DB_IS_SESSION (self));
  g_return_if_fail (plan != NULL);

  /* The class's own way knows RUN only; db_session_run() does the rest, on a thread of dbpool's. */
  if (serves (self, plan))
    DB_SESSION_GET_CLASS (self)->run_async (self, plan, cancellable, callback, user_data);
  else
    db_session_default_run_async (self, plan, cancellable, callback, user_data);
}

/**
 * db_session_run_finish:
 * @self: a session
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Session.run_async].
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_session_run_finish (DbSession *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_SESSION (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  if (g_async_result_is_tagged (result, db_session_default_run_async))
    return db_session_default_run_finish (self, result, error);
  return DB_SESSION_GET_CLASS (self)->run_finish (self, result, error);
}

/**
 * db_session_cancel:
 * @self: a session
 *
 * Asks the database to stop the statement that is running.
 *
 * May be called from any thread. It does not wait for the statement, which ends with an error if
 * the request came in time.
 *
 * Returns: %TRUE if the request was made
 *
 * Since: 1.0
 */
gboolean
db_session_cancel (DbSession *self)
{
  g_return_val_if_fail (DB_IS_SESSION (self), FALSE);

  if (DB_SESSION_GET_CLASS (self)->cancel == NULL)
    return FALSE;
  return DB_SESSION_GET_CLASS (self)->cancel (self);
}

/**
 * db_session_get_state:
 * @self: a session
 *
 * Gets the state of the session as its protocol says it. Does not block.
 *
 * Returns: the state
 *
 * Since: 1.0
 */
DbSessionState
db_session_get_state (DbSession *self)
{
  g_return_val_if_fail (DB_IS_SESSION (self), DB_SESSION_BROKEN);

  return db_session_peek_state (self);
}

DbSessionState
db_session_peek_state (DbSession *self)
{
  DbSessionClass *klass = DB_SESSION_GET_CLASS (self);

  return klass->get_state != NULL ? klass->get_state (self) : DB_SESSION_IDLE;
}

/**
 * db_session_is_alive:
 * @self: a session
 *
 * Looks, without a round trip, whether the other side is still there. Does not block.
 *
 * Returns: %FALSE if the session is certainly dead
 *
 * Since: 1.0
 */
gboolean
db_session_is_alive (DbSession *self)
{
  g_return_val_if_fail (DB_IS_SESSION (self), FALSE);

  if (DB_SESSION_GET_CLASS (self)->is_alive == NULL)
    return TRUE;
  return DB_SESSION_GET_CLASS (self)->is_alive (self);
}

/**
 * db_session_get_fd:
 * @self: a session
 *
 * Gets the descriptor whose hang-up means that the session broke. Does not block.
 *
 * Returns: a descriptor, or -1
 *
 * Since: 1.0
 */
int
db_session_get_fd (DbSession *self)
{
  g_return_val_if_fail (DB_IS_SESSION (self), -1);

  if (DB_SESSION_GET_CLASS (self)->get_fd == NULL)
    return -1;
  return DB_SESSION_GET_CLASS (self)->get_fd (self);
}

/**
 * db_session_format_begin:
 * @self: a session
 * @isolation: an isolation level
 * @flags: how to begin
 *
 * Gets the SQL that begins a transaction. Does not block.
 *
 * Returns: (transfer full): a statement
 *
 * Since: 1.0
 */
char *
db_session_format_begin (DbSession *self, DbIsolation isolation, DbTransactionFlags flags)
{
  g_return_val_if_fail (DB_IS_SESSION (self), NULL);
  g_return_val_if_fail (isolation <= DB_ISOLATION_SERIALIZABLE, NULL);

  return DB_SESSION_GET_CLASS (self)->format_begin (self, isolation, flags);
}

/**
 * db_session_set_read_only:
 * @self: a session
 * @read_only: whether writes are to fail
 *
 * Makes writes through the session fail from its next statement on, or allows them again.
 *
 * Does no I/O and does not block. Only whoever uses the session may call it.
 *
 * Returns: %FALSE if the session cannot do that
 *
 * Since: 1.0
 */
gboolean
db_session_set_read_only (DbSession *self, gboolean read_only)
{
  g_return_val_if_fail (DB_IS_SESSION (self), FALSE);

  if (DB_SESSION_GET_CLASS (self)->set_read_only == NULL)
    return FALSE;
  return DB_SESSION_GET_CLASS (self)->set_read_only (self, read_only);
}

/**
 * db_session_describe:
 * @self: a session
 *
 * Says what the session is and does at this moment, in a few words for people, without any secret.
 *
 * May be called from any thread, also while a statement runs on another one. Does no I/O and does
 * not block.
 *
 * Returns: (transfer full) (nullable): for example `"backend 12345"` or
 *   `"writes for 0.3 s (since its BEGIN IMMEDIATE)"`; %NULL if there is nothing to say
 *
 * Since: 1.0
 */
char *
db_session_describe (DbSession *self)
{
  g_return_val_if_fail (DB_IS_SESSION (self), NULL);

  if (DB_SESSION_GET_CLASS (self)->describe == NULL)
    return NULL;
  return DB_SESSION_GET_CLASS (self)->describe (self);
}

/**
 * db_session_quote_literal:
 * @self: a session
 * @text: a text, in UTF-8
 *
 * Gets a text as a literal of the database's SQL. May be called from any thread and does not block.
 *
 * Returns: (transfer full): a literal, with its quotes
 *
 * Since: 1.0
 */
char *
db_session_quote_literal (DbSession *self, const char *text)
{
  g_return_val_if_fail (DB_IS_SESSION (self), NULL);
  g_return_val_if_fail (text != NULL, NULL);

  return DB_SESSION_GET_CLASS (self)->quote_literal (self, text);
}

/**
 * db_session_format_declare:
 * @self: a session
 * @name: a name for the cursor, quoted where it has to be
 * @sql: a statement
 *
 * Gets the SQL that declares a cursor for a statement. Does not block.
 *
 * Returns: (transfer full) (nullable): SQL, or %NULL if there can be none for this statement
 *
 * Since: 1.0
 */
char *
db_session_format_declare (DbSession *self, const char *name, const char *sql)
{
  g_return_val_if_fail (DB_IS_SESSION (self), NULL);
  g_return_val_if_fail (name != NULL && sql != NULL, NULL);

  if (DB_SESSION_GET_CLASS (self)->format_declare == NULL)
    return NULL;
  return DB_SESSION_GET_CLASS (self)->format_declare (self, name, sql);
}

/**
 * db_session_set_statement_cache:
 * @self: a session
 * @size: a count; 0: none
 *
 * Sets how many statements the session keeps prepared. Does no I/O and does not block.
 *
 * Only whoever uses the session may call it.
 *
 * Since: 1.0
 */
void
db_session_set_statement_cache (DbSession *self, guint size)
{
  g_return_if_fail (DB_IS_SESSION (self));

  if (DB_SESSION_GET_CLASS (self)->set_statement_cache != NULL)
    DB_SESSION_GET_CLASS (self)->set_statement_cache (self, size);
}

/**
 * db_session_mark_dirty:
 * @self: a session
 *
 * Says that a statement may have changed the session itself (a setting, a temporary table, a lock),
 * so that it is reset before anybody else borrows it.
 *
 * Only whoever uses the session may call it.
 *
 * Since: 1.0
 */
void
db_session_mark_dirty (DbSession *self)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  g_return_if_fail (DB_IS_SESSION (self));

  priv->dirty = TRUE;
}

/**
 * db_session_is_dirty:
 * @self: a session
 *
 * Says whether the session is to be reset before anybody else borrows it.
 *
 * Returns: %TRUE if [method@Db.Session.mark_dirty] was called since the last reset
 *
 * Since: 1.0
 */
gboolean
db_session_is_dirty (DbSession *self)
{
  g_return_val_if_fail (DB_IS_SESSION (self), FALSE);

  return db_session_peek_dirty (self);
}

gboolean
db_session_peek_dirty (DbSession *self)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  return priv->dirty || priv->n_leftovers > 0;
}

void
db_session_clear_dirty (DbSession *self)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  priv->dirty = FALSE;
  priv->end = NULL;
}

void
db_session_add_leftover (DbSession *self)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  priv->n_leftovers++;
}

void
db_session_remove_leftover (DbSession *self)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  g_assert (priv->n_leftovers > 0);
  priv->n_leftovers--;
}

gboolean
db_session_has_leftovers (DbSession *self)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  return priv->n_leftovers > 0;
}

void
db_session_set_end (DbSession *self, const char *sql)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  priv->end = sql;
}

const char *
db_session_get_end (DbSession *self)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  return priv->end != NULL ? priv->end : "ROLLBACK";
}

void
db_session_take_error_info (DbSession *self, DbErrorInfo *info)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  g_clear_pointer (&priv->error_info, db_error_info_unref);
  priv->error_info = info;
}

DbErrorInfo *
db_session_steal_error_info (DbSession *self)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  return g_steal_pointer (&priv->error_info);
}

void
db_session_set_statement_counters (DbSession *self, DbStatementCounters *counters)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  g_clear_pointer (&priv->counters, g_atomic_rc_box_release);
  priv->counters = counters != NULL ? g_atomic_rc_box_acquire (counters) : NULL;
}

void
db_session_set_log_names (DbSession *self, const char *pool, guint64 id)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  g_free (priv->log_pool);
  priv->log_pool = g_strdup (pool);
  priv->log_id = id;
}

const char *
db_session_get_log_pool (DbSession *self)
{
  return ((DbSessionPrivate *) db_session_get_instance_private (self))->log_pool;
}

guint64
db_session_get_log_id (DbSession *self)
{
  return ((DbSessionPrivate *) db_session_get_instance_private (self))->log_id;
}

void
db_session_count_statement (DbSession *self, gboolean hit)
{
  DbSessionPrivate *priv = db_session_get_instance_private (self);

  if (priv->counters == NULL)
    return;
  g_atomic_pointer_add (hit ? &priv->counters->hits : &priv->counters->misses, 1);
}
