#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks every shell script with shellcheck.
set -euo pipefail
# shellcheck source=tests/style/files.sh
. "$(dirname "$(realpath "$0")")/files.sh"

command -v shellcheck >/dev/null || style_skip "shellcheck is missing"

# Scripts are those named so and those whose first line names a shell.
shell_scripts() {
  style_files '*.sh'
  style_files 'scripts/*' '.ci/*' | while IFS= read -r file; do
    case $file in *.sh) continue ;; esac
    ! head -n 1 "$file" | grep -q -E '^#!.*/(ba|da|)sh' || echo "$file"
  done
}

mapfile -t scripts < <(shell_scripts)
[ ${#scripts[@]} -gt 0 ] || exit 0
shellcheck -x "${scripts[@]}"
