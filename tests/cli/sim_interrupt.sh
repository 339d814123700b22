#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A sweep that is interrupted at random moments, by SIGINT, SIGTERM and SIGKILL, and resumed each time, ends with the
# rows of one that ran through. SIGINT gives status 130 and says how to go on.
. "$EMUV_SOURCE/tests/cli/lib.sh"
need sqlite3
scenario() { # REFERENCES
  cat >s.yaml <<YAML
source: pattern
hardware: rtx-4090
ram: 4GiB
tokens: 4
pattern: {kind: zipf, object: 2MiB, objects: 1000, references: $1, write_ratio: 0.1}
policy: [lru, fifo, clock, lfu, mru, random, belady]
vram: [64MiB, 128MiB, 256MiB, 512MiB, 1GiB]
seed: [1, 2, 3, 4]
YAML
}

whole_run() { # REFERENCES
  scenario "$1"
  rm -f ./*.sqlite*
  start=$(date +%s%N)
  status 0 "$sim" s.yaml -q -o whole.sqlite --jobs 2
  took_ms=$((($(date +%s%N) - start) / 1000000))
  rows whole.sqlite >whole
  [ "$(wc -l <whole)" -eq 140 ] || fail "$(wc -l <whole) rows"
}

# Seeded: 20 signals and how long after the start they come, as parts of a tenth of the whole run.
awk 'BEGIN { srand(20); split("INT TERM KILL", name); for (i = 0; i < 20; i++) print name[1 + int(3 * rand())], rand() }' >plan
interrupt_often() {
  told=0 kept=0 sweeps=0 middle=0
  while read -r signal part; do
    "$sim" s.yaml -o cut.sqlite --jobs 2 >out 2>err &
    pid=$!
    sleep "$(awk -v ms="$took_ms" -v part="$part" 'BEGIN { printf "%.3f", ms / 1000 / 10 * part }')"
    kill -$signal $pid 2>/dev/null
    got=0
    wait $pid || got=$?
    case $signal-$got in
      *-0) ;; # done before the signal came
      INT-130)
        grep -q 'interrupted: [0-9]* of 140 configurations are stored; the same command goes on' err && told=$((told + 1)) ;;
      TERM-130 | TERM-143 | KILL-137) ;; # 143: before there was anything to lose
      *) fail "$signal gives exit status $got" ;;
    esac
    [ ! -e cut.sqlite ] || intact cut.sqlite
    if [ "$got" -eq 0 ]; then # through: compare, and start another one
      rows cut.sqlite >cut
      cmp whole cut || fail 'rows differ after interruptions'
      sweeps=$((sweeps + 1))
      rm -f cut.sqlite*
    elif [ -e cut.sqlite ] && [ "$(sqlite3 cut.sqlite "SELECT count(*) FROM sqlite_master WHERE name = 'runs'")" -eq 1 ]; then
      [ "$(count cut.sqlite)" -ge "$kept" ] || [ "$sweeps" -gt 0 ] || fail 'stored rows were lost'
      kept=$(count cut.sqlite)
      [ "$kept" -lt 1 ] || middle=$((middle + 1))
    fi
  done <plan
  status 0 "$sim" s.yaml -q -o cut.sqlite --jobs 2
  rows cut.sqlite >cut
  cmp whole cut || fail 'rows differ after interruptions'
  status 0 "$sim" compare whole.sqlite cut.sqlite --threshold 0
  has out '140 rows compared: 140 same'
  echo "20 signals: $middle left some rows, $told said how to go on, $sweeps sweeps ended in between"
}

# As many references as make the sweep last long enough to be interrupted in the middle, and not minutes where instructions
# are slow. What else the machine does moves both times, so that a sweep that proves too short is made longer.
references=1250 middle=0
while :; do
  whole_run $references
  if [ $took_ms -ge 500 ]; then
    interrupt_often
    [ "$middle" -lt 5 ] || break
  fi
  references=$((2 * references))
  [ $references -le 320000 ] || fail "only $middle of 20 signals came in the middle"
done

# One SIGINT that surely comes in the middle: the first row is stored, and there are many more.
rm -f cut.sqlite*
"$sim" s.yaml -o cut.sqlite --jobs 1 --tokens 20 >out 2>err &
pid=$!
n=0
while [ "$n" -eq 0 ] && kill -0 $pid 2>/dev/null; do
  sleep 0.1
  n=$(sqlite3 cut.sqlite 'SELECT count(*) FROM runs' 2>/dev/null || echo 0)
done
kill -INT $pid
got=0
wait $pid || got=$?
[ "$got" -eq 130 ] || fail "SIGINT gives exit status $got"
grep -Eq '^error: interrupted: [0-9]+ of 140 configurations are stored; the same command goes on$' err || fail 'how to go on?'
[ ! -s out ] || fail 'an interrupted run prints an answer'
said=$(sed -n 's/^error: interrupted: \([0-9]*\) of.*/\1/p' err)
[ "$(count cut.sqlite)" -eq "$said" ] || fail "$said rows said to be stored, $(count cut.sqlite) are"
[ "$said" -ge 1 ] && [ "$said" -lt 140 ] || fail "$said rows before the signal"
exit 0
