# SPDX-License-Identifier: Apache-2.0
# Bytes brought in for each byte that a step uses, over VRAM as a share of the footprint: one line per eviction policy.
headline = subject . ': share of what a step uses that must be brought in'
eval decorate
set xlabel 'VRAM as a share of the footprint (%)'
set ylabel 'brought in, of what a step uses (%)'
stats $all using 1:2 nooutput
set xrange [0 : STATS_max_x * 1.03]
set yrange [0 : (STATS_max_y > 100 ? STATS_max_y * 1.05 : 105)]
set ytics autofreq
plot for [i = 1:n_series] $line index i-1 using 1:2 with linespoints linestyle style(i) title name[i], \
  for [i = 1:n_series] $point using ($1 == i ? $2 : NaN):3 with points pointtype 6 pointsize 2.4 * dot \
    linewidth 2 linecolor rgb hue(i) notitle, \
  for [k = 1:(n_measured > 0)] NaN with points pointtype 6 pointsize 2.4 * dot linewidth 2 linecolor rgb grey \
    title measured_title
