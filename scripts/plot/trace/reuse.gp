# SPDX-License-Identifier: Apache-2.0
# Reuse distance and reuse time: two histograms with bars of powers of two, in shares of all touched bytes.
headline = subject . ': reuse'
eval decorate
set ylabel 'touched bytes (%)'
set logscale x 2
set rmargin at screen 0.95
unset key
set grid noxtics ytics
array unit_of[6] = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
power(k) = k / 10 > 5 ? 5 : k / 10
size(k) = sprintf('%g %s', 2.0 ** (k - 10 * power(k)), unit_of[power(k) + 1])
number(v) = v >= 1e9 ? sprintf('%.3g s', v / 1e9) : v >= 1e6 ? sprintf('%.3g ms', v / 1e6) : \
  v >= 1e3 ? sprintf('%.3g us', v / 1e3) : sprintf('%g ns', v)
lasts(k) = timed ? number(2.0 ** k) : sprintf('%.0f', 2.0 ** k)
# Labels at every bar, or at each second or fourth.
skip(low, high) = high - low > 24 ? 4 : high - low > 10 ? 2 : 1
set multiplot
set tmargin at screen 0.845
set bmargin at screen 0.575
set xrange [2.0 ** distance_low : 2.0 ** distance_high]
set yrange [0 : 1.1 * distance_top]
set xtics ()
do for [k = distance_low:distance_high:skip(distance_low, distance_high)] { set xtics add (size(k) 2.0 ** k) }
set xlabel 'reuse distance: distinct bytes touched since the last touch, itself included'
plot $distance using ($1 * 1.5):2:(0.92 * $1) with boxes linecolor rgb tint[1] notitle
do for [k = 1:4] { unset label k }
set tmargin at screen 0.44
set bmargin at screen 0.17
set xrange [2.0 ** time_low : 2.0 ** time_high]
set yrange [0 : 1.1 * time_top]
set xtics ()
do for [k = time_low:time_high:skip(time_low, time_high)] { set xtics add (lasts(k) 2.0 ** k) }
set xlabel timed ? 'reuse time: since the begin of the last call that touched it' : 'reuse time: calls since the last touch'
plot $time using ($1 * 1.5):2:(0.92 * $1) with boxes linecolor rgb tint[2] notitle
unset multiplot
