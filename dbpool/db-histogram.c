/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Histograms without a lock; see the private header. This file needs GLib and nothing else: the
 * dbpool command is built with it, too. */

#include "config.h"

#include "db-histogram-private.h"

#include <math.h>

/* Relaxed: each number stands for itself. A chunk is zeroed before it can be seen. */
#define LOAD(place) __atomic_load_n ((place), __ATOMIC_RELAXED)
#define ADD(place, value) ((void) __atomic_fetch_add ((place), (value), __ATOMIC_RELAXED))

static guint
highest_bit (guint64 value)
{
  return 63 - (guint) __builtin_clzll (value);
}

/* The two chunks of values below 128 are alike: a bucket for each. */
static guint
chunk_of (gint64 value)
{
  return value < DB_HISTOGRAM_BUCKETS ? 0 : highest_bit ((guint64) value) - 5;
}

/* For how many values there is one bucket, as a power of two. */
static guint
shift_of (guint chunk)
{
  return chunk == 0 ? 0 : chunk - 1;
}

static guint
bucket_of (guint chunk, gint64 value)
{
  return (guint) (value >> shift_of (chunk)) % DB_HISTOGRAM_BUCKETS;
}

/* What @place points to. It is made, zeroed, if it is not there yet. */
static gpointer
ensure (gpointer *place, gsize size)
{
  gpointer memory = g_atomic_pointer_get (place);

  if (G_LIKELY (memory != NULL))
    return memory;
  memory = g_malloc0 (size);
  if (g_atomic_pointer_compare_and_exchange (place, NULL, memory))
    return memory;
  g_free (memory); /* another thread was faster */
  return g_atomic_pointer_get (place);
}

static guint64 *
get_chunk (DbHistogram *self, guint chunk)
{
  gpointer *chunks = ensure (&self->chunks, DB_HISTOGRAM_CHUNKS * sizeof (gpointer));

  return ensure (&chunks[chunk], DB_HISTOGRAM_BUCKETS * sizeof (guint64));
}

/* The same to look at it: NULL if there is none. */
static guint64 *
peek_chunk (DbHistogram *self, guint chunk)
{
  gpointer *chunks = g_atomic_pointer_get (&self->chunks);

  return chunks != NULL ? g_atomic_pointer_get (&chunks[chunk]) : NULL;
}

void
db_histogram_clear (DbHistogram *self)
{
  for (guint i = 0; i < DB_HISTOGRAM_CHUNKS; i++)
    g_free (peek_chunk (self, i));
  g_free (self->chunks);
  *self = (DbHistogram){0};
}

static void
count (DbHistogram *self, gint64 value, guint64 n)
{
  const gint64 limited = MIN (value, DB_HISTOGRAM_LONGEST);
  const guint chunk = chunk_of (limited);

  ADD (&get_chunk (self, chunk)[bucket_of (chunk, limited)], n);
}

static void
raise_maximum (DbHistogram *self, gint64 value)
{
  gint64 max = LOAD (&self->max);

  while (value > max && !__atomic_compare_exchange_n (&self->max, &max, value, TRUE,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
}

void
db_histogram_record_many (DbHistogram *self, gint64 value, guint64 n)
{
  if (value <= 0)
    {
      count (self, 0, n);
      return;
    }
  count (self, value, n);
  ADD (&self->sum, (guint64) value * n);
  raise_maximum (self, value);
}

void
db_histogram_record (DbHistogram *self, gint64 value)
{
  db_histogram_record_many (self, value, 1);
}

void
db_histogram_forget (DbHistogram *self, gint64 value)
{
  value = MAX (value, 0);
  count (self, value, G_MAXUINT64); /* one less */
  ADD (&self->sum, -(guint64) value);
}

void
db_histogram_add (DbHistogram *self, DbHistogram *other)
{
  for (guint i = 0; i < DB_HISTOGRAM_CHUNKS; i++)
    {
      const guint64 *counts = peek_chunk (other, i);

      for (guint j = 0; counts != NULL && j < DB_HISTOGRAM_BUCKETS; j++)
        if (LOAD (&counts[j]) > 0)
          ADD (&get_chunk (self, i)[j], LOAD (&counts[j]));
    }
  ADD (&self->sum, LOAD (&other->sum));
  raise_maximum (self, LOAD (&other->max));
}

guint64
db_histogram_count (DbHistogram *self)
{
  guint64 n = 0;

  for (guint i = 0; i < DB_HISTOGRAM_CHUNKS; i++)
    {
      const guint64 *counts = peek_chunk (self, i);

      for (guint j = 0; counts != NULL && j < DB_HISTOGRAM_BUCKETS; j++)
        n += LOAD (&counts[j]);
    }
  return n;
}

/* Looking. */

static void
view_chunk (DbHistogramView *self, guint chunk, const guint64 *counts)
{
  const guint shift = shift_of (chunk);
  const guint first = chunk == 0 ? 0 : DB_HISTOGRAM_BUCKETS;

  for (guint i = 0; i < DB_HISTOGRAM_BUCKETS; i++)
    {
      const guint64 n = LOAD (&counts[i]);
      const gint64 low = (gint64) (first + i) << shift;
      const DbHistogramEntry entry = {
        low,
        low + (G_GINT64_CONSTANT (1) << shift) - 1,
        self->count + n,
      };

      if (n == 0)
        continue;
      self->count += n;
      g_array_append_val (self->entries, entry);
    }
}

void
db_histogram_view_init (DbHistogramView *self, DbHistogram *histogram)
{
  *self = (DbHistogramView){
    .sum = LOAD (&histogram->sum),
    .entries = g_array_sized_new (FALSE, FALSE, sizeof (DbHistogramEntry), DB_HISTOGRAM_BUCKETS),
  };
  for (guint i = 0; i < DB_HISTOGRAM_CHUNKS; i++)
    {
      const guint64 *counts = peek_chunk (histogram, i);

      if (counts != NULL)
        view_chunk (self, i, counts);
    }
  self->max = LOAD (&histogram->max);
}

void
db_histogram_view_clear (DbHistogramView *self)
{
  g_clear_pointer (&self->entries, g_array_unref);
}

gint64
db_histogram_view_get_percentile (const DbHistogramView *self, double percent)
{
  /* 99.9 % of 1,000 are 999, and not one more because 99.9 is no binary number. */
  const double exact = CLAMP (percent, 0, 100) * (double) self->count / 100;
  const double rank = MAX (ceil (exact - 1e-6), 1);

  for (guint i = 0; i < self->entries->len && percent < 100; i++)
    {
      const DbHistogramEntry *entry = &g_array_index (self->entries, DbHistogramEntry, i);

      if ((double) entry->up_to >= rank)
        return MIN (entry->low + (entry->high - entry->low) / 2, self->max);
    }
  return self->max;
}

guint64
db_histogram_view_count_up_to (const DbHistogramView *self, gint64 bound)
{
  guint64 n = 0;

  for (guint i = 0; i < self->entries->len; i++)
    {
      const DbHistogramEntry *entry = &g_array_index (self->entries, DbHistogramEntry, i);

      if (entry->low > bound)
        break;
      n = entry->up_to;
    }
  return n;
}
