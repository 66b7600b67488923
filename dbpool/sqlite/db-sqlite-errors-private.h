/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What SQLite's codes and messages mean for people and for sessions. */

#pragma once

#include <sqlite3.h>

#include "db-error-info-private.h"

/* What to do about it, to go behind SQLite's own text; may be empty. */
const char *db_sqlite_get_hint (int rc);

/* Whether a session is of no more use after this happened to its own file. */
gboolean db_sqlite_breaks_session (int rc);

/* The details of @db's last failure, @rc. @sql: the text of which SQLite was given what begins at
 * @start to prepare; NULL when it failed otherwise. */
DbErrorInfo *db_sqlite_new_error_info (sqlite3 *db, int rc, const char *sql, const char *start);
