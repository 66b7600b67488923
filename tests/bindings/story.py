# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""What the Python tests share: a pool on the database that the command line names, and TAP."""

import os
import shutil
import sys
import tempfile
import unittest

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db, GLib

BACKEND = sys.argv[1] if len(sys.argv) > 1 else "sqlite"


class Story(unittest.TestCase):
    max_connections = 2

    def setUp(self):
        self.folder = None
        if BACKEND == "postgres":
            uri = os.environ["DBPOOL_TEST_POSTGRES_URI"]
        else:
            self.folder = tempfile.mkdtemp(prefix="dbpool-python-")
            uri = f"sqlite:{self.folder}/test.db"
        self.uri = uri
        config = Db.PoolConfig(max_connections=self.max_connections)
        self.pool = Db.PoolFactory().create_pool(uri, config, None)
        self.pool.execute("DROP TABLE IF EXISTS dbpool_python")
        self.pool.execute("CREATE TABLE dbpool_python (id bigint PRIMARY KEY, name text)")

    def tearDown(self):
        if not self.pool.is_closed():
            self.pool.execute("DROP TABLE IF EXISTS dbpool_python")
            self.pool.close()
        if self.folder:
            shutil.rmtree(self.folder)

    def assertError(self, code, function, *args, **kwargs):
        with self.assertRaises(GLib.Error) as caught:
            function(*args, **kwargs)
        self.assertTrue(
            caught.exception.matches(Db.error_quark(), code), repr(caught.exception)
        )
        return caught.exception

    def fill(self, n):
        with self.pool.acquire() as conn, conn.transaction():
            for i in range(n):
                conn.execute("INSERT INTO dbpool_python VALUES ($1, $2)", i, f"name {i}")

    def count(self):
        return self.pool.query("SELECT count(*) FROM dbpool_python")[0][0]

    def lent(self):
        return self.pool.get_stats().get_lent()


class TapResult(unittest.TestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.n = 0
        self.failed_parts = set()

    def _line(self, ok, test, note=""):
        self.n += 1
        print(f"{'ok' if ok else 'not ok'} {self.n} {test.id()}{note}", flush=True)

    def _explain(self, test, err):
        print("".join(f"# {line}\n" for line in self._exc_info_to_string(err, test).splitlines()), end="")

    def addSuccess(self, test):
        super().addSuccess(test)
        self._line(True, test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._explain(test, err)
            if test not in self.failed_parts:
                self.failed_parts.add(test)
                self._line(False, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._explain(test, err)
        self._line(False, test)

    def addError(self, test, err):
        super().addError(test, err)
        self._explain(test, err)
        self._line(False, test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line(True, test, f" # SKIP {reason}")


def main(module):
    """Runs the tests of a module; the status to exit with."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    print(f"1..{suite.countTestCases()}", flush=True)
    result = TapResult()
    suite.run(result)
    return 0 if result.wasSuccessful() else 1
