#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bad scenarios on the command line: the exit status, the first line of stderr, an empty stdout, and no file written.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

# expect STATUS FIRST_LINE ARGUMENTS...: the scenario is s.yaml.
expect() {
  status=$1 line=$2
  shift 2
  "$EMUV_BIN/emuv-sim" "$@" >out 2>err
  got=$?
  if [ "$got" -ne "$status" ] || [ "$(head -n 1 err)" != "$line" ] || [ -s out ]; then
    echo "emuv-sim $*: status $got, wanted $status"
    echo "wanted: $line"
    cat err out
    failed=1
  fi
  rm -f out err
  left=$(find . -type f ! -name s.yaml; find . -mindepth 1 -type d)
  if [ -n "$left" ]; then
    echo "emuv-sim $*: left behind: $left"
    failed=1
  fi
}

printf 'vram: 12GiB\npolcy: lru\n' >s.yaml
expect 3 's.yaml:2:1: error: unknown key "polcy"' s.yaml
printf 'vram: 12GiB\nvram: 8GiB\n' >s.yaml
expect 3 's.yaml:2:1: error: duplicate key "vram"' s.yaml
printf 'page_size: [2MiB, 64K]\n' >s.yaml
expect 3 's.yaml:1:19: error: page_size: "64K": unknown unit "K" of a size' s.yaml
printf 'vram: -1GiB\n' >s.yaml
expect 3 's.yaml:1:7: error: vram: "-1GiB": a size must not be negative' s.yaml
printf 'vram: 100PiB\n' >s.yaml
expect 3 's.yaml:1:7: error: vram: "100PiB" is too large: the most is 64TiB' s.yaml
printf 'page_size: 2GiB\nvram: 1GiB\n' >s.yaml
expect 3 's.yaml:1:12: error: page_size: a page of 2GiB is larger than the 1GiB of VRAM' s.yaml
printf 'policy: [lru, beladi]\n' >s.yaml
expect 3 's.yaml:1:15: error: unknown policy "beladi"' s.yaml
: >s.yaml
expect 3 's.yaml:1:1: error: the file is empty' s.yaml
printf '\177ELF\002\001\001\000' >s.yaml
expect 3 's.yaml:1:1: error: not a text file: byte 0x7f at offset 0' s.yaml
head -c 10000000 /dev/zero | tr '\000' '[' >s.yaml
expect 3 's.yaml:1:1: error: the file is not a map of keys' s.yaml
printf 'vram: 12GiB\n' >s.yaml
expect 2 'error: vram: "64K": unknown unit "K" of a size' s.yaml --set vram=64K
expect 2 'error: unknown key "vrma"' s.yaml --set vrma=1GiB
expect 1 'error: cannot open none.yaml: No such file or directory' none.yaml
exit $failed
