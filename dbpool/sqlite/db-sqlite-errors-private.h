/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What SQLite's codes mean for people and for sessions. */

#pragma once

#include <glib.h>

/* What to do about it, to go behind SQLite's own text; may be empty. */
const char *db_sqlite_get_hint (int rc);

/* Whether a session is of no more use after this happened to its own file. */
gboolean db_sqlite_breaks_session (int rc);
