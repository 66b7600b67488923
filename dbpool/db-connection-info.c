/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What there is to see of one session of a pool. It holds neither the session nor its loan, but
 * copies; the list (db-connection-list.c) brings new ones. The lock protects the copies, because
 * any thread may read them while the list writes; notifications are sent after it was left. */

#include "config.h"

#include "db-connection-info-private.h"
#include "db-fingerprint-private.h"

/**
 * DbConnectionInfo:
 *
 * What one of the sessions of a pool is doing: an item of what [method@Db.Pool.get_connections]
 * returns.
 *
 * There is one object for each session, for as long as that is in the pool. It changes, with
 * notifications, in the main context in which the pool's signals are emitted, and only while
 * somebody holds the list. It keeps neither the session nor the pool alive. When the session is
 * gone, it is taken off the list, and stays in the state %DB_CONNECTION_CLOSING.
 *
 * Nothing here contains a value of a statement, nor a password. All methods may be called from any
 * thread, and none blocks.
 *
 * Since: 1.0
 */
struct _DbConnectionInfo
{
  GObject parent_instance;

  /* read-only after construction */
  DbEngine *engine; /* not the pool, which it outlives; NULL if an application made the object */
  guint64 id;
  gint64 created;

  DbLock lock;
  DbConnectionState state; /* lock, like all below */
  gint64 since;
  guint uses;
  guint thread;
  char *tag;
  char *statement;
  char *activity;
};

typedef enum
{
  PROP_ID = 1,
  PROP_CREATED,
  PROP_STATE, /* from here on they change */
  PROP_SINCE,
  PROP_USES,
  PROP_TAG,
  PROP_THREAD,
  PROP_STATEMENT,
  PROP_ACTIVITY,
} DbConnectionInfoProperty;

static GParamSpec *properties[PROP_ACTIVITY + 1];

G_DEFINE_FINAL_TYPE (DbConnectionInfo, db_connection_info, G_TYPE_OBJECT)

G_STATIC_ASSERT ((int) DB_SLOT_OPENING == (int) DB_CONNECTION_OPENING);
G_STATIC_ASSERT ((int) DB_SLOT_LENT == (int) DB_CONNECTION_LENT);
G_STATIC_ASSERT ((int) DB_SLOT_DEDICATED == (int) DB_CONNECTION_DEDICATED);

static void
db_connection_info_finalize (GObject *object)
{
  DbConnectionInfo *self = DB_CONNECTION_INFO (object);

  g_clear_pointer (&self->engine, db_engine_unref);
  g_free (self->tag);
  g_free (self->statement);
  g_free (self->activity);
  db_lock_clear (&self->lock);
  G_OBJECT_CLASS (db_connection_info_parent_class)->finalize (object);
}

static void
db_connection_info_get_property (GObject *object,
                                 guint property_id,
                                 GValue *value,
                                 GParamSpec *pspec)
{
  DbConnectionInfo *self = DB_CONNECTION_INFO (object);

  switch ((DbConnectionInfoProperty) property_id)
    {
    case PROP_ID:
      g_value_set_uint64 (value, self->id);
      break;
    case PROP_CREATED:
      g_value_set_int64 (value, self->created);
      break;
    case PROP_STATE:
      g_value_set_enum (value, db_connection_info_get_state (self));
      break;
    case PROP_SINCE:
      g_value_set_int64 (value, db_connection_info_get_since (self));
      break;
    case PROP_USES:
      g_value_set_uint (value, db_connection_info_get_uses (self));
      break;
    case PROP_TAG:
      g_value_take_string (value, db_connection_info_dup_tag (self));
      break;
    case PROP_THREAD:
      g_value_set_uint (value, db_connection_info_get_thread (self));
      break;
    case PROP_STATEMENT:
      g_value_take_string (value, db_connection_info_dup_statement (self));
      break;
    case PROP_ACTIVITY:
      g_value_take_string (value, db_connection_info_dup_activity (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
db_connection_info_class_init (DbConnectionInfoClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->finalize = db_connection_info_finalize;
  object_class->get_property = db_connection_info_get_property;

  /**
   * DbConnectionInfo:id:
   *
   * The number of the session in its pool, from 1. No other session of the pool ever gets it.
   *
   * Since: 1.0
   */
  properties[PROP_ID] = g_param_spec_uint64 ("id", NULL, NULL, 0, G_MAXUINT64, 0, flags);

  /**
   * DbConnectionInfo:created:
   *
   * When the pool began to open the session, in microseconds, as g_get_monotonic_time() counts.
   *
   * Since: 1.0
   */
  properties[PROP_CREATED] = g_param_spec_int64 ("created", NULL, NULL, 0, G_MAXINT64, 0, flags);

  /**
   * DbConnectionInfo:state:
   *
   * Where the session is.
   *
   * Since: 1.0
   */
  properties[PROP_STATE] =
    g_param_spec_enum ("state", NULL, NULL, DB_TYPE_CONNECTION_STATE, DB_CONNECTION_OPENING, flags);

  /**
   * DbConnectionInfo:since:
   *
   * Since when it has been in its state, in microseconds, as g_get_monotonic_time() counts.
   *
   * Since: 1.0
   */
  properties[PROP_SINCE] = g_param_spec_int64 ("since", NULL, NULL, 0, G_MAXINT64, 0, flags);

  /**
   * DbConnectionInfo:uses:
   *
   * How often it was lent.
   *
   * Since: 1.0
   */
  properties[PROP_USES] = g_param_spec_uint ("uses", NULL, NULL, 0, G_MAXUINT, 0, flags);

  /**
   * DbConnectionInfo:tag:
   *
   * Who has it: the tag that was given when it was borrowed (in C: the place in the source, if no
   * tag was given). %NULL if nobody has it, or somebody who gave no tag.
   *
   * Since: 1.0
   */
  properties[PROP_TAG] = g_param_spec_string ("tag", NULL, NULL, NULL, flags);

  /**
   * DbConnectionInfo:thread:
   *
   * The thread that borrowed it with a blocking call, by the number that the kernel and its tools
   * know it by. 0 if nobody has it, or it was borrowed asynchronously.
   *
   * Since: 1.0
   */
  properties[PROP_THREAD] = g_param_spec_uint ("thread", NULL, NULL, 0, G_MAXUINT, 0, flags);

  /**
   * DbConnectionInfo:statement:
   *
   * The last statement of the loan, or of the last loan, with `?` for every value and shortened.
   * %NULL if there was none.
   *
   * Since: 1.0
   */
  properties[PROP_STATEMENT] = g_param_spec_string ("statement", NULL, NULL, NULL, flags);

  /**
   * DbConnectionInfo:activity:
   *
   * What the session says of itself: [method@Db.Session.describe]. %NULL: nothing.
   *
   * Since: 1.0
   */
  properties[PROP_ACTIVITY] = g_param_spec_string ("activity", NULL, NULL, NULL, flags);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
db_connection_info_init (DbConnectionInfo *self)
{
  db_lock_init (&self->lock);
}

const char *
db_connection_state_get_name (DbConnectionState state)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (DB_TYPE_CONNECTION_STATE);

  return g_enum_get_value (klass, state)->value_nick;
}

/* Bits for properties. */
#define CHANGED(property) (1u << (property))

static guint
take_text_locked (char **place, char **text, DbConnectionInfoProperty property)
{
  if (g_strcmp0 (*place, *text) == 0)
    return 0;
  g_free (*place);
  *place = g_steal_pointer (text);
  return CHANGED (property);
}

static guint
take_numbers_locked (DbConnectionInfo *self, const DbSlotInfo *slot)
{
  guint changed = 0;

  if (self->state != (DbConnectionState) slot->state)
    changed |= CHANGED (PROP_STATE);
  if (self->since != slot->since)
    changed |= CHANGED (PROP_SINCE);
  if (self->uses != slot->uses)
    changed |= CHANGED (PROP_USES);
  if (self->thread != slot->thread)
    changed |= CHANGED (PROP_THREAD);
  self->state = (DbConnectionState) slot->state;
  self->since = slot->since;
  self->uses = slot->uses;
  self->thread = slot->thread;
  return changed;
}

/* @changed: of the properties from PROP_STATE on, all of which have their new values. */
static void
notify_changed (DbConnectionInfo *self, guint changed)
{
  for (guint i = PROP_STATE; i < G_N_ELEMENTS (properties); i++)
    if (changed & CHANGED (i))
      g_object_notify_by_pspec (G_OBJECT (self), properties[i]);
}

static guint
take_over (DbConnectionInfo *self, const DbSlotInfo *slot)
{
  DbLeaseInfo lease = {0};
  guint changed;

  if (slot->lease != NULL)
    db_lease_get_info (slot->lease, &lease);
  /* The slot and the lease were not read in one step: the loan of the one may be over in the other.
   */
  if (slot->state != DB_SLOT_LENT)
    g_clear_pointer (&lease.tag, g_free);

  db_lock_lock (&self->lock);
  changed = take_numbers_locked (self, slot);
  changed |= take_text_locked (&self->tag, &lease.tag, PROP_TAG);
  changed |= take_text_locked (&self->statement, &lease.statement, PROP_STATEMENT);
  changed |= take_text_locked (&self->activity, &lease.activity, PROP_ACTIVITY);
  db_lock_unlock (&self->lock);

  db_lease_info_clear (&lease);
  return changed;
}

DbConnectionInfo *
db_connection_info_new (DbEngine *engine, const DbSlotInfo *slot)
{
  DbConnectionInfo *self = g_object_new (DB_TYPE_CONNECTION_INFO, NULL);

  self->engine = db_engine_ref (engine);
  self->id = slot->id;
  self->created = slot->born;
  take_over (self, slot);
  return self;
}

void
db_connection_info_update (DbConnectionInfo *self, const DbSlotInfo *slot)
{
  notify_changed (self, take_over (self, slot));
}

void
db_connection_info_set_gone (DbConnectionInfo *self)
{
  DbSlotInfo gone = {.state = DB_SLOT_CLOSING};
  guint changed = 0;

  db_lock_lock (&self->lock);
  gone.since = self->state == DB_CONNECTION_CLOSING ? self->since : g_get_monotonic_time ();
  gone.uses = self->uses;
  changed = take_numbers_locked (self, &gone);
  if (self->tag != NULL)
    changed |= CHANGED (PROP_TAG);
  g_clear_pointer (&self->tag, g_free);
  db_lock_unlock (&self->lock);

  notify_changed (self, changed);
}

/**
 * db_connection_info_get_id:
 * @self: an item of a pool's list of connections
 *
 * Gets the number of the session in its pool: [property@Db.ConnectionInfo:id].
 *
 * Returns: a number, from 1
 *
 * Since: 1.0
 */
guint64
db_connection_info_get_id (DbConnectionInfo *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION_INFO (self), 0);

  return self->id;
}

/**
 * db_connection_info_get_state:
 * @self: an item of a pool's list of connections
 *
 * Gets where the session is: [property@Db.ConnectionInfo:state].
 *
 * Returns: the state
 *
 * Since: 1.0
 */
DbConnectionState
db_connection_info_get_state (DbConnectionInfo *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION_INFO (self), DB_CONNECTION_CLOSING);
  DB_LOCK_SCOPE (&self->lock);

  return self->state;
}

/**
 * db_connection_info_get_created:
 * @self: an item of a pool's list of connections
 *
 * Gets when the pool began to open the session: [property@Db.ConnectionInfo:created].
 *
 * Returns: a time in microseconds, as g_get_monotonic_time() counts
 *
 * Since: 1.0
 */
gint64
db_connection_info_get_created (DbConnectionInfo *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION_INFO (self), 0);

  return self->created;
}

/**
 * db_connection_info_get_since:
 * @self: an item of a pool's list of connections
 *
 * Gets since when the session has been in its state: [property@Db.ConnectionInfo:since].
 *
 * Returns: a time in microseconds, as g_get_monotonic_time() counts
 *
 * Since: 1.0
 */
gint64
db_connection_info_get_since (DbConnectionInfo *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION_INFO (self), 0);
  DB_LOCK_SCOPE (&self->lock);

  return self->since;
}

/**
 * db_connection_info_get_uses:
 * @self: an item of a pool's list of connections
 *
 * Gets how often the session was lent: [property@Db.ConnectionInfo:uses].
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
db_connection_info_get_uses (DbConnectionInfo *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION_INFO (self), 0);
  DB_LOCK_SCOPE (&self->lock);

  return self->uses;
}

/**
 * db_connection_info_dup_tag:
 * @self: an item of a pool's list of connections
 *
 * Gets who has the session: [property@Db.ConnectionInfo:tag].
 *
 * Returns: (transfer full) (nullable): a tag
 *
 * Since: 1.0
 */
char *
db_connection_info_dup_tag (DbConnectionInfo *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION_INFO (self), NULL);
  DB_LOCK_SCOPE (&self->lock);

  return g_strdup (self->tag);
}

/**
 * db_connection_info_get_thread:
 * @self: an item of a pool's list of connections
 *
 * Gets which thread borrowed the session: [property@Db.ConnectionInfo:thread].
 *
 * Returns: the kernel's number of the thread, or 0
 *
 * Since: 1.0
 */
guint
db_connection_info_get_thread (DbConnectionInfo *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION_INFO (self), 0);
  DB_LOCK_SCOPE (&self->lock);

  return self->thread;
}

/**
 * db_connection_info_dup_statement:
 * @self: an item of a pool's list of connections
 *
 * Gets the last statement, without its values: [property@Db.ConnectionInfo:statement].
 *
 * Returns: (transfer full) (nullable): a statement
 *
 * Since: 1.0
 */
char *
db_connection_info_dup_statement (DbConnectionInfo *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION_INFO (self), NULL);
  DB_LOCK_SCOPE (&self->lock);

  return g_strdup (self->statement);
}

/**
 * db_connection_info_dup_activity:
 * @self: an item of a pool's list of connections
 *
 * Gets what the session says of itself: [property@Db.ConnectionInfo:activity].
 *
 * Returns: (transfer full) (nullable): a few words for people
 *
 * Since: 1.0
 */
char *
db_connection_info_dup_activity (DbConnectionInfo *self)
{
  g_return_val_if_fail (DB_IS_CONNECTION_INFO (self), NULL);
  DB_LOCK_SCOPE (&self->lock);

  return g_strdup (self->activity);
}

/**
 * db_connection_info_evict:
 * @self: an item of a pool's list of connections
 *
 * Has the session closed: now if it is idle, otherwise when it comes back to the pool. Nothing
 * happens if it is gone already.
 *
 * Does not wait for the close.
 *
 * Since: 1.0
 */
void
db_connection_info_evict (DbConnectionInfo *self)
{
  g_return_if_fail (DB_IS_CONNECTION_INFO (self));

  if (self->engine != NULL)
    db_engine_evict_id (self->engine, self->id);
}

static void
append_words (GString *text, const char *words)
{
  g_autofree char *line = db_text_to_line (words);

  if (line != NULL)
    g_string_append_printf (text, ", %s", line);
}

/**
 * db_connection_info_to_string:
 * @self: an item of a pool's list of connections
 *
 * Says all of it in one line, for people.
 *
 * Returns: (transfer full): for example
 *   `"#3 lent for 1.2 s to app.c:42 (thread 1234), 17 uses, SELECT name FROM t WHERE id = $1"`
 *
 * Since: 1.0
 */
char *
db_connection_info_to_string (DbConnectionInfo *self)
{
  GString *text;
  gint64 now = g_get_monotonic_time ();

  g_return_val_if_fail (DB_IS_CONNECTION_INFO (self), NULL);
  DB_LOCK_SCOPE (&self->lock);

  text = g_string_new (NULL);
  g_string_append_printf (text, "#%" G_GUINT64_FORMAT " %s for %.1f s", self->id,
                          db_connection_state_get_name (self->state),
                          (now - self->since) / (double) G_TIME_SPAN_SECOND);
  if (self->tag != NULL)
    {
      g_autofree char *tag = db_text_to_line (self->tag);

      g_string_append_printf (text, " to %s", tag);
    }
  if (self->thread != 0)
    g_string_append_printf (text, " (thread %u)", self->thread);
  g_string_append_printf (text, ", %u %s", self->uses, self->uses == 1 ? "use" : "uses");
  append_words (text, self->statement);
  append_words (text, self->activity);
  return g_string_free (text, FALSE);
}
