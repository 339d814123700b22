# SPDX-License-Identifier: Apache-2.0
# Where the time of one work unit goes: a stacked bar per strategy and policy, the fastest first, its bound as a mark.
headline = subject . ': where the time of one ' . unit . ' goes'
eval decorate
set xlabel 'seconds per ' . unit
upto(k) = k < 1 ? 0 : sum [j = 1:k] column(j + 1)
stats $bar using (upto(5)) nooutput
set yrange [n_bars + 0.6 : 0.4]
set ytics scale 0
unset grid
set grid xtics linecolor rgb '#cfcfcf' linewidth 1 dashtype 1
set lmargin at screen 0.3
set ytics font font12
set style fill solid 1.0 noborder
# A bar of more than six times the shortest one runs to the edge; its number stands in it.
edge = STATS_max > 6 * STATS_min ? 6 * STATS_min : 1.18 * STATS_max
set xrange [0 : edge]
seconds(x) = x >= 1 ? sprintf('%.2f s', x) : sprintf('%.3g ms', 1000 * x)
array part[5] = ['kernels', 'waits for the link', 'waits for the disk', 'waits for the host', 'other']
array shade[5] = ['#009E73', '#0072B2', '#CC79A7', '#E69F00', '#BBBBBB']
plot for [k = 1:5] $bar using (upto(k)):($0 + 1):(upto(k - 1)):(upto(k)):($0 + 0.6):($0 + 1.4):ytic(1) with boxxyerror \
    linecolor rgb shade[k] title (used[k] ? part[k] : ''), \
  $bar using 7:($0 + 0.55):(0):(0.9) with vectors nohead linecolor rgb 'black' linewidth 3 title 'bound', \
  $bar using (upto(5) < 0.88 * edge ? upto(5) : NaN):($0 + 1):(seconds(upto(5))) with labels left \
    offset 0.7, 0 font font11 textcolor rgb ink notitle, \
  $bar using (upto(5) < 0.88 * edge ? NaN : 0.99 * edge):($0 + 1):(seconds(upto(5))) with labels right font font11 \
    textcolor rgb 'white' notitle
