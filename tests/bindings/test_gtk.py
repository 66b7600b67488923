# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Shows a result in a Gtk.ColumnView, by docs/examples/column-view.py, and reads the labels of the window.

Usage: xvfb-run test_gtk.py column-view.py. Exits with 77 ("skipped") where GTK 4 or a display is missing.
"""

import importlib.util
import sys
import time

import gi

try:
    gi.require_version("Gtk", "4.0")
except ValueError as e:
    print(f"1..0 # SKIP {e}")
    sys.exit(77)
gi.require_version("Db", "1.0")
from gi.repository import Db, GLib, Gtk

PATIENCE = 30  # seconds


def load(path):
    sys.argv = [path]
    spec = importlib.util.spec_from_file_location("column_view", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def labels(widget):
    if isinstance(widget, Gtk.Label):
        yield widget.get_label()
    child = widget.get_first_child()
    while child is not None:
        yield from labels(child)
        child = child.get_next_sibling()


def wait_for(window, texts):
    deadline = time.monotonic() + PATIENCE
    while not texts <= set(labels(window)):
        if time.monotonic() > deadline:
            raise AssertionError(f"{texts - set(labels(window))} is not shown")
        GLib.MainContext.default().iteration(True)


def main():
    if not Gtk.init_check():
        print("1..0 # SKIP there is no display")
        return 77
    GLib.timeout_add(50, lambda: GLib.SOURCE_CONTINUE)  # so that an iteration always comes back
    example = load(sys.argv[1])
    with Db.PoolFactory().create_pool("sqlite::memory:", None, None) as pool:
        pool.execute("CREATE TABLE item (id INTEGER, name TEXT)")
        pool.execute_many("INSERT INTO item VALUES ($1, $2)", [(i, f"item {i}") for i in range(10000)])
        result = pool.query("SELECT id, name, NULL AS missing FROM item ORDER BY id")
    window = Gtk.Window(default_width=400, default_height=300)
    window.set_child(Gtk.ScrolledWindow(child=example.make_view(result)))
    window.present()
    wait_for(window, {"id", "name", "missing", "0", "item 0", "item 1", "item 2", ""})
    # Only the rows in sight have become objects.
    assert "item 9999" not in set(labels(window))
    print("1..1\nok 1 result in a Gtk.ColumnView")
    return 0


sys.exit(main())
