# SPDX-License-Identifier: Apache-2.0
# Demand faults per 1000 work units over page size, both axes logarithmic: one line per eviction policy.
headline = subject . ': page faults per 1000 ' . units . ' over page size, by eviction policy'
eval decorate
set xlabel 'page size'
set ylabel 'demand faults per 1000 ' . units
stats $all using 1:2 nooutput
set logscale xy
set logscale x 2
set xrange [STATS_min_x / 1.2 : STATS_max_x * 1.2]
set yrange [STATS_min_y / 2 : STATS_max_y * 2]
set format y '%.0s %c'
plot for [i = 1:n_series] $line index i-1 using 1:2:xtic(3) with linespoints linestyle style(i) title name[i], \
  for [i = 1:n_series] $point using ($1 == i ? $2 : NaN):3 with points pointtype 6 pointsize 2.4 * dot \
    linewidth 2 linecolor rgb hue(i) notitle, \
  for [k = 1:(n_measured > 0)] NaN with points pointtype 6 pointsize 2.4 * dot linewidth 2 linecolor rgb grey \
    title measured_title
