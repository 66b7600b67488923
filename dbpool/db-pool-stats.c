/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The public face of the core's numbers: a copy, made under its lock, that nobody changes any more.
 */

#include "config.h"

#include "db-pool-stats-private.h"

/**
 * DbPoolStats:
 *
 * The numbers of a pool at one instant.
 *
 * Made by [method@Db.Pool.get_stats]. All of them but the two of statements belong
 * together: the total is what is idle, lent,
 * opening, busy and dedicated, and the requests are those that got a connection, timed out, were
 * cancelled, failed, were refused, or still wait.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (DbPoolStats, db_pool_stats, db_pool_stats_copy, db_pool_stats_free)

/**
 * db_pool_stats_copy:
 * @self: statistics
 *
 * Copies statistics.
 *
 * Returns: (transfer full): a copy
 *
 * Since: 1.0
 */
DbPoolStats *
db_pool_stats_copy (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return g_memdup2 (self, sizeof *self);
}

/**
 * db_pool_stats_free:
 * @self: (transfer full): statistics
 *
 * Frees statistics.
 *
 * Since: 1.0
 */
void
db_pool_stats_free (DbPoolStats *self)
{
  g_free (self);
}

/**
 * db_pool_stats_get_total:
 * @self: statistics
 *
 * Gets how many sessions count against the maximum.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
db_pool_stats_get_total (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->idle + self->lent + self->opening + self->checking + self->resetting +
         self->closing + self->dedicated;
}

/**
 * db_pool_stats_get_idle:
 * @self: statistics
 *
 * Gets how many sessions wait to be lent.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
db_pool_stats_get_idle (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->idle;
}

/**
 * db_pool_stats_get_lent:
 * @self: statistics
 *
 * Gets how many sessions are on loan.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
db_pool_stats_get_lent (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->lent;
}

/**
 * db_pool_stats_get_opening:
 * @self: statistics
 *
 * Gets how many sessions are being opened.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
db_pool_stats_get_opening (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->opening;
}

/**
 * db_pool_stats_get_busy:
 * @self: statistics
 *
 * Gets how many sessions are being checked, reset or closed.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
db_pool_stats_get_busy (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->checking + self->resetting + self->closing;
}

/**
 * db_pool_stats_get_dedicated:
 * @self: statistics
 *
 * Gets how many sessions were opened for somebody who keeps them, with
 * [method@Db.ConnectionManager.open_session] of the pool.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
db_pool_stats_get_dedicated (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->dedicated;
}

/**
 * db_pool_stats_get_waiting:
 * @self: statistics
 *
 * Gets how many callers wait for a connection.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
db_pool_stats_get_waiting (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->waiting;
}

/**
 * db_pool_stats_get_requests:
 * @self: statistics
 *
 * Gets how often a connection was asked for.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_requests (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->requests;
}

/**
 * db_pool_stats_get_acquired:
 * @self: statistics
 *
 * Gets how often a connection was lent.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_acquired (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->acquired;
}

/**
 * db_pool_stats_get_waited:
 * @self: statistics
 *
 * Gets how often the caller had to wait for the connection that it got.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_waited (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->waited;
}

/**
 * db_pool_stats_get_timeouts:
 * @self: statistics
 *
 * Gets how often the deadline of a caller passed.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_timeouts (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->timeouts;
}

/**
 * db_pool_stats_get_cancelled:
 * @self: statistics
 *
 * Gets how often a caller cancelled.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_cancelled (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->cancelled;
}

/**
 * db_pool_stats_get_errors:
 * @self: statistics
 *
 * Gets how often a caller got the error of an open that failed.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_errors (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->errors;
}

/**
 * db_pool_stats_get_refused:
 * @self: statistics
 *
 * Gets how often a caller was refused at once: the pool was closed or its queue full, or nothing
 * was idle and the caller did not want to wait.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_refused (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->refused;
}

/**
 * db_pool_stats_get_created:
 * @self: statistics
 *
 * Gets how many sessions were opened.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_created (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->created;
}

/**
 * db_pool_stats_get_create_failed:
 * @self: statistics
 *
 * Gets how many attempts to open a session failed.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_create_failed (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->create_failed;
}

/**
 * db_pool_stats_get_detached:
 * @self: statistics
 *
 * Gets how many connections were taken out of the pool with [method@Db.Connection.detach].
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_detached (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->detached;
}

/**
 * db_pool_stats_get_finalized:
 * @self: statistics
 *
 * Gets how many loans ended because the last reference to their connection was dropped, and not by
 * [method@Db.Connection.release].
 *
 * In C and Python that is as good as a release. In languages whose garbage collector takes its time
 * it means that sessions were out for longer than anybody needed them.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_finalized (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->finalized;
}

/**
 * db_pool_stats_get_leaks:
 * @self: statistics
 *
 * Gets how many loans were out for longer than `leak-threshold`.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_leaks (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->leaks;
}

/**
 * db_pool_stats_get_deadlocks:
 * @self: statistics
 *
 * Gets how often every session was lent to threads that themselves waited for this pool.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_deadlocks (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->deadlocks;
}

/**
 * db_pool_stats_get_events_dropped:
 * @self: statistics
 *
 * Gets how many signals of the pool were dropped, because the main context in which they are
 * emitted did not run for too long.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_events_dropped (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->events_dropped;
}

/**
 * db_pool_stats_get_statement_hits:
 * @self: statistics
 *
 * Gets how often a statement was run that its session had prepared before.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_statement_hits (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->statement_hits;
}

/**
 * db_pool_stats_get_statement_misses:
 * @self: statistics
 *
 * Gets how often a statement was run that could have been prepared before, and was not.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_statement_misses (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->statement_misses;
}

/**
 * db_pool_stats_get_wait_time:
 * @self: statistics
 *
 * Gets for how long, together and in microseconds, callers have waited that got a connection.
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
gint64
db_pool_stats_get_wait_time (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->wait_time;
}

/**
 * db_pool_stats_get_use_time:
 * @self: statistics
 *
 * Gets for how long, together and in microseconds, connections were on loan that are back.
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
gint64
db_pool_stats_get_use_time (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->use_time;
}

/**
 * db_pool_stats_get_dropped:
 * @self: statistics
 * @reason: a reason
 *
 * Gets how many sessions were closed for a reason.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint64
db_pool_stats_get_dropped (const DbPoolStats *self, DbDropReason reason)
{
  g_return_val_if_fail (self != NULL, 0);
  g_return_val_if_fail ((guint) reason < DB_N_DROP_REASONS, 0);

  return self->dropped[reason];
}

/**
 * db_pool_stats_to_string:
 * @self: statistics
 *
 * Puts the statistics into one line for people.
 *
 * Returns: (transfer full): text
 *
 * Since: 1.0
 */
char *
db_pool_stats_to_string (const DbPoolStats *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_autoptr (GString) text = g_string_new (NULL);
  const struct
  {
    guint64 n;
    const char *what;
  } rare[] = {
    {self->dedicated, "dedicated"},
    {self->detached, "detached"},
    {self->finalized, "returned by their last reference"},
    {self->leaks, "out for too long"},
    {self->deadlocks, "deadlocks"},
    {self->events_dropped, "signals dropped"},
    {self->statement_hits, "statements found prepared"},
    {self->statement_misses, "statements parsed"},
  };
  guint total = db_pool_stats_get_total (self);

  g_string_append_printf (text,
                          "%u %s (%u idle, %u lent, %u opening, %u busy), %u waiting; "
                          "%" G_GUINT64_FORMAT " acquired (%" G_GUINT64_FORMAT
                          " waited), %" G_GUINT64_FORMAT " timed out, %" G_GUINT64_FORMAT
                          " cancelled, %" G_GUINT64_FORMAT " failed, %" G_GUINT64_FORMAT
                          " refused; %" G_GUINT64_FORMAT " opened, %" G_GUINT64_FORMAT
                          " could not be opened",
                          total, total == 1 ? "session" : "sessions", self->idle, self->lent,
                          self->opening, db_pool_stats_get_busy (self), self->waiting,
                          self->acquired, self->waited, self->timeouts, self->cancelled,
                          self->errors, self->refused, self->created, self->create_failed);
  for (guint i = 0; i < G_N_ELEMENTS (rare); i++)
    if (rare[i].n > 0)
      g_string_append_printf (text, "; %" G_GUINT64_FORMAT " %s", rare[i].n, rare[i].what);
  return g_string_free (g_steal_pointer (&text), FALSE);
}
