#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Captures of pages on a GPU (results/traces/pages), each joined to the default capture of the same program in another run:
# the default one covers what kernels touched but for what its arguments cannot tell, the merged trace is true to what the
# program said, and the simulator knows from it what was written.
. "$EMUV_SOURCE/tests/cli/lib.sh"
need python3
trace=$EMUV_BIN/emuv-trace truth=$EMUV_BIN/trace_truth
traces=$EMUV_SOURCE/results/traces

judge() { # the report in the file out; NAME, then kernels whose operands are known to leave something out
  python3 - "$@" <<'PYTHON'
import json
import sys

name, *known = sys.argv[1:]
report = json.load(open("out"))
assert report["launches"] == report["page_launches"] and report["joined"] >= 0.95 * report["launches"], "launches"
assert report["observed"] >= 0.8 * report["launches"], "few launches were observed"
assert report["pages"] > 10000, "few pages"
for kernel in report["kernels"]:
    if not any(word in kernel["name"] for word in known):
        assert kernel["uncovered_pages"] == 0, kernel
left_out = sum(k["uncovered_pages"] for k in report["kernels"])
assert left_out == report["uncovered_pages"] and (left_out > 0) == bool(known), left_out
PYTHON
}

for name in llama-1.1b-decode vmm-managed; do
  status 0 "$trace" merge "$traces/$name.emuv" "$traces/pages/$name.emuv" -o "$name.merged.emuv" --report --json --top 1000
  case $name in
    # addresses in device memory; what the driver keeps for a cooperative launch
    vmm-managed) judge $name indirect_gather cooperative_sums || fail "$name" ;;
    *) judge $name || fail "$name" ;;
  esac
  status 0 "$truth" --exact 0 --pages "$name.merged.emuv" "$traces/$name.parameters.json"
done

# Writes are known now, so pages that leave are written back; the default capture counts unknown access as read.
written() { # FILE: bytes from the device
  status 0 "$sim" --trace "$1" --hardware h200 --policy lru --vram 512MiB --page-size 2MiB --csv -q
  python3 -c 'import csv; print(sum(int(r["d2h_bytes"]) for r in csv.DictReader(open("out"))))'
}
default=$(written "$traces/llama-1.1b-decode.emuv") || exit 1
merged=$(written llama-1.1b-decode.merged.emuv) || exit 1
[ "$merged" -gt "$default" ] || fail "written back: $merged bytes with pages, $default without"
