/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the files of "dbpool bench" share.
 *
 * Threads: the main thread has the main loop, with signals and progress, and nothing that blocks.
 * The conductor does everything else in order: pool, tables, clients, checks, report. Clients are
 * threads of their own, or in the mode "async" sources in the conductor's main context. */

#pragma once

#include "db-lock-private.h"
#include "db-histogram-private.h"
#include "db-tool.h"

typedef enum
{
  BENCH_TRANSFER,
  BENCH_SELECT,
  BENCH_ASYNC,
  BENCH_OVERHEAD,
} BenchMode;

/* Each account has that much at the beginning. */
#define BENCH_START_BALANCE 1000
#define BENCH_ACCOUNTS_PER_BRANCH 1000
#define BENCH_TELLERS_PER_BRANCH 10

typedef struct
{
  /* read-only once the conductor has begun */
  char *uri;
  char *database; /* what it is called in texts */
  BenchMode mode;
  ToolFormat format;
  guint n_clients;
  guint n_accounts;
  guint n_branches;
  guint n_tellers;
  gint64 duration; /* microseconds */
  gboolean replace;
  gboolean progress;
  DbPool *pool; /* made by the conductor */

  GCancellable *interrupted; /* the first signal: no new work */
  GCancellable *aborted;     /* the second: not even what is running */
  GCancellable *abandoned;   /* the third: not even the tables are dropped */

  /* atomic */
  int stop;    /* no new transaction is begun */
  int n_done;  /* for the progress */
  int running; /* the clients run */

  DbLock lock;
  DbCond cond; /* stop was set */
  /* guarded by lock */
  gint64 started; /* monotonic time */
  int signal;     /* which one interrupted */
} Bench;

/* What one client, or all of them together, did. */
typedef struct
{
  guint64 done;
  guint64 retries;
  guint64 errors;
  char *first_error;
  DbHistogram wait;  /* for a connection; nanoseconds, like the other */
  DbHistogram total; /* from asking for a connection to having given it back */
} BenchTally;

/* One client's own. */
typedef struct
{
  Bench *bench;
  GRand *rand;
  BenchTally tally;
} BenchClient;

/* The steps of a transfer between two accounts, and the numbers of one. */
#define BENCH_N_STEPS 6

typedef struct
{
  gint64 from, to, teller, branch, amount;
} BenchTransfer;

/* Monotonic time in nanoseconds. */
gint64 bench_now (void);

gboolean bench_is_stopped (Bench *self);

/* Waits for that long, or less when the bench is stopped. */
void bench_pause (Bench *self, gint64 microseconds);

void bench_count_done (BenchClient *client, gint64 asked, gint64 acquired, gint64 returned);
void bench_count_error (BenchClient *client, const GError *error);

/* Tables (db-tool-bench-tables.c) */
gboolean bench_create_tables (Bench *self, GError **error);
gboolean bench_drop_tables (Bench *self, GError **error);
/* What is wrong with the books, or NULL. @n_transfers is -1 where it is not known for sure. */
char *bench_audit (Bench *self, gint64 n_transfers, gint64 *sum, GError **error);

/* Work (db-tool-bench-work.c) */
void bench_choose_transfer (BenchClient *client, BenchTransfer *transfer);
/* The statement of a step and its parameters (floating). Each but the SELECT changes one row. */
const char *bench_get_step (const BenchTransfer *transfer, guint step, GVariant **params);
/* What a client's thread runs: transfers or selects until the bench is stopped. */
gpointer bench_client_thread (gpointer client);

/* The clients as sources of one main context; returns when all have ended (db-tool-bench-async.c).
 */
void bench_run_async (Bench *self, BenchClient *clients);

/* The same query with and without the pool, in turns (db-tool-bench-overhead.c). */
typedef enum
{
  BENCH_BARE,     /* the client library's own loop */
  BENCH_EXECUTE,  /* db_pool_execute() */
  BENCH_ONE_SHOT, /* db_pool_query() */
  BENCH_LOAN,     /* acquire, query, release */
  BENCH_N_WAYS,
} BenchWay;

typedef struct
{
  double rates[BENCH_N_WAYS];  /* queries per second */
  double ratios[BENCH_N_WAYS]; /* to the bare loop's rate in the same round */
} BenchOverhead;

gboolean bench_run_overhead (Bench *self, BenchOverhead *overhead, GError **error);

/* Output (db-tool-bench-report.c) */
void bench_print_progress (Bench *self);
void bench_clear_progress (Bench *self);
/* @problem: what is wrong with the books, or NULL; @audited: whether they were read at all */
void bench_print_report (Bench *self,
                         BenchTally *tally,
                         double seconds,
                         gboolean audited,
                         gint64 sum,
                         const char *problem);
void bench_print_overhead (Bench *self, const BenchOverhead *overhead);
