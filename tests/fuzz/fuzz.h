/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the harnesses share. A harness is one file that defines LLVMFuzzerTestOneInput(), which
 * aborts when something is wrong with what dbpool makes of the bytes. Linked with libFuzzer
 * (-Dfuzz=true) it looks for such bytes by itself, guided by what they reach; linked with replay.c
 * it is a test that tries the corpus and mutations of it. It keeps nothing from one input to the
 * next, so that a crash can be repeated with its input alone. */

#pragma once

#include <glib.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* The bytes of an input, from the first to the last; zeros when there are no more. */
typedef struct
{
  const uint8_t *at;
  gsize left;
} FuzzInput;

static inline guint8
fuzz_take_byte (FuzzInput *self)
{
  if (self->left == 0)
    return 0;
  self->left--;
  return *self->at++;
}

static inline guint64
fuzz_take_number (FuzzInput *self)
{
  guint64 number = 0;

  for (guint i = 0; i < 8; i++)
    number = number << 8 | fuzz_take_byte (self);
  return number;
}

/* @n bytes at most, with a zero behind them. */
static inline char *
fuzz_take_bytes (FuzzInput *self, gsize n, gsize *size)
{
  char *bytes;

  *size = MIN (n, self->left);
  bytes = g_strndup ("", *size);
  if (*size > 0)
    memcpy (bytes, self->at, *size);
  self->at += *size;
  self->left -= *size;
  return bytes;
}

/* All that is left, up to the first zero. */
static inline char *
fuzz_take_rest (FuzzInput *self)
{
  gsize size;

  return fuzz_take_bytes (self, self->left, &size);
}

/* What every error of dbpool's is: text for people. */
static inline void
fuzz_check_error (const GError *error)
{
  g_assert_nonnull (error);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  g_assert_cmpstr (error->message, !=, "");
}
