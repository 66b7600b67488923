/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A session's prepared statements: a hash table and a queue. Used by whoever uses the session, so
 * there is no lock. */

#include "config.h"

#include "db-postgres-statements-private.h"

#include "db-postgres-sql-private.h"
#include "db-postgres-values-private.h"

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

DbPostgresStatement *
db_postgres_statement_ref (DbPostgresStatement *self)
{
  self->ref_count++;
  return self;
}

void
db_postgres_statement_unref (DbPostgresStatement *self)
{
  if (--self->ref_count > 0)
    return;
  g_clear_pointer (&self->columns, db_postgres_columns_free);
  g_free (self->sql);
  g_free (self->name);
  g_free (self);
}

static void
leave (gpointer data)
{
  DbPostgresStatement *statement = data;

  statement->is_known = FALSE;
  statement->prepared = FALSE;
  db_postgres_statement_unref (statement);
}

DbPostgresStatements *
db_postgres_statements_new (guint size)
{
  DbPostgresStatements *self = g_new0 (DbPostgresStatements, 1);

  self->size = size;
  self->salt = g_random_int ();
  self->by_sql = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, leave);
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
  if (!statement->is_known)
    return;
  if (deallocate && statement->prepared)
    g_queue_push_tail (&self->to_deallocate, g_strdup (statement->name));
  g_queue_unlink (&self->used, &statement->link);
  g_hash_table_remove (self->by_sql, statement->sql);
}

void
db_postgres_statements_note_prepared (DbPostgresStatements *self,
                                      DbPostgresStatement *statement,
                                      guint64 epoch)
{
  statement->preparing = FALSE;
  statement->epoch = epoch;
  if (statement->is_known)
    statement->prepared = TRUE;
  else
    g_queue_push_tail (&self->to_deallocate, g_strdup (statement->name));
}

static void
shrink (DbPostgresStatements *self, guint size)
{
  while (self->used.length > size)
    db_postgres_statements_forget (self, self->used.tail->data, TRUE);
}

void
db_postgres_statements_resize (DbPostgresStatements *self, guint size)
{
  self->size = size;
  shrink (self, size);
}

guint
db_postgres_statements_get_size (DbPostgresStatements *self)
{
  return self->size;
}

gboolean
db_postgres_statements_is_cacheable (DbPostgresStatements *self, const char *sql)
{
  return self->size > 0 && strlen (sql) <= MAX_SQL_SIZE && db_postgres_sql_is_preparable (sql);
}

static DbPostgresStatement *
add (DbPostgresStatements *self, const char *sql)
{
  DbPostgresStatement *statement = g_new0 (DbPostgresStatement, 1);

  shrink (self, self->size - 1);
  statement->ref_count = 1;
  statement->is_known = TRUE;
  statement->sql = g_strdup (sql);
  statement->link.data = statement;
  g_hash_table_insert (self->by_sql, statement->sql, statement);
  g_queue_push_head_link (&self->used, &statement->link);
  return statement;
}

static DbPostgresStatement *
look_up (DbPostgresStatements *self, const char *sql)
{
  DbPostgresStatement *statement = self->used.head != NULL ? self->used.head->data : NULL;

  if (statement != NULL && strcmp (statement->sql, sql) == 0)
    return statement;
  statement = g_hash_table_lookup (self->by_sql, sql);
  if (statement != NULL)
    {
      g_queue_unlink (&self->used, &statement->link);
      g_queue_push_head_link (&self->used, &statement->link);
    }
  return statement;
}

DbPostgresStatement *
db_postgres_statements_use (DbPostgresStatements *self,
                            const char *sql,
                            gboolean now,
                            gboolean *cacheable)
{
  DbPostgresStatement *statement = self->size > 0 ? look_up (self, sql) : NULL;

  *cacheable = statement != NULL || db_postgres_statements_is_cacheable (self, sql);
  if (!*cacheable)
    return NULL;
  if (statement == NULL)
    {
      statement = add (self, sql);
      if (!now)
        return NULL;
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
