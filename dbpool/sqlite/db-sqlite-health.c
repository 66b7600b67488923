/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What there is to say of an SQLite database in a health report: pragmas that read the header, the
 * size of the write-ahead log, and, on request, whether the file is damaged. Blocks; the session is
 * the caller's; no lock. */

#include "config.h"

#include "db-sqlite-health-private.h"

#include "db-error-private.h"
#include "db-session-private.h"
#include "db-sqlite-run-private.h"
#include "db-statement-plan-private.h"

#include <glib/gstdio.h>

/* How much of the damage is told. */
#define MAX_DAMAGES 5
#define QUICK_CHECK_SQL "PRAGMA quick_check(" G_STRINGIFY (MAX_DAMAGES) ")"

static const char *const pragmas[][2] = {
  {"journal-mode", "PRAGMA journal_mode"},
  {"page-size", "PRAGMA page_size"},
  {"pages", "PRAGMA page_count"},
  {"free-pages", "PRAGMA freelist_count"},
};

static gboolean
add_pragmas (DbSqliteSession *self, GVariantDict *facts, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (pragmas); i++)
    {
      g_autofree char *value = NULL;

      if (!db_sqlite_session_exec (self, pragmas[i][1], &value, error))
        return FALSE;
      if (i == 0)
        g_variant_dict_insert (facts, pragmas[i][0], "s", value != NULL ? value : "");
      else if (value != NULL)
        g_variant_dict_insert (facts, pragmas[i][0], "x", g_ascii_strtoll (value, NULL, 10));
    }
  return TRUE;
}

/* A database in memory has no file, and one without WAL no log. */
static void
add_wal_size (sqlite3 *db, GVariantDict *facts)
{
  const char *file = sqlite3_db_filename (db, "main");
  g_autofree char *wal = NULL;
  GStatBuf info;

  if (file == NULL || file[0] == '\0')
    return;
  wal = g_strconcat (file, "-wal", NULL);
  if (g_stat (wal, &info) == 0)
    g_variant_dict_insert (facts, "wal-bytes", "x", (gint64) info.st_size);
}

static gboolean
add_facts (DbSqliteSession *self, GVariantDict *facts, GCancellable *cancellable, GError **error)
{
  gboolean ok;

  g_variant_dict_insert (facts, "version", "s", sqlite3_libversion ());
  if (!db_sqlite_session_enter (self, cancellable, 0, error))
    return FALSE;
  ok = add_pragmas (self, facts, error);
  g_variant_dict_insert (facts, "read-only", "b", sqlite3_db_readonly (self->db, "main") == 1);
  add_wal_size (self->db, facts);
  db_sqlite_session_leave (self);
  return ok;
}

static void
add_reason (GVariantDict *facts, const char *status, const char *code, const char *text)
{
  GVariantBuilder reasons;
  g_autofree char *valid = g_utf8_make_valid (text, -1);

  g_variant_builder_init (&reasons, G_VARIANT_TYPE ("a{ss}"));
  g_variant_builder_add (&reasons, "{ss}", code, valid);
  g_variant_dict_insert_value (facts, status, g_variant_builder_end (&reasons));
}

/* The check of one large table is a single step for SQLite, in which it looks at nothing but this.
 */
static void
interrupt_cb (GCancellable *cancellable, gpointer db)
{
  sqlite3_interrupt (db);
}

static DbResult *
run_quick_check (DbSqliteSession *self, GCancellable *cancellable, GError **error)
{
  const DbStatementPlan plan = {.sql = QUICK_CHECK_SQL, .flags = DB_STATEMENT_UNCACHED};
  gulong handler = 0;
  DbResult *result;

  if (cancellable != NULL)
    handler = g_cancellable_connect (cancellable, G_CALLBACK (interrupt_cb), self->db, NULL);
  result = db_session_run (DB_SESSION (self), &plan, cancellable, error);
  /* This waits for a handler that runs: the handle may be closed next. */
  g_cancellable_disconnect (cancellable, handler);
  return result;
}

static char *
join_damages (DbResult *result)
{
  GString *text = g_string_new ("the database is damaged: ");

  for (guint i = 0; i < MIN (db_result_get_n_rows (result), MAX_DAMAGES); i++)
    g_string_append_printf (text, "%s%s", i > 0 ? "; " : "", db_result_get_text (result, i, 0));
  g_strdelimit (text->str, "\n", ' ');
  return g_string_free (text, FALSE);
}

/* What cannot even be read is damaged as well; a lock or a lack of memory proves nothing. */
static gboolean
is_damage (const GError *error)
{
  int code = db_error_get_sqlite_code (error) & 0xff;

  return code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_IOERR;
}

static gboolean
add_quick_check (DbSqliteSession *self,
                 GVariantDict *facts,
                 GCancellable *cancellable,
                 GError **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autoptr (DbResult) result = run_quick_check (self, cancellable, &local_error);
  g_autofree char *text = NULL;

  if (result == NULL && g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (result == NULL && !is_damage (local_error))
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }
  if (result == NULL)
    text = g_strconcat ("the database cannot be read through: ", local_error->message, NULL);
  else if (db_result_get_n_rows (result) != 1 ||
           g_strcmp0 (db_result_get_text (result, 0, 0), "ok") != 0)
    text = join_damages (result);
  g_variant_dict_insert (facts, "quick-check", "b", text == NULL);
  if (text != NULL)
    add_reason (facts, "unhealthy", "damaged", text);
  return TRUE;
}

GVariant *
db_sqlite_get_facts (DbSqliteSession *self,
                     gboolean read_only,
                     DbHealthFlags flags,
                     GCancellable *cancellable,
                     GError **error)
{
  GVariantDict facts;

  g_variant_dict_init (&facts, NULL);
  if (!add_facts (self, &facts, cancellable, error) ||
      ((flags & DB_HEALTH_QUICK_CHECK) && !add_quick_check (self, &facts, cancellable, error)))
    {
      g_variant_dict_clear (&facts);
      return NULL;
    }
  if (!read_only && sqlite3_db_readonly (self->db, "main") == 1)
    add_reason (&facts, "degraded", "read-only",
                "the database file cannot be written to; check its permissions");
  return g_variant_dict_end (&facts);
}
