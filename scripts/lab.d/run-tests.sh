#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Inside a lab: runs the test programs given as arguments, shows each one's report and the lab's
# seconds it took, and leaves the report in $OUT with its result, in the form automake's test driver
# uses. Fails if any test fails. A test that goes on for $longest of the lab's seconds fails alone,
# and the others still run. As there, a test is a program of this directory or a script in
# $srcdir.
# shellcheck disable=SC2154 # from the environment

# Seconds of the lab's clock.
now() {
  cut -d. -f1 /proc/uptime
}

longest=300
failed=0
for test in "$@"; do
  start=$(now)
  name=$OUT/$(echo "$test" | tr / _)
  program=./$test
  [ -f "$program" ] || program=$srcdir/$test
  # The status passes by a file: that of a pipeline is its last part's.
  { timeout -s KILL "$longest" "$program" 2>&1; echo $? >"$name.status"; } | tee "$name.log"
  case $(cat "$name.status") in
    0) result=PASS ;;
    77) result=SKIP ;;
    *)
      result=FAIL
      failed=1
      ;;
  esac
  rm "$name.status"
  echo ":test-result: $result" >"$name.trs"
  echo "$result: $test ($(($(now) - start)) s)"
done
exit $failed
