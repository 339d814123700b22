#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-replay: help, lists, wrong usage, devices and places that are not there, refused pinning and O_DIRECT, a full
# disk, wrong pages, traces that end early, VRAM smaller than a launch. Nothing is left behind.
. "$EMUV_SOURCE/tests/cli/lib.sh"
need sqlite3
replay=$EMUV_BIN/emuv-replay
tail -c +2 "$EMUV_SOURCE/tests/fuzz/corpus/trace/whole" >t.emuv # the first byte is the fuzzer's
cat >s.yaml <<'YAML'
source: pattern
pattern: {kind: zipf, object: 64KiB, objects: 48, references: 64, write_ratio: 0.3}
hardware: rtx-4090
page_size: 64KiB
slice: 256KiB
ram: 8MiB
vram: 1MiB
policy: lru
tokens: 3
YAML
mkdir disk
kept='s.yaml t.emuv disk cut.emuv bad.emuv folder'
host() { "$replay" s.yaml --device host --time-scale 0 -o r.sqlite -q "$@"; }
fresh() { rm -f r.sqlite*; }
clean() { # of a run that stored its row
  [ "$(ls disk | wc -l)" -eq 0 ] || fail "left on disk: $(ls disk)"
  [ "$(count r.sqlite)" -eq "$1" ] || fail "$(count r.sqlite) rows instead of $1"
  fresh
}

status 0 "$replay" --help
for text in 'Usage: emuv-replay' 'Examples:' 'Exit status' --vram --nvme --device --mapping --verify --inject --repeat \
  --with-sim --checkpoint --restore --time-scale --on-damage --dry-run --json --csv --list --output; do
  has out "$text"
done
[ ! -s err ] || fail '--help says something on stderr'
awk 'length > 80 { exit 1 }' out || fail '--help is wider than 80 columns'
status 0 "$replay" --version
grep -Eq '^emuv-replay [0-9]+\.[0-9]+\.[0-9]+\+g' out || fail "version: $(cat out)"
for list in devices faults policies tiers strategies; do
  status 0 "$replay" --list $list
  awk 'NF < 2 { exit 1 }' out || fail "--list $list: a line without a text"
done
status 0 "$replay" --list devices
grep -q '^host ' out || fail 'no device host'
status 2 "$replay" --list device
has err 'did you mean "devices"?'

usage() { # TEXT ARGUMENTS...
  text=$1
  shift
  status 2 "$replay" "$@"
  has err "$text"
}
usage 'give a scenario file'
usage 'did you mean "--mapping"?' s.yaml --maping table
usage 'did you mean "--verify"?' s.yaml --verfy=full
usage 'did you mean "host"?' s.yaml --device hots
usage 'did you mean "remap"?' s.yaml --mapping rmap
usage 'give off, sample or full' s.yaml --verify everything
usage 'give a number from 1 to 1000' s.yaml --repeat 0
usage 'give a number from 0 to 1000' s.yaml --time-scale fast
usage 'give a time (30s) or a number of steps' s.yaml --checkpoint x --checkpoint-every often
usage 'name two places' s.yaml --nvme disk:1MiB --nvme-path folder
usage 'one place at a time' s.yaml --nvme disk:1MiB,folder:2MiB
usage 'but not where' s.yaml --device host --nvme 1MiB
usage "did you mean 'nvme-read-eio'?" s.yaml --device host --inject nvme-read-eoi:once
usage 'vrma' s.yaml --device host --set vrma=1MiB
status 1 "$replay" none.yaml
status 3 "$replay" folder-that-is-not.emuv
mkdir folder
status 3 "$replay" --trace folder
status 1 "$replay" s.yaml --device host --strategy uva
has err "strategy 'uva' only exists as a model"
has err 'paged'
{ head -c 300 t.emuv; printf 'x'; tail -c +302 t.emuv; } >bad.emuv
status 3 "$replay" bad.emuv --device host
status 77 "$replay" s.yaml --device host --gpu 77
has err '--device host'
if [ ! -e /dev/nvidiactl ]; then
  status 77 "$replay" s.yaml
  has err '--device host'
fi
status 0 "$replay" s.yaml --dry-run
nothing_written $kept

# A trace that ends early is replayed up to there.
head -c 640 t.emuv >cut.emuv
status 0 "$replay" cut.emuv --hardware rtx-4070 --page-size 64KiB --vram 8MiB --ram 16MiB --device host --time-scale 0 -o r.sqlite
has err 'ends early'
clean 1

# Places for the disk.
fresh
status 1 host --nvme none/none:4MiB --ram 512KiB
has err none/none
[ ! -e r.sqlite ] || fail 'a database, though nothing could run'
status 1 host --nvme disk:4MiB --ram 512KiB --inject nvme-open:once
clean 0
for fault in nvme-direct nvme-uring; do
  status 0 host --nvme disk:4MiB --ram 512KiB --inject $fault
  [ -n "$(sqlite3 r.sqlite 'SELECT remark FROM runs')" ] || fail "$fault: no remark"
  clean 1
done
# No room on the disk: what is in RAM stays there, and where nothing can give way the run fails by name.
for rule in nvme-reserve nvme-reserve:every=3 nvme-write-enospc:once; do
  got=0
  host --nvme disk:4MiB --ram 512KiB --inject $rule >out 2>err || got=$?
  case $got in 0) ;; 1) grep -Eiq 'room|space|full' err || fail "$rule: no name" ;; *) fail "$rule: exit status $got" ;; esac
  lacks err 'is wrong at'
  [ "$(ls disk | wc -l)" -eq 0 ] || fail "left on disk: $(ls disk)"
  fresh
done
# Pinning is refused: slower, but right.
status 0 host --inject pin-refused
[ "$(sqlite3 r.sqlite "SELECT remark LIKE '%pin%' FROM runs")" = 1 ] || fail 'pinning refused: no remark'
clean 1
if (ulimit -l 16) 2>/dev/null; then
  (ulimit -l 16; host >out 2>err) || fail 'with little lockable memory'
  clean 1
fi
for fault in host-nomem device-nomem copy-error:every=20 launch-error:every=20 device-lost:every=30; do
  status 1 host --inject $fault
  grep -q '^error: ' err || fail "$fault: no name"
  clean 0
done
status 1 host --nvme disk:4MiB --ram 512KiB --inject nvme-read-eio
clean 0
status 0 host --nvme disk:4MiB --ram 512KiB --inject nvme-read-eio:every=10 # tried again
clean 1
status 0 host --nvme disk:4MiB --ram 512KiB --inject nvme-read-short:every=5 --inject nvme-write-short:every=5 --inject nvme-slow:every=50,for=2ms
clean 1

# Wrong pages: named, counted, exit status 1; the run ends or goes on.
status 1 host --inject flip-vram:every=20
has err 'is wrong at offset'
clean 0
"$replay" s.yaml --device host --time-scale 0 -o r.sqlite --inject flip-vram:every=2 --inject flip-ram:every=3 --on-damage count >out 2>err
[ $? -eq 1 ] || fail 'wrong pages that are counted'
sed -n 's/^\([0-9]*\) bits inverted: \([0-9]*\) found, \([0-9]*\) overwritten.*/\1 \2 \3/p' err >flips
awk '{ if ($1 < 10 || $1 != $2 + $3 || $2 < 1) exit 1; n++ } END { exit n != 1 }' flips || fail "inverted bits: $(cat flips)"
rm flips
grep -Eq '^error: page [0-9]+, version [0-9]+ \(.*(ram|vram)\), is wrong at offset [0-9]+: [0-9a-f]{16} expected, [0-9a-f]{16} found$' err ||
  fail 'what a wrong page is told'
[ "$(grep -c 'is wrong at' err)" -le 20 ] || fail 'more than 20 lines'
said=$(sed -n 's/^error: \([0-9]*\) wrong pages in 1 rows$/\1/p' err)
[ "$(sqlite3 r.sqlite 'SELECT status FROM runs')" = "damaged: $said wrong pages" ] || fail 'status of a damaged row'
clean 1

# Tiers that cannot hold the data are a finding, as for emuv-sim.
status 0 host --ram 64KiB
[ "$(sqlite3 r.sqlite "SELECT status LIKE '%cannot hold the data%' FROM runs")" = 1 ] || fail 'status of a row that cannot run'
clean 1
# Interrupted: what is stored stays, and nothing else.
"$replay" s.yaml --device host --nvme disk:4MiB --ram 512KiB --tokens 100000 --vram 1MiB -o r.sqlite >out 2>err &
pid=$!
sleep 0.5
kill -INT $pid
got=0
wait $pid || got=$?
[ "$got" -eq 130 ] || fail "SIGINT gives exit status $got"
has err 'interrupted: 0 of 1 rows are stored; the same command goes on'
clean 0
exit 0
