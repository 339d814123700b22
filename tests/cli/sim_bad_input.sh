#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-sim: bad scenarios, as a user sees them: exit status 3, file:line:column, the line with a caret, what to do; and
# nothing is written.
. "$EMUV_SOURCE/tests/cli/lib.sh"

bad() { # NAME: the scenario is s.yaml
  run "bad_$1" 3 "$sim" s.yaml
  grep -Eq '^s\.yaml:[0-9]+:[0-9]+: error: ' err || fail "$1: no place"
  [ ! -s out ] || fail "$1: something on stdout"
  nothing_written s.yaml
}

printf 'model: llama-2-7b\nvram: 12GiB\npolcy: lru\n' >s.yaml
bad unknown_key
printf 'model:\n  layrs: 40\n' >s.yaml
bad unknown_nested_key
printf 'sweep:\n  - strategy: paged\n    polciy: lru\n' >s.yaml
bad unknown_sweep_key
printf 'vram: 12GiB\nram: 1GiB\nvram: 8GiB\n' >s.yaml
bad duplicate_key
printf 'page_size: [2MiB, 64K]\n' >s.yaml
bad unit
printf 'vram: -1GiB\n' >s.yaml
bad negative_size
printf 'vram: 100PiB\n' >s.yaml
bad absurd_size
printf 'vram: 99999999999999999999999999GiB\n' >s.yaml
bad overflowing_size
printf 'context: 1.5\n' >s.yaml
bad fraction
printf 'page_size: 2GiB\nvram: 1GiB\n' >s.yaml
bad page_larger_than_vram
printf 'policy: [lru, beladi]\n' >s.yaml
bad unknown_policy
printf 'prefetch: layers\n' >s.yaml
bad unknown_prefetcher
printf 'strategy: stremt\n' >s.yaml
bad unknown_strategy
printf 'hardware: rtx-4080\n' >s.yaml
bad unknown_hardware
printf 'model: llama-2-80b\n' >s.yaml
bad unknown_model
printf 'source: trace\n' >s.yaml
bad no_trace
printf 'vram: [1GiB\n' >s.yaml
bad yaml_syntax
printf 'vram:\n\t- 1GiB\n' >s.yaml
bad tab
printf -- '- vram\n' >s.yaml
bad not_a_map
: >s.yaml
bad empty
printf '# only a comment\n' >s.yaml
bad comment
printf '\177ELF\002\001\001\000' >s.yaml
bad binary
printf 'vram: 1\377GiB\n' >s.yaml
bad not_utf8

# Ten megabytes of nesting, of three kinds, and one long line: an error, and soon.
head -c 10000000 /dev/zero | tr '\000' '[' >s.yaml
bad nested_lists
{ printf 'vram: '; head -c 10000000 /dev/zero | tr '\000' '['; } >s.yaml
bad nested_values
awk 'BEGIN { for (i = 0; i < 4400; i++) printf "%*sa:\n", i, "" }' >s.yaml
bad nested_maps
{ printf 'vram: '; head -c 10000000 /dev/zero | tr '\000' 7; } >s.yaml
bad long_value
{ printf 'policy: ['; awk 'BEGIN { for (i = 0; i < 500000; i++) printf "lru, " }'; printf 'lru]\n'; } >s.yaml
status 3 "$sim" s.yaml --set vram=1GiB,2GiB --set page_size=1MiB,2MiB
nothing_written s.yaml
# References to references: 9^9 values if they were followed.
{
  printf 'policy: &a [lru, lru, lru, lru, lru, lru, lru, lru, lru]\n'
  printf 'prefetch: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nstrategy: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n'
} >s.yaml
bad aliases

# An output folder that does not exist, or that is a file, is found before anything runs.
printf 'source: pattern\npattern: {objects: 4, references: 8}\nvram: 4MiB\nram: 1GiB\ntokens: 1\n' >s.yaml
run output_nowhere 1 "$sim" s.yaml --output no/such/folder/x.sqlite
: >results
run output_file 1 "$sim" s.yaml
nothing_written s.yaml results
rm results
run no_file 1 "$sim" none.yaml
run a_folder 1 "$sim" /

# Less VRAM than one layer needs is no error: it runs, and says what that means.
cat >small.yaml <<'YAML'
model: llama-2-70b
hardware: rtx-4060
ram: 256GiB
context: 2048
tokens: 1
vram: 512MiB
strategy: [layer-offload, uva, emuv, paged]
YAML
status 0 "$sim" small.yaml
has err 'warning: in 4 configurations VRAM is smaller than what one layer touches (1.60 GiB; the least: 512MiB)'
has out 'layer-offload: cannot run'
has out '1 of 4 configurations cannot run; column status says why:'
grep -Eq '^  layer-offload needs [0-9.]+ GiB in VRAM .* and has 512 MiB$' out || fail 'no reason is given'
for way in 'emuv: ' uva 'paged recur + learned'; do grep -q "^$way" out || fail "$way is not in the table"; done
status 0 "$sim" small.yaml -q --csv
[ "$(cut -d, -f1-40 out | grep -c ',ok,')" -eq 3 ] || fail 'three of four run'
exit 0
