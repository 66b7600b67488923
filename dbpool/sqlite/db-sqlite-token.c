/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The write token of a database file, and the register of all tokens of the process.
 *
 * Locks, in this order: registry_lock (which tokens there are, and their counts of references), a
 * token's lock (holder, queue, sleepers), a waker's lock. Each is held for a few instructions; a
 * token's close_lock is held while a handle closes, and nothing else is taken outside SQLite then.
 * Deadlines and cancellation are the session's business: it sleeps on its waker. */

#include "config.h"

#include <pthread.h>

#include "db-sqlite-token-private.h"

struct _DbSqliteWaker
{
  int refs; /* atomic */

  DbLock lock;
  DbCond cond;
  gboolean woken;
};

struct _DbSqliteToken
{
  char *key;  /* read-only */
  guint refs; /* registry_lock */

  DbLock lock;
  DbSqliteTicket *holder;
  GQueue waiters;
  GQueue sleepers;

  int n_sleepers; /* atomic: the length of sleepers, for a look without the lock */

  DbLock close_lock;
};

DbLock db_sqlite_file_lock;

static DbLock registry_lock;
static GHashTable *registry; /* key to token; while there are tokens */

DbSqliteWaker *
db_sqlite_waker_new (void)
{
  DbSqliteWaker *self = g_new0 (DbSqliteWaker, 1);

  self->refs = 1;
  db_lock_init (&self->lock);
  db_cond_init (&self->cond);
  return self;
}

DbSqliteWaker *
db_sqlite_waker_ref (DbSqliteWaker *self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

void
db_sqlite_waker_unref (DbSqliteWaker *self)
{
  if (!g_atomic_int_dec_and_test (&self->refs))
    return;
  db_cond_clear (&self->cond);
  db_lock_clear (&self->lock);
  g_free (self);
}

void
db_sqlite_waker_wake (DbSqliteWaker *self)
{
  DB_LOCK_SCOPE (&self->lock);

  self->woken = TRUE;
  db_cond_signal (&self->cond);
}

/* FALSE if @until was reached and nobody woke it. */
gboolean
db_sqlite_waker_wait_until (DbSqliteWaker *self, gint64 until)
{
  DB_LOCK_SCOPE (&self->lock);
  gboolean woken;

  while (!self->woken && db_cond_wait_until (&self->cond, &self->lock, until))
    ;
  woken = self->woken;
  self->woken = FALSE;
  return woken;
}

/* Threads that the child does not have may hold the locks and the tokens. */
static void
start_anew_in_child (void)
{
  db_lock_init (&registry_lock);
  db_lock_init (&db_sqlite_file_lock);
  registry = NULL;
}

static void
watch_forks (void)
{
  static gsize watching;

  if (g_once_init_enter (&watching))
    {
      pthread_atfork (NULL, NULL, start_anew_in_child);
      g_once_init_leave (&watching, 1);
    }
}

DbSqliteToken *
db_sqlite_token_get (const char *key)
{
  watch_forks ();
  DB_LOCK_SCOPE (&registry_lock);
  DbSqliteToken *self;

  if (registry == NULL)
    registry = g_hash_table_new (g_str_hash, g_str_equal);
  self = g_hash_table_lookup (registry, key);
  if (self == NULL)
    {
      self = g_new0 (DbSqliteToken, 1);
      self->key = g_strdup (key);
      db_lock_init (&self->lock);
      db_lock_init (&self->close_lock);
      g_queue_init (&self->waiters);
      g_queue_init (&self->sleepers);
      g_hash_table_insert (registry, self->key, self);
    }
  self->refs++;
  return self;
}

void
db_sqlite_token_unref (DbSqliteToken *self)
{
  DB_LOCK_SCOPE (&registry_lock);

  if (--self->refs > 0)
    return;
  g_hash_table_remove (registry, self->key);
  if (g_hash_table_size (registry) == 0)
    g_clear_pointer (&registry, g_hash_table_unref);
  db_lock_clear (&self->close_lock);
  db_lock_clear (&self->lock);
  g_free (self->key);
  g_free (self);
}

static void
hand_to_locked (DbSqliteToken *self, DbSqliteTicket *ticket)
{
  self->holder = ticket;
  ticket->waiting = FALSE;
  ticket->since = g_get_monotonic_time ();
}

static void
wake_sleepers_locked (DbSqliteToken *self)
{
  for (GList *l = self->sleepers.head; l != NULL; l = l->next)
    db_sqlite_waker_wake (((DbSqliteTicket *) l->data)->waker);
}

gboolean
db_sqlite_token_try_take (DbSqliteToken *self, DbSqliteTicket *ticket, const char *activity)
{
  DB_LOCK_SCOPE (&self->lock);

  /* A holder always hands over to the queue, so a free token has none. */
  if (self->holder != NULL)
    return FALSE;
  ticket->activity = activity;
  hand_to_locked (self, ticket);
  return TRUE;
}

gboolean
db_sqlite_token_request (DbSqliteToken *self, DbSqliteTicket *ticket, const char *activity)
{
  DB_LOCK_SCOPE (&self->lock);

  ticket->activity = activity;
  if (self->holder == NULL)
    {
      hand_to_locked (self, ticket);
      return TRUE;
    }
  g_atomic_int_set (&ticket->granted, FALSE);
  ticket->waiting = TRUE;
  ticket->since = g_get_monotonic_time ();
  ticket->waiter.data = ticket;
  g_queue_push_tail_link (&self->waiters, &ticket->waiter);
  return FALSE;
}

void
db_sqlite_token_set_activity (DbSqliteToken *self, DbSqliteTicket *ticket, const char *activity)
{
  DB_LOCK_SCOPE (&self->lock);

  g_assert (self->holder == ticket);
  ticket->activity = activity;
}

gboolean
db_sqlite_ticket_is_granted (DbSqliteTicket *ticket)
{
  return g_atomic_int_get (&ticket->granted);
}

gboolean
db_sqlite_token_end_wait (DbSqliteToken *self, DbSqliteTicket *ticket)
{
  DB_LOCK_SCOPE (&self->lock);

  if (self->holder == ticket)
    return TRUE;
  g_queue_unlink (&self->waiters, &ticket->waiter);
  ticket->waiting = FALSE;
  return FALSE;
}

void
db_sqlite_token_give (DbSqliteToken *self, DbSqliteTicket *ticket)
{
  DB_LOCK_SCOPE (&self->lock);
  GList *head;

  g_assert (self->holder == ticket);
  self->holder = NULL;
  head = g_queue_pop_head_link (&self->waiters);
  if (head != NULL)
    {
      DbSqliteTicket *next = head->data;

      hand_to_locked (self, next);
      g_atomic_int_set (&next->granted, TRUE);
      db_sqlite_waker_wake (next->waker);
    }
  wake_sleepers_locked (self);
}

char *
db_sqlite_token_describe_holder (DbSqliteToken *self)
{
  DB_LOCK_SCOPE (&self->lock);
  g_autoptr (GString) text = NULL;

  if (self->holder == NULL)
    return NULL;
  text = g_string_new (NULL);
  g_string_append_printf (text, "session %u of this process has been %s for %.3f s",
                          self->holder->id, self->holder->activity != NULL ? "writing" : "reading",
                          (g_get_monotonic_time () - self->holder->since) / 1e6);
  if (self->holder->activity != NULL)
    g_string_append_printf (text, " (since its %s)", self->holder->activity);
  if (self->waiters.length > 0)
    g_string_append_printf (text, "; %u more wait", self->waiters.length);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

char *
db_sqlite_token_describe_ticket (DbSqliteToken *self, DbSqliteTicket *ticket)
{
  DB_LOCK_SCOPE (&self->lock);
  double duration = (g_get_monotonic_time () - ticket->since) / 1e6;

  if (self->holder == ticket && ticket->activity != NULL)
    return g_strdup_printf ("writes for %.1f s (since its %s)", duration, ticket->activity);
  if (self->holder == ticket)
    return g_strdup_printf ("holds the write token for %.1f s to read", duration);
  if (ticket->waiting)
    return g_strdup_printf ("waits for the write token for %.1f s", duration);
  return NULL;
}

void
db_sqlite_token_add_sleeper (DbSqliteToken *self, DbSqliteTicket *ticket)
{
  g_autoptr (DbLocker) locker = NULL;

  if (ticket->asleep)
    return;
  locker = db_locker_new (&self->lock);
  ticket->asleep = TRUE;
  ticket->sleeper.data = ticket;
  g_queue_push_tail_link (&self->sleepers, &ticket->sleeper);
  g_atomic_int_inc (&self->n_sleepers);
}

void
db_sqlite_token_remove_sleeper (DbSqliteToken *self, DbSqliteTicket *ticket)
{
  g_autoptr (DbLocker) locker = NULL;

  if (!ticket->asleep)
    return;
  locker = db_locker_new (&self->lock);
  ticket->asleep = FALSE;
  g_queue_unlink (&self->sleepers, &ticket->sleeper);
  g_atomic_int_add (&self->n_sleepers, -1);
}

void
db_sqlite_token_wake_sleepers (DbSqliteToken *self)
{
  g_autoptr (DbLocker) locker = NULL;

  if (g_atomic_int_get (&self->n_sleepers) == 0)
    return;
  locker = db_locker_new (&self->lock);
  wake_sleepers_locked (self);
}

void
db_sqlite_token_begin_close (DbSqliteToken *self)
{
  db_lock_lock (&self->close_lock);
}

void
db_sqlite_token_end_close (DbSqliteToken *self)
{
  db_lock_unlock (&self->close_lock);
}
