#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Awkward programs under emuv-trace on a machine with a GPU, and one table of what was captured: fork, exec,
# multiprocessing, per-thread streams, PyTorch's other allocators, other users of CUPTI, full disks, kills, windows of
# recording. About five minutes.
#
#   scripts/gpu_robustness.sh RESULTS [STAGE [CASE...]]   STAGE: made by scripts/stage.sh, default ./stage
#
# Needs nvcc and python3 with torch. "two GPUs" runs only when it is named. Exit status 1 when a case failed, 77 without
# a GPU.
set -eu
[ $# -ge 1 ] || { echo "usage: gpu_robustness.sh RESULTS [STAGE [CASE...]]" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
results=$(cd "$1" && pwd)
stage=$(cd "${2:-$here/stage}" && pwd)
shift
[ $# -eq 0 ] || shift
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader || exit 77
program=$results/robustness_program
nvcc -O2 -arch=native --default-stream per-thread -o "$program" "$here/tests/gpu/robustness_program.cu"
status=0
python3 -u "$here/tests/gpu/robustness.py" "$stage" "$program" "$results" "$@" || status=$?
rm -f "$program"
exit $status
