# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Usage: test_docs.py PAGE...

Runs the Python, or else the JavaScript, in the pages of the reference, each page from top to bottom as one
program, in a folder of its own. A page may use the tables of PROLOGUE. Prints TAP.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROLOGUE = """
import gi
gi.require_version("Db", "1.0")
from gi.repository import Db
with Db.PoolFactory().create_pool("sqlite:shop.db", None, None) as pool:
    pool.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT)")
del Db, gi, pool
"""


def blocks(page, language):
    text = Path(page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(page):
    """What is to be run for a page, one after the other."""
    python, js = blocks(page, "python"), blocks(page, "js")
    if python:
        return [[sys.executable, "-c", PROLOGUE + "\n".join(python)]]
    if js:
        Path("page.js").write_text("\n".join(js), encoding="utf-8")
        return [[sys.executable, "-c", PROLOGUE], ["gjs", "-m", "page.js"]]
    raise ValueError(f"{page} has no code")


def run(page):
    """Returns what went wrong, or None."""
    for command in commands(page):
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
        if done.returncode != 0 or "JS ERROR" in done.stderr:
            return done.stdout + done.stderr
    return None


failed = 0
print(f"1..{len(sys.argv) - 1}")
for n, page in enumerate(map(os.path.abspath, sys.argv[1:]), 1):
    with tempfile.TemporaryDirectory(prefix="dbpool-docs-") as folder:
        os.chdir(folder)
        problem = run(page)
        os.chdir("/")
    failed += problem is not None
    if problem is not None:
        print("".join(f"# {line}\n" for line in problem.splitlines()), end="")
    print(f"{'ok' if problem is None else 'not ok'} {n} {os.path.basename(page)}", flush=True)
sys.exit(failed > 0)
