#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest of ours in libvirt's terms: nestctl domain-xml, dommemstat and domstats. Soft engine alone:
# nothing here is about KVM. Prints its count as Check does.
set -u
nestbox=$PWD/nestbox
nestctl=$PWD/nestctl
scratch=$(mktemp -d) || exit 1
XDG_RUNTIME_DIR=$scratch/run
export XDG_RUNTIME_DIR
mkdir -m 700 "$XDG_RUNTIME_DIR"
top=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
trap '"$nestctl" -n one quit >/dev/null 2>&1; "$nestctl" -n two quit >/dev/null 2>&1; rm -rf "$scratch"' EXIT

# shellcheck source=tests/machine/shell.sh disable=SC2154 # automake's environment, with a fallback
. "$top/tests/machine/shell.sh"

ctl() { status 0 "$nestctl" "$@"; }
# The guest's XML is in file $2, and libvirt's schema takes it.
valid() {
  ctl -n "$1" domain-xml && cp "$scratch/out" "$2" || return 1
  if command -v virt-xml-validate >/dev/null; then
    virt-xml-validate "$2" domain >"$scratch/out" 2>&1
  else
    echo "NOT CHECKED: virt-xml-validate is missing" >&2
    [ -z "${NESTBOX_REQUIRE_FORMAT:-}" ]
  fi
}
start() { status 0 "$nestbox" run --kvm soft --daemonize "$@"; }
# between LEAST NUMBER MOST
between() { [ "$1" -le "$2" ] && [ "$2" -le "$3" ]; }
# The value of the line of the last run that begins with $1 and = or a space.
value() { sed -n "s/^$1[= ]//p" "$scratch/out"; }

# ---- domain-xml ----

claim "a guest with two nodes" start --name one --memory 96M --cpus 3 --nodes 2
claim "libvirt's schema takes its XML" valid one "$scratch/one.xml"
claim "its vCPUs are where the guest has them" grep -q '<cell id="0" cpus="0-1" memory="49152"' "$scratch/one.xml"
sed -e 's/<name>one/<name>two/' -e "s|</name>|&<uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>|" \
  "$scratch/one.xml" >"$scratch/two.xml"
claim "which starts another" start --domain "$scratch/two.xml"
claim "without a warning" test "$(cat "$scratch/err")" = \
  "nestbox run: two: serving $XDG_RUNTIME_DIR/nestbox/two.sock"
claim "whose XML is valid" valid two "$scratch/again.xml"
claim "and the same, with its UUID" test "$(tr -d ' \n' <"$scratch/again.xml")" = \
  "$(tr -d ' \n' <"$scratch/two.xml")"
claim "it ends" ctl -n two quit
sed -i 's/cpus="0-1"/cpus="0"/; s/cpus="2"/cpus="1-2"/' "$scratch/two.xml"
claim "vCPUs in other cells" start --domain "$scratch/two.xml"
claim "are not honoured, which is said" grep -q 'cpus= of cell 1 is not honoured' "$scratch/err"
claim "and its XML says where they are" valid two "$scratch/again.xml"
claim "as the guest has it" grep -q '<cell id="0" cpus="0-1"' "$scratch/again.xml"
claim "it ends too" ctl -n two quit
claim "anonymous memory, all of it at once" start --name two --memory 32M --backing anon,prealloc
claim "has an XML as valid" valid two "$scratch/again.xml"
claim "that says so" grep -q '<source type="anonymous"/>' "$scratch/again.xml"
claim "of both" grep -q '<allocation mode="immediate"/>' "$scratch/again.xml"

# ---- dommemstat ----

before=$(date +%s)
claim "memory statistics" ctl -n one dommemstat
claim "are those that can be measured, by libvirt's names" test "$(cut -d ' ' -f 1 "$scratch/out" | paste -sd ' ')" = \
  "unused available actual rss usable last_update"
claim "there is no balloon" test "$(value actual)" = 98304
claim "they are of now" between "$before" "$(value last_update)" "$(date +%s)"
unused=$(value unused)
claim "what is free is not more than what there is" test "$unused" -lt "$(value available)"
claim "nor usable more than free" between 1 "$(value usable)" "$unused"
claim "1024 frames are taken" ctl -n one vmalloc 4M
claim "and seen" ctl -n one dommemstat
# The tables, the area's bookkeeping and what CPUs keep on lists of their own are more.
claim "as not free any more" between 4096 "$((unused - $(value unused)))" 4608
"$nestctl" -n one status >"$scratch/out"
pid=$(sed -n 's/.*pid \([0-9]*\),.*/\1/p' "$scratch/out")
claim "rss" ctl -n one dommemstat
resident=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
claim "is the process's" between "$((resident - 2048))" "$(value rss)" "$((resident + 2048))"
claim "in JSON with libvirt's tags" ctl -n one dommemstat --json
claim "that is" says '"tag": 6, "name": "actual", "value": 98304'

# ---- domstats ----

claim "bulk statistics" ctl -n one domstats
claim "by their names" says '^state.state=1$' '^state.reason=1$' '^cpu.time=[1-9]' '^balloon.current=98304$' \
  '^balloon.maximum=98304$' '^balloon.last-update=[1-9]' '^vcpu.current=3$' '^vcpu.2.state=1$' '^vcpu.0.time=[1-9]' \
  '^vcpu.1.halted=yes$' '^dirtyrate.calc_status=0$' '^vcpu.0.exits.sum=[1-9]'
claim "of one group" ctl -n one domstats --state
claim "that group alone" test "$(cat "$scratch/out")" = "state.state=1
state.reason=1"
claim "paused" ctl -n one stop
claim "by a user" ctl -n one domstats --state
claim "VIR_DOMAIN_PAUSED_USER" test "$(paste -sd ' ' "$scratch/out")" = "state.state=3 state.reason=1"
claim "on again" ctl -n one cont
claim "not booted but unpaused" ctl -n one domstats --state
claim "VIR_DOMAIN_RUNNING_UNPAUSED" test "$(paste -sd ' ' "$scratch/out")" = "state.state=1 state.reason=5"
claim "written pages are counted" ctl -n one dirty-start
claim "the rate is" ctl -n one domstats --dirtyrate
claim "being measured" says '^dirtyrate.calc_status=1$' '^dirtyrate.calc_mode=dirty-bitmap$'
claim "an epoch later" ctl -n one dirty-collect
claim "it was" ctl -n one domstats --dirtyrate
claim "measured" says '^dirtyrate.calc_status=2$' '^dirtyrate.megabytes_per_second=[0-9]'
claim "a guest dies" status 1 "$nestctl" -n two x-test-panic
claim "and is" ctl -n two domstats --state --vcpu
claim "VIR_DOMAIN_CRASHED_PANICKED, its vCPU offline" says '^state.state=6$' '^state.reason=1$' '^vcpu.0.state=0$'
claim "its memory can be asked after" ctl -n two dommemstat
claim "it goes" status 0 "$nestctl" -n two quit

# ---- errors have libvirt's numbers ----

for verb in domain-xml dommemstat domstats; do
  claim "$verb of a guest there is not" refuses 3 '(VIR_ERR_NO_DOMAIN, 42)' "$nestctl" -n nobody $verb
done
claim "a group there is not" refuses 2 'frob' "$nestctl" -n one domstats --frob

conclude
