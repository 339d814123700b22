#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every fault of `emuv-replay --list faults`, once, now and then, and for good, on the device `host`, with all bytes checked.
# The answer is right data, or a failure that names what failed; nothing hangs and nothing is left behind.
#
# What is defined, fault by fault (the table below is the test of it):
#
#   nvme-open                     fails: the disk cannot be opened, and why
#   nvme-direct                   right: goes on through the page cache; the row's remark says so
#   nvme-uring                    right: goes on with threads; the row's remark says so
#   nvme-reserve                  fails when the first data do not fit; later, pages stay where they are: right
#   nvme-read-eio, -write-eio     right when the second try works, otherwise fails
#   nvme-read-short, -write-short right: the rest is transferred by further requests
#   nvme-read-torn, -write-torn   found by the check: fails, and names the page, its version and the way that it took
#   nvme-write-enospc             fails: space that was reserved is not there
#   nvme-slow                     right, later
#   pin-refused                   right; the row's remark says that RAM is not pinned
#   host-, device-, peer-nomem    fails
#   copy-error, launch-error      fails
#   map-error                     fails with --mapping remap; does not happen with --mapping table
#   device-lost                   fails; work in flight is given up
#   flip-vram, -ram, -nvme        found by the check, as torn transfers are, or gone with the copy before anybody read it
#
# A replay that fails stores no row that is ok; one that is right has the counts of a replay without faults.
. "$EMUV_SOURCE/tests/cli/lib.sh"
replay=$EMUV_BIN/emuv-replay
[ -x "$replay" ] || { echo 'emuv-replay is not built'; exit 77; }
need sqlite3 timeout
mkdir disk
cat >faults.yaml <<'YAML'
source: pattern
pattern: {kind: zipf, object: 64KiB, objects: 96, references: 200, write_ratio: 0.4}
hardware: rtx-4090
page_size: 64KiB
slice: 64KiB
vram: 1MiB
ram: 2MiB
nvme: 16MiB
tokens: 2
policy: lru
YAML

# replay RULE ARGUMENTS...: one replay with that fault into a new database; its exit status in $got.
with_fault() {
  rule=$1
  shift
  rm -f f.sqlite
  got=0
  timeout 60 "$replay" faults.yaml --device host --time-scale 0 --nvme-path "$tmp/disk" -o f.sqlite ${rule+--inject "$rule"} "$@" \
    >out 2>err </dev/null || got=$?
  [ $got -ne 124 ] || fail "$rule: hangs"
}
ok_rows() { if [ -e f.sqlite ]; then count f.sqlite "status = 'ok' AND mismatches = 0 AND checked_bytes > 0"; else echo 0; fi; }
counts() {
  sqlite3 f.sqlite 'SELECT accesses, hits, faults, h2d_bytes, d2h_bytes, nvme_read_bytes, nvme_write_bytes, kernels FROM runs'
}
nothing_left() {
  left=$(find disk -mindepth 1)
  [ -z "$left" ] || fail "$rule: left on the disk: $left"
  left=$(find . -mindepth 1 ! -name out ! -name err ! -name faults.yaml ! -name disk ! -name table ! -name tiny.yaml ! -name f.sqlite)
  [ -z "$left" ] || fail "$rule: left in the work folder: $left"
  left=$(grep -l -s "$tmp/dis[k]" /proc/[0-9]*/cmdline)
  [ -z "$left" ] || fail "$rule: processes are left: $left"
}

fired() { has err "fault ${rule%%:*}: "; }
right() { # REMARK
  [ $got -eq 0 ] || fail "$rule: exit status $got"
  [ "$(ok_rows)" -eq 1 ] || fail "$rule: no row that is ok"
  [ "$(counts)" = "$plain" ] || fail "$rule: $(counts) instead of $plain"
  remark=$(sqlite3 f.sqlite "SELECT coalesce(remark, '') FROM runs")
  case $remark in *"$1"*) ;; *) fail "$rule: the row's remark '$remark' does not say '$1'" ;; esac
}
named() { # TEXT
  [ $got -eq 1 ] || fail "$rule: exit status $got"
  grep '^error: ' err | grep -qF -- "$1" || fail "$rule: no error says '$1'"
  [ "$(ok_rows)" -eq 0 ] || fail "$rule: a row says ok"
}
found() { # WAY
  [ $got -eq 1 ] || fail "$rule: exit status $got"
  grep -Eq "page [0-9]+, version [0-9]+ \\([a-z >]*$1[a-z >]*\\), is wrong at offset [0-9]+: [0-9a-f]{16} expected, [0-9a-f]{16} found" err ||
    fail "$rule: no page is named"
  [ "$(ok_rows)" -eq 0 ] || fail "$rule: a row says ok"
}

# check RULE ANSWER TEXT [ARGUMENTS...]; ANSWER: right, named, found, and either of two of them; "idle": the fault cannot
# happen, and all is right.
check() {
  answer=$2 text=$3
  # shellcheck disable=SC2086 # words
  with_fault "$1" $4
  case $answer in
    idle) ! grep -q "^fault ${rule%%:*}: " err || fail "$rule: has happened" ;;
    *) fired ;;
  esac
  case $answer-$got in
    right-* | idle-* | right/*-0) right "$([ "$answer" = right ] && echo "$text")" ;;
    named-* | right/named-*) named "$text" ;;
    *) found "$text" ;;
  esac
  nothing_left
  tried=$((tried + 1))
}

tried=0
rule=none
with_fault pin-refused:after=1
plain=$(counts)
right ''
nothing_left

cat >table <<'TABLE'
nvme-open:once|named|Permission denied
nvme-open|named|Permission denied
nvme-direct:once|right|O_DIRECT
nvme-direct|right|O_DIRECT
nvme-uring:once|right|io_uring
nvme-uring|right|io_uring
nvme-reserve:once|named|room for 0 of
nvme-reserve:every=10|named|room for 9 of
nvme-reserve|named|room for 0 of
nvme-read-eio:once|right|
nvme-read-eio:every=7|right/named|disk: read of slot
nvme-read-eio|named|failed twice: Input/output error
nvme-write-eio:once|right|
nvme-write-eio:every=7|right/named|disk: write of slot
nvme-write-eio|named|failed twice: Input/output error
nvme-read-short:once|right|
nvme-read-short:every=7|right|
nvme-read-short|right|
nvme-write-short:once|right|
nvme-write-short:every=7|right|
nvme-write-short|right|
nvme-read-torn:after=20,once|right/found|nvme > ram > vram
nvme-read-torn:every=7|found|nvme > ram
nvme-read-torn|found|nvme > ram
nvme-write-torn:once|right/found|nvme > ram
nvme-write-torn:every=7|found|nvme > ram
nvme-write-torn|found|nvme > ram
nvme-write-enospc:once|named|No space left on device
nvme-write-enospc:every=7|named|No space left on device
nvme-write-enospc|named|No space left on device
nvme-slow:once|right|
nvme-slow:every=7,for=5ms|right|
nvme-slow:for=1ms|right|
pin-refused:once|right|pinned
pin-refused|right|pinned
host-nomem:once|named|host memory cannot be allocated
host-nomem|named|host memory cannot be allocated
device-nomem:once|named|arena cannot be allocated
device-nomem|named|arena cannot be allocated
peer-nomem:once|named|the other GPU's memory cannot be allocated|--peer 4MiB --ram 4MiB --set nvme=0 --set hw.peer=64KiB=20GB/s
peer-nomem|named|the other GPU's memory cannot be allocated|--peer 4MiB --ram 4MiB --set nvme=0 --set hw.peer=64KiB=20GB/s
peer-nomem|idle|
copy-error:once|named|a copy failed
copy-error:after=50,every=7|named|a copy failed
copy-error|named|a copy failed
launch-error:once|named|a launch failed
launch-error:after=50,every=7|named|a launch failed
launch-error|named|a launch failed
map-error:once|named|cannot map page|--mapping remap
map-error:after=20,every=7|named|cannot map page|--mapping remap
map-error|named|cannot map page|--mapping remap
map-error|idle|
device-lost:once|named|lost
device-lost:after=100,once|named|lost
device-lost:every=40|named|lost|--mapping remap
flip-vram:after=40,once|right/found|vram
flip-vram:every=7|found|vram
flip-vram|found|vram
flip-ram:after=40,once|right/found|ram > vram
flip-ram:every=7|found|ram > vram
flip-ram|found|ram > vram
flip-ram:every=7|found|peer > vram|--peer 16MiB --ram 64KiB --set nvme=0 --set hw.peer=64KiB=20GB/s
flip-nvme:after=40,once|right/found|nvme > ram
flip-nvme:every=7|found|nvme > ram
flip-nvme|found|nvme > ram
nvme-read-short:rate=0.3|right|O_DIRECT|--inject nvme-write-short:rate=0.2,seed=3 --inject nvme-slow:rate=0.1,for=1ms --inject nvme-read-eio:once --inject pin-refused --inject nvme-direct --mapping remap
TABLE
while IFS='|' read -r line answer text arguments; do
  check "$line" "$answer" "$text" "$arguments"
done <table

# The disk turns out to be full while pages that had no data before are on their way there: they stay where they are.
cat >tiny.yaml <<'YAML'
layers: 4
hidden: 128
heads: 4
kv_heads: 4
head_dim: 32
intermediate: 256
vocab: 512
YAML
cat >faults.yaml <<'YAML'
model: tiny.yaml
hardware: rtx-4090
page_size: 16KiB
slice: 64KiB
prompt: 64
context: 0
batch: 4
tokens: 6
vram: 512KiB
ram: 1MiB
nvme: 8MiB
policy: lru
YAML
with_fault pin-refused:after=1
plain=$(counts)
right ''
with_fault nvme-reserve:after=100
fired
[ $got -eq 0 ] || fail "$rule: exit status $got"
[ "$(ok_rows)" -eq 1 ] || fail "$rule: no row that is ok"
[ "$(counts)" != "$plain" ] || fail "$rule: nothing was kept back"
nothing_left

# What cannot be asked for.
refused() { # RULE TEXT
  with_fault "$1"
  [ $got -eq 2 ] || fail "$1: exit status $got"
  has err "$2"
  nothing_left
  [ ! -e f.sqlite ] || fail "$1: a database is written"
}
refused nvme-raed-eio "did you mean 'nvme-read-eio'?"
refused copy-error:evry=3 "did you mean 'every'?"
refused copy-error:every=0 'the least is 1'
refused '' "unknown fault ''"

# Nobody adds a fault without saying what the answer is.
"$replay" --list faults | while read -r fault rest; do
  grep -Eq "^${fault}[:|]" table || fail "$fault ($rest) is not in the table"
done || exit 1
echo "$tried faults"
exit 0
