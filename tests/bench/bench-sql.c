/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the SQL layer costs, measured beside the same work done with the client libraries alone.
 *
 *   sh tests/with-postgres.sh _build-rel/tests/bench-sql [--json] [--seconds=N] [NAME…]
 *
 * Each row is one work, done in two ways that take turns of 10 ms, so that whatever else the
 * machine does meets both alike. Both ways use the same session, because two server processes are
 * not scheduled alike. The ratio is the median of that of the pairs. Nothing here is a test. */

#include "config.h"

#include <dbpool.h>

#include <glib-unix.h>
#include <libpq-fe.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE (10 * G_TIME_SPAN_MILLISECOND)
#define N_KEYS 10000
#define BATCH 100
#define SELECT_SQL "SELECT id, name, price, created, note FROM bench WHERE id = $1"
#define SELECT_RAW_SQLITE "SELECT id, name, price, created, note FROM bench WHERE id = ?1"

static gboolean as_json;
static int seconds = 3;
static char **names;

static const GOptionEntry options[] = {
  {"json", 0, 0, G_OPTION_ARG_NONE, &as_json, "One JSON object for each row", NULL},
  {"seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "For each row (3)", "N"},
  {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &names, NULL, "[NAME…]"},
  {NULL},
};

typedef struct
{
  DbConnection *connection;
  PGconn *pgconn;
  sqlite3 *sqlite;
  sqlite3_stmt *stmt;
  GMainContext *context;
  gint64 key;
  guint64 sum; /* of what was read, so that it is read */
} Bench;

/* Does some of the work; how many operations that were. */
typedef guint (*WorkFunc) (Bench *self);

static G_NORETURN void
fail (const char *what, GError *error)
{
  fprintf (stderr, "%s: %s\n", what, error != NULL ? error->message : "failed");
  exit (1);
}

static gint64
next_key (Bench *self)
{
  self->key = (self->key * 7 + 12345) % N_KEYS;
  return self->key;
}

/* dbpool. */

static void
read_result (Bench *self, DbResult *result)
{
  self->sum +=
    (guint64) db_result_get_int64 (result, 0, 0) + strlen (db_result_get_text (result, 0, 1)) +
    (guint64) db_result_get_double (result, 0, 2) + strlen (db_result_get_text (result, 0, 3)) +
    strlen (db_result_get_text (result, 0, 4));
}

static guint
select_dbpool (Bench *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbResult) result = NULL;

  db_params_add_int64 (params, next_key (self));
  result = db_connection_query_params (self->connection, SELECT_SQL, params, NULL, &error);
  if (result == NULL)
    fail ("select", error);
  read_result (self, result);
  return 1;
}

static void
selected_cb (GObject *source, GAsyncResult *async_result, gpointer user_data)
{
  GAsyncResult **slot = user_data;

  *slot = g_object_ref (async_result);
}

static guint
select_dbpool_async (Bench *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbResult) result = NULL;
  g_autoptr (GAsyncResult) async_result = NULL;

  db_params_add_int64 (params, next_key (self));
  db_connection_query_params_async (self->connection, SELECT_SQL, params, NULL, selected_cb,
                                    &async_result);
  while (async_result == NULL)
    g_main_context_iteration (self->context, TRUE);
  result = db_connection_query_params_finish (self->connection, async_result, &error);
  if (result == NULL)
    fail ("select", error);
  read_result (self, result);
  return 1;
}

#define SHORT_SQL "SELECT name FROM bench WHERE id = $1"

static guint
select_short (Bench *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbParams) params = db_params_new ();
  g_autoptr (DbResult) result = NULL;

  db_params_add_int64 (params, next_key (self));
  result = db_connection_query_params (self->connection, SHORT_SQL, params, NULL, &error);
  if (result == NULL)
    fail ("select", error);
  self->sum += strlen (db_result_get_text (result, 0, 0));
  return 1;
}

static guint
batch_of_selects (Bench *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbBatch) batch = db_batch_new ();
  g_autoptr (DbBatchResult) results = NULL;

  for (int i = 0; i < BATCH; i++)
    {
      g_autoptr (DbParams) params = db_params_new ();

      db_params_add_int64 (params, next_key (self));
      db_batch_add_params (batch, SHORT_SQL, params);
    }
  results = db_connection_run_batch (self->connection, batch, DB_BATCH_NONE, NULL, &error);
  if (results == NULL)
    fail ("batch", error);
  for (int i = 0; i < BATCH; i++)
    self->sum += strlen (db_result_get_text (db_batch_result_get_result (results, i, NULL), 0, 0));
  return BATCH;
}

static guint
batch_of_inserts (Bench *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbParams) rows = db_params_new ();

  for (int i = 0; i < BATCH; i++)
    {
      db_params_add_int64 (rows, next_key (self));
      db_params_add_text (rows, "a name");
      db_params_next_row (rows);
    }
  if (db_connection_execute_many (self->connection, "INSERT INTO target VALUES ($1, $2)", rows,
                                  NULL, &error) < 0)
    fail ("execute_many", error);
  return BATCH;
}

static guint
insert_one (Bench *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbParams) params = db_params_new ();

  db_params_add_int64 (params, next_key (self));
  db_params_add_text (params, "a name");
  if (db_connection_execute_params (self->connection, "INSERT INTO target VALUES ($1, $2)", params,
                                    NULL, &error) < 0)
    fail ("insert", error);
  return 1;
}

/* libpq alone. */

static void
read_pgresult (Bench *self, PGresult *result)
{
  if (PQresultStatus (result) != PGRES_TUPLES_OK)
    fail (PQresultErrorMessage (result), NULL);
  self->sum += (guint64) atoll (PQgetvalue (result, 0, 0)) + strlen (PQgetvalue (result, 0, 1)) +
               (guint64) g_ascii_strtod (PQgetvalue (result, 0, 2), NULL) +
               strlen (PQgetvalue (result, 0, 3)) + strlen (PQgetvalue (result, 0, 4));
  PQclear (result);
}

static guint
select_prepared (Bench *self)
{
  char key[24];
  const char *const values[] = {key};

  g_snprintf (key, sizeof key, "%" G_GINT64_FORMAT, next_key (self));
  read_pgresult (self, PQexecPrepared (self->pgconn, "bench", 1, values, NULL, NULL, 0));
  return 1;
}

static guint
select_params (Bench *self)
{
  char key[24];
  const char *const values[] = {key};

  g_snprintf (key, sizeof key, "%" G_GINT64_FORMAT, next_key (self));
  read_pgresult (self, PQexecParams (self->pgconn, SELECT_SQL, 1, NULL, values, NULL, NULL, 0));
  return 1;
}

typedef struct
{
  GSource source;
  PGconn *conn;
  GTask *task;
} BareSource;

static gboolean
dispatch_bare (GSource *source, GSourceFunc callback, gpointer user_data)
{
  BareSource *self = (BareSource *) source;
  PGresult *result, *more;

  PQconsumeInput (self->conn);
  if (PQisBusy (self->conn))
    return G_SOURCE_CONTINUE;
  result = PQgetResult (self->conn);
  while ((more = PQgetResult (self->conn)) != NULL)
    PQclear (more);
  g_task_return_pointer (self->task, result, (GDestroyNotify) PQclear);
  g_object_unref (self->task);
  return G_SOURCE_REMOVE;
}

static GSourceFuncs bare_funcs = {NULL, NULL, dispatch_bare, NULL, NULL, NULL};

static guint
select_bare_async (Bench *self)
{
  char key[24];
  const char *const values[] = {key};
  g_autoptr (GAsyncResult) async_result = NULL;
  BareSource *source = (BareSource *) g_source_new (&bare_funcs, sizeof (BareSource));

  g_snprintf (key, sizeof key, "%" G_GINT64_FORMAT, next_key (self));
  source->conn = self->pgconn;
  source->task = g_task_new (NULL, NULL, selected_cb, &async_result);
  PQsendQueryPrepared (self->pgconn, "bench", 1, values, NULL, NULL, 0);
  PQflush (self->pgconn);
  g_source_add_unix_fd (&source->source, PQsocket (self->pgconn), G_IO_IN);
  g_source_attach (&source->source, self->context);
  g_source_unref (&source->source);
  while (async_result == NULL)
    g_main_context_iteration (self->context, TRUE);
  read_pgresult (self, g_task_propagate_pointer (G_TASK (async_result), NULL));
  return 1;
}

/* sqlite3 alone. */

static guint
select_sqlite (Bench *self)
{
  sqlite3_stmt *stmt = self->stmt;

  sqlite3_bind_int64 (stmt, 1, next_key (self));
  if (sqlite3_step (stmt) != SQLITE_ROW)
    fail (sqlite3_errmsg (self->sqlite), NULL);
  self->sum += (guint64) sqlite3_column_int64 (stmt, 0) +
               strlen ((const char *) sqlite3_column_text (stmt, 1)) +
               (guint64) sqlite3_column_double (stmt, 2) +
               strlen ((const char *) sqlite3_column_text (stmt, 3)) +
               strlen ((const char *) sqlite3_column_text (stmt, 4));
  if (sqlite3_step (stmt) != SQLITE_DONE)
    fail (sqlite3_errmsg (self->sqlite), NULL);
  sqlite3_reset (stmt);
  return 1;
}

/* Measuring. */

static double
run_slice (Bench *bench, WorkFunc work)
{
  gint64 start = g_get_monotonic_time ();
  gint64 now;
  guint64 n = 0;

  do
    {
      n += work (bench);
      now = g_get_monotonic_time ();
    }
  while (now - start < SLICE);
  return (double) n * G_USEC_PER_SEC / (double) (now - start);
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  double left = *(const double *) a, right = *(const double *) b;

  return (left > right) - (left < right);
}

static double
median (double *values, int n)
{
  qsort (values, n, sizeof *values, compare_doubles);
  return values[n / 2];
}

static gboolean
is_wanted (const char *name)
{
  return names == NULL || g_strv_contains ((const char *const *) names, name);
}

/* @ours against @floor, of which @at_least is asked. */
static void
compare (Bench *bench,
         const char *name,
         const char *what,
         WorkFunc ours,
         WorkFunc floor,
         double at_least)
{
  int n = MAX ((int) (seconds * G_TIME_SPAN_SECOND / (2 * SLICE)), 3);
  g_autofree double *ours_rates = g_new (double, n);
  g_autofree double *floor_rates = g_new (double, n);
  g_autofree double *ratios = g_new (double, n);
  double ratio;

  if (!is_wanted (name))
    return;
  run_slice (bench, ours);
  run_slice (bench, floor);
  for (int i = 0; i < n; i++)
    {
      /* Now the one begins and now the other, so that it does not matter which comes first. */
      if (i % 2 == 1)
        floor_rates[i] = run_slice (bench, floor);
      ours_rates[i] = run_slice (bench, ours);
      if (i % 2 == 0)
        floor_rates[i] = run_slice (bench, floor);
      ratios[i] = ours_rates[i] / floor_rates[i];
    }
  ratio = median (ratios, n);
  if (as_json)
    printf ("{\"name\": \"%s\", \"per_second\": %.0f, \"floor_per_second\": %.0f, \"ratio\": %.3f, "
            "\"at_least\": %.2f}\n",
            name, median (ours_rates, n), median (floor_rates, n), ratio, at_least);
  else
    printf ("%-16s %-58s %9.0f/s %9.0f/s %6.2f (%.2f)\n", name, what, median (ours_rates, n),
            median (floor_rates, n), ratio, at_least);
  fflush (stdout);
}

static gsize
get_resident (void)
{
  g_autofree char *text = NULL;
  gsize total, resident;

  if (!g_file_get_contents ("/proc/self/statm", &text, NULL, NULL) ||
      sscanf (text, "%zu %zu", &total, &resident) != 2)
    return 0;
  return resident * 4096;
}

/* Reads ten million rows and looks at the memory. */
static void
stream (Bench *bench, const char *name, const char *sql)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbCursor) cursor = NULL;
  gint64 start = g_get_monotonic_time ();
  gsize before = get_resident (), most = before;
  guint64 n = 0;
  guint n_rows;
  double took;

  if (!is_wanted (name))
    return;
  cursor = db_connection_open_cursor (bench->connection, sql, NULL, 1000, NULL, &error);
  if (cursor == NULL)
    fail (name, error);
  do
    {
      g_autoptr (DbResult) rows = db_cursor_fetch (cursor, NULL, &error);

      if (rows == NULL)
        fail (name, error);
      n_rows = db_result_get_n_rows (rows);
      n += n_rows;
      most = MAX (most, get_resident ());
    }
  while (n_rows > 0);
  took = (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
  if (as_json)
    printf ("{\"name\": \"%s\", \"rows\": %" G_GUINT64_FORMAT
            ", \"per_second\": %.0f, \"grown_kib\": %zu, \"at_most_kib\": 16384}\n",
            name, n, n / took, (most - before) / 1024);
  else
    printf ("%-16s %" G_GUINT64_FORMAT " rows: %.0f/s, memory grew by %zu KiB (16384)\n", name, n,
            n / took, (most - before) / 1024);
}

static DbConnection *
open_connection (const char *uri, DbPool **pool)
{
  g_autoptr (DbPoolFactory) factory = db_pool_factory_new ();
  g_autoptr (GError) error = NULL;
  DbConnection *connection;

  *pool = db_pool_factory_create_pool (factory, uri, NULL, NULL, &error);
  if (*pool == NULL)
    fail (uri, error);
  connection = db_pool_acquire (*pool, NULL, &error);
  if (connection == NULL)
    fail (uri, error);
  return connection;
}

static void
run_script (Bench *bench, const char *sql)
{
  g_autoptr (GError) error = NULL;

  if (!db_connection_execute_script (bench->connection, sql, NULL, &error))
    fail (sql, error);
}

static void
bench_postgres (const char *uri)
{
  Bench bench = {0};
  g_autoptr (DbPool) pool = NULL;

  bench.context = g_main_context_default ();
  bench.connection = open_connection (uri, &pool);
  run_script (&bench,
              "CREATE TEMP TABLE bench AS SELECT i::bigint AS id, 'name ' || i AS name, "
              "i / 7.0::double precision AS price, now () AS created, repeat ('x', 40) AS note "
              "FROM generate_series (0, 9999) AS i; ALTER TABLE bench ADD PRIMARY KEY (id); "
              "CREATE TEMP TABLE target (id bigint, name text)");
  bench.pgconn = db_postgres_connection_get_pgconn (bench.connection);
  PQclear (PQprepare (bench.pgconn, "bench", SELECT_SQL, 1, NULL));

  compare (&bench, "pg-prepared", "SELECT by key: dbpool, PQexecPrepared", select_dbpool,
           select_prepared, 0.95);
  compare (&bench, "pg-params", "SELECT by key: dbpool, PQexecParams", select_dbpool, select_params,
           1.2);
  compare (&bench, "pg-async", "SELECT by key on a main loop: dbpool, GSource + GTask",
           select_dbpool_async, select_bare_async, 0.9);
  compare (&bench, "pg-batch-select", "batch of 100 SELECTs, one by one", batch_of_selects,
           select_short, 5);
  compare (&bench, "pg-batch-insert", "100 INSERTs by execute_many, one by one", batch_of_inserts,
           insert_one, 5);
  stream (&bench, "pg-stream", "SELECT i, 'a text ' || i FROM generate_series (1, 10000000) AS i");
  g_object_unref (bench.connection);
}

static void
bench_sqlite (void)
{
  Bench bench = {0};
  g_autofree char *folder = g_dir_make_tmp ("bench-sql-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "bench.db", NULL);
  g_autofree char *uri = g_strconcat ("sqlite:", path, NULL);
  g_autofree char *remove = g_strdup_printf ("rm -r '%s'", folder);
  g_autoptr (DbPool) pool = NULL;

  bench.context = g_main_context_default ();
  bench.connection = open_connection (uri, &pool);
  run_script (&bench,
              "CREATE TABLE bench (id INTEGER PRIMARY KEY, name TEXT, price REAL, created TEXT, "
              "note TEXT); INSERT INTO bench WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT "
              "i + 1 FROM n WHERE i < 9999) SELECT i, 'name ' || i, i / 7.0, "
              "'2026-11-23 12:00:00', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' FROM n; "
              "CREATE TABLE target (id INTEGER, name TEXT)");
  bench.sqlite = db_sqlite_connection_get_handle (bench.connection);
  if (sqlite3_prepare_v3 (bench.sqlite, SELECT_RAW_SQLITE, -1, SQLITE_PREPARE_PERSISTENT,
                          &bench.stmt, NULL) != SQLITE_OK)
    fail (sqlite3_errmsg (bench.sqlite), NULL);

  compare (&bench, "sqlite", "SELECT by key: dbpool, sqlite3 prepared", select_dbpool,
           select_sqlite, 0.8);
  compare (&bench, "sqlite-batch", "100 INSERTs by execute_many, one by one", batch_of_inserts,
           insert_one, 5);
  stream (&bench, "sqlite-stream",
          "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000) "
          "SELECT i, 'a text ' || i FROM n");
  sqlite3_finalize (bench.stmt);
  g_object_unref (bench.connection);
  db_pool_close (pool, G_TIME_SPAN_SECOND, NULL, NULL);
  if (system (remove) != 0)
    fprintf (stderr, "%s is left\n", folder);
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  const char *uri = g_getenv ("DBPOOL_TEST_POSTGRES_URI");

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    fail ("bench-sql", error);
  if (!as_json)
    printf ("%-16s %-58s %11s %11s %6s (wanted)\n", "", "work: this, against that", "this", "that",
            "ratio");
  if (uri != NULL)
    bench_postgres (uri);
  else
    fprintf (stderr, "without PostgreSQL: DBPOOL_TEST_POSTGRES_URI is not set\n");
  bench_sqlite ();
  return 0;
}
