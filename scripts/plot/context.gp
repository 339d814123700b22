# SPDX-License-Identifier: Apache-2.0
# Work units per second over context length, both axes logarithmic: one line per strategy (or policy), the bound dashed.
headline = subject . ': ' . units . ' per second over context length, by ' . series
eval decorate
set xlabel 'context (tokens)'
set ylabel units . ' per second'
stats $all using 1:2 nooutput
set logscale x 2
set xrange [STATS_min_x / 1.2 : STATS_max_x * 1.2]
if (STATS_max_y >= 4 * STATS_min_y) { eval log_y } else { eval scale_y }
plot $bound using 1:2 with lines linestyle 30 title bound_title, \
  for [k = 1:n_ref] $ref using 1:2 with lines linestyle 31 title 'everything in VRAM', \
  for [i = 1:n_series] $line index i-1 using 1:2:xtic(3) with linespoints linestyle style(i) title name[i], \
  for [i = 1:n_series] $point using ($1 == i ? $2 : NaN):3 with points pointtype 6 pointsize 2.4 * dot \
    linewidth 2 linecolor rgb hue(i) notitle, \
  for [k = 1:(n_measured > 0)] NaN with points pointtype 6 pointsize 2.4 * dot linewidth 2 linecolor rgb grey \
    title measured_title
