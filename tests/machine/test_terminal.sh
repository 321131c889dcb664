#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# nestctl map and nestctl top: letters where areas are, a line a sample, also of a paused guest.
# shellcheck disable=SC2016 # eval expands what is in single quotes
set -u
# shellcheck disable=SC2154 # automake's environment, with a fallback
top=${top_srcdir:-$(dirname "$0")/../..}
# shellcheck source=tests/machine/shell.sh
. "$top/tests/machine/shell.sh"
on_soft
NESTBOX_NAME=term COLUMNS=60
export NESTBOX_NAME COLUMNS

ctl() {
  status 0 "$nestctl" "$@"
}

claim "a guest" status 0 "$nestbox" run --kvm soft --name term --memory 32M --daemonize
claim "no area, no map" eval 'ctl map && says "^no area$"'

three_areas() {
  ctl vmalloc 12288 && ctl vmalloc 4096 && first=$(cat "$scratch/out") && ctl vmalloc 8192 &&
    ctl vfree "$first" && ctl map && says '^0xffffc90000000000 VVVV~~VVV$' 'a cell is 4 KiB'
}
claim "a letter a page: two areas, and between them one freed" three_areas
far_area() {
  ctl get-vm-area-node 8192 --align 1 --start 0xffffd00000000000 --end 0xffffd10000000000 --flags 1 &&
    ctl map && says '^0xffffc90000000000 VVVV~~VVV::*[Ii]' && [ "$(wc -l <"$scratch/out")" -lt 4 ]
}
claim "a hole of 7 TiB is a few colons" far_area

lines() {
  ctl top --every 20 --count 3 && says '^STATUS  *CALLS/S' && [ "$(grep -c '^running' "$scratch/out")" = 3 ]
}
claim "top says a line a sample" lines
claim "and JSON Lines" eval 'ctl top --json --every 20 --count 1 && says "\"areas\": 3, \"lazy-pages\": 2"'
paused() {
  ctl stop && ctl top --every 20 --count 1 && says '^paused' && ctl cont
}
claim "one line where nobody watches" eval 'ctl top --every 20 && [ "$(grep -c "^running" "$scratch/out")" = 1 ]'
claim "of a paused guest too" paused
claim "a time that is none" refuses 2 'every' "$nestctl" top --every soon
claim "a page with the walk of no address" refuses 2 "no symbol" "$nestctl" html "$scratch/page" --walk nosuch
claim "and no page is left" [ ! -e "$scratch/page" ]
conclude
