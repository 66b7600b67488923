/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Brings decided tickets to the main contexts of their callers.
 *
 * One source for each context, whatever the number of tickets: a source for each waiter would make
 * every iteration of the caller's loop as slow as there are waiters. A source that is dispatched
 * takes what is ready at that moment; what its callbacks add waits for the next iteration, so that
 * chained acquires neither nest nor starve other sources. */

#pragma once

#include <glib.h>

typedef struct _DbDispatcher DbDispatcher;
typedef struct _DbDispatcherSet DbDispatcherSet;

/* @func gets each item, in its context and with no lock held. */
DbDispatcherSet *db_dispatcher_set_new (GFunc func, gpointer user_data);
void db_dispatcher_set_free (DbDispatcherSet *self); /* nothing is held or ready */

/* The dispatcher of @context, held until db_dispatcher_drop(). The last drop ends its source, but
 * for that of the default main context, which stays. */
DbDispatcher *db_dispatcher_hold (DbDispatcherSet *self, GMainContext *context);
void db_dispatcher_drop (DbDispatcherSet *self, DbDispatcher *dispatcher);

/* Hands @link->data over, from any thread. @link belongs to the item. */
void db_dispatcher_push (DbDispatcher *self, GList *link);
