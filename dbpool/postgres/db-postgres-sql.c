/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A look at SQL, no more than it takes to tell words from quotes and comments. A text that only the
 * server understands may be judged wrongly, which costs a faster way and nothing else. No state, no
 * lock. */

#include "config.h"

#include "db-postgres-sql-private.h"

#include <string.h>

typedef enum
{
  TOKEN_END,
  TOKEN_WORD,
  TOKEN_SEMICOLON,
  TOKEN_OPEN, /* a parenthesis */
  TOKEN_OTHER,
} TokenKind;

typedef struct
{
  TokenKind kind;
  const char *start;
  gsize size;
} Token;

static gboolean
is_word_char (char c)
{
  return g_ascii_isalnum (c) || c == '_' || c == '$' || (guchar) c >= 0x80;
}

/* Comments nest. */
static const char *
skip_comment (const char *sql)
{
  guint depth = 0;

  do
    {
      if (sql[0] == '/' && sql[1] == '*')
        {
          depth++;
          sql += 2;
        }
      else if (sql[0] == '*' && sql[1] == '/')
        {
          depth--;
          sql += 2;
        }
      else if (*sql != '\0')
        sql++;
    }
  while (depth > 0 && *sql != '\0');
  return sql;
}

static const char *
skip_blanks (const char *sql)
{
  for (;;)
    {
      if (g_ascii_isspace (*sql))
        sql++;
      else if (sql[0] == '-' && sql[1] == '-')
        sql += strcspn (sql, "\n");
      else if (sql[0] == '/' && sql[1] == '*')
        sql = skip_comment (sql);
      else
        return sql;
    }
}

/* A doubled quote ends one part and begins the next, which is all the same here. */
static const char *
skip_quoted (const char *sql, gboolean escapes)
{
  char quote = *sql++;

  while (*sql != '\0' && *sql != quote)
    sql += escapes && sql[0] == '\\' && sql[1] != '\0' ? 2 : 1;
  return *sql != '\0' ? sql + 1 : sql;
}

/* $tag$ … $tag$, or no more than a dollar. */
static const char *
skip_dollars (const char *sql)
{
  g_autofree char *tag = NULL;
  gsize size = 1;
  const char *end;

  if (!g_ascii_isdigit (sql[1]))
    while (is_word_char (sql[size]) && sql[size] != '$')
      size++;
  if (sql[size] != '$')
    return sql + 1;
  tag = g_strndup (sql, size + 1);
  end = strstr (sql + size + 1, tag);
  return end != NULL ? end + size + 1 : sql + strlen (sql);
}

static const char *
skip_token (const char *sql, TokenKind *kind)
{
  *kind = TOKEN_OTHER;
  if ((*sql == 'e' || *sql == 'E') && sql[1] == '\'')
    return skip_quoted (sql + 1, TRUE);
  if (*sql == '\'' || *sql == '"')
    return skip_quoted (sql, FALSE);
  if (*sql == '$')
    return skip_dollars (sql);
  if (*sql == ';')
    *kind = TOKEN_SEMICOLON;
  else if (*sql == '(')
    *kind = TOKEN_OPEN;
  if (!is_word_char (*sql))
    return sql + 1;
  if (!g_ascii_isdigit (*sql))
    *kind = TOKEN_WORD;
  while (is_word_char (*sql))
    sql++;
  return sql;
}

static const char *
next_token (const char *sql, Token *token)
{
  token->start = skip_blanks (sql);
  token->kind = TOKEN_END;
  token->size = 0;
  if (*token->start == '\0')
    return token->start;
  sql = skip_token (token->start, &token->kind);
  token->size = sql - token->start;
  return sql;
}

static gboolean
is_word (const Token *token, const char *word)
{
  return token->kind == TOKEN_WORD && token->size == strlen (word) &&
         g_ascii_strncasecmp (token->start, word, token->size) == 0;
}

static gboolean
is_one_of (const Token *token, const char *const *words)
{
  for (; *words != NULL; words++)
    if (is_word (token, *words))
      return TRUE;
  return FALSE;
}

/* Parentheses before it do not count: "(SELECT". Returns what comes after it. */
static const char *
first_word (const char *sql, Token *token)
{
  do
    sql = next_token (sql, token);
  while (token->kind == TOKEN_OPEN);
  return sql;
}

gboolean
db_postgres_sql_begins_with (const char *sql, const char *word)
{
  Token token;

  first_word (sql, &token);
  return is_word (&token, word);
}

gboolean
db_postgres_sql_is_empty (const char *sql)
{
  Token token;

  do
    sql = next_token (sql, &token);
  while (token.kind == TOKEN_SEMICOLON);
  return token.kind == TOKEN_END;
}

gboolean
db_postgres_sql_has_word (const char *sql, const char *word)
{
  Token token;

  do
    {
      sql = next_token (sql, &token);
      if (is_word (&token, word))
        return TRUE;
    }
  while (token.kind != TOKEN_END);
  return FALSE;
}

gboolean
db_postgres_sql_is_preparable (const char *sql)
{
  static const char *const words[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH",
                                      "VALUES", "MERGE",  "TABLE",  NULL};
  Token token;

  first_word (sql, &token);
  return is_one_of (&token, words);
}

/* SELECT … INTO makes a table; WITH may hold statements that change rows, but FOR UPDATE only locks
 * them. */
gboolean
db_postgres_sql_is_declarable (const char *sql)
{
  static const char *const readers[] = {"SELECT", "VALUES", "TABLE", "WITH", NULL};
  static const char *const writers[] = {"INSERT", "UPDATE", "DELETE", "MERGE", NULL};
  static const char *const lockers[] = {"FOR", "KEY", NULL};
  Token token, last;
  gboolean is_with;

  sql = first_word (sql, &token);
  if (!is_one_of (&token, readers))
    return FALSE;
  is_with = is_word (&token, "WITH");
  do
    {
      last = token;
      sql = next_token (sql, &token);
      if (token.kind == TOKEN_SEMICOLON)
        return db_postgres_sql_is_empty (sql);
      if (is_word (&token, "INTO") ||
          (is_with && is_one_of (&token, writers) && !is_one_of (&last, lockers)))
        return FALSE;
    }
  while (token.kind != TOKEN_END);
  return TRUE;
}
