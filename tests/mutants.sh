#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: 2026 The dbpool authors
#
# Usage: sh tests/mutants.sh [--quick] [NUMBER...]
#
# Does the suite bite? Each patch in tests/mutants/ makes dbpool sloppy in one way. They are applied one
# after the other to a copy of this tree, which is built, and the test that should notice is run. Prints
# a table; fails if a mutant survives, does not apply or does not compile.
#
# --quick does the five that are marked so, with few seeds. A patch begins with these lines:
#   Mutant: what is sloppy
#   Test: program in the build folder, and its arguments (with "postgres" before it: it needs a server)
#   Quick: yes

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
quick=
wanted=
for argument in "$@"; do
  case $argument in
    --quick) quick=yes ;;
    [0-9]*) wanted="$wanted $argument" ;;
    *) sed -n 's/^# \{0,1\}//; 5,11p' "$0"; exit 2 ;;
  esac
done

if [ -t 1 ]; then
  good=$(printf '\033[32m') bad=$(printf '\033[31m') plain=$(printf '\033[0m')
else
  good='' bad='' plain=''
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/dbpool-mutants.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
tree=$work/tree
build=$work/build
log=$work/log

# Progress, for people only.
say() {
  [ ! -t 2 ] || printf '%s\n' "$*" >&2
}

# field PATCH NAME
field() {
  sed -n "s/^$2: //p; /^---/q" "$1"
}

# chosen PATCH: whether it is to be done
chosen() {
  name=$(basename "$1")
  [ -z "$quick" ] || [ -n "$(field "$1" Quick)" ] || return 1
  [ -n "$wanted" ] || return 0
  for number in $wanted; do
    case $name in
      "$number"-* | 0"$number"-*) return 0 ;;
    esac
  done
  return 1
}

# target PATCH: what has to be built for its test
target() {
  # shellcheck disable=SC2046 # a list of words
  set -- $(field "$1" Test)
  [ "$1" != postgres ] || shift
  echo "$1"
}

# run_test PATCH: the test, as in the suite; few seeds will do
run_test() {
  runner=
  # shellcheck disable=SC2046 # a list of words
  set -- $(field "$1" Test)
  if [ "$1" = postgres ]; then
    runner="sh $tree/tests/with-postgres.sh"
    shift
  fi
  program=$1
  shift
  case $program in
    */test-pool-sim) set -- "$@" -p /simulator/seeds "--seeds=${seeds}" ;;
  esac
  # shellcheck disable=SC2086 # a list of words
  timeout -k 5 "$limit" $runner "$build/$program" --tap "$@" >"$log" 2>&1
}

# caught_by PATCH STATUS: what noticed, from the log
caught_by() {
  program=$(basename "$(target "$1")")
  seed=$(sed -n 's/^# the seed was \([0-9]*\).*/\1/p' "$log" | head -n 1)
  failed=$(sed -n 's/^not ok [0-9]* //p' "$log" | sed 's/ - .*//' | head -n 1)
  where=$(sed -n 's/^Bail out! .*ERROR:[^:]*:[0-9]*:\([a-z_0-9]*\):.*/\1()/p' "$log" | head -n 1)
  if [ -n "$seed" ]; then
    echo "the simulator, seed $seed: $where"
  elif [ "$2" -eq 124 ] || [ "$2" -eq 137 ]; then
    echo "$program, which hangs after $(grep -c '^ok' "$log") tests"
  elif [ "$2" -gt 128 ] && [ -z "$failed$where" ]; then
    echo "$program, which crashes after $(grep -c '^ok' "$log") tests, signal $(($2 - 128))"
  else
    echo "$program ${failed:-${where:-exit status $2}}"
  fi
}

# report RESULT NAME WHAT SECONDS
report() {
  colour=$good
  [ "$1" = caught ] || colour=$bad
  printf '%s%-8s%s %-34s %5s s  %s\n' "$colour" "$1" "$plain" "$2" "$4" "$3"
}

# try PATCH: counts in n_done and n_bad
try() {
  name=$(basename "$1" .patch)
  begun=$(date +%s)
  result=caught
  what=
  say "$name: $(field "$1" Mutant)"
  n_done=$((n_done + 1))
  if ! (cd "$tree" && patch -s -p1 -F1 <"$1") >"$log" 2>&1; then
    result='STALE' what='the patch no longer applies'
    sed 's/^/  /' "$log" >&2
  else
    if ! ninja -C "$build" "$(target "$1")" >"$log" 2>&1; then
      result='BROKEN' what='it does not compile'
      sed 's/^/  /' "$log" >&2
    else
      status=0
      run_test "$1" || status=$?
      if [ "$status" -eq 0 ]; then
        result='SURVIVED' what=$(field "$1" Mutant)
      else
        what=$(caught_by "$1" "$status")
      fi
    fi
    (cd "$tree" && patch -s -R -p1 -F1 <"$1")
  fi
  [ "$result" = caught ] || n_bad=$((n_bad + 1))
  report "$result" "$name" "$what" "$(($(date +%s) - begun))"
}

limit=30
seeds=3000
[ -z "$quick" ] || { limit=20 seeds=300; }

mkdir "$tree"
(cd "$root" && find . -name '_build*' -prune -o -name .git -prune -o -type f -print |
  tar -cf - -T -) | tar -xf - -C "$tree"
set --
targets=
for patch in "$tree"/tests/mutants/*.patch; do
  chosen "$patch" || continue
  set -- "$@" "$patch"
  case " $targets " in
    *" $(target "$patch") "*) ;;
    *) targets="$targets $(target "$patch")" ;;
  esac
done
[ $# -gt 0 ] || { echo "no such mutant" >&2; exit 2; }

say "Building in $build"
# Quick: the core needs no database, and compiling takes longer than running.
options=
[ -z "$quick" ] || options='-Dbuildtype=debug -Dpostgres=disabled -Dsqlite=disabled -Dtool=false'
# shellcheck disable=SC2086 # lists of words
if ! { meson setup "$build" "$tree" -Dintrospection=disabled -Dvapi=disabled -Dgtk_doc=false \
  $options && ninja -C "$build" $targets; } >"$log" 2>&1; then
  cat "$log" >&2
  echo "the tree does not build" >&2
  exit 1
fi

# The sound tree passes what the mutants shall fail.
begun=$(date +%s)
checked=
for patch in "$@"; do
  what=$(field "$patch" Test)
  case "$checked" in
    *"|$what|"*) continue ;;
  esac
  checked="$checked|$what|"
  say "unchanged: $what"
  if ! run_test "$patch"; then
    tail -n 20 "$log" >&2
    echo "the tree as it is fails $what" >&2
    exit 1
  fi
done
report caught 'none (the tree as it is)' 'passes all of their tests' "$(($(date +%s) - begun))" |
  sed 's/caught/sound /'

n_done=0
n_bad=0
for patch in "$@"; do
  try "$patch"
done
echo "$((n_done - n_bad)) of $n_done mutants caught"
[ "$n_bad" -eq 0 ]
