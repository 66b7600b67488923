/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include <gio/gio.h>

#include "db-version-macros.h"

G_BEGIN_DECLS

typedef struct _DbBatch DbBatch;
typedef struct _DbBatchResult DbBatchResult;
typedef struct _DbConnection DbConnection;
typedef struct _DbConnectionInfo DbConnectionInfo;
typedef struct _DbConnectionManager DbConnectionManager;
typedef struct _DbCursor DbCursor;
typedef struct _DbDatabaseConfig DbDatabaseConfig;
typedef struct _DbDescription DbDescription;
typedef struct _DbErrorInfo DbErrorInfo;
typedef struct _DbMetricsCollector DbMetricsCollector;
typedef struct _DbMetricsSummary DbMetricsSummary;
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
 * @DB_ACQUIRE_READ_ONLY: writes through the connection fail with `DB_ERROR_READ_ONLY`; on
 *   PostgreSQL not in a transaction that the borrower's own SQL begins with `READ WRITE`
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
 * DbConstraintKind:
 * @DB_CONSTRAINT_NONE: the error is not about a constraint
 * @DB_CONSTRAINT_OTHER: another one, such as one that a trigger enforces
 * @DB_CONSTRAINT_NOT_NULL: a value is missing
 * @DB_CONSTRAINT_UNIQUE: a value exists already; on SQLite also of a primary key
 * @DB_CONSTRAINT_FOREIGN_KEY: what is referred to does not exist, or is still referred to
 * @DB_CONSTRAINT_CHECK: a condition does not hold
 * @DB_CONSTRAINT_EXCLUSION: a row excludes another one (PostgreSQL)
 *
 * The kind of constraint that a `DB_ERROR_CONSTRAINT` is about.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_CONSTRAINT_NONE,
  DB_CONSTRAINT_OTHER,
  DB_CONSTRAINT_NOT_NULL,
  DB_CONSTRAINT_UNIQUE,
  DB_CONSTRAINT_FOREIGN_KEY,
  DB_CONSTRAINT_CHECK,
  DB_CONSTRAINT_EXCLUSION,
} DbConstraintKind;

/**
 * DbPreparedStatements:
 * @DB_PREPARED_STATEMENTS_AUTO: statements are prepared when they are run again
 * @DB_PREPARED_STATEMENTS_NEVER: no statement is prepared by name, as behind PgBouncer in
 *   transaction mode
 *
 * Whether sessions keep statements prepared.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_PREPARED_STATEMENTS_AUTO,
  DB_PREPARED_STATEMENTS_NEVER,
} DbPreparedStatements;

/**
 * DbDropReason:
 * @DB_DROP_BROKEN: the session broke: its socket closed or its state was unknown
 * @DB_DROP_INVALID: an active check or a reset of the session failed, or a hook rejected it
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
 * DbConnectionState:
 * @DB_CONNECTION_OPENING: the session is being opened
 * @DB_CONNECTION_IDLE: it waits to be lent
 * @DB_CONNECTION_CHECKING: it is being checked, or a hook looks at it, before it is lent
 * @DB_CONNECTION_LENT: somebody has it
 * @DB_CONNECTION_RESETTING: it was returned and is being cleaned
 * @DB_CONNECTION_CLOSING: it is being closed
 * @DB_CONNECTION_DEDICATED: it was opened by [method@Db.ConnectionManager.open_session] of the
 * pool, which does not lend it
 *
 * Where one of the sessions of a pool is. Each of them counts against `max-connections`.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_CONNECTION_OPENING,
  DB_CONNECTION_IDLE,
  DB_CONNECTION_CHECKING,
  DB_CONNECTION_LENT,
  DB_CONNECTION_RESETTING,
  DB_CONNECTION_CLOSING,
  DB_CONNECTION_DEDICATED,
} DbConnectionState;

/**
 * DbHealthFlags:
 * @DB_HEALTH_NONE: the cheap facts only
 * @DB_HEALTH_QUICK_CHECK: also look for damage, which reads the whole database (SQLite's
 *   `quick_check`)
 *
 * What [method@Db.ConnectionManager.get_facts] is to look at.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  DB_HEALTH_NONE = 0,
  DB_HEALTH_QUICK_CHECK = 1 << 0,
} DbHealthFlags;

/**
 * DbHealthStatus:
 * @DB_HEALTH_UNKNOWN: nobody has looked yet
 * @DB_HEALTH_HEALTHY: the database answers, and the pool serves its callers
 * @DB_HEALTH_DEGRADED: it can be used, but something is not as it should be
 * @DB_HEALTH_UNHEALTHY: it cannot be used
 *
 * How a pool and its database are, in the order of getting worse.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_HEALTH_UNKNOWN,
  DB_HEALTH_HEALTHY,
  DB_HEALTH_DEGRADED,
  DB_HEALTH_UNHEALTHY,
} DbHealthStatus;

/**
 * DbHook:
 * @DB_HOOK_BEFORE_CONNECT: before a session is opened; gets a [class@Db.DatabaseConfig] of its own,
 *   which it may change (a fresh password, for example), or %NULL if the manager has none
 * @DB_HOOK_AFTER_CONNECT: when a session was opened, before anybody gets it; gets a
 *   [class@Db.Connection]
 * @DB_HOOK_BEFORE_ACQUIRE: before each loan, also the first one of a session; gets a
 *   [class@Db.Connection]
 *
 * The points at which a pool asks a function of the application's.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_HOOK_BEFORE_CONNECT,
  DB_HOOK_AFTER_CONNECT,
  DB_HOOK_BEFORE_ACQUIRE,
} DbHook;

/**
 * DbHookFunc:
 * @pool: the pool
 * @subject: (nullable): a [class@Db.DatabaseConfig] or a [class@Db.Connection], as [enum@Db.Hook]
 *   says; it is inert once the function has returned
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * Looks at a session that a pool opens or lends. It may block, use @subject and call any method of
 * the pool; dbpool holds no lock meanwhile.
 *
 * A session for which it returns %FALSE, or that it leaves in a transaction, is closed, and another
 * one takes its place.
 *
 * Returns: %TRUE to go on, %FALSE with @error set to reject the session
 *
 * Since: 1.0
 */
typedef gboolean (*DbHookFunc) (DbPool *pool, GObject *subject, gpointer user_data, GError **error);

/**
 * DbTransactFunc:
 * @connection: a connection in a transaction
 * @user_data: data for the function
 * @error: return location for an error
 *
 * What is to be done in a transaction, see [method@Db.Pool.transact].
 *
 * It may be called several times, each time in a new transaction, and has to do everything anew
 * then. It neither commits nor rolls back.
 *
 * Returns: %TRUE to commit, %FALSE with @error set to roll back
 *
 * Since: 1.0
 */
typedef gboolean (*DbTransactFunc) (DbConnection *connection, gpointer user_data, GError **error);

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
 * DbMetric:
 * @DB_METRIC_WAIT: for how long a caller waited for the connection that it got
 * @DB_METRIC_USE: for how long a connection was out
 * @DB_METRIC_CREATE: how long it took to open a session
 * @DB_METRIC_VALIDATE: how long it took to ask the database whether a session still works
 * @DB_METRIC_QUERY: how long an operation on a connection took
 *
 * The durations of which a [class@Db.MetricsCollector] keeps a histogram.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_METRIC_WAIT,
  DB_METRIC_USE,
  DB_METRIC_CREATE,
  DB_METRIC_VALIDATE,
  DB_METRIC_QUERY,
} DbMetric;

/**
 * DbMetricsFormat:
 * @DB_METRICS_FORMAT_OPENMETRICS: OpenMetrics 1.0
 * @DB_METRICS_FORMAT_PROMETHEUS: the text format 0.0.4 of Prometheus
 *
 * The text formats of metrics.
 *
 * Since: 1.0
 */
typedef enum
{
  DB_METRICS_FORMAT_OPENMETRICS,
  DB_METRICS_FORMAT_PROMETHEUS,
} DbMetricsFormat;

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
 * @DB_VALUE_TYPE_ARRAY: an array of one of these, carried as the database writes it
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
  DB_VALUE_TYPE_ARRAY,
  DB_VALUE_TYPE_MIXED,
} DbValueType;

#define DB_TYPE_ACQUIRE_FLAGS (db_acquire_flags_get_type ())
DB_AVAILABLE_IN_1_0
GType db_acquire_flags_get_type (void) G_GNUC_CONST;

#define DB_TYPE_CONNECTION_STATE (db_connection_state_get_type ())
DB_AVAILABLE_IN_1_0
GType db_connection_state_get_type (void) G_GNUC_CONST;

#define DB_TYPE_CONSTRAINT_KIND (db_constraint_kind_get_type ())
DB_AVAILABLE_IN_1_0
GType db_constraint_kind_get_type (void) G_GNUC_CONST;

#define DB_TYPE_DROP_REASON (db_drop_reason_get_type ())
DB_AVAILABLE_IN_1_0
GType db_drop_reason_get_type (void) G_GNUC_CONST;

#define DB_TYPE_HEALTH_FLAGS (db_health_flags_get_type ())
DB_AVAILABLE_IN_1_0
GType db_health_flags_get_type (void) G_GNUC_CONST;

#define DB_TYPE_HEALTH_STATUS (db_health_status_get_type ())
DB_AVAILABLE_IN_1_0
GType db_health_status_get_type (void) G_GNUC_CONST;

#define DB_TYPE_HOOK (db_hook_get_type ())
DB_AVAILABLE_IN_1_0
GType db_hook_get_type (void) G_GNUC_CONST;

#define DB_TYPE_IDLE_ORDER (db_idle_order_get_type ())
DB_AVAILABLE_IN_1_0
GType db_idle_order_get_type (void) G_GNUC_CONST;

#define DB_TYPE_ISOLATION (db_isolation_get_type ())
DB_AVAILABLE_IN_1_0
GType db_isolation_get_type (void) G_GNUC_CONST;

#define DB_TYPE_METRIC (db_metric_get_type ())
DB_AVAILABLE_IN_1_0
GType db_metric_get_type (void) G_GNUC_CONST;

#define DB_TYPE_METRICS_FORMAT (db_metrics_format_get_type ())
DB_AVAILABLE_IN_1_0
GType db_metrics_format_get_type (void) G_GNUC_CONST;

#define DB_TYPE_PREPARED_STATEMENTS (db_prepared_statements_get_type ())
DB_AVAILABLE_IN_1_0
GType db_prepared_statements_get_type (void) G_GNUC_CONST;

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
