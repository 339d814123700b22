# SPDX-License-Identifier: Apache-2.0
# Working-set curve: mean distinct bytes touched in a window, over its length; a dashed line at the length of a step.
headline = subject . ': working-set curve'
eval decorate
set xlabel (time_unit eq 'calls' ? 'length of the window (calls)' : 'length of the window')
set ylabel 'mean of the distinct bytes touched in it (' . memory_unit . ')'
stats $curve using 1:2 nooutput
set logscale x 10
set format x (time_unit eq 'calls' ? '%.0f' : '%.0s %cs')
set xrange [STATS_min_x : STATS_max_x]
set yrange [0 : 1.08 * STATS_max_y]
if (step_length > STATS_min_x && step_length < STATS_max_x) {
  set arrow 1 from step_length, graph 0 to step_length, graph 1 nohead linestyle 30
}
plot $curve using 1:2 with lines linestyle 1 linewidth 3 title 'working set', \
  for [k = 1:(step_length > 0)] NaN with lines linestyle 30 title 'one ' . unit . ' (median)'
