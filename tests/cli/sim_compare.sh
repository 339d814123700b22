#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-sim compare: verdicts, exit status 4 on a regression, missing rows, predictions beside measurements, formats.
. "$EMUV_SOURCE/tests/cli/lib.sh"
need sqlite3
cat >s.yaml <<'YAML'
source: pattern
pattern: {kind: cyclic, object: 2MiB, objects: 64, references: 256}
hardware: rtx-4090
ram: 1GiB
tokens: 1
policy: [lru, fifo, mru, belady]
vram: [32MiB, 64MiB]
YAML
status 0 "$sim" -q s.yaml -o a.sqlite
edit() { # FILE SQL: a copy of a.sqlite, changed
  rm -f "$1"
  cp a.sqlite "$1"
  sqlite3 "$1" "$2"
}

status 0 "$sim" compare a.sqlite a.sqlite
[ "$(cat out)" = '8 rows compared: 8 same, 0 faster, 0 worse; largest change +0.00%' ] || fail 'a database beside itself'

# Round numbers, so that the output does not follow the cost model.
edit b.sqlite "UPDATE runs SET total_s = 0.5, faults = 1000"
cp b.sqlite a.sqlite
edit slower.sqlite "UPDATE runs SET total_s = 0.75 WHERE policy = 'lru' AND vram_bytes = 33554432"
run compare_slower 4 "$sim" compare a.sqlite slower.sqlite
run compare_faster 0 "$sim" compare slower.sqlite a.sqlite
status 0 "$sim" compare a.sqlite slower.sqlite --threshold 50.1
status 4 "$sim" compare a.sqlite slower.sqlite --threshold 49.9%
edit little.sqlite "UPDATE runs SET total_s = total_s * 1.005"
status 0 "$sim" compare a.sqlite little.sqlite
status 4 "$sim" compare a.sqlite little.sqlite --threshold 0

edit faults.sqlite "UPDATE runs SET faults = 1100 WHERE policy = 'fifo'"
run compare_faults 4 "$sim" compare a.sqlite faults.sqlite
edit stopped.sqlite "UPDATE runs SET total_s = NULL, faults = NULL, status = 'it does not fit' WHERE policy = 'mru'"
run compare_stopped 4 "$sim" compare a.sqlite stopped.sqlite
run compare_works 0 "$sim" compare stopped.sqlite a.sqlite
run compare_all 0 "$sim" compare a.sqlite a.sqlite --all

# Rows that only one of them has are counted; none in common is an error.
edit fewer.sqlite "DELETE FROM runs WHERE policy = 'belady'"
run compare_fewer 0 "$sim" compare a.sqlite fewer.sqlite
run compare_more 0 "$sim" compare fewer.sqlite a.sqlite
edit none.sqlite "UPDATE runs SET config_hash = 'other' || run_id"
run compare_nothing 3 "$sim" compare a.sqlite none.sqlite

# Predictions beside measurements, in two databases or in one; where both have both kinds, like is compared with like.
edit measured.sqlite "UPDATE runs SET kind = 'replay', run_id = 'm' || run_id, total_s = 0.4, faults = 1001 WHERE policy = 'lru';
  UPDATE runs SET kind = 'replay', run_id = 'm' || run_id, total_s = 0.625 WHERE policy = 'fifo';
  UPDATE runs SET kind = 'replay', run_id = 'm' || run_id, total_s = 0.5, hits = hits + 1, h2d_bytes = 0 WHERE policy = 'mru';
  UPDATE runs SET kind = 'replay', run_id = 'm' || run_id, total_s = NULL, status = 'a failure' WHERE policy = 'belady'"
run compare_measured 0 "$sim" compare a.sqlite measured.sqlite
edit both.sqlite "ATTACH 'measured.sqlite' AS m; INSERT INTO runs SELECT * FROM m.runs"
run compare_measured 0 "$sim" compare both.sqlite
run compare_measured 0 "$sim" compare measured.sqlite a.sqlite
status 0 "$sim" compare both.sqlite both.sqlite
has out '16 rows compared: 16 same'
status 4 "$sim" compare both.sqlite --max-error 25%
sqlite3 both.sqlite "DELETE FROM runs WHERE policy = 'belady'"
status 0 "$sim" compare both.sqlite --max-error 25
status 4 "$sim" compare both.sqlite --max-error 24.9
status 4 "$sim" compare both.sqlite --exact
has out 'faults, hits and bytes equal in 2'
sqlite3 both.sqlite "DELETE FROM runs WHERE policy <> 'fifo'"
status 0 "$sim" compare both.sqlite --exact --max-error 20
has out '2 rows predicted and measured: error of the time 20.00% in the median, -20.00% at most'
status 4 "$sim" compare both.sqlite both.sqlite --exact --max-error 19.9
[ "$(grep -c '\*' out)" = 0 ] || fail 'a row is flagged'
sqlite3 both.sqlite "UPDATE runs SET remark = 'disk: 2.41 GB/s before, 2.02 after (calibrated 2.44)' WHERE kind = 'replay'"
status 0 "$sim" compare both.sqlite
has out '2 rows (*) on a disk whose speed was not the calibrated one'
[ "$(grep -c 'equal \*$' out)" = 2 ] || fail 'rows are not flagged'
run compare_unmeasured 3 "$sim" compare a.sqlite
status 0 "$sim" compare measured.sqlite a.sqlite --csv
[ "$(wc -l <out)" -eq 9 ] || fail "CSV has $(wc -l <out) lines"
head -n 1 out | grep -q '^run_id,.*,predicted_total_s,measured_total_s,.*,error_percent,counts$' || fail 'CSV columns'
[ "$(grep -c ',25,faults$' out)" -eq 2 ] || fail 'CSV errors'
has err '8 rows predicted and measured'
status 0 "$sim" compare a.sqlite measured.sqlite --json
if command -v python3 >/dev/null; then
  python3 - <<'PY' || fail '--json is not what it should be'
import json
all = json.load(open("out"))
rows, summary = all["rows"], all["summary"]
assert len(rows) == 8 and summary["rows"] == 8 and summary["equal_counts"] == 2 and summary["without_time"] == 2
assert abs(summary["median_error_percent"] - 20) < 1e-9 and abs(summary["largest_error_percent"] - 25) < 1e-9
off = {r["policy"]: (r["error_percent"], r["counts"]) for r in rows}
assert off["mru"] == (0, "hits h2d_bytes") and off["belady"] == (None, "")
assert abs(off["fifo"][0] + 20) < 1e-9 and off["fifo"][1] == "equal"
assert abs(off["lru"][0] - 25) < 1e-9 and off["lru"][1] == "faults"
PY
fi

# Formats: data on stdout, the summary on stderr.
status 4 "$sim" compare a.sqlite slower.sqlite --csv
[ "$(wc -l <out)" -eq 9 ] || fail "CSV has $(wc -l <out) lines"
head -n 1 out | grep -q '^run_id,config_hash,kind,.*,total_s_a,total_s_b,.*,change_percent,verdict$' || fail 'CSV columns'
[ "$(grep -c ',50,slower$' out)" -eq 1 ] || fail 'CSV verdicts'
has err '8 rows compared: 7 same, 0 faster, 1 worse; largest change +50.00%'
status 4 "$sim" compare a.sqlite stopped.sqlite --json
if command -v python3 >/dev/null; then
  python3 - <<'PY' || fail '--json is not what it should be'
import json
rows = json.load(open("out"))
assert len(rows) == 8
stopped = [r for r in rows if r["verdict"] == "stopped working"]
assert len(stopped) == 2 and all(r["total_s_b"] is None and r["total_s_a"] == 0.5 and r["policy"] == "mru" for r in stopped)
assert all(r["change_percent"] == 0 for r in rows if r["verdict"] == "same")
PY
fi

# What cannot be compared.
run compare_no_file 1 "$sim" compare a.sqlite nowhere.sqlite
run compare_one 2 "$sim" compare
run compare_three 2 "$sim" compare a.sqlite a.sqlite a.sqlite
run compare_threshold 2 "$sim" compare a.sqlite a.sqlite --threshold much
run compare_text 3 "$sim" compare s.yaml a.sqlite
: >empty.sqlite
run compare_empty 3 "$sim" compare a.sqlite empty.sqlite
edit newer.sqlite 'PRAGMA user_version = 99'
status 1 "$sim" compare a.sqlite newer.sqlite
has err 'newer than this emuV knows'
if [ -e /dev/full ]; then
  got=0
  "$sim" compare a.sqlite a.sqlite --csv >/dev/full 2>err || got=$?
  [ "$got" -eq 1 ] || fail "full stdout: exit status $got"
fi
exit 0
