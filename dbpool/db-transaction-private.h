/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-transaction.h"

/* Its connection was borrowed for it: the end of the transaction gives it back. */
void db_transaction_own_connection (DbTransaction *self);
