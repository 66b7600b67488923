/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Everything there is to see of a pool, as text for people. It must work when nothing else does: it
 * takes the core's lock for moments, one after the other, and waits for nothing, so the parts may
 * be a few microseconds apart. It shows no password and no value of a statement: texts come from
 * where that is seen to (errors, descriptions, fingerprints), and of the settings texts are left
 * out. */

#include "config.h"

#include "db-connection-info-private.h"
#include "db-fingerprint-private.h"
#include "db-pool-engine-private.h"

static void
append_line (GString *out, const char *words)
{
  g_autofree char *line = db_text_to_line (words);

  g_string_append (out, line);
}

/* "1.2 s"; long ones as "3 min 20 s" or "5 h 2 min". */
static char *
format_span (gint64 span)
{
  gint64 seconds = span / G_TIME_SPAN_SECOND;

  if (seconds < 100)
    return g_strdup_printf ("%.1f s", MAX (span, 0) / (double) G_TIME_SPAN_SECOND);
  if (seconds < 3600)
    return g_strdup_printf ("%" G_GINT64_FORMAT " min %" G_GINT64_FORMAT " s", seconds / 60,
                            seconds % 60);
  return g_strdup_printf ("%" G_GINT64_FORMAT " h %" G_GINT64_FORMAT " min", seconds / 3600,
                          seconds / 60 % 60);
}

/* As configuration text writes it: "500ms". */
static char *
format_setting (gint64 duration)
{
  static const struct
  {
    gint64 span;
    const char *unit;
  } units[] = {
    {G_TIME_SPAN_DAY, "d"},    {G_TIME_SPAN_HOUR, "h"},         {G_TIME_SPAN_MINUTE, "min"},
    {G_TIME_SPAN_SECOND, "s"}, {G_TIME_SPAN_MILLISECOND, "ms"},
  };

  if (duration <= 0 || duration == G_MAXINT64)
    return g_strdup (duration == 0 ? "0" : duration < 0 ? "never" : "forever");
  for (guint i = 0; i < G_N_ELEMENTS (units); i++)
    if (duration % units[i].span == 0)
      return g_strdup_printf ("%" G_GINT64_FORMAT "%s", duration / units[i].span, units[i].unit);
  return g_strdup_printf ("%" G_GINT64_FORMAT "us", duration);
}

static void
append_setting (GString *out, GObject *config, GParamSpec *pspec)
{
  g_auto (GValue) value = G_VALUE_INIT;
  g_auto (GValue) text = G_VALUE_INIT;

  g_object_get_property (config, pspec->name, &value);
  g_string_append_printf (out, " %s=", pspec->name);
  if (G_VALUE_HOLDS_INT64 (&value))
    {
      g_autofree char *duration = format_setting (g_value_get_int64 (&value));

      g_string_append (out, duration);
    }
  else if (G_VALUE_HOLDS_ENUM (&value))
    {
      GEnumValue *choice =
        g_enum_get_value (G_PARAM_SPEC_ENUM (pspec)->enum_class, g_value_get_enum (&value));

      g_string_append (out, choice->value_nick);
    }
  else if (G_VALUE_HOLDS_BOOLEAN (&value))
    g_string_append (out, g_value_get_boolean (&value) ? "true" : "false");
  else
    {
      g_value_init (&text, G_TYPE_STRING);
      g_value_transform (&value, &text);
      g_string_append (out, g_value_get_string (&text));
    }
}

/* All but the texts, which may be anything. */
static void
append_settings (GString *out, DbEngine *self)
{
  g_autofree GParamSpec **pspecs = NULL;
  guint n;

  pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (self->config), &n);
  g_string_append (out, "settings:");
  for (guint i = 0; i < n; i++)
    if (!G_IS_PARAM_SPEC_STRING (pspecs[i]))
      append_setting (out, G_OBJECT (self->config), pspecs[i]);
  g_string_append_c (out, '\n');
}

static void
append_head (GString *out, DbEngine *self, const DbPoolCoreInfo *info)
{
  g_autofree char *database = NULL;
  DbConnectionManager *manager = db_engine_get_manager (self);

  g_string_append (out, "pool ");
  append_line (out, db_engine_get_name (self));
  if (manager != NULL)
    {
      database = db_connection_manager_describe (manager);
      g_string_append (out, ": ");
      append_line (out, database);
    }
  g_string_append_printf (out, "\nstate: %s%s%s%s, generation %u\n",
                          info->closed ? "closed" : "open", info->suspended ? ", suspended" : "",
                          info->gated ? ", asks a hook before each loan" : "",
                          info->deadlocked ? ", each connection is held by a thread that waits"
                                           : "",
                          info->generation);
}

static void
append_gauges (GString *out, DbEngine *self, const DbPoolStats *stats, const DbPoolCoreInfo *info)
{
  g_string_append_printf (out,
                          "sessions: %u: %u opening, %u idle, %u being checked, %u lent, "
                          "%u being reset, %u closing, %u dedicated\n",
                          db_pool_stats_get_total (stats), stats->opening, stats->idle,
                          stats->checking, stats->lent, stats->resetting, stats->closing,
                          stats->dedicated);
  g_string_append_printf (out, "callers: %u waiting", stats->waiting);
  if (info->oldest_wait != 0)
    {
      g_autofree char *wait = format_span (g_get_monotonic_time () - info->oldest_wait);

      g_string_append_printf (out, ", the first of them for %s", wait);
    }
  g_string_append_printf (out, "; %u waiting for a session of their own; %u not yet told\n",
                          info->units_waiting, stats->undelivered);
}

/* @before, the number and what it counts. */
static void
append_count (GString *out, const char *before, guint64 count, const char *what)
{
  g_string_append_printf (out, "%s%" G_GUINT64_FORMAT " %s", before, count, what);
}

static void
append_counters (GString *out, const DbPoolStats *stats)
{
  g_autoptr (GEnumClass) reasons = g_type_class_ref (DB_TYPE_DROP_REASON);

  append_count (out, "so far: ", stats->requests, "requests");
  append_count (out, ", ", stats->acquired, "acquired");
  append_count (out, " (", stats->waited, "after a wait)");
  append_count (out, ", ", stats->timeouts, "timed out");
  append_count (out, ", ", stats->cancelled, "cancelled");
  append_count (out, ", ", stats->errors, "failed");
  append_count (out, ", ", stats->refused, "refused");
  append_count (out, "; ", stats->leaks, "leaks");
  append_count (out, ", ", stats->deadlocks, "deadlocks");
  append_count (out, ", ", stats->events_dropped, "signals lost\n");
  append_count (out, "so far: ", stats->statement_hits, "statements found prepared");
  append_count (out, ", ", stats->statement_misses, "parsed\n");
  append_count (out, "so far: ", stats->created, "opened");
  append_count (out, ", ", stats->create_failed, "failed to open");
  append_count (out, ", ", stats->detached, "detached");
  for (guint i = 0; i < DB_N_DROP_REASONS; i++)
    append_count (out, i == 0 ? ", closed: " : ", ", stats->dropped[i],
                  g_enum_get_value (reasons, i)->value_nick);
  g_string_append_c (out, '\n');
}

static void
append_opening (GString *out, DbEngine *self, const DbPoolCoreInfo *info)
{
  gboolean permanent;
  g_autoptr (GError) error = db_pool_core_dup_open_error (self->core, &permanent);
  gint64 wait = info->retry_at - g_get_monotonic_time ();

  if (error == NULL)
    {
      g_string_append (out, "opening: works, or was not tried yet\n");
      return;
    }
  g_string_append_printf (out, "opening: failed %u times in a row", info->failures);
  if (info->retry_at != 0 && wait > 0)
    {
      g_autofree char *span = format_span (wait);

      g_string_append_printf (out, ", not tried again for %s", span);
    }
  g_string_append (out, permanent ? "; trying again will not help: " : "; last: ");
  append_line (out, error->message);
  g_string_append_c (out, '\n');
}

/* A cell of the table, with @text (which it frees), or "-". */
static void
append_cell (GString *out, int width, char *text)
{
  g_string_append_printf (out, " %*s", width, text != NULL ? text : "-");
  g_free (text);
}

static char *
describe_end (const DbSlotInfo *slot, gint64 now)
{
  if (slot->doomed)
    return g_strdup ("when back");
  if (slot->retiring)
    return g_strdup ("replaced");
  return slot->expires < G_MAXINT64 && slot->expires != 0 ? format_span (slot->expires - now)
                                                          : NULL;
}

static void
append_words (GString *out, const char *before, const char *words)
{
  if (words == NULL)
    return;
  g_string_append (out, before);
  append_line (out, words);
}

static void
append_session (GString *out, const DbSlotInfo *slot, gint64 now)
{
  DbLeaseInfo lease = {0};

  if (slot->lease != NULL)
    db_lease_get_info (slot->lease, &lease);
  g_string_append_printf (out, "%6" G_GUINT64_FORMAT " %-9s", slot->id,
                          db_connection_state_get_name ((DbConnectionState) slot->state));
  append_cell (out, 12, format_span (now - slot->since));
  append_cell (out, 12, format_span (now - slot->born));
  append_cell (out, 12, describe_end (slot, now));
  append_cell (out, 10, g_strdup_printf ("%u", slot->uses));
  append_cell (out, 10, slot->thread != 0 ? g_strdup_printf ("%u", slot->thread) : NULL);
  if (slot->state == DB_SLOT_LENT)
    append_words (out, "  ", lease.tag != NULL ? lease.tag : "untagged");
  append_words (out, slot->leaked ? "  " : "", slot->leaked ? "(leaked?)" : NULL);
  append_words (out, "  ", lease.statement);
  append_words (out, "  ", lease.activity);
  g_string_append_c (out, '\n');
  db_lease_info_clear (&lease);
}

static void
append_sessions (GString *out, DbEngine *self)
{
  g_autoptr (GArray) slots = db_engine_snapshot (self);
  gint64 now = g_get_monotonic_time ();

  if (slots->len > 0)
    g_string_append_printf (out, "\n%6s %-9s %12s %12s %12s %10s %10s  %s\n", "id", "state", "for",
                            "age", "ends in", "uses", "thread", "who  last statement  activity");
  for (guint i = 0; i < slots->len; i++)
    append_session (out, &g_array_index (slots, DbSlotInfo, i), now);
}

char *
db_engine_dump (DbEngine *self)
{
  GString *out = g_string_new (NULL);
  DbPoolCoreInfo info;
  g_autoptr (DbPoolStats) stats = NULL;

  if (db_engine_is_forked (self))
    {
      g_string_append_printf (out, "pool %s belongs to the parent of this process\n",
                              db_engine_get_name (self));
      return g_string_free (out, FALSE);
    }
  stats = db_engine_get_stats (self);
  db_engine_get_info (self, &info);
  append_head (out, self, &info);
  append_settings (out, self);
  append_gauges (out, self, stats, &info);
  append_counters (out, stats);
  append_opening (out, self, &info);
  append_sessions (out, self);
  return g_string_free (out, FALSE);
}
