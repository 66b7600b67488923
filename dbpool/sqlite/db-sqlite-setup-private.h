/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* From settings to an open session, and back to the same state after a loan. */

#pragma once

#include "db-sqlite-session-private.h"

/* The settings of a manager, frozen at its first open; read-only from then on. */
typedef struct
{
  gboolean in_memory;
  char *file; /* absolute path, or the name in SQLite's "memdb" */
  char *description;
  char *journal_mode; /* lower case; NULL: WAL for a new file, else what the file has */
  char *synchronous;
  gboolean foreign_keys;
  gboolean read_only;
  gboolean create;
  gint64 busy_timeout;
  GPtrArray *early_pragmas; /* statements that come before the first page is written */
  GPtrArray *pragmas;       /* the other statements of the user's, in order */
} DbSqliteSettings;

typedef struct
{
  gboolean in_memory;
  const char *path;
  const char *journal_mode;
  const char *synchronous;
  GVariant *pragmas; /* a{ss} or NULL */
} DbSqliteInput;

/* Checks what a user may have got wrong; the other fields are for the caller to fill in. */
DbSqliteSettings *db_sqlite_settings_new (const DbSqliteInput *input, GError **error);
void db_sqlite_settings_free (DbSqliteSettings *self);

DbSqliteSession *
db_sqlite_setup_open (const DbSqliteSettings *settings, GCancellable *cancellable, GError **error);

/* The statements that give a session's settings their present values again. */
GPtrArray *db_sqlite_setup_remember (DbSqliteSession *session, GError **error);

/* @restore: what db_sqlite_setup_remember() returned for a session of these settings. */
gboolean db_sqlite_setup_clean (const DbSqliteSettings *settings,
                                DbSqliteSession *session,
                                GPtrArray *restore,
                                GCancellable *cancellable,
                                GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbSqliteSettings, db_sqlite_settings_free)
