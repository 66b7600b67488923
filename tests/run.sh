#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
#
# Usage: sh tests/run.sh
#
# Installs what building and testing need, builds dbpool in _build, _build-tsan, _build-asan and
# _build-fuzz, and runs all tests with a PostgreSQL of their own, which is removed again. The last
# line of the output is "N passed, N failed", and the exit status says whether anything failed.
#
# These variables change what is done:
#   DBPOOL_BUILD        prefix of the build folders (the folder _build beside this one)
#   DBPOOL_TSAN_SUITES  suites that are run under ThreadSanitizer; empty: none, and nothing is built
#   DBPOOL_ASAN_SUITES  the same under AddressSanitizer and UndefinedBehaviorSanitizer
#   DBPOOL_MUTANTS      empty: does not try whether the tests catch sloppy variants of the code
#   DBPOOL_FUZZ         for how many seconds libFuzzer looks for configurations that break something
#                       (60); empty: not at all, and clang is not installed
#   DBPOOL_JOBS         how many tests run at a time (2)

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=${DBPOOL_BUILD:-$root/_build}
tsan_suites=${DBPOOL_TSAN_SUITES-core sqlite}
asan_suites=${DBPOOL_ASAN_SUITES-core sqlite postgres}
mutants=${DBPOOL_MUTANTS-quick}
fuzz=${DBPOOL_FUZZ-60}
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

# Looks for URIs, durations and key files that break something, beginning with the stored ones. In the
# background, on what the tests leave of the processors.
start_fuzzers() {
  (
    if DBPOOL_FUZZ_BUILD=$build-fuzz DBPOOL_FUZZ_ONCE=1 JOBS=$jobs \
      nice -n 19 sh "$root/tests/fuzz.sh" "$fuzz" uri key-file >"$build/fuzz.log" 2>&1; then
      result=OK
    else
      result=FAIL
    fi
    echo "{\"name\": \"fuzz\", \"result\": \"$result\"}" >"$1"
  ) &
  fuzzers=$!
}

end_fuzzers() {
  echo "== libFuzzer"
  wait "$fuzzers"
  cat "$build/fuzz.log"
}

# Fetches a Debian package into the current folder; the list of packages may be old or empty.
download() {
  as_root=
  [ "$(id -u)" -eq 0 ] || as_root=sudo
  apt-get download -q "$1" || { $as_root apt-get update -q && apt-get download -q "$1"; }
}

# Puts Prometheus and promtool on the path, unpacked beside the build folder: the package would
# install a service and start it. Without it the tests that need it are skipped, and say so.
fetch_prometheus() {
  if command -v prometheus >/dev/null && command -v promtool >/dev/null; then return; fi
  if [ ! -x "$1/usr/bin/promtool" ]; then
    echo "Unpacking prometheus in $1"
    rm -rf "$1"
    mkdir -p "$1"
    (cd "$1" && download prometheus && dpkg-deb -x prometheus_*.deb . &&
      rm prometheus_*.deb) >"$1/log" 2>&1 || cat "$1/log"
  fi
  PATH=$PATH:$1/usr/bin
}

# Adds up the results of all folders, of the installed library, the mutants and the fuzzers, and
# prints the last line.
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
  rm -f "$1" "$2" "$build/fuzz.json"
  if [ -n "$fuzz" ]; then
    start_fuzzers "$build/fuzz.json"
  fi
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
  if [ -n "$fuzz" ]; then
    set -- "$@" "$build/fuzz.json"
    end_fuzzers
  fi
  echo
  count "$@"
  exit
fi

sh "$root/docs/install-missing.sh" gcc libc6-dev meson ninja-build pkg-config \
  libglib2.0-dev libpq-dev libsqlite3-dev libgirepository1.0-dev gobject-introspection \
  valac gi-docgen python3 python3-gi gjs postgresql openssl patch \
  gir1.2-gtk-4.0 xvfb xauth gir1.2-soup-3.0 python3-prometheus-client
[ -z "$fuzz" ] || sh "$root/tests/fuzz.sh" --can 2>/dev/null ||
  sh "$root/docs/install-missing.sh" clang-14 libclang-rt-14-dev
fetch_prometheus "$build-prometheus"

setup "$build" -Dprefix="$prefix" -Dlibdir=lib -Dwerror=true -Dgtk_doc=true \
  -Dpostgres=enabled -Dsqlite=enabled -Dintrospection=enabled -Dvapi=enabled \
  -Dpy_overrides_dir=lib/python3/dist-packages/gi/overrides
compile "$build"
rm -rf "$prefix"
meson install -C "$build" --no-rebuild --quiet
if [ -n "$tsan_suites" ]; then
  setup "$build-tsan" -Db_sanitize=thread -Db_lundef=false -Dwerror=true -Doptimization=1
  compile "$build-tsan"
fi
if [ -n "$asan_suites" ]; then
  setup "$build-asan" -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=true -Doptimization=1
  compile "$build-asan"
fi

exec sh "$root/tests/with-postgres.sh" sh "$root/tests/run.sh" --run
