/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The GTypes of the public enumerations. */

#include "config.h"

#include "db-types.h"

G_DEFINE_FLAGS_TYPE (DbAcquireFlags,
                     db_acquire_flags,
                     G_DEFINE_ENUM_VALUE (DB_ACQUIRE_NONE, "none"),
                     G_DEFINE_ENUM_VALUE (DB_ACQUIRE_READ_ONLY, "read-only"))

G_DEFINE_ENUM_TYPE (DbConnectionState,
                    db_connection_state,
                    G_DEFINE_ENUM_VALUE (DB_CONNECTION_OPENING, "opening"),
                    G_DEFINE_ENUM_VALUE (DB_CONNECTION_IDLE, "idle"),
                    G_DEFINE_ENUM_VALUE (DB_CONNECTION_CHECKING, "checking"),
                    G_DEFINE_ENUM_VALUE (DB_CONNECTION_LENT, "lent"),
                    G_DEFINE_ENUM_VALUE (DB_CONNECTION_RESETTING, "resetting"),
                    G_DEFINE_ENUM_VALUE (DB_CONNECTION_CLOSING, "closing"),
                    G_DEFINE_ENUM_VALUE (DB_CONNECTION_DEDICATED, "dedicated"))

G_DEFINE_ENUM_TYPE (DbConstraintKind,
                    db_constraint_kind,
                    G_DEFINE_ENUM_VALUE (DB_CONSTRAINT_NONE, "none"),
                    G_DEFINE_ENUM_VALUE (DB_CONSTRAINT_OTHER, "other"),
                    G_DEFINE_ENUM_VALUE (DB_CONSTRAINT_NOT_NULL, "not-null"),
                    G_DEFINE_ENUM_VALUE (DB_CONSTRAINT_UNIQUE, "unique"),
                    G_DEFINE_ENUM_VALUE (DB_CONSTRAINT_FOREIGN_KEY, "foreign-key"),
                    G_DEFINE_ENUM_VALUE (DB_CONSTRAINT_CHECK, "check"),
                    G_DEFINE_ENUM_VALUE (DB_CONSTRAINT_EXCLUSION, "exclusion"))

G_DEFINE_ENUM_TYPE (DbDropReason,
                    db_drop_reason,
                    G_DEFINE_ENUM_VALUE (DB_DROP_BROKEN, "broken"),
                    G_DEFINE_ENUM_VALUE (DB_DROP_INVALID, "invalid"),
                    G_DEFINE_ENUM_VALUE (DB_DROP_IDLE, "idle"),
                    G_DEFINE_ENUM_VALUE (DB_DROP_LIFETIME, "lifetime"),
                    G_DEFINE_ENUM_VALUE (DB_DROP_EVICTED, "evicted"),
                    G_DEFINE_ENUM_VALUE (DB_DROP_CLOSED, "closed"))

G_DEFINE_FLAGS_TYPE (DbHealthFlags,
                     db_health_flags,
                     G_DEFINE_ENUM_VALUE (DB_HEALTH_NONE, "none"),
                     G_DEFINE_ENUM_VALUE (DB_HEALTH_QUICK_CHECK, "quick-check"))

G_DEFINE_ENUM_TYPE (DbHealthStatus,
                    db_health_status,
                    G_DEFINE_ENUM_VALUE (DB_HEALTH_UNKNOWN, "unknown"),
                    G_DEFINE_ENUM_VALUE (DB_HEALTH_HEALTHY, "healthy"),
                    G_DEFINE_ENUM_VALUE (DB_HEALTH_DEGRADED, "degraded"),
                    G_DEFINE_ENUM_VALUE (DB_HEALTH_UNHEALTHY, "unhealthy"))

G_DEFINE_ENUM_TYPE (DbHook,
                    db_hook,
                    G_DEFINE_ENUM_VALUE (DB_HOOK_BEFORE_CONNECT, "before-connect"),
                    G_DEFINE_ENUM_VALUE (DB_HOOK_AFTER_CONNECT, "after-connect"),
                    G_DEFINE_ENUM_VALUE (DB_HOOK_BEFORE_ACQUIRE, "before-acquire"))

G_DEFINE_ENUM_TYPE (DbIsolation,
                    db_isolation,
                    G_DEFINE_ENUM_VALUE (DB_ISOLATION_DEFAULT, "default"),
                    G_DEFINE_ENUM_VALUE (DB_ISOLATION_READ_COMMITTED, "read-committed"),
                    G_DEFINE_ENUM_VALUE (DB_ISOLATION_REPEATABLE_READ, "repeatable-read"),
                    G_DEFINE_ENUM_VALUE (DB_ISOLATION_SERIALIZABLE, "serializable"))

G_DEFINE_ENUM_TYPE (DbIdleOrder,
                    db_idle_order,
                    G_DEFINE_ENUM_VALUE (DB_IDLE_ORDER_LIFO, "lifo"),
                    G_DEFINE_ENUM_VALUE (DB_IDLE_ORDER_FIFO, "fifo"))

G_DEFINE_ENUM_TYPE (DbMetric,
                    db_metric,
                    G_DEFINE_ENUM_VALUE (DB_METRIC_WAIT, "wait"),
                    G_DEFINE_ENUM_VALUE (DB_METRIC_USE, "use"),
                    G_DEFINE_ENUM_VALUE (DB_METRIC_CREATE, "create"),
                    G_DEFINE_ENUM_VALUE (DB_METRIC_VALIDATE, "validate"),
                    G_DEFINE_ENUM_VALUE (DB_METRIC_QUERY, "query"))

G_DEFINE_ENUM_TYPE (DbMetricsFormat,
                    db_metrics_format,
                    G_DEFINE_ENUM_VALUE (DB_METRICS_FORMAT_OPENMETRICS, "openmetrics"),
                    G_DEFINE_ENUM_VALUE (DB_METRICS_FORMAT_PROMETHEUS, "prometheus"))

G_DEFINE_ENUM_TYPE (DbPreparedStatements,
                    db_prepared_statements,
                    G_DEFINE_ENUM_VALUE (DB_PREPARED_STATEMENTS_AUTO, "auto"),
                    G_DEFINE_ENUM_VALUE (DB_PREPARED_STATEMENTS_NEVER, "never"))

G_DEFINE_ENUM_TYPE (DbResetLevel,
                    db_reset_level,
                    G_DEFINE_ENUM_VALUE (DB_RESET_NONE, "none"),
                    G_DEFINE_ENUM_VALUE (DB_RESET_DIRTY, "dirty"),
                    G_DEFINE_ENUM_VALUE (DB_RESET_CLEAN, "clean"))

G_DEFINE_ENUM_TYPE (DbSessionState,
                    db_session_state,
                    G_DEFINE_ENUM_VALUE (DB_SESSION_IDLE, "idle"),
                    G_DEFINE_ENUM_VALUE (DB_SESSION_IN_TRANSACTION, "in-transaction"),
                    G_DEFINE_ENUM_VALUE (DB_SESSION_FAILED_TRANSACTION, "failed-transaction"),
                    G_DEFINE_ENUM_VALUE (DB_SESSION_BUSY, "busy"),
                    G_DEFINE_ENUM_VALUE (DB_SESSION_BROKEN, "broken"))

G_DEFINE_ENUM_TYPE (DbSslMode,
                    db_ssl_mode,
                    G_DEFINE_ENUM_VALUE (DB_SSL_MODE_DEFAULT, "default"),
                    G_DEFINE_ENUM_VALUE (DB_SSL_MODE_DISABLE, "disable"),
                    G_DEFINE_ENUM_VALUE (DB_SSL_MODE_ALLOW, "allow"),
                    G_DEFINE_ENUM_VALUE (DB_SSL_MODE_PREFER, "prefer"),
                    G_DEFINE_ENUM_VALUE (DB_SSL_MODE_REQUIRE, "require"),
                    G_DEFINE_ENUM_VALUE (DB_SSL_MODE_VERIFY_CA, "verify-ca"),
                    G_DEFINE_ENUM_VALUE (DB_SSL_MODE_VERIFY_FULL, "verify-full"))

G_DEFINE_FLAGS_TYPE (DbTransactionFlags,
                     db_transaction_flags,
                     G_DEFINE_ENUM_VALUE (DB_TRANSACTION_NONE, "none"),
                     G_DEFINE_ENUM_VALUE (DB_TRANSACTION_READ_ONLY, "read-only"),
                     G_DEFINE_ENUM_VALUE (DB_TRANSACTION_DEFERRABLE, "deferrable"),
                     G_DEFINE_ENUM_VALUE (DB_TRANSACTION_EXCLUSIVE, "exclusive"),
                     G_DEFINE_ENUM_VALUE (DB_TRANSACTION_DEFERRED, "deferred"))

G_DEFINE_ENUM_TYPE (DbValueType,
                    db_value_type,
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_NULL, "null"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_BOOLEAN, "boolean"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_INT64, "int64"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_DOUBLE, "double"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_TEXT, "text"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_BYTES, "bytes"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_DECIMAL, "decimal"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_DATE, "date"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_TIME, "time"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_TIMESTAMP, "timestamp"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_TIMESTAMP_TZ, "timestamp-tz"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_UUID, "uuid"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_JSON, "json"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_ARRAY, "array"),
                    G_DEFINE_ENUM_VALUE (DB_VALUE_TYPE_MIXED, "mixed"))
