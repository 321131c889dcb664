#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A core of a guest, alive or dead, opened by the tools people have: readelf, gdb with the guest's
# image, drgn, crash; and compressed, by unzstd.
set -uo pipefail

builddir=${builddir:-.}
make_core=$builddir/tests/machine/make_core
image=$builddir/guest/nestbox-guest
failed=0

for tool in readelf nm gdb crash zstd; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: run scripts/setup test" >&2; exit 1; }
done
# drgn is a module of the system's Python, whatever python3 is first in PATH.
python=/usr/bin/python3
$python -c 'import drgn' || { echo "drgn is missing: run scripts/setup test" >&2; exit 1; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# shellcheck disable=SC2034 # used by shell.sh
nestbox=$builddir/nestbox scratch=$dir
# shellcheck source=tests/machine/shell.sh
. "${top_srcdir:-.}/tests/machine/shell.sh"
need_kvm

report() { # CLAIM STATUS [TEXT]
  if [ "$2" -eq 0 ]; then
    echo "ok - $1"
  else
    echo "not ok - $1"
    [ -z "${3:-}" ] || printf '%s\n' "$3" | head -n 40
    failed=1
  fi
}

# Fails where $2 does not have a line that matches each of the patterns that follow.
expect() { # CLAIM TEXT PATTERN...
  local claim=$1 text=$2 pattern
  shift 2
  for pattern in "$@"; do
    grep -Eq -- "$pattern" <<<"$text" || { report "$claim: $pattern" 1 "$text"; return; }
  done
  report "$claim" 0
}

readelf_reads_it() { # CORE
  local text
  text=$(LC_ALL=C readelf -hlnW "$1" 2>&1)
  expect "readelf reads it" "$text" 'CORE \(Core file\)' '^  NOTE ' \
    'NT_PRSTATUS' 'VMCOREINFO' 'LOAD .* 0xffff888000000000 0x0000000000000000'
  grep -Eqi 'warning|error' <<<"$text"
  report "readelf has no complaint" $((! $?)) "$text"
}

gdb_says() { # CORE COMMAND...
  local core=$1 arguments=() command
  shift
  for command in "$@"; do
    arguments+=(-ex "$command")
  done
  gdb -nx -batch -ex "core-file $core" "${arguments[@]}" "$image" 2>&1
}

gdb_reads_the_live() { # CORE AREA GUARD
  local text last
  last=$(printf '0x%x' $(($3 - 8)))
  text=$(gdb_says "$1" 'info threads' 'thread apply all bt' "x/gx $2" "x/gx $last")
  expect "gdb shows where each vCPU waits" "$text" '^\* 1 +LWP 1 ' '^  2 +LWP 2 ' \
    '#[0-9]+ .*hypercall_serve' '#[0-9]+ .*cpu_start' '#[0-9]+ .*entry'
  [ "$(grep -c ' cpu_start ' <<<"$text")" -eq 2 ]
  report "gdb unwinds both vCPUs to where they began" $? "$text"
  expect "gdb reads vmalloc memory" "$text" "^$2:.*$2\$" "^$last:.*$last\$"
  text=$(gdb_says "$1" "x/gx $3")
  expect "gdb cannot read the guard page" "$text" 'Cannot access memory'
}

gdb_reads_the_dead() { # CORE
  local text
  text=$(gdb_says "$1" 'thread 2' 'bt')
  expect "gdb shows where the guest failed" "$text" '#0 .*op_fault' '#[0-9]+ .*hypercall_serve' \
    '#[0-9]+ .*cpu_start'
}

drgn_reads_it() { # CORE AREA GUARD
  local text
  text=$($python - "$@" 2>&1 <<'PYTHON'
import sys
import drgn

program = drgn.Program()
program.set_core_dump(sys.argv[1])
area, guard = int(sys.argv[2], 0), int(sys.argv[3], 0)
assert program.flags & drgn.ProgramFlags.IS_LINUX_KERNEL
for address in range(area, guard, 8):
    assert program.read_u64(address) == address, hex(address)
try:
    program.read_u64(guard)
    raise AssertionError("the guard page can be read")
except drgn.FaultError:
    pass
image = program.read(0xffffffff80200000, 64)
assert program.read(0x200000, 64, True) == image
print("right")
PYTHON
)
  expect "drgn reads through the guest's page tables" "$text" '^right$'
}

# Our helpers for it: the area, its frames in order with the right bytes, the holes around it.
drgn_helps() { # CORE AREA
  local text
  text=$(PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=${top_srcdir:-.}/python $python - "$@" "$image" 2>&1 <<'PYTHON'
import sys
import nestbox_drgn as nestbox

program, address = nestbox.open_core(sys.argv[1], sys.argv[3]), int(sys.argv[2], 0)
(area,) = nestbox.areas(program)
print(nestbox.area_line(program, area))
assert area.va_start.value_() == address
assert nestbox.find_area(program, address + 5 * 4096).va_start.value_() == address
frames = nestbox.area_pages(program, area)
assert len(frames) == 5
for at, frame in enumerate(frames):
    assert program.read_u64(frame << 12, True) == address + 4096 * at
    assert nestbox.page_to_pfn(program, nestbox.pfn_to_page(program, frame)) == frame
holes = list(nestbox.holes(program))
assert holes[-1].va_start.value_() == area.va_end.value_()
assert not list(nestbox.lazy(program))
assert nestbox.place(program, nestbox.Symbols(sys.argv[3]).address("vfree") + 4).startswith("vfree+0x4/0x")
print("right")
PYTHON
)
  expect "drgn's helpers" "$text" "^$2-.* 24576 op_vmalloc.0x0/0x[0-9a-f]* pages=5 vmalloc\$" '^right$'
}

crash_knows_it() { # CORE
  local text
  text=$(crash --osrelease "$1" 2>&1)
  expect "crash knows the release" "$text" '^nestbox-[0-9.]+$'
}

value() { # TEXT KEY
  sed -n "s/^$2=//p" <<<"$1"
}

for kind in alive panic; do
  if ! told=$("$make_core" "$kind" "$dir/$kind" 2>"$dir/errors"); then
    report "a core ($kind) is made" 1 "$(cat "$dir/errors")"
    exit 1
  fi
  echo "# $kind"
  readelf_reads_it "$dir/$kind"
  drgn_reads_it "$dir/$kind" "$(value "$told" area)" "$(value "$told" guard)"
  drgn_helps "$dir/$kind" "$(value "$told" area)"
  crash_knows_it "$dir/$kind"
done
gdb_reads_the_live "$dir/alive" "$(value "$told" area)" "$(value "$told" guard)"
gdb_reads_the_dead "$dir/panic"

"$make_core" alive "$dir/alive.zst" zstd >/dev/null 2>&1 &&
  zstd -q -d --sparse "$dir/alive.zst" -o "$dir/unpacked"
report "zstd unpacks it" $?
crash_knows_it "$dir/unpacked"

# An image whose hypercalls are an invalid instruction, started by a command with --dump.
$python - "$image" "$dir/image" <<'PYTHON'
import struct, subprocess, sys

image = bytearray(open(sys.argv[1], "rb").read())
symbols = subprocess.run(["nm", sys.argv[1]], capture_output=True, text=True, check=True).stdout
at = next(int(line.split()[0], 16) for line in symbols.splitlines()
          if line.endswith(" hypercall_drain"))
offset, entry_bytes, count = struct.unpack_from("<Q14xHH", image, 32)
for i in range(count):
    kind, _, start, address, _, size = struct.unpack_from("<IIQQQQ", image, offset + i * entry_bytes)
    if kind == 1 and address <= at < address + size:
        image[start + at - address:start + at - address + 2] = b"\x0f\x0b"
open(sys.argv[2], "wb").write(image)
PYTHON
told=$("$builddir/nestbox" bench --kvm "$NESTBOX_KVM" --image "$dir/image" --dump "$dir/dead" 2>&1)
report "a command whose guest dies ends with 1" $(($? != 1)) "$told"
expect "it says where the core is" "$told" "^nestbox: the guest that died is in $dir/dead"
image=$dir/image
expect "gdb shows where the command's guest failed" "$(gdb_says "$dir/dead" bt)" \
  '#0 .*hypercall_drain'

exit $failed
