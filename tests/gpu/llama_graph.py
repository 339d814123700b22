#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Greedy decode of a small Llama with random weights, each token one launch of a CUDA graph.

The model of llama_decode.py with a static KV cache; the step (forward pass, choice of the next token, the cache's and the
position's advance) is captured once with torch.cuda.CUDAGraph and replayed per token. NVTX ranges: "load", "capture",
"prefill", and "token" around each replay and the copy of the token to the host.
Prints one JSON object: seconds per token, a hash of the chosen ids (the same in every run with the same seed). The static
cache's addresses are listed with the parameters (--parameters FILE): it stays where it is.
"""
import argparse
import hashlib
import json
import statistics
import sys
import time

import reference
import torch
from reference import Range
from transformers import LlamaConfig, LlamaForCausalLM, StaticCache


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--device", default="cuda", help="cpu: to try the program without a GPU, and without a graph")
    p.add_argument("--layers", type=int, default=22)
    p.add_argument("--hidden", type=int, default=2048)
    p.add_argument("--intermediate", type=int, default=5632)
    p.add_argument("--heads", type=int, default=32)
    p.add_argument("--kv-heads", type=int, default=4)
    p.add_argument("--vocabulary", type=int, default=32000)
    p.add_argument("--prompt", type=int, default=64, help="tokens of the prompt")
    p.add_argument("--tokens", type=int, default=32, help="tokens to decode")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--parameters", metavar="FILE", help="write name, address and bytes of every tensor as JSON")
    return p.parse_args()


def build(o):
    config = LlamaConfig(
        vocab_size=o.vocabulary, hidden_size=o.hidden, intermediate_size=o.intermediate, num_hidden_layers=o.layers,
        num_attention_heads=o.heads, num_key_value_heads=o.kv_heads, max_position_embeddings=4096,
        tie_word_embeddings=False)
    torch.manual_seed(o.seed)
    torch.set_default_dtype(torch.float16)
    with torch.device(o.device):
        model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return model.to(torch.float16).eval()


class Decoder:
    """A model, its cache, and the tensors of one step; all of them stay where they are."""

    def __init__(self, o, model):
        self.model = model
        self.length = o.prompt + o.tokens + 8
        self.cache = StaticCache(config=model.config, max_cache_len=self.length)
        self.token = torch.zeros((1, 1), dtype=torch.long, device=o.device)
        self.position = torch.zeros((1, 1), dtype=torch.long, device=o.device)
        self.places = torch.arange(self.length, device=o.device).view(1, 1, 1, -1)
        self.graph = None

    def forward(self, ids, positions):
        """The mask is made here: what transformers would make of a cache that does not tell its length to the host."""
        allowed = self.places <= positions.view(1, 1, -1, 1)
        mask = torch.zeros(allowed.shape, dtype=torch.float16, device=ids.device).masked_fill_(
            ~allowed, torch.finfo(torch.float16).min)
        return self.model(input_ids=ids, position_ids=positions, attention_mask=mask, past_key_values=self.cache,
                          use_cache=True).logits[:, -1].argmax(-1, keepdim=True)

    def prefill(self, prompt):
        self.cache.reset()
        positions = torch.arange(prompt.shape[1], device=prompt.device).unsqueeze(0)
        self.token.copy_(self.forward(prompt, positions))
        self.position.fill_(prompt.shape[1])

    def step(self):
        self.token.copy_(self.forward(self.token, self.position))
        self.position.add_(1)

    def capture(self, prompt):
        self.prefill(prompt)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.step()

    def run(self):
        if self.graph:
            self.graph.replay()
        else:
            self.step()
        return int(self.token)


def decode(decoder, prompt, tokens):
    """Returns the ids and the seconds of each step."""
    seconds = []
    with Range("prefill"):
        decoder.prefill(prompt)
        ids = [int(decoder.token)]
    for _ in range(tokens):
        start = time.perf_counter()
        with Range("token"):
            ids.append(decoder.run())
        seconds.append(time.perf_counter() - start)
    return ids, seconds


def main():
    o = options()
    reference.deterministic()
    torch.backends.cuda.enable_cudnn_sdp(False)  # outputs were seen to differ in a bit between runs
    started = time.perf_counter()
    with Range("load"):
        model = build(o)
        reference.synchronize(o.device)
    loaded = time.perf_counter()
    generator = torch.Generator().manual_seed(o.seed)
    prompt = torch.randint(0, o.vocabulary, (1, o.prompt), generator=generator).to(o.device)
    decoder = Decoder(o, model)
    with torch.inference_mode():
        if o.device == "cuda":
            with Range("capture"):
                decoder.capture(prompt)
        ids, seconds = decode(decoder, prompt, o.tokens)
    parameters = reference.describe_parameters(model)
    reference.write_parameters(o.parameters, parameters + reference.describe_cache(decoder.cache, list(range(o.tokens))))
    json.dump({
        "unit": "token",
        "units": len(seconds),
        "seconds": [round(s, 9) for s in seconds],
        "s_per_token": statistics.median(seconds),
        "s_per_token_mean": statistics.fmean(seconds),
        "s_per_token_min": min(seconds),
        "ids_sha256": hashlib.sha256(json.dumps(ids).encode()).hexdigest(),
        "ids": ids[:8],
        "parameter_bytes": sum(p["bytes"] for p in parameters),
        "load_s": loaded - started,
        "total_s": time.perf_counter() - started,
        "max_memory_bytes": torch.cuda.max_memory_allocated() if o.device == "cuda" else 0,
        "max_rss_bytes": reference.max_rss_bytes(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if o.device == "cuda" else "cpu",
    }, sys.stdout)
    print()


if __name__ == "__main__":
    main()
