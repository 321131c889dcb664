#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# docs/seed-map.md has a row for each defect, and every test and file it names is there; nestbox
# selftest has a row for each function.
set -eu
top=${top_srcdir:-$(dirname "$0")/../..}
page=$top/docs/seed-map.md
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

rows=$(grep -cE '^\| D[0-9]+ \|' "$page")
[ "$rows" -eq 36 ] || { echo "docs/seed-map.md: $rows rows for 36 defects" >&2; exit 1; }
grep -oE 'd[0-9]{2}_[a-z0-9_]+' "$page" | sort -u >"$scratch/named"
grep -rhoE 'START_TEST\(d[0-9]{2}_[a-z0-9_]+' "$top/tests/mm" | sed 's/.*(//' | sort -u \
  >"$scratch/there"
diff "$scratch/named" "$scratch/there" >&2 || {
  echo "docs/seed-map.md and the tests differ" >&2
  exit 1
}
# shellcheck disable=SC2016 # backquotes of Markdown
sed -n '/^## Functions/,/^## Defects/s/^| *\(`[^|]*`[^|]*\) |.*/\1/p' "$page" |
  grep -oE '`[a-z_0-9]+`' | tr -d '`' >"$scratch/functions"
[ "$(wc -l <"$scratch/functions")" -ge 38 ] ||
  { echo "docs/seed-map.md: fewer functions than the seed has" >&2; exit 1; }
while read -r function; do
  grep -qF "{\"$function\", " "$top"/vmm/selftest/*.c ||
    { echo "nestbox selftest has no row for $function" >&2; exit 1; }
done <"$scratch/functions"
grep -oE '(mm|tests)/[a-z0-9_/]+\.(c|h|sh)' "$page" | sort -u | while read -r file; do
  [ -f "$top/$file" ] || { echo "docs/seed-map.md: no file $file" >&2; exit 1; }
done
