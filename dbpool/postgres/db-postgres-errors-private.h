/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What libpq says of a failure, as errors of dbpool: one line, no values of DETAIL, the SQLSTATE at
 * the end. @where is the database in words, without secrets. */

#pragma once

#include "db-error-info.h"

#include <libpq-fe.h>

/* A statement failed; @result says how. */
GError *db_postgres_error_from_result (PGconn *conn, const PGresult *result, const char *where);

/* All that the server says of it, which an error's text is not to have. */
DbErrorInfo *db_postgres_error_info_from_result (const PGresult *result);

/* The session broke, or libpq itself refused to do something. */
GError *db_postgres_error_from_connection (PGconn *conn, const char *where);

/* Bind got another number of parameters than the statement has. Its SQLSTATE is of class 08, but
 * the session is as good as before, so this is an error of the query. NULL if @result says
 * otherwise. */
GError *db_postgres_error_from_bind_count (const PGresult *result, guint n_params);

/* An attempt to connect failed, @message being what PQerrorMessage() says, with PQERRORS_VERBOSE or
 * not. @ssl_mode: the sslmode in use. */
GError *db_postgres_error_from_open (const char *message, const char *where, const char *ssl_mode);

/* TRUE when a server has answered with an error for which @conn's message has no SQLSTATE yet. */
gboolean db_postgres_open_lacks_sqlstate (PGconn *conn);
