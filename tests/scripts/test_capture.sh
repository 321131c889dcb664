#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tests scripts/capture in a lab, whose root and kernel it may use: make check-npt, check-ept.
set -uo pipefail

top=$(realpath "${top_srcdir:-$(dirname "$(realpath "$0")")/../..}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

expect() { # CLAIM EXPECTED FOUND
  if [ "$2" = "$3" ]; then
    echo "ok: $1"
  else
    printf 'FAILED: %s\n  expected: %q\n  found:    %q\n' "$1" "$2" "$3"
    failures=$((failures + 1))
  fi
}

# Runs capture; sets status; what it says is in $work/said.
capture() {
  "$top/scripts/capture" "$@" >"$work/said" 2>&1
  status=$?
}

# Prints each kind of event in trace $1 with the names of its fields.
shape() {
  grep -v '^#' "$1" | sed -n 's/^.*: \([a-z_]*\): (\([a-z_]*+\).*) \(.*\)$/\1 \3/p' |
    sed 's/=[^ ]*//g' | LC_ALL=C sort -u
}

# Prints the areas in use in snapshot $1, and those that are after replaying trace $2 on it. Lazily
# freed ones are left out: Linux makes one of two neighbours.
areas() {
  sed -n '/unpurged/!s/^0x\([0-9a-f]*\)-.*/\1/p' "$1" | LC_ALL=C sort
}
areas_after() {
  awk '
    FNR == NR { split($1, ends, "-"); if (!/unpurged/) busy[substr(ends[1], 3)] = 1; next }
    { start = $0; sub(/.* va_start=0x/, "", start); sub(/ .*/, "", start) }
    / alloc_vmap_area_exit: / { busy[start] = 1 }
    / free_vmap_area_noflush: / { delete busy[start] }
    END { for (a in busy) print a }' "$1" "$2" | LC_ALL=C sort
}

kernel_state() {
  ls /sys/kernel/tracing/instances
  cat /sys/kernel/tracing/kprobe_events /proc/sys/kernel/kptr_restrict
}

test_capture() {
  local before folder=$work/trace
  before=$(kernel_state)
  # Forty processes at once: one after the other they would share a cached stack.
  # shellcheck disable=SC2016 # for that shell
  capture --out "$folder" -- sh -c 'for i in $(seq 40); do sleep 1 & done; wait'
  expect "a capture succeeds" 0 "$status"
  expect "the kernel is as it was" "$before" "$(kernel_state)"
  expect "the trace starts at the snapshot" "tracing_mark_write: vmallocinfo captured" \
    "$(grep -v '^#' "$folder/trace" | head -n 1 | sed 's/.*: \(tracing_mark\)/\1/')"
  expect "the work is in the trace" yes \
    "$([ "$(grep -c ' alloc_vmap_area_exit: ' "$folder/trace")" -ge 20 ] && echo yes)"
  expect "the events are those of the recorded traces" "" \
    "$(shape "$folder/trace" | grep -v -x -F "$(shape "$top/tests/data/mixed-2cpu/trace")")"
  expect "the snapshots and the trace tell one story" "$(areas "$folder/vmallocinfo.end")" \
    "$(areas_after "$folder/vmallocinfo.begin" "$folder/trace")"
  expect "the header counts the events" "$(grep -c -v '^#' "$folder/trace")" \
    "$(sed -n 's/^# entries-in-buffer.* \([0-9]*\)\/.*/\1/p' "$folder/trace")"
}

test_refusals() {
  capture --out "$work/trace" -- true
  expect "a folder that exists is status 2" 2 "$status"
  capture --out "$work/none"
  expect "neither time nor command is status 2" 2 "$status"
  capture --out "$work/none" --seconds 1x
  expect "a senseless time is status 2" 2 "$status"
  capture --out "$work/failed" -- false
  expect "a command that fails is status 1" 1 "$status"
  mkdir /sys/kernel/tracing/instances/nestbox_capture
  capture --out "$work/none" --seconds 1
  expect "a second capture is status 3" 3 "$status"
  rmdir /sys/kernel/tracing/instances/nestbox_capture
  expect "and leaves nothing behind" "failed said trace" "$(echo "$work"/* | sed "s,$work/,,g")"
}

# Works only where there is nothing to disturb: in a lab.
[ -n "${NESTBOX_LAB:-}" ] || {
  echo "skipped: not in a lab"
  exit 77
}
test_capture
test_refusals
exit $((failures > 0))
