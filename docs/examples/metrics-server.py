#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
"""Usage: metrics-server.py [URI [PORT]]

A program with a pool, and /metrics for Prometheus, both in one main loop. Needs libsoup 3 (on Debian:
gir1.2-soup-3.0). Without a port, any free one is taken; the address is printed.
"""

import signal
import sys

import gi

gi.require_version("Db", "1.0")
gi.require_version("Soup", "3.0")
from gi.repository import Db, GLib, Soup


def on_metrics(server, message, path, query, pool):
    if message.get_method() not in ("GET", "HEAD"):
        message.set_status(Soup.Status.METHOD_NOT_ALLOWED, None)
        return
    metrics = pool.get_metrics()
    accepted = message.get_request_headers().get_list("Accept") or ""
    if "application/openmetrics-text" in accepted:
        kind, text = Db.METRICS_CONTENT_TYPE_OPENMETRICS, metrics.to_openmetrics()
    else:
        kind, text = Db.METRICS_CONTENT_TYPE_PROMETHEUS, metrics.to_prometheus()
    message.set_status(Soup.Status.OK, None)
    message.set_response(kind, Soup.MemoryUse.COPY, text.encode())


def do_some_work(pool):
    """What the program is for."""

    def done(pool, result):
        try:
            pool.query_finish(result)
        except GLib.Error as error:
            print(error.message, file=sys.stderr)

    pool.query_async("SELECT 6 * 7", None, None, done)
    return GLib.SOURCE_CONTINUE


def main(uri="sqlite:metrics-server.db", port="0"):
    loop = GLib.MainLoop()
    config = Db.PoolConfig(name="shop", max_connections=4)
    with Db.PoolFactory().create_pool(uri, config, None) as pool:
        server = Soup.Server()
        server.add_handler("/metrics", on_metrics, pool)
        server.listen_local(int(port), Soup.ServerListenOptions.IPV4_ONLY)
        print(f"{server.get_uris()[0].to_string()}metrics", flush=True)

        GLib.timeout_add(100, do_some_work, pool)
        for number in (signal.SIGINT, signal.SIGTERM):
            GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
        loop.run()
        server.disconnect()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except GLib.Error as error:
        sys.exit(f"metrics-server.py: {error.message}")
