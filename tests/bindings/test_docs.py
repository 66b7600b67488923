# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Usage: test_docs.py PAGE...

Runs the Python in the pages of the reference, each page from top to bottom as one program, in a folder of
its own. A page may use the tables of PROLOGUE. Prints TAP.
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


def program(page):
    text = Path(page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if not blocks:
        raise ValueError(f"{page} has no Python")
    return PROLOGUE + "\n".join(blocks)


failed = 0
print(f"1..{len(sys.argv) - 1}")
for n, page in enumerate(sys.argv[1:], 1):
    with tempfile.TemporaryDirectory(prefix="dbpool-docs-") as folder:
        done = subprocess.run(
            [sys.executable, "-c", program(os.path.abspath(page))],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
    good = done.returncode == 0
    failed += not good
    if not good:
        print("".join(f"# {line}\n" for line in (done.stdout + done.stderr).splitlines()), end="")
    print(f"{'ok' if good else 'not ok'} {n} {os.path.basename(page)}", flush=True)
sys.exit(failed > 0)
