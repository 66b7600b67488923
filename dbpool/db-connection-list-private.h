/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The sessions of a pool as a list model of DbConnectionInfo, in the order in which they were
 * opened.
 *
 * A pool has one list for all who want one, while anybody holds it: that costs nothing when nobody
 * looks. While there is a list the core is observed, and says in its effects when something has
 * changed; then the pool's home calls db_connection_list_update() in its context. */

#pragma once

#include <gio/gio.h>

#include "db-pool-engine-private.h"

#define DB_TYPE_CONNECTION_LIST (db_connection_list_get_type ())
G_DECLARE_FINAL_TYPE (DbConnectionList, db_connection_list, DB, CONNECTION_LIST, GObject)

/* (transfer full): the list to which @place points, or a new one, to which it points from then on.
 * Any thread, with no lock held. */
GListModel *db_connection_list_get (GWeakRef *place, DbEngine *engine);

/* Makes the list and its items what @engine, whose list it is, shows now. Emits what has changed:
 * only in the context of the pool's home, one call at a time. */
void db_connection_list_update (DbConnectionList *self, DbEngine *engine);
