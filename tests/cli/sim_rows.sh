#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Rows of the database: nothing is NULL where a value exists, a row that cannot run says why, a resumed sweep of another
# text of a scenario answers for that text alone.
. "$EMUV_SOURCE/tests/cli/lib.sh"
need sqlite3
tail -c +2 "$EMUV_SOURCE/tests/fuzz/corpus/trace/whole" >t.emuv
cat >mixed.yaml <<'YAML'
hardware: rtx-4090
context: 256
tokens: 1
sweep:
  - source: pattern
    pattern: {kind: zipf, objects: 100, references: 300, write_ratio: 0.5}
    vram: 64MiB
    policy: [lru, belady]
  - model: tinyllama-1.1b
    vram: [512MiB, 4GiB]
    ram: 4GiB
    nvme: 8GiB
    strategy: [resident, um, uva, layer-offload, stream, paged, emuv]
  - source: trace
    trace: t.emuv
    vram: 2MiB
    page_size: 64KiB
YAML
status 0 "$sim" mixed.yaml -q -o mixed.sqlite
status 0 "$sim" "$EMUV_SOURCE/scenarios/h200-llama13b.yaml" -q -o h200.sqlite
for db in mixed.sqlite h200.sqlite; do
  n=$(count $db "status = 'ok'")
  [ "$n" -ge 10 ] || fail "$db: $n rows"
  for column in $(sqlite3 $db "SELECT name FROM pragma_table_info('runs')"); do
    case $column in
      energy_j | tokens_per_j) empty="energy_j IS NULL AND hardware NOT IN ('rtx-4090', 'h200')" ;;
      device | mapping | verify | time_scale | kernels | checked_bytes | mismatches | map_s | unmap_s | remark)
        empty="kind = 'replay'" ;; # how a row was measured
      *) empty=1 ;;
    esac
    nulls=$(count $db "status = 'ok' AND $column IS NULL AND $empty")
    [ "$nulls" -eq 0 ] || fail "$db: $nulls rows have no $column"
  done
  [ "$(count $db "status = 'ok' AND total_s < bound_s * (1 - 1e-9)")" -eq 0 ] || fail "$db: faster than the bound"
  for share in link_utilisation disk_utilisation compute_utilisation hit_ratio prefetch_accuracy prefetch_coverage; do
    [ "$(count $db "status = 'ok' AND $share NOT BETWEEN 0 AND 1 + 1e-9")" -eq 0 ] || fail "$db: $share is no share"
  done
  [ "$(sqlite3 $db 'SELECT count(DISTINCT config_hash) = count(*) AND count(DISTINCT run_id) = count(*) FROM runs')" -eq 1 ] ||
    fail "$db: two rows of one configuration"
done

# RAM that is too small is a finding: a row with a reason and no figures.
status 0 "$sim" mixed.yaml -q -o none.sqlite --set source=transformer --set ram=64MiB --set nvme=0 --set trace= --vram 128MiB \
  --policy lru || fail 'a row that cannot run is an error'
[ "$(count none.sqlite "status <> 'ok' AND total_s IS NULL AND faults IS NULL AND length(status) > 10")" -ge 1 ] ||
  fail 'no row says that it cannot run'
[ "$(count none.sqlite "status <> 'ok' AND total_s IS NOT NULL")" -eq 0 ] || fail 'figures of what cannot run'

# Another text of the scenario under the same name: the answer has its rows alone; the database keeps the others.
printf 'scenario: text\nsource: pattern\npattern: {objects: 64, references: 128}\nram: 1GiB\ntokens: 1\nvram: [16MiB, 32MiB]\n' >a.yaml
sed 's/16MiB, 32MiB/64MiB/' a.yaml >b.yaml
status 0 "$sim" a.yaml -q -o text.sqlite --csv
[ "$(wc -l <out)" -eq 3 ] || fail 'rows of a.yaml'
status 0 "$sim" b.yaml -q -o text.sqlite --csv
[ "$(wc -l <out)" -eq 2 ] || fail 'rows of b.yaml'
[ "$(count text.sqlite)" -eq 3 ] || fail 'rows of both'
status 0 "$sim" b.yaml -q -o text.sqlite --fresh
[ "$(count text.sqlite)" -eq 1 ] || fail '--fresh keeps rows of an older text'
exit 0
