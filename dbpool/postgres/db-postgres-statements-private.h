/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The statements that a session has prepared, by their text, least recently used last.
 *
 * A text is remembered at its first use and prepared at its second, so that statements that are run
 * once cost neither a prepare nor the place of a better one. What falls out is deallocated later,
 * together with something that is sent anyway. Names carry a random part: behind a pooler that
 * gives one server session to several clients, a name never means another client's statement. */

#pragma once

#include <glib.h>

typedef struct _DbPostgresStatements DbPostgresStatements;
typedef struct _DbPostgresColumns DbPostgresColumns; /* see db-postgres-values-private.h */

typedef struct
{
  guint ref_count; /* of whoever has the session; the cache has one */
  char *sql;
  char *name;                 /* NULL until it is wanted */
  gboolean is_known;          /* it is in the cache */
  gboolean prepared;          /* the server has it */
  gboolean preparing;         /* a PREPARE is under way, in the pipeline of the run */
  guint64 epoch;              /* of the run that prepared it */
  DbPostgresColumns *columns; /* of its last result; NULL: none so far */
  GList link;
} DbPostgresStatement;

DbPostgresStatements *db_postgres_statements_new (guint size);
void db_postgres_statements_free (DbPostgresStatements *self);

DbPostgresStatement *db_postgres_statement_ref (DbPostgresStatement *self);
void db_postgres_statement_unref (DbPostgresStatement *self);

/* What is to be done with @sql: NULL: run it as it is; else run the statement by its name, and if
 * it is not prepared, prepare it first. @now: also at its first use. @cacheable: FALSE for what is
 * never prepared. The result belongs to the cache, until the next call. */
DbPostgresStatement *db_postgres_statements_use (DbPostgresStatements *self,
                                                 const char *sql,
                                                 gboolean now,
                                                 gboolean *cacheable);

gboolean db_postgres_statements_is_cacheable (DbPostgresStatements *self, const char *sql);

/* The server has prepared it in the run @epoch. */
void db_postgres_statements_note_prepared (DbPostgresStatements *self,
                                           DbPostgresStatement *statement,
                                           guint64 epoch);

/* The server no longer has it, or @deallocate: shall no longer have it. Nothing happens if it has
 * been forgotten before. */
void db_postgres_statements_forget (DbPostgresStatements *self,
                                    DbPostgresStatement *statement,
                                    gboolean deallocate);

/* The server has none of them any more. */
void db_postgres_statements_clear (DbPostgresStatements *self);

/* How many it keeps from now on; what is too much is deallocated. */
void db_postgres_statements_resize (DbPostgresStatements *self, guint size);
guint db_postgres_statements_get_size (DbPostgresStatements *self);

/* SQL that deallocates one statement that fell out, or NULL. */
char *db_postgres_statements_pop_deallocate (DbPostgresStatements *self);
