#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every captured trace in results/traces: whole, its steps those that the program counted, few gaps, exports that parse, the
# truth about its tensors, and the simulator on it: with everything in VRAM it takes the time that the program measured.
# NAME.json is what the program printed in that run, NAME.parameters.json what it says about its memory (results/README.md).
. "$EMUV_SOURCE/tests/cli/lib.sh"
need python3
trace=$EMUV_BIN/emuv-trace truth=$EMUV_BIN/trace_truth

judge() { # NAME: the files info.json, resident.csv, paged.csv, export.json against what the program said
  python3 - "$1" "$EMUV_SOURCE/results/traces/$1.json" <<'PYTHON'
import csv
import json
import os
import sys

name, said_path = sys.argv[1:]
info = json.load(open("info.json"))
launches, steps = info["launches"], info["steps"]
assert info["status"] == "complete" and info["dropped"] == 0, "losses"
assert launches > 0 and steps["how"] == "ranges", "no steps"
assert info["launches_exact"] + info["launches_bounded"] + info["launches_gap"] == launches, "launches without a class"
assert info["launches_gap"] <= 0.1 * launches, "many gaps"
assert info["file_bytes"] <= 100 * launches, "more than 100 bytes per launch"
assert info["untimed"] <= 0.01 * launches, "device times are missing"
if os.path.exists("export.json"):
    assert len(json.load(open("export.json"))["traceEvents"]) > launches, "Perfetto's JSON lacks launches"

(resident,) = csv.DictReader(open("resident.csv"))
assert resident["status"] == "ok" and resident["work_unit"] == steps["unit"]
assert int(resident["faults"]) == 0 and float(resident["stall_s"]) < float(resident["total_s"])
paged = {row["policy"]: row for row in csv.DictReader(open("paged.csv"))}
moved = {policy: int(row["h2d_bytes"]) for policy, row in paged.items()}
assert 0 < moved["belady"] <= moved["lru"], moved

if not os.path.exists(said_path):
    sys.exit()
said = json.load(open(said_path))
seconds = said["seconds"]
assert steps["unit"] == said["unit"] and steps["count"] == said["units"] == len(seconds), "not the steps of the program"
counted = seconds[len(seconds) - int(resident["tokens"]):]  # without a prefill range the first step is the prefill
simulated, measured = float(resident["total_s"]), sum(counted)
between = 10e-6 * len(counted)  # a step of the trace lasts until the next one begins; the program's clock stops before
# Nodes of CUDA graphs have estimated times, and the host's share between two graphs counts on top: 5 % too slow.
limit = 0.06 if info["estimated_times"] > launches / 2 else 0.02
assert abs(simulated - measured) <= limit * measured + between, f"simulated {simulated} s, measured {measured} s"
PYTHON
}

found=0
for path in "$EMUV_SOURCE"/results/traces/*.emuv; do
  [ -e "$path" ] || fail 'no traces'
  name=$(basename "$path" .emuv)
  case $name in *.merged) continue ;; esac # judged by the program that merged them
  found=$((found + 1))
  status 0 "$trace" check --strict "$path"
  status 0 "$trace" info --json "$path"
  mv out info.json
  rm -f export.json
  launches=$(sed -n 's/^ *"launches": \([0-9]*\),$/\1/p' info.json | head -n 1)
  [ "$launches" -gt 100000 ] || status 0 "$trace" export "$path" --format json -o export.json # a GB of Python's objects else
  status 0 "$trace" export "$path" --format csv
  [ "$(wc -l <out)" -gt 1 ] || fail "$name: nothing in the CSV"
  eighth=$(python3 -c 'import json; print(max(json.load(open("info.json"))["steps"]["median_bytes"] >> 23, 4))')
  status 0 "$sim" --trace "$path" --hardware h200 --strategy resident --vram 64GiB --csv -q
  mv out resident.csv
  status 0 "$sim" --trace "$path" --hardware h200 --policy lru,belady --vram "${eighth}MiB" --page-size 2MiB --csv -q
  mv out paged.csv
  judge "$name" 2>err || fail "$name"
  if [ -e "${path%.emuv}.parameters.json" ]; then
    case $name in *-decode|*-graph) exact=99 ;; *) exact=0 ;; esac
    status 0 "$truth" --exact $exact "$path" "${path%.emuv}.parameters.json"
  fi
done
[ $found -gt 0 ] || fail 'no traces'
