#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-plot: options, awkward names, figures of one's own, databases that cannot be written to or are being written.
set -eu
command -v sqlite3 >/dev/null && command -v gnuplot >/dev/null || { echo 'sqlite3 or gnuplot is missing'; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
fail() { echo "FAIL: $*" >&2; exit 1; }
has() { grep -qF -- "$2" "$1" || fail "$1 does not say: $2"; }
plot=$EMUV_BIN/emuv-plot
sqlite3 runs.sqlite <"$EMUV_SOURCE/tests/cli/plot_db.sql"

"$plot" --version >out
grep -Eq '^emuv-plot [0-9]+\.[0-9]+\.[0-9]+ \([0-9a-f]+(-dirty)?\)$' out || grep -q '(unknown)' out || fail "version: $(cat out)"
"$plot" --help >out
has out 'Usage: emuv-plot'
"$plot" --list >out
[ "$(grep -cv '^Of a .*:$' out)" -eq "$(find "$EMUV_SOURCE/scripts/plot" -name '*.gp' ! -name style.gp | wc -l)" ] || fail "list: $(cat out)"
grep -Eq '^misses +Share of page accesses that miss' out || fail "list: $(cat out)"

# --dry-run writes nothing; -q is silent; the order of --figure holds; -o makes directories.
"$plot" --dry-run --figure time,faults --format svg runs.sqlite >out 2>err
[ "$(cat out)" = 'runs-plots/time.svg
runs-plots/faults.svg' ] && [ ! -s err ] && [ ! -e runs-plots ] || fail "dry run: $(cat out err)"
"$plot" -q --figure=time --format=svg -o a/b runs.sqlite >out 2>err
[ "$(cat out)" = a/b/time.svg ] && [ ! -s err ] && [ -s a/b/time.svg ] || fail "quiet: $(cat out err)"

# -v says why a figure does not apply; without it only how many.
"$plot" -v --format svg --where "hardware = 'h100' AND context_tokens = 2048" -o c runs.sqlite >out 2>err
has err 'figure context does not apply: needs at least two context lengths'
has err 'figure hardware does not apply: needs at least two machines'
has err 'emuv-plot: 9 figures in c; 3 do not apply'
has c/throughput.svg 'scan-16g on h100'

# One row alone is drawn too, in every figure that makes sense of it.
"$plot" -q --format png --where "run_id = (SELECT min(run_id) FROM runs WHERE policy = 'belady' AND vram_bytes < 5000000000)" -o d \
  runs.sqlite >out 2>err || fail "one row: $(cat err)"
[ "$(cat out)" = 'd/time.png
d/traffic.png' ] || fail "one row: $(cat out)"

# Names from the database are data: quotes, commands of shell and gnuplot, newlines, too many tabs.
cp runs.sqlite "it's a \"name\".v2.sqlite"
sqlite3 "it's a \"name\".v2.sqlite" "UPDATE runs SET scenario = 'x''; system(''touch owned''); \`touch owned\` @unit' || char(10) || char(9),
  model = '\"\`touch owned\`\\n', hardware = '|\"; system(\"touch owned\") #\\' || hardware, strategy = strategy || '\"\`touch owned\`',
  policy = policy || ''' . system(''touch owned'') . '''"
"$plot" "it's a \"name\".v2.sqlite" >out 2>err || fail "awkward names: $(cat err)"
[ -s "it's a \"name\".v2-plots/throughput.svg" ] || fail "awkward path: $(cat out)"
[ -z "$(find . -name owned)" ] || fail 'a name from the database was run'
has "it's a \"name\".v2-plots/throughput.svg" 'system('

# Twelve policies: eight lines at most, and the legend's note says which are left out.
sqlite3 many.sqlite <"$EMUV_SOURCE/tests/cli/plot_db.sql"
for k in 1 2 3 4 5 6 7 8 9; do
  sqlite3 many.sqlite "CREATE TEMP TABLE t AS SELECT * FROM runs WHERE policy = 'belady' AND kind = 'sim';
    UPDATE t SET run_id = run_id || '-$k', policy = 'p$k', tokens_per_s = tokens_per_s * (1 - 0.05 * $k); INSERT INTO runs SELECT * FROM t"
done
"$plot" -q many.sqlite --figure throughput --format gp >/dev/null
[ "$(sed -n 's/^n_series = \([0-9]*\);.*/\1/p' many-plots/throughput.gp)" -eq 8 ] || fail 'more than eight lines'
has many-plots/throughput.gp 'not drawn, for lack of room: '
has many-plots/throughput.gp "'lru = fifo'"

# A figure of one's own: two files in a copy of the directory.
cp -r "$EMUV_SOURCE/scripts/plot" mine
cp mine/throughput.sql mine/own.sql
sed 's/by eviction policy/as I like it/' mine/throughput.gp >mine/own.gp
EMUV_PLOT_DIR=mine "$plot" -q runs.sqlite --figure own --format svg >/dev/null
has runs-plots/own.svg 'over VRAM, as I like it'

# While another program writes (write-ahead log, open transaction), what is committed is drawn.
sqlite3 runs.sqlite 'PRAGMA journal_mode = WAL' >/dev/null
mkfifo pipe
sqlite3 runs.sqlite <pipe >/dev/null &
writer=$!
exec 3>pipe
echo "BEGIN IMMEDIATE; DELETE FROM runs;" >&3
"$plot" -q runs.sqlite --figure faults --format svg >out 2>err || fail "during a write: $(cat err)"
exec 3>&-
wait $writer
[ "$(cat out)" = runs-plots/faults.svg ] || fail "during a write: $(cat out)"

# Read-only file in a read-only directory (root is not held back by modes, and then this checks little).
mkdir locked
cp runs.sqlite locked/
chmod 444 locked/runs.sqlite
chmod 555 locked
got=0
"$plot" -q locked/runs.sqlite -o free --figure faults --format svg >out 2>err || got=$?
chmod 755 locked
[ "$got" -eq 0 ] && [ -s free/faults.svg ] || fail "read-only: $(cat err)"
