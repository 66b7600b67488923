#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
"""Usage: test-tool.py DBPOOL sqlite|postgres

Tests of the dbpool command from outside: output, exit statuses, time. Prints TAP.
"""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

TOOL = sys.argv[1]
POSTGRES = os.environ.get("DBPOOL_TEST_POSTGRES_URI")
POSTGRES_TCP = os.environ.get("DBPOOL_TEST_POSTGRES_TCP_URI")
SECRET = "sw0rdf1sh"
# Generous, for valgrind and sanitizers; what has to be quick says so.
PATIENCE = 60


class Run:
    """One run of the command: what it printed, its status and how long it took."""

    def __init__(self, *arguments, **environment):
        start = time.monotonic()
        done = subprocess.run(
            [TOOL, *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
        )
        self.seconds = time.monotonic() - start
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr


class ToolTest(unittest.TestCase):
    def run_ok(self, *arguments, **environment):
        run = Run(*arguments, **environment)
        self.assertEqual((run.status, run.err), (0, ""))
        return run.out

    def run_failing(self, *arguments, status=1, **environment):
        """Runs what has to fail: with one line that says why, and no password in it."""
        run = Run(*arguments, **environment)
        self.assertEqual(run.status, status, run.err)
        self.assertNotIn(SECRET, run.out + run.err)
        return run


@contextmanager
def terminal(*arguments, **environment):
    """Runs the command on a terminal of its own; gives the process and a function that reads up to a
    pattern (or, for None, to the end)."""
    control, tty = pty.openpty()
    env = {**os.environ, "TERM": "xterm", **environment}
    process = subprocess.Popen([TOOL, *arguments], env=env, stdin=tty, stdout=tty, stderr=tty)
    os.close(tty)
    text = b""

    def read_until(pattern):
        nonlocal text
        until = time.monotonic() + PATIENCE
        while pattern is None or not re.search(pattern, text):
            if not select.select([control], [], [], until - time.monotonic())[0]:
                raise AssertionError(f"{pattern} did not come: {text}")
            try:
                chunk = os.read(control, 65536)
            except OSError:  # EIO: the other side is closed
                chunk = b""
            if not chunk:
                if pattern is None:
                    break
                raise AssertionError(f"{pattern} did not come: {text}")
            text += chunk
        return text.decode()

    try:
        yield process, read_until
    finally:
        process.kill()
        process.wait()
        os.close(control)


@contextmanager
def silent_server():
    """A server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class Common:
    """What has to work on every database. Has self.uri."""

    def tables(self):
        raise NotImplementedError

    def test_check(self):
        out = self.run_ok("check", self.uri)
        self.assertRegex(out, r"\A\S+ is healthy: answered in \S+ [mµ]?s\n\Z")

    def test_check_json(self):
        document = json.loads(self.run_ok("check", "--format=json", self.uri))
        self.assertEqual((document["status"], document["answered"]), ("healthy", True))
        self.assertGreaterEqual(document["round_trip_ms"], 0)
        self.assertEqual(document["reasons"], [])
        self.assertRegex(document["facts"]["version"], r"\A\d+\.")
        self.assertFalse(document["facts"]["read-only"])

    def test_check_strict(self):
        out = self.run_ok("check", "--format=json", "--slow=1000", "--strict", self.uri)
        self.assertEqual(len(out.splitlines()), 1)

    def check_degraded(self, code, words, *arguments):
        """What can be used, though something is not as it should be: that is no failure, unless somebody says so."""
        text = rf"\A\S+ is degraded: answered in \S+ [mµ]?s\n[^\n]*{words}[^\n]*\n\Z"
        self.assertRegex(self.run_ok("check", *arguments), text)
        document = json.loads(self.run_ok("check", "--format=json", *arguments))
        self.assertEqual((document["status"], document["answered"]), ("degraded", True))
        self.assertEqual([reason["code"] for reason in document["reasons"]], [code])
        run = self.run_failing("check", "--strict", *arguments)
        self.assertRegex(run.out + run.err, words)
        self.assertIn(" is degraded: ", run.out + run.err)
        run = self.run_failing("check", "--strict", "--format=json", *arguments)
        self.assertEqual((json.loads(run.out)["status"], run.err), ("degraded", ""))

    def test_uri_from_environment(self):
        out = self.run_ok("check", DATABASE_URL=self.uri)
        self.assertIn(" is healthy: ", out)
        out = self.run_ok("query", "-", "SELECT 1 AS one", "-f", "csv", DATABASE_URL=self.uri)
        self.assertEqual(out, "one\n1\n")

    def test_pool_settings_in_environment(self):
        bench = ["bench", "--seconds=0.3", "--pool=2", "-f", "json", self.uri]
        out = self.run_ok(*bench, DBPOOL_MAX_CONNECTIONS="7", DBPOOL_MAX_SQL_LENGTH="100000")
        self.assertEqual(json.loads(out)["connections"], 2)
        run = self.run_failing(*bench, DBPOOL_MAX_SQL_LENGTH="many")
        self.assertIn("DBPOOL_MAX_SQL_LENGTH", run.err)
        run = self.run_failing(*bench, DBPOOL_MAX_SQL_LENGTH="5")
        self.assertIn("max-sql-length", run.err)

    def test_pool_settings_in_uri(self):
        query = "&" if "?" in self.uri else "?"
        out = self.run_ok(
            "bench", "--seconds=0.3", "-f", "json", f"{self.uri}{query}pool_max_connections=3"
        )
        self.assertEqual(json.loads(out)["connections"], 3)
        run = self.run_failing("check", f"{self.uri}{query}pool_max_connections=none")
        self.assertIn("pool_max_connections", run.err)

    def test_table(self):
        out = self.run_ok(
            "query",
            self.uri,
            "SELECT * FROM (SELECT 1 AS id, 'Käse' AS name, 2.5 AS n UNION ALL SELECT 20, NULL, 10.25"
            " UNION ALL SELECT 300, $1, NULL) AS t ORDER BY id",
            "漢字\tx\x1b[31m",
        )
        self.assertEqual(
            out,
            " id  | name            | n\n"
            "-----+-----------------+-------\n"
            "   1 | Käse            |   2.5\n"
            "  20 | NULL            | 10.25\n"
            " 300 | 漢字\\tx\\x1b[31m | NULL\n"
            "(3 rows)\n",
        )

    def test_table_without_rows(self):
        out = self.run_ok("query", self.uri, "SELECT 1 AS one WHERE 1 = 0")
        self.assertEqual(out, " one\n-----\n(0 rows)\n")

    def test_csv(self):
        out = self.run_ok(
            "query",
            "--format=csv",
            self.uri,
            "SELECT $1 AS \"a,b\", $2 AS c, $3 AS d, $4 AS e",
            "--",
            'say "hi"',
            "two\nlines",
            "",
            "\\N",
        )
        self.assertEqual(out, '"a,b",c,d,e\n"say ""hi""","two\nlines","",\n')
        out = self.run_ok("query", "-f", "csv", "-n", "(null)", self.uri, "SELECT NULL AS n")
        self.assertEqual(out, "n\n(null)\n")

    def test_json(self):
        out = self.run_ok(
            "query",
            "--format=json",
            self.uri,
            "SELECT 1 AS a, 2.5 AS b, NULL AS c, $1 AS d, 9007199254740993 AS a",
            'quote " slash \\ newline \n bell \a',
        )
        self.assertEqual(
            json.loads(out),
            [
                {
                    "a": 1,
                    "b": 2.5,
                    "c": None,
                    "d": 'quote " slash \\ newline \n bell \a',
                    "a_2": 9007199254740993,
                }
            ],
        )
        self.assertEqual(self.run_ok("query", "-f", "json", self.uri, "SELECT 1 WHERE 1 = 0"), "[]\n")

    def test_statements(self):
        def query(sql, *parameters, form="json"):
            return self.run_ok("query", f"--format={form}", self.uri, sql, "--", *parameters)

        query("CREATE TABLE tool_test (id INTEGER PRIMARY KEY, name TEXT)")
        try:
            out = query("INSERT INTO tool_test VALUES ($1, $2), ($3, NULL)", "-1", "eins", "2")
            self.assertEqual(json.loads(out), {"rows_affected": 2})
            out = query("UPDATE tool_test SET name = $1 WHERE id = $2", "zwei", "2", form="table")
            self.assertEqual(out, "1 row affected\n")
            out = query("SELECT name FROM tool_test WHERE id = $1", "2", form="csv")
            self.assertEqual(out, "name\nzwei\n")
        finally:
            query("DROP TABLE tool_test")

    def test_errors_of_sql(self):
        run = self.run_failing("query", self.uri, "SELECT nonsense FROM nowhere")
        self.assertRegex(run.err, r"\Adbpool query: .*nowhere")
        self.assertEqual(run.out, "")
        self.run_failing("query", self.uri, "SELECT $1 AS a, $2 AS b", "too few")
        self.run_failing("query", self.uri, "SELECT 1 AS a", "too many")

    def bench(self, *arguments):
        out = self.run_ok("bench", "--seconds=1", "--format=json", *arguments, self.uri)
        self.assertEqual(self.tables(), [])
        return json.loads(out)

    def check_bench(self, report):
        self.assertIs(report["money_intact"], True)
        self.assertEqual(report["money"], 1000 * report["accounts"])
        self.assertEqual(report["errors"], 0)
        self.assertGreater(report["transactions"], 0)
        self.assertEqual(report["pool"]["timeouts"], 0)
        self.assertLessEqual(report["pool"]["created"], 4)
        self.assertGreaterEqual(report["pool"]["acquired"], report["transactions"])
        for times in report["wait_ms"], report["total_ms"]:
            self.assertLessEqual(times["p50"], times["p99"])
            self.assertLessEqual(times["p99"], times["max"])

    def test_bench_transfer(self):
        report = self.bench()
        self.check_bench(report)
        self.assertEqual((report["clients"], report["connections"]), (8, 4))

    def test_bench_few_accounts(self):
        self.check_bench(self.bench("--accounts=2", "--clients=4"))

    def test_bench_select(self):
        self.check_bench(self.bench("--mode=select", "--accounts=1000"))

    def test_bench_async(self):
        self.check_bench(self.bench("--mode=async", "--clients=50"))

    def test_bench_overhead(self):
        report = json.loads(
            self.run_ok("bench", "--mode=overhead", "--seconds=0.5", "-f", "json", self.uri)
        )
        self.assertGreater(report["bare_per_second"], 0)
        self.assertGreater(report["query_ratio"], 0)
        self.assertGreater(report["loan_ratio"], 0)

    def test_bench_report(self):
        out = self.run_ok("bench", "--seconds=0.5", self.uri)
        self.assertRegex(out, r"\Adbpool bench: transfer on ")
        self.assertRegex(out, r"\n  wait +\S+ [num]?s +\S+ [num]?s +\S+ [num]?s\n")
        self.assertRegex(out, r"\n  money: intact, 10,000,000 in 10000 accounts\n\Z")
        self.assertNotIn("\033", out)

    def test_bench_leftovers(self):
        self.run_ok("query", self.uri, "CREATE TABLE dbpool_bench_branches (other INTEGER)")
        try:
            run = self.run_failing("bench", "--seconds=0.2", self.uri)
            self.assertIn("--replace", run.err)
            self.assertEqual(self.tables(), ["dbpool_bench_branches"])
            self.check_bench(self.bench("--replace"))
        finally:
            self.run_ok("query", self.uri, "DROP TABLE IF EXISTS dbpool_bench_branches")

    def test_bench_on_terminal(self):
        with terminal("bench", "--seconds=1", self.uri) as (process, read_until):
            text = read_until(None)
            self.assertEqual(process.wait(PATIENCE), 0)
        self.assertRegex(text, r"\r\[#+\.*\] \d\.\d of 1\.0 s, [\d,]+/s ")
        self.assertIn("\033[32mintact\033[0m", text)
        with terminal("bench", "--seconds=0.5", self.uri, NO_COLOR="1") as (process, read_until):
            self.assertNotIn("\033[3", read_until(None))

    def interrupt(self, mode, number):
        with terminal("bench", "--seconds=50", f"--mode={mode}", self.uri) as (process, read_until):
            read_until(rb"of 50\.0 s, [1-9]")
            process.send_signal(number)
            text = read_until(None)
            self.assertEqual(process.wait(PATIENCE), 128 + number)
        self.assertIn("intact", text)
        self.assertEqual(self.tables(), [])

    def test_bench_interrupted(self):
        self.interrupt("transfer", signal.SIGINT)
        self.interrupt("async", signal.SIGTERM)


class TestSqlite(Common, ToolTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.uri = f"sqlite:{self.folder}/test.db"
        self.run_ok("query", self.uri, "PRAGMA user_version = 1")

    def tables(self):
        sql = "SELECT name FROM sqlite_master WHERE name LIKE 'dbpool%' ORDER BY name"
        out = self.run_ok("query", "-f", "json", self.uri, sql)
        return [row["name"] for row in json.loads(out)]

    def test_check_creates_nothing(self):
        missing = self.folder / "missing.db"
        run = self.run_failing("check", f"sqlite:{missing}")
        self.assertIn(str(missing), run.err)
        self.assertEqual(run.out, "")
        self.assertFalse(missing.exists())

    @unittest.skipIf(os.geteuid() == 0, "nothing is read-only for the superuser")
    def test_check_read_only(self):
        path = self.folder / "plain.db"
        self.run_ok("query", f"sqlite:{path}?journal_mode=delete", "CREATE TABLE t (a)")
        path.chmod(0o444)
        self.check_degraded("read-only", "cannot be written to", f"sqlite:{path}?journal_mode=delete")

    def test_check_damaged(self):
        """Only a quick check reads what is behind the header."""
        path = self.folder / "damaged.db"
        self.run_ok("query", f"sqlite:{path}?journal_mode=delete", "CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 "
                    "UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT hex(randomblob(50)) FROM n")
        with path.open("r+b") as file:
            file.seek(3 * 4096)
            file.write(b"x" * 5 * 4096)
        self.run_ok("check", f"sqlite:{path}")
        run = self.run_failing("check", "--quick-check", f"sqlite:{path}")
        self.assertIn("damaged", run.err)
        run = self.run_failing("check", "--quick-check", "-f", "json", f"sqlite:{path}")
        document = json.loads(run.out)
        self.assertEqual((document["status"], run.err), ("unhealthy", ""))
        self.assertEqual(document["reasons"][0]["code"], "damaged")
        self.assertFalse(document["facts"]["quick-check"])

    def test_check_failures(self):
        (self.folder / "text.db").write_text("no database " * 100)
        for path in (self.folder, self.folder / "none" / "x.db", self.folder / "text.db"):
            with self.subTest(path=path):
                run = self.run_failing("check", f"sqlite:{path}")
                self.assertRegex(run.err, r"\Adbpool check: [^\n]+\n\Z")
                run = self.run_failing("check", "-f", "json", f"sqlite:{path}")
                document = json.loads(run.out)
                self.assertEqual((document["status"], run.err), ("unhealthy", ""))
                self.assertEqual(document["error"], "configuration")

    def test_bytes(self):
        sql = "SELECT x'00dead' AS b, CAST(1e100 AS REAL) AS r, 0.1 AS d"
        out = self.run_ok("query", "-f", "csv", self.uri, sql)
        self.assertEqual(out, "b,r,d\n\\x00dead,1e+100,0.1\n")

    def test_bench_in_memory(self):
        self.uri = "sqlite::memory:"
        out = self.run_ok("bench", "--seconds=0.5", "-f", "json", self.uri)
        self.check_bench(json.loads(out))

    def test_bench_read_only(self):
        run = self.run_failing("bench", "--seconds=0.2", f"{self.uri}?mode=ro")
        self.assertRegex(run.err, r"\Adbpool bench: ")

    def test_help(self):
        for command, words in {
            (): ["check", "query", "bench", "DATABASE_URL", "Exit status"],
            ("check",): ["--timeout=SECONDS", "Exit status"],
            ("query",): ["--format=FORMAT", "--null=TEXT", "RFC 4180", "Exit status"],
            ("bench",): ["--clients=N", "--pool=N", "--seconds=SECONDS", "overhead", "Exit status"],
        }.items():
            with self.subTest(command=command):
                out = self.run_ok(*command, "--help")
                self.assertIn("Usage:\n  " + " ".join(("dbpool", *command)) + " ", out)
                for word in words:
                    self.assertIn(word, out)

    def test_version(self):
        self.assertRegex(self.run_ok("--version"), r"\Adbpool \d+\.\d+\.\d+ \(")

    def test_usage(self):
        uri = self.uri
        for arguments in (
            [],
            ["nonsense"],
            ["--nonsense"],
            ["check"],
            ["check", uri, uri],
            ["check", "--timeout=0", uri],
            ["check", "--timeout=-1", uri],
            ["check", "--timeout=nan", uri],
            ["check", "--timeout=x", uri],
            ["check", "--format=csv", uri],
            ["query"],
            ["query", uri],
            ["query", "--format=xml", uri, "SELECT 1"],
            ["bench", "--clients=0", uri],
            ["bench", "--clients=-1", uri],
            ["bench", "--clients=99999999999999", uri],
            ["bench", "--pool=0", uri],
            ["bench", "--accounts=1", uri],
            ["bench", "--seconds=0", uri],
            ["bench", "--mode=nonsense", uri],
            ["bench", "--mode=overhead", "--pool=1", uri],
            ["bench", uri, uri],
            ["check", b"\xff\xfe"],
        ):
            with self.subTest(arguments=arguments):
                run = self.run_failing(
                    *arguments, status=2, DATABASE_URL="", PGHOST="", PGDATABASE=""
                )
                self.assertEqual(run.out, "")
                self.assertRegex(run.err, r"\Adbpool[^\n]*: [^\n]+\nTry 'dbpool[^\n]* --help'\.\n\Z")

    def test_bad_uris(self):
        for uri in (
            "",
            "nonsense",
            f"host=localhost password={SECRET}",
            f"mysql://user:{SECRET}@host/db",
            f"{SECRET[:0]}:{SECRET}",
            f"sqlite://user:{SECRET}@host/x.db",
            f"postgresql://user:{SECRET}@host:70000/db",
            f"postgresql://user:{SECRET}@[::1/db",
            f"postgresql://user:{SECRET}@host/db?nonsense=1",
            f"postgresql://user:{SECRET}@host/db?pool_max_connections=-1",
            f"postgresql://user:{SECRET}@host/db?pool_nonsense=1",
            f"postgresql://user:%zz{SECRET}@host/db",
        ):
            with self.subTest(uri=uri):
                for command in (["check", uri], ["query", uri, "SELECT 1"], ["bench", uri]):
                    run = self.run_failing(*command)
                    self.assertRegex(run.err, r"\Adbpool \w+: [^\n]+\n\Z")
                    self.assertLess(run.seconds, 5)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [TOOL, "query", self.uri, "SELECT 1"], stdout=full, stderr=subprocess.PIPE
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"could not be written", done.stderr)


class TestPostgres(Common, ToolTest):
    def setUp(self):
        self.uri = POSTGRES

    def tables(self):
        sql = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'dbpool%' ORDER BY 1"
        out = self.run_ok("query", "-f", "json", self.uri, sql)
        return [row["relname"] for row in json.loads(out)]

    def test_types(self):
        out = self.run_ok(
            "query",
            "-f",
            "json",
            self.uri,
            "SELECT true AS t, 12345678901234567890.5::numeric AS n, 'NaN'::numeric AS nan, "
            "'-Infinity'::float8 AS i, '{\"a\": [1, null]}'::jsonb AS j, '\\xdead'::bytea AS b, "
            "DATE '2024-02-29' AS d, 'x'::text AS x",
        )
        self.assertIn('"n":12345678901234567890.5,', out)
        row = json.loads(out)[0]
        self.assertIs(row["t"], True)
        self.assertEqual(row["nan"], "NaN")
        self.assertEqual(row["i"], "-Infinity")
        self.assertEqual(row["j"], {"a": [1, None]})
        self.assertEqual(row["b"], "\\xdead")
        self.assertEqual(row["d"], "2024-02-29")

    def test_check_read_only(self):
        """The server refuses to write, for this role."""
        self.run_ok("query", self.uri, "CREATE ROLE reader LOGIN")
        self.addCleanup(self.run_ok, "query", self.uri, "DROP ROLE reader")
        self.run_ok("query", self.uri, "ALTER ROLE reader SET default_transaction_read_only = on")
        reader = self.uri.replace("//dbpool@", "//reader@")
        self.assertNotEqual(reader, self.uri)
        self.check_degraded("read-only", "default_transaction_read_only", reader)
        option = "options=-c%20default_transaction_read_only%3Don"
        self.assertIn(" is healthy: ", self.run_ok("check", "--strict", f"{reader}&{option}"))

    def down(self, uri, *arguments):
        """check on what is not there: the same story in words and in JSON, no password in either."""
        run = self.run_failing("check", *arguments, uri)
        self.assertRegex(run.err, r"\Adbpool check: ")
        self.assertEqual(run.out, "")
        seconds = run.seconds
        run = self.run_failing("check", "--format=json", *arguments, uri)
        document = json.loads(run.out)
        self.assertEqual((document["status"], run.err), ("unhealthy", ""))
        return document, max(seconds, run.seconds)

    def test_wrong_password(self):
        parts = urlsplit(POSTGRES_TCP)
        wrong = POSTGRES_TCP.replace(f":{parts.password}@", f":{SECRET}@")
        self.assertNotEqual(wrong, POSTGRES_TCP)
        document, seconds = self.down(wrong)
        self.assertEqual(document["error"], "authentication")
        self.assertLess(seconds, 5)
        for command in (["query", wrong, "SELECT 1"], ["bench", wrong]):
            run = self.run_failing(*command)
            self.assertLess(run.seconds, 5)

    def test_right_password_is_not_shown(self):
        password = urlsplit(POSTGRES_TCP).password
        for form in "table", "json":
            out = self.run_ok("check", f"--format={form}", POSTGRES_TCP)
            self.assertNotIn(password, out)

    def test_unknown_database(self):
        document, seconds = self.down(POSTGRES_TCP.replace(urlsplit(POSTGRES_TCP).path, "/nosuch"))
        self.assertEqual(document["error"], "configuration")
        self.assertIn("nosuch", document["message"])

    def test_refused(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        document, seconds = self.down(f"postgresql://user:{SECRET}@127.0.0.1:{port}/db")
        self.assertEqual(document["error"], "connection")
        self.assertIn(str(port), document["message"])
        self.assertLess(seconds, 3)

    def test_silent(self):
        with silent_server() as port:
            uri = f"postgresql://user:{SECRET}@127.0.0.1:{port}/db"
            document, seconds = self.down(uri, "--timeout=1")
            self.assertEqual(document["error"], "timeout")
            self.assertGreaterEqual(seconds, 0.9)
            self.assertLess(seconds, 3)
            run = self.run_failing("query", "--timeout=1", uri, "SELECT 1")
            self.assertLess(run.seconds, 3)

    def libpq_environment(self, uri=POSTGRES_TCP):
        """What psql would be told of the database."""
        parts = urlsplit(uri)
        return {
            "DATABASE_URL": "",
            "PGHOST": parts.hostname,
            "PGPORT": str(parts.port),
            "PGUSER": parts.username,
            "PGPASSWORD": parts.password,
            "PGDATABASE": parts.path[1:],
        }

    def test_libpq_environment(self):
        environment = self.libpq_environment()
        out = self.run_ok("check", **environment)
        self.assertIn(environment["PGHOST"], out)
        out = self.run_ok("query", "-", "SELECT current_user", "-f", "csv", **environment)
        self.assertEqual(out.split()[1], environment["PGUSER"])
        out = self.run_ok("bench", "--seconds=0.3", "-f", "json", "-m", "select", **environment)
        self.assertEqual(json.loads(out)["errors"], 0)
        run = self.run_failing("check", **{**environment, "PGPASSWORD": SECRET})
        self.assertIn("password", run.err)
        run = self.run_failing("check", **{**environment, "PGDATABASE": "nosuch"})
        self.assertIn("nosuch", run.err)
        # The URI comes first, and then nothing is taken from there.
        run = self.run_failing("check", **{**environment, "DATABASE_URL": "sqlite:/nonexistent/x"})
        self.assertIn("/nonexistent", run.err)

    def command_line(self, uri):
        """What other users see of the command while its statement runs."""
        sql = f"SELECT pg_sleep(60) /* {uuid.uuid4()} */"
        activity = f"FROM pg_stat_activity WHERE query = '{sql}'"
        process = subprocess.Popen(
            [TOOL, "query", uri, sql], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            count = f"SELECT count(*) AS n {activity} AND state = 'active'"
            while self.run_ok("query", "-f", "csv", POSTGRES, count) == "n\n0\n":
                self.assertIsNone(process.poll(), process.stderr)
            line = Path(f"/proc/{process.pid}/cmdline").read_text()
            self.assertIn(sql, line)
            return line
        finally:
            self.run_ok("query", POSTGRES, f"SELECT pg_terminate_backend(pid) {activity}")
            process.kill()
            process.communicate()

    def test_password_leaves_the_command_line(self):
        parts = urlsplit(POSTGRES_TCP)
        password = parts.password
        place = f"{parts.hostname}:{parts.port}{parts.path}"
        escaped = "".join(f"%{ord(letter):02x}" for letter in password)
        for uri in (
            f"postgresql://{parts.username}:{password}@{place}",
            f"postgresql://{parts.username}:{escaped}@{place}",
            f"postgresql://{parts.username}@{place}?password={password}",
            f"postgresql://{place}?user={parts.username}&p%61ssword={escaped}",
            f"postgresql://{parts.username}:{password}@{place}?sslpassword={SECRET}&"
            "application_name=x",
        ):
            with self.subTest(uri=uri):
                line = self.command_line(uri)
                self.assertIn("postgresql://", line)
                for secret in (password, escaped, SECRET):
                    self.assertNotIn(secret, line)

    def test_bad_password_leaves_the_command_line(self):
        """Also where the URI is no good because of what the password has in it."""
        for uri in (
            f"postgresql://user:at@{SECRET}@127.0.0.1:%d/db",
            f"postgresql://user:{SECRET}@127.0.0.1:%d/db?sslmode=disable&password={SECRET}",
        ):
            with self.subTest(uri=uri), socket.create_server(("127.0.0.1", 0)) as server:
                port = server.getsockname()[1]
                process = subprocess.Popen(
                    [TOOL, "check", "--timeout=30", uri % port],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                try:
                    server.settimeout(0.1)
                    while process.poll() is None:
                        try:
                            server.accept()
                            break
                        except TimeoutError:
                            pass
                    if process.poll() is None:
                        line = Path(f"/proc/{process.pid}/cmdline").read_text()
                        self.assertIn("postgresql://user:", line)
                        self.assertNotIn(SECRET, line)
                finally:
                    process.kill()
                    process.wait()

    def test_errors_have_no_secret(self):
        parts = urlsplit(POSTGRES_TCP)
        place = f"{parts.hostname}:{parts.port}{parts.path}"
        for uri in (
            f"postgresql://{parts.username}:{SECRET}@{place}",
            f"postgresql://{parts.username}@{place}?password={SECRET}",
            f"postgresql://{place}?user={parts.username}&p%61ssword={SECRET}",
            f"postgresql://{parts.username}:{SECRET}@{place}?sslpassword={SECRET}&nonsense=1",
            f"postgresql://{parts.username}:x@{SECRET}@{place}",
            f"postgresql://{parts.username}:{SECRET}/x@{place}",
            f"host={parts.hostname} password={SECRET}",
        ):
            for command in (
                ["check", uri],
                ["check", "--format=json", uri],
                ["query", uri, "SELECT 1"],
                ["query", "--format=json", uri, "SELECT 1"],
                ["bench", uri],
                ["bench", "--format=json", uri],
            ):
                with self.subTest(command=command):
                    self.run_failing(*command)
                    at = command.index(uri)
                    if command[0] == "query":
                        command[at] = "-"
                    else:
                        del command[at]
                    self.run_failing(*command, DATABASE_URL=uri)


class TapResult(unittest.TestResult):
    """Prints one line of TAP for each test."""

    n = 0

    def report(self, ok, test, detail="", note=""):
        self.n += 1
        print(f"{'ok' if ok else 'not ok'} {self.n} {test.id().split('.', 1)[-1]}{note}", flush=True)
        for line in detail.splitlines():
            print(f"# {line}", flush=True)

    def startTest(self, test):
        super().startTest(test)
        self.subtests = ""

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.subtests += f"{subtest}\n{self._exc_info_to_string(error, test)}"

    def stopTest(self, test):
        if self.subtests:
            self.report(False, test, self.subtests)

    def addSuccess(self, test):
        self.report(True, test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.report(False, test, self._exc_info_to_string(error, test))

    def addError(self, test, error):
        super().addError(test, error)
        self.report(False, test, self._exc_info_to_string(error, test))

    def addSkip(self, test, reason):
        self.report(True, test, note=f" # SKIP {reason}")


def main():
    case = {"sqlite": TestSqlite, "postgres": TestPostgres}[sys.argv[2]]
    if case is TestPostgres and not POSTGRES:
        print("1..0 # SKIP there is no PostgreSQL")
        return 0
    only = sys.argv[3:]
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    tests = [test for test in suite if not only or test.id().split(".")[-1] in only]
    print(f"1..{len(tests)}", flush=True)
    result = TapResult()
    unittest.TestSuite(tests).run(result)
    return 0 if result.wasSuccessful() else 1


sys.exit(main())
