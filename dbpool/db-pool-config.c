/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The settings of a pool as a GObject, and their text form in the query of a URI. One table says
 * what each setting is; properties and texts are both read with it. One lock guards the values, so
 * that any thread may set properties; "notify" is emitted after it is released. What the settings
 * mean is the pool's business, which works with the plain copy of db_pool_config_get_settings(). */

#include "config.h"

#include "db-pool-config-private.h"

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
  PROP_PREPARED_STATEMENTS,
  PROP_STATEMENT_CACHE_SIZE,
  PROP_STATEMENT_TIMEOUT,
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

typedef enum
{
  KIND_COUNT,    /* guint */
  KIND_DURATION, /* gint64 */
  KIND_CHOICE,   /* an enumeration */
  KIND_SWITCH,   /* gboolean */
  KIND_TEXT,     /* char * */
} Kind;

/* What each setting is. @offset is that of its value in DbPoolSettings, of a text in DbPoolTexts.
 * @word is a word that stands for @word_value in a URI. */
static const struct
{
  const char *name;
  Kind kind;
  gsize offset;
  gint64 minimum;
  gint64 maximum;
  gint64 initial;
  GType (*type) (void);
  const char *word;
  gint64 word_value;
} fields[N_PROPS] = {
#define AT(member) G_STRUCT_OFFSET (DbPoolSettings, member)
  [PROP_MIN_CONNECTIONS] = {"min-connections", KIND_COUNT, AT (min_connections), 0, G_MAXINT, 0},
  [PROP_MAX_CONNECTIONS] = {"max-connections", KIND_COUNT, AT (max_connections), 1, G_MAXINT, 10},
  [PROP_CONNECTION_TIMEOUT] = {"connection-timeout", KIND_DURATION, AT (connection_timeout), 1,
                               G_MAXINT64, 30 * G_TIME_SPAN_SECOND, NULL, "forever", G_MAXINT64},
  [PROP_IDLE_TIMEOUT] = {"idle-timeout", KIND_DURATION, AT (idle_timeout), 0, G_MAXINT64,
                         10 * G_TIME_SPAN_MINUTE},
  [PROP_MAX_LIFETIME] = {"max-lifetime", KIND_DURATION, AT (max_lifetime), 0, G_MAXINT64,
                         30 * G_TIME_SPAN_MINUTE},
  [PROP_LIFETIME_JITTER] = {"lifetime-jitter", KIND_COUNT, AT (lifetime_jitter), 0, 50, 10},
  [PROP_MAX_USES] = {"max-uses", KIND_COUNT, AT (max_uses), 0, G_MAXUINT, 0},
  [PROP_VALIDATE_AFTER_IDLE] = {"validate-after-idle", KIND_DURATION, AT (validate_after_idle), -1,
                                G_MAXINT64, 500 * G_TIME_SPAN_MILLISECOND, NULL, "never", -1},
  [PROP_HAND_OFF_AFTER] = {"hand-off-after", KIND_DURATION, AT (hand_off_after), 0, G_MAXINT64,
                           G_TIME_SPAN_MILLISECOND},
  [PROP_IDLE_ORDER] = {"idle-order", KIND_CHOICE, AT (idle_order), 0, 0, DB_IDLE_ORDER_LIFO,
                       db_idle_order_get_type},
  [PROP_RESET_LEVEL] = {"reset-level", KIND_CHOICE, AT (reset_level), 0, 0, DB_RESET_DIRTY,
                        db_reset_level_get_type},
  [PROP_MAX_WAITERS] = {"max-waiters", KIND_COUNT, AT (max_waiters), 0, G_MAXUINT, 0},
  [PROP_KEEPALIVE] = {"keepalive", KIND_DURATION, AT (keepalive), 0, G_MAXINT64, 0},
  [PROP_CHECK_TIMEOUT] = {"check-timeout", KIND_DURATION, AT (check_timeout), 0, G_MAXINT64,
                          5 * G_TIME_SPAN_SECOND},
  [PROP_LEAK_THRESHOLD] = {"leak-threshold", KIND_DURATION, AT (leak_threshold), 0, G_MAXINT64, 0},
  [PROP_FAIL_ON_DEADLOCK] = {"fail-on-deadlock", KIND_SWITCH, AT (fail_on_deadlock), 0, 1, FALSE},
  [PROP_PREPARED_STATEMENTS] = {"prepared-statements", KIND_CHOICE, AT (prepared_statements), 0, 0,
                                DB_PREPARED_STATEMENTS_AUTO, db_prepared_statements_get_type},
  [PROP_STATEMENT_CACHE_SIZE] = {"statement-cache-size", KIND_COUNT, AT (statement_cache_size), 0,
                                 10000, 100},
  [PROP_STATEMENT_TIMEOUT] = {"statement-timeout", KIND_DURATION, AT (statement_timeout), 0,
                              G_MAXINT64, 0},
#undef AT
  [PROP_INIT_SQL] = {"init-sql", KIND_TEXT, G_STRUCT_OFFSET (DbPoolTexts, init_sql)},
  [PROP_NAME] = {"name", KIND_TEXT, G_STRUCT_OFFSET (DbPoolTexts, name)},
};

G_STATIC_ASSERT (sizeof (DbIdleOrder) == sizeof (guint));
G_STATIC_ASSERT (sizeof (DbResetLevel) == sizeof (guint));
G_STATIC_ASSERT (sizeof (DbPreparedStatements) == sizeof (guint));
G_STATIC_ASSERT (sizeof (gboolean) == sizeof (guint));
G_STATIC_ASSERT (N_PROPS <= 32); /* the bits of set */

static const struct
{
  const char *name;
  gint64 microseconds;
} units[] = {
  {"us", 1},
  {"ms", G_TIME_SPAN_MILLISECOND},
  {"s", G_TIME_SPAN_SECOND},
  {"min", G_TIME_SPAN_MINUTE},
  {"h", G_TIME_SPAN_HOUR},
  {"d", G_TIME_SPAN_DAY},
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (DbPoolConfig, db_pool_config, G_TYPE_OBJECT)

/* The value of a field that is a number, whatever its C type. */
static gint64
get_number_locked (DbPoolConfig *self, guint id)
{
  gconstpointer member = G_STRUCT_MEMBER_P (&self->settings, fields[id].offset);

  return fields[id].kind == KIND_DURATION ? *(const gint64 *) member : *(const guint *) member;
}

static void
set_number_locked (DbPoolConfig *self, guint id, gint64 number)
{
  gpointer member = G_STRUCT_MEMBER_P (&self->settings, fields[id].offset);

  if (fields[id].kind == KIND_DURATION)
    *(gint64 *) member = number;
  else
    *(guint *) member = (guint) number;
}

static gint64
number_from_value (guint id, const GValue *value)
{
  switch (fields[id].kind)
    {
    case KIND_COUNT:
      return g_value_get_uint (value);
    case KIND_DURATION:
      return g_value_get_int64 (value);
    case KIND_CHOICE:
      return g_value_get_enum (value);
    case KIND_SWITCH:
      return g_value_get_boolean (value);
    case KIND_TEXT:
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
  if (fields[id].kind == KIND_TEXT)
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
    case KIND_COUNT:
      g_value_set_uint (value, (guint) get_number_locked (self, id));
      break;
    case KIND_DURATION:
      g_value_set_int64 (value, get_number_locked (self, id));
      break;
    case KIND_CHOICE:
      g_value_set_enum (value, (int) get_number_locked (self, id));
      break;
    case KIND_SWITCH:
      g_value_set_boolean (value, get_number_locked (self, id) != 0);
      break;
    case KIND_TEXT:
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
    if (fields[id].kind == KIND_TEXT)
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
    case KIND_COUNT:
      return g_param_spec_uint (fields[id].name, NULL, NULL, (guint) fields[id].minimum,
                                (guint) fields[id].maximum, (guint) fields[id].initial, flags);
    case KIND_DURATION:
      return g_param_spec_int64 (fields[id].name, NULL, NULL, fields[id].minimum,
                                 fields[id].maximum, fields[id].initial, flags);
    case KIND_CHOICE:
      return g_param_spec_enum (fields[id].name, NULL, NULL, fields[id].type (),
                                (int) fields[id].initial, flags);
    case KIND_SWITCH:
      return g_param_spec_boolean (fields[id].name, NULL, NULL, fields[id].initial != 0, flags);
    case KIND_TEXT:
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
 * default; 0 switches it off.
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
      if (fields[id].kind != KIND_TEXT)
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

  if (!db_pool_config_take_uri_query (self, query, &remaining, error))
    return NULL;
  if (remaining == NULL)
    return g_steal_pointer (&self);

  /* only the name is shown: the value may be somebody's password */
  key = g_utf8_make_valid (remaining, (gssize) strcspn (remaining, "=&"));
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
               "“%s” is no setting of a pool: their names begin with “pool_”, as in "
               "“pool_max_connections=20”",
               key);
  return NULL;
}

void
db_pool_config_get_settings (DbPoolConfig *self, DbPoolSettings *settings)
{
  DB_LOCK_SCOPE (&self->lock);

  *settings = self->settings;
}

DbPoolConfig *
db_pool_config_copy (DbPoolConfig *self)
{
  DbPoolConfig *copy = db_pool_config_new ();
  DB_LOCK_SCOPE (&self->lock);

  copy->settings = self->settings;
  for (guint id = 1; id < N_PROPS; id++)
    if (fields[id].kind == KIND_TEXT)
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

gboolean
db_pool_config_validate (DbPoolConfig *self, GError **error)
{
  DbPoolSettings settings;
  gboolean idle_is_wish;

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

gboolean
db_parse_duration (const char *text, gint64 *microseconds, GError **error)
{
  gsize digits = strspn (text, "0123456789");
  g_autofree char *number = g_strndup (text, digits);
  const char *unit = text + digits;
  guint64 count;

  if (strcmp (text, "0") == 0)
    {
      *microseconds = 0;
      return TRUE;
    }
  if (digits > 0 && *unit == '\0')
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   "the duration “%s” has no unit: write “%ss” for seconds or “%sms” for "
                   "milliseconds",
                   text, text, text);
      return FALSE;
    }
  for (gsize i = 0; digits > 0 && i < G_N_ELEMENTS (units); i++)
    {
      if (strcmp (unit, units[i].name) != 0)
        continue;
      if (!g_ascii_string_to_unsigned (number, 10, 0, G_MAXINT64 / units[i].microseconds, &count,
                                       NULL))
        {
          g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "the duration “%s” is too long",
                       text);
          return FALSE;
        }
      *microseconds = (gint64) count * units[i].microseconds;
      return TRUE;
    }
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
               "“%s” is no duration: it is a whole number and one of the units us, ms, s, min, h "
               "and d, such as “500ms”, “30s” or “10min”",
               text);
  return FALSE;
}

static gboolean
parse_choice (guint id, const char *text, gint64 *number, GError **error)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (fields[id].type ());
  g_autoptr (GString) known = g_string_new (NULL);

  for (guint i = 0; i < klass->n_values; i++)
    {
      if (strcmp (klass->values[i].value_nick, text) == 0)
        {
          *number = klass->values[i].value;
          return TRUE;
        }
      g_string_append_printf (known, "%s“%s”", i > 0 ? ", " : "", klass->values[i].value_nick);
    }
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "“%s” is none of %s", text, known->str);
  return FALSE;
}

static gboolean
parse_switch (const char *text, gint64 *number, GError **error)
{
  *number = strcmp (text, "true") == 0;
  if (*number || strcmp (text, "false") == 0)
    return TRUE;
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "“%s” is neither “true” nor “false”", text);
  return FALSE;
}

static gboolean
parse_count (guint id, const char *text, gint64 *number, GError **error)
{
  guint64 count;

  if (!g_ascii_string_to_unsigned (text, 10, fields[id].minimum, fields[id].maximum, &count, NULL))
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   "“%s” is no whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, text,
                   fields[id].minimum, fields[id].maximum);
      return FALSE;
    }
  *number = (gint64) count;
  return TRUE;
}

static gboolean
parse_number (guint id, const char *text, gint64 *number, GError **error)
{
  if (fields[id].word != NULL && strcmp (fields[id].word, text) == 0)
    {
      *number = fields[id].word_value;
      return TRUE;
    }
  if (fields[id].kind == KIND_CHOICE)
    return parse_choice (id, text, number, error);
  if (fields[id].kind == KIND_SWITCH)
    return parse_switch (text, number, error);
  if (fields[id].kind == KIND_COUNT)
    return parse_count (id, text, number, error);
  if (!db_parse_duration (text, number, error))
    return FALSE;
  if (*number < fields[id].minimum)
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   "it cannot be 0; write “%s” for no limit", fields[id].word);
      return FALSE;
    }
  return TRUE;
}

/* Sets the field from text; the error does not name it yet. */
static gboolean
take_text (DbPoolConfig *self, guint id, const char *text, GError **error)
{
  g_auto (GValue) value = G_VALUE_INIT;
  gint64 number;

  g_value_init (&value, properties[id]->value_type);
  if (fields[id].kind == KIND_TEXT)
    {
      g_value_set_string (&value, text);
      take_value (self, id, &value, TRUE);
      return TRUE;
    }
  if (!parse_number (id, text, &number, error))
    return FALSE;

  if (fields[id].kind == KIND_COUNT)
    g_value_set_uint (&value, (guint) number);
  else if (fields[id].kind == KIND_DURATION)
    g_value_set_int64 (&value, number);
  else if (fields[id].kind == KIND_SWITCH)
    g_value_set_boolean (&value, number != 0);
  else
    g_value_set_enum (&value, (int) number);
  take_value (self, id, &value, TRUE);
  return TRUE;
}

/* The field that @key ("pool_max_connections") names, or 0. */
static guint
find_field (const char *key)
{
  g_autofree char *name = g_strdelimit (g_strdup (key + strlen ("pool_")), "_", '-');

  /* only the form with underscores is known, so that no setting has two names */
  if (strchr (key, '-') != NULL)
    return 0;
  for (guint id = 1; id < N_PROPS; id++)
    {
      if (strcmp (fields[id].name, name) == 0)
        return id;
    }
  return 0;
}

static void
set_unknown_key_error (GError **error, const char *key)
{
  g_autoptr (GString) known = g_string_new (NULL);

  for (guint id = 1; id < N_PROPS; id++)
    {
      g_autofree char *name = g_strdelimit (g_strdup (fields[id].name), "-", '_');

      g_string_append_printf (known, "%spool_%s", id > 1 ? ", " : "", name);
    }
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "unknown setting “%s”; a pool has %s", key,
               known->str);
}

/* Takes one "pool_…=value". @seen: the fields that this query has set. */
static gboolean
take_item (DbPoolConfig *self, const char *item, const char *key, guint *seen, GError **error)
{
  const char *equals = strchr (item, '=');
  g_autofree char *text = equals != NULL ? g_uri_unescape_string (equals + 1, NULL) : NULL;
  guint id = find_field (key);

  if (id == 0)
    {
      set_unknown_key_error (error, key);
      return FALSE;
    }
  if (text == NULL || !g_utf8_validate (text, -1, NULL))
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
                   equals == NULL ? "%s: the value is missing, write “%s=…”"
                                  : "%s: the value is not text in UTF-8 with correct %%-escapes",
                   key, key);
      return FALSE;
    }
  if (*seen & (1u << id))
    {
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "%s is given twice", key);
      return FALSE;
    }
  *seen |= 1u << id;
  if (!take_text (self, id, text, error))
    {
      g_prefix_error (error, "%s: ", key);
      return FALSE;
    }
  return TRUE;
}

gboolean
db_pool_config_take_uri_query (DbPoolConfig *self,
                               const char *query,
                               char **remaining,
                               GError **error)
{
  g_auto (GStrv) items = g_strsplit (query != NULL ? query : "", "&", -1);
  g_autoptr (GString) rest = g_string_new (NULL);
  guint seen = 0;

  *remaining = NULL;
  for (gsize i = 0; items[i] != NULL; i++)
    {
      g_autofree char *raw_key = g_strndup (items[i], strcspn (items[i], "="));
      g_autofree char *key = g_uri_unescape_string (raw_key, NULL);

      if (items[i][0] == '\0')
        continue;
      if (key != NULL && g_str_has_prefix (key, "pool_") && g_utf8_validate (key, -1, NULL))
        {
          if (!take_item (self, items[i], key, &seen, error))
            return FALSE;
          continue;
        }
      if (rest->len > 0)
        g_string_append_c (rest, '&');
      g_string_append (rest, items[i]);
    }
  if (rest->len > 0)
    *remaining = g_string_free (g_steal_pointer (&rest), FALSE);
  return TRUE;
}
