#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PyTorch programs that are awkward for a tracer; robustness.py runs them and says what must be in their traces.

    robustness_torch.py MODE [ARGUMENT...]      prints one line of JSON
"""
import json
import os
import subprocess
import sys
import threading
import time


def segments():
    """What PyTorch's allocator holds; the pools of cudaMallocAsync are not its own, and it tells nothing of them."""
    import torch

    try:
        return [[s["address"], s["total_size"]] for s in torch.cuda.memory_snapshot()]
    except RuntimeError:
        return []


def used():
    import torch

    free, total = torch.cuda.mem_get_info()
    return total - free


def train(steps=10, named=None, profiled=None):
    """A small training loop; the parameters, a hash of the losses, and times of the steps."""
    import torch

    torch.manual_seed(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    model = torch.nn.Sequential(torch.nn.Linear(2048, 4096), torch.nn.ReLU(), torch.nn.Linear(4096, 2048)).cuda().half()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    data = torch.randn(256, 2048, device="cuda").half()
    losses, begins = [], []
    for step in range(steps):
        begins.append(time.monotonic_ns())
        if named and step % 2:
            torch.cuda.nvtx.range_push(named)
        if profiled and step % 2:
            torch.cuda.profiler.start()
        loss = (model(data) - data).float().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if profiled and step % 2:
            torch.cuda.profiler.stop()
        if named and step % 2:
            torch.cuda.nvtx.range_pop()
    torch.cuda.synchronize()
    return {
        "losses": losses, "begins": begins, "end": time.monotonic_ns(),
        "reserved": torch.cuda.memory_reserved(), "segments": segments(), "used": used(),
        "parameters": [[p.data_ptr(), p.numel() * p.element_size()] for p in model.parameters()],
    }


def for_seconds(seconds):
    """Trains until the time is over."""
    import torch

    x = torch.randn(1024, 1024, device="cuda").half()
    begins, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begins.append(time.monotonic_ns())
        x = torch.tanh(x @ x)
        x.sum().item()
    return {"begins": begins, "end": time.monotonic_ns()}


def child(n):
    import torch

    x = torch.ones(n, n, device="cuda")
    for _ in range(n):
        x = x * 1.0
    torch.cuda.synchronize()
    time.sleep(0.4)  # a forked child ends by _exit: what the last flush wrote is what stays


def processes(method):
    """Two children by multiprocessing; CUDA is used in the parent too, except where that cannot work (fork)."""
    import multiprocessing

    context = multiprocessing.get_context(method)
    if method == "spawn":
        child(16)
    children = [context.Process(target=child, args=(n,)) for n in (32, 64)]
    for c in children:
        c.start()
    for c in children:
        c.join()
    return {"codes": [c.exitcode for c in children], "pids": [c.pid for c in children], "pid": os.getpid()}


def run_subprocess():
    child(16)
    code = subprocess.run([sys.executable, __file__, "child", "32"], check=False).returncode
    return {"codes": [code], "pid": os.getpid()}


def replace():
    child(16)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, __file__, "child", "32"])


def threads(n):
    """Each thread works on a stream of its own."""
    import torch

    torch.zeros(1, device="cuda")
    pointers = [0] * n

    def work(i):
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            x = torch.ones(1024, 1024 + i, device="cuda")
            pointers[i] = x.data_ptr()
            for _ in range(20):
                x += 1.0
        stream.synchronize()

    workers = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    return {"pointers": pointers}


def profile():
    """torch.profiler, which wants CUPTI for itself."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as p:
        result = train(4)
    gpu = sum(1 for e in p.events() if str(e.device_type).endswith("CUDA"))
    return {"losses": result["losses"], "gpu_events": gpu, "cpu_events": len(p.events())}


def main():
    mode, arguments = sys.argv[1], sys.argv[2:]
    result = {
        "train": lambda: train(int(arguments[0]) if arguments else 10),
        "nvtx": lambda: train(10, named="step"),
        "profiler-ranges": lambda: train(10, profiled=True),
        "seconds": lambda: for_seconds(float(arguments[0])),
        "child": lambda: child(int(arguments[0])),
        "processes": lambda: processes(arguments[0]),
        "subprocess": run_subprocess,
        "exec": replace,
        "threads": lambda: threads(int(arguments[0])),
        "torch-profiler": profile,
    }[mode]()
    print(json.dumps(result or {}))


if __name__ == "__main__":
    main()
