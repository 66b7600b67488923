/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the pool costs: "SELECT 1" in the client library's own loop, and the same through the pool
 * with an acquire and a release around each query. The two take turns in short slices, and the
 * ratio is the median of those of neighbours, so that what else goes on on the machine disturbs few
 * of them and counts for little. One thread; the bare loop has a session of its own. */

#include "config.h"

#include "db-tool-bench.h"

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
query_through_pool (gpointer data, GError **error)
{
  g_autoptr (DbConnection) connection = db_pool_acquire (data, NULL, error);
  g_autoptr (DbResult) result = NULL;

  if (connection == NULL)
    return FALSE;
  result = db_connection_query (connection, sql, NULL, NULL, error);
  db_connection_release (connection);
  if (result == NULL)
    return FALSE;
  if (db_result_get_int64 (result, 0, 0) == 1)
    return TRUE;
  g_set_error_literal (error, DB_ERROR, DB_ERROR_FAILED, "SELECT 1 did not return 1");
  return FALSE;
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

/* Two neighbours, the bare loop first or last. @rates: bare, pooled */
static gboolean
run_pair (Bench *self,
          QueryFunc bare,
          gpointer data,
          gboolean bare_first,
          double rates[2],
          GError **error)
{
  if (bare_first && !run_slice (self, bare, data, &rates[0], error))
    return FALSE;
  return run_slice (self, query_through_pool, self->pool, &rates[1], error) &&
         (bare_first || run_slice (self, bare, data, &rates[0], error));
}

static gboolean
compare (Bench *self, QueryFunc bare, gpointer data, BenchOverhead *overhead, GError **error)
{
  g_autoptr (GArray) bare_rates = g_array_new (FALSE, FALSE, sizeof (double));
  g_autoptr (GArray) pooled_rates = g_array_new (FALSE, FALSE, sizeof (double));
  g_autoptr (GArray) ratios = g_array_new (FALSE, FALSE, sizeof (double));
  double rates[2], ratio;
  gint64 until;

  /* both are warm before anything counts */
  if (!run_pair (self, bare, data, TRUE, rates, error))
    return FALSE;
  db_lock_lock (&self->lock);
  self->started = g_get_monotonic_time ();
  db_lock_unlock (&self->lock);
  g_atomic_int_set (&self->n_done, 0);
  g_atomic_int_set (&self->running, TRUE);
  until = self->started + self->duration;
  do
    {
      if (!run_pair (self, bare, data, ratios->len % 2 == 0, rates, error))
        return FALSE;
      ratio = rates[1] / rates[0];
      g_array_append_val (bare_rates, rates[0]);
      g_array_append_val (pooled_rates, rates[1]);
      g_array_append_val (ratios, ratio);
    }
  while (!bench_is_stopped (self) && g_get_monotonic_time () < until);

  overhead->bare = median (bare_rates);
  overhead->pooled = median (pooled_rates);
  overhead->ratio = median (ratios);
  return TRUE;
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
compare_postgres (Bench *self, PGconn *pgconn, BenchOverhead *overhead, GError **error)
{
  PGresult *result = PQprepare (pgconn, statement_name, sql, 0, NULL);
  const gboolean ok = PQresultStatus (result) == PGRES_COMMAND_OK;

  PQclear (result);
  if (!ok)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_QUERY, "libpq: %s", PQerrorMessage (pgconn));
      return FALSE;
    }
  return compare (self, query_libpq, pgconn, overhead, error);
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
compare_sqlite (Bench *self, sqlite3 *handle, BenchOverhead *overhead, GError **error)
{
  sqlite3_stmt *statement = NULL;
  const int rc = sqlite3_prepare_v3 (handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
  gboolean ok;

  if (rc != SQLITE_OK)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_QUERY, "sqlite3: %s", sqlite3_errstr (rc));
      return FALSE;
    }
  ok = compare (self, query_sqlite, statement, overhead, error);
  sqlite3_finalize (statement);
  return ok;
}
#endif

gboolean
bench_run_overhead (Bench *self, BenchOverhead *overhead, GError **error)
{
  DbConnectionManager *manager = db_pool_get_manager (self->pool);
  g_autoptr (DbConnection) bare = db_pool_acquire (self->pool, self->interrupted, error);

  if (bare == NULL)
    return FALSE;
#ifdef HAVE_POSTGRES
  if (DB_IS_POSTGRES_MANAGER (manager))
    return compare_postgres (self, db_postgres_connection_get_pgconn (bare), overhead, error);
#endif
#ifdef HAVE_SQLITE
  if (DB_IS_SQLITE_MANAGER (manager))
    return compare_sqlite (self, db_sqlite_connection_get_handle (bare), overhead, error);
#endif
  g_set_error (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED, "there is no bare loop for %s",
               G_OBJECT_TYPE_NAME (manager));
  return FALSE;
}
