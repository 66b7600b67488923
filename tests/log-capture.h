/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What dbpool writes to GLib's structured log, as a writer sees it. While it is captured nothing of
 * it is written, and no warning is fatal. From any thread, with a lock of its own. Messages of
 * g_return_if_fail() are none of these: g_test_expect_message() is for them. */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The fields of one entry, as text by name; "LEVEL" is the number of its GLogLevelFlags. */
typedef GHashTable LogEntry;

/* From now on entries are kept, those of before are forgotten. */
void log_begin (void);
void log_end (void);

/* (transfer full): the entries of @event (NULL: all) so far */
GPtrArray *log_dup (const char *event);
/* How many there are, ... */
guint log_count (const char *event);
/* ... and returns once there are @n; a watchdog ends it otherwise. */
void log_await (const char *event, guint n);
/* (transfer full): the fields of the only entry of @event. */
LogEntry *log_dup_only (const char *event);
const char *log_get (LogEntry *entry, const char *field);
/* (transfer full): every field of all entries whose level is in @levels, a line for each. */
char *log_dup_text (GLogLevelFlags levels);

/* All that is louder than debug has to come in the order in which it is expected. The first one
 * begins to capture, the assertion ends it. */
void log_expect (GLogLevelFlags level, const char *pattern);
void log_assert_expected (void);

/* The page on logging has a row for each of @events; and one of @events, and no more, is not named
 * after @backend ("sqlite"). */
void log_assert_documented (const char *backend, const char *const *events, gsize n_events);

/* Called for each entry, on its thread, with no lock of the capture held; NULL ends it. */
typedef void (*LogObserver) (GLogLevelFlags level,
                             const GLogField *fields,
                             gsize n_fields,
                             gpointer data);
void log_set_observer (LogObserver observer, gpointer data);

G_END_DECLS
