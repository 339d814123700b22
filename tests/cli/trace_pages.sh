#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# emuv-trace --pages and emuv-trace merge: wrong usage, what is missing, errors; without a GPU.
. "$EMUV_SOURCE/tests/cli/lib.sh"
trace=$EMUV_BIN/emuv-trace
recorded=$EMUV_SOURCE/results/traces/llama-1.1b-decode.emuv

for size in 3KiB 2KiB 4MiB 64K 0 -1; do
  status 2 "$trace" --pages=$size true
  has err 'error: --pages: '
done
status 2 "$trace" --pages=96KiB true
has err "'96KiB' is not a power of two from 4KiB to 2MiB"
for other in --start-after=1s --duration=1s --capture-range=cudaProfilerApi; do
  status 2 "$trace" --pages $other true
  has err 'cannot be combined'
done

# A library that is not there, of ours or of NVIDIA's.
status 77 env EMUV_PAGES_LIBRARY=/nonexistent/library.so "$trace" --pages true
has err 'libemuv_sanitizer.so was not found'
has err 'hint: '
printf 'not a library\n' >ours.so
status 77 env EMUV_PAGES_LIBRARY="$tmp/ours.so" EMUV_SANITIZER_LIBRARY=/nonexistent "$trace" --pages true
has err 'libsanitizer-public.so, which was not found'
has err 'pip install nvidia-cuda-sanitizer-api'
status 0 env EMUV_PAGES_LIBRARY="$tmp/ours.so" EMUV_SANITIZER_LIBRARY="$tmp/ours.so" "$trace" --pages=4KiB \
  sh -c 'echo "$EMUV_TRACE_PAGES ${NVTX_INJECTION64_PATH:-none} $CUDA_INJECTION64_PATH"'
[ "$(cat out)" = "4096 none $tmp/ours.so" ] || fail "environment: $(cat out)"

status 2 "$trace" merge "$recorded"
has err 'give two files'
status 2 "$trace" merge "$recorded" "$recorded" "$recorded"
has err 'is one too many'
status 2 "$trace" merge "$recorded" "$recorded"
has err 'give --output FILE or --report'
status 3 "$trace" merge "$recorded" "$recorded" --report
has err 'is not a capture of pages'
status 1 "$trace" merge nothing.emuv "$recorded" -o merged.emuv
has err 'cannot open nothing.emuv'
[ ! -e merged.emuv ] || fail 'a merged trace of nothing'
status 0 "$trace" merge --help
has out 'DEFAULT PAGES'
