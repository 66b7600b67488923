/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* Values below 64 have a bucket each. A greater one is shifted right until it is below 64, which
 * leaves 32 to 63: shift and rest together say which bucket. */

#include "config.h"

#include "db-tool-histogram.h"

#include <math.h>

static guint
bucket_of (guint64 value)
{
  guint shift = 0;

  if (value < 64)
    return (guint) value;
  while (value >> shift >= 64)
    shift++;
  return 64 + (shift - 1) * 32 + (guint) (value >> shift) - 32;
}

/* The greatest value of a bucket. */
static gint64
bucket_end (guint bucket)
{
  guint shift;
  guint64 rest;

  if (bucket < 64)
    return bucket;
  shift = (bucket - 64) / 32 + 1;
  rest = (bucket - 64) % 32 + 32;
  return (gint64) (((rest + 1) << shift) - 1);
}

void
tool_histogram_record (ToolHistogram *self, gint64 nanoseconds)
{
  nanoseconds = MAX (nanoseconds, 0);
  self->count++;
  self->sum += (guint64) nanoseconds;
  self->maximum = MAX (self->maximum, nanoseconds);
  self->buckets[bucket_of ((guint64) nanoseconds)]++;
}

void
tool_histogram_add (ToolHistogram *self, const ToolHistogram *other)
{
  self->count += other->count;
  self->sum += other->sum;
  self->maximum = MAX (self->maximum, other->maximum);
  for (guint i = 0; i < TOOL_HISTOGRAM_BUCKETS; i++)
    self->buckets[i] += other->buckets[i];
}

gint64
tool_histogram_get_percentile (const ToolHistogram *self, double percent)
{
  const guint64 rank = (guint64) MAX (1, ceil (percent / 100 * (double) self->count));
  guint64 seen = 0;

  for (guint i = 0; i < TOOL_HISTOGRAM_BUCKETS; i++)
    {
      seen += self->buckets[i];
      if (seen >= rank)
        return MIN (bucket_end (i), self->maximum);
    }
  return self->maximum;
}
