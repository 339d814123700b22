#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-plot on traces: which figures, what they say, and traces of which nothing can be drawn.
. "$EMUV_SOURCE/tests/cli/lib.sh"
need sqlite3 gnuplot
plot=$EMUV_BIN/emuv-plot
trace=$EMUV_BIN/emuv-trace
cp "$EMUV_SOURCE/results/traces/llama-1.1b-decode.emuv" llama.emuv

# All figures, beside the trace; nothing is left behind but them.
status 0 "$plot" llama.emuv
for name in heatmap heatmap-steps miss-ratio reuse working-set working-set-curve; do
  printf 'llama-plots/%s.png\nllama-plots/%s.svg\n' $name $name
done | sort >want
sort out | diff want - || fail 'the list of files'
[ "$(cat err)" = 'emuv-plot: 6 figures in llama-plots' ] || fail 'stderr'
[ "$(ls -A llama-plots | wc -l)" -eq 12 ] || fail 'files left over'
for file in llama-plots/*.png; do
  [ "$(od -An -tx1 -N8 "$file" | tr -d ' ')" = 89504e470d0a1a0a ] || fail "$file is not a PNG"
  [ "$(wc -c <"$file")" -gt 8000 ] || fail "$file is nearly empty"
done
for file in llama-plots/*.svg; do
  has "$file" '</svg>'
  has "$file" 'NVIDIA H200 · 35,654 launches, copies and sets · 2.16 GiB touched · 32 tokens (NVTX)'
done
has llama-plots/heatmap.svg '<text>time since the first call (s)</text>'
has llama-plots/heatmap.svg '<text>first token</text>'
has llama-plots/heatmap-steps.svg '<text>token 32</text>'
has llama-plots/working-set.svg '<text>in 10 ms</text>'
has llama-plots/working-set.svg '<text>allocated</text>'
has llama-plots/working-set-curve.svg '<text>one token (median)</text>'
has llama-plots/miss-ratio.svg '<text>capacity (GiB)</text>'

# The numbers. A token reads 2,069,024,768 bytes of weights, and 22 times a workspace of at most 14 MB: with less, lru misses
# all but the latter, with a little more nothing.
status 0 "$trace" export llama.emuv --format figures -o f.sqlite
[ "$(sqlite3 f.sqlite "SELECT sum(bytes) = (SELECT value FROM trace WHERE key = 'touched_bytes') FROM heat WHERE view = 'run'")" = 1 ] ||
  fail 'bytes of the heat map'
[ "$(sqlite3 f.sqlite 'SELECT count(*) FROM step WHERE step > 1 AND abs(bytes / 2069024768.0 - 1) > 0.01')" = 0 ] ||
  fail 'bytes of a token'
[ "$(sqlite3 f.sqlite "SELECT min(miss_bytes) / (SELECT value FROM trace WHERE key = 'counted_bytes') FROM
  (SELECT miss_bytes * 1.0 AS miss_bytes FROM miss WHERE capacity_bytes < 2060000000)" | cut -c1-4)" = 0.86 ] || fail "misses below"
[ "$(sqlite3 f.sqlite 'SELECT max(miss_bytes) FROM miss WHERE capacity_bytes > 2150000000')" -lt 1000000 ] || fail 'misses above'
status 2 "$trace" export llama.emuv --format figures -o f.sqlite
has err 'f.sqlite exists; it is not overwritten'
status 2 "$trace" export llama.emuv --format figures
has err 'a database needs --output FILE'

# Options: figures are those of traces, --where is not for them, and --list knows both kinds.
status 2 "$plot" llama.emuv --figure throughput
has err "unknown figure 'throughput'"
status 2 "$plot" llama.emuv --where 'vram_bytes > 0'
has err 'this is a trace'
status 0 "$plot" --list llama.emuv
[ "$(cut -d' ' -f1 out | tr '\n' ' ')" = 'heatmap-steps heatmap miss-ratio reuse working-set-curve working-set ' ] || fail '--list of a trace'
status 0 "$plot" --list
has out 'Of a trace:'
has out 'throughput '
status 0 "$plot" -q llama.emuv --figure reuse --format gp -o gp
(cd gp && gnuplot -d reuse.gp 2>/dev/null && [ "$(od -An -tx1 -N4 reuse.png | tr -d ' ')" = 89504e47 ]) || fail 'reuse.gp does not draw'

# A reference string: no times, so counted in calls; every object is touched once but one.
printf 'time,object,size\n1,7,4096\n2,8,4096\n3,7,4096\n4,9,4096\n' >refs.csv
status 0 "$trace" import refs.csv --format csv -o refs.emuv
status 0 "$plot" -v refs.emuv --format svg
has err 'figure heatmap-steps does not apply: the trace has no steps (tokens)'
has refs-plots/heatmap.svg 'calls (launches, copies, sets), in order'
has refs-plots/heatmap.svg 'counted in calls: the trace has no usable times'
has refs-plots/reuse.svg '75 % of the touched bytes are first touches'
# Cut at a block's end it is drawn, and the figures say so.
head -c 300000 llama.emuv >cut.emuv
status 0 "$plot" cut.emuv --figure working-set --format svg
has cut-plots/working-set.svg 'the trace ends early'

# What cannot be drawn: one clear message, no folder, no file.
rm -rf -- *-plots gp f.sqlite want
head -c 640 llama.emuv >none.emuv
status 3 "$plot" none.emuv
has err 'none.emuv holds no launch, copy or set: there is nothing to draw'
printf 'time,object,size\n1,7,4096\n' >one.csv
status 0 "$trace" import one.csv --format csv -o one.emuv
status 0 "$plot" -v one.emuv --format svg
has err 'figure reuse does not apply: nothing is touched twice'
rm -rf one-plots
{ head -c 30000 llama.emuv; printf x; tail -c +30002 llama.emuv; } >bad.emuv
status 3 "$plot" bad.emuv
has err 'bad.emuv'
head -c 20 llama.emuv >short.emuv
status 3 "$plot" short.emuv
nothing_written llama.emuv cut.emuv bad.emuv short.emuv refs.csv refs.emuv none.emuv one.csv one.emuv
exit 0
