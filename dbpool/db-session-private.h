/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#pragma once

#include "db-session.h"

/* Called by the pool after a successful reset. */
void db_session_clear_dirty (DbSession *self);
