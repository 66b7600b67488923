/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What can be told of a statement by looking at its text. */

#pragma once

#include <glib.h>

/* TRUE if the first word is @word, in any case. */
gboolean db_postgres_sql_begins_with (const char *sql, const char *word);

/* TRUE if there is nothing but comments, blanks and semicolons. */
gboolean db_postgres_sql_is_empty (const char *sql);

/* TRUE if one of its words, outside of quotes and comments, is @word, in any case. */
gboolean db_postgres_sql_has_word (const char *sql, const char *word);

/* TRUE for the statements that may be prepared: those whose first word is SELECT, INSERT and so on.
 */
gboolean db_postgres_sql_is_preparable (const char *sql);

/* TRUE if a cursor can be declared for it: one statement that reads, and changes nothing. */
gboolean db_postgres_sql_is_declarable (const char *sql);
