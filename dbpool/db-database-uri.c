/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Reads libpq's URIs into a configuration, knows its keywords, and holds what goes to libpq. The
 * grammar is libpq's own (several hosts, sockets, brackets), so libpq parses; its messages may
 * quote any part of the URI, the password too, so they are not passed on: the reason is found here
 * again. Without libpq reading fails. No lock: all of it works on what the caller owns. */

#include "config.h"

#include "db-config-source-private.h"
#include "db-database-config-private.h"
#include "db-error.h"
#include "db-pool-config-private.h"

#include <string.h>

#ifdef HAVE_POSTGRES
#include <libpq-fe.h>
#endif

void
db_wipe_and_free (gpointer text)
{
  if (text != NULL)
    explicit_bzero (text, strlen (text));
  g_free (text);
}

static gboolean fail (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* A URI, and what its escapes stand for, may be any bytes; an error is text. */
static gboolean
fail (GError **error, const char *format, ...)
{
  g_autofree char *bytes = NULL;
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  bytes = g_strdup_vprintf (format, args);
  va_end (args);
  text = g_utf8_make_valid (bytes, -1);
  g_set_error_literal (error, DB_ERROR, DB_ERROR_CONFIGURATION, text);
  return FALSE;
}

/* libpq has a list of hosts and a list of ports, of which one may stand for all. */
gboolean
db_database_config_set_host_lists (DbDatabaseConfig *self,
                                   const char *hosts,
                                   const char *ports,
                                   GError **error)
{
  g_auto (GStrv) host = g_strsplit (hosts, ",", -1);
  g_auto (GStrv) port = g_strsplit (ports, ",", -1);
  guint n_hosts = g_strv_length (host);
  guint n_ports = g_strv_length (port);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) entries = NULL;

  if (n_hosts > 0 && n_ports > 1 && n_ports != n_hosts)
    return fail (error, "%u ports for %u hosts", n_ports, n_hosts);
  for (guint i = 0; i < MAX (n_hosts, n_ports); i++)
    {
      const char *name = i < n_hosts ? host[i] : "";
      const char *number = n_ports == 0 ? "" : port[n_ports == 1 ? 0 : i];
      g_autofree char *entry = NULL;
      guint64 value;

      if (!db_database_config_check_host (name, FALSE, NULL))
        return fail (error, "a host is neither a name, an address nor the folder of a Unix socket");
      if (number[0] != '\0' && !g_ascii_string_to_unsigned (number, 10, 1, 65535, &value, NULL))
        return fail (error, "a port is not a number from 1 to 65535");
      entry = number[0] == '\0'            ? g_strdup (name)
              : strchr (name, ':') != NULL ? g_strdup_printf ("[%s]:%s", name, number)
                                           : g_strdup_printf ("%s:%s", name, number);
      g_strv_builder_add (builder, entry);
    }
  entries = g_strv_builder_end (builder);
  g_object_set (self, "hosts", entries, NULL);
  return TRUE;
}

gboolean
db_database_config_set_ssl_mode (DbDatabaseConfig *self, const char *name, GError **error)
{
  g_autoptr (GEnumClass) modes = g_type_class_ref (DB_TYPE_SSL_MODE);
  GEnumValue *mode = g_enum_get_value_by_nick (modes, name);
  g_autofree char *shown = db_config_shorten (name);

  if (mode == NULL || mode->value == DB_SSL_MODE_DEFAULT)
    return fail (error,
                 "“%s” is no SSL mode: it is disable, allow, prefer, require, verify-ca or "
                 "verify-full",
                 shown);
  g_object_set (self, "ssl-mode", mode->value, NULL);
  return TRUE;
}

gboolean
db_database_config_check_keyword (const char *keyword, const char *value, GError **error)
{
  static const char *const numbers[] = {
    "connect_timeout",  "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
    "tcp_user_timeout", NULL,
  };
  g_autofree char *shown = db_config_shorten (value);
  gint64 number;

  if (!g_strv_contains (numbers, keyword) ||
      g_ascii_string_to_signed (value, 10, G_MININT32, G_MAXINT32, &number, NULL))
    return TRUE;
  return fail (error, "“%s” is no whole number, which %s has to be", shown, keyword);
}

#ifdef HAVE_POSTGRES
void
db_wipe_and_free_libpq_options (PQconninfoOption *options)
{
  for (PQconninfoOption *option = options; option->keyword != NULL; option++)
    if (option->val != NULL)
      explicit_bzero (option->val, strlen (option->val));
  PQconninfoFree (options);
}

/* Where the hosts begin, by libpq's rule: behind the first "@" if no "/" comes before it. */
static const char *
skip_credentials (const char *uri)
{
  const char *start = strstr (uri, "://") + 3;
  gsize length = strcspn (start, "@/");

  return start[length] == '@' ? start + length + 1 : start;
}

/* The first key of the query that libpq does not know, or NULL. */
static char *
find_unknown_key (const char *query)
{
  PQconninfoOption *known = PQconninfoParse ("", NULL);
  g_auto (GStrv) pairs = g_strsplit (query, "&", -1);
  char *unknown = NULL;

  for (char **pair = pairs; known != NULL && *pair != NULL && unknown == NULL; pair++)
    {
      g_autofree char *raw = g_strndup (*pair, strcspn (*pair, "="));
      g_autofree char *key = g_uri_unescape_string (raw, NULL);
      PQconninfoOption *option = known;

      while (option->keyword != NULL && g_strcmp0 (option->keyword, key) != 0)
        option++;
      if (option->keyword == NULL && g_strcmp0 (key, "ssl") != 0 && strchr (*pair, '=') != NULL)
        unknown = g_strdup (key != NULL ? key : raw);
    }
  if (known != NULL)
    PQconninfoFree (known);
  return unknown;
}

/* A key that stands in the query twice, or NULL: libpq takes the last one without a word. */
static char *
find_repeated_key (const char *query)
{
  g_auto (GStrv) pairs = g_strsplit (query, "&", -1);
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (char **pair = pairs; *pair != NULL; pair++)
    {
      g_autofree char *raw = g_strndup (*pair, strcspn (*pair, "="));
      g_autofree char *plain = g_uri_unescape_string (raw, NULL);
      /* "ssl=true" is what others write for a sslmode, and libpq understands it */
      g_autofree char *key = g_strdup (g_strcmp0 (plain, "ssl") == 0 ? "sslmode" : plain);

      if (key != NULL && g_hash_table_contains (seen, key))
        return g_steal_pointer (&key);
      if (key != NULL)
        g_hash_table_add (seen, g_steal_pointer (&key));
    }
  return NULL;
}

static gboolean
fail_malformed (const char *uri, GError **error)
{
  const char *query = strchr (skip_credentials (uri), '?');
  g_autofree char *unknown = query != NULL ? find_unknown_key (query + 1) : NULL;

  if (unknown != NULL)
    {
      g_autofree char *reason = db_database_config_explain_unknown (unknown);

      return fail (error, "the URI of the PostgreSQL database has a key that %s: \"%s\"",
                   reason != NULL ? reason : "libpq does not know", unknown);
    }
  return fail (error,
               "the URI of the PostgreSQL database is malformed: write "
               "postgresql://user:password@host:port/database?key=value, with special characters "
               "percent-encoded");
}

static gboolean
check_repetitions (const char *hosts, GError **error)
{
  const char *query = strchr (hosts, '?');
  g_autofree char *key = query != NULL ? find_repeated_key (query + 1) : NULL;

  return key == NULL || fail (error, "%s is twice in the URI of the PostgreSQL database", key);
}

static gboolean
take_options (DbDatabaseConfig *self, PQconninfoOption *options, GError **error)
{
  const char *hosts = "", *ports = "";

  for (PQconninfoOption *option = options; option->keyword != NULL; option++)
    {
      if (option->val == NULL || option->val[0] == '\0')
        continue;
      if (strlen (option->val) > DB_CONFIG_MAX_LENGTH)
        return fail (error, "%s in the URI of the PostgreSQL database is longer than %d bytes",
                     option->keyword, DB_CONFIG_MAX_LENGTH);
      /* texts show the others */
      if (strcmp (option->keyword, "password") != 0 && !g_utf8_validate (option->val, -1, NULL))
        return fail (error, "%s in the URI of the PostgreSQL database is no valid UTF-8",
                     option->keyword);
      if (!db_database_config_check_keyword (option->keyword, option->val, error))
        return FALSE;
      if (strcmp (option->keyword, "host") == 0)
        hosts = option->val;
      else if (strcmp (option->keyword, "port") == 0)
        ports = option->val;
      else if (strcmp (option->keyword, "sslmode") != 0)
        db_database_config_set_keyword (self, option->keyword, option->val);
      else if (!db_database_config_set_ssl_mode (self, option->val, error))
        return FALSE;
    }
  if (db_database_config_set_host_lists (self, hosts, ports, error))
    return TRUE;
  g_prefix_error (error, "the URI of the PostgreSQL database: ");
  return FALSE;
}

/* Puts what @uri says of the pool among the options, and returns the rest of @uri; NULL with
 * @error. */
static char *
take_pool_options (DbDatabaseConfig *self, const char *uri, GError **error)
{
  const char *query = strchr (skip_credentials (uri), '?');
  g_autoptr (DbPoolConfig) scratch = NULL;
  g_autofree char *rest = NULL;
  g_auto (GStrv) items = NULL;

  if (query == NULL)
    return g_strdup (uri);
  scratch = db_pool_config_new ();
  if (!db_pool_config_take_uri_query (scratch, query + 1, &rest, error))
    return NULL;
  items = g_strsplit (query + 1, "&", -1);
  for (char **item = items; *item != NULL; item++)
    {
      g_autofree char *raw = g_strndup (*item, strcspn (*item, "="));
      g_autofree char *key = g_uri_unescape_string (raw, NULL);
      g_autofree char *value = NULL;

      /* the parser knows all keys like that, so that each has a good value */
      if (key == NULL || !g_str_has_prefix (key, "pool_") || !g_utf8_validate (key, -1, NULL))
        continue;
      value = g_uri_unescape_string (*item + strlen (raw) + 1, NULL);
      db_database_config_set_keyword (self, key, value);
    }
  return g_strdup_printf ("%.*s%s%s", (int) (query - uri), uri, rest != NULL ? "?" : "",
                          rest != NULL ? rest : "");
}
#endif

char **
db_database_config_list_keywords (void)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
#ifdef HAVE_POSTGRES
  /* those with a property, and what dbpool decides */
  static const char *const others[] = {
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "client_encoding",
    NULL,
  };
  PQconninfoOption *known = PQconninfoParse ("", NULL);

  for (PQconninfoOption *option = known; known != NULL && option->keyword != NULL; option++)
    if (!g_strv_contains (others, option->keyword))
      g_strv_builder_add (builder, option->keyword);
  if (known != NULL)
    PQconninfoFree (known);
#endif
  return g_strv_builder_end (builder);
}

gboolean
db_database_config_read_uri (DbDatabaseConfig *self, const char *uri, GError **error)
{
#ifdef HAVE_POSTGRES
  PQconninfoOption *options;
  const char *hosts;
  char *rest;
  gboolean ok;

  if (!g_str_has_prefix (uri, "postgresql://") && !g_str_has_prefix (uri, "postgres://"))
    return fail (error,
                 "the URI of a PostgreSQL database begins with postgresql://; those of other "
                 "databases are for db_pool_factory_create_pool()");
  hosts = skip_credentials (uri);
  if (hosts[strcspn (hosts, "@?")] == '@')
    return fail (
      error, "the URI of the PostgreSQL database is ambiguous: in a user name or password, write "
             "@ as %%40, / as %%2F and : as %%3A");
  rest = take_pool_options (self, uri, error);
  if (rest == NULL)
    return FALSE;
  options = PQconninfoParse (rest, NULL);
  db_wipe_and_free (rest);
  if (options == NULL)
    return fail_malformed (uri, error);
  ok = check_repetitions (hosts, error) && take_options (self, options, error);
  db_wipe_and_free_libpq_options (options);
  return ok;
#else
  g_set_error_literal (error, DB_ERROR, DB_ERROR_NOT_SUPPORTED,
                       "dbpool was built without PostgreSQL");
  return FALSE;
#endif
}

/* Keywords of which a program may rely that they are heeded, and the libpq that they need. */
char *
db_database_config_explain_unknown (const char *keyword)
{
  static const struct
  {
    const char *keyword;
    int version;
  } later[] = {
    {"require_auth", 16},         {"sslcertmode", 16},          {"gssdelegation", 16},
    {"load_balance_hosts", 16},   {"sslnegotiation", 17},       {"sslkeylogfile", 18},
    {"min_protocol_version", 18}, {"max_protocol_version", 18}, {"scram_client_key", 18},
    {"scram_server_key", 18},     {"oauth_issuer", 18},         {"oauth_client_id", 18},
    {"oauth_client_secret", 18},  {"oauth_scope", 18},
  };
  int version = 0;

#ifdef HAVE_POSTGRES
  version = PQlibVersion () / 10000;
#endif
  for (gsize i = 0; i < G_N_ELEMENTS (later); i++)
    if (strcmp (later[i].keyword, keyword) == 0 && version > 0 && version < later[i].version)
      return g_strdup_printf ("needs libpq %d or later, and this is libpq %d", later[i].version,
                              version);
  return NULL;
}

static int
conninfo_find (DbConninfo *self, const char *keyword)
{
  for (int i = 0; self->keywords[i] != NULL; i++)
    if (strcmp (self->keywords[i], keyword) == 0)
      return i;
  return -1;
}

DbConninfo *
db_conninfo_new (void)
{
  DbConninfo *self = g_new (DbConninfo, 1);

  self->keywords = g_new0 (char *, 1);
  self->values = g_new0 (char *, 1);
  return self;
}

const char *
db_conninfo_get (DbConninfo *self, const char *keyword)
{
  int i = conninfo_find (self, keyword);

  return i >= 0 ? self->values[i] : NULL;
}

void
db_conninfo_set (DbConninfo *self, const char *keyword, const char *value)
{
  int i = conninfo_find (self, keyword);
  guint length = g_strv_length (self->keywords);

  if (value == NULL)
    return;
  if (i >= 0)
    {
      db_wipe_and_free (self->values[i]);
      self->values[i] = g_strdup (value);
      return;
    }
  self->keywords = g_renew (char *, self->keywords, length + 2);
  self->values = g_renew (char *, self->values, length + 2);
  self->keywords[length] = g_strdup (keyword);
  self->values[length] = g_strdup (value);
  self->keywords[length + 1] = NULL;
  self->values[length + 1] = NULL;
}

gboolean
db_conninfo_equal (DbConninfo *a, DbConninfo *b)
{
  if (g_strv_length (a->keywords) != g_strv_length (b->keywords))
    return FALSE;
  for (int i = 0; a->keywords[i] != NULL; i++)
    if (g_strcmp0 (a->values[i], db_conninfo_get (b, a->keywords[i])) != 0)
      return FALSE;
  return TRUE;
}

void
db_conninfo_free (DbConninfo *self)
{
  for (char **value = self->values; *value != NULL; value++)
    explicit_bzero (*value, strlen (*value));
  g_strfreev (self->values);
  g_strfreev (self->keywords);
  g_free (self);
}
