/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The fingerprint of a statement: what dumps and lists show of it. No state, no lock.
 *
 * It must not show a single byte of a literal, and it does not know which database the statement is
 * for, nor whether that accepts it. So where databases or their settings disagree about where a
 * literal or a comment ends, the rest of the statement is left out:
 *
 *   'C:\'             standard_conforming_strings off: the backslash escapes the quote
 *   a comment inside a comment      PostgreSQL nests them, SQLite does not
 *   -- a \r alone     ends the comment for PostgreSQL, not for SQLite
 *   [ … ]             a name for SQLite, whatever is in it; a subscript for PostgreSQL
 *   ` … `             a name for SQLite, operators for PostgreSQL
 *   $tag$ … $tag$     a literal for PostgreSQL; for SQLite a parameter and what follows it
 *   1a$               PostgreSQL before 15 reads a number and a name
 *
 * Each scan_…() gets the beginning of something and returns its end. */

#include "config.h"

#include <string.h>

#include "db-fingerprint-private.h"

typedef struct
{
  const char *at;
  const char *bracket; /* the "]" of the "[" before at; NULL: none */
  GString *out;
  gboolean space;  /* before the next thing */
  gboolean hidden; /* the rest is not shown */
} Scanner;

static gboolean
is_space (char c)
{
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What a name may begin with; all bytes of characters beyond ASCII are letters. */
static gboolean
is_letter (char c)
{
  return g_ascii_isalpha (c) || c == '_' || (guchar) c >= 0x80;
}

static gboolean
is_name (char c)
{
  return is_letter (c) || g_ascii_isdigit (c) || c == '$';
}

/* @text[0] is a quote; two of them stand for one. NULL: it does not end. */
static const char *
scan_quoted (const char *text, gboolean escapes)
{
  char quote = *text++;

  for (; *text != '\0'; text++)
    {
      if (escapes && *text == '\\' && text[1] != '\0')
        text++;
      else if (*text == quote && text[1] == quote)
        text++;
      else if (*text == quote)
        return text + 1;
    }
  return NULL;
}

static const char *
scan_number (const char *text)
{
  gboolean hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');

  while (is_letter (*text) || g_ascii_isdigit (*text) || *text == '.')
    {
      gboolean exponent = !hex && (*text == 'e' || *text == 'E');

      text++;
      if (exponent && (*text == '+' || *text == '-') && g_ascii_isdigit (text[1]))
        text++;
    }
  return text;
}

/* The body of "$tag$" if @text begins with one, or NULL. */
static const char *
scan_dollar_tag (const char *text)
{
  const char *p = text + 1;

  if (is_letter (*p))
    while (*p != '$' && is_name (*p))
      p++;
  return *p == '$' ? p + 1 : NULL;
}

/* The end of a comment, or NULL if it does not end. @doubtful: not for every database. */
static const char *
scan_comment (const char *text, gboolean *doubtful)
{
  const char *end;

  if (*text == '-')
    {
      end = strpbrk (text, "\r\n");
      *doubtful = end != NULL && end[0] == '\r' && end[1] != '\n';
      return end;
    }
  text += 2;
  end = strstr (text, "*/");
  *doubtful = end != NULL && g_strstr_len (text, end + 1 - text, "/*") != NULL;
  return end != NULL ? end + 2 : NULL;
}

static void
hide_rest (Scanner *self)
{
  self->hidden = TRUE;
}

/* Goes on at @end (NULL: the text is over). What reaches beyond the "]" of a "[" before it means
 * different things to different databases. */
static void
go_on (Scanner *self, const char *end)
{
  const char *next = end != NULL ? end : self->at + strlen (self->at);

  if (self->bracket != NULL && next > self->bracket)
    {
      if (self->at < self->bracket)
        hide_rest (self);
      self->bracket = NULL;
    }
  self->at = next;
}

static void
put (Scanner *self, const char *text, gsize length)
{
  if (self->space && self->out->len > 0)
    g_string_append_c (self->out, ' ');
  self->space = FALSE;
  g_string_append_len (self->out, text, MIN (length, 4 * DB_FINGERPRINT_LENGTH));
}

static void
put_until (Scanner *self, const char *end)
{
  const char *begin = self->at;

  go_on (self, end);
  if (!self->hidden)
    put (self, begin, end - begin);
}

static void
put_literal (Scanner *self, const char *end)
{
  put (self, "?", 1);
  go_on (self, end);
}

/* At a quote; the letters before it were left out. */
static void
do_string (Scanner *self, gboolean escapes)
{
  const char *end = scan_quoted (self->at, escapes);
  gboolean doubtful = !escapes && end != scan_quoted (self->at, TRUE);

  put_literal (self, end);
  if (doubtful)
    hide_rest (self);
}

static void
do_name (Scanner *self)
{
  const char *end = self->at;
  gsize length;

  while (is_name (*end))
    end++;
  length = end - self->at;
  if (*end == '\'' && length == 1 && strchr ("bBeEnNxX", *self->at) != NULL)
    {
      gboolean escapes = *self->at == 'e' || *self->at == 'E';

      self->at = end;
      do_string (self, escapes);
    }
  else if (end[0] == '&' && end[1] == '\'' && length == 1 && (*self->at == 'u' || *self->at == 'U'))
    {
      self->at = end + 1;
      do_string (self, FALSE);
    }
  else
    put_until (self, end);
}

static void
do_number (Scanner *self)
{
  const char *end = scan_number (self->at);

  put_literal (self, end);
  if (*end == '$')
    hide_rest (self);
}

/* A name in double quotes, or in what SQLite takes for them too. One that does not end may be what
 * is left of something else. */
static void
do_quoted_name (Scanner *self)
{
  const char *end = scan_quoted (self->at, FALSE);

  if (end == NULL)
    put_literal (self, NULL);
  else
    put_until (self, end);
}

static void
do_backquote (Scanner *self)
{
  const char *end = self->at + 1;

  while (is_name (*end) || *end == ' ' || *end == '.')
    end++;
  if (*end == '`')
    put_until (self, end + 1);
  else
    hide_rest (self);
}

static void
do_dollar (Scanner *self)
{
  const char *body = scan_dollar_tag (self->at);
  const char *end = self->at + 1;

  if (body != NULL)
    {
      g_autofree char *tag = g_strndup (self->at, body - self->at);
      const char *close = strstr (body, tag);
      gboolean quotes = body[strcspn (body, "'\"`[-/")] != '\0';

      put_literal (self, close != NULL ? close + strlen (tag) : NULL);
      if (quotes && tag[1] != '$')
        hide_rest (self);
      return;
    }
  while (g_ascii_isdigit (*end))
    end++;
  if (end - self->at > 6) /* no number of a parameter */
    {
      put (self, "$", 1);
      put_literal (self, end);
    }
  else
    put_until (self, end);
}

static void
do_question_mark (Scanner *self)
{
  const char *end = self->at + 1;

  while (g_ascii_isdigit (*end))
    end++;
  put_literal (self, end);
}

static void
do_comment (Scanner *self)
{
  gboolean doubtful = FALSE;

  go_on (self, scan_comment (self->at, &doubtful));
  self->space = TRUE;
  if (doubtful)
    hide_rest (self);
}

static void
do_bracket (Scanner *self)
{
  const char *bracket = strchr (self->at, ']');

  put_until (self, self->at + 1);
  if (self->bracket == NULL)
    self->bracket = bracket;
}

static void
do_next (Scanner *self)
{
  const char *at = self->at;

  if (is_space (*at))
    {
      self->space = TRUE;
      go_on (self, at + 1);
    }
  else if ((at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*'))
    do_comment (self);
  else if (*at == '\'')
    do_string (self, FALSE);
  else if (*at == '"')
    do_quoted_name (self);
  else if (*at == '`')
    do_backquote (self);
  else if (*at == '$')
    do_dollar (self);
  else if (*at == '?')
    do_question_mark (self);
  else if (*at == '[')
    do_bracket (self);
  else if (g_ascii_isdigit (*at) || (at[0] == '.' && g_ascii_isdigit (at[1])))
    do_number (self);
  else if (is_letter (*at))
    do_name (self);
  else
    put_until (self, at + 1);
}

/* Cuts @text, valid UTF-8, to @length bytes at most, between two characters. */
static gboolean
shorten (char *text, gsize length)
{
  if (strlen (text) <= length)
    return FALSE;
  while (length > 0 && ((guchar) text[length] & 0xc0) == 0x80)
    length--;
  while (length > 0 && text[length - 1] == ' ')
    length--;
  text[length] = '\0';
  return TRUE;
}

char *
db_text_to_line (const char *text)
{
  g_autofree char *valid = NULL;
  GString *line;

  if (text == NULL)
    return NULL;
  valid = g_utf8_make_valid (text, -1);
  line = g_string_sized_new (strlen (valid));
  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      g_string_append_unichar (line, g_unichar_iscntrl (c) || c == 0x2028 || c == 0x2029 ? ' ' : c);
    }
  return g_string_free (line, FALSE);
}

char *
db_sql_fingerprint (const char *sql)
{
  Scanner scanner = {.at = sql};
  g_autofree char *line = NULL;
  gboolean more;

  if (sql == NULL)
    return NULL;
  scanner.out = g_string_sized_new (DB_FINGERPRINT_LENGTH + 16);
  while (*scanner.at != '\0' && !scanner.hidden && scanner.out->len <= DB_FINGERPRINT_LENGTH)
    do_next (&scanner);

  line = db_text_to_line (scanner.out->str);
  g_string_free (scanner.out, TRUE);
  more = shorten (line, DB_FINGERPRINT_LENGTH);
  return more || scanner.hidden ? g_strconcat (line, "…", NULL) : g_steal_pointer (&line);
}
