/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* A harness as a test: tries the inputs of its corpus, and then mutations of them, always the same
 * ones. The first argument that is no option is the name of the corpus, or a file to try alone. */

#include "config.h"

#include "fuzz.h"

#define N_MUTATIONS 3000
#define MAX_SIZE 4096

static GPtrArray *corpus; /* of GBytes, by name */

static void
try_input (gconstpointer data, gsize size)
{
  /* a copy that ends where it ends, for the sanitizers to see */
  g_autofree guint8 *copy = g_memdup2 (data, size);

  LLVMFuzzerTestOneInput (copy, size);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 (*(const char *const *) a, *(const char *const *) b);
}

static void
load_file (const char *path)
{
  g_autoptr (GError) error = NULL;
  char *data;
  gsize size;

  g_file_get_contents (path, &data, &size, &error);
  g_assert_no_error (error);
  g_ptr_array_add (corpus, g_bytes_new_take (data, size));
}

static void
load_folder (const char *folder)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  GDir *dir = g_dir_open (folder, 0, &error);
  const char *name;

  g_assert_no_error (error);
  while ((name = g_dir_read_name (dir)) != NULL)
    g_ptr_array_add (names, g_build_filename (folder, name, NULL));
  g_dir_close (dir);
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++)
    load_file (g_ptr_array_index (names, i));
}

static void
test_corpus (void)
{
  g_assert_cmpuint (corpus->len, >, 0);
  for (guint i = 0; i < corpus->len; i++)
    {
      gsize size;
      gconstpointer data = g_bytes_get_data (g_ptr_array_index (corpus, i), &size);

      try_input (data, size);
    }
}

static GBytes *
pick (GRand *rand)
{
  return g_ptr_array_index (corpus, g_rand_int_range (rand, 0, (gint32) corpus->len));
}

/* One step: a byte less, more or other, a part of another input, or a part again. */
static void
mutate (GRand *rand, GByteArray *input)
{
  static const char interesting[] = "'\"`\\;,(){}[]%&=?:@/#$-* \n\0\x7f\x80\xff";
  guint at = (guint) g_rand_int_range (rand, 0, (gint32) input->len + 1);
  guint8 byte = g_rand_boolean (rand)
                  ? (guint8) g_rand_int_range (rand, 0, 256)
                  : (guint8) interesting[g_rand_int_range (rand, 0, sizeof interesting)];
  guint n = (guint) g_rand_int_range (rand, 1, 9);
  gsize size;
  const guint8 *other = g_bytes_get_data (pick (rand), &size);

  switch (g_rand_int_range (rand, 0, 5))
    {
    case 0:
      if (at < input->len)
        input->data[at] = byte;
      break;
    case 1:
      if (at < input->len)
        g_byte_array_remove_range (input, at, MIN (n, input->len - at));
      break;
    case 2:
      g_byte_array_append (input, &byte, 1);
      memmove (input->data + at + 1, input->data + at, input->len - 1 - at);
      input->data[at] = byte;
      break;
    case 3:
      g_byte_array_set_size (input, at);
      if (at < size)
        g_byte_array_append (input, other + at, (guint) size - at);
      break;
    default:
      g_byte_array_append (input, other, (guint) size);
    }
}

static void
test_mutations (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  gint64 end = g_get_monotonic_time () + G_TIME_SPAN_MINUTE;

  for (guint i = 0; i < N_MUTATIONS && g_get_monotonic_time () < end; i++)
    {
      g_autoptr (GByteArray) input = g_byte_array_new ();
      gsize size;
      gconstpointer data = g_bytes_get_data (pick (rand), &size);

      g_byte_array_append (input, data, (guint) size);
      for (int n = g_rand_int_range (rand, 1, 9); n > 0; n--)
        mutate (rand, input);
      try_input (input->data, MIN (input->len, MAX_SIZE));
    }
}

int
main (int argc, char **argv)
{
  g_autofree char *folder = NULL;

  g_test_init (&argc, &argv, NULL);
  g_assert_cmpint (argc, ==, 2);
  corpus = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  if (g_file_test (argv[1], G_FILE_TEST_IS_REGULAR))
    load_file (argv[1]);
  else
    {
      folder = g_test_build_filename (G_TEST_DIST, "fuzz", "corpus", argv[1], NULL);
      load_folder (folder);
      g_test_add_func ("/fuzz/mutations", test_mutations);
    }
  g_test_add_func ("/fuzz/corpus", test_corpus);
  return g_test_run ();
}
