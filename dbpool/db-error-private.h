/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Translation of the databases' error codes into DbError: one table for SQLSTATE, one for SQLite's
 * extended result codes. Every error that comes from a database is made here, so that its text ends
 * in the code (" [SQLSTATE 23505]", " [SQLite 2067]"): bindings rebuild errors from domain, code
 * and text, and nothing else survives them. */

#pragma once

#include "db-error.h"

/* @sqlstate: five characters, or NULL or "" where the server gave none (then DB_ERROR_CONNECTION).
 */
GError *db_error_new_sqlstate (const char *sqlstate, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* @rc: an extended result code of sqlite3. */
GError *db_error_new_sqlite (int rc, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* The number in " [SQLite 2067]" at the end of the text, or 0. */
int db_error_get_sqlite_code (const GError *error);

/* The code alone, for decisions. */
DbError db_error_code_from_sqlstate (const char *sqlstate);
DbError db_error_code_from_sqlite (int rc);

/* NONE for codes that are not about a constraint. */
DbConstraintKind db_constraint_kind_from_sqlstate (const char *sqlstate);
DbConstraintKind db_constraint_kind_from_sqlite (int rc);

/* True for errors after which an open need not be tried again with the same settings. */
gboolean db_error_is_permanent_for_open (const GError *error);
