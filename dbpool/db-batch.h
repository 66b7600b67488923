/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-params.h"
#include "db-result.h"
#include "db-types.h"

G_BEGIN_DECLS

/**
 * DbBatchFlags:
 * @DB_BATCH_NONE: all statements or none: the first that fails ends the batch, whose work is taken
 *   back
 * @DB_BATCH_INDEPENDENT: a statement that fails does not keep the others from being run, nor from
 *   lasting
 *
 * How a batch is run.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  DB_BATCH_NONE = 0,
  DB_BATCH_INDEPENDENT = 1 << 0,
} DbBatchFlags;

#define DB_TYPE_BATCH_FLAGS (db_batch_flags_get_type ())
DB_AVAILABLE_IN_1_0
GType db_batch_flags_get_type (void) G_GNUC_CONST;

#define DB_TYPE_BATCH (db_batch_get_type ())
DB_AVAILABLE_IN_1_0
GType db_batch_get_type (void) G_GNUC_CONST;

DB_AVAILABLE_IN_1_0
DbBatch *db_batch_new (void);
DB_AVAILABLE_IN_1_0
DbBatch *db_batch_copy (DbBatch *self);
DB_AVAILABLE_IN_1_0
void db_batch_free (DbBatch *self);
DB_AVAILABLE_IN_1_0
void db_batch_add (DbBatch *self, const char *sql, GVariant *params);
DB_AVAILABLE_IN_1_0
void db_batch_add_params (DbBatch *self, const char *sql, DbParams *params);
DB_AVAILABLE_IN_1_0
guint db_batch_get_n_statements (DbBatch *self);

#define DB_TYPE_BATCH_RESULT (db_batch_result_get_type ())
DB_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (DbBatchResult, db_batch_result, DB, BATCH_RESULT, GObject)

DB_AVAILABLE_IN_1_0
guint db_batch_result_get_n_statements (DbBatchResult *self);
DB_AVAILABLE_IN_1_0
guint db_batch_result_get_n_failed (DbBatchResult *self);
DB_AVAILABLE_IN_1_0
DbResult *db_batch_result_get_result (DbBatchResult *self, guint position, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbBatch, db_batch_free)

G_END_DECLS
