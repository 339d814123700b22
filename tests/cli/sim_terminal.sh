#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-sim on a terminal: a progress bar with a time estimate on what takes long, colour unless NO_COLOR, nothing but data
# on stdout; and none of that where stderr is no terminal.
. "$EMUV_SOURCE/tests/cli/lib.sh"
need script
script -qec true /dev/null >/dev/null 2>&1 </dev/null || { echo 'script -qec does not work here'; exit 77; }
cat >long.yaml <<'YAML'
source: pattern
hardware: rtx-4090
ram: 4GiB
pattern: {kind: zipf, object: 2MiB, objects: 1000, references: 20000}
tokens: 4
policy: [lru, fifo, clock, lfu, mru, random, belady]
vram: [64MiB, 128MiB, 256MiB, 512MiB, 1GiB]
YAML
cat >short.yaml <<'YAML'
source: pattern
hardware: rtx-4090
ram: 4GiB
pattern: {kind: cyclic, object: 2MiB, objects: 64, references: 256}
tokens: 1
vram: [32MiB, 64MiB]
YAML
escape=$(printf '\033')
tty() { # COMMAND: with a terminal of 90 columns as stderr (and stdout, unless the command sends it elsewhere)
  rm -f typescript
  TERM=xterm script -qec "stty cols 90 rows 24; $1" typescript >/dev/null 2>&1 </dev/null
}
# DATABASE [ASSIGNMENT]: the sweep on a terminal, with as many seeds as it needs to take over two seconds, which is what a bar
# is for: how many that are depends on what else the machine does, so what the run says of itself decides.
count_of_seeds=1
slow() {
  while :; do
    seeds=$(awk -v n=$count_of_seeds 'BEGIN { for (i = 1; i < n; i++) printf "%d,", i; print n }')
    rm -f "$1"
    tty "${2:-} $sim long.yaml -o $1 --jobs 1 --seed $seeds >stdout"
    grep -aEq 'configurations in ([3-9][0-9.]*|[0-9]{2,}[0-9.]*) s|configurations in [0-9.]+ (min|h)' typescript && return
    [ $count_of_seeds -lt 200 ] || return 0
    count_of_seeds=$((2 * count_of_seeds))
  done
}

status 0 "$sim" long.yaml -q -o time.sqlite --jobs 1 --seed 1
[ ! -s err ] || fail '-q says something'
status 0 "$sim" long.yaml -o time.sqlite --fresh --jobs 1 --seed 1
lacks err "$escape"
lacks err ' left'

slow a.sqlite
grep -aEq 'long +[0-9]+% .*\[.*#.*-.*\].* [0-9]+/[0-9]+ configurations, [0-9.]+ (min|s).* left' typescript || fail 'no bar'
grep -aq "$escape\\[32m" typescript || fail 'no colour'
grep -aEq 'long: [0-9]+ of [0-9]+ configurations in ' typescript || fail 'no last line'
grep -aq 'database: a.sqlite' typescript || fail 'where is the database?'
! grep -aq "$escape" stdout || fail 'an escape sequence on stdout'
grep -q '^long: pattern:zipf' stdout || fail 'no answer on stdout'

slow b.sqlite NO_COLOR=1
grep -aEq '[0-9]+/[0-9]+ configurations, .* left' typescript || fail 'NO_COLOR takes the bar away'
! grep -aq "$escape\\[[0-9;]*m" typescript || fail 'colour in spite of NO_COLOR'

tty "$sim long.yaml -q -o c.sqlite --jobs 1 --seed $seeds >stdout"
! grep -aq 'configurations' typescript || fail 'a bar in spite of -q'
tty "TERM=dumb $sim long.yaml -o d.sqlite --jobs 1 --seed $seeds >stdout"
! grep -aq "$escape" typescript || fail 'escape sequences on a dumb terminal'

# What is short has no bar; errors have colour, unless NO_COLOR; the table keeps to the width of the terminal.
tty "$sim short.yaml -o e.sqlite"
! grep -aq ' left' typescript || fail 'a bar on what is short'
tr -d '\r' <typescript | awk 'length > 90 && !/^Script/ { exit 1 }' || fail 'wider than the terminal'
tty "$sim short.yaml --vram 64K"
grep -aq "$escape\\[1;31merror:" typescript || fail 'no colour for errors'
tty "NO_COLOR=1 $sim short.yaml --vram 64K"
! grep -aq "$escape" typescript || fail 'errors in colour in spite of NO_COLOR'
exit 0
