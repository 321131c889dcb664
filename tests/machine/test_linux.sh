#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's kernel in QEMU (TCG), as other people's guests are: nestctl on its QMP socket and on the
# cores that QEMU dumps says what the kernel itself says, and the audit catches what is planted
# (tests/machine/linux_core.c). NESTBOX_LINUX=DIR adds cores: NAME.elf or NAME.elf.zst with
# NAME.vmallocinfo; NESTBOX_LINUX_SERIES=6.12 takes that kernel. Half a minute.
set -uo pipefail

build=$(realpath "${builddir:-.}")
tree=$(realpath "${top_srcdir:-.}")
work=$(mktemp -d)
machine=
failures=0

# shellcheck disable=SC2317 # called by the trap
cleanup() {
  [ -z "$machine" ] || kill -9 "$machine" 2>/dev/null
  wait
  rm -rf "$work"
}
trap cleanup EXIT

expect() { # CLAIM EXPECTED FOUND
  if [ "$2" = "$3" ]; then
    echo "ok: $1"
  else
    printf 'FAILED: %s\n  expected: %q\n  found:    %q\n' "$1" "$2" "$3"
    failures=$((failures + 1))
  fi
}

missing() {
  echo "skipped: $*"
  [ -z "${NESTBOX_REQUIRE_QEMU:-}" ] || exit 1
  exit 77
}

for program in qemu-system-x86_64 busybox cpio; do
  command -v $program >/dev/null || missing "no $program (scripts/setup lab-npt)"
done

# ---- a kernel ----

# shellcheck disable=SC2317 # called by cache.sh
lab_fail() {
  missing "no kernel: $*"
}
# The lab's cache of kernels; a first run downloads one. It uses lab_fail(), $series and, to call
# scripts/setup, $here; it sets $kernel.
# shellcheck disable=SC2034
here=$tree/scripts
# shellcheck disable=SC2034
series=${NESTBOX_LINUX_SERIES:-6.1}
# shellcheck source=scripts/lab.d/cache.sh
. "$tree/scripts/lab.d/cache.sh"
cache_open
cache_kernel
flock -u 9
: "${kernel:?}"

mkdir -p "$work"/root/{bin,dev,proc}
cp "$(command -v busybox)" "$work/root/bin/busybox"
ln -s busybox "$work/root/bin/sh"
for module in irqbypass kvm; do
  find "$kernel/lib/modules" -name "$module.ko" -exec cp {} "$work/root/" \;
done
cat >"$work/root/init" <<'INIT'
#!/bin/sh
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
# The terminal stays open: opening it allocates; and the shell's own commands start no process.
exec </dev/ttyS0 >/dev/ttyS0 2>&1
for module in irqbypass kvm; do busybox insmod /$module.ko >/dev/null 2>&1; done
busybox sleep 1
while :; do
  echo BEGIN
  while read -r line; do echo "$line"; done </proc/vmallocinfo
  echo END
  read -r line
done
INIT
chmod 755 "$work/root/init"
(cd "$work/root" && find . -print0 | cpio --quiet -0 -o -H newc -R 0:0) >"$work/initrd"

# ---- QEMU ----

start() {
  mkfifo "$work/console.in" "$work/console.out"
  qemu-system-x86_64 -accel tcg,thread=single -M q35 -m 256M -smp 2 -cpu max,-la57 -nodefaults \
    -no-user-config -display none -no-reboot -kernel "$kernel/vmlinuz" -initrd "$work/initrd" \
    -append "console=ttyS0 quiet panic=-1 no_timer_check no_hash_pointers cryptomgr.notests" \
    -qmp "unix:$work/qmp,server=on,wait=off" -chardev "pipe,id=console,path=$work/console" \
    -serial chardev:console </dev/null &
  machine=$!
  exec 7<>"$work/console.in" 8<>"$work/console.out"
}

# Reads the console to the end of a snapshot, into file $1.
snapshot() {
  local line
  while read -r -t 120 line <&8; do
    line=${line%$'\r'}
    case $line in
      *BEGIN) : >"$1" ;;
      END) return 0 ;;
      *) echo "$line" >>"$1" ;;
    esac
  done
  return 1
}

# One command of QMP, on a connection of its own.
qmp() {
  python3 - "$work/qmp" "$@" <<'PYTHON'
import json, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
stream = connection.makefile("rw")
stream.readline()
for command in ['{"execute": "qmp_capabilities"}'] + sys.argv[2:]:
    stream.write(command + "\n")
    stream.flush()
    while True:
        answer = json.loads(stream.readline())
        if "return" in answer or "error" in answer:
            break
sys.exit("error" in answer)
PYTHON
}

nestctl() {
  timeout 60 "$build/nestctl" --qmp "$work/qmp" "$@"
}

dump() { # PAGING FILE
  qmp "{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": $1, \"protocol\": \"file:$2\"}}"
}

start
snapshot "$work/kernel.vmallocinfo"
expect "the kernel starts" 0 $?

nestctl areas >"$work/areas"
expect "areas of a running QEMU are /proc/vmallocinfo" "" \
  "$(diff "$work/kernel.vmallocinfo" "$work/areas" | head -n 5)"
nestctl audit >"$work/audit"
expect "its audit finds nothing" "0 " "$? $(grep -v -e right -e 'not judged' "$work/audit")"
nestctl audit --pause --every 20ms --count 20 >"$work/audit"
expect "nor do 20 with the guest stopped" "0 0" "$? $(grep -c VIOLATIONS "$work/audit")"
expect "and say how long it was" 20 "$(grep -c 'was stopped for' "$work/audit")"
nestctl state --pause --output "$work/state"
expect "the state is written" "0 # nestbox state 1" "$? $(head -n 1 "$work/state")"
expect "it has the free tree's root" 1 "$(grep -c '^free 0 \. b 0x' "$work/state")"
gva=$(nestctl symbol init_uts_ns | cut -d ' ' -f 1)
expect "memory is read by symbol" 1 "$(nestctl read "$gva" 512 | grep -c Linux)"
frame=$(($(nestctl translate "$(grep -m 1 kernel_clone "$work/areas" | cut -d - -f 1)") / 4096))
expect "a stack's frame is vmalloc's, mapped there and directly" "1 1 2" \
  "$(nestctl frame $frame >"$work/frame" && grep -c "^frame $frame .*: vmalloc" "$work/frame") \
$(grep -c 'page 0 of area .* of kernel_clone' "$work/frame") $(grep -c 'mapped at' "$work/frame")"
nestctl frames >"$work/frames"
expect "frames in free blocks are those the zones count" \
  "$(sed -n 's/^listed-free//p' "$work/frames")" "$(sed -n 's/^free       //p' "$work/frames")"
expect "the log is read" 1 "$(nestctl log | grep -c 'Linux version')"
expect "and the modules" 1 "$(nestctl modules | grep -c '^kvm ')"

expect "a core is dumped" 0 "$(dump false "$work/kernel.elf" && echo 0)"
expect "and one with paging" 0 "$(dump true "$work/paging.elf" && echo 0)"
cp "$work/kernel.vmallocinfo" "$work/paging.vmallocinfo"
exec 7<&- 8<&-
kill -9 "$machine"
machine=

expect "a page's address by its core and by the list of all maps" \
  "$("$build/nestctl" --core "$work/kernel.elf" translate init_uts_ns)" \
  "$("$build/nestctl" --core "$work/paging.elf" translate init_uts_ns)"
zstd -q -1 --sparse "$work/paging.elf" -o "$work/paging.elf.zst" && rm "$work/paging.elf"

cores=("$work/kernel.elf" "$work/kernel.vmallocinfo" "$work/paging.elf.zst" "$work/paging.vmallocinfo")
for core in "${NESTBOX_LINUX:-/nowhere}"/*.elf "${NESTBOX_LINUX:-/nowhere}"/*.elf.zst; do
  [ ! -e "$core" ] || cores+=("$core" "${core%.elf*}.vmallocinfo")
done
"$build/tests/machine/linux_core" "${cores[@]}" >"$work/log"
expect "cores of real kernels: areas, audit, planted faults" 0 $?
sed "s|$work/||g" "$work/log"

[ "$failures" = 0 ]
