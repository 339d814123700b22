#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Triton kernels: vector add, softmax, and two matrix products that read through TMA descriptors.

One product gets its descriptors from the host (as arguments of the kernel: their extents can be read from the argument
block), one makes them on the device (the kernel gets plain addresses, and descriptors lie in scratch memory). Both
multiply by weights of their own. Results are compared with PyTorch's; the output is their hash.
NVTX ranges: "load", "warmup" (kernels are compiled), "step" around one pass over all four. Prints one JSON object
(reference.py). Needs a GPU with TMA (compute capability 9.0).
"""
import time

import reference
import torch
import triton
import triton.language as tl
from reference import Clock, Range, describe
from triton.tools.tensor_descriptor import TensorDescriptor

ROWS, BLOCK_N, BLOCK_K = 64, 64, 64


def options():
    p = reference.parser(__doc__)
    p.add_argument("--width", type=int, default=2048, help="of the square weights; a multiple of 64")
    p.add_argument("--vector", type=int, default=1 << 22, help="elements of the vectors")
    p.add_argument("--steps", type=int, default=10)
    return p.parse_args()


@triton.jit
def add_kernel(x, y, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, tl.load(x + at, mask=at < n) + tl.load(y + at, mask=at < n), mask=at < n)


@triton.jit
def softmax_kernel(x, out, columns, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    row = tl.load(x + tl.program_id(0) * columns + at, mask=at < columns, other=-float("inf")).to(tl.float32)
    row = tl.exp(row - tl.max(row, axis=0))
    tl.store(out + tl.program_id(0) * columns + at, row / tl.sum(row, axis=0), mask=at < columns)


@triton.jit
def host_tma_matmul(x, weight, out, inner, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    column = tl.program_id(0) * N
    sums = tl.zeros((M, N), dtype=tl.float32)
    for k in range(0, inner, K):
        sums = tl.dot(x.load([0, k]), weight.load([column, k]).T, sums)
    out.store([0, column], sums.to(tl.float16))


@triton.jit
def device_tma_matmul(x_at, weight_at, out_at, width, inner, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    x = tl.make_tensor_descriptor(x_at, shape=[M, inner], strides=[inner, 1], block_shape=[M, K])
    weight = tl.make_tensor_descriptor(weight_at, shape=[width, inner], strides=[inner, 1], block_shape=[N, K])
    out = tl.make_tensor_descriptor(out_at, shape=[M, width], strides=[width, 1], block_shape=[M, N])
    column = tl.program_id(0) * N
    sums = tl.zeros((M, N), dtype=tl.float32)
    for k in range(0, inner, K):
        sums = tl.dot(x.load([0, k]), weight.load([column, k]).T, sums)
    out.store([0, column], sums.to(tl.float16))


class Work:
    def __init__(self, o):
        torch.manual_seed(o.seed)
        half = {"device": o.device, "dtype": torch.float16}
        self.width = o.width
        self.a, self.b = (torch.randn(o.vector, device=o.device) for _ in range(2))
        self.sum = torch.empty_like(self.a)
        self.x = torch.randn(ROWS, o.width, **half)
        self.weights = [torch.randn(o.width, o.width, **half) / o.width**0.5 for _ in range(2)]
        self.middle, self.last, self.softmax = (torch.empty_like(self.x) for _ in range(3))

    def step(self):
        n, grid = self.a.numel(), (self.width // BLOCK_N,)
        add_kernel[(triton.cdiv(n, 1024),)](self.a, self.b, self.sum, n, BLOCK=1024)
        blocks = [[ROWS, BLOCK_K], [BLOCK_N, BLOCK_K], [ROWS, BLOCK_N]]
        tensors = [self.x, self.weights[0], self.middle]
        descriptors = [TensorDescriptor.from_tensor(t, b) for t, b in zip(tensors, blocks)]
        host_tma_matmul[grid](*descriptors, self.width, M=ROWS, N=BLOCK_N, K=BLOCK_K)
        device_tma_matmul[grid](self.middle, self.weights[1], self.last, self.width, self.width, M=ROWS, N=BLOCK_N,
                                K=BLOCK_K)
        softmax_kernel[(ROWS,)](self.last, self.softmax, self.width, BLOCK=triton.next_power_of_2(self.width))

    def results(self):
        return [self.sum, self.middle, self.last, self.softmax]

    def largest_errors(self):
        middle = self.x @ self.weights[0].T
        last = middle @ self.weights[1].T
        right = [self.a + self.b, middle, last, torch.softmax(last.float(), -1)]
        return [(got.float() - want.float()).abs().max().item() for got, want in zip(self.results(), right)]

    def describe(self):
        return [describe("vector.a", self.a, "touch"), describe("vector.b", self.b, "touch"),
                describe("x", self.x, "touch"), describe("weight.host_tma", self.weights[0], "all"),
                describe("weight.device_tma", self.weights[1], "touch")]


def main():
    o = options()
    triton.set_allocator(lambda size, _alignment, _stream: torch.empty(size, device=o.device, dtype=torch.int8))
    with Range("load"):
        work = Work(o)
        reference.synchronize(o.device)
    started = time.perf_counter()
    with Range("warmup"):
        for _ in range(2):
            work.step()
        reference.synchronize(o.device)
    compiled = time.perf_counter()
    clock = Clock(o.device, "step")
    for _ in range(o.steps):
        with clock.unit():
            work.step()
    sha256 = reference.digest(work.results())
    errors = work.largest_errors()
    reference.write_parameters(o.parameters, work.describe())
    reference.report(o, "step", clock.seconds, sha256, None, largest_errors=errors, right=max(errors) < 0.05,
                     triton=triton.__version__, compile_s=compiled - started)


if __name__ == "__main__":
    main()
