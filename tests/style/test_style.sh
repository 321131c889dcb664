#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tests the style tests: each must pass on a small clean tree and name the fault planted in it.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
spdx='SPDX-License-Identifier: GPL-2.0-or-later'

# Writes a C file of the small tree: PATH LINE...
c_file() {
  mkdir -p "$(dirname "$work/$1")"
  printf '%s\n' "/* $spdx */" "${@:2}" >"$work/$1"
}

clean_tree() {
  rm -rf "${work:?}"/*
  cp "$here/../../.clang-format" "$work/"
  c_file mm/x86.h '#include <stdint.h>' 'typedef uint64_t pte_t;'
  c_file mm/page.h '#include "mm/x86.h"' 'pte_t page_entry(void);'
  c_file guest/abi.h '#include <stdint.h>' 'struct ring {' $'\tuint32_t head;' '};'
  c_file guest/start.c '#include "guest/abi.h"' '#include "mm/page.h"'
  c_file lib/error.h '#include <stddef.h>' 'struct error;'
  c_file ept/space.h '#include <stdio.h>' '#include "mm/x86.h"' 'int space_make(pte_t *entry);'
  c_file vmm/base/cli.h '#include "lib/error.h"'
  c_file vmm/run/run.c '#include "ept/space.h"' '#include "guest/abi.h" /* the rings */'
  cat >"$work/CONTRIBUTING.md" <<'TEXT'
| room | owns | may include |
|---|---|---|
| `lib/` | words | nothing |
| `mm/` | core | nothing |
| `guest/` | machine | `mm/` |
| `ept/` | second stage | `lib/`, `mm/x86.h` |
| `vmm/base/` | lines | `lib/` |
| `vmm/run/` | runs | `vmm/base/`, `lib/`, `ept/`, `guest/abi.h` |
TEXT
  mkdir -p "$work/scripts" "$work/docs"
  # shellcheck disable=SC2016 # the script's text
  printf '#!/bin/sh\n# %s\necho "$1"\n' "$spdx" >"$work/scripts/tool"
}

# TEST must pass on the tree as it is.
accepts() { # TEST
  local said
  if ! said=$(top_srcdir=$work "$here/$1" 2>&1); then
    printf 'FAILED: %s refuses a clean tree:\n%s\n' "$1" "$said"
    failures=$((failures + 1))
  fi
}

# TEST must fail and say TEXT; then the tree is made clean again.
refuses() { # TEST TEXT
  local said
  if said=$(top_srcdir=$work "$here/$1" 2>&1); then
    echo "FAILED: $1 passed where it had to say: $2"
    failures=$((failures + 1))
  elif ! grep -q -F -e "$2" <<<"$said"; then
    printf 'FAILED: %s had to say: %s\nit said: %s\n' "$1" "$2" "$said"
    failures=$((failures + 1))
  fi
  clean_tree
}

test_includes() {
  accepts includes.sh
  c_file mm/area.c '#include "ept/space.h"'
  refuses includes.sh 'mm/area.c:2: may not include "ept/space.h"'
  c_file mm/area.c '#include <stdio.h>'
  refuses includes.sh 'mm/area.c:2: may not include <stdio.h>'
  c_file mm/x86.h '#include "mm/page.h"'
  refuses includes.sh 'mm/x86.h:2: may not include "mm/page.h"'
  c_file ept/walk.c ' #  include "mm/page.h" // why'
  refuses includes.sh 'ept/walk.c:2: may not include "mm/page.h"'
  c_file vmm/run/spy.c '' '#include "mm/page.h"'
  refuses includes.sh 'vmm/run/spy.c:3: may not include "mm/page.h"'
  c_file vmm/run/spy.c '#include "guest/start.h"'
  refuses includes.sh 'vmm/run/spy.c:2: may not include "guest/start.h"'
  c_file vmm/run/spy.c '#include "run.h"'
  refuses includes.sh 'vmm/run/spy.c:2: may not include "run.h"'
  c_file vmm/base/cli.c '#include "vmm/run/run.h"'
  refuses includes.sh 'vmm/base/cli.c:2: may not include "vmm/run/run.h"'
  c_file vmm/stray.c '#include <stdio.h>'
  refuses includes.sh 'vmm/stray.c: lies in no room'
  # shellcheck disable=SC2016 # backquotes of Markdown
  sed -i 's;| lines | `lib/` |;| lines | `lib/`, `vmm/run/` |;' "$work/CONTRIBUTING.md"
  refuses includes.sh 'vmm/base/ may use vmm/run/, which stands below it'
  c_file guest/abi.h 'struct ring {' $'\tuint32_t head;' '};'
  refuses includes.sh 'guest/abi.h: does not compile alone'
}

test_spdx() {
  accepts spdx.sh
  echo 'int x;' >"$work/mm/bare.c"
  refuses spdx.sh 'mm/bare.c:1: the first line must be'
  printf '#!/bin/sh\necho\n' >"$work/scripts/tool"
  refuses spdx.sh 'scripts/tool:1: the first line must be'
  # The path is made of two parts, because this file is checked too.
  echo "see /work""/notes" >"$work/NOTES"
  refuses spdx.sh 'NOTES:1:see /work'
}

test_docs() {
  accepts docs.sh
  c_file vmm/run/spy.c '/* As mm/gone.c does. */'
  refuses docs.sh 'vmm/run/spy.c:2: names mm/gone.c'
  # shellcheck disable=SC2016 # backquotes of Markdown
  echo 'See `vmm/run/`, and for more `docs/gone.md`.' >"$work/docs/page.md"
  refuses docs.sh 'docs/page.md:1: names docs/gone.md'
  # shellcheck disable=SC2016 # the script's text
  printf '#!/bin/sh\n# %s\necho "$1" # from tests/gone.sh, says scripts/gone.\n' "$spdx" >"$work/scripts/tool"
  accepts docs.sh
  # shellcheck disable=SC2016
  printf '#!/bin/sh\n# %s\n# from scripts/gone.\necho "$1"\n' "$spdx" >"$work/scripts/tool"
  refuses docs.sh 'scripts/tool:3: names scripts/gone'
}

test_format() {
  command -v clang-format >/dev/null || return 0
  accepts format.sh
  c_file mm/area.c 'int  x;'
  refuses format.sh 'mm/area.c:2'
}

test_shellcheck() {
  command -v shellcheck >/dev/null || return 0
  accepts shellcheck.sh
  # shellcheck disable=SC2016 # the fault to plant
  printf '#!/bin/sh\n# %s\necho $1\n' "$spdx" >"$work/scripts/tool"
  refuses shellcheck.sh 'SC2086'
}

# The map and what it names, each time with one thing missing.
test_seed_map() {
  local top=$here/../..
  seed_tree() {
    mkdir -p "$work/docs" "$work/tests" "$work/vmm"
    cp "$top/docs/seed-map.md" "$work/docs/"
    cp -r "$top/mm" "$work/"
    cp -r "$top/tests/mm" "$top/tests/machine" "$top/tests/style" "$work/tests/"
    cp -r "$top/vmm/selftest" "$work/vmm/"
  }
  seed_tree
  accepts seed_map.sh
  # shellcheck disable=SC2016 # backquotes of Markdown
  sed -i '/^| `vunmap` /d' "$work/docs/seed-map.md"
  refuses seed_map.sh 'docs/seed-map.md: no row for vunmap'
  seed_tree
  sed -i '/^| D7 /d' "$work/docs/seed-map.md"
  refuses seed_map.sh '35 rows for 36 defects'
  seed_tree
  sed -i 's/{"vread", /{"vreed", /' "$work"/vmm/selftest/*.c
  refuses seed_map.sh 'nestbox selftest has no row for vread'
}

clean_tree
test_includes
test_seed_map
test_spdx
test_docs
test_format
test_shellcheck
exit $((failures > 0))
