#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors

"""Usage: column-view.py [URI [SQL]]

Shows the result of a query in a Gtk.ColumnView: a result is a Gio.ListModel of rows, so that is all
there is to do.
"""

import sys

import gi

gi.require_version("Db", "1.0")
gi.require_version("Gtk", "4.0")
from gi.repository import Db, Gtk

URI = sys.argv[1] if len(sys.argv) > 1 else "sqlite::memory:"
SQL = sys.argv[2] if len(sys.argv) > 2 else "SELECT 6 * 7 AS answer, 'a text' AS text"


def make_view(result):
    view = Gtk.ColumnView(model=Gtk.NoSelection(model=result))
    for position, name in enumerate(result.get_column_names()):
        factory = Gtk.SignalListItemFactory()
        factory.connect("setup", lambda _, item: item.set_child(Gtk.Label(xalign=0)))
        factory.connect("bind", lambda _, item, column: item.get_child().set_label(
            item.get_item().get_text(column) or ""), position)
        view.append_column(Gtk.ColumnViewColumn(title=name, factory=factory, resizable=True))
    return view


def activate(app):
    with Db.PoolFactory().create_pool(URI, None, None) as pool:
        view = make_view(pool.query(SQL))
    window = Gtk.ApplicationWindow(application=app, title=SQL, default_width=640, default_height=400)
    window.set_child(Gtk.ScrolledWindow(child=view))
    window.present()


if __name__ == "__main__":
    app = Gtk.Application(application_id="org.example.ColumnView")
    app.connect("activate", activate)
    sys.exit(app.run())
