/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Inside the core: its fields, and the steps that db-pool-balance.c takes for db-pool-core.c.
 *
 * Every function here needs the lock. */

#pragma once

#include "db-deadline-heap-private.h"
#include "db-lock-private.h"
#include "db-pool-core-private.h"

struct _DbPoolCore
{
  DbLock lock;

  /* all of the rest: lock */
  DbPoolSettings settings;
  GRand *random;
  GQueue slots;             /* of DbSlot.all_link */
  GQueue idle;              /* of DbSlot.idle_link; the head came back last */
  GQueue queue;             /* of DbTicket.link; the head came first; each a reference */
  DbDeadlineHeap deadlines; /* asynchronous tickets, PENDING or GRANTED */
  gboolean started;         /* somebody wanted a session: min-connections holds from now on */
  gboolean closed;
  gboolean wanted;  /* a try found nothing: open one for the next */
  guint generation; /* slots of an older one are closed when they come back */
  guint failures;   /* opens that failed since the last that worked, rounds counted once */
  gint64 failed_at;
  gint64 retry_at;          /* no open before; 0: at once */
  gboolean failed_for_good; /* the last failure was permanent */
  GError *open_error;       /* of the last open if it failed */
  gint64 timer;             /* what the caller was last asked for; G_MAXINT64: nothing */
  DbPoolStats stats;
};

void db_pool_core_set_state_locked (DbPoolCore *self, DbSlot *slot, DbSlotState state);
guint db_pool_core_n_sessions_locked (DbPoolCore *self);
/* Sessions that will be there without anybody returning one. */
guint db_pool_core_n_coming_locked (DbPoolCore *self);
void db_pool_core_arm_locked (DbPoolCore *self, gint64 when, DbPoolEffects *fx);
void
db_pool_core_close_locked (DbPoolCore *self, DbSlot *slot, DbDropReason reason, DbPoolEffects *fx);
void db_pool_core_doom_locked (DbSlot *slot, DbDropReason reason);
void db_pool_core_free_slot_locked (DbPoolCore *self, DbSlot *slot, DbPoolEffects *fx);
/* Whether a session that is at hand must not be lent any more, and why. */
gboolean
db_pool_core_is_over_locked (DbPoolCore *self, DbSlot *slot, gint64 now, DbDropReason *reason);
gboolean db_pool_core_is_stale_locked (DbPoolCore *self, DbSlot *slot, gint64 now);
/* The idle session to be lent next, or NULL. */
DbSlot *db_pool_core_next_idle_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx);
/* The same, but only one that need not be checked first. If there is any, the newest is one. */
DbSlot *db_pool_core_fresh_idle_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx);
void db_pool_core_lend_locked (DbPoolCore *self, DbSlot *slot, gint64 now);
/* Takes a PENDING ticket out of the queue; its reference passes to the caller. */
void db_pool_core_dequeue_locked (DbPoolCore *self, DbTicket *ticket);
void db_pool_core_announce_locked (DbTicket *ticket, DbPoolEffects *fx);
void db_pool_core_fail_locked (DbPoolCore *self, DbTicket *ticket, DbRefusal refusal, gint64 now);
void
db_pool_core_fail_all_locked (DbPoolCore *self, DbRefusal refusal, gint64 now, DbPoolEffects *fx);
void db_pool_core_taken_locked (DbPoolCore *self, DbTicket *ticket, gint64 now);
gboolean db_pool_core_handed_directly_locked (DbPoolCore *self, DbTicket *ticket, gint64 now);
/* The one place that decides what happens next; called at the end of everything that changed
 * something. */
void db_pool_core_rebalance_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx);
/* When the next idle session is due to be closed, as far as the two ends of the list say. */
gint64 db_pool_core_idle_due_locked (DbPoolCore *self);
/* The idle list is ordered by when its sessions were last proven. Nearly always this one is the
 * newest; one that was granted, and whose owner did not want it any more, goes back to its place.
 */
void db_pool_core_make_idle_locked (DbPoolCore *self, DbSlot *slot, DbPoolEffects *fx);
/* A session that nobody else can snatch goes to the head of the queue, or becomes idle. */
void db_pool_core_deliver_locked (DbPoolCore *self, DbSlot *slot, gint64 now, DbPoolEffects *fx);
