/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Where a PostgreSQL database is and how to get in: properties, libpq's URIs, and libpq's keywords
 * on the way out. It has no lock: whoever makes a configuration owns it until it is used, and then
 * it is frozen and only read. Secrets are wiped when they are replaced or freed, and nothing here
 * prints them: texts of libpq that may quote a URI are not passed on.
 *
 * Without libpq the class is all there; only reading a URI fails. */

#include "config.h"

#include "db-database-config-private.h"
#include "db-config-source-private.h"
#include "db-error.h"
#include "db-log-private.h"

#include <string.h>

/**
 * DbDatabaseConfig:
 *
 * Where a PostgreSQL database is and how to get in.
 *
 * What is not set is left to libpq: its `PG…` environment variables, its password and service
 * files, its defaults.
 *
 * A configuration is not safe to share between threads while it is being changed. It is fixed once
 * used: after a [class@Db.PostgresManager] was made from it, setting a property only warns.
 *
 * Since: 1.0
 */

typedef struct
{
  char *host; /* NULL: libpq's default */
  guint port; /* 0: libpq's default */
} DbEndpoint;

struct _DbDatabaseConfig
{
  GObject parent_instance;

  GArray *endpoints; /* of DbEndpoint */
  char *database;
  char *username;
  char *password;
  char *password_file;
  DbSslMode ssl_mode;
  char *ssl_root_cert;
  char *ssl_cert;
  char *ssl_key;
  char *application_name;
  GHashTable *options; /* char * to char *, both owned; values are wiped */
  int frozen;          /* atomic */
};

typedef enum
{
  PROP_HOSTS = 1,
  PROP_HOST,
  PROP_PORT,
  PROP_DATABASE,
  PROP_USERNAME,
  PROP_PASSWORD,
  PROP_PASSWORD_FILE,
  PROP_SSL_MODE,
  PROP_SSL_ROOT_CERT,
  PROP_SSL_CERT,
  PROP_SSL_KEY,
  PROP_APPLICATION_NAME,
  PROP_OPTIONS,
} DbDatabaseConfigProperty;

static GParamSpec *properties[PROP_OPTIONS + 1];

G_DEFINE_FINAL_TYPE (DbDatabaseConfig, db_database_config, G_TYPE_OBJECT)

/* libpq's names of DbSslMode. */
static const char *const ssl_modes[] = {
  [DB_SSL_MODE_DEFAULT] = NULL,
  [DB_SSL_MODE_DISABLE] = "disable",
  [DB_SSL_MODE_ALLOW] = "allow",
  [DB_SSL_MODE_PREFER] = "prefer",
  [DB_SSL_MODE_REQUIRE] = "require",
  [DB_SSL_MODE_VERIFY_CA] = "verify-ca",
  [DB_SSL_MODE_VERIFY_FULL] = "verify-full",
};

/* libpq's keywords whose values are secrets; those of its later versions too. */
gboolean
db_database_config_is_secret (const char *keyword)
{
  static const char *const secrets[] = {
    "password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret", NULL,
  };

  return g_strv_contains (secrets, keyword);
}

/* What a URI said of the pool, which no server is told. */
static gboolean
is_pool_option (const char *keyword)
{
  return g_str_has_prefix (keyword, "pool_");
}

static void
warn_frozen (const char *property)
{
  db_log (DB_LOG_FACTS (DB_LOG_CONFIG_FROZEN),
          "DbDatabaseConfig:%s cannot be set: a configuration is fixed once it is used", property);
}

static void
endpoint_clear (gpointer data)
{
  g_clear_pointer (&((DbEndpoint *) data)->host, g_free);
}

static gboolean
parse_port (const char *text, guint *port)
{
  guint64 number;

  if (!g_ascii_string_to_unsigned (text, 10, 1, 65535, &number, NULL))
    return FALSE;
  *port = number;
  return TRUE;
}

/* "host", "host:port", "[address]:port", an IPv6 address, ":port". */
static DbEndpoint
endpoint_parse (const char *text)
{
  DbEndpoint endpoint = {NULL, 0};
  const char *colon = strrchr (text, ':');
  const char *end = text[0] == '[' ? strchr (text, ']') : NULL;

  if (end != NULL && (end[1] == '\0' || (end[1] == ':' && parse_port (end + 2, &endpoint.port))))
    endpoint.host = g_strndup (text + 1, end - text - 1);
  else if (colon != NULL && strchr (text, ':') == colon && parse_port (colon + 1, &endpoint.port))
    endpoint.host = g_strndup (text, colon - text);
  else
    endpoint.host = g_strdup (text);
  if (endpoint.host[0] == '\0')
    g_clear_pointer (&endpoint.host, g_free);
  return endpoint;
}

/* libpq separates hosts by commas, key files by semicolons. */
static gboolean
is_host (const char *host)
{
  g_autofree char *address = g_strndup (host, strcspn (host, "%")); /* without the zone */
  const gboolean is_socket = host[0] == '/' || host[0] == '@';

  for (const char *c = host; *c != '\0'; c++)
    if (g_ascii_iscntrl (*c) || strchr (is_socket ? ",;" : ",; /@[]?#", *c) != NULL)
      return FALSE;
  return is_socket || strchr (host, ':') == NULL || g_hostname_is_ip_address (address);
}

gboolean
db_database_config_check_host (const char *text, gboolean may_have_port, GError **error)
{
  DbEndpoint endpoint = endpoint_parse (text);
  g_autofree char *host = endpoint.host;
  g_autofree char *shown = NULL;

  if ((host == NULL || is_host (host)) && (endpoint.port == 0 || may_have_port))
    return TRUE;
  shown = db_config_shorten (text);
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION,
               may_have_port ? "“%s” is no host: write host, host:port with a port from 1 to "
                               "65535, [address]:port, or the folder of a Unix socket"
                             : "“%s” is no host: write a name, an address or the folder of a Unix "
                               "socket, several with commas, and ports apart from them",
               shown);
  return FALSE;
}

static char *
endpoint_format (const DbEndpoint *endpoint)
{
  const char *host = endpoint->host != NULL ? endpoint->host : "";

  if (endpoint->port == 0)
    return g_strdup (host);
  if (strchr (host, ':') != NULL)
    return g_strdup_printf ("[%s]:%u", host, endpoint->port);
  return g_strdup_printf ("%s:%u", host, endpoint->port);
}

static char **
dup_hosts (DbDatabaseConfig *self)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  for (guint i = 0; i < self->endpoints->len; i++)
    {
      g_autofree char *text = endpoint_format (&g_array_index (self->endpoints, DbEndpoint, i));

      g_strv_builder_add (builder, text);
    }
  return g_strv_builder_end (builder);
}

static const char *
get_host (DbDatabaseConfig *self)
{
  return self->endpoints->len > 0 ? g_array_index (self->endpoints, DbEndpoint, 0).host : NULL;
}

static guint
get_port (DbDatabaseConfig *self)
{
  return self->endpoints->len > 0 ? g_array_index (self->endpoints, DbEndpoint, 0).port : 0;
}

static DbEndpoint *
ensure_first (DbDatabaseConfig *self)
{
  if (self->endpoints->len == 0)
    g_array_set_size (self->endpoints, 1);
  return &g_array_index (self->endpoints, DbEndpoint, 0);
}

static void
set_hosts (DbDatabaseConfig *self, const char *const *hosts)
{
  static const char *const nothing[] = {NULL};
  g_auto (GStrv) old = dup_hosts (self);
  g_autofree char *old_host = g_strdup (get_host (self));
  guint old_port = get_port (self);

  if (hosts == NULL)
    hosts = nothing;
  if (g_strv_equal ((const char *const *) old, hosts))
    return;
  g_array_set_size (self->endpoints, 0);
  for (; *hosts != NULL; hosts++)
    {
      DbEndpoint endpoint = endpoint_parse (*hosts);

      g_array_append_val (self->endpoints, endpoint);
    }
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_HOSTS]);
  if (g_strcmp0 (old_host, get_host (self)) != 0)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_HOST]);
  if (old_port != get_port (self))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_PORT]);
}

static void
set_host (DbDatabaseConfig *self, const char *host)
{
  DbEndpoint *first;

  if (host != NULL && host[0] == '\0')
    host = NULL;
  if (g_strcmp0 (host, get_host (self)) == 0)
    return;
  first = ensure_first (self);
  g_free (first->host);
  first->host = g_strdup (host);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_HOST]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_HOSTS]);
}

static void
set_port (DbDatabaseConfig *self, guint port)
{
  if (port == get_port (self))
    return;
  ensure_first (self)->port = port;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_PORT]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_HOSTS]);
}

static void
set_text (DbDatabaseConfig *self,
          char **field,
          const char *value,
          DbDatabaseConfigProperty property)
{
  if (value != NULL && value[0] == '\0')
    value = NULL;
  if (g_strcmp0 (*field, value) == 0)
    return;
  g_free (*field);
  *field = g_strdup (value);
  g_object_notify_by_pspec (G_OBJECT (self), properties[property]);
}

/* Without GValues for the secrets: those would leave copies behind. */
void
db_database_config_set_keyword (DbDatabaseConfig *self, const char *keyword, const char *value)
{
  if (strcmp (keyword, "dbname") == 0)
    set_text (self, &self->database, value, PROP_DATABASE);
  else if (strcmp (keyword, "user") == 0)
    set_text (self, &self->username, value, PROP_USERNAME);
  else if (strcmp (keyword, "password") == 0)
    db_database_config_set_password (self, value);
  else if (strcmp (keyword, "sslrootcert") == 0)
    set_text (self, &self->ssl_root_cert, value, PROP_SSL_ROOT_CERT);
  else if (strcmp (keyword, "sslcert") == 0)
    set_text (self, &self->ssl_cert, value, PROP_SSL_CERT);
  else if (strcmp (keyword, "sslkey") == 0)
    set_text (self, &self->ssl_key, value, PROP_SSL_KEY);
  else if (strcmp (keyword, "application_name") == 0)
    set_text (self, &self->application_name, value, PROP_APPLICATION_NAME);
  else
    g_hash_table_replace (self->options, g_strdup (keyword), g_strdup (value));
}

static void
set_options (DbDatabaseConfig *self, GVariant *options)
{
  GVariantIter iter;
  const char *keyword, *value;

  g_hash_table_remove_all (self->options);
  if (options != NULL)
    {
      g_variant_iter_init (&iter, options);
      while (g_variant_iter_next (&iter, "{&s&s}", &keyword, &value))
        db_database_config_set_keyword (self, keyword, value);
    }
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_OPTIONS]);
}

/* The options that are no secrets, sorted, so that equal configurations read alike. */
static GList *
list_public_options (DbDatabaseConfig *self)
{
  GList *keywords = g_list_sort (g_hash_table_get_keys (self->options), (GCompareFunc) strcmp);

  for (GList *l = keywords; l != NULL;)
    {
      GList *next = l->next;

      if (db_database_config_is_secret (l->data))
        keywords = g_list_delete_link (keywords, l);
      l = next;
    }
  return keywords;
}

static GVariant *
dup_options (DbDatabaseConfig *self)
{
  g_autoptr (GList) keywords = list_public_options (self);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  for (GList *l = keywords; l != NULL; l = l->next)
    g_variant_builder_add (&builder, "{ss}", l->data, g_hash_table_lookup (self->options, l->data));
  return g_variant_builder_end (&builder);
}

static void
db_database_config_finalize (GObject *object)
{
  DbDatabaseConfig *self = DB_DATABASE_CONFIG (object);

  g_clear_pointer (&self->endpoints, g_array_unref);
  g_clear_pointer (&self->database, g_free);
  g_clear_pointer (&self->username, g_free);
  g_clear_pointer (&self->password, db_wipe_and_free);
  g_clear_pointer (&self->password_file, g_free);
  g_clear_pointer (&self->ssl_root_cert, g_free);
  g_clear_pointer (&self->ssl_cert, g_free);
  g_clear_pointer (&self->ssl_key, g_free);
  g_clear_pointer (&self->application_name, g_free);
  g_clear_pointer (&self->options, g_hash_table_unref);

  G_OBJECT_CLASS (db_database_config_parent_class)->finalize (object);
}

static void
db_database_config_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  DbDatabaseConfig *self = DB_DATABASE_CONFIG (object);

  switch ((DbDatabaseConfigProperty) id)
    {
    case PROP_HOSTS:
      g_value_take_boxed (value, dup_hosts (self));
      break;
    case PROP_HOST:
      g_value_set_string (value, get_host (self));
      break;
    case PROP_PORT:
      g_value_set_uint (value, get_port (self));
      break;
    case PROP_DATABASE:
      g_value_set_string (value, self->database);
      break;
    case PROP_USERNAME:
      g_value_set_string (value, self->username);
      break;
    case PROP_PASSWORD_FILE:
      g_value_set_string (value, self->password_file);
      break;
    case PROP_SSL_MODE:
      g_value_set_enum (value, self->ssl_mode);
      break;
    case PROP_SSL_ROOT_CERT:
      g_value_set_string (value, self->ssl_root_cert);
      break;
    case PROP_SSL_CERT:
      g_value_set_string (value, self->ssl_cert);
      break;
    case PROP_SSL_KEY:
      g_value_set_string (value, self->ssl_key);
      break;
    case PROP_APPLICATION_NAME:
      g_value_set_string (value, self->application_name);
      break;
    case PROP_OPTIONS:
      g_value_take_variant (value, g_variant_ref_sink (dup_options (self)));
      break;
    case PROP_PASSWORD:
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
db_database_config_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  DbDatabaseConfig *self = DB_DATABASE_CONFIG (object);

  if (g_atomic_int_get (&self->frozen))
    {
      warn_frozen (pspec->name);
      return;
    }

  switch ((DbDatabaseConfigProperty) id)
    {
    case PROP_HOSTS:
      set_hosts (self, g_value_get_boxed (value));
      break;
    case PROP_HOST:
      set_host (self, g_value_get_string (value));
      break;
    case PROP_PORT:
      set_port (self, g_value_get_uint (value));
      break;
    case PROP_DATABASE:
      set_text (self, &self->database, g_value_get_string (value), id);
      break;
    case PROP_USERNAME:
      set_text (self, &self->username, g_value_get_string (value), id);
      break;
    case PROP_PASSWORD:
      db_database_config_set_password (self, g_value_get_string (value));
      break;
    case PROP_PASSWORD_FILE:
      set_text (self, &self->password_file, g_value_get_string (value), id);
      break;
    case PROP_SSL_MODE:
      if (self->ssl_mode != (DbSslMode) g_value_get_enum (value))
        {
          self->ssl_mode = g_value_get_enum (value);
          g_object_notify_by_pspec (object, pspec);
        }
      break;
    case PROP_SSL_ROOT_CERT:
      set_text (self, &self->ssl_root_cert, g_value_get_string (value), id);
      break;
    case PROP_SSL_CERT:
      set_text (self, &self->ssl_cert, g_value_get_string (value), id);
      break;
    case PROP_SSL_KEY:
      set_text (self, &self->ssl_key, g_value_get_string (value), id);
      break;
    case PROP_APPLICATION_NAME:
      set_text (self, &self->application_name, g_value_get_string (value), id);
      break;
    case PROP_OPTIONS:
      set_options (self, g_value_get_variant (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
db_database_config_class_init (DbDatabaseConfigClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->finalize = db_database_config_finalize;
  object_class->get_property = db_database_config_get_property;
  object_class->set_property = db_database_config_set_property;

  /**
   * DbDatabaseConfig:hosts:
   *
   * The servers that are tried in this order, each `host`, `host:port`, `[address]:port` or, for
   * Unix sockets, the folder that the socket is in.
   *
   * Since: 1.0
   */
  properties[PROP_HOSTS] = g_param_spec_boxed ("hosts", NULL, NULL, G_TYPE_STRV, flags);

  /**
   * DbDatabaseConfig:host:
   *
   * The first of the hosts; %NULL for libpq's default.
   *
   * Since: 1.0
   */
  properties[PROP_HOST] = g_param_spec_string ("host", NULL, NULL, NULL, flags);

  /**
   * DbDatabaseConfig:port:
   *
   * The port of the first host; 0 for libpq's default.
   *
   * Since: 1.0
   */
  properties[PROP_PORT] = g_param_spec_uint ("port", NULL, NULL, 0, 65535, 0, flags);

  /**
   * DbDatabaseConfig:database:
   *
   * The name of the database.
   *
   * Since: 1.0
   */
  properties[PROP_DATABASE] = g_param_spec_string ("database", NULL, NULL, NULL, flags);

  /**
   * DbDatabaseConfig:username:
   *
   * Who logs in.
   *
   * Since: 1.0
   */
  properties[PROP_USERNAME] = g_param_spec_string ("username", NULL, NULL, NULL, flags);

  /**
   * DbDatabaseConfig:password:
   *
   * The password, which cannot be read back.
   *
   * Its memory is wiped when it is replaced and when the configuration is freed. The value of a
   * property travels in copies that are not: [method@Db.DatabaseConfig.set_password] makes none.
   *
   * Since: 1.0
   */
  properties[PROP_PASSWORD] =
    g_param_spec_string ("password", NULL, NULL, NULL,
                         G_PARAM_WRITABLE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * DbDatabaseConfig:password-file:
   *
   * A file with the password and nothing else but a line break at its end.
   *
   * It is read each time a session is opened, so that a password can be replaced while the program
   * runs. A password that is set wins.
   *
   * Since: 1.0
   */
  properties[PROP_PASSWORD_FILE] = g_param_spec_string ("password-file", NULL, NULL, NULL, flags);

  /**
   * DbDatabaseConfig:ssl-mode:
   *
   * Whether the connection is encrypted and how the server is verified.
   *
   * Since: 1.0
   */
  properties[PROP_SSL_MODE] =
    g_param_spec_enum ("ssl-mode", NULL, NULL, DB_TYPE_SSL_MODE, DB_SSL_MODE_DEFAULT, flags);

  /**
   * DbDatabaseConfig:ssl-root-cert:
   *
   * The file with the certificates of the authorities that are trusted.
   *
   * Since: 1.0
   */
  properties[PROP_SSL_ROOT_CERT] = g_param_spec_string ("ssl-root-cert", NULL, NULL, NULL, flags);

  /**
   * DbDatabaseConfig:ssl-cert:
   *
   * The file with the client's certificate.
   *
   * Since: 1.0
   */
  properties[PROP_SSL_CERT] = g_param_spec_string ("ssl-cert", NULL, NULL, NULL, flags);

  /**
   * DbDatabaseConfig:ssl-key:
   *
   * The file with the client's private key.
   *
   * Since: 1.0
   */
  properties[PROP_SSL_KEY] = g_param_spec_string ("ssl-key", NULL, NULL, NULL, flags);

  /**
   * DbDatabaseConfig:application-name:
   *
   * What the server shows in `pg_stat_activity`; by default the name of the program.
   *
   * Since: 1.0
   */
  properties[PROP_APPLICATION_NAME] =
    g_param_spec_string ("application-name", NULL, NULL, NULL, flags);

  /**
   * DbDatabaseConfig:options:
   *
   * Other keywords of libpq and their values, for example `connect_timeout`.
   *
   * A keyword that has a property here goes there. Secrets among them cannot be read back. Keys
   * that begin with `pool_` are settings of the pool as in the query of a URI, and stay here: they
   * are for [class@Db.PoolFactory].
   *
   * Since: 1.0
   */
  properties[PROP_OPTIONS] =
    g_param_spec_variant ("options", NULL, NULL, G_VARIANT_TYPE ("a{ss}"), NULL, flags);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
db_database_config_init (DbDatabaseConfig *self)
{
  self->endpoints = g_array_new (FALSE, TRUE, sizeof (DbEndpoint));
  g_array_set_clear_func (self->endpoints, endpoint_clear);
  self->options = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, db_wipe_and_free);
}

/**
 * db_database_config_new:
 *
 * Makes a configuration in which nothing is set. Does not block.
 *
 * Returns: (transfer full): a configuration
 *
 * Since: 1.0
 */
DbDatabaseConfig *
db_database_config_new (void)
{
  return g_object_new (DB_TYPE_DATABASE_CONFIG, NULL);
}

/**
 * db_database_config_new_from_uri:
 * @uri: a URI
 * @error: return location for an error
 *
 * Makes a configuration from a URI, by the rules of libpq.
 *
 * The schemes are `postgresql` and `postgres`; there may be several hosts, and a Unix socket's
 * folder is percent-encoded (`%2Ftmp`) or the query's `host`. Unlike libpq, this refuses an `@`
 * behind the host's beginning: it comes from a password that was not percent-encoded.
 *
 * Does not block. Fails with `DB_ERROR_CONFIGURATION`, never quoting a password, and with
 * `DB_ERROR_NOT_SUPPORTED` where dbpool was built without libpq.
 *
 * Returns: (transfer full): a configuration
 *
 * Since: 1.0
 */
DbDatabaseConfig *
db_database_config_new_from_uri (const char *uri, GError **error)
{
  g_autoptr (DbDatabaseConfig) self = NULL;

  g_return_val_if_fail (uri != NULL, NULL);

  self = db_database_config_new ();
  if (!db_database_config_read_uri (self, uri, error))
    return NULL;
  return g_steal_pointer (&self);
}

/**
 * db_database_config_set_password: (set-property password)
 * @self: a configuration
 * @password: (nullable): the password
 *
 * Sets the password, leaving no copy of it behind as setting the property does. Does not block.
 *
 * Since: 1.0
 */
void
db_database_config_set_password (DbDatabaseConfig *self, const char *password)
{
  g_return_if_fail (DB_IS_DATABASE_CONFIG (self));

  if (g_atomic_int_get (&self->frozen))
    {
      warn_frozen ("password");
      return;
    }
  db_wipe_and_free (self->password);
  self->password = g_strdup (password);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_PASSWORD]);
}

/* A socket's folder is escaped as a whole, an IPv6 address bracketed. */
static void
append_endpoint (GString *text, const DbEndpoint *endpoint)
{
  if (endpoint->host != NULL && strchr (endpoint->host, ':') != NULL && endpoint->host[0] != '/')
    g_string_append_printf (text, "[%s]", endpoint->host);
  else if (endpoint->host != NULL)
    g_string_append_uri_escaped (text, endpoint->host, NULL, FALSE);
  if (endpoint->port != 0)
    g_string_append_printf (text, ":%u", endpoint->port);
}

char *
db_database_config_describe (DbDatabaseConfig *self)
{
  GString *text = g_string_new ("postgresql://");

  if (self->username != NULL)
    {
      g_string_append_uri_escaped (text, self->username, NULL, FALSE);
      g_string_append_c (text, '@');
    }
  for (guint i = 0; i < self->endpoints->len; i++)
    {
      if (i > 0)
        g_string_append_c (text, ',');
      append_endpoint (text, &g_array_index (self->endpoints, DbEndpoint, i));
    }
  g_string_append_c (text, '/');
  if (self->database != NULL)
    g_string_append_uri_escaped (text, self->database, NULL, FALSE);
  return g_string_free (text, FALSE);
}

static void
append_query (GString *text, const char *keyword, const char *value)
{
  if (value == NULL)
    return;
  g_string_append_c (text, strchr (text->str, '?') == NULL ? '?' : '&');
  g_string_append_uri_escaped (text, keyword, NULL, FALSE);
  g_string_append_c (text, '=');
  g_string_append_uri_escaped (text, value, "/", FALSE);
}

/**
 * db_database_config_to_string:
 * @self: a configuration
 *
 * Writes the configuration as a URI without its password and other secrets. Does not block.
 *
 * Returns: (transfer full): for example `"postgresql://anna@db.example.org/shop?sslmode=require"`
 *
 * Since: 1.0
 */
char *
db_database_config_to_string (DbDatabaseConfig *self)
{
  g_autoptr (GList) keywords = NULL;
  g_autofree char *base = NULL;
  GString *text;

  g_return_val_if_fail (DB_IS_DATABASE_CONFIG (self), NULL);

  base = db_database_config_describe (self);
  text = g_string_new (base);
  append_query (text, "sslmode", ssl_modes[self->ssl_mode]);
  append_query (text, "sslrootcert", self->ssl_root_cert);
  append_query (text, "sslcert", self->ssl_cert);
  append_query (text, "sslkey", self->ssl_key);
  append_query (text, "application_name", self->application_name);
  keywords = list_public_options (self);
  for (GList *l = keywords; l != NULL; l = l->next)
    append_query (text, l->data, g_hash_table_lookup (self->options, l->data));
  return g_string_free (text, FALSE);
}

gboolean
db_database_config_has_password (DbDatabaseConfig *self)
{
  return self->password != NULL;
}

const char *
db_database_config_get_ssl_mode_name (DbDatabaseConfig *self)
{
  return ssl_modes[self->ssl_mode];
}

char *
db_database_config_dup_password_file (DbDatabaseConfig *self)
{
  return self->password == NULL ? g_strdup (self->password_file) : NULL;
}

void
db_database_config_freeze (DbDatabaseConfig *self)
{
  g_atomic_int_set (&self->frozen, TRUE);
}

DbDatabaseConfig *
db_database_config_copy (DbDatabaseConfig *self)
{
  DbDatabaseConfig *copy = db_database_config_new ();
  GHashTableIter iter;
  gpointer keyword, value;

  for (guint i = 0; i < self->endpoints->len; i++)
    {
      DbEndpoint endpoint = g_array_index (self->endpoints, DbEndpoint, i);

      endpoint.host = g_strdup (endpoint.host);
      g_array_append_val (copy->endpoints, endpoint);
    }
  copy->database = g_strdup (self->database);
  copy->username = g_strdup (self->username);
  copy->password = g_strdup (self->password);
  copy->password_file = g_strdup (self->password_file);
  copy->ssl_mode = self->ssl_mode;
  copy->ssl_root_cert = g_strdup (self->ssl_root_cert);
  copy->ssl_cert = g_strdup (self->ssl_cert);
  copy->ssl_key = g_strdup (self->ssl_key);
  copy->application_name = g_strdup (self->application_name);
  g_hash_table_iter_init (&iter, self->options);
  while (g_hash_table_iter_next (&iter, &keyword, &value))
    g_hash_table_insert (copy->options, g_strdup (keyword), g_strdup (value));
  return copy;
}

static void
append_endpoints (DbDatabaseConfig *self, DbConninfo *info)
{
  g_autoptr (GString) hosts = g_string_new (NULL);
  g_autoptr (GString) ports = g_string_new (NULL);
  gboolean have_host = FALSE, have_port = FALSE;

  for (guint i = 0; i < self->endpoints->len; i++)
    {
      const DbEndpoint *endpoint = &g_array_index (self->endpoints, DbEndpoint, i);

      g_string_append_printf (hosts, "%s%s", i > 0 ? "," : "",
                              endpoint->host ? endpoint->host : "");
      if (i > 0)
        g_string_append_c (ports, ',');
      if (endpoint->port != 0)
        g_string_append_printf (ports, "%u", endpoint->port);
      have_host |= endpoint->host != NULL;
      have_port |= endpoint->port != 0;
    }
  if (have_host)
    db_conninfo_set (info, "host", hosts->str);
  if (have_port)
    db_conninfo_set (info, "port", ports->str);
}

DbConninfo *
db_database_config_to_conninfo (DbDatabaseConfig *self)
{
  DbConninfo *info = db_conninfo_new ();
  GHashTableIter iter;
  gpointer keyword, value;

  g_hash_table_iter_init (&iter, self->options);
  while (g_hash_table_iter_next (&iter, &keyword, &value))
    if (!is_pool_option (keyword))
      db_conninfo_set (info, keyword, value);
  append_endpoints (self, info);
  db_conninfo_set (info, "dbname", self->database);
  db_conninfo_set (info, "user", self->username);
  db_conninfo_set (info, "password", self->password);
  db_conninfo_set (info, "sslmode", ssl_modes[self->ssl_mode]);
  db_conninfo_set (info, "sslrootcert", self->ssl_root_cert);
  db_conninfo_set (info, "sslcert", self->ssl_cert);
  db_conninfo_set (info, "sslkey", self->ssl_key);
  db_conninfo_set (info, "application_name", self->application_name);
  return info;
}
