#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# nestbox sweep: shards run by GNU parallel, as docs/sweeps.md has it, merge to what one process
# finds; what does not belong together is refused. On the soft engine, by schedules: the same each time.
set -u
# shellcheck disable=SC2154 # automake's environment, with a fallback
top=${top_srcdir:-$(dirname "$0")/../..}
nestbox=$PWD/nestbox
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# shellcheck source=tests/machine/shell.sh
. "$top/tests/machine/shell.sh"

cat >"$scratch/w" <<'TEXT'
workload 1
class a
	size uniform 4K..32K
	lifetime exponential 20
phase p
	use a 200
	purges 2
TEXT
cd "$scratch" || exit 1
vary="--kvm soft --schedule seed=1 --vary mode=lazy,eager --vary cpus=1..2 --vary seed=1..2"
sweep() {
  want=$1
  shift
  # shellcheck disable=SC2086 # words
  status "$want" "$nestbox" sweep $vary "$@"
}

whole() { sweep 0 w --out whole.json && says '^w: 8 of 8 points$' '^mode=lazy cpus=1  *2 '; }
claim "a sweep by one process" whole
command -v parallel >/dev/null || { echo "GNU parallel is not there: scripts/setup test" >&2; exit 1; }
# shellcheck disable=SC2086 # words
shards() {
  status 0 env HOME="$scratch" parallel --will-cite -j 2 \
    "$nestbox" sweep $vary w --shard '{}/3' --out 'part-{}.json' ::: 1 2 3
}
claim "three shards under GNU parallel" shards
# Seconds differ, and nothing else.
merged() {
  status 0 "$nestbox" sweep --merge part-*.json --out all.json && says '^w: 8 of 8 points$' &&
    sed '/seconds/d' whole.json >whole && sed "/seconds/d" all.json | cmp - whole
}
claim "merged they are what the one process found" merged
missing() { status 1 "$nestbox" sweep --merge part-1.json part-3.json && says '^w: 5 of 8 points$'; }
claim "a missing shard is seen" missing
claim "a shard twice is refused" refuses 2 'point 0 is in another' "$nestbox" sweep --merge part-1.json part-1.json
sed 's/"points": 8/"points": 9/; s/"lazy"/"layz"/' part-2.json >other.json
claim "another sweep is refused" refuses 2 'of another sweep' "$nestbox" sweep --merge part-1.json other.json
claim "what is no sweep is refused" refuses 2 'w:1:' "$nestbox" sweep --merge w
claim "a parameter there is none of is refused" refuses 2 'cpus=, nodes=' "$nestbox" sweep --vary colour=red w
conclude
