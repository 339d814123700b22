#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what emuV is built, run and tested with, where it is missing: by apt, as root or through sudo. Asks for what is
# there, not for packages, so that tools of your own count; changes nothing when nothing is missing.
#
#   scripts/install_deps.sh [build|test] [--dry-run]
#
# build: compile, run, plot. test (default): that, and what scripts/test.sh uses. --dry-run: print the packages that are
# missing. Exit status: 0 everything is there, 1 it is not and could not be installed, 2 wrong usage.
set -u
LC_ALL=C
DEBIAN_FRONTEND=noninteractive
NEEDRESTART_SUSPEND=1 # Ubuntu asks which services to restart otherwise
export LC_ALL DEBIAN_FRONTEND NEEDRESTART_SUSPEND
cmake_needed=3.22

kind=test
dry_run=no
for arg; do
  case $arg in
    build|test) kind=$arg ;;
    --dry-run) dry_run=yes ;;
    *) echo "install_deps.sh: unknown argument '$arg'; usage: install_deps.sh [build|test] [--dry-run]" >&2; exit 2 ;;
  esac
done
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

has_command() { command -v "$1" >/dev/null 2>&1; }
has_module() { pkg-config --exists "$1" 2>/dev/null; }
# Headers are looked for by the compiler; without one, they count as missing, and so does it.
has_header() { printf '#include <%s>\n' "$1" | gcc -E -x c - >/dev/null 2>&1; }
# A program that links against what clang needs for sanitizers and fuzzing.
has_fuzzer_runtime() {
  echo '#include <stddef.h>
    int LLVMFuzzerTestOneInput(const char *d, size_t n); int LLVMFuzzerTestOneInput(const char *d, size_t n)
    { return n > 0 && d[0] == 1 ? -1 : 0; }' >"$work/fuzzer.c"
  clang -fsanitize=fuzzer,address,undefined -o "$work/fuzzer" "$work/fuzzer.c" >/dev/null 2>&1
}

# need KIND NAME PACKAGE: PACKAGE is missing unless has_KIND NAME.
need() { "has_$1" "$2" || missing="$missing $3"; }

find_missing() {
  missing=
  need command gcc gcc
  need header stdlib.h libc6-dev
  need command cmake cmake
  need command ninja ninja-build
  need command pkg-config pkg-config
  need command git git
  need module yaml-0.1 libyaml-dev
  need module sqlite3 libsqlite3-dev
  need module libzstd libzstd-dev
  need module libxxhash libxxhash-dev
  need module jansson libjansson-dev
  need module liburing liburing-dev
  need module ncursesw libncurses-dev
  need header uthash.h uthash-dev
  need command sqlite3 sqlite3
  need command gnuplot gnuplot-nox
  [ "$kind" = test ] || return 0
  need module cmocka libcmocka-dev
  need command clang clang
  need command gcovr gcovr
  # Other versions of clang-format lay code out differently.
  has_command clang-format-14 || need command clang-format clang-format-14
}

# apt ARGUMENT...: apt-get with root's rights.
apt() {
  $as_root apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" </dev/null >>"$work/log" 2>&1
}

refuse() {
  printf '%s\n' "install_deps.sh: $1" "These packages are missing:$missing" >&2
  [ -z "${2:-}" ] || printf '%s\n' "$2" >&2
  exit 1
}

choose_root() {
  as_root=
  has_command apt-get || refuse 'there is no apt-get here (Debian and Ubuntu have it).' \
    "Install what your system calls them, then run this again."
  [ "$(id -u)" -ne 0 ] || return 0
  by_hand="Have them installed: apt-get install$missing"
  has_command sudo || refuse 'not root, and there is no sudo.' "$by_hand"
  sudo -n true 2>/dev/null || [ -t 0 ] || refuse 'not root, and sudo wants a password but there is no terminal.' "$by_hand"
  as_root='sudo --preserve-env=DEBIAN_FRONTEND,NEEDRESTART_SUSPEND'
  sudo -n true 2>/dev/null || sudo -v || refuse 'sudo refused.' "$by_hand"
}

# install PACKAGE...
install() {
  echo "install_deps.sh: installing $*" >&2
  if apt install -y --no-install-recommends "$@"; then return 0; fi
  sed -n '/^E: /p' "$work/log" >&2
  missing=" $*"
  if grep -q 'Unable to locate package' "$work/log"; then
    refuse 'apt does not know all of these packages.' "On Ubuntu they may be in 'universe': add-apt-repository universe"
  fi
  refuse 'apt failed (above); is the network up?'
}

# Sanitizers and fuzzing with clang: part of the compiler's packages in some releases, a package of its own in others.
install_fuzzer_runtime() {
  has_command clang || return 0
  has_fuzzer_runtime && return 0
  package=libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev
  if [ $dry_run = yes ]; then echo "$package"; return 0; fi
  if [ -z "$(apt-cache --names-only search "^$package\$" 2>/dev/null)" ]; then
    echo "install_deps.sh: clang has no fuzzer runtime, and apt has no $package: fuzzing will be left out" >&2
    return 0
  fi
  missing=" $package"
  choose_root
  install "$package"
}

find_missing
if [ $dry_run = yes ]; then
  # shellcheck disable=SC2086 # one package per word
  [ -z "$missing" ] || printf '%s\n' $missing
elif [ -n "$missing" ]; then
  choose_root
  apt update || echo "install_deps.sh: apt-get update failed; going on with the lists that are there" >&2
  # shellcheck disable=SC2086
  install $missing
  find_missing
  [ -z "$missing" ] || refuse 'apt has installed them, but they are still not found; is another compiler or pkg-config in PATH?'
fi
[ "$kind" != test ] || install_fuzzer_runtime
[ $dry_run = no ] || exit 0

version=$(cmake --version | sed -n '1s/[^0-9]*//p')
if [ "$(printf '%s\n' $cmake_needed "$version" | sort -V | head -n 1)" != $cmake_needed ]; then
  echo "install_deps.sh: $(command -v cmake) is version $version; emuV needs $cmake_needed (Debian 12, Ubuntu 22.04) or newer" >&2
  exit 1
fi
