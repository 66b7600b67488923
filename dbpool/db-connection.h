/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-batch.h"
#include "db-cursor.h"
#include "db-description.h"
#include "db-error-info.h"
#include "db-params.h"
#include "db-result.h"
#include "db-session.h"
#include "db-transaction.h"
#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_CONNECTION (db_connection_get_type ())
DB_AVAILABLE_IN_1_0
GType db_connection_get_type (void);

/* What G_DECLARE_FINAL_TYPE() declares, but that g_autoptr() ends with db_connection_drop(). */
typedef struct _DbConnection DbConnection;
typedef struct
{
  GObjectClass parent_class;
} DbConnectionClass;

G_GNUC_UNUSED static inline DbConnection *
DB_CONNECTION (gpointer ptr)
{
  return G_TYPE_CHECK_INSTANCE_CAST (ptr, db_connection_get_type (), DbConnection);
}

G_GNUC_UNUSED static inline gboolean
DB_IS_CONNECTION (gpointer ptr)
{
  return G_TYPE_CHECK_INSTANCE_TYPE (ptr, db_connection_get_type ());
}

DB_AVAILABLE_IN_1_0
void db_connection_drop (DbConnection *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbConnection, db_connection_drop)

DB_AVAILABLE_IN_1_0
void db_connection_release (DbConnection *self);
DB_AVAILABLE_IN_1_0
gboolean db_connection_is_released (DbConnection *self);
DB_AVAILABLE_IN_1_0
guint64 db_connection_get_id (DbConnection *self);
DB_AVAILABLE_IN_1_0
void db_connection_evict (DbConnection *self);
DB_AVAILABLE_IN_1_0
gboolean db_connection_detach (DbConnection *self, GError **error);
DB_AVAILABLE_IN_1_0
DbSession *db_connection_get_session (DbConnection *self);

DB_AVAILABLE_IN_1_0
DbResult *db_connection_query (DbConnection *self,
                               const char *sql,
                               GVariant *params,
                               GCancellable *cancellable,
                               GError **error);
DB_AVAILABLE_IN_1_0
void db_connection_query_async (DbConnection *self,
                                const char *sql,
                                GVariant *params,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data);
DB_AVAILABLE_IN_1_0
DbResult *db_connection_query_finish (DbConnection *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
gint64 db_connection_execute (DbConnection *self,
                              const char *sql,
                              GVariant *params,
                              GCancellable *cancellable,
                              GError **error);
DB_AVAILABLE_IN_1_0
void db_connection_execute_async (DbConnection *self,
                                  const char *sql,
                                  GVariant *params,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data);
DB_AVAILABLE_IN_1_0
gint64 db_connection_execute_finish (DbConnection *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
DbResult *db_connection_query_params (DbConnection *self,
                                      const char *sql,
                                      DbParams *params,
                                      GCancellable *cancellable,
                                      GError **error);
DB_AVAILABLE_IN_1_0
void db_connection_query_params_async (DbConnection *self,
                                       const char *sql,
                                       DbParams *params,
                                       GCancellable *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data);
DB_AVAILABLE_IN_1_0
DbResult *
db_connection_query_params_finish (DbConnection *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
gint64 db_connection_execute_params (DbConnection *self,
                                     const char *sql,
                                     DbParams *params,
                                     GCancellable *cancellable,
                                     GError **error);
DB_AVAILABLE_IN_1_0
void db_connection_execute_params_async (DbConnection *self,
                                         const char *sql,
                                         DbParams *params,
                                         GCancellable *cancellable,
                                         GAsyncReadyCallback callback,
                                         gpointer user_data);
DB_AVAILABLE_IN_1_0
gint64
db_connection_execute_params_finish (DbConnection *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
gboolean db_connection_execute_script (DbConnection *self,
                                       const char *sql,
                                       GCancellable *cancellable,
                                       GError **error);
DB_AVAILABLE_IN_1_0
void db_connection_execute_script_async (DbConnection *self,
                                         const char *sql,
                                         GCancellable *cancellable,
                                         GAsyncReadyCallback callback,
                                         gpointer user_data);
DB_AVAILABLE_IN_1_0
gboolean
db_connection_execute_script_finish (DbConnection *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
gint64 db_connection_execute_many (DbConnection *self,
                                   const char *sql,
                                   DbParams *rows,
                                   GCancellable *cancellable,
                                   GError **error);
DB_AVAILABLE_IN_1_0
void db_connection_execute_many_async (DbConnection *self,
                                       const char *sql,
                                       DbParams *rows,
                                       GCancellable *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data);
DB_AVAILABLE_IN_1_0
gint64 db_connection_execute_many_finish (DbConnection *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
DbBatchResult *db_connection_run_batch (DbConnection *self,
                                        DbBatch *batch,
                                        DbBatchFlags flags,
                                        GCancellable *cancellable,
                                        GError **error);
DB_AVAILABLE_IN_1_0
void db_connection_run_batch_async (DbConnection *self,
                                    DbBatch *batch,
                                    DbBatchFlags flags,
                                    GCancellable *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data);
DB_AVAILABLE_IN_1_0
DbBatchResult *
db_connection_run_batch_finish (DbConnection *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
DbDescription *db_connection_describe (DbConnection *self,
                                       const char *sql,
                                       GCancellable *cancellable,
                                       GError **error);
DB_AVAILABLE_IN_1_0
void db_connection_describe_async (DbConnection *self,
                                   const char *sql,
                                   GCancellable *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data);
DB_AVAILABLE_IN_1_0
DbDescription *
db_connection_describe_finish (DbConnection *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
DbCursor *db_connection_open_cursor (DbConnection *self,
                                     const char *sql,
                                     GVariant *params,
                                     guint batch_size,
                                     GCancellable *cancellable,
                                     GError **error);
DB_AVAILABLE_IN_1_0
void db_connection_open_cursor_async (DbConnection *self,
                                      const char *sql,
                                      GVariant *params,
                                      guint batch_size,
                                      GCancellable *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer user_data);
DB_AVAILABLE_IN_1_0
DbCursor *
db_connection_open_cursor_finish (DbConnection *self, GAsyncResult *result, GError **error);
DB_AVAILABLE_IN_1_0
DbCursor *db_connection_open_cursor_params (DbConnection *self,
                                            const char *sql,
                                            DbParams *params,
                                            guint batch_size,
                                            GCancellable *cancellable,
                                            GError **error);
DB_AVAILABLE_IN_1_0
void db_connection_open_cursor_params_async (DbConnection *self,
                                             const char *sql,
                                             DbParams *params,
                                             guint batch_size,
                                             GCancellable *cancellable,
                                             GAsyncReadyCallback callback,
                                             gpointer user_data);
DB_AVAILABLE_IN_1_0
DbCursor *
db_connection_open_cursor_params_finish (DbConnection *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
char *db_connection_quote_identifier (DbConnection *self, const char *text);
DB_AVAILABLE_IN_1_0
char *db_connection_quote_literal (DbConnection *self, const char *text);
DB_AVAILABLE_IN_1_0
DbErrorInfo *db_connection_get_last_error_info (DbConnection *self);

DB_AVAILABLE_IN_1_0
DbTransaction *db_connection_begin (DbConnection *self,
                                    DbIsolation isolation,
                                    DbTransactionFlags flags,
                                    GCancellable *cancellable,
                                    GError **error);
DB_AVAILABLE_IN_1_0
void db_connection_begin_async (DbConnection *self,
                                DbIsolation isolation,
                                DbTransactionFlags flags,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data);
DB_AVAILABLE_IN_1_0
DbTransaction *
db_connection_begin_finish (DbConnection *self, GAsyncResult *result, GError **error);

G_END_DECLS
