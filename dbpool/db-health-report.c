/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a health check found. Made and filled in by db-health-run.c, immutable from then on, so
 * there is no lock. */

#include "config.h"

#include "db-health-report-private.h"

#include "db-error.h"
#include "db-pool-stats-private.h"

#include <math.h>
#include <string.h>

/**
 * DbHealthReport:
 *
 * What a [class@Db.HealthChecker] found.
 *
 * It is immutable, may be used from any thread, and contains no secret. None of its functions
 * blocks.
 *
 * Since: 1.0
 */
G_DEFINE_FINAL_TYPE (DbHealthReport, db_health_report, G_TYPE_OBJECT)

static void
db_health_report_finalize (GObject *object)
{
  DbHealthReport *self = DB_HEALTH_REPORT (object);

  g_ptr_array_unref (self->codes);
  g_ptr_array_unref (self->reasons);
  g_free (self->pool_name);
  g_free (self->database);
  g_variant_unref (self->facts);
  db_pool_stats_free (self->stats);
  g_clear_error (&self->error);
  G_OBJECT_CLASS (db_health_report_parent_class)->finalize (object);
}

static void
db_health_report_class_init (DbHealthReportClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = db_health_report_finalize;
}

static void
db_health_report_init (DbHealthReport *self)
{
  self->status = DB_HEALTH_HEALTHY;
  self->codes = g_ptr_array_new_with_free_func (g_free);
  self->reasons = g_ptr_array_new_with_free_func (g_free);
  self->round_trip = -1;
  self->success_age = -1;
}

DbHealthReport *
db_health_report_new (const char *pool_name)
{
  DbHealthReport *self = g_object_new (DB_TYPE_HEALTH_REPORT, NULL);

  self->pool_name = g_strdup (pool_name);
  self->time = g_get_real_time ();
  return self;
}

void
db_health_report_add (DbHealthReport *self,
                      DbHealthStatus status,
                      const char *code,
                      const char *format,
                      ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (self->reasons, g_utf8_make_valid (text, -1));
  g_ptr_array_add (self->codes, g_strdup (code));
  self->status = MAX (self->status, status);
}

DbHealthReport *
db_health_report_finish (DbHealthReport *self)
{
  g_ptr_array_add (self->codes, NULL);
  g_ptr_array_add (self->reasons, NULL);
  if (self->facts == NULL)
    self->facts = g_variant_ref_sink (g_variant_new ("a{sv}", NULL));
  if (self->stats == NULL)
    self->stats = g_new0 (DbPoolStats, 1);
  return self;
}

/**
 * db_health_report_get_status:
 * @self: a report
 *
 * Gets the verdict: the worst that any of the reasons stands for.
 *
 * Returns: a status, never `DB_HEALTH_UNKNOWN`
 *
 * Since: 1.0
 */
DbHealthStatus
db_health_report_get_status (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), DB_HEALTH_UNKNOWN);

  return self->status;
}

/**
 * db_health_report_get_reasons:
 * @self: a report
 *
 * Gets why the status is not `DB_HEALTH_HEALTHY`, in sentences for people.
 *
 * Returns: (transfer none) (array zero-terminated=1): sentences; none if all is well
 *
 * Since: 1.0
 */
const char *const *
db_health_report_get_reasons (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), NULL);

  return (const char *const *) self->reasons->pdata;
}

/**
 * db_health_report_get_codes:
 * @self: a report
 *
 * Gets what kind of reason each of [method@Db.HealthReport.get_reasons] is, in the same order, in
 * words that do not change: `closed`, `suspended`, `no-connection`, `no-answer`, `no-success`,
 * `no-session`, `open-failed`, `slow`, `saturated`, `waiting`, `failures`, `facts`, and those of
 * the manager, such as `read-only` and `damaged`.
 *
 * Returns: (transfer none) (array zero-terminated=1): codes
 *
 * Since: 1.0
 */
const char *const *
db_health_report_get_codes (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), NULL);

  return (const char *const *) self->codes->pdata;
}

/**
 * db_health_report_has_reason:
 * @self: a report
 * @code: a code, see [method@Db.HealthReport.get_codes]
 *
 * Says whether one of the reasons has that code.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
db_health_report_has_reason (DbHealthReport *self, const char *code)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), FALSE);
  g_return_val_if_fail (code != NULL, FALSE);

  return g_strv_contains ((const char *const *) self->codes->pdata, code);
}

/**
 * db_health_report_get_answered:
 * @self: a report
 *
 * Says whether a session was asked in this check, and answered.
 *
 * Otherwise the verdict rests on when a session last did its work, see
 * [method@Db.HealthReport.get_success_age], or there was nothing to ask.
 *
 * Returns: %TRUE if one answered
 *
 * Since: 1.0
 */
gboolean
db_health_report_get_answered (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), FALSE);

  return self->answered;
}

/**
 * db_health_report_get_round_trip:
 * @self: a report
 *
 * Gets how long the database took to answer.
 *
 * Returns: microseconds, or -1 if it was not asked or did not answer
 *
 * Since: 1.0
 */
gint64
db_health_report_get_round_trip (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), -1);

  return self->round_trip;
}

/**
 * db_health_report_get_success_age:
 * @self: a report
 *
 * Gets how long ago a session of the pool last worked: was opened or cleaned, answered, or ran a
 * statement without an error.
 *
 * Returns: microseconds, or -1 if none ever did
 *
 * Since: 1.0
 */
gint64
db_health_report_get_success_age (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), -1);

  return self->success_age;
}

/**
 * db_health_report_get_duration:
 * @self: a report
 *
 * Gets how long the check took, with all waiting.
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
gint64
db_health_report_get_duration (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), 0);

  return self->duration;
}

/**
 * db_health_report_get_time:
 * @self: a report
 *
 * Gets when the report was made, by the clock on the wall.
 *
 * Returns: microseconds since 1970-01-01 00:00 UTC
 *
 * Since: 1.0
 */
gint64
db_health_report_get_time (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), 0);

  return self->time;
}

/**
 * db_health_report_get_pool_name:
 * @self: a report
 *
 * Gets the name of the pool.
 *
 * Returns: (transfer none): a name
 *
 * Since: 1.0
 */
const char *
db_health_report_get_pool_name (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), NULL);

  return self->pool_name;
}

/**
 * db_health_report_get_database:
 * @self: a report
 *
 * Gets the database in words, without any secret.
 *
 * Returns: (transfer none) (nullable): what its manager says, or %NULL if the pool was gone
 *
 * Since: 1.0
 */
const char *
db_health_report_get_database (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), NULL);

  return self->database;
}

/**
 * db_health_report_get_facts:
 * @self: a report
 *
 * Gets what the manager had to say of the database, see
 * [method@Db.ConnectionManager.get_facts].
 *
 * Returns: (transfer none): a dictionary of type `a{sv}`; empty if no session was asked
 *
 * Since: 1.0
 */
GVariant *
db_health_report_get_facts (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), NULL);

  return self->facts;
}

/**
 * db_health_report_get_stats:
 * @self: a report
 *
 * Gets the numbers of the pool when the check ended.
 *
 * Returns: (transfer none): statistics; all zero if the pool was gone
 *
 * Since: 1.0
 */
DbPoolStats *
db_health_report_get_stats (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), NULL);

  return self->stats;
}

/**
 * db_health_report_dup_error:
 * @self: a report
 *
 * Gets what went wrong, as an error: that of the session that did not answer, or of the last
 * attempt to open one, or of the manager's facts.
 *
 * Returns: (transfer full) (nullable): an error, or %NULL if nothing did
 *
 * Since: 1.0
 */
GError *
db_health_report_dup_error (DbHealthReport *self)
{
  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), NULL);

  return self->error != NULL ? g_error_copy (self->error) : NULL;
}

/* Texts. */

static const char *
status_nick (DbHealthStatus status)
{
  static const char *const nicks[] = {"unknown", "healthy", "degraded", "unhealthy"};

  return nicks[status];
}

static void
append_duration (GString *text, gint64 microseconds)
{
  if (microseconds < 1000)
    g_string_append_printf (text, "%" G_GINT64_FORMAT " µs", microseconds);
  else if (microseconds < G_TIME_SPAN_SECOND)
    g_string_append_printf (text, "%.1f ms", microseconds / 1000.0);
  else
    g_string_append_printf (text, "%.1f s", microseconds / (double) G_TIME_SPAN_SECOND);
}

/**
 * db_health_report_to_string:
 * @self: a report
 *
 * Puts the report into words: one line with the verdict, and one for each reason.
 *
 * Returns: (transfer full): text, without a line break at its end
 *
 * Since: 1.0
 */
char *
db_health_report_to_string (DbHealthReport *self)
{
  GString *text;

  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), NULL);

  text = g_string_new (self->database != NULL ? self->database : self->pool_name);
  g_string_append_printf (text, " is %s", status_nick (self->status));
  if (self->answered)
    {
      g_string_append (text, ": answered in ");
      append_duration (text, self->round_trip);
    }
  else if (self->success_age >= 0)
    {
      g_string_append (text, ": no answer this time, last worked ");
      append_duration (text, self->success_age);
      g_string_append (text, " ago");
    }
  for (guint i = 0; i + 1 < self->reasons->len; i++)
    g_string_append_printf (text, "\n%s", (char *) g_ptr_array_index (self->reasons, i));
  return g_string_free (text, FALSE);
}

static void
json_append_string (GString *json, const char *text)
{
  g_string_append_c (json, '"');
  for (const char *p = text; *p != '\0'; p++)
    {
      if (*p == '"' || *p == '\\')
        g_string_append_c (json, '\\');
      if ((guchar) *p < 0x20 || *p == 0x7f)
        g_string_append_printf (json, "\\u%04x", (guchar) *p);
      else
        g_string_append_c (json, *p);
    }
  g_string_append_c (json, '"');
}

/* GVariant's texts are UTF-8, others need not be. */
static void
json_add_string (GString *json, const char *key, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);

  g_string_append_printf (json, ",\"%s\":", key);
  json_append_string (json, valid);
}

static void
json_append_double (GString *json, double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  g_string_append (json, isfinite (value) ? g_ascii_dtostr (text, sizeof text, value) : "null");
}

static void
json_add_ms (GString *json, const char *key, gint64 microseconds)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  g_string_append_printf (json, ",\"%s\":%s", key,
                          microseconds < 0
                            ? "null"
                            : g_ascii_formatd (text, sizeof text, "%.3f", microseconds / 1000.0));
}

static gint64
variant_get_number (GVariant *value)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BYTE:
      return g_variant_get_byte (value);
    case G_VARIANT_CLASS_INT16:
      return g_variant_get_int16 (value);
    case G_VARIANT_CLASS_UINT16:
      return g_variant_get_uint16 (value);
    case G_VARIANT_CLASS_INT32:
      return g_variant_get_int32 (value);
    case G_VARIANT_CLASS_UINT32:
      return g_variant_get_uint32 (value);
    case G_VARIANT_CLASS_INT64:
      return g_variant_get_int64 (value);
    case G_VARIANT_CLASS_HANDLE:
    default:
      return g_variant_get_handle (value);
    }
}

static void json_append_variant (GString *json, GVariant *value);

static gboolean
is_object (GVariant *value)
{
  return g_variant_is_of_type (value, G_VARIANT_TYPE ("a{s*}"));
}

static void
json_append_members (GString *json, GVariant *value)
{
  gboolean object = is_object (value);

  g_string_append_c (json, object ? '{' : '[');
  for (gsize i = 0; i < g_variant_n_children (value); i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);
      g_autoptr (GVariant) key = object ? g_variant_get_child_value (child, 0) : NULL;
      g_autoptr (GVariant) inner = object ? g_variant_get_child_value (child, 1) : NULL;

      if (i > 0)
        g_string_append_c (json, ',');
      if (object)
        {
          json_append_string (json, g_variant_get_string (key, NULL));
          g_string_append_c (json, ':');
        }
      json_append_variant (json, object ? inner : child);
    }
  g_string_append_c (json, object ? '}' : ']');
}

static void
json_append_variant (GString *json, GVariant *value)
{
  g_autoptr (GVariant) inner = NULL;

  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      g_string_append (json, g_variant_get_boolean (value) ? "true" : "false");
      break;
    case G_VARIANT_CLASS_UINT64:
      g_string_append_printf (json, "%" G_GUINT64_FORMAT, g_variant_get_uint64 (value));
      break;
    case G_VARIANT_CLASS_DOUBLE:
      json_append_double (json, g_variant_get_double (value));
      break;
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      json_append_string (json, g_variant_get_string (value, NULL));
      break;
    case G_VARIANT_CLASS_VARIANT:
      inner = g_variant_get_variant (value);
      json_append_variant (json, inner);
      break;
    case G_VARIANT_CLASS_MAYBE:
      inner = g_variant_get_maybe (value);
      if (inner != NULL)
        json_append_variant (json, inner);
      else
        g_string_append (json, "null");
      break;
    case G_VARIANT_CLASS_ARRAY:
    case G_VARIANT_CLASS_TUPLE:
    case G_VARIANT_CLASS_DICT_ENTRY:
      json_append_members (json, value);
      break;
    default:
      g_string_append_printf (json, "%" G_GINT64_FORMAT, variant_get_number (value));
    }
}

static void
json_add_reasons (GString *json, DbHealthReport *self)
{
  g_string_append (json, ",\"reasons\":[");
  for (guint i = 0; i + 1 < self->reasons->len; i++)
    {
      g_string_append (json, i > 0 ? ",{\"code\":" : "{\"code\":");
      json_append_string (json, g_ptr_array_index (self->codes, i));
      json_add_string (json, "text", g_ptr_array_index (self->reasons, i));
      g_string_append_c (json, '}');
    }
  g_string_append_c (json, ']');
}

static void
json_add_error (GString *json, const GError *error)
{
  GEnumClass *codes = g_type_class_ref (DB_TYPE_ERROR);
  GEnumValue *code = error->domain == DB_ERROR ? g_enum_get_value (codes, error->code) : NULL;

  json_add_string (json, "error",
                   code != NULL ? code->value_nick : g_quark_to_string (error->domain));
  json_add_string (json, "message", error->message);
  g_type_class_unref (codes);
}

static void
json_add_pool (GString *json, const DbPoolStats *stats)
{
  g_string_append_printf (json, ",\"pool\":{\"idle\":%u,\"lent\":%u,\"opening\":%u,\"busy\":%u,",
                          stats->idle, stats->lent, stats->opening, db_pool_stats_get_busy (stats));
  g_string_append_printf (json,
                          "\"dedicated\":%u,\"waiting\":%u,\"timeouts\":%" G_GUINT64_FORMAT
                          ",\"errors\":%" G_GUINT64_FORMAT "}",
                          stats->dedicated, stats->waiting, stats->timeouts, stats->errors);
}

/**
 * db_health_report_to_json:
 * @self: a report
 *
 * Puts the report into one line of JSON, for probes: `status`, `name` (of the pool), `database`,
 * `time`, `answered`, `round_trip_ms`, `success_age_ms`, `duration_ms`, `reasons` (objects with
 * `code` and `text`), `facts`, `pool` (its numbers), and `error` and `message` if something went
 * wrong. What is not known is null or missing.
 *
 * Returns: (transfer full): a JSON object, without a line break
 *
 * Since: 1.0
 */
char *
db_health_report_to_json (DbHealthReport *self)
{
  GString *json;
  g_autoptr (GDateTime) seconds = NULL;
  g_autofree char *time = NULL;

  g_return_val_if_fail (DB_IS_HEALTH_REPORT (self), NULL);

  seconds = g_date_time_new_from_unix_utc (self->time / G_TIME_SPAN_SECOND);
  time = g_date_time_format_iso8601 (seconds);
  json = g_string_new ("{\"status\":");
  json_append_string (json, status_nick (self->status));
  json_add_string (json, "name", self->pool_name);
  if (self->database != NULL)
    json_add_string (json, "database", self->database);
  json_add_string (json, "time", time);
  g_string_append_printf (json, ",\"answered\":%s", self->answered ? "true" : "false");
  json_add_ms (json, "round_trip_ms", self->round_trip);
  json_add_ms (json, "success_age_ms", self->success_age);
  json_add_ms (json, "duration_ms", self->duration);
  json_add_reasons (json, self);
  g_string_append (json, ",\"facts\":");
  json_append_variant (json, self->facts);
  json_add_pool (json, self->stats);
  if (self->error != NULL)
    json_add_error (json, self->error);
  g_string_append_c (json, '}');
  return g_string_free (json, FALSE);
}
