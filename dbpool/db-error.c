/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The error domain, and the translation of the databases' codes into it: one table for SQLSTATE,
 * one for SQLite. The code of the database stands at the end of the text, because bindings rebuild
 * errors from domain, code and text alone; db_error_get_sqlstate() reads it from there, in one way
 * for all. */

#include "config.h"

#include "db-error-private.h"

#include <string.h>

/**
 * db_error_quark:
 *
 * Gets the error domain of dbpool, whose codes are [error@Db.Error].
 *
 * Returns: the domain
 *
 * Since: 1.0
 */
/* Not by G_DEFINE_QUARK(), whose variable is a data race (a harmless one). */
GQuark
db_error_quark (void)
{
  static int quark; /* atomic */

  if (g_atomic_int_get (&quark) == 0)
    g_atomic_int_set (&quark, (int) g_quark_from_static_string ("db-error-quark"));
  return (GQuark) g_atomic_int_get (&quark);
}

G_DEFINE_ENUM_TYPE (DbError,
                    db_error,
                    G_DEFINE_ENUM_VALUE (DB_ERROR_FAILED, "failed"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_CONFIGURATION, "configuration"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_AUTHENTICATION, "authentication"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_CONNECTION, "connection"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_HEALTH_CHECK, "health-check"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_EXHAUSTED, "exhausted"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_QUEUE_FULL, "queue-full"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_TIMEOUT, "timeout"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_CLOSED, "closed"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_SUSPENDED, "suspended"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_RELEASED, "released"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_FORKED, "forked"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_DEADLOCK, "deadlock"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_QUERY, "query"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_CONSTRAINT, "constraint"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_SERIALIZATION, "serialization"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_BUSY, "busy"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_READ_ONLY, "read-only"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_TYPE, "type"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_LIMIT, "limit"),
                    G_DEFINE_ENUM_VALUE (DB_ERROR_NOT_SUPPORTED, "not-supported"))

/* Longest prefix wins, so whole codes stand beside classes of two characters. Classes and codes:
 * PostgreSQL documentation, appendix A. */
static const struct
{
  const char *prefix;
  DbError code;
} sqlstates[] = {
  {"08", DB_ERROR_CONNECTION},
  {"0A", DB_ERROR_NOT_SUPPORTED},
  {"22", DB_ERROR_TYPE},
  {"23", DB_ERROR_CONSTRAINT},
  {"25006", DB_ERROR_READ_ONLY},
  {"28", DB_ERROR_AUTHENTICATION},
  {"3D000", DB_ERROR_CONFIGURATION},
  {"40001", DB_ERROR_SERIALIZATION},
  {"40P01", DB_ERROR_SERIALIZATION},
  {"40002", DB_ERROR_CONSTRAINT},
  {"42804", DB_ERROR_TYPE},
  {"42846", DB_ERROR_TYPE},
  {"53", DB_ERROR_LIMIT},
  {"53300", DB_ERROR_CONNECTION},
  {"54", DB_ERROR_LIMIT},
  {"55P03", DB_ERROR_BUSY},
  {"57014", DB_ERROR_TIMEOUT},
  {"57P01", DB_ERROR_CONNECTION},
  {"57P02", DB_ERROR_CONNECTION},
  {"57P03", DB_ERROR_CONNECTION},
  {"57P04", DB_ERROR_CONNECTION},
  {"57P05", DB_ERROR_CONNECTION},
  {"58", DB_ERROR_CONNECTION},
  {"F0", DB_ERROR_CONFIGURATION},
};

/* SQLite's result codes (sqlite.org/rescode.html); an extended code that is not listed has the
 * meaning of its low byte. */
static const struct
{
  int rc;
  DbError code;
} sqlite_codes[] = {
  {1 /* ERROR */, DB_ERROR_QUERY},
  {3 /* PERM */, DB_ERROR_CONFIGURATION},
  {4 /* ABORT */, DB_ERROR_QUERY},
  {5 /* BUSY */, DB_ERROR_BUSY},
  {5 | (2 << 8) /* BUSY_SNAPSHOT */, DB_ERROR_SERIALIZATION},
  {6 /* LOCKED */, DB_ERROR_BUSY},
  {7 /* NOMEM */, DB_ERROR_LIMIT},
  {8 /* READONLY */, DB_ERROR_READ_ONLY},
  {9 /* INTERRUPT */, DB_ERROR_TIMEOUT},
  {10 /* IOERR */, DB_ERROR_CONNECTION},
  {11 /* CORRUPT */, DB_ERROR_CONNECTION},
  {12 /* NOTFOUND */, DB_ERROR_QUERY},
  {13 /* FULL */, DB_ERROR_LIMIT},
  {14 /* CANTOPEN */, DB_ERROR_CONFIGURATION},
  {15 /* PROTOCOL */, DB_ERROR_BUSY},
  {18 /* TOOBIG */, DB_ERROR_LIMIT},
  {19 /* CONSTRAINT */, DB_ERROR_CONSTRAINT},
  {20 /* MISMATCH */, DB_ERROR_TYPE},
  {21 /* MISUSE */, DB_ERROR_QUERY},
  {23 /* AUTH */, DB_ERROR_QUERY},
  {25 /* RANGE */, DB_ERROR_QUERY},
  {26 /* NOTADB */, DB_ERROR_CONFIGURATION},
};

/* Class 23 of the same appendix, and the extended codes of SQLite's CONSTRAINT (19). */
static const struct
{
  const char *sqlstate;
  int rc;
  DbConstraintKind kind;
} constraint_kinds[] = {
  {"23502", 19 | (5 << 8) /* NOTNULL */, DB_CONSTRAINT_NOT_NULL},
  {"23503", 19 | (3 << 8) /* FOREIGNKEY */, DB_CONSTRAINT_FOREIGN_KEY},
  {"23505", 19 | (8 << 8) /* UNIQUE */, DB_CONSTRAINT_UNIQUE},
  {"23505", 19 | (6 << 8) /* PRIMARYKEY */, DB_CONSTRAINT_UNIQUE},
  {"23505", 19 | (10 << 8) /* ROWID */, DB_CONSTRAINT_UNIQUE},
  {"23514", 19 | (1 << 8) /* CHECK */, DB_CONSTRAINT_CHECK},
  {"23P01", 0, DB_CONSTRAINT_EXCLUSION},
  {"23001", 19 | (3 << 8), DB_CONSTRAINT_FOREIGN_KEY},
};

DbConstraintKind
db_constraint_kind_from_sqlstate (const char *sqlstate)
{
  for (gsize i = 0; i < G_N_ELEMENTS (constraint_kinds); i++)
    if (strcmp (constraint_kinds[i].sqlstate, sqlstate) == 0)
      return constraint_kinds[i].kind;
  return db_error_code_from_sqlstate (sqlstate) == DB_ERROR_CONSTRAINT ? DB_CONSTRAINT_OTHER
                                                                       : DB_CONSTRAINT_NONE;
}

DbConstraintKind
db_constraint_kind_from_sqlite (int rc)
{
  for (gsize i = 0; i < G_N_ELEMENTS (constraint_kinds); i++)
    if (rc != 0 && constraint_kinds[i].rc == rc)
      return constraint_kinds[i].kind;
  return db_error_code_from_sqlite (rc) == DB_ERROR_CONSTRAINT ? DB_CONSTRAINT_OTHER
                                                               : DB_CONSTRAINT_NONE;
}

DbError
db_error_code_from_sqlstate (const char *sqlstate)
{
  DbError code = DB_ERROR_QUERY;
  gsize best = 0;

  if (sqlstate == NULL || sqlstate[0] == '\0')
    return DB_ERROR_CONNECTION;

  for (gsize i = 0; i < G_N_ELEMENTS (sqlstates); i++)
    {
      gsize length = strlen (sqlstates[i].prefix);

      if (length > best && strncmp (sqlstate, sqlstates[i].prefix, length) == 0)
        {
          best = length;
          code = sqlstates[i].code;
        }
    }
  return code;
}

DbError
db_error_code_from_sqlite (int rc)
{
  DbError code = DB_ERROR_QUERY;

  for (gsize i = 0; i < G_N_ELEMENTS (sqlite_codes); i++)
    {
      if (sqlite_codes[i].rc == rc)
        return sqlite_codes[i].code;
      if (sqlite_codes[i].rc == (rc & 0xff))
        code = sqlite_codes[i].code;
    }
  return code;
}

GError *
db_error_new_sqlstate (const char *sqlstate, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  if (sqlstate == NULL || sqlstate[0] == '\0')
    return g_error_new_literal (DB_ERROR, DB_ERROR_CONNECTION, text);
  return g_error_new (DB_ERROR, db_error_code_from_sqlstate (sqlstate), "%s [SQLSTATE %s]", text,
                      sqlstate);
}

GError *
db_error_new_sqlite (int rc, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  return g_error_new (DB_ERROR, db_error_code_from_sqlite (rc), "%s [SQLite %d]", text, rc);
}

gboolean
db_error_is_permanent_for_open (const GError *error)
{
  if (error->domain == DB_ERROR)
    return !db_error_is_transient (error) && error->code != DB_ERROR_LIMIT;
  if (error->domain == G_IO_ERROR)
    return !db_error_is_transient (error) && error->code != G_IO_ERROR_CANCELLED;
  return TRUE;
}

/**
 * db_error_is_transient:
 * @error: an error
 *
 * Says whether the same call may succeed when it is made again later.
 *
 * That is so for `DB_ERROR_CONNECTION`, `DB_ERROR_TIMEOUT`, `DB_ERROR_EXHAUSTED`,
 * `DB_ERROR_QUEUE_FULL`, `DB_ERROR_SUSPENDED`, `DB_ERROR_SERIALIZATION` and `DB_ERROR_BUSY`, and
 * for the errors of GIO that mean the same of a network. A transaction that failed with
 * `DB_ERROR_SERIALIZATION` has to be run again as a whole.
 *
 * May be called from any thread and does not block.
 *
 * Returns: %TRUE if trying again makes sense
 *
 * Since: 1.0
 */
gboolean
db_error_is_transient (const GError *error)
{
  g_return_val_if_fail (error != NULL, FALSE);

  if (error->domain == DB_ERROR)
    {
      switch ((DbError) error->code)
        {
        case DB_ERROR_CONNECTION:
        case DB_ERROR_TIMEOUT:
        case DB_ERROR_EXHAUSTED:
        case DB_ERROR_QUEUE_FULL:
        case DB_ERROR_SUSPENDED:
        case DB_ERROR_SERIALIZATION:
        case DB_ERROR_BUSY:
          return TRUE;
        case DB_ERROR_FAILED:
        case DB_ERROR_CONFIGURATION:
        case DB_ERROR_AUTHENTICATION:
        case DB_ERROR_HEALTH_CHECK:
        case DB_ERROR_CLOSED:
        case DB_ERROR_RELEASED:
        case DB_ERROR_FORKED:
        case DB_ERROR_DEADLOCK:
        case DB_ERROR_QUERY:
        case DB_ERROR_CONSTRAINT:
        case DB_ERROR_READ_ONLY:
        case DB_ERROR_TYPE:
        case DB_ERROR_LIMIT:
        case DB_ERROR_NOT_SUPPORTED:
        default:
          return FALSE;
        }
    }
  if (error->domain == G_IO_ERROR)
    {
      return error->code == G_IO_ERROR_TIMED_OUT || error->code == G_IO_ERROR_CONNECTION_REFUSED ||
             error->code == G_IO_ERROR_HOST_UNREACHABLE ||
             error->code == G_IO_ERROR_NETWORK_UNREACHABLE ||
             error->code == G_IO_ERROR_CONNECTION_CLOSED || error->code == G_IO_ERROR_BUSY ||
             error->code == G_IO_ERROR_WOULD_BLOCK;
    }
  return FALSE;
}

/**
 * db_error_get_sqlstate:
 * @error: an error
 *
 * Gets the SQLSTATE of an error that came from PostgreSQL.
 *
 * It is read from the end of the text, so it also works on an error that a language binding has
 * rebuilt. May be called from any thread and does not block.
 *
 * Returns: (nullable) (transfer none): five characters, or %NULL if @error has no SQLSTATE
 *
 * Since: 1.0
 */
const char *
db_error_get_sqlstate (const GError *error)
{
  static const char mark[] = " [SQLSTATE ";
  const gsize suffix = sizeof mark - 1 + 5 + 1;
  char code[6] = {0};
  gsize length;
  const char *start;

  g_return_val_if_fail (error != NULL, NULL);

  if (error->domain != DB_ERROR || error->message == NULL)
    return NULL;
  length = strlen (error->message);
  if (length < suffix)
    return NULL;
  start = error->message + length - suffix;
  if (strncmp (start, mark, sizeof mark - 1) != 0 || error->message[length - 1] != ']')
    return NULL;
  memcpy (code, start + sizeof mark - 1, 5);
  for (int i = 0; i < 5; i++)
    if (!g_ascii_isdigit (code[i]) && !g_ascii_isupper (code[i]))
      return NULL;
  return g_intern_string (code);
}

int
db_error_get_sqlite_code (const GError *error)
{
  static const char mark[] = " [SQLite ";
  const char *start;
  guint64 code;
  char *end;

  if (error->domain != DB_ERROR || error->message == NULL)
    return 0;
  start = g_strrstr (error->message, mark);
  if (start == NULL)
    return 0;
  code = g_ascii_strtoull (start + sizeof mark - 1, &end, 10);
  return strcmp (end, "]") == 0 && code <= G_MAXINT ? (int) code : 0;
}

/**
 * db_error_get_constraint_kind:
 * @error: an error
 *
 * Gets the kind of constraint that a statement violated, on whatever database.
 *
 * It is read from the code at the end of the text, so it also works on an error that a language
 * binding has rebuilt. May be called from any thread and does not block.
 *
 * Returns: a kind; `DB_CONSTRAINT_NONE` if @error is not about a constraint
 *
 * Since: 1.0
 */
DbConstraintKind
db_error_get_constraint_kind (const GError *error)
{
  const char *sqlstate;
  int rc;

  g_return_val_if_fail (error != NULL, DB_CONSTRAINT_NONE);

  sqlstate = db_error_get_sqlstate (error);
  if (sqlstate != NULL)
    return db_constraint_kind_from_sqlstate (sqlstate);
  rc = db_error_get_sqlite_code (error);
  return rc != 0 ? db_constraint_kind_from_sqlite (rc) : DB_CONSTRAINT_NONE;
}
