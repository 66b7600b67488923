/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* How long the machine has slept since it was started, in microseconds. The monotonic clock, by
 * which dbpool measures, stands still meanwhile. */

#pragma once

#include <glib.h>

gint64 db_clock_slept (void);

/* Adds to it, for tests. */
void db_clock_pretend_sleep (gint64 microseconds);

/* The number of the calling thread, as the kernel and its tools know it. */
guint db_thread_number (void);
