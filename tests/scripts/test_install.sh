#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make install puts programs, pages, completions, docs, labs, the recorder, recordings and the guest
# under DESTDIR, or a prefix, and they work from there and from any folder; make uninstall takes all
# of it away. Does nothing where there is no build.
set -euo pipefail
top=$(realpath "${top_srcdir:-$(dirname "$0")/../..}")
[ -f Makefile ] || { echo "test_install.sh: no build here" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

fail() {
  echo "FAILED: $*"
  failed=1
}

run_make() {
  env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "${MAKE:-make}" -s "$@" DESTDIR="$scratch/root" prefix=/usr \
    bashcompletiondir=/usr/share/bash-completion/completions >"$scratch/log" 2>&1 ||
    { fail "make $*"; cat "$scratch/log"; }
}

run_make install
wanted=$(
  cat <<'LIST'
usr/bin/nestbox
usr/bin/nestbox-capture
usr/bin/nestbox-lab
usr/bin/nestctl
usr/share/bash-completion/completions/nestbox
usr/share/bash-completion/completions/nestctl
usr/share/man/man1/nestbox.1
usr/share/man/man1/nestctl.1
usr/share/man/man7/nestbox-hypercalls.7
usr/share/man/man7/nestbox-protocol.7
usr/share/nestbox/nestbox-guest
usr/share/nestbox/scripts/capture
usr/share/nestbox/scripts/lab
usr/share/nestbox/scripts/setup
usr/share/doc/nestbox/README.md
usr/share/doc/nestbox/CONTRIBUTING.md
usr/share/doc/nestbox/LICENSE
LIST
  cd "$top"
  for file in docs/*; do echo "usr/share/doc/nestbox/$file"; done
  for file in python/*.py scripts/lab.d/*; do echo "usr/share/nestbox/$file"; done
  for file in tests/data/*-?cpu/*; do echo "usr/share/nestbox/recordings/${file#tests/data/}"; done
)
wanted=$(LC_ALL=C sort <<<"$wanted")
found=$(cd "$scratch/root" && find . ! -type d | sed 's,^\./,,' | LC_ALL=C sort)
[ "$found" = "$wanted" ] || { fail "what is installed differs:"; diff <(echo "$wanted") <(echo "$found") || :; }

"$scratch/root/usr/bin/nestbox" --version | grep -q '^nestbox ' || fail "nestbox does not run"
"$scratch/root/usr/bin/nestctl" --version | grep -q '^nestbox ' || fail "nestctl does not run"

# Pages: groff has nothing to say about them.
if command -v groff >/dev/null; then
  for page in "$top"/man/*.[17]; do
    said=$(groff -man -Tutf8 -ww -z "$page" 2>&1) || :
    [ -z "$said" ] || fail "$page: $said"
  done
fi

# Completions, as bash would ask them: what the word before the cursor may become.
complete_with() { # PROGRAM WORD...
  PATH=$scratch/root/usr/bin:$PATH bash -c '
    . "$0/usr/share/bash-completion/completions/$1"
    COMP_WORDS=("${@:1}") COMP_CWORD=$(($# - 1))
    "_$1"
    printf "%s\n" "${COMPREPLY[@]}"' "$scratch/root" "$@" | tr '\n' ' '
}
[ "$(complete_with nestctl vmalloc-u)" = 'vmalloc-user ' ] || fail "nestctl verbs: $(complete_with nestctl vmalloc-u)"
[ "$(complete_with nestctl vmalloc --al)" = '--align ' ] || fail "nestctl options"
[ "$(complete_with nestctl --name x aud)" = 'audit ' ] || fail "nestctl verbs after options"
[ "$(complete_with nestctl bench fix_s)" = 'fix_size ' ] || fail "nestctl operands"
[ "$(complete_with nestctl ept unt)" = 'untrap ' ] || fail "nestctl second words"
[ "$(complete_with nestctl vmalloc 4K --prot PAGE_KERNEL_E)" = 'PAGE_KERNEL_EXEC ' ] || fail "nestctl flags"
[ "$(complete_with nestbox ru)" = 'run ' ] || fail "nestbox commands: $(complete_with nestbox ru)"
[ "$(complete_with nestbox run --daem)" = '--daemonize ' ] || fail "nestbox options"

run_make uninstall
left=$(cd "$scratch/root" && find . ! -type d)
[ -z "$left" ] || fail "left behind: $left"

# A prefix of one's own, from another folder.
prefix=$scratch/own
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "${MAKE:-make}" -s install prefix="$prefix" >"$scratch/log" 2>&1 ||
  { fail "make install prefix"; cat "$scratch/log"; }
mkdir "$scratch/elsewhere"
cd "$scratch/elsewhere"
replayed=$("$prefix/bin/nestbox" replay --kvm soft "$prefix/share/nestbox/recordings/mixed-2cpu" | head -n 1) || :
[ "$replayed" = "mixed-2cpu: right; 370 of 370 addresses as in Linux, audit clean" ] || fail "replay: $replayed"
"$prefix/bin/nestbox" selftest --kvm soft --image "$prefix/share/nestbox/nestbox-guest" --function vfree >"$scratch/log" 2>&1 ||
  { fail "the guest's ELF"; cat "$scratch/log"; }
"$prefix/bin/nestbox-lab" --help | grep -q '^usage: ' || fail "nestbox-lab"
[ "$("$prefix/bin/nestbox-lab" nosuch 2>&1 >/dev/null | wc -l)" = 2 ] || fail "nestbox-lab of no lab"
"$prefix/bin/nestbox-capture" --help | grep -q '^usage: ' || fail "nestbox-capture"
if command -v python3 >/dev/null; then
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$prefix/share/nestbox/python python3 -c 'import nestbox' || fail "the Python module"
fi
# README's links lead somewhere.
doc=$prefix/share/doc/nestbox
for link in $(grep -oE '\]\([^)#:]*\)' "$doc/README.md" | tr -d '])('); do
  [ -e "$doc/$link" ] || fail "README.md leads to $link"
done
exit $failed
