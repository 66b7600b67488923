#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
"""Usage: watch-pool.py [URI]

Five threads share two connections, each for a moment. Meanwhile the sessions of the pool are printed as a
table that follows the pool, and its signals are listened to.
"""

import sys
import threading
import time

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db, GLib

CLIENTS = 5


def work(pool, name):
    with pool.acquire(tag=name) as conn:
        conn.query("SELECT 6 * $1", 7)
        time.sleep(0.1)


def print_table(connections):
    for info in connections:
        state = info.get_state().value_nick
        print(f"  {info.get_id():3} {state:10} {info.dup_tag() or '':10} {info.dup_statement() or ''}")


def prepare(pool, conn):
    """A hook: every session has a table of its own."""
    conn.execute_script("CREATE TEMP TABLE scratch (id INTEGER)")


def main(uri="sqlite:watch-pool.db"):
    loop = GLib.MainLoop()
    manager = Db.PoolFactory().create_manager(uri, None)
    config = Db.PoolConfig(max_connections=2, leak_threshold=10 * 1000000)
    with Db.Pool.new(manager, config) as pool:
        pool.set_hook(Db.Hook.AFTER_CONNECT, prepare)
        pool.warm_up(2)

        returned = []

        def on_returned(pool, held):
            print(f"a connection came back after {held / 1000000:.3f} s")
            returned.append(held)
            if len(returned) == CLIENTS:
                loop.quit()

        def on_items_changed(connections, position, removed, added):
            for info in connections[position : position + added]:
                info.connect("notify::tag", lambda *unused: print_table(connections))
            print_table(connections)

        connections = pool.connections
        connections.connect("items-changed", on_items_changed)
        on_items_changed(connections, 0, 0, len(connections))
        pool.connect("connection-acquired", lambda pool, waited: print(f"lent after {waited / 1000000:.3f} s"))
        pool.connect("connection-returned", on_returned)
        pool.connect("leak-suspected", lambda pool, holder, held: print(f"not given back: {holder}"))

        for i in range(CLIENTS):
            threading.Thread(target=work, args=(pool, f"client {i + 1}")).start()
        loop.run()
        print(f"all {CLIENTS} clients are done")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except GLib.Error as error:
        sys.exit(f"watch-pool.py: {error.message}")
