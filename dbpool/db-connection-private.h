/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-connection.h"
#include "db-lease-private.h"

/* A handle on a loan; takes the reference on @lease. */
DbConnection *db_connection_new (DbLease *lease, guint64 loan);

DbLease *db_connection_get_lease (DbConnection *self);
guint64 db_connection_get_loan (DbConnection *self);

/* The open transactions of a connection, outermost first, by serial number. Used by whoever has the
 * session, but for abandon(), which may come from any thread.
 *
 * A guard that is dropped while open marks its transaction as abandoned, and does no I/O: the
 * ROLLBACK goes in front of the next statement, or the reset does it when the connection is
 * returned. */
guint db_connection_get_depth (DbConnection *self);
guint64 db_connection_push_transaction (DbConnection *self);
/* The depth at which @serial stands, or -1 if it has ended. */
int db_connection_find_transaction (DbConnection *self, guint64 serial);
void db_connection_pop_transactions (DbConnection *self, guint depth);
void db_connection_abandon_transaction (DbConnection *self, guint64 serial);
/* The SQL that ends what was abandoned, or NULL; it is no longer open afterwards. */
char *db_connection_take_abandoned (DbConnection *self);

/* "ROLLBACK", or what takes a savepoint back. */
char *db_connection_format_rollback (guint depth);
