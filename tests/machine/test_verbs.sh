#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2016 # fences of Markdown, and what inner shells expand
# Every verb of nestctl, good and bad input: exit status and which stream says what. A newcomer's
# steps (docs/first-steps.md) and the Python module are run as well. Prints its count as Check does.
set -u
nestbox=$PWD/nestbox
nestctl=$PWD/nestctl
scratch=$(mktemp -d) || exit 1
XDG_RUNTIME_DIR=$scratch/run
export XDG_RUNTIME_DIR
mkdir -m 700 "$XDG_RUNTIME_DIR"
top=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
trap '"$nestctl" -n main quit >/dev/null 2>&1; rm -rf "$scratch"' EXIT

# shellcheck source=tests/machine/shell.sh disable=SC2154 # automake's environment, with a fallback
. "$top/tests/machine/shell.sh"
kvm=${NESTBOX_KVM:-soft}

"$nestctl" help --json >"$scratch/help"
verbs=$(grep -o '"name": "[^"]*"' "$scratch/help" | cut -d '"' -f 4)

# help_is VERB: to standard output alone, with usage, options and exit statuses.
help_is() {
  status 0 "$nestctl" "$1" --help && [ ! -s "$scratch/err" ] &&
    says "^Usage: nestctl $1 " '^Options:' '^Exit status: 0 .* 1 .* 2 '
}

# ---- without a guest: usage is judged before anything is asked ----

for verb in $verbs; do
  claim "$verb --help" help_is "$verb"
  claim "help $verb" status 0 "$nestctl" help "$verb"
  claim "$verb with an option there is not" refuses 2 'frobnicate' "$nestctl" "$verb" --frobnicate
  case $verb in
    list | help) ;;
    *)
      case $("$nestctl" "$verb" --help | sed -n '1s/.*\[OPTION...\] *//p') in
        *...*) ;;
        *) claim "$verb with too many operands" refuses 2 "'u' is one more\|to be\|is no\|operand" \
          "$nestctl" "$verb" 1 2 3 4 5 6 u ;;
      esac
      ;;
  esac
  # What needs operands says which.
  operands=$("$nestctl" "$verb" --help | sed -n '1s/.*\[OPTION...\] *//p')
  [ -z "$operands" ] || claim "$verb without operands" refuses 2 "missing operand: $operands" "$nestctl" "$verb"
  [ -n "$operands" ] || case $verb in
    list | help) ;;
    *) claim "$verb without a guest" refuses 3 'nestbox run' "$nestctl" "$verb" ;;
  esac
done

# ---- with a guest ----

claim "a guest" status 0 "$nestbox" run --kvm "$kvm" --name main --memory 32M --cpus 2 --unsafe --daemonize

# json_is VERB...: one JSON document, whatever the status, and nothing on the other stream if it is 0.
json_is() {
  "$nestctl" "$@" --json >"$scratch/out" 2>"$scratch/err" </dev/null
  got=$?
  [ "$got" -le 1 ] && [ "$(wc -l <"$scratch/out")" = 1 ] && says '^[{[].*[]}]$'
}

for verb in $verbs; do
  case $verb in
    quit | destroy | log | shell | help | x-* | ept-dirty* | dirty-* | dump* | query-second-stage | ept-dump) continue ;;
  esac
  operands=$("$nestctl" "$verb" --help | sed -n '1s/.*\[OPTION...\] *//p')
  [ -n "$operands" ] || claim "$verb in JSON" json_is "$verb"
  case $verb in
    stop | pause) claim "cont after it" status 0 "$nestctl" cont ;;
  esac
  # A symbol there is not is bad input of whatever takes an address first.
  case $operands in
    ADDRESS) claim "$verb of no symbol" refuses 2 'no symbol' "$nestctl" "$verb" no_such_symbol ;;
  esac
  ! "$nestctl" "$verb" --help | grep -q -e '--vcpu N' || [ -n "$operands" ] ||
    claim "$verb of a vCPU there is not" refuses 2 "'vcpu' is 5: this guest has 2" "$nestctl" "$verb" --vcpu 5
done
claim "an error is JSON too" status 2 "$nestctl" walk no_such_symbol --json
claim "with its words" says '^{"error": {.*no_such_symbol'
claim "not mapped is the same to walk" status 1 "$nestctl" walk 0x1000
claim "and to translate" status 1 "$nestctl" translate 0x1000
claim "JSON or not" status 1 "$nestctl" walk 0x1000 --json

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

conclude
