/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Inside the core: its fields, and the steps that db-pool-balance.c takes for db-pool-core.c.
 *
 * Every function here needs the lock. */

#pragma once

#include "db-deadline-heap-private.h"
#include "db-lock-private.h"
#include "db-pool-core-private.h"

/* For how long callers count on a session that is being checked or reset, before another one is
 * opened for them if there is room. */
#define DB_PATIENCE (250 * G_TIME_SPAN_MILLISECOND)

/* How long every session must have been lent to threads that wait before that is reported. */
#define DB_DEADLOCK_PATIENCE (100 * G_TIME_SPAN_MILLISECOND)

/* How many loans end before what they took is put into the histogram. */
#define DB_N_RECENT_USES 15

/* How many events wait for their main context at most. */
#define DB_MAX_EVENTS 4096

struct _DbPoolCore
{
  /* read often, and rarely changed */
  int ref_count;             /* atomic */
  int observed;              /* atomic: by so many */
  const guint *fork_counter; /* not behind the lock: in a child that may be held by nobody */
  guint fork_generation;
  int n_handed; /* lock, but read atomically: sessions granted to threads that have not run */
  DbPoolSettings settings; /* lock */

  /* what each loan changes: three lines, or four. All of it: lock */
  DbLock lock __attribute__ ((aligned (DB_LINE_SIZE)));
  GQueue idle;             /* of DbSlot.link; the head was used last */
  GQueue loans;            /* of DbSlot.link; the head was lent first */
  guint n_recent_unwaited; /* acquires that did not wait, ... */
  guint n_recent_uses;     /* ... and loans that ended: not in the histograms yet, which lie in
                              several places */
  DbPoolStats stats;       /* begins with a line of its own */

  guint64 random __attribute__ ((aligned (DB_LINE_SIZE))); /* of db_pool_core_random_locked() */
  gint64 recent_uses[DB_N_RECENT_USES];                    /* microseconds */

  /* what changes when something happens. All of it: lock, but for the first two */
  DbHistogram histograms[DB_N_METRICS]; /* atomic */
  gint64 proven_at;         /* atomic: when a session last did what it was asked; 0: not yet */
  GQueue slots;             /* of DbSlot.all_link */
  GQueue queue;             /* of DbTicket.link; the head came first; each a reference */
  GQueue units;             /* the same, for those that ask for room */
  GQueue probes;            /* of DbProbe.link; PENDING */
  DbDeadlineHeap deadlines; /* asynchronous tickets, PENDING or GRANTED */
  GHashTable *waiting;      /* the threads of PENDING blocking tickets in the queue */
  DbListenFunc listens;     /* NULL: nobody does */
  gpointer listens_data;
  GArray *events; /* of DbEvent */
  guint64 last_id;
  gboolean started; /* somebody wanted a session: min-connections holds from now on */
  gboolean closed;
  gboolean suspended;
  gboolean gated;
  gboolean deadlocked;   /* and reported; until a loan ends */
  gint64 deadlock_since; /* 0: not deadlocked */
  gboolean wanted;       /* a try found nothing: open one for the next */
  guint n_in_hooks;      /* PENDING tickets of threads that run a hook */
  guint n_fills;         /* begin_fill() without end_fill() */
  guint fill;            /* so many sessions are to be there, for those */
  guint n_retiring;
  guint n_slow;
  guint generation; /* slots of an older one are closed when they come back */
  guint failures;   /* opens that failed since the last that worked, rounds counted once */
  gint64 failed_at;
  gint64 retry_at;          /* no open before; 0: at once */
  gboolean failed_for_good; /* the last failure was permanent */
  gboolean rejecting;       /* the hook did not want a new session, and none since */
  GError *open_error;       /* of the last open if it failed */
  gint64 timer;             /* what the caller was last asked for; G_MAXINT64: nothing */
};

G_STATIC_ASSERT (offsetof (DbPoolCore, stats) % DB_LINE_SIZE == 0);
G_STATIC_ASSERT (offsetof (DbPoolStats, undelivered) <= DB_LINE_SIZE);
G_STATIC_ASSERT (sizeof (((DbPoolCore *) NULL)->recent_uses) + sizeof (guint64) ==
                 2 * DB_LINE_SIZE);
G_STATIC_ASSERT (offsetof (DbSlot, all_link) <= 2 * DB_LINE_SIZE);

/* A time and a duration, without running over. */
static inline gint64
db_later (gint64 when, gint64 duration)
{
  return duration > G_MAXINT64 - when ? G_MAXINT64 : when + duration;
}

/* How long a decided ticket has waited. Who decided may have read the clock before it was queued.
 */
static inline gint64
db_ticket_wait (const DbTicket *ticket)
{
  return MAX (ticket->decided - ticket->enqueued, 0);
}

/* At least 0 and less than 1, so that pools do not act in step. It need not be hard to guess; GRand
 * would have more bytes than the rest of the core. */
static inline double
db_pool_core_random_locked (DbPoolCore *self)
{
  guint64 mixed = self->random += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  mixed = (mixed ^ (mixed >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  mixed = (mixed ^ (mixed >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return (double) ((mixed ^ (mixed >> 31)) >> 11) / (double) (G_GUINT64_CONSTANT (1) << 53);
}

static inline gboolean
db_pool_core_is_forked (DbPoolCore *self)
{
  return *self->fork_counter != self->fork_generation;
}

void db_pool_core_set_state_locked (DbPoolCore *self,
                                    DbSlot *slot,
                                    DbSlotState state,
                                    gint64 now,
                                    DbPoolEffects *fx);
guint db_pool_core_floor_locked (DbPoolCore *self);
guint db_pool_core_n_sessions_locked (DbPoolCore *self);
/* Sessions that will be there without anybody returning one. */
guint db_pool_core_n_coming_locked (DbPoolCore *self);
void db_pool_core_arm_locked (DbPoolCore *self, gint64 when, DbPoolEffects *fx);
DbSlot *
db_pool_core_new_slot_locked (DbPoolCore *self, DbSlotState state, gint64 now, DbPoolEffects *fx);
void db_pool_core_close_locked (DbPoolCore *self,
                                DbSlot *slot,
                                DbDropReason reason,
                                gint64 now,
                                DbPoolEffects *fx);
/* Sends an idle session through CHECKING: because a ticket waits for it, or unasked. */
void db_pool_core_check_locked (DbPoolCore *self,
                                DbSlot *slot,
                                gboolean for_loan,
                                gint64 now,
                                DbPoolEffects *fx);
void db_pool_core_free_slot_locked (DbPoolCore *self, DbSlot *slot, DbPoolEffects *fx);
/* Whether a session that is at hand must not be lent any more, and why. */
gboolean
db_pool_core_is_over_locked (DbPoolCore *self, DbSlot *slot, gint64 now, DbDropReason *reason);
gboolean db_pool_core_is_stale_locked (DbPoolCore *self, DbSlot *slot, gint64 now);
/* The idle session to be lent next, or NULL. */
DbSlot *db_pool_core_next_idle_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx);
/* The same, but only one that need not be checked first. If there is any, the newest is one. */
DbSlot *db_pool_core_fresh_idle_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx);
void db_pool_core_lend_locked (DbPoolCore *self,
                               DbSlot *slot,
                               guint thread,
                               gint64 now,
                               DbPoolEffects *fx);
/* Puts what was counted lately into the histograms. */
void db_pool_core_settle_locked (DbPoolCore *self);
void db_pool_core_end_loan_locked (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx);
/* Takes a PENDING ticket out of the queue; its reference passes to the caller. */
void db_pool_core_dequeue_locked (DbPoolCore *self, DbTicket *ticket);
void db_pool_core_announce_locked (DbTicket *ticket, DbPoolEffects *fx);
void db_pool_core_fail_locked (DbPoolCore *self, DbTicket *ticket, DbRefusal refusal, gint64 now);
void
db_pool_core_fail_all_locked (DbPoolCore *self, DbRefusal refusal, gint64 now, DbPoolEffects *fx);
void db_pool_core_taken_locked (DbPoolCore *self, DbTicket *ticket, gint64 now, DbPoolEffects *fx);
void db_pool_core_add_event_locked (DbPoolCore *self,
                                    DbEventType type,
                                    gint64 value,
                                    char *text,
                                    const GError *error,
                                    DbPoolEffects *fx);
void db_pool_core_count_handed_locked (DbPoolCore *self, DbTicket *ticket, int n);
gboolean db_pool_core_handed_directly_locked (DbPoolCore *self, DbTicket *ticket, gint64 now);
/* The one place that decides what happens next; called at the end of everything that changed
 * something. */
void db_pool_core_rebalance_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx);
/* When the next idle session is due to be closed, as far as the two ends of the list say. */
gint64 db_pool_core_idle_due_locked (DbPoolCore *self);
/* The idle list is ordered by when its sessions were last used. Nearly always this one is the
 * newest; one that was checked, or was granted to somebody who did not want it any more, goes back
 * to its place. */
void db_pool_core_make_idle_locked (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx);
/* A session that nobody else can snatch goes to the head of the queue, or becomes idle.
 * @past_gate: it has just been through CHECKING. */
void db_pool_core_deliver_locked (DbPoolCore *self,
                                  DbSlot *slot,
                                  gboolean past_gate,
                                  gint64 now,
                                  DbPoolEffects *fx);
/* When to check an idle session unasked. */
gint64 db_pool_core_choose_check_locked (DbPoolCore *self, DbSlot *slot);
void db_pool_core_stop_retiring_locked (DbPoolCore *self, DbSlot *slot);

/* From db-pool-probe.c. Gives idle sessions that nobody waits for to probes. */
void db_pool_core_serve_probes_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx);
/* All that are PENDING end like this. @error: of DB_PROBE_FAILED */
void db_pool_core_end_probes_locked (DbPoolCore *self,
                                     DbProbeState state,
                                     const GError *error,
                                     DbPoolEffects *fx);

/* Deadlocks of threads that acquire more than once. */
gboolean db_pool_core_is_deadlocked_locked (DbPoolCore *self);
void db_pool_core_report_deadlock_locked (DbPoolCore *self, DbPoolEffects *fx);

/* From db-pool-core.c */
GArray *db_pool_core_new_events (void);
gboolean db_pool_core_give_up_locked (DbPoolCore *self,
                                      DbTicket *ticket,
                                      DbTicketState state,
                                      gint64 now,
                                      DbPoolEffects *fx);

/* From db-pool-upkeep.c */
/* When an open session ends and begins to retire, by the settings of now. */
void db_pool_core_choose_end_locked (DbPoolCore *self, DbSlot *slot);
void db_pool_core_evict_locked (DbPoolCore *self, gboolean all, gint64 now, DbPoolEffects *fx);
/* Closes the retiring sessions that are idle and no longer needed. */
void db_pool_core_close_replaced_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx);
