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

# One pass over the first two lines of each, whose names are on standard input.
check_first_lines() {
  # shellcheck disable=SC2016 # awk's
  awk '
    {
      file = $0
      want = "# SPDX-License-Identifier: GPL-2.0-or-later"
      if (file ~ /\.(c|h|S|lds)$/) want = "/" "* " substr(want, 3) " *" "/"
      line = ""
      if ((getline line <file) > 0 && line ~ /^#!/) getline line <file
      close(file)
      if (line == want) next
      print file ":1: the first line must be: " want
      failed = 1
    }
    END { exit failed }'
}

sources | check_first_lines || failed=1

# The data of tests is as it was recorded.
mapfile -t files < <(style_files | grep -v -e '^tests/data/' -e '^LICENSE$')
if grep -n -H -I -E '(^|[^A-Za-z0-9_.-])/(work|farm|tmp|home|root)/[a-z._]' "${files[@]}"; then
  echo "the lines above name a path of one machine"
  failed=1
fi

exit $failed
