/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

#include "config.h"

#include "config-fixture.h"

#include "db-error.h"

#include <string.h>

void
config_assert_refused (GError *error, ...)
{
  const char *part;
  va_list parts;

  g_assert_error (error, DB_ERROR, DB_ERROR_CONFIGURATION);
  g_test_message ("%.200s", error->message);
  g_assert_null (strstr (error->message, SECRET));
  g_assert_cmpuint (strlen (error->message), <, 2000); /* for people */
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  va_start (parts, error);
  while ((part = va_arg (parts, const char *)) != NULL)
    g_assert_nonnull (strstr (error->message, part));
  va_end (parts);
  g_error_free (error);
}

void
config_set_other_values (DbPoolConfig *config)
{
  g_autofree GParamSpec **pspecs = NULL;
  guint n;

  pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (config), &n);
  for (guint i = 0; i < n; i++)
    {
      g_auto (GValue) value = G_VALUE_INIT;

      g_object_get_property (G_OBJECT (config), pspecs[i]->name, &value);
      if (G_VALUE_HOLDS_UINT (&value))
        g_value_set_uint (&value, g_value_get_uint (&value) + 1);
      else if (G_VALUE_HOLDS_INT64 (&value))
        g_value_set_int64 (&value, g_value_get_int64 (&value) + 1);
      else if (G_VALUE_HOLDS_BOOLEAN (&value))
        g_value_set_boolean (&value, !g_value_get_boolean (&value));
      else if (G_VALUE_HOLDS_ENUM (&value))
        g_value_set_enum (&value, g_value_get_enum (&value) == 0 ? 1 : 0);
      else
        g_value_set_string (&value, " Käse;\n\\ & \t");
      g_object_set_property (G_OBJECT (config), pspecs[i]->name, &value);
    }
}

void
config_assert_equal (DbPoolConfig *a, DbPoolConfig *b)
{
  g_autofree GParamSpec **pspecs = NULL;
  guint n;

  pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (a), &n);
  for (guint i = 0; i < n; i++)
    {
      g_auto (GValue) of_a = G_VALUE_INIT;
      g_auto (GValue) of_b = G_VALUE_INIT;

      g_test_message ("%s", pspecs[i]->name);
      g_object_get_property (G_OBJECT (a), pspecs[i]->name, &of_a);
      g_object_get_property (G_OBJECT (b), pspecs[i]->name, &of_b);
      g_assert_cmpint (g_param_values_cmp (pspecs[i], &of_a, &of_b), ==, 0);
    }
}
