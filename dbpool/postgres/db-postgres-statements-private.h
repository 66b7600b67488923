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

typedef struct
{
  char *sql;
  char *name;        /* NULL until it is wanted */
  gboolean prepared; /* the server has it */
  GList link;
} DbPostgresStatement;

DbPostgresStatements *db_postgres_statements_new (guint size);
void db_postgres_statements_free (DbPostgresStatements *self);

/* What is to be done with @sql: NULL: run it as it is; else run the statement by its name, and if
 * it is not prepared, prepare it first. Never NULL, NULL for a size of 0. */
DbPostgresStatement *db_postgres_statements_use (DbPostgresStatements *self, const char *sql);

/* The server no longer has it, or @deallocate: shall no longer have it. Frees @statement. */
void db_postgres_statements_forget (DbPostgresStatements *self,
                                    DbPostgresStatement *statement,
                                    gboolean deallocate);

/* The server has none of them any more. */
void db_postgres_statements_clear (DbPostgresStatements *self);

/* SQL that deallocates one statement that fell out, or NULL. */
char *db_postgres_statements_pop_deallocate (DbPostgresStatements *self);

/* TRUE for the statements that may be prepared: those whose first word is SELECT, INSERT and so on.
 */
gboolean db_postgres_sql_is_preparable (const char *sql);

/* TRUE if the first word is @word, in any case. */
gboolean db_postgres_sql_begins_with (const char *sql, const char *word);
