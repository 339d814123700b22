#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-plot: which figures are made, that they are pictures, and what they say. The database is plot_db.sql.
set -eu
command -v sqlite3 >/dev/null && command -v gnuplot >/dev/null || { echo 'sqlite3 or gnuplot is missing'; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
fail() { echo "FAIL: $*" >&2; exit 1; }
has() { grep -qF -- "$2" "$1" || fail "$1 does not say: $2"; }
lacks() { ! grep -qF -- "$2" "$1" || fail "$1 says: $2"; }
plot=$EMUV_BIN/emuv-plot
sqlite3 runs.sqlite <"$EMUV_SOURCE/tests/cli/plot_db.sql"
cksum <runs.sqlite >before

# All figures, both formats, beside the database; stdout is the list of files, stderr one line.
"$plot" runs.sqlite >out 2>err || fail "status $?: $(cat err)"
for name in context faults fidelity hardware misses pages reload strategies throughput-strategy throughput time traffic; do
  printf 'runs-plots/%s.png\nruns-plots/%s.svg\n' $name $name
done | sort >expected
sort out | diff expected - || fail 'the list of files'
[ "$(cat err)" = 'emuv-plot: 12 figures in runs-plots' ] || fail "stderr: $(cat err)"
[ "$(ls -A runs-plots | wc -l)" -eq 24 ] || fail 'files left over'
cksum <runs.sqlite | diff before - || fail 'the database was changed'

# PNG: signature, and 1200 x 750 in the header. SVG: whole, with the scenario and the revision in the caption.
for file in runs-plots/*.png; do
  [ "$(od -An -tx1 -N8 "$file" | tr -d ' ')" = 89504e470d0a1a0a ] || fail "$file is not a PNG"
  [ "$(od -An -tx1 -j16 -N8 "$file" | tr -d ' ')" = 000004b0000002ee ] || fail "$file: size"
  [ "$(wc -c <"$file")" -gt 8000 ] || fail "$file is nearly empty"
done
for file in runs-plots/*.svg; do
  has "$file" '</svg>'
  has "$file" 'scenario cyclic · emuV 0.1.0 (0123456789ab)'
  lacks "$file" broken
done

# Lines that coincide are one line that names them all; the machine that was measured is chosen; units are at the axes.
has runs-plots/throughput.svg 'scan-16g on rtx4090: tokens per second over VRAM, by eviction policy'
has runs-plots/throughput.svg '<text>lru = fifo</text>'
has runs-plots/throughput.svg '<text>belady</text>'
has runs-plots/throughput.svg '<text>bound: link/compute</text>'
has runs-plots/throughput.svg '<text>measured</text>'
has runs-plots/throughput.svg '<text>VRAM (GiB)</text>'
has runs-plots/throughput.svg '<text>tokens per second</text>'
has runs-plots/faults.svg '<text>demand faults per 1000 tokens</text>'
has runs-plots/faults.svg '<text>64 MiB</text>'
has runs-plots/misses.svg '<text>VRAM as a share of the footprint (%)</text>'
has runs-plots/time.svg '<text>ms per token</text>'
has runs-plots/time.svg '<text>waits for the link</text>'
lacks runs-plots/time.svg '<text>waits for the disk</text>'
has runs-plots/traffic.svg '<text>read in place</text>'
has runs-plots/context.svg '<text>32K</text>'
has runs-plots/strategies.svg '<text>20 GiB</text>'
has runs-plots/hardware.svg '<text>h100</text>'
has runs-plots/fidelity.svg '<text>predicted ms per token</text>'
has runs-plots/fidelity.svg '24 configurations: error of the time 4.8 % in the median, 4.8 % at most · faults, hits and bytes equal in all'

# The numbers. At 8 of 16 GiB: lru misses all, belady half; the bound is 25e9 / 8 GiB per second.
"$plot" -q runs.sqlite --format gp -o gp >/dev/null
in_block() { sed -n "/^\$$2 << /,/^EOD/p" "gp/$1.gp" | sed '1d;$d'; }
in_block misses line | awk 'NF == 0 { next } $1 == 50 { y[++n] = $2 } END { exit !(n == 2 && y[1] == 100 && y[2] == 50) }' ||
  fail 'miss percentages at half of the footprint'
in_block reload line | awk 'NF == 0 { next } $1 == 50 { y[++n] = $2 } END { exit !(n == 2 && y[1] == 100 && y[2] == 50) }' ||
  fail 'what must be brought in at half of the footprint'
in_block misses point | awk '$2 == 50 && $3 == 100 && $1 == 1 { n++ } END { exit n != 1 }' || fail 'measured misses'
in_block throughput bound | awk '$1 == 8 { n += $2 > 2.910 && $2 < 2.911 } END { exit n != 1 }' || fail 'the bound at 8 GiB'
in_block throughput line | awk '$1 == 8 { n += $2 > 1.415 && $2 < 1.416 } END { exit n != 1 }' || fail 'lru at 8 GiB'
in_block faults line | awk '$1 == 2097152 && $2 == 8192000 { n++ } END { exit n != 1 }' || fail 'faults of lru at 2 MiB'
# The best of strategy emuv is belady, which was not measured: a measurement of lru must not stand at its bar.
in_block strategies cell | awk '$1 == 1 { n++ } END { exit n != 2 }' || fail 'bars of the first group'
in_block strategies cpoint | awk '$1 < 3 && $1 != "NaN" { exit 1 }' || fail 'a measurement of another configuration'
in_block traffic bar | grep -q '"emuv · lru = fifo · 2 MiB" 16 0 0 0 0 0 0' || fail 'traffic of lru'

# 24 rows of lru were measured, 5 % slower than predicted.
in_block fidelity pairs | awk '$1 > 0 && $2 / $1 > 0.9523 && $2 / $1 < 0.9524 && $3 > -4.77 && $3 < -4.76 { n++ } END { exit n != 24 }' ||
  fail 'predictions beside measurements'

# A gp file draws itself, anywhere.
(cd gp && gnuplot -d time.gp && [ "$(od -An -tx1 -N4 time.png | tr -d ' ')" = 89504e47 ]) || fail 'time.gp does not draw'

# Measurements alone are drawn as lines.
sqlite3 runs.sqlite "DELETE FROM runs WHERE kind = 'sim'"
"$plot" runs.sqlite --figure throughput --format svg >/dev/null 2>&1 || fail 'measurements alone'
has runs-plots/throughput.svg '<text>lru</text>'
lacks runs-plots/throughput.svg '<text>measured</text>'
"$plot" -v runs.sqlite --figure fidelity 2>err && fail 'measurements alone have no predictions'
has err 'needs predictions and measurements of the same configurations'
