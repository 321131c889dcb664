#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks that all C is laid out as .clang-format says. `clang-format -i FILE` mends it.
set -euo pipefail
# shellcheck source=tests/style/files.sh
. "$(dirname "$(realpath "$0")")/files.sh"

command -v clang-format >/dev/null || style_skip "clang-format is missing"
mapfile -t sources < <(style_files '*.c' '*.h' | grep -v -x config.h)
[ ${#sources[@]} -gt 0 ] || exit 0
printf '%s\0' "${sources[@]}" | xargs -0 -n 32 -P "$(nproc)" clang-format --dry-run -Werror
