/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A prepared statement with what dbpool has to know about it, and a session's cache of them. Like
 * the session that owns them they are used by one thread at a time. */

#pragma once

#include <sqlite3.h>

#include "db-description-private.h"
#include "db-result-private.h"
#include "db-value-private.h"

/* What format_begin says for a transaction that only reads; whoever writes it himself means it. */
#define DB_SQLITE_BEGIN_READ_ONLY "BEGIN /* READ ONLY */"

typedef struct
{
  GList link; /* in the cache's order of use */
  char *sql;
  sqlite3_stmt *stmt;
  const char *verb; /* static string */

  guint n_values; /* the highest N of its $N */
  guint n_slots;
  guint *slots; /* for SQLite's parameter i + 1, the value that is bound to it */

  /* Of the columns: read once for all runs, until SQLite prepares the statement anew. */
  DbResultShape *shape; /* shared with the results; NULL: not yet read */
  DbValueType *types;   /* where something is declared that SQLite has no storage for: that;
                           DB_VALUE_TYPE_NULL for other columns; NULL if there is none */
  int n_prepared;       /* what SQLite counts: the columns were read then */

  gboolean borrows;            /* values of a DbParams are bound, and may not stay so */
  gboolean cached;             /* the cache owns it */
  gboolean cacheable;          /* running it again is worth something */
  gboolean writes;             /* needs the write token */
  gboolean changes_rows;       /* sqlite3_changes() speaks of it */
  gboolean inserts;            /* sqlite3_last_insert_rowid() may speak of it */
  gboolean controls;           /* begins or ends a transaction or savepoint */
  gboolean commits;            /* what it ends is kept */
  gboolean begins_read_only;   /* the transaction that it begins only reads */
  gboolean changes_session;    /* the session has to be reset after it */
  gboolean sets_busy_timeout;  /* it may have replaced the busy handler */
  gboolean opens_another_file; /* its CANTOPEN says nothing about the session's file */
} DbSqliteStatement;

/* Skips white space, comments and semicolons. */
const char *db_sqlite_skip_blank (const char *sql);

/* Takes @stmt, also when it fails. @sql and @length: the statement's own text. */
DbSqliteStatement *
db_sqlite_statement_new (sqlite3_stmt *stmt, const char *sql, gsize length, GError **error);
void db_sqlite_statement_free (DbSqliteStatement *self);

/* @values: at least n_values of them; without @copy borrowed until the statement is reset and its
 * bindings are cleared. Returns SQLite's code, MISMATCH for a value that SQLite does not know; @bad
 * is its index. */
int db_sqlite_statement_bind (DbSqliteStatement *self,
                              const DbValue *values,
                              gboolean copy,
                              guint *bad);

void db_sqlite_statement_describe (DbSqliteStatement *self, DbDescription *description);

/* After the first step, which may have changed the columns. */
DbResultBuilder *db_sqlite_statement_new_builder (DbSqliteStatement *self, int n_columns);

/* FALSE: out of memory. */
gboolean
db_sqlite_statement_read_row (DbSqliteStatement *self, int n_columns, DbResultBuilder *builder);

/* How many bytes its texts and blobs have. */
gsize db_sqlite_statement_measure_row (DbSqliteStatement *self, int n_columns);

typedef struct
{
  GHashTable *table; /* SQL to statement, owned */
  GQueue order;      /* the one used last is the head */
  guint size;
} DbSqliteCache;

void db_sqlite_cache_init (DbSqliteCache *self, guint size);
void db_sqlite_cache_clear (DbSqliteCache *self);
void db_sqlite_cache_set_size (DbSqliteCache *self, guint size);
DbSqliteStatement *db_sqlite_cache_lookup (DbSqliteCache *self, const char *sql);

/* Takes @statement if it is worth it. */
void db_sqlite_cache_offer (DbSqliteCache *self, DbSqliteStatement *statement);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbSqliteStatement, db_sqlite_statement_free)
