#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

import sys

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db

uri = sys.argv[1] if len(sys.argv) > 1 else "sqlite:hello.db"
with Db.PoolFactory().create_pool(uri, None, None) as pool:
    with pool.acquire() as conn:
        for row in conn.query("SELECT 6 * $1 AS answer", 7):
            print(row)
