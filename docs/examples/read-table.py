#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
"""Reads a table of pgbench with asyncio."""

import asyncio
import sys

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db


async def main(uri):
    async with await Db.PoolFactory().create_pool_awaitable(uri) as pool:
        async with pool.connection() as conn:
            for bid, balance in await conn.query_awaitable("SELECT bid, bbalance FROM pgbench_branches"):
                print(f"branch {bid} has {balance}")


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "postgresql:///"))
