/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Why somebody got no connection, in words: what happened, to which pool, who has what, and what to
 * do. Called with no lock held. */

#include "config.h"

#include "db-error.h"
#include "db-pool-engine-private.h"

/* How many of those who hold connections an error names, the oldest ones. */
#define N_HOLDERS_NAMED 3

void
db_engine_set_forked_error (DbEngine *self, GError **error)
{
  g_set_error (error, DB_ERROR, DB_ERROR_FORKED,
               "pool %s belongs to the parent process; make a pool of its own after the fork",
               self->name);
}

GError *
db_engine_new_closed_error (DbEngine *self)
{
  return g_error_new (DB_ERROR, DB_ERROR_CLOSED, "pool %s is closed", self->name);
}

/* Nothing is idle, and the caller does not wait. */
GError *
db_engine_new_exhausted_error (DbEngine *self)
{
  DbPoolStats stats;

  if (db_pool_core_is_closed (self->core))
    return db_engine_new_closed_error (self);
  if (db_pool_core_is_suspended (self->core))
    return g_error_new (DB_ERROR, DB_ERROR_SUSPENDED,
                        "pool %s is suspended, and lends nothing until it is resumed", self->name);
  db_pool_core_get_stats (self->core, &stats);
  return g_error_new (DB_ERROR, DB_ERROR_EXHAUSTED,
                      "pool %s has no idle connection now (%u lent, %u opening, %u waiting)",
                      self->name, stats.lent, stats.opening, stats.waiting);
}

static void
append_counts (GString *text, const DbPoolStats *stats)
{
  guint total = db_pool_stats_get_total (stats);

  g_string_append_printf (text, "%u %s, %u lent", total, total == 1 ? "session" : "sessions",
                          stats->lent);
  if (stats->undelivered > 0)
    g_string_append_printf (text, " (%u of them granted to callers whose main context has not run)",
                            stats->undelivered);
  g_string_append_printf (text, ", %u idle, %u opening, %u closing", stats->idle, stats->opening,
                          stats->closing);
  if (stats->dedicated > 0)
    g_string_append_printf (text, ", %u dedicated", stats->dedicated);
  g_string_append_printf (text, "; %u %s", stats->waiting,
                          stats->waiting == 1 ? "caller waits" : "callers wait");
}

/* Why it took so long, as far as the pool knows. */
static void
append_reasons (DbEngine *self,
                const DbPoolStats *stats,
                gboolean deadlocked,
                guint64 but,
                GString *text)
{
  gboolean permanent;
  g_autoptr (GError) cause = db_pool_core_dup_open_error (self->core, &permanent);
  g_autofree char *holders = db_engine_describe_holders (self, N_HOLDERS_NAMED, but);
  DbPoolCoreInfo info;

  db_pool_core_get_info (self->core, &info);
  if (info.suspended)
    g_string_append (text, "; the pool is suspended");
  if (deadlocked || info.deadlocked)
    g_string_append (text, "; every connection is held by a thread that itself waits for this pool "
                           "(nested acquire)");
  if (holders != NULL)
    g_string_append_printf (text, "; out for longest: %s", holders);
  if (stats->opening > 0)
    {
      g_autofree char *database = db_connection_manager_describe (db_engine_get_manager (self));

      g_string_append_printf (text, "; a session of %s is still being opened", database);
    }
  if (cause != NULL)
    g_string_append_printf (text, "; the last attempt to open one failed: %s", cause->message);
}

char *
db_engine_describe_load (DbEngine *self, guint64 but)
{
  GString *text = g_string_new (NULL);
  DbPoolStats stats;

  db_pool_core_get_stats (self->core, &stats);
  append_counts (text, &stats);
  append_reasons (self, &stats, FALSE, but, text);
  return g_string_free (text, FALSE);
}

static GError *
timeout_error (DbEngine *self, DbTicket *ticket)
{
  g_autoptr (GString) text = g_string_new (NULL);
  gint64 waited = ticket->enqueued > 0 ? g_get_monotonic_time () - ticket->enqueued : 0;
  DbPoolStats stats;

  db_pool_core_get_stats (self->core, &stats);
  g_string_append_printf (text, "no connection of pool %s within %.3f s: ", self->name,
                          waited / (double) G_TIME_SPAN_SECOND);
  append_counts (text, &stats);
  append_reasons (self, &stats, ticket->deadlocked, 0, text);
  return g_error_new_literal (DB_ERROR, DB_ERROR_TIMEOUT, text->str);
}

static GError *
deadlock_error (DbEngine *self)
{
  g_autofree char *holders = db_engine_describe_holders (self, N_HOLDERS_NAMED, 0);

  return g_error_new (DB_ERROR, DB_ERROR_DEADLOCK,
                      "every connection of pool %s is held by a thread that waits for another one, "
                      "like this one: acquire once in a thread, or raise max-connections (%s)",
                      self->name, holders != NULL ? holders : "they are just coming back");
}

static GError *
refusal_error (DbEngine *self, DbTicket *ticket)
{
  GError *error = NULL;
  DbPoolStats stats;

  switch (ticket->refusal)
    {
    case DB_REFUSAL_OPEN_FAILED:
      return g_steal_pointer (&ticket->error);
    case DB_REFUSAL_QUEUE_FULL:
      db_pool_core_get_stats (self->core, &stats);
      return g_error_new (DB_ERROR, DB_ERROR_QUEUE_FULL,
                          "%u callers wait for pool %s already, which is its max-waiters: try "
                          "again later, or raise that",
                          stats.waiting, self->name);
    case DB_REFUSAL_EXHAUSTED:
    case DB_REFUSAL_SUSPENDED:
      return db_engine_new_exhausted_error (self);
    case DB_REFUSAL_DEADLOCK:
      return deadlock_error (self);
    case DB_REFUSAL_FORKED:
      db_engine_set_forked_error (self, &error);
      return error;
    case DB_REFUSAL_NONE:
    case DB_REFUSAL_CLOSED:
    default:
      return db_engine_new_closed_error (self);
    }
}

GError *
db_engine_new_ticket_error (DbEngine *self, DbTicket *ticket)
{
  switch (ticket->state)
    {
    case DB_TICKET_CANCELLED:
      return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "Operation was cancelled");
    case DB_TICKET_TIMED_OUT:
      return timeout_error (self, ticket);
    case DB_TICKET_FAILED:
      return refusal_error (self, ticket);
    case DB_TICKET_NEW:
    case DB_TICKET_PENDING:
    case DB_TICKET_GRANTED:
    case DB_TICKET_TAKEN:
    default:
      g_assert_not_reached ();
    }
}
