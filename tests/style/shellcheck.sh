#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks every shell script with shellcheck.
set -euo pipefail
# shellcheck source=tests/style/files.sh
. "$(dirname "$(realpath "$0")")/files.sh"

command -v shellcheck >/dev/null || style_skip "shellcheck is missing"

# Scripts are those named so and those whose first line names a shell.
shell_scripts() {
  local file line
  while IFS= read -r file; do
    line=
    case $file in *.sh) line='#!/bin/sh' ;; *) read -r line <"$file" || : ;; esac
    [[ ! $line =~ ^'#!'.*/(ba|da|)sh ]] || echo "$file"
  done < <(style_files '*.sh' 'scripts/*' '.ci/*' | LC_ALL=C sort -u)
}

mapfile -t scripts < <(shell_scripts)
[ ${#scripts[@]} -gt 0 ] || exit 0
printf '%s\0' "${scripts[@]}" | xargs -0 -n 8 -P "$(nproc)" shellcheck -x
