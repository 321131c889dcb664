# SPDX-License-Identifier: GPL-2.0-or-later
# Lab EPT: Bochs emulates an Intel machine whose VMX has EPT. Sourced by scripts/lab.
# shellcheck shell=bash disable=SC2154 # set by scripts/lab

# machine.sh, payload.sh and scripts/lab use these.
# shellcheck disable=SC2034
{
  machine_module=kvm-intel
  machine_parameters='ept=1'
  machine_slowness=10
}

# Instructions in a second of the machine's time, which its kernel must be told: it believes the
# processor's name otherwise, and waits 17 times longer than asked. Idle time is skipped, so a fast
# clock only gives programs more to do before their timeouts.
ept_ips=200000000

machine_defaults() {
  cpus=${cpus:-1}
  memory=${memory:-512M}
  timeout=${timeout:-900}
}

machine_check() {
  [ "$icount" = 0 ] || bad_usage "--icount is for npt"
  [ "$la57" = 0 ] || bad_usage "--la57 is for npt"
  [ "$nodes" = 1 ] || bad_usage "--nodes is for npt"
  [ -z "$gdb" ] || bad_usage "--gdb is for npt; see --debugger"
  [ -z "$qmp" ] || bad_usage "--qmp is for npt: Bochs has no such monitor"
  [ "$debugger" = 0 ] || [ ${#command[@]} -gt 0 ] ||
    bad_usage "the terminal cannot serve both --debugger and a shell"
  [ "$cpus" = 1 ] || bad_usage "--cpus $cpus: this lab has one CPU"
  [ "$memory_mib" -le 2048 ] || bad_usage "--memory $memory: at most 2G here"
}

# Sets ept_fix to bochs-fix.c, compiled.
ept_compile_fix() {
  local hash
  hash=$(sha256sum "$lab_d/bochs-fix.c" | cut -c 1-32)
  ept_fix=$cache/base/bochs-fix-$hash.so
  [ -e "$ept_fix" ] || {
    "${CC_FOR_BUILD:-gcc}" -D_GNU_SOURCE -O2 -shared -fPIC -o "$work/fix.so" "$lab_d/bochs-fix.c" &&
      mv "$work/fix.so" "$ept_fix"
  } || lab_fail "cannot compile $lab_d/bochs-fix.c"
}

# Makes the disc the machine boots from.
ept_disc() {
  mkdir -p "$work/disc/boot/grub"
  cp "$kernel/vmlinuz" "$work/disc/boot/vmlinuz"
  cat "$base" "$work/payload.cpio" >"$work/disc/boot/initrd"
  cat >"$work/disc/boot/grub/grub.cfg" <<END
set timeout=0
linux /boot/vmlinuz $lab_words tsc_early_khz=$((ept_ips / 1000)) $append
initrd /boot/initrd
boot
END
  grub-mkrescue -d /usr/lib/grub/i386-pc -o "$work/disc.iso" "$work/disc" \
    >"$work/machine.log" 2>&1 || machine_report_failure "cannot make the boot disc"
  rm -rf "$work/disc"
}

# The machine. It has no sound card, because Bochs needs one of the host's otherwise. Time goes
# with instructions (ips), not with the host's clock.
ept_configuration() {
  local console="mode=file, dev=$work/console"
  [ ${#command[@]} -gt 0 ] || console="mode=term, dev=$(tty)"
  cat <<END
display_library: rfb, options="timeout=0"
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
megs: $memory_mib
cpu: model=corei7_skylake_x, count=1, ips=$ept_ips, reset_on_triple_fault=0
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$work/disc.iso, status=inserted
boot: cdrom
com1: enabled=1, $console
com2: enabled=1, mode=file, dev=$work/stdout
com3: enabled=1, mode=file, dev=$work/stderr
com4: enabled=1, mode=file, dev=$work/report
log: $work/bochs.log
panic: action=fatal
clock: sync=none, time0=utc
END
}

# Debian's Bochs starts in its debugger: `c` lets it go, and its standard input must stay open.
machine_start() {
  ept_compile_fix
  ept_disc
  ept_configuration >"$work/bochsrc"
  if [ "$debugger" = 1 ]; then
    LD_PRELOAD=$ept_fix bochs-bin -q -f "$work/bochsrc" </dev/tty >/dev/tty 2>&1 5<&- 6<&- &
    machine_pid=$!
    return
  fi
  echo c >"$work/commands"
  mkfifo "$work/input"
  exec 7<>"$work/input"
  LD_PRELOAD=$ept_fix bochs-bin -q -f "$work/bochsrc" -rc "$work/commands" \
    <&7 5<&- 6<&- >"$work/machine.log" 2>&1 &
  machine_pid=$!
  exec 7<&-
}
