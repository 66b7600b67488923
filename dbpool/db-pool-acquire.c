/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Acquiring, blocking and asynchronous: what happens around the core's tickets.
 *
 * A blocking caller first tries, which costs no allocation. Otherwise it queues a ticket, looks a
 * few more times while it yields the processor (a thread that sleeps and is woken on another core
 * costs more than most queries), and sleeps until somebody wakes it, its deadline or its
 * cancellable.
 *
 * An asynchronous caller's ticket is decided under the core's lock by whoever has the reason, and
 * delivered by the dispatcher in the caller's context; until that has happened a deadline or a
 * cancel can still take the session away again.
 *
 * A cancel reaches a ticket through a handler on the caller's cancellable, connected with no lock
 * held and disconnected with g_signal_handler_disconnect(): g_cancellable_disconnect() waits for
 * handlers that run, and would deadlock when one of them releases a connection. */

#include "config.h"

#include "db-error-private.h"
#include "db-pool-engine-private.h"

#include <sched.h>

/* For how long a blocking waiter yields before it sleeps, in microseconds. Measured with 8 threads
 * over 4 PostgreSQL sessions: half as much again in throughput, and more does not give more. */
#define YIELD_TIME 5

/* An idle session is looked at (without a round trip) if nobody has proven it for this long. */
#define LOOK_AFTER G_TIME_SPAN_MILLISECOND

typedef struct
{
  DbTicket base;
  DbLock lock;
  DbCond cond;
  gboolean awake; /* lock: there is a reason to look */
} DbBlockingTicket;

typedef struct
{
  DbTicket base;
  DbEngine *engine;
  DbDispatcher *dispatcher;
  GList ready_link;
  DbAcquireFlags flags;
  char *tag;
  gint64 timeout;
  DbEngineFunc func;
  gpointer data;
  GCancellable *cancellable;
  DbLock lock;
  gulong handler;     /* lock */
  gboolean delivered; /* lock */
} DbAsyncTicket;

/* Errors. */

void
db_engine_set_forked_error (DbEngine *self, GError **error)
{
  g_set_error (error, DB_ERROR, DB_ERROR_FORKED,
               "pool %s belongs to the parent process; make a pool of its own after the fork",
               self->name);
}

static GError *
closed_error (DbEngine *self)
{
  return g_error_new (DB_ERROR, DB_ERROR_CLOSED, "pool %s is closed", self->name);
}

static GError *
exhausted_error (DbEngine *self)
{
  DbPoolStats stats;

  if (db_pool_core_is_closed (self->core))
    return closed_error (self);
  db_pool_core_get_stats (self->core, &stats);
  return g_error_new (DB_ERROR, DB_ERROR_EXHAUSTED,
                      "pool %s has no idle connection now (%u lent, %u opening, %u waiting)",
                      self->name, stats.lent, stats.opening, stats.waiting);
}

static GError *
timeout_error (DbEngine *self, DbTicket *ticket)
{
  g_autoptr (GError) cause = db_pool_core_dup_open_error (self->core);
  gint64 waited = ticket->enqueued > 0 ? g_get_monotonic_time () - ticket->enqueued : 0;
  g_autofree char *undelivered = NULL;
  DbPoolStats stats;

  db_pool_core_get_stats (self->core, &stats);
  if (stats.undelivered > 0)
    undelivered = g_strdup_printf (", %u of them granted to callers whose main context has not run",
                                   stats.undelivered);
  return g_error_new (DB_ERROR, DB_ERROR_TIMEOUT,
                      "no connection of pool %s within %.3f s: %u sessions, %u lent%s, %u idle, "
                      "%u opening, %u closing; %u callers wait%s%s",
                      self->name, waited / (double) G_TIME_SPAN_SECOND,
                      stats.idle + stats.lent + stats.opening + stats.checking + stats.resetting +
                        stats.closing,
                      stats.lent, undelivered != NULL ? undelivered : "", stats.idle, stats.opening,
                      stats.closing, stats.waiting,
                      cause != NULL ? "; the last attempt to open one failed: " : "",
                      cause != NULL ? cause->message : "");
}

static GError *
ticket_error (DbEngine *self, DbTicket *ticket)
{
  DbPoolStats stats;

  switch (ticket->state)
    {
    case DB_TICKET_CANCELLED:
      return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "Operation was cancelled");
    case DB_TICKET_TIMED_OUT:
      return timeout_error (self, ticket);
    case DB_TICKET_FAILED:
      break;
    case DB_TICKET_NEW:
    case DB_TICKET_PENDING:
    case DB_TICKET_GRANTED:
    case DB_TICKET_TAKEN:
    default:
      g_assert_not_reached ();
    }

  switch (ticket->refusal)
    {
    case DB_REFUSAL_OPEN_FAILED:
      return g_steal_pointer (&ticket->error);
    case DB_REFUSAL_QUEUE_FULL:
      db_pool_core_get_stats (self->core, &stats);
      return g_error_new (DB_ERROR, DB_ERROR_QUEUE_FULL,
                          "%u callers wait for pool %s already, which is its max-waiters",
                          stats.waiting, self->name);
    case DB_REFUSAL_EXHAUSTED:
      return exhausted_error (self);
    case DB_REFUSAL_NONE:
    case DB_REFUSAL_CLOSED:
    default:
      return closed_error (self);
    }
}

/* Common parts. */

static gint64
deadline_of (DbEngine *self, gint64 timeout, gint64 now)
{
  if (timeout < 0)
    {
      DB_LOCK_SCOPE (&self->lock);

      timeout = self->connection_timeout;
    }
  return timeout > G_MAXINT64 - now ? G_MAXINT64 : now + timeout;
}

/* An idle session that is still there. Dead ones on the way are closed. */
static DbSlot *
try_slot (DbEngine *self, gboolean final, gboolean any)
{
  for (;;)
    {
      DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
      gint64 now = g_get_monotonic_time ();
      gint64 idle_for = 0;
      DbPoolEffects reject_fx = DB_POOL_EFFECTS_INIT;
      DbSlot *slot = db_pool_core_try (self->core, final, any, now, &idle_for, &fx);

      db_engine_run_effects (self, &fx);
      if (slot == NULL || idle_for <= LOOK_AFTER ||
          db_session_is_alive (((DbLease *) slot->data)->session))
        return slot;
      db_pool_core_reject (self->core, slot, final, now, &reject_fx);
      db_engine_run_effects (self, &reject_fx);
    }
}

/* The slot is lent to us: begins the loan. NULL if that cannot be: then the slot is back. */
static DbLease *
begin_loan (DbEngine *self,
            DbSlot *slot,
            DbAcquireFlags flags,
            const char *tag,
            guint64 *loan,
            GError **error)
{
  DbLease *lease = db_lease_ref (slot->data);

  /* Granted before the pool closed, and delivered after it: nobody is to hold it any more. */
  if (g_atomic_int_get (&self->closing))
    {
      g_propagate_error (error, closed_error (self));
      db_engine_give_back (self, lease);
      db_lease_unref (lease);
      return NULL;
    }
  if ((flags & DB_ACQUIRE_READ_ONLY) && !db_session_set_read_only (lease->session, TRUE))
    {
      g_set_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED,
                   "sessions of type %s cannot be lent read-only",
                   G_OBJECT_TYPE_NAME (lease->session));
      db_engine_give_back (self, lease);
      db_lease_unref (lease);
      return NULL;
    }
  *loan = db_lease_begin (lease, flags, tag, slot->lent_at);
  return lease;
}

/* A handler on a cancellable has a ticket of its own. GObject orders its connection, its runs and
 * its end; these say so to ThreadSanitizer. */

static void
handler_ended (gpointer data)
{
  DB_TSAN_ACQUIRE (data);
  db_ticket_unref (data);
}

static gulong
connect_ticket (GCancellable *cancellable, GCallback callback, DbTicket *ticket)
{
  db_ticket_ref (ticket);
  DB_TSAN_RELEASE (ticket);
  return g_cancellable_connect (cancellable, callback, ticket, handler_ended);
}

/* Blocking. */

static void
blocking_ticket_free (gpointer data)
{
  DbBlockingTicket *ticket = data;

  db_cond_clear (&ticket->cond);
  db_lock_clear (&ticket->lock);
  g_free (ticket);
}

static void
wake_up (DbBlockingTicket *ticket)
{
  db_lock_lock (&ticket->lock);
  ticket->awake = TRUE;
  db_cond_signal (&ticket->cond);
  db_lock_unlock (&ticket->lock);
}

static gboolean
sleep_until (DbBlockingTicket *ticket, gint64 deadline)
{
  gboolean in_time = TRUE;

  db_lock_lock (&ticket->lock);
  while (!ticket->awake && in_time)
    in_time = db_cond_wait_until (&ticket->cond, &ticket->lock, deadline);
  in_time = ticket->awake;
  ticket->awake = FALSE;
  db_lock_unlock (&ticket->lock);
  return in_time;
}

static void
blocking_cancelled_cb (GCancellable *cancellable, DbBlockingTicket *ticket)
{
  DB_TSAN_ACQUIRE (ticket);
  wake_up (ticket);
  DB_TSAN_RELEASE (ticket);
}

static DbTicketState
look (DbEngine *self, DbTicket *ticket, gboolean sleep)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbTicketState state = db_pool_core_look (self->core, ticket, sleep, g_get_monotonic_time (), &fx);

  db_engine_run_effects (self, &fx);
  return state;
}

static void
give_up (DbEngine *self, DbTicket *ticket, DbTicketState state)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_give_up (self->core, ticket, state, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
}

static void
yield_for_a_moment (DbEngine *self, DbTicket *ticket)
{
  static int n_processors;
  gint64 until = g_get_monotonic_time () + YIELD_TIME;

  if (g_atomic_int_get (&n_processors) == 0)
    g_atomic_int_set (&n_processors, (int) g_get_num_processors ());
  if (g_atomic_int_get (&n_processors) == 1)
    return;
  do
    {
      sched_yield ();
      if (look (self, ticket, FALSE) != DB_TICKET_PENDING)
        return;
    }
  while (g_get_monotonic_time () < until);
}

static void
wait_for_decision (DbEngine *self, DbBlockingTicket *ticket, GCancellable *cancellable)
{
  gboolean in_time = TRUE;

  yield_for_a_moment (self, &ticket->base);
  for (;;)
    {
      if (g_cancellable_is_cancelled (cancellable))
        {
          give_up (self, &ticket->base, DB_TICKET_CANCELLED);
          return;
        }
      if (look (self, &ticket->base, in_time) != DB_TICKET_PENDING)
        return;
      if (!in_time)
        {
          give_up (self, &ticket->base, DB_TICKET_TIMED_OUT);
          return;
        }
      in_time = sleep_until (ticket, ticket->base.deadline) ||
                g_get_monotonic_time () < ticket->base.deadline;
    }
}

static DbSlot *
wait_for_slot (DbEngine *self, gint64 timeout, GCancellable *cancellable, GError **error)
{
  DbBlockingTicket *ticket = g_new0 (DbBlockingTicket, 1);
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = g_get_monotonic_time ();
  gulong handler = 0;
  DbSlot *slot = NULL;
  DbTicketState state;

  db_lock_init (&ticket->lock);
  db_cond_init (&ticket->cond);
  db_ticket_init (&ticket->base, TRUE, deadline_of (self, timeout, now), blocking_ticket_free);
  state = db_pool_core_acquire (self->core, &ticket->base, now, &fx);
  db_engine_run_effects (self, &fx);

  if (state != DB_TICKET_FAILED)
    {
      if (cancellable != NULL)
        handler = connect_ticket (cancellable, G_CALLBACK (blocking_cancelled_cb), &ticket->base);
      wait_for_decision (self, ticket, cancellable);
      if (handler != 0)
        g_signal_handler_disconnect (cancellable, handler);
    }

  if (ticket->base.state == DB_TICKET_TAKEN)
    slot = ticket->base.slot;
  else
    g_propagate_error (error, ticket_error (self, &ticket->base));
  db_ticket_unref (&ticket->base);
  return slot;
}

/* An acquire that was cancelled before it began is counted, and asks nobody. */
static void
count_cancelled (DbEngine *self)
{
  DbTicket ticket = {0};
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_give_up (self->core, &ticket, DB_TICKET_CANCELLED, g_get_monotonic_time (), &fx);
}

static DbSlot *
acquire_slot (DbEngine *self, gint64 timeout, GCancellable *cancellable, GError **error)
{
  DbSlot *slot;

  if (db_engine_is_forked (self))
    {
      db_engine_set_forked_error (self, error);
      return NULL;
    }
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    {
      count_cancelled (self);
      return NULL;
    }

  slot = try_slot (self, TRUE, timeout == 0);
  if (slot == NULL && timeout == 0)
    {
      DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

      db_pool_core_refuse (self->core, g_get_monotonic_time (), &fx);
      db_engine_run_effects (self, &fx);
      g_propagate_error (error, exhausted_error (self));
      return NULL;
    }
  return slot != NULL ? slot : wait_for_slot (self, timeout, cancellable, error);
}

DbLease *
db_engine_acquire (DbEngine *self,
                   DbAcquireFlags flags,
                   gint64 timeout,
                   const char *tag,
                   GCancellable *cancellable,
                   guint64 *loan,
                   GError **error)
{
  DbSlot *slot = acquire_slot (self, timeout, cancellable, error);

  return slot != NULL ? begin_loan (self, slot, flags, tag, loan, error) : NULL;
}

DbLease *
db_engine_acquire_one_shot (DbEngine *self, GCancellable *cancellable, GError **error)
{
  DbSlot *slot = acquire_slot (self, -1, cancellable, error);

  if (slot == NULL)
    return NULL;
  db_lease_begin_one_shot (slot->data, slot->lent_at);
  return slot->data;
}

/* Asynchronous. */

static void
async_ticket_free (gpointer data)
{
  DbAsyncTicket *ticket = data;

  DB_TSAN_ACQUIRE (&ticket->lock);
  g_free (ticket->tag);
  g_clear_object (&ticket->cancellable);
  db_engine_unref (ticket->engine);
  db_lock_clear (&ticket->lock);
  g_free (ticket);
}

/* Tells the owner that its ticket is decided. */
void
db_engine_announce (DbTicket *ticket)
{
  if (ticket->blocking)
    {
      wake_up ((DbBlockingTicket *) ticket);
      db_ticket_unref (ticket);
    }
  else
    {
      DbAsyncTicket *async_ticket = (DbAsyncTicket *) ticket;

      async_ticket->ready_link.data = ticket;
      db_dispatcher_push (async_ticket->dispatcher, &async_ticket->ready_link);
    }
}

static void
async_cancelled_cb (GCancellable *cancellable, DbAsyncTicket *ticket)
{
  DB_TSAN_ACQUIRE (ticket);
  give_up (ticket->engine, &ticket->base, DB_TICKET_CANCELLED);
  DB_TSAN_RELEASE (ticket);
}

static void
disconnect_cancel (DbAsyncTicket *ticket)
{
  gulong handler;

  db_lock_lock (&ticket->lock);
  ticket->delivered = TRUE;
  handler = ticket->handler;
  ticket->handler = 0;
  db_lock_unlock (&ticket->lock);
  if (handler != 0)
    g_signal_handler_disconnect (ticket->cancellable, handler);
}

/* The ticket may be delivered on another thread already. */
static void
connect_cancel (DbAsyncTicket *ticket)
{
  gulong handler =
    connect_ticket (ticket->cancellable, G_CALLBACK (async_cancelled_cb), &ticket->base);
  gboolean late;

  db_lock_lock (&ticket->lock);
  late = ticket->delivered;
  if (!late)
    ticket->handler = handler;
  db_lock_unlock (&ticket->lock);
  if (late && handler != 0)
    g_signal_handler_disconnect (ticket->cancellable, handler);
}

/* In the context of the caller. */
void
db_engine_deliver_cb (gpointer item, gpointer engine)
{
  DbAsyncTicket *ticket = item;
  DbEngine *self = ticket->engine;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbLease *lease = NULL;
  GError *error = NULL;
  guint64 loan = 0;

  if (ticket->cancellable != NULL)
    disconnect_cancel (ticket);
  if (db_pool_core_take (self->core, &ticket->base, g_get_monotonic_time (), &fx) ==
      DB_TICKET_TAKEN)
    lease = begin_loan (self, ticket->base.slot, ticket->flags, ticket->tag, &loan, &error);
  else
    error = ticket_error (self, &ticket->base);
  db_engine_run_effects (self, &fx);

  db_dispatcher_drop (self->dispatchers, ticket->dispatcher);
  ticket->func (lease, loan, error, ticket->data);
  db_ticket_unref (&ticket->base);
}

/* Decides a ticket at once if that can be. The caller hears of it through its context all the same.
 */
static void
start_async (DbEngine *self, DbAsyncTicket *ticket, gint64 timeout)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = g_get_monotonic_time ();
  DbTicketState state = DB_TICKET_PENDING;
  DbSlot *slot;

  if (g_cancellable_is_cancelled (ticket->cancellable))
    {
      db_pool_core_give_up (self->core, &ticket->base, DB_TICKET_CANCELLED, now, &fx);
      db_engine_announce (db_ticket_ref (&ticket->base));
      return;
    }

  slot = try_slot (self, FALSE, timeout == 0);
  if (slot != NULL)
    db_pool_core_bind (self->core, &ticket->base, slot, now, &fx);
  else if (timeout == 0)
    {
      db_pool_core_refuse (self->core, now, &fx);
      state = ticket->base.state = DB_TICKET_FAILED;
      ticket->base.refusal = DB_REFUSAL_EXHAUSTED;
    }
  else
    state = db_pool_core_acquire (self->core, &ticket->base, now, &fx);

  if (state == DB_TICKET_FAILED)
    db_engine_announce (db_ticket_ref (&ticket->base));
  db_engine_run_effects (self, &fx);
}

void
db_engine_acquire_async (DbEngine *self,
                         DbAcquireFlags flags,
                         gint64 timeout,
                         const char *tag,
                         GCancellable *cancellable,
                         DbEngineFunc func,
                         gpointer data)
{
  DbAsyncTicket *ticket = g_new0 (DbAsyncTicket, 1);
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  gint64 deadline = deadline_of (self, timeout, g_get_monotonic_time ());

  /* A grant that waits for its context must not be overdue at once. */
  db_ticket_init (&ticket->base, FALSE, timeout == 0 ? G_MAXINT64 : deadline, async_ticket_free);
  db_lock_init (&ticket->lock);
  ticket->engine = db_engine_ref (self);
  ticket->dispatcher = db_dispatcher_hold (self->dispatchers, context);
  ticket->flags = flags;
  ticket->tag = g_strdup (tag);
  ticket->func = func;
  ticket->data = data;
  g_set_object (&ticket->cancellable, cancellable);

  start_async (self, ticket, timeout);
  if (cancellable != NULL)
    connect_cancel (ticket);
  db_ticket_unref (&ticket->base);
}
