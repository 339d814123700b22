#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Replays on a GPU, measured: calibration, links, predictions against measurements, 2 TB checked, bit flips, less RAM than
# data, hidden transfers, faults, sanitizers. Runs a tree made by stage.sh; needs a CUDA driver, nothing else.
#
#   gpu_replay.sh STAGE OUT [STEP ...]     STEP: default all, in the order below
#
# Steps: calibrate fidelity memory hidden flips links volume disk mapping peer faults top sanitizer
# Each part has its own time limit and leaves OUT/NAME.log; one that fails does not stop the others. OUT also gets
# hardware.yaml and replay.sqlite. $EMUV_SCRATCH: a folder on the disk to use (default /tmp). $EMUV_DATA: folder with
# fidelity.yaml and its traces (default: results/ of the source tree that this file is in). $EMUV_SANITIZER: path of
# compute-sanitizer. $EMUV_ARGS: further arguments of every replay (--device host --time-scale 0.1 tries the script out).
set -u
[ $# -ge 2 ] || { echo "usage: gpu_replay.sh STAGE OUT [STEP ...]" >&2; exit 2; }
stage=$(cd "$1" && pwd) || exit 2
mkdir -p "$2" && out=$(cd "$2" && pwd) || exit 2
data=${EMUV_DATA:-$(cd "$(dirname "$0")/../results" && pwd)}
shift 2
[ $# -gt 0 ] || set -- calibrate fidelity memory hidden flips links volume disk mapping peer faults top sanitizer
scratch=${EMUV_SCRATCH:-/tmp}
args=${EMUV_ARGS:-}
replay=$stage/bin/emuv-replay
sim=$stage/bin/emuv-sim
sanitizer=${EMUV_SANITIZER:-/usr/local/cuda/bin/compute-sanitizer}
db=$out/replay.sqlite
decode=$data/traces/llama-1.1b-decode.emuv
: >"$out/steps.txt"

# part NAME SECONDS EXPECTED COMMAND...: runs it, keeps its output, status and time.
part() {
  name=$1 limit=$2 expected=$3
  shift 3
  begin=$(date +%s)
  timeout -k 10 "$limit" "$@" >"$out/$name.log" 2>&1
  rc=$?
  verdict=ok
  [ $rc = "$expected" ] || verdict="FAILED (status $rc, expected $expected)"
  printf '%-28s %4s s  %s\n' "$name" "$(($(date +%s) - begin))" "$verdict" | tee -a "$out/steps.txt"
  [ "$verdict" = ok ] || tail -n 4 "$out/$name.log"
}

# The GPU that lends its memory: the next one; where there is one GPU, its own memory stands in, over the same code.
peer_gpu() { if [ "$(nvidia-smi -L 2>/dev/null | wc -l)" -gt 1 ]; then echo 1; else echo 0; fi; }
preset() { if [ -s "$out/hardware.yaml" ]; then echo "$out/hardware.yaml"; else echo h200; fi; }
run() { # NAME SECONDS EXPECTED ARGUMENTS...
  run_name=$1 run_limit=$2 run_expected=$3
  shift 3
  # shellcheck disable=SC2086 # words of $args
  part "$run_name" "$run_limit" "$run_expected" "$replay" "$@" --hardware "$(preset)" -o "$db" $args
}

step_calibrate() { # shellcheck disable=SC2086
  part calibrate 120 0 "$replay" --calibrate -o "$out/hardware.yaml" --nvme "$scratch:8GiB" --peer-gpu "$(peer_gpu)" $args
}
step_links() { # shellcheck disable=SC2086
  part links 180 0 "$replay" --links --nvme "$scratch:8GiB" --peer-gpu "$(peer_gpu)" $args
  cat "$out/links.log"
}
step_fidelity() {
  run fidelity-disk 150 0 "$data/h200/replay/fidelity-disk.yaml" --with-sim --nvme-path "$scratch"
  run fidelity 420 0 "$data/h200/replay/fidelity.yaml" --with-sim
  part compare 60 0 "$sim" compare "$db"
  tail -n 1 "$out/compare.log"
}

# The rows with a disk once more, over a file in memory: a disk of this size whose speed does not change by itself.
step_memory() {
  # shellcheck disable=SC2086
  part calibrate-memory 120 0 "$replay" --calibrate -o "$out/hardware-memory.yaml" --nvme "/dev/shm:4GiB" $args
  # shellcheck disable=SC2086
  part fidelity-memory 150 0 "$replay" "$data/h200/replay/fidelity-disk.yaml" --with-sim --nvme-path /dev/shm \
    --hardware "$out/hardware-memory.yaml" -o "$out/memory.sqlite" -q $args
  part compare-memory 60 0 "$sim" compare "$out/memory.sqlite"
  cat "$out/compare-memory.log"
}

# What the two ways to find pages cost: the same rows with a table and with mapped addresses.
step_mapping() {
  for mapping in table remap; do
    # shellcheck disable=SC2086
    part "mapping-$mapping" 90 0 "$replay" "$decode" --tokens 8 --strategy paged --policy lru --prefetch learned \
      --page-size 2MiB,16MiB,32MiB --vram 1600MiB --ram 20GiB --mapping $mapping --hardware "$(preset)" \
      -o "$out/mapping-$mapping.sqlite" --json $args
  done
}

# Pages in another GPU's memory: none, some, all that VRAM lacks.
step_peer() {
  run peer 90 0 "$decode" --tokens 8 --vram 1GiB --ram 4GiB --peer 0B,512MiB,3GiB --peer-gpu "$(peer_gpu)" --policy lru,recur \
    --prefetch learned --page-size 2MiB,16MiB --with-sim --json
  pattern cyclic 1024 8000 0.5 >"$out/peer.yaml"
  run peer-flips 60 1 "$out/peer.yaml" --vram 1GiB --ram 64MiB --peer 3GiB --peer-gpu "$(peer_gpu)" --policy lru \
    --on-damage count --inject flip-ram:every=50
  grep inverted "$out/peer-flips.log"
  run peer-nomem 60 1 "$out/peer.yaml" --vram 1GiB --ram 64MiB --peer 3GiB --peer-gpu "$(peer_gpu)" --policy lru --fresh --inject peer-nomem
}

pattern() { # KIND OBJECTS REFERENCES WRITE_RATIO: a scenario on stdout
  cat <<YAML
source: pattern
description: made by gpu_replay.sh
pattern: {kind: $1, object: 2MiB, objects: $2, references: $3, write_ratio: $4}
strategy: paged
page_size: 2MiB
tokens: 1
YAML
}

# 2 TB over the link in all, up and down, each byte checked after each move.
step_volume() {
  pattern cyclic 4096 680000 0.5 >"$out/volume.yaml"
  run volume 200 0 "$out/volume.yaml" --vram 4GiB --ram 12GiB --policy lru --prefetch oracle --verify full --json
}

# Bits inverted where each copy is read again before it is given up: 500 in RAM, on the disk and in VRAM. All are found.
step_flips() {
  pattern cyclic 3072 10000 0 >"$out/flips.yaml"
  for run in 'ram --vram 2GiB --ram 8GiB' "nvme --vram 2GiB --ram 4GiB --nvme $scratch:8GiB" 'vram --vram 8GiB --ram 8GiB'; do
    tier=${run%% *}
    # shellcheck disable=SC2086 # words of $run
    run "flips-$tier" 120 1 "$out/flips.yaml" ${run#* } --policy lru --prefetch none --verify full --on-damage count --fresh \
      --inject "flip-$tier:every=20"
    grep inverted "$out/flips-$tier.log"
  done
}

# 24 GiB of data, 4 GiB of VRAM, 8 GiB of RAM, the rest on the disk.
step_disk() {
  pattern cyclic 12288 24576 0.02 >"$out/disk.yaml"
  run disk 200 0 "$out/disk.yaml" --vram 4GiB --ram 8GiB --nvme "$scratch:28GiB" --policy lru --prefetch oracle --with-sim \
    --json
}

# Computation that covers the copies: kernels last as if memory ran at 25 GB/s, half of the link.
step_hidden() {
  pattern cyclic 2048 12000 0 >"$out/hidden.yaml"
  run hidden 120 0 "$out/hidden.yaml" --vram 1GiB --ram 8GiB --policy lru,recur --prefetch learned,oracle \
    --with-sim --set hw.vram_rate=25GB/s --set hw.vram_efficiency=1 --json
}

# The driver refuses or fails: a clean, named failure, or right data.
step_faults() {
  pattern cyclic 512 4096 0.5 >"$out/faults.yaml"
  for fault in device-nomem:once:1 pin-refused:every=1:0 host-nomem:once:1 copy-error:after=50:1 launch-error:after=50:1 \
    device-lost:after=50:1 nvme-read-eio:after=20:1 nvme-write-short:every=5:0 nvme-slow:every=50:0 nvme-uring:once:0 \
    nvme-direct:once:0; do
    rule=${fault%:*}
    run "fault-${fault%%:*}" 60 "${fault##*:}" "$out/faults.yaml" --vram 256MiB --ram 384MiB --nvme "$scratch:2GiB" \
      --policy lru --prefetch none --fresh --inject "$rule"
  done
  run fault-map-error 60 1 "$out/faults.yaml" --vram 256MiB --ram 2GiB --mapping remap --policy lru --fresh --inject map-error:after=50
}

# emuv-top beside a replay.
step_top() {
  pattern cyclic 2048 60000 0.1 >"$out/top.yaml"
  # shellcheck disable=SC2086
  "$replay" "$out/top.yaml" --vram 1GiB --ram 8GiB --policy lru --hardware "$(preset)" -o "$out/top.sqlite" -q $args \
    >/dev/null 2>&1 &
  sleep 4
  part top 20 0 "$stage/bin/emuv-top" --once
  cat "$out/top.log"
  part top-json 20 0 "$stage/bin/emuv-top" --once --json
  kill -INT $! 2>/dev/null
  wait $!
}

step_sanitizer() {
  pattern cyclic 64 512 0.5 >"$out/sanitizer.yaml"
  for tool in memcheck racecheck; do
    for mapping in table remap; do
      part "sanitizer-$tool-$mapping" 120 0 "$sanitizer" --tool $tool --error-exitcode 9 "$replay" "$out/sanitizer.yaml" \
        --vram 32MiB --ram 1GiB --policy lru --prefetch oracle --mapping $mapping --hardware "$(preset)" \
        -o "$out/sanitizer.sqlite" -q
    done
  done
  rm -f "$out/sanitizer.sqlite"
}

for step; do
  "step_$step"
done
