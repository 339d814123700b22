# SPDX-License-Identifier: Apache-2.0
# Predicted over measured time of one work unit, the diagonal dashed; under it the error of each prediction, with bands of
# 5 and 15 %.
headline = subject . ': predicted against measured time'
eval decorate
array scale[3] = [1, 1e3, 1e6]
array short[3] = ['s', 'ms', 'us']
s = low >= 0.5 ? 1 : low >= 5e-4 ? 2 : 3
k = scale[s]
series(i) = value(sprintf('series_%d', i))
margin = 10 ** (0.04 * log10(high / low) + 0.03)
set logscale x
set xrange [k * low / margin : k * high * margin]
set xtics 1e-12, 1e24 # those that are added are enough
do for [d = -9:9] { do for [m in (high < 200 * low ? '1 2 5' : '1')] {
  set xtics add ('' m * 10.0 ** d)
  set ytics add (sprintf('%g', m * 10.0 ** d) m * 10.0 ** d)
} }
set style fill transparent solid 0.12 noborder
set multiplot

set logscale y
set yrange [k * low / margin : k * high * margin]
set bmargin at screen 0.44
set ylabel 'predicted ' . short[s] . ' per ' . unit
plot x with lines linestyle 30 title 'as measured', \
  for [i = 1:n_colours] $pairs index i-1 using (k * $1):(k * $2) with points linestyle i title series(i)

unset label
unset logscale y
unset key
edge = worst < 7 ? 8 : worst < 20 ? 22 : worst * 1.1
set yrange [-edge : edge]
set format y '%+.0f %%'
set ytics -1000, edge < 10 ? 5 : edge < 50 ? 10 : 50
do for [d = -9:9] { do for [m in (high < 200 * low ? '1 2 5' : '1')] {
  set xtics add (sprintf('%g', m * 10.0 ** d) m * 10.0 ** d)
} }
set tmargin at screen 0.40
set bmargin at screen 0.17
set ylabel 'error'
set xlabel 'measured ' . short[s] . ' per ' . unit
plot '+' using 1:(-15):(15) with filledcurves linecolor rgb grey notitle, \
  '+' using 1:(-5):(5) with filledcurves linecolor rgb grey notitle, \
  0 with lines linestyle 30 notitle, \
  for [i = 1:n_colours] $pairs index i-1 using (k * $1):3 with points linestyle i notitle
unset multiplot
