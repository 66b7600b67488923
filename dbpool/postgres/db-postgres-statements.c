/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A session's prepared statements: a hash table and a queue. Used by whoever uses the session, so
 * there is no lock. */

#include "config.h"

#include "db-postgres-statements-private.h"

#include <string.h>

/* Longer texts are not worth the memory of keeping them. */
#define MAX_SQL_SIZE (64 * 1024)

struct _DbPostgresStatements
{
  guint size;
  guint32 salt;
  guint last_number;
  GHashTable *by_sql;   /* sql, borrowed from the statement, to DbPostgresStatement */
  GQueue used;          /* of the statements' links, the last used one first */
  GQueue to_deallocate; /* of names */
};

static void
statement_free (gpointer data)
{
  DbPostgresStatement *statement = data;

  g_free (statement->sql);
  g_free (statement->name);
  g_free (statement);
}

DbPostgresStatements *
db_postgres_statements_new (guint size)
{
  DbPostgresStatements *self = g_new0 (DbPostgresStatements, 1);

  self->size = size;
  self->salt = g_random_int ();
  self->by_sql = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, statement_free);
  g_queue_init (&self->used);
  g_queue_init (&self->to_deallocate);
  return self;
}

void
db_postgres_statements_clear (DbPostgresStatements *self)
{
  g_queue_init (&self->used); /* its links are the statements' */
  g_hash_table_remove_all (self->by_sql);
  g_queue_clear_full (&self->to_deallocate, g_free);
}

void
db_postgres_statements_free (DbPostgresStatements *self)
{
  db_postgres_statements_clear (self);
  g_hash_table_unref (self->by_sql);
  g_free (self);
}

void
db_postgres_statements_forget (DbPostgresStatements *self,
                               DbPostgresStatement *statement,
                               gboolean deallocate)
{
  if (deallocate && statement->prepared)
    g_queue_push_tail (&self->to_deallocate, g_steal_pointer (&statement->name));
  g_queue_unlink (&self->used, &statement->link);
  g_hash_table_remove (self->by_sql, statement->sql);
}

static void
add (DbPostgresStatements *self, const char *sql)
{
  DbPostgresStatement *statement;

  if (strlen (sql) > MAX_SQL_SIZE)
    return;
  if (self->used.length >= self->size)
    db_postgres_statements_forget (self, self->used.tail->data, TRUE);

  statement = g_new0 (DbPostgresStatement, 1);
  statement->sql = g_strdup (sql);
  statement->link.data = statement;
  g_hash_table_insert (self->by_sql, statement->sql, statement);
  g_queue_push_head_link (&self->used, &statement->link);
}

DbPostgresStatement *
db_postgres_statements_use (DbPostgresStatements *self, const char *sql)
{
  DbPostgresStatement *statement;

  if (self->size == 0)
    return NULL;
  statement = self->used.head != NULL ? self->used.head->data : NULL;
  if (statement == NULL || strcmp (statement->sql, sql) != 0)
    statement = g_hash_table_lookup (self->by_sql, sql);
  if (statement == NULL)
    {
      if (db_postgres_sql_is_preparable (sql))
        add (self, sql);
      return NULL;
    }
  if (self->used.head != &statement->link)
    {
      g_queue_unlink (&self->used, &statement->link);
      g_queue_push_head_link (&self->used, &statement->link);
    }
  if (statement->name == NULL)
    statement->name = g_strdup_printf ("dbpool_%08x_%u", self->salt, ++self->last_number);
  return statement;
}

char *
db_postgres_statements_pop_deallocate (DbPostgresStatements *self)
{
  g_autofree char *name = g_queue_pop_head (&self->to_deallocate);

  return name != NULL ? g_strconcat ("DEALLOCATE ", name, NULL) : NULL;
}

/* Comments of the SQL standard are skipped, nested ones too, and parentheses: "(SELECT". */
static const char *
skip_to_first_word (const char *sql)
{
  for (;;)
    {
      if (g_ascii_isspace (*sql) || *sql == '(')
        sql++;
      else if (sql[0] == '-' && sql[1] == '-')
        sql += strcspn (sql, "\n");
      else if (sql[0] == '/' && sql[1] == '*')
        {
          guint depth = 0;

          do
            {
              if (sql[0] == '/' && sql[1] == '*')
                {
                  depth++;
                  sql += 2;
                }
              else if (sql[0] == '*' && sql[1] == '/')
                {
                  depth--;
                  sql += 2;
                }
              else if (*sql != '\0')
                sql++;
            }
          while (depth > 0 && *sql != '\0');
        }
      else
        return sql;
    }
}

static gboolean
is_word (const char *start, const char *word)
{
  gsize length = strlen (word);

  return g_ascii_strncasecmp (start, word, length) == 0 && !g_ascii_isalnum (start[length]) &&
         start[length] != '_';
}

gboolean
db_postgres_sql_begins_with (const char *sql, const char *word)
{
  return is_word (skip_to_first_word (sql), word);
}

gboolean
db_postgres_sql_is_preparable (const char *sql)
{
  static const char *const words[] = {"SELECT", "INSERT", "UPDATE", "DELETE",
                                      "WITH",   "VALUES", "MERGE",  "TABLE"};
  const char *start = skip_to_first_word (sql);

  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    if (is_word (start, words[i]))
      return TRUE;
  return FALSE;
}
