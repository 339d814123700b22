# SPDX-License-Identifier: Apache-2.0
# Miss-ratio curve of lru by capacity, exact at every point; on the right the bytes that a step must bring in.
headline = subject . ': what a memory managed by lru misses'
eval decorate
set xlabel 'capacity (' . memory_unit . ')'
set ylabel 'touched bytes that miss (%)'
set xrange [0 : distinct]
set yrange [0 : 105]
set ytics 20
if (per_step > 0) {
  set rmargin at screen 0.72
  set key at screen 0.82, 0.86
  set border 11
  set y2range [0 : 105 * per_step]
  set y2tics out scale 0.6 textcolor rgb ink
  set y2label 'to bring in for each ' . unit . ' (' . memory_unit . ')' textcolor rgb ink
}
plot $curve using 1:2 with lines linestyle 1 linewidth 3 title 'lru', \
  first_share with lines linestyle 30 title 'first touches'
