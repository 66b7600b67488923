/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The settings of a pool as a GObject. One table says what each setting is; properties are read
 * with it, and texts in db-pool-config-text.c. One lock guards the values, so that any thread may
 * set properties; "notify" is emitted after it is released. What the settings mean is the pool's
 * business, which works with the plain copy of db_pool_config_get_settings(). */

#include "config.h"

#include "db-pool-config-private.h"

#include "db-config-source-private.h"
#include "db-error.h"
#include "db-lock-private.h"

#include <gobject/gvaluecollector.h>
#include <string.h>

/**
 * DbPoolConfig:
 *
 * The settings of a pool.
 *
 * All durations are in microseconds (`GTimeSpan`). A pool copies the configuration that
 * it is made with; [method@Db.Pool.get_config] returns that copy, and setting a property of it
 * takes effect at once.
 *
 * Properties may be set and read from any thread, for example by a binding of `GSettings`;
 * `notify` is emitted on the thread that sets. A value out of a property's range is refused: a
 * warning of GObject says so, and the property keeps its value. Contradictions between properties
 * are found by [ctor@Db.Pool.new].
 *
 * In the query of a URI each setting has the name of its property, with underscores, behind
 * `pool_`: `postgresql://anna@db.example.org/shop?pool_max_connections=20&pool_idle_timeout=5min`.
 * Durations are written with a unit, one of `us`, `ms`, `s`, `min`, `h` and `d`.
 *
 * Since: 1.0
 */

typedef enum
{
  PROP_MIN_CONNECTIONS = 1,
  PROP_MAX_CONNECTIONS,
  PROP_CONNECTION_TIMEOUT,
  PROP_IDLE_TIMEOUT,
  PROP_MAX_LIFETIME,
  PROP_LIFETIME_JITTER,
  PROP_MAX_USES,
  PROP_VALIDATE_AFTER_IDLE,
  PROP_HAND_OFF_AFTER,
  PROP_IDLE_ORDER,
  PROP_RESET_LEVEL,
  PROP_MAX_WAITERS,
  PROP_KEEPALIVE,
  PROP_CHECK_TIMEOUT,
  PROP_LEAK_THRESHOLD,
  PROP_FAIL_ON_DEADLOCK,
  PROP_LAZY,
  PROP_PREPARED_STATEMENTS,
  PROP_STATEMENT_CACHE_SIZE,
  PROP_STATEMENT_TIMEOUT,
  PROP_SLOW_ACQUIRE_THRESHOLD,
  PROP_SLOW_QUERY_THRESHOLD,
  PROP_MAX_SQL_LENGTH,
  PROP_MAX_RESULT_SIZE,
  PROP_INIT_SQL,
  PROP_NAME,
} DbPoolConfigProperty;

#define N_PROPS (PROP_NAME + 1)

typedef struct
{
  char *init_sql;
  char *name;
} DbPoolTexts;

struct _DbPoolConfig
{
  GObject parent_instance;

  DbLock lock;

  /* guarded by lock */
  DbPoolSettings settings;
  DbPoolTexts texts;
  guint set; /* bit n: somebody has set property n */
};

static const DbPoolField fields[N_PROPS] = {
#define AT(member) G_STRUCT_OFFSET (DbPoolSettings, member)
  [PROP_MIN_CONNECTIONS] = {"min-connections", DB_POOL_FIELD_COUNT, AT (min_connections), 0,
                            G_MAXINT, 0},
  [PROP_MAX_CONNECTIONS] = {"max-connections", DB_POOL_FIELD_COUNT, AT (max_connections), 1,
                            G_MAXINT, 10},
  [PROP_CONNECTION_TIMEOUT] = {"connection-timeout", DB_POOL_FIELD_DURATION,
                               AT (connection_timeout), 1, G_MAXINT64, 30 * G_TIME_SPAN_SECOND,
                               NULL, "forever", G_MAXINT64},
  [PROP_IDLE_TIMEOUT] = {"idle-timeout", DB_POOL_FIELD_DURATION, AT (idle_timeout), 0, G_MAXINT64,
                         10 * G_TIME_SPAN_MINUTE},
  [PROP_MAX_LIFETIME] = {"max-lifetime", DB_POOL_FIELD_DURATION, AT (max_lifetime), 0, G_MAXINT64,
                         30 * G_TIME_SPAN_MINUTE},
  [PROP_LIFETIME_JITTER] = {"lifetime-jitter", DB_POOL_FIELD_COUNT, AT (lifetime_jitter), 0, 50,
                            10},
  [PROP_MAX_USES] = {"max-uses", DB_POOL_FIELD_COUNT, AT (max_uses), 0, G_MAXUINT, 0},
  [PROP_VALIDATE_AFTER_IDLE] = {"validate-after-idle", DB_POOL_FIELD_DURATION,
                                AT (validate_after_idle), -1, G_MAXINT64,
                                500 * G_TIME_SPAN_MILLISECOND, NULL, "never", -1},
  [PROP_HAND_OFF_AFTER] = {"hand-off-after", DB_POOL_FIELD_DURATION, AT (hand_off_after), 0,
                           G_MAXINT64, G_TIME_SPAN_MILLISECOND},
  [PROP_IDLE_ORDER] = {"idle-order", DB_POOL_FIELD_CHOICE, AT (idle_order), 0, 0,
                       DB_IDLE_ORDER_LIFO, db_idle_order_get_type},
  [PROP_RESET_LEVEL] = {"reset-level", DB_POOL_FIELD_CHOICE, AT (reset_level), 0, 0, DB_RESET_DIRTY,
                        db_reset_level_get_type},
  [PROP_MAX_WAITERS] = {"max-waiters", DB_POOL_FIELD_COUNT, AT (max_waiters), 0, G_MAXUINT, 0},
  [PROP_KEEPALIVE] = {"keepalive", DB_POOL_FIELD_DURATION, AT (keepalive), 0, G_MAXINT64, 0},
  [PROP_CHECK_TIMEOUT] = {"check-timeout", DB_POOL_FIELD_DURATION, AT (check_timeout), 0,
                          G_MAXINT64, 5 * G_TIME_SPAN_SECOND},
  [PROP_LEAK_THRESHOLD] = {"leak-threshold", DB_POOL_FIELD_DURATION, AT (leak_threshold), 0,
                           G_MAXINT64, 0},
  [PROP_FAIL_ON_DEADLOCK] = {"fail-on-deadlock", DB_POOL_FIELD_SWITCH, AT (fail_on_deadlock), 0, 1,
                             FALSE},
  [PROP_LAZY] = {"lazy", DB_POOL_FIELD_SWITCH, AT (lazy), 0, 1, FALSE},
  [PROP_PREPARED_STATEMENTS] = {"prepared-statements", DB_POOL_FIELD_CHOICE,
                                AT (prepared_statements), 0, 0, DB_PREPARED_STATEMENTS_AUTO,
                                db_prepared_statements_get_type},
  [PROP_STATEMENT_CACHE_SIZE] = {"statement-cache-size", DB_POOL_FIELD_COUNT,
                                 AT (statement_cache_size), 0, 10000, 100},
  [PROP_STATEMENT_TIMEOUT] = {"statement-timeout", DB_POOL_FIELD_DURATION, AT (statement_timeout),
                              0, G_MAXINT64, 0},
  [PROP_SLOW_ACQUIRE_THRESHOLD] = {"slow-acquire-threshold", DB_POOL_FIELD_DURATION,
                                   AT (slow_acquire_threshold), 0, G_MAXINT64,
                                   2 * G_TIME_SPAN_SECOND},
  [PROP_SLOW_QUERY_THRESHOLD] = {"slow-query-threshold", DB_POOL_FIELD_DURATION,
                                 AT (slow_query_threshold), 0, G_MAXINT64, 0},
  [PROP_MAX_SQL_LENGTH] = {"max-sql-length", DB_POOL_FIELD_COUNT, AT (max_sql_length), 0, G_MAXINT,
                           0},
  [PROP_MAX_RESULT_SIZE] = {"max-result-size", DB_POOL_FIELD_COUNT, AT (max_result_size), 0,
                            G_MAXUINT, 0},
#undef AT
  [PROP_INIT_SQL] = {"init-sql", DB_POOL_FIELD_TEXT, G_STRUCT_OFFSET (DbPoolTexts, init_sql)},
  [PROP_NAME] = {"name", DB_POOL_FIELD_TEXT, G_STRUCT_OFFSET (DbPoolTexts, name)},
};

G_STATIC_ASSERT (sizeof (DbIdleOrder) == sizeof (guint));
G_STATIC_ASSERT (sizeof (DbResetLevel) == sizeof (guint));
G_STATIC_ASSERT (sizeof (DbPreparedStatements) == sizeof (guint));
G_STATIC_ASSERT (sizeof (gboolean) == sizeof (guint));
G_STATIC_ASSERT (N_PROPS <= 32); /* the bits of set */

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (DbPoolConfig, db_pool_config, G_TYPE_OBJECT)

/* The value of a field that is a number, whatever its C type. */
static gint64
get_number_locked (DbPoolConfig *self, guint id)
{
  gconstpointer member = G_STRUCT_MEMBER_P (&self->settings, fields[id].offset);

  return fields[id].kind == DB_POOL_FIELD_DURATION ? *(const gint64 *) member
                                                   : *(const guint *) member;
}

static void
set_number_locked (DbPoolConfig *self, guint id, gint64 number)
{
  gpointer member = G_STRUCT_MEMBER_P (&self->settings, fields[id].offset);

  if (fields[id].kind == DB_POOL_FIELD_DURATION)
    *(gint64 *) member = number;
  else
    *(guint *) member = (guint) number;
}

static gint64
number_from_value (guint id, const GValue *value)
{
  switch (fields[id].kind)
    {
    case DB_POOL_FIELD_COUNT:
      return g_value_get_uint (value);
    case DB_POOL_FIELD_DURATION:
      return g_value_get_int64 (value);
    case DB_POOL_FIELD_CHOICE:
      return g_value_get_enum (value);
    case DB_POOL_FIELD_SWITCH:
      return g_value_get_boolean (value);
    case DB_POOL_FIELD_TEXT:
    default:
      g_assert_not_reached ();
    }
}

static char **
get_text_locked (DbPoolConfig *self, guint id)
{
  return (char **) G_STRUCT_MEMBER_P (&self->texts, fields[id].offset);
}

static gboolean
change_text_locked (DbPoolConfig *self, guint id, const char *text)
{
  char **member = get_text_locked (self, id);

  if (g_strcmp0 (*member, text) == 0)
    return FALSE;
  g_free (*member);
  *member = g_strdup (text);
  return TRUE;
}

/* @value has been validated. @by_user: the value is somebody's wish and not a default. */
static void
take_value (DbPoolConfig *self, guint id, const GValue *value, gboolean by_user)
{
  gboolean changed;

  db_lock_lock (&self->lock);
  if (!by_user && self->set & (1u << id))
    {
      db_lock_unlock (&self->lock);
      return;
    }
  if (by_user)
    self->set |= 1u << id;
  if (fields[id].kind == DB_POOL_FIELD_TEXT)
    changed = change_text_locked (self, id, g_value_get_string (value));
  else
    {
      gint64 number = number_from_value (id, value);

      changed = get_number_locked (self, id) != number;
      set_number_locked (self, id, number);
    }
  db_lock_unlock (&self->lock);

  if (changed)
    g_object_notify_by_pspec (G_OBJECT (self), properties[id]);
}

static void
db_pool_config_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  take_value (DB_POOL_CONFIG (object), id, value, TRUE);
}

static void
db_pool_config_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  DbPoolConfig *self = DB_POOL_CONFIG (object);
  DB_LOCK_SCOPE (&self->lock);

  switch (fields[id].kind)
    {
    case DB_POOL_FIELD_COUNT:
      g_value_set_uint (value, (guint) get_number_locked (self, id));
      break;
    case DB_POOL_FIELD_DURATION:
      g_value_set_int64 (value, get_number_locked (self, id));
      break;
    case DB_POOL_FIELD_CHOICE:
      g_value_set_enum (value, (int) get_number_locked (self, id));
      break;
    case DB_POOL_FIELD_SWITCH:
      g_value_set_boolean (value, get_number_locked (self, id) != 0);
      break;
    case DB_POOL_FIELD_TEXT:
      g_value_set_string (value, *get_text_locked (self, id));
      break;
    default:
      g_assert_not_reached ();
    }
}

static void
db_pool_config_finalize (GObject *object)
{
  DbPoolConfig *self = DB_POOL_CONFIG (object);

  for (guint id = 1; id < N_PROPS; id++)
    if (fields[id].kind == DB_POOL_FIELD_TEXT)
      g_free (*get_text_locked (self, id));
  db_lock_clear (&self->lock);

  G_OBJECT_CLASS (db_pool_config_parent_class)->finalize (object);
}

static GParamSpec *
make_pspec (guint id)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  switch (fields[id].kind)
    {
    case DB_POOL_FIELD_COUNT:
      return g_param_spec_uint (fields[id].name, NULL, NULL, (guint) fields[id].minimum,
                                (guint) fields[id].maximum, (guint) fields[id].initial, flags);
    case DB_POOL_FIELD_DURATION:
      return g_param_spec_int64 (fields[id].name, NULL, NULL, fields[id].minimum,
                                 fields[id].maximum, fields[id].initial, flags);
    case DB_POOL_FIELD_CHOICE:
      return g_param_spec_enum (fields[id].name, NULL, NULL, fields[id].type (),
                                (int) fields[id].initial, flags);
    case DB_POOL_FIELD_SWITCH:
      return g_param_spec_boolean (fields[id].name, NULL, NULL, fields[id].initial != 0, flags);
    case DB_POOL_FIELD_TEXT:
      return g_param_spec_string (fields[id].name, NULL, NULL, NULL, flags);
    default:
      g_assert_not_reached ();
    }
}

/**
 * DbPoolConfig:min-connections:
 *
 * How many sessions the pool keeps open, idle and lent together, from the first acquire or
 * [method@Db.Pool.warm_up] on. 0 by default.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:max-connections:
 *
 * How many sessions the pool has at most, those being opened and closed included. 10 by default;
 * for SQLite 4. Where it is less than [property@Db.PoolConfig:min-connections], it wins.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:connection-timeout:
 *
 * How long an acquire may take as a whole: waiting, opening and checking. In microseconds, 30
 * seconds by default. `G_MAXINT64` (in a URI `forever`) waits for ever; 0 is refused.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:idle-timeout:
 *
 * After how long unused a session is closed, unless
 * [property@Db.PoolConfig:min-connections] needs it. In microseconds, 10 minutes by default; 0
 * switches it off.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:max-lifetime:
 *
 * How old a session may become. It is replaced when it is next idle. In microseconds, 30 minutes by
 * default; 0 switches it off. A change holds for the sessions that there are, too.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:lifetime-jitter:
 *
 * By up to how many percent a session's life is shortened, chosen by chance when it is opened, so
 * that sessions do not all end together. 0 to 50, 10 by default.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:max-uses:
 *
 * After how many loans a session is closed. 0, the default, for no limit.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:validate-after-idle:
 *
 * A session that was idle for longer is checked with a round trip before it is lent. In
 * microseconds, 500 milliseconds by default. 0 checks before every loan, -1 (in a URI `never`)
 * never.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:hand-off-after:
 *
 * A caller who has waited longer cannot be overtaken by a newcomer. In microseconds, 1 millisecond
 * by default. 0 serves strictly in the order of arrival, which costs throughput when connections
 * are held for a few microseconds only.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:idle-order:
 *
 * Which idle session is lent first. The one used last by default.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:reset-level:
 *
 * How thoroughly a session is cleaned when its connection is returned. `DB_RESET_DIRTY` by default.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:max-waiters:
 *
 * How many callers may wait for a connection; one more fails at once with `DB_ERROR_QUEUE_FULL`. 0,
 * the default, for no limit.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:keepalive:
 *
 * An idle session that nobody has used or checked for so long is checked in the background, so that
 * neither the server nor a firewall takes it for dead. Up to a tenth earlier, by chance. In
 * microseconds; 0, the default, switches it off. A check does not count as a use: the session still
 * ages towards [property@Db.PoolConfig:idle-timeout].
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:check-timeout:
 *
 * How long a check or a reset of a session may take before it is cancelled and the session closed.
 * In microseconds, 5 seconds by default; 0 switches the limit off.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:leak-threshold:
 *
 * A loan that lasts longer is reported once, with a warning and [signal@Db.Pool::leak-suspected].
 * In microseconds; 0, the default, switches it off.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:fail-on-deadlock:
 *
 * When every session is lent to threads that wait for another one of the same pool, whether the
 * one that came last fails at once with `DB_ERROR_DEADLOCK`. Off by default, since another thread
 * may release for them; they then wait until their deadline.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:lazy:
 *
 * Whether a [class@Db.PoolFactory] returns the pool without having opened a session, so that the
 * program can start before its database does. Off by default. A pool that was made by
 * [ctor@Db.Pool.new] opens its first session when it is needed in any case.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:prepared-statements:
 *
 * Whether sessions keep statements prepared. `DB_PREPARED_STATEMENTS_AUTO` by default.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:statement-cache-size:
 *
 * How many statements each session keeps prepared, the ones used last. 0 to 10,000, 100 by default;
 * 0 keeps none.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:statement-timeout:
 *
 * How long the database may work on a statement before it is cancelled and fails with
 * `DB_ERROR_TIMEOUT`. In microseconds; 0, the default, for no limit.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:slow-acquire-threshold:
 *
 * An acquire that takes longer is logged as a warning: how long it took, and what the pool was
 * doing. In microseconds, 2 seconds by default; 0 switches it off.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:slow-query-threshold:
 *
 * A statement that takes the database longer is logged as a warning, with its text but without its
 * values. In microseconds; 0, the default, switches it off.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:max-sql-length:
 *
 * The longest text of a statement, a script or a batch's statement that is sent, in bytes; a longer
 * one fails with `DB_ERROR_LIMIT`, and the session stays as it is. 0, the default, for no limit but
 * the database's.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:max-result-size:
 *
 * How much memory a result may take, in bytes: a statement that returns more is cancelled and fails
 * with `DB_ERROR_LIMIT`; a cursor reads such an amount bit by bit. 0, the default, for no limit.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:init-sql:
 *
 * A script that every new session runs, before the hook `DB_HOOK_AFTER_CONNECT`, and that it runs
 * again after a reset that may have undone it. It may take no longer than
 * [property@Db.PoolConfig:check-timeout] and must not leave a transaction open. `NULL`, the
 * default, for none.
 *
 * Since: 1.0
 */
/**
 * DbPoolConfig:name:
 *
 * What the pool is called in errors, logs and statistics. `NULL` by default: the pool finds a name.
 *
 * Since: 1.0
 */
static void
db_pool_config_class_init (DbPoolConfigClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = db_pool_config_finalize;
  object_class->get_property = db_pool_config_get_property;
  object_class->set_property = db_pool_config_set_property;

  for (guint id = 1; id < N_PROPS; id++)
    properties[id] = make_pspec (id);
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
db_pool_config_init (DbPoolConfig *self)
{
  db_lock_init (&self->lock);
  for (guint id = 1; id < N_PROPS; id++)
    {
      if (fields[id].kind != DB_POOL_FIELD_TEXT)
        set_number_locked (self, id, fields[id].initial);
    }
}

/**
 * db_pool_config_new:
 *
 * Makes a configuration with the default settings. May be called from any thread and does not
 * block.
 *
 * Returns: (transfer full): a configuration
 *
 * Since: 1.0
 */
DbPoolConfig *
db_pool_config_new (void)
{
  return g_object_new (DB_TYPE_POOL_CONFIG, NULL);
}

/**
 * db_pool_config_new_from_uri_query:
 * @query: (nullable): settings as in the query of a URI, for example
 *   `"pool_max_connections=20&pool_idle_timeout=5min"`
 * @error: return location for an error
 *
 * Makes a configuration from the text that follows the `?` of a URI.
 *
 * Unlike in the URI of a database, nothing but settings of the pool may stand there. Fails with
 * `DB_ERROR_CONFIGURATION` for an unknown or repeated name and for a value that does not fit. May
 * be called from any thread and does not block.
 *
 * Returns: (transfer full): a configuration
 *
 * Since: 1.0
 */
DbPoolConfig *
db_pool_config_new_from_uri_query (const char *query, GError **error)
{
  g_autoptr (DbPoolConfig) self = db_pool_config_new ();
  g_autofree char *remaining = NULL;
  g_autofree char *key = NULL;
  g_autofree char *shown = NULL;

  if (!db_pool_config_take_uri_query (self, query, &remaining, error))
    return NULL;
  if (remaining == NULL)
    return g_steal_pointer (&self);

  /* only the name is shown: the value may be somebody's password */
  key = g_strndup (remaining, strcspn (remaining, "=&"));
  shown = db_config_shorten (key);
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
               "“%s” is no setting of a pool: their names begin with “pool_”, as in "
               "“pool_max_connections=20”",
               shown);
  return NULL;
}

void
db_pool_config_get_settings (DbPoolConfig *self, DbPoolSettings *settings)
{
  DB_LOCK_SCOPE (&self->lock);

  *settings = self->settings;
}

const DbPoolField *
db_pool_get_fields (guint *n_fields)
{
  *n_fields = N_PROPS;
  return fields;
}

void
db_pool_config_take (DbPoolConfig *self, guint id, const GValue *value)
{
  take_value (self, id, value, TRUE);
}

gboolean
db_pool_config_is_set (DbPoolConfig *self, guint id)
{
  DB_LOCK_SCOPE (&self->lock);

  return (self->set & (1u << id)) != 0;
}

DbPoolConfig *
db_pool_config_copy (DbPoolConfig *self)
{
  DbPoolConfig *copy = db_pool_config_new ();
  DB_LOCK_SCOPE (&self->lock);

  copy->settings = self->settings;
  for (guint id = 1; id < N_PROPS; id++)
    if (fields[id].kind == DB_POOL_FIELD_TEXT)
      *get_text_locked (copy, id) = g_strdup (*get_text_locked (self, id));
  copy->set = self->set;
  return copy;
}

void
db_pool_config_set_default (DbPoolConfig *self, const char *property, ...)
{
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (self), property);
  g_auto (GValue) value = G_VALUE_INIT;
  g_autofree char *problem = NULL;
  va_list args;

  g_return_if_fail (pspec != NULL);

  va_start (args, property);
  G_VALUE_COLLECT_INIT (&value, pspec->value_type, args, 0, &problem);
  va_end (args);
  g_return_if_fail (problem == NULL);
  g_return_if_fail (!g_param_value_validate (pspec, &value));

  take_value (self, pspec->param_id, &value, FALSE);
}

/* A property of a program's may be any bytes. */
static gboolean
check_texts (DbPoolConfig *self, GError **error)
{
  DB_LOCK_SCOPE (&self->lock);

  for (guint id = 1; id < N_PROPS; id++)
    {
      const char *text = fields[id].kind == DB_POOL_FIELD_TEXT ? *get_text_locked (self, id) : NULL;

      if (text == NULL ||
          (strlen (text) <= DB_CONFIG_MAX_LENGTH && g_utf8_validate (text, -1, NULL)))
        continue;
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   "%s is longer than %d bytes, or no valid UTF-8", fields[id].name,
                   DB_CONFIG_MAX_LENGTH);
      return FALSE;
    }
  return TRUE;
}

gboolean
db_pool_config_validate (DbPoolConfig *self, GError **error)
{
  DbPoolSettings settings;
  gboolean idle_is_wish;

  if (!check_texts (self, error))
    return FALSE;
  db_lock_lock (&self->lock);
  settings = self->settings;
  idle_is_wish = (self->set & (1u << PROP_IDLE_TIMEOUT)) != 0;
  db_lock_unlock (&self->lock);

  if (settings.min_connections > settings.max_connections)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   "min-connections (%u) is more than max-connections (%u): lower the one or raise "
                   "the other",
                   settings.min_connections, settings.max_connections);
      return FALSE;
    }
  /* a default that max-lifetime makes pointless does no harm; a wish that can never come true is a
   * mistake */
  if (idle_is_wish && settings.idle_timeout > 0 && settings.max_lifetime > 0 &&
      settings.idle_timeout > settings.max_lifetime)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   "idle-timeout (%.6g s) is longer than max-lifetime (%.6g s), so that it never "
                   "comes: shorten it, or raise max-lifetime (0 switches it off)",
                   settings.idle_timeout / (double) G_TIME_SPAN_SECOND,
                   settings.max_lifetime / (double) G_TIME_SPAN_SECOND);
      return FALSE;
    }
  if (settings.keepalive > 0 && settings.max_lifetime > 0 &&
      settings.keepalive >= settings.max_lifetime)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   "keepalive (%.6g s) is no shorter than max-lifetime (%.6g s), so that it never "
                   "comes: shorten it, or raise max-lifetime (0 switches it off)",
                   settings.keepalive / (double) G_TIME_SPAN_SECOND,
                   settings.max_lifetime / (double) G_TIME_SPAN_SECOND);
      return FALSE;
    }
  return TRUE;
}
