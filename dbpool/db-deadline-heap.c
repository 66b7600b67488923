/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The deadlines of asynchronous tickets; see the private header. */

#include "config.h"

#include "db-deadline-heap-private.h"

/* So many places are kept when the heap is empty. */
#define PEAK_WORTH_KEEPING 256

void
db_deadline_heap_init (DbDeadlineHeap *self)
{
  self->tickets = g_ptr_array_new ();
}

void
db_deadline_heap_clear (DbDeadlineHeap *self)
{
  g_assert (self->tickets->len == 0);
  g_ptr_array_unref (self->tickets);
}

static DbTicket *
get (DbDeadlineHeap *self, guint index)
{
  return g_ptr_array_index (self->tickets, index - 1);
}

static void
put (DbDeadlineHeap *self, guint index, DbTicket *ticket)
{
  g_ptr_array_index (self->tickets, index - 1) = ticket;
  ticket->heap_index = index;
}

static void
move_up (DbDeadlineHeap *self, guint index, DbTicket *ticket)
{
  while (index > 1 && get (self, index / 2)->deadline > ticket->deadline)
    {
      put (self, index, get (self, index / 2));
      index /= 2;
    }
  put (self, index, ticket);
}

static void
move_down (DbDeadlineHeap *self, guint index, DbTicket *ticket)
{
  guint n = self->tickets->len;

  for (;;)
    {
      guint child = 2 * index;

      if (child > n)
        break;
      if (child < n && get (self, child + 1)->deadline < get (self, child)->deadline)
        child++;
      if (get (self, child)->deadline >= ticket->deadline)
        break;
      put (self, index, get (self, child));
      index = child;
    }
  put (self, index, ticket);
}

void
db_deadline_heap_add (DbDeadlineHeap *self, DbTicket *ticket)
{
  g_assert (ticket->heap_index == 0);
  g_ptr_array_add (self->tickets, ticket);
  self->peak = MAX (self->peak, self->tickets->len);
  move_up (self, self->tickets->len, ticket);
}

/* What a rush has needed is given back after it. */
static void
forget_peak (DbDeadlineHeap *self)
{
  if (self->peak > PEAK_WORTH_KEEPING)
    {
      g_ptr_array_unref (self->tickets);
      self->tickets = g_ptr_array_new ();
    }
  self->peak = 0;
}

void
db_deadline_heap_remove (DbDeadlineHeap *self, DbTicket *ticket)
{
  guint index = ticket->heap_index;
  DbTicket *last;

  if (index == 0)
    return;
  last = get (self, self->tickets->len);
  g_ptr_array_set_size (self->tickets, (int) self->tickets->len - 1);
  ticket->heap_index = 0;
  if (self->tickets->len == 0)
    forget_peak (self);
  if (last == ticket)
    return;
  if (index > 1 && get (self, index / 2)->deadline > last->deadline)
    move_up (self, index, last);
  else
    move_down (self, index, last);
}

DbTicket *
db_deadline_heap_peek (DbDeadlineHeap *self)
{
  return self->tickets->len > 0 ? get (self, 1) : NULL;
}
