# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Which KVM a shell test's guests run on, NESTBOX_KVM: as tests/engine.h has it for programs. To be
# sourced before anything is made: outside the labs, where there is a /dev/kvm, the whole script
# runs on the soft engine first.

kvm_works() {
  [ -c /dev/kvm ] && : 2>/dev/null </dev/kvm
}

if [ -z "${NESTBOX_KVM:-}" ]; then
  if ! kvm_works; then
    [ -z "${NESTBOX_REQUIRE_KVM:-}" ] || { echo "/dev/kvm cannot be opened, and NESTBOX_REQUIRE_KVM is set" >&2; exit 1; }
    NESTBOX_KVM=soft
  elif [ -n "${NESTBOX_LAB:-}" ]; then
    NESTBOX_KVM=host
  else
    NESTBOX_KVM=soft "$0" || exit 1
    NESTBOX_KVM=host
  fi
  export NESTBOX_KVM
fi
echo "On $NESTBOX_KVM"
