/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Errors of libpq and of the server in dbpool's words. A statement's error has its fields; that of
 * a failed connect is only text, of one line or several for each host that was tried:
 *
 *   connection to server at "127.0.0.1", port 5432 failed: FATAL:  28P01: password authentication …
 *   connection to server on socket "/tmp/.s.PGSQL.5432" failed: No such file or directory
 *   <TAB>Is the server running locally and accepting connections on that socket?
 *   password retrieved from file "/home/anna/.pgpass"
 *
 * A severity and two spaces mark what a server said; the code behind it is there with
 * PQERRORS_VERBOSE. The rest are texts of libpq's own, which the opening thread asks for in the C
 * locale. No state, no lock. */

#include "config.h"

#include "db-postgres-errors-private.h"

#include "db-database-config-private.h"
#include "db-error-info-private.h"
#include "db-error-private.h"

#include <string.h>

/* Texts are joined to one line; what a line break separated is separated by @separator. */
static char *
join_lines (const char *text, const char *separator)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  GString *joined = g_string_new (NULL);

  for (char **line = lines; *line != NULL; line++)
    {
      g_strstrip (*line);
      if ((*line)[0] == '\0')
        continue;
      if (joined->len > 0)
        g_string_append (joined, separator);
      g_string_append (joined, *line);
    }
  return g_string_free (joined, FALSE);
}

static char *
first_line (const char *text)
{
  while (g_ascii_isspace (*text))
    text++;
  return g_strndup (text, strcspn (text, "\n"));
}

GError *
db_postgres_error_from_connection (PGconn *conn, const char *where)
{
  g_autofree char *text = first_line (PQerrorMessage (conn));

  if (PQstatus (conn) != CONNECTION_BAD)
    return g_error_new (DB_ERROR, DB_ERROR_QUERY, "libpq refused the statement: %s",
                        text[0] != '\0' ? text : "no reason given");
  return g_error_new (DB_ERROR, DB_ERROR_CONNECTION, "the connection to %s was lost: %s", where,
                      text[0] != '\0' ? text : "no reason given");
}

GError *
db_postgres_error_from_result (PGconn *conn, const PGresult *result, const char *where)
{
  const char *sqlstate = PQresultErrorField (result, PG_DIAG_SQLSTATE);
  const char *primary = PQresultErrorField (result, PG_DIAG_MESSAGE_PRIMARY);
  const char *hint = PQresultErrorField (result, PG_DIAG_MESSAGE_HINT);
  g_autofree char *text = NULL;
  g_autofree char *advice = NULL;

  if (sqlstate == NULL || primary == NULL)
    return db_postgres_error_from_connection (conn, where);
  text = join_lines (primary, " ");
  if (hint == NULL)
    return db_error_new_sqlstate (sqlstate, "%s", text);
  advice = join_lines (hint, " ");
  return db_error_new_sqlstate (sqlstate, "%s (%s)", text, advice);
}

DbErrorInfo *
db_postgres_error_info_from_result (const PGresult *result)
{
  static const int codes[DB_N_ERROR_FIELDS] = {
    [DB_ERROR_FIELD_MESSAGE] = PG_DIAG_MESSAGE_PRIMARY,
    [DB_ERROR_FIELD_SQLSTATE] = PG_DIAG_SQLSTATE,
    [DB_ERROR_FIELD_SEVERITY] = PG_DIAG_SEVERITY_NONLOCALIZED,
    [DB_ERROR_FIELD_DETAIL] = PG_DIAG_MESSAGE_DETAIL,
    [DB_ERROR_FIELD_HINT] = PG_DIAG_MESSAGE_HINT,
    [DB_ERROR_FIELD_CONTEXT] = PG_DIAG_CONTEXT,
    [DB_ERROR_FIELD_SCHEMA] = PG_DIAG_SCHEMA_NAME,
    [DB_ERROR_FIELD_TABLE] = PG_DIAG_TABLE_NAME,
    [DB_ERROR_FIELD_COLUMN] = PG_DIAG_COLUMN_NAME,
    [DB_ERROR_FIELD_DATA_TYPE] = PG_DIAG_DATATYPE_NAME,
    [DB_ERROR_FIELD_CONSTRAINT] = PG_DIAG_CONSTRAINT_NAME,
  };
  const char *position = PQresultErrorField (result, PG_DIAG_STATEMENT_POSITION);
  DbErrorInfo *info = db_error_info_new ();
  guint64 number = 0;

  for (guint i = 0; i < DB_N_ERROR_FIELDS; i++)
    db_error_info_set (info, i, PQresultErrorField (result, codes[i]));
  if (position != NULL && g_ascii_string_to_unsigned (position, 10, 0, G_MAXUINT, &number, NULL))
    info->position = number;
  return info;
}

GError *
db_postgres_error_from_bind_count (const PGresult *result, guint n_params)
{
  const char *sqlstate = PQresultErrorField (result, PG_DIAG_SQLSTATE);
  const char *function = PQresultErrorField (result, PG_DIAG_SOURCE_FUNCTION);
  const char *primary = PQresultErrorField (result, PG_DIAG_MESSAGE_PRIMARY);
  const char *requires = primary != NULL ? strstr (primary, " requires ") : NULL;
  guint64 n_required;

  if (g_strcmp0 (sqlstate, "08P01") != 0 || g_strcmp0 (function, "exec_bind_message") != 0)
    return NULL;
  /* The server's text may be in another language; then the number is left out. */
  if (requires != NULL && g_ascii_string_to_unsigned (requires + strlen (" requires "), 10, 0,
                                                      G_MAXUINT16, &n_required, NULL))
    return g_error_new (
      DB_ERROR, DB_ERROR_QUERY,
      "the statement has %u parameters, but %u values were given [SQLSTATE 08P01]",
      (guint) n_required, n_params);
  return g_error_new (DB_ERROR, DB_ERROR_QUERY,
                      "the number of parameters is wrong: the statement does not have %u "
                      "[SQLSTATE 08P01]",
                      n_params);
}

/* What one host answered. */
typedef struct
{
  char *host;        /* which one it was, its addresses being one; "" before any was tried */
  char *text;        /* without host, severity and code, where a server said it */
  char sqlstate[6];  /* "" where no server answered, or its code is unknown */
  gboolean answered; /* a server said it */
} DbAttempt;

static void
attempt_clear (gpointer data)
{
  g_free (((DbAttempt *) data)->host);
  g_free (((DbAttempt *) data)->text);
}

/* The usual refusals in the server's English, for which no second look is needed. */
static const char *
sqlstate_from_text (const char *text)
{
  static const struct
  {
    const char *prefix;
    const char *suffix;
    const char *sqlstate;
  } known[] = {
    {"password authentication failed for user ", "", "28P01"},
    {"no pg_hba.conf entry for ", "", "28000"},
    {"pg_hba.conf rejects connection for ", "", "28000"},
    {"connection requires a valid client certificate", "", "28000"},
    {"certificate authentication failed for user ", "", "28000"},
    {"role \"", "\" does not exist", "28000"},
    {"database \"", "\" does not exist", "3D000"},
    {"sorry, too many clients already", "", "53300"},
    {"remaining connection slots are reserved", "", "53300"},
    {"too many connections for ", "", "53300"},
    {"the database system is ", "", "57P03"},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (known); i++)
    if (g_str_has_prefix (text, known[i].prefix) && g_str_has_suffix (text, known[i].suffix))
      return known[i].sqlstate;
  return NULL;
}

/* "28P01: " of a verbose text. */
static gboolean
has_code (const char *text)
{
  for (int i = 0; i < 5; i++)
    if (!g_ascii_isdigit (text[i]) && !g_ascii_isupper (text[i]))
      return FALSE;
  return text[5] == ':' && text[6] == ' ';
}

/* The first line of what libpq says of a host; advice and the server's DETAIL, HINT and LOCATION
 * come on lines of their own. */
static gboolean
begins_attempt (const char *line)
{
  return g_str_has_prefix (line, "connection to server ") ||
         g_str_has_prefix (line, "could not ") || g_str_has_prefix (line, "invalid ");
}

/* '"localhost", port 5432' of 'connection to server at "localhost" (::1), port 5432 failed: '. */
static char *
parse_host (const char *line)
{
  const char *start = strchr (line, '"');
  const char *end = start != NULL ? strchr (start + 1, '"') : NULL;
  const char *failed = end != NULL ? strstr (end, " failed: ") : NULL;
  const char *port = failed != NULL ? g_strstr_len (end, failed - end, ", port ") : NULL;

  if (failed == NULL || !g_str_has_prefix (line, "connection to "))
    return g_strdup ("");
  if (port == NULL)
    port = failed;
  return g_strdup_printf ("%.*s%.*s", (int) (end + 1 - start), start, (int) (failed - port), port);
}

static DbAttempt
parse_attempt (const char *line)
{
  DbAttempt attempt = {parse_host (line), NULL, "", FALSE};
  const char *said = strstr (line, ":  ");
  const char *sqlstate;

  if (said == NULL)
    {
      attempt.text = g_strdup (line);
      return attempt;
    }
  attempt.answered = TRUE;
  said += strlen (":  ");
  if (has_code (said))
    {
      memcpy (attempt.sqlstate, said, 5);
      said += 7;
    }
  else
    {
      sqlstate = sqlstate_from_text (said);
      if (sqlstate != NULL)
        memcpy (attempt.sqlstate, sqlstate, 5);
    }
  attempt.text = g_strdup (said);
  return attempt;
}

static void
add_remark (DbAttempt *attempt, const char *remark)
{
  g_autofree char *text = attempt->text;

  attempt->text = g_strdup_printf ("%s (%s)", text, remark);
}

/* One entry for each address that was tried. */
static GArray *
parse_attempts (const char *message)
{
  g_auto (GStrv) lines = g_strsplit (message, "\n", -1);
  GArray *attempts = g_array_new (FALSE, TRUE, sizeof (DbAttempt));

  g_array_set_clear_func (attempts, attempt_clear);
  for (char **line = lines; *line != NULL; line++)
    {
      DbAttempt attempt;

      if (attempts->len > 0 && g_str_has_prefix (*line, "password retrieved from file "))
        add_remark (&g_array_index (attempts, DbAttempt, attempts->len - 1), *line);
      if ((*line)[0] == '\0' || (attempts->len > 0 && !begins_attempt (*line)))
        continue;
      attempt = parse_attempt (g_strstrip (*line));
      g_array_append_val (attempts, attempt);
    }
  return attempts;
}

gboolean
db_postgres_open_lacks_sqlstate (PGconn *conn)
{
  g_autoptr (GArray) attempts = parse_attempts (PQerrorMessage (conn));

  for (guint i = 0; i < attempts->len; i++)
    {
      DbAttempt *attempt = &g_array_index (attempts, DbAttempt, i);

      if (attempt->answered && attempt->sqlstate[0] == '\0')
        return TRUE;
    }
  return FALSE;
}

/* libpq's own complaints about settings, in the C locale, and which setting they are about. */
static const struct
{
  const char *part;
  DbError code;
  const char *advice;
} complaints[] = {
  {"no password supplied", DB_ERROR_AUTHENTICATION, "set the password"},
  {"does not support SSL", DB_ERROR_CONFIGURATION, "switch TLS on in the server, or set ssl-mode"},
  {"root certificate file", DB_ERROR_CONFIGURATION, "set ssl-root-cert, or set ssl-mode"},
  {"certificate verify failed", DB_ERROR_CONFIGURATION,
   "set ssl-root-cert to the authority of the server's certificate, if that is not expired, "
   "revoked or not yet valid, or set ssl-mode"},
  {"does not match host name", DB_ERROR_CONFIGURATION,
   "use the host that the certificate names, or set ssl-mode"},
  {" alert unknown ca", DB_ERROR_AUTHENTICATION,
   "the server does not trust the authority of the client's certificate: check ssl-cert"},
  {" alert ", DB_ERROR_AUTHENTICATION,
   "the server ended the TLS handshake: check ssl-cert, ssl-key and the TLS versions of both"},
  {"has group or world access", DB_ERROR_CONFIGURATION,
   "others must not be able to read ssl-key: chmod 0600"},
  {"private key file", DB_ERROR_CONFIGURATION,
   "set ssl-key to the key of ssl-cert, and the option sslpassword to that key's password, if it "
   "has one"},
  {"certificate", DB_ERROR_CONFIGURATION, "check ssl-cert, ssl-key and ssl-root-cert"},
  {"private key", DB_ERROR_CONFIGURATION, "check ssl-key"},
  {"channel binding required, but SSL", DB_ERROR_CONFIGURATION,
   "channel binding needs TLS: leave the option channel_binding out, or set ssl-mode"},
  {"channel binding required", DB_ERROR_AUTHENTICATION,
   "the server has to use TLS and scram-sha-256 for this user, or else leave the option "
   "channel_binding out"},
  {"auth method", DB_ERROR_AUTHENTICATION,
   "change the server's pg_hba.conf, or the option require_auth"},
  {"invalid SSL protocol version range", DB_ERROR_CONFIGURATION,
   "check the options ssl_min_protocol_version and ssl_max_protocol_version"},
  {"invalid connection option", DB_ERROR_CONFIGURATION, "remove it from the options"},
  {"invalid port number", DB_ERROR_CONFIGURATION, "set port to a number from 1 to 65535"},
  {"invalid integer value", DB_ERROR_CONFIGURATION, "check the options"},
  {" value: \"", DB_ERROR_CONFIGURATION, "check the options"},
  {"could not match", DB_ERROR_CONFIGURATION, "give every host a port, or none"},
  {"definition of service", DB_ERROR_CONFIGURATION, "check the option service"},
  {"service file", DB_ERROR_CONFIGURATION, "check the service file"},
  {"is too long", DB_ERROR_CONFIGURATION, "use a shorter folder for the socket"},
};

/* What a server says, and what can be done about it. */
static const struct
{
  const char *sqlstate;
  const char *advice;
} remedies[] = {
  {"28P01", "check username and password"},
  {"28000", "check username and the server's pg_hba.conf"},
  {"3D000", "create the database, or check database"},
  {"53300", "lower max-connections, or raise the server's limit"},
  {"57P03", "try again later"},
};

/* For the refusals of pg_hba.conf, which end in how the client came; in the server's English. */
static const char *
get_advice (const DbAttempt *attempt)
{
  if (strstr (attempt->text, "client certificate") != NULL)
    return "set ssl-cert and ssl-key";
  if (strstr (attempt->text, "pg_hba.conf") != NULL &&
      g_str_has_suffix (attempt->text, ", no encryption"))
    return "check the server's pg_hba.conf, or let ssl-mode ask for TLS, which that may want";
  if (strstr (attempt->text, "pg_hba.conf") != NULL &&
      g_str_has_suffix (attempt->text, ", SSL encryption"))
    return "check the server's pg_hba.conf, which may let this user in without TLS only";
  for (gsize i = 0; i < G_N_ELEMENTS (remedies); i++)
    if (strcmp (remedies[i].sqlstate, attempt->sqlstate) == 0)
      return remedies[i].advice;
  return NULL;
}

static GError *
error_from_answer (const DbAttempt *attempt, const char *where)
{
  const char *advice = get_advice (attempt);
  GError *error;

  error =
    db_error_new_sqlstate (attempt->sqlstate, "cannot connect to %s: %s%s%s", where, attempt->text,
                           advice != NULL ? ": " : "", advice != NULL ? advice : "");
  /* Nothing was asked of the server but to let us in. */
  if (error->code == DB_ERROR_QUERY)
    error->code = DB_ERROR_CONFIGURATION;
  return error;
}

/* "…connection option "require_auth"" */
static char *
explain_unknown_option (const char *text)
{
  g_auto (GStrv) parts = g_strsplit (text, "\"", 3);

  if (strstr (text, "invalid connection option") == NULL || g_strv_length (parts) < 2)
    return NULL;
  return db_database_config_explain_unknown (parts[1]);
}

static GError *
error_from_complaint (const DbAttempt *attempt, const char *where, const char *ssl_mode)
{
  g_autofree char *unknown = explain_unknown_option (attempt->text);

  if (unknown != NULL)
    return g_error_new (DB_ERROR, DB_ERROR_CONFIGURATION, "cannot connect to %s: %s: it %s", where,
                        attempt->text, unknown);
  for (gsize i = 0; i < G_N_ELEMENTS (complaints); i++)
    {
      gboolean about_ssl = strstr (complaints[i].advice, "ssl-mode") != NULL;

      if (strstr (attempt->text, complaints[i].part) == NULL)
        continue;
      return g_error_new (DB_ERROR, complaints[i].code, "cannot connect to %s: %s: %s%s%s%s", where,
                          attempt->text, complaints[i].advice, about_ssl ? " (it is \"" : "",
                          about_ssl ? ssl_mode : "", about_ssl ? "\")" : "");
    }
  return g_error_new (DB_ERROR, DB_ERROR_CONNECTION, "cannot connect to %s: %s", where,
                      attempt->text);
}

static GError *
error_from_attempt (const DbAttempt *attempt, const char *where, const char *ssl_mode)
{
  if (attempt->answered)
    return error_from_answer (attempt, where);
  return error_from_complaint (attempt, where, ssl_mode);
}

/* What counts of one host's addresses: a server that may be back soon before a refusal, and that
 * before, say, an address at which it does not listen. */
static guint
get_weight (const DbAttempt *attempt, const GError *error)
{
  if (error->code != DB_ERROR_CONNECTION)
    return 1;
  return attempt->answered ? 2 : 0;
}

/* Of the attempts from @i on that were with the same host; @i is then the next one. */
static GError *
error_from_host (GArray *attempts, guint *i, const char *where, const char *ssl_mode)
{
  const char *host = g_array_index (attempts, DbAttempt, *i).host;
  GError *chosen = NULL;
  guint weight = 0;

  for (; *i < attempts->len; (*i)++)
    {
      const DbAttempt *attempt = &g_array_index (attempts, DbAttempt, *i);
      GError *error;

      if (strcmp (attempt->host, host) != 0)
        break;
      error = error_from_attempt (attempt, where, ssl_mode);
      if (chosen != NULL && get_weight (attempt, error) < weight)
        {
          g_error_free (error);
          continue;
        }
      weight = get_weight (attempt, error);
      g_clear_error (&chosen);
      chosen = error;
    }
  return chosen;
}

GError *
db_postgres_error_from_open (const char *message, const char *where, const char *ssl_mode)
{
  g_autoptr (GArray) attempts = parse_attempts (message);
  GError *error = NULL;

  /* Of several hosts, one that may be back soon makes the whole failure one that may pass. */
  for (guint i = 0; i < attempts->len;)
    {
      g_clear_error (&error);
      error = error_from_host (attempts, &i, where, ssl_mode);
      if (error->code == DB_ERROR_CONNECTION)
        return error;
    }
  if (error != NULL)
    return error;
  return g_error_new (DB_ERROR, DB_ERROR_CONNECTION, "cannot connect to %s", where);
}
