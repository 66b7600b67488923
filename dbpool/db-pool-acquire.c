/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Acquiring, blocking and asynchronous: what happens around the core's tickets.
 *
 * A blocking caller first tries, which costs no allocation, and a few more times while it yields
 * the processor (a thread that sleeps and is woken on another core costs more than most queries).
 * Otherwise it queues a ticket and sleeps until somebody wakes it, its deadline or its cancellable.
 *
 * An asynchronous caller's ticket is decided under the core's lock by whoever has the reason, and
 * delivered by the dispatcher in the caller's context; until that has happened a deadline or a
 * cancel can still take the session away again.
 *
 * A cancel reaches a ticket through a handler on the caller's cancellable, connected with no lock
 * held and disconnected with g_signal_handler_disconnect(): g_cancellable_disconnect() waits for
 * handlers that run, and would deadlock when one of them releases a connection. */

#include "config.h"

#include "db-clock-private.h"
#include "db-error-private.h"
#include "db-pool-engine-private.h"

#include <sched.h>

/* How often a blocking caller yields the processor before it queues, and to those who have been
 * handed a session before it asks for one. Where nobody else has anything to do that is four
 * microseconds. Measured with 8 threads over 4 PostgreSQL sessions: half as much again in
 * throughput, and more does not give more. */
#define MAX_YIELDS 9

/* But where there are many others, each yield may take as long as a turn of theirs: after so many
 * microseconds a caller does not put off any longer to queue. With 32 threads over 4 sessions of
 * 20 µs each, waiting for this instead of 5 µs gives 2 % more throughput: whoever queues is woken,
 * and who is woken takes the processor from somebody who holds a session. */
#define YIELD_TIME G_TIME_SPAN_MILLISECOND

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
  DbTag tag;
  char *own_tag; /* tag, where it is not static */
  DbEngineFunc func;
  gpointer data;
  GCancellable *cancellable;
  DbLock lock;
  gulong handler;     /* lock */
  gboolean delivered; /* lock */
} DbAsyncTicket;

/* Common parts. */

/* Who decided may have read the clock before the ticket was queued. */
static gint64
get_wait (const DbTicket *ticket)
{
  return MAX (ticket->decided - ticket->enqueued, 0);
}

/* Every acquire that ends without a connection comes through here. */
static GError *
failed (DbEngine *self, GError *error)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  if (db_engine_is_forked (self))
    return error;
  if (db_log_wants (DB_DEBUG_POOL))
    db_log (DB_LOG_FACTS (DB_LOG_ACQUIRE_FAILED, .pool = self->name, .error = error),
            "an acquire failed: %s", error->message);
  db_pool_core_add_event (self->core, DB_EVENT_ACQUIRE_FAILED, 0, NULL, error, &fx);
  db_engine_run_effects (self, &fx);
  return error;
}

gint64
db_engine_get_deadline (DbEngine *self, gint64 timeout, gint64 now)
{
  if (timeout < 0)
    {
      DB_LOCK_SCOPE (&self->lock);

      timeout = self->connection_timeout;
    }
  return timeout > G_MAXINT64 - now ? G_MAXINT64 : now + timeout;
}

/* A session that was not proven just now is looked at. FALSE: it went back, or was closed. */
static gboolean
is_worth_lending (DbEngine *self, DbSlot *slot, gboolean final, gboolean any, gint64 now)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  if (!any && db_engine_notice_sleep (self))
    db_pool_core_put_back (self->core, slot, final, now, &fx);
  else if (!db_session_is_alive (((DbLease *) slot->data)->session))
    db_pool_core_reject (self->core, slot, final, FALSE, NULL, now, &fx);
  else
    return TRUE;
  db_engine_run_effects (self, &fx);
  return FALSE;
}

/* A caller who does not wait asks the hook himself. */
static gboolean
is_accepted (DbEngine *self, DbSlot *slot, gboolean final)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  g_autoptr (GError) error = NULL;

  if (db_engine_ask_hook (self, DB_HOOK_BEFORE_ACQUIRE, slot->data, &error))
    return TRUE;
  db_pool_core_reject (self->core, slot, final, db_engine_is_final_rejection (error), error,
                       g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  return FALSE;
}

/* The event of an acquire that the core could not know to be one. */
static void
tell_acquired (DbEngine *self)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_add_event (self->core, DB_EVENT_ACQUIRED, 0, NULL, NULL, &fx);
  db_engine_run_effects (self, &fx);
}

/* An idle session that is still there. Dead ones on the way are closed. @final: for a blocking
 * caller, who takes it. @any: for one who does not wait, and takes what there is. */
static DbSlot *
try_slot (DbEngine *self, gboolean final, gboolean any)
{
  guint thread = final ? db_thread_number () : 0;

  for (;;)
    {
      DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
      gint64 now = g_get_monotonic_time ();
      gboolean is_proven = FALSE;
      DbSlot *slot = db_pool_core_try (self->core, final, any, thread, now, &is_proven, &fx);

      db_engine_run_effects (self, &fx);
      if (slot == NULL)
        return NULL;
      if (!is_proven && !is_worth_lending (self, slot, final, any, now))
        continue;
      if (any && !is_accepted (self, slot, final))
        continue;
      if (final && (any || !is_proven))
        tell_acquired (self);
      return slot;
    }
}

/* The slot is lent to us: begins the loan. NULL if that cannot be: then the slot is back. */
static DbLease *
begin_loan (DbEngine *self,
            DbSlot *slot,
            DbAcquireFlags flags,
            DbTag tag,
            guint64 *loan,
            GError **error)
{
  DbLease *lease = db_lease_ref (slot->data);

  /* Granted before the pool closed, and delivered after it: nobody is to hold it any more. */
  if (g_atomic_int_get (&self->closing))
    {
      g_propagate_error (error, db_engine_new_closed_error (self));
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
  *loan = db_lease_begin (lease, flags, tag);
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
  db_lock_unlock (&ticket->lock);
  /* After the lock, which the thread that wakes wants; the ticket is kept by a reference. */
  db_cond_signal (&ticket->cond);
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

/* Where there is only one, yielding is unfair, and sleeping as good. */
static gboolean
has_processors (void)
{
  static int n_processors;

  if (g_atomic_int_get (&n_processors) == 0)
    g_atomic_int_set (&n_processors, (int) g_get_num_processors ());
  return g_atomic_int_get (&n_processors) > 1;
}

/* Whoever was handed a session begins to use it before somebody else asks for one: else sessions
 * lie around granted, processors have nothing to do, and threads take turns at asking. With 32
 * threads over 4 sessions of 20 µs each it is some percent more in throughput. Not for long: the
 * thread may have a low priority. */
static void
let_others_begin (DbEngine *self)
{
  for (guint i = 0; i < MAX_YIELDS && db_pool_core_has_handed (self->core) && has_processors ();
       i++)
    sched_yield ();
}

/* A session may come back any moment: a thread that is awake then saves two context switches. It
 * overtakes those in the queue while it may, like every newcomer. */
static DbSlot *
try_for_a_moment (DbEngine *self, gint64 deadline)
{
  gint64 until = MIN (g_get_monotonic_time () + YIELD_TIME, deadline);
  DbSlot *slot = NULL;

  if (!has_processors ())
    return NULL;
  for (guint i = 0; i < MAX_YIELDS && slot == NULL; i++)
    {
      sched_yield ();
      slot = try_slot (self, TRUE, FALSE);
      if (g_get_monotonic_time () >= until)
        break;
    }
  return slot;
}

static void
wait_for_decision (DbEngine *self, DbBlockingTicket *ticket, GCancellable *cancellable)
{
  gboolean in_time = TRUE;

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
wait_for_slot (DbEngine *self,
               gboolean unit,
               gint64 deadline,
               GCancellable *cancellable,
               GError **error)
{
  DbBlockingTicket *ticket = g_new0 (DbBlockingTicket, 1);
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = g_get_monotonic_time ();
  gulong handler = 0;
  DbSlot *slot = NULL;
  DbTicketState state;

  db_lock_init (&ticket->lock);
  db_cond_init (&ticket->cond);
  db_ticket_init (&ticket->base, TRUE, deadline, blocking_ticket_free);
  ticket->base.unit = unit;
  ticket->base.thread = unit ? 0 : db_thread_number ();
  ticket->base.in_hook = db_engine_is_in_hook (self);
  state = db_pool_core_acquire (self->core, &ticket->base, now, &fx);
  db_engine_run_effects (self, &fx);

  if (state != DB_TICKET_FAILED)
    {
      if (cancellable != NULL)
        handler = connect_ticket (cancellable, G_CALLBACK (blocking_cancelled_cb), &ticket->base);
      wait_for_decision (self, ticket, cancellable);
      if (g_cancellable_is_cancelled (cancellable))
        give_up (self, &ticket->base, DB_TICKET_CANCELLED);
      if (handler != 0)
        g_signal_handler_disconnect (cancellable, handler);
    }

  if (ticket->base.state == DB_TICKET_TAKEN)
    {
      slot = ticket->base.slot;
      db_engine_tell_of_wait (self, slot->id, get_wait (&ticket->base));
    }
  else
    g_propagate_error (error, db_engine_new_ticket_error (self, &ticket->base));
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

/* A caller who does not wait, and for whom there is nothing. */
static void
refuse (DbEngine *self, GError **error)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_refuse (self->core, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  g_propagate_error (error, db_engine_new_exhausted_error (self));
}

/* Hooks are fixed from the first acquire on. */
static void
begin_acquire (DbEngine *self)
{
  if (!g_atomic_int_get (&self->started))
    g_atomic_int_set (&self->started, TRUE);
}

/* A slot may have been granted some time before its thread ran: @now is when that has it. */
static DbSlot *
wait_a_while (DbEngine *self,
              gint64 timeout,
              gint64 *now,
              GCancellable *cancellable,
              GError **error)
{
  gint64 deadline = db_engine_get_deadline (self, timeout, g_get_monotonic_time ());
  DbSlot *slot = NULL;

  if (db_pool_core_may_come_back (self->core))
    slot = try_for_a_moment (self, deadline);
  if (slot == NULL)
    slot = wait_for_slot (self, FALSE, deadline, cancellable, error);
  *now = g_get_monotonic_time ();
  return slot;
}

static DbSlot *
acquire_slot (DbEngine *self,
              gint64 timeout,
              gint64 *now,
              GCancellable *cancellable,
              GError **error)
{
  GError *local_error = NULL;
  DbSlot *slot = NULL;

  if (db_engine_is_forked (self))
    {
      db_engine_set_forked_error (self, error);
      return NULL;
    }
  begin_acquire (self);
  let_others_begin (self);
  if (g_cancellable_set_error_if_cancelled (cancellable, &local_error))
    count_cancelled (self);
  else if ((slot = try_slot (self, TRUE, timeout == 0)) != NULL)
    *now = slot->since;
  else if (timeout == 0)
    refuse (self, &local_error);
  else
    slot = wait_a_while (self, timeout, now, cancellable, &local_error);
  if (slot == NULL)
    g_propagate_error (error, failed (self, local_error));
  return slot;
}

DbSlot *
db_engine_acquire_unit (DbEngine *self, GCancellable *cancellable, GError **error)
{
  if (db_engine_is_forked (self))
    {
      db_engine_set_forked_error (self, error);
      return NULL;
    }
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  g_atomic_int_set (&self->started, TRUE);
  return wait_for_slot (self, TRUE, db_engine_get_deadline (self, -1, g_get_monotonic_time ()),
                        cancellable, error);
}

void
db_engine_release_unit (DbEngine *self, DbSlot *slot)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_release_unit (self->core, slot, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
}

DbLease *
db_engine_acquire (DbEngine *self,
                   DbAcquireFlags flags,
                   gint64 timeout,
                   DbTag tag,
                   GCancellable *cancellable,
                   guint64 *loan,
                   GError **error)
{
  gint64 now;
  DbSlot *slot = acquire_slot (self, timeout, &now, cancellable, error);

  return slot != NULL ? begin_loan (self, slot, flags, tag, loan, error) : NULL;
}

DbLease *
db_engine_acquire_one_shot (DbEngine *self,
                            const char *sql,
                            GCancellable *cancellable,
                            GError **error)
{
  gint64 now;
  DbSlot *slot = acquire_slot (self, -1, &now, cancellable, error);

  if (slot == NULL)
    return NULL;
  db_lease_begin_one_shot (slot->data, sql, now);
  return slot->data;
}

/* Asynchronous. */

static void
async_ticket_free (gpointer data)
{
  DbAsyncTicket *ticket = data;

  DB_TSAN_ACQUIRE (&ticket->lock);
  g_free (ticket->own_tag);
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

char *
db_engine_describe_grant (DbTicket *ticket)
{
  const char *tag = ((DbAsyncTicket *) ticket)->tag.text;

  return g_strdup_printf ("granted to %s, whose main context has not run since",
                          tag != NULL ? tag : "an asynchronous caller");
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
  if (g_cancellable_is_cancelled (ticket->cancellable))
    give_up (self, &ticket->base, DB_TICKET_CANCELLED);
  if (db_pool_core_take (self->core, &ticket->base, g_get_monotonic_time (), &fx) ==
      DB_TICKET_TAKEN)
    lease = begin_loan (self, ticket->base.slot, ticket->flags, ticket->tag, &loan, &error);
  else
    error = db_engine_new_ticket_error (self, &ticket->base);
  db_engine_run_effects (self, &fx);
  if (error != NULL)
    failed (self, error);
  else
    db_engine_tell_of_wait (self, lease->id, get_wait (&ticket->base));

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
                         DbTag tag,
                         GCancellable *cancellable,
                         DbEngineFunc func,
                         gpointer data)
{
  DbAsyncTicket *ticket = g_new0 (DbAsyncTicket, 1);
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  gint64 deadline = db_engine_get_deadline (self, timeout, g_get_monotonic_time ());

  /* A grant that waits for its context must not be overdue at once. */
  db_ticket_init (&ticket->base, FALSE, timeout == 0 ? G_MAXINT64 : deadline, async_ticket_free);
  db_lock_init (&ticket->lock);
  ticket->engine = db_engine_ref (self);
  ticket->dispatcher = db_dispatcher_hold (self->dispatchers, context);
  ticket->flags = flags;
  ticket->tag = tag;
  if (tag.text != NULL && !tag.is_static)
    ticket->tag.text = ticket->own_tag = g_strdup (tag.text);
  ticket->func = func;
  ticket->data = data;
  g_set_object (&ticket->cancellable, cancellable);

  begin_acquire (self);
  start_async (self, ticket, timeout);
  if (cancellable != NULL)
    connect_cancel (ticket);
  db_ticket_unref (&ticket->base);
}
