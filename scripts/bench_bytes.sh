#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bytes over the link of captured programs, h2d and d2h, as a ratio to those of `belady` without a prefetcher in the
# same memory: recur alone, recur with learned, lru. One line per trace, page size and VRAM, all steps of the trace;
# `s` is the time, as a ratio to lru's without a prefetcher; `accuracy` is how much of what learned loads is used,
# `coverage` how much of what is loaded it loads.
#
#   sh scripts/bench_bytes.sh [EMUV_SIM [DATABASE]]
#
# VRAM is 0.25, 0.5, 0.7 and 0.9 of the memory that the trace touches. TRACES, PAGES can be set in the environment.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
emuv=${1:-$source/build/release/bin/emuv-sim}
database=${2:-}
traces=${TRACES:-llama-1.1b-decode mixtral-decode resnet50-train unet-step}
pages=${PAGES:-256KiB,2MiB,16MiB}
if [ -z "$database" ]; then
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
  database=$dir/bytes.sqlite
fi

vram_of() {
  case $1 in
  llama-1.1b-decode) echo 556MiB,1113MiB,1558MiB,2003MiB ;;
  mixtral-decode) echo 368MiB,737MiB,1GiB,1326MiB ;;
  resnet50-train) echo 875MiB,1750MiB,2450MiB,3150MiB ;;
  unet-step) echo 468MiB,936MiB,1311MiB,1686MiB ;;
  *) echo "bench_bytes.sh: no VRAM is known for trace $1" >&2; exit 1 ;;
  esac
}

for trace in $traces; do
  for pair in recur,lru,belady:none recur:learned; do
    "$emuv" --trace "$source/results/traces/$trace.emuv" --hardware h200 --strategy paged --tokens 1000000 \
      --policy "${pair%:*}" --prefetch "${pair#*:}" --page-size "$pages" --vram "$(vram_of "$trace")" \
      -o "$database" >/dev/null 2>&1
  done
done

sqlite3 -column -header "$database" "
WITH r AS (SELECT *, h2d_bytes + d2h_bytes AS bytes FROM runs WHERE kind = 'sim' AND status = 'ok'),
  best AS (SELECT * FROM r WHERE policy = 'belady' AND prefetch = 'none'),
  lru AS (SELECT * FROM r WHERE policy = 'lru' AND prefetch = 'none'),
  alone AS (SELECT * FROM r WHERE policy = 'recur' AND prefetch = 'none'),
  pair AS (SELECT * FROM r WHERE policy = 'recur' AND prefetch = 'learned')
SELECT best.workload AS trace, best.page_bytes >> 10 AS page_KiB, best.vram_bytes >> 20 AS vram_MiB,
  best.bytes >> 20 AS belady_MiB, printf('%.3f', 1.0 * alone.bytes / best.bytes) AS recur,
  printf('%.3f', 1.0 * pair.bytes / best.bytes) AS 'recur+learned', printf('%.3f', 1.0 * lru.bytes / best.bytes) AS lru,
  printf('%.4f', alone.total_s / lru.total_s) AS recur_s, printf('%.4f', pair.total_s / lru.total_s) AS pair_s,
  printf('%.3f', pair.prefetch_accuracy) AS accuracy, printf('%.3f', pair.prefetch_coverage) AS coverage
FROM best JOIN lru USING (workload, page_bytes, vram_bytes) JOIN alone USING (workload, page_bytes, vram_bytes)
  JOIN pair USING (workload, page_bytes, vram_bytes)
ORDER BY best.workload, best.page_bytes, best.vram_bytes"
