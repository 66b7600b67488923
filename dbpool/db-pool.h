/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-connection-info.h"
#include "db-connection-manager.h"
#include "db-connection.h"
#include "db-metrics-collector.h"
#include "db-pool-config.h"
#include "db-pool-stats.h"
#include "db-types.h"

G_BEGIN_DECLS

#define DB_TYPE_POOL (db_pool_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbPool, db_pool, DB, POOL, GObject)

DB_AVAILABLE_IN_1_0
DbPool *db_pool_new (DbConnectionManager *manager, DbPoolConfig *config, GError **error);

DB_AVAILABLE_IN_1_0
DbConnectionManager *db_pool_get_manager (DbPool *self);
DB_AVAILABLE_IN_1_0
DbPoolConfig *db_pool_get_config (DbPool *self);
DB_AVAILABLE_IN_1_0
const char *db_pool_get_name (DbPool *self);
DB_AVAILABLE_IN_1_0
gboolean db_pool_is_closed (DbPool *self);
DB_AVAILABLE_IN_1_0
DbPoolStats *db_pool_get_stats (DbPool *self);
DB_AVAILABLE_IN_1_0
DbMetricsCollector *db_pool_get_metrics (DbPool *self);
DB_AVAILABLE_IN_1_0
GListModel *db_pool_get_connections (DbPool *self);
DB_AVAILABLE_IN_1_0
GError *db_pool_dup_open_error (DbPool *self);
DB_AVAILABLE_IN_1_0
char *db_pool_dump (DbPool *self);

DB_AVAILABLE_IN_1_0
DbConnection *db_pool_acquire (DbPool *self, GCancellable *cancellable, GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_acquire_async (DbPool *self,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
DB_AVAILABLE_IN_1_0
DbConnection *db_pool_acquire_finish (DbPool *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
DbConnection *db_pool_acquire_full (DbPool *self,
                                    DbAcquireFlags flags,
                                    gint64 timeout,
                                    const char *tag,
                                    GCancellable *cancellable,
                                    GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_acquire_full_async (DbPool *self,
                                 DbAcquireFlags flags,
                                 gint64 timeout,
                                 const char *tag,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
DB_AVAILABLE_IN_1_0
DbConnection *db_pool_acquire_full_finish (DbPool *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
DbConnection *db_pool_try_acquire (DbPool *self, GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_give_back (DbPool *self, DbConnection *connection);

/* What C programs call when they acquire without a tag: the place in the source becomes the tag,
 * which costs nothing. It must be static. */
DB_AVAILABLE_IN_1_0
DbConnection *
db_pool_acquire_at (DbPool *self, const char *place, GCancellable *cancellable, GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_acquire_at_async (DbPool *self,
                               const char *place,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data);
DB_AVAILABLE_IN_1_0
DbConnection *db_pool_try_acquire_at (DbPool *self, const char *place, GError **error);

#ifndef __GI_SCANNER__
#define db_pool_acquire(self, cancellable, error)                                                  \
  db_pool_acquire_at ((self), G_STRLOC, (cancellable), (error))
#define db_pool_acquire_async(self, cancellable, callback, user_data)                              \
  db_pool_acquire_at_async ((self), G_STRLOC, (cancellable), (callback), (user_data))
#define db_pool_try_acquire(self, error) db_pool_try_acquire_at ((self), G_STRLOC, (error))
#endif

DB_AVAILABLE_IN_1_0
DbResult *db_pool_query (DbPool *self,
                         const char *sql,
                         GVariant *params,
                         GCancellable *cancellable,
                         GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_query_async (DbPool *self,
                          const char *sql,
                          GVariant *params,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data);
DB_AVAILABLE_IN_1_0
DbResult *db_pool_query_finish (DbPool *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
gint64 db_pool_execute (DbPool *self,
                        const char *sql,
                        GVariant *params,
                        GCancellable *cancellable,
                        GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_execute_async (DbPool *self,
                            const char *sql,
                            GVariant *params,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
DB_AVAILABLE_IN_1_0
gint64 db_pool_execute_finish (DbPool *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
DbResult *db_pool_query_params (DbPool *self,
                                const char *sql,
                                DbParams *params,
                                GCancellable *cancellable,
                                GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_query_params_async (DbPool *self,
                                 const char *sql,
                                 DbParams *params,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
DB_AVAILABLE_IN_1_0
DbResult *db_pool_query_params_finish (DbPool *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
gint64 db_pool_execute_params (DbPool *self,
                               const char *sql,
                               DbParams *params,
                               GCancellable *cancellable,
                               GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_execute_params_async (DbPool *self,
                                   const char *sql,
                                   DbParams *params,
                                   GCancellable *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data);
DB_AVAILABLE_IN_1_0
gint64 db_pool_execute_params_finish (DbPool *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
gint64 db_pool_execute_many (DbPool *self,
                             const char *sql,
                             DbParams *rows,
                             GCancellable *cancellable,
                             GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_execute_many_async (DbPool *self,
                                 const char *sql,
                                 DbParams *rows,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
DB_AVAILABLE_IN_1_0
gint64 db_pool_execute_many_finish (DbPool *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
DbBatchResult *db_pool_run_batch (DbPool *self,
                                  DbBatch *batch,
                                  DbBatchFlags flags,
                                  GCancellable *cancellable,
                                  GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_run_batch_async (DbPool *self,
                              DbBatch *batch,
                              DbBatchFlags flags,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data);
DB_AVAILABLE_IN_1_0
DbBatchResult *db_pool_run_batch_finish (DbPool *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
gboolean db_pool_transact (DbPool *self,
                           DbIsolation isolation,
                           DbTransactionFlags flags,
                           DbTransactFunc func,
                           gpointer user_data,
                           GCancellable *cancellable,
                           GError **error);
DB_AVAILABLE_IN_1_0
DbTransaction *db_pool_begin (DbPool *self,
                              DbIsolation isolation,
                              DbTransactionFlags flags,
                              GCancellable *cancellable,
                              GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_begin_async (DbPool *self,
                          DbIsolation isolation,
                          DbTransactionFlags flags,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data);
DB_AVAILABLE_IN_1_0
DbTransaction *db_pool_begin_finish (DbPool *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
void db_pool_set_hook (DbPool *self,
                       DbHook hook,
                       DbHookFunc func,
                       gpointer user_data,
                       GDestroyNotify destroy);

DB_AVAILABLE_IN_1_0
guint db_pool_warm_up (DbPool *self, guint n, GCancellable *cancellable, GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_warm_up_async (DbPool *self,
                            guint n,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
DB_AVAILABLE_IN_1_0
guint db_pool_warm_up_finish (DbPool *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
void db_pool_resize (DbPool *self, guint min, guint max);
DB_AVAILABLE_IN_1_0
void db_pool_evict_idle (DbPool *self);
DB_AVAILABLE_IN_1_0
void db_pool_evict_all (DbPool *self);
DB_AVAILABLE_IN_1_0
void db_pool_suspend (DbPool *self);
DB_AVAILABLE_IN_1_0
void db_pool_resume (DbPool *self);
DB_AVAILABLE_IN_1_0
gboolean db_pool_is_suspended (DbPool *self);

DB_AVAILABLE_IN_1_0
gboolean db_pool_reconfigure (DbPool *self,
                              DbConnectionManager *manager,
                              GCancellable *cancellable,
                              GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_reconfigure_async (DbPool *self,
                                DbConnectionManager *manager,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data);
DB_AVAILABLE_IN_1_0
gboolean db_pool_reconfigure_finish (DbPool *self, GAsyncResult *result, GError **error);

DB_AVAILABLE_IN_1_0
gboolean db_pool_close (DbPool *self, gint64 timeout, GCancellable *cancellable, GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_close_async (DbPool *self,
                          gint64 timeout,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data);
DB_AVAILABLE_IN_1_0
gboolean db_pool_close_finish (DbPool *self, GAsyncResult *result, GError **error);

G_END_DECLS
