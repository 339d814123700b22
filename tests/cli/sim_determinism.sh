#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same seed gives the same rows, byte for byte, with any number of threads; another seed gives others where chance
# has a say.
. "$EMUV_SOURCE/tests/cli/lib.sh"
need sqlite3
cat >chance.yaml <<'YAML'
source: pattern
hardware: rtx-4090
ram: 1GiB
vram: 64MiB
tokens: 2
policy: [lru, random, belady]
sweep:
  - pattern: {kind: zipf, skew: [0.7, 1.1], object: 2MiB, objects: 100, references: 2000, write_ratio: 0.2}
  - pattern: {kind: random, object: 2MiB, objects: 100, references: 2000, write_ratio: 0.2}
  - pattern: {kind: cyclic, object: 2MiB, objects: 100, references: 2000}
YAML
cat >experts.yaml <<'YAML'
model: mixtral-8x7b
weight_bits: 4
hardware: rtx-4090
ram: 64GiB
vram: 8GiB
context: 64
warmup: 1
tokens: 2
page_size: 32MiB
strategy: [um, uva, emuv, paged]
YAML

for scenario in chance.yaml experts.yaml "$EMUV_SOURCE/scenarios/h200-llama13b.yaml"; do
  for jobs in 1 2 7; do
    status 0 "$sim" "$scenario" -q --jobs $jobs -o $jobs.sqlite
    rows $jobs.sqlite >$jobs.rows
    status 0 "$sim" "$scenario" -q --jobs $jobs -o $jobs.sqlite
    cp out $jobs.table
  done
  [ "$(wc -l <1.rows)" -ge 4 ] || fail "$scenario: few rows"
  for jobs in 2 7; do
    cmp 1.rows $jobs.rows || fail "$scenario: other rows with --jobs $jobs"
    cmp 1.table $jobs.table || fail "$scenario: another answer with --jobs $jobs"
    status 0 "$sim" compare 1.sqlite $jobs.sqlite --threshold 0
  done
  rm -f ./*.sqlite
done

# total_s by (kind, policy), for two seeds.
results_of() { sqlite3 "$1" "SELECT workload, policy, pattern_skew, total_s, faults FROM runs WHERE $2 ORDER BY 1, 2, 3"; }
for seed in 1 2; do
  status 0 "$sim" chance.yaml -q -o seed$seed.sqlite --seed $seed
  status 0 "$sim" experts.yaml -q -o experts$seed.sqlite --seed $seed
done
for skew in 0.7 1.1; do
  chance="workload LIKE '%zipf' AND pattern_skew = $skew AND policy = 'lru'"
  [ "$(results_of seed1.sqlite "$chance")" != "$(results_of seed2.sqlite "$chance")" ] || fail "zipf $skew does not depend on the seed"
done
chance="workload LIKE '%cyclic' AND policy = 'random'"
[ "$(results_of seed1.sqlite "$chance")" != "$(results_of seed2.sqlite "$chance")" ] || fail 'policy random does not depend on the seed'
fixed="workload LIKE '%cyclic' AND policy <> 'random'"
[ -n "$(results_of seed1.sqlite "$fixed")" ] || fail 'no rows without chance'
[ "$(results_of seed1.sqlite "$fixed")" = "$(results_of seed2.sqlite "$fixed")" ] || fail 'a cyclic scan depends on the seed'
[ "$(results_of experts1.sqlite 1)" != "$(results_of experts2.sqlite 1)" ] || fail 'expert routing does not depend on the seed'
exit 0
