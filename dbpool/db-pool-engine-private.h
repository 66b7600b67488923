/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A pool at work: the core with real threads, a real clock, a manager and sessions.
 *
 * DbPool is a thin GObject over an engine. The engine is counted separately, because it outlives
 * the pool: as long as a session is lent, or one is being closed, or a job runs. What the core asks
 * for is done here, after its lock was left: opening, checking, resetting and closing are jobs on
 * dbpool's threads; decided asynchronous tickets go to their main contexts; blocking ones are
 * woken.
 *
 * Locks: the engine's own protects the list of those who wait for its end; the timer's makes
 * reading the core's timer and arming it one step. Neither is held while the core, a manager or a
 * callback runs, but that the timer's is held while the core's timer is read. */

#pragma once

#include "db-connection-manager.h"
#include "db-dispatcher-private.h"
#include "db-lease-private.h"
#include "db-pool-config.h"
#include "db-pool-stats.h"
#include "db-worker-private.h"

struct _DbEngine
{
  int ref_count; /* atomic */

  /* read-only after construction */
  DbConnectionManager *manager;
  DbPoolConfig *config;
  char *name;
  guint fork_generation;
  GCancellable *cancellable; /* of opens and checks; cancelled when the pool closes */
  DbPoolCore *core;
  DbDispatcherSet *dispatchers;

  int reset_level; /* atomic: DbResetLevel */
  int closing;     /* atomic: somebody may wait for changed */

  DbLock lock;
  DbCond changed;            /* lock: after an effect of a closed pool */
  gint64 connection_timeout; /* lock */

  DbLock timer_lock;
  DbTimer *timer; /* timer_lock; NULL once closed; holds a reference to the engine */
};

DbEngine *db_engine_new (DbConnectionManager *manager, DbPoolConfig *config, const char *name);
DbEngine *db_engine_ref (DbEngine *self);
void db_engine_unref (DbEngine *self);

/* Takes the settings of the configuration over. */
void db_engine_configure (DbEngine *self);

/* Lends a session for @timeout microseconds at most (-1: what the pool says; 0: only an idle one).
 * Returns its lease, with the number of the loan, or NULL. */
DbLease *db_engine_acquire (DbEngine *self,
                            DbAcquireFlags flags,
                            gint64 timeout,
                            const char *tag,
                            GCancellable *cancellable,
                            guint64 *loan,
                            GError **error);

/* A loan without a handle, for one operation of the caller's, who has the session until
 * db_lease_end_one_shot() and no reference. */
DbLease *
db_engine_acquire_one_shot (DbEngine *self, GCancellable *cancellable, GError **error);

/* The same asynchronously: @func gets, once, in the thread-default context of the caller and never
 * inside this call, a lease or an error (which it owns). */
typedef void (*DbEngineFunc) (DbLease *lease, guint64 loan, GError *error, gpointer data);

void db_engine_acquire_async (DbEngine *self,
                              DbAcquireFlags flags,
                              gint64 timeout,
                              const char *tag,
                              GCancellable *cancellable,
                              DbEngineFunc func,
                              gpointer data);

/* A loan is over: judges the session, and lends it again, resets it or closes it. Only for
 * db-lease.c. */
void db_engine_give_back (DbEngine *self, DbLease *lease);

/* Refuses and wakes everybody, and closes what is idle; the rest when it comes back. Does not wait.
 */
void db_engine_shut_down (DbEngine *self);

/* The same, and waits; after @timeout microseconds ends the loans that are still out. */
gboolean
db_engine_close (DbEngine *self, gint64 timeout, GCancellable *cancellable, GError **error);

gboolean db_engine_is_closed (DbEngine *self);
DbPoolStats *db_engine_get_stats (DbEngine *self);
const char *db_engine_get_name (DbEngine *self);
gboolean db_engine_is_forked (DbEngine *self);

/* Between db-pool-engine.c and db-pool-acquire.c. */
void db_engine_run_effects (DbEngine *self, DbPoolEffects *fx);
void db_engine_announce (DbTicket *ticket); /* consumes the reference */
void db_engine_deliver_cb (gpointer item, gpointer engine);
void db_engine_set_forked_error (DbEngine *self, GError **error);
