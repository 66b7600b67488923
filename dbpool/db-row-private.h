/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-row.h"

/* A weak place for one row of a result: the result's table and the row itself own it together, so
 * that whoever finds it in the table can look whether the row still lives without holding the
 * table's lock. Taking a reference on a row may call into a binding. */
typedef struct
{
  GWeakRef row;
} DbRowSlot;

/* The row takes references on @result and @slot. */
DbRow *db_row_new (DbResult *result, guint position, DbRowSlot *slot);

DbRowSlot *db_row_slot_new (void);
DbRowSlot *db_row_slot_ref (DbRowSlot *self);
void db_row_slot_unref (DbRowSlot *self);

/* The row of @slot is gone: the result's table need not keep its place. In db-result.c. */
void db_result_forget_row (DbResult *self, guint position, DbRowSlot *slot);
