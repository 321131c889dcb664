# SPDX-License-Identifier: GPL-2.0-or-later
# What the shell tests of nestbox and nestctl share. They set nestbox (the program) and scratch (a
# directory, for out and err of the last run), source this, or source this and call on_soft, and end
# with conclude.
# shellcheck shell=sh disable=SC2154 # nestbox, scratch: the caller's

checks=0
failures=0

# on_soft: for a test that is about no KVM: it runs once, on the soft engine, with a directory and
# sockets of its own. Sets nestbox, nestctl, data and scratch. A guest named by NESTBOX_NAME is ended
# with the test. To be called first; top is set.
on_soft() {
  # shellcheck disable=SC2034 # data: the caller's
  nestbox=$PWD/nestbox nestctl=$PWD/nestctl data=$top/tests/data
  scratch=$(mktemp -d) || exit 1
  trap '[ -z "${NESTBOX_NAME:-}" ] || "$nestctl" quit >/dev/null 2>&1; rm -rf "$scratch"' EXIT
  NESTBOX_KVM=soft XDG_RUNTIME_DIR=$scratch
  export NESTBOX_KVM XDG_RUNTIME_DIR
}

# Chooses the KVM that guests run on, NESTBOX_KVM, as tests/engine.h does for programs. To be called
# before anything is made: outside the labs, where there is a /dev/kvm, the whole script runs on the
# soft engine first.
need_kvm() {
  [ -z "${NESTBOX_KVM:-}" ] || return 0
  "$nestbox" doctor --kvm host >"$scratch/out" 2>&1
  if [ $? = 3 ]; then
    grep '^missing' "$scratch/out" >&2
    [ -z "${NESTBOX_REQUIRE_KVM:-}" ] || { echo "and NESTBOX_REQUIRE_KVM is set" >&2; exit 1; }
    NESTBOX_KVM=soft
  elif [ -n "${NESTBOX_LAB:-}" ]; then
    NESTBOX_KVM=host
  else
    NESTBOX_KVM=soft "$0" || exit 1
    NESTBOX_KVM=host
  fi
  export NESTBOX_KVM
  echo "On $NESTBOX_KVM"
}

# claim TEXT COMMAND...: counts, and says what did not hold with what the last run printed.
claim() {
  text=$1
  shift
  checks=$((checks + 1))
  if "$@"; then
    echo "ok: $text"
    return
  fi
  failures=$((failures + 1))
  echo "FAILED: $text"
  sed 's/^/  out: /' "$scratch/out" | head -n 40
  sed 's/^/  err: /' "$scratch/err" | head -n 10
}

# status STATUS COMMAND...: runs it and holds its exit status against STATUS.
status() {
  want=$1
  shift
  "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
  got=$?
  [ "$got" = "$want" ] || echo "$*: status $got instead of $want"
  [ "$got" = "$want" ]
}

# says PATTERN...: the last run's output matches each of them.
says() {
  for pattern in "$@"; do
    grep -q -e "$pattern" "$scratch/out" || { echo "no '$pattern' in the output"; return 1; }
  done
}

# refuses STATUS PATTERN COMMAND...: that status, nothing on standard output, PATTERN said.
refuses() {
  want_status=$1 pattern=$2
  shift 2
  status "$want_status" "$@" && [ ! -s "$scratch/out" ] && grep -q -e "$pattern" "$scratch/err"
}

# The count, as Check prints it, is the test's last line.
conclude() {
  percent=100
  [ "$failures" = 0 ] || percent=$((100 * (checks - failures) / checks))
  echo "$percent%: Checks: $checks, Failures: $failures, Errors: 0"
  [ "$failures" = 0 ]
}
