/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A histogram of durations with a fixed size of some kilobytes: 32 buckets to each power of two, so
 * that what it says is at most 3 % too much. One thread fills one; they are added up at the end. */

#pragma once

#include <glib.h>

#define TOOL_HISTOGRAM_BUCKETS (64 + 58 * 32)

typedef struct
{
  guint64 count;
  gint64 maximum; /* exact; nanoseconds, as all of it */
  guint64 sum;
  guint64 buckets[TOOL_HISTOGRAM_BUCKETS];
} ToolHistogram;

void tool_histogram_record (ToolHistogram *self, gint64 nanoseconds);
void tool_histogram_add (ToolHistogram *self, const ToolHistogram *other);
gint64 tool_histogram_get_percentile (const ToolHistogram *self, double percent);
