# SPDX-License-Identifier: Apache-2.0
# Heat map of the last steps of a trace; see heatmap.gp. Dashed lines: where a step begins.
headline = subject . ': memory touched in the last ' . unit . 's'
eval decorate
set xlabel (time_unit eq 'calls' ? 'calls (launches, copies, sets), in order' : 'time since the first call (' . time_unit . ')')
set ylabel 'touched memory, in the order of its allocation (' . space_unit . ')'
set cblabel 'times that a byte is touched in ' . bin textcolor rgb ink offset 1.2, 0
load_viridis = "set palette defined (0 '#fde725', 0.125 '#addc30', 0.25 '#5ec962', 0.375 '#28ae80', 0.5 '#21918c'," \
  ." 0.625 '#2c728e', 0.75 '#3b528b', 0.875 '#472d7b', 1 '#440154')"
eval load_viridis
set rmargin at screen 0.86
coldest = hottest > 1000 ? hottest / 1e5 : 0.01 < hottest / 10 ? 0.01 : hottest / 10
set logscale cb
set cbrange [coldest : hottest > coldest ? hottest : 2 * coldest]
set format cb '%g'
unset grid
if (time_unit eq 'calls') { set format x '%.0f' }
set xrange [time_from : time_from + n_times * time_step]
set yrange [0 : n_spaces * space_step]
x(i) = time_from + (i + 0.5) * time_step
y(i) = (i + 0.5) * space_step
shade(v) = v > 0 ? (v < coldest ? coldest : v) : NaN
plot $heat matrix using (x($1)):(y($2)):(shade($3)) with image notitle, \
  $steps using (time_from + $1):(0):(0):(n_spaces * space_step) with vectors nohead linecolor rgb '#D55E00' linewidth 1.5 \
    dashtype 2 notitle, \
  $steps using (time_from + $1):(n_spaces * space_step):(sprintf('%s %d', unit, $2)) with labels offset 2.5, 0.6 \
    font font11 textcolor rgb '#D55E00' notitle
