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
 * Where to find what: db-pool-engine.c makes engines, runs effects and reports; db-pool-jobs.c has
 * the jobs and the hooks; db-pool-acquire.c acquires, and
 * db-pool-errors.c says why that failed; db-pool-lifecycle.c has the calls that wait
 * for many sessions: warming up, reconfiguring, closing.
 *
 * Locks: the engine's own protects the settings that are used outside the core, the managers, the
 * hooks and the list of those who wait for changes; the timer's makes reading the core's timer and
 * arming it one step. Neither is held while a manager or a callback runs. The core's lock is taken
 * inside of both, never the other way round. */

#pragma once

#include "db-connection-manager.h"
#include "db-dispatcher-private.h"
#include "db-lease-private.h"
#include "db-log-private.h"
#include "db-pool-config.h"
#include "db-pool-signals-private.h"
#include "db-pool-stats.h"
#include "db-session-private.h"
#include "db-worker-private.h"

#define DB_N_HOOKS (DB_HOOK_BEFORE_ACQUIRE + 1)

typedef struct
{
  DbHookFunc func; /* NULL: none */
  gpointer data;
  GDestroyNotify destroy;
} DbHookEntry;

struct _DbEngine
{
  int ref_count; /* atomic */

  /* read-only after construction */
  DbPoolConfig *config;
  char *name;
  guint fork_generation;
  GCancellable *cancellable; /* of opens and checks; cancelled when the pool closes */
  DbPoolCore *core;
  DbDispatcherSet *dispatchers;
  DbPoolHome *home;
  GWeakRef pool; /* for hooks */
  DbLogLimits *log_limits;
  gboolean tells_statements;     /* each of them, whatever it took */
  DbStatementCounters *counters; /* of all sessions; what is in it is atomic */

  int reset_level;         /* atomic: DbResetLevel */
  int closing;             /* atomic: no loan begins any more */
  int n_watchers;          /* atomic: how many wait for changed */
  int warned_of_deadlock;  /* atomic: that is said once */
  int started;             /* atomic: somebody acquired; hooks are fixed from then on */
  int statement_cache;     /* atomic: how many statements a session keeps prepared */
  int limits_statements;   /* atomic: one of the limits of statements is not 0 */
  int tell_acquire_from;   /* atomic: waits that may be worth a line in the log; microseconds */
  int tell_statement_from; /* atomic: the same of statements */

  DbLock lock;
  DbCond changed;                /* lock: after effects, while there are watchers */
  gint64 connection_timeout;     /* lock */
  gint64 check_timeout;          /* lock */
  gint64 statement_timeout;      /* lock */
  guint max_sql_length;          /* lock */
  guint max_result_size;         /* lock */
  gint64 slow_acquire_threshold; /* lock */
  gint64 slow_query_threshold;   /* lock */
  gint64 outage_since;           /* lock: no session could be opened since then; 0: none failed */
  gint64 slept;                  /* lock: as much sleep of the machine is known */
  GPtrArray *managers;           /* lock: all it ever had, the last one is in use */
  DbHookEntry hooks[DB_N_HOOKS]; /* lock, but read-only once started */
  GHashTable *dedicated;         /* lock: DbSession to DbDedicated */

  DbLock timer_lock;
  DbTimer *timer; /* timer_lock; NULL once closed; holds a reference to the engine */
};

DbEngine *
db_engine_new (DbConnectionManager *manager, DbPoolConfig *config, const char *name, DbPool *pool);
DbEngine *db_engine_ref (DbEngine *self);
void db_engine_unref (DbEngine *self);

/* Takes the settings of the configuration over. */
void db_engine_configure (DbEngine *self);

/* How many statements a session keeps prepared, at this moment; from any thread. */
guint db_engine_get_statement_cache (DbEngine *self);

/* Puts the limits that hold at this moment into the plan of a statement of the application's, as
 * far as it has none of its own; from any thread. FALSE: its text is too long to be run at all. */
gboolean db_engine_limit_plan (DbEngine *self, DbStatementPlan *plan, GError **error);

/* The manager in use; lives as long as the engine. */
DbConnectionManager *db_engine_get_manager (DbEngine *self);

/* FALSE if it is too late, then @entry is the caller's. */
gboolean db_engine_set_hook (DbEngine *self, DbHook hook, const DbHookEntry *entry);

/* Lends a session for @timeout microseconds at most (-1: what the pool says; 0: only an idle one).
 * Returns its lease, with the number of the loan, or NULL. */
DbLease *db_engine_acquire (DbEngine *self,
                            DbAcquireFlags flags,
                            gint64 timeout,
                            DbTag tag,
                            GCancellable *cancellable,
                            guint64 *loan,
                            GError **error);

/* A loan without a handle, for one operation of the caller's, who has the session until
 * db_lease_end_one_shot() and no reference. */
DbLease *db_engine_acquire_one_shot (DbEngine *self,
                                     const char *sql,
                                     GCancellable *cancellable,
                                     GError **error);

/* The same asynchronously: @func gets, once, in the thread-default context of the caller and never
 * inside this call, a lease or an error (which it owns). */
typedef void (*DbEngineFunc) (DbLease *lease, guint64 loan, GError *error, gpointer data);

void db_engine_acquire_async (DbEngine *self,
                              DbAcquireFlags flags,
                              gint64 timeout,
                              DbTag tag,
                              GCancellable *cancellable,
                              DbEngineFunc func,
                              gpointer data);

/* Waits for room below the maximum: a DEDICATED slot, or NULL. */
DbSlot *db_engine_acquire_unit (DbEngine *self, GCancellable *cancellable, GError **error);
void db_engine_release_unit (DbEngine *self, DbSlot *slot);

/* Opens a session for @slot, which is the caller's, with all hooks; a reference, with no watch.
 * @config: what to open it with, or NULL for the manager's own. */
DbLease *db_engine_open (DbEngine *self,
                         DbConnectionManager *manager,
                         DbDatabaseConfig *config,
                         DbSlot *slot,
                         GCancellable *cancellable,
                         GError **error);
/* From now on the pool hears when the other side of the session hangs up. */
void db_engine_watch (DbLease *lease);

/* Shows a session to a hook, which may reject it. The session is the caller's. */
gboolean db_engine_ask_hook (DbEngine *self, DbHook hook, DbLease *lease, GError **error);

/* A rejection speaks of one session, unless the hook says otherwise. @error: (nullable) */
gboolean db_engine_is_final_rejection (const GError *error);

/* Whether the calling thread runs a hook of this pool. */
gboolean db_engine_is_in_hook (DbEngine *self);

/* A loan is over: judges the session, and lends it again, resets it or closes it. A loan's slot
 * leaves the pool. Only for db-lease.c. Returns what a one-shot's operation took. */
gint64 db_engine_give_back (DbEngine *self, DbLease *lease);
void db_engine_detach (DbEngine *self, DbSlot *slot);

/* Sessions for others, by the pool as a manager. */
DbSession *db_engine_open_dedicated (DbEngine *self,
                                     DbDatabaseConfig *config,
                                     GCancellable *cancellable,
                                     GError **error);
void db_engine_close_dedicated (DbEngine *self, DbSession *session);
/* The manager that opened it; a reference, or NULL. */
DbConnectionManager *db_engine_ref_dedicated_manager (DbEngine *self, DbSession *session);

/* Opens sessions until there are @n; how many there are, or 0 with an error. */
guint db_engine_warm_up (DbEngine *self, guint n, GCancellable *cancellable, GError **error);
gboolean db_engine_reconfigure (DbEngine *self,
                                DbConnectionManager *manager,
                                GCancellable *cancellable,
                                GError **error);

void db_engine_evict (DbEngine *self, gboolean all);
void db_engine_evict_id (DbEngine *self, guint64 id);
void db_engine_suspend (DbEngine *self);
void db_engine_resume (DbEngine *self);

/* Refuses and wakes everybody, and closes what is idle; the rest when it comes back. Does not wait.
 */
void db_engine_shut_down (DbEngine *self);

/* The same, and waits; after @timeout microseconds ends the loans that are still out. */
gboolean
db_engine_close (DbEngine *self, gint64 timeout, GCancellable *cancellable, GError **error);

gboolean db_engine_is_closed (DbEngine *self);
DbPoolStats *db_engine_get_stats (DbEngine *self);
/* The same of a core and of what the sessions count. */
void db_pool_stats_take (DbPoolStats *self, DbPoolCore *core, DbStatementCounters *counters);
/* What the core does not see. @duration: in microseconds. */
void db_engine_record (DbEngine *self, DbMetric metric, gint64 duration);
const char *db_engine_get_name (DbEngine *self);
gboolean db_engine_is_forked (DbEngine *self);

/* What there is to see of a session. */
typedef struct
{
  guint64 id;
  DbSlotState state;
  gint64 born;
  gint64 since;
  gint64 expires;
  guint uses;
  guint thread;
  gboolean leaked;
  gboolean doomed;
  gboolean retiring;
  DbLease *lease; /* a reference; NULL while opening, and of dedicated ones */
} DbSlotInfo;

/* Of DbSlotInfo, by id. Waits for nothing but the core's lock. */
GArray *db_engine_snapshot (DbEngine *self);
void db_engine_get_info (DbEngine *self, DbPoolCoreInfo *info);
/* What a lease shows of itself has changed: tells who looks. Any thread, with no lock held. */
void db_engine_show (DbEngine *self);
/* In db-pool-dump.c. */
char *db_engine_dump (DbEngine *self);

/* The leases of the loans that are out for longest, @n of them at most; references. */
GPtrArray *db_engine_dup_loans (DbEngine *self, guint n);

/* Those who hold connections for longest, at most @n of them, but for the session @but (0: none);
 * for texts. NULL if nobody does. */
char *db_engine_describe_holders (DbEngine *self, guint n, guint64 but);

/* Between the files of the engine. */
void db_engine_run_some_effects (DbEngine *self, DbPoolEffects *fx);
static inline void
db_engine_run_effects (DbEngine *self, DbPoolEffects *fx)
{
  if (db_pool_effects_are_any (fx) || g_atomic_int_get (&self->n_watchers) > 0)
    db_engine_run_some_effects (self, fx);
}

void db_engine_announce (DbTicket *ticket); /* consumes the reference */
void db_engine_deliver_cb (gpointer item, gpointer engine);
/* Of an asynchronous ticket that was granted and is not delivered yet: for whom the slot is. */
char *db_engine_describe_grant (DbTicket *ticket);
void db_engine_set_forked_error (DbEngine *self, GError **error);
/* In db-pool-errors.c. */
GError *db_engine_new_closed_error (DbEngine *self);
GError *db_engine_new_exhausted_error (DbEngine *self);
GError *db_engine_new_ticket_error (DbEngine *self, DbTicket *ticket);
/* What makes callers wait: counts, those who hold connections but for the session @but, and what is
 * wrong. */
char *db_engine_describe_load (DbEngine *self, guint64 but);
/* In db-pool-log.c, with no lock held but where it says so. Durations in microseconds. */
void db_engine_take_thresholds_locked (DbEngine *self, const DbPoolSettings *settings);
/* A session was opened, or not: then with @error. */
void db_engine_tell_of_open (DbEngine *self, guint64 id, gint64 duration, const GError *error);
void db_engine_tell_of_drop (DbEngine *self, guint64 id, DbDropReason reason);
/* Somebody got the session @id after @wait. */
void db_engine_tell_of_wait (DbEngine *self, guint64 id, gint64 wait);
/* A statement is over, for which db_engine_is_told_of(). @about: the one whose rows it read, or
 * NULL.
 */
void db_engine_tell_of_statement (DbEngine *self,
                                  guint64 id,
                                  const DbStatementPlan *plan,
                                  const char *about,
                                  gint64 duration,
                                  DbResult *result,
                                  const GError *error);

static inline gboolean
db_engine_is_told_of (DbEngine *self, gint64 duration)
{
  return MAX (duration, 1) >= g_atomic_int_get (&self->tell_statement_from);
}

/* Whether the machine slept since it was last asked; then idle sessions have become suspect. */
gboolean db_engine_notice_sleep (DbEngine *self);
gint64 db_engine_get_deadline (DbEngine *self, gint64 timeout, gint64 now);

void db_engine_open_job (gpointer data);
void db_engine_check_job (gpointer data);
void db_engine_reset_job (gpointer data);
void db_engine_close_job (gpointer data);

/* In db-health-probe.c: a probe of the core's is decided. */
void db_engine_probe_decided (DbEngine *self, DbProbe *probe);

/* What a job works on; it frees this. */
typedef struct
{
  DbEngine *engine;
  DbSlot *slot;
} DbSlotJob;
