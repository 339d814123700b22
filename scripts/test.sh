#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Everything that CI runs: style, five builds, all tests plain and under sanitizers, fuzzers, coverage, installed package.
# Installs what is missing first (scripts/install_deps.sh). The last line counts test cases and checks:
# "N passed, N failed". Logs: build/logs.
#
#   scripts/test.sh [STEP...]        STEP: style dev asan tsan clang fuzz coverage install (default: all)
#
# The step dev counts the lines that its tests run; coverage judges these counts, and runs dev first where it has not run.
#
# $EMUV_FUZZ_SECONDS: how long each fuzzer runs (default 45). Exit status: 0 all passed, 1 not, 2 wrong usage.
set -u
LC_ALL=C
export LC_ALL
cd "$(dirname "$0")/.." || exit 1
root=$PWD
all_steps='style dev asan tsan clang fuzz coverage install'
fuzz_seconds=${EMUV_FUZZ_SECONDS:-45}
coverage_needed=85
started=$(date +%s)
logs=build/logs
passed=0 failed=0 skipped=0 failures=

for step; do
  case " $all_steps " in
    *" $step "*) ;;
    *) echo "test.sh: unknown step '$step'; steps: $all_steps" >&2; exit 2 ;;
  esac
done
steps=" ${*:-$all_steps} "

elapsed() { echo $(($(date +%s) - started)); }
count_passed() { passed=$((passed + ${1:-1})); }
count_failed() { failed=$((failed + $1)); failures="$failures
  $2"; }
skip() { skipped=$((skipped + 1)); printf '%4d s  skip  %s\n' "$(elapsed)" "$1"; }

# check NAME COMMAND...: one check; its output goes to a log and is shown when it fails.
check() {
  name=$1 log=$logs/$(printf '%s' "$1" | tr -cs 'a-z\n' -).log
  shift
  if "$@" >"$log" 2>&1 </dev/null; then
    count_passed
    printf '%4d s  ok    %s\n' "$(elapsed)" "$name"
    return 0
  fi
  count_failed 1 "$name (log: $log)"
  printf '%4d s  FAIL  %s: %s\n' "$(elapsed)" "$name" "$*"
  grep -E -B 2 -A 8 'error|FAILED' "$log" | head -n 60 | grep . || tail -n 40 "$log"
  return 1
}

# build PRESET [CMAKE_ARGUMENT...]: configures and builds build/PRESET; of it only $target, where that is set.
build() {
  preset=$1
  shift
  # shellcheck disable=SC2086 # launcher is one word or none
  cmake --preset "$preset" $launcher "$@" && cmake --build "build/$preset" -j "$jobs" --target "${target:-all}"
}

# attribute NAME FILE: of the first element that has it.
attribute() { sed -n "s/^[[:space:]]*$1=\"\([0-9]*\)\".*/\1/p" "$2" | head -n 1; }

# run_tests PRESET [CTEST_ARGUMENT...]: cases are counted one by one. Twice as many at a time as there are cores: many wait for
# a clock or a child rather than compute.
run_tests() {
  preset=$1
  shift
  log=$logs/test-$preset.log report=$root/$logs/test-$preset.xml
  rm -f "$report"
  # shellcheck disable=SC2086 # prefix is words
  $prefix ctest --test-dir "build/$preset" -j $((2 * jobs)) --output-on-failure --output-junit "$report" "$@" >"$log" 2>&1 </dev/null
  if [ ! -s "$report" ] || [ "$(attribute tests "$report")" = 0 ]; then
    count_failed 1 "tests, $preset: ctest did not run (log: $log)"
    tail -n 20 "$log"
    return
  fi
  bad=$(attribute failures "$report")
  left_out=$(attribute skipped "$report")
  good=$(($(attribute tests "$report") - bad - left_out - $(attribute disabled "$report")))
  count_passed $good
  skipped=$((skipped + left_out))
  printf '%4d s  %s  tests, %s: %d passed, %d failed, %d skipped\n' "$(elapsed)" \
    "$([ "$bad" = 0 ] && echo 'ok  ' || echo FAIL)" "$preset" $good "$bad" "$left_out"
  [ "$left_out" = 0 ] || sed -n 's/^[[:space:]]*[0-9]* - \(.*\) (Skipped)$/               skipped: \1/p' "$log"
  [ "$bad" = 0 ] && return
  names=$(sed -n '/^The following tests FAILED/,/^Errors/s/^[[:space:]]*[0-9]* - //p' "$log")
  count_failed "$bad" "tests, $preset (log: $log):
$(printf '%s\n' "$names" | sed 's/^/    /')"
  grep -v -e '^ *Start' -e 'Passed  ' -e '^\[ *\(RUN\|OK\) *\]' -e '^ *#[0-9]\{2\}' -e '^$' "$log" | head -n 100
}

sources() { git ls-files '*.c' '*.h' '*.cu' 2>/dev/null | grep . || find runtime tracer simulator tests scripts -name '*.[ch]'; }

# Lengths of functions and files: a body starts with a brace in the first column and ends with one.
check_lengths() {
  sources | xargs awk '
    FNR == 1 && lines > 600 { printf "error: %s has %d lines (600 at most)\n", file, lines; bad = 1 }
    { file = FILENAME; lines = FNR; held = last; last = $0 }
    /^\{/ { start = FNR; head = held }
    /^\}/ && start {
      n = FNR - start + 1
      count[n]++; all++; start = 0
      if (n > 80) { printf "error: %s:%d: %d lines (80 at most): %s\n", FILENAME, FNR - n, n, head; bad = 1 }
    }
    END {
      for (n = 0; n <= 80 && seen <= all / 2; n++) seen += count[n]
      printf "%d functions, median %d lines\n", all, n - 1
      if (!all || n - 1 >= 15) { print "error: the median is to be below 15"; bad = 1 }
      exit bad
    }'
}

check_licence_lines() {
  without=$(sources | while read -r file; do head -n 1 "$file" | grep -q SPDX-License-Identifier || echo "$file"; done)
  [ -z "$without" ] || { echo "error: no SPDX line first: $without"; return 1; }
}

check_shell_syntax() {
  for script in scripts/*.sh scripts/emuv-plot tests/cli/*.sh tests/install/*.sh .ci/run; do sh -n "$script" || return 1; done
}

check_format() {
  # shellcheck disable=SC2046 # no path has a space
  "$clang_format" --dry-run -Werror $(sources | grep -v '\.cu$')
}

do_style() {
  check 'style: length of functions and files' check_lengths
  check 'style: licence lines' check_licence_lines
  check 'style: shell syntax' check_shell_syntax
  clang_format=$(command -v clang-format-14 || command -v clang-format)
  case $("$clang_format" --version 2>/dev/null) in
    *'version 14.'*) check 'style: clang-format' check_format ;;
    *) skip 'style: clang-format (version 14 decides; others lay code out differently)' ;;
  esac
}

# One build for the plain run and for coverage: counting costs less than a second run of all tests would.
counted=no
do_dev() {
  counted=yes
  check 'build: gcc, warnings are errors' build coverage || return
  find build/coverage -name '*.gcda' -delete
  run_tests coverage
}

# The sanitizers of older compilers do not know how far apart newer kernels place memory; then without randomisation.
choose_prefix() {
  prefix=
  printf 'int main(void) { return 0; }\n' >"$work/empty.c"
  gcc -fsanitize="$1" -o "$work/empty" "$work/empty.c" 2>/dev/null || return 0
  "$work/empty" 2>/dev/null || ! setarch -R "$work/empty" 2>/dev/null || prefix='setarch -R'
}

do_asan() {
  choose_prefix address,undefined
  check 'build: address and undefined-behaviour sanitizers' build asan && run_tests asan
  prefix=
}

do_tsan() {
  choose_prefix thread
  target=threads # what tests of that label need
  check 'build: thread sanitizer' build tsan && run_tests tsan -L threads -E sim_terminal # that waits for a bar
  prefix= target=
}

# A program that links against what clang needs for fuzzing.
has_fuzzer_runtime() {
  printf 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return n > 0 && d[0] == 1 ? -1 : 0; }\n' >"$work/f.c"
  clang -fsanitize=fuzzer,address,undefined -o "$work/f" "$work/f.c" >/dev/null 2>&1
}

# The fuzzers' build holds everything else too, compiled by clang.
do_clang() {
  if has_fuzzer_runtime; then
    check 'build: clang, warnings are errors, fuzzers' build fuzz -DEMUV_WERROR=ON
  else
    check 'build: clang, warnings are errors' build dev -B build/clang -DCMAKE_C_COMPILER=clang
  fi
}

# fuzz_one NAME: starts from the seeds in tests/fuzz/corpus/NAME, with the length that the fuzzer's head comment gives;
# what it finds stays in build/fuzz.
fuzz_one() {
  found=build/fuzz/corpus/$1
  length=$(sed -n 's/.*-max_len=\([0-9]*\).*/\1/p' "tests/fuzz/fuzz_$1.c" | head -n 1)
  mkdir -p "$found" "build/fuzz/crashes"
  "build/fuzz/bin/fuzz_$1" "$found" "tests/fuzz/corpus/$1" -max_total_time="$fuzz_seconds" -timeout=20 -rss_limit_mb=2048 \
    -max_len="${length:-4096}" -artifact_prefix="build/fuzz/crashes/$1-" -print_final_stats=1 2>&1
}

do_fuzz() {
  if ! has_fuzzer_runtime; then
    skip "fuzzers: clang's fuzzer runtime is missing (libclang-rt-dev)"
    return
  fi
  if [ ! -x build/fuzz/bin/fuzz_units ]; then do_clang; fi
  names=$(cd tests/fuzz && for file in fuzz_*.c; do file=${file#fuzz_}; echo "${file%.c}"; done)
  # Side by side, however few cores there are: time is what they are given.
  for name in $names; do
    { fuzz_one "$name" >"$logs/fuzz-$name.log" </dev/null; echo $? >"$work/fuzz-$name"; } &
  done
  wait
  for name in $names; do
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/fuzz-$name.log")
    check "fuzz: $name, $fuzz_seconds s, ${runs:-no} runs" fuzz_verdict "$name"
  done
}

fuzz_verdict() {
  cat "$logs/fuzz-$1.log"
  [ "$(cat "$work/fuzz-$1")" = 0 ]
}

# component_coverage PREFIX: lines covered in files below it, in percent; needs the table of gcovr.
component_coverage() {
  awk -F, -v prefix="$1/" '
    index($1, prefix) == 1 { total += $2; covered += $3 }
    END { if (!total) exit 1; printf "%.1f\n", 100 * covered / total }' build/coverage/coverage.csv
}

covers_enough() {
  percent=$(component_coverage "$1") || { echo 'error: no line of it was counted'; return 1; }
  awk "BEGIN { exit !($percent >= $coverage_needed) }" || {
    echo "error: $percent % of its lines are covered, less than $coverage_needed %; files:"
    awk -F, -v prefix="$1/" 'index($1, prefix) == 1 && $2 { printf "%5.1f %% of %4d  %s\n", 100 * $3 / $2, $2, $1 }' \
      build/coverage/coverage.csv | sort -n
    return 1
  }
}

do_coverage() {
  [ $counted = yes ] || do_dev
  check 'coverage: gcovr' gcovr --root . --object-directory build/coverage --filter 'runtime/' --filter 'simulator/' \
    --filter 'tracer/' --gcov-ignore-parse-errors --csv build/coverage/coverage.csv || return
  for component in runtime/core runtime/policy simulator; do
    check "coverage: $component $(component_coverage $component) % of lines" covers_enough $component
  done
  for component in runtime/prefetch runtime/tier tracer/format; do
    printf '%7s        coverage: %s %s %% of lines\n' '' $component "$(component_coverage $component)"
  done
}

do_install() {
  check 'build: without CUDA, optimised' build nocuda -DEMUV_TESTS=OFF || return
  check 'install: find_package, pkg-config, moved tree' sh tests/install/run.sh build/nocuda
}

jobs=$(nproc 2>/dev/null || echo 2)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
prefix= target=
launcher=
! command -v ccache >/dev/null || launcher=-DCMAKE_C_COMPILER_LAUNCHER=ccache
mkdir -p $logs
sh scripts/install_deps.sh test || exit 1

for step in $all_steps; do
  case $steps in *" $step "*) "do_$step" ;; esac
done

printf '\n%s s on %s cores, gcc %s, clang %s; logs in %s\n' "$(elapsed)" "$jobs" "$(gcc -dumpversion)" \
  "$(clang -dumpversion 2>/dev/null || echo none)" "$logs"
[ -z "$failures" ] || printf 'failed:%s\n' "$failures"
[ "$skipped" = 0 ] || printf '%d skipped\n' "$skipped"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
