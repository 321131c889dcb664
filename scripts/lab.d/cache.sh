# SPDX-License-Identifier: GPL-2.0-or-later
# What scripts/lab keeps between runs, in $XDG_CACHE_HOME/nestbox-lab:
#   kernels/SERIES/NAME_VERSION/vmlinuz, lib/modules/RELEASE/   one of Debian's cloud kernels,
#                               unpacked, never installed; its modules not compressed
#   kernels/SERIES/current      the one in use: a link to the above
#   base/HASH.cpio              busybox, KVM's modules and init, named by their content
# Entries are made beside their place and renamed into it, so a reader never sees half of one.
# shellcheck shell=bash disable=SC2154 # set by scripts/lab

# The kernels: small, have KVM as modules, and every Debian mirror carries them. Prints the package
# that stands for the newest of series $1.
kernel_package() {
  case $1 in
    6.1) echo linux-image-cloud-amd64 ;;
    6.12) echo linux-image-6.12-cloud-amd64 ;;
  esac
}

cache_open() {
  cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/nestbox-lab
  mkdir -p "$cache/kernels/$series" "$cache/base" || lab_fail "cannot write the cache $cache"
  # Two first runs at once would both download.
  exec 9>"$cache/lock"
  flock 9
}

# Prints the name of the package that package $1 stands for.
kernel_name() {
  apt-cache depends --important "$1" 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# Downloads the kernel's package into directory $1.
kernel_download() {
  local package name
  package=$(kernel_package "$series")
  name=$(kernel_name "$package")
  if [ -z "$name" ]; then
    "$here/setup" --update
    name=$(kernel_name "$package")
  fi
  [ -n "$name" ] || lab_fail "apt does not know $package"
  echo "lab: downloading $name (once)" >&2
  (cd "$1" && apt-get -qq -o APT::Sandbox::User=root download "$name" >&2) ||
    { "$here/setup" --update && (cd "$1" && apt-get -qq download "$name" >&2); } ||
    lab_fail "cannot download $name"
}

# Unpacks the package $1 into directory $2. Compressed modules are unpacked: busybox knows no
# other, and depmod then says which needs which.
kernel_unpack() {
  local release
  dpkg-deb -x "$1" "$2/unpacked" || lab_fail "cannot unpack $1"
  mv "$2"/unpacked/boot/vmlinuz-* "$2/vmlinuz"
  mkdir "$2/lib"
  mv "$2/unpacked/lib/modules" "$2/lib/"
  rm -rf "$2/unpacked"
  find "$2/lib/modules" -name '*.ko.xz' -print0 | xargs -0 -r -P "$(nproc)" -n 100 xz -d
  release=$(basename "$2"/lib/modules/*)
  PATH=$PATH:/sbin:/usr/sbin depmod -b "$2" "$release" || lab_fail "depmod fails on $1"
}

# Sets kernel to a directory with vmlinuz and lib/modules/.
cache_kernel() {
  local fresh deb
  kernel=$cache/kernels/$series/current
  [ ! -e "$kernel/vmlinuz" ] || return 0
  fresh=$(mktemp -d "$cache/kernels/$series/new.XXXXXX")
  kernel_download "$fresh"
  deb=$(echo "$fresh"/*.deb)
  kernel_unpack "$deb" "$fresh"
  rm "$deb"
  chmod 755 "$fresh"
  deb=$(basename "$deb" .deb)
  rm -rf "${cache:?}/kernels/$series/$deb"
  mv "$fresh" "$cache/kernels/$series/$deb"
  ln -sfn "$deb" "$kernel"
}

# Prints module $1, or the file name it has in $kernel/lib/modules/RELEASE, and those it needs, in
# the order in which to load them: paths below that directory.
kernel_modules() {
  awk -v module="$1" -F '[: ]+' '
    { name = $1; sub(/.*\//, "", name); sub(/\.ko$/, "", name); gsub("-", "_", name) }
    BEGIN { gsub("-", "_", module) }
    name == module { for (i = NF; i > 0; i--) if ($i != "") print $i; found = 1; exit }
    END { exit !found }' "$kernel"/lib/modules/*/modules.dep
}

# Writes the base image's tree into directory $1.
base_tree() {
  local applet module path
  mkdir -p "$1"/{bin,dev,etc,lab/modules,proc,root,run,sys,tmp,usr/bin,usr/sbin,sbin,var/tmp}
  chmod 1777 "$1/tmp" "$1/var/tmp"
  cp "$(command -v busybox)" "$1/bin/busybox"
  for applet in $(busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
  done
  for module in kvm-amd kvm-intel; do
    kernel_modules "$module" | while read -r path; do
      cp "$kernel"/lib/modules/*/"$path" "$1/lab/modules/"
      basename "$path"
    done >"$1/lab/modules/$module.list"
  done
  # This drops the signatures, whose check takes the slower machine 8 seconds.
  strip --strip-debug "$1"/lab/modules/*.ko
  cp "$lab_d/init.sh" "$1/init"
  chmod 755 "$1/init"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
  echo 'root:x:0:' >"$1/etc/group"
}

# Sets base to the base image.
cache_base() {
  local hash fresh
  hash=$(sha256sum "$(command -v busybox)" "$kernel/vmlinuz" "$lab_d/init.sh" "$lab_d/cache.sh" | cut -d ' ' -f 1 | sha256sum | cut -c 1-32)
  base=$cache/base/$hash.cpio
  if [ ! -e "$base" ]; then
    fresh=$(mktemp -d "$cache/base/new.XXXXXX")
    base_tree "$fresh/tree"
    (cd "$fresh/tree" && find . -print0 | cpio --quiet -0 -o -H newc -R 0:0) >"$fresh/cpio" ||
      lab_fail "cannot write $base"
    mv "$fresh/cpio" "$base"
    rm -rf "$fresh"
  fi
  flock -u 9
  exec 9>&-
}
