/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Filling a description: parameters and columns from the first to the last. */

#pragma once

#include "db-description.h"

DbDescription *db_description_new (void);

/* @type: NULL where the database does not say. @type_name: the database's own word, or NULL. */
void db_description_add_param (DbDescription *self, DbValueType type, const char *type_name);
void db_description_add_column (DbDescription *self,
                                const char *name,
                                DbValueType type,
                                const char *type_name);
/* Forgets all that was added. */
void db_description_clear (DbDescription *self);
