# SPDX-License-Identifier: GPL-2.0-or-later
# One run of a lab machine: starts it, passes its output on, watches for panic, hang and timeout,
# and takes its report (the lines are described in init.sh). npt.sh and ept.sh supply
#   machine_defaults, machine_check    options
#   machine_start                      starts it in the background and sets machine_pid
#   machine_module, machine_parameters, machine_slowness
# In $work: console (ttyS0), stdout and stderr (pipes, ttyS1 and ttyS2), report (ttyS3).
# shellcheck shell=bash disable=SC2154 # set by scripts/lab

# Both kernels' command line: no randomness, a reset after a panic, and no self-tests of ciphers,
# which take 10 seconds under Bochs.
# shellcheck disable=SC2034 # used by npt.sh and ept.sh
lab_words="console=ttyS0 quiet panic=-1 nokaslr mitigations=off tsc=reliable cryptomgr.notests"

# Prints a line of the report that starts with $1, without $1.
report_line() {
  head -n 4 "$work/report" | tr -d '\0' | sed -n "s/^$1//p" | head -n 1
}

# Prints the kernel's last words, if any.
machine_panic() {
  grep -m 1 -o 'Kernel panic.*' "$work/console" | tr -d '\r'
}

machine_done() {
  [ "$(tail -c 5 "$work/report" | tr -d '\0')" = 'done' ]
}

# Sets waited to the seconds in which the machine's busiest thread was ready to run and the host ran
# something else. Bash alone reads them: this is asked ten times a second.
machine_waited() {
  local file delay most=0
  for file in /proc/"$machine_pid"/task/*/schedstat; do
    { read -r _ delay _ <"$file"; } 2>/dev/null || continue
    [ "$delay" -le "$most" ] || most=$delay
  done
  waited=$((most / 1000000000))
}

# Waits for the end; sets outcome to ended or timeout. The machine does not run afterwards. On a busy
# host, time in which the machine waits for a processor does not count, up to nine tenths.
machine_watch() {
  local start=$SECONDS
  outcome=ended waited=0
  while kill -0 "$machine_pid" 2>/dev/null; do
    machine_waited
    if machine_done; then
      break
    elif machine_panic >/dev/null; then
      sleep 0.5 # the rest of the message
      break
    elif [ $((SECONDS - start - waited)) -ge "$timeout" ] ||
      [ $((SECONDS - start)) -ge $((timeout * 10)) ]; then
      outcome=timeout
      break
    fi
    sleep 0.1
  done
  kill -9 "$machine_pid" 2>/dev/null || :
  machine_status=0
  wait "$machine_pid" 2>/dev/null || machine_status=$?
  machine_pid=
}

# Says what happened to a failed lab, keeps its console, ends with status 3.
machine_report_failure() {
  local kept=$cache/failed-$kind.console
  echo "lab: $*" >&2
  if [ -s "$work/console" ]; then
    echo "lab: the end of its console (all of it: $kept):" >&2
    tr -d '\r' <"$work/console" | tail -n "${failure_lines:-20}" | sed 's/^/  | /' >&2
    cp "$work/console" "$kept"
  fi
  [ ! -s "$work/machine.log" ] || sed 's/^/  ! /' "$work/machine.log" | tail -n 5 >&2
  exit 3
}

# Unpacks the files in the report into $out.
machine_take_files() {
  local line
  {
    while read -r line && [ "$line" != files ]; do :; done
    tar -x -f - --warning=no-timestamp --no-same-owner -C "$out"
  } <"$work/report" || machine_report_failure "the files did not come out whole"
}

machine_conclude() {
  local status failed panic
  status=$(report_line 'exit ')
  failed=$(report_line 'failed: ')
  panic=$(machine_panic) && machine_report_failure "the lab's kernel panicked: $panic"
  [ "$outcome" != timeout ] ||
    machine_report_failure "no end after $timeout seconds (--timeout), besides $waited of waiting for a processor"
  [ -z "$failed" ] || machine_report_failure "$failed"
  [ -n "$status" ] || machine_report_failure "the machine stopped (status $machine_status) without a report"
  [ -z "$out" ] || machine_take_files
  exit "$status"
}

# The ports are pipes held open here too, so that no reader waits for a machine that never starts.
machine_run() {
  : >"$work/report"
  : >"$work/console"
  mkfifo "$work/stdout" "$work/stderr"
  exec 5<>"$work/stdout" 6<>"$work/stderr"
  cat "$work/stdout" 5<&- 6<&- &
  local out_pid=$!
  cat "$work/stderr" >&2 5<&- 6<&- &
  local err_pid=$!
  machine_start
  machine_watch
  exec 5<&- 6<&-
  wait "$out_pid" "$err_pid" || :
  machine_conclude
}
