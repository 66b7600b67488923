/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-result.h"
#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_CURSOR (db_cursor_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbCursor, db_cursor, DB, CURSOR, GObject)

DB_AVAILABLE_IN_1_0
DbConnection *db_cursor_get_connection (DbCursor *self);
DB_AVAILABLE_IN_1_0
guint db_cursor_get_batch_size (DbCursor *self);
DB_AVAILABLE_IN_1_0
gboolean db_cursor_is_done (DbCursor *self);

DB_AVAILABLE_IN_1_0
DbResult *db_cursor_fetch (DbCursor *self, GCancellable *cancellable, GError **error);
DB_AVAILABLE_IN_1_0
void db_cursor_fetch_async (DbCursor *self,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
DB_AVAILABLE_IN_1_0
DbResult *db_cursor_fetch_finish (DbCursor *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
gboolean db_cursor_close (DbCursor *self, GCancellable *cancellable, GError **error);
DB_AVAILABLE_IN_1_0
void db_cursor_close_async (DbCursor *self,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
DB_AVAILABLE_IN_1_0
gboolean db_cursor_close_finish (DbCursor *self, GAsyncResult *result, GError **error);

G_END_DECLS
