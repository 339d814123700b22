# SPDX-License-Identifier: Apache-2.0
# Share of page accesses that miss, over VRAM as a share of the footprint: one line per eviction policy.
headline = subject . ': page accesses that miss, by VRAM and eviction policy'
eval decorate
set xlabel 'VRAM as a share of the footprint (%)'
set ylabel 'page accesses that miss (%)'
stats $all using 1:2 nooutput
set xrange [0 : STATS_max_x * 1.03]
set yrange [0 : 105]
set ytics 20
plot for [i = 1:n_series] $line index i-1 using 1:2 with linespoints linestyle style(i) title name[i], \
  for [i = 1:n_series] $point using ($1 == i ? $2 : NaN):3 with points pointtype 6 pointsize 2.4 * dot \
    linewidth 2 linecolor rgb hue(i) notitle, \
  for [k = 1:(n_measured > 0)] NaN with points pointtype 6 pointsize 2.4 * dot linewidth 2 linecolor rgb grey \
    title measured_title
