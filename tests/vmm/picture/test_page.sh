#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The pages in a real browser, headless Chromium: a replay's, a running guest's and one of 100,000
# areas are opened from the file and driven (drive.js). How fast it draws is told, not judged.
set -u
# shellcheck disable=SC2154 # automake's environment, with a fallback
top=${top_srcdir:-$(dirname "$0")/../../..}
# shellcheck source=tests/machine/shell.sh
. "$top/tests/machine/shell.sh"
on_soft
NESTBOX_NAME=page
export NESTBOX_NAME

# browse FILE: what the browser made of it, as HTML.
browse() {
  HOME=$scratch timeout 100 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
    --window-size=1400,1200 --virtual-time-budget=60000 --dump-dom "file://$1" 2>"$scratch/err"
}

echo '<p id="probe">a browser' >"$scratch/probe.html"
if ! browse "$scratch/probe.html" | grep -q 'id="probe"'; then
  tail -n 3 "$scratch/err" >&2
  [ -z "${NESTBOX_REQUIRE_BROWSER:-}" ] || { echo "no chromium that opens a page" >&2; exit 1; }
  echo "SKIPPED: no chromium here that opens a page (scripts/setup test)" >&2
  exit 77
fi

# drive PAGE SCRIPT: opens the page with the script in it, and shows what the drive saw.
drive() {
  { cat "$1"; echo '<script>'; cat "$2"; echo '</script>'; } >"$1.html"
  browse "$1.html" >"$scratch/dom"
  sed -n '/<pre id="driven">/,/end of the drive/p' "$scratch/dom" |
    sed 's/.*<pre id="driven">//; s#</pre>.*##' >"$scratch/out"
  cat "$scratch/out"
}

# driven PAGE: no line of its drive is a failure, and it came to its end.
driven() {
  drive "$1" "$top/tests/vmm/picture/drive.js"
  says "^ok: the map is drawn" "^ok: an address is found" "^end of the drive" &&
    ! grep -q '^FAILED' "$scratch/out"
}

page_of_a_replay() {
  status 0 "$nestbox" replay --kvm soft --html "$scratch/replay" "$top/tests/data/mixed-2cpu" &&
    driven "$scratch/replay" && says "^ok: the slider goes back in time"
}
claim "a replay's page works" page_of_a_replay

page_of_a_guest() {
  status 0 "$nestbox" run --kvm soft --name page --daemonize --memory 32M &&
    status 0 "$nestctl" vmalloc 40960 && status 0 "$nestctl" vmalloc 8192 &&
    status 0 "$nestctl" html "$scratch/guest" && driven "$scratch/guest" &&
    says "^ok: the tables open" "^ok: the walk is drawn"
}
claim "a guest's page works" page_of_a_guest

large_page() {
  status 0 tests/vmm/picture/make_page "$scratch/large" 100000 &&
    [ "$(wc -c <"$scratch/large")" -lt 5000000 ] && driven "$scratch/large"
}
claim "a page of 100,000 areas is under 5 MB and works" large_page

# The drive itself must be able to fail.
broken_page() {
  sed 's/get("found").textContent/"broken"/' "$top/tests/vmm/picture/drive.js" >"$scratch/broken.js"
  drive "$scratch/guest" "$scratch/broken.js" >/dev/null
  says '^FAILED: an address is found'
}
claim "a drive that sees the wrong thing says so" broken_page
conclude
