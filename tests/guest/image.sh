#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Checks the guest image from outside: that it is whole, that its segments are what guest/abi.h
# promises the host, that its layout note is there and true, and that it holds no instruction
# which KVM's emulator does not know.
#
# usage: image.sh [IMAGE]
set -eu
export LC_ALL=C

image=${1:-${builddir:-.}/guest/nestbox-guest}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail()
{
	echo "image.sh: $image: $*" >&2
	failures=$((failures + 1))
}

[ -r "$image" ] || { echo "image.sh: $image cannot be read" >&2; exit 1; }

readelf -hW "$image" >"$work/header"
readelf -lW "$image" >"$work/segments"
readelf -SW "$image" >"$work/sections"
nm "$image" >"$work/symbols"
objdump -d --no-show-raw-insn -w "$image" >"$work/code"

# A static image for this machine.
grep -q 'Type: *EXEC ' "$work/header" || fail "is not of type EXEC"
grep -q 'Machine:.*X86-64' "$work/header" || fail "is not for x86-64"
grep -qE '^ *(INTERP|DYNAMIC) ' "$work/segments" && fail "wants a dynamic linker"
undefined=$(nm -u "$image")
[ -z "$undefined" ] || fail "undefined symbols: $undefined"
entry=$(sed -n 's/.*Entry point address: *0x//p' "$work/header")
grep -q "^$entry T entry\$" "$work/symbols" || fail "is not entered at \`entry'"

# Segments: on pages of their own, physical = virtual - NB_IMAGE_BASE, none writable and
# executable. Addresses are compared as text without the upper 32 bits, which are all ones.
grep -E '^ *LOAD ' "$work/segments" >"$work/loads" || fail "has no PT_LOAD"
last_end=0
while read -r _ _ virtual physical file memory flags; do
	flags=${flags% *}
	case $virtual in
	0xffffffff*) ;;
	*) fail "segment at $virtual lies outside the image's range" ;;
	esac
	low=0x${virtual#0xffffffff}
	[ $((low & 4095)) -eq 0 ] || fail "segment at $virtual is not page aligned"
	[ $((low - 0x80000000)) -eq $((physical)) ] ||
		fail "segment at $virtual is loaded at $physical"
	[ $((low)) -ge $((last_end)) ] || fail "segment at $virtual shares a page"
	[ $((file)) -le $((memory)) ] || fail "segment at $virtual is larger in the file"
	last_end=$(((low + memory + 4095) & ~4095))
	case $flags in
	*W*E*) fail "segment at $virtual is writable and executable" ;;
	esac
done <"$work/loads"
grep -qE '^ *LOAD .* 0x[0-9a-f]+ 0x[0-9a-f]+ R E ' "$work/segments" || fail "has no text segment"
grep -E '^ *GNU_STACK ' "$work/segments" | grep -q ' RW  ' || fail "wants an executable stack"

# The layout note: in a PT_NOTE, of the right name and type, its text true.
section=$(grep -E ' \.note\.nestbox +NOTE ' "$work/sections" | sed 's/^ *\[ *[0-9]*\] *//') || section=
# shellcheck disable=SC2086 # the fields of one line
set -- $section
if [ $# -lt 5 ]; then
	fail "has no section .note.nestbox"
else
	grep -E '^ *NOTE ' "$work/segments" | grep -qi "0x0*$4 0x$3 .* 0x0*$5 0x0*$5 R " ||
		fail "the layout note has no PT_NOTE of its own"
	readelf -nW "$image" 2>/dev/null | grep -qE '^ *NESTBOX .*0x00004e42' ||
		fail "the layout note is not named NESTBOX, type 0x4e42"
	objcopy -O binary --only-section=.note.nestbox "$image" "$work/note"
	machine=$(tr -d '\000' <"$work/note" | sed -n 's/^.*SYMBOL(machine)=//p')
	[ -n "$machine" ] || fail "the layout note has no SYMBOL(machine)"
	grep -q "^$machine [BbDd] machine\$" "$work/symbols" ||
		fail "the layout note has machine at '$machine', the symbol table elsewhere"
fi

# Instructions KVM's emulator does not know, or which would need state the guest does not save.
# CRC32 stands in op_emulate alone, which is there to provoke this. What runs at CPL 3 the emulator
# never sees.
awk '
	/^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3); next }
	NF < 2 || name ~ /^user_program/ { next }
	{
		line = $0
		sub(/^[^\t]*\t/, "", line)
		code = line
		while (code ~ /^(lock|rep|repz|repnz|cs|ds|es|ss|data16|bnd|notrack) /)
			sub(/^[a-z0-9]+ /, "", code)
		split(code, word, /[ \t]/)
		op = word[1]
		bad = 0
		if (code ~ /%[xyz]mm|%mm[0-7]|%st|%k[0-7]|%bnd|%cr8/) bad = 1
		if (op ~ /^f/ || (op ~ /^v/ && op !~ /^ver[rw]$/)) bad = 1
		if (op ~ /^([mls]fence|popcnt|lzcnt|int|int[13o]|swapgs|sysret[lq]?|sysexit[lq]?)$/) bad = 1
		if (op ~ /^(sysenter|syscall|monitor|mwait|rdtscp|rdpid|rdrand|rdseed|emms|ldmxcsr)$/) bad = 1
		if (op ~ /^(xsave|xrstor|xgetbv|xsetbv|pdep|pext|bextr|andn|bls|mulx|rorx|sarx|sh[lr]x)/) bad = 1
		if (op ~ /^(adcx|adox|crc32|stac|clac|wrgsbase|rdgsbase|wrfsbase|rdfsbase|invpcid)/) bad = 1
		if (op ~ /^\(bad\)|^movnti|^clflush|^clwb|^endbr/) bad = 1
		if (op ~ /^crc32/ && name == "op_emulate") bad = 0
		if (bad) printf "%s: %s\n", name, line
		seen++
	}
	END { if (seen < 1000) print "only " seen " instructions were found" }
' "$work/code" >"$work/bad"
while read -r line; do
	fail "not for the emulator: $line"
done <"$work/bad"

[ "$failures" -eq 0 ] || exit 1
echo "image.sh: $image: $(wc -l <"$work/loads") segments and $(grep -c '	' "$work/code") instructions are right"
