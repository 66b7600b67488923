/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Opening and closing. Opening is libpq's blocking call, because only that honours connect_timeout
 * and leaves a host that stays silent; it runs on a thread that may block. No state, no lock.
 *
 * Where libpq goes on without a file that it was told to use, or asks the terminal for a password,
 * that is an error here: see db_postgres_check_conninfo() and UNKNOWN_PASSWORD. */

#include "config.h"

#include "db-postgres-connecting-private.h"

#include "db-config-source-private.h"
#include "db-error.h"
#include "db-postgres-errors-private.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECT_TIMEOUT "10" /* seconds, for each host */
#define CLOSE_TIMEOUT (1 * G_TIME_SPAN_SECOND)

/* For a key that has a password nobody told us: with none, OpenSSL would ask the terminal. */
#define UNKNOWN_PASSWORD "-"

/* A Unix socket, or this machine by its usual names. */
static gboolean
is_local_host (const char *host)
{
  g_autoptr (GInetAddress) address = NULL;

  if (host[0] == '\0' || host[0] == '/' || host[0] == '@' || g_strcmp0 (host, "localhost") == 0)
    return TRUE;
  address = g_inet_address_new_from_string (host);
  return address != NULL && g_inet_address_get_is_loopback (address);
}

static gboolean
is_local (DbConninfo *info)
{
  const char *hosts = db_conninfo_get (info, "hostaddr");
  g_auto (GStrv) list = NULL;

  if (hosts == NULL)
    hosts = g_getenv ("PGHOSTADDR");
  if (hosts == NULL)
    hosts = db_conninfo_get (info, "host");
  if (hosts == NULL)
    hosts = g_getenv ("PGHOST");
  if (hosts == NULL)
    return TRUE;
  list = g_strsplit (hosts, ",", -1);
  for (char **host = list; *host != NULL; host++)
    if (!is_local_host (*host))
      return FALSE;
  return TRUE;
}

/* libpq looks for root.crt in the home folder only. Without it and without a setting, the
 * authorities that the system trusts are used. */
static const char *
find_system_authorities (void)
{
  static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Alpine */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
    "/etc/ssl/ca-bundle.pem",             /* openSUSE */
    "/etc/ssl/cert.pem",
  };
  g_autofree char *own = g_build_filename (g_get_home_dir (), ".postgresql", "root.crt", NULL);

  if (g_getenv ("PGSSLROOTCERT") != NULL || g_access (own, F_OK) == 0)
    return NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (bundles); i++)
    if (g_access (bundles[i], R_OK) == 0)
      return bundles[i];
  return NULL;
}

/* @variable counts where there is no @keyword. */
static const char *
get_effective (DbConninfo *info, const char *keyword, const char *variable)
{
  const char *value = db_conninfo_get (info, keyword);

  return value != NULL ? value : g_getenv (variable);
}

static const char *
get_ssl_mode (DbConninfo *info)
{
  const char *mode = get_effective (info, "sslmode", "PGSSLMODE");

  return mode != NULL ? mode : "prefer";
}

static void
set_default (DbConninfo *info, const char *keyword, const char *value)
{
  if (db_conninfo_get (info, keyword) == NULL)
    db_conninfo_set (info, keyword, value);
}

static void
set_default_unless_env (DbConninfo *info,
                        const char *keyword,
                        const char *variable,
                        const char *value)
{
  if (g_getenv (variable) == NULL)
    set_default (info, keyword, value);
}

/* What a service says where @info says nothing; "prefer", which is what libpq has for a service
 * that is silent, counts as nothing. Only libpq knows where services stand. An attempt that fails
 * before it does anything, because of a setting that no libpq takes, tells what it would have used.
 */
static void
take_from_service (DbConninfo *info)
{
  static const char *const taken[] = {"host",       "hostaddr",    "connect_timeout", "sslmode",
                                      "gssencmode", "sslrootcert", "sslpassword",     NULL};
  const char *service = db_conninfo_get (info, "service");
  const char *const keywords[] = {"service", "target_session_attrs", NULL};
  const char *const values[] = {service, "dbpool", NULL};
  PGconn *conn;
  PQconninfoOption *options;

  if (service == NULL && g_getenv ("PGSERVICE") == NULL)
    return;
  conn = PQconnectStartParams (keywords, values, 0);
  options = PQconninfo (conn);
  PQfinish (conn);
  for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
    if (g_strv_contains (taken, option->keyword) && option->val != NULL && option->val[0] != '\0' &&
        strcmp (option->val, "prefer") != 0)
      set_default (info, option->keyword, option->val);
  if (options != NULL)
    db_wipe_and_free_libpq_options (options);
}

DbConninfo *
db_postgres_make_conninfo (DbDatabaseConfig *config)
{
  DbConninfo *info = db_database_config_to_conninfo (config);

  take_from_service (info);
  set_default_unless_env (info, "connect_timeout", "PGCONNECT_TIMEOUT", CONNECT_TIMEOUT);
  set_default_unless_env (info, "gssencmode", "PGGSSENCMODE", "disable");
  set_default_unless_env (info, "sslmode", "PGSSLMODE", is_local (info) ? "prefer" : "verify-full");
  set_default (info, "sslpassword", UNKNOWN_PASSWORD);
  if (strcmp (get_ssl_mode (info), "verify-full") == 0)
    set_default (info, "sslrootcert", find_system_authorities ());
  set_default (info, "fallback_application_name", g_get_prgname ());
  db_conninfo_set (info, "client_encoding", "UTF8");
  return info;
}

gboolean
db_postgres_conninfo_is_unverified (DbConninfo *info)
{
  return !is_local (info) && !g_str_has_prefix (get_ssl_mode (info), "verify-");
}

static gboolean
fail (GError **error, const char *property, const char *value, const char *reason)
{
  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "%s \"%s\" cannot be used: %s", property,
               value, reason);
  return FALSE;
}

/* A text like "a,b" would be several hosts for libpq. */
static gboolean
check_hosts (DbDatabaseConfig *config, GError **error)
{
  g_auto (GStrv) hosts = NULL;

  g_object_get (config, "hosts", &hosts, NULL);
  for (char **host = hosts; *host != NULL; host++)
    if (!db_database_config_check_host (*host, TRUE, error))
      return FALSE;
  return TRUE;
}

/* libpq verifies without a list that it cannot read, as if nothing had been revoked. */
static gboolean
check_revocations (DbConninfo *info, GError **error)
{
  const char *file = get_effective (info, "sslcrl", "PGSSLCRL");
  const char *folder = get_effective (info, "sslcrldir", "PGSSLCRLDIR");
  g_autofree char *text = NULL;
  g_autoptr (GError) reason = NULL;

  if (file != NULL && file[0] != '\0')
    {
      if (!g_file_get_contents (file, &text, NULL, &reason))
        return fail (error, "the option sslcrl", file, reason->message);
      if (strstr (text, "-----BEGIN X509 CRL-----") == NULL)
        return fail (error, "the option sslcrl", file, "it is no list of revoked certificates");
    }
  if (folder != NULL && folder[0] != '\0' && !g_file_test (folder, G_FILE_TEST_IS_DIR))
    return fail (error, "the option sslcrldir", folder, "there is no such folder");
  return TRUE;
}

/* An older libpq would let the server ask for the password in any way that it likes. */
static gboolean
check_environment (GError **error)
{
  const char *methods = g_getenv ("PGREQUIREAUTH");
  g_autofree char *reason = db_database_config_explain_unknown ("require_auth");

  if (methods == NULL || methods[0] == '\0' || reason == NULL)
    return TRUE;
  return fail (error, "the environment variable PGREQUIREAUTH", methods, reason);
}

/* As in every other source of settings; a server hangs up on what is longer, and says nothing. */
static gboolean
check_lengths (DbConninfo *info, GError **error)
{
  for (guint i = 0; info->keywords[i] != NULL; i++)
    {
      if (info->values[i] == NULL || strlen (info->values[i]) <= DB_CONFIG_MAX_LENGTH)
        continue;
      g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "%s is longer than %d bytes",
                   info->keywords[i], DB_CONFIG_MAX_LENGTH);
      return FALSE;
    }
  return TRUE;
}

gboolean
db_postgres_check_conninfo (DbDatabaseConfig *config, DbConninfo *info, GError **error)
{
  const char *cert = db_conninfo_get (info, "sslcert");

  if (!check_lengths (info, error) || !check_hosts (config, error) || !check_environment (error))
    return FALSE;
  if (strcmp (get_ssl_mode (info), "disable") == 0)
    return TRUE;
  /* libpq would go without it */
  if (cert != NULL && cert[0] != '\0' && g_access (cert, R_OK) != 0)
    return fail (error, "ssl-cert", cert, g_strerror (errno));
  return check_revocations (info, error);
}

/* libpq writes to stderr that it ignores a password file, and then misses a password. */
static void
explain_ignored_file (PGconn *conn, GError *error)
{
  PQconninfoOption *options = PQconninfo (conn);
  const char *path = NULL;
  char *text;
  GStatBuf info;

  for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
    if (strcmp (option->keyword, "passfile") == 0)
      path = option->val;
  if (path != NULL && g_stat (path, &info) == 0 && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    {
      text = g_strdup_printf ("%s; libpq ignores the password file \"%s\", because others may read "
                              "it: chmod 0600",
                              error->message, path);
      g_free (error->message);
      error->message = text;
    }
  if (options != NULL)
    db_wipe_and_free_libpq_options (options);
}

/* libpq 15 gives no SQLSTATE of a failed connect but in a verbose text, which has to be asked for
 * before the attempt, and no attempt that honours connect_timeout takes a prepared PGconn: but a
 * second one does. It is made only after an answer of a server that could not be read. */
static PGconn *
connect_or_explain (DbConninfo *info)
{
  PGconn *conn =
    PQconnectdbParams ((const char *const *) info->keywords, (const char *const *) info->values, 0);

  if (conn != NULL && PQstatus (conn) != CONNECTION_OK && db_postgres_open_lacks_sqlstate (conn))
    {
      PQsetErrorVerbosity (conn, PQERRORS_VERBOSE);
      PQreset (conn);
      PQsetErrorVerbosity (conn, PQERRORS_DEFAULT);
    }
  return conn;
}

PGconn *
db_postgres_connect (DbConninfo *info, const char *where, GError **error)
{
  /* Only this thread's messages, so that libpq's own can be told apart. */
  locale_t plain = newlocale (LC_MESSAGES_MASK, "C", duplocale (LC_GLOBAL_LOCALE));
  locale_t previous = uselocale (plain);
  PGconn *conn = connect_or_explain (info);
  GError *failure;

  uselocale (previous);
  freelocale (plain);
  if (conn == NULL)
    g_error ("%s: out of memory", G_STRLOC);
  if (PQstatus (conn) == CONNECTION_OK)
    return conn;

  failure = db_postgres_error_from_open (PQerrorMessage (conn), where, get_ssl_mode (info));
  if (PQconnectionNeedsPassword (conn))
    explain_ignored_file (conn, failure);
  g_propagate_error (error, failure);
  PQfinish (conn);
  return NULL;
}

/* PQfinish returns before the server has seen that we left. The server's end of file on a copy of
 * the socket says that its process is gone, and with it the place that it took. */
static void
wait_for_eof (int fd)
{
  gint64 deadline = g_get_monotonic_time () + CLOSE_TIMEOUT;
  char buffer[4096];

  shutdown (fd, SHUT_WR);
  for (;;)
    {
      struct pollfd pollfd = {fd, POLLIN, 0};
      gint64 left = deadline - g_get_monotonic_time ();
      ssize_t n;

      if (left <= 0 || (poll (&pollfd, 1, left / 1000 + 1) < 0 && errno != EINTR))
        return;
      if (pollfd.revents == 0)
        continue;
      n = recv (fd, buffer, sizeof buffer, MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        return;
    }
}

void
db_postgres_disconnect (PGconn *conn, int fd)
{
  PQfinish (conn);
  wait_for_eof (fd);
}
