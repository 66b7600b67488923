#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
"""Usage: transfer.py [URI [SECONDS]]

Eight threads share four connections and move money between accounts; in the end none may be missing.
The tables are made for it and dropped again.
"""

import random
import sys
import threading
import time

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db, GLib

ACCOUNTS, CLIENTS, CONNECTIONS = 1000, 8, 4
MOVE = "UPDATE transfer_accounts SET balance = balance + $1 WHERE aid = $2"


def transfer(conn):
    first, second = sorted(random.sample(range(ACCOUNTS), 2))
    amount = random.choice((-1, 1)) * random.randint(1, 100)
    with conn.transaction():
        conn.execute(MOVE, -amount, first)
        conn.execute(MOVE, amount, second)


def client(pool, until, done):
    n = 0
    while time.monotonic() < until:
        with pool.acquire() as conn:
            transfer(conn)
        n += 1
    done.append(n)


def main(uri="sqlite:transfer.db", seconds="10"):
    config = Db.PoolConfig(max_connections=CONNECTIONS)
    with Db.PoolFactory().create_pool(uri, config, None) as pool:
        pool.execute("CREATE TABLE transfer_accounts (aid INTEGER PRIMARY KEY, balance BIGINT NOT NULL)")
        try:
            with pool.acquire() as conn, conn.transaction():
                for aid in range(ACCOUNTS):
                    conn.execute("INSERT INTO transfer_accounts VALUES ($1, 1000)", aid)
            done = []
            until = time.monotonic() + float(seconds)
            threads = [threading.Thread(target=client, args=(pool, until, done)) for _ in range(CLIENTS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            total = pool.query("SELECT CAST(sum(balance) AS BIGINT) FROM transfer_accounts")[0][0]
        finally:
            pool.execute("DROP TABLE transfer_accounts")

    print(f"{CLIENTS} clients over {CONNECTIONS} connections: {sum(done) / float(seconds):,.0f} transactions/s")
    intact = total == ACCOUNTS * 1000 and len(done) == CLIENTS
    print(f"money: {'intact' if intact else 'WRONG'}, {total:,} in {ACCOUNTS} accounts")
    return 0 if intact else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except GLib.Error as error:
        sys.exit(f"transfer.py: {error.message}")
