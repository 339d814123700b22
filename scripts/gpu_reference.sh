#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The reference programs of tests/gpu on a machine with a GPU: each untraced and traced in turn, outputs compared bit for
# bit, overhead, size, classes and truth of the traces; then under --pages, where the stage has it.
#
#   scripts/gpu_reference.sh RESULTS [STAGE]    STAGE: made by scripts/stage.sh, default ./stage
#
# Leaves in RESULTS: summary.txt, summary.json, logs.tar.gz, and traces.tar.gz with NAME.emuv (the last good traced run),
# NAME.parameters.json and NAME.json (what the program said in that run), and NAME.merged.emuv of the runs with pages.
# Needs python3 with torch, torchvision, transformers and triton, and nvcc for vmm-managed. A step that fails or runs out of
# its time costs only itself.
#
# $EMUV_PROGRAMS: which (command_of below lists them); $EMUV_BUDGET_S: for everything, default 520; $EMUV_PAIRS: untraced
# and traced runs of the Llama decodes, default 5; $EMUV_PAGES: which of them with pages, default all; $EMUV_VARIANTS:
# other settings of these programs, once each, where time is left.
set -u
[ $# -ge 1 ] || { echo "usage: gpu_reference.sh RESULTS [STAGE]" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
stage=$(cd "${2:-$here/stage}" && pwd) || exit 1
budget_s=${EMUV_BUDGET_S:-520}
pairs=${EMUV_PAIRS:-5}
programs=${EMUV_PROGRAMS:-vmm-managed triton-kernels unet-step resnet50-train mixtral-decode llama-1.1b-decode llama-1.1b-graph}
paged=${EMUV_PAGES:-llama-1.1b-decode vmm-managed llama-1.1b-graph mixtral-decode triton-kernels unet-step resnet50-train}
variants=${EMUV_VARIANTS:-vmm-per-thread llama-expandable llama-async llama-long}
trace=$stage/bin/emuv-trace
work=$(mktemp -d)
logs=$work/logs
traces=$work/traces
mkdir -p "$logs" "$traces"
cp "$here"/tests/gpu/*.py "$work/"
cd "$work" || exit 1
started=$(date +%s)
failed=
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false CUBLAS_WORKSPACE_CONFIG=:4096:8
export TRITON_CACHE_DIR="$work/triton"

elapsed() { echo $(($(date +%s) - started)); }

# step NAME SECONDS COMMAND...: runs it within its time and what is left of the budget; output to $logs/NAME.out, .err.
step() {
  name=$1 limit=$2
  shift 2
  left=$((budget_s - $(elapsed)))
  if [ $left -lt 8 ]; then
    echo "-- $name: no time left"
    failed="$failed $name(time)"
    return 1
  fi
  [ "$limit" -le $left ] || limit=$left
  began=$(date +%s)
  timeout -k 5 "$limit" "$@" >"$logs/$name.out" 2>"$logs/$name.err"
  rc=$?
  echo "-- $name: status $rc, $(($(date +%s) - began)) s, at $(elapsed) s"
  if [ $rc -ne 0 ]; then
    failed="$failed $name($rc)"
    tail -n 4 "$logs/$name.err"
  fi
  return $rc
}

# The command of a program, in $command; paths are relative, so that traces carry none of the machine.
command_of() {
  case $1 in
    vmm-managed) command=./vmm_managed && [ -x vmm_managed ] ;;
    vmm-per-thread) command=./vmm_per_thread && [ -x vmm_per_thread ] ;;
    triton-kernels) command='python3 triton_kernels.py' ;;
    unet-step) command='python3 unet_step.py' ;;
    resnet50-train) command='python3 resnet50_train.py' ;;
    mixtral-decode) command='python3 mixtral_decode.py' ;;
    llama-1.1b-decode) command='python3 llama_decode.py' ;;
    llama-1.1b-graph)
      if [ -f llama_graph.py ]; then
        command='python3 llama_graph.py'
      else
        command='python3 llama_decode.py --cuda-graph' && grep -q cuda-graph llama_decode.py
      fi ;;
    llama-expandable) command="env PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True python3 llama_decode.py $small" ;;
    llama-async) command="env PYTORCH_CUDA_ALLOC_CONF=backend:cudaMallocAsync python3 llama_decode.py $small" ;;
    llama-long) command='python3 llama_decode.py --layers 4 --tokens 160' ;; # does memory grow with time?
    *) false ;;
  esac || { echo "-- $1: not here"; return 1; }
}
small='--layers 4 --tokens 8'
runs_of() { case $1 in llama-1.1b*) echo "$pairs" ;; vmm*|triton*) echo 2 ;; *) echo 1 ;; esac; }

# untraced PROGRAM I, traced PROGRAM I: of the traced runs the last good one is kept.
untraced() {
  # shellcheck disable=SC2086 # $command is words
  step "$1.plain$2" 60 $command --parameters "$1.plain.json"
}
traced() {
  rm -f "$1.emuv"
  # shellcheck disable=SC2086
  step "$1.traced$2" 70 "$trace" -q -o "$1.emuv" -- $command --parameters "$1.parameters.json" || return 1
  [ -s "$1.emuv" ] || return 1
  cp "$1.emuv" "$1.parameters.json" "$traces/"
  cp "$logs/$1.traced$2.out" "$traces/$1.json"
}

# examine NAME: what the trace says of itself, and whether it is what the program says.
examine() {
  [ -s "$traces/$1.emuv" ] || return 1
  cd "$traces" || return 1
  step "$1.check" 20 "$trace" check "$1.emuv"
  step "$1.info" 20 "$trace" info --json --top 1000 "$1.emuv"
  case $1 in *-decode|*-graph|llama-*) exact=99 ;; *) exact=0 ;; esac # convolutions and training: class exact is not promised
  if [ -x "$stage/bin/trace_truth" ] && [ -s "$1.parameters.json" ]; then
    step "$1.truth" 20 "$stage/bin/trace_truth" --json --exact $exact "$1.emuv" "$1.parameters.json"
  fi
  cd "$work" || return 1
}

pages_of() { # PROGRAM: pages seen on the device, joined to the trace of the same program
  rm -f "$1.pages.emuv"
  # shellcheck disable=SC2086
  step "$1.pages1" 90 "$trace" -q --pages -o "$1.pages.emuv" -- $command --parameters "$1.pages.json" || return 1
  [ -s "$1.pages.emuv" ] || return 1
  ls -l "$1.pages.emuv" >"$logs/$1.pages.size"
  cp "$1.pages.emuv" "$traces/"
  step "$1.merge" 60 "$trace" merge --report -o "$traces/$1.merged.emuv" "$traces/$1.emuv" "$1.pages.emuv"
  step "$1.report" 60 "$trace" merge --json --report --top 1000 "$traces/$1.emuv" "$1.pages.emuv"
  if [ -x "$stage/bin/trace_truth" ] && [ -s "$traces/$1.merged.emuv" ]; then
    step "$1.merged.truth" 20 "$stage/bin/trace_truth" --json --exact 0 --pages "$traces/$1.merged.emuv" \
      "$traces/$1.parameters.json"
  fi
}

machine() {
  nvidia-smi --query-gpu=name,driver_version,memory.total,memory.used --format=csv
  uname -sr | cut -d- -f1
  nproc
  python3 -c 'import torch, torchvision, transformers, triton
print("torch", torch.__version__, "CUDA", torch.version.cuda, "transformers", transformers.__version__, "torchvision",
      torchvision.__version__, "triton", triton.__version__)'
  "$trace" --version
}

machine >"$logs/machine.out" 2>&1
cat "$logs/machine.out"
case " $programs " in
  *" vmm-managed "*)
    if command -v nvcc >/dev/null; then
      step nvcc 60 nvcc -O2 -arch=native -o vmm_managed "$here/tests/gpu/vmm_managed.cu" -lcuda
      step nvcc2 60 nvcc -O2 -arch=native --default-stream per-thread -o vmm_per_thread \
        "$here/tests/gpu/vmm_managed.cu" -lcuda
    fi ;;
esac
# The first run of each library's files from the disk is slow: not one of those that count.
step warm 60 python3 -c 'import torch, torchvision, transformers, triton; torch.zeros(1).cuda()'

once() {
  command_of "$1" || return 1
  untraced "$1" 1
  traced "$1" 1
}

# Every program once first, so that nothing is missing when the time is short; then the repetitions.
for program in $programs; do once "$program"; done
for program in $programs; do
  [ -s "$traces/$program.emuv" ] && command_of "$program" || continue
  i=1
  while [ $i -lt "$(runs_of "$program")" ]; do
    i=$((i + 1))
    untraced "$program" $i
    traced "$program" $i
  done
  examine "$program"
done

if "$trace" --help 2>&1 | grep -q -e --pages && [ -e "$stage/lib/emuv/libemuv_sanitizer.so" ]; then
  for program in $paged; do
    [ -s "$traces/$program.emuv" ] && command_of "$program" && pages_of "$program"
  done
fi

for program in $variants; do once "$program" && examine "$program"; done

python3 "$here/scripts/gpu_reference_summary.py" "$logs" "$traces" "$out" >"$out/summary.txt" 2>&1
for variant in $variants; do rm -f "$traces/$variant".*; done
tar -C "$work" -czf "$out/logs.tar.gz" logs
# What comes back has to be small: traces with pages apart, largest last, up to 16 MB.
tar -C "$work" -czf "$out/traces.tar.gz" --exclude '*.pages.emuv' --exclude '*.merged.emuv' traces
(cd "$work" && ls -Sr traces/*.merged.emuv traces/*.pages.emuv 2>/dev/null) | while read -r file; do
  sum=$((${sum:-0} + $(stat -c %s "$work/$file")))
  [ $sum -gt 15000000 ] || printf '%s\n' "$file"
done >"$work/merged"
[ ! -s "$work/merged" ] || tar -C "$work" -czf "$out/merged.tar.gz" -T "$work/merged"
echo
cat "$out/summary.txt"
ls -l "$out" "$traces"
rm -rf "$work"
echo "took $(elapsed) s; failed steps:${failed:- none}"
[ -z "$failed" ]
