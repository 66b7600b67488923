/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The dbpool command: picks the subcommand, and what all of them need of a command line. */

#include "config.h"

#include "db-tool.h"

#include "db-lock-private.h"

#include <locale.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* Something still runs in a thread that nobody waits for. Main thread only. */
static gboolean abandoned;

static const struct
{
  const char *name;
  int (*run) (int argc, char **argv);
  const char *summary;
} commands[] = {
  {"check", tool_check, "Ask a database once whether it can be used"},
  {"query", tool_query, "Run one SQL statement and print its result"},
  {"bench", tool_bench, "Measure a database through a pool"},
};

void
tool_complain (const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  fflush (stdout);
  fprintf (stderr, "%s: %s\n", g_get_prgname (), text);
}

int
tool_complain_usage (const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  tool_complain ("%s", text);
  fprintf (stderr, "Try '%s --help'.\n", g_get_prgname ());
  return TOOL_USAGE;
}

gboolean
tool_parse_options (int *argc,
                    char ***argv,
                    const char *parameters,
                    const char *summary,
                    const char *description,
                    const GOptionEntry *entries,
                    int *status)
{
  g_autoptr (GOptionContext) context = g_option_context_new (parameters);
  g_autoptr (GError) error = NULL;
  int to = 1;

  g_option_context_set_summary (context, summary);
  g_option_context_set_description (context, description);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error))
    {
      *status = tool_complain_usage ("%s", error->message);
      return FALSE;
    }
  /* GLib leaves a "--" where what follows could be taken for an option */
  for (int from = 1, dashes = 0; from < *argc; from++)
    {
      if (strcmp ((*argv)[from], "--") == 0 && dashes++ == 0)
        continue;
      if (!g_utf8_validate ((*argv)[from], -1, NULL))
        {
          *status = tool_complain_usage ("argument %d is not UTF-8", to);
          return FALSE;
        }
      (*argv)[to++] = (*argv)[from];
    }
  *argc = to;
  return TRUE;
}

static void
blank (char *start, const char *end)
{
  while (start < end)
    *start++ = 'x';
}

/* Makes unreadable what may be a secret in @uri, which may be no good one: all between the first
 * ":" and the last "@", which a password may have in it, and all that follows a "=". */
static void
blank_secrets (char *uri)
{
  char *authority = strstr (uri, "://");
  char *at = strrchr (uri, '@');

  if (authority != NULL)
    {
      char *user = authority + strlen ("://");
      char *colon = at != NULL && at > user ? memchr (user, ':', (gsize) (at - user)) : NULL;

      if (colon != NULL)
        blank (colon + 1, at);
    }
  for (char *value = strchr (uri, '='); value != NULL; value = strchr (value, '='))
    {
      value++;
      blank (value, value + strcspn (value, "&"));
    }
}

static const char *
get_variable (const char *name)
{
  const char *value = g_getenv (name);

  return value != NULL && value[0] != '\0' ? value : NULL;
}

/* What libpq would find in its own variables, or NULL; the password and the rest it finds there. */
static char *
make_uri_from_environment (void)
{
  static const char *const variables[][2] = {{"PGHOST", "host"},
                                             {"PGHOSTADDR", "hostaddr"},
                                             {"PGPORT", "port"},
                                             {"PGUSER", "user"}};
  const char *database = get_variable ("PGDATABASE");
  g_autofree char *path = database != NULL ? g_uri_escape_string (database, NULL, FALSE) : NULL;
  g_autoptr (GString) uri = g_string_new ("postgresql:///");
  char separator = '?';

  if (get_variable ("PGSERVICE") != NULL)
    return g_strdup ("postgresql://");
  if (path != NULL)
    g_string_append (uri, path);
  for (gsize i = 0; i < G_N_ELEMENTS (variables); i++)
    if (get_variable (variables[i][0]) != NULL)
      {
        g_autofree char *value = g_uri_escape_string (get_variable (variables[i][0]), NULL, FALSE);

        g_string_append_printf (uri, "%c%s=%s", separator, variables[i][1], value);
        separator = '&';
      }
  return path != NULL || separator == '&' ? g_strdup (uri->str) : NULL;
}

char *
tool_take_uri (char *argument)
{
  char *uri;

  if (argument != NULL && strcmp (argument, "-") != 0)
    {
      uri = g_strdup (argument);
      blank_secrets (argument);
      return uri;
    }
  uri = g_strdup (get_variable ("DATABASE_URL"));
  if (uri == NULL)
    uri = make_uri_from_environment ();
  if (uri == NULL)
    tool_complain_usage ("the URI of the database is missing, and neither DATABASE_URL nor PGHOST, "
                         "PGDATABASE and the like are set");
  return uri;
}

gboolean
tool_parse_format (const char *text, gboolean csv, ToolFormat *format)
{
  if (text == NULL || strcmp (text, "table") == 0)
    *format = TOOL_FORMAT_TABLE;
  else if (strcmp (text, "json") == 0)
    *format = TOOL_FORMAT_JSON;
  else if (csv && strcmp (text, "csv") == 0)
    *format = TOOL_FORMAT_CSV;
  else
    {
      tool_complain_usage ("unknown format '%s': there are table%s and json", text,
                           csv ? ", csv" : "");
      return FALSE;
    }
  return TRUE;
}

gboolean
tool_check_seconds (const char *option, double seconds, gint64 *microseconds)
{
  if (!isfinite (seconds) || seconds < 0.001 || seconds > 1e9)
    {
      tool_complain_usage ("--%s takes a number of seconds from 0.001 on", option);
      return FALSE;
    }
  *microseconds = (gint64) (seconds * G_TIME_SPAN_SECOND);
  return TRUE;
}

/* One call of tool_run_within(), shared by its two threads. */
typedef struct
{
  ToolFunc func;
  gpointer data;
  GDestroyNotify clear;
  GCancellable *cancellable;

  DbLock lock;
  DbCond cond;
  /* guarded by lock */
  gboolean done;
  gboolean ok;
  GError *error;
} Errand;

static void
errand_clear (gpointer data)
{
  Errand *errand = data;

  g_atomic_rc_box_release_full (errand->data, errand->clear);
  g_object_unref (errand->cancellable);
  g_clear_error (&errand->error);
  db_lock_clear (&errand->lock);
  db_cond_clear (&errand->cond);
}

static gpointer
errand_thread (gpointer data)
{
  Errand *errand = data;
  GError *error = NULL;
  gboolean ok = errand->func (errand->data, errand->cancellable, &error);

  db_lock_lock (&errand->lock);
  errand->ok = ok;
  errand->error = error;
  errand->done = TRUE;
  db_cond_signal (&errand->cond);
  db_lock_unlock (&errand->lock);

  g_atomic_rc_box_release_full (errand, errand_clear);
  return NULL;
}

gboolean
tool_run_within (gint64 timeout, ToolFunc func, gpointer data, GDestroyNotify clear, GError **error)
{
  const gint64 until = g_get_monotonic_time () + timeout;
  Errand *errand = g_atomic_rc_box_new0 (Errand);
  gboolean ok = FALSE;

  errand->func = func;
  errand->data = g_atomic_rc_box_acquire (data);
  errand->clear = clear;
  errand->cancellable = g_cancellable_new ();
  db_lock_init (&errand->lock);
  db_cond_init (&errand->cond);
  g_thread_unref (g_thread_new ("errand", errand_thread, g_atomic_rc_box_acquire (errand)));

  db_lock_lock (&errand->lock);
  while (!errand->done && db_cond_wait_until (&errand->cond, &errand->lock, until))
    ;
  if (errand->done)
    {
      ok = errand->ok;
      if (errand->error != NULL)
        g_propagate_error (error, g_steal_pointer (&errand->error));
    }
  else
    {
      abandoned = TRUE;
      g_set_error (error, DB_ERROR, DB_ERROR_TIMEOUT, "no answer within %g s",
                   timeout / (double) G_TIME_SPAN_SECOND);
    }
  db_lock_unlock (&errand->lock);

  if (abandoned)
    g_cancellable_cancel (errand->cancellable);
  g_atomic_rc_box_release_full (errand, errand_clear);
  return ok;
}

static int
print_version (void)
{
  printf ("dbpool %s (GLib %u.%u.%u"
#ifdef HAVE_POSTGRES
          ", PostgreSQL"
#endif
#ifdef HAVE_SQLITE
          ", SQLite"
#endif
          ")\n",
          DB_VERSION, glib_major_version, glib_minor_version, glib_micro_version);
  return TOOL_OK;
}

static char *
describe_commands (void)
{
  GString *text = g_string_new ("Commands:\n");

  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    g_string_append_printf (text, "  %-24s %s\n", commands[i].name, commands[i].summary);
  g_string_append (
    text, "\n"
          "Each command has its own --help. A database is named by a URI:\n"
          "  postgresql://user@host/database\n"
          "  sqlite:path/of/file\n"
          "Where a command gets none (or -), it takes the one in DATABASE_URL, or else what\n"
          "psql takes: PGHOST, PGDATABASE, PGUSER, PGPASSWORD, PGSERVICE and so on. That keeps\n"
          "passwords off the command line; the environment is for this user alone to read. A\n"
          "password in a URI disappears from the list of processes when the command begins.\n"
          "\n"
          "Exit status: 0 success, 1 failure, 2 wrong usage.\n");
  return g_string_free (text, FALSE);
}

static int
run (int argc, char **argv)
{
  gboolean version = FALSE;
  const GOptionEntry entries[] = {
    {"version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL},
    G_OPTION_ENTRY_NULL,
  };
  g_autofree char *description = describe_commands ();
  int status;

  g_set_prgname ("dbpool");
  for (gsize i = 0; argc > 1 && i < G_N_ELEMENTS (commands); i++)
    {
      if (strcmp (argv[1], commands[i].name) == 0)
        {
          g_autofree char *name = g_strconcat ("dbpool ", argv[1], NULL);

          g_set_prgname (name);
          return commands[i].run (argc - 1, argv + 1);
        }
    }
  if (argc > 1 && argv[1][0] != '-')
    return tool_complain_usage ("unknown command '%s'", argv[1]);
  if (!tool_parse_options (&argc, &argv, "COMMAND ...",
                           "Looks at databases through dbpool, a pool of connections.", description,
                           entries, &status))
    return status;
  if (version)
    return print_version ();
  return tool_complain_usage ("a command is missing");
}

int
main (int argc, char **argv)
{
  int status;

  /* texts as the user has them, numbers as programs read them */
  setlocale (LC_ALL, "");
  setlocale (LC_NUMERIC, "C");

  status = run (argc, argv);
  if (fflush (stdout) != 0 || ferror (stdout))
    {
      tool_complain ("the output could not be written: %s", g_strerror (errno));
      status = TOOL_FAILED;
    }
  if (abandoned)
    _exit (status);
  return status;
}
