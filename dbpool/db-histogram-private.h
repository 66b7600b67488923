/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A histogram of durations: how many were how long, to within 1 %, in bounded memory.
 *
 * Values below 128 have a bucket each. Above, each power of two is cut into 64 buckets of the same
 * width, and a bucket stands for its middle: 0.8 % from its ends at most. The sum and the maximum
 * are exact. What is longer than DB_HISTOGRAM_LONGEST counts as that.
 *
 * The 64 buckets of a power of two are a chunk of 512 bytes, which is made when something falls
 * into it for the first time. So an empty histogram has 24 bytes, a used one some kilobytes, and
 * none ever more than 18 KiB.
 *
 * There is no lock. Any threads may record and look at the same time: each number is atomic, so
 * that nothing is lost, but one look may see a value's bucket and not yet its sum. The unit is the
 * caller's. */

#pragma once

#include <glib.h>

#define DB_HISTOGRAM_BUCKETS 64 /* of a chunk */
#define DB_HISTOGRAM_BITS 40
#define DB_HISTOGRAM_CHUNKS (DB_HISTOGRAM_BITS - 5)
#define DB_HISTOGRAM_LONGEST ((G_GINT64_CONSTANT (1) << DB_HISTOGRAM_BITS) - 1)

/* All zeros is an empty one. */
typedef struct
{
  guint64 sum;     /* atomic, like all of it */
  gint64 max;      /* 0: nothing was recorded */
  gpointer chunks; /* DB_HISTOGRAM_CHUNKS pointers to guint64; NULL, like each, until needed */
} DbHistogram;

/* Nobody uses it any more. */
void db_histogram_clear (DbHistogram *self);

/* What is negative counts as 0. */
void db_histogram_record (DbHistogram *self, gint64 value);
/* The same value @n times. */
void db_histogram_record_many (DbHistogram *self, gint64 value, guint64 n);
/* Takes back what was recorded before; the maximum stays. */
void db_histogram_forget (DbHistogram *self, gint64 value);
void db_histogram_add (DbHistogram *self, DbHistogram *other);
guint64 db_histogram_count (DbHistogram *self);

/* A bucket with something in it. */
typedef struct
{
  gint64 low;    /* its values are from here */
  gint64 high;   /* to here */
  guint64 up_to; /* so many values are in it and in those before it */
} DbHistogramEntry;

/* What a histogram has, at one moment. */
typedef struct
{
  guint64 count;
  guint64 sum;
  gint64 max;
  GArray *entries; /* of DbHistogramEntry, the shortest first */
} DbHistogramView;

void db_histogram_view_init (DbHistogramView *self, DbHistogram *histogram);
void db_histogram_view_clear (DbHistogramView *self);

/* The least value that is not shorter than @percent of all; 0 if there are none. */
gint64 db_histogram_view_get_percentile (const DbHistogramView *self, double percent);
/* How many are no longer than @bound. Those that share its bucket count. */
guint64 db_histogram_view_count_up_to (const DbHistogramView *self, gint64 bound);
