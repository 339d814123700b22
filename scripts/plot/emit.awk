# SPDX-License-Identifier: Apache-2.0
# Tagged lines of a figure's SQL (see prelude.sql) -> variables and datablocks of a gnuplot script (see style.gp).
# The general tags of figures of traces (trace/prelude.sql) become datablocks as they are.
# With a `why` line: prints that line alone. POSIX awk, tab-separated input.
#
# Lines that are equal at all their points (within 0.5 %) become one, named "lru = fifo = clock", so that none hides
# another; so do lines that lie on each other on paper (within 0.7 % of the axis), named "lru ≈ fifo".
# Of more than eight lines the middle ones are left out and named in the note, never lru, belady or emuv.

function quote(s) { gsub(/[\001-\037\177]/, " ", s); gsub(/'/, "''", s); return "'" s "'" }
function rank(s) { return s in order ? order[s] : 99 }
function series(s) {
  if (!(s in id)) { id[s] = ++n_series; label[n_series] = base[n_series] = s }
  return id[s]
}
# 2: line b equals line a at all points of b; 1: they cannot be told apart there; 0: they can. b must have at least two
# points, and half as many as a.
function same(a, b,    k, x, answer) {
  if (points[b] < 2 || points[a] < points[b] || 2 * points[b] < points[a]) return 0
  answer = 2
  for (k = 1; k <= points[b]; k++) {
    x = xs[b, k]
    if (!((a, x) in y_at)) return 0
    if (close_to(y_at[a, x], y_at[b, x])) continue
    if (height(y_at[a, x]) - height(y_at[b, x]) > 0.007 || height(y_at[b, x]) - height(y_at[a, x]) > 0.007) return 0
    answer = 1
  }
  return answer
}
# Where on the y axis a value stands, 0 to 1; logarithmic by the rule of style.gp, or where the SQL said so (log_y).
function height(y) {
  if (!(y_high > y_low) || y <= 0) return 0
  if (y_low > 0 && ("log_y" in value || y_high > 20 * y_low)) return log(y / y_low) / log(y_high / y_low)
  return y / y_high
}
# Puts line b on line a. Within a merged name the order of `order` holds; the first name decides the colour.
function merge(a, b,    names) {
  label[a] = in_order(label[a] "\t" label[b])
  split(label[a], names, "\t")
  base[a] = names[1]
  into[b] = a
}
function merge_pass(want,    a, b, how) {
  for (a = 1; a <= n_series; a++) {
    if (a in into) continue
    for (b = 1; b <= n_series; b++) {
      if (b == a || b in into) continue
      how = same(a, b)
      if (how < want) continue
      if (how == 1) roughly[a] = 1
      merge(a, b)
    }
  }
}
function in_order(list,    n, names, i, j, t) {
  n = split(list, names, "\t")
  for (i = 2; i <= n; i++)
    for (j = i; j > 1 && rank(names[j]) < rank(names[j - 1]); j--) {
      t = names[j]; names[j] = names[j - 1]; names[j - 1] = t
    }
  list = names[1]
  for (i = 2; i <= n; i++) list = list "\t" names[i]
  return list
}
function merge_equal() { merge_pass(2); merge_pass(1) }
function close_to(x, y) { return (x > y ? x - y : y - x) <= 0.005 * (x > y ? x : y) + 1e-12 }
function same_bar(a, b,    k) {
  if (policy[a] == "" || strategy[a] != strategy[b] || settings[a] != settings[b]) return 0
  for (k = 1; k <= n_parts; k++) if (!close_to(part[a, k], part[b, k])) return 0
  return 1
}
function bars(    a, b, k, out) {
  for (a = 1; a <= n_bars; a++) {
    if (a in gone) continue
    for (b = a + 1; b <= n_bars; b++) if (!(b in gone) && same_bar(a, b)) {
      policy[a] = in_order(policy[a] "\t" policy[b]); gone[b] = 1
    }
    n_bars_shown++
    out = out quote_lines(strategy[a] (policy[a] == "" ? "" : " · " legend(policy[a], " = ")) settings[a])
    for (k = 1; k <= n_parts; k++) out = out " " part[a, k]
    out = out "\n"
  }
  return out
}
function keep_few(    a, kept, drop, text, n) {
  for (a = 1; a <= n_series; a++) if (!(a in into)) kept++
  drop = kept - 8
  for (a = 1; a <= n_series; a++) {
    if (a in into) continue
    if (++n > 4 && drop > 0 && label[a] !~ /(^|\t)(lru|belady|emuv)(\t|$)/) {
      hidden[a] = 1; drop--; text = text (text == "" ? "" : ", ") label[a]
    }
  }
  gsub(/\t/, ", ", text)
  if (text != "") say("not drawn, for lack of room: " text)
}
# A merged name as the legend shows it: at most about 34 characters; the note has the whole.
function legend(s, sign,    n, names, i, out) {
  n = split(s, names, "\t")
  out = names[1]
  for (i = 2; i <= n; i++) {
    if (length(out) + length(names[i]) > (i < n ? 26 : 32)) {
      gsub(/\t/, sign, s)
      say(s)
      return out sign n - i + 1 " more"
    }
    out = out sign names[i]
  }
  return out
}
# What does not fit into the line of settings goes to the line below.
function wrap_settings(    n, words, i, head) {
  if (length(value["settings"]) <= 124) return
  n = split(value["settings"], words, " · ")
  head = words[1]
  for (i = 2; i <= n && length(head) + length(words[i]) < 116; i++) head = head " · " words[i]
  value["settings"] = head
  for (; i <= n; i++) say(words[i])
}
function say(text) { value["note"] = value["note"] (value["note"] == "" ? "" : " · ") text; is_text["note"] = 1 }
# In double quotes for a line break at "|"; nothing else in it may be special to gnuplot.
function quote_lines(s) {
  gsub(/[\\"`]/, "?", s)
  sub(/\|/, "\\n", s)
  return "\"" s "\""
}
# Blanks the labels at the x axis that would touch the one before. The axis is logarithmic when it spans a factor of 8.
function thin_labels(    i, j, x, t, lo, hi, at, last) {
  for (i = 2; i <= n_x; i++)
    for (j = i; j > 1 && x_of[j] + 0 < x_of[j - 1] + 0; j--) { t = x_of[j]; x_of[j] = x_of[j - 1]; x_of[j - 1] = t }
  lo = x_of[1]; hi = x_of[n_x]
  if (n_x < 2 || lo <= 0) return
  last = -1
  for (i = 1; i <= n_x; i++) {
    x = x_of[i]
    at = hi >= 8 * lo ? log(x / lo) / log(hi / lo) : (x - lo) / (hi - lo)
    if (at - last < 0.01 + 0.015 * length(tic[x])) tic[x] = ""
    else last = at
  }
}
function block(name, text) {
  printf "$%s << EOD_%s\n%sEOD_%s\n", name, name, (text == "" ? "NaN NaN NaN NaN\n" : text), name
}
function cells(    k, a, out) {
  for (k = 1; k <= n_cells; k++) {
    a = id[c_series[k]]
    if (a in index_of) { out = out c_group[k] " " index_of[a] " " c_y[k] "\n"; all = all c_group[k] " " c_y[k] "\n" }
  }
  return out
}
function cell_points(    k, a, out) {
  for (k = 1; k <= n_cpoints; k++) {
    a = c_p_series[k] in id ? id[c_p_series[k]] : 0
    if (a in index_of) out = out c_p_group[k] " " index_of[a] " " c_p_y[k] "\n"
  }
  return out
}

BEGIN {
  FS = "\t"
  n = split("emuv lru belady fifo clock lfu mru random", known, " ")
  for (i = 1; i <= n; i++) order[known[i]] = i
  # Every script finds these set.
  split("note series bound_by settings origin subject unit units base_kind", texts, " ")
  for (i in texts) { value[texts[i]] = ""; is_text[texts[i]] = 1 }
}
# Columns from..NF of the line, with blanks between.
function rest(from,    k, out) {
  for (k = from; k <= NF; k++) out = out (k > from ? " " : "") $k
  return out "\n"
}
function matrix(name,    x, y, out) {
  printf "$%s << EOD_%s\n", name, name
  for (y = 0; y < rows_of[name]; y++) {
    out = ""
    for (x = 0; x < columns_of[name]; x++) out = out ((name, x, y) in cell_of ? cell_of[name, x, y] : 0) " "
    print out
  }
  print "EOD_" name
}
$1 == "block" || $1 == "row" || $1 == "part" { if (!($2 in free)) free[$2] = "" }
$1 == "row" { free[$2] = free[$2] rest(3) }
$1 == "part" {
  if ($2 in part_of && part_of[$2] != $3) free[$2] = free[$2] "\n\n"
  part_of[$2] = $3
  free[$2] = free[$2] rest(4)
}
$1 == "matrix" { columns_of[$2] = $3; rows_of[$2] = $4 }
$1 == "cell" && ($2 in columns_of) { cell_of[$2, $3, $4] = $5; next }
$1 == "why" { why = why == "" ? $2 : why }
$1 == "set" { value[$2] = $3; is_text[$2] = 1 }
$1 == "note" { notes[++n_notes] = $2 }
$1 == "num" { value[$2] = $3 }
$1 == "line" {
  if (y_high == "" || $4 > y_high) y_high = $4 + 0
  if (y_low == "" || $4 < y_low) y_low = $4 + 0
  s = series($2)
  xs[s, ++points[s]] = $3; y_at[s, $3] = $4
  if (!($3 in tic)) { tic[$3] = $5; x_of[++n_x] = $3 }
}
$1 == "point" { p_series[++n_points] = $2; p_x[n_points] = $3; p_y[n_points] = $4 }
$1 == "bound" { bound = bound $2 " " $3 "\n"; if ($3 > 0) all = all $2 " " $3 "\n" }
$1 == "ref" { ref = ref $2 " " $3 "\n"; all = all $2 " " $3 "\n"; n_ref = 1 }
$1 == "cell" {
  series($4)
  c_group[++n_cells] = $2; c_series[n_cells] = $4; c_y[n_cells] = $5
  group[$2] = $3; if ($2 > n_groups) n_groups = $2
}
$1 == "cpoint" { c_p_group[++n_cpoints] = $2; c_p_series[n_cpoints] = $3; c_p_y[n_cpoints] = $4 }
$1 == "gbound" { gbound = gbound $2 " " $3 "\n"; all = all $2 " " $3 "\n" }
$1 == "bar" {
  strategy[++n_bars] = $2; policy[n_bars] = $3; settings[n_bars] = $4
  for (k = 5; k <= NF; k++) { part[n_bars, k - 4] = $k + 0; if ($k > 0) used[k - 4] = 1 }
  if (NF - 4 > n_parts) n_parts = NF - 4
}
END {
  if (why != "") { print "why\t" why; exit }
  wrap_settings()
  for (k = 1; k <= n_notes; k++) say(notes[k])
  merge_equal(); keep_few(); thin_labels()
  for (a = 1; a <= n_series; a++) if (!(a in into) && !(a in hidden)) index_of[a] = ++n_shown
  for (a = 1; a <= n_series; a++) if (a in index_of) shown[a] = legend(label[a], a in roughly ? " ≈ " : " = ")
  bar = bars()
  for (v in value) print v " = " (v in is_text ? quote(value[v]) : value[v] + 0)
  print "n_series = " n_shown + 0 "; n_groups = " n_groups + 0 "; n_bars = " n_bars_shown + 0
  print "n_parts = " n_parts + 0 "; n_ref = " n_ref + 0
  printf "array name[%d]\narray base[%d]\n", n_shown + 1, n_shown + 1
  printf "array used[%d]\narray group[%d]\n", n_parts + 1, n_groups + 1
  for (a = 1; a <= n_series; a++) if (a in index_of)
    printf "name[%d] = %s; base[%d] = %s\n", index_of[a], quote(shown[a]), index_of[a], quote(base[a])
  for (k = 1; k <= n_parts; k++) print "used[" k "] = " used[k] + 0
  for (k = 1; k <= n_groups; k++) print "group[" k "] = " quote_lines(group[k])
  for (a = 1; a <= n_series; a++) if (a in index_of) {
    line = line (line == "" ? "" : "\n\n")
    for (k = 1; k <= points[a]; k++) {
      x = xs[a, k]; line = line x " " y_at[a, x] " \"" tic[x] "\"\n"; all = all x " " y_at[a, x] "\n"
    }
  }
  for (k = 1; k <= n_points; k++) if (p_series[k] in id) {
    a = id[p_series[k]]; if (a in into) a = into[a]
    if (a in index_of) { point = point index_of[a] " " p_x[k] " " p_y[k] "\n"; all = all p_x[k] " " p_y[k] "\n" }
  }
  block("line", line); block("point", point); block("bound", bound); block("cell", cells())
  block("cpoint", cell_points())
  block("gbound", gbound); block("bar", bar); block("ref", ref); block("all", all)
  for (k in free) block(k, free[k])
  for (k in columns_of) matrix(k)
}
