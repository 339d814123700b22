#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-trace COMMAND: what the command sees, how it ends, which files are written. With made-up programs (fake_program)
# and capture libraries: one without CUDA, and the real one over a stand-in for CUPTI where it was built.
. "$EMUV_SOURCE/tests/cli/lib.sh"
trace=$EMUV_BIN/emuv-trace
fake=$EMUV_BIN/fake_program
libraries=$EMUV_BIN/../lib
export EMUV_CUPTI_LIBRARY

records() { "$trace" dump --type "$1" "$2" | grep -vc '^  operand' || :; } # TYPE FILE
verdict() { "$trace" check "$1" | head -n 1 | sed 's/^[^:]*: \([a-z-]*\),.*/\1/'; }
files() { find . -name '*.emuv' | wc -l; }
await() { # FILE...: until they exist
  for f; do
    for i in $(seq 600); do [ -e "$f" ] && break; sleep 0.05; done
    [ -e "$f" ] || fail "$f did not come"
  done
}

usage_and_names() {
  status 2 "$trace" --duration 5 "$fake"
  has err 'error: --duration: "5": a time needs a unit'
  has err 'hint: write e.g. 500ms, 30s or 2min'
  status 2 "$trace" --start-after 5min --duration 0s "$fake"
  has err "'0s' records nothing"
  status 2 "$trace" --start-after '3 fortnights' "$fake"
  has err 'unknown unit "fortnights" of a time'
  status 2 "$trace" --max-size 1G "$fake"
  has err 'hint: write 1GiB'
  status 2 "$trace" --max-size 1 "$fake"
  has err 'at least 4KiB'
  status 2 "$trace" --capture-range decode "$fake"
  has err 'nvtx:NAME'
  status 2 "$trace" --capture-range nvtx: "$fake"
  status 2 "$trace" -o . "$fake"
  has err "'.' is not the name of a file"
  status 2 "$trace" -o /dev/null "$fake"
  [ -c /dev/null ] || fail '/dev/null is gone'
  status 2 "$trace" -q
  has err 'no command to trace'
  status 2 "$trace" --no-such-option "$fake"
  status 0 "$trace" --help
  for option in output start-after duration capture-range graph-nodes sample-times max-size quiet verbose; do has out "--$option"; done
  [ ! -s err ] || fail 'help on stderr'

  # What comes after the command is the command's, whatever it looks like; -- ends the options; subcommands can be run.
  status 0 "$trace" -q -o t.emuv "$fake" out:--help out:-o
  [ "$(cat out)" = "--help
-o" ] || fail 'arguments of the command'
  status 0 "$trace" -q -o t.emuv -- "$fake" init out:-q
  printf '#!/bin/sh\necho "info of my own: $*"\n' >info
  chmod +x info
  status 0 env PATH="$tmp:$PATH" "$trace" -o t.emuv -- info --help
  has out 'info of my own: --help'

  # Names: the script's, the module's, the command's.
  cp "$fake" ./train.old
  status 0 "$trace" ./train.old init
  has err 'emuv-trace: train.emuv, '
  status 0 "$trace" "$fake" init out:x.py
  rm -f fake_program.emuv
  status 0 "$trace" "$fake" init
  [ -e fake_program.emuv ] || fail 'the name of the command'
  printf '#!/bin/sh\nexec "%s" init\n' "$fake" >python3
  chmod +x python3
  status 0 "$trace" ./python3 -u sub/infer.py --n 3
  has err 'emuv-trace: infer.emuv, '
  status 0 "$trace" ./python3 -m pkg.serve
  rm -f ./*.emuv info train.old python3
}

statuses() {
  for n in 0 1 3 77 126 127 255; do status $n "$trace" -o t.emuv "$fake" init alloc:1 exit:$n; done
  has err 'emuv-trace: t.emuv, '
  "$trace" info t.emuv >out
  has out 'exit status 255'
  status 127 "$trace" -o t.emuv no-such-command-here
  has err 'emuv-trace: no-such-command-here: command not found'
  [ -e t.emuv ] || fail 'the old trace is gone though nothing ran'
  status 127 "$trace" -o t.emuv ./nothing-here
  echo text >plain
  status 126 "$trace" -o t.emuv ./plain
  has err 'Permission denied'
  status 126 "$trace" -o t.emuv "$tmp"
  printf '#!/no/such/interpreter\n' >broken
  chmod +x broken
  status 127 "$trace" -o t.emuv ./broken
  for signal in 9 15 10; do
    status $((128 + signal)) "$trace" -o t.emuv "$fake" init raise:$signal
    [ "$(verdict t.emuv)" = truncated ] || fail "verdict after signal $signal"
    has err 'ends early'
  done
  status 139 "$trace" -q -o t.emuv sh -c 'kill -SEGV $$'
  status 0 "$trace" -o t.emuv "$fake" out:hello
  has err 'no trace was written'
  [ ! -e t.emuv ] || fail 'a stale trace stays'
  rm -f plain broken
}

# The signal reaches the command, which ends as it likes; the launcher passes that on.
signals() {
  for signal in TERM:15 INT:2 HUP:1 USR1:10 QUIT:3; do
    rm -f ready
    # A shell in the background lets its children ignore SIGINT and SIGQUIT: env has that undone.
    env --default-signal=INT,QUIT "$trace" -o t.emuv "$fake" "trap:${signal#*:}:42" init alloc:1 touch:ready wait:never \
      >out 2>err &
    await ready
    kill -"${signal%:*}" $!
    got=0
    wait $! || got=$?
    [ $got = 42 ] || fail "SIG${signal%:*}: exit status $got instead of 42"
    [ "$(verdict t.emuv)" = complete ] || fail "verdict after SIG${signal%:*}"
    rm -f ready
    env --default-signal=INT,QUIT "$trace" -q -o t.emuv "$fake" init touch:ready wait:never >out 2>err &
    await ready
    kill -"${signal%:*}" $!
    got=0
    wait $! || got=$?
    [ $got = $((128 + ${signal#*:})) ] || fail "SIG${signal%:*} that kills: exit status $got"
  done
  rm -f ready
}

# The command's output is its own, byte for byte.
streams() {
  words='out:one err:two out:three err:'
  printf 'line\n' | "$fake" init $words >plain.out 2>plain.err
  printf 'line\n' | "$trace" -q -o t.emuv "$fake" init $words >traced.out 2>traced.err
  cmp plain.out traced.out || fail 'stdout differs'
  cmp plain.err traced.err || fail 'stderr differs'
  printf 'in\0put' | "$trace" -q -o t.emuv cat >traced.out
  printf 'in\0put' | cmp - traced.out || fail 'stdin differs'
  "$trace" -o t.emuv "$fake" init $words >traced.out 2>traced.err
  cmp plain.out traced.out || fail 'stdout differs'
  sed '$d' traced.err | cmp - plain.err || fail 'more than one last line on stderr'
  status 0 "$trace" -v -o t.emuv "$fake" init
  has err "$(basename "$EMUV_CUPTI_LIBRARY") records"
  rm -f plain.* traced.*
}

processes() {
  rm -f ./*.emuv
  # A forked child is inert, a program of its own writes its own file, one in place of another too.
  status 0 "$trace" -o run.emuv "$fake" init alloc:3 launch:5 fork[ alloc:2 launch:3 ] spawn[ init alloc:1 launch:7 ]
  [ "$(files)" = 2 ] || fail "$(ls)"
  [ "$(records launch run.emuv)" = 5 ] && [ "$(records allocation run.emuv)" = 3 ] || fail 'the parent of a fork'
  [ "$(verdict run.emuv)" = complete ] || fail 'verdict of the parent'
  child=$(find . -name 'run.*.emuv')
  [ "$(records launch "$child")" = 7 ] || fail 'the child'
  has err "emuv-trace: ${child#./}, "
  has err 'emuv-trace: run.emuv, '
  [ "$(grep -c ^emuv-trace: err)" = 2 ] || fail 'lines on stderr'

  # Files of an earlier run with this name go, others stay; what they are is read in them, not in their names.
  cp "$child" other.123.emuv
  cp "$child" run.keep.emuv
  echo 'not a trace' >run.77.emuv
  "$trace" -q -o else.emuv "$fake" init
  cp else.emuv run.88.emuv
  status 0 "$trace" -o run.emuv "$fake" init launch:1
  [ ! -e "$child" ] || fail 'a stale file stays'
  for f in other.123.emuv run.keep.emuv run.77.emuv run.88.emuv; do [ -e $f ] || fail "$f is gone"; done
  [ "$(grep -c ^emuv-trace: err)" = 1 ] || fail 'stale files are listed'
  rm -f ./*.emuv

  # exec: the old trace ends without a verdict, the new program takes the next name.
  status 0 "$trace" -o x.emuv "$fake" init launch:2 sleep:1200 exec init launch:3 sleep:1200 exec init launch:4
  [ "$(verdict x.emuv)" = truncated ] && [ "$(records launch x.emuv)" = 2 ] || fail 'before exec'
  second=$(find . -name 'x.*.emuv' ! -name 'x.*.2.emuv')
  third=$(find . -name 'x.*.2.emuv')
  [ "$(verdict "$second")" = truncated ] && [ "$(records launch "$second")" = 3 ] || fail 'after exec'
  [ "$(verdict "$third")" = complete ] && [ "$(records launch "$third")" = 4 ] || fail 'after the second exec'
  [ "$(grep -c 'ends early' err)" = 2 ] || fail 'which files end early'
  rm -f ./*.emuv

  # A program that never uses CUDA and starts others; a child that outlives its parent; one that ends by _exit.
  status 0 "$trace" -o s.emuv sh -c "'$fake' init launch:1; '$fake' init launch:2 & wait; '$fake' init sleep:400 _exit:5; :"
  [ "$(files)" = 3 ] || fail "$(ls)"
  [ "$(grep -c 'ends early' err)" = 1 ] || fail '_exit'
  status 0 "$trace" -o late.emuv sh -c "'$fake' init launch:1 touch:ready wait:go launch:1 & while ! [ -e ready ]; do :; done"
  has err 'or still runs'
  touch go
  for i in $(seq 100); do [ "$(verdict late.emuv)" = complete ] && break; sleep 0.05; done
  [ "$(records launch late.emuv)" = 2 ] || fail 'a child that outlives the launcher'
  # A program that traces another one.
  status 0 "$trace" --max-size 1MiB --duration 1h -o outer.emuv "$fake" init launch:1 \
    exec init launch:2
  status 0 "$trace" --start-after 1h -o outer.emuv "$trace" -o inner.emuv "$fake" init launch:6
  [ "$(records launch inner.emuv)" = 6 ] || fail 'the inner launcher'
  rm -f ./*.emuv ready go
}

windows() {
  # Memory is always followed; launches only inside.
  words='init alloc:2 launch:5 profiler:1 launch:3 free profiler:0 alloc:1 launch:9 profiler:1 launch:4 profiler:0 launch:1'
  status 0 "$trace" --capture-range cudaProfilerApi -o t.emuv "$fake" $words
  [ "$(records launch t.emuv)" = 7 ] || fail "profiler: $(records launch t.emuv) launches"
  [ "$(records allocation t.emuv)" = 3 ] && [ "$(records free t.emuv)" = 1 ] || fail 'memory outside the window'
  [ "$(verdict t.emuv)" = complete ] || fail 'verdict with a window'
  "$trace" info t.emuv >out
  has out 'recorded     only from cudaProfilerStart to cudaProfilerStop'

  # Of NVTX: by name, repeated, nested in itself, begun before CUDA; other names do not count.
  words='push:decode init alloc:1 launch:1 pop launch:9 push:other launch:9 push:decode push:decode launch:2 pop launch:2 pop
    launch:9 pop push:decode launch:3 pop launch:9'
  status 0 "$trace" --capture-range nvtx:decode -o t.emuv "$fake" $words
  [ "$(records launch t.emuv)" = 8 ] || fail "nvtx: $(records launch t.emuv) launches"
  "$trace" info t.emuv >out
  has out "recorded     only inside NVTX ranges 'decode'"
  lacks out run_output
  status 0 "$trace" --capture-range nvtx:decoder -o t.emuv "$fake" $words
  has err "nothing was recorded: no NVTX range is named 'decoder'"
  [ "$(records launch t.emuv)" = 0 ] || fail 'a range that does not come'
  status 0 env NVTX_INJECTION64_PATH=/other.so "$trace" --capture-range nvtx:decode -o t.emuv "$fake" init
  has err 'NVTX ranges go to /other.so'

  # Time. Wide margins: what must come before or after takes milliseconds.
  status 0 "$trace" --start-after 3s -o t.emuv "$fake" init alloc:1 launch:5 sleep:3500 launch:3
  [ "$(records launch t.emuv)" = 3 ] || fail "start-after: $(records launch t.emuv) launches"
  [ "$(records allocation t.emuv)" = 1 ] || fail 'an allocation before the start'
  status 0 "$trace" --start-after 1h -o t.emuv "$fake" init launch:5
  has err 'the program ended before --start-after'
  rm -f t.emuv
  "$trace" --duration 2s -o t.emuv "$fake" init alloc:1 launch:5 wait:go launch:9 exit:6 >out 2>err &
  await t.emuv
  for i in $(seq 600); do [ "$(verdict t.emuv)" = stopped ] && break; sleep 0.05; done
  "$trace" check t.emuv >out
  has out 't.emuv: verdict: the duration ended'
  touch go
  got=0
  wait $! || got=$?
  [ $got = 6 ] || fail "the program did not run on: $got"
  [ "$(records launch t.emuv)" = 5 ] && [ "$(verdict t.emuv)" = stopped ] || fail 'after the duration'
  # It is over just before the program ends: the verdict says so too.
  status 0 "$trace" --duration 1ms -o t.emuv "$fake" init launch:1 sleep:1500 launch:9
  [ "$(verdict t.emuv)" = stopped ] && [ "$(records launch t.emuv)" -le 1 ] || fail 'an end within the duration'
  rm -f go t.emuv
}

# The program runs on, the trace says why it ends.
limits() {
  status 3 "$trace" --max-size 64KiB -o t.emuv "$fake" init alloc:1 launch:400000 exit:3
  [ "$(verdict t.emuv)" = size-limit ] || fail "verdict: $(verdict t.emuv)"
  [ "$(stat -c %s t.emuv)" -le 65536 ] || fail 'larger than asked for'
  status 3 sh -c 'ulimit -f 64; exec "$@"' sh "$trace" -o t.emuv "$fake" init alloc:1 launch:400000 exit:3
  [ "$(verdict t.emuv)" = no-space ] || fail "verdict: $(verdict t.emuv)"
  "$trace" check t.emuv >out
  has out 'verdict: File too large'
  mkdir -p full
  if mount -t tmpfs -o size=128k none full 2>/dev/null; then
    status 3 "$trace" -o full/t.emuv "$fake" init alloc:1 launch:400000 exit:3
    result=$(verdict full/t.emuv)
    umount full
    [ "$result" = no-space ] || fail "full disk: $result"
  fi
  mkdir -p locked
  chmod 555 locked
  status 3 "$trace" -o locked/none/t.emuv "$fake" init alloc:1 launch:5 out:works exit:3
  has out works
  has err 'cannot be created (No such file or directory): running without a trace'
  has err 'no trace was written'
  if [ "$(id -u)" != 0 ]; then
    status 3 "$trace" -o locked/t.emuv "$fake" init alloc:1 launch:5 exit:3
    has err 'cannot be created (Permission denied): running without a trace'
  fi
  rm -rf full locked
}

tried=0
for kind in fake stand_in; do
  EMUV_CUPTI_LIBRARY=$libraries/lib${kind}_capture.so
  [ -e "$EMUV_CUPTI_LIBRARY" ] || continue
  tried=$((tried + 1))
  for part in usage_and_names statuses signals streams processes windows limits; do $part; done
done
[ $tried -gt 0 ] || fail 'no capture library to test with'

EMUV_CUPTI_LIBRARY=$tmp/none.so
status 77 "$trace" "$fake" out:x
has err 'the capture library libemuv_cupti.so was not found'
has err 'hint: '
[ ! -s out ] || fail 'the command ran without a library'
