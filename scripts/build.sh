# SPDX-License-Identifier: GPL-2.0-or-later
# Configuring and building in $build, and whether this host has KVM: sourced by scripts/check,
# scripts/demo and others, which set tree.
# shellcheck shell=bash disable=SC2154 # set by the caller

build=$(realpath -m "${NESTBOX_BUILD:-$tree/build}")

# Whether /dev/kvm is there, is the kernel's (its number is KVM's own) and can be opened.
host_has_kvm() {
  [ "$(stat -L -c %t:%T /dev/kvm 2>/dev/null)" = a:e8 ] && { : <>/dev/kvm; } 2>/dev/null
}

# The build directory's make, on all processors, saying little.
build_make() {
  make -C "$build" -s --no-print-directory -j "$(nproc)" V=0 "$@" </dev/null
}

# Runs a command silently unless it fails; then shows what it said.
build_quietly() {
  local said=$build/.set-up.log
  if ! "$@" </dev/null >"$said" 2>&1; then
    cat "$said" >&2
    echo "nestbox: failed: $*" >&2
    return 1
  fi
}

# Configures with the options given, unless that was done and nothing it depends on has changed.
build_configure() {
  local stamp=$build/.configured sources want
  sources=$(cd "$tree" && { ls configure.ac Makefile.am && find lib mm guest ept vmm tests scripts \
    -name local.mk | LC_ALL=C sort; } | xargs cat | sha256sum)
  want="$sources $*"
  if [ -f "$build/Makefile" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
    return
  fi
  echo "nestbox: configuring in $build" >&2
  mkdir -p "$build"
  # Objects made with other options would stay.
  [ ! -f "$build/Makefile" ] || [[ $(cat "$stamp" 2>/dev/null) = *"- $*" ]] ||
    build_quietly make -C "$build" clean
  rm -f "$stamp"
  build_quietly autoreconf -fi "$tree"
  (cd "$build" && build_quietly "$(realpath --relative-to=. "$tree")/configure" "$@")
  echo "$want" >"$stamp"
}
