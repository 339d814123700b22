#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a user gets today from a 13B-parameter Llama when VRAM is limited: measured on this machine.

Llama-2-13B's shape, fp16, random weights, decode at batch 1, VRAM limited to 11 GiB for the weights. Three ways:
resident (limit not applied), uva (weights beyond the limit pinned on the host and read in place by the kernels),
layer-offload (Accelerate: infer_auto_device_map, dispatch_model). Beside them the rates that explain the times, each
measured without the 13B model running: pageable copies (by tensor size, and in the order of Accelerate's hooks),
matrix-vector products on host memory by shape, launches per layer and the host's time for each on small models.

Attention through cuDNN builds a plan for each context length that the process has not seen: about as much host time as
all of a token's launches. A decode meets a new length at every token, so each part here decodes lengths of its own
("resident again" does not).
Prints one JSON object; each part that fails is reported by name and the others go on.
"""
import argparse
import contextlib
import ctypes
import json
import statistics
import sys
import time
import traceback

import torch
import torch.utils.dlpack
from transformers import LlamaConfig, LlamaForCausalLM

# Tokens of each part's prompt: far enough apart that no part decodes context lengths that another one has seen.
PROMPTS = {"small": 16, "resident": 16, "uva": 64, "layer-offload": 112}
MIB = 1 << 20
GIB = 1 << 30


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--layers", type=int, default=40)
    p.add_argument("--vram-gib", type=float, default=11)
    p.add_argument("--tokens", type=int, default=32, help="decode steps timed (layer-offload: half as many)")
    p.add_argument("--parts", default="small,layer,resident,resident again,launches,uva,pageable,layer-offload")
    return p.parse_args()


def build(layers, heads=40, intermediate=13824):
    config = LlamaConfig(
        vocab_size=32000, hidden_size=128 * heads, intermediate_size=intermediate, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=4096, tie_word_embeddings=False)
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return model.to(torch.float16).eval()


@torch.inference_mode()
def decode(model, prompt_tokens, tokens):
    """Medians over the steps: seconds per token, and seconds until the forward call has issued everything."""
    prompt = torch.arange(prompt_tokens, device="cuda").unsqueeze(0) + 7
    out = model(input_ids=prompt, use_cache=True)
    next_id = out.logits[:, -1].argmax(-1, keepdim=True)
    whole, issue = [], []
    for _ in range(tokens + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        out = model(input_ids=next_id, past_key_values=out.past_key_values, use_cache=True)
        next_id = out.logits[:, -1].argmax(-1, keepdim=True)
        issued = time.perf_counter()
        int(next_id)
        whole.append(time.perf_counter() - start)
        issue.append(issued - start)
    return {"s_per_token": statistics.median(whole[1:]), "issue_s_per_token": statistics.median(issue[1:]), "tokens": tokens}


@torch.inference_mode()
def count_launches(model, layers, resident):
    """Kernels per token, by the profiler, in the middle of a decode."""
    from torch.profiler import ProfilerActivity, profile
    out = model(input_ids=torch.arange(16, device="cuda").unsqueeze(0) + 7, use_cache=True)
    next_id = out.logits[:, -1].argmax(-1, keepdim=True)
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as prof:
        model(input_ids=next_id, past_key_values=out.past_key_values, use_cache=True)
        torch.cuda.synchronize()
    events = [e for e in prof.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    kernels = [e for e in events if not e.name.startswith(("Memcpy", "Memset"))]
    busy = sum(e.time_range.elapsed_us() for e in kernels) * 1e-6
    result = {"kernels_per_token": len(kernels), "copies_per_token": len(events) - len(kernels),
              "kernels_per_layer": len(kernels) / layers, "gpu_busy_s_per_token": busy}
    if resident and kernels:
        result["host_s_per_launch"] = resident["issue_s_per_token"] / len(kernels)
    return result


def measure_small(layers, tokens):
    """A model of the same depth that any GPU outruns: its time per token is the host's. On context lengths that are new
    (plans are built) and again on the same ones (they are known)."""
    model = build(layers, heads=8, intermediate=2816)
    new, seen = (decode(model, PROMPTS["small"], tokens) for _ in range(2))
    counted = count_launches(model, layers, new)
    n = counted["kernels_per_token"]
    return {"kernels_per_token": n, "gpu_busy_s_per_token": counted["gpu_busy_s_per_token"],
            "new_s_per_token": new["s_per_token"], "seen_s_per_token": seen["s_per_token"],
            "new_host_s_per_launch": new["issue_s_per_token"] / n,
            "seen_host_s_per_launch": seen["issue_s_per_token"] / n,
            "plan_s_per_token": new["issue_s_per_token"] - seen["issue_s_per_token"]}


def measure_layer(few=2, many=6):
    """Kernels of one layer of the 13B shape, as the difference of two shallow models."""
    kernels = [count_launches(build(n), n, None)["kernels_per_token"] for n in (few, many)]
    per_layer = (kernels[1] - kernels[0]) / (many - few)
    torch.cuda.empty_cache()
    return {"kernels_per_layer": per_layer, "kernels_outside_layers": kernels[0] - few * per_layer}


class DLTensor(ctypes.Structure):
    """DLManagedTensor of dlpack.h, for a contiguous tensor that nobody needs to free."""
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
                ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


kept = []


def tensor_at(address, shape):
    """An fp16 tensor on the CUDA device over memory that is there already."""
    class View:
        __cuda_array_interface__ = {"shape": shape, "typestr": "<f2", "data": (address, False), "version": 3,
                                    "strides": None, "stream": None}
    with contextlib.suppress(Exception):
        return torch.as_tensor(View(), device="cuda")
    dl_cuda, dl_float = 2, 2
    dims = (ctypes.c_int64 * len(shape))(*shape)
    managed = DLTensor(address, dl_cuda, 0, len(shape), dl_float, 16, 1, dims, None, 0, None, None)
    kept.append((dims, managed))
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    return torch.utils.dlpack.from_dlpack(new(ctypes.byref(managed), b"dltensor", None))


class HostSlab:
    """Pinned host memory that kernels can read in place, cut into tensors that PyTorch takes for device memory."""

    def __init__(self, size):
        self.cudart = None
        for name in ("libcudart.so.13", "libcudart.so.12"):
            with contextlib.suppress(OSError):
                self.cudart = ctypes.CDLL(name)
                break
        if self.cudart is None:
            raise RuntimeError("libcudart not found")
        self.pointer = ctypes.c_void_p()
        portable_mapped = 1 | 2
        rc = self.cudart.cudaHostAlloc(ctypes.byref(self.pointer), ctypes.c_size_t(size), ctypes.c_uint(portable_mapped))
        if rc:
            raise RuntimeError(f"cudaHostAlloc of {size} bytes: error {rc}")
        self.size, self.used = size, 0

    def tensor_like(self, t):
        need = (t.numel() * t.element_size() + 511) // 512 * 512
        if self.used + need > self.size:
            raise RuntimeError("slab too small")
        address = self.pointer.value + self.used
        self.used += need

        return tensor_at(address, tuple(t.shape))

    def free(self):
        self.cudart.cudaFreeHost(self.pointer)


def split_by_limit(model, limit):
    """Parameters in the order of use; those that no longer fit below the limit."""
    used, beyond = 0, []
    for _, p in model.named_parameters():
        used += p.numel() * p.element_size()
        if used > limit:
            beyond.append(p)
    return beyond


@torch.inference_mode()
def measure_uva(model, limit, tokens):
    beyond = split_by_limit(model, limit)
    size = sum((p.numel() * p.element_size() + 511) // 512 * 512 for p in beyond)
    start = time.perf_counter()
    slab = HostSlab(size)
    pin_s = time.perf_counter() - start
    originals = []
    for p in beyond:
        host = slab.tensor_like(p.data)
        host.copy_(p.data)
        originals.append(p.data)
        p.data = host
    torch.cuda.synchronize()
    result = decode(model, PROMPTS["uva"], tokens)
    result.update({"host_bytes": size, "pin_s_per_gib": pin_s / (size / GIB), "zero_copy": measure_zero_copy(beyond)})
    for p, data in zip(beyond, originals):
        p.data = data
    del originals
    torch.cuda.synchronize()
    slab.free()
    return result


def measure_zero_copy(parameters):
    """Rate of matrix-vector products whose matrix lies in host memory, by matrix shape."""
    rates = {}
    for shape in sorted({tuple(p.shape) for p in parameters if p.dim() == 2}):
        matrices = [p.data for p in parameters if tuple(p.shape) == shape][:8]
        x = torch.randn(1, shape[1], dtype=torch.float16, device="cuda")
        torch.nn.functional.linear(x, matrices[0])
        torch.cuda.synchronize()
        start = time.perf_counter()
        for m in matrices:
            torch.nn.functional.linear(x, m)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        rates["x".join(map(str, shape))] = sum(m.numel() * 2 for m in matrices) / seconds / 1e9
    return {"gb_per_s_by_shape": rates}


def timed_copies(tensors, release):
    """Seconds to copy each tensor to the device and drop it; release: the allocator's cache too, as Accelerate does."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    for t in tensors:
        on_device = t.to(0)
        if release:
            torch.cuda.empty_cache()
        del on_device
    torch.cuda.synchronize()
    return time.perf_counter() - start


def measure_pageable(layers=8, sizes_mib=(2, 25, 50, 100, 135, 200, 400)):
    """Copies of pageable tensors to the device, by size; and of the matrices of whole layers in the order in which
    Accelerate's hooks copy them, with and without the release of the allocator's cache that its hooks make each time."""
    by_size = {}
    for mib in sizes_mib:
        sources = [torch.ones(mib * MIB // 2, dtype=torch.float16) for _ in range(6)]
        times = [timed_copies([s], False) for s in sources]
        by_size[f"{mib}MiB"] = mib * MIB / statistics.median(times[1:]) / 1e9
        del sources
    shapes = 4 * [(5120, 5120)] + 2 * [(13824, 5120)] + [(5120, 13824)]
    tensors = [torch.ones(shape, dtype=torch.float16) for _ in range(layers) for shape in shapes]
    size = sum(t.numel() * t.element_size() for t in tensors)
    loop = {name: [size / timed_copies(tensors, release) / 1e9 for _ in range(3)]
            for name, release in (("kept", False), ("released", True))}
    return {"gb_per_s": by_size, "loop_bytes": size, "loop_gb_per_s": loop}


def measure_layer_offload(model, limit, tokens):
    from accelerate import dispatch_model, infer_auto_device_map
    start = time.perf_counter()
    model.to("cpu")
    torch.cuda.empty_cache()
    to_cpu_s = time.perf_counter() - start
    device_map = infer_auto_device_map(model, max_memory={0: int(limit), "cpu": 100 * GIB},
                                       no_split_module_classes=["LlamaDecoderLayer"])
    on_cpu = [k for k, v in device_map.items() if v == "cpu"]
    model = dispatch_model(model, device_map)
    result = decode(model, PROMPTS["layer-offload"], tokens)
    offloaded = sum(p.numel() for n, p in model.named_parameters() if p.device.type == "meta") * 2
    result.update({"to_cpu_s": to_cpu_s, "modules_on_cpu": len(on_cpu), "first_on_cpu": on_cpu[:1],
                   "offloaded_bytes": offloaded})
    return result


def main():
    o = options()
    limit = o.vram_gib * GIB
    parts = o.parts.split(",")
    results = {"layers": o.layers, "vram_limit_bytes": int(limit)}

    def run(name, function, *args):
        if name not in parts:
            return None
        print(f"{name} ...", file=sys.stderr, flush=True)
        start = time.perf_counter()
        try:
            results[name] = function(*args)
            results[name]["wall_s"] = time.perf_counter() - start
        except Exception as error:  # one part must not cost the others
            traceback.print_exc()
            results[name] = {"error": f"{type(error).__name__}: {error}"}
        torch.cuda.synchronize()
        print(json.dumps({name: results[name]}), file=sys.stderr, flush=True)
        return results[name]

    run("small", measure_small, o.layers, o.tokens)
    run("layer", measure_layer)
    start = time.perf_counter()
    model = build(o.layers)
    torch.cuda.synchronize()
    results["build_s"] = time.perf_counter() - start
    results["parameter_bytes"] = sum(p.numel() * p.element_size() for p in model.parameters())
    resident = run("resident", decode, model, PROMPTS["resident"], o.tokens)
    run("resident again", decode, model, PROMPTS["resident"], o.tokens)
    run("launches", count_launches, model, o.layers, resident if resident and "error" not in resident else None)
    run("uva", measure_uva, model, limit, o.tokens)
    run("pageable", measure_pageable)
    run("layer-offload", measure_layer_offload, model, limit, max(2, o.tokens // 2))
    json.dump(results, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
