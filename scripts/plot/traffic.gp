# SPDX-License-Identifier: Apache-2.0
# Bytes moved for one work unit: a stacked bar per strategy and policy, the least first.
headline = subject . ': data moved for one ' . unit
eval decorate
upto(k) = k < 1 ? 0 : sum [j = 1:k] column(j + 1)
stats $bar using (upto(7)) nooutput
set yrange [n_bars + 0.6 : 0.4]
set ytics scale 0
unset grid
set grid xtics linecolor rgb '#cfcfcf' linewidth 1 dashtype 1
set lmargin at screen 0.3
set ytics font font12
set style fill solid 1.0 noborder
array scale[3] = [1, 1024, 1048576]
array short[3] = ['GiB', 'MiB', 'KiB']
s = STATS_max >= 0.5 ? 1 : STATS_max >= 5e-4 ? 2 : 3
set xlabel short[s] . ' per ' . unit
set xrange [0 : 1.18 * STATS_max * scale[s]]
long(k) = upto(k) * scale[s]
show(x) = sprintf(x >= 100 ? '%.0f' : '%.3g', x)
array part[7] = ['host to GPU', 'read in place', 'GPU to host', 'other GPU to GPU', 'GPU to other GPU', 'disk to host', 'host to disk']
array shade[7] = ['#0072B2', '#56B4E9', '#D55E00', '#009E73', '#F0E442', '#CC79A7', '#E69F00']
plot for [k = 1:7] $bar using (long(k)):($0 + 1):(long(k - 1)):(long(k)):($0 + 0.6):($0 + 1.4):ytic(1) with boxxyerror \
  linecolor rgb shade[k] title (used[k] ? part[k] : ''), \
  $bar using (long(7)):($0 + 1):(show(long(7))) with labels left offset 0.7, 0 \
    font font11 textcolor rgb ink notitle
