#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The reference programs of tests/gpu on a machine with a GPU: each untraced and traced in turn, outputs compared bit for
# bit, overhead, size, classes and truth of the traces; then under --pages, where the stage has it.
#
#   scripts/gpu_reference.sh RESULTS [STAGE]    STAGE: made by scripts/stage.sh, default ./stage
#
# Leaves in RESULTS: summary.txt, summary.json, traces.tar.gz (one trace and its .parameters.json per program, and merged
# ones), logs.tar.gz. Needs python3 with torch, torchvision, transformers and triton, and nvcc for vmm_managed. A step that
# fails or runs out of its time costs only itself.
# $EMUV_PROGRAMS: which, default "vmm triton mixtral resnet50 unet llama llama-graph llama-pages..." (see below);
# $EMUV_BUDGET_S: for everything, default 470; $EMUV_PAIRS: untraced and traced runs of the Llama decodes, default 5.
set -u
[ $# -ge 1 ] || { echo "usage: gpu_reference.sh RESULTS [STAGE]" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
stage=$(cd "${2:-$here/stage}" && pwd) || exit 1
budget_s=${EMUV_BUDGET_S:-470}
pairs=${EMUV_PAIRS:-5}
programs=${EMUV_PROGRAMS:-vmm triton unet resnet50 mixtral llama llama-graph}
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
    vmm) command=./vmm_managed ;;
    triton) command='python3 triton_kernels.py' ;;
    mixtral) command='python3 mixtral_decode.py' ;;
    resnet50) command='python3 resnet50_train.py' ;;
    unet) command='python3 unet_step.py' ;;
    llama) command='python3 llama_decode.py' ;;
    llama-graph)
      if [ -f llama_graph.py ]; then
        command='python3 llama_graph.py'
      elif grep -q cuda-graph llama_decode.py; then
        command='python3 llama_decode.py --cuda-graph'
      else
        return 1
      fi ;;
    *) echo "gpu_reference.sh: unknown program '$1'" >&2; return 1 ;;
  esac
}
runs_of() { case $1 in llama*) echo "$pairs" ;; *) echo 2 ;; esac; }

# untraced PROGRAM I, traced PROGRAM I: of the traced runs the last good one is kept.
untraced() {
  # shellcheck disable=SC2086 # $command is words
  step "$1.plain$2" 60 $command --parameters "$1.plain.json"
}
traced() {
  rm -f "$1.emuv"
  # shellcheck disable=SC2086
  step "$1.traced$2" 70 "$trace" -q -o "$1.emuv" -- $command --parameters "$1.json" || return 1
  [ -s "$1.emuv" ] || return 1
  cp "$1.emuv" "$traces/$1.emuv"
  cp "$1.json" "$traces/$1.parameters.json"
}

examine() { # NAME: what the trace says
  [ -s "$traces/$1.emuv" ] || return 1
  step "$1.check" 20 "$trace" check "$traces/$1.emuv"
  step "$1.info" 20 "$trace" info --json --top 400 "$traces/$1.emuv"
  [ ! -x "$stage/bin/trace_truth" ] || [ ! -s "$traces/$1.parameters.json" ] ||
    step "$1.truth" 20 "$stage/bin/trace_truth" --json "$traces/$1.emuv" "$traces/$1.parameters.json"
}

pages_of() { # PROGRAM: pages seen on the device, joined to the trace of the same program
  step "$1.pages1" 120 "$trace" -q --pages -o "$1.pages.emuv" -- $command --parameters "$1.pages.json" || return 1
  ls -l "$1.pages.emuv"
  step "$1.merge" 60 "$trace" merge --report "$traces/$1.emuv" "$1.pages.emuv" -o "$traces/$1.merged.emuv" &&
    tail -n 12 "$logs/$1.merge.out" "$logs/$1.merge.err"
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
  *" vmm "*)
    if command -v nvcc >/dev/null; then
      step nvcc 60 nvcc -O2 -arch=native -o vmm_managed "$here/tests/gpu/vmm_managed.cu" -lcuda
    fi ;;
esac

done_programs=
for program in $programs; do
  command_of "$program" || continue
  [ "$program" != vmm ] || [ -x vmm_managed ] || continue
  done_programs="$done_programs $program"
  i=0
  while [ $i -lt "$(runs_of "$program")" ]; do
    i=$((i + 1))
    untraced "$program" $i || [ $i -gt 1 ] || break
    traced "$program" $i
  done
  examine "$program"
done

if "$trace" --help 2>&1 | grep -q -e --pages && [ -e "$stage/lib/emuv/libemuv_sanitizer.so" ]; then
  for program in $done_programs; do
    [ -s "$traces/$program.emuv" ] || continue
    command_of "$program"
    pages_of "$program"
  done
fi

python3 "$here/scripts/gpu_reference_summary.py" "$logs" "$traces" "$out" >"$out/summary.txt" 2>&1
tar -C "$work" -czf "$out/logs.tar.gz" logs
tar -C "$work" -czf "$out/traces.tar.gz" traces
echo
cat "$out/summary.txt"
ls -l "$out" "$traces"
rm -rf "$work"
echo "took $(elapsed) s; failed steps:${failed:- none}"
[ -z "$failed" ]
