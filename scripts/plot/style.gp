# SPDX-License-Identifier: Apache-2.0
# Look of all figures. emuv-plot puts three texts together and gives them to gnuplot: the data and the variables of one
# figure, this file, and the figure's own script (`emuv-plot --format gp` writes the whole as a file to edit and run).
#
# Variables that are set before this file is read:
#   format, outfile       'png' or 'svg', and the path to write
#   subject, settings     what is drawn ("llama-2-70b on rtx4090"), and what all of it shares ("page 2 MiB, ...")
#   note, origin          how the rows were chosen; scenario, revision and row counts
#   unit, units           the unit of work (token, step, image, access) and its plural
#   base_kind, n_measured 'predicted' or 'measured', and how many measured rows are drawn over predictions
#   bound_by              what sets the bound: link, compute, disk
# Series: n_series, and the arrays name[] (legend), base[] (the name that decides the colour); data in $line (one index
# per series: x y label), $point (series x y), $bound and $ref (x y), $cell (group series y), $bar (label v1 .. vn).

set encoding utf8
if (format eq 'svg') {
  set terminal svg size 1200,750 dynamic noenhanced font 'sans-serif,16.5' background '#ffffff'
  title_font = 'sans-serif,22'
  text = 1.3   # its sizes are pixels where those of PNG are points,
  dot = 0.65   # and its markers are larger
} else {
  set terminal pngcairo size 1200,750 noenhanced font 'DejaVu Sans,13' background '#ffffff'
  title_font = 'DejaVu Sans:Bold,17'
  text = 1
  dot = 1
}
font10 = sprintf(',%.1f', 10 * text)
font11 = sprintf(',%.1f', 11 * text)
font12 = sprintf(',%.1f', 12 * text)
font13 = sprintf(',%.1f', 13 * text)
set output outfile

# Okabe-Ito, the palette that colour-blind readers can tell apart; black is kept for the bound. After seven series the
# colours come again, with other dashes and markers.
ink = '#222222'
grey = '#6b6b6b'
array tint[7] = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#8A8A8A']
array marker[7] = [7, 5, 9, 13, 11, 65, 2]
do for [k = 1:21] {
  set style line k linecolor rgb tint[(k - 1) % 7 + 1] linewidth 2.5 pointsize 1.3 * dot \
    pointtype marker[(k - 1 + int((k - 1) / 7)) % 7 + 1] dashtype 1 + (k > 7) + 2 * (k > 14)
}
set style line 30 linecolor rgb 'black' linewidth 2 dashtype 2
set style line 31 linecolor rgb '#8A8A8A' linewidth 2 dashtype 3

# The same policy or strategy looks the same in every figure. A name that is not listed gets a free style by its place.
known = 'lru belady random mru lfu fifo clock emuv resident um uva layer-offload stream paged arc s3fifo sieve priority'
slots = '1 2 3 4 5 6 7 2 7 4 5 1 3 6 8 9 10 11'
place(s) = sum [k = 1:words(known)] (word(known, k) eq s ? k : 0)
style(i) = place(base[i]) > 0 ? int(word(slots, place(base[i]))) : 14 + i % 7 + 1
hue(i) = tint[(style(i) - 1) % 7 + 1]

set border 3 linecolor rgb grey linewidth 1
set tics nomirror out scale 0.6 textcolor rgb ink
set grid xtics ytics linecolor rgb '#cfcfcf' linewidth 1 dashtype 1
set lmargin at screen 0.085
set rmargin at screen 0.735
set tmargin at screen 0.855
set bmargin at screen 0.17
set key at screen 0.742, 0.86 left top Left reverse vertical samplen 3 spacing 1.4 font font12 textcolor rgb ink
set xlabel textcolor rgb ink offset 0, -0.3
set ylabel textcolor rgb ink
set style fill solid 1.0 noborder

# `eval decorate` after `headline` is set: headline, what is shared, how rows were chosen, and the caption.
decorate = "set label 1 headline at screen 0.02, 0.965 left font title_font textcolor rgb ink;" \
  ."set label 2 settings at screen 0.02, 0.920 left font font13 textcolor rgb grey;" \
  ."set label 3 note at screen 0.02, 0.885 left font font13 textcolor rgb grey;" \
  ."set label 4 origin at screen 0.02, 0.02 left font font11 textcolor rgb grey"

# Scales that depend on the data, after `stats $all using 1:2 nooutput`. y: logarithmic when the values span more than a
# factor of 20, else from zero. x: base 2 when the values span a factor of 8 or more.
is_log_y = 0
fine_tics = "set for [d = -9:12] ytics add (sprintf('%g', 10.0 ** d) 10.0 ** d, " \
  ."sprintf('%g', 2 * 10.0 ** d) 2 * 10.0 ** d, sprintf('%g', 5 * 10.0 ** d) 5 * 10.0 ** d)"
log_y = "is_log_y = 1; ymin = STATS_min_y; ymax = STATS_max_y; " \
  ."set format y (ymax >= 1e4 ? '%.0s %c' : '%g'); set logscale y; " \
  ."set yrange [ymin * 0.7 : ymax * 1.4]; if (ymax < 2000 * ymin) { eval fine_tics }"
scale_y = "ymin = STATS_min_y; ymax = STATS_max_y; set format y (ymax >= 1e4 ? '%.0s %c' : '%g'); " \
  ."if (ymin > 0 && ymax > 20 * ymin) { eval log_y } else { set yrange [0 : ymax > 0 ? 1.08 * ymax : 1] }"
scale_x = "xmin = STATS_min_x; xmax = STATS_max_x; " \
  ."if (xmin > 0 && xmax >= 8 * xmin) { set logscale x 2; set xrange [xmin / 1.15 : xmax * 1.15] } " \
  ."else { set xrange [xmin - 0.04 * (xmax - xmin) : xmax + 0.04 * (xmax - xmin)] }"

bound_title = 'bound: ' . bound_by
measured_title = 'measured'
