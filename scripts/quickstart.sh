#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From a fresh Debian or Ubuntu machine to an answer: installs what is missing, builds (build/release), simulates
# scenarios/llama70b.yaml and draws its figures. Needs neither GPU nor CUDA. Running it again goes on where it stopped.
set -eu
cd "$(dirname "$0")/.."
scenario=scenarios/llama70b.yaml
database=results/llama70b.sqlite
plots=results/llama70b-plots
build=build/release

say() { printf '\n== %s\n' "$*" >&2; }
fail() { printf '\nquickstart.sh: %s\n' "$*" >&2; exit 1; }

# quietly LOG COMMAND...: its output only when it fails.
quietly() {
  log=$1
  shift
  "$@" >"$log" 2>&1 </dev/null && return 0
  tail -n 30 "$log" >&2
  fail "'$*' failed; all of its output is in $log"
}

[ -w . ] || fail "cannot write to $(pwd): clone the project as the user that you are ($(id -un))"
say 'What emuV needs'
sh scripts/install_deps.sh build || fail 'something that is needed is missing (above)'
echo 'is here' >&2

say "Building ($build)"
mkdir -p $build results
quietly $build/configure.log cmake --preset release -DEMUV_TESTS=OFF
quietly $build/build.log cmake --build $build
$build/bin/emuv-sim --version >&2

say "Simulating $scenario"
$build/bin/emuv-sim $scenario --output $database

say 'Drawing'
$build/bin/emuv-plot $database --output $plots >$build/plots.txt

cat >&2 <<END

== Done
Database  $database        (sqlite3 $database, table runs)
Plots     $plots/*.png, *.svg
Programs  $build/bin/emuv-sim, emuv-plot, emuv-trace, emuv-replay, emuv-top
Next      $build/bin/emuv-sim --list hardware
          $build/bin/emuv-sim $scenario --set hardware=rtx-4070 --vram 8GiB,12GiB --output mine.sqlite
END
