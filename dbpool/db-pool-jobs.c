/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The jobs: one for each effect of the core on a session, on a thread of dbpool's, with the session
 * to itself and no lock held. And the hooks, which are asked there.
 *
 * A hook sees the session through a handle on a private loan, which becomes inert when the hook
 * returns. Its verdict is the pool's: a session that it rejects, or leaves in a transaction, is
 * closed. */

#include "config.h"

#include "db-connection-private.h"
#include "db-database-config-private.h"
#include "db-error-private.h"
#include "db-pool-engine-private.h"
#include "db-pool.h"
#include "db-session-private.h"
#include "db-statement-plan-private.h"

/* Bounds. A check or a reset that takes too long is cancelled, and so fails. */

typedef struct
{
  GCancellable *cancellable; /* for the manager; NULL: no bound */
  DbTimer *timer;
  GCancellable *parent; /* cancels it, too */
  gulong handler;
} DbBound;

static void
expired_cb (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
}

static void
parent_cancelled_cb (GCancellable *parent, GCancellable *cancellable)
{
  g_cancellable_cancel (cancellable);
}

static void
bound_begin (DbBound *self, DbEngine *engine, GCancellable *parent)
{
  gint64 limit;

  db_lock_lock (&engine->lock);
  limit = engine->check_timeout;
  db_lock_unlock (&engine->lock);

  *self = (DbBound){0};
  if (limit <= 0 || limit == G_MAXINT64)
    {
      g_set_object (&self->cancellable, parent);
      return;
    }
  self->cancellable = g_cancellable_new ();
  if (parent != NULL)
    {
      self->parent = parent;
      self->handler = g_cancellable_connect (parent, G_CALLBACK (parent_cancelled_cb),
                                             g_object_ref (self->cancellable), g_object_unref);
    }
  self->timer = db_timer_new (expired_cb, g_object_ref (self->cancellable), g_object_unref);
  db_timer_set (self->timer, db_engine_get_deadline (engine, limit, g_get_monotonic_time ()));
}

static void
bound_end (DbBound *self)
{
  if (self->handler != 0)
    g_signal_handler_disconnect (self->parent, self->handler);
  g_clear_pointer (&self->timer, db_timer_free);
  g_clear_object (&self->cancellable);
}

/* Hooks. */

static const char *
get_hook_name (DbHook hook)
{
  static const char *const names[DB_N_HOOKS] = {
    [DB_HOOK_BEFORE_CONNECT] = "before-connect",
    [DB_HOOK_AFTER_CONNECT] = "after-connect",
    [DB_HOOK_BEFORE_ACQUIRE] = "before-acquire",
  };

  return names[hook];
}

static void
get_hook (DbEngine *self, DbHook hook, DbHookEntry *entry)
{
  DB_LOCK_SCOPE (&self->lock);

  *entry = self->hooks[hook];
}

/* The pool whose hook the thread runs, for those that use it. */
static __thread DbEngine *engine_of_hook;

gboolean
db_engine_is_in_hook (DbEngine *self)
{
  return engine_of_hook == self;
}

/* Calls it; the error says which hook it was. */
static gboolean
call_hook (DbEngine *self, DbHook hook, const DbHookEntry *entry, GObject *subject, GError **error)
{
  g_autoptr (DbPool) pool = g_weak_ref_get (&self->pool);
  DbEngine *outer = engine_of_hook;
  GError *local_error = NULL;
  gboolean wanted;

  if (pool == NULL)
    {
      g_propagate_error (error, db_engine_new_closed_error (self));
      return FALSE;
    }
  engine_of_hook = self;
  wanted = entry->func (pool, subject, entry->data, &local_error);
  engine_of_hook = outer;
  if (wanted)
    {
      g_clear_error (&local_error);
      return TRUE;
    }
  if (local_error == NULL)
    g_set_error (error, DB_ERROR, DB_ERROR_FAILED, "the %s hook of pool %s failed without an error",
                 get_hook_name (hook), self->name);
  else
    g_propagate_prefixed_error (error, local_error,
                                "the %s hook of pool %s: ", get_hook_name (hook), self->name);
  return FALSE;
}

/* It has to leave the session as it found it: idle. */
static gboolean
is_left_idle (DbEngine *self, DbHook hook, DbLease *lease, GError **error)
{
  DbSessionState state = db_session_get_state (lease->session);

  if (state == DB_SESSION_IDLE)
    return TRUE;
  /* Not a final error: the next session may fare better. */
  g_set_error (error, DB_ERROR, DB_ERROR_CONNECTION,
               "the %s hook of pool %s left a session %s; the session is closed",
               get_hook_name (hook), self->name,
               state == DB_SESSION_BROKEN ? "broken"
               : state == DB_SESSION_BUSY ? "with a statement running"
                                          : "in a transaction");
  if (state != DB_SESSION_BROKEN && error != NULL)
    db_log (DB_LOG_FACTS (DB_LOG_HOOK_LEFT_SESSION, .limits = self->log_limits, .pool = self->name,
                          .connection = lease->id),
            "%s", (*error)->message);
  return FALSE;
}

gboolean
db_engine_ask_hook (DbEngine *self, DbHook hook, DbLease *lease, GError **error)
{
  DbHookEntry entry;
  DbConnection *connection;
  guint64 loan;
  gboolean wanted;

  get_hook (self, hook, &entry);
  if (entry.func == NULL)
    return TRUE;
  loan = db_lease_begin_private (lease, (DbTag){get_hook_name (hook), TRUE});
  connection = db_connection_new (db_lease_ref (lease), loan);
  wanted = call_hook (self, hook, &entry, G_OBJECT (connection), error);
  db_lease_end_private (lease, loan);
  g_object_unref (connection);
  return wanted && is_left_idle (self, hook, lease, error);
}

/* Opening. */

/* The configuration that the before-connect hook makes of @given, or else of the manager's.
 * @refused: what it made last was not let in. FALSE with @error. */
static gboolean
ask_for_config (DbEngine *self,
                DbConnectionManager *manager,
                DbDatabaseConfig *given,
                const DbHookEntry *entry,
                gboolean refused,
                DbDatabaseConfig **config,
                GError **error)
{
  *config = given != NULL ? db_database_config_copy (given)
                          : db_connection_manager_dup_database_config (manager);
  if (*config != NULL && refused)
    db_database_config_set_refused (*config);
  return call_hook (self, DB_HOOK_BEFORE_CONNECT, entry, G_OBJECT (*config), error);
}

/* The server did not let this user in. A password is 28P01, but one that the server has others
 * verify (LDAP, PAM: a token, mostly) is any of that class. */
static gboolean
is_refusal (const GError *error)
{
  const char *sqlstate = db_error_get_sqlstate (error);

  return sqlstate != NULL && g_str_has_prefix (sqlstate, "28");
}

/* With a before-connect hook, the session is opened with a configuration of its own. What a hook
 * said may be outdated when it arrives: after a refusal the hook is asked once more. The same
 * answer is not tried again, because servers count failed logins. */
static DbSession *
open_by_hook (DbEngine *self,
              DbConnectionManager *manager,
              DbDatabaseConfig *given,
              const DbHookEntry *entry,
              GCancellable *cancellable,
              GError **error)
{
  g_autoptr (DbDatabaseConfig) config = NULL;
  g_autoptr (DbDatabaseConfig) second = NULL;
  GError *refusal = NULL;
  DbSession *session;

  if (!ask_for_config (self, manager, given, entry, FALSE, &config, error))
    return NULL;
  session = db_connection_manager_open_session_with_config (manager, config, cancellable, &refusal);
  if (session != NULL)
    return session;
  if (config == NULL || !is_refusal (refusal) || g_cancellable_is_cancelled (cancellable) ||
      !ask_for_config (self, manager, given, entry, TRUE, &second, NULL) || second == NULL ||
      db_database_config_equal (config, second))
    {
      g_propagate_error (error, refusal);
      return NULL;
    }
  g_error_free (refusal);
  return db_connection_manager_open_session_with_config (manager, second, cancellable, error);
}

/* @given: the configuration that another pool's hook has made, or NULL. */
static DbSession *
open_session (DbEngine *self,
              DbConnectionManager *manager,
              DbDatabaseConfig *given,
              GCancellable *cancellable,
              GError **error)
{
  DbHookEntry entry;

  if (manager == NULL)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "pool %s has no manager", self->name);
      return NULL;
    }
  get_hook (self, DB_HOOK_BEFORE_CONNECT, &entry);
  if (entry.func != NULL)
    return open_by_hook (self, manager, given, &entry, cancellable, error);
  return db_connection_manager_open_session_with_config (manager, given, cancellable, error);
}

/* Says what it was that failed. Whoever waits for a connection did not write the script: what is
 * wrong with that is a wrong setting, and not an error of the caller's statement. */
static GError *
new_init_error (DbEngine *self, GError *cause, gboolean was_late)
{
  GError *error;

  if (was_late && g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    error = g_error_new (DB_ERROR, DB_ERROR_TIMEOUT,
                         "the init-sql of pool %s took longer than its check-timeout: shorten it, "
                         "or raise check-timeout",
                         self->name);
  else if (db_error_is_permanent_for_open (cause))
    error = g_error_new (DB_ERROR, DB_ERROR_CONFIGURATION, "the init-sql of pool %s: %s",
                         self->name, cause->message);
  else
    error = g_error_new (cause->domain, cause->code, "the init-sql of pool %s: %s", self->name,
                         cause->message);
  g_error_free (cause);
  return error;
}

static gboolean
run_init_sql (DbEngine *self, DbLease *lease, GCancellable *cancellable, GError **error)
{
  g_autofree char *sql = NULL;
  g_autoptr (DbResult) result = NULL;
  DbStatementPlan plan = {.flags = DB_STATEMENT_SCRIPT | DB_STATEMENT_NO_ROWS};
  GError *cause = NULL;
  gboolean was_late;
  DbBound bound;

  g_object_get (self->config, "init-sql", &sql, NULL);
  if (sql == NULL || sql[0] == '\0')
    return TRUE;
  plan.sql = sql;
  bound_begin (&bound, self, cancellable);
  result = db_session_run (lease->session, &plan, bound.cancellable, &cause);
  was_late = bound.timer != NULL && g_cancellable_is_cancelled (bound.cancellable) &&
             !g_cancellable_is_cancelled (cancellable);
  bound_end (&bound);
  if (result != NULL && db_session_get_state (lease->session) != DB_SESSION_IDLE)
    g_set_error_literal (&cause, DB_ERROR, DB_ERROR_CONFIGURATION,
                         "it leaves a transaction open; end it with COMMIT");
  if (cause != NULL)
    g_propagate_error (error, new_init_error (self, cause, was_late));
  return cause == NULL;
}

/* What it sets up is the state that the pool keeps sessions in, not one to be cleaned. */
static gboolean
set_up_session (DbEngine *self, DbLease *lease, GCancellable *cancellable, GError **error)
{
  if (!run_init_sql (self, lease, cancellable, error) ||
      !db_engine_ask_hook (self, DB_HOOK_AFTER_CONNECT, lease, error))
    return FALSE;
  db_session_clear_dirty (lease->session);
  return TRUE;
}

DbLease *
db_engine_open (DbEngine *self,
                DbConnectionManager *manager,
                DbDatabaseConfig *config,
                DbSlot *slot,
                GCancellable *cancellable,
                GError **error)
{
  g_autoptr (DbSession) session = open_session (self, manager, config, cancellable, error);
  DbLease *lease;

  if (session == NULL)
    return NULL;
  db_session_set_statement_counters (session, self->counters);
  db_session_set_log_names (session, self->name, slot->id);
  lease = db_lease_new (self, manager, session, slot);
  if (set_up_session (self, lease, cancellable, error))
    return lease;
  db_connection_manager_close_session (manager, session);
  db_lease_unref (lease);
  return NULL;
}

/* On the worker. The lease's lock is held across the core's call, so that the slot cannot go away.
 */
static void
hung_up_cb (gpointer data)
{
  DbLease *lease = data;
  DbEngine *self = lease->engine;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_lock_lock (&lease->lock);
  if (lease->slot != NULL)
    db_pool_core_doom (self->core, lease->slot, DB_DROP_BROKEN, g_get_monotonic_time (), &fx);
  db_lock_unlock (&lease->lock);
  db_engine_run_effects (self, &fx);
}

void
db_engine_watch (DbLease *lease)
{
  int fd = db_session_get_fd (lease->session);

  if (fd >= 0)
    lease->watch =
      db_watch_new (fd, hung_up_cb, db_lease_ref (lease), (GDestroyNotify) db_lease_unref);
}

/* The ends of jobs. What happened is told after the effects: nobody waits for the log. */

static void
job_free (DbSlotJob *job)
{
  db_engine_unref (job->engine);
  g_free (job);
}

static void
tell_of_failure (DbEngine *self, DbLogEvent event, guint64 id, const GError *error)
{
  db_log (DB_LOG_FACTS (event, .pool = self->name, .connection = id, .error = error),
          "pool %s: session %" G_GUINT64_FORMAT " could not be %s: %s", self->name, id,
          event == DB_LOG_SESSION_RESET_FAILED ? "reset" : "checked", error->message);
}

void
db_engine_open_job (gpointer data)
{
  DbSlotJob *job = data;
  DbEngine *self = job->engine;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  g_autoptr (GError) error = NULL;
  guint64 id = job->slot->id;
  gint64 born = job->slot->born;
  DbLease *lease =
    db_engine_open (self, db_engine_get_manager (self), NULL, job->slot, self->cancellable, &error);
  gint64 now = g_get_monotonic_time ();

  if (lease != NULL)
    {
      db_engine_watch (lease);
      job->slot->data = lease;
      db_pool_core_opened (self->core, job->slot, now, &fx);
    }
  else
    db_pool_core_open_failed (self->core, job->slot, error, db_error_is_permanent_for_open (error),
                              now, &fx);
  db_engine_run_effects (self, &fx);
  db_engine_tell_of_open (self, id, MAX (now - born, 1), error);
  job_free (job);
}

static gboolean
check_session (DbEngine *self, DbLease *lease, GError **error)
{
  gboolean works;
  DbBound bound;

  bound_begin (&bound, self, self->cancellable);
  works =
    db_connection_manager_check_session (lease->manager, lease->session, bound.cancellable, error);
  bound_end (&bound);
  if (works && db_session_get_state (lease->session) != DB_SESSION_IDLE)
    {
      g_set_error_literal (error, DB_ERROR, DB_ERROR_FAILED, "the check left it in a transaction");
      works = FALSE;
    }
  return works;
}

gboolean
db_engine_is_final_rejection (const GError *error)
{
  return g_error_matches (error, DB_ERROR, DB_ERROR_CONFIGURATION) ||
         g_error_matches (error, DB_ERROR, DB_ERROR_AUTHENTICATION);
}

void
db_engine_check_job (gpointer data)
{
  DbSlotJob *job = data;
  DbEngine *self = job->engine;
  DbLease *lease = job->slot->data;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbCheckResult result = DB_CHECK_WORKS;
  guint64 id = job->slot->id;
  g_autoptr (GError) error = NULL;

  if (job->slot->needs_check && !check_session (self, lease, &error))
    result = DB_CHECK_FAILED;
  else if (job->slot->needs_hook &&
           !db_engine_ask_hook (self, DB_HOOK_BEFORE_ACQUIRE, lease, &error))
    result = DB_CHECK_REJECTED;
  db_pool_core_checked (self->core, job->slot, result, db_engine_is_final_rejection (error), error,
                        g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  if (error != NULL)
    tell_of_failure (self, DB_LOG_SESSION_CHECK_FAILED, id, error);
  job_free (job);
}

/* Trusts the protocol, not the manager: who comes next must not find a transaction. Where settings
 * of the session may have gone, the hook that made them is asked again. */
static gboolean
reset_session (DbEngine *self, DbLease *lease, GError **error)
{
  int level = g_atomic_int_get (&self->reset_level);
  gboolean cleaned =
    level == DB_RESET_CLEAN || (level == DB_RESET_DIRTY && db_session_is_dirty (lease->session));
  gboolean works;
  DbBound bound;

  bound_begin (&bound, self, NULL);
  works = db_connection_manager_reset_session (lease->manager, lease->session, level,
                                               bound.cancellable, error);
  bound_end (&bound);
  if (!works)
    return FALSE;
  if (db_session_get_state (lease->session) != DB_SESSION_IDLE)
    {
      g_set_error_literal (error, DB_ERROR, DB_ERROR_FAILED, "it is still in a transaction");
      return FALSE;
    }
  db_session_clear_dirty (lease->session);
  return !cleaned || set_up_session (self, lease, self->cancellable, error);
}

void
db_engine_reset_job (gpointer data)
{
  DbSlotJob *job = data;
  DbEngine *self = job->engine;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  g_autoptr (GError) error = NULL;
  guint64 id = job->slot->id;
  gboolean works = reset_session (self, job->slot->data, &error);

  if (!works)
    db_pool_core_add_event (self->core, DB_EVENT_BACKGROUND_ERROR, 0, NULL, error, &fx);
  db_pool_core_reset_done (self->core, job->slot, works, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  if (!works)
    tell_of_failure (self, DB_LOG_SESSION_RESET_FAILED, id, error);
  job_free (job);
}

void
db_engine_close_job (gpointer data)
{
  DbSlotJob *job = data;
  DbLease *lease = job->slot->data;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  /* First, so that all is told when a close returns. */
  db_engine_tell_of_drop (job->engine, lease->id, job->slot->drop_reason);
  g_clear_pointer (&lease->watch, db_watch_free);
  db_connection_manager_close_session (lease->manager, lease->session);
  db_lock_lock (&lease->lock);
  lease->slot = NULL;
  db_lock_unlock (&lease->lock);
  /* Who looks at the slots takes a reference to the lease; so it goes after the slot. */
  db_pool_core_closed (job->engine->core, job->slot, g_get_monotonic_time (), &fx);
  db_engine_run_effects (job->engine, &fx);
  db_lease_unref (lease);
  job_free (job);
}
