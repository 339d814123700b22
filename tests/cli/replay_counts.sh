#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-replay on the host device: for workloads of all kinds, policies, prefetchers, page sizes, little RAM and a disk, the
# replay's faults, hits and bytes are those of the simulator, exactly, and no page is wrong.
. "$EMUV_SOURCE/tests/cli/lib.sh"
replay=$EMUV_BIN/emuv-replay
tail -c +2 "$EMUV_SOURCE/tests/fuzz/corpus/trace/whole" >t.emuv # the first byte is the fuzzer's
cat >tiny-model.yaml <<'YAML'
layers: 2
hidden: 128
heads: 4
kv_heads: 2
head_dim: 32
intermediate: 256
vocab: 512
experts: 4
experts_per_token: 2
YAML

rows=0
both() { # ROWS ARGUMENTS...: measures and predicts; every count of every row must be equal
  want=$1
  shift
  rows=$((rows + want))
  status 0 "$replay" "$@" --device host --time-scale 0 --with-sim -o both.sqlite -q
  status 0 "$sim" compare both.sqlite
  has out "faults, hits and bytes equal in $rows"
}

cat >cyclic.yaml <<'YAML'
source: pattern
pattern: {kind: cyclic, object: 64KiB, objects: 32, references: 64, write_ratio: 0.25}
hardware: rtx-4090
page_size: [16KiB, 64KiB]
slice: 128KiB
ram: 16MiB
tokens: 3
warmup: 1
vram: 1MiB
YAML
both 4 cyclic.yaml --policy belady,random --prefetch none
both 8 cyclic.yaml --policy lru,mru --prefetch stride,oracle
both 4 cyclic.yaml --policy lru,belady --ram 512KiB --nvme "$tmp:4MiB"
# VRAM below what one launch uses, one frame at the least, and policies that give up what has just been used.
both 8 cyclic.yaml --policy lru,mru --vram 64KiB,192KiB --set slice=256KiB --set pattern.object=256KiB --ram 512KiB,16MiB --page-size 64KiB --nvme "$tmp:16MiB"
both 2 cyclic.yaml --policy lru --ram 64KiB --nvme "$tmp:4MiB" --prefetch next-n
both 4 cyclic.yaml --set write=through,back --set pin=weights --ram 768KiB --nvme "$tmp:4MiB"
both 8 cyclic.yaml --strategy resident,emuv --set plans=paging --ram 16MiB,1MiB --nvme "$tmp:4MiB"
# Another GPU's memory, all of what VRAM lacks or a part of it, with and without loading ahead.
both 16 cyclic.yaml --policy lru,belady --prefetch none,oracle --peer 0B,512KiB,1MiB,64MiB --ram 4MiB --page-size 16KiB --set "hw.peer=16KiB=20GB/s 1MiB=200GB/s"
[ "$(count both.sqlite "peer_bytes > 0 AND peer_read_bytes > 0 AND peer_write_bytes > 0 AND (h2d_bytes > 0) = (peer_bytes < 64 << 20)")" -eq 24 ] || fail 'bytes of the other GPU'
status 0 "$sim" compare both.sqlite --exact
cat >zipf.yaml <<'YAML'
source: pattern
pattern: {kind: zipf, object: 48KiB, objects: 40, references: 100, write_ratio: 0.5}
hardware: rtx-4090
page_size: 16KiB
slice: 64KiB
ram: 512KiB
nvme: 4MiB
tokens: 2
YAML
both 6 zipf.yaml --nvme-path "$tmp" --policy lru,lfu,clock --vram 128KiB,640KiB # less than a slice, runs in parts
cat >decode.yaml <<'YAML'
model: tiny-model.yaml
hardware: rtx-4090
page_size: [16KiB, 128KiB]
slice: 256KiB
context: 64
batch: 2
tokens: 3
prompt: 4
ram: 64MiB
vram: 768KiB
YAML
both 4 decode.yaml --policy lru,belady
both 2 decode.yaml --ram 512KiB --nvme "$tmp:16MiB" --policy lru
both 6 --trace t.emuv --hardware rtx-4070 --page-size 64KiB --vram 64KiB,1MiB,2MiB --policy lru,sieve # 64KiB: one frame
both 1 t.emuv --hardware rtx-4070 --page-size 64KiB --vram 2MiB --ram 1MiB --nvme "$tmp:16MiB" --mapping remap

# The rows say how they were measured; what is stored is not measured again.
need sqlite3
[ "$(count both.sqlite "kind = 'replay' AND status = 'ok' AND device = 'host' AND mismatches = 0 AND checked_bytes > 0")" -eq $rows ] ||
  fail 'rows of the replay'
[ "$(count both.sqlite "mapping = 'remap'")" -eq 1 ] || fail 'rows with --mapping remap'
[ "$(count both.sqlite "kind = 'sim' AND device IS NULL AND checked_bytes IS NULL")" -eq $rows ] || fail 'rows of the simulator'
status 0 "$replay" decode.yaml --policy lru,belady --device host --time-scale 0 -o both.sqlite
has err '4 rows: 0 measured, 4 stored before'
has out 'paged lru' # the answer is about measured rows
# The disk is read before and after each row, which changes nothing but a remark.
status 0 "$replay" zipf.yaml --device host --time-scale 0 --watch-disk 0.01 --with-sim -o watched.sqlite -q --nvme-path "$tmp"
status 0 "$sim" compare watched.sqlite --exact
[ "$(count watched.sqlite "remark LIKE '%disk: %' AND remark NOT LIKE '%disk: %GB/s before, %after%'")" = 0 ] || fail 'remark'
status 0 "$replay" zipf.yaml --device host --time-scale 0 --repeat 3 -o thrice.sqlite -q --nvme-path "$tmp"
[ "$(count thrice.sqlite "kind = 'replay' AND repetition IN (0, 1, 2)")" -eq 3 ] || fail '--repeat'
[ "$(sqlite3 thrice.sqlite 'SELECT count(DISTINCT faults) FROM runs')" -eq 1 ] || fail 'repetitions differ in what they count'
left=$(find . -name '*.next' -o -name '*.tmp' -o -size +15M)
[ -z "$left" ] || fail "left behind: $left"
exit 0
