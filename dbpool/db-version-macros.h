/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Symbol visibility. The library is built with hidden visibility; a prototype that carries
 * DB_AVAILABLE_IN_1_0 is exported, nothing else is. */

#pragma once

#include <glib.h>

#ifndef DB_EXTERN
#define DB_EXTERN extern
#endif

#define DB_AVAILABLE_IN_1_0 DB_EXTERN
