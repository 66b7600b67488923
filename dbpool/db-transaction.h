/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_TRANSACTION (db_transaction_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbTransaction, db_transaction, DB, TRANSACTION, GObject)

DB_AVAILABLE_IN_1_0
DbConnection *db_transaction_get_connection (DbTransaction *self);
DB_AVAILABLE_IN_1_0
gboolean db_transaction_is_open (DbTransaction *self);

DB_AVAILABLE_IN_1_0
gboolean db_transaction_commit (DbTransaction *self, GCancellable *cancellable, GError **error);
DB_AVAILABLE_IN_1_0
void db_transaction_commit_async (DbTransaction *self,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data);
DB_AVAILABLE_IN_1_0
gboolean db_transaction_commit_finish (DbTransaction *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
gboolean db_transaction_rollback (DbTransaction *self, GCancellable *cancellable, GError **error);
DB_AVAILABLE_IN_1_0
void db_transaction_rollback_async (DbTransaction *self,
                                    GCancellable *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data);
DB_AVAILABLE_IN_1_0
gboolean db_transaction_rollback_finish (DbTransaction *self, GAsyncResult *result, GError **error);

G_END_DECLS
