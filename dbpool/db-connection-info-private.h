/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* How the list of connections keeps its items up to date. */

#pragma once

#include "db-connection-info.h"
#include "db-pool-engine-private.h"

DbConnectionInfo *db_connection_info_new (DbEngine *engine, const DbSlotInfo *slot);

/* Takes over what has changed, and notifies of that. One thread at a time. */
void db_connection_info_update (DbConnectionInfo *self, const DbSlotInfo *slot);

/* The session is no longer there. */
void db_connection_info_set_gone (DbConnectionInfo *self);

/* "idle", "lent", … */
const char *db_connection_state_get_name (DbConnectionState state);
