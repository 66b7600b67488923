/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The simulator's world: a core in virtual time, and everybody who deals with it, played by one
 * thread. All that happens is decided by the world's random numbers, and so by its seed.
 *
 * The ledger is a second bookkeeping, which knows nothing of the core's counters and lists: it is
 * written from what goes into the core's functions and what comes out of them, and says after each
 * of them whether that could be. */

#pragma once

#include "db-pool-core-private.h"

#define SIM_MAX_CALLERS 64
#define SIM_MAX_SESSIONS 64
#define SIM_MAX_JOBS 512
#define SIM_N_THREADS 6
#define SIM_MAX_PROBES 4

/* Two threads that read the clock may come to the lock in the other order. */
#define SIM_CLOCK_JITTER 50

typedef struct _SimWorld SimWorld;
typedef struct _SimCaller SimCaller;
typedef struct _SimSession SimSession;
typedef struct _SimProbe SimProbe;

typedef enum
{
  SIM_CALLER_NEW,
  SIM_CALLER_AWAKE,     /* blocking: will look */
  SIM_CALLER_ASLEEP,    /* blocking: waits for a wake-up or its deadline */
  SIM_CALLER_PENDING,   /* asynchronous */
  SIM_CALLER_ANNOUNCED, /* asynchronous: its context will run */
  SIM_CALLER_HOLDS,
} SimCallerState;

struct _SimCaller
{
  DbTicket ticket; /* first */
  SimCallerState state;
  guint64 sequence; /* of arrival */
  gint64 deadline;  /* as it was asked for */
  SimSession *session;
  gboolean woken;   /* a wake-up is on its way */
  gboolean patient; /* has no deadline, and must be served in the end */
  gboolean in_use;
};

struct _SimProbe
{
  DbProbe base; /* first */
  gboolean in_use;
  gboolean is_late; /* nobody wants to know any more */
};

/* Where the ledger has a session. */
typedef enum
{
  SIM_OPENING,
  SIM_AT_REST,
  SIM_CHECKING,
  SIM_LENT, /* also granted, and not taken yet */
  SIM_RESETTING,
  SIM_CLOSING,
  SIM_UNIT,
  SIM_N_PLACES,
} SimPlace;

struct _SimSession
{
  DbSlot *slot;
  SimPlace place;
  SimCaller *holder;  /* of LENT and UNIT */
  SimProbe *probe;    /* of CHECKING: who has it; or NULL */
  SimCaller *in_hook; /* who waits, in a hook that has this session; a reference */
  gint64 begun;       /* when it began to open */
  gint64 born;        /* when it was opened */
  gint64 last_used;
  gint64 proven;
  gint64 lent_at;
  guint loans;
  guint generation;
  gboolean suspect;
  gboolean doomed;
  gboolean dirty;      /* came back so, and was not reset yet */
  gboolean past_gate;  /* has been through the hook in this call */
  gboolean must_close; /* in this call */
  gboolean leak_reported;
};

typedef enum
{
  SIM_JOB_OPEN,
  SIM_JOB_CHECK,
  SIM_JOB_RESET,
  SIM_JOB_CLOSE,
  SIM_JOB_PROBE,
  SIM_JOB_LOOK,
  SIM_JOB_DELIVER,
} SimJobKind;

typedef struct
{
  SimJobKind kind;
  gint64 due;
  SimSession *session;
  SimCaller *caller;
} SimJob;

typedef struct
{
  guint64 requests;
  guint64 ended[DB_TICKET_FAILED + 1]; /* session tickets, by their last state */
  guint64 errors;                      /* those of FAILED that have the error of an open */
  guint64 created;
  guint64 create_failed;
  guint64 dropped[DB_N_DROP_REASONS];
  guint64 detached;
  guint64 finalized;
  guint64 leaks;
  guint64 deadlocks;
  guint64 events_dropped;
} SimCounts;

struct _SimWorld
{
  GRand *random;
  guint fork_counter;
  DbPoolCore *core;
  DbPoolSettings settings;
  gint64 now;
  gint64 call_now; /* what the call that is being looked at was told */
  guint64 trace;
  gboolean closed;
  gboolean suspended;
  gboolean gated;
  gboolean observed;
  gboolean started;
  guint n_fills;
  guint fill;
  guint generation;

  /* faults */
  int fault_percent;
  gint64 timer_lateness;
  gboolean clock_jitters;

  /* everybody */
  SimCaller *callers[SIM_MAX_CALLERS];
  guint64 last_sequence;
  SimProbe probes[SIM_MAX_PROBES];
  SimSession *sessions[SIM_MAX_SESSIONS];
  guint n_sessions;
  SimJob jobs[SIM_MAX_JOBS];
  guint n_jobs;
  gint64 armed; /* the timer; as the engine does it: set when an effect says so */
  gint64 armed_fires;
  guint64 n_turns; /* of advance(), to notice when the world stands still */

  /* the ledger */
  SimCounts counts;
  guint places[SIM_N_PLACES];
  guint n_drained;
  guint failures; /* rounds of opening that failed since one that worked */
  gboolean failed_for_good;
  gboolean rejecting; /* the hook did not want a new session, and none since */
  gint64 failed_at;
  gboolean wanted;        /* somebody who does not wait found nothing, and nothing is coming */
  gboolean lent_now;      /* something was lent in this call */
  gint64 granted_session; /* in this call, to the ticket that came at this time; the last one */
  gint64 granted_unit;
  guint listeners;
  guint events[DB_N_EVENT_TYPES];
  guint n_events;
};

/* sim-world.c: chance and time. */
gint64 sim_between (SimWorld *world, gint64 low, gint64 high);
gboolean sim_chance (SimWorld *world, int percent);
void sim_trace (SimWorld *world, guint64 what);
/* What the next call is told that the time is. */
gint64 sim_clock (SimWorld *world);
void
sim_schedule (SimWorld *world, SimJobKind kind, gint64 due, SimSession *session, SimCaller *caller);
gint64 sim_job_takes (SimWorld *world);
/* Brings the effects of a call about, and looks at everything after it. */
void sim_effects (SimWorld *world, DbPoolEffects *fx);
/* Lets time pass, and what is due in it happen in its order. */
void sim_advance (SimWorld *world, gint64 until);
void sim_tick (SimWorld *world);
/* What hangs does so no longer. */
void sim_let_go (SimWorld *world);

/* sim-ledger.c */
SimSession *sim_ledger_add (SimWorld *world, DbSlot *slot, SimPlace place);
void sim_ledger_remove (SimWorld *world, SimSession *session);
void sim_ledger_move (SimWorld *world, SimSession *session, SimPlace place);
void sim_ledger_born (SimWorld *world, SimSession *session);
void sim_ledger_forget_failures (SimWorld *world);
void sim_ledger_failed (SimWorld *world, SimSession *session, gboolean permanent);
typedef enum
{
  SIM_LOAN_ANY,     /* by a caller who takes what there is */
  SIM_LOAN_IDLE,    /* from the idle list, by the caller himself */
  SIM_LOAN_GRANTED, /* to a ticket */
} SimLoanKind;
void sim_ledger_lend (SimWorld *world, SimSession *session, SimCaller *caller, SimLoanKind kind);
/* For a check that no effect asks for. */
void sim_ledger_take (SimWorld *world, SimSession *session);
/* A loan is over, one way or the other; the session is at rest, for the moment. */
void sim_ledger_end_loan (SimWorld *world, SimSession *session);
void sim_ledger_event (SimWorld *world, DbEventType type);
guint sim_ledger_n_live (SimWorld *world);
guint sim_ledger_n_coming (SimWorld *world);
/* How the ledger's counters and the core's compare, and what may never be. */
void sim_ledger_check (SimWorld *world);
void sim_ledger_check_opens (SimWorld *world);
void sim_ledger_check_timer (SimWorld *world);
void sim_ledger_check_after_tick (SimWorld *world);
gboolean sim_ledger_is_deadlocked (SimWorld *world);

/* sim-callers.c */
SimCaller *sim_caller_new (SimWorld *world, gboolean blocking, gint64 timeout);
void sim_caller_look (SimWorld *world, SimCaller *caller, gboolean sleep);
void sim_caller_deliver (SimWorld *world, SimCaller *caller);
void sim_caller_overdue (SimWorld *world, SimCaller *caller);
/* Nobody of the same kind who came earlier may still wait when this one is served. */
void sim_caller_assert_first (SimWorld *world, SimCaller *caller);
SimCaller *sim_caller_head (SimWorld *world, gboolean unit);
SimCaller *sim_caller_pick (SimWorld *world, gboolean holds);
gboolean sim_thread_waits (SimWorld *world, guint thread);
void sim_ask (SimWorld *world, SimCaller *caller);
void sim_op_acquire (SimWorld *world);
void sim_op_try (SimWorld *world);
void sim_op_unit (SimWorld *world);
void sim_op_release (SimWorld *world);
void sim_op_cancel (SimWorld *world);
void sim_op_detach (SimWorld *world);

/* sim-probes.c */
void sim_op_probe (SimWorld *world);
void sim_op_withdraw (SimWorld *world);
void sim_probes_decided (SimWorld *world, DbProbe *list);
void sim_end_probe (SimWorld *world, SimSession *session, gboolean fails);
void sim_probes_failed (SimWorld *world);
guint sim_probes_waiting (SimWorld *world);
void sim_probes_check (SimWorld *world);

/* sim-owner.c */
void sim_op_owner (SimWorld *world);
void sim_op_listen (SimWorld *world);
void sim_op_fork (SimWorld *world);
void sim_op_close (SimWorld *world);
void sim_suspend (SimWorld *world, gboolean suspend);
void sim_end_fill (SimWorld *world);
void sim_adopt (SimWorld *world, SimCaller *caller);
void sim_configure (SimWorld *world);
void sim_suspect_idle (SimWorld *world);
void sim_take_events (SimWorld *world);
