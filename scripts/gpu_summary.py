#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the table of a run of gpu_capture.sh: gpu_summary.py LOGS RESULTS."""
import contextlib
import json
import os
import statistics
import sys


def load(path):
    """The JSON object in a file, or None: a step may have failed half way."""
    try:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        return json.loads(text[text.index("{"):])
    except (OSError, ValueError):
        return None


def row(name, value, unit=""):
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    print(f"{name:<44} {text:>14} {unit}")


def decode_rows(logs, results):
    runs = {kind: [r for i in range(1, 6) if (r := load(f"{logs}/{kind}{i}.out"))] for kind in ("plain", "traced")}
    for kind, rs in runs.items():
        for i, r in enumerate(rs, 1):
            row(f"decode {kind} {i}: s/token, its fastest", r["s_per_token"], f"{r['s_per_token_min']:.4g}")
    plain, traced = ([r["s_per_token"] for r in runs[k]] for k in ("plain", "traced"))
    if plain and traced:
        row("tracing overhead, medians", 100 * (statistics.median(traced) / statistics.median(plain) - 1), "%")
        plain, traced = ([r["s_per_token_min"] for r in runs[k]] for k in ("plain", "traced"))
        row("tracing overhead, fastest tokens", 100 * (statistics.median(traced) / statistics.median(plain) - 1), "%")
    ids = {r["ids_sha256"] for rs in runs.values() for r in rs}
    if ids:
        row("decode outputs identical", "yes" if len(ids) == 1 else f"NO: {len(ids)} kinds")
    if plain:
        row("parameters without embedding", runs["plain"][0]["parameter_bytes_without_embedding"], "bytes")
    trace = f"{results}/llama-decode.emuv"
    if os.path.exists(trace):
        row("trace", os.path.getsize(trace), "bytes")


def offload_rows(r):
    if not r:
        return
    for part in ("resident", "resident again", "uva", "layer-offload"):
        value = r.get(part, {})
        row(f"13B {part}: s/token", value.get("s_per_token", value.get("error", "-")))
    for part in ("resident", "resident again", "launches"):
        for key, value in r.get(part, {}).items():
            if key != "s_per_token":
                row(f"13B {part}: {key}", value)
    for shape, rate in r.get("uva", {}).get("zero_copy", {}).get("gb_per_s_by_shape", {}).items():
        row(f"13B zero copy, matrix {shape}", rate, "GB/s")
    for key in ("host_bytes", "pin_s_per_gib"):
        row(f"13B uva: {key}", r.get("uva", {}).get(key, "-"))
    row("13B layer-offload: offloaded_bytes", r.get("layer-offload", {}).get("offloaded_bytes", "-"))
    for size, rate in r.get("pageable", {}).get("gb_per_s", {}).items():
        row(f"pageable tensor.to, {size}", rate, "GB/s")
    for name, rates in r.get("pageable", {}).get("loop_gb_per_s", {}).items():
        row(f"pageable, layers' matrices in order, cache {name}", statistics.median(rates), "GB/s")
    for part in ("small", "layer"):
        for key, value in r.get(part, {}).items():
            row(f"{'small model' if part == 'small' else 'layer of 13B shape'}: {key}", value)


def link_rows(r):
    if not r:
        return
    for direction in ("h2d", "d2h"):
        curve = r[f"{direction}_gb_per_s"]
        print(f"{direction} GB/s: " + " ".join(f"{k}={v}" for k, v in curve.items()))
    batches = r["batch_64KiB"].items()
    print("batches of 64 KiB: " + " ".join(f"{k}={v['gb_per_s']}GB/s/{v['call_us']}us" for k, v in batches))
    for key in ("duplex_gb_per_s", "launch", "sync_copy_4KiB_us", "pageable_gb_per_s", "zero_copy_gb_per_s",
                "device_read_gb_per_s"):
        print(f"{key}: {r[key]}")


def main():
    logs, results = sys.argv[1:3]
    with contextlib.suppress(OSError), open(f"{logs}/machine.out", encoding="utf-8") as f:
        print(f.read())
    decode_rows(logs, results)
    offload_rows(load(f"{results}/llama13b.json"))
    link_rows(load(f"{results}/link.json"))


if __name__ == "__main__":
    main()
