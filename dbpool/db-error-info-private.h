/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Making an error's details: a session fills one for each statement that the database refuses and
 * leaves it with db_session_take_error_info(); from then on it is immutable. */

#pragma once

#include "db-error-info.h"

typedef enum
{
  DB_ERROR_FIELD_MESSAGE,
  DB_ERROR_FIELD_SQLSTATE,
  DB_ERROR_FIELD_SEVERITY,
  DB_ERROR_FIELD_DETAIL,
  DB_ERROR_FIELD_HINT,
  DB_ERROR_FIELD_CONTEXT,
  DB_ERROR_FIELD_SCHEMA,
  DB_ERROR_FIELD_TABLE,
  DB_ERROR_FIELD_COLUMN,
  DB_ERROR_FIELD_DATA_TYPE,
  DB_ERROR_FIELD_CONSTRAINT,
} DbErrorField;

#define DB_N_ERROR_FIELDS (DB_ERROR_FIELD_CONSTRAINT + 1)

struct _DbErrorInfo
{
  int ref_count;                   /* atomic */
  char *fields[DB_N_ERROR_FIELDS]; /* valid UTF-8, or NULL */
  int sqlite_code;                 /* the extended one; 0: not from SQLite */
  guint position;                  /* in characters of the statement, from 1; 0: not known */
};

DbErrorInfo *db_error_info_new (void);
/* @text may be NULL, and need not be valid UTF-8. */
void db_error_info_set (DbErrorInfo *self, DbErrorField field, const char *text);
