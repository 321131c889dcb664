# SPDX-License-Identifier: GPL-2.0-or-later
# What scripts/lab keeps between runs, in $XDG_CACHE_HOME/nestbox-lab:
#   kernel/NAME_VERSION/vmlinuz, modules/*.ko   a Debian cloud kernel, unpacked, never installed
#   kernel/current                              the one in use: a link to the above
#   base/HASH.cpio                              busybox, modules and init, named by their content
# Entries are made beside their place and renamed into it, so a reader never sees half of one.
# shellcheck shell=bash disable=SC2154 # set by scripts/lab

# The kernel: small, has KVM as modules, and every Debian mirror carries it.
kernel_package=linux-image-cloud-amd64
lab_modules=(virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-amd arch/x86/kvm/kvm-intel)

cache_open() {
  cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/nestbox-lab
  mkdir -p "$cache/kernel" "$cache/base" || lab_fail "cannot write the cache $cache"
  # Two first runs at once would both download.
  exec 9>"$cache/lock"
  flock 9
}

# Prints the name of the package that $kernel_package stands for.
kernel_name() {
  apt-cache depends --important "$kernel_package" 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# Downloads the kernel's package into directory $1.
kernel_download() {
  local name
  name=$(kernel_name)
  if [ -z "$name" ]; then
    "$here/setup" --update
    name=$(kernel_name)
  fi
  [ -n "$name" ] || lab_fail "apt does not know $kernel_package"
  echo "lab: downloading $name (once)" >&2
  (cd "$1" && apt-get -qq -o APT::Sandbox::User=root download "$name" >&2) ||
    { "$here/setup" --update && (cd "$1" && apt-get -qq download "$name" >&2); } ||
    lab_fail "cannot download $name"
}

# Sets kernel to a directory with vmlinuz and modules/.
cache_kernel() {
  kernel=$cache/kernel/current
  [ ! -e "$kernel/vmlinuz" ] || return 0
  local fresh module deb
  fresh=$(mktemp -d "$cache/kernel/new.XXXXXX")
  kernel_download "$fresh"
  deb=$(echo "$fresh"/*.deb)
  dpkg-deb -x "$deb" "$fresh/unpacked" || lab_fail "cannot unpack $deb"
  mkdir "$fresh/modules"
  mv "$fresh"/unpacked/boot/vmlinuz-* "$fresh/vmlinuz"
  for module in "${lab_modules[@]}"; do
    mv "$fresh"/unpacked/lib/modules/*/kernel/"$module.ko" "$fresh/modules/" ||
      lab_fail "$deb has no module $module"
  done
  rm -rf "$fresh/unpacked" "$deb"
  chmod 755 "$fresh"
  deb=$(basename "$deb" .deb)
  rm -rf "${cache:?}/kernel/$deb"
  mv "$fresh" "$cache/kernel/$deb"
  ln -sfn "$deb" "$kernel"
}

# Writes the base image's tree into directory $1.
base_tree() {
  local applet
  mkdir -p "$1"/{bin,dev,etc,lab/modules,proc,root,run,sys,tmp,usr/bin,usr/sbin,sbin,var/tmp}
  chmod 1777 "$1/tmp" "$1/var/tmp"
  cp "$(command -v busybox)" "$1/bin/busybox"
  for applet in $(busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
  done
  cp "$kernel"/modules/*.ko "$1/lab/modules/"
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
  hash=$(sha256sum "$(command -v busybox)" "$kernel"/modules/*.ko "$lab_d/init.sh" \
    "$lab_d/cache.sh" | cut -d ' ' -f 1 | sha256sum | cut -c 1-32)
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
