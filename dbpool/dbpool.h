/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-batch.h"
#include "db-connection-info.h"
#include "db-connection-manager.h"
#include "db-connection.h"
#include "db-cursor.h"
#include "db-database-config.h"
#include "db-description.h"
#include "db-error-info.h"
#include "db-error.h"
#include "db-features.h"
#include "db-health-checker.h"
#include "db-health-report.h"
#include "db-metrics-collector.h"
#include "db-metrics-summary.h"
#include "db-params.h"
#include "db-pool-config.h"
#include "db-pool-factory.h"
#include "db-pool-stats.h"
#include "db-pool.h"
#include "db-result.h"
#include "db-row.h"
#include "db-session.h"
#include "db-statement-plan.h"
#include "db-transaction.h"
#include "db-types.h"
#include "db-version-macros.h"
#include "db-version.h"

#ifdef DB_HAS_POSTGRES
#include "db-postgres-manager.h"
#endif
#ifdef DB_HAS_SQLITE
#include "db-sqlite-manager.h"
#endif
