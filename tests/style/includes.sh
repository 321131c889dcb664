#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks who includes whom (the table in CONTRIBUTING.md) and that each header compiles alone.
set -euo pipefail
# shellcheck source=tests/style/files.sh
. "$(dirname "$(realpath "$0")")/files.sh"

# Headers that a C compiler supplies without a C library.
freestanding='<(float|iso646|limits|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdnoreturn)\.h>'

# Prints what file $1 may include, as a pattern for the word after #include.
allowed() {
  case $1 in
    mm/x86.h | guest/abi.h) echo "$freestanding" ;;
    mm/*) echo "$freestanding|\"mm/[a-z0-9_/]+\.h\"" ;;
    guest/*) echo "$freestanding|\"(guest|mm)/[a-z0-9_/]+\.h\"" ;;
    ept/*) echo "<.*>|\"ept/[a-z0-9_/]+\.h\"|\"(mm/x86|config)\.h\"" ;;
    vmm/*) echo "<.*>|\"(vmm|ept)/[a-z0-9_/]+\.h\"|\"(guest/abi|mm/x86|config)\.h\"" ;;
  esac
}

check_table() {
  local file number directive word
  while IFS= read -r file; do
    while IFS=: read -r number directive; do
      word=$(echo "$directive" | sed -E 's/^[ \t]*#[ \t]*include[ \t]*//; s/[ \t]*(\/[*\/].*)?$//')
      if ! [[ $word =~ ^($(allowed "$file"))$ ]]; then
        echo "$file:$number: may not include $word (see CONTRIBUTING.md)"
        failed=1
      fi
    done < <(grep -n -E '^[[:space:]]*#[[:space:]]*include' "$file")
  done < <(style_files 'mm/*.[chS]' 'guest/*.[chS]' 'ept/*.[chS]' 'vmm/*.[chS]' \
    'mm/*.lds' 'guest/*.lds')
}

check_alone() {
  local header flags
  while IFS= read -r header; do
    case $header in
      mm/* | guest/*) flags=-ffreestanding ;;
      *) flags=-D_GNU_SOURCE ;;
    esac
    # Compiled as the only line of a source; $CC may be several words.
    # shellcheck disable=SC2086
    echo "#include \"$header\"" |
      ${CC:-cc} -std=gnu11 $flags -Wall -Werror -I. -fsyntax-only -x c - || {
      echo "$header: does not compile alone"
      failed=1
    }
  done < <(style_files 'mm/*.h' 'guest/*.h' 'ept/*.h' 'vmm/*.h')
}

failed=0
check_table
check_alone
exit $failed
