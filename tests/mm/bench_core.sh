#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Counts the core's instructions for one more loop of each case of bench_core, beside Linux's.
# Needs valgrind, and a build without sanitizers. Run from the build directory; arguments name
# cases. BENCH_LOOPS is the larger loop count, half of it the smaller.
set -eu

bench=${BENCH:-tests/mm/bench_core}
loops=${BENCH_LOOPS:-16384}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

linux()
{
  case $1 in
    fix_size-1) echo 2686 ;;
    fix_size-16) echo 7446 ;;
    fix_size-128) echo 43873 ;;
    fix_size-512) echo 168830 ;;
    full_fit) echo 2479 ;;
    long_busy_list) echo 38530 ;;
    random_size) echo 31753 ;;
    fix_align) echo 26217 ;;
    random_size_align) echo 37625 ;;
  esac
}

count()
{
  valgrind --tool=callgrind --toggle-collect=measured --callgrind-out-file="$scratch/out" \
    "$bench" "$1" "$2" 2>"$scratch/log" >&2 || { cat "$scratch/log" >&2; exit 1; }
  sed -n 's/.*Collected : *\([0-9]*\).*/\1/p' "$scratch/log"
}

printf '%-18s %10s %10s %7s\n' case instructions Linux share
if [ $# -eq 0 ]; then
  mapfile -t names < <("$bench")
else
  names=("$@")
fi
for name in "${names[@]}"; do
  many=$(count "$name" "$loops")
  few=$(count "$name" $((loops / 2)))
  here=$(((many - few) / (loops - loops / 2)))
  there=$(linux "$name")
  printf '%-18s %10d %10d %6d%%\n' "$name" "$here" "$there" $((100 * here / there))
done
