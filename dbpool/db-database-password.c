/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Passwords that are kept elsewhere: in a file, read anew for each session that is opened, or
 * behind a descriptor, read once; and whether the server has refused one. No state and no lock: it
 * works on what the caller owns, and wipes what it read. Errors name the file or the descriptor,
 * and nothing of what is in it. */

#include "config.h"

#include "db-database-config-private.h"
#include "db-error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LENGTH 65536 /* bytes of a password, tokens included */

/* Returns FALSE. The text begins with @where, which may be any bytes. */
static gboolean
fail (GError **error, const char *where, const char *reason)
{
  g_autofree char *valid = g_utf8_make_valid (where, -1);

  g_set_error (error, DB_ERROR, DB_ERROR_CONFIGURATION, "the password in %s cannot be used: %s",
               valid, reason);
  return FALSE;
}

/* Fills @buffer (of MAX_LENGTH + 1 bytes) to the end of file; -1 with errno. */
static gssize
read_to_end (int fd, char *buffer)
{
  gsize length = 0;

  while (length <= MAX_LENGTH)
    {
      gssize n = read (fd, buffer + length, MAX_LENGTH + 1 - length);
      struct pollfd pollfd = {fd, POLLIN, 0};

      if (n == 0)
        break;
      if (n > 0)
        length += (gsize) n;
      else if (errno == EAGAIN)
        poll (&pollfd, 1, -1);
      else if (errno != EINTR)
        return -1;
    }
  return (gssize) length;
}

/* Ends the @length bytes of @buffer where the password does; NULL, or what is wrong with it. */
static const char *
trim (char *buffer, gsize length)
{
  if (length > MAX_LENGTH)
    return "it is longer than 65536 bytes";
  if (length > 0 && buffer[length - 1] == '\n')
    length--;
  if (length > 0 && buffer[length - 1] == '\r')
    length--;
  buffer[length] = '\0';
  if (length == 0)
    return "it is empty";
  if (strlen (buffer) < length)
    return "it contains a zero byte";
  if (strpbrk (buffer, "\r\n") != NULL)
    return "there is more than one line";
  return NULL;
}

/* A text for db_wipe_and_free(), or NULL with @error. */
static char *
read_password (int fd, const char *where, GError **error)
{
  char buffer[MAX_LENGTH + 2];
  gssize length = read_to_end (fd, buffer);
  const char *problem = length < 0 ? g_strerror (errno) : trim (buffer, (gsize) length);
  char *password = problem == NULL ? g_strdup (buffer) : NULL;

  explicit_bzero (buffer, sizeof buffer);
  if (problem != NULL)
    fail (error, where, problem);
  return password;
}

/* Only a regular file: another could make the opening of a session wait for ever. */
static int
open_file (const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  struct stat info;

  if (fd < 0 || fstat (fd, &info) != 0)
    {
      fail (error, path, g_strerror (errno));
      return -1;
    }
  if (S_ISREG (info.st_mode))
    return fd;
  close (fd);
  fail (error, path, "that is no regular file");
  return -1;
}

gboolean
db_database_config_read_password_file (DbDatabaseConfig *self, DbConninfo *info, GError **error)
{
  g_autofree char *path = db_database_config_dup_password_file (self);
  char *password;
  int fd;

  if (path == NULL)
    return TRUE;
  fd = open_file (path, error);
  if (fd < 0)
    return FALSE;
  password = read_password (fd, path, error);
  close (fd);
  if (password == NULL)
    return FALSE;
  db_conninfo_set (info, "password", password);
  db_wipe_and_free (password);
  return TRUE;
}

gboolean
db_database_config_renew_password (DbDatabaseConfig *self, DbConninfo *info)
{
  char *before = g_strdup (db_conninfo_get (info, "password"));
  gboolean renewed = db_database_config_read_password_file (self, info, NULL) &&
                     g_strcmp0 (before, db_conninfo_get (info, "password")) != 0;

  db_wipe_and_free (before);
  return renewed;
}

gboolean
db_database_config_equal (DbDatabaseConfig *self, DbDatabaseConfig *other)
{
  g_autoptr (DbConninfo) a = db_database_config_to_conninfo (self);
  g_autoptr (DbConninfo) b = db_database_config_to_conninfo (other);
  g_autofree char *a_file = db_database_config_dup_password_file (self);
  g_autofree char *b_file = db_database_config_dup_password_file (other);

  return db_conninfo_equal (a, b) && g_strcmp0 (a_file, b_file) == 0;
}

void
db_database_config_set_refused (DbDatabaseConfig *self)
{
  g_object_set_data (G_OBJECT (self), "db-refused", GINT_TO_POINTER (TRUE));
}

/**
 * db_database_config_was_refused:
 * @self: the configuration that a before-connect hook has been given
 *
 * Checks whether the hook is asked once more, because the server has just refused its answer.
 *
 * A server that does not let the user in may have got a password that was good a moment ago. So the
 * hook is asked a second time for the same session, and if it then says something else, that is
 * tried, once. A hook that keeps a password for some time should ask for a fresh one then.
 *
 * May be called from any thread; does not block.
 *
 * Returns: %TRUE if what the hook said last was refused
 *
 * Since: 1.0
 */
gboolean
db_database_config_was_refused (DbDatabaseConfig *self)
{
  g_return_val_if_fail (DB_IS_DATABASE_CONFIG (self), FALSE);

  return g_object_get_data (G_OBJECT (self), "db-refused") != NULL;
}

/**
 * db_database_config_read_password:
 * @self: a configuration
 * @fd: a file descriptor that is open for reading, for example of a pipe; stays open
 * @error: return location for an error
 *
 * Reads the password from a file descriptor to its end.
 *
 * For programs that are given a secret by whoever starts them. A line break at the end does not
 * belong to the password. Blocks until the other side of a pipe is closed; may be called from any
 * thread. Fails with `DB_ERROR_CONFIGURATION` where nothing, more than a line or more than 65,536
 * bytes can be read.
 *
 * Returns: %TRUE if the password was set
 *
 * Since: 1.0
 */
gboolean
db_database_config_read_password (DbDatabaseConfig *self, int fd, GError **error)
{
  g_autofree char *where = g_strdup_printf ("the file descriptor %d", fd);
  char *password;

  g_return_val_if_fail (DB_IS_DATABASE_CONFIG (self), FALSE);

  password = read_password (fd, where, error);
  if (password == NULL)
    return FALSE;
  db_database_config_set_password (self, password);
  db_wipe_and_free (password);
  return TRUE;
}
