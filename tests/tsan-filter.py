#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Runs a test that was built with ThreadSanitizer, and fails if the sanitizer saw a race of ours.

ThreadSanitizer sees neither the locks nor the reference counts of libraries that are not instrumented, so
it reports what GLib does with its own memory as races. A suppression cannot tell that from a race in a
callback that GLib calls, because both have a frame of GLib's. Here a report is passed over only if one of
the two accesses was made by such a library itself: the first frame that is not the sanitizer's is the
library's.

Usage: meson test --wrapper tests/tsan-filter.py
"""

import glob
import os
import re
import subprocess
import sys
import tempfile

FOREIGN = re.compile(r"\((libglib|libgobject|libgio|libpq|libsqlite3)[-\d.]*\.so")
# Who drops the last reference to an object or a closure comes after all who had one.
OWN_FREE = re.compile(r"^\s+#\d+ (?:g_object_unref|g_type_free_instance|g_slice_free1|g_closure_unref)\b")


def stacks(report):
    """The stacks of the two accesses, each a list of frames, without those of the sanitizer."""
    for part in re.split(r"\n\s*\n", report):
        if re.search(r"^\s*(Previous |Atomic |Previous atomic )?(Write|Read|write|read) of size", part, re.M):
            frames = [line for line in part.splitlines() if re.match(r"\s+#\d+ ", line)]
            yield [frame for frame in frames if "(libtsan" not in frame]


def is_foreign(report):
    if "WARNING: ThreadSanitizer: data race" not in report:
        return False
    for frames in stacks(report):
        if not frames or FOREIGN.search(frames[0]) or any(map(OWN_FREE.match, frames)):
            return True
    return False


def main():
    with tempfile.TemporaryDirectory(prefix="dbpool-tsan-") as folder:
        options = os.environ.get("TSAN_OPTIONS", "")
        os.environ["TSAN_OPTIONS"] = f"{options} log_path={folder}/log exitcode=0 history_size=7 die_after_fork=0"
        status = subprocess.call(sys.argv[1:])
        found = 0
        for path in glob.glob(f"{folder}/log*"):
            with open(path, encoding="utf-8", errors="replace") as log:
                for report in log.read().split("==================\n"):
                    if "WARNING: ThreadSanitizer" in report and not is_foreign(report):
                        found += 1
                        print(report, file=sys.stderr)
    if found:
        print(f"ThreadSanitizer: {found} reports", file=sys.stderr)
    return status or (66 if found else 0)


if __name__ == "__main__":
    sys.exit(main())
