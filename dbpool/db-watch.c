/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Descriptors of idle sessions, watched for the other side to hang up. One epoll instance for the
 * process, made with the first watch and ended with the last; its descriptor is a source on the
 * worker. The kernel keeps only the number of a watch, so an event that comes late finds nothing
 * instead of freed memory.
 *
 * the_lock protects the table and is held while a descriptor is added or removed, never while func
 * runs. */

#include "config.h"

#include "db-lock-private.h"
#include "db-worker-private.h"

#include <glib-unix.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 64

struct _DbWatch
{
  int ref_count; /* atomic: the table, and each run of the function */
  guint64 number;
  int fd;
  void (*func) (gpointer data);
  gpointer data;
  GDestroyNotify data_unref;
};

static DbLock the_lock;
static int the_epoll = -1;      /* the_lock */
static GSource *the_source;     /* the_lock */
static GHashTable *the_watches; /* the_lock: number to DbWatch */
static guint64 last_number;     /* the_lock */

static void
watch_unref (gpointer data)
{
  DbWatch *self = data;

  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  if (self->data_unref != NULL)
    self->data_unref (self->data);
  g_free (self);
}

static DbWatch *
ref_watch (guint64 number)
{
  DB_LOCK_SCOPE (&the_lock);
  DbWatch *watch = the_watches != NULL ? g_hash_table_lookup (the_watches, &number) : NULL;

  if (watch != NULL)
    g_atomic_int_inc (&watch->ref_count);
  return watch;
}

/* Does not wait. Under the lock, because the last watch closes the descriptor, and its number may
 * be somebody else's by now. */
static int
take_events (int fd, struct epoll_event *events)
{
  DB_LOCK_SCOPE (&the_lock);

  return fd == the_epoll ? epoll_wait (fd, events, EVENTS_AT_ONCE, 0) : 0;
}

/* On the worker. */
static gboolean
epoll_ready_cb (int fd, GIOCondition condition, gpointer user_data)
{
  struct epoll_event events[EVENTS_AT_ONCE];
  int n = take_events (fd, events);

  for (int i = 0; i < n; i++)
    {
      DbWatch *watch = ref_watch (events[i].data.u64);

      if (watch == NULL)
        continue;
      watch->func (watch->data);
      watch_unref (watch);
    }
  return G_SOURCE_CONTINUE;
}

static gboolean
start_locked (void)
{
  g_autoptr (GMainContext) context = NULL;

  if (the_epoll >= 0)
    return TRUE;
  the_epoll = epoll_create1 (EPOLL_CLOEXEC);
  if (the_epoll < 0)
    return FALSE;
  the_watches = g_hash_table_new (g_int64_hash, g_int64_equal);
  context = db_worker_ref_context ();
  the_source = g_unix_fd_source_new (the_epoll, G_IO_IN);
  g_source_set_static_name (the_source, "[dbpool] hang-ups");
  g_source_set_callback (the_source, G_SOURCE_FUNC (epoll_ready_cb), NULL, NULL);
  g_source_attach (the_source, context);
  return TRUE;
}

/* The instance is shared with the parent, whose threads may have held the lock. */
void
db_watch_start_anew_in_child (void)
{
  db_lock_init (&the_lock);
  if (the_epoll >= 0)
    close (the_epoll);
  the_epoll = -1;
  the_source = NULL;
  the_watches = NULL;
}

static void
stop_locked (void)
{
  g_source_destroy (the_source);
  g_clear_pointer (&the_source, g_source_unref);
  g_clear_pointer (&the_watches, g_hash_table_unref);
  close (the_epoll);
  the_epoll = -1;
}

DbWatch *
db_watch_new (int fd, void (*func) (gpointer data), gpointer data, GDestroyNotify data_unref)
{
  DbWatch *self = g_new0 (DbWatch, 1);
  struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET};

  db_worker_hold ();
  self->ref_count = 1;
  self->fd = fd;
  self->func = func;
  self->data = data;
  self->data_unref = data_unref;

  db_lock_lock (&the_lock);
  self->number = ++last_number;
  event.data.u64 = self->number;
  /* Without a watch a session is still looked at when it is lent. */
  if (start_locked ())
    {
      g_hash_table_insert (the_watches, &self->number, self);
      epoll_ctl (the_epoll, EPOLL_CTL_ADD, fd, &event);
    }
  db_lock_unlock (&the_lock);
  return self;
}

void
db_watch_free (DbWatch *self)
{
  db_lock_lock (&the_lock);
  if (the_watches != NULL && g_hash_table_remove (the_watches, &self->number))
    {
      epoll_ctl (the_epoll, EPOLL_CTL_DEL, self->fd, NULL);
      if (g_hash_table_size (the_watches) == 0)
        stop_locked ();
    }
  db_lock_unlock (&the_lock);
  watch_unref (self);
  db_worker_drop ();
}
