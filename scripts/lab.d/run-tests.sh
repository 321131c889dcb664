#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Inside a lab: runs the test programs given as arguments, shows each one's report and leaves it
# in $OUT with its result, in the form automake's test driver uses. Fails if any test fails.

failed=0
for test in "$@"; do
  name=$OUT/$(echo "$test" | tr / _)
  case $test in
    /*) program=$test ;;
    *) program=./$test ;;
  esac
  # The status passes by a file: that of a pipeline is its last part's.
  { "$program" 2>&1; echo $? >"$name.status"; } | tee "$name.log"
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
  echo "$result: $test"
done
exit $failed
