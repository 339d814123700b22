#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Denoising steps of a UNet in the shape of Stable Diffusion 1.x, random weights, fp16.

Own code, so that nothing but torch is needed; the shapes are those of the paper (Rombach et al. 2022, "High-Resolution
Image Synthesis with Latent Diffusion Models") and of its published configuration: 320, 640, 1280, 1280 channels, two
residual blocks per level, transformer blocks with self- and cross-attention (8 heads, context of 77 x 768) on the first
three levels and in the middle, latents of 4 x 64 x 64, a batch of two for guidance; 860 M parameters.
NVTX ranges: "load", "warmup", "step". Prints one JSON object (reference.py). The output is the last latents.
"""
import math
import time

import reference
import torch
import torch.nn.functional as F
from reference import Clock, Range, describe_parameters
from torch import nn

GROUPS, HEADS, GUIDANCE = 32, 8, 7.5


def options():
    p = reference.parser(__doc__)
    p.add_argument("--width", type=int, default=320, help="channels of the first level; a multiple of 32")
    p.add_argument("--context", type=int, default=768)
    p.add_argument("--latents", type=int, default=64, help="height and width; a multiple of 8")
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--warmup", type=int, default=2, help="steps before, outside the ranges")
    return p.parse_args()


class Residual(nn.Module):
    def __init__(self, inputs, outputs, time_width):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(GROUPS, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(time_width, outputs)
        self.norm2, self.conv2 = nn.GroupNorm(GROUPS, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, t):
        h = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(t))[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


class Attention(nn.Module):
    def __init__(self, width, context):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(n, width, bias=False) for n in (width, context, context))
        self.out = nn.Linear(width, width)

    def forward(self, x, context):
        q, k, v = (f(s).unflatten(-1, (HEADS, -1)).transpose(1, 2)
                   for f, s in ((self.q, x), (self.k, context), (self.v, context)))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """Self-attention, cross-attention, gated feed-forward; projections in and out as 1 x 1 convolutions."""

    def __init__(self, width, context):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width, eps=1e-6)
        self.into, self.out = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.own, self.cross = Attention(width, width), Attention(width, context)
        self.gate, self.down = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def forward(self, x, context):
        h = self.into(self.norm(x)).flatten(2).transpose(1, 2)
        n = self.norm1(h)
        h = h + self.own(n, n)
        h = h + self.cross(self.norm2(h), context)
        value, gate = self.gate(self.norm3(h)).chunk(2, dim=-1)
        h = h + self.down(value * F.gelu(gate))
        return x + self.out(h.transpose(1, 2).unflatten(-1, x.shape[-2:]))


class Block(nn.Module):
    def __init__(self, inputs, outputs, time_width, context):
        super().__init__()
        self.residual = Residual(inputs, outputs, time_width)
        self.transformer = Transformer(outputs, context) if context else None

    def forward(self, x, t, context):
        x = self.residual(x, t)
        return self.transformer(x, context) if self.transformer else x


class UNet(nn.Module):
    def __init__(self, width, context):
        super().__init__()
        levels, time_width = [width, 2 * width, 4 * width, 4 * width], 4 * width
        self.width = width
        self.time1, self.time2 = nn.Linear(width, time_width), nn.Linear(time_width, time_width)
        self.first = nn.Conv2d(4, width, 3, padding=1)
        self.down, self.shrink, skips, n = nn.ModuleList(), nn.ModuleList(), [width], width
        for i, channels in enumerate(levels):
            attention = context if i < 3 else 0
            self.down.append(nn.ModuleList([Block(n, channels, time_width, attention),
                                            Block(channels, channels, time_width, attention)]))
            self.shrink.append(nn.Conv2d(channels, channels, 3, stride=2, padding=1) if i < 3 else nn.Identity())
            skips += [channels] * (3 if i < 3 else 2)
            n = channels
        self.middle = nn.ModuleList([Block(n, n, time_width, context), Block(n, n, time_width, 0)])
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for i, channels in reversed(list(enumerate(levels))):
            blocks = []
            for _ in range(3):
                blocks.append(Block(n + skips.pop(), channels, time_width, context if i < 3 else 0))
                n = channels
            self.up.append(nn.ModuleList(blocks))
            self.grow.append(nn.Conv2d(n, n, 3, padding=1) if i > 0 else nn.Identity())
        self.norm, self.last = nn.GroupNorm(GROUPS, width), nn.Conv2d(width, 4, 3, padding=1)

    def embed_time(self, t, like):
        half = self.width // 2
        angles = t * torch.exp(torch.arange(half, device=like.device) * (-math.log(10000) / half))
        wave = torch.cat([angles.cos(), angles.sin()])[None].to(like.dtype).expand(like.shape[0], -1)
        return self.time2(F.silu(self.time1(wave)))

    def forward(self, x, t, context):
        t = self.embed_time(t, x)
        x = self.first(x)
        skips = [x]
        for i, (blocks, shrink) in enumerate(zip(self.down, self.shrink)):
            for block in blocks:
                x = block(x, t, context)
                skips.append(x)
            if i < 3:
                x = shrink(x)
                skips.append(x)
        for block in self.middle:
            x = block(x, t, context)
        for i, (blocks, grow) in enumerate(zip(self.up, self.grow)):
            for block in blocks:
                x = block(torch.cat([x, skips.pop()], dim=1), t, context)
            if i < 3:
                x = grow(F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.last(F.silu(self.norm(x)))


def build(o):
    torch.manual_seed(o.seed)
    torch.set_default_dtype(torch.float16)
    with torch.device(o.device):
        model = UNet(o.width, o.context)
    torch.set_default_dtype(torch.float32)
    return model.eval()


def denoise(model, latents, context, t, keep):
    """One step of DDIM's kind with guidance; keep: how much of the latents stays."""
    free, guided = model(latents.expand(2, -1, -1, -1), t, context).chunk(2)
    return keep * latents + (1 - keep) * (free + GUIDANCE * (guided - free))


def main():
    o = options()
    started = time.perf_counter()
    reference.deterministic()
    with Range("load"):
        model = build(o)
        reference.synchronize(o.device)
    loaded = time.perf_counter()
    generator = torch.Generator().manual_seed(o.seed)
    latents = torch.randn((1, 4, o.latents, o.latents), generator=generator).to(o.device, torch.float16)
    context = torch.randn((2, 77, o.context), generator=generator).to(o.device, torch.float16)
    clock = Clock(o.device, "step")
    with torch.inference_mode():
        with Range("warmup"):
            for _ in range(o.warmup):
                denoise(model, latents, context, 999, 0.9)
            reference.synchronize(o.device)
        for i in range(o.steps):
            with clock.unit():
                latents = denoise(model, latents, context, 999 - 999 * i // o.steps, 0.9)
    reference.write_parameters(o.parameters, describe_parameters(model))
    reference.report(o, "step", clock.seconds, reference.digest([latents]), model,
                     parameters=sum(p.numel() for p in model.parameters()),
                     finite=bool(torch.isfinite(latents).all()), latents_std=latents.float().std().item(),
                     load_s=loaded - started, total_s=time.perf_counter() - started)


if __name__ == "__main__":
    main()
