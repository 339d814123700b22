#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Everything that a machine with a GPU has to tell, in one run of about five minutes: the tracer on a real Llama decode
# (untraced and traced in turn), what a 13B model does under a VRAM limit today, and the link's figures.
#
#   scripts/gpu_capture.sh RESULTS [STAGE]      STAGE: made by scripts/stage.sh, default ./stage
#
# Needs python3 with torch, transformers and accelerate. A step that fails or runs out of its time costs only itself; a
# table comes last. Steps can be chosen: $EMUV_STEPS, default "self decode llama13b link kill".
set -u
[ $# -ge 1 ] || { echo "usage: gpu_capture.sh RESULTS [STAGE]" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
self=$here/scripts/gpu_capture.sh
decode="python3 llama_decode.py" # in $work, so that traces carry no path of the machine

# traced FILE COMMAND...: by emuv-trace, or by the library alone where the command is not staged.
traced() {
  file=$1
  shift
  if [ -x "$stage/bin/emuv-trace" ]; then
    "$stage/bin/emuv-trace" -o "$file" -- "$@"
  else
    rm -f "$file"
    env CUDA_INJECTION64_PATH="$library" NVTX_INJECTION64_PATH="$library" EMUV_TRACE_OUTPUT="$file" "$@"
  fi
}

machine() {
  nvidia-smi --query-gpu=name,driver_version,memory.total,memory.used,pcie.link.gen.max,pcie.link.width.max --format=csv
  uname -sr | cut -d- -f1
  nproc
  python3 -c 'import accelerate, torch, transformers
print("torch", torch.__version__, "CUDA", torch.version.cuda, "transformers", transformers.__version__, "accelerate", accelerate.__version__)'
}

self_test() {
  ldd "$library"
  for program in emuv-trace emuv-sim; do
    [ ! -x "$stage/bin/$program" ] || "$stage/bin/$program" --version || return 1
  done
}

# Killed in the middle: the file must open and lack only what was not flushed.
killed() {
  traced "$work/killed.emuv" sh -c 'echo $$ >"$0"; exec "$@"' "$work/pid" $decode --tokens 100000 &
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    sleep 1
    [ "$(stat -c %s "$work/killed.emuv" 2>/dev/null || echo 0)" -gt 1000000 ] && break
  done
  kill -9 "$(cat "$work/pid")"
  wait
  ls -l "$work/killed.emuv"
  if [ -x "$stage/bin/emuv-trace" ]; then "$stage/bin/emuv-trace" check "$work/killed.emuv"; fi
  return 0
}

# `timeout` runs programs, not functions: a step that is a function is this script, called with its name.
if [ "$1" = --call ]; then
  shift
  "$@"
  exit
fi

mkdir -p "$1"
out=$(cd "$1" && pwd)
stage=$(cd "${2:-$here/stage}" && pwd) || exit 1
library=$stage/lib/emuv/libemuv_cupti.so
steps=" ${EMUV_STEPS:-self decode llama13b link kill} "
budget_s=${EMUV_BUDGET_S:-345}
work=$(mktemp -d)
cp "$here/tests/gpu/llama_decode.py" "$here/tests/gpu/reference.py" "$work/"
cd "$work" || exit 1
logs=$work/logs
mkdir -p "$logs"
started=$(date +%s)
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
export stage library work
failed=

elapsed() { echo $(($(date +%s) - started)); }
want() { case $steps in *" $1 "*) return 0 ;; esac; return 1; }

# step NAME SECONDS COMMAND...: runs it within its time and what is left of the budget; stdout to $logs/NAME.out.
step() {
  name=$1 limit=$2
  shift 2
  left=$((budget_s - $(elapsed)))
  if [ $left -lt 8 ]; then
    echo "-- $name: no time left"
    failed="$failed $name(time)"
    return 1
  fi
  [ $limit -le $left ] || limit=$left
  timeout -k 5 "$limit" "$@" >"$logs/$name.out" 2>"$logs/$name.err"
  rc=$?
  echo "-- $name: status $rc, at $(elapsed) s"
  if [ $rc -ne 0 ]; then
    failed="$failed $name($rc)"
    tail -n 4 "$logs/$name.err"
  fi
  return $rc
}

if want link && command -v nvcc >/dev/null; then
  nvcc -O2 -arch=native -o "$work/link_curve" "$here/tests/gpu/link_curve.cu" >"$logs/nvcc.out" 2>&1 &
  compiling=$!
fi

want self && step machine 90 sh "$self" --call machine
want self && step self 30 sh "$self" --call self_test
[ ! -s "$logs/self.out" ] || cat "$logs/self.out"

if want decode; then
  # The first run warms the disk cache, and leaves the raw argument blocks.
  EMUV_TRACE_BLOCKS=$out/blocks.txt
  export EMUV_TRACE_BLOCKS
  step blocks 100 sh "$self" --call traced "$work/blocks.emuv" $decode --tokens 4
  unset EMUV_TRACE_BLOCKS
  tail -n 3 "$logs/blocks.err"
  for i in 1 2 3 4 5; do
    step "plain$i" 40 $decode
    step "traced$i" 45 sh "$self" --call traced "$work/llama$i.emuv" $decode --parameters "parameters$i.json"
  done
  for i in 5 4 3 2 1; do
    [ -s "$work/llama$i.emuv" ] && [ -s "$work/parameters$i.json" ] || continue
    cp "$work/llama$i.emuv" "$out/llama-decode.emuv"
    cp "$work/parameters$i.json" "$out/parameters.json"
    break
  done
  if [ -x "$stage/bin/emuv-trace" ] && [ -s "$out/llama-decode.emuv" ]; then
    step check 30 "$stage/bin/emuv-trace" check "$out/llama-decode.emuv"
    cat "$logs/check.out"
    step info 30 "$stage/bin/emuv-trace" info "$out/llama-decode.emuv"
    cat "$logs/info.out"
  fi
fi

want llama13b && step llama13b 150 python3 "$here/tests/gpu/llama13b_offload.py"
if want link; then
  [ -z "${compiling:-}" ] || wait "$compiling"
  step link 60 "$work/link_curve"
fi

want kill && step kill 45 sh "$self" --call killed && cat "$logs/kill.out"

for name in llama13b link; do
  [ ! -s "$logs/$name.out" ] || cp "$logs/$name.out" "$out/$name.json"
done
python3 "$here/scripts/gpu_summary.py" "$logs" "$out" >"$out/summary.txt" 2>&1
[ ! -s "$out/blocks.txt" ] || gzip -f "$out/blocks.txt"
tar -C "$work" -czf "$out/logs.tar.gz" logs
echo
cat "$out/summary.txt"
ls -l "$out"
rm -rf "$work"
echo "took $(elapsed) s; failed steps:${failed:- none}"
[ -z "$failed" ]
