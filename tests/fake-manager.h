/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A manager whose database does what a test tells it to: opens at once, fails, hangs until it is
 * let go; and that keeps a ledger of what the pool did to it. */

#pragma once

#include "dbpool.h"

G_BEGIN_DECLS

#define FAKE_TYPE_SESSION (fake_session_get_type ())
G_DECLARE_FINAL_TYPE (FakeSession, fake_session, FAKE, SESSION, DbSession)

#define FAKE_TYPE_MANAGER (fake_manager_get_type ())
G_DECLARE_FINAL_TYPE (FakeManager, fake_manager, FAKE, MANAGER, GObject)

typedef struct
{
  guint opens; /* begun */
  guint opened;
  guint checks;
  guint resets;
  guint closes;
  guint live;
  guint max_live;
} FakeLedger;

FakeManager *fake_manager_new (void);
FakeLedger fake_manager_get_ledger (FakeManager *self);

/* The next @n opens (G_MAXUINT: all) fail with this error; a copy is kept. NULL ends it. */
void fake_manager_fail_opens (FakeManager *self, guint n, const GError *error);
/* Until it is switched off, opens (closes, checks, statements "hang") wait. */
void fake_manager_hang_opens (FakeManager *self, gboolean hang);
void fake_manager_hang_closes (FakeManager *self, gboolean hang);
void fake_manager_fail_checks (FakeManager *self, gboolean fail);
void fake_manager_fail_resets (FakeManager *self, gboolean fail);
/* Returns when @n opens have begun. */
void fake_manager_await_opens (FakeManager *self, guint n);

guint fake_connection_get_id (DbConnection *connection);
FakeSession *fake_connection_get_session (DbConnection *connection);
void fake_session_set_state (FakeSession *self, DbSessionState state);
void fake_session_set_alive (FakeSession *self, gboolean alive);
/* Statements "hang" wait for this, or for a cancel. */
void fake_session_let_go (FakeSession *self);
/* Returns when a statement hangs. */
void fake_session_await_hang (FakeSession *self);

G_END_DECLS
