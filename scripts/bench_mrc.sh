#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Times `emuv-sim mrc` on a Zipf(1.0) string over 200,000 objects and a cyclic one over 100,000, 20 million references
# each, whole process, one thread. With a cachesim (libCacheSim) given it runs both in turn, compares the miss counts that
# it can see (four decimals of the ratio) and prints how many times faster emuv-sim is.
#
#   sh scripts/bench_mrc.sh EMUV_SIM [CACHESIM]
#
# REFS, RUNS, POLICIES and DIR (for the traces, 2 x 24 bytes per reference) can be set in the environment.
set -eu
emuv=${1:?usage: bench_mrc.sh EMUV_SIM [CACHESIM]}
cachesim=${2:-}
refs=${REFS:-20000000}
runs=${RUNS:-3}
policies=${POLICIES:-lru fifo clock belady}
source=$(cd "$(dirname "$0")/.." && pwd)
dir=${DIR:-$(mktemp -d)}
[ -n "${DIR:-}" ] || trap 'rm -rf "$dir"' EXIT

"${CC:-cc}" -std=gnu17 -O2 -I"$source" "$source/scripts/make_trace.c" -o "$dir/make_trace"
[ -f "$dir/zipf.oracleGeneral" ] || "$dir/make_trace" zipf 200000 "$refs" 1 "$dir/zipf.oracleGeneral"
[ -f "$dir/cyclic.oracleGeneral" ] || "$dir/make_trace" cyclic 100000 "$refs" 1 "$dir/cyclic.oracleGeneral"

# Seconds of user and system time and peak KiB of the command, its output in $dir/out.
timed() {
  /usr/bin/time -o "$dir/time" -f '%U %S %M' "$@" >"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; exit 1; }
  awk 'END { printf "%.3f %d\n", $1 + $2, $3 }' "$dir/time"
}
least() { sort -g | head -n 1; }
ours() { timed "$emuv" mrc "$dir/$1.oracleGeneral" --policy "$2" --capacity "$3" --csv; }
theirs() { timed "$cachesim" "$dir/$1.oracleGeneral" oracleGeneral "$2" "$3" --ignore-obj-size 1 -o "$dir/cachesim"; }

printf '%-7s %-7s %9s %12s %10s %10s %9s %7s\n' trace policy capacity misses emuv_s cachesim_s speedup peak_MB
for case in zipf:20000 cyclic:60000; do
  trace=${case%%:*} capacity=${case#*:}
  for policy in $policies; do
    : >"$dir/a"
    : >"$dir/b"
    for run in $(seq "$runs"); do
      ours "$trace" "$policy" "$capacity" >>"$dir/a"
      row=$(tail -n 1 "$dir/out")
      if [ -n "$cachesim" ]; then
        theirs "$trace" "$policy" "$capacity" >>"$dir/b"
        their_ratio=$(sed -n 's/.*miss ratio \([0-9.]*\).*/\1/p' "$dir/out" | tail -n 1)
      fi
    done
    a=$(least <"$dir/a")
    b=$(least <"$dir/b")
    misses=$(echo "$row" | cut -d, -f4)
    if [ -n "$cachesim" ]; then
      echo "$row" | awk -F, -v t="$their_ratio" '{ d = $5 - t; exit d * d > 1e-8 }' ||
        { echo "miss ratios differ: $row against $their_ratio" >&2; exit 1; }
      echo "$a $b" | awk '{ print $3 / $1 }' >>"$dir/speedups"
    fi
    echo "$a ${b:-- -}" | awk -v t="$trace" -v p="$policy" -v c="$capacity" -v m="$misses" '{
      speedup = "-"
      if ($3 + 0) speedup = sprintf("%.1f", $3 / $1)
      printf "%-7s %-7s %9d %12d %10.2f %10s %9s %7.0f\n", t, p, c, m, $1, $3, speedup, $2 / 1024 }'
  done
done
if [ -s "$dir/speedups" ]; then
  awk '{ s += log($1) } END { printf "geometric mean of the speedups: %.1f\n", exp(s / NR) }' "$dir/speedups"
  rm -f "$dir/speedups"
fi
