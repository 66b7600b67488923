/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Asking one session of a pool whether it works, within a deadline that nothing can stretch.
 *
 * The core gives the probe a session (see DbProbe). A thread of dbpool's asks it: once for the
 * round trip, and once for the manager's facts. A session that does not answer is closed, and
 * another one is asked as long as there is time, unless it had been opened for this very question.
 * At the deadline the probe is over whatever that thread does; the session stays in its hands until
 * the manager returns. */

#pragma once

#include "db-pool-engine-private.h"

typedef struct
{
  DbProbeState state;  /* how the core's probe ended; GIVEN_UP: no session came in time */
  gboolean answered;   /* and it works */
  gboolean late;       /* the deadline came first */
  gint64 round_trip;   /* microseconds; -1: none */
  GVariant *facts;     /* NULL: none */
  GError *facts_error; /* why there are none */
  GError *error;       /* of the session that did not answer last, or of the open */
} DbProbeResult;

/* Called once, on any thread with no lock held, and perhaps before db_engine_probe() returns. */
typedef void (*DbProbeFunc) (const DbProbeResult *result, gpointer data);

/* Does not block. @deadline: monotonic. @data goes to @func and then to @data_unref. */
void db_engine_probe (DbEngine *self,
                      DbHealthFlags flags,
                      gint64 deadline,
                      DbProbeFunc func,
                      gpointer data,
                      GDestroyNotify data_unref);
