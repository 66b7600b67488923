/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Loans of a session and the operations on it; see the private header. In a forked child the lock
 * may be held by a thread that is not there, and the session is the parent's: nothing is touched.
 */

#include "config.h"

#include "db-error.h"
#include "db-lease-private.h"
#include "db-pool-engine-private.h"

DbLease *
db_lease_new (DbEngine *engine, DbSession *session, DbSlot *slot)
{
  DbLease *self = g_new0 (DbLease, 1);

  self->ref_count = 1;
  self->engine = db_engine_ref (engine);
  self->session = g_object_ref (session);
  self->slot = slot;
  db_lock_init (&self->lock);
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
  g_free (self->tag);
  g_clear_object (&self->session);
  db_lock_clear (&self->lock);
  db_engine_unref (self->engine);
  g_free (self);
}

void
db_set_released_error (GError **error)
{
  g_set_error_literal (error, DB_ERROR, DB_ERROR_RELEASED,
                       "the connection was given back to its pool; acquire another one");
}

guint64
db_lease_begin (DbLease *self, DbAcquireFlags flags, const char *tag, gint64 now)
{
  DB_LOCK_SCOPE (&self->lock);

  g_assert (self->loan == 0 && !self->busy);
  self->loan = ++self->last_loan;
  self->lent_at = now;
  self->read_only = (flags & DB_ACQUIRE_READ_ONLY) != 0;
  if (tag != NULL || self->tag != NULL)
    {
      g_free (self->tag);
      self->tag = g_strdup (tag);
    }
  return self->loan;
}

/* The loan is over and nobody uses the session: it is ours. */
static void
give_back (DbLease *self)
{
  if (self->read_only)
    db_session_set_read_only (self->session, FALSE);
  db_engine_give_back (self->engine, self);
}

void
db_lease_end (DbLease *self, guint64 loan, gboolean cancel)
{
  GQueue turns = G_QUEUE_INIT;
  gboolean busy;
  GList *link;

  if (db_engine_is_forked (self->engine))
    return;
  db_lock_lock (&self->lock);
  if (self->loan != loan)
    {
      db_lock_unlock (&self->lock);
      return;
    }
  self->loan = 0;
  busy = self->busy;
  self->ending = busy;
  turns = self->turns;
  g_queue_init (&self->turns);
  db_lock_unlock (&self->lock);

  if (!busy)
    give_back (self);
  else if (cancel)
    db_session_cancel (self->session);
  while ((link = g_queue_pop_head_link (&turns)) != NULL)
    {
      DbTurn *turn = link->data;

      turn->start (turn, NULL);
    }
}

void
db_lease_begin_one_shot (DbLease *self, gint64 now)
{
  DB_LOCK_SCOPE (&self->lock);

  g_assert (self->loan == 0 && !self->busy);
  self->loan = ++self->last_loan;
  self->lent_at = now;
  self->read_only = FALSE;
  self->busy = TRUE;
  g_clear_pointer (&self->tag, g_free);
}

/* A close may have ended the loan meanwhile; the session goes back here all the same. */
void
db_lease_end_one_shot (DbLease *self)
{
  db_lock_lock (&self->lock);
  g_assert (self->busy && self->turns.length == 0);
  self->busy = FALSE;
  self->ending = FALSE;
  self->loan = 0;
  db_lock_unlock (&self->lock);

  give_back (self);
}

void
db_lease_revoke (DbLease *self)
{
  guint64 loan;
  gboolean ending;

  db_lock_lock (&self->lock);
  loan = self->loan;
  ending = self->ending;
  db_lock_unlock (&self->lock);

  if (loan != 0)
    db_lease_end (self, loan, TRUE);
  else if (ending)
    db_session_cancel (self->session);
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
enter_locked (DbLease *self, guint64 loan, GError **error)
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
  return self->session;
}

DbSession *
db_lease_enter (DbLease *self, guint64 loan, GError **error)
{
  DbSession *session;

  if (db_engine_is_forked (self->engine))
    {
      db_engine_set_forked_error (self->engine, error);
      return NULL;
    }
  db_lock_lock (&self->lock);
  session = enter_locked (self, loan, error);
  db_lock_unlock (&self->lock);
  return session;
}

DbSession *
db_lease_enter_async (DbLease *self, guint64 loan, DbTurn *turn, gboolean *queued)
{
  DB_LOCK_SCOPE (&self->lock);

  *queued = FALSE;
  if (self->loan != loan || db_engine_is_forked (self->engine))
    return NULL;
  if (self->busy)
    {
      *queued = TRUE;
      turn->link.data = turn;
      g_queue_push_tail_link (&self->turns, &turn->link);
      return NULL;
    }
  self->busy = TRUE;
  return self->session;
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
  ending = self->ending;
  self->ending = FALSE;
  db_lock_unlock (&self->lock);

  if (ending)
    give_back (self);
  else if (link != NULL)
    {
      DbTurn *turn = link->data;

      turn->start (turn, self->session);
    }
}

char *
db_lease_describe (DbLease *self, gint64 now)
{
  DB_LOCK_SCOPE (&self->lock);
  double seconds = (now - self->lent_at) / (double) G_TIME_SPAN_SECOND;

  return g_strdup_printf ("%s, for %.1f s", self->tag != NULL ? self->tag : "untagged", seconds);
}
