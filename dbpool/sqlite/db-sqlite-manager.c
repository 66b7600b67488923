/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The manager of SQLite databases: settings, the first open, and the vfuncs that the pool calls;
 * files and handles are set up in db-sqlite-setup.c, statements run in db-sqlite-session.c.
 *
 * lock protects the properties and is held for instructions only. open_lock is held while the first
 * session opens, so that one of many threads creates the file and chooses its journal mode; it is
 * taken before lock. */

#include "config.h"

#include "db-error-private.h"
#include "db-lock-private.h"
#include "db-pool-config-private.h"
#include "db-session-private.h"
#include "db-sqlite-health-private.h"
#include "db-sqlite-manager.h"
#include "db-sqlite-run-private.h"
#include "db-sqlite-setup-private.h"
#include "db-sqlite-uri-private.h"
#include "db-worker-private.h"

#define DEFAULT_BUSY_TIMEOUT (5 * G_USEC_PER_SEC)

/**
 * DbSqliteManager:
 *
 * Opens sessions with an SQLite database.
 *
 * The path is that of a file, or `":memory:"` for a database in memory, which all sessions of the
 * manager share and which lives as long as the manager. A file that is missing is created, readable
 * by its owner only, with its journal in WAL mode; a file that exists keeps its journal mode. A
 * path is never taken for a URI: for those there is [ctor@Db.SqliteManager.new_from_uri].
 *
 * SQLite has one writer at a time. Sessions of one process that want to write to the same file
 * stand in a queue, first come, first served, whichever managers opened them; with WAL, readers are
 * never in the way. All waiting for locks within one statement is bounded by
 * [property@Db.SqliteManager:busy-timeout], and then fails with `DB_ERROR_BUSY` and the name of the
 * session that writes. Databases in memory have no WAL: there, and in files with another journal, a
 * transaction that reads holds up those that write, so keep it short.
 *
 * The properties are settings for sessions that are yet to be opened. The first session that is
 * opened freezes them.
 *
 * Since: 1.0
 */
struct _DbSqliteManager
{
  GObject parent_instance;

  DbLock open_lock;
  DbLock lock;

  /* lock; they do not change once settings is there */
  char *path;
  char *journal_mode;
  char *synchronous;
  gboolean foreign_keys;
  gint64 busy_timeout;
  GVariant *pragmas;
  gboolean read_only;
  gboolean create_if_missing;

  /* Written under open_lock and lock, once; what they point to is read-only. */
  DbSqliteSettings *settings;
  sqlite3 *anchor; /* keeps a database in memory alive */
  guint anchor_generation;
  GPtrArray *restore; /* there as soon as a session was opened */
};

typedef enum
{
  PROP_PATH = 1,
  PROP_JOURNAL_MODE,
  PROP_SYNCHRONOUS,
  PROP_FOREIGN_KEYS,
  PROP_BUSY_TIMEOUT,
  PROP_PRAGMAS,
  PROP_READ_ONLY,
  PROP_CREATE_IF_MISSING,
} DbSqliteManagerProperty;

static GParamSpec *properties[PROP_CREATE_IF_MISSING + 1];

static void db_sqlite_manager_iface_init (DbConnectionManagerInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DbSqliteManager,
                               db_sqlite_manager,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DB_TYPE_CONNECTION_MANAGER,
                                                      db_sqlite_manager_iface_init))

static gboolean
is_memory_path (const char *path)
{
  return g_strcmp0 (path, ":memory:") == 0;
}

static gboolean
is_in_memory (DbSqliteManager *self)
{
  DB_LOCK_SCOPE (&self->lock);

  return is_memory_path (self->path);
}

/* With open_lock and lock held. */
static gboolean
freeze_settings_locked (DbSqliteManager *self, GError **error)
{
  DbSqliteInput input = {
    .in_memory = is_memory_path (self->path),
    .path = self->path,
    .journal_mode = self->journal_mode,
    .synchronous = self->synchronous,
    .pragmas = self->pragmas,
  };
  DbSqliteSettings *settings;

  if (self->settings != NULL)
    return TRUE;
  settings = db_sqlite_settings_new (&input, error);
  if (settings == NULL)
    return FALSE;
  settings->foreign_keys = self->foreign_keys;
  settings->read_only = self->read_only;
  settings->create = self->create_if_missing;
  settings->busy_timeout = self->busy_timeout;
  self->settings = settings;
  return TRUE;
}

static gboolean
freeze_settings (DbSqliteManager *self, GError **error)
{
  DB_LOCK_SCOPE (&self->lock);

  return freeze_settings_locked (self, error);
}

/* With open_lock held. The anchor never runs a statement. */
static gboolean
drop_anchor (DbSqliteManager *self, GError **error)
{
  int rc;

  if (!self->settings->in_memory || self->anchor != NULL)
    return TRUE;
  rc = sqlite3_open_v2 (self->settings->file, &self->anchor,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, "memdb");
  self->anchor_generation = db_fork_generation ();
  if (rc == SQLITE_OK)
    return TRUE;
  sqlite3_close (g_steal_pointer (&self->anchor));
  g_propagate_error (error, db_error_new_sqlite (rc, "%s cannot be opened: %s",
                                                 self->settings->description, sqlite3_errstr (rc)));
  return FALSE;
}

static gboolean
was_opened (DbSqliteManager *self)
{
  DB_LOCK_SCOPE (&self->lock);

  return self->restore != NULL;
}

/* With open_lock held. */
static DbSession *
open_first_session (DbSqliteManager *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (DbSqliteSession) session = NULL;
  GPtrArray *restore;

  if (!freeze_settings (self, error) || !drop_anchor (self, error))
    return NULL;
  session = db_sqlite_setup_open (self->settings, cancellable, error);
  if (session == NULL)
    return NULL;
  restore = db_sqlite_setup_remember (session, error);
  if (restore == NULL)
    return NULL;

  db_lock_lock (&self->lock);
  self->restore = restore;
  db_lock_unlock (&self->lock);
  return DB_SESSION (g_steal_pointer (&session));
}

static DbSession *
open_session (DbSqliteManager *self, GCancellable *cancellable, GError **error)
{

  if (!was_opened (self))
    {
      DB_LOCK_SCOPE (&self->open_lock);

      if (!was_opened (self))
        return open_first_session (self, cancellable, error);
    }
  return (DbSession *) db_sqlite_setup_open (self->settings, cancellable, error);
}

static DbSession *
db_sqlite_manager_open_session (DbConnectionManager *manager,
                                GCancellable *cancellable,
                                GError **error)
{
  DbSqliteManager *self = DB_SQLITE_MANAGER (manager);
  DbSession *session = open_session (self, cancellable, error);

  if (session != NULL)
    db_log (DB_LOG_FACTS (DB_LOG_SQLITE_OPENED, .database = self->settings->description),
            "%s: opened with SQLite %s%s", self->settings->description, sqlite3_libversion (),
            DB_SQLITE_SESSION (session)->wal ? ", whose journal is WAL" : "");
  return session;
}

static gboolean
check_not_moved (DbSqliteManager *self, DbSqliteSession *session, GError **error)
{
  int moved = 0;

  if (self->settings->in_memory ||
      sqlite3_file_control (db_sqlite_session_get_db (session), "main", SQLITE_FCNTL_HAS_MOVED,
                            &moved) != SQLITE_OK ||
      !moved)
    return TRUE;
  g_set_error (error, DB_ERROR, DB_ERROR_CONNECTION,
               "the file of %s was moved, removed or replaced", self->settings->description);
  return FALSE;
}

static gboolean
db_sqlite_manager_check_session (DbConnectionManager *manager,
                                 DbSession *session,
                                 GCancellable *cancellable,
                                 GError **error)
{
  DbSqliteSession *sqlite_session = DB_SQLITE_SESSION (session);
  gboolean ok;

  if (!db_sqlite_session_enter (sqlite_session, cancellable, 0, error))
    return FALSE;
  ok = check_not_moved (DB_SQLITE_MANAGER (manager), sqlite_session, error) &&
       db_sqlite_session_exec (sqlite_session, "SELECT 1", NULL, error);
  db_sqlite_session_leave (sqlite_session);
  return ok;
}

static gboolean
roll_back (DbSqliteSession *session, GCancellable *cancellable, GError **error)
{
  gboolean ok;

  if (!db_sqlite_session_enter (session, cancellable, 0, error))
    return FALSE;
  ok = db_sqlite_session_inspect (session, error) &&
       (sqlite3_get_autocommit (db_sqlite_session_get_db (session)) ||
        db_sqlite_session_exec (session, "ROLLBACK", NULL, error));
  db_sqlite_session_leave (session);
  return ok;
}

static gboolean
db_sqlite_manager_reset_session (DbConnectionManager *manager,
                                 DbSession *session,
                                 DbResetLevel level,
                                 GCancellable *cancellable,
                                 GError **error)
{
  DbSqliteManager *self = DB_SQLITE_MANAGER (manager);
  DbSqliteSession *sqlite_session = DB_SQLITE_SESSION (session);

  if (!roll_back (sqlite_session, cancellable, error))
    return FALSE;
  if (level == DB_RESET_NONE || (level == DB_RESET_DIRTY && !db_session_is_dirty (session)))
    return TRUE;
  return db_sqlite_setup_clean (self->settings, sqlite_session, self->restore, cancellable, error);
}

static GVariant *
db_sqlite_manager_get_facts (DbConnectionManager *manager,
                             DbSession *session,
                             DbHealthFlags flags,
                             GCancellable *cancellable,
                             GError **error)
{
  return db_sqlite_get_facts (DB_SQLITE_SESSION (session),
                              DB_SQLITE_MANAGER (manager)->settings->read_only, flags, cancellable,
                              error);
}

static void
db_sqlite_manager_close_session (DbConnectionManager *manager, DbSession *session)
{
  db_sqlite_session_close (DB_SQLITE_SESSION (session));
}

static void
db_sqlite_manager_suggest_config (DbConnectionManager *manager, DbPoolConfig *config)
{
  db_pool_config_set_default (config, "min-connections", 0u);
  db_pool_config_set_default (config, "max-connections", 4u);
  if (is_in_memory (DB_SQLITE_MANAGER (manager)))
    {
      db_pool_config_set_default (config, "idle-timeout", (gint64) 0);
      db_pool_config_set_default (config, "max-lifetime", (gint64) 0);
    }
}

static char *
db_sqlite_manager_describe (DbConnectionManager *manager)
{
  DbSqliteManager *self = DB_SQLITE_MANAGER (manager);
  DB_LOCK_SCOPE (&self->lock);

  if (self->settings != NULL)
    return g_strdup (self->settings->description);
  return g_strconcat ("sqlite:", self->path != NULL ? self->path : "", NULL);
}

static void
db_sqlite_manager_finalize (GObject *object)
{
  DbSqliteManager *self = DB_SQLITE_MANAGER (object);

  if (self->anchor_generation == db_fork_generation ())
    sqlite3_close (self->anchor);
  g_clear_pointer (&self->restore, g_ptr_array_unref);
  g_clear_pointer (&self->settings, db_sqlite_settings_free);
  g_clear_pointer (&self->pragmas, g_variant_unref);
  g_free (self->synchronous);
  g_free (self->journal_mode);
  g_free (self->path);
  db_lock_clear (&self->lock);
  db_lock_clear (&self->open_lock);
  G_OBJECT_CLASS (db_sqlite_manager_parent_class)->finalize (object);
}

static void
db_sqlite_manager_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  DbSqliteManager *self = DB_SQLITE_MANAGER (object);
  DB_LOCK_SCOPE (&self->lock);

  switch ((DbSqliteManagerProperty) prop_id)
    {
    case PROP_PATH:
      g_value_set_string (value, self->path);
      break;
    case PROP_JOURNAL_MODE:
      g_value_set_string (value, self->journal_mode);
      break;
    case PROP_SYNCHRONOUS:
      g_value_set_string (value, self->synchronous);
      break;
    case PROP_FOREIGN_KEYS:
      g_value_set_boolean (value, self->foreign_keys);
      break;
    case PROP_BUSY_TIMEOUT:
      g_value_set_int64 (value, self->busy_timeout);
      break;
    case PROP_PRAGMAS:
      g_value_set_variant (value, self->pragmas);
      break;
    case PROP_READ_ONLY:
      g_value_set_boolean (value, self->read_only);
      break;
    case PROP_CREATE_IF_MISSING:
      g_value_set_boolean (value, self->create_if_missing);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static gboolean
replace_string (char **field, const char *value)
{
  if (g_strcmp0 (*field, value) == 0)
    return FALSE;
  g_free (*field);
  *field = g_strdup (value);
  return TRUE;
}

static gboolean
replace_boolean (gboolean *field, gboolean value)
{
  gboolean changed = !*field != !value;

  *field = value;
  return changed;
}

static gboolean
replace_int64 (gint64 *field, gint64 value)
{
  gboolean changed = *field != value;

  *field = value;
  return changed;
}

static gboolean
replace_variant (GVariant **field, GVariant *value)
{
  GVariant *old = *field;

  *field = value != NULL ? g_variant_ref_sink (value) : NULL;
  g_clear_pointer (&old, g_variant_unref);
  return TRUE;
}

/* With lock held; whether the property changed. */
static gboolean
set_property_locked (DbSqliteManager *self, DbSqliteManagerProperty prop, const GValue *value)
{
  switch (prop)
    {
    case PROP_PATH:
      return replace_string (&self->path, g_value_get_string (value));
    case PROP_JOURNAL_MODE:
      return replace_string (&self->journal_mode, g_value_get_string (value));
    case PROP_SYNCHRONOUS:
      return replace_string (&self->synchronous, g_value_get_string (value));
    case PROP_FOREIGN_KEYS:
      return replace_boolean (&self->foreign_keys, g_value_get_boolean (value));
    case PROP_BUSY_TIMEOUT:
      return replace_int64 (&self->busy_timeout, g_value_get_int64 (value));
    case PROP_PRAGMAS:
      return replace_variant (&self->pragmas, g_value_get_variant (value));
    case PROP_READ_ONLY:
      return replace_boolean (&self->read_only, g_value_get_boolean (value));
    case PROP_CREATE_IF_MISSING:
      return replace_boolean (&self->create_if_missing, g_value_get_boolean (value));
    default:
      return FALSE;
    }
}

static void
db_sqlite_manager_set_property (GObject *object,
                                guint prop_id,
                                const GValue *value,
                                GParamSpec *pspec)
{
  DbSqliteManager *self = DB_SQLITE_MANAGER (object);
  gboolean changed = FALSE;
  gboolean frozen;

  if (prop_id < PROP_PATH || prop_id > PROP_CREATE_IF_MISSING)
    {
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      return;
    }
  db_lock_lock (&self->lock);
  frozen = self->settings != NULL;
  if (!frozen)
    changed = set_property_locked (self, prop_id, value);
  db_lock_unlock (&self->lock);

  if (frozen)
    g_critical ("DbSqliteManager:%s cannot change any more: a session was opened", pspec->name);
  if (changed)
    g_object_notify_by_pspec (object, pspec);
}

static void
db_sqlite_manager_class_init (DbSqliteManagerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamFlags flags = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->finalize = db_sqlite_manager_finalize;
  object_class->get_property = db_sqlite_manager_get_property;
  object_class->set_property = db_sqlite_manager_set_property;

  /**
   * DbSqliteManager:path:
   *
   * The path of the database file, or `":memory:"`.
   *
   * A relative path belongs to the folder that is current when the first session is opened.
   *
   * Since: 1.0
   */
  properties[PROP_PATH] = g_param_spec_string ("path", NULL, NULL, NULL, flags);

  /**
   * DbSqliteManager:journal-mode:
   *
   * SQLite's journal mode: `delete`, `truncate`, `persist`, `memory` or `wal`.
   *
   * With %NULL a file that dbpool creates, or finds empty, gets `wal`, and others keep theirs.
   *
   * Since: 1.0
   */
  properties[PROP_JOURNAL_MODE] = g_param_spec_string ("journal-mode", NULL, NULL, NULL, flags);

  /**
   * DbSqliteManager:synchronous:
   *
   * When SQLite waits for the disk: `off`, `normal`, `full` or `extra`.
   *
   * With `normal` and a WAL journal a power failure may undo the last transactions, but never
   * damages the database.
   *
   * Since: 1.0
   */
  properties[PROP_SYNCHRONOUS] = g_param_spec_string ("synchronous", NULL, NULL, "normal", flags);

  /**
   * DbSqliteManager:foreign-keys:
   *
   * Whether foreign keys are enforced.
   *
   * Since: 1.0
   */
  properties[PROP_FOREIGN_KEYS] = g_param_spec_boolean ("foreign-keys", NULL, NULL, TRUE, flags);

  /**
   * DbSqliteManager:busy-timeout:
   *
   * How long a statement may wait for locks, in microseconds; 0: not at all.
   *
   * Since: 1.0
   */
  properties[PROP_BUSY_TIMEOUT] =
    g_param_spec_int64 ("busy-timeout", NULL, NULL, 0, G_MAXINT64, DEFAULT_BUSY_TIMEOUT, flags);

  /**
   * DbSqliteManager:pragmas:
   *
   * More pragmas for each session, name and value.
   *
   * Since: 1.0
   */
  properties[PROP_PRAGMAS] =
    g_param_spec_variant ("pragmas", NULL, NULL, G_VARIANT_TYPE ("a{ss}"), NULL, flags);

  /**
   * DbSqliteManager:read-only:
   *
   * Whether the file is opened for reading only.
   *
   * Since: 1.0
   */
  properties[PROP_READ_ONLY] = g_param_spec_boolean ("read-only", NULL, NULL, FALSE, flags);

  /**
   * DbSqliteManager:create-if-missing:
   *
   * Whether a file that is missing is created.
   *
   * Since: 1.0
   */
  properties[PROP_CREATE_IF_MISSING] =
    g_param_spec_boolean ("create-if-missing", NULL, NULL, TRUE, flags);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
db_sqlite_manager_init (DbSqliteManager *self)
{
  db_lock_init (&self->open_lock);
  db_lock_init (&self->lock);
  self->synchronous = g_strdup ("normal");
  self->foreign_keys = TRUE;
  self->busy_timeout = DEFAULT_BUSY_TIMEOUT;
  self->create_if_missing = TRUE;
}

static void
db_sqlite_manager_iface_init (DbConnectionManagerInterface *iface)
{
  iface->open_session = db_sqlite_manager_open_session;
  iface->check_session = db_sqlite_manager_check_session;
  iface->reset_session = db_sqlite_manager_reset_session;
  iface->close_session = db_sqlite_manager_close_session;
  iface->suggest_config = db_sqlite_manager_suggest_config;
  iface->describe = db_sqlite_manager_describe;
  iface->get_facts = db_sqlite_manager_get_facts;
}

/**
 * db_sqlite_manager_new:
 * @path: (type filename): the path of a file, or `":memory:"`
 *
 * Makes a manager of an SQLite database. Opens nothing yet.
 *
 * Set properties, if any, before the first session is opened. May be called from any thread and
 * does not block.
 *
 * Returns: (transfer full): a manager
 *
 * Since: 1.0
 */
DbSqliteManager *
db_sqlite_manager_new (const char *path)
{
  g_return_val_if_fail (path != NULL, NULL);

  return g_object_new (DB_TYPE_SQLITE_MANAGER, "path", path, NULL);
}

/**
 * db_sqlite_manager_new_from_uri:
 * @uri: a URI
 * @error: return location for an error
 *
 * Makes a manager from a URI. Opens nothing yet.
 *
 * `sqlite:notes.db` is a file in the current folder, `sqlite:/srv/notes.db` and
 * `sqlite:///srv/notes.db` are the same file elsewhere, and `sqlite::memory:` is a database in
 * memory. Characters are percent-encoded as in every URI. Settings follow as a query:
 *
 * - `mode`: `rwc` (read, write and create, the default), `rw` (the file must exist), `ro`, `memory`
 * - `journal_mode`, `synchronous`, `foreign_keys`: as the properties of these names
 * - `busy_timeout`: with a unit, such as `5s` or `500ms`
 * - `pragma.NAME`: any other pragma
 *
 * Fails with `DB_ERROR_CONFIGURATION` if the URI is malformed or has another key. May be called
 * from any thread and does not block.
 *
 * Returns: (transfer full): a manager
 *
 * Since: 1.0
 */
DbSqliteManager *
db_sqlite_manager_new_from_uri (const char *uri, GError **error)
{
  g_autoptr (DbSqliteManager) self = NULL;

  g_return_val_if_fail (uri != NULL, NULL);

  self = g_object_new (DB_TYPE_SQLITE_MANAGER, NULL);
  if (!db_sqlite_uri_apply (uri, self, error))
    return NULL;
  return g_steal_pointer (&self);
}

/**
 * db_sqlite_connection_get_handle: (skip)
 * @connection: a connection
 *
 * Gets the handle of SQLite's own interface behind a connection.
 *
 * Use it only while the connection is yours and nothing else runs on it, and leave nothing behind:
 * finalize your statements before the connection is released, or its session is closed. What is
 * written through the handle does not stand in dbpool's queue of writers; SQLite's own locks hold.
 * Hooks, handlers, a transaction and settings that are left are undone when the connection is
 * returned; an update hook takes away what [method@Db.Result.get_last_insert_id] relies on after
 * `INSERT … ON CONFLICT DO UPDATE`. May be called by whoever uses the connection and does not
 * block.
 *
 * Returns: (transfer none) (nullable): a handle, or %NULL if the connection was released or belongs
 * to another kind of database
 *
 * Since: 1.0
 */
struct sqlite3 *
db_sqlite_connection_get_handle (DbConnection *connection)
{
  DbSession *session;

  g_return_val_if_fail (DB_IS_CONNECTION (connection), NULL);

  session = db_connection_get_session (connection);
  if (session == NULL || !DB_IS_SQLITE_SESSION (session))
    return NULL;
  return db_sqlite_session_lend_db (DB_SQLITE_SESSION (session));
}
