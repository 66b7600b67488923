#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
"""Usage: test-keyring.py SOURCE

Runs docs/examples/keyring.py with a keyring of its own: gnome-keyring-daemon on a bus of its own, with the
password in it, with a wrong one, and without any. Prints TAP.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from urllib.parse import urlsplit

SOURCE = sys.argv[1]
EXAMPLE = f"{SOURCE}/docs/examples/keyring.py"
URI = os.environ.get("DBPOOL_TEST_POSTGRES_TCP_URI")
WRONG = "sw0rdf1sh"


def skip(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit()


def on_own_bus():
    """Runs this program again, on a bus and with a home of its own."""
    for tool in "dbus-run-session", "gnome-keyring-daemon":
        if shutil.which(tool) is None:
            skip(f"{tool} is not installed")
    try:
        import gi

        gi.require_version("Secret", "1")
    except (ImportError, ValueError):
        skip("gir1.2-secret-1 is not installed")
    if URI is None:
        skip("there is no PostgreSQL with a password")
    with tempfile.TemporaryDirectory() as home:
        names = "HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"
        env = {**os.environ, **dict.fromkeys(names, home), "OWN_BUS": "1"}
        command = ["dbus-run-session", "--", sys.executable, *sys.argv]
        sys.exit(subprocess.run(command, env=env, timeout=120).returncode)


def main():
    daemon = subprocess.Popen(
        ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    daemon.stdin.write(b"unlock")
    daemon.stdin.close()
    try:
        run_tests()
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def run_tests():
    import gi

    gi.require_version("Secret", "1")
    from gi.repository import Gio, GLib, Secret

    # The daemon is there when its name is.
    loop = GLib.MainLoop()
    Gio.bus_watch_name(
        Gio.BusType.SESSION,
        "org.freedesktop.secrets",
        Gio.BusNameWatcherFlags.NONE,
        lambda *args: loop.quit(),
        None,
    )
    GLib.timeout_add_seconds(60, lambda: sys.exit("the keyring does not come"))
    loop.run()

    parts = urlsplit(URI)
    which = {"database": parts.path[1:], "user": parts.username}
    uri = f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}"
    schema = Secret.Schema.new(
        "org.example.Test", Secret.SchemaFlags.NONE, dict.fromkeys(which, Secret.SchemaAttributeType.STRING)
    )

    def run():
        return subprocess.run([sys.executable, EXAMPLE, uri], capture_output=True, text=True, timeout=60)

    def store(password):
        Secret.password_store_sync(schema, which, Secret.COLLECTION_SESSION, "test", password, None)

    def report(n, name, ok, done):
        print(f"{'ok' if ok else 'not ok'} {n} {name}")
        for line in () if ok else (done.stdout + done.stderr).splitlines():
            print("#", line)

    print("1..3")
    done = run()
    report(1, "none", done.returncode == 1 and "the keyring has no password" in done.stderr, done)
    store(WRONG)
    done = run()
    ok = done.returncode == 1 and "authentication" in done.stderr and WRONG not in done.stderr
    report(2, "wrong", ok, done)
    store(parts.password)
    done = run()
    report(3, "right", (done.returncode, done.stdout) == (0, f"logged in as {parts.username}\n"), done)


if os.environ.get("OWN_BUS"):
    main()
else:
    on_own_bus()
