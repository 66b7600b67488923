/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-params.h"
#include "db-value-private.h"

/* The values of one row; valid as long as @self is and is not changed. NULL when the row has none.
 */
const DbValue *db_params_get_values (DbParams *self, guint row, guint *n_values);

/* Adds bytes, or text of any type that is valid UTF-8, by their size: to the array that is open, or
 * to the row. */
void db_params_add_data (DbParams *self, DbValueType type, gconstpointer data, gsize size);
