#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# --compare of bench and replay: what is the same is said to be, what changed is found, thresholds
# set the exit status, and a file that is no report is refused. On the soft engine, which counts.
set -u
# shellcheck disable=SC2154 # automake's environment, with a fallback
top=${top_srcdir:-$(dirname "$0")/../..}
# shellcheck source=tests/machine/shell.sh
. "$top/tests/machine/shell.sh"
on_soft

bench() {
  want=$1
  shift
  status "$want" "$nestbox" bench --kvm soft --case fix_size --pages 16 --loops 50 "$@"
}
replay() {
  want=$1
  shift
  status "$want" "$nestbox" replay --kvm soft --audit none "$@" "$data/modules-2cpu"
}

claim "a bench's report" bench 0 --json
cp "$scratch/out" "$scratch/bench"
same() {
  bench 0 --compare "$scratch/bench" --threshold 0 && says '^fix_size 16 .*counted: the same$'
}
claim "the same bench again has not changed" same
sed '0,/"ticks_per_loop": [0-9.]*/s//"ticks_per_loop": 1000.0/' "$scratch/bench" >"$scratch/better"
worse() {
  bench 1 --compare "$scratch/better" --threshold 5% &&
    says '^fix_size 16  *1000 .*+.*counted: changed, BEYOND THE THRESHOLD$'
}
claim "one that was better is found" worse
claim "without a threshold the status is as it was" bench 0 --compare "$scratch/better"
sed '0,/"ticks_per_loop": [0-9.]*/s//"ticks_per_loop": 9000.0/' "$scratch/bench" >"$scratch/dearer"
claim "what became cheaper is beyond no threshold" bench 0 --compare "$scratch/dearer" --threshold 0
json() {
  bench 1 --json --compare "$scratch/better" --threshold 5 &&
    says '"compare": {' '"noise": "none"' '"changed": true' '"beyond": 1'
}
claim "the JSON says it too" json

# Timed figures have runs, which are judged; made up here, as no clock is exact.
timed() { # FILE RUNS...: a timed bench with such runs
  file=$1
  shift
  printf '{"unit": "ticks", "cases": [{"name": "fix_size", "pages": 16, "ticks_per_loop": %s, "runs": [%s]}]}\n' \
    "${1%,}" "$*" >"$scratch/$file"
}
timed noisy 1210, 1240, 1190, 1260, 1230
unlike() {
  bench 0 --compare "$scratch/noisy" && says '\(beyond\|within\) the noise (Mann-Whitney, p 0'
}
claim "ticks are not instructions: judged by runs or not at all" unlike

claim "a replay's report" replay 0 --json
cp "$scratch/out" "$scratch/replay"
replayed() {
  replay 0 --compare "$scratch/replay" --threshold 0 &&
    says '^alloc p50 .*the same$' '^addresses missed .*the same$' '^run .*timed once'
}
claim "the same replay again has not changed" replayed
other_job() {
  bench 2 --compare "$scratch/replay" && grep -q 'of another job' "$scratch/err"
}
claim "a bench is no replay" other_job
echo '{"unit": 5, "cases": [7]}' >"$scratch/odd"
claim "a report that is odd" bench 2 --compare "$scratch/odd"
printf '{"cases": [' >"$scratch/cut"
claim "one cut short" bench 2 --compare "$scratch/cut"
mkfifo "$scratch/fifo"
claim "a FIFO" bench 2 --compare "$scratch/fifo"
claim "none" bench 2 --compare "$scratch/nowhere"
claim "a threshold that is none" bench 2 --compare "$scratch/bench" --threshold much
conclude
