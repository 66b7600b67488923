/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Probes, the part of the core that serves health checks, under the core's lock like the rest of
 * it; and what is known of the last time when a session worked, which needs no lock.
 *
 * A probe comes after every ticket: it gets an idle session only while nobody waits. Where the
 * pool is so busy that somebody always does, it need not have one: a session that did its work
 * since the probe began says as much. */

#include "config.h"

#include "db-pool-balance-private.h"

void
db_pool_core_prove (DbPoolCore *self, gint64 now)
{
  __atomic_store_n (&self->proven_at, now, __ATOMIC_RELAXED);
}

gint64
db_pool_core_get_proven_at (DbPoolCore *self)
{
  return __atomic_load_n (&self->proven_at, __ATOMIC_RELAXED);
}

static void
decide_locked (DbPoolCore *self, DbProbe *probe, DbProbeState state, DbPoolEffects *fx)
{
  g_queue_unlink (&self->probes, &probe->link);
  probe->state = state;
  probe->next = fx->probes;
  fx->probes = probe;
}

/* Not a loan: it is counted nowhere, and the session keeps its place by when it was last used. */
static void
grant_locked (DbPoolCore *self, DbProbe *probe, DbSlot *slot, gint64 now, DbPoolEffects *fx)
{
  slot->needs_check = FALSE;
  slot->needs_hook = FALSE;
  slot->suspect = FALSE; /* it is closed unless it works */
  db_pool_core_set_state_locked (self, slot, DB_SLOT_CHECKING, now, fx);
  probe->slot = slot;
  decide_locked (self, probe, DB_PROBE_GRANTED, fx);
}

void
db_pool_core_serve_probes_locked (DbPoolCore *self, gint64 now, DbPoolEffects *fx)
{
  GList *link;

  while ((link = self->probes.head) != NULL)
    {
      DbProbe *probe = link->data;
      gboolean waited_for = self->queue.length > 0;
      DbSlot *slot = waited_for ? NULL : db_pool_core_next_idle_locked (self, now, fx);

      if (slot != NULL)
        grant_locked (self, probe, slot, now, fx);
      else if (waited_for && db_pool_core_get_proven_at (self) > probe->began)
        decide_locked (self, probe, DB_PROBE_PROVEN, fx);
      else
        return;
    }
}

void
db_pool_core_end_probes_locked (DbPoolCore *self,
                                DbProbeState state,
                                const GError *error,
                                DbPoolEffects *fx)
{
  GList *link;

  while ((link = self->probes.head) != NULL)
    {
      DbProbe *probe = link->data;

      if (error != NULL)
        probe->error = g_error_copy (error);
      decide_locked (self, probe, state, fx);
    }
}

void
db_pool_core_probe (DbPoolCore *self, DbProbe *probe, gint64 now, DbPoolEffects *fx)
{
  if (db_pool_core_is_forked (self))
    return;
  DB_LOCK_SCOPE (&self->lock);

  g_assert (probe->state != DB_PROBE_PENDING);
  if (probe->state == DB_PROBE_NEW)
    probe->began = now;
  probe->state = DB_PROBE_PENDING;
  probe->slot = NULL;
  probe->link.data = probe;
  g_queue_push_tail_link (&self->probes, &probe->link);
  if (self->closed)
    decide_locked (self, probe, DB_PROBE_CLOSED, fx);
  else if (self->suspended)
    decide_locked (self, probe, DB_PROBE_SUSPENDED, fx);
  else
    db_pool_core_rebalance_locked (self, now, fx);
}

gboolean
db_pool_core_withdraw (DbPoolCore *self, DbProbe *probe)
{
  if (db_pool_core_is_forked (self))
    return FALSE;
  DB_LOCK_SCOPE (&self->lock);

  if (probe->state != DB_PROBE_PENDING)
    return FALSE;
  g_queue_unlink (&self->probes, &probe->link);
  probe->state = DB_PROBE_GIVEN_UP;
  return TRUE;
}
