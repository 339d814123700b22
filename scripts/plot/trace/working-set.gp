# SPDX-License-Identifier: Apache-2.0
# Working set over time: one line per window length, a point per step, and what is allocated.
headline = subject . ': working set over time'
eval decorate
set xlabel (time_unit eq 'calls' ? 'calls (launches, copies, sets), in order' : 'time since the first call (' . time_unit . ')')
set ylabel 'distinct bytes touched (' . memory_unit . ')'
if (time_unit eq 'calls') { set format x '%.0f' }
set xrange [0 : last > 0 ? last : 1]
set yrange [0 : highest > 0 ? 1.08 * highest : 1]
array text_of[3]
if (n_windows > 0) { text_of[1] = 'in ' . window1 }
if (n_windows > 1) { text_of[2] = 'in ' . window2 }
if (n_windows > 2) { text_of[3] = 'in ' . window3 }
plot for [k = 1:has_live] $live using 1:2 with steps linestyle 31 title 'allocated', \
  for [k = 1:n_windows] $windows index k-1 using 1:2 with steps linestyle k title text_of[k], \
  for [k = 1:(has_steps > 0)] $steps using 1:2 with points pointtype 7 pointsize (has_steps > 100 ? 0.4 : 0.9) * dot linecolor rgb ink \
    title 'in one ' . unit
