/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a statement does to rows, session and locks is read once, from its first words and from
 * SQLite, and kept with the prepared statement. The cache drops what was not used for longest. */

#include "config.h"

#include "db-error.h"
#include "db-sqlite-declared-private.h"
#include "db-sqlite-statement-private.h"

#include <math.h>
#include <string.h>

/* Longer texts are made for one occasion, as a rule, and not worth their memory. */
#define LONGEST_CACHED (64 * 1024)

typedef enum
{
  VERB_NONE = 0,
  VERB_CACHE = 1 << 0,
  VERB_CHANGES_ROWS = 1 << 1,
  VERB_INSERTS = 1 << 2,
  VERB_SESSION = 1 << 3,
  VERB_OTHER_FILE = 1 << 4,
  VERB_MAYBE_TEMP = 1 << 5,
  VERB_PRAGMA = 1 << 6,
  VERB_CONTROLS = 1 << 7,
  VERB_COMMITS = 1 << 8,
} VerbFlags;

static const struct
{
  const char *verb;
  VerbFlags flags;
} verbs[] = {
  {"SELECT", VERB_CACHE},
  {"INSERT", VERB_CACHE | VERB_CHANGES_ROWS | VERB_INSERTS},
  {"UPDATE", VERB_CACHE | VERB_CHANGES_ROWS},
  {"DELETE", VERB_CACHE | VERB_CHANGES_ROWS},
  {"WITH", VERB_CACHE | VERB_CHANGES_ROWS | VERB_INSERTS},
  {"REPLACE", VERB_CACHE | VERB_CHANGES_ROWS | VERB_INSERTS},
  {"VALUES", VERB_CACHE},
  {"BEGIN", VERB_CACHE | VERB_CONTROLS},
  {"COMMIT", VERB_CACHE | VERB_CONTROLS | VERB_COMMITS},
  {"END", VERB_CACHE | VERB_CONTROLS | VERB_COMMITS},
  {"ROLLBACK", VERB_CACHE | VERB_CONTROLS},
  {"SAVEPOINT", VERB_CACHE | VERB_CONTROLS},
  {"RELEASE", VERB_CACHE | VERB_CONTROLS | VERB_COMMITS},
  {"EXPLAIN", VERB_NONE},
  {"PRAGMA", VERB_PRAGMA},
  {"ATTACH", VERB_SESSION | VERB_OTHER_FILE},
  {"DETACH", VERB_SESSION},
  {"CREATE", VERB_MAYBE_TEMP},
  {"DROP", VERB_NONE},
  {"ALTER", VERB_NONE},
  {"VACUUM", VERB_OTHER_FILE},
  {"ANALYZE", VERB_NONE},
  {"REINDEX", VERB_NONE},
};

const char *
db_sqlite_skip_blank (const char *sql)
{
  for (;;)
    {
      if (g_ascii_isspace (*sql) || *sql == ';')
        sql++;
      else if (sql[0] == '-' && sql[1] == '-')
        sql += strcspn (sql, "\n");
      else if (sql[0] == '/' && sql[1] == '*')
        {
          const char *end = strstr (sql + 2, "*/");

          /* SQLite takes a comment that is not closed for one that ends with the text. */
          sql = end != NULL ? end + 2 : sql + strlen (sql);
        }
      else
        return sql;
    }
}

static gboolean
contains_word (const char *text, const char *word)
{
  gsize length = strlen (word);

  for (; *text != '\0'; text++)
    if (g_ascii_strncasecmp (text, word, length) == 0)
      return TRUE;
  return FALSE;
}

/* PRAGMAs that only read leave the session as it is; SQLite calls some readers writers and some
 * writers readers. */
static void
classify_pragma (DbSqliteStatement *self)
{
  gboolean has_value = strpbrk (self->sql, "=(") != NULL;

  self->changes_session = has_value;
  self->sets_busy_timeout = has_value && contains_word (self->sql, "busy_timeout");
  if (contains_word (self->sql, "optimize") || contains_word (self->sql, "incremental_vacuum"))
    self->writes = TRUE;
  else if (!has_value && !contains_word (self->sql, "wal_checkpoint"))
    self->writes = FALSE;
}

static void
classify (DbSqliteStatement *self)
{
  const char *start = db_sqlite_skip_blank (self->sql);
  VerbFlags flags = VERB_NONE;
  gsize length = 0;

  self->verb = "statement";
  while (g_ascii_isalpha (start[length]))
    length++;
  for (gsize i = 0; i < G_N_ELEMENTS (verbs); i++)
    if (length == strlen (verbs[i].verb) && g_ascii_strncasecmp (start, verbs[i].verb, length) == 0)
      {
        self->verb = verbs[i].verb;
        flags = verbs[i].flags;
        break;
      }

  self->writes = !sqlite3_stmt_readonly (self->stmt) && !sqlite3_stmt_isexplain (self->stmt);
  self->cacheable = (flags & VERB_CACHE) != 0 && strlen (self->sql) <= LONGEST_CACHED;
  self->changes_rows = self->writes && (flags & VERB_CHANGES_ROWS) != 0;
  self->inserts = self->writes && (flags & VERB_INSERTS) != 0;
  self->controls = (flags & VERB_CONTROLS) != 0;
  self->commits = (flags & VERB_COMMITS) != 0;
  self->opens_another_file = (flags & VERB_OTHER_FILE) != 0;
  self->changes_session = (flags & VERB_SESSION) != 0 ||
                          ((flags & VERB_MAYBE_TEMP) != 0 && contains_word (start, "temp"));
  self->begins_read_only = strcmp (start, DB_SQLITE_BEGIN_READ_ONLY) == 0;
  if (flags & VERB_PRAGMA)
    classify_pragma (self);
  if (self->writes && strcmp (self->verb, "BEGIN") == 0)
    self->verb = contains_word (start, "exclusive") ? "BEGIN EXCLUSIVE" : "BEGIN IMMEDIATE";
}

/* "$7" is 7; everything else 0. */
static guint
parse_parameter_name (const char *name)
{
  guint number = 0;

  if (name == NULL || name[0] != '$' || name[1] < '1' || name[1] > '9')
    return 0;
  for (const char *p = name + 1; *p != '\0'; p++)
    {
      if (!g_ascii_isdigit (*p) || number > 100000)
        return 0;
      number = number * 10 + (guint) (*p - '0');
    }
  return number <= 65535 ? number : 0;
}

static void
set_parameter_error (const char *name, GError **error)
{
  g_autofree char *text = name != NULL ? g_utf8_make_valid (name, -1) : NULL;

  if (name == NULL)
    g_set_error_literal (
      error, DB_ERROR, DB_ERROR_QUERY,
      "\"?\" is no parameter here: use $1 for the first value, $2 for the second");
  else if (name[0] == '$' && g_ascii_isdigit (name[1]) && strstr (name, "::") != NULL)
    g_set_error (
      error, DB_ERROR, DB_ERROR_QUERY,
      "SQLite takes \"%s\" for the name of a parameter: use $1 for the first value, $2 for "
      "the second, and CAST ($1 AS …) for another type",
      text);
  else
    g_set_error (
      error, DB_ERROR, DB_ERROR_QUERY,
      "\"%s\" is no parameter here: use $1 for the first value, $2 for the second, up to "
      "$65535",
      text);
}

static gboolean
map_parameters (DbSqliteStatement *self, GError **error)
{
  self->n_slots = (guint) sqlite3_bind_parameter_count (self->stmt);
  if (self->n_slots == 0)
    return TRUE;
  self->slots = g_new (guint, self->n_slots);
  for (guint i = 0; i < self->n_slots; i++)
    {
      const char *name = sqlite3_bind_parameter_name (self->stmt, (int) i + 1);
      guint number = parse_parameter_name (name);

      if (number == 0)
        {
          set_parameter_error (name, error);
          return FALSE;
        }
      self->slots[i] = number - 1;
      self->n_values = MAX (self->n_values, number);
    }
  return TRUE;
}

DbSqliteStatement *
db_sqlite_statement_new (sqlite3_stmt *stmt, const char *sql, gsize length, GError **error)
{
  g_autoptr (DbSqliteStatement) self = g_new0 (DbSqliteStatement, 1);

  self->stmt = stmt;
  self->sql = g_strndup (sql, length);
  self->link.data = self;
  classify (self);
  if (!map_parameters (self, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
db_sqlite_statement_free (DbSqliteStatement *self)
{
  sqlite3_finalize (self->stmt);
  g_clear_pointer (&self->shape, db_result_shape_retire);
  g_free (self->types);
  g_free (self->slots);
  g_free (self->sql);
  g_free (self);
}

static int
bind_value (DbSqliteStatement *self, int slot, const DbValue *value, sqlite3_destructor_type keep)
{
  sqlite3_stmt *stmt = self->stmt;

  switch (value->type)
    {
    case DB_VALUE_TYPE_NULL:
      return sqlite3_bind_null (stmt, slot);
    case DB_VALUE_TYPE_BOOLEAN:
      return sqlite3_bind_int (stmt, slot, value->integer != 0);
    case DB_VALUE_TYPE_INT64:
      return sqlite3_bind_int64 (stmt, slot, value->integer);
    case DB_VALUE_TYPE_DOUBLE:
      /* SQLite would store NULL for it. */
      return isnan (value->real) ? SQLITE_MISMATCH : sqlite3_bind_double (stmt, slot, value->real);
    case DB_VALUE_TYPE_BYTES:
      if (value->size == 0)
        return sqlite3_bind_zeroblob (stmt, slot, 0);
      self->borrows = keep == SQLITE_STATIC;
      return sqlite3_bind_blob64 (stmt, slot, value->text, value->size, keep);
    case DB_VALUE_TYPE_TEXT:
    case DB_VALUE_TYPE_DECIMAL:
    case DB_VALUE_TYPE_DATE:
    case DB_VALUE_TYPE_TIME:
    case DB_VALUE_TYPE_TIMESTAMP:
    case DB_VALUE_TYPE_TIMESTAMP_TZ:
    case DB_VALUE_TYPE_UUID:
    case DB_VALUE_TYPE_JSON:
      self->borrows = keep == SQLITE_STATIC;
      return sqlite3_bind_text64 (stmt, slot, value->text, value->size, keep, SQLITE_UTF8);
    case DB_VALUE_TYPE_ARRAY:
    case DB_VALUE_TYPE_MIXED:
    default:
      return SQLITE_MISMATCH;
    }
}

int
db_sqlite_statement_bind (DbSqliteStatement *self, const DbValue *values, gboolean copy, guint *bad)
{
  sqlite3_destructor_type keep = copy ? SQLITE_TRANSIENT : SQLITE_STATIC;

  for (guint i = 0; i < self->n_slots; i++)
    {
      int rc = bind_value (self, (int) i + 1, &values[self->slots[i]], keep);

      if (rc != SQLITE_OK)
        {
          *bad = self->slots[i];
          return rc;
        }
    }
  return SQLITE_OK;
}

static void
add_integer (DbSqliteStatement *self, int column, gint64 value, DbResultBuilder *builder)
{
  if (self->types != NULL && self->types[column] == DB_VALUE_TYPE_BOOLEAN && (value >> 1) == 0)
    db_result_builder_add_boolean (builder, value != 0);
  else
    db_result_builder_add_int64 (builder, value);
}

/* FALSE: out of memory. */
static gboolean
add_text (DbSqliteStatement *self, int column, sqlite3_value *value, DbResultBuilder *builder)
{
  const char *text = (const char *) sqlite3_value_text (value);
  gsize size = (gsize) sqlite3_value_bytes (value);
  DbValueType type = DB_VALUE_TYPE_TEXT;

  if (text == NULL)
    return FALSE;
  if (self->types != NULL && db_sqlite_declared_fits (self->types[column], text, size))
    type = self->types[column];
  db_result_builder_add_text (builder, type, text, size);
  return TRUE;
}

/* Each cell is looked up once, and asked for its type and content: half the work of the functions
 * that name the column each time. These are "unprotected" values, which SQLite wants used on one
 * thread; a session is. */
gboolean
db_sqlite_statement_read_row (DbSqliteStatement *self, int n_columns, DbResultBuilder *builder)
{
  for (int i = 0; i < n_columns; i++)
    {
      sqlite3_value *value = sqlite3_column_value (self->stmt, i);

      switch (sqlite3_value_type (value))
        {
        case SQLITE_INTEGER:
          add_integer (self, i, sqlite3_value_int64 (value), builder);
          break;
        case SQLITE_FLOAT:
          db_result_builder_add_double (builder, sqlite3_value_double (value));
          break;
        case SQLITE_TEXT:
          if (!add_text (self, i, value, builder))
            return FALSE;
          break;
        case SQLITE_BLOB:
          {
            gconstpointer bytes = sqlite3_value_blob (value);

            db_result_builder_add_bytes (builder, bytes, (gsize) sqlite3_value_bytes (value));
            break;
          }
        default:
          db_result_builder_add_null (builder);
          break;
        }
    }
  return TRUE;
}

gsize
db_sqlite_statement_measure_row (DbSqliteStatement *self, int n_columns)
{
  gsize size = 0;

  for (int i = 0; i < n_columns; i++)
    {
      sqlite3_value *value = sqlite3_column_value (self->stmt, i);
      int type = sqlite3_value_type (value);

      if (type == SQLITE_TEXT || type == SQLITE_BLOB)
        size += (gsize) sqlite3_value_bytes (value);
    }
  return size;
}

static void
note_type (DbSqliteStatement *self, int column, int n_columns, DbValueType type)
{
  if (type == DB_VALUE_TYPE_NULL)
    return;
  if (self->types == NULL)
    {
      self->types = g_new (DbValueType, n_columns);
      for (int i = 0; i < n_columns; i++)
        self->types[i] = DB_VALUE_TYPE_NULL;
    }
  self->types[column] = type;
}

/* Names and declared types. Again after SQLite prepared the statement anew, since the schema had
 * changed; results that were made before keep what they have. */
static void
read_columns (DbSqliteStatement *self, int n_columns)
{
  self->n_prepared = sqlite3_stmt_status (self->stmt, SQLITE_STMTSTATUS_REPREPARE, FALSE);
  g_clear_pointer (&self->types, g_free);
  g_clear_pointer (&self->shape, db_result_shape_retire);
  self->shape = db_result_shape_new ((guint) n_columns);
  for (int i = 0; i < n_columns; i++)
    {
      const char *name = sqlite3_column_name (self->stmt, i);
      DbValueType type = db_sqlite_declared_parse (sqlite3_column_decltype (self->stmt, i));

      db_result_shape_set_column (self->shape, (guint) i, name, type, DB_VALUE_TYPE_NULL);
      note_type (self, i, n_columns, type);
    }
}

void
db_sqlite_statement_describe (DbSqliteStatement *self, DbDescription *description)
{
  int n_columns = sqlite3_column_count (self->stmt);

  for (guint i = 0; i < self->n_values; i++)
    db_description_add_param (description, DB_VALUE_TYPE_NULL, NULL);
  for (int i = 0; i < n_columns; i++)
    {
      const char *name = sqlite3_column_name (self->stmt, i);
      const char *declared = sqlite3_column_decltype (self->stmt, i);
      g_autofree char *valid_name = g_utf8_make_valid (name != NULL ? name : "", -1);
      g_autofree char *type_name = declared != NULL ? g_utf8_make_valid (declared, -1) : NULL;

      db_description_add_column (description, valid_name, db_sqlite_declared_expect (declared),
                                 type_name);
    }
}

DbResultBuilder *
db_sqlite_statement_new_builder (DbSqliteStatement *self, int n_columns)
{
  if (self->shape == NULL ||
      sqlite3_stmt_status (self->stmt, SQLITE_STMTSTATUS_REPREPARE, FALSE) != self->n_prepared)
    read_columns (self, n_columns);
  return db_result_builder_new_shared (self->shape);
}

void
db_sqlite_cache_init (DbSqliteCache *self, guint size)
{
  self->size = size;
  self->table = g_hash_table_new_full (g_str_hash, g_str_equal, NULL,
                                       (GDestroyNotify) db_sqlite_statement_free);
  g_queue_init (&self->order);
}

void
db_sqlite_cache_clear (DbSqliteCache *self)
{
  g_queue_init (&self->order);
  g_clear_pointer (&self->table, g_hash_table_unref);
}

DbSqliteStatement *
db_sqlite_cache_lookup (DbSqliteCache *self, const char *sql)
{
  DbSqliteStatement *statement;

  /* The same statement again and again is the common case, and cheaper to compare than to hash. */
  if (self->order.head != NULL)
    {
      statement = self->order.head->data;
      if (strcmp (statement->sql, sql) == 0)
        return statement;
    }
  statement = g_hash_table_lookup (self->table, sql);
  if (statement != NULL)
    {
      g_queue_unlink (&self->order, &statement->link);
      g_queue_push_head_link (&self->order, &statement->link);
    }
  return statement;
}

static void
shrink_to (DbSqliteCache *self, guint n)
{
  while (self->order.length > n)
    {
      DbSqliteStatement *oldest = g_queue_pop_tail_link (&self->order)->data;

      g_hash_table_remove (self->table, oldest->sql);
    }
}

void
db_sqlite_cache_set_size (DbSqliteCache *self, guint size)
{
  self->size = size;
  shrink_to (self, size);
}

void
db_sqlite_cache_offer (DbSqliteCache *self, DbSqliteStatement *statement)
{
  if (!statement->cacheable || self->size == 0)
    return;
  shrink_to (self, self->size - 1);
  statement->cached = TRUE;
  g_queue_push_head_link (&self->order, &statement->link);
  g_hash_table_insert (self->table, statement->sql, statement);
}
