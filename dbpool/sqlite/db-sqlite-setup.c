/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Opens database files and brings handles into the state that a manager's settings describe.
 *
 * A path is never a URI to SQLite: it is absolute when it gets there. A missing file is created
 * here and not by SQLite, so that it is private from its first moment, and so that dbpool knows
 * that it may choose the journal mode. Closing a descriptor drops all locks that this process has
 * on the file (POSIX), so creating a file happens under db_sqlite_file_lock, which every open
 * passes before SQLite locks anything. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db-error-private.h"
#include "db-sqlite-run-private.h"
#include "db-sqlite-setup-private.h"

/* Not "off": it gives up ROLLBACK, and a defensive session refuses it. */
static const char *const journal_modes[] = {"delete", "truncate", "persist", "memory", "wal", NULL};
static const char *const synchronous_modes[] = {"off", "normal", "full", "extra", NULL};

/* Settings of a connection that a borrower can change and that SQLite can be asked for. */
static const char *const session_pragmas[] = {
  "analysis_limit",
  "automatic_index",
  "cache_size",
  "cache_spill",
  "cell_size_check",
  "checkpoint_fullfsync",
  "defer_foreign_keys",
  "foreign_keys",
  "full_column_names",
  "fullfsync",
  "ignore_check_constraints",
  "journal_size_limit",
  "legacy_alter_table",
  "locking_mode",
  "mmap_size",
  "query_only",
  "read_uncommitted",
  "recursive_triggers",
  "reverse_unordered_selects",
  "secure_delete",
  "short_column_names",
  "synchronous",
  "temp_store",
  "threads",
  "trusted_schema",
  "wal_autocheckpoint",
  "writable_schema",
};

static char *
format_pragma (const char *name, const char *value)
{
  char *quoted = sqlite3_mprintf ("PRAGMA %s = %Q", name, value);
  char *text = g_strdup (quoted);

  sqlite3_free (quoted);
  return text;
}

static char *
check_mode (const char *what, const char *value, const char *const *allowed, GError **error)
{
  g_autofree char *lower = NULL;
  g_autofree char *list = NULL;

  if (value == NULL)
    return NULL;
  lower = g_ascii_strdown (value, -1);
  if (g_strv_contains (allowed, lower))
    return g_steal_pointer (&lower);
  list = g_strjoinv (", ", (char **) allowed);
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "\"%s\" is no %s for SQLite: use one of %s",
               value, what, list);
  return NULL;
}

static gboolean
is_known_pragma (const char *name)
{
  g_autofree char *lower = g_ascii_strdown (name, -1);
  sqlite3 *db = NULL;
  sqlite3_stmt *stmt = NULL;
  gboolean found = TRUE;

  /* A library without this list knows what it knows. */
  if (sqlite3_open_v2 (":memory:", &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
      sqlite3_prepare_v2 (db, "SELECT count(*) FROM pragma_pragma_list WHERE name = ?", -1, &stmt,
                          NULL) == SQLITE_OK)
    {
      sqlite3_bind_text (stmt, 1, lower, -1, SQLITE_STATIC);
      if (sqlite3_step (stmt) == SQLITE_ROW)
        found = sqlite3_column_int (stmt, 0) > 0;
    }
  sqlite3_finalize (stmt);
  sqlite3_close (db);
  return found;
}

static gboolean
add_pragma (DbSqliteSettings *self, const char *name, const char *value, GError **error)
{
  static const char *const properties[] = {"journal_mode", "synchronous", "foreign_keys",
                                           "busy_timeout", NULL};
  static const char *const early[] = {"page_size", "auto_vacuum", "encoding", NULL};
  g_autofree char *lower = g_ascii_strdown (name, -1);

  if (g_strv_contains (properties, lower))
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   "%s is a setting of its own and not one of the pragmas", name);
      return FALSE;
    }
  if (!is_known_pragma (lower))
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "SQLite %s has no pragma \"%s\"",
                   sqlite3_libversion (), name);
      return FALSE;
    }
  g_ptr_array_add (g_strv_contains (early, lower) ? self->early_pragmas : self->pragmas,
                   format_pragma (lower, value));
  return TRUE;
}

static gboolean
set_path (DbSqliteSettings *self, const DbSqliteInput *input, GError **error)
{
  g_autofree char *display_name = NULL;

  if (input->in_memory)
    {
      g_autofree char *uuid = g_uuid_string_random ();

      self->in_memory = TRUE;
      self->file = g_strconcat ("/dbpool-", uuid, NULL);
      self->description = g_strdup ("sqlite::memory:");
      return TRUE;
    }
  if (input->path == NULL || input->path[0] == '\0')
    {
      g_set_error_literal (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                           "the path of the SQLite database is empty");
      return FALSE;
    }
  if (g_path_is_absolute (input->path))
    self->file = g_strdup (input->path);
  else
    {
      g_autofree char *folder = g_get_current_dir ();

      self->file = g_build_filename (folder, input->path, NULL);
    }
  display_name = g_filename_display_name (self->file);
  self->description = g_strconcat ("sqlite:", display_name, NULL);
  return TRUE;
}

DbSqliteSettings *
db_sqlite_settings_new (const DbSqliteInput *input, GError **error)
{
  g_autoptr (DbSqliteSettings) self = g_new0 (DbSqliteSettings, 1);
  g_autoptr (GError) local_error = NULL;

  self->early_pragmas = g_ptr_array_new_with_free_func (g_free);
  self->pragmas = g_ptr_array_new_with_free_func (g_free);
  set_path (self, input, &local_error);
  if (local_error == NULL)
    self->journal_mode =
      check_mode ("journal mode", input->journal_mode, journal_modes, &local_error);
  if (local_error == NULL)
    self->synchronous =
      check_mode ("synchronous mode", input->synchronous, synchronous_modes, &local_error);
  if (local_error == NULL && input->pragmas != NULL)
    {
      GVariantIter iter;
      const char *name;
      const char *value;

      g_variant_iter_init (&iter, input->pragmas);
      while (local_error == NULL && g_variant_iter_next (&iter, "{&s&s}", &name, &value))
        add_pragma (self, name, value, &local_error);
    }
  if (local_error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return NULL;
    }
  return g_steal_pointer (&self);
}

void
db_sqlite_settings_free (DbSqliteSettings *self)
{
  g_free (self->file);
  g_free (self->description);
  g_free (self->journal_mode);
  g_free (self->synchronous);
  g_clear_pointer (&self->early_pragmas, g_ptr_array_unref);
  g_clear_pointer (&self->pragmas, g_ptr_array_unref);
  g_free (self);
}

static void
set_file_error (const DbSqliteSettings *settings, int errnum, GError **error)
{
  g_autofree char *path = g_path_get_dirname (settings->file);
  g_autofree char *folder = g_filename_display_name (path);

  if (errnum == ENOENT && !g_file_test (path, G_FILE_TEST_EXISTS))
    g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                 "%s cannot be opened: the folder %s does not exist; create it first",
                 settings->description, folder);
  else if (errnum == ENOENT && (settings->read_only || !settings->create))
    g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                 "%s cannot be opened: there is no such file, and %s does not create one",
                 settings->description, settings->read_only ? "opening read-only" : "this mode");
  else if (errnum == EACCES || errnum == EPERM)
    g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                 "%s cannot be opened: permission denied; give this user access to the file and to "
                 "the folder %s",
                 settings->description, folder);
  else
    g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "%s cannot be opened: %s",
                 settings->description, g_strerror (errnum));
}

static gboolean
check_existing_file (const DbSqliteSettings *settings, const struct stat *info, GError **error)
{
  if (S_ISREG (info->st_mode))
    return TRUE;
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
               "%s cannot be opened: it is %s; give the path of a file", settings->description,
               S_ISDIR (info->st_mode) ? "a folder" : "neither a file nor a folder");
  return FALSE;
}

/* Makes sure that there is a file. @is_new: it is empty, so nobody has chosen a journal mode yet.
 */
static gboolean
provide_file (const DbSqliteSettings *settings, gboolean *is_new, GError **error)
{
  DB_LOCK_SCOPE (&db_sqlite_file_lock);
  struct stat info;
  int fd;

  if (stat (settings->file, &info) == 0)
    {
      *is_new = info.st_size == 0;
      return check_existing_file (settings, &info, error);
    }
  if (errno != ENOENT || settings->read_only || !settings->create)
    {
      set_file_error (settings, errno, error);
      return FALSE;
    }
  fd = open (settings->file, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0 && errno == EEXIST && stat (settings->file, &info) == 0)
    {
      /* Another process was faster. */
      *is_new = info.st_size == 0;
      return check_existing_file (settings, &info, error);
    }
  if (fd < 0)
    {
      set_file_error (settings, errno == EEXIST ? ENOENT : errno, error);
      return FALSE;
    }
  close (fd);
  *is_new = TRUE;
  return TRUE;
}

static DbSqliteToken *
get_token (const DbSqliteSettings *settings)
{
  g_autofree char *key = NULL;
  struct stat info;

  if (settings->in_memory)
    key = g_strconcat ("memory:", settings->file, NULL);
  else if (stat (settings->file, &info) == 0)
    key = g_strdup_printf ("file:%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, (guint64) info.st_dev,
                           (guint64) info.st_ino);
  else
    key = g_strconcat ("path:", settings->file, NULL);
  return db_sqlite_token_get (key);
}

static sqlite3 *
open_handle (const DbSqliteSettings *settings, GError **error)
{
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  sqlite3 *db = NULL;
  int rc;

  if (settings->in_memory)
    flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  else
    flags |= settings->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  /* The file is there already; this is for ATTACH. */
  if (settings->create && !settings->read_only)
    flags |= SQLITE_OPEN_CREATE;
  rc = sqlite3_open_v2 (settings->file, &db, flags, settings->in_memory ? "memdb" : NULL);
  if (rc != SQLITE_OK)
    {
      int errnum = db != NULL ? sqlite3_system_errno (db) : 0;

      if (errnum != 0)
        set_file_error (settings, errnum, error);
      else
        g_propagate_error (error, db_error_new_sqlite (rc, "%s cannot be opened: %s",
                                                       settings->description, sqlite3_errstr (rc)));
      sqlite3_close (db);
      return NULL;
    }
  sqlite3_db_config (db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config (db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  sqlite3_db_config (db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
  /* It takes the address of a function from SQL; Debian has it switched on. */
  sqlite3_db_config (db, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0, NULL);
  /* "name" is a name, here too; a misspelt one is an error and not a text. */
  sqlite3_db_config (db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
  return db;
}

static gboolean
exec_all (DbSqliteSession *session, GPtrArray *statements, GError **error)
{
  for (guint i = 0; i < statements->len; i++)
    if (!db_sqlite_session_exec (session, g_ptr_array_index (statements, i), NULL, error))
      return FALSE;
  return TRUE;
}

static gboolean
set_pragma (DbSqliteSession *session, const char *name, const char *value, GError **error)
{
  g_autofree char *sql = format_pragma (name, value);

  return db_sqlite_session_exec (session, sql, NULL, error);
}

/* Only where somebody asked for it, or where there was nothing before. */
static gboolean
apply_journal_mode (const DbSqliteSettings *settings,
                    DbSqliteSession *session,
                    gboolean is_new,
                    GError **error)
{
  const char *wanted = settings->journal_mode;
  g_autofree char *present = NULL;

  if (wanted == NULL && is_new && !settings->in_memory && !settings->read_only)
    wanted = "wal";
  if (!db_sqlite_session_exec (session, "PRAGMA journal_mode", &present, error))
    return FALSE;
  if (wanted != NULL && g_strcmp0 (wanted, present) != 0)
    {
      g_autofree char *sql = format_pragma ("journal_mode", wanted);

      g_clear_pointer (&present, g_free);
      if (!db_sqlite_session_exec (session, sql, &present, error))
        return FALSE;
      if (settings->journal_mode != NULL && g_strcmp0 (wanted, present) != 0)
        {
          g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                       "journal mode %s is not possible here, it stays %s", wanted, present);
          return FALSE;
        }
    }
  db_sqlite_session_set_wal (session, g_strcmp0 (present, "wal") == 0);
  return TRUE;
}

static gboolean
apply_settings (const DbSqliteSettings *settings,
                DbSqliteSession *session,
                gboolean is_new,
                GError **error)
{
  if (!exec_all (session, settings->early_pragmas, error))
    return FALSE;
  /* The first look into the file: is it a database? */
  if (!db_sqlite_session_exec (session, "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, error))
    return FALSE;
  if (!apply_journal_mode (settings, session, is_new, error))
    return FALSE;
  if (settings->synchronous != NULL &&
      !set_pragma (session, "synchronous", settings->synchronous, error))
    return FALSE;
  return set_pragma (session, "foreign_keys", settings->foreign_keys ? "on" : "off", error) &&
         set_pragma (session, "journal_size_limit", "67108864", error) &&
         exec_all (session, settings->pragmas, error);
}

/* What SQLite says of a file that it could not read at its first look. */
static void
explain_error (const DbSqliteSettings *settings, GError **error)
{
  if (*error == NULL || (*error)->domain != DB_ERROR)
    return;
  g_prefix_error (error, "%s cannot be opened: ", settings->description);
  /* The same file will not be better the next time, unlike a session that breaks in use. */
  if ((*error)->code == DB_ERROR_CONNECTION || (*error)->code == DB_ERROR_QUERY)
    (*error)->code = DB_ERROR_CONFIGURATION;
}

DbSqliteSession *
db_sqlite_setup_open (const DbSqliteSettings *settings, GCancellable *cancellable, GError **error)
{
  g_autoptr (DbSqliteSession) session = NULL;
  g_autoptr (GError) local_error = NULL;
  gboolean is_new = FALSE;
  gboolean ok;
  sqlite3 *db;

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  if (!settings->in_memory && !provide_file (settings, &is_new, error))
    return NULL;
  db = open_handle (settings, error);
  if (db == NULL)
    return NULL;
  session =
    db_sqlite_session_new (db, get_token (settings), settings->description, settings->busy_timeout);
  if (!db_sqlite_session_enter (session, cancellable, 0, error))
    return NULL;
  ok = apply_settings (settings, session, is_new, &local_error);
  db_sqlite_session_leave (session);
  if (ok)
    return g_steal_pointer (&session);
  explain_error (settings, &local_error);
  g_propagate_error (error, g_steal_pointer (&local_error));
  return NULL;
}

GPtrArray *
db_sqlite_setup_remember (DbSqliteSession *session, GError **error)
{
  g_autoptr (GPtrArray) statements = g_ptr_array_new_with_free_func (g_free);
  gboolean ok = TRUE;

  if (!db_sqlite_session_enter (session, NULL, 0, error))
    return NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (session_pragmas) && ok; i++)
    {
      g_autofree char *sql = g_strconcat ("PRAGMA ", session_pragmas[i], NULL);
      g_autofree char *value = NULL;

      ok = db_sqlite_session_exec (session, sql, &value, error);
      if (ok && value != NULL)
        g_ptr_array_add (statements, format_pragma (session_pragmas[i], value));
    }
  db_sqlite_session_leave (session);
  return ok ? g_steal_pointer (&statements) : NULL;
}

static gboolean
detach_all (DbSqliteSession *session, GError **error)
{
  for (;;)
    {
      g_autofree char *name = NULL;
      g_autofree char *sql = NULL;
      char *quoted;

      if (!db_sqlite_session_exec (session, "SELECT name FROM pragma_database_list WHERE seq > 1",
                                   &name, error))
        return FALSE;
      if (name == NULL)
        return TRUE;
      quoted = sqlite3_mprintf ("DETACH %Q", name);
      sql = g_strdup (quoted);
      sqlite3_free (quoted);
      if (!db_sqlite_session_exec (session, sql, NULL, error))
        return FALSE;
    }
}

/* Modes other than WAL belong to the connection, and some of them give up safety. */
static gboolean
restore_journal_mode (const DbSqliteSettings *settings, DbSqliteSession *session, GError **error)
{
  const char *usual = settings->in_memory ? "memory" : "delete";
  g_autofree char *present = NULL;

  if (settings->journal_mode == NULL)
    {
      if (!db_sqlite_session_exec (session, "PRAGMA journal_mode", &present, error))
        return FALSE;
      if (g_strcmp0 (present, "wal") != 0 && g_strcmp0 (present, usual) != 0 &&
          !set_pragma (session, "journal_mode", usual, error))
        return FALSE;
    }
  return apply_journal_mode (settings, session, FALSE, error);
}

gboolean
db_sqlite_setup_clean (const DbSqliteSettings *settings,
                       DbSqliteSession *session,
                       GPtrArray *restore,
                       GCancellable *cancellable,
                       GError **error)
{
  gboolean ok;

  db_sqlite_session_install_handlers (session);
  if (!db_sqlite_session_enter (session, cancellable, 0, error))
    return FALSE;
  /* Changing temp_store drops everything temporary; its own value comes back with the others. */
  ok =
    set_pragma (session, "temp_store", "1", error) &&
    set_pragma (session, "temp_store", "2", error) && detach_all (session, error) &&
    exec_all (session, restore, error) && set_pragma (session, "case_sensitive_like", "0", error) &&
    exec_all (session, settings->pragmas, error) && restore_journal_mode (settings, session, error);
  db_sqlite_session_leave (session);
  return ok;
}
