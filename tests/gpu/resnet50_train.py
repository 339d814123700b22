#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Training steps of torchvision's ResNet-50 with random images: SGD with momentum, fp32, deterministic algorithms.

NVTX ranges: "load", "warmup", and "step" around forward, backward and update. The output is the losses and all
parameters after the last step. Prints one JSON object (reference.py); --parameters FILE lists parameters, their momenta
(both used in each step) and the running statistics.
"""
import time

import reference
import torch
import torchvision
from reference import Clock, Range, describe


def options():
    p = reference.parser(__doc__)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--image", type=int, default=224)
    p.add_argument("--classes", type=int, default=1000)
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--warmup", type=int, default=3, help="steps before, outside the ranges")
    return p.parse_args()


class Training:
    def __init__(self, o):
        torch.manual_seed(o.seed)
        with torch.device(o.device):
            self.model = torchvision.models.resnet50(num_classes=o.classes).train()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
        generator = torch.Generator().manual_seed(o.seed)
        shape = (o.batch, 3, o.image, o.image)
        self.images = torch.randn(shape, generator=generator).to(o.device)
        self.labels = torch.randint(0, o.classes, (o.batch,), generator=generator).to(o.device)
        self.losses = []

    def step(self):
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.model(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def describe(self):
        entries = []
        for name, p in self.model.named_parameters():
            entries.append(describe(name, p, "all"))
            entries.append(describe(f"momentum.{name}", self.optimizer.state[p]["momentum_buffer"], "touch"))
        entries += [describe(name, b, "touch") for name, b in self.model.named_buffers()]
        return entries


def main():
    o = options()
    started = time.perf_counter()
    reference.deterministic()
    with Range("load"):
        training = Training(o)
        reference.synchronize(o.device)
    with Range("warmup"):
        for _ in range(o.warmup):
            training.step()
    loaded = time.perf_counter()
    clock = Clock(o.device, "step")
    for _ in range(o.steps):
        with clock.unit():
            training.step()
    reference.write_parameters(o.parameters, training.describe())
    sha256 = reference.digest([training.losses, *training.model.state_dict().values()])
    reference.report(o, "step", clock.seconds, sha256, training.model, losses=training.losses[-3:],
                     load_s=loaded - started, total_s=time.perf_counter() - started)


if __name__ == "__main__":
    main()
