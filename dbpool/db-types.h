/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include <gio/gio.h>

#include "db-version-macros.h"

G_BEGIN_DECLS

typedef struct _DbConnection DbConnection;
typedef struct _DbConnectionManager DbConnectionManager;
typedef struct _DbDatabaseConfig DbDatabaseConfig;
typedef struct _DbParams DbParams;
typedef struct _DbPool DbPool;
typedef struct _DbPoolConfig DbPoolConfig;
typedef struct _DbPoolFactory DbPoolFactory;
typedef struct _DbPoolStats DbPoolStats;
typedef struct _DbResult DbResult;
typedef struct _DbRow DbRow;
typedef struct _DbSession DbSession;
typedef struct _DbStatementPlan DbStatementPlan;
typedef struct _DbTransaction DbTransaction;

/**
 * DbAcquireFlags:
 * @DB_ACQUIRE_NONE: nothing special
 * @DB_ACQUIRE_READ_ONLY: writes through the connection fail with `DB_ERROR_READ_ONLY`
 *
 * How a connection is borrowed.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  DB_ACQUIRE_NONE = 0,
  DB_ACQUIRE_READ_ONLY = 1 << 0,
} DbAcquireFlags;

/**
 * DbDropReason:
 * @DB_DROP_BROKEN: the session broke: its socket closed or its state was unknown
 * @DB_DROP_INVALID: an active check or a reset of the session failed
 * @DB_DROP_IDLE: nobody wanted it for the idle timeout
 * @DB_DROP_LIFETIME: it reached its maximum lifetime or number of uses
 * @DB_DROP_EVICTED: it was evicted, or the pool became smaller
 * @DB_DROP_CLOSED: the pool closed
 *
 * Why the pool closed a session.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_DROP_BROKEN,
  DB_DROP_INVALID,
  DB_DROP_IDLE,
  DB_DROP_LIFETIME,
  DB_DROP_EVICTED,
  DB_DROP_CLOSED,
} DbDropReason;

/**
 * DbIsolation:
 * @DB_ISOLATION_DEFAULT: what the database uses when nothing is said
 * @DB_ISOLATION_READ_COMMITTED: `READ COMMITTED`; SQLite gives the stronger serializable
 * @DB_ISOLATION_REPEATABLE_READ: `REPEATABLE READ`; SQLite gives the stronger serializable
 * @DB_ISOLATION_SERIALIZABLE: `SERIALIZABLE`
 *
 * The isolation of a transaction.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_ISOLATION_DEFAULT,
  DB_ISOLATION_READ_COMMITTED,
  DB_ISOLATION_REPEATABLE_READ,
  DB_ISOLATION_SERIALIZABLE,
} DbIsolation;

/**
 * DbIdleOrder:
 * @DB_IDLE_ORDER_LIFO: the session used last is lent first: caches stay warm, the surplus ages out
 * @DB_IDLE_ORDER_FIFO: the session unused for longest is lent first: all are used alike
 *
 * Which idle session is lent first.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_IDLE_ORDER_LIFO,
  DB_IDLE_ORDER_FIFO,
} DbIdleOrder;

/**
 * DbResetLevel:
 * @DB_RESET_NONE: an open transaction is rolled back, nothing else
 * @DB_RESET_DIRTY: sessions that a statement may have changed are cleaned, the others cost nothing
 * @DB_RESET_CLEAN: every returned session is cleaned
 *
 * How thoroughly a session is cleaned when its connection is returned.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_RESET_NONE,
  DB_RESET_DIRTY,
  DB_RESET_CLEAN,
} DbResetLevel;

/**
 * DbSessionState:
 * @DB_SESSION_IDLE: open, in no transaction
 * @DB_SESSION_IN_TRANSACTION: inside a transaction
 * @DB_SESSION_FAILED_TRANSACTION: inside a transaction that can only be rolled back
 * @DB_SESSION_BUSY: a statement is running or its result has not been read
 * @DB_SESSION_BROKEN: of no more use
 *
 * The state of a session, as the protocol (never a flag of ours) says it.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_SESSION_IDLE,
  DB_SESSION_IN_TRANSACTION,
  DB_SESSION_FAILED_TRANSACTION,
  DB_SESSION_BUSY,
  DB_SESSION_BROKEN,
} DbSessionState;

/**
 * DbSslMode:
 * @DB_SSL_MODE_DEFAULT: what the URI, `PGSSLMODE` or the service file say; else `prefer` on Unix
 *   sockets and loopback, and `verify-full` elsewhere
 * @DB_SSL_MODE_DISABLE: no TLS
 * @DB_SSL_MODE_ALLOW: TLS only if the server insists
 * @DB_SSL_MODE_PREFER: TLS if the server has it, unverified
 * @DB_SSL_MODE_REQUIRE: TLS, unverified
 * @DB_SSL_MODE_VERIFY_CA: TLS, certificate signed by a trusted authority
 * @DB_SSL_MODE_VERIFY_FULL: the same, and issued for this host
 *
 * libpq's `sslmode`.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_SSL_MODE_DEFAULT,
  DB_SSL_MODE_DISABLE,
  DB_SSL_MODE_ALLOW,
  DB_SSL_MODE_PREFER,
  DB_SSL_MODE_REQUIRE,
  DB_SSL_MODE_VERIFY_CA,
  DB_SSL_MODE_VERIFY_FULL,
} DbSslMode;

/**
 * DbTransactionFlags:
 * @DB_TRANSACTION_NONE: read and write
 * @DB_TRANSACTION_READ_ONLY: writes fail
 * @DB_TRANSACTION_DEFERRABLE: PostgreSQL's `DEFERRABLE`
 * @DB_TRANSACTION_EXCLUSIVE: SQLite's `BEGIN EXCLUSIVE`
 * @DB_TRANSACTION_DEFERRED: SQLite's `BEGIN DEFERRED`: the write lock is taken by the first write
 *
 * How a transaction begins.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  DB_TRANSACTION_NONE = 0,
  DB_TRANSACTION_READ_ONLY = 1 << 0,
  DB_TRANSACTION_DEFERRABLE = 1 << 1,
  DB_TRANSACTION_EXCLUSIVE = 1 << 2,
  DB_TRANSACTION_DEFERRED = 1 << 3,
} DbTransactionFlags;

/**
 * DbValueType:
 * @DB_VALUE_TYPE_NULL: SQL NULL; as a column's type: every cell is NULL
 * @DB_VALUE_TYPE_BOOLEAN: true or false
 * @DB_VALUE_TYPE_INT64: a whole number of up to 64 bits
 * @DB_VALUE_TYPE_DOUBLE: a floating-point number
 * @DB_VALUE_TYPE_TEXT: UTF-8 text, and every type that has no better form here
 * @DB_VALUE_TYPE_BYTES: bytes
 * @DB_VALUE_TYPE_DECIMAL: an exact decimal number, as text
 * @DB_VALUE_TYPE_DATE: a date, as ISO 8601 text
 * @DB_VALUE_TYPE_TIME: a time of day, as ISO 8601 text
 * @DB_VALUE_TYPE_TIMESTAMP: a date and time without zone, as ISO 8601 text
 * @DB_VALUE_TYPE_TIMESTAMP_TZ: a point in time, as ISO 8601 text with its offset
 * @DB_VALUE_TYPE_UUID: a UUID, as text
 * @DB_VALUE_TYPE_JSON: a JSON document, as text
 * @DB_VALUE_TYPE_MIXED: only of columns: the cells differ in type (SQLite)
 *
 * The type of a cell, a parameter or a column.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_VALUE_TYPE_NULL,
  DB_VALUE_TYPE_BOOLEAN,
  DB_VALUE_TYPE_INT64,
  DB_VALUE_TYPE_DOUBLE,
  DB_VALUE_TYPE_TEXT,
  DB_VALUE_TYPE_BYTES,
  DB_VALUE_TYPE_DECIMAL,
  DB_VALUE_TYPE_DATE,
  DB_VALUE_TYPE_TIME,
  DB_VALUE_TYPE_TIMESTAMP,
  DB_VALUE_TYPE_TIMESTAMP_TZ,
  DB_VALUE_TYPE_UUID,
  DB_VALUE_TYPE_JSON,
  DB_VALUE_TYPE_MIXED,
} DbValueType;

#define DB_TYPE_ACQUIRE_FLAGS (db_acquire_flags_get_type ())
DB_AVAILABLE_IN_1_0
GType db_acquire_flags_get_type (void) G_GNUC_CONST;

#define DB_TYPE_DROP_REASON (db_drop_reason_get_type ())
DB_AVAILABLE_IN_1_0
GType db_drop_reason_get_type (void) G_GNUC_CONST;

#define DB_TYPE_IDLE_ORDER (db_idle_order_get_type ())
DB_AVAILABLE_IN_1_0
GType db_idle_order_get_type (void) G_GNUC_CONST;

#define DB_TYPE_ISOLATION (db_isolation_get_type ())
DB_AVAILABLE_IN_1_0
GType db_isolation_get_type (void) G_GNUC_CONST;

#define DB_TYPE_RESET_LEVEL (db_reset_level_get_type ())
DB_AVAILABLE_IN_1_0
GType db_reset_level_get_type (void) G_GNUC_CONST;

#define DB_TYPE_SESSION_STATE (db_session_state_get_type ())
DB_AVAILABLE_IN_1_0
GType db_session_state_get_type (void) G_GNUC_CONST;

#define DB_TYPE_SSL_MODE (db_ssl_mode_get_type ())
DB_AVAILABLE_IN_1_0
GType db_ssl_mode_get_type (void) G_GNUC_CONST;

#define DB_TYPE_TRANSACTION_FLAGS (db_transaction_flags_get_type ())
DB_AVAILABLE_IN_1_0
GType db_transaction_flags_get_type (void) G_GNUC_CONST;

#define DB_TYPE_VALUE_TYPE (db_value_type_get_type ())
DB_AVAILABLE_IN_1_0
GType db_value_type_get_type (void) G_GNUC_CONST;

G_END_DECLS
