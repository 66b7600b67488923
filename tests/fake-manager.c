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

  GArray *records; /* the manager's */
  guint id;
  DbSessionState state; /* lock, like all below */
  guint users;          /* calls on the session that run now: never two */
  gboolean closed;
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

static FakeRecord *
record_locked (FakeSession *self)
{
  return &g_array_index (self->records, FakeRecord, self->id - 1);
}

/* A session belongs to one at a time, and to nobody once it is closed. */
static void
begin_use_locked (FakeSession *self)
{
  g_assert_false (self->closed);
  g_assert_cmpuint (self->users, ==, 0);
  self->users++;
}

static void
end_use (FakeSession *self)
{
  DB_LOCK_SCOPE (&lock);

  self->users--;
}

static DbResult *
run_statement (DbSession *session,
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

static DbResult *
fake_session_run (DbSession *session,
                  const DbStatementPlan *plan,
                  GCancellable *cancellable,
                  GError **error)
{
  FakeSession *self = FAKE_SESSION (session);
  DbResult *result;

  db_lock_lock (&lock);
  begin_use_locked (self);
  record_locked (self)->runs++;
  db_lock_unlock (&lock);
  result = run_statement (session, plan, cancellable, error);
  end_use (self);
  return result;
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
fake_session_finalize (GObject *object)
{
  g_array_unref (FAKE_SESSION (object)->records);
  G_OBJECT_CLASS (fake_session_parent_class)->finalize (object);
}

static void
fake_session_class_init (FakeSessionClass *klass)
{
  DbSessionClass *session_class = DB_SESSION_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = fake_session_finalize;
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

guint
fake_session_get_id (FakeSession *self)
{
  return self->id;
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

typedef struct
{
  gint64 delay;
  gboolean hangs;
  gboolean deaf;
  guint n_failures;
  GError *failure;
  GArray *times;
} GatePlan;

struct _FakeManager
{
  GObject parent_instance;

  FakeObserver observer; /* constant while there are pools */
  gpointer observer_data;

  FakeLedger ledger; /* lock, like all below */
  GatePlan plans[FAKE_N_GATES];
  GArray *records; /* of FakeRecord, in the order of their ids */
  GVariant *facts; /* or NULL */
};

static void
enter (FakeManager *self, FakeGate gate, DbSession *session, GCancellable *cancellable)
{
  gint64 now = g_get_monotonic_time ();
  FakeLedger *ledger = &self->ledger;

  db_lock_lock (&lock);
  ledger->calls[gate]++;
  ledger->inside[gate]++;
  ledger->max_inside[gate] = MAX (ledger->max_inside[gate], ledger->inside[gate]);
  g_array_append_val (self->plans[gate].times, now);
  if (gate == FAKE_OPEN)
    {
      ledger->live++;
      ledger->max_live = MAX (ledger->max_live, ledger->live);
    }
  ledger->opens = ledger->calls[FAKE_OPEN];
  ledger->checks = ledger->calls[FAKE_CHECK];
  ledger->resets = ledger->calls[FAKE_RESET];
  ledger->closes = ledger->calls[FAKE_CLOSE];
  if (session != NULL)
    begin_use_locked (FAKE_SESSION (session));
  db_cond_broadcast (&cond);
  db_lock_unlock (&lock);
  if (self->observer != NULL)
    self->observer (self, gate, session, cancellable, self->observer_data);
}

static gboolean
must_wait_locked (FakeManager *self, FakeGate gate, GCancellable *cancellable, gint64 until)
{
  const GatePlan *plan = &self->plans[gate];

  if (!plan->deaf && g_cancellable_is_cancelled (cancellable))
    return FALSE;
  return plan->hangs || g_get_monotonic_time () < until;
}

/* What the gate has in store: a delay, a hang, a failure. Returns with the lock held. */
static gboolean
pass (FakeManager *self, FakeGate gate, GCancellable *cancellable, GError **error)
{
  GatePlan *plan = &self->plans[gate];
  gulong handler = 0;
  gint64 until;

  db_lock_lock (&lock);
  until = g_get_monotonic_time () + plan->delay;
  if (must_wait_locked (self, gate, cancellable, until) && cancellable != NULL && !plan->deaf)
    {
      db_lock_unlock (&lock);
      handler = g_cancellable_connect (cancellable, G_CALLBACK (woken_cb), NULL, NULL);
      db_lock_lock (&lock);
    }
  while (must_wait_locked (self, gate, cancellable, until))
    db_cond_wait_until (&cond, &lock, plan->hangs ? G_MAXINT64 : until);
  if (handler != 0)
    {
      db_lock_unlock (&lock);
      g_signal_handler_disconnect (cancellable, handler);
      db_lock_lock (&lock);
    }

  if (!plan->deaf && g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (plan->n_failures == 0)
    return TRUE;
  if (plan->n_failures != G_MAXUINT)
    plan->n_failures--;
  if (error != NULL && plan->failure != NULL)
    *error = g_error_copy (plan->failure);
  return FALSE;
}

static void
leave_locked (FakeManager *self, FakeGate gate, DbSession *session, gboolean works)
{
  self->ledger.inside[gate]--;
  if (!works)
    self->ledger.failed[gate]++;
  if (session != NULL)
    FAKE_SESSION (session)->users--;
  db_cond_broadcast (&cond);
}

static DbSession *
fake_manager_open_session (DbConnectionManager *manager, GCancellable *cancellable, GError **error)
{
  FakeManager *self = FAKE_MANAGER (manager);
  FakeRecord record = {.began = g_get_monotonic_time (), .opened_by = g_thread_self ()};
  FakeSession *session = NULL;
  gboolean works;

  enter (self, FAKE_OPEN, NULL, cancellable);
  works = pass (self, FAKE_OPEN, cancellable, error);
  leave_locked (self, FAKE_OPEN, NULL, works);
  if (works)
    {
      self->ledger.opened++;
      session = g_object_new (FAKE_TYPE_SESSION, NULL);
      session->records = g_array_ref (self->records);
      session->id = self->records->len + 1;
      record.id = session->id;
      record.opened = g_get_monotonic_time ();
      g_array_append_val (self->records, record);
    }
  else
    self->ledger.live--;
  db_lock_unlock (&lock);
  return (DbSession *) session;
}

static gboolean
fake_manager_check_session (DbConnectionManager *manager,
                            DbSession *session,
                            GCancellable *cancellable,
                            GError **error)
{
  FakeManager *self = FAKE_MANAGER (manager);
  gboolean works;

  enter (self, FAKE_CHECK, session, cancellable);
  works = pass (self, FAKE_CHECK, cancellable, error);
  record_locked (FAKE_SESSION (session))->checks++;
  leave_locked (self, FAKE_CHECK, session, works);
  db_lock_unlock (&lock);
  return works;
}

static gboolean
fake_manager_reset_session (DbConnectionManager *manager,
                            DbSession *session,
                            DbResetLevel level,
                            GCancellable *cancellable,
                            GError **error)
{
  FakeManager *self = FAKE_MANAGER (manager);
  gboolean works;

  enter (self, FAKE_RESET, session, cancellable);
  works = pass (self, FAKE_RESET, cancellable, error);
  record_locked (FAKE_SESSION (session))->resets++;
  if (works)
    FAKE_SESSION (session)->state = DB_SESSION_IDLE;
  leave_locked (self, FAKE_RESET, session, works);
  db_lock_unlock (&lock);
  return works;
}

static void
fake_manager_close_session (DbConnectionManager *manager, DbSession *session)
{
  FakeManager *self = FAKE_MANAGER (manager);
  gint64 now = g_get_monotonic_time ();
  FakeRecord *record;

  enter (self, FAKE_CLOSE, session, NULL);
  db_lock_lock (&lock);
  record_locked (FAKE_SESSION (session))->closing = now;
  db_lock_unlock (&lock);
  pass (self, FAKE_CLOSE, NULL, NULL);
  record = record_locked (FAKE_SESSION (session));
  record->closed = g_get_monotonic_time ();
  FAKE_SESSION (session)->closed = TRUE;
  self->ledger.closed++;
  self->ledger.live--;
  leave_locked (self, FAKE_CLOSE, session, TRUE);
  db_lock_unlock (&lock);
}

static GVariant *
fake_manager_get_facts (DbConnectionManager *manager,
                        DbSession *session,
                        DbHealthFlags flags,
                        GCancellable *cancellable,
                        GError **error)
{
  FakeManager *self = FAKE_MANAGER (manager);
  GVariant *facts = NULL;

  enter (self, FAKE_FACTS, session, cancellable);
  if (pass (self, FAKE_FACTS, cancellable, error))
    facts = self->facts != NULL ? g_variant_ref (self->facts) : g_variant_new ("a{sv}", NULL);
  leave_locked (self, FAKE_FACTS, session, facts != NULL);
  db_lock_unlock (&lock);
  return facts;
}

static void
fake_manager_iface_init (DbConnectionManagerInterface *iface)
{
  iface->open_session = fake_manager_open_session;
  iface->check_session = fake_manager_check_session;
  iface->reset_session = fake_manager_reset_session;
  iface->close_session = fake_manager_close_session;
  iface->get_facts = fake_manager_get_facts;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (FakeManager,
                               fake_manager,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (DB_TYPE_CONNECTION_MANAGER,
                                                      fake_manager_iface_init))

static void
fake_manager_finalize (GObject *object)
{
  FakeManager *self = FAKE_MANAGER (object);

  for (guint i = 0; i < FAKE_N_GATES; i++)
    {
      g_clear_error (&self->plans[i].failure);
      g_array_unref (self->plans[i].times);
    }
  g_array_unref (self->records);
  g_clear_pointer (&self->facts, g_variant_unref);
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
  for (guint i = 0; i < FAKE_N_GATES; i++)
    self->plans[i].times = g_array_new (FALSE, FALSE, sizeof (gint64));
  self->records = g_array_new (FALSE, FALSE, sizeof (FakeRecord));
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

FakeRecord
fake_manager_get_record (FakeManager *self, guint id)
{
  DB_LOCK_SCOPE (&lock);

  g_assert_cmpuint (id - 1, <, self->records->len);
  return g_array_index (self->records, FakeRecord, id - 1);
}

GArray *
fake_manager_dup_times (FakeManager *self, FakeGate gate)
{
  DB_LOCK_SCOPE (&lock);

  return g_array_copy (self->plans[gate].times);
}

void
fake_manager_set_observer (FakeManager *self, FakeObserver observer, gpointer data)
{
  self->observer = observer;
  self->observer_data = data;
}

void
fake_manager_set_facts (FakeManager *self, GVariant *facts)
{
  DB_LOCK_SCOPE (&lock);

  g_clear_pointer (&self->facts, g_variant_unref);
  self->facts = facts != NULL ? g_variant_ref_sink (facts) : NULL;
}

void
fake_manager_delay (FakeManager *self, FakeGate gate, gint64 delay)
{
  DB_LOCK_SCOPE (&lock);

  self->plans[gate].delay = delay;
}

void
fake_manager_hang (FakeManager *self, FakeGate gate, gboolean hangs)
{
  DB_LOCK_SCOPE (&lock);

  self->plans[gate].hangs = hangs;
  db_cond_broadcast (&cond);
}

void
fake_manager_set_deaf (FakeManager *self, FakeGate gate, gboolean deaf)
{
  DB_LOCK_SCOPE (&lock);

  self->plans[gate].deaf = deaf;
  db_cond_broadcast (&cond);
}

void
fake_manager_fail (FakeManager *self, FakeGate gate, guint n, const GError *error)
{
  GatePlan *plan = &self->plans[gate];
  DB_LOCK_SCOPE (&lock);

  plan->n_failures = n;
  g_clear_error (&plan->failure);
  plan->failure = error != NULL ? g_error_copy (error) : NULL;
}

void
fake_manager_await_calls (FakeManager *self, FakeGate gate, guint n)
{
  DB_LOCK_SCOPE (&lock);

  while (self->ledger.calls[gate] < n)
    db_cond_wait (&cond, &lock);
}

void
fake_manager_await_inside (FakeManager *self, FakeGate gate, guint n)
{
  DB_LOCK_SCOPE (&lock);

  while (self->ledger.inside[gate] != n)
    db_cond_wait (&cond, &lock);
}

void
fake_manager_fail_opens (FakeManager *self, guint n, const GError *error)
{
  fake_manager_fail (self, FAKE_OPEN, n, error);
}

void
fake_manager_hang_opens (FakeManager *self, gboolean hangs)
{
  fake_manager_set_deaf (self, FAKE_OPEN, TRUE);
  fake_manager_hang (self, FAKE_OPEN, hangs);
}

void
fake_manager_hang_closes (FakeManager *self, gboolean hangs)
{
  fake_manager_hang (self, FAKE_CLOSE, hangs);
}

void
fake_manager_fail_checks (FakeManager *self, gboolean fail)
{
  fake_manager_fail (self, FAKE_CHECK, fail ? G_MAXUINT : 0, NULL);
}

void
fake_manager_fail_resets (FakeManager *self, gboolean fail)
{
  fake_manager_fail (self, FAKE_RESET, fail ? G_MAXUINT : 0, NULL);
}

void
fake_manager_await_opens (FakeManager *self, guint n)
{
  fake_manager_await_calls (self, FAKE_OPEN, n);
}

void
fake_assert_finalized_soon (gpointer object)
{
  GWeakRef weak;
  GObject *left;

  g_weak_ref_init (&weak, object);
  g_object_unref (object);
  while ((left = g_weak_ref_get (&weak)) != NULL)
    {
      g_object_unref (left);
      g_thread_yield ();
    }
  g_weak_ref_clear (&weak);
}
