/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The heart of a pool: which session is where, who waits, and what has to be done next.
 *
 * It is a state machine under one lock. It knows neither GObject nor a database, does no I/O,
 * starts no thread and reads no clock: the caller says what time it is, and each function hands
 * back the effects that the caller must bring about after it returned, with no lock held. So the
 * engine runs it with threads and a real clock, and the tests run it in virtual time.
 *
 * A slot is the record of one session. Its state says where it is, and what ends that:
 *
 *   OPENING    effect "open" is under way     opened() or open_failed()
 *   IDLE       on the idle list               lent, or closed by age, eviction, hang-up or close()
 *   CHECKING   effect "check" is under way    checked()
 *   LENT       with a borrower                give_back()
 *   RESETTING  effect "reset" is under way    reset_done()
 *   CLOSING    effect "close" is under way    closed(), which frees the slot
 *
 * A slot counts against max-connections in every one of them, so that the server never sees more.
 *
 * A ticket is one acquire:
 *
 *   PENDING    in the queue                   granted, given up, or failed
 *   GRANTED    a slot is LENT to it           taken by its owner, or given up (the slot goes on)
 *   TAKEN, CANCELLED, TIMED_OUT, FAILED       final
 *
 * It is decided in one place, under the lock, once. A ticket is never tied to the open or check
 * that it caused: it gets what comes first.
 *
 * A blocking ticket belongs to a thread. While its thread is awake (it has not gone to sleep yet,
 * or it was woken and has not run yet) it will look for itself, and a session that comes back is
 * put on the idle list, where a newcomer may snatch it: that saves a context switch for each
 * release. Once the head of the queue has waited for hand-off-after, and always if it is
 * asynchronous, sessions are handed to it directly.
 *
 * Invariant after every function (rebalance_locked() sees to it): if a ticket waits then its
 * thread was woken, or a session is being opened, checked or reset, or the next attempt to open has
 * its time, or all sessions up to the maximum are lent or closing. */

#pragma once

#include "db-pool-config-private.h"
#include "db-pool-stats-private.h"

typedef struct _DbPoolCore DbPoolCore;
typedef struct _DbSlot DbSlot;
typedef struct _DbTicket DbTicket;

typedef enum
{
  DB_SLOT_OPENING,
  DB_SLOT_IDLE,
  DB_SLOT_CHECKING,
  DB_SLOT_LENT,
  DB_SLOT_RESETTING,
  DB_SLOT_CLOSING,
} DbSlotState;

typedef enum
{
  DB_TICKET_NEW,
  DB_TICKET_PENDING,
  DB_TICKET_GRANTED,
  DB_TICKET_TAKEN,
  DB_TICKET_CANCELLED,
  DB_TICKET_TIMED_OUT,
  DB_TICKET_FAILED,
} DbTicketState;

typedef enum
{
  DB_REFUSAL_NONE,
  DB_REFUSAL_CLOSED,
  DB_REFUSAL_QUEUE_FULL,
  DB_REFUSAL_EXHAUSTED,
  DB_REFUSAL_OPEN_FAILED, /* the ticket has the error */
} DbRefusal;

/* What a returned session is worth, as its protocol says. */
typedef enum
{
  DB_OUTCOME_CLEAN,
  DB_OUTCOME_DIRTY,
  DB_OUTCOME_BROKEN,
} DbOutcome;

struct _DbSlot
{
  GList all_link;  /* in the list of all slots */
  GList idle_link; /* in the idle list while IDLE */
  DbSlotState state;
  DbDropReason drop_reason; /* of CLOSING */
  gboolean doomed;          /* to be closed when it comes back, for drop_reason */
  guint generation;
  guint uses;
  gint64 born;       /* when it began to open */
  gint64 expires;    /* G_MAXINT64: never */
  gint64 lent_at;    /* of LENT */
  gint64 idle_since; /* of IDLE */
  gint64 proven_at;  /* when it last was known to work: opened, returned or checked */
  gpointer data;     /* the caller's */
  DbSlot *next;      /* in one of the lists of effects */
};

struct _DbTicket
{
  /* set by the caller before db_pool_core_acquire() */
  gboolean blocking;
  gint64 deadline; /* G_MAXINT64: none. A blocking ticket's thread watches it by itself */
  GDestroyNotify free_func;

  /* the core's; readable once the ticket is decided */
  int ref_count; /* atomic */
  DbTicketState state;
  DbRefusal refusal; /* of FAILED */
  GError *error;     /* of DB_REFUSAL_OPEN_FAILED */
  DbSlot *slot;      /* of GRANTED and TAKEN */
  gint64 enqueued;
  gint64 decided;
  GList link; /* in the queue while PENDING */
  guint heap_index;
  gboolean awake; /* blocking: the thread will look for itself */
  gboolean waited;
  DbTicket *next; /* in the list of decided tickets */
};

/* What the caller has to do after a function returned. Each call gets one of its own, begun with
 * DB_POOL_EFFECTS_INIT: between two calls other threads may have changed who is to be woken. */
typedef struct
{
  DbSlot *open;
  DbSlot *check;
  DbSlot *reset;
  DbSlot *close;
  DbTicket *decided; /* tell their owners, in this order; each is a reference */
  DbTicket *last_decided;
  DbTicket *wake;   /* wake this thread, so that it looks; a reference */
  gboolean timer;   /* db_pool_core_get_timer() has become earlier */
  gboolean drained; /* closed, and the last session is gone */
} DbPoolEffects;

#define DB_POOL_EFFECTS_INIT                                                                       \
  {                                                                                                \
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, FALSE, FALSE                                         \
  }

DbPoolCore *db_pool_core_new (const DbPoolSettings *settings, guint32 seed);
void db_pool_core_free (DbPoolCore *self); /* all slots are gone */

void
db_ticket_init (DbTicket *ticket, gboolean blocking, gint64 deadline, GDestroyNotify free_func);
DbTicket *db_ticket_ref (DbTicket *ticket);
void db_ticket_unref (DbTicket *ticket);

/* An idle session for a caller that need not wait, or NULL. With @final that is the whole acquire,
 * and is counted; otherwise bind() goes on. With @any, a session that should be checked first will
 * do.
 * @idle_for: for how long nobody has proven the session. */
DbSlot *db_pool_core_try (DbPoolCore *self,
                          gboolean final,
                          gboolean any,
                          gint64 now,
                          gint64 *idle_for,
                          DbPoolEffects *fx);

/* Counts an acquire that found nothing and does not wait; opens a session for the next one. */
void db_pool_core_refuse (DbPoolCore *self, gint64 now, DbPoolEffects *fx);

/* Gives a slot that try() returned, and that turned out to be dead, back. */
void
db_pool_core_reject (DbPoolCore *self, DbSlot *slot, gboolean final, gint64 now, DbPoolEffects *fx);

/* Asks for a session. FAILED: it was refused, and only the caller knows. Otherwise it was PENDING,
 * and an effect, of this call or of a later one, says when it is decided. */
DbTicketState
db_pool_core_acquire (DbPoolCore *self, DbTicket *ticket, gint64 now, DbPoolEffects *fx);

/* Makes a new asynchronous ticket GRANTED with a slot that try() returned. */
void
db_pool_core_bind (DbPoolCore *self, DbTicket *ticket, DbSlot *slot, gint64 now, DbPoolEffects *fx);

/* A blocking ticket's thread looks for a session. With @sleep it goes to sleep if still PENDING. */
DbTicketState db_pool_core_look (DbPoolCore *self,
                                 DbTicket *ticket,
                                 gboolean sleep,
                                 gint64 now,
                                 DbPoolEffects *fx);

/* The owner takes what it was granted: TAKEN, unless the ticket ended otherwise meanwhile. */
DbTicketState db_pool_core_take (DbPoolCore *self, DbTicket *ticket, gint64 now, DbPoolEffects *fx);

/* Ends a ticket as @state, CANCELLED or TIMED_OUT. FALSE if it had ended before. */
gboolean db_pool_core_give_up (DbPoolCore *self,
                               DbTicket *ticket,
                               DbTicketState state,
                               gint64 now,
                               DbPoolEffects *fx);

void db_pool_core_give_back (DbPoolCore *self,
                             DbSlot *slot,
                             DbOutcome outcome,
                             gint64 now,
                             DbPoolEffects *fx);

/* The ends of the effects. open_failed() and closed() free the slot. */
void db_pool_core_opened (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx);
void db_pool_core_open_failed (DbPoolCore *self,
                               DbSlot *slot,
                               const GError *error,
                               gboolean permanent,
                               gint64 now,
                               DbPoolEffects *fx);
void db_pool_core_checked (DbPoolCore *self,
                           DbSlot *slot,
                           gboolean works,
                           gint64 now,
                           DbPoolEffects *fx);
void db_pool_core_reset_done (DbPoolCore *self,
                              DbSlot *slot,
                              gboolean works,
                              gint64 now,
                              DbPoolEffects *fx);
void db_pool_core_closed (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx);

/* When tick() is due; G_MAXINT64: not at all. Between reading it and arming a timer no other thread
 * may do the same, or an earlier time is lost. */
gint64 db_pool_core_get_timer (DbPoolCore *self);

/* The time of the timer has come, or may have. */
void db_pool_core_tick (DbPoolCore *self, gint64 now, DbPoolEffects *fx);

/* The other side of a session hung up: closed at once if idle, else when it comes back. */
void db_pool_core_hung_up (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx);

void db_pool_core_configure (DbPoolCore *self,
                             const DbPoolSettings *settings,
                             gint64 now,
                             DbPoolEffects *fx);

/* Closes idle sessions; with @all, also those that are out, when they come back. */
void db_pool_core_evict (DbPoolCore *self, gboolean all, gint64 now, DbPoolEffects *fx);

/* From now on every acquire is refused, and what waits fails. */
void db_pool_core_close (DbPoolCore *self, gint64 now, DbPoolEffects *fx);
gboolean db_pool_core_is_closed (DbPoolCore *self);

/* Calls @func, under the lock, for the slot of each loan. It may only take references. */
void db_pool_core_foreach_lent (DbPoolCore *self,
                                void (*func) (DbSlot *slot, gpointer data),
                                gpointer data);

void db_pool_core_get_stats (DbPoolCore *self, DbPoolStats *stats);

/* The error of the last open if it failed, or NULL; the caller frees it. */
GError *db_pool_core_dup_open_error (DbPoolCore *self);

/* Aborts when a counter or a list contradicts another, or the invariant above does not hold. */
void db_pool_core_validate (DbPoolCore *self, gint64 now);
