#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-sim: help, version, lists, dry run, schema, formats of output, wrong usage.
. "$EMUV_SOURCE/tests/cli/lib.sh"
cat >tiny.yaml <<'YAML'
description: Two policies on a cyclic scan
source: pattern
pattern: {kind: cyclic, object: 2MiB, objects: 64, references: 256}
hardware: rtx-4090
ram: 1GiB
tokens: 1
policy: [lru, belady]
vram: [32MiB, 64MiB]
YAML

for help in --help 'mrc --help' 'compare --help'; do
  status 0 "$sim" $help
  has out 'Usage: emuv-sim'
  has out 'Examples:'
  has out 'Exit status'
  [ ! -s err ] || fail "$help says something on stderr"
  awk 'length > 80 { exit 1 }' out || fail "$help is wider than 80 columns"
done
status 0 "$sim" --help
for option in --output --jobs --set --resume --fresh --dry-run --json --csv --list --schema --quiet --verbose --version; do
  has out "$option"
done
status 0 "$sim" --version
grep -Eq '^emuv-sim [0-9]+\.[0-9]+\.[0-9]+\+g([0-9a-f]{7,}|unknown)(-dirty)?$' out || fail "version: $(cat out)"

# Every list has a name and a text in each line; names can be used where the list says.
for list in policies prefetchers tiers sources hardware models strategies keys; do
  status 0 "$sim" --list $list
  [ ! -s err ] && [ -s out ] || fail "--list $list"
  awk 'NF < 2 { exit 1 }' out || fail "--list $list: a line without a text"
done
status 0 "$sim" --list policies
for policy in lru fifo clock lfu mru random belady; do grep -q "^$policy " out || fail "no policy $policy"; done
status 0 "$sim" --list prefetchers
for prefetch in none next-n stride layer oracle; do grep -q "^$prefetch " out || fail "no prefetcher $prefetch"; done
status 0 "$sim" --list strategies
for strategy in resident um uva layer-offload stream emuv; do grep -q "^$strategy " out || fail "no strategy $strategy"; done
status 0 "$sim" --list sources
for source in transformer trace pattern; do grep -q "^$source " out || fail "no source $source"; done
status 0 "$sim" --list hardware
for gpu in rtx-4060 rtx-4070 rtx-4090 a10 a100-80gb h100-80gb h200; do grep -q "^$gpu " out || fail "no hardware $gpu"; done

run list_nonsense 2 "$sim" --list nonsense
run list_near 2 "$sim" --list policy
run no_arguments 2 "$sim"
run option_near 2 "$sim" tiny.yaml --polcy lru
run two_scenarios 2 "$sim" a.yaml b.yaml
run trace_and_scenario 2 "$sim" tiny.yaml --trace x.emuv
run jobs_zero 2 "$sim" tiny.yaml --jobs 0
run jobs_text 2 "$sim" tiny.yaml --jobs many
run set_form 2 "$sim" tiny.yaml --set vram
run set_key 2 "$sim" tiny.yaml --set vrma=1GiB
run set_unit 2 "$sim" tiny.yaml --vram 64K
run set_name 2 "$sim" tiny.yaml --policy lru,beladi
status 2 "$sim" --nonsense
has err "unrecognized option '--nonsense'"
status 2 "$sim" --list
status 2 "$sim" tiny.yaml --output
nothing_written tiny.yaml

# A dry run lists what would run, and writes nothing.
run dry_run 0 "$sim" tiny.yaml --dry-run
run dry_run_set 0 "$sim" tiny.yaml --dry-run --set page_size=64KiB,1MiB --vram 32MiB
status 0 "$sim" tiny.yaml --dry-run --csv -q
[ "$(wc -l <out)" -eq 5 ] && [ ! -s err ] || fail 'dry run as CSV'
nothing_written tiny.yaml
status 0 "$sim" "$EMUV_SOURCE/scenarios/llama70b.yaml" --dry-run
[ "$(wc -l <out)" -gt 300 ] || fail 'llama70b.yaml has fewer than 300 configurations'
nothing_written tiny.yaml

# The data go to stdout and nothing else does; -q silences the rest.
status 0 "$sim" tiny.yaml
shape out >shape
diff -u "$expected/table.shape" shape >&2 || [ "${EMUV_UPDATE:-0}" = 1 ] || fail 'the table has another shape'
[ "${EMUV_UPDATE:-0}" != 1 ] || cp shape "$expected/table.shape"
awk 'length > 100 { exit 1 }' out || fail 'the table is wider than 100 columns'
has err '4 configurations: 4 computed, 0 stored before'
has err 'database: results/tiny.sqlite'
[ -s results/tiny.sqlite ] || fail 'no database'
status 0 "$sim" tiny.yaml -q
[ -s out ] && [ ! -s err ] || fail '-q is not quiet'
status 0 "$sim" tiny.yaml -q --csv
[ "$(wc -l <out)" -eq 5 ] || fail "CSV has $(wc -l <out) lines"
for column in run_id config_hash kind scenario workload model strategy hardware policy prefetch page_bytes vram_bytes ram_bytes \
  nvme_bytes context_tokens batch tokens work_unit seed version total_s compute_s stall_s tokens_per_s ttft_s itl_s accesses \
  hits faults faults_per_1k_tokens hit_ratio h2d_bytes d2h_bytes nvme_read_bytes nvme_write_bytes prefetch_issued \
  prefetch_used bound_s bound_by energy_j status; do
  head -n 1 out | tr , '\n' | grep -qx $column || fail "no column $column"
done
# Cyclic scan of 64 pages with 32 frames, all of them used before: lru misses each of 256 references.
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  $at["policy"] == "lru" && $at["vram_bytes"] == 33554432 { n += $at["faults"] == 256 } END { exit n != 1 }' out ||
  fail 'lru does not miss each reference'

# Only the rows of what was asked for, although the database holds more.
status 0 "$sim" tiny.yaml -q --csv --vram 16MiB --policy fifo
[ "$(wc -l <out)" -eq 2 ] || fail 'rows of other settings'

status 0 "$sim" --schema
cp out schema.json
status 0 "$sim" tiny.yaml -q --json
if command -v python3 >/dev/null; then
  python3 -m json.tool schema.json >/dev/null || fail 'the schema is not JSON'
  python3 -c 'import json; rows = json.load(open("out")); assert len(rows) == 4; assert all(r["total_s"] > 0 for r in rows)' ||
    fail '--json is not what it should be'
  status 0 "$sim" tiny.yaml -q --json --dry-run
  python3 -c 'import json; c = json.load(open("out")); assert [x["policy"] for x in c] == ["lru", "lru", "belady", "belady"]' ||
    fail 'dry run as JSON'
elif command -v sqlite3 >/dev/null; then
  for f in schema.json out; do
    [ "$(sqlite3 :memory: "SELECT json_valid(readfile('$f'))")" = 1 ] || fail "$f is not JSON"
  done
fi
cmp schema.json "$EMUV_SOURCE/scenarios/schema.json" || fail 'scenarios/schema.json is old'

# Reader of stdout goes away: no message. Full disk: a message.
"$sim" --list keys 2>err | head -n 1 >/dev/null
[ ! -s err ] || fail 'a closed pipe is complained about'
if [ -e /dev/full ]; then
  for format in '' --csv --json '--dry-run' '--dry-run --json'; do
    got=0
    "$sim" tiny.yaml -q $format >/dev/full 2>err || got=$?
    [ "$got" -eq 1 ] && grep -q 'cannot write' err || fail "full stdout ($format): exit status $got"
  done
  got=0
  "$sim" --list keys >/dev/full 2>err || got=$?
  [ "$got" -eq 1 ] || fail "full stdout (--list): exit status $got"
  got=0
  "$sim" --schema >/dev/full 2>err || got=$?
  [ "$got" -eq 1 ] || fail "full stdout (--schema): exit status $got"
fi
exit 0
