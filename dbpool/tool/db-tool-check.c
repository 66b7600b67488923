/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* "dbpool check": opens one session, asks one question, closes it. It goes around the pool, which
 * would try again: a probe wants to know how things are now. */

#include "config.h"

#include "db-tool.h"

#include <string.h>

typedef struct
{
  DbConnectionManager *manager;
  gint64 open_time;  /* microseconds; written by the errand's thread before it is done */
  gint64 round_trip; /* microseconds */
} Check;

static void
check_clear (gpointer data)
{
  g_object_unref (((Check *) data)->manager);
}

static gboolean
check_once (gpointer data, GCancellable *cancellable, GError **error)
{
  Check *check = data;
  const gint64 start = g_get_monotonic_time ();
  g_autoptr (DbSession) session = NULL;
  gint64 opened;
  gboolean ok;

  session = db_connection_manager_open_session (check->manager, cancellable, error);
  if (session == NULL)
    return FALSE;
  opened = g_get_monotonic_time ();
  ok = db_connection_manager_check_session (check->manager, session, cancellable, error);
  check->open_time = opened - start;
  check->round_trip = g_get_monotonic_time () - opened;
  db_connection_manager_close_session (check->manager, session);
  return ok;
}

static void
print_up (const char *database, const Check *check, ToolFormat format)
{
  g_autofree char *open_time = tool_format_duration (check->open_time * 1000);
  g_autofree char *round_trip = tool_format_duration (check->round_trip * 1000);
  const gboolean colour = tool_has_colour (stdout);
  g_auto (ToolJson) json = {NULL};

  if (format == TOOL_FORMAT_TABLE)
    {
      printf ("%s is %sup%s: opened in %s, answered in %s\n", database, colour ? "\033[32m" : "",
              colour ? "\033[0m" : "", open_time, round_trip);
      return;
    }
  tool_json_init (&json);
  tool_json_begin (&json, NULL, '{');
  tool_json_add_string (&json, "status", "up");
  tool_json_add_string (&json, "database", database);
  tool_json_add_rounded (&json, "open_ms", check->open_time / 1000.0, 3);
  tool_json_add_rounded (&json, "round_trip_ms", check->round_trip / 1000.0, 3);
  tool_json_end (&json, '}');
  printf ("%s\n", json.text->str);
}

static void
print_down (const char *database, const GError *error, ToolFormat format)
{
  g_auto (ToolJson) json = {NULL};

  if (format == TOOL_FORMAT_TABLE)
    {
      if (database != NULL && strstr (error->message, database) == NULL)
        tool_complain ("%s: %s", database, error->message);
      else
        tool_complain ("%s", error->message);
      return;
    }
  tool_json_init (&json);
  tool_json_begin (&json, NULL, '{');
  tool_json_add_string (&json, "status", "down");
  if (database != NULL)
    tool_json_add_string (&json, "database", database);
  tool_json_add_string (&json, "error", tool_error_nick (error));
  tool_json_add_string (&json, "message", error->message);
  tool_json_end (&json, '}');
  printf ("%s\n", json.text->str);
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

static int
check (const char *uri, gint64 timeout, ToolFormat format)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autoptr (DbConnectionManager) manager = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *database = NULL;
  Check *job;
  gboolean ok;

  manager = db_pool_factory_create_manager (factory, uri, NULL, &error);
  if (manager == NULL)
    {
      print_down (NULL, error, format);
      return TOOL_FAILED;
    }
  forbid_creation (manager);
  job = g_atomic_rc_box_new0 (Check);
  job->manager = g_object_ref (manager);
  ok = tool_run_within (timeout, check_once, job, check_clear, &error);
  database = db_connection_manager_describe (manager);
  if (ok)
    print_up (database, job, format);
  else
    print_down (database, error, format);
  g_atomic_rc_box_release_full (job, check_clear);
  return ok ? TOOL_OK : TOOL_FAILED;
}

int
tool_check (int argc, char **argv)
{
  double seconds = 5;
  g_autofree char *format_text = NULL;
  const GOptionEntry entries[] = {
    {"timeout", 't', 0, G_OPTION_ARG_DOUBLE, &seconds, "Give up after that long (5)", "SECONDS"},
    {"format", 'f', 0, G_OPTION_ARG_STRING, &format_text, "table (default) or json", "FORMAT"},
    G_OPTION_ENTRY_NULL,
  };
  g_autofree char *uri = NULL;
  ToolFormat format;
  gint64 timeout;
  int status;

  if (!tool_parse_options (
        &argc, &argv, "[URI]",
        "Opens one session with a database, asks it one question and closes it again.\n"
        "There is one attempt, and no more than --timeout passes, whatever the server\n"
        "does, so that this can be the probe of a container.",
        "Without a URI, DATABASE_URL is taken. A missing SQLite file is a failure, it\n"
        "is not created.\n"
        "\n"
        "Exit status: 0 the database can be used, 1 it cannot, 2 wrong usage.\n",
        entries, &status))
    return status;
  if (argc > 2)
    return tool_complain_usage ("one URI is enough");
  if (!tool_parse_format (format_text, FALSE, &format) ||
      !tool_check_seconds ("timeout", seconds, &timeout))
    return TOOL_USAGE;
  uri = tool_take_uri (argc > 1 ? argv[1] : NULL);
  if (uri == NULL)
    return TOOL_USAGE;
  return check (uri, timeout, format);
}
