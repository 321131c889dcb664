#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's copy of the core stands alone: its objects need nothing that they do not define
# themselves, bring no writable data but what a caller hands in, and use no vector registers.
# Run from the build directory; AR, NM and OBJDUMP may be set. An argument replaces the library.
set -eu

library=${1:-mm/libmm_guest.a}
nm=${NM:-nm}
objdump=${OBJDUMP:-objdump}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

fail()
{
  echo "$library: $1" >&2
  sed 's/^/  /' >&2
  failed=1
}

# Defined anywhere in the library, or one of the four functions a compiler may call.
"$nm" -g --defined-only "$library" | awk 'NF == 3 { print $3 }' >"$scratch/defined"
printf '%s\n' memcpy memset memmove memcmp >>"$scratch/defined"
sort -u -o "$scratch/defined" "$scratch/defined"
"$nm" -u "$library" | awk '$1 == "U" { print $2 }' | sort -u >"$scratch/needed"
if [ ! -s "$scratch/defined" ] || ! grep -qx alloc_pages "$scratch/defined"; then
  echo "$library: is not the core" >&2
  exit 1
fi
comm -23 "$scratch/needed" "$scratch/defined" >"$scratch/missing"
[ ! -s "$scratch/missing" ] || fail "needs symbols from outside:" <"$scratch/missing"

# A writable or common symbol is a global: a second instance would share it.
"$nm" "$library" | awk 'NF == 3 && $2 ~ /^[BbDdCSsGg]$/ { print $3 }' >"$scratch/globals"
[ ! -s "$scratch/globals" ] || fail "has globals:" <"$scratch/globals"

# What cannot be disassembled has passed nothing; that no line matches is what is wanted.
"$objdump" -d --no-show-raw-insn "$library" >"$scratch/code" || exit 1
awk '/%([xyz]mm|mm|st)/' "$scratch/code" >"$scratch/vector"
[ ! -s "$scratch/vector" ] || fail "uses registers KVM's emulator does not know:" <"$scratch/vector"

exit $failed
