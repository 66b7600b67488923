/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* One test text for both databases and both forms of every call. A test gets a world: a pool of
 * three sessions, a connection on loan, and functions that make the blocking or the asynchronous
 * call, whichever it is registered for. What is spelled differently by the databases has a word
 * here. A world belongs to the thread of its test. */

#pragma once

#include "dbpool.h"

#include <string.h>

typedef enum
{
  SQL_ON_SQLITE = 1 << 0,
  SQL_ON_POSTGRES = 1 << 1,
  SQL_BLOCKING = 1 << 2,
  SQL_ASYNC = 1 << 3,
  SQL_EVERYWHERE = 0xf,
} SqlWhere;

typedef struct
{
  gboolean postgres;
  gboolean async;
  GMainContext *context; /* the thread-default one */
  char *folder;
  char *path;   /* SQLite's file */
  char *schema; /* PostgreSQL's, of this test alone */
  DbConnectionManager *manager;
  DbPool *pool;

  /* what the functions below use; a test may exchange them */
  DbConnection *connection;
  GCancellable *cancellable; /* not owned */
} SqlWorld;

typedef void (*SqlTest) (SqlWorld *world);

/* Registers a test for each place of @where. */
void sql_add (const char *path, SqlWhere where, SqlTest test);

/* The calls. */
DbResult *sql_query (SqlWorld *world, const char *sql, GVariant *params, GError **error);
gint64 sql_execute (SqlWorld *world, const char *sql, GVariant *params, GError **error);
DbResult *sql_query_params (SqlWorld *world, const char *sql, DbParams *params, GError **error);
gboolean sql_script (SqlWorld *world, const char *sql, GError **error);
gint64 sql_execute_many (SqlWorld *world, const char *sql, DbParams *rows, GError **error);
DbBatchResult *sql_run_batch (SqlWorld *world, DbBatch *batch, DbBatchFlags flags, GError **error);
DbDescription *sql_describe (SqlWorld *world, const char *sql, GError **error);
DbCursor *sql_open_cursor (SqlWorld *world,
                           const char *sql,
                           GVariant *params,
                           guint batch_size,
                           GError **error);
DbResult *sql_fetch (SqlWorld *world, DbCursor *cursor, GError **error);
gboolean sql_close_cursor (SqlWorld *world, DbCursor *cursor, GError **error);
DbTransaction *
sql_begin (SqlWorld *world, DbIsolation isolation, DbTransactionFlags flags, GError **error);
gboolean sql_commit (SqlWorld *world, DbTransaction *transaction, GError **error);
gboolean sql_rollback (SqlWorld *world, DbTransaction *transaction, GError **error);

/* The same of the pool. */
DbResult *sql_pool_query (SqlWorld *world, const char *sql, GVariant *params, GError **error);
gint64 sql_pool_execute_many (SqlWorld *world, const char *sql, DbParams *rows, GError **error);
DbBatchResult *
sql_pool_run_batch (SqlWorld *world, DbBatch *batch, DbBatchFlags flags, GError **error);
DbTransaction *
sql_pool_begin (SqlWorld *world, DbIsolation isolation, DbTransactionFlags flags, GError **error);

/* What must succeed. */
gint64 sql_do (SqlWorld *world, const char *sql);
void sql_do_script (SqlWorld *world, const char *sql);
gint64 sql_ask (SqlWorld *world, const char *sql);
char *sql_ask_text (SqlWorld *world, const char *sql);
DbTransaction *sql_must_begin (SqlWorld *world);
void sql_must_commit (SqlWorld *world, DbTransaction *transaction);
void sql_must_roll_back (SqlWorld *world, DbTransaction *transaction);
DbCursor *sql_must_open (SqlWorld *world, const char *sql, guint batch_size);
/* The first column of the next rows; the caller knows how many there have to be. */
DbResult *sql_must_fetch (SqlWorld *world, DbCursor *cursor, guint n_rows);
/* What others see, over a session of their own that is opened for each question. */
gint64 sql_others_see (SqlWorld *world, const char *sql);

/* What must fail. @text: a part of the error's, or NULL. */
void
sql_assert_fails (SqlWorld *world, const char *sql, GVariant *params, int code, const char *text);
/* The session can be used, and is in no transaction. */
void sql_assert_usable (SqlWorld *world);
gboolean sql_in_transaction (SqlWorld *world);

/* Gives the connection back and borrows another one, which is the same session. */
void sql_borrow_again (SqlWorld *world);
DbConnection *sql_acquire (SqlWorld *world);
/* Waits until so many connections are on loan. */
void sql_wait_for_lent (SqlWorld *world, guint n);

/* Waits, no longer than a test may last, until *@result is there, and takes it. */
GAsyncResult *sql_wait (SqlWorld *world, GAsyncResult **result);
/* A GAsyncReadyCallback; the user data is a GAsyncResult **. */
void sql_keep_cb (GObject *source, GAsyncResult *result, gpointer data);
/* Cancels in so many milliseconds, on a thread that is then to be joined. */
GThread *sql_cancel_later (GCancellable *cancellable, guint milliseconds);

/* Words. */
const char *sql_serial_column (SqlWorld *world); /* a number that counts up by itself */
const char *sql_endless (void);                  /* a query that never ends, and works */
char *sql_numbers (guint n);                     /* a query of the numbers from 1 to n, as x */
