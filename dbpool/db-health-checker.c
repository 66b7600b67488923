/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Checkers: their settings, the check that is under way, and what a watch makes of many of them.
 * Checks themselves are in db-health-run.c, the source of a watch in db-health-watch.c.
 *
 * The lock protects the properties, the check under way, the past failures and what the watch has
 * seen. Nothing is called under it. A checker holds its pool weakly, and the pool's engine not at
 * all. In a forked child the lock may be held by nobody, so that is asked first. */

#include "config.h"

#include "db-health-checker.h"

#include "db-error.h"
#include "db-health-report-private.h"
#include "db-health-watch-private.h"
#include "db-lock-private.h"
#include "db-pool-private.h"

/* Failures are remembered in so many steps for each window. */
#define STEPS_PER_WINDOW 32

/**
 * DbHealthChecker:
 *
 * Looks after the health of a pool and its database.
 *
 * A check asks one session of the pool, within the limit of the pool and after everybody who waits
 * for a connection, and looks at the numbers of the pool; a [class@Db.HealthReport] says what it
 * found. It never takes longer than [property@Db.HealthChecker:timeout], whatever the database
 * does. It is no acquire: it is in no statistics, emits no signal of the pool's and asks no
 * before-acquire hook. A session that does not answer is closed.
 *
 * Where all sessions are in use for that long, the verdict rests on when one of them last worked.
 *
 * [method@Db.HealthChecker.start] begins a watch, which checks again and again, and changes
 * [property@Db.HealthChecker:status] when as many checks in a row agree as
 * [property@Db.HealthChecker:fall] and [property@Db.HealthChecker:rise] say.
 *
 * A checker may be used from any thread. It does not keep its pool alive.
 *
 * Since: 1.0
 */

typedef struct
{
  gint64 time;
  guint64 failures;
} Sample;

struct _DbHealthChecker
{
  GObject parent_instance;

  /* read-only after construction */
  GWeakRef pool;
  char *pool_name;
  guint fork_generation;

  DbLock lock;
  DbHealthSettings settings; /* lock, like all below */
  gint64 interval;
  guint fall;
  guint rise;
  DbHealthRun *run; /* the last check, perhaps under way */
  GArray *samples;  /* of Sample, the oldest first */
  DbHealthWatch *watch;
  DbHealthStatus status;
  DbHealthReport *report; /* of the watch */
  DbHealthStatus trend;   /* what the last checks of the watch have in common */
  guint n_trend;          /* so many of them, all on the same side of status */
};

typedef enum
{
  PROP_POOL = 1,
  PROP_TIMEOUT,
  PROP_INTERVAL,
  PROP_FALL,
  PROP_RISE,
  PROP_ROUND_TRIP_THRESHOLD,
  PROP_WAIT_THRESHOLD,
  PROP_SATURATION_THRESHOLD,
  PROP_FAILURE_THRESHOLD,
  PROP_FAILURE_WINDOW,
  PROP_SUCCESS_AGE_THRESHOLD,
  PROP_QUICK_CHECK,
  PROP_STATUS,
  PROP_REPORT,
} DbHealthCheckerProperty;

static GParamSpec *properties[PROP_REPORT + 1];

G_DEFINE_FINAL_TYPE (DbHealthChecker, db_health_checker, G_TYPE_OBJECT)

static gboolean
is_forked (DbHealthChecker *self)
{
  return self->fork_generation != db_fork_generation ();
}

/* Beginning a check. */

/* How many acquires had failed when the window that ends now began. The newest sample before the
 * window is kept, so that it is never shorter than it should be, and at most a step longer. */
static guint64
sample_locked (DbHealthChecker *self, guint64 failures, gint64 now)
{
  gint64 window = self->settings.failure_window;
  gint64 begin = window > now ? 0 : now - window;
  guint n_old = 0;
  Sample *last =
    self->samples->len > 0 ? &g_array_index (self->samples, Sample, self->samples->len - 1) : NULL;

  if (last == NULL || now - last->time >= window / STEPS_PER_WINDOW)
    {
      Sample sample = {now, failures};

      g_array_append_val (self->samples, sample);
    }
  while (n_old + 1 < self->samples->len &&
         g_array_index (self->samples, Sample, n_old + 1).time <= begin)
    n_old++;
  if (n_old > 0)
    g_array_remove_range (self->samples, 0, n_old);
  return g_array_index (self->samples, Sample, 0).failures;
}

/* The check that is under way, or a new one; a reference. */
static DbHealthRun *
join_or_begin (DbHealthChecker *self, DbEngine *engine)
{
  guint64 failures = db_health_count_failures (engine);
  g_autoptr (DbHealthRun) old = NULL;
  DbHealthRun *run;
  gboolean is_new;

  db_lock_lock (&self->lock);
  is_new = self->run == NULL || db_health_run_is_done (self->run);
  if (is_new)
    {
      guint64 before = sample_locked (self, failures, g_get_monotonic_time ());

      old = self->run;
      self->run = db_health_run_new (engine, &self->settings, before);
    }
  run = db_health_run_ref (self->run);
  db_lock_unlock (&self->lock);
  if (is_new)
    db_health_run_start (run);
  return run;
}

/* A check that is under way, or NULL and a report if there is nothing to check any more. */
static DbHealthRun *
begin (DbHealthChecker *self, DbHealthReport **report)
{
  g_autoptr (DbPool) pool = g_weak_ref_get (&self->pool);

  if (pool != NULL && !db_engine_is_closed (pool->engine))
    return join_or_begin (self, pool->engine);
  *report = db_health_report_new_closed (self->pool_name, pool != NULL ? pool->engine : NULL);
  return NULL;
}

/* The watch. */

/* What the last checks agree on: as many in a row as it takes must be worse than the status, or
 * better; then it becomes what the least extreme of them said. */
static gboolean
follow_locked (DbHealthChecker *self, DbHealthStatus seen)
{
  gboolean worse = seen > self->status;
  gboolean same_side = self->n_trend > 0 && (self->trend > self->status) == worse;

  if (seen == self->status)
    {
      self->n_trend = 0;
      return FALSE;
    }
  if (!same_side)
    self->trend = seen;
  else
    self->trend = worse ? MIN (self->trend, seen) : MAX (self->trend, seen);
  self->n_trend = same_side ? self->n_trend + 1 : 1;
  if (self->status != DB_HEALTH_UNKNOWN && self->n_trend < (worse ? self->fall : self->rise))
    return FALSE;
  self->status = self->trend;
  self->n_trend = 0;
  return TRUE;
}

static DbHealthRun *
watch_begin (gpointer data, DbHealthReport **report)
{
  DbHealthChecker *self = data;

  *report = NULL;
  return is_forked (self) ? NULL : begin (self, report);
}

/* FALSE: the watch was stopped before, or by somebody who was notified. */
static gboolean
show_report (DbHealthChecker *self, DbHealthWatch *watch, DbHealthReport *report)
{
  g_autoptr (DbHealthReport) old = NULL;
  gboolean is_ours;

  db_lock_lock (&self->lock);
  is_ours = self->watch == watch;
  if (is_ours)
    {
      old = self->report;
      self->report = g_object_ref (report);
    }
  db_lock_unlock (&self->lock);
  if (is_ours)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_REPORT]);
  return is_ours;
}

/* The end of the pool is beyond doubt, and that of the watch. */
static gboolean
follow_watch_locked (DbHealthChecker *self, DbHealthStatus seen, gboolean closed)
{
  gboolean changed = self->status != seen;

  if (!closed)
    return follow_locked (self, seen);
  self->status = seen;
  self->watch = NULL;
  return changed;
}

static gint64
watch_done (gpointer data, DbHealthWatch *watch, DbHealthReport *report)
{
  DbHealthChecker *self = data;
  gboolean closed = db_health_report_has_reason (report, "closed");
  gboolean changed = FALSE;
  gint64 pause;

  if (is_forked (self) || !show_report (self, watch, report))
    return -1;
  db_lock_lock (&self->lock);
  pause = self->watch == watch ? self->interval : -1;
  if (pause >= 0)
    changed = follow_watch_locked (self, report->status, closed);
  db_lock_unlock (&self->lock);

  if (changed)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_STATUS]);
  if (closed && pause >= 0)
    db_health_watch_free (watch);
  return closed ? -1 : pause;
}

static const DbHealthWatchFuncs watch_funcs = {watch_begin, watch_done};

/* The object. */

static void
db_health_checker_constructed (GObject *object)
{
  DbHealthChecker *self = DB_HEALTH_CHECKER (object);
  g_autoptr (DbPool) pool = g_weak_ref_get (&self->pool);

  G_OBJECT_CLASS (db_health_checker_parent_class)->constructed (object);
  self->fork_generation = pool != NULL ? pool->engine->fork_generation : db_fork_generation ();
  self->pool_name = g_strdup (pool != NULL ? db_pool_get_name (pool) : "");
  if (pool != NULL)
    sample_locked (self, db_health_count_failures (pool->engine), g_get_monotonic_time ());
}

static void
db_health_checker_dispose (GObject *object)
{
  db_health_checker_stop (DB_HEALTH_CHECKER (object));
  G_OBJECT_CLASS (db_health_checker_parent_class)->dispose (object);
}

/* What a forked child has of a check that was under way in its parent, it leaves alone. */
static void
db_health_checker_finalize (GObject *object)
{
  DbHealthChecker *self = DB_HEALTH_CHECKER (object);

  if (!is_forked (self))
    g_clear_pointer (&self->run, db_health_run_unref);
  g_clear_object (&self->report);
  g_array_unref (self->samples);
  g_weak_ref_clear (&self->pool);
  g_free (self->pool_name);
  db_lock_clear (&self->lock);
  G_OBJECT_CLASS (db_health_checker_parent_class)->finalize (object);
}

/* Where the value of a property is. */

static gint64 *
get_duration_locked (DbHealthChecker *self, guint id)
{
  switch (id)
    {
    case PROP_TIMEOUT:
      return &self->settings.timeout;
    case PROP_INTERVAL:
      return &self->interval;
    case PROP_ROUND_TRIP_THRESHOLD:
      return &self->settings.round_trip_threshold;
    case PROP_WAIT_THRESHOLD:
      return &self->settings.wait_threshold;
    case PROP_FAILURE_WINDOW:
      return &self->settings.failure_window;
    case PROP_SUCCESS_AGE_THRESHOLD:
      return &self->settings.success_age_threshold;
    default:
      return NULL;
    }
}

static guint *
get_count_locked (DbHealthChecker *self, guint id)
{
  switch (id)
    {
    case PROP_FALL:
      return &self->fall;
    case PROP_RISE:
      return &self->rise;
    case PROP_SATURATION_THRESHOLD:
      return &self->settings.saturation_threshold;
    case PROP_FAILURE_THRESHOLD:
      return &self->settings.failure_threshold;
    default:
      return NULL;
    }
}

static void
get_value_locked (DbHealthChecker *self, guint id, GValue *value)
{
  if (get_duration_locked (self, id) != NULL)
    g_value_set_int64 (value, *get_duration_locked (self, id));
  else if (get_count_locked (self, id) != NULL)
    g_value_set_uint (value, *get_count_locked (self, id));
  else if (id == PROP_QUICK_CHECK)
    g_value_set_boolean (value, self->settings.quick_check);
  else
    g_value_set_enum (value, self->status);
}

static void
db_health_checker_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  DbHealthChecker *self = DB_HEALTH_CHECKER (object);

  if (id == PROP_POOL)
    g_value_take_object (value, g_weak_ref_get (&self->pool));
  else if (id == PROP_REPORT)
    g_value_take_object (value, db_health_checker_dup_report (self));
  else if (is_forked (self))
    g_param_value_set_default (pspec, value);
  else if (id >= PROP_TIMEOUT && id <= PROP_STATUS)
    {
      DB_LOCK_SCOPE (&self->lock);

      get_value_locked (self, id, value);
    }
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

/* Whether it changed. */
static gboolean
set_value_locked (DbHealthChecker *self, guint id, const GValue *value)
{
  gint64 *duration = get_duration_locked (self, id);
  guint *count = get_count_locked (self, id);
  gboolean changed;

  if (duration != NULL)
    {
      changed = *duration != g_value_get_int64 (value);
      *duration = g_value_get_int64 (value);
    }
  else if (count != NULL)
    {
      changed = *count != g_value_get_uint (value);
      *count = g_value_get_uint (value);
    }
  else
    {
      changed = self->settings.quick_check != g_value_get_boolean (value);
      self->settings.quick_check = g_value_get_boolean (value);
    }
  return changed;
}

static void
db_health_checker_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  DbHealthChecker *self = DB_HEALTH_CHECKER (object);
  gboolean changed;

  if (id == PROP_POOL)
    {
      g_weak_ref_set (&self->pool, g_value_get_object (value));
      return;
    }
  if (id < PROP_TIMEOUT || id > PROP_QUICK_CHECK)
    {
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      return;
    }
  db_lock_lock (&self->lock);
  changed = set_value_locked (self, id, value);
  db_lock_unlock (&self->lock);
  if (changed)
    g_object_notify_by_pspec (object, pspec);
}

static void
install_duration (guint id, const char *name, gint64 minimum, gint64 initial)
{
  properties[id] =
    g_param_spec_int64 (name, NULL, NULL, minimum, G_MAXINT64, initial,
                        G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);
}

static void
install_count (guint id, const char *name, guint minimum, guint maximum, guint initial)
{
  properties[id] =
    g_param_spec_uint (name, NULL, NULL, minimum, maximum, initial,
                       G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);
}

static void
install_durations (void)
{
  /**
   * DbHealthChecker:timeout:
   *
   * How long a check may take, with everything, in microseconds.
   *
   * Since: 1.0
   */
  install_duration (PROP_TIMEOUT, "timeout", 1, 5 * G_TIME_SPAN_SECOND);

  /**
   * DbHealthChecker:interval:
   *
   * How long a watch pauses between the end of a check and the next one, in microseconds.
   *
   * Since: 1.0
   */
  install_duration (PROP_INTERVAL, "interval", 1000, 10 * G_TIME_SPAN_SECOND);

  /**
   * DbHealthChecker:round-trip-threshold:
   *
   * A database that takes longer to answer is degraded; in microseconds, 0 for no such limit.
   *
   * Since: 1.0
   */
  install_duration (PROP_ROUND_TRIP_THRESHOLD, "round-trip-threshold", 0, G_TIME_SPAN_SECOND);

  /**
   * DbHealthChecker:wait-threshold:
   *
   * A pool in which somebody waits for a connection for longer is degraded; in microseconds, 0 for
   * no such limit.
   *
   * Since: 1.0
   */
  install_duration (PROP_WAIT_THRESHOLD, "wait-threshold", 0, G_TIME_SPAN_SECOND);

  /**
   * DbHealthChecker:failure-window:
   *
   * For how long a caller that got no connection counts, in microseconds; see
   * [property@Db.HealthChecker:failure-threshold]. What failed before the checker was made does not
   * count. It is also for how long a failed attempt to open a further session counts.
   *
   * Since: 1.0
   */
  install_duration (PROP_FAILURE_WINDOW, "failure-window", 1000, G_TIME_SPAN_MINUTE);

  /**
   * DbHealthChecker:success-age-threshold:
   *
   * When all sessions are lent, the database is unhealthy if none of them has worked for longer; in
   * microseconds, 0 for no such limit.
   *
   * Since: 1.0
   */
  install_duration (PROP_SUCCESS_AGE_THRESHOLD, "success-age-threshold", 0, G_TIME_SPAN_MINUTE);
}

static void
install_counts (void)
{
  /**
   * DbHealthChecker:fall:
   *
   * How many checks of a watch in a row must be worse than the status before it gets worse.
   *
   * Since: 1.0
   */
  install_count (PROP_FALL, "fall", 1, G_MAXUINT, 2);

  /**
   * DbHealthChecker:rise:
   *
   * How many checks of a watch in a row must be better than the status before it gets better.
   *
   * Since: 1.0
   */
  install_count (PROP_RISE, "rise", 1, G_MAXUINT, 2);

  /**
   * DbHealthChecker:saturation-threshold:
   *
   * A pool of whose maximum so many percent or more are in use is degraded; 0 for no such limit.
   *
   * Since: 1.0
   */
  install_count (PROP_SATURATION_THRESHOLD, "saturation-threshold", 0, 100, 0);

  /**
   * DbHealthChecker:failure-threshold:
   *
   * A pool is degraded if at least so many callers got no connection within
   * [property@Db.HealthChecker:failure-window], because their deadline passed or no session could
   * be opened; 0 for no such limit.
   *
   * Since: 1.0
   */
  install_count (PROP_FAILURE_THRESHOLD, "failure-threshold", 0, G_MAXUINT, 1);
}

static void
db_health_checker_class_init (DbHealthCheckerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = db_health_checker_constructed;
  object_class->dispose = db_health_checker_dispose;
  object_class->finalize = db_health_checker_finalize;
  object_class->get_property = db_health_checker_get_property;
  object_class->set_property = db_health_checker_set_property;

  install_durations ();
  install_counts ();

  /**
   * DbHealthChecker:pool:
   *
   * The pool, or %NULL when it is gone: the checker does not keep it alive.
   *
   * Since: 1.0
   */
  properties[PROP_POOL] =
    g_param_spec_object ("pool", NULL, NULL, DB_TYPE_POOL,
                         G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * DbHealthChecker:quick-check:
   *
   * Whether each check also looks for damage, which reads the whole of an SQLite database (its
   * `quick_check`). What is not done within [property@Db.HealthChecker:timeout] is given up.
   *
   * Since: 1.0
   */
  properties[PROP_QUICK_CHECK] =
    g_param_spec_boolean ("quick-check", NULL, NULL, FALSE,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * DbHealthChecker:status: (getter get_status)
   *
   * What the watch makes of the checks that it has seen so far. It is notified in the watch's
   * context.
   *
   * Since: 1.0
   */
  properties[PROP_STATUS] =
    g_param_spec_enum ("status", NULL, NULL, DB_TYPE_HEALTH_STATUS, DB_HEALTH_UNKNOWN,
                       G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  /**
   * DbHealthChecker:report: (getter dup_report)
   *
   * The report of the watch's last check, or %NULL if there was none. It is notified in the watch's
   * context, before the status.
   *
   * Since: 1.0
   */
  properties[PROP_REPORT] = g_param_spec_object ("report", NULL, NULL, DB_TYPE_HEALTH_REPORT,
                                                 G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
db_health_checker_init (DbHealthChecker *self)
{
  db_lock_init (&self->lock);
  g_weak_ref_init (&self->pool, NULL);
  self->samples = g_array_new (FALSE, FALSE, sizeof (Sample));
  self->interval = 10 * G_TIME_SPAN_SECOND;
  self->fall = 2;
  self->rise = 2;
  self->settings = (DbHealthSettings){
    .timeout = 5 * G_TIME_SPAN_SECOND,
    .round_trip_threshold = G_TIME_SPAN_SECOND,
    .wait_threshold = G_TIME_SPAN_SECOND,
    .success_age_threshold = G_TIME_SPAN_MINUTE,
    .failure_window = G_TIME_SPAN_MINUTE,
    .failure_threshold = 1,
  };
}

/**
 * db_health_checker_new:
 * @pool: a pool, which is not kept alive
 *
 * Makes a checker, which does nothing until it is asked. Does not block.
 *
 * Returns: (transfer full): a checker
 *
 * Since: 1.0
 */
DbHealthChecker *
db_health_checker_new (DbPool *pool)
{
  g_return_val_if_fail (DB_IS_POOL (pool), NULL);

  return g_object_new (DB_TYPE_HEALTH_CHECKER, "pool", pool, NULL);
}

static void
set_forked_error (DbHealthChecker *self, GError **error)
{
  g_set_error (error, DB_ERROR, DB_ERROR_FORKED,
               "the health of pool %s cannot be checked: it belongs to the parent process; make "
               "another pool after the fork",
               self->pool_name);
}

/**
 * db_health_checker_check:
 * @self: a checker
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Checks the health of the pool and its database. Blocks for
 * [property@Db.HealthChecker:timeout] at most; may be called from any thread.
 *
 * Whoever asks while another check of the same checker is under way gets the report of that one.
 * An unhealthy or closed pool is a report and no error: the only errors are
 * `G_IO_ERROR_CANCELLED`, which leaves the check of others alone, and `DB_ERROR_FORKED`.
 *
 * Returns: (transfer full): a report
 *
 * Since: 1.0
 */
DbHealthReport *
db_health_checker_check (DbHealthChecker *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (DbHealthRun) run = NULL;
  DbHealthReport *report = NULL;

  g_return_val_if_fail (DB_IS_HEALTH_CHECKER (self), NULL);

  if (is_forked (self))
    {
      set_forked_error (self, error);
      return NULL;
    }
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  run = begin (self, &report);
  return run != NULL ? db_health_run_wait (run, cancellable, error) : report;
}

/**
 * db_health_checker_check_async:
 * @self: a checker
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.HealthChecker.check].
 *
 * Since: 1.0
 */
void
db_health_checker_check_async (DbHealthChecker *self,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  g_autoptr (DbHealthRun) run = NULL;
  DbHealthReport *report = NULL;
  GError *error = NULL;

  g_return_if_fail (DB_IS_HEALTH_CHECKER (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, db_health_checker_check_async);
  g_task_set_name (task, "[dbpool] health check");
  if (is_forked (self))
    set_forked_error (self, &error);
  if (error != NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  if (g_task_return_error_if_cancelled (task))
    return;
  run = begin (self, &report);
  if (run != NULL)
    db_health_run_add_task (run, g_steal_pointer (&task));
  else
    g_task_return_pointer (task, report, g_object_unref);
}

/**
 * db_health_checker_check_finish:
 * @self: a checker
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.HealthChecker.check_async].
 *
 * Returns: (transfer full): a report
 *
 * Since: 1.0
 */
DbHealthReport *
db_health_checker_check_finish (DbHealthChecker *self, GAsyncResult *result, GError **error)
{
  DbHealthReport *report;

  g_return_val_if_fail (DB_IS_HEALTH_CHECKER (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, db_health_checker_check_async), NULL);

  report = g_task_propagate_pointer (G_TASK (result), error);
  if (report != NULL)
    DB_TSAN_ACQUIRE (report);
  return report;
}

/**
 * db_health_checker_start:
 * @self: a checker
 *
 * Begins a watch: a check as soon as the main context runs, and another one
 * [property@Db.HealthChecker:interval] after each has ended, at most one at a time. Does nothing if
 * there is a watch already.
 *
 * The watch works in the main context that is the thread's default now, where the properties
 * [property@Db.HealthChecker:status] and [property@Db.HealthChecker:report] change. It ends with
 * [method@Db.HealthChecker.stop], with the last reference to the checker, and when the pool is
 * closed, which makes the status `DB_HEALTH_UNHEALTHY`. Does not block.
 *
 * Since: 1.0
 */
void
db_health_checker_start (DbHealthChecker *self)
{
  g_return_if_fail (DB_IS_HEALTH_CHECKER (self));

  if (is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  if (self->watch == NULL)
    {
      self->n_trend = 0;
      self->watch = db_health_watch_new (G_OBJECT (self), &watch_funcs);
    }
}

/**
 * db_health_checker_stop:
 * @self: a checker
 *
 * Ends the watch, if there is one. The status stays what it was. May be called from any thread, and
 * does not block; from the thread of the watch's context, nothing is notified any more when it
 * returns.
 *
 * Since: 1.0
 */
void
db_health_checker_stop (DbHealthChecker *self)
{
  DbHealthWatch *watch;

  g_return_if_fail (DB_IS_HEALTH_CHECKER (self));

  if (is_forked (self))
    return;
  db_lock_lock (&self->lock);
  watch = g_steal_pointer (&self->watch);
  db_lock_unlock (&self->lock);
  if (watch != NULL)
    db_health_watch_free (watch);
}

/**
 * db_health_checker_is_watching:
 * @self: a checker
 *
 * Says whether there is a watch. Does not block.
 *
 * Returns: %TRUE from [method@Db.HealthChecker.start] until the watch ends
 *
 * Since: 1.0
 */
gboolean
db_health_checker_is_watching (DbHealthChecker *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_CHECKER (self), FALSE);

  if (is_forked (self))
    return FALSE;
  DB_LOCK_SCOPE (&self->lock);

  return self->watch != NULL;
}

/**
 * db_health_checker_get_status:
 * @self: a checker
 *
 * Gets what the watch makes of the checks that it has seen so far. Does not block.
 *
 * Returns: a status; `DB_HEALTH_UNKNOWN` as long as there was none
 *
 * Since: 1.0
 */
DbHealthStatus
db_health_checker_get_status (DbHealthChecker *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_CHECKER (self), DB_HEALTH_UNKNOWN);

  if (is_forked (self))
    return DB_HEALTH_UNKNOWN;
  DB_LOCK_SCOPE (&self->lock);

  return self->status;
}

/**
 * db_health_checker_dup_report:
 * @self: a checker
 *
 * Gets the report of the watch's last check. Does not block.
 *
 * Returns: (transfer full) (nullable): a report, or %NULL if there was none
 *
 * Since: 1.0
 */
DbHealthReport *
db_health_checker_dup_report (DbHealthChecker *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_CHECKER (self), NULL);

  if (is_forked (self))
    return NULL;
  DB_LOCK_SCOPE (&self->lock);

  return self->report != NULL ? g_object_ref (self->report) : NULL;
}
