/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The fields of a pool, for the files that implement it: db-pool.c (properties, acquiring),
 * db-pool-query.c (statements of its own), db-pool-control.c (what its owner does to it),
 * db-pool-dedicated.c (the pool as a manager) and db-pool-signals.c. */

#pragma once

#include "db-pool-engine-private.h"
#include "db-pool.h"

/* The macros are for users. */
#undef db_pool_acquire
#undef db_pool_acquire_async
#undef db_pool_try_acquire

struct _DbPool
{
  GObject parent_instance;

  DbConnectionManager *first_manager; /* during construction only */

  /* read-only after construction */
  DbPoolConfig *config;
  DbEngine *engine;

  DbMetricsCollector *metrics; /* atomic: NULL until somebody asks */

  GWeakRef connections; /* the list of connections, while somebody holds it */
};

/* In db-pool-dedicated.c. */
void db_pool_manager_iface_init (DbConnectionManagerInterface *iface);
