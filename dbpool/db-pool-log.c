/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What pools and their statements say in the log. Called with no lock held; what a pool has to
 * remember for it is in the engine. A statement appears without its values, unless DBPOOL_DEBUG
 * asks for them, and one that mentions a password not even then. */

#include "config.h"

#include "db-error-private.h"
#include "db-fingerprint-private.h"
#include "db-log-private.h"
#include "db-pool-engine-private.h"
#include "db-statement-plan-private.h"
#include "db-types.h"

#include <string.h>

/* How much is shown of a statement with its values, of each value, and of a batch. */
#define MAX_TEXT 2000
#define MAX_VALUE 64
#define MAX_STATEMENTS 8

#define TO_SECONDS(duration) ((duration) / (double) G_TIME_SPAN_SECOND)
#define TO_MS(duration) ((duration) / (double) G_TIME_SPAN_MILLISECOND)

/* What is further away is looked at exactly, once a duration is that long. */
static int
clamp (gint64 threshold)
{
  return threshold > 0 ? (int) MIN (threshold, G_MAXINT) : G_MAXINT;
}

void
db_engine_take_thresholds_locked (DbEngine *self, const DbPoolSettings *settings)
{
  self->slow_acquire_threshold = settings->slow_acquire_threshold;
  self->slow_query_threshold = settings->slow_query_threshold;
  g_atomic_int_set (&self->tell_acquire_from, clamp (settings->slow_acquire_threshold));
  g_atomic_int_set (&self->tell_statement_from,
                    self->tells_statements ? 0 : clamp (settings->slow_query_threshold));
}

static gboolean
is_slow (DbEngine *self, const gint64 *threshold, gint64 duration)
{
  DB_LOCK_SCOPE (&self->lock);

  return *threshold > 0 && duration >= *threshold;
}

/* Sessions. */

static void
tell_of_failed_open (DbEngine *self, guint64 id, gint64 duration, const GError *error)
{
  gboolean began;

  /* The pool itself has stopped it. */
  if (g_atomic_int_get (&self->closing))
    return;
  db_lock_lock (&self->lock);
  began = self->outage_since == 0;
  if (began)
    self->outage_since = g_get_monotonic_time ();
  db_lock_unlock (&self->lock);
  if (began)
    db_log (DB_LOG_FACTS (DB_LOG_OUTAGE_BEGAN, .limits = self->log_limits, .pool = self->name,
                          .error = error),
            "pool %s cannot open sessions: %s", self->name, error->message);
  db_log (DB_LOG_FACTS (DB_LOG_SESSION_OPEN_FAILED, .pool = self->name, .connection = id,
                        .duration = duration, .error = error),
          "pool %s: session %" G_GUINT64_FORMAT " could not be opened (%.1f ms): %s", self->name,
          id, TO_MS (duration), error->message);
}

void
db_engine_tell_of_open (DbEngine *self, guint64 id, gint64 duration, const GError *error)
{
  gint64 since;

  if (error != NULL)
    {
      tell_of_failed_open (self, id, duration, error);
      return;
    }
  db_lock_lock (&self->lock);
  since = self->outage_since;
  self->outage_since = 0;
  db_lock_unlock (&self->lock);
  if (since != 0)
    {
      gint64 lasted = MAX (g_get_monotonic_time () - since, 1);

      db_log (DB_LOG_FACTS (DB_LOG_OUTAGE_OVER, .limits = self->log_limits, .pool = self->name,
                            .duration = lasted),
              "pool %s can open sessions again, after %.1f s", self->name, TO_SECONDS (lasted));
    }
  db_log (DB_LOG_FACTS (DB_LOG_SESSION_OPENED, .pool = self->name, .connection = id,
                        .duration = duration),
          "pool %s: session %" G_GUINT64_FORMAT " is open (%.1f ms)", self->name, id,
          TO_MS (duration));
}

void
db_engine_tell_of_drop (DbEngine *self, guint64 id, DbDropReason reason)
{
  g_autoptr (GEnumClass) klass = NULL;

  if (!db_log_wants (DB_DEBUG_POOL))
    return;
  klass = g_type_class_ref (DB_TYPE_DROP_REASON);
  db_log (DB_LOG_FACTS (DB_LOG_SESSION_DROPPED, .pool = self->name, .connection = id),
          "pool %s: session %" G_GUINT64_FORMAT " is closed: %s", self->name, id,
          g_enum_get_value (klass, reason)->value_nick);
}

/* Acquires. */

void
db_engine_tell_of_wait (DbEngine *self, guint64 id, gint64 wait)
{
  g_autofree char *load = NULL;

  if (wait < g_atomic_int_get (&self->tell_acquire_from) || db_engine_is_forked (self) ||
      !is_slow (self, &self->slow_acquire_threshold, wait))
    return;
  load = db_engine_describe_load (self, id);
  db_log (DB_LOG_FACTS (DB_LOG_SLOW_ACQUIRE, .limits = self->log_limits, .pool = self->name,
                        .connection = id, .duration = wait),
          "pool %s: a connection came after %.3f s, which is longer than its "
          "slow-acquire-threshold; now: %s",
          self->name, TO_SECONDS (wait), load);
}

/* Statements. */

static gboolean
mentions_password (const char *sql)
{
  g_autofree char *lower = g_ascii_strdown (sql, -1);

  return strstr (lower, "passw") != NULL || strstr (lower, "secret") != NULL;
}

static void
append_shortened (GString *out, const char *text, gsize longest)
{
  g_autofree char *line = db_text_to_line (text);
  gsize length = strlen (line);

  if (length <= longest)
    {
      g_string_append (out, line);
      return;
    }
  while ((line[longest] & 0xc0) == 0x80)
    longest--;
  g_string_append_len (out, line, longest);
  g_string_append (out, "…");
}

static void
append_value (GString *out, const DbValue *value)
{
  char number[DB_VALUE_DOUBLE_SIZE];

  if (value->type == DB_VALUE_TYPE_NULL)
    g_string_append (out, "NULL");
  else if (value->type == DB_VALUE_TYPE_BOOLEAN)
    g_string_append (out, value->integer ? "TRUE" : "FALSE");
  else if (value->type == DB_VALUE_TYPE_INT64)
    g_string_append_printf (out, "%" G_GINT64_FORMAT, value->integer);
  else if (value->type == DB_VALUE_TYPE_DOUBLE)
    {
      db_value_format_double (value->real, number);
      g_string_append (out, number);
    }
  else if (value->type == DB_VALUE_TYPE_BYTES)
    g_string_append_printf (out, "%" G_GSIZE_FORMAT " bytes", value->size);
  else
    {
      g_string_append (out, "“");
      append_shortened (out, value->text, MAX_VALUE);
      g_string_append (out, "”");
    }
}

static void
append_statement (GString *out, const char *sql, DbParams *params, guint row, gboolean with_values)
{
  g_autofree char *fingerprint = NULL;
  const DbValue *values;
  guint n = 0;

  if (!with_values || mentions_password (sql))
    {
      fingerprint = db_sql_fingerprint (sql);
      g_string_append_printf (out, "“%s”", fingerprint);
      return;
    }
  g_string_append (out, "“");
  append_shortened (out, sql, MAX_TEXT);
  g_string_append (out, "”");
  values = params != NULL ? db_params_get_values (params, row, &n) : NULL;
  for (guint i = 0; values != NULL && i < n; i++)
    {
      g_string_append (out, i > 0 ? ", " : " with ");
      append_value (out, &values[i]);
    }
}

static void
append_batch (GString *out, DbBatchRun *batch, gboolean with_values)
{
  guint shown = MIN (batch->n, batch->sql != NULL && !with_values ? 1 : MAX_STATEMENTS);

  g_string_append_printf (out, "a batch of %u: ", batch->n);
  for (guint i = 0; i < shown; i++)
    {
      DbBatchItem item;

      db_batch_run_get_item (batch, i, &item);
      if (i > 0)
        g_string_append (out, "; ");
      append_statement (out, item.sql, item.params, item.row, with_values);
    }
  if (shown < batch->n)
    g_string_append (out, "; …");
}

static char *
describe_plan (const DbStatementPlan *plan, const char *about, gboolean with_values)
{
  GString *out = g_string_new (about != NULL ? "more rows of " : NULL);

  if (plan->request == DB_REQUEST_BATCH && plan->batch != NULL)
    append_batch (out, plan->batch, with_values);
  else if (about != NULL || plan->sql != NULL)
    append_statement (out, about != NULL ? about : plan->sql, plan->params, plan->row, with_values);
  else
    g_string_append (out, "the end of rows");
  return g_string_free (out, FALSE);
}

/* What came of it. The text of an error may hold values, its code does not. */
static char *
describe_end (DbResult *result, const GError *error, gboolean with_values)
{
  if (error != NULL && with_values)
    return g_strdup_printf ("failed (%s)", error->message);
  if (error != NULL && db_error_get_sqlstate (error) != NULL)
    return g_strdup_printf ("failed with SQLSTATE %s", db_error_get_sqlstate (error));
  if (error != NULL && db_error_get_sqlite_code (error) != 0)
    return g_strdup_printf ("failed with SQLite's %d", db_error_get_sqlite_code (error));
  if (error != NULL)
    return g_strdup ("failed");
  if (result == NULL)
    return g_strdup ("done");
  if (db_result_get_n_columns (result) > 0)
    return g_strdup_printf ("%u rows", db_result_get_n_rows (result));
  return g_strdup_printf ("%" G_GINT64_FORMAT " rows changed",
                          MAX (db_result_get_rows_affected (result), 0));
}

void
db_engine_tell_of_statement (DbEngine *self,
                             guint64 id,
                             const DbStatementPlan *plan,
                             const char *about,
                             gint64 duration,
                             DbResult *result,
                             const GError *error)
{
  if (db_engine_is_forked (self))
    return;
  duration = MAX (duration, 1);
  if (is_slow (self, &self->slow_query_threshold, duration))
    {
      g_autofree char *what = describe_plan (plan, about, FALSE);
      g_autofree char *end = describe_end (result, error, FALSE);

      db_log (DB_LOG_FACTS (DB_LOG_SLOW_QUERY, .limits = self->log_limits, .pool = self->name,
                            .connection = id, .duration = duration, .error = error),
              "pool %s, session %" G_GUINT64_FORMAT ": %.3f s, which is longer than its "
              "slow-query-threshold, %s: %s",
              self->name, id, TO_SECONDS (duration), end, what);
    }
  if (db_log_wants (DB_DEBUG_SQL))
    {
      gboolean with_values = db_log_wants (DB_DEBUG_SQL_VALUES);
      g_autofree char *what = describe_plan (plan, about, with_values);
      g_autofree char *end = describe_end (result, error, with_values);

      db_log (DB_LOG_FACTS (DB_LOG_STATEMENT, .pool = self->name, .connection = id,
                            .duration = duration, .error = error),
              "pool %s, session %" G_GUINT64_FORMAT ": %.3f ms, %s: %s", self->name, id,
              TO_MS (duration), end, what);
    }
}
