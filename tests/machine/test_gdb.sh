#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The real gdb against a guest that nestbox serves: symbols of the guest's ELF, a breakpoint and a
# watchpoint that a command of nestctl's runs into, and on the soft engine the way back. Skipped
# (77) without gdb.

builddir=${builddir:-.}
nestbox=$builddir/nestbox
nestctl=$builddir/nestctl
scratch=$(mktemp -d "${TMPDIR:-/tmp}/gdb-test.XXXXXX")
trap 'kill "$serving" 2>/dev/null; rm -rf "$scratch"' EXIT INT TERM
serving=
# shellcheck source=tests/machine/shell.sh
. "${top_srcdir:-.}/tests/machine/shell.sh"

command -v gdb >/dev/null || { echo "gdb is not there: apt-get install gdb" >&2; exit 77; }
need_kvm

# Writes what gdb says to $scratch/out. Commands come on standard input; "ask" is nestctl's.
run_gdb() {
  : >"$scratch/err"
  sed "s|^ask|shell timeout 60 $nestctl --socket $scratch/socket|; s|@|$scratch/|" >"$scratch/commands"
  timeout 60 gdb -nx -batch -ex 'set pagination off' -ex 'set confirm off' \
    -ex "target remote $scratch/gdb" -x "$scratch/commands" "$builddir/guest/nestbox-guest" \
    >"$scratch/out" 2>&1 </dev/null
}

# The guest's words, in this order, each behind the one before.
in_order() {
  from=1
  for pattern in "$@"; do
    line=$(tail -n "+$from" "$scratch/out" | grep -n -m 1 -e "$pattern" | cut -d : -f 1)
    [ -n "$line" ] || { echo "no '$pattern' from line $from on"; return 1; }
    from=$((from + line))
  done
}

"$nestbox" run --kvm "$NESTBOX_KVM" --cpus 2 --memory 64M --watchdog 2 --name gdb-test \
  --socket "$scratch/socket" --dump-dir "$scratch" --gdb "$scratch/gdb" >"$scratch/log" 2>&1 &
serving=$!
tries=0
until [ -S "$scratch/gdb" ] || [ "$tries" = 300 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
# What was asked is answered with an address, soon.
answered() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    grep -q '^0xffff' "$scratch/$1" && return
    sleep 0.5
  done
  return 1
}
ctl() {
  timeout 60 "$nestctl" --socket "$scratch/socket" "$@"
}

run_gdb <<'END'
info threads
info registers cr3 cr0 efer gs_base
break op_vmalloc
ask vmalloc 65536 >@first 2>&1 &
continue
backtrace
set $answer = (unsigned long *)result
watch *$answer
continue
stepi
delete
break op_vmalloc
ask vmalloc 4096 >@second 2>&1 &
continue
maintenance packet Qqemu.PhyMemMode:1
x/2gx 0x1000
maintenance packet Qqemu.PhyMemMode:0
monitor info cpus
delete
detach
END
claim 'gdb sees every vCPU as a thread' says 'Thread 1.1 (vCPU 0' 'Thread 1.2 (vCPU 1'
claim 'control registers have names' says '^cr0 .*PE' '^efer .*LMA' '^cr3 '
claim 'a breakpoint by its symbol is hit when nestctl asks, and the trace leads to the entry' \
  in_order 'hit Breakpoint 1, op_vmalloc' '#0 *op_vmalloc' 'hypercall_serve' 'entry ()'
claim 'a watched word stops who stores it' \
  in_order 'hit Hardware watchpoint 2' 'Old value = 0' 'New value = '
claim 'the next command runs into it again' in_order 'hit Hardware watchpoint 2' 'op_vmalloc (cpu='
claim 'physical memory, and the monitor' says '^0x1000:' 'thread_id='
claim 'the guest went on, and answered' answered first
claim 'the next command too' answered second
claim 'it serves after gdb has gone' status 0 ctl vmalloc 4096
claim 'and is right' status 0 ctl audit

if [ "$NESTBOX_KVM" = soft ]; then
  run_gdb <<'END'
break op_vmalloc
ask vmalloc 65536 >@third 2>&1 &
continue
set $answer = (unsigned long *)result
watch *$answer
continue
print/x *$answer
reverse-continue
print/x *$answer
reverse-continue
reverse-stepi
backtrace 2
stepi
info registers rip
delete
continue
detach
END
  claim 'back to before the store' \
    in_order 'New value = ' '[0-9] = 0xffff' 'Old value = ' 'New value = 0$' '[0-9] = 0x0$'
  claim 'back to the breakpoint, and a step before it' \
    in_order '[0-9] = 0x0$' 'hit Breakpoint 1, op_vmalloc' '#0 .*hypercall' '<op_vmalloc>'
  claim 'on to the newest moment' says 'No more reverse-execution history'
  claim 'gone in peace, the guest answers' answered third
  claim 'and is right still' status 0 ctl audit
fi

claim 'the stub ends, and begins elsewhere' status 0 ctl gdbserver
claim 'its socket is gone' test ! -S "$scratch/gdb"
claim 'a place that cannot be is refused' refuses 1 'No such file' ctl gdbserver --path "$scratch/no/gdb"
claim 'another can' status 0 ctl gdbserver --path "$scratch/gdb2"
printf 'info threads\nkill\n' | sed "1i target remote $scratch/gdb2" >"$scratch/commands"
claim 'kill is the end of the guest' \
  status 0 timeout 60 gdb -nx -batch -ex 'set confirm off' -x "$scratch/commands"
claim 'and is said' refuses 1 . ctl vmalloc 4096
ctl quit >/dev/null 2>&1
wait "$serving"
serving=
conclude
