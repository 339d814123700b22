# SPDX-License-Identifier: Apache-2.0
# Strategies side by side: a group of bars per VRAM size, the bound of each group dashed, measurements as rings.
headline = subject . ': ' . units . ' per second by strategy'
eval decorate
set xlabel 'VRAM'
set ylabel units . ' per second'
stats $all using 1:2 nooutput
eval scale_y
crowded = n_groups * n_series > 16
set yrange [is_log_y ? ymin * 0.5 : 0 : is_log_y ? ymax * (crowded ? 2.2 : 1.6) : ymax * (crowded ? 1.2 : 1.1)]
set xrange [0.4 : n_groups + 0.6]
set xtics scale 0
set xtics (group[1] 1)
set for [g = 2:n_groups] xtics add (group[g] g)
unset grid
set grid ytics linecolor rgb '#cfcfcf' linewidth 1 dashtype 1
width = 0.8 / n_series
spot(g, i) = g + (i - (n_series + 1) / 2.0) * width
number(y) = y >= 100 ? sprintf('%.0f', y) : y >= 10 ? sprintf('%.1f', y) : sprintf('%.2g', y)
turn = crowded ? 'rotate by 90 left offset 0, 0.4' : 'offset 0, 0.6'
set boxwidth width * 0.92
plot for [i = 1:n_series] $cell using (spot($1, i)):($2 == i ? $3 : NaN) with boxes linecolor rgb hue(i) title name[i], \
  for [i = 1:n_series] $cell using ($2 == i ? spot($1, i) : NaN):3:(number($3)) with labels @turn font font10 \
    textcolor rgb ink notitle, \
  for [k = 1:n_ref] $ref using ($1 - 0.5):2:(1):(0) with vectors nohead linestyle 31 title 'everything in VRAM', \
  $gbound using ($1 - 0.44):2:(0.88):(0) with vectors nohead linestyle 30 linewidth 1.5 dashtype 1 title bound_title, \
  for [i = 1:n_series] $cpoint using ($2 == i ? spot($1, i) : NaN):3 with points pointtype 6 pointsize 2.2 * dot \
    linewidth 2 linecolor rgb ink notitle, \
  for [k = 1:(n_measured > 0)] NaN with points pointtype 6 pointsize 2.2 * dot linewidth 2 linecolor rgb ink \
    title measured_title
