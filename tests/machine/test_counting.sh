#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Where instructions are counted (scripts/lab npt --icount): two runs of one command agree within
# 0.1 %, and every case of the vmalloc suite costs at most half of what it costs in Linux. Run by
# `make check-npt` in a boot of its own; elsewhere there is nothing to count, and it skips.
# shellcheck disable=SC2154 # top_srcdir is from the environment

if [ "${NESTBOX_ICOUNT:-0}" != 1 ]; then
  echo "SKIPPED: nothing counts instructions here; scripts/lab npt --icount does" >&2
  exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

verdict() { # STATUS CLAIM
  if [ "$1" = 0 ]; then
    echo "ok: $2"
  else
    echo "FAILED: $2"
    failures=$((failures + 1))
  fi
}

# Compares the counts of two runs' outputs, case by case. Nothing to compare is no agreement.
agree() { # FILE FILE
  awk '
    !/^[a-z_]+ +[0-9]/ || NF < 6 { next }
    { name = NF == 7 ? $1 " " $2 : $1; count = $(NF - 3) }
    FNR == NR { first[name] = count; cases++; next }
    {
      compared++
      difference = count - first[name]
      if (difference < 0)
        difference = -difference
      if (!(name in first) || count <= 0 || difference > first[name] / 1000) {
        print name ": " first[name] " and then " count
        apart++
      }
    }
    END { exit !(cases == 9 && compared == 9 && !apart) }' "$1" "$2"
}

./nestbox bench >"$work/first" || verdict 1 "bench runs"
./nestbox bench >"$work/second" || verdict 1 "bench runs again"
agree "$work/first" "$work/second"
verdict $? "two runs of bench agree within 0.1 % in every case"
awk -f "$top_srcdir/scripts/bench.awk" "$top_srcdir/tests/data/linux-vmalloc-instructions" \
  "$work/first"
verdict $? "every case costs at most half of Linux's instructions"

./nestbox bench --json --case fix_size --pages 16 >"$work/json"
grep -q '"instructions_per_loop": [1-9]' "$work/json"
verdict $? "bench's JSON has instructions"
./nestbox replay --json "$top_srcdir/tests/data/fork-1cpu" >"$work/replay"
grep -q '"latency_unit": "instructions"' "$work/replay"
verdict $? "replay's JSON says that its latencies are instructions"

[ "$failures" = 0 ]
