/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Events on their way to GLib's log; see the private header. What is global is an atomic integer;
 * limits have a lock that is left before anything is logged. */

#include "config.h"

#include "db-error-private.h"
#include "db-fingerprint-private.h"
#include "db-lock-private.h"
#include "db-log-private.h"
#include "db-worker-private.h"

#include <string.h>

/* So many of one event of one pool are told in so long a time. */
#define TOLD_IN_A_WINDOW 10
#define WINDOW G_TIME_SPAN_MINUTE

/* As journald wants them. */
#define PRIORITY_WARNING "4"
#define PRIORITY_NOTICE "5"
#define PRIORITY_DEBUG "7"

#define N_FIELDS 14
#define NUMBER_SIZE 24

typedef struct
{
  const char *name;
  GLogLevelFlags level;
  const char *priority;
  DbDebug area;
} DbLogKind;

#define FAULT G_LOG_LEVEL_WARNING, PRIORITY_WARNING, DB_DEBUG_NONE
#define TROUBLE G_LOG_LEVEL_MESSAGE, PRIORITY_WARNING, DB_DEBUG_NONE
#define NOTICE G_LOG_LEVEL_MESSAGE, PRIORITY_NOTICE, DB_DEBUG_NONE
#define DEBUG(area) G_LOG_LEVEL_DEBUG, PRIORITY_DEBUG, DB_DEBUG_##area

static const DbLogKind kinds[] = {
  [DB_LOG_LEAK_SUSPECTED] = {"leak-suspected", FAULT},
  [DB_LOG_HOOK_TOO_LATE] = {"hook-too-late", FAULT},
  [DB_LOG_HOOK_LEFT_SESSION] = {"hook-left-session", FAULT},
  [DB_LOG_WRONG_POOL] = {"wrong-pool", FAULT},
  [DB_LOG_UNKNOWN_SESSION] = {"unknown-session", FAULT},
  [DB_LOG_CONFIG_FROZEN] = {"config-frozen", FAULT},
  [DB_LOG_HANDLE_IN_USE] = {"handle-in-use", FAULT},
  [DB_LOG_OUTAGE_BEGAN] = {"outage-began", TROUBLE},
  [DB_LOG_OUTAGE_OVER] = {"outage-over", NOTICE},
  [DB_LOG_DEADLOCK] = {"deadlock", TROUBLE},
  [DB_LOG_SLOW_ACQUIRE] = {"slow-acquire", TROUBLE},
  [DB_LOG_SLOW_QUERY] = {"slow-query", TROUBLE},
  [DB_LOG_LEAK_ENDED] = {"leak-ended", NOTICE},
  [DB_LOG_SERVER_UNVERIFIED] = {"server-unverified", TROUBLE},
  [DB_LOG_SETTING_IGNORED] = {"setting-ignored", TROUBLE},
  [DB_LOG_DEBUG_WORDS] = {"debug-words", NOTICE},
  [DB_LOG_POOL_CREATED] = {"pool-created", DEBUG (POOL)},
  [DB_LOG_POOL_CONFIGURED] = {"pool-configured", DEBUG (POOL)},
  [DB_LOG_POOL_RECONFIGURED] = {"pool-reconfigured", DEBUG (POOL)},
  [DB_LOG_POOL_EVICTED] = {"pool-evicted", DEBUG (POOL)},
  [DB_LOG_POOL_SUSPENDED] = {"pool-suspended", DEBUG (POOL)},
  [DB_LOG_POOL_RESUMED] = {"pool-resumed", DEBUG (POOL)},
  [DB_LOG_POOL_CLOSING] = {"pool-closing", DEBUG (POOL)},
  [DB_LOG_POOL_CLOSED] = {"pool-closed", DEBUG (POOL)},
  [DB_LOG_SESSION_OPENED] = {"session-opened", DEBUG (POOL)},
  [DB_LOG_SESSION_OPEN_FAILED] = {"session-open-failed", DEBUG (POOL)},
  [DB_LOG_SESSION_DROPPED] = {"session-dropped", DEBUG (POOL)},
  [DB_LOG_SESSION_CHECK_FAILED] = {"session-check-failed", DEBUG (POOL)},
  [DB_LOG_SESSION_RESET_FAILED] = {"session-reset-failed", DEBUG (POOL)},
  [DB_LOG_ACQUIRE_FAILED] = {"acquire-failed", DEBUG (POOL)},
  [DB_LOG_MACHINE_SLEPT] = {"machine-slept", DEBUG (POOL)},
  [DB_LOG_TRANSACTION_RETRIED] = {"transaction-retried", DEBUG (POOL)},
  [DB_LOG_POSTGRES_CONNECTED] = {"postgres-connected", DEBUG (POSTGRES)},
  [DB_LOG_POSTGRES_NOTICE] = {"postgres-notice", DEBUG (POSTGRES)},
  [DB_LOG_POSTGRES_CANCEL] = {"postgres-cancel", DEBUG (POSTGRES)},
  [DB_LOG_POSTGRES_DEALLOCATE_FAILED] = {"postgres-deallocate-failed", DEBUG (POSTGRES)},
  [DB_LOG_SQLITE_OPENED] = {"sqlite-opened", DEBUG (SQLITE)},
  [DB_LOG_SQLITE_TOKEN_WAIT] = {"sqlite-token-wait", DEBUG (SQLITE)},
  [DB_LOG_SQLITE_BUSY] = {"sqlite-busy", DEBUG (SQLITE)},
  [DB_LOG_LOAN_FINALIZED] = {"loan-finalized", DEBUG (LEAKS)},
  [DB_LOG_STATEMENT] = {"statement", DEBUG (SQL)},
};

G_STATIC_ASSERT (G_N_ELEMENTS (kinds) == DB_N_LOG_EVENTS);

/* DBPOOL_DEBUG. */

#define NOT_READ (1 << 30)

/* What G_MESSAGES_DEBUG alone asks for, behind what DBPOOL_DEBUG does: all but statements. */
#define QUIET_SHIFT 8
#define QUIETLY                                                                                    \
  ((DB_DEBUG_POOL | DB_DEBUG_POSTGRES | DB_DEBUG_SQLITE | DB_DEBUG_LEAKS) << QUIET_SHIFT)

static int areas = NOT_READ; /* atomic */

/* "all" is all but the values, for which one has to ask by name. */
static const struct
{
  const char *word;
  int areas;
  const char *meaning;
} words[] = {
  {"pool", DB_DEBUG_POOL, "sessions that are opened and closed, and what is done to the pool"},
  {"postgres", DB_DEBUG_POSTGRES, "PostgreSQL: what a connection is like, notices, cancels"},
  {"sqlite", DB_DEBUG_SQLITE, "SQLite: waits for the writer and for locks"},
  {"leaks", DB_DEBUG_LEAKS, "connections that end with their last reference"},
  {"sql", DB_DEBUG_SQL, "every statement, without values"},
  {"sql-values", DB_DEBUG_SQL | DB_DEBUG_SQL_VALUES, "every statement, with all values in it"},
  {"all", DB_DEBUG_POOL | DB_DEBUG_POSTGRES | DB_DEBUG_SQLITE | DB_DEBUG_LEAKS | DB_DEBUG_SQL,
   "all of these but values"},
  {"help", 0, "this list"},
};

/* @unknown gets the first word that is none. */
static int
parse_words (const char *text, gboolean *help, char **unknown)
{
  g_auto (GStrv) parts = g_strsplit_set (text, ",;: \t", -1);
  int found = 0;

  for (char **part = parts; *part != NULL; part++)
    {
      gsize i = 0;

      if (**part == '\0')
        continue;
      while (i < G_N_ELEMENTS (words) && g_ascii_strcasecmp (*part, words[i].word) != 0)
        i++;
      if (i == G_N_ELEMENTS (words))
        {
          if (*unknown == NULL)
            *unknown = g_strdup (*part);
          continue;
        }
      found |= words[i].areas;
      *help = *help || strcmp (words[i].word, "help") == 0;
    }
  return found;
}

static void
show_words (const char *unknown)
{
  g_autoptr (GString) text = g_string_new (NULL);

  if (unknown != NULL)
    g_string_printf (text, "DBPOOL_DEBUG: “%s” is not one of its words; ", unknown);
  g_string_append (text, "DBPOOL_DEBUG is a list of words, with commas between them: ");
  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    g_string_append_printf (text, "%s%s (%s)", i > 0 ? ", " : "", words[i].word, words[i].meaning);
  db_log (DB_LOG_FACTS (DB_LOG_DEBUG_WORDS), "%s", text->str);
}

/* Who is first tells of it. */
static int
read_areas (void)
{
  const char *text = g_getenv ("DBPOOL_DEBUG");
  g_autofree char *unknown = NULL;
  gboolean help = FALSE;
  int found = text != NULL ? parse_words (text, &help, &unknown) : 0;

  if (!g_log_writer_default_would_drop (G_LOG_LEVEL_DEBUG, G_LOG_DOMAIN))
    found |= QUIETLY;
  if (g_atomic_int_compare_and_exchange (&areas, NOT_READ, found) && (help || unknown != NULL))
    show_words (unknown);
  return found;
}

static int
get_areas (void)
{
  int known = g_atomic_int_get (&areas);

  return G_LIKELY (known != NOT_READ) ? known : read_areas ();
}

gboolean
db_log_wants (DbDebug wanted)
{
  return (get_areas () & (wanted | wanted << QUIET_SHIFT)) != 0;
}

/* Limits. Most pools have nothing to tell, so what counts comes with the first event. */

struct _DbLogLimits
{
  guint fork_generation;
  DbLock lock;
  DbLogLimit *limits; /* lock: of each event; NULL until there is one */
};

DbLogLimits *
db_log_limits_new (void)
{
  DbLogLimits *self = g_new0 (DbLogLimits, 1);

  self->fork_generation = db_fork_generation ();
  db_lock_init (&self->lock);
  return self;
}

void
db_log_limits_free (DbLogLimits *self)
{
  db_lock_clear (&self->lock);
  g_free (self->limits);
  g_free (self);
}

gboolean
db_log_limit_pass (DbLogLimit *self, gint64 now, guint *more, gint64 *more_since)
{
  if (self->began == 0 || now - self->began >= WINDOW)
    {
      self->began = now;
      self->n = 0;
    }
  if (self->n >= TOLD_IN_A_WINDOW)
    {
      if (self->more++ == 0)
        self->more_since = now;
      return FALSE;
    }
  self->n++;
  *more = self->more;
  *more_since = self->more_since;
  self->more = 0;
  return TRUE;
}

/* FALSE, too, in a child of a fork: the lock may be held by a thread that is not there. @note: what
 * to add of those that were kept back. */
static gboolean
may_tell (const DbLogFacts *facts, guint *more, char **note)
{
  gint64 now = g_get_monotonic_time ();
  gint64 since = 0;
  gboolean may;

  *more = 0;
  if (facts->limits == NULL)
    return TRUE;
  if (facts->limits->fork_generation != db_fork_generation ())
    return FALSE;
  db_lock_lock (&facts->limits->lock);
  if (facts->limits->limits == NULL)
    facts->limits->limits = g_new0 (DbLogLimit, DB_N_LOG_EVENTS);
  may = db_log_limit_pass (&facts->limits->limits[facts->event], now, more, &since);
  db_lock_unlock (&facts->limits->lock);
  if (may && *more > 0)
    *note = g_strdup_printf (" (and %u more like this in the last %.0f s)", *more,
                             (now - since) / (double) G_TIME_SPAN_SECOND);
  return may;
}

/* Logging. */

/* A writer that itself uses a pool does not hear of that. */
static __thread gboolean is_telling;

typedef struct
{
  GLogField fields[N_FIELDS];
  gsize n;
} DbLogEntry;

static void
add (DbLogEntry *self, const char *key, const char *value)
{
  if (value == NULL)
    return;
  g_assert (self->n < N_FIELDS);
  self->fields[self->n++] = (GLogField){key, value, -1};
}

static void
add_number (DbLogEntry *self, const char *key, guint64 value, char buffer[NUMBER_SIZE])
{
  if (value == 0)
    return;
  g_snprintf (buffer, NUMBER_SIZE, "%" G_GUINT64_FORMAT, value);
  add (self, key, buffer);
}

static void
send (const DbLogFacts *facts, const char *message, guint more)
{
  const DbLogKind *kind = &kinds[facts->event];
  const GError *error = facts->error;
  char connection[NUMBER_SIZE];
  char duration[NUMBER_SIZE];
  char sqlite_code[NUMBER_SIZE];
  char suppressed[NUMBER_SIZE];
  DbLogEntry entry = {0};

  add (&entry, "PRIORITY", kind->priority);
  add (&entry, "MESSAGE", message);
  add (&entry, "GLIB_DOMAIN", G_LOG_DOMAIN);
  add (&entry, "CODE_FILE", facts->file);
  add (&entry, "CODE_LINE", facts->line);
  add (&entry, "CODE_FUNC", facts->function);
  add (&entry, "DBPOOL_EVENT", kind->name);
  add (&entry, "DBPOOL_POOL", facts->pool);
  add (&entry, "DBPOOL_DATABASE", facts->database);
  add_number (&entry, "DBPOOL_CONNECTION", facts->connection, connection);
  add_number (&entry, "DBPOOL_DURATION_US", MAX (facts->duration, 0), duration);
  add (&entry, "DBPOOL_SQLSTATE", error != NULL ? db_error_get_sqlstate (error) : NULL);
  add_number (&entry, "DBPOOL_SQLITE_CODE", error != NULL ? db_error_get_sqlite_code (error) : 0,
              sqlite_code);
  add_number (&entry, "DBPOOL_SUPPRESSED", more, suppressed);
  is_telling = TRUE;
  g_log_structured_array (get_areas () & kind->area ? G_LOG_LEVEL_MESSAGE : kind->level,
                          entry.fields, entry.n);
  is_telling = FALSE;
}

static gboolean
is_wanted (DbLogEvent event)
{
  return kinds[event].area == DB_DEBUG_NONE || db_log_wants (kinds[event].area);
}

void
db_log (const DbLogFacts *facts, const char *format, ...)
{
  g_autofree char *text = NULL;
  g_autofree char *note = NULL;
  g_autofree char *message = NULL;
  guint more;
  va_list args;

  if (is_telling || !is_wanted (facts->event) || !may_tell (facts, &more, &note))
    return;
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  if (note != NULL)
    {
      char *longer = g_strconcat (text, note, NULL);

      g_free (text);
      text = longer;
    }
  message = db_text_to_line (text);
  send (facts, message, more);
}
