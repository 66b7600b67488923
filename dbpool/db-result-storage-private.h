/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* How a result lies in memory. A column is an array of cells of 8 bytes, and an array of types only
 * when its cells differ in type (a NULL counts as a type). Texts and bytes stand in blocks that
 * never move. The columns, room for a few rows and a little text are one allocation, so that the
 * result of "SELECT … WHERE id = $1" costs two: the object and that.
 *
 * Everything but the last group of fields is written while the result is built, by one thread, and
 * is read-only afterwards. */

#pragma once

#include "db-lock-private.h"
#include "db-result-private.h"

typedef union
{
  gint64 integer; /* BOOLEAN, INT64; 0 for NULL */
  double real;
  const char *text; /* everything else: see db_cell_get_size() */
} DbCell;

typedef struct
{
  const char *name;
  DbCell *cells;
  guint8 *types;      /* of each cell, or NULL if all are of the type @uniform */
  const char **texts; /* under the result's lock: cells that are no text, as text, or NULL */
  guint n_nulls;
  guint8 declared; /* what the database said, or NULL */
  guint8 element;  /* of an array: the type of its elements; else NULL */
  guint8 uniform;
  guint8 seen; /* the type of the cells that are not NULL, NULL if there are none, or MIXED */
} DbColumn;

typedef struct _DbResultBlock DbResultBlock;

struct _DbResultBlock
{
  DbResultBlock *next;
  char chars[];
};

/* What the columns of a result are before there are rows. */
struct _DbResultShape
{
  guint n_columns;
  DbResult *spare;    /* see db-result-builder.c; used by the shape's owner */
  DbColumn columns[]; /* without cells */
};

struct _DbResult
{
  GObject parent_instance;

  guint n_rows;
  guint n_columns;
  DbColumn *columns;
  DbResultShape *shape; /* NULL, or what owns the names */
  DbResultBlock *blocks;
  gint64 rows_affected;
  gint64 last_insert_id;

  /* Used while the result is built. */
  gsize n_allocated; /* rows for which every column has room */
  guint next_column;
  char *free_chars;
  gsize n_free_chars;
  gsize block_size;
  gsize n_chars; /* for which there is or was room, with those that are free */
  guint n_typed; /* columns with types */

  DbLock lock;      /* protects what follows, and DbColumn.texts; nothing is called under it */
  GHashTable *rows; /* position → DbRowSlot: the rows that somebody holds; NULL before the first */
  GStringChunk *made; /* what DbColumn.texts points to */
};

/* The cells of the first rows are part of the columns' allocation; more are on the heap. */
#define DB_RESULT_FIRST_ROWS 4

static inline DbValueType
db_column_get_type (const DbColumn *column)
{
  return column->seen != DB_VALUE_TYPE_NULL ? column->seen : column->declared;
}

static inline DbValueType
db_column_get_cell_type (const DbColumn *column, guint row)
{
  return column->types != NULL ? column->types[row] : column->uniform;
}

/* A text or bytes cell is preceded by its size, unaligned, and followed by a zero. */
static inline gsize
db_cell_get_size (const DbCell *cell)
{
  gsize size;

  __builtin_memcpy (&size, cell->text - sizeof size, sizeof size);
  return size;
}

#define DB_RESULT_HAS_CELL(self, row, column)                                                      \
  (DB_IS_RESULT (self) && (row) < (self)->n_rows && (column) < (self)->n_columns)
#define DB_RESULT_HAS_COLUMN(self, column) (DB_IS_RESULT (self) && (column) < (self)->n_columns)

/* What the public getters of cells return. In db-result.c. */
gint64 db_column_get_int64 (const DbColumn *column, guint row);
double db_column_get_double (const DbColumn *column, guint row);
const char *db_result_get_cell_text (DbResult *self, DbColumn *column, guint row);
