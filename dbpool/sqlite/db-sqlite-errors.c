/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* SQLite's codes, and what can be read from its messages; no state, no lock. How an error is made
 * of a code is in db-error.c. */

#include "config.h"

#include <string.h>

#include "db-sqlite-errors-private.h"

const char *
db_sqlite_get_hint (int rc)
{
  switch (rc & 0xff)
    {
    case SQLITE_READONLY:
      return ": the file was opened read-only, or this process may not write to it or to its "
             "folder";
    case SQLITE_FULL:
      return ": the disk is full, or the database reached its largest size";
    case SQLITE_CORRUPT:
      return ": restore it from a backup, or rescue what is left with \".recover\" of sqlite3";
    case SQLITE_CANTOPEN:
      return ": the file, its folder or the folder for temporary files is missing or not "
             "accessible";
    case SQLITE_NOTADB:
      return ": the path names another kind of file, or an encrypted database";
    case SQLITE_IOERR:
      return ": reading or writing the file failed";
    case SQLITE_BUSY:
      return ": another process, or an open transaction of another connection, kept its lock for "
             "longer than busy-timeout";
    case SQLITE_ABORT:
      return rc == SQLITE_ABORT_ROLLBACK
               ? ": the transaction in which these rows were being read was rolled back"
               : "";
    case SQLITE_LOCKED:
      return ": another statement of this connection is still reading";
    default:
      return "";
    }
}

gboolean
db_sqlite_breaks_session (int rc)
{
  int primary = rc & 0xff;

  return primary == SQLITE_NOTADB || primary == SQLITE_CORRUPT || primary == SQLITE_IOERR ||
         primary == SQLITE_CANTOPEN || rc == SQLITE_READONLY_DBMOVED;
}

/* What follows the last @mark; NULL without it. */
static const char *
text_behind (const char *message, const char *mark)
{
  const char *found = NULL;

  for (const char *p = strstr (message, mark); p != NULL; p = strstr (p + 1, mark))
    found = p + strlen (mark);
  return found;
}

/* "table.column"; a name that holds a dot itself cannot be told apart, and so is not taken. */
static gboolean
split_column (const char *text, char **table, char **column)
{
  const char *dot = strchr (text, '.');

  if (dot == NULL || dot == text || dot[1] == '\0' || strchr (dot + 1, '.') != NULL)
    return FALSE;
  *table = g_strndup (text, (gsize) (dot - text));
  *column = g_strdup (dot + 1);
  return TRUE;
}

/* "t.a" or "t.a, t.b": the column only where there is just one. */
static void
set_columns (DbErrorInfo *info, const char *text)
{
  g_auto (GStrv) items = g_strsplit (text, ", ", -1);
  g_autofree char *table = NULL;
  g_autofree char *column = NULL;

  if (items[0] == NULL || !split_column (items[0], &table, &column))
    return;
  for (guint i = 1; items[i] != NULL; i++)
    {
      g_autofree char *other_table = NULL;
      g_autofree char *other_column = NULL;

      if (!split_column (items[i], &other_table, &other_column) || strcmp (other_table, table) != 0)
        return;
    }
  db_error_info_set (info, DB_ERROR_FIELD_TABLE, table);
  if (items[1] == NULL)
    db_error_info_set (info, DB_ERROR_FIELD_COLUMN, column);
}

static gboolean
is_plain_name (const char *text)
{
  if (g_ascii_isdigit (*text))
    return FALSE;
  for (const char *p = text; *p != '\0'; p++)
    if (!g_ascii_isalnum (*p) && *p != '_' && (guchar) *p < 0x80)
      return FALSE;
  return *text != '\0';
}

/* "index 'name'", for an index on an expression. */
static void
set_index (DbErrorInfo *info, const char *text)
{
  gsize length = strlen (text);
  g_autofree char *name = NULL;

  if (length < 2 || text[length - 1] != '\'')
    return;
  name = g_strndup (text, length - 1);
  db_error_info_set (info, DB_ERROR_FIELD_CONSTRAINT, name);
}

/* The code says which message it is: a trigger may raise any text, with a code of its own. */
static void
read_names (DbErrorInfo *info, int rc, const char *message)
{
  const char *names = text_behind (message, "constraint failed: ");

  switch (rc)
    {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
    case SQLITE_CONSTRAINT_NOTNULL:
      if (names != NULL && g_str_has_prefix (names, "index '"))
        set_index (info, names + strlen ("index '"));
      else if (names != NULL)
        set_columns (info, names);
      break;
    case SQLITE_CONSTRAINT_CHECK:
      /* Of a constraint without a name SQLite gives the expression. */
      if (names != NULL && is_plain_name (names))
        db_error_info_set (info, DB_ERROR_FIELD_CONSTRAINT, names);
      break;
    case SQLITE_CONSTRAINT_DATATYPE:
      names = text_behind (message, " column ");
      if (names != NULL)
        set_columns (info, names);
      break;
    default:
      break;
    }
}

DbErrorInfo *
db_sqlite_new_error_info (sqlite3 *db, int rc, const char *sql, const char *start)
{
  DbErrorInfo *info = db_error_info_new ();
  const char *message = sqlite3_errmsg (db);
  int offset = sql != NULL ? sqlite3_error_offset (db) : -1;

  info->sqlite_code = rc;
  db_error_info_set (info, DB_ERROR_FIELD_MESSAGE, message);
  if (offset >= 0)
    {
      const char *end = start + MIN ((gsize) offset, strlen (start));

      /* The first byte of each character. */
      info->position = 1;
      for (const char *p = sql; p < end; p++)
        if (((guchar) *p & 0xc0) != 0x80)
          info->position++;
    }
  if ((rc & 0xff) == SQLITE_CONSTRAINT)
    read_names (info, rc, message);
  return info;
}
