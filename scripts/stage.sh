#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds emuV and installs it into a folder that runs on other machines: programs, the capture library, and the shared
# libraries they need beside them (RPATH $ORIGIN/../lib), so that nothing but the C library is taken from the system.
#
#   scripts/stage.sh [--tarball] [FOLDER]      FOLDER: default ./stage (emptied first)
#
# --tarball also writes emuv-VERSION-linux-x86_64.tar.gz (without trace_truth, test_devices and disk_bench, which are for checks on a GPU). $EMUV_BUILD_DIR: where to build (default build/stage).
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
tarball=no
stage=$source/stage
for arg; do
  case $arg in
    --tarball) tarball=yes ;;
    -*) echo "stage.sh: unknown option $arg; usage: stage.sh [--tarball] [FOLDER]" >&2; exit 2 ;;
    *) stage=$arg ;;
  esac
done
build=${EMUV_BUILD_DIR:-$source/build/stage}

case $stage in /*) ;; *) stage=$PWD/$stage ;; esac
if [ -e "$stage" ] && [ ! -f "$stage/.emuv-stage" ] && [ -n "$(ls -A "$stage")" ]; then
  echo "stage.sh: $stage is not empty and was not made by stage.sh" >&2
  exit 1
fi

cmake -S "$source" --preset release -B "$build" -DEMUV_TESTS=OFF -DEMUV_TRUTH=ON -DCMAKE_INSTALL_PREFIX="$stage" \
  -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_INSTALL_RPATH='$ORIGIN/../lib' \
  -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags >&2
cmake --build "$build" >&2
rm -rf "$stage"
mkdir -p "$stage/lib"
touch "$stage/.emuv-stage"
cmake --install "$build" >/dev/null

# The C library's parts must come from the machine that runs it; everything else travels.
is_system() {
  case $1 in
    linux-vdso.so.*|ld-linux*|libc.so.*|libm.so.*|libpthread.so.*|libdl.so.*|librt.so.*) return 0 ;;
  esac
  return 1
}
programs=$(find "$stage/bin" -type f -exec sh -c 'head -c4 "$1" | grep -q ELF && echo "$1"' _ {} \;)
for program in $programs; do
  ldd "$program" | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | while read -r name path; do
    is_system "$name" || [ -e "$stage/lib/$name" ] || cp -L "$path" "$stage/lib/$name"
  done
done

# CUPTI goes beside the capture library, for processes that bring none of their own.
if [ -e "$stage/lib/emuv/libemuv_cupti.so" ]; then
  for folder in "${CUDA_HOME:-/usr/local/cuda}/lib64" "${CUDA_HOME:-/usr/local/cuda}/extras/CUPTI/lib64" /usr/local/cuda/lib; do
    for name in libcupti.so.13 libcupti.so.12; do
      if [ -e "$folder/$name" ]; then cp -L "$folder/$name" "$stage/lib/emuv/$name"; break 2; fi
    done
  done
fi

# The Sanitizer library goes beside the library of --pages.
if [ -e "$stage/lib/emuv/libemuv_sanitizer.so" ]; then
  for folder in "${EMUV_SANITIZER_HOME:-/nonexistent}" "${CUDA_HOME:-/usr/local/cuda}/compute-sanitizer" /usr/local/cuda/compute-sanitizer; do
    for sub in "" /lib /compute-sanitizer; do
      if [ -e "$folder$sub/libsanitizer-public.so" ]; then cp -L "$folder$sub/libsanitizer-public.so" "$stage/lib/emuv/"; break 2; fi
    done
  done
fi

# Nothing may resolve outside the stage.
bad=0
for file in $programs "$stage/lib/emuv/libemuv_cupti.so" "$stage/lib/emuv/libemuv_sanitizer.so"; do
  [ -e "$file" ] || continue
  while read -r name arrow path rest; do
    [ "$arrow" = "=>" ] || continue
    is_system "$name" && continue
    case $path in "$stage"/*) ;; *) echo "stage.sh: $file takes $name from $path" >&2; bad=1 ;; esac
  done <<LDD
$(ldd "$file")
LDD
done
[ $bad = 0 ] || exit 1

if [ $tarball = yes ]; then
  version=$(sed -n 's/^#define EMUV_VERSION "\(.*\)"$/\1/p' "$build/generated/emuv_version.h")
  name=emuv-$version-linux-x86_64
  tar -C "$(dirname "$stage")" --transform "s,^$(basename "$stage"),$name," --exclude .emuv-stage \
    --exclude trace_truth --exclude test_devices --exclude disk_bench -czf "$name.tar.gz" "$(basename "$stage")"
  echo "$name.tar.gz"
else
  echo "$stage"
fi
