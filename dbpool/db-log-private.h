/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What dbpool says in the log: GLib's structured log, domain "dbpool", with fields that stay as
 * they are; docs/logging.md has the table of events.
 *
 * Whoever reads the log may be code of the application's (a writer), so nothing is logged with a
 * lock held, nor in a forked child for a pool of the parent's. Texts name no value of a statement
 * and no password.
 *
 * Three kinds of events. A fault is the program's: G_LOG_LEVEL_WARNING. News are about the world or
 * the settings: G_LOG_LEVEL_MESSAGE, with the priority of a warning for journald where somebody
 * should look, but never fatal. The rest is for debugging, and made only for who asks: at
 * G_LOG_LEVEL_MESSAGE when DBPOOL_DEBUG names its area, or at G_LOG_LEVEL_DEBUG when
 * G_MESSAGES_DEBUG shows the domain (but for statements). */

#pragma once

#include <glib.h>

/* In the order of the words of DBPOOL_DEBUG. */
typedef enum
{
  DB_DEBUG_NONE = 0,
  DB_DEBUG_POOL = 1 << 0,
  DB_DEBUG_POSTGRES = 1 << 1,
  DB_DEBUG_SQLITE = 1 << 2,
  DB_DEBUG_LEAKS = 1 << 3,
  DB_DEBUG_SQL = 1 << 4,
  DB_DEBUG_SQL_VALUES = 1 << 5,
} DbDebug;

/* Whether somebody asks for one of @areas. The environment is read once, by the first call, which
 * may log. */
gboolean db_log_wants (DbDebug areas);

/* In the order of the table in db-log.c. */
typedef enum
{
  DB_LOG_LEAK_SUSPECTED,
  DB_LOG_HOOK_TOO_LATE,
  DB_LOG_HOOK_LEFT_SESSION,
  DB_LOG_WRONG_POOL,
  DB_LOG_UNKNOWN_SESSION,
  DB_LOG_CONFIG_FROZEN,
  DB_LOG_HANDLE_IN_USE,
  DB_LOG_OUTAGE_BEGAN,
  DB_LOG_OUTAGE_OVER,
  DB_LOG_DEADLOCK,
  DB_LOG_SLOW_ACQUIRE,
  DB_LOG_SLOW_QUERY,
  DB_LOG_LEAK_ENDED,
  DB_LOG_SERVER_UNVERIFIED,
  DB_LOG_SETTING_IGNORED,
  DB_LOG_DEBUG_WORDS,
  DB_LOG_POOL_CREATED,
  DB_LOG_POOL_CONFIGURED,
  DB_LOG_POOL_RECONFIGURED,
  DB_LOG_POOL_EVICTED,
  DB_LOG_POOL_SUSPENDED,
  DB_LOG_POOL_RESUMED,
  DB_LOG_POOL_CLOSING,
  DB_LOG_POOL_CLOSED,
  DB_LOG_SESSION_OPENED,
  DB_LOG_SESSION_OPEN_FAILED,
  DB_LOG_SESSION_DROPPED,
  DB_LOG_SESSION_CHECK_FAILED,
  DB_LOG_SESSION_RESET_FAILED,
  DB_LOG_ACQUIRE_FAILED,
  DB_LOG_MACHINE_SLEPT,
  DB_LOG_TRANSACTION_RETRIED,
  DB_LOG_POSTGRES_CONNECTED,
  DB_LOG_POSTGRES_NOTICE,
  DB_LOG_POSTGRES_CANCEL,
  DB_LOG_POSTGRES_DEALLOCATE_FAILED,
  DB_LOG_SQLITE_OPENED,
  DB_LOG_SQLITE_TOKEN_WAIT,
  DB_LOG_SQLITE_BUSY,
  DB_LOG_LOAN_FINALIZED,
  DB_LOG_STATEMENT,
} DbLogEvent;

#define DB_N_LOG_EVENTS (DB_LOG_STATEMENT + 1)

/* How often one event of one pool is told. All zeros to begin with. */
typedef struct
{
  gint64 began; /* of the minute; 0: there was none */
  guint n;      /* told in it */
  guint more;   /* kept back since the last one that was told */
  gint64 more_since;
} DbLogLimit;

/* Whether to tell of it at @now. If so, @more were kept back since @more_since. */
gboolean db_log_limit_pass (DbLogLimit *self, gint64 now, guint *more, gint64 *more_since);

/* The same for all events of a pool, with a lock of its own that is held for nothing else. */
typedef struct _DbLogLimits DbLogLimits;

DbLogLimits *db_log_limits_new (void);
void db_log_limits_free (DbLogLimits *self);

/* An event, and what there is to say of it. All borrowed; what is not set is left out. */
typedef struct
{
  DbLogEvent event;
  const char *file;
  const char *line;
  const char *function;
  DbLogLimits *limits; /* NULL: told every time */
  const char *pool;
  const char *database; /* in words, without secrets */
  guint64 connection;   /* the number of the session */
  gint64 duration;      /* in microseconds, at least 1 */
  const GError *error;  /* for the database's code, which is at the end of its text */
} DbLogFacts;

#define DB_LOG_FACTS(event_, ...)                                                                  \
  (&(DbLogFacts){.event = (event_),                                                                \
                 .file = __FILE__,                                                                 \
                 .line = G_STRINGIFY (__LINE__),                                                   \
                 .function = G_STRFUNC,                                                            \
                 __VA_ARGS__})

/* No lock is held. The text is made one line of valid UTF-8. */
void db_log (const DbLogFacts *facts, const char *format, ...) G_GNUC_PRINTF (2, 3);
