/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* sqlite: URIs. */

#pragma once

#include "db-sqlite-manager.h"

/* Sets the properties of @manager that @uri names. */
gboolean db_sqlite_uri_apply (const char *uri, DbSqliteManager *manager, GError **error);
