/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* What the tests of configurations share. */

#pragma once

#include "db-pool-config.h"

/* A password, which must be in no error. */
#define SECRET "sw0rdf1sh"

/* Frees @error, which has to be one of configuration, and without the secret. @...: what has to be
 * in its text, up to NULL. */
void config_assert_refused (GError *error, ...) G_GNUC_NULL_TERMINATED;

/* A value other than the default for each property, so that none can be forgotten. */
void config_set_other_values (DbPoolConfig *config);

void config_assert_equal (DbPoolConfig *a, DbPoolConfig *b);
