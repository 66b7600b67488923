/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the pool costs: "SELECT 1" in the client library's own loop, and the same through the pool,
 * by its one-shot calls and with an acquire and a release around each query. The ways take turns in
 * short slices, and a ratio is the median of those of one round, so that what else goes on on the
 * machine disturbs few of them and counts for little.
 *
 * One thread, and one session: the bare loop borrows the very session that the pool lends
 * otherwise, for a slice at a time. With a session of its own it would talk to another server
 * process, and whether the scheduler puts that beside us or on another core makes a difference of
 * five times. */

#include "config.h"

#include "db-tool-bench-private.h"

#ifdef HAVE_POSTGRES
#include <libpq-fe.h>
#endif
#ifdef HAVE_SQLITE
#include <sqlite3.h>
#endif

#include <string.h>

#define SLICE (25 * G_TIME_SPAN_MILLISECOND)
/* So many queries are run between two looks at the clock. */
#define BATCH 20

static const char sql[] = "SELECT 1";

/* One query; what it needs is @data. */
typedef gboolean (*QueryFunc) (gpointer data, GError **error);

typedef struct
{
  QueryFunc func;
  gpointer data;      /* a statement that was prepared on the session, or its native handle */
  DbSession *session; /* belongs to the pool; only compared */
} BareLoop;

/* Runs queries for a slice; @rate is how many there were in a second. */
static gboolean
run_slice (Bench *self, QueryFunc func, gpointer data, double *rate, GError **error)
{
  const gint64 start = bench_now ();
  int n_queries = 0;
  gint64 now;

  do
    {
      for (int i = 0; i < BATCH; i++)
        {
          if (!func (data, error))
            return FALSE;
        }
      n_queries += BATCH;
      now = bench_now ();
    }
  while (now - start < SLICE * 1000);
  *rate = n_queries * 1e9 / (double) (now - start);
  g_atomic_int_add (&self->n_done, n_queries);
  return TRUE;
}

static gboolean
is_one (DbResult *result, GError **error)
{
  if (result == NULL)
    return FALSE;
  if (db_result_get_int64 (result, 0, 0) == 1)
    return TRUE;
  g_set_error_literal (error, DB_ERROR, DB_ERROR_FAILED, "SELECT 1 did not return 1");
  return FALSE;
}

static gboolean
execute_with_pool (gpointer data, GError **error)
{
  return db_pool_execute (data, sql, NULL, NULL, error) >= 0;
}

static gboolean
query_with_pool (gpointer data, GError **error)
{
  g_autoptr (DbResult) result = db_pool_query (data, sql, NULL, NULL, error);

  return is_one (result, error);
}

static gboolean
query_with_loan (gpointer data, GError **error)
{
  g_autoptr (DbConnection) connection = db_pool_acquire (data, NULL, error);
  g_autoptr (DbResult) result = NULL;

  if (connection == NULL)
    return FALSE;
  result = db_connection_query (connection, sql, NULL, NULL, error);
  db_connection_release (connection);
  return is_one (result, error);
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  const double x = *(const double *) a;
  const double y = *(const double *) b;

  return (x > y) - (x < y);
}

/* Sorts @numbers. */
static double
median (GArray *numbers)
{
  g_array_sort (numbers, compare_doubles);
  return g_array_index (numbers, double, numbers->len / 2);
}

/* A slice of the bare loop, on the session that the pool lends. */
static gboolean
run_bare_slice (Bench *self, const BareLoop *bare, double *rate, GError **error)
{
  g_autoptr (DbConnection) connection = db_pool_acquire (self->pool, self->interrupted, error);

  if (connection == NULL)
    return FALSE;
  if (db_connection_get_session (connection) == bare->session)
    return run_slice (self, bare->func, bare->data, rate, error);
  g_set_error_literal (error, DB_ERROR, DB_ERROR_CONNECTION,
                       "the session broke while it was measured; try again");
  return FALSE;
}

/* One slice of each way; every round begins with another one. */
static gboolean
run_round (Bench *self,
           const BareLoop *bare,
           guint first,
           double rates[BENCH_N_WAYS],
           GError **error)
{
  static const QueryFunc funcs[BENCH_N_WAYS] = {
    [BENCH_EXECUTE] = execute_with_pool,
    [BENCH_ONE_SHOT] = query_with_pool,
    [BENCH_LOAN] = query_with_loan,
  };
  gboolean ok = TRUE;

  for (guint i = 0; i < BENCH_N_WAYS && ok; i++)
    {
      const guint way = (first + i) % BENCH_N_WAYS;

      ok = way == BENCH_BARE ? run_bare_slice (self, bare, &rates[way], error)
                             : run_slice (self, funcs[way], self->pool, &rates[way], error);
    }
  return ok;
}

static void
begin_counting (Bench *self)
{
  db_lock_lock (&self->lock);
  self->started = g_get_monotonic_time ();
  db_lock_unlock (&self->lock);
  g_atomic_int_set (&self->n_done, 0);
  g_atomic_int_set (&self->running, TRUE);
}

static gboolean
compare (Bench *self, const BareLoop *bare, BenchOverhead *overhead, GError **error)
{
  GArray *rates[BENCH_N_WAYS];
  GArray *ratios[BENCH_N_WAYS];
  double round[BENCH_N_WAYS];
  guint n_rounds = 0;
  gboolean ok;

  for (guint i = 0; i < BENCH_N_WAYS; i++)
    {
      rates[i] = g_array_new (FALSE, FALSE, sizeof (double));
      ratios[i] = g_array_new (FALSE, FALSE, sizeof (double));
    }
  /* All are warm before anything counts. */
  ok = run_round (self, bare, 0, round, error);
  begin_counting (self);
  while (ok && (n_rounds == 0 || (!bench_is_stopped (self) &&
                                  g_get_monotonic_time () < self->started + self->duration)))
    {
      ok = run_round (self, bare, n_rounds++, round, error);
      for (guint i = 0; ok && i < BENCH_N_WAYS; i++)
        {
          double ratio = round[i] / round[BENCH_BARE];

          g_array_append_val (rates[i], round[i]);
          g_array_append_val (ratios[i], ratio);
        }
    }
  for (guint i = 0; i < BENCH_N_WAYS; i++)
    {
      overhead->rates[i] = ok ? median (rates[i]) : 0;
      overhead->ratios[i] = ok ? median (ratios[i]) : 0;
      g_array_unref (rates[i]);
      g_array_unref (ratios[i]);
    }
  return ok;
}

#ifdef HAVE_POSTGRES
static const char statement_name[] = "dbpool_bench_bare";

static gboolean
query_libpq (gpointer data, GError **error)
{
  PGconn *pgconn = data;
  PGresult *result = PQexecPrepared (pgconn, statement_name, 0, NULL, NULL, NULL, 0);
  const gboolean ok =
    PQresultStatus (result) == PGRES_TUPLES_OK && strcmp (PQgetvalue (result, 0, 0), "1") == 0;

  PQclear (result);
  if (!ok)
    g_set_error (error, DB_ERROR, DB_ERROR_QUERY, "libpq: %s", PQerrorMessage (pgconn));
  return ok;
}

static gboolean
prepare_libpq (PGconn *pgconn, BareLoop *bare, GError **error)
{
  PGresult *result = PQprepare (pgconn, statement_name, sql, 0, NULL);
  const gboolean ok = PQresultStatus (result) == PGRES_COMMAND_OK;

  PQclear (result);
  if (!ok)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_QUERY, "libpq: %s", PQerrorMessage (pgconn));
      return FALSE;
    }
  bare->func = query_libpq;
  bare->data = pgconn;
  return TRUE;
}
#endif

#ifdef HAVE_SQLITE
static gboolean
query_sqlite (gpointer data, GError **error)
{
  sqlite3_stmt *statement = data;
  const int rc = sqlite3_step (statement);
  const gboolean ok = rc == SQLITE_ROW && sqlite3_column_int64 (statement, 0) == 1;

  sqlite3_reset (statement);
  if (!ok)
    g_set_error (error, DB_ERROR, DB_ERROR_QUERY, "sqlite3: %s", sqlite3_errstr (rc));
  return ok;
}

static gboolean
prepare_sqlite (sqlite3 *handle, BareLoop *bare, GError **error)
{
  sqlite3_stmt *statement = NULL;
  const int rc = sqlite3_prepare_v3 (handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);

  if (rc != SQLITE_OK)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_QUERY, "sqlite3: %s", sqlite3_errstr (rc));
      return FALSE;
    }
  bare->func = query_sqlite;
  bare->data = statement;
  return TRUE;
}
#endif

/* Prepares the bare loop on a session, which is back in the pool when this returns. */
static gboolean
prepare_bare_loop (Bench *self, BareLoop *bare, GError **error)
{
  DbConnectionManager *manager = db_pool_get_manager (self->pool);
  g_autoptr (DbConnection) connection = db_pool_acquire (self->pool, self->interrupted, error);

  if (connection == NULL)
    return FALSE;
  bare->session = db_connection_get_session (connection);
#ifdef HAVE_POSTGRES
  if (DB_IS_POSTGRES_MANAGER (manager))
    return prepare_libpq (db_postgres_connection_get_pgconn (connection), bare, error);
#endif
#ifdef HAVE_SQLITE
  if (DB_IS_SQLITE_MANAGER (manager))
    return prepare_sqlite (db_sqlite_connection_get_handle (connection), bare, error);
#endif
  g_set_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED, "there is no bare loop for %s",
               G_OBJECT_TYPE_NAME (manager));
  return FALSE;
}

gboolean
bench_run_overhead (Bench *self, BenchOverhead *overhead, GError **error)
{
  BareLoop bare = {NULL, NULL, NULL};
  gboolean ok;

  /* One session only, so that it is the same one for all. */
  g_object_set (db_pool_get_config (self->pool), "max-connections", 1, NULL);
  ok = prepare_bare_loop (self, &bare, error) && compare (self, &bare, overhead, error);
#ifdef HAVE_SQLITE
  if (bare.func == query_sqlite)
    {
      /* Nobody else may use the session meanwhile. */
      g_autoptr (DbConnection) connection = db_pool_acquire (self->pool, NULL, NULL);

      sqlite3_finalize (bare.data);
    }
#endif
  return ok;
}
