# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""The log as Python programs have it: a writer of their own, and the standard error output.

test_logging.py sqlite. Prints TAP."""

import os
import subprocess
import sys
import tempfile
import threading
import unittest

import gi

gi.require_version("Db", "1.0")
from gi.repository import Db, GLib
from story import Story, main

SHOP = """
import gi
gi.require_version("Db", "1.0")
from gi.repository import Db
config = Db.PoolConfig(name="shop", slow_query_threshold=THRESHOLD, init_sql="SELECT 'SECRET'")
with Db.PoolFactory().create_pool("sqlite::memory:", config, None) as pool:
    pool.query("SELECT 'LITERAL', $1", "VALUE")
"""

captured = None


def writer(level, fields, n_fields, data):
    if captured is None:
        return GLib.log_writer_default(level, fields, data)
    captured.append((level, GLib.log_writer_format_fields(level, fields, False), threading.get_ident()))
    return GLib.LogWriterOutput.HANDLED


GLib.log_set_writer_func(writer, None)


def run(threshold=0, **environment):
    """The standard error output of a program."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("DBPOOL_DEBUG", "G_MESSAGES_DEBUG")}
    done = subprocess.run(
        [sys.executable, "-c", SHOP.replace("THRESHOLD", str(threshold))],
        env={**inherited, "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    return done.stderr


class Logging(Story):
    def test_quiet(self):
        self.assertEqual(run(), "")

    def test_slow(self):
        text = run(threshold=1)
        self.assertIn("“SELECT ?, $1”", text)
        self.assertIn("slow-query-threshold", text)
        self.assertNotIn("LITERAL", text)

    def test_words(self):
        text = run(DBPOOL_DEBUG="pool,sql")
        self.assertIn("pool shop: session 1 is open", text)
        self.assertIn("“SELECT ?, $1”", text)
        for hidden in ("LITERAL", "VALUE", "SECRET"):
            self.assertNotIn(hidden, text)

    def test_values(self):
        text = run(DBPOOL_DEBUG="sql-values")
        self.assertIn("“SELECT 'LITERAL', $1” with “VALUE”", text)
        self.assertNotIn("SECRET", text)

    def test_writer(self):
        """Python code sees the lines, on the thread of whoever caused them."""
        global captured
        with tempfile.TemporaryDirectory() as folder:
            config = Db.PoolConfig(name="written", slow_query_threshold=1)
            with Db.PoolFactory().create_pool(f"sqlite:{folder}/shop.db", config, None) as pool:
                captured = []
                pool.query("SELECT 'LITERAL'")
                lines, captured = captured, None
        slow = [line for line in lines if "slow-query-threshold" in line[1]]
        self.assertEqual(len(slow), 1, lines)
        self.assertEqual(slow[0][0], GLib.LogLevelFlags.LEVEL_MESSAGE)
        self.assertIn("pool written", slow[0][1])
        self.assertIn("“SELECT ?”", slow[0][1])
        self.assertEqual(slow[0][2], threading.get_ident())


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
