/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the files of the dbpool command share. The command is a program like any other: it uses the
 * library's public interface and nothing else of it. */

#pragma once

#include <dbpool.h>
#include <stdio.h>

/* Exit statuses. A command that was interrupted ends with 128 and the number of the signal. */
#define TOOL_OK 0
#define TOOL_FAILED 1
#define TOOL_USAGE 2

/* The subcommands. Each takes its own arguments, argv[0] being its name, and returns a status. */
int tool_check (int argc, char **argv);
int tool_query (int argc, char **argv);
int tool_bench (int argc, char **argv);

/* Command line (db-tool-main.c) */

typedef enum
{
  TOOL_FORMAT_TABLE,
  TOOL_FORMAT_CSV,
  TOOL_FORMAT_JSON,
} ToolFormat;

/* Takes the options out of argv, and a "--" too. On FALSE @status is what to return. */
gboolean tool_parse_options (int *argc,
                             char ***argv,
                             const char *parameters,
                             const char *summary,
                             const char *description,
                             const GOptionEntry *entries,
                             int *status);

/* The URI that @argument (NULL, "-" or a URI) stands for, or NULL after a complaint. Makes
 * passwords unreadable in @argument, which is what other users of the machine see of the command
 * line. */
char *tool_take_uri (char *argument);

/* @csv: whether “csv” is one of the formats. FALSE after a complaint. */
gboolean tool_parse_format (const char *text, gboolean csv, ToolFormat *format);

/* FALSE after a complaint, if @seconds is not a positive number of seconds. */
gboolean tool_check_seconds (const char *option, double seconds, gint64 *microseconds);

/* Prints "dbpool check: …" to the standard error stream. */
void tool_complain (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* The same, and where help is found; returns TOOL_USAGE. */
int tool_complain_usage (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* Runs @func on a thread of its own and waits for it, but no longer than @timeout; then its
 * cancellable is cancelled, and it is left alone. @data comes from g_atomic_rc_box_new(); the
 * thread has a reference of its own, which it releases with @clear. After a timeout the process has
 * to end soon; it does so without waiting for the thread. */
typedef gboolean (*ToolFunc) (gpointer data, GCancellable *cancellable, GError **error);

gboolean tool_run_within (gint64 timeout,
                          ToolFunc func,
                          gpointer data,
                          GDestroyNotify clear,
                          GError **error);

/* Output (db-tool-output.c) */

/* Whether @stream is a terminal that wants colours. */
gboolean tool_has_colour (FILE *stream);

/* The nick of an error of dbpool's ("authentication"), or of another domain its name. */
const char *tool_error_nick (const GError *error);

/* "850 ns", "1.23 ms", "2.50 s" */
char *tool_format_duration (gint64 nanoseconds);
/* "1,234,567" */
char *tool_format_count (guint64 count);
/* The shortest decimal text that reads back as @number; "NaN", "Infinity", "-Infinity". */
char *tool_format_double (double number);

/* One JSON document. @key is NULL inside of arrays and for the outermost value. */
typedef struct
{
  GString *text;
  gboolean comma; /* the next value is not the first one in its object or array */
} ToolJson;

void tool_json_init (ToolJson *self);
void tool_json_clear (ToolJson *self);
void tool_json_begin (ToolJson *self, const char *key, char bracket);
void tool_json_end (ToolJson *self, char bracket);
void tool_json_add_raw (ToolJson *self, const char *key, const char *json);
void tool_json_add_null (ToolJson *self, const char *key);
void tool_json_add_boolean (ToolJson *self, const char *key, gboolean value);
void tool_json_add_int64 (ToolJson *self, const char *key, gint64 value);
void tool_json_add_double (ToolJson *self, const char *key, double value);
/* @decimals: how many digits behind the point */
void tool_json_add_rounded (ToolJson *self, const char *key, double value, int decimals);
void tool_json_add_string (ToolJson *self, const char *key, const char *value);

/* Whether @text is one JSON value and nothing else. */
gboolean tool_json_is_valid (const char *text);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ToolJson, tool_json_clear)

/* Writes a result to the standard output stream (db-tool-result.c). */
void tool_print_result (DbResult *result, ToolFormat format, const char *null_text);
