/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The scripted world; see its header. */

#include "script.h"

#include <gio/gio.h>

static guint fork_counter;

void
world_init (World *world, guint min, guint max)
{
  *world = (World){
    .now = SECOND,
    .settings = {.min_connections = min,
                 .max_connections = max,
                 .connection_timeout = 30 * SECOND,
                 .validate_after_idle = -1,
                 .hand_off_after = MS},
    .open_takes = 100 * MS,
    .check_takes = 10 * MS,
  };
}

void
world_start (World *world)
{
  world->core = db_pool_core_new (&world->settings, 1, &fork_counter);
}

static void
add_jobs (World *world, DbSlot *slot, DbSlotState state, gint64 takes)
{
  while (slot != NULL)
    {
      DbSlot *next = slot->next;

      g_assert_cmpuint (world->n_jobs, <, G_N_ELEMENTS (world->jobs));
      slot->next = NULL;
      world->jobs[world->n_jobs].slot = slot;
      world->jobs[world->n_jobs].state = state;
      world->jobs[world->n_jobs++].due = takes == NEVER ? NEVER : world->now + takes;
      g_assert_cmpuint (MAX (MAX (world->n_opens, world->n_closes), world->n_checks), <, MAX_TIMES);
      if (state == DB_SLOT_OPENING)
        world->opened_at[world->n_opens++] = world->now;
      if (state == DB_SLOT_CLOSING)
        world->closed_at[world->n_closes++] = world->now;
      if (state == DB_SLOT_CHECKING)
        world->checked_at[world->n_checks++] = world->now;
      if (state == DB_SLOT_RESETTING)
        world->n_resets++;
      slot = next;
    }
}

static void
leak_cb (DbSlot *slot, gpointer data)
{
  World *world = data;

  g_assert_cmpint (slot->state, ==, DB_SLOT_LENT);
  world->leaks_at[world->n_leaks++] = world->now;
}

void
run_effects (World *world, DbPoolEffects *fx)
{
  DbPoolStats stats;
  DbTicket *ticket = fx->decided;

  while (ticket != NULL)
    {
      DbTicket *next = ticket->next;
      Caller *caller = (Caller *) ticket;

      ticket->next = NULL;
      caller->told = TRUE;
      caller->decided_at = world->now;
      caller->order = ++world->last_order;
      db_ticket_unref (ticket);
      ticket = next;
    }
  if (fx->wake != NULL)
    {
      world->n_wakes++;
      db_ticket_unref (fx->wake);
    }
  add_jobs (world, fx->open, DB_SLOT_OPENING, world->open_takes);
  add_jobs (world, fx->check, DB_SLOT_CHECKING, world->check_takes);
  add_jobs (world, fx->reset, DB_SLOT_RESETTING, 10 * MS);
  add_jobs (world, fx->close, DB_SLOT_CLOSING, world->close_takes);
  if (fx->leaks)
    db_pool_core_take_leaks (world->core, world->now, leak_cb, world);
  world->n_deadlocks += fx->deadlock;
  db_pool_core_get_stats (world->core, &stats);
  world->max_opening = MAX (world->max_opening, stats.opening);
  db_pool_core_validate (world->core, world->now);
}

static void
end_check (World *world, DbSlot *slot, DbPoolEffects *fx)
{
  g_autoptr (GError) error = NULL;
  DbCheckResult result = DB_CHECK_WORKS;

  if (slot->needs_check && world->check_fails)
    result = DB_CHECK_FAILED;
  else if (slot->needs_hook && world->hook_rejects)
    {
      result = DB_CHECK_REJECTED;
      error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED, "scripted");
    }
  db_pool_core_checked (world->core, slot, result, error != NULL && world->permanent, error,
                        world->now, fx);
}

static void
end_job (World *world, guint index)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbSlot *slot = world->jobs[index].slot;
  DbSlotState state = world->jobs[index].state;
  g_autoptr (GError) error = NULL;

  world->jobs[index] = world->jobs[--world->n_jobs];
  if (state == DB_SLOT_OPENING && world->end != OPEN_OK)
    {
      error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "scripted");
      db_pool_core_open_failed (world->core, slot, error, world->end == OPEN_PERMANENT, world->now,
                                &fx);
    }
  else if (state == DB_SLOT_OPENING)
    db_pool_core_opened (world->core, slot, world->now, &fx);
  else if (state == DB_SLOT_CHECKING)
    end_check (world, slot, &fx);
  else if (state == DB_SLOT_RESETTING)
    db_pool_core_reset_done (world->core, slot, TRUE, world->now, &fx);
  else
    db_pool_core_closed (world->core, slot, world->now, &fx);
  run_effects (world, &fx);
}

void
pass (World *world, gint64 time)
{
  gint64 until = world->now + time;

  for (;;)
    {
      gint64 timer = db_pool_core_get_timer (world->core);
      guint first = G_MAXUINT;

      for (guint i = 0; i < world->n_jobs; i++)
        if (world->jobs[i].due <= until &&
            (first == G_MAXUINT || world->jobs[i].due < world->jobs[first].due))
          first = i;
      if (timer <= until && (first == G_MAXUINT || timer < world->jobs[first].due))
        {
          DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

          world->now = MAX (world->now, timer);
          db_pool_core_tick (world->core, world->now, &fx);
          run_effects (world, &fx);
        }
      else if (first != G_MAXUINT)
        {
          world->now = MAX (world->now, world->jobs[first].due);
          end_job (world, first);
        }
      else
        break;
    }
  world->now = until;
}

static Caller *
caller_new (World *world, gboolean blocking, gint64 timeout)
{
  Caller *caller = g_new0 (Caller, 1);

  db_ticket_init (&caller->ticket, blocking, timeout == NEVER ? NEVER : world->now + timeout,
                  g_free);
  return caller;
}

static Caller *
enqueue (World *world, Caller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_acquire (world->core, &caller->ticket, world->now, &fx);
  run_effects (world, &fx);
  return caller;
}

Caller *
ask_on (World *world, guint thread, gint64 timeout)
{
  Caller *caller = caller_new (world, TRUE, timeout);

  caller->ticket.thread = thread;
  return enqueue (world, caller);
}

Caller *
ask_for_unit (World *world, gint64 timeout)
{
  Caller *caller = caller_new (world, TRUE, timeout);

  caller->ticket.unit = TRUE;
  return enqueue (world, caller);
}

Caller *
ask (World *world, gboolean blocking, gint64 timeout)
{
  return enqueue (world, caller_new (world, blocking, timeout));
}

DbTicketState
look (World *world, Caller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbTicketState state = db_pool_core_look (world->core, &caller->ticket, TRUE, world->now, &fx);

  run_effects (world, &fx);
  return state;
}

DbSlot *
take (World *world, Caller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  DbTicketState state = db_pool_core_take (world->core, &caller->ticket, world->now, &fx);

  g_assert_cmpint (state, ==, DB_TICKET_TAKEN);
  run_effects (world, &fx);
  return caller->ticket.slot;
}

DbSlot *
try (World *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gboolean is_proven;
  DbSlot *slot = db_pool_core_try (world->core, TRUE, FALSE, 0, world->now, &is_proven, &fx);

  run_effects (world, &fx);
  return slot;
}

DbSlot *
lend (World *world)
{
  DbSlot *slot = try (world);
  Caller *caller;

  if (slot != NULL)
    return slot;
  caller = ask (world, FALSE, NEVER);
  while (!caller->told)
    pass (world, MS);
  slot = take (world, caller);
  db_ticket_unref (&caller->ticket);
  return slot;
}

void
give_up (World *world, Caller *caller)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  g_assert_true (
    db_pool_core_give_up (world->core, &caller->ticket, DB_TICKET_CANCELLED, world->now, &fx));
  run_effects (world, &fx);
}

void
configure (World *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_configure (world->core, &world->settings, world->now, &fx);
  run_effects (world, &fx);
}

void
give_back (World *world, DbSlot *slot, DbOutcome outcome)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_give_back (world->core, slot, outcome, FALSE, world->now, &fx);
  run_effects (world, &fx);
}

void
assert_ends (Caller *caller, DbTicketState state, gint64 at)
{
  g_assert_true (caller->told);
  g_assert_cmpint (caller->ticket.state, ==, state);
  g_assert_cmpint (caller->decided_at, ==, at);
  db_ticket_unref (&caller->ticket);
}

void
world_end (World *world)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;

  db_pool_core_close (world->core, world->now, &fx);
  run_effects (world, &fx);
  for (guint i = 0; i < world->n_jobs; i++)
    world->jobs[i].due = MIN (world->jobs[i].due, world->now);
  pass (world, 60 * SECOND);
  g_assert_cmpuint (world->n_jobs, ==, 0);
  db_pool_core_free (world->core);
}

DbPoolStats
get_stats (World *world)
{
  DbPoolStats stats;

  db_pool_core_get_stats (world->core, &stats);
  return stats;
}
