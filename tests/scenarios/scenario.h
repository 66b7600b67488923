/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the scenarios have in common: one text for blocking and asynchronous callers, pools over the
 * scripted manager, and the books that must balance whatever happened.
 *
 * A scenario is a function of a World. scenario_add_both() runs it twice: as /sync/… each Caller is
 * a thread that blocks in db_pool_acquire_full(), as /async/… it is a db_pool_acquire_full_async()
 * in the main context of a Loop, a thread of its own. The function makes a pool with make_pool(),
 * lets callers begin, waits for conditions and looks at statistics. What was made through the world
 * is checked and taken apart when the function returns.
 *
 * The thread of the test has the default main context, which the pools' signals come to:
 * everything that waits here (AWAIT) iterates it. */

#pragma once

#include "fake-manager.h"

G_BEGIN_DECLS

#define MS G_TIME_SPAN_MILLISECOND
#define SECOND G_TIME_SPAN_SECOND

typedef struct _Caller Caller;
typedef struct _Loop Loop;

typedef struct
{
  gboolean async;
  FakeManager *manager;
  DbPool *pool;
  /* How many sessions of the manager may be open at a time: max-connections when the pool was made.
   * A scenario that resizes the pool or detaches connections says more. 0: not checked. */
  guint max_live;
  Loop *loop;          /* of asynchronous callers that have none of their own */
  gint n_callers;      /* atomic: begun and not freed */
  gint n_grants;       /* atomic: the loans of callers, in the order in which they came */
  gint stop;           /* atomic: callers without end end */
  guint n_descriptors; /* when the scenario began */
} World;

typedef void (*ScenarioFunc) (World *world);

int scenario_main (int argc, char **argv, void (*add_all) (void));
/* @path: without leading slash: "acquire/gauge-walk" */
void scenario_add_both (const char *path, ScenarioFunc func);
/* For what has no caller, or one kind of it; the world's callers block. */
void scenario_add (const char *path, ScenarioFunc func);
void scenario_add_async (const char *path, ScenarioFunc func);
/* With --thorough: everything, however long it takes. */
gboolean scenario_is_thorough (void);
/* How much slower than natively this build may be: 1, 3 or 10. */
gint64 scenario_factor (void);

/* Pools. @settings are those of DbPoolConfig in their text form, as "max-connections=2
 * connection-timeout=200ms". Sessions are not validated unless they say so. */
DbPoolConfig *make_config (const char *settings, ...) G_GNUC_PRINTF (1, 2);
/* Becomes the world's pool, over the world's manager. */
DbPool *make_pool (World *world, const char *settings, ...) G_GNUC_PRINTF (2, 3);
/* The caller's own: to be ended with end_pool(). */
DbPool *make_pool_over (DbConnectionManager *manager, const char *settings, ...)
  G_GNUC_PRINTF (2, 3);
/* Closes a pool, checks its books, drops what must be the last reference to it. Of the world's
 * pool the world does it. */
void end_pool (DbPool *pool);
/* Drops a reference that must be the last but for those of threads of dbpool's that end soon. */
void assert_finalized_soon (gpointer object);
DbConnection *acquire (DbPool *pool);
/* An error that trying again heals, and one that it does not. */
GError *transient_error (void);
GError *permanent_error (void);

/* Statistics. @expected: "total=2 idle=1 acquired=3 dropped-idle=1", any of: total idle lent
 * opening busy dedicated waiting requests acquired waited timeouts cancelled errors refused created
 * create-failed detached finalized leaks deadlocks, dropped and
 * dropped-{broken,invalid,idle,lifetime, evicted,closed}. */
gboolean stats_are (DbPool *pool, const char *expected);
void assert_stats_at (const char *place, DbPool *pool, const char *expected, ...)
  G_GNUC_PRINTF (3, 4);
/* Waits until it is so, and says what differed if that does not come about. */
void await_stats_at (const char *place, DbPool *pool, const char *expected, ...)
  G_GNUC_PRINTF (3, 4);
#define assert_stats(pool, ...) assert_stats_at (G_STRLOC, pool, __VA_ARGS__)
#define await_stats(pool, ...) await_stats_at (G_STRLOC, pool, __VA_ARGS__)
/* One snapshot: the gauges add up, and so do the counters of requests and of sessions; nobody waits
 * for long while a session is idle. */
void assert_books (DbPool *pool);

/* Waiting. */
#define AWAIT(condition)                                                                           \
  G_STMT_START                                                                                     \
  {                                                                                                \
    while (!(condition))                                                                           \
      scenario_pause ();                                                                           \
  }                                                                                                \
  G_STMT_END
/* Lets sources of the default context and other threads run for a moment. */
void scenario_pause (void);
/* Lets time pass, for what is about time passing. */
void pass_time (gint64 duration);
/* Not one microsecond earlier, and not much later. */
void assert_took_at (const char *place, gint64 took, gint64 expected);
#define assert_took(took, expected) assert_took_at (G_STRLOC, took, expected)
/* For what should be at once. */
void assert_soon_at (const char *place, gint64 took, gint64 limit);
#define assert_soon(took, limit) assert_soon_at (G_STRLOC, took, limit)

/* From begin to end warnings of dbpool's do not end the program, but are collected. end returns how
 * many there were; dup_text returns those so far, one a line. */
void warnings_begin (void);
guint warnings_count (void);
char *warnings_dup_text (void);
guint warnings_end (void);

/* Loops: threads that iterate a main context of their own. */
Loop *loop_new (void);
void loop_free (Loop *loop);
GMainContext *loop_get_context (Loop *loop);
/* Runs @func on the loop's thread; the first waits for it. */
void loop_call (Loop *loop, void (*func) (gpointer data), gpointer data);
void loop_post (Loop *loop, void (*func) (gpointer data), gpointer data);
void loop_post_later (Loop *loop, gint64 delay, void (*func) (gpointer data), gpointer data);

/* Callers. What stands before "results" may be set before caller_begin(), the rest may be read when
 * it is done. */
struct _Caller
{
  World *world;
  gboolean async; /* from the world */
  DbPool *pool;   /* from the world */
  Loop *loop;     /* async only; from the world */
  DbAcquireFlags flags;
  gint64 timeout; /* -1: the pool's, which is the default */
  const char *tag;
  GCancellable *cancellable; /* a reference */
  gint64 hold;    /* how long each connection is kept; -1, the default: it is the caller's result */
  guint rounds;   /* how many acquires, one after the other; 1; 0: until world->stop, or an error */
  gboolean go_on; /* errors do not end the rounds */
  gboolean fresh_cancellable; /* each round has one of its own, cancelled after the release */
  /* Called with each connection, on the thread that got it. */
  void (*granted) (Caller *caller, DbConnection *connection);
  gpointer data;

  /* results: readable once it is done, or on the caller's own thread */
  DbConnection *connection; /* of the last round, unless it was held */
  GError *error;            /* of the last round */
  gint64 began;             /* of the last round: monotonic */
  gint64 ended;
  guint id;    /* of the session, last round */
  guint grant; /* which grant of the world's it was, from 1 */
  guint n_granted;
  guint n_failed;
  gint64 longest_wait;
  gint64 total_wait;
  GThread *thread; /* that got the last result; only to be compared */

  /*< private >*/
  GThread *own_thread;
  gint completions; /* atomic: of this round; more than 1 is a bug */
  gint done;        /* atomic, and memory under the lock of the harness */
};

Caller *caller_new (World *world);
void caller_begin (Caller *caller);
/* caller_new() and caller_begin() with a timeout (-1: the pool's) and a cancellable. */
Caller *caller_start (World *world);
Caller *caller_start_full (World *world, gint64 timeout, GCancellable *cancellable);
/* The same, and returns when the pool has one more waiter: so arrivals have an order. */
void caller_begin_waiting (Caller *caller);
Caller *caller_start_waiting (World *world);
Caller *caller_start_waiting_full (World *world, gint64 timeout, GCancellable *cancellable);
gboolean caller_is_done (Caller *caller);
void caller_wait (Caller *caller);
/* Waits, and expects what it says. The connection stays the caller's. */
DbConnection *caller_wait_connection (Caller *caller);
void caller_wait_error (Caller *caller, GQuark domain, int code);
/* How long the last round waited. */
gint64 caller_get_wait (Caller *caller);
/* Gives the connection back; it must have one. */
void caller_release (Caller *caller);
/* Waits until it is done. */
void caller_free (Caller *caller);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Caller, caller_free)
void callers_free (Caller **callers, guint n);

G_END_DECLS
