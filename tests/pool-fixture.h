/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A pool on a scripted manager, and what its tests have in common: asking what the pool says of
 * itself, waiting for it, and acquiring, blocking and asynchronous. Used from the main thread but
 * where it says so; no lock. What is tested is in test-pool.c and test-pool-loans.c. */

#pragma once

#include "fake-manager.h"

G_BEGIN_DECLS

#define MS G_TIME_SPAN_MILLISECOND
#define SECOND G_TIME_SPAN_SECOND

typedef struct
{
  FakeManager *manager;
  DbPool *pool;
} Fixture;

/* An asynchronous acquire and what became of it. */
typedef struct
{
  DbConnection *connection;
  GError *error;
  gboolean done;
  guint *order;
  guint position;
  GMainContext *context;
} Waiter;

/* A pool with at most @max connections, and a @timeout for acquiring one. */
void set_up (Fixture *fixture, guint max, gint64 timeout);

/* Everything is back, and nothing is left. */
void tear_down (Fixture *fixture);

void assert_gauges (DbPool *pool, guint total, guint idle, guint lent, guint waiting);

/* A connection; there must not be an error. */
DbConnection *acquire (DbPool *pool);

/* Lets the world turn until @pool's gauges are what they should be; a watchdog ends it otherwise.
 */
void await_gauges (DbPool *pool, guint total, guint idle, guint lent, guint waiting);

/* For the asynchronous acquires: @data is a #Waiter. Checks that it runs in the context of the
 * waiter, if it has one. */
void acquired_cb (GObject *source, GAsyncResult *result, gpointer data);

/* Iterates the default context until @waiter is done. */
void await (Waiter *waiter);

void waiter_clear (Waiter *waiter);

/* A thread: acquires from the pool @data[0] with the cancellable @data[1], gives back at once, and
 * returns the error. */
gpointer acquire_in_thread (gpointer data);

G_END_DECLS
