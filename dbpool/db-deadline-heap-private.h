/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A binary heap of tickets by deadline. Each ticket knows its place (heap_index, counted from 1; 0
 * is "not in the heap"), so that it can be taken out from the middle in O(log n). Not locked. */

#pragma once

#include "db-pool-core-private.h"

typedef struct
{
  GPtrArray *tickets;
  guint peak; /* since it was last empty */
} DbDeadlineHeap;

void db_deadline_heap_init (DbDeadlineHeap *self);
void db_deadline_heap_clear (DbDeadlineHeap *self);
void db_deadline_heap_add (DbDeadlineHeap *self, DbTicket *ticket);
void db_deadline_heap_remove (DbDeadlineHeap *self, DbTicket *ticket); /* also if it is not there */
DbTicket *db_deadline_heap_peek (DbDeadlineHeap *self);
