/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Opening and closing a libpq connection; both block. */

#pragma once

#include "db-database-config-private.h"

#include <libpq-fe.h>

/* The settings that libpq will get: those of @config and dbpool's defaults. */
DbConninfo *db_postgres_make_conninfo (DbDatabaseConfig *config);

/* What libpq would silently do without, or understand as something else, is DB_ERROR_CONFIGURATION.
 * Blocks while files are looked at. */
gboolean db_postgres_check_conninfo (DbDatabaseConfig *config, DbConninfo *info, GError **error);

/* TRUE if the server is elsewhere and the connection to it is not verified. */
gboolean db_postgres_conninfo_is_unverified (DbConninfo *info);

/* @where: the database in words, for errors. */
PGconn *db_postgres_connect (DbConninfo *info, const char *where, GError **error);

/* Returns when the server has let go of the session, at most a second later. @fd: a copy of the
 * socket of @conn; left open. */
void db_postgres_disconnect (PGconn *conn, int fd);
