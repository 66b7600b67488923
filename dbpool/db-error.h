/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-types.h"

G_BEGIN_DECLS

/**
 * DbError:
 * @DB_ERROR_FAILED: something failed that has no better code, also a function of the user's that
 *   failed without saying why
 * @DB_ERROR_CONFIGURATION: a setting is wrong: an unknown database, a missing folder, a bad URI
 * @DB_ERROR_AUTHENTICATION: the server does not accept the user or the password
 * @DB_ERROR_CONNECTION: the server cannot be reached, or the session with it broke
 * @DB_ERROR_HEALTH_CHECK: a health check failed
 * @DB_ERROR_EXHAUSTED: nothing was idle, and the caller did not want to wait
 * @DB_ERROR_QUEUE_FULL: too many callers wait already
 * @DB_ERROR_TIMEOUT: the deadline passed
 * @DB_ERROR_CLOSED: the pool is closed
 * @DB_ERROR_SUSPENDED: the pool is suspended
 * @DB_ERROR_RELEASED: the connection was given back
 * @DB_ERROR_FORKED: the pool belongs to the parent process
 * @DB_ERROR_DEADLOCK: every session is lent to threads that wait for another one
 * @DB_ERROR_QUERY: the database refused a statement
 * @DB_ERROR_CONSTRAINT: a constraint was violated
 * @DB_ERROR_SERIALIZATION: the transaction lost against another one: run it again
 * @DB_ERROR_BUSY: a lock could not be had in time
 * @DB_ERROR_READ_ONLY: a write where only reading is possible
 * @DB_ERROR_TYPE: a value has the wrong type or does not fit its type
 * @DB_ERROR_LIMIT: a limit of the database or of dbpool was reached
 * @DB_ERROR_NOT_SUPPORTED: this database or this session cannot do that
 *
 * The errors of dbpool.
 *
 * An error that comes from a database ends in `" [SQLSTATE 23505]"` or `" [SQLite 2067]"`, which
 * [func@Db.Error.get_sqlstate] reads. A cancelled call fails with `G_IO_ERROR_CANCELLED`, a
 * blocking call on a connection that is in use with `G_IO_ERROR_PENDING`.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_ERROR_FAILED,
  DB_ERROR_CONFIGURATION,
  DB_ERROR_AUTHENTICATION,
  DB_ERROR_CONNECTION,
  DB_ERROR_HEALTH_CHECK,
  DB_ERROR_EXHAUSTED,
  DB_ERROR_QUEUE_FULL,
  DB_ERROR_TIMEOUT,
  DB_ERROR_CLOSED,
  DB_ERROR_SUSPENDED,
  DB_ERROR_RELEASED,
  DB_ERROR_FORKED,
  DB_ERROR_DEADLOCK,
  DB_ERROR_QUERY,
  DB_ERROR_CONSTRAINT,
  DB_ERROR_SERIALIZATION,
  DB_ERROR_BUSY,
  DB_ERROR_READ_ONLY,
  DB_ERROR_TYPE,
  DB_ERROR_LIMIT,
  DB_ERROR_NOT_SUPPORTED,
} DbError;

/**
 * DB_ERROR:
 *
 * The error domain of dbpool. Its codes are [error@Db.Error].
 *
 * Since: 1.0
 */
#define DB_ERROR (db_error_quark ())

DB_AVAILABLE_IN_1_0
GQuark db_error_quark (void);

#define DB_TYPE_ERROR (db_error_get_type ())
DB_AVAILABLE_IN_1_0
GType db_error_get_type (void) G_GNUC_CONST;

DB_AVAILABLE_IN_1_0
gboolean db_error_is_transient (const GError *error);

DB_AVAILABLE_IN_1_0
const char *db_error_get_sqlstate (const GError *error);
DB_AVAILABLE_IN_1_0
DbConstraintKind db_error_get_constraint_kind (const GError *error);

G_END_DECLS
