#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The installed tree, as somebody else finds it: installs a build, moves the tree away from its prefix, and uses it with the
# source tree's data out of reach: programs find their presets, every header compiles on its own in plain C17, and a program
# builds by find_package and by pkg-config, and computes what it must.
#
#   tests/install/run.sh BUILD_FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "error: $*" >&2; exit 1; }

cmake --install "$build" --prefix "$work/first" >install.log
mv first moved
prefix=$work/moved
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name emuv-core.pc)")
export PKG_CONFIG_PATH
if grep -rlI "$work/first" "$prefix"; then fail 'these files name the prefix, so the tree cannot be moved'; fi

# Programs and their data. A marked preset shows that it is the installed one that is read, not the source tree's.
for program in emuv-sim emuv-trace emuv-plot; do
  "$prefix/bin/$program" --version >version || fail "$program --version"
  [ -s version ] || fail "$program --version prints nothing"
done
data=$prefix/share/emuv/scenarios
cp "$data/hardware/rtx-4090.yaml" "$data/hardware/only-here.yaml"
"$prefix/bin/emuv-sim" --list hardware >list
grep -q only-here list || fail "emuv-sim does not look for presets beside itself: $(cat list)"
"$prefix/bin/emuv-sim" --list models | grep -q llama-2-70b || fail 'emuv-sim --list models'
ln -s "$prefix/bin/emuv-sim" linked-sim
./linked-sim --list hardware | grep -q only-here || fail 'a link to emuv-sim does not find the presets'
printf 'hardware: only-here\nmodel: tinyllama-1.1b\ntokens: 1\nvram: [1GiB, 2GiB]\n' >tiny.yaml
"$prefix/bin/emuv-sim" -q tiny.yaml -o tiny.sqlite --csv >tiny.csv || fail 'emuv-sim with an installed preset'
[ "$(sqlite3 tiny.sqlite "SELECT count(*) FROM runs WHERE status = 'ok'")" = 2 ] || fail "rows: $(cat tiny.csv)"
"$prefix/bin/emuv-plot" --list | grep -q throughput || fail 'emuv-plot finds no figures'
for scenario in "$data"/*.yaml; do
  "$prefix/bin/emuv-sim" -q --dry-run "$scenario" >/dev/null || fail "emuv-sim --dry-run $scenario"
done

# Headers.
count=0
for header in $(cd "$prefix/include/emuv" && find . -name '*.h'); do
  printf '#include "%s"\n' "${header#./}" >header.c
  # shellcheck disable=SC2046 # flags are words
  gcc -std=c17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only $(pkg-config --cflags emuv-format) header.c ||
    fail "$header does not compile on its own"
  count=$((count + 1))
done
[ $count -gt 20 ] || fail "only $count headers are installed"

# Misses of 5 cyclic passes over 100 pages with 60 frames: lru all 500; mru 260, by a plain list in 12 lines of Python.
expected='bytes 12884901888 lru 500 mru 260 records 1000'
cmake -G Ninja -S "$here" -B by-cmake -DCMAKE_PREFIX_PATH="$prefix" >cmake.log || fail "find_package: $(cat cmake.log)"
cmake --build by-cmake >cmake.log || fail "linking by CMake: $(cat cmake.log)"
[ "$(by-cmake/consumer trace.emuv)" = "$expected" ] || fail "by CMake: $(by-cmake/consumer trace.emuv)"
# shellcheck disable=SC2046
gcc -std=c17 -o by-pkg-config "$here/consumer.c" $(pkg-config --cflags --libs emuv-format emuv-core)
[ "$(./by-pkg-config trace.emuv)" = "$expected" ] || fail "by pkg-config: $(./by-pkg-config trace.emuv)"
"$prefix/bin/emuv-trace" check trace.emuv || fail 'emuv-trace check'
echo "$count headers, a program by CMake and one by pkg-config"
