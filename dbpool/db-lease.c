/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Loans of a session and the operations on it; see the private header. In a forked child the lock
 * may be held by a thread that is not there, and the session is the parent's: nothing is touched.
 */

#include "config.h"

#include "db-connection-private.h"
#include "db-error.h"
#include "db-fingerprint-private.h"
#include "db-lease-private.h"
#include "db-pool-engine-private.h"

#include <string.h>

/* The settings for statements may have changed since the session was last lent. The session is the
 * caller's. */
static void
adapt_session (DbLease *self)
{
  guint size = db_engine_get_statement_cache (self->engine);

  if (size == self->cache_size)
    return;
  self->cache_size = size;
  db_session_set_statement_cache (self->session, size);
}

DbLease *
db_lease_new (DbEngine *engine, DbConnectionManager *manager, DbSession *session, DbSlot *slot)
{
  DbLease *self = g_aligned_alloc0 (1, sizeof (DbLease), DB_LINE_SIZE);

  self->ref_count = 1;
  self->engine = db_engine_ref (engine);
  self->manager = g_object_ref (manager);
  self->session = g_object_ref (session);
  self->slot = slot;
  self->id = slot->id;
  db_lock_init (&self->lock);
  db_cond_init (&self->left);
  self->cache_size = G_MAXUINT; /* as no setting is */
  adapt_session (self);
  return self;
}

DbLease *
db_lease_ref (DbLease *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
db_lease_unref (DbLease *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  DB_TSAN_ACQUIRE (&self->lock);
  g_free (self->own_tag);
  g_clear_pointer (&self->spare, db_connection_drop_spare);
  g_clear_object (&self->session);
  g_clear_object (&self->manager);
  db_cond_clear (&self->left);
  db_lock_clear (&self->lock);
  db_engine_unref (self->engine);
  g_aligned_free (self);
}

void
db_set_released_error (GError **error)
{
  g_set_error_literal (error, DB_ERROR, DB_ERROR_RELEASED,
                       "the connection was given back to its pool; acquire another one");
}

/* The thread and the time of the loan are those of the slot, which is the caller's now. */
static void
begin_locked (DbLease *self, DbTag tag)
{
  g_assert (self->loan == 0 && !self->busy);
  self->loan = ++self->last_loan;
  self->lent_at = self->slot->since;
  self->thread = self->slot->thread;
  self->read_only = FALSE;
  self->finalized = FALSE;
  self->leaked = FALSE;
  if (self->last_statement[0] != '\0')
    self->last_statement[0] = '\0';
  if (self->own_tag != NULL)
    g_clear_pointer (&self->own_tag, g_free);
  if (tag.text != NULL && !tag.is_static)
    self->own_tag = g_strdup (tag.text);
  self->tag = self->own_tag != NULL ? self->own_tag : tag.text;
}

guint64
db_lease_begin (DbLease *self, DbAcquireFlags flags, DbTag tag)
{
  guint64 loan;

  adapt_session (self);
  db_lock_lock (&self->lock);
  begin_locked (self, tag);
  self->read_only = (flags & DB_ACQUIRE_READ_ONLY) != 0;
  loan = self->loan;
  db_lock_unlock (&self->lock);
  db_engine_show (self->engine); /* the core had it lent before */
  return loan;
}

guint64
db_lease_begin_private (DbLease *self, DbTag tag)
{
  DB_LOCK_SCOPE (&self->lock);

  begin_locked (self, tag);
  self->is_private = TRUE;
  return self->loan;
}

/* Only the beginning, whatever the length of the whole. */
static void
note_statement_locked (DbLease *self, const char *sql)
{
  /* Often it is the same one again, and comparing costs half of copying. */
  if (sql == NULL || strncmp (self->last_statement, sql, DB_LAST_STATEMENT_SIZE - 1) == 0)
    return;
  if (memccpy (self->last_statement, sql, '\0', DB_LAST_STATEMENT_SIZE) == NULL)
    self->last_statement[DB_LAST_STATEMENT_SIZE - 1] = '\0';
}

void
db_lease_begin_one_shot (DbLease *self, const char *sql, gint64 now)
{
  adapt_session (self);
  db_lock_lock (&self->lock);
  begin_locked (self, (DbTag){"a statement of the pool's", TRUE});
  self->one_shot_since = now;
  self->busy = TRUE;
  note_statement_locked (self, sql);
  db_lock_unlock (&self->lock);
  db_engine_show (self->engine);
}

/* On a thread of dbpool's. */
static void
close_detached_job (gpointer data)
{
  DbLease *self = data;

  db_connection_manager_close_session (self->manager, self->session);
  db_lease_unref (self);
}

/* The loan is over and nobody uses the session: it is ours. */
static void
tell_of_end (DbLease *self)
{
  const char *tag = self->tag != NULL ? self->tag : "nobody in particular";
  gint64 held = MAX (g_get_monotonic_time () - self->lent_at, 1);

  if (self->leaked)
    db_log (DB_LOG_FACTS (DB_LOG_LEAK_ENDED, .limits = self->engine->log_limits,
                          .pool = self->engine->name, .connection = self->id, .duration = held),
            "pool %s: the connection of %s is back after %.1f s", self->engine->name, tag,
            held / (double) G_TIME_SPAN_SECOND);
  else
    db_log (DB_LOG_FACTS (DB_LOG_LOAN_FINALIZED, .pool = self->engine->name, .connection = self->id,
                          .duration = held),
            "pool %s: the connection of %s was not released, but dropped, after %.1f s",
            self->engine->name, tag, held / (double) G_TIME_SPAN_SECOND);
}

static gint64
give_back (DbLease *self)
{
  if (self->leaked || (self->finalized && db_log_wants (DB_DEBUG_LEAKS)))
    tell_of_end (self);
  if (self->detached)
    {
      db_worker_run (close_detached_job, db_lease_ref (self));
      return 0;
    }
  if (self->read_only)
    db_session_set_read_only (self->session, FALSE);
  return db_engine_give_back (self->engine, self);
}

static void
refuse_turns (GQueue *turns)
{
  GList *link;

  while ((link = g_queue_pop_head_link (turns)) != NULL)
    {
      DbTurn *turn = link->data;

      turn->start (turn, NULL);
    }
}

static GQueue
take_turns_locked (DbLease *self)
{
  GQueue turns = self->turns;

  if (turns.length == 0)
    return turns;
  for (GList *link = turns.head; link != NULL; link = link->next)
    ((DbTurn *) link->data)->queued = FALSE;
  g_queue_init (&self->turns);
  return turns;
}

void
db_lease_end (DbLease *self, guint64 loan, DbLoanEnd how)
{
  GQueue turns;
  gboolean busy;
  gboolean is_private;

  if (db_engine_is_forked (self->engine))
    return;
  db_lock_lock (&self->lock);
  /* One that was detached meanwhile is no longer the pool's to end. */
  if (self->loan != loan || (how == DB_LOAN_REVOKED && self->detached))
    {
      db_lock_unlock (&self->lock);
      return;
    }
  self->loan = 0;
  self->finalized = how == DB_LOAN_FINALIZED;
  busy = self->busy;
  is_private = self->is_private;
  self->ending = busy && !is_private;
  turns = take_turns_locked (self);
  db_lock_unlock (&self->lock);

  if (!busy && !is_private)
    give_back (self);
  else if (busy && how == DB_LOAN_REVOKED)
    db_session_cancel (self->session);
  refuse_turns (&turns);
}

gboolean
db_lease_end_with (DbLease *self, guint64 loan, DbLoanEnd how, DbConnection *handle)
{
  gboolean ends;

  if (db_engine_is_forked (self->engine))
    return FALSE;
  db_lock_lock (&self->lock);
  ends = self->loan == loan && !self->busy && !self->is_private && !self->detached &&
         self->spare == NULL;
  if (ends)
    {
      self->loan = 0;
      self->finalized = how == DB_LOAN_FINALIZED;
      self->spare = handle;
    }
  db_lock_unlock (&self->lock);
  if (ends)
    give_back (self);
  return ends;
}

void
db_lease_end_private (DbLease *self, guint64 loan)
{
  GQueue turns;

  db_lock_lock (&self->lock);
  self->loan = 0;
  turns = take_turns_locked (self);
  while (self->busy)
    {
      db_lock_unlock (&self->lock);
      db_session_cancel (self->session);
      db_lock_lock (&self->lock);
      if (self->busy)
        db_cond_wait (&self->left, &self->lock);
    }
  self->is_private = FALSE;
  db_lock_unlock (&self->lock);
  refuse_turns (&turns);
}

/* A close may have ended the loan meanwhile; the session goes back here all the same. */
gint64
db_lease_end_one_shot (DbLease *self)
{
  db_lock_lock (&self->lock);
  g_assert (self->busy && self->turns.length == 0);
  self->busy = FALSE;
  self->ending = FALSE;
  self->loan = 0;
  db_lock_unlock (&self->lock);

  return give_back (self);
}

void
db_lease_revoke (DbLease *self)
{
  guint64 loan;
  gboolean ending;

  db_lock_lock (&self->lock);
  loan = self->loan;
  ending = self->ending && !self->detached;
  db_lock_unlock (&self->lock);

  if (loan != 0)
    db_lease_end (self, loan, DB_LOAN_REVOKED);
  else if (ending)
    db_session_cancel (self->session);
}

/* Whether @loan is current and nobody uses the session, so that it can be taken away. */
static gboolean
is_detachable_locked (DbLease *self, guint64 loan, GError **error)
{
  if (self->loan != loan)
    db_set_released_error (error);
  else if (self->busy)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_PENDING,
                         "an operation is using this connection; detach it when that has ended");
  else if (self->is_private)
    g_set_error_literal (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED,
                         "a hook cannot detach the connection that it looks at");
  else
    return TRUE;
  return FALSE;
}

gboolean
db_lease_detach (DbLease *self, guint64 loan, GError **error)
{
  DbSlot *slot = NULL;
  DbWatch *watch = NULL;
  gboolean already;

  if (db_engine_is_forked (self->engine))
    {
      db_engine_set_forked_error (self->engine, error);
      return FALSE;
    }
  db_lock_lock (&self->lock);
  if (!(self->loan == loan && self->detached) && is_detachable_locked (self, loan, error))
    {
      slot = g_steal_pointer (&self->slot);
      watch = g_steal_pointer (&self->watch);
      self->detached = TRUE;
    }
  already = self->loan == loan && self->detached;
  db_lock_unlock (&self->lock);
  if (slot == NULL)
    return already;

  if (watch != NULL)
    db_watch_free (watch);
  db_engine_detach (self->engine, slot);
  db_lease_unref (self); /* the slot's */
  return TRUE;
}

/* The lease's lock is held across the core's call, so that the slot cannot go away. */
void
db_lease_evict (DbLease *self, guint64 loan)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  if (db_engine_is_forked (self->engine))
    return;
  db_lock_lock (&self->lock);
  if (self->loan == loan && self->slot != NULL)
    db_pool_core_doom (self->engine->core, self->slot, DB_DROP_EVICTED, g_get_monotonic_time (),
                       &fx);
  db_lock_unlock (&self->lock);
  db_engine_run_effects (self->engine, &fx);
}

gboolean
db_lease_is_current (DbLease *self, guint64 loan)
{
  gboolean current;

  if (db_engine_is_forked (self->engine))
    return FALSE;
  db_lock_lock (&self->lock);
  current = self->loan == loan;
  db_lock_unlock (&self->lock);
  return current;
}

static DbSession *
enter_locked (DbLease *self, guint64 loan, const char *sql, GError **error)
{
  if (self->loan != loan)
    {
      db_set_released_error (error);
      return NULL;
    }
  if (self->busy)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_PENDING,
                           "another operation is using this connection; use the asynchronous call, "
                           "which waits its turn, or a connection for each thread");
      return NULL;
    }
  self->busy = TRUE;
  note_statement_locked (self, sql);
  return self->session;
}

DbSession *
db_lease_enter (DbLease *self, guint64 loan, const char *sql, GError **error)
{
  DbSession *session;

  if (db_engine_is_forked (self->engine))
    {
      db_engine_set_forked_error (self->engine, error);
      return NULL;
    }
  db_lock_lock (&self->lock);
  session = enter_locked (self, loan, sql, error);
  db_lock_unlock (&self->lock);
  if (sql != NULL)
    db_engine_show (self->engine);
  return session;
}

static DbSession *
enter_async_locked (DbLease *self, guint64 loan, const char *sql, DbTurn *turn, gboolean *queued)
{
  if (self->loan != loan)
    return NULL;
  note_statement_locked (self, sql);
  if (self->busy)
    {
      *queued = TRUE;
      if (turn == NULL)
        return NULL;
      turn->link.data = turn;
      turn->queued = TRUE;
      g_queue_push_tail_link (&self->turns, &turn->link);
      return NULL;
    }
  self->busy = TRUE;
  return self->session;
}

DbSession *
db_lease_enter_async (DbLease *self, guint64 loan, const char *sql, DbTurn *turn, gboolean *queued)
{
  DbSession *session;

  *queued = FALSE;
  if (db_engine_is_forked (self->engine))
    return NULL;
  db_lock_lock (&self->lock);
  session = enter_async_locked (self, loan, sql, turn, queued);
  db_lock_unlock (&self->lock);
  if (sql != NULL)
    db_engine_show (self->engine);
  return session;
}

gboolean
db_lease_withdraw (DbLease *self, DbTurn *turn)
{
  gboolean withdrawn;

  if (db_engine_is_forked (self->engine))
    return FALSE;
  db_lock_lock (&self->lock);
  withdrawn = turn->queued;
  if (withdrawn)
    g_queue_unlink (&self->turns, &turn->link);
  turn->queued = FALSE;
  db_lock_unlock (&self->lock);
  return withdrawn;
}

void
db_lease_leave (DbLease *self)
{
  GList *link;
  gboolean ending;

  db_lock_lock (&self->lock);
  g_assert (self->busy);
  link = g_queue_pop_head_link (&self->turns);
  self->busy = link != NULL;
  if (link != NULL)
    ((DbTurn *) link->data)->queued = FALSE;
  ending = self->ending;
  self->ending = FALSE;
  if (self->is_private)
    db_cond_broadcast (&self->left);
  db_lock_unlock (&self->lock);

  if (ending)
    give_back (self);
  else if (link != NULL)
    {
      DbTurn *turn = link->data;

      turn->start (turn, self->session);
    }
}

void
db_lease_get_info (DbLease *self, DbLeaseInfo *info)
{
  g_autofree char *statement = NULL;

  db_lock_lock (&self->lock);
  info->tag = g_strdup (self->loan != 0 || self->busy ? self->tag : NULL);
  info->lent_at = self->lent_at;
  info->thread = self->thread;
  if (self->last_statement[0] != '\0')
    statement = g_strdup (self->last_statement);
  db_lock_unlock (&self->lock);

  info->statement = db_sql_fingerprint (statement);
  info->activity = db_session_describe (self->session);
}

void
db_lease_info_clear (DbLeaseInfo *info)
{
  g_clear_pointer (&info->tag, g_free);
  g_clear_pointer (&info->statement, g_free);
  g_clear_pointer (&info->activity, g_free);
}

char *
db_lease_describe (DbLease *self, gint64 now)
{
  DbLeaseInfo info;
  GString *text;

  db_lease_get_info (self, &info);
  text = g_string_new (info.tag != NULL ? info.tag : "untagged");
  g_string_append_printf (text, ", for %.1f s", (now - info.lent_at) / (double) G_TIME_SPAN_SECOND);
  if (info.thread != 0)
    g_string_append_printf (text, " in thread %u", info.thread);
  if (info.statement != NULL)
    g_string_append_printf (text, ", last “%s”", info.statement);
  if (info.activity != NULL)
    g_string_append_printf (text, ", %s", info.activity);
  db_lease_info_clear (&info);
  return g_string_free (text, FALSE);
}

char *
db_lease_report_leak (DbLease *self, gint64 lent_at, gint64 now)
{
  gboolean current;

  db_lock_lock (&self->lock);
  current = (self->loan != 0 || self->busy) && self->lent_at == lent_at && !self->leaked;
  if (current)
    self->leaked = TRUE;
  db_lock_unlock (&self->lock);
  return current ? db_lease_describe (self, now) : NULL;
}
