/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The simulator's probes: those who want to look at a session, in their turn after everybody else,
 * and who may lose their patience at any moment. */

#include "sim.h"

#include "db-pool-balance-private.h"

static void
ask (SimWorld *world, SimProbe *probe)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  gint64 now = sim_clock (world);

  db_pool_core_probe (world->core, &probe->base, now, &fx);
  sim_effects (world, &fx);
}

void
sim_op_probe (SimWorld *world)
{
  for (guint i = 0; i < SIM_MAX_PROBES; i++)
    {
      SimProbe *probe = &world->probes[i];

      if (probe->in_use)
        continue;
      *probe = (SimProbe){.in_use = TRUE};
      ask (world, probe);
      return;
    }
}

/* Its deadline has come. One that has a session goes on, but nobody listens. */
void
sim_op_withdraw (SimWorld *world)
{
  SimProbe *probe = &world->probes[sim_between (world, 0, SIM_MAX_PROBES)];
  gboolean was_pending = probe->base.state == DB_PROBE_PENDING;

  if (!probe->in_use)
    return;
  g_assert_cmpint (db_pool_core_withdraw (world->core, &probe->base), ==, was_pending);
  if (was_pending)
    {
      g_assert_cmpint (probe->base.state, ==, DB_PROBE_GIVEN_UP);
      probe->in_use = FALSE;
    }
  else
    probe->is_late = TRUE;
}

guint
sim_probes_waiting (SimWorld *world)
{
  guint n = 0;

  for (guint i = 0; i < SIM_MAX_PROBES; i++)
    n += world->probes[i].in_use && world->probes[i].base.state == DB_PROBE_PENDING;
  return n;
}

/* It takes nothing that somebody waits for. */
static void
granted (SimWorld *world, SimProbe *probe)
{
  SimSession *session = probe->base.slot->data;

  g_assert_null (sim_caller_head (world, FALSE));
  g_assert_false (world->suspended || world->closed);
  sim_ledger_take (world, session);
  session->suspect = FALSE;
  session->probe = probe;
  sim_schedule (world, SIM_JOB_PROBE, world->now + sim_job_takes (world), session, NULL);
}

static guint
n_open (SimWorld *world)
{
  return world->places[SIM_AT_REST] + world->places[SIM_LENT] + world->places[SIM_CHECKING] +
         world->places[SIM_RESETTING];
}

static void
failed (SimWorld *world, SimProbe *probe)
{
  g_assert_nonnull (probe->base.error);
  g_clear_error (&probe->base.error);
  g_assert_cmpuint (world->failures, >, 0);
  g_assert_cmpuint (n_open (world), ==, 0);
}

/* An open has failed. With no session there that is the answer. */
void
sim_probes_failed (SimWorld *world)
{
  if (n_open (world) == 0)
    g_assert_cmpuint (sim_probes_waiting (world), ==, 0);
}

/* The last one first; what was decided first is to be looked at first. */
static DbProbe *
reverse (DbProbe *list)
{
  DbProbe *reversed = NULL;

  while (list != NULL)
    {
      DbProbe *next = list->next;

      list->next = reversed;
      reversed = list;
      list = next;
    }
  return reversed;
}

void
sim_probes_decided (SimWorld *world, DbProbe *list)
{
  for (DbProbe *base = reverse (list), *next; base != NULL; base = next)
    {
      SimProbe *probe = (SimProbe *) base;

      next = base->next;
      base->next = NULL;
      sim_trace (world, (guint64) base->state);
      g_assert_true (probe->in_use);
      probe->in_use = base->state == DB_PROBE_GRANTED;
      if (base->state == DB_PROBE_GRANTED)
        granted (world, probe);
      else if (base->state == DB_PROBE_FAILED)
        failed (world, probe);
      else if (base->state == DB_PROBE_PROVEN)
        g_assert_cmpint (db_pool_core_get_proven_at (world->core), >, base->began);
      else if (base->state == DB_PROBE_SUSPENDED)
        g_assert_true (world->suspended);
      else
        g_assert_true (base->state == DB_PROBE_CLOSED && world->closed);
    }
}

/* Where a session does not answer, another one may be asked. */
void
sim_end_probe (SimWorld *world, SimSession *session, gboolean fails)
{
  DbPoolEffects fx = DB_POOL_EFFECTS_INIT;
  SimProbe *probe = session->probe;
  gint64 now = sim_clock (world);
  gboolean asks_again;

  fails = fails && !probe->is_late;
  asks_again = fails && sim_chance (world, 50);
  if (probe->is_late)
    session->slot->suspect = session->suspect = TRUE;
  session->probe = NULL;
  sim_ledger_move (world, session, SIM_AT_REST);
  session->must_close = fails;
  session->proven = now;
  db_pool_core_checked (world->core, session->slot, fails ? DB_CHECK_FAILED : DB_CHECK_WORKS, FALSE,
                        NULL, now, &fx);
  probe->in_use = asks_again;
  sim_effects (world, &fx);
  if (asks_again)
    ask (world, probe);
}

/* Where nobody else waits it has something coming, unless there is no room, or opening fails. */
void
sim_probes_check (SimWorld *world)
{
  if (sim_probes_waiting (world) == 0)
    return;
  g_assert_false (world->suspended || world->closed);
  if (sim_caller_head (world, FALSE) != NULL)
    return;
  g_assert_cmpuint (world->places[SIM_AT_REST], ==, 0);
  g_assert_true (sim_ledger_n_coming (world) > 0 || world->failures > 0 ||
                 world->n_sessions >= world->settings.max_connections);
}
