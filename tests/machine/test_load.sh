#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# nestbox load: a workload on several vCPUs, audited; the same each time where it says so; compared,
# drawn; bad files refused. On the soft engine, which counts.
set -u
# shellcheck disable=SC2154 # automake's environment, with a fallback
top=${top_srcdir:-$(dirname "$0")/../..}
nestbox=$PWD/nestbox
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# shellcheck source=tests/machine/shell.sh
. "$top/tests/machine/shell.sh"

model() {
  status 0 "$nestbox" model --kvm soft --out "$scratch/m" "$top/tests/data/modules-2cpu" &&
    says '^modules-2cpu: the load fits, in [0-9]* phases$' '^fragmentation, mean ' '^lifetime  *recording ' &&
    status 0 "$nestbox" load --kvm soft "$scratch/m" && says '^m: right; audit clean$'
}
claim "a recording's model fits, and its workload can be run" model
ready() {
  for file in "$top"/workloads/*; do
    status 0 "$nestbox" load --kvm soft "$file" && says ': right; audit clean$' || return 1
  done
}
claim "every workload of the folder runs" ready
nothing() { refuses 2 'there is no trace' "$nestbox" model --kvm soft "$scratch"; }
claim "no recording, no model" nothing

cat >"$scratch/w" <<'TEXT'
workload 1
cpus 2
class stack
	size 16K
	align 16K
	lifetime exponential 40
	touch first
class module
	size table 4K..64K x 10, 1M x 1
	window modules
	lifetime uniform 1..400
class ring
	kind user
	size uniform 4K..32K
	lifetime 20
class io
	kind reserve
	size 8K
	lifetime pareto 2 1.1
	free any
setup boot
	use stack 20 lifetime forever
	use io 20 lifetime phase
phase storm
	use stack 600
	use module 60
	use ring 30
	use io 60
	purges 3
phase end
	use stack 20
	drain
TEXT
load() {
  want=$1
  shift
  status "$want" "$nestbox" load --kvm soft "$@" "$scratch/w"
}

right() {
  load 0 --audit every=100 &&
    says '^w: right; audit clean$' ' 810 allocations, 810 frees on 2 vCPUs' '^map  *30 ' '^purge  *3 '
}
claim "two vCPUs, all kinds of areas, audited" right
ended() { load 0 --json && says '"areas": 0,' '"failed": 0' '"violations": 0'; }
claim "nothing is left behind by a drain" ended
exact() {
  load 0 --schedule seed=3 --json && says '"exact": true' && sed '/seconds/d' "$scratch/out" >"$scratch/1" &&
    load 0 --schedule seed=3 --json && sed '/seconds/d' "$scratch/out" | cmp - "$scratch/1"
}
claim "by a schedule the same run, to the instruction" exact
outside() {
  load 0 --cpus 1 --where --audit none &&
    awk '/outside mm/ { ok = $4 < 15 } END { exit !ok }' "$scratch/out"
}
claim "less than 15 % of the instructions are outside mm/" outside

load 0 --cpus 1 --schedule seed=1 --json
cp "$scratch/out" "$scratch/before"
same() {
  load 0 --cpus 1 --schedule seed=1 --compare "$scratch/before" --threshold 0 && says '^alloc mean .*counted: the same$'
}
claim "compared with itself it is the same" same
worse() { load 1 --cpus 1 --schedule seed=1 --mode eager --compare "$scratch/before" --threshold 10%; }
claim "another mode is found" worse
pictures() {
  load 0 --html "$scratch/p.html" --svg "$scratch/p.svg" --dat "$scratch/p.dat" &&
    grep -q 'fragmentation' "$scratch/p.html" && grep -q '<svg' "$scratch/p.svg" && [ -s "$scratch/p.dat" ]
}
claim "pictures of it" pictures
few() {
  sed -i 's/size 16K/size 64M/' "$scratch/w"
  load 1 --memory 64M && says 'WRONG; .* allocations failed (Cannot allocate memory)'
}
claim "failed allocations are counted, and wrong" few
echo "phase p" >>"$scratch/w"
bad() { refuses 2 'w:33:1: phase .p. uses no class' "$nestbox" load --kvm soft "$scratch/w"; }
claim "a bad file is refused with its place" bad
conclude
