/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The machine's sleep, and the numbers of threads; see the private header. Atomic, so no lock. */

#include "config.h"

#include "db-clock-private.h"

#include <time.h>
#include <unistd.h>

static gint64 pretended; /* atomic */

static gint64
read_clock (clockid_t clock)
{
  struct timespec now = {0};

  clock_gettime (clock, &now);
  return now.tv_sec * G_TIME_SPAN_SECOND + now.tv_nsec / 1000;
}

gint64
db_clock_slept (void)
{
#ifdef CLOCK_BOOTTIME
  return read_clock (CLOCK_BOOTTIME) - read_clock (CLOCK_MONOTONIC) +
         __atomic_load_n (&pretended, __ATOMIC_RELAXED);
#else
  return __atomic_load_n (&pretended, __ATOMIC_RELAXED);
#endif
}

void
db_clock_pretend_sleep (gint64 microseconds)
{
  __atomic_fetch_add (&pretended, microseconds, __ATOMIC_RELAXED);
}

guint
db_thread_number (void)
{
  static __thread guint number;

  if (number == 0)
    number = (guint) gettid ();
  return number;
}
