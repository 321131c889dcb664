#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The commands of docs/teaching.md and docs/tutorial.md, as a reader pastes them; the tutorial's with a
# recording of tests/data in the place of the reader's.
set -u
nestbox=$PWD/nestbox
top=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
scratch=$(mktemp -d) || exit 1
XDG_RUNTIME_DIR=$scratch/run
PATH=$PWD:$PATH
export XDG_RUNTIME_DIR PATH
mkdir -m 700 "$XDG_RUNTIME_DIR"
trap 'cd /; nestctl --name course quit >/dev/null 2>&1; nestctl --name wx quit >/dev/null 2>&1; rm -rf "$scratch"' EXIT

# shellcheck source=tests/machine/shell.sh
. "$top/tests/machine/shell.sh"

# The blocks of a page that are to be pasted.
blocks() { # PAGE
  # shellcheck disable=SC2016 # fences
  awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$top/docs/$1.md" >"$scratch/$1.sh"
}

cd "$scratch" || exit 1
blocks teaching
blocks tutorial
claim "the eight exercises have the answers they say" status 0 timeout 120 bash -e teaching.sh
pictures() {
  for file in walk.html guard.svg stale.html wx.html mixed.svg same.svg race.html nested.html; do
    [ -s "$file" ] || { echo "no $file"; return 1; }
  done
}
claim "and their pictures" pictures
violation() { grep -q 'tlb' stale.html; }
claim "the stale translation is on its page" violation
cp -r "$top/tests/data/modules-2cpu" mine
claim "the tutorial" status 0 timeout 120 bash -e tutorial.sh
compared() { [ -s lazy.html ] && [ -s eager.html ] && grep -q '"load": "mine.load"' lazy.json; }
claim "leaves two pages and a report" compared
conclude
