#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Greedy decode of a small Llama with random weights: the reference workload of the tracer.

Eager `transformers`, fp16, default KV cache. NVTX ranges: "load", "warmup", "prefill", and "token" around each decode step (one
forward pass, the choice of the next token, and its copy to the host, which any stopping rule needs).
Prints one JSON object: seconds per token, a hash of the chosen ids (the same in every run with the same seed), bytes of
the parameters. --parameters FILE writes name, address and size of every parameter, and of the KV cache as the last token
leaves it (the default cache is made anew for each token), for comparing with a trace (reference.py, trace_truth).
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
from transformers import LlamaConfig, LlamaForCausalLM


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--layers", type=int, default=22)
    p.add_argument("--hidden", type=int, default=2048)
    p.add_argument("--intermediate", type=int, default=5632)
    p.add_argument("--heads", type=int, default=32)
    p.add_argument("--kv-heads", type=int, default=4)
    p.add_argument("--vocabulary", type=int, default=32000)
    p.add_argument("--prompt", type=int, default=64, help="tokens of the prompt")
    p.add_argument("--tokens", type=int, default=32, help="tokens to decode")
    p.add_argument("--warmup", type=int, default=4, help="tokens decoded before, outside the ranges")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--parameters", metavar="FILE", help="write name, address and bytes of every parameter as JSON")
    return p.parse_args()


def build(o):
    config = LlamaConfig(
        vocab_size=o.vocabulary, hidden_size=o.hidden, intermediate_size=o.intermediate, num_hidden_layers=o.layers,
        num_attention_heads=o.heads, num_key_value_heads=o.kv_heads, max_position_embeddings=4096,
        tie_word_embeddings=False)
    torch.manual_seed(o.seed)
    torch.set_default_dtype(torch.float16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return model.to(torch.float16).eval()


def decode(model, prompt, tokens, prefill_name, token_name):
    """Returns the ids and the seconds of each step."""
    with Range(prefill_name):
        out = model(input_ids=prompt, use_cache=True)
        next_id = out.logits[:, -1].argmax(-1, keepdim=True)
        ids = [int(next_id)]
    seconds = []
    for _ in range(tokens):
        start = time.perf_counter()
        with Range(token_name):
            out = model(input_ids=next_id, past_key_values=out.past_key_values, use_cache=True)
            next_id = out.logits[:, -1].argmax(-1, keepdim=True)
            ids.append(int(next_id))
        seconds.append(time.perf_counter() - start)
    return ids, seconds, out.past_key_values


def main():
    o = options()
    started = time.perf_counter()
    torch.cuda.init()
    with Range("load"):
        model = build(o)
        torch.cuda.synchronize()
    loaded = time.perf_counter()
    generator = torch.Generator().manual_seed(o.seed)
    prompt = torch.randint(0, o.vocabulary, (1, o.prompt), generator=generator).cuda()
    with torch.inference_mode():
        if o.warmup:
            decode(model, prompt, o.warmup, "warmup", "warmup")
            torch.cuda.synchronize()
        ids, seconds, cache = decode(model, prompt, o.tokens, "prefill", "token")
    torch.cuda.synchronize()
    parameters = reference.describe_parameters(model)
    embedding = next(p["bytes"] for p in parameters if p["name"].endswith("embed_tokens.weight"))
    total = sum(p["bytes"] for p in parameters)
    reference.write_parameters(o.parameters, parameters + reference.describe_cache(cache, [o.tokens - 1]))
    json.dump({
        "unit": "token",
        "units": len(seconds),
        "seconds": [round(s, 9) for s in seconds],
        "s_per_token": statistics.median(seconds),
        "s_per_token_mean": statistics.fmean(seconds),
        "s_per_token_min": min(seconds),
        "ids_sha256": hashlib.sha256(json.dumps(ids).encode()).hexdigest(),
        "ids": ids[:8],
        "parameter_bytes": total,
        "parameter_bytes_without_embedding": total - embedding,
        "load_s": loaded - started,
        "total_s": time.perf_counter() - started,
        "max_memory_bytes": torch.cuda.max_memory_allocated(),
        "max_rss_bytes": reference.max_rss_bytes(),
        "reserved_bytes": torch.cuda.memory_reserved(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(),
    }, sys.stdout)
    print()


if __name__ == "__main__":
    main()
