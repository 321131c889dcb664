# SPDX-License-Identifier: GPL-2.0-or-later
# Which files the style tests look at. Sourced by them; goes to the top of the sources.
# shellcheck shell=bash

cd "${top_srcdir:-$(dirname "$(realpath "$0")")/../..}" || exit 99

# Prints the project's files whose names match one of the patterns (or all): in a git tree those
# that are tracked or could be, in a released one all but what a build makes.
style_files() { # PATTERN...
  if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ]; then
    git ls-files --cached --others --exclude-standard
  else
    find . -name 'build*' -prune -o -name '_build' -prune -o -type f -print | sed 's,^\./,,'
  fi | while IFS= read -r file; do
    [ -f "$file" ] || continue # removed, not yet committed
    [ $# -gt 0 ] || echo "$file"
    for pattern in "$@"; do
      # shellcheck disable=SC2254 # a pattern
      case $file in $pattern) echo "$file" && break ;; esac
    done
  done
}

# Ends with automake's skipped status, or with failure where the tools must be there.
style_skip() { # MESSAGE
  echo "NOT CHECKED: $*" >&2
  [ -z "${NESTBOX_REQUIRE_FORMAT:-}" ] || exit 1
  exit 77
}
