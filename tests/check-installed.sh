#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
#
# Usage: check-installed.sh PREFIX SOURCE
#
# Uses dbpool as it was installed into PREFIX: compiles the examples in C and Vala with nothing
# but "pkg-config dbpool" and runs them and those in Python and JavaScript, on SQLite and, where
# DBPOOL_TEST_POSTGRES_URI says so, on a table of pgbench. Writes PREFIX/testlog.json, which looks like
# that of meson, one line for each example and database.

set -u

prefix=$1
source=$2
log=$prefix/testlog.json
work=$prefix/check
failed=0

export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
export LD_LIBRARY_PATH="$prefix/lib"
export GI_TYPELIB_PATH="$prefix/lib/girepository-1.0"
export PYTHONDONTWRITEBYTECODE=1
# the override is looked for beside gi; a package path of its own makes the one in PREFIX found
export PYTHONPATH="$prefix/lib/python3/dist-packages"
export GJS_PATH="$prefix/share/gjs-1.0"

rm -rf "$work"
mkdir -p "$work"
: >"$log"

# try TITLE COMMAND...: runs it, and writes down what came of it.
try() {
  title=$1
  shift
  if "$@" >"$work/output" 2>&1; then
    result=OK
  else
    result=FAIL
    failed=1
  fi
  printf '%-44s %s\n' "installed: $title" "$result"
  [ "$result" = OK ] || sed 's/^/    /' "$work/output"
  printf '{"name": "installed: %s", "result": "%s"}\n' "$title" "$result" >>"$log"
}

# run_everywhere TITLE COMMAND...: tries it with the URI of each database.
run_everywhere() {
  program=$1
  shift
  for uri in $databases; do
    try "$program on ${uri%%:*}" "$@" "$uri"
  done
}

# shellcheck disable=SC2317 # called through try
compile() {
  # shellcheck disable=SC2046 # words on purpose
  cc -Wall -Wextra -Wno-unused-parameter -Werror -o "$work/$1" "$source/docs/examples/$1.c" \
    $(pkg-config --cflags --libs dbpool)
}

# Gives both databases the table that the examples read.
sqlite=sqlite:$work/check.db
dbpool=$prefix/bin/dbpool
try "fill an SQLite table" "$dbpool" query "$sqlite" \
  "CREATE TABLE pgbench_branches AS SELECT 1 AS bid, 0 AS bbalance"
databases=$sqlite
if [ -n "${DBPOOL_TEST_POSTGRES_URI:-}" ]; then
  databases="$databases $DBPOOL_TEST_POSTGRES_URI"
  try "pgbench -i" "$DBPOOL_TEST_POSTGRES_BINDIR/pgbench" -i -q "$DBPOOL_TEST_POSTGRES_URI"
fi

for path in "$source"/docs/examples/*.c; do
  name=$(basename "$path" .c)
  try "compile $name.c" compile "$name"
  run_everywhere "$name.c" "$work/$name"
done
for path in "$source"/docs/examples/hello.py "$source"/docs/examples/read-*.py; do
  run_everywhere "$(basename "$path")" /usr/bin/python3 "$path"
done
if command -v gjs >/dev/null; then
  run_everywhere hello.js gjs -m "$source/docs/examples/hello.js"
fi
if command -v valac >/dev/null; then
  try "compile hello.vala" valac --vapidir "$prefix/share/vala/vapi" --pkg dbpool -X -w \
    -o "$work/hello-vala" "$source/docs/examples/hello.vala"
  run_everywhere hello.vala "$work/hello-vala"
fi

exit $failed
