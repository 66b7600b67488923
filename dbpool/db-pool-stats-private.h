/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The numbers of a pool, all of one instant, but for those of statements: the core keeps them under
 * its lock and copies them whole.
 *
 * Invariants: total = idle + lent + opening + busy + dedicated, created = idle + lent + checking +
 * resetting + all dropped + detached, and
 * requests = acquired + timeouts + cancelled + errors + refused + waiting + undelivered. */

#pragma once

#include "db-pool-stats.h"

#define DB_N_DROP_REASONS (DB_DROP_CLOSED + 1)

struct _DbPoolStats
{
  /* now: sessions, in the order of DbSlotState, and callers */
  union
  {
    guint in_state[7];
    struct
    {
      guint opening;
      guint idle;
      guint checking;
      guint lent;
      guint resetting;
      guint closing;
      guint dedicated; /* opened for somebody who keeps it */
    };
  };
  guint waiting;

  /* since the pool was made; what each loan changes comes first */
  guint64 requests;
  guint64 acquired;
  guint64 finalized; /* loans that ended with the last reference instead of a release */
  gint64 use_time;   /* microseconds, of the loans that have ended */

  guint undelivered; /* now: granted, but the caller's main context has not run yet */
  guint64 waited;    /* those of acquired that had to wait */
  guint64 timeouts;
  guint64 cancelled;
  guint64 errors;
  guint64 refused; /* closed, suspended, queue full, nothing idle and no wish to wait */
  guint64 created;
  guint64 create_failed;
  guint64 dropped[DB_N_DROP_REASONS];
  guint64 detached;       /* taken out of the pool for good */
  guint64 leaks;          /* loans that were out for longer than the leak threshold */
  guint64 deadlocks;      /* times when every session was lent to threads that wait for one */
  guint64 events_dropped; /* signals that nobody fetched in time */
  /* counted by the sessions, outside of the core's lock */
  guint64 statement_hits;
  guint64 statement_misses;
  gint64 wait_time; /* microseconds, of those that waited and got a connection */
};
