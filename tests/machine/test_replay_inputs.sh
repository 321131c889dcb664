#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# nestbox replay with the inputs that people have: other layouts, other tools' text, what is no
# file, what is too large, what holds nothing. On the host alone: what reads them knows no KVM.
# shellcheck disable=SC2016 # eval expands what is in single quotes
set -u
# shellcheck disable=SC2154 # automake's environment, with a fallback
top=${top_srcdir:-$(dirname "$0")/../..}
nestbox=$PWD/nestbox
data=$top/tests/data
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# shellcheck source=tests/machine/shell.sh
. "$top/tests/machine/shell.sh"
need_kvm

# run STATUS ARG...: replays, with a bound, and holds the exit status against STATUS.
run() {
  want=$1
  shift
  timeout 300 "$nestbox" replay --kvm "$NESTBOX_KVM" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
  got=$?
  [ "$got" = "$want" ] || echo "nestbox replay $*: status $got instead of $want"
  [ "$got" = "$want" ]
}

# rejects PATTERN ARG...: bad input: status 2, nothing on standard output, one line that matches.
rejects() {
  pattern=$1
  shift
  run 2 "$@" && [ ! -s "$scratch/out" ] && [ "$(wc -l <"$scratch/err")" = 1 ] &&
    grep -q -e "$pattern" "$scratch/err"
}

# folder NAME <TRACE: a recording of a trace alone.
folder() {
  mkdir "$scratch/$1" && cat >"$scratch/$1/trace"
}

# ---- layouts ----

# moved NAME OLD NEW OLD NEW...: the recording mixed-2cpu with other addresses, exact all the same.
moved() {
  name=$1
  shift
  mkdir "$scratch/$name"
  expression=
  while [ $# -gt 0 ]; do
    expression="$expression;s/$1/$2/g"
    shift 2
  done
  for file in trace vmallocinfo.begin vmallocinfo.end; do
    sed "${expression#;}" "$data/mixed-2cpu/$file" >"$scratch/$name/$file"
  done
  run 0 "$scratch/$name" && says 'right; 370 of 370' 'layout' 'here; addresses below are those here'
}

claim "a kernel with KASLR" moved kaslr 0xffffc9 0xffffb2 0xffffe8 0xffffd1
claim "a kernel whose KASLR chose the guest's direct map" moved direct 0xffffc9 0xffff88 0xffffe8 0xffffa7
claim "a kernel with 5 levels" moved five 0xffffc900 0xffa00000 0xffffe8ff 0xffd1ffff
claim "arm64's layout" moved arm 0xffffc900 0xffff8000 0xffffe8ff 0xfffffdff
claim "a layout as it is here is not moved" eval 'run 0 "$data/mixed-2cpu" && ! grep -q layout "$scratch/out"'

# ---- other tools' recordings ----

claim "perf's text, standing alone" eval \
  'run 0 "$data/formats/perf" && says "perf: done; . of 3 addresses" "no vmallocinfo.begin"'
claim "trace-cmd's text" eval 'run 0 "$data/formats/report" && says "report: done; . of 5 addresses"'
mkdir "$scratch/dat" && cp "$data/formats/trace.dat" "$scratch/dat"
if "$nestbox" replay "$scratch/dat" 2>&1 | grep -q 'built without libtracecmd'; then
  claim "trace.dat has a way out" rejects 'trace-cmd report -i' "$scratch/dat"
else
  claim "trace-cmd's file" eval 'run 0 "$scratch/dat" && says "dat: done; . of 3 addresses"'
fi
for name in graph latency raw nocontext; do
  claim "$name is refused by its name" rejects "refused-$name:[0-9]*: " "$data/formats/refused-$name"
done

# ---- without a guest ----

# The model comes to the guest's verdicts on addresses and end.
in_model() { # NAME
  run 0 --json "$data/$1" && sed -n '/"address"/,/"missed"/p' "$scratch/out" >"$scratch/guest" &&
    run 0 --json --no-guest "$data/$1" && says '"image": "none"' &&
    sed -n '/"address"/,/"missed"/p' "$scratch/out" | cmp -s - "$scratch/guest" &&
    [ "$(wc -l <"$scratch/guest")" = 5 ]
}
claim "--no-guest says what a guest says" in_model modules-2cpu
claim "--no-guest, for a person" eval 'run 0 --no-guest "$data/modules-2cpu" && says "guest       none"'

eight_of_a_kind() {
  cp -r "$data/modules-2cpu" "$scratch/short" && sed -i 1,40d "$scratch/short/vmallocinfo.end" &&
    run 0 --no-guest "$scratch/short" && [ "$(grep -c '^    extra ' "$scratch/out")" = 8 ] &&
    grep -q '^    and [1-9][0-9]* more$' "$scratch/out"
}
claim "no more than eight lines of a kind" eight_of_a_kind

spoilt_prelude() {
  cp -r "$data/modules-2cpu" "$scratch/spoilt" && echo spoilt >"$scratch/spoilt/prelude" &&
    run 0 --no-guest "$scratch/spoilt" && grep -q 'prelude:1: .*going on without it' "$scratch/err"
}
claim "a prelude that is none is said and left" spoilt_prelude

# ---- what is no recording ----

mkdir "$scratch/fifo" && mkfifo "$scratch/fifo/trace"
claim "a FIFO does not block" rejects 'fifo/trace: this is a FIFO' "$scratch/fifo"
cp -r "$data/mixed-2cpu" "$scratch/meta" && chmod -R u+w "$scratch/meta" && echo cpus=many >"$scratch/meta/meta"
claim "a meta file that cannot be" rejects 'meta/meta:1: cpus=many' "$scratch/meta"

prefix='            bash-111     [001] .....    13.58023'
printf '%s0: sched_switch: prev=a ==> next=b\n' "$prefix" | folder sched
claim "nothing replayed is wrong" eval \
  'run 1 "$scratch/sched" && says "sched: WRONG; 0 of 0 addresses: none of the 1 events is vmalloc.s"'
claim "nothing replayed is wrong in JSON" eval \
  'run 1 --json "$scratch/sched" && says "\"exact\": 0" "\"nothing_replayed\": \"none"'
printf '%s0: alloc_vmap_area_exit: (a <- b) va=0xffff888004410b40\n' "$prefix" | folder fields
claim "a probe without its fields is named" eval \
  'run 1 "$scratch/fields" && says "alloc_vmap_area_exit has no va_start (1 events like that)"'

# ---- sizes ----

# area ADDRESS BYTES: the events of a vmalloc of BYTES at ADDRESS.
area() {
  printf '%s1: vmalloc_enter: (f) size=%s align=1 start=0xffffc90000000000 end=0xffffe8ffffffffff\n' "$prefix" "$2"
  printf '%s2: alloc_vmap_area_enter: (f) size=%s align=1 vstart=0xffffc90000000000 vend=0xffffe8ffffffffff node=-1\n' \
    "$prefix" $(($2 + 4096))
  printf '%s3: alloc_vmap_area_exit: (f <- g) va=0xffff888004410b40 va_start=%s\n' "$prefix" "$1"
  printf '%s4: vmalloc_exit: (f <- g) addr=%s\n' "$prefix" "$1"
}

# Two areas of 272 MiB.
{
  area 0xffffc90000000000 285212672
  area 0xffffc90011001000 285212672
} | folder large
claim "areas of 544 MiB have a guest that is larger" eval \
  'run 0 --audit none --watchdog 200 "$scratch/large" && says "2 of 2 addresses" "guest *1 CPU, [67][0-9][0-9] MiB"'
area 0xffffc90000000000 67108864 | folder small
claim "but --memory is what was asked for" eval \
  'run 1 --audit none --memory 32M "$scratch/small" && says "failed *1 operation" "guest *1 CPU, 32 MiB"'
area 0xffffc90000000000 3298534879232 | folder larger
claim "an area no guest can hold is refused" rejects 'with --memory SIZE' "$scratch/larger"

conclude
