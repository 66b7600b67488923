/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A core in virtual time with a scripted database, for scenarios that are exact to the microsecond.
 * One thread, so no lock. */

#pragma once

#include "db-pool-core-private.h"

#define MS G_TIME_SPAN_MILLISECOND
#define SECOND G_TIME_SPAN_SECOND
#define NEVER G_MAXINT64

#define MAX_TIMES 256

typedef struct _Caller Caller;

struct _Caller
{
  DbTicket ticket; /* first */
  gint64 decided_at;
  guint order;
  gboolean told;
};

/* The script: how the next opens end. */
typedef enum
{
  OPEN_OK,
  OPEN_TRANSIENT,
  OPEN_PERMANENT,
} OpenEnd;

typedef struct
{
  DbPoolCore *core;
  DbPoolSettings settings;
  gint64 now;
  OpenEnd end;
  gint64 open_takes; /* NEVER: it hangs */
  gint64 close_takes;
  gint64 check_takes;
  gboolean check_fails;
  gboolean hook_rejects;
  gboolean permanent; /* its rejections */
  struct
  {
    DbSlot *slot;
    DbSlotState state;
    gint64 due;
  } jobs[64];
  guint n_jobs;
  guint n_opens;
  guint n_checks;
  guint n_resets;
  gint64 opened_at[MAX_TIMES];  /* when each open began */
  gint64 checked_at[MAX_TIMES]; /* when each check began */
  gint64 closed_at[MAX_TIMES];  /* when each close began */
  gint64 leaks_at[MAX_TIMES];   /* when each leak was reported */
  guint n_closes;
  guint max_opening;
  guint last_order;
  guint n_wakes;
  guint n_leaks;
  guint n_deadlocks;
} World;

void world_init (World *world, guint min, guint max);
void world_start (World *world);
/* Closes the pool, and waits for what is out there. */
void world_end (World *world);
void run_effects (World *world, DbPoolEffects *fx);
/* Lets time pass; what is due on the way happens at its microsecond. */
void pass (World *world, gint64 time);
/* @thread: of a blocking caller, or 0 */
Caller *ask_on (World *world, guint thread, gint64 timeout);
Caller *ask_for_unit (World *world, gint64 timeout);
Caller *ask (World *world, gboolean blocking, gint64 timeout);
DbTicketState look (World *world, Caller *caller);
/* What an asynchronous caller's context does. */
DbSlot *take (World *world, Caller *caller);
/* Takes a session as a caller that finds one idle or waits for it. */
DbSlot *lend (World *world);
/* An idle session that needs no check, or NULL. */
DbSlot *try (World *world);
void give_back (World *world, DbSlot *slot, DbOutcome outcome);
void give_up (World *world, Caller *caller);
void configure (World *world);
void assert_ends (Caller *caller, DbTicketState state, gint64 at);
DbPoolStats get_stats (World *world);
