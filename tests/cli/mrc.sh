#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-sim mrc: rows, where they go, and what wrong input is told.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
fail() { echo "FAIL: $*" >&2; exit 1; }
mrc() { "$EMUV_BIN/emuv-sim" mrc "$@"; }
# status STATUS EXPECTED_STDERR ARGUMENT... : nothing may go to stdout
status() {
  want=$1 text=$2
  shift 2
  got=0
  mrc "$@" >out 2>err || got=$?
  [ "$got" -eq "$want" ] || fail "$*: status $got, not $want: $(cat err)"
  [ ! -s out ] || fail "$*: wrote to stdout: $(cat out)"
  [ "$(cat err)" = "$text" ] || fail "$*: said
$(cat err)
expected
$text"
}

printf 'time,object,size\n0,a,1\n1,b,1\n2,c,1\n3,a,1\n4,b,1\n5,c,1\n6,a,1\n' >scan.csv
mrc scan.csv --policy lru,belady,mru --capacity 2,100% --csv >out
cat >expected <<'EOF'
policy,capacity_pages,accesses,misses,miss_ratio
lru,2,7,7,1.000000000
lru,3,7,3,0.428571429
belady,2,7,5,0.714285714
belady,3,7,3,0.428571429
mru,2,7,5,0.714285714
mru,3,7,3,0.428571429
EOF
cmp out expected || fail "$(cat out)"
mrc - -p fifo -c 3 --format csv <scan.csv >out
[ "$(cat out)" = 'policy  capacity_pages      accesses        misses  miss_ratio
fifo                 3             7             3    0.428571' ] || fail "$(cat out)"
mrc scan.csv --json -o rows.json >out
[ ! -s out ] && grep -q '"miss_ratio"' rows.json || fail 'json'

# every policy of the registry runs, at any number of threads
mrc scan.csv -p all -c 1,2 --csv >one
mrc scan.csv -p all -c 1,2 --csv -j 3 >many
cmp one many || fail 'threads'
"$EMUV_BIN/emuv-sim" --list policies >list
[ "$(wc -l <one)" -eq "$((1 + 2 * $(grep -c '^[a-z]' list)))" ] || fail "policies: $(cat one list)"

mrc --help >out
grep -q 'emuv-sim mrc trace.csv' out || fail 'help'
status 2 "error: unknown policy 'beladdy'
hint: did you mean 'belady'?" scan.csv -p lru,beladdy
status 2 "error: unknown option '--capcity'
hint: did you mean '--capacity'?" scan.csv --capcity 3
status 2 "error: capacity '10K' is neither a number of pages nor a percentage
hint: a number of pages such as 20000, or a share of the distinct pages such as 10%" scan.csv -c 10K
status 2 'error: no trace given
hint: see emuv-sim mrc --help'
status 2 'error: a page size has no meaning for format csv
hint: its references are pages already; only captured traces (.emuv) have addresses' scan.csv --page-size 64KiB

printf 'object,size\n1,1\n2\n' >short.csv
status 3 'short.csv:3:2: error: 1 fields where the first line has 2
     3 | 2
       |  ^' short.csv
printf '1,2\n' >headless.csv
status 3 'headless.csv:1:1: error: several columns, and no header that names the object column
     1 | 1,2
       | ^
hint: put a first line such as: time,object,size' headless.csv
: >empty.oracleGeneral
status 3 'empty.oracleGeneral: error: the trace has no references' empty.oracleGeneral
head -c 25 /dev/zero >cut.oracleGeneral
status 3 'cut.oracleGeneral: error: truncated record: 1 bytes after record 1 (byte 24), a record has 24
hint: an oracleGeneral file is a multiple of 24 bytes; is it another format, or compressed?' cut.oracleGeneral
status 1 'error: cannot open absent.csv: No such file or directory' absent.csv
if [ -w /dev/full ]; then
  got=0
  mrc scan.csv >/dev/full 2>err || got=$?
  [ "$got" -eq 1 ] || fail "full disk: status $got"
fi
