#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The first process of a lab machine: brings KVM up, runs /lab/job, reports, powers off.
#
# Four serial ports lead out: ttyS0 is the kernel's console, ttyS1 and ttyS2 are the job's standard
# output and error, ttyS3 carries this report, which scripts/lab reads:
#   ready               KVM is up, the job starts
#   exit N              the job's exit status
#   files               what follows is a tar archive of the job's $OUT (only if asked for)
#   failed: MESSAGE     the lab itself failed
#   done                the end
# /lab/settings holds the variables lab_module, lab_parameters, lab_files and lab_interactive.
# shellcheck shell=dash disable=SC2154 # from /lab/settings

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH HOME=/root OUT=/lab/out

mount_all() {
  mount -t devtmpfs dev /dev
  mkdir -p /dev/pts /dev/shm /dev/hugepages /run /var/tmp
  mount -t devpts devpts /dev/pts
  mount -t tmpfs -o mode=1777 tmpfs /dev/shm
  mount -t proc proc /proc
  mount -t sysfs sysfs /sys
  mount -t debugfs debugfs /sys/kernel/debug
  mount -t tracefs tracefs /sys/kernel/tracing
  mount -t hugetlbfs hugetlbfs /dev/hugepages
  ln -sf /proc/self/fd /dev/fd
  ln -sf /proc/self/fd/0 /dev/stdin
  ln -sf /proc/self/fd/1 /dev/stdout
  ln -sf /proc/self/fd/2 /dev/stderr
}

# Reports a failure of the lab itself and ends.
fail() {
  echo "failed: $*" >&3
  finish
}

finish() {
  printf 'done\n' >&3
  exec 3>&-
  sync
  poweroff -f
  sleep 60
}

# What $lab_module needs comes first.
load_kvm() {
  while read -r module; do
    [ "$module" != "$lab_module.ko" ] || break
    insmod "/lab/modules/$module" || fail "cannot load $module"
  done <"/lab/modules/$lab_module.list"
  # shellcheck disable=SC2086 # parameters are words
  insmod "/lab/modules/$lab_module.ko" $lab_parameters || fail "cannot load $lab_module"
  [ -c /dev/kvm ] || fail "no /dev/kvm after loading $lab_module"
}

# Ends what the job left behind, so that the pipes to the serial ports close. Arguments: the
# processes to spare. Kernel threads have no executable.
end_leftovers() {
  for directory in /proc/[0-9]*; do
    pid=${directory#/proc/}
    case " 1 $* " in *" $pid "*) continue ;; esac
    [ -z "$(readlink "$directory/exe")" ] || kill -9 "$pid"
  done
}

# The job's output goes through pipes, because a program that sees a terminal behaves otherwise.
run_job() {
  mkfifo /lab/stdout /lab/stderr
  cat /lab/stdout >/dev/ttyS1 &
  out_pid=$!
  cat /lab/stderr >/dev/ttyS2 &
  err_pid=$!
  sh /lab/job </dev/null >/lab/stdout 2>/lab/stderr 3>&-
  status=$?
  end_leftovers "$out_pid" "$err_pid" 2>/dev/null
  wait "$out_pid" "$err_pid"
}

run_shell() {
  setsid -c sh -c 'exec sh /lab/job </dev/ttyS0 >/dev/ttyS0 2>&1 3>&-'
  status=$?
}

send_files() {
  echo files >&3
  tar -c -f - -C "$OUT" . >&3
}

mount_all
for port in 1 2 3; do
  stty -F /dev/ttyS$port 115200 raw -echo
done
exec 3>/dev/ttyS3
# shellcheck source=/dev/null
. /lab/settings
mkdir -p "$OUT"
load_kvm
echo ready >&3
if [ "$lab_interactive" = 1 ]; then
  run_shell
else
  run_job
fi
echo "exit $status" >&3
[ "$lab_files" = 0 ] || send_files
finish
