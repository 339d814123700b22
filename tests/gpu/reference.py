# SPDX-License-Identifier: Apache-2.0
"""What the reference programs of this folder share: ranges, hashes, and the description of their tensors.

A program prints one JSON object: "unit" (what it does again and again), seconds per unit, "sha256" of its outputs (the
same in every run, traced or not), bytes of its parameters. With --parameters FILE it writes a JSON array of its tensors
for trace_truth, each {"name", "address", "bytes", "shape", "read", "steps"}:

  read   what a step does with the memory: "all" reads all of it, as a matrix product does; "touch" uses it in some way
         (caches, states of an optimizer); "rows" uses a part of it (embedding tables); "none" leaves it alone
  steps  in which steps (ranges), counted from 0; in all others nothing touches it ("touch": that is left open, memory of
         caches may have been something else before). Without the key: in all steps.
"""
import argparse
import hashlib
import json
import os
import resource
import statistics
import sys
import time

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
import torch  # noqa: E402  cuBLAS reads the variable when it starts


class Range:
    """An NVTX range; on a CPU nothing."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        if torch.cuda.is_available():
            torch.cuda.nvtx.range_push(self.name)

    def __exit__(self, *_):
        if torch.cuda.is_available():
            torch.cuda.nvtx.range_pop()


def parser(doc):
    p = argparse.ArgumentParser(description=doc.splitlines()[0])
    p.add_argument("--device", default="cuda", help="cpu: to try the program without a GPU")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--parameters", metavar="FILE", help="write name, address, bytes and use of every tensor as JSON")
    return p


def deterministic():
    """As far as an operation has a deterministic form; memory is not filled for its sake: that would add launches."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def digest(values):
    """SHA-256 over tensors (their bytes) and anything that JSON can write."""
    h = hashlib.sha256()
    for v in values:
        if isinstance(v, torch.Tensor):
            h.update(v.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
        else:
            h.update(json.dumps(v).encode())
    return h.hexdigest()


def describe(name, tensor, read="all", steps=None):
    entry = {"name": name, "address": tensor.data_ptr(), "bytes": tensor.numel() * tensor.element_size(),
             "shape": list(tensor.shape), "read": read}
    return entry if steps is None else entry | {"steps": steps}


def describe_parameters(model):
    return [describe(name, p, "rows" if "embed_tokens" in name else "all") for name, p in model.named_parameters()]


def describe_cache(cache, steps):
    return [describe(f"cache.{i}.{kind}", tensor, "touch", steps)
            for i, layer in enumerate(cache.layers) for kind, tensor in (("key", layer.keys), ("value", layer.values))]


def write_parameters(path, entries):
    if path:
        with open(path, "w", encoding="ascii") as f:
            json.dump(entries, f, indent=1)


def max_rss_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def report(o, unit, seconds, sha256, model, **more):
    """Prints the result; seconds: of each unit of work."""
    on_gpu = o.device == "cuda"
    json.dump({
        "unit": unit, "units": len(seconds), "s_per_unit": statistics.median(seconds),
        "s_per_unit_mean": statistics.fmean(seconds), "s_per_unit_min": min(seconds),
        "seconds": [round(s, 9) for s in seconds], "sha256": sha256,
        "parameter_bytes": sum(p.numel() * p.element_size() for p in model.parameters()) if model else 0,
        "max_memory_bytes": torch.cuda.max_memory_allocated() if on_gpu else 0, "max_rss_bytes": max_rss_bytes(),
        "torch": torch.__version__, "device": torch.cuda.get_device_name() if on_gpu else "cpu", **more}, sys.stdout)
    print()


class Clock:
    """Seconds of each unit of work: with clock.unit(): ... waits for the device, as a program does that uses the result."""

    def __init__(self, device, name):
        self.device, self.name, self.seconds = device, name, []

    def unit(self):
        return _Unit(self)


class _Unit:
    def __init__(self, clock):
        self.clock, self.range = clock, Range(clock.name)

    def __enter__(self):
        self.start = time.perf_counter()
        self.range.__enter__()

    def __exit__(self, *error):
        synchronize(self.clock.device)
        self.range.__exit__(*error)
        self.clock.seconds.append(time.perf_counter() - self.start)
