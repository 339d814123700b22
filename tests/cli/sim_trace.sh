#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-sim --trace: a small captured decode; files that are missing, empty, damaged, cut, or no traces.
. "$EMUV_SOURCE/tests/cli/lib.sh"
tail -c +2 "$EMUV_SOURCE/tests/fuzz/corpus/trace/whole" >t.emuv # the first byte is the fuzzer's
kept='t.emuv s.yaml cut.emuv bad.emuv empty.emuv text.emuv folder t.copy'

run trace_missing 3 "$sim" --trace none.emuv
: >empty.emuv
run trace_empty 3 "$sim" --trace empty.emuv
echo 'source: trace' >text.emuv
run trace_text 3 "$sim" --trace text.emuv
{ head -c 300 t.emuv; printf 'x'; tail -c +302 t.emuv; } >bad.emuv
run trace_damaged 3 "$sim" --trace bad.emuv
run trace_damaged_dry 3 "$sim" --trace bad.emuv --dry-run
mkdir folder
run trace_folder 3 "$sim" --trace folder
printf 'source: trace\ntrace: none.emuv\n' >s.yaml
run trace_missing_in_scenario 3 "$sim" s.yaml
printf 'source: trace\ntrace: bad.emuv\n' >s.yaml
run trace_damaged_in_scenario 3 "$sim" s.yaml
nothing_written $kept

# A sweep over it. Weights do not fit in 2 MiB: lru moves more than belady; in 16 MiB nothing moves.
status 0 "$sim" --trace t.emuv --hardware rtx-4070 --policy lru,belady --vram 2MiB,16MiB --page-size 64KiB --csv
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  { bytes[$at["policy"], $at["vram_bytes"] / 1048576] = $at["h2d_bytes"]; tokens = $at["tokens"]; n++
    if ($at["status"] != "ok" || $at["kind"] != "sim" || $at["work_unit"] != "token") exit 2 }
  END { exit !(n == 4 && bytes["lru", 2] > bytes["belady", 2] && bytes["belady", 2] > 0 && bytes["lru", 16] == 0 && tokens > 0) }' \
  out || fail 'rows of the trace'
status 0 "$sim" --trace t.emuv --hardware rtx-4070 --policy lru,belady --vram 2MiB,16MiB --page-size 64KiB -q
has out 't: trace:t.emuv, needs 4.06 MiB, hardware rtx-4070, page 64KiB'
grep -Eq '^16MiB  anything: it fits ' out || fail 'it fits'

# The trace is known by its content, not its name; a cut one is another trace, read up to its last whole block.
cp t.emuv t.copy
status 0 "$sim" --trace t.emuv --dry-run -q --csv
status 0 "$sim" --trace t.copy --hardware rtx-4070 --policy lru,belady --vram 2MiB,16MiB --page-size 64KiB -o results/t.sqlite
has err '4 configurations: 0 computed, 4 stored before'
head -c 640 t.emuv >cut.emuv
status 0 "$sim" --trace cut.emuv
has err 'warning: cut.emuv: it ends early, so the run is simulated up to there'

# What rows do not show is said: a launch that is larger than VRAM, calls instead of tokens, accesses that are not known.
status 0 "$sim" --trace t.emuv --hardware rtx-4070 --vram 128KiB --page-size 64KiB -o small.sqlite
has err 'in 1 configurations VRAM is smaller than what one launch touches'
printf 'time,object,size\n1,7,65536\n2,8,65536\n3,7,65536\n4,9,65536\n' >refs.csv
status 0 "$EMUV_BIN/emuv-trace" import refs.csv --format csv -o refs.emuv
status 0 "$sim" --trace refs.emuv --vram 128KiB --page-size 64KiB --csv -o refs.sqlite
lacks err 'no steps'
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  { exit !($at["work_unit"] == "access" && $at["tokens"] == 4 && $at["total_s"] < 0.01 && $at["faults"] == 3) }' out ||
  fail 'rows of a reference string: its times are no clock'
status 0 "$sim" --trace t.emuv --hardware rtx-4070 --vram 2MiB --page-size 64KiB --set unknown_access=read,read-write --csv -o rw.sqlite
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } { down[NR] = $at["d2h_bytes"]; n++ }
  END { exit !(n == 2 && down[2] != down[3]) }' out || fail 'unknown_access'
exit 0
