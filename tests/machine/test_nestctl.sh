#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2016 # what the shell of nestctl and inner shells expand
# nestbox run and nestctl as their users meet them. Runs on the host and, with busybox's shell, in
# both labs. Prints its count as Check does.
set -u
nestbox=$PWD/nestbox
nestctl=$PWD/nestctl
scratch=$(mktemp -d) || exit 1
XDG_RUNTIME_DIR=$scratch/run
export XDG_RUNTIME_DIR
mkdir -m 700 "$XDG_RUNTIME_DIR"
sockets=$XDG_RUNTIME_DIR/nestbox
trap '"$nestctl" -n main quit >/dev/null 2>&1; "$nestctl" -n mortal quit >/dev/null 2>&1; "$nestctl" -n trapped quit >/dev/null 2>&1; rm -rf "$scratch"' EXIT

# shellcheck source=tests/machine/shell.sh disable=SC2154 # automake's environment, with a fallback
. "${top_srcdir:-$(dirname "$0")/../..}/tests/machine/shell.sh"
need_kvm

# ---- one nestctl for many verbs: a program's start is what costs in a lab ----

# session NAME: from here on nestctl's verbs, and those to -n NAME, are lines of one nestctl shell.
session=''
session() {
  end_session
  rm -f "$scratch/lines" "$scratch/errors"
  mkfifo "$scratch/lines" "$scratch/errors" || return
  "$nestctl" -n "$1" shell <"$scratch/lines" >>"$scratch/out" 2>"$scratch/errors" &
  session_pid=$!
  exec 3>"$scratch/lines" 4<"$scratch/errors"
  session=$1
  asked=0
}

end_session() {
  [ -n "$session" ] || return 0
  session=''
  echo exit >&3
  exec 3>&- 4<&-
  wait "$session_pid"
}

# ask WORD...: the words as a line; what it says in out and err, its status in got. Behind it goes a
# line that is no verb: when the shell complains of that, all that comes of the line is there.
ask() {
  asked=$((asked + 1)) got=0 line=''
  for word in "$@"; do
    line="$line '$word'"
  done
  : >"$scratch/out"
  : >"$scratch/err"
  printf '%s\nend-%s\n' "$line" "$asked" >&3
  while IFS= read -r line <&4; do
    case $line in
      "nestctl shell: line "*": end-$asked") return ;;
      "nestctl shell: line "*": status "*) got=${line#*: status } got=${got%%:*} ;;
      *"'end-$asked'"*) ;;
      *) printf '%s\n' "$line" >>"$scratch/err" ;;
    esac
  done
  echo "the shell has gone"
  session=''
  got=gone
}

# Whether "nestctl WORD..." can be a line of the session: without what is the program's alone.
is_line() {
  [ "$1" = "$nestctl" ] && [ -n "$session" ] || return
  [ "${2:-} ${3:-}" != "-n $session" ] || shift 2
  case ${2:-} in '' | -* | quit | shell) return 1 ;; esac
}

# In place of the one in shell.sh.
status() {
  want=$1
  shift
  command=$*
  if is_line "$@"; then
    [ "$2 ${3:-}" != "-n $session" ] || shift 2
    shift
    ask "$@"
  else
    "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    got=$?
  fi
  [ "$got" = "$want" ] || echo "$command: status $got instead of $want"
  [ "$got" = "$want" ]
}

ctl() {
  status 0 "$nestctl" "$@"
}

# shows PATTERN VERB...: the verb succeeds and prints it.
shows() {
  pattern=$1
  shift
  ctl "$@" && says "$pattern"
}

# gone NAME: the guest's socket goes.
gone() {
  for _ in $(seq 100); do
    [ ! -e "$sockets/$1.sock" ] && return
    sleep 0.1
  done
  return 1
}

# ---- no guest ----

claim "without a guest nestctl says what starts one" refuses 3 'nestbox run' "$nestctl" status
claim "nor is there one of that name" refuses 3 'nestctl list' "$nestctl" -n nobody status
claim "a name that is none" refuses 2 'letters, digits' "$nestctl" -n ../x status
claim "list shows nothing" ctl list
claim "an unknown verb" refuses 2 'frobnicate' "$nestctl" frobnicate
claim "a missing operand" refuses 2 'SIZE' "$nestctl" vmalloc
claim "half a verb is told its other half" refuses 2 '^  nestctl ept map ' "$nestctl" ept
claim "help lists the verbs" shows '^  vmalloc-user ' help
claim "and of each its options" shows '  --align SIZE' vmalloc --help
claim "nestctl --version" shows '^nestbox ' --version

# ---- starting one ----

printf '# a guest\ndump-dir = %s\nunsafe = yes\nname = main\nmemory = 64M\ncpus=2\ndaemonize = yes\n' "$scratch" >"$scratch/config"
claim "a configuration file starts it" status 0 "$nestbox" run --kvm "$NESTBOX_KVM" --config "$scratch/config" --nodes 2
claim "which nestctl finds" shows '^main .*running .* 2 .*64 MiB' list
claim "and knows" shows '^main: running, .*2 vCPUs, 64 MiB, image built-in' status
claim "a second one of that name is refused" refuses 2 'served' "$nestbox" run --kvm "$NESTBOX_KVM" --name main
printf 'memory = 64M\nfrob = 1\n' >"$scratch/bad"
claim "an unknown key is named with its line" refuses 2 'bad:2: .*frob' "$nestbox" run --kvm "$NESTBOX_KVM" --config "$scratch/bad"
printf 'memory = 64Q\n' >"$scratch/bad"
claim "a bad value too" refuses 2 'bad:1: .*64Q' "$nestbox" run --kvm "$NESTBOX_KVM" --config "$scratch/bad"
printf '{"memory": "64Q"}\n' >"$scratch/bad"
claim "in JSON as well" refuses 2 'bad: .*64Q' "$nestbox" run --kvm "$NESTBOX_KVM" --config "$scratch/bad"
printf '{"memory": \n' >"$scratch/bad"
claim "or what is no JSON" refuses 2 'bad:[0-9]*: ' "$nestbox" run --kvm "$NESTBOX_KVM" --config "$scratch/bad"
claim "no configuration file" refuses 2 'nowhere' "$nestbox" run --kvm "$NESTBOX_KVM" --config "$scratch/nowhere"
cat >"$scratch/shop.xml" <<'XML'
<domain type='kvm'>
  <name>shop</name>
  <memory unit='MiB'>96</memory>
  <vcpu>2</vcpu>
  <cpu><numa>
    <cell id='0' cpus='0' memory='64' unit='MiB'/>
    <cell id='1' cpus='1' memory='32' unit='MiB'/>
  </numa></cpu>
  <devices/>
</domain>
XML
claim "a domain's XML starts one" status 0 "$nestbox" run --kvm "$NESTBOX_KVM" --domain "$scratch/shop.xml" --daemonize
claim "what is not honoured is named" grep -q 'shop.xml:9: <devices> is not honoured' "$scratch/err"
claim "its name and memory are the domain's" shows '^shop: running, .*2 vCPUs, 96 MiB' -n shop status
claim "its nodes too" shows '^Node 1, zone .* 8192 .*8192 *8192' -n shop zones
claim "it ends" ctl -n shop quit
claim "and is gone" gone shop
claim "its nodes cannot be changed" refuses 2 'cannot change a domain' "$nestbox" run --kvm "$NESTBOX_KVM" --domain \
  "$scratch/shop.xml" --memory 64M
sed -i 's/cpus=.1./cpus="7"/' "$scratch/shop.xml"
claim "a contradiction is told with its line" refuses 2 'shop.xml:4: cell 1 has CPU 7' "$nestbox" run --kvm "$NESTBOX_KVM" \
  --domain "$scratch/shop.xml"
claim "a bad backing" refuses 2 'huge=2M' "$nestbox" run --kvm "$NESTBOX_KVM" --backing memfd,huge
claim "a bad audit" refuses 2 'every=N' "$nestbox" run --kvm "$NESTBOX_KVM" --audit every=0

# ---- allocating, looking ----

session main
keep_free() { ctl "$@" && read -r taken <"$scratch/out" && ctl vfree "$taken" && ctl purge; }
allocate() {
  ctl vmalloc 64K --node 1 --align 2M && area=$(cat "$scratch/out") &&
    case $area in 0xffffc9*00000) true ;; *) echo "address $area" && false ;; esac
}
area=0
claim "vmalloc prints the address, aligned" allocate
claim "areas prints it as /proc/vmallocinfo does" \
  shows "^$area-0xffffc9[0-9a-f]*   69632 op_vmalloc+0x0/0x[0-9a-f]* pages=16 vmalloc N1=16\$" areas
claim "maps has it" shows "^0xffffc9.* rw--  *g  *4K  *16  *1 .* vmalloc" maps
claim "walk decodes it" shows 'PTE .* rw-- P RW .* NX' walk "$area"
claim "ept walk is the same in two words" shows 'both stages: ' ept walk "$area"
claim "of what was touched it knows the leaf" shows 'a TLB entry can cover 4 KiB' ept walk machine
claim "gfp by its names" keep_free vmalloc 8K --gfp 'GFP_KERNEL|__GFP_ZERO'
claim "a name there is not" refuses 2 'GFP_ATOMIC' "$nestctl" vmalloc 8K --gfp GFP_NOPE
claim "maps that allow execution" shows ' r-x- ' maps --rights x
none_else() { ! grep -v '^#' "$scratch/out" | grep -v ' r-x- '; }
claim "and none else" none_else
claim "areas of a state" ctl areas --state lazy
claim "a state there is not" refuses 2 'busy, lazy or free' "$nestctl" areas --state odd
claim "help of a verb" shows '^Example:$' help vmalloc
claim "which names an operand's values" shows 'fix_size, full_fit' help bench
claim "a verb that is near" refuses 2 "did you mean 'audit'" "$nestctl" aduit
claim "load on every vCPU" shows '^1 .* ' load fix_size --loops 20 --audit every=10ms
claim "with audits" says '^[0-9]* audits, 0 violations$'
claim "in JSON" shows '"vcpus": .{"vcpu": 1, "loops": 5,' load random_size --loops 5 --vcpus 1 --json
claim "a case there is not" refuses 2 'fix_size, ' "$nestctl" load nope
claim "a vCPU there is not" refuses 2 'from 0' "$nestctl" load fix_size --vcpus 0-7
claim "purge after load" ctl purge
claim "vmalloc-to-page" shows '^[0-9]*$' vmalloc-to-page "$area"
frame=$(cat "$scratch/out")
claim "frame knows its area" shows "area-start *$area" frame "$frame"
claim "write" shows 'size  *5' write "$area" 68656c6c6f
claim "read as a hexdump" shows '68 65 6c 6c 6f 00 .*|hello\.' read "$area" 16
claim "read raw" shows '^hello$' read "$area" 5 --raw
claim "read of more than one piece" ctl read "$area" 64K --raw
raw_size() { [ "$(wc -c <"$scratch/out")" = 65536 ]; }
claim "is whole" raw_size
claim "search finds it" shows "^$area\$" search 68656c6c6f
claim "and says where nothing is" status 1 "$nestctl" search 68656c6c6f6f6f
claim "symbols are addresses" shows 'place *machine+0x10/' translate machine+0x10
claim "of which it says the rights" says 'rights *rw--'
claim "a symbol there is not" refuses 2 'no symbol' "$nestctl" translate frobnicate
claim "symbol" shows 'place *machine+0x0/' symbol machine
claim "frames" shows 'vmalloc 16' frames
claim "zones" shows '^Node 1, zone   Normal ' zones
claim "and their counts under a head" says '^# pages  *free .* pcp$' '^Node 1, zone   Normal  *[0-9].* [0-9]*$'
claim "slabs" shows '^vmap_area ' slabs
claim "slabs tells kmalloc's caches apart" says '^kmalloc-96 .* 96 '
claim "tree" shows '^1 busy, 0 lazy' tree
claim "with sizes that can be read" says ' free  *16.0E$' ' busy  *68K$'
claim "moment" ctl moment before
claim "vfree" ctl vfree "$area"
claim "vfree prints nothing" test ! -s "$scratch/out"
claim "diff shows it" shows "^area changed .* busy -> lazy$" diff before
claim "vfree again is refused" refuses 1 'ENOENT' "$nestctl" vfree "$area"
claim "areas shows it as lazy" shows 'unpurged vm_area$' areas
claim "purge" shows '^1$' purge
claim "audit" shows '^all right' audit
claim "one check of it" shows '^areas ' audit --checks areas
claim "a check there is not" refuses 2 'frobnicate' "$nestctl" audit --checks frobnicate
claim "stats" shows '^busy-areas *0' stats
claim "stats as JSON" shows '^{"free-frames": [0-9]*, "busy-areas": 0' stats --json
claim "list as JSON" shows '"name": "main", "status": "running"' list --json
claim "ept map" shows ' ram0  *ram  *0 1G  *0x' ept map
claim "ept dump, as predicted" shows '^0x[0-9a-f]*-0x[0-9a-f]* \(4K\|2M\|1G\)  *[0-9]*$' ept dump
live() {
  if [ "$NESTBOX_KVM" = soft ] || grep -q '^[Y1]' /sys/module/kvm_intel/parameters/ept /sys/module/kvm_amd/parameters/npt 2>/dev/null; then
    shows '^[0-9]* + [0-9]* + [0-9]* leaves of .* in [0-9]* tables$' ept dump --live && says ' rwxu  *0x'
  else
    refuses 1 'kvm_intel with ept=Y' "$nestctl" ept dump --live
  fi
}
claim "ept dump --live, as it is" live
claim "ept dirty" refuses 1 'ept dirty-start begins it' "$nestctl" ept dirty
claim "ept dirty start, three words" shows '^1$' ept dirty start
dirty() {
  ctl vmalloc 4K && area=$(cat "$scratch/out") && ctl write "$area" 07 && ctl vfree "$area" && ctl purge
}
claim "what is written" dirty
claim "ept dirty map shows" shows '^0x[0-9a-f]*-0x[0-9a-f]*  *[0-9]*$' ept dirty map
claim "ept dirty counts" shows '^epoch 1, .* s: [1-9][0-9]* pages; working set ' ept dirty
claim "in JSON as well" shows '"epoch": 2, .*"mean": ' ept dirty --json --epochs 1
claim "ept dirty stop" ctl ept dirty stop
claim "ept stats" shows 'mmu_cache_miss\|^pages_4k' ept stats
claim "ept stats of a vCPU that runs" shows '^exits  *[0-9]* none' ept stats --vcpu 1
claim "of one there is not" refuses 2 'from 0' "$nestctl" ept stats --vcpu 7
claim "options before the verb" shows '"value": 7' --json --name main nop --value 7
claim "a number that is none" refuses 2 "value: 'x'" "$nestctl" nop --value x
claim "a size that is none" refuses 2 "64Q" "$nestctl" vmalloc 64Q
claim "a word that is none of them" refuses 2 'lazy, eager, manual' "$nestctl" set-mode fast
claim "execute sends what it is given" shows '"return": {"value": 3' execute \
  '{"execute": "nop", "arguments": {"value": 3}}'

# ---- the seed's other calls ----

# keep VARIABLE VERB...: the verb prints one value, which the variable has from then on.
keep() {
  variable=$1
  shift
  ctl "$@" && read -r "${variable?}" <"$scratch/out"
}
first=0 second=0
claim "alloc-pages" keep first alloc-pages
claim "and another" keep second alloc-pages
claim "vmap of both" keep area vmap "$first" "$second"
claim "vwrite" shows '^stored *5$' vwrite "$area" 68656c6c6f
claim "vread" shows '68 65 6c 6c 6f 00 .*|hello\.' vread "$area" 16
claim "find-vm-area" shows "^address *$area\$" find-vm-area "$area"
claim "a bad list of frames" refuses 2 "frames: 'x'" "$nestctl" vmap "$first" x
claim "vunmap" ctl vunmap "$area"
claim "get-vm-area" keep area get-vm-area 8K --flags 4
claim "map-vm-area" ctl map-vm-area "$area" "$first" "$second"
claim "what is mapped there" shows "physical *0x" translate "$area"
claim "unmap-vm-area" ctl unmap-vm-area "$area"
claim "and is no longer" refuses 1 'not mapped' "$nestctl" translate "$area"
claim "remove-vm-area" shows '^size *8192$' remove-vm-area "$area"
claim "free-pages" ctl free-pages "$first"
claim "free-pages of the other" ctl free-pages "$second"
claim "once" refuses 1 EINVAL "$nestctl" free-pages "$second"
claim "kmalloc" keep area kmalloc 100
claim "kfree" ctl kfree "$area"
claim "vmalloc_user, as the seed writes it" keep area vmalloc_user 8K
claim "is in the list as such" shows 'pages=2 vmalloc user ' areas
claim "and freed" ctl vfree "$area"
claim "set-fault" shows '^0$' set-fault frame 1
claim "makes the next allocation fail" refuses 1 ENOMEM "$nestctl" vmalloc 4K
claim "in an interrupt" shows '^4$' nop --in-interrupt --value 4
claim "the audit after all that" shows '^all right' audit

# ---- processes ----

user_area() {
  ctl vmalloc 8K --flags 0xa && area=$(cat "$scratch/out")
}
claim "process-create" shows '^1$' process-create
claim "vma-create" ctl vma-create 1 0x400000 0x402000 --rights 11
claim "an area for users" user_area
claim "remap" ctl remap 1 0x400000 "$area"
claim "a program writes through it" shows '^4$' user-run 1 write --address 0x400000 --words 4 --value 0x41
claim "what the area has" shows '41 00 00 00 00 00 00 00  42 00' read "$area" 16
claim "its tables translate" shows 'rights *rw-u' translate 0x400000 --process 1
claim "and are walked" shows 'user, mapped' walk 0x401fff --process 1
claim "the kernel's do not" refuses 1 'not mapped' "$nestctl" translate 0x400000
claim "nor another's" refuses 1 'no process' "$nestctl" walk 0x400000 --process 2
claim "a fault at CPL 3 is a result" shows 'cr2 *0x10000$' user-run 1 read --address 0x10000 --words 1
claim "probe" shows '^65$' probe "$area"
claim "the audit knows processes" shows '^all right' audit
claim "process-destroy" ctl process-destroy 1
claim "once" refuses 1 'ESRCH' "$nestctl" process-destroy 1
claim "vfree of the area" ctl vfree "$area"

# ---- pause, log, dump, shell ----

claim "stop pauses" ctl stop
claim "status says so" shows "^main: paused" status
claim "a paused guest refuses" refuses 1 'paused' "$nestctl" nop
claim "and shows its registers" shows '^ *rip *0xffffffff8' registers
claim "bt of a paused vCPU" shows '^vCPU 1, paused' bt --vcpu 1
claim "goes back to where it started" says '^#0 ' 'cpu_start+.* at guest/main.c:' 'entry+.* at guest/entry.S:'
claim "cont goes on" ctl cont
claim "pause is stop" ctl pause
claim "resume is cont" ctl resume
claim "bt of one that runs" shows '^vCPU 0, running' bt
claim "and its registers" shows '^state  *running$' registers
claim "x as gdb's" shows '^0x[0-9a-f]*: 0x[0-9a-f]\{16\} 0x[0-9a-f]\{16\}$' x/2gx machine
claim "x of instructions" shows '; mm_init+0x0$' x/2i mm_init
claim "x in a format there is not" refuses 2 'x/8gx' "$nestctl" x/8q machine
claim "disassemble" shows ' mm_init+0x0$' disassemble mm_init --count 2
claim "of nothing" refuses 1 'nothing is mapped' "$nestctl" disassemble 0x1000
claim "a warning" ctl x-test-warn
claim "log has it" shows 'WARN vCPU 0: .*asked to warn' log
claim "log as JSON Lines" shows '^{"event": "WARN"' log --json
follows() {
  "$nestctl" log -f --json >"$scratch/followed" 2>&1 &
  follower=$!
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    "$nestctl" x-test-warn >/dev/null
    [ "$(grep -c WARN "$scratch/followed")" -gt 2 ] && break
    sleep 1
  done
  kill $follower 2>/dev/null
  wait $follower 2>/dev/null
  [ "$(grep -c WARN "$scratch/followed")" -gt 2 ]
}
claim "log -f goes on" follows
claim "dump writes a core" shows '^file .*core$' dump "$scratch/core"
elf() { [ "$(head -c 4 "$scratch/core" | tail -c 3)" = ELF ]; }
claim "which is ELF" elf
shell() {
  printf 'nop --value 5\n\n# a comment\nstats --json # another\nfrobnicate\nexit\nnop\n' | "$nestctl" shell \
    >"$scratch/out" 2>"$scratch/err"
  [ $? = 2 ] && says '^5$' '"busy-areas"' && [ "$(wc -l <"$scratch/out")" = 2 ] &&
    grep -q 'line 5: status 2: frobnicate' "$scratch/err"
}
claim "shell reads verbs from a pipe, comments, and counts lines" shell
variables() {
  printf 'a = vmalloc 8K\nwalk $a\nept map\nx/2gx $a+0x10\nhelp vfree\nvfree $a\nnop $b\nquit\nstatus\n' |
    "$nestctl" shell >"$scratch/out" 2>"$scratch/err"
  [ $? = 2 ] && says '^a = 0xffffc9' 'ram0 ' '^0x[0-9a-f]*10: 0x' 'Usage: nestctl vfree' '^main: running' &&
    grep -q "no variable '.b'" "$scratch/err" && grep -q 'destroy ends the guest' "$scratch/err"
}
claim "shell has variables, verbs of two words, help; quit does not end the guest" variables

# ---- traps ----

claim "a guest without traps says so" refuses 1 'nestbox run --traps' "$nestctl" ept trap machine
claim "one that can be trapped" status 0 "$nestbox" run --kvm "$NESTBOX_KVM" --name trapped --memory 16M --traps --unsafe --daemonize
session trapped
trapped() { ctl -n trapped "$@"; }
trap_area() {
  trapped vmalloc 8K && area=$(cat "$scratch/out") && cell=${area%0}8 && trapped ept trap "$area" --size 8K --policy hold --access write &&
    says '^trap *1$' '^pages *2$'
}
claim "ept trap" trap_area
claim "ept traps" shows "^  *1 virtual  $area  *8192  *2 write  *hold  *0\$" -n trapped ept traps
"$nestctl" -n trapped x-test-touch "$cell" --store 1 --value 7 >"$scratch/touched" 2>&1 &
toucher=$!
held() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    trapped ept traps && says '^vCPU 0 is held by trap 1: write of ' >/dev/null && return
    sleep 1
  done
  return 1
}
claim "who stores there is held" held
claim "log says where" shows 'TRAP vCPU 0: trap 1: write of .* at op_touch+.* in test-touch: hold' -n trapped log
claim "status says who is held, and what to do" shows 'held by trap 1: nestctl ept release 0 go' -n trapped status
claim "its backtrace" shows '^vCPU 0, held$' -n trapped bt
claim "with the hypercall" says '^in hypercall test-touch(' 'op_touch+'
for verb in nop stop audit "dump $scratch/held" "ept dirty start"; do
  # shellcheck disable=SC2086 # words
  claim "$verb does not wait for it" refuses 1 'vCPU 0 is held by trap 1: nestctl ept release 0 go' "$nestctl" -n trapped $verb
done
claim "an answer there is not" refuses 2 'go, deny' "$nestctl" -n trapped ept release 0 perhaps
claim "ept release" trapped ept release 0 go
wait $toucher
claim "lets it go on" shows '07 00' -n trapped read "$cell" 2
claim "nobody is held then" refuses 1 'no trap holds' "$nestctl" -n trapped ept release 0 go
claim "ept untrap" trapped ept untrap --trap 1
claim "which is gone" refuses 1 'no trap 1' "$nestctl" -n trapped ept untrap --trap 1
end_session
claim "the trapped guest ends well" trapped quit
claim "and is gone" gone trapped

# ---- a dead one ----

claim "one that is to die" status 0 "$nestbox" run --kvm "$NESTBOX_KVM" --name mortal --memory 16M --cpus 2 --unsafe --daemonize
session mortal
claim "a panic" refuses 1 'asked to panic' "$nestctl" -n mortal x-test-panic
post_mortem() { status 1 "$nestctl" -n mortal "$@"; }
claim "status says what died" post_mortem status
claim "where, and where to look" says '^died (panic) on vCPU 0: .*asked to panic' '^  in hypercall test-panic' '^nestctl bt '
claim "with the same status in JSON" post_mortem status --json
claim "bt has the backtrace" shows '^vCPU 0, dead: .*asked to panic' -n mortal bt
claim "to the end" says '^in hypercall test-panic' '^#0 .*op_panic' '(inlined) ' 'entry+.* at guest/entry.S'
claim "the other vCPU's" shows '^vCPU 1, dead' -n mortal bt --vcpu 1
claim "registers it saved" shows '^  rip *0xffffffff8' -n mortal registers
claim "and none it did not" sh -c '! grep -q "^  rax" "$1"' sh "$scratch/out"
claim "the other vCPU's" shows '^  rax ' -n mortal registers --vcpu 1
claim "memory" shows '^0x' -n mortal x/2gx machine
claim "it cannot go on" refuses 1 'dead' "$nestctl" -n mortal cont
end_session
claim "quit ends it" ctl -n mortal quit
claim "and it is gone" gone mortal

# ---- the end ----

claim "quit" ctl quit
claim "takes the socket away" gone main
"$nestbox" run --kvm "$NESTBOX_KVM" --name dead --memory 16M --json >"$scratch/started" 2>/dev/null &
dead=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
  grep -q socket "$scratch/started" 2>/dev/null && break
  sleep 1
done
kill -9 $dead
wait $dead 2>/dev/null
claim "a guest that was killed leaves its socket" test -S "$sockets/dead.sock"
claim "which list removes" ctl list
claim "and says so" grep -q 'removed .*dead.sock' "$scratch/err"
claim "and it is gone" test ! -e "$sockets/dead.sock"
started_again() {
  status 0 "$nestbox" run --kvm "$NESTBOX_KVM" --name dead --memory 16M --backing anon,thp --flush eager --daemonize &&
    ctl audit && ctl destroy
}
claim "its name can be had again" started_again

conclude
