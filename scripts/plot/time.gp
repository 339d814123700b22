# SPDX-License-Identifier: Apache-2.0
# Where the time of one work unit goes: a stacked bar per strategy and policy, the fastest first, its bound as a mark.
headline = subject . ': where the time of one ' . unit . ' goes'
eval decorate
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
cut = STATS_max > 6 * STATS_min
edge = cut ? 6 * STATS_min : 1.18 * STATS_max
array scale[3] = [1, 1e3, 1e6]
array short[3] = ['s', 'ms', 'us']
s = STATS_min >= 0.5 ? 1 : STATS_min >= 5e-4 ? 2 : 3
set xlabel short[s] . ' per ' . unit
set xrange [0 : edge * scale[s]]
long(k) = upto(k) * scale[s]
inside(x) = x < 0.88 * edge * scale[s]
show(x) = sprintf(x >= 100 ? '%.0f ' : '%.3g ', x) . short[s]
array part[5] = ['kernels', 'waits for the link', 'waits for the disk', 'waits for the host', 'other']
array shade[5] = ['#009E73', '#0072B2', '#CC79A7', '#E69F00', '#BBBBBB']
plot for [k = 1:5] $bar using (long(k)):($0 + 1):(long(k - 1)):(long(k)):($0 + 0.6):($0 + 1.4):ytic(1) with boxxyerror \
    linecolor rgb shade[k] title (used[k] ? part[k] : ''), \
  $bar using ($7 * scale[s]):($0 + 0.55):(0):(0.9) with vectors nohead linecolor rgb 'black' linewidth 3 title 'bound', \
  $bar using (inside(long(5)) ? long(5) : NaN):($0 + 1):(show(long(5))) with labels left offset 0.7, 0 font font11 \
    textcolor rgb ink notitle, \
  for [k = 1:cut] $bar using (inside(long(5)) ? NaN : 0.99 * edge * scale[s]):($0 + 1):(show(long(5))) with labels right \
    font font11 textcolor rgb 'white' notitle
