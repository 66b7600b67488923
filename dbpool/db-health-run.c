/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Health checks under way, and their verdicts; see the private header.
 *
 * The lock protects those who wait and the report; nothing is called under it. Whoever ends the
 * probe makes the report, on whatever thread, and tells everybody. */

#include "config.h"

#include "db-health-run-private.h"

#include "db-error.h"
#include "db-health-probe-private.h"
#include "db-health-report-private.h"
#include "db-lock-private.h"
#include "db-pool-stats-private.h"

/* What else waits than blocking callers. */
typedef struct
{
  GTask *task;     /* or NULL, then: */
  GSource *cancel; /* of a task with a cancellable; or NULL */
  DbHealthRunFunc func;
  gpointer data;
  GDestroyNotify data_unref;
} Waiter;

struct _DbHealthRun
{
  int ref_count;

  DbEngine *engine; /* until the probe has ended, for whoever ends it */

  /* read-only after construction */
  DbHealthSettings settings;
  guint64 failures_before;
  gint64 began;

  DbLock lock;
  DbCond changed;         /* lock */
  DbHealthReport *report; /* lock; NULL: under way */
  GPtrArray *waiters;     /* lock: of Waiter */
};

guint64
db_health_count_failures (DbEngine *engine)
{
  DbPoolStats stats;

  db_pool_core_get_stats (engine->core, &stats);
  return stats.timeouts + stats.errors;
}

/* The verdict. */

static double
to_seconds (gint64 microseconds)
{
  return microseconds / (double) G_TIME_SPAN_SECOND;
}

/* Reasons that the manager gave, under a name of its facts that is reserved for them. */
static void
add_managers_reasons (DbHealthReport *report,
                      GVariant *facts,
                      const char *name,
                      DbHealthStatus status)
{
  g_autoptr (GVariant) reasons = g_variant_lookup_value (facts, name, G_VARIANT_TYPE ("a{ss}"));
  GVariantIter iter;
  const char *code;
  const char *text;

  if (reasons == NULL)
    return;
  g_variant_iter_init (&iter, reasons);
  while (g_variant_iter_next (&iter, "{&s&s}", &code, &text))
    db_health_report_add (report, status, code, "%s", text);
}

static void
take_facts (DbHealthReport *report, GVariant *facts)
{
  GVariantDict rest;

  add_managers_reasons (report, facts, "unhealthy", DB_HEALTH_UNHEALTHY);
  add_managers_reasons (report, facts, "degraded", DB_HEALTH_DEGRADED);
  g_variant_dict_init (&rest, facts);
  g_variant_dict_remove (&rest, "unhealthy");
  g_variant_dict_remove (&rest, "degraded");
  report->facts = g_variant_ref_sink (g_variant_dict_end (&rest));
}

static void
judge_answer (DbHealthRun *self, DbHealthReport *report, const DbProbeResult *result)
{
  gint64 limit = self->settings.round_trip_threshold;

  report->answered = TRUE;
  report->round_trip = result->round_trip;
  if (limit > 0 && result->round_trip > limit)
    db_health_report_add (report, DB_HEALTH_DEGRADED, "slow",
                          "the database took %.3f s to answer, which is longer than %.3f s",
                          to_seconds (result->round_trip), to_seconds (limit));
  if (result->facts != NULL)
    take_facts (report, result->facts);
  else if (result->facts_error != NULL)
    {
      db_health_report_add (report, DB_HEALTH_DEGRADED, "facts",
                            "the database answers, but could not be looked at: %s",
                            result->facts_error->message);
      report->error = g_error_copy (result->facts_error);
    }
  else
    db_health_report_add (report, DB_HEALTH_DEGRADED, "facts",
                          "the database answers, but could not be looked at within the %.3f s of "
                          "the check",
                          to_seconds (self->settings.timeout));
}

/* Everything is lent, and nothing came back in time. Long statements are no illness; but when none
 * of them has ended for too long, or a session could not be opened since, nothing speaks for the
 * database any more. Of dedicated sessions nothing is known. */
static void
judge_by_successes (DbHealthRun *self,
                    DbHealthReport *report,
                    const DbPoolCoreInfo *info,
                    const GError *open_error)
{
  gint64 limit = self->settings.success_age_threshold;
  gint64 proven_at = db_pool_core_get_proven_at (self->engine->core);
  gint64 now = g_get_monotonic_time ();
  gboolean hangs = report->stats->opening > 0 && proven_at <= self->began;

  if (hangs || (open_error != NULL && info->failed_at > proven_at))
    {
      db_health_report_add (report, DB_HEALTH_UNHEALTHY, "no-connection",
                            "all sessions are in use, none has ended a statement for %.1f s, and "
                            "no other one can be opened: %s",
                            to_seconds (MAX (report->success_age, now - self->began)),
                            open_error != NULL ? open_error->message
                                               : "the database does not answer");
      if (open_error != NULL)
        report->error = g_error_copy (open_error);
    }
  else if (limit > 0 && report->stats->lent > 0 && report->success_age > limit)
    db_health_report_add (report, DB_HEALTH_UNHEALTHY, "no-success",
                          "all sessions are in use, and none has ended a statement for %.1f s, "
                          "which is longer than %.1f s",
                          to_seconds (report->success_age), to_seconds (limit));
  else if (report->success_age >= 0)
    db_health_report_add (report, DB_HEALTH_DEGRADED, "no-session",
                          "all sessions are in use, and none was free within %.3f s; one worked "
                          "%.1f s ago",
                          to_seconds (self->settings.timeout), to_seconds (report->success_age));
  else
    db_health_report_add (report, DB_HEALTH_DEGRADED, "no-session",
                          "all sessions are in use, and none was free within %.3f s; of those that "
                          "are dedicated nothing is known",
                          to_seconds (self->settings.timeout));
}

/* No session was had, and time is up. */
static void
judge_silence (DbHealthRun *self, DbHealthReport *report, const DbPoolCoreInfo *info)
{
  gboolean permanent;
  g_autoptr (GError) open_error = db_pool_core_dup_open_error (self->engine->core, &permanent);

  if (report->stats->lent + report->stats->dedicated > 0)
    {
      judge_by_successes (self, report, info, open_error);
      return;
    }
  if (open_error != NULL)
    db_health_report_add (report, DB_HEALTH_UNHEALTHY, "no-connection",
                          "no session could be opened within %.3f s; the last attempt: %s",
                          to_seconds (self->settings.timeout), open_error->message);
  else
    db_health_report_add (report, DB_HEALTH_UNHEALTHY, "no-connection",
                          "no session could be opened within %.3f s: the database does not answer",
                          to_seconds (self->settings.timeout));
  report->error = open_error != NULL ? g_error_copy (open_error)
                                     : g_error_new (DB_ERROR, DB_ERROR_TIMEOUT,
                                                    "no session could be opened within %.3f s",
                                                    to_seconds (self->settings.timeout));
}

static void
judge_no_answer (DbHealthRun *self, DbHealthReport *report, const DbProbeResult *result)
{
  if (result->late)
    {
      db_health_report_add (report, DB_HEALTH_UNHEALTHY, "no-answer",
                            "the database did not answer within %.3f s",
                            to_seconds (self->settings.timeout));
      report->error = g_error_new (DB_ERROR, DB_ERROR_TIMEOUT, "no answer within %.3f s",
                                   to_seconds (self->settings.timeout));
      return;
    }
  db_health_report_add (report, DB_HEALTH_UNHEALTHY, "no-answer",
                        "a session did not answer, and was closed: %s",
                        result->error != NULL ? result->error->message : "nobody said why");
  if (result->error != NULL)
    report->error = g_error_copy (result->error);
}

static void
judge_probe (DbHealthRun *self,
             DbHealthReport *report,
             const DbPoolCoreInfo *info,
             const DbProbeResult *result)
{
  if (result->answered)
    judge_answer (self, report, result);
  else if (result->state == DB_PROBE_SUSPENDED)
    db_health_report_add (report, DB_HEALTH_DEGRADED, "suspended",
                          "pool %s is suspended: callers wait until it is resumed",
                          report->pool_name);
  else if (result->state == DB_PROBE_FAILED)
    {
      db_health_report_add (report, DB_HEALTH_UNHEALTHY, "no-connection",
                            "no session can be opened: %s", result->error->message);
      report->error = g_error_copy (result->error);
    }
  else if (result->state == DB_PROBE_GRANTED)
    judge_no_answer (self, report, result);
  else if (result->state != DB_PROBE_PROVEN)
    judge_silence (self, report, info);
}

/* What the pool's numbers say, whatever the database does. */
static void
judge_pool (DbHealthRun *self, DbHealthReport *report, const DbPoolCoreInfo *info, gint64 now)
{
  const DbHealthSettings *settings = &self->settings;
  const DbPoolStats *stats = report->stats;
  guint used = stats->lent + stats->dedicated;
  gint64 wait = info->oldest_wait > 0 ? now - info->oldest_wait : 0;
  guint64 failures = stats->timeouts + stats->errors - self->failures_before;
  gboolean permanent;
  g_autoptr (GError) open_error = db_pool_core_dup_open_error (self->engine->core, &permanent);

  if (settings->wait_threshold > 0 && wait > settings->wait_threshold)
    db_health_report_add (report, DB_HEALTH_DEGRADED, "waiting",
                          "%u wait for a connection of pool %s, the first for %.1f s",
                          stats->waiting, report->pool_name, to_seconds (wait));
  if (settings->saturation_threshold > 0 &&
      used * 100ull >= (guint64) settings->saturation_threshold * info->max_connections)
    db_health_report_add (report, DB_HEALTH_DEGRADED, "saturated",
                          "%u of the %u connections of pool %s are in use", used,
                          info->max_connections, report->pool_name);
  if (settings->failure_threshold > 0 && failures >= settings->failure_threshold)
    db_health_report_add (report, DB_HEALTH_DEGRADED, "failures",
                          "%" G_GUINT64_FORMAT " %s got no connection from pool %s within the last "
                          "%.0f s",
                          failures, failures == 1 ? "caller" : "callers", report->pool_name,
                          to_seconds (settings->failure_window));
  /* One of long ago is no news: nobody has needed a further session since. */
  if (open_error != NULL && report->status < DB_HEALTH_UNHEALTHY &&
      now - info->failed_at <= settings->failure_window)
    db_health_report_add (report, DB_HEALTH_DEGRADED, "open-failed",
                          "no further session can be opened: %s", open_error->message);
}

DbHealthReport *
db_health_report_new_closed (const char *pool_name, DbEngine *engine)
{
  DbHealthReport *report = db_health_report_new (pool_name);

  if (engine != NULL)
    {
      report->stats = db_engine_get_stats (engine);
      report->database = db_connection_manager_describe (db_engine_get_manager (engine));
    }
  db_health_report_add (report, DB_HEALTH_UNHEALTHY, "closed", "pool %s is closed", pool_name);
  return db_health_report_finish (report);
}

static DbHealthReport *
make_report (DbHealthRun *self, const DbProbeResult *result)
{
  DbEngine *engine = self->engine;
  gint64 now = g_get_monotonic_time ();
  gint64 proven_at = db_pool_core_get_proven_at (engine->core);
  DbPoolCoreInfo info;
  DbHealthReport *report;

  if (result->state == DB_PROBE_CLOSED || db_engine_is_closed (engine))
    report = db_health_report_new_closed (db_engine_get_name (engine), engine);
  else
    {
      report = db_health_report_new (db_engine_get_name (engine));
      report->stats = db_engine_get_stats (engine);
      report->database = db_connection_manager_describe (db_engine_get_manager (engine));
      db_engine_get_info (engine, &info);
      report->success_age = proven_at > 0 ? MAX (now - proven_at, 0) : -1;
      judge_probe (self, report, &info, result);
      judge_pool (self, report, &info, now);
      db_health_report_finish (report);
    }
  report->duration = now - self->began;
  return report;
}

/* Those who wait. */

static void
waiter_free (gpointer data)
{
  Waiter *waiter = data;

  if (waiter->cancel != NULL)
    {
      g_source_destroy (waiter->cancel);
      g_source_unref (waiter->cancel);
    }
  g_clear_object (&waiter->task);
  if (waiter->data_unref != NULL)
    waiter->data_unref (waiter->data);
  g_free (waiter);
}

static void
waiter_tell (Waiter *waiter, DbHealthReport *report)
{
  if (waiter->task != NULL)
    {
      DB_TSAN_RELEASE (report); /* GTask orders what is done to it there */
      g_task_return_pointer (waiter->task, g_object_ref (report), g_object_unref);
    }
  else
    waiter->func (report, waiter->data);
}

static void
probe_ended_cb (const DbProbeResult *result, gpointer data)
{
  DbHealthRun *self = data;
  DbHealthReport *report = make_report (self, result);
  g_autoptr (GPtrArray) waiters = NULL;

  db_lock_lock (&self->lock);
  self->report = report;
  waiters = g_steal_pointer (&self->waiters);
  db_cond_broadcast (&self->changed);
  db_lock_unlock (&self->lock);
  for (guint i = 0; i < waiters->len; i++)
    waiter_tell (g_ptr_array_index (waiters, i), report);
  /* A checker keeps its last run, and would keep this. */
  g_clear_pointer (&self->engine, db_engine_unref);
}

DbHealthRun *
db_health_run_new (DbEngine *engine, const DbHealthSettings *settings, guint64 failures_before)
{
  DbHealthRun *self = g_new0 (DbHealthRun, 1);

  self->ref_count = 1;
  self->engine = db_engine_ref (engine);
  self->settings = *settings;
  self->failures_before = failures_before;
  self->began = g_get_monotonic_time ();
  self->waiters = g_ptr_array_new_with_free_func (waiter_free);
  db_lock_init (&self->lock);
  db_cond_init (&self->changed);
  return self;
}

DbHealthRun *
db_health_run_ref (DbHealthRun *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
db_health_run_unref (DbHealthRun *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  DB_TSAN_ACQUIRE (&self->lock);
  g_clear_pointer (&self->waiters, g_ptr_array_unref);
  g_clear_object (&self->report);
  g_clear_pointer (&self->engine, db_engine_unref);
  db_cond_clear (&self->changed);
  db_lock_clear (&self->lock);
  g_free (self);
}

static void
run_unref (gpointer data)
{
  db_health_run_unref (data);
}

void
db_health_run_start (DbHealthRun *self)
{
  gint64 timeout = self->settings.timeout;
  gint64 deadline = timeout > G_MAXINT64 - self->began ? G_MAXINT64 : self->began + timeout;

  db_engine_probe (self->engine,
                   self->settings.quick_check ? DB_HEALTH_QUICK_CHECK : DB_HEALTH_NONE, deadline,
                   probe_ended_cb, db_health_run_ref (self), run_unref);
}

gboolean
db_health_run_is_done (DbHealthRun *self)
{
  DB_LOCK_SCOPE (&self->lock);

  return self->report != NULL;
}

static void
wait_cancelled_cb (GCancellable *cancellable, DbHealthRun *self)
{
  DB_LOCK_SCOPE (&self->lock);

  db_cond_broadcast (&self->changed);
}

static void
handler_ended (gpointer data, GClosure *closure)
{
  db_health_run_unref (data);
}

/* Not g_cancellable_disconnect(), which waits for handlers that may wait for us. */
DbHealthReport *
db_health_run_wait (DbHealthRun *self, GCancellable *cancellable, GError **error)
{
  DbHealthReport *report = NULL;
  gulong handler = 0;

  if (cancellable != NULL)
    handler = g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (wait_cancelled_cb),
                                     db_health_run_ref (self), handler_ended, 0);
  db_lock_lock (&self->lock);
  while (self->report == NULL && !g_cancellable_is_cancelled (cancellable))
    db_cond_wait (&self->changed, &self->lock);
  if (self->report != NULL)
    report = g_object_ref (self->report);
  db_lock_unlock (&self->lock);
  if (handler != 0)
    g_signal_handler_disconnect (cancellable, handler);
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    g_clear_object (&report);
  return report;
}

/* Adds it, unless the report is there: then that is returned, and the waiter is the caller's. */
static DbHealthReport *
add_waiter (DbHealthRun *self, Waiter *waiter)
{
  DB_LOCK_SCOPE (&self->lock);

  if (self->report != NULL)
    return g_object_ref (self->report);
  g_ptr_array_add (self->waiters, waiter);
  /* Now, because whoever takes the waiter out ends its source, on any thread. */
  if (waiter->cancel != NULL)
    g_source_attach (waiter->cancel, g_task_get_context (waiter->task));
  return NULL;
}

typedef struct
{
  DbHealthRun *run;
  Waiter *waiter; /* valid while it is among the run's */
} Cancel;

static void
cancel_free (gpointer data)
{
  Cancel *cancel = data;

  db_health_run_unref (cancel->run);
  g_free (cancel);
}

/* In the context of the task, whose end comes in there too. */
static gboolean
task_cancelled_cb (GCancellable *cancellable, gpointer data)
{
  Cancel *cancel = data;
  DbHealthRun *self = cancel->run;
  GTask *task = NULL;
  guint index;

  db_lock_lock (&self->lock);
  if (self->waiters != NULL && g_ptr_array_find (self->waiters, cancel->waiter, &index))
    {
      task = g_object_ref (cancel->waiter->task);
      g_ptr_array_steal_index_fast (self->waiters, index);
    }
  db_lock_unlock (&self->lock);
  if (task != NULL)
    {
      waiter_free (cancel->waiter);
      g_task_return_error_if_cancelled (task);
      g_object_unref (task);
    }
  return G_SOURCE_REMOVE;
}

void
db_health_run_add_task (DbHealthRun *self, GTask *task)
{
  GCancellable *cancellable = g_task_get_cancellable (task);
  Waiter *waiter = g_new0 (Waiter, 1);
  g_autoptr (DbHealthReport) report = NULL;

  waiter->task = task;
  if (cancellable != NULL)
    {
      Cancel *cancel = g_new0 (Cancel, 1);

      cancel->run = db_health_run_ref (self);
      cancel->waiter = waiter;
      waiter->cancel = g_cancellable_source_new (cancellable);
      g_source_set_callback (waiter->cancel, G_SOURCE_FUNC (task_cancelled_cb), cancel,
                             cancel_free);
    }
  report = add_waiter (self, waiter);
  if (report == NULL)
    return;
  waiter_tell (waiter, report);
  waiter_free (waiter);
}

void
db_health_run_add_func (DbHealthRun *self,
                        DbHealthRunFunc func,
                        gpointer data,
                        GDestroyNotify data_unref)
{
  Waiter *waiter = g_new0 (Waiter, 1);
  g_autoptr (DbHealthReport) report = NULL;

  waiter->func = func;
  waiter->data = data;
  waiter->data_unref = data_unref;
  report = add_waiter (self, waiter);
  if (report == NULL)
    return;
  waiter_tell (waiter, report);
  waiter_free (waiter);
}
