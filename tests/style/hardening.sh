#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What configure promises of the programs is in them: read from the files themselves. An argument is
# another program to look at.
set -u
readelf=${READELF:-readelf}
objdump=${OBJDUMP:-objdump}
failed=0

case ${HARDEN_CFLAGS:-} in
  *fstack-protector*) ;;
  *)
    echo 'hardening.sh: this build has none (sanitizers, or --disable-hardening): nothing to look at'
    exit 0
    ;;
esac

# has PROGRAM WHAT OPTION PATTERN: readelf OPTION says PATTERN.
has() {
  "$readelf" -W "$3" "$1" 2>/dev/null | grep -qE "$4" || {
    echo "hardening.sh: $1: no $2"
    failed=1
  }
}

for program in "${1:-nestbox}" "${1:-nestctl}"; do
  has "$program" 'position independence' -h 'Type: *DYN'
  has "$program" 'RELRO' -l GNU_RELRO
  has "$program" 'binding at the start' -d 'BIND_NOW|FLAGS.* NOW'
  has "$program" 'stack protector' --dyn-syms '__stack_chk_fail'
  # Whether the kernel enforces it is up to the C library's own start files as well.
  "$objdump" -d --no-show-raw-insn --disassemble=main "$program" | grep -q endbr64 || {
    echo "hardening.sh: $program: main() is no target of indirect branches (CET)"
    failed=1
  }
  case $HARDEN_CFLAGS in *FORTIFY*) has "$program" 'fortified calls' --dyn-syms '__[a-z]*printf_chk' ;; esac
  if "$readelf" -W -l "$program" | grep GNU_STACK | grep -q RWE; then
    echo "hardening.sh: $program: its stack is executable"
    failed=1
  fi
done
exit $failed
