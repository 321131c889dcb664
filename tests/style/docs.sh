#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# docs/hypercalls.md names every operation, port and event of guest/abi.h, and no other; and every
# file of the tree that a page or a comment names is there.
set -euo pipefail
# shellcheck source=tests/style/files.sh
. "$(dirname "$(realpath "$0")")/files.sh"
failed=0

check_hypercalls() {
  local names='NB_(OP|PORT|EVENT)_[A-Z_0-9]+' in_abi in_page
  [ -f docs/hypercalls.md ] || return 0
  in_abi=$(grep -oE "^(#define)?[[:space:]]+$names" guest/abi.h | grep -oE "$names" | sort -u)
  in_page=$(grep -oE "$names" docs/hypercalls.md | sort -u)
  [ -n "$in_abi" ] || { echo "docs.sh: found no names in guest/abi.h" && return 1; }
  if [ "$in_abi" != "$in_page" ]; then
    echo "docs/hypercalls.md and guest/abi.h differ in:"
    printf '%s\n%s\n' "$in_abi" "$in_page" | sort | uniq -u
    return 1
  fi
}

# Prints each path of ours that the files given name, as PATH FILE:LINE: anywhere in a page, a source
# or a header; in a script, in its comments. A path with <this>, $this or NAME in it is none, nor is
# one that is said to be Linux's.
named_paths() {
  # shellcheck disable=SC2016 # awk's
  awk '
    FNR == 1 { comments_only = FILENAME !~ /\.(c|h|S|lds|md)$/ }
    comments_only && !/^[ \t]*#/ { next }
    {
      for (rest = $0; match(rest, /(docs|mm|lib|guest|ept|vmm|tests|scripts|man)\/[A-Za-z0-9_.\/*-]+/);
           rest = substr(rest, RSTART + RLENGTH)) {
        before = substr(rest, 1, RSTART - 1)
        path = substr(rest, RSTART, RLENGTH)
        if (before ~ /[A-Za-z0-9_.\/$}%-]$/ || before ~ /Linux.s $/) continue
        if (substr(rest, RSTART + RLENGTH, 1) ~ /[<{$"%]/ || path ~ /[A-Z][A-Z]/) continue
        sub(/[.-]+$/, "", path)
        print path, FILENAME ":" FNR
      }
    }' "$@"
}

# A program is named without the .c it is made from; what a build makes besides is known here.
check_paths() {
  local files path where missing=0
  mapfile -t files < <(style_files '*.c' '*.h' '*.S' '*.lds' '*.md' '*.sh' '*.awk' '*.mk' '*.am' \
    'scripts/*' | grep -v -e '^tests/data/' -e '/test_style.sh$' | LC_ALL=C sort -u)
  while read -r path where; do
    case $path in *.a | guest/nestbox-guest) continue ;; esac
    compgen -G "$path" >/dev/null || [ -f "$path.c" ] || {
      echo "$where: names $path, which is not there"
      missing=1
    }
  done < <(named_paths "${files[@]}")
  return $missing
}

check_hypercalls || failed=1
check_paths || failed=1
exit $failed
