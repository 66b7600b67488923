/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A manager whose database does what a test tells it to: opens at once or late, fails, hangs until
 * it is let go; and that keeps a ledger of what the pool did to it. It aborts when a session is
 * used by two at once, or after it was closed. */

#pragma once

#include "dbpool.h"

G_BEGIN_DECLS

#define FAKE_TYPE_SESSION (fake_session_get_type ())
G_DECLARE_FINAL_TYPE (FakeSession, fake_session, FAKE, SESSION, DbSession)

#define FAKE_TYPE_MANAGER (fake_manager_get_type ())
G_DECLARE_FINAL_TYPE (FakeManager, fake_manager, FAKE, MANAGER, GObject)

/* The functions of a manager: what each of them does next can be said. */
typedef enum
{
  FAKE_OPEN,
  FAKE_CHECK,
  FAKE_RESET,
  FAKE_CLOSE,
  FAKE_FACTS,
  FAKE_N_GATES,
} FakeGate;

typedef struct
{
  guint opens; /* begun */
  guint opened;
  guint checks;
  guint resets;
  guint closes; /* begun */
  guint closed; /* ended */
  guint live;   /* from when an open begins until it has failed or a close has ended */
  guint max_live;
  guint calls[FAKE_N_GATES];  /* begun */
  guint inside[FAKE_N_GATES]; /* begun and not ended */
  guint max_inside[FAKE_N_GATES];
  guint failed[FAKE_N_GATES];
} FakeLedger;

/* What became of one session. */
typedef struct
{
  guint id;
  gint64 began; /* monotonic, when its open began */
  gint64 opened;
  gint64 closing; /* when its close began; 0: not yet */
  gint64 closed;  /* 0: not yet */
  guint checks;
  guint resets;
  guint runs;
  GThread *opened_by; /* only to be compared */
} FakeRecord;

/* At the beginning of each call, on the thread that makes it, with no lock held.
 * @session: (nullable): of an open: none */
typedef void (*FakeObserver) (FakeManager *self,
                              FakeGate gate,
                              DbSession *session,
                              GCancellable *cancellable,
                              gpointer data);

FakeManager *fake_manager_new (void);
FakeLedger fake_manager_get_ledger (FakeManager *self);
/* @id: from 1 in the order of opening */
FakeRecord fake_manager_get_record (FakeManager *self, guint id);
/* (transfer full): gint64: when each call of @gate began, monotonic */
GArray *fake_manager_dup_times (FakeManager *self, FakeGate gate);
/* Before the pool is made. */
void fake_manager_set_observer (FakeManager *self, FakeObserver observer, gpointer data);

/* What get_facts() returns from now on, whatever its type; NULL: an empty dictionary. */
void fake_manager_set_facts (FakeManager *self, GVariant *facts);

/* Each call takes at least so long, in microseconds. */
void fake_manager_delay (FakeManager *self, FakeGate gate, gint64 delay);
/* Until it is switched off, calls wait. */
void fake_manager_hang (FakeManager *self, FakeGate gate, gboolean hang);
/* A call that is deaf waits on although its cancellable is cancelled. */
void fake_manager_set_deaf (FakeManager *self, FakeGate gate, gboolean deaf);
/* The next @n calls (G_MAXUINT: all, 0: none) fail, after they waited. A copy of @error is kept;
 * NULL: they fail without an error. */
void fake_manager_fail (FakeManager *self, FakeGate gate, guint n, const GError *error);
/* Returns when @n calls have begun, since the manager was made. */
void fake_manager_await_calls (FakeManager *self, FakeGate gate, guint n);
/* Returns when exactly @n calls have begun and not ended. */
void fake_manager_await_inside (FakeManager *self, FakeGate gate, guint n);

/* The next @n opens (G_MAXUINT: all) fail with this error; a copy is kept. NULL ends it. */
void fake_manager_fail_opens (FakeManager *self, guint n, const GError *error);
/* Until it is switched off, opens (closes) wait, whoever cancels. */
void fake_manager_hang_opens (FakeManager *self, gboolean hang);
void fake_manager_hang_closes (FakeManager *self, gboolean hang);
void fake_manager_fail_checks (FakeManager *self, gboolean fail);
void fake_manager_fail_resets (FakeManager *self, gboolean fail);
/* Returns when @n opens have begun. */
void fake_manager_await_opens (FakeManager *self, guint n);

guint fake_connection_get_id (DbConnection *connection);
FakeSession *fake_connection_get_session (DbConnection *connection);
guint fake_session_get_id (FakeSession *self);
void fake_session_set_state (FakeSession *self, DbSessionState state);
void fake_session_set_alive (FakeSession *self, gboolean alive);
/* Statements "hang" wait for this, or for a cancel. */
void fake_session_let_go (FakeSession *self);
/* Returns when a statement hangs. */
void fake_session_await_hang (FakeSession *self);

/* Drops what must be the last reference but for that of a thread of dbpool's which is about to end.
 */
void fake_assert_finalized_soon (gpointer object);

G_END_DECLS
