/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The handle on a loan. It holds the lease and the number of its loan, and every call goes through
 * the lease, which knows whether that loan is still the current one; so a handle needs no state of
 * its own to be inert after its release. What it has besides are the transactions that are open on
 * it. Its lock protects those, and is never held while anything else runs. */

#include "config.h"

#include "db-connection-private.h"
#include "db-error.h"
#include "db-operation-private.h"

/**
 * DbConnection:
 *
 * A database session on loan from a [class@Db.Pool].
 *
 * A connection is borrowed with [method@Db.Pool.acquire] and is on loan until
 * [method@Db.Connection.release] or until its last reference is dropped, whichever comes first.
 * Neither blocks. After that the handle is inert: every call fails with `DB_ERROR_RELEASED`, and
 * nothing done to it can reach whoever borrows the session next. In languages with a garbage
 * collector, release explicitly (in Python, use `with`).
 *
 * Parameters are written `$1`, `$2` and so on, on every database, and are given as a tuple
 * #GVariant, one member for each (`(xs)` for a number and a text; `m` types for what may be NULL),
 * or as a [struct@Db.Params].
 *
 * A connection may be used from any thread, by one operation at a time: an asynchronous call made
 * while another one is in flight waits its turn, in call order, and a blocking one fails with
 * `G_IO_ERROR_PENDING`.
 *
 * Since: 1.0
 */
struct _DbConnection
{
  GObject parent_instance;

  /* read-only after construction */
  DbLease *lease;
  guint64 loan;

  DbLock lock;
  GArray *transactions; /* lock: serials (guint64), outermost first; NULL until the first */
  guint64 last_serial;  /* lock */
  int abandoned_depth;  /* lock: end what is open from here on; -1: nothing */
};

G_DEFINE_FINAL_TYPE (DbConnection, db_connection, G_TYPE_OBJECT)

static void
db_connection_dispose (GObject *object)
{
  DbConnection *self = DB_CONNECTION (object);

  db_lease_end (self->lease, self->loan, DB_LOAN_FINALIZED);
  G_OBJECT_CLASS (db_connection_parent_class)->dispose (object);
}

static void
db_connection_finalize (GObject *object)
{
  DbConnection *self = DB_CONNECTION (object);

  db_lease_unref (self->lease);
  g_clear_pointer (&self->transactions, g_array_unref);
  db_lock_clear (&self->lock);
  G_OBJECT_CLASS (db_connection_parent_class)->finalize (object);
}

static void
db_connection_class_init (DbConnectionClass *klass)
{
  G_OBJECT_CLASS (klass)->dispose = db_connection_dispose;
  G_OBJECT_CLASS (klass)->finalize = db_connection_finalize;
}

static void
db_connection_init (DbConnection *self)
{
  db_lock_init (&self->lock);
  self->abandoned_depth = -1;
}

DbConnection *
db_connection_new (DbLease *lease, guint64 loan)
{
  DbConnection *self = g_object_new (DB_TYPE_CONNECTION, NULL);

  self->lease = lease;
  self->loan = loan;
  return self;
}

DbLease *
db_connection_get_lease (DbConnection *self)
{
  return self->lease;
}

guint64
db_connection_get_loan (DbConnection *self)
{
  return self->loan;
}

/* Transactions. */

guint
db_connection_get_depth (DbConnection *self)
{
  DB_LOCK_SCOPE (&self->lock);

  return self->transactions != NULL ? self->transactions->len : 0;
}

guint64
db_connection_push_transaction (DbConnection *self)
{
  DB_LOCK_SCOPE (&self->lock);
  guint64 serial = ++self->last_serial;

  if (self->transactions == NULL)
    self->transactions = g_array_new (FALSE, FALSE, sizeof (guint64));
  g_array_append_val (self->transactions, serial);
  return serial;
}

static int
find_transaction_locked (DbConnection *self, guint64 serial)
{
  if (self->transactions == NULL)
    return -1;
  for (guint i = 0; i < self->transactions->len; i++)
    if (g_array_index (self->transactions, guint64, i) == serial)
      return (int) i;
  return -1;
}

int
db_connection_find_transaction (DbConnection *self, guint64 serial)
{
  DB_LOCK_SCOPE (&self->lock);

  return find_transaction_locked (self, serial);
}

void
db_connection_pop_transactions (DbConnection *self, guint depth)
{
  DB_LOCK_SCOPE (&self->lock);

  if (self->transactions != NULL && self->transactions->len > depth)
    g_array_set_size (self->transactions, depth);
}

void
db_connection_abandon_transaction (DbConnection *self, guint64 serial)
{
  DB_LOCK_SCOPE (&self->lock);
  int depth = find_transaction_locked (self, serial);

  if (depth >= 0 && (self->abandoned_depth < 0 || depth < self->abandoned_depth))
    self->abandoned_depth = depth;
}

char *
db_connection_take_abandoned (DbConnection *self)
{
  int depth;
  gboolean was_open;

  db_lock_lock (&self->lock);
  depth = self->abandoned_depth;
  self->abandoned_depth = -1;
  was_open = depth >= 0 && self->transactions->len > (guint) depth;
  if (was_open)
    g_array_set_size (self->transactions, (guint) depth);
  db_lock_unlock (&self->lock);

  /* The application may have ended it with a statement of its own. */
  if (!was_open || db_session_get_state (self->lease->session) == DB_SESSION_IDLE)
    return NULL;
  return db_connection_format_rollback ((guint) depth);
}

char *
db_connection_format_rollback (guint depth)
{
  if (depth == 0)
    return g_strdup ("ROLLBACK");
  return g_strdup_printf ("ROLLBACK TO SAVEPOINT dbpool_%u; RELEASE SAVEPOINT dbpool_%u", depth,
                          depth);
}

/* The loan. */

/**
 * db_connection_release:
 * @self: a connection
 *
 * Gives the connection back to its pool, whatever other references to it exist.
 *
 * Never blocks: a transaction that is still open is rolled back, and a session that was changed is
 * reset, on dbpool's own threads before anybody else gets it. If an operation is in flight the
 * session goes back when that has ended; asynchronous ones that wait their turn fail with
 * `DB_ERROR_RELEASED`. Releasing again does nothing. May be called from any thread.
 *
 * Since: 1.0
 */
void
db_connection_release (DbConnection *self)
{
  g_return_if_fail (DB_IS_CONNECTION (self));

  db_lease_end (self->lease, self->loan, DB_LOAN_RELEASED);
}

/**
 * db_connection_is_released:
 * @self: a connection
 *
 * Says whether the connection was given back, or taken back by a pool that closed.
 *
 * May be called from any thread and does not block.
 *
 * Returns: %TRUE if every further call will fail with `DB_ERROR_RELEASED`
 *
 * Since: 1.0
 */
gboolean
db_connection_is_released (DbConnection *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), TRUE);

  return !db_lease_is_current (self->lease, self->loan);
}

/**
 * db_connection_get_id:
 * @self: a connection
 *
 * Gets the number of the session that is on loan, which no other session of its pool ever has.
 *
 * May be called from any thread and does not block.
 *
 * Returns: a number, that of [property@Db.ConnectionInfo:id]
 *
 * Since: 1.0
 */
guint64
db_connection_get_id (DbConnection *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), 0);

  return self->lease->id;
}

/**
 * db_connection_evict:
 * @self: a connection
 *
 * Has the session closed instead of lent again when the connection is returned.
 *
 * Does nothing if the connection was released. May be called from any thread and does not block.
 *
 * Since: 1.0
 */
void
db_connection_evict (DbConnection *self)
{
  g_return_if_fail (DB_IS_CONNECTION (self));

  db_lease_evict (self->lease, self->loan);
}

/**
 * db_connection_detach:
 * @self: a connection
 * @error: return location for an error
 *
 * Takes the session out of the pool for good: it no longer counts against `max-connections`, and
 * the pool may open another one in its place.
 *
 * The connection stays usable, also after the pool was closed; its release, or its last reference,
 * closes the session. Detaching again does nothing.
 *
 * Does not block, may be called from any thread. Fails with `DB_ERROR_RELEASED`, and with
 * `G_IO_ERROR_PENDING` while an operation uses the connection.
 *
 * Returns: %TRUE if the session is no longer the pool's
 *
 * Since: 1.0
 */
gboolean
db_connection_detach (DbConnection *self, GError **error)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), FALSE);

  return db_lease_detach (self->lease, self->loan, error);
}

/**
 * db_connection_get_session:
 * @self: a connection
 *
 * Gets the session that is on loan. For authors of managers; applications have no use for it.
 *
 * It must not be used after the connection was released, nor while an operation is in flight.
 *
 * Returns: (transfer none) (nullable): the session, or %NULL once released
 *
 * Since: 1.0
 */
DbSession *
db_connection_get_session (DbConnection *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);

  return db_lease_is_current (self->lease, self->loan) ? self->lease->session : NULL;
}

/* Statements. The blocking form borrows what it is given; the asynchronous one copies it. */

static DbResult *
run_now (DbConnection *self,
         const char *sql,
         DbParams *params,
         DbParams *own_params,
         DbStatementFlags flags,
         GCancellable *cancellable,
         GError **error)
{
  DbOperation operation = {.plan = {sql, params != NULL ? params : own_params, flags, 0},
                           .own_params = own_params,
                           .connection = self};

  return db_operation_run (&operation, cancellable, error);
}

static void
run_later (DbConnection *self,
           const char *sql,
           DbParams *own_params,
           DbStatementFlags flags,
           GTask *task)
{
  DbOperation *operation = g_new0 (DbOperation, 1);

  operation->connection = self;
  operation->own_sql = g_strdup (sql);
  operation->own_params = own_params;
  operation->plan.sql = operation->own_sql;
  operation->plan.params = own_params;
  operation->plan.flags = flags;
  db_operation_start (operation, task);
}

/* What execute() returns for a statement that says nothing of rows. */
static gint64
count_rows (DbResult *result)
{
  gint64 n = result != NULL ? db_result_get_rows_affected (result) : -1;

  return result != NULL ? MAX (n, 0) : -1;
}

static gboolean
convert (GVariant *params, DbParams **converted, GError **error)
{
  *converted = NULL;
  if (params == NULL)
    return TRUE;
  *converted = db_params_new_from_variant (params, error);
  return *converted != NULL;
}

static GTask *
new_task (DbConnection *self,
          gpointer tag,
          const char *name,
          GCancellable *cancellable,
          GAsyncReadyCallback callback,
          gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, tag);
  g_task_set_name (task, name);
  return task;
}

static DbResult *
query_now (DbConnection *self,
           const char *sql,
           GVariant *params,
           DbStatementFlags flags,
           GCancellable *cancellable,
           GError **error)
{
  DbParams *converted;

  if (!convert (params, &converted, error))
    return NULL;
  return run_now (self, sql, NULL, converted, flags, cancellable, error);
}

static void
query_later (DbConnection *self,
             const char *sql,
             GVariant *params,
             DbStatementFlags flags,
             GTask *task)
{
  DbParams *converted;
  GError *error = NULL;

  if (convert (params, &converted, &error))
    {
      run_later (self, sql, converted, flags, task);
      return;
    }
  g_task_return_error (task, error);
  g_object_unref (task);
}

/**
 * db_connection_query:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs a statement and gets its rows.
 *
 * Blocks. May be called from any thread; fails with `G_IO_ERROR_PENDING` if another operation is in
 * flight. The result is independent of the connection. Errors of the database come as
 * `DB_ERROR_QUERY`, `DB_ERROR_CONSTRAINT` and so on, with its code at the end of the text.
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_connection_query (DbConnection *self,
                     const char *sql,
                     GVariant *params,
                     GCancellable *cancellable,
                     GError **error)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (sql != NULL, NULL);

  return query_now (self, sql, params, DB_STATEMENT_NONE, cancellable, error);
}

/**
 * db_connection_query_async:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.query]. Waits its turn if another operation is in
 * flight.
 *
 * Since: 1.0
 */
void
db_connection_query_async (DbConnection *self,
                           const char *sql,
                           GVariant *params,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  task =
    new_task (self, db_connection_query_async, "[dbpool] query", cancellable, callback, user_data);
  query_later (self, sql, params, DB_STATEMENT_NONE, task);
}

/**
 * db_connection_query_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.query_async].
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_connection_query_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * db_connection_execute:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs a statement for its effect.
 *
 * Blocks; otherwise as [method@Db.Connection.query].
 *
 * Returns: how many rows it changed (0 for a statement that changes none), or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_connection_execute (DbConnection *self,
                       const char *sql,
                       GVariant *params,
                       GCancellable *cancellable,
                       GError **error)
{
  g_autoptr (DbResult) result = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION (self), -1);
  g_return_val_if_fail (sql != NULL, -1);

  result = query_now (self, sql, params, DB_STATEMENT_NO_ROWS, cancellable, error);
  return count_rows (result);
}

/**
 * db_connection_execute_async:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): a tuple with a value for each parameter; consumed if floating
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.execute]. Waits its turn if another operation is
 * in flight.
 *
 * Since: 1.0
 */
void
db_connection_execute_async (DbConnection *self,
                             const char *sql,
                             GVariant *params,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  task = new_task (self, db_connection_execute_async, "[dbpool] execute", cancellable, callback,
                   user_data);
  query_later (self, sql, params, DB_STATEMENT_NO_ROWS, task);
}

/**
 * db_connection_execute_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.execute_async].
 *
 * Returns: how many rows it changed, or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_connection_execute_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  g_autoptr (DbResult) rows = db_connection_query_finish (self, result, error);

  return count_rows (rows);
}

/**
 * db_connection_query_params:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs a statement with typed parameters and gets its rows. As [method@Db.Connection.query].
 *
 * @params must not be changed meanwhile.
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_connection_query_params (DbConnection *self,
                            const char *sql,
                            DbParams *params,
                            GCancellable *cancellable,
                            GError **error)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (sql != NULL, NULL);

  return run_now (self, sql, params, NULL, DB_STATEMENT_NONE, cancellable, error);
}

/**
 * db_connection_query_params_async:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row; copied
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.query_params].
 *
 * Since: 1.0
 */
void
db_connection_query_params_async (DbConnection *self,
                                  const char *sql,
                                  DbParams *params,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  task = new_task (self, db_connection_query_params_async, "[dbpool] query", cancellable, callback,
                   user_data);
  run_later (self, sql, params != NULL ? db_params_copy (params) : NULL, DB_STATEMENT_NONE, task);
}

/**
 * db_connection_query_params_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.query_params_async].
 *
 * Returns: (transfer full): the result
 *
 * Since: 1.0
 */
DbResult *
db_connection_query_params_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  return db_connection_query_finish (self, result, error);
}

/**
 * db_connection_execute_params:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs a statement with typed parameters for its effect. As [method@Db.Connection.execute].
 *
 * Returns: how many rows it changed, or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_connection_execute_params (DbConnection *self,
                              const char *sql,
                              DbParams *params,
                              GCancellable *cancellable,
                              GError **error)
{
  g_autoptr (DbResult) result = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION (self), -1);
  g_return_val_if_fail (sql != NULL, -1);

  result = run_now (self, sql, params, NULL, DB_STATEMENT_NO_ROWS, cancellable, error);
  return count_rows (result);
}

/**
 * db_connection_execute_params_async:
 * @self: a connection
 * @sql: one statement
 * @params: (nullable): the parameters, in their first row; copied
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.execute_params].
 *
 * Since: 1.0
 */
void
db_connection_execute_params_async (DbConnection *self,
                                    const char *sql,
                                    DbParams *params,
                                    GCancellable *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  task = new_task (self, db_connection_execute_params_async, "[dbpool] execute", cancellable,
                   callback, user_data);
  run_later (self, sql, params != NULL ? db_params_copy (params) : NULL, DB_STATEMENT_NO_ROWS,
             task);
}

/**
 * db_connection_execute_params_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.execute_params_async].
 *
 * Returns: how many rows it changed, or -1 with @error set
 *
 * Since: 1.0
 */
gint64
db_connection_execute_params_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  return db_connection_execute_finish (self, result, error);
}

/**
 * db_connection_execute_script:
 * @self: a connection
 * @sql: any number of statements, without parameters
 * @cancellable: (nullable): a cancellable
 * @error: return location for an error
 *
 * Runs statements one after the other, up to the first that fails.
 *
 * Blocks; otherwise as [method@Db.Connection.query]. What the statements return is dropped.
 *
 * Returns: %TRUE if all succeeded
 *
 * Since: 1.0
 */
gboolean
db_connection_execute_script (DbConnection *self,
                              const char *sql,
                              GCancellable *cancellable,
                              GError **error)
{
  g_autoptr (DbResult) result = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION (self), FALSE);
  g_return_val_if_fail (sql != NULL, FALSE);

  result =
    run_now (self, sql, NULL, NULL, DB_STATEMENT_SCRIPT | DB_STATEMENT_NO_ROWS, cancellable, error);
  return result != NULL;
}

/**
 * db_connection_execute_script_async:
 * @self: a connection
 * @sql: any number of statements, without parameters
 * @cancellable: (nullable): a cancellable
 * @callback: (scope async): called in the thread-default context of the caller
 * @user_data: data for @callback
 *
 * The asynchronous form of [method@Db.Connection.execute_script].
 *
 * Since: 1.0
 */
void
db_connection_execute_script_async (DbConnection *self,
                                    const char *sql,
                                    GCancellable *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data)
{
  GTask *task;

  g_return_if_fail (DB_IS_CONNECTION (self));
  g_return_if_fail (sql != NULL);

  task = new_task (self, db_connection_execute_script_async, "[dbpool] script", cancellable,
                   callback, user_data);
  run_later (self, sql, NULL, DB_STATEMENT_SCRIPT | DB_STATEMENT_NO_ROWS, task);
}

/**
 * db_connection_execute_script_finish:
 * @self: a connection
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Db.Connection.execute_script_async].
 *
 * Returns: %TRUE if all succeeded
 *
 * Since: 1.0
 */
gboolean
db_connection_execute_script_finish (DbConnection *self, GAsyncResult *result, GError **error)
{
  g_autoptr (DbResult) rows = db_connection_query_finish (self, result, error);

  return rows != NULL;
}
