/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-database-config.h"
#include "db-pool.h"
#include "db-types.h"

G_BEGIN_DECLS

/**
 * DbManagerFunc:
 * @uri: the URI of a database, without the settings of the pool
 * @user_data: what was registered with the function
 * @error: return location for an error
 *
 * Makes the manager for a URI, without opening anything.
 *
 * Called on the thread that asks the factory for a pool or a manager, also for an asynchronous
 * call, and so it should not block. An error should not contain a password that is in @uri.
 *
 * Returns: (transfer full): a manager, or %NULL with @error
 *
 * Since: 1.0
 */
typedef DbConnectionManager *(*DbManagerFunc) (const char *uri, gpointer user_data, GError **error);

#define DB_TYPE_POOL_FACTORY (db_pool_factory_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbPoolFactory, db_pool_factory, DB, POOL_FACTORY, GObject)

DB_AVAILABLE_IN_1_0
DbPoolFactory *db_pool_factory_new (void);
DB_AVAILABLE_IN_1_0
gboolean db_pool_factory_register (DbPoolFactory *self,
                                   const char *scheme,
                                   DbManagerFunc func,
                                   gpointer user_data,
                                   GDestroyNotify destroy,
                                   GError **error);
DB_AVAILABLE_IN_1_0
DbConnectionManager *db_pool_factory_create_manager (DbPoolFactory *self,
                                                     const char *uri,
                                                     DbPoolConfig *config,
                                                     GError **error);

DB_AVAILABLE_IN_1_0
DbPool *db_pool_factory_create_postgres_pool (DbPoolFactory *self,
                                              DbDatabaseConfig *database,
                                              DbPoolConfig *config,
                                              GCancellable *cancellable,
                                              GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_factory_create_postgres_pool_async (DbPoolFactory *self,
                                                 DbDatabaseConfig *database,
                                                 DbPoolConfig *config,
                                                 GCancellable *cancellable,
                                                 GAsyncReadyCallback callback,
                                                 gpointer user_data);
DB_AVAILABLE_IN_1_0
DbPool *db_pool_factory_create_postgres_pool_finish (DbPoolFactory *self,
                                                     GAsyncResult *result,
                                                     GError **error);

DB_AVAILABLE_IN_1_0
DbPool *db_pool_factory_create_sqlite_pool (DbPoolFactory *self,
                                            const char *path,
                                            DbPoolConfig *config,
                                            GCancellable *cancellable,
                                            GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_factory_create_sqlite_pool_async (DbPoolFactory *self,
                                               const char *path,
                                               DbPoolConfig *config,
                                               GCancellable *cancellable,
                                               GAsyncReadyCallback callback,
                                               gpointer user_data);
DB_AVAILABLE_IN_1_0
DbPool *db_pool_factory_create_sqlite_pool_finish (DbPoolFactory *self,
                                                   GAsyncResult *result,
                                                   GError **error);

DB_AVAILABLE_IN_1_0
DbPool *db_pool_factory_create_pool (DbPoolFactory *self,
                                     const char *uri,
                                     DbPoolConfig *config,
                                     GCancellable *cancellable,
                                     GError **error);
DB_AVAILABLE_IN_1_0
void db_pool_factory_create_pool_async (DbPoolFactory *self,
                                        const char *uri,
                                        DbPoolConfig *config,
                                        GCancellable *cancellable,
                                        GAsyncReadyCallback callback,
                                        gpointer user_data);
DB_AVAILABLE_IN_1_0
DbPool *
db_pool_factory_create_pool_finish (DbPoolFactory *self, GAsyncResult *result, GError **error);

G_END_DECLS
