/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* See the header. GLib takes a writer once for each process; so it stays, and passes on what is not
 * captured. */

#include "config.h"

#include "log-capture.h"

#include "db-lock-private.h"

#include <string.h>

#define WATCHDOG (20 * G_TIME_SPAN_SECOND)

static DbLock the_lock;
static DbCond the_cond;
static GPtrArray *entries;   /* the_lock; NULL: nothing is captured */
static GPtrArray *expected;  /* the_lock; of the patterns, each with its level before it */
static LogObserver observer; /* the_lock */
static gpointer observer_data;

static const char *
find (const GLogField *fields, gsize n, const char *name)
{
  for (gsize i = 0; i < n; i++)
    if (strcmp (fields[i].key, name) == 0)
      return fields[i].value;
  return NULL;
}

static LogEntry *
entry_new (GLogLevelFlags level, const GLogField *fields, gsize n)
{
  LogEntry *entry = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);

  g_hash_table_insert (entry, g_strdup ("LEVEL"), g_strdup_printf ("%d", (int) level));
  for (gsize i = 0; i < n; i++)
    {
      char *value = fields[i].length < 0 ? g_strdup (fields[i].value)
                                         : g_strndup (fields[i].value, fields[i].length);

      g_assert_true (g_utf8_validate (value, -1, NULL));
      g_assert_false (g_hash_table_contains (entry, fields[i].key));
      g_hash_table_insert (entry, g_strdup (fields[i].key), value);
    }
  return entry;
}

static GLogWriterOutput
writer (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  gboolean is_ours = g_strcmp0 (find (fields, n, "GLIB_DOMAIN"), "dbpool") == 0 &&
                     find (fields, n, "GLIB_OLD_LOG_API") == NULL;
  LogObserver func = NULL;
  gpointer func_data = NULL;
  gboolean kept = FALSE;

  if (is_ours)
    {
      db_lock_lock (&the_lock);
      kept = entries != NULL;
      if (kept)
        g_ptr_array_add (entries, entry_new (level, fields, n));
      func = observer;
      func_data = observer_data;
      db_cond_broadcast (&the_cond);
      db_lock_unlock (&the_lock);
    }
  if (func != NULL)
    func (level, fields, n, func_data);
  return kept ? G_LOG_WRITER_HANDLED : g_log_writer_default (level, fields, n, data);
}

void
log_begin (void)
{
  static gsize once;

  if (g_once_init_enter (&once))
    {
      db_cond_init (&the_cond);
      g_log_set_writer_func (writer, NULL, NULL);
      g_once_init_leave (&once, 1);
    }
  DB_LOCK_SCOPE (&the_lock);

  g_clear_pointer (&entries, g_ptr_array_unref);
  entries = g_ptr_array_new_with_free_func ((GDestroyNotify) g_hash_table_unref);
}

void
log_end (void)
{
  DB_LOCK_SCOPE (&the_lock);

  g_clear_pointer (&entries, g_ptr_array_unref);
}

void
log_set_observer (LogObserver func, gpointer data)
{
  DB_LOCK_SCOPE (&the_lock);

  observer = func;
  observer_data = data;
}

static gboolean
is_of (LogEntry *entry, const char *event)
{
  return event == NULL || g_strcmp0 (log_get (entry, "DBPOOL_EVENT"), event) == 0;
}

GPtrArray *
log_dup (const char *event)
{
  GPtrArray *found = g_ptr_array_new_with_free_func ((GDestroyNotify) g_hash_table_unref);
  DB_LOCK_SCOPE (&the_lock);

  g_assert_nonnull (entries);
  for (guint i = 0; i < entries->len; i++)
    if (is_of (g_ptr_array_index (entries, i), event))
      g_ptr_array_add (found, g_hash_table_ref (g_ptr_array_index (entries, i)));
  return found;
}

guint
log_count (const char *event)
{
  g_autoptr (GPtrArray) found = log_dup (event);

  return found->len;
}

void
log_await (const char *event, guint n)
{
  gint64 deadline = g_get_monotonic_time () + WATCHDOG;

  while (log_count (event) < n)
    {
      g_autofree char *text = NULL;
      gboolean in_time;

      db_lock_lock (&the_lock);
      /* One may come between the look and the lock, so not for long. */
      db_cond_wait_until (&the_cond, &the_lock,
                          g_get_monotonic_time () + 10 * G_TIME_SPAN_MILLISECOND);
      in_time = g_get_monotonic_time () < deadline;
      db_lock_unlock (&the_lock);
      if (in_time)
        continue;
      text = log_dup_text (G_LOG_LEVEL_MASK);
      g_error ("%s does not come; there is only:\n%s", event, text);
    }
}

LogEntry *
log_dup_only (const char *event)
{
  g_autoptr (GPtrArray) found = log_dup (event);

  if (found->len != 1)
    {
      g_autofree char *text = log_dup_text (G_LOG_LEVEL_MASK);

      g_error ("%u times %s in:\n%s", found->len, event, text);
    }
  return g_hash_table_ref (g_ptr_array_index (found, 0));
}

const char *
log_get (LogEntry *entry, const char *field)
{
  return g_hash_table_lookup (entry, field);
}

static GLogLevelFlags
get_level (LogEntry *entry)
{
  return (GLogLevelFlags) g_ascii_strtoll (log_get (entry, "LEVEL"), NULL, 10);
}

char *
log_dup_text (GLogLevelFlags levels)
{
  g_autoptr (GPtrArray) all = log_dup (NULL);
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < all->len; i++)
    {
      GHashTableIter iter;
      gpointer key, value;

      if (!(get_level (g_ptr_array_index (all, i)) & levels))
        continue;
      g_hash_table_iter_init (&iter, g_ptr_array_index (all, i));
      while (g_hash_table_iter_next (&iter, &key, &value))
        g_string_append_printf (text, "%s=%s ", (char *) key, (char *) value);
      g_string_append_c (text, '\n');
    }
  return g_string_free (text, FALSE);
}

void
log_expect (GLogLevelFlags level, const char *pattern)
{
  gboolean is_first;

  db_lock_lock (&the_lock);
  is_first = expected == NULL;
  if (is_first)
    expected = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (expected, g_strdup_printf ("%d", (int) level));
  g_ptr_array_add (expected, g_strdup (pattern));
  db_lock_unlock (&the_lock);
  if (is_first)
    log_begin ();
}

void
log_assert_expected (void)
{
  g_autoptr (GPtrArray) all = log_dup (NULL);
  g_autoptr (GPtrArray) patterns = NULL;
  guint n = 0;

  db_lock_lock (&the_lock);
  patterns = g_steal_pointer (&expected);
  db_lock_unlock (&the_lock);
  for (guint i = 0; i < all->len; i++)
    {
      LogEntry *entry = g_ptr_array_index (all, i);

      if (get_level (entry) & (G_LOG_LEVEL_DEBUG | G_LOG_LEVEL_INFO))
        continue;
      if (n + 2 > patterns->len)
        g_error ("not expected: %s", log_get (entry, "MESSAGE"));
      g_assert_cmpstr (log_get (entry, "LEVEL"), ==, g_ptr_array_index (patterns, n));
      if (!g_pattern_match_simple (g_ptr_array_index (patterns, n + 1), log_get (entry, "MESSAGE")))
        g_error ("expected: %s; but there is: %s", (char *) g_ptr_array_index (patterns, n + 1),
                 log_get (entry, "MESSAGE"));
      n += 2;
    }
  if (n < patterns->len)
    g_error ("expected: %s; but there is nothing", (char *) g_ptr_array_index (patterns, n));
  log_end ();
}

void
log_assert_documented (const char *backend, const char *const *events, gsize n_events)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "docs", "logging.md", NULL);
  g_autofree char *start = g_strdup_printf ("\n| `%s-", backend);
  g_autofree char *page = NULL;
  gsize n = 0;

  g_assert_true (g_file_get_contents (path, &page, NULL, NULL));
  for (gsize i = 0; i < n_events; i++)
    {
      g_autofree char *row = g_strdup_printf ("\n| `%s` |", events[i]);

      g_assert_nonnull (strstr (page, row));
    }
  for (const char *at = page; (at = strstr (at, start)) != NULL; at++)
    n++;
  g_assert_cmpuint (n + 1, ==, n_events);
}
