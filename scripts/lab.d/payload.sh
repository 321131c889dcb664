# SPDX-License-Identifier: GPL-2.0-or-later
# What one run puts into the machine besides the base image: the job, the programs and the
# libraries they load, and the files they are given, each at the path it has on the host.
# The result is $work/payload.cpio, which the kernel unpacks over the base image.
# shellcheck shell=bash disable=SC2154 # set by scripts/lab

# The files to copy, as absolute paths without links in the name resolved: path -> 1.
declare -A payload_files=()

# Prints $1 as one word for a shell.
quote() {
  printf "'%s'" "${1//\'/\'\\\'\'}"
}

absolute() {
  realpath -s -m -- "$1"
}

is_busybox_applet() {
  busybox --list | grep -qxF -e "$1"
}

# Adds the libraries, or the interpreter, that file $1 needs to run.
payload_add_needs() {
  local magic interpreter library
  magic=$(head -c 2 -- "$1" | tr -d '\0')
  if [ "$magic" = '#!' ]; then
    # The interpreter, and with env(1) the program it looks for.
    for interpreter in $(head -n 1 -- "$1" | cut -c 3-); do
      payload_add_interpreter "$interpreter"
    done
  else
    while read -r library; do
      payload_files[$library]=1
    done < <(ldd "$1" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) (.*/\1/p; s/^\s*\(\/[^ ]*\) (.*/\1/p')
  fi
}

# Adds the interpreter $1 of a script unless busybox does its work.
payload_add_interpreter() {
  local path
  is_busybox_applet "$(basename -- "$1")" && return
  path=$(command -v -- "$1") || return 0
  payload_add_file "$path"
}

payload_add_file() {
  local path
  path=$(absolute "$1")
  [ -z "${payload_files[$path]:-}" ] || return 0
  [ -r "$path" ] || bad_usage "cannot read $1"
  payload_files[$path]=1
  [ ! -x "$path" ] || payload_add_needs "$path"
}

# Adds a file, or a directory with what is in it.
payload_add() {
  local file
  if [ -d "$1" ]; then
    payload_files[$(absolute "$1")]=1
    while IFS= read -r -d '' file; do
      if [ -d "$file" ]; then payload_files[$file]=1; else payload_add_file "$file"; fi
    done < <(find -L "$(absolute "$1")" -name .git -prune -o \( -type f -o -type d \) -print0)
  elif [ -f "$1" ]; then
    payload_add_file "$1"
  else
    bad_usage "$1: no such file or directory"
  fi
}

# Whether directory $1 is one that the lab has itself, and a command means the lab's; or one that the
# work goes on in, which is more than a command means to bring.
is_labs_own() {
  case $PWD/ in "$1"/*) return 0 ;; esac
  case $here/ in "$1"/*) return 0 ;; esac
  case $1 in
    / | /bin | /boot | /dev | /etc | /home | /lab | /lib | /lib64 | /mnt | /opt | /proc | /root | /run | \
      /sbin | /srv | /sys | /tmp | /usr | /usr/* | /var | /var/tmp | /dev/* | /proc/* | /sys/*) return 0 ;;
  esac
  return 1
}

# Adds what argument $1, or the value of an option --name=value, names.
payload_add_argument() {
  local word=$1 path
  case $word in -*=*) word=${word#*=} ;; esac
  [ -n "$word" ] && [ -e "$word" ] || return 0
  path=$(absolute "$word")
  if [ -f "$path" ]; then
    case $path in /proc/* | /sys/*) return ;; esac
    payload_add_file "$path"
    [ ! -x "$path" ] || payload_add_siblings "$(dirname "$path")"
  elif [ -d "$path" ] && ! is_labs_own "$path"; then
    payload_check_size "$path"
    payload_add "$path"
  fi
}

# Refuses directory $1, before it is read, if it cannot fit.
payload_check_size() {
  local mib
  mib=$(find -L "$1" -name .git -prune -o -type f -printf '%s\n' 2>/dev/null |
    awk '{ sum += $1 } END { printf "%d", sum / 1048576 }')
  [ $((mib * 3)) -lt "$memory_mib" ] ||
    bad_usage "$1 holds $mib MiB, too much for a lab of $memory_mib MiB: name less, or use --memory"
}

# Adds what the words of shell text $1 name: files, directories, programs in PATH.
payload_add_text() {
  local word words path
  # Quotes and operators part words; what an expansion would give is not known here.
  read -r -d '' -a words < <(tr ";|&()<>\"'\`={}" ' ' <<<"$1") || :
  for word in "${words[@]}"; do
    if [ -e "$word" ]; then
      payload_add_argument "$word"
    elif [[ $word = [a-z]* && $word != */* ]] && ! is_busybox_applet "$word"; then
      path=$(type -P -- "$word") && payload_add_file "$path"
    fi
  done
  return 0
}

# The programs of a build directory use each other and the guest image: adds those beside $1.
payload_add_siblings() {
  local file
  for file in "$1"/nestbox "$1"/nestctl "$1"/guest/nestbox-guest; do
    [ ! -f "$file" ] || payload_add_file "$file"
  done
}

# Sets command[0] to what the lab must run, and adds it.
payload_add_command() {
  local name=${command[0]} path
  case $name in
    */*)
      [ ! -d "$name" ] || bad_usage "$name is a directory"
      [ -x "$name" ] || is_busybox_applet "$(basename -- "$name")" || bad_usage "$name: no such program"
      ;;
    *)
      is_busybox_applet "$name" && return
      path=$(command -v -- "$name") || bad_usage "$name: no such program"
      command[0]=$path
      ;;
  esac
  [ ! -x "${command[0]}" ] || payload_add_file "${command[0]}"
  payload_add_siblings "$(dirname "$(absolute "${command[0]}")")"
}

# Prints the job: a script for the lab's shell.
payload_job() {
  local name word
  echo "cd $(quote "$PWD") || exit 127"
  for name in $(compgen -e | grep -E '^(NESTBOX|CK)_' || :) "${env_names[@]}"; do
    echo "export $name=$(quote "${!name-}")"
  done
  # Says to programs what a tick of the time stamp counter is, whatever the variable was outside.
  echo "export NESTBOX_ICOUNT=$icount"
  echo "export NESTBOX_LAB=$kind CK_TIMEOUT_MULTIPLIER=${CK_TIMEOUT_MULTIPLIER:-$machine_slowness}"
  if [ ${#command[@]} -eq 0 ]; then
    echo 'export TERM='"$(quote "${TERM:-linux}")"
    echo 'exec sh -i'
    return
  fi
  printf 'exec'
  for word in "${command[@]}"; do
    printf ' %s' "$(quote "$word")"
  done
  echo
}

payload_settings() {
  echo "lab_module=$machine_module"
  echo "lab_parameters='$machine_parameters'"
  echo "lab_files=$([ -z "$out" ] && echo 0 || echo 1)"
  echo "lab_interactive=$([ ${#command[@]} -eq 0 ] && echo 1 || echo 0)"
}

# Prints every path to put in, relative to the root, parents first, each once, ended by NUL.
payload_paths() {
  local path
  for path in "${!payload_files[@]}"; do
    while [ -n "$path" ]; do
      printf '%s\0' "${path#/}"
      path=${path%/*}
    done
  done | LC_ALL=C sort -z -u
}

# Puts the modules asked for, and those they need, into directory $1 as modprobe wants them.
payload_modules() {
  local module path release
  [ ${#modules[@]} -gt 0 ] || return 0
  release=$(basename "$kernel"/lib/modules/*)
  for module in "${modules[@]}"; do
    kernel_modules "$module" ||
      grep -q "/${module//[-_]/[-_]}\.ko$" "$kernel"/lib/modules/*/modules.builtin || bad_usage "--module $module: kernel $series has none of that name"
  done | LC_ALL=C sort -u >"$work/modules"
  while read -r path; do
    mkdir -p "$1/lib/modules/$release/$(dirname "$path")"
    ln "$kernel/lib/modules/$release/$path" "$1/lib/modules/$release/$path" 2>/dev/null ||
      cp "$kernel/lib/modules/$release/$path" "$1/lib/modules/$release/$path"
  done <"$work/modules"
  awk -F: 'NR == FNR { want[$1] = 1; next } $1 in want' "$work/modules" \
    "$kernel/lib/modules/$release/modules.dep" >"$1/lib/modules/$release/modules.dep"
}

# Puts this host's own programs, those below the directory the work goes on in, into directory $1
# without what a debugger wants: a lab's memory is small, and all of it holds every program twice.
# The guest's image, which has no interpreter, keeps what backtraces are made of.
payload_programs() {
  local path
  for path in "${!payload_files[@]}"; do
    case $path in "$PWD"/*) ;; *) continue ;; esac
    if ! [ -f "$path" ] || ! [ -x "$path" ] || ! readelf -l "$path" 2>/dev/null | grep -q INTERP; then
      continue
    fi
    mkdir -p "$1$(dirname "$path")"
    strip --strip-debug -o "$1$path" "$path" || continue
    unset "payload_files[$path]"
  done
}

payload_build() {
  local word previous='' size_mib
  payload_files[$PWD]=1
  for word in "${with[@]}"; do
    payload_add "$word"
  done
  payload_add_siblings "$PWD"
  if [ ${#command[@]} -gt 0 ]; then
    payload_add_command
    for word in "${command[@]:1}"; do
      if [ "$previous" = -c ]; then payload_add_text "$word"; else payload_add_argument "$word"; fi
      previous=$word
    done
  fi
  mkdir -p "$work/job/lab"
  payload_job >"$work/job/lab/job"
  payload_settings >"$work/job/lab/settings"
  payload_modules "$work/job"
  payload_programs "$work/job"
  {
    (cd "$work/job" && find . -mindepth 1 -print0 | cpio --quiet -0 -o -H newc -R 0:0)
    (cd / && payload_paths | cpio --quiet -0 -o -H newc -L -R 0:0)
  } >"$work/payload.cpio" || lab_fail "cannot pack the files for the lab"
  size_mib=$(($(stat -c %s "$work/payload.cpio") / 1048576))
  [ $((size_mib * 3)) -lt "$memory_mib" ] ||
    bad_usage "$size_mib MiB of files for a lab of $memory_mib MiB: use --memory"
}
