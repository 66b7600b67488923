#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
#
# Looks for inputs that break dbpool, with libFuzzer (clang) and the sanitizers:
#
#   sh tests/fuzz.sh [SECONDS [NAME…]]
#   sh tests/fuzz.sh --can                fails where it cannot
#
# runs each harness of tests/fuzz/ (or these) for so many seconds (60), two at a time, in
# _build-fuzz/. It begins with the stored corpus; what it finds on its way is kept in the build
# folder and built upon next time. An input that breaks something is shown, with what it broke: it
# goes into tests/fuzz/corpus/NAME/, where the tests replay it, with the repair.
#
#   DBPOOL_FUZZ_BUILD  the build folder
#   DBPOOL_FUZZ_ONCE   set: keeps nothing, so that each run begins with the stored corpus alone
#   JOBS               how many run at a time (2)
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=${DBPOOL_FUZZ_BUILD:-$root/_build-fuzz}
jobs=${JOBS:-2}

# Prints the name of a clang that has libFuzzer.
find_clang() {
  for clang in clang clang-14; do
    if command -v "$clang" >/dev/null &&
      echo 'int LLVMFuzzerTestOneInput (const char *data, long n) { return 0; }' |
      "$clang" -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null; then
      echo "$clang"
      return 0
    fi
  done
  echo "clang with libFuzzer is missing (on Debian 12: clang-14 and libclang-rt-14-dev)" >&2
  return 1
}

# fuzz_one SECONDS NAME: runs one harness, and shows what it broke. What it says goes to a file.
fuzz_one() {
  seconds=$1
  name=$2
  log=$build/found/$name.log
  kept=$build/corpus/$name
  [ -z "${DBPOOL_FUZZ_ONCE:-}" ] || rm -rf "$kept" "$build/found/$name-"*
  mkdir -p "$kept" "$build/found"
  cd "$build/found" # nothing that a harness may write lands in the sources
  if "$build/tests/fuzz/fuzz-$name" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=1024 \
    -max_len=2048 -only_ascii=0 -print_final_stats=1 -artifact_prefix="$build/found/$name-" \
    "$kept" "$root/tests/fuzz/corpus/$name" >"$log" 2>&1; then
    tries=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    set -- "$root/tests/fuzz/corpus/$name"/*
    echo "fuzz-$name: tried ${tries:-0} inputs in $seconds seconds, beginning with $#"
    return 0
  fi
  grep -v -E '^#[0-9]+[[:space:]]' "$log" | tail -n 60
  for input in "$build/found/$name-"*; do
    [ -f "$input" ] || continue
    echo "fuzz-$name is broken by $input:"
    od -A d -t x1z "$input" | head -n 40
  done
  return 1
}

case ${1:-} in
  --one)
    fuzz_one "$2" "$3"
    exit
    ;;
  --can)
    find_clang >/dev/null
    exit
    ;;
esac

seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- uri key-file statements values

if [ ! -e "$build/build.ninja" ]; then
  clang=$(find_clang)
  CC=$clang meson setup "$build" "$root" -Dfuzz=true -Db_sanitize=address,undefined \
    -Db_lundef=false -Doptimization=0 -Dtool=false >/dev/null
fi
# shellcheck disable=SC2046 # a list of words
if ! ninja -C "$build" -j"$jobs" $(printf 'tests/fuzz/fuzz-%s ' "$@") >"$build/build.log" 2>&1; then
  cat "$build/build.log" >&2
  exit 1
fi

export G_SLICE=always-malloc G_DEBUG=fatal-warnings
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
if ! printf '%s\n' "$@" | xargs -n 1 -P "$jobs" sh "$root/tests/fuzz.sh" --one "$seconds"; then
  echo "what is broken is in $build/found" >&2
  exit 1
fi
