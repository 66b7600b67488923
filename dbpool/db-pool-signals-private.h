/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What a pool has in its home, the main context that was thread-default where the pool was made: a
 * source that brings the core's events there as signals, and that keeps the list of connections up
 * to date while somebody looks at it.
 *
 * The home is counted separately from the pool, because threads of dbpool's may have something to
 * tell it while the pool ends. It has no source until there is something to tell, and none after
 * the pool. */

#pragma once

#include "db-pool-core-private.h"
#include "db-types.h"

typedef struct _DbPoolHome DbPoolHome;

/* Makes the signals; part of the initialization of the pool's class. */
void db_pool_signals_install (GObjectClass *klass);

/* Takes the main context that is thread-default now. */
DbPoolHome *db_pool_home_new (DbPool *pool);
DbPoolHome *db_pool_home_ref (DbPoolHome *self);
void db_pool_home_unref (DbPoolHome *self);

/* The pool ends: what was to be told is lost. Any thread. */
void db_pool_home_forget_pool (DbPoolHome *self);

/* Makes the source ready: at once if the core has @events, for the @list at most each 10 ms. Any
 * thread, with no lock held. */
void db_pool_home_wake (DbPoolHome *self, gboolean events, gboolean list);

/* Whether a handler is connected for events of @type: the DbListenFunc of a pool's core, which asks
 * at the moment when something happens. So a handler sees all that begins after it was connected,
 * whatever thread connected it. GLib answers under a lock of its own, and calls nobody back. */
gboolean db_pool_listens (DbEventType type, gpointer pool);
