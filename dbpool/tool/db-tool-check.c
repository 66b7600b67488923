/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* "dbpool check": what DbHealthChecker says of a pool of one session, made for the occasion. A
 * check opens it once and tries nothing again: a probe wants to know how things are now. */

#include "config.h"

#include "db-tool.h"

#include <string.h>

/* For closing the session after a check that took its time. */
#define MIN_CLOSING_TIME (10 * G_TIME_SPAN_MILLISECOND)

typedef struct
{
  gint64 timeout;
  gint64 slow; /* 0: not given */
  gboolean quick_check;
  gboolean strict;
  ToolFormat format;
} Options;

/* What cannot be asked at all. */
static void
print_error (const GError *error, ToolFormat format)
{
  g_auto (ToolJson) json = {NULL};

  if (format == TOOL_FORMAT_TABLE)
    {
      tool_complain ("%s", error->message);
      return;
    }
  tool_json_init (&json);
  tool_json_begin (&json, NULL, '{');
  tool_json_add_string (&json, "status", "unhealthy");
  tool_json_add_string (&json, "error", tool_error_nick (error));
  tool_json_add_string (&json, "message", error->message);
  tool_json_end (&json, '}');
  printf ("%s\n", json.text->str);
}

static void
print_unhealthy (DbHealthReport *report)
{
  const char *const *reasons = db_health_report_get_reasons (report);
  const char *database = db_health_report_get_database (report);

  for (guint i = 0; reasons[i] != NULL; i++)
    {
      if (database != NULL && strstr (reasons[i], database) == NULL)
        tool_complain ("%s: %s", database, reasons[i]);
      else
        tool_complain ("%s", reasons[i]);
    }
}

static void
print_usable (DbHealthReport *report)
{
  g_autofree char *text = db_health_report_to_string (report);
  const char *word = strstr (text, " is ");
  const char *end = word != NULL ? strpbrk (word, ":\n") : NULL;

  if (!tool_has_colour (stdout) || end == NULL)
    {
      printf ("%s\n", text);
      return;
    }
  word += strlen (" is ");
  printf ("%.*s\033[%dm%.*s\033[0m%s\n", (int) (word - text), text,
          db_health_report_get_status (report) == DB_HEALTH_HEALTHY ? 32 : 33, (int) (end - word),
          word, end);
}

static void
print_report (DbHealthReport *report, ToolFormat format)
{
  g_autofree char *json = NULL;

  if (format == TOOL_FORMAT_JSON)
    {
      json = db_health_report_to_json (report);
      printf ("%s\n", json);
    }
  else if (db_health_report_get_status (report) == DB_HEALTH_UNHEALTHY)
    print_unhealthy (report);
  else
    print_usable (report);
}

/* An SQLite file that is missing is created when it is opened, but not by somebody who only looks.
 */
static void
forbid_creation (DbConnectionManager *manager)
{
#ifdef HAVE_SQLITE
  if (DB_IS_SQLITE_MANAGER (manager))
    g_object_set (manager, "create-if-missing", FALSE, NULL);
#endif
}

static void
pool_clear (gpointer data)
{
  g_object_unref (*(DbPool **) data);
}

static gboolean
close_pool (gpointer data, GCancellable *cancellable, GError **error)
{
  return db_pool_close (*(DbPool **) data, G_MAXINT64, cancellable, error);
}

/* A server that hangs does not let its session be closed either. */
static void
close_within (DbPool *pool, gint64 timeout)
{
  DbPool **errand = g_atomic_rc_box_new0 (DbPool *);

  *errand = g_object_ref (pool);
  tool_run_within (MAX (timeout, MIN_CLOSING_TIME), close_pool, errand, pool_clear, NULL);
  g_atomic_rc_box_release_full (errand, pool_clear);
}

/* What the pool has to say of a session that cannot be opened is in the report. */
static GLogWriterOutput
log_writer (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  for (gsize i = 0; i < n_fields; i++)
    {
      if (strcmp (fields[i].key, "DBPOOL_POOL") == 0 && (level & G_LOG_LEVEL_MESSAGE))
        return G_LOG_WRITER_HANDLED;
    }
  return g_log_writer_default (level, fields, n_fields, data);
}

static DbPool *
make_pool (const char *uri, GError **error)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autoptr (DbPoolConfig) config = db_pool_config_new ();
  g_autoptr (DbConnectionManager) manager =
    db_pool_factory_create_manager (factory, uri, NULL, error);

  if (manager == NULL)
    return NULL;
  forbid_creation (manager);
  g_object_set (config, "name", "check", "max-connections", 1, "min-connections", 0, NULL);
  return db_pool_new (manager, config, error);
}

static int
check (const char *uri, const Options *options)
{
  const gint64 start = g_get_monotonic_time ();
  g_autoptr (GError) error = NULL;
  g_autoptr (DbPool) pool = make_pool (uri, &error);
  g_autoptr (DbHealthChecker) checker = NULL;
  g_autoptr (DbHealthReport) report = NULL;
  DbHealthStatus worst = options->strict ? DB_HEALTH_HEALTHY : DB_HEALTH_DEGRADED;

  if (pool != NULL)
    {
      checker = db_health_checker_new (pool);
      g_object_set (checker, "timeout", options->timeout, "quick-check", options->quick_check,
                    NULL);
      if (options->slow > 0)
        g_object_set (checker, "round-trip-threshold", options->slow, NULL);
      report = db_health_checker_check (checker, NULL, &error);
    }
  if (report == NULL)
    {
      print_error (error, options->format);
      return TOOL_FAILED;
    }
  print_report (report, options->format);
  fflush (stdout);
  close_within (pool, start + options->timeout - g_get_monotonic_time ());
  return db_health_report_get_status (report) <= worst ? TOOL_OK : TOOL_FAILED;
}

int
tool_check (int argc, char **argv)
{
  double seconds = 5;
  double slow = 0;
  g_autofree char *format_text = NULL;
  Options options = {0};
  const GOptionEntry entries[] = {
    {"timeout", 't', 0, G_OPTION_ARG_DOUBLE, &seconds, "Give up after that long (5)", "SECONDS"},
    {"slow", 0, 0, G_OPTION_ARG_DOUBLE, &slow, "An answer that takes longer is degraded (1)",
     "SECONDS"},
    {"quick-check", 0, 0, G_OPTION_ARG_NONE, &options.quick_check,
     "Read all of an SQLite database and look for damage", NULL},
    {"strict", 0, 0, G_OPTION_ARG_NONE, &options.strict, "Exit with 1 if it is degraded", NULL},
    {"format", 'f', 0, G_OPTION_ARG_STRING, &format_text, "table (default) or json", "FORMAT"},
    G_OPTION_ENTRY_NULL,
  };
  g_autofree char *uri = NULL;
  int status;

  if (!tool_parse_options (
        &argc, &argv, "[URI]",
        "Opens one session with a database, asks how it is and closes it again. There is\n"
        "one attempt, and no more than --timeout passes, whatever the server does, so that\n"
        "this can be the probe of a container.",
        "Without a URI, DATABASE_URL is taken, or PGHOST, PGDATABASE and so on. A missing\n"
        "SQLite file is a failure, it is not created.\n"
        "\n"
        "A database is healthy, degraded (it answers, but slowly, say, or refuses to write)\n"
        "or unhealthy. With --format=json all that was found is one line.\n"
        "\n"
        "Exit status: 0 healthy or degraded, 1 unhealthy, 2 wrong usage.\n",
        entries, &status))
    return status;
  if (argc > 2)
    return tool_complain_usage ("one URI is enough");
  if (!tool_parse_format (format_text, FALSE, &options.format) ||
      !tool_check_seconds ("timeout", seconds, &options.timeout) ||
      (slow != 0 && !tool_check_seconds ("slow", slow, &options.slow)))
    return TOOL_USAGE;
  uri = tool_take_uri (argc > 1 ? argv[1] : NULL);
  if (uri == NULL)
    return TOOL_USAGE;
  g_log_set_writer_func (log_writer, NULL, NULL);
  return check (uri, &options);
}
