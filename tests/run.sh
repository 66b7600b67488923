#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
#
# Usage: sh tests/run.sh
#
# Installs what building and testing need, builds dbpool in _build, _build-tsan and _build-asan, and
# runs all tests with a PostgreSQL of their own, which is removed again. The last line of the output is
# "N passed, N failed", and the exit status says whether anything failed.
#
# These variables change what is done:
#   DBPOOL_BUILD        prefix of the build folders (the folder _build beside this one)
#   DBPOOL_TSAN_SUITES  suites that are run under ThreadSanitizer; empty: none, and nothing is built
#   DBPOOL_ASAN_SUITES  the same under AddressSanitizer and UndefinedBehaviorSanitizer
#   DBPOOL_MUTANTS      empty: does not try whether the tests catch sloppy variants of the code
#   DBPOOL_JOBS         how many tests run at a time (2)

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=${DBPOOL_BUILD:-$root/_build}
tsan_suites=${DBPOOL_TSAN_SUITES-core sqlite}
asan_suites=${DBPOOL_ASAN_SUITES-core sqlite postgres}
mutants=${DBPOOL_MUTANTS-quick}
jobs=${DBPOOL_JOBS:-2}
prefix=$build/prefix

# Sets up a build folder, or brings one up to date.
# setup FOLDER OPTION...
setup() {
  folder=$1
  shift
  if [ -f "$folder/build.ninja" ]; then
    meson configure "$folder" "$@" >/dev/null
  else
    meson setup "$folder" "$root" "$@"
  fi
}

# Builds, and shows the compiler's words only when it fails.
compile() {
  echo "Building in $1"
  if ! ninja -C "$1" >"$1/build.log" 2>&1; then
    cat "$1/build.log"
    return 1
  fi
}

# run_suites FOLDER WRAPPER SUITE...: runs these suites (all without any), by the wrapper if there is one.
# What failed is counted later.
run_suites() {
  folder=$1
  wrapper=$2
  shift 2
  for suite in "$@"; do
    shift
    set -- "$@" --suite "$suite"
  done
  [ -z "$wrapper" ] || set -- --wrapper "$wrapper" "$@"
  meson test -C "$folder" --no-rebuild --num-processes "$jobs" --print-errorlogs "$@" || true
}

# Proves that the tests bite: five sloppy variants of the core, each of which has to be caught.
run_mutants() {
  echo "== Mutants"
  if sh "$root/tests/mutants.sh" --quick; then result=OK; else result=FAIL; fi
  echo "{\"name\": \"mutants\", \"result\": \"$result\"}" >"$1"
}

# Adds up the results of the three folders and of the installed library, prints the last line.
count() {
  /usr/bin/python3 - "$@" <<'END'
import collections, json, os, sys

results = collections.Counter()
for path in sys.argv[1:]:
    if not os.path.exists(path):
        print(f"{path} is missing", file=sys.stderr)
        results["failed"] += 1
        continue
    for line in open(path, encoding="utf-8"):
        result = json.loads(line)["result"]
        good = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}
        results[good.get(result, "failed")] += 1
skipped = f", {results['skipped']} skipped" if results["skipped"] else ""
print(f"{results['passed']} passed, {results['failed']} failed{skipped}")
sys.exit(results["failed"] > 0 or results["passed"] == 0)
END
}

# The second half: this script calls itself beside a PostgreSQL.
if [ "${1:-}" = --run ]; then
  set -- "$build/meson-logs/testlog.json" "$prefix/testlog.json"
  rm -f "$1" "$2"
  run_suites "$build" ""
  sh "$root/tests/check-installed.sh" "$prefix" "$root" || true
  if [ -n "$tsan_suites" ]; then
    echo "== ThreadSanitizer"
    set -- "$@" "$build-tsan/meson-logs/testlog-tsan-filter.py.json"
    rm -f "$3"
    # shellcheck disable=SC2086 # a list of words
    run_suites "$build-tsan" "$root/tests/tsan-filter.py" $tsan_suites
  fi
  if [ -n "$asan_suites" ]; then
    echo "== AddressSanitizer, UndefinedBehaviorSanitizer"
    set -- "$@" "$build-asan/meson-logs/testlog.json"
    rm -f "$build-asan/meson-logs/testlog.json"
    # shellcheck disable=SC2086
    run_suites "$build-asan" "" $asan_suites
  fi
  if [ -n "$mutants" ]; then
    set -- "$@" "$build/mutants.json"
    run_mutants "$build/mutants.json"
  fi
  echo
  count "$@"
  exit
fi

sh "$root/docs/install-missing.sh" gcc libc6-dev meson ninja-build pkg-config \
  libglib2.0-dev libpq-dev libsqlite3-dev libgirepository1.0-dev gobject-introspection \
  valac gi-docgen python3 python3-gi gjs postgresql patch \
  gir1.2-gtk-4.0 xvfb xauth gir1.2-soup-3.0 python3-prometheus-client

setup "$build" -Dprefix="$prefix" -Dlibdir=lib -Dwerror=true -Dgtk_doc=true \
  -Dpostgres=enabled -Dsqlite=enabled -Dintrospection=enabled -Dvapi=enabled \
  -Dpy_overrides_dir=lib/python3/dist-packages/gi/overrides
compile "$build"
rm -rf "$prefix"
meson install -C "$build" --no-rebuild --quiet
if [ -n "$tsan_suites" ]; then
  setup "$build-tsan" -Db_sanitize=thread -Db_lundef=false -Dwerror=true
  compile "$build-tsan"
fi
if [ -n "$asan_suites" ]; then
  setup "$build-asan" -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=true
  compile "$build-asan"
fi

exec sh "$root/tests/with-postgres.sh" sh "$root/tests/run.sh" --run
