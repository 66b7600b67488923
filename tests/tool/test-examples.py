#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
"""Usage: test-examples.py SOURCE DBPOOL EXAMPLE...

Runs the examples (compiled ones and scripts) on SQLite and, where there is one, on PostgreSQL, and looks
whether the README shows them as they are. Prints TAP.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE, DBPOOL, EXAMPLES = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
POSTGRES = os.environ.get("DBPOOL_TEST_POSTGRES_URI")
TABLE = "pgbench_branches"
EXPECTED = {
    "hello": "answer",
    "read-table": "branch 1 has 0",
    "transfer": "money: intact",
    "watch-pool": "all 5 clients are done",
}

n_tests = n_failed = 0


def report(name, ok, detail=""):
    global n_tests, n_failed
    n_tests += 1
    n_failed += not ok
    print(f"{'ok' if ok else 'not ok'} {n_tests} {name}", flush=True)
    for line in detail.splitlines() if not ok else ():
        print(f"# {line}", flush=True)


def run(*command):
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)


def run_examples(uri):
    run(DBPOOL, "query", uri, f"DROP TABLE IF EXISTS {TABLE}")
    made = run(DBPOOL, "query", uri, f"CREATE TABLE {TABLE} AS SELECT 1 AS bid, 0 AS bbalance")
    report(f"table on {uri.split(':')[0]}", made.returncode == 0, made.stderr)
    for example in EXAMPLES:
        path = Path(example)
        interpreter = {".py": [sys.executable], ".js": ["gjs", "-m"]}.get(path.suffix, [])
        name = path.name.removeprefix("example-")
        seconds = ["1"] if name.startswith("transfer") else []
        done = run(*interpreter, example, uri, *seconds)
        ok = done.returncode == 0 and done.stderr == "" and EXPECTED[Path(name).stem] in done.stdout
        report(f"{name} on {uri.split(':')[0]}", ok, done.stdout + done.stderr)
    run(DBPOOL, "query", uri, f"DROP TABLE {TABLE}")


readme = (SOURCE / "README.md").read_text()
for name, start in ("hello.c", "#include"), ("hello.py", "import sys"):
    text = (SOURCE / "docs" / "examples" / name).read_text()
    report(f"{name} in README.md", text[text.index(start) :] in readme)

with tempfile.TemporaryDirectory() as folder:
    run_examples(f"sqlite:{folder}/examples.db")
if POSTGRES:
    run_examples(POSTGRES)
print(f"1..{n_tests}")
sys.exit(n_failed > 0)
