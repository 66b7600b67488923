#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
#
# Usage: sh docs/quickstart.sh
#
# Installs what is missing, builds dbpool into the folder _build-quickstart (or $BUILDDIR), and runs the
# main job on an SQLite file in there: 8 clients share 4 connections for 10 seconds, first from the
# dbpool command, then from Python. Touches nothing else, and can be run as often as you like.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILDDIR:-$root/_build-quickstart}
seconds=${QUICKSTART_SECONDS:-10}

sh "$root/docs/install-missing.sh" gcc libc6-dev meson ninja-build pkg-config \
  libglib2.0-dev libpq-dev libsqlite3-dev libgirepository1.0-dev gobject-introspection \
  python3 python3-gi

echo "== Building dbpool in $build"
mkdir -p "$build"
log=$build/quickstart.log
{
  [ -f "$build/build.ninja" ] ||
    meson setup "$build" "$root" -Dtests=false -Dvapi=disabled -Dintrospection=enabled
  ninja -C "$build"
} >"$log" 2>&1 || {
  cat "$log" >&2
  exit 1
}

rm -f "$build/quickstart.db" "$build/quickstart.db-wal" "$build/quickstart.db-shm"

echo
echo "== dbpool bench"
"$build/dbpool/tool/dbpool" bench --clients=8 --pool=4 --seconds="$seconds" \
  "sqlite:$build/quickstart.db"

echo
echo "== The same from Python"
GI_TYPELIB_PATH=$build/dbpool${GI_TYPELIB_PATH:+:$GI_TYPELIB_PATH} \
LD_LIBRARY_PATH=$build/dbpool${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} \
PYTHONPATH=$build/dbpool/overrides/python${PYTHONPATH:+:$PYTHONPATH} \
PYTHONDONTWRITEBYTECODE=1 \
  /usr/bin/python3 "$root/docs/examples/transfer.py" "sqlite:$build/quickstart.db" "$seconds"
