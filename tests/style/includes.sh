#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks who includes whom, by the table of rooms in CONTRIBUTING.md; that no room may use one that
# stands below it in that table, so that there is no circle; and that each header compiles alone.
set -euo pipefail
# shellcheck source=tests/style/files.sh
. "$(dirname "$(realpath "$0")")/files.sh"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Every file of the product, in one pass: its room is the table's longest row that it lies in.
check_table() {
  # shellcheck disable=SC2016 # awk's
  style_files 'lib/*.[chS]' 'mm/*.[chS]' 'guest/*.[chS]' 'ept/*.[chS]' 'vmm/*.[chS]' 'mm/*.lds' \
    'guest/*.lds' >"$scratch/files"
  awk -v files="$scratch/files" '
    function fail(text) { print text; failed = 1 }
    function room_of(path,   at) {
      for (at = path; sub("/[^/]*$", "", at);) if ((at "/") in may) return at "/"
      return ""
    }
    function may_include(file, word,   target) {
      # Two formats belong to both sides: they include what a compiler supplies, and nothing else.
      if (file == "mm/x86.h" || file == "guest/abi.h") return word ~ freestanding
      if (word ~ /^</) return room_of(file) ~ /^(mm|guest)\/$/ ? word ~ freestanding : 1
      if (word !~ /^"[a-z0-9_\/]+\.h"$/) return 0
      target = substr(word, 2, length(word) - 2)
      if (target == "config.h") return room_of(file) !~ /^(mm|guest)\/$/
      return (room_of(file), target) in granted || (room_of(file), room_of(target)) in granted
    }
    BEGIN {
      freestanding = "^<(float|iso646|limits|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdnoreturn)\\.h>$"
      while ((getline line <"CONTRIBUTING.md") > 0) {
        if (split(line, column, "|") < 5 || column[2] !~ /^ `[a-z0-9_\/]+\/` $/) continue
        room = column[2]; gsub(/[ `]/, "", room)
        may[room] = 1
        granted[room, room] = 1
        rest = column[4]
        while (match(rest, /`[^`]+`/)) {
          other = substr(rest, RSTART + 1, RLENGTH - 2)
          rest = substr(rest, RSTART + RLENGTH)
          if (other ~ /\/$/ && !(other in may))
            fail("CONTRIBUTING.md: " room " may use " other ", which stands below it")
          granted[room, other] = 1
        }
      }
      while ((getline file <files) > 0) {
        if (room_of(file) == "") fail(file ": lies in no room of CONTRIBUTING.md")
        number = 0
        while ((getline line <file) > 0) {
          number++
          if (line !~ /^[ \t]*#[ \t]*include/) continue
          sub(/^[ \t]*#[ \t]*include[ \t]*/, "", line)
          sub(/[ \t]*(\/[*\/].*)?$/, "", line)
          if (!may_include(file, line))
            fail(file ":" number ": may not include " line " (see CONTRIBUTING.md)")
        }
        close(file)
      }
      exit failed
    }'
}

# Compiles header $1 as the only line of a source. xargs calls it.
# shellcheck disable=SC2317
compile_alone() {
  local flags=-D_GNU_SOURCE
  case $1 in mm/* | guest/*) flags=-ffreestanding ;; esac
  # shellcheck disable=SC2086 # $CC may be several words
  echo "#include \"$1\"" | ${CC:-cc} -std=gnu11 $flags -Wall -Werror -I. -fsyntax-only -x c - || {
    echo "$1: does not compile alone"
    return 1
  }
}

check_alone() {
  export -f compile_alone
  # shellcheck disable=SC2016 # the inner shell's
  style_files 'lib/*.h' 'mm/*.h' 'guest/*.h' 'ept/*.h' 'vmm/*.h' |
    xargs -r -P "$(nproc)" -I {} bash -c 'compile_alone "$1"' - {}
}

failed=0
check_table || failed=1
check_alone || failed=1
exit $failed
