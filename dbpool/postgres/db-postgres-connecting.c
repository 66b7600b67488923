/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Opening and closing. Opening is libpq's blocking call, because only that honours connect_timeout
 * and leaves a host that stays silent; it runs on a thread that may block. No state, no lock. */

#include "config.h"

#include "db-postgres-connecting-private.h"

#include "db-postgres-errors-private.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_TIMEOUT "10" /* seconds, for each host */
#define CLOSE_TIMEOUT (1 * G_TIME_SPAN_SECOND)

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

/* A service file speaks for itself, with libpq's defaults. */
static gboolean
has_service (DbConninfo *info)
{
  return db_conninfo_get (info, "service") != NULL || g_getenv ("PGSERVICE") != NULL;
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

DbConninfo *
db_postgres_make_conninfo (DbDatabaseConfig *config)
{
  DbConninfo *info = db_database_config_to_conninfo (config);

  if (!has_service (info))
    {
      set_default_unless_env (info, "connect_timeout", "PGCONNECT_TIMEOUT", CONNECT_TIMEOUT);
      set_default_unless_env (info, "gssencmode", "PGGSSENCMODE", "disable");
      set_default_unless_env (info, "sslmode", "PGSSLMODE",
                              is_local (info) ? "prefer" : "verify-full");
    }
  if (g_strcmp0 (db_conninfo_get (info, "sslmode"), "verify-full") == 0)
    set_default (info, "sslrootcert", find_system_authorities ());
  set_default (info, "fallback_application_name", g_get_prgname ());
  db_conninfo_set (info, "client_encoding", "UTF8");
  return info;
}

static const char *
get_ssl_mode (DbConninfo *info)
{
  const char *mode = db_conninfo_get (info, "sslmode");

  if (mode == NULL)
    mode = g_getenv ("PGSSLMODE");
  return mode != NULL ? mode : "prefer";
}

gboolean
db_postgres_conninfo_is_unverified (DbConninfo *info)
{
  return !has_service (info) && !is_local (info) &&
         !g_str_has_prefix (get_ssl_mode (info), "verify-");
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

  uselocale (previous);
  freelocale (plain);
  if (conn == NULL)
    g_error ("%s: out of memory", G_STRLOC);
  if (PQstatus (conn) == CONNECTION_OK)
    return conn;

  g_propagate_error (error, db_postgres_error_from_open (conn, where, get_ssl_mode (info)));
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
