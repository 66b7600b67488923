/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* "dbpool query": one session, one statement, its result. One statement needs no pool, and without
 * one a server that is not there is an error at once. */

#include "config.h"

#include "db-tool.h"

#include <string.h>

typedef struct
{
  DbConnectionManager *manager;
  DbSession *session; /* written by the errand's thread before it is done */
} Opening;

static void
opening_clear (gpointer data)
{
  Opening *opening = data;

  if (opening->session != NULL)
    db_connection_manager_close_session (opening->manager, opening->session);
  g_clear_object (&opening->session);
  g_object_unref (opening->manager);
}

static gboolean
open_session (gpointer data, GCancellable *cancellable, GError **error)
{
  Opening *opening = data;

  opening->session = db_connection_manager_open_session (opening->manager, cancellable, error);
  return opening->session != NULL;
}

/* The command line has text only: databases turn it into what the statement needs. */
static DbParams *
make_params (char **values, int n_values)
{
  DbParams *params = db_params_new ();

  for (int i = 0; i < n_values; i++)
    {
      if (strcmp (values[i], "\\N") == 0)
        db_params_add_null (params);
      else
        db_params_add_text (params, values[i]);
    }
  return params;
}

static DbResult *
query (DbConnectionManager *manager,
       gint64 timeout,
       const char *sql,
       char **values,
       int n_values,
       GError **error)
{
  Opening *opening = g_atomic_rc_box_new0 (Opening);
  g_autoptr (DbParams) params = make_params (values, n_values);
  g_autoptr (DbStatementPlan) plan = db_statement_plan_new (sql, params, DB_STATEMENT_NONE);
  DbResult *result = NULL;

  opening->manager = g_object_ref (manager);
  if (tool_run_within (timeout, open_session, opening, opening_clear, error))
    result = db_session_run (opening->session, plan, NULL, error);
  g_atomic_rc_box_release_full (opening, opening_clear);
  return result;
}

static int
run_query (const char *uri,
           gint64 timeout,
           const char *sql,
           char **values,
           int n_values,
           ToolFormat format,
           const char *null_text)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autoptr (DbConnectionManager) manager = NULL;
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GError) error = NULL;

  manager = db_pool_factory_create_manager (factory, uri, NULL, &error);
  if (manager != NULL)
    result = query (manager, timeout, sql, values, n_values, &error);
  if (result == NULL)
    {
      tool_complain ("%s", error->message);
      return TOOL_FAILED;
    }
  tool_print_result (result, format, null_text);
  return TOOL_OK;
}

int
tool_query (int argc, char **argv)
{
  double seconds = 10;
  g_autofree char *format_text = NULL;
  g_autofree char *null_text = NULL;
  const GOptionEntry entries[] = {
    {"format", 'f', 0, G_OPTION_ARG_STRING, &format_text, "table, csv or json", "FORMAT"},
    {"null", 'n', 0, G_OPTION_ARG_STRING, &null_text, "How NULL is written, not in JSON", "TEXT"},
    {"timeout", 't', 0, G_OPTION_ARG_DOUBLE, &seconds, "How long opening may take (10)", "SECONDS"},
    G_OPTION_ENTRY_NULL,
  };
  g_autofree char *uri = NULL;
  ToolFormat format;
  gint64 timeout;
  int status;

  if (!tool_parse_options (
        &argc, &argv, "URI SQL [PARAMETER...]",
        "Runs one SQL statement, in which $1, $2 ... stand for the parameters.",
        "A URI of - stands for the one in DATABASE_URL, or what PGHOST, PGDATABASE and so\n"
        "on say. The parameter \\N is NULL. Put -- in "
        "front\n"
        "of the first parameter that begins with a dash.\n"
        "\n"
        "Formats:\n"
        "  table   for people; NULL is written NULL (default)\n"
        "  csv     RFC 4180 with a line of names; NULL is empty, empty text is \"\"\n"
        "  json    an array of objects; numbers, booleans, null and JSON keep their type,\n"
        "          bytes are text like \\xdeadbeef\n"
        "\n"
        "Exit status: 0 success, 1 failure, 2 wrong usage.\n",
        entries, &status))
    return status;
  if (argc < 3)
    return tool_complain_usage (argc < 2 ? "URI and statement are missing"
                                         : "the statement is missing");
  if (!tool_parse_format (format_text, TRUE, &format) ||
      !tool_check_seconds ("timeout", seconds, &timeout))
    return TOOL_USAGE;
  uri = tool_take_uri (argv[1]);
  if (uri == NULL)
    return TOOL_USAGE;
  return run_query (uri, timeout, argv[2], argv + 3, argc - 3, format, null_text);
}
