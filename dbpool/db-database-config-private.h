/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-database-config.h"

/* From now on every setter is refused with a warning: a configuration is fixed once used. */
void db_database_config_freeze (DbDatabaseConfig *self);

/* libpq's keywords and values, for PQconnectdbParams, each array NULL-terminated. Contains the
 * password, and wipes it when freed. */
typedef struct
{
  char **keywords;
  char **values;
} DbConninfo;

DbConninfo *db_database_config_to_conninfo (DbDatabaseConfig *self);
void db_conninfo_free (DbConninfo *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbConninfo, db_conninfo_free)
