#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The sandbox of a running service, seen from outside: its threads, its core dump, what becomes of
# one that does what it may not. What each kind of thread may do tests/vmm/sandbox/test_sandbox.c
# asks.
set -u
nestbox=$PWD/nestbox
nestctl=$PWD/nestctl
scratch=$(mktemp -d) || exit 1
XDG_RUNTIME_DIR=$scratch/run
export XDG_RUNTIME_DIR
mkdir -m 700 "$XDG_RUNTIME_DIR" "$scratch/service" "$scratch/more"
guest=
clean_up() {
  [ -z "$guest" ] || kill -KILL "$guest" 2>/dev/null
  rm -rf "$scratch"
}
trap clean_up EXIT

# shellcheck source=tests/machine/shell.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/machine/shell.sh"

# serve OPTION...: a service in $scratch/service, its process in $guest.
serve() {
  tries=0
  (cd "$scratch/service" && exec "$nestbox" run --kvm soft --name boxed --memory 32M --cpus 2 "$@" \
    2>"$scratch/said" </dev/null) &
  guest=$!
  while [ ! -S "$XDG_RUNTIME_DIR/nestbox/boxed.sock" ] || ! "$nestctl" -n boxed nop; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || return 1
    sleep 0.1
  done >"$scratch/out" 2>"$scratch/err"
}

# ends STATUS: the service ends with it.
ends() {
  wait "$guest"
  got=$?
  guest=
  [ $got = "$1" ] || echo "it ended with $got"
  [ $got = "$1" ]
}

# threads PATTERN COUNT: so many of them have a line like that in their status.
threads() {
  [ "$(cat /proc/"$guest"/task/*/status | grep -c -e "$1")" = "$2" ]
}

ctl() {
  status 0 "$nestctl" -n boxed "$@"
}

claim 'a guest serves' serve --traps --log "$scratch/more/log"
set -- /proc/"$guest"/task/*
all=$#
claim 'each of its threads has a filter of its own' threads '^Seccomp_filters:.2$' "$all"
claim 'and can gain no rights' threads '^NoNewPrivs:.1$' "$all"
claim 'and has none, but for the two that look' threads '^CapEff:.0*$' \
  $((all - ($(id -u) == 0 ? 2 : 0)))
claim 'status says what is in force' ctl --json status
claim 'which is seccomp and no capabilities' says '"sandbox": "on: seccomp.* no capabilities'
claim 'it works' ctl vmalloc 8192
claim 'and looks' ctl audit
claim 'and dumps below where it was started' ctl dump "$scratch/service/a-core"
claim 'and nowhere else' refuses 1 'nestbox run --dump-dir' "$nestctl" -n boxed dump "$scratch/b-core"
ln -s "$scratch" "$scratch/service/out"
claim 'by no link either' refuses 1 'nestbox run --dump-dir' "$nestctl" -n boxed dump "$scratch/service/out/b-core"
claim 'not even next to its log' refuses 1 'nestbox run --dump-dir' "$nestctl" -n boxed dump "$scratch/more/b-core"
claim 'there is none' [ ! -e "$scratch/b-core" ]

# dumped CORE: prints of how many of the mappings in $scratch/ranges CORE has bytes.
dumped() {
  readelf -lW "$1" | awk -v ranges="$scratch/ranges" '
    BEGIN { while ((getline line <ranges) > 0) { split(line, part, "-"); from[part[1]] = 1 } }
    $1 == "LOAD" { at = substr($3, 3); sub(/^0+/, "", at); all++
                   if (at in from) { found++; full += $5 !~ /^0x0+$/ } }
    END { printf "%d of %d mappings\n", full, found }'
}

awk '/memfd:guest-/ { print $1 }' /proc/"$guest"/maps >"$scratch/ranges"
mappings=$(wc -l <"$scratch/ranges")
claim 'guest memory is mapped' [ "$mappings" -gt 1 ]
if command -v readelf >/dev/null && grep -qv '[|/]' /proc/sys/kernel/core_pattern &&
  prlimit --pid "$guest" --core=unlimited 2>/dev/null; then
  kill -ABRT "$guest"
  claim 'it dies of SIGABRT' ends 134
  for core in "$scratch"/service/core*; do
    claim 'its core has no byte of guest memory' [ "$(dumped "$core")" = "0 of $mappings mappings" ]
    claim 'but others' [ "$(wc -c <"$core")" -gt 100000 ]
  done
else
  echo 'test_sandbox: no core dump can be had here: the flags of the mappings are looked at'
  claim 'guest memory is in no core' \
    [ "$(awk '/^[0-9a-f]*-/ { ours = /memfd:guest-/ } ours && /^VmFlags:.* dd/' \
      /proc/"$guest"/smaps | wc -l)" = "$mappings" ]
  kill -KILL "$guest"
fi

# A library in place of the C library's accept4(3): whoever connects has the service run a program.
cat >"$scratch/planted.c" <<'END'
#include <unistd.h>
int accept4(int fd, void *address, void *length, int flags)
{
	return execl("/bin/true", "true", (char *)0);
}
END
if "${CC:-cc}" -shared -fPIC -o "$scratch/planted.so" "$scratch/planted.c" 2>"$scratch/err"; then
  for mode in on off; do
    LD_PRELOAD=$scratch/planted.so ASAN_OPTIONS=verify_asan_link_order=0 "$nestbox" run --kvm soft \
      --name boxed --sandbox $mode --dump-dir "$scratch/more" --log "$scratch/more/log" \
      2>"$scratch/said" </dev/null &
    guest=$!
    tries=0
    while kill -0 $guest 2>/dev/null && [ $tries -lt 100 ]; do
      "$nestctl" -n boxed nop >"$scratch/out" 2>"$scratch/err"
      tries=$((tries + 1))
      sleep 0.1
    done
    case $mode in
      on)
        claim 'a service that runs a program ends instead' ends 3
        claim 'and says so' grep -q 'sandbox forbids system call 59 (execve) to a main thread' "$scratch/said"
        claim 'in its log, too' grep -q 'sandbox forbids system call 59 (execve)' "$scratch/more/log"
        ;;
      off) claim 'without a sandbox it runs it' ends 0 ;;
    esac
    rm -f "$XDG_RUNTIME_DIR"/nestbox/boxed.*
  done
else
  claim 'a compiler' false
fi

claim 'a word that is no mode' refuses 2 'on, log or off' "$nestbox" run --sandbox maybe
claim 'a folder that is none' refuses 2 'a folder there is' "$nestbox" run --dump-dir "$scratch/none"
conclude
