#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# docs/seed-map.md has a row for each function and each defect of the seed, and every test and file
# it names is there; nestbox selftest has a row for each function.
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
# The seed's functions, in its order.
for function in vunmap_pte_range vunmap_pmd_range vunmap_pud_range unmap_kernel_range \
  unmap_vm_area vmap_pte_range vmap_pmd_range vmap_pud_range map_vm_area __get_vm_area_node \
  __get_vm_area get_vm_area get_vm_area_node __find_vm_area __remove_vm_area remove_vm_area \
  __vunmap vfree vunmap vmap __vmalloc_area_node __vmalloc_area __vmalloc_node __vmalloc vmalloc \
  vmalloc_user vmalloc_node vmalloc_exec vmalloc_32 vmalloc_32_user vread vwrite \
  remap_vmalloc_range vmalloc_sync_all f alloc_vm_area free_vm_area; do
  grep -qx "$function" "$scratch/functions" ||
    { echo "docs/seed-map.md: no row for $function" >&2; exit 1; }
done
while read -r function; do
  grep -qF "{\"$function\", " "$top"/vmm/selftest/*.c ||
    { echo "nestbox selftest has no row for $function" >&2; exit 1; }
done <"$scratch/functions"
grep -oE '(mm|tests)/[a-z0-9_/]+\.(c|h|sh)' "$page" | sort -u | while read -r file; do
  [ -f "$top/$file" ] || { echo "docs/seed-map.md: no file $file" >&2; exit 1; }
done
