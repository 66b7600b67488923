/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Objects that serve twice.
 *
 * Making and freeing a GObject costs more than a loan, or the reading of a small result. So where
 * the one reference to an object is given back, or only its maker has one left, it may serve again
 * as if it were new. That is safe only if nobody can tell: no other reference, and nothing attached
 * to it. It is never done by bringing an object back in its dispose, which other threads may see.
 */

#pragma once

#include <glib-object.h>

/* Sanitizers are to see that an object is used after it was dropped, and cannot see the counter of
 * GLib, which is not built with them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DB_REUSES_OBJECTS FALSE
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DB_REUSES_OBJECTS FALSE
#endif
#endif
#ifndef DB_REUSES_OBJECTS
#define DB_REUSES_OBJECTS TRUE
#endif

/* Whether the caller's reference to @object is the only one, and nothing is attached to it.
 * GObject's fields are private by name only: the counter, and the data where weak references,
 * toggle references, closures and bindings' wrappers leave their traces. */
static inline gboolean
db_is_nobody_elses (gpointer object)
{
  GObject *self = object;

  return DB_REUSES_OBJECTS && g_atomic_int_get ((gint *) &self->ref_count) == 1 &&
         g_atomic_pointer_get (&self->qdata) == NULL;
}
