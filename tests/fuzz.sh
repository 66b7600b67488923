#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
#
# Looks for inputs that break dbpool, with libFuzzer (clang) and the sanitizers:
#
#   sh tests/fuzz.sh [SECONDS [NAME…]]
#
# runs each harness of tests/fuzz/ for so many seconds (60), in _build-fuzz/. What it finds on its
# way is kept there and built upon next time. An input that breaks something is named at the end:
# it goes into tests/fuzz/corpus/NAME/, where the tests replay it, with the repair.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=${DBPOOL_FUZZ_BUILD:-$root/_build-fuzz}
seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- uri statements values

if [ ! -e "$build/build.ninja" ]; then
  CC=clang meson setup "$build" "$root" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
    -Dbuildtype=debugoptimized -Dtool=false
fi
for name; do
  set -- "$@" "tests/fuzz/fuzz-$name"
  shift
done
ninja -C "$build" -j"${JOBS:-2}" "$@"

export G_SLICE=always-malloc G_DEBUG=fatal-warnings
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
failed=
for program; do
  name=${program#tests/fuzz/fuzz-}
  mkdir -p "$build/corpus/$name" "$build/found"
  # nothing that a harness may write lands in the sources
  (cd "$build/found" && "$build/$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
    -max_len=2048 -only_ascii=0 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="$build/found/$name-" "$build/corpus/$name" "$root/tests/fuzz/corpus/$name") ||
    failed="$failed $name"
done
[ -z "$failed" ] || {
  echo "broken:$failed; the inputs are in $build/found" >&2
  exit 1
}
