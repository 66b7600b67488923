/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Engines, the effects of the core and what is reported of it; see the private header. */

#include "config.h"

#include "db-clock-private.h"
#include "db-error-private.h"
#include "db-pool-config-private.h"
#include "db-pool-engine-private.h"
#include "db-pool.h"
#include "db-session-private.h"

/* A sleep of the machine that is worth a look at the sessions. */
#define SLEEP_WORTH_NOTICING G_TIME_SPAN_SECOND

typedef struct
{
  DbSlot *slot;
  DbConnectionManager *manager;
} DbDedicated;

/* Making one. */

static void
timer_cb (gpointer data)
{
  DbEngine *self = data;
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_engine_notice_sleep (self);
  db_pool_core_tick (self->core, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
}

static void
arm_timer (DbEngine *self)
{
  DB_LOCK_SCOPE (&self->timer_lock);

  if (self->timer != NULL)
    db_timer_set (self->timer, db_pool_core_get_timer (self->core));
}

static void
dedicated_free (gpointer data)
{
  DbDedicated *dedicated = data;

  g_object_unref (dedicated->manager);
  g_free (dedicated);
}

/* Nobody else has the lock, or the engine. */
static void
take_settings_locked (DbEngine *self, const DbPoolSettings *settings)
{
  gboolean prepares = settings->prepared_statements == DB_PREPARED_STATEMENTS_AUTO;

  self->connection_timeout = settings->connection_timeout;
  self->check_timeout = settings->check_timeout;
  self->statement_timeout = MIN (settings->statement_timeout, G_MAXINT64 / 2);
  self->max_sql_length = settings->max_sql_length;
  self->max_result_size = settings->max_result_size;
  db_engine_take_thresholds_locked (self, settings);
  g_atomic_int_set (&self->limits_statements, settings->statement_timeout != 0 ||
                                                settings->max_sql_length != 0 ||
                                                settings->max_result_size != 0);
  g_atomic_int_set (&self->statement_cache, prepares ? settings->statement_cache_size : 0);
  g_atomic_int_set (&self->reset_level, settings->reset_level);
}

DbEngine *
db_engine_new (DbConnectionManager *manager, DbPoolConfig *config, const char *name, DbPool *pool)
{
  DbEngine *self = g_new0 (DbEngine, 1);
  DbPoolSettings settings;

  db_pool_config_get_settings (config, &settings);
  self->ref_count = 1;
  self->managers = g_ptr_array_new_with_free_func (g_object_unref);
  if (manager != NULL)
    g_ptr_array_add (self->managers, g_object_ref (manager));
  self->config = g_object_ref (config);
  self->name = g_strdup (name);
  self->log_limits = db_log_limits_new ();
  self->tells_statements = db_log_wants (DB_DEBUG_SQL);
  take_settings_locked (self, &settings);
  self->counters = g_atomic_rc_box_new0 (DbStatementCounters);
  self->slept = db_clock_slept ();
  self->fork_generation = *db_fork_counter ();
  self->cancellable = g_cancellable_new ();
  self->core = db_pool_core_new (&settings, g_random_int (), db_fork_counter ());
  self->dispatchers = db_dispatcher_set_new (db_engine_deliver_cb, self);
  self->dedicated = g_hash_table_new_full (NULL, NULL, NULL, dedicated_free);
  self->home = db_pool_home_new (pool);
  db_pool_core_set_listen_func (self->core, db_pool_listens, pool);
  g_weak_ref_init (&self->pool, pool);
  db_lock_init (&self->lock);
  db_cond_init (&self->changed);
  db_lock_init (&self->timer_lock);
  self->timer = db_timer_new (timer_cb, db_engine_ref (self), (GDestroyNotify) db_engine_unref);
  db_log (DB_LOG_FACTS (DB_LOG_POOL_CREATED, .pool = self->name),
          "pool %s is made, with %u to %u connections", self->name, settings.min_connections,
          settings.max_connections);
  return self;
}

DbEngine *
db_engine_ref (DbEngine *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

static void
engine_free (DbEngine *self)
{
  g_assert (self->timer == NULL);
  for (guint i = 0; i < DB_N_HOOKS; i++)
    if (self->hooks[i].destroy != NULL)
      self->hooks[i].destroy (self->hooks[i].data);
  db_dispatcher_set_free (self->dispatchers);
  db_pool_core_free (self->core);
  db_pool_home_unref (self->home);
  g_weak_ref_clear (&self->pool);
  g_hash_table_unref (self->dedicated);
  g_object_unref (self->cancellable);
  g_ptr_array_unref (self->managers);
  g_object_unref (self->config);
  g_atomic_rc_box_release (self->counters);
  db_log_limits_free (self->log_limits);
  g_free (self->name);
  db_cond_clear (&self->changed);
  db_lock_clear (&self->lock);
  db_lock_clear (&self->timer_lock);
  g_free (self);
}

void
db_engine_unref (DbEngine *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  DB_TSAN_ACQUIRE (&self->lock);
  engine_free (self);
}

gboolean
db_engine_is_forked (DbEngine *self)
{
  return self->fork_generation != *db_fork_counter ();
}

const char *
db_engine_get_name (DbEngine *self)
{
  return self->name;
}

DbConnectionManager *
db_engine_get_manager (DbEngine *self)
{
  if (db_engine_is_forked (self))
    return self->managers->len > 0 ? g_ptr_array_index (self->managers, 0) : NULL;
  DB_LOCK_SCOPE (&self->lock);

  return self->managers->len > 0 ? g_ptr_array_index (self->managers, self->managers->len - 1)
                                 : NULL;
}

guint
db_engine_get_statement_cache (DbEngine *self)
{
  return (guint) g_atomic_int_get (&self->statement_cache);
}

gboolean
db_engine_set_hook (DbEngine *self, DbHook hook, const DbHookEntry *entry)
{
  DbHookEntry old = {0};

  if (db_engine_is_forked (self) || g_atomic_int_get (&self->started))
    return FALSE;
  db_lock_lock (&self->lock);
  old = self->hooks[hook];
  self->hooks[hook] = *entry;
  db_lock_unlock (&self->lock);
  if (hook == DB_HOOK_BEFORE_ACQUIRE)
    db_pool_core_set_gated (self->core, entry->func != NULL);
  if (old.destroy != NULL)
    old.destroy (old.data);
  return TRUE;
}

void
db_engine_configure (DbEngine *self)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbPoolSettings settings;

  if (db_engine_is_forked (self))
    return;
  db_pool_config_get_settings (self->config, &settings);
  db_lock_lock (&self->lock);
  take_settings_locked (self, &settings);
  db_lock_unlock (&self->lock);
  db_pool_core_configure (self->core, &settings, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  db_log (DB_LOG_FACTS (DB_LOG_POOL_CONFIGURED, .pool = self->name),
          "pool %s has other settings, and %u to %u connections", self->name,
          settings.min_connections, settings.max_connections);
}

/* The monotonic clock does not count what the machine slept, but servers and firewalls do. */
gboolean
db_engine_notice_sleep (DbEngine *self)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 slept = db_clock_slept ();
  gboolean noticed;

  db_lock_lock (&self->lock);
  noticed = slept - self->slept >= SLEEP_WORTH_NOTICING;
  if (noticed)
    self->slept = slept;
  db_lock_unlock (&self->lock);
  if (!noticed)
    return FALSE;
  db_log (DB_LOG_FACTS (DB_LOG_MACHINE_SLEPT, .pool = self->name),
          "pool %s: the machine was asleep; idle sessions are checked", self->name);
  db_pool_core_suspect_idle (self->core, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  return TRUE;
}

/* Reports. */

static void
add_lease_cb (DbSlot *slot, gpointer leases)
{
  g_ptr_array_add (leases, db_lease_ref (slot->data));
}

GPtrArray *
db_engine_dup_loans (DbEngine *self, guint n)
{
  GPtrArray *leases = g_ptr_array_new_with_free_func ((GDestroyNotify) db_lease_unref);

  db_pool_core_foreach_lent (self->core, n, add_lease_cb, leases);
  return leases;
}

char *
db_engine_describe_holders (DbEngine *self, guint n, guint64 but)
{
  g_autoptr (GPtrArray) leases = db_engine_dup_loans (self, n);
  GString *text = g_string_new (NULL);
  gint64 now = g_get_monotonic_time ();

  for (guint i = 0; i < leases->len; i++)
    {
      DbLease *lease = g_ptr_array_index (leases, i);
      g_autofree char *holder = lease->id != but ? db_lease_describe (lease, now) : NULL;

      if (holder != NULL)
        g_string_append_printf (text, "%s%s", text->len > 0 ? "; " : "", holder);
    }
  return g_string_free (text, text->len == 0);
}

typedef struct
{
  DbLease *lease;
  DbTicket *granted; /* or NULL */
  gint64 lent_at;
} DbLeak;

static void
add_leak_cb (DbSlot *slot, gpointer leaks)
{
  DbLeak leak = {.lease = db_lease_ref (slot->data), .lent_at = slot->since};

  if (slot->granted != NULL)
    leak.granted = db_ticket_ref (slot->granted);
  g_array_append_val (leaks, leak);
}

/* @holder, which is taken: who has it; NULL: it just came back. */
static void
report_leak (DbEngine *self, DbLeak *leak, char *holder, gint64 now)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 held = now - leak->lent_at;

  if (holder == NULL)
    return;
  db_log (DB_LOG_FACTS (DB_LOG_LEAK_SUSPECTED, .limits = self->log_limits, .pool = self->name,
                        .connection = leak->lease->id, .duration = held),
          "pool %s: a connection has been out for %.1f s, which is longer than its "
          "leak-threshold: %s",
          self->name, held / (double) G_TIME_SPAN_SECOND, holder);
  db_pool_core_add_event (self->core, DB_EVENT_LEAK_SUSPECTED, held, holder, NULL, &fx);
  db_engine_run_effects (self, &fx);
}

/* On the worker, or where the settings were changed. */
static void
report_leaks (DbEngine *self)
{
  g_autoptr (GArray) leaks = g_array_new (FALSE, FALSE, sizeof (DbLeak));
  gint64 now = g_get_monotonic_time ();

  db_pool_core_take_leaks (self->core, now, add_leak_cb, leaks);
  for (guint i = 0; i < leaks->len; i++)
    {
      DbLeak *leak = &g_array_index (leaks, DbLeak, i);

      report_leak (self, leak,
                   leak->granted != NULL ? db_engine_describe_grant (leak->granted)
                                         : db_lease_report_leak (leak->lease, leak->lent_at, now),
                   now);
      g_clear_pointer (&leak->granted, db_ticket_unref);
      db_lease_unref (leak->lease);
    }
}

static void
report_deadlock (DbEngine *self)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  char *holders = db_engine_describe_holders (self, G_MAXUINT, 0);

  if (g_atomic_int_compare_and_exchange (&self->warned_of_deadlock, FALSE, TRUE))
    db_log (DB_LOG_FACTS (DB_LOG_DEADLOCK, .pool = self->name),
            "pool %s: each of its connections is held by a thread that itself waits for this "
            "pool; acquire once in a thread, or raise max-connections: %s",
            self->name, holders != NULL ? holders : "they are just coming back");
  db_pool_core_add_event (self->core, DB_EVENT_DEADLOCK, 0,
                          holders != NULL ? holders : g_strdup (""), NULL, &fx);
  db_engine_run_effects (self, &fx);
}

static void
add_info_cb (DbSlot *slot, gpointer infos)
{
  gboolean has_lease = slot->state != DB_SLOT_OPENING && slot->state != DB_SLOT_DEDICATED;
  DbSlotInfo info = {
    .id = slot->id,
    .state = slot->state,
    .born = slot->born,
    .since = slot->since,
    .expires = slot->expires,
    .uses = slot->uses,
    .thread = slot->state == DB_SLOT_LENT ? slot->thread : 0,
    .leaked = slot->state == DB_SLOT_LENT && slot->leak != DB_LEAK_NONE,
    .doomed = slot->doomed,
    .retiring = slot->retiring,
    .lease = has_lease ? db_lease_ref (slot->data) : NULL,
  };

  g_array_append_val (infos, info);
}

static void
slot_info_clear (gpointer data)
{
  g_clear_pointer (&((DbSlotInfo *) data)->lease, db_lease_unref);
}

GArray *
db_engine_snapshot (DbEngine *self)
{
  GArray *infos = g_array_new (FALSE, FALSE, sizeof (DbSlotInfo));

  g_array_set_clear_func (infos, slot_info_clear);
  db_pool_core_foreach (self->core, add_info_cb, infos);
  return infos;
}

void
db_engine_show (DbEngine *self)
{
  if (db_pool_core_is_observed (self->core))
    db_pool_home_wake (self->home, FALSE, TRUE);
}

void
db_engine_get_info (DbEngine *self, DbPoolCoreInfo *info)
{
  db_pool_core_get_info (self->core, info);
}

DbPoolStats *
db_engine_get_stats (DbEngine *self)
{
  DbPoolStats *stats = g_new0 (DbPoolStats, 1);

  db_pool_stats_take (stats, self->core, self->counters);
  return stats;
}

void
db_pool_stats_take (DbPoolStats *self, DbPoolCore *core, DbStatementCounters *counters)
{
  db_pool_core_get_stats (core, self);
  self->statement_hits = (gsize) g_atomic_pointer_get (&counters->hits);
  self->statement_misses = (gsize) g_atomic_pointer_get (&counters->misses);
}

void
db_engine_record (DbEngine *self, DbMetric metric, gint64 duration)
{
  db_histogram_record (&db_pool_core_get_histograms (self->core)[metric], duration);
}

/* Effects. */

static void
run_jobs (DbEngine *self, DbSlot *slot, DbJobFunc func)
{
  while (slot != NULL)
    {
      DbSlotJob *job = g_new0 (DbSlotJob, 1);
      DbSlot *next = slot->next;

      slot->next = NULL;
      job->engine = db_engine_ref (self);
      job->slot = slot;
      db_worker_run (func, job);
      slot = next;
    }
}

static void
announce_probes (DbEngine *self, DbProbe *probe)
{
  while (probe != NULL)
    {
      DbProbe *next = probe->next;

      probe->next = NULL;
      db_engine_probe_decided (self, probe);
      probe = next;
    }
}

static void
announce_decided (DbTicket *ticket)
{
  while (ticket != NULL)
    {
      DbTicket *next = ticket->next;

      ticket->next = NULL;
      db_engine_announce (ticket);
      ticket = next;
    }
}

void
db_engine_run_some_effects (DbEngine *self, DbPoolEffects *fx)
{
  if (fx->wake != NULL)
    db_engine_announce (fx->wake);
  announce_decided (fx->decided);
  run_jobs (self, fx->open, db_engine_open_job);
  run_jobs (self, fx->check, db_engine_check_job);
  run_jobs (self, fx->reset, db_engine_reset_job);
  run_jobs (self, fx->close, db_engine_close_job);
  announce_probes (self, fx->probes);
  if (fx->timer)
    arm_timer (self);
  if (fx->events || fx->changed)
    db_pool_home_wake (self->home, fx->events, fx->changed);
  if (fx->leaks)
    report_leaks (self);
  if (fx->deadlock)
    report_deadlock (self);
  if (g_atomic_int_get (&self->n_watchers) > 0)
    {
      db_lock_lock (&self->lock);
      db_cond_broadcast (&self->changed);
      db_lock_unlock (&self->lock);
    }
}

/* Loans that end. */

static DbOutcome
judge (DbEngine *self, DbSession *session)
{
  switch (db_session_peek_state (session))
    {
    case DB_SESSION_IDLE:
      break;
    case DB_SESSION_IN_TRANSACTION:
    case DB_SESSION_FAILED_TRANSACTION:
      return DB_OUTCOME_DIRTY;
    case DB_SESSION_BUSY:
    case DB_SESSION_BROKEN:
    default:
      return DB_OUTCOME_BROKEN;
    }
  switch (g_atomic_int_get (&self->reset_level))
    {
    case DB_RESET_CLEAN:
      return DB_OUTCOME_DIRTY;
    case DB_RESET_DIRTY:
      return db_session_peek_dirty (session) ? DB_OUTCOME_DIRTY : DB_OUTCOME_CLEAN;
    case DB_RESET_NONE:
    default:
      return db_session_has_leftovers (session) ? DB_OUTCOME_DIRTY : DB_OUTCOME_CLEAN;
    }
}

gint64
db_engine_give_back (DbEngine *self, DbLease *lease)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbOutcome outcome;
  gboolean was_one_shot;
  gint64 took = 0;
  gint64 now;

  if (db_engine_is_forked (self))
    return 0;
  now = g_get_monotonic_time ();
  was_one_shot = lease->one_shot_since != 0;
  if (was_one_shot)
    {
      took = now - lease->one_shot_since;
      db_engine_record (self, DB_METRIC_QUERY, took);
    }
  lease->one_shot_since = 0;
  outcome = judge (self, lease->session);
  if (was_one_shot && outcome != DB_OUTCOME_BROKEN)
    db_pool_core_prove (self->core, now);
  db_pool_core_give_back (self->core, lease->slot, outcome, lease->finalized, now, &fx);
  db_engine_run_effects (self, &fx);
  return took;
}

void
db_engine_detach (DbEngine *self, DbSlot *slot)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_detach (self->core, slot, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
}

/* Control. */

void
db_engine_evict (DbEngine *self, gboolean all)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_evict (self->core, all, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  if (!db_engine_is_forked (self))
    db_log (DB_LOG_FACTS (DB_LOG_POOL_EVICTED, .pool = self->name), "pool %s: %s", self->name,
            all ? "all sessions are evicted" : "idle sessions are evicted");
}

void
db_engine_evict_id (DbEngine *self, guint64 id)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_doom_by_id (self->core, id, DB_DROP_EVICTED, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
}

void
db_engine_suspend (DbEngine *self)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_suspend (self->core, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  if (!db_engine_is_forked (self))
    db_log (DB_LOG_FACTS (DB_LOG_POOL_SUSPENDED, .pool = self->name), "pool %s is suspended",
            self->name);
}

void
db_engine_resume (DbEngine *self)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_resume (self->core, g_get_monotonic_time (), &fx);
  db_engine_run_effects (self, &fx);
  if (!db_engine_is_forked (self))
    db_log (DB_LOG_FACTS (DB_LOG_POOL_RESUMED, .pool = self->name), "pool %s is resumed",
            self->name);
}

gboolean
db_engine_is_closed (DbEngine *self)
{
  return db_pool_core_is_closed (self->core);
}

/* Dedicated sessions. */

DbSession *
db_engine_open_dedicated (DbEngine *self,
                          DbDatabaseConfig *config,
                          GCancellable *cancellable,
                          GError **error)
{
  DbConnectionManager *manager;
  DbDedicated *dedicated;
  DbSession *session;
  DbLease *lease;
  DbSlot *slot = db_engine_acquire_unit (self, cancellable, error);

  if (slot == NULL)
    return NULL;
  manager = db_engine_get_manager (self);
  lease = db_engine_open (self, manager, config, slot, cancellable, error);
  if (lease == NULL)
    {
      db_engine_release_unit (self, slot);
      return NULL;
    }
  dedicated = g_new0 (DbDedicated, 1);
  dedicated->slot = slot;
  dedicated->manager = g_object_ref (manager);
  session = g_object_ref (lease->session);
  db_lease_unref (lease);
  db_lock_lock (&self->lock);
  g_hash_table_insert (self->dedicated, session, dedicated);
  db_lock_unlock (&self->lock);
  return session;
}

DbConnectionManager *
db_engine_ref_dedicated_manager (DbEngine *self, DbSession *session)
{
  DbDedicated *dedicated;

  if (db_engine_is_forked (self))
    return NULL;
  DB_LOCK_SCOPE (&self->lock);
  dedicated = g_hash_table_lookup (self->dedicated, session);
  return dedicated != NULL ? g_object_ref (dedicated->manager) : NULL;
}

void
db_engine_close_dedicated (DbEngine *self, DbSession *session)
{
  DbDedicated *dedicated = NULL;

  if (db_engine_is_forked (self))
    return;
  db_lock_lock (&self->lock);
  g_hash_table_steal_extended (self->dedicated, session, NULL, (gpointer *) &dedicated);
  db_lock_unlock (&self->lock);
  if (dedicated == NULL)
    {
      db_log (DB_LOG_FACTS (DB_LOG_UNKNOWN_SESSION, .limits = self->log_limits, .pool = self->name),
              "pool %s: close_session() of a session that it did not open, or closed before",
              self->name);
      return;
    }
  db_connection_manager_close_session (dedicated->manager, session);
  db_engine_release_unit (self, dedicated->slot);
  dedicated_free (dedicated);
}
