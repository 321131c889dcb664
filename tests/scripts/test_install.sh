#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make install puts programs, pages and completions under DESTDIR, and they work from there;
# make uninstall takes all of it away. Does nothing where there is no build.
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
wanted='usr/bin/nestbox
usr/bin/nestctl
usr/share/bash-completion/completions/nestbox
usr/share/bash-completion/completions/nestctl
usr/share/man/man1/nestbox.1
usr/share/man/man1/nestctl.1
usr/share/man/man7/nestbox-hypercalls.7
usr/share/man/man7/nestbox-protocol.7
usr/share/nestbox/python/nestbox.py
usr/share/nestbox/python/vmallocinfo.py'
found=$(cd "$scratch/root" && find . -type f | sed 's,^\./,,' | LC_ALL=C sort)
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
[ "$(complete_with nestbox ru)" = 'run ' ] || fail "nestbox commands: $(complete_with nestbox ru)"
[ "$(complete_with nestbox run --daem)" = '--daemonize ' ] || fail "nestbox options"

run_make uninstall
left=$(cd "$scratch/root" && find . -type f)
[ -z "$left" ] || fail "left behind: $left"
exit $failed
