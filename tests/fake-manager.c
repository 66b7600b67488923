/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The scripted manager; see the header. One lock and one condition for everything: tests are in no
 * hurry. */

#include "config.h"

#include "db-lock-private.h"
#include "db-result-private.h"
#include "fake-manager.h"

static DbLock lock;
static DbCond cond;

struct _FakeSession
{
  DbSession parent_instance;

  guint id;
  DbSessionState state; /* lock, like all below */
  gboolean alive;
  gboolean hangs;
  gboolean let_go;
  gboolean cancelled;
};

G_DEFINE_FINAL_TYPE (FakeSession, fake_session, DB_TYPE_SESSION)

static DbResult *
make_result (gint64 value)
{
  DbResultBuilder *builder = db_result_builder_new (1);

  db_result_builder_set_column (builder, 0, "value", DB_VALUE_TYPE_INT64);
  db_result_builder_add_int64 (builder, value);
  return db_result_builder_finish (builder, 1, -1);
}

static void
woken_cb (GCancellable *cancellable, gpointer data)
{
  DB_LOCK_SCOPE (&lock);

  db_cond_broadcast (&cond);
}

static gboolean
hang (FakeSession *self, GCancellable *cancellable, GError **error)
{
  gulong handler = 0;
  gboolean cancelled;

  if (cancellable != NULL)
    handler = g_cancellable_connect (cancellable, G_CALLBACK (woken_cb), NULL, NULL);
  db_lock_lock (&lock);
  self->hangs = TRUE;
  db_cond_broadcast (&cond);
  while (!self->let_go && !self->cancelled && !g_cancellable_is_cancelled (cancellable))
    db_cond_wait (&cond, &lock);
  cancelled = !self->let_go;
  self->hangs = self->let_go = self->cancelled = FALSE;
  db_lock_unlock (&lock);
  if (handler != 0)
    g_signal_handler_disconnect (cancellable, handler);
  if (cancelled)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "Operation was cancelled");
  return !cancelled;
}

static DbResult *
fake_session_run (DbSession *session,
                  const DbStatementPlan *plan,
                  GCancellable *cancellable,
                  GError **error)
{
  FakeSession *self = FAKE_SESSION (session);
  const char *sql = db_statement_plan_get_sql (plan);

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  if (g_str_equal (sql, "hang") && !hang (self, cancellable, error))
    return NULL;
  if (g_str_equal (sql, "fail"))
    {
      g_set_error_literal (error, DB_ERROR, DB_ERROR_QUERY, "simulated [SQLSTATE 42601]");
      return NULL;
    }
  if (g_str_equal (sql, "fail silently"))
    return NULL;
  if (g_str_has_prefix (sql, "BEGIN"))
    fake_session_set_state (self, DB_SESSION_IN_TRANSACTION);
  if (g_str_equal (sql, "COMMIT") || g_str_equal (sql, "ROLLBACK"))
    fake_session_set_state (self, DB_SESSION_IDLE);
  if (g_str_equal (sql, "SET"))
    db_session_mark_dirty (session);
  return make_result (self->id);
}

static gboolean
fake_session_cancel (DbSession *session)
{
  FakeSession *self = FAKE_SESSION (session);
  DB_LOCK_SCOPE (&lock);

  if (!self->hangs)
    return FALSE;
  self->cancelled = TRUE;
  db_cond_broadcast (&cond);
  return TRUE;
}

static DbSessionState
fake_session_get_state (DbSession *session)
{
  DB_LOCK_SCOPE (&lock);

  return FAKE_SESSION (session)->state;
}

static gboolean
fake_session_is_alive (DbSession *session)
{
  DB_LOCK_SCOPE (&lock);

  return FAKE_SESSION (session)->alive;
}

static void
fake_session_class_init (FakeSessionClass *klass)
{
  DbSessionClass *session_class = DB_SESSION_CLASS (klass);

  session_class->run = fake_session_run;
  session_class->cancel = fake_session_cancel;
  session_class->get_state = fake_session_get_state;
  session_class->is_alive = fake_session_is_alive;
}

static void
fake_session_init (FakeSession *self)
{
  self->alive = TRUE;
}

FakeSession *
fake_connection_get_session (DbConnection *connection)
{
  return FAKE_SESSION (db_connection_get_session (connection));
}

guint
fake_connection_get_id (DbConnection *connection)
{
  return fake_connection_get_session (connection)->id;
}

void
fake_session_set_state (FakeSession *self, DbSessionState state)
{
  DB_LOCK_SCOPE (&lock);

  self->state = state;
}

void
fake_session_set_alive (FakeSession *self, gboolean alive)
{
  DB_LOCK_SCOPE (&lock);

  self->alive = alive;
}

void
fake_session_let_go (FakeSession *self)
{
  DB_LOCK_SCOPE (&lock);

  self->let_go = TRUE;
  db_cond_broadcast (&cond);
}

void
fake_session_await_hang (FakeSession *self)
{
  DB_LOCK_SCOPE (&lock);

  while (!self->hangs)
    db_cond_wait (&cond, &lock);
}

/* The manager. */

struct _FakeManager
{
  GObject parent_instance;

  FakeLedger ledger; /* lock, like all below */
  guint last_id;
  guint n_failures;
  GError *failure;
  gboolean opens_hang;
  gboolean closes_hang;
  gboolean checks_fail;
  gboolean resets_fail;
};

static DbSession *
fake_manager_open_session (DbConnectionManager *manager, GCancellable *cancellable, GError **error)
{
  FakeManager *self = FAKE_MANAGER (manager);
  DB_LOCK_SCOPE (&lock);
  FakeSession *session;

  self->ledger.opens++;
  self->ledger.live++;
  self->ledger.max_live = MAX (self->ledger.max_live, self->ledger.live);
  db_cond_broadcast (&cond);
  while (self->opens_hang)
    db_cond_wait (&cond, &lock);
  if (self->n_failures > 0)
    {
      self->ledger.live--;
      if (self->n_failures != G_MAXUINT)
        self->n_failures--;
      if (error != NULL && self->failure != NULL)
        *error = g_error_copy (self->failure);
      return NULL;
    }
  session = g_object_new (FAKE_TYPE_SESSION, NULL);
  session->id = ++self->last_id;
  self->ledger.opened++;
  return DB_SESSION (session);
}

static gboolean
fake_manager_check_session (DbConnectionManager *manager,
                            DbSession *session,
                            GCancellable *cancellable,
                            GError **error)
{
  FakeManager *self = FAKE_MANAGER (manager);
  DB_LOCK_SCOPE (&lock);

  self->ledger.checks++;
  return !self->checks_fail;
}

static gboolean
fake_manager_reset_session (DbConnectionManager *manager,
                            DbSession *session,
                            DbResetLevel level,
                            GCancellable *cancellable,
                            GError **error)
{
  FakeManager *self = FAKE_MANAGER (manager);
  DB_LOCK_SCOPE (&lock);

  self->ledger.resets++;
  if (!self->resets_fail)
    FAKE_SESSION (session)->state = DB_SESSION_IDLE;
  return !self->resets_fail;
}

static void
fake_manager_close_session (DbConnectionManager *manager, DbSession *session)
{
  FakeManager *self = FAKE_MANAGER (manager);
  DB_LOCK_SCOPE (&lock);

  self->ledger.closes++;
  while (self->closes_hang)
    db_cond_wait (&cond, &lock);
  self->ledger.live--;
}

static void
fake_manager_iface_init (DbConnectionManagerInterface *iface)
{
  iface->open_session = fake_manager_open_session;
  iface->check_session = fake_manager_check_session;
  iface->reset_session = fake_manager_reset_session;
  iface->close_session = fake_manager_close_session;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (FakeManager,
                               fake_manager,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DB_TYPE_CONNECTION_MANAGER,
                                                      fake_manager_iface_init))

static void
fake_manager_finalize (GObject *object)
{
  g_clear_error (&FAKE_MANAGER (object)->failure);
  G_OBJECT_CLASS (fake_manager_parent_class)->finalize (object);
}

static void
fake_manager_class_init (FakeManagerClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = fake_manager_finalize;
}

static void
fake_manager_init (FakeManager *self)
{
}

FakeManager *
fake_manager_new (void)
{
  return g_object_new (FAKE_TYPE_MANAGER, NULL);
}

FakeLedger
fake_manager_get_ledger (FakeManager *self)
{
  DB_LOCK_SCOPE (&lock);

  return self->ledger;
}

void
fake_manager_fail_opens (FakeManager *self, guint n, const GError *error)
{
  DB_LOCK_SCOPE (&lock);

  self->n_failures = n;
  g_clear_error (&self->failure);
  self->failure = error != NULL ? g_error_copy (error) : NULL;
}

void
fake_manager_hang_opens (FakeManager *self, gboolean hangs)
{
  DB_LOCK_SCOPE (&lock);

  self->opens_hang = hangs;
  db_cond_broadcast (&cond);
}

void
fake_manager_hang_closes (FakeManager *self, gboolean hangs)
{
  DB_LOCK_SCOPE (&lock);

  self->closes_hang = hangs;
  db_cond_broadcast (&cond);
}

void
fake_manager_fail_checks (FakeManager *self, gboolean fail)
{
  DB_LOCK_SCOPE (&lock);

  self->checks_fail = fail;
}

void
fake_manager_fail_resets (FakeManager *self, gboolean fail)
{
  DB_LOCK_SCOPE (&lock);

  self->resets_fail = fail;
}

void
fake_manager_await_opens (FakeManager *self, guint n)
{
  DB_LOCK_SCOPE (&lock);

  while (self->ledger.opens < n)
    db_cond_wait (&cond, &lock);
}
