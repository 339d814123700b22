#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-replay killed at random moments (SIGKILL) or interrupted (SIGINT) goes on from its last checkpoint: data verified,
# the counts are those of a run that was never killed, and no file, no shared memory and no process stays behind. Then
# checkpoints that are damaged, cut or of something else. $EMUV_KILLS: how many kills, and as many interrupts (default 4).
. "$EMUV_SOURCE/tests/cli/lib.sh"
need sqlite3
replay=$EMUV_BIN/emuv-replay
kills=${EMUV_KILLS:-4}
cat >k.yaml <<'YAML'
source: pattern
pattern: {kind: zipf, object: 64KiB, objects: 64, references: 100, write_ratio: 0.3}
hardware: rtx-4090
page_size: 64KiB
slice: 256KiB
policy: lru
prefetch: oracle
ram: 1MiB
vram: 1MiB
tokens: 48
YAML
mkdir disk
again() { "$replay" k.yaml --device host --time-scale 0.3 --nvme disk:8MiB --checkpoint k.ck --checkpoint-every 8 "$@"; }
start() { # the program itself in the background, not a shell around it; there, shells have it ignore SIGINT
  env --default-signal=INT "$replay" k.yaml --device host --time-scale 0.3 --nvme disk:8MiB --checkpoint k.ck --checkpoint-every 8 "$@" >out 2>err &
  pid=$!
}
shared() { ls /dev/shm | wc -l; }
counts() { sqlite3 "$1" "SELECT config_hash, steps, tokens, accesses, hits, faults, h2d_bytes, d2h_bytes, nvme_read_bytes,
  nvme_write_bytes, prefetch_issued, prefetch_used, evicted_pages, mismatches, status FROM runs WHERE kind = 'replay'"; }

before=$(shared)
start=$(date +%s%N)
status 0 again -o whole.sqlite -q
took_ms=$((($(date +%s%N) - start) / 1000000))
counts whole.sqlite >whole
[ "$(wc -l <whole)" -eq 1 ] && grep -q '|0|ok$' whole || fail 'the run that is not killed'
[ ! -e k.ck ] || fail 'a checkpoint of a row that is done stays'

# Seeded: how long after the start each kill comes, as parts of the time of a whole run.
awk -v n="$kills" 'BEGIN { srand(7); for (i = 0; i < n; i++) { print "KILL", rand(); print "INT", rand() } }' >plan
done_runs=0 restored=0
while read -r signal part; do
  restore=
  [ ! -e k.ck ] || restore='--restore k.ck'
  start -o cut.sqlite $restore
  sleep "$(awk -v ms="$took_ms" -v part="$part" 'BEGIN { printf "%.3f", ms / 1000 * part }')"
  kill -$signal $pid 2>/dev/null
  got=0
  wait $pid || got=$?
  case $signal-$got in *-0 | KILL-137 | INT-130) ;; *) fail "SIG$signal: exit status $got" ;; esac
  ! kill -0 $pid 2>/dev/null || fail 'a process stays'
  lacks err 'is wrong at'
  if grep -q 'restored: goes on at step' err; then restored=$((restored + 1)); fi
  if [ -e k.ck ]; then # whole, whatever moment it was
    head -c 7 k.ck | grep -q EMUVCKP || fail 'the checkpoint is not whole'
  fi
  [ "$(ls disk | wc -l)" -eq 0 ] || fail "left on disk: $(ls disk)"
  if [ "$got" -eq 0 ]; then
    counts cut.sqlite >cut
    cmp whole cut || fail 'counts differ after a restore'
    done_runs=$((done_runs + 1))
    rm -f cut.sqlite*
  fi
done <plan
: >k.ck.next # of a writer that was killed before it could rename
restore=
[ ! -e k.ck ] || restore='--restore k.ck'
status 0 again -o cut.sqlite -q $restore
counts cut.sqlite >cut
cmp whole cut || fail 'counts differ after a restore'
[ ! -e k.ck.next ] || fail 'k.ck.next stays'
[ ! -e k.ck ] || fail 'a checkpoint of a row that is done stays'
[ "$(ls disk | wc -l)" -eq 0 ] || fail "left on disk: $(ls disk)"
[ "$(shared)" -eq "$before" ] || fail 'shared memory stays'
echo "$kills kills, $kills interrupts: $restored runs went on from a checkpoint, $done_runs ended in between"

# One that surely goes on from a checkpoint, with what it tells.
rm -f cut.sqlite*
start -o cut.sqlite -q
while [ ! -e k.ck ] && kill -0 $pid 2>/dev/null; do sleep 0.02; done
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
[ -e k.ck ] || fail 'no checkpoint'
cp k.ck whole.ck
status 0 again -o cut.sqlite --restore k.ck
grep -Eq '^restored: goes on at step [1-9][0-9]*, [0-9.]+ [a-z]+ after the start$' err || fail 'recovery time'
counts cut.sqlite >cut
cmp whole cut || fail 'counts differ after a restore'

# What must be refused, with nothing stored.
refuse() { # TEXT ARGUMENTS...
  text=$1
  shift
  rm -f bad.sqlite*
  status 3 "$replay" k.yaml --device host --time-scale 0 --nvme disk:8MiB -o bad.sqlite -q "$@"
  has err "$text"
  [ "$(count bad.sqlite)" -eq 0 ] || fail 'a row was stored'
}
refuse 'cannot read the checkpoint none.ck' --restore none.ck
: >empty.ck
refuse 'not a checkpoint' --restore empty.ck
refuse 'not a checkpoint' --restore k.yaml
head -c 100 whole.ck >cut.ck
refuse 'cut short' --restore cut.ck
head -c 100000 whole.ck >cut.ck
refuse 'cut short' --restore cut.ck
{ head -c 60 whole.ck; printf 'x'; tail -c +62 whole.ck; } >bad.ck
refuse 'damaged' --restore bad.ck
{ head -c 1000000 whole.ck; printf 'xyz'; tail -c +1000004 whole.ck; } >bad.ck
refuse 'has another sum' --restore bad.ck
{ cat whole.ck; echo; } >bad.ck
refuse 'damaged' --restore bad.ck
refuse 'none of these configurations' --restore whole.ck --vram 512KiB
refuse 'none of these configurations' --restore whole.ck --set pattern.skew=2
[ "$(ls disk | wc -l)" -eq 0 ] || fail "left on disk: $(ls disk)"
exit 0
