# SPDX-License-Identifier: GPL-2.0-or-later
# Lab NPT: QEMU emulates an AMD machine whose SVM has nested paging. Sourced by scripts/lab.
# shellcheck shell=bash disable=SC2154 # set by scripts/lab

# machine.sh, payload.sh and scripts/lab use these.
# shellcheck disable=SC2034
{
  machine_module=kvm-amd
  machine_parameters='npt=1'
  machine_slowness=10
}

machine_defaults() {
  cpus=${cpus:-$((icount == 1 ? 1 : 2))}
  memory=${memory:-2G}
  timeout=${timeout:-300}
}

machine_check() {
  [ "$icount" = 0 ] || [ "$cpus" = 1 ] || bad_usage "--icount counts on one CPU, not $cpus"
  [ $((memory_mib % nodes)) = 0 ] || bad_usage "--memory $memory cannot be split between $nodes nodes"
  [ "$debugger" = 0 ] || bad_usage "--debugger is for ept; see --gdb"
}

# Prints the arguments that split the memory between the nodes, one a line.
machine_nodes() {
  local node
  [ "$nodes" -gt 1 ] || return 0
  for ((node = 0; node < nodes; node++)); do
    echo "-object"
    echo "memory-backend-ram,id=node$node,size=$((memory_mib / nodes))M"
    echo "-numa"
    echo "node,nodeid=$node,memdev=node$node"
  done
}

machine_start() {
  local options=(-M q35 -m "${memory_mib}M" -smp "$cpus"
    -nodefaults -no-user-config -display none -no-reboot
    -kernel "$kernel/vmlinuz" -initrd "$work/initrd")
  # Without no_timer_check a kernel whose timer is late, because the host is busy, panics: "IO-APIC +
  # timer doesn't work".
  local cpu=max,-la57 words="$lab_words no_timer_check" node_options
  mapfile -t node_options < <(machine_nodes)
  options+=("${node_options[@]}")
  [ "$la57" = 0 ] || cpu=max
  if [ "$icount" = 1 ]; then
    options+=(-accel tcg -icount 'shift=0,sleep=off')
    # One instruction is one nanosecond, and exactly one tick of the time stamp counter.
    words+=" tsc_early_khz=1000000"
  else
    # One thread for all CPUs: with one for each, QEMU 7.2 can go on running the breakpoint that the
    # kernel had put where it rewrites its code, as it does whenever the first VM is made or the
    # last one goes, and the machine hangs. It is no slower.
    options+=(-accel 'tcg,thread=single')
  fi
  options+=(-cpu "$cpu" -append "$words $append")
  [ -z "$gdb" ] || options+=(-gdb "tcp:127.0.0.1:$gdb" -S)
  # In QEMU's own options a comma in a path is written twice.
  [ -z "$qmp" ] || options+=(-qmp "unix:${qmp//,/,,},server=on,wait=off")
  if [ ${#command[@]} -eq 0 ]; then
    options+=(-chardev "stdio,id=console,mux=on,signal=off,logfile=$work/console" -serial chardev:console)
  else
    options+=(-serial "file:$work/console")
  fi
  options+=(-serial "file:$work/stdout" -serial "file:$work/stderr" -serial "file:$work/report")
  cat "$base" "$work/payload.cpio" >"$work/initrd"
  qemu-system-x86_64 "${options[@]}" <&0 2>"$work/machine.log" 5<&- 6<&- &
  machine_pid=$!
}
