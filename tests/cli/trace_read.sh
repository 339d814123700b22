#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-trace info, dump, check: a small trace of a decode, whole, cut and damaged.
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

status 0 "$trace" info t.emuv
cat >expected <<'END'
file         t.emuv
             808 B, 113 records, 18.4 bytes per launch, complete
machine      synthetic
time         1.17 ms, the device busy for 14.6 %
launches     44 of 7 kernels: exact 100.0 %, bounded 0.0 %, gap 0.0 %
             of 21.4 MiB operand bytes exact 94.2 %, bounded 5.8 %
memory       3 allocations, 10 MiB at the peak, 4.06 MiB touched
copies       4 MiB to the device, 20 B from it, 0 B inside
access       read 0.0 %, written 15.7 %, both 0.0 %, not known 84.3 %
bounded      79.8 MiB to the ends of the allocations, 1.25 MiB to the next
             address that any call uses, 1.25 MiB in what the kernels' times
             allow: the last is what counts
steps        4 (work unit token), from NVTX ranges
             median 243 us, 9 launches, 4.06 MiB touched, 4.02 MiB of it exact
losses       none

over time, distinct bytes in 56 intervals of 20.8 us; right: the most
  touched    =@@===++@.       ++@+        @+@.       .@+@.       ++@+ 2.06 MiB
  allocated  @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ 10 MiB

   ranges  launches  device time    exact median bytes  NVTX range
        4        36        67 us  100.0 %     4.06 MiB  token

launches   time     mean     bytes exact  kernel, by device time
       8  30.8%     3 us  8.06 MiB  100%  kernel_4
       8  30.8%     3 us  8.06 MiB  100%  kernel_5
     ... and 5 kernels more (--top N)
END
LC_ALL=C
export LC_ALL
status 0 "$trace" info t.emuv --top 2
cmp out expected || fail "info: $(cat out)"
[ "$(awk 'length($0) > 80' out)" = '' ] || fail 'info is wider than 80 columns'
status 0 "$trace" info t.emuv --top 1 --sort bytes
has out 'kernel, by bytes'
status 0 "$trace" info t.emuv --top 1 --sort gap
status 2 "$trace" info t.emuv --sort tiem
has err "did you mean 'time'?"
status 0 "$trace" info t.emuv --top 2
[ ! -s err ] || fail "info says something on stderr"
status 0 "$trace" info --json t.emuv
has out '"launches": 44,'
has out '"median_exact_bytes": 4210692,'
if command -v python3 >/dev/null; then
  python3 -c 'import json,sys; json.load(open("out"))' || fail 'info --json does not parse'
fi

status 0 "$trace" check t.emuv
[ "$(cat out)" = 't.emuv: complete, 113 records in 4 blocks, 0 dropped, 0 gaps' ] || fail "check: $(cat out)"
status 0 "$trace" check --strict t.emuv

# Cut: readable, and said so. Strict refuses it.
head -c 640 t.emuv >cut.emuv
status 0 "$trace" check cut.emuv
has out 'cut.emuv: truncated, 113 records in 2 blocks'
has out 'cut.emuv: the file ends early: 598 of 640 bytes are whole blocks'
has out 'cut.emuv: records end 1.173 ms after the first; what came later is lost'
status 0 "$trace" check --json cut.emuv
has out '"truncated":true,"file_bytes":640,"valid_bytes":598,'
status 3 "$trace" check --strict cut.emuv
status 0 "$trace" info cut.emuv
has out 'the writer was killed'

# Damaged: an error with the offset of the block, exit 3.
{ head -c 300 t.emuv; printf 'x'; tail -c +302 t.emuv; } >bad.emuv
status 3 "$trace" check bad.emuv
has err 'at byte 222'
[ ! -s out ] || fail "check of a damaged file prints: $(cat out)"
status 3 "$trace" info bad.emuv
: >empty.emuv
status 3 "$trace" check empty.emuv
has err 'the file is empty'
status 1 "$trace" check none.emuv
has err 'cannot open none.emuv'

status 0 "$trace" dump t.emuv --limit 2 --type range,sync
cat >expected <<'END'
range ns=1000203384 kind=push text="token 1" tid=1 id=0x0 domain=""
sync enter_ns=1000444384 exit_ns=1000445884 kind=stream tid=1 stream=0x7 event=0x0
END
cmp out expected || fail "dump: $(cat out)"
status 0 "$trace" dump t.emuv
[ "$(grep -vc '^  operand' out)" -eq 113 ] || fail 'dump does not show every record'
status 0 "$trace" dump --json t.emuv --type launch --limit 1
has out '"kernel":"_ZN4emuv8kernel_0EPf"'
has out '"operands":[{"allocation":3,"offset":0,"bytes":2097152,"access":"unknown","provenance":"param","class":"bounded","place":0}'

status 0 "$trace" dump t.emuv --kernel kernel_4 --from 300us --to 700us
[ "$(grep -c '^launch' out)" -eq 4 ] && [ "$(grep -vc '^  operand' out)" -eq 4 ] || fail 'dump of a part'
status 2 "$trace" dump t.emuv --from 3

# Wrong usage: exit 2 and what to write instead.
status 2 "$trace"
status 2 "$trace" info
status 2 "$trace" dump t.emuv --type lunch
has err "did you mean 'launch'?"
status 2 "$trace" dump t.emuv --limit many
status 2 "$trace" info t.emuv t.emuv
status 0 "$trace" --help
has out 'Usage: emuv-trace'
status 0 "$trace" --version
grep -Eq '^emuv-trace [0-9]+\.[0-9]+\.[0-9]+ \(([0-9a-f]+|unknown)(-dirty)?\)$' out || fail "version: $(cat out)"
for command in info dump check export import; do status 0 "$trace" $command --help; done
