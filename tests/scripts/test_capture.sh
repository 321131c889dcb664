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
  grep -v '^#' "$1" | sed -n 's/^.*: \([a-z_]*\): ([^ ]*+.*) \(.*\)$/\1 \2/p' |
    sed 's/=[^ ]*//g' | LC_ALL=C sort -u
}

# Prints the shapes a trace may have here: those of the recorded ones, and since 6.9 (pools) more.
shapes() {
  if grep -q -w decay_va_pool_node /proc/kallsyms; then
    shape "$top/tests/data/mixed-2cpu/trace" |
      sed '/^alloc_vmap_area_exit/s/$/ flags/; /^free/s/$/ flags/; /^purge_enter/s/$/ full/'
    echo 'decay vn full'
  else
    shape "$top/tests/data/mixed-2cpu/trace"
  fi
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
  capture --out "$folder" --state 'while read -r f; do echo state >"$f"; echo ok; done' -- sh -c 'for i in $(seq 40); do sleep 1 & done; wait'
  expect "a capture succeeds" 0 "$status"
  expect "the kernel is as it was" "$before" "$(kernel_state)"
  expect "the trace starts at the snapshot" "tracing_mark_write: vmallocinfo captured" \
    "$(grep -v '^#' "$folder/trace" | head -n 1 | sed 's/.*: \(tracing_mark\)/\1/')"
  expect "the work is in the trace" yes \
    "$([ "$(grep -c ' alloc_vmap_area_exit: ' "$folder/trace")" -ge 20 ] && echo yes)"
  expect "the events are those of the recorded traces" "" \
    "$(shape "$folder/trace" | grep -v -x -F "$(shapes)")"
  expect "so are those of the prelude" "" "$(shape "$folder/prelude" | grep -v -x -F "$(shapes)")"
  expect "meta knows the kernel" "kernel=$(uname -r)" "$(grep '^kernel=' "$folder/meta")"
  expect "and the machine" "possible_cpus=$(nproc) nodes=1 levels=4 kaslr_offset=0x0" \
    "$(grep -E '^(possible_cpus|nodes|levels|kaslr_offset)=' "$folder/meta" | tr '\n' ' ' | sed 's/ $//')"
  expect "the state is taken at the marker" "state" "$(cat "$folder/state")"
  expect "the snapshots and the trace tell one story" "$(areas "$folder/vmallocinfo.end")" \
    "$(areas_after "$folder/vmallocinfo.begin" "$folder/trace")"
  expect "the header counts the events" "$(grep -c -v '^#' "$folder/trace")" \
    "$(sed -n 's/^# entries-in-buffer.* \([0-9]*\)\/.*/\1/p' "$folder/trace")"
}

# A capture that is killed puts the kernel back all the same.
test_killed() {
  local before pid i
  before=$(kernel_state)
  "$top/scripts/capture" --gentle --out "$work/killed" --seconds 100 >"$work/said" 2>&1 &
  pid=$!
  for ((i = 0; i < 100; i++)); do
    ! grep -q 1 /sys/kernel/tracing/instances/nestbox_capture/events/*/enable 2>/dev/null || break
    sleep 0.2
  done
  [ $i -lt 100 ] || echo "it never began"
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null
  for ((i = 0; i < 100; i++)); do
    [ "$before" != "$(kernel_state)" ] || break
    sleep 0.2
  done
  expect "a killed capture leaves the kernel as it was" "$before" "$(kernel_state)"
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
test_killed
test_refusals
exit $((failures > 0))
