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
#include "db-reuse-private.h"
#include "db-session-private.h"

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

  /* read-only from the beginning of a loan until the handle is given back for the next one */
  DbLease *lease; /* a reference, but that of a spare, which is the lease's */
  guint64 loan;

  DbLock lock;
  GArray *transactions;    /* lock: of DbOpenTransaction, outermost first; NULL until the first */
  guint64 last_serial;     /* lock */
  int abandoned_depth;     /* lock: end what is open from here on; -1: nothing */
  GQueue dropped;          /* lock: of DbPending *: what cursors have left */
  DbErrorInfo *last_error; /* lock; atomic, to see whether there is one */

  int has_pending; /* atomic: there may be something to end; until then there are no transactions */
};

typedef struct
{
  guint64 serial;
  gboolean for_cursors; /* nobody has a guard on it */
  guint n_cursors;      /* then: how many still need it */
  gboolean used;        /* then: something was run in it */
} DbOpenTransaction;

G_DEFINE_FINAL_TYPE (DbConnection, db_connection, G_TYPE_OBJECT)

void
db_stream_free (DbStream *self)
{
  if (self->destroy != NULL && self->data != NULL)
    self->destroy (self->data);
  g_free (self);
}

void
db_pending_clear (DbPending *self)
{
  g_clear_pointer (&self->sql, g_free);
  g_clear_pointer (&self->stream, db_stream_free);
  self->undo = NULL;
  self->loses = FALSE;
}

static void
pending_free (DbPending *self)
{
  db_pending_clear (self);
  g_free (self);
}

static void
db_connection_dispose (GObject *object)
{
  DbConnection *self = DB_CONNECTION (object);

  if (self->lease != NULL)
    db_lease_end (self->lease, self->loan, DB_LOAN_FINALIZED);
  G_OBJECT_CLASS (db_connection_parent_class)->dispose (object);
}

static void
db_connection_finalize (GObject *object)
{
  DbConnection *self = DB_CONNECTION (object);

  g_clear_pointer (&self->lease, db_lease_unref);
  g_clear_pointer (&self->transactions, g_array_unref);
  g_clear_pointer (&self->last_error, db_error_info_unref);
  while (!g_queue_is_empty (&self->dropped))
    pending_free (g_queue_pop_head (&self->dropped));
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
  DbConnection *self = g_steal_pointer (&lease->spare);

  if (self == NULL)
    self = g_object_new (DB_TYPE_CONNECTION, NULL);
  self->lease = lease;
  self->loan = loan;
  return self;
}

/* Whether nothing of this loan is left to be ended: then the handle is as good as a new one. Nobody
 * else has it. */
static gboolean
is_settled (DbConnection *self)
{
  return (self->transactions == NULL || self->transactions->len == 0) &&
         self->abandoned_depth < 0 && g_queue_is_empty (&self->dropped);
}

/* Ends the loan, and lets the handle serve the next one, if it can be. */
static gboolean
end_and_keep (DbConnection *self, DbLoanEnd how)
{
  DbLease *lease = self->lease;

  if (!db_is_nobody_elses (self) || !is_settled (self))
    return FALSE;
  g_clear_pointer (&self->last_error, db_error_info_unref);
  if (!db_lease_end_with (lease, self->loan, how, self))
    return FALSE;
  db_lease_unref (lease); /* the handle's */
  return TRUE;
}

void
db_connection_give_back (DbConnection *self)
{
  if (end_and_keep (self, DB_LOAN_RELEASED))
    return;
  db_lease_end (self->lease, self->loan, DB_LOAN_RELEASED);
  g_object_unref (self);
}

/**
 * db_connection_drop: (skip)
 * @self: (transfer full): a connection
 *
 * Drops a reference, like g_object_unref(), at half the price if it is the last one and nothing was
 * attached to the object: that then serves the next loan. This is what g_autoptr() does with a
 * connection. Does not block.
 *
 * Since: 1.0
 */
void
db_connection_drop (DbConnection *self)
{
  g_return_if_fail (DB_IS_CONNECTION (self));

  if (!end_and_keep (self, DB_LOAN_FINALIZED))
    g_object_unref (self);
}

void
db_connection_drop_spare (DbConnection *self)
{
  self->lease = NULL;
  g_object_unref (self);
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

/* Transactions, and what was dropped while open. */

guint
db_connection_get_depth (DbConnection *self)
{
  DB_LOCK_SCOPE (&self->lock);

  return self->transactions != NULL ? self->transactions->len : 0;
}

static DbOpenTransaction *
get_transaction_locked (DbConnection *self, guint depth)
{
  return &g_array_index (self->transactions, DbOpenTransaction, depth);
}

/* What a reset that finds a transaction open is to do: commit one of cursors, without what is open
 * inside it. */
static void
note_transactions (DbConnection *self)
{
  const char *end = NULL;

  db_lock_lock (&self->lock);
  if (self->transactions != NULL && self->transactions->len > 0 &&
      get_transaction_locked (self, 0)->for_cursors)
    end = self->transactions->len == 1 ? "COMMIT" : "ROLLBACK TO SAVEPOINT dbpool_1; COMMIT";
  db_lock_unlock (&self->lock);
  db_session_set_end (self->lease->session, end);
}

static guint64
push_locked (DbConnection *self, gboolean for_cursors)
{
  DbOpenTransaction transaction = {++self->last_serial, for_cursors};

  if (self->transactions == NULL)
    self->transactions = g_array_new (FALSE, FALSE, sizeof (DbOpenTransaction));
  g_array_append_val (self->transactions, transaction);
  g_atomic_int_set (&self->has_pending, TRUE);
  return transaction.serial;
}

guint64
db_connection_push_transaction (DbConnection *self)
{
  guint64 serial;

  db_lock_lock (&self->lock);
  serial = push_locked (self, FALSE);
  db_lock_unlock (&self->lock);
  note_transactions (self);
  return serial;
}

static int
find_transaction_locked (DbConnection *self, guint64 serial)
{
  if (self->transactions == NULL)
    return -1;
  for (guint i = 0; i < self->transactions->len; i++)
    if (get_transaction_locked (self, i)->serial == serial)
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
  db_lock_lock (&self->lock);
  if (self->transactions != NULL && self->transactions->len > depth)
    g_array_set_size (self->transactions, depth);
  db_lock_unlock (&self->lock);
  note_transactions (self);
}

void
db_connection_abandon_transaction (DbConnection *self, guint64 serial)
{
  DB_LOCK_SCOPE (&self->lock);
  int depth = find_transaction_locked (self, serial);

  if (depth >= 0 && (self->abandoned_depth < 0 || depth < self->abandoned_depth))
    self->abandoned_depth = depth;
}

guint64
db_connection_next_serial (DbConnection *self)
{
  DB_LOCK_SCOPE (&self->lock);

  return ++self->last_serial;
}

guint64
db_connection_enter_cursor (DbConnection *self, gboolean own)
{
  DbOpenTransaction *innermost;
  guint64 serial = 0;

  db_lock_lock (&self->lock);
  if (own)
    push_locked (self, TRUE);
  if (self->transactions != NULL && self->transactions->len > 0)
    {
      innermost = get_transaction_locked (self, self->transactions->len - 1);
      innermost->n_cursors++;
      serial = innermost->serial;
    }
  db_lock_unlock (&self->lock);
  note_transactions (self);
  return serial;
}

void
db_connection_leave_cursor (DbConnection *self, guint64 serial, char *name, DbStream *stream)
{
  DB_LOCK_SCOPE (&self->lock);
  int depth = find_transaction_locked (self, serial);
  DbOpenTransaction *transaction = depth >= 0 ? get_transaction_locked (self, depth) : NULL;
  gboolean ends_with_it;
  DbPending *pending;

  if (transaction != NULL)
    transaction->n_cursors--;
  ends_with_it = transaction == NULL || (transaction->for_cursors && transaction->n_cursors == 0);
  if (stream == NULL && (name == NULL || ends_with_it))
    {
      g_free (name);
      return;
    }
  pending = g_new0 (DbPending, 1);
  pending->stream = stream;
  if (name != NULL)
    {
      pending->sql =
        g_strdup_printf ("SAVEPOINT dbpool_close; CLOSE %s; RELEASE SAVEPOINT dbpool_close", name);
      pending->undo = "ROLLBACK TO SAVEPOINT dbpool_close; RELEASE SAVEPOINT dbpool_close";
    }
  g_free (name);
  g_queue_push_tail (&self->dropped, pending);
  g_atomic_int_set (&self->has_pending, TRUE);
}

/* What a cursor has left. SQL only works where nothing has failed, and goes with its transaction
 * anyway; or went with a savepoint of the application's own, which nobody knows here. */
static gboolean
take_dropped_locked (DbConnection *self, DbSessionState state, DbPending *pending)
{
  DbPending *dropped;

  while ((dropped = g_queue_pop_head (&self->dropped)) != NULL)
    {
      if (dropped->stream != NULL || state == DB_SESSION_IN_TRANSACTION)
        {
          *pending = *dropped;
          g_free (dropped);
          return TRUE;
        }
      pending_free (dropped);
    }
  return FALSE;
}

/* The application may have ended it with a statement of its own. */
static gboolean
take_abandoned_locked (DbConnection *self, DbSessionState state, DbPending *pending)
{
  int depth = self->abandoned_depth;

  self->abandoned_depth = -1;
  if (depth < 0 || self->transactions->len <= (guint) depth)
    return FALSE;
  g_array_set_size (self->transactions, (guint) depth);
  if (state == DB_SESSION_IDLE)
    return FALSE;
  pending->sql = db_connection_format_rollback ((guint) depth);
  return TRUE;
}

/* A transaction of cursors that nobody needs any more, or that has failed, and in which no other
 * one is open. */
static gboolean
take_cursors_own_locked (DbConnection *self, DbSessionState state, DbPending *pending)
{
  DbOpenTransaction *transaction;
  gboolean loses;

  if (self->transactions == NULL || self->transactions->len != 1)
    return FALSE;
  transaction = get_transaction_locked (self, 0);
  loses = state == DB_SESSION_FAILED_TRANSACTION;
  if (!transaction->for_cursors || (transaction->n_cursors > 0 && !loses))
    return FALSE;
  pending->loses = loses && transaction->used;
  g_array_set_size (self->transactions, 0);
  if (state == DB_SESSION_IDLE)
    return FALSE;
  pending->sql = g_strdup (loses ? "ROLLBACK" : "COMMIT");
  return TRUE;
}

gboolean
db_connection_take_pending (DbConnection *self, DbSession *session, DbPending *pending)
{
  DbSessionState state;
  gboolean is_clean, found;

  /* Twice for each statement; most connections never have any. */
  if (!g_atomic_int_get (&self->has_pending))
    return FALSE;
  db_lock_lock (&self->lock);
  is_clean = self->abandoned_depth < 0 && self->dropped.length == 0 &&
             (self->transactions == NULL || self->transactions->len != 1);
  db_lock_unlock (&self->lock);
  if (is_clean)
    return FALSE;

  state = db_session_get_state (session);
  if (state == DB_SESSION_BROKEN)
    return FALSE;
  db_lock_lock (&self->lock);
  found = take_dropped_locked (self, state, pending) ||
          take_abandoned_locked (self, state, pending) ||
          take_cursors_own_locked (self, state, pending);
  db_lock_unlock (&self->lock);
  note_transactions (self);
  return found;
}

void
db_connection_note_success (DbConnection *self)
{
  if (!g_atomic_int_get (&self->has_pending))
    return;
  db_lock_lock (&self->lock);
  if (self->transactions != NULL && self->transactions->len > 0)
    get_transaction_locked (self, 0)->used = TRUE;
  db_lock_unlock (&self->lock);
}

void
db_connection_set_error_info (DbConnection *self, DbErrorInfo *info)
{
  /* As a rule there is none, and was none. */
  if (info == NULL && g_atomic_pointer_get (&self->last_error) == NULL)
    return;
  if (info != NULL)
    db_error_info_ref (info);
  db_lock_lock (&self->lock);
  info = g_atomic_pointer_exchange (&self->last_error, info);
  db_lock_unlock (&self->lock);
  g_clear_pointer (&info, db_error_info_unref);
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

/**
 * db_connection_get_last_error_info:
 * @self: a connection
 *
 * Gets what the database said of the error with which the last call of the connection failed.
 *
 * The last call is the one that returned last, and of asynchronous ones the one that was finished
 * last: so, right after an error, it is about that error. May be called from any thread and does
 * not block; also after the connection was released.
 *
 * Returns: (transfer full) (nullable): the details; %NULL if the last statement succeeded, or if
 * its error was not the database's
 *
 * Since: 1.0
 */
DbErrorInfo *
db_connection_get_last_error_info (DbConnection *self)
{
  DbErrorInfo *info;

  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);

  db_lock_lock (&self->lock);
  info = self->last_error != NULL ? db_error_info_ref (self->last_error) : NULL;
  db_lock_unlock (&self->lock);
  return info;
}

static gboolean
is_quotable (const char *text)
{
  return g_utf8_validate (text, -1, NULL);
}

/**
 * db_connection_quote_identifier:
 * @self: a connection
 * @text: the name of a table, a column and so on, in UTF-8
 *
 * Gets a name as it has to stand in SQL, whatever characters it has.
 *
 * May be called from any thread and does not block; also after the connection was released.
 *
 * Returns: (transfer full) (nullable): the name in double quotes; %NULL if @text is no valid UTF-8
 * or empty, which no name can be
 *
 * Since: 1.0
 */
char *
db_connection_quote_identifier (DbConnection *self, const char *text)
{
  g_auto (GStrv) parts = NULL;
  g_autofree char *doubled = NULL;

  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (text != NULL, NULL);

  if (text[0] == '\0' || !is_quotable (text))
    return NULL;
  parts = g_strsplit (text, "\"", -1);
  doubled = g_strjoinv ("\"\"", parts);
  return g_strconcat ("\"", doubled, "\"", NULL);
}

/**
 * db_connection_quote_literal:
 * @self: a connection
 * @text: (nullable): a text, in UTF-8
 *
 * Gets a text as a literal of the database's SQL, for where a parameter cannot stand. Everywhere
 * else parameters are the better way.
 *
 * May be called from any thread and does not block; also after the connection was released.
 *
 * Returns: (transfer full) (nullable): the literal with its quotes, `NULL` in letters for %NULL;
 * %NULL if @text is no valid UTF-8
 *
 * Since: 1.0
 */
char *
db_connection_quote_literal (DbConnection *self, const char *text)
{
  g_return_val_if_fail (DB_IS_CONNECTION (self), NULL);

  if (text == NULL)
    return g_strdup ("NULL");
  if (!is_quotable (text))
    return NULL;
  return db_session_quote_literal (self->lease->session, text);
}
