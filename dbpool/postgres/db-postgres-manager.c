/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The manager of PostgreSQL sessions: opening, checking, cleaning and closing, each blocking, on
 * whatever thread of dbpool's. It is immutable, so it has no lock; a session belongs to one
 * thread at a time. */

#include "config.h"

#include "db-postgres-manager.h"

#include "db-config-source-private.h"
#include "db-database-config-private.h"
#include "db-error-private.h"
#include "db-postgres-connecting-private.h"
#include "db-postgres-health-private.h"
#include "db-postgres-session-private.h"

#include <string.h>

/* A session that does not answer dbpool's own statements for so long is dead, unless somebody gave
 * a cancellable, and so limits the time himself. */
#define ANSWER_TIMEOUT (5 * G_TIME_SPAN_SECOND)

/* DISCARD ALL but for the prepared statements, which the next borrower wants. */
#define CLEAN_SQL                                                                                  \
  "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; "                          \
  "SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"

/**
 * DbPostgresManager:
 *
 * Opens sessions with a PostgreSQL server.
 *
 * It may be used from any thread. Its configuration is fixed from the moment that the manager is
 * made.
 *
 * A session speaks UTF-8 and writes dates as ISO 8601; its values have the types that the server
 * says. Where TLS is not configured anywhere, it is used if the server has it on Unix sockets and
 * loopback, and elsewhere it is required, and the server's certificate is verified.
 *
 * Since: 1.0
 */

struct _DbPostgresManager
{
  GObject parent_instance;

  /* read-only after construction */
  DbDatabaseConfig *config;

  int warned; /* atomic */
};

typedef enum
{
  PROP_CONFIG = 1,
} DbPostgresManagerProperty;

static GParamSpec *properties[PROP_CONFIG + 1];

static void db_postgres_manager_iface_init (DbConnectionManagerInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DbPostgresManager,
                               db_postgres_manager,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DB_TYPE_CONNECTION_MANAGER,
                                                      db_postgres_manager_iface_init))

static void
warn_once_if_unverified (DbPostgresManager *self, DbConninfo *info, const char *where)
{
  if (db_postgres_conninfo_is_unverified (info) &&
      g_atomic_int_compare_and_exchange (&self->warned, FALSE, TRUE))
    db_log (DB_LOG_FACTS (DB_LOG_SERVER_UNVERIFIED, .database = where),
            "%s: nothing proves that this is the right server: set ssl-mode to verify-full", where);
}

/* A password that is refused may have been replaced since its file was read: if another one is
 * there now, that is tried, once. */
static PGconn *
connect_with_password_file (DbDatabaseConfig *config,
                            DbConninfo *info,
                            const char *where,
                            GError **error)
{
  g_autoptr (GError) refusal = NULL;
  PGconn *conn = db_postgres_connect (info, where, &refusal);

  if (conn != NULL)
    return conn;
  if (g_error_matches (refusal, DB_ERROR, DB_ERROR_AUTHENTICATION) &&
      db_database_config_renew_password (config, info))
    return db_postgres_connect (info, where, error);
  g_propagate_error (error, g_steal_pointer (&refusal));
  return NULL;
}

/* Dates as ISO 8601, whatever the server, the database or the role have for a default. */
static gboolean
ensure_iso_dates (DbPostgresSession *session, GCancellable *cancellable, GError **error)
{
  const char *style = PQparameterStatus (session->conn, "DateStyle");

  if (style == NULL || g_str_has_prefix (style, "ISO"))
    return TRUE;
  return db_postgres_session_run_internal (session, "SET DateStyle = 'ISO'", ANSWER_TIMEOUT,
                                           cancellable, error);
}

static void
tell_of_connection (DbPostgresSession *session)
{
  PGconn *conn = session->conn;

  db_log (DB_LOG_FACTS (DB_LOG_POSTGRES_CONNECTED, .database = session->where),
          "%s: connected to server process %d, version %s, %s", session->where, session->pid,
          PQparameterStatus (conn, "server_version"),
          PQsslInUse (conn) ? PQsslAttribute (conn, "protocol") : "without TLS");
}

static DbSession *
db_postgres_manager_open_session_with_config (DbConnectionManager *manager,
                                              DbDatabaseConfig *config,
                                              GCancellable *cancellable,
                                              GError **error)
{
  DbPostgresManager *self = DB_POSTGRES_MANAGER (manager);
  g_autofree char *where = db_database_config_describe (config);
  g_autoptr (DbConninfo) info = NULL;
  g_autoptr (DbPostgresSession) session = NULL;
  PGconn *conn;

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  info = db_postgres_make_conninfo (config);
  if (!db_postgres_check_conninfo (config, info, error) ||
      !db_database_config_read_password_file (config, info, error))
    {
      g_autofree char *shown = db_config_shorten (where); /* it may be what is too long */

      g_prefix_error (error, "cannot connect to %s: ", shown);
      return NULL;
    }
  warn_once_if_unverified (self, info, where);
  conn = connect_with_password_file (config, info, where, error);
  if (conn == NULL)
    return NULL;
  session = db_postgres_session_new (conn, where);
  if (g_cancellable_set_error_if_cancelled (cancellable, error) ||
      !ensure_iso_dates (session, cancellable, error))
    {
      db_postgres_session_close (session);
      return NULL;
    }
  tell_of_connection (session);
  return DB_SESSION (g_steal_pointer (&session));
}

static DbSession *
db_postgres_manager_open_session (DbConnectionManager *manager,
                                  GCancellable *cancellable,
                                  GError **error)
{
  DbPostgresManager *self = DB_POSTGRES_MANAGER (manager);

  return db_postgres_manager_open_session_with_config (manager, self->config, cancellable, error);
}

static DbDatabaseConfig *
db_postgres_manager_dup_database_config (DbConnectionManager *manager)
{
  return db_database_config_copy (DB_POSTGRES_MANAGER (manager)->config);
}

static gboolean
db_postgres_manager_check_session (DbConnectionManager *manager,
                                   DbSession *session,
                                   GCancellable *cancellable,
                                   GError **error)
{
  /* The empty statement is the cheapest round trip, and works in a failed transaction. */
  return db_postgres_session_run_internal (DB_POSTGRES_SESSION (session), "",
                                           cancellable != NULL ? 0 : ANSWER_TIMEOUT, cancellable,
                                           error);
}

/* TRUE when the session can be cleaned at all; @in_transaction: that has to be ended. */
static gboolean
is_resettable (DbPostgresSession *session, gboolean *in_transaction, GError **error)
{
  DbSessionState state = db_session_get_state (DB_SESSION (session));

  *in_transaction = state == DB_SESSION_IN_TRANSACTION || state == DB_SESSION_FAILED_TRANSACTION;
  if ((*in_transaction || state == DB_SESSION_IDLE) &&
      PQpipelineStatus (session->conn) == PQ_PIPELINE_OFF)
    return TRUE;
  g_set_error (error, DB_ERROR, DB_ERROR_CONNECTION, "the session with %s was returned %s",
               session->where,
               state == DB_SESSION_BROKEN ? "broken" : "while a statement was running");
  return FALSE;
}

/* What the server no longer knows, and what libpq may have been told by a user of the PGconn. */
static void
forget_what_was_cleaned (DbPostgresSession *session)
{
  PGnotify *notify;

  session->is_read_only = FALSE;
  if (session->has_foreign_plan)
    db_postgres_statements_clear (session->statements);
  session->has_foreign_plan = FALSE;
  while ((notify = PQnotifies (session->conn)) != NULL)
    PQfreemem (notify);
  PQsetnonblocking (session->conn, 1);
}

static gboolean
db_postgres_manager_reset_session (DbConnectionManager *manager,
                                   DbSession *session,
                                   DbResetLevel level,
                                   GCancellable *cancellable,
                                   GError **error)
{
  DbPostgresSession *self = DB_POSTGRES_SESSION (session);
  gint64 timeout = cancellable != NULL ? 0 : ANSWER_TIMEOUT;
  gboolean in_transaction, clean;
  g_autofree char *sql = NULL;

  if (db_postgres_session_is_sound (self) &&
      !db_postgres_session_end_stream (self, timeout, cancellable, error))
    return FALSE;
  if (!is_resettable (self, &in_transaction, error))
    return FALSE;
  clean = level == DB_RESET_CLEAN || (level == DB_RESET_DIRTY && db_session_is_dirty (session));
  if (!in_transaction && !clean)
    return TRUE;

  sql = g_strconcat (in_transaction ? db_session_get_end (session) : "", in_transaction ? "; " : "",
                     clean ? CLEAN_SQL : "",
                     clean && self->has_foreign_plan ? "; DEALLOCATE ALL" : "", NULL);
  if (!db_postgres_session_run_internal (self, sql, timeout, cancellable, error))
    return FALSE;
  if (!clean)
    return TRUE;
  forget_what_was_cleaned (self);
  return ensure_iso_dates (self, cancellable, error);
}

static GVariant *
db_postgres_manager_get_facts (DbConnectionManager *manager,
                               DbSession *session,
                               DbHealthFlags flags,
                               GCancellable *cancellable,
                               GError **error)
{
  return db_postgres_get_facts (DB_POSTGRES_SESSION (session),
                                DB_POSTGRES_MANAGER (manager)->config,
                                cancellable != NULL ? 0 : ANSWER_TIMEOUT, cancellable, error);
}

static void
db_postgres_manager_close_session (DbConnectionManager *manager, DbSession *session)
{
  db_postgres_session_close (DB_POSTGRES_SESSION (session));
}

static char *
db_postgres_manager_describe (DbConnectionManager *manager)
{
  return db_database_config_describe (DB_POSTGRES_MANAGER (manager)->config);
}

static void
db_postgres_manager_iface_init (DbConnectionManagerInterface *iface)
{
  iface->open_session = db_postgres_manager_open_session;
  iface->check_session = db_postgres_manager_check_session;
  iface->reset_session = db_postgres_manager_reset_session;
  iface->close_session = db_postgres_manager_close_session;
  iface->describe = db_postgres_manager_describe;
  iface->get_facts = db_postgres_manager_get_facts;
  iface->dup_database_config = db_postgres_manager_dup_database_config;
  iface->open_session_with_config = db_postgres_manager_open_session_with_config;
}

static void
db_postgres_manager_constructed (GObject *object)
{
  DbPostgresManager *self = DB_POSTGRES_MANAGER (object);

  G_OBJECT_CLASS (db_postgres_manager_parent_class)->constructed (object);

  if (self->config == NULL)
    self->config = db_database_config_new ();
  db_database_config_freeze (self->config);
}

static void
db_postgres_manager_finalize (GObject *object)
{
  DbPostgresManager *self = DB_POSTGRES_MANAGER (object);

  g_clear_object (&self->config);

  G_OBJECT_CLASS (db_postgres_manager_parent_class)->finalize (object);
}

static void
db_postgres_manager_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  DbPostgresManager *self = DB_POSTGRES_MANAGER (object);

  switch ((DbPostgresManagerProperty) id)
    {
    case PROP_CONFIG:
      g_value_set_object (value, self->config);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
db_postgres_manager_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  DbPostgresManager *self = DB_POSTGRES_MANAGER (object);

  switch ((DbPostgresManagerProperty) id)
    {
    case PROP_CONFIG:
      self->config = g_value_dup_object (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
db_postgres_manager_class_init (DbPostgresManagerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = db_postgres_manager_constructed;
  object_class->finalize = db_postgres_manager_finalize;
  object_class->get_property = db_postgres_manager_get_property;
  object_class->set_property = db_postgres_manager_set_property;

  /**
   * DbPostgresManager:config:
   *
   * Where the database is and how to get in.
   *
   * Since: 1.0
   */
  properties[PROP_CONFIG] =
    g_param_spec_object ("config", NULL, NULL, DB_TYPE_DATABASE_CONFIG,
                         G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
db_postgres_manager_init (DbPostgresManager *self)
{
}

/**
 * db_postgres_manager_new:
 * @config: where the database is and how to get in; fixed from now on
 *
 * Makes a manager. Does not block.
 *
 * Returns: (transfer full): a manager
 *
 * Since: 1.0
 */
DbPostgresManager *
db_postgres_manager_new (DbDatabaseConfig *config)
{
  g_return_val_if_fail (DB_IS_DATABASE_CONFIG (config), NULL);

  return g_object_new (DB_TYPE_POSTGRES_MANAGER, "config", config, NULL);
}

/**
 * db_postgres_connection_get_pgconn: (skip)
 * @connection: a connection
 *
 * Gets libpq's connection, for what dbpool has no function for, such as `COPY`.
 *
 * It is valid until @connection is released, is in non-blocking mode, and must be left as it was
 * found: not closed, with no result unread, and used by nobody else at the same time. The session
 * is cleaned before anybody else borrows it.
 *
 * Only whoever uses @connection may call this. It does not block, but for one round trip when the
 * connection was borrowed for reading only.
 *
 * Returns: (transfer none) (nullable): a `PGconn`, or %NULL if @connection was released, is not one
 * with PostgreSQL, or is reading the rows of a cursor one by one
 *
 * Since: 1.0
 */
struct pg_conn *
db_postgres_connection_get_pgconn (DbConnection *connection)
{
  DbSession *session;
  DbPostgresSession *self;

  g_return_val_if_fail (DB_IS_CONNECTION (connection), NULL);

  session = db_connection_get_session (connection);
  if (session == NULL || !DB_IS_POSTGRES_SESSION (session))
    return NULL;
  self = DB_POSTGRES_SESSION (session);
  if (self->stream != NULL)
    return NULL;
  db_session_mark_dirty (session);
  if (self->want_read_only && !db_postgres_session_tell_read_only (self))
    return NULL;
  return self->conn;
}
