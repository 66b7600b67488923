/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A pool on a scripted manager, with a handler for each of its signals that writes down what
 * arrived. The handlers, and all that waits for them, belong to the thread of the home; no lock.
 * What is tested is in test-signals.c and test-signals-delivery.c. */

#pragma once

#include "fake-manager.h"

G_BEGIN_DECLS

#define MS G_TIME_SPAN_MILLISECOND
#define SECOND G_TIME_SPAN_SECOND

/* Handlers write one letter for each signal: c(reated) a(cquired) r(eturned) d(ropped) f(ailed)
 * l(eak) x (deadlock) b(ackground error). */
typedef struct
{
  FakeManager *manager;
  DbPool *pool;
  GMainContext *home;
  GString *log;
  gint64 value; /* of the last signal, like all below */
  DbDropReason reason;
  GError *error;
  char *text;
} Fixture;

/* A pool called "tested" with at most @max connections; its home is the caller's context. */
DbPool *make_pool (FakeManager *manager, guint max);

/* With such a pool. The handlers expect the default context: a test with another home changes
 * @fixture->home. */
void set_up (Fixture *fixture, guint max);

void tear_down (Fixture *fixture);

/* One handler for each signal; @fixture is its user data. Each checks that it runs in the home and
 * without a lock of the pool. */
void acquired_cb (DbPool *pool, gint64 value, Fixture *fixture);
void returned_cb (DbPool *pool, gint64 value, Fixture *fixture);
void created_cb (DbPool *pool, gint64 value, Fixture *fixture);
void dropped_cb (DbPool *pool, DbDropReason reason, Fixture *fixture);
void failed_cb (DbPool *pool, GError *error, Fixture *fixture);
void background_cb (DbPool *pool, GError *error, Fixture *fixture);
void leak_cb (DbPool *pool, const char *holder, gint64 held, Fixture *fixture);
void deadlock_cb (DbPool *pool, const char *holders, Fixture *fixture);

/* Connects them all. */
void listen_to_all (Fixture *fixture);

/* Waits for @n signals, counted from the last clear. */
void await (Fixture *fixture, gsize n);

/* Delivers what there is. */
void drain (Fixture *fixture);

/* Waits for as many signals as @expected has letters; they are these, and nothing comes after. */
void assert_log (Fixture *fixture, const char *expected);

/* A connection; there must not be an error. */
DbConnection *acquire (DbPool *pool);

/* Acquires and gives back, @n times; in any thread. */
void borrow (DbPool *pool, guint n);

G_END_DECLS
