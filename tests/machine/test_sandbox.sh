#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The sandbox of a running service, seen from outside: its threads, its core dump, what becomes of
# one that does what it may not, which clients may do what, sockets it is given. What each kind of thread may do tests/vmm/sandbox/test_sandbox.c
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
# shellcheck disable=SC2086 # CC may be several words
if ${CC:-cc} -shared -fPIC -o "$scratch/planted.so" "$scratch/planted.c" 2>"$scratch/err"; then
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

# ---- clients ----

look=$scratch/look.sock
claim 'a guest with a socket for looking' serve --socket-ro "$look"
claim 'whose file says who may' [ "$(stat -c %a "$look")" = 660 ]
for verb in 'vmalloc 4096' quit stop 'moment x' "dump $scratch/service/c-core"; do
  # shellcheck disable=SC2086 # words
  claim "$verb is not for it" refuses 1 'this socket is for looking' "$nestctl" -s "$look" $verb
done
for verb in status areas 'read machine 16' audit 'walk machine' 'x/2gx machine'; do
  # shellcheck disable=SC2086 # words
  claim "$verb is" status 0 "$nestctl" -s "$look" $verb
done
for verb in x-test-panic 'write machine 00'; do
  # shellcheck disable=SC2086 # words
  claim "$verb takes --unsafe" refuses 1 'nestbox run --unsafe' "$nestctl" -n boxed $verb
done
claim 'the other socket ends it' ctl quit
claim 'as it should' ends 0
claim 'both sockets are gone' [ ! -e "$look" -a ! -e "$look.lock" -a ! -e "$XDG_RUNTIME_DIR/nestbox/boxed.sock" ]

# ---- given sockets, and who wants to know ----

cat >"$scratch/manager.py" <<'END'
# As systemd does: listens, starts the service with the sockets, waits until it says it is ready.
import os, socket, subprocess, sys
folder, program = sys.argv[1], sys.argv[2:]
def listen(name):
    s = socket.socket(socket.AF_UNIX)
    s.bind(folder + "/" + name)
    s.listen()
    return s
look, control = listen("given-look"), listen("given")
heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
heard.bind("\0nestbox-test-%d" % os.getpid())
heard.settimeout(20)
def prepare():
    a, b = os.dup(look.fileno()), os.dup(control.fileno())
    os.dup2(a, 3), os.dup2(b, 4)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="look:control",
                      NOTIFY_SOCKET="@nestbox-test-%d" % os.getppid())
    os.execv(program[0], program)
child = os.fork()
if child == 0:
    prepare()
print(heard.recv(100).decode(), flush=True)
print(heard.recv(100).decode(), flush=True)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
END
if command -v python3 >/dev/null; then
  timeout 30 python3 "$scratch/manager.py" "$scratch" "$nestbox" run --kvm soft --memory 32M \
    >"$scratch/heard" 2>"$scratch/said" </dev/null &
  guest=$!
  tries=0
  while [ ! -s "$scratch/heard" ] && [ $tries -lt 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  claim 'who gave it sockets hears when it serves' grep -qx READY=1 "$scratch/heard"
  claim 'the given socket serves' status 0 "$nestctl" -s "$scratch/given" vmalloc 4096
  claim 'the one named look looks' status 0 "$nestctl" -s "$scratch/given-look" status
  claim 'and no more' refuses 1 'for looking' "$nestctl" -s "$scratch/given-look" vmalloc 4096
  claim 'it ends' status 0 "$nestctl" -s "$scratch/given" quit
  claim 'as it should, too' ends 0
  claim 'and said that it would' grep -qx STOPPING=1 "$scratch/heard"
  claim 'its sockets are not its own to remove' [ -S "$scratch/given" -a -S "$scratch/given-look" ]
else
  echo 'test_sandbox: no python3: nobody to give it sockets'
fi
# shellcheck disable=SC2016 # the inner shell's
claim 'a descriptor that is no socket' refuses 2 'descriptor 3, given by LISTEN_FDS' sh -c \
  'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" run --kvm soft 3</dev/null' "$nestbox"

claim 'a word that is no mode' refuses 2 'on, log or off' "$nestbox" run --sandbox maybe
claim 'a folder that is none' refuses 2 'a folder there is' "$nestbox" run --dump-dir "$scratch/none"
conclude
