#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tests scripts/tally: what each kind of test result counts as, and its exit status.
set -euo pipefail

tally=$(dirname "$(realpath "$0")")/../../scripts/tally
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
files=()

# Writes the result of one program: NAME RESULT LOG-LINE...
result() {
  printf '%s\n' "${@:3}" >"$work/$1.log"
  printf ':test-result: %s\n:global-test-result: %s\n' "$2" "$2" >"$work/$1.trs"
  files+=("$work/$1.trs" "$work/$1.log")
}

expect() { # CLAIM STATUS LINE
  local status=0 line
  line=$("$tally" -v label=host "${files[@]}" </dev/null) || status=$?
  if [ "$status: $line" != "$2: host: $3" ]; then
    echo "FAILED: $1: expected '$2: host: $3', found '$status: $line'"
    failures=$((failures + 1))
  fi
  files=()
}

expect "no test at all is a failure" 1 "0 passed, 0 failed, 0 skipped"

result a PASS "100%: Checks: 12, Failures: 0, Errors: 0"
result b PASS "ok" "not Check's summary: 100%: Checks: 9, Failures: 0, Errors: 0"
expect "Check programs count their tests, others one" 0 "13 passed, 0 failed, 0 skipped"

result a PASS "100%: Checks: 2, Failures: 0, Errors: 0" "100%: Checks: 3, Failures: 0, Errors: 0"
expect "a program may run several suites" 0 "5 passed, 0 failed, 0 skipped"

result a FAIL "57%: Checks: 7, Failures: 2, Errors: 1"
result b PASS
expect "failures and errors are failed tests" 1 "5 passed, 3 failed, 0 skipped"

result a FAIL "100%: Checks: 7, Failures: 0, Errors: 0" "ERROR: LeakSanitizer: detected memory leaks"
expect "a program that fails after its tests is one failure" 1 "7 passed, 1 failed, 0 skipped"

result a SKIP "skipped: no KVM"
result b PASS
expect "skipped programs count once" 0 "1 passed, 0 failed, 1 skipped"

result a SKIP
expect "nothing but skips is a failure" 1 "0 passed, 0 failed, 1 skipped"

result a ERROR
result b FAIL "Segmentation fault"
result c XPASS
expect "whatever is not a pass is a failure" 1 "0 passed, 3 failed, 0 skipped"

result a PASS
rm "$work/a.log"
files=("$work/a.trs")
expect "a result without a log counts" 0 "1 passed, 0 failed, 0 skipped"

exit $((failures > 0))
