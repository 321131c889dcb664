#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2016 # fences of Markdown, and what inner shells expand
# What takes long and how it ends early, what a release lets through, the Python module, a newcomer's
# steps (docs/first-steps.md). That every verb takes good and refuses bad input is
# test_verb_table.c's. Prints its count as Check does.
set -u
nestbox=$PWD/nestbox
nestctl=$PWD/nestctl
scratch=$(mktemp -d) || exit 1
XDG_RUNTIME_DIR=$scratch/run
export XDG_RUNTIME_DIR
mkdir -m 700 "$XDG_RUNTIME_DIR"
top=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
trap '"$nestctl" -n main quit >/dev/null 2>&1; "$nestctl" -n held quit >/dev/null 2>&1; rm -rf "$scratch"' EXIT

# shellcheck source=tests/machine/shell.sh disable=SC2154 # automake's environment, with a fallback
. "$top/tests/machine/shell.sh"
kvm=${NESTBOX_KVM:-soft}

claim "a command nestbox has not" refuses 2 "did you mean 'replay'?" "$nestbox" replya
claim "a guest" status 0 "$nestbox" run --kvm "$kvm" --name main --memory 32M --cpus 2 --unsafe --daemonize

# ---- completion, as completions/nestctl asks ----

claim "what a symbol may be" status 0 "$nestctl" walk --complete 1 vmalloc_n
claim "are the image's" says '^vmalloc_node_range$'
claim "what an operand may be" status 0 "$nestctl" ept release --complete 2 ''
claim "are its choices" says '^go$' '^deny$'
claim "flags behind a bar" status 0 "$nestctl" vmalloc --complete --gfp 'GFP_KERNEL|'
claim "keep what is before it" says '^GFP_KERNEL|__GFP_ZERO$'
claim "an error is JSON too" status 2 "$nestctl" walk no_such_symbol --json
claim "with its words" says '^{"error": {.*no_such_symbol'
claim "not mapped is the same to walk" status 1 "$nestctl" walk 0x1000
claim "and to translate" status 1 "$nestctl" translate 0x1000
claim "JSON or not" status 1 "$nestctl" walk 0x1000 --json

# ---- what takes long: how far it is, Ctrl-C, cancel, clients that vanish ----

# interrupted VERB...: ended by Ctrl-C after a second, with what was done so far. --foreground: one
# signal alone; a second one ends the program at once.
interrupted() {
  status 1 timeout --foreground --preserve-status -s INT 1 "$nestctl" "$@" &&
    grep -q 'interrupted: this is what was done so far' "$scratch/err"
}
claim "Ctrl-C ends a bench" interrupted bench fix_size 100000000 --pages 1
claim "which says what it did" says '^loops  *[1-9][0-9]\{0,7\}$'
claim "in JSON" interrupted bench random_size 100000000 --json
claim "as a member" says '"interrupted": true'
claim "Ctrl-C ends load, slices too" status 1 timeout --foreground --preserve-status -s INT 1 "$nestctl" load fix_size --slice 100000000 --loops 100000000
claim "with each vCPU's" says '^0  *[1-9]' '^1  *[1-9]' '^interrupted: '

claim "load of several cases" status 0 "$nestctl" load fix_size,random_size,fix_align --loops 40 --slice 10
claim "in four slices a vCPU" says '^0  *40  *4 ' '^1  *40  *4 '
claim "Ctrl-C ends nestbox bench" status 1 timeout --foreground --preserve-status -s INT 1 "$nestbox" bench --kvm soft --case fix_size --loops 100000000
claim "which says where" grep -q 'interrupted in fix_size 1: ' "$scratch/err"

# doing PATTERN: status says it within some seconds.
doing() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    status 0 "$nestctl" status && says "$1" >/dev/null && return
    sleep 0.3
  done
  says "$1"
}
long='{"execute": "bench", "arguments": {"case": "fix_size", "loops": 100000000, "pages": 1, "vcpu": 1}, "id": "mine"}'
"$nestctl" execute "$long" >"$scratch/cancelled" 2>&1 &
asker=$!
claim "status says what runs, and how far" doing '^vCPU 1: bench for .* of 100000000 (nestctl cancel --job mine)$'
claim "what does not run is not cancelled" refuses 1 'status says' "$nestctl" cancel --job other
claim "nor on another vCPU" refuses 1 'status says' "$nestctl" cancel --vcpu 0
claim "cancel" status 0 "$nestctl" cancel --job mine
claim "says how many" says '^1$'
wait $asker
claim "whoever asked is told what was done" grep -q '"loops": [1-9][0-9]*, "interrupted": true.*"id": "mine"' "$scratch/cancelled"
"$nestctl" execute "$long" >/dev/null 2>&1 &
asker=$!
claim "one that is about to vanish" doing '^vCPU 1: bench '
kill -9 $asker
wait $asker 2>/dev/null
over() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    status 0 "$nestctl" status && ! grep -q '^vCPU' "$scratch/out" && return
    sleep 0.3
  done
  return 1
}
claim "takes what it asked for with it" over
claim "and leaves all right" status 0 "$nestctl" audit

# ---- what a release lets through: the core copies with rep movsq, eight bytes a step ----

claim "a guest with traps" status 0 "$nestbox" run --kvm "$kvm" --name held --memory 16M --traps --daemonize
area=$("$nestctl" -n held vmalloc 4K)
claim "a trap" status 0 "$nestctl" -n held ept trap "$area" --access write --policy hold
# holds UNTIL: how often a write of 32 bytes is held when each release is --until UNTIL.
holds() {
  # Of this one, not of the one before.
  : >"$scratch/wrote"
  timeout 60 "$nestctl" -n held vwrite "$area" 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff >"$scratch/wrote" 2>&1 &
  writer=$!
  count=0
  for _ in $(seq 200); do
    "$nestctl" -n held ept release 0 go --until "$1" >/dev/null 2>&1 && count=$((count + 1))
    grep -q stored "$scratch/wrote" && break
    sleep 0.02
  done
  wait $writer
  [ "$count" = "$2" ] || { echo "$count releases instead of $2"; return 1; }
}
claim "each access by itself" holds access 4
claim "the whole of a repeated instruction" holds instruction 1
claim "the whole operation" holds operation 1
claim "of which each access is counted" status 0 "$nestctl" -n held ept traps
claim "all twelve" says ' 12$'
claim "and the next is held again" holds access 4
claim "that guest ends" status 0 "$nestctl" -n held quit

# ---- Python ----

if command -v python3 >/dev/null; then
  cat >"$scratch/try.py" <<'PY'
import nestbox

with nestbox.connect("main") as guest:
    area = guest.vmalloc(size=8192)["address"]
    guest.write(area, b"hello")
    assert guest.read(int(area, 16), 5) == b"hello"
    assert any(one["start"] == area for one in guest.areas())
    assert guest.read_u64("machine") != 0
    guest.vfree(address=area)
    try:
        guest.vmalloc(size=4096, vcpu=5)
    except nestbox.Error as error:
        assert error.argument == "vcpu", error.argument
    else:
        raise AssertionError("vCPU 5")
    guest.x_test_warn()
    assert [event for event in guest.events if event["event"] == "WARN"]
PY
  claim "the Python module" env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$top/python" python3 "$scratch/try.py"
  claim "its example" env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$top/python" python3 "$top/python/vmallocinfo.py" main
fi
claim "the guest ends" status 0 "$nestctl" quit

# ---- the newcomer's steps ----

sed -n '/^```sh$/,/^```$/p' "$top/docs/first-steps.md" | grep -v '^```' >"$scratch/steps.sh"
cat >"$scratch/bin.sh" <<SH
nestbox() {
  if [ "\$1" = run ]; then shift; set -- run --kvm $kvm "\$@"; fi
  "$nestbox" "\$@"
}
nestctl() { "$nestctl" "\$@"; }
cd "$scratch" || exit 1
SH
steps() { status 0 sh -e -c '. "$1"; . "$2"' sh "$scratch/bin.sh" "$scratch/steps.sh"; }
claim "the first steps of docs/first-steps.md" steps
# Lines that run one of the programs.
claim "which are forty and more" [ "$(grep -c 'nestbox \|nestctl ' "$scratch/steps.sh")" -ge 40 ]

conclude
