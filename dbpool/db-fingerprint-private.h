/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What may be shown of a statement: its text without any value. */

#pragma once

#include <glib.h>

/* The longest fingerprint, in bytes, without the "…" that says that something was left out. */
#define DB_FINGERPRINT_LENGTH 120

/* @sql with every literal replaced by "?", without comments, white space squeezed, shortened; one
 * line of valid UTF-8. @sql may be any bytes, and may have been cut off anywhere. NULL gives NULL.
 */
char *db_sql_fingerprint (const char *sql);

/* @text as one line of valid UTF-8: control characters become spaces. NULL gives NULL. */
char *db_text_to_line (const char *text);
