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
 *   DEDICATED  a unit of the limit, out for   release_unit(), or adopt(), which makes it a session
 *              a session that is not lent     of the pool
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
 * that it caused: it gets what comes first. A ticket for a unit waits in a queue of its own, gets a
 * DEDICATED slot when there is room below the maximum, and has an idle session closed for it when
 * it came before every other ticket.
 *
 * A blocking ticket belongs to a thread. While its thread is awake (it has not gone to sleep yet,
 * or it was woken and has not run yet) it will look for itself, and a session that comes back is
 * put on the idle list, where a newcomer may snatch it: that saves a context switch for each
 * release. Once the head of the queue has waited for hand-off-after, and always if it is
 * asynchronous, sessions are handed to it directly.
 *
 * A gated pool (it has a before-acquire hook) lends no session that has not just been through
 * CHECKING. A suspended one neither lends nor opens. In a forked child every function returns at
 * once: the lock may be held by a thread that is not there.
 *
 * A session that nears its end, and without which the pool would fall below min-connections, is
 * retiring: it is lent as before, but no longer counted, so that a replacement is opened; when that
 * is there it is closed.
 *
 * A probe is somebody who wants to ask one session whether it works, and does not borrow it: the
 * session goes through CHECKING in the hands of the probe's owner. Probes come after all tickets,
 * are nobody's request, and have a session opened for them only if there is none and room for one.
 *
 * Events, for signals: one for each thing that happened, appended under the lock and so in order,
 * to a ring that is bounded, and only those that somebody listens to.
 *
 * Invariant after every function (rebalance_locked() sees to it): if a ticket waits then its
 * thread was woken, or a session is being opened, checked or reset, or the next attempt to open has
 * its time, or all sessions up to the maximum are lent or closing. */

#pragma once

#include "db-histogram-private.h"
#include "db-pool-config-private.h"
#include "db-pool-stats-private.h"

#define DB_N_METRICS (DB_METRIC_QUERY + 1)

typedef struct _DbPoolCore DbPoolCore;
typedef struct _DbSlot DbSlot;
typedef struct _DbTicket DbTicket;
typedef struct _DbProbe DbProbe;

/* In the order of DbConnectionState, which is the same for the public. */
typedef enum
{
  DB_SLOT_OPENING,
  DB_SLOT_IDLE,
  DB_SLOT_CHECKING,
  DB_SLOT_LENT,
  DB_SLOT_RESETTING,
  DB_SLOT_CLOSING,
  DB_SLOT_DEDICATED,
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
  DB_REFUSAL_SUSPENDED,
  DB_REFUSAL_DEADLOCK,
  DB_REFUSAL_FORKED,
} DbRefusal;

/* What a returned session is worth, as its protocol says. */
typedef enum
{
  DB_OUTCOME_CLEAN,
  DB_OUTCOME_DIRTY,
  DB_OUTCOME_BROKEN,
} DbOutcome;

typedef enum
{
  DB_LEAK_NONE,
  DB_LEAK_DUE, /* out for too long: to be reported */
  DB_LEAK_REPORTED,
} DbLeakState;

/* How a check ended. */
typedef enum
{
  DB_CHECK_WORKS,
  DB_CHECK_FAILED,
  DB_CHECK_REJECTED, /* by a hook */
} DbCheckResult;

typedef enum
{
  DB_EVENT_ACQUIRED,         /* value: waited for so long */
  DB_EVENT_RETURNED,         /* held for so long */
  DB_EVENT_CREATED,          /* took so long to open */
  DB_EVENT_DROPPED,          /* a DbDropReason */
  DB_EVENT_ACQUIRE_FAILED,   /* error */
  DB_EVENT_LEAK_SUSPECTED,   /* text, held for so long */
  DB_EVENT_DEADLOCK,         /* text */
  DB_EVENT_BACKGROUND_ERROR, /* error */
} DbEventType;

#define DB_N_EVENT_TYPES (DB_EVENT_BACKGROUND_ERROR + 1)

typedef struct
{
  DbEventType type;
  gint64 value;
  char *text;
  GError *error;
} DbEvent;

/* A processor fetches memory by lines of 64 bytes, and from another processor that takes as long as
 * some hundred instructions. So records that each loan changes are aligned, and what it needs of
 * them lies together. */
#define DB_LINE_SIZE 64

struct _DbSlot
{
  /* what each loan needs: two lines */
  GList link; /* in the idle list while IDLE, in that of loans while LENT */
  DbSlotState state;
  guint generation;
  guint uses;
  guint thread;      /* of LENT: that of the blocking caller, or 0 */
  gint64 since;      /* when it came into its state */
  DbTicket *granted; /* of LENT: asynchronous, and its owner has not taken the slot yet; or NULL */
  gpointer data;     /* the caller's */

  gint64 proven_at;         /* when it last was known to work: opened, returned or checked */
  gint64 idle_since;        /* when it was last used */
  gint64 expires;           /* G_MAXINT64: never */
  gint64 check_at;          /* of IDLE: when to check it unasked; G_MAXINT64: never */
  gboolean doomed;          /* to be closed when it comes back, for drop_reason */
  DbDropReason drop_reason; /* of CLOSING */
  gboolean suspect;         /* to be checked before it is lent, whatever the settings say */
  gboolean retiring;
  gboolean slow;        /* of CHECKING and RESETTING: nobody counts on it any more */
  gboolean needs_check; /* of CHECKING: the database is to be asked */
  gboolean needs_hook;  /* of CHECKING: the before-acquire hook is to be asked */
  DbLeakState leak;     /* of LENT */

  /* the rest */
  GList all_link; /* in the list of all slots */
  guint64 id;
  gint64 born;      /* when it began to open */
  gint64 opened_at; /* when it was open; 0: not yet */
  double luck;      /* 0 to 1, chosen then: how much of lifetime-jitter is taken off its life */
  gint64 retire_at; /* when a replacement should be opened; G_MAXINT64: never */
  DbSlot *next;     /* in one of the lists of effects */
};

struct _DbTicket
{
  /* set by the caller before db_pool_core_acquire() */
  gboolean blocking;
  gboolean unit;    /* asks for room instead of a session; blocking */
  gboolean in_hook; /* its thread runs a hook, whose own session will not be there before it */
  guint thread;     /* of a blocking caller, for the detection of deadlocks; 0: none */
  gint64 deadline;  /* G_MAXINT64: none. A blocking ticket's thread watches it by itself */
  GDestroyNotify free_func;

  /* the core's; readable once the ticket is decided */
  int ref_count; /* atomic */
  DbTicketState state;
  DbRefusal refusal; /* of FAILED */
  GError *error;     /* of DB_REFUSAL_OPEN_FAILED */
  DbSlot *slot;      /* of GRANTED and TAKEN */
  gint64 enqueued;
  gint64 decided;
  GList link; /* in a queue while PENDING */
  guint heap_index;
  gboolean awake; /* blocking: the thread will look for itself */
  gboolean waited;
  gboolean deadlocked; /* of TIMED_OUT: nobody could have served it */
  DbTicket *next;      /* in the list of decided tickets */
};

typedef enum
{
  DB_PROBE_NEW,
  DB_PROBE_PENDING,
  DB_PROBE_GRANTED,   /* its slot is CHECKING, until its owner ends that with checked() */
  DB_PROBE_PROVEN,    /* all are in use, and meanwhile one of them was known to work */
  DB_PROBE_FAILED,    /* no session, and none can be opened: the probe has the error */
  DB_PROBE_SUSPENDED, /* the pool is */
  DB_PROBE_CLOSED,
  DB_PROBE_GIVEN_UP, /* by its owner */
} DbProbeState;

struct _DbProbe
{
  DbProbeState state; /* the core's, like all of it; readable once it is no longer PENDING */
  DbSlot *slot;       /* of GRANTED */
  GError *error;      /* of FAILED */
  gint64 began;       /* when it was first asked */
  GList link;         /* among the probes while PENDING */
  DbProbe *next;      /* in the list of decided probes */
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
  DbTicket *wake;    /* wake this thread, so that it looks; a reference */
  DbProbe *probes;   /* tell their owners: no longer PENDING */
  gboolean timer;    /* db_pool_core_get_timer() has become earlier */
  gboolean drained;  /* closed, and the last session is gone */
  gboolean leaks;    /* some loans are out for too long: db_pool_core_take_leaks() */
  gboolean deadlock; /* every session is lent to a thread that waits for one */
  gboolean events;   /* the ring is no longer empty: db_pool_core_take_events() */
  gboolean changed;  /* something that an observer sees */
} DbPoolEffects;

/* Most calls have none. */
static inline gboolean
db_pool_effects_are_any (const DbPoolEffects *self)
{
  return self->open != NULL || self->check != NULL || self->reset != NULL || self->close != NULL ||
         self->decided != NULL || self->wake != NULL || self->probes != NULL || self->timer ||
         self->drained || self->leaks || self->deadlock || self->events || self->changed;
}

#define DB_POOL_EFFECTS_INIT                                                                       \
  {                                                                                                \
    0                                                                                              \
  }

/* @fork_counter: counts the forks that this process is the child of. */
DbPoolCore *
db_pool_core_new (const DbPoolSettings *settings, guint32 seed, const guint *fork_counter);
/* The end of it: all slots are gone. Who has a reference can still look at what was counted. */
void db_pool_core_free (DbPoolCore *self);
DbPoolCore *db_pool_core_ref (DbPoolCore *self);
void db_pool_core_unref (DbPoolCore *self);

void
db_ticket_init (DbTicket *ticket, gboolean blocking, gint64 deadline, GDestroyNotify free_func);
DbTicket *db_ticket_ref (DbTicket *ticket);
void db_ticket_unref (DbTicket *ticket);

/* An idle session for a caller that need not wait, or NULL. With @final that is the whole acquire,
 * and is counted; otherwise bind() goes on. With @any, a session that should be checked first will
 * do.
 * @is_proven: the session worked a moment ago, and need not be looked at before it is used.
 * Otherwise, and with @any, the acquire may still come to nothing: the event is the caller's. */
DbSlot *db_pool_core_try (DbPoolCore *self,
                          gboolean final,
                          gboolean any,
                          guint thread,
                          gint64 now,
                          gboolean *is_proven,
                          DbPoolEffects *fx);

/* Whether a session is lent, so that one may come back any moment. */
gboolean db_pool_core_may_come_back (DbPoolCore *self);

/* Whether a blocking caller was handed a session, and has not run since. Without the lock. */
gboolean db_pool_core_has_handed (DbPoolCore *self);

/* Counts an acquire that found nothing and does not wait; opens a session for the next one. */
void db_pool_core_refuse (DbPoolCore *self, gint64 now, DbPoolEffects *fx);

/* Gives a slot that try() returned, and that turned out to be of no use, back: with the hook's
 * @error if that did not want it, or NULL if it is broken. */
void db_pool_core_reject (DbPoolCore *self,
                          DbSlot *slot,
                          gboolean final,
                          gboolean permanent,
                          const GError *error,
                          gint64 now,
                          DbPoolEffects *fx);

/* Gives a slot that try() returned back, unused: it has to be checked first. */
void db_pool_core_put_back (DbPoolCore *self,
                            DbSlot *slot,
                            gboolean final,
                            gint64 now,
                            DbPoolEffects *fx);

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

/* Ends a ticket as @state, CANCELLED or TIMED_OUT. FALSE if it had ended before. Also a blocking
 * one that is TAKEN, if nobody has used its slot yet: who cancelled in time never gets a session.
 */
gboolean db_pool_core_give_up (DbPoolCore *self,
                               DbTicket *ticket,
                               DbTicketState state,
                               gint64 now,
                               DbPoolEffects *fx);

/* @finalized: the loan ended with the last reference to its handle, which is counted. */
void db_pool_core_give_back (DbPoolCore *self,
                             DbSlot *slot,
                             DbOutcome outcome,
                             gboolean finalized,
                             gint64 now,
                             DbPoolEffects *fx);

/* Takes a lent slot out of the pool for good, and frees it. */
void db_pool_core_detach (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx);

/* The end of a unit: its session is gone, and so is the slot, ... */
void db_pool_core_release_unit (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx);
/* ... or becomes a session of the pool, the first one of a new generation. */
void db_pool_core_adopt (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx);

/* The ends of the effects. open_failed() and closed() free the slot. */
void db_pool_core_opened (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx);
void db_pool_core_open_failed (DbPoolCore *self,
                               DbSlot *slot,
                               const GError *error,
                               gboolean permanent,
                               gint64 now,
                               DbPoolEffects *fx);
void
db_pool_core_checked (DbPoolCore *self,
                      DbSlot *slot,
                      DbCheckResult result,
                      gboolean permanent,  /* of a rejection: the next session will be no better */
                      const GError *error, /* unless it works; of a failure it may be missing */
                      gint64 now,
                      DbPoolEffects *fx);
void db_pool_core_reset_done (DbPoolCore *self,
                              DbSlot *slot,
                              gboolean works,
                              gint64 now,
                              DbPoolEffects *fx);
void db_pool_core_closed (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx);

/* Asks for a session to look at. The probe belongs to its owner, and an effect, of this call or of
 * a later one, says when it is decided. It may be asked again after it ended, with what it began.
 */
void db_pool_core_probe (DbPoolCore *self, DbProbe *probe, gint64 now, DbPoolEffects *fx);

/* Takes a PENDING probe back; FALSE if it was decided before. */
gboolean db_pool_core_withdraw (DbPoolCore *self, DbProbe *probe);

/* A session worked at that time. From any thread, without the lock. */
void db_pool_core_prove (DbPoolCore *self, gint64 now);

/* When a session was last known to work, or 0. */
gint64 db_pool_core_get_proven_at (DbPoolCore *self);

/* When tick() is due; G_MAXINT64: not at all. Between reading it and arming a timer no other thread
 * may do the same, or an earlier time is lost. */
gint64 db_pool_core_get_timer (DbPoolCore *self);

/* The time of the timer has come, or may have. */
void db_pool_core_tick (DbPoolCore *self, gint64 now, DbPoolEffects *fx);

/* A session is of no more use, for @reason: closed at once if idle, else when it comes back. */
void db_pool_core_doom (DbPoolCore *self,
                        DbSlot *slot,
                        DbDropReason reason,
                        gint64 now,
                        DbPoolEffects *fx);
void db_pool_core_doom_by_id (DbPoolCore *self,
                              guint64 id,
                              DbDropReason reason,
                              gint64 now,
                              DbPoolEffects *fx);

/* The machine was asleep: idle sessions are checked before they are lent, and one after the other
 * in the background. */
void db_pool_core_suspect_idle (DbPoolCore *self, gint64 now, DbPoolEffects *fx);

void db_pool_core_configure (DbPoolCore *self,
                             const DbPoolSettings *settings,
                             gint64 now,
                             DbPoolEffects *fx);

/* Closes idle sessions; with @all, also those that are out, when they come back. */
void db_pool_core_evict (DbPoolCore *self, gboolean all, gint64 now, DbPoolEffects *fx);

/* Nothing is lent or opened until db_pool_core_resume(). */
void db_pool_core_suspend (DbPoolCore *self, gint64 now, DbPoolEffects *fx);
void db_pool_core_resume (DbPoolCore *self, gint64 now, DbPoolEffects *fx);
gboolean db_pool_core_is_suspended (DbPoolCore *self);

/* Whether sessions have to be checked before every loan. */
void db_pool_core_set_gated (DbPoolCore *self, gboolean gated);

/* Opens sessions until there are @n, or as many as there may be. Each begin_fill() has its
 * end_fill(); the largest of those that are under way counts. */
void db_pool_core_begin_fill (DbPoolCore *self, guint n, gint64 now, DbPoolEffects *fx);
void db_pool_core_end_fill (DbPoolCore *self);

/* From now on every acquire is refused, and what waits fails. */
void db_pool_core_close (DbPoolCore *self, gint64 now, DbPoolEffects *fx);
gboolean db_pool_core_is_closed (DbPoolCore *self);

/* Call @func under the lock, which may only look and take references: for each slot, the oldest
 * first; for the first @n loans, those out for longest first; for each loan that is out for too
 * long and was not reported yet. */
typedef void (*DbSlotFunc) (DbSlot *slot, gpointer data);

void db_pool_core_foreach (DbPoolCore *self, DbSlotFunc func, gpointer data);
void db_pool_core_foreach_lent (DbPoolCore *self, guint n, DbSlotFunc func, gpointer data);
void db_pool_core_take_leaks (DbPoolCore *self, gint64 now, DbSlotFunc func, gpointer data);

/* What is not a counter, for a dump. */
typedef struct
{
  gboolean closed;
  gboolean suspended;
  gboolean gated;
  gboolean deadlocked;
  gint64 deadlock_since; /* 0: not */
  guint generation;
  guint units_waiting;
  guint failures;     /* opens that failed in a row */
  gint64 failed_at;   /* the last of them; 0: none */
  gint64 retry_at;    /* no open before; 0: at once */
  gint64 oldest_wait; /* since when the first caller in the queue waits; 0: none */
  guint max_connections;
  guint min_connections;
} DbPoolCoreInfo;

void db_pool_core_get_info (DbPoolCore *self, DbPoolCoreInfo *info);

/* With an observer, fx->changed says when it should look again. Each says so, and when it ends. */
void db_pool_core_set_observed (DbPoolCore *self, gboolean observed);
gboolean db_pool_core_is_observed (DbPoolCore *self);

/* Events. @func says whether somebody listens to a type, at the moment when it happens; it is
 * called under the lock and must not call back. NULL: nobody does, and @func is not running any
 * more. */
typedef gboolean (*DbListenFunc) (DbEventType type, gpointer data);

void db_pool_core_set_listen_func (DbPoolCore *self, DbListenFunc func, gpointer data);
/* Appends an event; takes @text and a copy of @error. */
void db_pool_core_add_event (DbPoolCore *self,
                             DbEventType type,
                             gint64 value,
                             char *text,
                             const GError *error,
                             DbPoolEffects *fx);
/* All events, in order. The array clears what is left in it; who takes one out zeroes its place. */
GArray *db_pool_core_take_events (DbPoolCore *self);

void db_pool_core_get_stats (DbPoolCore *self, DbPoolStats *stats);

/* DB_N_METRICS histograms, in microseconds, from any thread and without the lock. The core records
 * all of them but that of queries. Who looks at them calls settle() before: the core puts loans
 * into them some at a time. */
DbHistogram *db_pool_core_get_histograms (DbPoolCore *self);
void db_pool_core_settle (DbPoolCore *self);

/* The error of the last open if it failed, or NULL; the caller frees it.
 * @permanent: whether trying again is in vain. */
GError *db_pool_core_dup_open_error (DbPoolCore *self, gboolean *permanent);

/* Aborts when a counter or a list contradicts another, or the invariant above does not hold. */
void db_pool_core_validate (DbPoolCore *self, gint64 now);
