#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# --schedule and --tlb: the same seed is the same run, to the instruction; another is another one,
# and as right; neither is for a KVM that cannot have them.
set -u
# shellcheck disable=SC2154 # automake's environment, with a fallback
top=${top_srcdir:-$(dirname "$0")/../..}
# shellcheck source=tests/machine/shell.sh
. "$top/tests/machine/shell.sh"
on_soft

# counted FILE COMMAND...: how often each line of the guest was executed.
counted() {
  file=$1
  shift
  status 0 "$nestbox" "$@" --kvm soft --memory 64M --coverage "$scratch/$file"
}
# same_for_a_seed OPTION COMMAND...: two runs of a seed are one, and some other seed's is another.
same_for_a_seed() {
  option=$1
  shift
  counted one "$@" "--schedule=${option}seed=5" && counted two "$@" "--schedule=${option}seed=5" &&
    cmp -s "$scratch/one" "$scratch/two" || return
  for seed in 6 7 8 9; do
    counted three "$@" "--schedule=${option}seed=$seed" || return
    cmp -s "$scratch/one" "$scratch/three" || return 0
  done
  return 1
}
claim "selftest on four vCPUs, drawn" same_for_a_seed '' selftest --cpus 4 --function unmap_kernel_range
claim "selftest on four vCPUs, PCT" same_for_a_seed 'pct=3,steps=400000,' selftest --cpus 4 --function unmap_kernel_range
replayed() {
  status 0 "$nestbox" replay --kvm soft --cpus 2 --schedule seed=3 --tlb size=8,seed=1 "$data/modules-2cpu" &&
    says 'modules-2cpu: right; 261 of 261'
}
claim "a replay by a schedule, with a small TLB, is right" replayed
for bad in '' seed seed=x 'seed=1,' pct=0 pct=65 steps=9 seed=1,seed=2 pct=2,x=1; do
  claim "--schedule '$bad'" refuses 2 'schedule' "$nestbox" bench --kvm soft --schedule "$bad"
done
for bad in '' size=0 seed=1 size=1,size=2; do
  claim "--tlb '$bad'" refuses 2 'tlb' "$nestbox" bench --kvm soft --tlb "$bad"
done
if "$nestbox" doctor --kvm host >/dev/null 2>&1; then
  claim "not with /dev/kvm" refuses 3 'the soft engine' "$nestbox" bench --kvm host --tlb size=4
else
  echo "NOT RUN HERE: that /dev/kvm refuses them: there is none"
fi
conclude
