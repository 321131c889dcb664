#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# docs/hypercalls.md names every operation, port and event of guest/abi.h, and no other.
set -eu
top=${top_srcdir:-$(dirname "$0")/../..}
abi=$top/guest/abi.h
page=$top/docs/hypercalls.md
names='NB_(OP|PORT|EVENT)_[A-Z_0-9]+'
in_abi=$(grep -oE "^(#define)?[[:space:]]+$names" "$abi" | grep -oE "$names" | sort -u)
in_page=$(grep -oE "$names" "$page" | sort -u)
[ -n "$in_abi" ] || { echo "docs.sh: found no names in $abi" >&2; exit 1; }
if [ "$in_abi" != "$in_page" ]; then
  echo "docs/hypercalls.md and guest/abi.h differ in:" >&2
  printf '%s\n%s\n' "$in_abi" "$in_page" | sort | uniq -u >&2
  exit 1
fi
