#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tests scripts/lab itself: test_lab.sh npt|ept. Run by make check-npt and check-ept, because each
# case boots a machine; what one boot can show is shown in one.
set -uo pipefail

kind=${1:?npt or ept}
here=$(dirname "$(realpath "$0")")
lab=$here/../../scripts/lab
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tmp"
failures=0

expect() { # CLAIM EXPECTED FOUND
  if [ "$2" = "$3" ]; then
    echo "ok: $1"
  else
    printf 'FAILED: %s\n  expected: %q\n  found:    %q\n' "$1" "$2" "$3"
    failures=$((failures + 1))
  fi
}

# Runs the lab with the arguments given, in $work; sets status and leaves stdout and stderr there.
run_lab() {
  (cd "$work" && TMPDIR=$work/tmp "$lab" "$kind" "$@" </dev/null >stdout 2>stderr)
  status=$?
}

# A script whose output shows all that is passed in and out.
test_one_run() {
  local argument=$'two words, "double", \'single\', $HOME `x` \\ * and\na second line'
  mkdir -p "$work/folder" "$work/elsewhere/deep" "$work/tools"
  echo far >"$work/elsewhere/deep/file"
  printf '#!/bin/sh\necho tool ran\n' >"$work/tools/tool"
  chmod +x "$work/tools/tool"
  echo content >"$work/folder/file name"
  cat >"$work/program" <<'END'
#!/bin/sh
printf '%s|' "$@"
cat 'folder/file name' >"$OUT/copied"
mkdir "$OUT/sub folder"
seq 2000 >"$OUT/sub folder/numbers"
echo "$NESTBOX_PASSED" >"$OUT/passed"
echo "${NOT_PASSED-unset}" >"$OUT/not_passed"
echo "$NESTBOX_ICOUNT" >"$OUT/icount"
cat /sys/module/kvm_*/parameters/[en]pt >"$OUT/paging"
test -c /dev/kvm && test -r /proc/kcore && test -d /sys/kernel/tracing/events &&
  grep -q hugetlbfs /proc/mounts && echo all >"$OUT/kernel_files"
test -t 1 || echo no >"$OUT/terminal"
pwd >"$OUT/directory"
cat "$4/deep/file" >"$OUT/elsewhere"
sh -c "$6" >"$OUT/tool"
sleep 1000 &
echo to standard error >&2
exit 42
END
  chmod +x "$work/program"
  NESTBOX_PASSED="a 'value'" NESTBOX_ICOUNT=1 NOT_PASSED=1 run_lab --out "$work/out" --with folder \
    -- ./program "$argument" '' last "$work/elsewhere" -c 'cd /; cd - >/dev/null && ./tools/tool'
  expect "the exit status comes back" 42 "$status"
  expect "arguments arrive as they were" "$argument||last|$work/elsewhere|-c|cd /; cd - >/dev/null && ./tools/tool|" "$(cat "$work/stdout")"
  expect "standard error stays apart" "to standard error" "$(cat "$work/stderr")"
  expect "files go in" content "$(cat "$work/out/copied")"
  expect "so do folders that an argument names" far "$(cat "$work/out/elsewhere")"
  expect "and programs that shell text names" "tool ran" "$(cat "$work/out/tool")"
  expect "files come out" "$(seq 2000)" "$(cat "$work/out/sub folder/numbers")"
  expect "NESTBOX_ variables pass" "a 'value'" "$(cat "$work/out/passed")"
  expect "the lab itself says whether it counts" 0 "$(cat "$work/out/icount")"
  expect "other variables do not" unset "$(cat "$work/out/not_passed")"
  expect "KVM uses nested paging" Y "$(cat "$work/out/paging")"
  expect "the kernel's files are mounted" all "$(cat "$work/out/kernel_files")"
  expect "a program sees no terminal" no "$(cat "$work/out/terminal")"
  expect "the working directory is the same" "$work" "$(cat "$work/out/directory")"
}

test_panic() {
  run_lab -- sh -c 'echo c >/proc/sysrq-trigger'
  expect "a panic is status 3" 3 "$status"
  expect "a panic is named" "lab: the lab's kernel panicked" \
    "$(head -n 1 "$work/stderr" | cut -d : -f 1-2)"
}

test_timeout() {
  run_lab --timeout 4 -- sleep 1000
  expect "a timeout is status 3" 3 "$status"
  expect "a timeout is named" "lab: no end after 4 seconds (--timeout)" \
    "$(head -n 1 "$work/stderr" | cut -d , -f 1)"
}

# A lab that is ended from outside takes its machine with it.
test_terminated() {
  (cd "$work" && TMPDIR=$work/tmp exec "$lab" "$kind" -- sleep 1000 </dev/null >stdout 2>stderr) &
  local pid=$!
  sleep 3
  kill -TERM "$pid"
  wait "$pid"
  expect "a lab that is terminated says so" 143 $?
}

# Prints the processes and files of machines started here.
left_behind() {
  grep -l -a -e "$work/tmp" /proc/[0-9]*/cmdline 2>/dev/null
  ls "$work/tmp"
}

# The lab's status for a bad call, without a boot.
test_usage() {
  run_lab --memory 12X -- true
  expect "a senseless size is status 2" 2 "$status"
  run_lab -- ./no-such-program
  expect "a missing program is status 2" 2 "$status"
  run_lab --kernel 5.4 -- true
  expect "a kernel there is not is status 2" 2 "$status"
  run_lab --
  expect "no command after -- is status 2" 2 "$status"
  [ "$kind" != ept ] || {
    run_lab --qmp "$work/qmp" -- true
    expect "QEMU's monitor where there is no QEMU is status 2" 2 "$status"
  }
  run_lab
  expect "a shell without a terminal is status 2" 2 "$status"
}

test_usage
test_one_run
test_panic
test_timeout
test_terminated
expect "no machine is left behind" "" "$(left_behind)"
[ $failures -eq 0 ] || {
  echo "$failures failed; the last standard error:"
  cat "$work/stderr"
}
exit $((failures > 0))
