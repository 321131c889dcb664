#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Inside a lab: one of record-suite's loads, made of shell, busybox and load.
#
#   work.sh LOAD WORK SEED SCALE       LOAD is the program load; WORK a function below
set -u
load=$1 work=$2 seed=$3 scale=$4
scratch=/var/tmp/work
mkdir -p "$scratch"

# Sets drawn to a number below $1; the same ones for the same seed.
draw() {
  seed=$(((seed * 1103515245 + 12345) % 2147483648))
  drawn=$((seed / 65536 % $1))
}

# Runs the rest $1 times.
repeat() {
  turns=$1
  shift
  while [ "$turns" -gt 0 ]; do
    turns=$((turns - 1))
    "$@"
  done
}

# Processes that overlap: one after the other they would share a cached stack.
one_burst() {
  draw 24
  n=$((drawn + 4))
  while [ "$n" -gt 0 ]; do
    n=$((n - 1))
    draw 9
    sleep "0.0$drawn" &
  done
  draw 4
  [ "$drawn" != 0 ] || wait
}
forks() {
  repeat $((12 * scale)) one_burst
  wait
}

threads() {
  "$load" threads $((20 * scale)) "$seed"
}

one_module() {
  draw 9
  set -- dummy veth brd xfs overlay nf_tables sctp zram tun
  shift "$drawn"
  modprobe "$1"
  draw 3
  [ "$drawn" = 0 ] || modprobe -r "$1"
  draw 2
  [ "$drawn" = 0 ] || one_burst
} 2>/dev/null
modules() {
  repeat $((14 * scale)) one_module
  wait
}

one_filesystem() {
  truncate -s 320M "$scratch/disk"
  if [ $((turns % 3)) != 0 ]; then mkfs.xfs -q -f "$scratch/disk"; else mke2fs -F "$scratch/disk"; fi >/dev/null
  mkdir -p "$scratch/mounted"
  mount -o loop "$scratch/disk" "$scratch/mounted"
  draw 40
  n=$drawn
  while [ "$n" -gt 0 ]; do
    n=$((n - 1))
    mkdir "$scratch/mounted/$n"
    dd if=/dev/zero of="$scratch/mounted/$n/file" bs=4k count=$((n * 3 + 1)) 2>/dev/null
  done
  sync
  umount "$scratch/mounted"
  rm "$scratch/disk"
}
filesystems() {
  modprobe -a loop xfs
  repeat $((3 * scale)) one_filesystem
}

# A table with a chain of rules and a set of addresses, in a process that others may overlap; all go
# every now and then.
one_table() {
  draw 900
  awk -v n="$drawn" -v id="$turns" 'BEGIN {
    print "table inet t" id " {\n set s { type ipv4_addr; elements = { 10.0.0.1"
    for (i = 2; i < n + 40; i++) printf ", 10.%d.%d.%d\n", id % 250, i / 250, i % 250
    print "} }\n chain c { type filter hook input priority 0;"
    for (i = 0; i < n % 90; i++) print "  tcp dport " i + 1 " ip saddr @s counter"
    print " }\n}" }' >"$scratch/rules$turns"
  nft -f "$scratch/rules$turns" &
  draw 5
  [ "$drawn" != 0 ] || {
    wait
    nft flush ruleset
  }
}
netfilter() {
  modprobe -a nf_tables
  repeat $((8 * scale)) one_table
  wait
}

bpf() {
  "$load" bpf $((120 * scale)) "$seed"
}
filters() {
  "$load" filters $((200 * scale)) "$seed"
}
rings() {
  "$load" rings $((150 * scale)) "$seed"
}

# A container of its own: processes, mounts over an overlay, a network with a pair of devices.
one_container() {
  box=$scratch/box$turns
  mkdir -p "$box/low" "$box/up" "$box/work" "$box/root"
  # shellcheck disable=SC2016 # the inner shell's
  unshare -n -m -p -i -u -f sh -c '
    mount -t overlay overlay -o "lowerdir=$1/low,upperdir=$1/up,workdir=$1/work" "$1/root"
    ip link add a type veth peer name b; ip link set a up; ip link set lo up
    ip link add d type dummy; nft add table inet box
    for i in 1 2 3 4 5 6; do echo $i >"$1/root/$i"; sleep 0.02 & done; wait' sh "$box" 2>/dev/null &
  draw 4
  [ "$drawn" != 0 ] || wait
}
containers() {
  modprobe -a overlay veth dummy nf_tables
  repeat $((6 * scale)) one_container
  wait
}

mixed() {
  (forks) &
  (containers) &
  (netfilter) &
  (bpf) &
  (modules) &
  wait
}

$work
