#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks that every source opens with its SPDX line (scripts: after #!), and that no file names a
# path of the machine it was written on.
set -euo pipefail
# shellcheck source=tests/style/files.sh
. "$(dirname "$(realpath "$0")")/files.sh"

failed=0

# Sources by name; and everything in scripts/ and .ci/, where programs have no suffix.
sources() {
  style_files '*.c' '*.h' '*.S' '*.lds' '*.sh' '*.py' '*.awk' 'Makefile.am' 'configure.ac' \
    'scripts/*' '.ci/*' | grep -v -x config.h | LC_ALL=C sort -u
}

while IFS= read -r file; do
  line=$(head -n 1 "$file")
  case $line in '#!'*) line=$(sed -n 2p "$file") ;; esac
  case $file in
    *.c | *.h | *.S | *.lds) want='/* SPDX-License-Identifier: GPL-2.0-or-later */' ;;
    *) want='# SPDX-License-Identifier: GPL-2.0-or-later' ;;
  esac
  if [ "$line" != "$want" ]; then
    echo "$file:1: the first line must be: $want"
    failed=1
  fi
done < <(sources)

# The data of tests is as it was recorded.
while IFS= read -r file; do
  if grep -n -H -I -E '(^|[^A-Za-z0-9_.-])/(work|farm|tmp|home|root)/[a-z._]' "$file"; then
    echo "$file: names a path of one machine"
    failed=1
  fi
done < <(style_files | grep -v -e '^tests/data/' -e '^LICENSE$')

exit $failed
