#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-replay --calibrate and --links on the host device: the preset that is written is one that emuv-sim runs with, what
# it says is no faster than the modelled link, and wrong usage is named.
. "$EMUV_SOURCE/tests/cli/lib.sh"
replay=$EMUV_BIN/emuv-replay
cat >model.yaml <<'YAML'
gpu: a link of 2 GB/s
vram: 1GiB
vram_rate: 100GB/s
h2d: 4KiB=2GB/s
d2h: 4KiB=1GB/s
YAML
cat >scan.yaml <<'YAML'
source: pattern
pattern: {kind: cyclic, object: 64KiB, objects: 64, references: 128}
hardware: ./mine.yaml
page_size: 64KiB
ram: 1MiB
nvme: 8MiB
tokens: 2
vram: 2MiB
policy: lru
YAML

status 0 "$replay" --calibrate --device host --hardware ./model.yaml --vram 4MiB --nvme "$tmp:8MiB" -o mine.yaml
has out 'host memory, modelled'
for figure in 'host to device ' 'device to host, 64 pages' 'both directions' 'in place' 'gap between' 'demand fault' \
  'more than one block' 'copy that is done' 'beside copies' 'reads and writes' 'a batch of copies' 'each piece' \
  'disk reads' 'disk writes' 'beyond its bytes'; do has out "$figure"; done
[ ! -s err ] || fail 'something on stderr'
grep -q '^gpu: host memory' mine.yaml || fail 'the preset does not name its device'
status 0 "$sim" scan.yaml --csv -o sim.sqlite -q
[ "$(count sim.sqlite "hardware = 'mine' AND total_s > 0 AND faults > 0")" = 1 ] || fail 'no row with the preset'
# A modelled link is never faster than its model (2 and 1 GB/s; 2 % for rounding).
for key in h2d:2040 d2h:1020 h2d_batched:2040 d2h_batched:1020; do
  sed -n "s/^${key%:*}: //p" mine.yaml | tr ' ' '\n' | sed 's/.*=//' | awk -v most="${key#*:}" '
    { mb = /GB/ ? $1 * 1000 : $1 + 0 } mb <= 0 || mb > most { exit 1 } END { exit !NR }' || fail "${key%:*} is not what was modelled"
done

status 0 "$replay" --calibrate --device host --vram 2MiB
has err 'kernel reads device memory'
cp out second.yaml
status 0 "$sim" scan.yaml --hardware ./second.yaml --nvme 0 --ram 16MiB --dry-run
status 0 "$replay" --calibrate --device host --vram 2MiB --peer-gpu 1 # what stands for another GPU
has err 'another GPU to device'
cp out peer.yaml
status 0 "$sim" scan.yaml --hardware ./peer.yaml --nvme 0 --ram 1MiB --peer 4MiB -o peer.sqlite -q
[ "$(count peer.sqlite 'peer_read_bytes > 0 AND total_s > 0')" = 1 ] || fail 'no row with the other GPU'
status 2 "$sim" scan.yaml --hardware ./second.yaml --nvme 0 --ram 1MiB --peer 4MiB -o peer.sqlite -q
has err 'hw.peer, the speed of the link to another GPU, is not given'
status 2 "$sim" scan.yaml --set hw.peer=64KiB=9GB/s --peer 4MiB -o peer.sqlite -q
has err 'memory of another GPU and a disk do not work together'
rm -f peer.yaml peer.sqlite
status 0 "$replay" --calibrate --device host --vram 2MiB --peer-gpu 7
has err 'there is no GPU number 7' # a warning
status 0 "$replay" --calibrate --device host --vram 2MiB -q
[ ! -s err ] || fail '-q says something'

# How well a busy machine keeps up decides between 0 and 4.
"$replay" --links --device host --hardware ./model.yaml --vram 1MiB --ram 4MiB --page-size 64KiB --nvme "$tmp:8MiB" \
  >out 2>err
[ $? = 0 ] || grep -q 'used less than it should be' err || fail "links: $(cat err)"
for link in 'host to device' 'device to host' 'both at once' 'disk to device' 'disk, reads and writes'; do
  has out "$link"
done

status 2 "$replay" --calibrate scan.yaml --device host
has err 'take no workload'
status 2 "$replay" --calibrate --links --device host
status 2 "$replay" --calibrate --device host --nvme "$tmp"
status 2 "$replay" --links --device host --vram 1MiB,2MiB
has err 'one value at a time'
status 77 "$replay" --calibrate --device host --gpu 9
has err 'there is no number 9'
status 1 "$replay" --calibrate --device host --vram 2MiB --nvme /nowhere/at/all:8MiB -o none.yaml
has err '/nowhere/at/all'
status 1 "$replay" --calibrate --device host --vram 2MiB -o nowhere/at/all.yaml
has err 'cannot write'
nothing_written model.yaml mine.yaml scan.yaml second.yaml sim.sqlite
