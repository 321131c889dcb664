#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The program nestbox as its users meet it: the three recorded traces, bad input, exit statuses.
# Runs on the host and, with busybox's shell, in both labs. Prints its count as Check does.
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

# run STATUS ARG...: runs nestbox and holds its exit status against STATUS.
run() {
  want=$1
  shift
  case ${1:-} in
    replay | bench | selftest | doctor)
      command=$1
      shift
      set -- "$command" --kvm "$NESTBOX_KVM" "$@"
      ;;
  esac
  status "$want" "$nestbox" "$@"
}

# rejects PATTERN ARG...: bad usage or input: status 2, nothing on standard output, PATTERN said.
rejects() {
  pattern=$1
  shift
  refuses 2 "$pattern" "$nestbox" "$@"
}

# ---- the recorded traces ----

# replays NAME ALLOCS MISSING EXTRA ARG...: every address exact, nothing failed, a clean audit.
replays() {
  name=$1 allocs=$2 missing=$3 extra=$4
  shift 4
  run 0 replay --json "$@" "$data/$name" &&
    says "\"trace\": \"$name\"" "\"allocs\": $allocs\$\|\"allocs\": $allocs," "\"exact\": $allocs" \
      '"other": 0' '"failed": 0' '"violations": 0' "\"missing\": $missing" "\"extra\": $extra" \
      '"second_stage": "'
}

claim "fork-1cpu is exact" replays fork-1cpu 1827 0 0
claim "modules-2cpu is exact on a vCPU for each CPU, audited every 50" \
  replays modules-2cpu 261 1 4 --parallel --audit every=50
claim "of which there are two" says '"cpus": 2'
claim "mixed-2cpu is exact, audited every 50" replays mixed-2cpu 370 0 0 --audit every=50
claim "no frame that was given up is touched in modules-2cpu" \
  replays modules-2cpu 261 1 4 --trap-uaf
claim "no frame that was given up is touched in mixed-2cpu" replays mixed-2cpu 370 0 0 --trap-uaf
if [ -n "${NESTBOX_LAB:-}" ] || [ "$NESTBOX_KVM" = soft ]; then
  claim "no frame that was given up is touched in fork-1cpu" \
    replays fork-1cpu 1827 0 0 --trap-uaf
else
  echo "NOT RUN HERE: fork-1cpu with --trap-uaf, 14 seconds on kvm_pvm: the labs and soft do"
fi
claim "two folders are two reports" run 0 replay --audit none "$data/mixed-2cpu" "$data/modules-2cpu"
claim "each of them names its trace" says '^mixed-2cpu: right' '^modules-2cpu: right'

# ---- made-up traces ----

header='# tracer: nop
#
# entries-in-buffer/entries-written: 2/2   #P:1
#
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION'
enter='alloc_vmap_area_enter: (alloc_vmap_area+0x0/0x880)'
exit='alloc_vmap_area_exit: (__get_vm_area_node+0xb1/0x150 <- alloc_vmap_area)'
window='vstart=0xffffc90000000000 vend=0xffffe8ffffffffff'

# trace NAME LINE...: a folder with a trace of these events, of task x on CPU 0.
trace() {
  mkdir -p "$scratch/$1"
  echo "$header" >"$scratch/$1/trace"
  time=1
  for line in "$@"; do
    [ "$time" = 1 ] || printf '            x-1       [000] .....     1.%06d: %s\n' "$time" "$line"
    time=$((time + 1))
  done >>"$scratch/$1/trace"
  shift
}

# The same line with vmalloc around it, so that frames are wanted: 64 MiB.
trace big "vmalloc_enter: (__vmalloc_node_range+0x0/0x880) size=67108864 align=1 start=0xffffc90000000000 end=0xffffe8ffffffffff gfp=0xcc0 prot=0x8000000000000163" \
  "$enter size=67112960 align=1 $window node=-1" \
  "$exit va=0xffff888100000000 va_start=0xffffc90000000000" \
  "vmalloc_exit: (copy_process+0x63b/0x1ae0 <- __vmalloc_node_range) addr=0xffffc90000000000"
: >"$scratch/big/vmallocinfo.begin"
echo '0xffffe8ffffc00000-0xffffe8ffffe00000 2097152 pcpu_get_vm_areas+0x0/0x1080 vmalloc' \
  >"$scratch/big/vmallocinfo.begin"
too_small() {
  run 1 replay --json --memory 16M "$scratch/big" && says '"failed": 1' '"violations": 0'
}
claim "a guest too small counts what failed, and is clean" too_small
# Half of it, with the image in it, has no room for its struct pages.
too_small_by_far() {
  run 1 replay --json --memory 16M "$data/mixed-2cpu" && says '"failed": 2[0-9][0-9]' '"violations": 0'
}
claim "so is one that cannot use half of its memory" too_small_by_far
claim "a guest large enough does it" run 0 replay --memory 512M "$scratch/big"

asked="$enter size=4294967296 align=1 vstart=0xffffffffc0000000 vend=0xffffffffff000000 node=-1"
refused="$exit va=0xfffffffffffffff4 va_start=0x0"
trace refused "$asked" "$refused" "$enter size=8192 align=1 $window node=-1" \
  "$exit va=0xffff888100000000 va_start=0xffffc90000000000"
echo '0xffffe8ffffc00000-0xffffe8ffffe00000 2097152 pcpu_get_vm_areas+0x0/0x1080 vmalloc' \
  >"$scratch/refused/vmallocinfo.begin"
fails_too() {
  run 0 replay --json "$scratch/refused" && says '"failed": 0' '"exact": 1'
}
claim "what failed in Linux fails here" fails_too
trace none "$asked" "$refused"
nothing_left() {
  run 1 replay "$scratch/none" && says 'none: WRONG; 0 of 0 addresses: all 1 allocations failed'
}
claim "a trace of nothing but failures is never right" nothing_left

mkdir "$scratch/bare"
cp "$data/mixed-2cpu/trace" "$scratch/bare"
unseen() {
  run 0 replay "$scratch/bare" &&
    says 'bare: done' 'no vmallocinfo.begin' 'frees  *2 of addresses never seen' 'trace:733'
}
# What the inference of its start costs is seconds here, and minutes where every instruction of the
# host is interpreted too.
if [ "$NESTBOX_KVM" = soft ]; then
  claim "a trace without a snapshot is replayed, its unknown frees counted" unseen
else
  echo "NOT RUN HERE: a trace without a snapshot, which is inferred before a guest is made: soft does"
fi

mkdir "$scratch/lost"
sed 's#entries-written: [0-9]*/[0-9]*#entries-written: 2339/9000#' "$data/mixed-2cpu/trace" \
  >"$scratch/lost/trace"
cp "$data/mixed-2cpu/vmallocinfo.begin" "$scratch/lost"
lost() {
  run 0 replay "$scratch/lost" && says 'lost: done' 'events were lost' 'lost  *6661 events'
}
claim "lost events are said" lost

# ---- the rest ----

# bench touches all memory first.
claim "bench answers in its JSON" run 0 bench --json --memory 32M --case fix_size --pages 16 --loops 20 --threads 2
claim "bench has its promised keys" says '"cases": \[' '"name": "fix_size"' '"pages": 16' \
  '"loops": 20' '"ticks_per_loop": ' '"instructions_per_loop": ' '"p50": ' '"p99": ' '"max": ' \
  '"kvm": {'
claim "and what it costs beside another" says '"together_ticks_per_loop": ' '"vcpu": 1,'
claim "selftest of one function" run 0 selftest --function vmalloc_sync_all
claim "selftest has a line a function" says '^vmalloc_sync_all  *[0-9][0-9]*  *[0-9][0-9]*  ok$' \
  '^1 functions, 0 wrong; [0-9]* calls, [0-9]* audits, 0 violations$'

doctor() {
  run 0 doctor --json && says "\"second_stage\": \"${NESTBOX_LAB:-}" '"module": "\(kvm\|soft\)'
}
claim "doctor knows the second stage" doctor

# ---- usage and bad input ----

# No guest is started for these, so one engine is enough; soft is the one that runs everywhere.
if [ "$NESTBOX_KVM" != soft ]; then
  echo "NOT RUN HERE: usage and bad input, which need no KVM: with the soft engine they are"
  conclude
  exit
fi

claim "no folder" rejects 'replay' replay
claim "a missing folder is named" rejects "$scratch/nowhere" replay "$scratch/nowhere"
mkdir "$scratch/empty"
claim "an empty folder is named" rejects "$scratch/empty" replay "$scratch/empty"
mkdir "$scratch/hollow"
: >"$scratch/hollow/trace"
claim "an empty trace is named" rejects "$scratch/hollow/trace" replay "$scratch/hollow"
mkdir "$scratch/binary"
printf '\027\010\104tracing6\000\000\000' >"$scratch/binary/trace"
claim "a binary trace is named" rejects "$scratch/binary/trace" replay "$scratch/binary"
trace cut "$enter size=20480 align=16384 vsta"
cut() {
  run 1 replay "$scratch/cut" && says 'cut: WRONG; 0 of 0 .*alloc_vmap_area_enter has no vstart'
}
claim "a line without its fields is named" cut
printf '%s' "$enter size=20480" >>"$scratch/cut/trace"
claim "a truncated line is named" rejects 'cut/trace:7: ' replay "$scratch/cut"
trace words "$enter size=many align=16384 $window node=-1"
claim "a number that is none is named" rejects 'words/trace:6: ' replay "$scratch/words"
trace huge "$enter size=99999999999999999999 align=16384 $window node=-1"
claim "a number out of range is named" rejects 'huge/trace:6: ' replay "$scratch/huge"
trace overlap
printf '%s\n%s\n' '0xffffc90000000000-0xffffc90000005000   20480 a+0x1/0x2 pages=4 vmalloc' \
  '0xffffc90000004000-0xffffc90000006000    8192 b+0x1/0x2 pages=1 vmalloc' \
  >"$scratch/overlap/vmallocinfo.begin"
claim "overlapping areas are named with their lines" rejects 'vmallocinfo.begin:2: ' \
  replay "$scratch/overlap"
one_bad_folder() {
  rejects "$scratch/nowhere" replay "$data/mixed-2cpu" "$scratch/nowhere"
}
claim "one bad folder stops all of them" one_bad_folder

claim "an unknown option" rejects 'frobnicate' replay --frobnicate "$data/mixed-2cpu"
for bad in 0 1 4095 12Q -1 99999999T; do
  claim "--memory $bad" rejects 'memory' replay --memory "$bad" "$data/mixed-2cpu"
done
for bad in 0 65 x; do
  claim "--cpus $bad" rejects 'cpus' replay --cpus "$bad" "$data/mixed-2cpu"
done
for bad in every=0 every= sometimes; do
  claim "--audit $bad" rejects 'audit' replay --audit "$bad" "$data/mixed-2cpu"
done
claim "an unknown command" rejects 'frobnicate' frobnicate
claim "an image that is none" rejects "$data/mixed-2cpu/trace" \
  replay --image "$data/mixed-2cpu/trace" "$data/mixed-2cpu"
claim "an unknown bench case" rejects 'frobnicate' bench --case frobnicate
claim "no bench loops" rejects 'loops' bench --loops 0

claim "selftest --memory 4095" rejects 'memory' selftest --memory 4095
claim "selftest of an image that is none" rejects "$data/mixed-2cpu/trace" \
  selftest --image "$data/mixed-2cpu/trace"
claim "selftest of no function" rejects 'frobnicate' selftest --function frobnicate
claim "selftest with an operand" rejects 'too many operands' selftest everything
for command in replay bench selftest doctor; do
  claim "$command --help" run 0 "$command" --help
  claim "$command --version" run 0 "$command" --version
done

conclude
