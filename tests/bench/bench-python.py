#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""How fast rows become Python's own values: 100,000 rows of five columns to a list of tuples, by dbpool
and by those whom Python programs use instead, in one run, one repetition of each after the other.

    meson devenv -C _build sh tests/with-postgres.sh /usr/bin/python3 tests/bench/bench-python.py

Build with --buildtype=release. Peers that are not installed (python3-psycopg, python3-psycopg2) are
left out; without PostgreSQL, SQLite alone is measured. The memory that results took is given back
inside the time that is measured.
"""

import argparse
import gc
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time

os.environ["PSYCOPG_IMPL"] = "python"  # the form without an extension module

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db

# What the figures have to reach: dbpool's speed, as a multiple of the peer's.
FIGURES = {
    ("postgres", "psycopg 3, pure Python"): 5.0,
    ("postgres", "psycopg2"): 0.9,
    ("sqlite", "sqlite3"): 1.0,
}

POSTGRES_ROWS = (
    "SELECT i::int8 AS id, 'name of ' || i AS name, i * 0.25::float8 AS price,"
    " timestamp '2026-01-02 03:04:05' + i * interval '1.000001 second' AS created,"
    " (i * 1.01)::numeric(12,2) AS amount FROM generate_series(1, {rows}) AS i"
)


def prepare_postgres(uri, rows):
    pool = Db.PoolFactory().create_pool(uri, None, None)
    connection = pool.acquire()
    connection.execute("DROP TABLE IF EXISTS dbpool_bench")
    connection.execute("CREATE TABLE dbpool_bench AS " + POSTGRES_ROWS.format(rows=rows))
    connection.execute("ANALYZE dbpool_bench")
    sql = "SELECT id, name, price, created, amount FROM dbpool_bench"
    contenders = {"dbpool": lambda: list(connection.query(sql))}
    try:
        import psycopg

        psycopg_connection = psycopg.connect(uri)
        contenders["psycopg 3, pure Python"] = lambda: psycopg_connection.execute(sql).fetchall()
    except ImportError:
        pass
    try:
        import psycopg2

        psycopg2_connection = psycopg2.connect(uri)

        def fetch():
            with psycopg2_connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()

        contenders["psycopg2"] = fetch
    except ImportError:
        pass
    return contenders


def prepare_sqlite(folder, rows):
    path = f"{folder}/bench.db"
    sql = "SELECT id, name, price, created, amount FROM bench"
    plain = sqlite3.connect(path)
    plain.execute("CREATE TABLE bench (id integer, name text, price real, created text, amount text)")
    plain.executemany(
        "INSERT INTO bench VALUES (?, ?, ?, ?, ?)",
        ((i, f"name of {i}", i * 0.25, f"2026-01-02 03:04:05.{i:06}", f"{i}.25") for i in range(rows)),
    )
    plain.commit()
    connection = Db.PoolFactory().create_pool("sqlite:" + path, None, None).acquire()
    return {
        "dbpool": lambda: list(connection.query(sql)),
        "sqlite3": lambda: plain.execute(sql).fetchall(),
    }


def check_equal(contenders):
    """All of them have to return the same rows: else something else is measured."""
    expected = [tuple(row) for row in contenders["dbpool"]()]
    for name, fetch in contenders.items():
        if [tuple(row) for row in fetch()] != expected:
            sys.exit(f"{name} returns other rows than dbpool")


def measure(contenders, repetitions):
    times = {name: [] for name in contenders}
    for _ in range(repetitions):
        for name, fetch in contenders.items():
            gc.collect()
            start = time.perf_counter()
            fetch()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def report(database, medians, rows):
    print(f"{database}: {rows:,} rows of 5 columns")
    ours = medians["dbpool"]
    for name, seconds in medians.items():
        line = f"  {name:24} {seconds * 1000:8.1f} ms {rows / seconds:12,.0f} rows/s"
        if name != "dbpool":
            ratio = seconds / ours
            target = FIGURES[database, name]
            line += f"   dbpool is {ratio:.2f} times as fast (at least {target}: "
            line += "reached)" if ratio >= target else "MISSED)"
        print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repetitions", type=int, default=11)
    parser.add_argument("--json", action="store_true", help="print the medians, in seconds, as JSON")
    options = parser.parse_args()
    uri = os.environ.get("DBPOOL_TEST_POSTGRES_URI")
    results = {}
    with tempfile.TemporaryDirectory(prefix="dbpool-bench-") as folder:
        databases = {"sqlite": lambda: prepare_sqlite(folder, options.rows)}
        if uri:
            databases["postgres"] = lambda: prepare_postgres(uri, options.rows)
        for database, prepare in databases.items():
            contenders = prepare()
            check_equal(contenders)
            results[database] = measure(contenders, options.repetitions)
            if not options.json:
                report(database, results[database], options.rows)
    if options.json:
        print(json.dumps({"rows": options.rows, "seconds": results}, indent=2))


if __name__ == "__main__":
    main()
