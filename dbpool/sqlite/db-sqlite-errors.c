/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Tables of SQLite's codes; no state, no lock. How an error is made of one is in db-error.c. */

#include "config.h"

#include <sqlite3.h>

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
