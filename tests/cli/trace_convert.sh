#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-trace export and import: every format, round trips, wrong input.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
fail() { echo "FAIL: $*" >&2; exit 1; }
has() { grep -qF -- "$2" "$1" || fail "$1 does not say: $2: $(cat "$1")"; }
status() { # EXPECTED COMMAND...
  want=$1
  shift
  got=0
  "$@" >out 2>err || got=$?
  [ "$got" -eq "$want" ] || fail "$*: exit $got instead of $want: $(cat err)"
}
trace=$EMUV_BIN/emuv-trace
tail -c +2 "$EMUV_SOURCE/tests/fuzz/corpus/trace/whole" >t.emuv # the first byte is the fuzzer's

# Text, to a trace, to oracleGeneral, to a trace, to oracleGeneral: the same.
cat >r.csv <<'END'
time,object,size
1,7,4096
1,9,8192
2,7,4096
END
status 0 "$trace" import r.csv --format csv -o r.emuv
has err 'r.emuv: 3 references'
status 0 "$trace" import -q r.csv --format csv -o again.emuv
[ ! -s err ] || fail "import -q says: $(cat err)"
cmp r.emuv again.emuv || fail 'two imports of the same input differ'
status 0 "$trace" export r.emuv --format oracleGeneral --objects -o r.oracle
cat >expected <<'END'
 01 00 00 00 07 00 00 00 00 00 00 00 00 10 00 00 03 00 00 00 00 00 00 00
 01 00 00 00 09 00 00 00 00 00 00 00 00 20 00 00 ff ff ff ff ff ff ff ff
 02 00 00 00 07 00 00 00 00 00 00 00 00 10 00 00 ff ff ff ff ff ff ff ff
END
od -An -tx1 -w24 -v r.oracle >out
cmp out expected || fail "oracleGeneral: $(cat out)"
"$trace" import - -q --format oracleGeneral -o back.emuv <r.oracle
status 0 "$trace" export back.emuv --format oracleGeneral --objects -o back.oracle
cmp r.oracle back.oracle || fail 'oracleGeneral does not round-trip'
status 0 "$trace" export r.emuv --format oracleGeneral --page-size 4KiB -o pages
[ "$(wc -c <pages)" -eq $((4 * 24)) ] || fail "pages: $(od -An -tx1 -w24 -v pages)"

# Pages of a decode: 2 MiB of weights per layer, touched by upload, prefill and each token.
status 0 "$trace" export t.emuv --format oracleGeneral --page-size 64KiB -o pages
[ $(($(wc -c <pages) % 24)) -eq 0 ] && [ "$(wc -c <pages)" -ge $((64 * 6 * 24)) ] || fail "pages: $(wc -c <pages) bytes"

status 0 "$trace" export t.emuv --format csv
[ "$(head -n 1 out)" = 'sequence,enter_ns,start_ns,end_ns,type,name,allocation,address,offset,bytes,access,class,provenance' ] ||
  fail "csv: $(head -n 1 out)"
has out '1,1000002000,1000006000,1000027971,copy,h2d,1,0x7f0040000000,0,1048576,write,exact,unknown'
status 0 "$trace" export t.emuv --format json -o t.json
has t.json '"traceEvents":['
if command -v python3 >/dev/null; then
  python3 - <<'END' || fail 'the JSON is not what a viewer reads'
import json
events = json.load(open("t.json"))["traceEvents"]
assert len([e for e in events if e["ph"] == "X" and e["name"].startswith("_ZN4emuv")]) == 44
assert len([e for e in events if e["ph"] == "B"]) == len([e for e in events if e["ph"] == "E"]) == 4
assert max(e["args"]["allocated_bytes"] for e in events if e["ph"] == "C") == 10485760
assert all(e["ts"] >= 0 for e in events if "ts" in e)
END
fi
if command -v sqlite3 >/dev/null; then
  status 0 "$trace" export t.emuv --format sqlite -o t.sqlite
  [ "$(sqlite3 t.sqlite 'SELECT count(*) FROM launch')" -eq 44 ] || fail 'launches in the database'
  [ "$(sqlite3 t.sqlite 'SELECT max(end_ns > 0 AND end_ns >= start_ns) FROM launch')" -eq 1 ] || fail 'times in the database'
  [ "$(sqlite3 t.sqlite 'SELECT count(*) FROM operand JOIN launch ON launch.rowid = launch_id')" -gt 44 ] || fail operands
  [ "$(sqlite3 t.sqlite 'SELECT status FROM verdict')" = complete ] || fail 'verdict in the database'
  status 2 "$trace" export t.emuv --format sqlite -o t.sqlite
  has err 't.sqlite exists; it is not overwritten'

  # Nsight Systems' tables: in that database too, alone, and back. Such a trace has no operands, and says so.
  [ "$(sqlite3 t.sqlite 'SELECT count(*) FROM CUPTI_ACTIVITY_KIND_KERNEL k JOIN StringIds s ON s.id = k.demangledName')" -eq 44 ] ||
    fail 'kernels under their other name'
  status 0 "$trace" export t.emuv --format nsys -o n.sqlite
  [ "$(sqlite3 n.sqlite "SELECT count(*) FROM sqlite_master WHERE name = 'launch'")" -eq 0 ] || fail 'nsys alone'
  for base in t n; do
    status 0 "$trace" import $base.sqlite --format nsys -o n.emuv
    has err 'n.emuv: 44 launches without operands, 9 copies, 0 sets, 3 allocations, 4 ranges'
  done
  status 0 "$trace" check --strict n.emuv
  status 0 "$trace" info n.emuv
  has out 'gap 100.0 %'
  has out 'Nsight Systems records no kernel arguments'
  status 3 "$EMUV_BIN/emuv-sim" --trace n.emuv --hardware h200
  has err 'does not tell which memory its launches touch'
  has err 'emuv-trace -o FILE.emuv COMMAND'
  status 0 "$trace" export n.emuv --format oracleGeneral --objects -o none
  has err 'no call touches memory that is known'
  [ ! -s none ] || fail 'references without operands'
  sqlite3 n.sqlite 'DROP TABLE CUPTI_ACTIVITY_KIND_KERNEL'
  status 3 "$trace" import n.sqlite --format nsys -o x
  has err 'n.sqlite: table CUPTI_ACTIVITY_KIND_KERNEL is missing'
fi

# Wrong input and usage; nothing is left behind.
status 2 "$trace" export t.emuv
status 2 "$trace" export t.emuv --format jsn
has err "did you mean 'json'?"
status 2 "$trace" export t.emuv --format oracleGeneral -o x
has err '--page-size SIZE, or --objects'
status 2 "$trace" export t.emuv --format oracleGeneral --page-size 2M
has err '2MiB'
status 2 "$trace" export t.emuv --format sqlite
status 2 "$trace" export t.emuv --format nsys
status 3 "$trace" import r.csv --format nsys -o x
has err 'r.csv is not an SQLite database'
status 2 "$trace" import r.csv --format csv
status 3 "$trace" export r.csv --format csv -o x
printf 'object,size\n1,2\n3,x\n' >bad.csv
status 3 "$trace" import bad.csv --format csv -o x
has err 'bad.csv:3:3: error: not an unsigned number'
printf 'abc' >bad.oracle
status 3 "$trace" import bad.oracle --format oracleGeneral -o x
has err 'cut at byte 0'
status 1 "$trace" import none.csv --format csv -o x
status 1 "$trace" export t.emuv --format csv -o /nonexistent/x
[ ! -e x ] || fail 'a failed command leaves its output behind'
if [ -e /dev/full ]; then
  got=0
  "$trace" export t.emuv --format csv >/dev/full 2>err || got=$?
  [ "$got" -eq 1 ] || fail "a full disk gives exit status $got"
fi
